/* SPDX-License-Identifier: MIT */
/*
 * How a record comes to be, is answered and ends. Here is the one place where a
 * record changes its state; each is stored under "r/" and its id.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

static struct {
	struct chela_timer	*timer;
	bool			 is_stopping;
} rs;

/* --- storing --- */

static int
record_store(struct chela_approval_record *rec, bool is_next,
    chela_done_fn *done)
{
	char	key[RECORD_KEY_MAX];
	int	r;

	record_key(rec, key);
	rec->refs++;
	r = ap.host->kv_put(ap.ctx, key, record_doc(rec, is_next),
	    CHELA_ANY_REV, done, rec);
	if (r < 0)
		record_put(rec);
	return (r);
}

static void expire_arm(void);

/* Now it has ended: out of the pending ones, into the history. */
static void
record_end(struct chela_approval_record *rec, uint32_t status,
    uint32_t decision, const char *reason)
{
	rec->refs++;
	table_remove(rec);
	rec->status = status;
	rec->decision = decision;
	rec->reason = reason;
	rec->resolved_ms = ap.host->wall_ms();
	table_add(rec);
	rec->refs--;
	table_trim();
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
		tell_resolved(rec);
		waits_ready(&rec->opened);
		waits_ready(&rec->settling);
		waits_ready(&rec->waits);
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
	struct chela_approval_record	*rec = NULL;
	uint64_t			 first = UINT64_MAX, now;

	if (rs.timer == NULL || rs.is_stopping)
		return;
	while ((rec = table_next(rec)) != NULL) {
		if (rec->status == CHELA_RECORD_PENDING &&
		    !rec->is_settling && rec->until_us < first)
			first = rec->until_us;
	}
	now = ap.host->now_us();
	if (first == UINT64_MAX)
		ap.host->timer_stop(rs.timer);
	else
		(void)ap.host->timer_set(rs.timer, first <= now ? 0 :
		    first - now);
}

static bool
expire_one(void)
{
	struct chela_approval_record	*rec = NULL;
	uint64_t			 now = ap.host->now_us();

	while ((rec = table_next(rec)) != NULL) {
		/* An answer in time that is being stored still counts. */
		if (rec->status == CHELA_RECORD_PENDING &&
		    !rec->is_settling && rec->until_us <= now) {
			record_close(rec, CHELA_RECORD_EXPIRED,
			    "timeout", "timeout");
			return (true);
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
		waits_ready(&rec->settling);
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
	waits_ready(&rec->opened);
	waits_ready(&rec->waits);
	waits_ready(&rec->settling);
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
		waits_ready(&list);
		return (r);
	}
	if (rec->is_settling)
		return (wait_add(&rec->settling, rec, ctx, done, arg));
	/* Whoever comes at or after the end of its time is too late. */
	if (rec->until_us <= ap.host->now_us()) {
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
		waits_ready(&rec->opened);
	record_put(rec);
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
	uint64_t		 ms;
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
	    table_pending() >= PENDING_MAX ? -EDQUOT : 0;
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
	rec->size = sizeof *rec + json_bytes(rec->request) +
	    json_bytes(rec->presentation);
	/* A no is always possible. */
	rec->allowed = (spec->allowed == 0 ? 1u << CHELA_ALLOW_ONCE |
	    1u << CHELA_ALLOW_ALWAYS : spec->allowed) | 1u << CHELA_DENY;
	rec->created_ms = ap.host->wall_ms();
	ms = spec->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS :
	    spec->timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS :
	    spec->timeout_ms;
	rec->expires_ms = rec->created_ms + ms;
	rec->until_us = ap.host->now_us() + ms * 1000;
	rec->is_mine = true;
	if (wait_add(&rec->opened, rec, ctx, opened, arg) < 0 ||
	    wait_add(&rec->waits, rec, ctx, done, arg) < 0)
		goto fail;
	r = record_store(rec, false, on_opened);
	if (r < 0)
		goto fail;
	table_add(rec);
	if (ret_id != NULL)
		(void)snprintf(ret_id, CHELA_APPROVAL_ID_MAX + 1, "%s", id);
	expire_arm();
	record_put(rec);
	json_object_put(spec->request);
	json_object_put(spec->presentation);
	return (0);
fail:
	if (rec != NULL) {
		wait_drop(&rec->opened, ctx, NULL);
		wait_drop(&rec->waits, ctx, NULL);
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
	waits_ready(&list);
	return (r);
}

/* --- start and stop --- */

static int
on_each(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	struct chela_approval_record	*rec;

	(void)rev;
	(void)arg;
	rec = record_read(key + sizeof RECORD_PREFIX - 1, val);
	if (rec == NULL) {
		ap.host->log(ap.ctx, CHELA_LOG_WARNING,
		    "approval: a stored record cannot be read and is left out");
		return (0);
	}
	table_add(rec);
	record_put(rec);
	return (0);
}

/* What was open when the process before ended will not be answered. */
static void
cancel_old(void)
{
	struct chela_approval_record	*rec = NULL;

	while ((rec = table_next(rec)) != NULL) {
		if (rec->status != CHELA_RECORD_PENDING || rec->is_mine)
			continue;
		record_close(rec, CHELA_RECORD_CANCELLED, "gateway-restart",
		    "gateway-restart");
		rec = NULL;	/* it moved */
	}
}

int
records_start(void)
{
	int	r;

	memset(&rs, 0, sizeof rs);
	waits_start();
	rs.timer = ap.host->timer_new(ap.ctx, on_expire, NULL);
	if (rs.timer == NULL)
		return (-ENOMEM);
	r = ap.host->kv_each(ap.ctx, RECORD_PREFIX, on_each, NULL);
	if (r < 0)
		return (r);
	cancel_old();
	table_trim();
	return (0);
}

void
records_stop(void)
{
	struct chela_approval_record	*rec;

	rs.is_stopping = true;
	if (rs.timer != NULL)
		ap.host->timer_free(rs.timer);
	rs.timer = NULL;
	waits_stop();
	while ((rec = table_next(NULL)) != NULL) {
		waits_free(&rec->opened);
		waits_free(&rec->waits);
		waits_free(&rec->settling);
		table_remove(rec);
	}
}

const struct chela_approval_records_1 records_service = {
	.struct_size = sizeof records_service,
	.add_kind = records_add_kind,
	.drop_kind = records_drop_kind,
	.open = records_open,
	.wait = records_wait,
	.unwait = waits_drop,
	.info = records_info,
	.find_prefix = records_find_prefix,
	.pending = records_pending,
	.resolve = records_resolve,
	.cancel = records_cancel,
	.replay = records_replay,
	.watch = records_watch,
	.unwatch = records_unwatch,
};
