/* SPDX-License-Identifier: MIT */
/*
 * gateway.suspend.*: a lease on standing still. Whoever holds it may stop or
 * freeze the machine; it ends by itself, so a holder who is lost stops nobody.
 */
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEASE_MS	120000
#define RETRY_MS	20000	/* when a client should ask again */
#define LOOK_US		UINT64_C(250000)
#define REQUEST_ID_SIZE	(128 * 4 + 1)	/* 128 characters */

static struct {
	bool			 is_held;
	bool			 does_drain;
	bool			 does_terminate;
	bool			 is_handed_off;	/* its holder ends the process */
	char			 id[37];
	char			 request_id[REQUEST_ID_SIZE];
	uint64_t		 end_us;
	uint64_t		 end_wall_ms;
	struct chela_timer	*timer;		/* its end, or the next look */
} lease;

static void
set_phase(uint32_t phase)
{
	struct json_object	*o;

	if (gw.life->set_phase(phase) < 0)
		return;
	o = json_object_new_object();
	if (o != NULL &&
	    json_add_str(o, "phase", gw.life->phase_name()) == 0)
		(void)gw.host->emit(gw.ctx, "gateway.suspension", o, NULL);
	else
		json_object_put(o);
}

static void
lease_end(void)
{
	lease.is_held = lease.is_handed_off = false;
	gw.host->timer_stop(lease.timer);
	set_phase(CHELA_PHASE_ACCEPTING);
}

static void
lease_on_timer(struct chela_ctx *ctx, void *arg)
{
	struct work	 w;
	uint64_t	 now = gw.host->now_us(), next;

	(void)arg;
	if (!lease.is_held)
		return;
	if (now >= lease.end_us) {
		gw.host->log(ctx, CHELA_LOG_WARNING,
		    "the suspension ran out; new work is taken again");
		lease_end();
		return;
	}
	next = lease.end_us - now;
	if (gw.life->phase() == CHELA_PHASE_DRAINING) {
		work_look(&w);
		if (work_total(&w) == 0)
			set_phase(CHELA_PHASE_PREPARED);
		else if (next > LOOK_US)
			next = LOOK_US;
	}
	/* Without its timer it would never end. */
	if (gw.host->timer_set(lease.timer, next) < 0)
		lease_end();
}

static int
lease_renew(void)
{
	lease.end_us = gw.host->now_us() + UINT64_C(1000) * LEASE_MS;
	lease.end_wall_ms = gw.host->wall_ms() + LEASE_MS;
	return (gw.host->timer_set(lease.timer, LOOK_US));
}

int
suspend_start(void)
{
	memset(&lease, 0, sizeof lease);
	lease.timer = gw.host->timer_new(gw.ctx, lease_on_timer, NULL);
	return (lease.timer == NULL ? -ENOMEM : 0);
}

void
suspend_stop(void)
{
	/*
	 * Nobody could end it any more; but who was promised the end of the
	 * process is not to find work begun on the way there.
	 */
	if (lease.is_held && !(lease.is_handed_off &&
	    gw.host->now_us() < lease.end_us))
		(void)gw.life->set_phase(CHELA_PHASE_ACCEPTING);
	lease.is_held = false;
	if (lease.timer != NULL)
		gw.host->timer_free(lease.timer);
	lease.timer = NULL;
}

static int
refuse_conflict(struct chela_req *req)
{
	struct chela_error	 e = { .struct_size = sizeof e, .retryable = 1 };
	struct json_object	*d = json_object_new_object();
	uint64_t		 now = gw.host->now_us();

	/* The latest moment at which the other one is over. */
	e.retry_after_ms = now < lease.end_us ? (lease.end_us - now) / 1000 : 0;
	if (d == NULL ||
	    json_add_str(d, "reason", "gateway-suspension-conflict") < 0 ||
	    json_add_int(d, "expiresAtMs", (int64_t)lease.end_wall_ms) < 0) {
		json_object_put(d);
		return (-ENOMEM);
	}
	e.details = d;
	return (gw.host->req_fail_with(req, "UNAVAILABLE", &e,
	    "the gateway is being suspended by somebody else"));
}

static int
add_work(struct json_object *o, const struct work *w)
{
	int	 r;

	r = json_add_int(o, "activeCount", work_total(w));
	return (r < 0 ? r : json_add(o, "blockers", work_blockers(w)));
}

static int
reply_busy(struct chela_req *req, const struct work *w)
{
	struct json_object	*o = json_object_new_object();
	int			 r;

	if (o == NULL)
		return (-ENOMEM);
	r = json_add_str(o, "status", "busy");
	if (r == 0)
		r = json_add_str(o, "reason", "active-work");
	if (r == 0)
		r = json_add_int(o, "retryAfterMs", RETRY_MS);
	return (gw_reply(req, o, r < 0 ? r : add_work(o, w)));
}

/* What prepare and status say of the lease. */
static int
reply_lease(struct chela_req *req, const struct work *w, bool is_status)
{
	struct json_object	*o = json_object_new_object();
	bool	 is_ready = gw.life->phase() == CHELA_PHASE_PREPARED;
	int	 r;

	if (o == NULL)
		return (-ENOMEM);
	r = json_add_str(o, "status", is_ready ? "ready" : "draining");
	if (r == 0 && !is_status)
		r = json_add_str(o, "suspensionId", lease.id);
	if (r == 0)
		r = json_add_int(o, "expiresAtMs", (int64_t)lease.end_wall_ms);
	if (r == 0 && !is_ready)
		r = json_add_int(o, "retryAfterMs", RETRY_MS);
	if (r == 0 && !(is_status && is_ready))
		r = add_work(o, w);
	return (gw_reply(req, o, r));
}

static const char *
text_of(struct json_object *params, const char *key)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(params, key, &v);
	return (v == NULL ? "" : json_object_get_string(v));
}

static int
prepare_again(struct chela_req *req, const char *request_id, bool does_drain,
    bool does_terminate)
{
	struct work	 w;
	int		 r;

	if (strcmp(request_id, lease.request_id) != 0 ||
	    does_drain != lease.does_drain ||
	    does_terminate != lease.does_terminate)
		return (refuse_conflict(req));
	r = lease_renew();
	if (r < 0)
		return (r);
	work_look(&w);
	if (gw.life->phase() == CHELA_PHASE_DRAINING && work_total(&w) == 0)
		set_phase(CHELA_PHASE_PREPARED);
	return (reply_lease(req, &w, false));
}

int
suspend_prepare(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*v = NULL;
	const char		*request_id = text_of(params, "requestId");
	bool	 does_drain, does_terminate;
	struct work	 w;
	int		 r;

	(void)ctx;
	(void)json_object_object_get_ex(params, "drain", &v);
	does_drain = json_object_get_boolean(v);
	does_terminate = strcmp(text_of(params, "terminalPolicy"),
	    "terminate") == 0;
	if (lease.is_held)
		return (prepare_again(req, request_id, does_drain,
		    does_terminate));
	set_phase(CHELA_PHASE_PREPARING);
	work_look(&w);
	if (work_total(&w) > 0 && !does_drain) {
		set_phase(CHELA_PHASE_ACCEPTING);
		return (reply_busy(req, &w));
	}
	r = lease_renew();
	if (r < 0) {
		set_phase(CHELA_PHASE_ACCEPTING);
		return (r);
	}
	lease.is_held = true;
	lease.is_handed_off = false;
	lease.does_drain = does_drain;
	lease.does_terminate = does_terminate;
	gw.host->uuid(lease.id);
	(void)snprintf(lease.request_id, sizeof lease.request_id, "%s",
	    request_id);
	set_phase(work_total(&w) > 0 ? CHELA_PHASE_DRAINING :
	    CHELA_PHASE_PREPARED);
	return (reply_lease(req, &w, false));
}

static int
reply_running(struct chela_req *req, bool is_resume, bool is_resumed)
{
	struct json_object	*o = json_object_new_object();
	int			 r = 0;

	if (o == NULL)
		return (-ENOMEM);
	if (is_resume)
		r = json_add_bool(o, "ok", true);
	if (r == 0)
		r = json_add_str(o, "status", "running");
	if (r == 0 && is_resume)
		r = json_add_bool(o, "resumed", is_resumed);
	return (gw_reply(req, o, r));
}

int
suspend_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct work	 w;

	(void)ctx;
	if (!lease.is_held)
		return (reply_running(req, false, false));
	if (strcmp(text_of(params, "suspensionId"), lease.id) != 0)
		return (refuse_conflict(req));
	work_look(&w);
	if (gw.life->phase() == CHELA_PHASE_DRAINING && work_total(&w) == 0)
		set_phase(CHELA_PHASE_PREPARED);
	return (reply_lease(req, &w, true));
}

int
suspend_resume(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	if (!lease.is_held)
		return (reply_running(req, true, false));
	if (strcmp(text_of(params, "suspensionId"), lease.id) != 0)
		return (gw.host->req_fail(req, "INVALID_REQUEST",
		    "gateway suspension id does not match"));
	lease_end();
	return (reply_running(req, true, true));
}

int
suspend_handoff(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o, *target = NULL;
	int			 r;

	(void)ctx;
	(void)json_object_object_get_ex(params, "target", &target);
	if (json_object_get_int64(json_object_object_get(target, "pid")) !=
	    getpid() || strcmp(text_of(target, "processInstanceId"),
	    gw.state->boot_id()) != 0)
		return (gw.host->req_fail(req, "UNAVAILABLE",
		    "the gateway is another process than the one that was "
		    "looked at"));
	if (!lease.is_held ||
	    strcmp(text_of(params, "suspensionId"), lease.id) != 0)
		return (gw.host->req_fail(req, "UNAVAILABLE",
		    "gateway suspension id does not match"));
	o = json_object_new_object();
	if (o == NULL)
		return (-ENOMEM);
	r = json_add_str(o, "status", "armed");
	if (r == 0)
		r = json_add_str(o, "suspensionId", lease.id);
	if (r == 0)
		r = json_add_int(o, "expiresAtMs", (int64_t)lease.end_wall_ms);
	if (r == 0)
		lease.is_handed_off = true;
	return (gw_reply(req, o, r));
}
