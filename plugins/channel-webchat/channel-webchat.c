/* SPDX-License-Identifier: MIT */
/*
 * Plugin channel-webchat: the channel that is always there. Its targets are
 * sessions; what is sent to one becomes a row of it, which the clients that
 * watch the session get. Nothing leaves the gateway by it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/channel.h>
#include <chela/services/chat.h>
#include <chela/services/sessions.h>

#define ACCOUNT "default"

static struct {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_sessions_1	*sessions;
} webchat;

struct delivery {
	chela_channel_done_fn	*done;
	void			*arg;
	struct json_object	*row;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
};

static int
webchat_configured(void)
{
	return (1);
}

static const char *
webchat_default_account(void)
{
	return (ACCOUNT);
}

static int
webchat_accounts(struct json_object **ret_accounts)
{
	static const char *const flags[] = { "enabled", "configured", "linked",
	    "running", "connected" };
	struct json_object	*list = json_object_new_array(), *row;
	size_t			 i;

	row = json_object_new_object();
	if (list == NULL || row == NULL) {
		json_object_put(list);
		json_object_put(row);
		return (-ENOMEM);
	}
	(void)json_object_object_add(row, "accountId",
	    json_object_new_string(ACCOUNT));
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++)
		(void)json_object_object_add(row, flags[i],
		    json_object_new_boolean(1));
	(void)json_object_array_add(list, row);
	*ret_accounts = list;
	return (0);
}

/* A session that exists, or the main one, of an agent that exists. */
static int
target_key(const char *to, char *ret_key)
{
	struct chela_session_info	 info;
	char				 agent[CHELA_SESSION_AGENT_MAX + 1];
	char				 known[CHELA_SESSION_AGENT_MAX + 1];
	char				 home[CHELA_SESSION_KEY_MAX + 1];
	int				 r;

	r = webchat.sessions->canonical(to, NULL, ret_key);
	if (r < 0)
		return (r);
	if (webchat.sessions->agent_of(ret_key, agent) < 0 ||
	    webchat.sessions->agent_id(agent, known) < 0)
		return (-ENOENT);
	memset(&info, 0, sizeof info);
	info.struct_size = sizeof info;
	if (webchat.sessions->info(ret_key, &info) == 0)
		return (0);
	if (webchat.sessions->main_key(agent, home) < 0 ||
	    strcmp(home, ret_key) != 0)
		return (-ENOENT);
	return (0);
}

static int
webchat_check_target(const char *account_id, const char *to,
    const char **ret_why)
{
	char	key[CHELA_SESSION_KEY_MAX + 1];

	if (account_id != NULL && strcmp(account_id, ACCOUNT) != 0) {
		*ret_why = "webchat has the account \"default\" alone";
		return (-ENOENT);
	}
	if (target_key(to, key) < 0) {
		*ret_why = "a webchat target is the key of a session, such as \"main\"";
		return (-ENOENT);
	}
	return (0);
}

static void
delivery_free(struct delivery *d)
{
	json_object_put(d->row);
	free(d);
}

static int
first_service(const char *plugin, const void *vtable, void *arg)
{
	const void	**ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

/*
 * Chat windows draw a message when its turn ends, so they are told of an end.
 */
static void
show(struct delivery *d, const char *id)
{
	const struct chela_chat_1	*chat = NULL;
	char				 run_id[160];

	(void)webchat.host->svc_each(webchat.ctx, CHELA_CHAT_SERVICE,
	    first_service, &chat);
	if (chat == NULL)
		return;
	(void)snprintf(run_id, sizeof run_id, "send-%s", id);
	(void)json_object_object_add(d->row, "timestamp",
	    json_object_new_int64((int64_t)webchat.host->wall_ms()));
	chat->final(d->key, run_id, json_object_get(d->row));
}

static void
delivered(int r, uint64_t seq, const char *id, void *arg)
{
	struct chela_channel_result	 res;
	struct delivery			*d = arg;

	(void)seq;
	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	if (r < 0) {
		res.status = CHELA_CHANNEL_FAILED;
		res.message = "the message could not be stored";
	} else {
		show(d, id);
		res.message_id = id;
		res.conversation_id = d->key;
		res.session_key = d->key;
	}
	d->done(&res, d->arg);
	delivery_free(d);
}

static void
zero(struct json_object *obj, const char *key)
{
	(void)json_object_object_add(obj, key, json_object_new_int(0));
}

/* Takes text. */
static struct json_object *
row_new(struct json_object *text)
{
	struct json_object	*row = json_object_new_object();
	struct json_object	*part = json_object_new_object();
	struct json_object	*list = json_object_new_array();
	struct json_object	*usage = json_object_new_object();

	(void)json_object_object_add(part, "type",
	    json_object_new_string("text"));
	(void)json_object_object_add(part, "text", text);
	(void)json_object_array_add(list, part);
	(void)json_object_object_add(row, "role",
	    json_object_new_string("assistant"));
	(void)json_object_object_add(row, "content", list);
	(void)json_object_object_add(row, "provider",
	    json_object_new_string("chela"));
	(void)json_object_object_add(row, "model",
	    json_object_new_string("delivery-mirror"));
	zero(usage, "input");
	zero(usage, "output");
	zero(usage, "cacheRead");
	zero(usage, "cacheWrite");
	zero(usage, "totalTokens");
	(void)json_object_object_add(row, "usage", usage);
	(void)json_object_object_add(row, "stopReason",
	    json_object_new_string("stop"));
	return (row);
}

/* The text, and below it a line for each medium that has an address. Gives. */
static char *
text_of(const struct chela_channel_message *msg)
{
	const struct chela_channel_media	*m;
	char					*text = NULL;
	size_t					 len;
	uint32_t				 i;
	FILE					*out;

	out = open_memstream(&text, &len);
	if (out == NULL)
		return (NULL);
	if (msg->text != NULL)
		(void)fputs(msg->text, out);
	for (i = 0; i < msg->n_media; i++) {
		m = (const void *)((const char *)msg->media +
		    (size_t)i * msg->media_size);
		(void)fprintf(out, "%s%s", i > 0 || (msg->text != NULL &&
		    *msg->text != '\0') ? "\n" : "", m->url);
	}
	if (fclose(out) != 0) {
		free(text);
		return (NULL);
	}
	return (text);
}

static int
has_bytes(const struct chela_channel_message *msg)
{
	const struct chela_channel_media	*m;
	uint32_t				 i;

	for (i = 0; i < msg->n_media; i++) {
		m = (const void *)((const char *)msg->media +
		    (size_t)i * msg->media_size);
		if (m->url == NULL)
			return (1);
	}
	return (0);
}

static int
webchat_send(const struct chela_channel_message *msg,
    chela_channel_done_fn *done, void *arg)
{
	struct chela_session_append	 row;
	struct delivery			*d;
	char				*text;
	int				 r;

	if (has_bytes(msg))
		return (-ENOTSUP);
	d = calloc(1, sizeof *d);
	text = text_of(msg);
	if (d == NULL || text == NULL) {
		free(d);
		free(text);
		return (-ENOMEM);
	}
	d->done = done;
	d->arg = arg;
	r = target_key(msg->to, d->key);
	if (r == 0)
		r = webchat.sessions->ensure(d->key, NULL, "channel");
	if (r >= 0) {
		memset(&row, 0, sizeof row);
		row.struct_size = sizeof row;
		row.key = d->key;
		d->row = row_new(json_object_new_string(text));
		row.row = row_new(json_object_new_string(text));
		r = webchat.sessions->append(&row, delivered, d);
	}
	free(text);
	if (r < 0)
		delivery_free(d);
	return (r < 0 ? r : 0);
}

static const struct chela_channel_1 webchat_channel = {
	.struct_size = sizeof webchat_channel,
	.flags = CHELA_CHANNEL_INTERNAL | CHELA_CHANNEL_MEDIA |
	    CHELA_CHANNEL_MIRRORS,
	.id = "webchat",
	.label = "WebChat",
	.detail = "WebChat of this gateway",
	.image = "bubble.left.and.bubble.right",
	.configured = webchat_configured,
	.default_account = webchat_default_account,
	.accounts = webchat_accounts,
	.check_target = webchat_check_target,
	.send = webchat_send,
};

static int
webchat_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	webchat.ctx = ctx;
	webchat.host = host;
	webchat.sessions = host->svc_import(ctx, CHELA_SESSIONS_SERVICE);
	if (webchat.sessions == NULL)
		return (-ENODEV);
	return (host->svc_export(ctx, CHELA_CHANNEL_SERVICE,
	    &webchat_channel));
}

static const struct chela_dep deps[] = {
	{
		.name = "sessions",
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("channel-webchat"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "The channel whose targets are sessions",
	CHELA_DEPS(deps),
	.init = webchat_init,
};
