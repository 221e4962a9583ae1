/* SPDX-License-Identifier: MIT */
/*
 * The records: in memory, and each in the table under "r/" and its id. Here is
 * the one place where a record changes its state.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

#define BUCKETS		1024u
#define KEY_PREFIX	"r/"
#define KEY_MAX		(sizeof KEY_PREFIX + CHELA_APPROVAL_ID_MAX)

static struct {
	struct chela_approval_record	*buckets[BUCKETS];
	struct chela_approval_record	*newest, *oldest; /* ended ones */
	size_t				 n_pending, n_ended, ended_bytes;
	struct wait			*ready, **ready_end;
	bool				 is_posted, is_stopping;
	struct chela_timer		*timer;
} rs;

static const char *const statuses[] = {
	[CHELA_RECORD_PENDING] = "pending",
	[CHELA_RECORD_ALLOWED] = "allowed",
	[CHELA_RECORD_DENIED] = "denied",
	[CHELA_RECORD_EXPIRED] = "expired",
	[CHELA_RECORD_CANCELLED] = "cancelled",
};

/* Reasons are compared by value and kept as these. */
static const char *const reasons[] = {
	"", "user", "malformed-verdict", "no-route", "storage-corrupt",
	"timeout", "run-aborted", "gateway-restart",
};

static struct chela_approval_record **
bucket(const char *id)
{
	uint32_t	h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return (&rs.buckets[h % BUCKETS]);
}

struct chela_approval_record *
record_find(const char *id)
{
	struct chela_approval_record	*rec;

	for (rec = *bucket(id); rec != NULL; rec = rec->next) {
		if (strcmp(rec->id, id) == 0)
			return (rec);
	}
	return (NULL);
}

struct chela_approval_record *
record_newest(void)
{
	return (rs.newest);
}

static void
next_clear(struct chela_approval_record *rec)
{
	free(rec->next_state.by);
	free(rec->next_state.kind);
	free(rec->next_state.id);
	memset(&rec->next_state, 0, sizeof rec->next_state);
}

void
record_put(struct chela_approval_record *rec)
{
	if (rec == NULL || --rec->refs > 0)
		return;
	next_clear(rec);
	json_object_put(rec->request);
	json_object_put(rec->presentation);
	free(rec->id);
	free(rec->kind);
	free(rec->agent_id);
	free(rec->session_key);
	free(rec->caller);
	free(rec->resolved_by);
	free(rec->resolver_kind);
	free(rec->resolver_id);
	free(rec);
}

static void
record_unlink(struct chela_approval_record *rec)
{
	struct chela_approval_record	**p;

	if (!rec->is_linked)
		return;
	for (p = bucket(rec->id); *p != rec; p = &(*p)->next)
		;
	*p = rec->next;
	rec->is_linked = false;
	if (rec->status == CHELA_RECORD_PENDING) {
		rs.n_pending--;
	} else {
		if (rec->next_ended != NULL)
			rec->next_ended->prev_ended = rec->prev_ended;
		else
			rs.oldest = rec->prev_ended;
		if (rec->prev_ended != NULL)
			rec->prev_ended->next_ended = rec->next_ended;
		else
			rs.newest = rec->next_ended;
		rs.n_ended--;
		rs.ended_bytes -= rec->size;
	}
	record_put(rec);
}

/* By resolved_ms falling, then by id: the order of the history. */
static bool
is_before(const struct chela_approval_record *a,
    const struct chela_approval_record *b)
{
	if (a->resolved_ms != b->resolved_ms)
		return (a->resolved_ms > b->resolved_ms);
	return (strcmp(a->id, b->id) < 0);
}

static void
ended_insert(struct chela_approval_record *rec)
{
	struct chela_approval_record	*at = rs.newest, *prev = NULL;

	while (at != NULL && is_before(at, rec)) {
		prev = at;
		at = at->next_ended;
	}
	rec->prev_ended = prev;
	rec->next_ended = at;
	if (prev != NULL)
		prev->next_ended = rec;
	else
		rs.newest = rec;
	if (at != NULL)
		at->prev_ended = rec;
	else
		rs.oldest = rec;
	rs.n_ended++;
	rs.ended_bytes += rec->size;
}

static void
ended_trim(void)
{
	uint64_t	 now = ap.host->wall_ms();
	char		 key[KEY_MAX];

	while (rs.oldest != NULL && (rs.n_ended > ENDED_MAX ||
	    rs.ended_bytes > ENDED_BYTES_MAX ||
	    rs.oldest->resolved_ms + ENDED_KEEP_MS < now)) {
		(void)snprintf(key, sizeof key, KEY_PREFIX "%s", rs.oldest->id);
		(void)ap.host->kv_del(ap.ctx, key, CHELA_ANY_REV, NULL, NULL);
		record_unlink(rs.oldest);
	}
}

static void
record_link(struct chela_approval_record *rec)
{
	struct chela_approval_record	**p = bucket(rec->id);

	rec->next = *p;
	*p = rec;
	rec->is_linked = true;
	rec->refs++;
	if (rec->status == CHELA_RECORD_PENDING)
		rs.n_pending++;
	else
		ended_insert(rec);
}

void
record_info(const struct chela_approval_record *rec,
    struct chela_record_info *ret)
{
	struct chela_record_info	info = {
		.struct_size = ret->struct_size,
		.status = rec->status,
		.decision = rec->decision,
		.allowed = rec->allowed,
		.id = rec->id,
		.kind = rec->kind,
		.reason = rec->reason,
		.agent_id = rec->agent_id,
		.session_key = rec->session_key,
		.resolved_by = rec->resolved_by,
		.request = rec->request,
		.presentation = rec->presentation,
		.created_ms = rec->created_ms,
		.expires_ms = rec->expires_ms,
		.resolved_ms = rec->resolved_ms,
		.grant_days = rec->grant_days,
		.is_mine = rec->is_mine,
	};

	memcpy(ret, &info, ret->struct_size < sizeof info ? ret->struct_size :
	    sizeof info);
}

bool
record_visible(const struct chela_approval_record *rec, struct chela_conn *conn)
{
	struct chela_conn_info	info = { .struct_size = sizeof info };

	(void)rec;
	if (conn == NULL)
		return (true);
	return (ap.host->conn_info(conn, &info) == 0 &&
	    info.role == CHELA_ROLE_OPERATOR);
}

/* --- who waits --- */

static struct wait *
wait_new(struct chela_approval_record *rec, struct chela_ctx *ctx,
    chela_record_done_fn *done, void *arg)
{
	struct wait	*w = calloc(1, sizeof *w);

	if (w == NULL)
		return (NULL);
	*w = (struct wait){ NULL, rec, ctx, done, arg };
	rec->refs++;
	return (w);
}

static void
wait_free(struct wait *w)
{
	record_put(w->rec);
	free(w);
}

static void
on_ready(struct chela_ctx *ctx, void *arg)
{
	struct chela_record_info info = { .struct_size = sizeof info };
	struct wait		*w;

	(void)ctx;
	(void)arg;
	rs.is_posted = false;
	while ((w = rs.ready) != NULL) {
		rs.ready = w->next;
		if (rs.ready == NULL)
			rs.ready_end = &rs.ready;
		record_info(w->rec, &info);
		w->done(w->ctx, &info, w->arg);
		wait_free(w);
	}
}

static void
ready_all(struct wait **list)
{
	if (*list == NULL)
		return;
	*rs.ready_end = *list;
	while (*rs.ready_end != NULL)
		rs.ready_end = &(*rs.ready_end)->next;
	*list = NULL;
	if (!rs.is_posted && !rs.is_stopping)
		rs.is_posted = ap.host->post(ap.ctx, on_ready, NULL) == 0;
}

static void
list_drop(struct wait **list, const struct chela_ctx *ctx, const void *arg)
{
	struct wait	*w;

	while ((w = *list) != NULL) {
		if (w->ctx == ctx && (arg == NULL || w->arg == arg)) {
			*list = w->next;
			wait_free(w);
		} else {
			list = &w->next;
		}
	}
}

static void
records_unwait(struct chela_ctx *ctx, void *arg)
{
	struct chela_approval_record	*rec;
	size_t				 i;

	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			list_drop(&rec->opened, ctx, arg);
			list_drop(&rec->waits, ctx, arg);
			list_drop(&rec->settling, ctx, arg);
		}
	}
	list_drop(&rs.ready, ctx, arg);
	rs.ready_end = &rs.ready;
	while (*rs.ready_end != NULL)
		rs.ready_end = &(*rs.ready_end)->next;
}

static int
wait_add(struct wait **list, struct chela_approval_record *rec,
    struct chela_ctx *ctx, chela_record_done_fn *done, void *arg)
{
	struct wait	*w;

	if (done == NULL)
		return (0);
	w = wait_new(rec, ctx, done, arg);
	if (w == NULL)
		return (-ENOMEM);
	while (*list != NULL)
		list = &(*list)->next;
	*list = w;
	return (0);
}

/* --- storing --- */

static struct json_object *
record_doc(const struct chela_approval_record *rec, bool is_next)
{
	struct json_object	*o = json_object_new_object();
	uint32_t		 status, decision, days;

	status = is_next ? rec->next_state.status : rec->status;
	decision = is_next ? rec->next_state.decision : rec->decision;
	days = is_next ? rec->next_state.grant_days : rec->grant_days;
	set_str(o, "kind", rec->kind);
	set_str(o, "agentId", rec->agent_id);
	set_str(o, "sessionKey", rec->session_key);
	json_object_object_add(o, "request", json_object_get(rec->request));
	json_object_object_add(o, "presentation",
	    json_object_get(rec->presentation));
	set_int(o, "allowed", rec->allowed);
	set_int(o, "createdAtMs", (int64_t)rec->created_ms);
	set_int(o, "expiresAtMs", (int64_t)rec->expires_ms);
	set_str(o, "status", statuses[status]);
	if (status == CHELA_RECORD_PENDING)
		return (o);
	set_str(o, "decision", decision_name(decision));
	set_str(o, "reason", is_next ? rec->next_state.reason : rec->reason);
	set_int(o, "resolvedAtMs", (int64_t)(is_next ? ap.host->wall_ms() :
	    rec->resolved_ms));
	set_str(o, "resolvedBy", is_next ? rec->next_state.by :
	    rec->resolved_by);
	set_str(o, "resolverKind", is_next ? rec->next_state.kind :
	    rec->resolver_kind);
	set_str(o, "resolverId", is_next ? rec->next_state.id :
	    rec->resolver_id);
	set_int(o, "grantDays", days);
	return (o);
}

static int
record_store(struct chela_approval_record *rec, bool is_next,
    chela_done_fn *done)
{
	char	key[KEY_MAX];
	int	r;

	(void)snprintf(key, sizeof key, KEY_PREFIX "%s", rec->id);
	rec->refs++;
	r = ap.host->kv_put(ap.ctx, key, record_doc(rec, is_next),
	    CHELA_ANY_REV, done, rec);
	if (r < 0)
		record_put(rec);
	return (r);
}

static int
text_set(char **to, const char *s)
{
	char	*copy = strdup(s == NULL ? "" : s);

	if (copy == NULL)
		return (-ENOMEM);
	free(*to);
	*to = copy;
	return (0);
}

static void expire_arm(void);

/* Now it has ended: out of the pending ones, into the history. */
static void
record_end(struct chela_approval_record *rec, uint32_t status,
    uint32_t decision, const char *reason)
{
	struct chela_approval_record	**p;

	rec->refs++;
	if (rec->is_linked) {
		for (p = bucket(rec->id); *p != rec; p = &(*p)->next)
			;
		*p = rec->next;
		rs.n_pending--;
		rec->refs--;
	}
	rec->status = status;
	rec->decision = decision;
	rec->reason = reason;
	rec->resolved_ms = ap.host->wall_ms();
	record_link(rec);
	rec->refs--;
	ended_trim();
	expire_arm();
}

static void
on_end_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct chela_approval_record	*rec = arg;

	(void)rev;
	if (r < 0 && !rs.is_stopping)
		ap.host->log(ctx, CHELA_LOG_WARNING,
		    "approval '%s': its end was not stored", rec->id);
	if (!rs.is_stopping) {
		if (strcmp(rec->reason, "no-route") != 0)
			tell_resolved(rec);
		ready_all(&rec->opened);
		ready_all(&rec->settling);
		ready_all(&rec->waits);
	}
	record_put(rec);
}

/* Ends it without anybody's consent: expiry and the like. */
static void
record_close(struct chela_approval_record *rec, uint32_t status,
    const char *reason, const char *resolver_id)
{
	rec->refs++;
	(void)text_set(&rec->resolver_kind, "system");
	(void)text_set(&rec->resolver_id, resolver_id);
	record_end(rec, status, status == CHELA_RECORD_DENIED ? CHELA_DENY :
	    CHELA_DECISION_NONE, reason);
	if (record_store(rec, false, on_end_stored) < 0) {
		rec->refs++;
		on_end_stored(ap.ctx, -ENOMEM, 0, rec);
	}
	record_put(rec);
}

/* --- expiry --- */

static void
expire_arm(void)
{
	struct chela_approval_record	*rec;
	uint64_t			 first = UINT64_MAX, now;
	size_t				 i;

	if (rs.timer == NULL || rs.is_stopping)
		return;
	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			if (rec->status == CHELA_RECORD_PENDING &&
			    !rec->is_settling && rec->expires_ms < first)
				first = rec->expires_ms;
		}
	}
	now = ap.host->wall_ms();
	if (first == UINT64_MAX)
		ap.host->timer_stop(rs.timer);
	else
		(void)ap.host->timer_set(rs.timer, first <= now ? 0 :
		    (first - now) * 1000);
}

static bool
expire_one(void)
{
	struct chela_approval_record	*rec;
	uint64_t			 now = ap.host->wall_ms();
	size_t				 i;

	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			/* An answer in time that is being stored still counts. */
			if (rec->status == CHELA_RECORD_PENDING &&
			    !rec->is_settling && rec->expires_ms <= now) {
				record_close(rec, CHELA_RECORD_EXPIRED,
				    "timeout", "timeout");
				return (true);
			}
		}
	}
	return (false);
}

static void
on_expire(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	while (expire_one())
		;
	expire_arm();
}

/* --- the answer --- */

static void
on_settled(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct chela_approval_record	*rec = arg;

	(void)rev;
	rec->is_settling = false;
	if (rs.is_stopping) {
		record_put(rec);
		return;
	}
	if (r < 0) {
		ap.host->log(ctx, CHELA_LOG_ERR,
		    "approval '%s': the answer was not stored", rec->id);
		next_clear(rec);
		ready_all(&rec->settling);
		expire_arm();
		record_put(rec);
		return;
	}
	free(rec->resolved_by);
	free(rec->resolver_kind);
	free(rec->resolver_id);
	rec->resolved_by = rec->next_state.by;
	rec->resolver_kind = rec->next_state.kind;
	rec->resolver_id = rec->next_state.id;
	rec->next_state.by = rec->next_state.kind = rec->next_state.id = NULL;
	rec->grant_days = rec->next_state.grant_days;
	record_end(rec, rec->next_state.status, rec->next_state.decision,
	    rec->next_state.reason);
	next_clear(rec);
	tell_resolved(rec);
	ready_all(&rec->opened);
	ready_all(&rec->waits);
	ready_all(&rec->settling);
	record_put(rec);
}

static int
record_settle(struct chela_ctx *ctx, struct chela_approval_record *rec,
    struct chela_conn *conn, uint32_t decision, const char *reason,
    uint32_t grant_days, chela_record_done_fn *done, void *arg)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	const char		*by = "", *kind = "system", *id = "gateway";
	int			 r;

	if (rec->status != CHELA_RECORD_PENDING) {
		struct wait	*list = NULL;

		r = wait_add(&list, rec, ctx, done, arg);
		ready_all(&list);
		return (r);
	}
	if (rec->is_settling)
		return (wait_add(&rec->settling, rec, ctx, done, arg));
	/* Whoever comes at or after the end of its time is too late. */
	if (rec->expires_ms <= ap.host->wall_ms()) {
		r = wait_add(&rec->settling, rec, ctx, done, arg);
		if (r == 0)
			record_close(rec, CHELA_RECORD_EXPIRED, "timeout",
			    "timeout");
		return (r);
	}
	if (conn != NULL && ap.host->conn_info(conn, &info) == 0) {
		by = *info.display_name != '\0' ? info.display_name :
		    info.client_id;
		kind = *info.device_id != '\0' ? "device" : "runtime";
		id = *info.device_id != '\0' ? info.device_id : info.client_id;
	}
	r = wait_add(&rec->settling, rec, ctx, done, arg);
	if (r < 0)
		return (r);
	rec->next_state.status = decision == CHELA_DENY ? CHELA_RECORD_DENIED :
	    CHELA_RECORD_ALLOWED;
	rec->next_state.decision = decision;
	rec->next_state.reason = reason;
	rec->next_state.grant_days = decision == CHELA_ALLOW_ALWAYS ?
	    grant_days : 0;
	rec->next_state.by = strndup(by, NAME_MAX_BYTES);
	rec->next_state.kind = strdup(kind);
	rec->next_state.id = strdup(id);
	rec->is_settling = true;
	r = rec->next_state.by == NULL || rec->next_state.kind == NULL ||
	    rec->next_state.id == NULL ? -ENOMEM :
	    record_store(rec, true, on_settled);
	if (r < 0) {
		rec->refs++;
		on_settled(ap.ctx, r, 0, rec);
	}
	return (1);
}

static int
records_resolve(struct chela_ctx *ctx, const char *id, struct chela_conn *conn,
    uint32_t decision, uint32_t grant_days, chela_record_done_fn *done,
    void *arg)
{
	struct chela_approval_record	*rec = record_find(id);

	/* One that is not stored yet has been shown to nobody. */
	if (rec == NULL || !record_visible(rec, conn) ||
	    (rec->status == CHELA_RECORD_PENDING && !rec->is_stored))
		return (-ENOENT);
	if (decision < CHELA_ALLOW_ONCE || decision > CHELA_DENY ||
	    (decision != CHELA_DENY && rec->status == CHELA_RECORD_PENDING &&
	    (rec->allowed & 1u << decision) == 0))
		return (-EINVAL);
	return (record_settle(ctx, rec, conn, decision, "user", grant_days,
	    done, arg));
}

int
record_deny(struct chela_ctx *ctx, struct chela_approval_record *rec,
    struct chela_conn *conn, chela_record_done_fn *done, void *arg)
{
	return (record_settle(ctx, rec, conn, CHELA_DENY, "malformed-verdict",
	    0, done, arg));
}

static int
records_cancel(const char *id)
{
	struct chela_approval_record	*rec = record_find(id);

	if (rec == NULL)
		return (-ENOENT);
	if (rec->status != CHELA_RECORD_PENDING || rec->is_settling)
		return (-EALREADY);
	record_close(rec, CHELA_RECORD_CANCELLED, "run-aborted", "requester");
	return (0);
}

/* --- opening --- */

static void
on_opened(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct chela_approval_record	*rec = arg;
	unsigned			 n_routes = 0;

	(void)rev;
	if (rs.is_stopping) {
		record_put(rec);
		return;
	}
	if (rec->status != CHELA_RECORD_PENDING || rec->is_settling) {
		record_put(rec);
		return;
	}
	if (r < 0) {
		/* Not to be had: it ends as if it could not be read back. */
		ap.host->log(ctx, CHELA_LOG_ERR,
		    "approval '%s': not stored, so it is denied", rec->id);
		record_close(rec, CHELA_RECORD_DENIED, "storage-corrupt",
		    "storage");
		record_put(rec);
		return;
	}
	rec->is_stored = true;
	tell_requested(rec, &n_routes);
	if (n_routes == 0)
		record_close(rec, CHELA_RECORD_DENIED, "no-route",
		    "no-approval-route");
	else
		ready_all(&rec->opened);
	record_put(rec);
}

static size_t
json_size(struct json_object *o)
{
	size_t	len = 0;

	(void)json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	return (len);
}

static struct chela_approval_record *
record_new(const char *id, const char *kind, const char *agent_id,
    const char *session_key)
{
	struct chela_approval_record	*rec = calloc(1, sizeof *rec);

	if (rec == NULL)
		return (NULL);
	rec->refs = 1;
	rec->reason = "";
	if (text_set(&rec->id, id) < 0 || text_set(&rec->kind, kind) < 0 ||
	    text_set(&rec->agent_id, agent_id) < 0 ||
	    text_set(&rec->session_key, session_key) < 0 ||
	    text_set(&rec->caller, "") < 0 ||
	    text_set(&rec->resolved_by, "") < 0 ||
	    text_set(&rec->resolver_kind, "") < 0 ||
	    text_set(&rec->resolver_id, "") < 0) {
		record_put(rec);
		return (NULL);
	}
	return (rec);
}

static const struct chela_approval_kind *
kind_find(const char *kind)
{
	size_t	i;

	for (i = 0; i < KINDS_MAX; i++) {
		if (ap.kinds[i] != NULL &&
		    strcmp(ap.kinds[i]->kind, kind) == 0)
			return (ap.kinds[i]);
	}
	return (NULL);
}

static bool
id_is_good(const char *id)
{
	const char	*s;

	if (*id == '\0' || strlen(id) > CHELA_APPROVAL_ID_MAX ||
	    strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return (false);
	for (s = id; *s != '\0'; s++) {
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '/')
			return (false);
	}
	return (true);
}

static int
records_open(struct chela_ctx *ctx, const struct chela_record_open *spec,
    char *ret_id, chela_record_done_fn *opened, chela_record_done_fn *done,
    void *arg)
{
	const struct chela_approval_kind *kind = kind_find(spec->kind);
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_approval_record *rec = NULL;
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	int			 r;

	if (spec->id != NULL) {
		if (!id_is_good(spec->id)) {
			r = -EINVAL;
			goto fail;
		}
		(void)snprintf(id, sizeof id, "%s", spec->id);
	} else {
		char	uuid[37];

		ap.host->uuid(uuid);
		(void)snprintf(id, sizeof id, "%s%s",
		    kind != NULL ? kind->prefix : "", uuid);
	}
	r = kind == NULL ? -ENOENT : record_find(id) != NULL ? -EEXIST :
	    rs.n_pending >= PENDING_MAX ? -EDQUOT : 0;
	if (r < 0)
		goto fail;
	rec = record_new(id, spec->kind, spec->agent_id, spec->session_key);
	r = -ENOMEM;
	if (rec == NULL)
		goto fail;
	if (spec->caller != NULL && ap.host->conn_info(spec->caller,
	    &info) == 0 && text_set(&rec->caller, info.id) < 0)
		goto fail;
	rec->request = json_object_get(spec->request);
	rec->presentation = json_object_get(spec->presentation);
	rec->size = sizeof *rec + json_size(rec->request) +
	    json_size(rec->presentation);
	/* A no is always possible. */
	rec->allowed = (spec->allowed == 0 ? 1u << CHELA_ALLOW_ONCE |
	    1u << CHELA_ALLOW_ALWAYS : spec->allowed) | 1u << CHELA_DENY;
	rec->created_ms = ap.host->wall_ms();
	rec->expires_ms = rec->created_ms + (spec->timeout_ms == 0 ?
	    TIMEOUT_DEFAULT_MS : spec->timeout_ms > TIMEOUT_MAX_MS ?
	    TIMEOUT_MAX_MS : spec->timeout_ms);
	rec->is_mine = true;
	if (wait_add(&rec->opened, rec, ctx, opened, arg) < 0 ||
	    wait_add(&rec->waits, rec, ctx, done, arg) < 0)
		goto fail;
	r = record_store(rec, false, on_opened);
	if (r < 0)
		goto fail;
	record_link(rec);
	if (ret_id != NULL)
		(void)snprintf(ret_id, CHELA_APPROVAL_ID_MAX + 1, "%s", id);
	expire_arm();
	record_put(rec);
	json_object_put(spec->request);
	json_object_put(spec->presentation);
	return (0);
fail:
	if (rec != NULL) {
		list_drop(&rec->opened, ctx, NULL);
		list_drop(&rec->waits, ctx, NULL);
		record_put(rec);
	}
	json_object_put(spec->request);
	json_object_put(spec->presentation);
	return (r);
}

static int
records_wait(struct chela_ctx *ctx, const char *id, chela_record_done_fn *done,
    void *arg)
{
	struct chela_approval_record	*rec = record_find(id);
	struct wait			*list = NULL;
	int				 r;

	if (rec == NULL)
		return (-ENOENT);
	if (rec->status == CHELA_RECORD_PENDING)
		return (wait_add(&rec->waits, rec, ctx, done, arg));
	r = wait_add(&list, rec, ctx, done, arg);
	ready_all(&list);
	return (r);
}

static int
records_info(const char *id, struct chela_conn *conn,
    struct chela_record_info *ret)
{
	struct chela_approval_record	*rec = record_find(id);

	if (rec == NULL || !record_visible(rec, conn))
		return (-ENOENT);
	record_info(rec, ret);
	return (0);
}

static int
records_find_prefix(const char *kind, const char *prefix,
    struct chela_conn *conn, char *ret_id)
{
	struct chela_approval_record	*rec, *found = NULL;
	size_t				 i, n = strlen(prefix);

	if (n < PREFIX_MIN)
		return (-ENOENT);
	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			if (strcmp(rec->kind, kind) != 0 ||
			    rec->status != CHELA_RECORD_PENDING ||
			    strncmp(rec->id, prefix, n) != 0 ||
			    !record_visible(rec, conn))
				continue;
			if (found != NULL)
				return (-ENOENT);
			found = rec;
		}
	}
	if (found == NULL)
		return (-ENOENT);
	(void)snprintf(ret_id, CHELA_APPROVAL_ID_MAX + 1, "%s", found->id);
	return (0);
}

static int
record_cmp(const void *a, const void *b)
{
	const struct chela_approval_record *x =
	    *(struct chela_approval_record *const *)a;
	const struct chela_approval_record *y =
	    *(struct chela_approval_record *const *)b;

	if (x->created_ms != y->created_ms)
		return (x->created_ms < y->created_ms ? -1 : 1);
	return (strcmp(x->id, y->id));
}

static int
records_pending(const char *kind, struct chela_conn *conn,
    struct json_object **ret)
{
	struct chela_approval_record	**all, *rec;
	struct json_object		*list = json_object_new_array();
	size_t				 i, n = 0;

	all = calloc(rs.n_pending + 1, sizeof(*all));
	if (all == NULL || list == NULL) {
		free(all);
		json_object_put(list);
		return (-ENOMEM);
	}
	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			/* One that is not stored yet can still fail to be. */
			if (rec->status == CHELA_RECORD_PENDING &&
			    rec->is_stored && strcmp(rec->kind, kind) == 0 &&
			    record_visible(rec, conn))
				all[n++] = rec;
		}
	}
	qsort(all, n, sizeof(*all), record_cmp);
	for (i = 0; i < n; i++)
		(void)json_object_array_add(list, pending_row(all[i]));
	free(all);
	*ret = list;
	return (0);
}

static int
records_replay(const char *session_key, struct chela_conn *conn,
    struct json_object **ret)
{
	struct chela_approval_record	**all, *rec;
	struct json_object		*o, *list;
	char				 key[CHELA_SESSION_KEY_MAX + 1];
	size_t				 i, n = 0;

	all = calloc(rs.n_pending + 1, sizeof(*all));
	if (all == NULL)
		return (-ENOMEM);
	for (i = 0; i < BUCKETS; i++) {
		for (rec = rs.buckets[i]; rec != NULL; rec = rec->next) {
			if (rec->status == CHELA_RECORD_PENDING &&
			    rec->is_stored && record_visible(rec, conn) &&
			    session_key_of(rec, key) &&
			    strcmp(key, session_key) == 0)
				all[n++] = rec;
		}
	}
	qsort(all, n, sizeof(*all), record_cmp);
	o = json_object_new_object();
	list = json_object_new_array();
	for (i = 0; i < n && i < REPLAY_MAX; i++)
		(void)json_object_array_add(list, snapshot(all[i]));
	set_str(o, "sessionKey", session_key);
	set_int(o, "updatedAtMs", (int64_t)ap.host->wall_ms());
	json_object_object_add(o, "approvals", list);
	json_object_object_add(o, "truncated",
	    json_object_new_boolean(n > REPLAY_MAX));
	free(all);
	*ret = o;
	return (0);
}

static int
records_add_kind(const struct chela_approval_kind *kind)
{
	size_t	i;

	if (kind_find(kind->kind) != NULL)
		return (-EEXIST);
	for (i = 0; i < KINDS_MAX; i++) {
		if (ap.kinds[i] == NULL) {
			ap.kinds[i] = kind;
			return (0);
		}
	}
	return (-ENOSPC);
}

static void
records_drop_kind(const char *kind)
{
	size_t	i;

	for (i = 0; i < KINDS_MAX; i++) {
		if (ap.kinds[i] != NULL &&
		    strcmp(ap.kinds[i]->kind, kind) == 0)
			ap.kinds[i] = NULL;
	}
}

/* --- start and stop --- */

static const char *
reason_of(const char *s)
{
	size_t	i;

	for (i = 0; s != NULL && i < sizeof reasons / sizeof reasons[0]; i++) {
		if (strcmp(reasons[i], s) == 0)
			return (reasons[i]);
	}
	return (NULL);
}

static struct chela_approval_record *
record_read(const char *id, struct json_object *o)
{
	struct chela_approval_record *rec;
	const char		*status = get_str(o, "status");
	const char		*kind = get_str(o, "kind");
	const char		*reason = get_str(o, "reason");

	if (status == NULL || kind == NULL || !id_is_good(id))
		return (NULL);
	rec = record_new(id, kind, get_str(o, "agentId"),
	    get_str(o, "sessionKey"));
	if (rec == NULL)
		return (NULL);
	rec->status = CHELA_RECORD_PENDING;
	while (rec->status <= CHELA_RECORD_CANCELLED &&
	    strcmp(statuses[rec->status], status) != 0)
		rec->status++;
	(void)json_object_object_get_ex(o, "request", &rec->request);
	(void)json_object_object_get_ex(o, "presentation", &rec->presentation);
	json_object_get(rec->request);
	json_object_get(rec->presentation);
	rec->size = sizeof *rec + json_size(o);
	rec->allowed = (uint32_t)get_int(o, "allowed", 0);
	rec->created_ms = (uint64_t)get_int(o, "createdAtMs", 0);
	rec->expires_ms = (uint64_t)get_int(o, "expiresAtMs", 0);
	rec->resolved_ms = (uint64_t)get_int(o, "resolvedAtMs", 0);
	rec->grant_days = (uint32_t)get_int(o, "grantDays", 0);
	rec->decision = decision_of(get_str(o, "decision"));
	rec->is_stored = true;
	if (reason_of(reason) != NULL)
		rec->reason = reason_of(reason);
	if (rec->status > CHELA_RECORD_CANCELLED ||
	    !json_object_is_type(rec->request, json_type_object) ||
	    !json_object_is_type(rec->presentation, json_type_object) ||
	    text_set(&rec->resolved_by, get_str(o, "resolvedBy")) < 0 ||
	    text_set(&rec->resolver_kind, get_str(o, "resolverKind")) < 0 ||
	    text_set(&rec->resolver_id, get_str(o, "resolverId")) < 0) {
		record_put(rec);
		return (NULL);
	}
	return (rec);
}

static int
on_each(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	struct chela_approval_record	*rec;

	(void)rev;
	(void)arg;
	rec = record_read(key + sizeof KEY_PREFIX - 1, val);
	if (rec == NULL) {
		ap.host->log(ap.ctx, CHELA_LOG_WARNING,
		    "approval: a stored record cannot be read and is left out");
		return (0);
	}
	record_link(rec);
	record_put(rec);
	return (0);
}

/* What was open when the process before ended will not be answered. */
static void
cancel_old(void)
{
	struct chela_approval_record	*rec;
	size_t				 i;
	bool				 again = true;

	while (again) {
		again = false;
		for (i = 0; i < BUCKETS && !again; i++) {
			for (rec = rs.buckets[i]; rec != NULL;
			    rec = rec->next) {
				if (rec->status != CHELA_RECORD_PENDING ||
				    rec->is_mine)
					continue;
				record_close(rec, CHELA_RECORD_CANCELLED,
				    "gateway-restart", "gateway-restart");
				again = true;
				break;
			}
		}
	}
}

int
records_start(void)
{
	int	r;

	memset(&rs, 0, sizeof rs);
	rs.ready_end = &rs.ready;
	rs.timer = ap.host->timer_new(ap.ctx, on_expire, NULL);
	if (rs.timer == NULL)
		return (-ENOMEM);
	r = ap.host->kv_each(ap.ctx, KEY_PREFIX, on_each, NULL);
	if (r < 0)
		return (r);
	cancel_old();
	ended_trim();
	return (0);
}

static void
list_free(struct wait **list)
{
	struct wait	*w;

	while ((w = *list) != NULL) {
		*list = w->next;
		wait_free(w);
	}
}

void
records_stop(void)
{
	struct chela_approval_record	*rec;
	size_t				 i;

	rs.is_stopping = true;
	if (rs.timer != NULL)
		ap.host->timer_free(rs.timer);
	rs.timer = NULL;
	list_free(&rs.ready);
	rs.ready_end = &rs.ready;
	for (i = 0; i < BUCKETS; i++) {
		while ((rec = rs.buckets[i]) != NULL) {
			list_free(&rec->opened);
			list_free(&rec->waits);
			list_free(&rec->settling);
			rs.buckets[i] = rec->next;
			rec->is_linked = false;
			record_put(rec);
		}
	}
	rs.newest = rs.oldest = NULL;
}

const struct chela_approval_records_1 records_service = {
	.struct_size = sizeof records_service,
	.add_kind = records_add_kind,
	.drop_kind = records_drop_kind,
	.open = records_open,
	.wait = records_wait,
	.unwait = records_unwait,
	.info = records_info,
	.find_prefix = records_find_prefix,
	.pending = records_pending,
	.resolve = records_resolve,
	.cancel = records_cancel,
	.replay = records_replay,
};
