/* SPDX-License-Identifier: MIT */
/* Plugin gateway: identity, restart, suspension, over a core that the test is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/agent.h>
#include <chela/services/lifecycle.h>
#include <chela/services/state.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define NOW_MS	UINT64_C(1795342844905)
#define SEC	UINT64_C(1000000)

/* The core, as far as the plugin can tell. */
static struct {
	const char	*id;
	uint32_t	 phase;
	uint64_t	 age_ms;
	unsigned	 n_restarts;
	uint64_t	 delay_ms;		/* of the last one */
	int		 restart_r;
	unsigned	 n_running, n_waiting;	/* runs of agents */
	struct chela_req *held;			/* a call without an answer */
} core;

static struct fake		*f;
static struct chela_conn	*admin, *reader;

static const char *
life_id(void)
{
	return (core.id);
}

static const char *
life_key(void)
{
	return ("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");
}

static uint32_t
life_phase(void)
{
	return (core.phase);
}

static const char *
life_phase_name(void)
{
	static const char *const names[] = { "accepting", "preparing",
	    "draining", "prepared" };

	return (names[core.phase]);
}

static int
life_set_phase(uint32_t phase)
{
	core.phase = phase;
	return (0);
}

static int
life_each(int (*cb)(struct chela_req *req, void *arg), void *arg)
{
	return (core.held == NULL ? 0 : cb(core.held, arg));
}

static int
life_restart(uint64_t delay_ms)
{
	if (core.restart_r != 0)
		return (core.restart_r);
	core.delay_ms = delay_ms;
	return (core.n_restarts++ == 0 ? 0 : 1);
}

static uint32_t
port(void)
{
	return (18789);
}

static uint64_t
life_age(void)
{
	return (core.age_ms);
}

static const struct chela_lifecycle_1 life = {
	.struct_size = sizeof life,
	.device_id = life_id,
	.public_key = life_key,
	.phase = life_phase,
	.phase_name = life_phase_name,
	.set_phase = life_set_phase,
	.each_request = life_each,
	.restart = life_restart,
	.port = port,
	.restart_age_ms = life_age,
};

static const char *
boot_id(void)
{
	return ("boot-1");
}

static const struct chela_state_1 state = {
	.struct_size = sizeof state,
	.boot_id = boot_id,
};

static int
agent_each(const char *session_key,
    int (*cb)(const struct chela_agent_run *run, void *arg), void *arg)
{
	struct chela_agent_run	 run = { .struct_size = sizeof run };
	unsigned		 i;

	(void)session_key;
	for (i = 0; i < core.n_running + core.n_waiting; i++) {
		run.started_at_ms = i < core.n_running ? NOW_MS : 0;
		(void)cb(&run, arg);
	}
	return (0);
}

static const struct chela_agent_1 agent = {
	.struct_size = sizeof agent,
	.each = agent_each,
};

/* A call that stays open. */
static int
hold(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)ctx;
	(void)params;
	core.held = fake_host(f)->req_ref(req);
	return (0);
}

static const struct chela_method hold_methods[] = {
	{ .name = "hold.call", .handler = hold, .roles = CHELA_ROLE_OPERATOR,
	    .scope = "read" },
};

static const struct chela_plugin holder = {
	CHELA_HEAD("hold"),
	.version = CHELA_VERSION(1, 0, 0),
	CHELA_METHODS(hold_methods),
};

static void
begin_with(const char *conf)
{
	memset(&core, 0, sizeof core);
	core.id = "1a479f75773f0000000000000000000000000000000000000000000000"
	    "00abcd";
	core.age_ms = UINT64_MAX;
	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	CU_ASSERT(fake_service(f, "core", CHELA_LIFECYCLE_SERVICE, &life) == 0);
	CU_ASSERT(fake_service(f, "core", CHELA_STATE_SERVICE, &state) == 0);
	CU_ASSERT(fake_service(f, "agent", CHELA_AGENT_SERVICE, &agent) == 0);
	CU_ASSERT_EQUAL(fake_add(f, &holder), -ENOENT);	/* no schema file */
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "gateway"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	admin = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "admin" });
	reader = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "read" });
}

static void
begin(void)
{
	begin_with("{}");
}

static void
end(void)
{
	fake_free(f);
	f = NULL;
}

static struct json_object *
ok(const char *method, const char *params)
{
	struct json_object	*r = fake_call(f, admin, method, params);

	if (!fake_ok(r))
		(void)fprintf(stderr, "\n%s %s: %s\n", method, params,
		    fake_message(r));
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	return (r);
}

static void
fails(const char *method, const char *params, const char *code,
    const char *message)
{
	struct json_object	*r = fake_call(f, admin, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(r), code);
	if (strstr(fake_message(r), message) == NULL) {
		(void)fprintf(stderr, "\n%s: %s\n", method, fake_message(r));
		CU_FAIL("another message");
	}
	json_object_put(r);
}

static struct fake_req *
hold_call(void)
{
	struct fake_req	*rq = fake_send(f, admin, "hold.call", "{}");

	fake_settle(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(core.held);
	return (rq);
}

static void
hold_end(struct fake_req *rq)
{
	(void)fake_host(f)->req_reply(core.held, NULL);
	fake_host(f)->req_unref(core.held);
	core.held = NULL;
	fake_req_free(rq);
}

static void
it_says_who_it_is(void)
{
	struct json_object	*r;

	begin();
	r = fake_call(f, reader, "gateway.identity.get", "{\"x\":1}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.deviceId"), core.id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.publicKey"), life_key());
	json_object_put(r);
	core.id = NULL;
	fails("gateway.identity.get", "{}", "UNAVAILABLE", "no identity");
	end();
}

static void
scopes_are_those_of_the_table(void)
{
	static const char *const	 admins[] = { "gateway.restart.request",
	    "gateway.suspend.prepare", "gateway.suspend.resume",
	    "gateway.suspend.handoff" };
	static const char *const	 readers[] = { "gateway.identity.get",
	    "gateway.restart.preflight", "gateway.suspend.status" };
	struct chela_conn		*writer, *node;
	struct json_object		*r;
	size_t				 i;

	begin();
	writer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "write pairing approvals questions" });
	node = fake_conn_new(f, &(struct fake_conn_opt){
	    .role = CHELA_ROLE_NODE });
	for (i = 0; i < sizeof admins / sizeof admins[0]; i++) {
		r = fake_call(f, writer, admins[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_message(r),
		    "missing scope: operator.admin");
		json_object_put(r);
	}
	for (i = 0; i < sizeof readers / sizeof readers[0]; i++) {
		r = fake_call(f, node, readers[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_message(r),
		    "unauthorized role: node");
		json_object_put(r);
	}
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	end();
}

static void
preflight_names_the_work(void)
{
	struct json_object	*r;
	struct fake_req		*rq;

	begin();
	r = fake_call(f, reader, "gateway.restart.preflight", "{\"any\":1}");
	CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r, "result.safe")));
	CU_ASSERT_EQUAL(fake_int(r, "result.counts.totalActive"), 0);
	json_object_put(r);
	rq = hold_call();
	core.n_running = 2;
	core.n_waiting = 3;
	r = ok("gateway.restart.preflight", "{}");
	CU_ASSERT_FALSE(json_object_get_boolean(fake_get(r, "result.safe")));
	CU_ASSERT_EQUAL(fake_int(r, "result.counts.rootRequests"), 1);
	CU_ASSERT_EQUAL(fake_int(r, "result.counts.embeddedRuns"), 2);
	CU_ASSERT_EQUAL(fake_int(r, "result.counts.queueSize"), 3);
	CU_ASSERT_EQUAL(fake_int(r, "result.counts.totalActive"), 6);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.blockers.0.kind"), "queue");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.blockers.1.kind"),
	    "embedded-run");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.blockers.2.kind"),
	    "root-request");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_str(r,
	    "result.blockers.2.message"), "hold.call"));
	json_object_put(r);
	hold_end(rq);
	end();
}

static void
idle_it_restarts_at_once(void)
{
	struct json_object	*r;

	begin();
	r = ok("gateway.restart.request", "{\"reason\":\"  new keys  \"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "scheduled");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.restart.reason"),
	    "new keys");
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.pid"), getpid());
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.delayMs"), 500);
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.cooldownMsApplied"), 0);
	CU_ASSERT_EQUAL(core.delay_ms, 500);
	json_object_put(r);
	/* Whatever else is sent joins it. */
	r = ok("gateway.restart.request", "{\"reason\":17}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "coalesced");
	CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r,
	    "result.restart.coalesced")));
	json_object_put(r);
	end();
	begin();
	core.restart_r = -ESHUTDOWN;
	fails("gateway.restart.request", "{}", "UNAVAILABLE", "cannot be");
	end();
}

static void
a_long_reason_is_cut_between_characters(void)
{
	struct json_object	*r;
	char			 text[512], params[600];

	begin();
	memset(text, 'a', 199);
	(void)snprintf(text + 199, sizeof text - 199, "\xc3\xa4 and more");
	(void)snprintf(params, sizeof params, "{\"reason\":\"%s\"}", text);
	r = ok("gateway.restart.request", params);
	CU_ASSERT_EQUAL(strlen(fake_str(r, "result.restart.reason")), 199);
	json_object_put(r);
	end();
}

static void
after_a_restart_the_next_one_waits(void)
{
	struct json_object	*r;

	begin();
	core.age_ms = 10000;
	r = ok("gateway.restart.request", "{\"skipDeferral\":true}");
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.cooldownMsApplied"),
	    20000);
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.delayMs"), 20500);
	CU_ASSERT_EQUAL(core.delay_ms, 20500);
	json_object_put(r);
	end();
	begin();
	core.age_ms = 30000;
	json_object_put(ok("gateway.restart.request", "{}"));
	CU_ASSERT_EQUAL(core.delay_ms, 500);
	end();
	begin_with("{\"plugins\":{\"entries\":{\"gateway\":{\"config\":{"
	    "\"restartCooldownMs\":11000}}}}}");
	core.age_ms = 10000;
	json_object_put(ok("gateway.restart.request", "{}"));
	CU_ASSERT_EQUAL(core.delay_ms, 1500);
	end();
}

static void
work_puts_it_off_but_not_for_ever(void)
{
	struct json_object	*r;

	begin();
	core.n_running = 1;
	r = ok("gateway.restart.request", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "deferred");
	CU_ASSERT_EQUAL(fake_int(r, "result.restart.delayMs"), 0);
	json_object_put(r);
	r = ok("gateway.restart.request", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "coalesced");
	json_object_put(r);
	fake_advance(f, 31 * SEC);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "waits for 1"));
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	core.n_running = 0;
	fake_advance(f, SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 1);
	end();
	/* Five minutes are enough for anything. */
	begin();
	core.n_running = 1;
	json_object_put(ok("gateway.restart.request", "{}"));
	fake_advance(f, 299 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	fake_advance(f, 2 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 1);
	end();
	begin();
	core.n_running = 1;
	r = ok("gateway.restart.request", "{\"skipDeferral\":true}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "scheduled");
	json_object_put(r);
	end();
}

static void
a_target_is_this_gateway_or_nothing(void)
{
	struct json_object	*r;
	char			 params[256];

	begin();
	fails("gateway.restart.request", "{\"target\":1}", "INVALID_REQUEST",
	    "invalid targeted gateway restart");
	fails("gateway.restart.request", "{\"target\":{\"pid\":1,\"port\":"
	    "18789,\"ownerId\":\"x\"}}", "INVALID_REQUEST",
	    "target gateway no longer owns the active lock");
	(void)snprintf(params, sizeof params, "{\"safe\":true,"
	    "\"restartIntent\":{},\"target\":{\"pid\":%d,\"port\":18789,"
	    "\"ownerId\":\"%s\"}}", (int)getpid(), core.id);
	fails("gateway.restart.request", params, "INVALID_REQUEST",
	    "safe targeted restart does not accept intent");
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	core.n_running = 1;
	(void)snprintf(params, sizeof params, "{\"target\":{\"pid\":%d,"
	    "\"port\":18789,\"ownerId\":\"%s\"},\"restartIntent\":{"
	    "\"waitMs\":2000}}", (int)getpid(), core.id);
	r = ok("gateway.restart.request", params);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "deferred");
	CU_ASSERT_EQUAL(fake_int(r, "result.pid"), getpid());
	CU_ASSERT_PTR_NULL(fake_get(r, "result.restart"));
	json_object_put(r);
	fake_advance(f, 3 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 1);
	end();
}

static void
an_intent_makes_sense_or_nothing_happens(void)
{
	static const char *const bad[] = { "7", "[]", "{\"force\":1}",
	    "{\"waitMs\":-1}", "{\"waitMs\":1.5}", "{\"waitMs\":\"1\"}",
	    "{\"waitMs\":2147000001}", "{\"drainBudgetMs\":1}",
	    "{\"force\":true,\"waitMs\":1}" };
	char	 params[256];
	size_t	 i;

	begin();
	core.n_running = 1;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)snprintf(params, sizeof params, "{\"target\":{\"pid\":"
		    "%d,\"port\":18789,\"ownerId\":\"%s\"},"
		    "\"restartIntent\":%s}", (int)getpid(), core.id, bad[i]);
		fails("gateway.restart.request", params, "INVALID_REQUEST",
		    "invalid targeted gateway restart intent");
	}
	(void)snprintf(params, sizeof params, "{\"safe\":1,\"target\":{"
	    "\"pid\":%d,\"port\":18789,\"ownerId\":\"%s\"}}",
	    (int)getpid(), core.id);
	fails("gateway.restart.request", params, "INVALID_REQUEST",
	    "invalid safe targeted restart mode");
	fake_advance(f, 400 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	(void)snprintf(params, sizeof params, "{\"target\":{\"pid\":%d,"
	    "\"port\":18789,\"ownerId\":\"%s\"},\"restartIntent\":{"
	    "\"force\":true,\"drainBudgetMs\":3000}}", (int)getpid(),
	    core.id);
	json_object_put(ok("gateway.restart.request", params));
	fake_advance(f, 2 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 0);
	fake_advance(f, 2 * SEC);
	CU_ASSERT_EQUAL(core.n_restarts, 1);
	end();
}

static void
busy_is_rolled_back(void)
{
	struct json_object	*r;

	begin();
	core.n_running = 1;
	r = ok("gateway.suspend.prepare", "{\"requestId\":\"r\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "busy");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.reason"), "active-work");
	CU_ASSERT_EQUAL(fake_int(r, "result.activeCount"), 1);
	CU_ASSERT_EQUAL(fake_int(r, "result.retryAfterMs"), 20000);
	json_object_put(r);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_ACCEPTING);
	CU_ASSERT_EQUAL(fake_count(f, reader, "gateway.suspension"), 2);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_wait_event(f, reader,
	    "gateway.suspension", 0), "phase"), "preparing");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_wait_event(f, reader,
	    "gateway.suspension", 1), "phase"), "accepting");
	r = ok("gateway.suspend.status", "{\"suspensionId\":\"any\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "running");
	json_object_put(r);
	r = ok("gateway.suspend.resume", "{\"suspensionId\":\"any\"}");
	CU_ASSERT_FALSE(json_object_get_boolean(fake_get(r,
	    "result.resumed")));
	json_object_put(r);
	fails("gateway.suspend.prepare", "{\"requestId\":\" \"}",
	    "INVALID_REQUEST", "invalid gateway.suspend.prepare params");
	fails("gateway.suspend.prepare", "{\"requestId\":\"a\","
	    "\"terminalPolicy\":\"kill\"}", "INVALID_REQUEST", "invalid");
	fails("gateway.suspend.status", "{}", "INVALID_REQUEST",
	    "invalid gateway.suspend.status params");
	end();
}

/* Gives the id of a lease. */
static char *
prepare(const char *params, const char *status)
{
	struct json_object	*r = ok("gateway.suspend.prepare", params);
	char			*id;

	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), status);
	id = strdup(fake_str(r, "result.suspensionId"));
	json_object_put(r);
	return (id);
}

static void
one_lease_at_a_time(void)
{
	struct json_object	*r;
	char			*id, *again, params[128];

	begin();
	id = prepare("{\"requestId\":\"r\"}", "ready");
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_PREPARED);
	fake_advance(f, 60 * SEC);
	again = prepare("{\"requestId\":\"r\"}", "ready");
	CU_ASSERT_STRING_EQUAL(id, again);
	free(again);
	/* Renewed: past the first end it still stands. */
	fake_advance(f, 90 * SEC);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_PREPARED);
	r = fake_call(f, admin, "gateway.suspend.prepare",
	    "{\"requestId\":\"r\",\"drain\":true}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "gateway-suspension-conflict");
	CU_ASSERT_EQUAL(fake_int(r, "error.details.expiresAtMs"),
	    NOW_MS + 180000);
	CU_ASSERT_EQUAL(fake_int(r, "error.retryAfterMs"), 30000);
	json_object_put(r);
	r = fake_call(f, reader, "gateway.suspend.status",
	    "{\"suspensionId\":\"other\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "gateway-suspension-conflict");
	json_object_put(r);
	fails("gateway.suspend.resume", "{\"suspensionId\":\"other\"}",
	    "INVALID_REQUEST", "gateway suspension id does not match");
	fails("gateway.restart.request", "{}", "UNAVAILABLE",
	    "unavailable during gateway suspension");
	(void)snprintf(params, sizeof params, "{\"suspensionId\":\"%s\"}", id);
	r = ok("gateway.suspend.resume", params);
	CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r, "result.resumed")));
	json_object_put(r);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_ACCEPTING);
	free(id);
	end();
}

static void
a_lease_ends_by_itself(void)
{
	char	*id;

	begin();
	id = prepare("{\"requestId\":\"r\"}", "ready");
	fake_advance(f, 119 * SEC);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_PREPARED);
	fake_advance(f, 2 * SEC);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_ACCEPTING);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "ran out"));
	free(id);
	end();
}

static void
draining_becomes_prepared(void)
{
	struct json_object	*r;
	char			*id, params[128];

	begin();
	core.n_running = 1;
	id = prepare("{\"requestId\":\"r\",\"drain\":true}", "draining");
	(void)snprintf(params, sizeof params, "{\"suspensionId\":\"%s\"}", id);
	r = ok("gateway.suspend.status", params);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "draining");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.blockers.0.kind"),
	    "embedded-run");
	json_object_put(r);
	core.n_running = 0;
	fake_advance(f, SEC);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_PREPARED);
	r = ok("gateway.suspend.status", params);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ready");
	json_object_put(r);
	free(id);
	end();
}

static struct json_object *
handoff(const char *id, int pid, const char *process)
{
	return (fake_callf(f, admin, "gateway.suspend.handoff",
	    "{\"suspensionId\":\"%s\",\"target\":{\"pid\":%d,"
	    "\"processInstanceId\":\"%s\"}}", id, pid, process));
}

static void
handed_off_it_stays_shut_to_the_end(void)
{
	struct json_object	*r;
	char			*id;

	begin();
	r = handoff("none", getpid(), "boot-1");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "gateway suspension id does not match");
	json_object_put(r);
	id = prepare("{\"requestId\":\"r\"}", "ready");
	r = handoff(id, getpid(), "boot-0");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	r = handoff(id, getpid() + 1, "boot-1");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	fails("gateway.suspend.handoff", "{\"suspensionId\":\"x\"}",
	    "INVALID_REQUEST", "invalid gateway.suspend.handoff params");
	/* Without it, the end of the plugin opens the gateway. */
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_ACCEPTING);
	free(id);
	admin = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "admin" });
	id = prepare("{\"requestId\":\"r\"}", "ready");
	r = handoff(id, getpid(), "boot-1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "armed");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.suspensionId"), id);
	CU_ASSERT_EQUAL(fake_int(r, "result.expiresAtMs"), NOW_MS + 120000);
	json_object_put(r);
	free(id);
	end();
	CU_ASSERT_EQUAL(core.phase, CHELA_PHASE_PREPARED);
}

static const struct cu_case cases[] = {
	CU_CASE(it_says_who_it_is),
	CU_CASE(scopes_are_those_of_the_table),
	CU_CASE(preflight_names_the_work),
	CU_CASE(idle_it_restarts_at_once),
	CU_CASE(a_long_reason_is_cut_between_characters),
	CU_CASE(after_a_restart_the_next_one_waits),
	CU_CASE(work_puts_it_off_but_not_for_ever),
	CU_CASE(a_target_is_this_gateway_or_nothing),
	CU_CASE(an_intent_makes_sense_or_nothing_happens),
	CU_CASE(busy_is_rolled_back),
	CU_CASE(one_lease_at_a_time),
	CU_CASE(a_lease_ends_by_itself),
	CU_CASE(draining_becomes_prepared),
	CU_CASE(handed_off_it_stays_shut_to_the_end),
	CU_END
};
CU_MAIN("gateway", cases)
