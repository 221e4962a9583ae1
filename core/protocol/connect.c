/* SPDX-License-Identifier: MIT */
/*
 * The handshake: from a connect request to hello or a refusal. The first check
 * that fails wins, in the order of wire.md section 4.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/entry.h"
#include "core/access/scope.h"
#include "core/access/secret.h"
#include "core/base/log.h"
#include "core/json/json.h"
#include "core/json/schema.h"
#include "core/protocol/proto_priv.h"

#define CONNECT_MIN_PROBE	3	/* a probe of protocol 3 may look */
#define CONNECT_CAPS_MAX	4096	/* bytes of all capability names */
#define CONNECT_TEXT_MAX	256	/* bytes kept of each text about itself */

/* A frame that came while connect waited. */
struct queued {
	struct list	 link;
	size_t		 len;
	char		 data[];
};

/* A connect on its way; in peer.connect while it waits. */
struct connect {
	struct peer		*p;		/* counted */
	struct json_object	*params;
	struct proto_connect	 in;
	struct entry		 entry;
	struct buf		 scopes;	/* as sent, joined */
	struct list		 queue;
	size_t			 n_queued;
	size_t			 queued_len;	/* their bytes */
	bool			 is_decided;	/* while entry_start() runs */
	size_t			 id_len;
	char			 id[];		/* raw JSON */
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
connect_no_entry(struct connect *c)
{
	struct entry		*e = &c->entry;
	struct proto_error	 err = {
		.code = e->no.code,
		.message = e->no.message,
		.message_len = strlen(e->no.message),
		.is_retryable = e->is_retryable,
		.has_retry_after = e->retry_after_ms > 0,
		.retry_after_ms = e->retry_after_ms,
	};

	log_info("connect", "client refused (%s) remote=%s", e->no.reason,
	    peer_remote(c->p));
	if (c->p->proto->hooks.on_refused != NULL)
		c->p->proto->hooks.on_refused(c->p->proto->hooks.arg, c->p,
		    e->no.reason);
	(void)buf_putc(&e->details, '\0');
	if (!e->details.is_failed && e->details.len > 1)
		err.details = e->details.data;
	(void)proto_failure(c->p, c->id, c->id_len, &err);
	(void)buf_putc(&e->message, '\0');
	if (c->p->conn != NULL)
		conn_close(c->p->conn, 1008, !e->message.is_failed &&
		    e->message.len > 1 ? e->message.data : e->no.message);
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
info_new(const struct peer *p, const struct proto_connect *in,
    const char *device_id)
{
	const char *const	 texts[] = {
		in->client_id, in->client_mode, in->display_name,
		in->instance_id, in->version, in->platform, in->device_family,
		in->model, in->time_zone,
		p->is_direct_local ? "" : peer_remote(p), device_id,
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
	info->device_id = info_add(&pos, texts[10]);
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

static void
connect_token(const struct connect *c, const struct entry_token *t,
    struct buf *out)
{
	(void)buf_printf(out, "{\"deviceToken\":\"%s\",\"role\":\"%s\","
	    "\"issuedAtMs\":%llu,\"scopes\":", t->text, role_name(t->role),
	    (unsigned long long)t->issued_ms);
	(void)scope_json(out, t->scopes, c->p->dialect->has_scope_prefix);
	(void)buf_putc(out, '}');
}

static void
connect_hello_auth(const struct connect *c, struct buf *out)
{
	const struct entry	*e = &c->entry;
	size_t			 i;

	(void)buf_printf(out, "{\"role\":\"%s\",\"scopes\":",
	    role_name(c->p->role));
	(void)scope_json(out, c->p->scopes, c->p->dialect->has_scope_prefix);
	if (e->n_tokens > 0)
		(void)buf_printf(out, ",\"deviceToken\":\"%s\","
		    "\"issuedAtMs\":%llu", e->tokens[0].text,
		    (unsigned long long)e->tokens[0].issued_ms);
	for (i = 1; i < e->n_tokens; i++) {
		(void)buf_puts(out, i == 1 ? ",\"deviceTokens\":[" : ",");
		connect_token(c, &e->tokens[i], out);
	}
	(void)buf_puts(out, e->n_tokens > 1 ? "]}" : "}");
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
	connect_hello_auth(c, &auth);
	p->dialect->hello(&hello, server.data, server.len, body, body_len,
	    auth.data, auth.len);
	r = server.is_failed || auth.is_failed || hello.is_failed ? -ENOMEM :
	    proto_result(p, c->id, c->id_len, hello.data, hello.len);
	buf_fini(&server);
	/* A token of the device may be in these. */
	buf_wipe(&auth);
	buf_wipe(&hello);
	if (p->proto->out.data != NULL)
		secret_wipe(p->proto->out.data, p->proto->out.cap);
	return (r);
}

/* What a node says of itself is kept as long as it is there. */
static int
connect_claims(struct peer *p, const struct proto_connect *in)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add(o, "caps", in->caps != NULL ?
	    json_object_get(in->caps) : json_object_new_array());
	(void)json_add(o, "commands", in->commands != NULL ?
	    json_object_get(in->commands) : json_object_new_array());
	(void)json_add(o, "permissions", in->permissions != NULL ?
	    json_object_get(in->permissions) : json_object_new_object());
	if (in->path_env != NULL)
		(void)json_add_str(o, "pathEnv", in->path_env);
	if (in->device_family != NULL)
		(void)json_add_str(o, "deviceFamily", in->device_family);
	if (in->model != NULL)
		(void)json_add_str(o, "modelIdentifier", in->model);
	if (in->display_name != NULL)
		(void)json_add_str(o, "displayName", in->display_name);
	if (in->version != NULL)
		(void)json_add_str(o, "version", in->version);
	if (in->platform != NULL)
		(void)json_add_str(o, "platform", in->platform);
	(void)json_add_str(o, "clientId", in->client_id);
	(void)json_add_str(o, "clientMode", in->client_mode);
	(void)json_add_int(o, "protocol", MIN_OF(in->max, PROTOCOL_VERSION));
	p->claims = o;
	return (o == NULL ? -ENOMEM : 0);
}

static void
connect_suspended(struct connect *c)
{
	static const char	 text[] =
	    "connect unavailable during gateway suspension";
	struct proto_error	 e = { .code = "UNAVAILABLE", .message = text,
	    .message_len = sizeof text - 1, .is_retryable = true,
	    .has_retry_after = true, .retry_after_ms = PROTO_SUSPENDED_RETRY_MS };
	struct buf		 d = BUF_INIT;

	(void)buf_printf(&d, "{\"method\":\"connect\",\"reason\":"
	    "\"gateway-suspending\",\"phase\":\"%s\"}",
	    proto_phase_name(c->p->proto->settings.phase));
	(void)buf_putc(&d, '\0');
	e.details = d.data;
	(void)proto_failure(c->p, c->id, c->id_len, &e);
	buf_fini(&d);
	conn_close(c->p->conn, 1013, "gateway suspension in progress");
}

/* Everything is decided: the peer is in. */
static void
connect_enter(struct connect *c)
{
	struct entry	*e = &c->entry;
	struct peer	*p = c->p;
	struct proto	*proto = p->proto;
	struct device	*d;
	char		*body;
	size_t		 len;
	int		 r;

	p->info = info_new(p, &c->in, e->device_id);
	if (p->info == NULL || (*e->device_id != '\0' &&
	    c->in.role == ROLE_NODE && connect_claims(p, &c->in) < 0)) {
		connect_refuse(c, 1013, "UNAVAILABLE", NULL, "out of memory");
		return;
	}
	p->role = c->in.role;
	p->scopes = e->grant.scopes;
	p->closure = scope_closure(p->scopes);
	p->has_scoped_events = peer_has_cap(p, "session-scoped-events");
	p->is_by_secret = e->is_shared || *e->issuer != '\0';
	p->is_by_token = e->is_device_token;
	/* Whoever may end the suspension has to get in for it. */
	if (unlikely(proto->settings.phase != PROTO_ACCEPTING) &&
	    !scope_covers(p->closure, SCOPE_ADMIN)) {
		connect_suspended(c);
		return;
	}
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
	e->is_delivered = true;
	free(p->origin);
	free(p->host);
	p->origin = p->host = NULL;
	peer_drop_door(p);
	p->state = PEER_OPEN;
	list_append(&proto->peers, &p->link);
	proto->n_peers++;
	if (*e->device_id != '\0' && proto->settings.access->pairing != NULL) {
		d = pairing_get(proto->settings.access->pairing, e->device_id);
		if (d != NULL) {
			d->n_open++;
			p->is_paired = true;
		}
	}
	proto->hooks.on_open(proto->hooks.arg, p);
}

void
connect_left(struct peer *p)
{
	struct pairing	*store = p->proto->settings.access->pairing;
	struct device	*d;

	if (!p->is_paired)
		return;
	p->is_paired = false;
	d = store == NULL ? NULL : pairing_get(store, p->info->device_id);
	if (d != NULL && d->n_open > 0)
		d->n_open--;
}

static void
connect_free(struct connect *c)
{
	const char *const	 secrets[] = { c->in.token, c->in.password,
	    c->in.device_token, c->in.bootstrap_token };
	struct queued		*q;
	size_t			 i;

	entry_fini(&c->entry);
	while ((q = list_first(&c->queue, struct queued, link)) != NULL) {
		list_remove(&q->link);
		free(q);
	}
	if (c->p->connect == c)
		c->p->connect = NULL;
	(void)peer_unref(c->p);
	buf_fini(&c->scopes);
	for (i = 0; i < ARRAY_LEN(secrets); i++) {
		if (secrets[i] != NULL)
			secret_wipe((char *)(uintptr_t)secrets[i],
			    strlen(secrets[i]));
	}
	json_object_put(c->params);
	secret_wipe(c, sizeof *c);
	free(c);
}

void
connect_forget(struct peer *p)
{
	if (p->connect != NULL)
		connect_free(p->connect);
}

void
connect_queue(struct peer *p, const char *data, size_t len)
{
	struct connect	*c = p->connect;
	struct queued	*q;

	if (c->n_queued == PROTO_QUEUED_MAX ||
	    len > PROTO_QUEUED_BYTES - c->queued_len) {
		conn_close(p->conn, 1008, "too many pending handshake frames");
		return;
	}
	q = malloc(sizeof *q + len);
	if (q == NULL) {
		conn_close(p->conn, 1013, "out of memory");
		return;
	}
	q->len = len;
	memcpy(q->data, data, len);
	list_append(&c->queue, &q->link);
	c->n_queued++;
	c->queued_len += len;
}

/* The answer is known, at once or after a while. */
static void
connect_decided(struct entry *e)
{
	struct connect	*c = container_of(e, struct connect, entry);
	struct peer	*p = c->p;
	struct queued	*q;
	bool		 has_waited = p->connect == c;

	/* The caller ends it. */
	if (!has_waited) {
		c->is_decided = true;
		return;
	}
	(void)peer_ref(p);
	p->connect = NULL;
	if (!conn_is_closing(p->conn)) {
		if (e->is_in)
			connect_enter(c);
		else
			connect_no_entry(c);
	}
	while (p->conn != NULL && !conn_is_closing(p->conn) &&
	    (q = list_first(&c->queue, struct queued, link)) != NULL) {
		list_remove(&q->link);
		proto_message(p, q->data, q->len);
		free(q);
	}
	connect_free(c);
	(void)peer_unref(p);
}

static void
connect_join_scopes(struct connect *c)
{
	struct json_object	*list = c->in.scope_list;
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		if (i > 0)
			(void)buf_putc(&c->scopes, ',');
		(void)buf_puts(&c->scopes, json_object_get_string(
		    json_object_array_get_idx(list, i)));
	}
	(void)buf_putc(&c->scopes, '\0');
}

static void
connect_proof(struct connect *c)
{
	struct proto_connect	*in = &c->in;

	connect_join_scopes(c);
	c->entry.claim.proof = (struct device_proof){
		.id = json_get_str(in->device, "id"),
		.public_key = json_get_str(in->device, "publicKey"),
		.signature = json_get_str(in->device, "signature"),
		.nonce = json_get_str(in->device, "nonce"),
		.signed_at = json_get_int(in->device, "signedAt", -1),
		.client_id = in->client_id,
		.client_mode = in->client_mode,
		.role = role_name(in->role),
		.scopes = c->scopes.is_failed ? "" : c->scopes.data,
		.token = in->token != NULL ? in->token :
		    in->device_token != NULL ? in->device_token :
		    in->bootstrap_token,
		.platform = in->platform,
		.device_family = in->device_family,
	};
}

static void
connect_claim(struct connect *c)
{
	struct proto_connect	*in = &c->in;
	struct peer		*p = c->p;
	struct peer_door	*door = p->door;

	c->entry.claim = (struct entry_claim){
		.auth = {
			.role = in->role,
			.scopes = in->scopes,
			.client_id = in->client_id,
			.client_mode = in->client_mode,
			.token = in->token,
			.password = in->password,
			.device_token = in->device_token,
			.has_device = in->device != NULL,
			.is_native = p->dialect == &dialect_native,
			.is_direct_local = p->is_direct_local,
			.has_origin = p->origin != NULL,
		},
		.nonce = p->nonce,
		.about = {
			.display_name = in->display_name,
			.platform = in->platform,
			.device_family = in->device_family,
			.client_id = in->client_id,
			.client_mode = in->client_mode,
			.origin = p->origin,
			.remote = peer_remote(p),
		},
		.host = p->host,
		.peer = conn_remote(p->conn),
		.kind = door != NULL ? (enum proxy_kind)door->kind :
		    p->is_direct_local ? PROXY_DIRECT_LOCAL :
		    PROXY_DIRECT_REMOTE,
		.bootstrap_token = in->bootstrap_token,
	};
	if (door != NULL) {
		c->entry.claim.proxy_user = door->user;
		c->entry.claim.proxy_problem = *door->problem != '\0' ?
		    door->problem : NULL;
		c->entry.claim.scopes_cap = door->scopes_cap;
		c->entry.claim.tailnet_login = door->tailnet_login;
		c->entry.claim.is_funnel = door->is_funnel;
	}
	if (in->device != NULL)
		connect_proof(c);
}

/* Takes c, unless it waits. */
static void
connect_decide(struct connect *c)
{
	struct peer		*p = c->p;
	struct proto_settings	*set = &p->proto->settings;
	struct proto_connect	*in = &c->in;
	const char		*problem;
	bool			 is_page;

	p->dialect->read_connect(c->params, in);
	if (!connect_version_ok(in)) {
		connect_wrong_version(c, in);
		return;
	}
	if (in->role == 0) {
		connect_refuse(c, 1008, "INVALID_REQUEST", NULL, "invalid role");
		return;
	}
	is_page = p->origin != NULL ||
	    strcmp(in->client_id, "openclaw-control-ui") == 0 ||
	    strcmp(in->client_id, "openclaw-browser-copilot") == 0 ||
	    strcmp(in->client_id, "webchat-ui") == 0 ||
	    strcmp(in->client_mode, "webchat") == 0;
	problem = !is_page ? NULL : origin_problem(&set->origins, p->origin,
	    p->host, p->is_direct_local);
	if (problem != NULL) {
		connect_bad_origin(c, problem);
		return;
	}
	if (in->has_runtime_token) {
		connect_refuse(c, 1008, "INVALID_REQUEST", NULL, "agent runtime "
		    "identity token is not one of this gateway's");
		return;
	}
	connect_claim(c);
	entry_start(&c->entry);
	if (!c->is_decided)
		p->connect = c;
	else if (c->entry.is_in)
		connect_enter(c);
	else
		connect_no_entry(c);
}

void
connect_handle(struct peer *p, const char *id, size_t id_len,
    const char *params, size_t params_len, char params_kind)
{
	const struct schema	*schema = p->dialect == &dialect_native ?
	    p->proto->connect_native : p->proto->connect_openclaw;
	struct schema_report	 rep = { .len = 0 };
	struct connect		*c;
	struct buf		 m = BUF_INIT;
	int			 r;

	c = calloc(1, sizeof *c + id_len);
	if (c == NULL) {
		conn_close(p->conn, 1011, "out of memory");
		return;
	}
	c->p = peer_ref(p);
	list_init(&c->queue);
	list_init(&c->entry.link);
	c->entry.access = p->proto->settings.access;
	c->entry.done = connect_decided;
	c->id_len = id_len;
	memcpy(c->id, id, id_len);
	/* Without params it is as null: no object. */
	if (params_kind != 0 &&
	    json_parse(params, params_len, &c->params) < 0) {
		conn_close(p->conn, 1011, "out of memory");
		connect_free(c);
		return;
	}
	if (p->dialect->is_worker != NULL && p->dialect->is_worker(c->params)) {
		conn_close(p->conn, 1008, "invalid-handshake");
		connect_free(c);
		return;
	}
	r = schema_check(schema, c->params, &rep);
	if (r < 0) {
		(void)buf_printf(&m, "invalid connect params: %s", rep.text);
		(void)buf_putc(&m, '\0');
		connect_refuse(c, 1008, "INVALID_REQUEST", NULL,
		    m.data != NULL ? m.data : "invalid connect params");
		buf_fini(&m);
	} else
		connect_decide(c);
	if (p->connect != c)
		connect_free(c);
}
