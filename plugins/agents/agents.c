/* SPDX-License-Identifier: MIT */
/*
 * Plugin agents: who the assistants are, and the files in their workspaces. The
 * configuration is the source of truth; this plugin changes it through the
 * core.
 */
#include "agents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct agents agents;

static int
agents_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	const char	*home = getenv("HOME");

	memset(&agents, 0, sizeof agents);
	agents.ctx = ctx;
	agents.host = host;
	if (home != NULL && *home == '/')
		(void)snprintf(agents.home, sizeof agents.home, "%s", home);
	return (host->svc_export(ctx, CHELA_AGENTS_SERVICE, &agents_service));
}

static const struct chela_method methods[] = {
	{
		.name = "agents.list",
		.handler = agents_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "agents.create",
		.handler = agents_create,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "agents.update",
		.handler = agents_update,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "agents.delete",
		.handler = agents_delete,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "agents.files.list",
		.handler = agents_files_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "agents.files.get",
		.handler = agents_files_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "agents.files.set",
		.handler = agents_files_set,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "agents.workspace.list",
		.handler = agents_workspace_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "agents.workspace.get",
		.handler = agents_workspace_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("agents"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "The agents and the files of their workspaces",
	CHELA_METHODS(methods),
	.init = agents_init,
};
