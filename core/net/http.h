/* SPDX-License-Identifier: MIT */
/*
 * A plain HTTP request on a connection, from its head to the end of its answer.
 * One at a time on each connection: what a client pipelines behind it waits, and
 * is not read beyond what came along (RFC 9112 section 9.3.2).
 *
 * A connection is kept for another request when the client wants that, speaks
 * HTTP/1.1, and the body was read to its end. The next head has as long as the
 * first one had (net_limits.handshake_us).
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "core/net/http_head.h"
#include "core/net/net.h"

#define HTTP_STALL_US		SEC_US(30) /* nothing of an answer is taken */
#define HTTP_STRANGER_US	SEC_US(300) /* a stranger's connection, all */
#define HTTP_STRANGER_REQUESTS	100u	/* of one stranger's connection */
#define HTTP_ANSWER_US		SEC_US(120) /* until somebody else sets it */
#define HTTP_QUEUE_MAX		MIB(1)	/* queued bytes of a stream */
#define HTTP_BODIES_MAX		MIB(64)	/* bytes of bodies that are held, all */
#define HTTP_PIECE		KIB(64)	/* of a file, read at a time */

struct hreq;

/*
 * What its owner is told, never from within one of the calls below. After the
 * answer is complete, or on_gone(), there are no more calls.
 */
struct hreq_ops {
	/* The whole body and a NUL behind it; lent. */
	void	(*on_body)(struct hreq *q, const char *bytes, size_t len);
	/*
	 * It cannot go on and is to be answered. 400, 413: the body; 408: it did
	 * not come in time; 503: no room for it; 504: the deadline for an answer.
	 */
	void	(*on_fail)(struct hreq *q, unsigned status);
	/* After -ENOBUFS: there is room again. */
	void	(*on_drain)(struct hreq *q);
	void	(*on_gone)(struct hreq *q);
};

/* ops NULL: nobody is told anything any more. */
void	 hreq_own(struct hreq *q, const struct hreq_ops *ops, void *owner);
void	*hreq_owner(const struct hreq *q);
const struct http_head *hreq_head(const struct hreq *q);
struct conn *hreq_conn(const struct hreq *q);
/* More strangers from this address than may do more than look at probes. */
bool	 hreq_is_over_budget(const struct hreq *q);
/* It proved who it is: leaves the budget of strangers. */
void	 hreq_trust(struct hreq *q);
/* Absolute: when on_fail() comes, unless the state changed. */
void	 hreq_set_deadline(struct hreq *q, uint64_t after_us);
/* -EALREADY. A declared length above max is told by on_fail(). */
int	 hreq_read_body(struct hreq *q, uint64_t max);

/*
 * The whole answer; with 0 the request is over, also where there is no room and
 * the connection ends instead. -EALREADY: one has begun.
 */
int	 hreq_reply(struct hreq *q, const struct net_reply *reply);
/* Takes fd, also on failure. reply without its body. */
int	 hreq_reply_fd(struct hreq *q, const struct net_reply *reply, int fd,
	    uint64_t offset, uint64_t len);
int	 hreq_begin(struct hreq *q, const struct net_reply *reply);
/* -EPIPE: none has begun, or it is broken; -ENOBUFS: on_drain() will come. */
int	 hreq_write(struct hreq *q, const void *bytes, size_t len);
int	 hreq_end(struct hreq *q);
/* Ends the connection, so that an answer does not look complete. */
void	 hreq_break(struct hreq *q);
size_t	 hreq_queued(const struct hreq *q);

#endif
