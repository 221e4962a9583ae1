/* SPDX-License-Identifier: MIT */
/* chela plugins */
#include <stdlib.h>
#include <string.h>

#include "core/client/chela.h"
#include "core/json/json.h"

static int
plugins_list(struct app *a)
{
	struct json_object	*res, *list, *p;
	struct table		 t;
	size_t			 i;
	int			 r;

	r = app_get(a, "plugins.list", NULL, &res);
	if (r != 0 || res == NULL)
		return (r);
	list = json_get_arr(res, "plugins");
	table_init(&t, "llll", "PLUGIN", "STATE", "VERSION", "DESCRIPTION",
	    NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		p = json_object_array_get_idx(list, i);
		table_add(&t, "%s", text_of(p, "id"));
		table_add(&t, "%s", text_of(p, "state"));
		table_add(&t, "%s", text_of(p, "version"));
		table_add(&t, "%s", *text_of(p, "error") != '\0' ?
		    text_of(p, "error") : *text_of(p, "description") != '\0' ?
		    text_of(p, "description") : text_of(p, "name"));
	}
	table_print(&t);
	list = json_get_arr(res, "diagnostics");
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		p = json_object_array_get_idx(list, i);
		app_say("%s: %s", text_of(p, "level"), text_of(p, "message"));
	}
	json_object_put(res);
	return (EXIT_OK);
}

static void
print_list(const char *name, struct json_object *list)
{
	size_t	 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++)
		out_pair(i == 0 ? name : "", "%s", json_object_get_string(
		    json_object_array_get_idx(list, i)));
}

static int
plugins_show(struct app *a, const char *id)
{
	struct json_object	*res, *p, *d;
	int			 r;

	r = app_get(a, "plugins.inspect", params_of("pluginId", id, NULL),
	    &res);
	if (r != 0 || res == NULL)
		return (r);
	p = json_get_obj(res, "plugin");
	out_pair("plugin", "%s", text_of(p, "id"));
	out_pair("name", "%s", text_of(p, "name"));
	out_pair("version", "%s", text_of(p, "version"));
	if (*text_of(p, "description") != '\0')
		out_pair("description", "%s", text_of(p, "description"));
	out_pair("enabled", "%s", json_get_bool(p, "enabled", false) ? "yes" :
	    "no");
	d = json_get_obj(res, "declared");
	if (d != NULL) {
		json_object_object_foreach(d, key, value) {
			if (json_object_is_type(value, json_type_array))
				print_list(key, value);
		}
	}
	json_object_put(res);
	return (EXIT_OK);
}

static struct json_object *
switch_params(const char *id, bool on, const char *token)
{
	struct json_object	*p = params_of("pluginId", id, NULL);

	(void)json_add_bool(p, "enabled", on);
	if (token != NULL)
		(void)json_add(p, "acknowledgeCapabilities",
		    params_of("reviewToken", token, NULL));
	return (p);
}

static int
plugins_switch(struct app *a, const char *id, bool on)
{
	const struct chela_client_error	*e;
	struct json_object		*res;
	const char			*token;
	char				*copy;
	int				 r;

	r = chela_client_call_wait(a->client, "plugins.setEnabled",
	    switch_params(id, on, NULL), 0, 0, &res);
	if (r < 0) {
		e = chela_client_last_error(a->client);
		token = json_get_str(e->details, "reviewToken");
		if (token == NULL)
			return (app_failed(a, "plugins.setEnabled", e));
		if (!a->says_yes) {
			app_say("%s declares what it does ('chela plugins show "
			    "%s'); say yes to that with --yes", id, id);
			return (EXIT_REFUSED);
		}
		copy = strdup(token);
		r = app_call(a, "plugins.setEnabled", switch_params(id, on,
		    copy), &res);
		free(copy);
		if (r != 0)
			return (r);
	}
	if (a->is_json)
		out_json(res);
	else if (!a->is_quiet)
		app_say("%s is %s%s", id, text_of(json_get_obj(res, "plugin"),
		    "state"), json_get_bool(res, "restartRequired", false) ?
		    " after the gateway's next start" : "");
	json_object_put(res);
	return (EXIT_OK);
}

int
cmd_plugins(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list";
	bool		 is_alone = strcmp(verb, "list") == 0 ||
			    strcmp(verb, "refresh") == 0;
	int		 r;

	if (!is_alone && strcmp(verb, "show") != 0 &&
	    strcmp(verb, "enable") != 0 && strcmp(verb, "disable") != 0)
		return (app_usage(a, "plugins cannot '%s'", verb));
	if (is_alone ? argc > 1 : argc != 2)
		return (app_usage(a, "plugins %s takes %s", verb, is_alone ?
		    "nothing" : "the id of a plugin"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (strcmp(verb, "list") == 0)
		return (plugins_list(a));
	if (strcmp(verb, "refresh") == 0)
		return (app_do(a, "plugins.refresh", NULL,
		    "plugins were looked through again"));
	if (strcmp(verb, "show") == 0)
		return (plugins_show(a, argv[1]));
	return (plugins_switch(a, argv[1], strcmp(verb, "enable") == 0));
}
