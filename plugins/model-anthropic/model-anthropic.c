/* SPDX-License-Identifier: MIT */
/*
 * Plugin model-anthropic: endpoints that speak "messages". blocks.c writes
 * requests, this file reads answers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../model-common/call.h"
#include "blocks.h"

#define API_VERSION	"2023-06-01"

static char *
anthropic_url(const char *base, int is_list)
{
	size_t	 n = strlen(base);
	char	*s;

	if (n >= 9 && strcmp(base + n - 9, "/messages") == 0)
		n -= 9;
	if (n >= 3 && strncmp(base + n - 3, "/v1", 3) == 0)
		n -= 3;
	if (asprintf(&s, "%.*s/v1/%s", (int)n, base, is_list ?
	    "models?limit=1000" : "messages") < 0)
		return (NULL);
	return (s);
}

static int
anthropic_auth(struct chela_model_call *call, struct json_object *conf)
{
	const char	*key = jget_str(conf, "apiKey");
	const char	*auth = jget_str(conf, "auth");
	char		*value;
	int		 r = 0;

	if (key != NULL && *key != '\0' &&
	    ((auth != NULL && strcmp(auth, "token") == 0) ||
	    json_object_get_boolean(jget(conf, "authHeader")))) {
		if (asprintf(&value, "Bearer %s", key) < 0)
			return (-ENOMEM);
		r = call_header(call, "Authorization", value);
		free(value);
	} else if (key != NULL && *key != '\0')
		r = call_header(call, "x-api-key", key);
	if (r == 0)
		r = call_header(call, "anthropic-version", API_VERSION);
	return (r);
}

static int
anthropic_finish(struct chela_model_call *call, const char *reason)
{
	static const struct {
		const char	*theirs, *ours;
	} table[] = {
		{ "max_tokens", "length" },
		{ "model_context_window_exceeded", "length" },
		{ "tool_use", "toolUse" },
	};
	size_t	 i;

	if (strcmp(reason, "refusal") == 0)
		return (call_fail(call, CHELA_MODEL_REFUSAL,
		    "the model declined to answer"));
	call->stop_reason = "stop";
	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(reason, table[i].theirs) == 0)
			call->stop_reason = table[i].ours;
	}
	return (0);
}

/* Later counts replace earlier ones, where they are there. */
static void
anthropic_usage(struct chela_model_call *call, struct json_object *u)
{
	const struct {
		const char	*name;
		uint64_t	*to;
	} table[] = {
		{ "input_tokens", &call->usage.input },
		{ "output_tokens", &call->usage.output },
		{ "cache_read_input_tokens", &call->usage.cache_read },
		{ "cache_creation_input_tokens", &call->usage.cache_write },
	};
	size_t	 i;

	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (json_object_is_type(jget(u, table[i].name),
		    json_type_int)) {
			*table[i].to = jget_count(u, table[i].name);
			call->has_usage = 1;
		}
	}
}

static int
anthropic_error(struct chela_model_call *call, struct json_object *e)
{
	const char	*type = jget_str(e, "type");
	const char	*message = jget_str(e, "message");
	uint32_t	 status;

	if (message == NULL)
		message = "the endpoint reported an error";
	if (type != NULL && (strcmp(type, "overloaded_error") == 0 ||
	    strcmp(type, "api_error") == 0))
		return (call_fail_retryable(call, CHELA_MODEL_UPSTREAM,
		    message));
	status = call_classify(type);
	if (status == CHELA_MODEL_RATE_LIMIT)
		return (call_fail_retryable(call, status, message));
	if (status == 0)
		status = call_classify(message);
	return (call_fail(call, status != 0 ? status : CHELA_MODEL_UPSTREAM,
	    message));
}

static int
block_start(struct chela_model_call *call, int64_t index,
    struct json_object *block)
{
	struct json_object	*input;
	const char		*type = jget_str(block, "type"), *s;
	struct tool		*t;
	size_t			 len = 0;
	int			 r;

	if (type == NULL)
		return (0);
	if (strcmp(type, "text") == 0)
		return (call_text(call, jget(block, "text")));
	if (strcmp(type, "thinking") == 0)
		return (call_thinking(call, jget(block, "thinking")));
	if (strcmp(type, "tool_use") != 0)
		return (0);
	t = call_tool(call, index);
	if (t == NULL)
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "the model calls too many tools at a time"));
	r = call_tool_set(&t->id, jget_str(block, "id"));
	if (r == 0)
		r = call_tool_set(&t->name, jget_str(block, "name"));
	/* In a stream it is {} and comes by pieces; else it is all there. */
	input = jget(block, "input");
	if (r == 0 && json_object_is_type(input, json_type_object) &&
	    json_object_object_length(input) > 0) {
		s = json_object_to_json_string_length(input,
		    JSON_C_TO_STRING_PLAIN, &len);
		r = s == NULL ? -ENOMEM : text_add(&t->args, s, len,
		    CALL_TOOL_ARGS_MAX);
	}
	if (r < 0)
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "a tool call of the model is too long"));
	return (0);
}

static struct tool *
tool_find(struct chela_model_call *call, int64_t index)
{
	size_t	 i;

	for (i = 0; i < call->n_tools; i++) {
		if (call->tools[i].index == index)
			return (&call->tools[i]);
	}
	return (NULL);
}

static int
block_delta(struct chela_model_call *call, int64_t index,
    struct json_object *delta)
{
	struct json_object	*piece;
	const char		*type = jget_str(delta, "type");
	struct tool		*t;

	if (type == NULL)
		return (0);
	if (strcmp(type, "text_delta") == 0)
		return (call_text(call, jget(delta, "text")));
	if (strcmp(type, "thinking_delta") == 0)
		return (call_thinking(call, jget(delta, "thinking")));
	if (strcmp(type, "input_json_delta") != 0)
		return (0);		/* signatures, citations */
	piece = jget(delta, "partial_json");
	t = tool_find(call, index);
	if (t == NULL || !json_object_is_type(piece, json_type_string))
		return (0);
	if (text_add(&t->args, json_object_get_string(piece),
	    (size_t)json_object_get_string_len(piece), CALL_TOOL_ARGS_MAX) < 0)
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "a tool call of the model is too long"));
	return (0);
}

static int
anthropic_message(struct chela_model_call *call, struct json_object *m)
{
	struct json_object	*content = jget(m, "content");
	const char		*reason = jget_str(m, "stop_reason");
	size_t			 i;
	int			 r = 0;

	call_id(call, jget_str(m, "id"));
	anthropic_usage(call, jget(m, "usage"));
	for (i = 0; r == 0 && i < jget_len(content); i++)
		r = block_start(call, (int64_t)i,
		    json_object_array_get_idx(content, i));
	if (r == 0 && reason != NULL)
		r = anthropic_finish(call, reason);
	return (r);
}

static int
anthropic_stream(struct chela_model_call *call, struct json_object *o,
    const char *type)
{
	int64_t		 index = (int64_t)jget_count(o, "index");
	struct tool	*t;
	const char	*reason;

	if (strcmp(type, "message_start") == 0)
		return (anthropic_message(call, jget(o, "message")));
	if (strcmp(type, "content_block_start") == 0)
		return (block_start(call, index, jget(o, "content_block")));
	if (strcmp(type, "content_block_delta") == 0)
		return (block_delta(call, index, jget(o, "delta")));
	if (strcmp(type, "content_block_stop") == 0) {
		t = tool_find(call, index);
		return (t == NULL ? 0 : call_tool_tell(call, t));
	}
	if (strcmp(type, "message_delta") == 0) {
		anthropic_usage(call, jget(o, "usage"));
		reason = jget_str(jget(o, "delta"), "stop_reason");
		return (reason == NULL ? 0 : anthropic_finish(call, reason));
	}
	if (strcmp(type, "message_stop") == 0)
		call->is_complete = 1;
	else if (strcmp(type, "error") == 0)
		return (anthropic_error(call, jget(o, "error")));
	return (0);			/* ping, and what comes to be */
}

static int
anthropic_event(struct chela_model_call *call, const char *name,
    const char *data, size_t len)
{
	struct json_object	*o;
	const char		*type;
	int			 r;

	o = jget_parse(data, len);
	type = jget_str(o, "type");
	if (type == NULL) {
		json_object_put(o);
		return (call_fail(call, CHELA_MODEL_FORMAT, o == NULL ?
		    "the endpoint's answer is not valid JSON" :
		    "the endpoint's answer is not a message"));
	}
	if (name != NULL)
		r = anthropic_stream(call, o, type);
	else if (strcmp(type, "error") == 0)
		r = anthropic_error(call, jget(o, "error"));
	else if (strcmp(type, "message") == 0) {
		r = anthropic_message(call, o);
		call->is_complete = 1;
	} else
		r = call_fail(call, CHELA_MODEL_FORMAT,
		    "the endpoint's answer is not a message");
	json_object_put(o);
	return (r);
}

static const char *const apis[] = { "anthropic-messages", NULL };

static const struct driver driver = {
	.apis = apis,
	.default_base = "https://api.anthropic.com",
	.url = anthropic_url,
	.body = blocks_body,
	.auth = anthropic_auth,
	.event = anthropic_event,
	.tool_prefix = "toolu_",
};

static int
anthropic_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	return (calls_init(ctx, host, &driver));
}

static const struct chela_dep deps[] = {
	{ .name = "http" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("model-anthropic"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Models behind an endpoint of the messages API",
	CHELA_DEPS(deps),
	.init = anthropic_init,
	.stop = calls_stop,
};
