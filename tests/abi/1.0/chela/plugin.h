/* SPDX-License-Identifier: MIT */
/*
 * The plugin ABI: the whole contract between chelad and a plugin.
 *
 * A plugin is one shared object that exports one symbol, the const object
 * chela_plugin. Everything it may do is a member of struct chela_host, which
 * init() gets. What is not here, a plugin cannot reach.
 *
 * Conventions, valid for every declaration below:
 *  - Functions that return int give zero or more for success, else a negative
 *    errno value.
 *  - "takes": the callee owns the argument from then on, on error paths too.
 *    "gives": the caller owns what it gets. Otherwise a pointer is lent until
 *    the call or the callback returns.
 *  - All strings are UTF-8 and end in NUL. Times are microseconds (_us) or
 *    milliseconds (_ms). Lengths are bytes.
 *  - Every callback comes on the loop thread and every host call is made from
 *    it, except post() and log(), which any thread may call.
 *  - No callback may block.
 */
#ifndef CHELA_PLUGIN_H
#define CHELA_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHELA_ABI_MAJOR 1u
#define CHELA_ABI_MINOR 0u
#define CHELA_MAGIC	0x4348454cu	/* "CHEL" */
#define CHELA_JSON_ABI	5u		/* soname of libjson-c */

/* Roles of a connection (a mask in tables). */
#define CHELA_ROLE_OPERATOR	0x00000001u
#define CHELA_ROLE_NODE		0x00000002u

/* struct chela_method.flags */
#define CHELA_METHOD_IDEMPOTENT	0x00000001u /* may be repeated by key */
#define CHELA_METHOD_HIDDEN	0x00000002u /* callable, not listed in hello */
#define CHELA_METHOD_WRITE	0x00000004u /* control-plane write: 30 in 60 s */

/* struct chela_event.flags */
#define CHELA_EVENT_DROPPABLE	0x00000001u /* skipped for slow readers */
#define CHELA_EVENT_VERSIONED	0x00000002u /* carries stateVersion */
#define CHELA_EVENT_SCOPED	0x00000004u
	/*
	 * A connection with capability "session-scoped-events" gets it only for
	 * topics that it subscribed to; so does a node, whatever it can do.
	 */
#define CHELA_EVENT_NODE_DIRECT	0x00000008u
	/* A node gets it only when it is sent to that node alone. */

/* struct chela_dep.flags */
#define CHELA_DEP_OPTIONAL	0x00000001u

/* struct chela_plugin.flags */
#define CHELA_PLUGIN_TOLERANT	0x00000001u /* tests CHELA_HOST_HAS itself */

/* struct chela_host.log levels, as syslog(3) has them */
#define CHELA_LOG_ERR		3
#define CHELA_LOG_WARNING	4
#define CHELA_LOG_NOTICE	5
#define CHELA_LOG_INFO		6
#define CHELA_LOG_DEBUG		7

/* struct chela_host.watch_new */
#define CHELA_WATCH_READ	0x00000001u
#define CHELA_WATCH_WRITE	0x00000002u

/* struct chela_host.log_read flags */
#define CHELA_READ_TAIL		0x00000001u /* the last rows before from */

#define CHELA_ANY_REV		UINT64_MAX /* whatever the revision is */
#define CHELA_NEW_REV		UINT64_C(0) /* the key must not exist */

#if defined(__GNUC__)
#define CHELA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define CHELA_PRINTF(f, a)
#endif

struct json_object;	/* json-c, counted */
struct chela_ctx;	/* one for each loaded plugin */
struct chela_req;	/* one call from a client, counted */
struct chela_conn;	/* the client behind it; valid until its close callback */
struct chela_timer;
struct chela_watch;
struct chela_host;

/*
 * Handles one call. params is lent, is an object, and is valid against the
 * method's schema. Answer with req_reply() or req_fail() now, or keep a
 * reference (req_ref()) and answer from a later callback. A negative return
 * without an answer makes the host answer UNAVAILABLE.
 */
typedef int chela_handler_fn(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params);

/*
 * Names the scope that this call needs when it depends on the parameters.
 * Runs after the static checks of role and params. Returns a scope name of
 * static storage, or NULL when the table's own scope is enough.
 */
typedef const char *chela_scope_fn(struct chela_ctx *ctx,
    struct json_object *params);

/* One RPC method. Members appended later mean "as before" when zero. */
struct chela_method {
	const char		*name;		/* "chat.send" */
	chela_handler_fn	*handler;
	uint32_t		 roles;		/* CHELA_ROLE_*, never 0 */
	uint32_t		 flags;		/* CHELA_METHOD_* */
	const char		*scope;		/* "write"; NULL: role is enough */
	chela_scope_fn		*dynamic_scope;	/* NULL: none */
	uint32_t		 budget_us;	/* 0: the host's default */
	uint32_t		 reserved;	/* zero */
};

/* One event family. Connections without the scope never get it. */
struct chela_event {
	const char		*name;		/* "chat" */
	const char		*scope;		/* "read"; NULL: every connection */
	uint32_t		 roles;		/* 0: operators */
	uint32_t		 flags;		/* CHELA_EVENT_* */
};

struct chela_dep {
	const char		*name;		/* of the plugin */
	uint32_t		 min_version;	/* CHELA_VERSION(1, 4, 0) or 0 */
	uint32_t		 flags;		/* CHELA_DEP_* */
};

struct chela_plugin {
	/* Frozen head: these never move, in any major version. */
	uint32_t		 magic;
	uint16_t		 abi_major;
	uint16_t		 abi_minor;
	uint32_t		 struct_size;
	uint32_t		 json_abi;
	const char		*name;		/* base name of the file */

	uint32_t		 version;	/* CHELA_VERSION() */
	uint32_t		 flags;		/* CHELA_PLUGIN_* */
	const char		*summary;	/* one line */

	const struct chela_method *methods;
	uint32_t		 n_methods;
	uint32_t		 method_size;	/* stride of methods */
	const struct chela_event *events;
	uint32_t		 n_events;
	uint32_t		 event_size;
	const struct chela_dep	*deps;
	uint32_t		 n_deps;
	uint32_t		 dep_size;

	/* Life cycle, in this order; each may be NULL. */
	int	(*init)(struct chela_ctx *ctx, const struct chela_host *host);
	int	(*start)(struct chela_ctx *ctx);
	int	(*reload)(struct chela_ctx *ctx, struct json_object *conf);
	void	(*stop)(struct chela_ctx *ctx);
	void	(*fini)(struct chela_ctx *ctx);
};

/* What is known of a connection. All strings are lent; never NULL. */
struct chela_conn_info {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 role;		/* CHELA_ROLE_* */
	const char	*id;		/* UUID of this connection */
	const char	*client_id;	/* "cli" */
	const char	*client_mode;	/* "cli" */
	const char	*display_name;
	const char	*instance_id;
	const char	*device_id;	/* "" without a proven device */
	const char	*remote;	/* address, "" when direct and local */
	const char	*version;
	const char	*platform;
	uint64_t	 since_ms;	/* wall clock */
};

/* How an event is sent; zero everywhere: to all who may see the family. */
struct chela_emit {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 reserved;
	const char		*topic;		/* only who subscribed to it */
	const char		*scoped_topic;	/* see CHELA_EVENT_SCOPED */
	const char		*cap;		/* only with this capability */
	struct chela_conn	*only;		/* this connection alone */
	struct chela_conn	*except;	/* all but this one */
};

/* One row of a log. */
struct chela_row {
	uint64_t	 seq;		/* from 1, rising, gaps after trim */
	const char	*text;		/* compact JSON, len bytes and a NUL */
	size_t		 len;
};

/* The extra members of an error answer; zero everywhere: none. */
struct chela_error {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 retryable;	/* 0 or 1 */
	uint64_t		 retry_after_ms; /* 0: not said */
	struct json_object	*details;	/* takes; or NULL */
};

typedef void chela_cb_fn(struct chela_ctx *ctx, void *arg);
typedef void chela_done_fn(struct chela_ctx *ctx, int r, uint64_t rev,
    void *arg);

struct chela_host {
	uint32_t	struct_size;
	uint16_t	abi_major;
	uint16_t	abi_minor;

	/* The plugin's own pointer. */
	void   *(*priv)(const struct chela_ctx *ctx);
	void	(*set_priv)(struct chela_ctx *ctx, void *priv);

	/* One line in the log: "subject: what happened (why)". Any thread. */
	void	(*log)(struct chela_ctx *ctx, int level, const char *fmt, ...)
		    CHELA_PRINTF(3, 4);

	/*
	 * Requests. Exactly one final answer reaches the client; a second is
	 * -EALREADY. After the client left, answers are -ECANCELED. The handle
	 * stays valid while a reference is held.
	 */
	struct chela_req *(*req_ref)(struct chela_req *req);
	void	(*req_unref)(struct chela_req *req);
	int	(*req_reply)(struct chela_req *req,	/* takes; NULL: null */
		    struct json_object *result);
	int	(*req_reply_text)(struct chela_req *req, /* takes malloc()ed */
		    char *json, size_t len);		/* compact JSON */
	int	(*req_interim)(struct chela_req *req,	/* takes; more follows */
		    struct json_object *result);
	int	(*req_fail)(struct chela_req *req, const char *code,
		    const char *fmt, ...) CHELA_PRINTF(3, 4);
	int	(*req_fail_with)(struct chela_req *req, const char *code,
		    const struct chela_error *extra, const char *fmt, ...)
		    CHELA_PRINTF(4, 5);
	void	(*req_on_cancel)(struct chela_req *req,	/* client left */
		    void (*cb)(struct chela_req *req, void *arg), void *arg);
	const char *(*req_method)(const struct chela_req *req);
	struct chela_conn *(*req_conn)(const struct chela_req *req); /* or NULL */

	/*
	 * Connections. A struct chela_conn pointer may be kept until the
	 * plugin's conn_on_close() callback for it has run.
	 */
	int	(*conn_info)(struct chela_conn *conn,
		    struct chela_conn_info *ret_info);
	int	(*conn_has_scope)(struct chela_conn *conn, const char *scope);
	int	(*conn_has_cap)(struct chela_conn *conn, const char *cap);
	int	(*conn_scopes)(struct chela_conn *conn,	/* gives an array */
		    struct json_object **ret_scopes);
	int	(*conn_on_close)(struct chela_ctx *ctx, struct chela_conn *conn,
		    void (*cb)(struct chela_ctx *ctx, struct chela_conn *conn,
		    void *arg), void *arg);
	int	(*conn_subscribe)(struct chela_ctx *ctx,
		    struct chela_conn *conn, const char *topic);
	int	(*conn_unsubscribe)(struct chela_ctx *ctx,
		    struct chela_conn *conn, const char *topic);

	/*
	 * Events to clients: declared in the table, else -EINVAL. Takes
	 * payload. opt may be NULL. Returns the number of receivers.
	 */
	int	(*emit)(struct chela_ctx *ctx, const char *event,
		    struct json_object *payload, const struct chela_emit *opt);

	/* Time. The monotonic one is for intervals; tests drive both. */
	uint64_t (*now_us)(void);
	uint64_t (*wall_ms)(void);
	struct chela_timer *(*timer_new)(struct chela_ctx *ctx,
		    chela_cb_fn *cb, void *arg);		/* gives */
	int	(*timer_set)(struct chela_timer *t, uint64_t after_us);
	void	(*timer_stop)(struct chela_timer *t);
	void	(*timer_free)(struct chela_timer *t);

	/* Descriptors and other threads. */
	struct chela_watch *(*watch_new)(struct chela_ctx *ctx, int fd,
		    uint32_t what, void (*cb)(struct chela_ctx *ctx, int fd,
		    uint32_t what, void *arg), void *arg);	/* gives */
	int	(*watch_set)(struct chela_watch *w, uint32_t what);
	void	(*watch_free)(struct chela_watch *w);
	int	(*post)(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg);
	int	(*work)(struct chela_ctx *ctx,	/* fn on the pool, done here */
		    void (*fn)(void *arg), chela_cb_fn *done, void *arg);

	/*
	 * Configuration. conf() is plugins.entries.<name>.config, defaults
	 * filled in. conf_path() reads any other part ("agents.list",
	 * "models.providers") except gateway.auth; NULL when it is not set.
	 * Both are lent until the next reload().
	 */
	struct json_object *(*conf)(struct chela_ctx *ctx);
	struct json_object *(*conf_path)(struct chela_ctx *ctx,
		    const char *path);
	const char *(*state_dir)(void);

	/*
	 * Tables: key to JSON value, in memory and durable. A get after a put
	 * sees the new value. done comes when the change is durable, or with
	 * -ESTALE when expect_rev was not the current revision; done may be
	 * NULL. Keys and logs are the plugin's own.
	 */
	int	(*kv_get)(struct chela_ctx *ctx, const char *key,
		    struct json_object **ret_val,		/* gives */
		    uint64_t *ret_rev);				/* or NULL */
	int	(*kv_each)(struct chela_ctx *ctx, const char *prefix,
		    int (*cb)(const char *key, struct json_object *val,
		    uint64_t rev, void *arg), void *arg);	/* nonzero stops */
	int	(*kv_put)(struct chela_ctx *ctx, const char *key,
		    struct json_object *val,			/* takes */
		    uint64_t expect_rev, chela_done_fn *done, void *arg);
	int	(*kv_del)(struct chela_ctx *ctx, const char *key,
		    uint64_t expect_rev, chela_done_fn *done, void *arg);

	/*
	 * Logs: rows of JSON with rising numbers, on disk. done of append gets
	 * the row's number once it is durable. read gives up to max rows and
	 * max_bytes, in rising order: from number from on, or with
	 * CHELA_READ_TAIL the last ones below from (0: the newest).
	 */
	int	(*log_append)(struct chela_ctx *ctx, const char *log,
		    struct json_object *row,			/* takes */
		    chela_done_fn *done, void *arg);
	int	(*log_read)(struct chela_ctx *ctx, const char *log,
		    uint64_t from, uint32_t max, size_t max_bytes,
		    uint32_t flags, void (*done)(struct chela_ctx *ctx, int r,
		    const struct chela_row *rows, size_t n, void *arg),
		    void *arg);
	int	(*log_trim)(struct chela_ctx *ctx, const char *log,
		    uint64_t before, chela_done_fn *done, void *arg);
	/*
	 * Rows of all logs whose name starts with prefix and whose text
	 * contains needle, ASCII case ignored; newest first, at most max.
	 */
	int	(*log_find)(struct chela_ctx *ctx, const char *prefix,
		    const char *needle, uint32_t max,
		    void (*done)(struct chela_ctx *ctx, int r,
		    const char *const *logs, const struct chela_row *rows,
		    size_t n, void *arg), void *arg);

	/*
	 * Services: a vtable that starts with its own uint32_t struct_size.
	 * The name carries its major: "sessions/1". Importing one needs the
	 * exporter in deps; those of the core ("core.config/1") do not. Many
	 * plugins may export one name: svc_each() visits all (nonzero stops).
	 */
	int	(*svc_export)(struct chela_ctx *ctx, const char *name,
		    const void *vtable);
	const void *(*svc_import)(struct chela_ctx *ctx, const char *name);
	int	(*svc_each)(struct chela_ctx *ctx, const char *name,
		    int (*cb)(const char *plugin, const void *vtable,
		    void *arg), void *arg);

	/* A random version 4 UUID (RFC 9562), 36 characters and a NUL. */
	void	(*uuid)(char ret_text[37]);
};

#define CHELA_VERSION(a, b, c) \
	(((uint32_t)(a) << 22) | ((uint32_t)(b) << 12) | (uint32_t)(c))

/* True when the running host's table reaches as far as this member. */
#define CHELA_HOST_HAS(h, m) \
	((h)->struct_size >= offsetof(struct chela_host, m) + sizeof((h)->m))

#define CHELA_HEAD(plugin_name) \
	.magic = CHELA_MAGIC, \
	.abi_major = CHELA_ABI_MAJOR, .abi_minor = CHELA_ABI_MINOR, \
	.struct_size = sizeof(struct chela_plugin), \
	.json_abi = CHELA_JSON_ABI, .name = (plugin_name)

#define CHELA_METHODS(t) \
	.methods = (t), .n_methods = sizeof(t) / sizeof((t)[0]), \
	.method_size = sizeof((t)[0])
#define CHELA_EVENTS(t) \
	.events = (t), .n_events = sizeof(t) / sizeof((t)[0]), \
	.event_size = sizeof((t)[0])
#define CHELA_DEPS(t) \
	.deps = (t), .n_deps = sizeof(t) / sizeof((t)[0]), \
	.dep_size = sizeof((t)[0])

#ifdef CHELA_PRELOAD		/* built into a program with -dlpreopen */
#define CHELA_SYM2(n) n##_LTX_chela_plugin
#define CHELA_SYM1(n) CHELA_SYM2(n)
#define CHELA_SYMBOL  CHELA_SYM1(CHELA_PRELOAD)
#else
#define CHELA_SYMBOL  chela_plugin
#endif

#if defined(__GNUC__)
#define CHELA_EXPORT __attribute__((visibility("default")))
#else
#define CHELA_EXPORT
#endif

#define CHELA_PLUGIN \
	extern CHELA_EXPORT const struct chela_plugin CHELA_SYMBOL; \
	CHELA_EXPORT const struct chela_plugin CHELA_SYMBOL

#ifdef __cplusplus
}
#endif
#endif /* CHELA_PLUGIN_H */
