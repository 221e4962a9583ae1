/* SPDX-License-Identifier: MIT */
/* sessions.list, .describe and .resolve: the index as clients see it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define LIST_LIMIT		100u	/* rows, unless the call says */
#define LIST_LIMIT_MAX		10000u	/* rows of one answer */
#define CANDIDATES_MAX		10u

/* What a call of sessions.list wants. */
struct filter {
	char		 agent[CHELA_SESSION_AGENT_MAX + 1];	/* "": all */
	const char	*label;
	const char	*spawned_by;
	char		*search;
	uint64_t	 since_ms;
	bool		 with_global;
	bool		 with_unknown;
	bool		 by_interaction;
	bool		 need_interaction;
	bool		 configured_only;
	int		 archived;	/* 0, 1, or -1: both */
};

static bool
filter_takes(const struct filter *f, const struct sess *s)
{
	char id[CHELA_SESSION_AGENT_MAX + 1];

	if (f->archived >= 0 && s->archived != (f->archived == 1))
		return (false);
	if (strcmp(s->key, "global") == 0 && !f->with_global)
		return (false);
	if (strcmp(s->key, "unknown") == 0 && !f->with_unknown)
		return (false);
	if (f->agent[0] != '\0' && strcmp(f->agent, s->agent) != 0)
		return (false);
	if (f->label != NULL &&
	    (s->label == NULL || strcmp(f->label, s->label) != 0))
		return (false);
	if (f->spawned_by != NULL && (s->spawned_by == NULL ||
	    strcmp(f->spawned_by, s->spawned_by) != 0))
		return (false);
	if (s->updated_ms < f->since_ms)
		return (false);
	if (f->need_interaction && s->interacted_ms == 0)
		return (false);
	if (f->configured_only && agent_find(s->agent, id) < 0)
		return (false);
	if (f->search != NULL &&
	    (s->search == NULL || strstr(s->search, f->search) == NULL))
		return (false);
	return (true);
}

static void
filter_init(struct filter *f, struct json_object *params)
{
	const char	*s;
	int64_t		 minutes;

	memset(f, 0, sizeof *f);
	s = get_str(params, "agentId");
	if (s != NULL)
		agent_normalise(s, f->agent);
	f->label = get_str(params, "label");
	f->spawned_by = get_str(params, "spawnedBy");
	s = get_str(params, "search");
	if (s != NULL && *s != '\0')
		f->search = lower_text(s);
	minutes = get_int(params, "activeMinutes", 0);
	if (minutes > 0 && (uint64_t)minutes < sessions.host->wall_ms() / 60000)
		f->since_ms = sessions.host->wall_ms() -
		    (uint64_t)minutes * 60000;
	f->with_global = get_bool(params, "includeGlobal", true);
	f->with_unknown = get_bool(params, "includeUnknown", false);
	f->need_interaction = get_bool(params, "requireLastInteraction", false);
	f->configured_only = get_bool(params, "configuredAgentsOnly", false);
	s = get_str(params, "sortBy");
	f->by_interaction = s != NULL && strcmp(s, "lastInteractionAt") == 0;
	s = get_str(params, "archived");
	f->archived = s != NULL ? -1 : get_bool(params, "archived", false);
}

static int
cmp_interaction(const void *a, const void *b)
{
	const struct sess *x = *(struct sess *const *)a;
	const struct sess *y = *(struct sess *const *)b;

	return (x->interacted_ms > y->interacted_ms ? -1 :
	    x->interacted_ms < y->interacted_ms);
}

struct page {
	struct sess	**rows;
	size_t		  n;		/* in rows */
	size_t		  total;	/* that match */
	size_t		  offset;
	size_t		  limit;
};

/*
 * Collects one page. In the order of the index only the page itself is kept; another
 * order needs all that match.
 */
static int
page_fill(struct page *p, const struct filter *f)
{
	struct sess	*s;
	size_t		 room;

	room = f->by_interaction ? sessions.n : p->limit;
	p->rows = calloc(room + 1, sizeof *p->rows);
	if (p->rows == NULL)
		return (-ENOMEM);
	for (s = sessions.newest; s != NULL; s = s->older) {
		if (!filter_takes(f, s))
			continue;
		if (p->n < room && (f->by_interaction ||
		    p->total >= p->offset))
			p->rows[p->n++] = s;
		p->total++;
	}
	if (!f->by_interaction)
		return (0);
	qsort(p->rows, p->n, sizeof *p->rows, cmp_interaction);
	if (p->offset >= p->n) {
		p->n = 0;
		return (0);
	}
	p->n -= p->offset;
	memmove(p->rows, p->rows + p->offset, p->n * sizeof *p->rows);
	if (p->n > p->limit)
		p->n = p->limit;
	return (0);
}

static void
write_json(FILE *out, struct json_object *o)
{
	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE), out);
	json_object_put(o);
}

static int
page_write(const struct page *p, struct json_object *params, FILE *out)
{
	struct json_object	*path;
	char			*file = NULL;
	uint32_t		 flags = 0;
	size_t			 i;
	int			 r;

	if (get_bool(params, "includeDerivedTitles", false))
		flags |= ROW_TITLE;
	if (get_bool(params, "includeLastMessage", false))
		flags |= ROW_PREVIEW;
	if (asprintf(&file, "%s/state.sqlite", sessions.host->state_dir()) < 0)
		return (-ENOMEM);
	path = json_object_new_string(file);
	free(file);
	fprintf(out, "{\"ts\":%llu,\"path\":",
	    (unsigned long long)sessions.host->wall_ms());
	write_json(out, path);
	fprintf(out, ",\"count\":%zu,\"totalCount\":%zu,\"limitApplied\":%zu,"
	    "\"hasMore\":%s,\"offset\":%zu,\"nextOffset\":", p->n, p->total,
	    p->limit, p->offset + p->n < p->total ? "true" : "false",
	    p->offset);
	if (p->offset + p->n < p->total)
		fprintf(out, "%zu", p->offset + p->n);
	else
		fputs("null", out);
	fputs(",\"owners\":[],\"defaults\":", out);
	write_json(out, row_defaults(get_str(params, "agentId")));
	fputs(",\"sessions\":[", out);
	for (i = 0; i < p->n; i++) {
		if (i > 0)
			fputc(',', out);
		r = row_write(p->rows[i], flags, out);
		if (r < 0)
			return (r);
	}
	fputs("]}", out);
	return (0);
}

int
sessions_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct page	 p = { 0 };
	struct filter	 f;
	char		*text = NULL;
	size_t		 len = 0;
	int64_t		 limit = get_int(params, "limit", LIST_LIMIT);
	FILE		*out;
	int		 r;

	(void)ctx;
	p.limit = limit < LIST_LIMIT_MAX ? (size_t)limit : LIST_LIMIT_MAX;
	p.offset = (size_t)get_int(params, "offset", 0);
	filter_init(&f, params);
	r = page_fill(&p, &f);
	free(f.search);
	if (r < 0)
		goto out;
	r = -ENOMEM;
	out = open_memstream(&text, &len);
	if (out == NULL)
		goto out;
	r = page_write(&p, params, out);
	if (fclose(out) != 0 && r >= 0)
		r = -ENOMEM;
	if (r >= 0)
		r = sessions.host->req_reply_text(req, text, len);
	else
		free(text);
out:
	free(p.rows);
	return (r);
}

int
sessions_describe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o;
	struct sess		*s;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	uint32_t		 flags = 0;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	if (get_bool(params, "includeDerivedTitles", false))
		flags |= ROW_TITLE;
	if (get_bool(params, "includeLastMessage", false))
		flags |= ROW_PREVIEW;
	s = sess_find(key);
	o = json_object_new_object();
	json_object_object_add(o, "session",
	    s != NULL ? row_object(s, flags) : NULL);
	return (sessions.host->req_reply(req, o));
}

static struct json_object *
candidate(const struct sess *s)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "key", s->key);
	set_str(o, "agentId", s->agent);
	set_str(o, "displayName", s->label != NULL ? s->label : s->title);
	return (o);
}

/* How one session answers to what was asked for. */
static bool
resolve_takes(const struct sess *s, const char *id, const char *label,
    const char *short_id, struct json_object *params)
{
	const char	*spawned = get_str(params, "spawnedBy");
	const char	*agent = get_str(params, "agentId");
	char		 norm[CHELA_SESSION_AGENT_MAX + 1];

	if (id != NULL && strcmp(s->id, id) != 0)
		return (false);
	if (label != NULL &&
	    (s->label == NULL || strcmp(s->label, label) != 0))
		return (false);
	if (short_id != NULL && strncmp(s->id, short_id, strlen(short_id)) != 0)
		return (false);
	if (spawned != NULL && (s->spawned_by == NULL ||
	    strcmp(s->spawned_by, spawned) != 0))
		return (false);
	if (agent != NULL) {
		agent_normalise(agent, norm);
		if (strcmp(s->agent, norm) != 0)
			return (false);
	}
	if (strcmp(s->key, "global") == 0 && id == NULL &&
	    !get_bool(params, "includeGlobal", false))
		return (false);
	if (strcmp(s->key, "unknown") == 0 && id == NULL &&
	    !get_bool(params, "includeUnknown", false))
		return (false);
	return (true);
}

static int
resolve_none(struct chela_req *req, struct json_object *params,
    const char *what)
{
	struct json_object *o;

	if (!get_bool(params, "allowMissing", false))
		return (sessions.host->req_fail(req, ERR_BAD,
		    "No session found: %s", what));
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(0));
	return (sessions.host->req_reply(req, o));
}

static int
resolve_reply(struct chela_req *req, const struct sess *s)
{
	struct json_object *o = candidate(s);

	json_object_object_add(o, "ok", json_object_new_boolean(1));
	return (sessions.host->req_reply(req, o));
}

int
sessions_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*key = get_str(params, "key");
	const char		*id = get_str(params, "sessionId");
	const char		*label = get_str(params, "label");
	const char		*short_id = get_str(params, "shortId");
	const char		*what;
	char			 canon[CHELA_SESSION_KEY_MAX + 1];
	struct json_object	*list, *o;
	struct sess		*s, *found = NULL;
	size_t			 n = 0;
	int			 given;

	(void)ctx;
	given = (key != NULL) + (id != NULL) + (label != NULL) +
	    (short_id != NULL);
	if (given == 0)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "Either key, sessionId, shortId, or label is required"));
	if (given > 1)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "Provide only one of key, sessionId, shortId, or label"));
	if (key != NULL) {
		if (call_key(req, params, "key", canon) < 0)
			return (0);
		s = sess_find(canon);
		return (s != NULL ? resolve_reply(req, s) :
		    resolve_none(req, params, key));
	}
	what = id != NULL ? id : label != NULL ? label : short_id;
	list = json_object_new_array();
	for (s = sessions.newest; s != NULL; s = s->older) {
		if (!resolve_takes(s, id, label, short_id, params))
			continue;
		found = s;
		if (n++ < CANDIDATES_MAX)
			json_object_array_add(list, candidate(s));
	}
	if (n <= 1) {
		json_object_put(list);
		return (n == 1 ? resolve_reply(req, found) :
		    resolve_none(req, params, what));
	}
	if (short_id == NULL) {
		json_object_put(list);
		return (sessions.host->req_fail(req, ERR_BAD,
		    "Multiple sessions found for %s: %s",
		    id != NULL ? "sessionId" : "label", what));
	}
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(0));
	json_object_object_add(o, "candidates", list);
	return (sessions.host->req_reply(req, o));
}
