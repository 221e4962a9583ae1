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

const char *
get_str(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) ||
	    !json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

int64_t
get_int(struct json_object *o, const char *name, int64_t none)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) ||
	    (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double)))
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

void
set_copy(struct json_object *to, struct json_object *from, const char *name)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(from, name, &v);
	json_object_object_add(to, name, json_object_get(v));
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
	return (ap.host->req_fail_with(req, ERR_BAD, &e, "%s", text));
}

static int
approvals_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&ap, 0, sizeof ap);
	ap.ctx = ctx;
	ap.host = host;
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
	calls_stop();
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
