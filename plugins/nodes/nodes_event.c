/* SPDX-License-Identifier: MIT */
/*
 * What a node tells by itself: node.event and its catalogues. Nothing of it
 * counts before an operator has approved the node.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/sessions.h>
#include <chela/services/system.h>

#include "nodes.h"

#define STATS_BYTES_MAX		8192	/* of a machine's numbers, as JSON */
#define INVENTORY_BYTES_MAX	65536
#define OUTPUT_SHOWN		2000	/* bytes of a command's output */
#define IDLE_SECONDS_MAX	2592000
#define KEY_SIZE		(CHELA_SESSION_KEY_MAX + 1)

static const char *
said(struct json_object *o, const char *key)
{
	const char	*s = nodes_str(o, key);

	return (s == NULL || s[strspn(s, " \t\r\n")] == '\0' ? NULL : s);
}

static size_t
json_bytes(struct json_object *o)
{
	size_t	 len = 0;

	(void)json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN,
	    &len);
	return (len);
}

/* The object that came as text or as it is; gives, or NULL. */
static struct json_object *
payload_of(struct json_object *params)
{
	const char		*text = nodes_str(params, "payloadJSON");
	struct json_object	*v = NULL;

	if (text != NULL)
		v = json_tokener_parse(text);
	else if (json_object_object_get_ex(params, "payload", &v))
		v = json_object_get(v);
	if (json_object_is_type(v, json_type_object))
		return (v);
	json_object_put(v);
	return (NULL);
}

/* How an event was taken; NULL is handled without more to say. */
struct taken {
	bool		 is_handled;
	const char	*reason;
};

#define TAKEN(r)	((struct taken){ true, (r) })
#define NOT_TAKEN(r)	((struct taken){ false, (r) })

/* --- the machine --- */

static struct taken
take_stats(struct node *n, struct json_object *p)
{
	struct json_object	*o, *copy = NULL;

	if (p == NULL || json_bytes(p) > STATS_BYTES_MAX ||
	    json_object_deep_copy(p, &copy, NULL) < 0)
		return (NOT_TAKEN("invalid_payload"));
	nodes_add_ms(copy, "updatedAtMs", nodes.host->wall_ms());
	json_object_put(n->stats);
	n->stats = copy;
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	nodes_add(o, "hostStats", json_object_get(copy));
	(void)nodes.host->emit(nodes.ctx, "node.hostStats", o, NULL);
	return (TAKEN("updated"));
}

static struct taken
take_alive(struct node *n, struct json_object *p)
{
	static const char *const triggers[] = {
		"background", "silent_push", "bg_app_refresh",
		"significant_location", "manual", "connect",
	};
	const char	*trigger = nodes_str(p, "trigger");
	size_t		 i;

	for (i = 0; trigger != NULL &&
	    i < sizeof triggers / sizeof triggers[0]; i++) {
		if (strcmp(triggers[i], trigger) == 0) {
			n->seen_ms = nodes.host->wall_ms();
			n->seen_reason = triggers[i];
			return (TAKEN("persisted"));
		}
	}
	return (NOT_TAKEN("invalid_payload"));
}

static struct taken
take_activity(struct node *n, struct json_object *p)
{
	const char		*action = nodes_str(p, "action");
	int64_t			 idle = nodes_int(p, "idleSeconds", -1);
	struct json_object	*o;
	uint64_t		 now = nodes.host->wall_ms();
	bool			 is_clear;

	is_clear = action != NULL && strcmp(action, "clear") == 0;
	if (!is_clear && (idle < 0 || idle > IDLE_SECONDS_MAX))
		return (NOT_TAKEN("invalid_payload"));
	if (is_clear && n->presence_ms == 0)
		return (TAKEN("unchanged"));
	n->presence_ms = is_clear ? 0 : now;
	n->active_ms = is_clear ? 0 : now - (uint64_t)idle * 1000;
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	(void)json_object_object_add(o, "lastActiveAtMs", is_clear ? NULL :
	    json_object_new_int64((int64_t)n->active_ms));
	(void)json_object_object_add(o, "presenceUpdatedAtMs", is_clear ? NULL :
	    json_object_new_int64((int64_t)n->presence_ms));
	(void)nodes.host->emit(nodes.ctx, "node.presence", o, NULL);
	return (TAKEN(is_clear ? "cleared" : "updated"));
}

/* --- people talking through it --- */

static struct taken
start_run(const char *key, const char *message, const char *thinking,
    struct json_object *p)
{
	const struct chela_agent_1	*agent;
	struct chela_agent_start	 rq = { .struct_size = sizeof rq };
	struct json_object		*v = NULL;
	const char			*why = NULL;
	int64_t				 seconds;
	char				 id[37];

	agent = nodes_service_of(CHELA_AGENT_SERVICE);
	if (agent == NULL)
		return (NOT_TAKEN("no_agent"));
	if (message == NULL || strlen(message) > NODES_TEXT_MAX)
		return (NOT_TAKEN("invalid_payload"));
	nodes.host->uuid(id);
	rq.run_id = id;
	rq.session_key = key;
	rq.message = message;
	rq.thinking = thinking;
	if (p != NULL && json_object_object_get_ex(p, "deliver", &v) &&
	    json_object_get_boolean(v)) {
		rq.flags |= CHELA_AGENT_DELIVER;
		rq.channel = said(p, "channel");
		rq.to = said(p, "to");
	}
	seconds = nodes_int(p, "timeoutSeconds", 0);
	if (seconds > 0 && seconds < 86400)
		rq.timeout_us = (uint64_t)seconds * 1000000;
	return (agent->start(&rq, &why) < 0 ? NOT_TAKEN("not_started") :
	    TAKEN("started"));
}

static struct taken
take_transcript(struct node *n, struct json_object *p)
{
	const char	*key = said(p, "sessionKey");

	(void)n;
	return (start_run(key != NULL ? key : "main", said(p, "text"), "low",
	    NULL));
}

static struct taken
take_request(struct node *n, struct json_object *p)
{
	const char	*key = said(p, "sessionKey");
	char		 own[KEY_SIZE];

	(void)snprintf(own, sizeof own, "node-%s", n->id);
	return (start_run(key != NULL ? key : own, said(p, "message"),
	    said(p, "thinking"), p));
}

/*
 * What is said in a session comes to this node as the events "chat" and "agent",
 * whose topic that is, until it takes this back or goes.
 */
static struct taken
take_subscription(struct chela_req *req, struct json_object *p, bool is_on)
{
	const struct chela_sessions_1	*sessions;
	struct chela_conn		*conn = nodes.host->req_conn(req);
	const char			*key = said(p, "sessionKey");
	char				 full[KEY_SIZE], topic[KEY_SIZE + 16];
	int				 r;

	sessions = nodes_service_of(CHELA_SESSIONS_SERVICE);
	if (sessions == NULL)
		return (NOT_TAKEN("no_sessions"));
	if (key == NULL || conn == NULL ||
	    sessions->canonical(key, NULL, full) < 0)
		return (NOT_TAKEN("invalid_payload"));
	(void)snprintf(topic, sizeof topic, "session:%s", full);
	r = is_on ? nodes.host->conn_subscribe(nodes.ctx, conn, topic) :
	    nodes.host->conn_unsubscribe(nodes.ctx, conn, topic);
	if (r == -EDQUOT)
		return (NOT_TAKEN("too_many_subscriptions"));
	if (r < 0 && r != -ENOENT)
		return (NOT_TAKEN("not_subscribed"));
	return (TAKEN(is_on ? "subscribed" : "unsubscribed"));
}

/* --- what became of a command --- */

static void
exec_text(const struct node *n, const char *event, struct json_object *p,
    char *ret, size_t size)
{
	const char		*command = said(p, "command");
	const char		*output = said(p, "output");
	const char		*reason = said(p, "reason");
	struct json_object	*v = NULL;
	char			 end[48] = "";

	if (strcmp(event, "exec.finished") == 0 &&
	    json_object_object_get_ex(p, "timedOut", &v) &&
	    json_object_get_boolean(v))
		(void)snprintf(end, sizeof end, ", timed out");
	else if (strcmp(event, "exec.finished") == 0)
		(void)snprintf(end, sizeof end, ", code %lld",
		    (long long)nodes_int(p, "exitCode", -1));
	(void)snprintf(ret, size,
	    "Exec %s (node=%.64s%s%s%.200s)%s%.500s%s%.*s", event + 5, n->id,
	    end, reason != NULL ? ", " : "", reason != NULL ? reason : "", command != NULL ? ": " : "",
	    command != NULL ? command : "", output != NULL ? "\n" : "",
	    OUTPUT_SHOWN, output != NULL ? output : "");
}

/*
 * It goes to a session that exists: a node does not make one by naming it. The
 * text is cut between two characters.
 */
static struct taken
take_exec(struct node *n, const char *event, struct json_object *p)
{
	const struct chela_sessions_1	*sessions;
	const struct chela_system_1	*sys;
	struct chela_session_info	 info = { .struct_size = sizeof info };
	const char			*key = said(p, "sessionKey");
	char				 text[OUTPUT_SHOWN + 1024];
	char				 full[KEY_SIZE];
	size_t				 len;

	sessions = nodes_service_of(CHELA_SESSIONS_SERVICE);
	sys = nodes_service_of(CHELA_SYSTEM_SERVICE);
	if (p == NULL)
		return (NOT_TAKEN("invalid_payload"));
	if (sys == NULL || sessions == NULL)
		return (NOT_TAKEN("no_sessions"));
	if (key != NULL && (sessions->canonical(key, NULL, full) < 0 ||
	    sessions->info(full, &info) < 0))
		return (NOT_TAKEN("unknown_session"));
	exec_text(n, event, p, text, sizeof text);
	len = strlen(text);
	while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80 &&
	    len == sizeof text - 1)
		text[--len] = '\0';
	return (sys->add_event(key != NULL ? full : NULL, text) < 0 ?
	    NOT_TAKEN("not_queued") : TAKEN(NULL));
}

int
event_take(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*event = nodes_str(params, "event");
	struct node		*n = node_approved(req);
	struct json_object	*p, *o;
	struct taken		 t = NOT_TAKEN("unsupported_event");

	(void)ctx;
	if (n == NULL)
		return (0);
	p = payload_of(params);
	if (strcmp(event, "node.host.stats") == 0)
		t = take_stats(n, p);
	else if (strcmp(event, "node.presence.alive") == 0)
		t = take_alive(n, p);
	else if (strcmp(event, "node.presence.activity") == 0)
		t = take_activity(n, p);
	else if (strcmp(event, "voice.transcript") == 0)
		t = take_transcript(n, p);
	else if (strcmp(event, "agent.request") == 0)
		t = take_request(n, p);
	else if (strcmp(event, "chat.subscribe") == 0)
		t = take_subscription(req, p, true);
	else if (strcmp(event, "chat.unsubscribe") == 0)
		t = take_subscription(req, p, false);
	else if (strcmp(event, "exec.started") == 0 ||
	    strcmp(event, "exec.finished") == 0 ||
	    strcmp(event, "exec.denied") == 0)
		t = take_exec(n, event, p);
	json_object_put(p);
	o = json_object_new_object();
	nodes_add(o, "ok", json_object_new_boolean(1));
	nodes_add_str(o, "event", event);
	nodes_add(o, "handled", json_object_new_boolean(t.is_handled));
	nodes_add_str(o, "reason", t.reason);
	return (nodes.host->req_reply(req, o));
}

/* --- catalogues: each replaces the one before --- */

/* Takes the place of *slot, unless all of all nodes would be too much. */
static bool
keep(struct json_object **slot, size_t *bytes, struct json_object *o)
{
	size_t	 size = json_bytes(o);

	if (nodes.catalogue_bytes - *bytes + size > NODES_CATALOGUES_MAX)
		return (false);
	nodes.catalogue_bytes += size;
	nodes.catalogue_bytes -= *bytes;
	*bytes = size;
	json_object_put(*slot);
	*slot = json_object_get(o);
	return (true);
}

static int
too_much(struct chela_req *req)
{
	return (nodes.host->req_fail(req, "UNAVAILABLE",
	    "the catalogues of all nodes together are too large"));
}

static int
reply_catalogue(struct chela_req *req, const struct node *n, const char *key,
    struct json_object *list)
{
	struct json_object	*o = json_object_new_object();

	nodes_add_str(o, "nodeId", n->id);
	if (key != NULL)
		nodes_add(o, key, json_object_get(list));
	return (nodes.host->req_reply(req, o));
}

int
event_skills(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*list = NULL;

	(void)ctx;
	if (n == NULL)
		return (0);
	(void)json_object_object_get_ex(params, "skills", &list);
	if (!keep(&n->skills, &n->skills_bytes, list))
		return (too_much(req));
	return (reply_catalogue(req, n, "skills", list));
}

/* A tool that works by a command needs that command to be approved. */
static struct json_object *
tools_fit(const struct node *n, struct json_object *list)
{
	struct json_object	*some = json_object_new_array(), *t;
	const char		*command;
	size_t			 i, len = json_object_array_length(list);

	for (i = 0; i < len && i < NODES_TOOLS_MAX; i++) {
		t = json_object_array_get_idx(list, i);
		command = nodes_str(t, "command");
		if (command == NULL || node_has_command(n, command))
			(void)json_object_array_add(some, json_object_get(t));
	}
	return (some);
}

int
event_tools(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*list = NULL;
	bool			 is_kept;

	(void)ctx;
	if (n == NULL)
		return (0);
	(void)json_object_object_get_ex(params, "tools", &list);
	list = tools_fit(n, list);
	is_kept = keep(&n->tools, &n->tools_bytes, list);
	json_object_put(list);
	if (!is_kept)
		return (too_much(req));
	return (reply_catalogue(req, n, "tools", n->tools));
}

int
event_runner(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*o;

	(void)ctx;
	if (n == NULL)
		return (0);
	if (json_bytes(params) > INVENTORY_BYTES_MAX)
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "invalid node runner inventory"));
	if (n->runner == NULL || !json_object_equal(n->runner, params)) {
		json_object_put(n->runner);
		n->runner = json_object_get(params);
		o = json_object_new_object();
		nodes_add_str(o, "nodeId", n->id);
		(void)nodes.host->emit(nodes.ctx,
		    "node.runnerInventory.changed", o, NULL);
	}
	return (reply_catalogue(req, n, NULL, NULL));
}

/* What this connection may be asked now. */
int
event_surface(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node		*n = node_approved(req);
	struct json_object	*o;

	(void)ctx;
	(void)params;
	if (n == NULL)
		return (0);
	o = json_object_new_object();
	nodes_add_str(o, "nodeId", n->id);
	nodes_add(o, "caps", json_object_get(n->caps));
	nodes_add(o, "commands", json_object_get(n->commands));
	return (nodes.host->req_reply(req, o));
}
