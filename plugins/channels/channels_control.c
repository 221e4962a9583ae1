/* SPDX-License-Identifier: MIT */
/* channels.start, .stop and .logout: by hand, for one account. */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The channel of the call, or NULL when the call has been answered. */
static const struct chela_channel_1 *
channel_of(struct chela_req *req, struct json_object *params)
{
	const struct chela_channel_1	*ch;

	if (channel_find(get_text(params, "channel"), &ch) == 0)
		return (ch);
	(void)channels.host->req_fail(req, "INVALID_REQUEST",
	    "invalid %s channel", channels.host->req_method(req));
	return (NULL);
}

static const char *
account_of(const struct chela_channel_1 *ch, struct json_object *params)
{
	const char	*id = get_text(params, "accountId");

	return (id != NULL ? id : ch->default_account());
}

static int
fail_account(struct chela_req *req, const struct chela_channel_1 *ch,
    const char *id, int r)
{
	if (r == -ENOENT)
		return (channels.host->req_fail(req, "INVALID_REQUEST",
		    "channel %s has no account \"%.200s\"", ch->id, id));
	return (channels.host->req_fail(req, "UNAVAILABLE",
	    "channel %s did not do it (%s)", ch->id, strerror(-r)));
}

static struct json_object *
result(const struct chela_channel_1 *ch, const char *id)
{
	struct json_object	*out = json_object_new_object();

	put_str(out, "channel", ch->id);
	put_str(out, "accountId", id);
	return (out);
}

int
channels_start_account(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_channel_1	*ch = channel_of(req, params);
	struct json_object		*out;
	struct account			*a;
	const char			*id;
	int				 r;

	(void)ctx;
	if (ch == NULL)
		return (0);
	id = account_of(ch, params);
	if (ch->start == NULL)
		return (channels.host->req_fail(req, "INVALID_REQUEST",
		    "channel %s does not support start", ch->id));
	r = ch->start(id);
	if (r < 0)
		return (fail_account(req, ch, id, r));
	a = account_get(ch->id, id);
	if (a != NULL) {
		a->stopped = 0;
		a->attempts = 0;
		a->retry_at_us = 0;
		a->last_start_ms = channels.host->wall_ms();
	}
	out = result(ch, id);
	put_bool(out, "started", account_running(ch, id));
	return (channels.host->req_reply(req, out));
}

/*
 * Stays stopped until it is started, its configuration changes, or a restart.
 */
static int
stop_account(const struct chela_channel_1 *ch, const char *id)
{
	struct account	*a;
	int		 r = 0;

	if (ch->stop != NULL)
		r = ch->stop(id);
	if (r < 0)
		return (r);
	a = account_get(ch->id, id);
	if (a != NULL) {
		a->stopped = 1;
		a->retry_at_us = 0;
		a->last_stop_ms = channels.host->wall_ms();
	}
	return (0);
}

int
channels_stop_account(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_channel_1	*ch = channel_of(req, params);
	struct json_object		*out;
	const char			*id;
	int				 r;

	(void)ctx;
	if (ch == NULL)
		return (0);
	id = account_of(ch, params);
	if (ch->stop == NULL)
		return (channels.host->req_fail(req, "INVALID_REQUEST",
		    "channel %s does not support stop", ch->id));
	r = stop_account(ch, id);
	if (r < 0)
		return (fail_account(req, ch, id, r));
	out = result(ch, id);
	put_bool(out, "stopped", !account_running(ch, id));
	return (channels.host->req_reply(req, out));
}

struct logout {
	struct chela_req		*req;
	const struct chela_channel_1	*ch;
	char				 id[ID_MAX + 1];
};

static void
logout_done(int r, const char *why, void *arg)
{
	struct logout		*l = arg;
	struct json_object	*out;

	if (r < 0) {
		(void)channels.host->req_fail(l->req, "UNAVAILABLE",
		    "channel %s did not log out: %s", l->ch->id,
		    why != NULL ? why : strerror(-r));
	} else {
		out = result(l->ch, l->id);
		put_bool(out, "cleared", r > 0);
		put_bool(out, "loggedOut", r > 0);
		(void)channels.host->req_reply(l->req, out);
	}
	channels.host->req_unref(l->req);
	free(l);
}

int
channels_logout(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_channel_1	*ch = channel_of(req, params);
	struct logout			*l;
	const char			*id;
	int				 r;

	(void)ctx;
	if (ch == NULL)
		return (0);
	id = account_of(ch, params);
	if (ch->logout == NULL)
		return (channels.host->req_fail(req, "INVALID_REQUEST",
		    "channel %s does not support logout", ch->id));
	if (strlen(id) > ID_MAX)
		return (fail_account(req, ch, id, -ENOENT));
	r = stop_account(ch, id);
	if (r < 0)
		return (fail_account(req, ch, id, r));
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (-ENOMEM);
	l->req = channels.host->req_ref(req);
	l->ch = ch;
	(void)snprintf(l->id, sizeof l->id, "%s", id);
	r = ch->logout(l->id, logout_done, l);
	if (r < 0) {
		channels.host->req_unref(req);
		free(l);
		return (fail_account(req, ch, id, r));
	}
	return (0);
}
