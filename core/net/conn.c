/* SPDX-License-Identifier: MIT */
/* One socket: HTTP head, then WebSocket; what it sends and how it ends. */
#include "core/net/net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/http_head.h"
#include "core/net/net_priv.h"

#define CONN_IOV	48
#define CONN_FLAT	KIB(4)	/* pieces up to here are put together */
#define CONN_SENDS	4	/* writes a turn, for fairness */

static void	conn_feed(struct conn *c, char *bytes, size_t len);

void
conn_move(struct conn *c, struct list *to, uint64_t after_us)
{
	list_remove(&c->link);
	list_append(to, &c->link);
	c->deadline = clock_now_us() + after_us;
}

void
conn_set_reading(struct conn *c, bool is_on)
{
	if (is_on == c->is_reading)
		return;
	if (is_on)
		(void)event_add(&c->ev_read, NULL);
	else
		(void)event_del(&c->ev_read);
	c->is_reading = is_on;
}

void
conn_update_reading(struct conn *c)
{
	if (c->state == CONN_HTTP) {
		conn_set_reading(c, http_wants_read(c));
		return;
	}
	conn_set_reading(c, c->state != CONN_DEAD && (c->state == CONN_LINGER ||
	    (c->n_paused == 0 && !c->is_full)));
}

void
conn_dirty(struct conn *c)
{
	if (!list_is_empty(&c->dirty))
		return;
	list_append(&c->net->dirty, &c->dirty);
	net_want_flush(c->net);
}

/* Output is queued that ends this connection; the peer has the grace to read it. */
void
conn_linger(struct conn *c)
{
	c->state = CONN_LINGER;
	buf_fini(&c->held);
	conn_move(c, &c->net->linger, c->net->lim.close_grace_us);
	conn_update_reading(c);
	conn_dirty(c);
}

void
conn_kill(struct conn *c)
{
	struct net	*n = c->net;

	if (c->state == CONN_DEAD)
		return;
	conn_tls_end(c);
	c->state = CONN_DEAD;
	(void)event_del(&c->ev_read);
	(void)event_del(&c->ev_write);
	(void)close(c->fd);
	c->fd = -1;
	list_remove(&c->dirty);
	list_remove(&c->link);
	list_append(&n->dead, &c->link);
	net_release_source(n, c);
	n->stats.n_open--;
	out_fini(&c->out);
	buf_fini(&c->held);
	if (c->is_opened)
		n->handler.on_close(n->handler.arg, c);
	if (c->http != NULL)
		http_gone(c->http);
	net_want_flush(n);
}

void
conn_free(struct conn *c)
{
	list_remove(&c->link);
	c->net->held -= c->n_held;
	ws_fini(&c->ws);
	http_free(c->http);
	free(c);
}

void
conn_on_timeout(struct conn *c)
{
	c->net->stats.timeouts++;
	if (c->state == CONN_OPEN)
		conn_close(c, 1000, "");
	else
		conn_kill(c);
}

void
conn_on_ping_due(struct conn *c)
{
	static const unsigned char	 ping[2] = { 0x89, 0 };
	size_t				 queued = c->out.len;

	/* A message that never ends (AB-006); looked at once a ping. */
	if (c->message_us != 0 &&
	    clock_now_us() - c->message_us > c->net->lim.message_us) {
		c->net->stats.timeouts++;
		conn_close(c, 1008, "message took too long");
		return;
	}
	/* Unanswered, or the last one has not even been sent. */
	if (c->is_ping_due) {
		c->net->stats.timeouts++;
		conn_kill(c);
		return;
	}
	c->is_ping_due = true;
	conn_move(c, &c->net->open, c->net->lim.ping_us);
	if (queued == 0 && out_add(&c->out, ping, sizeof ping, NULL, 0) == 0)
		conn_dirty(c);
}

static void
conn_upgrade(struct conn *c, const struct http_head *h, const struct http_ws *ws)
{
	struct net		*n = c->net;
	struct net_upgrade	 up = {
		.head = h,
		.protocol = ws->protocol,
		.protocol_len = ws->protocol_len,
	};
	struct net_reply	 reply = { .status = 400 };
	char			 accept[WS_ACCEPT_SIZE];
	struct buf		 b = BUF_INIT;

	if (c->source != NULL && c->source->n > n->lim.unauth_per_source) {
		static const char text[] = "Too many unauthenticated sockets";

		n->stats.refused_source++;
		reply = (struct net_reply){ .status = 503, .body = text,
		    .body_len = sizeof text - 1 };
		conn_http_reply(c, &reply);
		return;
	}
	if (n->handler.on_upgrade(n->handler.arg, c, &up, &reply) != 0) {
		conn_http_reply(c, &reply);
		return;
	}
	/* From here on the handler hears of its end. */
	c->is_opened = true;
	ws_accept_key(ws->key, WS_KEY_LEN, accept);
	(void)buf_printf(&b, "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n", accept);
	if (ws->protocol != NULL)
		(void)buf_printf(&b, "Sec-WebSocket-Protocol: %.*s\r\n",
		    (int)ws->protocol_len, ws->protocol);
	(void)buf_puts(&b, "\r\n");
	if (b.is_failed || out_add(&c->out, b.data, b.len, NULL, 0) < 0) {
		buf_fini(&b);
		conn_kill(c);
		return;
	}
	buf_fini(&b);
	if (c->n_requests > 0)	/* it carried other requests before */
		conn_move(c, &n->fresh, n->lim.handshake_us);
	c->state = CONN_OPEN;
	conn_dirty(c);
	n->handler.on_open(n->handler.arg, c);
}

/* Reads an HTTP head from what is held; bytes behind it stay held. */
void
conn_head(struct conn *c)
{
	struct http_head	 h;
	struct http_ws		 ws;
	uint16_t		 status;
	struct buf		 rest;
	int			 used, r;

	used = http_head_parse(c->held.data, c->held.len, &h);
	if (used == 0)
		return;
	if (used < 0) {
		conn_http_error(c, h.status, NULL);
		return;
	}
	r = http_head_ws(&h, c->net->handler.protocols, &ws, &status);
	if (r == 0) {
		http_start(c, &h, (size_t)used);
		return;
	}
	/* The head's strings point into this buffer until the end of the call. */
	rest = c->held;
	buf_init(&c->held);
	if (r < 0)
		conn_http_error(c, status, status == 426 ?
		    "Sec-WebSocket-Version: 13\r\n" : NULL);
	else
		conn_upgrade(c, &h, &ws);
	if (c->state == CONN_OPEN && rest.len > (size_t)used)
		conn_feed(c, rest.data + used, rest.len - (size_t)used);
	buf_fini(&rest);
}

static void
conn_pong(struct conn *c, const struct ws_event *ev)
{
	unsigned char	 head[14];
	size_t		 n;

	/*
	 * While output is waiting, a pong would only queue up behind it: a peer
	 * that pings without reading gets none (AB-007).
	 */
	if (c->out.len > KIB(4))
		return;
	n = ws_head(head, WS_OP_PONG, ev->len, NULL);
	if (out_add(&c->out, head, n, ev->data, ev->len) < 0)
		conn_kill(c);
	else
		conn_dirty(c);
}

static void
conn_on_peer_close(struct conn *c, uint16_t code)
{
	c->has_peer_close = true;
	if (c->state == CONN_OPEN)
		conn_close(c, code, "");
	conn_dirty(c);
}

/*
 * What was received and not handed out is bounded for all connections together
 * too: a hundred peers with 25 MiB each are not what the machine is for.
 */
static void
conn_count_held(struct conn *c)
{
	struct net	*n = c->net;
	size_t		 now = ws_held(&c->ws) + c->held.cap;

	n->held = n->held - c->n_held + now;
	c->n_held = now;
	if (!ws_is_busy(&c->ws))
		c->message_us = 0;
	else if (c->message_us == 0)
		c->message_us = clock_now_us();
	if (unlikely(n->held > n->lim.held_max) && c->state == CONN_OPEN)
		conn_close(c, 1013, "the server is busy");
}

/* Hands bytes to the WebSocket parser and its events on. */
static void
conn_feed(struct conn *c, char *bytes, size_t len)
{
	struct net	*n = c->net;
	struct ws_event	 ev = { .what = WS_MORE };
	size_t		 used;

	c->is_in_feed = true;
	/* Once more after the last byte: that call gives memory back. */
	do {
		if (c->state == CONN_OPEN && (c->n_paused > 0 || c->is_full))
			break;
		if (ws_feed(&c->ws, bytes, len, &used, &ev) < 0) {
			conn_kill(c);
			break;
		}
		bytes += used;
		len -= used;
		if (c->state == CONN_LINGER) {
			/* Only the peer's own close frame still matters. */
			if (ev.what == WS_CLOSE)
				conn_on_peer_close(c, ev.code);
			if (ev.what == WS_CLOSE || ev.what == WS_FAIL)
				break;
			continue;
		}
		switch (ev.what) {
		case WS_MORE:
			break;
		case WS_MESSAGE:
			n->handler.on_message(n->handler.arg, c, ev.data,
			    ev.len);
			break;
		case WS_PING:
			conn_pong(c, &ev);
			break;
		case WS_PONG:
			c->is_ping_due = false;
			break;
		case WS_CLOSE:
			conn_on_peer_close(c, ev.code);
			break;
		case WS_FAIL:
			n->stats.protocol_errors++;
			conn_close(c, ev.code, "");
			break;
		}
	} while (c->state != CONN_DEAD && ev.what != WS_MORE);
	c->is_in_feed = false;
	if (len > 0 && c->state == CONN_OPEN &&
	    buf_add(&c->held, bytes, len) < 0)
		conn_kill(c);
	conn_count_held(c);
	conn_update_reading(c);
}

/* Bytes of the peer, in the clear. */
void
conn_received(struct conn *c, char *p, size_t len)
{
	switch (c->state) {
	case CONN_HEAD:
		/* Bounded: the head parser refuses what is longer than its limit. */
		if (buf_add(&c->held, p, len) < 0)
			conn_kill(c);
		else
			conn_head(c);
		break;
	case CONN_HTTP:
		http_received(c, p, len);
		break;
	case CONN_OPEN:
		conn_feed(c, p, len);
		break;
	case CONN_LINGER:
		if (c->is_opened && !c->has_peer_close)
			conn_feed(c, p, len);
		break;
	default:
		break;
	}
}

static void
conn_on_read(int fd, short what, void *arg)
{
	struct conn	*c = arg;
	struct net	*n = c->net;
	ssize_t		 got;

	(void)what;
	if (c->is_tls) {
		conn_tls_read(c);
		return;
	}
	got = recv(fd, n->read_buf, NET_READ_SIZE, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		conn_kill(c);
		return;
	}
	conn_received(c, n->read_buf, (size_t)got);
}

static void
conn_on_write(int fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	if (c->state == CONN_TLS)
		conn_tls_on_ready(c);
	else
		conn_flush(c);
}

void
conn_set_writing(struct conn *c, bool is_on)
{
	if (is_on == c->is_writing)
		return;
	if (is_on)
		(void)event_add(&c->ev_write, NULL);
	else
		(void)event_del(&c->ev_write);
	c->is_writing = is_on;
}

/* All is sent: what ends a lingering connection, or lets it read again. */
static void
conn_drained(struct conn *c)
{
	if (c->state != CONN_LINGER)
		return;
	if (c->has_peer_close)
		conn_kill(c);
	else if (!c->is_opened) {
		if (c->tls != NULL)
			tls_bye(c->tls);
		(void)shutdown(c->fd, SHUT_WR);
	}
}

/* What the socket takes; 0, or negative when it is broken. */
static int
conn_write(struct conn *c)
{
	static char	 flat[CONN_FLAT];
	struct iovec	 iov[CONN_IOV] no_clear;
	struct msghdr	 msg;
	size_t		 len;
	ssize_t		 n;
	int		 i, j, k;

	for (i = 0; c->out.len > 0 && i < CONN_SENDS; i++) {
		k = out_peek(&c->out, iov, CONN_IOV);
		if (k > 1 && c->out.len <= sizeof flat) {
			/* A small copy is cheaper than a list for the kernel. */
			for (len = 0, j = 0; j < k; j++) {
				memcpy(flat + len, iov[j].iov_base,
				    iov[j].iov_len);
				len += iov[j].iov_len;
			}
			n = send(c->fd, flat, len, MSG_NOSIGNAL);
		} else if (k == 1)
			n = send(c->fd, iov[0].iov_base, iov[0].iov_len,
			    MSG_NOSIGNAL);
		else {
			memset(&msg, 0, sizeof msg);
			msg.msg_iov = iov;
			msg.msg_iovlen = (size_t)k;
			n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return (-errno);
		out_sent(&c->out, (size_t)n);
	}
	return (0);
}

void
conn_flush(struct conn *c)
{
	struct buf	 held;
	size_t		 before;
	bool		 is_waiting;

	if (c->state == CONN_HTTP)
		http_before_flush(c);
	if (c->held.len > 0 && c->state == CONN_OPEN && c->n_paused == 0 &&
	    !c->is_full) {
		held = c->held;
		buf_init(&c->held);
		conn_feed(c, held.data, held.len);
		buf_fini(&held);
	}
	if (c->state == CONN_DEAD)
		return;
	before = c->out.len;
	if ((c->is_tls ? conn_tls_write(c) : conn_write(c)) < 0) {
		conn_kill(c);
		return;
	}
	is_waiting = c->out.len > 0 || (c->is_tls && tls_is_blocked(c->tls));
	conn_set_writing(c, is_waiting);
	if (c->is_full && c->out.len < c->net->lim.out_pause / 2) {
		c->is_full = false;
		conn_update_reading(c);
		if (c->held.len > 0)
			conn_dirty(c);
	}
	if (c->state == CONN_HTTP)
		http_after_flush(c, c->out.len < before, is_waiting);
	else if (!is_waiting)
		conn_drained(c);
}

int
conn_open(struct net *n, int fd, const char *remote, bool is_loopback,
    bool is_tls, struct source *source)
{
	struct conn	*c;

	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	c->net = n;
	c->fd = fd;
	c->source = source;
	c->is_loopback = is_loopback;
	c->is_tls = is_tls;
	c->state = is_tls ? CONN_TLS : CONN_HEAD;
	c->is_serve = n->is_serve;
	(void)snprintf(c->remote, sizeof c->remote, "%s", remote);
	buf_init(&c->held);
	list_init(&c->dirty);
	list_init(&c->link);
	ws_init(&c->ws, WS_SERVER, n->lim.message_first);
	(void)event_assign(&c->ev_read, n->base, fd, EV_READ | EV_PERSIST,
	    conn_on_read, c);
	(void)event_assign(&c->ev_write, n->base, fd, EV_WRITE | EV_PERSIST,
	    conn_on_write, c);
	conn_update_reading(c);
	n->stats.n_open++;
	c->since_us = clock_now_us();
	/* The deadline counts from accept and is never renewed (AB-002). */
	conn_move(c, &n->fresh, n->lim.handshake_us);
	return (0);
}

void
conn_set_user(struct conn *c, void *user)
{
	c->user = user;
}

void *
conn_user(const struct conn *c)
{
	return (c->user);
}

void
conn_authenticated(struct conn *c)
{
	if (c->is_authed || c->state != CONN_OPEN)
		return;
	c->is_authed = true;
	net_release_source(c->net, c);
	ws_set_max(&c->ws, c->net->lim.message_max);
	conn_move(c, &c->net->open, c->net->lim.ping_us);
}

const char *
conn_remote(const struct conn *c)
{
	return (c->remote);
}

bool
conn_is_loopback(const struct conn *c)
{
	return (c->is_loopback && !c->is_serve);
}

bool
conn_is_serve(const struct conn *c)
{
	return (c->is_serve);
}

bool
conn_is_tls(const struct conn *c)
{
	return (c->is_tls);
}

bool
conn_is_closing(const struct conn *c)
{
	return (c->state != CONN_OPEN);
}

size_t
conn_queued(const struct conn *c)
{
	return (c->out.len);
}

static int
conn_queued_some(struct conn *c, int r)
{
	if (r < 0) {
		/*
		 * Out of memory. Not killed here: who sends to many would lose
		 * its place in the list of connections.
		 */
		out_fini(&c->out);
		conn_linger(c);
		return (r);
	}
	if (c->out.len > c->net->lim.out_pause && !c->is_full) {
		c->is_full = true;
		conn_update_reading(c);
	}
	conn_dirty(c);
	return (0);
}

int
conn_send(struct conn *c, const char *text, size_t len, bool is_droppable)
{
	unsigned char	 head[14];
	size_t		 n;
	int		 r;

	r = conn_room(c, len, len, is_droppable);
	if (r < 0)
		return (r);
	n = ws_head(head, WS_OP_TEXT, len, NULL);
	return (conn_queued_some(c, out_add(&c->out, head, n, text, len)));
}

int
conn_send_shared(struct conn *c, struct outseg *body, const char *head,
    size_t head_len, const char *tail, size_t tail_len, bool is_droppable)
{
	char	 first[14 + 512];
	size_t	 n, len = head_len + outseg_len(body) + tail_len;
	int	 r;

	if (head_len > sizeof first - 14)
		return (-EINVAL);
	r = conn_room(c, len, len - outseg_len(body), is_droppable);
	if (r < 0)
		return (r);
	n = ws_head((unsigned char *)first, WS_OP_TEXT, len, NULL);
	memcpy(first + n, head, head_len);
	return (conn_queued_some(c, out_add_shared(&c->out, first, n + head_len,
	    body, tail, tail_len)));
}

void
conn_close(struct conn *c, uint16_t code, const char *reason)
{
	unsigned char	 frame[4 + WS_REASON_MAX];
	size_t		 n;

	if (c->state == CONN_TLS || c->state == CONN_HEAD ||
	    c->state == CONN_HTTP) {
		conn_kill(c);
		return;
	}
	if (c->state != CONN_OPEN)
		return;
	n = ws_close_body(frame + 2, code, reason);
	frame[0] = 0x80 | WS_OP_CLOSE;
	frame[1] = (unsigned char)n;
	if (out_add(&c->out, frame, 2 + n, NULL, 0) < 0)
		out_fini(&c->out);
	conn_linger(c);
}

void
conn_pause(struct conn *c)
{
	c->n_paused++;
	if (!c->is_in_feed)
		conn_update_reading(c);
}

void
conn_resume(struct conn *c)
{
	if (c->n_paused == 0 || --c->n_paused > 0 || c->state != CONN_OPEN)
		return;
	if (!c->is_in_feed) {
		conn_update_reading(c);
		if (c->held.len > 0)
			conn_dirty(c);
	}
}

void
conn_cut(struct conn *c)
{
	out_cut(&c->out);
}

char *
conn_take_message(struct conn *c, char *data, size_t len)
{
	char	*p;

	if (ws_take_message(&c->ws, data, &p))
		return (p);
	p = malloc(len + 1);
	if (p != NULL)
		memcpy(p, data, len);
	return (p);
}
