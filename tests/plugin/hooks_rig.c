/* SPDX-License-Identifier: MIT */
/* What the test of plugin hooks stands on. */
#include "tests/plugin/hooks_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/access.h>
#include <chela/services/channel.h>
#include <chela/services/system.h>

#include "tests/unit/cu.h"

struct fake		*f;
struct hooks_left	 left;
struct hooks_runs	 runs;
struct hooks_program	 program;

static int
is_gateway_secret(const char *text)
{
	return (strcmp(text, "gateway-secret") == 0);
}

static const struct chela_access_1 access_vt = {
	.struct_size = sizeof access_vt,
	.is_gateway_secret = is_gateway_secret,
};

static int
add_event(const char *key, const char *text)
{
	int	 r = strcmp(left.key, key) == 0 &&
		    strcmp(left.text, text) == 0;

	(void)snprintf(left.key, sizeof left.key, "%s", key);
	(void)snprintf(left.text, sizeof left.text, "%s", text);
	left.n++;
	return (r);
}

static int
request_turn(const char *key)
{
	(void)snprintf(left.turn, sizeof left.turn, "%s", key);
	return (0);
}

static const struct chela_system_1 texts = {
	.struct_size = sizeof texts,
	.add_event = add_event,
	.request_turn = request_turn,
};

void
keep(char *s, size_t size, const char *value)
{
	(void)snprintf(s, size, "%s", value != NULL ? value : "");
}

static int
run_start(const struct chela_agent_start *rq, const char **ret_why)
{
	*ret_why = "no";
	if (runs.r < 0)
		return (runs.r);
	CU_ASSERT_FATAL(runs.n < HOOKS_STARTS_MAX);
	keep(runs.id[runs.n], sizeof runs.id[0], rq->run_id);
	keep(runs.key[runs.n], sizeof runs.key[0], rq->session_key);
	keep(runs.message, sizeof runs.message, rq->message);
	keep(runs.channel, sizeof runs.channel, rq->channel);
	keep(runs.to, sizeof runs.to, rq->to);
	keep(runs.account, sizeof runs.account, rq->account_id);
	keep(runs.model, sizeof runs.model, rq->model);
	runs.flags = rq->flags;
	runs.timeout_us = rq->timeout_us;
	runs.n++;
	return (0);
}

static int
run_abort(const char *run_id, const char *reason)
{
	CU_ASSERT_STRING_EQUAL(reason, "timeout");
	keep(runs.aborted, sizeof runs.aborted, run_id);
	return (1);
}

static int
run_each(const char *key, int (*cb)(const struct chela_agent_run *run,
    void *arg), void *arg)
{
	struct chela_agent_run	 run = { .struct_size = sizeof run };

	(void)key;
	return (runs.others > 0 ? cb(&run, arg) : 0);
}

static int
run_watch(const struct chela_agent_watcher *watcher, void *arg)
{
	(void)arg;
	runs.watcher = watcher;
	return (0);
}

static void
run_unwatch(const struct chela_agent_watcher *watcher, void *arg)
{
	(void)arg;
	CU_ASSERT_PTR_EQUAL(watcher, runs.watcher);
	runs.watcher = NULL;
}

static const struct chela_agent_1 agent = {
	.struct_size = sizeof agent,
	.start = run_start,
	.abort = run_abort,
	.each = run_each,
	.watch = run_watch,
	.unwatch = run_unwatch,
};

void
run_tell(unsigned n, uint32_t kind, const char *all, const char *delivery)
{
	struct chela_agent_event	 ev = { .struct_size = sizeof ev,
		.kind = kind, .run_id = runs.id[n],
		.session_key = runs.key[n], .agent_id = "main" };

	ev.all = all;
	ev.all_len = all != NULL ? strlen(all) : 0;
	ev.delivery = delivery;
	ev.error = kind == CHELA_AGENT_ERROR ? "it broke" : NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(runs.watcher);
	runs.watcher->event(&ev, NULL);
	fake_settle(f);
}

static int
line_configured(void)
{
	return (1);
}

static int
line_accounts(struct json_object **ret)
{
	*ret = json_tokener_parse("[{\"accountId\":\"a1\"}]");
	return (0);
}

static const struct chela_channel_1 line = {
	.struct_size = sizeof line,
	.id = "line",
	.label = "Line",
	.configured = line_configured,
	.accounts = line_accounts,
};

const struct chela_process_handler *program_handler;
static void	*program_arg;

static int
program_start(const struct chela_process_request *rq,
    const struct chela_process_handler *handler, void *arg,
    struct chela_process **ret_process)
{
	keep(program.argv0, sizeof program.argv0, rq->path);
	(void)snprintf(program.input, sizeof program.input, "%.*s",
	    (int)rq->input_len, (const char *)rq->input);
	program.n++;
	program_handler = handler;
	program_arg = arg;
	*ret_process = (struct chela_process *)(void *)&program;
	return (0);
}

static void
program_forget(struct chela_process *p)
{
	CU_ASSERT_PTR_EQUAL(p, &program);
	program_handler = NULL;
}

static const struct chela_process_1 processes = {
	.struct_size = sizeof processes,
	.start = program_start,
	.forget = program_forget,
};

void
program_end(void)
{
	struct chela_process_result	 res = { .struct_size = sizeof res,
		.exit_code = program.exit_code, .out = program.output,
		.out_len = strlen(program.output) };

	CU_ASSERT_PTR_NOT_NULL_FATAL(program_handler);
	program_handler->done(NULL, &res, program_arg);
	fake_settle(f);
}

int
setup(const char *conf)
{
	memset(&left, 0, sizeof left);
	memset(&runs, 0, sizeof runs);
	memset(&program, 0, sizeof program);
	f = fake_new();
	fake_clock(f, UINT64_C(1700000000000));
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	(void)fake_service(f, "core", CHELA_ACCESS_SERVICE, &access_vt);
	(void)fake_service(f, "system", CHELA_SYSTEM_SERVICE, &texts);
	(void)fake_service(f, "agent", CHELA_AGENT_SERVICE, &agent);
	(void)fake_service(f, "process", CHELA_PROCESS_SERVICE, &processes);
	(void)fake_service(f, "channel-line", CHELA_CHANNEL_SERVICE, &line);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "hooks"), 0);
	return (fake_start(f));
}

void
begin(const char *conf)
{
	CU_ASSERT_EQUAL_FATAL(setup(conf), 0);
}

void
end(void)
{
	fake_free(f);
	f = NULL;
}

struct ask
request(const char *path, const char *body)
{
	struct ask	 rq = { .method = "POST", .path = path, .query = "",
		.remote = "127.0.0.1", .body = body };

	rq.headers[0][0] = "Authorization";
	rq.headers[0][1] = HOOKS_GOOD;
	return (rq);
}

void
go(struct ask *rq)
{
	struct fake_http_opt	 opt = { .method = rq->method,
		.body = rq->body, .body_len = rq->body_len,
		.remote = rq->remote, .is_slow = rq->is_slow };
	char			 path[256], headers[1024];
	size_t			 i, n = 0;

	(void)snprintf(path, sizeof path, "%s%s%s", rq->path,
	    *rq->query != '\0' ? "?" : "", rq->query);
	headers[0] = '\0';
	for (i = 0; i < HOOKS_HEADERS_MAX && rq->headers[i][0] != NULL; i++)
		n += (size_t)snprintf(headers + n, sizeof headers - n,
		    "%s: %s\n", rq->headers[i][0], rq->headers[i][1]);
	opt.path = path;
	opt.headers = headers;
	rq->h = fake_http_send(f, &opt);
	fake_settle(f);
}

unsigned
status_of(const struct ask *rq)
{
	return (rq->h->status);
}

const char *
text_of(const struct ask *rq)
{
	return (fake_http_text(rq->h));
}

void
done(struct ask *rq)
{
	fake_http_free(rq->h);
	rq->h = NULL;
}

bool
is_served(const char *path)
{
	struct ask	 rq = request(path, "{}");
	unsigned	 status;

	go(&rq);
	status = status_of(&rq);
	CU_ASSERT(status == 400 || status == 404);
	done(&rq);
	return (status == 400);
}

void
expect(struct ask *rq, uint32_t status, const char *text)
{
	if (status_of(rq) != status || strcmp(text_of(rq), text) != 0)
		(void)fprintf(stderr, "%s: %u %s\n", rq->body,
		    status_of(rq), text_of(rq));
	CU_ASSERT_EQUAL(status_of(rq), status);
	CU_ASSERT_STRING_EQUAL(text_of(rq), text);
	done(rq);
}

void
post(const char *path, const char *body, uint32_t status, const char *text)
{
	struct ask	 rq = request(path, body);

	go(&rq);
	expect(&rq, status, text);
}
