/* SPDX-License-Identifier: MIT */
/*
 * A host for tests of plugins: every member of struct chela_host on a real loop,
 * with tables and logs in memory, recorded answers and events, and clients whose
 * role, scopes and capabilities the test chooses. It is not the daemon: no
 * socket, no file, no dialect.
 *
 *	struct fake *f = fake_new();
 *	fake_conf(f, "{\"agents\":{}}");
 *	fake_load(f, "health");
 *	fake_start(f);
 *	reply = fake_call(f, fake_conn_new(f, NULL), "health", "{}");
 *	... fake_ok(reply) ... json_object_put(reply);
 *	fake_free(f);
 *
 * The plugin's file is $CHELA_TEST_PLUGINS/<name>/.libs/<name>.so, its schema
 * $CHELA_TEST_SCHEMAS/<name>.json. Setting FAKEHOST_LOG shows the plugins' log.
 */
#ifndef TESTS_PLUGIN_FAKEHOST_H
#define TESTS_PLUGIN_FAKEHOST_H

#include <json-c/json.h>

#include <chela/plugin.h>

#include "core/base/loop.h"

#define FAKE_DEADLINE_US	SEC_US(60)	/* of every wait */

struct fake;
struct fake_req;

/* The client of a test; zero everywhere: an operator with the scope admin. */
struct fake_conn_opt {
	uint32_t	 role;		/* CHELA_ROLE_* */
	const char	*scopes;	/* "read write", no prefix */
	const char	*caps;		/* "tool-events" */
	const char	*client_id;
	const char	*client_mode;
	const char	*display_name;
	const char	*instance_id;
	const char	*device_id;
	const char	*remote;
	const char	*version;
	const char	*platform;
};

struct fake	*fake_new(void) must_use;
/* stop() and fini() of all in reverse order, then everything else. */
void		 fake_free(struct fake *f);
struct loop	*fake_loop(struct fake *f);
const struct chela_host *fake_host(struct fake *f);
/* The context of a loaded plugin; "" is that of the test itself. */
struct chela_ctx *fake_ctx(struct fake *f, const char *plugin);

/*
 * The whole configuration document. Before fake_start() it is just set; later
 * it is a reload: the plugins' own answer is returned, and a refusal of one
 * keeps the old document.
 */
int		 fake_conf(struct fake *f, const char *json);
/* Opens a plugin's file and checks its tables; 0 or -errno, with a log line. */
int		 fake_load(struct fake *f, const char *name);
int		 fake_add(struct fake *f, const struct chela_plugin *p);
/* init() of all in the order of their dependencies, then start(). */
int		 fake_start(struct fake *f);
/* stop(), fini(), and all anew, with the same tables and logs. */
int		 fake_restart(struct fake *f);
/* A vtable of the test: a core service, or in the name of a missing plugin. */
int		 fake_service(struct fake *f, const char *plugin,
		    const char *name, const void *vtable);
/* A service that a plugin exported, or NULL. */
const void	*fake_import(struct fake *f, const char *name);

/* Clients. */
struct chela_conn *fake_conn_new(struct fake *f,
		    const struct fake_conn_opt *opt);
void		 fake_conn_close(struct chela_conn *conn);

/*
 * Calls. The answer is {"ok":true,"result":...} or {"ok":false,"error":{code,
 * message, details?, retryable?, retryAfterMs?}}, also for a missing scope, an
 * unknown method and params against the schema. conn NULL: an operator with
 * all scopes. fake_call() gives; NULL when the deadline passed.
 */
struct json_object *fake_call(struct fake *f, struct chela_conn *conn,
		    const char *method, const char *params) must_use;
struct json_object *fake_callf(struct fake *f, struct chela_conn *conn,
		    const char *method, const char *fmt, ...)
		    printf_like(4, 5) must_use;
struct fake_req	*fake_send(struct fake *f, struct chela_conn *conn,
		    const char *method, const char *params) must_use;
/* Waits for the final answer; lent, NULL when the deadline passed. */
struct json_object *fake_reply(struct fake_req *rq);
/* The final answer when it is there already, else NULL; lent. */
struct json_object *fake_reply_now(struct fake_req *rq);
/* The results of the interim answers so far, an array; lent. */
struct json_object *fake_interims(struct fake_req *rq);
void		 fake_req_free(struct fake_req *rq);
/* The client goes: the cancel callback runs. */
void		 fake_req_cancel(struct fake_req *rq);

bool		 fake_ok(struct json_object *reply);
/* error.code or error.message of an answer, "" without. */
const char	*fake_code(struct json_object *reply);
const char	*fake_message(struct json_object *reply);
/* A value below an object: "result.models.0.id"; NULL when it is not there. */
struct json_object *fake_get(struct json_object *o, const char *path);
/* The same as text, "" when it is not there or null; lent. */
const char	*fake_str(struct json_object *o, const char *path);
int64_t		 fake_int(struct json_object *o, const char *path); /* -1 */

/*
 * Events. Recorded for each connection that may get them, and in one list for
 * the host ({event, payload, topic?, scopedTopic?, cap?, only?, except?,
 * receivers}). All arrays are lent until the next event.
 */
struct json_object *fake_events(struct fake *f);
/* conn NULL: of the host's list. The payloads of one family, an array; gives. */
struct json_object *fake_payloads(struct fake *f, struct chela_conn *conn,
		    const char *event) must_use;
size_t		 fake_count(struct fake *f, struct chela_conn *conn,
		    const char *event);
/* Waits for the n-th (from 0) payload of a family; lent, NULL at the deadline. */
struct json_object *fake_wait_event(struct fake *f, struct chela_conn *conn,
		    const char *event, size_t n);
void		 fake_events_clear(struct fake *f);

/* Runs the loop until pred() says so: 0, or -ETIMEDOUT. */
int		 fake_wait(struct fake *f, bool (*pred)(void *arg), void *arg);
/* Runs what is ready, and what that made ready, until nothing is. */
void		 fake_settle(struct fake *f);

/*
 * Time stands still from here on (wall and monotonic); timers of plugins fire
 * in fake_advance() alone. Call it before fake_start().
 */
void		 fake_clock(struct fake *f, uint64_t wall_ms);
void		 fake_advance(struct fake *f, uint64_t us);
/* After fake_clock(): somebody sets the wall clock, and no time passes. */
void		 fake_clock_set(struct fake *f, uint64_t wall_ms);

/* Tables and logs from the side. Text of a value (gives), or NULL. */
char		*fake_kv(struct fake *f, const char *plugin, const char *key)
		    must_use;
int		 fake_kv_set(struct fake *f, const char *plugin,
		    const char *key, const char *json);
size_t		 fake_log_len(struct fake *f, const char *plugin,
		    const char *log);
/* The next n writes fail with r (a full disk); nothing of them is kept. */
void		 fake_fail_writes(struct fake *f, unsigned n, int r);
/* What plugins logged, one line each; lent. */
const char	*fake_log_text(struct fake *f);

#endif
