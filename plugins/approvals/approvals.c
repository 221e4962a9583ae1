/* SPDX-License-Identifier: MIT */
/*
 * Approvals of all kinds: the records, the methods that work on any of them,
 * and the kind "plugin". The kind "exec" is of plugin exec-approvals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

struct approvals ap;

static int
approvals_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&ap, 0, sizeof ap);
	ap.ctx = ctx;
	ap.host = host;
	memset(&asked, 0, sizeof asked);
	asked.ctx = ctx;
	asked.host = host;
	asked.records = &records_service;
	return (host->svc_export(ctx, CHELA_APPROVAL_RECORDS_SERVICE,
	    &records_service));
}

static int
approvals_start(struct chela_ctx *ctx)
{
	ap.conns = ap.host->svc_import(ctx, CHELA_CONNS_SERVICE);
	(void)records_service.add_kind(&plugin_kind);
	(void)records_service.add_kind(&system_kind);
	return (records_start());
}

static void
approvals_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	asked_stop();
	records_stop();
}

static const struct chela_method methods[] = {
	{
		.name = "approval.get",
		.handler = approval_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "approval.resolve",
		.handler = approval_resolve,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "approval.history",
		.handler = approval_history,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "plugin.approval.list",
		.handler = plugin_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "plugin.approval.request",
		.handler = plugin_request,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "plugin.approval.waitDecision",
		.handler = plugin_wait,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "plugin.approval.resolve",
		.handler = plugin_resolve,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "openclaw.approval.list",
		.handler = system_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
};

static const struct chela_event events[] = {
	{
		.name = "plugin.approval.requested",
		.scope = "approvals",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "plugin.approval.resolved",
		.scope = "approvals",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "openclaw.approval.requested",
		.scope = "approvals",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "openclaw.approval.resolved",
		.scope = "approvals",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "session.approval",
		.scope = "approvals",
	},
};

static const struct chela_dep deps[] = {
	{ "sessions", CHELA_VERSION(1, 0, 0), CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("approvals"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Asking people before something is done",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = approvals_init,
	.start = approvals_start,
	.stop = approvals_stop,
};
