/* SPDX-License-Identifier: MIT */
/* chela config */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/chela.h"
#include "core/json/json.h"

#define PATH_DEPTH_MAX	32u

static int
config_get(struct app *a, const char *path)
{
	struct json_object	*snap, *v;
	int			 r;

	r = app_call(a, "config.get", NULL, &snap);
	if (r != 0)
		return (r);
	v = json_get_obj(snap, "config");
	if (path != NULL)
		v = json_get_path(v, path);
	if (v == NULL) {
		app_say("%s is not set; 'chela config schema %s' describes it",
		    path != NULL ? path : "the configuration",
		    path != NULL ? path : "gateway");
		r = EXIT_REFUSED;
	} else if (!a->is_json && json_object_is_type(v, json_type_string)) {
		out_str(stdout, json_object_get_string(v));
		(void)putchar('\n');
	} else {
		out_json(v);
	}
	json_object_put(snap);
	return (r);
}

static int
print_issues(const char *what, struct json_object *list)
{
	struct json_object	*i;
	size_t			 k, n = list == NULL ? 0 :
	    json_object_array_length(list);

	for (k = 0; k < n; k++) {
		i = json_object_array_get_idx(list, k);
		(void)printf("%s: ", what);
		if (json_object_is_type(i, json_type_object)) {
			out_str(stdout, *text_of(i, "path") != '\0' ?
			    text_of(i, "path") : "(whole file)");
			(void)fputs(": ", stdout);
			out_str(stdout, text_of(i, "message"));
		} else {
			out_str(stdout, json_object_get_string(i));
		}
		(void)putchar('\n');
	}
	return ((int)n);
}

static int
config_check(struct app *a)
{
	struct json_object	*snap;
	bool			 ok;
	int			 r;

	r = app_call(a, "config.get", NULL, &snap);
	if (r != 0)
		return (r);
	ok = json_get_bool(snap, "valid", false);
	if (a->is_json) {
		out_json(snap);
	} else {
		(void)print_issues("error", json_get_arr(snap, "issues"));
		(void)print_issues("warning", json_get_arr(snap, "warnings"));
		if (!a->is_quiet) {
			out_str(stdout, text_of(snap, "path"));
			(void)printf(": %s\n", !json_get_bool(snap, "exists",
			    true) ? "not there, defaults apply" : ok ?
			    "valid" : "not valid");
		}
	}
	json_object_put(snap);
	return (ok ? EXIT_OK : EXIT_REFUSED);
}

static int
config_schema(struct app *a, const char *path)
{
	struct json_object	*res, *list, *c, *hint;
	struct table		 t;
	size_t			 i;
	int			 r;

	r = app_call(a, "config.schema.lookup", params_of("path", path, NULL),
	    &res);
	if (r != 0)
		return (r);
	list = json_get_arr(res, "children");
	if (a->is_json) {
		out_json(res);
	} else {
		hint = json_get_obj(res, "hint");
		out_pair("path", "%s", text_of(res, "path"));
		if (*text_of(hint, "help") != '\0')
			out_pair("meaning", "%s", text_of(hint, "help"));
		out_pair("a change needs", "%s", strcmp(text_of(res,
		    "reloadKind"), "restart") == 0 ? "a restart" :
		    "no restart");
		(void)printf("schema:\n");
		out_json(json_get(res, "schema"));
		if (list != NULL && json_object_array_length(list) > 0) {
			(void)putchar('\n');
			table_init(&t, "lll", "KEY", "TYPE", "NEEDED", NULL);
			for (i = 0; i < json_object_array_length(list); i++) {
				c = json_object_array_get_idx(list, i);
				table_add(&t, "%s", text_of(c, "key"));
				table_add(&t, "%s", text_of(c, "type"));
				table_add(&t, "%s", json_get_bool(c, "required",
				    false) ? "yes" : "");
			}
			table_print(&t);
		}
	}
	json_object_put(res);
	return (EXIT_OK);
}

/*
 * Merges a patch over what the gateway has now. Array entries may go only at the
 * path replaced (or NULL).
 */
static int
config_patch(struct app *a, const char *raw, const char *replaced)
{
	struct json_object	*snap, *p, *res, *list;
	struct buf		 b = BUF_INIT;
	size_t			 i, n;
	int			 r;

	r = app_call(a, "config.get", NULL, &snap);
	if (r != 0)
		return (r);
	p = params_of("raw", raw, "baseHash", json_get_str(snap, "hash"), NULL);
	json_object_put(snap);
	if (replaced != NULL) {
		list = json_object_new_array();
		(void)json_push(list, json_object_new_string(replaced));
		(void)json_add(p, "replacePaths", list);
	}
	r = app_call(a, "config.patch", p, &res);
	if (r != 0)
		return (r);
	if (a->is_json) {
		out_json(res);
	} else if (!a->is_quiet) {
		list = json_get_arr(res, "changedPaths");
		n = list == NULL ? 0 : json_object_array_length(list);
		for (i = 0; i < n; i++)
			(void)buf_printf(&b, "%s%s", i > 0 ? ", " : "",
			    json_object_get_string(json_object_array_get_idx(
			    list, i)));
		(void)buf_putc(&b, '\0');
		app_say(n > 0 ? "changed: %s" : "nothing changed%s",
		    b.data != NULL ? b.data : "");
	}
	buf_fini(&b);
	json_object_put(res);
	return (EXIT_OK);
}

/* {"a":{"b":VALUE}} for "a.b". */
static int
config_set(struct app *a, const char *path, const char *value)
{
	static const struct scan_limits lim = { 128, SIZE_MAX, false };
	struct scan_result	 res;
	struct buf		 b = BUF_INIT;
	unsigned		 depth = 0;
	const char		*p = path;
	size_t			 n;
	bool			 removes;
	int			 r;

	r = scan_json(value, strlen(value), &lim, &res);
	if (r < 0)
		return (app_usage(a, "the value is no JSON (%s at byte %zu); a "
		    "string needs its quotes: '\"%s\"'",
		    scan_err_text(res.err), res.offset, value));
	for (;; p += n + 1) {
		n = strcspn(p, ".");
		if (n == 0 || depth == PATH_DEPTH_MAX) {
			buf_fini(&b);
			return (app_usage(a, "'%s' is no path", path));
		}
		(void)buf_putc(&b, '{');
		(void)buf_json_str(&b, p, n);
		(void)buf_putc(&b, ':');
		depth++;
		if (p[n] == '\0')
			break;
	}
	(void)buf_puts(&b, value);
	while (depth-- > 0)
		(void)buf_putc(&b, '}');
	(void)buf_putc(&b, '\0');
	r = app_connect(a, CHELA_CLIENT_ONCE);
	/* Whoever names a path and gives an array or null means just that. */
	removes = value[strspn(value, " \t\r\n")] == '[' ||
	    value[strspn(value, " \t\r\n")] == 'n';
	if (r == 0)
		r = config_patch(a, b.data, removes ? path : NULL);
	buf_fini(&b);
	return (r);
}

int
cmd_config(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "get";
	int		 r;

	if (strcmp(verb, "set") == 0 && argc == 3)
		return (config_set(a, argv[1], argv[2]));
	if (!(strcmp(verb, "get") == 0 && argc <= 2) &&
	    !(strcmp(verb, "check") == 0 && argc == 1) &&
	    !(strcmp(verb, "schema") == 0 && argc == 2) &&
	    !(strcmp(verb, "patch") == 0 && argc == 2))
		return (app_usage(a, "config does not understand '%s' so", verb));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	switch (verb[0]) {
	case 'g':
		return (config_get(a, argc == 2 ? argv[1] : NULL));
	case 'c':
		return (config_check(a));
	case 's':
		return (config_schema(a, argv[1]));
	default:
		return (config_patch(a, argv[1], NULL));
	}
}
