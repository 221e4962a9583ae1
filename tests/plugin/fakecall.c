/* SPDX-License-Identifier: MIT */
/* The fake host: clients, calls and events. */
#include "tests/plugin/fakehost_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
	struct list	 link;
	char		*text;
};

struct chela_conn {
	struct list		 link;
	struct fake		*f;
	struct fake_conn_opt	 opt;
	char			*texts[11];	/* behind opt's pointers */
	char			 id[37];
	uint64_t		 since_ms;
	struct list		 topics;
	struct json_object	*events;	/* [{event, payload}] */
};

struct hook {
	struct list		  link;
	struct chela_conn	 *conn;
	void			(*cb)(struct chela_ctx *ctx,
				    struct chela_conn *conn, void *arg);
	void			 *arg;
};

/* Lives as long as the plugin or the test holds it. */
struct chela_req {
	struct list			 link;
	struct fake			*f;
	struct chela_conn		*conn;	/* NULL once it left */
	struct chela_ctx		*ctx;
	const struct chela_method	*method;
	char				*name;
	unsigned			 refs;	/* of the plugin's side */
	bool				 is_held;	/* by the test */
	bool				 is_answered;
	bool				 is_gone;
	void				(*on_cancel)(struct chela_req *req,
					    void *arg);
	void				*cancel_arg;
	struct json_object		*reply;
	struct json_object		*interims;
};

struct fake_req {
	struct chela_req	*req;
};

/* Looking into answers. */

struct json_object *
fake_get(struct json_object *o, const char *path)
{
	char	 key[256];
	size_t	 n;

	while (o != NULL && *path != '\0') {
		n = strcspn(path, ".");
		if (n >= sizeof key)
			return (NULL);
		(void)snprintf(key, sizeof key, "%.*s", (int)n, path);
		path += path[n] == '.' ? n + 1 : n;
		if (json_object_is_type(o, json_type_array)) {
			o = json_object_array_get_idx(o,
			    (size_t)strtoul(key, NULL, 10));
		} else if (!json_object_object_get_ex(o, key, &o))
			return (NULL);
	}
	return (o);
}

const char *
fake_str(struct json_object *o, const char *path)
{
	o = fake_get(o, path);
	return (o == NULL ? "" : json_object_get_string(o));
}

int64_t
fake_int(struct json_object *o, const char *path)
{
	o = fake_get(o, path);
	return (o == NULL ? -1 : json_object_get_int64(o));
}

bool
fake_ok(struct json_object *reply)
{
	return (json_object_get_boolean(fake_get(reply, "ok")));
}

const char *
fake_code(struct json_object *reply)
{
	return (fake_str(reply, "error.code"));
}

const char *
fake_message(struct json_object *reply)
{
	return (fake_str(reply, "error.message"));
}

/* Clients. */

static bool
has_word(const char *words, const char *word)
{
	size_t	 n, len = strlen(word);

	while (*words != '\0') {
		n = strcspn(words, " ");
		if (n == len && memcmp(words, word, len) == 0)
			return (true);
		words += n + (words[n] == ' ');
	}
	return (false);
}

static bool
conn_scope(const struct chela_conn *c, const char *scope)
{
	const char	*words = c->opt.scopes;

	if (has_word(words, "admin") || has_word(words, scope))
		return (true);
	return (strcmp(scope, "read") == 0 && has_word(words, "write"));
}

static int
host_conn_info(struct chela_conn *c, struct chela_conn_info *ret_info)
{
	uint32_t	 size = ret_info->struct_size;

	*ret_info = (struct chela_conn_info){
		.struct_size = size,
		.role = c->opt.role,
		.id = c->id,
		.client_id = c->opt.client_id,
		.client_mode = c->opt.client_mode,
		.display_name = c->opt.display_name,
		.instance_id = c->opt.instance_id,
		.device_id = c->opt.device_id,
		.remote = c->opt.remote,
		.version = c->opt.version,
		.platform = c->opt.platform,
		.since_ms = c->since_ms,
	};
	return (0);
}

static int
host_conn_has_scope(struct chela_conn *c, const char *scope)
{
	return (conn_scope(c, scope) ? 1 : 0);
}

static int
host_conn_has_cap(struct chela_conn *c, const char *cap)
{
	return (has_word(c->opt.caps, cap) ? 1 : 0);
}

static int
host_conn_scopes(struct chela_conn *c, struct json_object **ret_scopes)
{
	struct json_object	*a = json_object_new_array();
	const char		*s = c->opt.scopes;
	size_t			 n;

	for (; *s != '\0'; s += n + (s[n] == ' ')) {
		n = strcspn(s, " ");
		json_object_array_add(a,
		    json_object_new_string_len(s, (int)n));
	}
	*ret_scopes = a;
	return (0);
}

static int
host_conn_on_close(struct chela_ctx *ctx, struct chela_conn *conn,
    void (*cb)(struct chela_ctx *ctx, struct chela_conn *conn, void *arg),
    void *arg)
{
	struct hook	*h;

	h = calloc(1, sizeof *h);
	if (h == NULL)
		return (-ENOMEM);
	h->conn = conn;
	h->cb = cb;
	h->arg = arg;
	list_append(&ctx->hooks, &h->link);
	return (0);
}

void
fake_hooks_free(struct chela_ctx *ctx)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &ctx->hooks) {
		list_remove(l);
		free(container_of(l, struct hook, link));
	}
}

static struct word *
topic_find(const struct chela_conn *c, const char *topic)
{
	struct list	*l, *tmp;
	struct word	*w;

	list_each(l, tmp, &c->topics) {
		w = container_of(l, struct word, link);
		if (strcmp(w->text, topic) == 0)
			return (w);
	}
	return (NULL);
}

static int
host_conn_subscribe(struct chela_ctx *ctx, struct chela_conn *conn,
    const char *topic)
{
	struct word	*w;

	(void)ctx;
	if (topic_find(conn, topic) != NULL)
		return (0);
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	w->text = strdup(topic);
	list_append(&conn->topics, &w->link);
	return (0);
}

static void
word_free(struct word *w)
{
	list_remove(&w->link);
	free(w->text);
	free(w);
}

static int
host_conn_unsubscribe(struct chela_ctx *ctx, struct chela_conn *conn,
    const char *topic)
{
	struct word	*w = topic_find(conn, topic);

	(void)ctx;
	if (w == NULL)
		return (-ENOENT);
	word_free(w);
	return (0);
}

struct chela_conn *
fake_conn_new(struct fake *f, const struct fake_conn_opt *opt)
{
	static const char *const defaults[] = { "admin", "", "test", "test",
	    "Test", "", "", "", "0", "test" };
	struct chela_conn	 *c;
	const char		**members[] = {
		NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL };
	size_t			  i;

	c = calloc(1, sizeof *c);
	if (c == NULL)
		abort();
	if (opt != NULL)
		c->opt = *opt;
	if (c->opt.role == 0)
		c->opt.role = CHELA_ROLE_OPERATOR;
	members[0] = &c->opt.scopes;
	members[1] = &c->opt.caps;
	members[2] = &c->opt.client_id;
	members[3] = &c->opt.client_mode;
	members[4] = &c->opt.display_name;
	members[5] = &c->opt.instance_id;
	members[6] = &c->opt.device_id;
	members[7] = &c->opt.remote;
	members[8] = &c->opt.version;
	members[9] = &c->opt.platform;
	for (i = 0; i < ARRAY_LEN(members); i++) {
		c->texts[i] = strdup(*members[i] != NULL ? *members[i] :
		    defaults[i]);
		*members[i] = c->texts[i];
	}
	c->f = f;
	c->since_ms = f->host.wall_ms();
	f->host.uuid(c->id);
	list_init(&c->topics);
	c->events = json_object_new_array();
	list_append(&f->conns, &c->link);
	return (c);
}

static void
req_cancel(struct chela_req *req)
{
	if (req->is_gone)
		return;
	req->is_gone = true;
	req->conn = NULL;
	if (req->on_cancel != NULL && !req->is_answered)
		req->on_cancel(req, req->cancel_arg);
}

void
fake_conn_close(struct chela_conn *conn)
{
	struct fake		*f = conn->f;
	struct list		*l, *tmp, *c, *ctmp;
	struct chela_ctx	*ctx;
	struct hook		*h;
	struct chela_req	*req;
	size_t			 i;

	list_remove(&conn->link);
	for (l = f->reqs.next; l != &f->reqs; ) {
		req = container_of(l, struct chela_req, link);
		l = l->next;
		if (req->conn != conn || req->is_gone)
			continue;
		req_cancel(req);
		l = f->reqs.next;	/* others may have ended with it */
	}
	list_each(c, ctmp, &f->ctxs) {
		ctx = container_of(c, struct chela_ctx, link);
		list_each(l, tmp, &ctx->hooks) {
			h = container_of(l, struct hook, link);
			if (h->conn != conn)
				continue;
			list_remove(l);
			h->cb(ctx, conn, h->arg);
			free(h);
		}
	}
	list_each(l, tmp, &conn->topics)
		word_free(container_of(l, struct word, link));
	for (i = 0; i < ARRAY_LEN(conn->texts); i++)
		free(conn->texts[i]);
	json_object_put(conn->events);
	if (f->all == conn)
		f->all = NULL;
	free(conn);
}

void
fake_conns_close(struct fake *f)
{
	while (!list_is_empty(&f->conns))
		fake_conn_close(list_first(&f->conns, struct chela_conn, link));
}

static int
conns_each(uint32_t roles, int (*cb)(struct chela_conn *conn, void *arg),
    void *arg)
{
	struct fake	*f = fake_the();
	struct list	*l, *tmp;
	int		 r = 0;

	list_each(l, tmp, &f->conns) {
		struct chela_conn *c = container_of(l, struct chela_conn, link);

		if (c == f->all || !(c->opt.role & roles))
			continue;
		r = cb(c, arg);
		if (r != 0)
			break;
	}
	return (r);
}

const struct chela_conns_1 fake_conns = {
	.struct_size = sizeof fake_conns,
	.each = conns_each,
};

/* Calls. */

static void
req_free_if_idle(struct chela_req *req)
{
	if (req->refs > 0 || req->is_held)
		return;
	list_remove(&req->link);
	json_object_put(req->reply);
	json_object_put(req->interims);
	free(req->name);
	free(req);
}

static int
req_set(struct chela_req *req, struct json_object *reply)
{
	if (req->is_answered || req->is_gone) {
		json_object_put(reply);
		return (req->is_gone ? -ECANCELED : -EALREADY);
	}
	req->is_answered = true;
	req->reply = reply;
	return (0);
}

static struct json_object *
reply_error(const char *code, const char *message)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*e = json_object_new_object();

	json_object_object_add(e, "code", json_object_new_string(code));
	json_object_object_add(e, "message", json_object_new_string(message));
	json_object_object_add(o, "ok", json_object_new_boolean(0));
	json_object_object_add(o, "error", e);
	return (o);
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
	if (req == NULL)
		return;
	if (--req->refs == 0 && !req->is_answered && !req->is_gone)
		(void)req_set(req, reply_error("UNAVAILABLE",
		    "the plugin gave no answer"));
	req_free_if_idle(req);
}

static int
host_req_reply(struct chela_req *req, struct json_object *result)
{
	struct json_object	*o, *copy = NULL;
	char			 why[512];

	/* A copy: what the plugin does to its object later does not count. */
	if (result != NULL && json_object_deep_copy(result, &copy, NULL) < 0)
		abort();
	json_object_put(result);
	if (!fake_schema_ok(req->ctx, "methods", req->name, "result", copy,
	    why, sizeof why)) {
		json_object_put(copy);
		(void)fprintf(stderr, "%s: result against its schema: %s\n",
		    req->name, why);
		return (req_set(req, reply_error("RESULT_SCHEMA", why)));
	}
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(1));
	json_object_object_add(o, "result", copy);
	return (req_set(req, o));
}

static int
host_req_reply_text(struct chela_req *req, char *json, size_t len)
{
	struct json_tokener	*tok = json_tokener_new_ex(256);
	struct json_object	*o;
	int			 r = -EINVAL;

	o = json_tokener_parse_ex(tok, json, (int)len + 1);
	if (json_tokener_get_error(tok) == json_tokener_success)
		r = host_req_reply(req, o);
	else
		(void)req_set(req, reply_error("RESULT_SYNTAX", json));
	json_tokener_free(tok);
	free(json);
	return (r);
}

static int
host_req_interim(struct chela_req *req, struct json_object *result)
{
	if (req->is_answered || req->is_gone) {
		json_object_put(result);
		return (req->is_gone ? -ECANCELED : -EALREADY);
	}
	json_object_array_add(req->interims, result);
	return (0);
}

static int host_req_fail_with(struct chela_req *req, const char *code,
    const struct chela_error *extra, const char *fmt, ...) printf_like(4, 5);
static int host_req_fail(struct chela_req *req, const char *code,
    const char *fmt, ...) printf_like(3, 4);

static int
host_req_fail_with(struct chela_req *req, const char *code,
    const struct chela_error *extra, const char *fmt, ...)
{
	char			 text[2048];
	struct json_object	*o, *e;
	va_list			 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	o = reply_error(code, text);
	e = json_object_object_get(o, "error");
	if (extra != NULL) {
		json_object_object_add(e, "retryable",
		    json_object_new_boolean(extra->retryable != 0));
		if (extra->retry_after_ms != 0)
			json_object_object_add(e, "retryAfterMs",
			    json_object_new_uint64(extra->retry_after_ms));
		if (extra->details != NULL)
			json_object_object_add(e, "details", extra->details);
	}
	return (req_set(req, o));
}

static int
host_req_fail(struct chela_req *req, const char *code, const char *fmt, ...)
{
	char	 text[2048];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return (req_set(req, reply_error(code, text)));
}

static void
host_req_on_cancel(struct chela_req *req,
    void (*cb)(struct chela_req *req, void *arg), void *arg)
{
	req->on_cancel = cb;
	req->cancel_arg = arg;
	if (req->is_gone && cb != NULL)
		cb(req, arg);
}

static const char *
host_req_method(const struct chela_req *req)
{
	return (req->name);
}

static struct chela_conn *
host_req_conn(const struct chela_req *req)
{
	return (req->conn);
}

static const struct chela_method *
method_find(struct fake *f, const char *name, struct chela_ctx **ret_ctx)
{
	const struct chela_method	*m;
	struct chela_ctx		*ctx;
	struct list			*l, *tmp;
	uint32_t			 i;

	list_each(l, tmp, &f->ctxs) {
		ctx = container_of(l, struct chela_ctx, link);
		for (i = 0; ctx->plugin != NULL && ctx->is_started &&
		    i < ctx->plugin->n_methods; i++) {
			m = (const struct chela_method *)(const void *)
			    ((const char *)ctx->plugin->methods +
			    (size_t)i * ctx->plugin->method_size);
			if (strcmp(m->name, name) == 0) {
				*ret_ctx = ctx;
				return (m);
			}
		}
	}
	return (NULL);
}

/* The daemon's order: role, scope, method, params, scope by params. */
static int
req_check(struct chela_req *req, struct json_object *params)
{
	char		 why[512];
	const char	*scope;

	if (req->method == NULL)
		return (host_req_fail(req, "INVALID_REQUEST",
		    "unknown method: %s", req->name));
	if (!(req->method->roles & req->conn->opt.role))
		return (host_req_fail(req, "INVALID_REQUEST",
		    "unauthorized role: %s",
		    req->conn->opt.role == CHELA_ROLE_NODE ? "node" :
		    "operator"));
	scope = req->method->scope;
	if (scope != NULL && req->conn->opt.role == CHELA_ROLE_OPERATOR &&
	    !conn_scope(req->conn, scope))
		return (host_req_fail(req, "FORBIDDEN",
		    "missing scope: operator.%s", scope));
	if (!json_object_is_type(params, json_type_object) ||
	    !fake_schema_ok(req->ctx, "methods", req->name, "params", params,
	    why, sizeof why))
		return (host_req_fail(req, "INVALID_REQUEST",
		    "invalid %s params: %s", req->name,
		    params == NULL ? "not JSON" : why));
	if (req->method->dynamic_scope == NULL ||
	    req->conn->opt.role != CHELA_ROLE_OPERATOR)
		return (0);
	scope = req->method->dynamic_scope(req->ctx, params);
	if (scope != NULL && !conn_scope(req->conn, scope))
		return (host_req_fail(req, "FORBIDDEN",
		    "missing scope: operator.%s", scope));
	return (0);
}

struct fake_req *
fake_send(struct fake *f, struct chela_conn *conn, const char *method,
    const char *params)
{
	struct json_object	*o;
	struct chela_req	*req;
	struct fake_req		*rq;
	int			 r;

	if (conn == NULL) {
		if (f->all == NULL)
			f->all = fake_conn_new(f, NULL);
		conn = f->all;
	}
	req = calloc(1, sizeof *req);
	rq = calloc(1, sizeof *rq);
	if (req == NULL || rq == NULL)
		abort();
	rq->req = req;
	req->f = f;
	req->conn = conn;
	req->name = strdup(method);
	req->refs = 1;
	req->is_held = true;
	req->interims = json_object_new_array();
	req->method = method_find(f, method, &req->ctx);
	list_append(&f->reqs, &req->link);
	o = json_tokener_parse(params);
	r = req_check(req, o);
	if (r == 0 && !req->is_answered) {
		r = req->method->handler(req->ctx, req, o);
		if (r < 0 && !req->is_answered)
			(void)host_req_fail(req, "UNAVAILABLE", "%s",
			    strerror(-r));
	}
	json_object_put(o);
	host_req_unref(req);
	return (rq);
}

static bool
has_reply(void *arg)
{
	struct chela_req	*req = arg;

	return (req->reply != NULL || req->is_gone);
}

struct json_object *
fake_reply(struct fake_req *rq)
{
	if (fake_wait(rq->req->f, has_reply, rq->req) < 0)
		(void)fprintf(stderr, "%s: no answer\n", rq->req->name);
	return (rq->req->reply);
}

struct json_object *
fake_reply_now(struct fake_req *rq)
{
	return (rq->req->reply);
}

struct json_object *
fake_interims(struct fake_req *rq)
{
	return (rq->req->interims);
}

void
fake_req_cancel(struct fake_req *rq)
{
	req_cancel(rq->req);
}

void
fake_req_free(struct fake_req *rq)
{
	if (rq == NULL)
		return;
	rq->req->is_held = false;
	req_free_if_idle(rq->req);
	free(rq);
}

struct json_object *
fake_call(struct fake *f, struct chela_conn *conn, const char *method,
    const char *params)
{
	struct fake_req		*rq;
	struct json_object	*o;

	rq = fake_send(f, conn, method, params);
	o = json_object_get(fake_reply(rq));
	fake_req_free(rq);
	return (o);
}

struct json_object *
fake_callf(struct fake *f, struct chela_conn *conn, const char *method,
    const char *fmt, ...)
{
	struct json_object	*o;
	va_list			 ap;
	char			*params;

	va_start(ap, fmt);
	if (vasprintf(&params, fmt, ap) < 0)
		abort();
	va_end(ap);
	o = fake_call(f, conn, method, params);
	free(params);
	return (o);
}

/* Events. */

static const struct chela_event *
event_find(const struct chela_ctx *ctx, const char *name)
{
	const struct chela_plugin	*p = ctx->plugin;
	const struct chela_event	*e;
	uint32_t			 i;

	for (i = 0; p != NULL && i < p->n_events; i++) {
		e = (const struct chela_event *)(const void *)
		    ((const char *)p->events + (size_t)i * p->event_size);
		if (strcmp(e->name, name) == 0)
			return (e);
	}
	return (NULL);
}

static bool
conn_gets(const struct chela_conn *c, const struct chela_event *e,
    const struct chela_emit *opt)
{
	uint32_t	 roles = e->roles != 0 ? e->roles : CHELA_ROLE_OPERATOR;

	if (!(roles & c->opt.role))
		return (false);
	if (e->scope != NULL && c->opt.role == CHELA_ROLE_OPERATOR &&
	    !conn_scope(c, e->scope))
		return (false);
	if (c->opt.role == CHELA_ROLE_NODE &&
	    (e->flags & CHELA_EVENT_NODE_DIRECT) != 0 &&
	    (opt == NULL || opt->only == NULL))
		return (false);
	if ((e->flags & CHELA_EVENT_SCOPED) != 0 &&
	    c->opt.role == CHELA_ROLE_NODE && (opt == NULL ||
	    opt->scoped_topic == NULL ||
	    topic_find(c, opt->scoped_topic) == NULL))
		return (false);
	if (opt == NULL)
		return (true);
	if (opt->only != NULL && opt->only != c)
		return (false);
	if (opt->except == c)
		return (false);
	if (opt->cap != NULL && !has_word(c->opt.caps, opt->cap))
		return (false);
	if (opt->topic != NULL && topic_find(c, opt->topic) == NULL)
		return (false);
	if (opt->scoped_topic != NULL && (e->flags & CHELA_EVENT_SCOPED) &&
	    has_word(c->opt.caps, "session-scoped-events") &&
	    topic_find(c, opt->scoped_topic) == NULL)
		return (false);
	return (true);
}

static struct json_object *
event_record(const char *event, struct json_object *payload)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "event", json_object_new_string(event));
	json_object_object_add(o, "payload", json_object_get(payload));
	return (o);
}

static void
add_text(struct json_object *o, const char *key, const char *s)
{
	if (s != NULL)
		json_object_object_add(o, key, json_object_new_string(s));
}

static int
host_emit(struct chela_ctx *ctx, const char *event,
    struct json_object *payload, const struct chela_emit *opt)
{
	const struct chela_event	*e = event_find(ctx, event);
	struct json_object		*copy = NULL, *o;
	struct chela_conn		*c;
	struct list			*l, *tmp;
	char				 why[512];
	int				 n = 0;

	if (payload != NULL && json_object_deep_copy(payload, &copy, NULL) < 0)
		abort();
	json_object_put(payload);
	if (e == NULL) {
		json_object_put(copy);
		return (-EINVAL);
	}
	if (!fake_schema_ok(ctx, "events", event, "payload", copy, why,
	    sizeof why)) {
		/* Recorded under another name, so that the test misses it. */
		(void)fprintf(stderr, "%s: payload against its schema: %s\n",
		    event, why);
		event = "PAYLOAD_SCHEMA";
	}
	list_each(l, tmp, &ctx->f->conns) {
		c = container_of(l, struct chela_conn, link);
		if (!conn_gets(c, e, opt))
			continue;
		json_object_array_add(c->events, event_record(event, copy));
		n++;
	}
	o = event_record(event, copy);
	if (opt != NULL) {
		add_text(o, "topic", opt->topic);
		add_text(o, "scopedTopic", opt->scoped_topic);
		add_text(o, "cap", opt->cap);
		add_text(o, "only", opt->only != NULL ? opt->only->id : NULL);
		add_text(o, "except", opt->except != NULL ? opt->except->id :
		    NULL);
	}
	json_object_object_add(o, "receivers", json_object_new_int(n));
	json_object_array_add(ctx->f->events, o);
	json_object_put(copy);
	return (n);
}

struct json_object *
fake_events(struct fake *f)
{
	return (f->events);
}

struct json_object *
fake_payloads(struct fake *f, struct chela_conn *conn, const char *event)
{
	struct json_object	*all, *a, *o;
	size_t			 i;

	all = conn != NULL ? conn->events : f->events;
	a = json_object_new_array();
	for (i = 0; i < json_object_array_length(all); i++) {
		o = json_object_array_get_idx(all, i);
		if (strcmp(fake_str(o, "event"), event) == 0)
			json_object_array_add(a,
			    json_object_get(fake_get(o, "payload")));
	}
	return (a);
}

struct event_wait {
	struct json_object	*all;
	const char		*event;
	size_t			 n;
	struct json_object	*found;
};

static bool
event_is_there(void *arg)
{
	struct event_wait	*w = arg;
	struct json_object	*o;
	size_t			 i, n = 0;

	for (i = 0; i < json_object_array_length(w->all); i++) {
		o = json_object_array_get_idx(w->all, i);
		if (strcmp(fake_str(o, "event"), w->event) == 0 &&
		    n++ == w->n) {
			w->found = fake_get(o, "payload");
			return (true);
		}
	}
	return (false);
}

size_t
fake_count(struct fake *f, struct chela_conn *conn, const char *event)
{
	struct event_wait	 w = { conn != NULL ? conn->events : f->events,
				    event, 0, NULL };

	while (event_is_there(&w))
		w.n++;
	return (w.n);
}

struct json_object *
fake_wait_event(struct fake *f, struct chela_conn *conn, const char *event,
    size_t n)
{
	struct event_wait	 w = { conn != NULL ? conn->events : f->events,
				    event, n, NULL };

	if (fake_wait(f, event_is_there, &w) < 0)
		(void)fprintf(stderr, "event %s did not come\n", event);
	return (w.found);
}

void
fake_events_clear(struct fake *f)
{
	struct list		*l, *tmp;
	struct chela_conn	*c;

	json_object_put(f->events);
	f->events = json_object_new_array();
	list_each(l, tmp, &f->conns) {
		c = container_of(l, struct chela_conn, link);
		json_object_put(c->events);
		c->events = json_object_new_array();
	}
}

void
fake_call_table(struct chela_host *h)
{
	h->req_ref = host_req_ref;
	h->req_unref = host_req_unref;
	h->req_reply = host_req_reply;
	h->req_reply_text = host_req_reply_text;
	h->req_interim = host_req_interim;
	h->req_fail = host_req_fail;
	h->req_fail_with = host_req_fail_with;
	h->req_on_cancel = host_req_on_cancel;
	h->req_method = host_req_method;
	h->req_conn = host_req_conn;
	h->conn_info = host_conn_info;
	h->conn_has_scope = host_conn_has_scope;
	h->conn_has_cap = host_conn_has_cap;
	h->conn_scopes = host_conn_scopes;
	h->conn_on_close = host_conn_on_close;
	h->conn_subscribe = host_conn_subscribe;
	h->conn_unsubscribe = host_conn_unsubscribe;
	h->emit = host_emit;
}
