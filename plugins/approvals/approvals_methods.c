/* SPDX-License-Identifier: MIT */
/* approval.get, approval.resolve, approval.history: records of any kind. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

#define HISTORY_LIMIT	100
#define DAYS_MAX	3650

static int
not_found(struct chela_req *req)
{
	return (fail_reason(req, "APPROVAL_NOT_FOUND", "approval not found"));
}

static struct chela_approval_record *
find_visible(struct chela_req *req, const char *id)
{
	struct chela_approval_record	*rec = record_find(id);
	struct chela_conn		*conn = ap.host->req_conn(req);

	return (rec != NULL && record_visible(rec, conn) ? rec : NULL);
}

int
approval_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_approval_record	*rec;
	struct json_object		*o;

	(void)ctx;
	rec = find_visible(req, get_str(params, "id"));
	if (rec == NULL)
		return (not_found(req));
	o = json_object_new_object();
	json_object_object_add(o, "approval", snapshot(rec));
	return (ap.host->req_reply(req, o));
}

/* What is wrong with the shape: the first thing, or NULL. */
static const char *
verdict_fault(struct json_object *params, char *buf, size_t size)
{
	static const char *const	 known[] = { "id", "kind", "decision",
	    "reviewer", "grantExpiresInDays" };
	struct json_object		*v = NULL;
	const char			*kind = get_str(params, "kind");
	size_t				 i;

	json_object_object_foreach(params, name, value) {
		(void)value;
		for (i = 0; i < sizeof known / sizeof known[0]; i++) {
			if (strcmp(known[i], name) == 0)
				break;
		}
		if (i == sizeof known / sizeof known[0]) {
			(void)snprintf(buf, size,
			    "at root: unexpected property '%.64s'", name);
			return (buf);
		}
	}
	if (!json_object_object_get_ex(params, "kind", &v))
		return ("must have required property 'kind'");
	if (kind == NULL || (strcmp(kind, "exec") != 0 &&
	    strcmp(kind, "plugin") != 0 && strcmp(kind, "system-agent") != 0))
		return ("at /kind: must match a schema in anyOf");
	if (!json_object_object_get_ex(params, "decision", &v))
		return ("must have required property 'decision'");
	if (decision_of(get_str(params, "decision")) == CHELA_DECISION_NONE)
		return ("at /decision: must match a schema in anyOf");
	if (json_object_object_get_ex(params, "grantExpiresInDays", &v) &&
	    (!json_object_is_type(v, json_type_int) ||
	    json_object_get_int64(v) < 1 ||
	    json_object_get_int64(v) > DAYS_MAX))
		return ("at /grantExpiresInDays: must be integer");
	return (NULL);
}

/* Absent, or an object of three texts and nothing more. */
static bool
reviewer_is_good(struct json_object *params)
{
	struct json_object	*v = NULL;
	const char		*s;
	size_t			 i;
	static const char *const names[] = { "channel", "accountId",
	    "senderId" };

	if (!json_object_object_get_ex(params, "reviewer", &v))
		return (true);
	if (!json_object_is_type(v, json_type_object) ||
	    json_object_object_length(v) != 3)
		return (false);
	for (i = 0; i < 3; i++) {
		s = get_str(v, names[i]);
		if (s == NULL || *s == '\0')
			return (false);
	}
	return (true);
}

struct answer {
	struct chela_req	*req;
	int			 is_first;
};

static void
on_answered(struct chela_ctx *ctx, const struct chela_record_info *info,
    void *arg)
{
	struct answer			*a = arg;
	struct chela_approval_record	*rec = record_find(info->id);
	struct json_object		*o;

	(void)ctx;
	if (info->status == CHELA_RECORD_PENDING || rec == NULL) {
		(void)ap.host->req_fail(a->req, ERR_DOWN,
		    "the answer could not be stored");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "applied",
		    json_object_new_boolean(a->is_first));
		json_object_object_add(o, "approval", snapshot(rec));
		(void)ap.host->req_reply(a->req, o);
	}
	ap.host->req_unref(a->req);
	free(a);
}

int
approval_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_approval_record	*rec;
	struct chela_conn		*conn = ap.host->req_conn(req);
	const char			*fault, *kind;
	struct answer			*a;
	char				 buf[128];
	uint32_t			 decision;
	int				 r;

	rec = find_visible(req, get_str(params, "id"));
	fault = verdict_fault(params, buf, sizeof buf);
	if (!reviewer_is_good(params)) {
		if (rec != NULL)
			return (not_found(req));
		fault = fault != NULL ? fault : "at /reviewer: must be object";
	}
	if (rec == NULL && fault != NULL)
		return (ap.host->req_fail(req, ERR_BAD,
		    "invalid approval.resolve params: %s", fault));
	if (rec == NULL)
		return (not_found(req));
	a = calloc(1, sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	a->req = ap.host->req_ref(req);
	kind = get_str(params, "kind");
	decision = decision_of(get_str(params, "decision"));
	/* A caller that errs must not have said yes: it said no. */
	if (fault != NULL || strcmp(kind, rec->kind) != 0 ||
	    (rec->allowed & 1u << decision) == 0)
		r = record_deny(ctx, rec, conn, on_answered, a);
	else
		r = records_service.resolve(ctx, rec->id, conn, decision,
		    (uint32_t)get_int(params, "grantExpiresInDays", 0),
		    on_answered, a);
	if (r < 0) {
		ap.host->req_unref(a->req);
		free(a);
		return (r == -ENOENT ? not_found(req) : r);
	}
	a->is_first = r == 1;
	return (0);
}

/* The cursor names the last record of the page before. */
static bool
cursor_read(const char *cursor, uint64_t *ret_ms, char **ret_id)
{
	char			*text = b64_decode(cursor);
	struct json_object	*o = NULL;
	const char		*id;
	bool			 is_good = false;

	if (text != NULL)
		o = json_tokener_parse(text);
	id = get_str(o, "id");
	if (id != NULL && get_int(o, "v", 0) == 1 &&
	    get_int(o, "resolvedAtMs", -1) >= 0) {
		*ret_ms = (uint64_t)get_int(o, "resolvedAtMs", 0);
		*ret_id = strdup(id);
		is_good = *ret_id != NULL;
	}
	json_object_put(o);
	free(text);
	return (is_good);
}

static void
cursor_add(struct json_object *res, const struct chela_approval_record *last)
{
	struct json_object	*o = json_object_new_object();
	const char		*text;
	char			*enc;

	set_int(o, "v", 1);
	set_int(o, "resolvedAtMs", (int64_t)last->resolved_ms);
	set_str(o, "id", last->id);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	enc = b64_encode(text, strlen(text));
	set_str(res, "nextCursor", enc);
	free(enc);
	json_object_put(o);
}

int
approval_history(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char			*cursor = get_str(params, "cursor");
	const char			*kind = get_str(params, "kind");
	struct chela_approval_record	*rec, *last = NULL;
	struct json_object		*res, *items;
	int64_t				 limit;
	uint64_t			 ms = 0;
	char				*id = NULL;

	(void)ctx;
	limit = get_int(params, "limit", HISTORY_LIMIT);
	if (cursor != NULL && !cursor_read(cursor, &ms, &id))
		return (ap.host->req_fail(req, ERR_BAD,
		    "invalid approval.history cursor"));
	res = json_object_new_object();
	items = json_object_new_array();
	json_object_object_add(res, "items", items);
	for (rec = record_newest(); rec != NULL; rec = rec->next_ended) {
		if ((kind != NULL && strcmp(rec->kind, kind) != 0) ||
		    !record_visible(rec, ap.host->req_conn(req)))
			continue;
		/* Strictly after the cursor in the order of the list. */
		if (id != NULL && (rec->resolved_ms > ms ||
		    (rec->resolved_ms == ms && strcmp(rec->id, id) <= 0)))
			continue;
		if ((int64_t)json_object_array_length(items) == limit) {
			cursor_add(res, last);
			break;
		}
		(void)json_object_array_add(items, snapshot(rec));
		last = rec;
	}
	free(id);
	return (ap.host->req_reply(req, res));
}
