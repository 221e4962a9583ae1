/* SPDX-License-Identifier: MIT */
/* Small helpers of plugin agent: growing texts, the configuration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

int
text_add(struct text *t, const char *s, size_t len)
{
	size_t	 size = t->size > 0 ? t->size : 256;
	char	*p;

	while (size < t->len + len + 1)
		size *= 2;
	if (size != t->size) {
		p = realloc(t->s, size);
		if (p == NULL)
			return (-ENOMEM);
		t->s = p;
		t->size = size;
	}
	memcpy(t->s + t->len, s, len);
	t->len += len;
	t->s[t->len] = '\0';
	return (0);
}

void
text_free(struct text *t)
{
	free(t->s);
	memset(t, 0, sizeof *t);
}

static int
agents_take(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_agents_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

struct json_object *
agent_conf(const char *id)
{
	const struct chela_agents_1 *agents = NULL;

	(void)agent.host->svc_each(agent.ctx, CHELA_AGENTS_SERVICE,
	    agents_take, &agents);
	return (agents != NULL ? agents->conf(id) : NULL);
}

struct json_object *
conf_any(const char *path)
{
	return (agent.host->conf_path(agent.ctx, path));
}

int64_t
conf_int(const char *path, int64_t none)
{
	struct json_object *v = conf_any(path);

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (none);
	return (json_object_get_int64(v));
}

const char *
conf_str(const char *path)
{
	struct json_object *v = conf_any(path);

	if (!json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

char *
dup_or_null(const char *s)
{
	return (s != NULL ? strdup(s) : NULL);
}
