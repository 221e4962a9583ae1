/* SPDX-License-Identifier: MIT */
/*
 * A connection that is encrypted: when it may work on its handshake, and how
 * its bytes come and go.
 *
 * A step of a handshake costs as much as a hundred requests, so all connections
 * together get one a turn of the loop (net.steps): a thousand strangers at once
 * delay those who are in by one step, not by a thousand.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/net/net_priv.h"

#define CONN_RECORDS	12	/* sent a turn, for fairness */
#define TLS_HANDSHAKE	0x16	/* the type of a client's first record */

/* --- the handshake --- */

void
conn_tls_on_ready(struct conn *c)
{
	struct net	*n = c->net;

	/* Its turn comes; until then the loop need not ask about it again. */
	conn_set_reading(c, false);
	conn_set_writing(c, false);
	list_append(&n->steps, &c->dirty);
	if (!n->is_step_due)
		n->is_step_due = loop_timer_set(n->step_timer, 0) == 0;
}

/* Somebody typed http:// for https://: say so in the clear. */
static void
conn_tls_refuse_plain(struct conn *c)
{
	static const char	 text[] =
	    "This port speaks TLS: use https:// or wss://.\n";
	struct net_reply	 reply = { .status = 400, .body = text,
		.body_len = sizeof text - 1 };

	c->is_tls = false;
	conn_http_reply(c, &reply);
}

/*
 * The session is made when the first byte is there and is that of TLS: a socket
 * that says nothing holds no more than one without TLS does. False: no session.
 */
static bool
conn_tls_begin(struct conn *c)
{
	struct net	*n = c->net;
	unsigned char	 first;
	ssize_t		 got;

	got = recv(c->fd, &first, 1, MSG_PEEK);
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		conn_set_reading(c, true);
		return (false);
	}
	if (got == 1 && first >= 'A' && first <= 'Z') {
		n->stats.tls_refused++;
		conn_tls_refuse_plain(c);
		return (false);
	}
	if (got == 1 && (first != TLS_HANDSHAKE ||
	    n->n_handshakes >= n->lim.handshakes_max))
		n->stats.tls_refused++;
	else if (got == 1)
		c->tls = tls_new(n->tls_ctx, c->fd);
	if (c->tls == NULL) {
		conn_kill(c);
		return (false);
	}
	n->n_handshakes++;
	return (true);
}

static void
conn_tls_step(struct conn *c)
{
	struct net	*n = c->net;
	int		 r;

	if (c->tls == NULL && !conn_tls_begin(c))
		return;
	r = tls_handshake(c->tls);
	if (r == -EAGAIN) {
		if (tls_wants_write(c->tls))
			conn_set_writing(c, true);
		else
			conn_set_reading(c, true);
		return;
	}
	if (r < 0) {
		n->stats.tls_failed++;
		conn_kill(c);
		return;
	}
	n->stats.tls_done++;
	if (tls_is_resumed(c->tls))
		n->stats.tls_resumed++;
	n->n_handshakes--;
	c->state = CONN_HEAD;
	conn_set_reading(c, true);
}

/* A timer of no time comes back after the loop has looked at all sockets. */
void
net_on_step(void *arg)
{
	struct net	*n = arg;
	struct conn	*c;

	n->is_step_due = false;
	c = list_first(&n->steps, struct conn, dirty);
	if (c == NULL)
		return;
	list_remove(&c->dirty);
	conn_tls_step(c);
	if (!list_is_empty(&n->steps))
		n->is_step_due = loop_timer_set(n->step_timer, 0) == 0;
}

/* --- bytes --- */

/*
 * One read of the socket, as without TLS; all of it is decrypted now, so that
 * nothing waits in the session that no event would tell of. What a paused
 * connection may not hand out yet is held in the clear; it is not read again.
 */
void
conn_tls_read(struct conn *c)
{
	struct net	*n = c->net;
	size_t		 len = 0;
	ssize_t		 got;

	if (c->state == CONN_TLS) {
		conn_tls_on_ready(c);
		return;
	}
	got = recv(c->fd, n->tls_in, NET_READ_SIZE, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		conn_kill(c);
		return;
	}
	tls_lend(c->tls, n->tls_in, (size_t)got);
	do {
		got = tls_recv(c->tls, n->read_buf + len, NET_READ_SIZE - len);
		len += got > 0 ? (size_t)got : 0;
		if (len > 0 && (got <= 0 ||
		    len > NET_READ_SIZE - TLS_RECORD_MAX)) {
			conn_received(c, n->read_buf, len);
			len = 0;
		}
	} while (got > 0 && c->state != CONN_DEAD);
	if (c->state == CONN_DEAD || got == -EAGAIN)
		return;
	/* A request and the end may come as one; it is answered too. */
	if (got == 0 && c->out.len > 0)
		conn_flush(c);
	conn_kill(c);
}

/* The next record's bytes: lent where they lie together, else put together. */
static const char *
conn_tls_gather(struct conn *c, size_t *ret_len)
{
	struct iovec	 iov[16];
	size_t		 len = 0, part;
	int		 i, n;

	n = out_peek(&c->out, iov, (int)ARRAY_LEN(iov));
	if (n == 1 || iov[0].iov_len >= TLS_RECORD_MAX) {
		*ret_len = MIN_OF(iov[0].iov_len, (size_t)TLS_RECORD_MAX);
		return (iov[0].iov_base);
	}
	for (i = 0; i < n && len < TLS_RECORD_MAX; i++) {
		part = MIN_OF(iov[i].iov_len, (size_t)TLS_RECORD_MAX - len);
		memcpy(c->net->tls_out + len, iov[i].iov_base, part);
		len += part;
	}
	*ret_len = len;
	return (c->net->tls_out);
}

int
conn_tls_write(struct conn *c)
{
	const char	*p;
	size_t		 len;
	int		 i, r;

	r = tls_push(c->tls);
	for (i = 0; r == 0 && c->out.len > 0 && i < CONN_RECORDS; i++) {
		p = conn_tls_gather(c, &len);
		/* Taken whole, blocked or not: the queue may be cut then. */
		r = tls_send(c->tls, p, len);
		if (r == 0 || r == -EAGAIN)
			out_sent(&c->out, len);
	}
	return (r == -EAGAIN ? 0 : r);
}

/* The socket goes. */
void
conn_tls_end(struct conn *c)
{
	if (c->tls == NULL)
		return;
	if (c->state == CONN_TLS)
		c->net->n_handshakes--;
	else if (c->is_tls)
		tls_bye(c->tls);
	c->tls = tls_free(c->tls);
}
