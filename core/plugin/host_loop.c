/* SPDX-License-Identifier: MIT */
/* The host table: timers, descriptors, other threads. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/loop.h"
#include "core/plugin/host_priv.h"

struct chela_timer {
	struct list		 link;
	struct chela_ctx	*ctx;
	struct loop_timer	*timer;
	chela_cb_fn		*cb;
	void			*arg;
};

struct chela_watch {
	struct list		 link;
	struct chela_ctx	*ctx;
	struct loop_watch	*watch;
	void			(*cb)(struct chela_ctx *ctx, int fd,
				    uint32_t what, void *arg);
	void			*arg;
};

/* A callback that was handed over; dropped when the plugin was stopped since. */
struct posted {
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	void			(*fn)(void *arg);
	chela_cb_fn		*cb;
	void			*arg;
};

static void
timer_run(void *arg)
{
	struct chela_timer	*t = arg;
	struct frame		 f;

	/* t may be freed by its own callback. */
	frame_enter(&f, t->ctx, "timer");
	t->cb(t->ctx, t->arg);
	(void)frame_leave(&f);
}

static struct chela_timer *
host_timer_new(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct chela_timer	*t;

	if (quota_take(ctx, QUOTA_TIMERS, 1) < 0)
		return (NULL);
	t = calloc(1, sizeof *t);
	if (t == NULL) {
		quota_give(ctx, QUOTA_TIMERS, 1);
		return (NULL);
	}
	t->ctx = ctx;
	t->cb = cb;
	t->arg = arg;
	t->timer = loop_timer_new(ctx->host->env.loop, timer_run, t);
	if (t->timer == NULL) {
		quota_give(ctx, QUOTA_TIMERS, 1);
		free(t);
		return (NULL);
	}
	list_append(&ctx->timers, &t->link);
	return (t);
}

static int
host_timer_set(struct chela_timer *t, uint64_t after_us)
{
	return (loop_timer_set(t->timer, after_us));
}

static void
host_timer_stop(struct chela_timer *t)
{
	loop_timer_stop(t->timer);
}

static void
host_timer_free(struct chela_timer *t)
{
	if (t == NULL)
		return;
	(void)loop_timer_free(t->timer);
	list_remove(&t->link);
	quota_give(t->ctx, QUOTA_TIMERS, 1);
	free(t);
}

static void
watch_run(int fd, uint32_t what, void *arg)
{
	struct chela_watch	*w = arg;
	struct frame		 f;

	frame_enter(&f, w->ctx, "watch");
	w->cb(w->ctx, fd, what, w->arg);
	(void)frame_leave(&f);
}

_Static_assert(CHELA_WATCH_READ == LOOP_READ && CHELA_WATCH_WRITE == LOOP_WRITE,
    "one set of bits");

static struct chela_watch *
host_watch_new(struct chela_ctx *ctx, int fd, uint32_t what,
    void (*cb)(struct chela_ctx *ctx, int fd, uint32_t what, void *arg),
    void *arg)
{
	struct chela_watch	*w;

	if (quota_take(ctx, QUOTA_WATCHES, 1) < 0)
		return (NULL);
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		quota_give(ctx, QUOTA_WATCHES, 1);
		return (NULL);
	}
	w->ctx = ctx;
	w->cb = cb;
	w->arg = arg;
	w->watch = loop_watch_new(ctx->host->env.loop, fd, what, watch_run, w);
	if (w->watch == NULL) {
		quota_give(ctx, QUOTA_WATCHES, 1);
		free(w);
		return (NULL);
	}
	list_append(&ctx->watches, &w->link);
	return (w);
}

static int
host_watch_set(struct chela_watch *w, uint32_t what)
{
	return (loop_watch_set(w->watch, what));
}

static void
host_watch_free(struct chela_watch *w)
{
	if (w == NULL)
		return;
	(void)loop_watch_free(w->watch);
	quota_give(w->ctx, QUOTA_WATCHES, 1);
	list_remove(&w->link);
	free(w);
}

void
ctx_drop_timers(struct chela_ctx *ctx)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &ctx->timers)
		host_timer_free(container_of(l, struct chela_timer, link));
	list_each(l, tmp, &ctx->watches)
		host_watch_free(container_of(l, struct chela_watch, link));
}

static struct posted *
posted_new(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *cb,
    void *arg)
{
	struct posted	*p;

	p = malloc(sizeof *p);
	if (p != NULL)
		*p = (struct posted){ ctx, ctx->generation, fn, cb, arg };
	return (p);
}

static void
posted_run(void *arg)
{
	struct posted	*p = arg;
	struct frame	 f;

	quota_give(p->ctx, p->fn != NULL ? QUOTA_JOBS : QUOTA_POSTS, 1);
	if (p->cb != NULL && p->generation == p->ctx->generation) {
		frame_enter(&f, p->ctx, "posted");
		p->cb(p->ctx, p->arg);
		(void)frame_leave(&f);
	}
	free(p);
}

static void
posted_work(void *arg)
{
	struct posted	*p = arg;

	frame_worker(p->ctx);
	p->fn(p->arg);
	frame_worker(NULL);
}

static int
host_post(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct posted	*p;
	int		 r;

	r = quota_take(ctx, QUOTA_POSTS, 1);
	if (r < 0)
		return (r);
	p = posted_new(ctx, NULL, cb, arg);
	r = p == NULL ? -ENOMEM : loop_post(ctx->host->env.loop, posted_run, p);
	if (r < 0) {
		quota_give(ctx, QUOTA_POSTS, 1);
		free(p);
	}
	return (r);
}

static int
host_work(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *done,
    void *arg)
{
	struct posted	*p;
	int		 r;

	r = quota_take(ctx, QUOTA_JOBS, 1);
	if (r < 0)
		return (r);
	p = posted_new(ctx, fn, done, arg);
	r = p == NULL ? -ENOMEM : loop_work(ctx->host->env.loop, posted_work,
	    posted_run, p);
	if (r < 0) {
		quota_give(ctx, QUOTA_JOBS, 1);
		free(p);
	}
	return (r);
}

static uint64_t
host_now_us(void)
{
	return (clock_now_us());
}

static uint64_t
host_wall_ms(void)
{
	return (clock_wall_ms());
}

void
host_fill_loop(struct chela_host *t)
{
	t->now_us = host_now_us;
	t->wall_ms = host_wall_ms;
	t->timer_new = host_timer_new;
	t->timer_set = host_timer_set;
	t->timer_stop = host_timer_stop;
	t->timer_free = host_timer_free;
	t->watch_new = host_watch_new;
	t->watch_set = host_watch_set;
	t->watch_free = host_watch_free;
	t->post = host_post;
	t->work = host_work;
}
