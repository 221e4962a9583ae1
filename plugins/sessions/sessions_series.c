/* SPDX-License-Identifier: MIT */
/*
 * sessions.usage.timeseries and .usage.logs: the usage within one transcript.
 * It is read page by page, the oldest first, so that a long one keeps nobody
 * waiting.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define POINTS_MAX		200u	/* of one answer */
#define LOGS_LIMIT		200
#define LOGS_LIMIT_MAX		1000
#define LOG_CHARS		2000u
#define SERIES_ROWS_MAX		10000u	/* looked at: the last ones */
#define SERIES_PAGE		100u	/* rows in one turn of the loop */
#define SERIES_PAGE_BYTES	524288u

/* What one row used. */
struct point {
	int64_t	timestamp;
	int64_t	tokens[5];
	double	cost;
};

static const char *const names[] = {
	"input", "output", "cacheRead", "cacheWrite", "totalTokens",
};

#define N_TOKENS	(sizeof names / sizeof names[0])

/* A call under way; logs is NULL for a time series. */
struct series {
	struct chela_req	*req;
	struct json_object	*logs;
	struct point		*points;
	size_t			 n_points;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	char			 session_id[SESSION_UUID + 1];
	uint64_t		 next;		/* position to read from */
	uint64_t		 last;
};

static void
series_free(struct series *c)
{
	json_object_put(c->logs);
	free(c->points);
	sessions.host->req_unref(c->req);
	free(c);
}

/* The last rows of a session, at most max. */
static struct series *
series_new(struct chela_req *req, const char *key, uint64_t max)
{
	struct sess	*s = sess_find(key);
	struct series	*c = calloc(1, sizeof *c);

	if (c == NULL)
		return (NULL);
	c->req = sessions.host->req_ref(req);
	(void)snprintf(c->key, sizeof c->key, "%s", key);
	c->next = 1;
	if (s == NULL)
		return (c);
	memcpy(c->session_id, s->id, sizeof c->session_id);
	c->last = s->seq;
	c->next = s->first;
	if (c->last >= c->next && c->last - c->next >= max)
		c->next = c->last - max + 1;
	return (c);
}

static int
point_add(struct series *c, struct json_object *row)
{
	struct json_object	*usage = get_any(row, "usage");
	struct point		*p;
	size_t			 i;

	if (usage == NULL)
		return (0);
	if (c->n_points % 256 == 0) {
		p = realloc(c->points, (c->n_points + 256) * sizeof *p);
		if (p == NULL)
			return (-ENOMEM);
		c->points = p;
	}
	p = &c->points[c->n_points++];
	p->timestamp = get_int(row, "timestamp", 0);
	for (i = 0; i < N_TOKENS; i++)
		p->tokens[i] = get_int(usage, names[i], 0);
	p->cost = json_object_get_double(get_any(get_any(usage, "cost"),
	    "total"));
	return (0);
}

static void
log_add(struct series *c, struct json_object *row)
{
	struct json_object	*item, *usage = get_any(row, "usage");
	char			*text = row_text(row), *cut;

	if (text == NULL || *text == '\0') {
		free(text);
		return;
	}
	item = json_object_new_object();
	set_int(item, "timestamp", get_int(row, "timestamp", 0));
	set_str(item, "role", get_str(row, "role"));
	cut = cut_text(text, LOG_CHARS);
	set_str(item, "content", cut);
	free(cut);
	free(text);
	if (usage != NULL) {
		set_int(item, "tokens", get_int(usage, "totalTokens", 0));
		json_object_object_add(item, "cost", json_object_new_double(
		    json_object_get_double(get_any(get_any(usage, "cost"),
		    "total"))));
	}
	json_object_array_add(c->logs, item);
}

/* Several points become one when there are too many. */
static void
answer_points(struct series *c)
{
	size_t			 step, i, j, k;
	struct json_object	*o, *list = json_object_new_array(), *e;
	int64_t			 all = 0;
	double			 cost = 0;

	step = c->n_points / POINTS_MAX + (c->n_points % POINTS_MAX != 0);
	for (i = 0; i < c->n_points; i += step) {
		struct point sum = { 0 };

		for (j = i; j < i + step && j < c->n_points; j++) {
			sum.timestamp = c->points[j].timestamp;
			sum.cost += c->points[j].cost;
			for (k = 0; k < N_TOKENS; k++)
				sum.tokens[k] += c->points[j].tokens[k];
		}
		all += sum.tokens[N_TOKENS - 1];
		cost += sum.cost;
		e = json_object_new_object();
		set_int(e, "timestamp", sum.timestamp);
		for (k = 0; k < N_TOKENS; k++)
			set_int(e, names[k], sum.tokens[k]);
		json_object_object_add(e, "cost",
		    json_object_new_double(sum.cost));
		set_int(e, "cumulativeTokens", all);
		json_object_object_add(e, "cumulativeCost",
		    json_object_new_double(cost));
		json_object_array_add(list, e);
	}
	o = json_object_new_object();
	set_str(o, "sessionId", c->session_id);
	json_object_object_add(o, "points", list);
	(void)sessions.host->req_reply(c->req, o);
}

static void
answer_logs(struct series *c)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "logs", c->logs);
	c->logs = NULL;
	(void)sessions.host->req_reply(c->req, o);
}

static void	series_read(int r, const struct chela_row *rows, size_t n,
		    void *arg);

static void
series_next(struct series *c)
{
	int r = -EIO;

	if (c->next > c->last) {
		if (c->logs != NULL)
			answer_logs(c);
		else
			answer_points(c);
		series_free(c);
		return;
	}
	c->next += SERIES_PAGE;
	r = log_read(c->key, c->next, SERIES_PAGE, SERIES_PAGE_BYTES, 0,
	    series_read, c);
	if (r >= 0)
		return;
	(void)sessions.host->req_fail(c->req, ERR_GONE,
	    "the transcript can not be read");
	series_free(c);
}

static void
series_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct series		*c = arg;
	struct json_object	*row;
	size_t			 i;

	for (i = 0; r >= 0 && i < n; i++) {
		if (rows[i].seq + SERIES_PAGE < c->next)
			continue;	/* of the page before: a gap */
		if (c->logs == NULL &&
		    strstr(rows[i].text, "\"usage\":{") == NULL)
			continue;
		row = json_tokener_parse(rows[i].text);
		if (c->logs != NULL)
			log_add(c, row);
		else
			r = point_add(c, row);
		json_object_put(row);
	}
	if (r >= 0) {
		series_next(c);
		return;
	}
	(void)sessions.host->req_fail(c->req, ERR_GONE,
	    "the transcript can not be read");
	series_free(c);
}

int
sessions_usage_timeseries(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct series	*c;
	struct sess	*s;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	s = sess_find(key);
	if (s == NULL || s->seq < s->first)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "No transcript found for session: %s", key));
	c = series_new(req, key, SERIES_ROWS_MAX);
	if (c == NULL)
		return (-ENOMEM);
	series_next(c);
	return (0);
}

int
sessions_usage_logs(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	int64_t		 limit = get_int(params, "limit", LOGS_LIMIT);
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct series	*c;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	if (limit < 1)
		limit = 1;
	if (limit > LOGS_LIMIT_MAX)
		limit = LOGS_LIMIT_MAX;
	c = series_new(req, key, (uint64_t)limit);
	if (c == NULL)
		return (-ENOMEM);
	c->logs = json_object_new_array();
	series_next(c);
	return (0);
}
