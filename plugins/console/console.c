/* SPDX-License-Identifier: MIT */
/*
 * Plugin console: what a browser finds at the gateway's port. A folder that the
 * operator names, or one page that says how to connect; and for an application
 * in that folder its settings and the agents' pictures.
 */
#include "console.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct console	 console;

/* Without a path in front these belong to others, served or not. */
static const char *const	 others[] = { "api", "j", "v1", "ui" };

/* --- requests that wait --- */

void
reply_text(struct chela_http_in *rq, uint32_t status, const char *headers,
    const char *text)
{
	(void)console.routes->reply(rq, status, NULL, headers, text,
	    strlen(text));
}

void
reply_not_found(struct chela_http_in *rq)
{
	reply_text(rq, 404, NULL, "Not Found");
}

struct visit *
visit_new(struct chela_http_in *rq)
{
	struct visit	*v = NULL;

	if (console.n_visits < VISITS_MAX)
		v = calloc(1, sizeof *v);
	if (v == NULL) {
		reply_text(rq, 503, "Retry-After: 1\r\n",
		    "Too many requests at a time.");
		return (NULL);
	}
	v->rq = rq;
	v->fd = -1;
	v->refs = 1;
	TAILQ_INSERT_TAIL(&console.visits, v, link);
	console.n_visits++;
	console.routes->set_user(rq, v);
	return (v);
}

static void
visit_unref(struct visit *v)
{
	if (__atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (v->fd >= 0)
		(void)close(v->fd);
	free(v->base);
	free(v->root);
	free(v->path);
	free(v->text);
	free(v);
}

void
visit_free(struct visit *v)
{
	TAILQ_REMOVE(&console.visits, v, link);
	console.n_visits--;
	visit_unref(v);
}

struct chela_http_in *
visit_leave(struct visit *v)
{
	struct chela_http_in	*rq = v->rq;

	if (rq != NULL)
		console.routes->set_user(rq, NULL);
	v->rq = NULL;
	return (rq);
}

static void
visit_work(void *arg)
{
	struct visit	*v = arg;

	v->work(v);
	visit_unref(v);
}

static void
visit_done(struct chela_ctx *ctx, void *arg)
{
	struct visit	*v = arg;

	(void)ctx;
	v->is_working = false;
	if (v->rq != NULL)
		v->done(v);
	else
		visit_free(v);
}

void
visit_run(struct visit *v, void (*work)(struct visit *v),
    void (*done)(struct visit *v))
{
	struct chela_http_in	*rq;

	v->work = work;
	v->done = done;
	v->is_working = true;
	v->refs = 2;
	if (console.host->work(console.ctx, visit_work, visit_done, v) < 0) {
		v->refs = 1;
		rq = visit_leave(v);
		visit_free(v);
		reply_text(rq, 503, "Retry-After: 1\r\n",
		    "Too many requests at a time.");
	}
}

static void
on_gone(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct visit	*v = console.routes->user(rq);

	(void)ctx;
	(void)arg;
	if (v == NULL)
		return;
	(void)visit_leave(v);
	if (!v->is_working)
		visit_free(v);
}

/* --- where a request goes --- */

static bool
is_other(const char *rel)
{
	size_t	 i, n = strcspn(rel, "/");

	if (*console.set.base != '\0')
		return (false);
	for (i = 0; i < sizeof others / sizeof others[0]; i++) {
		if (strlen(others[i]) == n && strncmp(rel, others[i], n) == 0)
			return (true);
	}
	return (false);
}

static bool
is_info(const char *rel)
{
	return (strcmp(rel, "control-ui-config.json") == 0 ||
	    strcmp(rel, "__openclaw/control-ui-config.json") == 0 ||
	    (*console.set.base == '\0' &&
	    strcmp(rel, "__openclaw__/control-ui-config.json") == 0));
}

static void
on_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	const struct settings	*set = &console.set;
	const char		*path = console.routes->path(rq);
	size_t			 n = set->base == NULL ? 0 : strlen(set->base);

	(void)ctx;
	(void)arg;
	if (!set->is_on) {
		reply_not_found(rq);
		return;
	}
	if (set->is_bad) {
		reply_text(rq, 503, NULL, "The console's settings are refused; "
		    "the gateway's log says why.");
		return;
	}
	if (strncmp(path, set->base, n) != 0 ||
	    (path[n] != '/' && path[n] != '\0')) {
		reply_not_found(rq);
		return;
	}
	path += n;
	while (*path == '/')
		path++;
	if (is_info(path))
		info_serve(rq);
	else if (strncmp(path, "avatar/", 7) == 0)
		avatar_serve(rq, path + 7);
	else if (is_other(path))
		reply_not_found(rq);
	else if (set->root != NULL)
		file_serve(rq, path);
	else if (*path == '\0')
		page_serve(rq);
	else
		reply_not_found(rq);
}

/* --- settings --- */

static void
settings_free(struct settings *s)
{
	free(s->base);
	free(s->root);
	memset(s, 0, sizeof *s);
}

/* It is written into pages and compared with paths in their one form. */
static int
base_read(const char *text, char **ret_base)
{
	static const char	 good[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.~/";
	char			*base;
	size_t			 n;

	text += strspn(text, " \t/");
	n = strlen(text);
	while (n > 0 && strchr(" \t/", text[n - 1]) != NULL)
		n--;
	if (n >= BASE_MAX || strspn(text, good) < n)
		return (-EINVAL);
	if (asprintf(&base, "%s%.*s", n > 0 ? "/" : "", (int)n, text) < 0)
		return (-ENOMEM);
	if (strstr(base, "//") != NULL || strstr(base, "/.") != NULL) {
		free(base);
		return (-EINVAL);
	}
	*ret_base = base;
	return (0);
}

static int
root_read(const char *text, char **ret_root)
{
	const char	*home = "";

	if (text[0] == '~' && (text[1] == '/' || text[1] == '\0')) {
		home = getenv("HOME");
		text++;
	}
	if (home == NULL || (*home == '\0' && *text != '/'))
		return (-EINVAL);
	return (asprintf(ret_root, "%s%s", home, text) < 0 ? -ENOMEM : 0);
}

/* What is refused is told in the log: a reload has an errno alone. */
static int
settings_read(struct settings *ret)
{
	struct json_object	*conf;
	const char		*base, *root;
	char			 why[PATH_MAX + 256];
	int			 r;

	conf = console.host->conf_path(console.ctx, "gateway.controlUi");
	base = get_str(conf, "basePath");
	root = get_text(conf, "root");
	memset(ret, 0, sizeof *ret);
	ret->is_on = get_bool(conf, "enabled", true);
	r = base_read(base != NULL ? base : "", &ret->base);
	if (r == -EINVAL)
		console.host->log(console.ctx, CHELA_LOG_ERR,
		    "gateway.controlUi.basePath: \"%.256s\" is no path of "
		    "letters, digits, '-', '_', '.' and '~'", base);
	if (r == 0 && root != NULL) {
		r = root_read(root, &ret->root);
		if (r == -EINVAL)
			(void)snprintf(why, sizeof why,
			    "it has to be an absolute path");
		if (r == 0 && ret->is_on)
			r = root_check(ret->root, why, sizeof why);
		if (r < 0 && r != -ENOMEM)
			console.host->log(console.ctx, CHELA_LOG_ERR,
			    "gateway.controlUi.root: \"%.1024s\" is not "
			    "served: %s", root, why);
	}
	if (r < 0)
		settings_free(ret);
	return (r);
}

static int
console_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	struct settings	 next;
	int		 r;

	(void)ctx;
	(void)conf;
	r = settings_read(&next);
	if (r < 0)
		return (r);
	settings_free(&console.set);
	console.set = next;
	return (0);
}

/* --- the plugin --- */

static int
console_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&console, 0, sizeof console);
	TAILQ_INIT(&console.visits);
	console.ctx = ctx;
	console.host = host;
	console.routes = host->svc_import(ctx, CHELA_ROUTES_SERVICE);
	console.state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	if (console.routes == NULL || console.state == NULL)
		return (-ENOSYS);
	return (0);
}

static int
console_start(struct chela_ctx *ctx)
{
	static const struct chela_route	 route = {
		.struct_size = sizeof route,
		.flags = CHELA_ROUTE_FALLBACK,
		.path = "/",
		.head = on_head,
		.gone = on_gone,
	};
	int				 r;

	console.agents = console.host->svc_import(ctx, CHELA_AGENTS_SERVICE);
	/* What is wrong here must not keep the gateway from starting. */
	r = settings_read(&console.set);
	if (r == -ENOMEM)
		return (r);
	if (r < 0) {
		console.set.is_on = true;
		console.set.is_bad = true;
	}
	return (console.routes->add(ctx, &route, NULL));
}

/* The routes are gone, and nothing of what the pool still has is told us. */
static void
console_fini(struct chela_ctx *ctx)
{
	struct visit	*v;

	(void)ctx;
	while ((v = TAILQ_FIRST(&console.visits)) != NULL)
		visit_free(v);
	settings_free(&console.set);
}

static const struct chela_dep	 deps[] = {
	{
		.name = "agents",
		.flags = CHELA_DEP_OPTIONAL,
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("console"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "What a browser finds at the gateway's port",
	CHELA_DEPS(deps),
	.init = console_init,
	.start = console_start,
	.reload = console_reload,
	.fini = console_fini,
};
