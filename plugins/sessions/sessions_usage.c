/* SPDX-License-Identifier: MIT */
/*
 * sessions.usage, .usage.timeseries and .usage.logs. The first works on what was
 * counted when rows were stored; the others read one transcript.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sessions_priv.h"

#define USAGE_LIMIT		50u
#define USAGE_LIMIT_MAX		1000u
#define USAGE_DAYS		30
#define POINTS_MAX		200u
#define LOGS_LIMIT		200
#define LOGS_LIMIT_MAX		1000
#define LOG_CHARS		2000u
#define SERIES_ROWS_MAX		10000u
#define SERIES_BYTES_MAX	8388608u

static void
day_back(int days, char ret_day[16])
{
	time_t		 t = (time_t)(sessions.host->wall_ms() / 1000);
	struct tm	 tm;

	if (localtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	tm.tm_hour = 12;		/* never falls off a day at DST */
	tm.tm_mday -= days;
	tm.tm_isdst = -1;
	(void)mktime(&tm);
	if (strftime(ret_day, 16, "%Y-%m-%d", &tm) == 0)
		ret_day[0] = '\0';
}

static int
range_days(const char *range)
{
	static const struct {
		const char	*name;
		int		 days;
	} known[] = {
		{ "7d", 7 },
		{ "30d", 30 },
		{ "90d", 90 },
		{ "1y", 365 },
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].name, range) == 0)
			return (known[i].days);
	return (0);
}

struct usage {
	char			 from[16];
	char			 to[16];
	struct json_object	*totals;
	struct json_object	*messages;
	struct json_object	*models;	/* by "provider/model" */
	struct json_object	*providers;
	struct json_object	*agents;
	struct json_object	*channels;
	struct json_object	*days;
	struct json_object	*rows;
	uint64_t		 n;
	uint32_t		 limit;
};

static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object *v = get_any(o, name);

	if (v == NULL) {
		v = json_object_new_object();
		json_object_object_add(o, name, v);
	}
	return (v);
}

static struct json_object *
member_totals(struct json_object *o)
{
	struct json_object *v = get_any(o, "totals");

	if (v == NULL) {
		v = totals_new();
		json_object_object_add(o, "totals", v);
	}
	return (v);
}

static void
add_counts(struct json_object *sum, struct json_object *part)
{
	static const char *const names[] = {
		"total", "user", "assistant", "toolCalls", "toolResults",
		"errors",
	};
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		set_int(sum, names[i], get_int(sum, names[i], 0) +
		    get_int(part, names[i], 0));
}

/* Adds the models of one day of one session to the three tables. */
static void
add_models(struct usage *u, struct json_object *own, struct json_object *day)
{
	struct json_object *models = get_any(day, "models");

	if (models == NULL)
		return;
	json_object_object_foreach(models, name, m) {
		struct json_object *to[3];
		const char *provider = get_str(m, "provider");
		size_t i;

		to[0] = member(own, name);
		to[1] = member(u->models, name);
		to[2] = member(u->providers, provider);
		for (i = 0; i < 3; i++) {
			set_str(to[i], "provider", provider);
			if (i < 2)
				set_str(to[i], "model", get_str(m, "model"));
			set_int(to[i], "count", get_int(to[i], "count", 0) +
			    get_int(m, "count", 0));
			totals_add(member_totals(to[i]),
			    get_any(m, "totals"));
		}
	}
}

static void
add_day(struct usage *u, const char *date, struct json_object *day)
{
	struct json_object	*o = member(u->days, date);
	struct json_object	*t = get_any(day, "totals");
	struct json_object	*m = get_any(day, "messages");

	set_str(o, "date", date);
	set_int(o, "tokens", get_int(o, "tokens", 0) +
	    get_int(t, "totalTokens", 0));
	json_object_object_add(o, "cost", json_object_new_double(
	    json_object_get_double(get_any(o, "cost")) +
	    json_object_get_double(get_any(t, "totalCost"))));
	set_int(o, "messages", get_int(o, "messages", 0) +
	    get_int(m, "total", 0));
	set_int(o, "toolCalls", get_int(o, "toolCalls", 0) +
	    get_int(m, "toolCalls", 0));
	set_int(o, "errors", get_int(o, "errors", 0) +
	    get_int(m, "errors", 0));
}

/* The values of an object as an array; takes. */
static struct json_object *
values(struct json_object *o)
{
	struct json_object *list = json_object_new_array();

	json_object_object_foreach(o, name, v) {
		(void)name;
		json_object_array_add(list, json_object_get(v));
	}
	json_object_put(o);
	return (list);
}

/* The usage of one session within the days asked for; gives, or NULL: none. */
static struct json_object *
session_usage(struct usage *u, const struct sess *s)
{
	struct json_object	*o = NULL, *out, *days, *daily, *counts, *models;
	struct json_object	*item;
	char			 name[64];

	(void)snprintf(name, sizeof name, "y/%s", s->id);
	if (sessions.host->kv_get(sessions.ctx, name, &o, NULL) < 0)
		return (NULL);
	out = totals_new();
	counts = json_object_new_object();
	models = json_object_new_object();
	daily = json_object_new_array();
	days = get_any(o, "days");
	if (days != NULL) {
		json_object_object_foreach(days, date, day) {
			if (strcmp(date, u->from) < 0 ||
			    strcmp(date, u->to) > 0)
				continue;
			add_counts(counts, get_any(day, "messages"));
			add_models(u, models, day);
			add_day(u, date, day);
			totals_add(out, get_any(day, "totals"));
			item = json_object_new_object();
			set_str(item, "date", date);
			set_int(item, "tokens", get_int(get_any(day, "totals"),
			    "totalTokens", 0));
			json_object_object_add(item, "cost",
			    json_object_new_double(json_object_get_double(
			    get_any(get_any(day, "totals"), "totalCost"))));
			json_object_array_add(daily, item);
		}
	}
	if (get_int(counts, "total", 0) == 0) {
		json_object_put(out);
		json_object_put(counts);
		json_object_put(models);
		json_object_put(daily);
		json_object_put(o);
		return (NULL);
	}
	totals_add(u->totals, out);
	add_counts(u->messages, counts);
	set_int(out, "firstActivity", get_int(o, "firstActivity", 0));
	set_int(out, "lastActivity", get_int(o, "lastActivity", 0));
	set_int(out, "durationMs", get_int(o, "lastActivity", 0) -
	    get_int(o, "firstActivity", 0));
	json_object_object_add(out, "messageCounts", counts);
	json_object_object_add(out, "modelUsage", values(models));
	json_object_object_add(out, "dailyBreakdown", daily);
	json_object_put(o);
	return (out);
}

static void
usage_session(struct usage *u, const struct sess *s)
{
	struct json_object	*usage = session_usage(u, s), *row, *entry;
	struct json_object	*group;
	const char		*channel;

	if (usage == NULL)
		return;
	u->n++;
	entry = entry_public(s);
	group = member(u->agents, s->agent);
	set_str(group, "agentId", s->agent);
	totals_add(member_totals(group), usage);
	channel = get_str(entry, "channel");
	if (channel == NULL)
		channel = get_str(entry, "lastChannel");
	if (channel == NULL)
		channel = "webchat";
	group = member(u->channels, channel);
	set_str(group, "channel", channel);
	totals_add(member_totals(group), usage);

	if (json_object_array_length(u->rows) < u->limit) {
		row = json_object_new_object();
		set_str(row, "key", s->key);
		set_str(row, "label", s->label != NULL ? s->label : s->title);
		set_str(row, "sessionId", s->id);
		set_str(row, "scope", "instance");
		set_int(row, "updatedAt", (int64_t)s->updated_ms);
		set_str(row, "agentId", s->agent);
		set_str(row, "channel", channel);
		set_str(row, "chatType", get_str(entry, "chatType"));
		set_str(row, "modelOverride", get_str(entry, "modelOverride"));
		set_str(row, "providerOverride",
		    get_str(entry, "providerOverride"));
		set_str(row, "modelProvider", get_str(entry, "modelProvider"));
		set_str(row, "model", get_str(entry, "model"));
		json_object_object_add(row, "usage", json_object_get(usage));
		json_object_object_add(row, "hasContextWeight",
		    json_object_new_boolean(0));
		json_object_array_add(u->rows, row);
	}
	json_object_put(entry);
	json_object_put(usage);
}

static int
by_date(const void *a, const void *b)
{
	return (strcmp(get_str(*(struct json_object *const *)a, "date"),
	    get_str(*(struct json_object *const *)b, "date")));
}

static struct json_object *
aggregates(struct usage *u)
{
	struct json_object *o = json_object_new_object(), *t, *daily;

	add_counts(u->messages, NULL);	/* all members, also when zero */
	json_object_object_add(o, "messages", u->messages);
	t = json_object_new_object();
	set_int(t, "totalCalls", get_int(u->messages, "toolCalls", 0));
	set_int(t, "uniqueTools", 0);
	json_object_object_add(t, "tools", json_object_new_array());
	json_object_object_add(o, "tools", t);
	json_object_object_add(o, "byModel", values(u->models));
	json_object_object_add(o, "byProvider", values(u->providers));
	json_object_object_add(o, "byAgent", values(u->agents));
	json_object_object_add(o, "byChannel", values(u->channels));
	json_object_object_add(o, "byCreator", json_object_new_array());
	daily = values(u->days);
	json_object_array_sort(daily, by_date);
	json_object_object_add(o, "daily", daily);
	set_int(o, "sessionCount", (int64_t)u->n);
	return (o);
}

static void
usage_window(struct usage *u, struct json_object *params)
{
	const char	*from = get_str(params, "startDate");
	const char	*to = get_str(params, "endDate");
	const char	*range = get_str(params, "range");

	day_back(0, u->to);
	day_back(USAGE_DAYS - 1, u->from);
	if (range != NULL) {
		if (range_days(range) > 0)
			day_back(range_days(range) - 1, u->from);
		else
			memcpy(u->from, "1970-01-01", sizeof "1970-01-01");
	}
	if (from != NULL)
		(void)snprintf(u->from, sizeof u->from, "%.10s", from);
	if (to != NULL)
		(void)snprintf(u->to, sizeof u->to, "%.10s", to);
}

int
sessions_usage(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct usage		 u = { 0 };
	struct json_object	*o, *cache;
	struct sess		*s;
	const char		*agent = get_str(params, "agentId");
	char			 key[CHELA_SESSION_KEY_MAX + 1], id[65];
	int64_t			 limit = get_int(params, "limit", USAGE_LIMIT);

	(void)ctx;
	if (get_str(params, "key") != NULL &&
	    call_key(req, params, "key", key) < 0)
		return (0);
	usage_window(&u, params);
	u.limit = limit > USAGE_LIMIT_MAX ? USAGE_LIMIT_MAX : (uint32_t)limit;
	u.totals = totals_new();
	u.messages = json_object_new_object();
	u.models = json_object_new_object();
	u.providers = json_object_new_object();
	u.agents = json_object_new_object();
	u.channels = json_object_new_object();
	u.days = json_object_new_object();
	u.rows = json_object_new_array();
	if (agent != NULL)
		agent_normalise(agent, id);
	if (get_str(params, "key") != NULL) {
		s = sess_find(key);
		if (s != NULL)
			usage_session(&u, s);
	} else {
		for (s = sessions.newest; s != NULL; s = s->older)
			if (agent == NULL || strcmp(s->agent, id) == 0)
				usage_session(&u, s);
	}
	o = json_object_new_object();
	set_int(o, "updatedAt", (int64_t)sessions.host->wall_ms());
	set_str(o, "startDate", u.from);
	set_str(o, "endDate", u.to);
	json_object_object_add(o, "sessions", u.rows);
	json_object_object_add(o, "totals", u.totals);
	json_object_object_add(o, "aggregates", aggregates(&u));
	cache = json_object_new_object();
	set_str(cache, "status", "fresh");
	set_int(cache, "cachedFiles", (int64_t)u.n);
	set_int(cache, "pendingFiles", 0);
	set_int(cache, "staleFiles", 0);
	json_object_object_add(o, "cacheStatus", cache);
	return (sessions.host->req_reply(req, o));
}

/* A call that reads one transcript. */
struct series {
	struct chela_req	*req;
	char			 session_id[SESSION_UUID + 1];
};

static struct series *
series_new(struct chela_req *req, const struct sess *s)
{
	struct series *c = calloc(1, sizeof *c);

	if (c == NULL)
		return (NULL);
	c->req = sessions.host->req_ref(req);
	if (s != NULL)
		memcpy(c->session_id, s->id, sizeof c->session_id);
	return (c);
}

static void
series_free(struct series *c)
{
	sessions.host->req_unref(c->req);
	free(c);
}

static void
point_add(struct json_object *points, size_t step, struct json_object *row)
{
	static const char *const names[] = {
		"input", "output", "cacheRead", "cacheWrite", "totalTokens",
	};
	struct json_object	*usage = get_any(row, "usage"), *p;
	size_t			 i, n = json_object_array_length(points);

	p = n > 0 ? json_object_array_get_idx(points, n - 1) : NULL;
	if (p == NULL || get_int(p, "n", 0) >= (int64_t)step) {
		p = json_object_new_object();
		json_object_array_add(points, p);
	}
	set_int(p, "n", get_int(p, "n", 0) + 1);
	set_int(p, "timestamp", get_int(row, "timestamp", 0));
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		set_int(p, names[i], get_int(p, names[i], 0) +
		    get_int(usage, names[i], 0));
	json_object_object_add(p, "cost", json_object_new_double(
	    json_object_get_double(get_any(p, "cost")) +
	    json_object_get_double(get_any(get_any(usage, "cost"), "total"))));
}

static void
series_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*o, *points, *row;
	struct series		*c = arg;
	size_t			 i, with = 0, step;
	int64_t			 tokens = 0;
	double			 cost = 0;

	if (r < 0) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the transcript can not be read");
		series_free(c);
		return;
	}
	for (i = 0; i < n; i++)
		with += strstr(rows[i].text, "\"usage\":{") != NULL;
	step = with / POINTS_MAX + (with % POINTS_MAX != 0);
	points = json_object_new_array();
	for (i = 0; i < n; i++) {
		if (strstr(rows[i].text, "\"usage\":{") == NULL)
			continue;
		row = json_tokener_parse(rows[i].text);
		if (get_any(row, "usage") != NULL)
			point_add(points, step, row);
		json_object_put(row);
	}
	for (i = 0; i < json_object_array_length(points); i++) {
		struct json_object *p = json_object_array_get_idx(points, i);

		tokens += get_int(p, "totalTokens", 0);
		cost += json_object_get_double(get_any(p, "cost"));
		json_object_object_del(p, "n");
		set_int(p, "cumulativeTokens", tokens);
		json_object_object_add(p, "cumulativeCost",
		    json_object_new_double(cost));
	}
	o = json_object_new_object();
	set_str(o, "sessionId", c->session_id);
	json_object_object_add(o, "points", points);
	(void)sessions.host->req_reply(c->req, o);
	series_free(c);
}

int
sessions_usage_timeseries(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct series	*c;
	struct sess	*s;
	int		 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	s = sess_find(key);
	if (s == NULL || s->seq < s->first)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "No transcript found for session: %s", key));
	c = series_new(req, s);
	if (c == NULL)
		return (-ENOMEM);
	r = log_read(key, 0, SERIES_ROWS_MAX, SERIES_BYTES_MAX, 0, series_read,
	    c);
	if (r < 0)
		series_free(c);
	return (r);
}

static void
logs_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct json_object	*o, *logs, *row, *item, *usage;
	struct series		*c = arg;
	size_t			 i;
	char			*text, *cut;

	if (r < 0) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the transcript can not be read");
		series_free(c);
		return;
	}
	logs = json_object_new_array();
	for (i = 0; i < n; i++) {
		row = json_tokener_parse(rows[i].text);
		text = row_text(row);
		if (text != NULL && *text != '\0') {
			item = json_object_new_object();
			set_int(item, "timestamp", get_int(row, "timestamp", 0));
			set_str(item, "role", get_str(row, "role"));
			cut = cut_text(text, LOG_CHARS);
			set_str(item, "content", cut);
			free(cut);
			usage = get_any(row, "usage");
			if (usage != NULL) {
				set_int(item, "tokens", get_int(usage,
				    "totalTokens", 0));
				json_object_object_add(item, "cost",
				    json_object_new_double(
				    json_object_get_double(get_any(get_any(
				    usage, "cost"), "total"))));
			}
			json_object_array_add(logs, item);
		}
		free(text);
		json_object_put(row);
	}
	o = json_object_new_object();
	json_object_object_add(o, "logs", logs);
	(void)sessions.host->req_reply(c->req, o);
	series_free(c);
}

int
sessions_usage_logs(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	int64_t		 limit = get_int(params, "limit", LOGS_LIMIT);
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct series	*c;
	int		 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	if (limit < 1)
		limit = 1;
	if (limit > LOGS_LIMIT_MAX)
		limit = LOGS_LIMIT_MAX;
	c = series_new(req, sess_find(key));
	if (c == NULL)
		return (-ENOMEM);
	r = log_read(key, 0, (uint32_t)limit, SERIES_BYTES_MAX, 0, logs_read,
	    c);
	if (r < 0)
		series_free(c);
	return (r);
}
