/* SPDX-License-Identifier: MIT */
/*
 * Plugin exec-approvals: the policy, the questions, what is approved and what
 * runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/services/approvals.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define NOW_MS		UINT64_C(1795343041000)
#define N_OF(a)		(sizeof(a) / sizeof((a)[0]))
#define BIG		(1024u * 1024u)
#define RACE_ROUNDS	10000u

static struct fake			*f;
static struct chela_conn		*asker, *reviewer, *admin;
static const struct chela_approvals_1	*svc;
static char				 bin[256], doc_path[512];

static void
people(void)
{
	asker = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "gateway-client" });
	reviewer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "approvals", .client_id = "cli",
	    .caps = "exec-approvals", .display_name = "Ann" });
	admin = fake_conn_new(f, NULL);
}

static void
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

static void
teardown(void)
{
	fake_free(f);
	f = NULL;
}

static void
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

static struct chela_plan
plan_of(const char *const *argv)
{
	struct chela_plan	p = { .struct_size = sizeof p };

	p.argv = argv;
	while (argv[p.argc] != NULL)
		p.argc++;
	return (p);
}

static struct {
	bool		came;
	unsigned	n;
	uint32_t	what;		/* verdict or decision */
	char		text[200];
	char		id[CHELA_APPROVAL_ID_MAX + 1];
} got;

static void
on_policy(struct chela_ctx *ctx, uint32_t verdict, const char *why, void *arg)
{
	CU_ASSERT_PTR_EQUAL(ctx, fake_ctx(f, ""));
	CU_ASSERT_PTR_EQUAL(arg, &got);
	got.came = true;
	got.what = verdict;
	(void)snprintf(got.text, sizeof got.text, "%s", why);
}

static bool
has_come(void *arg)
{
	(void)arg;
	return (got.came);
}

static uint32_t
judge(const struct chela_plan *p)
{
	memset(&got, 0, sizeof got);
	CU_ASSERT_EQUAL_FATAL(svc->check(fake_ctx(f, ""), p, on_policy, &got),
	    0);
	CU_ASSERT_FALSE(got.came);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, has_come, NULL), 0);
	return (got.what);
}

static uint32_t
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

static void
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

static void
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

#define ASKING "{\"version\":1,\"defaults\":{\"security\":\"allowlist\"}," \
	"\"agents\":{}}"

/* --- the document --- */

static void
the_document(void)
{
	struct json_object	*r, *r2;
	struct stat		 st;
	char			 hash[80];

	setup();
	CU_ASSERT_EQUAL(stat(doc_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	r = fake_call(f, admin, "exec.approvals.get", "{}");
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.path"), doc_path);
	CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r, "result.exists")));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.file.socket.token"));
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.resolvedDefaults.security"), "deny");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.resolvedDefaults.ask"),
	    "on-miss");
	(void)snprintf(hash, sizeof hash, "%s", fake_str(r, "result.hash"));
	CU_ASSERT_EQUAL(strlen(hash), 64);
	json_object_put(r);

	r = fake_call(f, admin, "exec.approvals.set",
	    "{\"file\":{\"version\":1}}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "exec approvals base hash "
	    "required; re-run exec.approvals.get and retry");
	json_object_put(r);
	r = fake_call(f, admin, "exec.approvals.set",
	    "{\"file\":{\"version\":1},\"baseHash\":\"00\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "exec approvals changed since "
	    "last load; re-run exec.approvals.get and retry");
	json_object_put(r);
	r = fake_callf(f, admin, "exec.approvals.set", "{\"file\":{\"version\":"
	    "1,\"agents\":{\"default\":{\"allowlist\":[{\"pattern\":"
	    "\"/usr/bin/uname\"}]}}},\"baseHash\":\"%s\"}", hash);
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.file.agents.main.allowlist.0.pattern"), "/usr/bin/uname");
	CU_ASSERT_EQUAL(strlen(fake_str(r,
	    "result.file.agents.main.allowlist.0.id")), 36);
	CU_ASSERT_PTR_NULL(fake_get(r, "result.file.socket.token"));
	r2 = json_object_from_file(doc_path);
	CU_ASSERT_EQUAL(strlen(fake_str(r2, "socket.token")), 24);
	CU_ASSERT_EQUAL(stat(doc_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	json_object_put(r2);
	/* The hash of before is spent. */
	json_object_put(r);
	r = fake_callf(f, admin, "exec.approvals.set",
	    "{\"file\":{\"version\":1},\"baseHash\":\"%s\"}", hash);
	CU_ASSERT_FALSE(fake_ok(r));
	json_object_put(r);
	/* Two at once: one of them. */
	r = fake_call(f, admin, "exec.approvals.get", "{}");
	(void)snprintf(hash, sizeof hash, "%s", fake_str(r, "result.hash"));
	json_object_put(r);
	{
		char		 params[512];
		struct fake_req	*a, *b;

		(void)snprintf(params, sizeof params, "{\"file\":{\"version\":1"
		    ",\"defaults\":{\"ask\":\"off\"}},\"baseHash\":\"%s\"}",
		    hash);
		a = fake_send(f, admin, "exec.approvals.set", params);
		b = fake_send(f, admin, "exec.approvals.set", params);
		CU_ASSERT_TRUE(fake_ok(fake_reply(a)));
		CU_ASSERT_FALSE(fake_ok(fake_reply(b)));
		fake_req_free(a);
		fake_req_free(b);
	}
	teardown();
}

static unsigned
lines_with(const char *what)
{
	const char	*s = fake_log_text(f);
	unsigned	 n = 0;

	while ((s = strstr(s, what)) != NULL) {
		n++;
		s++;
	}
	return (n);
}

/* AB-088 */
static void
a_bad_document_denies_and_says_so_once(void)
{
	static const char *const argv[] = { "/usr/bin/env", NULL };
	static const char	 full[] = "{\"version\":1,\"defaults\":"
	    "{\"security\":\"full\",\"ask\":\"off\"}}";
	static const struct {
		const char	*text;
		mode_t		 mode;
		const char	*says;
	} cases[] = {
		{ full, 0602, "others can write it" },
		{ full, 0620, "others can write it" },
		{ full, 0666, "others can write it" },
		{ "", 0600, "not a document" },
		{ "{", 0600, "not a document" },
		{ "[]", 0600, "not a document" },
		{ "{\"version\":2,\"defaults\":{\"security\":\"full\"}}", 0600,
		    "not a document" },
		{ "{\"version\":1,\"agents\":[]}", 0600, "not a document" },
		{ "{\"version\":1,\"defaults\":{\"security\":\"full\"}} x",
		    0600, "not a document" },
	};
	struct json_object	*r;
	size_t			 i;
	unsigned		 n;

	setup();
	write_doc(full, 0600);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_ALLOW);
	for (i = 0; i < N_OF(cases); i++) {
		write_doc(full, 0600);
		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_ALLOW);
		n = lines_with(cases[i].says);
		write_doc(cases[i].text, cases[i].mode);
		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
		CU_ASSERT_EQUAL(lines_with(cases[i].says), n + 1);
	}
	(void)unlink(doc_path);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
	CU_ASSERT_EQUAL(lines_with("it is missing"), 1);
	/* A link to a document that would allow. */
	write_doc(full, 0600);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_ALLOW);
	{
		char	other[600];

		(void)snprintf(other, sizeof other, "%s.real", doc_path);
		CU_ASSERT_EQUAL(rename(doc_path, other), 0);
		CU_ASSERT_EQUAL(symlink(other, doc_path), 0);
		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
		(void)unlink(doc_path);
	}
	CU_ASSERT_EQUAL(mkdir(doc_path, 0700), 0);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
	(void)rmdir(doc_path);
	if (geteuid() != 0) {
		write_doc(full, 0000);
		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
		CU_ASSERT_EQUAL(lines_with("it cannot be read"), 1);
	}
	/* Missing stays missing over a restart; a client that looks makes it. */
	(void)unlink(doc_path);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_APPROVALS_SERVICE);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
	CU_ASSERT_EQUAL(access(doc_path, F_OK), -1);
	r = fake_call(f, NULL, "exec.approvals.get", "{}");
	CU_ASSERT_TRUE(fake_ok(r));
	CU_ASSERT_EQUAL(access(doc_path, F_OK), 0);
	json_object_put(r);
	/* Words that mean nothing open nothing. */
	write_doc("{\"version\":1,\"defaults\":{\"security\":\"Full\"}}", 0600);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_DENY);
	write_doc("{\"version\":1,\"defaults\":{\"security\":\"full\","
	    "\"ask\":\"never\"}}", 0600);
	CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_ASK);
	teardown();
}

static void
script(const char *dir, const char *name)
{
	char	 path[512];
	FILE	*o;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	o = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	(void)fputs("#!/bin/sh\n", o);
	(void)fclose(o);
	(void)chmod(path, 0755);
}

/* AB-081, AB-082, AB-086 */
static void
rules_are_on_the_program_that_runs(void)
{
	static const char *const yes[][8] = {
		{ "/usr/bin/uname" }, { "/usr/bin/uname", "-a" },
		{ "uname", "-a" }, { "/usr/bin/find", "/tmp", "-name", "x*" },
		{ "wc", "-l" }, { "grep", "-i", "$(reboot)" },
		{ "head", "-n", "5" },
		{ "/usr/bin/uname", "a b", "$HOME", "*", "\n", "--" },
		{ "sh", "-c", "uname -a" },
		{ "chela-tool", "x" },
	};
	static const char *const no[][8] = {
		{ "env", "uname" }, { "env", "-S", "uname -a" },
		{ "/usr/bin/env", "uname" },
		{ "sh", "-c", "reboot" }, { "sh", "-c", "uname -a; reboot" },
		{ "sh", "-c", "uname -a", "x" }, { "sh" },
		{ "bash", "-c", "uname" },
		{ "xargs", "uname" }, { "nice", "uname" },
		{ "timeout", "5", "uname" }, { "nohup", "uname" },
		{ "find", "/", "-exec", "reboot", ";" },
		{ "find", "/", "-execdir", "reboot", ";" },
		{ "find", "/", "-delete" }, { "find", "/", "-ok", "x", ";" },
		{ "find", "/", "-fprint", "/etc/passwd" },
		{ "./uname" }, { "../bin/uname" }, { "bin/uname" },
		{ "/usr/bin/unam" }, { "no-such-program" },
		{ "wc", "/etc/passwd" }, { "wc", "--files0-from=x" },
		{ "grep", "-f", "x" }, { "grep", "-r", "x" }, { "wc", ".." },
		{ "tail", "etc" }, { "sort", "-o", "x" },
		{ "reboot" }, { "cat" },
	};
	struct chela_plan	 p;
	struct json_object	*env;
	char			 doc[2048], path[1024], *old;
	const char		*look[] = { "uname", NULL };
	size_t			 i;

	setup();
	(void)snprintf(bin, sizeof bin, "%s/bin", fake_host(f)->state_dir());
	CU_ASSERT_EQUAL_FATAL(mkdir(bin, 0700), 0);
	script(bin, "chela-tool");
	old = strdup(getenv("PATH"));
	(void)setenv("PATH", "/usr/bin:/bin", 1);
	(void)snprintf(path, sizeof path, "/usr/bin:/bin:%s", bin);
	(void)setenv("PATH", path, 1);
	(void)snprintf(doc, sizeof doc, "{\"version\":1,\"defaults\":{"
	    "\"security\":\"allowlist\"},\"agents\":{\"*\":{\"allowlist\":["
	    "{\"pattern\":\"/usr/bin/uname\"},{\"pattern\":\"/usr/bin/env\"},"
	    "{\"pattern\":\"/usr/bin/{a,b}\"},{\"pattern\":\"reboot\"},"
	    "{\"pattern\":\"/usr/bin/find\"},{\"pattern\":\"/usr/bin/xargs\"},"
	    "{\"pattern\":\"/usr/bin/n*\"},{\"pattern\":\"/usr/bin/timeout\"},"
	    "{\"pattern\":\"/bin/sh\"},{\"pattern\":\"/usr/bin/bash\"},"
	    "{\"pattern\":\"/bin/sh\",\"argPattern\":\"-c\\\\x00uname "
	    "-a\\\\x00\"}]},\"main\":{\"allowlist\":[{\"pattern\":"
	    "\"%s/chela-*\"}]}}}", bin);
	write_doc(doc, 0600);
	for (i = 0; i < N_OF(yes); i++) {
		CU_ASSERT_EQUAL(judge_argv(yes[i]), CHELA_POLICY_ALLOW);
		if (got.what != CHELA_POLICY_ALLOW)
			(void)fprintf(stderr, "\n%s %s: %s\n", yes[i][0],
			    yes[i][1], got.text);
	}
	for (i = 0; i < N_OF(no); i++) {
		CU_ASSERT_EQUAL(judge_argv(no[i]), CHELA_POLICY_ASK);
		if (got.what != CHELA_POLICY_ASK)
			(void)fprintf(stderr, "\n%s %s: allowed\n", no[i][0],
			    no[i][1]);
	}
	/* A rule of one agent is not another's. */
	p = plan_of(yes[N_OF(yes) - 1]);
	p.agent_id = "other";
	CU_ASSERT_EQUAL(judge(&p), CHELA_POLICY_ASK);
	/* A variable can make any program do anything. */
	p = plan_of(yes[0]);
	env = json_object_new_object();
	json_object_object_add(env, "LD_PRELOAD",
	    json_object_new_string("/tmp/x.so"));
	p.env = env;
	CU_ASSERT_EQUAL(judge(&p), CHELA_POLICY_ASK);
	json_object_object_del(env, "LD_PRELOAD");
	json_object_object_add(env, "TZ", json_object_new_string("UTC"));
	CU_ASSERT_EQUAL(judge(&p), CHELA_POLICY_ALLOW);
	json_object_put(env);
	/* The programs of a node are not these. */
	p = plan_of(yes[0]);
	p.node_id = "n1";
	CU_ASSERT_EQUAL(judge(&p), CHELA_POLICY_ASK);
	/* A look-alike earlier in PATH is what would run. */
	script(bin, "uname");
	(void)snprintf(path, sizeof path, "%s:/usr/bin:/bin", bin);
	(void)setenv("PATH", path, 1);
	CU_ASSERT_EQUAL(judge_argv(look), CHELA_POLICY_ASK);
	(void)setenv("PATH", ".:/usr/bin:/bin", 1);
	CU_ASSERT_EQUAL(judge_argv(look), CHELA_POLICY_ASK);
	(void)setenv("PATH", ":/usr/bin:/bin", 1);
	CU_ASSERT_EQUAL(judge_argv(look), CHELA_POLICY_ASK);
	/* A link into the allowed directory leads somewhere else. */
	(void)snprintf(path, sizeof path, "%s/chela-sh", bin);
	CU_ASSERT_EQUAL(symlink("/bin/sh", path), 0);
	look[0] = path;
	CU_ASSERT_EQUAL(judge_argv(look), CHELA_POLICY_ASK);
	(void)setenv("PATH", old, 1);
	free(old);
	/* ask off: no question, so no. */
	write_doc("{\"version\":1,\"defaults\":{\"security\":\"allowlist\","
	    "\"ask\":\"off\"}}", 0600);
	CU_ASSERT_EQUAL(judge_argv(yes[0]), CHELA_POLICY_DENY);
	teardown();
}

/* AB-083 */
static void
patterns_fit_whole_arguments(void)
{
	static const struct {
		const char	*pattern;	/* as JSON */
		const char	*argv[6];
		bool		 fits;
	} cases[] = {
		{ "status", { "git", "status" }, true },
		{ "status", { "git", "status", "x" }, false },
		{ "stat", { "git", "status" }, false },
		{ "tatus", { "git", "status" }, false },
		{ "^status", { "git", "status; x" }, false },
		{ "status|log", { "git", "log" }, true },
		{ "status|log", { "git", "log", "-p" }, false },
		{ "status", { "git", "status\n" }, false },
		{ "a b", { "git", "a", "b" }, true },
		{ "a b", { "git", "a b" }, false },
		{ "a .*", { "git", "a", "b c" }, false },
		{ "a\\\\x00.*\\\\x00", { "git", "a", "b c" }, true },
		{ "a\\\\x00.*\\\\x00", { "git", "a", "b", "c" }, false },
		{ "a\\\\x00.*\\\\x00", { "git", "a" }, false },
		{ "a\\u0000.\\u0000", { "git", "a", "b" }, true },
		{ "", { "git", NULL }, true },
		{ "", { "git", "x" }, false },
		{ "(", { "git", "(" }, false },
		{ "\\\\C", { "git", "a" }, false },
		{ "(a+)+b", { "git",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac" },
		    false },
		{ "(a|aa|a*)*\\\\x00", { "git",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac" },
		    false },
		{ "((a{1,100}){1,100}){1,100}", { "git", "aaaaaaaaaaaaab" },
		    false },
		{ "\xc3\xa4.", { "git", "\xc3\xa4\xc3\xb6" }, true },
	};
	char	doc[1024];
	size_t	i;
	bool	fits;

	setup();
	(void)snprintf(bin, sizeof bin, "%s/bin", fake_host(f)->state_dir());
	(void)mkdir(bin, 0700);
	script(bin, "git");
	for (i = 0; i < N_OF(cases); i++) {
		const char	*argv[6];
		char		 prog[300];

		(void)snprintf(prog, sizeof prog, "%s/git", bin);
		memcpy(argv, cases[i].argv, sizeof argv);
		argv[0] = prog;
		(void)snprintf(doc, sizeof doc, "{\"version\":1,\"defaults\":{"
		    "\"security\":\"allowlist\"},\"agents\":{\"main\":{"
		    "\"allowlist\":[{\"pattern\":\"%s\",\"argPattern\":\"%s\"}"
		    "]}}}", prog, cases[i].pattern);
		write_doc(doc, 0600);
		fits = judge_argv(argv) == CHELA_POLICY_ALLOW;
		CU_ASSERT_EQUAL(fits, cases[i].fits);
		if (fits != cases[i].fits)
			(void)fprintf(stderr, "\n/%s/ on %s: %d\n",
			    cases[i].pattern, cases[i].argv[1], fits);
	}
	/* Globs that take long end too. */
	(void)snprintf(doc, sizeof doc, "{\"version\":1,\"defaults\":{"
	    "\"security\":\"allowlist\"},\"agents\":{\"main\":{\"allowlist\":["
	    "{\"pattern\":\"/**a**a**a**a**a**a**a**a**a**a**a**a**a**a**b\"}"
	    "]}}}");
	write_doc(doc, 0600);
	{
		static const char *const argv[] = { "/usr/bin/uname", NULL };

		CU_ASSERT_EQUAL(judge_argv(argv), CHELA_POLICY_ASK);
	}
	teardown();
}

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
	CU_CASE(the_document),
	CU_CASE(a_bad_document_denies_and_says_so_once),
	CU_CASE(rules_are_on_the_program_that_runs),
	CU_CASE(patterns_fit_whole_arguments),
	CU_CASE(only_the_approved_plan_runs),
	CU_CASE(one_yes_is_one_run),
	CU_CASE(always_makes_a_rule),
	CU_CASE(a_fallback_is_for_silence_alone),
	CU_CASE(scheduled_jobs_keep_their_yes),
	CU_CASE(requests_of_clients),
	CU_CASE(a_clients_plan_can_be_claimed),
	CU_CASE(all_of_it_is_shown),
	CU_CASE(only_the_scope_lets_in),
	CU_CASE(one_run_in_any_race),
	CU_END
};
CU_MAIN("exec-approvals", cases)
