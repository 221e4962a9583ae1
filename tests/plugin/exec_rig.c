/* SPDX-License-Identifier: MIT */
/* Plugin exec-approvals on the fake host, with the people that it asks. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/plugin/exec_rig.h"
#include "tests/unit/cu.h"

struct fake			*f;
struct chela_conn		*asker, *reviewer, *admin;
const struct chela_approvals_1	*svc;
char				 doc_path[512];

void
people(void)
{
	asker = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "gateway-client" });
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "cli",
	    .caps = "exec-approvals", .display_name = "Ann" });
	admin = fake_conn_new(f, NULL);
}

void
setup(void)
{
	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "approvals"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "exec-approvals"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_APPROVALS_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc);
	(void)snprintf(doc_path, sizeof doc_path, "%s/exec-approvals.json",
	    fake_host(f)->state_dir());
	people();
	fake_settle(f);
}

void
teardown(void)
{
	fake_free(f);
	f = NULL;
}

void
write_doc(const char *text, mode_t mode)
{
	FILE	*o;

	(void)unlink(doc_path);
	o = fopen(doc_path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	(void)fputs(text, o);
	(void)fclose(o);
	CU_ASSERT_EQUAL(chmod(doc_path, mode), 0);
}

/* --- plans --- */

struct chela_plan
plan_of(const char *const *argv)
{
	struct chela_plan	p = { .struct_size = sizeof p };

	p.argv = argv;
	while (argv[p.argc] != NULL)
		p.argc++;
	return (p);
}

struct got			got;

static void
on_policy(struct chela_ctx *ctx, uint32_t verdict, const char *why, void *arg)
{
	CU_ASSERT_PTR_EQUAL(ctx, fake_ctx(f, ""));
	CU_ASSERT_PTR_EQUAL(arg, &got);
	got.came = true;
	got.what = verdict;
	(void)snprintf(got.text, sizeof got.text, "%s", why);
}

bool
has_come(void *arg)
{
	(void)arg;
	return (got.came);
}

uint32_t
judge(const struct chela_plan *p)
{
	memset(&got, 0, sizeof got);
	CU_ASSERT_EQUAL_FATAL(svc->check(fake_ctx(f, ""), p, on_policy, &got),
	    0);
	CU_ASSERT_FALSE(got.came);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	return (got.what);
}

uint32_t
judge_argv(const char *const *argv)
{
	struct chela_plan	p = plan_of(argv);

	p.cwd = "/";
	return (judge(&p));
}

static void
on_done(struct chela_ctx *ctx, const char *id, uint32_t decision,
    const char *reason, void *arg)
{
	(void)ctx;
	(void)arg;
	got.came = true;
	got.n++;
	got.what = decision;
	(void)snprintf(got.text, sizeof got.text, "%s", reason);
	(void)snprintf(got.id, sizeof got.id, "%s", id);
}

void
ask(const struct chela_plan *p, struct chela_conn *caller, char *ret_id)
{
	struct chela_approval_ask a = { .struct_size = sizeof a };

	memset(&got, 0, sizeof got);
	a.caller = caller;
	a.timeout_ms = 5000;
	CU_ASSERT_EQUAL_FATAL(svc->request(fake_ctx(f, ""), p, &a, ret_id,
	    on_done, &got), 0);
	CU_ASSERT_FALSE(got.came);
}

void
answer(const char *id, const char *decision)
{
	struct json_object	*r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fake_wait_event(f, reviewer,
	    "exec.approval.requested", fake_count(f, reviewer,
	    "exec.approval.resolved")));
	r = fake_callf(f, reviewer, "exec.approval.resolve",
	    "{\"id\":\"%s\",\"decision\":\"%s\"}", id, decision);
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
}
