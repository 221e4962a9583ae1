/* SPDX-License-Identifier: MIT */
/*
 * Plugin channels: keeps the accounts of all channels running, takes their
 * inbound messages and says who may talk to the agents. A channel itself is a
 * plugin that exports "channel/1".
 */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct channels channels;

static int
wants_running(struct json_object *row)
{
	struct json_object	*enabled = get_any(row, "enabled");
	struct json_object	*configured = get_any(row, "configured");

	return ((enabled == NULL || json_object_get_boolean(enabled)) &&
	    (configured == NULL || json_object_get_boolean(configured)) &&
	    !json_object_get_boolean(get_any(row, "running")));
}

/* Starts what should run and does not, unless it waits for its next try. */
static void
sweep_channel(const struct chela_channel_1 *ch, uint64_t now)
{
	struct json_object	*list = NULL, *row;
	struct account		*a;
	const char		*id;
	size_t			 i;
	int			 r;

	if (ch->start == NULL || ch->accounts(&list) < 0)
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		row = json_object_array_get_idx(list, i);
		id = get_text(row, "accountId");
		if (id == NULL || !wants_running(row))
			continue;
		a = account_get(ch->id, id);
		if (a == NULL || a->stopped || a->retry_at_us > now)
			continue;
		a->retry_at_us = 0;
		a->last_start_ms = channels.host->wall_ms();
		r = ch->start(id);
		if (r < 0)
			account_ended(ch->id, id, strerror(-r));
	}
	json_object_put(list);
}

/* The nearest next try, or the usual look around. */
static void
sweep_set(uint64_t now)
{
	uint64_t	 wait = SWEEP_US, at;
	uint32_t	 i;

	for (i = 0; i < channels.n_accounts; i++) {
		at = channels.accounts[i]->retry_at_us;
		if (at == 0 || channels.accounts[i]->stopped)
			continue;
		if (at <= now)
			wait = 0;
		else if (at - now < wait)
			wait = at - now;
	}
	if (channels.sweep != NULL)
		(void)channels.host->timer_set(channels.sweep, wait);
}

static void
sweep(struct chela_ctx *ctx, void *arg)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	uint64_t			 now = channels.host->now_us();
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);

	(void)ctx;
	(void)arg;
	for (i = 0; i < n; i++)
		sweep_channel(all[i], now);
	pairing_sweep();
	sweep_set(now);
}

void
sweep_soon(void)
{
	if (channels.sweep != NULL)
		(void)channels.host->timer_set(channels.sweep, 0);
}

void
account_up(const char *channel, const char *account_id)
{
	struct account	*a = account_get(channel, account_id);

	if (a == NULL)
		return;
	a->attempts = 0;
	a->retry_at_us = 0;
	a->error[0] = '\0';
}

/* Doubles from one second to five minutes. */
void
account_ended(const char *channel, const char *account_id, const char *why)
{
	struct account	*a = account_get(channel, account_id);
	uint64_t	 wait = BACKOFF_MIN_US;
	uint32_t	 i;

	if (a == NULL)
		return;
	for (i = 0; i < a->attempts && wait < BACKOFF_MAX_US; i++)
		wait *= 2;
	if (wait > BACKOFF_MAX_US)
		wait = BACKOFF_MAX_US;
	a->attempts++;
	a->last_stop_ms = channels.host->wall_ms();
	a->retry_at_us = channels.host->now_us() + wait;
	(void)snprintf(a->error, sizeof a->error, "%s",
	    why != NULL ? why : "ended");
	channels.host->log(channels.ctx, CHELA_LOG_WARNING,
	    "channel %s account %s: ended (%s), next try in %u s", channel,
	    account_id, a->error, (unsigned)(wait / 1000000));
	sweep_set(channels.host->now_us());
}

static void
account_sent(const char *channel, const char *account_id)
{
	struct account	*a = account_get(channel, account_id);

	if (a != NULL)
		a->last_outbound_ms = channels.host->wall_ms();
}

static const struct chela_channels_1 channels_service = {
	.struct_size = sizeof channels_service,
	.inbound = inbound_take,
	.find = channel_find,
	.up = account_up,
	.ended = account_ended,
	.session_key = session_key,
	.sent = account_sent,
};

static int
channels_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&channels, 0, sizeof channels);
	channels.ctx = ctx;
	channels.host = host;
	host->uuid(channels.run);
	return (host->svc_export(ctx, CHELA_CHANNELS_SERVICE,
	    &channels_service));
}

/* Remembers the text of a channel's part; returns 1 when it is another now. */
static int
conf_changed(const char *id)
{
	struct json_object	*conf = channel_conf(id);
	const char		*text = "";
	uint32_t		 i;

	if (conf != NULL)
		text = json_object_to_json_string_ext(conf,
		    JSON_C_TO_STRING_PLAIN);
	for (i = 0; i < channels.n_conf; i++) {
		if (strcmp(channels.conf_id[i], id) != 0)
			continue;
		if (channels.conf[i] != NULL &&
		    strcmp(channels.conf[i], text) == 0)
			return (0);
		free(channels.conf[i]);
		channels.conf[i] = strdup(text);
		return (1);
	}
	if (channels.n_conf < CHANNELS_MAX && strlen(id) <= ID_MAX) {
		(void)snprintf(channels.conf_id[channels.n_conf], ID_MAX + 1,
		    "%s", id);
		channels.conf[channels.n_conf++] = strdup(text);
	}
	return (0);
}

static int
channels_start(struct chela_ctx *ctx)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);

	for (i = 0; i < n; i++)
		(void)conf_changed(all[i]->id);
	channels.sweep = channels.host->timer_new(ctx, sweep, NULL);
	if (channels.sweep == NULL)
		return (-ENOMEM);
	inbound_start();
	/* On the next turn: the channels' own start() has then run. */
	sweep_soon();
	return (0);
}

/* A channel whose part of the configuration changed starts anew; no other. */
static int
channels_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	struct account			*a;
	uint32_t			 i, k, n;

	(void)ctx;
	(void)conf;
	n = channels_get(all, CHANNELS_MAX);
	for (i = 0; i < n; i++) {
		if (!conf_changed(all[i]->id))
			continue;
		for (k = 0; k < channels.n_accounts; k++) {
			a = channels.accounts[k];
			if (strcmp(a->channel, all[i]->id) != 0)
				continue;
			if (all[i]->stop != NULL)
				(void)all[i]->stop(a->id);
			a->stopped = 0;
			a->attempts = 0;
			a->retry_at_us = 0;
		}
	}
	sweep_soon();
	return (0);
}

static void
channels_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	inbound_stop();
	channels.host->timer_free(channels.sweep);
	channels.sweep = NULL;
}

static void
channels_fini(struct chela_ctx *ctx)
{
	uint32_t	i;

	(void)ctx;
	for (i = 0; i < channels.n_accounts; i++)
		free(channels.accounts[i]);
	for (i = 0; i < channels.n_conf; i++)
		free(channels.conf[i]);
	channels.n_accounts = channels.n_conf = 0;
}

static const struct chela_method methods[] = {
	{
		.name = "channels.status",
		.handler = channels_status,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "channels.start",
		.handler = channels_start_account,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "channels.stop",
		.handler = channels_stop_account,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "channels.logout",
		.handler = channels_logout,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "channels.pairing.list",
		.handler = channels_pairing_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "pairing",
	},
	{
		.name = "channels.pairing.approve",
		.handler = channels_pairing_approve,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "pairing",
		.dynamic_scope = pairing_scope,
	},
	{
		.name = "channels.pairing.dismiss",
		.handler = channels_pairing_dismiss,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "pairing",
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("channels"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "The ways to people outside",
	CHELA_METHODS(methods),
	.init = channels_init,
	.start = channels_start,
	.reload = channels_reload,
	.stop = channels_stop,
	.fini = channels_fini,
};
