/* SPDX-License-Identifier: MIT */
/* The chela command as a process, against a peer in this one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/buf.h"
#include "tests/unit/cu.h"
#include "tests/unit/peer.h"

#define ARGS_MAX	12
#define DEADLINE_US	SEC_US(60)	/* of one run; never waited for */

/* One run of the command. */
struct run {
	struct loop	*loop;
	struct peer	*peer;
	pid_t		 pid;
	int		 pipes[2][2];	/* its standard output and error */
	struct loop_watch *watches[2];
	struct buf	 out[2];
	unsigned	 n_open;
	bool		 is_late;
	bool		 kills;		/* interrupts it once it chats */
	int		 status;
	char		 connect[512];	/* parameters it connected with */
	char		 abort[256];	/* of chat.abort */
};

static const char *chela_path = "./chela";

static void
chat_answer(struct run *r, struct peer *p, const char *id,
    struct json_object *params)
{
	const char	*run = json_object_get_string(json_object_object_get(
	    params, "idempotencyKey"));

	peer_send(p, "{\"event\":\"chat\",\"data\":{\"runId\":\"other\","
	    "\"state\":\"delta\",\"deltaText\":\"not mine\"}}");
	peer_send(p, "{\"event\":\"chat\",\"data\":{\"runId\":\"%s\","
	    "\"seq\":1,\"state\":\"delta\",\"deltaText\":\"Hel\"}}", run);
	peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{\"runId\":"
	    "\"%s\",\"status\":\"started\"}}", id, run);
	if (r->kills) {
		(void)kill(r->pid, SIGINT);
		return;
	}
	peer_send(p, "{\"event\":\"chat\",\"data\":{\"runId\":\"%s\",\"seq\":"
	    "2,\"state\":\"delta\",\"deltaText\":\"lo\\u001b[2J\"}}", run);
	peer_send(p, "{\"event\":\"chat\",\"data\":{\"runId\":\"%s\",\"seq\":"
	    "3,\"state\":\"final\",\"message\":{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"text\",\"text\":"
	    "\"Hello\\u001b[2J you\"}]}}}", run);
}

static bool
on_request(struct peer *p, const char *id, const char *method,
    struct json_object *params, void *arg)
{
	struct run	*r = arg;

	if (strcmp(method, "connect") == 0) {
		(void)snprintf(r->connect, sizeof r->connect, "%s",
		    json_object_to_json_string_ext(params,
		    JSON_C_TO_STRING_PLAIN));
		return (false);
	}
	if (strcmp(method, "chat.send") == 0) {
		chat_answer(r, p, id, params);
	} else if (strcmp(method, "chat.abort") == 0) {
		(void)snprintf(r->abort, sizeof r->abort, "%s",
		    json_object_to_json_string_ext(params,
		    JSON_C_TO_STRING_PLAIN));
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":"
		    "{\"ok\":true,\"aborted\":true}}", id);
		peer_send(p, "{\"event\":\"chat\",\"data\":{\"runId\":\"%s\","
		    "\"seq\":2,\"state\":\"aborted\",\"stopReason\":\"rpc\"}}",
		    json_object_get_string(json_object_object_get(params,
		    "runId")));
	} else if (strcmp(method, "echo") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":%s}", id,
		    json_object_to_json_string(params));
	} else if (strcmp(method, "vanish") == 0) {
		peer_hang_up(p);
	} else if (strcmp(method, "sessions.list") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{"
		    "\"totalCount\":2,\"sessions\":[{\"key\":\"agent:main:main\""
		    ",\"totalTokens\":12,\"label\":\"a\\u001bb\"},{\"key\":"
		    "\"k\\u4e16\",\"model\":\"m\",\"label\":\"x\"}]}}", id);
	} else if (strcmp(method, "plugins.setEnabled") == 0) {
		if (json_object_object_get(params, "acknowledgeCapabilities") ==
		    NULL)
			peer_send(p, "{\"id\":\"%s\",\"ok\":false,\"error\":"
			    "\"consent\",\"meta\":{\"code\":\"INVALID_REQUEST\""
			    ",\"details\":{\"reviewToken\":\"t1\"}}}", id);
		else
			peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":"
			    "{\"ok\":true,\"plugin\":{\"id\":\"x\",\"state\":"
			    "\"enabled\"},\"token\":%s}}", id,
			    json_object_to_json_string(json_object_object_get(
			    params, "acknowledgeCapabilities")));
	} else if (strcmp(method, "plugins.list") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{"
		    "\"plugins\":[{\"id\":\"x\"}]}}", id);
	} else if (strcmp(method, "plugins.inspect") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{"
		    "\"declared\":{\"contracts\":[\"event e (read)\","
		    "\"method echo (read)\",\"method broken\"]}}}", id);
	} else if (strcmp(method, "config.get") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{\"hash\":"
		    "\"h1\",\"valid\":false,\"path\":\"/c\",\"issues\":"
		    "[{\"path\":\"a.b\",\"message\":\"is wrong\"}],"
		    "\"config\":{\"a\":{\"b\":\"text\",\"c\":[1]}}}}", id);
	} else if (strcmp(method, "config.patch") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":{"
		    "\"changedPaths\":[\"a.b\"],\"asked\":%s}}", id,
		    json_object_to_json_string(params));
	} else {
		peer_send(p, "{\"id\":\"%s\",\"ok\":false,\"error\":"
		    "\"unknown method: %s\",\"meta\":{\"code\":"
		    "\"INVALID_REQUEST\",\"retryable\":false}}", id, method);
	}
	return (true);
}

static void
on_output(int fd, uint32_t what, void *arg)
{
	struct run	*r = arg;
	int		 i = fd == r->pipes[0][0] ? 0 : 1;
	char		 b[4096];
	ssize_t		 n;

	(void)what;
	n = read(fd, b, sizeof b);
	if (n > 0) {
		(void)buf_add(&r->out[i], b, (size_t)n);
		return;
	}
	r->watches[i] = loop_watch_free(r->watches[i]);
	r->n_open--;
}

static void
on_late(void *arg)
{
	struct run	*r = arg;

	r->is_late = true;
	(void)kill(r->pid, SIGKILL);
}

/* Runs "chela ..." with standard input from a file; args ends in NULL. */
static void
run_start(struct run *r, const char *input, bool has_peer, char **args)
{
	struct peer_script		 script = {
		.on_request = on_request,
		.arg = r,
		.hello = "{\"protocol\":4,\"features\":{\"methods\":"
		    "[\"echo\",\"health\"]},\"policy\":{}}",
	};
	posix_spawn_file_actions_t	 fa;
	char				*argv[ARGS_MAX + 2] = { NULL };
	char				 url[64];
	char				*env[] = { url, (char *)"CHELA_TOKEN=tok",
					    (char *)"LC_ALL=C", (char *)
					    "CHELA_SCHEMA_DIR=/nonexistent",
					    (char *)"ASAN_OPTIONS=exitcode=99",
					    NULL };
	int				 i;

	r->loop = loop_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->loop);
	r->peer = peer_new(r->loop, &script);
	(void)snprintf(url, sizeof url, "CHELA_URL=ws://127.0.0.1:%u",
	    peer_port(r->peer));
	if (!has_peer)
		r->peer = peer_free(r->peer);
	argv[0] = (char *)"chela";
	for (i = 0; args[i] != NULL; i++)
		argv[i + 1] = args[i];
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 0, input, O_RDONLY, 0);
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(pipe2(r->pipes[i], O_CLOEXEC), 0);
		(void)posix_spawn_file_actions_adddup2(&fa, r->pipes[i][1],
		    1 + i);
		r->watches[i] = loop_watch_new(r->loop, r->pipes[i][0],
		    LOOP_READ, on_output, r);
	}
	CU_ASSERT_EQUAL_FATAL(posix_spawn(&r->pid, chela_path, &fa, NULL, argv,
	    env), 0);
	(void)posix_spawn_file_actions_destroy(&fa);
	for (i = 0; i < 2; i++)
		(void)close(r->pipes[i][1]);
	r->n_open = 2;
}

static int
run_wait(struct run *r)
{
	struct loop_timer	*timer = loop_timer_new(r->loop, on_late, r);

	CU_ASSERT_PTR_NOT_NULL_FATAL(timer);
	(void)loop_timer_set(timer, DEADLINE_US);
	while (r->n_open > 0)
		(void)event_base_loop(loop_base(r->loop), EVLOOP_ONCE);
	loop_timer_free(timer);
	(void)waitpid(r->pid, &r->status, 0);
	CU_ASSERT(!r->is_late);
	(void)close(r->pipes[0][0]);
	(void)close(r->pipes[1][0]);
	peer_free(r->peer);
	loop_free(r->loop);
	(void)buf_putc(&r->out[0], '\0');
	(void)buf_putc(&r->out[1], '\0');
	return (WIFEXITED(r->status) ? WEXITSTATUS(r->status) : -1);
}

static void
run_free(struct run *r)
{
	buf_fini(&r->out[0]);
	buf_fini(&r->out[1]);
	memset(r, 0, sizeof *r);
}

#define ARGS(...)	((char *[]){ __VA_ARGS__, NULL })
#define OUT(r)		((r)->out[0].data)
#define ERR(r)		((r)->out[1].data)

static int
run(struct run *r, char **args)
{
	memset(r, 0, sizeof *r);
	run_start(r, "/dev/null", true, args);
	return (run_wait(r));
}

static void
call_prints_the_result(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("call", "echo", "{\"a\":[1]}")), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r), "{\n  \"a\": [\n    1\n  ]\n}\n");
	CU_ASSERT_STRING_EQUAL(ERR(&r), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(r.connect,
	    "\"credentials\":{\"token\":\"tok\"}"));
	run_free(&r);
}

static void
exit_codes_tell_who_failed(void)
{
	struct run	 r = { .pid = 0 };

	CU_ASSERT_EQUAL(run(&r, ARGS("call", "nothing")), 1);
	CU_ASSERT_STRING_EQUAL(ERR(&r),
	    "chela: nothing: unknown method: nothing\n");
	CU_ASSERT_STRING_EQUAL(OUT(&r), "");
	run_free(&r);

	CU_ASSERT_EQUAL(run(&r, ARGS("--json", "call", "nothing")), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r), "\"INVALID_REQUEST\""));
	run_free(&r);

	CU_ASSERT_EQUAL(run(&r, ARGS("call", "vanish")), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(ERR(&r), "went away"));
	run_free(&r);

	run_start(&r, "/dev/null", false, ARGS("health"));
	CU_ASSERT_EQUAL(run_wait(&r), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(ERR(&r), "is chelad running?"));
	run_free(&r);

	CU_ASSERT_EQUAL(run(&r, ARGS("call")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("call", "echo", "{bad")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("dance")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("health", "-f")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("--url", "http://x", "health")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("--help")), 0);
	run_free(&r);
}

static void
chat_streams(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("chat", "hi", "there")), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r), "Hello\\u001b[2J you\n");
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("--json", "chat", "hi")), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r), "\"state\": \"final\""));
	CU_ASSERT_PTR_NULL(strstr(OUT(&r), "\x1b"));
	run_free(&r);
}

static void
interrupted_chat_aborts_and_waits(void)
{
	struct run	 r = { .kills = true };

	run_start(&r, "/dev/null", true, ARGS("chat", "-s", "k", "hi"));
	CU_ASSERT_EQUAL(run_wait(&r), 130);
	CU_ASSERT_STRING_EQUAL(OUT(&r), "Hel\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(r.abort, "\"sessionKey\":\"k\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(ERR(&r), "stopped"));
	run_free(&r);
}

static void
chat_reads_lines(void)
{
	char		 path[] = "/tmp/chela-test-XXXXXX";
	static const char text[] = "one\n\n  \ntwo\r\n/quit\nthree\n";
	struct run	 r = { .pid = 0 };
	int		 fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, sizeof text - 1), sizeof text - 1);
	(void)close(fd);
	run_start(&r, path, true, ARGS("chat"));
	CU_ASSERT_EQUAL(run_wait(&r), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r),
	    "Hello\\u001b[2J you\nHello\\u001b[2J you\n");
	run_free(&r);
	(void)unlink(path);
}

static void
tables_line_up_and_escape(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("sessions")), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r),
	    "SESSION          USED   MODEL  TOKENS  TITLE\n"
	    "agent:main:main  never             12  a\\u001bb\n"
	    "k\xe4\xb8\x96              never  m              x\n");
	run_free(&r);
}

static void
plugin_needs_consent(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("plugins", "enable", "x")), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(ERR(&r), "--yes"));
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("plugins", "enable", "x", "--yes")), 0);
	CU_ASSERT_STRING_EQUAL(ERR(&r), "chela: x is enabled\n");
	run_free(&r);
}

static void
config_values(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("config", "get", "a.b")), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r), "text\n");
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("config", "get", "a.x")), 1);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("config", "check")), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r), "error: a.b: is wrong\n"));
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("--json", "config", "set", "a.c",
	    "[]")), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r),
	    "\"raw\": \"{\\\"a\\\":{\\\"c\\\":[]}}\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r), "\"baseHash\": \"h1\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(OUT(&r), "\"replacePaths\""));
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("config", "set", "a.b", "word")), 64);
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("config", "set", "a..b", "1")), 64);
	run_free(&r);
}

static void
methods_come_from_hello(void)
{
	struct run	 r;

	CU_ASSERT_EQUAL(run(&r, ARGS("methods")), 0);
	CU_ASSERT_STRING_EQUAL(OUT(&r),
	    "METHOD  SCOPE  SUMMARY\n"
	    "echo    read   \n"
	    "health         \n");
	run_free(&r);
	CU_ASSERT_EQUAL(run(&r, ARGS("methods", "nope")), 1);
	run_free(&r);
}

static const struct cu_case cases[] = {
	CU_CASE(call_prints_the_result),
	CU_CASE(exit_codes_tell_who_failed),
	CU_CASE(chat_streams),
	CU_CASE(interrupted_chat_aborts_and_waits),
	CU_CASE(chat_reads_lines),
	CU_CASE(tables_line_up_and_escape),
	CU_CASE(plugin_needs_consent),
	CU_CASE(config_values),
	CU_CASE(methods_come_from_hello),
	CU_END
};

CU_MAIN("command", cases)
