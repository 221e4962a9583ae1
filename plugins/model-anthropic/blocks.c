/* SPDX-License-Identifier: MIT */
#include "blocks.h"

#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include "../model-common/call.h"

static struct json_object *
block_new(const char *type)
{
	struct json_object	*o = json_object_new_object();

	if (o != NULL && jadd_str(o, "type", type) < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

static int
text_push(struct json_object *out, const char *text)
{
	struct json_object	*o;

	if (text == NULL || *text == '\0')
		return (0);	/* the API refuses an empty block */
	o = block_new("text");
	if (o == NULL || jadd_str(o, "text", text) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (jpush(out, o));
}

static int
image_push(struct json_object *out, struct json_object *image)
{
	struct json_object	*o, *src;
	const char		*data = jget_str(image, "data");
	const char		*type = jget_str(image, "mimeType");

	o = block_new("image");
	src = block_new("base64");
	if (o == NULL || src == NULL ||
	    jadd_str(src, "media_type", type != NULL ? type : "image/png") < 0 ||
	    jadd_str(src, "data", data != NULL ? data : "") < 0) {
		json_object_put(o);
		json_object_put(src);
		return (-ENOMEM);
	}
	if (jadd(o, "source", src) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (jpush(out, o));
}

static int
tool_push(struct json_object *out, struct json_object *part)
{
	struct json_object	*o, *args = jget(part, "arguments"), *input;
	const char		*id = jget_str(part, "id");
	const char		*name = jget_str(part, "name");

	if (json_object_is_type(args, json_type_string))
		input = jget_parse(json_object_get_string(args),
		    (size_t)json_object_get_string_len(args));
	else
		input = json_object_get(args);
	if (!json_object_is_type(input, json_type_object)) {
		json_object_put(input);
		input = json_object_new_object();
	}
	o = block_new("tool_use");
	if (o == NULL || jadd_str(o, "id", id != NULL ? id : "") < 0 ||
	    jadd_str(o, "name", name != NULL ? name : "") < 0) {
		json_object_put(o);
		json_object_put(input);
		return (-ENOMEM);
	}
	if (jadd(o, "input", input) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (jpush(out, o));
}

static int
content_push(struct json_object *out, struct json_object *content)
{
	struct json_object	*part;
	const char		*type;
	size_t			 i;
	int			 r = 0;

	if (json_object_is_type(content, json_type_string))
		return (text_push(out, json_object_get_string(content)));
	for (i = 0; r == 0 && i < jget_len(content); i++) {
		part = json_object_array_get_idx(content, i);
		type = jget_str(part, "type");
		if (type == NULL)
			continue;
		/* Thinking would need its signature, which nobody keeps. */
		if (strcmp(type, "text") == 0)
			r = text_push(out, jget_str(part, "text"));
		else if (strcmp(type, "image") == 0)
			r = image_push(out, part);
		else if (strcmp(type, "toolCall") == 0)
			r = tool_push(out, part);
	}
	return (r);
}

static int
result_push(struct json_object *out, struct json_object *row)
{
	struct json_object	*o, *inner;
	const char		*id = jget_str(row, "toolCallId");
	int			 r;

	o = block_new("tool_result");
	inner = json_object_new_array();
	r = o == NULL || inner == NULL ? -ENOMEM :
	    jadd_str(o, "tool_use_id", id != NULL ? id : "");
	if (r == 0)
		r = content_push(inner, jget(row, "content"));
	if (r == 0 && json_object_get_boolean(jget(row, "isError")))
		r = jadd(o, "is_error", json_object_new_boolean(1));
	if (r == 0)
		r = jadd(o, "content", json_object_get(inner));
	json_object_put(inner);
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	return (jpush(out, o));
}

/*
 * Roles must alternate and a user begins: rows of one role become one message,
 * and what an assistant said before anybody asked is left out.
 */
static int
rows_add(struct json_object *messages, struct json_object *row)
{
	struct json_object	*last, *content, *m;
	const char		*role = jget_str(row, "role");
	size_t			 n = jget_len(messages);
	int			 is_result, r;

	if (role == NULL)
		return (0);
	is_result = strcmp(role, "toolResult") == 0;
	if (is_result)
		role = "user";
	if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
		return (0);
	if (n == 0 && strcmp(role, "assistant") == 0)
		return (0);
	content = json_object_new_array();
	if (content == NULL)
		return (-ENOMEM);
	r = is_result ? result_push(content, row) :
	    content_push(content, jget(row, "content"));
	last = n == 0 ? NULL : json_object_array_get_idx(messages, n - 1);
	if (r < 0 || jget_len(content) == 0)
		goto out;
	if (last != NULL && strcmp(jget_str(last, "role"), role) == 0) {
		size_t i;

		for (i = 0; r == 0 && i < jget_len(content); i++)
			r = jpush(jget(last, "content"), json_object_get(
			    json_object_array_get_idx(content, i)));
		goto out;
	}
	m = json_object_new_object();
	r = m == NULL ? -ENOMEM : jadd_str(m, "role", role);
	if (r == 0)
		r = jadd(m, "content", json_object_get(content));
	if (r == 0)
		r = jpush(messages, m);
	else
		json_object_put(m);
out:
	json_object_put(content);
	return (r);
}

static int
tools_add(struct json_object *body, struct json_object *tools)
{
	struct json_object	*out, *o, *t, *v;
	const char		*s;
	size_t			 i;
	int			 r = 0;

	if (jget_len(tools) == 0)
		return (0);
	out = json_object_new_array();
	for (i = 0; out != NULL && r == 0 && i < jget_len(tools); i++) {
		t = json_object_array_get_idx(tools, i);
		o = json_object_new_object();
		s = jget_str(t, "name");
		r = o == NULL ? -ENOMEM :
		    jadd_str(o, "name", s != NULL ? s : "");
		s = jget_str(t, "description");
		if (r == 0 && s != NULL)
			r = jadd_str(o, "description", s);
		v = jget(t, "parameters");
		if (r == 0)
			r = jadd(o, "input_schema", v != NULL ?
			    json_object_get(v) :
			    jget_parse("{\"type\":\"object\"}", 17));
		if (r == 0)
			r = jpush(out, json_object_get(o));
		json_object_put(o);
	}
	if (r < 0) {
		json_object_put(out);
		return (r);
	}
	return (jadd(body, "tools", out));
}

/* Tokens to think with; 0: none. They are part of the answer's limit. */
static int64_t
thinking_budget(const char *level)
{
	static const struct {
		const char	*level;
		int64_t		 tokens;
	} table[] = {
		{ "off", 0 }, { "minimal", 1024 }, { "low", 2048 },
		{ "medium", 8192 },
	};
	size_t	 i;

	if (level == NULL || *level == '\0')
		return (0);
	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (strcmp(level, table[i].level) == 0)
			return (table[i].tokens);
	}
	return (16384);
}

static int
limits_add(struct json_object *body, const struct chela_model_request *rq)
{
	struct json_object	*o;
	int64_t			 max, budget = thinking_budget(rq->thinking);

	max = rq->max_tokens != 0 ? (int64_t)rq->max_tokens :
	    (int64_t)jget_count(rq->provider_conf, "maxTokens");
	if (max <= 0)
		max = BLOCKS_MAX_TOKENS;
	if (budget > 0) {
		max += budget;
		o = block_new("enabled");
		if (o == NULL || jadd(o, "budget_tokens",
		    json_object_new_int64(budget)) < 0) {
			json_object_put(o);
			return (-ENOMEM);
		}
		if (jadd(body, "thinking", o) < 0)
			return (-ENOMEM);
	}
	return (jadd(body, "max_tokens", json_object_new_int64(max)));
}

int
blocks_body(const struct chela_model_request *rq, struct json_object **ret_body)
{
	struct json_object	*body, *messages;
	size_t			 i;
	int			 r = 0;

	body = json_object_new_object();
	messages = json_object_new_array();
	if (body == NULL || messages == NULL)
		r = -ENOMEM;
	for (i = 0; r == 0 && i < jget_len(rq->messages); i++)
		r = rows_add(messages,
		    json_object_array_get_idx(rq->messages, i));
	if (r == 0)
		r = jadd_str(body, "model", rq->model);
	if (r == 0)
		r = limits_add(body, rq);
	if (r == 0 && rq->system != NULL && *rq->system != '\0')
		r = jadd_str(body, "system", rq->system);
	if (r == 0)
		r = jadd(body, "messages", json_object_get(messages));
	if (r == 0)
		r = jadd(body, "stream", json_object_new_boolean(1));
	if (r == 0)
		r = tools_add(body, rq->tools);
	json_object_put(messages);
	if (r < 0) {
		json_object_put(body);
		return (r);
	}
	*ret_body = body;
	return (0);
}
