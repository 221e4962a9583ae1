/* SPDX-License-Identifier: MIT */
/*
 * May this program run? The policy document, the questions of kind "exec",
 * standing permissions of scheduled jobs, and service "approvals/1" for other
 * plugins. The records themselves are plugin approvals'.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "exec_priv.h"

struct exec ex;

int
sha256_hex(const void *p, size_t len, char ret[DIGEST_SIZE])
{
	unsigned char	digest[32];
	size_t		i;

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, p, len, digest) < 0)
		return (-EIO);
	for (i = 0; i < sizeof digest; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return (0);
}

static int
exec_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&ex, 0, sizeof ex);
	ex.ctx = ctx;
	ex.host = host;
	memset(&asked, 0, sizeof asked);
	asked.ctx = ctx;
	asked.host = host;
	asked.ended = bind_end;
	return (host->svc_export(ctx, CHELA_APPROVALS_SERVICE,
	    &approvals_service));
}

static int
exec_start(struct chela_ctx *ctx)
{
	int	r;

	ex.records = ex.host->svc_import(ctx, CHELA_APPROVAL_RECORDS_SERVICE);
	if (ex.records == NULL)
		return (-ENOENT);
	asked.records = ex.records;
	r = file_start();
	if (r < 0)
		return (r);
	return (ex.records->add_kind(&exec_kind));
}

static void
exec_stop(struct chela_ctx *ctx)
{
	ex.is_stopping = true;
	if (ex.records != NULL) {
		ex.records->drop_kind(KIND);
		ex.records->unwait(ctx, NULL);
	}
	asked_stop();
	file_stop();
	service_stop();
}

static const struct chela_method methods[] = {
	{
		.name = "exec.approvals.get",
		.handler = policy_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "exec.approvals.set",
		.handler = policy_set,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "exec.approvals.node.get",
		.handler = node_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "exec.approvals.node.set",
		.handler = node_set,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "exec.approval.request",
		.handler = exec_request,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.waitDecision",
		.handler = exec_wait,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.resolve",
		.handler = exec_resolve,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.get",
		.handler = exec_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.list",
		.handler = exec_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.grants.list",
		.handler = grants_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
	{
		.name = "exec.approval.grants.revoke",
		.handler = grants_revoke,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "approvals",
	},
};

static const struct chela_event events[] = {
	{
		.name = "exec.approval.requested",
		.scope = "approvals",
	},
	{
		.name = "exec.approval.resolved",
		.scope = "approvals",
	},
};

static const struct chela_dep deps[] = {
	{ "approvals", CHELA_VERSION(1, 0, 0), 0 },
};

CHELA_PLUGIN = {
	CHELA_HEAD("exec-approvals"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Which programs may run, and who is asked",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = exec_init,
	.start = exec_start,
	.stop = exec_stop,
};
