/* SPDX-License-Identifier: MIT */
/*
 * What the store costs: a row in groups of 1, 10, 100 and 1000, opening,
 * reading back, and a look-up. A group is a burst: so many writes in one turn
 * of the loop, the next burst when all of it is acknowledged, hence durable.
 *
 *	bench_store [rows [directory]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/loop.h"
#include "core/store/store.h"

#define TEXT_LEN	300
#define KEYS		100000u

static struct loop	*loop;
static struct store	*store;
static char		 text[TEXT_LEN + 1];
static size_t		 left;		/* of the burst */
static size_t		 n_rows;
static uint64_t		 last_us, longest_us;

static uint64_t
cpu_us(void)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ((uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

static uint64_t
loop_cpu_us(void)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ((uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

static long
resident_kib(void)
{
	char	 line[256];
	long	 kib = 0;
	FILE	*f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	}
	if (f != NULL)
		(void)fclose(f);
	return (kib);
}

static void
must(int r, const char *what)
{
	if (r < 0) {
		(void)fprintf(stderr, "bench_store: %s: %s\n", what,
		    strerror(-r));
		exit(1);
	}
}

static void
on_done(void *arg, int r, uint64_t rev)
{
	(void)arg;
	(void)rev;
	must(r, "write");
	if (--left == 0)
		loop_stop(loop);
}

static void
bench_writes(const char *what, size_t group, size_t rows)
{
	uint64_t	 wall = clock_now_us(), cpu = cpu_us();
	uint64_t	 own = loop_cpu_us();
	char		 key[32];
	size_t		 i, j;

	for (i = 0; i < rows; i += group) {
		left = group;
		for (j = 0; j < group; j++) {
			(void)snprintf(key, sizeof key, "%zu", (i + j) % 500);
			must(*what == 'l' ?
			    store_append(store, "bench", "log", text, TEXT_LEN,
			    NULL, on_done, NULL) :
			    store_put(store, "bench", key, text, TEXT_LEN,
			    STORE_ANY_REV, on_done, NULL), what);
		}
		loop_run(loop);
	}
	(void)printf("%-6s %6zu  %8.1f  %8.1f  %8.1f\n", what, group,
	    (double)(clock_now_us() - wall) / (double)i,
	    (double)(cpu_us() - cpu) / (double)i,
	    (double)(loop_cpu_us() - own) / (double)i);
}

static void
on_round(void *arg)
{
	uint64_t	 now = clock_now_us();

	if (last_us != 0 && now - last_us > longest_us)
		longest_us = now - last_us;
	last_us = now;
	if (left > 0)
		(void)loop_post(loop, on_round, arg);
}

static void
on_rows(void *arg, int r, const struct store_row *rows, size_t n)
{
	(void)arg;
	(void)rows;
	must(r, "read");
	n_rows = n;
	left = 0;
	loop_stop(loop);
}

static void
on_found(void *arg, int r, const char *const *logs,
    const struct store_row *rows, size_t n)
{
	(void)logs;
	on_rows(arg, r, rows, n);
}

/* The time until the rows are there, and the longest turn of a busy loop. */
static void
bench_reads(void)
{
	static const size_t sizes[] = { 1, 50, 1000, 10000 };
	uint64_t	 wall;
	size_t		 i;

	(void)printf("\nread   rows    wall us  longest turn us\n");
	for (i = 0; i < ARRAY_LEN(sizes) + 1; i++) {
		left = 1;
		last_us = longest_us = 0;
		on_round(NULL);
		wall = clock_now_us();
		if (i < ARRAY_LEN(sizes))
			must(store_read(store, "bench", "log", 0, sizes[i], 0,
			    STORE_READ_TAIL, on_rows, NULL), "read");
		else
			must(store_find(store, "bench", "", "not there", 0,
			    on_found, NULL), "find");
		loop_run(loop);
		(void)printf("%-5s %6zu  %8llu  %15llu\n",
		    i < ARRAY_LEN(sizes) ? "tail" : "find", n_rows,
		    (unsigned long long)(clock_now_us() - wall),
		    (unsigned long long)longest_us);
	}
}

static int
on_key(void *arg, const char *key, const char *value, size_t len, uint64_t rev)
{
	(void)key;
	(void)value;
	(void)len;
	(void)rev;
	++*(size_t *)arg;
	return (0);
}

static void
bench_table(void)
{
	char		 key[40];
	uint64_t	 t;
	size_t		 i, n = 0;
	long		 kib = resident_kib();

	for (i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "agent:main:session-%zu", i);
		must(store_put(store, "keys", key, text, TEXT_LEN,
		    STORE_ANY_REV, on_done, NULL), "put");
		left++;
		if (left == 5000 || i == KEYS - 1)
			loop_run(loop);
	}
	(void)printf("\n%u keys of %d bytes: %ld KiB\n", KEYS, TEXT_LEN,
	    resident_kib() - kib);
	t = cpu_us();
	for (i = 0; i < KEYS; i++) {
		(void)snprintf(key, sizeof key, "agent:main:session-%zu",
		    i * 7919 % KEYS);
		must(store_get(store, "keys", key, NULL, NULL, NULL), "get");
	}
	(void)printf("get      %6.2f us\n", (double)(cpu_us() - t) / KEYS);
	t = cpu_us();
	(void)store_each(store, "keys", "", on_key, &n);
	(void)printf("each     %6.2f us a key, %zu keys\n",
	    (double)(cpu_us() - t) / (double)n, n);
}

static void
bench_open(const char *dir, const char *what)
{
	uint64_t	 wall = clock_now_us(), cpu = cpu_us();
	long		 kib = resident_kib();

	must(store_open(loop, dir, NULL, &store, NULL), "open");
	(void)printf("open     %8llu us wall, %llu us CPU, %ld KiB more (%s)\n",
	    (unsigned long long)(clock_now_us() - wall),
	    (unsigned long long)(cpu_us() - cpu), resident_kib() - kib, what);
}

int
main(int argc, char **argv)
{
	static const size_t groups[] = { 1, 10, 100, 1000 };
	size_t		 i, rows = argc > 1 ? strtoul(argv[1], NULL, 10) :
	    5000;
	char		 dir[256], path[300];
	static const char *const files[] = { STORE_FILE, STORE_FILE "-wal",
	    STORE_FILE "-shm", STORE_LOCK_FILE };

	(void)snprintf(dir, sizeof dir, "%s/bench-store-XXXXXX", argc > 2 ?
	    argv[2] : getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return (1);
	}
	memset(text, 'x', TEXT_LEN);
	loop = loop_new();
	if (loop == NULL)
		return (1);
	bench_open(dir, "fresh");
	(void)printf("\nwrite   group   wall us    CPU us  loop CPU, a row\n");
	for (i = 0; i < ARRAY_LEN(groups); i++)
		bench_writes("log", groups[i], groups[i] == 1 ? rows / 5 :
		    rows);
	for (i = 0; i < ARRAY_LEN(groups); i++)
		bench_writes("table", groups[i], groups[i] == 1 ? rows / 5 :
		    rows);
	bench_reads();
	bench_table();
	store = store_close(store);
	bench_open(dir, "100,500 keys");
	store = store_close(store);
	loop = loop_free(loop);
	for (i = 0; i < ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", dir, files[i]);
		(void)remove(path);
	}
	(void)rmdir(dir);
	return (0);
}
