/* SPDX-License-Identifier: MIT */
/*
 * The index of all sessions and their entries in the table. An entry is parsed
 * when it is read or changed; what lists need is kept in struct sess.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define LOST_TEXT "The gateway stopped before the run ended."

static int
cmp_key(const void *a, const void *b)
{
	return (strcmp(((const struct sess *)a)->key,
	    ((const struct sess *)b)->key));
}

static int
cmp_id(const void *a, const void *b)
{
	return (strcmp(((const struct sess *)a)->id,
	    ((const struct sess *)b)->id));
}

static struct sess *
find_exact(char *key)
{
	struct sess	 want, **p;

	want.key = key;
	p = tfind(&want, &sessions.by_key, cmp_key);
	return (p != NULL ? *p : NULL);
}

struct sess *
sess_find(const char *key)
{
	char canon[CHELA_SESSION_KEY_MAX + 1];

	if (key == NULL || key_canonical(key, NULL, canon) < 0)
		return (NULL);
	return (find_exact(canon));
}

struct sess *
sess_find_id(const char *id)
{
	struct sess	 want, **p;

	if (strlen(id) > SESSION_UUID)
		return (NULL);
	memcpy(want.id, id, strlen(id) + 1);
	p = tfind(&want, &sessions.by_id, cmp_id);
	return (p != NULL ? *p : NULL);
}

static int
cmp_label(const void *a, const void *b)
{
	return (strcmp(((const struct sess *)a)->label,
	    ((const struct sess *)b)->label));
}

struct sess *
sess_find_label(const char *label)
{
	struct sess	 want, **p;

	want.label = strdup(label);
	if (want.label == NULL)
		return (NULL);
	p = tfind(&want, &sessions.by_label, cmp_label);
	free(want.label);
	return (p != NULL ? *p : NULL);
}

static uint64_t
order_value(const struct sess *s, unsigned which)
{
	return (which == BY_UPDATE ? s->updated_ms : s->interacted_ms);
}

static void
order_remove(struct sess *s, unsigned which)
{
	struct order *o = &s->order[which];

	if (o->newer != NULL)
		o->newer->order[which].older = o->older;
	else
		sessions.newest[which] = o->older;
	if (o->older != NULL)
		o->older->order[which].newer = o->newer;
	else
		sessions.oldest[which] = o->newer;
	o->newer = o->older = NULL;
}

/* Nearly always the place is one of the two ends. */
static void
order_insert(struct sess *s, unsigned which)
{
	struct sess	*at = sessions.newest[which];
	struct sess	*last = sessions.oldest[which];
	struct order	*o = &s->order[which];
	uint64_t	 v = order_value(s, which);

	if (last != NULL && order_value(last, which) > v)
		at = NULL;
	while (at != NULL && order_value(at, which) > v)
		at = at->order[which].older;
	o->older = at;
	o->newer = at != NULL ? at->order[which].newer : last;
	if (o->newer != NULL)
		o->newer->order[which].older = s;
	else
		sessions.newest[which] = s;
	if (at != NULL)
		at->order[which].newer = s;
	else
		sessions.oldest[which] = s;
}

/* Puts it where its times belong, if it is not there. */
static void
order_fix(struct sess *s)
{
	unsigned which;

	for (which = 0; which < 2; which++) {
		struct order *o = &s->order[which];
		uint64_t v = order_value(s, which);

		if ((o->newer == NULL ||
		    order_value(o->newer, which) >= v) &&
		    (o->older == NULL || order_value(o->older, which) <= v))
			continue;
		order_remove(s, which);
		order_insert(s, which);
	}
}

static void
sess_free(struct sess *s)
{
	uint32_t i;

	for (i = 0; i < s->n_runs; i++)
		free(s->runs[i].id);
	free(s->runs);
	free(s->key);
	free(s->label);
	free(s->search);
	free(s->title);
	free(s->preview);
	free(s->spawned_by);
	free(s->row);
	free(s);
}

void
sess_unref(struct sess *s)
{
	if (--s->refs == 0)
		sess_free(s);
}

/* The tree of labels holds the first session that has one. */
static void
label_remove(struct sess *s)
{
	if (s->label != NULL && sess_find_label(s->label) == s)
		(void)tdelete(s, &sessions.by_label, cmp_label);
}

void
sess_drop(struct sess *s)
{
	order_remove(s, BY_UPDATE);
	order_remove(s, BY_INTERACTION);
	(void)tdelete(s, &sessions.by_key, cmp_key);
	(void)tdelete(s, &sessions.by_id, cmp_id);
	label_remove(s);
	sessions.n--;
	if (s->n_runs > 0)
		sessions.n_busy--;
	s->is_dropped = true;
	sess_unref(s);
}

static void
label_set(struct sess *s, const char *label)
{
	if (label != NULL && s->label != NULL && strcmp(label, s->label) == 0)
		return;
	label_remove(s);
	free(s->label);
	s->label = label != NULL ? strdup(label) : NULL;
	if (s->label != NULL && !s->is_dropped)
		(void)tsearch(s, &sessions.by_label, cmp_label);
}

static void
set_dup(char **p, const char *text)
{
	free(*p);
	*p = text != NULL ? strdup(text) : NULL;
}

static uint32_t
status_number(const char *name)
{
	uint32_t i;

	for (i = CHELA_RUN_QUEUED; name != NULL && i <= CHELA_RUN_TIMEOUT; i++)
		if (strcmp(status_name(i), name) == 0)
			return (i);
	return (CHELA_RUN_NONE);
}

/* What is searched: one text, so that a list can test it with strstr(). */
static void
search_text(struct sess *s, struct json_object *entry)
{
	const char	*name = get_str(entry, "displayName");
	const char	*subject = get_str(entry, "subject");
	char		*all = NULL;

	free(s->search);
	s->search = NULL;
	if (asprintf(&all, "%s\n%s\n%s\n%s\n%s", name != NULL ? name : "",
	    s->label != NULL ? s->label : "", subject != NULL ? subject : "",
	    s->id, s->key) < 0)
		return;
	s->search = lower_text(all);
	free(all);
}

/* Fills the index from an entry; the place in the list is the caller's. */
static void
sess_read(struct sess *s, struct json_object *entry)
{
	struct json_object *store = get_any(entry, "store");

	label_set(s, get_str(entry, "label"));
	set_dup(&s->title, get_str(store, "title"));
	set_dup(&s->preview, get_str(store, "preview"));
	set_dup(&s->spawned_by, get_str(entry, "spawnedBy"));
	s->updated_ms = (uint64_t)get_int(entry, "updatedAt", 0);
	s->interacted_ms = (uint64_t)get_int(entry, "lastInteractionAt", 0);
	s->base = (uint64_t)get_int(store, "base", 0);
	s->seq = (uint64_t)get_int(store, "seq", 0);
	s->first = (uint64_t)get_int(store, "first", 1);
	s->archived = get_bool(entry, "archived", false);
	s->status = status_number(get_str(entry, "status"));
	search_text(s, entry);
	free(s->row);
	s->row = NULL;
}

/* A new node of the index; s is NULL when the memory or the id fails. */
static struct sess *
sess_new(const char *key, struct json_object *entry)
{
	const char	*id = get_str(entry, "sessionId");
	struct sess	*s;

	if (id == NULL || strlen(id) > SESSION_UUID || *id == '\0')
		return (NULL);
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return (NULL);
	s->key = strdup(key);
	if (s->key == NULL || key_agent(key, s->agent) < 0) {
		sess_free(s);
		return (NULL);
	}
	memcpy(s->id, id, strlen(id) + 1);
	s->is_main = key_is_main(key);
	s->refs = 1;
	if (tsearch(s, &sessions.by_key, cmp_key) == NULL) {
		sess_free(s);
		return (NULL);
	}
	if (tsearch(s, &sessions.by_id, cmp_id) == NULL) {
		(void)tdelete(s, &sessions.by_key, cmp_key);
		sess_free(s);
		return (NULL);
	}
	sess_read(s, entry);
	sessions.n++;
	return (s);
}

int
entry_get(const struct sess *s, struct json_object **ret_entry)
{
	char name[CHELA_SESSION_KEY_MAX + 3];

	(void)snprintf(name, sizeof name, "s/%s", s->key);
	return (sessions.host->kv_get(sessions.ctx, name, ret_entry, NULL));
}

struct json_object *
entry_public(const struct sess *s)
{
	struct json_object *entry = NULL;

	if (entry_get(s, &entry) < 0)
		return (NULL);
	json_object_object_del(entry, "store");
	return (entry);
}

static void
entry_merge(struct json_object *entry, struct json_object *fields)
{
	struct json_object_iterator it, end;

	if (fields == NULL)
		return;
	it = json_object_iter_begin(fields);
	end = json_object_iter_end(fields);
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *name = json_object_iter_peek_name(&it);
		struct json_object *v = json_object_iter_peek_value(&it);

		if (v == NULL)
			json_object_object_del(entry, name);
		else
			json_object_object_add(entry, name,
			    json_object_get(v));
	}
}

int
entry_put(struct sess *s, struct json_object *entry,
    struct json_object *fields, chela_done_fn *done, void *arg)
{
	char	 name[CHELA_SESSION_KEY_MAX + 3];
	size_t	 len;

	entry_merge(entry, fields);
	json_object_put(fields);
	(void)json_object_to_json_string_length(entry, JSON_C_TO_STRING_PLAIN,
	    &len);
	if (len > SESSION_ENTRY_MAX) {
		json_object_put(entry);
		return (-EMSGSIZE);
	}
	sess_read(s, entry);
	order_fix(s);
	(void)snprintf(name, sizeof name, "s/%s", s->key);
	return (sessions.host->kv_put(sessions.ctx, name, entry, CHELA_ANY_REV,
	    done, arg));
}

int
entry_ensure(const char *key, struct json_object *fields,
    const char *created_via, struct sess **ret_s)
{
	char			 canon[CHELA_SESSION_KEY_MAX + 1], uuid[37];
	struct json_object	*entry = NULL;
	struct sess		*s;
	int64_t			 now = (int64_t)sessions.host->wall_ms();
	int			 r;

	r = key_canonical(key, NULL, canon);
	if (r < 0)
		goto fail;
	s = find_exact(canon);
	if (s != NULL) {
		*ret_s = s;
		if (fields == NULL)
			return (0);
		r = entry_get(s, &entry);
		if (r < 0)
			goto fail;
		return (entry_put(s, entry, fields, NULL, NULL) < 0 ? -EIO : 0);
	}
	r = -ENOSPC;
	if (sessions.n >= SESSIONS_MAX)
		goto fail;

	entry = json_object_new_object();
	r = -ENOMEM;
	if (entry == NULL)
		goto fail;
	sessions.host->uuid(uuid);
	set_str(entry, "sessionId", uuid);
	set_int(entry, "updatedAt", now);
	set_int(entry, "createdAt", now);
	set_int(entry, "sessionStartedAt", now);
	set_str(entry, "createdVia", created_via);
	sessions.host->uuid(uuid);
	set_str(entry, "lifecycleRevision", uuid);
	s = sess_new(canon, entry);
	if (s == NULL) {
		json_object_put(entry);
		goto fail;
	}
	order_insert(s, BY_UPDATE);
	order_insert(s, BY_INTERACTION);
	r = entry_put(s, entry, fields, NULL, NULL);
	if (r < 0) {
		sess_drop(s);
		return (r);
	}
	*ret_s = s;
	return (1);
fail:
	json_object_put(fields);
	return (r);
}

/*
 * A run that was active when the daemon stopped will never end: it is marked
 * here, so that no client waits for it.
 */
static void
mark_lost(struct sess *s, struct json_object *entry)
{
	struct json_object *fields = json_object_new_object();

	set_str(fields, "status", status_name(CHELA_RUN_KILLED));
	set_str(fields, "lastRunError", LOST_TEXT);
	json_object_object_add(fields, "abortedLastRun",
	    json_object_new_boolean(1));
	(void)entry_put(s, json_object_get(entry), fields, NULL, NULL);
}

struct load {
	struct sess		**lost;
	size_t			  n_lost;
	struct sess		**all;
	size_t			  n;
};

static int
load_one(const char *name, struct json_object *entry, uint64_t rev, void *arg)
{
	struct load	*l = arg;
	struct sess	*s, **p;

	(void)rev;
	if (l->n >= SESSIONS_MAX)
		return (1);
	s = sess_new(name + 2, entry);
	if (s == NULL) {
		sessions.host->log(sessions.ctx, CHELA_LOG_WARNING,
		    "session '%s': skipped (its entry has no session id)",
		    name + 2);
		return (0);
	}
	if (l->n % 1024 == 0) {
		p = realloc(l->all, (l->n + 1024) * sizeof *p);
		if (p == NULL)
			return (-ENOMEM);
		l->all = p;
		p = realloc(l->lost, (l->n + 1024) * sizeof *p);
		if (p == NULL)
			return (-ENOMEM);
		l->lost = p;
	}
	l->all[l->n++] = s;
	if (s->status == CHELA_RUN_RUNNING || s->status == CHELA_RUN_QUEUED)
		l->lost[l->n_lost++] = s;
	return (0);
}

static int
cmp_times(const void *a, const void *b, void *arg)
{
	unsigned	which = *(unsigned *)arg;
	uint64_t	x = order_value(*(struct sess *const *)a, which);
	uint64_t	y = order_value(*(struct sess *const *)b, which);

	return (x < y ? -1 : x > y);
}

int
index_load(void)
{
	struct json_object	*entry;
	struct load		 l = { 0 };
	unsigned		 which;
	size_t			 i;
	int			 r;

	r = sessions.host->kv_each(sessions.ctx, "s/", load_one, &l);
	for (which = 0; which < 2 && l.n > 0; which++) {
		qsort_r(l.all, l.n, sizeof *l.all, cmp_times, &which);
		for (i = 0; i < l.n; i++)	/* rising: each to the top */
			order_insert(l.all[i], which);
	}
	for (i = 0; i < l.n_lost; i++) {
		if (entry_get(l.lost[i], &entry) < 0)
			continue;
		mark_lost(l.lost[i], entry);
		json_object_put(entry);
	}
	free(l.all);
	free(l.lost);
	return (r < 0 ? r : 0);
}

void
index_free(void)
{
	while (sessions.newest[BY_UPDATE] != NULL)
		sess_drop(sessions.newest[BY_UPDATE]);
}
