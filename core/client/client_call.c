/* SPDX-License-Identifier: MIT */
/* Calls of a client: requests out, answers in, deadlines. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/client_priv.h"

#define ID_SIZE	24u		/* a decimal uint64_t */

void
client_error_fini(struct client_error *e)
{
	json_object_put(e->pub.details);
	e->pub.details = NULL;
}

void
client_error_set(struct client_error *e, int status, const char *fmt, ...)
{
	va_list	 ap;

	client_error_fini(e);
	memset(&e->pub, 0, sizeof e->pub);
	e->pub.status = status;
	e->pub.retry_after_ms = -1;
	va_start(ap, fmt);
	(void)vsnprintf(e->sentence, sizeof e->sentence, fmt, ap);
	va_end(ap);
	e->code[0] = '\0';
	e->pub.sentence = e->sentence;
	e->pub.code = e->code;
}

void
client_error_read(struct client_error *e, struct json_object *frame)
{
	struct json_object	*meta = json_get_obj(frame, "meta");
	const char		*text = json_get_str(frame, "error");
	const char		*code = json_get_str(meta, "code");
	int64_t			 ms;

	client_error_set(e, -EREMOTEIO, "%s", text != NULL && *text != '\0' ?
	    text : "the gateway refused without saying why");
	(void)snprintf(e->code, sizeof e->code, "%s", code != NULL ? code : "");
	e->pub.details = json_object_get(json_get(meta, "details"));
	e->pub.is_retryable = json_get_bool(meta, "retryable", false);
	/* What the gateway says is not to keep us away for ever. */
	ms = json_get_int(meta, "retryAfterMs", -1);
	e->pub.retry_after_ms = ms < 0 ? -1 :
	    MIN_OF(ms, (int64_t)CHELA_CLIENT_RETRY_MAX_MS);
}

static struct call *
call_free(struct call *k)
{
	if (k != NULL) {
		loop_timer_free(k->timer);
		free(k);
	}
	return (NULL);
}

static void
call_id(uint64_t id, char out[ID_SIZE])
{
	(void)snprintf(out, ID_SIZE, "%" PRIu64, id);
}

/* Takes the call out of the table. */
static void
client_take_call(struct chela_client *c, struct call *k)
{
	char	 id[ID_SIZE];

	call_id(k->id, id);
	(void)map_delz(c->calls, id);
	list_remove(&k->entry);
}

static void
call_end(struct call *k, int status, const char *sentence)
{
	struct chela_client		*c = k->client;
	struct client_error		 e = { .pub = { .status = 0 } };
	struct chela_client_reply	 reply = {
		.id = k->id,
		.status = status,
		.error = &e.pub,
	};

	client_error_set(&e, status, "%s", sentence);
	if (k->fn != NULL)
		k->fn(c, &reply, k->arg);
	client_error_fini(&e);
	(void)call_free(k);
}

static void
call_on_timer(void *arg)
{
	struct call		*k = arg;
	struct chela_client	*c = k->client;

	client_take_call(c, k);
	client_enter(c);
	call_end(k, -ETIMEDOUT, "the gateway did not answer in time");
	(void)client_leave(c);
}

void
client_answer(struct chela_client *c, const char *id, struct json_object *frame)
{
	struct call		*k = map_getz(c->calls, id);
	struct client_error	 e = { .pub = { .status = 0 } };
	struct chela_client_reply reply = { .status = 0 };
	const char		*status;

	if (k == NULL)
		return;		/* cancelled, or too late */
	reply.id = k->id;
	if (json_get_bool(frame, "ok", false)) {
		reply.result = json_get(frame, "result");
		status = json_get_str(reply.result, "status");
		if ((k->flags & CHELA_CLIENT_FINAL) && status != NULL &&
		    strcmp(status, "accepted") == 0)
			reply.flags |= CHELA_CLIENT_INTERIM;
	} else {
		client_error_read(&e, frame);
		reply.status = e.pub.status;
		reply.error = &e.pub;
	}
	if (reply.flags & CHELA_CLIENT_INTERIM) {
		if (k->fn != NULL)
			k->fn(c, &reply, k->arg);
		return;
	}
	client_take_call(c, k);
	if (k->fn != NULL)
		k->fn(c, &reply, k->arg);
	(void)call_free(k);
	client_error_fini(&e);
}

/* One at a time: a callback may cancel others. New ones cannot come (not READY). */
void
client_fail_calls(struct chela_client *c, int status, const char *sentence)
{
	struct call	*k;

	while ((k = list_first(&c->open_calls, struct call, entry)) != NULL) {
		client_take_call(c, k);
		call_end(k, status, sentence);
	}
}

void
client_drop_calls(struct chela_client *c)
{
	struct call	*k;

	while ((k = list_first(&c->open_calls, struct call, entry)) != NULL) {
		client_take_call(c, k);
		(void)call_free(k);
	}
}

int
client_send_request(struct chela_client *c, const char *id, const char *method,
    struct json_object *params)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	(void)buf_puts(&b, "{\"id\":");
	(void)buf_json_strz(&b, id);
	(void)buf_puts(&b, ",\"method\":");
	(void)buf_json_strz(&b, method);
	if (params != NULL) {
		(void)buf_puts(&b, ",\"params\":");
		r = json_write(&b, params);
		if (r < 0)
			goto out;
	}
	(void)buf_putc(&b, '}');
	if (b.is_failed)
		r = -ENOMEM;
	else if (b.len > c->payload_max)
		r = -EMSGSIZE;
	else
		r = link_send(c->link, b.data, b.len);
out:
	buf_fini(&b);
	json_object_put(params);
	return (r);
}

int
chela_client_call(struct chela_client *c, const char *method,
    struct json_object *params, uint32_t flags, uint32_t timeout_ms,
    chela_client_reply_fn *fn, void *arg, uint64_t *ret_id)
{
	struct call	*k = NULL;
	char		 id[ID_SIZE];
	int		 r;

	r = c->state == CHELA_CLIENT_READY ? 0 : -ENOTCONN;
	if (r == 0 && map_len(c->calls) >= CLIENT_CALLS_MAX)
		r = -ENOBUFS;
	if (r == 0) {
		k = calloc(1, sizeof *k);
		r = k == NULL ? -ENOMEM : 0;
	}
	if (r < 0) {
		json_object_put(params);
		return (r);
	}
	k->client = c;
	k->id = ++c->last_id;
	k->flags = flags;
	k->fn = fn;
	k->arg = arg;
	call_id(k->id, id);
	if (timeout_ms == 0)
		timeout_ms = c->call_ms;
	if (timeout_ms != UINT32_MAX) {
		k->timer = loop_timer_new(c->loop, call_on_timer, k);
		if (k->timer == NULL ||
		    loop_timer_set(k->timer, MS_US(timeout_ms)) < 0)
			r = -ENOMEM;
	}
	if (r == 0)
		r = map_putz(c->calls, id, k);
	if (r < 0) {
		json_object_put(params);
		(void)call_free(k);
		return (r);
	}
	list_append(&c->open_calls, &k->entry);
	r = client_send_request(c, id, method, params);
	if (r < 0) {
		client_take_call(c, k);
		(void)call_free(k);
		return (r);
	}
	if (ret_id != NULL)
		*ret_id = k->id;
	return (0);
}

int
chela_client_cancel(struct chela_client *c, uint64_t n)
{
	char		 id[ID_SIZE];
	struct call	*k;

	call_id(n, id);
	k = map_getz(c->calls, id);
	if (k == NULL)
		return (-ENOENT);
	client_take_call(c, k);
	(void)call_free(k);
	return (0);
}
