/* SPDX-License-Identifier: MIT */
/*
 * chela methods. The gateway's hello says which methods exist, its plugins which
 * scope each needs, and the schemas installed with this program what they do.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define SCHEMA_FILE_MAX	MIB(4)

/* Adds the methods of one schema document to all: name -> its entry. */
static void
add_schema(struct json_object *all, const char *path, const char *plugin)
{
	struct json_object	*doc, *methods;

	if (json_read_file(path, SCHEMA_FILE_MAX, &doc, NULL) < 0)
		return;
	methods = json_get_obj(doc, "methods");
	if (methods != NULL) {
		json_object_object_foreach(methods, name, entry) {
			if (!json_object_is_type(entry, json_type_object))
				continue;
			(void)json_add_str(entry, "plugin", plugin);
			(void)json_add(all, name, json_object_get(entry));
		}
	}
	json_object_put(doc);
}

static void
read_schemas(struct json_object *all)
{
	const char	*dir = getenv("CHELA_SCHEMA_DIR"), *dot;
	struct dirent	*e;
	char		*path, plugin[sizeof e->d_name];
	DIR		*d;

	if (dir == NULL || *dir == '\0')
		dir = CHELA_SCHEMA_DIR;
	d = opendir(dir);
	if (d == NULL)
		return;			/* names and scopes do without */
	while ((e = readdir(d)) != NULL) {
		dot = strrchr(e->d_name, '.');
		if (dot == NULL || strcmp(dot, ".json") != 0)
			continue;
		(void)snprintf(plugin, sizeof plugin, "%.*s",
		    (int)(dot - e->d_name), e->d_name);
		path = file_join(dir, e->d_name);
		if (path != NULL)
			add_schema(all, path, plugin);
		free(path);
	}
	(void)closedir(d);
}

/* "method NAME (SCOPE)" among what a plugin declares. */
static void
add_scopes(struct json_object *scopes, struct json_object *inspected)
{
	struct json_object	*list;
	const char		*s, *open;
	char			*name, *scope;
	size_t			 i;

	list = json_get_arr(json_get_obj(inspected, "declared"), "contracts");
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		if (s == NULL || strncmp(s, "method ", 7) != 0)
			continue;
		s += 7;
		open = strstr(s, " (");
		if (open == NULL)
			continue;
		name = strndup(s, (size_t)(open - s));
		scope = strndup(open + 2, strcspn(open + 2, ")"));
		if (name != NULL && scope != NULL)
			(void)json_add_str(scopes, name, scope);
		free(name);
		free(scope);
	}
}

/* A gateway without the method is no error: the column stays empty. */
static void
read_scopes(struct app *a, struct json_object *scopes)
{
	struct json_object	*res, *list, *one;
	size_t			 i;

	if (chela_client_call_wait(a->client, "plugins.list", NULL, 0, 0,
	    &res) < 0)
		return;
	list = json_get_arr(res, "plugins");
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		if (chela_client_call_wait(a->client, "plugins.inspect",
		    params_of("pluginId", text_of(json_object_array_get_idx(
		    list, i), "id"), NULL), 0, 0, &one) < 0)
			continue;
		add_scopes(scopes, one);
		json_object_put(one);
	}
	json_object_put(res);
}

static void
print_method(struct app *a, const char *name, struct json_object *entry,
    const char *scope)
{
	struct json_object	*v;

	if (a->is_json) {
		v = params_of("name", name, "scope", scope, NULL);
		if (entry != NULL) {
			json_object_object_foreach(entry, key, value)
				(void)json_object_object_add(v, key,
				    json_object_get(value));
		}
		out_json(v);
		json_object_put(v);
		return;
	}
	out_pair("method", "%s", name);
	if (scope != NULL)
		out_pair("scope", "%s", scope);
	if (entry == NULL)
		return;
	out_pair("plugin", "%s", text_of(entry, "plugin"));
	out_pair("summary", "%s", text_of(entry, "summary"));
	if (json_has(entry, "params")) {
		(void)printf("params:\n");
		out_json(json_get(entry, "params"));
	}
	if (json_has(entry, "result")) {
		(void)printf("result:\n");
		out_json(json_get(entry, "result"));
	}
}

static void
print_methods(struct app *a, struct json_object *list, struct json_object *all,
    struct json_object *scopes)
{
	struct json_object	*out = json_object_new_array(), *o;
	struct table		 t;
	const char		*name;
	size_t			 i, n = json_object_array_length(list);

	table_init(&t, "lll", "METHOD", "SCOPE", "SUMMARY", NULL);
	for (i = 0; i < n; i++) {
		name = json_object_get_string(json_object_array_get_idx(list,
		    i));
		if (name == NULL)
			continue;
		o = params_of("name", name, "scope", json_get_str(scopes,
		    name), "summary", json_get_str(json_get_obj(all, name),
		    "summary"), NULL);
		(void)json_push(out, json_object_get(o));
		table_add(&t, "%s", name);
		table_add(&t, "%s", text_of(o, "scope"));
		table_add(&t, "%s", text_of(o, "summary"));
		json_object_put(o);
	}
	if (a->is_json) {
		out_json(out);
		table_free(&t);
	} else {
		table_print(&t);
	}
	json_object_put(out);
}

static bool
has_name(struct json_object *list, const char *name)
{
	size_t	 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), name) == 0)
			return (true);
	}
	return (false);
}

int
cmd_methods(struct app *a, int argc, char **argv)
{
	struct json_object	*list, *all, *scopes;
	int			 r;

	if (argc > 1)
		return (app_usage(a, "methods takes one name"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	list = json_get_arr(json_get_obj(chela_client_hello(a->client),
	    "features"), "methods");
	if (list == NULL) {
		app_say("the gateway does not say what it can do");
		return (EXIT_REFUSED);
	}
	all = json_object_new_object();
	scopes = json_object_new_object();
	read_schemas(all);
	read_scopes(a, scopes);
	if (argc == 0) {
		print_methods(a, list, all, scopes);
	} else if (has_name(list, argv[0]) || json_has(scopes, argv[0])) {
		print_method(a, argv[0], json_get_obj(all, argv[0]),
		    json_get_str(scopes, argv[0]));
	} else {
		app_say("the gateway has no method '%s'; 'chela methods' lists "
		    "them", argv[0]);
		r = EXIT_REFUSED;
	}
	json_object_put(all);
	json_object_put(scopes);
	return (r);
}
