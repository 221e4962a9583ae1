/* SPDX-License-Identifier: MIT */
/* Plugin model-anthropic: what it sends, what it reads, and bad endpoints. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/plugin/model_rig.h"
#include "tests/unit/cu.h"

#define EVENT(name, rest) \
	"event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START \
	EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":" \
	"\"message\",\"content\":[],\"stop_reason\":null,\"usage\":{" \
	"\"input_tokens\":9,\"cache_read_input_tokens\":20," \
	"\"cache_creation_input_tokens\":30,\"output_tokens\":1}}")
#define BLOCK(i, block) \
	EVENT("content_block_start", ",\"index\":" i ",\"content_block\":{" \
	block "}")
#define DELTA(i, delta) \
	EVENT("content_block_delta", ",\"index\":" i ",\"delta\":{" delta "}")
#define STOP(i)		EVENT("content_block_stop", ",\"index\":" i)
#define END(reason) \
	EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\"}," \
	"\"usage\":{\"output_tokens\":15}") \
	EVENT("message_stop", "")
#define TEXT(i, s)	DELTA(i, "\"type\":\"text_delta\",\"text\":\"" s "\"")

static const char hello[] =
	START BLOCK("0", "\"type\":\"text\",\"text\":\"\"")
	EVENT("ping", "") TEXT("0", "Hel") TEXT("0", "lo") STOP("0")
	END("end_turn");

static unsigned	 bad_status;
static unsigned	 n_bad;
static unsigned	 whole_status = 200;

static void
bad_then_good(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	if (rq->n < n_bad)
		server_answer(c, bad_status, "Retry-After: 0\r\n",
		    "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"overloaded_error\",\"message\":\"Overloaded\"}}");
	else
		rig_say_stream(rig, c, rq);
}

static void
up(struct rig *rig, const char *stream)
{
	rig_up(rig, "model-anthropic", true);
	rig->stream = stream;
	rig->base = server_url(rig->server);
}

static void
a_streamed_answer(void)
{
	struct rig	 rig;
	size_t		 piece;

	up(&rig, hello);
	for (piece = 0; piece < 4; piece++) {
		rig.piece = piece;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
		CU_ASSERT_STRING_EQUAL(rig_text(&rig), "Hello");
		CU_ASSERT_STRING_EQUAL(rig.stop_reason, "stop");
		CU_ASSERT_STRING_EQUAL(rig.id, "msg_1");
		CU_ASSERT_EQUAL(rig.res.usage.input, 9);
		CU_ASSERT_EQUAL(rig.res.usage.output, 15);
		CU_ASSERT_EQUAL(rig.res.usage.cache_read, 20);
		CU_ASSERT_EQUAL(rig.res.usage.cache_write, 30);
		CU_ASSERT_EQUAL(rig.res.usage.total, 74);
	}
	CU_ASSERT_STRING_EQUAL(rig.path, "/v1/messages");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head,
	    "x-api-key: key-0123456789\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head, "anthropic-version: 20"));
	CU_ASSERT_PTR_NULL(strstr(rig.head, "Authorization"));
	CU_ASSERT_EQUAL(fake_int(rig.body, "max_tokens"), 4096);
	rig_down(&rig);
}

static void
the_url_and_the_way_of_the_key(void)
{
	char		 base[128];
	struct rig	 rig;

	up(&rig, hello);
	(void)snprintf(base, sizeof base, "%s/v1/", server_url(rig.server));
	rig.base = base;
	rig.conf = "\"apiKey\":\"tok-1\",\"auth\":\"token\"";
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig.path, "/v1/messages");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.head,
	    "Authorization: Bearer tok-1\r\n"));
	CU_ASSERT_PTR_NULL(strstr(rig.head, "x-api-key"));
	(void)snprintf(base, sizeof base, "%s/proxy/v1/messages",
	    server_url(rig.server));
	rig.conf = "\"maxTokens\":500";
	rig_run(&rig);
	CU_ASSERT_STRING_EQUAL(rig.path, "/proxy/v1/messages");
	CU_ASSERT_EQUAL(fake_int(rig.body, "max_tokens"), 500);
	rig_down(&rig);
}

static void
rows_become_blocks(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.rq.system = "be brief";
	rig.rq.max_tokens = 100;
	rig.rq.thinking = "low";
	rig.tools = "[{\"name\":\"date\",\"description\":\"d\","
	    "\"parameters\":{\"type\":\"object\"}},{\"name\":\"t\"}]";
	rig.messages = "["
	    "{\"role\":\"assistant\",\"content\":\"early\"},"
	    "{\"role\":\"user\",\"content\":\"a\"},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
	    "\"b\"},{\"type\":\"image\",\"data\":\"QUJD\","
	    "\"mimeType\":\"image/png\"}]},"
	    "{\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"thinking\",\"thinking\":\"hm\"},"
	    "{\"type\":\"text\",\"text\":\"let me see\"},"
	    "{\"type\":\"toolCall\",\"id\":\"c1\",\"name\":\"date\","
	    "\"arguments\":{\"x\":1}},"
	    "{\"type\":\"toolCall\",\"id\":\"c2\",\"name\":\"t\","
	    "\"arguments\":\"{}\"}]},"
	    "{\"role\":\"toolResult\",\"toolCallId\":\"c1\","
	    "\"content\":\"today\"},"
	    "{\"role\":\"toolResult\",\"toolCallId\":\"c2\","
	    "\"isError\":true,\"content\":[{\"type\":\"text\","
	    "\"text\":\"no\"}]},"
	    "{\"role\":\"assistant\",\"content\":\"\"},"
	    "{\"role\":\"user\",\"content\":\"and\"}]";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
#define IS(path, text) CU_ASSERT_STRING_EQUAL(fake_str(rig.body, path), text)
	IS("system", "be brief");
	IS("messages.0.role", "user");
	IS("messages.0.content.0.text", "a");
	IS("messages.0.content.1.text", "b");
	IS("messages.0.content.2.source.media_type", "image/png");
	IS("messages.0.content.2.source.data", "QUJD");
	IS("messages.1.role", "assistant");
	IS("messages.1.content.0.text", "let me see");
	IS("messages.1.content.1.type", "tool_use");
	IS("messages.1.content.1.input.x", "1");
	IS("messages.1.content.2.id", "c2");
	IS("messages.2.role", "user");
	IS("messages.2.content.0.type", "tool_result");
	IS("messages.2.content.0.tool_use_id", "c1");
	IS("messages.2.content.0.content.0.text", "today");
	IS("messages.2.content.1.is_error", "true");
	IS("messages.2.content.2.text", "and");
	IS("messages.3", "");
	IS("tools.0.input_schema.type", "object");
	IS("tools.1.input_schema.type", "object");
	IS("thinking.type", "enabled");
	IS("thinking.budget_tokens", "2048");
	IS("max_tokens", "2148");
	rig_down(&rig);
}

static void
tool_calls_and_thinking(void)
{
	struct rig	 rig;

	up(&rig, START
	    BLOCK("0", "\"type\":\"thinking\",\"thinking\":\"\"")
	    DELTA("0", "\"type\":\"thinking_delta\",\"thinking\":\"hm\"")
	    DELTA("0", "\"type\":\"signature_delta\",\"signature\":\"x\"")
	    STOP("0")
	    BLOCK("1", "\"type\":\"tool_use\",\"id\":\"toolu_1\","
	    "\"name\":\"date\",\"input\":{}")
	    DELTA("1", "\"type\":\"input_json_delta\",\"partial_json\":\"\"")
	    DELTA("1", "\"type\":\"input_json_delta\",\"partial_json\":"
	    "\"{\\\"a\\\"\"")
	    DELTA("1", "\"type\":\"input_json_delta\",\"partial_json\":"
	    "\":1}\"")
	    STOP("1")
	    BLOCK("2", "\"type\":\"tool_use\",\"id\":\"toolu_2\","
	    "\"name\":\"time\",\"input\":{}")
	    STOP("2") END("tool_use"));
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_thinking(&rig), "hm");
	CU_ASSERT_STRING_EQUAL(rig_tools(&rig),
	    "toolu_1 date {\"a\":1}\ntoolu_2 time {}\n");
	CU_ASSERT_STRING_EQUAL(rig.stop_reason, "toolUse");
	rig_down(&rig);
}

static void
whole_json(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rq;
	server_answer(c, whole_status, "Content-Type: application/json\r\n",
	    rig->stream);
}

static void
an_answer_in_one_document(void)
{
	struct rig	 rig;

	up(&rig, "{\"type\":\"message\",\"id\":\"w\",\"content\":["
	    "{\"type\":\"text\",\"text\":\"all\"},{\"type\":\"tool_use\","
	    "\"id\":\"t\",\"name\":\"n\",\"input\":{\"q\":1}}],"
	    "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,"
	    "\"output_tokens\":2}}");
	rig.script = whole_json;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "all");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_tools(&rig), "t n {"));
	CU_ASSERT_EQUAL(rig.res.usage.total, 3);
	rig_down(&rig);
}

static void
overloaded_endpoints_are_tried_again(void)
{
	struct rig	 rig;

	up(&rig, hello);
	rig.script = bad_then_good;
	bad_status = 529;
	n_bad = 2;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_OK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "Hello");
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 3);
	rig_down(&rig);

	/* In the stream, before anything was said. */
	up(&rig, START EVENT("error", ",\"error\":{\"type\":"
	    "\"overloaded_error\",\"message\":\"Overloaded\"}"));
	rig.conf = "\"maxRetries\":1";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_UPSTREAM);
	CU_ASSERT_STRING_EQUAL(rig.message, "Overloaded");
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 2);
	/* And after: never twice. */
	rig.stream = START BLOCK("0", "\"type\":\"text\",\"text\":\"\"")
	    TEXT("0", "part") EVENT("error", ",\"error\":{\"type\":"
	    "\"overloaded_error\",\"message\":\"Overloaded\"}");
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_UPSTREAM);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "part");
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 3);
	rig_down(&rig);
}

static void
errors_have_a_kind(void)
{
	static const struct {
		unsigned	 http;
		const char	*body;
		uint32_t	 status;
	} table[] = {
		{ 400, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"invalid_request_error\",\"message\":\"prompt is too "
		    "long: 9 tokens\"}}", CHELA_MODEL_CONTEXT },
		{ 400, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"invalid_request_error\",\"message\":\"Your credit "
		    "balance is too low\"}}", CHELA_MODEL_BILLING },
		{ 401, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"authentication_error\",\"message\":\"no\"}}",
		    CHELA_MODEL_AUTH },
		{ 404, "{\"type\":\"error\",\"error\":{\"type\":"
		    "\"not_found_error\",\"message\":\"model: x\"}}",
		    CHELA_MODEL_UPSTREAM },
	};
	struct rig	 rig;
	size_t		 i;

	up(&rig, "");
	for (i = 0; i < ARRAY_LEN(table); i++) {
		rig.script = whole_json;
		rig.stream = table[i].body;
		whole_status = table[i].http;
		rig_run(&rig);
		CU_ASSERT_EQUAL(rig.res.http_status, table[i].http);
		CU_ASSERT_EQUAL(rig.res.status, table[i].status);
		CU_ASSERT_EQUAL(server_n_rqs(rig.server), i + 1);
	}
	rig.stream = START BLOCK("0", "\"type\":\"text\",\"text\":\"\"")
	    TEXT("0", "x") END("refusal");
	rig.script = rig_say_stream;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_REFUSAL);
	rig.stream = START "data: {\"no\":1}\n\n";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_FORMAT);
	rig.stream = START "data: {\"type\":\"\xff\"}\n\n";
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_FORMAT);
	rig_down(&rig);
}

/* AB-124: ends mid-event. */
static void
an_answer_cut_short(void)
{
	struct rig	 rig;

	up(&rig, START BLOCK("0", "\"type\":\"text\",\"text\":\"\"")
	    TEXT("0", "part") "event: content_block_delta\ndata: {\"ty");
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_NETWORK);
	CU_ASSERT_STRING_EQUAL(rig_text(&rig), "part");
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	rig.script = rig_say_and_stall;
	rig.cancel_at = 1;
	rig_run(&rig);
	CU_ASSERT_EQUAL(rig.res.status, CHELA_MODEL_ABORTED);
	rig_down(&rig);
}

static void
the_endpoint_lists_its_models(void)
{
	struct rig	 rig;

	up(&rig, "{\"data\":[{\"type\":\"model\",\"id\":\"c\","
	    "\"display_name\":\"C 1\"}],\"has_more\":false}");
	rig.script = whole_json;
	whole_status = 200;
	rig_list(&rig);
	CU_ASSERT_EQUAL(rig.list_r, 0);
	CU_ASSERT_STRING_EQUAL(rig.path, "/v1/models?limit=1000");
	CU_ASSERT_STRING_EQUAL(fake_str(rig.list, "0.name"), "C 1");
	rig_down(&rig);
}

static const struct cu_case cases[] = {
	CU_CASE(a_streamed_answer),
	CU_CASE(the_url_and_the_way_of_the_key),
	CU_CASE(rows_become_blocks),
	CU_CASE(tool_calls_and_thinking),
	CU_CASE(an_answer_in_one_document),
	CU_CASE(overloaded_endpoints_are_tried_again),
	CU_CASE(errors_have_a_kind),
	CU_CASE(an_answer_cut_short),
	CU_CASE(the_endpoint_lists_its_models),
	CU_END
};

CU_MAIN("model-anthropic", cases)
