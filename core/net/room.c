/* SPDX-License-Identifier: MIT */
/* Room for output: of one connection, and of all of them together. */
#include <errno.h>

#include "core/net/http.h"
#include "core/net/net_priv.h"

#define ROOM_REST_MAX	MIB(1)	/* of a frame under way: the close waits for it */
#define ROOM_QUEUE_MIN	KIB(4)	/* nobody is slow for less */

static bool
net_has_room(const struct net *n, size_t more)
{
	size_t	 held = out_held();

	return (held <= n->lim.out_total && more <= n->lim.out_total - held);
}

/*
 * What is queued will not be read in time. Drop it behind the frame that is under
 * way, so that the close reason is the next thing on the wire.
 */
static void
conn_end_slow(struct conn *c)
{
	c->net->stats.slow_consumers++;
	out_cut(&c->out);
	conn_close(c, 1008, "slow consumer");
}

/* The same where memory is wanted now: a frame that is too long is not ended. */
static void
conn_shed(struct conn *c)
{
	c->net->stats.shed++;
	if (c->state == CONN_HTTP) {
		hreq_break(c->http);
		out_fini(&c->out);
		return;
	}
	conn_end_slow(c);
	if (c->out.len > ROOM_REST_MAX)
		out_fini(&c->out);
}

static size_t
net_longest(struct list *const *heads, size_t n_heads)
{
	struct list	*l, *tmp;
	size_t		 i, len, longest = 0;

	for (i = 0; i < n_heads; i++) {
		list_each(l, tmp, heads[i]) {
			len = container_of(l, struct conn, link)->out.len;
			longest = MAX_OF(longest, len);
		}
	}
	return (longest);
}

/*
 * Lets those go who read the least: first whoever has the longest queue, then all
 * with half of it, and so on. An eighth becomes free, so that the next frame does
 * not look through all connections again.
 */
static void
net_shed(struct net *n, size_t more)
{
	struct list	*const heads[] = { &n->open, &n->fresh, &n->http };
	struct list	*l, *tmp;
	struct conn	*c;
	size_t		 i, floor, want = more + n->lim.out_total / 8;

	floor = net_longest(heads, ARRAY_LEN(heads));
	for (; floor >= ROOM_QUEUE_MIN; floor /= 2) {
		for (i = 0; i < ARRAY_LEN(heads); i++) {
			list_each(l, tmp, heads[i]) {
				c = container_of(l, struct conn, link);
				if ((c->state != CONN_OPEN &&
				    c->state != CONN_HTTP) ||
				    c->out.len < floor)
					continue;
				conn_shed(c);
				if (net_has_room(n, want))
					return;
			}
		}
	}
}

bool
net_make_room(struct net *n, size_t more)
{
	if (likely(net_has_room(n, more)))
		return (true);
	net_shed(n, more);
	return (net_has_room(n, more));
}

int
conn_room(struct conn *c, size_t len, size_t more, bool is_droppable)
{
	struct net	*n = c->net;

	if (c->state != CONN_OPEN)
		return (-EPIPE);
	if (unlikely(c->out.len + len > n->lim.out_max && c->out.len > 0)) {
		if (is_droppable)
			return (-EAGAIN);
		conn_end_slow(c);
		return (-ENOBUFS);
	}
	if (likely(net_has_room(n, more)))
		return (0);
	if (is_droppable) {
		n->stats.dropped++;
		return (-EAGAIN);
	}
	if (net_make_room(n, more) && c->state == CONN_OPEN)
		return (0);
	if (c->state == CONN_OPEN)
		conn_shed(c);
	return (-ENOBUFS);
}
