/* SPDX-License-Identifier: MIT */
/*
 * Plugin model-openai: endpoints that speak "chat completions", a cloud or a
 * local server. rows.c writes requests, this file reads answers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../model-common/call.h"
#include "rows.h"

#define CALLS_PATH	"/chat/completions"
#define DEFAULT_BASE	"https://api.openai.com/v1"

static int
ends_with(const char *s, const char *end)
{
	size_t	 n = strlen(s), m = strlen(end);

	return (n >= m && strcmp(s + n - m, end) == 0);
}

static char *
openai_url(const char *base, int is_list)
{
	size_t	 n = strlen(base);
	char	*s;

	if (ends_with(base, CALLS_PATH))
		n -= strlen(CALLS_PATH);
	if (asprintf(&s, "%.*s%s", (int)n, base, is_list ? "/models" :
	    CALLS_PATH) < 0)
		return (NULL);
	return (s);
}

static int
openai_body(const struct chela_model_request *rq, struct json_object **ret_body)
{
	const char	*base = jget_str(rq->provider_conf, "baseUrl");

	/* Its newer models know but the one name, older servers the other. */
	return (rows_body(rq, base == NULL || *base == '\0' ||
	    strstr(base, "//api.openai.com") != NULL ?
	    "max_completion_tokens" : "max_tokens", ret_body));
}

static int
openai_auth(struct chela_model_call *call, struct json_object *conf)
{
	const char	*key = jget_str(conf, "apiKey");
	char		*value;
	int		 r;

	if (key == NULL || *key == '\0')
		return (0);	/* a local server wants none */
	if (asprintf(&value, "Bearer %s", key) < 0)
		return (-ENOMEM);
	r = call_header(call, "Authorization", value);
	free(value);
	return (r);
}

static int
openai_finish(struct chela_model_call *call, const char *reason)
{
	static const struct {
		const char	*theirs, *ours;
	} table[] = {
		{ "stop", "stop" },
		{ "length", "length" },
		{ "tool_calls", "toolUse" },
		{ "function_call", "toolUse" },
	};
	size_t	 i;

	if (strcmp(reason, "content_filter") == 0)
		return (call_fail(call, CHELA_MODEL_REFUSAL,
		    "the endpoint's content filter stopped the answer"));
	call->stop_reason = "stop";
	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(reason, table[i].theirs) == 0)
			call->stop_reason = table[i].ours;
	}
	return (0);
}

static void
openai_usage(struct chela_model_call *call, struct json_object *u)
{
	uint64_t	 prompt, cached;

	if (!json_object_is_type(u, json_type_object))
		return;
	prompt = jget_count(u, "prompt_tokens");
	cached = jget_count(jget(u, "prompt_tokens_details"), "cached_tokens");
	if (cached > prompt)
		cached = prompt;
	call->usage.input = prompt - cached;
	call->usage.cache_read = cached;
	call->usage.output = jget_count(u, "completion_tokens");
	call->usage.total = jget_count(u, "total_tokens");
	call->has_usage = 1;
}

/*
 * A piece of a tool call. Some servers send no index: then an id that is not the
 * last one's begins another.
 */
static struct tool *
openai_tool_of(struct chela_model_call *call, struct json_object *piece,
    size_t at)
{
	struct json_object	*index = jget(piece, "index");
	const char		*id = jget_str(piece, "id");
	struct tool		*last;

	if (json_object_is_type(index, json_type_int))
		return (call_tool(call, json_object_get_int64(index)));
	if (call->n_tools == 0 || at >= call->n_tools)
		return (call_tool(call, (int64_t)call->n_tools));
	last = &call->tools[call->n_tools - 1];
	if (id != NULL && *id != '\0' && last->id != NULL &&
	    strcmp(last->id, id) != 0)
		return (call_tool(call, (int64_t)call->n_tools));
	return (last);
}

static int
openai_tools(struct chela_model_call *call, struct json_object *pieces)
{
	struct json_object	*piece, *fn, *args;
	const char		*s = NULL;
	struct tool		*t;
	size_t			 i, len = 0;
	int			 r = 0;

	for (i = 0; r == 0 && i < jget_len(pieces); i++) {
		piece = json_object_array_get_idx(pieces, i);
		fn = jget(piece, "function");
		t = openai_tool_of(call, piece, i);
		if (t == NULL)
			return (call_fail(call, CHELA_MODEL_FORMAT,
			    "the model calls too many tools at a time"));
		r = call_tool_set(&t->id, jget_str(piece, "id"));
		if (r == 0)
			r = call_tool_set(&t->name, jget_str(fn, "name"));
		args = jget(fn, "arguments");
		if (json_object_is_type(args, json_type_string)) {
			s = json_object_get_string(args);
			len = (size_t)json_object_get_string_len(args);
		} else if (json_object_is_type(args, json_type_object)) {
			s = json_object_to_json_string_length(args,
			    JSON_C_TO_STRING_PLAIN, &len);
		} else
			len = 0;
		if (r == 0 && len > 0)
			r = text_add(&t->args, s, len, CALL_TOOL_ARGS_MAX);
	}
	if (r < 0)
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "a tool call of the model is too long"));
	return (0);
}

/* delta of a chunk, or message of a whole answer. */
static int
openai_delta(struct chela_model_call *call, struct json_object *delta)
{
	struct json_object	*s;
	int			 r;

	s = jget(delta, "reasoning_content");
	if (s == NULL)
		s = jget(delta, "reasoning");
	r = call_thinking(call, s);
	if (r == 0)
		r = call_text(call, jget(delta, "content"));
	if (r == 0)
		r = call_text(call, jget(delta, "refusal"));
	if (r == 0)
		r = openai_tools(call, jget(delta, "tool_calls"));
	return (r);
}

static int
openai_error(struct chela_model_call *call, struct json_object *e)
{
	const char	*message, *code;
	uint32_t	 status;

	message = jget_str(e, "message");
	code = jget_str(e, "code");
	if (json_object_is_type(e, json_type_string))
		message = json_object_get_string(e);
	status = call_classify(code);
	if (status == 0)
		status = call_classify(jget_str(e, "type"));
	if (status == 0)
		status = call_classify(message);
	return (call_fail(call, status != 0 ? status : CHELA_MODEL_UPSTREAM,
	    message != NULL ? message : "the endpoint reported an error"));
}

static int
openai_chunk(struct chela_model_call *call, struct json_object *o)
{
	struct json_object	*choice, *e, *delta;
	const char		*reason;
	int			 r = 0;

	e = jget(o, "error");
	if (e != NULL)
		return (openai_error(call, e));
	call_id(call, jget_str(o, "id"));
	openai_usage(call, jget(o, "usage"));
	/* None in the chunk that has the usage. */
	choice = jget_at(o, "choices", 0);
	delta = jget(choice, "delta");
	if (delta == NULL)
		delta = jget(choice, "message");
	r = openai_delta(call, delta);
	reason = jget_str(choice, "finish_reason");
	if (r == 0 && reason != NULL && *reason != '\0')
		r = openai_finish(call, reason);
	return (r);
}

static int
openai_event(struct chela_model_call *call, const char *name,
    const char *data, size_t len)
{
	struct json_object	*o;
	int			 r;

	if (name != NULL && strncmp(data, "[DONE]", 6) == 0) {
		call->is_complete = 1;
		return (0);
	}
	o = jget_parse(data, len);
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "the endpoint's answer is not valid JSON"));
	}
	if (name == NULL && jget(o, "error") == NULL &&
	    jget_at(o, "choices", 0) == NULL)
		r = call_fail(call, CHELA_MODEL_FORMAT,
		    "the endpoint's answer is not a chat completion");
	else
		r = openai_chunk(call, o);
	if (r == 0 && name == NULL)
		call->is_complete = 1;
	json_object_put(o);
	return (r);
}

static const char *const apis[] = { "openai-completions", NULL };

static const struct driver driver = {
	.apis = apis,
	.default_base = DEFAULT_BASE,
	.url = openai_url,
	.body = openai_body,
	.auth = openai_auth,
	.event = openai_event,
	.tool_prefix = "call_",
};

static int
openai_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	return (calls_init(ctx, host, &driver));
}

static const struct chela_dep deps[] = {
	{ .name = "http" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("model-openai"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Models behind an OpenAI-compatible endpoint",
	CHELA_DEPS(deps),
	.init = openai_init,
	.stop = calls_stop,
};
