/* SPDX-License-Identifier: MIT */
/*
 * Logs of the store: numbers, windows, trimming, search, and the loop's share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/store/sqlite_priv.h"
#include "tests/unit/cu.h"
#include "tests/unit/store_help.h"

static struct rows	 rows;

/* One read and its answer in rows; r of the call or of the answer. */
static int
read_now(const char *log, uint64_t from, size_t max, size_t max_bytes,
    uint32_t flags)
{
	int	 r;

	rows_fini(&rows);
	r = store_read(store, NS, log, from, max, max_bytes, flags, on_rows,
	    &rows);
	if (r < 0)
		return (r);
	if (rows.n_calls != 0 || !help_wait(1) || rows.n_calls != 1)
		return (-9999);
	return (rows.r);
}

static int
find_now(const char *prefix, const char *needle, size_t max)
{
	int	 r;

	rows_fini(&rows);
	r = store_find(store, NS, prefix, needle, max, on_found, &rows);
	if (r < 0)
		return (r);
	if (rows.n_calls != 0 || !help_wait(1) || rows.n_calls != 1)
		return (-9999);
	return (rows.r);
}

static bool
rows_are(uint64_t first, size_t n)
{
	size_t	 i;

	if (rows.n != n)
		return (false);
	for (i = 0; i < n; i++) {
		if (rows.seqs[i] != first + i)
			return (false);
	}
	return (true);
}

/* n rows with the texts "row <seq>". */
static void
fill(const char *log, size_t n)
{
	char	 text[32];
	size_t	 i;

	for (i = 0; i < n; i++) {
		(void)snprintf(text, sizeof text, "\"row %zu\"", i + 1);
		CU_ASSERT_EQUAL(store_append(store, NS, log, text,
		    strlen(text), NULL, on_done, NULL), 0);
	}
	CU_ASSERT_TRUE(help_wait(n));
}

static void
rows_get_numbers_in_the_order_of_the_calls(void)
{
	struct answer		 a[3] = { { 0 } };
	struct store_log_stat	 st;
	uint64_t		 seq;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), -ENOENT);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, &seq, on_done,
	    &a[0]), 0);
	CU_ASSERT_EQUAL(seq, 1);
	CU_ASSERT_EQUAL(store_append(store, NS, "m", "1", 1, &seq, on_done,
	    &a[1]), 0);
	CU_ASSERT_EQUAL(seq, 1);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "2", 1, &seq, on_done,
	    &a[2]), 0);
	CU_ASSERT_EQUAL(seq, 2);
	CU_ASSERT_TRUE(help_wait(3));
	CU_ASSERT_EQUAL(a[0].rev, 1);
	CU_ASSERT_EQUAL(a[1].rev, 1);
	CU_ASSERT_EQUAL(a[2].rev, 2);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), 0);
	CU_ASSERT_EQUAL(st.first, 1);
	CU_ASSERT_EQUAL(st.next, 3);
	CU_ASSERT_EQUAL(st.count, 2);
	CU_ASSERT_EQUAL(store_log_stat(store, "other", "l", &st), -ENOENT);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(append_now("l", "3", &seq), 0);
	CU_ASSERT_EQUAL(seq, 3);
	CU_ASSERT_EQUAL(read_now("l", 0, 0, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(1, 3));
	CU_ASSERT_STRING_EQUAL(rows.texts[2], "3");
	rows_fini(&rows);
	help_end();
}

static void
a_read_sees_every_append_before_it(void)
{
	size_t	 i, wrong = 0;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 1; i <= 50; i++) {
		rows_fini(&rows);
		CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL,
		    NULL, NULL), 0);
		CU_ASSERT_EQUAL(store_append(store, NS, "other", "1", 1, NULL,
		    NULL, NULL), 0);
		CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0,
		    on_rows, &rows), 0);
		CU_ASSERT_TRUE(help_wait(1));
		wrong += rows.r != 0 || !rows_are(1, i);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	rows_fini(&rows);
	help_end();
}

static void
a_read_gives_the_window_that_was_asked_for(void)
{
	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(read_now("none", 0, 0, 0, 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	fill("l", 20);
	CU_ASSERT_EQUAL(read_now("l", 5, 3, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(5, 3));
	CU_ASSERT_STRING_EQUAL(rows.texts[0], "\"row 5\"");
	CU_ASSERT_EQUAL(read_now("l", 19, 10, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(19, 2));
	CU_ASSERT_EQUAL(read_now("l", 20, 10, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(20, 1));
	CU_ASSERT_EQUAL(read_now("l", 21, 10, 0, 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	CU_ASSERT_EQUAL(read_now("l", UINT64_MAX, 10, 0, 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	CU_ASSERT_EQUAL(read_now("l", 0, 4, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(17, 4));
	CU_ASSERT_STRING_EQUAL(rows.texts[3], "\"row 20\"");
	CU_ASSERT_EQUAL(read_now("l", 17, 4, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(13, 4));
	CU_ASSERT_EQUAL(read_now("l", 3, 4, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(1, 2));
	CU_ASSERT_EQUAL(read_now("l", 1, 4, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	CU_ASSERT_EQUAL(read_now("l", UINT64_MAX, 1, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(20, 1));
	CU_ASSERT_EQUAL(read_now("l", 0, 1, 0, 2), -EINVAL);
	rows_fini(&rows);
	help_end();
}

/* AB-116 */
static void
a_read_stops_at_its_limits(void)
{
	struct store_limits	 lim = { .read_rows_max = 5,
	    .read_bytes_max = 60 };
	size_t			 i;

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	fill("l", 9);		/* 7 bytes and a NUL each */
	for (i = 4; i <= 6; i++) {
		CU_ASSERT_EQUAL(read_now("l", 0, i, 0, 0), 0);
		CU_ASSERT_TRUE(rows_are(1, MIN_OF(i, 5)));
	}
	/* Three rows: two with their NULs and the third's text. */
	for (i = 22; i <= 24; i++) {
		CU_ASSERT_EQUAL(read_now("l", 0, 0, i, 0), 0);
		CU_ASSERT_TRUE(rows_are(1, i >= 23 ? 3 : 2));
		CU_ASSERT_EQUAL(read_now("l", 0, 0, i, STORE_READ_TAIL), 0);
		CU_ASSERT_TRUE(rows_are(i >= 23 ? 7 : 8, i >= 23 ? 3 : 2));
	}
	/* Always one, or a pager would stand still. */
	CU_ASSERT_EQUAL(read_now("l", 4, 0, 1, 0), 0);
	CU_ASSERT_TRUE(rows_are(4, 1));
	CU_ASSERT_EQUAL(read_now("l", 4, 0, 1, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(3, 1));
	rows_fini(&rows);
	help_end();
}

static void
reads_and_logs_have_ceilings(void)
{
	struct store_limits	 lim = { .reads_max = 2, .logs_max = 2 };
	struct rows		 a = { 0 }, b = { 0 }, c = { 0 };

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	CU_ASSERT_EQUAL(append_now("a", "1", NULL), 0);
	CU_ASSERT_EQUAL(append_now("b", "1", NULL), 0);
	CU_ASSERT_EQUAL(append_now("c", "1", NULL), -EDQUOT);
	CU_ASSERT_EQUAL(append_now("b", "1", NULL), 0);
	CU_ASSERT_EQUAL(store_drop(store, NS, "a", NULL, NULL), 0);
	CU_ASSERT_EQUAL(append_now("c", "1", NULL), 0);
	CU_ASSERT_EQUAL(append_now("a", "1", NULL), -EDQUOT);
	CU_ASSERT_EQUAL(store_read(store, NS, "b", 0, 0, 0, 0, on_rows, &a),
	    0);
	CU_ASSERT_EQUAL(store_read(store, NS, "none", 0, 0, 0, 0, on_rows,
	    &b), 0);
	CU_ASSERT_EQUAL(store_read(store, NS, "b", 0, 0, 0, 0, on_rows, &c),
	    -EAGAIN);
	CU_ASSERT_EQUAL(store_find(store, NS, "", "1", 0, on_found, &c),
	    -EAGAIN);
	CU_ASSERT_TRUE(help_wait(2));
	CU_ASSERT_EQUAL(store_find(store, NS, "", "1", 0, on_found, &c), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.n, 2);
	CU_ASSERT_EQUAL(b.n, 0);
	CU_ASSERT_EQUAL(c.n, 3);
	rows_fini(&a);
	rows_fini(&b);
	rows_fini(&c);
	help_end();
}

static int64_t
count_on_disk(const char *sql)
{
	sqlite3	*db = NULL;
	int64_t	 n = -1;

	if (sqlite3_open_v2(help_path(STORE_FILE), &db, SQLITE_OPEN_READONLY,
	    NULL) == SQLITE_OK)
		(void)sqlite_number(db, sql, &n);
	(void)sqlite3_close(db);
	return (n);
}

static struct loop_timer	*tick;
static const char		*swept_sql;
static int64_t			 swept_to;
static int			 ticks;

static void
on_tick(void *arg)
{
	(void)arg;
	if (count_on_disk(swept_sql) == swept_to || ++ticks > 2000)
		loop_stop(loop);
	else
		(void)loop_timer_set(tick, MS_US(10));
}

/* Housekeeping tells nobody: look until it is done. */
static bool
is_swept(const char *sql, int64_t to)
{
	swept_sql = sql;
	swept_to = to;
	ticks = 0;
	tick = loop_timer_new(loop, on_tick, NULL);
	(void)loop_timer_set(tick, 0);
	loop_run(loop);
	tick = loop_timer_free(tick);
	return (count_on_disk(sql) == to);
}

static void
trimmed_rows_are_gone_at_once_and_for_good(void)
{
	struct store_log_stat	 st;
	struct answer		 a = { 0 };
	uint64_t		 seq;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_trim(store, NS, "l", 5, on_done, &a), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.r, -ENOENT);
	fill("l", 1200);
	CU_ASSERT_EQUAL(store_trim(store, NS, "l", 1101, on_done, &a), 0);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), 0);
	CU_ASSERT_EQUAL(st.first, 1101);
	CU_ASSERT_EQUAL(st.count, 100);
	/* A read in the same turn does not see them any more. */
	rows_fini(&rows);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &rows), 0);
	CU_ASSERT_TRUE(help_wait(2));
	CU_ASSERT_TRUE(rows_are(1101, 100));
	CU_ASSERT_EQUAL(a.r, 0);
	CU_ASSERT_EQUAL(a.rev, 1101);
	CU_ASSERT_EQUAL(find_now("", "row 7", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	CU_ASSERT_EQUAL(store_trim(store, NS, "l", 3, on_done, &a), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.rev, 1101);
	CU_ASSERT_TRUE(is_swept("SELECT count(*) FROM row", 100));
	CU_ASSERT_EQUAL(read_now("l", 0, 1000, 0, STORE_READ_TAIL), 0);
	CU_ASSERT_TRUE(rows_are(1101, 100));

	/* All of it, and a restart: the numbers go on. */
	CU_ASSERT_EQUAL(store_trim(store, NS, "l", UINT64_MAX, on_done, &a),
	    0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.rev, 1201);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), 0);
	CU_ASSERT_EQUAL(st.first, 1201);
	CU_ASSERT_EQUAL(st.count, 0);
	CU_ASSERT_EQUAL(append_now("l", "1", &seq), 0);
	CU_ASSERT_EQUAL(seq, 1201);
	CU_ASSERT_TRUE(is_swept("SELECT count(*) FROM row", 1));
	rows_fini(&rows);
	help_end();
}

static void
a_dropped_log_begins_anew(void)
{
	struct store_log_stat	 st;
	struct answer		 a = { 0 };
	struct rows		 before = { 0 };
	uint64_t		 seq;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	fill("l", 600);
	fill("m", 3);
	/* One turn: read, drop, append, read. */
	CU_ASSERT_EQUAL(store_drop(store, NS, "l", on_done, &a), 0);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), -ENOENT);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "\"new\"", 5, &seq, NULL,
	    NULL), 0);
	CU_ASSERT_EQUAL(seq, 1);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &before), 0);
	CU_ASSERT_TRUE(help_wait(2));
	CU_ASSERT_EQUAL(a.r, 0);
	CU_ASSERT_EQUAL(before.n, 1);
	CU_ASSERT_STRING_EQUAL(before.texts[0], "\"new\"");
	rows_fini(&before);
	CU_ASSERT_EQUAL(find_now("", "row", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 3);
	CU_ASSERT_TRUE(is_swept("SELECT count(*) FROM row", 4));
	CU_ASSERT_TRUE(is_swept("SELECT count(*) FROM trash", 0));
	CU_ASSERT_EQUAL(store_drop(store, NS, "l", NULL, NULL), 0);
	CU_ASSERT_EQUAL(store_drop(store, NS, "l", on_done, &a), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.r, -ENOENT);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), -ENOENT);
	CU_ASSERT_EQUAL(read_now("m", 0, 0, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(1, 3));
	rows_fini(&rows);
	help_end();
}

static void
find_gives_the_newest_first_over_all_logs(void)
{
	static const struct {
		const char	*log;
		const char	*text;
	} all[] = {
		{ "s/a", "\"The Lobster\"" },
		{ "s/b", "\"a lobster, too\"" },
		{ "t/a", "\"lobster elsewhere\"" },
		{ "s/a", "\"crab\"" },
		{ "s/b", "\"LOBSTER again\"" },
		{ "s/c", "\"K\xc3\x84" "FER\"" },
	};
	size_t	 i;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < ARRAY_LEN(all); i++)
		CU_ASSERT_EQUAL(append_now(all[i].log, all[i].text, NULL), 0);
	CU_ASSERT_EQUAL(store_append(store, "other", "s/a", "\"lobster\"", 9,
	    NULL, NULL, NULL), 0);
	CU_ASSERT_EQUAL(find_now("s/", "lobsteR", 0), 0);
	CU_ASSERT_EQUAL_FATAL(rows.n, 3);
	CU_ASSERT_STRING_EQUAL(rows.texts[0], "\"LOBSTER again\"");
	CU_ASSERT_STRING_EQUAL(rows.logs[0], "s/b");
	CU_ASSERT_EQUAL(rows.seqs[0], 2);
	CU_ASSERT_STRING_EQUAL(rows.texts[2], "\"The Lobster\"");
	CU_ASSERT_STRING_EQUAL(rows.logs[2], "s/a");
	for (i = 1; i <= 4; i++) {
		CU_ASSERT_EQUAL(find_now("s/", "lobster", i), 0);
		CU_ASSERT_EQUAL(rows.n, MIN_OF(i, 3));
	}
	CU_ASSERT_EQUAL(find_now("", "lobster", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 4);
	/* One log has a way of its own. */
	CU_ASSERT_EQUAL(find_now("s/b", "lobster", 0), 0);
	CU_ASSERT_EQUAL_FATAL(rows.n, 2);
	CU_ASSERT_EQUAL(rows.seqs[0], 2);
	CU_ASSERT_STRING_EQUAL(rows.logs[1], "s/b");
	CU_ASSERT_EQUAL(find_now("s/b", "lobster", 1), 0);
	CU_ASSERT_EQUAL(rows.n, 1);
	CU_ASSERT_EQUAL(find_now("none", "lobster", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	/* ASCII alone is folded. */
	CU_ASSERT_EQUAL(find_now("", "k\xc3\x84" "fer", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 1);
	CU_ASSERT_EQUAL(find_now("", "k\xc3\xa4" "fer", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 0);
	CU_ASSERT_EQUAL(find_now("", "", 0), -EINVAL);
	rows_fini(&rows);
	help_end();
}

/* AB-116 */
static void
a_long_search_lets_reads_pass(void)
{
	struct rows	 found = { 0 };
	size_t		 i;
	char		 text[32];

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(append_now("a", "\"needle\"", NULL), 0);
	CU_ASSERT_EQUAL(append_now("b", "1", NULL), 0);
	for (i = 0; i < 6000; i++) {
		(void)snprintf(text, sizeof text, "\"%zu\"", i);
		CU_ASSERT_EQUAL(store_append(store, NS, i % 2 ? "a" : "c",
		    text, strlen(text), NULL, on_done, NULL), 0);
	}
	CU_ASSERT_TRUE(help_wait(6000));
	CU_ASSERT_EQUAL(store_find(store, NS, "", "needle", 0, on_found,
	    &found), 0);
	CU_ASSERT_EQUAL(read_now("b", 0, 0, 0, 0), 0);
	CU_ASSERT_TRUE(rows_are(1, 1));
	if (found.n_calls == 0)
		CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL_FATAL(found.n, 1);
	CU_ASSERT_EQUAL(found.seqs[0], 1);
	rows_fini(&found);
	/* And along one log's index, in steps, too. */
	CU_ASSERT_EQUAL(find_now("a", "needle", 0), 0);
	CU_ASSERT_EQUAL(rows.n, 1);
	rows_fini(&rows);
	help_end();
}

static void
contains_agrees_with_a_naive_search(void)
{
	static const char *const needles[] = { "a", "A", "ab", "aab", "abc",
	    "cab", "zz", "@", "`", "[", "{", "aaaaaaaaaaaaaa" };
	static const char *const texts[] = { "", "a", "AaB", "xxabCyy", "cAb",
	    "aaab", "@[`{", "Zz", "zaz", "aaaaaaaaaaaaa" };
	size_t	 i, j;

	for (i = 0; i < ARRAY_LEN(needles); i++) {
		for (j = 0; j < ARRAY_LEN(texts); j++)
			CU_ASSERT_EQUAL(text_contains(texts[j],
			    strlen(texts[j]), needles[i], strlen(needles[i])),
			    strcasestr(texts[j], needles[i]) != NULL);
	}
}

static uint64_t	 last_us, longest_us;
static bool	 is_watching;

/* Goes round the loop without a pause and measures how long a round is. */
static void
on_round(void *arg)
{
	uint64_t	 now = clock_now_us();

	if (last_us != 0 && now - last_us > longest_us)
		longest_us = now - last_us;
	last_us = now;
	if (is_watching)
		(void)loop_post(loop, on_round, arg);
}

static void
on_many(void *arg, int r, const struct store_row *all, size_t n)
{
	size_t	*total = arg;
	size_t	 i;

	CU_ASSERT_EQUAL(r, 0);
	for (i = 0; i < n; i++)
		*total += all[i].seq == i + 1 ? 1 : 0;
	is_watching = false;
	loop_stop(loop);
}

/* AB-116 */
static void
ten_thousand_rows_do_not_hold_the_loop(void)
{
	char	 text[301];
	size_t	 i, total = 0;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	memset(text, 'x', 300);
	text[300] = '\0';
	for (i = 0; i < 10000; i++) {
		CU_ASSERT_EQUAL(store_append(store, NS, "l", text, 300, NULL,
		    on_done, NULL), 0);
		if (i % 5000 == 4999)
			CU_ASSERT_TRUE(help_wait(5000));
	}
	last_us = longest_us = 0;
	is_watching = true;
	on_round(NULL);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 10000, 0, 0, on_many,
	    &total), 0);
	loop_run(loop);
	CU_ASSERT_EQUAL(total, 10000);
	(void)printf("(longest turn %.2f ms) ", (double)longest_us / 1000);
	CU_ASSERT_TRUE(longest_us < SEC_US(1));
	help_end();
}

static size_t	 n_slow;

static void
on_slow(void *arg, int r, uint64_t rev)
{
	uint64_t	 until = clock_now_us() + 20;

	(void)rev;
	CU_ASSERT_EQUAL(r, 0);
	while (clock_now_us() < until)
		;
	if (++n_slow == *(size_t *)arg) {
		is_watching = false;
		loop_stop(loop);
	}
}

static void
a_thousand_answers_do_not_hold_the_loop(void)
{
	size_t	 i, n = 1000;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	n_slow = 0;
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL,
		    on_slow, &n), 0);
	last_us = longest_us = 0;
	is_watching = true;
	on_round(NULL);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_slow, n);
	(void)printf("(longest turn %.2f ms) ", (double)longest_us / 1000);
	/* All at once would be 20 ms of answers alone. */
	CU_ASSERT_TRUE(longest_us < SEC_US(1));
	help_end();
}

static const struct cu_case cases[] = {
	CU_CASE(rows_get_numbers_in_the_order_of_the_calls),
	CU_CASE(a_read_sees_every_append_before_it),
	CU_CASE(a_read_gives_the_window_that_was_asked_for),
	CU_CASE(a_read_stops_at_its_limits),
	CU_CASE(reads_and_logs_have_ceilings),
	CU_CASE(trimmed_rows_are_gone_at_once_and_for_good),
	CU_CASE(a_dropped_log_begins_anew),
	CU_CASE(find_gives_the_newest_first_over_all_logs),
	CU_CASE(a_long_search_lets_reads_pass),
	CU_CASE(contains_agrees_with_a_naive_search),
	CU_CASE(ten_thousand_rows_do_not_hold_the_loop),
	CU_CASE(a_thousand_answers_do_not_hold_the_loop),
	CU_END
};

CU_MAIN("store logs", cases)
