/* SPDX-License-Identifier: MIT */
/* All records: found by id, the ended ones in the order of the history. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

#define BUCKETS		1024u

static struct {
	struct chela_approval_record	*buckets[BUCKETS];
	struct chela_approval_record	*newest, *oldest; /* ended ones */
	size_t				 n_pending, n_ended, ended_bytes;
} tb;

size_t
table_pending(void)
{
	return (tb.n_pending);
}

static struct chela_approval_record **
bucket(const char *id)
{
	uint32_t	h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return (&tb.buckets[h % BUCKETS]);
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
table_next(const struct chela_approval_record *rec)
{
	size_t	i = 0;

	if (rec != NULL) {
		if (rec->next != NULL)
			return (rec->next);
		i = (size_t)(bucket(rec->id) - tb.buckets) + 1;
	}
	for (; i < BUCKETS; i++) {
		if (tb.buckets[i] != NULL)
			return (tb.buckets[i]);
	}
	return (NULL);
}

struct chela_approval_record *
record_newest(void)
{
	return (tb.newest);
}

void
table_remove(struct chela_approval_record *rec)
{
	struct chela_approval_record	**p;

	if (!rec->is_linked)
		return;
	for (p = bucket(rec->id); *p != rec; p = &(*p)->next)
		;
	*p = rec->next;
	rec->is_linked = false;
	if (rec->status == CHELA_RECORD_PENDING) {
		tb.n_pending--;
	} else {
		if (rec->next_ended != NULL)
			rec->next_ended->prev_ended = rec->prev_ended;
		else
			tb.oldest = rec->prev_ended;
		if (rec->prev_ended != NULL)
			rec->prev_ended->next_ended = rec->next_ended;
		else
			tb.newest = rec->next_ended;
		tb.n_ended--;
		tb.ended_bytes -= rec->size;
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
	struct chela_approval_record	*at = tb.newest, *prev = NULL;

	while (at != NULL && is_before(at, rec)) {
		prev = at;
		at = at->next_ended;
	}
	rec->prev_ended = prev;
	rec->next_ended = at;
	if (prev != NULL)
		prev->next_ended = rec;
	else
		tb.newest = rec;
	if (at != NULL)
		at->prev_ended = rec;
	else
		tb.oldest = rec;
	tb.n_ended++;
	tb.ended_bytes += rec->size;
}

void
table_trim(void)
{
	uint64_t	 now = ap.host->wall_ms();
	char		 key[RECORD_KEY_MAX];

	while (tb.oldest != NULL && (tb.n_ended > ENDED_MAX ||
	    tb.ended_bytes > ENDED_BYTES_MAX ||
	    tb.oldest->resolved_ms + ENDED_KEEP_MS < now)) {
		record_key(tb.oldest, key);
		(void)ap.host->kv_del(ap.ctx, key, CHELA_ANY_REV, NULL, NULL);
		table_remove(tb.oldest);
	}
}

void
table_add(struct chela_approval_record *rec)
{
	struct chela_approval_record	**p = bucket(rec->id);

	rec->next = *p;
	*p = rec;
	rec->is_linked = true;
	rec->refs++;
	if (rec->status == CHELA_RECORD_PENDING)
		tb.n_pending++;
	else
		ended_insert(rec);
}

/* --- what is asked of all of them --- */

int
records_info(const char *id, struct chela_conn *conn,
    struct chela_record_info *ret)
{
	struct chela_approval_record	*rec = record_find(id);

	if (rec == NULL || !record_visible(rec, conn))
		return (-ENOENT);
	record_info(rec, ret);
	return (0);
}

int
records_find_prefix(const char *kind, const char *prefix,
    struct chela_conn *conn, char *ret_id)
{
	struct chela_approval_record	*rec = NULL, *found = NULL;
	size_t				 n = strlen(prefix);

	if (n < PREFIX_MIN)
		return (-ENOENT);
	while ((rec = table_next(rec)) != NULL) {
		if (strcmp(rec->kind, kind) != 0 ||
		    rec->status != CHELA_RECORD_PENDING ||
		    strncmp(rec->id, prefix, n) != 0 ||
		    !record_visible(rec, conn))
			continue;
		if (found != NULL)
			return (-ENOENT);
		found = rec;
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

int
records_pending(const char *kind, struct chela_conn *conn,
    struct json_object **ret)
{
	struct chela_approval_record	**all, *rec = NULL;
	struct json_object		*list = json_object_new_array();
	size_t				 i, n = 0;

	all = calloc(tb.n_pending + 1, sizeof(*all));
	if (all == NULL || list == NULL) {
		free(all);
		json_object_put(list);
		return (-ENOMEM);
	}
	while ((rec = table_next(rec)) != NULL) {
		/* One that is not stored yet can still fail to be. */
		if (rec->status == CHELA_RECORD_PENDING &&
		    rec->is_stored && strcmp(rec->kind, kind) == 0 &&
		    record_visible(rec, conn))
			all[n++] = rec;
	}
	qsort(all, n, sizeof(*all), record_cmp);
	for (i = 0; i < n; i++)
		(void)json_object_array_add(list, pending_row(all[i]));
	free(all);
	*ret = list;
	return (0);
}

int
records_replay(const char *session_key, struct chela_conn *conn,
    struct json_object **ret)
{
	struct chela_approval_record	**all, *rec = NULL;
	struct json_object		*o, *list;
	char				 key[CHELA_SESSION_KEY_MAX + 1];
	size_t				 i, n = 0;

	all = calloc(tb.n_pending + 1, sizeof(*all));
	if (all == NULL)
		return (-ENOMEM);
	while ((rec = table_next(rec)) != NULL) {
		if (rec->status == CHELA_RECORD_PENDING &&
		    rec->is_stored && record_visible(rec, conn) &&
		    session_key_of(rec, key) &&
		    strcmp(key, session_key) == 0)
			all[n++] = rec;
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
