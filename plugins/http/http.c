/* SPDX-License-Identifier: MIT */
/*
 * Plugin http: the service "http/1". This file is its life cycle and that of a
 * call; hop.c finds addresses, guard.c judges them, transfer.c talks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "http_priv.h"

struct http	 http;

static void
call_free(struct chela_http_call *call)
{
	const struct curl_api	*curl = curl_api();

	if (call == NULL)
		return;
	http.host->timer_free(call->timer);
	if (curl != NULL) {
		if (call->easy != NULL)
			curl->curl_easy_cleanup(call->easy);
		curl->curl_slist_free_all(call->pin);
	}
	while (call->headers != NULL) {
		/* Our own list, built before curl is there: see head_add(). */
		struct curl_slist *next = call->headers->next;

		free(call->headers->data);
		free(call->headers);
		call->headers = next;
	}
	free(call->method);
	free(call->url);
	if (call->body != NULL)
		free(call->body);
	free(call->head);
	free(call);
}

/*
 * The one way out. Never from inside a callback of curl: such a callback leaves
 * its reason in the call, and curl's own end brings it here.
 */
void
call_end(struct chela_http_call *call, int r, const char *detail)
{
	if (call->step == STEP_DONE)
		return;
	transfer_drop(call);
	hop_forget(call);
	call->step = STEP_DONE;
	http.host->timer_stop(call->timer);
	if (call->handler.done != NULL)
		call->handler.done(call, r, call->status, detail, call->arg);
	TAILQ_REMOVE(&http.calls, call, link);
	http.n_calls--;
	call_free(call);
}

/* Sets the call's one timer to the earliest of its deadlines. */
void
call_arm(struct chela_http_call *call)
{
	uint64_t	 now = http.host->now_us(), by = UINT64_MAX;

	if (call->end_by != 0)
		by = call->end_by;
	if (call->step != STEP_TALK && call->connect_by < by)
		by = call->connect_by;
	if (call->step == STEP_TALK && call->idle_us != 0 &&
	    call->last_us + call->idle_us < by)
		by = call->last_us + call->idle_us;
	if (by == UINT64_MAX)
		http.host->timer_stop(call->timer);
	else
		(void)http.host->timer_set(call->timer, by > now ? by - now : 0);
}

static void
call_on_timer(struct chela_ctx *ctx, void *arg)
{
	struct chela_http_call	*call = arg;
	uint64_t		 now = http.host->now_us();

	(void)ctx;
	if (call->end_by != 0 && now >= call->end_by)
		call_end(call, -ETIMEDOUT, "the call took too long");
	else if (call->step != STEP_TALK && now >= call->connect_by)
		call_end(call, -ETIMEDOUT, "no connection in time");
	else if (call->step == STEP_TALK && call->idle_us != 0 &&
	    now >= call->last_us + call->idle_us)
		call_end(call, -ETIMEDOUT, "the other side fell silent");
	else
		call_arm(call);
}

/* One call that waits for a turn of its own, or NULL. */
static struct chela_http_call *
call_waiting(void)
{
	struct chela_http_call	*call;

	TAILQ_FOREACH(call, &http.calls, link) {
		if (call->step != STEP_DONE &&
		    (call->is_cancelled || call->step == STEP_QUEUED))
			return (call);
	}
	return (NULL);
}

static void
http_on_kick(struct chela_ctx *ctx, void *arg)
{
	struct chela_http_call	*call;

	(void)ctx;
	(void)arg;
	/* From the head each time: done() may start and cancel others. */
	while ((call = call_waiting()) != NULL) {
		if (call->is_cancelled)
			call_end(call, -ECANCELED, "cancelled");
		else
			hop_start(call);
	}
}

static void
http_kick(void)
{
	(void)http.host->timer_set(http.kick, 0);
}

/* A line for curl, which refuses none: no line may end early. */
static int
head_add(struct chela_http_call *call, const char *line)
{
	struct curl_slist	*item, **last;
	const char		*colon = strchr(line, ':');
	const unsigned char	*p;

	if (colon == NULL || colon == line)
		return (-EINVAL);
	for (p = (const unsigned char *)line; *p != '\0'; p++) {
		if (*p < 0x20 && *p != '\t')
			return (-EINVAL);
	}
	item = calloc(1, sizeof *item);
	if (item == NULL)
		return (-ENOMEM);
	item->data = strdup(line);
	if (item->data == NULL) {
		free(item);
		return (-ENOMEM);
	}
	for (last = &call->headers; *last != NULL; last = &(*last)->next)
		;
	*last = item;
	return (0);
}

static int
heads_add(struct chela_http_call *call, const char *const *lines)
{
	size_t	 n = 0, bytes = 0;
	int	 r;

	for (; lines != NULL && *lines != NULL; lines++) {
		bytes += strlen(*lines);
		if (++n > HTTP_HEADERS_MAX || bytes > HTTP_HEAD_MAX)
			return (-EMSGSIZE);
		r = head_add(call, *lines);
		if (r < 0)
			return (r);
	}
	return (0);
}

static int
is_token(const char *s)
{
	return (*s != '\0' && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
	    strlen(s));
}

static int
call_new(const struct chela_http_request *rq,
    const struct chela_http_handler *handler, void *arg,
    struct chela_http_call **ret_call)
{
	struct chela_http_call	*call;
	const char		*method;
	int			 r = -ENOMEM;

	method = rq->method != NULL ? rq->method : "GET";
	if (rq->url == NULL || !is_token(method) || strlen(method) > 16)
		return (-EINVAL);
	if (strlen(rq->url) > HTTP_URL_MAX || rq->body_len > HTTP_BODY_MAX)
		return (-EMSGSIZE);
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return (-ENOMEM);
	call->handler = *handler;
	call->arg = arg;
	call->step = STEP_QUEUED;
	call->is_trusted = (rq->flags & CHELA_HTTP_TRUSTED) != 0;
	call->redirects_asked = rq->max_redirects < HTTP_REDIRECTS_MAX ?
	    rq->max_redirects : HTTP_REDIRECTS_MAX;
	call->redirects_left = call->redirects_asked;
	call->connect_us = rq->connect_timeout_us != 0 ?
	    rq->connect_timeout_us : HTTP_CONNECT_DEFAULT;
	call->idle_us = rq->idle_timeout_us;
	call->max_bytes = rq->max_bytes != 0 ? rq->max_bytes :
	    HTTP_BYTES_DEFAULT;
	call->method = strdup(method);
	call->url = strdup(rq->url);
	if (rq->body != NULL) {
		call->body = malloc(rq->body_len + 1);
		if (call->body != NULL)
			memcpy(call->body, rq->body, rq->body_len);
		call->body_len = rq->body_len;
	}
	call->timer = http.host->timer_new(http.ctx, call_on_timer, call);
	if (call->method == NULL || call->url == NULL || call->timer == NULL ||
	    (rq->body != NULL && call->body == NULL))
		goto fail;
	r = heads_add(call, rq->headers);
	if (r < 0)
		goto fail;
	if (rq->timeout_us != 0)
		call->end_by = http.host->now_us() + rq->timeout_us;
	*ret_call = call;
	return (0);
fail:
	call_free(call);
	return (r);
}

static int
http_start(const struct chela_http_request *rq,
    const struct chela_http_handler *handler, void *arg,
    struct chela_http_call **ret_call)
{
	struct chela_http_call	*call;
	int			 r;

	if (http.host == NULL || http.is_stopping)
		return (-ESHUTDOWN);
	if (http.n_calls >= HTTP_CALLS_MAX)
		return (-EAGAIN);
	r = call_new(rq, handler, arg, &call);
	if (r < 0)
		return (r);
	TAILQ_INSERT_TAIL(&http.calls, call, link);
	http.n_calls++;
	http_kick();
	if (ret_call != NULL)
		*ret_call = call;
	return (0);
}

static void
http_cancel(struct chela_http_call *call)
{
	if (call == NULL || call->step == STEP_DONE)
		return;
	call->is_cancelled = 1;
	http_kick();
}

static const char *
http_header(struct chela_http_call *call, const char *name)
{
	return (transfer_header(call, name));
}

static const struct chela_http_1 service = {
	.struct_size = sizeof service,
	.start = http_start,
	.cancel = http_cancel,
	.header = http_header,
};

static int
http_configure(struct json_object *conf)
{
	static int		 is_other;
	struct json_object	*v;
	const char		*text;
	char			*file = NULL;

	if (json_object_object_get_ex(conf, "caFile", &v) && v != NULL) {
		text = json_object_get_string(v);
		/*
		 * libcurl keeps what it read from a file of that name: a new
		 * configuration means a new look, so the name is another one.
		 */
		is_other = !is_other;
		if (asprintf(&file, "%s%s", !is_other ? "" : *text == '/' ?
		    "/" : "./", text) < 0)
			return (-ENOMEM);
	}
	free(http.ca_file);
	http.ca_file = file;
	return (0);
}

static int
http_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	int	 r;

	http = (struct http){ .host = host, .ctx = ctx };
	TAILQ_INIT(&http.calls);
	TAILQ_INIT(&http.lookups);
	http.kick = host->timer_new(ctx, http_on_kick, NULL);
	if (http.kick == NULL)
		return (-ENOMEM);
	r = http_configure(host->conf(ctx));
	if (r < 0)
		return (r);
	return (host->svc_export(ctx, CHELA_HTTP_SERVICE, &service));
}

static int
http_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	(void)ctx;
	return (http_configure(conf));
}

static void
http_stop(struct chela_ctx *ctx)
{
	struct chela_http_call	*call;

	(void)ctx;
	http.is_stopping = 1;
	while ((call = TAILQ_FIRST(&http.calls)) != NULL)
		call_end(call, -ECANCELED, "shutting down");
	transfer_fini();
}

static void
http_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	hop_fini();
	http.host->timer_free(http.kick);
	http.kick = NULL;
	free(http.ca_file);
	http.ca_file = NULL;
}

CHELA_PLUGIN = {
	CHELA_HEAD("http"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Guarded outbound HTTP for other plugins",
	.init = http_init,
	.reload = http_reload,
	.stop = http_stop,
	.fini = http_fini,
};
