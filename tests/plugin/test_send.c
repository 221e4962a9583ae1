/* SPDX-License-Identifier: MIT */
/* Plugin send on the real channels and sessions, with a channel of the test. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/channel.h>
#include <chela/services/chat.h>
#include <chela/services/sessions.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

/* The other side of the channel: answers when the test says so. */
static struct {
	int				 is_configured;
	unsigned			 n_sent;
	unsigned			 n_polls;
	unsigned			 n_actions;
	char				 to[64];
	char				 text[256];
	char				 media[256];
	size_t				 bytes_len;
	uint32_t			 flags;
	uint32_t			 n_options;
	uint64_t			 duration_s;
	chela_channel_done_fn		*done;
	void				*arg;
} line;

static int
line_configured(void)
{
	return (line.is_configured);
}

static const char *
line_default(void)
{
	return ("a1");
}

static int
line_accounts(struct json_object **ret)
{
	*ret = json_object_new_array();
	return (0);
}

static int
line_target(const char *account_id, const char *to, const char **ret_why)
{
	CU_ASSERT_STRING_EQUAL(account_id, "a1");
	*ret_why = "a target starts with +";
	return (*to == '+' ? 0 : -EINVAL);
}

static int
line_send(const struct chela_channel_message *msg, chela_channel_done_fn *done,
    void *arg)
{
	uint32_t	i;

	line.n_sent++;
	line.media[0] = '\0';
	line.bytes_len = 0;
	(void)snprintf(line.to, sizeof line.to, "%s", msg->to);
	(void)snprintf(line.text, sizeof line.text, "%s",
	    msg->text != NULL ? msg->text : "");
	for (i = 0; i < msg->n_media; i++) {
		if (msg->media[i].url != NULL)
			(void)snprintf(line.media + strlen(line.media),
			    sizeof line.media - strlen(line.media), "%s ",
			    msg->media[i].url);
		else
			line.bytes_len = msg->media[i].len;
	}
	line.flags = msg->flags;
	line.done = done;
	line.arg = arg;
	return (0);
}

static int
line_poll(const struct chela_channel_poll *poll, chela_channel_done_fn *done,
    void *arg)
{
	line.n_polls++;
	line.n_options = poll->n_options;
	line.duration_s = poll->duration_s;
	line.done = done;
	line.arg = arg;
	return (0);
}

static int
line_action(const char *account_id, const char *action,
    struct json_object *params, chela_channel_done_fn *done, void *arg)
{
	(void)account_id;
	CU_ASSERT_STRING_EQUAL(action, "react");
	CU_ASSERT_STRING_EQUAL(fake_str(params, "emoji"), "x");
	line.n_actions++;
	line.done = done;
	line.arg = arg;
	return (0);
}

static void
line_answer(uint32_t status, const char *id)
{
	struct chela_channel_result	res;

	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	res.status = status;
	res.message = status == CHELA_CHANNEL_OK ? NULL : "line noise";
	res.message_id = id;
	res.chat_id = "c9";
	line.done(&res, line.arg);
}

static const char *const actions[] = { "react", NULL };
static const struct chela_channel_1 channel = {
	.struct_size = sizeof channel,
	.flags = CHELA_CHANNEL_MEDIA,
	.id = "line",
	.label = "Line",
	.actions = actions,
	.poll_options_max = 3,
	.configured = line_configured,
	.default_account = line_default,
	.accounts = line_accounts,
	.check_target = line_target,
	.send = line_send,
	.poll = line_poll,
	.action = line_action,
};
static const struct chela_channel_1 plain = {
	.struct_size = sizeof plain,
	.id = "plain",
	.label = "Plain",
	.configured = line_configured,
	.default_account = line_default,
	.accounts = line_accounts,
	.check_target = line_target,
	.send = line_send,
};

/* The chat windows. */
static char	shown[256];

static void
chat_final(const char *key, const char *run_id, struct json_object *message)
{
	CU_ASSERT(strncmp(run_id, "send-", 5) == 0);
	(void)snprintf(shown, sizeof shown, "%s %s", key,
	    fake_str(message, "content.0.text"));
	json_object_put(message);
}

static const struct chela_chat_1 chat = {
	.struct_size = sizeof chat,
	.final = chat_final,
};

static struct fake *
begin(void)
{
	struct fake	*f = fake_new();

	memset(&line, 0, sizeof line);
	fake_clock(f, UINT64_C(1700000000000));
	CU_ASSERT_EQUAL(fake_conf(f, "{\"session\":{\"dmScope\":"
	    "\"per-channel-peer\"},\"logging\":{\"audit\":{\"messages\":"
	    "\"all\"}}}"), 0);
	CU_ASSERT_EQUAL(fake_service(f, "channel-line", CHELA_CHANNEL_SERVICE,
	    &channel), 0);
	CU_ASSERT_EQUAL(fake_service(f, "channel-plain", CHELA_CHANNEL_SERVICE,
	    &plain), 0);
	CU_ASSERT_EQUAL(fake_service(f, "chat", CHELA_CHAT_SERVICE, &chat), 0);
	CU_ASSERT_EQUAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "channels"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "channel-webchat"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "send"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "audit"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	return (f);
}

static void
bad(struct fake *f, const char *method, const char *params,
    const char *message)
{
	struct json_object	*reply = fake_call(f, NULL, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), message);
	json_object_put(reply);
}

static struct fake_req *
call(struct fake *f, const char *method, const char *params)
{
	struct fake_req	*rq = fake_send(f, NULL, method, params);

	fake_settle(f);
	return (rq);
}

static char	last_text[256];
static size_t	n_rows;

static void
read_rows(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*row;

	CU_ASSERT_EQUAL(r, 0);
	n_rows = n;
	last_text[0] = '\0';
	if (n > 0) {
		row = json_tokener_parse(rows[n - 1].text);
		(void)snprintf(last_text, sizeof last_text, "%s",
		    fake_str(row, "content.0.text"));
		json_object_put(row);
	}
	*(bool *)arg = true;
}

static bool
is_true(void *arg)
{
	return (*(bool *)arg);
}

/* The last row of a session. */
static const char *
last_row(struct fake *f, const char *key)
{
	const struct chela_sessions_1	*s;
	bool				 done = false;

	s = fake_import(f, CHELA_SESSIONS_SERVICE);
	CU_ASSERT_EQUAL(s->read(key, 0, 10, 100000, 0, read_rows, &done), 0);
	CU_ASSERT_EQUAL(fake_wait(f, is_true, &done), 0);
	return (last_text);
}

/* AB-120 */
static void
webchat(void)
{
	struct fake		*f = begin();
	struct json_object	*reply;

	reply = fake_call(f, NULL, "send", "{\"to\":\"main\",\"message\":"
	    "\"good morning\",\"idempotencyKey\":\"k1\"}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.runId"), "k1");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.channel"), "webchat");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.conversationId"),
	    "agent:main:main");
	CU_ASSERT(*fake_str(reply, "result.messageId") != '\0');
	CU_ASSERT_STRING_EQUAL(shown, "agent:main:main good morning");
	json_object_put(reply);
	CU_ASSERT_STRING_EQUAL(last_row(f, "main"), "good morning");
	CU_ASSERT_EQUAL(n_rows, 1);
	/* The same again is the same row. */
	reply = fake_call(f, NULL, "send", "{\"message\":\"good morning\","
	    "\"to\":\"main\",\"idempotencyKey\":\"k1\"}");
	CU_ASSERT(fake_ok(reply));
	json_object_put(reply);
	CU_ASSERT_STRING_EQUAL(last_row(f, "main"), "good morning");
	CU_ASSERT_EQUAL(n_rows, 1);
	bad(f, "send", "{\"to\":\"agent:main:nobody\",\"channel\":\"webchat\","
	    "\"message\":\"x\",\"idempotencyKey\":\"k2\"}",
	    "a webchat target is the key of a session, such as \"main\"");
	bad(f, "send", "{\"to\":\"+1\",\"message\":\"x\","
	    "\"idempotencyKey\":\"k3\"}",
	    "Error: Channel is required (no configured channels detected). Configure one below \"channels\", or name it in the call.");
	bad(f, "poll", "{\"to\":\"main\",\"question\":\"q\",\"options\":"
	    "[\"a\",\"b\"],\"channel\":\"webchat\",\"idempotencyKey\":\"k4\"}",
	    "unsupported poll channel: webchat");
	fake_free(f);
}

static void
routes(void)
{
	struct fake	*f = begin();
	struct fake_req	*rq;

	bad(f, "send", "{\"to\":\"x\",\"message\":\"x\",\"channel\":\"zz\","
	    "\"idempotencyKey\":\"r1\"}", "unsupported channel: zz");
	bad(f, "send", "{\"to\":\"x\",\"message\":\"x\",\"channel\":\"line\","
	    "\"idempotencyKey\":\"r1\"}", "a target starts with +");
	bad(f, "send", "{\"to\":\"+1\",\"channel\":\"line\","
	    "\"idempotencyKey\":\"r1\"}",
	    "invalid send params: there is neither text nor media");
	bad(f, "send", "{\"to\":\"+1\",\"message\":\"x\",\"channel\":\"line\","
	    "\"agentId\":\"nobody\",\"idempotencyKey\":\"r1\"}",
	    "unknown agent id \"nobody\"");
	line.is_configured = 1;
	bad(f, "send", "{\"to\":\"+1\",\"message\":\"x\","
	    "\"idempotencyKey\":\"r1\"}",
	    "Error: Channel is required when multiple channels are configured: line, plain.");
	/* What was refused before delivery did not use its key up. */
	rq = call(f, "send", "{\"to\":\"+1\",\"message\":\"x\","
	    "\"channel\":\"Line\",\"silent\":true,\"sessionKey\":"
	    "\"Agent:Main:Side\",\"idempotencyKey\":\"r1\"}");
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_EQUAL(line.flags, CHELA_SEND_SILENT);
	line_answer(CHELA_CHANNEL_OK, "m1");
	CU_ASSERT(fake_ok(fake_reply(rq)));
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "result.chatId"),
	    "c9");
	fake_req_free(rq);
	CU_ASSERT_STRING_EQUAL(last_row(f, "agent:main:side"), "x");
	fake_free(f);
}

static const char one[] = "{\"to\":\"+1\",\"message\":\"one\","
    "\"channel\":\"line\",\"idempotencyKey\":\"k\"}";

/* AB-120 */
static void
delivered_once(void)
{
	struct fake		*f = begin();
	struct fake_req		*a, *b, *c;
	struct json_object	*reply;

	a = call(f, "send", one);
	b = call(f, "send", one);
	c = call(f, "send", "{\"channel\":\"line\",\"message\":\"other\","
	    "\"to\":\"+1\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_PTR_NULL(fake_reply_now(a));
	CU_ASSERT_PTR_NULL(fake_reply_now(b));
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply_now(c)),
	    "INVALID_REQUEST");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(fake_reply_now(c)),
	    "idempotencyKey"));
	line_answer(CHELA_CHANNEL_OK, "m7");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "result.messageId"),
	    "m7");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(b), "result.messageId"),
	    "m7");
	fake_req_free(a);
	fake_req_free(b);
	fake_req_free(c);
	CU_ASSERT_STRING_EQUAL(last_row(f, "agent:main:line:direct:+1"), "one");
	/* AB-118: a clock that is set forward sends nothing twice. */
	fake_clock_set(f, UINT64_C(1700000000000) + UINT64_C(864000000));
	reply = fake_call(f, NULL, "send", one);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.messageId"), "m7");
	json_object_put(reply);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	fake_clock_set(f, UINT64_C(1700000000000));
	/* Later, after a restart, and with other content. */
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	reply = fake_call(f, NULL, "send", one);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.messageId"), "m7");
	json_object_put(reply);
	reply = fake_call(f, NULL, "send", "{\"to\":\"+2\",\"message\":\"one\","
	    "\"channel\":\"line\",\"idempotencyKey\":\"k\"}");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(reply), "idempotencyKey"));
	json_object_put(reply);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	/* A day later the key is free. */
	fake_advance(f, UINT64_C(86401000000));
	a = call(f, "send", one);
	CU_ASSERT_EQUAL(line.n_sent, 2);
	line_answer(CHELA_CHANNEL_OK, "m8");
	fake_req_free(a);
	fake_free(f);
}

/* AB-125: the gateway ends between the delivery and the channel's answer. */
static void
uncertain(void)
{
	struct fake		*f = begin();
	struct fake_req		*a;
	struct json_object	*reply;

	a = call(f, "send", one);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	reply = fake_call(f, NULL, "send", one);
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "error.details.code"),
	    "OUTBOUND_DELIVERY_UNCERTAIN");
	json_object_put(reply);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	fake_req_free(a);
	/* The channel itself may not know, too. */
	a = call(f, "send", "{\"to\":\"+1\",\"message\":\"two\","
	    "\"channel\":\"line\",\"idempotencyKey\":\"k2\"}");
	line_answer(CHELA_CHANNEL_UNCERTAIN, NULL);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "error.details.code"),
	    "OUTBOUND_DELIVERY_UNCERTAIN");
	fake_req_free(a);
	a = call(f, "send", "{\"to\":\"+1\",\"message\":\"two\","
	    "\"channel\":\"line\",\"idempotencyKey\":\"k2\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "error.details.code"),
	    "OUTBOUND_DELIVERY_UNCERTAIN");
	CU_ASSERT_EQUAL(line.n_sent, 2);
	fake_req_free(a);
	reply = fake_call(f, NULL, "audit.activity.list",
	    "{\"direction\":\"outbound\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.events")), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.events.0.outcome"),
	    "unknown");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.events.0.deliveryKind"),
	    "text");
	json_object_put(reply);
	fake_free(f);
}

/* AB-111, AB-125 */
static void
failures(void)
{
	struct fake	*f = begin();
	struct fake_req	*a;

	/* What can not be noted is not sent. */
	fake_fail_writes(f, 1, -ENOSPC);
	a = call(f, "send", one);
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(a)), "UNAVAILABLE");
	CU_ASSERT_EQUAL(line.n_sent, 0);
	fake_req_free(a);
	a = call(f, "send", one);
	CU_ASSERT_EQUAL(line.n_sent, 1);
	line_answer(CHELA_CHANNEL_OFFLINE, NULL);
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply(a)), "UNAVAILABLE");
	fake_req_free(a);
	a = call(f, "send", one);
	CU_ASSERT_STRING_EQUAL(fake_message(fake_reply(a)),
	    "channel line did not deliver it: line noise");
	CU_ASSERT_EQUAL(line.n_sent, 1);
	fake_req_free(a);
	/* Five minutes later the same key tries again. */
	fake_advance(f, UINT64_C(301000000));
	a = call(f, "send", one);
	CU_ASSERT_EQUAL(line.n_sent, 2);
	line_answer(CHELA_CHANNEL_QUEUED, NULL);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "error.details.code"),
	    "OUTBOUND_DELIVERY_QUEUED");
	fake_req_free(a);
	fake_free(f);
}

static void
media(void)
{
	struct fake	*f = begin();
	struct fake_req	*a;

	a = call(f, "send", "{\"to\":\"+1\",\"channel\":\"line\",\"mediaUrl\":"
	    "\"https://h/d/cat.png\",\"mediaUrls\":[\"http://h/dog.png\"],"
	    "\"buffer\":\"aGVsbG8=\",\"filename\":\"n.txt\","
	    "\"idempotencyKey\":\"m1\"}");
	CU_ASSERT_STRING_EQUAL(line.media,
	    "https://h/d/cat.png http://h/dog.png ");
	CU_ASSERT_EQUAL(line.bytes_len, 5);
	line_answer(CHELA_CHANNEL_OK, "m");
	CU_ASSERT(fake_ok(fake_reply(a)));
	fake_req_free(a);
	CU_ASSERT_STRING_EQUAL(last_row(f, "agent:main:line:direct:+1"),
	    "cat.png, dog.png, n.txt");
	bad(f, "send", "{\"to\":\"+1\",\"channel\":\"line\",\"mediaUrl\":"
	    "\"file:///etc/passwd\",\"idempotencyKey\":\"m2\"}",
	    "media must have an http or https address");
	bad(f, "send", "{\"to\":\"+1\",\"channel\":\"line\",\"mediaUrl\":"
	    "\"/etc/passwd\",\"idempotencyKey\":\"m2\"}",
	    "media must have an http or https address");
	bad(f, "send", "{\"to\":\"+1\",\"channel\":\"line\",\"buffer\":"
	    "\"a===\",\"idempotencyKey\":\"m2\"}",
	    "buffer is not valid base64");
	bad(f, "send", "{\"to\":\"+1\",\"channel\":\"plain\",\"mediaUrl\":"
	    "\"http://h/x\",\"idempotencyKey\":\"m2\"}",
	    "channel plain takes no media");
	fake_free(f);
}

static void
polls(void)
{
	struct fake	*f = begin();
	struct fake_req	*a, *b;

	bad(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":[\"a\","
	    "\"b\"],\"channel\":\"plain\",\"idempotencyKey\":\"p\"}",
	    "unsupported poll channel: plain");
	bad(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":[\"a\","
	    "\"b\"],\"channel\":\"zz\",\"idempotencyKey\":\"p\"}",
	    "unsupported poll channel: zz");
	bad(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":[\"a\","
	    "\"b\",\"c\",\"d\"],\"channel\":\"line\",\"idempotencyKey\":\"p\"}",
	    "channel line takes at most 3 options");
	bad(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":[\"a\","
	    "\"b\"],\"durationHours\":1,\"durationSeconds\":1,\"channel\":"
	    "\"line\",\"idempotencyKey\":\"p\"}",
	    "durationHours and durationSeconds exclude each other");
	bad(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":[\"a\","
	    "\"b\"],\"maxSelections\":3,\"channel\":\"line\","
	    "\"idempotencyKey\":\"p\"}",
	    "maxSelections is larger than the number of options");
	a = call(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":"
	    "[\"a\",\"b\"],\"durationHours\":2,\"channel\":\"line\","
	    "\"idempotencyKey\":\"p\"}");
	b = call(f, "poll", "{\"to\":\"+1\",\"question\":\"q\",\"options\":"
	    "[\"a\",\"b\"],\"durationHours\":2,\"channel\":\"line\","
	    "\"idempotencyKey\":\"p\"}");
	CU_ASSERT_EQUAL(line.n_polls, 1);
	CU_ASSERT_EQUAL(line.n_options, 2);
	CU_ASSERT_EQUAL(line.duration_s, 7200);
	line_answer(CHELA_CHANNEL_OK, "m3");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "result.messageId"),
	    "m3");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(b), "result.messageId"),
	    "m3");
	fake_req_free(a);
	fake_req_free(b);
	fake_free(f);
}

static void
message_actions(void)
{
	struct fake	*f = begin();
	struct fake_req	*a;

	bad(f, "message.action", "{\"channel\":\"line\",\"action\":\"pin\","
	    "\"params\":{},\"idempotencyKey\":\"a\"}",
	    "Channel line does not support action pin.");
	bad(f, "message.action", "{\"channel\":\"zz\",\"action\":\"pin\","
	    "\"params\":{},\"idempotencyKey\":\"a\"}",
	    "unsupported channel: zz");
	bad(f, "message.action", "{\"channel\":\"line\",\"action\":\"send\","
	    "\"params\":{\"text\":\"x\"},\"idempotencyKey\":\"a\"}",
	    "invalid message.action params: send needs a target");
	bad(f, "message.action", "{\"channel\":\"line\",\"action\":\"send\","
	    "\"params\":{\"to\":\"+1\",\"mediaUrls\":[{}]},"
	    "\"idempotencyKey\":\"a\"}",
	    "invalid message.action params: send needs a target");
	a = call(f, "message.action", "{\"channel\":\"line\",\"action\":"
	    "\"react\",\"params\":{\"to\":\"+1\",\"emoji\":\"x\"},"
	    "\"idempotencyKey\":\"a\"}");
	CU_ASSERT_EQUAL(line.n_actions, 1);
	line_answer(CHELA_CHANNEL_OK, "m");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "result.action"),
	    "react");
	fake_req_free(a);
	a = call(f, "message.action", "{\"channel\":\"line\",\"action\":"
	    "\"send\",\"params\":{\"target\":\"+1\",\"text\":\"hi\"},"
	    "\"idempotencyKey\":\"b\"}");
	CU_ASSERT_EQUAL(line.n_sent, 1);
	CU_ASSERT_STRING_EQUAL(line.text, "hi");
	line_answer(CHELA_CHANNEL_OK, "m5");
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(a), "result.messageId"),
	    "m5");
	fake_req_free(a);
	fake_free(f);
}

/* AB-120: many keys: the table stays bounded, and the newest are kept. */
static void
bounded(void)
{
	struct fake		*f = begin();
	struct json_object	*reply;
	char			*text;
	int			 i, n = 0;

	for (i = 0; i < 1200; i++) {
		reply = fake_callf(f, NULL, "send", "{\"to\":\"main\","
		    "\"message\":\"x\",\"idempotencyKey\":\"n%d\"}", i);
		CU_ASSERT(fake_ok(reply));
		json_object_put(reply);
		fake_advance(f, 1000);
	}
	fake_advance(f, UINT64_C(61000000));
	for (i = 0; i < 1200; i++) {
		char	key[32];

		(void)snprintf(key, sizeof key, "key/send/n%d", i);
		text = fake_kv(f, "send", key);
		n += text != NULL;
		CU_ASSERT(text == NULL || i >= 200);
		free(text);
	}
	CU_ASSERT_EQUAL(n, 1000);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(webchat),
	CU_CASE(routes),
	CU_CASE(delivered_once),
	CU_CASE(uncertain),
	CU_CASE(failures),
	CU_CASE(media),
	CU_CASE(polls),
	CU_CASE(message_actions),
	CU_CASE(bounded),
	CU_END
};
CU_MAIN("send", cases)
