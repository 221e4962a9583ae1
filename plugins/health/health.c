/* SPDX-License-Identifier: MIT */
/*
 * Plugin health: how the gateway is, for everybody (health, cached for a
 * minute and pushed as an event) and for operators (status). Probes of
 * channels are the only thing that takes time; a refresh with them is one for
 * all who wait.
 */
#include "health.h"

#include <errno.h>
#include <string.h>

struct health	 hl;

struct pick {
	const void	*vtable;
};

static int
pick_first(const char *plugin, const void *vtable, void *arg)
{
	struct pick	*p = arg;

	(void)plugin;
	p->vtable = vtable;
	return (1);
}

const void *
hl_service(const char *name)
{
	struct pick	 p = { NULL };

	(void)hl.host->svc_each(hl.ctx, name, pick_first, &p);
	return (p.vtable);
}

static int
health_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&hl, 0, sizeof hl);
	hl.ctx = ctx;
	hl.host = host;
	hl.state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	hl.config = host->svc_import(ctx, CHELA_CONFIG_SERVICE);
	return (hl.state == NULL ? -ENOSYS : 0);
}

static int
health_start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (refresh_start());
}

static void
health_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	refresh_stop();
}

static const struct chela_method methods[] = {
	/* Everybody who is connected may ask whether we live. */
	{ .name = "health", .handler = health_get,
	    .roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE, .scope = NULL },
	{ .name = "status", .handler = health_status,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
};

static const struct chela_event events[] = {
	{ .name = "health", .roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE,
	    .flags = CHELA_EVENT_VERSIONED | CHELA_EVENT_DROPPABLE },
};

static const struct chela_dep deps[] = {
	{ .name = "sessions", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agents", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "models", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "system", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "channels", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("health"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "How the gateway and what it serves are",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = health_init,
	.start = health_start,
	.stop = health_stop,
};
