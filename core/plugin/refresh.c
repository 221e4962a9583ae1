/* SPDX-License-Identifier: MIT */
/*
 * Plugins that come and go while the daemon runs. A look at the directories and the
 * configuration decides who has to leave; those drain (their methods are gone, open
 * requests finish), go down in reverse order, and then whoever can come up does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/json/json.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"

#define REFRESH_SETTLE_US	MS_US(300) /* a copy into the directory ends */

static void	refresh_continue(void *arg);

static bool
ctx_must_leave(const struct chela_ctx *ctx)
{
	return (!ctx->is_seen || !ctx->is_enabled || ctx->is_stopped);
}

/*
 * Marks who leaves: those that are gone or off, and everybody who imports from
 * them. An optional dependency too: its importer comes up again without it.
 */
static void
refresh_mark(struct host *h)
{
	struct list	*l, *tmp;
	const struct chela_dep *d;
	struct chela_ctx *ctx, *other;
	uint32_t	 i;

	/* The list is in dependency order: one pass is enough. */
	list_each(l, tmp, &h->plugins) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->state != PLUGIN_ACTIVE)
			continue;
		if (ctx_must_leave(ctx)) {
			ctx->state = PLUGIN_DRAINING;
			continue;
		}
		for (i = 0; i < ctx->desc->n_deps; i++) {
			d = ctx_dep(ctx, i);
			other = host_find(h, d->name);
			/* One that left, or an optional one that now comes. */
			if (other != NULL && (other->state == PLUGIN_DRAINING ||
			    (other->state == PLUGIN_READY &&
			    !ctx_must_leave(other))))
				ctx->state = PLUGIN_DRAINING;
		}
	}
}

static void
refresh_answer(struct host *h, int r)
{
	struct refresh_cb	*cb, *next;

	h->is_refreshing = false;
	cb = h->refresh_cbs;
	h->refresh_cbs = NULL;
	for (; cb != NULL; cb = next) {
		next = cb->next;
		cb->done(cb->arg, r);
		free(cb);
	}
}

static void
refresh_done(struct host *h)
{
	struct json_object	*o;

	o = json_object_new_object();
	if (o != NULL) {
		(void)json_add_int(o, "generation", (int64_t)h->generation);
		(void)bus_emit(state_bus(h->env.state), "plugins.changed", o,
		    NULL);
	}
	core_services_changed();
	refresh_answer(h, 0);
}

static void
refresh_up(struct host *h)
{
	struct list	*l, *tmp;
	struct chela_ctx *ctx;

	host_sort(h);
	list_each(l, tmp, &h->plugins) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->state != PLUGIN_READY || ctx_must_leave(ctx))
			continue;
		if (plugin_try(ctx) == 0)
			log_notice("plugin", "plugin '%s': loaded", ctx->name);
	}
}

static struct chela_req *
peer_req_of(struct peer *p, const struct chela_ctx *ctx)
{
	struct list		*l, *tmp;
	struct chela_req	*req;

	list_each(l, tmp, &p->reqs) {
		req = container_of(l, struct chela_req, link);
		if (req->ctx == ctx)
			return (req);
	}
	return (NULL);
}

void
ctx_cut_requests(struct chela_ctx *ctx, bool is_told, const char *why)
{
	struct list		*l, *tmp;
	struct peer		*p;
	struct chela_req	*req;

	list_each(l, tmp, proto_peers(ctx->host->env.proto)) {
		p = container_of(l, struct peer, link);
		/* What is told may end more of them: begin anew each time. */
		while ((req = peer_req_of(p, ctx)) != NULL) {
			(void)ctx->host->table.req_ref(req);
			(void)ctx->host->table.req_fail(req, "UNAVAILABLE",
			    "plugin '%s' %s", ctx->name, why);
			if (!is_told)
				req->on_cancel = NULL;
			req_cancel(req);
			(void)req_unref(req);
		}
	}
}

/* How long to wait for those that still have requests; 0: not at all. */
static uint64_t
refresh_drain(struct host *h, uint64_t now)
{
	struct list	*l, *tmp;
	struct chela_ctx *ctx;
	uint64_t	 wait_us = 0;

	list_each(l, tmp, &h->plugins) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->state != PLUGIN_DRAINING || ctx->n_reqs == 0)
			continue;
		if (now >= ctx->drain_us)
			ctx_cut_requests(ctx, true, "was disabled");
		else
			wait_us = MAX_OF(wait_us, ctx->drain_us - now);
	}
	return (wait_us);
}

static void
refresh_continue(void *arg)
{
	struct host	*h = arg;
	struct list	*l, *prev;
	struct chela_ctx *ctx;
	uint64_t	 wait_us;

	if (!h->is_refreshing || !h->is_running)
		return;
	wait_us = refresh_drain(h, clock_now_us());
	if (wait_us > 0) {
		(void)loop_timer_set(h->drain_timer, wait_us);
		return;
	}
	loop_timer_stop(h->drain_timer);
	for (l = h->plugins.prev; l != &h->plugins; l = prev) {
		prev = l->prev;
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->state != PLUGIN_DRAINING)
			continue;
		plugin_down(ctx);
		log_notice("plugin", "plugin '%s': disabled (%s)", ctx->name,
		    !ctx->is_seen ? "its file is gone" : !ctx->is_enabled ?
		    "by the configuration" : ctx->is_stopped ?
		    "over its limits" : "a plugin it uses changes");
		if (ctx->is_seen && ctx->is_enabled && ctx->is_stopped)
			plugin_hold_stopped(ctx);
	}
	refresh_up(h);
	refresh_done(h);
}

void
host_kick(struct host *h)
{
	(void)loop_defer(h->env.loop, refresh_continue, h);
}

static void
refresh_begin(struct host *h)
{
	struct list	*l, *tmp;
	struct chela_ctx *ctx;

	if (!h->is_running)
		return;
	(void)host_scan(h);
	if (h->conf != NULL)
		host_set_conf(h, h->conf);
	list_each(l, tmp, &h->plugins) {
		ctx = container_of(l, struct chela_ctx, link);
		if (!ctx->is_enabled)
			ctx->is_stopped = false;
		if (ctx->state == PLUGIN_HELD && (!ctx->is_seen ||
		    !ctx->is_enabled || (!ctx->is_stopped &&
		    (!ctx->is_crashed || crash_count(ctx) == 0))))
			plugin_unhold(ctx);
	}
	refresh_mark(h);
	list_each(l, tmp, &h->plugins) {
		ctx = container_of(l, struct chela_ctx, link);
		if (ctx->state != PLUGIN_DRAINING)
			continue;
		ctx->drain_us = clock_now_us() + HOST_DRAIN_US;
		plugin_leave_tables(ctx);
	}
	refresh_continue(h);
}

/* Without a worker: the loop reads for itself. */
static void
refresh_begin_bare(void *arg)
{
	refresh_begin(arg);
}

void
host_refresh(struct host *h, void (*done)(void *arg, int r), void *arg)
{
	struct refresh_cb	*cb;

	if (h->is_stopped) {
		if (done != NULL)
			done(arg, -ECANCELED);
		return;
	}
	if (done != NULL) {
		cb = malloc(sizeof *cb);
		if (cb == NULL) {
			done(arg, -ENOMEM);
			return;
		}
		*cb = (struct refresh_cb){ h->refresh_cbs, done, arg };
		h->refresh_cbs = cb;
	}
	if (h->drain_timer == NULL && h->is_running)
		h->drain_timer = loop_timer_new(h->env.loop, refresh_continue,
		    h);
	if (h->is_refreshing)
		return;
	h->is_refreshing = true;
	/* Not from within a plugin's own call: it may be the one that leaves. */
	if (prefetch_start(h, refresh_begin) < 0 &&
	    loop_post(h->env.loop, refresh_begin_bare, h) < 0)
		refresh_answer(h, -ENOMEM);
}

void
host_end_refresh(struct host *h)
{
	h->is_stopped = true;
	refresh_answer(h, -ECANCELED);
}

static void
host_on_settled(void *arg)
{
	host_refresh(arg, NULL, NULL);
}

static void
host_on_inotify(int fd, uint32_t what, void *arg)
{
	struct host	*h = arg;
	char		 events[4096];

	(void)what;
	while (read(fd, events, sizeof events) > 0)
		;
	(void)loop_timer_set(h->inotify_timer, REFRESH_SETTLE_US);
}

void
host_watch(struct host *h)
{
	size_t	 i;

	h->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (h->inotify_fd < 0)
		return;
	for (i = 0; i < h->n_dirs; i++)
		(void)inotify_add_watch(h->inotify_fd, h->dirs[i],
		    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
		    IN_ONLYDIR);
	h->inotify_timer = loop_timer_new(h->env.loop, host_on_settled, h);
	h->inotify_watch = loop_watch_new(h->env.loop, h->inotify_fd, LOOP_READ,
	    host_on_inotify, h);
}
