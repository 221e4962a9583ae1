/* SPDX-License-Identifier: MIT */
#include "core/state/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/buf.h"
#include "core/base/map.h"
#include "core/json/json.h"
#include "core/net/net.h"
#include "core/protocol/dialect.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"

struct family {
	struct list	 link;
	const void	*owner;
	uint32_t	 scope;
	uint32_t	 roles;
	uint32_t	 flags;
	char		 name[];
};

struct topic {
	struct list	 subs;		/* struct sub.in_topic */
	size_t		 name_len;
	char		 name[];
};

struct sub {
	struct list	 in_topic;
	struct list	 in_peer;
	struct topic	*topic;
	struct peer	*peer;
	const void	*owner;
};

struct bus {
	struct proto	*proto;
	struct map	*families;
	struct list	 order;		/* of families */
	struct map	*topics;
	struct buf	 text;		/* of the payload */
	struct buf	 tail;
	uint64_t	 versions[2];
	size_t		 payload_max;
};

/* One emission: the payload once, and its heads as dialects come up. */
struct emission {
	struct bus		*bus;
	const struct family	*family;
	const struct bus_opts	*opts;
	struct topic		*scoped;
	struct outseg		*body;
	struct buf		 heads[2];	/* native, openclaw */
	int			 n_sent;
};

struct bus *
bus_new(struct proto *proto)
{
	struct bus	*b;

	b = calloc(1, sizeof *b);
	if (b == NULL)
		return (NULL);
	b->proto = proto;
	b->versions[0] = b->versions[1] = 1;
	b->payload_max = SIZE_MAX;
	list_init(&b->order);
	b->families = map_new();
	b->topics = map_new();
	if (b->families == NULL || b->topics == NULL)
		return (bus_free(b));
	return (b);
}

static void
sub_free(struct bus *b, struct sub *s)
{
	struct topic	*t = s->topic;

	list_remove(&s->in_topic);
	list_remove(&s->in_peer);
	free(s);
	if (list_is_empty(&t->subs)) {
		(void)map_del(b->topics, t->name, t->name_len);
		free(t);
	}
}

struct bus *
bus_free(struct bus *b)
{
	struct list	*l, *tmp;
	struct topic	*t;
	struct sub	*s;
	size_t		 pos;

	if (b == NULL)
		return (NULL);
	list_each(l, tmp, &b->order) {
		list_remove(l);
		free(container_of(l, struct family, link));
	}
	for (pos = 0; b->topics != NULL && map_next(b->topics, &pos, NULL, NULL,
	    (void **)&t); pos = 0) {
		s = list_first(&t->subs, struct sub, in_topic);
		sub_free(b, s);
	}
	(void)map_free(b->families);
	(void)map_free(b->topics);
	buf_fini(&b->text);
	buf_fini(&b->tail);
	free(b);
	return (NULL);
}

int
bus_add(struct bus *b, const char *name, uint32_t scope, uint32_t roles,
    uint32_t flags, const void *owner)
{
	size_t		 len = strlen(name);
	struct family	*f;

	if (map_getz(b->families, name) != NULL)
		return (-EEXIST);
	f = malloc(sizeof *f + len + 1);
	if (f == NULL)
		return (-ENOMEM);
	f->owner = owner;
	f->scope = scope;
	f->roles = roles == 0 ? ROLE_OPERATOR : roles;
	f->flags = flags;
	memcpy(f->name, name, len + 1);
	if (map_putz(b->families, name, f) < 0) {
		free(f);
		return (-ENOMEM);
	}
	list_append(&b->order, &f->link);
	return (0);
}

void
bus_remove_owner(struct bus *b, const void *owner)
{
	struct list	*l, *tmp, *p, *ptmp, *s, *stmp;
	struct family	*f;
	struct sub	*sub;

	list_each(l, tmp, &b->order) {
		f = container_of(l, struct family, link);
		if (f->owner != owner)
			continue;
		(void)map_delz(b->families, f->name);
		list_remove(&f->link);
		free(f);
	}
	list_each(p, ptmp, proto_peers(b->proto)) {
		list_each(s, stmp,
		    &container_of(p, struct peer, link)->subs) {
			sub = container_of(s, struct sub, in_peer);
			if (sub->owner == owner)
				sub_free(b, sub);
		}
	}
}

void
bus_each(struct bus *b, int (*cb)(const char *name, uint32_t scope,
    const void *owner, void *arg), void *arg)
{
	struct list	*l, *tmp;
	struct family	*f;

	list_each(l, tmp, &b->order) {
		f = container_of(l, struct family, link);
		if (cb(f->name, f->scope, f->owner, arg) != 0)
			return;
	}
}

void
bus_set_payload_max(struct bus *b, size_t max)
{
	b->payload_max = max;
}

void
bus_set_versions(struct bus *b, uint64_t presence, uint64_t health)
{
	b->versions[0] = presence;
	b->versions[1] = health;
}

static struct sub *
peer_sub(const struct peer *p, const struct topic *t)
{
	struct list	*l, *tmp;
	struct sub	*s;

	list_each(l, tmp, &p->subs) {
		s = container_of(l, struct sub, in_peer);
		if (s->topic == t)
			return (s);
	}
	return (NULL);
}

static bool
emission_is_for(const struct emission *e, const struct peer *p)
{
	const struct family	*f = e->family;
	const struct bus_opts	*o = e->opts;

	if (p->state != PEER_OPEN || p->conn == NULL ||
	    (f->roles & p->role) == 0)
		return (false);
	if (p->role == ROLE_OPERATOR && f->scope != 0 &&
	    !scope_covers(p->closure, f->scope))
		return (false);
	if (p == o->except)
		return (false);
	if (p->role == ROLE_NODE && (f->flags & BUS_NODE_DIRECT) != 0 &&
	    o->only == NULL)
		return (false);
	if (o->cap != NULL && !peer_has_cap(p, o->cap))
		return (false);
	/* A node gets what it asked for, and nothing else of these. */
	if ((f->flags & BUS_SCOPED) != 0 && (p->role == ROLE_NODE ||
	    (p->has_scoped_events && o->scoped_topic != NULL)) &&
	    (e->scoped == NULL || peer_sub(p, e->scoped) == NULL))
		return (false);
	return (true);
}

static void
emission_send(struct emission *e, struct peer *p)
{
	struct bus		*b = e->bus;
	const struct family	*f = e->family;
	bool			 is_native = p->dialect == &dialect_native;
	struct buf		*head = &e->heads[is_native ? 0 : 1];
	uint64_t		 seq = 0;
	int			 r;

	if (!emission_is_for(e, p))
		return;
	if (head->len == 0)
		p->dialect->event_head(head, f->name);
	/* A dropped one counts, so that the client sees the gap. */
	if (p->role == ROLE_OPERATOR)
		seq = ++p->seq;
	buf_reset(&b->tail);
	p->dialect->event_tail(&b->tail, true, seq,
	    (f->flags & BUS_VERSIONED) != 0 ? b->versions : NULL);
	if (head->is_failed || b->tail.is_failed)
		return;
	r = conn_send_shared(p->conn, e->body, head->data, head->len,
	    b->tail.data, b->tail.len, (f->flags & BUS_DROPPABLE) != 0);
	if (r == 0)
		e->n_sent++;
}

static void
emission_run(struct emission *e)
{
	struct bus		*b = e->bus;
	const struct bus_opts	*o = e->opts;
	struct list		*l, *tmp;
	struct topic		*t;

	if (o->only != NULL) {
		emission_send(e, o->only);
		return;
	}
	if (o->topic == NULL) {
		list_each(l, tmp, proto_peers(b->proto))
			emission_send(e, container_of(l, struct peer, link));
		return;
	}
	t = map_getz(b->topics, o->topic);
	if (t == NULL)
		return;
	list_each(l, tmp, &t->subs)
		emission_send(e, container_of(l, struct sub, in_topic)->peer);
}

int
bus_emit_text(struct bus *b, const char *name, const char *payload, size_t len,
    const struct bus_opts *opts)
{
	static const struct bus_opts	 none;
	struct emission			 e = { .bus = b, .opts = opts };

	if (len > b->payload_max)
		return (-EMSGSIZE);
	e.family = map_getz(b->families, name);
	if (e.family == NULL)
		return (-EINVAL);
	if (opts == NULL)
		e.opts = &none;
	if (e.opts->topic != NULL && e.opts->only == NULL &&
	    map_getz(b->topics, e.opts->topic) == NULL)
		return (0);
	if (e.opts->scoped_topic != NULL)
		e.scoped = map_getz(b->topics, e.opts->scoped_topic);
	e.body = outseg_new(payload, len);
	if (e.body == NULL)
		return (-ENOMEM);
	emission_run(&e);
	(void)outseg_unref(e.body);
	buf_fini(&e.heads[0]);
	buf_fini(&e.heads[1]);
	return (e.n_sent);
}

int
bus_emit(struct bus *b, const char *name, struct json_object *payload,
    const struct bus_opts *opts)
{
	struct buf	 text;
	int		 r;

	if (map_getz(b->families, name) == NULL) {
		json_object_put(payload);
		return (-EINVAL);
	}
	/* Nobody listens to this topic: nothing to encode. */
	if (opts != NULL && opts->topic != NULL && opts->only == NULL &&
	    map_getz(b->topics, opts->topic) == NULL) {
		json_object_put(payload);
		return (0);
	}
	/* An emission may cause another one: the scratch is taken meanwhile. */
	text = b->text;
	buf_init(&b->text);
	buf_reset(&text);
	r = json_write(&text, payload);
	json_object_put(payload);
	if (r == 0)
		r = bus_emit_text(b, name, text.data, text.len, opts);
	buf_fini(&b->text);
	if (text.cap > KIB(64))
		buf_fini(&text);
	b->text = text;
	return (r);
}

int
bus_subscribe(struct bus *b, struct peer *p, const char *topic,
    const void *owner)
{
	size_t		 n = 0, len = strlen(topic);
	struct topic	*t;
	struct list	*l, *tmp;
	struct sub	*s;

	if (p->state != PEER_OPEN)
		return (-EPIPE);
	if (len == 0 || len > BUS_TOPIC_MAX)
		return (-EINVAL);
	t = map_get(b->topics, topic, len);
	if (t != NULL && peer_sub(p, t) != NULL)
		return (0);
	list_each(l, tmp, &p->subs)
		n++;
	if (n >= BUS_SUBS_MAX)
		return (-EDQUOT);
	s = malloc(sizeof *s);
	if (s == NULL)
		return (-ENOMEM);
	if (t == NULL) {
		t = malloc(sizeof *t + len + 1);
		if (t == NULL || map_put(b->topics, topic, len, t, NULL) < 0) {
			free(t);
			free(s);
			return (-ENOMEM);
		}
		list_init(&t->subs);
		t->name_len = len;
		memcpy(t->name, topic, len + 1);
	}
	s->topic = t;
	s->peer = p;
	s->owner = owner;
	list_append(&t->subs, &s->in_topic);
	list_append(&p->subs, &s->in_peer);
	return (0);
}

int
bus_unsubscribe(struct bus *b, struct peer *p, const char *topic)
{
	struct topic	*t = map_getz(b->topics, topic);
	struct sub	*s = t == NULL ? NULL : peer_sub(p, t);

	if (s == NULL)
		return (-ENOENT);
	sub_free(b, s);
	return (0);
}

void
bus_peer_closed(struct bus *b, struct peer *p)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &p->subs)
		sub_free(b, container_of(l, struct sub, in_peer));
}
