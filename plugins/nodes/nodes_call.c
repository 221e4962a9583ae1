/* SPDX-License-Identifier: MIT */
/*
 * Invocations: to one node, answered by that node on that connection, once.
 * What comes from another node or after the end is counted and thrown away.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nodes.h"

#define MS	UINT64_C(1000)
#define CHUNK_MAX	16384	/* bytes of one piece of progress */

struct call {
	struct call		*next, **prev;
	char			 id[37];
	struct node		*node;
	char			*node_id;
	char			*command;
	struct chela_req	*req;		/* NULL: of the service */
	chela_node_done_fn	*done;
	chela_node_progress_fn	*progress;
	void			*arg;
	uint64_t		 idle_us;	/* 0: silence is allowed */
	int64_t			 next_seq;	/* of progress */
	int64_t			 input_seq;
	struct chela_timer	*timer;		/* the whole of it */
	struct chela_timer	*idle_timer;	/* or NULL */
};

static struct call	*calls;
static uint32_t		 n_calls;

static void
call_free(struct call *c)
{
	if (c->prev != NULL) {
		*c->prev = c->next;
		if (c->next != NULL)
			c->next->prev = c->prev;
		n_calls--;
		c->node->n_calls--;
	}
	if (c->timer != NULL)
		nodes.host->timer_free(c->timer);
	if (c->idle_timer != NULL)
		nodes.host->timer_free(c->idle_timer);
	if (c->req != NULL)
		nodes.host->req_unref(c->req);
	free(c->node_id);
	free(c->command);
	free(c);
}

static struct call *
call_find(const char *id)
{
	struct call	*c;

	for (c = calls; c != NULL && strcmp(c->id, id) != 0; c = c->next)
		;
	return (c);
}

/* --- the end of one --- */

static struct json_object *
error_details(const char *code, const char *message, bool was_dispatched)
{
	struct json_object	*d = json_object_new_object();
	struct json_object	*e = json_object_new_object();

	/* What the node itself says is no code of this gateway's. */
	if (!was_dispatched)
		nodes_add_str(d, "code", code);
	nodes_add_str(e, "code", code);
	nodes_add_str(e, "message", message);
	nodes_add(d, "nodeError", e);
	nodes_add(d, "nodeCommandDispatched",
	    json_object_new_boolean(was_dispatched));
	return (d);
}

static int
fail_node(struct chela_req *req, const char *code, const char *message,
    bool was_dispatched, const char *text)
{
	struct chela_error	 extra = { .struct_size = sizeof extra };

	extra.details = error_details(code, message, was_dispatched);
	return (nodes.host->req_fail_with(req, "UNAVAILABLE", &extra, "%s",
	    text));
}

/* code NULL: it went well; payload and text are what the node sent. */
static void
call_end(struct call *c, const char *code, const char *message,
    struct json_object *payload, const char *text)
{
	struct chela_node_result res = {
		.struct_size = sizeof res,
		.was_dispatched = 1,
		.code = code,
		.message = message,
		.payload = payload,
	};
	struct json_object	*o;
	char			 line[1200];

	if (c->req == NULL) {
		c->done(&res, c->arg);
	} else if (code != NULL) {
		if (strcmp(code, "DISCONNECTED") == 0)
			(void)snprintf(line, sizeof line, "%s", message);
		else
			(void)snprintf(line, sizeof line, "%.128s: %.1024s",
			    code, message);
		(void)fail_node(c->req, code, message, true, line);
	} else {
		o = json_object_new_object();
		nodes_add(o, "ok", json_object_new_boolean(1));
		nodes_add_str(o, "nodeId", c->node_id);
		nodes_add_str(o, "command", c->command);
		(void)json_object_object_add(o, "payload",
		    json_object_get(payload));
		(void)json_object_object_add(o, "payloadJSON", text == NULL ?
		    NULL : json_object_new_string(text));
		(void)nodes.host->req_reply(c->req, o);
	}
	call_free(c);
}

static void
call_tell_cancel(const struct call *c)
{
	struct json_object	*o = json_object_new_object();

	nodes_add_str(o, "invokeId", c->id);
	nodes_add_str(o, "nodeId", c->node_id);
	if (c->node->conn != NULL)
		(void)nodes_tell(c->node, "node.invoke.cancel", o);
	else
		json_object_put(o);
}

static void
on_late(struct chela_ctx *ctx, void *arg)
{
	struct call	*c = arg;

	(void)ctx;
	call_tell_cancel(c);
	call_end(c, "TIMEOUT", "node invoke timed out", NULL, NULL);
}

static void
on_cancel(struct chela_req *req, void *arg)
{
	struct call	*c = arg;

	(void)req;
	call_tell_cancel(c);
	call_free(c);
}

void
calls_of_node_gone(struct node *n)
{
	struct call	*c;
	char		 text[NODES_NAME_MAX + 64];

	for (;;) {
		for (c = calls; c != NULL && c->node != n; c = c->next)
			;
		if (c == NULL)
			return;
		(void)snprintf(text, sizeof text, "node disconnected (%s)",
		    c->command);
		call_end(c, "DISCONNECTED", text, NULL, NULL);
	}
}

void
calls_clear(void)
{
	/* Once answered, a request has no cancel callback left. */
	while (calls != NULL) {
		if (calls->req != NULL)
			(void)nodes.host->req_fail(calls->req, "UNAVAILABLE",
			    "the gateway's part for nodes is going away");
		call_free(calls);
	}
}

/* --- the start of one --- */

struct start {
	const char		*command;
	const char		*key;
	const char		*session_key;
	struct json_object	*params;	/* NULL: none */
	uint64_t		 timeout_ms;	/* what is left */
};

static struct call *
call_new(struct node *n, const char *command)
{
	struct call	*c = calloc(1, sizeof *c);

	if (c == NULL)
		return (NULL);
	nodes.host->uuid(c->id);
	c->node = n;
	c->node_id = strdup(n->id);
	c->command = strdup(command);
	c->timer = nodes.host->timer_new(nodes.ctx, on_late, c);
	if (c->node_id == NULL || c->command == NULL || c->timer == NULL) {
		call_free(c);
		return (NULL);
	}
	return (c);
}

static void
call_link(struct call *c)
{
	c->next = calls;
	c->prev = &calls;
	if (calls != NULL)
		calls->prev = &c->next;
	calls = c;
	n_calls++;
	c->node->n_calls++;
}

/*
 * 0, or -ENOTCONN: its connection went. A slow reader's may go by this very
 * event, and the node with it; so the call is known only afterwards.
 */
static int
call_dispatch(struct call *c, const struct start *s)
{
	struct json_object	*o = json_object_new_object();
	struct chela_conn	*conn = c->node->conn;
	char			 key[37];
	int			 r;

	nodes_add_str(o, "id", c->id);
	nodes_add_str(o, "nodeId", c->node_id);
	nodes_add_str(o, "command", c->command);
	(void)json_object_object_add(o, "paramsJSON", s->params == NULL ? NULL :
	    json_object_new_string(json_object_to_json_string_ext(s->params,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)));
	nodes_add(o, "timeoutMs",
	    json_object_new_int64((int64_t)s->timeout_ms));
	nodes.host->uuid(key);
	nodes_add_str(o, "idempotencyKey", s->key != NULL ? s->key : key);
	nodes_add_str(o, "sessionKey", s->session_key);
	r = nodes_tell(c->node, "node.invoke.request", o);
	if (r < 0)
		return (r);
	c->node = node_find(c->node_id);
	if (r == 0 || c->node == NULL || c->node->conn != conn)
		return (-ENOTCONN);
	call_link(c);
	return (nodes.host->timer_set(c->timer, s->timeout_ms * MS));
}

static bool
has_room(const struct node *n)
{
	return (n_calls < NODES_CALLS_MAX && n->n_calls < NODES_CALLS_OF_ONE);
}

int
call_send(struct chela_req *req, struct node *n, struct json_object *request,
    struct json_object *params, uint64_t spent_ms)
{
	struct chela_error	 extra = { .struct_size = sizeof extra,
	    .retryable = 1 };
	struct start		 s = {
		.command = nodes_str(request, "command"),
		.key = nodes_str(request, "idempotencyKey"),
		.session_key = nodes_str(request, "sessionKey"),
		.params = params,
	};
	struct call		*c;
	int64_t			 ms;
	int			 r;

	if (!has_room(n))
		return (nodes.host->req_fail_with(req, "UNAVAILABLE", &extra,
		    "too many invocations are under way"));
	ms = nodes_int(request, "timeoutMs", 0);
	s.timeout_ms = ms <= 0 ? NODES_TIMEOUT_MS :
	    ms > NODES_TIMEOUT_MAX_MS ? NODES_TIMEOUT_MAX_MS : (uint64_t)ms;
	s.timeout_ms = spent_ms < s.timeout_ms ? s.timeout_ms - spent_ms : 1;
	c = call_new(n, s.command);
	if (c == NULL)
		return (-ENOMEM);
	r = call_dispatch(c, &s);
	if (r < 0) {
		call_free(c);
		return (fail_node(req, "NOT_CONNECTED", "node not connected",
		    false, "node not connected"));
	}
	c->req = nodes.host->req_ref(req);
	nodes.host->req_on_cancel(req, on_cancel, c);
	return (0);
}

static int
fail_policy(struct chela_req *req, const char *command, const char *reason,
    const char *text)
{
	struct chela_error	 extra = { .struct_size = sizeof extra };

	extra.details = json_object_new_object();
	nodes_add_str(extra.details, "reason", reason);
	nodes_add_str(extra.details, "command", command);
	return (nodes.host->req_fail_with(req, "INVALID_REQUEST", &extra,
	    "node command not allowed: %s", text));
}

static int
fail_surface(struct chela_req *req, struct node *n, const char *command)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	const char		*family = nodes_str(n->claims, "deviceFamily");
	struct policy		 p;
	char			 text[2 * NODES_NAME_MAX + 128];

	(void)nodes.host->conn_info(n->conn, &info);
	if (!policy_allows(info.platform, family != NULL ? family : "", command,
	    &p)) {
		if (p.is_dangerous)
			(void)snprintf(text, sizeof text, "\"%.*s\" requires "
			    "explicit gateway.nodes.commands.allow opt-in",
			    NODES_NAME_MAX, command);
		else
			(void)snprintf(text, sizeof text, "\"%.*s\" is not in "
			    "the allowlist for platform \"%s\"", NODES_NAME_MAX,
			    command, p.platform);
		return (fail_policy(req, command, p.reason, text));
	}
	if (json_object_array_length(n->declared_commands) == 0)
		return (fail_policy(req, command,
		    "node did not declare commands",
		    "node did not declare commands"));
	if (!set_has(n->declared_commands, command))
		return (fail_policy(req, command,
		    "command not declared by node",
		    "command not declared by node"));
	return (fail_policy(req, command, "command not approved",
	    "the node's commands await an operator's approval"));
}

bool
call_admitted(struct chela_req *req, const char *node_id, const char *command,
    struct node **ret)
{
	struct node	*n = node_find(node_id);

	if (n == NULL || n->conn == NULL) {
		if (nodes.access->generation(node_id) == 0)
			(void)nodes_changed(req,
			    "node pairing changed while invocation was active");
		else
			(void)fail_node(req, "NOT_CONNECTED",
			    "node not connected", false, "node not connected");
		return (false);
	}
	if (!node_has_command(n, command)) {
		(void)fail_surface(req, n, command);
		return (false);
	}
	*ret = n;
	return (true);
}

static bool
is_blank(const char *s)
{
	return (s == NULL || s[strspn(s, " \t\r\n")] == '\0');
}

int
call_invoke(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*id = nodes_str(params, "nodeId");
	const char		*command = nodes_str(params, "command");
	struct json_object	*v = NULL;
	struct node		*n;

	(void)ctx;
	if (is_blank(id) || is_blank(command))
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "nodeId and command required"));
	if (strncmp(command, "system.execApprovals.", 21) == 0)
		return (nodes.host->req_fail(req, "INVALID_REQUEST",
		    "node.invoke does not allow system.execApprovals.*; use "
		    "exec.approvals.node.*"));
	if (!call_admitted(req, id, command, &n))
		return (0);
	if (strcmp(command, "system.run") == 0)
		return (run_invoke(req, n, params));
	(void)json_object_object_get_ex(params, "params", &v);
	return (call_send(req, n, params, v, 0));
}

const char *
call_scope(struct chela_ctx *ctx, struct json_object *params)
{
	const char	*command = nodes_str(params, "command");

	(void)ctx;
	return (command == NULL ? NULL : policy_invoke_scope(command));
}

/* --- what the node says --- */

static int
reply_ok(struct chela_req *req, bool is_ignored)
{
	struct json_object	*o = json_object_new_object();

	nodes_add(o, "ok", json_object_new_boolean(1));
	if (is_ignored)
		nodes_add(o, "ignored", json_object_new_boolean(1));
	return (nodes.host->req_reply(req, o));
}

static bool
is_from(struct chela_req *req, struct json_object *params,
    const struct node *n)
{
	if (strcmp(nodes_str(params, "nodeId"), n->id) == 0)
		return (true);
	(void)nodes.host->req_fail(req, "INVALID_REQUEST", "nodeId mismatch");
	return (false);
}

/* The open call of that id, if it is this node's; else it is counted. */
static struct call *
call_of(const struct node *n, const char *id)
{
	struct call	*c = call_find(id);

	if (c != NULL && c->node == n)
		return (c);
	if (c != NULL) {
		nodes.n_foreign++;
		nodes.host->log(nodes.ctx, CHELA_LOG_WARNING,
		    "node '%s': answered what another node was asked "
		    "foreign=%llu", n->id,
		    (unsigned long long)nodes.n_foreign);
	} else {
		nodes.n_late++;
		nodes.host->log(nodes.ctx, CHELA_LOG_INFO,
		    "node '%s': answered what is over late=%llu", n->id,
		    (unsigned long long)nodes.n_late);
	}
	return (NULL);
}

/* The text wins over the value; what is no JSON is shown as it came. */
static void
payload_of(struct json_object *params, struct json_object **ret_payload,
    const char **ret_text)
{
	struct json_object	*v = NULL, *parsed;
	struct json_tokener	*tok;
	const char		*text = nodes_str(params, "payloadJSON");
	size_t			 len;

	*ret_text = text;
	if (text == NULL) {
		if (!json_object_object_get_ex(params, "payloadJSON", &v) ||
		    v == NULL)
			(void)json_object_object_get_ex(params, "payload", &v);
		*ret_payload = json_object_get(v);
		return;
	}
	len = strlen(text);
	tok = json_tokener_new_ex(64);
	parsed = tok == NULL ? NULL : json_tokener_parse_ex(tok, text,
	    (int)len + 1);
	if (tok == NULL ||
	    json_tokener_get_error(tok) != json_tokener_success ||
	    json_tokener_get_parse_end(tok) < len) {
		json_object_put(parsed);
		parsed = json_object_new_object();
		nodes_add(parsed, "payloadJSON", json_object_new_string(text));
	}
	if (tok != NULL)
		json_tokener_free(tok);
	*ret_payload = parsed;
}

int
call_result(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*e = NULL, *payload, *ok = NULL;
	struct node		*n = node_of(req);
	struct call		*c;
	const char		*code, *message, *text;

	(void)ctx;
	if (n == NULL || !is_from(req, params, n))
		return (0);
	c = call_of(n, nodes_str(params, "id"));
	if (c == NULL)
		return (reply_ok(req, true));
	(void)json_object_object_get_ex(params, "ok", &ok);
	if (json_object_get_boolean(ok)) {
		payload_of(params, &payload, &text);
		call_end(c, NULL, NULL, payload, text);
		json_object_put(payload);
	} else {
		(void)json_object_object_get_ex(params, "error", &e);
		code = nodes_str(e, "code");
		message = nodes_str(e, "message");
		call_end(c, code != NULL ? code : "UNAVAILABLE",
		    message != NULL ? message : "node invoke failed", NULL,
		    NULL);
	}
	return (reply_ok(req, false));
}

int
call_progress(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct node	*n = node_of(req);
	struct call	*c;
	const char	*chunk = nodes_str(params, "chunk");

	(void)ctx;
	if (n == NULL || !is_from(req, params, n))
		return (0);
	c = call_of(n, nodes_str(params, "invokeId"));
	/* Pieces are taken in order, each once. */
	if (c == NULL || c->progress == NULL ||
	    nodes_int(params, "seq", -1) != c->next_seq)
		return (reply_ok(req, true));
	c->next_seq++;
	if (c->idle_timer != NULL)
		(void)nodes.host->timer_set(c->idle_timer, c->idle_us);
	c->progress(chunk, strnlen(chunk, CHUNK_MAX), c->arg);
	return (reply_ok(req, false));
}

/* --- service nodes/1 --- */

static void
info_fill(struct node *n, struct chela_node_info *ret)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct json_object	*approved = NULL, *pending = NULL;
	struct chela_node_info	 in = { .struct_size = ret->struct_size };

	(void)nodes.access->surface_get(n->id, &approved, &pending);
	in.id = n->id;
	in.display_name = in.platform = "";
	in.is_connected = n->conn != NULL;
	in.is_approved = approved != NULL;
	if (n->conn != NULL && nodes.host->conn_info(n->conn, &info) == 0) {
		in.display_name = info.display_name;
		in.platform = info.platform;
	}
	in.caps = n->caps;
	in.commands = n->commands;
	in.tools = n->tools;
	in.skills = n->skills;
	memcpy(ret, &in, ret->struct_size < sizeof in ? ret->struct_size :
	    sizeof in);
}

static int
svc_each(int (*cb)(const struct chela_node_info *info, void *arg), void *arg)
{
	struct chela_node_info	 info;
	size_t			 i;
	int			 r = 0;

	for (i = 0; r == 0 && i < nodes.n; i++) {
		info.struct_size = sizeof info;
		info_fill(nodes.all[i], &info);
		r = cb(&info, arg);
	}
	return (r);
}

static int
svc_find(const char *id, struct chela_node_info *ret)
{
	struct node	*n = node_find(id);

	if (n == NULL)
		return (-ENOENT);
	info_fill(n, ret);
	return (0);
}

static int
svc_invoke(const struct chela_node_call *rq, char *ret_id)
{
	struct start	 s = {
		.command = rq->command,
		.key = rq->idempotency_key,
		.session_key = rq->session_key,
		.params = rq->params,
		.timeout_ms = rq->timeout_ms != 0 ? rq->timeout_ms :
		    NODES_TIMEOUT_MS,
	};
	struct node	*n = node_find(rq->node_id);
	struct call	*c;
	int		 r;

	if (n == NULL)
		return (-ENOENT);
	if (n->conn == NULL)
		return (-ENOTCONN);
	if (!node_has_command(n, rq->command))
		return (-EPERM);
	if (!has_room(n))
		return (-ENOBUFS);
	c = call_new(n, rq->command);
	if (c == NULL)
		return (-ENOMEM);
	c->done = rq->done;
	c->progress = rq->progress;
	c->arg = rq->arg;
	if (rq->idle_ms != 0 && rq->progress != NULL) {
		c->idle_us = rq->idle_ms * MS;
		c->idle_timer = nodes.host->timer_new(nodes.ctx, on_late, c);
	}
	r = call_dispatch(c, &s);
	if (r == 0 && c->idle_timer != NULL)
		r = nodes.host->timer_set(c->idle_timer, c->idle_us);
	if (r < 0) {
		call_free(c);
		return (r);
	}
	if (ret_id != NULL)
		memcpy(ret_id, c->id, sizeof c->id);
	return (0);
}

static int
svc_cancel(const char *id)
{
	struct call	*c = call_find(id);

	if (c == NULL || c->req != NULL)
		return (-ENOENT);
	call_tell_cancel(c);
	call_free(c);
	return (0);
}

static int
svc_input(const char *id, const char *text)
{
	struct call		*c = call_find(id);
	struct json_object	*o;

	if (c == NULL || c->req != NULL || c->node->conn == NULL)
		return (-ENOENT);
	if (strlen(text) > CHELA_NODE_INPUT_MAX)
		return (-EMSGSIZE);
	o = json_object_new_object();
	nodes_add_str(o, "id", c->id);
	nodes_add_str(o, "nodeId", c->node_id);
	nodes_add(o, "seq", json_object_new_int64(c->input_seq++));
	nodes_add(o, "payloadJSON", json_object_new_string(text));
	(void)nodes_tell(c->node, "node.invoke.input", o);
	return (0);
}

const struct chela_nodes_1 nodes_service = {
	.struct_size = sizeof nodes_service,
	.each = svc_each,
	.find = svc_find,
	.invoke = svc_invoke,
	.cancel = svc_cancel,
	.input = svc_input,
};
