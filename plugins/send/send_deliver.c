/* SPDX-License-Identifier: MIT */
/* The calls of the channel, and what their outcome is to the caller. */
#include "send.h"

#include <chela/services/audit.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *
url_name(const char *url)
{
	const char	*slash = strrchr(url, '/');

	return (slash != NULL && slash[1] != '\0' ? slash + 1 : url);
}

/* The text, else the names of what was sent. Gives. */
static char *
mirror_text(const struct flight *f)
{
	struct json_object	*list = get_any(f->params, "mediaUrls");
	const char		*text = get_text(f->params, "message");
	const char		*url = get_text(f->params, "mediaUrl");
	const char		*name = get_text(f->params, "filename");
	char			*out = NULL;
	size_t			 i, len;
	FILE			*fp;

	if (text != NULL)
		return (strdup(text));
	fp = open_memstream(&out, &len);
	if (fp == NULL)
		return (NULL);
	if (url != NULL)
		(void)fputs(url_name(url), fp);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		(void)fprintf(fp, "%s%s", ftell(fp) > 0 ? ", " : "",
		    url_name(json_object_get_string(
		    json_object_array_get_idx(list, i))));
	}
	if (f->bytes != NULL)
		(void)fprintf(fp, "%s%s", ftell(fp) > 0 ? ", " : "",
		    name != NULL ? name : "file");
	if (fclose(fp) != 0) {
		free(out);
		return (NULL);
	}
	return (out);
}

static void
add(struct json_object *out, const char *key, const char *val)
{
	if (val != NULL)
		(void)json_object_object_add(out, key,
		    json_object_new_string(val));
}

static void
payload_make(struct flight *f, const struct chela_channel_result *res)
{
	struct json_object	*out = json_object_new_object();

	add(out, "runId", f->key);
	add(out, "messageId", res->message_id != NULL ? res->message_id : "");
	add(out, "channel", f->channel->id);
	add(out, "chatId", res->chat_id);
	add(out, "channelId", res->channel_id);
	add(out, "conversationId", res->conversation_id);
	add(out, "toJid", res->to_jid);
	add(out, "pollId", res->poll_id);
	f->payload = out;
}

static void
outcome_fail(struct flight *f, const struct chela_channel_result *res)
{
	const char	*why = res->message != NULL ? res->message :
			    "no reason given";

	switch (res->status) {
	case CHELA_CHANNEL_TARGET:
		flight_fail(f, "INVALID_REQUEST", NULL, "%s", why);
		break;
	case CHELA_CHANNEL_UNSUPPORTED:
		flight_fail(f, "INVALID_REQUEST", NULL,
		    "channel %s can not do this: %s", f->channel->id, why);
		break;
	case CHELA_CHANNEL_UNCERTAIN:
		flight_fail(f, "UNAVAILABLE", "OUTBOUND_DELIVERY_UNCERTAIN",
		    "it is not known whether channel %s delivered it: %s",
		    f->channel->id, why);
		break;
	case CHELA_CHANNEL_QUEUED:
		flight_fail(f, "UNAVAILABLE", "OUTBOUND_DELIVERY_QUEUED",
		    "channel %s delivers it later; do not send it again",
		    f->channel->id);
		break;
	default:
		flight_fail(f, "UNAVAILABLE", NULL,
		    "channel %s did not deliver it: %s", f->channel->id, why);
	}
}

/* That it went out and how that ended, for the ledger. */
static void
audit_sent(const struct flight *f, const struct chela_channel_result *res)
{
	const struct chela_audit_1	*svc;
	struct chela_audit_message	 m = {
		.struct_size = sizeof m,
		.is_outbound = 1,
		.channel = f->channel->id,
		.status = res->status == CHELA_CHANNEL_OK ? "succeeded" :
		    res->status == CHELA_CHANNEL_QUEUED ||
		    res->status == CHELA_CHANNEL_UNCERTAIN ? "unknown" :
		    "failed",
		.account_id = f->account_id,
		.chat_id = res->chat_id,
		.message_id = res->message_id,
		.target = f->to,
		.delivery = strcmp(f->family, "send") != 0 ? "other" :
		    get_any(f->params, "mediaUrl") != NULL ||
		    get_any(f->params, "mediaUrls") != NULL ||
		    f->bytes != NULL ? "media" : "text",
		.is_queued = res->status == CHELA_CHANNEL_QUEUED,
	};

	svc = send.host->svc_import(send.ctx, CHELA_AUDIT_SERVICE);
	if (svc != NULL)
		(void)svc->message(send.ctx, &m);
}

static void
delivered(const struct chela_channel_result *res, void *arg)
{
	struct flight	*f = arg;
	char		*text;

	if (!flight_alive(f))
		return;
	audit_sent(f, res);
	if (res->status == CHELA_CHANNEL_OK) {
		payload_make(f, res);
		if (send.channels->sent != NULL)
			send.channels->sent(f->channel->id, f->account_id);
		text = mirror_text(f);
		route_mirror(f, text);
		free(text);
	} else {
		outcome_fail(f, res);
	}
	flight_end(f);
}

/* The channel did not take it, so nothing is out. */
static void
not_taken(struct flight *f, int r)
{
	if (r == -ENOTSUP)
		flight_fail(f, "INVALID_REQUEST", NULL,
		    "channel %s can not send this", f->channel->id);
	else
		flight_fail(f, "UNAVAILABLE", NULL,
		    "channel %s did not take it (%s)", f->channel->id,
		    strerror(-r));
	flight_end(f);
}

static int
flag(const struct flight *f, const char *key)
{
	return (json_object_get_boolean(get_any(f->params, key)));
}

static uint32_t
flags_of(const struct flight *f)
{
	uint32_t	flags = 0;

	if (flag(f, "silent"))
		flags |= CHELA_SEND_SILENT;
	if (flag(f, "gifPlayback"))
		flags |= CHELA_SEND_GIF;
	if (flag(f, "asVoice"))
		flags |= CHELA_SEND_VOICE;
	if (flag(f, "forceDocument"))
		flags |= CHELA_SEND_DOCUMENT;
	if (get_text(f->params, "parseMode") != NULL)
		flags |= CHELA_SEND_HTML;
	if (flag(f, "isAnonymous"))
		flags |= CHELA_SEND_ANONYMOUS;
	return (flags);
}

/* Files of this machine are nobody's to send: a medium has an address. */
static int
url_ok(struct json_object *url)
{
	const char	*text = json_object_get_string(url);

	return (text != NULL &&
	    strlen(text) == (size_t)json_object_get_string_len(url) &&
	    (strncasecmp(text, "http://", 7) == 0 ||
	    strncasecmp(text, "https://", 8) == 0) &&
	    strpbrk(text, " \t\r\n") == NULL);
}

static int
digit_of(char c)
{
	static const char	 digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char		*p = c == '\0' ? NULL : strchr(digits, c);

	return (p == NULL ? -1 : (int)(p - digits));
}

/* Base64 with its padding; nothing else in it. */
static int
buffer_decode(struct flight *f, const char *text)
{
	size_t		 len = strlen(text), i, n = 0, pad = 0;
	uint32_t	 v;
	int		 d, k;

	if (len == 0 || len % 4 != 0)
		return (-EINVAL);
	if (len / 4 * 3 > BUFFER_MAX)
		return (-EFBIG);
	while (pad < 2 && text[len - 1 - pad] == '=')
		pad++;
	f->bytes = malloc(len / 4 * 3);
	if (f->bytes == NULL)
		return (-ENOMEM);
	for (i = 0; i < len; i += 4) {
		for (v = 0, k = 0; k < 4; k++) {
			d = i + (size_t)k >= len - pad ? 0 :
			    digit_of(text[i + (size_t)k]);
			if (d < 0)
				return (-EINVAL);
			v = (v << 6) | (uint32_t)d;
		}
		f->bytes[n++] = (char)(v >> 16);
		f->bytes[n++] = (char)(v >> 8);
		f->bytes[n++] = (char)v;
	}
	f->bytes_len = n - pad;
	return (0);
}

/* Looks at what is to be sent besides text; answers when it can not be. */
int
media_check(struct flight *f, struct chela_req *req)
{
	struct json_object	*list = get_any(f->params, "mediaUrls");
	struct json_object	*url = get_any(f->params, "mediaUrl");
	const char		*buffer = get_text(f->params, "buffer");
	size_t			 i, n = 0;
	int			 bad = 0, r;

	if (get_text(f->params, "mediaUrl") != NULL) {
		bad = !url_ok(url);
		n++;
	}
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		bad |= !url_ok(json_object_array_get_idx(list, i));
		n++;
	}
	if (bad)
		return (fail_bad(req,
		    "media must have an http or https address"), -EINVAL);
	n += buffer != NULL;
	if (n > MEDIA_MAX)
		return (fail_bad(req, "at most %d media can be sent at once",
		    MEDIA_MAX), -E2BIG);
	if (n > 0 && (f->channel->flags & CHELA_CHANNEL_MEDIA) == 0)
		return (fail_bad(req, "channel %s takes no media",
		    f->channel->id), -ENOTSUP);
	if (n == 0 && get_text(f->params, "message") == NULL)
		return (fail_bad(req,
		    "invalid %s params: there is neither text nor media",
		    f->family), -EINVAL);
	if (buffer == NULL)
		return (0);
	r = buffer_decode(f, buffer);
	if (r == -EFBIG)
		(void)fail_bad(req, "buffer is too large");
	else if (r < 0)
		(void)fail_bad(req, "buffer is not valid base64");
	return (r);
}

void
deliver_message(struct flight *f)
{
	struct chela_channel_media	 media[MEDIA_MAX];
	struct chela_channel_message	 msg;
	struct json_object		*list = get_any(f->params, "mediaUrls");
	size_t				 i;
	uint32_t			 n = 0;
	int				 r;

	memset(media, 0, sizeof media);
	if (get_text(f->params, "mediaUrl") != NULL)
		media[n++].url = get_text(f->params, "mediaUrl");
	for (i = 0; list != NULL && i < json_object_array_length(list) &&
	    n < MEDIA_MAX; i++)
		media[n++].url = json_object_get_string(
		    json_object_array_get_idx(list, i));
	if (f->bytes != NULL && n < MEDIA_MAX) {
		media[n].bytes = f->bytes;
		media[n].len = f->bytes_len;
		media[n].filename = get_text(f->params, "filename");
		media[n++].content_type = get_text(f->params, "contentType");
	}
	memset(&msg, 0, sizeof msg);
	msg.struct_size = sizeof msg;
	msg.flags = flags_of(f);
	msg.account_id = f->account_id;
	msg.to = f->to;
	msg.text = get_text(f->params, "message");
	msg.media = n > 0 ? media : NULL;
	msg.n_media = n;
	msg.media_size = sizeof media[0];
	msg.reply_to_id = get_text(f->params, "replyToId");
	msg.thread_id = get_text(f->params, "threadId");
	msg.key = f->key;
	msg.agent_id = get_text(f->params, "agentId");
	r = f->channel->send(&msg, delivered, f);
	if (r < 0)
		not_taken(f, r);
}

#define OPTIONS_MAX 12

void
deliver_poll(struct flight *f)
{
	struct chela_channel_poll	 poll;
	struct json_object		*list = get_any(f->params, "options");
	const char			*options[OPTIONS_MAX];
	size_t				 i;
	int				 r;

	memset(&poll, 0, sizeof poll);
	poll.struct_size = sizeof poll;
	poll.flags = flags_of(f);
	poll.account_id = f->account_id;
	poll.to = f->to;
	poll.question = get_text(f->params, "question");
	for (i = 0; i < json_object_array_length(list) && i < OPTIONS_MAX; i++)
		options[poll.n_options++] = json_object_get_string(
		    json_object_array_get_idx(list, i));
	poll.options = options;
	poll.max_selections = 1;
	if (get_any(f->params, "maxSelections") != NULL)
		poll.max_selections = (uint32_t)json_object_get_int(
		    get_any(f->params, "maxSelections"));
	poll.duration_s = (uint64_t)json_object_get_int64(get_any(f->params,
	    "durationSeconds"));
	if (get_any(f->params, "durationHours") != NULL)
		poll.duration_s = 3600 * (uint64_t)json_object_get_int64(
		    get_any(f->params, "durationHours"));
	poll.thread_id = get_text(f->params, "threadId");
	poll.key = f->key;
	r = f->channel->poll(&poll, delivered, f);
	if (r < 0)
		not_taken(f, r);
}

static void
acted(const struct chela_channel_result *res, void *arg)
{
	struct flight		*f = arg;
	struct json_object	*out;

	if (!flight_alive(f))
		return;
	if (res->status != CHELA_CHANNEL_OK) {
		outcome_fail(f, res);
		flight_end(f);
		return;
	}
	if (res->payload != NULL) {
		f->payload = json_object_get(res->payload);
	} else {
		out = json_object_new_object();
		(void)json_object_object_add(out, "ok",
		    json_object_new_boolean(1));
		add(out, "action", f->verb);
		add(out, "channel", f->channel->id);
		add(out, "messageId", res->message_id);
		f->payload = out;
	}
	flight_end(f);
}

void
deliver_action(struct flight *f)
{
	int	r;

	r = f->channel->action(f->account_id, f->verb,
	    get_any(f->params, "params"), acted, f);
	if (r < 0)
		not_taken(f, r);
}
