/* SPDX-License-Identifier: MIT */
/*
 * Plugin hooks: calls from outside over HTTP that leave a text for an agent, or
 * start a run of it, and hooks.status.
 */
#include "hooks.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hooks	 hooks;

struct pick {
	const void	*vtable;
};

static int
pick_first(const char *plugin, const void *vtable, void *arg)
{
	struct pick	*p = arg;

	(void)plugin;
	p->vtable = vtable;
	return (1);
}

/* Looked up at each use: plugins come and go. */
const void *
hooks_service(const char *name)
{
	struct pick	 p = { NULL };

	(void)hooks.host->svc_each(hooks.ctx, name, pick_first, &p);
	return (p.vtable);
}

int
obj_add(struct json_object *o, const char *key, struct json_object *v)
{
	if (v == NULL || o == NULL) {
		json_object_put(v);
		return (-ENOMEM);
	}
	if (json_object_object_add(o, key, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}

int
obj_add_str(struct json_object *o, const char *key, const char *s)
{
	if (s == NULL)
		return (json_object_object_add(o, key, NULL) < 0 ? -ENOMEM :
		    0);
	return (obj_add(o, key, json_object_new_string(s)));
}

bool
is_blank(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (*s == '\0');
}

char *
trimmed(const char *s)
{
	size_t	 len;

	while (isspace((unsigned char)*s))
		s++;
	len = strlen(s);
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	return (len > 0 ? strndup(s, len) : NULL);
}

char *
obj_trimmed(struct json_object *o, const char *key)
{
	const char	*s = get_str(o, key);

	return (s != NULL ? trimmed(s) : NULL);
}

/*
 * What internal hooks there are: handlers in other programs' language, of which
 * this gateway can load none.
 */
static int
hooks_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_agents_1	*agents;
	struct chela_agent_info		 info = { .struct_size = sizeof info };
	const char			*name = get_str(params, "agentId");
	char				 id[CHELA_AGENT_ID_MAX + 1];
	char				 dir[4096];
	struct json_object		*o;

	(void)ctx;
	agents = hooks_service(CHELA_AGENTS_SERVICE);
	if (agents == NULL)
		return (hooks.host->req_fail(req, "UNAVAILABLE",
		    "no plugin knows the agents"));
	if (name != NULL && (agents->normalise(name, id) < 0 ||
	    !agents->exists(id)))
		return (hooks.host->req_fail(req, "INVALID_REQUEST",
		    "unknown agent id \"%.200s\"", name));
	if (agents->info(name != NULL ? id : NULL, &info) < 0)
		return (-ENOENT);
	(void)snprintf(dir, sizeof dir, "%s/hooks", hooks.host->state_dir());
	o = json_object_new_object();
	if (o == NULL || obj_add_str(o, "workspaceDir", info.workspace) < 0 ||
	    obj_add_str(o, "managedHooksDir", dir) < 0 ||
	    obj_add(o, "hooks", json_object_new_array()) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (hooks.host->req_reply(req, o));
}

static int
hooks_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	hooks = (struct hooks){ .ctx = ctx, .host = host };
	hooks.routes = host->svc_import(ctx, CHELA_ROUTES_SERVICE);
	return (0);
}

static int
hooks_start(struct chela_ctx *ctx)
{
	const char	*why = "out of memory";
	int		 r;

	(void)ctx;
	r = auth_start();
	if (r < 0)
		return (r);
	/*
	 * What is wrong is said and nothing is served; the plugin stays, so
	 * that a corrected configuration needs no restart.
	 */
	r = conf_load(&hooks.conf, &why);
	if (r == -EINVAL)
		hooks.host->log(hooks.ctx, CHELA_LOG_ERR,
		    "hooks: not served (%s)", why);
	else if (r < 0)
		return (r);
	ingress_update();
	return (0);
}

static int
hooks_reload(struct chela_ctx *ctx, struct json_object *unused)
{
	struct hooks_conf	 c;
	const char		*why = "out of memory";
	int			 r;

	(void)ctx;
	(void)unused;
	r = conf_load(&c, &why);
	if (r < 0) {
		hooks.host->log(hooks.ctx, CHELA_LOG_ERR, "hooks: %s", why);
		return (r);
	}
	/* What is under way is refused only when its rules have changed. */
	if (!json_object_equal(c.doc, hooks.conf.doc))
		hooks.generation++;
	conf_free(&hooks.conf);
	hooks.conf = c;
	ingress_update();
	return (0);
}

static void
hooks_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	hooks.is_stopping = true;
	ingress_stop();
	runs_stop();
}

static void
hooks_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	conf_free(&hooks.conf);
	auth_stop();
}

static const struct chela_method methods[] = {
	{ .name = "hooks.status", .handler = hooks_status,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
};

static const struct chela_dep deps[] = {
	{ .name = "agents", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "sessions", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "system", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "channels", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "secrets", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "process", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("hooks"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Calls from outside that wake agents and start runs.",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = hooks_init,
	.start = hooks_start,
	.reload = hooks_reload,
	.stop = hooks_stop,
	.fini = hooks_fini,
};
