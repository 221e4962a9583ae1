/* SPDX-License-Identifier: MIT */
/*
 * Plugin gateway: who the gateway is, its restart, and its suspension. What is
 * under way is asked of the core (calls) and of plugin agent (runs).
 */
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <chela/services/sessions.h>

struct gateway	 gw;

int
gw_reply(struct chela_req *req, struct json_object *o, int r)
{
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	(void)gw.host->req_reply(req, o);
	return (0);
}

static int
count_request(struct chela_req *req, void *arg)
{
	static const char	 own[] = "gateway.";
	struct work		*w = arg;
	const char		*name = gw.host->req_method(req);

	/* Whoever asks about the work is not part of it. */
	if (strncmp(name, own, sizeof own - 1) == 0)
		return (0);
	w->n_requests++;
	if (w->n_names < GW_NAMES_MAX)
		w->names[w->n_names++] = name;
	return (0);
}

static int
count_run(const struct chela_agent_run *run, void *arg)
{
	struct work	*w = arg;

	if (run->started_at_ms != 0)
		w->n_running++;
	else
		w->n_waiting++;
	return (0);
}

void
work_look(struct work *ret)
{
	const struct chela_agent_1	*agent;

	memset(ret, 0, sizeof *ret);
	(void)gw.life->each_request(count_request, ret);
	agent = gw.host->svc_import(gw.ctx, CHELA_AGENT_SERVICE);
	if (agent != NULL)
		(void)agent->each(NULL, count_run, ret);
}

uint32_t
work_total(const struct work *w)
{
	return (w->n_requests + w->n_running + w->n_waiting);
}

static int
add_blocker(struct json_object *list, const char *kind, uint32_t n,
    const char *message)
{
	struct json_object	*o;

	if (n == 0)
		return (0);
	o = json_object_new_object();
	if (o == NULL)
		return (-ENOMEM);
	if (json_add_str(o, "kind", kind) < 0 ||
	    json_add_int(o, "count", n) < 0 ||
	    json_add_str(o, "message", message) < 0 ||
	    json_object_array_add(list, o) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (0);
}

struct json_object *
work_blockers(const struct work *w)
{
	struct json_object	*list = json_object_new_array();
	char			 text[512];
	size_t			 len;
	uint32_t		 i;
	int			 r;

	if (list == NULL)
		return (NULL);
	(void)snprintf(text, sizeof text, "%u run(s) wait in a queue",
	    w->n_waiting);
	r = add_blocker(list, "queue", w->n_waiting, text);
	(void)snprintf(text, sizeof text, "%u agent run(s) under way",
	    w->n_running);
	if (r == 0)
		r = add_blocker(list, "embedded-run", w->n_running, text);
	len = (size_t)snprintf(text, sizeof text, "%u open call(s):",
	    w->n_requests);
	for (i = 0; i < w->n_names && len < sizeof text; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%s %s",
		    i == 0 ? "" : ",", w->names[i]);
	if (r == 0)
		r = add_blocker(list, "root-request", w->n_requests, text);
	if (r < 0) {
		json_object_put(list);
		return (NULL);
	}
	return (list);
}

static int
identity_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o;
	int			 r;

	(void)ctx;
	(void)params;
	if (gw.life->device_id() == NULL || gw.life->public_key() == NULL)
		return (gw.host->req_fail(req, "UNAVAILABLE",
		    "the gateway has no identity"));
	o = json_object_new_object();
	if (o == NULL)
		return (-ENOMEM);
	r = json_add_str(o, "deviceId", gw.life->device_id());
	if (r == 0)
		r = json_add_str(o, "publicKey", gw.life->public_key());
	return (gw_reply(req, o, r));
}

static int
gateway_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&gw, 0, sizeof gw);
	gw.ctx = ctx;
	gw.host = host;
	gw.life = host->svc_import(ctx, CHELA_LIFECYCLE_SERVICE);
	gw.state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	return (gw.life == NULL || gw.state == NULL ? -ENOSYS : 0);
}

static int
gateway_start(struct chela_ctx *ctx)
{
	int	 r;

	(void)ctx;
	r = restart_start();
	return (r < 0 ? r : suspend_start());
}

static void
gateway_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	suspend_stop();
	restart_stop();
}

static const struct chela_method methods[] = {
	{ .name = "gateway.identity.get", .handler = identity_get,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "gateway.restart.preflight", .handler = restart_preflight,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "gateway.restart.request", .handler = restart_request,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "gateway.suspend.prepare", .handler = suspend_prepare,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "gateway.suspend.status", .handler = suspend_status,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "gateway.suspend.handoff", .handler = suspend_handoff,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "gateway.suspend.resume", .handler = suspend_resume,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
};

static const struct chela_event events[] = {
	{ .name = "gateway.suspension",
	    .roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE },
};

static const struct chela_dep deps[] = {
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("gateway"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Identity, restart and suspension of the gateway",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = gateway_init,
	.start = gateway_start,
	.stop = gateway_stop,
};
