/* SPDX-License-Identifier: MIT */
/* Everything that one daemon is made of, in the order in which it comes up. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "core/daemon/notify.h"
#include "core/daemon/options.h"
#include "core/net/net.h"

struct conf;
struct conf_issues;
struct conn;
struct daemon_tls;
struct hreq;

#define DAEMON_DRAIN_US		SEC_US(5) /* from SIGTERM to the end */
#define DAEMON_LOG_MAX		MIB(16)	/* bytes of the log file */
#define DAEMON_TOKEN_FILE	"token"	/* in the state directory */
#define DAEMON_ORIGINS_MAX	64

struct daemon {
	struct options		 opt;
	char			*config_path;
	char			*state_dir;
	char			 boot_id[37];
	uint32_t		 port;
	char			 bind[64];
	struct loop		*loop;
	struct conf_live	*live;
	struct store		*store;
	struct schema		*connect_native;
	struct schema		*connect_openclaw;
	struct access		*access;
	struct proto		*proto;
	struct net_limits	 limits;
	struct net		*net;
	struct daemon_tls	*tls;	/* NULL: not enabled */
	struct state		*state;
	struct host		*host;
	struct loop_watch	*signal_watch;
	int			 signal_fd;
	struct loop_timer	*drain_timer;	/* looks whether all have gone */
	struct loop_timer	*end_timer;	/* ends it whoever is left */
	const char		*origins[DAEMON_ORIGINS_MAX];
	struct conf		*origins_conf;	/* they are lent from it */
	bool			 is_ready;
	bool			 is_stopping;
	uint64_t		 n_reloads;	/* of secrets */
	/* restart.c */
	char			*exe;		/* what runs now; NULL: unknown */
	char			**argv;
	struct loop_timer	*restart_timer;	/* its delay; then phase A */
	uint64_t		 hold_end_us;	/* of phase A; 0: not in it */
	bool			 is_restart_due;
	uint64_t		 restarted_us;	/* 0: started from outside */
	bool			 is_restarting;	/* the end is by exec */
	bool			 is_activated;	/* a service manager's sockets */
	uint16_t		 tls_port;
	int			 kept_fds[NOTIFY_FDS_MAX];
	size_t			 n_kept;
	uint32_t		 kept_serve;	/* see net_take_listeners() */
};

/* The address that the configuration's gateway.bind stands for. */
void	 daemon_choose_bind(const struct daemon *d, char *ret, size_t size);
/* Tells all, closes all, ends the loop when they have gone. */
void	 daemon_stop(struct daemon *d, const char *reason);

/* secrets.c: what a client must know. Blocks. */
int	 daemon_load_auth(struct daemon *d, struct conf *conf);
/* What the schema cannot say of the rules. */
int	 daemon_check_auth(const struct conf *conf, struct conf_issues *issues);
/* A new configuration: what is wrong in it changes nothing. */
void	 daemon_reload_auth(struct daemon *d, struct conf *conf);
void	 daemon_load_origins(struct daemon *d, struct conf *conf);

/* limits.c */
void	 daemon_load_limits(const struct conf *conf, struct net_limits *lim);

/*
 * tls.c: the certificate, when gateway.tls.enabled. Blocks. Before the first
 * listener.
 */
int	 daemon_load_tls(struct daemon *d, struct conf *conf);
int	 daemon_watch_tls(struct daemon *d);
/* Reads the files again, on the worker pool; also when their names changed. */
void	 daemon_reload_tls(struct daemon *d);
const char *daemon_tls_finger(const struct daemon *d);	/* NULL: no TLS */
void	 daemon_close_tls(struct daemon *d);
void	 daemon_free_tls(struct daemon *d);	/* after the loop's workers */

/* http.c: probes; the rest is the plugins'. */
void	 daemon_load_http(struct daemon *d, const struct conf *conf);
void	 daemon_on_http(void *arg, struct hreq *q);

#endif
