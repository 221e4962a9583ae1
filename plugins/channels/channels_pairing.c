/* SPDX-License-Identifier: MIT */
/*
 * Strangers who wrote to an account: each gets a code once, an operator lets
 * the sender in by it. Requests and the senders that were let in are tables:
 * "pair/<code>" and "allow/<channel>/<account>".
 */
#include "channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define PAIR_PREFIX	"pair/"
#define KEY_MAX		(2 * ID_MAX + 16)

static void
time_text(uint64_t ms, char *ret, size_t size)
{
	time_t		 t = (time_t)(ms / 1000);
	struct tm	 tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(ret, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(ret, size, "1970-01-01T00:00:00Z");
}

static uint64_t
created_ms(struct json_object *val)
{
	return ((uint64_t)json_object_get_int64(get_any(val, "createdMs")));
}

static int
expired(struct json_object *val)
{
	const char	*run = get_text(val, "run");
	uint64_t	 now = channels.host->wall_ms(), made = created_ms(val);

	/* Of this process: by the time that passes, not by the wall clock. */
	if (run != NULL && strcmp(run, channels.run) == 0)
		return (channels.host->now_us() - (uint64_t)
		    json_object_get_int64(get_any(val, "madeUs")) >=
		    PAIRING_TTL_MS * 1000);
	/* One made later than now: the clock was set back, who knows how far. */
	return (made > now || now - made >= PAIRING_TTL_MS);
}

static int
is_of(struct json_object *val, const char *channel, const char *account_id)
{
	const char	*c = get_text(val, "channel");
	const char	*a = get_text(val, "accountId");

	return (c != NULL && a != NULL &&
	    (channel == NULL || strcasecmp(c, channel) == 0) &&
	    (account_id == NULL || strcmp(a, account_id) == 0));
}

static void
allow_key(const char *channel, const char *account_id, char *ret)
{
	(void)snprintf(ret, KEY_MAX, "allow/%s/%s", channel, account_id);
}

int
pairing_allowed(const char *channel, const char *account_id,
    const char *sender_id)
{
	struct json_object	*val = NULL, *list, *one;
	char			 key[KEY_MAX];
	size_t			 i;
	int			 found = 0;

	allow_key(channel, account_id, key);
	if (channels.host->kv_get(channels.ctx, key, &val, NULL) < 0)
		return (0);
	list = get_any(val, "senders");
	for (i = 0; json_object_is_type(list, json_type_array) &&
	    i < json_object_array_length(list) && !found; i++) {
		one = json_object_array_get_idx(list, i);
		found = json_object_is_type(one, json_type_string) &&
		    strcmp(json_object_get_string(one), sender_id) == 0;
	}
	json_object_put(val);
	return (found);
}

/* Without the letters and digits that are taken for one another. */
static int
code_make(char *ret)
{
	static const char	 letters[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	unsigned char		 bytes[PAIRING_CODE_LEN];
	size_t			 i;

	_Static_assert(sizeof letters == 33, "32 letters: no bias");
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return (-EIO);
	for (i = 0; i < sizeof bytes; i++)
		ret[i] = letters[bytes[i] & 31];
	ret[i] = '\0';
	return (0);
}

struct search {
	const struct chela_inbound	*in;
	uint32_t			 pending;
	int				 known;
};

static int
search_one(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	struct search	*s = arg;
	const char	*sender = get_text(val, "senderId");

	(void)key;
	(void)rev;
	if (!is_of(val, s->in->channel, s->in->account_id) || expired(val))
		return (0);
	s->pending++;
	if (sender != NULL && strcmp(sender, s->in->sender_id) == 0) {
		s->known = 1;
		return (1);
	}
	return (0);
}

static void
sent(const struct chela_channel_result *res, void *arg)
{
	(void)arg;
	if (res->status != CHELA_CHANNEL_OK)
		channels.host->log(channels.ctx, CHELA_LOG_NOTICE,
		    "pairing code not delivered (%s)",
		    res->message != NULL ? res->message : "no reason given");
}

static void
text_send(const struct chela_channel_1 *ch, const char *account_id,
    const char *to, const char *text, chela_channel_done_fn *done, void *arg)
{
	struct chela_channel_message	 msg;
	struct chela_channel_result	 res;

	memset(&msg, 0, sizeof msg);
	msg.struct_size = sizeof msg;
	msg.account_id = account_id;
	msg.to = to;
	msg.text = text;
	if (ch->send(&msg, done, arg) == 0)
		return;
	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	res.status = CHELA_CHANNEL_FAILED;
	done(&res, arg);
}

/* One code an hour for a sender, three open codes for an account. */
void
pairing_challenge(const struct chela_channel_1 *ch,
    const struct chela_inbound *in)
{
	struct search		 s = { in, 0, 0 };
	struct json_object	*val;
	char			 code[PAIRING_CODE_LEN + 1];
	char			 key[KEY_MAX], text[256];
	int			 r;

	(void)channels.host->kv_each(channels.ctx, PAIR_PREFIX, search_one, &s);
	if (s.known || s.pending >= PAIRING_PENDING_MAX || code_make(code) < 0)
		return;
	val = json_object_new_object();
	put_str(val, "channel", in->channel);
	put_str(val, "accountId", in->account_id);
	put_str(val, "senderId", in->sender_id);
	put_str(val, "senderName", in->sender_name != NULL ?
	    in->sender_name : "");
	put_str(val, "chatId", in->chat_id);
	put_int(val, "createdMs", channels.host->wall_ms());
	put_int(val, "madeUs", channels.host->now_us());
	put_str(val, "run", channels.run);
	(void)snprintf(key, sizeof key, PAIR_PREFIX "%s", code);
	r = channels.host->kv_put(channels.ctx, key, val, CHELA_NEW_REV, NULL,
	    NULL);
	if (r < 0)
		return;
	channels.host->log(channels.ctx, CHELA_LOG_NOTICE,
	    "channel %s account %s: an unknown sender asks to be let in",
	    in->channel, in->account_id);
	(void)snprintf(text, sizeof text,
	    "This agent does not know you yet. Give its owner this code: %s",
	    code);
	text_send(ch, in->account_id, in->chat_id, text, sent, NULL);
}

struct stale {
	char		keys[64][KEY_MAX];
	uint32_t	n;
};

static int
stale_one(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	struct stale	*s = arg;

	(void)rev;
	if (expired(val) && strlen(key) < KEY_MAX)
		(void)snprintf(s->keys[s->n++], KEY_MAX, "%s", key);
	return (s->n == 64);
}

void
pairing_sweep(void)
{
	struct stale	*s = calloc(1, sizeof *s);
	uint32_t	 i;

	if (s == NULL)
		return;
	(void)channels.host->kv_each(channels.ctx, PAIR_PREFIX, stale_one, s);
	for (i = 0; i < s->n; i++)
		(void)channels.host->kv_del(channels.ctx, s->keys[i],
		    CHELA_ANY_REV, NULL, NULL);
	free(s);
}

struct listing {
	struct json_object	*rows;
	const char		*channel;
	const char		*account_id;
};

static int
list_one(const char *key, struct json_object *val, uint64_t rev, void *arg)
{
	const struct chela_channel_1	*ch;
	struct listing			*l = arg;
	struct json_object		*row, *meta;
	const char			*name = get_text(val, "senderName");
	char				 text[32];

	(void)rev;
	if (!is_of(val, l->channel, l->account_id) || expired(val) ||
	    get_text(val, "senderId") == NULL)
		return (0);
	row = json_object_new_object();
	put_str(row, "requestId", key + strlen(PAIR_PREFIX));
	put_str(row, "channel", get_text(val, "channel"));
	put_str(row, "channelLabel", channel_find(get_text(val, "channel"),
	    &ch) == 0 ? ch->label : get_text(val, "channel"));
	put_str(row, "accountId", get_text(val, "accountId"));
	put_str(row, "senderId", get_text(val, "senderId"));
	put_str(row, "senderLabel", name != NULL ? name :
	    get_text(val, "senderId"));
	meta = json_object_new_object();
	put_str(meta, "code", key + strlen(PAIR_PREFIX));
	(void)json_object_object_add(row, "metadata", meta);
	time_text(created_ms(val), text, sizeof text);
	put_str(row, "createdAt", text);
	put_str(row, "lastSeenAt", text);
	time_text(created_ms(val) + PAIRING_TTL_MS, text, sizeof text);
	put_str(row, "expiresAt", text);
	put_bool(row, "notifySupported", 1);
	(void)json_object_array_add(l->rows, row);
	return (0);
}

/* The accounts whose strangers are asked for a code. */
static void
list_accounts(struct json_object *out, const char *channel,
    const char *account_id)
{
	const struct chela_channel_1	*all[CHANNELS_MAX];
	struct json_object		*list, *row;
	const char			*id, *name;
	uint32_t			 i, n = channels_get(all, CHANNELS_MAX);
	size_t				 k;

	for (i = 0; i < n; i++) {
		list = NULL;
		if ((all[i]->flags & CHELA_CHANNEL_INTERNAL) != 0 ||
		    (channel != NULL && strcasecmp(all[i]->id, channel) != 0) ||
		    all[i]->accounts(&list) < 0)
			continue;
		for (k = 0; k < json_object_array_length(list); k++) {
			id = get_text(json_object_array_get_idx(list, k),
			    "accountId");
			name = get_text(json_object_array_get_idx(list, k),
			    "name");
			if (id == NULL || (account_id != NULL &&
			    strcmp(id, account_id) != 0))
				continue;
			row = json_object_new_object();
			put_str(row, "channel", all[i]->id);
			put_str(row, "channelLabel", all[i]->label);
			put_str(row, "accountId", id);
			if (name != NULL)
				put_str(row, "accountLabel", name);
			put_bool(row, "notifySupported", 1);
			(void)json_object_array_add(out, row);
		}
		json_object_put(list);
	}
}

static int
owner_configured(void)
{
	struct json_object	*list = channels.host->conf_path(channels.ctx,
				    "commands.ownerAllowFrom");

	return (json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0);
}

/* Is a channel named that is none? Answers the call then. */
static bool
is_unknown(struct chela_req *req, struct json_object *params)
{
	const struct chela_channel_1	*ch;
	const char			*name = get_text(params, "channel");

	if (get_any(params, "channel") == NULL || channel_find(name, &ch) >= 0)
		return (false);
	(void)channels.host->req_fail(req, "INVALID_REQUEST",
	    "Error: unknown pairing channel: %.64s", name);
	return (true);
}

int
channels_pairing_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*out, *limits, *accounts;
	struct listing		 l;

	if (is_unknown(req, params))
		return (0);
	out = json_object_new_object();
	accounts = json_object_new_array();
	l.rows = json_object_new_array();
	l.channel = get_text(params, "channel");
	l.account_id = get_text(params, "accountId");
	list_accounts(accounts, l.channel, l.account_id);
	(void)channels.host->kv_each(ctx, PAIR_PREFIX, list_one, &l);
	(void)json_object_object_add(out, "accounts", accounts);
	(void)json_object_object_add(out, "requests", l.rows);
	put_bool(out, "commandOwnerConfigured", owner_configured());
	limits = json_object_new_object();
	put_int(limits, "pendingPerAccount", PAIRING_PENDING_MAX);
	put_int(limits, "ttlMs", PAIRING_TTL_MS);
	(void)json_object_object_add(out, "limits", limits);
	return (channels.host->req_reply(req, out));
}

const char *
pairing_scope(struct chela_ctx *ctx, struct json_object *params)
{
	(void)ctx;
	return (json_object_get_boolean(get_any(params,
	    "bootstrapCommandOwner")) ? "admin" : NULL);
}

/* An approval or dismissal on its way. */
struct decision {
	struct chela_req	*req;
	struct json_object	*val;
	char			 code[PAIRING_CODE_LEN + 1];
	int			 notify;
	int			 owner;
};

static void
decision_free(struct decision *d)
{
	channels.host->req_unref(d->req);
	json_object_put(d->val);
	free(d);
}

/* Takes the request that the parameters name, or answers the call. */
static struct decision *
decision_new(struct chela_req *req, struct json_object *params)
{
	struct json_object	*val = NULL;
	struct decision		*d;
	const char		*code = get_text(params, "requestId");
	char			 key[KEY_MAX];

	if (is_unknown(req, params))
		return (NULL);
	/* The schema wants it; an empty one names none. */
	(void)snprintf(key, sizeof key, PAIR_PREFIX "%s", code != NULL ? code :
	    "");
	if (code == NULL || strlen(code) != PAIRING_CODE_LEN ||
	    channels.host->kv_get(channels.ctx, key, &val, NULL) < 0 ||
	    !is_of(val, get_text(params, "channel"),
	    get_text(params, "accountId")) || expired(val)) {
		json_object_put(val);
		(void)channels.host->req_fail(req, "INVALID_REQUEST",
		    "unknown pairing request: %.64s", code);
		return (NULL);
	}
	d = calloc(1, sizeof *d);
	if (d == NULL) {
		json_object_put(val);
		(void)channels.host->req_fail(req, "UNAVAILABLE",
		    "out of memory");
		return (NULL);
	}
	d->req = channels.host->req_ref(req);
	d->val = val;
	(void)snprintf(d->code, sizeof d->code, "%s", code);
	d->notify = json_object_get_boolean(get_any(params, "notify"));
	d->owner = json_object_get_boolean(get_any(params,
	    "bootstrapCommandOwner"));
	return (d);
}

static struct json_object *
decision_result(struct decision *d)
{
	struct json_object	*out = json_object_new_object();

	put_str(out, "requestId", d->code);
	put_str(out, "senderId", get_text(d->val, "senderId"));
	return (out);
}

static void
approve_answer(struct decision *d, const char *notification)
{
	struct json_object	*out = decision_result(d);

	put_str(out, "notification", notification);
	/* Owners are written into the configuration by hand. */
	put_str(out, "commandOwnerBootstrap", !d->owner ? "not-requested" :
	    owner_configured() ? "already-configured" : "unavailable");
	(void)channels.host->req_reply(d->req, out);
	decision_free(d);
}

static void
approve_notified(const struct chela_channel_result *res, void *arg)
{
	approve_answer(arg, res->status == CHELA_CHANNEL_OK ? "sent" :
	    "failed");
}

static void
approve_gone(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	const struct chela_channel_1	*ch;
	struct decision			*d = arg;

	(void)ctx;
	(void)rev;
	/* The sender is in already; a request that stays expires. */
	(void)r;
	if (!d->notify)
		approve_answer(d, "not-requested");
	else if (channel_find(get_text(d->val, "channel"), &ch) < 0)
		approve_answer(d, "unsupported");
	else
		text_send(ch, get_text(d->val, "accountId"),
		    get_text(d->val, "chatId"),
		    "You have been let in. Write again and the agent answers.",
		    approve_notified, d);
}

static void
decision_del(struct decision *d, chela_done_fn *done)
{
	char	key[KEY_MAX];

	(void)snprintf(key, sizeof key, PAIR_PREFIX "%s", d->code);
	if (channels.host->kv_del(channels.ctx, key, CHELA_ANY_REV, done,
	    d) < 0)
		done(channels.ctx, -EIO, 0, d);
}

static void
approve_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct decision	*d = arg;

	(void)ctx;
	(void)rev;
	if (r < 0) {
		(void)channels.host->req_fail(d->req, "UNAVAILABLE",
		    "the approval could not be stored");
		decision_free(d);
		return;
	}
	decision_del(d, approve_gone);
}

int
channels_pairing_approve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct decision		*d = decision_new(req, params);
	struct json_object	*val = NULL, *list;
	const char		*channel, *account_id, *sender;
	char			 key[KEY_MAX];
	uint64_t		 rev = CHELA_NEW_REV;
	int			 r;

	if (d == NULL)
		return (0);
	channel = get_text(d->val, "channel");
	account_id = get_text(d->val, "accountId");
	sender = get_text(d->val, "senderId");
	if (pairing_allowed(channel, account_id, sender)) {
		decision_del(d, approve_gone);
		return (0);
	}
	allow_key(channel, account_id, key);
	if (channels.host->kv_get(ctx, key, &val, &rev) < 0) {
		val = json_object_new_object();
		rev = CHELA_NEW_REV;
	}
	list = get_any(val, "senders");
	if (!json_object_is_type(list, json_type_array)) {
		list = json_object_new_array();
		(void)json_object_object_add(val, "senders", list);
	}
	if (json_object_array_length(list) >= ALLOWED_MAX) {
		json_object_put(val);
		decision_free(d);
		return (channels.host->req_fail(req, "INVALID_REQUEST",
		    "%d senders are allowed on this account already",
		    ALLOWED_MAX));
	}
	(void)json_object_array_add(list, json_object_new_string(sender));
	r = channels.host->kv_put(ctx, key, val, rev, approve_stored, d);
	if (r < 0)
		approve_stored(ctx, r, 0, d);
	return (0);
}

static void
dismiss_done(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct decision	*d = arg;

	(void)ctx;
	(void)rev;
	if (r < 0)
		(void)channels.host->req_fail(d->req, "UNAVAILABLE",
		    "the request could not be removed");
	else
		(void)channels.host->req_reply(d->req, decision_result(d));
	decision_free(d);
}

int
channels_pairing_dismiss(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct decision	*d = decision_new(req, params);

	(void)ctx;
	if (d != NULL)
		decision_del(d, dismiss_done);
	return (0);
}
