/* SPDX-License-Identifier: MIT */
/* The fake host: time, descriptors, work, and waiting for what comes of them. */
#include "tests/plugin/fakehost_priv.h"

#include <errno.h>
#include <stdlib.h>

#include <event2/event.h>

#include "core/base/clock.h"

struct chela_timer {
	struct list		 link;
	struct chela_ctx	*ctx;
	chela_cb_fn		*cb;
	void			*arg;
	struct loop_timer	*real;
	uint64_t		 due_us;	/* while time stands still */
	bool			 is_set;
};

struct chela_watch {
	struct list		  link;
	struct chela_ctx	 *ctx;
	struct loop_watch	 *real;
	void			(*cb)(struct chela_ctx *ctx, int fd,
				    uint32_t what, void *arg);
	void			 *arg;
};

struct job {
	struct chela_ctx	 *ctx;
	unsigned		  generation;	/* of ctx */
	void			(*fn)(void *arg);
	chela_cb_fn		 *done;
	void			 *arg;
};

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

static void
timer_fire(struct chela_timer *t)
{
	t->is_set = false;
	t->cb(t->ctx, t->arg);
}

static void
timer_on_real(void *arg)
{
	timer_fire(arg);
}

static struct chela_timer *
host_timer_new(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct chela_timer	*t;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (NULL);
	t->ctx = ctx;
	t->cb = cb;
	t->arg = arg;
	t->real = loop_timer_new(ctx->f->loop, timer_on_real, t);
	list_append(&ctx->timers, &t->link);
	return (t);
}

static int
host_timer_set(struct chela_timer *t, uint64_t after_us)
{
	t->is_set = true;
	t->due_us = t->ctx->f->now_us + after_us;
	if (t->ctx->f->is_frozen)
		return (0);
	return (loop_timer_set(t->real, after_us));
}

static void
host_timer_stop(struct chela_timer *t)
{
	if (t == NULL)
		return;
	t->is_set = false;
	loop_timer_stop(t->real);
}

static void
host_timer_free(struct chela_timer *t)
{
	if (t == NULL)
		return;
	list_remove(&t->link);
	loop_timer_free(t->real);
	free(t);
}

void
fake_clock(struct fake *f, uint64_t wall_ms)
{
	f->is_frozen = true;
	f->now_us = SEC_US(1000);
	f->wall_ms = wall_ms;
	clock_fake(f->now_us, f->wall_ms);
}

void
fake_clock_set(struct fake *f, uint64_t wall_ms)
{
	f->wall_ms = wall_ms;
	clock_fake(f->now_us, f->wall_ms);
}

static struct chela_timer *
timer_next(struct fake *f, uint64_t until)
{
	struct chela_timer	*t, *best = NULL;
	struct list		*c, *ctmp, *l, *tmp;

	list_each(c, ctmp, &f->ctxs) {
		struct chela_ctx *ctx = container_of(c, struct chela_ctx, link);

		list_each(l, tmp, &ctx->timers) {
			t = container_of(l, struct chela_timer, link);
			if (t->is_set && t->due_us <= until &&
			    (best == NULL || t->due_us < best->due_us))
				best = t;
		}
	}
	return (best);
}

static void
clock_to(struct fake *f, uint64_t now_us, uint64_t *rest_us)
{
	uint64_t	 step = now_us - f->now_us + *rest_us;

	f->now_us = now_us;
	f->wall_ms += step / 1000u;
	*rest_us = step % 1000u;
	clock_fake(f->now_us, f->wall_ms);
}

void
fake_advance(struct fake *f, uint64_t us)
{
	struct chela_timer	*t;
	uint64_t		 until = f->now_us + us, rest = 0;

	fake_settle(f);
	while ((t = timer_next(f, until)) != NULL) {
		if (t->due_us > f->now_us)
			clock_to(f, t->due_us, &rest);
		timer_fire(t);
		fake_settle(f);
	}
	clock_to(f, until, &rest);
}

/* Descriptors and other threads. */

static void
watch_on_real(int fd, uint32_t what, void *arg)
{
	struct chela_watch	*w = arg;

	w->cb(w->ctx, fd, what, w->arg);
}

static struct chela_watch *
host_watch_new(struct chela_ctx *ctx, int fd, uint32_t what,
    void (*cb)(struct chela_ctx *ctx, int fd, uint32_t what, void *arg),
    void *arg)
{
	struct chela_watch	*w;

	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (NULL);
	w->ctx = ctx;
	w->cb = cb;
	w->arg = arg;
	w->real = loop_watch_new(ctx->f->loop, fd, what, watch_on_real, w);
	if (w->real == NULL) {
		free(w);
		return (NULL);
	}
	list_append(&ctx->watches, &w->link);
	return (w);
}

static int
host_watch_set(struct chela_watch *w, uint32_t what)
{
	return (loop_watch_set(w->real, what));
}

static void
host_watch_free(struct chela_watch *w)
{
	if (w == NULL)
		return;
	list_remove(&w->link);
	loop_watch_free(w->real);
	free(w);
}

int
fake_later(struct fake *f, loop_fn *fn, void *arg)
{
	(void)__atomic_add_fetch(&f->n_open, 1, __ATOMIC_SEQ_CST);
	return (loop_post(f->loop, fn, arg));
}

void
fake_later_done(struct fake *f)
{
	(void)__atomic_sub_fetch(&f->n_open, 1, __ATOMIC_SEQ_CST);
}

static void
job_run(void *arg)
{
	struct job	*j = arg;

	j->fn(j->arg);
}

static void
job_done(void *arg)
{
	struct job	*j = arg;
	struct fake	*f = j->ctx->f;

	/* Not to a plugin that has ended since, as with the real one. */
	if (j->done != NULL && j->generation == j->ctx->generation)
		j->done(j->ctx, j->arg);
	free(j);
	fake_later_done(f);
}

static struct job *
job_new(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *done,
    void *arg)
{
	struct job	*j;

	j = malloc(sizeof *j);
	if (j != NULL)
		*j = (struct job){ ctx, ctx->generation, fn, done, arg };
	return (j);
}

static int
host_post(struct chela_ctx *ctx, chela_cb_fn *cb, void *arg)
{
	struct job	*j;

	j = job_new(ctx, NULL, cb, arg);
	return (j == NULL ? -ENOMEM : fake_later(ctx->f, job_done, j));
}

static int
host_work(struct chela_ctx *ctx, void (*fn)(void *arg), chela_cb_fn *done,
    void *arg)
{
	struct job	*j;
	int		 r;

	j = job_new(ctx, fn, done, arg);
	if (j == NULL)
		return (-ENOMEM);
	(void)__atomic_add_fetch(&ctx->f->n_open, 1, __ATOMIC_SEQ_CST);
	r = loop_work(ctx->f->loop, job_run, job_done, j);
	if (r < 0) {
		fake_later_done(ctx->f);
		free(j);
	}
	return (r);
}

/* What a context left behind. */
void
fake_loop_sweep(struct chela_ctx *ctx)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &ctx->timers)
		host_timer_free(container_of(l, struct chela_timer, link));
	list_each(l, tmp, &ctx->watches)
		host_watch_free(container_of(l, struct chela_watch, link));
}

void
fake_loop_table(struct chela_host *h)
{
	h->now_us = host_now_us;
	h->wall_ms = host_wall_ms;
	h->timer_new = host_timer_new;
	h->timer_set = host_timer_set;
	h->timer_stop = host_timer_stop;
	h->timer_free = host_timer_free;
	h->watch_new = host_watch_new;
	h->watch_set = host_watch_set;
	h->watch_free = host_watch_free;
	h->post = host_post;
	h->work = host_work;
}

struct loop *
fake_loop(struct fake *f)
{
	return (f->loop);
}

/* Waiting. */

static void
on_deadline(void *arg)
{
	*(bool *)arg = true;
}

int
fake_wait(struct fake *f, bool (*pred)(void *arg), void *arg)
{
	struct loop_timer	*t;
	bool			 is_late = false;

	t = loop_timer_new(f->loop, on_deadline, &is_late);
	if (t == NULL || loop_timer_set(t, FAKE_DEADLINE_US) < 0)
		abort();
	for (;;) {
		loop_poke(f->loop);
		if (pred(arg) || is_late)
			break;
		(void)event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	}
	loop_timer_free(t);
	return (is_late ? -ETIMEDOUT : 0);
}

static bool
is_settled(void *arg)
{
	struct fake	*f = arg;

	return (__atomic_load_n(&f->n_open, __ATOMIC_SEQ_CST) == 0);
}

void
fake_settle(struct fake *f)
{
	(void)fake_wait(f, is_settled, f);
	loop_poke(f->loop);
	(void)fake_wait(f, is_settled, f);
}
