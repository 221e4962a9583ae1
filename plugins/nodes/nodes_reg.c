/* SPDX-License-Identifier: MIT */
/* Which nodes there are, and what each may offer now. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nodes.h"

static size_t
node_at(const char *id, bool *ret_is_there)
{
	size_t	 lo = 0, hi = nodes.n, mid;
	int	 c;

	*ret_is_there = false;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(id, nodes.all[mid]->id);
		if (c == 0) {
			*ret_is_there = true;
			return (mid);
		}
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (lo);
}

struct node *
node_find(const char *id)
{
	bool	 is_there;
	size_t	 i = node_at(id, &is_there);

	return (is_there ? nodes.all[i] : NULL);
}

struct node *
node_get(const char *id)
{
	struct node	*n, **more;
	bool		 is_there;
	size_t		 i = node_at(id, &is_there), cap;

	if (is_there)
		return (nodes.all[i]);
	if (nodes.n == NODES_MAX)
		return (NULL);
	if (nodes.n == nodes.cap) {
		cap = nodes.cap == 0 ? 16 : nodes.cap * 2;
		more = reallocarray(nodes.all, cap, sizeof *more);
		if (more == NULL)
			return (NULL);
		nodes.all = more;
		nodes.cap = cap;
	}
	n = calloc(1, sizeof *n);
	if (n == NULL)
		return (NULL);
	n->id = strdup(id);
	if (n->id == NULL) {
		free(n);
		return (NULL);
	}
	memmove(&nodes.all[i + 1], &nodes.all[i],
	    (nodes.n - i) * sizeof nodes.all[0]);
	nodes.all[i] = n;
	nodes.n++;
	return (n);
}

static void
drop(struct json_object **o)
{
	json_object_put(*o);
	*o = NULL;
}

/* All that a connection brought. */
static void
node_empty(struct node *n)
{
	n->conn = NULL;
	n->claims = NULL;
	drop(&n->declared_caps);
	drop(&n->declared_commands);
	drop(&n->declared_permissions);
	drop(&n->caps);
	drop(&n->commands);
	drop(&n->permissions);
	drop(&n->tools);
	drop(&n->skills);
	nodes.catalogue_bytes -= n->tools_bytes + n->skills_bytes;
	n->tools_bytes = n->skills_bytes = 0;
	drop(&n->runner);
	n->active_ms = n->presence_ms = 0;
}

void
node_drop(struct node *n)
{
	bool	 is_there;
	size_t	 i = node_at(n->id, &is_there);

	node_empty(n);
	calls_of_node_gone(n);
	memmove(&nodes.all[i], &nodes.all[i + 1],
	    (nodes.n - i - 1) * sizeof nodes.all[0]);
	nodes.n--;
	drop(&n->stats);
	queue_free(n);
	free(n->id);
	free(n);
}

void
nodes_clear(void)
{
	while (nodes.n > 0)
		node_drop(nodes.all[nodes.n - 1]);
	free(nodes.all);
	nodes.all = NULL;
	nodes.cap = 0;
}

bool
node_has_command(const struct node *n, const char *command)
{
	return (set_has(n->commands, command));
}

/* Only true ones count; a permission that is not given needs no approval. */
static struct json_object *
permissions_meet(struct json_object *said, struct json_object *approved)
{
	struct json_object	*o = json_object_new_object(), *v;

	if (o == NULL || said == NULL)
		return (o);
	json_object_object_foreach(said, name, value) {
		if (!json_object_get_boolean(value) ||
		    (json_object_object_get_ex(approved, name, &v) &&
		    json_object_get_boolean(v)))
			nodes_add(o, name, json_object_get(value));
	}
	return (o);
}

void
node_fit(struct node *n)
{
	struct json_object	*approved = NULL, *pending = NULL;
	struct json_object	*caps = NULL, *commands = NULL, *perms = NULL;

	if (n->conn == NULL)
		return;
	drop(&n->caps);
	drop(&n->commands);
	drop(&n->permissions);
	if (nodes.access->surface_get(n->id, &approved, &pending) == 0 &&
	    approved != NULL) {
		(void)json_object_object_get_ex(approved, "caps", &caps);
		(void)json_object_object_get_ex(approved, "commands",
		    &commands);
		(void)json_object_object_get_ex(approved, "permissions",
		    &perms);
	}
	n->caps = set_meet(n->declared_caps, caps);
	n->commands = set_meet(n->declared_commands, commands);
	if (approved != NULL)
		n->permissions = permissions_meet(n->declared_permissions,
		    perms);
}

/* The commands that its platform may offer; the rest was never said. */
static struct json_object *
commands_allowed(struct node *n)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct json_object	*said = NULL, *all, *some, *v;
	struct policy		 p;
	const char		*family;
	size_t			 i;

	(void)json_object_object_get_ex(n->claims, "commands", &said);
	all = set_new(said, NODES_COMMANDS_MAX);
	some = json_object_new_array();
	if (all == NULL || some == NULL ||
	    nodes.host->conn_info(n->conn, &info) < 0) {
		json_object_put(all);
		return (some);
	}
	family = nodes_str(n->claims, "deviceFamily");
	for (i = 0; i < json_object_array_length(all); i++) {
		v = json_object_array_get_idx(all, i);
		if (policy_allows(info.platform, family != NULL ? family : "",
		    json_object_get_string(v), &p))
			(void)json_object_array_add(some, json_object_get(v));
	}
	json_object_put(all);
	return (some);
}

static struct json_object *
permissions_read(struct node *n)
{
	struct json_object	*said = NULL, *o = json_object_new_object();
	size_t			 left = NODES_PERMISSIONS_MAX;

	(void)json_object_object_get_ex(n->claims, "permissions", &said);
	if (o == NULL || !json_object_is_type(said, json_type_object))
		return (o);
	json_object_object_foreach(said, name, value) {
		if (left == 0 || strlen(name) > NODES_NAME_MAX ||
		    !json_object_is_type(value, json_type_boolean))
			continue;
		nodes_add(o, name, json_object_get(value));
		left--;
	}
	return (o);
}

/* What the connection declares, as the configuration has it now. */
static void
node_read(struct node *n)
{
	struct json_object	*caps = NULL;

	drop(&n->declared_caps);
	drop(&n->declared_commands);
	drop(&n->declared_permissions);
	(void)json_object_object_get_ex(n->claims, "caps", &caps);
	n->declared_caps = set_new(caps, NODES_CAPS_MAX);
	n->declared_commands = commands_allowed(n);
	n->declared_permissions = permissions_read(n);
}

void
node_reread(struct node *n)
{
	if (n->conn == NULL)
		return;
	node_read(n);
	node_fit(n);
	pair_check(n);
}

/*
 * One live entry for a node: the newest connection. What the one before was
 * asked fails now, and nothing that it says later is heard.
 */
void
node_opened(const char *id, struct chela_conn *conn)
{
	struct node		*n;
	struct json_object	*claims;

	if (nodes.access->claims(conn, &claims) < 0)
		return;
	n = node_get(id);
	if (n == NULL) {
		nodes.host->log(nodes.ctx, CHELA_LOG_WARNING,
		    "node '%s': not taken in (too many)", id);
		return;
	}
	if (n->conn != NULL) {
		node_empty(n);
		calls_of_node_gone(n);
	}
	n->conn = conn;
	n->claims = claims;
	n->connected_ms = n->seen_ms = nodes.host->wall_ms();
	n->seen_reason = "connect";
	node_read(n);
	node_fit(n);
	pair_check(n);
}

void
node_closed(const char *id, struct chela_conn *conn)
{
	struct node	*n = node_find(id);

	/* The end of an older connection says nothing of the node. */
	if (n == NULL || n->conn != conn)
		return;
	n->seen_ms = nodes.host->wall_ms();
	n->seen_reason = "disconnect";
	node_empty(n);
	calls_of_node_gone(n);
	if (nodes.access->generation(id) == 0)
		node_drop(n);
}

struct node *
node_of(struct chela_req *req)
{
	struct chela_conn	*conn = nodes.host->req_conn(req);
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct node		*n = NULL;

	if (conn != NULL && nodes.host->conn_info(conn, &info) == 0 &&
	    *info.device_id != '\0')
		n = node_find(info.device_id);
	if (n != NULL && n->conn == conn)
		return (n);
	(void)nodes_changed(req,
	    "this connection is not the node's current one");
	return (NULL);
}

struct node *
node_approved(struct chela_req *req)
{
	struct json_object	*approved = NULL, *pending = NULL;
	struct node		*n = node_of(req);

	if (n == NULL)
		return (NULL);
	if (nodes.access->surface_get(n->id, &approved, &pending) == 0 &&
	    approved != NULL)
		return (n);
	(void)nodes_changed(req,
	    "node capability surface is awaiting operator approval");
	return (NULL);
}
