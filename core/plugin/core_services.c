/* SPDX-License-Identifier: MIT */
/* What the core exports to plugins: core.state/1, core.plugins/1, core.conns/1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/services/conns.h>
#include <chela/services/plugins.h>
#include <chela/services/state.h>

#include "core/access/auth.h"
#include "core/access/scope.h"
#include "core/config/config.h"
#include "core/json/json.h"
#include "core/net/net.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"

/* The vtables have no context: there is one host in a process. */
static struct host	*svc_host;

static int
svc_presence_list(struct json_object **ret)
{
	return (state_presence_list(svc_host->env.state, ret));
}

static int
svc_presence_upsert(struct json_object *entry)
{
	return (state_presence_upsert(svc_host->env.state, entry));
}

static const char *
svc_presence_text(size_t *ret_len)
{
	return (state_presence_text(svc_host->env.state, ret_len));
}

static struct json_object *
svc_health_get(void)
{
	return (state_health(svc_host->env.state));
}

static int
svc_health_set(struct json_object *health)
{
	return (state_health_set(svc_host->env.state, health));
}

static uint64_t
svc_health_age_us(void)
{
	return (state_health_age_us(svc_host->env.state));
}

static const char *
svc_health_text(size_t *ret_len)
{
	return (state_health_text(svc_host->env.state, ret_len));
}

static void
svc_versions(uint64_t *ret_presence, uint64_t *ret_health)
{
	state_versions(svc_host->env.state, ret_presence, ret_health);
}

static struct json_object *
svc_event_loop(void)
{
	struct json_object	*o = NULL;

	(void)state_event_loop(svc_host->env.state, &o);
	return (o);
}

/* What it did to the others, and what it has now. */
static struct json_object *
plugin_trouble(const struct chela_ctx *ctx)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "id", ctx->name);
	(void)json_add_int(o, "crashes", crash_count(ctx));
	(void)json_add_int(o, "denied", (int64_t)ctx->n_denied);
	(void)json_add_int(o, "timeouts", (int64_t)ctx->n_timeouts);
	(void)json_add_int(o, "lateAnswers", (int64_t)ctx->n_late);
	(void)json_add_int(o, "openCalls", ctx->n_reqs);
	(void)json_add_int(o, "timers",
	    (int64_t)quota_used(ctx, QUOTA_TIMERS));
	(void)json_add_int(o, "watches",
	    (int64_t)quota_used(ctx, QUOTA_WATCHES));
	(void)json_add_int(o, "waiting", (int64_t)(quota_used(ctx, QUOTA_POSTS) +
	    quota_used(ctx, QUOTA_JOBS)));
	(void)json_add_int(o, "writes",
	    (int64_t)quota_used(ctx, QUOTA_WRITES));
	(void)json_add_int(o, "queuedBytes",
	    (int64_t)quota_used(ctx, QUOTA_WRITE_BYTES));
	return (o);
}

static struct json_object *
svc_plugins(void)
{
	struct json_object	*o, *loaded, *errors, *trouble, *e;
	struct list		*l, *tmp;

	o = json_object_new_object();
	loaded = json_object_new_array();
	errors = json_object_new_array();
	(void)json_add(o, "loaded", loaded);
	(void)json_add(o, "errors", errors);
	(void)json_add(o, "unavailable", json_object_new_array());
	trouble = json_object_new_array();
	list_each(l, tmp, &svc_host->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		if (ctx->state == PLUGIN_ACTIVE)
			(void)json_push(loaded,
			    json_object_new_string(ctx->name));
		else if (ctx->error != NULL) {
			e = json_object_new_object();
			(void)json_add_str(e, "id", ctx->name);
			(void)json_add_str(e, "origin", "directory");
			(void)json_add_bool(e, "activated", false);
			(void)json_add_str(e, "error", ctx->error);
			(void)json_push(errors, e);
		}
		if (ctx->n_denied != 0 || ctx->n_timeouts != 0 ||
		    crash_count(ctx) != 0)
			(void)json_push(trouble, plugin_trouble(ctx));
	}
	/* OpenClaw's clients know no such member: most never see it. */
	if (json_object_array_length(trouble) > 0)
		(void)json_add(o, "trouble", trouble);
	else
		json_object_put(trouble);
	return (o);
}

static uint64_t
svc_uptime_ms(void)
{
	return (state_uptime_ms(svc_host->env.state));
}

static const char *
svc_version(void)
{
	return (svc_host->env.version);
}

static const char *
svc_boot_id(void)
{
	return (svc_host->env.boot_id);
}

static const char *
svc_bind_address(void)
{
	return (svc_host->env.bind_address);
}

static uint32_t
svc_port(void)
{
	return (*svc_host->env.port);
}

static const char *
svc_auth_mode(void)
{
	return (auth_mode_name(proto_settings(svc_host->env.proto)->access->auth.mode));
}

static const char *
svc_config_path(void)
{
	return (svc_host->conf == NULL ? "" : conf_path(svc_host->conf));
}

static uint32_t
svc_n_connections(void)
{
	return (proto_n_peers(svc_host->env.proto));
}

static struct json_object *
svc_sockets(void)
{
	const struct net_stats	*s = svc_host->env.sockets;
	struct json_object	*o, *tls;

	if (s == NULL)
		return (NULL);
	o = json_object_new_object();
	tls = json_object_new_object();
	(void)json_add_int(o, "open", s->n_open);
	(void)json_add_int(o, "handshaking", s->n_unauth);
	(void)json_add_int(o, "accepted", (int64_t)s->accepted);
	(void)json_add_int(o, "refused", (int64_t)(s->refused_source +
	    s->refused_total + s->refused_fd));
	(void)json_add_int(o, "timeouts", (int64_t)s->timeouts);
	(void)json_add_int(o, "slowConsumers", (int64_t)s->slow_consumers);
	(void)json_add_int(o, "protocolErrors", (int64_t)s->protocol_errors);
	(void)json_add_int(tls, "handshakes", (int64_t)s->tls_done);
	(void)json_add_int(tls, "resumed", (int64_t)s->tls_resumed);
	(void)json_add_int(tls, "failed", (int64_t)s->tls_failed);
	(void)json_add_int(tls, "refused", (int64_t)s->tls_refused);
	(void)json_add(o, "tls", tls);
	return (o);
}

static const struct chela_state_1 state_vtable = {
	.struct_size = sizeof state_vtable,
	.presence_list = svc_presence_list,
	.presence_upsert = svc_presence_upsert,
	.presence_text = svc_presence_text,
	.health_get = svc_health_get,
	.health_set = svc_health_set,
	.health_age_us = svc_health_age_us,
	.health_text = svc_health_text,
	.versions = svc_versions,
	.event_loop = svc_event_loop,
	.plugins = svc_plugins,
	.uptime_ms = svc_uptime_ms,
	.version = svc_version,
	.boot_id = svc_boot_id,
	.bind_address = svc_bind_address,
	.port = svc_port,
	.auth_mode = svc_auth_mode,
	.config_path = svc_config_path,
	.n_connections = svc_n_connections,
	.sockets = svc_sockets,
};

static uint64_t
svc_generation(void)
{
	return (svc_host->generation);
}

static void
info_fill(const struct chela_ctx *ctx, struct chela_plugin_info *ret)
{
	static char		 version[32];
	struct chela_plugin_info info;
	uint32_t		 i, size = ret->struct_size, v = 0;

	memset(&info, 0, sizeof info);
	if (ctx->desc != NULL)
		v = ctx->desc->version;
	(void)snprintf(version, sizeof version, "%u.%u.%u", v >> 22,
	    v >> 12 & 1023, v & 4095);
	info.struct_size = size;
	info.state = ctx->state == PLUGIN_ACTIVE ? CHELA_PLUGIN_ENABLED :
	    ctx->is_enabled && ctx->error != NULL ? CHELA_PLUGIN_FAILED :
	    CHELA_PLUGIN_DISABLED;
	info.id = ctx->name;
	info.summary = ctx->desc != NULL && ctx->desc->summary != NULL ?
	    ctx->desc->summary : "";
	info.version = version;
	info.path = ctx->path;
	info.error = ctx->error != NULL ? ctx->error : "";
	info.n_methods = ctx->desc != NULL ? ctx->desc->n_methods : 0;
	info.n_events = ctx->desc != NULL ? ctx->desc->n_events : 0;
	for (i = 0; ctx->methods != NULL && i < ctx->methods->n; i++) {
		const struct method *m = &ctx->methods->all[i];

		info.n_calls += m->n_calls;
		info.n_failures += m->n_failures;
		info.n_slow += m->n_slow;
		info.max_us = MAX_OF(info.max_us, m->max_us);
	}
	info.n_denied = ctx->n_denied;
	info.n_timeouts = ctx->n_timeouts;
	info.n_late = ctx->n_late;
	info.queued_bytes = quota_used(ctx, QUOTA_WRITE_BYTES);
	info.n_open = ctx->n_reqs;
	info.n_timers = (uint32_t)quota_used(ctx, QUOTA_TIMERS);
	info.n_watches = (uint32_t)quota_used(ctx, QUOTA_WATCHES);
	info.n_posts = (uint32_t)(quota_used(ctx, QUOTA_POSTS) +
	    quota_used(ctx, QUOTA_JOBS));
	info.n_writes = (uint32_t)quota_used(ctx, QUOTA_WRITES);
	info.n_crashes = crash_count(ctx);
	memcpy(ret, &info, MIN_OF((size_t)size, sizeof info));
}

static int
ctx_name_cmp(const void *a, const void *b)
{
	return (strcmp((*(struct chela_ctx *const *)a)->name,
	    (*(struct chela_ctx *const *)b)->name));
}

/* All plugins by name: gives an array that ends in NULL. */
static struct chela_ctx **
sorted_plugins(void)
{
	struct list		*l, *tmp;
	struct chela_ctx	**all;
	size_t			 n = 0;

	list_each(l, tmp, &svc_host->plugins)
		n++;
	all = calloc(n + 1, sizeof *all);
	if (all == NULL)
		return (NULL);
	n = 0;
	list_each(l, tmp, &svc_host->plugins)
		all[n++] = container_of(l, struct chela_ctx, link);
	qsort(all, n, sizeof *all, ctx_name_cmp);
	return (all);
}

static int
svc_each_plugin(int (*cb)(const struct chela_plugin_info *info, void *arg),
    void *arg)
{
	struct chela_ctx	**all = sorted_plugins();
	struct chela_plugin_info info = { .struct_size = sizeof info };
	size_t			 i;
	int			 r = 0;

	if (all == NULL)
		return (-ENOMEM);
	for (i = 0; r == 0 && all[i] != NULL; i++) {
		/* A plugin that is gone and stopped is no longer installed. */
		if (!all[i]->is_seen && all[i]->state == PLUGIN_READY)
			continue;
		info_fill(all[i], &info);
		r = cb(&info, arg);
	}
	free(all);
	return (r);
}

static int
svc_find(const char *id, struct chela_plugin_info *ret)
{
	struct chela_ctx	*ctx = host_find(svc_host, id);

	if (ctx == NULL || (!ctx->is_seen && ctx->state == PLUGIN_READY))
		return (-ENOENT);
	info_fill(ctx, ret);
	return (0);
}

static int
method_name_cmp(const void *a, const void *b)
{
	return (strcmp((*(struct method *const *)a)->desc.name,
	    (*(struct method *const *)b)->desc.name));
}

static int
svc_each_method(int (*cb)(const struct chela_method_info *info, void *arg),
    void *arg)
{
	struct method		**all, *m;
	struct chela_method_info info;
	size_t			 i = 0, n, pos = 0;
	int			 r = 0;

	n = map_len(svc_host->methods);
	all = calloc(n + 1, sizeof *all);
	if (all == NULL)
		return (-ENOMEM);
	while (i < n && map_next(svc_host->methods, &pos, NULL, NULL,
	    (void **)&m))
		all[i++] = m;
	qsort(all, i, sizeof *all, method_name_cmp);
	for (n = i, i = 0; r == 0 && i < n; i++) {
		m = all[i];
		if (m->ctx->state == PLUGIN_HELD)
			continue;	/* known, but not to be had now */
		info = (struct chela_method_info){
			.struct_size = sizeof info,
			.flags = m->desc.flags,
			.name = m->desc.name,
			.plugin = m->ctx->name,
			.scope = m->desc.scope != NULL ? m->desc.scope : "",
			.summary = "",
			.roles = m->desc.roles,
			.n_calls = m->n_calls,
		};
		r = cb(&info, arg);
	}
	free(all);
	return (r);
}

struct each_event {
	int	(*cb)(const char *name, const char *plugin, const char *scope,
		    void *arg);
	void	*arg;
};

static int
on_event(const char *name, uint32_t scope, const void *owner, void *arg)
{
	struct each_event	*e = arg;
	const struct chela_ctx	*ctx = owner;
	const char		*s = scope_name(scope);

	return (e->cb(name, owner == svc_host->env.state ? "core" : ctx->name,
	    s != NULL ? s : "", e->arg));
}

static int
svc_each_event(int (*cb)(const char *name, const char *plugin,
    const char *scope, void *arg), void *arg)
{
	struct each_event	 e = { cb, arg };

	bus_each(state_bus(svc_host->env.state), on_event, &e);
	return (0);
}

static int
svc_each_dep(const char *id, int (*cb)(const char *dep, int is_optional,
    void *arg), void *arg)
{
	struct chela_ctx	*ctx = host_find(svc_host, id);
	const struct chela_dep	*d;
	uint32_t		 i;
	int			 r = 0;

	if (ctx == NULL || ctx->desc == NULL)
		return (-ENOENT);
	for (i = 0; r == 0 && i < ctx->desc->n_deps; i++) {
		d = ctx_dep(ctx, i);
		r = cb(d->name, (d->flags & CHELA_DEP_OPTIONAL) != 0, arg);
	}
	return (r);
}

static int
svc_schema(const char *id, struct json_object **ret)
{
	struct chela_ctx	*ctx = host_find(svc_host, id);

	return (ctx == NULL ? -ENOENT : schemas_document(ctx, ret));
}

/* Who asked for a refresh; it may be the plugin that leaves by it. */
struct asked {
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	chela_done_fn		*done;
	void			*arg;
};

static void
on_refreshed(void *arg, int r)
{
	struct asked	*a = arg;
	struct frame	 f;

	if (a->generation == a->ctx->generation) {
		frame_enter(&f, a->ctx, "refreshed");
		a->done(a->ctx, r, svc_host->generation, a->arg);
		(void)frame_leave(&f);
	}
	free(a);
}

static int
svc_refresh(struct chela_ctx *ctx, chela_done_fn *done, void *arg)
{
	struct asked	*a;

	if (done == NULL) {
		host_refresh(svc_host, NULL, NULL);
		return (0);
	}
	a = malloc(sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	*a = (struct asked){ ctx, ctx->generation, done, arg };
	host_refresh(svc_host, on_refreshed, a);
	return (0);
}

static int
svc_forgive(const char *id)
{
	struct chela_ctx	*ctx = host_find(svc_host, id);

	return (ctx == NULL ? -ENOENT : crash_forgive(ctx));
}

/* Who hears of each refresh; one that has stopped is dropped at the next. */
struct change_listener {
	struct list		 link;
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	chela_cb_fn		*fn;
	void			*arg;
};

static struct list	change_listeners;

static int
svc_on_change(struct chela_ctx *ctx, chela_cb_fn *fn, void *arg)
{
	struct change_listener	*l = calloc(1, sizeof *l);

	if (l == NULL)
		return (-ENOMEM);
	l->ctx = ctx;
	l->generation = ctx->generation;
	l->fn = fn;
	l->arg = arg;
	list_append(&change_listeners, &l->link);
	return (0);
}

void
core_services_changed(void)
{
	struct list		*l, *tmp;
	struct change_listener	*x;
	struct frame		 f;

	list_each(l, tmp, &change_listeners) {
		x = container_of(l, struct change_listener, link);
		if (x->generation != x->ctx->generation) {
			list_remove(&x->link);
			free(x);
			continue;
		}
		frame_enter(&f, x->ctx, "plugins changed");
		x->fn(x->ctx, x->arg);
		(void)frame_leave(&f);
	}
}

void
core_services_fini(void)
{
	struct change_listener	*x;

	while ((x = list_first(&change_listeners, struct change_listener,
	    link)) != NULL) {
		list_remove(&x->link);
		free(x);
	}
}

static const struct chela_plugins_1 plugins_vtable = {
	.struct_size = sizeof plugins_vtable,
	.generation = svc_generation,
	.each = svc_each_plugin,
	.find = svc_find,
	.each_method = svc_each_method,
	.each_event = svc_each_event,
	.each_dep = svc_each_dep,
	.schema = svc_schema,
	.refresh = svc_refresh,
	.forgive = svc_forgive,
	.on_change = svc_on_change,
};

static int
svc_each_conn(uint32_t roles, int (*cb)(struct chela_conn *conn, void *arg),
    void *arg)
{
	struct list	*l, *tmp;
	int		 r = 0;

	list_each(l, tmp, proto_peers(svc_host->env.proto)) {
		struct peer *p = container_of(l, struct peer, link);

		if ((p->role & roles) == 0)
			continue;
		r = cb((struct chela_conn *)(void *)p, arg);
		if (r != 0)
			break;
	}
	return (r);
}

static const struct chela_conns_1 conns_vtable = {
	.struct_size = sizeof conns_vtable,
	.each = svc_each_conn,
};

int
host_export_core(struct host *h)
{
	int	 r;

	svc_host = h;
	list_init(&change_listeners);
	r = host_export(h, CHELA_STATE_SERVICE, &state_vtable);
	if (r == 0)
		r = host_export(h, CHELA_PLUGINS_SERVICE, &plugins_vtable);
	if (r == 0)
		r = host_export(h, CHELA_CONNS_SERVICE, &conns_vtable);
	if (r == 0)
		r = access_service_export(h);
	if (r == 0)
		r = lifecycle_service_export(h);
	if (r == 0)
		r = routes_service_export(h);
	return (r);
}
