/* SPDX-License-Identifier: MIT */
/* The members of struct net and struct conn, for core/net and its tests. */
#ifndef NET_NET_PRIV_H
#define NET_NET_PRIV_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "core/base/buf.h"
#include "core/base/loop.h"
#include "core/base/map.h"
#include "core/net/net.h"
#include "core/net/out.h"
#include "core/net/tls.h"
#include "core/ws/ws.h"

#define NET_READ_SIZE	KIB(64)	/* one read; bounds the frames of a wake-up */
#define NET_LISTEN_MAX	8

/*
 * TLS: the handshake, or what was expected to be one. HEAD: reading an HTTP head.
 * HTTP: a request that is answered (http_conn.c). OPEN: WebSocket. LINGER: our
 * close frame or HTTP answer is queued; what comes is thrown away until the peer is
 * done. DEAD: closed, waits for the reaper.
 */
enum conn_state {
	CONN_TLS,
	CONN_HEAD,
	CONN_HTTP,
	CONN_OPEN,
	CONN_LINGER,
	CONN_DEAD,
};

struct conn {
	struct list		 link;		/* in one of net's lists */
	struct list		 dirty;		/* in net.dirty, or alone */
	struct net		*net;
	void			*user;
	struct source		*source;	/* budget; NULL once authenticated */
	struct tls		*tls;		/* NULL: plain, or not begun */
	int			 fd;
	uint8_t			 state;		/* enum conn_state */
	bool			 is_authed;
	bool			 is_opened;	/* on_open() was called */
	bool			 is_loopback;
	bool			 is_serve;	/* by the listener for that */
	bool			 is_reading;	/* ev_read is added */
	bool			 is_writing;	/* ev_write is added */
	bool			 is_in_feed;	/* bytes are being handed out */
	bool			 is_full;	/* paused for its own output */
	bool			 has_peer_close;
	bool			 is_ping_due;	/* a ping is unanswered */
	bool			 is_tls;	/* all bytes are TLS */
	uint16_t		 n_paused;
	uint64_t		 deadline;	/* of the list it is in */
	uint64_t		 message_us;	/* when a message began, or 0 */
	uint64_t		 since_us;	/* accepted */
	uint32_t		 n_requests;	/* plain HTTP, so far */
	struct hreq		*http;		/* in CONN_HTTP and after it */
	struct event		 ev_read;
	struct event		 ev_write;
	struct ws		 ws;
	size_t			 n_held;	/* as counted in net.held */
	struct out		 out;
	struct buf		 held;		/* read, not yet handed out */
	char			 remote[46];	/* INET6_ADDRSTRLEN */
};

/* How many unauthenticated sockets an address has. */
struct source {
	uint32_t	 n;
	uint8_t		 key_len;
	char		 key[46];
};

struct listener {
	struct net	*net;
	struct event	 ev;
	int		 fd;
	uint16_t	 port;
	bool		 is_serve;
};

struct net {
	struct loop		*loop;
	struct event_base	*base;
	struct net_limits	 lim;
	struct net_handler	 handler;
	struct net_stats	 stats;
	struct listener		 listeners[NET_LISTEN_MAX];
	size_t			 n_listeners;
	struct map		*sources;
	/* Each ordered by deadline, since all deadlines of one are as far. */
	struct list		 fresh;		/* unauthenticated */
	struct list		 open;		/* by next ping */
	struct list		 http;		/* with an HTTP request, or after one;
						   in no order */
	struct list		 linger;
	struct list		 dead;		/* freed at the end of the turn */
	struct list		 dirty;		/* output to flush */
	struct loop_timer	*timer;
	struct loop_timer	*accept_timer;
	bool			 is_flush_due;
	bool			 is_ending;
	bool			 is_accepting;
	bool			 is_held;	/* see net_hold_listening() */
	bool			 is_serve;	/* the listener that accepts now */
	int			 spare_fd;	/* given up to refuse at the limit */
	char			*read_buf;
	struct tls_ctx		*tls_ctx;	/* of new connections; or NULL */
	uint16_t		 tls_port;	/* 0: all listeners speak TLS */
	uint32_t		 n_handshakes;	/* sessions that are not ready */
	struct list		 steps;		/* conn.dirty: want a step */
	struct loop_timer	*step_timer;
	bool			 is_step_due;
	char			*tls_in;	/* as the socket gave it */
	char			*tls_out;	/* one record of plain text */
	size_t			 held;		/* received, not handed out */
	size_t			 bodies;	/* bytes of HTTP bodies */
	bool			 is_draining;	/* see net_drain_http() */
	char			*hsts;		/* see net_set_hsts(); or NULL */
};

int	 conn_open(struct net *n, int fd, const char *remote, bool is_loopback,
	    bool is_tls, struct source *source);
void	 conn_on_timeout(struct conn *c);
void	 conn_on_ping_due(struct conn *c);
void	 conn_flush(struct conn *c);
void	 conn_free(struct conn *c);
void	 net_release_source(struct net *n, struct conn *c);
void	 net_want_flush(struct net *n);

/* conn.c, for its neighbours */
void	 conn_set_writing(struct conn *c, bool is_on);
void	 conn_set_reading(struct conn *c, bool is_on);
void	 conn_received(struct conn *c, char *p, size_t len);
void	 conn_move(struct conn *c, struct list *to, uint64_t after_us);
void	 conn_update_reading(struct conn *c);
void	 conn_dirty(struct conn *c);
void	 conn_linger(struct conn *c);
void	 conn_head(struct conn *c);

/* http_answer.c */
void	 http_answer_head(const struct net *n, struct buf *b,
	    const struct net_reply *reply, const char *framing);
void	 conn_http_reply(struct conn *c, const struct net_reply *reply);
void	 conn_http_error(struct conn *c, unsigned status, const char *extra);

/* http_conn.c */
void	 http_start(struct conn *c, const struct http_head *h, size_t used);
void	 http_received(struct conn *c, const char *p, size_t len);
bool	 http_wants_read(const struct conn *c);
void	 http_before_flush(struct conn *c);
void	 http_after_flush(struct conn *c, bool is_sent, bool is_waiting);
void	 http_gone(struct hreq *q);
void	 http_free(struct hreq *q);
void	 http_expire(struct net *n, uint64_t now);

/* room.c: whether so many more bytes of memory may be queued; sheds for it. */
bool	 net_make_room(struct net *n, size_t more);
/*
 * Room for a frame of len bytes that costs more bytes of memory, or what becomes
 * of the connection that has none: 0, or as conn_send().
 */
int	 conn_room(struct conn *c, size_t len, size_t more, bool is_droppable);

/* conn_tls.c */
void	 conn_tls_on_ready(struct conn *c);	/* readable or writable */
void	 conn_tls_read(struct conn *c);
int	 conn_tls_write(struct conn *c);
void	 conn_tls_end(struct conn *c);
void	 net_on_step(void *arg);

#endif
