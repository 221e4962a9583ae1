/* SPDX-License-Identifier: MIT */
/* Plugin approvals: records, routes, races, restarts. */
#include <stdlib.h>
#include <string.h>

#include <chela/services/approvals.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define NOW_MS		UINT64_C(1795343041000)
#define ROUNDS		10000

static struct fake		*f;
static struct chela_conn	*asker, *reviewer;

static void
setup(void)
{
	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "approvals"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	asker = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "gateway-client",
	    .caps = "plugin-approvals" });
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "cli", .caps = "approvals",
	    .display_name = "Ann", .device_id = "d1" });
}

static void
teardown(void)
{
	fake_free(f);
	f = NULL;
}

static struct fake_req *
ask(const char *more, char *ret_id, size_t size)
{
	struct fake_req		*rq;
	struct json_object	*o;
	char			 params[2048];
	size_t			 n = fake_count(f, reviewer,
	    "plugin.approval.requested");

	(void)snprintf(params, sizeof params, "{\"title\":\"Send it\","
	    "\"description\":\"To all of them\"%s%s}", *more != '\0' ? "," : "",
	    more);
	rq = fake_send(f, asker, "plugin.approval.request", params);
	o = fake_wait_event(f, reviewer, "plugin.approval.requested", n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	(void)snprintf(ret_id, size, "%s", fake_str(o, "id"));
	return (rq);
}

static void
answered_once(void)
{
	struct json_object	*r, *list;
	struct fake_req		*rq;
	char			 id[80];

	setup();
	rq = ask("\"twoPhase\":true", id, sizeof id);
	CU_ASSERT_EQUAL(strncmp(id, "plugin:", 7), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(fake_interims(rq)), 1);
	r = json_object_array_get_idx(fake_interims(rq), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "status"), "accepted");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "deliveryRoute"), "approval-client");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "id"), id);
	CU_ASSERT_EQUAL(fake_int(r, "expiresAtMs"), NOW_MS + 120000);
	/* Who asked is not asked. */
	CU_ASSERT_EQUAL(fake_count(f, asker, "plugin.approval.requested"), 0);

	r = fake_call(f, reviewer, "plugin.approval.list", "{}");
	list = fake_get(r, "result");
	CU_ASSERT_TRUE(json_object_is_type(list, json_type_array));
	CU_ASSERT_EQUAL(json_object_array_length(list), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.0.request.title"),
	    "Send it");
	json_object_put(r);
	r = fake_callf(f, reviewer, "approval.get", "{\"id\":\"%s\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.status"),
	    "pending");
	CU_ASSERT_EQUAL(strncmp(fake_str(r, "result.approval.urlPath"),
	    "/approve/plugin%3A", 18), 0);
	json_object_put(r);

	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	r = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.decision"), "allow-once");
	fake_req_free(rq);
	r = fake_wait_event(f, asker, "plugin.approval.resolved", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "decision"), "allow-once");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "resolvedBy"), "Ann");

	/* The same again is fine, another answer is not. */
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"deny\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "APPROVAL_ALREADY_RESOLVED");
	json_object_put(r);
	r = fake_callf(f, reviewer, "approval.resolve",
	    "{\"id\":\"%s\",\"kind\":\"plugin\",\"decision\":\"deny\"}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_FALSE(json_object_get_boolean(fake_get(r, "result.applied")));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.decision"),
	    "allow-once");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.resolver.kind"),
	    "device");
	json_object_put(r);
	r = fake_callf(f, asker, "plugin.approval.waitDecision",
	    "{\"id\":\"%s\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.decision"), "allow-once");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.terminalReason"), "user");
	json_object_put(r);
	teardown();
}

static void
no_route_is_no_decision(void)
{
	struct json_object	*r;
	struct fake_req		*rq;

	setup();
	fake_conn_close(reviewer);
	/* With the scope, but it did not say that it can answer. */
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "gateway-client" });
	/* Says that it can, but may not. */
	(void)fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read write", .caps = "approvals plugin-approvals" });
	rq = fake_send(f, asker, "plugin.approval.request",
	    "{\"title\":\"a\",\"description\":\"b\",\"twoPhase\":true}");
	r = fake_reply(rq);
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.decision"));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.status"));
	CU_ASSERT_EQUAL(json_object_array_length(fake_interims(rq)), 0);
	fake_req_free(rq);
	r = fake_call(f, reviewer, "approval.history", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.status"), "denied");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.reason"),
	    "no-route");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.resolver.id"),
	    "no-approval-route");
	json_object_put(r);
	teardown();
}

/* AB-118: what somebody does to the wall clock moves no end of anything. */
static void
expiry_goes_by_the_time_that_passes(void)
{
	static const uint64_t	 walls[] = { 1000, NOW_MS - 86400000,
	    NOW_MS + 86400000, NOW_MS + UINT64_C(315360000000) };
	struct json_object	*r;
	struct fake_req		*rq, *next;
	char			 id[80], other[80];
	size_t			 i;

	for (i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		setup();
		rq = ask("\"timeoutMs\":5000", id, sizeof id);
		fake_clock_set(f, walls[i]);
		/* The timer is set anew. */
		next = ask("\"timeoutMs\":5000", other, sizeof other);
		fake_advance(f, 4999000);
		fake_settle(f);
		CU_ASSERT_PTR_NULL(fake_reply_now(rq));
		r = fake_callf(f, reviewer, "plugin.approval.resolve",
		    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", other);
		CU_ASSERT_TRUE(fake_ok(r));
		json_object_put(r);
		fake_advance(f, 1000);
		r = fake_reply(rq);
		CU_ASSERT_TRUE(fake_ok(r));
		CU_ASSERT_PTR_NULL(fake_get(r, "result.decision"));
		CU_ASSERT_EQUAL(fake_int(r, "result.expiresAtMs"),
		    NOW_MS + 5000);
		fake_req_free(rq);
		fake_req_free(next);
		r = fake_callf(f, reviewer, "plugin.approval.resolve",
		    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
		CU_ASSERT_STRING_EQUAL(fake_message(r),
		    "unknown or expired approval id");
		json_object_put(r);
		teardown();
	}
}

/* An answer that is being stored when the plugin ends leaves nothing behind. */
static void
stopped_while_an_answer_is_stored(void)
{
	struct fake_req	*rq, *answer;
	char		 id[80], params[160];

	setup();
	rq = ask("", id, sizeof id);
	(void)snprintf(params, sizeof params,
	    "{\"id\":\"%s\",\"decision\":\"deny\"}", id);
	answer = fake_send(f, reviewer, "plugin.approval.resolve", params);
	CU_ASSERT_PTR_NULL(fake_reply_now(answer));
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	fake_req_free(answer);
	fake_req_free(rq);
	teardown();
}

static void
expiry_denies(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			 id[80];

	setup();
	rq = ask("\"timeoutMs\":5000", id, sizeof id);
	fake_advance(f, 4999000);
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	fake_advance(f, 1000);
	r = fake_reply(rq);
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.decision"));
	fake_req_free(rq);
	r = fake_wait_event(f, reviewer, "plugin.approval.resolved", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "decision"), "deny");
	CU_ASSERT_PTR_NULL(fake_get(r, "resolvedBy"));
	/* AB-085: an answer after the timeout. */
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "unknown or expired approval id");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "APPROVAL_NOT_FOUND");
	json_object_put(r);
	r = fake_callf(f, reviewer, "approval.resolve", "{\"id\":\"%s\","
	    "\"kind\":\"plugin\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_FALSE(json_object_get_boolean(fake_get(r, "result.applied")));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.status"),
	    "expired");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.reason"),
	    "timeout");
	json_object_put(r);
	teardown();
}

static void
ids_cannot_be_guessed(void)
{
	static const char *const guesses[] = { "plugin:", "plugin", "x", "*",
	    "00000000-0000-4000-8000-000000000000", "plugin:00000000" };
	struct json_object	*r;
	struct fake_req		*rq, *second;
	char			 id[80], id2[80], part[16];
	size_t			 i;

	setup();
	rq = ask("", id, sizeof id);
	second = ask("", id2, sizeof id2);
	for (i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
		r = fake_callf(f, reviewer, "plugin.approval.resolve",
		    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", guesses[i]);
		CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
		    "APPROVAL_NOT_FOUND");
		json_object_put(r);
		r = fake_callf(f, reviewer, "approval.get",
		    "{\"id\":\"%s\"}", guesses[i]);
		CU_ASSERT_STRING_EQUAL(fake_message(r), "approval not found");
		json_object_put(r);
	}
	/* A start of the id that fits one alone is that one. */
	(void)snprintf(part, sizeof part, "%.15s", id);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"deny\"}", part);
	if (strncmp(id, id2, 15) != 0)
		CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	fake_req_free(rq);
	fake_req_free(second);
	teardown();
}

static void
malformed_answers_deny(void)
{
	static const char *const bad[] = {
		"\"kind\":\"exec\",\"decision\":\"allow-once\"",
		"\"kind\":\"plugin\",\"decision\":\"allow-always\"",
		"\"kind\":\"plugin\",\"decision\":\"yes\"",
		"\"kind\":\"plugin\"",
		"\"decision\":\"allow-once\"",
		"\"kind\":\"plugin\",\"decision\":\"allow-once\",\"x\":1",
		"\"kind\":\"plugin\",\"decision\":\"allow-once\","
		    "\"grantExpiresInDays\":0",
	};
	struct json_object	*r;
	struct fake_req		*rq;
	char			 id[80];
	size_t			 i;

	setup();
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rq = ask("\"allowedDecisions\":[\"allow-once\"]", id,
		    sizeof id);
		r = fake_callf(f, reviewer, "approval.resolve",
		    "{\"id\":\"%s\",%s}", id, bad[i]);
		CU_ASSERT_TRUE(json_object_get_boolean(
		    fake_get(r, "result.applied")));
		CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.reason"),
		    "malformed-verdict");
		CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.decision"),
		    "deny");
		json_object_put(r);
		CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq),
		    "result.decision"), "deny");
		fake_req_free(rq);
	}
	/* The reviewer's name is not part of the verdict. */
	rq = ask("", id, sizeof id);
	r = fake_callf(f, reviewer, "approval.resolve", "{\"id\":\"%s\","
	    "\"kind\":\"plugin\",\"decision\":\"deny\",\"reviewer\":{}}", id);
	CU_ASSERT_STRING_EQUAL(fake_message(r), "approval not found");
	json_object_put(r);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"maybe\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_message(r), "invalid decision");
	json_object_put(r);
	r = fake_call(f, reviewer, "approval.resolve", "{\"id\":\"none\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "invalid approval.resolve "
	    "params: must have required property 'kind'");
	json_object_put(r);
	fake_req_free(rq);
	teardown();
}

static void
shown_text_is_clean(void)
{
	struct json_object	*r;
	struct fake_req		*rq;

	setup();
	rq = fake_send(f, asker, "plugin.approval.request", "{\"title\":"
	    "\"a\\u202eb\\u0007\\u200b c\\n d\",\"description\":\"x\\u2066y\","
	    "\"detail\":\"l1\\nl2\\u001b[31m\"}");
	r = fake_wait_event(f, reviewer, "plugin.approval.requested", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.title"), "ab c d");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.description"), "xy");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.detail"), "l1\nl2[31m");
	fake_req_free(rq);
	/* Nothing that can be seen is nothing. */
	r = fake_call(f, asker, "plugin.approval.request",
	    "{\"title\":\"\\u200b\\u202e\",\"description\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	teardown();
}

static void
a_restart_ends_what_was_open(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			 id[80], done[80];

	setup();
	rq = ask("", done, sizeof done);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-always\"}", done);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	fake_req_free(rq);
	fake_advance(f, 1000000);
	rq = ask("", id, sizeof id);
	fake_req_free(rq);
	fake_settle(f);
	CU_ASSERT_EQUAL_FATAL(fake_restart(f), 0);
	fake_settle(f);
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "cli", .caps = "approvals" });
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "APPROVAL_NOT_FOUND");
	json_object_put(r);
	r = fake_call(f, reviewer, "approval.history", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.id"), id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.status"),
	    "cancelled");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.reason"),
	    "gateway-restart");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.1.id"), done);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.1.decision"),
	    "allow-always");
	json_object_put(r);
	r = fake_call(f, reviewer, "plugin.approval.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r, "result")), 0);
	json_object_put(r);
	teardown();
}

static void
history_has_pages(void)
{
	struct json_object	*r, *next;
	struct fake_req		*rq;
	char			 id[80], seen[7][80], cursor[512] = "";
	size_t			 n = 0, i, pages = 0;

	setup();
	for (i = 0; i < 7; i++) {
		rq = ask("", id, sizeof id);
		r = fake_callf(f, reviewer, "plugin.approval.resolve",
		    "{\"id\":\"%s\",\"decision\":\"deny\"}", id);
		json_object_put(r);
		fake_req_free(rq);
		/* Some of them at the same moment. */
		if (i % 2 == 0)
			fake_advance(f, 1000);
	}
	for (;;) {
		r = fake_callf(f, reviewer, "approval.history", "{\"limit\":3,"
		    "\"kind\":\"plugin\"%s%s%s}", *cursor != '\0' ?
		    ",\"cursor\":\"" : "", cursor, *cursor != '\0' ? "\"" : "");
		CU_ASSERT_TRUE_FATAL(fake_ok(r));
		next = fake_get(r, "result.items");
		for (i = 0; i < json_object_array_length(next) && n < 7; i++)
			(void)snprintf(seen[n++], sizeof seen[0], "%s",
			    fake_str(json_object_array_get_idx(next, i), "id"));
		pages++;
		(void)snprintf(cursor, sizeof cursor, "%s",
		    fake_str(r, "result.nextCursor"));
		json_object_put(r);
		if (*cursor == '\0' || pages > 5)
			break;
	}
	CU_ASSERT_EQUAL(pages, 3);
	CU_ASSERT_EQUAL(n, 7);
	for (i = 1; i < n; i++)
		CU_ASSERT_STRING_NOT_EQUAL(seen[i], seen[i - 1]);
	r = fake_call(f, reviewer, "approval.history", "{\"kind\":\"exec\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r, "result.items")),
	    0);
	json_object_put(r);
	for (i = 0; i < 2; i++) {
		r = fake_callf(f, reviewer, "approval.history",
		    "{\"cursor\":\"%s\"}", i == 0 ? "!!" : "e30");
		CU_ASSERT_STRING_EQUAL(fake_message(r),
		    "invalid approval.history cursor");
		json_object_put(r);
	}
	teardown();
}

static void
an_answer_that_is_not_stored_is_none(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			 id[80];

	setup();
	rq = ask("", id, sizeof id);
	fake_fail_writes(f, 1, -28);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-once\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"deny\"}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "result.decision"),
	    "deny");
	fake_req_free(rq);
	/* A question that cannot be stored is not asked. */
	fake_events_clear(f);
	fake_fail_writes(f, 1, -28);
	r = fake_call(f, asker, "plugin.approval.request",
	    "{\"title\":\"a\",\"description\":\"b\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.decision"), "deny");
	CU_ASSERT_EQUAL(fake_count(f, reviewer, "plugin.approval.requested"),
	    0);
	json_object_put(r);
	teardown();
}

static void
a_session_is_watched(void)
{
	struct json_object	*r;
	struct chela_conn	*late, *other, *reader;
	struct fake_req		*rq;
	char			 id[80];

	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	if (fake_load(f, "agents") < 0 || fake_load(f, "sessions") < 0) {
		fake_free(f);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "approvals"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	asker = fake_conn_new(f, NULL);
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read approvals", .caps = "approvals" });
	late = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read approvals" });
	other = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read approvals" });
	reader = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "read" });
	r = fake_call(f, asker, "sessions.create",
	    "{\"key\":\"agent:main:main\"}");
	json_object_put(r);
	r = fake_call(f, reviewer, "sessions.messages.subscribe",
	    "{\"key\":\"main\",\"includeApprovals\":true}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.approvalReplay.approvals")), 0);
	json_object_put(r);
	r = fake_call(f, other, "sessions.messages.subscribe",
	    "{\"key\":\"main\"}");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.approvalReplay"));
	json_object_put(r);
	rq = ask("\"sessionKey\":\"main\"", id, sizeof id);
	r = fake_wait_event(f, reviewer, "session.approval", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "phase"), "pending");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "approval.id"), id);
	r = fake_call(f, late, "sessions.messages.subscribe",
	    "{\"key\":\"main\",\"includeApprovals\":true}");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.approvalReplay.approvals.0.id"), id);
	json_object_put(r);
	r = fake_call(f, reader, "sessions.messages.subscribe",
	    "{\"key\":\"main\",\"includeApprovals\":true}");
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.approvalReplay"));
	json_object_put(r);
	r = fake_callf(f, reviewer, "plugin.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"deny\"}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	r = fake_wait_event(f, late, "session.approval", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "phase"), "terminal");
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_count(f, reviewer, "session.approval"), 2);
	CU_ASSERT_EQUAL(fake_count(f, other, "session.approval"), 0);
	CU_ASSERT_EQUAL(fake_count(f, reader, "session.approval"), 0);
	fake_req_free(rq);
	teardown();
}

static uint32_t	seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return ((seed >> 8) % n);
}

/*
 * Two resolvers and the clock, in any order, with the loop turned in between or
 * not, and now and then a full disk: all see one outcome, it is that of the
 * first, and it stays.
 */
static void
one_decision_in_any_race(void)
{
	static const char *const	 said[] = { "allow-once", "deny" };
	struct json_object		*r;
	struct chela_conn		*other;
	struct fake_req			*rq, *a[2];
	const char			*env = getenv("RACE_SEED"), *got;
	char				 id[80], first[32];
	uint32_t			 order, turn, what, round, begun;
	unsigned			 i, n_ok;
	bool				 is_expired, is_full, ok[2];

	seed = begun = env != NULL ? (uint32_t)strtoul(env, NULL, 10) :
	    20261125u;
	setup();
	other = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "admin", .client_id = "openclaw-tui" });
	for (round = 0; round < ROUNDS; round++) {
		rq = ask("\"timeoutMs\":1000", id, sizeof id);
		a[0] = a[1] = NULL;
		first[0] = '\0';
		is_expired = false;
		is_full = rnd(16) == 0;
		order = rnd(6);
		turn = rnd(8);
		if (is_full)
			fake_fail_writes(f, 1, -28);
		for (i = 0; i < 3; i++) {
			static const unsigned char orders[6][3] = {
				{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
				{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
			};
			char	params[160];

			what = orders[order][i];
			if (what == 2) {
				fake_advance(f, 1000000);
				is_expired = true;
			} else {
				(void)snprintf(params, sizeof params,
				    "{\"id\":\"%s\",\"decision\":\"%s\"}", id,
				    said[what]);
				a[what] = fake_send(f, what == 0 ? reviewer :
				    other, "plugin.approval.resolve", params);
				if (*first == '\0' && !is_expired)
					(void)snprintf(first, sizeof first,
					    "%s", said[what]);
			}
			if ((turn & 1u << i) != 0)
				fake_settle(f);
		}
		r = fake_reply(rq);
		got = fake_str(r, "result.decision");
		n_ok = 0;
		for (i = 0; i < 2; i++) {
			ok[i] = fake_ok(fake_reply(a[i]));
			n_ok += ok[i];
			/* Who was told yes is who is in the record. */
			if (ok[i])
				CU_ASSERT_STRING_EQUAL(got, said[i]);
		}
		CU_ASSERT_TRUE(n_ok <= 1);
		if (!is_full)
			CU_ASSERT_STRING_EQUAL(got, first);
		if (*got != '\0')
			CU_ASSERT_EQUAL(n_ok, 1);
		fake_req_free(a[0]);
		fake_req_free(a[1]);
		r = fake_callf(f, other, "approval.resolve", "{\"id\":\"%s\","
		    "\"kind\":\"plugin\",\"decision\":\"allow-always\"}", id);
		CU_ASSERT_FALSE(json_object_get_boolean(
		    fake_get(r, "result.applied")));
		CU_ASSERT_STRING_EQUAL(fake_str(r,
		    "result.approval.decision"), got);
		CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approval.status"),
		    *got == '\0' ? "expired" : *got == 'd' ? "denied" :
		    "allowed");
		json_object_put(r);
		CU_ASSERT_EQUAL(fake_count(f, asker,
		    "plugin.approval.resolved"), 1);
		fake_req_free(rq);
		fake_fail_writes(f, 0, 0);
		fake_events_clear(f);
		if (CU_get_number_of_failures() > 0) {
			(void)fprintf(stderr, "race: seed %u, round %u\n",
			    begun, round);
			break;
		}
	}
	teardown();
}

static void
only_the_scope_lets_in(void)
{
	static const char *const	 methods[] = { "approval.get",
	    "approval.resolve", "approval.history", "plugin.approval.list",
	    "plugin.approval.request", "plugin.approval.waitDecision",
	    "plugin.approval.resolve", "openclaw.approval.list" };
	static const char *const	 scopes[] = { "read", "write", "read write",
	    "pairing", "questions", "" };
	struct json_object		*r;
	struct chela_conn		*c;
	size_t				 i, j;

	setup();
	for (i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
		c = fake_conn_new(f, &(struct fake_conn_opt){
		    .scopes = scopes[i], .caps = "approvals" });
		for (j = 0; j < sizeof methods / sizeof methods[0]; j++) {
			r = fake_call(f, c, methods[j], "{}");
			CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
			json_object_put(r);
		}
	}
	r = fake_call(f, reviewer, "openclaw.approval.list", "{}");
	CU_ASSERT_TRUE(json_object_is_type(fake_get(r, "result"),
	    json_type_array));
	json_object_put(r);
	teardown();
}

static const struct cu_case cases[] = {
	CU_CASE(answered_once),
	CU_CASE(no_route_is_no_decision),
	CU_CASE(stopped_while_an_answer_is_stored),
	CU_CASE(expiry_denies),
	CU_CASE(expiry_goes_by_the_time_that_passes),
	CU_CASE(ids_cannot_be_guessed),
	CU_CASE(malformed_answers_deny),
	CU_CASE(shown_text_is_clean),
	CU_CASE(a_restart_ends_what_was_open),
	CU_CASE(history_has_pages),
	CU_CASE(an_answer_that_is_not_stored_is_none),
	CU_CASE(a_session_is_watched),
	CU_CASE(only_the_scope_lets_in),
	CU_CASE(one_decision_in_any_race),
	CU_END
};
CU_MAIN("approvals", cases)
