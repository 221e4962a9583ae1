/* SPDX-License-Identifier: MIT */
/*
 * Usage, counted when a row is stored, so that no transcript has to be read for
 * it: one object a day and agent ("u/<day>/<agent>"), one a session and month
 * ("y/<sessionId>/<month>": a month bounds what is written anew with every
 * row). Days are those of the gateway's time zone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sessions_priv.h"

#define ACCOUNT_MODELS_MAX	8u	/* kept apart of one day */
#define MONTHS_MAX		24	/* looked up one by one */

static const char *const token_members[] = {
	"input", "output", "cacheRead", "cacheWrite", "totalTokens",
	"missingCostEntries",
};
static const char *const cost_members[] = {
	"totalCost", "inputCost", "outputCost", "cacheReadCost",
	"cacheWriteCost",
};

#define N(a) (sizeof (a) / sizeof (a)[0])

struct json_object *
totals_new(void)
{
	struct json_object	*o = json_object_new_object();
	size_t			 i;

	for (i = 0; i < N(token_members); i++)
		set_int(o, token_members[i], 0);
	for (i = 0; i < N(cost_members); i++)
		json_object_object_add(o, cost_members[i],
		    json_object_new_double(0));
	return (o);
}

static double
get_num(struct json_object *o, const char *name)
{
	return (json_object_get_double(get_any(o, name)));
}

void
totals_add(struct json_object *sum, struct json_object *part)
{
	size_t i;

	for (i = 0; i < N(token_members); i++)
		set_int(sum, token_members[i],
		    get_int(sum, token_members[i], 0) +
		    get_int(part, token_members[i], 0));
	for (i = 0; i < N(cost_members); i++)
		json_object_object_add(sum, cost_members[i],
		    json_object_new_double(get_num(sum, cost_members[i]) +
		    get_num(part, cost_members[i])));
}

/* The totals of one row, from its usage and usage.cost. */
static struct json_object *
totals_of(struct json_object *usage)
{
	static const char *const from[] = {
		"total", "input", "output", "cacheRead", "cacheWrite",
	};
	struct json_object	*o = totals_new(), *cost = get_any(usage, "cost");
	int64_t			 total = 0;
	size_t			 i;

	for (i = 0; i < 4; i++) {
		int64_t n = get_int(usage, token_members[i], 0);

		set_int(o, token_members[i], n);
		total += n;
	}
	set_int(o, "totalTokens", get_int(usage, "totalTokens", total));
	if (get_int(o, "totalTokens", 0) == 0)
		return (o);
	if (get_any(cost, "total") == NULL) {
		set_int(o, "missingCostEntries", 1);
		return (o);
	}
	for (i = 0; i < N(from); i++)
		json_object_object_add(o, cost_members[i],
		    json_object_new_double(get_num(cost, from[i])));
	return (o);
}

static void
day_of(uint64_t ms, char ret_day[16])
{
	time_t		 t = (time_t)(ms / 1000);
	struct tm	 tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(ret_day, 16, "%Y-%m-%d", &tm) == 0)
		memcpy(ret_day, "1970-01-01", sizeof "1970-01-01");
}

static struct json_object *
child(struct json_object *o, const char *name,
    struct json_object *(*make)(void))
{
	struct json_object *v = get_any(o, name);

	if (v == NULL) {
		v = make();
		json_object_object_add(o, name, v);
	}
	return (v);
}

static void
count(struct json_object *o, const char *name)
{
	set_int(o, name, get_int(o, name, 0) + 1);
}

static bool
row_has(struct json_object *row, const char *type)
{
	struct json_object	*c = get_any(row, "content");
	size_t			 i, n;

	n = json_object_is_type(c, json_type_array) ?
	    json_object_array_length(c) : 0;
	for (i = 0; i < n; i++) {
		const char *t;

		t = get_str(json_object_array_get_idx(c, i), "type");
		if (t != NULL && strcmp(t, type) == 0)
			return (true);
	}
	return (false);
}

/* {messages, user, assistant, toolCalls, toolResults, errors} */
static void
count_messages(struct json_object *o, struct json_object *row)
{
	const char *role = get_str(row, "role"), *stop;

	count(o, "total");
	if (strcmp(role, "user") == 0) {
		count(o, "user");
	} else if (strcmp(role, "assistant") == 0) {
		count(o, "assistant");
		stop = get_str(row, "stopReason");
		if (stop != NULL && strcmp(stop, "error") == 0)
			count(o, "errors");
		if (row_has(row, "toolCall"))
			count(o, "toolCalls");
	} else if (strcmp(role, "toolResult") == 0) {
		count(o, "toolResults");
	}
}

static void
add_model(struct json_object *o, struct json_object *row,
    struct json_object *totals)
{
	struct json_object	*models, *m;
	const char		*provider = get_str(row, "provider");
	const char		*model = get_str(row, "model");
	char			 name[400];

	if (provider == NULL || model == NULL)
		return;
	(void)snprintf(name, sizeof name, "%s/%s", provider, model);
	models = child(o, "models", json_object_new_object);
	m = get_any(models, name);
	if (m == NULL) {
		if ((unsigned)json_object_object_length(models) >=
		    ACCOUNT_MODELS_MAX)
			return;
		m = json_object_new_object();
		set_str(m, "provider", provider);
		set_str(m, "model", model);
		json_object_object_add(models, name, m);
	}
	count(m, "count");
	totals_add(child(m, "totals", totals_new), totals);
}

static struct json_object *
load(const char *name)
{
	struct json_object *o = NULL;

	if (sessions.host->kv_get(sessions.ctx, name, &o, NULL) < 0 ||
	    !json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = json_object_new_object();
	}
	return (o);
}

void
account_row(const struct sess *s, struct json_object *row)
{
	struct json_object	*totals = totals_of(get_any(row, "usage"));
	struct json_object	*o, *day, *days;
	char			 date[16], name[128];
	uint64_t		 now = sessions.host->wall_ms();
	bool			 counts = get_int(totals, "totalTokens", 0) > 0;

	day_of(now, date);
	if (counts) {
		(void)snprintf(name, sizeof name, "u/%s/%s", date, s->agent);
		o = load(name);
		totals_add(child(o, "totals", totals_new), totals);
		add_model(o, row, totals);
		(void)sessions.host->kv_put(sessions.ctx, name, o,
		    CHELA_ANY_REV, NULL, NULL);
	}

	(void)snprintf(name, sizeof name, "y/%s/%.7s", s->id, date);
	o = load(name);
	if (get_any(o, "firstActivity") == NULL)
		set_int(o, "firstActivity", (int64_t)now);
	set_int(o, "lastActivity", (int64_t)now);
	days = child(o, "days", json_object_new_object);
	day = child(days, date, json_object_new_object);
	count_messages(child(day, "messages", json_object_new_object), row);
	if (counts) {
		totals_add(child(day, "totals", totals_new), totals);
		add_model(day, row, totals);
	}
	(void)sessions.host->kv_put(sessions.ctx, name, o, CHELA_ANY_REV, NULL,
	    NULL);
	json_object_put(totals);
}

static int
forget_one(const char *name, struct json_object *val, uint64_t rev, void *arg)
{
	(void)val;
	(void)rev;
	json_object_array_add(arg, json_object_new_string(name));
	return (0);
}

void
account_forget(const char *session_id)
{
	struct json_object	*names = json_object_new_array();
	char			 prefix[64];
	size_t			 i;

	(void)snprintf(prefix, sizeof prefix, "y/%s/", session_id);
	(void)sessions.host->kv_each(sessions.ctx, prefix, forget_one, names);
	for (i = 0; i < json_object_array_length(names); i++)
		(void)sessions.host->kv_del(sessions.ctx,
		    json_object_get_string(json_object_array_get_idx(names,
		    i)), CHELA_ANY_REV, NULL, NULL);
	json_object_put(names);
}

/* The months of a window as prefixes; 0: too many, walk them all. */
static int
months(const char *from, const char *to, char ret[MONTHS_MAX][16],
    const char *head)
{
	int	 y = atoi(from), m = atoi(from + 5);
	int	 y2 = atoi(to), m2 = atoi(to + 5), n = 0;

	if (strlen(from) < 10 || strlen(to) < 10)
		return (0);
	for (; y < y2 || (y == y2 && m <= m2); n++) {
		if (n == MONTHS_MAX)
			return (0);
		(void)snprintf(ret[n], sizeof ret[n], "%s%04d-%02d", head,
		    y % 10000, m % 100);
		if (++m > 12) {
			m = 1;
			y++;
		}
	}
	return (n);
}

struct days_walk {
	const char	*agent;
	const char	*from;
	const char	*to;
	int		(*cb)(const char *day, const char *agent,
			    struct json_object *totals, void *arg);
	void		*arg;
};

static int
days_one(const char *name, struct json_object *val, uint64_t rev, void *arg)
{
	struct days_walk	*w = arg;
	char			 day[16];
	const char		*agent;

	(void)rev;
	if (strlen(name) < 14)		/* "u/2026-01-31/" */
		return (0);
	memcpy(day, name + 2, 10);
	day[10] = '\0';
	agent = name + 13;
	if (strcmp(day, w->from) < 0 || strcmp(day, w->to) > 0)
		return (0);
	if (w->agent != NULL && strcmp(w->agent, agent) != 0)
		return (0);
	val = get_any(val, "totals");
	return (val != NULL ? w->cb(day, agent, val, w->arg) : 0);
}

int
account_days(const char *agent_id, const char *from_day, const char *to_day,
    int (*cb)(const char *day, const char *agent, struct json_object *totals,
    void *arg), void *arg)
{
	struct days_walk w = {
		.agent = agent_id,
		.from = from_day,
		.to = to_day,
		.cb = cb,
		.arg = arg,
	};
	char	 name[MONTHS_MAX][16];
	int	 i, n, r = 0;

	n = months(from_day, to_day, name, "u/");
	if (n == 0)
		return (sessions.host->kv_each(sessions.ctx, "u/", days_one,
		    &w));
	for (i = 0; i < n && r == 0; i++)
		r = sessions.host->kv_each(sessions.ctx, name[i], days_one,
		    &w);
	return (r);
}
