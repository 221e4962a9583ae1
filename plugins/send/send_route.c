/* SPDX-License-Identifier: MIT */
/* Which channel, which target, and which session a delivery belongs to. */
#include "send.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct names {
	char	text[512];
};

static int
names_add(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_channel_1	*ch = vtable;
	struct names			*n = arg;
	size_t				 len = strlen(n->text);

	(void)plugin;
	if ((ch->flags & CHELA_CHANNEL_INTERNAL) == 0 && ch->configured())
		(void)snprintf(n->text + len, sizeof n->text - len, "%s%s",
		    len > 0 ? ", " : "", ch->id);
	return (0);
}

static int
fail_none(struct chela_req *req)
{
	return (fail_bad(req,
	    "Error: Channel is required (no configured channels detected). Configure one below \"channels\", or name it in the call."));
}

int
route_channel(struct flight *f, struct chela_req *req, const char *word)
{
	struct names	 names = { "" };
	const char	*name = get_text(f->params, "channel");
	int		 r;

	r = send.channels->find(name, &f->channel);
	if (r == -ENOENT)
		(void)fail_bad(req, "unsupported %schannel: %.200s", word,
		    name);
	else if (r == -ENOTUNIQ) {
		(void)send.host->svc_each(send.ctx, CHELA_CHANNEL_SERVICE,
		    names_add, &names);
		(void)fail_bad(req,
		    "Error: Channel is required when multiple channels are configured: %s.",
		    names.text);
	} else if (r < 0)
		(void)fail_none(req);
	return (r);
}

int
route_target(struct flight *f, struct chela_req *req, const char *to)
{
	const char	*account = get_text(f->params, "accountId");
	const char	*why = NULL;
	int		 r;

	if (account == NULL)
		account = f->channel->default_account();
	if (strlen(account) >= sizeof f->account_id)
		return (fail_bad(req, "unknown account"), -EINVAL);
	(void)snprintf(f->account_id, sizeof f->account_id, "%s", account);
	f->to = to;
	r = f->channel->check_target(f->account_id, to, &why);
	if (r >= 0)
		return (0);
	/* The channel for own clients was only tried as there is no other. */
	if (get_text(f->params, "channel") == NULL &&
	    (f->channel->flags & CHELA_CHANNEL_INTERNAL) != 0)
		(void)fail_none(req);
	else
		(void)fail_bad(req, "%s", why != NULL ? why :
		    "invalid target");
	return (r);
}

/* The session given, in lower case, else the one of the route. */
int
route_session(struct flight *f, struct chela_req *req)
{
	const char	*key = get_text(f->params, "sessionKey");
	const char	*agent = get_text(f->params, "agentId");
	char		 lower[CHELA_SESSION_KEY_MAX + 1];
	char		 known[CHELA_SESSION_AGENT_MAX + 1];
	size_t		 i;
	int		 r;

	if (send.sessions == NULL)
		return (0);
	if (agent != NULL && send.sessions->agent_id(agent, known) < 0)
		return (fail_bad(req, "unknown agent id \"%.200s\"", agent),
		    -ENOENT);
	if ((f->channel->flags & CHELA_CHANNEL_MIRRORS) != 0)
		return (0);
	if (key != NULL) {
		for (i = 0; key[i] != '\0' && i < CHELA_SESSION_KEY_MAX; i++)
			lower[i] = (char)tolower((unsigned char)key[i]);
		lower[i] = '\0';
		r = key[i] != '\0' ? -ENAMETOOLONG :
		    send.sessions->canonical(lower, agent != NULL ? known :
		    NULL, f->session_key);
		if (r == -EXDEV)
			(void)fail_bad(req,
			    "agent \"%.200s\" does not match the session key",
			    agent);
		else if (r < 0)
			(void)fail_bad(req, "invalid sessionKey");
		if (r < 0)
			return (r);
	} else if (send.channels->session_key(f->channel->id, f->account_id,
	    "direct", f->to, agent != NULL ? known : NULL, f->session_key,
	    sizeof f->session_key) < 0) {
		f->session_key[0] = '\0';
	}
	f->mirror = f->session_key[0] != '\0';
	return (0);
}

static void
zero(struct json_object *obj, const char *key)
{
	(void)json_object_object_add(obj, key, json_object_new_int(0));
}

static struct json_object *
mirror_row(const char *text)
{
	struct json_object	*row = json_object_new_object();
	struct json_object	*part = json_object_new_object();
	struct json_object	*list = json_object_new_array();
	struct json_object	*usage = json_object_new_object();

	(void)json_object_object_add(part, "type",
	    json_object_new_string("text"));
	(void)json_object_object_add(part, "text",
	    json_object_new_string(text));
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

/* What the agent's session should remember of what was sent in its name. */
void
route_mirror(struct flight *f, const char *text)
{
	struct chela_session_append	 row;
	int				 r;

	if (!f->mirror || text == NULL || *text == '\0')
		return;
	r = send.sessions->ensure(f->session_key, NULL, "channel");
	if (r >= 0) {
		memset(&row, 0, sizeof row);
		row.struct_size = sizeof row;
		row.key = f->session_key;
		row.row = mirror_row(text);
		r = send.sessions->append(&row, NULL, NULL);
	}
	if (r < 0)
		send.host->log(send.ctx, CHELA_LOG_WARNING,
		    "delivery: no row in session %s (%s)", f->session_key,
		    strerror(-r));
}
