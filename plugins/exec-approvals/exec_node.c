/* SPDX-License-Identifier: MIT */
/* A node's own policy: fetched from the node, and handed to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/nodes.h>

#include "exec_priv.h"

#define NODE_TIMEOUT_MS	20000u

static int
on_service(const char *plugin, const void *vtable, void *arg)
{
	(void)plugin;
	*(const struct chela_nodes_1 **)arg = vtable;
	return (1);
}

static void
node_failed(struct chela_req *req, const char *code, const char *message)
{
	struct chela_error	 e = { .struct_size = sizeof e };
	struct json_object	*n = json_object_new_object();

	set_str(n, "code", code);
	set_str(n, "message", message);
	e.details = json_object_new_object();
	json_object_object_add(e.details, "nodeError", n);
	(void)ex.host->req_fail_with(req, ERR_DOWN, &e, "%s: %s", code, message);
}

static void
on_result(const struct chela_node_result *res, void *arg)
{
	struct chela_req	*req = arg;

	if (res->code != NULL)
		node_failed(req, res->code, res->message);
	else if (!json_object_is_type(res->payload, json_type_object))
		node_failed(req, "INVALID_RESPONSE",
		    "the node did not answer with an object");
	else
		(void)ex.host->req_reply(req, json_object_get(res->payload));
	ex.host->req_unref(req);
}

static int
node_call(struct chela_req *req, struct json_object *params,
    const char *command, struct json_object *args)
{
	const struct chela_nodes_1 *nodes = NULL;
	struct chela_node_call	 call = { .struct_size = sizeof call };
	int			 r;

	/*
	 * Looked up at each call: plugin nodes asks this one for approvals, so
	 * it cannot be a dependency as well.
	 */
	(void)ex.host->svc_each(ex.ctx, CHELA_NODES_SERVICE, on_service,
	    &nodes);
	if (nodes == NULL) {
		node_failed(req, "NOT_CONNECTED", "node not connected");
		return (0);
	}
	call.node_id = get_str(params, "nodeId");
	call.command = command;
	call.params = args;
	call.timeout_ms = NODE_TIMEOUT_MS;
	call.done = on_result;
	call.arg = ex.host->req_ref(req);
	r = nodes->invoke(&call, NULL);
	if (r >= 0)
		return (0);
	ex.host->req_unref(req);
	if (r == -ENOENT)
		return (ex.host->req_fail(req, ERR_BAD, "unknown nodeId"));
	if (r == -EPERM)
		return (ex.host->req_fail(req, ERR_BAD,
		    "node command not allowed: %s", command));
	node_failed(req, r == -ENOTCONN ? "NOT_CONNECTED" : "UNAVAILABLE",
	    r == -ENOTCONN ? "node not connected" :
	    "the node could not be asked");
	return (0);
}

int
node_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*args = json_object_new_object();
	int			 r;

	(void)ctx;
	r = node_call(req, params, "system.execApprovals.get", args);
	json_object_put(args);
	return (r);
}

int
node_set(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const names[] = { "file", "native", "baseHash" };
	struct json_object	*args = json_object_new_object();
	size_t			 i;
	int			 r;

	(void)ctx;
	for (i = 0; i < 3; i++) {
		if (get_any(params, names[i]) != NULL)
			json_object_object_add(args, names[i],
			    json_object_get(get_any(params, names[i])));
	}
	r = node_call(req, params, "system.execApprovals.set", args);
	json_object_put(args);
	return (r);
}
