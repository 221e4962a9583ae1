/* SPDX-License-Identifier: MIT */
/*
 * The restart of the daemon: the same process starts its program again and keeps
 * the listening sockets, so that whoever connects meanwhile only waits.
 */
#ifndef DAEMON_RESTART_H
#define DAEMON_RESTART_H

#include "core/daemon/daemon.h"

#define RESTART_EXPECTED_MS	1500	/* what clients are told */
#define RESTART_HOLD_US		SEC_US(1) /* for handshakes under way */

/* What has to be known later, before anything is changed. */
void	 restart_init(struct daemon *d, char **argv);
/*
 * Restarts in delay_ms. 1: one is on its way already; -ESHUTDOWN: the daemon is
 * ending. arg is the daemon.
 */
int	 restart_ask(uint64_t delay_ms, void *arg);
bool	 restart_ask_conf(uint64_t delay_ms, void *arg); /* conf_restart_fn */
/* Everything is closed: becomes the new program, or returns an exit status. */
int	 restart_exec(struct daemon *d);

#endif
