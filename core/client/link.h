/* SPDX-License-Identifier: MIT */
/*
 * One WebSocket connection of a client: name lookup, TCP, the upgrade, messages.
 * It knows nothing of what the messages say and does not come back by itself.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "core/base/base.h"
#include "core/base/loop.h"
#include "core/client/url.h"

#define LINK_MESSAGE_MAX	MIB(25)		/* one that comes in */
#define LINK_QUEUE_MAX		MIB(64)		/* waiting to be sent */
#define LINK_ADDRS_MAX		8u		/* tried of one name */

struct link;
struct link_ticket;
struct trust;

/* How a link ended. */
struct link_end {
	int		 status;	/* negative errno; -EKEYREJECTED: not trusted */
	int		 http_status;	/* the upgrade was refused, or 0 */
	uint16_t	 code;		/* of the peer's close frame, or 0 */
	const char	*sentence;	/* for people */
};

/* Called from the loop; the link may be freed in any of them. */
struct link_calls {
	void	(*on_open)(void *arg);
	void	(*on_message)(char *text, size_t len, void *arg);
	void	(*on_end)(const struct link_end *end, void *arg);
	void	(*on_bytes)(void *arg);		/* the peer is alive */
};

/* url, trust, ticket and calls are lent for the link's life. NULL: no memory. */
struct link	*link_new(struct loop *loop, const struct url *url,
		    const struct trust *trust, struct link_ticket *ticket,
		    const char *protocol,
		    const struct link_calls *calls, void *arg) must_use;
/* Of the gateway's certificate; "" without TLS. is_new: written down now. */
const char	*link_finger(const struct link *l, bool *ret_new);
/* Disconnects without on_end. After link_close() the frame has gone out. */
struct link	*link_free(struct link *l);
/* 0, -ENOTCONN, -ENOBUFS or -ENOMEM. */
int		 link_send(struct link *l, const void *text, size_t len);
/* Sends a close frame if that is possible at once; then only link_free(). */
void		 link_close(struct link *l, uint16_t code, const char *reason);

#endif
