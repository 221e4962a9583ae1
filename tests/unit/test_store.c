/* SPDX-License-Identifier: MIT */
/*
 * Tables of the store: values, revisions, order, ceilings, life over restarts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cu.h"
#include "tests/unit/store_help.h"

static char *
text_of(size_t len)
{
	char	*p = malloc(len + 1);

	memset(p, 'x', len);
	p[len] = '\0';
	return (p);
}

static void
get_after_put_sees_the_new_value_at_once(void)
{
	struct answer	 a = { 0 };
	uint64_t	 rev;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_TRUE(key_is("k", NULL));
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "{\"a\":1}", 7,
	    STORE_NEW_REV, on_done, &a), 0);
	CU_ASSERT_EQUAL(a.n, 0);
	CU_ASSERT_TRUE(key_is("k", "{\"a\":1}"));
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_EQUAL(a.r, 0);
	CU_ASSERT_EQUAL(store_get(store, NS, "k", NULL, NULL, &rev), 0);
	CU_ASSERT_EQUAL(a.rev, rev);
	CU_ASSERT_EQUAL(store_get(store, "other", "k", NULL, NULL, NULL),
	    -ENOENT);
	help_end();
}

static void
a_stale_revision_changes_nothing(void)
{
	struct answer	 a = { 0 }, b = { 0 };
	uint64_t	 rev, rev2, rev3, got;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", 7, &got), -ESTALE);
	CU_ASSERT_EQUAL(got, 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, &rev), 0);
	CU_ASSERT_EQUAL(put_now("k", "2", STORE_NEW_REV, &got), -ESTALE);
	CU_ASSERT_EQUAL(got, rev);
	CU_ASSERT_TRUE(key_is("k", "1"));
	CU_ASSERT_EQUAL(put_now("k", "2", rev, &rev2), 0);
	CU_ASSERT_TRUE(rev2 > rev);
	CU_ASSERT_EQUAL(put_now("k", "3", rev, NULL), -ESTALE);
	CU_ASSERT_EQUAL(put_now("k", "3", STORE_ANY_REV, &rev3), 0);
	CU_ASSERT_EQUAL(del_now("k", rev2, NULL), -ESTALE);
	CU_ASSERT_TRUE(key_is("k", "3"));

	/* Two writers with the same revision: exactly one wins. */
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "4", 1, rev3, on_done, &a),
	    0);
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "5", 1, rev3, on_done, &b),
	    0);
	CU_ASSERT_TRUE(help_wait(2));
	CU_ASSERT_EQUAL(a.r, 0);
	CU_ASSERT_EQUAL(b.r, -ESTALE);
	CU_ASSERT_EQUAL(b.rev, a.rev);
	CU_ASSERT_TRUE(key_is("k", "4"));
	help_end();
}

static void
a_deleted_key_never_gets_an_old_revision_again(void)
{
	uint64_t	 rev, del, rev2;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, &rev), 0);
	CU_ASSERT_EQUAL(del_now("k", STORE_ANY_REV, &del), 0);
	CU_ASSERT_TRUE(del > rev);
	CU_ASSERT_TRUE(key_is("k", NULL));
	CU_ASSERT_EQUAL(del_now("k", STORE_ANY_REV, NULL), -ENOENT);
	CU_ASSERT_EQUAL(del_now("k", rev, NULL), -ESTALE);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_TRUE(key_is("k", NULL));
	CU_ASSERT_EQUAL(put_now("k", "2", STORE_NEW_REV, &rev2), 0);
	CU_ASSERT_TRUE(rev2 > del);
	help_end();
}

/* AB-110 */
static void
what_was_acknowledged_is_there_after_a_restart(void)
{
	char		 key[32], text[64];
	uint64_t	 revs[300], rev;
	struct store_stats st;
	int		 i;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof key, "key/%03d", i);
		(void)snprintf(text, sizeof text,
		    "{\"n\":%d,\"s\":\"\xc3\xa4\"}", i);
		CU_ASSERT_EQUAL(store_put(store, NS, key, text, strlen(text),
		    STORE_NEW_REV, on_done, NULL), 0);
	}
	CU_ASSERT_TRUE(help_wait(300));
	for (i = 0; i < 300; i += 3) {
		(void)snprintf(key, sizeof key, "key/%03d", i);
		CU_ASSERT_EQUAL(store_del(store, NS, key, STORE_ANY_REV,
		    on_done, NULL), 0);
	}
	CU_ASSERT_TRUE(help_wait(100));
	for (i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof key, "key/%03d", i);
		revs[i] = 0;
		(void)store_get(store, NS, key, NULL, NULL, &revs[i]);
	}
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof key, "key/%03d", i);
		(void)snprintf(text, sizeof text,
		    "{\"n\":%d,\"s\":\"\xc3\xa4\"}", i);
		CU_ASSERT_TRUE(key_is(key, i % 3 == 0 ? NULL : text));
		rev = 0;
		(void)store_get(store, NS, key, NULL, NULL, &rev);
		CU_ASSERT_EQUAL(rev, revs[i]);
	}
	store_stats(store, &st);
	CU_ASSERT_EQUAL(st.keys, 200);
	CU_ASSERT_EQUAL(st.generation, 2);
	help_end();
}

static void
close_commits_what_waits_and_says_so(void)
{
	struct answer	 a = { 0 }, b = { 0 }, c = { 0 };
	struct rows	 rows = { 0 };

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "1", 1, STORE_ANY_REV,
	    on_done, &a), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "2", 1, NULL, on_done,
	    &b), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "9", 1, STORE_NEW_REV,
	    on_done, &c), 0);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &rows), 0);
	help_close();
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_EQUAL(a.r, 0);
	CU_ASSERT_EQUAL(b.n, 1);
	CU_ASSERT_EQUAL(b.r, 0);
	CU_ASSERT_EQUAL(b.rev, 1);
	CU_ASSERT_EQUAL(c.n, 1);
	CU_ASSERT_EQUAL(c.r, -ESTALE);
	CU_ASSERT_EQUAL(rows.n_calls, 1);
	CU_ASSERT_TRUE(rows.r == -ECANCELED || (rows.r == 0 && rows.n == 1));
	rows_fini(&rows);
	/* What the threads had posted finds nobody. */
	loop_poke(loop);
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_TRUE(key_is("k", "1"));
	help_end();
}

struct visit {
	char	 keys[64][16];
	int	 n;
	int	 stop_at;
	bool	 is_writing;
};

static int
on_key(void *arg, const char *key, const char *text, size_t len, uint64_t rev)
{
	struct visit	*v = arg;
	char		 copy[16];

	CU_ASSERT_EQUAL(strlen(text), len);
	CU_ASSERT_TRUE(rev > 0);
	(void)snprintf(v->keys[v->n++], sizeof v->keys[0], "%s", key);
	(void)snprintf(copy, sizeof copy, "%s", key);
	if (v->is_writing) {
		/*
		 * Deletes itself and the next, adds one before and one behind.
		 */
		CU_ASSERT_EQUAL(store_del(store, NS, key, STORE_ANY_REV, NULL,
		    NULL), 0);
		CU_ASSERT_EQUAL(strcmp(key, copy), 0);
		if (strcmp(copy, "p/b") == 0) {
			CU_ASSERT_EQUAL(store_del(store, NS, "p/c",
			    STORE_ANY_REV, NULL, NULL), 0);
			CU_ASSERT_EQUAL(store_put(store, NS, "p/a", "1", 1,
			    STORE_ANY_REV, NULL, NULL), 0);
			CU_ASSERT_EQUAL(store_put(store, NS, "p/e", "1", 1,
			    STORE_ANY_REV, NULL, NULL), 0);
		}
	}
	return (v->n == v->stop_at ? 42 : 0);
}

static void
each_goes_in_order_and_survives_writes(void)
{
	static const char *const keys[] = { "p/d", "q", "p/b", "p", "p/a",
	    "p/c", "p0", "a", "p/\xc3\xa4" };
	struct visit	 v = { 0 };
	size_t		 i;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < ARRAY_LEN(keys); i++)
		CU_ASSERT_EQUAL(put_now(keys[i], "1", STORE_NEW_REV, NULL), 0);
	CU_ASSERT_EQUAL(store_each(store, NS, "p/", on_key, &v), 0);
	CU_ASSERT_EQUAL(v.n, 5);
	CU_ASSERT_STRING_EQUAL(v.keys[0], "p/a");
	CU_ASSERT_STRING_EQUAL(v.keys[3], "p/d");
	CU_ASSERT_STRING_EQUAL(v.keys[4], "p/\xc3\xa4");
	v = (struct visit){ 0 };
	CU_ASSERT_EQUAL(store_each(store, NS, "", on_key, &v), 0);
	CU_ASSERT_EQUAL(v.n, 9);
	CU_ASSERT_STRING_EQUAL(v.keys[0], "a");
	CU_ASSERT_STRING_EQUAL(v.keys[8], "q");
	v = (struct visit){ .stop_at = 2 };
	CU_ASSERT_EQUAL(store_each(store, NS, "p", on_key, &v), 42);
	CU_ASSERT_EQUAL(v.n, 2);
	v = (struct visit){ .is_writing = true };
	CU_ASSERT_EQUAL(store_each(store, NS, "p/", on_key, &v), 0);
	/* a, b (removes c, adds e), d, e, ä; the a that came back is behind. */
	CU_ASSERT_EQUAL(v.n, 5);
	CU_ASSERT_STRING_EQUAL(v.keys[2], "p/d");
	CU_ASSERT_STRING_EQUAL(v.keys[3], "p/e");
	CU_ASSERT_EQUAL(put_now("z", "1", STORE_ANY_REV, NULL), 0);
	v = (struct visit){ 0 };
	CU_ASSERT_EQUAL(store_each(store, NS, "p/", on_key, &v), 0);
	CU_ASSERT_EQUAL(v.n, 1);
	CU_ASSERT_STRING_EQUAL(v.keys[0], "p/a");
	CU_ASSERT_EQUAL(store_each(store, "nobody", "", on_key, &v), 0);
	help_end();
}

static void
names_and_texts_have_limits(void)
{
	struct store_limits	 lim = { .value_max = 100, .row_max = 50 };
	char			*t;
	size_t			 i;

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	for (i = 99; i <= 101; i++) {
		t = text_of(i);
		CU_ASSERT_EQUAL(put_now("k", t, STORE_ANY_REV, NULL),
		    i <= 100 ? 0 : -EMSGSIZE);
		free(t);
	}
	for (i = 49; i <= 51; i++) {
		t = text_of(i);
		CU_ASSERT_EQUAL(append_now("l", t, NULL),
		    i <= 50 ? 0 : -EMSGSIZE);
		free(t);
	}
	for (i = STORE_KEY_MAX - 1; i <= STORE_KEY_MAX + 1; i++) {
		t = text_of(i);
		CU_ASSERT_EQUAL(put_now(t, "1", STORE_ANY_REV, NULL),
		    i <= STORE_KEY_MAX ? 0 : -EINVAL);
		free(t);
	}
	for (i = STORE_LOG_MAX - 1; i <= STORE_LOG_MAX + 1; i++) {
		t = text_of(i);
		CU_ASSERT_EQUAL(append_now(t, "1", NULL),
		    i <= STORE_LOG_MAX ? 0 : -EINVAL);
		free(t);
	}
	for (i = STORE_NS_MAX - 1; i <= STORE_NS_MAX + 1; i++) {
		t = text_of(i);
		CU_ASSERT_EQUAL(store_put(store, t, "k", "1", 1,
		    STORE_ANY_REV, NULL, NULL),
		    i <= STORE_NS_MAX ? 0 : -EINVAL);
		free(t);
	}
	CU_ASSERT_EQUAL(put_now("", "1", STORE_ANY_REV, NULL), -EINVAL);
	CU_ASSERT_EQUAL(put_now("\xff", "1", STORE_ANY_REV, NULL), -EINVAL);
	CU_ASSERT_EQUAL(put_now("k", "\xed\xa0\x80", STORE_ANY_REV, NULL),
	    -EINVAL);
	CU_ASSERT_EQUAL(append_now("l", "\xc0\x80", NULL), -EINVAL);
	CU_ASSERT_EQUAL(append_now("", "1", NULL), -EINVAL);
	CU_ASSERT_EQUAL(store_put(store, "", "k", "1", 1, STORE_ANY_REV, NULL,
	    NULL), -EINVAL);
	help_end();
}

static void
a_namespace_has_a_ceiling(void)
{
	struct store_limits	 lim = {
		.ns_bytes_max = 2 * (STORE_ENTRY_COST + 1 + 100),
	};
	char			*t = text_of(101);

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	CU_ASSERT_EQUAL(put_now("a", t + 1, STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(put_now("b", t, STORE_ANY_REV, NULL), -EDQUOT);
	CU_ASSERT_TRUE(key_is("b", NULL));
	CU_ASSERT_EQUAL(put_now("b", t + 2, STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(put_now("b", t + 1, STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(put_now("b", t, STORE_ANY_REV, NULL), -EDQUOT);
	CU_ASSERT_TRUE(key_is("b", t + 1));
	/* The neighbour has room, and room comes back. */
	CU_ASSERT_EQUAL(store_put(store, "other", "k", t, 100, STORE_ANY_REV,
	    NULL, NULL), 0);
	CU_ASSERT_EQUAL(del_now("a", STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(put_now("b", t, STORE_ANY_REV, NULL), 0);

	/* Opened with a smaller one: reads work, only growing does not. */
	help_close();
	lim.ns_bytes_max = 100;
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	CU_ASSERT_TRUE(key_is("b", t));
	CU_ASSERT_EQUAL(put_now("c", "1", STORE_ANY_REV, NULL), -EDQUOT);
	CU_ASSERT_EQUAL(put_now("b", t + 1, STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(del_now("b", STORE_ANY_REV, NULL), 0);
	free(t);
	help_end();
}

static void
the_store_has_a_ceiling(void)
{
	struct store_limits	 lim = {
		.bytes_max = 2 * (STORE_ENTRY_COST + 1 + 10),
	};
	struct store_stats	 st;

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	CU_ASSERT_EQUAL(put_now("a", "1234567890", STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(store_put(store, "other", "a", "12345678901", 11,
	    STORE_ANY_REV, NULL, NULL), -EDQUOT);
	CU_ASSERT_EQUAL(store_put(store, "other", "a", "123456789", 9,
	    STORE_ANY_REV, NULL, NULL), 0);
	CU_ASSERT_EQUAL(store_put(store, "other", "a", "1234567890", 10,
	    STORE_ANY_REV, on_done, NULL), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(put_now("b", "", STORE_ANY_REV, NULL), -EDQUOT);
	store_stats(store, &st);
	CU_ASSERT_EQUAL(st.bytes, lim.bytes_max);
	CU_ASSERT_EQUAL(st.keys, 2);
	CU_ASSERT_EQUAL(del_now("a", STORE_ANY_REV, NULL), 0);
	store_stats(store, &st);
	CU_ASSERT_EQUAL(st.bytes, lim.bytes_max / 2);
	help_end();
}

static void
the_queue_has_limits(void)
{
	struct store_limits	 lim = { .queue_max = 3,
	    .queue_bytes_max = 1000 };
	struct store_stats	 st;
	char			*t = text_of(998);

	help_begin();
	CU_ASSERT_EQUAL(help_open(&lim), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "a", "1", 1, STORE_ANY_REV,
	    on_done, NULL), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL, on_done,
	    NULL), 0);
	/* An answer that needs no commit has its place, too. */
	CU_ASSERT_EQUAL(store_put(store, NS, "a", "1", 1, STORE_NEW_REV,
	    on_done, NULL), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "b", "1", 1, STORE_ANY_REV,
	    on_done, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(store_put(store, NS, "a", "1", 1, STORE_NEW_REV,
	    on_done, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL, on_done,
	    NULL), -EAGAIN);
	CU_ASSERT_EQUAL(store_del(store, NS, "a", STORE_ANY_REV, NULL, NULL),
	    -EAGAIN);
	CU_ASSERT_TRUE(key_is("b", NULL));
	CU_ASSERT_TRUE(help_wait(3));
	store_stats(store, &st);
	CU_ASSERT_EQUAL(st.queue, 0);
	CU_ASSERT_EQUAL(st.queue_bytes, 0);
	CU_ASSERT_EQUAL(put_now("a", t, STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "aa", t, 998, STORE_ANY_REV,
	    on_done, NULL), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL, on_done,
	    NULL), -EAGAIN);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(put_now("aaa", t, STORE_ANY_REV, NULL), -EAGAIN);
	free(t);
	help_end();
}

static void
answers_come_in_the_order_of_the_calls(void)
{
	struct answer	*a = calloc(1000, sizeof *a);
	char		 key[16];
	size_t		 i, wrong = 0;
	uint64_t	 base;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof key, "%zu", i * 7919 % 1000);
		if (i % 3 == 2)
			CU_ASSERT_EQUAL(store_append(store, NS, "log", key,
			    strlen(key), NULL, on_done, &a[i]), 0)
		else
			CU_ASSERT_EQUAL(store_put(store, NS, key, key,
			    strlen(key), STORE_NEW_REV, on_done, &a[i]), 0);
	}
	CU_ASSERT_TRUE(help_wait(1000));
	base = a[0].order;
	for (i = 0; i < 1000; i++)
		wrong += a[i].n != 1 || a[i].r != 0 || a[i].order != base + i;
	CU_ASSERT_EQUAL(wrong, 0);
	free(a);
	help_end();
}

static void
many_keys_agree_with_a_plain_array(void)
{
	enum { N = 500, STEPS = 20000 };
	char		**model = calloc(N, sizeof *model);
	char		 key[16], text[40];
	unsigned	 seed = 12345;
	size_t		 i, k, wrong = 0, due = 0;

	help_begin();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (i = 0; i < STEPS; i++) {
		seed = seed * 1103515245u + 12345u;
		k = seed >> 16 & 0x7fff;
		k %= N;
		(void)snprintf(key, sizeof key, "%zu", k);
		(void)snprintf(text, sizeof text, "\"%zu\"", i);
		if ((seed >> 8 & 3) == 0) {
			if (store_del(store, NS, key, STORE_ANY_REV, on_done,
			    NULL) < 0)
				wrong++;
			free(model[k]);
			model[k] = NULL;
		} else {
			if (store_put(store, NS, key, text, strlen(text),
			    STORE_ANY_REV, on_done, NULL) < 0)
				wrong++;
			free(model[k]);
			model[k] = strdup(text);
		}
		if (++due == 2000) {
			CU_ASSERT_TRUE(help_wait(due));
			due = 0;
		}
		wrong += !key_is(key, model[k]);
	}
	CU_ASSERT_TRUE(help_wait(due));
	CU_ASSERT_EQUAL(wrong, 0);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	for (k = 0; k < N; k++) {
		(void)snprintf(key, sizeof key, "%zu", k);
		wrong += !key_is(key, model[k]);
		free(model[k]);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	free(model);
	help_end();
}

static const struct cu_case cases[] = {
	CU_CASE(get_after_put_sees_the_new_value_at_once),
	CU_CASE(a_stale_revision_changes_nothing),
	CU_CASE(a_deleted_key_never_gets_an_old_revision_again),
	CU_CASE(what_was_acknowledged_is_there_after_a_restart),
	CU_CASE(close_commits_what_waits_and_says_so),
	CU_CASE(each_goes_in_order_and_survives_writes),
	CU_CASE(names_and_texts_have_limits),
	CU_CASE(a_namespace_has_a_ceiling),
	CU_CASE(the_store_has_a_ceiling),
	CU_CASE(the_queue_has_limits),
	CU_CASE(answers_come_in_the_order_of_the_calls),
	CU_CASE(many_keys_agree_with_a_plain_array),
	CU_END
};

CU_MAIN("store", cases)
