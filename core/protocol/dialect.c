/* SPDX-License-Identifier: MIT */
/* What the dialects have in common, and which there are. */
#include "core/protocol/dialect.h"

#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/json/json.h"

const char *
dialect_call_problem(const struct scan_frame *f)
{
	if (f->id.kind == 0)
		return ("must have required property 'id'");
	if (f->id.kind != '"')
		return ("at /id: must be string");
	if (f->id.len == 2)
		return ("at /id: must not have fewer than 1 characters");
	if (f->method.kind == 0)
		return ("must have required property 'method'");
	if (f->method.kind != '"')
		return ("at /method: must be string");
	if (f->method.len == 2)
		return ("at /method: must not have fewer than 1 characters");
	return (NULL);
}

static uint32_t
dialect_scopes(struct json_object *list)
{
	struct json_object	*s;
	uint32_t		 bits = 0;
	size_t			 i;

	if (list == NULL)
		return (0);
	for (i = 0; i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		bits |= scope_parse(json_object_get_string(s),
		    (size_t)json_object_get_string_len(s));
	}
	return (bits);
}

/* One that is sent empty counts as one that is not sent. */
const char *
dialect_credential(const struct json_object *auth, const char *name)
{
	const char	*s = json_get_str(auth, name);

	return (s != NULL && *s != '\0' ? s : NULL);
}

void
dialect_read_common(struct json_object *params, struct json_object *auth,
    struct proto_connect *ret)
{
	if (auth != NULL) {
		ret->token = dialect_credential(auth, "token");
		ret->password = dialect_credential(auth, "password");
		ret->device_token = dialect_credential(auth, "deviceToken");
		ret->bootstrap_token = dialect_credential(auth,
		    "bootstrapToken");
	}
	ret->device = json_object_object_get(params, "device");
	ret->commands = json_object_object_get(params, "commands");
	ret->permissions = json_object_object_get(params, "permissions");
	ret->path_env = json_get_str(params, "pathEnv");
	ret->scope_list = json_object_object_get(params, "scopes");
	ret->scopes = dialect_scopes(ret->scope_list);
}

void
dialect_error_tail(struct buf *out, const struct proto_error *e)
{
	if (e->details != NULL) {
		(void)buf_puts(out, ",\"details\":");
		(void)buf_puts(out, e->details);
	}
	if (e->is_retryable)
		(void)buf_puts(out, ",\"retryable\":true");
	if (e->has_retry_after)
		(void)buf_printf(out, ",\"retryAfterMs\":%llu",
		    (unsigned long long)e->retry_after_ms);
	(void)buf_puts(out, "}}");
}

const struct dialect *
dialect_find(const char *name, size_t len)
{
	static const struct dialect *const all[] = {
		&dialect_native, &dialect_openclaw,
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		if (strlen(all[i]->subprotocol) == len &&
		    memcmp(all[i]->subprotocol, name, len) == 0)
			return (all[i]);
	}
	return (NULL);
}
