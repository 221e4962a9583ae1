/* SPDX-License-Identifier: MIT */
/*
 * The handshake: from a connect request to hello or a refusal. The first check
 * that fails wins, in the order of wire.md section 4.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/log.h"
#include "core/json/json.h"
#include "core/json/schema.h"
#include "core/protocol/proto_priv.h"

#define CONNECT_MIN_PROBE	3	/* a probe of protocol 3 may look */
#define CONNECT_CAPS_MAX	4096	/* bytes of all capability names */
#define CONNECT_TEXT_MAX	256	/* bytes kept of each text about itself */

/* The raw id of the request that is being answered. */
struct connect {
	struct peer	*p;
	const char	*id;
	size_t		 id_len;
};

static void
connect_refuse(struct connect *c, uint16_t code, const char *err,
    const char *details, const char *message)
{
	(void)proto_refuse(c->p, c->id, c->id_len, err, details, "%s", message);
	if (c->p->conn != NULL)
		conn_close(c->p->conn, code, message);
}

static bool
connect_version_ok(const struct proto_connect *in)
{
	if (in->min <= PROTOCOL_VERSION && in->max >= PROTOCOL_VERSION)
		return (true);
	if (strcmp(in->client_mode, "probe") == 0)
		return (in->max >= CONNECT_MIN_PROBE &&
		    in->min <= PROTOCOL_VERSION);
	/* A node of the protocol before this one. */
	return (in->role == ROLE_NODE && strcmp(in->client_mode, "node") == 0 &&
	    in->min <= 3 && in->max >= 3);
}

static void
connect_wrong_version(struct connect *c, const struct proto_connect *in)
{
	struct buf	 d = BUF_INIT;

	(void)buf_printf(&d, "{\"code\":\"PROTOCOL_MISMATCH\","
	    "\"clientMinProtocol\":%lld,\"clientMaxProtocol\":%lld,"
	    "\"expectedProtocol\":%d,\"minimumProbeProtocol\":%d}",
	    (long long)in->min, (long long)in->max, PROTOCOL_VERSION,
	    CONNECT_MIN_PROBE);
	(void)buf_putc(&d, '\0');
	connect_refuse(c, 1002, "INVALID_REQUEST", d.data, "protocol mismatch");
	buf_fini(&d);
}

static void
connect_bad_origin(struct connect *c, const char *reason)
{
	struct buf	 d = BUF_INIT, m = BUF_INIT;

	(void)buf_printf(&d, "{\"code\":\"CONTROL_UI_ORIGIN_NOT_ALLOWED\","
	    "\"reason\":\"%s\"}", reason);
	(void)buf_putc(&d, '\0');
	(void)buf_puts(&m, "origin not allowed");
	if (strcmp(reason, "origin not allowed") != 0)
		(void)buf_printf(&m, " (%s)", reason);
	(void)buf_puts(&m, "; see gateway.controlUi.allowedOrigins");
	(void)buf_putc(&m, '\0');
	connect_refuse(c, 1008, "INVALID_REQUEST", d.data,
	    m.data != NULL ? m.data : "origin not allowed");
	buf_fini(&d);
	buf_fini(&m);
}

static void
connect_no_entry(struct connect *c, const struct auth_refusal *no)
{
	struct buf	 d = BUF_INIT;

	log_info("connect", "client refused (%s) remote=%s", no->reason,
	    conn_remote(c->p->conn));
	(void)buf_printf(&d, "{\"code\":\"%s\",\"authReason\":\"%s\","
	    "\"canRetryWithDeviceToken\":false,"
	    "\"recommendedNextStep\":\"%s\"}", no->detail, no->reason,
	    no->next_step);
	(void)buf_putc(&d, '\0');
	connect_refuse(c, 1008, no->code, d.data, no->message);
	buf_fini(&d);
}

/* Where in the frame a text about the client lies, and where it goes. */
static const char *
info_add(char **pos, const char *s)
{
	char	*at = *pos;
	size_t	 len = s == NULL ? 0 : strnlen(s, CONNECT_TEXT_MAX);

	/* Cut between two characters. */
	while (s != NULL && len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
		len--;
	if (len > 0)
		memcpy(at, s, len);
	at[len] = '\0';
	*pos = at + len + 1;
	return (at);
}

static struct peer_info *
info_new(const struct peer *p, const struct proto_connect *in)
{
	const char *const	 texts[] = {
		in->client_id, in->client_mode, in->display_name,
		in->instance_id, in->version, in->platform, in->device_family,
		in->model, in->time_zone,
		p->is_direct_local ? "" : conn_remote(p->conn),
	};
	struct peer_info	*info;
	struct json_object	*s;
	size_t			 i, n, size = 2, caps = 0;
	char			*pos;

	for (i = 0; i < ARRAY_LEN(texts); i++)
		size += 1 + (texts[i] == NULL ? 0 :
		    strnlen(texts[i], CONNECT_TEXT_MAX));
	n = in->caps == NULL ? 0 : json_object_array_length(in->caps);
	for (i = 0; i < n; i++)
		caps += 1 + (size_t)json_object_get_string_len(
		    json_object_array_get_idx(in->caps, i));
	if (caps > CONNECT_CAPS_MAX)
		n = caps = 0;
	info = calloc(1, sizeof *info + size + caps + 2);
	if (info == NULL)
		return (NULL);
	pos = info->text;
	info->client_id = info_add(&pos, texts[0]);
	info->client_mode = info_add(&pos, texts[1]);
	info->display_name = info_add(&pos, texts[2]);
	info->instance_id = info_add(&pos, texts[3]);
	info->version = info_add(&pos, texts[4]);
	info->platform = info_add(&pos, texts[5]);
	info->device_family = info_add(&pos, texts[6]);
	info->model = info_add(&pos, texts[7]);
	info->time_zone = info_add(&pos, texts[8]);
	info->remote = info_add(&pos, texts[9]);
	info->device_id = info_add(&pos, NULL);
	info->caps = pos;
	*pos++ = '\n';
	for (i = 0; i < n; i++) {
		s = json_object_array_get_idx(in->caps, i);
		memcpy(pos, json_object_get_string(s),
		    (size_t)json_object_get_string_len(s));
		pos += json_object_get_string_len(s);
		*pos++ = '\n';
	}
	*pos = '\0';
	return (info);
}

static int
connect_hello(struct connect *c, const char *body, size_t body_len)
{
	struct peer	*p = c->p;
	struct buf	 server = BUF_INIT, auth = BUF_INIT, hello = BUF_INIT;
	int		 r;

	(void)buf_puts(&server, "{\"version\":");
	(void)buf_json_strz(&server, p->proto->version);
	(void)buf_printf(&server, ",\"connId\":\"%s\",\"bootId\":\"%s\"}", p->id,
	    p->proto->boot_id);
	(void)buf_printf(&auth, "{\"role\":\"%s\",\"scopes\":",
	    role_name(p->role));
	(void)scope_json(&auth, p->scopes, p->dialect->has_scope_prefix);
	(void)buf_putc(&auth, '}');
	p->dialect->hello(&hello, server.data, server.len, body, body_len,
	    auth.data, auth.len);
	r = server.is_failed || auth.is_failed || hello.is_failed ? -ENOMEM :
	    proto_result(p, c->id, c->id_len, hello.data, hello.len);
	buf_fini(&server);
	buf_fini(&auth);
	buf_fini(&hello);
	return (r);
}

/* Everything is decided: the peer is in. */
static void
connect_enter(struct connect *c, const struct proto_connect *in,
    const struct auth_grant *grant)
{
	struct peer	*p = c->p;
	struct proto	*proto = p->proto;
	char		*body;
	size_t		 len;
	int		 r;

	p->info = info_new(p, in);
	if (p->info == NULL) {
		connect_refuse(c, 1013, "UNAVAILABLE", NULL, "out of memory");
		return;
	}
	p->role = in->role;
	p->scopes = grant->scopes;
	p->closure = scope_closure(grant->scopes);
	p->has_scoped_events = peer_has_cap(p, "session-scoped-events");
	r = proto->hooks.hello(proto->hooks.arg, p, &body, &len);
	if (r < 0) {
		connect_refuse(c, 1013, "UNAVAILABLE", NULL,
		    "no plugin 'connect' is loaded; the gateway serves nobody");
		return;
	}
	/* The larger limits hold from here, just before hello is written. */
	conn_authenticated(p->conn);
	r = connect_hello(c, body, len);
	free(body);
	if (r < 0)
		return;
	free(p->origin);
	free(p->host);
	p->origin = p->host = NULL;
	p->state = PEER_OPEN;
	list_append(&proto->peers, &p->link);
	proto->n_peers++;
	proto->hooks.on_open(proto->hooks.arg, p);
}

static void
connect_decide(struct connect *c, struct json_object *params)
{
	struct peer		*p = c->p;
	struct proto_settings	*set = &p->proto->settings;
	struct proto_connect	 in;
	struct auth_claim	 claim;
	struct auth_grant	 grant;
	struct auth_refusal	 no;
	const char		*problem;
	bool			 is_page;

	p->dialect->read_connect(params, &in);
	if (in.is_worker) {
		conn_close(p->conn, 1008, "invalid-handshake");
		return;
	}
	if (!connect_version_ok(&in)) {
		connect_wrong_version(c, &in);
		return;
	}
	if (in.role == 0) {
		connect_refuse(c, 1008, "INVALID_REQUEST", NULL, "invalid role");
		return;
	}
	is_page = p->origin != NULL ||
	    strcmp(in.client_id, "openclaw-control-ui") == 0 ||
	    strcmp(in.client_id, "openclaw-browser-copilot") == 0 ||
	    strcmp(in.client_id, "webchat-ui") == 0 ||
	    strcmp(in.client_mode, "webchat") == 0;
	problem = !is_page ? NULL : origin_problem(&set->origins, p->origin,
	    p->host, p->is_direct_local);
	if (problem != NULL) {
		connect_bad_origin(c, problem);
		return;
	}
	claim = (struct auth_claim){
		.role = in.role,
		.scopes = in.scopes,
		.client_id = in.client_id,
		.client_mode = in.client_mode,
		.token = in.token,
		.password = in.password,
		.device_token = in.device_token,
		.has_device = in.has_device,
		.is_native = p->dialect == &dialect_native,
		.is_direct_local = p->is_direct_local,
		.has_origin = p->origin != NULL,
	};
	if (auth_decide(&set->auth, &claim, &grant, &no) < 0)
		connect_no_entry(c, &no);
	else
		connect_enter(c, &in, &grant);
}

void
connect_handle(struct peer *p, const char *id, size_t id_len,
    const char *params, size_t params_len, char params_kind)
{
	struct connect		 c = { p, id, id_len };
	const struct schema	*schema = p->dialect == &dialect_native ?
	    p->proto->connect_native : p->proto->connect_openclaw;
	struct schema_report	 rep = { .len = 0 };
	struct json_object	*obj = NULL;
	struct buf		 m = BUF_INIT;
	int			 r;

	if (params_kind == 0)
		obj = json_object_new_object();
	else if (json_parse(params, params_len, &obj) < 0) {
		conn_close(p->conn, 1011, "out of memory");
		return;
	}
	r = schema_check(schema, obj, &rep);
	if (r < 0) {
		(void)buf_printf(&m, "invalid connect params: %s", rep.text);
		(void)buf_putc(&m, '\0');
		connect_refuse(&c, 1008, "INVALID_REQUEST", NULL,
		    m.data != NULL ? m.data : "invalid connect params");
		buf_fini(&m);
	} else
		connect_decide(&c, obj);
	json_object_put(obj);
}
