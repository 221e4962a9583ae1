/* SPDX-License-Identifier: MIT */
/*
 * Plugin usage: what the models cost, by day. The numbers are those that plugin
 * sessions counts when rows are stored; nothing is scanned here. Quotas of
 * vendors are not asked for: usage.status names no provider.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define DAYS_DEFAULT	30
#define DAYS_MAX	3660	/* days of one answer */
#define DAY_LEN		11	/* "2026-01-31" and a NUL */

static const struct chela_host		*host;
static const struct chela_sessions_1	*sessions;

static const char *const counts[] = {
	"input", "output", "cacheRead", "cacheWrite", "totalTokens",
	"missingCostEntries",
};
static const char *const costs[] = {
	"totalCost", "inputCost", "outputCost", "cacheReadCost",
	"cacheWriteCost",
};

#define N(a) (sizeof (a) / sizeof (a)[0])

/* The sums of one day, or of all. */
struct sums {
	int64_t	count[N(counts)];
	double	cost[N(costs)];
};

struct window {
	char		 from[DAY_LEN];
	char		 to[DAY_LEN];
	int		 days;
	struct sums	*day;		/* of each day, the oldest first */
	struct sums	 all;
	time_t		 first;		/* noon of the first day, UTC */
};

static void
sums_add(struct sums *s, struct json_object *totals)
{
	size_t i;

	for (i = 0; i < N(counts); i++)
		s->count[i] += json_object_get_int64(get_any(totals,
		    counts[i]));
	for (i = 0; i < N(costs); i++)
		s->cost[i] += json_object_get_double(get_any(totals,
		    costs[i]));
}

static void
sums_write(const struct sums *s, struct json_object *o)
{
	size_t i;

	for (i = 0; i < N(counts); i++)
		json_object_object_add(o, counts[i],
		    json_object_new_int64(s->count[i]));
	for (i = 0; i < N(costs); i++)
		json_object_object_add(o, costs[i],
		    json_object_new_double(s->cost[i]));
}

/*
 * Days are counted by the calendar alone: noon UTC of a date is always a whole
 * number of days from that of another one.
 */
static time_t
noon_of(const char *day)
{
	struct tm tm = { 0 };

	if (strptime(day, "%Y-%m-%d", &tm) == NULL)
		return (-1);
	tm.tm_hour = 12;
	return (timegm(&tm));
}

static void
day_of(time_t noon, char ret_day[DAY_LEN])
{
	struct tm tm;

	if (gmtime_r(&noon, &tm) == NULL ||
	    strftime(ret_day, DAY_LEN, "%Y-%m-%d", &tm) == 0)
		ret_day[0] = '\0';
}

/* A date of the parameters, or NULL when it is none. */
static const char *
get_day(struct json_object *params, const char *name)
{
	const char *s = get_str(params, name);

	if (s == NULL || strlen(s) != DAY_LEN - 1 || noon_of(s) < 0)
		return (NULL);
	return (s);
}

/* days may be a number or its text; what is neither counts as not given. */
static int
get_days(struct json_object *params)
{
	struct json_object	*v = get_any(params, "days");
	const char		*s;
	char			*end;
	double			 n = DAYS_DEFAULT;

	if (json_object_is_type(v, json_type_int) ||
	    json_object_is_type(v, json_type_double)) {
		n = json_object_get_double(v);
	} else if (json_object_is_type(v, json_type_string)) {
		s = json_object_get_string(v);
		n = strtod(s, &end);
		while (isspace((unsigned char)*end))
			end++;
		if (end == s || *end != '\0')
			n = DAYS_DEFAULT;
	}
	if (!(n >= 1))		/* and not a number */
		return (1);
	return (n > DAYS_MAX ? DAYS_MAX : (int)n);
}

/* Is a day given that is none? */
static bool
is_bad_day(struct json_object *params, const char *name)
{
	return (get_any(params, name) != NULL && get_day(params, name) == NULL);
}

static int
window_init(struct window *w, struct json_object *params)
{
	time_t		 now = (time_t)(host->wall_ms() / 1000), last;
	struct tm	 tm;
	const char	*from = get_day(params, "startDate");
	const char	*to = get_day(params, "endDate");

	if (localtime_r(&now, &tm) == NULL ||
	    strftime(w->to, sizeof w->to, "%Y-%m-%d", &tm) == 0)
		return (-EIO);
	if (to != NULL)
		memcpy(w->to, to, DAY_LEN);
	last = noon_of(w->to);
	w->days = get_days(params);
	if (from != NULL) {
		w->days = (int)((last - noon_of(from)) / 86400) + 1;
		if (w->days < 1)
			return (-EINVAL);
		if (w->days > DAYS_MAX)
			w->days = DAYS_MAX;
	}
	w->first = last - (time_t)(w->days - 1) * 86400;
	day_of(w->first, w->from);
	w->day = calloc((size_t)w->days, sizeof *w->day);
	return (w->day != NULL ? 0 : -ENOMEM);
}

static int
window_add(const char *day, const char *agent, struct json_object *totals,
    void *arg)
{
	struct window	*w = arg;
	int64_t		 at = (noon_of(day) - w->first) / 86400;

	(void)agent;
	if (at < 0 || at >= w->days)
		return (0);
	sums_add(&w->day[at], totals);
	sums_add(&w->all, totals);
	return (0);
}

static struct json_object *
window_write(const struct window *w)
{
	struct json_object	*o = json_object_new_object(), *list, *e;
	char			 day[DAY_LEN];
	int			 i;

	list = json_object_new_array();
	for (i = 0; i < w->days; i++) {
		e = json_object_new_object();
		day_of(w->first + (time_t)i * 86400, day);
		json_object_object_add(e, "date", json_object_new_string(day));
		sums_write(&w->day[i], e);
		json_object_array_add(list, e);
	}
	json_object_object_add(o, "updatedAt",
	    json_object_new_int64((int64_t)host->wall_ms()));
	json_object_object_add(o, "days", json_object_new_int(w->days));
	json_object_object_add(o, "daily", list);
	e = json_object_new_object();
	sums_write(&w->all, e);
	json_object_object_add(o, "totals", e);
	return (o);
}

static int
usage_cost(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const days[] = { "startDate", "endDate" };
	struct window	 w = { 0 };
	size_t		 i;
	const char	*name = get_str(params, "agentId");
	const char	*scope = get_str(params, "agentScope");
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	bool		 all = scope != NULL && strcmp(scope, "all") == 0;
	int		 r;

	(void)ctx;
	if (name != NULL && sessions->agent_id(name, id) < 0)
		return (host->req_fail(req, "INVALID_REQUEST",
		    "unknown agent id \"%s\"", name));
	if (name == NULL && !all) {	/* the default agent's */
		r = sessions->main_key(NULL, key);
		if (r >= 0)
			r = sessions->agent_of(key, id);
		if (r < 0)
			return (r);
	}
	for (i = 0; i < 2; i++)
		if (is_bad_day(params, days[i]))
			return (host->req_fail(req, "INVALID_REQUEST",
			    "invalid %s: expected a valid YYYY-MM-DD calendar "
			    "date", days[i]));
	r = window_init(&w, params);
	if (r == -EINVAL)
		return (host->req_fail(req, "INVALID_REQUEST",
		    "startDate must not be after endDate"));
	if (r < 0)
		return (r);
	(void)sessions->usage_days(all ? NULL : id, w.from, w.to, window_add,
	    &w);
	r = host->req_reply(req, window_write(&w));
	free(w.day);
	return (r);
}

static int
usage_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object *o = json_object_new_object();

	(void)ctx;
	(void)params;
	json_object_object_add(o, "updatedAt",
	    json_object_new_int64((int64_t)host->wall_ms()));
	json_object_object_add(o, "providers", json_object_new_array());
	return (host->req_reply(req, o));
}

static int
usage_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	(void)ctx;
	host = h;
	return (0);
}

static int
usage_start(struct chela_ctx *ctx)
{
	sessions = host->svc_import(ctx, CHELA_SESSIONS_SERVICE);
	return (sessions != NULL ? 0 : -ENOENT);
}

static const struct chela_method methods[] = {
	{
		.name = "usage.status",
		.handler = usage_status,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "usage.cost",
		.handler = usage_cost,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
};

static const struct chela_dep deps[] = {
	{ .name = "sessions" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("usage"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "What the models used and cost, by day",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = usage_init,
	.start = usage_start,
};
