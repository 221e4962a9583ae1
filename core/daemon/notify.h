/* SPDX-License-Identifier: MIT */
/* The service manager: readiness and sockets that it hands over (sd_notify(3),
 * sd_listen_fds(3)), spoken directly: the protocol is one datagram and three
 * variables. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#define NOTIFY_FD_FIRST	3

void	 notify_send(const char *state);	/* "READY=1"; nobody there: nothing */
/* How many descriptors from NOTIFY_FD_FIRST on are ours; 0: none. */
int	 notify_listen_fds(void);

#endif
