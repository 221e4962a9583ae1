/* SPDX-License-Identifier: MIT */
/* TLS of a client's link, on a socket that does not block. */
#ifndef CLIENT_LINK_TLS_H
#define CLIENT_LINK_TLS_H

#include <sys/types.h>

#include "core/base/base.h"
#include "core/client/trust.h"

struct link_tls;

/*
 * What one connection leaves for the next to the same gateway, so that it need not
 * begin from nothing. Good once, and only after the certificate was believed.
 */
struct link_ticket {
	unsigned char	*data;
	size_t		 len;
};

void	 link_ticket_fini(struct link_ticket *t);
/* fd, url and ticket are lent. */
struct link_tls *link_tls_new(int fd, const struct url *url,
	    struct link_ticket *ticket) must_use;
/* Says good-bye if there was a handshake. */
struct link_tls *link_tls_free(struct link_tls *t);
/* 0, -EAGAIN, or another with why. */
int	 link_tls_handshake(struct link_tls *t, struct buf *why) must_use;
bool	 link_tls_wants_write(const struct link_tls *t);
/* After the handshake, before anything is said. As trust_check(). */
int	 link_tls_check(struct link_tls *t, const struct trust *trust,
	    struct buf *why) must_use;
const char *link_tls_finger(const struct link_tls *t);
bool	 link_tls_is_new(const struct link_tls *t);
/* As recv(): -1 and errno. A peer that just goes is an end too. */
ssize_t	 link_tls_recv(struct link_tls *t, void *p, size_t size);
/* As send(). After EAGAIN: again, with at least the same bytes. */
ssize_t	 link_tls_send(struct link_tls *t, const void *p, size_t len);

#endif
