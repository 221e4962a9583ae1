/* SPDX-License-Identifier: MIT */
/* Plugin question: asked, waited for, answered once. */
#include <stdlib.h>
#include <string.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define NOW_MS	UINT64_C(1795342844905)
#define N_OF(a)	(sizeof(a) / sizeof((a)[0]))
#define Q1	"{\"questionId\":\"q1\",\"header\":\"Pick\",\"question\":" \
	"\"Which?\",\"options\":[{\"label\":\"Red\"},{\"label\":\"Blue \"}]}"
#define Q2	"{\"questionId\":\"q2\",\"header\":\"Say\",\"question\":" \
	"\"What?\",\"options\":[]}"
#define Q3	"{\"questionId\":\"q3\",\"header\":\"Many\",\"question\":" \
	"\"Which?\",\"multiSelect\":true,\"isOther\":true,\"options\":" \
	"[{\"label\":\"A\"},{\"label\":\"B\"}]}"

static struct fake		*f;
static struct chela_conn	*c, *other;

static void
setup(void)
{
	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "question"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	c = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "questions",
	    .display_name = "Ann" });
	other = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "admin" });
}

static void
teardown(void)
{
	fake_free(f);
	f = NULL;
}

static void
ok(const char *method, const char *params)
{
	struct json_object	*r = fake_call(f, c, method, params);

	CU_ASSERT_TRUE(fake_ok(r));
	if (!fake_ok(r))
		(void)fprintf(stderr, "\n%s: %s\n", method, fake_message(r));
	json_object_put(r);
}

static void
refused(const char *method, const char *params, const char *reason)
{
	struct json_object	*r = fake_call(f, c, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"), reason);
	json_object_put(r);
}

static void
asked_and_answered(void)
{
	struct json_object	*r;
	struct fake_req		*w1, *w2;

	setup();
	r = fake_call(f, c, "question.request", "{\"id\":\"fixed\",\"agentId\":"
	    "\"main\",\"timeoutMs\":400,\"questions\":[" Q1 "," Q2 "," Q3 "]}");
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.id"), "fixed");
	CU_ASSERT_EQUAL(fake_int(r, "result.expiresAtMs"), NOW_MS + 400);
	json_object_put(r);
	r = fake_wait_event(f, other, "question.requested", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "status"), "pending");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "agentId"), "main");
	r = fake_call(f, other, "question.list", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.questions.0.id"), "fixed");
	json_object_put(r);
	w1 = fake_send(f, c, "question.waitAnswer", "{\"id\":\"fixed\"}");
	w2 = fake_send(f, other, "question.waitAnswer",
	    "{\"id\":\"fixed\",\"timeoutMs\":10}");
	fake_advance(f, 10000);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(w2), "result.status"),
	    "pending");
	fake_req_free(w2);
	CU_ASSERT_PTR_NULL(fake_reply_now(w1));
	r = fake_call(f, other, "question.resolve", "{\"id\":\"fixed\","
	    "\"answers\":{\"answers\":{\"q1\":[\"  Blue\"],\"q2\":[\" hi \"],"
	    "\"q3\":[\"A\",\"else\"]}}}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "answered");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.answers.answers.q1.0"),
	    "Blue ");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.answers.answers.q2.0"),
	    "hi");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.answers.answers.q3.1"),
	    "else");
	json_object_put(r);
	r = fake_reply(w1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.answers.answers.q2.0"),
	    "hi");
	fake_req_free(w1);
	r = fake_wait_event(f, c, "question.resolved", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "id"), "fixed");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "answers.answers.q2.0"), "hi");
	refused("question.resolve", "{\"id\":\"fixed\",\"cancel\":true}",
	    "QUESTION_ALREADY_TERMINAL");
	refused("question.request", "{\"id\":\"fixed\",\"questions\":[" Q2 "]}",
	    "QUESTION_ID_IN_USE");
	/* To be read for a while, then gone. */
	fake_advance(f, 14000000);
	r = fake_call(f, c, "question.get", "{\"id\":\"fixed\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.question.status"),
	    "answered");
	CU_ASSERT_EQUAL(fake_count(f, c, "question.resolved"), 1);
	json_object_put(r);
	fake_advance(f, 1000000);
	refused("question.get", "{\"id\":\"fixed\"}", "QUESTION_NOT_FOUND");
	ok("question.request", "{\"id\":\"fixed\",\"questions\":[" Q2 "]}");
	teardown();
}

static void
bad_answers_change_nothing(void)
{
	static const char *const bad[] = {
		"{}", "{\"q1\":[\"Red\"]}", "{\"q1\":[\"Red\"],\"q3\":[]}",
		"{\"q1\":[\"red\"],\"q3\":[\"A\"]}",
		"{\"q1\":[\"Green\"],\"q3\":[\"A\"]}",
		"{\"q1\":[\"Red\",\"Red\"],\"q3\":[\"A\"]}",
		"{\"q1\":[\" \"],\"q3\":[\"A\"]}",
		"{\"q1\":[\"Red\"],\"q3\":[\"A\",\"\"]}",
		"{\"q1\":[\"Red\"],\"q3\":[\"A\"],\"zz\":[\"x\"]}",
	};
	struct json_object	*r;
	char			 params[512];
	size_t			 i;

	setup();
	ok("question.request", "{\"id\":\"a\",\"questions\":[" Q1 "," Q3 "]}");
	for (i = 0; i < N_OF(bad); i++) {
		(void)snprintf(params, sizeof params,
		    "{\"id\":\"a\",\"answers\":{\"answers\":%s}}", bad[i]);
		refused("question.resolve", params, "QUESTION_INVALID_ANSWER");
	}
	r = fake_call(f, c, "question.resolve", "{\"id\":\"a\",\"answers\":{"
	    "\"answers\":{\"zz\":[\"x\"]}}}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "question 'zz' is not part of this request");
	json_object_put(r);
	CU_ASSERT_EQUAL(fake_count(f, c, "question.resolved"), 0);
	ok("question.resolve", "{\"id\":\"a\",\"answers\":{\"answers\":{"
	    "\"q1\":[\"Red\"],\"q3\":[\"A\"]}}}");
	r = fake_call(f, c, "question.get", "{\"id\":\"a\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.question.resolvedBy"),
	    "Ann");
	json_object_put(r);
	teardown();
}

static void
bad_questions_are_not_asked(void)
{
	static const char *const bad[] = {
		"[" Q1 "," Q1 "]",
		"[{\"questionId\":\"a\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[{\"label\":\"x\"}]}]",
		"[{\"questionId\":\"a\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[{\"label\":\"x\"},{\"label\":\" X\"}]}]",
		"[{\"questionId\":\"a\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[{\"label\":\"x\"},{\"label\":\" \"}]}]",
		"[{\"questionId\":\"a\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[],\"isSecret\":true}]",
		"[{\"questionId\":\"a\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[],\"isSecret\":true,\"secretStore\":{"
		    "\"name\":\"A\",\"kind\":\"secret\"}}]",
		"[]", "[" Q1 "," Q2 "," Q3 "," Q1 "]",
		"[{\"questionId\":\"A\",\"header\":\"h\",\"question\":\"q\","
		    "\"options\":[]}]",
		"[{\"questionId\":\"a\",\"header\":\"thirteen char\","
		    "\"question\":\"q\",\"options\":[]}]",
	};
	char	params[1024];
	size_t	i;

	setup();
	for (i = 0; i < N_OF(bad); i++) {
		(void)snprintf(params, sizeof params, "{\"questions\":%s}",
		    bad[i]);
		refused("question.request", params, "");
	}
	CU_ASSERT_EQUAL(fake_count(f, c, "question.requested"), 0);
	teardown();
}

static void
ends_without_an_answer(void)
{
	struct json_object	*r;
	struct fake_req		*w;

	setup();
	ok("question.request", "{\"id\":\"a\",\"timeoutMs\":1000,"
	    "\"questions\":[" Q2 "]}");
	w = fake_send(f, c, "question.waitAnswer", "{\"id\":\"a\"}");
	fake_advance(f, 999000);
	CU_ASSERT_PTR_NULL(fake_reply_now(w));
	fake_advance(f, 1000);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(w), "result.status"),
	    "expired");
	fake_req_free(w);
	r = fake_wait_event(f, c, "question.resolved", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "status"), "expired");
	refused("question.resolve", "{\"id\":\"a\",\"answers\":{\"answers\":{"
	    "\"q2\":[\"x\"]}}}", "QUESTION_ALREADY_TERMINAL");
	ok("question.request", "{\"id\":\"b\",\"questions\":[" Q2 "]}");
	w = fake_send(f, c, "question.waitAnswer", "{\"id\":\"b\"}");
	ok("question.resolve", "{\"id\":\"b\",\"cancel\":true,"
	    "\"resolvedBy\":\"me\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(w), "result.status"),
	    "cancelled");
	fake_req_free(w);
	/* One who waits and leaves, and one who waits at the end. */
	ok("question.request", "{\"id\":\"c\",\"questions\":[" Q2 "]}");
	w = fake_send(f, other, "question.waitAnswer", "{\"id\":\"c\"}");
	fake_settle(f);
	fake_req_cancel(w);
	fake_req_free(w);
	w = fake_send(f, c, "question.waitAnswer",
	    "{\"id\":\"c\",\"timeoutMs\":999999999999}");
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	r = fake_call(f, NULL, "question.get", "{\"id\":\"c\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "QUESTION_NOT_FOUND");
	json_object_put(r);
	fake_req_free(w);
	teardown();
}

/* AB-118: what somebody does to the wall clock moves no end of anything. */
static void
goes_by_the_time_that_passes(void)
{
	static const uint64_t	 walls[] = { 1000, NOW_MS - 86400000,
	    NOW_MS + 86400000, NOW_MS + UINT64_C(315360000000) };
	struct fake_req		*w, *short_w;
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		setup();
		ok("question.request", "{\"id\":\"a\",\"timeoutMs\":10000,"
		    "\"questions\":[" Q2 "]}");
		w = fake_send(f, c, "question.waitAnswer", "{\"id\":\"a\"}");
		short_w = fake_send(f, c, "question.waitAnswer",
		    "{\"id\":\"a\",\"timeoutMs\":5000}");
		fake_settle(f);
		fake_clock_set(f, walls[i]);
		/* The timer is set anew. */
		ok("question.request", "{\"id\":\"b\",\"questions\":[" Q2
		    "]}");
		fake_advance(f, 4999000);
		CU_ASSERT_PTR_NULL(fake_reply_now(short_w));
		fake_advance(f, 1000);
		CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(short_w),
		    "result.status"), "pending");
		fake_advance(f, 4999000);
		CU_ASSERT_PTR_NULL(fake_reply_now(w));
		/* What clients were told stays what it was. */
		r = fake_call(f, c, "question.get", "{\"id\":\"a\"}");
		CU_ASSERT_EQUAL(fake_int(r, "result.question.expiresAtMs"),
		    NOW_MS + 10000);
		json_object_put(r);
		fake_advance(f, 1000);
		CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(w),
		    "result.status"), "expired");
		/* And can be read for as long as ever. */
		fake_clock_set(f, NOW_MS);
		ok("question.request", "{\"id\":\"d\",\"questions\":[" Q2
		    "]}");
		fake_advance(f, 14999000);
		ok("question.get", "{\"id\":\"a\"}");
		fake_advance(f, 1000);
		refused("question.get", "{\"id\":\"a\"}",
		    "QUESTION_NOT_FOUND");
		fake_req_free(w);
		fake_req_free(short_w);
		teardown();
	}
}

static void
bounded(void)
{
	struct json_object	*r;
	char			*big;
	size_t			 i, n_ok = 0;

	setup();
	for (i = 0; i < 1100; i++) {
		r = fake_call(f, c, "question.request",
		    "{\"questions\":[" Q2 "]}");
		n_ok += fake_ok(r);
		if (!fake_ok(r))
			CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
		json_object_put(r);
	}
	CU_ASSERT_EQUAL(n_ok, 1024);
	fake_advance(f, UINT64_C(900000000));
	fake_advance(f, UINT64_C(15000000));
	r = fake_call(f, c, "question.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.questions")), 0);
	json_object_put(r);
	big = malloc(100000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, 'x', 99999);
	big[99999] = '\0';
	r = fake_callf(f, c, "question.request", "{\"questions\":[{"
	    "\"questionId\":\"a\",\"header\":\"h\",\"question\":\"%s\","
	    "\"options\":[]}]}", big);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	free(big);
	teardown();
}

/* AB-058 */
static void
only_the_scope_lets_in(void)
{
	static const char *const	 methods[] = { "question.request",
	    "question.waitAnswer", "question.resolve", "question.get",
	    "question.list" };
	struct json_object		*r;
	struct chela_conn		*x;
	size_t				 i;

	setup();
	x = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read write approvals pairing" });
	for (i = 0; i < N_OF(methods); i++) {
		r = fake_call(f, x, methods[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
		json_object_put(r);
	}
	ok("question.request", "{\"questions\":[" Q2 "]}");
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_count(f, c, "question.requested"), 1);
	CU_ASSERT_EQUAL(fake_count(f, x, "question.requested"), 0);
	teardown();
}

static const struct cu_case cases[] = {
	CU_CASE(asked_and_answered),
	CU_CASE(bad_answers_change_nothing),
	CU_CASE(bad_questions_are_not_asked),
	CU_CASE(ends_without_an_answer),
	CU_CASE(goes_by_the_time_that_passes),
	CU_CASE(bounded),
	CU_CASE(only_the_scope_lets_in),
	CU_END
};
CU_MAIN("question", cases)
