/* SPDX-License-Identifier: MIT */
/* Commands about the gateway as a whole: call, methods, events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/chela.h"
#include "core/json/json.h"

#define STDIN_MAX	MIB(25)		/* parameters from standard input */

static int
read_stdin(struct buf *b)
{
	char	 chunk[8192];
	size_t	 n;

	while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
		if (b->len + n > STDIN_MAX || buf_add(b, chunk, n) < 0)
			return (-E2BIG);
	}
	return (ferror(stdin) ? -EIO : 0);
}

static int
read_params(struct app *a, const char *text, struct json_object **ret)
{
	static const struct scan_limits lim = { 128, SIZE_MAX, false };
	struct scan_result	 res;
	struct buf		 b = BUF_INIT;
	int			 r;

	if (strcmp(text, "-") == 0) {
		if (read_stdin(&b) < 0) {
			buf_fini(&b);
			return (app_usage(a, "cannot read the parameters"));
		}
	} else {
		(void)buf_puts(&b, text);
	}
	r = json_parse_scanned(b.data != NULL ? b.data : "", b.len, &lim, &res,
	    ret);
	buf_fini(&b);
	if (r == 0)
		return (0);
	return (app_usage(a, "the parameters are no JSON: %s at byte %zu",
	    scan_err_text(res.err), res.offset));
}

int
cmd_call(struct app *a, int argc, char **argv)
{
	struct json_object	*params = NULL, *result;
	int			 r;

	if (argc < 1 || argc > 2)
		return (app_usage(a, "call takes a method and perhaps JSON"));
	if (argc == 2) {
		r = read_params(a, argv[1], &params);
		if (r != 0)
			return (r);
	}
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0) {
		json_object_put(params);
		return (r);
	}
	if (chela_client_call_wait(a->client, argv[0], params,
	    a->wants_final ? CHELA_CLIENT_FINAL : 0, 0, &result) < 0)
		return (app_failed(a, argv[0],
		    chela_client_last_error(a->client)));
	out_json(result);
	json_object_put(result);
	return (EXIT_OK);
}

/* --- methods --- */

/* An entry of features.methods is a name, or an object that has one. */
static const char *
method_name(struct json_object *m)
{
	return (json_object_is_type(m, json_type_string) ?
	    json_object_get_string(m) : text_of(m, "name"));
}

static int
print_method(struct app *a, struct json_object *m)
{
	if (a->is_json) {
		out_json(m);
		return (EXIT_OK);
	}
	out_pair("method", "%s", method_name(m));
	if (!json_object_is_type(m, json_type_object))
		return (EXIT_OK);
	if (json_has(m, "scope"))
		out_pair("scope", "%s", text_of(m, "scope"));
	if (json_has(m, "plugin"))
		out_pair("plugin", "%s", text_of(m, "plugin"));
	if (json_has(m, "summary"))
		out_pair("summary", "%s", text_of(m, "summary"));
	if (json_has(m, "params")) {
		(void)printf("params:\n");
		out_json(json_get(m, "params"));
	}
	return (EXIT_OK);
}

static void
print_methods(struct json_object *list)
{
	struct table	 t;
	size_t		 i, n = json_object_array_length(list);
	struct json_object *m;

	if (n == 0 || json_object_is_type(json_object_array_get_idx(list, 0),
	    json_type_string)) {
		for (i = 0; i < n; i++) {
			out_str(stdout, method_name(json_object_array_get_idx(
			    list, i)));
			(void)putchar('\n');
		}
		return;
	}
	table_init(&t, "lll", "METHOD", "SCOPE", "SUMMARY", NULL);
	for (i = 0; i < n; i++) {
		m = json_object_array_get_idx(list, i);
		table_add(&t, "%s", method_name(m));
		table_add(&t, "%s", text_of(m, "scope"));
		table_add(&t, "%s", text_of(m, "summary"));
	}
	table_print(&t);
}

int
cmd_methods(struct app *a, int argc, char **argv)
{
	struct json_object	*list, *m;
	size_t			 i;
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
	if (argc == 0) {
		if (a->is_json)
			out_json(list);
		else
			print_methods(list);
		return (EXIT_OK);
	}
	for (i = 0; i < json_object_array_length(list); i++) {
		m = json_object_array_get_idx(list, i);
		if (strcmp(method_name(m), argv[0]) == 0)
			return (print_method(a, m));
	}
	app_say("the gateway has no method '%s'; 'chela methods' lists them",
	    argv[0]);
	return (EXIT_REFUSED);
}

/* --- events --- */

struct event_filter {
	struct app	*app;
	int		 n;
	char		**names;
};

static void
events_print(struct chela_client *c, const struct chela_client_event *e,
    void *arg)
{
	struct event_filter	*f = arg;
	struct json_object	*o;
	int			 i;

	(void)c;
	for (i = 0; i < f->n && strcmp(f->names[i], e->name) != 0; i++)
		;
	if (f->n > 0 && i == f->n)
		return;
	if (f->app->is_json) {
		o = params_of("event", e->name, NULL);
		(void)json_add(o, "data", json_object_get(e->data));
		if (e->seq >= 0)
			(void)json_add_int(o, "seq", e->seq);
		out_json_line(o);
		json_object_put(o);
	} else {
		out_str(stdout, e->name);
		(void)putchar(' ');
		out_json_line(e->data);
	}
	(void)fflush(stdout);
}

static int
events_ended(void *arg)
{
	struct app	*a = arg;

	return (chela_client_get_state(a->client) == CHELA_CLIENT_ENDED ||
	    ferror(stdout));
}

int
cmd_events(struct app *a, int argc, char **argv)
{
	struct event_filter	 f = { a, argc, argv };
	int			 r;

	a->on_event = events_print;
	a->event_arg = &f;
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	/* Changes of conversations go only to those who ask. */
	(void)chela_client_call_wait(a->client, "sessions.subscribe", NULL, 0,
	    0, NULL);
	(void)chela_client_run_until(a->client, events_ended, a, UINT32_MAX);
	if (ferror(stdout))
		return (EXIT_OK);	/* the reader has had enough */
	return (app_failed(a, "events", chela_client_last_error(a->client)));
}
