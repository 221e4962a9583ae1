/* SPDX-License-Identifier: MIT */
/* Commands that pass on what they are given: call, events. */
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

	return (chela_client_get_state(a->client) == CHELA_CLIENT_ENDED);
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
	return (app_failed(a, "events", chela_client_last_error(a->client)));
}
