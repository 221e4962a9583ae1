/* SPDX-License-Identifier: MIT */
/*
 * Plugin system: presence, texts that wait for an agent's next turn,
 * heartbeats, and what machine this is.
 */
#include "system.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct system	 sys;

const char *
sys_str(struct json_object *o, const char *key)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

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

static const void *
service(const char *name)
{
	struct pick	 p = { NULL };

	(void)sys.host->svc_each(sys.ctx, name, pick_first, &p);
	return (p.vtable);
}

static const struct chela_sessions_1 *
sessions_find(void)
{
	return (service(CHELA_SESSIONS_SERVICE));
}

static const struct chela_agent_1 *
agent_find(void)
{
	return (service(CHELA_AGENT_SERVICE));
}

static const struct chela_agents_1 *
agents_find(void)
{
	return (service(CHELA_AGENTS_SERVICE));
}

static const struct chela_models_1 *
models_find(void)
{
	return (service(CHELA_MODELS_SERVICE));
}

int
sys_key(const char *key, const char *agent_id, char ret_key[SYSTEM_KEY_MAX])
{
	const struct chela_sessions_1	*s = sys.sessions();
	int				 n;

	if (s != NULL)
		return (key == NULL || *key == '\0' ?
		    s->main_key(agent_id, ret_key) :
		    s->canonical(key, agent_id, ret_key));
	/* Without the sessions plugin nobody drains; the name is still one. */
	if (key == NULL || *key == '\0' || strcmp(key, "main") == 0)
		n = snprintf(ret_key, SYSTEM_KEY_MAX, "agent:%s:main",
		    agent_id == NULL ? "main" : agent_id);
	else
		n = snprintf(ret_key, SYSTEM_KEY_MAX, "%s", key);
	return (n < 0 || n >= (int)SYSTEM_KEY_MAX ? -ENAMETOOLONG : 0);
}

static int
system_presence(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*list;
	int			 r;

	(void)ctx;
	(void)params;
	r = sys.state->presence_list(&list);
	if (r < 0)
		return (r);
	return (sys.host->req_reply(req, list));
}

static bool
is_blank(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (*s == '\0');
}

static int
system_wake(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*text = sys_str(params, "text");
	const char		*mode = sys_str(params, "mode");
	const char		*key = sys_str(params, "sessionKey");
	struct json_object	*o;
	char			 full[SYSTEM_KEY_MAX];
	bool			 ok = false;
	int			 r;

	(void)ctx;
	if (!is_blank(text)) {
		r = sys_key(key, sys_str(params, "agentId"), full);
		if (r == -ENOENT)
			return (sys.host->req_fail(req, "INVALID_REQUEST",
			    "unknown agent id \"%s\"",
			    sys_str(params, "agentId")));
		if (r < 0)
			return (sys.host->req_fail(req, "INVALID_REQUEST",
			    "invalid sessionKey"));
		r = queue_add(full, text);
		if (r < 0)
			return (sys.host->req_fail(req, "UNAVAILABLE",
			    "too many sessions have events waiting"));
		ok = true;
		/* A session that is named does not wait for the clock. */
		if (strcmp(mode, "now") == 0 || key != NULL)
			beat_request(full);
	}
	o = json_object_new_object();
	if (o == NULL || json_add(o, "ok", json_object_new_boolean(ok)) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (sys.host->req_reply(req, o));
}

static int
system_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	sys = (struct system){ .ctx = ctx, .host = host,
		.sessions = sessions_find, .agent = agent_find,
		.agents = agents_find, .models = models_find };
	sys.state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	if (sys.state == NULL)
		return (-ENOSYS);
	return (host->svc_export(ctx, CHELA_SYSTEM_SERVICE, &system_service));
}

static int
system_start(struct chela_ctx *ctx)
{
	int	 r;

	(void)ctx;
	r = beat_start();
	return (r < 0 ? r : note_start());
}

static int
system_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	(void)ctx;
	(void)conf;
	beat_reload();
	return (0);
}

static void
system_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	note_stop();
	beat_stop();
}

static void
system_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	queue_clear();
}

static const struct chela_method methods[] = {
	{ .name = "system-presence", .handler = system_presence,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "system-event", .handler = system_event,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
	{ .name = "last-heartbeat", .handler = last_heartbeat,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "set-heartbeats", .handler = set_heartbeats,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
	{ .name = "wake", .handler = system_wake,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write" },
	{ .name = "system.info", .handler = system_info,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
};

static const struct chela_event events[] = {
	{ .name = "heartbeat", .flags = CHELA_EVENT_DROPPABLE },
};

static const struct chela_dep deps[] = {
	{ .name = "sessions", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agents", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "models", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("system"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Presence, events for agents, heartbeats, the machine",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = system_init,
	.start = system_start,
	.reload = system_reload,
	.stop = system_stop,
	.fini = system_fini,
};
