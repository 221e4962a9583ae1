/* SPDX-License-Identifier: MIT */
/*
 * The HTTP side: the route, and the checks of a request in their order. Nothing
 * of a body is read before the token was right, and nobody learns which paths
 * there are without it.
 */
#include "hooks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE	"application/json; charset=utf-8"

static const char	 token_in_query[] =
	"The token has to come in a header, Authorization: Bearer or "
	"X-OpenClaw-Token; it is not taken from the query.";

static struct call	*calls;
static unsigned		 n_calls;
static char		*route_path;	/* of the route that is there */
static uint64_t		 route_max;

static void
call_free(struct call *call)
{
	size_t	 i;

	if (call->job != NULL)
		mapping_cancel(call->job);
	if (call->timer != NULL)
		hooks.host->timer_free(call->timer);
	for (i = 0; i < call->n_runs; i++)
		run_unref(call->runs[i]);
	free(call->runs);
	json_object_put(call->payload);
	json_object_put(call->headers);
	json_object_put(call->query);
	json_object_put(call->wake);
	free(call->path);
	free(call->idempotency);
	free(call);
}

/* Frees what has its answer. */
static void
calls_sweep(void)
{
	struct call	**link = &calls, *call;

	while ((call = *link) != NULL) {
		if (call->rq != NULL || call->is_busy) {
			link = &call->next;
			continue;
		}
		*link = call->next;
		n_calls--;
		call_free(call);
	}
}

static void
answer(struct chela_http_in *rq, uint32_t status, const char *headers,
    const char *text)
{
	(void)hooks.routes->reply(rq, status, NULL, headers, text,
	    strlen(text));
}

void
call_text(struct call *call, uint32_t status, const char *text)
{
	if (call->rq != NULL)
		answer(call->rq, status, NULL, text);
	call->rq = NULL;
}

void
call_reply(struct call *call, uint32_t status, struct json_object *o)
{
	const char	*text;

	text = json_object_to_json_string_ext(o, JSON_PLAIN);
	if (text == NULL) {
		status = 500;
		text = "{\"ok\":false,\"error\":\"out of memory\"}";
	}
	if (call->rq != NULL)
		(void)hooks.routes->reply(call->rq, status, JSON_TYPE, NULL,
		    text, strlen(text));
	call->rq = NULL;
	json_object_put(o);
}

/* What a wake of the same request came to, beside the answer. */
static void
put_wake(struct call *call, struct json_object *o)
{
	if (call->wake == NULL)
		return;
	json_object_object_foreach(call->wake, key, value)
		(void)obj_add(o, key, json_object_get(value));
}

void
call_error(struct call *call, uint32_t status, const char *fmt, ...)
{
	struct json_object	*o = json_object_new_object();
	char			 text[1024];
	va_list			 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	(void)obj_add(o, "ok", json_object_new_boolean(0));
	(void)obj_add_str(o, "error", text);
	put_wake(call, o);
	call_reply(call, status, o);
}

static void
reply_run(struct call *call, const struct run *run)
{
	bool			 is_ok = run->state != RUN_REFUSED;
	struct json_object	*o = json_object_new_object();

	(void)obj_add(o, "ok", json_object_new_boolean(is_ok));
	if (!is_ok)
		(void)obj_add_str(o, "error", run->error);
	(void)obj_add_str(o, "runId", run->id);
	put_wake(call, o);
	if (is_ok && call->waits)
		(void)obj_add(o, "completion",
		    json_object_get(run->completion));
	call_reply(call, is_ok ? 200 : run->status, o);
}

static void
reply_batch(struct call *call)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*ids = json_object_new_array();
	struct json_object	*errors = json_object_new_array();
	size_t			 i, n_ok = 0, n_failed = 0, n_pending = 0;
	uint32_t		 status = 503;
	char			 text[160];

	for (i = 0; i < call->n_runs; i++) {
		const struct run *run = call->runs[i];

		if (run->state == RUN_REFUSED) {
			if (n_failed++ == 0)
				status = run->status;
			if (n_failed <= HOOKS_ERRORS_MAX)
				(void)json_object_array_add(errors,
				    json_object_new_string(run->error));
		} else if (run->state == RUN_WAITS ||
		    run->state == RUN_ASKED) {
			n_pending++;
		} else {
			n_ok++;
			(void)json_object_array_add(ids,
			    json_object_new_string(run->id));
		}
	}
	if (n_failed == 0 && n_pending == 0) {
		status = 200;
		(void)obj_add(o, "ok", json_object_new_boolean(1));
		(void)obj_add_str(o, "runId", call->runs[0]->id);
		(void)obj_add(o, "runIds", ids);
		(void)obj_add(o, "dispatched",
		    json_object_new_int64((int64_t)n_ok));
		json_object_put(errors);
	} else {
		(void)snprintf(text, sizeof text, "hook fan-out incomplete: "
		    "%zu/%zu dispatched, %zu failed, %zu pending", n_ok,
		    call->n_runs, n_failed, n_pending);
		(void)obj_add(o, "ok", json_object_new_boolean(0));
		(void)obj_add_str(o, "error", text);
		(void)obj_add(o, "runIds", ids);
		if (n_failed > 0)
			(void)obj_add(o, "errors", errors);
		else
			json_object_put(errors);
	}
	put_wake(call, o);
	call_reply(call, status, o);
}

void
call_check(struct call *call)
{
	size_t	 i;
	bool	 is_pending = false;

	if (call->rq == NULL || call->n_runs == 0)
		return;
	for (i = 0; i < call->n_runs; i++)
		is_pending |= call->runs[i]->state == RUN_WAITS ||
		    call->runs[i]->state == RUN_ASKED;
	if (is_pending && !call->is_late)
		return;
	if (call->is_batch && (call->n_runs > 1 || is_pending))
		reply_batch(call);
	else if (!call->waits || call->runs[0]->state != RUN_BEGUN)
		reply_run(call, call->runs[0]);
}

void
ingress_changed(void)
{
	struct call	*call;

	for (call = calls; call != NULL; call = call->next)
		call_check(call);
	calls_sweep();
}

static int
find_token(const char *name, const char *value, void *arg)
{
	(void)value;
	if (strcmp(name, "token") == 0)
		*(bool *)arg = true;
	return (0);
}

/* The part of the path below the base path. */
static const char *
sub_path(struct chela_http_in *rq)
{
	const char	*s = hooks.routes->path(rq);
	size_t		 len = strlen(hooks.conf.path);

	if (strncmp(s, hooks.conf.path, len) == 0)
		s += len;
	return (s + strspn(s, "/"));
}

/* True: the token is right. Else it is answered. */
static bool
is_let_in(struct chela_http_in *rq, unsigned char ret_token[HOOKS_DIGEST])
{
	const char	*want = conf_token(&hooks.conf);
	const char	*remote = hooks.routes->remote(rq);
	char		*given, line[64];
	bool		 ok;
	uint64_t	 wait;

	if (want == NULL) {	/* a reference that has no value (any more) */
		answer(rq, 404, NULL, "Not Found");
		return (false);
	}
	given = auth_given(rq);
	ok = given != NULL && secret_equal(given, want);
	if (ok)
		digest(given, strlen(given), ret_token);
	free(given);
	if (ok) {
		limit_reset(remote);
		hooks.routes->trust(rq);
		return (true);
	}
	wait = limit_check(remote);
	if (wait > 0) {
		(void)snprintf(line, sizeof line, "Retry-After: %llu\r\n",
		    (unsigned long long)wait);
		answer(rq, 429, line, "Too Many Requests");
		return (false);
	}
	limit_failed(remote);
	if (limit_check(remote) > 0)
		hooks.host->log(hooks.ctx, CHELA_LOG_WARNING,
		    "hooks: too many wrong tokens from %s", remote);
	answer(rq, 401, NULL, "Unauthorized");
	return (false);
}

static struct call *
call_new(struct chela_http_in *rq)
{
	struct call	*call;

	call = calloc(1, sizeof *call);
	if (call == NULL)
		return (NULL);
	call->path = strdup(sub_path(rq));
	if (call->path == NULL) {
		free(call);
		return (NULL);
	}
	call->rq = rq;
	call->generation = hooks.generation;
	call->next = calls;
	calls = call;
	n_calls++;
	return (call);
}

static void
on_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	unsigned char	 token[HOOKS_DIGEST];
	struct call	*call;
	bool		 has_token = false;

	(void)ctx;
	(void)arg;
	if (hooks.routes->query_each(rq, find_token, &has_token) < 0) {
		answer(rq, 400, NULL, "Bad Request");
		return;
	}
	if (has_token) {
		answer(rq, 400, NULL, token_in_query);
		return;
	}
	if (strcmp(hooks.routes->method(rq), "POST") != 0) {
		answer(rq, 405, "Allow: POST\r\n", "Method Not Allowed");
		return;
	}
	if (!is_let_in(rq, token))
		return;
	if (*sub_path(rq) == '\0') {
		answer(rq, 404, NULL, "Not Found");
		return;
	}
	call = n_calls < HOOKS_CALLS_MAX ? call_new(rq) : NULL;
	if (call == NULL || hooks.routes->read_body(rq) < 0) {
		answer(rq, 503, NULL, "Service Unavailable");
		if (call != NULL)
			call->rq = NULL;
		calls_sweep();
		return;
	}
	memcpy(call->token, token, sizeof token);
	hooks.routes->set_user(rq, call);
}

static int
put_query(const char *name, const char *value, void *arg)
{
	return (obj_add_str(arg, name, value));
}

/* Headers for templates and programs; what lets callers in is left out. */
static int
put_header(const char *name, const char *value, void *arg)
{
	static const char *const secret[] = { "authorization",
		"proxy-authorization", "x-openclaw-token" };
	const char	*old = get_str(arg, name);
	char		*both = NULL;
	size_t		 i;
	int		 r;

	for (i = 0; i < sizeof secret / sizeof secret[0]; i++) {
		if (strcmp(name, secret[i]) == 0)
			return (0);
	}
	if (old == NULL)
		return (obj_add_str(arg, name, value));
	if (asprintf(&both, "%s, %s", old, value) < 0)
		return (-ENOMEM);
	r = obj_add_str(arg, name, both);
	free(both);
	return (r);
}

/* Other rules, or another token, than those that let it in. */
static bool
is_outdated(const struct call *call)
{
	const char	*token = conf_token(&hooks.conf);
	unsigned char	 now[HOOKS_DIGEST];

	if (token == NULL || call->generation != hooks.generation)
		return (true);
	digest(token, strlen(token), now);
	return (memcmp(now, call->token, sizeof now) != 0);
}

static void
mapping_done(struct json_object *actions, bool is_batch, size_t dropped,
    uint32_t status, const char *error, void *arg)
{
	struct call	*call = arg;
	bool		 was_busy = call->is_busy;

	call->job = NULL;
	call->is_batch = is_batch;
	call->is_busy = true;
	if (dropped > 0)
		hooks.host->log(hooks.ctx, CHELA_LOG_WARNING,
		    "hook '%s': %zu items beyond the first %u were left out",
		    call->path, dropped, HOOKS_ITEMS_MAX);
	if (is_outdated(call))
		call_error(call, 409,
		    "hook configuration changed; retry request");
	else if (actions == NULL)
		call_error(call, status, "%s", error);
	else
		dispatch_mapped(call, actions);
	call->is_busy = was_busy;
	if (!was_busy)
		calls_sweep();
}

static void
call_mapping(struct call *call)
{
	struct mapping_input	 in = { .path = call->path,
				    .payload = call->payload };
	struct json_object	*mapping;

	mapping = mapping_find(hooks.conf.mappings, &in);
	if (mapping == NULL) {
		call_text(call, 404, "Not Found");
		return;
	}
	call->headers = json_object_new_object();
	call->query = json_object_new_object();
	if (call->headers == NULL || call->query == NULL ||
	    hooks.routes->header_each(call->rq, put_header,
	    call->headers) < 0 || hooks.routes->query_each(call->rq,
	    put_query, call->query) < 0) {
		call_error(call, 500, "hook mapping failed");
		return;
	}
	in.headers = call->headers;
	in.query = call->query;
	if (mapping_start(mapping, &in, mapping_done, call, &call->job) < 0)
		call_error(call, 500, "hook mapping failed");
}

static bool
takes_work(void)
{
	const struct chela_lifecycle_1	*life;

	life = hooks.host->svc_import(hooks.ctx, CHELA_LIFECYCLE_SERVICE);
	return (life == NULL || life->phase() == CHELA_PHASE_ACCEPTING);
}

static void
on_body(struct chela_ctx *ctx, struct chela_http_in *rq, const char *bytes,
    size_t len, void *arg)
{
	struct call	*call = hooks.routes->user(rq);
	const char	*error = "";

	(void)ctx;
	(void)arg;
	if (call == NULL)
		return;
	call->is_busy = true;
	call->payload = body_parse(bytes, len, &error);
	if (call->payload == NULL)
		call_error(call, 400, "%s", error);
	else if (is_outdated(call))
		call_error(call, 409,
		    "hook configuration changed; retry request");
	else if (!takes_work())
		call_error(call, 503, "the gateway takes no new work");
	else {
		call->idempotency = body_key(call);
		if (strcmp(call->path, "wake") == 0)
			dispatch_wake(call);
		else if (strcmp(call->path, "agent") == 0)
			dispatch_agent(call);
		else
			call_mapping(call);
	}
	/* Not while the call waits for a run, perhaps for hours. */
	json_object_put(call->payload);
	call->payload = NULL;
	call->is_busy = false;
	calls_sweep();
}

/* Its runs go on without it. */
static void
on_gone(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct call	*call = hooks.routes->user(rq);

	(void)ctx;
	(void)arg;
	if (call == NULL)
		return;
	call->rq = NULL;
	calls_sweep();
}

static void
route_drop(void)
{
	if (route_path != NULL)
		(void)hooks.routes->remove(hooks.ctx, route_path);
	free(route_path);
	route_path = NULL;
}

static void
route_add(void)
{
	struct chela_route	 route = {
		.struct_size = sizeof route,
		.flags = CHELA_ROUTE_PREFIX,
		.path = hooks.conf.path,
		.max_body = hooks.conf.max_body,
		.body_timeout_us = HOOKS_BODY_US,
		.answer_timeout_us = HOOKS_ANSWER_US,
		.too_large = "{\"ok\":false,\"error\":\"payload too large\"}",
		.too_late = "{\"ok\":false,\"error\":\"request body timeout\"}",
		.head = on_head,
		.body = on_body,
		.gone = on_gone,
	};
	int	 r;

	r = hooks.routes->add(hooks.ctx, &route, NULL);
	if (r < 0) {
		hooks.host->log(hooks.ctx, CHELA_LOG_ERR,
		    "hooks.path %s: not served (%s)", hooks.conf.path,
		    r == -EEXIST ? "the path is taken" :
		    r == -EINVAL ? "it is no plain path" : strerror(-r));
		return;
	}
	route_path = strdup(hooks.conf.path);
	route_max = hooks.conf.max_body;
}

static void
token_warn(const char *token)
{
	const struct chela_access_1	*access;

	access = hooks.host->svc_import(hooks.ctx, CHELA_ACCESS_SERVICE);
	if (access != NULL && access->struct_size >=
	    offsetof(struct chela_access_1, is_gateway_secret) +
	    sizeof access->is_gateway_secret &&
	    access->is_gateway_secret(token) == 1)
		hooks.host->log(hooks.ctx, CHELA_LOG_WARNING,
		    "hooks.token is the gateway's own secret: whoever may call "
		    "a hook may do everything; use another");
}

void
ingress_update(void)
{
	const char	*token;
	bool		 is_on = hooks.conf.path != NULL;

	if (hooks.routes == NULL) {
		if (is_on)
			hooks.host->log(hooks.ctx, CHELA_LOG_ERR,
			    "hooks: not served (this gateway has no routes)");
		return;
	}
	token = is_on ? conf_token(&hooks.conf) : NULL;
	if (is_on && token == NULL) {
		hooks.host->log(hooks.ctx, CHELA_LOG_ERR,
		    "hooks.token is blank or has no value: hooks are not "
		    "served");
		/* A reference may get its value later. */
		is_on = !json_object_is_type(hooks.conf.token,
		    json_type_string);
	}
	if (token != NULL)
		token_warn(token);
	if (route_path != NULL && (!is_on || strcmp(route_path,
	    hooks.conf.path) != 0 || route_max != hooks.conf.max_body))
		route_drop();
	if (is_on && route_path == NULL)
		route_add();
}

void
ingress_stop(void)
{
	if (hooks.routes != NULL)
		route_drop();
	while (calls != NULL) {
		struct call *call = calls;

		calls = call->next;
		call_free(call);
	}
	n_calls = 0;
}
