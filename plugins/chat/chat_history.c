/* SPDX-License-Identifier: MIT */
/*
 * chat.history and chat.startup. Rows are stored as they are given out, so a
 * page is their texts side by side; only rows that have to be cut are parsed.
 *
 * A cursor names the conversation (a reset makes a new one) and the last
 * position that the client has. It gets what came since, or is told to begin
 * anew.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_priv.h"

#define CURSOR_PREFIX	"c1."
#define REVISION_MAX	63u

struct page {
	struct chela_req	*req;
	struct json_object	*params;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	char			 session_id[40];
	char			 revision[REVISION_MAX + 1];
	uint64_t		 first;
	uint64_t		 last;
	uint64_t		 since;		/* of a delta */
	uint64_t		 before;	/* 0: the newest */
	uint32_t		 limit;
	size_t			 max_bytes;
	int64_t			 max_chars;	/* 0: rows are not cut */
	bool			 is_delta;
	bool			 is_startup;
	bool			 is_there;	/* the session exists */
};

static void
page_free(struct page *p)
{
	json_object_put(p->params);
	chat.host->req_unref(p->req);
	free(p);
}

/* A text that is put together from large pieces. */
struct out {
	char	*s;
	size_t	 len;
	size_t	 size;
	bool	 failed;
};

static void
out_add(struct out *o, const char *s, size_t len)
{
	size_t	 size = o->size > 0 ? o->size : 4096;
	char	*p;

	while (size < o->len + len + 1)
		size *= 2;
	if (size != o->size) {
		p = realloc(o->s, size);
		if (p == NULL) {
			o->failed = true;
			return;
		}
		o->s = p;
		o->size = size;
	}
	memcpy(o->s + o->len, s, len);
	o->len += len;
	o->s[o->len] = '\0';
}

/* A row that is nothing but the word for "no answer". */
static bool
is_silent(const struct chela_row *row)
{
	struct json_object	*o, *content, *c;
	const char		*role, *text;
	bool			 silent = false;

	if (row->len > 4096 || strstr(row->text, SILENT) == NULL)
		return (false);
	o = json_tokener_parse(row->text);
	role = get_str(o, "role");
	content = get_any(o, "content");
	if (role != NULL && strcmp(role, "assistant") == 0 &&
	    json_object_is_type(content, json_type_array) &&
	    json_object_array_length(content) == 1) {
		c = json_object_array_get_idx(content, 0);
		text = get_str(c, "text");
		silent = text != NULL && strcmp(text, SILENT) == 0;
	}
	json_object_put(o);
	return (silent);
}

/* Bytes of the first chars characters. */
static size_t
chars_len(const char *s, int64_t chars)
{
	size_t i = 0;

	while (s[i] != '\0' && chars-- > 0) {
		i++;
		while (((unsigned char)s[i] & 0xc0) == 0x80)
			i++;
	}
	return (i);
}

/* Cuts the text that a member holds; false: it is short enough. */
static bool
cut_member(struct json_object *o, const char *name, int64_t chars)
{
	const char	*s = get_str(o, name);
	size_t		 len;

	if (s == NULL)
		return (false);
	len = chars_len(s, chars);
	if (s[len] == '\0')
		return (false);
	json_object_object_add(o, name,
	    json_object_new_string_len(s, (int)len));
	return (true);
}

static void
out_cut_row(struct out *out, const struct chela_row *row, int64_t chars)
{
	struct json_object	*o = json_tokener_parse(row->text);
	struct json_object	*content, *own;
	size_t			 i, n, len;
	const char		*s;
	bool			 is_cut = cut_member(o, "content", chars);

	content = get_any(o, "content");
	n = json_object_is_type(content, json_type_array) ?
	    json_object_array_length(content) : 0;
	for (i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(content, i);

		if (cut_member(c, "text", chars) |
		    cut_member(c, "thinking", chars)) {
			set_bool(c, "truncated", true);
			is_cut = true;
		}
	}
	own = get_any(o, "__openclaw");
	if (is_cut && own != NULL) {
		set_bool(own, "truncated", true);
		set_str(own, "reason", "display-cap");
	}
	s = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	out_add(out, s, len);
	json_object_put(o);
}

static void
out_rows(struct out *out, const struct page *p, const struct chela_row *rows,
    size_t n)
{
	size_t	 i, added = 0;

	out_add(out, ",\"messages\":[", strlen(",\"messages\":["));
	for (i = 0; i < n; i++) {
		if (p->is_delta && rows[i].seq <= p->since)
			continue;
		if (is_silent(&rows[i]))
			continue;
		if (added++ > 0)
			out_add(out, ",", 1);
		if (p->max_chars > 0 && rows[i].len > (size_t)p->max_chars)
			out_cut_row(out, &rows[i], p->max_chars);
		else
			out_add(out, rows[i].text, rows[i].len);
	}
	out_add(out, "]", 1);
}

/* What waits and what runs in the session. */
struct live {
	struct json_object	*items;
	struct json_object	*in_flight;
	int64_t			 total;
};

static int
live_one(const struct chela_agent_run *run, void *arg)
{
	struct live		*l = arg;
	struct json_object	*o;

	if (run->state == CHELA_RUN_RUNNING) {
		if (l->in_flight != NULL)
			return (0);
		o = json_object_new_object();
		set_str(o, "runId", run->run_id);
		set_str(o, "text", run->text);
		set_int(o, "startedAt", (int64_t)run->started_at_ms);
		l->in_flight = o;
		return (0);
	}
	if (l->total++ >= PENDING_MAX)
		return (0);
	o = json_object_new_object();
	set_str(o, "id", run->run_id);
	set_str(o, "runId", run->run_id);
	json_object_object_add(o, "message",
	    text_message("user", run->message));
	set_int(o, "acceptedAt", (int64_t)run->accepted_at_ms);
	set_str(o, "state", "queued");
	json_object_array_add(l->items, o);
	return (0);
}

static void
add_live(const struct page *p, struct json_object *o)
{
	struct live		 l = { .items = json_object_new_array() };
	struct json_object	*pending = json_object_new_object();

	(void)chat.agent->each(p->key, live_one, &l);
	json_object_object_add(pending, "items", l.items);
	set_int(pending, "total", l.total);
	json_object_object_add(o, "pendingInputs", pending);
	if (l.in_flight != NULL)
		json_object_object_add(o, "inFlightRun", l.in_flight);
}

/* The id of the row that a run's message became; false: not in these rows. */
static bool
receipt_row(const char *run_id, const struct chela_row *rows, size_t n,
    struct json_object *receipt)
{
	struct json_object	*row, *own;
	const char		*id;
	size_t			 i;
	bool			 is_it = false;

	for (i = n; i-- > 0 && !is_it;) {
		if (strstr(rows[i].text, run_id) == NULL ||
		    strstr(rows[i].text, "\"role\":\"user\"") == NULL)
			continue;
		row = json_tokener_parse(rows[i].text);
		own = get_any(row, "__openclaw");
		id = get_str(own, "runId");
		is_it = id != NULL && strcmp(id, run_id) == 0;
		if (is_it)
			set_str(receipt, "consumedByEventId",
			    get_str(own, "id"));
		json_object_put(row);
	}
	return (is_it);
}

/* What became of the messages that the client still waits for. */
static void
add_receipts(const struct page *p, const struct chela_row *rows, size_t n,
    struct json_object *o)
{
	struct json_object	*ids = get_any(p->params, "inputRunIds");
	struct json_object	*receipts, *done, *r, *copy;
	struct chela_agent_run	 run = { .struct_size = sizeof run };
	const char		*id;
	size_t			 i, count;

	if (ids == NULL)
		return;
	receipts = json_object_new_array();
	done = json_object_new_array();
	count = json_object_array_length(ids);
	for (i = 0; i < count; i++) {
		id = json_object_get_string(json_object_array_get_idx(ids, i));
		r = json_object_new_object();
		set_str(r, "runId", id);
		if (receipt_row(id, rows, n, r)) {
			copy = NULL;
			(void)json_object_deep_copy(r, &copy, NULL);
			json_object_array_add(done, copy);
			set_str(r, "state", "consumed");
			json_object_array_add(receipts, r);
		} else if (chat.agent->state(id, &run) >= 0 &&
		    run.ended_at_ms == 0) {
			set_str(r, "state", "pending");
			json_object_array_add(receipts, r);
		} else {
			json_object_put(r);
		}
	}
	json_object_object_add(o, "inputReceipts", receipts);
	json_object_object_add(o, "inputConsumptions", done);
}

static void
add_cursor(const struct page *p, const struct chela_row *rows, size_t n,
    struct json_object *o)
{
	char		 text[128];
	uint64_t	 at = p->is_delta ? p->since : 0;

	if (n > 0)
		at = rows[n - 1].seq;
	(void)snprintf(text, sizeof text, CURSOR_PREFIX "%s.%llu", p->revision,
	    (unsigned long long)at);
	set_str(o, "deltaCursor", text);
}

static void
add_page(const struct page *p, const struct chela_row *rows, size_t n,
    struct json_object *o)
{
	uint64_t	 total = p->is_there ? p->last - p->first + 1 : 0;
	uint64_t	 offset, next;
	bool		 more = n > 0 && rows[0].seq > p->first;
	char		 id[CHELA_SESSION_AGENT_MAX + 1];

	set_str(o, "sessionKey", get_str(p->params, "sessionKey"));
	if (p->is_there)
		set_str(o, "sessionId", p->session_id);
	offset = p->before != 0 ? p->last + 1 - p->before : 0;
	next = n > 0 ? p->last + 1 - rows[0].seq : offset;
	set_bool(o, "hasMore", more);
	set_int(o, "totalMessages", (int64_t)total);
	if (offset > 0 || get_any(p->params, "offset") != NULL)
		set_int(o, "offset", (int64_t)offset);
	if (more)
		set_int(o, "nextOffset", (int64_t)next);
	(void)chat.sessions->agent_of(p->key, id);
	json_object_object_add(o, "defaults", chat.sessions->defaults(id));
	if (p->is_startup)
		json_object_object_add(o, "metadata", metadata(id));
}

/* What is said of a session that nobody has written to yet. */
static struct json_object *
row_to_come(const struct page *p)
{
	struct json_object	*row, *defaults;
	char			 agent[CHELA_SESSION_AGENT_MAX + 1] = "";
	char			 main_key[CHELA_SESSION_KEY_MAX + 1] = "";
	bool			 is_group = strstr(p->key, ":group:") != NULL ||
				    strstr(p->key, ":channel:") != NULL;

	row = json_object_new_object();
	(void)chat.sessions->agent_of(p->key, agent);
	(void)chat.sessions->main_key(agent, main_key);
	set_str(row, "key", p->key);
	set_str(row, "kind", is_group ? "group" : "direct");
	set_str(row, "agentId", agent);
	set_bool(row, "isMain", strcmp(p->key, main_key) == 0);
	json_object_object_add(row, "updatedAt", NULL);
	set_bool(row, "archived", false);
	set_bool(row, "hasActiveRun", false);
	json_object_object_add(row, "activeRunIds", json_object_new_array());
	defaults = chat.sessions->defaults(agent);
	json_object_object_foreach(defaults, name, val) {
		if (val != NULL)
			json_object_object_add(row, name,
			    json_object_get(val));
	}
	json_object_put(defaults);
	return (row);
}

/* The session as lists show it, and where its conversation ends. */
static struct json_object *
session_info(const struct page *p)
{
	struct json_object	*row;
	char			 leaf[LEAF_MAX + 1];

	row = p->is_there ? chat.sessions->row(p->key) : row_to_come(p);
	leaf_name(p->key, leaf);
	json_object_object_add(row, "activeLeafEntryId", *leaf == '\0' ? NULL :
	    json_object_new_string(leaf));
	return (row);
}

static void
page_answer(struct page *p, const struct chela_row *rows, size_t n)
{
	struct json_object	*o = json_object_new_object(), *row;
	struct out		 out = { 0 };
	const char		*head, *level;
	size_t			 len;

	if (p->is_delta)
		set_str(o, "kind", "delta");
	else
		add_page(p, rows, n, o);
	if (p->is_there && (p->is_delta || p->before == 0))
		add_cursor(p, rows, n, o);
	row = session_info(p);
	level = get_str(row, "thinkingLevel");
	if (!p->is_delta)
		set_str(o, "thinkingLevel", level);
	json_object_object_add(o, "sessionInfo", row);
	add_live(p, o);
	add_receipts(p, rows, n, o);
	head = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	out_add(&out, head, len - 1);
	json_object_put(o);
	out_rows(&out, p, rows, n);
	out_add(&out, "}", 1);
	if (out.failed) {
		free(out.s);
		(void)chat.host->req_fail(p->req, ERR_GONE, "out of memory");
		return;
	}
	(void)chat.host->req_reply_text(p->req, out.s, out.len);
}

static int
page_reset(struct chela_req *req)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "kind", "reset");
	return (chat.host->req_reply(req, o));
}

static void
page_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct page *p = arg;

	if (r < 0)
		(void)chat.host->req_fail(p->req, ERR_GONE,
		    "the transcript can not be read");
	else if (p->is_delta && n > 0 && rows[0].seq > p->since + 1)
		(void)page_reset(p->req);	/* it did not fit */
	else
		page_answer(p, rows, n);
	page_free(p);
}

static int
page_start(struct page *p)
{
	int r;

	r = chat.sessions->read(p->key, p->before, p->is_there ? p->limit : 0,
	    p->max_bytes, 0, page_read, p);
	if (r < 0)
		page_free(p);
	return (r);
}

/* The page around one message. */
static void
page_found(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct page	*p = arg;
	struct chela_req *req = p->req;

	if (r < 0) {
		(void)chat.host->req_fail(req, ERR_GONE,
		    "the transcript can not be read");
		page_free(p);
		return;
	}
	if (n == 0) {
		page_answer(p, NULL, 0);
		page_free(p);
		return;
	}
	p->before = rows[0].seq + p->limit / 2 + 1;
	if (p->before > p->last)
		p->before = 0;
	(void)chat.host->req_ref(req);
	if (page_start(p) < 0)
		(void)chat.host->req_fail(req, ERR_GONE,
		    "the transcript can not be read");
	chat.host->req_unref(req);
}

/* Reads the cursor; false: it is not of this conversation. */
static bool
cursor_read(struct page *p, const char *cursor)
{
	char	 head[REVISION_MAX + 8];
	char	*end;
	int	 n;

	n = snprintf(head, sizeof head, CURSOR_PREFIX "%s.", p->revision);
	if (!p->is_there || n < 0 || strncmp(cursor, head, (size_t)n) != 0)
		return (false);
	p->since = strtoull(cursor + n, &end, 10);
	if (*end != '\0' || end == cursor + n || p->since > p->last ||
	    p->since + 1 < p->first || p->last - p->since > DELTA_ROWS_MAX)
		return (false);
	p->is_delta = true;
	p->limit = (uint32_t)(p->last - p->since);
	if (p->max_bytes > DELTA_BYTES_MAX)
		p->max_bytes = DELTA_BYTES_MAX;
	return (true);
}

static void
page_session(struct page *p)
{
	struct chela_session_info	 info = { .struct_size = sizeof info };
	struct json_object		*entry = NULL;
	const char			*want, *rev;

	if (chat.sessions->info(p->key, &info) < 0)
		return;
	want = get_str(p->params, "sessionId");
	if (want != NULL && strcmp(want, info.session_id) != 0)
		return;		/* of a session that is gone */
	p->is_there = true;
	p->first = info.first_seq;
	p->last = info.last_seq;
	(void)snprintf(p->session_id, sizeof p->session_id, "%s",
	    info.session_id);
	if (chat.sessions->get(p->key, &entry) == 0) {
		rev = get_str(entry, "lifecycleRevision");
		(void)snprintf(p->revision, sizeof p->revision, "%s",
		    rev != NULL ? rev : info.session_id);
	}
	json_object_put(entry);
}

static int
page_call(struct chela_req *req, struct json_object *params, bool is_startup)
{
	struct outcome	 out = { 0 };
	struct page	*p;
	const char	*cursor = get_str(params, "cursor");
	const char	*id = get_str(params, "messageId");
	int64_t		 offset = get_int(params, "offset", 0);
	int64_t		 bytes = get_int(params, "maxBytes", HISTORY_BYTES_MAX);
	int		 r;

	if (cursor != NULL && (id != NULL ||
	    get_any(params, "offset") != NULL))
		return (chat.host->req_fail(req, ERR_BAD,
		    "cursor goes with neither offset nor messageId"));
	if (id == NULL && get_str(params, "sessionId") != NULL)
		return (chat.host->req_fail(req, ERR_BAD,
		    "sessionId requires messageId"));
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	p->req = chat.host->req_ref(req);
	p->params = json_object_get(params);
	if (!call_key(params, p->key, &out)) {
		page_free(p);
		return (answer(req, &out));
	}
	p->is_startup = is_startup;
	p->limit = (uint32_t)get_int(params, "limit", HISTORY_LIMIT);
	p->max_chars = get_int(params, "maxChars", 0);
	p->max_bytes = bytes > 0 && bytes < HISTORY_BYTES_MAX ?
	    (size_t)bytes : HISTORY_BYTES_MAX;
	page_session(p);
	if (cursor != NULL && !cursor_read(p, cursor)) {
		page_free(p);
		return (page_reset(req));
	}
	if (id != NULL && p->is_there) {
		r = chat.sessions->find_row(p->key, id, page_found, p);
		if (r < 0)
			page_free(p);
		return (r);
	}
	if (offset > 0) {
		if ((uint64_t)offset >= p->last + 1 - p->first)
			p->before = p->first;
		else
			p->before = p->last + 1 - (uint64_t)offset;
	}
	return (page_start(p));
}

int
chat_history(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (page_call(req, params, false));
}

int
chat_startup(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (page_call(req, params, true));
}

/* chat.message.get: one row in full. */
struct get {
	struct chela_req	*req;
	int64_t			 max_chars;
};

static void
get_found(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*o;
	struct get		*g = arg;
	const char		*why = NULL;

	if (r < 0) {
		(void)chat.host->req_fail(g->req, ERR_GONE,
		    "the transcript can not be read");
		goto out;
	}
	if (n == 0)
		why = "not_found";
	else if (rows[0].len > (size_t)g->max_chars)
		why = "oversized";
	o = json_object_new_object();
	set_bool(o, "ok", why == NULL);
	if (why != NULL)
		set_str(o, "unavailableReason", why);
	else
		json_object_object_add(o, "message",
		    json_tokener_parse(rows[0].text));
	(void)chat.host->req_reply(g->req, o);
out:
	chat.host->req_unref(g->req);
	free(g);
}

int
chat_message_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct outcome	 out = { 0 };
	struct get	*g;
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	int		 r;

	(void)ctx;
	if (!call_key(params, key, &out))
		return (answer(req, &out));
	g = calloc(1, sizeof *g);
	if (g == NULL)
		return (-ENOMEM);
	g->req = chat.host->req_ref(req);
	g->max_chars = get_int(params, "maxChars", MESSAGE_CHARS);
	r = chat.sessions->find_row(key, get_str(params, "messageId"),
	    get_found, g);
	if (r < 0) {
		chat.host->req_unref(req);
		free(g);
	}
	return (r);
}
