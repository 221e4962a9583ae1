/* SPDX-License-Identifier: MIT */
/*
 * gateway.restart.*: work never makes a restart impossible, it only puts it off:
 * until nothing is under way, or until the time for that is over.
 */
#include "gateway.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DELAY_MS	500	/* so that the answer is read before the end */
#define LOOK_US		UINT64_C(500000)
#define WARN_US		UINT64_C(30000000)
#define DEFER_MS	300000	/* then work is no reason any more */
#define COOLDOWN_MS	30000	/* between two restarts */
#define WAIT_MS_MAX	2147000000
#define REASON_MAX	200	/* bytes of a client's reason */

static struct chela_timer	*timer;		/* a deferred restart */
static uint64_t			 deferred_us;	/* its end; 0: none is */
static uint64_t			 warned_us;

/* How long after the last restart the next one may come. */
static uint64_t
cooldown_ms(void)
{
	struct json_object	*v = json_object_object_get(
	    gw.host->conf(gw.ctx), "restartCooldownMs");
	uint64_t		 age = gw.life->restart_age_ms(), wait;

	wait = v == NULL ? COOLDOWN_MS : (uint64_t)json_object_get_int64(v);
	return (age < wait ? wait - age : 0);
}

static void
on_look(struct chela_ctx *ctx, void *arg)
{
	struct work	 w;
	uint64_t	 now = gw.host->now_us();

	(void)arg;
	work_look(&w);
	if (work_total(&w) > 0 && now < deferred_us) {
		if (now - warned_us >= WARN_US) {
			warned_us = now;
			gw.host->log(ctx, CHELA_LOG_WARNING, "the restart "
			    "waits for %u pieces of work", work_total(&w));
		}
		if (gw.host->timer_set(timer, LOOK_US) >= 0)
			return;
	}
	deferred_us = 0;
	if (gw.life->restart(cooldown_ms()) < 0)
		gw.host->log(ctx, CHELA_LOG_ERR, "the restart failed");
}

int
restart_start(void)
{
	deferred_us = warned_us = 0;
	timer = gw.host->timer_new(gw.ctx, on_look, NULL);
	return (timer == NULL ? -ENOMEM : 0);
}

void
restart_stop(void)
{
	if (timer != NULL)
		gw.host->timer_free(timer);
	timer = NULL;
}

static int
add_counts(struct json_object *o, const struct work *w)
{
	struct json_object	*c = json_object_new_object();

	/* What this gateway does not have is counted as none of it. */
	if (c == NULL || json_add_int(c, "queueSize", w->n_waiting) < 0 ||
	    json_add_int(c, "pendingReplies", 0) < 0 ||
	    json_add_int(c, "embeddedRuns", w->n_running) < 0 ||
	    json_add_int(c, "cronRuns", 0) < 0 ||
	    json_add_int(c, "backgroundExecSessions", 0) < 0 ||
	    json_add_int(c, "rootRequests", w->n_requests) < 0 ||
	    json_add_int(c, "activeTasks", 0) < 0 ||
	    json_add_int(c, "totalActive", work_total(w)) < 0) {
		json_object_put(c);
		return (-ENOMEM);
	}
	return (json_add(o, "counts", c));
}

static struct json_object *
preflight(const struct work *w)
{
	struct json_object	*o = json_object_new_object();
	bool			 is_safe = work_total(w) == 0;

	if (o == NULL || json_add_bool(o, "safe", is_safe) < 0 ||
	    add_counts(o, w) < 0 ||
	    json_add(o, "blockers", work_blockers(w)) < 0 ||
	    json_add_str(o, "summary", is_safe ? "nothing is under way" :
	    "a restart would interrupt work") < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

int
restart_preflight(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o;
	struct work		 w;

	(void)ctx;
	(void)params;
	work_look(&w);
	o = preflight(&w);
	return (gw_reply(req, o, o == NULL ? -ENOMEM : 0));
}

static struct json_object *
member(struct json_object *o, const char *key, json_type type)
{
	struct json_object	*v = NULL;

	if (json_object_is_type(o, json_type_object))
		(void)json_object_object_get_ex(o, key, &v);
	return (json_object_is_type(v, type) ? v : NULL);
}

static bool
is_true(struct json_object *o, const char *key)
{
	return (json_object_get_boolean(member(o, key, json_type_boolean)));
}

/* 0: it means this gateway as it runs now. */
static int
target_check(struct chela_req *req, struct json_object *target)
{
	struct json_object	*pid = member(target, "pid", json_type_int);
	struct json_object	*port = member(target, "port", json_type_int);
	struct json_object	*owner = member(target, "ownerId",
	    json_type_string);
	const char		*id = gw.life->device_id();

	if (pid == NULL || port == NULL || owner == NULL) {
		(void)gw.host->req_fail(req, "INVALID_REQUEST",
		    "invalid targeted gateway restart");
		return (-EINVAL);
	}
	if (json_object_get_int64(pid) == getpid() &&
	    json_object_get_int64(port) == gw.life->port() && id != NULL &&
	    strcmp(json_object_get_string(owner), id) == 0)
		return (0);
	(void)gw.host->req_fail(req, "INVALID_REQUEST",
	    "target gateway no longer owns the active lock");
	return (-ESTALE);
}

/* The client's words without blanks around them. */
static struct json_object *
reason_of(struct json_object *params)
{
	struct json_object	*v = member(params, "reason", json_type_string);
	const char		*s = "gateway.restart.request";
	size_t			 len;

	if (v != NULL) {
		s = json_object_get_string(v);
		s += strspn(s, " \t\r\n");
	}
	len = strlen(s);
	while (len > 0 && strchr(" \t\r\n", s[len - 1]) != NULL)
		len--;
	if (len > REASON_MAX) {
		len = REASON_MAX;
		/* Not within a character. */
		while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
			len--;
	}
	return (json_object_new_string_len(s, (int)len));
}

/*
 * How long an intent says that work may put it off. -EINVAL: it makes no sense; one
 * that forces has drainBudgetMs, another waitMs. ret_ms is untouched without.
 */
static int
intent_read(struct json_object *params, bool *ret_force, uint64_t *ret_ms)
{
	struct json_object	*intent, *force, *wait, *drain, *ms;
	int64_t			 n;

	if (!json_object_object_get_ex(params, "restartIntent", &intent))
		return (0);
	if (!json_object_is_type(intent, json_type_object))
		return (-EINVAL);
	force = json_object_object_get(intent, "force");
	wait = json_object_object_get(intent, "waitMs");
	drain = json_object_object_get(intent, "drainBudgetMs");
	*ret_force = json_object_get_boolean(force);
	ms = *ret_force ? drain : wait;
	if ((force != NULL && !json_object_is_type(force,
	    json_type_boolean)) || (*ret_force ? wait : drain) != NULL)
		return (-EINVAL);
	if (ms == NULL)
		return (0);
	n = json_object_get_int64(ms);
	if (!json_object_is_type(ms, json_type_int) || n < 0 ||
	    n > WAIT_MS_MAX)
		return (-EINVAL);
	*ret_ms = (uint64_t)n;
	return (0);
}

/* How long work may put it off; 0: not at all. Only a target has an intent. */
static int
patience_ms(struct json_object *params, bool is_targeted, uint64_t *ret)
{
	bool	 is_forced = false;
	int	 r = 0;

	*ret = is_targeted && !is_true(params, "safe") ? 0 : DEFER_MS;
	if (is_targeted)
		r = intent_read(params, &is_forced, ret);
	if (is_true(params, "skipDeferral"))
		*ret = 0;
	return (r);
}

/* Starts it, or joins the one on its way; ret_status says which. */
static int
schedule(const struct work *w, uint64_t wait_ms, const char **ret_status,
    uint64_t *ret_cooldown)
{
	int	 r;

	*ret_cooldown = 0;
	if (wait_ms > 0 && deferred_us != 0) {
		*ret_status = "coalesced";
		return (0);
	}
	if (wait_ms > 0 && work_total(w) > 0) {
		deferred_us = gw.host->now_us() + wait_ms * 1000;
		warned_us = gw.host->now_us();
		*ret_status = "deferred";
		r = gw.host->timer_set(timer, LOOK_US);
		if (r < 0)
			deferred_us = 0;
		return (r);
	}
	*ret_cooldown = cooldown_ms();
	r = gw.life->restart(DELAY_MS + *ret_cooldown);
	if (r < 0)
		return (r);
	*ret_status = r > 0 || deferred_us != 0 ? "coalesced" : "scheduled";
	deferred_us = 0;
	gw.host->timer_stop(timer);
	return (0);
}

static struct json_object *
restart_info(struct json_object *params, const char *status, uint64_t cooldown)
{
	struct json_object	*o = json_object_new_object();
	bool			 is_deferred = strcmp(status, "deferred") == 0;

	/* The words for a restart from within, as clients know them. */
	if (o == NULL || json_add_bool(o, "ok", true) < 0 ||
	    json_add_int(o, "pid", getpid()) < 0 ||
	    json_add_str(o, "signal", "SIGUSR1") < 0 ||
	    json_add(o, "reason", reason_of(params)) < 0 ||
	    json_add_str(o, "mode", "emit") < 0 ||
	    json_add_int(o, "delayMs", is_deferred ? 0 : DELAY_MS +
	    (int64_t)cooldown) < 0 ||
	    json_add_bool(o, "coalesced", strcmp(status, "coalesced") == 0) < 0 ||
	    json_add_int(o, "cooldownMsApplied", (int64_t)cooldown) < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

static int
refuse_suspended(struct chela_req *req)
{
	struct chela_error	 e = { .struct_size = sizeof e, .retryable = 1,
	    .retry_after_ms = 1000 };
	struct json_object	*d = json_object_new_object();

	if (d == NULL ||
	    json_add_str(d, "method", "gateway.restart.request") < 0 ||
	    json_add_str(d, "reason", "gateway-suspending") < 0 ||
	    json_add_str(d, "phase", gw.life->phase_name()) < 0) {
		json_object_put(d);
		return (-ENOMEM);
	}
	e.details = d;
	return (gw.host->req_fail_with(req, "UNAVAILABLE", &e,
	    "gateway.restart.request unavailable during gateway suspension"));
}

int
restart_request(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o, *target = NULL, *safe;
	struct work		 w;
	const char		*status = NULL;
	uint64_t		 cooldown, patience;
	bool			 is_targeted, is_safe = is_true(params, "safe");
	int			 r;

	(void)ctx;
	is_targeted = json_object_object_get_ex(params, "target", &target);
	if (gw.life->phase() != CHELA_PHASE_ACCEPTING &&
	    (!is_targeted || is_safe))
		return (refuse_suspended(req));
	if (is_targeted) {
		if (target_check(req, target) < 0)
			return (0);
		if (json_object_object_get_ex(params, "safe", &safe) &&
		    !json_object_is_type(safe, json_type_boolean))
			return (gw.host->req_fail(req, "INVALID_REQUEST",
			    "invalid safe targeted restart mode"));
		if (is_safe && json_object_object_get_ex(params,
		    "restartIntent", NULL))
			return (gw.host->req_fail(req, "INVALID_REQUEST",
			    "safe targeted restart does not accept intent"));
	}
	if (patience_ms(params, is_targeted, &patience) < 0)
		return (gw.host->req_fail(req, "INVALID_REQUEST",
		    "invalid targeted gateway restart intent"));
	work_look(&w);
	r = schedule(&w, patience, &status, &cooldown);
	if (r < 0)
		return (gw.host->req_fail(req, "UNAVAILABLE",
		    "the restart cannot be started: %s", strerror(-r)));
	o = json_object_new_object();
	if (o == NULL)
		return (-ENOMEM);
	r = json_add_bool(o, "ok", true);
	if (r == 0)
		r = json_add_str(o, "status", status);
	if (r == 0 && is_targeted)
		r = json_add_int(o, "pid", getpid());
	else if (r == 0) {
		r = json_add(o, "preflight", preflight(&w));
		if (r == 0)
			r = json_add(o, "restart", restart_info(params, status,
			    cooldown));
	}
	return (gw_reply(req, o, r));
}
