/* SPDX-License-Identifier: MIT */
/* The service manager: readiness and sockets that it hands over (sd_notify(3),
 * sd_listen_fds(3)), spoken directly: the protocol is one datagram and three
 * variables. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "core/base/base.h"

#define NOTIFY_FD_FIRST	3

void	 notify_send(const char *state);	/* "READY=1"; nobody there: nothing */
#define NOTIFY_FDS_MAX	8
/* Names of descriptors that a daemon leaves to itself when it restarts. */
#define NOTIFY_NAME_OWN		"chela"
#define NOTIFY_NAME_SERVE	"chela-serve"	/* see net_listen_serve() */

struct notify_fds {
	int		 n;	/* from NOTIFY_FD_FIRST on; 0: none */
	uint32_t	 serve;	/* bit i: number i is NOTIFY_NAME_SERVE */
	bool		 is_own; /* all of them were ours before */
};

void	 notify_listen_fds(struct notify_fds *ret);

#endif
