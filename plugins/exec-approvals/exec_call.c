/* SPDX-License-Identifier: MIT */
/* exec.approval.request, waitDecision, resolve, get, list. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec_priv.h"

#define PREVIEW_MAX	160u	/* bytes of commandPreview */

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
	if (command != NULL && command[strspn(command, " \t\r\n")] == '\0')
		command = NULL;
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
	int64_t			 ms;
	int			 r;

	(void)ctx;
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
	ms = get_int(params, "timeoutMs", TIMEOUT_DEFAULT_MS);
	spec.kind = KIND;
	spec.id = get_str(params, "id");
	spec.agent_id = get_str(from, "agentId");
	spec.session_key = get_str(from, "sessionKey");
	spec.caller = ex.host->req_conn(req);
	spec.timeout_ms = ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (uint32_t)ms;
	r = asked_open(req, params, &spec, id);
	if (r < 0) {
		r = r == -ECANCELED ? 0 : open_failed(req, r, spec.id);
		goto out;
	}
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
	(void)ctx;
	return (asked_wait(req, params, KIND));
}

int
exec_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (asked_resolve(req, params, KIND));
}

int
exec_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const names[] = { "commandText", "commandPreview",
	    "warningText", "host", "nodeId", "agentId", "allowedDecisions" };
	struct chela_record_info info = { .struct_size = sizeof info };
	struct json_object	*o;
	size_t			 i;

	(void)ctx;
	if (asked_find(req, get_str(params, "id"), KIND, &info) < 0 ||
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
	(void)ctx;
	(void)params;
	return (asked_list(req, KIND));
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
