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
#define CALLS_MAX	4096u	/* requests that wait for a decision */

/* A request that is answered when a record has ended. */
struct call {
	struct call		*next;
	struct chela_req	*req;
	bool			 is_two_phase;
	bool			 wants_reason;	/* waitDecision */
};

static struct call	*calls;
static size_t		 n_calls;

static void
call_free(struct call *c)
{
	struct call	**p;

	for (p = &calls; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	n_calls--;
	ap.host->req_unref(c->req);
	free(c);
}

static void
call_cancelled(struct chela_req *req, void *arg)
{
	(void)req;
	records_service.unwait(ap.ctx, arg);
	call_free(arg);
}

static struct call *
call_new(struct chela_req *req)
{
	struct call	*c;

	if (n_calls >= CALLS_MAX)
		return (NULL);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (NULL);
	c->req = ap.host->req_ref(req);
	c->next = calls;
	calls = c;
	n_calls++;
	return (c);
}

void
calls_stop(void)
{
	while (calls != NULL) {
		ap.host->req_on_cancel(calls->req, NULL, NULL);
		call_free(calls);
	}
}

static struct json_object *
outcome(const struct chela_record_info *info, bool with_reason)
{
	struct json_object	*o = json_object_new_object();
	bool			 by_someone;

	/* Nobody to ask is no decision, though the record says denied. */
	by_someone = info->status == CHELA_RECORD_ALLOWED ||
	    (info->status == CHELA_RECORD_DENIED &&
	    strcmp(info->reason, "no-route") != 0);
	set_str(o, "id", info->id);
	set_str_or_null(o, "decision", by_someone ?
	    decision_name(info->decision) : NULL);
	set_int(o, "createdAtMs", (int64_t)info->created_ms);
	set_int(o, "expiresAtMs", (int64_t)info->expires_ms);
	if (with_reason)
		set_str(o, "terminalReason", info->reason);
	return (o);
}

static void
on_done(struct chela_ctx *ctx, const struct chela_record_info *info, void *arg)
{
	struct call	*c = arg;

	(void)ctx;
	ap.host->req_on_cancel(c->req, NULL, NULL);
	(void)ap.host->req_reply(c->req, outcome(info, c->wants_reason));
	call_free(c);
}

static void
on_open(struct chela_ctx *ctx, const struct chela_record_info *info, void *arg)
{
	struct call		*c = arg;
	struct json_object	*o;

	(void)ctx;
	if (!c->is_two_phase || info->status != CHELA_RECORD_PENDING)
		return;
	o = json_object_new_object();
	set_str(o, "status", "accepted");
	set_str(o, "id", info->id);
	set_str(o, "deliveryRoute", "approval-client");
	set_int(o, "createdAtMs", (int64_t)info->created_ms);
	set_int(o, "expiresAtMs", (int64_t)info->expires_ms);
	(void)ap.host->req_interim(c->req, o);
}

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
	struct call		*c;
	int			 r;

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
	c = call_new(req);
	if (c == NULL) {
		json_object_put(spec.request);
		json_object_put(spec.presentation);
		return (ap.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for"));
	}
	c->is_two_phase = json_object_get_boolean(json_object_object_get(
	    params, "twoPhase"));
	spec.kind = plugin_kind.kind;
	spec.agent_id = get_str(params, "agentId");
	spec.session_key = key;
	spec.caller = ap.host->req_conn(req);
	spec.timeout_ms = (uint32_t)get_int(params, "timeoutMs", 0);
	r = records_service.open(ctx, &spec, NULL, on_open, on_done, c);
	if (r == 0) {
		ap.host->req_on_cancel(req, call_cancelled, c);
		return (0);
	}
	call_free(c);
	if (r == -EDQUOT)
		return (ap.host->req_fail(req, ERR_DOWN,
		    "too many approvals are pending"));
	return (r);
}

int
plugin_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = get_str(params, "id");
	struct chela_record_info info = { .struct_size = sizeof info };
	struct call		*c;
	int			 r;

	r = records_service.info(id, ap.host->req_conn(req), &info);
	if (r < 0 || strcmp(info.kind, plugin_kind.kind) != 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "approval expired or not found"));
	c = call_new(req);
	if (c == NULL)
		return (ap.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for"));
	c->wants_reason = true;
	r = records_service.wait(ctx, id, on_done, c);
	if (r < 0) {
		call_free(c);
		return (r);
	}
	ap.host->req_on_cancel(req, call_cancelled, c);
	return (0);
}

/* --- plugin.approval.resolve --- */

struct answer {
	struct chela_req	*req;
	uint32_t		 decision;
};

static void
on_answered(struct chela_ctx *ctx, const struct chela_record_info *info,
    void *arg)
{
	struct answer		*a = arg;
	struct json_object	*o;

	(void)ctx;
	if (info->status == CHELA_RECORD_PENDING) {
		(void)ap.host->req_fail(a->req, ERR_DOWN,
		    "the answer could not be stored");
	} else if (info->status == CHELA_RECORD_EXPIRED ||
	    info->status == CHELA_RECORD_CANCELLED) {
		(void)fail_reason(a->req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id");
	} else if (info->decision != a->decision) {
		(void)fail_reason(a->req, "APPROVAL_ALREADY_RESOLVED",
		    "approval already resolved");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "ok", json_object_new_boolean(1));
		(void)ap.host->req_reply(a->req, o);
	}
	ap.host->req_unref(a->req);
	free(a);
}

int
plugin_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn	*conn = ap.host->req_conn(req);
	struct chela_record_info info = { .struct_size = sizeof info };
	struct chela_error	 e = { .struct_size = sizeof e };
	const char		*id = get_str(params, "id");
	char			 full[CHELA_APPROVAL_ID_MAX + 1];
	struct answer		*a;
	uint32_t		 decision;
	int			 r;

	decision = decision_of(get_str(params, "decision"));
	if (decision == CHELA_DECISION_NONE)
		return (ap.host->req_fail(req, ERR_BAD, "invalid decision"));
	if (records_service.find_prefix(plugin_kind.kind, id, conn, full) == 0)
		id = full;
	if (records_service.info(id, conn, &info) < 0 ||
	    strcmp(info.kind, plugin_kind.kind) != 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	a->req = ap.host->req_ref(req);
	a->decision = decision;
	r = records_service.resolve(ctx, id, conn, decision, 0, on_answered, a);
	if (r >= 0)
		return (0);
	ap.host->req_unref(a->req);
	free(a);
	if (r == -EINVAL) {
		e.details = json_object_new_object();
		json_object_object_add(e.details, "allowedDecisions",
		    allowed_names(info.allowed));
		return (ap.host->req_fail_with(req, ERR_BAD, &e,
		    "decision is not allowed for this approval"));
	}
	if (r == -ENOENT)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	return (r);
}

static int
list_kind(struct chela_req *req, const char *kind)
{
	struct json_object	*list;
	int			 r;

	r = records_service.pending(kind, ap.host->req_conn(req), &list);
	return (r < 0 ? r : ap.host->req_reply(req, list));
}

int
plugin_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (list_kind(req, plugin_kind.kind));
}

int
system_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (list_kind(req, system_kind.kind));
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
