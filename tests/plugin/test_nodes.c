/* SPDX-License-Identifier: MIT */
/* Plugin nodes: pairing of surfaces, invocations, queues (AB-066, AB-131). */
#include <errno.h>

#include "core/base/clock.h"
#include "tests/plugin/nodes_rig.h"

static void
surface_is_withheld_until_approved_AB_066(void)
{
	struct chela_conn	*op, *node, *other;
	struct json_object	*r, *e;

	up();
	op = operator("read pairing");
	other = node_up("other", "[]");
	node = node_up("n1", "[\"system.which\",\"system.run\",\"custom.x\","
	    "\"camera.snap\",\"system.which\"]");
	e = fake_wait_event(f, op, "node.pair.requested", 1);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "nodeId"), "n1");
	/* What its platform may not offer was never said. */
	CU_ASSERT_STRING_EQUAL(fake_str(e, "commands"),
	    "[ \"system.run\", \"system.which\" ]");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "requiredApproveScopes"),
	    "[ \"operator.pairing\", \"operator.write\", \"operator.admin\" ]");
	CU_ASSERT_EQUAL(fake_count(f, node, "node.pair.requested"), 0);

	r = fake_callf(f, op, "node.describe", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commands"), "[ ]");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approvalState"),
	    "pending-approval");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.connected"), "true");
	json_object_put(r);

	r = fake_callf(f, NULL, "node.invoke", "{\"nodeId\":\"n1\",\"command\":"
	    "\"system.which\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "command not approved");
	json_object_put(r);
	r = fake_call(f, node, "node.event", "{\"event\":\"node.host.stats\","
	    "\"payloadJSON\":\"{}\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "PAIRING_CHANGED");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.retryable"), "true");
	json_object_put(r);
	r = fake_call(f, node, "node.skills.update", "{\"skills\":[]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "PAIRING_CHANGED");
	json_object_put(r);

	approve("n1");
	CU_ASSERT_EQUAL(fake_count(f, node, "node.pair.resolved"), 1);
	CU_ASSERT_EQUAL(fake_count(f, op, "node.pair.resolved"), 1);
	CU_ASSERT_EQUAL(fake_count(f, other, "node.pair.resolved"), 0);
	r = fake_call(f, op, "node.list", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodes.0.nodeId"), "n1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodes.0.commands"),
	    "[ \"system.run\", \"system.which\" ]");
	json_object_put(r);
	r = fake_call(f, node, "node.event", "{\"event\":\"node.host.stats\","
	    "\"payloadJSON\":\"{\\\"cpuCount\\\":2}\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.reason"), "updated");
	json_object_put(r);
	CU_ASSERT_EQUAL(fake_count(f, op, "node.hostStats"), 1);
	down();
}

static void
approval_needs_the_scopes_of_the_commands_AB_066(void)
{
	static const struct {
		const char	*commands, *scopes, *missing;
	} rows[] = {
		{ "[\"system.run\"]", "pairing write", "admin" },
		{ "[\"system.which\"]", "pairing write", "admin" },
		{ "[\"fs.listDir\"]", "pairing write", "admin" },
		{ "[\"browser.proxy\"]", "pairing write", "admin" },
		{ "[\"system.execApprovals.set\"]", "pairing write", "admin" },
		{ "[\"system.notify\"]", "pairing", "write" },
		{ "[\"system.notify\"]", "pairing write", NULL },
		{ "[]", "pairing", NULL },
	};
	struct json_object	*r;
	size_t			 i;
	char			 text[64];

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		up();
		(void)node_up("n1", rows[i].commands);
		r = fake_callf(f, operator(rows[i].scopes),
		    "node.pair.approve", "{\"requestId\":\"%s\"}",
		    request_of("n1"));
		CU_ASSERT_EQUAL(fake_ok(r), rows[i].missing == NULL);
		if (rows[i].missing != NULL) {
			(void)snprintf(text, sizeof text, "missing scope: %s",
			    rows[i].missing);
			CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
			CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r),
			    rows[i].missing));
			CU_ASSERT(device_of("n1")->approved == NULL);
		}
		json_object_put(r);
		down();
	}
}

static void
widening_needs_another_approval_AB_066(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			 old[64];

	up();
	(void)node_up("n1", "[\"system.which\"]");
	approve("n1");
	node_down("n1");
	/* Less: that is what counts, and nothing is asked. */
	(void)node_up("n1", "[]");
	CU_ASSERT_STRING_EQUAL(request_of("n1"), "");
	node_down("n1");
	(void)node_up("n1", "[\"system.run\",\"system.which\"]");
	CU_ASSERT_STRING_NOT_EQUAL(request_of("n1"), "");
	(void)snprintf(old, sizeof old, "%s", request_of("n1"));
	r = fake_call(f, NULL, "node.describe", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commands"),
	    "[ \"system.which\" ]");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approvalState"),
	    "pending-reapproval");
	json_object_put(r);
	rq = invoke(NULL, "n1", "system.run", "{\"command\":[\"id\"]}");
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(rq)), "INVALID_REQUEST");
	fake_req_free(rq);
	/* The same again is the same request; another replaces it. */
	node_down("n1");
	(void)node_up("n1", "[\"system.run\",\"system.which\"]");
	CU_ASSERT_STRING_EQUAL(request_of("n1"), old);
	node_down("n1");
	(void)node_up("n1", "[\"fs.listDir\",\"system.which\"]");
	CU_ASSERT_STRING_NOT_EQUAL(request_of("n1"), old);
	r = fake_callf(f, NULL, "node.pair.approve", "{\"requestId\":\"%s\"}",
	    old);
	CU_ASSERT_STRING_EQUAL(fake_message(r), "unknown requestId");
	json_object_put(r);
	/* Refused: what was approved stays. */
	r = fake_callf(f, NULL, "node.pair.reject", "{\"requestId\":\"%s\"}",
	    request_of("n1"));
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, NULL, "node.describe", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.approvalState"), "approved");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commands"),
	    "[ \"system.which\" ]");
	json_object_put(r);
	down();
}

static void
two_answers_to_one_request(void)
{
	struct fake_req	*a, *b;
	char		 text[128];

	up();
	(void)node_up("n1", "[\"system.notify\"]");
	(void)snprintf(text, sizeof text, "{\"requestId\":\"%s\"}",
	    request_of("n1"));
	a = fake_send(f, NULL, "node.pair.approve", text);
	b = fake_send(f, NULL, "node.pair.reject", text);
	CU_ASSERT(fake_ok(fake_reply(a)));
	CU_ASSERT_FALSE(fake_ok(fake_reply(b)));
	CU_ASSERT(device_of("n1")->approved != NULL);
	fake_req_free(a);
	fake_req_free(b);
	/* What could not be stored is not told as done. */
	node_down("n1");
	(void)node_up("n1", "[\"system.notify\",\"system.which\"]");
	(void)snprintf(text, sizeof text, "{\"requestId\":\"%s\"}",
	    request_of("n1"));
	put_fails = -EIO;
	a = fake_send(f, NULL, "node.pair.approve", text);
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(a)), "UNAVAILABLE");
	fake_req_free(a);
	a = fake_send(f, NULL, "node.pair.approve", text);
	CU_ASSERT(fake_ok(fake_reply(a)));
	fake_req_free(a);
	down();
}

static void
invoke_goes_to_one_node_and_back(void)
{
	struct chela_conn	*node, *other;
	struct fake_req		*rq;
	struct json_object	*e;

	up();
	node = node_up("n1", "[\"system.which\"]");
	other = node_up("n2", "[\"system.which\"]");
	approve("n1");
	approve("n2");
	rq = invoke(operator("write"), "n1", "system.which",
	    "{\"bins\":[\"ls\"]}");
	e = fake_wait_event(f, node, "node.invoke.request", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "nodeId"), "n1");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "paramsJSON"),
	    "{\"bins\":[\"ls\"]}");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "idempotencyKey"), "k1");
	CU_ASSERT_EQUAL(fake_int(e, "timeoutMs"), 5000);
	CU_ASSERT_EQUAL(fake_count(f, other, "node.invoke.request"), 0);
	CU_ASSERT(answer(node, "n1", fake_str(e, "id"),
	    "\"ok\":true,\"payload\":1,\"payloadJSON\":\"{\\\"a\\\":[1]}\""));
	e = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "result.payload"),
	    "{ \"a\": [ 1 ] }");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "result.payloadJSON"),
	    "{\"a\":[1]}");
	fake_req_free(rq);

	/* What is no JSON comes as text; a value comes as it is. */
	rq = invoke(NULL, "n1", "system.which", "null");
	e = fake_wait_event(f, node, "node.invoke.request", 1);
	CU_ASSERT_PTR_NULL(fake_get(e, "paramsJSON"));
	CU_ASSERT(answer(node, "n1", fake_str(e, "id"),
	    "\"ok\":true,\"payloadJSON\":\"{oops\",\"error\":null"));
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq),
	    "result.payload.payloadJSON"), "{oops");
	fake_req_free(rq);
	rq = invoke(NULL, "n1", "system.which", "{}");
	e = fake_wait_event(f, node, "node.invoke.request", 2);
	CU_ASSERT(answer(node, "n1", fake_str(e, "id"),
	    "\"ok\":false,\"error\":{\"code\":\"E1\",\"message\":\"no\"}"));
	e = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_code(e), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_message(e), "E1: no");
	CU_ASSERT_STRING_EQUAL(fake_str(e,
	    "error.details.nodeCommandDispatched"), "true");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "error.details.nodeError.code"),
	    "E1");
	CU_ASSERT_PTR_NULL(fake_get(e, "error.details.code"));
	fake_req_free(rq);
	down();
}

static void
foreign_and_late_answers_are_dropped_AB_066(void)
{
	struct chela_conn	*n1, *n2;
	struct fake_req		*rq;
	struct json_object	*e, *r;
	char			 id[64];

	up();
	n1 = node_up("n1", "[\"system.which\"]");
	n2 = node_up("n2", "[\"system.which\"]");
	approve("n1");
	approve("n2");
	rq = invoke(NULL, "n1", "system.which", "{}");
	e = fake_wait_event(f, n1, "node.invoke.request", 0);
	(void)snprintf(id, sizeof id, "%s", fake_str(e, "id"));
	/* Another node, in its own name and in that of the one asked. */
	CU_ASSERT_FALSE(answer(n2, "n2", id, "\"ok\":true"));
	r = fake_callf(f, n2, "node.invoke.result", "{\"id\":\"%s\","
	    "\"nodeId\":\"n1\",\"ok\":true}", id);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "nodeId mismatch");
	json_object_put(r);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "foreign=1"));
	/* No progress was asked for; made-up ids are nothing. */
	r = fake_callf(f, n1, "node.invoke.progress", "{\"invokeId\":\"%s\","
	    "\"nodeId\":\"n1\",\"seq\":0,\"chunk\":\"x\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.ignored"), "true");
	json_object_put(r);
	CU_ASSERT_FALSE(answer(n1, "n1", "made-up", "\"ok\":true"));
	CU_ASSERT(answer(n1, "n1", id, "\"ok\":true"));
	CU_ASSERT(fake_ok(fake_reply(rq)));
	fake_req_free(rq);
	/* Once. */
	CU_ASSERT_FALSE(answer(n1, "n1", id, "\"ok\":true"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "late=2"));
	down();
}

static void
time_limit_cancels(void)
{
	struct chela_conn	*n1;
	struct fake_req		*rq;
	struct json_object	*e;
	char			 id[64];

	up();
	n1 = node_up("n1", "[\"system.which\"]");
	approve("n1");
	rq = invoke(NULL, "n1", "system.which", "{}");
	e = fake_wait_event(f, n1, "node.invoke.request", 0);
	(void)snprintf(id, sizeof id, "%s", fake_str(e, "id"));
	fake_advance(f, SEC_US(5) - 1000);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	fake_advance(f, 2000);
	e = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_code(e), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "error.details.nodeError.code"),
	    "TIMEOUT");
	fake_req_free(rq);
	e = fake_wait_event(f, n1, "node.invoke.cancel", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "invokeId"), id);
	CU_ASSERT_FALSE(answer(n1, "n1", id, "\"ok\":true"));
	/* The caller goes: the node is told. */
	rq = invoke(NULL, "n1", "system.which", "{}");
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, n1, "node.invoke.request",
	    1));
	fake_req_cancel(rq);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, n1, "node.invoke.cancel",
	    1));
	fake_req_free(rq);
	down();
}

static void
node_that_goes_fails_its_calls_at_once_AB_131(void)
{
	struct chela_conn	*n1;
	struct fake_req		*rq;
	struct json_object	*e, *r;

	up();
	n1 = node_up("n1", "[\"system.which\"]");
	approve("n1");
	rq = invoke(NULL, "n1", "system.which", "{}");
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, n1, "node.invoke.request",
	    0));
	node_down("n1");
	e = fake_reply_now(rq);
	CU_ASSERT_STRING_EQUAL(fake_code(e), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_message(e),
	    "node disconnected (system.which)");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "error.details.nodeError.code"),
	    "DISCONNECTED");
	fake_req_free(rq);
	r = fake_callf(f, NULL, "node.invoke", "{\"nodeId\":\"n1\",\"command\":"
	    "\"system.which\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "node not connected");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "NOT_CONNECTED");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "error.details.nodeCommandDispatched"), "false");
	json_object_put(r);
	r = fake_callf(f, NULL, "node.invoke", "{\"nodeId\":\"nobody\","
	    "\"command\":\"system.which\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "PAIRING_CHANGED");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.retryable"), "true");
	json_object_put(r);
	r = fake_call(f, NULL, "node.list", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodes.0.connected"),
	    "false");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodes.0.commands"),
	    "[ \"system.which\" ]");
	json_object_put(r);
	down();
}

static void
old_socket_cannot_act_AB_131(void)
{
	struct chela_conn	*old, *now;
	struct fake_req		*rq;
	struct json_object	*e, *r;
	char			 id[64];

	up();
	old = node_up("n1", "[\"system.which\"]");
	approve("n1");
	rq = invoke(NULL, "n1", "system.which", "{}");
	e = fake_wait_event(f, old, "node.invoke.request", 0);
	(void)snprintf(id, sizeof id, "%s", fake_str(e, "id"));
	/* The same device again, while the first socket is still there. */
	now = node_up("n1", "[\"system.which\"]");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply_now(rq),
	    "error.details.nodeError.code"), "DISCONNECTED");
	fake_req_free(rq);
	r = fake_call(f, NULL, "node.list", "{}");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.nodes.1"));
	json_object_put(r);
	r = fake_callf(f, old, "node.invoke.result", "{\"id\":\"%s\","
	    "\"nodeId\":\"n1\",\"ok\":true}", id);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	r = fake_call(f, old, "node.event", "{\"event\":\"node.host.stats\","
	    "\"payload\":{}}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "PAIRING_CHANGED");
	json_object_put(r);
	rq = invoke(NULL, "n1", "system.which", "{}");
	e = fake_wait_event(f, now, "node.invoke.request", 0);
	CU_ASSERT_EQUAL(fake_count(f, old, "node.invoke.request"), 1);
	/* Its end is not the node's. */
	tell(CHELA_ACCESS_NODE_CLOSE, "n1", old);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	CU_ASSERT(answer(now, "n1", fake_str(e, "id"), "\"ok\":true"));
	CU_ASSERT(fake_ok(fake_reply(rq)));
	fake_req_free(rq);
	down();
}

static void
policy_speaks_plainly(void)
{
	static const struct {
		const char	*command, *code, *part;
	} rows[] = {
		{ " ", "INVALID_REQUEST", "nodeId and command required" },
		{ "system.execApprovals.get", "INVALID_REQUEST",
		    "exec.approvals.node" },
		{ "custom.x", "INVALID_REQUEST", "\"custom.x\" is not in the "
		    "allowlist for platform \"linux\"" },
		{ "camera.snap", "INVALID_REQUEST", "requires explicit "
		    "gateway.nodes.commands.allow opt-in" },
		{ "worker.launch.v1", "INVALID_REQUEST", "allowlist" },
		{ "system.which", "INVALID_REQUEST",
		    "command not declared by node" },
	};
	struct json_object	*r;
	struct fake_req		*rq;
	size_t			 i;

	up();
	(void)node_up("n1", "[\"system.notify\",\"worker.launch.v1\"]");
	approve("n1");
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		rq = invoke(NULL, "n1", rows[i].command, "{}");
		r = fake_reply(rq);
		CU_ASSERT_STRING_EQUAL(fake_code(r), rows[i].code);
		CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r), rows[i].part));
		fake_req_free(rq);
	}
	r = fake_callf(f, operator("write"), "node.invoke", "{\"nodeId\":"
	    "\"n1\",\"command\":\"fs.listDir\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
	json_object_put(r);
	/* The operator's word allows more, and takes away. */
	CU_ASSERT_EQUAL(fake_conf(f, "{\"gateway\":{\"nodes\":{\"commands\":{"
	    "\"allow\":[\"custom.x\",\"camera.snap\"],"
	    "\"deny\":[\"system.notify\"]}}}}"), 0);
	node_down("n1");
	(void)node_up("n1", "[\"system.notify\",\"custom.x\",\"camera.snap\"]");
	approve("n1");
	r = fake_call(f, NULL, "node.describe", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commands"),
	    "[ \"camera.snap\", \"custom.x\" ]");
	json_object_put(r);
	down();
}

static void
queue_keeps_one_of_a_type(void)
{
	struct chela_conn	*n1;
	struct json_object	*r;
	char			 id[64];

	up();
	n1 = node_up("n1", "[]");
	approve("n1");
	r = fake_call(f, NULL, "node.pending.enqueue", "{\"nodeId\":\"n1\","
	    "\"type\":\"status.request\",\"expiresInMs\":1000}");
	(void)snprintf(id, sizeof id, "%s", fake_str(r, "result.queued.id"));
	CU_ASSERT_EQUAL(fake_int(r, "result.revision"), 1);
	json_object_put(r);
	r = fake_call(f, NULL, "node.pending.enqueue", "{\"nodeId\":\"n1\","
	    "\"type\":\"status.request\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.queued.id"), id);
	CU_ASSERT_EQUAL(fake_int(r, "result.revision"), 1);
	json_object_put(r);
	r = fake_call(f, NULL, "node.pending.enqueue", "{\"nodeId\":\"n1\","
	    "\"type\":\"location.request\",\"priority\":\"high\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, n1, "node.pending.drain", "{\"maxItems\":1}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.items.0.type"),
	    "location.request");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.hasMore"), "true");
	json_object_put(r);
	fake_advance(f, SEC_US(2));
	r = fake_call(f, n1, "node.pending.pull", "{}");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.actions.1"));
	(void)snprintf(id, sizeof id, "%s", fake_str(r, "result.actions.0.id"));
	json_object_put(r);
	r = fake_callf(f, n1, "node.pending.ack", "{\"ids\":[\"%s\",\"x\"]}",
	    id);
	CU_ASSERT_EQUAL(fake_int(r, "result.remainingCount"), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.ackedIds.1"), "x");
	json_object_put(r);
	r = fake_call(f, NULL, "node.pending.enqueue", "{\"nodeId\":\"no\","
	    "\"type\":\"status.request\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "PAIRING_CHANGED");
	json_object_put(r);
	down();
}

/* AB-118: what somebody does to the wall clock moves no end of anything. */
static void
queue_goes_by_the_time_that_passes(void)
{
	static const uint64_t	 walls[] = { 1000, UINT64_C(1699900000000),
	    UINT64_C(1700100000000), UINT64_C(2015360000000) };
	struct chela_conn	*n1;
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		up();
		n1 = node_up("n1", "[]");
		approve("n1");
		r = fake_call(f, NULL, "node.pending.enqueue",
		    "{\"nodeId\":\"n1\",\"type\":\"status.request\","
		    "\"expiresInMs\":1000}");
		CU_ASSERT(fake_ok(r));
		json_object_put(r);
		fake_clock_set(f, walls[i]);
		fake_advance(f, 999000);
		r = fake_call(f, n1, "node.pending.pull", "{}");
		CU_ASSERT_PTR_NOT_NULL(fake_get(r, "result.actions.0"));
		json_object_put(r);
		fake_advance(f, 1000);
		r = fake_call(f, n1, "node.pending.pull", "{}");
		CU_ASSERT(fake_ok(r));
		CU_ASSERT_PTR_NULL(fake_get(r, "result.actions.0"));
		json_object_put(r);
		down();
	}
}

static void
remove_and_rename(void)
{
	struct chela_conn	*n1;
	struct json_object	*r;

	up();
	n1 = node_up("n1", "[\"system.notify\"]");
	(void)n1;
	approve("n1");
	r = fake_call(f, NULL, "node.rename", "{\"nodeId\":\"n1\","
	    "\"displayName\":\"  attic  \"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.displayName"), "attic");
	json_object_put(r);
	r = fake_call(f, NULL, "node.rename", "{\"nodeId\":\"n1\","
	    "\"displayName\":\"  \"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "displayName required");
	json_object_put(r);
	r = fake_call(f, NULL, "node.rename", "{\"nodeId\":\"n9\","
	    "\"displayName\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "unknown nodeId");
	json_object_put(r);
	r = fake_call(f, NULL, "node.describe", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.displayName"), "attic");
	json_object_put(r);
	r = fake_call(f, NULL, "node.pair.remove", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodeId"), "n1");
	json_object_put(r);
	r = fake_call(f, NULL, "node.pair.remove", "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "unknown nodeId");
	json_object_put(r);
	/* One that is an operator's as well keeps that. */
	(void)node_up("n2", "[\"system.notify\"]");
	approve("n2");
	device_of("n2")->is_operator_too = true;
	r = fake_call(f, NULL, "node.pair.remove", "{\"nodeId\":\"n2\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	CU_ASSERT_PTR_NOT_NULL_FATAL(device_of("n2"));
	CU_ASSERT(device_of("n2")->approved == NULL);
	down();
}

/* --- the service --- */

static struct {
	unsigned	 n_done;
	char		 code[32];
	char		 text[64];
	size_t		 n_bytes;
} svc;

static void
svc_done(const struct chela_node_result *res, void *arg)
{
	(void)arg;
	svc.n_done++;
	(void)snprintf(svc.code, sizeof svc.code, "%s", res->code != NULL ?
	    res->code : "");
}

static void
svc_progress(const char *chunk, size_t len, void *arg)
{
	(void)chunk;
	(void)arg;
	svc.n_bytes += len;
}

static void
service_streams_and_silence_ends(void)
{
	const struct chela_nodes_1 *s;
	struct chela_node_call	 call = { .struct_size = sizeof call,
	    .node_id = "n1", .command = "system.which", .timeout_ms = 60000,
	    .idle_ms = 1000, .progress = svc_progress, .done = svc_done };
	struct chela_conn	*n1;
	struct json_object	*r;
	char			 id[37];
	int			 i;

	up();
	memset(&svc, 0, sizeof svc);
	s = fake_import(f, CHELA_NODES_SERVICE);
	CU_ASSERT_FATAL(s != NULL);
	CU_ASSERT_EQUAL(s->invoke(&call, id), -ENOENT);
	n1 = node_up("n1", "[\"system.which\"]");
	CU_ASSERT_EQUAL(s->invoke(&call, id), -EPERM);
	approve("n1");
	CU_ASSERT_EQUAL(s->invoke(&call, id), 0);
	for (i = 0; i < 5; i++) {
		fake_advance(f, SEC_US(0) + 900000);
		r = fake_callf(f, n1, "node.invoke.progress", "{\"invokeId\":"
		    "\"%s\",\"nodeId\":\"n1\",\"seq\":%d,\"chunk\":\"ab\"}", id,
		    i);
		CU_ASSERT_PTR_NULL(fake_get(r, "result.ignored"));
		json_object_put(r);
	}
	CU_ASSERT_EQUAL(s->input(id, "{\"a\":1}"), 0);
	CU_ASSERT_EQUAL(s->input(id, "2"), 0);
	CU_ASSERT_EQUAL(s->input("no", "2"), -ENOENT);
	r = fake_wait_event(f, n1, "node.invoke.input", 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "id"), id);
	CU_ASSERT_EQUAL(fake_int(r, "seq"), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "payloadJSON"), "2");
	/* A piece twice, or one too early, is not taken. */
	r = fake_callf(f, n1, "node.invoke.progress", "{\"invokeId\":\"%s\","
	    "\"nodeId\":\"n1\",\"seq\":4,\"chunk\":\"ab\"}", id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.ignored"), "true");
	json_object_put(r);
	CU_ASSERT_EQUAL(svc.n_bytes, 10);
	CU_ASSERT_EQUAL(svc.n_done, 0);
	fake_advance(f, SEC_US(2));
	CU_ASSERT_EQUAL(svc.n_done, 1);
	CU_ASSERT_STRING_EQUAL(svc.code, "TIMEOUT");
	call.progress = NULL;
	call.idle_ms = 0;
	CU_ASSERT_EQUAL(s->invoke(&call, id), 0);
	CU_ASSERT_EQUAL(s->cancel(id), 0);
	CU_ASSERT_EQUAL(s->cancel(id), -ENOENT);
	CU_ASSERT_EQUAL(s->invoke(&call, id), 0);
	node_down("n1");
	CU_ASSERT_STRING_EQUAL(svc.code, "DISCONNECTED");
	CU_ASSERT_EQUAL(svc.n_done, 2);
	CU_ASSERT_EQUAL(s->invoke(&call, id), -ENOTCONN);
	down();
}

static void
calls_of_one_node_are_bounded(void)
{
	const struct chela_nodes_1 *s;
	struct chela_node_call	 call = { .struct_size = sizeof call,
	    .node_id = "n1", .command = "system.which", .done = svc_done };
	struct fake_req		*rq;
	int			 i, r = 0;

	up();
	s = fake_import(f, CHELA_NODES_SERVICE);
	(void)node_up("n1", "[\"system.which\"]");
	approve("n1");
	for (i = 0; i < 1000 && r == 0; i++)
		r = s->invoke(&call, NULL);
	CU_ASSERT_EQUAL(r, -ENOBUFS);
	CU_ASSERT_EQUAL(i, 65);
	rq = invoke(NULL, "n1", "system.which", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "error.retryable"),
	    "true");
	fake_req_free(rq);
	down();
}

static void
catalogues_and_events(void)
{
	struct chela_conn	*n1;
	struct json_object	*r;

	up();
	n1 = node_up("n1", "[\"system.which\"]");
	approve("n1");
	r = fake_call(f, n1, "node.pluginTools.update", "{\"tools\":["
	    "{\"pluginId\":\"p\",\"name\":\"a\",\"description\":\"d\","
	    "\"command\":\"system.run\"},{\"pluginId\":\"p\",\"name\":\"b\","
	    "\"description\":\"d\",\"command\":\"system.which\"}]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.tools.0.name"), "b");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.tools.1"));
	json_object_put(r);
	r = fake_call(f, n1, "node.runnerInventory.update",
	    "{\"protocolFeatures\":[],\"workerHost\":{\"enabled\":false}}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nodeId"), "n1");
	json_object_put(r);
	r = fake_call(f, n1, "node.pluginSurface.refresh", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commands.0"),
	    "system.which");
	json_object_put(r);
	r = fake_call(f, n1, "node.event", "{\"event\":\"what.ever\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.handled"), "false");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.reason"),
	    "unsupported_event");
	json_object_put(r);
	r = fake_call(f, n1, "node.event", "{\"event\":\"node.presence.alive\","
	    "\"payload\":{\"trigger\":\"manual\"}}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.reason"), "persisted");
	json_object_put(r);
	r = fake_call(f, n1, "node.event", "{\"event\":"
	    "\"node.presence.activity\",\"payload\":{\"idleSeconds\":3}}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.reason"), "updated");
	json_object_put(r);
	/* An operator is no node, and a node no operator. */
	r = fake_call(f, NULL, "node.event", "{\"event\":\"x\"}");
	CU_ASSERT_FALSE(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, n1, "node.list", "{}");
	CU_ASSERT_FALSE(fake_ok(r));
	json_object_put(r);
	down();
}

/* 64 skills of 64 KiB are 4 MiB: sixteen such nodes would be the limit. */
static void
catalogues_are_bounded(void)
{
	struct chela_conn	*n1;
	struct json_object	*r;
	char			*text, id[16];
	size_t			 i, len = 0, size = 5u << 20, n_ok = 0;
	unsigned		 k;

	up();
	text = malloc(size);
	CU_ASSERT_FATAL(text != NULL);
	len += (size_t)snprintf(text, size, "{\"skills\":[");
	for (i = 0; i < 64; i++) {
		len += (size_t)snprintf(text + len, size - len, "%s{\"name\":"
		    "\"s%zu\",\"description\":\"d\",\"content\":\"",
		    i > 0 ? "," : "", i);
		memset(text + len, 'x', 65536);
		len += 65536;
		len += (size_t)snprintf(text + len, size - len, "\"}");
	}
	(void)snprintf(text + len, size - len, "]}");
	for (k = 0; k < 17; k++) {
		(void)snprintf(id, sizeof id, "n%u", k);
		n1 = node_up(id, "[]");
		approve(id);
		/* Twice: the second takes the place of the first. */
		for (i = 0; i < 2; i++) {
			r = fake_call(f, n1, "node.skills.update", text);
			n_ok += fake_ok(r);
			json_object_put(r);
		}
	}
	CU_ASSERT(n_ok == 2 * 15);
	/* One that goes makes room. */
	node_down("n0");
	r = fake_call(f, device_of("n16")->conn, "node.skills.update", text);
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	free(text);
	down();
}

static const struct cu_case cases[] = {
	CU_CASE(surface_is_withheld_until_approved_AB_066),
	CU_CASE(approval_needs_the_scopes_of_the_commands_AB_066),
	CU_CASE(widening_needs_another_approval_AB_066),
	CU_CASE(two_answers_to_one_request),
	CU_CASE(invoke_goes_to_one_node_and_back),
	CU_CASE(foreign_and_late_answers_are_dropped_AB_066),
	CU_CASE(time_limit_cancels),
	CU_CASE(node_that_goes_fails_its_calls_at_once_AB_131),
	CU_CASE(old_socket_cannot_act_AB_131),
	CU_CASE(policy_speaks_plainly),
	CU_CASE(queue_keeps_one_of_a_type),
	CU_CASE(queue_goes_by_the_time_that_passes),
	CU_CASE(remove_and_rename),
	CU_CASE(service_streams_and_silence_ends),
	CU_CASE(calls_of_one_node_are_bounded),
	CU_CASE(catalogues_and_events),
	CU_CASE(catalogues_are_bounded),
	CU_END
};

CU_MAIN("nodes", cases)
