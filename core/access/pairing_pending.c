/* SPDX-License-Identifier: MIT */
/* Requests that wait for an operator: bounded, fair between sources, expiring. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/budget.h"
#include "core/access/pairing_priv.h"
#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/loop.h"
#include "core/base/uuid.h"
#include "core/json/json.h"

struct pending *
pairing_pending(struct pairing *p, const char *request_id)
{
	pairing_expire(p);
	return (map_getz(p->pendings, request_id));
}

struct pending *
pairing_pending_of(struct pairing *p, const char *device_id)
{
	pairing_expire(p);
	return (map_getz(p->by_device, device_id));
}

size_t
pairing_n_pending(const struct pairing *p)
{
	return (map_len(p->pendings));
}

void
pending_drop(struct pairing *p, struct pending *q)
{
	(void)map_delz(p->pendings, q->id);
	(void)map_delz(p->by_device, q->device_id);
	list_remove(&q->link);
	about_free(&q->about);
	free(q);
}

void
pairing_expire(struct pairing *p)
{
	uint64_t	 now = clock_now_us();
	struct pending	*q;

	while ((q = list_first(&p->waiting, struct pending, link)) != NULL &&
	    now - q->seen_ms * 1000 >= MS_US(PAIRING_TTL_MS))
		pending_drop(p, q);
}

static void
emit_resolved(struct pairing *p, const struct pending *q, const char *decision)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "requestId", q->id);
	(void)json_add_str(o, "deviceId", q->device_id);
	(void)json_add_str(o, "decision", decision);
	(void)json_add_int(o, "ts", (int64_t)clock_wall_ms());
	pairing_emit(p, PAIRING_RESOLVED, q->device_id, o);
}

/*
 * Room for one more: a source above its share loses its own oldest; else, when
 * all is full, the source with the most does.
 */
static void
make_room(struct pairing *p, const char *source)
{
	struct list	*l, *tmp, *m, *mtmp;
	struct pending	*q, *oldest = NULL, *worst = NULL;
	size_t		 n, own = 0, most = 0;

	list_each(l, tmp, &p->waiting) {
		q = container_of(l, struct pending, link);
		if (strcmp(q->source, source) != 0)
			continue;
		if (own++ == 0)
			oldest = q;
	}
	if (own >= PAIRING_SOURCE_MAX) {
		pending_drop(p, oldest);
		return;
	}
	if (map_len(p->pendings) < PAIRING_PENDING_MAX)
		return;
	list_each(l, tmp, &p->waiting) {
		q = container_of(l, struct pending, link);
		n = 0;
		list_each(m, mtmp, &p->waiting)
			n += strcmp(container_of(m, struct pending,
			    link)->source, q->source) == 0;
		if (n > most) {
			most = n;
			worst = q;
		}
	}
	if (worst != NULL)
		pending_drop(p, worst);
}

static int
pending_new(struct pairing *p, const struct pairing_ask *ask,
    struct pending **ret)
{
	struct pending	*q;

	q = calloc(1, sizeof *q);
	if (q == NULL)
		return (-ENOMEM);
	list_init(&q->link);
	if (about_copy(&q->about, &ask->about) < 0) {
		free(q);
		return (-ENOMEM);
	}
	uuid_make(q->id);
	(void)snprintf(q->device_id, sizeof q->device_id, "%s",
	    ask->device_id);
	memcpy(q->key, ask->key, sizeof q->key);
	(void)snprintf(q->source, sizeof q->source, "%s", ask->source);
	q->role = ask->role;
	q->roles = ask->role;
	q->scopes = ask->scopes;
	q->is_upgrade = ask->is_upgrade;
	q->is_repair = pairing_get(p, ask->device_id) != NULL;
	if (ask->setup_id != NULL)
		(void)snprintf(q->setup_id, sizeof q->setup_id, "%s",
		    ask->setup_id);
	q->ts_ms = clock_wall_ms();
	q->seen_ms = clock_now_us() / 1000;
	if (map_putz(p->pendings, q->id, q) < 0 ||
	    map_putz(p->by_device, q->device_id, q) < 0) {
		(void)map_delz(p->pendings, q->id);
		about_free(&q->about);
		free(q);
		return (-ENOMEM);
	}
	list_append(&p->waiting, &q->link);
	*ret = q;
	return (0);
}

int
pairing_request(struct pairing *p, const struct pairing_ask *ask,
    struct pending **ret)
{
	struct pending	*q = pairing_pending_of(p, ask->device_id);
	uint32_t	 roles = 0, scopes = 0;
	uint64_t	 wait;
	int		 r;

	if (q != NULL && memcmp(q->key, ask->key, sizeof q->key) == 0 &&
	    (q->roles & ask->role) != 0 &&
	    scope_covers(scope_closure(q->scopes), ask->scopes)) {
		q->seen_ms = clock_now_us() / 1000;
		list_remove(&q->link);
		list_append(&p->waiting, &q->link);
		*ret = q;
		return (0);
	}
	if (budget_take(p->asked, ask->source, strlen(ask->source), &wait) < 0)
		return (-EDQUOT);
	if (q != NULL) {
		/* Another request of the same device: both become one. */
		if (memcmp(q->key, ask->key, sizeof q->key) == 0) {
			roles = q->roles;
			scopes = q->scopes;
		}
		emit_resolved(p, q, "rejected");
		pending_drop(p, q);
	}
	make_room(p, ask->source);
	r = pending_new(p, ask, &q);
	if (r < 0)
		return (r);
	q->roles |= roles;
	q->scopes |= scopes;
	pairing_emit(p, PAIRING_REQUESTED, q->device_id, pending_json(q));
	*ret = q;
	return (0);
}

int
pairing_approve(struct pairing *p, struct pending *q, const char *via,
    pairing_done_fn *done, void *arg, struct device **ret)
{
	struct pairing_ask	 ask = {
		.device_id = q->device_id,
		.key = q->key,
		.about = q->about,
		.role = q->role,
		.scopes = q->scopes,
	};
	struct device		*d;
	uint32_t		 rest = q->roles & ~q->role;
	int			 r;

	/* A role that came in by merging gets its token first. */
	if (rest != 0) {
		ask.role = rest;
		r = pairing_grant(p, &ask, via, NULL, NULL, &d);
		if (r < 0)
			return (r);
		ask.role = q->role;
	}
	r = pairing_grant(p, &ask, via, done, arg, ret);
	if (r < 0)
		return (r);
	emit_resolved(p, q, "approved");
	pending_drop(p, q);
	return (0);
}

void
pairing_reject(struct pairing *p, struct pending *q)
{
	setup_drop_device(p, q->device_id);
	emit_resolved(p, q, "rejected");
	pending_drop(p, q);
}

struct json_object *
pairing_list(struct pairing *p, const char *only)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*pending = json_object_new_array();
	struct json_object	*paired = json_object_new_array();
	struct list		*l;

	pairing_expire(p);
	for (l = p->waiting.prev; l != &p->waiting; l = l->prev) {
		struct pending	*q = container_of(l, struct pending, link);

		if (only == NULL || strcmp(only, q->device_id) == 0)
			(void)json_push(pending, pending_json(q));
	}
	for (l = p->order.prev; l != &p->order; l = l->prev) {
		struct device	*d = container_of(l, struct device, link);

		if (only == NULL || strcmp(only, d->id) == 0)
			(void)json_push(paired, device_json(d));
	}
	(void)json_add(o, "pending", pending);
	(void)json_add(o, "paired", paired);
	return (o);
}
