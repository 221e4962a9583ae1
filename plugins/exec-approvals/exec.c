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

struct json_object *
get_any(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object))
		return (NULL);
	(void)json_object_object_get_ex(o, name, &v);
	return (v);
}

const char *
get_str(struct json_object *o, const char *name)
{
	struct json_object	*v = get_any(o, name);

	return (json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : NULL);
}

int64_t
get_int(struct json_object *o, const char *name, int64_t none)
{
	struct json_object	*v = get_any(o, name);

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (none);
	return (json_object_get_int64(v));
}

void
set_str(struct json_object *o, const char *name, const char *s)
{
	if (s != NULL)
		json_object_object_add(o, name, json_object_new_string(s));
}

void
set_str_or_null(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name,
	    s == NULL ? NULL : json_object_new_string(s));
}

void
set_int(struct json_object *o, const char *name, int64_t v)
{
	json_object_object_add(o, name, json_object_new_int64(v));
}

static const char *const decisions[] = {
	[CHELA_ALLOW_ONCE] = "allow-once",
	[CHELA_ALLOW_ALWAYS] = "allow-always",
	[CHELA_DENY] = "deny",
};

const char *
decision_name(uint32_t decision)
{
	return (decision > CHELA_DENY ? NULL : decisions[decision]);
}

uint32_t
decision_of(const char *name)
{
	uint32_t	d;

	for (d = CHELA_ALLOW_ONCE; name != NULL && d <= CHELA_DENY; d++) {
		if (strcmp(decisions[d], name) == 0)
			return (d);
	}
	return (CHELA_DECISION_NONE);
}

struct json_object *
allowed_names(uint32_t allowed)
{
	struct json_object	*list = json_object_new_array();
	uint32_t		 d;

	for (d = CHELA_ALLOW_ONCE; d <= CHELA_DENY; d++) {
		if ((allowed & 1u << d) != 0)
			(void)json_object_array_add(list,
			    json_object_new_string(decisions[d]));
	}
	return (list);
}

int
fail_reason(struct chela_req *req, const char *reason, const char *text)
{
	struct chela_error	e = { .struct_size = sizeof e };

	e.details = json_object_new_object();
	set_str(e.details, "reason", reason);
	if (strcmp(reason, "APPROVAL_NOT_FOUND") == 0)
		set_str(e.details, "remediation",
		    "List what is pending and use an id from there.");
	return (ex.host->req_fail_with(req, ERR_BAD, &e, "%s", text));
}

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
	calls_stop();
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
