/* SPDX-License-Identifier: MIT */
/* sessions.list, .describe and .resolve: the index as clients see it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define LIST_LIMIT		100u	/* rows, unless the call says */
#define LIST_LIMIT_MAX		10000u	/* rows of one answer */
#define LIST_LOOK_SLICE		10000u	/* sessions looked at in one turn */
#define LIST_ROW_SLICE		40u	/* rows written in one turn */
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
	bool		 by_interaction;	/* the order */
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

/*
 * One call of sessions.list. It holds a snapshot of the order; the sessions are
 * looked at, and later written, in slices, so that a long list keeps nobody
 * waiting.
 */
struct page {
	struct chela_req	 *req;
	struct json_object	 *params;
	struct filter		  f;
	struct sess		**all;		/* each with a reference */
	size_t			  n_all;
	size_t			  at;		/* next of all to look at */
	struct sess		**rows;		/* of all; no references */
	size_t			  n;
	size_t			  written;	/* of rows */
	size_t			  n_out;	/* of them, in out */
	size_t			  total;	/* that match */
	size_t			  offset;
	size_t			  limit;
	FILE			 *out;
	char			 *text;
	size_t			  len;
};

static void
page_free(struct page *p)
{
	size_t i;

	for (i = 0; i < p->n_all; i++)
		sess_unref(p->all[i]);
	free(p->all);
	free(p->rows);
	free(p->f.search);
	if (p->out != NULL) {
		(void)fclose(p->out);
		free(p->text);
	}
	json_object_put(p->params);
	sessions.host->req_unref(p->req);
	free(p);
}

static int
page_snapshot(struct page *p)
{
	unsigned	 which = p->f.by_interaction ? BY_INTERACTION :
	    BY_UPDATE;
	struct sess	*s;

	p->all = calloc((size_t)sessions.n + 1, sizeof *p->all);
	p->rows = calloc(p->limit + 1, sizeof *p->rows);
	if (p->all == NULL || p->rows == NULL)
		return (-ENOMEM);
	for (s = sessions.newest[which]; s != NULL; s = s->order[which].older) {
		s->refs++;
		p->all[p->n_all++] = s;
	}
	return (0);
}

/* Looks at one slice; true: all have been seen. */
static bool
page_look(struct page *p)
{
	size_t end = p->at + LIST_LOOK_SLICE;

	if (end > p->n_all)
		end = p->n_all;
	for (; p->at < end; p->at++) {
		struct sess *s = p->all[p->at];

		if (s->is_dropped || !filter_takes(&p->f, s))
			continue;
		if (p->total++ >= p->offset && p->n < p->limit)
			p->rows[p->n++] = s;
	}
	return (p->at == p->n_all);
}

static void
write_json(FILE *out, struct json_object *o)
{
	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE), out);
	json_object_put(o);
}

/* Everything before the rows. */
static int
page_head(struct page *p)
{
	char	*file = NULL;
	bool	 more = p->offset + p->n < p->total;

	p->out = open_memstream(&p->text, &p->len);
	if (p->out == NULL || asprintf(&file, "%s/state.sqlite",
	    sessions.host->state_dir()) < 0)
		return (-ENOMEM);
	fprintf(p->out, "{\"ts\":%llu,\"path\":",
	    (unsigned long long)sessions.host->wall_ms());
	write_json(p->out, json_object_new_string(file));
	free(file);
	fprintf(p->out, ",\"count\":%zu,\"totalCount\":%zu,"
	    "\"limitApplied\":%zu,\"hasMore\":%s,\"offset\":%zu,"
	    "\"nextOffset\":", p->n, p->total, p->limit,
	    more ? "true" : "false", p->offset);
	if (more)
		fprintf(p->out, "%zu", p->offset + p->n);
	else
		fputs("null", p->out);
	fputs(",\"owners\":[],\"defaults\":", p->out);
	write_json(p->out, row_defaults(get_str(p->params, "agentId")));
	fputs(",\"sessions\":[", p->out);
	return (0);
}

/*
 * Writes one slice; 1: all are written. A session that has gone leaves no row.
 */
static int
page_rows(struct page *p)
{
	uint32_t	 flags = 0;
	size_t		 end = p->written + LIST_ROW_SLICE;

	if (get_bool(p->params, "includeDerivedTitles", false))
		flags |= ROW_TITLE;
	if (get_bool(p->params, "includeLastMessage", false))
		flags |= ROW_PREVIEW;
	if (end > p->n)
		end = p->n;
	for (; p->written < end; p->written++) {
		struct sess *s = p->rows[p->written];

		if (s->is_dropped)
			continue;
		if (p->n_out++ > 0)
			fputc(',', p->out);
		if (row_write(s, flags, p->out) < 0)
			return (-EIO);
	}
	return (p->written == p->n);
}

static int
page_end(struct page *p)
{
	FILE	*out = p->out;
	int	 r;

	fputs("]}", out);
	p->out = NULL;
	if (fclose(out) != 0) {
		free(p->text);
		return (-ENOMEM);
	}
	r = sessions.host->req_reply_text(p->req, p->text, p->len);
	return (r < 0 ? r : 1);
}

/* One slice: 1: answered, 0: there is more to do. */
static int
page_slice(struct page *p)
{
	int r = 0;

	if (p->out == NULL && !page_look(p))
		return (0);
	if (p->out == NULL)
		r = page_head(p);
	if (r >= 0)
		r = page_rows(p);
	return (r > 0 ? page_end(p) : r);
}

static void
page_step(struct chela_ctx *ctx, void *arg)
{
	struct page	*p = arg;
	int		 r;

	r = page_slice(p);
	if (r == 0) {
		r = sessions.host->post(ctx, page_step, p);
		if (r >= 0)
			return;
	}
	if (r < 0)
		(void)sessions.host->req_fail(p->req, ERR_GONE,
		    "the list could not be made");
	page_free(p);
}

int
sessions_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct page	*p = calloc(1, sizeof *p);
	int64_t		 limit = get_int(params, "limit", LIST_LIMIT);
	int		 r;

	if (p == NULL)
		return (-ENOMEM);
	p->req = sessions.host->req_ref(req);
	p->params = json_object_get(params);
	p->limit = limit < LIST_LIMIT_MAX ? (size_t)limit : LIST_LIMIT_MAX;
	p->offset = (size_t)get_int(params, "offset", 0);
	filter_init(&p->f, p->params);
	r = page_snapshot(p);
	if (r < 0) {
		page_free(p);
		return (r);
	}
	page_step(ctx, p);
	return (0);
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
	s = id != NULL ? sess_find_id(id) : label != NULL ?
	    sess_find_label(label) : sessions.newest[BY_UPDATE];
	for (; s != NULL; s = short_id != NULL ? SESS_OLDER(s) : NULL) {
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
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(0));
	json_object_object_add(o, "candidates", list);
	return (sessions.host->req_reply(req, o));
}
