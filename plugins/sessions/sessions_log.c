/* SPDX-License-Identifier: MIT */
/*
 * Transcripts. A row is stored in the form in which it is given to clients, so
 * that a history is a splice of texts. Its position counts from 1 since the
 * last reset; its number in the log is position + base. The entry is put before
 * its row: after a crash a position may be missing, but none is used twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

/* An append or a read under way. */
struct append_job {
	struct json_object	*row;
	chela_session_append_fn	*done;
	void			*arg;
	char			*key;
	char			*id;
	char			 session_id[SESSION_UUID + 1];
	uint64_t		 seq;
	uint32_t		 generation;
	uint32_t		 flags;
};

struct read_job {
	chela_session_read_fn	*done;
	void			*arg;
	uint64_t		 base;
	uint64_t		 first;
};

struct done_job {
	chela_session_done_fn	*done;
	void			*arg;
};

static void
log_name(const struct sess *s, char ret_name[SESSION_UUID + 3])
{
	(void)snprintf(ret_name, SESSION_UUID + 3, "t/%s", s->id);
}

char *
row_text(struct json_object *row)
{
	struct json_object	*content = get_any(row, "content");
	char			*text = NULL;
	size_t			 len = 0, i, n, parts = 0;
	FILE			*out;

	if (json_object_is_type(content, json_type_string))
		return (strdup(json_object_get_string(content)));
	out = open_memstream(&text, &len);
	if (out == NULL)
		return (NULL);
	n = json_object_is_type(content, json_type_array) ?
	    json_object_array_length(content) : 0;
	for (i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(content, i);
		const char *type = get_str(c, "type"), *t = get_str(c, "text");

		if (type == NULL || strcmp(type, "text") != 0 || t == NULL)
			continue;
		fprintf(out, "%s%s", parts++ > 0 ? "\n" : "", t);
	}
	if (fclose(out) != 0) {
		free(text);
		return (NULL);
	}
	return (text);
}

/* What the entry keeps of a new row: counters, title, last message. */
static struct json_object *
entry_fields(struct sess *s, struct json_object *entry,
    struct json_object *row, uint64_t now)
{
	struct json_object	*f = json_object_new_object();
	struct json_object	*store = json_object_new_object();
	struct json_object	*usage = get_any(row, "usage");
	const char		*role = get_str(row, "role");
	char			*text = row_text(row), *line;
	bool			 is_user = strcmp(role, "user") == 0;

	set_int(store, "base", (int64_t)s->base);
	set_int(store, "seq", (int64_t)s->seq + 1);
	set_int(store, "first", (int64_t)s->first);
	if (s->title != NULL || !is_user || text == NULL || *text == '\0') {
		set_str(store, "title", s->title);
	} else {
		line = one_line(text, SESSION_TITLE_MAX);
		set_str(store, "title", line);
		free(line);
	}
	if (text != NULL && *text != '\0' && strcmp(role, "toolResult") != 0) {
		line = one_line(text, SESSION_PREVIEW_MAX);
		set_str(store, "preview", line);
		free(line);
	} else {
		set_str(store, "preview", s->preview);
	}
	free(text);
	json_object_object_add(f, "store", store);
	set_int(f, "updatedAt", (int64_t)now);
	if (is_user)
		set_int(f, "lastInteractionAt", (int64_t)now);

	if (strcmp(role, "assistant") == 0 &&
	    get_int(usage, "totalTokens", 0) > 0) {
		struct json_object *cost = get_any(usage, "cost"), *v;
		int64_t prompt = get_int(usage, "input", 0) +
		    get_int(usage, "cacheRead", 0) +
		    get_int(usage, "cacheWrite", 0);

		set_int(f, "inputTokens", get_int(usage, "input", 0));
		set_int(f, "outputTokens", get_int(usage, "output", 0));
		set_int(f, "totalTokens", prompt);
		set_str(f, "model", get_str(row, "model"));
		set_str(f, "modelProvider", get_str(row, "provider"));
		v = get_any(cost, "total");
		if (v != NULL)
			json_object_object_add(f, "estimatedCostUsd",
			    json_object_new_double(json_object_get_double(v) +
			    json_object_get_double(get_any(entry,
			    "estimatedCostUsd"))));
	}
	return (f);
}

static struct json_object *
message_payload(struct sess *s, const struct append_job *job)
{
	struct json_object *o = json_object_new_object(), *row;

	set_str(o, "sessionKey", s->key);
	set_str(o, "agentId", s->agent);
	set_str(o, "sessionId", s->id);
	json_object_object_add(o, "message", json_object_get(job->row));
	set_str(o, "messageId", job->id);
	set_int(o, "messageSeq", (int64_t)job->seq);
	row = row_object(s, ROW_TITLE | ROW_PREVIEW);
	row_spread(o, row);
	json_object_object_add(o, "session", row);
	return (o);
}

static void
append_free(struct append_job *job)
{
	if (job == NULL)
		return;
	json_object_put(job->row);
	free(job->key);
	free(job->id);
	free(job);
}

static void
append_done(struct chela_ctx *ctx, int r, uint64_t number, void *arg)
{
	struct append_job	*job = arg;
	struct sess		*s = sess_find(job->key);
	bool			 same;

	(void)ctx;
	same = s != NULL && strcmp(s->id, job->session_id) == 0;
	if (r >= 0 && same) {
		struct chela_emit	 opt = { .struct_size = sizeof opt };
		char			 topic[CHELA_SESSION_KEY_MAX + 16];

		/* Numbers may have been skipped by an append that failed. */
		if (s->generation == job->generation && number > job->seq)
			s->base = number - job->seq;
		account_row(s, job->row);
		if ((job->flags & CHELA_APPEND_QUIET) == 0) {
			(void)snprintf(topic, sizeof topic, "messages:%s",
			    s->key);
			opt.topic = "sessions";
			(void)sessions.host->emit(sessions.ctx,
			    "session.message", message_payload(s, job), &opt);
			opt.topic = topic;
			(void)sessions.host->emit(sessions.ctx,
			    "session.message", message_payload(s, job), &opt);
		}
	}
	if (r >= 0 && !same)
		r = -ENOENT;	/* deleted meanwhile */
	if (r < 0 && r != -ENOENT)
		sessions.host->log(sessions.ctx, CHELA_LOG_ERR,
		    "transcript: row not stored (error %d)", -r);
	if (job->done != NULL)
		job->done(r < 0 ? r : 0, job->seq, job->id, job->arg);
	append_free(job);
}

static bool
role_is_known(const char *role)
{
	static const char *const roles[] = {
		"user", "assistant", "toolResult", "system",
	};
	size_t i;

	for (i = 0; role != NULL && i < sizeof roles / sizeof roles[0]; i++)
		if (strcmp(role, roles[i]) == 0)
			return (true);
	return (false);
}

/* Adds the members that every stored row has. */
static void
row_stamp(struct append_job *job, const struct chela_session_append *in,
    uint64_t now)
{
	struct json_object *own = json_object_new_object(), *position;

	if (get_any(job->row, "timestamp") == NULL)
		set_int(job->row, "timestamp", (int64_t)now);
	set_str(own, "id", job->id);
	set_int(own, "seq", (int64_t)job->seq);
	position = json_object_new_object();
	set_str(position, "source", job->session_id);
	set_int(position, "rawSeq", (int64_t)job->seq);
	json_object_object_add(own, "transcriptPosition", position);
	set_int(own, "recordTimestampMs", (int64_t)now);
	set_str(own, "idempotencyKey", in->idempotency_key);
	set_str(own, "runId", in->run_id);
	if (in->struct_size >= offsetof(struct chela_session_append,
	    reply_to_id) + sizeof in->reply_to_id)
		set_str(own, "replyToId", in->reply_to_id);
	json_object_object_add(job->row, "__openclaw", own);
}

int
log_append(const struct chela_session_append *in,
    chela_session_append_fn *done, void *arg)
{
	char			 name[SESSION_UUID + 3], uuid[37];
	struct append_job	*job = NULL;
	struct json_object	*entry = NULL, *row = in->row;
	struct sess		*s = sess_find(in->key);
	uint64_t		 now = sessions.host->wall_ms();
	size_t			 len;
	int			 r = -ENOENT;

	if (s == NULL)
		goto fail;
	r = -EINVAL;
	if (!json_object_is_type(row, json_type_object) ||
	    !role_is_known(get_str(row, "role")))
		goto fail;
	r = -ENOMEM;
	job = calloc(1, sizeof *job);
	if (job == NULL)
		goto fail;
	job->row = row;
	row = NULL;
	job->done = done;
	job->arg = arg;
	job->flags = in->flags;
	job->seq = s->seq + 1;
	job->generation = s->generation;
	memcpy(job->session_id, s->id, sizeof job->session_id);
	sessions.host->uuid(uuid);
	job->key = strdup(s->key);
	job->id = strdup(in->id != NULL ? in->id : uuid);
	if (job->key == NULL || job->id == NULL)
		goto fail;
	row_stamp(job, in, now);
	(void)json_object_to_json_string_length(job->row,
	    JSON_C_TO_STRING_PLAIN, &len);
	r = -EMSGSIZE;
	if (len > SESSION_ROW_MAX)
		goto fail;

	r = entry_get(s, &entry);
	if (r < 0)
		goto fail;
	r = entry_put(s, entry, entry_fields(s, entry, job->row, now), NULL,
	    NULL);
	if (r < 0)
		goto fail;
	log_name(s, name);
	r = sessions.host->log_append(sessions.ctx, name,
	    json_object_get(job->row), append_done, job);
	if (r >= 0)
		return (0);
fail:
	json_object_put(row);
	append_free(job);
	return (r);
}

static void
read_done(struct chela_ctx *ctx, int r, const struct chela_row *rows, size_t n,
    void *arg)
{
	struct read_job		*job = arg;
	struct chela_row	*own = NULL;
	size_t			 i, kept = 0;

	(void)ctx;
	if (r >= 0 && n > 0) {
		own = malloc(n * sizeof *own);
		if (own == NULL)
			r = -ENOMEM;
	}
	for (i = 0; own != NULL && i < n; i++) {
		if (rows[i].seq < job->base + job->first)
			continue;
		own[kept] = rows[i];
		own[kept++].seq = rows[i].seq - job->base;
	}
	job->done(r < 0 ? r : 0, own, kept, job->arg);
	free(own);
	free(job);
}

static void
read_nothing(struct chela_ctx *ctx, void *arg)
{
	struct read_job *job = arg;

	(void)ctx;
	job->done(0, NULL, 0, job->arg);
	free(job);
}

int
log_read(const char *key, uint64_t before, uint32_t max, size_t max_bytes,
    uint32_t flags, chela_session_read_fn *done, void *arg)
{
	char		 name[SESSION_UUID + 3];
	struct read_job	*job;
	struct sess	*s = sess_find(key);
	int		 r;

	job = calloc(1, sizeof *job);
	if (job == NULL)
		return (-ENOMEM);
	job->done = done;
	job->arg = arg;
	if (s == NULL || s->seq < s->first || max == 0 ||
	    (before != 0 && before <= s->first)) {
		r = sessions.host->post(sessions.ctx, read_nothing, job);
		goto out;
	}
	job->base = s->base;
	job->first = s->first;
	if (flags & CHELA_SESSION_READ_ALL)
		job->base = job->first = 0;
	else if (before == 0 && max > s->seq - s->first + 1)
		max = (uint32_t)(s->seq - s->first + 1);
	log_name(s, name);
	r = sessions.host->log_read(sessions.ctx, name,
	    before != 0 ? s->base + before : 0, max, max_bytes,
	    CHELA_READ_TAIL, read_done, job);
out:
	if (r < 0)
		free(job);
	return (r);
}

/* A look-up of one row by its id. */
struct find_job {
	chela_session_read_fn	*done;
	void			*arg;
	char			*id;
	uint64_t		 base;
	uint64_t		 first;
};

static void
find_free(struct find_job *job)
{
	free(job->id);
	free(job);
}

static void
find_done(struct chela_ctx *ctx, int r, const char *const *logs,
    const struct chela_row *rows, size_t n, void *arg)
{
	struct find_job		*job = arg;
	struct json_object	*row;
	struct chela_row	 own;
	const char		*id;
	size_t			 i;
	bool			 is_it = false;

	(void)ctx;
	(void)logs;
	for (i = 0; r >= 0 && i < n && !is_it; i++) {
		if (rows[i].seq < job->base + job->first)
			continue;
		row = json_tokener_parse(rows[i].text);
		id = get_str(get_any(row, "__openclaw"), "id");
		is_it = id != NULL && strcmp(id, job->id) == 0;
		json_object_put(row);
		own = rows[i];
		own.seq -= job->base;
	}
	job->done(r < 0 ? r : 0, is_it ? &own : NULL, is_it ? 1 : 0, job->arg);
	find_free(job);
}

static void
find_nothing(struct chela_ctx *ctx, void *arg)
{
	struct find_job *job = arg;

	(void)ctx;
	job->done(0, NULL, 0, job->arg);
	find_free(job);
}

int
log_find_row(const char *key, const char *id, chela_session_read_fn *done,
    void *arg)
{
	char		 name[SESSION_UUID + 3];
	struct find_job	*job = calloc(1, sizeof *job);
	struct sess	*s = sess_find(key);
	int		 r = -ENOMEM;

	if (job == NULL)
		return (-ENOMEM);
	job->done = done;
	job->arg = arg;
	job->id = strdup(id);
	if (job->id == NULL)
		goto fail;
	if (s == NULL || strlen(id) > SESSION_ROW_ID_MAX) {
		r = sessions.host->post(sessions.ctx, find_nothing, job);
	} else {
		job->base = s->base;
		job->first = s->first;
		log_name(s, name);
		r = sessions.host->log_find(sessions.ctx, name, id, 8,
		    find_done, job);
	}
	if (r >= 0)
		return (0);
fail:
	find_free(job);
	return (r);
}

static void
store_done(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct done_job *job = arg;

	(void)ctx;
	(void)rev;
	job->done(r, job->arg);
	free(job);
}

/* The arguments of a store call that ends with done(arg). */
static int
done_wrap(chela_session_done_fn *done, void *arg, struct done_job **ret_job)
{
	struct done_job *job;

	*ret_job = NULL;
	if (done == NULL)
		return (0);
	job = malloc(sizeof *job);
	if (job == NULL)
		return (-ENOMEM);
	job->done = done;
	job->arg = arg;
	*ret_job = job;
	return (0);
}

static struct json_object *
store_object(const struct sess *s, uint64_t base, uint64_t seq, uint64_t first)
{
	struct json_object *store = json_object_new_object();

	set_int(store, "base", (int64_t)base);
	set_int(store, "seq", (int64_t)seq);
	set_int(store, "first", (int64_t)first);
	if (seq > 0) {
		set_str(store, "title", s->title);
		set_str(store, "preview", s->preview);
	}
	return (store);
}

int
log_reset(const char *key, const char *reason, chela_session_done_fn *done,
    void *arg)
{
	static const char *const zeroed[] = {
		"inputTokens", "outputTokens", "totalTokens",
		"estimatedCostUsd", "lastRunError", "abortedLastRun",
		"status", "lastRunId", "contextTokens",
	};
	struct json_object	*entry = NULL, *fields;
	struct done_job		*job;
	struct sess		*s;
	char			 uuid[37];
	size_t			 i;
	int			 r;

	r = entry_ensure(key, NULL, "operator", &s);
	if (r < 0)
		return (r);
	r = entry_get(s, &entry);
	if (r < 0)
		return (r);
	r = done_wrap(done, arg, &job);
	if (r < 0) {
		json_object_put(entry);
		return (r);
	}
	fields = json_object_new_object();
	for (i = 0; i < sizeof zeroed / sizeof zeroed[0]; i++)
		json_object_object_add(fields, zeroed[i], NULL);
	sessions.host->uuid(uuid);
	set_str(fields, "lifecycleRevision", uuid);
	set_int(fields, "updatedAt", (int64_t)sessions.host->wall_ms());
	set_int(fields, "sessionStartedAt", (int64_t)sessions.host->wall_ms());
	json_object_object_add(fields, "systemSent",
	    json_object_new_boolean(0));
	json_object_object_add(fields, "store",
	    store_object(s, s->base + s->seq, 0, 1));
	s->generation++;
	r = entry_put(s, entry, fields, job != NULL ? store_done : NULL, job);
	if (r < 0) {
		free(job);
		return (r);
	}
	changed_emit(s, NULL, reason, NULL);
	return (0);
}

int
log_keep(const char *key, uint32_t keep, chela_session_done_fn *done,
    void *arg)
{
	char			 name[SESSION_UUID + 3];
	struct json_object	*entry = NULL, *fields;
	struct done_job		*job;
	struct sess		*s = sess_find(key);
	uint64_t		 first;
	int			 r;

	if (s == NULL)
		return (-ENOENT);
	first = s->seq > keep ? s->seq - keep + 1 : s->first;
	if (first < s->first)
		first = s->first;
	r = entry_get(s, &entry);
	if (r < 0)
		return (r);
	fields = json_object_new_object();
	json_object_object_add(fields, "store",
	    store_object(s, s->base, s->seq, first));
	json_object_object_add(fields, "totalTokens", NULL);
	json_object_object_add(fields, "inputTokens", NULL);
	json_object_object_add(fields, "outputTokens", NULL);
	set_int(fields, "compactionCount",
	    get_int(entry, "compactionCount", 0) + 1);
	r = entry_put(s, entry, fields, NULL, NULL);
	if (r < 0)
		return (r);
	r = done_wrap(done, arg, &job);
	if (r < 0)
		return (r);
	log_name(s, name);
	r = sessions.host->log_trim(sessions.ctx, name, s->base + first,
	    job != NULL ? store_done : NULL, job);
	if (r < 0)
		free(job);
	return (r);
}

int
session_remove(struct sess *s, bool with_log, chela_done_fn *done, void *arg)
{
	char	 name[SESSION_UUID + 3], entry[CHELA_SESSION_KEY_MAX + 3];
	int	 r;

	log_name(s, name);
	(void)snprintf(entry, sizeof entry, "s/%s", s->key);
	if (with_log) {
		r = sessions.host->log_trim(sessions.ctx, name, UINT64_MAX,
		    NULL, NULL);
		if (r < 0)
			return (r);
		account_forget(s->id);
	}
	r = sessions.host->kv_del(sessions.ctx, entry, CHELA_ANY_REV, done,
	    arg);
	if (r < 0)
		return (r);
	sess_drop(s);
	return (0);
}
