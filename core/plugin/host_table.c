/* SPDX-License-Identifier: MIT */
/* The host table: connections, events, configuration, services. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/uuid.h"
#include "core/config/config.h"
#include "core/json/json.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/dialect.h"
#include "core/protocol/peer.h"
#include "core/state/state.h"

struct close_cb {
	struct list		 in_peer;
	struct list		 in_ctx;
	struct peer		*peer;
	struct chela_ctx	*ctx;
	void			(*cb)(struct chela_ctx *ctx,
				    struct chela_conn *conn, void *arg);
	void			*arg;
};

static struct peer *
conn_peer(struct chela_conn *conn)
{
	return ((struct peer *)(void *)conn);
}

static void *
host_priv(const struct chela_ctx *ctx)
{
	return (ctx->priv);
}

static void
host_set_priv(struct chela_ctx *ctx, void *priv)
{
	ctx->priv = priv;
}

static void
host_log(struct chela_ctx *ctx, int level, const char *fmt, ...)
{
	va_list	 ap;

	if (level < LOG_LEVEL_ERR)
		level = LOG_LEVEL_ERR;
	else if (level > LOG_LEVEL_DEBUG)
		level = LOG_LEVEL_DEBUG;
	va_start(ap, fmt);
	log_vwrite((enum log_level)level, ctx->name, fmt, ap);
	va_end(ap);
}

static int
host_conn_info(struct chela_conn *conn, struct chela_conn_info *ret)
{
	const struct peer	*p = conn_peer(conn);
	struct chela_conn_info	 in;
	uint32_t		 size = ret->struct_size;

	if (p->info == NULL)
		return (-ENOTCONN);
	in = (struct chela_conn_info){
		.struct_size = size,
		.role = p->role,
		.id = p->id,
		.client_id = p->info->client_id,
		.client_mode = p->info->client_mode,
		.display_name = p->info->display_name,
		.instance_id = p->info->instance_id,
		.device_id = p->info->device_id,
		.remote = p->info->remote,
		.version = p->info->version,
		.platform = p->info->platform,
		.since_ms = p->since_ms,
	};
	memcpy(ret, &in, MIN_OF((size_t)size, sizeof in));
	return (0);
}

static int
host_conn_has_scope(struct chela_conn *conn, const char *scope)
{
	uint32_t	 bit = scope_parse(scope, strlen(scope));

	return (bit != 0 && scope_covers(conn_peer(conn)->closure, bit));
}

static int
host_conn_has_cap(struct chela_conn *conn, const char *cap)
{
	return (peer_has_cap(conn_peer(conn), cap));
}

static int
host_conn_scopes(struct chela_conn *conn, struct json_object **ret)
{
	const struct peer	*p = conn_peer(conn);
	struct buf		 b = BUF_INIT;
	int			 r;

	r = scope_json(&b, p->scopes, p->dialect->has_scope_prefix);
	if (r == 0)
		r = json_parse(b.data, b.len, ret);
	buf_fini(&b);
	return (r);
}

static int
host_conn_on_close(struct chela_ctx *ctx, struct chela_conn *conn,
    void (*cb)(struct chela_ctx *ctx, struct chela_conn *conn, void *arg),
    void *arg)
{
	struct peer	*p = conn_peer(conn);
	struct close_cb	*c;

	if (p->state != PEER_OPEN)
		return (-ENOTCONN);
	c = malloc(sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	c->peer = p;
	c->ctx = ctx;
	c->cb = cb;
	c->arg = arg;
	list_append(&p->close_cbs, &c->in_peer);
	list_append(&ctx->close_cbs, &c->in_ctx);
	return (0);
}

static void
close_cb_free(struct close_cb *c)
{
	list_remove(&c->in_peer);
	list_remove(&c->in_ctx);
	free(c);
}

void
ctx_drop_close_cbs(struct chela_ctx *ctx)
{
	struct close_cb	*c;

	while ((c = list_first(&ctx->close_cbs, struct close_cb, in_ctx)) !=
	    NULL)
		close_cb_free(c);
}

void
host_peer_close_cbs(struct peer *p)
{
	struct close_cb	*c, mine;
	struct frame	 f;

	while ((c = list_first(&p->close_cbs, struct close_cb, in_peer)) !=
	    NULL) {
		mine = *c;
		close_cb_free(c);
		frame_enter(&f, mine.ctx, "connection closed");
		mine.cb(mine.ctx, (struct chela_conn *)(void *)p, mine.arg);
		(void)frame_leave(&f);
	}
}

static int
host_conn_subscribe(struct chela_ctx *ctx, struct chela_conn *conn,
    const char *topic)
{
	return (bus_subscribe(state_bus(ctx->host->env.state), conn_peer(conn),
	    topic, ctx));
}

static int
host_conn_unsubscribe(struct chela_ctx *ctx, struct chela_conn *conn,
    const char *topic)
{
	return (bus_unsubscribe(state_bus(ctx->host->env.state),
	    conn_peer(conn), topic));
}

static bool
ctx_declares(const struct chela_ctx *ctx, const char *event)
{
	const struct chela_event	*e;
	uint32_t			 i;

	for (i = 0; i < ctx->desc->n_events; i++) {
		e = (const void *)((const char *)ctx->desc->events +
		    (size_t)i * ctx->desc->event_size);
		if (strcmp(e->name, event) == 0)
			return (true);
	}
	return (false);
}

static int
host_emit(struct chela_ctx *ctx, const char *event,
    struct json_object *payload, const struct chela_emit *opt)
{
	struct bus_opts	 o = { NULL, NULL, NULL, NULL, NULL };
	int		 r;

	if (!ctx_declares(ctx, event)) {
		quota_dropped(ctx, "an event that it does not declare");
		json_object_put(payload);
		return (-EINVAL);
	}
	r = quota_take_event(ctx);
	if (r < 0) {
		json_object_put(payload);
		return (r);
	}
	if (opt != NULL) {
		o.topic = opt->topic;
		o.scoped_topic = opt->scoped_topic;
		o.cap = opt->cap;
		o.only = opt->only == NULL ? NULL : conn_peer(opt->only);
		o.except = opt->except == NULL ? NULL : conn_peer(opt->except);
	}
	r = bus_emit(state_bus(ctx->host->env.state), event, payload, &o);
	if (r == -EMSGSIZE)
		quota_dropped(ctx, "an event that is too large");
	return (r);
}

static struct json_object *
host_conf(struct chela_ctx *ctx)
{
	struct buf		 path = BUF_INIT;
	struct json_object	*o = NULL;

	(void)buf_printf(&path, "plugins.entries.%s.config", ctx->name);
	(void)buf_putc(&path, '\0');
	if (!path.is_failed && ctx->host->conf != NULL)
		o = conf_get(ctx->host->conf, path.data);
	buf_fini(&path);
	return (o);
}

static struct json_object *
host_conf_path(struct chela_ctx *ctx, const char *path)
{
	/* The gateway's own secrets are no plugin's business. */
	if (ctx->host->conf == NULL || *path == '\0' ||
	    strcmp(path, "gateway") == 0 ||
	    strncmp(path, "gateway.auth", 12) == 0)
		return (NULL);
	return (conf_get(ctx->host->conf, path));
}

static struct host	*the_host;	/* state_dir() has no context */

static const char *
host_state_dir(void)
{
	return (the_host->env.state_dir);
}

static int
service_add(struct host *h, struct chela_ctx *ctx, const char *name,
    const void *vtable)
{
	size_t		 len = strlen(name);
	struct service	*s;

	s = malloc(sizeof *s + len + 1);
	if (s == NULL)
		return (-ENOMEM);
	s->ctx = ctx;
	s->vtable = vtable;
	memcpy(s->name, name, len + 1);
	list_append(&h->services, &s->link);
	return (0);
}

int
host_export(struct host *h, const char *name, const void *vtable)
{
	return (service_add(h, NULL, name, vtable));
}

static int
host_svc_export(struct chela_ctx *ctx, const char *name, const void *vtable)
{
	if (strncmp(name, "core.", 5) == 0)
		return (-EPERM);
	return (service_add(ctx->host, ctx, name, vtable));
}

static bool
ctx_depends_on(const struct chela_ctx *ctx, const struct chela_ctx *other)
{
	uint32_t	 i;

	for (i = 0; i < ctx->desc->n_deps; i++) {
		if (strcmp(ctx_dep(ctx, i)->name, other->name) == 0)
			return (true);
	}
	return (false);
}

static const void *
host_svc_import(struct chela_ctx *ctx, const char *name)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &ctx->host->services) {
		const struct service *s = container_of(l, struct service, link);

		if (strcmp(s->name, name) == 0 && (s->ctx == NULL ||
		    s->ctx == ctx || ctx_depends_on(ctx, s->ctx)))
			return (s->vtable);
	}
	return (NULL);
}

static int
host_svc_each(struct chela_ctx *ctx, const char *name,
    int (*cb)(const char *plugin, const void *vtable, void *arg), void *arg)
{
	struct list	*l, *tmp;
	int		 r = 0;

	list_each(l, tmp, &ctx->host->services) {
		const struct service *s = container_of(l, struct service, link);

		if (strcmp(s->name, name) != 0)
			continue;
		r = cb(s->ctx == NULL ? "core" : s->ctx->name, s->vtable, arg);
		if (r != 0)
			break;
	}
	return (r);
}

static void
host_uuid(char ret_text[37])
{
	uuid_make(ret_text);
}

void
host_fill_table(struct host *h)
{
	struct chela_host	*t = &h->table;

	the_host = h;
	memset(t, 0, sizeof *t);
	t->struct_size = sizeof *t;
	t->abi_major = CHELA_ABI_MAJOR;
	t->abi_minor = CHELA_ABI_MINOR;
	t->priv = host_priv;
	t->set_priv = host_set_priv;
	t->log = host_log;
	t->conn_info = host_conn_info;
	t->conn_has_scope = host_conn_has_scope;
	t->conn_has_cap = host_conn_has_cap;
	t->conn_scopes = host_conn_scopes;
	t->conn_on_close = host_conn_on_close;
	t->conn_subscribe = host_conn_subscribe;
	t->conn_unsubscribe = host_conn_unsubscribe;
	t->emit = host_emit;
	t->conf = host_conf;
	t->conf_path = host_conf_path;
	t->state_dir = host_state_dir;
	t->svc_export = host_svc_export;
	t->svc_import = host_svc_import;
	t->svc_each = host_svc_each;
	t->uuid = host_uuid;
	host_fill_req(t);
	host_fill_loop(t);
	host_fill_store(t);
}
