/* SPDX-License-Identifier: MIT */
/*
 * What operators leave for a node that sleeps: at most one of each type, in
 * memory, until the node says that it has seen it or its time is over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nodes.h"

#define LIFE_MS		UINT64_C(86400000)
#define DRAIN_MAX	10

static const char *const types[] = { "status.request", "location.request" };

void
queue_free(struct node *n)
{
	struct queued	*q;

	while ((q = n->queue) != NULL) {
		n->queue = q->next;
		free(q);
	}
	n->n_queued = 0;
}

static void
queue_expire(struct node *n)
{
	uint64_t	  now = nodes.host->now_us();
	struct queued	**p = &n->queue, *q;

	while ((q = *p) != NULL) {
		if (q->until_us > now) {
			p = &q->next;
			continue;
		}
		*p = q->next;
		free(q);
		n->n_queued--;
		n->revision++;
	}
}

static struct json_object *
item_of(const struct queued *q)
{
	struct json_object	*o = json_object_new_object();

	nodes_add_str(o, "id", q->id);
	nodes_add_str(o, "type", q->type);
	nodes_add_str(o, "priority", q->is_high ? "high" : "normal");
	nodes_add_ms(o, "createdAtMs", q->created_ms);
	nodes_add_ms(o, "expiresAtMs", q->expires_ms);
	return (o);
}

static struct queued *
queue_find(struct node *n, const char *type)
{
	struct queued	*q;

	for (q = n->queue; q != NULL && strcmp(q->type, type) != 0;
	    q = q->next)
		;
	return (q);
}

static struct queued *
queue_add(struct node *n, const char *type, bool is_high, uint64_t life_ms)
{
	struct queued	*q, **p;

	if (n->n_queued == NODES_QUEUE_MAX)
		return (NULL);
	q = calloc(1, sizeof *q);
	if (q == NULL)
		return (NULL);
	nodes.host->uuid(q->id);
	q->type = type;
	q->is_high = is_high;
	q->created_ms = nodes.host->wall_ms();
	q->expires_ms = q->created_ms + life_ms;
	q->until_us = nodes.host->now_us() + life_ms * 1000;
	/* After its like, before what is less. */
	for (p = &n->queue; *p != NULL && ((*p)->is_high || !is_high);
	    p = &(*p)->next)
		;
	q->next = *p;
	*p = q;
	n->n_queued++;
	n->revision++;
	return (q);
}

int
queue_enqueue(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = nodes_str(params, "nodeId");
	const char		*type = nodes_str(params, "type");
	const char		*priority = nodes_str(params, "priority");
	struct json_object	*o;
	struct queued		*q;
	struct node		*n;

	(void)ctx;
	n = nodes.access->generation(id) == 0 ? NULL : node_get(id);
	if (n == NULL)
		return (nodes_changed(req,
		    "node pairing changed while work was queued"));
	queue_expire(n);
	type = strcmp(type, types[0]) == 0 ? types[0] : types[1];
	q = queue_find(n, type);
	if (q == NULL)
		q = queue_add(n, type, priority != NULL &&
		    strcmp(priority, "high") == 0, (uint64_t)nodes_int(params,
		    "expiresInMs", (int64_t)LIFE_MS));
	if (q == NULL)
		return (-ENOMEM);
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", id);
	nodes_add(o, "revision", json_object_new_int64((int64_t)n->revision));
	nodes_add(o, "queued", item_of(q));
	nodes_add(o, "wakeTriggered", json_object_new_boolean(0));
	return (nodes.host->req_reply(req, o));
}

int
queue_drain(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	int64_t			 max = nodes_int(params, "maxItems", DRAIN_MAX);
	struct json_object	*o, *items;
	struct queued		*q;

	(void)ctx;
	if (n == NULL)
		return (0);
	queue_expire(n);
	items = json_object_new_array();
	for (q = n->queue; q != NULL && max > 0; q = q->next, max--)
		(void)json_object_array_add(items, item_of(q));
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	nodes_add(o, "revision", json_object_new_int64((int64_t)n->revision));
	nodes_add(o, "items", items);
	nodes_add(o, "hasMore", json_object_new_boolean(q != NULL));
	return (nodes.host->req_reply(req, o));
}

int
queue_pull(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*o, *items;
	struct queued		*q;

	(void)ctx;
	(void)params;
	if (n == NULL)
		return (0);
	queue_expire(n);
	items = json_object_new_array();
	for (q = n->queue; q != NULL; q = q->next)
		(void)json_object_array_add(items, item_of(q));
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	nodes_add(o, "actions", items);
	return (nodes.host->req_reply(req, o));
}

static void
queue_remove(struct node *n, const char *id)
{
	struct queued	**p, *q;

	for (p = &n->queue; (q = *p) != NULL; p = &q->next) {
		if (strcmp(q->id, id) == 0) {
			*p = q->next;
			free(q);
			n->n_queued--;
			n->revision++;
			return;
		}
	}
}

int
queue_ack(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*o, *ids = NULL;
	size_t			 i;

	(void)ctx;
	if (n == NULL)
		return (0);
	(void)json_object_object_get_ex(params, "ids", &ids);
	for (i = 0; i < json_object_array_length(ids); i++)
		queue_remove(n, json_object_get_string(
		    json_object_array_get_idx(ids, i)));
	queue_expire(n);
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	nodes_add(o, "ackedIds", json_object_get(ids));
	nodes_add(o, "remainingCount", json_object_new_int64(n->n_queued));
	return (nodes.host->req_reply(req, o));
}
