/* SPDX-License-Identifier: MIT */
/* Plugin channels: status, control, pairing, and messages from outside. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/audit.h>
#include <chela/services/channel.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define LINE_MAX_LEN 1024

/* A channel whose other side is the test. */
static struct {
	struct fake		*f;
	int			 running;
	int			 start_r;
	unsigned		 n_starts;
	unsigned		 n_stops;
	unsigned		 n_sent;
	char			 sent[64][LINE_MAX_LEN];	/* "to|text" */
	uint32_t		 status;	/* of the next deliveries */
	chela_channel_probe_fn	*probe_done;
	void			*probe_arg;
} line;

struct late {
	chela_channel_done_fn	*done;
	void			*arg;
};

static int
line_configured(void)
{
	return (1);
}

static const char *
line_default(void)
{
	return ("default");
}

static int
line_accounts(struct json_object **ret)
{
	struct json_object	*row = json_object_new_object();

	*ret = json_object_new_array();
	(void)json_object_object_add(row, "accountId",
	    json_object_new_string("default"));
	(void)json_object_object_add(row, "enabled",
	    json_object_new_boolean(1));
	(void)json_object_object_add(row, "configured",
	    json_object_new_boolean(1));
	(void)json_object_object_add(row, "running",
	    json_object_new_boolean(line.running));
	(void)json_object_array_add(*ret, row);
	return (0);
}

static int
line_target(const char *account_id, const char *to, const char **ret_why)
{
	(void)account_id;
	(void)to;
	(void)ret_why;
	return (0);
}

static void
line_later(struct chela_ctx *ctx, void *arg)
{
	struct chela_channel_result	 res;
	struct late			*l = arg;

	(void)ctx;
	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	res.status = line.status;
	res.message = line.status == CHELA_CHANNEL_OK ? NULL : "line noise";
	res.message_id = "m";
	l->done(&res, l->arg);
	free(l);
}

static int
line_send(const struct chela_channel_message *msg, chela_channel_done_fn *done,
    void *arg)
{
	struct late	*l = calloc(1, sizeof *l);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	if (line.n_sent < 64)
		(void)snprintf(line.sent[line.n_sent], LINE_MAX_LEN, "%s|%s",
		    msg->to, msg->text);
	line.n_sent++;
	l->done = done;
	l->arg = arg;
	return (fake_host(line.f)->post(fake_ctx(line.f, ""), line_later, l));
}

static int
line_start(const char *account_id)
{
	if (strcmp(account_id, "default") != 0)
		return (-ENOENT);
	line.n_starts++;
	if (line.start_r < 0)
		return (line.start_r);
	line.running = 1;
	return (0);
}

static int
line_stop(const char *account_id)
{
	if (strcmp(account_id, "default") != 0)
		return (-ENOENT);
	line.n_stops++;
	line.running = 0;
	return (0);
}

static int
line_logout(const char *account_id, chela_channel_logout_fn *done, void *arg)
{
	(void)account_id;
	done(1, NULL, arg);
	return (0);
}

static int
line_probe(const char *account_id, uint64_t timeout_us,
    chela_channel_probe_fn *done, void *arg)
{
	(void)account_id;
	CU_ASSERT_EQUAL(timeout_us, UINT64_C(1000000));
	line.probe_done = done;
	line.probe_arg = arg;
	return (0);
}

static const struct chela_channel_1 channel = {
	.struct_size = sizeof channel,
	.id = "line",
	.label = "Line",
	.image = "phone",
	.configured = line_configured,
	.default_account = line_default,
	.accounts = line_accounts,
	.check_target = line_target,
	.send = line_send,
	.start = line_start,
	.stop = line_stop,
	.logout = line_logout,
	.probe = line_probe,
};

/* Runs that the test ends. */
static struct {
	unsigned				 n;
	char					 id[64][300];
	char					 key[64][512];
	char					 message[64][64];
	const struct chela_agent_watcher	*watcher;
	void					*arg;
} runs;

static int
runs_start(const struct chela_agent_start *rq, const char **ret_why)
{
	(void)ret_why;
	CU_ASSERT_FATAL(runs.n < 64);
	(void)snprintf(runs.id[runs.n], 300, "%s", rq->run_id);
	(void)snprintf(runs.key[runs.n], 512, "%s", rq->session_key);
	(void)snprintf(runs.message[runs.n], 64, "%s", rq->message);
	runs.n++;
	return (0);
}

static int
runs_watch(const struct chela_agent_watcher *watcher, void *arg)
{
	runs.watcher = watcher;
	runs.arg = arg;
	return (0);
}

static void
runs_unwatch(const struct chela_agent_watcher *watcher, void *arg)
{
	(void)arg;
	CU_ASSERT_PTR_EQUAL(watcher, runs.watcher);
	runs.watcher = NULL;
}

static int
runs_abort(const char *key, const char *reason, struct json_object **ret_ids)
{
	(void)key;
	(void)reason;
	(void)ret_ids;
	return (0);
}

static const struct chela_agent_1 agent = {
	.struct_size = sizeof agent,
	.abort_session = runs_abort,
	.start = runs_start,
	.watch = runs_watch,
	.unwatch = runs_unwatch,
};

static void
run_end(unsigned i, uint32_t kind, const char *text)
{
	struct chela_agent_event	ev;

	memset(&ev, 0, sizeof ev);
	ev.struct_size = sizeof ev;
	ev.kind = kind;
	ev.run_id = runs.id[i];
	ev.session_key = runs.key[i];
	ev.all = text;
	ev.all_len = text != NULL ? strlen(text) : 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(runs.watcher);
	runs.watcher->event(&ev, runs.arg);
}

/* What the ledger would get: "<in|out> <status>;" each. */
static char	told[512];

static int
audit_message(struct chela_ctx *ctx, const struct chela_audit_message *m)
{
	(void)ctx;
	CU_ASSERT_STRING_EQUAL(m->channel, "line");
	(void)snprintf(told + strlen(told), sizeof told - strlen(told),
	    "%s %s;", m->is_outbound ? "out" : "in", m->status);
	return (0);
}

static const struct chela_audit_1 audit = {
	.struct_size = sizeof audit,
	.message = audit_message,
};

static struct fake *
begin(const char *conf)
{
	struct fake	*f = fake_new();

	memset(&line, 0, sizeof line);
	memset(&runs, 0, sizeof runs);
	line.f = f;
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	fake_clock(f, UINT64_C(1700000000000));
	CU_ASSERT_EQUAL(fake_service(f, "channel-line", CHELA_CHANNEL_SERVICE,
	    &channel), 0);
	CU_ASSERT_EQUAL(fake_service(f, "agent", CHELA_AGENT_SERVICE, &agent),
	    0);
	CU_ASSERT_EQUAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "commands"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "channels"), 0);
	CU_ASSERT_EQUAL(fake_service(f, "audit", CHELA_AUDIT_SERVICE, &audit),
	    0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	fake_advance(f, 1);
	return (f);
}

static int
take(struct fake *f, const char *sender, const char *id, const char *text)
{
	const struct chela_channels_1	*svc;
	struct chela_inbound		 in;

	svc = fake_import(f, CHELA_CHANNELS_SERVICE);
	memset(&in, 0, sizeof in);
	in.struct_size = sizeof in;
	in.channel = "line";
	in.account_id = "default";
	in.chat_type = "direct";
	in.sender_id = sender;
	in.chat_id = sender;
	in.text = text;
	in.message_id = id;
	return (svc->inbound(&in));
}

static const char open_conf[] =
    "{\"channels\":{\"line\":{\"dmPolicy\":\"open\",\"allowFrom\":[\"*\"]}},"
    "\"session\":{\"dmScope\":\"per-channel-peer\"}}";

static void
status(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;
	struct fake_req		*rq;

	reply = fake_call(f, NULL, "channels.status", "{}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.channelOrder.0"),
	    "line");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.channelLabels.line"),
	    "Line");
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.channelDefaultAccountId.line"), "default");
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.channelAccounts.line.0.dmPolicy"), "pairing");
	CU_ASSERT(json_object_get_boolean(fake_get(reply,
	    "result.channelAccounts.line.0.running")));
	json_object_put(reply);
	reply = fake_call(f, NULL, "channels.status", "{\"channel\":\"zz\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), "unknown channel: zz");
	json_object_put(reply);
	/* A probe that answers, and one that is late. */
	rq = fake_send(f, NULL, "channels.status",
	    "{\"probe\":true,\"timeoutMs\":0}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	reply = json_tokener_parse("{\"ok\":true}");
	line.probe_done(reply, line.probe_arg);
	json_object_put(reply);
	reply = fake_reply(rq);
	CU_ASSERT(json_object_get_boolean(fake_get(reply,
	    "result.channelAccounts.line.0.probe.ok")));
	CU_ASSERT_PTR_NULL(fake_get(reply, "result.partial"));
	fake_req_free(rq);
	rq = fake_send(f, NULL, "channels.status",
	    "{\"probe\":true,\"timeoutMs\":0}");
	fake_settle(f);
	fake_advance(f, UINT64_C(1000001));
	reply = fake_reply_now(rq);
	CU_ASSERT(json_object_get_boolean(fake_get(reply, "result.partial")));
	CU_ASSERT(json_object_get_boolean(fake_get(reply,
	    "result.channelAccounts.line.0.probe.timedOut")));
	fake_req_free(rq);
	line.probe_done(NULL, line.probe_arg);
	fake_free(f);
}

static void
control(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;

	CU_ASSERT_EQUAL(line.n_starts, 1);
	reply = fake_call(f, NULL, "channels.stop", "{\"channel\":\"line\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(reply, "result.stopped")));
	json_object_put(reply);
	/* Stopped by hand is stopped. */
	fake_advance(f, UINT64_C(600000000));
	CU_ASSERT_EQUAL(line.n_starts, 1);
	reply = fake_call(f, NULL, "channels.start", "{\"channel\":\"LINE\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(reply, "result.started")));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.accountId"), "default");
	json_object_put(reply);
	reply = fake_call(f, NULL, "channels.start", "{\"channel\":\"zz\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply),
	    "invalid channels.start channel");
	json_object_put(reply);
	reply = fake_call(f, NULL, "channels.stop",
	    "{\"channel\":\"line\",\"accountId\":\"b\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply),
	    "channel line has no account \"b\"");
	json_object_put(reply);
	reply = fake_call(f, NULL, "channels.logout", "{\"channel\":\"line\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(reply, "result.cleared")));
	CU_ASSERT_EQUAL(line.running, 0);
	json_object_put(reply);
	/* Its part of the configuration changes: it starts; another's: not. */
	CU_ASSERT_EQUAL(fake_conf(f, "{\"channels\":{\"x\":{}}}"), 0);
	fake_advance(f, UINT64_C(60000000));
	CU_ASSERT_EQUAL(line.running, 0);
	CU_ASSERT_EQUAL(fake_conf(f, "{\"channels\":{\"line\":{\"a\":1}}}"), 0);
	fake_advance(f, 1);
	CU_ASSERT_EQUAL(line.running, 1);
	fake_free(f);
}

static void
backoff(void)
{
	struct fake			*f = begin("{}");
	const struct chela_channels_1	*svc;
	struct json_object		*reply;

	svc = fake_import(f, CHELA_CHANNELS_SERVICE);
	line.running = 0;
	line.start_r = -ECONNREFUSED;
	svc->ended("line", "default", "gone");
	fake_advance(f, 900000);
	CU_ASSERT_EQUAL(line.n_starts, 1);
	fake_advance(f, 200000);
	CU_ASSERT_EQUAL(line.n_starts, 2);
	fake_advance(f, 1700000);
	CU_ASSERT_EQUAL(line.n_starts, 2);
	fake_advance(f, 400000);
	CU_ASSERT_EQUAL(line.n_starts, 3);
	reply = fake_call(f, NULL, "channels.status", "{}");
	CU_ASSERT_EQUAL(fake_int(reply,
	    "result.channelAccounts.line.0.reconnectAttempts"), 3);
	json_object_put(reply);
	line.start_r = 0;
	fake_advance(f, UINT64_C(4100000));
	CU_ASSERT_EQUAL(line.n_starts, 4);
	svc->up("line", "default");
	reply = fake_call(f, NULL, "channels.status", "{}");
	CU_ASSERT_EQUAL(fake_int(reply,
	    "result.channelAccounts.line.0.reconnectAttempts"), 0);
	CU_ASSERT_PTR_NULL(fake_get(reply,
	    "result.channelAccounts.line.0.lastError"));
	json_object_put(reply);
	fake_free(f);
}

/* AB-126 */
static void
once_and_in_order(void)
{
	struct fake		*f = begin(open_conf);
	struct json_object	*reply;

	CU_ASSERT_EQUAL(take(f, "ann", "1", "one"), 1);
	CU_ASSERT_EQUAL(take(f, "ann", "2", "two"), 1);
	CU_ASSERT_EQUAL(take(f, "bob", "1", "other"), 1);
	CU_ASSERT_EQUAL(take(f, "ann", "1", "one"), 0);
	fake_settle(f);
	/* Two chats side by side, the second message of one waits. */
	CU_ASSERT_EQUAL(runs.n, 2);
	CU_ASSERT_STRING_EQUAL(runs.message[0], "one");
	CU_ASSERT_STRING_EQUAL(runs.key[0], "agent:main:line:direct:ann");
	CU_ASSERT_STRING_EQUAL(runs.message[1], "other");
	reply = fake_call(f, NULL, "channels.status", "{}");
	CU_ASSERT_EQUAL(fake_int(reply,
	    "result.channelAccounts.line.0.activeRuns"), 2);
	json_object_put(reply);
	run_end(0, CHELA_AGENT_FINAL, "answer one");
	fake_settle(f);
	CU_ASSERT_EQUAL(runs.n, 3);
	CU_ASSERT_STRING_EQUAL(runs.message[2], "two");
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_STRING_EQUAL(line.sent[0], "ann|answer one");
	run_end(1, CHELA_AGENT_ERROR, NULL);
	run_end(2, CHELA_AGENT_ABORTED, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 2);
	CU_ASSERT_STRING_EQUAL(line.sent[1],
	    "bob|The agent could not answer.");
	CU_ASSERT_EQUAL(take(f, "ann", "2", "two"), 0);
	/* Neither after a restart. */
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	CU_ASSERT_EQUAL(take(f, "ann", "2", "two"), 0);
	CU_ASSERT_EQUAL(take(f, "bob", "1", "other"), 0);
	CU_ASSERT_EQUAL(take(f, "bob", "2", "other"), 1);
	fake_free(f);
}

/* AB-126 */
static void
bounded(void)
{
	struct fake	*f = begin(open_conf);
	char		 id[16];
	int		 i, taken = 0, r = 1;

	for (i = 0; i < 200 && r >= 0; i++) {
		(void)snprintf(id, sizeof id, "%d", i);
		r = take(f, "ann", id, "x");
		taken += r == 1;
	}
	CU_ASSERT_EQUAL(r, -ENOBUFS);
	CU_ASSERT_EQUAL(taken, 51);
	/* What was not taken may be delivered again later. */
	run_end(0, CHELA_AGENT_ABORTED, NULL);
	CU_ASSERT_EQUAL(take(f, "ann", id, "x"), 1);
	CU_ASSERT_EQUAL(take(f, "", "9", "x"), -EINVAL);
	fake_free(f);
}

/* AB-059 */
static void
commands_of_senders(void)
{
	struct fake	*f = begin(open_conf);

	CU_ASSERT_EQUAL(take(f, "ann", "1", "/whoami"), 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(runs.n, 0);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(line.sent[0], "Sender: ann"));
	CU_ASSERT_PTR_NULL(strstr(line.sent[0], "operator.admin"));
	CU_ASSERT_EQUAL(take(f, "ann", "2", "/new and go"), 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(runs.n, 1);
	CU_ASSERT_STRING_EQUAL(runs.message[0], "and go");
	fake_free(f);
}

/*
 * AB-125: what may have arrived is not sent again; what surely did not is,
 * three times.
 */
static void
deliveries(void)
{
	struct fake	*f = begin(open_conf);

	told[0] = '\0';
	CU_ASSERT_EQUAL(take(f, "ann", "1", "x"), 1);
	line.status = CHELA_CHANNEL_UNCERTAIN;
	run_end(0, CHELA_AGENT_FINAL, "a");
	fake_settle(f);
	fake_advance(f, UINT64_C(60000000));
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_EQUAL(take(f, "ann", "2", "x"), 1);
	line.status = CHELA_CHANNEL_FAILED;
	run_end(1, CHELA_AGENT_FINAL, "b");
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 2);
	fake_advance(f, UINT64_C(2000001));
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 3);
	fake_advance(f, UINT64_C(4000001));
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 4);
	fake_advance(f, UINT64_C(60000000));
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 4);
	CU_ASSERT_EQUAL(take(f, "ann", "3", "x"), 1);
	CU_ASSERT_EQUAL(runs.n, 3);
	run_end(2, CHELA_AGENT_ERROR, NULL);
	fake_settle(f);
	CU_ASSERT_STRING_EQUAL(told, "out unknown;in succeeded;out failed;"
	    "in succeeded;");
	/* The third run failed: an apology goes out. */
	line.status = CHELA_CHANNEL_OK;
	fake_advance(f, UINT64_C(60000000));
	fake_settle(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(told, "out succeeded;in failed;"));
	fake_free(f);
}

/* AB-126 */
static void
policies(void)
{
	struct fake	*f;

	f = begin("{\"channels\":{\"line\":{\"dmPolicy\":\"open\"}}}");
	CU_ASSERT_EQUAL(take(f, "ann", "1", "x"), 0);
	CU_ASSERT_EQUAL(line.n_sent, 0);
	fake_free(f);
	f = begin("{\"channels\":{\"line\":{\"dmPolicy\":\"disabled\","
	    "\"allowFrom\":[\"ann\"]}}}");
	CU_ASSERT_EQUAL(take(f, "ann", "1", "x"), 0);
	fake_free(f);
	f = begin("{\"channels\":{\"line\":{\"dmPolicy\":\"allowlist\","
	    "\"allowFrom\":[\"ann\"]}}}");
	CU_ASSERT_EQUAL(take(f, "ann", "1", "x"), 1);
	CU_ASSERT_EQUAL(take(f, "Ann", "2", "x"), 0);
	CU_ASSERT_EQUAL(take(f, "ann2", "3", "x"), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n_sent, 0);
	fake_free(f);
}

static void
groups(void)
{
	struct fake			*f;
	const struct chela_channels_1	*svc;
	struct chela_inbound		 in;

	f = begin("{\"channels\":{\"line\":{\"groups\":{\"g1\":{},"
	    "\"g2\":{\"requireMention\":false}}}},\"agents\":{\"entries\":{"
	    "\"main\":{},\"ops\":{}}},\"bindings\":[{\"agentId\":\"ops\","
	    "\"match\":{\"channel\":\"line\",\"peer\":{\"kind\":\"group\","
	    "\"id\":\"g2\"}}},{\"agentId\":\"main\",\"match\":{\"channel\":"
	    "\"line\"}}]}");
	svc = fake_import(f, CHELA_CHANNELS_SERVICE);
	memset(&in, 0, sizeof in);
	in.struct_size = sizeof in;
	in.channel = "line";
	in.account_id = "default";
	in.chat_type = "group";
	in.sender_id = "ann";
	in.chat_id = "g1";
	in.text = "x";
	in.message_id = "1";
	CU_ASSERT_EQUAL(svc->inbound(&in), 0);
	in.message_id = "2";
	in.mentioned = 1;
	CU_ASSERT_EQUAL(svc->inbound(&in), 1);
	in.chat_id = "g3";
	in.message_id = "3";
	CU_ASSERT_EQUAL(svc->inbound(&in), 0);
	in.chat_id = "g2";
	in.mentioned = 0;
	in.message_id = "4";
	in.thread_id = "t9";
	CU_ASSERT_EQUAL(svc->inbound(&in), 1);
	fake_settle(f);
	CU_ASSERT_EQUAL_FATAL(runs.n, 2);
	CU_ASSERT_STRING_EQUAL(runs.key[0], "agent:main:line:group:g1");
	CU_ASSERT_STRING_EQUAL(runs.key[1],
	    "agent:ops:line:group:g2:thread:t9");
	fake_free(f);
}

static void
key_is(struct fake *f, const char *scope, const char *peer, const char *want)
{
	const struct chela_channels_1	*svc;
	char				 conf[256], key[513];

	(void)snprintf(conf, sizeof conf,
	    "{\"session\":{\"dmScope\":\"%s\",\"identityLinks\":{\"eve\":"
	    "[\"line:e1\"]}}}", scope);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	svc = fake_import(f, CHELA_CHANNELS_SERVICE);
	CU_ASSERT_EQUAL(svc->session_key("line", "acc", "direct", peer, NULL,
	    key, sizeof key), 0);
	CU_ASSERT_STRING_EQUAL(key, want);
}

/* AB-073 */
static void
keys(void)
{
	struct fake	*f = begin("{}");

	key_is(f, "main", "ann", "agent:main:main");
	key_is(f, "per-peer", "ann", "agent:main:direct:ann");
	key_is(f, "per-channel-peer", "e1", "agent:main:line:direct:eve");
	key_is(f, "per-account-channel-peer", "ann",
	    "agent:main:line:acc:direct:ann");
	key_is(f, "per-peer", "a:b%3a", "agent:main:direct:a%3ab%253a");
	fake_free(f);
}

/* AB-126 */
static void
pairing(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;
	struct fake_conn_opt	 opt;
	char			 code[16];

	CU_ASSERT_EQUAL(take(f, "ann", "1", "hello"), 0);
	CU_ASSERT_EQUAL(take(f, "ann", "2", "hello?"), 0);
	CU_ASSERT_EQUAL(take(f, "bob", "3", "hi"), 0);
	CU_ASSERT_EQUAL(take(f, "cyd", "4", "hi"), 0);
	CU_ASSERT_EQUAL(take(f, "dan", "5", "hi"), 0);
	fake_settle(f);
	/* A code once for each of the first three, and nothing for the rest. */
	CU_ASSERT_EQUAL(line.n_sent, 3);
	CU_ASSERT_EQUAL(runs.n, 0);
	reply = fake_call(f, NULL, "channels.pairing.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.requests")), 3);
	CU_ASSERT_EQUAL(fake_int(reply, "result.limits.pendingPerAccount"), 3);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.accounts.0.channel"),
	    "line");
	json_object_put(reply);
	(void)snprintf(code, sizeof code, "%s",
	    line.sent[0] + strlen(line.sent[0]) - 8);
	CU_ASSERT_EQUAL(strspn(code, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"), 8);
	memset(&opt, 0, sizeof opt);
	opt.role = CHELA_ROLE_OPERATOR;
	opt.scopes = "pairing";
	reply = fake_callf(f, fake_conn_new(f, &opt),
	    "channels.pairing.approve", "{\"channel\":\"line\","
	    "\"accountId\":\"default\",\"requestId\":\"%s\","
	    "\"bootstrapCommandOwner\":true}", code);
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "FORBIDDEN");
	json_object_put(reply);
	reply = fake_callf(f, fake_conn_new(f, &opt),
	    "channels.pairing.approve", "{\"channel\":\"line\","
	    "\"accountId\":\"other\",\"requestId\":\"%s\"}", code);
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	json_object_put(reply);
	reply = fake_callf(f, fake_conn_new(f, &opt),
	    "channels.pairing.approve", "{\"channel\":\"line\","
	    "\"accountId\":\"default\",\"requestId\":\"%s\",\"notify\":true}",
	    code);
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.senderId"), "ann");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.notification"), "sent");
	json_object_put(reply);
	reply = fake_callf(f, NULL, "channels.pairing.approve",
	    "{\"channel\":\"line\",\"accountId\":\"default\","
	    "\"requestId\":\"%s\"}", code);
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	json_object_put(reply);
	CU_ASSERT_EQUAL(take(f, "ann", "6", "hello"), 1);
	/* Dismissed: the sender may ask again. */
	(void)snprintf(code, sizeof code, "%s",
	    line.sent[1] + strlen(line.sent[1]) - 8);
	reply = fake_callf(f, NULL, "channels.pairing.dismiss",
	    "{\"channel\":\"line\",\"accountId\":\"default\","
	    "\"requestId\":\"%s\"}", code);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.senderId"), "bob");
	json_object_put(reply);
	line.n_sent = 0;
	CU_ASSERT_EQUAL(take(f, "bob", "7", "hi"), 0);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	/* After an hour nothing is left of the requests; the approval stays. */
	fake_advance(f, UINT64_C(3601000000));
	reply = fake_call(f, NULL, "channels.pairing.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.requests")), 0);
	json_object_put(reply);
	CU_ASSERT_EQUAL(take(f, "ann", "8", "hello"), 1);
	fake_free(f);
}

static size_t
n_requests(struct fake *f)
{
	struct json_object	*r = fake_call(f, NULL, "channels.pairing.list",
				    "{}");
	size_t			 n = json_object_array_length(fake_get(r,
				    "result.requests"));

	json_object_put(r);
	return (n);
}

/* AB-118: what somebody does to the wall clock makes no code good for longer. */
static void
pairing_goes_by_the_time_that_passes(void)
{
	static const uint64_t	 walls[] = { 1000, UINT64_C(1699900000000),
	    UINT64_C(1700100000000), UINT64_C(2015360000000) };
	struct fake	*f;
	size_t		 i;

	for (i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		f = begin("{}");
		CU_ASSERT_EQUAL(take(f, "ann", "1", "hello"), 0);
		fake_settle(f);
		fake_clock_set(f, walls[i]);
		CU_ASSERT_EQUAL(n_requests(f), 1);
		fake_advance(f, UINT64_C(3599000000));
		CU_ASSERT_EQUAL(n_requests(f), 1);
		fake_advance(f, UINT64_C(1000000));
		CU_ASSERT_EQUAL(n_requests(f), 0);
		fake_free(f);
	}
	/* Another process has but the wall clock: it must not be before. */
	for (i = 0; i < sizeof walls / sizeof walls[0]; i++) {
		f = begin("{}");
		CU_ASSERT_EQUAL(take(f, "ann", "1", "hello"), 0);
		fake_settle(f);
		fake_clock_set(f, walls[i]);
		CU_ASSERT_EQUAL_FATAL(fake_restart(f), 0);
		CU_ASSERT_EQUAL(n_requests(f), 0);
		fake_free(f);
	}
	f = begin("{}");
	CU_ASSERT_EQUAL(take(f, "ann", "1", "hello"), 0);
	fake_advance(f, UINT64_C(1800000000));
	CU_ASSERT_EQUAL_FATAL(fake_restart(f), 0);
	CU_ASSERT_EQUAL(n_requests(f), 1);
	fake_advance(f, UINT64_C(1801000000));
	CU_ASSERT_EQUAL(n_requests(f), 0);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(status),
	CU_CASE(control),
	CU_CASE(backoff),
	CU_CASE(once_and_in_order),
	CU_CASE(bounded),
	CU_CASE(commands_of_senders),
	CU_CASE(deliveries),
	CU_CASE(policies),
	CU_CASE(groups),
	CU_CASE(keys),
	CU_CASE(pairing),
	CU_CASE(pairing_goes_by_the_time_that_passes),
	CU_END
};
CU_MAIN("channels", cases)
