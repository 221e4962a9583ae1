/* SPDX-License-Identifier: MIT */
/* Plugin nodes: system.run, what is approved and what runs (AB-080, AB-085). */
#include <errno.h>

#include "core/base/clock.h"
#include "tests/plugin/nodes_rig.h"

static void
run_needs_admin_or_an_approval_AB_085(void)
{
	struct chela_conn	*n1;
	struct fake_req		*rq;
	struct json_object	*e, *p;

	up();
	n1 = node_up("n1", "[\"system.run\"]");
	approve("n1");
	rq = invoke(operator("write approvals"), "n1", "system.run",
	    "{\"command\":[\"id\"],\"approved\":true,\"approvalDecision\":"
	    "\"allow-always\",\"runId\":\"made-up\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(rq)), "FORBIDDEN");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(fake_reply(rq)), "admin"));
	fake_req_free(rq);
	CU_ASSERT_EQUAL(fake_count(f, n1, "node.invoke.request"), 0);
	/* An administrator's call is built anew, of known members. */
	rq = invoke(operator("admin"), "n1", "system.run", "{\"command\":"
	    "[\"ls\",\"*\"],\"cwd\":\"/tmp\",\"env\":{\"LANG\":\"C\"},"
	    "\"approvalSource\":\"x\",\"evil\":1,\"rawCommand\":\"rm\"}");
	e = fake_wait_event(f, n1, "node.invoke.request", 0);
	p = json_tokener_parse(fake_str(e, "paramsJSON"));
	CU_ASSERT_STRING_EQUAL(fake_str(p, "command"), "[ \"ls\", \"*\" ]");
	CU_ASSERT_STRING_EQUAL(fake_str(p, "cwd"), "/tmp");
	CU_ASSERT_STRING_EQUAL(fake_str(p, "env.LANG"), "C");
	CU_ASSERT_PTR_NULL(fake_get(p, "approved"));
	CU_ASSERT_STRING_NOT_EQUAL(fake_str(p, "runId"), "");
	CU_ASSERT_PTR_NULL(fake_get(p, "evil"));
	CU_ASSERT_PTR_NULL(fake_get(p, "approvalSource"));
	CU_ASSERT_PTR_NULL(fake_get(p, "rawCommand"));
	json_object_put(p);
	CU_ASSERT(answer(n1, "n1", fake_str(e, "id"), "\"ok\":true"));
	CU_ASSERT(fake_ok(fake_reply(rq)));
	fake_req_free(rq);
	/* With the plan that it prepared the node hears of the approval. */
	rq = invoke(operator("admin"), "n1", "system.run", "{\"command\":"
	    "[\"ls\"],\"systemRunPlan\":{\"argv\":[\"ls\"],\"cwd\":null,"
	    "\"commandText\":\"ls\",\"evil\":1}}");
	e = fake_wait_event(f, n1, "node.invoke.request", 1);
	p = json_tokener_parse(fake_str(e, "paramsJSON"));
	CU_ASSERT_STRING_EQUAL(fake_str(p, "approved"), "true");
	CU_ASSERT_STRING_EQUAL(fake_str(p, "systemRunPlan.commandText"), "ls");
	CU_ASSERT_PTR_NULL(fake_get(p, "systemRunPlan.evil"));
	json_object_put(p);
	fake_req_free(rq);
	down();
}

static void
run_has_an_exact_plan_AB_080(void)
{
	static const char *const bad[] = {
		"{\"command\":\"rm -rf /\"}", "{\"command\":[]}",
		"{\"command\":[\"\"]}", "{\"command\":[\"a\",1]}", "{}",
		"{\"command\":[\"a\\u0000b\"]}", "[]",
		"{\"command\":[\"a\"],\"systemRunPlan\":{\"argv\":[\"b\"]}}",
		"{\"command\":[\"a\"],\"cwd\":\"/x\",\"systemRunPlan\":"
		    "{\"argv\":[\"a\"],\"cwd\":\"/y\"}}",
		"{\"command\":[\"a\"],\"env\":{\"A=B\":\"c\"}}",
		"{\"command\":[\"a\"],\"env\":{\"A\":1}}",
		"{\"command\":[\"a\"],\"agentId\":1}",
	};
	struct fake_req	*rq;
	struct chela_conn *n1;
	size_t		 i;

	up();
	n1 = node_up("n1", "[\"system.run\"]");
	approve("n1");
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		rq = invoke(NULL, "n1", "system.run", bad[i]);
		CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(rq)),
		    "INVALID_REQUEST");
		fake_req_free(rq);
	}
	CU_ASSERT_EQUAL(fake_count(f, n1, "node.invoke.request"), 0);
	down();
}

static void
run_asks_and_runs_what_was_approved_AB_080(void)
{
	struct chela_conn	*n1, *op;
	struct fake_req		*rq;
	struct json_object	*e, *p;

	up_with(true);
	n1 = node_up("n1", "[\"system.run\"]");
	approve("n1");
	op = operator("write");
	rq = invoke(op, "n1", "system.run", "{\"command\":[\"uname\",\"-a\"]}");
	CU_ASSERT(ap.is_waiting);
	CU_ASSERT_STRING_EQUAL(ap.argv, "uname|-a|");
	CU_ASSERT_EQUAL(fake_count(f, n1, "node.invoke.request"), 0);
	ap_answer(CHELA_ALLOW_ONCE);
	CU_ASSERT_EQUAL(ap.n_claims, 1);
	e = fake_wait_event(f, n1, "node.invoke.request", 0);
	p = json_tokener_parse(fake_str(e, "paramsJSON"));
	CU_ASSERT_STRING_EQUAL(fake_str(p, "command"),
	    "[ \"uname\", \"-a\" ]");
	json_object_put(p);
	CU_ASSERT(answer(n1, "n1", fake_str(e, "id"), "\"ok\":true"));
	CU_ASSERT(fake_ok(fake_reply(rq)));
	fake_req_free(rq);
	/* No, and nobody: it does not run. */
	rq = invoke(op, "n1", "system.run", "{\"command\":[\"uname\"]}");
	ap_answer(CHELA_DENY);
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(rq)), "FORBIDDEN");
	fake_req_free(rq);
	rq = invoke(op, "n1", "system.run", "{\"command\":[\"uname\"]}");
	ap_answer(CHELA_DECISION_NONE);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "error.details.code"),
	    "APPROVAL_DENIED");
	fake_req_free(rq);
	/* The caller goes while people think. */
	rq = invoke(op, "n1", "system.run", "{\"command\":[\"uname\"]}");
	fake_req_cancel(rq);
	CU_ASSERT_EQUAL(ap.n_cancels, 1);
	ap_answer(CHELA_ALLOW_ONCE);
	fake_req_free(rq);
	/* The node goes while people think. */
	rq = invoke(op, "n1", "system.run", "{\"command\":[\"uname\"]}");
	node_down("n1");
	ap_answer(CHELA_ALLOW_ONCE);
	CU_ASSERT_STRING_EQUAL(fake_message(fake_reply(rq)),
	    "node not connected");
	fake_req_free(rq);
	down();
}

static void
named_approval_is_claimed_AB_085(void)
{
	static const struct {
		int		 r;
		const char	*code;
	} rows[] = {
		{ -ENOENT, "APPROVAL_NOT_FOUND" },
		{ -EACCES, "APPROVAL_DENIED" },
		{ -EALREADY, "APPROVAL_SPENT" },
		{ -EPERM, "APPROVAL_INVALID" },
		{ -EBADMSG, "APPROVAL_MISMATCH" },
		{ -EAGAIN, "APPROVAL_PENDING" },
	};
	struct chela_conn	*n1;
	struct fake_req		*rq;
	size_t			 i;

	up_with(true);
	n1 = node_up("n1", "[\"system.run\"]");
	approve("n1");
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ap.claim_r = rows[i].r;
		rq = invoke(operator("write"), "n1", "system.run",
		    "{\"command\":[\"id\"],\"approved\":true,\"runId\":\"x\"}");
		CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(rq)), "FORBIDDEN");
		CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq),
		    "error.details.code"), rows[i].code);
		fake_req_free(rq);
	}
	CU_ASSERT_EQUAL(fake_count(f, n1, "node.invoke.request"), 0);
	ap.claim_r = 0;
	rq = invoke(operator("write"), "n1", "system.run",
	    "{\"command\":[\"id\"],\"approvalId\":\"ap-1\"}");
	CU_ASSERT_EQUAL(fake_count(f, n1, "node.invoke.request"), 1);
	fake_req_free(rq);
	down();
}

static const struct cu_case cases[] = {
	CU_CASE(run_needs_admin_or_an_approval_AB_085),
	CU_CASE(run_has_an_exact_plan_AB_080),
	CU_CASE(run_asks_and_runs_what_was_approved_AB_080),
	CU_CASE(named_approval_is_claimed_AB_085),
	CU_END
};

CU_MAIN("nodes_run", cases)
