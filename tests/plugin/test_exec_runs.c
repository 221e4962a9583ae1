/* SPDX-License-Identifier: MIT */
/* Plugin exec-approvals: the questions, what is approved and what runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/plugin/exec_rig.h"
#include "tests/unit/cu.h"

#define N_OF(a)		(sizeof(a) / sizeof((a)[0]))
#define BIG		(1024u * 1024u)
#define RACE_ROUNDS	10000u

/* AB-080 */
static void
only_the_approved_plan_runs(void)
{
	static const char *const argv[] = { "/usr/bin/uname", "-a", NULL };
	static const char *const others[][4] = {
		{ "/usr/bin/uname", NULL }, { "/usr/bin/uname", "-r", NULL },
		{ "/usr/bin/uname", "-a", "", NULL },
		{ "/usr/bin/uname", "-", "a", NULL },
		{ "/usr/bin/uname -a", NULL }, { "uname", "-a", NULL },
	};
	struct chela_plan	 p, q;
	struct json_object	*env, *env2, *ran = NULL;
	char			 id[CHELA_APPROVAL_ID_MAX + 1], a[65], b[65];
	unsigned		 i;

	setup();
	write_doc(ASKING, 0600);
	env = json_object_new_object();
	json_object_object_add(env, "A", json_object_new_string("1"));
	json_object_object_add(env, "B", json_object_new_string("2"));
	env2 = json_object_new_object();
	json_object_object_add(env2, "A", json_object_new_string("1"));
	json_object_object_add(env2, "B", json_object_new_string("3"));
	p = plan_of(argv);
	p.cwd = "/srv";
	p.env = env;
	p.agent_id = "main";
	p.session_key = "agent:main:main";
	p.node_id = "n1";
	for (i = 0; i < 6 + N_OF(others); i++) {
		ask(&p, asker, id);
		answer(id, "allow-once");
		CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ONCE);
		q = p;
		switch (i) {
		case 0:
			q.cwd = NULL;
			break;
		case 1:
			q.cwd = "/srv/";
			break;
		case 2:
			q.env = env2;
			break;
		case 3:
			q.agent_id = "other";
			break;
		case 4:
			q.session_key = "agent:main:x";
			break;
		case 5:
			q.node_id = "n2";
			break;
		default:
			q.argv = others[i - 6];
			q.argc = 0;
			while (q.argv[q.argc] != NULL)
				q.argc++;
		}
		CU_ASSERT_EQUAL(svc->digest(&p, a), 0);
		CU_ASSERT_EQUAL(svc->digest(&q, b), 0);
		CU_ASSERT_STRING_NOT_EQUAL(a, b);
		CU_ASSERT_EQUAL(svc->claim(id, asker, &q, &ran), -EBADMSG);
		CU_ASSERT_PTR_NULL(ran);
		/* And the right one is too late then. */
		CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EALREADY);
	}
	/* The order of variables is no difference. */
	json_object_put(env2);
	env2 = json_object_new_object();
	json_object_object_add(env2, "B", json_object_new_string("2"));
	json_object_object_add(env2, "A", json_object_new_string("1"));
	ask(&p, asker, id);
	/* What the caller changes after asking is not what was asked. */
	json_object_object_add(env, "C", json_object_new_string("x"));
	answer(id, "allow-once");
	q = p;
	q.env = env2;
	CU_ASSERT_EQUAL(svc->claim(id, asker, &q, &ran), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(ran, "argv.1"), "-a");
	CU_ASSERT_STRING_EQUAL(fake_str(ran, "cwd"), "/srv");
	CU_ASSERT_STRING_EQUAL(fake_str(ran, "env.B"), "2");
	CU_ASSERT_PTR_NULL(fake_get(ran, "env.C"));
	CU_ASSERT_STRING_EQUAL(fake_str(ran, "nodeId"), "n1");
	json_object_put(ran);
	json_object_put(env);
	json_object_put(env2);
	teardown();
}

/* AB-085 */
static void
one_yes_is_one_run(void)
{
	static const char *const argv[] = { "/usr/bin/uname", NULL };
	struct chela_plan	 p = plan_of(argv);
	struct chela_conn	*other;
	char			 id[CHELA_APPROVAL_ID_MAX + 1], id2[80];

	setup();
	write_doc(ASKING, 0600);
	other = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "admin", .device_id = "d9" });
	CU_ASSERT_EQUAL(svc->claim("guess", NULL, &p, NULL), -ENOENT);
	ask(&p, asker, id);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 0));
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EAGAIN);
	answer(id, "allow-once");
	CU_ASSERT_STRING_EQUAL(got.text, "user");
	CU_ASSERT_EQUAL(svc->claim(id, other, &p, NULL), -EPERM);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EALREADY);
	CU_ASSERT_EQUAL(svc->claim(id, NULL, &p, NULL), -EALREADY);
	/* After a no. */
	ask(&p, asker, id);
	answer(id, "deny");
	CU_ASSERT_EQUAL(got.what, CHELA_DENY);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EACCES);
	/* After the timeout: no answer is a no. */
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 2));
	fake_advance(f, 5000000);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_EQUAL(got.what, CHELA_DECISION_NONE);
	CU_ASSERT_STRING_EQUAL(got.text, "timeout");
	CU_ASSERT_NOT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	/* A yes that nobody used in its time. */
	ask(&p, asker, id);
	answer(id, "allow-once");
	fake_advance(f, 5000000);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -ENOENT);
	/* Called off before and after the answer. */
	ask(&p, asker, id);
	CU_ASSERT_EQUAL(svc->cancel(id), 0);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_STRING_EQUAL(got.text, "run-aborted");
	fake_settle(f);
	CU_ASSERT_EQUAL(got.n, 1);
	CU_ASSERT_NOT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	fake_events_clear(f);
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 0));
	CU_ASSERT_EQUAL(svc->cancel(id), 0);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_STRING_EQUAL(got.text, "run-aborted");
	CU_ASSERT_EQUAL(got.n, 1);
	/* Nobody can answer. */
	fake_events_clear(f);
	fake_conn_close(reviewer);
	fake_conn_close(admin);
	ask(&p, asker, id);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_EQUAL(got.what, CHELA_DECISION_NONE);
	CU_ASSERT_STRING_EQUAL(got.text, "no-route");
	CU_ASSERT_NOT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	/* After a restart. */
	people();
	ask(&p, asker, id);
	answer(id, "allow-once");
	ask(&p, asker, id2);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 1));
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_APPROVALS_SERVICE);
	CU_ASSERT_EQUAL(svc->claim(id, NULL, &p, NULL), -ENOENT);
	CU_ASSERT_EQUAL(svc->claim(id2, NULL, &p, NULL), -ENOENT);
	teardown();
}

static uint32_t	seed;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return ((seed >> 8) % n);
}

static void
shuffle(unsigned char *a, unsigned n)
{
	unsigned	i, j;
	unsigned char	x;

	for (i = n; i > 1; i--) {
		j = rnd(i);
		x = a[i - 1];
		a[i - 1] = a[j];
		a[j] = x;
	}
}

/*
 * AB-123, AB-085: two who answer, one who calls it off, the clock and two who
 * want to run it, in any order, the loop turned in between or not. One outcome,
 * told once; at most one run, and none unless the first word was yes.
 */
static void
one_run_in_any_race(void)
{
	static const char *const argv[] = { "/usr/bin/uname", NULL };
	static const char *const said[] = { "allow-once", "deny" };
	struct chela_plan	 p = plan_of(argv);
	struct fake_req		*a[2];
	const char		*env = getenv("RACE_SEED");
	char			 id[CHELA_APPROVAL_ID_MAX + 1], params[256];
	unsigned char		 order[6];
	uint32_t		 begun, round, turn, n_runs;
	unsigned		 i;
	bool			 is_over, is_yes;
	int			 r;

	seed = begun = env != NULL ? (uint32_t)strtoul(env, NULL, 10) :
	    20261125u;
	setup();
	write_doc(ASKING, 0600);
	for (round = 0; round < RACE_ROUNDS; round++) {
		ask(&p, asker, id);
		if (fake_wait_event(f, reviewer, "exec.approval.requested",
		    0) == NULL)
			break;
		a[0] = a[1] = NULL;
		is_over = is_yes = false;
		n_runs = 0;
		turn = rnd(64);
		for (i = 0; i < 6; i++)
			order[i] = (unsigned char)i;
		shuffle(order, 6);
		for (i = 0; i < 6; i++) {
			switch (order[i]) {
			case 0:
			case 1:
				(void)snprintf(params, sizeof params,
				    "{\"id\":\"%s\",\"decision\":\"%s\"}", id,
				    said[order[i]]);
				a[order[i]] = fake_send(f, order[i] == 0 ?
				    reviewer : admin, "exec.approval.resolve",
				    params);
				is_yes = is_yes || (!is_over && order[i] == 0);
				is_over = true;
				break;
			case 2:
				(void)svc->cancel(id);
				is_over = true;
				break;
			case 3:
				fake_advance(f, 5000000);
				is_over = true;
				break;
			default:
				r = svc->claim(id, order[i] == 4 ? asker : NULL,
				    &p, NULL);
				n_runs += r == 0;
				if (r == 0)
					CU_ASSERT_TRUE(is_yes);
			}
			if ((turn & 1u << i) != 0)
				fake_settle(f);
		}
		CU_ASSERT_EQUAL(fake_wait(f, has_come, NULL), 0);
		(void)fake_reply(a[0]);
		(void)fake_reply(a[1]);
		CU_ASSERT_TRUE(!fake_ok(fake_reply(a[0])) ||
		    !fake_ok(fake_reply(a[1])));
		fake_settle(f);
		CU_ASSERT_EQUAL(got.n, 1);
		CU_ASSERT_TRUE(n_runs <= 1);
		if (got.what == CHELA_ALLOW_ONCE)
			CU_ASSERT_TRUE(is_yes);
		if (n_runs == 1)
			CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ONCE);
		/* Whatever came of it, it is over now. */
		CU_ASSERT_NOT_EQUAL(svc->claim(id, NULL, &p, NULL), 0);
		fake_req_free(a[0]);
		fake_req_free(a[1]);
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
always_makes_a_rule(void)
{
	static const char *const argv[] = { "/usr/bin/uname", "-a", "b c",
	    NULL };
	static const char *const less[] = { "/usr/bin/uname", "-a", NULL };
	struct chela_plan	 p = plan_of(argv);
	struct json_object	*r;
	char			 id[CHELA_APPROVAL_ID_MAX + 1];

	setup();
	write_doc(ASKING, 0600);
	ask(&p, asker, id);
	answer(id, "allow-always");
	CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ALWAYS);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	fake_settle(f);
	/* The same without a question, once for each id. */
	ask(&p, asker, id);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ONCE);
	CU_ASSERT_STRING_EQUAL(got.text, "policy");
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EALREADY);
	CU_ASSERT_EQUAL(fake_count(f, reviewer, "exec.approval.requested"), 1);
	CU_ASSERT_EQUAL(judge_argv(less), CHELA_POLICY_ASK);
	r = fake_call(f, admin, "exec.approvals.get", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.file.agents.main.allowlist.0.source"), "allow-always");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.file.agents.main.allowlist.0.lastResolvedPath"),
	    "/usr/bin/uname");
	CU_ASSERT_EQUAL(fake_int(r,
	    "result.file.agents.main.allowlist.0.lastUsedAt"), NOW_MS);
	json_object_put(r);
	/* Where it cannot be kept it is not offered. */
	p.node_id = "n1";
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 1));
	r = fake_callf(f, reviewer, "exec.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"allow-always\"}", id);
	CU_ASSERT_FALSE(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.allowedDecisions.1"),
	    "deny");
	json_object_put(r);
	teardown();
}

static void
a_fallback_is_for_silence_alone(void)
{
	static const char *const argv[] = { "/usr/bin/uname", NULL };
	struct chela_plan	 p = plan_of(argv);
	char			 id[CHELA_APPROVAL_ID_MAX + 1];

	setup();
	write_doc("{\"version\":1,\"defaults\":{\"security\":\"allowlist\","
	    "\"askFallback\":\"full\"}}", 0600);
	ask(&p, asker, id);
	answer(id, "deny");
	CU_ASSERT_EQUAL(got.what, CHELA_DENY);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -EACCES);
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 1));
	fake_advance(f, 5000000);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ONCE);
	CU_ASSERT_STRING_EQUAL(got.text, "policy");
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	teardown();
}

/* AB-118: what somebody does to the wall clock moves no end of anything. */
static void
a_yes_goes_by_the_time_that_passes(void)
{
	static const char *const argv[] = { "/usr/bin/uname", NULL };
	static const uint64_t	 walls[] = { 1000, NOW_MS - 86400000,
	    NOW_MS + 86400000, NOW_MS + UINT64_C(315360000000) };
	struct chela_plan	 p = plan_of(argv);
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	size_t			 i;

	for (i = 0; i < N_OF(walls); i++) {
		/* Of a person: as long as the request was open. */
		setup();
		write_doc(ASKING, 0600);
		ask(&p, asker, id);
		answer(id, "allow-once");
		fake_clock_set(f, walls[i]);
		CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
		ask(&p, asker, id);
		answer(id, "allow-once");
		fake_clock_set(f, NOW_MS);
		fake_advance(f, 5000000);
		CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), -ENOENT);
		teardown();
		/* Of the policy: a minute. */
		setup();
		write_doc("{\"version\":1,\"defaults\":{\"security\":"
		    "\"allowlist\",\"askFallback\":\"full\"}}", 0600);
		ask(&p, asker, id);
		CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
		    "exec.approval.requested", 0));
		fake_advance(f, 5000000);
		CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
		CU_ASSERT_STRING_EQUAL(got.text, "policy");
		fake_clock_set(f, walls[i]);
		fake_advance(f, 59999000);
		/* It is good but once: at the last moment, or a moment later. */
		if (i % 2 == 0)
			CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
		fake_advance(f, 1000);
		if (i % 2 != 0)
			CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL),
			    -ENOENT);
		teardown();
	}
}

static void
scheduled_jobs_keep_their_yes(void)
{
	static const char *const argv[] = { "/usr/bin/uname", NULL };
	struct chela_plan	 p = plan_of(argv);
	struct json_object	*r;
	char			 id[CHELA_APPROVAL_ID_MAX + 1], grant[40];

	setup();
	write_doc(ASKING, 0600);
	p.agent_id = "main";
	p.node_id = "n1";
	p.session_key = "agent:main:cron:job1:run:1";
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 0));
	r = fake_callf(f, reviewer, "exec.approval.resolve", "{\"id\":\"%s\","
	    "\"decision\":\"allow-always\",\"grantExpiresInDays\":2}", id);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	fake_settle(f);
	r = fake_call(f, reviewer, "exec.approval.grants.list", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.grants.0.cronJobId"),
	    "job1");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.grants.0.mintedByApprovalId"), id);
	CU_ASSERT_EQUAL(fake_int(r, "result.grants.0.expiresAtMs"),
	    NOW_MS + 2 * 86400000);
	CU_ASSERT_PTR_NULL(fake_get(r, "result.grants.0.digest"));
	(void)snprintf(grant, sizeof grant, "%s", fake_str(r,
	    "result.grants.0.grantId"));
	json_object_put(r);
	p.session_key = "agent:main:cron:job1:run:2";
	ask(&p, asker, id);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	CU_ASSERT_EQUAL(got.what, CHELA_ALLOW_ALWAYS);
	CU_ASSERT_EQUAL(svc->claim(id, asker, &p, NULL), 0);
	/* Another job, another node. */
	p.session_key = "agent:main:cron:job2:run:1";
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 1));
	answer(id, "deny");
	p.session_key = "agent:main:cron:job1:run:3";
	p.node_id = "n2";
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 2));
	answer(id, "deny");
	/* Taken back, and over. */
	r = fake_callf(f, reviewer, "exec.approval.grants.revoke",
	    "{\"grantId\":\"%s\"}", grant);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.outcome"), "revoked");
	json_object_put(r);
	r = fake_callf(f, reviewer, "exec.approval.grants.revoke",
	    "{\"grantId\":\"%s\"}", grant);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.outcome"),
	    "already-revoked");
	json_object_put(r);
	r = fake_call(f, reviewer, "exec.approval.grants.revoke",
	    "{\"grantId\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.outcome"), "not-found");
	json_object_put(r);
	r = fake_call(f, reviewer, "exec.approval.grants.list", "{}");
	CU_ASSERT_EQUAL(fake_int(r, "result.grants.0.useCount"), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.grants.0.revokedBy"), "Ann");
	json_object_put(r);
	p.node_id = "n1";
	ask(&p, asker, id);
	CU_ASSERT_PTR_NOT_NULL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 3));
	teardown();
}

/* --- exec.approval.* --- */

static void
requests_of_clients(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			 id[80];

	setup();
	rq = fake_send(f, asker, "exec.approval.request", "{\"command\":"
	    "\"uname -a\",\"cwd\":\"/srv\",\"twoPhase\":true,\"id\":"
	    "\"my-first-approval\",\"timeoutMs\":5000}");
	r = fake_wait_event(f, reviewer, "exec.approval.requested", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "approvalKind"), "exec");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.command"), "uname -a");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.cwd"), "/srv");
	(void)snprintf(id, sizeof id, "%s", fake_str(r, "id"));
	CU_ASSERT_STRING_EQUAL(id, "my-first-approval");
	fake_settle(f);
	CU_ASSERT_EQUAL(json_object_array_length(fake_interims(rq)), 1);
	r = fake_call(f, reviewer, "exec.approval.get",
	    "{\"id\":\"my-first-approval\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.commandText"), "uname -a");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.warningText"),
	    "runs in /srv");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"command\":\"x\",\"id\":\"my-first-approval\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "approval id already pending");
	json_object_put(r);
	r = fake_call(f, reviewer, "exec.approval.list", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.0.request.command"),
	    "uname -a");
	json_object_put(r);
	r = fake_call(f, reviewer, "exec.approval.resolve",
	    "{\"id\":\"my-first\",\"decision\":\"allow-once\"}");
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	r = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.decision"), "allow-once");
	fake_req_free(rq);
	r = fake_call(f, asker, "exec.approval.waitDecision",
	    "{\"id\":\"my-first-approval\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.terminalReason"), "user");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"command\":\"x\",\"id\":\"my-first-approval\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "approval request unavailable");
	json_object_put(r);
	r = fake_call(f, reviewer, "exec.approval.resolve",
	    "{\"id\":\"my-first-approval\",\"decision\":\"deny\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "APPROVAL_ALREADY_RESOLVED");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.waitDecision",
	    "{\"id\":\"none\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "approval expired or not found");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"host\":\"node\",\"command\":\"x\",\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "systemRunPlan is required for host=node");
	json_object_put(r);
	/* Through the methods for all kinds as well. */
	rq = fake_send(f, asker, "exec.approval.request",
	    "{\"commandArgv\":[\"uname\"]}");
	r = fake_wait_event(f, reviewer, "exec.approval.requested", 1);
	(void)snprintf(id, sizeof id, "%s", fake_str(r, "id"));
	r = fake_callf(f, reviewer, "approval.resolve", "{\"id\":\"%s\","
	    "\"kind\":\"exec\",\"decision\":\"deny\"}", id);
	CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r, "result.applied")));
	json_object_put(r);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "result.decision"),
	    "deny");
	fake_req_free(rq);
	CU_ASSERT_EQUAL(fake_count(f, reviewer, "exec.approval.resolved"), 2);
	r = fake_call(f, admin, "exec.approvals.node.get",
	    "{\"nodeId\":\"n1\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.nodeError.code"),
	    "NOT_CONNECTED");
	json_object_put(r);
	teardown();
}

/* What a client had approved for a node is good for that run on that node. */
static void
a_clients_plan_can_be_claimed(void)
{
	static const char *const argv[] = { "uname", "-a", NULL };
	struct chela_plan	 p = plan_of(argv);
	struct fake_req		*rq;

	setup();
	p.cwd = "/srv";
	p.node_id = "n1";
	rq = fake_send(f, asker, "exec.approval.request", "{\"host\":\"node\","
	    "\"nodeId\":\"n1\",\"id\":\"approval-1\",\"systemRunPlan\":{"
	    "\"argv\":[\"uname\",\"-a\"],\"cwd\":\"/srv\",\"commandText\":"
	    "\"harmless\",\"agentId\":null,\"sessionKey\":null}}");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_wait_event(f, reviewer,
	    "exec.approval.requested", 0), "request.command"), "uname -a");
	got.came = true;
	answer("approval-1", "allow-once");
	CU_ASSERT_EQUAL(svc->claim("approval-1", reviewer, &p, NULL), -EPERM);
	CU_ASSERT_EQUAL(svc->claim("approval-1", asker, &p, NULL), 0);
	CU_ASSERT_EQUAL(svc->claim("approval-1", asker, &p, NULL), -EALREADY);
	fake_req_free(rq);
	teardown();
}

static void
put(char *to, const char *s)
{
	memcpy(to, s, strlen(s) + 1);
}

/* AB-084 */
static void
all_of_it_is_shown(void)
{
	struct json_object	*r;
	struct fake_req		*rq;
	char			*big;
	const char		*text;

	setup();
	big = malloc(BIG + 128);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	put(big, "{\"command\":\"");
	memset(big + 12, 'a', BIG);
	put(big + 12 + BIG, "\"}");
	r = fake_call(f, asker, "exec.approval.request", big);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r), "too long"));
	json_object_put(r);
	put(big, "{\"commandArgv\":[\"x\",\"");
	memset(big + 21, 'a', BIG);
	put(big + 21 + BIG, "\"]}");
	r = fake_call(f, asker, "exec.approval.request", big);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r), "too long"));
	json_object_put(r);
	CU_ASSERT_EQUAL(fake_count(f, reviewer, "exec.approval.requested"), 0);
	/* Long, but not too long: to the last byte, and a note of the length. */
	memset(big + 21, 'a', 60000);
	put(big + 21 + 60000, " ; reboot\"]}");
	rq = fake_send(f, asker, "exec.approval.request", big);
	r = fake_wait_event(f, reviewer, "exec.approval.requested", 0);
	text = fake_str(r, "request.command");
	CU_ASSERT_EQUAL(strlen(text), 60000 + 9 + 4);
	CU_ASSERT_STRING_EQUAL(text + strlen(text) - 9, "; reboot'");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_str(r, "request.commandPreview"),
	    "(60013 bytes)"));
	fake_req_free(rq);
	free(big);
	rq = fake_send(f, asker, "exec.approval.request", "{\"commandArgv\":["
	    "\"a b\",\"it's\",\"\\u202etxt.exe\",\"\\u001b[2J\",\"x\\ny\","
	    "\"\",\"--opt=1\",\"\\u200b\",\"\\ud83d\\ude00\",\"\\\\\"],"
	    "\"env\":{\"A\":\"\\u2066b\"},\"cwd\":\"/s\\u202erv\","
	    "\"warningText\":\"all\\u0007 good\"}");
	r = fake_wait_event(f, reviewer, "exec.approval.requested", 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.command"),
	    "A=$'\\u2066b' 'a b' $'it\\'s' $'\\u202etxt.exe' $'\\x1b[2J' "
	    "$'x\\ny' '' --opt=1 $'\\u200b' '\xf0\x9f\x98\x80' $'\\\\'");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.commandArgv.2"),
	    "\\u202etxt.exe");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.cwd"), "/s\\u202erv");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.warningText"),
	    "all\\x07 good; runs in /s\\u202erv");
	fake_req_free(rq);
	rq = fake_send(f, asker, "exec.approval.request",
	    "{\"command\":\"ls \\u202e\\nrm -rf\\r\"}");
	r = fake_wait_event(f, reviewer, "exec.approval.requested", 2);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "request.command"),
	    "ls \\u202e\\nrm -rf\\r");
	fake_req_free(rq);
	/* Nothing that a program cannot be given. */
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"commandArgv\":[\"a\\u0000b\"]}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"commandArgv\":[\"a\"],\"env\":{\"A=B\":\"c\"}}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	r = fake_call(f, asker, "exec.approval.request",
	    "{\"commandArgv\":[]}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	teardown();
}

/* AB-058, AB-085 */
static void
only_the_scope_lets_in(void)
{
	static const char *const	 methods[] = { "exec.approval.request",
	    "exec.approval.waitDecision", "exec.approval.resolve",
	    "exec.approval.get", "exec.approval.list",
	    "exec.approval.grants.list", "exec.approval.grants.revoke",
	    "exec.approvals.get", "exec.approvals.set",
	    "exec.approvals.node.get", "exec.approvals.node.set" };
	struct json_object		*r;
	struct chela_conn		*c;
	size_t				 i;

	setup();
	c = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "read write pairing questions", .caps = "approvals" });
	for (i = 0; i < N_OF(methods); i++) {
		r = fake_call(f, c, methods[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
		json_object_put(r);
		if (i < 7)
			continue;
		r = fake_call(f, reviewer, methods[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
		json_object_put(r);
	}
	teardown();
}

static const struct cu_case cases[] = {
	CU_CASE(only_the_approved_plan_runs),
	CU_CASE(one_yes_is_one_run),
	CU_CASE(always_makes_a_rule),
	CU_CASE(a_fallback_is_for_silence_alone),
	CU_CASE(a_yes_goes_by_the_time_that_passes),
	CU_CASE(scheduled_jobs_keep_their_yes),
	CU_CASE(requests_of_clients),
	CU_CASE(a_clients_plan_can_be_claimed),
	CU_CASE(all_of_it_is_shown),
	CU_CASE(only_the_scope_lets_in),
	CU_CASE(one_run_in_any_race),
	CU_END
};
CU_MAIN("exec-approvals: runs", cases)
