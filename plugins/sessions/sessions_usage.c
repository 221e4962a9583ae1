/* SPDX-License-Identifier: MIT */
/* sessions.usage: sums of what was counted when rows were stored. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sessions_priv.h"

#define USAGE_LIMIT		50u
#define USAGE_LIMIT_MAX		1000u
#define USAGE_DAYS		30
#define USAGE_SLICE		25u	/* sessions summed up in one turn */

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

/*
 * One call of sessions.usage. The sessions are looked at in slices; those that
 * were not touched since the first day can have used nothing.
 */
struct usage {
	struct chela_req	*req;
	struct sess		**all;		/* each with a reference */
	size_t			 n_all;
	size_t			 at;
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

/* What is summed up of one session. */
struct own {
	struct usage		*u;
	struct json_object	*totals;
	struct json_object	*counts;
	struct json_object	*models;
	struct json_object	*daily;
	int64_t			 first;
	int64_t			 last;
};

static int
add_month(const char *name, struct json_object *val, uint64_t rev, void *arg)
{
	struct json_object	*days = get_any(val, "days"), *item, *t;
	struct own		*own = arg;
	struct usage		*u = own->u;

	(void)name;
	(void)rev;
	if (days == NULL)
		return (0);
	if (own->first == 0)
		own->first = get_int(val, "firstActivity", 0);
	own->last = get_int(val, "lastActivity", own->last);
	json_object_object_foreach(days, date, day) {
		if (strcmp(date, u->from) < 0 || strcmp(date, u->to) > 0)
			continue;
		t = get_any(day, "totals");
		add_counts(own->counts, get_any(day, "messages"));
		add_models(u, own->models, day);
		add_day(u, date, day);
		if (t != NULL)
			totals_add(own->totals, t);
		item = json_object_new_object();
		set_str(item, "date", date);
		set_int(item, "tokens", get_int(t, "totalTokens", 0));
		json_object_object_add(item, "cost", json_object_new_double(
		    json_object_get_double(get_any(t, "totalCost"))));
		json_object_array_add(own->daily, item);
	}
	return (0);
}

/* The usage of one session within the days asked for; gives, or NULL: none. */
static struct json_object *
session_usage(struct usage *u, const struct sess *s)
{
	struct own	 own = { .u = u };
	char		 prefix[64];

	own.totals = totals_new();
	own.counts = json_object_new_object();
	own.models = json_object_new_object();
	own.daily = json_object_new_array();
	(void)snprintf(prefix, sizeof prefix, "y/%s/", s->id);
	(void)sessions.host->kv_each(sessions.ctx, prefix, add_month, &own);
	if (get_int(own.counts, "total", 0) == 0) {
		json_object_put(own.totals);
		json_object_put(own.counts);
		json_object_put(own.models);
		json_object_put(own.daily);
		return (NULL);
	}
	totals_add(u->totals, own.totals);
	add_counts(u->messages, own.counts);
	set_int(own.totals, "firstActivity", own.first);
	set_int(own.totals, "lastActivity", own.last);
	set_int(own.totals, "durationMs", own.last - own.first);
	json_object_object_add(own.totals, "messageCounts", own.counts);
	json_object_object_add(own.totals, "modelUsage", values(own.models));
	json_object_object_add(own.totals, "dailyBreakdown", own.daily);
	return (own.totals);
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

static void
usage_free(struct usage *u)
{
	size_t i;

	for (i = 0; i < u->n_all; i++)
		sess_unref(u->all[i]);
	free(u->all);
	json_object_put(u->totals);
	json_object_put(u->messages);
	json_object_put(u->models);
	json_object_put(u->providers);
	json_object_put(u->agents);
	json_object_put(u->channels);
	json_object_put(u->days);
	json_object_put(u->rows);
	sessions.host->req_unref(u->req);
	free(u);
}

static void
usage_answer(struct usage *u)
{
	struct json_object *o = json_object_new_object(), *cache;

	set_int(o, "updatedAt", (int64_t)sessions.host->wall_ms());
	set_str(o, "startDate", u->from);
	set_str(o, "endDate", u->to);
	json_object_object_add(o, "sessions", u->rows);
	json_object_object_add(o, "totals", u->totals);
	json_object_object_add(o, "aggregates", aggregates(u));
	/* All of them are in the answer now. */
	u->rows = u->totals = u->messages = u->models = NULL;
	u->providers = u->agents = u->channels = u->days = NULL;
	cache = json_object_new_object();
	set_str(cache, "status", "fresh");
	set_int(cache, "cachedFiles", (int64_t)u->n);
	set_int(cache, "pendingFiles", 0);
	set_int(cache, "staleFiles", 0);
	json_object_object_add(o, "cacheStatus", cache);
	(void)sessions.host->req_reply(u->req, o);
}

static void
usage_step(struct chela_ctx *ctx, void *arg)
{
	struct usage	*u = arg;
	size_t		 end = u->at + USAGE_SLICE;

	if (end > u->n_all)
		end = u->n_all;
	for (; u->at < end; u->at++)
		if (!u->all[u->at]->is_dropped)
			usage_session(u, u->all[u->at]);
	if (u->at < u->n_all) {
		if (sessions.host->post(ctx, usage_step, u) >= 0)
			return;
		(void)sessions.host->req_fail(u->req, ERR_GONE,
		    "the usage could not be summed up");
	} else {
		usage_answer(u);
	}
	usage_free(u);
}

/* When the first day begins, or a little before. */
static uint64_t
day_begins(const char *day)
{
	struct tm	 tm = { 0 };
	time_t		 t;

	if (strptime(day, "%Y-%m-%d", &tm) == NULL)
		return (0);
	t = timegm(&tm);
	return (t > 86400 ? (uint64_t)(t - 86400) * 1000 : 0);
}

static int
usage_snapshot(struct usage *u, struct json_object *params, const char *key)
{
	const char	*agent = get_str(params, "agentId");
	uint64_t	 from_ms = day_begins(u->from);
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	struct sess	*s = sessions.newest[BY_UPDATE];

	u->all = calloc((size_t)sessions.n + 1, sizeof *u->all);
	if (u->all == NULL)
		return (-ENOMEM);
	if (agent != NULL)
		agent_normalise(agent, id);
	for (; s != NULL && s->updated_ms >= from_ms; s = SESS_OLDER(s)) {
		if ((agent != NULL && strcmp(s->agent, id) != 0) ||
		    (key != NULL && strcmp(s->key, key) != 0))
			continue;
		s->refs++;
		u->all[u->n_all++] = s;
	}
	return (0);
}

int
sessions_usage(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct usage	*u;
	bool		 one = get_str(params, "key") != NULL;
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	int64_t		 limit = get_int(params, "limit", USAGE_LIMIT);
	int		 r;

	if (one && call_key(req, params, "key", key) < 0)
		return (0);
	u = calloc(1, sizeof *u);
	if (u == NULL)
		return (-ENOMEM);
	u->req = sessions.host->req_ref(req);
	usage_window(u, params);
	u->limit = limit > USAGE_LIMIT_MAX ? USAGE_LIMIT_MAX : (uint32_t)limit;
	u->totals = totals_new();
	u->messages = json_object_new_object();
	u->models = json_object_new_object();
	u->providers = json_object_new_object();
	u->agents = json_object_new_object();
	u->channels = json_object_new_object();
	u->days = json_object_new_object();
	u->rows = json_object_new_array();
	r = usage_snapshot(u, params, one ? key : NULL);
	if (r < 0) {
		usage_free(u);
		return (r);
	}
	usage_step(ctx, u);
	return (0);
}
