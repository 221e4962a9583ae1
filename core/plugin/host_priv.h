/* SPDX-License-Identifier: MIT */
/* The members of what core/plugin works with. */
#ifndef PLUGIN_HOST_PRIV_H
#define PLUGIN_HOST_PRIV_H

#include <ltdl.h>

#include <chela/plugin.h>

#include "core/access/authorize.h"
#include "core/access/budget.h"
#include "core/base/map.h"
#include "core/plugin/host.h"

struct schema;

#define CTX_MAGIC	0x43545831u
#define REQ_MAGIC	0x52455131u
#define REQ_ID_INLINE	64

enum plugin_state {
	PLUGIN_REFUSED,		/* error says why */
	PLUGIN_READY,		/* read and checked; not initialised */
	PLUGIN_ACTIVE,		/* started */
	PLUGIN_DRAINING,	/* out of the tables, requests still open */
	PLUGIN_HELD,		/* not started: its methods say why */
};

/* quota.c: what a plugin may have at one time, with one limit each. */
enum quota {
	QUOTA_REQUESTS,
	QUOTA_REQUEST_MS,	/* how long one may stay open */
	QUOTA_TIMERS,
	QUOTA_WATCHES,
	QUOTA_POSTS,		/* any thread */
	QUOTA_JOBS,
	QUOTA_WRITES,
	QUOTA_WRITE_BYTES,
	QUOTA_EVENTS,		/* in this second */
	QUOTA_N
};

#define QUOTA_DENIED_MAX	100000	/* refusals ... */
#define QUOTA_DENIED_US		SEC_US(60) /* ... in this time: it is stopped */

/* A method of an active plugin. */
struct method {
	struct chela_method	 desc;		/* a copy in our size */
	struct chela_ctx	*ctx;
	struct authorize_rule	 rule;
	struct schema		*params;	/* compiled at first use */
	struct schema		*result;
	bool			 is_compiled;
	uint64_t		 n_calls;
	uint64_t		 n_failures;
	uint64_t		 n_slow;
	uint64_t		 max_us;
	uint64_t		 warned_us;	/* of the last warning */
};

/*
 * The methods of one time that a plugin was up. Requests hold it too: a worker may
 * still read a schema while the plugin goes.
 */
struct methods {
	uint32_t		 refs;
	uint32_t		 n;
	struct method		 all[];
};

/* One plugin, from its file's first sight to the end of the process. */
struct chela_ctx {
	uint32_t		 magic;
	uint8_t			 state;		/* enum plugin_state */
	bool			 is_seen;	/* in the directories, last look */
	bool			 is_enabled;	/* by the configuration */
	bool			 is_stale;	/* the file is another one now */
	bool			 is_inited;
	bool			 is_crashed;	/* held for its crashes */
	struct host		*host;
	struct list		 link;		/* in host.plugins */
	char			*name;
	char			*path;
	uint64_t		 ino, mtime_ns, dev;
	const struct chela_plugin *desc;
	char			*schema_path;
	char			*schema_text;	/* of the file, len bytes */
	size_t			 schema_len;
	char			*error;
	void			*priv;
	struct methods		*methods;	/* NULL while it is down */
	struct list		 timers;
	struct list		 watches;
	struct list		 close_cbs;
	uint32_t		 n_reqs;
	uint64_t		 drain_us;
	uint32_t		 visit;		/* mark of the dependency walk */
	uint32_t		 generation;	/* of init(): drops old callbacks */
	bool			 is_stopped;	/* held: it went over its limits */
	bool			 is_deadline_set;
	struct list		 waiting;	/* requests, the oldest first */
	struct loop_timer	*deadline;	/* of the first of them */
	uint64_t		 limits[QUOTA_N];
	uint64_t		 used[QUOTA_N];	/* atomic */
	uint64_t		 event_second;
	uint64_t		 n_timeouts;	/* calls that were not answered */
	uint64_t		 n_late;	/* answers after that */
	uint64_t		 n_denied;
	uint64_t		 denied_since_us, denied_warned_us;
	uint32_t		 n_denied_lately;
	uint32_t		 n_denied_posts; /* not yet counted; atomic */
};

struct service {
	struct list		 link;
	struct chela_ctx	*ctx;		/* NULL: the core */
	const void		*vtable;
	char			 name[];
};

/* A schema file as it was read; without text or doc, r says why. */
struct schema_file {
	char			*path;
	char			*text;
	size_t			 len;
	struct json_object	*doc;
	int			 r;
};

struct refresh_cb {
	struct refresh_cb	*next;
	void			(*done)(void *arg, int r);
	void			*arg;
};

struct host {
	struct host_env		 env;
	struct chela_host	 table;
	struct list		 plugins;	/* by name until started */
	struct map		*methods;	/* name -> struct method */
	struct list		 services;
	char			**dirs;
	size_t			 n_dirs;
	struct conf		*conf;
	uint64_t		 generation;
	bool			 is_running;	/* start() was called */
	bool			 is_stopped;	/* stop() was */
	bool			 is_refreshing;
	bool			 is_conf_due;	/* a schema was added to it */
	struct refresh_cb	*refresh_cbs;
	struct loop_timer	*drain_timer;
	int			 inotify_fd;
	struct loop_watch	*inotify_watch;
	struct loop_timer	*inotify_timer;
	struct budget		*writes;	/* control-plane writes */
	uint32_t		 n_reqs;	/* of all plugins */
	size_t			 params_len;	/* of all of these */
	uint64_t		 n_busy;	/* refused for these two */
	struct buf		 out;		/* scratch */
	struct crash_log	*crashes;	/* NULL: not counted */
	struct prefetch		*prefetch;	/* while what it read is used */
};

struct chela_req {
	uint32_t		 magic;
	uint32_t		 refs;
	struct chela_ctx	*ctx;
	struct method		*method;
	struct methods		*methods;	/* counted: method is in it */
	struct peer		*peer;		/* NULL: gone */
	struct list		 link;		/* in peer.reqs */
	bool			 is_answered;
	bool			 is_large;	/* params are freed by a worker */
	bool			 is_late;	/* the host has answered */
	struct list		 waiting;	/* in ctx.waiting */
	uint64_t		 since_us;	/* its last sign of life */
	struct json_object	*params;
	size_t			 params_len;	/* as they came */
	void			(*on_cancel)(struct chela_req *req, void *arg);
	void			*cancel_arg;
	char			*id;		/* raw JSON */
	size_t			 id_len;
	char			 id_inline[REQ_ID_INLINE];
};

/* frame.c: what runs now, for budgets, the watchdog and the crash report. */
struct frame {
	const struct chela_ctx	*ctx;
	const char		*what;		/* a method, or "timer" */
	uint64_t		 start_us;
};
void	 frame_enter(struct frame *f, const struct chela_ctx *ctx,
	    const char *what);
/* Returns how long it took. */
uint64_t frame_leave(struct frame *f);
/* On a worker: whose job this thread runs from now on; NULL: nobody's. */
void	 frame_worker(const struct chela_ctx *ctx);
int	 frame_guard(struct host *h);
void	 frame_unguard(struct host *h);

/* crash.c */
#define CRASH_FILE	"plugin-crashes"	/* in the state directory */
#define CRASH_MARKS_MAX	64		/* kept */
#define CRASH_FILE_MAX	KIB(64)		/* read of it */
#define CRASH_LIMIT	3		/* crashes of a plugin ... */
#define CRASH_WINDOW_MS	600000u		/* ... in this time: no more starts */
struct crash_log;
int	 crash_open(struct host *h);
void	 crash_close(struct host *h);
void	 crash_mark(const char *name, const char *where, int sig);
uint32_t crash_count(const struct chela_ctx *ctx);
bool	 crash_is_vital(const struct chela_ctx *ctx);
bool	 crash_holds(const struct chela_ctx *ctx, struct buf *why);
bool	 crash_holds_load(const struct chela_ctx *ctx, struct buf *why);
int	 crash_forgive(struct chela_ctx *ctx);

void	 quota_init(struct chela_ctx *ctx);
void	 quota_set_conf(struct chela_ctx *ctx, const struct conf *conf);
int	 quota_take(struct chela_ctx *ctx, enum quota q, uint64_t n);
int	 quota_take_event(struct chela_ctx *ctx);
void	 quota_give(struct chela_ctx *ctx, enum quota q, uint64_t n);
uint64_t quota_used(const struct chela_ctx *ctx, enum quota q);
void	 quota_dropped(struct chela_ctx *ctx, const char *what);
void	 deadline_set(struct chela_req *req);
void	 deadline_fini(struct chela_ctx *ctx);

/* loader.c */
int	 loader_open(struct chela_ctx *ctx, struct buf *why);
int	 loader_check(struct chela_ctx *ctx, struct buf *why);

/* prefetch.c */
int	 prefetch_start(struct host *h, void (*done)(struct host *h));
bool	 prefetch_take(struct host *h, const char *name,
	    struct schema_file *ret);
struct prefetch *prefetch_free(struct prefetch *p);

/* schemas.c; the first two on any thread */
int	 schema_file_read(struct schema_file *f, const char *object,
	    const char *name, const char *schema_dir);
void	 schema_file_fini(struct schema_file *f);
int	 schemas_read(struct chela_ctx *ctx, struct buf *why);
int	 schemas_compile(struct chela_ctx *ctx, struct method *m);
int	 schemas_document(const struct chela_ctx *ctx, struct json_object **ret);
int	 schemas_summary(const struct chela_ctx *ctx, struct map *ret_texts);

/* lifecycle.c */
int	 plugin_up(struct chela_ctx *ctx, struct buf *why);
/*
 * Brings one up that is ready, or else leaves it out: what error says is told, and
 * its methods answer that it is not running.
 */
int	 plugin_try(struct chela_ctx *ctx);
void	 plugin_hold_stopped(struct chela_ctx *ctx);	/* one that is down */
void	 plugin_unhold(struct chela_ctx *ctx);	/* ready for another try */
void	 plugin_leave_tables(struct chela_ctx *ctx);
void	 plugin_stop(struct chela_ctx *ctx);
void	 plugin_fini(struct chela_ctx *ctx);
void	 plugin_down(struct chela_ctx *ctx);
size_t	 host_payload_max(const struct host *h);
int	 host_entry(const char *dir, const char *entry, char **ret_name,
	    char **ret_path);
void	 host_sort(struct host *h);
const struct chela_dep *ctx_dep(const struct chela_ctx *ctx, uint32_t i);
struct chela_ctx *host_find(struct host *h, const char *name);
struct methods *methods_unref(struct methods *m);
void	 ctx_set_error(struct chela_ctx *ctx, const char *text);

/* host.c: one that is seen and enabled, in the host's list. */
struct chela_ctx *ctx_new(struct host *h, const char *name, const char *path);

/* refresh.c */
void	 host_kick(struct host *h);	/* a request of a draining one ended */
void	 host_end_refresh(struct host *h);	/* who waits for one is told */
/*
 * Fails what a plugin has not answered. is_told: it gets its cancel callbacks, as
 * it does where the client goes.
 */
void	 ctx_cut_requests(struct chela_ctx *ctx, bool is_told, const char *why);

/* host_table.c and its parts */
void	 host_fill_table(struct host *h);
void	 host_fill_store(struct chela_host *t);
void	 host_fill_loop(struct chela_host *t);
void	 host_fill_req(struct chela_host *t);
void	 ctx_drop_timers(struct chela_ctx *ctx);
void	 ctx_drop_close_cbs(struct chela_ctx *ctx);
void	 host_peer_close_cbs(struct peer *p);

/* dispatch.c */
struct chela_req *req_unref(struct chela_req *req);
void	 req_cancel(struct chela_req *req);	/* tells who wanted to know */

/* access_service.c */
int	 access_service_export(struct host *h);
void	 access_service_fini(void);
void	 access_service_opened(struct peer *p);
void	 access_service_closed(struct peer *p);
void	 access_service_refused(struct peer *p, const char *reason);

/* lifecycle_service.c */
int	 lifecycle_service_export(struct host *h);

/* routes_service.c, routes.c */
int	 routes_service_export(struct host *h);
/* path NULL: all of the plugin's. -ENOENT. */
int	 routes_remove(struct chela_ctx *ctx, const char *path);
void	 routes_fini(void);		/* no plugin runs any more */

/* core_services.c */
int	 host_export_core(struct host *h);
void	 core_services_changed(void);
void	 core_services_fini(void);

#endif
