/* SPDX-License-Identifier: MIT */
/*
 * What waits to be sent: one job for each message and subscription. Who may
 * hear of it is asked again right before each try; a push service that is busy
 * is left alone for a while.
 */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_FIRST_US	UINT64_C(2000000)	/* then twice as long */
#define WAIT_MAX_US	UINT64_C(3600000000)
#define WARN_US		UINT64_C(60000000)

struct job {
	struct job	*next, **prev;
	struct note	*note;
	char		 key[SUB_KEY_MAX];
	char		 sub_id[37];
	uint64_t	 due_us, end_us;
	unsigned	 tries;
	bool		 is_open;	/* is being sent */
};

static struct job		*jobs, **jobs_end;
static size_t			 n_jobs, n_open;
static struct chela_timer	*timer;
static bool			 is_running, is_again, is_up, is_asking;
static uint64_t			 warned_us;

static void
job_free(struct job *j)
{
	if (j->next != NULL)
		j->next->prev = j->prev;
	else
		jobs_end = j->prev;
	*j->prev = j->next;
	n_jobs--;
	n_open -= j->is_open;
	note_put(j->note);
	free(j);
}

int
queue_add(struct note *n, const char *key, const char *sub_id)
{
	struct job	*j, *next;
	uint64_t	 now = push.host->now_us();

	for (j = jobs; j != NULL; j = next) {
		next = j->next;
		if (!j->is_open && strcmp(j->key, key) == 0 &&
		    strcmp(j->note->topic, n->topic) == 0)
			job_free(j);
	}
	if (n_jobs >= JOBS_MAX) {
		if (warned_us == 0 || now - warned_us >= WARN_US) {
			warned_us = now;
			push.host->log(push.ctx, CHELA_LOG_WARNING,
			    "push: messages are dropped (%u wait already)",
			    JOBS_MAX);
		}
		return (-ENOSPC);
	}
	j = calloc(1, sizeof *j);
	if (j == NULL)
		return (-ENOMEM);
	j->note = n;
	n->refs++;
	(void)snprintf(j->key, sizeof j->key, "%s", key);
	(void)snprintf(j->sub_id, sizeof j->sub_id, "%s", sub_id);
	j->due_us = now;
	j->end_us = now + (uint64_t)n->ttl_s * 1000000;
	j->prev = jobs_end;
	*jobs_end = j;
	jobs_end = &j->next;
	n_jobs++;
	return (0);
}

/* A busy push service is busy for all that waits for this browser. */
static void
hold(struct job *j, const struct delivery *d)
{
	struct job	*o;
	uint64_t	 wait = WAIT_FIRST_US << (j->tries - 1), until;

	if (d->retry_after_s != 0)
		wait = (uint64_t)d->retry_after_s * 1000000;
	if (wait > WAIT_MAX_US)
		wait = WAIT_MAX_US;
	until = push.host->now_us() + wait;
	for (o = jobs; o != NULL; o = o->next) {
		if (strcmp(o->key, j->key) == 0 && o->due_us < until)
			o->due_us = until;
	}
}

static void
on_delivered(const struct delivery *d, void *arg)
{
	struct job	*j = arg;
	bool		 is_busy = d->status == 0 || d->status == 429 ||
	    d->status >= 500;

	if (d->is_ok) {
		if (j->note->approval != NULL)
			approval_told(j->note, j->key, j->sub_id);
		job_free(j);
	} else if (is_busy && j->tries < TRIES_MAX) {
		n_open--;
		j->is_open = false;
		hold(j, d);
	} else {
		push.host->log(push.ctx, CHELA_LOG_NOTICE, "push: a message "
		    "was not delivered (%s)", d->error);
		job_free(j);
	}
	queue_run();
}

static void
job_send(struct job *j)
{
	struct json_object	*sub = NULL;
	uint64_t		 rev = 0, now = push.host->now_us();
	struct deliver_opt	 opt = { .topic = j->note->topic };
	const char		*id;
	char			*payload;
	int			 r = -EACCES;

	if (push.host->kv_get(push.ctx, j->key, &sub, &rev) == 0 &&
	    now < j->end_us) {
		id = get_str(sub, "subscriptionId");
		if (id != NULL && strcmp(id, j->sub_id) == 0)
			r = note_check(j->note, sub);
	}
	if (r == -EAGAIN) {
		json_object_put(sub);
		return;
	}
	payload = r == 0 ? note_payload(j->note, sub) : NULL;
	if (payload == NULL) {
		json_object_put(sub);
		job_free(j);
		return;
	}
	opt.ttl_s = (uint32_t)((j->end_us - now) / 1000000) + 1;
	opt.is_urgent = note_is_urgent(j->note);
	j->is_open = true;
	j->tries++;
	n_open++;
	deliver(j->key, sub, rev, payload, strlen(payload), &opt, on_delivered,
	    j);
	json_object_put(sub);
	free(payload);
}

/* The first that is due, from j on. */
static struct job *
job_due(uint64_t now, struct job *j)
{
	while (j != NULL && (j->is_open || j->due_us > now))
		j = j->next;
	return (j);
}

static void
run(int r, void *arg)
{
	struct job	*j, *next;
	uint64_t	 now = push.host->now_us(), first = UINT64_MAX;

	(void)arg;
	is_asking = false;
	if (!is_up)
		return;
	if (r < 0) {
		/* Without a key nothing can be sent. */
		while (jobs != NULL && n_open == 0)
			job_free(jobs);
		return;
	}
	/* A delivery that fails at once comes back here. */
	if (is_running) {
		is_again = true;
		return;
	}
	is_running = true;
	do {
		is_again = false;
		for (j = job_due(now, jobs); j != NULL && n_open < SENDS_MAX &&
		    !is_again; j = next) {
			next = job_due(now, j->next);
			job_send(j);
		}
	} while (is_again);
	is_running = false;
	for (j = jobs; j != NULL; j = j->next) {
		if (!j->is_open && j->due_us > now && j->due_us < first)
			first = j->due_us;
	}
	if (first == UINT64_MAX)
		push.host->timer_stop(timer);
	else
		(void)push.host->timer_set(timer, first - now);
}

void
queue_run(void)
{
	if (!is_up || jobs == NULL || is_asking)
		return;
	is_asking = true;
	vapid_key(run, NULL);
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	queue_run();
}

int
queue_open(void)
{
	jobs = NULL;
	jobs_end = &jobs;
	n_jobs = n_open = 0;
	is_running = is_asking = false;
	warned_us = 0;
	timer = push.host->timer_new(push.ctx, on_timer, NULL);
	is_up = timer != NULL;
	return (is_up ? 0 : -ENOMEM);
}

/* What is being sent ends by deliver_close(), and tells nobody. */
void
queue_close(void)
{
	is_up = false;
	while (jobs != NULL)
		job_free(jobs);
	if (timer != NULL)
		push.host->timer_free(timer);
	timer = NULL;
}
