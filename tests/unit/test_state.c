/* SPDX-License-Identifier: MIT */
/* Presence and budgets: bounded tables with a clock that the test moves. */
#include "core/state/presence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/budget.h"
#include "core/base/clock.h"
#include "core/json/json.h"
#include "tests/unit/cu.h"

static struct json_object *
list(struct presence *p)
{
	struct json_object	*o = NULL;
	const char		*text;
	size_t			 len;

	text = presence_text(p, &len);
	CU_ASSERT(json_parse(text, len, &o) == 0);
	return (o);
}

static int
upsert(struct presence *p, const char *key, const char *json, bool is_sticky)
{
	struct json_object	*o = json_tokener_parse(json);
	int			 r;

	r = presence_upsert(p, key, o, is_sticky);
	json_object_put(o);
	return (r);
}

static void
newest_comes_first(void)
{
	struct presence		*p = presence_new(200, SEC_US(300));
	struct json_object	*l;

	clock_fake(SEC_US(10), 1000);
	CU_ASSERT(upsert(p, "A", "{\"host\":\"a\"}", false) == 0);
	clock_fake(SEC_US(11), 2000);
	CU_ASSERT(upsert(p, "b", "{\"host\":\"b\"}", false) == 0);
	clock_fake(SEC_US(12), 3000);
	CU_ASSERT(upsert(p, "a", "{\"mode\":\"x\"}", false) == 0);
	l = list(p);
	CU_ASSERT(json_object_array_length(l) == 2);
	/* Keys know no case; the two halves are one entry. */
	CU_ASSERT(strcmp(json_get_str(json_object_array_get_idx(l, 0), "host"),
	    "a") == 0);
	CU_ASSERT(strcmp(json_get_str(json_object_array_get_idx(l, 0), "mode"),
	    "x") == 0);
	CU_ASSERT(json_get_int(json_object_array_get_idx(l, 0), "ts", 0) ==
	    3000);
	json_object_put(l);
	(void)presence_free(p);
	clock_fake(0, 0);
}

static void
roles_are_united(void)
{
	struct presence		*p = presence_new(200, SEC_US(300));
	struct json_object	*l, *e;

	(void)upsert(p, "k", "{\"roles\":[\"operator\"],\"scopes\":[\"a\"]}",
	    false);
	(void)upsert(p, "k", "{\"roles\":[\"node\",\"operator\"]}", false);
	l = list(p);
	e = json_object_array_get_idx(l, 0);
	CU_ASSERT(json_object_array_length(json_get_arr(e, "roles")) == 2);
	CU_ASSERT(json_object_array_length(json_get_arr(e, "scopes")) == 1);
	json_object_put(l);
	(void)presence_free(p);
}

static void
entries_age_and_the_table_is_full_at_its_limit(void)
{
	struct presence	*p = presence_new(3, SEC_US(300));

	clock_fake(SEC_US(1), 1);
	(void)upsert(p, "self", "{}", true);
	(void)upsert(p, "1", "{}", false);
	(void)upsert(p, "2", "{}", false);
	CU_ASSERT(presence_len(p) == 3);
	(void)upsert(p, "3", "{}", false);	/* "1" leaves, "self" stays */
	CU_ASSERT(presence_len(p) == 3);
	clock_fake(SEC_US(301), 1);		/* exactly at the age */
	json_object_put(list(p));
	CU_ASSERT(presence_len(p) == 1);
	(void)presence_free(p);
	clock_fake(0, 0);
}

static void
a_budget_counts_in_a_window(void)
{
	struct budget	*b = budget_new(3, SEC_US(60), 2);
	uint64_t	 wait = 0;

	clock_fake(SEC_US(100), 1);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == 0);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == 0);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == 0);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == -EDQUOT);
	CU_ASSERT(wait == SEC_US(60));
	clock_fake(SEC_US(159), 1);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == -EDQUOT);
	CU_ASSERT(wait == SEC_US(1));
	clock_fake(SEC_US(160), 1);
	CU_ASSERT(budget_take(b, "a", 1, &wait) == 0);
	/* AB-044: a full table refuses new keys, it forgets no old one. */
	CU_ASSERT(budget_take(b, "b", 1, &wait) == 0);
	CU_ASSERT(budget_take(b, "c", 1, &wait) == -EDQUOT);
	CU_ASSERT(budget_take(b, "b", 1, &wait) == 0);
	(void)budget_free(b);
	clock_fake(0, 0);
}

static const struct cu_case cases[] = {
	CU_CASE(newest_comes_first),
	CU_CASE(roles_are_united),
	CU_CASE(entries_age_and_the_table_is_full_at_its_limit),
	CU_CASE(a_budget_counts_in_a_window),
	CU_END
};
CU_MAIN("state", cases)
