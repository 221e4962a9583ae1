/* SPDX-License-Identifier: MIT */
/* Who may talk to an agent, to which one, and in which session. */
#include "channels.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <chela/services/agents.h>

static const char *
conf_word(const char *channel, const char *account_id, const char *key,
    const char *otherwise)
{
	struct json_object	*val = account_conf(channel, account_id, key);

	return (json_object_is_type(val, json_type_string) ?
	    json_object_get_string(val) : otherwise);
}

const char *
dm_policy(const char *channel, const char *account_id)
{
	return (conf_word(channel, account_id, "dmPolicy", "pairing"));
}

/* Exact, case included: two senders that differ in it may be two people. */
static int
list_has(struct json_object *list, const char *id)
{
	struct json_object	*one;
	size_t			 i;

	if (!json_object_is_type(list, json_type_array))
		return (0);
	for (i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		if ((json_object_is_type(one, json_type_string) ||
		    json_object_is_type(one, json_type_int)) &&
		    strcmp(json_object_get_string(one), id) == 0)
			return (1);
	}
	return (0);
}

static int
direct_check(const struct chela_inbound *in)
{
	struct json_object	*allow;
	const char		*policy;

	policy = dm_policy(in->channel, in->account_id);
	allow = account_conf(in->channel, in->account_id, "allowFrom");
	if (strcmp(policy, "disabled") == 0)
		return (POLICY_NO);
	if (list_has(allow, in->sender_id))
		return (POLICY_YES);
	/* "open" alone is not enough: the list has to say so, too. */
	if (strcmp(policy, "open") == 0)
		return (list_has(allow, "*") ? POLICY_YES : POLICY_NO);
	if (pairing_allowed(in->channel, in->account_id, in->sender_id))
		return (POLICY_YES);
	return (strcmp(policy, "pairing") == 0 ? POLICY_PAIR : POLICY_NO);
}

/*
 * Groups: in the list of groups, or from a listed sender, and addressed to us.
 */
static int
group_check(const struct chela_inbound *in)
{
	struct json_object	*groups, *own, *senders, *flag;
	const char		*policy;

	policy = conf_word(in->channel, in->account_id, "groupPolicy",
	    "allowlist");
	if (strcmp(policy, "disabled") == 0)
		return (POLICY_NO);
	groups = account_conf(in->channel, in->account_id, "groups");
	senders = account_conf(in->channel, in->account_id, "groupAllowFrom");
	own = get_any(groups, in->chat_id);
	if (own == NULL)
		own = get_any(groups, "*");
	if (strcmp(policy, "open") != 0 && own == NULL &&
	    !list_has(senders, in->sender_id) && !list_has(senders, "*"))
		return (POLICY_NO);
	flag = get_any(own, "requireMention");
	if (flag == NULL)
		flag = account_conf(in->channel, in->account_id,
		    "requireMention");
	if (!in->mentioned && (flag == NULL || json_object_get_boolean(flag)))
		return (POLICY_NO);
	return (POLICY_YES);
}

int
policy_check(const struct chela_inbound *in)
{
	return (strcmp(in->chat_type, "direct") == 0 ? direct_check(in) :
	    group_check(in));
}

/*
 * An id as a part of a key: ":" parts keys, so it and the sign that stands for
 * it are written in another way, and no id can name somebody else's session.
 */
static int
part_encode(const char *id, char *ret, size_t size)
{
	size_t	n = 0;

	for (; *id != '\0'; id++) {
		if (n + 4 > size)
			return (-ENAMETOOLONG);
		if (*id == ':' || *id == '%' || (unsigned char)*id <= ' ') {
			(void)snprintf(ret + n, size - n, "%%%02x",
			    (unsigned char)*id);
			n += 3;
		} else {
			ret[n++] = *id;
		}
	}
	ret[n] = '\0';
	return (n == 0 ? -EINVAL : 0);
}

/* session.identityLinks: {name: ["irc:nick", ...]}. */
static const char *
linked_name(const char *channel, const char *peer_id)
{
	struct json_object	*links = channels.host->conf_path(channels.ctx,
				    "session.identityLinks");
	char			 text[2 * ID_MAX + 2];

	if (!json_object_is_type(links, json_type_object))
		return (NULL);
	(void)snprintf(text, sizeof text, "%s:%s", channel, peer_id);
	json_object_object_foreach(links, name, list) {
		if (list_has(list, text))
			return (name);
	}
	return (NULL);
}

static int
direct_rest(const char *channel, const char *account_id, const char *peer_id,
    char *ret, size_t size)
{
	const char	*scope, *name;
	char		 peer[3 * ID_MAX + 1], account[3 * ID_MAX + 1];
	int		 n, r;

	scope = json_object_get_string(channels.host->conf_path(channels.ctx,
	    "session.dmScope"));
	if (scope == NULL || strcmp(scope, "main") == 0) {
		ret[0] = '\0';
		return (0);
	}
	name = linked_name(channel, peer_id);
	r = part_encode(name != NULL ? name : peer_id, peer, sizeof peer);
	if (r == 0)
		r = part_encode(account_id, account, sizeof account);
	if (r < 0)
		return (r);
	if (strcmp(scope, "per-peer") == 0)
		n = snprintf(ret, size, "direct:%s", peer);
	else if (strcmp(scope, "per-account-channel-peer") == 0)
		n = snprintf(ret, size, "%s:%s:direct:%s", channel, account,
		    peer);
	else
		n = snprintf(ret, size, "%s:direct:%s", channel, peer);
	return (n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0);
}

int
session_key(const char *channel, const char *account_id, const char *chat_type,
    const char *peer_id, const char *agent_id, char *ret_key, size_t size)
{
	const struct chela_agents_1	*agents = service(CHELA_AGENTS_SERVICE);
	char				 rest[CHELA_SESSION_KEY_MAX + 1];
	char				 peer[3 * ID_MAX + 1];
	int				 n, r = 0;

	if (agent_id == NULL)
		agent_id = agents != NULL ? agents->default_id() : "main";
	if (strcmp(chat_type, "direct") == 0) {
		r = direct_rest(channel, account_id, peer_id, rest,
		    sizeof rest);
	} else {
		r = part_encode(peer_id, peer, sizeof peer);
		n = snprintf(rest, sizeof rest, "%s:%s:%s", channel, chat_type,
		    r == 0 ? peer : "");
		if (n < 0 || (size_t)n >= sizeof rest)
			r = -ENAMETOOLONG;
	}
	if (r < 0)
		return (r);
	if (rest[0] == '\0')
		(void)snprintf(rest, sizeof rest, "%s", agents != NULL ?
		    agents->main_key() : "main");
	n = snprintf(ret_key, size, "agent:%s:%s", agent_id, rest);
	return (n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0);
}

/* How well a binding fits: the more it names, the better; 0: not at all. */
static int
binding_fits(struct json_object *match, const struct chela_inbound *in)
{
	const char	*channel = get_text(match, "channel");
	const char	*account = get_text(match, "accountId");
	const char	*kind = get_text(get_any(match, "peer"), "kind");
	const char	*peer = get_text(get_any(match, "peer"), "id");
	int		 score = 1;

	if (channel != NULL && strcasecmp(channel, in->channel) != 0)
		return (0);
	if (account != NULL && strcmp(account, "*") != 0) {
		if (strcmp(account, in->account_id) != 0)
			return (0);
		score += 2;
	}
	if (peer != NULL) {
		if (strcmp(peer, strcmp(in->chat_type, "direct") == 0 ?
		    in->sender_id : in->chat_id) != 0)
			return (0);
		if (kind != NULL && strcmp(kind, in->chat_type) != 0 &&
		    !(strcmp(kind, "dm") == 0 &&
		    strcmp(in->chat_type, "direct") == 0))
			return (0);
		score += 4;
	}
	return (channel == NULL ? 0 : score);
}

void
bound_agent(const struct chela_inbound *in, char *ret)
{
	const struct chela_agents_1	*agents = service(CHELA_AGENTS_SERVICE);
	struct json_object		*list, *one;
	char				 id[CHELA_AGENT_ID_MAX + 1];
	size_t				 i;
	int				 best = 0, fits;

	(void)snprintf(ret, CHELA_AGENT_ID_MAX + 1, "%s", agents != NULL ?
	    agents->default_id() : "main");
	list = channels.host->conf_path(channels.ctx, "bindings");
	if (!json_object_is_type(list, json_type_array) || agents == NULL)
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		fits = binding_fits(get_any(one, "match"), in);
		if (fits <= best || get_text(one, "agentId") == NULL ||
		    agents->normalise(get_text(one, "agentId"), id) < 0 ||
		    !agents->exists(id))
			continue;
		best = fits;
		(void)snprintf(ret, CHELA_AGENT_ID_MAX + 1, "%s", id);
	}
}
