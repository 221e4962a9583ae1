/* SPDX-License-Identifier: MIT */
/* Plugin process with real children (AB-082, AB-086, AB-087). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chela/services/process.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static const struct chela_process_1	*svc;

struct run {
	bool	 is_done;
	int	 exit_code, signal, error;
	uint32_t flags;
	char	 out[4096];
	size_t	 out_len, err_len;
	size_t	 pieces;
	uint64_t took_us;
	struct chela_process *p;
};

static struct fake *
up(void)
{
	struct fake	*f = fake_new();

	(void)signal(SIGPIPE, SIG_IGN);	/* as the daemon does */
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "process"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_PROCESS_SERVICE);
	CU_ASSERT_FATAL(svc != NULL);
	return (f);
}

static void
on_output(struct chela_process *p, uint32_t stream, const char *bytes,
    size_t len, void *arg)
{
	struct run	*r = arg;

	(void)p;
	(void)stream;
	(void)bytes;
	r->pieces += len;
}

static void
on_done(struct chela_process *p, const struct chela_process_result *res,
    void *arg)
{
	struct run	*r = arg;

	CU_ASSERT(!r->is_done);
	CU_ASSERT_PTR_EQUAL(p, r->p);
	r->is_done = true;
	r->exit_code = res->exit_code;
	r->signal = res->signal;
	r->error = res->error;
	r->flags = res->flags;
	r->out_len = res->out_len;
	r->err_len = res->err_len;
	r->took_us = res->took_us;
	(void)snprintf(r->out, sizeof r->out, "%.*s", (int)res->out_len,
	    res->out);
}

static const struct chela_process_handler handler = {
	.struct_size = sizeof handler,
	.output = on_output,
	.done = on_done,
};

static bool
run_is_done(void *arg)
{
	return (((struct run *)arg)->is_done);
}

static int
go(struct run *r, struct chela_process_request *rq)
{
	*r = (struct run){ .is_done = false };
	rq->struct_size = sizeof *rq;
	return (svc->start(rq, &handler, r, &r->p));
}

static void
run(struct fake *f, struct run *r, struct chela_process_request *rq)
{
	CU_ASSERT_EQUAL_FATAL(go(r, rq), 0);
	CU_ASSERT(!r->is_done);		/* never from within start() */
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, run_is_done, r), 0);
}

static void
sh(struct fake *f, struct run *r, const char *script,
    struct chela_process_request *more)
{
	const char	*argv[] = { "sh", "-c", script, NULL };
	struct chela_process_request rq = { .struct_size = 0 };

	if (more != NULL)
		rq = *more;
	rq.argv = argv;
	run(f, r, &rq);
}

static void
argv_is_passed_literally_AB_082(void)
{
	struct fake	*f = up();
	struct run	 r;
	const char	*argv[] = { "printf", "[%s]", "*", "$HOME", "a b",
	    "'\"", "x\ny", "-rf", "`id`", "", "$(id)", NULL };
	struct chela_process_request rq = { .argv = argv };

	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.error, 0);
	CU_ASSERT_EQUAL(r.exit_code, 0);
	CU_ASSERT_STRING_EQUAL(r.out, "[*][$HOME][a b]['\"][x\ny][-rf][`id`][]"
	    "[$(id)]");
	fake_free(f);
}

static void
exit_code_signal_cwd_and_input(void)
{
	struct fake	*f = up();
	struct run	 r;
	struct chela_process_request rq = { .cwd = "/usr", .input = "hello",
	    .input_len = 5 };

	sh(f, &r, "exit 7", NULL);
	CU_ASSERT_EQUAL(r.exit_code, 7);
	CU_ASSERT_EQUAL(r.signal, 0);
	sh(f, &r, "kill -9 $$", NULL);
	CU_ASSERT_EQUAL(r.exit_code, -1);
	CU_ASSERT_EQUAL(r.signal, SIGKILL);
	sh(f, &r, "pwd; cat; echo e >&2", &rq);
	CU_ASSERT_STRING_EQUAL(r.out, "/usr\nhello");
	CU_ASSERT_EQUAL(r.err_len, 2);
	CU_ASSERT_EQUAL(r.pieces, 12);
	/* Input that nobody reads is no failure. */
	rq.input = calloc(1, 1 << 20);
	rq.input_len = 1 << 20;
	sh(f, &r, "exit 3", &rq);
	CU_ASSERT_EQUAL(r.exit_code, 3);
	free((void *)(uintptr_t)rq.input);
	sh(f, &r, "cat; echo end", NULL);
	CU_ASSERT_STRING_EQUAL(r.out, "end\n");
	fake_free(f);
}

static void
what_cannot_start_is_told(void)
{
	struct fake	*f = up();
	struct run	 r;
	const char	*none[] = { NULL };
	const char	*odd[] = { "no-such-program", NULL };
	const char	*rel[] = { "./x", NULL };
	const char	*file[] = { "/etc/passwd", NULL };
	const char	*sleep[] = { "true", NULL };
	struct chela_process_request rq = { .argv = none };

	CU_ASSERT_EQUAL(go(&r, &rq), -EINVAL);
	rq.argv = odd;
	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.error, -ENOENT);
	CU_ASSERT_EQUAL(r.exit_code, -1);
	rq.argv = rel;
	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.error, -ENOENT);
	rq.argv = file;
	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.error, -EACCES);
	rq.argv = sleep;
	rq.cwd = "/no/such/place";
	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.error, -ENOENT);
	rq.cwd = "relative";
	CU_ASSERT_EQUAL(go(&r, &rq), -EINVAL);
	rq.cwd = NULL;
	rq.path = "bin/true";
	CU_ASSERT_EQUAL(go(&r, &rq), -EINVAL);
	fake_free(f);
}

static void
environment_is_an_allow_list_AB_086(void)
{
	static const char *const bad[] = {
		"LD_PRELOAD=/x.so", "LD_LIBRARY_PATH=/x", "PATH=/evil",
		"BASH_ENV=/x", "ENV=/x", "PYTHONSTARTUP=/x", "PERL5OPT=-Mx",
		"NODE_OPTIONS=--require=/x", "GIT_SSH_COMMAND=x", "EDITOR=x",
		"GIT_EDITOR=x", "IFS=x", "SHELLOPTS=x", "HOME=/evil", "lang=x",
		"LANGX=1", "LC_=x", "LC_ALL", "=x", "", "GCONV_PATH=/x",
	};
	struct fake	*f = up();
	struct run	 r;
	const char	*env[] = { "LANG=C", "LC_ALL=C.UTF-8", "TERM=dumb",
	    "TERM=vt100", NULL };
	const char	*argv[] = { "env", NULL }, *one[2] = { NULL, NULL };
	const char	*exact[] = { "ANY=1", NULL };
	struct chela_process_request rq = { .argv = argv, .env = env };
	size_t		 i;

	(void)setenv("CHELA_TOKEN", "secret-of-the-gateway", 1);
	(void)setenv("OPENAI_API_KEY", "secret-of-the-gateway", 1);
	(void)setenv("LD_DEBUG_OUTPUT", "/tmp/none", 1);
	run(f, &r, &rq);
	CU_ASSERT_EQUAL(r.exit_code, 0);
	CU_ASSERT_PTR_NULL(strstr(r.out, "secret"));
	CU_ASSERT_PTR_NULL(strstr(r.out, "LD_DEBUG"));
	CU_ASSERT_PTR_NULL(strstr(r.out, "CHELA"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "LC_ALL=C.UTF-8\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "TERM=vt100\n"));
	CU_ASSERT_PTR_NULL(strstr(r.out, "TERM=dumb"));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.out, "PATH=/"));
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		one[0] = bad[i];
		rq.env = one;
		CU_ASSERT(go(&r, &rq) < 0);
		if (bad[i][0] != '\0' && bad[i][0] != '=' &&
		    strchr(bad[i], '=') != NULL)
			CU_ASSERT_FALSE(svc->env_allowed(bad[i]));
	}
	/* The operator's own request: that and nothing else. */
	rq.env = exact;
	rq.flags = CHELA_PROCESS_EXACT_ENV;
	run(f, &r, &rq);
	CU_ASSERT_STRING_EQUAL(r.out, "ANY=1\n");
	fake_free(f);
}

static void
descriptors_are_closed_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r;
	int		 fd;

	fd = dup(0);		/* inheritable on purpose */
	CU_ASSERT_FATAL(fd >= 0);
	sh(f, &r, "cd /proc/self/fd && for i in *; do test $i -gt 2 && "
	    "test -e $i && readlink $i; done; true", NULL);
	/* The shell's own directory handle, at most. */
	CU_ASSERT_PTR_NULL(strstr(r.out, "pipe:"));
	CU_ASSERT_PTR_NULL(strstr(r.out, "socket:"));
	CU_ASSERT_PTR_NULL(strstr(r.out, "anon_inode"));
	(void)close(fd);
	fake_free(f);
}

/* Whether a process that is nobody's child of ours has ended by now. */
static bool
ends(pid_t pid)
{
	struct pollfd	 p = { .events = POLLIN };
	bool		 has_ended;

	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0)
		return (errno == ESRCH);
	has_ended = poll(&p, 1, 30000) == 1;
	(void)close(p.fd);
	return (has_ended);
}

static void
flood_is_bounded_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r;
	struct chela_process_request rq = { .max_output = 1000 };

	sh(f, &r, "while :; do echo 0123456789; done", &rq);
	CU_ASSERT(r.flags & CHELA_PROCESS_OVERFLOW);
	CU_ASSERT_EQUAL(r.exit_code, -1);
	CU_ASSERT(r.out_len <= 1000);
	/* Or the rest is thrown away and it ends by itself. */
	rq.flags = CHELA_PROCESS_TRUNCATE;
	sh(f, &r, "i=0; while test $i -lt 500; do echo 0123456789; "
	    "i=$((i+1)); done; exit 4", &rq);
	CU_ASSERT(r.flags & CHELA_PROCESS_OVERFLOW);
	CU_ASSERT_EQUAL(r.exit_code, 4);
	CU_ASSERT_EQUAL(r.out_len, 1000);
	fake_free(f);
}

static void
deaf_child_is_killed_after_grace_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r;
	struct chela_process_request rq = { .timeout_us = 100000,
	    .grace_us = 100000 };

	sh(f, &r, "trap '' TERM; while :; do sleep 0.05; done", &rq);
	CU_ASSERT(r.flags & CHELA_PROCESS_TIMED_OUT);
	CU_ASSERT_EQUAL(r.signal, SIGKILL);
	/* One that listens has the time to clean up. */
	rq.grace_us = 20000000;
	sh(f, &r, "trap 'echo bye; exit 9' TERM; echo on; "
	    "while :; do sleep 0.05; done", &rq);
	CU_ASSERT(r.flags & CHELA_PROCESS_TIMED_OUT);
	CU_ASSERT_EQUAL(r.exit_code, 9);
	CU_ASSERT_STRING_EQUAL(r.out, "on\nbye\n");
	fake_free(f);
}

static void
group_goes_with_its_leader_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r;
	pid_t		 pid;

	/* A background child that keeps the pipes open. */
	sh(f, &r, "sleep 1000 & echo $!; exit 0", NULL);
	CU_ASSERT_EQUAL(r.exit_code, 0);
	pid = (pid_t)atoi(r.out);
	CU_ASSERT_FATAL(pid > 1);
	CU_ASSERT(ends(pid));
	/* One that left the group does not hold up the answer. */
	sh(f, &r, "setsid sleep 1000 & echo $!; exit 0", NULL);
	CU_ASSERT_EQUAL(r.exit_code, 0);
	CU_ASSERT(r.took_us < 20000000);
	pid = (pid_t)atoi(r.out);
	CU_ASSERT_FATAL(pid > 1);
	(void)kill(pid, SIGKILL);
	fake_free(f);
}

static void
memory_is_limited_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r;
	struct chela_process_request rq = { .max_memory = 64 << 20,
	    .input = "\n", .input_len = 1 };

	/* The limits are there before the first byte of input. */
	sh(f, &r, "read x; ulimit -v; ulimit -c", &rq);
	CU_ASSERT_STRING_EQUAL(r.out, "65536\n0\n");
	fake_free(f);
}

static void
no_zombie_is_left_AB_087(void)
{
	struct fake	*f = up();
	struct run	 r[8];
	const char	*argv[] = { "true", NULL }, *slow[] = { "sleep", "1000",
	    NULL };
	struct chela_process_request rq = { .argv = argv };
	size_t		 i;

	for (i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(go(&r[i], &rq), 0);
	for (i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(fake_wait(f, run_is_done, &r[i]), 0);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
	CU_ASSERT_EQUAL(errno, ECHILD);

	rq.argv = slow;
	CU_ASSERT_EQUAL(go(&r[0], &rq), 0);
	svc->cancel(r[0].p);		/* before it has started */
	CU_ASSERT_EQUAL(fake_wait(f, run_is_done, &r[0]), 0);
	CU_ASSERT(r[0].flags & CHELA_PROCESS_CANCELED);
	CU_ASSERT_EQUAL(r[0].signal, SIGTERM);

	/* Stopped with children under way: they end with the plugin. */
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(go(&r[i], &rq), 0);
	svc->forget(r[3].p);
	fake_settle(f);
	fake_free(f);
	for (i = 0; i < 4; i++)
		CU_ASSERT(!r[i].is_done);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), -1);
}

static void
number_of_children_is_limited(void)
{
	struct fake	*f = up();
	struct run	 r[CHELA_PROCESS_MAX + 1];
	const char	*argv[] = { "sleep", "1000", NULL };
	struct chela_process_request rq = { .argv = argv };
	size_t		 i;

	for (i = 0; i < CHELA_PROCESS_MAX; i++)
		CU_ASSERT_EQUAL(go(&r[i], &rq), 0);
	CU_ASSERT_EQUAL(go(&r[i], &rq), -EAGAIN);
	for (i = 0; i < CHELA_PROCESS_MAX; i++)
		svc->cancel(r[i].p);
	for (i = 0; i < CHELA_PROCESS_MAX; i++)
		CU_ASSERT_EQUAL(fake_wait(f, run_is_done, &r[i]), 0);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(argv_is_passed_literally_AB_082),
	CU_CASE(exit_code_signal_cwd_and_input),
	CU_CASE(what_cannot_start_is_told),
	CU_CASE(environment_is_an_allow_list_AB_086),
	CU_CASE(descriptors_are_closed_AB_087),
	CU_CASE(flood_is_bounded_AB_087),
	CU_CASE(deaf_child_is_killed_after_grace_AB_087),
	CU_CASE(group_goes_with_its_leader_AB_087),
	CU_CASE(memory_is_limited_AB_087),
	CU_CASE(no_zombie_is_left_AB_087),
	CU_CASE(number_of_children_is_limited),
	CU_END
};
CU_MAIN("process", cases)
