/* SPDX-License-Identifier: MIT */
/* One plugin's way up (init, start, into the tables) and down again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/json/schema.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"

void
ctx_set_error(struct chela_ctx *ctx, const char *text)
{
	free(ctx->error);
	ctx->error = text == NULL ? NULL : strdup(text);
}

const struct chela_dep *
ctx_dep(const struct chela_ctx *ctx, uint32_t i)
{
	return ((const void *)((const char *)ctx->desc->deps +
	    (size_t)i * ctx->desc->dep_size));
}

struct chela_ctx *
host_find(struct host *h, const char *name)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		if (strcmp(ctx->name, name) == 0)
			return (ctx);
	}
	return (NULL);
}

/* Are the dependencies there? Else why says which is not, and why not. */
static int
plugin_check_deps(struct chela_ctx *ctx, bool is_dry, struct buf *why)
{
	const struct chela_dep	*d;
	struct chela_ctx	*other;
	uint32_t		 i;

	for (i = 0; i < ctx->desc->n_deps; i++) {
		d = ctx_dep(ctx, i);
		if ((d->flags & CHELA_DEP_OPTIONAL) != 0)
			continue;
		other = host_find(ctx->host, d->name);
		if (other == NULL || (!is_dry && other->state != PLUGIN_ACTIVE) ||
		    other->state == PLUGIN_REFUSED) {
			(void)buf_printf(why, "needs plugin '%s', which is %s",
			    d->name, other == NULL ? "not installed" :
			    other->state == PLUGIN_REFUSED ? "refused" :
			    other->is_crashed ? "stopped for its crashes" :
			    !other->is_enabled ? "disabled" : "not running");
			return (-ENOENT);
		}
		if (other->desc->version < d->min_version) {
			(void)buf_printf(why, "needs plugin '%s' %u.%u.%u, "
			    "there is %u.%u.%u", d->name, d->min_version >> 22,
			    d->min_version >> 12 & 1023, d->min_version & 4095,
			    other->desc->version >> 22,
			    other->desc->version >> 12 & 1023,
			    other->desc->version & 4095);
			return (-ENOENT);
		}
	}
	return (0);
}

/* Without starting anything: what is needed is there and was not refused. */
void
host_check_deps(struct host *h)
{
	struct buf	 why = BUF_INIT;
	struct list	*l, *tmp;

	list_each(l, tmp, &h->plugins) {
		struct chela_ctx *ctx = container_of(l, struct chela_ctx, link);

		buf_reset(&why);
		if (ctx->state == PLUGIN_REFUSED ||
		    plugin_check_deps(ctx, true, &why) == 0)
			continue;
		(void)buf_putc(&why, '\0');
		ctx->state = PLUGIN_REFUSED;
		ctx_set_error(ctx, why.is_failed ? "a dependency is missing" :
		    why.data);
	}
	buf_fini(&why);
}

static int
plugin_call(struct chela_ctx *ctx, const char *what,
    int (*fn)(struct chela_ctx *ctx))
{
	struct frame	 f;
	int		 r;

	if (fn == NULL)
		return (0);
	frame_enter(&f, ctx, what);
	r = fn(ctx);
	(void)frame_leave(&f);
	return (r);
}

static void
plugin_call_void(struct chela_ctx *ctx, const char *what,
    void (*fn)(struct chela_ctx *ctx))
{
	struct frame	 f;

	if (fn == NULL)
		return;
	frame_enter(&f, ctx, what);
	fn(ctx);
	(void)frame_leave(&f);
}

static struct methods *
methods_new(uint32_t n)
{
	struct methods	*m;

	m = calloc(1, sizeof *m + n * sizeof m->all[0]);
	if (m != NULL) {
		m->refs = 1;
		m->n = n;
	}
	return (m);
}

struct methods *
methods_unref(struct methods *m)
{
	uint32_t	 i;

	if (m == NULL || --m->refs > 0)
		return (NULL);
	for (i = 0; i < m->n; i++) {
		(void)schema_free(m->all[i].params);
		(void)schema_free(m->all[i].result);
	}
	free(m);
	return (NULL);
}

static void
method_fill(struct chela_ctx *ctx, struct method *m, uint32_t i)
{
	memcpy(&m->desc, (const char *)ctx->desc->methods +
	    (size_t)i * ctx->desc->method_size, sizeof m->desc);
	m->ctx = ctx;
	m->rule.roles = m->desc.roles;
	m->rule.scope = m->desc.scope == NULL ? 0 :
	    scope_parse(m->desc.scope, strlen(m->desc.scope));
}

static int
plugin_enter_tables(struct chela_ctx *ctx, struct buf *why)
{
	struct host		*h = ctx->host;
	const struct chela_plugin *d = ctx->desc;
	const struct chela_event *e;
	struct method		*m, *other;
	uint32_t		 i, scope;
	int			 r;

	ctx->methods = methods_new(d->n_methods);
	if (ctx->methods == NULL)
		return (-ENOMEM);
	for (i = 0; i < d->n_methods; i++) {
		m = &ctx->methods->all[i];
		method_fill(ctx, m, i);
		other = map_getz(h->methods, m->desc.name);
		if (other != NULL) {
			(void)buf_printf(why, "method '%s' belongs to plugin "
			    "'%s'", m->desc.name, other->ctx->name);
			return (-EEXIST);
		}
		if (map_putz(h->methods, m->desc.name, m) < 0)
			return (-ENOMEM);
	}
	for (i = 0; i < d->n_events; i++) {
		e = (const void *)((const char *)d->events +
		    (size_t)i * d->event_size);
		scope = e->scope == NULL ? 0 :
		    scope_parse(e->scope, strlen(e->scope));
		/* The flags of the ABI and of the bus are the same bits. */
		r = bus_add(state_bus(h->env.state), e->name, scope, e->roles,
		    e->flags, ctx);
		if (r < 0) {
			(void)buf_printf(why, "event '%s' is there already",
			    e->name);
			return (r);
		}
	}
	return (0);
}

_Static_assert(CHELA_EVENT_DROPPABLE == BUS_DROPPABLE &&
    CHELA_EVENT_VERSIONED == BUS_VERSIONED &&
    CHELA_EVENT_SCOPED == BUS_SCOPED &&
    CHELA_EVENT_NODE_DIRECT == BUS_NODE_DIRECT, "one set of bits");
_Static_assert(CHELA_ROLE_OPERATOR == ROLE_OPERATOR &&
    CHELA_ROLE_NODE == ROLE_NODE, "one set of bits");

void
plugin_leave_tables(struct chela_ctx *ctx)
{
	struct host	*h = ctx->host;
	struct method	*m;
	uint32_t	 i;

	for (i = 0; ctx->methods != NULL && i < ctx->methods->n; i++) {
		m = &ctx->methods->all[i];
		if (m->desc.name != NULL && map_getz(h->methods,
		    m->desc.name) == m)
			(void)map_delz(h->methods, m->desc.name);
	}
	(void)routes_remove(ctx, NULL);
	bus_remove_owner(state_bus(h->env.state), ctx);
}

/* What the host holds for a plugin goes with it. */
static void
plugin_drop(struct chela_ctx *ctx)
{
	struct list	*l, *tmp;

	ctx->generation++;
	(void)routes_remove(ctx, NULL);
	deadline_fini(ctx);
	ctx_drop_timers(ctx);
	ctx_drop_close_cbs(ctx);
	list_each(l, tmp, &ctx->host->services) {
		struct service *s = container_of(l, struct service, link);

		if (s->ctx == ctx) {
			list_remove(&s->link);
			free(s);
		}
	}
	ctx->methods = methods_unref(ctx->methods);
	ctx->priv = NULL;
	ctx->is_inited = false;
}

int
plugin_up(struct chela_ctx *ctx, struct buf *why)
{
	struct frame	 f;
	int		 r;

	r = plugin_check_deps(ctx, false, why);
	if (r < 0)
		return (r);
	ctx_set_error(ctx, NULL);
	if (ctx->desc->init != NULL) {
		frame_enter(&f, ctx, "init");
		r = ctx->desc->init(ctx, &ctx->host->table);
		(void)frame_leave(&f);
		if (r < 0) {
			(void)buf_printf(why, "init() failed: %s", strerror(-r));
			goto fail;
		}
	}
	ctx->is_inited = true;
	r = plugin_enter_tables(ctx, why);
	if (r < 0)
		goto fail;
	ctx->state = PLUGIN_ACTIVE;
	r = plugin_call(ctx, "start", ctx->desc->start);
	if (r < 0) {
		(void)buf_printf(why, "start() failed: %s", strerror(-r));
		goto fail;
	}
	ctx->host->generation++;
	return (0);
fail:
	ctx->state = PLUGIN_READY;
	plugin_leave_tables(ctx);
	if (ctx->is_inited)
		plugin_call_void(ctx, "fini", ctx->desc->fini);
	plugin_drop(ctx);
	return (r);
}

/* Its methods stay known, so that a caller hears more than "unknown method". */
static void
plugin_hold(struct chela_ctx *ctx)
{
	const struct chela_plugin *d = ctx->desc;
	struct host	*h = ctx->host;
	struct method	*m;
	uint32_t	 i;

	ctx->state = PLUGIN_HELD;
	ctx->methods = methods_new(d->n_methods);
	if (ctx->methods == NULL)
		return;
	for (i = 0; i < d->n_methods; i++) {
		m = &ctx->methods->all[i];
		method_fill(ctx, m, i);
		if (map_getz(h->methods, m->desc.name) == NULL)
			(void)map_putz(h->methods, m->desc.name, m);
	}
}

void
plugin_hold_stopped(struct chela_ctx *ctx)
{
	struct buf	 why = BUF_INIT;

	(void)buf_printf(&why, "went over its limits %d times within %d seconds "
	    "and was stopped, until it is enabled again (plugins.setEnabled, or "
	    "'chela plugins enable %s')", QUOTA_DENIED_MAX,
	    (int)(QUOTA_DENIED_US / SEC_US(1)), ctx->name);
	(void)buf_putc(&why, '\0');
	ctx_set_error(ctx, why.is_failed ? "over its limits" : why.data);
	buf_fini(&why);
	plugin_hold(ctx);
}

void
plugin_unhold(struct chela_ctx *ctx)
{
	plugin_leave_tables(ctx);
	ctx->methods = methods_unref(ctx->methods);
	ctx->is_crashed = false;
	ctx->state = PLUGIN_READY;
}

int
plugin_try(struct chela_ctx *ctx)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	ctx->is_crashed = crash_holds(ctx, &why);
	r = ctx->is_crashed ? -ECANCELED : plugin_up(ctx, &why);
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		ctx_set_error(ctx, why.is_failed || why.len <= 1 ? "failed" :
		    why.data);
		log_err("plugin", "plugin '%s': not started (%s)", ctx->name,
		    ctx->error != NULL ? ctx->error : "");
		plugin_hold(ctx);
	}
	buf_fini(&why);
	return (r);
}

void
plugin_stop(struct chela_ctx *ctx)
{
	plugin_leave_tables(ctx);
	plugin_call_void(ctx, "stop", ctx->desc->stop);
	ctx->state = PLUGIN_READY;
}

void
plugin_fini(struct chela_ctx *ctx)
{
	plugin_call_void(ctx, "fini", ctx->desc->fini);
	plugin_drop(ctx);
	ctx->host->generation++;
}

void
plugin_down(struct chela_ctx *ctx)
{
	plugin_stop(ctx);
	plugin_fini(ctx);
}

/* Depth first; a plugin comes after what it depends on. */
static void
sort_visit(struct host *h, struct chela_ctx *ctx, struct list *out,
    struct buf *chain)
{
	struct chela_ctx	*other;
	size_t			 len = chain->len;
	uint32_t		 i;

	if (ctx->visit == 2)
		return;
	(void)buf_printf(chain, "%s%s", len > 0 ? " -> " : "", ctx->name);
	if (ctx->visit == 1) {
		(void)buf_putc(chain, '\0');
		if (!chain->is_failed) {
			log_err("plugin", "plugin '%s': dependencies go in a "
			    "circle (%s)", ctx->name, chain->data);
			ctx_set_error(ctx, chain->data);
		}
		ctx->state = PLUGIN_REFUSED;
		chain->len = len;
		return;
	}
	ctx->visit = 1;
	for (i = 0; ctx->desc != NULL && i < ctx->desc->n_deps; i++) {
		other = host_find(h, ctx_dep(ctx, i)->name);
		if (other != NULL)
			sort_visit(h, other, out, chain);
	}
	chain->len = len;
	ctx->visit = 2;
	list_remove(&ctx->link);
	list_append(out, &ctx->link);
}

void
host_sort(struct host *h)
{
	struct list	 out, *l, *tmp;
	struct buf	 chain = BUF_INIT;
	struct chela_ctx *ctx;

	list_each(l, tmp, &h->plugins)
		container_of(l, struct chela_ctx, link)->visit = 0;
	list_init(&out);
	while ((ctx = list_first(&h->plugins, struct chela_ctx, link)) != NULL) {
		sort_visit(h, ctx, &out, &chain);
		/* One in a circle is moved by whoever closes it. */
	}
	list_each(l, tmp, &out) {
		list_remove(l);
		list_append(&h->plugins, l);
	}
	buf_fini(&chain);
}
