/* SPDX-License-Identifier: MIT */
/* The store's two threads: the writer commits in groups, the reader reads. */
#include "core/store/store_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define THREAD_STACK	MIB(1)
#define IDLE_WAIT_MS	50u	/* of silence before housekeeping */

static int
store_start_thread(pthread_t *ret_thread, void *(*fn)(void *), void *arg)
{
	pthread_attr_t	 attr;
	sigset_t	 all, old;
	int		 r;

	if (pthread_attr_init(&attr) != 0)
		return (-EAGAIN);
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	/* Signals belong to the loop thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(ret_thread, &attr, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return (r);
}

/* There is no one here to tell of -ENOMEM: try until there is memory. */
static void
store_post_surely(struct store *s)
{
	static const struct timespec pause = { 0, 10000000 };

	while (store_post(s) < 0)
		(void)nanosleep(&pause, NULL);
}

static void
deadline_set(struct timespec *ts, unsigned after_ms)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += after_ms / 1000;
	ts->tv_nsec += (long)(after_ms % 1000) * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

/* With the lock. Moves what one transaction may hold from waiting to group. */
static void
store_take_group(struct store *s, struct op_list *group)
{
	struct op	*op, *last = NULL;
	size_t		 n = 0, bytes = 0;

	for (op = s->waiting.head; op != NULL && n < STORE_GROUP_ROWS;
	    op = op->next) {
		if (n > 0 && bytes + op->cost > STORE_GROUP_BYTES)
			break;
		bytes += op->cost;
		last = op;
		n++;
	}
	if (op == NULL) {
		op_list_join(group, &s->waiting);
		return;
	}
	group->head = s->waiting.head;
	group->tail = &last->next;
	group->n = n;
	s->waiting.head = op;
	s->waiting.n -= n;
	last->next = NULL;
}

/* With the lock, which is dropped meanwhile. */
static int
store_commit(struct store *s)
{
	struct op_list	 group;
	struct op	*op;
	uint64_t	 ticket = 0;
	int		 r;

	op_list_init(&group);
	store_take_group(s, &group);
	pthread_mutex_unlock(&s->lock);
	r = s->type->commit(s->engine, &group);
	for (op = group.head; op != NULL; op = op->next) {
		op->r = r;
		ticket = op->ticket;
	}
	pthread_mutex_lock(&s->lock);
	op_list_join(&s->finished, &group);
	if (r < 0) {
		s->failures++;
		s->state = WRITER_FAILED;
		s->error = r;
		(void)snprintf(s->error_text, sizeof s->error_text, "%s",
		    s->type->reason(s->engine));
	} else {
		s->commits++;
		s->settled = ticket;
		pthread_cond_signal(&s->reader_cond);
	}
	pthread_mutex_unlock(&s->lock);
	store_post_surely(s);
	pthread_mutex_lock(&s->lock);
	return (r);
}

/* As above. */
static int
store_probe(struct store *s)
{
	int	 r;

	pthread_mutex_unlock(&s->lock);
	r = s->type->probe(s->engine);
	if (r == 0) {
		pthread_mutex_lock(&s->lock);
		s->state = WRITER_GOOD;
		pthread_mutex_unlock(&s->lock);
		store_post_surely(s);
		pthread_mutex_lock(&s->lock);
		return (0);
	}
	pthread_mutex_lock(&s->lock);
	s->failures++;
	return (r);
}

/* As above. */
static int
store_idle(struct store *s)
{
	int	 r;

	pthread_mutex_unlock(&s->lock);
	r = s->type->idle(s->engine);
	pthread_mutex_lock(&s->lock);
	return (r);
}

static bool
writer_has_work(const struct store *s)
{
	return (s->is_ending ||
	    (s->state == WRITER_GOOD && s->waiting.n > 0));
}

/* With the lock. False: the time is over and nothing came. */
static bool
writer_wait(struct store *s, unsigned ms)
{
	struct timespec	 until;

	deadline_set(&until, ms);
	while (!writer_has_work(s)) {
		if (pthread_cond_timedwait(&s->writer_cond, &s->lock,
		    &until) == ETIMEDOUT)
			return (writer_has_work(s));
	}
	return (true);
}

static void *
store_writer(void *arg)
{
	struct store	*s = arg;
	unsigned	 pause_ms = STORE_RETRY_MIN_MS;
	bool		 is_idle_off = false;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		if (s->state == WRITER_GOOD && s->waiting.n > 0) {
			if (!is_idle_off && s->type->must_idle(s->engine) &&
			    store_idle(s) < 0)
				is_idle_off = true;
			if (store_commit(s) == 0) {
				pause_ms = STORE_RETRY_MIN_MS;
				is_idle_off = false;
			}
		} else if (s->is_ending)
			break;
		else if (s->state == WRITER_PROBING) {
			if (writer_wait(s, pause_ms))
				continue;
			/*
			 * The pause is reset by a commit, not by a probe: on a
			 * disk with room for a probe and no more, the two would
			 * take turns for ever.
			 */
			pause_ms = MIN_OF(pause_ms * 2, STORE_RETRY_MAX_MS);
			(void)store_probe(s);
		} else if (s->state == WRITER_GOOD && !is_idle_off &&
		    s->type->wants_idle(s->engine)) {
			if (writer_wait(s, IDLE_WAIT_MS))
				continue;
			while (!writer_has_work(s)) {
				int	 r = store_idle(s);

				is_idle_off = r < 0;
				if (r <= 0)
					break;
			}
		} else
			pthread_cond_wait(&s->writer_cond, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return (NULL);
}

/* With the lock. The first job that need not wait for a commit. */
static struct job *
reader_take(struct store *s)
{
	struct job	**link, *job;

	if (s->answered_bytes > 2 * s->lim.read_bytes_max)
		return (NULL);
	for (link = &s->jobs; (job = *link) != NULL; link = &job->next) {
		if (job->ticket > s->settled)
			continue;
		*link = job->next;
		if (*link == NULL)
			s->jobs_tail = link;
		job->next = NULL;
		return (job);
	}
	return (NULL);
}

static void *
store_reader(void *arg)
{
	struct store	*s = arg;
	struct job	*job;
	int		 r;

	pthread_mutex_lock(&s->lock);
	while (!s->is_ending) {
		job = reader_take(s);
		if (job == NULL) {
			pthread_cond_wait(&s->reader_cond, &s->lock);
			continue;
		}
		pthread_mutex_unlock(&s->lock);
		r = job->kind == JOB_READ ? s->type->read(s->engine, job) :
		    s->type->find(s->engine, job);
		if (r < 0) {
			job->n = 0;
			job->r = r;
			buf_fini(&job->bytes);
		} else if (r == 0)
			job_fix(job, job->kind == JOB_READ &&
			    (job->flags & STORE_READ_TAIL) != 0);
		pthread_mutex_lock(&s->lock);
		if (r > 0) {
			/* A long search: the others' turn. */
			*s->jobs_tail = job;
			s->jobs_tail = &job->next;
			continue;
		}
		*s->answered_tail = job;
		s->answered_tail = &job->next;
		s->answered_bytes += job->bytes.len;
		pthread_mutex_unlock(&s->lock);
		store_post_surely(s);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return (NULL);
}

int
store_start_writer(struct store *s)
{
	int	 r;

	if (s->has_writer)
		return (0);
	r = store_start_thread(&s->writer, store_writer, s);
	s->has_writer = r == 0;
	return (r);
}

int
store_start_reader(struct store *s)
{
	int	 r;

	if (s->has_reader)
		return (0);
	r = store_start_thread(&s->reader, store_reader, s);
	s->has_reader = r == 0;
	return (r);
}
