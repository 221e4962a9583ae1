/* SPDX-License-Identifier: MIT */
/* node.list, node.describe, node.rename: rows of what is known. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nodes.h"

static struct json_object *
member(struct json_object *o, const char *key)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(o, key, &v);
	return (v);
}

/* The first of these that says something. */
static void
add_first(struct json_object *o, const char *key, const char *a,
    const char *b, const char *c)
{
	nodes_add_str(o, key, a != NULL && *a != '\0' ? a :
	    b != NULL && *b != '\0' ? b : c);
}

static struct json_object *
array_of(struct json_object *v)
{
	return (v != NULL ? json_object_get(v) : json_object_new_array());
}

static void
row_live(struct json_object *o, struct node *n)
{
	nodes_add_str(o, "pathEnv", nodes_str(n->claims, "pathEnv"));
	nodes_add_ms(o, "connectedAtMs", n->connected_ms);
	nodes_add_ms(o, "lastActiveAtMs", n->active_ms);
	nodes_add_ms(o, "presenceUpdatedAtMs", n->presence_ms);
	nodes_add(o, "nodePluginTools", array_of(n->tools));
}

static void
row_pending(struct json_object *o, struct json_object *approved,
    struct json_object *pending)
{
	static const char *const parts[][2] = {
		{ "caps", "pendingDeclaredCaps" },
		{ "commands", "pendingDeclaredCommands" },
		{ "permissions", "pendingDeclaredPermissions" },
	};
	size_t	 i;

	nodes_add_str(o, "approvalState", pending != NULL ?
	    (approved != NULL ? "pending-reapproval" : "pending-approval") :
	    approved != NULL ? "approved" : "unapproved");
	if (pending == NULL)
		return;
	nodes_add_str(o, "pendingRequestId", nodes_str(pending, "requestId"));
	for (i = 0; i < sizeof parts / sizeof parts[0]; i++)
		nodes_add(o, parts[i][1],
		    json_object_get(member(pending, parts[i][0])));
}

/* n NULL: not connected since the start; device NULL: not paired. */
struct json_object *
list_row(const char *id, struct node *n, struct json_object *device)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct json_object	*o = json_object_new_object();
	struct json_object	*approved = NULL, *pending = NULL, *live, *said;
	bool			 is_live;
	int64_t			 seen;

	is_live = n != NULL && n->conn != NULL &&
	    nodes.host->conn_info(n->conn, &info) == 0;
	live = is_live ? n->claims : NULL;
	(void)nodes.access->surface_get(id, &approved, &pending);
	said = approved != NULL ? approved : pending;
	nodes_add_str(o, "nodeId", id);
	add_first(o, "displayName", nodes_str(device, "operatorLabel"),
	    is_live ? info.display_name : NULL,
	    nodes_str(device, "displayName"));
	add_first(o, "platform", is_live ? info.platform : NULL,
	    nodes_str(device, "platform"), nodes_str(said, "platform"));
	add_first(o, "version", is_live ? info.version : NULL,
	    nodes_str(said, "version"), NULL);
	add_first(o, "deviceFamily", nodes_str(live, "deviceFamily"),
	    nodes_str(device, "deviceFamily"), NULL);
	add_first(o, "modelIdentifier", nodes_str(live, "modelIdentifier"),
	    nodes_str(said, "modelIdentifier"), NULL);
	add_first(o, "clientId", is_live ? info.client_id : NULL,
	    nodes_str(device, "clientId"), NULL);
	add_first(o, "clientMode", is_live ? info.client_mode : NULL,
	    nodes_str(device, "clientMode"), NULL);
	add_first(o, "remoteIp", is_live ? info.remote : NULL,
	    nodes_str(device, "remoteIp"), NULL);
	nodes_add(o, "caps", array_of(is_live ? n->caps :
	    member(approved, "caps")));
	nodes_add(o, "commands", array_of(is_live ? n->commands :
	    member(approved, "commands")));
	nodes_add(o, "permissions", json_object_get(is_live ? n->permissions :
	    member(approved, "permissions")));
	if (n != NULL && n->stats != NULL)
		nodes_add(o, "hostStats", json_object_get(n->stats));
	if (is_live)
		row_live(o, n);
	row_pending(o, approved, pending);
	seen = nodes_int(device, "lastSeenAtMs", 0);
	if (n != NULL && (int64_t)n->seen_ms > seen) {
		nodes_add_ms(o, "lastSeenAtMs", n->seen_ms);
		nodes_add_str(o, "lastSeenReason", n->seen_reason);
	} else if (seen > 0) {
		nodes_add_ms(o, "lastSeenAtMs", (uint64_t)seen);
		nodes_add_str(o, "lastSeenReason", nodes_str(device,
		    "lastSeenReason"));
	}
	if (n != NULL)
		nodes_add_ms(o, "lastConnectedAtMs", n->connected_ms);
	nodes_add_ms(o, "approvedAtMs", (uint64_t)nodes_int(approved,
	    "approvedAtMs", nodes_int(device, "approvedAtMs", 0)));
	nodes_add(o, "paired", json_object_new_boolean(device != NULL));
	nodes_add(o, "connected", json_object_new_boolean(is_live));
	return (o);
}

static bool
is_node(struct json_object *device)
{
	struct json_object	*roles = member(device, "roles");
	size_t			 i;

	for (i = 0; roles != NULL && i < json_object_array_length(roles); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    roles, i)), "node") == 0)
			return (true);
	}
	return (roles == NULL);
}

/* Connected ones first, then by name, then by id. */
static int
row_cmp(const void *a, const void *b)
{
	struct json_object	*x = *(struct json_object *const *)a;
	struct json_object	*y = *(struct json_object *const *)b;
	const char		*p, *q;
	int			 c;

	c = (int)json_object_get_boolean(member(y, "connected")) -
	    (int)json_object_get_boolean(member(x, "connected"));
	if (c != 0)
		return (c);
	p = nodes_str(x, "displayName");
	q = nodes_str(y, "displayName");
	c = strcasecmp(p != NULL ? p : nodes_str(x, "nodeId"),
	    q != NULL ? q : nodes_str(y, "nodeId"));
	return (c != 0 ? c : strcmp(nodes_str(x, "nodeId"),
	    nodes_str(y, "nodeId")));
}

int
list_all(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o, *rows, *all, *paired, *d;
	const char		*id;
	size_t			 i;
	int			 r;

	(void)ctx;
	(void)params;
	r = nodes.access->list(NULL, &all);
	if (r < 0)
		return (nodes_failed(req, r, "unknown nodeId"));
	rows = json_object_new_array();
	paired = member(all, "paired");
	for (i = 0; paired != NULL && i < json_object_array_length(paired);
	    i++) {
		d = json_object_array_get_idx(paired, i);
		id = nodes_str(d, "deviceId");
		if (id != NULL && is_node(d))
			(void)json_object_array_add(rows, list_row(id,
			    node_find(id), d));
	}
	/* Connected and not paired: a moment of a removal. */
	for (i = 0; i < nodes.n; i++) {
		if (nodes.all[i]->conn != NULL &&
		    nodes.access->device(nodes.all[i]->id, &d) < 0)
			(void)json_object_array_add(rows, list_row(
			    nodes.all[i]->id, nodes.all[i], NULL));
		else if (nodes.all[i]->conn != NULL)
			json_object_put(d);
	}
	json_object_put(all);
	json_object_array_sort(rows, row_cmp);
	o = json_object_new_object();
	nodes_add_ms(o, "ts", nodes.host->wall_ms());
	nodes_add(o, "nodes", rows);
	return (nodes.host->req_reply(req, o));
}

int
list_describe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = nodes_str(params, "nodeId");
	struct json_object	*device = NULL, *o;
	struct node		*n = node_find(id);

	(void)ctx;
	if (nodes.access->device(id, &device) < 0)
		device = NULL;
	if ((device == NULL || !is_node(device)) &&
	    (n == NULL || n->conn == NULL)) {
		json_object_put(device);
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "unknown nodeId"));
	}
	o = list_row(id, n, device);
	nodes_add_ms(o, "ts", nodes.host->wall_ms());
	json_object_put(device);
	return (nodes.host->req_reply(req, o));
}

/* --- rename --- */

struct renaming {
	struct chela_req	*req;
	struct json_object	*answer;
};

static void
on_renamed(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct renaming	*w = arg;

	(void)ctx;
	(void)result;
	if (r < 0)
		(void)nodes_failed(w->req, r, "unknown nodeId");
	else
		(void)nodes.host->req_reply(w->req, json_object_get(w->answer));
	nodes.host->req_unref(w->req);
	json_object_put(w->answer);
	free(w);
}

int
list_rename(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*id = nodes_str(params, "nodeId");
	const char	*name = nodes_str(params, "displayName");
	struct renaming	*w;
	size_t		 len;
	char		*trimmed;
	int		 r;

	name += strspn(name, " \t\r\n");
	len = strlen(name);
	while (len > 0 && strchr(" \t\r\n", name[len - 1]) != NULL)
		len--;
	if (len == 0)
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "displayName required"));
	trimmed = strndup(name, len);
	w = calloc(1, sizeof *w);
	if (trimmed == NULL || w == NULL) {
		free(trimmed);
		free(w);
		return (-ENOMEM);
	}
	w->answer = json_object_new_object();
	nodes_add_str(w->answer, "nodeId", id);
	nodes_add_str(w->answer, "displayName", trimmed);
	w->req = nodes.host->req_ref(req);
	r = nodes.access->rename(ctx, nodes.host->req_conn(req), id, trimmed,
	    on_renamed, w);
	free(trimmed);
	if (r < 0)
		on_renamed(ctx, r, NULL, w);
	return (0);
}
