/* SPDX-License-Identifier: MIT */
/* The frames of OpenClaw's clients, protocol 4 (and 3 where it is allowed). */
#include "core/protocol/dialect.h"

#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/json/json.h"

static const char *
openclaw_frame_problem(const struct scan_frame *f)
{
	const char	*problem;

	if (f->root != '{')
		return ("must be object");
	if (f->type.kind == 0)
		return ("must have required property 'type'");
	if (!scan_span_is(&f->type, "req"))
		return ("at /type: must be equal to constant");
	problem = dialect_call_problem(f);
	if (problem != NULL)
		return (problem);
	if (f->traceparent.kind != 0 && f->traceparent.kind != '"')
		return ("at /traceparent: must be string");
	if (f->traceparent.len > 128 + 2)
		return ("at /traceparent: must not have more than 128 "
		    "characters");
	if (f->profile.kind != 0 && f->profile.kind != '"')
		return ("at /expectedProfileId: must be string");
	if (f->unknown.kind != 0)
		return ("at root: unexpected property");
	return (NULL);
}

/* Looks before the schema does: nothing else is said to a worker. */
static bool
openclaw_is_worker(struct json_object *params)
{
	struct json_object	*client = NULL;
	const char		*id, *mode, *role;

	if (!json_object_is_type(params, json_type_object))
		return (false);
	(void)json_object_object_get_ex(params, "client", &client);
	role = json_get_str(params, "role");
	id = json_get_str(client, "id");
	mode = json_get_str(client, "mode");
	return ((role != NULL && strcmp(role, "worker") == 0) ||
	    (id != NULL && strcmp(id, "openclaw-worker") == 0) ||
	    (mode != NULL && strcmp(mode, "worker") == 0));
}

static void
openclaw_read_connect(struct json_object *params, struct proto_connect *ret)
{
	struct json_object	*client, *auth;
	const char		*role;

	memset(ret, 0, sizeof *ret);
	client = json_object_object_get(params, "client");
	auth = json_object_object_get(params, "auth");
	ret->min = json_get_int(params, "minProtocol", 0);
	ret->max = json_get_int(params, "maxProtocol", 0);
	role = json_get_str(params, "role");
	if (role == NULL || strcmp(role, "operator") == 0)
		ret->role = ROLE_OPERATOR;
	else if (strcmp(role, "node") == 0)
		ret->role = ROLE_NODE;
	ret->client_id = json_get_str(client, "id");
	ret->client_mode = json_get_str(client, "mode");
	ret->display_name = json_get_str(client, "displayName");
	ret->instance_id = json_get_str(client, "instanceId");
	ret->version = json_get_str(client, "version");
	ret->platform = json_get_str(client, "platform");
	ret->device_family = json_get_str(client, "deviceFamily");
	ret->model = json_get_str(client, "modelIdentifier");
	ret->time_zone = json_get_str(client, "timeZone");
	ret->caps = json_object_object_get(params, "caps");
	dialect_read_common(params, auth, ret);
	ret->has_runtime_token = dialect_credential(auth,
	    "agentRuntimeIdentityToken") != NULL;
}

static void
openclaw_result(struct buf *out, const char *id, size_t id_len,
    const char *payload, size_t len)
{
	static const char a[] = "{\"type\":\"res\",\"id\":";
	static const char b[] = ",\"ok\":true,\"payload\":";

	(void)buf_add(out, a, sizeof a - 1);
	(void)buf_add(out, id, id_len);
	(void)buf_add(out, b, sizeof b - 1);
	(void)buf_add(out, payload, len);
	(void)buf_putc(out, '}');
}

static void
openclaw_failure(struct buf *out, const char *id, size_t id_len,
    const struct proto_error *e)
{
	(void)buf_puts(out, "{\"type\":\"res\",\"id\":");
	(void)buf_add(out, id, id_len);
	(void)buf_puts(out, ",\"ok\":false,\"error\":{\"code\":");
	(void)buf_json_strz(out, e->code);
	(void)buf_puts(out, ",\"message\":");
	(void)buf_json_str(out, e->message, e->message_len);
	dialect_error_tail(out, e);
}

static void
openclaw_event_head(struct buf *out, const char *event)
{
	(void)buf_puts(out, "{\"type\":\"event\",\"event\":");
	(void)buf_json_strz(out, event);
	(void)buf_puts(out, ",\"payload\":");
}

static void
openclaw_event_tail(struct buf *out, bool has_payload, uint64_t seq,
    const uint64_t *versions)
{
	if (!has_payload)
		(void)buf_puts(out, "null");
	if (seq != 0) {
		(void)buf_puts(out, ",\"seq\":");
		(void)buf_u64(out, seq);
	}
	if (versions != NULL) {
		(void)buf_puts(out, ",\"stateVersion\":{\"presence\":");
		(void)buf_u64(out, versions[0]);
		(void)buf_puts(out, ",\"health\":");
		(void)buf_u64(out, versions[1]);
		(void)buf_putc(out, '}');
	}
	(void)buf_putc(out, '}');
}

static void
openclaw_hello(struct buf *out, const char *server, size_t server_len,
    const char *body, size_t body_len, const char *auth, size_t auth_len)
{
	(void)buf_printf(out, "{\"type\":\"hello-ok\",\"protocol\":%d,"
	    "\"server\":", PROTOCOL_VERSION);
	(void)buf_add(out, server, server_len);
	(void)buf_putc(out, ',');
	(void)buf_add(out, body, body_len);
	(void)buf_puts(out, ",\"auth\":");
	(void)buf_add(out, auth, auth_len);
	(void)buf_putc(out, '}');
}

const struct dialect dialect_openclaw = {
	.name = "openclaw",
	.subprotocol = "openclaw",
	.connect_schema = "connect.openclaw",
	.has_scope_prefix = true,
	.frame_problem = openclaw_frame_problem,
	.is_worker = openclaw_is_worker,
	.read_connect = openclaw_read_connect,
	.result = openclaw_result,
	.failure = openclaw_failure,
	.event_head = openclaw_event_head,
	.event_tail = openclaw_event_tail,
	.hello = openclaw_hello,
};
