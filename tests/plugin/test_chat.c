/* SPDX-License-Identifier: MIT */
/* Plugin chat: the order of checks, events, history, cursors, commands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/commands.h>
#include <chela/services/sessions.h>

#include "tests/plugin/fakehost.h"
#include "tests/plugin/fakemodel.h"
#include "tests/unit/cu.h"

#define WALL	UINT64_C(1767225600000)	/* 2026-01-01 */
#define MAIN	"agent:main:main"

static struct {
	chela_command_done_fn	*done;
	void			*arg;
	char			 name[32];
	int			 is_admin;
} cmd;

static const struct chela_command known[] = {
	{ .struct_size = sizeof known[0], .name = "status" },
	{ .struct_size = sizeof known[0], .name = "new" },
};

static const struct chela_command *
cmd_find(const char *message, const char **ret_args)
{
	*ret_args = "";
	if (strncmp(message, "/status", 7) == 0)
		return (&known[0]);
	if (strncmp(message, "/new", 4) != 0)
		return (NULL);
	*ret_args = message + 4 + (message[4] == ' ');
	return (&known[1]);
}

static const struct chela_host *cmd_host;

static int
cmd_run(const struct chela_command *c, const struct chela_command_run *who,
    const char *args, chela_command_done_fn *done, void *arg)
{
	(void)args;
	cmd.done = done;
	cmd.arg = arg;
	cmd.is_admin = who->conn != NULL &&
	    cmd_host->conn_has_scope(who->conn, "admin");
	(void)snprintf(cmd.name, sizeof cmd.name, "%s", c->name);
	return (0);
}

static int
cmd_list(const char *scope, int args, struct json_object **ret)
{
	(void)scope;
	(void)args;
	*ret = json_tokener_parse("[{\"name\":\"status\"}]");
	return (0);
}

static const struct chela_commands_1 commands = {
	.struct_size = sizeof commands,
	.list = cmd_list,
	.find = cmd_find,
	.run = cmd_run,
};

static void
cmd_say(int r, const char *text, const char *forward)
{
	struct chela_command_answer a = {
		.struct_size = sizeof a,
		.text = text,
		.forward = forward,
	};

	cmd.done(r, &a, cmd.arg);
}

static struct fake *
begin(const char *conf)
{
	struct fake *f = fake_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fake_clock(f, WALL);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	fakemodel_add(f);
	cmd_host = fake_host(f);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agent"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "chat"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	return (f);
}

static void
end(struct fake *f)
{
	fakemodel_settle();
	fake_free(f);
	fakemodel_free();
}

static struct json_object *
send_text(struct fake *f, const char *key, const char *text, const char *id)
{
	return (fake_callf(f, NULL, "chat.send", "{\"sessionKey\":\"%s\","
	    "\"message\":\"%s\",\"idempotencyKey\":\"%s\"}", key, text, id));
}

/* A whole turn: the model answers with text. */
static void
turn(struct fake *f, const char *key, const char *text, const char *id,
    const char *reply)
{
	unsigned n = fakemodel_calls();
	struct json_object *r = send_text(f, key, text, id);

	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "started");
	json_object_put(r);
	CU_ASSERT_FATAL(fakemodel_wait(f, n));
	fakemodel_say(n, reply);
	fakemodel_end(n, CHELA_MODEL_OK, NULL);
	fake_settle(f);
}

static void
a_turn_streams_and_ends(void)
{
	struct fake		*f = begin("{}");
	struct chela_conn	*conn = fake_conn_new(f, NULL);
	struct json_object	*r, *list, *e;
	char			 states[512] = "", text[512] = "";
	size_t			 i, n;

	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.runId"), "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "started");
	json_object_put(r);
	/* The answer comes before any event. */
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "in_flight");
	json_object_put(r);
	for (i = 0; i < 10; i++) {
		fakemodel_say(0, "word ");
		fake_advance(f, 30000);
	}
	fakemodel_say(0, "end");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	list = fake_payloads(f, conn, "chat");
	n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		size_t at = strlen(states);

		e = json_object_array_get_idx(list, i);
		CU_ASSERT_STRING_EQUAL(fake_str(e, "sessionKey"), MAIN);
		(void)snprintf(states + at, sizeof states - at, "%s ",
		    fake_str(e, "state"));
		at = strlen(text);
		(void)snprintf(text + at, sizeof text - at, "%s",
		    fake_str(e, "deltaText"));
	}
	/* The first at once, three slots of 0.1 s, and the rest. */
	CU_ASSERT_STRING_EQUAL(states,
	    "status status status delta delta delta delta delta final ");
	e = json_object_array_get_idx(list, n - 1);
	CU_ASSERT_STRING_EQUAL(text, fake_str(e, "message.content.0.text"));
	CU_ASSERT_STRING_EQUAL(fake_str(e, "stopReason"), "stop");
	json_object_put(list);
	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	/* AB-118: a clock that is set forward begins nothing anew. */
	fake_clock_set(f, WALL + UINT64_C(86400000));
	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	end(f);
}

static void
failures_are_remembered(void)
{
	struct fake		*f = begin("{}");
	struct chela_conn	*conn = fake_conn_new(f, NULL);
	struct json_object	*r, *list;
	size_t			 n;

	json_object_put(send_text(f, "main", "hi", "R1"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_end(0, CHELA_MODEL_CONTEXT, NULL);
	fake_settle(f);
	list = fake_payloads(f, conn, "chat");
	n = json_object_array_length(list);
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(list, n - 1),
	    "errorKind"), "context_length");
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(list, n - 1),
	    "errorDetail.provider"), "fake");
	json_object_put(list);
	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "The conversation is too long for the model.");
	json_object_put(r);
	end(f);
}

static void
checks_come_in_their_order(void)
{
	struct fake		*f = begin("{\"session\":{\"sendPolicy\":{"
				    "\"rules\":[{\"action\":\"deny\",\"match\":"
				    "{\"keyPrefix\":\"mute\"}}]}}}");
	struct json_object	*r;

	r = send_text(f, "main", "  ", "R1");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "message or attachment required");
	json_object_put(r);
	/* A policy denies before a stop word is heard. */
	r = send_text(f, "mute:1", "stop", "R1");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "send blocked by session policy");
	json_object_put(r);
	/* A stop word is heard before a key is looked up. */
	turn(f, "main", "hi", "R1", "yes");
	r = send_text(f, "main", " STOP ", "R1");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.ok")));
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.aborted")));
	json_object_put(r);
	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":\"main\","
	    "\"message\":\"\",\"idempotencyKey\":\"R2\",\"attachments\":["
	    "{\"fileName\":\"a.png\",\"content\":\"x\"}]}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "Error: attachment a.png: invalid base64 content");
	json_object_put(r);
	end(f);
}

static void
a_key_belongs_to_one_message(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	turn(f, "main", "hi", "R1", "yes");
	r = send_text(f, "main", "hi", "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	r = send_text(f, "main", "something else", "R1");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "chat-request-conflict");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":\"main\","
	    "\"message\":\"hi\",\"idempotencyKey\":\"R1\",\"attachments\":["
	    "{\"fileName\":\"a.png\",\"content\":\"iVBORw0KGgoAAAAN\"}]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "chat-request-conflict");
	json_object_put(r);
	/* The same while it runs. */
	json_object_put(send_text(f, "main", "one", "R2"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 1));
	r = send_text(f, "main", "two", "R2");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "chat-request-conflict");
	json_object_put(r);
	end(f);
}

static struct json_object *
send_after(struct fake *f, const char *leaf, const char *id)
{
	return (fake_callf(f, NULL, "chat.send", "{\"sessionKey\":\"main\","
	    "\"message\":\"go on\",\"idempotencyKey\":\"%s\","
	    "\"expectedLeafEntryId\":%s%s%s}", id, leaf != NULL ? "\"" : "",
	    leaf != NULL ? leaf : "null", leaf != NULL ? "\"" : ""));
}

static void
a_message_follows_what_was_read(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	char			 leaf[128];

	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessionInfo.key"),
	    "agent:main:main");
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.sessionInfo.isMain")));
	CU_ASSERT(json_object_object_get_ex(fake_get(r, "result.sessionInfo"),
	    "activeLeafEntryId", NULL));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.sessionInfo.activeLeafEntryId"));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.sessionId"));
	json_object_put(r);
	r = send_after(f, "nothing", "R0");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "active-leaf-changed");
	json_object_put(r);
	r = send_after(f, NULL, "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "started");
	json_object_put(r);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "a");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	r = send_after(f, NULL, "R2");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "active-leaf-changed");
	json_object_put(r);
	/* A message that is there already is told so, whatever follows. */
	r = send_after(f, NULL, "R1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.startup", "{\"sessionKey\":\"main\"}");
	(void)snprintf(leaf, sizeof leaf, "%s",
	    fake_str(r, "result.sessionInfo.activeLeafEntryId"));
	json_object_put(r);
	turn(f, "main", "between", "R3", "b");
	r = send_after(f, leaf, "R4");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.reason"),
	    "active-leaf-changed");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	(void)snprintf(leaf, sizeof leaf, "%s",
	    fake_str(r, "result.sessionInfo.activeLeafEntryId"));
	json_object_put(r);
	r = send_after(f, leaf, "R4");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "started");
	json_object_put(r);
	end(f);
}

static void
a_row_tells_what_it_replies_to(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	json_object_put(fake_call(f, NULL, "chat.send",
	    "{\"sessionKey\":\"main\",\"message\":\"hi\",\"idempotencyKey\":"
	    "\"R1\",\"replyToId\":\"that-row\"}"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.messages.0.__openclaw.replyToId"), "that-row");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.messages.0.__openclaw.transcriptPosition.source"),
	    fake_str(r, "result.sessionId"));
	CU_ASSERT_EQUAL(json_object_get_int(fake_get(r,
	    "result.messages.0.__openclaw.transcriptPosition.rawSeq")), 1);
	json_object_put(r);
	/* A page around a row that is gone is empty. */
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"messageId\":\"none\"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 0);
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"sessionId\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "sessionId requires messageId");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"maxBytes\":100}");
	CU_ASSERT(!fake_ok(r));
	json_object_put(r);
	end(f);
}

static void
images_reach_the_model_but_not_the_history(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":\"main\","
	    "\"message\":\"\",\"idempotencyKey\":\"R2\",\"attachments\":["
	    "{\"fileName\":\"a.png\",\"mimeType\":\"text/plain\",\"content\":"
	    "\"data:image/png;base64,iVBORw0KGgoAAAAN\"}]}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_STRING_EQUAL(fake_str(fakemodel_call(0)->messages,
	    "0.content.0.data"), "iVBORw0KGgoAAAAN");
	CU_ASSERT_STRING_EQUAL(fake_str(fakemodel_call(0)->messages,
	    "0.content.0.mimeType"), "image/png");
	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.messages.0.content.0.omitted")));
	CU_ASSERT_PTR_NULL(fake_get(r, "result.messages.0.content.0.data"));
	json_object_put(r);
	end(f);
}

static void
stop_text_aborts(void)
{
	struct fake		*f = begin("{}");
	struct chela_conn	*conn = fake_conn_new(f, NULL);
	struct json_object	*r, *list;
	size_t			 n;

	json_object_put(send_text(f, "main", "hi", "R1"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "half");
	r = send_text(f, "main", "/stop", "R2");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.aborted")));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.runIds.0"), "R1");
	json_object_put(r);
	fake_settle(f);
	list = fake_payloads(f, conn, "chat");
	n = json_object_array_length(list);
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(list, n - 1),
	    "state"), "aborted");
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(list, n - 1),
	    "stopReason"), "stop");
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(list, n - 1),
	    "message.content.0.text"), "half");
	json_object_put(list);
	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.1.openclawAbort.origin"),
	    "stop-command");
	json_object_put(r);
	end(f);
}

/* AB-123 */
static void
abort_is_for_the_own_session(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	json_object_put(send_text(f, "main", "hi", "R1"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	r = fake_call(f, NULL, "chat.abort",
	    "{\"sessionKey\":\"other\",\"runId\":\"R1\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "runId does not match sessionKey");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.abort",
	    "{\"sessionKey\":\"main\",\"runId\":\"R9\"}");
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.aborted")));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.runIds")), 0);
	json_object_put(r);
	r = fake_call(f, NULL, "chat.abort",
	    "{\"sessionKey\":\"agent:main:main\",\"runId\":\"R1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.runIds.0"), "R1");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.abort", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"),
	    "no-active-run");
	json_object_put(r);
	end(f);
}

static void
history_is_paged(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	char			 id[16];
	int			 i;

	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 0);
	CU_ASSERT_PTR_NULL(fake_get(r, "result.sessionId"));
	json_object_put(r);
	for (i = 0; i < 5; i++) {
		(void)snprintf(id, sizeof id, "R%d", i);
		turn(f, "main", id, id, i == 2 ? "NO_REPLY" : "fine");
	}
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"limit\":4}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessionKey"), "main");
	CU_ASSERT_EQUAL(fake_int(r, "result.totalMessages"), 10);
	CU_ASSERT_EQUAL(fake_int(r, "result.nextOffset"), 4);
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.0.content"), "R3");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"limit\":4,\"offset\":4}");
	/* The word for no answer is not shown. */
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 3);
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.2.content"), "R2");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"offset\":400}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 0);
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.hasMore")));
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"limit\":1,\"maxChars\":2}");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.0.content.0.text"), "fi");
	json_object_put(r);
	end(f);
}

static void
cursor_gives_what_is_new(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	char			 cursor[200];

	turn(f, "main", "one", "R1", "a");
	r = fake_call(f, NULL, "chat.startup", "{\"sessionKey\":\"main\"}");
	(void)snprintf(cursor, sizeof cursor, "%s",
	    fake_str(r, "result.deltaCursor"));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.metadata.models.0.id"),
	    "usual");
	json_object_put(r);
	r = fake_callf(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"cursor\":\"%s\"}", cursor);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.kind"), "delta");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.deltaCursor"), cursor);
	json_object_put(r);
	turn(f, "main", "two", "R2", "b");
	json_object_put(send_text(f, "main", "three", "R3"));
	CU_ASSERT_FATAL(fakemodel_wait(f, 2));
	fakemodel_say(2, "so far");
	json_object_put(send_text(f, "main", "four", "R4"));
	r = fake_callf(f, NULL, "chat.history", "{\"sessionKey\":\"main\","
	    "\"cursor\":\"%s\",\"limit\":80,\"maxBytes\":262144,"
	    "\"inputRunIds\":[\"R2\",\"R4\"]}", cursor);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 3);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.inputReceipts.0.state"),
	    "consumed");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.inputReceipts.0.consumedByEventId"),
	    fake_str(r, "result.messages.0.__openclaw.id"));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.inputReceipts.1.state"),
	    "pending");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.inFlightRun.text"),
	    "so far");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.pendingInputs.items.0.id"),
	    "R4");
	json_object_put(r);
	json_object_put(fake_call(f, NULL, "sessions.reset",
	    "{\"key\":\"main\"}"));
	r = fake_callf(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"cursor\":\"%s\"}", cursor);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.kind"), "reset");
	json_object_put(r);
	r = fake_call(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"cursor\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.kind"), "reset");
	json_object_put(r);
	end(f);
}

static void
one_message_can_be_got(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r, *g;

	turn(f, "main", "one", "R1", "a long answer");
	r = fake_call(f, NULL, "chat.history", "{\"sessionKey\":\"main\"}");
	g = fake_callf(f, NULL, "chat.message.get",
	    "{\"sessionKey\":\"main\",\"messageId\":\"%s\"}",
	    fake_str(r, "result.messages.1.__openclaw.id"));
	CU_ASSERT(json_object_get_boolean(fake_get(g, "result.ok")));
	CU_ASSERT_STRING_EQUAL(fake_str(g, "result.message.content.0.text"),
	    "a long answer");
	json_object_put(g);
	g = fake_callf(f, NULL, "chat.history",
	    "{\"sessionKey\":\"main\",\"messageId\":\"%s\",\"limit\":1}",
	    fake_str(r, "result.messages.0.__openclaw.id"));
	CU_ASSERT_STRING_EQUAL(
	    fake_str(g, "result.messages.0.content"), "one");
	json_object_put(g);
	json_object_put(r);
	r = fake_call(f, NULL, "chat.message.get",
	    "{\"sessionKey\":\"main\",\"messageId\":\"nothing\"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.unavailableReason"),
	    "not_found");
	json_object_put(r);
	end(f);
}

static void
inject_needs_a_transcript(void)
{
	struct fake		*f = begin("{}");
	struct chela_conn	*conn;
	struct json_object	*r, *e;

	r = fake_call(f, NULL, "chat.inject",
	    "{\"sessionKey\":\"main\",\"message\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "session not found");
	json_object_put(r);
	turn(f, "main", "one", "R1", "a");
	conn = fake_conn_new(f, NULL);
	r = fake_call(f, NULL, "chat.inject",
	    "{\"sessionKey\":\"main\",\"message\":\"x\",\"label\":\"Note\"}");
	CU_ASSERT(fake_ok(r));
	e = fake_wait_event(f, conn, "chat", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "message.content.0.text"),
	    "[Note]\n\nx");
	CU_ASSERT_EQUAL(fake_int(e, "seq"), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "runId") + strlen("inject-"),
	    fake_str(r, "result.messageId"));
	json_object_put(r);
	end(f);
}

/* AB-120 */
static void
commands_are_turns_without_a_model(void)
{
	struct fake_conn_opt	 opt = { .scopes = "read write" };
	struct fake		*f = begin("{}");
	struct chela_conn	*conn = fake_conn_new(f, &opt);
	struct json_object	*r, *e;

	(void)fake_service(f, "commands", CHELA_COMMANDS_SERVICE, &commands);
	r = fake_call(f, conn, "chat.send", "{\"sessionKey\":\"main\","
	    "\"message\":\"/status\",\"idempotencyKey\":\"C1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "started");
	json_object_put(r);
	CU_ASSERT_STRING_EQUAL(cmd.name, "status");
	CU_ASSERT(!cmd.is_admin);
	r = send_text(f, "main", "/status", "C1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "in_flight");
	json_object_put(r);
	cmd_say(0, "all well", NULL);
	e = fake_wait_event(f, conn, "chat", 0);
	CU_ASSERT_STRING_EQUAL(fake_str(e, "state"), "final");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "message.content.0.text"),
	    "all well");
	fake_settle(f);
	r = send_text(f, "main", "/status", "C1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	/* AB-118: a clock that is set forward begins nothing anew. */
	fake_clock_set(f, WALL + UINT64_C(86400000));
	r = send_text(f, "main", "/status", "C1");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	json_object_put(r);
	/* No model reads what a command said. */
	turn(f, "main", "hi", "R1", "a");
	CU_ASSERT_EQUAL(json_object_array_length(
	    fakemodel_call(0)->messages), 1);
	/* What follows a command goes to the model under the same key. */
	json_object_put(send_text(f, "main", "/new and go", "C2"));
	cmd_say(0, "new", "and go");
	CU_ASSERT_FATAL(fakemodel_wait(f, 1));
	r = send_text(f, "main", "/new and go", "C2");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "in_flight");
	json_object_put(r);
	/* Not everybody wants commands. */
	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":\"other\","
	    "\"message\":\"/status\",\"idempotencyKey\":\"C3\","
	    "\"suppressCommandInterpretation\":true}");
	json_object_put(r);
	CU_ASSERT(fakemodel_wait(f, 2));
	/* One that fails says so, again and again. */
	json_object_put(send_text(f, "main", "/status", "C4"));
	cmd_say(-EIO, "no luck", NULL);
	r = send_text(f, "main", "/status", "C4");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "no luck");
	json_object_put(r);
	json_object_put(send_text(f, "main", "/status", "C5"));
	end(f);
}

static void
sessions_can_send_too(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	r = fake_call(f, NULL, "sessions.send",
	    "{\"key\":\"main\",\"message\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.create",
	    "{\"message\":\"hello\",\"idempotencyKey\":\"K1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.runId"), "K1");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.runStarted")));
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	json_object_put(fake_callf(f, NULL, "sessions.steer",
	    "{\"key\":\"%s\",\"message\":\"no, this\"}",
	    fake_str(r, "result.key")));
	CU_ASSERT(fakemodel_wait(f, 1));
	CU_ASSERT(fakemodel_call(0)->was_cancelled);
	json_object_put(fake_callf(f, NULL, "sessions.delete",
	    "{\"key\":\"%s\"}", fake_str(r, "result.key")));
	json_object_put(r);
	end(f);
}

static void
narrow_connections_get_their_session_only(void)
{
	struct fake_conn_opt	 opt = { .caps = "session-scoped-events" };
	struct fake		*f = begin("{}");
	struct chela_conn	*narrow = fake_conn_new(f, &opt);
	struct chela_conn	*wide = fake_conn_new(f, NULL);

	json_object_put(fake_call(f, narrow, "sessions.messages.subscribe",
	    "{\"key\":\"agent:main:mine\"}"));
	turn(f, "agent:main:other", "x", "R1", "a");
	CU_ASSERT_EQUAL(fake_count(f, narrow, "chat"), 0);
	CU_ASSERT(fake_count(f, wide, "chat") > 0);
	turn(f, "agent:main:mine", "x", "R2", "a");
	CU_ASSERT(fake_count(f, narrow, "chat") > 0);
	end(f);
}

static void
a_gone_agent_is_not_talked_to(void)
{
	struct json_object	*r;
	struct fake		*f;

	f = begin("{\"agents\":{\"entries\":{\"main\":{},\"ops\":{}}}}");
	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":"
	    "\"agent:ops:main\",\"message\":\"x\",\"idempotencyKey\":\"a\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	CU_ASSERT_EQUAL(fake_conf(f, "{}"), 0);
	r = fake_call(f, NULL, "chat.send", "{\"sessionKey\":"
	    "\"agent:ops:main\",\"message\":\"x\",\"idempotencyKey\":\"b\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "Agent \"ops\" no longer exists in configuration");
	json_object_put(r);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(a_turn_streams_and_ends),
	CU_CASE(failures_are_remembered),
	CU_CASE(checks_come_in_their_order),
	CU_CASE(a_key_belongs_to_one_message),
	CU_CASE(a_message_follows_what_was_read),
	CU_CASE(a_row_tells_what_it_replies_to),
	CU_CASE(images_reach_the_model_but_not_the_history),
	CU_CASE(stop_text_aborts),
	CU_CASE(abort_is_for_the_own_session),
	CU_CASE(history_is_paged),
	CU_CASE(cursor_gives_what_is_new),
	CU_CASE(one_message_can_be_got),
	CU_CASE(inject_needs_a_transcript),
	CU_CASE(commands_are_turns_without_a_model),
	CU_CASE(sessions_can_send_too),
	CU_CASE(narrow_connections_get_their_session_only),
	CU_CASE(a_gone_agent_is_not_talked_to),
	CU_END
};

CU_MAIN("chat", cases)
