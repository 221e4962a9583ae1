/* SPDX-License-Identifier: MIT */
/* Small helpers of plugin chat. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chat_priv.h"

struct json_object *
get_any(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	if (!json_object_is_type(o, json_type_object))
		return (NULL);
	(void)json_object_object_get_ex(o, name, &v);
	return (v);
}

const char *
get_str(struct json_object *o, const char *name)
{
	struct json_object *v = get_any(o, name);

	if (!json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

int64_t
get_int(struct json_object *o, const char *name, int64_t none)
{
	struct json_object *v = get_any(o, name);

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (none);
	return (json_object_get_int64(v));
}

bool
get_bool(struct json_object *o, const char *name, bool none)
{
	struct json_object *v = get_any(o, name);

	if (!json_object_is_type(v, json_type_boolean))
		return (none);
	return (json_object_get_boolean(v) != 0);
}

void
set_str(struct json_object *o, const char *name, const char *value)
{
	if (value != NULL)
		json_object_object_add(o, name, json_object_new_string(value));
}

void
set_int(struct json_object *o, const char *name, int64_t value)
{
	json_object_object_add(o, name, json_object_new_int64(value));
}

void
set_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

int
outcome_fail(struct outcome *out, const char *code, const char *fmt, ...)
{
	va_list ap;

	out->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(out->message, sizeof out->message, fmt, ap);
	va_end(ap);
	return (-EINVAL);
}

bool
call_key(struct json_object *params, char *ret_key, struct outcome *ret)
{
	const char	*agent_name = get_str(params, "agentId");
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	int		 r;

	if (agent_name != NULL && chat.sessions->agent_id(agent_name, id) < 0) {
		(void)outcome_fail(ret, ERR_BAD, "unknown agent id \"%s\"",
		    agent_name);
		return (false);
	}
	r = chat.sessions->canonical(get_str(params, "sessionKey"), agent_name,
	    ret_key);
	if (r == -EXDEV)
		(void)outcome_fail(ret, ERR_BAD,
		    "agent \"%s\" does not match the session key", agent_name);
	else if (r < 0)
		(void)outcome_fail(ret, ERR_BAD, "invalid session key");
	return (r >= 0);
}

int
answer(struct chela_req *req, struct outcome *out)
{
	if (out->code != NULL)
		return (chat.host->req_fail(req, out->code, "%s",
		    out->message));
	return (chat.host->req_reply(req, out->result));
}
