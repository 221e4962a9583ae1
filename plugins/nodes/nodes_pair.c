/* SPDX-License-Identifier: MIT */
/*
 * The second step of pairing: an operator looks at what a node offers and says
 * yes. What waits and what was approved is kept with the device's record.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nodes.h"

/* An answer of an operator on its way to the disk. */
struct decision {
	struct decision		*next;
	struct chela_req	*req;		/* NULL: nobody waits */
	char			*request_id;
	char			*node_id;
	const char		*what;		/* "approved"; static */
};

static struct decision	*decisions;

static struct decision *
decision_new(struct chela_req *req, const char *request_id,
    const char *node_id, const char *what)
{
	struct decision	*d = calloc(1, sizeof *d);

	if (d == NULL)
		return (NULL);
	d->request_id = strdup(request_id);
	d->node_id = strdup(node_id);
	d->what = what;
	if (d->request_id == NULL || d->node_id == NULL) {
		free(d->request_id);
		free(d->node_id);
		free(d);
		return (NULL);
	}
	d->req = req == NULL ? NULL : nodes.host->req_ref(req);
	d->next = decisions;
	decisions = d;
	return (d);
}

static void
decision_free(struct decision *d)
{
	struct decision	**p;

	for (p = &decisions; *p != NULL && *p != d; p = &(*p)->next)
		;
	if (*p == d)
		*p = d->next;
	if (d->req != NULL)
		nodes.host->req_unref(d->req);
	free(d->request_id);
	free(d->node_id);
	free(d);
}

static bool
is_being_decided(const char *request_id)
{
	const struct decision	*d;

	for (d = decisions; d != NULL; d = d->next) {
		if (strcmp(d->request_id, request_id) == 0)
			return (true);
	}
	return (false);
}

/* To the operators, and to the node that waits for it. */
static void
tell_resolved(const char *request_id, const char *node_id, const char *what)
{
	struct json_object	*o = json_object_new_object();
	struct node		*n = node_find(node_id);

	nodes_add_str(o, "requestId", request_id);
	nodes_add_str(o, "nodeId", node_id);
	nodes_add_str(o, "decision", what);
	nodes_add_ms(o, "ts", nodes.host->wall_ms());
	if (n != NULL && n->conn != NULL)
		(void)nodes_tell(n, "node.pair.resolved", json_object_get(o));
	(void)nodes.host->emit(nodes.ctx, "node.pair.resolved", o, NULL);
}

void
pair_clear(void)
{
	while (decisions != NULL)
		decision_free(decisions);
}

/* --- asking --- */

static struct json_object *
member(struct json_object *o, const char *key)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(o, key, &v);
	return (v);
}

static bool
permissions_cover(struct json_object *approved, struct json_object *said)
{
	struct json_object	*v;

	if (said == NULL)
		return (true);
	json_object_object_foreach(said, name, value) {
		if (json_object_get_boolean(value) &&
		    (!json_object_object_get_ex(approved, name, &v) ||
		    !json_object_get_boolean(v)))
			return (false);
	}
	return (true);
}

static bool
is_covered(const struct node *n, struct json_object *approved)
{
	return (approved != NULL &&
	    set_covers(member(approved, "caps"), n->declared_caps) &&
	    set_covers(member(approved, "commands"), n->declared_commands) &&
	    permissions_cover(member(approved, "permissions"),
	    n->declared_permissions));
}

static bool
is_the_same(const struct node *n, struct json_object *pending)
{
	return (json_object_equal(member(pending, "caps"), n->declared_caps) &&
	    json_object_equal(member(pending, "commands"),
	    n->declared_commands) &&
	    json_object_equal(member(pending, "permissions"),
	    n->declared_permissions));
}

static struct json_object *
surface_of(const struct node *n)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct json_object	*o = json_object_new_object();

	if (o == NULL || nodes.host->conn_info(n->conn, &info) < 0)
		return (o);
	nodes_add_str(o, "nodeId", n->id);
	nodes_add_str(o, "displayName", info.display_name);
	nodes_add_str(o, "platform", info.platform);
	nodes_add_str(o, "version", info.version);
	nodes_add_str(o, "deviceFamily", nodes_str(n->claims, "deviceFamily"));
	nodes_add_str(o, "modelIdentifier", nodes_str(n->claims,
	    "modelIdentifier"));
	nodes_add_str(o, "clientId", info.client_id);
	nodes_add_str(o, "clientMode", info.client_mode);
	nodes_add_str(o, "remoteIp", info.remote);
	nodes_add(o, "caps", json_object_get(n->declared_caps));
	nodes_add(o, "commands", json_object_get(n->declared_commands));
	nodes_add(o, "permissions", json_object_get(n->declared_permissions));
	return (o);
}

struct asked {
	struct json_object	*pending;
	char			*replaced;	/* an older request, or NULL */
};

static void
asked_free(struct asked *a)
{
	json_object_put(a->pending);
	free(a->replaced);
	free(a);
}

static void
on_asked(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct asked	*a = arg;
	const char	*id = nodes_str(a->pending, "nodeId");

	(void)result;
	if (r < 0) {
		nodes.host->log(ctx, CHELA_LOG_ERR,
		    "node '%s': its request could not be stored (%s)",
		    id, strerror(-r));
	} else {
		if (a->replaced != NULL)
			tell_resolved(a->replaced, id, "rejected");
		(void)nodes.host->emit(ctx, "node.pair.requested",
		    json_object_get(a->pending), NULL);
	}
	asked_free(a);
}

static void
on_withdrawn(struct chela_ctx *ctx, int r, struct json_object *result,
    void *arg)
{
	struct decision	*d = arg;

	(void)ctx;
	(void)result;
	if (r == 0)
		tell_resolved(d->request_id, d->node_id, "rejected");
	decision_free(d);
}

/* It offers no more than was approved: there is nothing to ask any more. */
static void
pair_withdraw(struct node *n, struct json_object *approved,
    struct json_object *pending)
{
	const char	*id = nodes_str(pending, "requestId");
	struct decision	*d;

	if (id == NULL || is_being_decided(id))
		return;
	d = decision_new(NULL, id, n->id, "rejected");
	if (d != NULL && nodes.access->surface_put(nodes.ctx, n->id,
	    json_object_get(approved), NULL, on_withdrawn, d) < 0)
		decision_free(d);
}

void
pair_check(struct node *n)
{
	struct json_object	*approved = NULL, *pending = NULL, *o;
	struct asked		*a;
	const char		*old;
	char			 id[37];

	if (nodes.access->surface_get(n->id, &approved, &pending) < 0)
		return;
	if (is_covered(n, approved)) {
		if (pending != NULL)
			pair_withdraw(n, approved, pending);
		return;
	}
	if (pending != NULL && is_the_same(n, pending))
		return;
	a = calloc(1, sizeof *a);
	o = surface_of(n);
	if (a == NULL || o == NULL) {
		json_object_put(o);
		free(a);
		return;
	}
	nodes.host->uuid(id);
	nodes_add_str(o, "requestId", id);
	nodes_add(o, "requiredApproveScopes",
	    policy_scopes(n->declared_commands));
	nodes_add(o, "silent", json_object_new_boolean(0));
	nodes_add_ms(o, "ts", nodes.host->wall_ms());
	old = nodes_str(pending, "requestId");
	a->replaced = old == NULL ? NULL : strdup(old);
	a->pending = json_object_get(o);
	if (nodes.access->surface_put(nodes.ctx, n->id,
	    json_object_get(approved), o, on_asked, a) < 0)
		asked_free(a);
}

/* --- answering --- */

/* Calls cb for each paired device; nonzero stops. */
static int
each_device(int (*cb)(const char *id, struct json_object *device, void *arg),
    void *arg)
{
	struct json_object	*all, *list, *d;
	const char		*id;
	size_t			 i;
	int			 r;

	r = nodes.access->list(NULL, &all);
	if (r < 0)
		return (r);
	list = member(all, "paired");
	for (i = 0; list != NULL && r == 0 &&
	    i < json_object_array_length(list); i++) {
		d = json_object_array_get_idx(list, i);
		id = nodes_str(d, "deviceId");
		if (id != NULL)
			r = cb(id, d, arg);
	}
	json_object_put(all);
	return (r);
}

struct search {
	const char		*request_id;
	struct json_object	*approved;	/* both counted */
	struct json_object	*pending;
};

static int
search_one(const char *id, struct json_object *device, void *arg)
{
	struct search		*s = arg;
	struct json_object	*approved = NULL, *pending = NULL;
	const char		*request_id;

	(void)device;
	if (nodes.access->surface_get(id, &approved, &pending) < 0 ||
	    pending == NULL)
		return (0);
	request_id = nodes_str(pending, "requestId");
	if (request_id == NULL || strcmp(request_id, s->request_id) != 0)
		return (0);
	s->approved = json_object_get(approved);
	s->pending = json_object_get(pending);
	return (1);
}

/* The request that is named; else it was answered. */
static bool
search(struct chela_req *req, struct json_object *params, struct search *s)
{
	*s = (struct search){ .request_id = nodes_str(params, "requestId") };
	if (!is_being_decided(s->request_id) && each_device(search_one, s) == 1)
		return (true);
	(void)nodes.host->req_fail(req, "INVALID_REQUEST", "unknown requestId");
	return (false);
}

static void
search_end(struct search *s)
{
	json_object_put(s->approved);
	json_object_put(s->pending);
}

static void
on_decided(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct decision		*d = arg;
	struct json_object	*o, *device = NULL;
	struct node		*n = node_find(d->node_id);
	bool			 is_approved = strcmp(d->what, "approved") == 0;

	(void)ctx;
	(void)result;
	if (r < 0) {
		(void)nodes_failed(d->req, r, "unknown requestId");
		decision_free(d);
		return;
	}
	if (n != NULL)
		node_fit(n);
	nodes_audit(d->req, is_approved ? "node.approved" : "node.rejected",
	    d->node_id, true);
	o = json_object_new_object();
	nodes_add_str(o, "requestId", d->request_id);
	if (is_approved) {
		(void)nodes.access->device(d->node_id, &device);
		nodes_add(o, "node", list_row(d->node_id, n, device));
		json_object_put(device);
	} else {
		nodes_add_str(o, "nodeId", d->node_id);
	}
	(void)nodes.host->req_reply(d->req, o);
	tell_resolved(d->request_id, d->node_id, d->what);
	decision_free(d);
}

/* Takes approved. */
static int
decide(struct chela_req *req, struct search *s, const char *what,
    struct json_object *approved)
{
	struct decision	*d;
	int		 r = -ENOMEM;

	d = decision_new(req, s->request_id, nodes_str(s->pending, "nodeId"),
	    what);
	if (d == NULL)
		json_object_put(approved);
	else
		r = nodes.access->surface_put(nodes.ctx, d->node_id, approved,
		    NULL, on_decided, d);
	if (r < 0) {
		(void)nodes_failed(req, r, "unknown requestId");
		if (d != NULL)
			decision_free(d);
	}
	search_end(s);
	return (0);
}

/* The first scope that the caller lacks, without prefix, or NULL. */
static const char *
lacks_scope(struct chela_req *req, struct json_object *scopes)
{
	static const char *const known[] = { "pairing", "write", "admin" };
	struct chela_conn	*conn = nodes.host->req_conn(req);
	const char		*s;
	size_t			 i, k;

	for (i = 0; scopes != NULL && i < json_object_array_length(scopes);
	    i++) {
		s = json_object_get_string(json_object_array_get_idx(scopes,
		    i));
		for (k = 0; k < sizeof known / sizeof known[0]; k++) {
			if (strcmp(s + (strncmp(s, "operator.", 9) == 0 ? 9 :
			    0), known[k]) == 0 && (conn == NULL ||
			    !nodes.host->conn_has_scope(conn, known[k])))
				return (known[k]);
		}
	}
	return (NULL);
}

static struct json_object *
approved_of(struct json_object *pending)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_foreach(pending, name, value) {
		if (strcmp(name, "requestId") != 0 &&
		    strcmp(name, "requiredApproveScopes") != 0 &&
		    strcmp(name, "silent") != 0 && strcmp(name, "ts") != 0)
			nodes_add(o, name, json_object_get(value));
	}
	nodes_add_ms(o, "approvedAtMs", nodes.host->wall_ms());
	return (o);
}

int
pair_approve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct search		 s;
	struct json_object	*needed;
	const char		*lacking;

	(void)ctx;
	if (!search(req, params, &s))
		return (0);
	/* What is needed follows from the commands, not from what was written
	 * down when they came. */
	needed = policy_scopes(member(s.pending, "commands"));
	lacking = lacks_scope(req, needed);
	json_object_put(needed);
	if (lacking != NULL) {
		nodes_audit(req, "node.approved", nodes_str(s.pending,
		    "nodeId"), false);
		search_end(&s);
		return (nodes_no_scope(req, lacking));
	}
	return (decide(req, &s, "approved", approved_of(s.pending)));
}

int
pair_reject(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct search	 s;

	(void)ctx;
	if (!search(req, params, &s))
		return (0);
	return (decide(req, &s, "rejected", json_object_get(s.approved)));
}

/* --- the list --- */

static int
list_one(const char *id, struct json_object *device, void *arg)
{
	struct json_object	*o = arg, *approved = NULL, *pending = NULL;
	struct json_object	*row;

	if (nodes.access->surface_get(id, &approved, &pending) < 0)
		return (0);
	if (pending != NULL)
		(void)json_object_array_add(member(o, "pending"),
		    json_object_get(pending));
	if (approved != NULL) {
		row = list_row(id, node_find(id), device);
		(void)json_object_array_add(member(o, "paired"), row);
	}
	return (0);
}

int
pair_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o = json_object_new_object();
	int			 r;

	(void)ctx;
	(void)params;
	nodes_add(o, "pending", json_object_new_array());
	nodes_add(o, "paired", json_object_new_array());
	r = each_device(list_one, o);
	if (r < 0) {
		json_object_put(o);
		return (nodes_failed(req, r, "unknown nodeId"));
	}
	return (nodes.host->req_reply(req, o));
}

/* --- removing --- */

static void
on_removed(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct decision		*d = arg;
	struct json_object	*o;

	(void)ctx;
	(void)result;
	if (r < 0) {
		(void)nodes_failed(d->req, r, "unknown nodeId");
	} else {
		nodes_audit(d->req, "node.removed", d->node_id, true);
		o = json_object_new_object();
		nodes_add_str(o, "nodeId", d->node_id);
		(void)nodes.host->req_reply(d->req, o);
		tell_resolved(d->node_id, d->node_id, "removed");
	}
	decision_free(d);
}

/* The device is an operator's as well: it loses the role of a node alone. */
static void
on_surface_gone(struct chela_ctx *ctx, int r, struct json_object *result,
    void *arg)
{
	struct decision	*d = arg;
	struct node	*n = node_find(d->node_id);

	(void)result;
	if (r == 0) {
		if (n != NULL)
			node_fit(n);
		r = nodes.access->revoke(ctx, nodes.host->req_conn(d->req),
		    d->node_id, "node", on_removed, d);
		if (r == 0)
			return;
	}
	(void)nodes_failed(d->req, r, "unknown nodeId");
	decision_free(d);
}

static bool
is_only_node(struct json_object *device)
{
	struct json_object	*roles = member(device, "roles");

	return (roles == NULL || json_object_array_length(roles) < 2);
}

int
pair_remove(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = nodes_str(params, "nodeId");
	struct json_object	*device = NULL;
	struct decision		*d;
	int			 r;

	(void)ctx;
	if (nodes.access->device(id, &device) < 0)
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "unknown nodeId"));
	d = decision_new(req, "", id, "removed");
	if (d == NULL)
		r = -ENOMEM;
	else if (is_only_node(device))
		r = nodes.access->remove(nodes.ctx, nodes.host->req_conn(req),
		    id, on_removed, d);
	else
		r = nodes.access->surface_put(nodes.ctx, id, NULL, NULL,
		    on_surface_gone, d);
	json_object_put(device);
	if (r == 0)
		return (0);
	if (d != NULL)
		decision_free(d);
	return (nodes_failed(req, r, "unknown nodeId"));
}
