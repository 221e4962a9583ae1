/* SPDX-License-Identifier: MIT */
/* Plugin audit: the methods that read the ledger, service audit/1. */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct audit	audit;

enum view { VIEW_LIST, VIEW_ACTIVITY, VIEW_RUN };

/* One call that walks the ledger, newest first. */
struct query {
	struct chela_req	*req;
	struct json_object	*params;
	struct json_object	*events;
	enum view		 view;
	uint64_t		 from;		/* rows below it; 0: the newest */
	uint64_t		 last;		/* the last one in events */
	size_t			 limit;
	int64_t			 oldest_ms;
	bool			 is_more;
};

/* --- filters --- */

static bool
is_equal(struct json_object *params, const char *key, struct json_object *e)
{
	const char	*want = get_str(params, key), *have;

	if (want == NULL)
		return (true);
	have = get_str(e, key);
	return (have != NULL && strcmp(have, want) == 0);
}

static bool
is_wanted(const struct query *q, struct json_object *e)
{
	static const char *const keys[] = { "agentId", "sessionKey", "runId",
	    "kind", "status", "direction", "channel" };
	const char	*kind = get_str(e, "kind");
	int64_t		 at = get_int(e, "occurredAt", -1);
	size_t		 i;

	/* The ledger has other kinds that these methods do not show. */
	if (kind == NULL || at < q->oldest_ms)
		return (false);
	if (strcmp(kind, "agent_run") != 0 && strcmp(kind, "tool_action") != 0 &&
	    (q->view == VIEW_LIST || strcmp(kind, "message") != 0))
		return (false);
	for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (!is_equal(q->params, keys[i], e))
			return (false);
	}
	return (at >= get_int(q->params, "after", 0) &&
	    at <= get_int(q->params, "before", INT64_MAX));
}

/* The event as a client gets it. Takes e. */
static struct json_object *
event_show(const struct query *q, struct json_object *e, uint64_t seq)
{
	if (q->view == VIEW_LIST) {
		json_object_object_del(e, "eventType");
		json_object_object_del(e, "schemaVersion");
	}
	json_object_object_add(e, "sequence",
	    json_object_new_int64((int64_t)seq));
	return (e);
}

/* --- the walk --- */

static void	query_page(struct chela_ctx *ctx, int r,
		    const struct chela_row *rows, size_t n, void *arg);

static void
query_free(struct query *q)
{
	audit.host->req_unref(q->req);
	json_object_put(q->params);
	json_object_put(q->events);
	free(q);
}

static struct json_object *
strings_new(const char *a, const char *b)
{
	struct json_object	*list = json_object_new_array();

	json_object_array_add(list, json_object_new_string(a));
	if (b != NULL)
		json_object_array_add(list, json_object_new_string(b));
	return (list);
}

/* Who a run was is not kept: only whether there was one can be said. */
static struct json_object *
run_result(struct query *q)
{
	bool			 is_known;
	const char		*run = get_str(q->params, "runId");
	const char		*execution = get_str(q->params, "executionId");
	struct json_object	*o = json_object_new_object();
	struct json_object	*r = json_object_new_object();
	struct json_object	*id = json_object_new_object();
	struct json_object	*cover = json_object_new_object();
	struct json_object	*list = json_object_new_array();
	struct json_object	*fix = json_object_new_object();

	is_known = json_object_array_length(q->events) > 0;
	json_object_object_add(o, "schemaVersion", json_object_new_int(1));
	if (run != NULL)
		json_object_object_add(r, "runId", json_object_new_string(run));
	else
		json_object_object_add(r, "executionId",
		    json_object_new_string(execution));
	json_object_object_add(r, "status", json_object_new_string(is_known ?
	    "known" : "unknown"));
	json_object_object_add(o, "run", r);
	json_object_object_add(id, "state", json_object_new_string(is_known ?
	    "unsupported" : "unknown"));
	json_object_object_add(id, "reasonCode", json_object_new_string(
	    is_known ? "identity_not_recorded" : "run_not_found"));
	json_object_object_add(id, "missingEvidence", is_known ?
	    strings_new("identity.context", NULL) :
	    strings_new("run.record", "identity.context"));
	json_object_object_add(fix, "code", json_object_new_string(is_known ?
	    "none" : "verify_run_id"));
	json_object_object_add(fix, "text", json_object_new_string(is_known ?
	    "This gateway does not record on whose behalf a run was made." :
	    "Check the id: the ledger has no run of that name, or not any "
	    "more."));
	json_object_array_add(list, fix);
	json_object_object_add(id, "remediation", list);
	json_object_object_add(o, "identity", id);
	json_object_object_add(o, "decisionDisplays", json_object_new_array());
	json_object_object_add(cover, "state", json_object_new_string(is_known ?
	    "unsupported" : "unknown"));
	json_object_object_add(cover, "missingEvidence", is_known ?
	    strings_new("identity.context", NULL) :
	    strings_new("run.record", "identity.context"));
	json_object_object_add(o, "coverage", cover);
	return (o);
}

static void
query_end(struct query *q)
{
	struct json_object	*o;
	char			 cursor[24];

	if (q->view == VIEW_RUN) {
		o = run_result(q);
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "events", q->events);
		q->events = NULL;
		if (q->is_more) {
			(void)snprintf(cursor, sizeof cursor, "%llu",
			    (unsigned long long)q->last);
			json_object_object_add(o, "nextCursor",
			    json_object_new_string(cursor));
		}
	}
	(void)audit.host->req_reply(q->req, o);
	query_free(q);
}

static int
query_read(struct query *q)
{
	return (audit.host->log_read(audit.ctx, LEDGER, q->from, PAGE_ROWS,
	    PAGE_BYTES, CHELA_READ_TAIL, query_page, q));
}

static void
query_page(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	struct query		*q = arg;
	struct json_object	*e;
	size_t			 i;

	(void)ctx;
	for (i = n; r == 0 && i-- > 0 && !q->is_more;) {
		e = ledger_event(&rows[i]);
		if (e == NULL || !is_wanted(q, e)) {
			json_object_put(e);
			continue;
		}
		if (json_object_array_length(q->events) == q->limit) {
			json_object_put(e);
			q->is_more = true;
			break;
		}
		q->last = rows[i].seq;
		json_object_array_add(q->events, event_show(q, e,
		    rows[i].seq));
	}
	if (r == 0 && n > 0 && !q->is_more && rows[0].seq > 1 &&
	    !(q->view == VIEW_RUN && json_object_array_length(q->events) > 0)) {
		q->from = rows[0].seq;
		r = query_read(q);
		if (r == 0)
			return;
	}
	if (r < 0) {
		(void)audit.host->req_fail(q->req, "UNAVAILABLE",
		    "the ledger cannot be read");
		query_free(q);
		return;
	}
	query_end(q);
}

static int
query_start(struct chela_req *req, struct json_object *params, enum view view,
    uint64_t from, size_t limit)
{
	struct query	*q = calloc(1, sizeof *q);
	int64_t		 now = (int64_t)audit.host->wall_ms();
	int		 r;

	if (q == NULL)
		return (-ENOMEM);
	q->view = view;
	q->from = from;
	q->limit = limit;
	q->oldest_ms = now > (int64_t)KEEP_MS ? now - (int64_t)KEEP_MS : 0;
	q->req = audit.host->req_ref(req);
	q->params = json_object_get(params);
	q->events = json_object_new_array();
	r = q->events == NULL ? -ENOMEM : query_read(q);
	if (r < 0)
		query_free(q);
	return (r);
}

/* A positive number in decimal, or 0. */
static uint64_t
cursor_parse(const char *s)
{
	uint64_t	 n = 0;

	if (s == NULL || *s < '1' || *s > '9' || strlen(s) > 18 ||
	    strspn(s, "0123456789") != strlen(s))
		return (0);
	for (; *s != '\0'; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return (n);
}

static int
list_start(struct chela_req *req, struct json_object *params, enum view view)
{
	const char	*cursor = get_str(params, "cursor");
	uint64_t	 from = cursor_parse(cursor);

	if ((cursor != NULL && from == 0) || get_int(params, "after", 0) >
	    get_int(params, "before", INT64_MAX))
		return (audit.host->req_fail(req, "INVALID_REQUEST",
		    "invalid %s range or cursor",
		    audit.host->req_method(req)));
	if (from == 1) {
		/* Nothing is older than the first; 0 would be the newest. */
		struct json_object	*o = json_object_new_object();

		json_object_object_add(o, "events", json_object_new_array());
		return (audit.host->req_reply(req, o));
	}
	return (query_start(req, params, view, from, (size_t)get_int(params,
	    "limit", LIMIT_DEFAULT)));
}

static int
audit_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (list_start(req, params, VIEW_LIST));
}

static int
audit_activity_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*kind = get_str(params, "kind");
	bool		 is_message;

	(void)ctx;
	is_message = kind != NULL && strcmp(kind, "message") == 0;
	if ((get_any(params, "direction") != NULL ||
	    get_any(params, "channel") != NULL) && kind != NULL && !is_message)
		return (audit.host->req_fail(req, "INVALID_REQUEST",
		    "invalid audit.activity.list filters: direction and channel "
		    "are of messages"));
	if (is_message && get_any(params, "sessionKey") != NULL)
		return (audit.host->req_fail(req, "INVALID_REQUEST",
		    "invalid audit.activity.list filters: messages have no "
		    "sessionKey"));
	return (list_start(req, params, VIEW_ACTIVITY));
}

static int
audit_run_inspect(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const cursors[] = { "executionCursor",
	    "decisionCursor" };
	struct json_object	*only;
	const char		*run = get_str(params, "runId");
	size_t			 i;
	int			 r;

	(void)ctx;
	for (i = 0; i < 2; i++) {
		if (get_any(params, cursors[i]) != NULL && cursor_parse(
		    get_str(params, cursors[i])) == 0)
			return (audit.host->req_fail(req, "INVALID_REQUEST",
			    "invalid audit.run.inspect cursor"));
	}
	if (run == NULL) {
		/* No execution has an id of its own here. */
		struct query q = { .params = params,
		    .events = json_object_new_array() };

		r = audit.host->req_reply(req, run_result(&q));
		json_object_put(q.events);
		return (r);
	}
	only = json_object_new_object();
	json_object_object_add(only, "runId", json_object_new_string(run));
	r = query_start(req, only, VIEW_RUN, 0, 1);
	json_object_put(only);
	return (r);
}

/* --- the rows as they are, for who wants to check the chain --- */

/* The ends as they were before the rows are read: what has been added since may be
 * among the rows, what is said to be there must be. */
struct raw {
	struct chela_req	*req;
	struct link		 anchor, head;
};

static struct json_object *
link_show(const struct link *l)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "n", json_object_new_int64((int64_t)l->n));
	json_object_object_add(o, "hash", json_object_new_string(l->hash));
	return (o);
}

static void
raw_page(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	struct raw		*raw = arg;
	struct chela_req	*req = raw->req;
	struct json_object	*o, *list, *row;
	size_t			 i;

	(void)ctx;
	if (r < 0) {
		(void)audit.host->req_fail(req, "UNAVAILABLE",
		    "the ledger cannot be read");
	} else {
		o = json_object_new_object();
		list = json_object_new_array();
		for (i = 0; i < n; i++) {
			row = json_object_new_object();
			json_object_object_add(row, "sequence",
			    json_object_new_int64((int64_t)rows[i].seq));
			json_object_object_add(row, "text",
			    json_object_new_string_len(rows[i].text,
			    (int)rows[i].len));
			json_object_array_add(list, row);
		}
		json_object_object_add(o, "rows", list);
		json_object_object_add(o, "anchor", link_show(&raw->anchor));
		json_object_object_add(o, "head", link_show(&raw->head));
		(void)audit.host->req_reply(req, o);
	}
	audit.host->req_unref(req);
	free(raw);
}

static int
audit_ledger_read(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	bool		 is_tail = get_any(params, "after") == NULL;
	struct raw	*raw = malloc(sizeof *raw);
	uint64_t	 from;
	int		 r;

	if (raw == NULL)
		return (-ENOMEM);
	*raw = (struct raw){ audit.host->req_ref(req), *ledger_anchor(),
	    *ledger_head() };
	from = is_tail ? (uint64_t)get_int(params, "before", 0) :
	    (uint64_t)get_int(params, "after", 0) + 1;
	r = audit.host->log_read(ctx, LEDGER, from, (uint32_t)get_int(params,
	    "limit", LIMIT_DEFAULT), PAGE_BYTES, is_tail ? CHELA_READ_TAIL : 0,
	    raw_page, raw);
	if (r < 0) {
		audit.host->req_unref(req);
		free(raw);
	}
	return (r);
}

/* --- life --- */

static const struct chela_audit_1 service = {
	.struct_size = sizeof service,
	.action = record_action,
	.security = record_security,
	.message = record_message,
};

static int
audit_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	int	 r;

	audit = (struct audit){ h, ctx };
	r = h->svc_export(ctx, CHELA_AUDIT_SERVICE, &service);
	if (r == 0)
		r = ledger_open();
	return (r < 0 ? r : record_open());
}

static int
audit_start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (watch_open());
}

static void
audit_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	watch_close();
	record_close();
	message_close();
	ledger_close();
}

static void
audit_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	ledger_free();
}

static const struct chela_method methods[] = {
	{ .name = "audit.list", .handler = audit_list,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "audit.activity.list", .handler = audit_activity_list,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "audit.run.inspect", .handler = audit_run_inspect,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "audit.ledger.read", .handler = audit_ledger_read,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_HIDDEN },
};

static const struct chela_dep deps[] = {
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "approvals", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("audit"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "A ledger of what was done, each row tied to the one before",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = audit_init,
	.start = audit_start,
	.stop = audit_stop,
	.fini = audit_fini,
};
