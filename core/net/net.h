/* SPDX-License-Identifier: MIT */
/*
 * Sockets: listeners, HTTP heads, WebSocket connections, back-pressure. Knows
 * nothing of JSON: what a message says is the business of the handler.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "core/base/base.h"
#include "core/base/buf.h"

struct conn;
struct hreq;
struct http_head;
struct loop;
struct net;
struct outseg;
struct tls_ctx;

/* Every limit of this part; see net_limits_default(). */
struct net_limits {
	uint32_t	unauth_per_source;	/* sockets; 503 at upgrade above */
	uint32_t	unauth_total;		/* closed at accept above */
	uint32_t	conns_max;		/* open sockets, all states */
	uint32_t	handshakes_max;		/* TLS handshakes under way */
	uint64_t	handshake_us;		/* accept to authenticated */
	uint64_t	ping_us;		/* between pings, and for a pong */
	uint64_t	message_us;	/* from the first byte to the last one */
	uint64_t	close_grace_us;		/* from our close frame to the end */
	size_t		message_first;		/* bytes, before authentication */
	size_t		message_max;		/* bytes, after it */
	size_t		out_max;		/* queued bytes: slow consumer */
	size_t		out_pause;		/* queued bytes: stop reading */
	size_t		out_total;	/* memory of the queues of all */
	size_t		held_max;	/* bytes of messages in pieces, all */
};

/* What a WebSocket upgrade looked like; lent during on_open(). */
struct net_upgrade {
	const struct http_head	*head;
	const char		*protocol;	/* to be echoed, or NULL */
	size_t			 protocol_len;
};

struct net_reply {
	unsigned	 status;
	const char	*type;		/* content type */
	const char	*extra;		/* more header lines with CRLF, or NULL */
	const char	*body;
	size_t		 body_len;
};

/* All on the loop thread. A connection may be closed from any of them. */
struct net_handler {
	/* Upgrade wanted: 0 accepts, else fill reply and return its status. */
	int	(*on_upgrade)(void *arg, struct conn *conn,
		    const struct net_upgrade *up, struct net_reply *reply);
	void	(*on_open)(void *arg, struct conn *conn);
	/* One message, valid UTF-8. data is lent, and writable. */
	void	(*on_message)(void *arg, struct conn *conn, char *data,
		    size_t len);
	/* The socket is gone; the last call for it. */
	void	(*on_close)(void *arg, struct conn *conn);
	/* A plain HTTP request: answer it, or own it (http.h). */
	void	(*on_http)(void *arg, struct hreq *q);
	void	*arg;
	const char *const *protocols;	/* subprotocols preferred; NULL ends */
};

struct net_stats {
	uint64_t	accepted, refused_source, refused_total, refused_fd;
	uint64_t	timeouts, slow_consumers, protocol_errors;
	uint64_t	shed;		/* of the slow: closed for the rest */
	uint64_t	dropped;	/* frames, for want of room for all */
	uint64_t	tls_done, tls_resumed, tls_failed, tls_refused;
	uint32_t	n_open, n_unauth;
};

void	 net_limits_default(struct net_limits *lim);
struct net *net_new(struct loop *l, const struct net_limits *lim,
    const struct net_handler *handler) must_use;
struct net *net_free(struct net *n);
/*
 * Listens on address (numeric) and port (0: any). ret_port gets the real one.
 * why gets a sentence on failure.
 */
int	 net_listen(struct net *n, const char *address, uint16_t port,
	    uint16_t *ret_port, struct buf *why);
/*
 * The same, for Tailscale Serve alone: connections through it are not straight
 * from whom they come.
 */
int	 net_listen_serve(struct net *n, uint16_t port, uint16_t *ret_port,
	    struct buf *why);
int	 net_listen_fd(struct net *n, int fd, uint16_t *ret_port); /* takes fd */
int	 net_listen_serve_fd(struct net *n, int fd, uint16_t *ret_port); /* too */
void	 net_stop_listening(struct net *n);
/* Leaves newcomers in the backlogs of the kernel: listeners are not closed. */
void	 net_hold_listening(struct net *n);
/*
 * The value of Strict-Transport-Security (RFC 6797) of every answer; NULL: none.
 * -EINVAL: not fit for a header.
 */
int	 net_set_hsts(struct net *n, const char *value);
/* Ends idle HTTP connections, and others with the answer that is due. */
void	 net_drain_http(struct net *n);
/*
 * Gives the descriptors of the listeners, max at most; bit i of ret_serve: it is
 * one of net_listen_serve(). Then the net listens no more.
 */
size_t	 net_take_listeners(struct net *n, int *ret_fds, size_t max,
	    uint32_t *ret_serve);
/*
 * From now on connections to this port (0: to all that are listened on) are TLS.
 * Those that are there keep what they have. ctx is counted.
 */
int	 net_set_tls(struct net *n, struct tls_ctx *ctx, uint16_t port);
const struct net_stats *net_stats(const struct net *n);
/* Runs cb for every open WebSocket; it may close the one it gets. */
void	 net_each(struct net *n, void (*cb)(struct conn *conn, void *arg),
	    void *arg);

/* A connection. Valid from on_open() until on_close() returned. */
void	 conn_set_user(struct conn *c, void *user);
void	*conn_user(const struct conn *c);
/* It proved who it is: leaves the budget and gets the larger limits. */
void	 conn_authenticated(struct conn *c);
const char *conn_remote(const struct conn *c);	/* numeric address */
bool	 conn_is_loopback(const struct conn *c);
bool	 conn_is_tls(const struct conn *c);
bool	 conn_is_serve(const struct conn *c);	/* see net_listen_serve() */
bool	 conn_is_closing(const struct conn *c);
size_t	 conn_queued(const struct conn *c);	/* bytes not yet sent */

/*
 * Queues one text frame; sent at the end of the turn, together with what else is
 * queued by then. -EPIPE when closing, -ENOBUFS when the peer is too slow: the
 * connection is then being closed with 1008. With is_droppable nothing is closed
 * and the frame is not queued: -EAGAIN.
 */
int	 conn_send(struct conn *c, const char *text, size_t len,
	    bool is_droppable);
/* The same for head + shared body + tail; the body is counted, not copied. */
int	 conn_send_shared(struct conn *c, struct outseg *body, const char *head,
	    size_t head_len, const char *tail, size_t tail_len,
	    bool is_droppable);
/* Sends a close frame (1005: without a code) and ends after the grace. */
void	 conn_close(struct conn *c, uint16_t code, const char *reason);
/* Forgets what is queued, but for the frame that is under way. */
void	 conn_cut(struct conn *c);
/* Ends at once, without a close frame. */
void	 conn_kill(struct conn *c);
/* Stops and restarts reading; calls nest. */
void	 conn_pause(struct conn *c);
void	 conn_resume(struct conn *c);
/*
 * Within on_message(): keeps the message's bytes beyond the call. Gives a
 * malloc()ed copy, without copying where it was gathered from pieces.
 */
char	*conn_take_message(struct conn *c, char *data, size_t len) must_use;

/* Bytes that several connections send: counted. */
struct outseg *outseg_new(const char *p, size_t len) must_use;
struct outseg *outseg_ref(struct outseg *s);
struct outseg *outseg_unref(struct outseg *s);

#endif
