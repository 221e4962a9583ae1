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
	const char	*problem;

	if (f->root != '{')
		return ("must be object");
	problem = dialect_call_problem(f);
	if (problem != NULL)
		return (problem);
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
	struct json_object	*cred;
	const char		*mode;

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
	ret->caps = json_object_object_get(params, "capabilities");
	dialect_read_common(params, cred, ret);
	ret->device_family = json_get_str(params, "deviceFamily");
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
	dialect_error_tail(out, e);
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
