/* SPDX-License-Identifier: MIT */
/* The loop: order, other threads, timers, descriptors, the worker pool. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/base/clock.h"
#include "core/base/loop.h"
#include "tests/unit/cu.h"

#define JOBS_MAX	4096	/* as in loop.c */

static struct loop	*loop;
static char		 trace[64];
static size_t		 n_trace;
static int		 n_calls;

static void
mark(void *arg)
{
	if (n_trace + 1 < sizeof trace)
		trace[n_trace++] = *(char *)arg;
	trace[n_trace] = '\0';
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
mark_and_stop(void *arg)
{
	mark(arg);
	stop(arg);
}

static void
begin(void)
{
	loop = loop_new();
	n_trace = 0;
	trace[0] = '\0';
	n_calls = 0;
}

static void
end(void)
{
	loop = loop_free(loop);
}

static void
post_more(void *arg)
{
	mark(arg);
	CU_ASSERT_EQUAL(loop_post(loop, mark_and_stop, "z"), 0);
	CU_ASSERT_EQUAL(loop_defer(loop, mark, "d"), 0);
	CU_ASSERT_EQUAL(loop_defer(loop, mark, "e"), 0);
}

static void
defer_more(void *arg)
{
	mark(arg);
	CU_ASSERT_EQUAL(loop_defer(loop, mark_and_stop, "2"), 0);
}

static void
callbacks_come_in_order_and_never_at_once(void)
{
	begin();
	CU_ASSERT_EQUAL(loop_post(loop, mark, "a"), 0);
	CU_ASSERT_EQUAL(loop_post(loop, post_more, "b"), 0);
	CU_ASSERT_EQUAL(loop_post(loop, mark, "c"), 0);
	CU_ASSERT_STRING_EQUAL(trace, "");
	loop_run(loop);
	/* What b deferred runs when its turn is over, what it posted then. */
	CU_ASSERT_STRING_EQUAL(trace, "abcdez");
	end();

	begin();
	CU_ASSERT_EQUAL(loop_defer(loop, defer_more, "1"), 0);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(trace, "12");
	end();

	begin();
	loop_poke(loop);
	CU_ASSERT_EQUAL(loop_post(loop, mark, "a"), 0);
	CU_ASSERT_EQUAL(loop_defer(loop, mark, "b"), 0);
	loop_poke(loop);
	CU_ASSERT_STRING_EQUAL(trace, "ba");
	end();
}

static void
what_was_posted_runs_before_the_end(void)
{
	begin();
	CU_ASSERT_EQUAL(loop_post(loop, post_more, "a"), 0);
	end();
	CU_ASSERT_EQUAL(n_trace, 4);
	CU_ASSERT_EQUAL(strspn(trace, "adez"), 4);
}

static void
it_runs_on_a_base_of_someone_else(void)
{
	struct event_base	*base = event_base_new();

	begin();
	end();
	loop = loop_wrap(base);
	CU_ASSERT_PTR_EQUAL(loop_base(loop), base);
	CU_ASSERT_EQUAL(loop_post(loop, mark, "a"), 0);
	CU_ASSERT_EQUAL(loop_defer(loop, mark, "b"), 0);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	CU_ASSERT_EQUAL(n_trace, 2);
	end();
	event_base_free(base);
}

#define THREADS		4
#define POSTS		5000

struct poster {
	int	 last;		/* loop thread */
	int	 next;		/* poster */
};

struct message {
	struct poster	*from;
	int		 n;
};

static void
on_message(void *arg)
{
	struct message	*msg = arg;

	CU_ASSERT_EQUAL(msg->n, msg->from->last + 1);
	msg->from->last = msg->n;
	free(msg);
	if (++n_calls == THREADS * POSTS)
		loop_stop(loop);
}

static void *
poster_main(void *arg)
{
	struct poster	*p = arg;
	struct message	*msg;
	int		 i;

	for (i = 0; i < POSTS; i++) {
		msg = malloc(sizeof *msg);
		*msg = (struct message){ p, ++p->next };
		while (loop_post(loop, on_message, msg) < 0)
			;
	}
	return (NULL);
}

static void
many_threads_post_and_each_keeps_its_order(void)
{
	struct poster	 p[THREADS] = { { 0, 0 } };
	pthread_t	 t[THREADS];
	int		 i;

	begin();
	for (i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL(pthread_create(&t[i], NULL, poster_main,
		    &p[i]), 0);
	loop_run(loop);
	for (i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	CU_ASSERT_EQUAL(n_calls, THREADS * POSTS);
	end();
}

static struct loop_timer	*timer;

static void
on_timer(void *arg)
{
	mark(arg);
	if (++n_calls < 3)
		(void)loop_timer_set(timer, 0);
	else {
		timer = loop_timer_free(timer);	/* in its own callback */
		loop_stop(loop);
	}
}

static void
timers_fire_once_in_order_of_time(void)
{
	struct loop_timer	*a, *b, *c;
	uint64_t		 began = clock_now_us();

	begin();
	a = loop_timer_new(loop, mark_and_stop, "a");
	b = loop_timer_new(loop, mark, "b");
	c = loop_timer_new(loop, mark, "c");
	CU_ASSERT_EQUAL(loop_timer_set(a, 20000), 0);
	CU_ASSERT_EQUAL(loop_timer_set(b, 1000), 0);
	CU_ASSERT_EQUAL(loop_timer_set(c, 2000), 0);
	CU_ASSERT_EQUAL(loop_timer_set(c, 10000), 0);	/* moves it */
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(trace, "bca");
	/* Less a tick of the coarse clock that libevent goes by. */
	CU_ASSERT_TRUE(clock_now_us() - began >= 10000);
	/* Stopped ones do not. */
	CU_ASSERT_EQUAL(loop_timer_set(b, 0), 0);
	loop_timer_stop(b);
	loop_timer_stop(b);
	loop_timer_stop(NULL);
	CU_ASSERT_EQUAL(loop_timer_set(a, 1000), 0);
	loop_run(loop);
	CU_ASSERT_STRING_EQUAL(trace, "bcaa");
	(void)loop_timer_free(a);
	(void)loop_timer_free(b);
	(void)loop_timer_free(c);
	CU_ASSERT_PTR_NULL(loop_timer_free(NULL));
	timer = loop_timer_new(loop, on_timer, "t");
	CU_ASSERT_EQUAL(loop_timer_set(timer, 0), 0);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_calls, 3);
	end();
}

static struct loop_watch	*watch;

static void
on_watch(int fd, uint32_t what, void *arg)
{
	char	 c;

	(void)arg;
	n_calls++;
	if ((what & LOOP_WRITE) != 0) {
		CU_ASSERT_EQUAL(loop_watch_set(watch, 0), 0);
		loop_stop(loop);
		return;
	}
	CU_ASSERT_EQUAL(what, LOOP_READ);
	CU_ASSERT_EQUAL(read(fd, &c, 1), 1);
	if (c == '.') {
		watch = loop_watch_free(watch);	/* in its own callback */
		loop_stop(loop);
	}
}

static void
descriptors_are_watched_until_they_are_not(void)
{
	int	 fds[2];

	begin();
	CU_ASSERT_EQUAL(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	watch = loop_watch_new(loop, fds[1], LOOP_WRITE, on_watch, NULL);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_calls, 1);
	loop_poke(loop);		/* not watched: nothing comes */
	CU_ASSERT_EQUAL(n_calls, 1);
	CU_ASSERT_EQUAL(loop_watch_set(watch, LOOP_WRITE), 0);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_calls, 2);
	watch = loop_watch_free(watch);
	CU_ASSERT_PTR_NULL(loop_watch_free(NULL));

	watch = loop_watch_new(loop, fds[0], 0, on_watch, NULL);
	CU_ASSERT_EQUAL(write(fds[1], "ab.", 3), 3);
	loop_poke(loop);
	CU_ASSERT_EQUAL(n_calls, 2);
	CU_ASSERT_EQUAL(loop_watch_set(watch, LOOP_READ), 0);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_calls, 5);
	(void)close(fds[0]);
	(void)close(fds[1]);
	end();
}

static pthread_t	 loop_thread;
static sem_t		 begun, may_go;

static void
on_work(void *arg)
{
	(void)arg;
	(void)sem_post(&begun);
	while (sem_wait(&may_go) < 0)
		;
	(void)sem_post(&may_go);
}

static void
check_thread(void *arg)
{
	*(bool *)arg = !pthread_equal(pthread_self(), loop_thread);
}

static void
on_checked(void *arg)
{
	CU_ASSERT_TRUE(*(bool *)arg);
	CU_ASSERT_TRUE(pthread_equal(pthread_self(), loop_thread));
	n_calls++;
	loop_stop(loop);
}

static void
count(void *arg)
{
	(void)arg;
	n_calls++;
}

static void
work_is_done_elsewhere_and_reported_here(void)
{
	bool	 is_elsewhere = false;

	begin();
	loop_thread = pthread_self();
	CU_ASSERT_EQUAL(loop_work(loop, check_thread, on_checked,
	    &is_elsewhere), 0);
	loop_run(loop);
	CU_ASSERT_EQUAL(n_calls, 1);
	end();
}

static void
the_pool_has_a_limit_and_ends_in_order(void)
{
	int	 i, r, n = 0;

	begin();
	(void)sem_init(&begun, 0, 0);
	(void)sem_init(&may_go, 0, 0);
	/* Both workers are busy; the queue behind them is empty. */
	CU_ASSERT_EQUAL(loop_work(loop, on_work, count, NULL), 0);
	CU_ASSERT_EQUAL(loop_work(loop, on_work, count, NULL), 0);
	(void)sem_wait(&begun);
	(void)sem_wait(&begun);
	for (i = 0; i < JOBS_MAX + 10; i++) {
		r = loop_work(loop, on_work, count, NULL);
		CU_ASSERT_EQUAL(r, i < JOBS_MAX ? 0 : -EAGAIN);
		n += r == 0;
	}
	CU_ASSERT_EQUAL(n, JOBS_MAX);
	(void)sem_post(&may_go);
	/* What was accepted is done and reported, even at the end. */
	end();
	CU_ASSERT_EQUAL(n_calls, JOBS_MAX + 2);
	(void)sem_destroy(&begun);
	(void)sem_destroy(&may_go);
}

static const struct cu_case cases[] = {
	CU_CASE(callbacks_come_in_order_and_never_at_once),
	CU_CASE(what_was_posted_runs_before_the_end),
	CU_CASE(it_runs_on_a_base_of_someone_else),
	CU_CASE(many_threads_post_and_each_keeps_its_order),
	CU_CASE(timers_fire_once_in_order_of_time),
	CU_CASE(descriptors_are_watched_until_they_are_not),
	CU_CASE(work_is_done_elsewhere_and_reported_here),
	CU_CASE(the_pool_has_a_limit_and_ends_in_order),
	CU_END
};

CU_MAIN("loop", cases)
