/* SPDX-License-Identifier: MIT */
/* sessions.preview, .get and .search: what reads transcripts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define PREVIEW_KEYS_MAX	64u
#define PREVIEW_ITEMS		12u
#define PREVIEW_ITEMS_MAX	50u
#define PREVIEW_CHARS		240u
#define PREVIEW_CHARS_MAX	2000u
#define PREVIEW_BYTES_MAX	262144u	/* read of one transcript */
#define GET_ROWS_MAX		1000u
#define GET_BYTES_MAX		6291456u
#define SEARCH_LIMIT		10u
#define SEARCH_ROWS_MAX		200u	/* looked at, before the filter */
#define SNIPPET_CHARS		240u

/*
 * One call of sessions.preview: the transcripts are read one after the other.
 */
struct preview {
	struct chela_req	*req;
	struct json_object	*keys;
	struct json_object	*out;
	size_t			 at;
	uint32_t		 limit;
	uint32_t		 chars;
};

static void	preview_next(struct preview *p);

static void
preview_free(struct preview *p)
{
	json_object_put(p->keys);
	json_object_put(p->out);
	sessions.host->req_unref(p->req);
	free(p);
}

static void
preview_add(struct preview *p, const char *status, struct json_object *items)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "key", json_object_get(
	    json_object_array_get_idx(p->keys, p->at)));
	set_str(o, "status", status);
	json_object_object_add(o, "items", items);
	json_object_array_add(p->out, o);
	p->at++;
}

static void
preview_row(struct preview *p, struct json_object *items, const char *text)
{
	struct json_object	*row = json_tokener_parse(text), *o;
	const char		*role = get_str(row, "role");
	char			*body, *cut;

	body = role != NULL ? row_text(row) : NULL;
	if (body != NULL && *body != '\0') {
		cut = cut_text(body, p->chars);
		o = json_object_new_object();
		set_str(o, "role", strcmp(role, "toolResult") == 0 ? "tool" :
		    role);
		set_str(o, "text", cut);
		json_object_array_add(items, o);
		free(cut);
	}
	free(body);
	json_object_put(row);
}

static void
preview_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*items = json_object_new_array();
	struct preview		*p = arg;
	size_t			 i;

	for (i = 0; r >= 0 && i < n; i++)
		preview_row(p, items, rows[i].text);
	preview_add(p, r < 0 ? "error" :
	    json_object_array_length(items) > 0 ? "ok" : "empty", items);
	preview_next(p);
}

static void
preview_next(struct preview *p)
{
	struct json_object	*o;
	struct sess		*s;

	while (p->at < json_object_array_length(p->keys) &&
	    p->at < PREVIEW_KEYS_MAX) {
		s = sess_find(json_object_get_string(
		    json_object_array_get_idx(p->keys, p->at)));
		if (s == NULL) {
			preview_add(p, "missing", json_object_new_array());
			continue;
		}
		if (log_read(s->key, 0, p->limit, PREVIEW_BYTES_MAX, 0,
		    preview_read, p) >= 0)
			return;
		preview_add(p, "error", json_object_new_array());
	}
	o = json_object_new_object();
	set_int(o, "ts", (int64_t)sessions.host->wall_ms());
	json_object_object_add(o, "previews", p->out);
	p->out = NULL;
	(void)sessions.host->req_reply(p->req, o);
	preview_free(p);
}

static uint32_t
at_most(int64_t value, uint32_t max)
{
	return (value > (int64_t)max ? max : (uint32_t)value);
}

int
sessions_preview(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct preview *p = calloc(1, sizeof *p);

	(void)ctx;
	if (p == NULL)
		return (-ENOMEM);
	p->req = sessions.host->req_ref(req);
	p->keys = json_object_get(get_any(params, "keys"));
	p->out = json_object_new_array();
	p->limit = at_most(get_int(params, "limit", PREVIEW_ITEMS),
	    PREVIEW_ITEMS_MAX);
	p->chars = at_most(get_int(params, "maxChars", PREVIEW_CHARS),
	    PREVIEW_CHARS_MAX);
	preview_next(p);
	return (0);
}

/* Rows as they are stored, spliced. */
static void
get_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct chela_req	*req = arg;
	char			*text = NULL;
	size_t			 len = 0, i;
	FILE			*out;

	out = r < 0 ? NULL : open_memstream(&text, &len);
	if (out == NULL) {
		(void)sessions.host->req_fail(req, ERR_GONE,
		    "the transcript can not be read");
		sessions.host->req_unref(req);
		return;
	}
	fputs("{\"messages\":[", out);
	for (i = 0; i < n; i++) {
		if (i > 0)
			fputc(',', out);
		fwrite(rows[i].text, 1, rows[i].len, out);
	}
	fputs("]}", out);
	if (fclose(out) == 0)
		(void)sessions.host->req_reply_text(req, text, len);
	else
		free(text);
	sessions.host->req_unref(req);
}

int
sessions_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char	 key[CHELA_SESSION_KEY_MAX + 1];
	int	 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	(void)sessions.host->req_ref(req);
	r = log_read(key, 0, at_most(get_int(params, "limit", GET_ROWS_MAX),
	    GET_ROWS_MAX), GET_BYTES_MAX, 0, get_read, req);
	if (r < 0)
		sessions.host->req_unref(req);
	return (r);
}

struct search {
	struct chela_req	*req;
	struct json_object	*keys;		/* or NULL: all */
	char			*query;
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];
	uint32_t		 limit;
};

static void
search_free(struct search *q)
{
	json_object_put(q->keys);
	free(q->query);
	sessions.host->req_unref(q->req);
	free(q);
}

static bool
search_wants(const struct search *q, const struct sess *s)
{
	char	 key[CHELA_SESSION_KEY_MAX + 1];
	size_t	 i, n;

	if (q->agent[0] != '\0' && strcmp(q->agent, s->agent) != 0)
		return (false);
	if (q->keys == NULL)
		return (true);
	n = json_object_array_length(q->keys);
	for (i = 0; i < n; i++)
		if (key_canonical(json_object_get_string(
		    json_object_array_get_idx(q->keys, i)), NULL, key) >= 0 &&
		    strcmp(key, s->key) == 0)
			return (true);
	return (false);
}

/*
 * The part of the text around the first hit; NULL when it is not in the text.
 */
static char *
snippet(const char *text, const char *query)
{
	const char	*hit = strcasestr(text, query), *from;

	if (hit == NULL)
		return (NULL);
	from = hit - text > 60 ? hit - 60 : text;
	while (from > text && ((unsigned char)*from & 0xc0) == 0x80)
		from--;
	return (one_line(from, SNIPPET_CHARS));
}

static void
search_row(struct search *q, const struct sess *s, const struct chela_row *in,
    struct json_object *results)
{
	struct json_object	*row = json_tokener_parse(in->text), *o;
	const char		*role = get_str(row, "role");
	char			*text = NULL, *part = NULL;

	if (role != NULL && (strcmp(role, "user") == 0 ||
	    strcmp(role, "assistant") == 0))
		text = row_text(row);
	if (text != NULL)
		part = snippet(text, q->query);
	if (part != NULL) {
		o = json_object_new_object();
		set_str(o, "sessionKey", s->key);
		set_str(o, "sessionId", s->id);
		set_str(o, "messageId",
		    get_str(get_any(row, "__openclaw"), "id"));
		set_str(o, "role", role);
		set_int(o, "timestamp", get_int(row, "timestamp", 0));
		set_str(o, "snippet", part);
		json_object_object_add(o, "score", json_object_new_double(1));
		json_object_array_add(results, o);
	}
	free(part);
	free(text);
	json_object_put(row);
}

static void
search_done(struct chela_ctx *ctx, int r, const char *const *logs,
    const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*o, *results;
	struct search		*q = arg;
	struct sess		*s;
	size_t			 i;
	bool			 more = n >= SEARCH_ROWS_MAX;

	(void)ctx;
	if (r < 0) {
		(void)sessions.host->req_fail(q->req, ERR_GONE,
		    "the search failed");
		search_free(q);
		return;
	}
	results = json_object_new_array();
	for (i = 0; i < n; i++) {
		s = sess_find_id(logs[i] + 2);
		if (s == NULL || rows[i].seq < s->base + s->first ||
		    !search_wants(q, s))
			continue;
		if (json_object_array_length(results) >= q->limit) {
			more = true;
			break;
		}
		search_row(q, s, &rows[i], results);
	}
	o = json_object_new_object();
	json_object_object_add(o, "results", results);
	json_object_object_add(o, "truncated", json_object_new_boolean(more));
	(void)sessions.host->req_reply(q->req, o);
	search_free(q);
}

int
sessions_search(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*agent = get_str(params, "agentId");
	const char	*query = get_str(params, "query");
	struct search	*q;
	int		 r;

	if (query[strspn(query, " \t\r\n")] == '\0')
		return (sessions.host->req_fail(req, ERR_BAD,
		    "query must not be empty"));
	q = calloc(1, sizeof *q);
	if (q == NULL)
		return (-ENOMEM);
	q->req = sessions.host->req_ref(req);
	q->query = strdup(query);
	q->keys = json_object_get(get_any(params, "sessionKeys"));
	q->limit = (uint32_t)get_int(params, "limit", SEARCH_LIMIT);
	if (agent != NULL)
		agent_normalise(agent, q->agent);
	r = q->query == NULL ? -ENOMEM : sessions.host->log_find(ctx, "t/",
	    query, SEARCH_ROWS_MAX, search_done, q);
	if (r < 0)
		search_free(q);
	if (r == -EINVAL || r == -EMSGSIZE)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "the query is too long"));
	return (r);
}
