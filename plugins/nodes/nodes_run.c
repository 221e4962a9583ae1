/* SPDX-License-Identifier: MIT */
/*
 * system.run on a node: never without an administrator's scope or an approval.
 * What goes to the node is built anew from the plan that was approved; members
 * that a caller could use to say "approved" for itself are not passed along.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/approvals.h>

#include "nodes.h"

#define ARG_BYTES_MAX	CHELA_PLAN_BYTES_MAX

/* A call that waits for its approval. */
struct run {
	struct run		*next, **prev;
	struct chela_req	*req;
	char			*node_id;
	struct json_object	*request;	/* of node.invoke */
	struct json_object	*plan;		/* see plan_read() */
	const char		**argv;		/* into plan */
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	uint64_t		 started_us;
	bool			 is_cancelled;
};

static struct run	*runs;

static struct json_object *
member(struct json_object *o, const char *key)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(o, key, &v);
	return (v);
}

static void
run_free(struct run *r)
{
	if (r->prev != NULL) {
		*r->prev = r->next;
		if (r->next != NULL)
			r->next->prev = r->prev;
	}
	if (r->req != NULL)
		nodes.host->req_unref(r->req);
	json_object_put(r->request);
	json_object_put(r->plan);
	free(r->argv);
	free(r->node_id);
	free(r);
}

void
runs_clear(void)
{
	const struct chela_approvals_1	*svc;

	svc = nodes_service_of(CHELA_APPROVALS_SERVICE);
	if (svc != NULL)
		svc->forget(nodes.ctx, NULL);
	while (runs != NULL) {
		(void)nodes.host->req_fail(runs->req, "UNAVAILABLE",
		    "the gateway's part for nodes is going away");
		run_free(runs);
	}
}

/* --- the plan --- */

/* Strings without NUL, the first not empty. */
static bool
is_argv(struct json_object *v)
{
	struct json_object	*s;
	size_t			 i, n, bytes = 0;

	if (!json_object_is_type(v, json_type_array))
		return (false);
	n = json_object_array_length(v);
	if (n == 0 || n > CHELA_PLAN_ARGS_MAX)
		return (false);
	for (i = 0; i < n; i++) {
		s = json_object_array_get_idx(v, i);
		if (!json_object_is_type(s, json_type_string) ||
		    strlen(json_object_get_string(s)) !=
		    (size_t)json_object_get_string_len(s))
			return (false);
		bytes += (size_t)json_object_get_string_len(s) + 1;
	}
	return (bytes <= ARG_BYTES_MAX && json_object_get_string_len(
	    json_object_array_get_idx(v, 0)) > 0);
}

static bool
is_env(struct json_object *v)
{
	if (v == NULL)
		return (true);
	if (!json_object_is_type(v, json_type_object))
		return (false);
	json_object_object_foreach(v, name, value) {
		if (*name == '\0' || strchr(name, '=') != NULL ||
		    !json_object_is_type(value, json_type_string) ||
		    strlen(json_object_get_string(value)) !=
		    (size_t)json_object_get_string_len(value))
			return (false);
	}
	return (true);
}

static bool
is_text(struct json_object *v)
{
	return (v == NULL || (json_object_is_type(v, json_type_string) &&
	    strlen(json_object_get_string(v)) ==
	    (size_t)json_object_get_string_len(v)));
}

/*
 * {command[], cwd?, env?, agentId?, sessionKey?} of the call's own parameters,
 * or of the plan in them; NULL and a sentence when they are not exact, or say
 * two things.
 */
static struct json_object *
plan_read(struct json_object *params, const char **ret_why)
{
	static const char *const texts[] = { "cwd", "agentId", "sessionKey" };
	struct json_object	*inner = member(params, "systemRunPlan");
	struct json_object	*argv = member(params, "command"), *o, *a, *b;
	size_t			 i;

	*ret_why = "system.run needs its exact argv as an array of strings";
	if (inner != NULL) {
		b = member(inner, "argv");
		if (argv != NULL && !json_object_equal(argv, b)) {
			*ret_why = "system.run: the plan has another argv";
			return (NULL);
		}
		argv = b;
	}
	if (!is_argv(argv))
		return (NULL);
	*ret_why = "system.run: env has to be names with texts";
	a = member(params, "env");
	if (!is_env(a))
		return (NULL);
	o = json_object_new_object();
	nodes_add(o, "command", json_object_get(argv));
	nodes_add(o, "env", json_object_get(a));
	for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		a = member(params, texts[i]);
		b = member(inner, texts[i]);
		*ret_why = "system.run: cwd, agentId and sessionKey are texts, "
		    "and the same in the plan";
		if (!is_text(a) || !is_text(b) || (a != NULL && b != NULL &&
		    !json_object_equal(a, b))) {
			json_object_put(o);
			return (NULL);
		}
		nodes_add(o, texts[i], json_object_get(a != NULL ? a : b));
	}
	return (o);
}

static const char **
argv_of(struct json_object *plan)
{
	struct json_object	*list = member(plan, "command");
	size_t			 i, n = json_object_array_length(list);
	const char		**argv = calloc(n + 1, sizeof *argv);

	for (i = 0; argv != NULL && i < n; i++)
		argv[i] = json_object_get_string(
		    json_object_array_get_idx(list, i));
	return (argv);
}

static void
plan_fill(const struct run *r, struct chela_plan *ret)
{
	*ret = (struct chela_plan){
		.struct_size = sizeof *ret,
		.argc = (uint32_t)json_object_array_length(member(r->plan,
		    "command")),
		.argv = r->argv,
		.cwd = nodes_str(r->plan, "cwd"),
		.env = member(r->plan, "env"),
		.agent_id = nodes_str(r->plan, "agentId"),
		.session_key = nodes_str(r->plan, "sessionKey"),
		.node_id = r->node_id,
	};
}

/* --- running --- */

/* The members of a plan that a node made; what binds them was compared. */
static struct json_object *
forward_plan(struct json_object *inner)
{
	static const char *const passed[] = {
		"argv", "cwd", "commandText", "commandPreview", "agentId",
		"sessionKey", "policySnapshot", "mutableFileOperand",
	};
	struct json_object	*o = json_object_new_object(), *v;
	size_t			 i;

	for (i = 0; i < sizeof passed / sizeof passed[0]; i++) {
		if (json_object_object_get_ex(inner, passed[i], &v))
			(void)json_object_object_add(o, passed[i],
			    json_object_get(v));
	}
	return (o);
}

/*
 * What the node gets. That it was approved is said by the gateway, nobody else,
 * and only with the plan that the node itself prepared: without one, a node
 * that keeps a policy of its own has to apply it.
 */
static struct json_object *
forward(struct json_object *plan, struct json_object *params,
    const char *decision)
{
	static const char *const passed[] = {
		"timeoutMs", "needsScreenRecording", "suppressNotifyOnExit",
	};
	struct json_object	*o = json_object_new_object(), *v;
	char			 id[37];
	size_t			 i;

	json_object_object_foreach(plan, name, value) {
		nodes_add(o, name, json_object_get(value));
	}
	for (i = 0; i < sizeof passed / sizeof passed[0]; i++) {
		v = member(params, passed[i]);
		if (json_object_is_type(v, json_type_int) ||
		    json_object_is_type(v, json_type_boolean))
			nodes_add(o, passed[i], json_object_get(v));
	}
	if (nodes_str(params, "runId") != NULL &&
	    strlen(nodes_str(params, "runId")) <= CHELA_APPROVAL_ID_MAX) {
		nodes_add_str(o, "runId", nodes_str(params, "runId"));
	} else {
		nodes.host->uuid(id);
		nodes_add_str(o, "runId", id);
	}
	v = member(params, "systemRunPlan");
	if (v != NULL) {
		nodes_add(o, "systemRunPlan", forward_plan(v));
		nodes_add(o, "approved", json_object_new_boolean(1));
		nodes_add_str(o, "approvalDecision", decision);
	}
	return (o);
}

static int
run_go(struct run *r, const char *decision)
{
	struct json_object	*params = member(r->request, "params"), *o;
	struct node		*n;
	uint64_t		 spent = 0;
	int			 k;

	/* Time has passed: the node may be another one now. */
	if (!call_admitted(r->req, r->node_id, "system.run", &n))
		return (0);
	nodes_audit(r->req, "node.run", r->node_id, true);
	o = forward(r->plan, params, decision);
	/* The time that people took is not the node's. */
	if (*r->id == '\0')
		spent = (nodes.host->now_us() - r->started_us) / 1000;
	k = call_send(r->req, n, r->request, o, spent);
	json_object_put(o);
	return (k);
}

static void
fail_approval(struct run *r, const char *code, const char *message)
{
	struct chela_error	 extra = { .struct_size = sizeof extra };
	struct chela_req	*req = r->req;

	nodes_audit(req, "node.run", r->node_id, false);
	extra.details = json_object_new_object();
	nodes_add_str(extra.details, "code", code);
	(void)nodes.host->req_fail_with(req, "FORBIDDEN", &extra,
	    "system.run was not approved: %s", message);
}

static const char *
claim_says(int k, const char **ret_code)
{
	*ret_code = "APPROVAL_INVALID";
	switch (k) {
	case -ENOENT:
		*ret_code = "APPROVAL_NOT_FOUND";
		return ("unknown or expired approval");
	case -EAGAIN:
		*ret_code = "APPROVAL_PENDING";
		return ("the approval was not answered yet");
	case -EACCES:
		*ret_code = "APPROVAL_DENIED";
		return ("it was answered with no");
	case -EALREADY:
		*ret_code = "APPROVAL_SPENT";
		return ("the approval was used already");
	case -EPERM:
		return ("another client asked for this approval");
	case -EBADMSG:
		*ret_code = "APPROVAL_MISMATCH";
		return ("another command was approved");
	default:
		return ("the approval could not be used");
	}
}

/* What was stored is what runs. Takes stored. */
static void
run_take_plan(struct run *r, struct json_object *stored)
{
	struct json_object	*argv = member(stored, "argv");

	if (argv != NULL)
		(void)json_object_object_add(r->plan, "command",
		    json_object_get(argv));
	json_object_put(stored);
}

/* Spends the approval and runs, or answers why not. */
static int
run_claim(struct run *r, const struct chela_approvals_1 *svc)
{
	struct json_object	*stored = NULL;
	struct chela_conn	*conn = nodes.host->req_conn(r->req);
	struct chela_plan	 plan;
	const char		*code, *text;
	int			 k;

	/* NULL would mean the gateway itself. */
	if (conn == NULL)
		return (0);
	plan_fill(r, &plan);
	k = svc->claim(r->id, conn, &plan, &stored);
	if (k < 0) {
		text = claim_says(k, &code);
		fail_approval(r, code, text);
		return (0);
	}
	run_take_plan(r, stored);
	return (run_go(r, "allow-once"));
}

static void
on_decided(struct chela_ctx *ctx, const char *id, uint32_t decision,
    const char *reason, void *arg)
{
	const struct chela_approvals_1	*svc;
	struct run			*r = arg;
	int				 k = 0;

	(void)ctx;
	if (r->is_cancelled) {
		run_free(r);
		return;
	}
	svc = nodes_service_of(CHELA_APPROVALS_SERVICE);
	if (decision != CHELA_ALLOW_ONCE && decision != CHELA_ALLOW_ALWAYS) {
		fail_approval(r, "APPROVAL_DENIED", decision ==
		    CHELA_DENY ? "it was answered with no" :
		    reason != NULL && *reason != '\0' ? reason :
		    "nobody answered");
	} else if (svc == NULL) {
		fail_approval(r, "APPROVAL_INVALID",
		    "approvals went away");
	} else {
		(void)snprintf(r->id, sizeof r->id, "%s", id);
		k = run_claim(r, svc);
	}
	if (k < 0)
		(void)nodes.host->req_fail(r->req, "UNAVAILABLE",
		    "out of memory");
	run_free(r);
}

static void
on_caller_gone(struct chela_req *req, void *arg)
{
	const struct chela_approvals_1	*svc;
	struct run			*r = arg;

	(void)req;
	r->is_cancelled = true;
	svc = nodes_service_of(CHELA_APPROVALS_SERVICE);
	if (svc != NULL && *r->id != '\0')
		(void)svc->cancel(r->id);
}

/* Asks; the answer comes to on_decided(). */
static int
run_ask(struct run *r, const struct chela_approvals_1 *svc)
{
	struct chela_approval_ask ask = {
		.struct_size = sizeof ask,
		.caller = nodes.host->req_conn(r->req),
	};
	struct chela_plan	 plan;
	int			 k;

	plan_fill(r, &plan);
	k = svc->request(nodes.ctx, &plan, &ask, r->id, on_decided, r);
	if (k < 0)
		return (k);
	r->next = runs;
	r->prev = &runs;
	if (runs != NULL)
		runs->prev = &r->next;
	runs = r;
	nodes.host->req_on_cancel(r->req, on_caller_gone, r);
	return (0);
}

/* An approval that the caller got before and names now. */
static const char *
approval_named(struct json_object *params)
{
	const char	*id = nodes_str(params, "approvalId");

	if (id == NULL && json_object_get_boolean(member(params, "approved")))
		id = nodes_str(params, "runId");
	return (id);
}

static int
run_decide(struct run *r, struct json_object *params, bool *ret_is_kept)
{
	const struct chela_approvals_1	*svc;
	struct chela_conn		*conn = nodes.host->req_conn(r->req);
	const char			*id = approval_named(params);
	int				 k;

	svc = nodes_service_of(CHELA_APPROVALS_SERVICE);
	if (id != NULL && svc != NULL) {
		if (strlen(id) > CHELA_APPROVAL_ID_MAX) {
			fail_approval(r, "APPROVAL_NOT_FOUND",
			    "unknown or expired approval");
			return (0);
		}
		memcpy(r->id, id, strlen(id) + 1);
		return (run_claim(r, svc));
	}
	if (conn != NULL && nodes.host->conn_has_scope(conn, "admin"))
		return (run_go(r, "allow-once"));
	if (svc == NULL)
		return (nodes_no_scope(r->req, "admin"));
	k = run_ask(r, svc);
	if (k == 0)
		*ret_is_kept = true;
	else if (k == -E2BIG || k == -EINVAL)
		return (nodes.host->req_fail(r->req, "INVALID_REQUEST",
		    "system.run: nobody could be shown all of this"));
	else if (k == -EDQUOT)
		return (nodes.host->req_fail(r->req, "UNAVAILABLE",
		    "too many approvals are waiting"));
	return (k);
}

int
run_invoke(struct chela_req *req, struct node *n, struct json_object *request)
{
	struct json_object	*params = member(request, "params"), *plan;
	struct run		*r;
	const char		*why = "system.run needs params";
	bool			 is_kept = false;
	int			 k;

	plan = json_object_is_type(params, json_type_object) ?
	    plan_read(params, &why) : NULL;
	if (plan == NULL)
		return (nodes.host->req_fail(req, "INVALID_REQUEST", "%s",
		    why));
	r = calloc(1, sizeof *r);
	if (r == NULL) {
		json_object_put(plan);
		return (-ENOMEM);
	}
	r->plan = plan;
	r->req = nodes.host->req_ref(req);
	r->request = json_object_get(request);
	r->started_us = nodes.host->now_us();
	r->node_id = strdup(n->id);
	r->argv = argv_of(plan);
	k = r->node_id == NULL || r->argv == NULL ? -ENOMEM :
	    run_decide(r, params, &is_kept);
	if (!is_kept)
		run_free(r);
	return (k);
}
