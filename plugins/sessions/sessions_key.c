/* SPDX-License-Identifier: MIT */
/*
 * Session keys: agent:<agentId>:<rest>, and the bare keys "global" and
 * "unknown". Who the agents are is asked of plugin agents at every call: it may
 * change while the daemon runs. Without it there is the agent "main".
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include <chela/services/agents.h>

#include "sessions_priv.h"

#define KEY_PREFIX	"agent:"
#define KEY_PREFIX_LEN	6u

void
agent_normalise(const char *name, char *ret_agent)
{
	size_t	 n = 0;
	bool	 dash = false;

	for (; *name != '\0' && n < CHELA_SESSION_AGENT_MAX; name++) {
		unsigned char c = (unsigned char)*name;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || (c == '_' && n > 0)) {
			if (dash && n > 0)
				ret_agent[n++] = '-';
			dash = false;
			if (n < CHELA_SESSION_AGENT_MAX)
				ret_agent[n++] = (char)tolower(c);
		} else {
			dash = true;
		}
	}
	ret_agent[n] = '\0';
	if (n == 0)
		memcpy(ret_agent, "main", sizeof "main");
}

static int
agents_take(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_agents_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

static const struct chela_agents_1 *
agents_get(void)
{
	const struct chela_agents_1 *a = NULL;

	(void)sessions.host->svc_each(sessions.ctx, CHELA_AGENTS_SERVICE,
	    agents_take, &a);
	return (a);
}

void
agent_default(char *ret_agent)
{
	const struct chela_agents_1 *agents = agents_get();

	agent_normalise(agents != NULL ? agents->default_id() : "main",
	    ret_agent);
}

/* -ENOENT when no agent of that name is configured. */
int
agent_find(const char *name, char *ret_agent)
{
	const struct chela_agents_1 *agents = agents_get();

	agent_normalise(name, ret_agent);
	if (agents != NULL)
		return (agents->exists(ret_agent) ? 0 : -ENOENT);
	return (strcmp(ret_agent, "main") == 0 ? 0 : -ENOENT);
}

/* The configured last part of a main session's key, in lower case. */
static void
main_part(char *ret_part, size_t size)
{
	struct json_object	*v;
	const char		*s = NULL;
	size_t			 i;

	v = sessions.host->conf_path(sessions.ctx, "session.mainKey");
	if (json_object_is_type(v, json_type_string))
		s = json_object_get_string(v);
	if (s == NULL || *s == '\0' || strlen(s) >= size)
		s = "main";
	for (i = 0; s[i] != '\0'; i++)
		ret_part[i] = (char)tolower((unsigned char)s[i]);
	ret_part[i] = '\0';
}

static bool
scope_is_global(void)
{
	struct json_object *v;

	v = sessions.host->conf_path(sessions.ctx, "session.scope");
	return (json_object_is_type(v, json_type_string) &&
	    strcmp(json_object_get_string(v), "global") == 0);
}

static int
key_join(const char *agent, const char *rest, size_t rest_len, char *ret_key)
{
	int n;

	n = snprintf(ret_key, CHELA_SESSION_KEY_MAX + 1, KEY_PREFIX "%s:%.*s",
	    agent, (int)rest_len, rest);
	if (n < 0 || (size_t)n > CHELA_SESSION_KEY_MAX)
		return (-ENAMETOOLONG);
	return (0);
}

int
key_main(const char *agent_id, char *ret_key)
{
	char agent[CHELA_SESSION_AGENT_MAX + 1], part[129];

	if (scope_is_global()) {
		memcpy(ret_key, "global", sizeof "global");
		return (0);
	}
	if (agent_id != NULL)
		agent_normalise(agent_id, agent);
	else
		agent_default(agent);
	main_part(part, sizeof part);
	return (key_join(agent, part, strlen(part), ret_key));
}

int
key_canonical(const char *key, const char *agent_id, char *ret_key)
{
	char		 agent[CHELA_SESSION_AGENT_MAX + 1];
	char		 want[CHELA_SESSION_AGENT_MAX + 1], part[129];
	const char	*rest, *end;
	size_t		 len, i;

	while (isspace((unsigned char)*key))
		key++;
	len = strlen(key);
	while (len > 0 && isspace((unsigned char)key[len - 1]))
		len--;
	if (len == 0)
		return (-EINVAL);
	if (len > CHELA_SESSION_KEY_MAX)
		return (-ENAMETOOLONG);
	for (i = 0; i < len; i++)
		if ((unsigned char)key[i] < 0x20 || key[i] == 0x7f)
			return (-EINVAL);
	if (agent_id != NULL)
		agent_normalise(agent_id, want);

	if ((len == 6 && strncmp(key, "global", 6) == 0) ||
	    (len == 7 && strncmp(key, "unknown", 7) == 0)) {
		memcpy(ret_key, key, len);
		ret_key[len] = '\0';
		return (0);
	}

	rest = key;
	end = key + len;
	if (len > KEY_PREFIX_LEN &&
	    strncasecmp(key, KEY_PREFIX, KEY_PREFIX_LEN) == 0) {
		char		 raw[CHELA_SESSION_KEY_MAX + 1];
		const char	*colon;
		size_t		 n;

		rest = key + KEY_PREFIX_LEN;
		colon = memchr(rest, ':', (size_t)(end - rest));
		n = (size_t)((colon != NULL ? colon : end) - rest);
		memcpy(raw, rest, n);
		raw[n] = '\0';
		agent_normalise(raw, agent);
		rest = colon != NULL ? colon + 1 : end;
		if (agent_id != NULL && strcmp(agent, want) != 0)
			return (-EXDEV);
	} else if (agent_id != NULL) {
		memcpy(agent, want, sizeof agent);
	} else {
		agent_default(agent);
	}

	main_part(part, sizeof part);
	len = (size_t)(end - rest);
	if (len == 0 || (len == 4 && strncasecmp(rest, "main", 4) == 0) ||
	    (len == strlen(part) && strncasecmp(rest, part, len) == 0))
		return (key_main(agent, ret_key));
	return (key_join(agent, rest, len, ret_key));
}

int
key_agent(const char *key, char *ret_agent)
{
	const char	*rest, *colon;
	size_t		 n;

	if (strncmp(key, KEY_PREFIX, KEY_PREFIX_LEN) != 0) {
		agent_default(ret_agent);
		return (0);
	}
	rest = key + KEY_PREFIX_LEN;
	colon = strchr(rest, ':');
	n = colon != NULL ? (size_t)(colon - rest) : strlen(rest);
	if (n == 0 || n > CHELA_SESSION_AGENT_MAX)
		return (-EINVAL);
	memcpy(ret_agent, rest, n);
	ret_agent[n] = '\0';
	return (0);
}

bool
key_is_main(const char *key)
{
	char agent[CHELA_SESSION_AGENT_MAX + 1];
	char main_key[CHELA_SESSION_KEY_MAX + 1];

	if (key_agent(key, agent) < 0 || key_main(agent, main_key) < 0)
		return (false);
	return (strcmp(key, main_key) == 0);
}

const char *
key_kind(const char *key, const char *chat_type)
{
	if (strcmp(key, "global") == 0 || strcmp(key, "unknown") == 0)
		return (key[0] == 'g' ? "global" : "unknown");
	if (chat_type != NULL && (strcmp(chat_type, "group") == 0 ||
	    strcmp(chat_type, "channel") == 0))
		return ("group");
	if (strstr(key, ":group:") != NULL || strstr(key, ":channel:") != NULL)
		return ("group");
	return ("direct");
}
