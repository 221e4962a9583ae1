/* SPDX-License-Identifier: MIT */
/* The table of routes, and the way of a request to its plugin and to its end. */
#include "core/plugin/routes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/protocol/proto.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define SLOW_WARN_US	SEC_US(60)	/* between warnings of one route */

_Static_assert(CHELA_ROUTE_QUEUE_MAX == HTTP_QUEUE_MAX &&
    CHELA_ROUTE_BODIES_MAX == HTTP_BODIES_MAX &&
    CHELA_ROUTE_STALL_US == HTTP_STALL_US &&
    CHELA_ROUTE_STRANGER_US == HTTP_STRANGER_US &&
    CHELA_ROUTE_ANSWER_US == HTTP_ANSWER_US, "one set of limits");

struct routes	routes = {
	.list = { &routes.list, &routes.list },
	.dead = { &routes.dead, &routes.dead },
	.over = { &routes.over, &routes.over },
	.due = { &routes.due, &routes.due },
};

static struct route *
route_free(struct route *r)
{
	if (r == NULL)
		return (NULL);
	list_remove(&r->link);
	free((char *)(uintptr_t)r->desc.path);
	free((char *)(uintptr_t)r->desc.methods);
	free((char *)(uintptr_t)r->desc.too_large);
	free((char *)(uintptr_t)r->desc.too_late);
	free(r->allow);
	free(r);
	return (NULL);
}

/* The end of a turn: what was put off, then what nobody touches any more. */
static void
routes_run(void *arg)
{
	struct list		*l, *tmp;
	struct chela_http_in	*rq;

	(void)arg;
	routes.is_run_due = false;
	while ((rq = list_first(&routes.due, struct chela_http_in, due)) !=
	    NULL) {
		list_remove(&rq->due);
		if (rq->q != NULL)
			rq_decided(rq);
	}
	list_each(l, tmp, &routes.over) {
		rq = container_of(l, struct chela_http_in, link);
		list_remove(&rq->link);
		list_remove(&rq->due);
		rq->magic = 0;
		free(rq);
	}
	list_each(l, tmp, &routes.dead)
		(void)route_free(container_of(l, struct route, link));
}

static void
routes_want_run(void)
{
	if (!routes.is_run_due)
		routes.is_run_due = loop_defer(routes.host->env.loop, routes_run,
		    NULL) == 0;
}

void
rq_later(struct chela_http_in *rq)
{
	if (list_is_empty(&rq->due))
		list_append(&routes.due, &rq->due);
	routes_want_run();
}

void
rq_end(struct chela_http_in *rq)
{
	if (rq->q == NULL)
		return;
	hreq_own(rq->q, NULL, NULL);
	rq->q = NULL;
	rq_drop_entry(rq);
	list_remove(&rq->due);
	list_remove(&rq->link);
	list_append(&routes.over, &rq->link);
	routes.stats.open--;
	routes_want_run();
}

/* At most one warning of a route in a while: strangers can ask for more. */
static bool
route_may_warn(struct route *route)
{
	uint64_t	 now = clock_now_us();

	if (route->warned_us != 0 && now - route->warned_us < SLOW_WARN_US)
		return (false);
	route->warned_us = now;
	return (true);
}

static void
route_took(struct route *route, const char *what, uint64_t took)
{
	if (unlikely(took > HOST_BUDGET_US) && route_may_warn(route))
		log_warn("plugin", "plugin '%s': %s of '%s' held the loop for "
		    "%llu us (its budget is %u)", route->ctx->name, what,
		    route->desc.path, (unsigned long long)took, HOST_BUDGET_US);
}

void
rq_call(struct chela_http_in *rq, const char *what,
    void (*fn)(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg))
{
	struct route	*route = rq->route;
	struct frame	 f;

	frame_enter(&f, route->ctx, what);
	fn(route->ctx, rq, route->arg);
	route_took(route, what, frame_leave(&f));
}

static void
rq_gone(struct chela_http_in *rq)
{
	rq->is_ending = true;
	if (rq->route->desc.gone != NULL)
		rq_call(rq, "HTTP gone", rq->route->desc.gone);
	rq_end(rq);
}

void
rq_refuse(struct chela_http_in *rq, const struct net_reply *reply)
{
	rq->is_ending = true;
	(void)hreq_reply(rq->q, reply);
	rq_gone(rq);
}

void
rq_json(struct chela_http_in *rq, unsigned status, const char *extra,
    const char *json)
{
	struct net_reply	 reply = { .status = status, .type = JSON_TYPE,
		.extra = extra, .body = json, .body_len = strlen(json) };

	rq_refuse(rq, &reply);
}

static uint64_t
or_default(uint64_t us, uint64_t otherwise)
{
	return (us != 0 ? us : otherwise);
}

static void
on_body(struct hreq *q, const char *bytes, size_t len)
{
	struct chela_http_in	*rq = hreq_owner(q);
	struct route		*route = rq->route;
	struct frame		 f;

	hreq_set_deadline(q, or_default(route->desc.answer_timeout_us,
	    CHELA_ROUTE_ANSWER_US));
	frame_enter(&f, route->ctx, "HTTP body");
	route->desc.body(route->ctx, rq, bytes, len, route->arg);
	route_took(route, "HTTP body", frame_leave(&f));
}

static void
on_fail(struct hreq *q, unsigned status)
{
	struct chela_http_in	*rq = hreq_owner(q);
	const struct chela_route *desc = &rq->route->desc;
	const char		*json = NULL;

	switch (status) {
	case 413:
		routes.stats.too_large++;
		json = desc->too_large != NULL ? desc->too_large :
		    "{\"error\":{\"message\":\"Payload too large\","
		    "\"type\":\"invalid_request_error\"}}";
		break;
	case 408:
		routes.stats.too_late++;
		json = desc->too_late != NULL ? desc->too_late :
		    "{\"error\":{\"message\":\"Request body timeout\","
		    "\"type\":\"invalid_request_error\"}}";
		break;
	case 400:
		routes.stats.bad_body++;
		json = "{\"error\":{\"message\":\"Bad request body\","
		    "\"type\":\"invalid_request_error\"}}";
		break;
	case 503:
		routes.stats.busy++;
		json = "{\"error\":{\"message\":\"The gateway is busy\","
		    "\"type\":\"unavailable\"}}";
		break;
	default:
		routes.stats.unanswered++;
		if (route_may_warn(rq->route))
			log_warn("plugin", "plugin '%s': no answer in time for "
			    "'%s'", rq->route->ctx->name, desc->path);
		status = 503;
		json = "{\"error\":{\"message\":\"No answer in time\","
		    "\"type\":\"unavailable\"}}";
		break;
	}
	rq_json(rq, status, NULL, json);
}

static void
on_drain(struct hreq *q)
{
	struct chela_http_in	*rq = hreq_owner(q);

	if (rq->route->desc.drain != NULL)
		rq_call(rq, "HTTP drain", rq->route->desc.drain);
}

static void
on_gone(struct hreq *q)
{
	routes.stats.gone++;
	rq_gone(hreq_owner(q));
}

static const struct hreq_ops ops = {
	.on_body = on_body,
	.on_fail = on_fail,
	.on_drain = on_drain,
	.on_gone = on_gone,
};

static bool
is_under(const struct route *r, const char *path)
{
	if ((r->desc.flags & CHELA_ROUTE_PREFIX) == 0)
		return (false);
	return (r->path_len == 1 ||
	    (strncmp(path, r->desc.path, r->path_len) == 0 &&
	    path[r->path_len] == '/'));
}

static struct route *
route_find(const char *path, bool is_read)
{
	struct route	*r, *best = NULL, *fallback = NULL;
	struct list	*l, *tmp;

	list_each(l, tmp, &routes.list) {
		r = container_of(l, struct route, link);
		if ((r->desc.flags & CHELA_ROUTE_FALLBACK) != 0) {
			fallback = r;
			continue;
		}
		if (strcmp(path, r->desc.path) == 0)
			return (r);
		if (is_under(r, path) &&
		    (best == NULL || r->path_len > best->path_len))
			best = r;
	}
	return (best != NULL ? best : is_read ? fallback : NULL);
}

/* Is method one of "GET, HEAD"? */
static bool
has_method(const char *list, const char *method)
{
	size_t	 len = strlen(method), n;

	for (;; list += n) {
		list += strspn(list, ", ");
		n = strcspn(list, ", ");
		if (n == 0)
			return (false);
		if (n == len && memcmp(list, method, n) == 0)
			return (true);
	}
}

static bool
refuse(struct hreq *q, unsigned status, const char *type, const char *extra,
    const char *body)
{
	(void)hreq_reply(q, &(struct net_reply){ .status = status, .type = type,
	    .extra = extra, .body = body, .body_len = strlen(body) });
	return (true);
}

void
host_http_unattributed(struct host *h)
{
	(void)h;
	routes.stats.unattributed++;
}

bool
host_on_http(struct host *h, struct hreq *q, const struct proxy_origin *from,
    bool is_up)
{
	static const char	 busy[] = "{\"error\":{\"message\":\"The gateway "
		"takes no requests now\",\"type\":\"unavailable\"}}";
	const struct http_head	*head = hreq_head(q);
	struct chela_http_in	*rq;
	struct route		*r;
	bool			 is_read;

	is_read = strcmp(head->method, "GET") == 0 ||
	    strcmp(head->method, "HEAD") == 0;
	r = route_find(head->path, is_read);
	if (r == NULL)
		return (false);
	/* A suspended gateway shows what it has and takes no work. */
	if (!is_up || (!is_read &&
	    proto_settings(h->env.proto)->phase != PROTO_ACCEPTING) ||
	    hreq_is_over_budget(q)) {
		routes.stats.busy++;
		return (refuse(q, 503, JSON_TYPE, "Retry-After: 1\r\n", busy));
	}
	if (r->desc.methods != NULL && !has_method(r->desc.methods,
	    head->method)) {
		routes.stats.bad_method++;
		return (refuse(q, 405, NULL, r->allow, "Method Not Allowed"));
	}
	rq = calloc(1, sizeof *rq);
	if (rq == NULL)
		return (refuse(q, 503, JSON_TYPE, NULL, busy));
	rq->magic = ROUTE_MAGIC;
	rq->route = r;
	rq->q = q;
	rq->from = *from;
	list_init(&rq->due);
	list_init(&rq->link);
	list_append(&r->requests, &rq->link);
	routes.stats.requests++;
	routes.stats.open++;
	hreq_own(q, &ops, rq);
	hreq_set_deadline(q, or_default(r->desc.answer_timeout_us,
	    CHELA_ROUTE_ANSWER_US));
	rq_call(rq, "HTTP head", r->desc.head);
	return (true);
}

static char *
copy(const char *s, bool *ret_failed)
{
	char	*p = s == NULL ? NULL : strdup(s);

	if (s != NULL && p == NULL)
		*ret_failed = true;
	return (p);
}

static int
route_check(const struct chela_route *d)
{
	char	*path;
	size_t	 len;
	int	 r;

	if (d->path == NULL || d->head == NULL ||
	    (d->flags & ~(CHELA_ROUTE_PREFIX | CHELA_ROUTE_FALLBACK)) != 0 ||
	    d->max_body > CHELA_ROUTE_BODY_MAX)
		return (-EINVAL);
	if (d->methods != NULL && (strlen(d->methods) > 128 ||
	    strspn(d->methods, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-, ") !=
	    strlen(d->methods)))
		return (-EINVAL);
	len = strlen(d->path);
	if ((d->flags & CHELA_ROUTE_FALLBACK) != 0)
		return (strcmp(d->path, "/") == 0 ? 0 : -EINVAL);
	path = strdup(d->path);
	if (path == NULL)
		return (-ENOMEM);
	r = http_path_canonical(path, len);
	if (r >= 0)
		r = (size_t)r == len && memcmp(path, d->path, len) == 0 &&
		    (len == 1 || path[len - 1] != '/') ? 0 : -EINVAL;
	else
		r = -EINVAL;
	free(path);
	return (r);
}

int
routes_add(struct chela_ctx *ctx, const struct chela_route *desc, void *arg)
{
	struct chela_route	 d;
	struct route		*r, *other;
	struct list		*l, *tmp;
	bool			 is_failed = false;
	int			 e;

	if (desc->struct_size < sizeof d)
		return (-EINVAL);
	d = *desc;
	e = route_check(&d);
	if (e < 0)
		return (e);
	list_each(l, tmp, &routes.list) {
		other = container_of(l, struct route, link);
		if (((other->desc.flags ^ d.flags) & CHELA_ROUTE_FALLBACK) == 0 &&
		    strcmp(other->desc.path, d.path) == 0)
			return (-EEXIST);
	}
	if (routes.n == CHELA_ROUTES_MAX)
		return (-ENOSPC);
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return (-ENOMEM);
	list_init(&r->link);
	list_init(&r->requests);
	r->ctx = ctx;
	r->arg = arg;
	r->desc = d;
	r->path_len = strlen(d.path);
	r->desc.path = copy(d.path, &is_failed);
	r->desc.methods = copy(d.methods, &is_failed);
	r->desc.too_large = copy(d.too_large, &is_failed);
	r->desc.too_late = copy(d.too_late, &is_failed);
	if (d.methods != NULL) {
		r->allow = malloc(strlen(d.methods) + sizeof "Allow: \r\n");
		if (r->allow != NULL)
			(void)snprintf(r->allow, strlen(d.methods) +
			    sizeof "Allow: \r\n", "Allow: %s\r\n", d.methods);
		else
			is_failed = true;
	}
	if (is_failed) {
		(void)route_free(r);
		return (-ENOMEM);
	}
	list_append(&routes.list, &r->link);
	routes.n++;
	return (0);
}

static void
route_remove(struct route *r)
{
	struct chela_http_in	*rq;

	list_remove(&r->link);
	list_append(&routes.dead, &r->link);
	routes.n--;
	while ((rq = list_first(&r->requests, struct chela_http_in, link)) !=
	    NULL) {
		routes.stats.busy++;
		if (rq->is_streaming)
			hreq_break(rq->q);
		rq_json(rq, 503, NULL, "{\"error\":{\"message\":\"This part of "
		    "the gateway was stopped\",\"type\":\"unavailable\"}}");
	}
	routes_want_run();
}

static struct route *
route_of(const struct chela_ctx *ctx, const char *path)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &routes.list) {
		struct route *r = container_of(l, struct route, link);

		if (r->ctx == ctx &&
		    (path == NULL || strcmp(r->desc.path, path) == 0))
			return (r);
	}
	return (NULL);
}

int
routes_remove(struct chela_ctx *ctx, const char *path)
{
	struct route	*r;
	int		 e = -ENOENT;

	/* gone() may add and remove: looked for anew each time. */
	while ((r = route_of(ctx, path)) != NULL) {
		route_remove(r);
		e = 0;
	}
	return (e);
}

void
routes_fini(void)
{
	routes_run(NULL);
	routes.host = NULL;
}
