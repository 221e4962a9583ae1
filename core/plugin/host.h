/* SPDX-License-Identifier: MIT */
/*
 * The plugin host: finds, checks, loads, starts, stops plugins; knows which
 * methods there are and calls them. Loop thread only.
 */
#ifndef PLUGIN_HOST_H
#define PLUGIN_HOST_H

#include <stdio.h>

#include "core/base/base.h"
#include "core/base/buf.h"

struct conf;
struct conf_live;
struct host;
struct hreq;
struct loop;
struct peer;
struct proto;
struct proto_call;
struct proxy_origin;
struct state;
struct store;

#define HOST_METHODS_MAX	512	/* of one plugin */
#define HOST_EVENTS_MAX		128
#define HOST_DEPS_MAX		128
#define HOST_STRIDE_MAX		4096	/* bytes of an entry of its tables */
#define HOST_SCHEMA_MAX		MIB(1)	/* bytes of a schema file */
#define HOST_PAYLOAD_MAX	MIB(25)	/* bytes of an answer or an event; or what a
					 * client may send, where that is more */
#define HOST_REQS_MAX		65536	/* unanswered requests of all clients */
/* Bytes of their params as they came; one request alone may have more. */
#define HOST_PARAMS_MAX		MIB(64)
#define HOST_BUDGET_US		5000	/* a call's, where its table has none */
#define HOST_DRAIN_US		SEC_US(5) /* for requests of a disabled plugin */
#define HOST_NAME_MAX		64	/* bytes of a plugin's name: a namespace's */
#define HOST_WATCH_SLOW_US	SEC_US(2) /* one call: a backtrace is logged */
#define HOST_WATCH_DEAD_US	SEC_US(30) /* the service manager starts us anew */

/* What the host works with; all outlive it. */
struct net_limits;

struct host_env {
	struct loop	*loop;
	struct proto	*proto;
	struct state	*state;
	struct store	*store;
	struct conf_live *live;		/* NULL: only checking plugins */
	const char	*state_dir;
	const char	*schema_dir;
	const char	*version;
	const char	*boot_id;
	const char	*bind_address;
	const struct net_limits *limits; /* NULL: the defaults */
	const struct net_stats *sockets; /* NULL: none */
	const uint32_t	*port;		/* known once it listens */
	/* As restart() of core.lifecycle/1; NULL: there is none. */
	int		(*restart)(uint64_t delay_ms, void *arg);
	void		*restart_arg;
	uint64_t	 restarted_us;	/* 0: no restart began this process */
	bool		 check_results;	/* validate what handlers answer */
	uint64_t	 watch_slow_us;	/* 0: HOST_WATCH_SLOW_US */
	uint64_t	 watch_dead_us;	/* 0: HOST_WATCH_DEAD_US */
};

struct host	*host_new(const struct host_env *env) must_use;
struct host	*host_free(struct host *h);
/*
 * Before any plugin is loaded: crashes and calls that never end are told, and
 * counted over the ends of the process in a file of the state directory.
 */
int		 host_guard(struct host *h);
int		 host_add_dir(struct host *h, const char *dir);
/*
 * Looks at the directories and reads every plugin that is new there, up to and
 * without init(). Blocks. Adds their part to the configuration's schema.
 */
int		 host_scan(struct host *h);
/* After a scan: refuses plugins whose dependencies are missing or refused. */
void		 host_check_deps(struct host *h);
/* The snapshot in force from now on; counted by the host. */
void		 host_set_conf(struct host *h, struct conf *conf);
/*
 * Initialises and starts what is enabled, in the order of dependencies. One that
 * fails at it is left out alone, unless the configuration says that it is not
 * optional. -EINVAL then, and when a file was refused that the configuration does
 * not call optional; why names it.
 */
int		 host_start(struct host *h, struct buf *why);
/*
 * The end, in two steps, each in reverse order. Between them the store is closed:
 * it calls what still waits for it, and plugins that were stopped get that.
 */
void		 host_stop(struct host *h);
void		 host_fini(struct host *h);
/* Tells all plugins the new configuration: all take it or none. */
int		 host_reload(struct host *h, struct conf *conf, struct buf *why);
/*
 * Looks again: loads what is new, disables what is gone or switched off. done is
 * called when that is finished; it may be NULL. At the end of the host: -ECANCELED.
 */
void		 host_refresh(struct host *h, void (*done)(void *arg, int r),
		    void *arg);
/* Looks at the directories for changes. After start. */
void		 host_watch(struct host *h);
/* One line a plugin; the number of those refused. */
int		 host_print(struct host *h, FILE *out);
/* What a plugin's table says, for chela-plugin-check. */
void		 host_print_methods(struct host *h, FILE *out);
uint64_t	 host_generation(const struct host *h);

/* For proto_hooks. */
void		 host_on_call(void *arg, struct peer *p,
		    const struct proto_call *call);
int		 host_hello(void *arg, struct peer *p, char **ret_text,
		    size_t *ret_len);
void		 host_on_open(struct host *h, struct peer *p);
void		 host_on_close(void *arg, struct peer *p);
void		 host_on_refused(struct host *h, struct peer *p,
		    const char *reason);

/*
 * A plain HTTP request that is no probe: true when it is answered by a plugin's
 * route, or in its place. is_up: the gateway is ready and not ending.
 */
bool		 host_on_http(struct host *h, struct hreq *q,
		    const struct proxy_origin *from, bool is_up);
void		 host_http_unattributed(struct host *h);

/* A service of the core, "core.x/1". */
int		 host_export(struct host *h, const char *name,
		    const void *vtable);

#endif
