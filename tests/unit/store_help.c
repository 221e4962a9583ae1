/* SPDX-License-Identifier: MIT */
#include "tests/unit/store_help.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/file.h"

#define DEADLINE_US	SEC_US(60)

struct loop	*loop;
struct store	*store;
char		 dir[256];
char		 why[512];

static size_t		 due;
static uint64_t		 answers;
static bool		 is_late;
static bool		 (*until)(void);

static void
on_late(void *arg)
{
	(void)arg;
	is_late = true;
	loop_stop(loop);
}

static void
count_answer(void)
{
	answers++;
	if (due > 0 && --due == 0)
		loop_stop(loop);
	if (until != NULL && until())
		loop_stop(loop);
}

void
help_begin(void)
{
	const char	*tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof dir, "%s/chela-store-XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		exit(1);
	}
	loop = loop_new();
	if (loop == NULL)
		exit(1);
}

char *
help_path(const char *name)
{
	static char	 path[600];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return (path);
}

void
help_end(void)
{
	struct dirent	*d;
	DIR		*dp;

	help_close();
	loop = loop_free(loop);
	dp = opendir(dir);
	if (dp == NULL)
		return;
	while ((d = readdir(dp)) != NULL) {
		if (d->d_name[0] != '.')
			(void)remove(help_path(d->d_name));
	}
	(void)closedir(dp);
	(void)rmdir(dir);
}

int
help_open(const struct store_limits *lim)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	r = store_open(loop, dir, lim, &store, &b);
	(void)snprintf(why, sizeof why, "%.*s", (int)b.len,
	    b.data == NULL ? "" : b.data);
	buf_fini(&b);
	return (r);
}

void
help_close(void)
{
	store = store_close(store);
}

static bool
help_run(void)
{
	struct loop_timer	*t = loop_timer_new(loop, on_late, NULL);

	is_late = false;
	(void)loop_timer_set(t, DEADLINE_US);
	loop_run(loop);
	(void)loop_timer_free(t);
	return (!is_late);
}

bool
help_wait(size_t n)
{
	bool	 is_ok;

	if (n == 0)
		return (true);
	due = n;
	is_ok = help_run();
	due = 0;
	return (is_ok);
}

static void
on_health(void *arg, int r, const char *reason)
{
	(void)arg;
	(void)r;
	(void)reason;
	if (until != NULL && until())
		loop_stop(loop);
}

bool
help_until(bool (*cond)(void))
{
	bool	 is_ok;

	if (cond())
		return (true);
	until = cond;
	store_on_health(store, on_health, NULL);
	is_ok = help_run() && cond();
	store_on_health(store, NULL, NULL);
	until = NULL;
	return (is_ok);
}

void
on_done(void *arg, int r, uint64_t rev)
{
	struct answer	*a = arg;

	if (a != NULL) {
		a->n++;
		a->r = r;
		a->rev = rev;
		a->order = answers;
	}
	count_answer();
}

void
on_found(void *arg, int r, const char *const *logs,
    const struct store_row *rows, size_t n)
{
	struct rows	*out = arg;
	size_t		 i;

	out->n_calls++;
	out->r = r;
	out->n = n;
	out->seqs = calloc(n + 1, sizeof *out->seqs);
	out->texts = calloc(n + 1, sizeof *out->texts);
	out->logs = calloc(n + 1, sizeof *out->logs);
	for (i = 0; i < n; i++) {
		out->seqs[i] = rows[i].seq;
		out->texts[i] = strdup(rows[i].text);
		out->logs[i] = logs == NULL ? NULL : strdup(logs[i]);
		if (strlen(rows[i].text) != rows[i].len)
			out->r = -1;
	}
	count_answer();
}

void
on_rows(void *arg, int r, const struct store_row *rows, size_t n)
{
	on_found(arg, r, NULL, rows, n);
}

void
rows_fini(struct rows *rows)
{
	size_t	 i;

	for (i = 0; i < rows->n; i++) {
		free(rows->texts[i]);
		free(rows->logs[i]);
	}
	free(rows->seqs);
	free(rows->texts);
	free(rows->logs);
	*rows = (struct rows){ 0 };
}

static int
answer_now(int r, struct answer *a, uint64_t *ret)
{
	if (r < 0)
		return (r);
	/* Never from within the call. */
	if (a->n != 0 || !help_wait(1) || a->n != 1)
		return (-9999);
	if (ret != NULL)
		*ret = a->rev;
	return (a->r);
}

int
put_now(const char *key, const char *text, uint64_t expect, uint64_t *ret_rev)
{
	struct answer	 a = { 0 };

	return (answer_now(store_put(store, NS, key, text, strlen(text), expect,
	    on_done, &a), &a, ret_rev));
}

int
del_now(const char *key, uint64_t expect, uint64_t *ret_rev)
{
	struct answer	 a = { 0 };

	return (answer_now(store_del(store, NS, key, expect, on_done, &a), &a,
	    ret_rev));
}

int
append_now(const char *log, const char *text, uint64_t *ret_seq)
{
	struct answer	 a = { 0 };

	return (answer_now(store_append(store, NS, log, text, strlen(text),
	    NULL, on_done, &a), &a, ret_seq));
}

bool
key_is(const char *key, const char *text)
{
	const char	*is;
	size_t		 len;
	uint64_t	 rev;

	if (store_get(store, NS, key, &is, &len, &rev) < 0)
		return (text == NULL);
	return (text != NULL && strlen(text) == len && strcmp(is, text) == 0 &&
	    rev > 0);
}
