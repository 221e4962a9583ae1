/* SPDX-License-Identifier: MIT */
/* Commands that report: health, status, logs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define LOG_POLL_MS	1000u
#define LOG_LINES	100	/* printed when -n is not given */

static size_t
length_of(struct json_object *obj, const char *key)
{
	struct json_object	*v = json_get(obj, key);

	if (json_object_is_type(v, json_type_array))
		return (json_object_array_length(v));
	if (json_object_is_type(v, json_type_object))
		return ((size_t)json_object_object_length(v));
	return (0);
}

/* "a, b, c" of an array of names or of objects that have one. */
static void
join(struct buf *b, struct json_object *list, const char *key)
{
	struct json_object	*v;
	size_t			 i, n = list == NULL ? 0 :
	    json_object_array_length(list);

	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(list, i);
		(void)buf_printf(b, "%s%s", i > 0 ? ", " : "",
		    json_object_is_type(v, json_type_object) ?
		    text_of(v, key) : json_object_get_string(v));
	}
	(void)buf_putc(b, '\0');
}

static void
pair_list(const char *name, struct json_object *list, const char *key)
{
	struct buf	 b = BUF_INIT;

	join(&b, list, key);
	if (b.len > 1)
		out_pair(name, "%s", b.data);
	buf_fini(&b);
}

static void
print_health(struct json_object *h)
{
	struct json_object	*plugins = json_get_obj(h, "plugins");
	struct json_object	*loop = json_get_obj(h, "eventLoop");
	char			 age[32];
	bool			 is_degraded = json_get_bool(loop, "degraded",
				    false);

	out_pair("gateway", "%s", !json_get_bool(h, "ok", false) ? "not well" :
	    is_degraded ? "ok, but slow" : "ok");
	out_pair("checked", "%s", out_age(json_get_int(h, "ts", 0),
	    (int64_t)clock_wall_ms(), age, sizeof age));
	if (is_degraded)
		pair_list("slow because", json_get_arr(loop, "reasons"), "");
	pair_list("channels", json_get_arr(h, "channelOrder"), "id");
	pair_list("agents", json_get_arr(h, "agents"), "agentId");
	out_pair("sessions", "%" PRId64, json_get_int(json_get_obj(h,
	    "sessions"), "count", 0));
	if (plugins != NULL) {
		out_pair("plugins", "%zu loaded", length_of(plugins, "loaded"));
		pair_list("plugin errors", json_get_arr(plugins, "errors"),
		    "id");
		pair_list("unavailable", json_get_arr(plugins, "unavailable"),
		    "id");
	}
}

int
cmd_health(struct app *a, int argc, char **argv)
{
	struct json_object	*h;
	int			 r;

	(void)argv;
	if (argc > 0)
		return (app_usage(a, "health takes no argument"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r == 0)
		r = app_call(a, "health", NULL, &h);
	if (r != 0)
		return (r);
	if (a->is_json)
		out_json(h);
	else
		print_health(h);
	r = json_get_bool(h, "ok", false) ? EXIT_OK : EXIT_REFUSED;
	json_object_put(h);
	return (r);
}

/* How sockets fare; TLS only where there is any. */
static void
pair_sockets(struct json_object *o)
{
	struct json_object	*tls = json_get_obj(o, "tls");
	int64_t			 done = json_get_int(tls, "handshakes", 0);
	int64_t			 failed = json_get_int(tls, "failed", 0);
	int64_t			 refused = json_get_int(tls, "refused", 0);

	if (o == NULL)
		return;
	out_pair("sockets", "%" PRId64 " open, %" PRId64 " accepted, %" PRId64
	    " refused, %" PRId64 " timed out", json_get_int(o, "open", 0),
	    json_get_int(o, "accepted", 0), json_get_int(o, "refused", 0),
	    json_get_int(o, "timeouts", 0));
	if (done + failed + refused > 0)
		out_pair("TLS", "%" PRId64 " handshakes (%" PRId64
		    " resumed), %" PRId64 " failed, %" PRId64 " without TLS",
		    done, json_get_int(tls, "resumed", 0), failed, refused);
}

static void
print_status(struct app *a, struct json_object *s)
{
	struct json_object	*hello = chela_client_hello(a->client);
	struct json_object	*sessions = json_get_obj(s, "sessions");
	struct json_object	*defaults = json_get_obj(sessions, "defaults");
	struct json_object	*mem = json_get_obj(s, "processMemory");
	struct json_object	*snap = json_get_obj(hello, "snapshot");
	int64_t			 up = json_get_int(snap, "uptimeMs", -1);
	int64_t			 rss = json_get_int(mem, "rssBytes", -1);

	out_pair("gateway", "%s", a->url);
	out_pair("version", "%s", text_of(s, "runtimeVersion"));
	if (json_has(s, "pid"))
		out_pair("process", "%" PRId64, json_get_int(s, "pid", 0));
	if (up >= 0)
		out_pair("running for", "%" PRId64 " h %02" PRId64 " min %02"
		    PRId64 " s", up / 3600000, up / 60000 % 60,
		    up / 1000 % 60);
	if (rss >= 0)
		out_pair("memory", "%.1f MiB", (double)rss / 1048576.0);
	if (json_has(s, "connections"))
		out_pair("connections", "%" PRId64, json_get_int(s,
		    "connections", 0));
	pair_sockets(json_get_obj(s, "sockets"));
	out_pair("sessions", "%" PRId64, json_get_int(sessions, "count", 0));
	if (*text_of(defaults, "model") != '\0')
		out_pair("model", "%s", text_of(defaults, "model"));
	out_pair("methods", "%zu", length_of(json_get_obj(hello, "features"),
	    "methods"));
	pair_list("allowed", json_get_arr(json_get_obj(hello, "auth"),
	    "scopes"), "");
	pair_list("channels", json_get_arr(s, "channelSummary"), "label");
}

int
cmd_status(struct app *a, int argc, char **argv)
{
	struct json_object	*s;
	int			 r;

	(void)argv;
	if (argc > 0)
		return (app_usage(a, "status takes no argument"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r == 0)
		r = app_call(a, "status", NULL, &s);
	if (r != 0)
		return (r);
	if (a->is_json)
		out_json(s);
	else
		print_status(a, s);
	json_object_put(s);
	return (EXIT_OK);
}

/* --- logs --- */

static void
print_log_line(struct app *a, const char *line)
{
	struct json_object	*o;
	struct json_tokener	*tok;

	if (a->is_json) {
		out_str(stdout, line);
		(void)putchar('\n');
		return;
	}
	tok = json_tokener_new();
	o = tok != NULL ? json_tokener_parse_ex(tok, line,
	    (int)strlen(line)) : NULL;
	if (o == NULL || !json_has(o, "message")) {
		out_str(stdout, line);
	} else {
		out_str(stdout, text_of(o, "time"));
		(void)putchar(' ');
		out_str(stdout, text_of(o, "level"));
		(void)putchar(' ');
		if (*text_of(o, "subsystem") != '\0') {
			out_str(stdout, text_of(o, "subsystem"));
			(void)fputs(": ", stdout);
		}
		out_str(stdout, text_of(o, "message"));
	}
	(void)putchar('\n');
	json_object_put(o);
	if (tok != NULL)
		json_tokener_free(tok);
}

static int
logs_fetch(struct app *a, int64_t *cursor)
{
	struct json_object	*p = json_object_new_object(), *res, *lines;
	size_t			 i;
	int			 r;

	(void)json_add_int(p, "limit", *cursor >= 0 ? 5000 :
	    a->limit > 0 ? a->limit : LOG_LINES);
	if (*cursor >= 0)
		(void)json_add_int(p, "cursor", *cursor);
	r = app_call(a, "logs.tail", p, &res);
	if (r != 0)
		return (r);
	lines = json_get_arr(res, "lines");
	if (*cursor >= 0 && json_get_int(res, "skippedBytes", 0) > 0 &&
	    !a->is_quiet)
		app_say("%" PRId64 " bytes of the log were skipped",
		    json_get_int(res, "skippedBytes", 0));
	for (i = 0; lines != NULL && i < json_object_array_length(lines); i++)
		print_log_line(a, json_object_get_string(
		    json_object_array_get_idx(lines, i)));
	*cursor = json_get_int(res, "cursor", 0);
	json_object_put(res);
	return (fflush(stdout) != 0 ? EXIT_UNREACHED : 0);
}

static int
has_ended(void *arg)
{
	return (chela_client_get_state(((struct app *)arg)->client) !=
	    CHELA_CLIENT_READY);
}

int
cmd_logs(struct app *a, int argc, char **argv)
{
	int64_t	 cursor = -1;
	int	 r;

	(void)argv;
	if (argc > 0)
		return (app_usage(a, "logs takes no argument"));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	r = logs_fetch(a, &cursor);
	while (r == 0 && a->follows) {
		/* The gateway pushes no log; it is asked once a second. */
		if (chela_client_run_until(a->client, has_ended, a,
		    LOG_POLL_MS) == 0)
			return (app_failed(a, "logs.tail",
			    chela_client_last_error(a->client)));
		r = logs_fetch(a, &cursor);
	}
	return (r);
}
