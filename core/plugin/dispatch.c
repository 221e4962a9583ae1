/* SPDX-License-Identifier: MIT */
/* From a call to its handler and from there to the answer. */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/base/utf8.h"
#include "core/json/json.h"
#include "core/json/schema.h"
#include "core/net/net.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"

#define NAME_SHOWN_MAX	128	/* bytes of an unknown method's name */
#define SLOW_WARN_US	SEC_US(60)
#define BUSY_RETRY_MS	1000

/* A call whose params a worker parses and checks. */
struct large_call {
	struct chela_req	*req;
	struct peer		*peer;		/* counted */
	char			*text;		/* of the frame */
	const char		*params;	/* in text */
	size_t			 len;
	int			 r;
	struct schema_report	 rep;
};

struct free_params {
	struct json_object	*params;
};

static void
call_refuse_scope(struct peer *p, const struct proto_call *c, uint32_t needed)
{
	const char	*prefix = p->dialect != NULL &&
	    p->dialect->has_scope_prefix ? SCOPE_PREFIX : "";
	const char	*name = scope_name(needed);
	struct buf	 d = BUF_INIT;

	(void)buf_printf(&d, "{\"code\":\"MISSING_SCOPE\",\"missingScope\":"
	    "\"%s%s\",\"requiredScopes\":[\"%s%s\"]}", prefix, name, prefix,
	    name);
	(void)buf_putc(&d, '\0');
	(void)proto_refuse(p, c->id, c->id_len, "FORBIDDEN", d.data,
	    "missing scope: %s%s", prefix, name);
	buf_fini(&d);
}

/* What kept it from starting is for the log and plugins.list, unless it crashed. */
static void
call_refuse_held(struct peer *p, const struct proto_call *c,
    const struct chela_ctx *ctx)
{
	if ((ctx->is_crashed || ctx->is_stopped) && ctx->error != NULL)
		(void)proto_refuse(p, c->id, c->id_len, "UNAVAILABLE", NULL,
		    "plugin '%s' %s", ctx->name, ctx->error);
	else
		(void)proto_refuse(p, c->id, c->id_len, "UNAVAILABLE", NULL,
		    "plugin '%s' did not start; plugins.list says why",
		    ctx->name);
}

static void
call_refuse_busy(struct peer *p, const struct proto_call *c,
    struct chela_ctx *ctx)
{
	struct buf		 msg = BUF_INIT;
	struct proto_error	 e = { .code = "UNAVAILABLE",
	    .is_retryable = true };

	/* Counted by n_reqs: this only notes the refusal. */
	(void)quota_take(ctx, QUOTA_REQUESTS, ctx->limits[QUOTA_REQUESTS] + 1);
	(void)buf_printf(&msg, "plugin '%s' has %u open calls, and that is its "
	    "limit", ctx->name, (unsigned)ctx->n_reqs);
	e.message = msg.data != NULL ? msg.data : "";
	e.message_len = msg.len;
	(void)proto_failure(p, c->id, c->id_len, &e);
	buf_fini(&msg);
}

/* 30 control-plane writes in 60 s for each method, device and address. */
static int
call_take_budget(struct host *h, struct peer *p, const struct proto_call *c,
    const struct method *m)
{
	struct buf	 key = BUF_INIT;
	uint64_t	 wait_us = 0;
	struct proto_error e = { .code = "UNAVAILABLE", .is_retryable = true,
	    .has_retry_after = true };
	struct buf	 msg = BUF_INIT, d = BUF_INIT;
	int		 r;

	(void)buf_printf(&key, "%s|%s|%s", m->desc.name, p->info->device_id,
	    p->conn != NULL ? conn_remote(p->conn) : p->id);
	r = key.is_failed ? -ENOMEM :
	    budget_take(h->writes, key.data, key.len, &wait_us);
	buf_fini(&key);
	if (r == 0)
		return (0);
	e.retry_after_ms = (wait_us + 999) / 1000;
	(void)buf_printf(&msg, "rate limit exceeded for %s; retry after %llus",
	    m->desc.name, (unsigned long long)((wait_us + 999999) / 1000000));
	(void)buf_printf(&d, "{\"method\":\"%s\",\"limit\":\"30 per 60s\"}",
	    m->desc.name);
	(void)buf_putc(&d, '\0');
	e.message = msg.data != NULL ? msg.data : "";
	e.message_len = msg.len;
	e.details = d.data;
	(void)proto_failure(p, c->id, c->id_len, &e);
	buf_fini(&msg);
	buf_fini(&d);
	return (-EDQUOT);
}

/*
 * While the gateway is suspended, only what ends that may be called, and nodes may
 * answer what they were asked before.
 */
static bool
call_is_suspended(struct host *h, struct peer *p, const struct proto_call *c,
    const struct method *m)
{
	static const char	 suspend[] = "gateway.suspend.";
	static const char	 restart[] = "gateway.restart.";
	static const char	 invoke[] = "node.invoke.";
	const char		*name = m->desc.name;
	struct proto_error	 e = { .code = "UNAVAILABLE",
	    .is_retryable = true, .has_retry_after = true,
	    .retry_after_ms = PROTO_SUSPENDED_RETRY_MS };
	struct buf		 msg = BUF_INIT, d = BUF_INIT;

	if (strncmp(name, suspend, sizeof suspend - 1) == 0 ||
	    strncmp(name, restart, sizeof restart - 1) == 0 ||
	    (p->role == ROLE_NODE &&
	    strncmp(name, invoke, sizeof invoke - 1) == 0))
		return (false);
	(void)buf_printf(&msg, "%s unavailable during gateway suspension", name);
	(void)buf_printf(&d, "{\"method\":\"%s\",\"reason\":"
	    "\"gateway-suspending\",\"phase\":\"%s\"}", name,
	    proto_phase_name(proto_settings(h->env.proto)->phase));
	(void)buf_putc(&d, '\0');
	e.message = msg.data != NULL ? msg.data : "";
	e.message_len = msg.len;
	e.details = d.data;
	(void)proto_failure(p, c->id, c->id_len, &e);
	buf_fini(&msg);
	buf_fini(&d);
	return (true);
}

/* The method of a call that may go on; else it was answered. */
static struct method *
call_admit(struct host *h, struct peer *p, const struct proto_call *c)
{
	struct method	*m;
	uint32_t	 needed;
	size_t		 n;

	m = map_get(h->methods, c->method, c->method_len);
	switch (authorize(p->role, p->closure, m == NULL ? NULL : &m->rule,
	    &needed)) {
	case AUTHORIZE_OK:
		break;
	case AUTHORIZE_ROLE:
		(void)proto_refuse(p, c->id, c->id_len, "INVALID_REQUEST", NULL,
		    "unauthorized role: %s", role_name(p->role));
		proto_count_role(p, true);
		return (NULL);
	case AUTHORIZE_SCOPE:
		proto_count_role(p, false);
		call_refuse_scope(p, c, needed);
		return (NULL);
	case AUTHORIZE_UNKNOWN:
		proto_count_role(p, false);
		n = utf8_cut(c->method, c->method_len, NAME_SHOWN_MAX);
		(void)proto_refuse(p, c->id, c->id_len, "INVALID_REQUEST", NULL,
		    "unknown method: %.*s", (int)n, c->method);
		return (NULL);
	}
	proto_count_role(p, false);
	if (unlikely(m->ctx->state == PLUGIN_HELD)) {
		call_refuse_held(p, c, m->ctx);
		return (NULL);
	}
	if (unlikely(m->ctx->n_reqs >= m->ctx->limits[QUOTA_REQUESTS])) {
		call_refuse_busy(p, c, m->ctx);
		return (NULL);
	}
	if (unlikely(proto_settings(h->env.proto)->phase != PROTO_ACCEPTING) &&
	    call_is_suspended(h, p, c, m))
		return (NULL);
	if (unlikely((m->desc.flags & CHELA_METHOD_WRITE) != 0) &&
	    call_take_budget(h, p, c, m) < 0)
		return (NULL);
	return (m);
}

static const char	 busy[] =
    "The server is busy. Please try again in a moment.";

/* What all clients together may have under way. */
static bool
call_is_too_much(struct host *h, struct peer *p, const struct proto_call *c)
{
	struct proto_error	 e = { .code = "UNAVAILABLE", .message = busy,
	    .message_len = sizeof busy - 1, .is_retryable = true,
	    .has_retry_after = true, .retry_after_ms = BUSY_RETRY_MS };

	if (likely(h->n_reqs < HOST_REQS_MAX && (h->params_len == 0 ||
	    h->params_len + c->params_len <= HOST_PARAMS_MAX)))
		return (false);
	h->n_busy++;
	(void)proto_failure(p, c->id, c->id_len, &e);
	return (true);
}

static struct chela_req *
req_new(struct method *m, struct peer *p, const struct proto_call *c)
{
	struct chela_req	*req;

	req = calloc(1, sizeof *req);
	if (req == NULL)
		return (NULL);
	list_init(&req->waiting);
	req->id = req->id_inline;
	if (c->id_len > sizeof req->id_inline) {
		req->id = malloc(c->id_len);
		if (req->id == NULL) {
			free(req);
			return (NULL);
		}
	}
	memcpy(req->id, c->id, c->id_len);
	req->id_len = c->id_len;
	req->magic = REQ_MAGIC;
	req->refs = 1;
	req->ctx = m->ctx;
	req->method = m;
	req->methods = m->ctx->methods;
	req->methods->refs++;
	req->peer = peer_ref(p);
	list_append(&p->reqs, &req->link);
	/* Beyond the limit the peer is not read until something is answered. */
	if (++p->n_reqs == PROTO_PENDING_MAX)
		conn_pause(p->conn);
	m->ctx->n_reqs++;
	m->ctx->host->n_reqs++;
	req->params_len = c->params_len;
	m->ctx->host->params_len += c->params_len;
	return (req);
}

/* The client got its final answer, or is gone. */
static void
req_settle(struct chela_req *req)
{
	struct peer	*p = req->peer;

	if (p == NULL)
		return;
	req->peer = NULL;
	list_remove(&req->link);
	list_remove(&req->waiting);
	if (p->n_reqs-- == PROTO_PENDING_MAX && p->conn != NULL)
		conn_resume(p->conn);
	(void)peer_unref(p);
}

static void
params_free(void *arg)
{
	struct free_params	*fp = arg;

	json_object_put(fp->params);
	free(fp);
	(void)malloc_trim(0);
}

static void
req_drop_params(struct chela_req *req)
{
	struct free_params	*fp;

	if (!req->is_large) {
		json_object_put(req->params);
		return;
	}
	/* Whoever keeps a part of it has counted it: only the last one frees. */
	fp = malloc(sizeof *fp);
	if (fp == NULL) {
		json_object_put(req->params);
		return;
	}
	fp->params = req->params;
	if (loop_work(req->ctx->host->env.loop, params_free, NULL, fp) < 0)
		params_free(fp);
}

static void	req_answer_failure(struct chela_req *req,
		    const struct proto_error *e);

struct chela_req *
req_unref(struct chela_req *req)
{
	static const char text[] = "internal error: the request was dropped";
	struct proto_error	 e = { .code = "UNAVAILABLE", .message = text,
	    .message_len = sizeof text - 1 };
	struct chela_ctx	*ctx;

	if (req == NULL || --req->refs > 0)
		return (NULL);
	ctx = req->ctx;
	if (!req->is_answered && req->peer != NULL) {
		log_err("plugin", "plugin '%s': a request was dropped without "
		    "an answer method=%s", ctx->name, req->method->desc.name);
		req_answer_failure(req, &e);
	}
	req_settle(req);
	req_drop_params(req);
	if (req->id != req->id_inline)
		free(req->id);
	ctx->host->n_reqs--;
	ctx->host->params_len -= req->params_len;
	(void)methods_unref(req->methods);
	req->magic = 0;
	free(req);
	ctx->n_reqs--;
	if (ctx->state == PLUGIN_DRAINING && ctx->n_reqs == 0)
		host_kick(ctx->host);
	return (NULL);
}

static void
req_answer_failure(struct chela_req *req, const struct proto_error *e)
{
	req->is_answered = true;
	req->method->n_failures++;
	(void)proto_failure(req->peer, req->id, req->id_len, e);
	req_settle(req);
}

static int
req_can_answer(struct chela_req *req)
{
	if (req->is_late) {
		req->ctx->n_late++;
		return (-ETIMEDOUT);
	}
	if (req->is_answered)
		return (-EALREADY);
	return (req->peer == NULL ? -ECANCELED : 0);
}

/* Answers are held to the schema too, where the daemon was asked to. */
static int
req_check_result(struct chela_req *req, struct json_object *result)
{
	struct schema_report	*rep;
	int			 r = 0;

	if (req->method->result == NULL)
		return (0);
	rep = calloc(1, sizeof *rep);
	if (rep != NULL &&
	    schema_check(req->method->result, result, rep) < 0) {
		log_err("plugin", "plugin '%s': result of %s is not what its "
		    "schema says (%s)", req->ctx->name, req->method->desc.name,
		    rep->text);
		r = -EBADMSG;
	}
	free(rep);
	return (r);
}

/* Larger than what its client would take. */
static void
req_fail_large(struct chela_req *req)
{
	static const char text[] = "the answer is too large";
	struct proto_error	 e = { .code = "UNAVAILABLE", .message = text,
	    .message_len = sizeof text - 1 };

	quota_dropped(req->ctx, "an answer that is too large");
	req_answer_failure(req, &e);
}

static int
req_send_result(struct chela_req *req, struct json_object *result,
    bool is_final)
{
	static const char bad[] = "internal error: the result is not valid";
	struct buf	*out = &req->ctx->host->out;
	struct proto_error e = { .code = "UNAVAILABLE", .message = bad,
	    .message_len = sizeof bad - 1 };
	int		 r;

	r = req_can_answer(req);
	if (r < 0)
		return (r);
	if (is_final && unlikely(req_check_result(req, result) < 0)) {
		req_answer_failure(req, &e);
		return (-EBADMSG);
	}
	buf_reset(out);
	r = json_write(out, result);
	if (r == 0 && out->len > host_payload_max(req->ctx->host)) {
		req_fail_large(req);
		r = -EMSGSIZE;
	} else if (r < 0) {
		e.message = "response serialization failed";
		e.message_len = strlen(e.message);
		req_answer_failure(req, &e);
	} else {
		r = proto_result(req->peer, req->id, req->id_len, out->data,
		    out->len);
		if (is_final) {
			req->is_answered = true;
			req_settle(req);
		} else
			deadline_set(req);
	}
	if (out->cap > KIB(256))
		buf_fini(out);
	return (r);
}

static int
host_req_reply(struct chela_req *req, struct json_object *result)
{
	int	 r;

	r = req_send_result(req, result, true);
	json_object_put(result);
	return (r);
}

static int
host_req_interim(struct chela_req *req, struct json_object *result)
{
	int	 r;

	r = req_send_result(req, result, false);
	json_object_put(result);
	return (r);
}

static int
host_req_reply_text(struct chela_req *req, char *json, size_t len)
{
	struct json_object	*o;
	int			 r;

	r = req_can_answer(req);
	if (r == 0 && req->method->result != NULL &&
	    json_parse(json, len, &o) == 0) {
		free(json);
		return (host_req_reply(req, o));
	}
	if (r == 0 && len > host_payload_max(req->ctx->host)) {
		req_fail_large(req);
		r = -EMSGSIZE;
	} else if (r == 0) {
		r = proto_result(req->peer, req->id, req->id_len, json, len);
		req->is_answered = true;
		req_settle(req);
	}
	free(json);
	return (r);
}

static int
req_vfail(struct chela_req *req, const char *code,
    const struct chela_error *extra, const char *fmt, va_list ap)
{
	struct proto_error	 e = { .code = code };
	struct buf		 msg = BUF_INIT, details = BUF_INIT;
	int			 r;

	r = req_can_answer(req);
	if (r == 0) {
		(void)buf_vprintf(&msg, fmt, ap);
		e.message = msg.data != NULL ? msg.data : "";
		/* A message is a sentence, and never empty on the wire. */
		e.message_len = utf8_cut(e.message, msg.len, 4096);
		if (e.message_len == 0) {
			e.message = "failed";
			e.message_len = 6;
		}
		if (extra != NULL) {
			e.is_retryable = extra->retryable != 0;
			e.has_retry_after = extra->retry_after_ms != 0;
			e.retry_after_ms = extra->retry_after_ms;
			if (extra->details != NULL &&
			    json_write(&details, extra->details) == 0 &&
			    buf_putc(&details, '\0') == 0)
				e.details = details.data;
		}
		req_answer_failure(req, &e);
	}
	if (extra != NULL)
		json_object_put(extra->details);
	buf_fini(&msg);
	buf_fini(&details);
	return (r);
}

static int
host_req_fail(struct chela_req *req, const char *code, const char *fmt, ...)
{
	va_list	 ap;
	int	 r;

	va_start(ap, fmt);
	r = req_vfail(req, code, NULL, fmt, ap);
	va_end(ap);
	return (r);
}

static int
host_req_fail_with(struct chela_req *req, const char *code,
    const struct chela_error *extra, const char *fmt, ...)
{
	va_list	 ap;
	int	 r;

	va_start(ap, fmt);
	r = req_vfail(req, code, extra, fmt, ap);
	va_end(ap);
	return (r);
}

static struct chela_req *
host_req_ref(struct chela_req *req)
{
	req->refs++;
	return (req);
}

static void
host_req_unref(struct chela_req *req)
{
	(void)req_unref(req);
}

static void
host_req_on_cancel(struct chela_req *req,
    void (*cb)(struct chela_req *req, void *arg), void *arg)
{
	if (req->is_answered && !req->is_late)
		return;
	if (req->peer == NULL) {
		cb(req, arg);
		return;
	}
	req->on_cancel = cb;
	req->cancel_arg = arg;
}

static const char *
host_req_method(const struct chela_req *req)
{
	return (req->method->desc.name);
}

static struct chela_conn *
host_req_conn(const struct chela_req *req)
{
	return ((struct chela_conn *)(void *)req->peer);
}

void
host_fill_req(struct chela_host *t)
{
	t->req_ref = host_req_ref;
	t->req_unref = host_req_unref;
	t->req_reply = host_req_reply;
	t->req_reply_text = host_req_reply_text;
	t->req_interim = host_req_interim;
	t->req_fail = host_req_fail;
	t->req_fail_with = host_req_fail_with;
	t->req_on_cancel = host_req_on_cancel;
	t->req_method = host_req_method;
	t->req_conn = host_req_conn;
}

void
req_cancel(struct chela_req *req)
{
	void		(*cb)(struct chela_req *r, void *arg) = req->on_cancel;
	struct frame	 f;

	if (cb == NULL)
		return;
	req->on_cancel = NULL;
	frame_enter(&f, req->ctx, "cancel");
	cb(req, req->cancel_arg);
	(void)frame_leave(&f);
}

void
host_on_close(void *arg, struct peer *p)
{
	struct chela_req	*req;

	(void)arg;
	while ((req = list_first(&p->reqs, struct chela_req, link)) != NULL) {
		(void)host_req_ref(req);
		req_settle(req);
		req_cancel(req);
		(void)req_unref(req);
	}
	access_service_closed(p);
	host_peer_close_cbs(p);
}

void
host_on_open(struct host *h, struct peer *p)
{
	(void)h;
	access_service_opened(p);
}

void
host_on_refused(struct host *h, struct peer *p, const char *reason)
{
	(void)h;
	access_service_refused(p, reason);
}

static void
method_slow(struct method *m, uint64_t took)
{
	uint64_t	 now = clock_now_us();

	m->n_slow++;
	if (m->warned_us != 0 && now - m->warned_us < SLOW_WARN_US)
		return;
	m->warned_us = now;
	log_warn("plugin", "plugin '%s': %s held the loop for %llu us (its "
	    "budget is %u)", m->ctx->name, m->desc.name,
	    (unsigned long long)took, (unsigned)(m->desc.budget_us != 0 ?
	    m->desc.budget_us : HOST_BUDGET_US));
}

static void
req_fail_text(struct chela_req *req, const char *code, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)req_vfail(req, code, NULL, fmt, ap);
	va_end(ap);
}

/* Params are there and valid: the rest is the plugin's. */
static void
req_run(struct chela_req *req)
{
	struct method	*m = req->method;
	struct chela_ctx *ctx = m->ctx;
	struct frame	 f;
	const char	*scope;
	uint32_t	 bit, generation = ctx->generation;
	uint64_t	 took;
	int		 r;

	if (m->desc.dynamic_scope != NULL && req->peer != NULL) {
		frame_enter(&f, ctx, m->desc.name);
		scope = m->desc.dynamic_scope(ctx, req->params);
		(void)frame_leave(&f);
		bit = scope == NULL ? 0 : scope_parse(scope, strlen(scope));
		if (scope != NULL && (bit == 0 ||
		    !scope_covers(req->peer->closure, bit))) {
			struct proto_call c = { .id = req->id,
			    .id_len = req->id_len };

			req->is_answered = true;
			m->n_failures++;
			call_refuse_scope(req->peer, &c,
			    bit == 0 ? SCOPE_ADMIN : bit);
			req_settle(req);
			return;
		}
	}
	m->n_calls++;
	frame_enter(&f, ctx, m->desc.name);
	r = m->desc.handler(ctx, req, req->params);
	took = frame_leave(&f);
	if (r < 0 && !req->is_answered)
		req_fail_text(req, "UNAVAILABLE", "%s failed: %s",
		    req->method->desc.name, strerror(-r));
	if (generation != ctx->generation)
		return;		/* the call was the plugin's own end */
	if (!req->is_answered && req->peer != NULL)
		deadline_set(req);
	if (took > m->max_us)
		m->max_us = took;
	if (unlikely(took > (m->desc.budget_us != 0 ? m->desc.budget_us :
	    HOST_BUDGET_US)))
		method_slow(m, took);
}

static void
large_parse(void *arg)
{
	struct large_call	*lc = arg;

	lc->r = json_parse(lc->params, lc->len, &lc->req->params);
	if (lc->r == 0)
		lc->r = schema_check(lc->req->method->params, lc->req->params,
		    &lc->rep);
}

static void
large_parsed(void *arg)
{
	struct large_call	*lc = arg;
	struct chela_req	*req = lc->req;
	struct peer		*p = lc->peer;

	if (req->peer != NULL) {
		/* It lost its place meanwhile, perhaps its right too (AB-061). */
		if (p->conn == NULL || conn_is_closing(p->conn)) {
			req->is_answered = true;
			req_settle(req);
		} else if (req->ctx->state != PLUGIN_ACTIVE)
			req_fail_text(req, "UNAVAILABLE", "plugin '%s' was "
			    "disabled", req->ctx->name);
		else if (lc->r == -ENOMEM)
			req_fail_text(req, "UNAVAILABLE", "out of memory");
		else if (lc->r < 0)
			req_fail_text(req, "INVALID_REQUEST",
			    "invalid %s params: %s", req->method->desc.name,
			    lc->rep.text);
		else
			req_run(req);
	}
	proto_large_done(p, lc->text);
	(void)peer_unref(p);
	(void)req_unref(req);
	free(lc);
}

static int
call_large(struct chela_req *req, struct peer *p, const struct proto_call *c)
{
	struct large_call	*lc;

	lc = calloc(1, sizeof *lc);
	if (lc == NULL)
		return (-ENOMEM);
	req->is_large = true;
	lc->req = host_req_ref(req);
	lc->peer = peer_ref(p);
	lc->text = c->large;
	lc->params = c->params;
	lc->len = c->params_len;
	if (loop_work(req->ctx->host->env.loop, large_parse, large_parsed,
	    lc) < 0) {
		(void)req_unref(req);
		(void)peer_unref(p);
		free(lc);
		return (-EAGAIN);
	}
	return (0);
}

/* The report is large: only a failure pays for it. */
static void
req_fail_params(struct chela_req *req)
{
	struct schema_report	 rep;

	memset(&rep, 0, sizeof rep);
	(void)schema_check(req->method->params, req->params, &rep);
	req_fail_text(req, "INVALID_REQUEST", "invalid %s params: %s",
	    req->method->desc.name, rep.text);
}

void
host_on_call(void *arg, struct peer *p, const struct proto_call *c)
{
	struct host		*h = arg;
	struct method		*m;
	struct chela_req	*req = NULL;
	int			 r;

	m = call_admit(h, p, c);
	if (m == NULL || call_is_too_much(h, p, c))
		goto out;
	req = req_new(m, p, c);
	if (req == NULL) {
		(void)proto_refuse(p, c->id, c->id_len, "UNAVAILABLE", NULL,
		    "out of memory");
		goto out;
	}
	if (unlikely(!m->is_compiled) && schemas_compile(m->ctx, m) < 0) {
		req_fail_text(req, "UNAVAILABLE", "the schema of %s cannot be "
		    "read", m->desc.name);
		goto out;
	}
	if (c->params_kind != 0 && c->params_kind != '{') {
		req_fail_text(req, "INVALID_REQUEST",
		    "invalid %s params: must be object", m->desc.name);
		goto out;
	}
	if (unlikely(c->large != NULL && c->params_kind != 0)) {
		r = call_large(req, p, c);
		if (r == 0) {
			(void)req_unref(req);
			return;		/* it took the frame */
		}
		req_fail_text(req, "UNAVAILABLE", "%s", busy);
		goto out;
	}
	if (c->params_kind == 0) {
		req->params = json_object_new_object();
		r = req->params == NULL ? -ENOMEM : 0;
	} else
		r = json_parse(c->params, c->params_len, &req->params);
	if (r < 0) {
		req_fail_text(req, "UNAVAILABLE", "out of memory");
		goto out;
	}
	r = schema_check(m->params, req->params, NULL);
	if (unlikely(r < 0)) {
		req_fail_params(req);
		goto out;
	}
	req_run(req);
out:
	if (req != NULL)
		(void)req_unref(req);
	if (c->large != NULL)
		proto_large_done(p, c->large);
}
