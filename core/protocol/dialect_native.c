/* SPDX-License-Identifier: MIT */
/* chela's own frames, subprotocol chela.v1. */
#include "core/protocol/dialect.h"

#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/json/json.h"

static const char *
native_frame_problem(const struct scan_frame *f)
{
	if (f->root != '{')
		return ("must be object");
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
	if (f->type.kind != 0)
		return ("at root: unexpected property 'type'");
	if (f->unknown.kind != 0 || f->traceparent.kind != 0 ||
	    f->profile.kind != 0)
		return ("at root: unexpected property");
	return (NULL);
}

static void
native_read_connect(struct json_object *params, struct proto_connect *ret)
{
	struct json_object	*cred, *list, *s;
	const char		*mode;
	size_t			 i;

	memset(ret, 0, sizeof *ret);
	cred = json_object_object_get(params, "credentials");
	ret->min = json_get_int(params, "minProtocol", PROTOCOL_VERSION);
	ret->max = json_get_int(params, "maxProtocol", PROTOCOL_VERSION);
	mode = json_get_str(params, "mode");
	ret->role = strcmp(mode, "node") == 0 ? ROLE_NODE : ROLE_OPERATOR;
	ret->client_id = "chela";
	ret->client_mode = mode;
	ret->instance_id = json_get_str(params, "instance");
	ret->display_name = json_get_str(params, "displayName");
	ret->version = json_get_str(params, "version");
	ret->platform = json_get_str(params, "platform");
	if (cred != NULL) {
		ret->token = json_get_str(cred, "token");
		ret->password = json_get_str(cred, "password");
		ret->device_token = json_get_str(cred, "deviceToken");
		ret->bootstrap_token = json_get_str(cred, "bootstrapToken");
	}
	ret->caps = json_object_object_get(params, "capabilities");
	ret->device = json_object_object_get(params, "device");
	ret->commands = json_object_object_get(params, "commands");
	ret->permissions = json_object_object_get(params, "permissions");
	ret->path_env = json_get_str(params, "pathEnv");
	ret->device_family = json_get_str(params, "deviceFamily");
	list = json_object_object_get(params, "scopes");
	ret->scope_list = list;
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		ret->scopes |= scope_parse(json_object_get_string(s),
		    (size_t)json_object_get_string_len(s));
	}
}

static void
native_result(struct buf *out, const char *id, size_t id_len,
    const char *payload, size_t len)
{
	(void)buf_puts(out, "{\"id\":");
	(void)buf_add(out, id, id_len);
	(void)buf_puts(out, ",\"ok\":true,\"result\":");
	(void)buf_add(out, payload, len);
	(void)buf_putc(out, '}');
}

static void
native_failure(struct buf *out, const char *id, size_t id_len,
    const struct proto_error *e)
{
	(void)buf_puts(out, "{\"id\":");
	(void)buf_add(out, id, id_len);
	(void)buf_puts(out, ",\"ok\":false,\"error\":");
	(void)buf_json_str(out, e->message, e->message_len);
	(void)buf_puts(out, ",\"meta\":{\"code\":");
	(void)buf_json_strz(out, e->code);
	if (e->details != NULL) {
		(void)buf_puts(out, ",\"details\":");
		(void)buf_puts(out, e->details);
	}
	(void)buf_puts(out, e->is_retryable ? ",\"retryable\":true" :
	    ",\"retryable\":false");
	if (e->has_retry_after)
		(void)buf_printf(out, ",\"retryAfterMs\":%llu",
		    (unsigned long long)e->retry_after_ms);
	(void)buf_puts(out, "}}");
}

static void
native_event_head(struct buf *out, const char *event)
{
	(void)buf_puts(out, "{\"event\":");
	(void)buf_json_strz(out, event);
	(void)buf_puts(out, ",\"data\":");
}

static void
native_event_tail(struct buf *out, bool has_payload, uint64_t seq,
    const uint64_t *versions)
{
	if (!has_payload)
		(void)buf_puts(out, "null");
	if (seq != 0) {
		(void)buf_puts(out, ",\"meta\":{\"seq\":");
		(void)buf_u64(out, seq);
		if (versions != NULL)
			(void)buf_printf(out, ",\"stateVersion\":{\"presence\""
			    ":%llu,\"health\":%llu}",
			    (unsigned long long)versions[0],
			    (unsigned long long)versions[1]);
		(void)buf_putc(out, '}');
	}
	(void)buf_putc(out, '}');
}

static void
native_hello(struct buf *out, const char *server, size_t server_len,
    const char *body, size_t body_len, const char *auth, size_t auth_len)
{
	(void)buf_printf(out, "{\"protocol\":%d,\"server\":", PROTOCOL_VERSION);
	(void)buf_add(out, server, server_len);
	(void)buf_putc(out, ',');
	(void)buf_add(out, body, body_len);
	(void)buf_puts(out, ",\"auth\":");
	(void)buf_add(out, auth, auth_len);
	(void)buf_putc(out, '}');
}

const struct dialect dialect_native = {
	.name = "native",
	.subprotocol = "chela.v1",
	.connect_schema = "connect.native",
	.has_scope_prefix = false,
	.frame_problem = native_frame_problem,
	.read_connect = native_read_connect,
	.result = native_result,
	.failure = native_failure,
	.event_head = native_event_head,
	.event_tail = native_event_tail,
	.hello = native_hello,
};

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
