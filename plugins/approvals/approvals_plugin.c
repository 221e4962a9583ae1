/* SPDX-License-Identifier: MIT */
/*
 * The kinds "plugin" and "system-agent": plugin.approval.*,
 * openclaw.approval.list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

#define TITLE_MAX	80	/* characters */
#define DESCRIPTION_MAX	512
#define DETAIL_MAX	16384	/* bytes; more is cut */

/* --- plugin.approval.request --- */

static uint32_t
allowed_of(struct json_object *params)
{
	struct json_object	*v = NULL;
	uint32_t		 bits = 0;
	size_t			 i;

	if (json_object_object_get_ex(params, "allowedDecisions", &v) &&
	    json_object_is_type(v, json_type_array)) {
		for (i = 0; i < json_object_array_length(v); i++)
			bits |= 1u << decision_of(json_object_get_string(
			    json_object_array_get_idx(v, i)));
	}
	/* NONE is not in the schema; a list of deny alone stays that. */
	return (bits & ~1u);
}

/* The agent and the session that it names, if they are there. */
static int
scope_check(struct chela_req *req, struct json_object *params, char *ret_key,
    const char **ret_fault)
{
	const struct chela_sessions_1	*ss;
	const char			*agent = get_str(params, "agentId");
	const char			*key = get_str(params, "sessionKey");
	struct chela_session_info	 info = { .struct_size = sizeof info };
	char				 id[CHELA_SESSION_AGENT_MAX + 1];

	(void)req;
	*ret_key = '\0';
	ss = ap.host->svc_import(ap.ctx, CHELA_SESSIONS_SERVICE);
	if (ss == NULL) {
		if (key != NULL)
			(void)snprintf(ret_key, CHELA_SESSION_KEY_MAX + 1,
			    "%s", key);
		return (0);
	}
	if (agent != NULL && *agent != '\0' && ss->agent_id(agent, id) < 0) {
		*ret_fault = "agent";
		return (-ENOENT);
	}
	if (key == NULL || *key == '\0')
		return (0);
	if (ss->canonical(key, agent != NULL && *agent != '\0' ? agent : NULL,
	    ret_key) < 0 || ss->info(ret_key, &info) < 0) {
		*ret_fault = "session";
		return (-ENOENT);
	}
	return (0);
}

/* Gives the two objects, or -EINVAL with *ret_fault. */
static int
shown(struct json_object *params, const char *key, uint32_t allowed,
    struct json_object **ret_request, struct json_object **ret_shown,
    const char **ret_fault)
{
	static const char *const copied[] = { "toolCallId", "mcpTool",
	    "turnSourceChannel", "turnSourceTo", "turnSourceAccountId",
	    "turnSourceThreadId" };
	struct json_object	*q, *p, *v = NULL;
	const char		*detail = get_str(params, "detail");
	const char		*severity = get_str(params, "severity"), *s;
	char			*title, *text, *more = NULL;
	size_t			 i;
	int			 r = -EINVAL;

	title = text_clean(get_str(params, "title"));
	text = text_clean(get_str(params, "description"));
	if (detail != NULL)
		more = text_clean_lines(detail, DETAIL_MAX);
	if (title == NULL || text == NULL || (detail != NULL && more == NULL)) {
		r = -ENOMEM;
		goto out;
	}
	if (*title == '\0' || text_chars(title) > TITLE_MAX)
		*ret_fault = "title";
	else if (*text == '\0' || text_chars(text) > DESCRIPTION_MAX)
		*ret_fault = "description";
	if (*ret_fault != NULL)
		goto out;
	q = json_object_new_object();
	p = json_object_new_object();
	set_str(p, "kind", "plugin");
	set_str(q, "title", title);
	set_str(p, "title", title);
	set_str(q, "description", text);
	set_str(p, "description", text);
	if (more != NULL && *more != '\0') {
		set_str(q, "detail", more);
		set_str(p, "detail", more);
	}
	severity = severity != NULL ? severity : "warning";
	set_str(q, "severity", severity);
	set_str(p, "severity", severity);
	for (i = 0; i < 3; i++) {
		static const char *const names[] = { "pluginId", "toolName",
		    "agentId" };

		s = get_str(params, names[i]);
		s = s != NULL && *s != '\0' ? s : NULL;
		set_str_or_null(q, names[i], s);
		set_str_or_null(p, names[i], s);
	}
	if (json_object_object_get_ex(params, "scope", &v) && v != NULL) {
		json_object_object_add(q, "scope", json_object_get(v));
		json_object_object_add(p, "scope", json_object_get(v));
	}
	for (i = 0; i < sizeof copied / sizeof copied[0]; i++) {
		if (json_object_object_get_ex(params, copied[i], &v) &&
		    v != NULL)
			json_object_object_add(q, copied[i],
			    json_object_get(v));
	}
	set_str_or_null(q, "sessionKey", *key != '\0' ? key : NULL);
	json_object_object_add(q, "allowedDecisions", allowed_names(allowed));
	json_object_object_add(p, "allowedDecisions", allowed_names(allowed));
	*ret_request = q;
	*ret_shown = p;
	r = 0;
out:
	free(title);
	free(text);
	free(more);
	return (r);
}

int
plugin_request(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_record_open spec = { .struct_size = sizeof spec };
	const char		*fault = NULL;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	int			 r;

	(void)ctx;
	if (scope_check(req, params, key, &fault) < 0) {
		if (strcmp(fault, "agent") == 0)
			return (ap.host->req_fail(req, ERR_BAD,
			    "unknown agent id \"%s\"",
			    get_str(params, "agentId")));
		return (ap.host->req_fail(req, ERR_BAD, "unknown session"));
	}
	spec.allowed = allowed_of(params);
	if (spec.allowed == 0)
		spec.allowed = 1u << CHELA_ALLOW_ONCE | 1u << CHELA_ALLOW_ALWAYS;
	spec.allowed |= 1u << CHELA_DENY;
	r = shown(params, key, spec.allowed, &spec.request, &spec.presentation,
	    &fault);
	if (r == -EINVAL)
		return (ap.host->req_fail(req, ERR_BAD,
		    "invalid plugin.approval.request params: at /%s: must be "
		    "text that can be seen and is not too long", fault));
	if (r < 0)
		return (r);
	spec.kind = plugin_kind.kind;
	spec.agent_id = get_str(params, "agentId");
	spec.session_key = key;
	spec.caller = ap.host->req_conn(req);
	spec.timeout_ms = (uint32_t)get_int(params, "timeoutMs", 0);
	r = asked_open(req, params, &spec, NULL);
	if (r == -ECANCELED)
		return (0);
	if (r == -EDQUOT)
		return (ap.host->req_fail(req, ERR_DOWN,
		    "too many approvals are pending"));
	return (r);
}

int
plugin_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (asked_wait(req, params, plugin_kind.kind));
}

int
plugin_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (asked_resolve(req, params, plugin_kind.kind));
}

int
plugin_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (asked_list(req, plugin_kind.kind));
}

int
system_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (asked_list(req, system_kind.kind));
}

/* --- events --- */

static void
emit_one(const char *event, struct chela_conn *conn,
    struct json_object *payload)
{
	struct chela_emit	opt = { .struct_size = sizeof opt };

	opt.only = conn;
	(void)ap.host->emit(ap.ctx, event, json_object_get(payload), &opt);
}

static void
plugin_requested(struct chela_conn *conn, struct json_object *payload)
{
	emit_one("plugin.approval.requested", conn, payload);
}

static void
plugin_resolved(const struct chela_record_info *info,
    struct json_object *payload)
{
	(void)info;
	emit_one("plugin.approval.resolved", NULL, payload);
}

static void
system_requested(struct chela_conn *conn, struct json_object *payload)
{
	emit_one("openclaw.approval.requested", conn, payload);
}

static void
system_resolved(const struct chela_record_info *info,
    struct json_object *payload)
{
	(void)info;
	emit_one("openclaw.approval.resolved", NULL, payload);
}

const struct chela_approval_kind plugin_kind = {
	.struct_size = sizeof plugin_kind,
	.kind = "plugin",
	.prefix = "plugin:",
	.cap = "plugin-approvals",
	.requested = plugin_requested,
	.resolved = plugin_resolved,
};

const struct chela_approval_kind system_kind = {
	.struct_size = sizeof system_kind,
	.kind = "system-agent",
	.prefix = "system:",
	.cap = "plugin-approvals",
	.requested = system_requested,
	.resolved = system_resolved,
};
