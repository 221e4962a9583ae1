/* SPDX-License-Identifier: MIT */
#include "core/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#define LOOP_WORKERS	2
#define LOOP_JOBS_MAX	4096	/* waiting for a worker */

struct call {
	struct call	*next;
	loop_fn		*fn;
	loop_fn		*done;	/* jobs only */
	void		*arg;
};

struct call_queue {
	struct call	 *head;
	struct call	**tail;
};

struct loop {
	struct event_base	*base;
	bool			 is_own;
	bool			 is_stopped;
	uint64_t		 turn_limit_us;	/* 0: not measured */
	uint64_t		 longest_us;
	void			(*on_slow_turn)(uint64_t took_us);
	struct call_queue	 deferred;
	struct event		*defer_ev;	/* only on a caller's base */

	int			 wake_fd;
	struct event		*wake_ev;
	pthread_mutex_t		 lock;
	struct call_queue	 posted;	/* lock */

	pthread_cond_t		 job_cond;
	struct call_queue	 jobs;		/* lock */
	size_t			 n_jobs;	/* lock */
	bool			 is_ending;	/* lock */
	size_t			 n_threads;
	pthread_t		 threads[LOOP_WORKERS];
};

struct loop_timer {
	struct event	 ev;
	loop_fn		*fn;
	void		*arg;
};

struct loop_watch {
	struct event	 ev;
	struct loop	*loop;
	loop_watch_fn	*fn;
	void		*arg;
	uint32_t	 what;
};

static void
queue_init(struct call_queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
queue_add(struct call_queue *q, struct call *c)
{
	c->next = NULL;
	*q->tail = c;
	q->tail = &c->next;
}

static struct call *
queue_take(struct call_queue *q)
{
	struct call	*c = q->head;

	if (c == NULL)
		return (NULL);
	q->head = c->next;
	if (q->head == NULL)
		q->tail = &q->head;
	return (c);
}

static struct call *
call_new(loop_fn *fn, loop_fn *done, void *arg)
{
	struct call	*c;

	c = malloc(sizeof *c);
	if (c != NULL)
		*c = (struct call){ NULL, fn, done, arg };
	return (c);
}

/* Runs what is queued now; what they add waits for the next round. */
static void
queue_run(struct call_queue *q)
{
	struct call	*c, *next;

	c = q->head;
	queue_init(q);
	for (; c != NULL; c = next) {
		next = c->next;
		c->fn(c->arg);
		free(c);
	}
}

static void
loop_run_deferred(struct loop *l)
{
	while (l->deferred.head != NULL)
		queue_run(&l->deferred);
}

static void
loop_on_defer(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_run_deferred(arg);
}

static void
loop_on_wake(int fd, short what, void *arg)
{
	struct loop		*l = arg;
	struct call_queue	 mine;
	uint64_t		 n;

	(void)what;
	(void)!read(fd, &n, sizeof n);
	pthread_mutex_lock(&l->lock);
	mine = l->posted;
	if (mine.head == NULL)
		queue_init(&mine);
	queue_init(&l->posted);
	pthread_mutex_unlock(&l->lock);
	queue_run(&mine);
}

static struct loop *
loop_make(struct event_base *base, bool is_own)
{
	struct loop	*l;

	l = calloc(1, sizeof *l);
	if (l == NULL)
		goto fail;
	l->base = base;
	l->is_own = is_own;
	queue_init(&l->deferred);
	queue_init(&l->posted);
	queue_init(&l->jobs);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->job_cond, NULL);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0)
		goto fail;
	l->wake_ev = event_new(base, l->wake_fd, EV_READ | EV_PERSIST,
	    loop_on_wake, l);
	if (l->wake_ev == NULL || event_add(l->wake_ev, NULL) < 0)
		goto fail;
	if (!is_own) {
		l->defer_ev = event_new(base, -1, 0, loop_on_defer, l);
		if (l->defer_ev == NULL)
			goto fail;
	}
	return (l);
fail:
	if (l != NULL) {
		if (l->wake_ev != NULL)
			event_free(l->wake_ev);
		if (l->wake_fd > 0)
			(void)close(l->wake_fd);
		free(l);
	}
	if (is_own)
		event_base_free(base);
	return (NULL);
}

struct loop *
loop_new(void)
{
	struct event_config	*conf;
	struct event_base	*base;

	conf = event_config_new();
	if (conf == NULL)
		return (NULL);
	/* Locks would cost on every event; loop_post() has its own. */
	(void)event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(conf);
	event_config_free(conf);
	return (base == NULL ? NULL : loop_make(base, true));
}

struct loop *
loop_wrap(struct event_base *base)
{
	return (loop_make(base, false));
}

struct loop *
loop_free(struct loop *l)
{
	struct call	*c;
	size_t		 i;

	if (l == NULL)
		return (NULL);
	pthread_mutex_lock(&l->lock);
	l->is_ending = true;
	pthread_cond_broadcast(&l->job_cond);
	pthread_mutex_unlock(&l->lock);
	for (i = 0; i < l->n_threads; i++)
		(void)pthread_join(l->threads[i], NULL);
	/* What the workers finished last still owns things: let it end. */
	while (l->posted.head != NULL || l->deferred.head != NULL) {
		queue_run(&l->posted);
		loop_run_deferred(l);
	}
	while ((c = queue_take(&l->jobs)) != NULL)
		free(c);
	event_free(l->wake_ev);
	if (l->defer_ev != NULL)
		event_free(l->defer_ev);
	(void)close(l->wake_fd);
	if (l->is_own)
		event_base_free(l->base);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->job_cond);
	free(l);
	return (NULL);
}

struct event_base *
loop_base(struct loop *l)
{
	return (l->base);
}

void
loop_measure(struct loop *l, uint64_t limit_us, void (*fn)(uint64_t took_us))
{
	l->turn_limit_us = limit_us;
	l->on_slow_turn = fn;
}

uint64_t
loop_longest_us(const struct loop *l)
{
	return (l->longest_us);
}

/* CPU time, not the clock: waiting is not counted, nor are other processes. */
static uint64_t
loop_cpu_us(void)
{
	struct timespec	 ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ((uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u);
}

static void
loop_took(struct loop *l, uint64_t us)
{
	if (us > l->longest_us)
		l->longest_us = us;
	if (us > l->turn_limit_us)
		l->on_slow_turn(us);
}

void
loop_run(struct loop *l)
{
	l->is_stopped = false;
	loop_run_deferred(l);
	while (!l->is_stopped) {
		uint64_t start = l->turn_limit_us == 0 ? 0 : loop_cpu_us();

		/* ONCE: wait, run all that is ready, come back to us. */
		if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
			break;
		loop_run_deferred(l);
		if (l->turn_limit_us != 0)
			loop_took(l, loop_cpu_us() - start);
	}
}

void
loop_stop(struct loop *l)
{
	l->is_stopped = true;
	(void)event_base_loopbreak(l->base);
}

void
loop_poke(struct loop *l)
{
	loop_run_deferred(l);
	(void)event_base_loop(l->base, EVLOOP_NONBLOCK);
	loop_run_deferred(l);
}

int
loop_defer(struct loop *l, loop_fn *fn, void *arg)
{
	struct call	*c;

	c = call_new(fn, NULL, arg);
	if (c == NULL)
		return (-ENOMEM);
	queue_add(&l->deferred, c);
	if (l->defer_ev != NULL)
		event_active(l->defer_ev, 0, 0);
	return (0);
}

static void
loop_post_call(struct loop *l, struct call *c)
{
	static const uint64_t one = 1;
	bool	 was_empty;

	pthread_mutex_lock(&l->lock);
	was_empty = l->posted.head == NULL;
	queue_add(&l->posted, c);
	pthread_mutex_unlock(&l->lock);
	if (was_empty)
		(void)!write(l->wake_fd, &one, sizeof one);
}

int
loop_post(struct loop *l, loop_fn *fn, void *arg)
{
	struct call	*c;

	c = call_new(fn, NULL, arg);
	if (c == NULL)
		return (-ENOMEM);
	loop_post_call(l, c);
	return (0);
}

static void
loop_on_timer(int fd, short what, void *arg)
{
	struct loop_timer	*t = arg;

	(void)fd;
	(void)what;
	t->fn(t->arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_timer	*t;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (NULL);
	t->fn = fn;
	t->arg = arg;
	(void)evtimer_assign(&t->ev, l->base, loop_on_timer, t);
	return (t);
}

int
loop_timer_set(struct loop_timer *t, uint64_t after_us)
{
	struct timeval	 tv = {
		.tv_sec = (time_t)(after_us / 1000000u),
		.tv_usec = (suseconds_t)(after_us % 1000000u),
	};

	return (event_add(&t->ev, &tv) < 0 ? -ENOMEM : 0);
}

void
loop_timer_stop(struct loop_timer *t)
{
	if (t != NULL)
		(void)event_del(&t->ev);
}

struct loop_timer *
loop_timer_free(struct loop_timer *t)
{
	if (t != NULL) {
		(void)event_del(&t->ev);
		free(t);
	}
	return (NULL);
}

static void
loop_on_watch(int fd, short what, void *arg)
{
	struct loop_watch	*w = arg;

	w->fn(fd, (what & EV_READ ? LOOP_READ : 0) |
	    (what & EV_WRITE ? LOOP_WRITE : 0), w->arg);
}

static short
loop_what(uint32_t what)
{
	return ((short)(EV_PERSIST | (what & LOOP_READ ? EV_READ : 0) |
	    (what & LOOP_WRITE ? EV_WRITE : 0)));
}

struct loop_watch *
loop_watch_new(struct loop *l, int fd, uint32_t what, loop_watch_fn *fn,
    void *arg)
{
	struct loop_watch	*w;

	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (NULL);
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	w->what = what;
	(void)event_assign(&w->ev, l->base, fd, loop_what(what), loop_on_watch,
	    w);
	if (what != 0 && event_add(&w->ev, NULL) < 0) {
		free(w);
		return (NULL);
	}
	return (w);
}

int
loop_watch_set(struct loop_watch *w, uint32_t what)
{
	int	 fd = event_get_fd(&w->ev);

	if (what == w->what)
		return (0);
	(void)event_del(&w->ev);
	(void)event_assign(&w->ev, w->loop->base, fd, loop_what(what),
	    loop_on_watch, w);
	w->what = what;
	if (what != 0 && event_add(&w->ev, NULL) < 0)
		return (-ENOMEM);
	return (0);
}

struct loop_watch *
loop_watch_free(struct loop_watch *w)
{
	if (w != NULL) {
		(void)event_del(&w->ev);
		free(w);
	}
	return (NULL);
}

static void *
loop_worker(void *arg)
{
	struct loop	*l = arg;
	struct call	*c;

	for (;;) {
		pthread_mutex_lock(&l->lock);
		while (l->jobs.head == NULL && !l->is_ending)
			pthread_cond_wait(&l->job_cond, &l->lock);
		c = queue_take(&l->jobs);
		if (c != NULL)
			l->n_jobs--;
		pthread_mutex_unlock(&l->lock);
		if (c == NULL)		/* ending, and the queue is empty */
			return (NULL);
		c->fn(c->arg);
		c->fn = c->done;
		if (c->fn != NULL)
			loop_post_call(l, c);
		else
			free(c);
	}
}

static void
loop_start_worker(struct loop *l)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
	sigset_t	 all, old;
	size_t		 i;

	/* Signals belong to the loop thread. */
	(void)sigfillset(&all);
	/* But not those that a fault of its own raises: blocked, they kill. */
	for (i = 0; i < sizeof faults / sizeof faults[0]; i++)
		(void)sigdelset(&all, faults[i]);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&l->threads[l->n_threads], NULL, loop_worker, l) == 0)
		l->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int
loop_work(struct loop *l, loop_fn *fn, loop_fn *done, void *arg)
{
	struct call	*c;
	int		 r = 0;

	if (l->n_threads < LOOP_WORKERS)
		loop_start_worker(l);
	if (l->n_threads == 0)
		return (-EAGAIN);
	c = call_new(fn, done, arg);
	if (c == NULL)
		return (-ENOMEM);
	pthread_mutex_lock(&l->lock);
	if (l->n_jobs >= LOOP_JOBS_MAX)
		r = -EAGAIN;
	else {
		queue_add(&l->jobs, c);
		l->n_jobs++;
		pthread_cond_signal(&l->job_cond);
	}
	pthread_mutex_unlock(&l->lock);
	if (r < 0)
		free(c);
	return (r);
}
