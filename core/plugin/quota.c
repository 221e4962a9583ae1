/* SPDX-License-Identifier: MIT */
/*
 * What one plugin may have of what all share. Over a limit a call returns -EDQUOT
 * (or no handle) and is counted; whoever does not stop asking is stopped. And how
 * long a call may stay without an answer.
 */
#include <errno.h>

#include <json-c/json.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/config/config.h"
#include "core/json/json.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"

#define WARN_US		SEC_US(60)	/* between two lines of one plugin */

/* plugins.entries.<name>.limits; the largest values are in the schema. */
static const struct {
	const char	*key;
	uint64_t	 dflt;
	const char	*what;
} limits[QUOTA_N] = {
	[QUOTA_REQUESTS] = { "requests", 32768, "open calls" },
	[QUOTA_REQUEST_MS] = { "requestTimeoutMs", 180000000, "milliseconds" },
	[QUOTA_TIMERS] = { "timers", 4096, "timers" },
	[QUOTA_WATCHES] = { "watches", 4096, "watched descriptors" },
	[QUOTA_POSTS] = { "posts", 65536, "posted callbacks" },
	[QUOTA_JOBS] = { "jobs", 2048, "jobs of workers" },
	[QUOTA_WRITES] = { "writes", 4096, "writes under way" },
	[QUOTA_WRITE_BYTES] = { "queuedBytes", MIB(16), "bytes to be written" },
	[QUOTA_EVENTS] = { "eventsPerSecond", 20000, "events in a second" },
};

void
quota_init(struct chela_ctx *ctx)
{
	int	 i;

	for (i = 0; i < QUOTA_N; i++)
		ctx->limits[i] = limits[i].dflt;
}

void
quota_set_conf(struct chela_ctx *ctx, const struct conf *conf)
{
	struct json_object	*o;
	int			 i;

	o = json_get_obj(json_get_obj(conf_get(conf, "plugins.entries"),
	    ctx->name), "limits");
	for (i = 0; i < QUOTA_N; i++)
		ctx->limits[i] = (uint64_t)json_get_int(o, limits[i].key,
		    (int64_t)limits[i].dflt);
}

/* Ends it by a refresh: its methods then say why. */
static void
quota_stop(struct chela_ctx *ctx)
{
	if (ctx->is_stopped || crash_is_vital(ctx))
		return;
	ctx->is_stopped = true;
	log_err("plugin", "plugin '%s': stopped (it went over its limits %d "
	    "times within %d seconds)", ctx->name, QUOTA_DENIED_MAX,
	    (int)(QUOTA_DENIED_US / SEC_US(1)));
	host_refresh(ctx->host, NULL, NULL);
}

/* Loop thread. */
static void
quota_note(struct chela_ctx *ctx, enum quota q)
{
	uint64_t	 now = clock_now_us();

	ctx->n_denied++;
	if (ctx->denied_warned_us == 0 ||
	    now - ctx->denied_warned_us >= WARN_US) {
		ctx->denied_warned_us = now;
		log_warn("plugin", "plugin '%s': over a limit (%llu %s)",
		    ctx->name, (unsigned long long)ctx->limits[q],
		    limits[q].what);
	}
	if (q == QUOTA_REQUESTS)	/* its callers did that */
		return;
	if (now - ctx->denied_since_us >= QUOTA_DENIED_US) {
		ctx->denied_since_us = now;
		ctx->n_denied_lately = 0;
	}
	if (++ctx->n_denied_lately >= QUOTA_DENIED_MAX)
		quota_stop(ctx);
}

static void
noted(void *arg)
{
	struct chela_ctx	*ctx = arg;
	uint32_t		 n;

	n = __atomic_exchange_n(&ctx->n_denied_posts, 0, __ATOMIC_ACQ_REL);
	for (; n > 0; n--)
		quota_note(ctx, QUOTA_POSTS);
}

int
quota_take(struct chela_ctx *ctx, enum quota q, uint64_t n)
{
	uint64_t	 had;

	had = __atomic_fetch_add(&ctx->used[q], n, __ATOMIC_RELAXED);
	if (had + n <= ctx->limits[q])
		return (0);
	(void)__atomic_fetch_sub(&ctx->used[q], n, __ATOMIC_RELAXED);
	if (q != QUOTA_POSTS)
		quota_note(ctx, q);
	else if (__atomic_fetch_add(&ctx->n_denied_posts, 1,
	    __ATOMIC_ACQ_REL) == 0)
		(void)loop_post(ctx->host->env.loop, noted, ctx);
	return (-EDQUOT);
}

void
quota_give(struct chela_ctx *ctx, enum quota q, uint64_t n)
{
	(void)__atomic_fetch_sub(&ctx->used[q], n, __ATOMIC_RELAXED);
}

uint64_t
quota_used(const struct chela_ctx *ctx, enum quota q)
{
	return (__atomic_load_n(&ctx->used[q], __ATOMIC_RELAXED));
}

int
quota_take_event(struct chela_ctx *ctx)
{
	uint64_t	 second = clock_now_us() / SEC_US(1);

	if (second != ctx->event_second) {
		ctx->event_second = second;
		ctx->used[QUOTA_EVENTS] = 0;
	}
	return (quota_take(ctx, QUOTA_EVENTS, 1));
}

/* Something that no limit counts, and that was dropped. */
void
quota_dropped(struct chela_ctx *ctx, const char *what)
{
	uint64_t	 now = clock_now_us();

	ctx->n_denied++;
	if (ctx->denied_warned_us != 0 && now - ctx->denied_warned_us < WARN_US)
		return;
	ctx->denied_warned_us = now;
	log_warn("plugin", "plugin '%s': dropped (%s)", ctx->name, what);
}

static void
deadline_expire(struct chela_req *req)
{
	struct chela_ctx	*ctx = req->ctx;
	struct chela_host	*table = &ctx->host->table;
	struct chela_error	 e = { .struct_size = sizeof e, .retryable = 1 };

	(void)table->req_ref(req);
	ctx->n_timeouts++;
	(void)table->req_fail_with(req, "UNAVAILABLE", &e, "%s was not answered "
	    "within %llu ms", req->method->desc.name,
	    (unsigned long long)ctx->limits[QUOTA_REQUEST_MS]);
	req->is_late = true;
	req_cancel(req);
	(void)req_unref(req);
}

static uint64_t
deadline_of(const struct chela_req *req)
{
	return (req->since_us + MS_US(req->ctx->limits[QUOTA_REQUEST_MS]));
}

/* The oldest is the first: all have the same time. */
static void
deadline_look(void *arg)
{
	struct chela_ctx	*ctx = arg;
	struct chela_req	*req;
	uint64_t		 now = clock_now_us();

	while ((req = list_first(&ctx->waiting, struct chela_req, waiting)) !=
	    NULL && deadline_of(req) <= now)
		deadline_expire(req);
	ctx->is_deadline_set = req != NULL && loop_timer_set(ctx->deadline,
	    deadline_of(req) - now + MS_US(1)) == 0;
}

/* From now on. Again: from now on again. */
void
deadline_set(struct chela_req *req)
{
	struct chela_ctx	*ctx = req->ctx;

	list_remove(&req->waiting);
	req->since_us = clock_now_us();
	list_append(&ctx->waiting, &req->waiting);
	if (ctx->is_deadline_set)
		return;
	if (ctx->deadline == NULL)
		ctx->deadline = loop_timer_new(ctx->host->env.loop,
		    deadline_look, ctx);
	ctx->is_deadline_set = ctx->deadline != NULL &&
	    loop_timer_set(ctx->deadline,
	    MS_US(ctx->limits[QUOTA_REQUEST_MS])) == 0;
}

void
deadline_fini(struct chela_ctx *ctx)
{
	ctx->deadline = loop_timer_free(ctx->deadline);
	ctx->is_deadline_set = false;
}
