/* SPDX-License-Identifier: MIT */
/*
 * Restart in place. First nobody new is accepted and those who are in their
 * handshake may finish it; then all are told and closed as for any end; then the
 * program is executed again with the listening sockets as a service manager hands
 * them over (sd_listen_fds(3)). The kernel's backlog holds newcomers all the time.
 */
#include "core/daemon/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/config/config.h"
#include "core/config/live.h"

#define HOLD_LOOK_US	MS_US(20)
/* Above what the sockets become, so that none of them is overwritten. */
#define PARK_FD_FIRST	(NOTIFY_FD_FIRST + NOTIFY_FDS_MAX)
#define RESTARTED_NAME	"CHELA_RESTARTED"	/* in the new one's environment */

void
restart_init(struct daemon *d, char **argv)
{
	char	 path[PATH_MAX];
	ssize_t	 n;

	/* For the program that comes next, and nobody else. */
	if (getenv(RESTARTED_NAME) != NULL)
		d->restarted_us = clock_now_us();
	(void)unsetenv(RESTARTED_NAME);
	/* Now: once the file was replaced, the link says "(deleted)". */
	n = readlink("/proc/self/exe", path, sizeof path - 1);
	if (n <= 0 || (size_t)n >= sizeof path - 1)
		return;
	path[n] = '\0';
	d->exe = strdup(path);
	d->argv = argv;
}

/* False: the configuration wants other addresses than those that are open. */
static bool
are_listeners_wanted(const struct daemon *d)
{
	struct conf	*conf = conf_live_get(d->live);
	char		 bind[sizeof d->bind];
	int64_t		 port, tls_port = 0;

	if (d->is_activated)
		return (true);
	daemon_choose_bind(d, bind, sizeof bind);
	port = d->opt.port >= 0 ? d->opt.port :
	    conf_get_int(conf, "gateway.port", 18789);
	if (d->tls != NULL)
		tls_port = conf_get_int(conf, "gateway.tls.port", 0);
	return (strcmp(bind, d->bind) == 0 &&
	    (port == 0 || port == (int64_t)d->port) &&
	    tls_port == (int64_t)d->tls_port);
}

static void
restart_now(struct daemon *d)
{
	char	 text[64];

	d->is_restarting = true;
	(void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)clock_now_us());
	notify_send(text);
	if (are_listeners_wanted(d))
		d->n_kept = net_take_listeners(d->net, d->kept_fds,
		    ARRAY_LEN(d->kept_fds), &d->kept_serve);
	daemon_stop(d, "restart");
}

static void
restart_on_timer(void *arg)
{
	struct daemon	*d = arg;
	uint64_t	 now = clock_now_us();

	if (d->is_stopping)
		return;
	if (d->hold_end_us == 0) {
		log_notice("daemon", "restarting");
		net_hold_listening(d->net);
		d->hold_end_us = now + RESTART_HOLD_US;
	}
	if (net_stats(d->net)->n_unauth == 0 || now >= d->hold_end_us ||
	    loop_timer_set(d->restart_timer, HOLD_LOOK_US) < 0)
		restart_now(d);
}

int
restart_ask(uint64_t delay_ms, void *arg)
{
	struct daemon	*d = arg;
	int		 r;

	if (d->is_stopping)
		return (-ESHUTDOWN);
	if (d->exe == NULL)
		return (-ENOTSUP);
	if (d->is_restart_due)
		return (1);
	if (d->restart_timer == NULL)
		d->restart_timer = loop_timer_new(d->loop, restart_on_timer, d);
	if (d->restart_timer == NULL)
		return (-ENOMEM);
	r = loop_timer_set(d->restart_timer, MS_US(delay_ms));
	if (r < 0)
		return (r);
	d->is_restart_due = true;
	log_notice("daemon", "a restart is due in %llu ms",
	    (unsigned long long)delay_ms);
	return (0);
}

bool
restart_ask_conf(uint64_t delay_ms, void *arg)
{
	return (restart_ask(delay_ms, arg) >= 0);
}

/* The sockets become NOTIFY_FD_FIRST and up, and survive the exec. */
static int
pass_listeners(struct daemon *d)
{
	char	 names[NOTIFY_FDS_MAX * sizeof NOTIFY_NAME_SERVE + 1] = "";
	char	 text[24];
	size_t	 i, len = 0;
	int	 fd;

	for (i = 0; i < d->n_kept; i++) {
		fd = fcntl(d->kept_fds[i], F_DUPFD_CLOEXEC, PARK_FD_FIRST);
		if (fd < 0)
			return (-errno);
		(void)close(d->kept_fds[i]);
		d->kept_fds[i] = fd;
	}
	for (i = 0; i < d->n_kept; i++) {
		if (dup2(d->kept_fds[i], NOTIFY_FD_FIRST + (int)i) < 0)
			return (-errno);
		len += (size_t)snprintf(names + len, sizeof names - len, "%s%s",
		    i == 0 ? "" : ":", d->is_activated ? "activated" :
		    (d->kept_serve >> i & 1) != 0 ? NOTIFY_NAME_SERVE :
		    NOTIFY_NAME_OWN);
	}
	(void)snprintf(text, sizeof text, "%zu", d->n_kept);
	if (setenv("LISTEN_FDS", text, 1) < 0 ||
	    setenv("LISTEN_FDNAMES", names, 1) < 0)
		return (-errno);
	(void)snprintf(text, sizeof text, "%ld", (long)getpid());
	return (setenv("LISTEN_PID", text, 1) < 0 ? -errno : 0);
}

int
restart_exec(struct daemon *d)
{
	int	 r = 0;

	if (d->n_kept > 0)
		r = pass_listeners(d);
	if (r == 0 && setenv(RESTARTED_NAME, "1", 1) < 0)
		r = -errno;
	if (r == 0) {
		/*
		 * SIGHUP, SIGTERM and SIGINT stay blocked: one that comes now
		 * waits for the new program's signalfd instead of ending it.
		 */
		(void)execv(d->exe, d->argv);
		r = -errno;
	}
	log_err("daemon", "cannot start '%s' again: %s", d->exe, strerror(-r));
	return (EXIT_FAILURE);
}
