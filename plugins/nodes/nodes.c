/* SPDX-License-Identifier: MIT */
/*
 * Group nodes: machines that lend their commands to the gateway. Who a node is
 * and whether it may connect is the core's business (device pairing); what it
 * may offer and what it is asked to do is here.
 */
#include "nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <chela/services/audit.h>

struct nodes	 nodes;

const char *
nodes_str(struct json_object *o, const char *key)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

int64_t
nodes_int(struct json_object *o, const char *key, int64_t no)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &v) ||
	    (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double)))
		return (no);
	return (json_object_get_int64(v));
}

void
nodes_add(struct json_object *o, const char *key, struct json_object *v)
{
	if (v != NULL && (o == NULL || json_object_object_add(o, key, v) < 0))
		json_object_put(v);
}

void
nodes_add_str(struct json_object *o, const char *key, const char *s)
{
	if (s != NULL && *s != '\0')
		nodes_add(o, key, json_object_new_string(s));
}

void
nodes_add_ms(struct json_object *o, const char *key, uint64_t ms)
{
	if (ms != 0)
		nodes_add(o, key, json_object_new_int64((int64_t)ms));
}

static int
pick_first(const char *plugin, const void *vtable, void *arg)
{
	(void)plugin;
	*(const void **)arg = vtable;
	return (1);
}

const void *
nodes_service_of(const char *name)
{
	const void	*vtable = NULL;

	(void)nodes.host->svc_each(nodes.ctx, name, pick_first, &vtable);
	return (vtable);
}

int
nodes_no_scope(struct chela_req *req, const char *scope)
{
	struct chela_conn	*conn = nodes.host->req_conn(req);
	struct json_object	*mine = NULL, *list = json_object_new_array();
	struct chela_error	 extra = { .struct_size = sizeof extra };
	const char		*first;
	char			 name[64];
	bool			 has_prefix = false;

	/* Named as this client names them. */
	if (conn != NULL && nodes.host->conn_scopes(conn, &mine) == 0 &&
	    json_object_array_length(mine) > 0) {
		first = json_object_get_string(json_object_array_get_idx(mine,
		    0));
		has_prefix = strncmp(first, "operator.", 9) == 0;
	}
	json_object_put(mine);
	(void)snprintf(name, sizeof name, "%s%s", has_prefix ? "operator." : "",
	    scope);
	extra.details = json_object_new_object();
	nodes_add_str(extra.details, "code", "MISSING_SCOPE");
	nodes_add_str(extra.details, "missingScope", name);
	(void)json_object_array_add(list, json_object_new_string(name));
	nodes_add(extra.details, "requiredScopes", list);
	return (nodes.host->req_fail_with(req, "FORBIDDEN", &extra,
	    "missing scope: %s", name));
}

void
nodes_audit(struct chela_req *req, const char *action, const char *node_id,
    bool is_done)
{
	const struct chela_audit_1	*svc;
	struct chela_conn		*conn = nodes.host->req_conn(req);
	struct chela_conn_info		 info = { .struct_size = sizeof info };
	struct chela_audit_security	 s = {
		.struct_size = sizeof s,
		.action = action,
		.status = is_done ? "succeeded" : "blocked",
		.detail = node_id,
	};

	svc = nodes_service_of(CHELA_AUDIT_SERVICE);
	if (svc == NULL || conn == NULL ||
	    nodes.host->conn_info(conn, &info) < 0)
		return;
	s.actor_type = *info.device_id != '\0' ? "device" : "client";
	s.actor_id = *info.device_id != '\0' ? info.device_id : info.client_id;
	(void)svc->security(nodes.ctx, &s);
}

int
nodes_changed(struct chela_req *req, const char *message)
{
	struct chela_error	 extra = { .struct_size = sizeof extra,
	    .retryable = 1 };

	extra.details = json_object_new_object();
	nodes_add_str(extra.details, "code", "PAIRING_CHANGED");
	return (nodes.host->req_fail_with(req, "UNAVAILABLE", &extra, "%s",
	    message));
}

int
nodes_failed(struct chela_req *req, int r, const char *unknown)
{
	switch (r) {
	case -ENOENT:
		return (nodes.host->req_fail(req, "INVALID_REQUEST", "%s",
		    unknown));
	case -EINVAL:
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "the arguments make no sense together"));
	case -EACCES:
		return (nodes.host->req_fail(req, "FORBIDDEN",
		    "this is not yours to change"));
	case -EDQUOT:
		return (nodes.host->req_fail(req, "UNAVAILABLE",
		    "too many are kept already"));
	default:
		return (nodes.host->req_fail(req, "UNAVAILABLE",
		    "it could not be stored"));
	}
}

int
nodes_tell(const struct node *n, const char *event, struct json_object *payload)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };

	opt.only = n->conn;
	return (nodes.host->emit(nodes.ctx, event, payload, &opt));
}

/* --- life --- */

static void
on_access(struct chela_ctx *ctx, const struct chela_access_event *ev, void *arg)
{
	struct node	*n;

	(void)ctx;
	(void)arg;
	switch (ev->what) {
	case CHELA_ACCESS_NODE_OPEN:
		node_opened(ev->device_id, ev->conn);
		break;
	case CHELA_ACCESS_NODE_CLOSE:
		node_closed(ev->device_id, ev->conn);
		break;
	case CHELA_ACCESS_CHANGED:
		n = node_find(ev->device_id);
		if (n == NULL)
			break;
		if (n->conn == NULL && nodes.access->generation(n->id) == 0)
			node_drop(n);
		else
			node_fit(n);
		break;
	default:
		break;
	}
}

static int
nodes_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	nodes.ctx = ctx;
	nodes.host = host;
	nodes.access = host->svc_import(ctx, CHELA_ACCESS_SERVICE);
	if (nodes.access == NULL) {
		host->log(ctx, CHELA_LOG_ERR,
		    "nodes: the gateway knows no devices");
		return (-ENOSYS);
	}
	return (host->svc_export(ctx, CHELA_NODES_SERVICE, &nodes_service));
}

/* Those that were there before this plugin was. */
static void
take_in(void)
{
	struct json_object	*all, *paired;
	struct chela_conn	*conn;
	const char		*id;
	size_t			 i;

	if (nodes.access->list(NULL, &all) < 0)
		return;
	if (json_object_object_get_ex(all, "paired", &paired)) {
		for (i = 0; i < json_object_array_length(paired); i++) {
			id = nodes_str(json_object_array_get_idx(paired, i),
			    "deviceId");
			conn = id == NULL ? NULL :
			    nodes.access->conn_of(id, CHELA_ROLE_NODE);
			if (conn != NULL)
				node_opened(id, conn);
		}
	}
	json_object_put(all);
}

static int
nodes_start(struct chela_ctx *ctx)
{
	int	 r;

	r = nodes.access->on_event(ctx, on_access, NULL);
	if (r == 0)
		take_in();
	return (r);
}

/* What platforms may offer may be another list now. */
static int
nodes_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	size_t	 i;

	(void)ctx;
	(void)conf;
	for (i = 0; i < nodes.n; i++)
		node_reread(nodes.all[i]);
	return (0);
}

/* Callers hear of it while they are still there. */
static void
nodes_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	runs_clear();
	calls_clear();
}

static void
nodes_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	calls_clear();
	pair_clear();
	nodes_clear();
}

#define OPERATOR(n, fn, s) \
	{ .name = (n), .handler = (fn), .roles = CHELA_ROLE_OPERATOR, \
	    .scope = (s) }
#define NODE(n, fn) \
	{ .name = (n), .handler = (fn), .roles = CHELA_ROLE_NODE }

static const struct chela_method methods[] = {
	OPERATOR("node.list", list_all, "read"),
	OPERATOR("node.describe", list_describe, "read"),
	OPERATOR("node.rename", list_rename, "pairing"),
	{
		.name = "node.invoke",
		.handler = call_invoke,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
		.dynamic_scope = call_scope,
	},
	OPERATOR("node.pair.list", pair_list, "pairing"),
	OPERATOR("node.pair.approve", pair_approve, "pairing"),
	OPERATOR("node.pair.reject", pair_reject, "pairing"),
	OPERATOR("node.pair.remove", pair_remove, "pairing"),
	OPERATOR("node.pending.enqueue", queue_enqueue, "write"),
	NODE("node.invoke.result", call_result),
	NODE("node.invoke.progress", call_progress),
	NODE("node.event", event_take),
	NODE("node.pending.drain", queue_drain),
	NODE("node.pending.pull", queue_pull),
	NODE("node.pending.ack", queue_ack),
	NODE("node.pluginTools.update", event_tools),
	NODE("node.pluginSurface.refresh", event_surface),
	NODE("node.skills.update", event_skills),
	NODE("node.runnerInventory.update", event_runner),
};

#define NODE_EVENT(n) \
	{ .name = (n), .roles = CHELA_ROLE_NODE, \
	    .flags = CHELA_EVENT_NODE_DIRECT }

static const struct chela_event events[] = {
	{
		.name = "node.pair.requested",
		.scope = "pairing",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		/* Also to the node that it is about. */
		.name = "node.pair.resolved",
		.scope = "pairing",
		.roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE,
		.flags = CHELA_EVENT_DROPPABLE | CHELA_EVENT_NODE_DIRECT,
	},
	{
		.name = "node.presence",
		.scope = "read",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "node.hostStats",
		.scope = "read",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	{
		.name = "node.runnerInventory.changed",
		.scope = "read",
		.flags = CHELA_EVENT_DROPPABLE,
	},
	NODE_EVENT("node.invoke.request"),
	NODE_EVENT("node.invoke.cancel"),
	NODE_EVENT("node.invoke.input"),
};

CHELA_PLUGIN = {
	CHELA_HEAD("nodes"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Machines that lend their commands to the gateway",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = nodes_init,
	.start = nodes_start,
	.reload = nodes_reload,
	.stop = nodes_stop,
	.fini = nodes_fini,
};
