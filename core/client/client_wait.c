/* SPDX-License-Identifier: MIT */
/* For simple programs: turn the base until something is the case. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include <event2/event.h>

#include "core/client/client_priv.h"

static void
wait_on_timer(void *arg)
{
	*(bool *)arg = true;
}

int
chela_client_run_until(struct chela_client *c, chela_client_done_fn *is_done,
    void *arg, uint32_t timeout_ms)
{
	struct loop_timer	*timer = NULL;
	bool			 is_late = false, is_dying;
	int			 r = 0;

	assert(c->depth == 0 && !c->is_waiting);

	if (timeout_ms != UINT32_MAX) {
		timer = loop_timer_new(c->loop, wait_on_timer, &is_late);
		if (timer == NULL ||
		    loop_timer_set(timer, MS_US(timeout_ms)) < 0) {
			loop_timer_free(timer);
			return (-ENOMEM);
		}
	}
	c->is_waiting = true;
	while (!c->is_dying && !is_done(arg)) {
		if (is_late) {
			r = -ETIMEDOUT;
			break;
		}
		if (event_base_loop(c->base, EVLOOP_ONCE) < 0) {
			r = -EIO;
			break;
		}
	}
	loop_timer_free(timer);
	c->is_waiting = false;
	is_dying = c->is_dying;
	if (is_dying)
		(void)chela_client_free(c);
	return (is_dying ? -ECANCELED : r);
}

static int
is_settled(void *arg)
{
	struct chela_client	*c = arg;

	return (c->state == CHELA_CLIENT_READY ||
	    c->state == CHELA_CLIENT_ENDED);
}

int
chela_client_ready_wait(struct chela_client *c, uint32_t timeout_ms)
{
	int	 r;

	if (c->state == CHELA_CLIENT_IDLE || c->state == CHELA_CLIENT_ENDED) {
		r = chela_client_open(c);
		if (r < 0)
			return (r);
	}
	r = chela_client_run_until(c, is_settled, c, timeout_ms);
	if (r < 0)
		return (r);
	return (c->state == CHELA_CLIENT_READY ? 0 : c->error.pub.status);
}

struct wait_call {
	bool			 is_done;
	int			 status;
	struct json_object	*result;
};

static int
wait_is_done(void *arg)
{
	return (((struct wait_call *)arg)->is_done);
}

static void
wait_on_reply(struct chela_client *c, const struct chela_client_reply *reply,
    void *arg)
{
	struct wait_call			*w = arg;
	const struct chela_client_error		*e = reply->error;

	if (reply->flags & CHELA_CLIENT_INTERIM)
		return;
	w->is_done = true;
	w->status = reply->status;
	w->result = json_object_get(reply->result);
	if (reply->status == 0)
		return;
	/* Of a lost connection the client knows better than the call why. */
	if (reply->status == -ECONNRESET && c->error.pub.status != 0)
		return;
	client_error_set(&c->error, e->status, "%s", e->sentence);
	(void)snprintf(c->error.code, sizeof c->error.code, "%s", e->code);
	c->error.pub.details = json_object_get(e->details);
	c->error.pub.is_retryable = e->is_retryable;
	c->error.pub.retry_after_ms = e->retry_after_ms;
}

int
chela_client_call_wait(struct chela_client *c, const char *method,
    struct json_object *params, uint32_t flags, uint32_t timeout_ms,
    struct json_object **ret_result)
{
	struct wait_call	 w = { .is_done = false };
	uint64_t		 id;
	int			 r;

	r = chela_client_call(c, method, params, flags, timeout_ms,
	    wait_on_reply, &w, &id);
	if (r < 0) {
		client_error_set(&c->error, r, r == -ENOTCONN ?
		    "not connected" : r == -EMSGSIZE ?
		    "the call is longer than the gateway accepts" :
		    "the call could not be sent");
		return (r);
	}
	r = chela_client_run_until(c, wait_is_done, &w, UINT32_MAX);
	if (r == 0)
		r = w.status;
	if (r == 0 && ret_result != NULL)
		*ret_result = w.result;
	else
		json_object_put(w.result);
	return (r);
}
