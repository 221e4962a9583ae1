/* SPDX-License-Identifier: MIT */
#include "core/protocol/proto.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access/secret.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/json/scan.h"
#include "core/net/http_head.h"
#include "core/protocol/http.h"
#include "core/protocol/proto_priv.h"

struct proto *
proto_new(struct loop *l, const struct proto_hooks *hooks,
    const struct schema *connect_native, const struct schema *connect_openclaw,
    const char *version, const char *boot_id)
{
	struct proto	*p;

	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (NULL);
	p->loop = l;
	p->hooks = *hooks;
	p->connect_native = connect_native;
	p->connect_openclaw = connect_openclaw;
	p->version = strdup(version);
	p->boot_id = strdup(boot_id);
	list_init(&p->peers);
	list_init(&p->larges);
	if (p->version == NULL || p->boot_id == NULL)
		return (proto_free(p));
	return (p);
}

struct proto *
proto_free(struct proto *p)
{
	if (p == NULL)
		return (NULL);
	free(p->version);
	free(p->boot_id);
	buf_fini(&p->out);
	buf_fini(&p->name);
	free(p);
	return (NULL);
}

struct proto_settings *
proto_settings(struct proto *p)
{
	return (&p->settings);
}

const char *
proto_phase_name(unsigned phase)
{
	static const char *const	 names[] = {
		[PROTO_ACCEPTING] = "accepting",
		[PROTO_PREPARING] = "preparing",
		[PROTO_DRAINING] = "draining",
		[PROTO_PREPARED] = "prepared",
	};

	return (names[phase]);
}

struct list *
proto_peers(struct proto *p)
{
	return (&p->peers);
}

uint32_t
proto_n_peers(const struct proto *p)
{
	return (p->n_peers);
}

static const struct dialect *
peer_dialect(const struct peer *p)
{
	return (p->dialect != NULL ? p->dialect : &dialect_openclaw);
}

static int
proto_send(struct peer *p, struct buf *out)
{
	int	 r;

	if (p->conn == NULL)
		r = -EPIPE;
	else if (out->is_failed)
		r = -ENOMEM;
	else
		r = conn_send(p->conn, out->data, out->len, false);
	if (out->cap > KIB(256))
		buf_fini(out);
	else
		buf_reset(out);
	return (r);
}

int
proto_result(struct peer *p, const char *id, size_t id_len,
    const char *payload, size_t len)
{
	struct buf	*out = &p->proto->out;

	peer_dialect(p)->result(out, id, id_len, payload, len);
	return (proto_send(p, out));
}

int
proto_failure(struct peer *p, const char *id, size_t id_len,
    const struct proto_error *e)
{
	struct buf	*out = &p->proto->out;

	peer_dialect(p)->failure(out, id, id_len, e);
	return (proto_send(p, out));
}

int
proto_refuse(struct peer *p, const char *id, size_t id_len, const char *code,
    const char *details, const char *fmt, ...)
{
	struct proto_error	 e = { .code = code, .details = details };
	struct buf		 msg = BUF_INIT;
	va_list			 ap;
	int			 r;

	va_start(ap, fmt);
	(void)buf_vprintf(&msg, fmt, ap);
	va_end(ap);
	e.message = msg.data != NULL ? msg.data : "";
	e.message_len = msg.len;
	r = proto_failure(p, id, id_len, &e);
	buf_fini(&msg);
	return (r);
}

void
proto_count_role(struct peer *p, bool is_refused)
{
	if (!is_refused)
		p->n_role_refused = 0;
	else if (++p->n_role_refused > PROTO_ROLE_REFUSED_MAX &&
	    p->conn != NULL)
		conn_close(p->conn, 1008, "repeated unauthorized calls");
}

/* The first name is the preferred one when a client offers several. */
static const char *const subprotocols[] = { "chela.v1", "openclaw", NULL };

static int
keep_header(char **ret, const char *s)
{
	*ret = s != NULL ? strdup(s) : NULL;
	return (s != NULL && *ret == NULL ? -ENOMEM : 0);
}

/* Keeps what a proxy says; nothing where nobody stands in between. */
static int
proto_open_door(struct proto *proto, struct peer *p,
    const struct proxy_origin *from, const struct proxy_headers *h)
{
	struct access		*a = proto->settings.access;
	bool			 is_vouched;
	struct peer_door	*door;
	const char		*problem, *user = NULL;

	is_vouched = a->auth.mode == AUTH_TRUSTED_PROXY;
	if (!is_vouched && (from->kind == PROXY_DIRECT_LOCAL ||
	    from->kind == PROXY_DIRECT_REMOTE))
		return (0);
	door = calloc(1, sizeof *door);
	if (door == NULL)
		return (-ENOMEM);
	p->door = door;
	door->kind = (uint8_t)from->kind;
	door->is_funnel = h->count(h->arg, "tailscale-funnel-request") > 0;
	memcpy(door->client, from->client, sizeof door->client);
	if (is_vouched) {
		problem = proxy_user(&a->users, &a->proxies,
		    conn_remote(p->conn), h, door->problem,
		    sizeof door->problem, &user);
		if (problem != NULL && problem != door->problem)
			(void)snprintf(door->problem, sizeof door->problem,
			    "%s", problem);
		if (keep_header(&door->user, user) < 0 ||
		    keep_header(&door->scopes_cap, user == NULL ? NULL :
		    h->get(h->arg, "x-openclaw-scopes")) < 0)
			return (-ENOMEM);
	}
	if (from->kind == PROXY_TAILSCALE &&
	    h->count(h->arg, "tailscale-user-login") == 1 &&
	    keep_header(&door->tailnet_login,
	    h->get(h->arg, "tailscale-user-login")) < 0)
		return (-ENOMEM);
	return (0);
}

static int
proto_on_upgrade(void *arg, struct conn *c, const struct net_upgrade *up,
    struct net_reply *reply)
{
	static const char draining[] = "Gateway websocket admission closed";
	struct proxy_headers	 headers;
	struct proxy_origin	 from;
	struct proto		*proto = arg;
	struct peer		*p;
	const char		*s;

	if (http_head_count(up->head, "origin") > 1) {
		*reply = (struct net_reply){ .status = 400, .body = "Bad Request",
		    .body_len = 11 };
		return (400);
	}
	proto_headers(up->head, &headers);
	proto_attribute(proto, c, up->head, &from);
	if (from.kind == PROXY_UNKNOWN) {
		*reply = proto_unattributed;
		return (403);
	}
	if (proto->settings.is_draining) {
		*reply = (struct net_reply){ .status = 503, .body = draining,
		    .body_len = sizeof draining - 1 };
		return (503);
	}
	p = peer_new(proto, c);
	if (p == NULL) {
		*reply = (struct net_reply){ .status = 503, .body = "",
		    .body_len = 0 };
		return (503);
	}
	if (up->protocol != NULL)
		p->dialect = dialect_find(up->protocol, up->protocol_len);
	p->is_direct_local = from.kind == PROXY_DIRECT_LOCAL;
	if (proto_open_door(proto, p, &from, &headers) < 0) {
		(void)peer_unref(p);
		*reply = (struct net_reply){ .status = 503, .body = "",
		    .body_len = 0 };
		return (503);
	}
	s = http_head_get(up->head, "origin");
	/* A blank Origin counts as one: a page may not hide by it (AB-030). */
	if (s != NULL)
		p->origin = strdup(s);
	if (up->head->host != NULL)
		p->host = strdup(up->head->host);
	conn_set_user(c, p);
	return (0);
}

static void
proto_on_open(void *arg, struct conn *c)
{
	struct proto		*proto = arg;
	struct peer		*p = conn_user(c);
	const struct dialect	*d = peer_dialect(p);
	struct buf		*out = &proto->out;

	d->event_head(out, "connect.challenge");
	(void)buf_printf(out, "{\"nonce\":\"%s\",\"ts\":%llu}", p->nonce,
	    (unsigned long long)clock_wall_ms());
	d->event_tail(out, true, 0, NULL);
	(void)proto_send(p, out);
}

static void
proto_on_close(void *arg, struct conn *c)
{
	(void)arg;
	peer_close(conn_user(c));
}

void
proto_limits(size_t len, struct scan_limits *lim)
{
	size_t	 heap = PROTO_HEAP_BASE + len * PROTO_HEAP_TIMES;

	*lim = (struct scan_limits){
		.depth_max = PROTO_DEPTH_MAX,
		.heap_max = MIN_OF(heap, PROTO_HEAP_MAX),
		.is_utf8_known = true,
	};
}

static const char *
scan_problem(enum scan_err err)
{
	switch (err) {
	case SCAN_DEPTH:
		return ("too deeply nested");
	case SCAN_BUDGET:
		return ("too many values for its size");
	case SCAN_DUP_KEY:
		return ("a key occurs twice");
	case SCAN_NUL_KEY:
		return ("a key holds a NUL");
	case SCAN_NUMBER:
		return ("a number is out of range");
	case SCAN_SURROGATE:
		return ("a string holds half of a surrogate pair");
	default:
		return (NULL);	/* not JSON at all */
	}
}

/* The id as it may be sent back; "invalid" where there is none. */
static void
frame_id(const struct scan_frame *f, const char **ret_id, size_t *ret_len)
{
	static const char invalid[] = "\"invalid\"";
	bool	 is_usable = f->id.kind == '"' || f->id.kind == '0';

	if (is_usable && f->id.len <= PROTO_ID_MAX) {
		*ret_id = f->id.p;
		*ret_len = f->id.len;
	} else {
		*ret_id = invalid;
		*ret_len = sizeof invalid - 1;
	}
}

/* A frame that is no request: before hello the end, after it an answer. */
static void
proto_bad_frame(struct peer *p, const struct scan_frame *f, const char *problem)
{
	const char	*id;
	size_t		 len;

	if (p->state == PEER_NEW) {
		if (problem == NULL)
			conn_close(p->conn, 1000, "");
		else
			conn_close(p->conn, 1008, "invalid request frame");
		return;
	}
	if (++p->n_bad_frames > PROTO_BAD_FRAMES_MAX) {
		conn_close(p->conn, 1008, "too many invalid frames");
		return;
	}
	if (problem == NULL)
		return;
	frame_id(f, &id, &len);
	proto_count_role(p, false);
	if (f->unknown.kind != 0 && f->unknown.len >= 2 &&
	    f->unknown.len <= 64 && strstr(problem, "unexpected") != NULL)
		(void)proto_refuse(p, id, len, "INVALID_REQUEST", NULL,
		    "invalid request frame: %s '%.*s'", problem,
		    (int)f->unknown.len - 2, f->unknown.p + 1);
	else
		(void)proto_refuse(p, id, len, "INVALID_REQUEST", NULL,
		    "invalid request frame: %s", problem);
}

/* What the frame said of secrets does not stay in the buffer it was read to. */
static void
connect_frame(struct peer *p, const struct proto_call *c)
{
	connect_handle(p, c->id, c->id_len, c->params, c->params_len,
	    c->params_kind);
	if (c->params != NULL)
		secret_wipe((char *)(uintptr_t)c->params, c->params_len);
}

void
proto_frame(struct peer *p, const struct scan_frame *f, char *large)
{
	struct proto		*proto = p->proto;
	struct proto_call	 call = { .large = large };
	const char		*problem;

	if (f->res.err != SCAN_OK) {
		proto_bad_frame(p, f, scan_problem(f->res.err));
		goto out;
	}
	if (p->dialect == NULL)
		p->dialect = f->type.kind == 0 && f->root == '{' ?
		    &dialect_native : &dialect_openclaw;
	problem = p->dialect->frame_problem(f);
	if (problem == NULL && f->id.len > PROTO_ID_MAX)
		problem = "at /id: must not have more than 1022 characters";
	if (problem != NULL) {
		/* A fault of the handshake does not fix the dialect. */
		proto_bad_frame(p, f, problem);
		goto out;
	}
	p->n_bad_frames = 0;
	call.id = f->id.p;
	call.id_len = f->id.len;
	call.method = f->method.p + 1;
	call.method_len = f->method.len - 2;
	if (memchr(call.method, '\\', call.method_len) != NULL) {
		buf_reset(&proto->name);
		if (scan_span_str(&f->method, &proto->name) < 0)
			goto out;
		call.method = proto->name.data;
		call.method_len = proto->name.len;
	}
	/* Languages that write every member write null for none. */
	if (f->params.kind != 0 && f->params.kind != 'n') {
		call.params = f->params.p;
		call.params_len = f->params.len;
		call.params_kind = f->params.kind;
	}
	if (p->state == PEER_OPEN && f->profile.kind != 0) {
		/* Nobody has a profile here: it is for another account. */
		(void)proto_refuse(p, call.id, call.id_len, "INVALID_REQUEST",
		    "{\"reason\":\"EXPECTED_PROFILE_MISMATCH\","
		    "\"execution\":\"not_started\"}",
		    "this gateway has no accounts to select");
		goto out;
	}
	if (p->state == PEER_OPEN) {
		proto->hooks.on_call(proto->hooks.arg, p, &call);
		return;		/* it took large */
	}
	if (call.method_len == 7 && memcmp(call.method, "connect", 7) == 0)
		connect_frame(p, &call);
	else {
		static const char text[] =
		    "invalid handshake: first request must be connect";

		(void)proto_refuse(p, call.id, call.id_len, "INVALID_REQUEST",
		    NULL, "%s", text);
		conn_close(p->conn, 1008, text);
	}
out:
	if (large != NULL)
		proto_large_done(p, large);
}

void
proto_message(struct peer *p, char *data, size_t len)
{
	struct scan_limits	 lim;
	struct scan_frame	 f;

	if (len > PROTO_LARGE)
		proto_large(p, data, len);
	else {
		proto_limits(len, &lim);
		(void)scan_frame(data, len, &lim, &f);
		proto_frame(p, &f, NULL);
	}
}

static void
proto_on_message(void *arg, struct conn *c, char *data, size_t len)
{
	struct peer	*p = conn_user(c);

	(void)arg;
	/* The answer may be the end of this peer. */
	(void)peer_ref(p);
	if (unlikely(p->connect != NULL))
		connect_queue(p, data, len);
	else
		proto_message(p, data, len);
	(void)peer_unref(p);
}

static void
proto_on_http(void *arg, struct hreq *q)
{
	struct proto	*p = arg;

	p->hooks.on_http(p->hooks.arg, q);
}

void
proto_net_handler(struct proto *p, struct net_handler *ret)
{
	ret->on_upgrade = proto_on_upgrade;
	ret->on_open = proto_on_open;
	ret->on_message = proto_on_message;
	ret->on_close = proto_on_close;
	ret->on_http = proto_on_http;
	ret->protocols = subprotocols;
	ret->arg = p;
}
