/* SPDX-License-Identifier: MIT */
/*
 * The loop: the only place besides net that knows libevent. One loop, one
 * thread; loop_post() alone may be called from others.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "core/base/base.h"

struct event_base;
struct loop;
struct loop_timer;
struct loop_watch;

typedef void loop_fn(void *arg);
typedef void loop_watch_fn(int fd, uint32_t what, void *arg);

#define LOOP_READ	1u
#define LOOP_WRITE	2u

struct loop	*loop_new(void) must_use;
struct loop	*loop_wrap(struct event_base *base) must_use;	/* a caller's */
struct loop	*loop_free(struct loop *l);	/* after its workers are done */
struct event_base *loop_base(struct loop *l);
void		 loop_run(struct loop *l);	/* until loop_stop() */
void		 loop_stop(struct loop *l);
/*
 * From now on fn is told of each turn that takes more CPU time than this; 0: turns
 * are not measured (it costs two system calls each).
 */
void		 loop_measure(struct loop *l, uint64_t limit_us,
		    void (*fn)(uint64_t took_us));
/* The longest turn so far, CPU time. */
uint64_t	 loop_longest_us(const struct loop *l);
/* Runs ready callbacks once without waiting (tests). */
void		 loop_poke(struct loop *l);

/* Runs fn on the loop thread, in order. Any thread. 0 or -ENOMEM. */
int		 loop_post(struct loop *l, loop_fn *fn, void *arg);
/* Runs fn at the end of this turn, after all callbacks that are ready. */
int		 loop_defer(struct loop *l, loop_fn *fn, void *arg);

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
    must_use;
/* Keeps to a tick of the kernel (4 to 10 ms): it may come that much early. */
int		 loop_timer_set(struct loop_timer *t, uint64_t after_us);
void		 loop_timer_stop(struct loop_timer *t);
struct loop_timer *loop_timer_free(struct loop_timer *t); /* also in fn */

struct loop_watch *loop_watch_new(struct loop *l, int fd, uint32_t what,
    loop_watch_fn *fn, void *arg) must_use;
int		 loop_watch_set(struct loop_watch *w, uint32_t what);
struct loop_watch *loop_watch_free(struct loop_watch *w); /* also in fn */

/*
 * The worker pool: fn runs on one of its threads, done then on the loop. The
 * queue is bounded: -EAGAIN when it is full. Threads start at first use.
 */
int		 loop_work(struct loop *l, loop_fn *fn, loop_fn *done, void *arg);

#endif
