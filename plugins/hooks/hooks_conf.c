/* SPDX-License-Identifier: MIT */
/*
 * The part "hooks" of the configuration. It is checked as a whole before it
 * replaces the one in force.
 */
#include "hooks.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../common/secret.h"
#include "hooks_template.h"

#define PATH_DEFAULT	"/hooks"

void
conf_free(struct hooks_conf *c)
{
	free(c->path);
	free(c->default_key);
	json_object_put(c->prefixes);
	json_object_put(c->agents);
	json_object_put(c->doc);
	*c = (struct hooks_conf){ .path = NULL };
}

/* The value of a token: text, or what a reference means now. */
const char *
conf_token(const struct hooks_conf *c)
{
	const char	*text;

	text = secret_text(hooks.host, hooks.ctx, c->token);
	return (text == NULL || is_blank(text) ? NULL : text);
}

bool
conf_key_fits(const struct hooks_conf *c, const char *key)
{
	const char	*prefix;
	size_t		 i;

	if (c->prefixes == NULL)
		return (true);
	for (i = 0; i < json_object_array_length(c->prefixes); i++) {
		prefix = json_object_get_string(
		    json_object_array_get_idx(c->prefixes, i));
		if (strncasecmp(key, prefix, strlen(prefix)) == 0)
			return (true);
	}
	return (false);
}

bool
conf_agent_allowed(const struct hooks_conf *c, const char *agent_id)
{
	size_t	 i;

	if (c->agents == NULL)
		return (true);
	for (i = 0; i < json_object_array_length(c->agents); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    c->agents, i)), agent_id) == 0)
			return (true);
	}
	return (false);
}

static char *
lowered(char *s)
{
	char	*p;

	for (p = s; p != NULL && *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return (s);
}

static int
array_add_take(struct json_object *list, char *s)
{
	struct json_object	*v = json_object_new_string(s);

	free(s);
	if (v == NULL)
		return (-ENOMEM);
	if (json_object_array_add(list, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}

static int
load_prefixes(struct hooks_conf *c)
{
	struct json_object	*list = get_any(c->doc,
				    "allowedSessionKeyPrefixes");
	char			*s;
	size_t			 i;

	if (!json_object_is_type(list, json_type_array))
		return (0);
	c->prefixes = json_object_new_array();
	for (i = 0; i < json_object_array_length(list); i++) {
		s = lowered(trimmed(json_object_get_string(
		    json_object_array_get_idx(list, i))));
		if (s != NULL && array_add_take(c->prefixes, s) < 0)
			return (-ENOMEM);
	}
	if (json_object_array_length(c->prefixes) == 0) {
		json_object_put(c->prefixes);
		c->prefixes = NULL;
	}
	return (0);
}

/* Not set, or with "*": all agents. An empty list: none. */
static int
load_agents(struct hooks_conf *c)
{
	const struct chela_agents_1	*agents;
	struct json_object		*list = get_any(c->doc,
					    "allowedAgentIds");
	char				 id[CHELA_AGENT_ID_MAX + 1], *s;
	size_t				 i;
	int				 r = 0;

	if (!json_object_is_type(list, json_type_array))
		return (0);
	agents = hooks_service(CHELA_AGENTS_SERVICE);
	c->agents = json_object_new_array();
	for (i = 0; r == 0 && i < json_object_array_length(list); i++) {
		s = trimmed(json_object_get_string(
		    json_object_array_get_idx(list, i)));
		if (s == NULL)
			continue;
		if (strcmp(s, "*") == 0) {
			free(s);
			json_object_put(c->agents);
			c->agents = NULL;
			return (0);
		}
		if (agents != NULL && agents->normalise(s, id) == 0)
			r = array_add_take(c->agents, strdup(id));
		free(s);
	}
	return (r);
}

static const char *
load_path(struct hooks_conf *c)
{
	char	*s = obj_trimmed(c->doc, "path"), *path;
	size_t	 len;

	if (s == NULL)
		s = strdup(PATH_DEFAULT);
	if (s == NULL)
		return ("out of memory");
	len = strlen(s);
	while (len > 1 && s[len - 1] == '/')
		s[--len] = '\0';
	path = malloc(len + 2);
	if (path != NULL) {
		path[0] = '/';
		memcpy(path + (*s != '/'), s, len + 1);
	}
	free(s);
	c->path = path;
	if (path == NULL)
		return ("out of memory");
	return (strcmp(path, "/") == 0 ? "hooks.path may not be '/'" : NULL);
}

static bool
match_is(struct json_object *a, struct json_object *b, const char *key)
{
	const char	*x = get_str(get_any(a, "match"), key);
	const char	*y = get_str(get_any(b, "match"), key);

	/* What asks for nothing takes everything. */
	return (x == NULL || is_blank(x) || (y != NULL && strcmp(x, y) == 0));
}

/* An earlier mapping takes everything that this one would. */
static bool
is_shadowed(struct json_object *list, size_t n)
{
	struct json_object	*m = json_object_array_get_idx(list, n);
	size_t			 i;

	for (i = 0; i < n; i++) {
		if (match_is(json_object_array_get_idx(list, i), m, "path") &&
		    match_is(json_object_array_get_idx(list, i), m, "source"))
			return (true);
	}
	return (false);
}

static const char *
check_mapping(const struct hooks_conf *c, size_t i)
{
	struct json_object	*m = json_object_array_get_idx(c->mappings, i);
	const char		*key = get_str(m, "sessionKey");
	const char		*each = get_str(m, "forEach");
	const char		*mode = get_str(m, "sessionMode");
	const char		*action = get_str(m, "action");

	if (!json_object_is_type(m, json_type_object))
		return ("hooks.mappings holds something that is no object");
	if (each != NULL && (strpbrk(each, ".[]") != NULL ||
	    strcmp(each, "__proto__") == 0 ||
	    strcmp(each, "prototype") == 0 ||
	    strcmp(each, "constructor") == 0))
		return ("hooks.mappings: forEach must be a top-level payload "
		    "key");
	if (key != NULL && is_blank(key))
		key = NULL;
	if (mode != NULL && strcmp(mode, "persistent") == 0 && key == NULL &&
	    (action == NULL || strcmp(action, "agent") == 0) &&
	    c->default_key == NULL && get_any(m, "transform") == NULL)
		return ("persistent hook mappings require sessionKey, "
		    "hooks.defaultSessionKey, or a transform");
	if (key != NULL && c->prefixes == NULL && template_has_places(key) &&
	    !is_shadowed(c->mappings, i))
		return ("hooks.allowedSessionKeyPrefixes is required when a "
		    "hook mapping sessionKey uses templates, even if "
		    "hooks.allowRequestSessionKey=true");
	return (NULL);
}

static const char *
check(const struct hooks_conf *c)
{
	const char	*why;
	size_t		 i, n;

	if (c->token == NULL)
		return ("hooks.enabled requires hooks.token");
	if (c->default_key != NULL && !conf_key_fits(c, c->default_key))
		return ("hooks.defaultSessionKey must match "
		    "hooks.allowedSessionKeyPrefixes");
	if (c->default_key == NULL && !conf_key_fits(c, "hook:example"))
		return ("hooks.allowedSessionKeyPrefixes must include 'hook:' "
		    "when hooks.defaultSessionKey is unset");
	n = c->mappings != NULL ? json_object_array_length(c->mappings) : 0;
	if (n > HOOKS_MAPPINGS_MAX)
		return ("hooks.mappings has too many entries (at most 256)");
	for (i = 0; i < n; i++) {
		why = check_mapping(c, i);
		if (why != NULL)
			return (why);
	}
	return (NULL);
}

int
conf_load(struct hooks_conf *ret, const char **ret_why)
{
	struct json_object	*doc, *v;
	struct hooks_conf	 c = { .path = NULL };
	const char		*why = NULL;

	doc = hooks.host->conf_path(hooks.ctx, "hooks");
	if (doc != NULL && json_object_deep_copy(doc, &c.doc, NULL) < 0)
		return (-ENOMEM);
	if (!json_object_get_boolean(get_any(c.doc, "enabled"))) {
		*ret = c;
		return (0);
	}
	c.token = get_any(c.doc, "token");
	v = get_any(c.doc, "mappings");
	c.mappings = json_object_is_type(v, json_type_array) ? v : NULL;
	c.default_key = obj_trimmed(c.doc, "defaultSessionKey");
	c.allows_key = json_object_get_boolean(get_any(c.doc,
	    "allowRequestSessionKey"));
	v = get_any(c.doc, "maxBodyBytes");
	c.max_body = v != NULL && json_object_get_int64(v) > 0 ?
	    (uint64_t)json_object_get_int64(v) : HOOKS_BODY_MAX;
	if (c.max_body > CHELA_ROUTE_BODY_MAX)
		c.max_body = CHELA_ROUTE_BODY_MAX;
	if (load_prefixes(&c) < 0 || load_agents(&c) < 0)
		why = "out of memory";
	if (why == NULL)
		why = load_path(&c);
	if (why == NULL)
		why = check(&c);
	if (why != NULL) {
		conf_free(&c);
		*ret_why = why;
		return (-EINVAL);
	}
	*ret = c;
	return (0);
}
