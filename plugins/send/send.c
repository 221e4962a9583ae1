/* SPDX-License-Identifier: MIT */
/*
 * Plugin send: send, poll and message.action. The order for each: is the key
 * known, which channel, which target, which session, then delivery.
 */
#include "send.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct send send;

int
fail_bad(struct chela_req *req, const char *fmt, ...)
{
	va_list	 ap;
	char	 text[1024];

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return (send.host->req_fail(req, "INVALID_REQUEST", "%s", text));
}

/* The last checks of a message, in the order in which they are told. */
static int
message_ready(struct flight *f, struct chela_req *req, const char *to)
{
	return (route_channel(f, req, "") < 0 ||
	    route_target(f, req, to) < 0 || route_session(f, req) < 0 ||
	    media_check(f, req) < 0 ? -EINVAL : 0);
}

static int
send_send(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct flight	*f;

	(void)ctx;
	if (get_any(params, "message") != NULL && json_object_get_string_len(
	    get_any(params, "message")) > (int)TEXT_MAX)
		return (fail_bad(req, "message is too long"));
	f = flight_new(req, "send", params);
	if (f == NULL)
		return (0);
	if (message_ready(f, req, get_text(f->params, "to")) < 0)
		flight_drop(f);
	else
		flight_begin(f, deliver_message);
	return (0);
}

static int
poll_ready(struct flight *f, struct chela_req *req)
{
	struct json_object	*hours = get_any(f->params, "durationHours");
	int64_t			 n, selections;

	if (hours != NULL && get_any(f->params, "durationSeconds") != NULL)
		return (fail_bad(req,
		    "durationHours and durationSeconds exclude each other"),
		    -EINVAL);
	if (hours != NULL && json_object_get_int64(hours) > POLL_HOURS_MAX)
		return (fail_bad(req, "durationHours must be <= %d",
		    POLL_HOURS_MAX), -EINVAL);
	if (route_channel(f, req, "poll ") < 0)
		return (-EINVAL);
	if (f->channel->poll == NULL)
		return (fail_bad(req, "unsupported poll channel: %s",
		    f->channel->id), -ENOTSUP);
	n = (int64_t)json_object_array_length(get_any(f->params, "options"));
	if (n > f->channel->poll_options_max)
		return (fail_bad(req, "channel %s takes at most %u options",
		    f->channel->id, f->channel->poll_options_max), -E2BIG);
	selections = json_object_get_int64(get_any(f->params,
	    "maxSelections"));
	if (selections > n)
		return (fail_bad(req,
		    "maxSelections is larger than the number of options"),
		    -EINVAL);
	return (route_target(f, req, get_text(f->params, "to")));
}

static int
send_poll(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct flight	*f;

	(void)ctx;
	f = flight_new(req, "poll", params);
	if (f == NULL)
		return (0);
	if (poll_ready(f, req) < 0)
		flight_drop(f);
	else
		flight_begin(f, deliver_poll);
	return (0);
}

static int
has_action(const struct chela_channel_1 *ch, const char *verb)
{
	const char *const	*a;

	for (a = ch->actions; a != NULL && *a != NULL; a++) {
		if (strcmp(*a, verb) == 0)
			return (ch->action != NULL);
	}
	return (0);
}

static const char *
action_target(struct json_object *params)
{
	const char	*to = get_text(params, "to");

	return (to != NULL ? to : get_text(params, "target"));
}

/*
 * The verb "send" is a message like any other: its parameters are put where
 * those of send are, and the call's own beside them. Gives.
 */
static struct json_object *
action_message(struct json_object *params)
{
	static const char *const from_call[] = { "channel", "accountId",
	    "sessionKey", "agentId" };
	static const char *const from_verb[] = { "message", "mediaUrl",
	    "mediaUrls", "buffer", "filename", "contentType", "asVoice",
	    "gifPlayback", "replyToId", "threadId", "forceDocument", "silent" };
	struct json_object	*out = json_object_new_object();
	struct json_object	*in = get_any(params, "params"), *val;
	size_t			 i;

	for (i = 0; i < sizeof from_verb / sizeof from_verb[0]; i++) {
		val = get_any(in, from_verb[i]);
		if (val != NULL)
			(void)json_object_object_add(out, from_verb[i],
			    json_object_get(val));
	}
	if (get_any(out, "message") == NULL && get_text(in, "text") != NULL)
		(void)json_object_object_add(out, "message",
		    json_object_get(get_any(in, "text")));
	val = get_any(get_any(params, "reply"), "replyToId");
	if (val != NULL)
		(void)json_object_object_add(out, "replyToId",
		    json_object_get(val));
	for (i = 0; i < sizeof from_call / sizeof from_call[0]; i++) {
		val = get_any(params, from_call[i]);
		if (val != NULL)
			(void)json_object_object_add(out, from_call[i],
			    json_object_get(val));
	}
	if (action_target(in) != NULL)
		(void)json_object_object_add(out, "to",
		    json_object_new_string(action_target(in)));
	return (out);
}

/* What came in freely typed has to be what send would be given. */
static int
message_typed(struct json_object *params)
{
	struct json_object	*list = get_any(params, "mediaUrls"), *val;
	size_t			 i;

	if (list != NULL && !json_object_is_type(list, json_type_array))
		return (0);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		val = json_object_array_get_idx(list, i);
		if (!json_object_is_type(val, json_type_string))
			return (0);
	}
	return (1);
}

static void
action_send(struct flight *f, struct chela_req *req)
{
	struct json_object	*made = action_message(f->params);

	json_object_put(f->params);
	f->params = made;
	if (get_text(made, "to") == NULL || !message_typed(made)) {
		(void)fail_bad(req,
		    "invalid message.action params: send needs a target");
		flight_drop(f);
	} else if (message_ready(f, req, get_text(made, "to")) < 0) {
		flight_drop(f);
	} else {
		flight_begin(f, deliver_message);
	}
}

static int
send_action(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct flight	*f;
	const char	*to;
	int		 r;

	(void)ctx;
	f = flight_new(req, "message.action", params);
	if (f == NULL)
		return (0);
	f->verb = get_text(f->params, "action");
	if (route_channel(f, req, "") < 0) {
		flight_drop(f);
		return (0);
	}
	if (strcmp(f->verb, "send") == 0) {
		action_send(f, req);
		return (0);
	}
	if (!has_action(f->channel, f->verb)) {
		(void)fail_bad(req, "Channel %s does not support action %.100s.",
		    f->channel->id, f->verb);
		flight_drop(f);
		return (0);
	}
	to = action_target(get_any(f->params, "params"));
	if (to != NULL) {
		r = route_target(f, req, to);
	} else {
		r = snprintf(f->account_id, sizeof f->account_id, "%.256s",
		    get_text(f->params, "accountId") != NULL ?
		    get_text(f->params, "accountId") :
		    f->channel->default_account());
	}
	if (r < 0)
		flight_drop(f);
	else
		flight_begin(f, deliver_action);
	return (0);
}

static void
sweep(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	records_sweep();
	(void)send.host->timer_set(send.sweep, SWEEP_US);
}

static int
send_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&send, 0, sizeof send);
	send.ctx = ctx;
	send.host = host;
	host->uuid(send.run);
	send.channels = host->svc_import(ctx, CHELA_CHANNELS_SERVICE);
	send.sessions = host->svc_import(ctx, CHELA_SESSIONS_SERVICE);
	return (send.channels == NULL ? -ENODEV : 0);
}

static int
send_start(struct chela_ctx *ctx)
{
	send.sweep = send.host->timer_new(ctx, sweep, NULL);
	if (send.sweep == NULL)
		return (-ENOMEM);
	return (send.host->timer_set(send.sweep, SWEEP_US));
}

/* What is under way stays noted as begun: whoever asks again is told so. */
static void
send_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	send.host->timer_free(send.sweep);
	send.sweep = NULL;
}

static void
send_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	while (send.flights != NULL)
		flight_drop(send.flights);
}

static const struct chela_method methods[] = {
	{
		.name = "send",
		.handler = send_send,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT,
		.scope = "write",
	},
	{
		.name = "poll",
		.handler = send_poll,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT | CHELA_METHOD_HIDDEN,
		.scope = "write",
	},
	{
		.name = "message.action",
		.handler = send_action,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT,
		.scope = "write",
	},
};

static const struct chela_dep deps[] = {
	{
		.name = "channels",
	},
	{
		.name = "sessions",
		.flags = CHELA_DEP_OPTIONAL,
	},
	{
		.name = "audit",
		.flags = CHELA_DEP_OPTIONAL,
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("send"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Messages, polls and actions on channels",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = send_init,
	.start = send_start,
	.stop = send_stop,
	.fini = send_fini,
};
