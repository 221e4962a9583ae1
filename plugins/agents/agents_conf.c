/* SPDX-License-Identifier: MIT */
/*
 * The agents as the configuration has them ("agents.entries" by id, or
 * "agents.list"), and the service "agents/1".
 */
#include "agents.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_object *
conf_path(const char *path)
{
	return (agents.host->conf_path(agents.ctx, path));
}

/*
 * Letters, digits, "_" and "-" stay, in lower case; every run of anything else
 * is one "-"; none at the ends, and the first is a letter or a digit.
 */
static int
service_normalise(const char *name, char ret_id[CHELA_AGENT_ID_MAX + 1])
{
	size_t	n = 0;

	for (; *name != '\0' && n < CHELA_AGENT_ID_MAX; name++) {
		unsigned char	c = (unsigned char)*name;

		if (c < 0x80 && (isalnum(c) || (n > 0 && c == '_')))
			ret_id[n++] = (char)tolower(c);
		else if (n > 0 && ret_id[n - 1] != '-')
			ret_id[n++] = '-';
	}
	while (n > 0 && ret_id[n - 1] == '-')
		n--;
	ret_id[n] = '\0';
	return (n == 0 ? -EINVAL : 0);
}

static int
entry_set(struct agent_entry *e, const char *id, struct json_object *conf)
{
	if (service_normalise(id, e->id) < 0)
		return (-EINVAL);
	e->conf = conf;
	return (0);
}

static int
entry_cmp(const void *a, const void *b)
{
	const struct agent_entry	*x = a, *y = b;

	return (strcmp(x->id, y->id));
}

/* Puts the default one first: marked so, else "main", else the first named. */
static void
entries_order(struct agent_entry *e, uint32_t n, const char *first_id)
{
	struct agent_entry	 keep;
	char			 id[CHELA_AGENT_ID_MAX + 1];
	uint32_t		 i, pick = UINT32_MAX;

	(void)snprintf(id, sizeof id, "%s", first_id);
	for (i = 0; i < n && pick == UINT32_MAX; i++) {
		if (json_object_get_boolean(get_any(e[i].conf, "default")))
			pick = i;
	}
	if (pick != UINT32_MAX)
		(void)snprintf(id, sizeof id, "%s", e[pick].id);
	else {
		for (i = 0; i < n; i++) {
			if (strcmp(e[i].id, "main") == 0)
				(void)snprintf(id, sizeof id, "main");
		}
	}
	qsort(e, n, sizeof *e, entry_cmp);
	for (i = 0; i < n && strcmp(e[i].id, id) != 0; i++)
		;
	if (i == n)
		return;
	keep = e[i];
	memmove(&e[1], &e[0], i * sizeof *e);
	e[0] = keep;
}

static int
entries_have(const struct agent_entry *e, uint32_t n, const char *id)
{
	uint32_t	i;

	for (i = 0; i < n; i++) {
		if (strcmp(e[i].id, id) == 0)
			return (1);
	}
	return (0);
}

/* Always at least one. Of two spellings of one id the first counts. */
uint32_t
agents_get(struct agent_entry *ret, uint32_t max)
{
	struct json_object	*map = conf_path("agents.entries");
	struct json_object	*list = conf_path("agents.list"), *conf;
	struct agent_entry	 one;
	uint32_t		 n = 0;
	size_t			 i;

	if (json_object_is_type(map, json_type_object)) {
		json_object_object_foreach(map, key, val) {
			if (n < max && entry_set(&one, key, val) == 0 &&
			    !entries_have(ret, n, one.id))
				ret[n++] = one;
		}
	}
	if (n == 0 && json_object_is_type(list, json_type_array)) {
		for (i = 0; i < json_object_array_length(list) && n < max;
		    i++) {
			conf = json_object_array_get_idx(list, i);
			if (get_text(conf, "id") != NULL &&
			    entry_set(&one, get_text(conf, "id"), conf) == 0 &&
			    !entries_have(ret, n, one.id))
				ret[n++] = one;
		}
	}
	if (n == 0 && max > 0)
		(void)entry_set(&ret[n++], "main", NULL);
	if (n > 0)
		entries_order(ret, n, ret[0].id);
	return (n);
}

/* NULL: the default one. */
int
agent_find(const char *id, struct agent_entry *ret)
{
	/* Not on the stack: most calls would clear far more than they use. */
	static struct agent_entry all[AGENTS_MAX];
	uint32_t		 i, n = agents_get(all, AGENTS_MAX);

	for (i = 0; i < n; i++) {
		if (id == NULL || strcmp(all[i].id, id) == 0) {
			*ret = all[i];
			return (0);
		}
	}
	return (-ENOENT);
}

/* "~/x" is below the home directory, other relative paths below the state. */
int
workspace_expand(const char *text, char *ret, size_t size)
{
	const char	*base = "", *sep = "";
	int		 n;

	if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
		if (*agents.home == '\0')
			return (-ENOENT);
		base = agents.home;
		text++;
	} else if (text[0] != '/') {
		base = agents.host->state_dir();
		sep = "/";
	}
	n = snprintf(ret, size, "%s%s%s", base, sep, text);
	if (n < 0 || (size_t)n >= size)
		return (-ENAMETOOLONG);
	while (n > 1 && ret[n - 1] == '/')
		ret[--n] = '\0';
	return (0);
}

/* The id is made of safe characters alone, so it can be a name in a path. */
void
agent_workspace(const struct agent_entry *e, char *ret, size_t size)
{
	const char	*own = get_text(e->conf, "workspace");
	const char	*common = NULL;

	if (own != NULL && workspace_expand(own, ret, size) == 0)
		return;
	if (strcmp(e->id, "main") != 0) {
		(void)snprintf(ret, size, "%s/agents/%s/workspace",
		    agents.host->state_dir(), e->id);
		return;
	}
	common = get_text(conf_path("agents.defaults"), "workspace");
	if (common != NULL && workspace_expand(common, ret, size) == 0)
		return;
	(void)snprintf(ret, size, "%s/workspace", agents.host->state_dir());
}

const char *
agent_name(const struct agent_entry *e)
{
	const char	*name = get_text(e->conf, "name");

	if (name == NULL)
		name = get_text(get_any(e->conf, "identity"), "name");
	return (name);
}

static const char *
service_default_id(void)
{
	struct agent_entry	 e;

	if (agent_find(NULL, &e) < 0)
		return ("main");
	(void)snprintf(agents.id, sizeof agents.id, "%s", e.id);
	return (agents.id);
}

static const char *
service_main_key(void)
{
	const char	*key = get_text(conf_path("session"), "mainKey");

	return (key != NULL ? key : "main");
}

static int
service_exists(const char *id)
{
	struct agent_entry	 e;

	return (id != NULL && agent_find(id, &e) == 0);
}

static int
service_info(const char *id, struct chela_agent_info *ret_info)
{
	struct agent_entry	 e;
	struct json_object	*model;
	const char		*text;

	if (agent_find(id, &e) < 0)
		return (-ENOENT);
	(void)snprintf(ret_info->id, sizeof ret_info->id, "%s", e.id);
	ret_info->is_default = strcmp(service_default_id(), e.id) == 0;
	text = agent_name(&e);
	(void)snprintf(ret_info->name, sizeof ret_info->name, "%s",
	    text != NULL ? text : "");
	model = get_any(e.conf, "model");
	text = json_object_is_type(model, json_type_string) ?
	    json_object_get_string(model) : get_text(model, "primary");
	(void)snprintf(ret_info->model, sizeof ret_info->model, "%s",
	    text != NULL ? text : "");
	agent_workspace(&e, ret_info->workspace, sizeof ret_info->workspace);
	return (0);
}

static int
service_each(int (*cb)(const char *id, void *arg), void *arg)
{
	struct agent_entry	 all[AGENTS_MAX];
	uint32_t		 i, n = agents_get(all, AGENTS_MAX);
	int			 r;

	for (i = 0; i < n; i++) {
		r = cb(all[i].id, arg);
		if (r != 0)
			return (r);
	}
	return (0);
}

static struct json_object *
service_conf(const char *id)
{
	struct agent_entry	 e;

	return (agent_find(id, &e) < 0 ? NULL : e.conf);
}

const struct chela_agents_1 agents_service = {
	.struct_size = sizeof agents_service,
	.default_id = service_default_id,
	.main_key = service_main_key,
	.exists = service_exists,
	.info = service_info,
	.normalise = service_normalise,
	.each = service_each,
	.conf = service_conf,
};
