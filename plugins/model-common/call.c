/* SPDX-License-Identifier: MIT */
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#define LINGER_US	2000000u	/* for the connection after the answer */

static const struct chela_host		*host;
static struct chela_ctx			*ctx;
static const struct chela_http_1	*http;
static TAILQ_HEAD(, chela_model_call)	 calls;
static TAILQ_HEAD(, chela_model_call)	 told;	/* their HTTP calls still end */
static unsigned				 n_calls;
static int				 is_stopping;
static const struct driver		*driver;

static void call_try(struct chela_model_call *call);

static void
call_free(struct chela_model_call *call)
{
	size_t	 i;

	if (call == NULL)
		return;
	if (call->timer != NULL)
		host->timer_free(call->timer);
	free(call->url);
	for (i = 0; i < call->n_headers; i++)
		free(call->headers[i]);
	text_fini(&call->body);
	free(call->secret);
	sse_fini(&call->sse);
	text_fini(&call->whole);
	free(call->response_id);
	for (i = 0; i < call->n_tools; i++) {
		free(call->tools[i].id);
		free(call->tools[i].name);
		text_fini(&call->tools[i].args);
	}
	free(call);
}

static void
call_drop(struct chela_model_call *call)
{
	if (call->is_listed && call->step == CALL_TOLD)
		TAILQ_REMOVE(&told, call, link);
	else if (call->is_listed) {
		TAILQ_REMOVE(&calls, call, link);
		n_calls--;
	}
	call_free(call);
}

static void
list_tell(struct chela_model_call *call, int r)
{
	struct json_object	*all, *row, *out, *o = NULL;
	const char		*id, *name;
	size_t			 i;

	out = json_object_new_array();
	if (r == 0)
		o = jget_parse(text_str(&call->whole), call->whole.len);
	all = jget(o, "data");
	if (r == 0 && (out == NULL || !json_object_is_type(all,
	    json_type_array)))
		r = -EBADMSG;
	for (i = 0; r == 0 && i < jget_len(all) && i < CALL_LIST_MAX; i++) {
		id = jget_str(json_object_array_get_idx(all, i), "id");
		name = jget_str(json_object_array_get_idx(all, i),
		    "display_name");
		if (id == NULL || *id == '\0')
			continue;
		row = json_object_new_object();
		if (row == NULL || jadd_str(row, "id", id) < 0 ||
		    (name != NULL && jadd_str(row, "name", name) < 0)) {
			json_object_put(row);
			r = -ENOMEM;
		} else
			r = jpush(out, row);
	}
	call->list_done(r, r == 0 ? out : NULL, call->arg);
	json_object_put(out);
	json_object_put(o);
}

static int
status_errno(uint32_t status)
{
	switch (status) {
	case CHELA_MODEL_OK:
		return (0);
	case CHELA_MODEL_ABORTED:
		return (-ECANCELED);
	case CHELA_MODEL_TIMEOUT:
		return (-ETIMEDOUT);
	case CHELA_MODEL_AUTH:
		return (-EACCES);
	case CHELA_MODEL_RATE_LIMIT:
		return (-EAGAIN);
	case CHELA_MODEL_FORMAT:
		return (-EBADMSG);
	case CHELA_MODEL_CONFIG:
		return (-EINVAL);
	default:
		return (-EIO);
	}
}

/* The end for the caller; what is left of the HTTP call ends by itself. */
static void
call_tell(struct chela_model_call *call, uint32_t status)
{
	struct chela_model_result	 res = {
		.struct_size = sizeof res, .status = status,
		.http_status = call->http_status,
		.response_id = call->response_id,
		.has_usage = call->has_usage ? 1 : 0, .usage = call->usage,
	};

	if (call->step == CALL_TOLD)
		return;
	call->step = CALL_TOLD;
	host->timer_stop(call->timer);
	TAILQ_REMOVE(&calls, call, link);
	TAILQ_INSERT_TAIL(&told, call, link);
	n_calls--;
	if (status == CHELA_MODEL_ABORTED)
		res.stop_reason = "aborted";
	else if (status != CHELA_MODEL_OK)
		res.stop_reason = "error";
	else
		res.stop_reason = call->stop_reason != NULL ?
		    call->stop_reason : "stop";
	if (status != CHELA_MODEL_OK && status != CHELA_MODEL_ABORTED)
		res.message = call->message;
	if (res.usage.total == 0)
		res.usage.total = res.usage.input + res.usage.output +
		    res.usage.cache_read + res.usage.cache_write;
	if (call->list_done != NULL)
		list_tell(call, status_errno(status));
	else
		call->handler.done(&res, call->arg);
	if (call->http == NULL)
		call_drop(call);
	else if (status == CHELA_MODEL_OK)
		(void)host->timer_set(call->timer, LINGER_US);
	else
		http->cancel(call->http);
}

/* Waits and tries again, or says what is wrong. */
static void
call_retry_or_tell(struct chela_model_call *call, int is_retryable)
{
	uint64_t	 wait, now = host->now_us();
	unsigned	 i;

	if (!is_retryable || call->is_begun || call->retries_left == 0 ||
	    is_stopping) {
		call_tell(call, call->fail_status);
		return;
	}
	wait = CALL_BACKOFF_US;
	for (i = 1; i < call->n_tries && wait < CALL_BACKOFF_MAX_US; i++)
		wait *= 2;
	if (wait > CALL_BACKOFF_MAX_US)
		wait = CALL_BACKOFF_MAX_US;
	/* Up to a quarter more, so that many callers do not come at once. */
	wait += (now * 2654435761u >> 7) % (wait / 4 + 1);
	if (call->retry_after_us != 0)
		wait = call->retry_after_us;
	if (call->end_by != 0 && now + wait >= call->end_by) {
		call_tell(call, call->fail_status);
		return;
	}
	host->log(ctx, CHELA_LOG_INFO, "call: tried again in %u ms (%s)",
	    (unsigned)(wait / 1000u), call->message);
	call->retries_left--;
	call->fail_status = 0;
	call->is_fail_retryable = 0;
	call->step = CALL_WAITING;
	(void)host->timer_set(call->timer, wait);
}

static void
call_on_timer(struct chela_ctx *c, void *arg)
{
	struct chela_model_call	*call = arg;

	(void)c;
	if (call->step == CALL_TOLD) {
		if (call->http != NULL)
			http->cancel(call->http);
	} else if (call->is_cancelled)
		call_tell(call, CHELA_MODEL_ABORTED);
	else if (call->fail_status != 0)
		call_tell(call, call->fail_status);
	else if (call->step == CALL_WAITING)
		call_try(call);
}

/* What the endpoint sends. */

static int
call_on_event(const char *name, const char *data, size_t len, void *arg)
{
	struct chela_model_call	*call = arg;

	if (call->is_complete || call->is_cancelled ||
	    call->step == CALL_TOLD)
		return (0);
	return (driver->event(call, name, data, len));
}

static void
http_on_head(struct chela_http_call *h, uint32_t status, void *arg)
{
	struct chela_model_call	*call = arg;
	const char		*s;

	call->http_status = status;
	s = http->header(h, "retry-after");
	if (s != NULL)
		call->retry_after_us = verdict_retry_after(s, host->wall_ms());
}

static void
call_sniff(struct chela_model_call *call, const char *bytes, size_t len)
{
	size_t	 i;

	for (i = 0; i < len && strchr(" \t\r\n", bytes[i]) != NULL &&
	    bytes[i] != '\0'; i++)
		;
	if (i == len)
		return;
	/* The type header is often wrong; no event starts with a brace. */
	call->is_sniffed = 1;
	call->is_stream = bytes[i] != '{' && bytes[i] != '[' &&
	    call->list_done == NULL;
}

static int
http_on_data(struct chela_http_call *h, const char *bytes, size_t len,
    void *arg)
{
	struct chela_model_call	*call = arg;
	int			 r;

	(void)h;
	if (call->step == CALL_TOLD)
		return (0);
	if (call->is_cancelled)
		return (-ECANCELED);
	if (call->http_status / 100 != 2)
		return (text_add(&call->whole, bytes, len, CALL_ERROR_MAX));
	if (!call->is_sniffed)
		call_sniff(call, bytes, len);
	if (!call->is_stream)
		return (text_add(&call->whole, bytes, len, CALL_WHOLE_MAX));
	r = sse_feed(&call->sse, bytes, len, call_on_event, call);
	if (r == 0 && call->is_complete) {
		r = call_tools_tell(call);
		if (r == 0)
			call_tell(call, call->fail_status);
	}
	return (r);
}

static void
http_on_done(struct chela_http_call *h, int r, uint32_t status,
    const char *detail, void *arg)
{
	struct chela_model_call	*call = arg;

	(void)h;
	call->http = NULL;
	if (status != 0)
		call->http_status = status;
	if (call->step == CALL_TOLD) {
		call_drop(call);
		return;
	}
	if (call->is_cancelled) {
		call_tell(call, CHELA_MODEL_ABORTED);
		return;
	}
	if (call->fail_status == 0 && r == 0 && call->http_status / 100 == 2 &&
	    call->list_done == NULL) {
		if (call->is_stream)
			r = sse_end(&call->sse, call_on_event, call);
		else
			r = driver->event(call, NULL,
			    text_str(&call->whole), call->whole.len);
		if (r == 0 && !call->is_complete && call->stop_reason == NULL)
			(void)call_fail_retryable(call, CHELA_MODEL_NETWORK,
			    "the answer ended before its end");
		else if (r == 0)
			r = call_tools_tell(call);
	}
	if (call->is_cancelled)
		call_tell(call, CHELA_MODEL_ABORTED);
	else if (call->fail_status != 0)
		call_retry_or_tell(call, call->is_fail_retryable);
	else if (r == 0 && call->http_status / 100 == 2)
		call_tell(call, CHELA_MODEL_OK);
	else {
		verdict_http(call, r, detail, host->now_us());
		call_retry_or_tell(call, call->is_fail_retryable);
	}
}

static const struct chela_http_handler http_handler = {
	.struct_size = sizeof http_handler,
	.head = http_on_head, .data = http_on_data, .done = http_on_done,
};

static void
call_try(struct chela_model_call *call)
{
	struct chela_http_request	 rq = {
		.struct_size = sizeof rq,
		.flags = call->is_trusted ? CHELA_HTTP_TRUSTED : 0,
		.method = call->list_done != NULL ? "GET" : "POST",
		.url = call->url,
		.headers = (const char *const *)call->headers,
		.body = call->body.p, .body_len = call->body.len,
		.connect_timeout_us = CALL_CONNECT_US,
		.idle_timeout_us = CALL_IDLE_US,
		.max_bytes = call->list_done != NULL ? CALL_WHOLE_MAX :
		    CALL_ANSWER_MAX,
	};
	uint64_t			 now = host->now_us();
	int				 r;

	call->n_tries++;
	call->try_since = now;
	call->http_status = 0;
	call->is_sniffed = 0;
	call->is_stream = 0;
	call->retry_after_us = 0;
	sse_fini(&call->sse);
	text_reset(&call->whole);
	if (call->end_by != 0)
		rq.timeout_us = call->end_by > now ? call->end_by - now : 1;
	call->step = CALL_OPEN;
	r = http->start(&rq, &http_handler, call, &call->http);
	if (r < 0) {
		call->http = NULL;
		verdict_http(call, r, "the call could not be made", now);
		call_retry_or_tell(call, call->is_fail_retryable);
	}
}

/* Setting up. */

int
call_header(struct chela_model_call *call, const char *name, const char *value)
{
	size_t	 i, n = strlen(name);
	char	*line;

	for (i = 0; i < call->n_headers; i++) {
		/* Those of the configuration come first, and stay. */
		if (strncasecmp(call->headers[i], name, n) == 0 &&
		    call->headers[i][n] == ':')
			return (0);
	}
	if (call->n_headers == CALL_HEADERS_MAX)
		return (-E2BIG);
	if (asprintf(&line, "%s: %s", name, value) < 0)
		return (-ENOMEM);
	call->headers[call->n_headers++] = line;
	return (0);
}

static int
call_headers(struct chela_model_call *call, struct json_object *conf)
{
	struct json_object	*headers = jget(conf, "headers");
	int			 r = 0;

	if (json_object_is_type(headers, json_type_object)) {
		json_object_object_foreach(headers, name, val) {
			if (r == 0 && json_object_is_type(val,
			    json_type_string))
				r = call_header(call, name,
				    json_object_get_string(val));
		}
	}
	if (r == 0)
		r = driver->auth(call, conf);
	call->n_secret_headers = call->n_headers;
	if (r == 0)
		r = call_header(call, "Accept", call->list_done != NULL ?
		    "application/json" : "text/event-stream, application/json");
	if (r == 0 && call->list_done == NULL)
		r = call_header(call, "Content-Type", "application/json");
	return (r);
}

static int
call_url(struct chela_model_call *call, struct json_object *conf)
{
	const char	*base = jget_str(conf, "baseUrl");
	char		*copy;
	size_t		 n;

	if (base == NULL || *base == '\0')
		base = driver->default_base;
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	copy = strndup(base, n);
	if (copy == NULL)
		return (-ENOMEM);
	call->url = driver->url(copy, call->list_done != NULL);
	free(copy);
	return (call->url == NULL ? -ENOMEM : 0);
}

static int
call_body(struct chela_model_call *call, const struct chela_model_request *rq)
{
	struct json_object	*body = NULL, *params;
	const char		*s;
	size_t			 len;
	int			 r;

	r = driver->body(rq, &body);
	if (r < 0)
		return (r);
	params = jget(rq->provider_conf, "params");
	if (json_object_is_type(params, json_type_object)) {
		json_object_object_foreach(params, key, val) {
			if (r == 0 && val != NULL && jget(body, key) == NULL)
				r = jadd(body, key, json_object_get(val));
		}
	}
	s = json_object_to_json_string_length(body, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (r == 0)
		r = s == NULL ? -ENOMEM : text_add(&call->body, s, len,
		    (size_t)64 << 20);
	json_object_put(body);
	return (r);
}

static int
call_new(struct json_object *conf, struct chela_model_call **ret_call)
{
	struct chela_model_call	*call;
	struct json_object	*v;
	int64_t			 n;

	if (is_stopping || host == NULL)
		return (-ESHUTDOWN);
	if (n_calls >= CALLS_MAX)
		return (-EAGAIN);
	/* At the first call: its exporter has started by then. */
	if (http == NULL)
		http = host->svc_import(ctx, CHELA_HTTP_SERVICE);
	if (http == NULL)
		return (-ENOSYS);
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return (-ENOMEM);
	call->timer = host->timer_new(ctx, call_on_timer, call);
	if (call->timer == NULL) {
		free(call);
		return (-ENOMEM);
	}
	if (jget_str(conf, "apiKey") != NULL) {
		call->secret = strdup(jget_str(conf, "apiKey"));
		if (call->secret == NULL) {
			call_free(call);
			return (-ENOMEM);
		}
	}
	v = jget(conf, "allowPrivateNetwork");
	call->is_trusted = v == NULL || json_object_get_boolean(v);
	call->retries_left = CALL_RETRIES;
	v = jget(conf, "maxRetries");
	if (json_object_is_type(v, json_type_int)) {
		n = json_object_get_int64(v);
		call->retries_left = n < 0 ? 0 : n > CALL_RETRIES_MAX ?
		    CALL_RETRIES_MAX : (unsigned)n;
	}
	n = (int64_t)jget_count(conf, "timeoutSeconds");
	if (n > 0 && n < 31536000)
		call->end_by = host->now_us() + (uint64_t)n * 1000000u;
	TAILQ_INSERT_TAIL(&calls, call, link);
	call->is_listed = 1;
	n_calls++;
	*ret_call = call;
	return (0);
}

static int
call_start(const struct chela_model_request *rq,
    const struct chela_model_handler *handler, void *arg,
    struct chela_model_call **ret_call)
{
	struct chela_model_call	*call;
	uint64_t		 by;
	int			 r;

	r = call_new(rq->provider_conf, &call);
	if (r < 0)
		return (r);
	call->handler = *handler;
	call->arg = arg;
	by = host->now_us() + rq->timeout_us;
	if (rq->timeout_us != 0 && (call->end_by == 0 || by < call->end_by))
		call->end_by = by;
	r = call_url(call, rq->provider_conf);
	if (r == 0)
		r = call_headers(call, rq->provider_conf);
	if (r == 0)
		r = call_body(call, rq);
	if (r == 0)
		r = host->timer_set(call->timer, 0);
	if (r < 0) {
		call_drop(call);
		return (r);
	}
	if (ret_call != NULL)
		*ret_call = call;
	return (0);
}

static int
call_list(const char *provider, struct json_object *conf,
    chela_model_list_fn *done, void *arg)
{
	struct chela_model_call	*call;
	int			 r;

	(void)provider;
	r = call_new(conf, &call);
	if (r < 0)
		return (r);
	call->list_done = done;
	call->arg = arg;
	call->retries_left = 0;
	call->end_by = host->now_us() + CALL_LIST_US;
	r = call_url(call, conf);
	if (r == 0)
		r = call_headers(call, conf);
	if (r == 0)
		r = host->timer_set(call->timer, 0);
	if (r < 0)
		call_drop(call);
	return (r);
}

static void
call_cancel(struct chela_model_call *call)
{
	if (call == NULL || call->step == CALL_TOLD || call->is_cancelled)
		return;
	call->is_cancelled = 1;
	if (call->http != NULL)
		http->cancel(call->http);
	else
		(void)host->timer_set(call->timer, 0);
}

int
calls_init(struct chela_ctx *c, const struct chela_host *h,
    const struct driver *d)
{
	static struct chela_model_1 service = {
		.struct_size = sizeof service,
		.start = call_start,
		.cancel = call_cancel,
		.list = call_list,
	};

	ctx = c;
	host = h;
	driver = d;
	http = NULL;
	is_stopping = 0;
	n_calls = 0;
	TAILQ_INIT(&calls);
	TAILQ_INIT(&told);
	service.apis = d->apis;
	return (host->svc_export(ctx, CHELA_MODEL_SERVICE, &service));
}

void
calls_stop(struct chela_ctx *c)
{
	struct chela_model_call	*call;

	(void)c;
	is_stopping = 1;
	while ((call = TAILQ_FIRST(&calls)) != NULL)
		call_tell(call, CHELA_MODEL_ABORTED);
	/*
	 * Those that http still holds are freed by its last word, which may
	 * come when nothing else of this plugin is left.
	 */
	while ((call = TAILQ_FIRST(&told)) != NULL) {
		TAILQ_REMOVE(&told, call, link);
		call->is_listed = 0;
		host->timer_free(call->timer);
		call->timer = NULL;
		http->cancel(call->http);
	}
}

/* What drivers say about an answer. */

static int
call_delta(struct chela_model_call *call, struct json_object *s,
    void (*fn)(const char *delta, size_t len, void *arg))
{
	size_t	 len;

	if (!json_object_is_type(s, json_type_string))
		return (0);
	len = (size_t)json_object_get_string_len(s);
	if (len == 0 || call->is_cancelled || call->step == CALL_TOLD)
		return (0);
	call->is_begun = 1;
	if (fn != NULL)
		fn(json_object_get_string(s), len, call->arg);
	return (0);
}

int
call_text(struct chela_model_call *call, struct json_object *s)
{
	return (call_delta(call, s, call->handler.text));
}

int
call_thinking(struct chela_model_call *call, struct json_object *s)
{
	return (call_delta(call, s, call->handler.thinking));
}

void
call_id(struct chela_model_call *call, const char *id)
{
	if (id != NULL && call->response_id == NULL && strlen(id) <= 256)
		call->response_id = strdup(id);
}

struct tool *
call_tool(struct chela_model_call *call, int64_t index)
{
	struct tool	*t;
	size_t		 i;

	for (i = 0; i < call->n_tools; i++) {
		if (call->tools[i].index == index)
			return (&call->tools[i]);
	}
	if (call->n_tools == CALL_TOOLS_MAX)
		return (NULL);
	t = &call->tools[call->n_tools++];
	t->index = index;
	return (t);
}

int
call_tool_set(char **field, const char *value)
{
	if (value == NULL || *value == '\0' || *field != NULL)
		return (0);
	if (strlen(value) > 256)
		return (-EMSGSIZE);
	*field = strdup(value);
	return (*field == NULL ? -ENOMEM : 0);
}

int
call_tool_tell(struct chela_model_call *call, struct tool *t)
{
	struct json_object	*o;
	char			 uuid[37], made[64];
	int			 is_object;

	if (t->is_told || call->is_cancelled || call->step == CALL_TOLD)
		return (0);
	t->is_told = 1;
	if (t->args.len == 0 && text_add(&t->args, "{}", 2, 2) < 0)
		return (call_fail(call, CHELA_MODEL_FORMAT, "out of memory"));
	o = jget_parse(t->args.p, t->args.len);
	is_object = json_object_is_type(o, json_type_object);
	json_object_put(o);
	if (!is_object || t->name == NULL)
		return (call_fail(call, CHELA_MODEL_FORMAT,
		    "a tool call of the model is not complete"));
	if (t->id == NULL) {
		host->uuid(uuid);
		(void)snprintf(made, sizeof made, "%s%.8s%.4s",
		    driver->tool_prefix, uuid, uuid + 9);
	}
	call->is_begun = 1;
	if (call->handler.tool_call != NULL)
		call->handler.tool_call(t->id != NULL ? t->id : made, t->name,
		    t->args.p, call->arg);
	return (0);
}

int
call_tools_tell(struct chela_model_call *call)
{
	size_t	 i;
	int	 r = 0;

	for (i = 0; r == 0 && i < call->n_tools; i++)
		r = call_tool_tell(call, &call->tools[i]);
	/* Some endpoints say "stop" although tools are to be called. */
	if (call->n_tools > 0 && call->fail_status == 0)
		call->stop_reason = "toolUse";
	return (r);
}

int
call_fail(struct chela_model_call *call, uint32_t status, const char *message)
{
	call->fail_status = status;
	call->is_fail_retryable = 0;
	call_scrub(call, message, call->message, sizeof call->message);
	return (-EBADMSG);
}

int
call_fail_retryable(struct chela_model_call *call, uint32_t status,
    const char *message)
{
	(void)call_fail(call, status, message);
	call->is_fail_retryable = 1;
	return (-EBADMSG);
}

struct json_object *
row_text(struct json_object *content)
{
	struct json_object	*part, *s = NULL;
	const char		*type, *text;
	struct text		 t = { NULL, 0, 0 };
	size_t			 i;
	int			 r = 0;

	if (json_object_is_type(content, json_type_string))
		return (json_object_get(content));
	for (i = 0; r == 0 && i < jget_len(content); i++) {
		part = json_object_array_get_idx(content, i);
		type = jget_str(part, "type");
		text = jget_str(part, "text");
		if (type == NULL || strcmp(type, "text") != 0 || text == NULL)
			continue;
		if (t.len > 0)
			r = text_add(&t, "\n", 1, SIZE_MAX / 2);
		if (r == 0)
			r = text_add(&t, text, strlen(text), SIZE_MAX / 2);
	}
	if (r == 0 && t.len <= INT32_MAX)
		s = json_object_new_string_len(text_str(&t), (int)t.len);
	text_fini(&t);
	return (s);
}
