/* SPDX-License-Identifier: MIT */
/* exec.approval.request, waitDecision, resolve, get, list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_priv.h"

#define PREVIEW_MAX	160u	/* bytes of commandPreview */

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
	ex.host->req_unref(c->req);
	free(c);
}

static void
call_cancelled(struct chela_req *req, void *arg)
{
	(void)req;
	ex.records->unwait(ex.ctx, arg);
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
	c->req = ex.host->req_ref(req);
	c->next = calls;
	calls = c;
	n_calls++;
	return (c);
}

void
calls_stop(void)
{
	while (calls != NULL) {
		ex.host->req_on_cancel(calls->req, NULL, NULL);
		call_free(calls);
	}
}

static void
on_done(struct chela_ctx *ctx, const struct chela_record_info *info, void *arg)
{
	struct call		*c = arg;
	struct json_object	*o = json_object_new_object();
	bool			 by_someone;

	(void)ctx;
	/* Nobody to ask is no decision, though the record says denied. */
	by_someone = info->status == CHELA_RECORD_ALLOWED ||
	    (info->status == CHELA_RECORD_DENIED &&
	    strcmp(info->reason, "no-route") != 0);
	set_str(o, "id", info->id);
	set_str_or_null(o, "decision", by_someone ?
	    decision_name(info->decision) : NULL);
	set_int(o, "createdAtMs", (int64_t)info->created_ms);
	set_int(o, "expiresAtMs", (int64_t)info->expires_ms);
	if (c->wants_reason)
		set_str(o, "terminalReason", info->reason);
	else
		bind_end(info);
	ex.host->req_on_cancel(c->req, NULL, NULL);
	(void)ex.host->req_reply(c->req, o);
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
	(void)ex.host->req_interim(c->req, o);
}

/* --- what is shown --- */

static void
add_escaped(struct json_object *to, const char *name, const char *s)
{
	char	*e = s == NULL || *s == '\0' ? NULL : text_escape(s, strlen(s));

	set_str_or_null(to, name, e);
	free(e);
}

static void
add_argv(struct json_object *to, struct json_object *plan)
{
	struct json_object	*argv = get_any(plan, "argv"), *list, *env, *o;
	size_t			 i;
	char			*e;

	list = json_object_new_array();
	for (i = 0; i < json_object_array_length(argv); i++) {
		struct json_object *v = json_object_array_get_idx(argv, i);

		e = text_escape(json_object_get_string(v),
		    (size_t)json_object_get_string_len(v));
		(void)json_object_array_add(list, e == NULL ? NULL :
		    json_object_new_string(e));
		free(e);
	}
	json_object_object_add(to, "commandArgv", list);
	env = get_any(plan, "env");
	if (json_object_object_length(env) == 0)
		return;
	o = json_object_new_object();
	json_object_object_foreach(env, name, value) {
		e = text_escape(name, strlen(name));
		if (e != NULL)
			add_escaped(o, e, json_object_get_string(value));
		free(e);
	}
	json_object_object_add(to, "env", o);
}

static char *
preview_of(const char *text)
{
	size_t	n = strlen(text);
	char	*s;

	if (n <= PREVIEW_MAX)
		return (NULL);
	n = PREVIEW_MAX;
	while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	if (asprintf(&s, "%.*s... (%zu bytes)", (int)n, text,
	    strlen(text)) < 0)
		return (NULL);
	return (s);
}

/* Where it runs belongs to what is decided: presentations have no member. */
static char *
warning_of(const char *given, const char *cwd)
{
	char	*a = given != NULL ? text_escape(given, strlen(given)) : NULL;
	char	*b = cwd != NULL ? text_escape(cwd, strlen(cwd)) : NULL;
	char	*s = NULL;

	if (a != NULL || b != NULL) {
		if (asprintf(&s, "%s%s%s%s", a != NULL ? a : "",
		    a != NULL && b != NULL ? "; " : "",
		    b != NULL ? "runs in " : "", b != NULL ? b : "") < 0)
			s = NULL;
	}
	free(a);
	free(b);
	return (s);
}

int
exec_shown(struct json_object *plan, const char *command,
    struct json_object *extra, uint32_t allowed,
    struct json_object **ret_request, struct json_object **ret_presentation)
{
	static const char *const copied[] = { "host", "security", "ask",
	    "resolvedPath", "runId", "toolCallId", "turnSourceChannel",
	    "turnSourceTo", "turnSourceAccountId" };
	struct json_object	*q, *p, *from = plan != NULL ? plan : extra, *v;
	char			*text, *preview, *warning;
	const char		*cwd = get_str(from, "cwd"), *node, *agent;
	size_t			 i;

	text = plan != NULL ? plan_text(plan) :
	    text_escape(command, strlen(command));
	if (text == NULL)
		return (-ENOMEM);
	preview = preview_of(text);
	warning = warning_of(get_str(extra, "warningText"), cwd);
	q = json_object_new_object();
	p = json_object_new_object();
	set_str(p, "kind", KIND);
	set_str(p, "commandText", text);
	set_str(q, "command", text);
	if (preview != NULL) {
		set_str(p, "commandPreview", preview);
		set_str(q, "commandPreview", preview);
	}
	if (plan != NULL)
		add_argv(q, plan);
	set_str_or_null(p, "warningText", warning);
	set_str_or_null(q, "warningText", warning);
	add_escaped(q, "cwd", cwd);
	node = get_str(from, "nodeId");
	agent = get_str(from, "agentId");
	add_escaped(q, "nodeId", node);
	add_escaped(p, "nodeId", node);
	add_escaped(q, "agentId", agent);
	add_escaped(p, "agentId", agent);
	add_escaped(q, "sessionKey", get_str(from, "sessionKey"));
	for (i = 0; i < sizeof copied / sizeof copied[0]; i++) {
		if (get_str(extra, copied[i]) != NULL || i < 4)
			add_escaped(q, copied[i], get_str(extra, copied[i]));
	}
	add_escaped(p, "host", get_str(extra, "host"));
	v = get_any(extra, "scope");
	if (v != NULL) {
		json_object_object_add(q, "scope", json_object_get(v));
		json_object_object_add(p, "scope", json_object_get(v));
	}
	json_object_object_add(q, "allowedDecisions", allowed_names(allowed));
	json_object_object_add(p, "allowedDecisions", allowed_names(allowed));
	free(text);
	free(preview);
	free(warning);
	*ret_request = q;
	*ret_presentation = p;
	return (0);
}

/* --- exec.approval.request --- */

static int
too_long(struct chela_req *req)
{
	return (ex.host->req_fail(req, ERR_BAD, "the command is too long to be "
	    "shown to who decides: at most %u bytes and %u arguments",
	    CHELA_PLAN_BYTES_MAX, CHELA_PLAN_ARGS_MAX));
}

static bool
same_argv(struct json_object *a, struct json_object *b)
{
	size_t	i, n = json_object_array_length(a);

	if (json_object_array_length(b) != n)
		return (false);
	for (i = 0; i < n; i++) {
		if (!json_object_equal(json_object_array_get_idx(a, i),
		    json_object_array_get_idx(b, i)))
			return (false);
	}
	return (true);
}

/* 1: gives a plan; 0: there is only a text; negative: was answered. */
static int
request_plan(struct chela_req *req, struct json_object *params,
    struct json_object **ret)
{
	struct json_object	*sys = get_any(params, "systemRunPlan");
	struct json_object	*argv = get_any(params, "commandArgv"), *plan;
	const char		*host = get_str(params, "host"), *command;
	const char		*node = get_str(params, "nodeId");
	int			 r;

	command = get_str(params, "command");
	if (command != NULL && strlen(command) > CHELA_PLAN_BYTES_MAX) {
		(void)too_long(req);
		return (-EINVAL);
	}
	if (host != NULL && strcmp(host, "node") == 0 &&
	    (sys == NULL || node == NULL)) {
		(void)ex.host->req_fail(req, ERR_BAD, "%s is required for "
		    "host=node", node == NULL ? "nodeId" : "systemRunPlan");
		return (-EINVAL);
	}
	if (sys == NULL && argv == NULL) {
		if (command != NULL && get_any(params, "env") == NULL)
			return (0);
		(void)ex.host->req_fail(req, ERR_BAD, "%s is required",
		    command == NULL ? "command" : "with env commandArgv");
		return (-EINVAL);
	}
	if (sys != NULL && argv != NULL &&
	    !same_argv(get_any(sys, "argv"), argv)) {
		(void)ex.host->req_fail(req, ERR_BAD,
		    "commandArgv and systemRunPlan are not the same command");
		return (-EINVAL);
	}
	plan = plan_new(sys != NULL ? get_any(sys, "argv") : argv,
	    get_str(sys != NULL ? sys : params, "cwd"), get_any(params, "env"),
	    get_str(sys != NULL ? sys : params, "agentId"),
	    get_str(sys != NULL ? sys : params, "sessionKey"), node);
	r = plan == NULL ? -ENOMEM : plan_check(plan);
	if (r == 0) {
		*ret = plan;
		return (1);
	}
	json_object_put(plan);
	if (r == -E2BIG)
		(void)too_long(req);
	else if (r == -EINVAL)
		(void)ex.host->req_fail(req, ERR_BAD,
		    "the command cannot be run: it is empty, or has a NUL or a "
		    "bad variable in it");
	else
		(void)ex.host->req_fail(req, ERR_DOWN, "no memory");
	return (r);
}

static int
open_failed(struct chela_req *req, int r, const char *id)
{
	struct chela_record_info	info = { .struct_size = sizeof info };

	switch (r) {
	case -EEXIST:
		if (ex.records->info(id, NULL, &info) == 0 &&
		    info.status == CHELA_RECORD_PENDING)
			return (ex.host->req_fail(req, ERR_BAD,
			    "approval id already pending"));
		return (ex.host->req_fail(req, ERR_DOWN,
		    "approval request unavailable"));
	case -EINVAL:
		return (ex.host->req_fail(req, ERR_BAD,
		    "the id cannot be used: at most %u bytes, no blanks, no /",
		    CHELA_APPROVAL_ID_MAX));
	case -EDQUOT:
		return (ex.host->req_fail(req, ERR_DOWN,
		    "too many approvals are pending"));
	default:
		return (r);
	}
}

int
exec_request(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_record_open spec = { .struct_size = sizeof spec };
	struct json_object	*plan = NULL, *from;
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	struct call		*c;
	int64_t			 ms;
	int			 r;

	if (request_plan(req, params, &plan) < 0)
		return (0);
	from = plan != NULL ? plan : params;
	spec.allowed = 1u << CHELA_ALLOW_ONCE | 1u << CHELA_DENY;
	if (get_any(params, "unavailableDecisions") == NULL)
		spec.allowed |= 1u << CHELA_ALLOW_ALWAYS;
	r = exec_shown(plan, get_str(params, "command"), params, spec.allowed,
	    &spec.request, &spec.presentation);
	if (r < 0)
		goto out;
	c = call_new(req);
	if (c == NULL) {
		json_object_put(spec.request);
		json_object_put(spec.presentation);
		r = ex.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for");
		goto out;
	}
	c->is_two_phase = json_object_get_boolean(get_any(params, "twoPhase"));
	ms = get_int(params, "timeoutMs", TIMEOUT_DEFAULT_MS);
	spec.kind = KIND;
	spec.id = get_str(params, "id");
	spec.agent_id = get_str(from, "agentId");
	spec.session_key = get_str(from, "sessionKey");
	spec.caller = ex.host->req_conn(req);
	spec.timeout_ms = ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (uint32_t)ms;
	r = ex.records->open(ctx, &spec, id, on_open, on_done, c);
	if (r < 0) {
		call_free(c);
		r = open_failed(req, r, spec.id);
		goto out;
	}
	ex.host->req_on_cancel(req, call_cancelled, c);
	if (plan != NULL && bind_record(id, plan, spec.caller) < 0)
		(void)ex.records->cancel(id);
out:
	json_object_put(plan);
	return (r);
}

int
exec_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = get_str(params, "id");
	struct chela_record_info info = { .struct_size = sizeof info };
	struct call		*c;
	int			 r;

	r = ex.records->info(id, ex.host->req_conn(req), &info);
	if (r < 0 || strcmp(info.kind, KIND) != 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "approval expired or not found"));
	c = call_new(req);
	if (c == NULL)
		return (ex.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for"));
	c->wants_reason = true;
	r = ex.records->wait(ctx, id, on_done, c);
	if (r < 0) {
		call_free(c);
		return (r);
	}
	ex.host->req_on_cancel(req, call_cancelled, c);
	return (0);
}

/* --- exec.approval.resolve --- */

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
		(void)ex.host->req_fail(a->req, ERR_DOWN,
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
		(void)ex.host->req_reply(a->req, o);
	}
	ex.host->req_unref(a->req);
	free(a);
}

int
exec_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn	*conn = ex.host->req_conn(req);
	struct chela_record_info info = { .struct_size = sizeof info };
	struct chela_error	 e = { .struct_size = sizeof e };
	const char		*id = get_str(params, "id");
	char			 full[CHELA_APPROVAL_ID_MAX + 1];
	struct answer		*a;
	uint32_t		 decision;
	int			 r;

	decision = decision_of(get_str(params, "decision"));
	if (decision == CHELA_DECISION_NONE)
		return (ex.host->req_fail(req, ERR_BAD, "invalid decision"));
	/* A whole id is that one, whatever else begins so. */
	if (ex.records->info(id, conn, &info) < 0 &&
	    ex.records->find_prefix(KIND, id, conn, full) == 0)
		id = full;
	if (ex.records->info(id, conn, &info) < 0 ||
	    strcmp(info.kind, KIND) != 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	a->req = ex.host->req_ref(req);
	a->decision = decision;
	r = ex.records->resolve(ctx, id, conn, decision,
	    (uint32_t)get_int(params, "grantExpiresInDays", 0), on_answered, a);
	if (r >= 0)
		return (0);
	ex.host->req_unref(a->req);
	free(a);
	if (r == -EINVAL) {
		e.details = json_object_new_object();
		json_object_object_add(e.details, "allowedDecisions",
		    allowed_names(info.allowed));
		return (ex.host->req_fail_with(req, ERR_BAD, &e,
		    "decision is not allowed for this approval"));
	}
	if (r == -ENOENT)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	return (r);
}

int
exec_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const names[] = { "commandText", "commandPreview",
	    "warningText", "host", "nodeId", "agentId", "allowedDecisions" };
	struct chela_record_info info = { .struct_size = sizeof info };
	struct json_object	*o;
	const char		*id = get_str(params, "id");
	char			 full[CHELA_APPROVAL_ID_MAX + 1];
	size_t			 i;

	(void)ctx;
	if (ex.records->info(id, ex.host->req_conn(req), &info) < 0 &&
	    ex.records->find_prefix(KIND, id, ex.host->req_conn(req),
	    full) == 0)
		id = full;
	if (ex.records->info(id, ex.host->req_conn(req), &info) < 0 ||
	    strcmp(info.kind, KIND) != 0 ||
	    info.status != CHELA_RECORD_PENDING)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	o = json_object_new_object();
	set_str(o, "id", info.id);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		json_object_object_add(o, names[i], json_object_get(
		    get_any(info.presentation, names[i])));
	set_int(o, "expiresAtMs", (int64_t)info.expires_ms);
	return (ex.host->req_reply(req, o));
}

int
exec_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*list;
	int			 r;

	(void)ctx;
	(void)params;
	r = ex.records->pending(KIND, ex.host->req_conn(req), &list);
	return (r < 0 ? r : ex.host->req_reply(req, list));
}

/* --- the kind --- */

static void
exec_requested(struct chela_conn *conn, struct json_object *payload)
{
	struct chela_emit	opt = { .struct_size = sizeof opt };

	opt.only = conn;
	(void)ex.host->emit(ex.ctx, "exec.approval.requested",
	    json_object_get(payload), &opt);
}

static void
exec_resolved(const struct chela_record_info *info, struct json_object *payload)
{
	/* The plan's fate is settled before anybody can act on the event. */
	bind_end(info);
	(void)ex.host->emit(ex.ctx, "exec.approval.resolved",
	    json_object_get(payload), NULL);
}

const struct chela_approval_kind exec_kind = {
	.struct_size = sizeof exec_kind,
	.flags = CHELA_KIND_BROADCAST,
	.kind = KIND,
	.prefix = "",
	.cap = "exec-approvals",
	.requested = exec_requested,
	.resolved = exec_resolved,
};
