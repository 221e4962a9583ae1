/* SPDX-License-Identifier: MIT */
/* Requests that wait for people's decisions, and the answers to them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asked.h"

struct asked asked;

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
	asked.host->req_unref(c->req);
	free(c);
}

static void
call_cancelled(struct chela_req *req, void *arg)
{
	(void)req;
	asked.records->unwait(asked.ctx, arg);
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
	c->req = asked.host->req_ref(req);
	c->next = calls;
	calls = c;
	n_calls++;
	return (c);
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
	else if (asked.ended != NULL)
		asked.ended(info);
	asked.host->req_on_cancel(c->req, NULL, NULL);
	(void)asked.host->req_reply(c->req, o);
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
	set_str(o, "deliveryRoute", info->route);
	set_int(o, "createdAtMs", (int64_t)info->created_ms);
	set_int(o, "expiresAtMs", (int64_t)info->expires_ms);
	(void)asked.host->req_interim(c->req, o);
}

int
asked_open(struct chela_req *req, struct json_object *params,
    const struct chela_record_open *spec, char *ret_id)
{
	struct call	*c = call_new(req);
	int		 r;

	if (c == NULL) {
		json_object_put(spec->request);
		json_object_put(spec->presentation);
		(void)asked.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for");
		return (-ECANCELED);
	}
	c->is_two_phase = json_object_get_boolean(get_any(params, "twoPhase"));
	r = asked.records->open(asked.ctx, spec, ret_id, on_open, on_done, c);
	if (r < 0) {
		call_free(c);
		return (r);
	}
	asked.host->req_on_cancel(req, call_cancelled, c);
	return (0);
}

int
asked_wait(struct chela_req *req, struct json_object *params, const char *kind)
{
	const char		*id = get_str(params, "id");
	struct chela_record_info info = { .struct_size = sizeof info };
	struct call		*c;
	int			 r;

	r = asked.records->info(id, asked.host->req_conn(req), &info);
	if (r < 0 || strcmp(info.kind, kind) != 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "approval expired or not found"));
	c = call_new(req);
	if (c == NULL)
		return (asked.host->req_fail(req, ERR_DOWN,
		    "too many approvals are waited for"));
	c->wants_reason = true;
	r = asked.records->wait(asked.ctx, id, on_done, c);
	if (r < 0) {
		call_free(c);
		return (r);
	}
	asked.host->req_on_cancel(req, call_cancelled, c);
	return (0);
}

/* --- answers --- */

struct answer {
	struct answer		*next;
	struct chela_req	*req;
	uint32_t		 decision;
};

static struct answer	*answers;	/* that are being stored */

static void
answer_free(struct answer *a)
{
	struct answer	**p;

	for (p = &answers; *p != a; p = &(*p)->next)
		;
	*p = a->next;
	asked.host->req_unref(a->req);
	free(a);
}

static void
on_answered(struct chela_ctx *ctx, const struct chela_record_info *info,
    void *arg)
{
	struct answer		*a = arg;
	struct json_object	*o;

	(void)ctx;
	if (info->status == CHELA_RECORD_PENDING) {
		(void)asked.host->req_fail(a->req, ERR_DOWN,
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
		(void)asked.host->req_reply(a->req, o);
	}
	answer_free(a);
}

int
asked_find(struct chela_req *req, const char *id, const char *kind,
    struct chela_record_info *ret)
{
	struct chela_conn	*conn = asked.host->req_conn(req);
	char			 full[CHELA_APPROVAL_ID_MAX + 1];
	int			 r;

	/* A whole id is that one, whatever else begins so. */
	r = asked.records->info(id, conn, ret);
	if (r < 0 && asked.records->find_prefix(kind, id, conn, full) == 0)
		r = asked.records->info(full, conn, ret);
	return (r < 0 || strcmp(ret->kind, kind) != 0 ? -ENOENT : 0);
}

int
asked_resolve(struct chela_req *req, struct json_object *params,
    const char *kind)
{
	struct chela_conn	*conn = asked.host->req_conn(req);
	struct chela_record_info info = { .struct_size = sizeof info };
	struct chela_error	 e = { .struct_size = sizeof e };
	struct answer		*a;
	uint32_t		 decision;
	int			 r;

	decision = decision_of(get_str(params, "decision"));
	if (decision == CHELA_DECISION_NONE)
		return (asked.host->req_fail(req, ERR_BAD, "invalid decision"));
	if (asked_find(req, get_str(params, "id"), kind, &info) < 0)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	a->req = asked.host->req_ref(req);
	a->decision = decision;
	a->next = answers;
	answers = a;
	r = asked.records->resolve(asked.ctx, info.id, conn, decision,
	    (uint32_t)get_int(params, "grantExpiresInDays", 0), on_answered, a);
	if (r >= 0)
		return (0);
	answer_free(a);
	if (r == -EINVAL) {
		e.details = json_object_new_object();
		json_object_object_add(e.details, "allowedDecisions",
		    allowed_names(info.allowed));
		return (asked.host->req_fail_with(req, ERR_BAD, &e,
		    "decision is not allowed for this approval"));
	}
	if (r == -ENOENT)
		return (fail_reason(req, "APPROVAL_NOT_FOUND",
		    "unknown or expired approval id"));
	return (r);
}

int
asked_list(struct chela_req *req, const char *kind)
{
	struct json_object	*list;
	int			 r;

	r = asked.records->pending(kind, asked.host->req_conn(req), &list);
	return (r < 0 ? r : asked.host->req_reply(req, list));
}

void
asked_stop(void)
{
	while (calls != NULL) {
		asked.host->req_on_cancel(calls->req, NULL, NULL);
		call_free(calls);
	}
	while (answers != NULL)
		answer_free(answers);
}
