/* SPDX-License-Identifier: MIT */
/* channels.status; accounts are probed all at once, with one time limit. */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/state.h>

/* One answer that is being made; freed with its last probe. */
struct status {
	struct chela_req	*req;		/* NULL: answered */
	struct json_object	*out;
	struct json_object	*warnings;
	struct chela_timer	*timer;
	struct probe		*probes;
	uint32_t		 pending;
};

struct probe {
	struct status		*status;
	struct json_object	*row;		/* in the answer */
	char			 channel[ID_MAX + 1];
	char			 id[ID_MAX + 1];
	int			 done;
	struct probe		*next;
};

static void
time_put(struct json_object *row, const char *key, uint64_t ms)
{
	if (ms != 0 && get_any(row, key) == NULL)
		put_int(row, key, ms);
}

/* Ids may be written as numbers; they are told as text. Gives. */
static struct json_object *
texts_of(struct json_object *in)
{
	struct json_object	*out = json_object_new_array(), *one;
	const char		*text;
	size_t			 i;

	for (i = 0; i < json_object_array_length(in); i++) {
		one = json_object_array_get_idx(in, i);
		text = one != NULL ? json_object_get_string(one) : NULL;
		if (text != NULL)
			(void)json_object_array_add(out,
			    json_object_new_string(text));
	}
	return (out);
}

/* Adds what this plugin knows to what the channel says of an account. */
static void
row_complete(struct json_object *row, const char *channel, const char *id)
{
	struct account		*a = account_get(channel, id);
	struct json_object	*allow = account_conf(channel, id, "allowFrom");

	if (get_any(row, "enabled") == NULL)
		put_bool(row, "enabled", 1);
	if (get_any(row, "dmPolicy") == NULL)
		put_str(row, "dmPolicy", dm_policy(channel, id));
	if (json_object_is_type(allow, json_type_array) &&
	    get_any(row, "allowFrom") == NULL)
		(void)json_object_object_add(row, "allowFrom",
		    texts_of(allow));
	if (a == NULL)
		return;
	time_put(row, "lastInboundAt", a->last_inbound_ms);
	time_put(row, "lastOutboundAt", a->last_outbound_ms);
	time_put(row, "lastStartAt", a->last_start_ms);
	time_put(row, "lastStopAt", a->last_stop_ms);
	time_put(row, "lastRunActivityAt", a->last_run_ms);
	time_put(row, "lastProbeAt", a->last_probe_ms);
	put_int(row, "reconnectAttempts", a->attempts);
	put_int(row, "activeRuns", a->active_runs);
	put_bool(row, "busy", a->active_runs > 0);
	if (a->error[0] != '\0' && get_any(row, "lastError") == NULL)
		put_str(row, "lastError", a->error);
}

static struct json_object *
object_in(struct json_object *parent, const char *key)
{
	struct json_object	*obj = json_object_new_object();

	(void)json_object_object_add(parent, key, obj);
	return (obj);
}

static void
channel_meta(struct json_object *out, const struct chela_channel_1 *ch)
{
	struct json_object	*meta = json_object_new_object();
	const char		*detail = ch->detail != NULL ? ch->detail :
				    ch->label;

	put_str(meta, "id", ch->id);
	put_str(meta, "label", ch->label);
	put_str(meta, "detailLabel", detail);
	if (ch->image != NULL) {
		put_str(meta, "systemImage", ch->image);
		put_str(get_any(out, "channelSystemImages"), ch->id, ch->image);
	}
	(void)json_object_array_add(get_any(out, "channelMeta"), meta);
	(void)json_object_array_add(get_any(out, "channelOrder"),
	    json_object_new_string(ch->id));
	put_str(get_any(out, "channelLabels"), ch->id, ch->label);
	put_str(get_any(out, "channelDetailLabels"), ch->id, detail);
}

static void
channel_add(struct json_object *out, const struct chela_channel_1 *ch)
{
	struct json_object	*list = NULL, *row, *sum;
	const char		*id, *def = ch->default_account();
	size_t			 i;
	int			 running = 0, connected = 0;

	channel_meta(out, ch);
	if (ch->accounts(&list) < 0)
		list = json_object_new_array();
	for (i = 0; i < json_object_array_length(list); i++) {
		row = json_object_array_get_idx(list, i);
		id = get_text(row, "accountId");
		if (id == NULL)
			continue;
		row_complete(row, ch->id, id);
		running |= json_object_get_boolean(get_any(row, "running"));
		connected |= json_object_get_boolean(get_any(row,
		    "connected"));
	}
	sum = object_in(get_any(out, "channels"), ch->id);
	put_bool(sum, "configured", ch->configured());
	put_bool(sum, "running", running);
	put_bool(sum, "connected", connected);
	(void)json_object_object_add(get_any(out, "channelAccounts"), ch->id,
	    list);
	put_str(get_any(out, "channelDefaultAccountId"), ch->id,
	    def != NULL && *def != '\0' ? def : "default");
}

static struct json_object *
status_build(const char *only)
{
	static const char *const maps[] = { "channelLabels",
	    "channelDetailLabels", "channelSystemImages", "channels",
	    "channelAccounts", "channelDefaultAccountId" };
	const struct chela_channel_1	*all[CHANNELS_MAX];
	const struct chela_state_1	*state;
	struct json_object		*out = json_object_new_object();
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);

	put_int(out, "ts", channels.host->wall_ms());
	(void)json_object_object_add(out, "channelOrder",
	    json_object_new_array());
	(void)json_object_object_add(out, "channelMeta",
	    json_object_new_array());
	for (i = 0; i < sizeof maps / sizeof maps[0]; i++)
		(void)object_in(out, maps[i]);
	for (i = 0; i < n; i++) {
		if (only == NULL || strcmp(all[i]->id, only) == 0)
			channel_add(out, all[i]);
	}
	state = channels.host->svc_import(channels.ctx, CHELA_STATE_SERVICE);
	if (state != NULL && state->event_loop != NULL)
		(void)json_object_object_add(out, "eventLoop",
		    state->event_loop());
	return (out);
}

static void
status_answer(struct status *s)
{
	struct json_object	*out = s->out;

	if (s->req == NULL)
		return;
	if (json_object_array_length(s->warnings) > 0) {
		put_bool(out, "partial", 1);
		(void)json_object_object_add(out, "warnings",
		    json_object_get(s->warnings));
	}
	s->out = NULL;
	(void)channels.host->req_reply(s->req, out);
	channels.host->req_unref(s->req);
	s->req = NULL;
}

static void
status_free(struct status *s)
{
	struct probe	*p;

	while ((p = s->probes) != NULL) {
		s->probes = p->next;
		free(p);
	}
	channels.host->timer_free(s->timer);
	json_object_put(s->out);
	json_object_put(s->warnings);
	free(s);
}

static void
probe_done(struct json_object *result, void *arg)
{
	struct probe	*p = arg;
	struct status	*s = p->status;
	struct account	*a = account_get(p->channel, p->id);

	p->done = 1;
	if (a != NULL)
		a->last_probe_ms = channels.host->wall_ms();
	if (s->req != NULL) {
		(void)json_object_object_add(p->row, "probe",
		    json_object_get(result));
		put_int(p->row, "lastProbeAt", channels.host->wall_ms());
	}
	if (--s->pending > 0)
		return;
	status_answer(s);
	status_free(s);
}

/* Those that have not answered yet are told to be late; the others count. */
static void
probes_late(struct chela_ctx *ctx, void *arg)
{
	struct status		*s = arg;
	struct json_object	*late;
	struct probe		*p;
	char			 text[2 * ID_MAX + 64];

	(void)ctx;
	for (p = s->probes; p != NULL; p = p->next) {
		if (p->done)
			continue;
		late = json_object_new_object();
		put_bool(late, "ok", 0);
		put_bool(late, "timedOut", 1);
		put_str(late, "error", "the probe timed out");
		(void)json_object_object_add(p->row, "probe", late);
		(void)snprintf(text, sizeof text,
		    "channel %s account %s: the probe timed out", p->channel,
		    p->id);
		(void)json_object_array_add(s->warnings,
		    json_object_new_string(text));
	}
	status_answer(s);
}

static void
probe_start(struct status *s, const struct chela_channel_1 *ch,
    struct json_object *row, uint64_t timeout_us)
{
	struct probe	*p;
	const char	*id = get_text(row, "accountId");

	if (ch->probe == NULL || id == NULL || strlen(id) > ID_MAX ||
	    !json_object_get_boolean(get_any(row, "enabled")) ||
	    !json_object_get_boolean(get_any(row, "configured")))
		return;
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return;
	p->status = s;
	p->row = row;
	(void)snprintf(p->channel, sizeof p->channel, "%s", ch->id);
	(void)snprintf(p->id, sizeof p->id, "%s", id);
	if (ch->probe(id, timeout_us, probe_done, p) < 0) {
		free(p);
		return;
	}
	p->next = s->probes;
	s->probes = p;
	s->pending++;
}

static int
status_probe(struct chela_req *req, struct json_object *out, int64_t timeout_ms)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	struct json_object		*list;
	struct status			*s;
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);
	size_t				 k;

	if (timeout_ms < PROBE_MIN_MS)
		timeout_ms = PROBE_MIN_MS;
	if (timeout_ms > PROBE_MAX_MS)
		timeout_ms = PROBE_MAX_MS;
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		json_object_put(out);
		return (-ENOMEM);
	}
	s->req = channels.host->req_ref(req);
	s->out = out;
	s->warnings = json_object_new_array();
	s->timer = channels.host->timer_new(channels.ctx, probes_late, s);
	for (i = 0; i < n; i++) {
		list = get_any(get_any(out, "channelAccounts"), all[i]->id);
		for (k = 0; list != NULL &&
		    k < json_object_array_length(list); k++)
			probe_start(s, all[i], json_object_array_get_idx(list,
			    k), (uint64_t)timeout_ms * 1000);
	}
	if (s->pending == 0) {
		status_answer(s);
		status_free(s);
	} else if (s->timer != NULL) {
		(void)channels.host->timer_set(s->timer,
		    (uint64_t)timeout_ms * 1000);
	}
	return (0);
}

int
channels_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_channel_1	*ch;
	struct json_object		*out;
	const char			*only = get_text(params, "channel");
	int64_t				 timeout_ms = PROBE_DEFAULT_MS;

	(void)ctx;
	if (only != NULL) {
		if (channel_find(only, &ch) < 0)
			return (channels.host->req_fail(req, "INVALID_REQUEST",
			    "unknown channel: %.200s", only));
		only = ch->id;
	}
	if (get_any(params, "timeoutMs") != NULL)
		timeout_ms = json_object_get_int64(get_any(params,
		    "timeoutMs"));
	out = status_build(only);
	if (!json_object_get_boolean(get_any(params, "probe")))
		return (channels.host->req_reply(req, out));
	return (status_probe(req, out, timeout_ms));
}
