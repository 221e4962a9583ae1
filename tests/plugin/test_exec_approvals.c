/* SPDX-License-Identifier: MIT */
/* Plugin exec-approvals: the policy document, and which programs it allows. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/plugin/exec_rig.h"
#include "tests/unit/cu.h"

#define N_OF(a)		(sizeof(a) / sizeof((a)[0]))

static char	bin[256];

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

static const struct cu_case cases[] = {
	CU_CASE(the_document),
	CU_CASE(a_bad_document_denies_and_says_so_once),
	CU_CASE(rules_are_on_the_program_that_runs),
	CU_CASE(patterns_fit_whole_arguments),
	CU_END
};
CU_MAIN("exec-approvals", cases)
