/* SPDX-License-Identifier: MIT */
/*
 * Which runs there are and which may run: one a session, and so many in all as
 * the configuration says. The list of active runs is the order in which they
 * came.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

static char why[256];

static int
cmp_id(const void *a, const void *b)
{
	return (strcmp(((const struct run *)a)->id,
	    ((const struct run *)b)->id));
}

struct run *
run_find(const char *id)
{
	struct run	 want, **p;
	char		*copy = strdup(id);

	if (copy == NULL)
		return (NULL);
	want.id = copy;
	p = tfind(&want, &agent.by_id, cmp_id);
	free(copy);
	return (p != NULL ? *p : NULL);
}

static void
run_free(struct run *run)
{
	if (run->timer != NULL)
		agent.host->timer_free(run->timer);
	if (run->flush != NULL)
		agent.host->timer_free(run->flush);
	if (run->has_ref) {
		json_object_put(run->ref.provider_conf);
		json_object_put(run->ref.model_conf);
	}
	json_object_put(run->attachments);
	json_object_put(run->tools);
	json_object_put(run->usage);
	json_object_put(run->row);
	json_object_put(run->error_detail);
	text_free(&run->text);
	text_free(&run->thought);
	free(run->id);
	free(run->key);
	free(run->message);
	free(run->model_name);
	free(run->thinking);
	free(run->system);
	free(run->events);
	free(run->channel);
	free(run->to);
	free(run->account_id);
	free(run->thread_id);
	free(run->reply_to_id);
	free(run->response_id);
	free(run->abort_reason);
	free(run->stop_reason);
	free(run->error);
	run->magic = 0;
	free(run);
}

void
run_unref(struct run *run)
{
	if (--run->refs == 0 && run->is_forgotten)
		run_free(run);
}

static void
list_add(struct run **first, struct run **last, struct run *run)
{
	run->prev = *last;
	run->next = NULL;
	if (*last != NULL)
		(*last)->next = run;
	else
		*first = run;
	*last = run;
}

static void
list_remove(struct run **first, struct run **last, struct run *run)
{
	if (run->prev != NULL)
		run->prev->next = run->next;
	else
		*first = run->next;
	if (run->next != NULL)
		run->next->prev = run->prev;
	else
		*last = run->prev;
	run->prev = run->next = NULL;
}

/* An ended run is no longer known. */
static void
run_forget(struct run *run)
{
	list_remove(&agent.ended_first, &agent.ended_last, run);
	agent.n_ended--;
	(void)tdelete(run, &agent.by_id, cmp_id);
	run->is_forgotten = true;
	run->refs++;
	run_unref(run);
}

void
queue_sweep(void)
{
	uint64_t now = agent.host->now_us();

	while (agent.ended_first != NULL && (agent.n_ended > ENDED_MAX ||
	    agent.ended_first->ended_us + ENDED_US <= now))
		run_forget(agent.ended_first);
}

void
queue_ended(struct run *run)
{
	if (run->step != STEP_WAIT && run->leader == NULL)
		agent.n_running--;
	list_remove(&agent.first, &agent.last, run);
	agent.n_active--;
	run->step = STEP_ENDED;
	list_add(&agent.ended_first, &agent.ended_last, run);
	agent.n_ended++;
	if (run->text.len > KEPT_TEXT_MAX) {
		run->text.len = KEPT_TEXT_MAX;
		while (run->text.len > 0 && ((unsigned char)
		    run->text.s[run->text.len] & 0xc0) == 0x80)
			run->text.len--;
		run->text.s[run->text.len] = '\0';
	}
	json_object_put(run->attachments);
	run->attachments = NULL;
	text_free(&run->thought);
	if (agent.n_ended > ENDED_MAX)
		run_forget(agent.ended_first);
	queue_schedule();
}

static struct run *
running_of(const char *key)
{
	struct run *run;

	for (run = agent.first; run != NULL; run = run->next)
		if (run->step != STEP_WAIT && strcmp(run->key, key) == 0)
			return (run);
	return (NULL);
}

static uint32_t
concurrent_max(void)
{
	int64_t n = conf_int("agents.defaults.maxConcurrent", CONCURRENT);

	if (n < 1)
		return (1);
	return (n > CONCURRENT_MAX ? CONCURRENT_MAX : (uint32_t)n);
}

static void
schedule_now(struct chela_ctx *ctx, void *arg)
{
	struct run	*run, *next;
	uint32_t	 max = concurrent_max();

	(void)ctx;
	(void)arg;
	agent.is_scheduled = false;
	for (run = agent.first; run != NULL && !agent.is_stopping; run = next) {
		next = run->next;
		if (run->step != STEP_WAIT || run->leader != NULL)
			continue;
		if (agent.n_running >= max)
			break;
		if (running_of(run->key) != NULL)
			continue;
		agent.n_running++;
		run_begin(run);
		/* run_begin() may end runs: the list is new. */
		next = agent.first;
	}
}

/*
 * Starts what may start, on the next turn: the answer to the caller goes first.
 */
void
queue_schedule(void)
{
	if (agent.is_scheduled || agent.is_stopping)
		return;
	if (agent.host->post(agent.ctx, schedule_now, NULL) >= 0)
		agent.is_scheduled = true;
}

static uint32_t
mode_of(const char *key, uint32_t mode)
{
	static const char *const names[] = {
		[CHELA_QUEUE_STEER] = "steer",
		[CHELA_QUEUE_FOLLOWUP] = "followup",
		[CHELA_QUEUE_COLLECT] = "collect",
		[CHELA_QUEUE_INTERRUPT] = "interrupt",
	};
	struct json_object	*entry = NULL;
	const char		*name;
	uint32_t		 i;

	if (mode != CHELA_QUEUE_DEFAULT)
		return (mode);
	(void)agent.sessions->get(key, &entry);
	name = get_str(entry, "queueMode");
	if (name == NULL)
		name = conf_str("messages.queue.mode");
	mode = CHELA_QUEUE_FOLLOWUP;
	for (i = CHELA_QUEUE_STEER; name != NULL &&
	    i <= CHELA_QUEUE_INTERRUPT; i++)
		if (strcmp(names[i], name) == 0)
			mode = i;
	json_object_put(entry);
	return (mode);
}

/* Copies a request; NULL when the memory fails. */
static struct run *
run_new(const struct chela_agent_start *rq, const char *key)
{
	struct run	*run = calloc(1, sizeof *run);
	int64_t		 seconds;

	if (run == NULL)
		return (NULL);
	run->magic = RUN_MAGIC;
	run->flags = rq->flags;
	run->state = CHELA_RUN_QUEUED;
	run->accepted_ms = agent.host->wall_ms();
	run->id = strdup(rq->run_id);
	run->key = strdup(key);
	run->message = strdup(rq->message != NULL ? rq->message : "");
	run->model_name = dup_or_null(rq->model);
	run->thinking = dup_or_null(rq->thinking);
	run->system = dup_or_null(rq->system);
	run->channel = dup_or_null(rq->channel);
	run->to = dup_or_null(rq->to);
	run->account_id = dup_or_null(rq->account_id);
	run->thread_id = dup_or_null(rq->thread_id);
	if (rq->struct_size >= sizeof *rq) {
		run->reply_to_id = dup_or_null(rq->reply_to_id);
		run->input = rq->input;
	}
	run->attachments = json_object_get(rq->attachments);
	run->timeout_us = rq->timeout_us;
	if (run->timeout_us == 0) {
		seconds = conf_int("agents.defaults.timeoutSeconds", 0);
		run->timeout_us = seconds > 0 ? (uint64_t)seconds * 1000000 :
		    TIMEOUT_US;
	}
	if (run->timeout_us > TIMEOUT_US_MAX)
		run->timeout_us = TIMEOUT_US_MAX;
	if (run->id == NULL || run->key == NULL || run->message == NULL ||
	    agent.sessions->agent_of(key, run->agent) < 0) {
		run_free(run);
		return (NULL);
	}
	return (run);
}

/* Joins a waiting run that collects: both end together. */
static struct run *
collect_leader(const char *key)
{
	struct run *run;

	for (run = agent.first; run != NULL; run = run->next)
		if (run->step == STEP_WAIT && run->leader == NULL &&
		    run->queue_mode == CHELA_QUEUE_COLLECT &&
		    strcmp(run->key, key) == 0)
			return (run);
	return (NULL);
}

static int
collect_join(struct run *leader, const char *message)
{
	char *all = NULL;

	if (strlen(leader->message) + strlen(message) + 2 > MESSAGE_MAX)
		return (-ENOBUFS);
	if (asprintf(&all, "%s\n\n%s", leader->message, message) < 0)
		return (-ENOMEM);
	free(leader->message);
	leader->message = all;
	return (0);
}

static int
start_check(const struct chela_agent_start *rq, char *ret_key,
    const char **ret_why)
{
	struct run	*old;
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	char		 known[CHELA_SESSION_AGENT_MAX + 1];
	int		 r;

	*ret_why = why;
	why[0] = '\0';
	if (rq->run_id == NULL || *rq->run_id == '\0' ||
	    strlen(rq->run_id) > CHELA_RUN_ID_MAX) {
		(void)snprintf(why, sizeof why,
		    "idempotencyKey must have 1 to %u bytes",
		    CHELA_RUN_ID_MAX);
		return (-EINVAL);
	}
	if ((rq->message != NULL && strlen(rq->message) > MESSAGE_MAX) ||
	    (rq->system != NULL && strlen(rq->system) > SYSTEM_MAX)) {
		(void)snprintf(why, sizeof why,
		    "the message is too long (at most %u bytes)", MESSAGE_MAX);
		return (-EINVAL);
	}
	r = agent.sessions->canonical(rq->session_key, NULL, ret_key);
	if (r < 0) {
		(void)snprintf(why, sizeof why, "invalid session key");
		return (-EINVAL);
	}
	old = run_find(rq->run_id);
	if (old != NULL && (old->step != STEP_ENDED || old->refs > 0 ||
	    old->ended_us + REPEAT_US > agent.host->now_us()))
		return (-EALREADY);
	if (agent.sessions->agent_of(ret_key, id) == 0 &&
	    agent.sessions->agent_id(id, known) < 0) {
		(void)snprintf(why, sizeof why,
		    "Agent \"%s\" no longer exists in configuration", id);
		return (-EINVAL);
	}
	if (old != NULL)
		run_forget(old);
	return (0);
}

int
queue_start(const struct chela_agent_start *rq, const char **ret_why)
{
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct run	*run, *leader = NULL, *other;
	uint32_t	 waiting = 0, mode;
	bool		 busy;
	int		 r;

	r = start_check(rq, key, ret_why);
	if (r < 0)
		return (r);
	if (agent.is_stopping)
		return (-ESHUTDOWN);
	if (agent.n_active >= RUNS_MAX)
		return (-ENOSPC);
	for (other = agent.first; other != NULL; other = other->next)
		waiting += other->step == STEP_WAIT &&
		    strcmp(other->key, key) == 0;
	busy = waiting > 0 || running_of(key) != NULL;
	mode = mode_of(key, rq->queue_mode);
	if (busy && mode == CHELA_QUEUE_INTERRUPT) {
		(void)queue_abort_session(key, "interrupt", NULL);
		waiting = 0;
	}
	if (waiting >= QUEUE_MAX)
		return (-ENOBUFS);
	/* Made before the run can be announced: "too many" is an answer. */
	r = agent.sessions->ensure(key, NULL, "run");
	if (r < 0)
		return (r);
	run = run_new(rq, key);
	if (run == NULL)
		return (-ENOMEM);
	run->queue_mode = mode;
	if ((rq->flags & CHELA_AGENT_DELIVER) != 0) {
		r = deliver_check(run, ret_why);
		if (r < 0) {
			run_free(run);
			return (r);
		}
	}
	if (busy && mode == CHELA_QUEUE_COLLECT && rq->attachments == NULL)
		leader = collect_leader(key);
	if (leader != NULL && collect_join(leader, run->message) == 0)
		run->leader = leader;
	if (tsearch(run, &agent.by_id, cmp_id) == NULL) {
		run_free(run);
		return (-ENOMEM);
	}
	list_add(&agent.first, &agent.last, run);
	agent.n_active++;
	waiters_adopt(run);
	(void)agent.sessions->run_state(key, run->id, CHELA_RUN_QUEUED,
	    busy ? "queued" : NULL, NULL);
	queue_schedule();
	return (busy ? 1 : 0);
}

int
queue_abort(const char *run_id, const char *reason)
{
	struct run *run = run_find(run_id);

	if (run == NULL)
		return (-ENOENT);
	if (run->step >= STEP_STORE || run->abort_reason != NULL)
		return (0);
	run_abort(run, reason);
	return (1);
}

int
queue_abort_session(const char *key, const char *reason,
    struct json_object **ret_ids)
{
	char			 canon[CHELA_SESSION_KEY_MAX + 1];
	struct json_object	*ids = json_object_new_array();
	struct run		*run, **all;
	uint32_t		 i, n = 0;

	/* An abort may end other runs and so change the list. */
	all = calloc(agent.n_active + 1, sizeof *all);
	if (all != NULL && agent.sessions->canonical(key, NULL, canon) >= 0)
		for (run = agent.first; run != NULL; run = run->next)
			if (strcmp(run->key, canon) == 0 &&
			    run->step < STEP_STORE &&
			    run->abort_reason == NULL) {
				run->refs++;
				all[n++] = run;
			}
	for (i = 0; i < n; i++) {
		json_object_array_add(ids, json_object_new_string(all[i]->id));
		if (all[i]->step < STEP_STORE && all[i]->abort_reason == NULL)
			run_abort(all[i], reason);
	}
	for (i = 0; i < n; i++)
		run_unref(all[i]);
	free(all);
	if (ret_ids != NULL)
		*ret_ids = ids;
	else
		json_object_put(ids);
	return ((int)n);
}

void
run_describe(const struct run *run, struct chela_agent_run *ret_run)
{
	struct chela_agent_run	o = { 0 };
	size_t			size = ret_run->struct_size;

	o.struct_size = ret_run->struct_size;
	o.state = run->state;
	o.run_id = run->id;
	o.session_key = run->key;
	o.agent_id = run->agent;
	o.started_at_ms = run->started_ms;
	o.ended_at_ms = run->ended_ms;
	o.stop_reason = run->stop_reason;
	o.error = run->error;
	o.text = run->text.s != NULL ? run->text.s : "";
	o.message = run->message;
	o.accepted_at_ms = run->accepted_ms;
	o.input = run->input;
	o.ended_at_us = run->ended_us;
	memcpy(ret_run, &o, size < sizeof o ? size : sizeof o);
}

int
queue_each(const char *key, int (*cb)(const struct chela_agent_run *run,
    void *arg), void *arg)
{
	struct chela_agent_run	 o = { .struct_size = sizeof o };
	char			 canon[CHELA_SESSION_KEY_MAX + 1];
	struct run		*run, *next;
	int			 waiting, r = 0;

	if (key != NULL && agent.sessions->canonical(key, NULL, canon) < 0)
		return (0);
	for (waiting = 0; waiting < 2; waiting++)
		for (run = agent.first; run != NULL && r == 0; run = next) {
			next = run->next;
			if ((run->step == STEP_WAIT) != (waiting == 1) ||
			    (key != NULL && strcmp(run->key, canon) != 0))
				continue;
			run_describe(run, &o);
			r = cb(&o, arg);
		}
	return (r);
}

void
queue_free(void)
{
	struct run *run;

	while ((run = agent.first) != NULL) {
		list_remove(&agent.first, &agent.last, run);
		(void)tdelete(run, &agent.by_id, cmp_id);
		run_free(run);
	}
	while ((run = agent.ended_first) != NULL) {
		list_remove(&agent.ended_first, &agent.ended_last, run);
		(void)tdelete(run, &agent.by_id, cmp_id);
		run_free(run);
	}
}
