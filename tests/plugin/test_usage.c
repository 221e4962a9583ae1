/* SPDX-License-Identifier: MIT */
/* Plugin usage: every day is there, and the sums are right. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <chela/services/sessions.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define WALL	UINT64_C(1767268800000)	/* 2026-01-01, noon UTC */

static const struct chela_sessions_1	*svc;

static struct fake *
begin(void)
{
	struct fake *f = fake_new();

	(void)setenv("TZ", "UTC", 1);
	tzset();
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fake_clock(f, WALL);
	CU_ASSERT_EQUAL(fake_conf(f, "{\"agents\":{\"list\":[{\"id\":\"main\"},"
	    "{\"id\":\"ops\"}]}}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "usage"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_SESSIONS_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc);
	return (f);
}

static void
add(struct fake *f, const char *key, int tokens, const char *cost)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = key,
	};
	char json[512];

	(void)snprintf(json, sizeof json, "{\"role\":\"assistant\",\"content\":"
	    "[],\"provider\":\"p\",\"model\":\"m\",\"usage\":{\"input\":%d,"
	    "\"output\":0,\"totalTokens\":%d%s}}", tokens, tokens, cost);
	in.row = json_tokener_parse(json);
	(void)svc->ensure(key, NULL, "run");
	CU_ASSERT_EQUAL(svc->append(&in, NULL, NULL), 0);
	fake_settle(f);
}

static void
every_day_is_there(void)
{
	struct fake		*f = begin();
	struct json_object	*r = fake_call(f, NULL, "usage.cost", "{}");

	CU_ASSERT_EQUAL(fake_int(r, "result.days"), 30);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.daily")), 30);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.daily.29.date"),
	    "2026-01-01");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.daily.0.date"),
	    "2025-12-03");
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.totalTokens"), 0);
	json_object_put(r);
	fake_free(f);
}

static void
days_is_read_kindly(void)
{
	static const struct {
		const char	*params;
		int		 days;
	} t[] = {
		{ "{\"days\":\"abc\"}", 30 },
		{ "{\"days\":\"7\"}", 7 },
		{ "{\"days\":2.9}", 2 },
		{ "{\"days\":0}", 1 },
		{ "{\"days\":-5}", 1 },
		{ "{\"days\":1e9}", 3660 },
		{ "{\"days\":true}", 30 },
		{ "{\"startDate\":\"2025-12-31\"}", 2 },
		{ "{\"startDate\":\"2025-01-01\",\"endDate\":\"2025-01-31\"}",
		    31 },
		{ "{\"anything\":1}", 30 },
	};
	struct fake		*f = begin();
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		r = fake_call(f, NULL, "usage.cost", t[i].params);
		CU_ASSERT_EQUAL(fake_int(r, "result.days"), t[i].days);
		json_object_put(r);
	}
	r = fake_call(f, NULL, "usage.cost", "{\"startDate\":\"2026-01-02\","
	    "\"endDate\":\"2026-01-01\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	fake_free(f);
}

static void
rows_are_summed_by_day_and_agent(void)
{
	struct fake		*f = begin();
	struct json_object	*r;

	add(f, "main", 10, ",\"cost\":{\"input\":0.5,\"total\":0.5}");
	fake_advance(f, UINT64_C(86400000000));
	add(f, "main", 20, "");
	add(f, "agent:ops:main", 40, "");
	add(f, "main", 0, "");
	r = fake_call(f, NULL, "usage.cost", "{\"days\":2}");
	CU_ASSERT_EQUAL(fake_int(r, "result.daily.0.totalTokens"), 10);
	CU_ASSERT_EQUAL(fake_int(r, "result.daily.1.totalTokens"), 20);
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.totalTokens"), 30);
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.missingCostEntries"), 1);
	CU_ASSERT_EQUAL(json_object_get_double(fake_get(r,
	    "result.totals.totalCost")), 0.5);
	json_object_put(r);
	r = fake_call(f, NULL, "usage.cost", "{\"agentScope\":\"all\"}");
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.totalTokens"), 70);
	json_object_put(r);
	r = fake_call(f, NULL, "usage.cost", "{\"agentId\":\"ops\"}");
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.totalTokens"), 40);
	json_object_put(r);
	r = fake_call(f, NULL, "usage.cost", "{\"agentId\":\"nobody\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "unknown agent id \"nobody\"");
	json_object_put(r);
	fake_free(f);
}

static void
no_vendor_is_asked(void)
{
	struct fake		*f = begin();
	struct json_object	*r = fake_call(f, NULL, "usage.status", "{}");

	CU_ASSERT(fake_ok(r));
	CU_ASSERT(json_object_is_type(fake_get(r, "result.providers"),
	    json_type_array));
	json_object_put(r);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(every_day_is_there),
	CU_CASE(days_is_read_kindly),
	CU_CASE(rows_are_summed_by_day_and_agent),
	CU_CASE(no_vendor_is_asked),
	CU_END
};

CU_MAIN("usage", cases)
