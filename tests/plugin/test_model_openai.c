/* SPDX-License-Identifier: MIT */
/* Plugin model-openai: what it sends, what it reads, and bad endpoints (AB-124). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin/model_rig.h"
#include "tests/unit/cu.h"

#define DELTA(s) \
	"data: {\"id\":\"r1\",\"choices\":[{\"index\":0,\"delta\":{" s \
	"},\"finish_reason\":null}]}\n\n"
#define FINISH(s) \
	"data: {\"id\":\"r1\",\"choices\":[{\"index\":0,\"delta\":{}," \
	"\"finish_reason\":\"" s "\"}]}\n\n"
#define USAGE \
	"data: {\"id\":\"r1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11," \
	"\"completion_tokens\":5,\"total_tokens\":16," \
	"\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n"
#define DONE	"data: [DONE]\n\n"

static const char hello[] =
	": comment\n\n"
	DELTA("\"role\":\"assistant\",\"content\":\"\"")
	DELTA("\"content\":\"Hel\"") DELTA("\"content\":\"lo \\u00e9\xf0\x9f\x98\x80\"")
	FINISH("stop") USAGE DONE;

#define HELLO_TEXT	"Hello \xc3\xa9\xf0\x9f\x98\x80"

static unsigned	 n_bad;		/* answers before a good one */
static const char *bad_head;
static unsigned	 bad_status;

static void
bad_then_good(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	if (rq->n < n_bad)
		server_answer(c, bad_status, bad_head,
		    "{\"error\":{\"message\":\"busy\",\"type\":\"x\"}}");
	else
		rig_say_stream(rig, c, rq);
}

static void
up(struct rig *rig, const char *stream)
{
	rig_up(rig, "model-openai", true);
	rig->stream = stream;
}

static void
a_streamed_answer(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), HELLO_TEXT);
	CU_ASSERT_EQUAL(rig.n_deltas, 2);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "stop");
	CU_ASSERT_STRING_EQUAL(rig.id, "r1");
	CU_ASSERT_EQUAL(rig.res.http_status, 200);
	CU_ASSERT_EQUAL(rig.res.has_usage, 1);
	CU_ASSERT_EQUAL(rig.res.usage.input, 7);
	CU_ASSERT_EQUAL(rig.res.usage.cache_read, 4);
	CU_ASSERT_EQUAL(rig.res.usage.output, 5);
	CU_ASSERT_EQUAL(rig.res.usage.total, 16);
	CU_ASSERT_STRING_EQUAL(rig.path, "/v1/chat/completions");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head,
	    "Authorization: Bearer key-0123456789\r\n"));
	CU_ASSERT_STRING_EQUAL(fake_str(rig.body, "stream"), "true");
	CU_ASSERT_STRING_EQUAL(fake_str(rig.body,
	    "stream_options.include_usage"), "true");
	CU_ASSERT_STRING_EQUAL(fake_str(rig.body, "model"), "m");
	CU_ASSERT_STRING_EQUAL(fake_str(rig.body, "messages.0.content"), "hi");
	rig_down(&rig);
}

/* AB-124: any cut of the bytes gives the same answer. */
static void
one_byte_at_a_time(void)
{
	struct rig	 rig;
	size_t		 piece;

	up(&rig, hello);
	for (piece = 1; piece < 8; piece++) {
		rig.piece = piece;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
		CU_ASSERT_STRING_EQUAL(rig_text(&rig), HELLO_TEXT);
		CU_ASSERT_EQUAL(rig.res.usage.total, 16);
	}
	rig_down(&rig);
}

static void
the_url_is_what_the_operator_wrote(void)
{
	static const struct {
		const char	*end, *path;
	} table[] = {
		{ "", "/chat/completions" },
		{ "/", "/chat/completions" },
		{ "/v1", "/v1/chat/completions" },
		{ "/v1///", "/v1/chat/completions" },
		{ "/openai/deployments/x", "/openai/deployments/x"
		    "/chat/completions" },
		{ "/v1/chat/completions", "/v1/chat/completions" },
	};
	char		 base[256];
	struct rig	 rig;
	size_t		 i;

	up(&rig, hello);
	for (i = 0; i < ARRAY_LEN(table); i++) {
		(void)snprintf(base, sizeof base, "%s%s",
		    server_url(rig.server), table[i].end);
		rig.base = base;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
		CU_ASSERT_STRING_EQUAL(rig.path, table[i].path);
	}
	rig_down(&rig);
}

static void
rows_become_messages(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.conf = "\"headers\":{\"X-Team\":\"blue\"},"
	    "\"params\":{\"temperature\":0.5,\"model\":\"other\"}";
	rig.rq.system = "be brief";
	rig.rq.max_tokens = 77;
	rig.rq.thinking = "low";
	rig.tools = "[{\"name\":\"date\",\"description\":\"d\","
	    "\"parameters\":{\"type\":\"object\"}}]";
	rig.messages = "["
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
	    "{\"type\":\"text\",\"text\":\"b\"}]},"
	    "{\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"thinking\",\"thinking\":\"hm\"},"
	    "{\"type\":\"toolCall\",\"id\":\"c1\",\"name\":\"date\","
	    "\"arguments\":{\"x\":1}}]},"
	    "{\"role\":\"toolResult\",\"toolCallId\":\"c1\","
	    "\"toolName\":\"date\",\"content\":\"today\"},"
	    "{\"role\":\"assistant\",\"content\":[]},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c\"},"
	    "{\"type\":\"image\",\"data\":\"QUJD\","
	    "\"mimeType\":\"image/jpeg\"}]}]";
	rig_run(&rig);
#define IS(path, text) CU_ASSERT_STRING_EQUAL(fake_str(rig.body, path), text)
	IS("messages.0.role", "system");
	IS("messages.0.content", "be brief");
	IS("messages.1.content", "a\nb");
	IS("messages.2.role", "assistant");
	IS("messages.2.content", "");
	IS("messages.2.tool_calls.0.id", "c1");
	IS("messages.2.tool_calls.0.type", "function");
	IS("messages.2.tool_calls.0.function.name", "date");
	IS("messages.2.tool_calls.0.function.arguments", "{\"x\":1}");
	IS("messages.3.role", "tool");
	IS("messages.3.tool_call_id", "c1");
	IS("messages.3.content", "today");
	IS("messages.4.role", "user");
	IS("messages.4.content.0.text", "c");
	IS("messages.4.content.1.image_url.url",
	    "data:image/jpeg;base64,QUJD");
	IS("max_tokens", "77");
	IS("reasoning_effort", "low");
	IS("tools.0.type", "function");
	IS("tools.0.function.name", "date");
	IS("temperature", "0.5");
	IS("model", "m");
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(rig.body), "hm"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head, "X-Team: blue\r\n"));
	CU_ASSERT_PTR_NULL(strstr(rig.head, "Authorization"));
	rig_down(&rig);
}

static void
tool_calls_come_whole(void)
{
	struct rig	 rig;

	up(&rig,
	    DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":"
	    "\"function\",\"function\":{\"name\":\"date\",\"arguments\":\"\"}}]")
	    DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
	    "\"{\\\"a\\\"\"}}]")
	    DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"function\":"
	    "{\"name\":\"time\",\"arguments\":\"\"}},"
	    "{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]")
	    FINISH("tool_calls") DONE);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "toolUse");
	CU_ASSERT_STRING_EQUAL(rig_tools(&rig),
	    "c1 date {\"a\":1}\nc2 time {}\n");
	CU_ASSERT_EQUAL(rig.res.has_usage, 0);

	/* Without index and id, arguments as an object, and "stop". */
	rig.stream = DELTA("\"tool_calls\":[{\"function\":{\"name\":\"date\","
	    "\"arguments\":{\"b\":2}}}]") FINISH("stop") DONE;
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "toolUse");
	CU_ASSERT_EQUAL(strncmp(rig_tools(&rig), "call_", 5), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_tools(&rig), " date {\"b\":2}\n"));

	/* Arguments that are cut are no tool call. */
	rig.stream = DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"c\","
	    "\"function\":{\"name\":\"date\",\"arguments\":\"{\\\"a\"}}]")
	    FINISH("length") DONE;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_FORMAT);
	CU_ASSERT_STRING_EQUAL(rig_tools(&rig), "");
	rig_down(&rig);
}

static void
whole_json(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rq;
	server_answer(c, 200, "Content-Type: application/json\r\n",
	    rig->stream);
}

static void
quirks_of_local_servers(void)
{
	struct rig	 rig;

	/* finish_reason stays null, there is no usage. */
	up(&rig, DELTA("\"content\":\"a\"") DONE);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "stop");
	CU_ASSERT_EQUAL(rig.res.has_usage, 0);
	/* No [DONE], CR LF lines, no space after the colon. */
	rig.stream = "data:{\"choices\":[{\"delta\":{\"content\":\"b\"},"
	    "\"finish_reason\":\"length\"}]}\r\n\r\n";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "length");
	/* The last empty line is missing. */
	rig.stream = DELTA("\"content\":\"a\"") "data: [DONE]\n";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	/* Reasoning under either name. */
	rig.stream = DELTA("\"reasoning_content\":\"x\"")
	    DELTA("\"reasoning\":\"y\"") DELTA("\"content\":null") DONE;
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig_thinking(&rig), "xy");
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "");
	/* One JSON document although a stream was asked for. */
	rig.script = whole_json;
	rig.stream = "{\"id\":\"w\",\"choices\":[{\"message\":{\"role\":"
	    "\"assistant\",\"content\":\"all\"},\"finish_reason\":\"stop\"}],"
	    "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "all");
	CU_ASSERT_EQUAL(rig.res.usage.total, 7);
	rig_down(&rig);
}

static void
endpoint_error(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	(void)rq;
	server_answer(c, bad_status, "", rig->stream);
}

static void
errors_have_a_kind(void)
{
	static const struct {
		unsigned	 http;
		const char	*body;
		uint32_t	 status;
	} table[] = {
		{ 400, "{\"error\":{\"message\":\"no\"}}", CHELA_MODEL_UPSTREAM },
		{ 400, "{\"error\":{\"message\":\"This model's maximum context "
		    "length is 8\",\"code\":\"context_length_exceeded\"}}",
		    CHELA_MODEL_CONTEXT },
		{ 400, "{\"error\":\"request exceeds the available context "
		    "size\"}", CHELA_MODEL_CONTEXT },
		{ 401, "{\"error\":{\"message\":\"bad key\"}}",
		    CHELA_MODEL_AUTH },
		{ 403, "<html>", CHELA_MODEL_AUTH },
		{ 402, "", CHELA_MODEL_BILLING },
		{ 404, "{\"detail\":\"model not found\"}",
		    CHELA_MODEL_UPSTREAM },
		{ 413, "", CHELA_MODEL_CONTEXT },
		{ 429, "{\"error\":{\"message\":\"You exceeded your current "
		    "quota\",\"code\":\"insufficient_quota\"}}",
		    CHELA_MODEL_BILLING },
		{ 302, "", CHELA_MODEL_UPSTREAM },
	};
	struct rig	 rig;
	size_t		 i;

	up(&rig, "");
	rig.script = endpoint_error;
	for (i = 0; i < ARRAY_LEN(table); i++) {
		bad_status = table[i].http;
		rig.stream = table[i].body;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.status, table[i].status);
		CU_ASSERT_EQUAL(rig.res.http_status, table[i].http);
		CU_ASSERT_STRING_EQUAL(rig.stop_reason, "error");
		CU_ASSERT_TRUE(strlen(rig.message) > 10);
		/* None of these is tried again. */
		CU_ASSERT_EQUAL(server_n_rqs(rig.server), i + 1);
	}
	rig_down(&rig);
}

/* AB-100: an endpoint that quotes the key. */
static void
messages_tell_no_secrets_and_are_short(void)
{
	char		 body[8192] = "";
	struct rig	 rig;

	up(&rig, body);
	rig.script = endpoint_error;
	rig.conf = "\"apiKey\":\"planted-key-7\",\"headers\":"
	    "{\"X-Secret\":\"planted-header-8\"}";
	bad_status = 401;
	(void)snprintf(body, sizeof body, "{\"error\":{\"message\":\"key "
	    "planted-key-7 of Bearer planted-other and planted-header-8, "
	    "sk-planted-abc is wrong\\u0007\\n%s\"}}",
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9"
	    "0123456789\xc3\xa9" "0123456789\xc3\xa9" "0123456789\xc3\xa9");
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_AUTH);
	CU_ASSERT_PTR_NULL(strstr(rig.message, "planted"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.message, "***"));
	CU_ASSERT_PTR_NULL(strchr(rig.message, '\n'));
	CU_ASSERT_PTR_NULL(strchr(rig.message, '\a'));
	CU_ASSERT_TRUE(strlen(rig.message) < 450);
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(rig.f), "planted"));
	/* Words that only look like a key's start are left alone. */
	(void)snprintf(body, sizeof body,
	    "{\"error\":{\"message\":\"the task-based limit\"}}");
	bad_status = 400;
	rig_run(&rig);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.message, "task-based limit"));
	rig_down(&rig);
}

static void
busy_endpoints_are_tried_again(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.script = bad_then_good;
	bad_status = 429;
	bad_head = "Retry-After: 0\r\n";
	n_bad = 2;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), HELLO_TEXT);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 3);
	rig_down(&rig);

	/* Used up. */
	up(&rig, hello);
	rig.script = bad_then_good;
	bad_status = 503;
	n_bad = 99;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_UPSTREAM);
	CU_ASSERT_EQUAL(rig.res.http_status, 503);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.message, "busy"));
	rig_down(&rig);

	/* As the operator says: not at all. */
	up(&rig, hello);
	rig.script = bad_then_good;
	rig.conf = "\"maxRetries\":0";
	bad_status = 429;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_RATE_LIMIT);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	rig_down(&rig);
}

/* AB-124: 429 with an absurd Retry-After. */
static void
absurd_waits_are_not_waited_for(void)
{
	static const char *const	 heads[] = {
		"Retry-After: 99999999999999999999\r\n",
		"Retry-After: 86400\r\n",
		"Retry-After: Fri, 31 Dec 2199 23:59:59 GMT\r\n",
	};
	struct rig	 rig;
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(heads); i++) {
		up(&rig, hello);
		rig.script = bad_then_good;
		rig.conf = "\"timeoutSeconds\":20";
		bad_status = 429;
		bad_head = heads[i];
		n_bad = 99;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_RATE_LIMIT);
		CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
		rig_down(&rig);
	}
}

static void
resets_first(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	if (rq->conn_n == 0)
		server_reset(c);
	else
		rig_say_stream(rig, c, rq);
}

static void
broken_connections_are_tried_again(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.script = resets_first;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), HELLO_TEXT);
	rig.conf = "\"maxRetries\":0";
	rig.base = "http://127.0.0.1:1";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_NETWORK);
	CU_ASSERT_EQUAL(rig.res.http_status, 0);
	rig.conf = "\"allowPrivateNetwork\":false";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_CONFIG);
	rig_down(&rig);
}

/* AB-124: ends mid-event. What came before stays; nothing is said twice. */
static void
an_answer_cut_short(void)
{
	struct rig	 rig;

	up(&rig, DELTA("\"content\":\"part\"")
	    "data: {\"choices\":[{\"delta\":{\"content\":\"lo");
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_NETWORK);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "error");
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "part");
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	/* At the end of an event, but before the end of the answer. */
	rig.stream = DELTA("\"content\":\"part\"");
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_NETWORK);
	/* Nothing was told yet: tried again, and again in vain. */
	rig.stream = ": hello\n\n";
	rig.conf = "\"maxRetries\":1";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_NETWORK);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 4);
	rig_down(&rig);
}

static void
nonsense_is_a_format_error(void)
{
	static const char *const	 streams[] = {
		"data: {\"choices\":\n\n",
		"data: 12\n\n",
		"data: {\"choices\":[]} trailing\n\n",
		/* Invalid UTF-8, an overlong form, a surrogate. */
		DELTA("\"content\":\"\xff\""),
		DELTA("\"content\":\"\xc0\xaf\""),
		DELTA("\"content\":\"\xed\xa0\x80\""),
		"{\"choices\":[]}",
		"{\"object\":\"list\"}",
		"[1,2]",
	};
	struct rig	 rig;
	size_t		 i;

	up(&rig, "");
	for (i = 0; i < ARRAY_LEN(streams); i++) {
		rig.stream = streams[i];
		rig_run(&rig);
		if (rig.res.status != CHELA_MODEL_FORMAT)
			(void)printf("%s: %u\n", streams[i], rig.res.status);
		CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_FORMAT);
	}
	rig.stream = DELTA("\"content\":\"a\"")
	    "data: {\"error\":{\"message\":\"it broke\",\"type\":\"x\"}}\n\n";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_UPSTREAM);
	CU_ASSERT_STRING_EQUAL(rig.message, "it broke");
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "a");
	rig.stream = DELTA("\"content\":\"a\"") FINISH("content_filter") DONE;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_REFUSAL);
	rig_down(&rig);
}

static void
huge_event(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_stream(c, "text/event-stream");
	server_say(c, "data: {\"choices\":[{\"delta\":{\"content\":\"");
	server_flood(c, 100u << 20);
}

/* AB-124: 100 MB in one event. */
static void
an_event_without_end(void)
{
	struct rig	 rig;

	up(&rig, "");
	rig.script = huge_event;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_FORMAT);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	rig_down(&rig);
}

/* AB-124: never answers, or stops in the middle. */
static void
a_silent_endpoint_times_out(void)
{
	struct rig	 rig;

	up(&rig, DELTA("\"content\":\"part\""));
	rig.script = rig_say_nothing;
	rig.rq.timeout_us = MS_US(100);
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_TIMEOUT);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	rig.script = rig_say_and_stall;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "part");
	rig.rq.timeout_us = 0;
	rig.conf = "\"timeoutSeconds\":1";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_TIMEOUT);
	rig_down(&rig);
}

static bool
is_disconnected(void *arg)
{
	return (server_n_open(((struct rig *)arg)->server) == 0);
}

static void
cancel_ends_a_call(void)
{
	struct rig	 rig;

	/* In the middle of a piece that holds more deltas. */
	up(&rig, DELTA("\"content\":\"a\"") DELTA("\"content\":\"b\""));
	rig.script = rig_say_and_stall;
	rig.cancel_at = 1;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "aborted");
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "a");
	CU_ASSERT_EQUAL(rig.n_done, 1);
	CU_ASSERT_EQUAL(fake_wait(rig.f, is_disconnected, &rig), 0);
	/* Before the first turn. */
	rig.cancel_at = 0;
	CU_ASSERT_EQUAL(rig_start(&rig), 0);
	rig.driver->cancel(rig.call);
	CU_ASSERT_EQUAL(rig.n_done, 0);
	CU_ASSERT_EQUAL(fake_wait(rig.f, rig_is_done, &rig), 0);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	/* While it waits for a reply. */
	CU_ASSERT_EQUAL(rig_start(&rig), 0);
	CU_ASSERT_EQUAL(fake_wait(rig.f, rig_has_text, &rig), 0);
	rig.driver->cancel(rig.call);
	CU_ASSERT_EQUAL(fake_wait(rig.f, rig_is_done, &rig), 0);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
	rig_down(&rig);
}

static void
stop_ends_all_calls(void)
{
	struct rig	 rig;

	up(&rig, DELTA("\"content\":\"a\""));
	rig.script = rig_say_and_stall;
	CU_ASSERT_EQUAL(rig_start(&rig), 0);
	CU_ASSERT_EQUAL(fake_wait(rig.f, rig_has_text, &rig), 0);
	rig_down(&rig);
	CU_ASSERT_EQUAL(rig.n_done, 1);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
}

/* The end is told at [DONE], whatever the connection does then. */
static void
done_does_not_wait_for_the_connection(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.script = rig_say_and_stall;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_EQUAL(server_n_open(rig.server), 1);
	rig_down(&rig);
}

static void
list_of_models(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	(void)rq;
	server_answer(c, bad_status, "", rig->stream);
}

static void
the_endpoint_lists_its_models(void)
{
	struct rig	 rig;

	up(&rig, "{\"object\":\"list\",\"data\":[{\"id\":\"a/b\"},{\"x\":1},"
	    "{\"id\":\"c\",\"display_name\":\"C\"}]}");
	rig.script = list_of_models;
	bad_status = 200;
	rig_list(&rig);
	CU_ASSERT_EQUAL(rig.list_r, 0);
	CU_ASSERT_STRING_EQUAL(rig.path, "/v1/models");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head, "GET "));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head, "Bearer key-0123456789"));
	CU_ASSERT_EQUAL(json_object_array_length(rig.list), 2);
	CU_ASSERT_STRING_EQUAL(fake_str(rig.list, "0.id"), "a/b");
	CU_ASSERT_STRING_EQUAL(fake_str(rig.list, "1.name"), "C");
	bad_status = 401;
	rig_list(&rig);
	CU_ASSERT_EQUAL(rig.list_r, -EACCES);
	CU_ASSERT_PTR_NULL(rig.list);
	bad_status = 200;
	rig.stream = "{\"models\":[]}";
	rig_list(&rig);
	CU_ASSERT_EQUAL(rig.list_r, -EBADMSG);
	rig_down(&rig);
}

static const struct cu_case cases[] = {
	CU_CASE(a_streamed_answer),
	CU_CASE(one_byte_at_a_time),
	CU_CASE(the_url_is_what_the_operator_wrote),
	CU_CASE(rows_become_messages),
	CU_CASE(tool_calls_come_whole),
	CU_CASE(quirks_of_local_servers),
	CU_CASE(errors_have_a_kind),
	CU_CASE(messages_tell_no_secrets_and_are_short),
	CU_CASE(busy_endpoints_are_tried_again),
	CU_CASE(absurd_waits_are_not_waited_for),
	CU_CASE(broken_connections_are_tried_again),
	CU_CASE(an_answer_cut_short),
	CU_CASE(nonsense_is_a_format_error),
	CU_CASE(an_event_without_end),
	CU_CASE(a_silent_endpoint_times_out),
	CU_CASE(cancel_ends_a_call),
	CU_CASE(stop_ends_all_calls),
	CU_CASE(done_does_not_wait_for_the_connection),
	CU_CASE(the_endpoint_lists_its_models),
	CU_END
};

CU_MAIN("model-openai", cases)
