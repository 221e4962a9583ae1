/* SPDX-License-Identifier: MIT */
/*
 * The summary and its cache. Without probes it is made at once. With them it is
 * made when the last one has answered; each channel answers within its time.
 */
#include "health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_US	UINT64_C(60000000)	/* the cache's age at most */
#define REFRESH_US	UINT64_C(60000000)	/* between two of our own */
#define PROBE_US	UINT64_C(10000000)	/* for one channel */
#define WAITERS_MAX	256
#define CHANNELS_MAX	64

/* A refresh with probes under way. Counted by its probes and by making it. */
struct refresh {
	struct json_object	*o;
	struct json_object	*channels;	/* in o */
	uint64_t		 since_us;
	unsigned		 n_open;
	bool			 is_broken;	/* no memory */
};

/* One probe; outlives a refresh that was given up. */
struct probe {
	struct refresh	*refresh;
	char		 channel[64];
};

static struct {
	struct chela_timer	*timer;
	struct refresh		*now;		/* or NULL */
	struct chela_req	*waiters[WAITERS_MAX];
	size_t			 n_waiters;
	bool			 is_stopped;
	bool			 is_started;	/* the first refresh was made */
} re;

static void
answer_all(const char *why)
{
	struct json_object	*health = hl.state->health_get();
	size_t			 i;

	for (i = 0; i < re.n_waiters; i++) {
		if (why == NULL)
			(void)hl.host->req_reply(re.waiters[i],
			    json_object_get(health));
		else
			(void)hl.host->req_fail(re.waiters[i], "UNAVAILABLE",
			    "%s", why);
		hl.host->req_unref(re.waiters[i]);
	}
	re.n_waiters = 0;
}

static void
refresh_done(struct refresh *rf)
{
	const char	*why = NULL;
	uint64_t	 took = (hl.host->now_us() - rf->since_us) / 1000;

	/* One from before a stop and a start counts for nothing. */
	if (re.is_stopped || re.now != rf) {
		json_object_put(rf->o);
		free(rf);
		return;
	}
	re.now = NULL;
	if (rf->is_broken || json_add_int(rf->o, "durationMs", (int64_t)took) < 0
	    || hl.state->health_set(json_object_get(rf->o)) < 0)
		why = "health could not be refreshed: no memory";
	else
		(void)hl.host->emit(hl.ctx, "health", json_object_get(rf->o),
		    NULL);
	json_object_put(rf->o);
	free(rf);
	answer_all(why);
}

static void
refresh_release(struct refresh *rf)
{
	if (--rf->n_open == 0)
		refresh_done(rf);
}

static void
probe_done(struct json_object *result, void *arg)
{
	struct probe		*p = arg;
	struct refresh		*rf = p->refresh;
	struct json_object	*channel;

	if (!re.is_stopped && json_object_object_get_ex(rf->channels,
	    p->channel, &channel)) {
		if (json_add(channel, "probe", json_object_get(result)) < 0 ||
		    json_add_int(channel, "lastProbeAt",
		    (int64_t)hl.host->wall_ms()) < 0)
			rf->is_broken = true;
	}
	free(p);
	refresh_release(rf);
}

static int
accounts_add(const struct chela_channel_1 *c, struct json_object *o)
{
	struct json_object	*list = NULL, *map, *id, *a;
	size_t			 i;
	int			 r;

	if (c->accounts(&list) < 0)
		list = NULL;	/* a channel that cannot tell is no failure */
	map = json_object_new_object();
	r = map == NULL ? -ENOMEM : 0;
	for (i = 0; r == 0 && list != NULL &&
	    i < json_object_array_length(list); i++) {
		a = json_object_array_get_idx(list, i);
		if (!json_object_object_get_ex(a, "accountId", &id))
			continue;
		r = json_add(map, json_object_get_string(id),
		    json_object_get(a));
		/* What the default account says is what the channel says. */
		if (r == 0 && strcmp(json_object_get_string(id),
		    c->default_account()) == 0 &&
		    json_object_object_get_ex(a, "running", &id))
			r = json_add(o, "running", json_object_get(id));
	}
	json_object_put(list);
	if (r < 0) {
		json_object_put(map);
		return (r);
	}
	return (json_add(o, "accounts", map));
}

struct channels {
	struct refresh		*rf;
	struct json_object	*order;
	struct json_object	*labels;
	bool			 is_probe;
	unsigned		 n;
	int			 r;
};

static void
channel_probe(struct channels *ch, const struct chela_channel_1 *c)
{
	struct probe	*p;

	if (!ch->is_probe || c->probe == NULL || !c->configured() ||
	    strlen(c->id) >= sizeof p->channel)
		return;
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		ch->rf->is_broken = true;
		return;
	}
	p->refresh = ch->rf;
	memcpy(p->channel, c->id, strlen(c->id));
	ch->rf->n_open++;
	if (c->probe(NULL, PROBE_US, probe_done, p) < 0) {
		ch->rf->n_open--;
		free(p);
	}
}

static int
channel_one(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_channel_1	*c = vtable;
	struct channels			*ch = arg;
	struct json_object		*o;

	(void)plugin;
	if (++ch->n > CHANNELS_MAX)
		return (1);
	o = json_object_new_object();
	if (o == NULL || json_add_bool(o, "configured", c->configured() != 0) < 0
	    || json_add_str(o, "accountId", c->default_account()) < 0 ||
	    accounts_add(c, o) < 0) {
		json_object_put(o);
		ch->r = -ENOMEM;
		return (1);
	}
	if (json_add(ch->rf->channels, c->id, o) < 0 ||
	    json_push(ch->order, json_object_new_string(c->id)) < 0 ||
	    json_add_str(ch->labels, c->id, c->label) < 0) {
		ch->r = -ENOMEM;
		return (1);
	}
	channel_probe(ch, c);
	return (0);
}

static int
refresh_fill(struct refresh *rf, bool is_probe)
{
	struct channels	 ch = { .rf = rf, .is_probe = is_probe };
	int		 r;

	rf->channels = json_object_new_object();
	ch.order = json_object_new_array();
	ch.labels = json_object_new_object();
	r = json_add_bool(rf->o, "ok", true);
	if (r == 0)
		r = json_add_int(rf->o, "ts", (int64_t)hl.host->wall_ms());
	if (r == 0)
		r = json_add(rf->o, "channels", rf->channels);
	else
		json_object_put(rf->channels);
	if (r == 0)
		r = json_add(rf->o, "channelOrder", ch.order);
	else
		json_object_put(ch.order);
	if (r == 0)
		r = json_add(rf->o, "channelLabels", ch.labels);
	else
		json_object_put(ch.labels);
	if (r < 0)
		return (r);
	r = summary_fill(rf->o);
	if (r < 0)
		return (r);
	(void)hl.host->svc_each(hl.ctx, CHELA_CHANNEL_SERVICE, channel_one,
	    &ch);
	return (ch.r);
}

/* One at a time: whoever asks meanwhile waits for the one under way. */
static int
refresh_run(bool is_probe)
{
	struct refresh	*rf;
	int		 r;

	if (re.now != NULL)
		return (0);
	rf = calloc(1, sizeof *rf);
	if (rf == NULL)
		return (-ENOMEM);
	rf->o = json_object_new_object();
	if (rf->o == NULL) {
		free(rf);
		return (-ENOMEM);
	}
	rf->since_us = hl.host->now_us();
	rf->n_open = 1;
	re.now = rf;
	r = refresh_fill(rf, is_probe);
	if (r < 0)
		rf->is_broken = true;
	refresh_release(rf);
	return (0);
}

static void
refresh_on_timer(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)hl.host->timer_set(re.timer, REFRESH_US);
	/* The first comes when all plugins are there, and does not wait for
	 * channels that are only just connecting. */
	(void)refresh_run(re.is_started);
	re.is_started = true;
}

int
refresh_start(void)
{
	memset(&re, 0, sizeof re);
	re.timer = hl.host->timer_new(hl.ctx, refresh_on_timer, NULL);
	if (re.timer == NULL)
		return (-ENOMEM);
	return (hl.host->timer_set(re.timer, 0));
}

void
refresh_stop(void)
{
	re.is_stopped = true;
	answer_all("the gateway is stopping");
	if (re.timer != NULL)
		hl.host->timer_free(re.timer);
	re.timer = NULL;
}

int
health_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*v, *health = hl.state->health_get();
	bool			 is_probe;

	(void)ctx;
	is_probe = json_object_object_get_ex(params, "probe", &v) &&
	    json_object_get_boolean(v);
	if (!is_probe && health != NULL &&
	    hl.state->health_age_us() < FRESH_US)
		return (hl.host->req_reply(req, json_object_get(health)));
	if (re.n_waiters == WAITERS_MAX)
		return (hl.host->req_fail(req, "UNAVAILABLE",
		    "too many callers wait for a refresh; retry later"));
	re.waiters[re.n_waiters++] = hl.host->req_ref(req);
	/* On failure the waiters are told, this one among them. */
	if (refresh_run(is_probe) < 0)
		answer_all("health could not be refreshed: no memory");
	return (0);
}
