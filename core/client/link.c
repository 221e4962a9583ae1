/* SPDX-License-Identifier: MIT */
#include "core/client/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/client/link_tls.h"
#include "core/client/reply.h"
#include "core/ws/ws.h"

#define LINK_READ_SIZE	KIB(32)
#define LINK_READS_MAX	16u	/* in a row, then others get their turn */
#define LINK_MASKS	64u	/* mask keys fetched at a time */

struct addr {
	struct sockaddr_storage	 ss;
	socklen_t		 len;
};

/*
 * A name lookup belongs to the worker pool while it runs; a link that goes away
 * meanwhile leaves it behind (link is NULL then).
 */
struct lookup {
	struct link	*link;
	struct url	 url;		/* host and port only */
	struct addr	 addrs[LINK_ADDRS_MAX];
	unsigned	 n_addrs;
	int		 err;		/* EAI_* */
};

enum link_state {
	LINK_LOOKUP,
	LINK_CONNECT,
	LINK_TLS,
	LINK_UPGRADE,
	LINK_OPEN,
	LINK_CLOSED,
};

struct link {
	struct loop		*loop;
	const struct url	*url;
	const struct trust	*trust;
	struct link_ticket	*ticket;
	const char		*protocol;
	const struct link_calls	*calls;
	void			*arg;
	enum link_state		 state;
	struct lookup		*lookup;
	struct addr		 addrs[LINK_ADDRS_MAX];
	unsigned		 n_addrs;
	unsigned		 next_addr;
	int			 fd;
	struct link_tls		*tls;		/* NULL: none, or not yet */
	struct loop_watch	*watch;
	char			 key[WS_KEY_LEN + 1];
	struct buf		 in;		/* the upgrade's answer */
	struct buf		 out;
	size_t			 out_sent;	/* of out */
	struct ws		 ws;
	unsigned char		 masks[LINK_MASKS][4];
	unsigned		 n_masks;
	bool			*is_gone;	/* set when freed in a callback */
	char			 sentence[512];
	char			 bytes[LINK_READ_SIZE];
};

static void	 link_try_next(struct link *l, int err);

static void
link_end(struct link *l, int status, int http_status, uint16_t code,
    const char *fmt, ...) printf_like(5, 6);

static void
link_disconnect(struct link *l)
{
	l->state = LINK_CLOSED;
	l->watch = loop_watch_free(l->watch);
	l->tls = link_tls_free(l->tls);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

/* The last thing a link says. */
static void
link_end(struct link *l, int status, int http_status, uint16_t code,
    const char *fmt, ...)
{
	struct link_end	 end = {
		.status = status,
		.http_status = http_status,
		.code = code,
		.sentence = l->sentence,
	};
	va_list		 ap;

	va_start(ap, fmt);
	(void)vsnprintf(l->sentence, sizeof l->sentence, fmt, ap);
	va_end(ap);
	link_disconnect(l);
	l->calls->on_end(&end, l->arg);
}

const char *
link_finger(const struct link *l, bool *ret_new)
{
	*ret_new = l->tls != NULL && link_tls_is_new(l->tls);
	return (l->tls != NULL ? link_tls_finger(l->tls) : "");
}

/* --- sending --- */

static int
link_flush(struct link *l)
{
	ssize_t	 n;

	while (l->out_sent < l->out.len) {
		if (l->tls != NULL)
			n = link_tls_send(l->tls, l->out.data + l->out_sent,
			    l->out.len - l->out_sent);
		else
			n = send(l->fd, l->out.data + l->out_sent,
			    l->out.len - l->out_sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return (-errno);
		l->out_sent += (size_t)n;
	}
	if (l->out_sent == l->out.len) {
		buf_reset(&l->out);
		l->out_sent = 0;
	}
	return (loop_watch_set(l->watch, LOOP_READ |
	    (l->out.len > 0 ? LOOP_WRITE : 0)));
}

/* Keys must not be guessable (RFC 6455 section 5.3); one call fetches many. */
static const unsigned char *
link_mask(struct link *l)
{
	if (l->n_masks == 0) {
		if (getrandom(l->masks, sizeof l->masks, 0) !=
		    (ssize_t)sizeof l->masks)
			return (NULL);
		l->n_masks = LINK_MASKS;
	}
	return (l->masks[--l->n_masks]);
}

static int
link_frame(struct link *l, enum ws_opcode op, const void *p, size_t len)
{
	unsigned char		 head[WS_HEAD_MAX];
	const unsigned char	*mask = link_mask(l);
	size_t			 n;

	if (mask == NULL)
		return (-EIO);
	if (l->out.len - l->out_sent + len > LINK_QUEUE_MAX)
		return (-ENOBUFS);
	n = ws_head(head, op, len, mask);
	/* Reserved as one, so that a frame is never queued in part. */
	if (buf_reserve(&l->out, n + len) < 0) {
		l->out.is_failed = false;
		return (-ENOMEM);
	}
	(void)buf_add(&l->out, head, n);
	(void)buf_add(&l->out, p, len);
	ws_mask(l->out.data + l->out.len - len, len, mask);
	return (0);
}

int
link_send(struct link *l, const void *text, size_t len)
{
	int	 r;

	if (l->state != LINK_OPEN)
		return (-ENOTCONN);
	r = link_frame(l, WS_OP_TEXT, text, len);
	if (r < 0)
		return (r);
	/* A broken socket is reported by the read that follows. */
	(void)link_flush(l);
	return (0);
}

void
link_close(struct link *l, uint16_t code, const char *reason)
{
	unsigned char	 body[2 + WS_REASON_MAX];

	if (l->state == LINK_OPEN && link_frame(l, WS_OP_CLOSE, body,
	    ws_close_body(body, code, reason)) == 0)
		(void)link_flush(l);
	link_disconnect(l);
}

/* --- receiving --- */

static bool
link_message(struct link *l, const struct ws_event *ev)
{
	bool	 gone = false;

	l->is_gone = &gone;
	l->calls->on_message(ev->data, ev->len, l->arg);
	if (gone)
		return (false);
	l->is_gone = NULL;
	return (l->state == LINK_OPEN);
}

/* Handles one event; false when the link is closed or gone. */
static bool
link_event(struct link *l, const struct ws_event *ev)
{
	unsigned char	 body[2 + WS_REASON_MAX];
	char		 reason[WS_CONTROL_MAX + 1];

	switch (ev->what) {
	case WS_MORE:
	case WS_PONG:
		return (true);
	case WS_MESSAGE:
		return (link_message(l, ev));
	case WS_PING:
		(void)link_frame(l, WS_OP_PONG, ev->data, ev->len);
		(void)link_flush(l);
		return (true);
	case WS_CLOSE:
		memcpy(reason, ev->data, ev->len);
		reason[ev->len] = '\0';
		(void)link_frame(l, WS_OP_CLOSE, body, ws_close_body(body,
		    ev->code, NULL));
		(void)link_flush(l);
		link_end(l, -ECONNRESET, 0, ev->code,
		    "the gateway closed the connection (%u%s%s)", ev->code,
		    reason[0] != '\0' ? " " : "", reason);
		return (false);
	case WS_FAIL:
	default:
		(void)link_frame(l, WS_OP_CLOSE, body, ws_close_body(body,
		    ev->code, NULL));
		(void)link_flush(l);
		link_end(l, -EPROTO, 0, 0,
		    "the gateway broke the WebSocket protocol");
		return (false);
	}
}

static bool
link_feed(struct link *l, char *p, size_t len)
{
	struct ws_event	 ev;
	size_t		 used;

	do {
		if (ws_feed(&l->ws, p, len, &used, &ev) < 0) {
			link_end(l, -ENOMEM, 0, 0, "out of memory");
			return (false);
		}
		p += used;
		len -= used;
		if (!link_event(l, &ev))
			return (false);
	} while (ev.what != WS_MORE);
	return (true);
}

/* --- the upgrade --- */

static int
link_ask(struct link *l)
{
	unsigned char	 nonce[16];

	if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
		return (-EIO);
	ws_base64(nonce, sizeof nonce, l->key);
	(void)buf_printf(&l->out, "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: %s\r\n\r\n", l->url->target,
	    l->url->authority, l->key, l->protocol);
	if (l->out.is_failed)
		return (-ENOMEM);
	l->state = LINK_UPGRADE;
	return (link_flush(l));
}

/* Frames may follow the head at once; they move out of in, which goes. */
static bool
link_feed_rest(struct link *l, const char *rest, size_t len)
{
	char	*frames;
	bool	 ok;

	frames = malloc(len);
	if (frames == NULL) {
		link_end(l, -ENOMEM, 0, 0, "out of memory");
		return (false);
	}
	memcpy(frames, rest, len);
	buf_fini(&l->in);
	ok = link_feed(l, frames, len);
	free(frames);
	return (ok);
}

/* Reads the answer to the upgrade; false when the link is closed or gone. */
static bool
link_reply(struct link *l, const char *p, size_t len)
{
	struct reply	 reply;
	bool		 gone = false;
	int		 n;

	if (buf_add(&l->in, p, len) < 0) {
		link_end(l, -ENOMEM, 0, 0, "out of memory");
		return (false);
	}
	n = reply_read(l->in.data, l->in.len, l->key, l->protocol, &reply);
	if (n == 0)
		return (true);
	if (n < 0) {
		link_end(l, n, 0, 0, "no gateway answers there: %s",
		    reply.why);
		return (false);
	}
	if (reply.status != 101) {
		link_end(l, -ECONNREFUSED, (int)reply.status, 0,
		    "the gateway refused the connection (HTTP %u%s%s)",
		    reply.status, *reply.words != '\0' ? ": " : "",
		    reply.words);
		return (false);
	}
	l->state = LINK_OPEN;
	l->is_gone = &gone;
	l->calls->on_open(l->arg);
	if (gone)
		return (false);
	l->is_gone = NULL;
	if (l->state != LINK_OPEN)
		return (false);
	if ((size_t)n < l->in.len)
		return (link_feed_rest(l, l->in.data + n,
		    l->in.len - (size_t)n));
	buf_fini(&l->in);
	return (true);
}

static void
link_read(struct link *l)
{
	unsigned	 i;
	ssize_t		 n;
	bool		 gone = false;

	for (i = 0; i < LINK_READS_MAX; i++) {
		if (l->tls != NULL)
			n = link_tls_recv(l->tls, l->bytes, sizeof l->bytes);
		else
			n = recv(l->fd, l->bytes, sizeof l->bytes,
			    MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			link_end(l, -errno, 0, 0, "the connection broke: %s",
			    strerror(errno));
			return;
		}
		if (n == 0) {
			link_end(l, -ECONNRESET, 0, 0, l->state == LINK_OPEN ?
			    "the gateway went away" :
			    "the connection was closed before the upgrade");
			return;
		}
		l->is_gone = &gone;
		l->calls->on_bytes(l->arg);
		if (gone)
			return;
		l->is_gone = NULL;
		if (l->state == LINK_UPGRADE) {
			if (!link_reply(l, l->bytes, (size_t)n))
				return;
		} else if (!link_feed(l, l->bytes, (size_t)n)) {
			return;
		}
		/* TLS gives a record at a time; the next may be there too. */
		if (l->tls == NULL && (size_t)n < sizeof l->bytes)
			return;
	}
}

/* --- connecting --- */

/* One step; what the certificate is worth is known before a word is said. */
static void
link_secure(struct link *l)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	r = link_tls_handshake(l->tls, &why);
	if (r == -EAGAIN) {
		(void)loop_watch_set(l->watch, link_tls_wants_write(l->tls) ?
		    LOOP_WRITE : LOOP_READ);
		return;
	}
	if (r == 0)
		r = link_tls_check(l->tls, l->trust, &why);
	if (r == 0)
		r = link_ask(l);
	if (r < 0)
		link_end(l, r, 0, 0, "%.*s", why.len > 0 ? (int)why.len : 13,
		    why.len > 0 ? why.data : "out of memory");
	buf_fini(&why);
}

/* TCP is there. */
static int
link_connected(struct link *l)
{
	if (!l->url->is_tls)
		return (link_ask(l));
	l->tls = link_tls_new(l->fd, l->url, l->ticket);
	if (l->tls == NULL)
		return (-ENOMEM);
	l->state = LINK_TLS;
	link_secure(l);
	return (0);
}

static void
link_on_watch(int fd, uint32_t what, void *arg)
{
	struct link	*l = arg;
	int		 err = 0, r;
	socklen_t	 len = sizeof err;

	if (l->state == LINK_CONNECT) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
			err = errno;
		r = err == 0 ? link_connected(l) : -err;
		if (r < 0)
			link_try_next(l, r);
		return;
	}
	if (l->state == LINK_TLS) {
		link_secure(l);
		return;
	}
	if (what & LOOP_WRITE) {
		r = link_flush(l);
		if (r < 0) {
			link_end(l, r, 0, 0, "the connection broke: %s",
			    strerror(-r));
			return;
		}
	}
	if (what & LOOP_READ)
		link_read(l);
}

static int
link_connect(struct link *l, const struct addr *a)
{
	int	 one = 1, r;

	l->fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return (-errno);
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	r = connect(l->fd, (const struct sockaddr *)&a->ss, a->len);
	if (r < 0 && errno != EINPROGRESS)
		return (-errno);
	l->state = LINK_CONNECT;
	l->watch = loop_watch_new(l->loop, l->fd, LOOP_WRITE, link_on_watch, l);
	return (l->watch == NULL ? -ENOMEM : 0);
}

/* Starts with the next address, or ends with why the last one failed. */
static void
link_try_next(struct link *l, int err)
{
	int	 r = err;

	do {
		link_disconnect(l);
		buf_reset(&l->out);
		l->out_sent = 0;
		if (l->next_addr == l->n_addrs) {
			link_end(l, r, 0, 0, "cannot connect to %s: %s",
			    l->url->authority, strerror(-r));
			return;
		}
		r = link_connect(l, &l->addrs[l->next_addr++]);
	} while (r < 0);
}

static void
lookup_add(struct lookup *k, const struct addrinfo *list)
{
	struct addr	*a;

	for (; list != NULL && k->n_addrs < LINK_ADDRS_MAX;
	    list = list->ai_next) {
		if (list->ai_addrlen > sizeof a->ss)
			continue;
		a = &k->addrs[k->n_addrs++];
		memcpy(&a->ss, list->ai_addr, list->ai_addrlen);
		a->len = list->ai_addrlen;
	}
}

static int
lookup_name(struct lookup *k, const char *host, int flags)
{
	struct addrinfo	 hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = flags | AI_NUMERICSERV,
	}, *list;
	int		 err;

	err = getaddrinfo(host, k->url.port, &hints, &list);
	if (err != 0)
		return (err);
	lookup_add(k, list);
	freeaddrinfo(list);
	return (0);
}

/* On a worker's thread; nothing of the link may be touched here. */
static void
lookup_run(void *arg)
{
	struct lookup	*k = arg;

	k->err = lookup_name(k, k->url.host, AI_ADDRCONFIG);
}

static void
link_found(struct link *l, const struct lookup *k)
{
	memcpy(l->addrs, k->addrs, sizeof l->addrs);
	l->n_addrs = k->n_addrs;
	if (k->err != 0) {
		link_end(l, -EHOSTUNREACH, 0, 0, "cannot find %s: %s",
		    l->url->host, gai_strerror(k->err));
		return;
	}
	link_try_next(l, -EHOSTUNREACH);
}

static void
lookup_done(void *arg)
{
	struct lookup	*k = arg;
	struct link	*l = k->link;

	if (l != NULL) {
		l->lookup = NULL;
		link_found(l, k);
	}
	free(k);
}

/*
 * Numbers and "localhost" need no worker: they are answered without the network.
 * The result still comes from the loop, as on_end may not come out of link_new().
 */
static int
link_start(struct link *l)
{
	struct lookup	*k;
	int		 r;

	k = calloc(1, sizeof *k);
	if (k == NULL)
		return (-ENOMEM);
	k->link = l;
	memcpy(k->url.host, l->url->host, sizeof k->url.host);
	memcpy(k->url.port, l->url->port, sizeof k->url.port);
	if (strcasecmp(k->url.host, "localhost") == 0) {
		k->err = lookup_name(k, "127.0.0.1", AI_NUMERICHOST);
		if (k->err == 0)
			(void)lookup_name(k, "::1", AI_NUMERICHOST);
		r = loop_defer(l->loop, lookup_done, k);
	} else if (lookup_name(k, k->url.host, AI_NUMERICHOST) == 0) {
		r = loop_defer(l->loop, lookup_done, k);
	} else {
		r = loop_work(l->loop, lookup_run, lookup_done, k);
	}
	if (r < 0) {
		free(k);
		return (r);
	}
	l->lookup = k;
	return (0);
}

struct link *
link_new(struct loop *loop, const struct url *url, const struct trust *trust,
    struct link_ticket *ticket, const char *protocol,
    const struct link_calls *calls, void *arg)
{
	struct link	*l;

	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (NULL);
	l->loop = loop;
	l->url = url;
	l->trust = trust;
	l->ticket = ticket;
	l->protocol = protocol;
	l->calls = calls;
	l->arg = arg;
	l->fd = -1;
	ws_init(&l->ws, WS_CLIENT, LINK_MESSAGE_MAX);
	if (link_start(l) < 0)
		return (link_free(l));
	return (l);
}

struct link *
link_free(struct link *l)
{
	if (l == NULL)
		return (NULL);
	if (l->is_gone != NULL)
		*l->is_gone = true;
	if (l->lookup != NULL)
		l->lookup->link = NULL;
	link_disconnect(l);
	ws_fini(&l->ws);
	buf_fini(&l->in);
	buf_fini(&l->out);
	free(l);
	return (NULL);
}
