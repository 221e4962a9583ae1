/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "../model-common/call.h"

static int
is_type(struct json_object *part, const char *type)
{
	const char	*s = jget_str(part, "type");

	return (s != NULL && strcmp(s, type) == 0);
}

static int
has_images(struct json_object *content)
{
	size_t	 i;

	for (i = 0; i < jget_len(content); i++) {
		if (is_type(json_object_array_get_idx(content, i), "image"))
			return (1);
	}
	return (0);
}

static struct json_object *
part_text(const char *text)
{
	struct json_object	*o = json_object_new_object();

	if (o == NULL || jadd_str(o, "type", "text") < 0 ||
	    jadd_str(o, "text", text) < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

static struct json_object *
part_image(struct json_object *image)
{
	struct json_object	*o = NULL, *u = NULL;
	const char		*data = jget_str(image, "data");
	const char		*type = jget_str(image, "mimeType");
	char			*url = NULL;

	if (asprintf(&url, "data:%s;base64,%s", type != NULL ? type :
	    "image/png", data != NULL ? data : "") < 0)
		return (NULL);
	o = json_object_new_object();
	u = json_object_new_object();
	if (o == NULL || u == NULL || jadd_str(u, "url", url) < 0 ||
	    jadd_str(o, "type", "image_url") < 0)
		goto fail;
	free(url);
	url = NULL;
	if (jadd(o, "image_url", u) < 0) {
		u = NULL;
		goto fail;
	}
	return (o);
fail:
	free(url);
	json_object_put(o);
	json_object_put(u);
	return (NULL);
}

/* Text where there is but text: not every server knows parts. */
static struct json_object *
user_content(struct json_object *content)
{
	struct json_object	*out, *part;
	const char		*text;
	size_t			 i;
	int			 r = 0;

	if (!has_images(content))
		return (row_text(content));
	out = json_object_new_array();
	for (i = 0; out != NULL && r == 0 && i < jget_len(content); i++) {
		part = json_object_array_get_idx(content, i);
		text = jget_str(part, "text");
		if (is_type(part, "text") && text != NULL)
			r = jpush(out, part_text(text));
		else if (is_type(part, "image"))
			r = jpush(out, part_image(part));
	}
	if (r < 0) {
		json_object_put(out);
		return (NULL);
	}
	return (out);
}

static int
tool_call_add(struct json_object *calls, struct json_object *part)
{
	struct json_object	*o, *fn, *args = jget(part, "arguments");
	const char		*id = jget_str(part, "id");
	const char		*name = jget_str(part, "name");
	const char		*text = "{}";

	if (args != NULL)
		text = json_object_is_type(args, json_type_string) ?
		    json_object_get_string(args) :
		    json_object_to_json_string_ext(args,
		    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	o = json_object_new_object();
	fn = json_object_new_object();
	if (o == NULL || fn == NULL || text == NULL ||
	    jadd_str(fn, "name", name != NULL ? name : "") < 0 ||
	    jadd_str(fn, "arguments", text) < 0 ||
	    jadd_str(o, "id", id != NULL ? id : "") < 0 ||
	    jadd_str(o, "type", "function") < 0) {
		json_object_put(o);
		json_object_put(fn);
		return (-ENOMEM);
	}
	if (jadd(o, "function", fn) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (jpush(calls, o));
}

/* An assistant's row; thinking stays at home. 0 with *ret NULL: nothing in it. */
static int
assistant_row(struct json_object *content, struct json_object **ret)
{
	struct json_object	*o, *text, *calls;
	size_t			 i;
	int			 r = 0;

	o = json_object_new_object();
	calls = json_object_new_array();
	text = row_text(content);
	if (o == NULL || calls == NULL || text == NULL)
		r = -ENOMEM;
	for (i = 0; r == 0 && i < jget_len(content); i++) {
		if (is_type(json_object_array_get_idx(content, i), "toolCall"))
			r = tool_call_add(calls,
			    json_object_array_get_idx(content, i));
	}
	*ret = NULL;
	if (r < 0 || (json_object_get_string_len(text) == 0 &&
	    jget_len(calls) == 0))
		goto out;
	r = jadd_str(o, "role", "assistant");
	if (r == 0) {
		if (json_object_get_string_len(text) > 0)
			r = jadd(o, "content", json_object_get(text));
		else
			(void)json_object_object_add(o, "content", NULL);
	}
	if (r == 0 && jget_len(calls) > 0)
		r = jadd(o, "tool_calls", json_object_get(calls));
	if (r == 0) {
		*ret = o;
		o = NULL;
	}
out:
	json_object_put(o);
	json_object_put(calls);
	json_object_put(text);
	return (r);
}

static struct json_object *
plain_row(const char *role, struct json_object *content)	/* takes */
{
	struct json_object	*o = json_object_new_object();

	if (o == NULL || jadd_str(o, "role", role) < 0) {
		json_object_put(o);
		json_object_put(content);
		return (NULL);
	}
	if (jadd(o, "content", content) < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

static int
rows_add(struct json_object *out, struct json_object *row)
{
	struct json_object	*content = jget(row, "content"), *o;
	const char		*role = jget_str(row, "role");
	const char		*id;
	int			 r;

	if (role == NULL)
		return (0);
	if (strcmp(role, "assistant") == 0) {
		r = assistant_row(content, &o);
		return (r < 0 || o == NULL ? r : jpush(out, o));
	}
	if (strcmp(role, "toolResult") == 0) {
		id = jget_str(row, "toolCallId");
		o = plain_row("tool", row_text(content));
		if (o != NULL && jadd_str(o, "tool_call_id",
		    id != NULL ? id : "") < 0) {
			json_object_put(o);
			o = NULL;
		}
		return (jpush(out, o));
	}
	if (strcmp(role, "user") == 0 || strcmp(role, "system") == 0)
		return (jpush(out, plain_row(role, user_content(content))));
	return (0);		/* notes of the transcript */
}

static int
tools_add(struct json_object *body, struct json_object *tools)
{
	struct json_object	*out, *o, *fn, *t, *v;
	const char		*s;
	size_t			 i;
	int			 r = 0;

	if (jget_len(tools) == 0)
		return (0);
	out = json_object_new_array();
	for (i = 0; out != NULL && r == 0 && i < jget_len(tools); i++) {
		t = json_object_array_get_idx(tools, i);
		o = json_object_new_object();
		fn = json_object_new_object();
		s = jget_str(t, "name");
		r = o == NULL || fn == NULL ? -ENOMEM :
		    jadd_str(fn, "name", s != NULL ? s : "");
		s = jget_str(t, "description");
		if (r == 0 && s != NULL)
			r = jadd_str(fn, "description", s);
		v = jget(t, "parameters");
		if (r == 0 && v != NULL)
			r = jadd(fn, "parameters", json_object_get(v));
		if (r == 0)
			r = jadd_str(o, "type", "function");
		if (r == 0)
			r = jadd(o, "function", json_object_get(fn));
		if (r == 0)
			r = jpush(out, json_object_get(o));
		json_object_put(fn);
		json_object_put(o);
	}
	if (r < 0) {
		json_object_put(out);
		return (r);
	}
	return (jadd(body, "tools", out));
}

static int
thinking_add(struct json_object *body, const char *level)
{
	static const char *const known[] = { "minimal", "low", "medium",
	    "high" };
	size_t	 i;

	if (level == NULL || strcmp(level, "off") == 0 || *level == '\0')
		return (0);
	for (i = 0; i < sizeof known / sizeof known[0]; i++) {
		if (strcmp(level, known[i]) == 0)
			return (jadd_str(body, "reasoning_effort", level));
	}
	/* More than the API has a word for. */
	return (jadd_str(body, "reasoning_effort", "high"));
}

int
rows_body(const struct chela_model_request *rq, const char *max_name,
    struct json_object **ret_body)
{
	struct json_object	*body, *rows, *o;
	size_t			 i;
	int			 r = 0;

	body = json_object_new_object();
	rows = json_object_new_array();
	if (body == NULL || rows == NULL)
		r = -ENOMEM;
	if (r == 0 && rq->system != NULL && *rq->system != '\0')
		r = jpush(rows, plain_row("system",
		    json_object_new_string(rq->system)));
	for (i = 0; r == 0 && i < jget_len(rq->messages); i++)
		r = rows_add(rows, json_object_array_get_idx(rq->messages, i));
	if (r == 0)
		r = jadd_str(body, "model", rq->model);
	if (r == 0)
		r = jadd(body, "messages", json_object_get(rows));
	if (r == 0)
		r = jadd(body, "stream", json_object_new_boolean(1));
	if (r == 0) {
		o = json_object_new_object();
		r = o == NULL ? -ENOMEM : jadd(o, "include_usage",
		    json_object_new_boolean(1));
		if (r == 0)
			r = jadd(body, "stream_options", o);
		else
			json_object_put(o);
	}
	if (r == 0 && rq->max_tokens != 0)
		r = jadd(body, max_name,
		    json_object_new_int64((int64_t)rq->max_tokens));
	if (r == 0)
		r = tools_add(body, rq->tools);
	if (r == 0)
		r = thinking_add(body, rq->thinking);
	json_object_put(rows);
	if (r < 0) {
		json_object_put(body);
		return (r);
	}
	*ret_body = body;
	return (0);
}
