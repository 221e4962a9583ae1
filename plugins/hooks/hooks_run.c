/* SPDX-License-Identifier: MIT */
/*
 * Runs that hooks asked for. Those of one session begin one after the other,
 * and not while another run is in it; one that has not begun in time is given
 * up. A run that came with an idempotency key is remembered for a while, so
 * that the same request finds it.
 */
#include "hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hooks_wrap.h"

static const char	 late[] = "the hook's run did not begin in time";
static const char	 unprepared[] = "the hook's run could not be prepared";

static struct run		*first;		/* oldest; counted, as all */
static unsigned			 n_active;	/* not ended */
static unsigned			 n_ended;	/* remembered */
static size_t			 n_bytes;	/* of their texts */
static bool			 is_posted;
static const struct chela_agent_1 *watched;

static void
message_free(struct run *run)
{
	size_t	 len = run->message != NULL ? strlen(run->message) : 0;

	run->n_bytes -= len;
	n_bytes -= len;
	free(run->message);
	run->message = NULL;
}

/* What only a run that has not ended needs: a memory of it is small. */
static void
texts_drop(struct run *run)
{
	char	**const all[] = { &run->key, &run->agent_id, &run->name,
		&run->channel, &run->to, &run->account_id, &run->model,
		&run->thinking };
	size_t	 i;

	message_free(run);
	n_bytes -= run->n_bytes;
	run->n_bytes = 0;
	for (i = 0; i < sizeof all / sizeof all[0]; i++) {
		free(*all[i]);
		*all[i] = NULL;
	}
}

static void
run_free(struct run *run)
{
	if (run->timer != NULL)
		hooks.host->timer_free(run->timer);
	json_object_put(run->completion);
	free(run->why);
	texts_drop(run);
	free(run);
}

void
run_unref(struct run *run)
{
	if (run != NULL && --run->refs == 0)
		run_free(run);
}

static bool
is_over(const struct run *run)
{
	return (run->state == RUN_ENDED || run->state == RUN_REFUSED);
}

static void
unlink_run(struct run **link)
{
	struct run	*run = *link;

	*link = run->next;
	run->next = NULL;
	if (is_over(run))
		n_ended--;
	else
		n_active--;
	run_unref(run);
}

/* Forgets what is too old, and the oldest when there are too many. */
static void
prune(void)
{
	uint64_t	 now = hooks.host->now_us();
	struct run	**link = &first;

	while (*link != NULL) {
		if (is_over(*link) && (!(*link)->has_replay ||
		    (*link)->state == RUN_REFUSED ||
		    (*link)->ended_us + HOOKS_REPLAY_US <= now ||
		    n_ended > HOOKS_REPLAY_MAX))
			unlink_run(link);
		else
			link = &(*link)->next;
	}
}

static void	advance_soon(void);

static void
run_over(struct run *run, enum run_state state)
{
	run->state = state;
	run->ended_us = hooks.host->now_us();
	n_active--;
	n_ended++;
	if (run->timer != NULL)
		hooks.host->timer_free(run->timer);
	run->timer = NULL;
	texts_drop(run);
	run->refs++;
	prune();
	ingress_changed();
	run_unref(run);
	advance_soon();
}

static void
run_refuse(struct run *run, uint32_t status, const char *error)
{
	run->status = status;
	run->error = error;
	hooks.host->log(hooks.ctx, CHELA_LOG_WARNING, "hook '%s': %s",
	    run->name, error);
	run_over(run, RUN_REFUSED);
}

/* A line for the agent's main session about how it went. */
static void
announce(const struct run *run, const char *status, const char *summary)
{
	const struct chela_system_1	*system;
	const struct chela_sessions_1	*sessions;
	char				 key[CHELA_SESSION_KEY_MAX + 1];
	char				*text = NULL;

	system = hooks_service(CHELA_SYSTEM_SERVICE);
	sessions = hooks_service(CHELA_SESSIONS_SERVICE);
	if (system == NULL || sessions == NULL ||
	    sessions->main_key(run->agent_id, key) < 0)
		return;
	if (summary == NULL || is_blank(summary))
		summary = status;
	if (asprintf(&text, strcmp(status, "ok") == 0 ? "Hook %s%s: %s" :
	    "Hook %s (%s): %s", run->name, strcmp(status, "ok") == 0 ? "" :
	    status, summary) < 0)
		return;
	if (system->add_event(key, text) >= 0 && run->wakes_now)
		(void)system->request_turn(key);
	free(text);
}

static const char *
disposition(const struct chela_agent_event *ev)
{
	if (ev->all == NULL || is_blank(ev->all))
		return ("empty");
	return (strcmp(ev->all, "NO_REPLY") == 0 ? "silent" : "visible");
}

static void
run_end(struct run *run, const struct chela_agent_event *ev)
{
	bool			 is_ok = ev->kind == CHELA_AGENT_FINAL;
	const char		*status = is_ok ? "ok" : "error", *shown;
	bool			 was_sent = false, was_tried = false;
	struct json_object	*c = json_object_new_object();

	shown = is_ok ? disposition(ev) : "empty";
	(void)obj_add_str(c, "status", status);
	(void)obj_add_str(c, "replyDisposition", shown);
	if (ev->delivery != NULL) {
		was_sent = strcmp(ev->delivery, "sent") == 0;
		was_tried = was_sent || strcmp(ev->delivery, "failed") == 0;
		(void)obj_add(c, "delivered",
		    json_object_new_boolean(was_sent));
		(void)obj_add(c, "deliveryAttempted",
		    json_object_new_boolean(was_tried));
		if (was_tried && !was_sent)
			(void)obj_add_str(c, "deliveryError",
			    "delivery-failed");
		if (!was_tried)
			(void)obj_add_str(c, "deliverySuppressionReason",
			    strcmp(shown, "silent") == 0 ? "silent" : "empty");
	}
	run->completion = c;
	hooks.host->log(hooks.ctx, is_ok ? CHELA_LOG_INFO :
	    CHELA_LOG_WARNING, "hook '%s': run %s ended (%s)", run->name,
	    run->id, is_ok ? "ok" : ev->error != NULL ? ev->error :
	    "aborted");
	if (!is_ok)
		announce(run, status, ev->error);
	else if (run->is_delivered && !was_sent && !was_tried &&
	    strcmp(shown, "silent") != 0)
		announce(run, status, ev->all);
	run_over(run, RUN_ENDED);
}

static void
on_event(const struct chela_agent_event *ev, void *arg)
{
	struct run	*run;

	(void)arg;
	if (ev->kind != CHELA_AGENT_STARTED && ev->kind < CHELA_AGENT_FINAL)
		return;
	for (run = first; run != NULL; run = run->next) {
		if (!is_over(run) && run->state != RUN_WAITS &&
		    strcmp(run->id, ev->run_id) == 0)
			break;
	}
	if (run != NULL && ev->kind == CHELA_AGENT_STARTED) {
		run->state = RUN_BEGUN;
		if (run->timer != NULL)
			hooks.host->timer_stop(run->timer);
		ingress_changed();
	} else if (run != NULL && run->state == RUN_ASKED) {
		announce(run, "error", ev->error);
		run_refuse(run, 502, unprepared);
	} else if (run != NULL) {
		run_end(run, ev);
	} else {
		/* Somebody else's: its session may be free now. */
		advance_soon();
	}
}

static const struct chela_agent_watcher watcher = {
	.struct_size = sizeof watcher,
	.event = on_event,
};

static int
count_run(const struct chela_agent_run *run, void *arg)
{
	(void)run;
	(void)arg;
	return (1);
}

static bool
is_session_free(const struct run *run, const struct chela_agent_1 *agent)
{
	const struct run	*other;

	for (other = first; other != run; other = other->next) {
		if (!is_over(other) && strcmp(other->key, run->key) == 0)
			return (false);
	}
	return (agent->each(run->key, count_run, NULL) == 0);
}

/* An isolated run begins its session anew, but never a main session. */
static void
begin_anew(const struct run *run, const struct chela_sessions_1 *sessions)
{
	struct chela_session_info	 info = { .struct_size = sizeof info };

	if (run->is_persistent || sessions->info(run->key, &info) < 0 ||
	    info.is_main || info.last_seq == 0)
		return;
	(void)sessions->reset(run->key, "new", NULL, NULL);
}

static void
run_begin(struct run *run, const struct chela_agent_1 *agent)
{
	struct chela_agent_start	 rq = { .struct_size = sizeof rq };
	const struct chela_sessions_1	*sessions;
	const char			*why = NULL;
	int				 r;

	sessions = hooks_service(CHELA_SESSIONS_SERVICE);
	if (sessions == NULL) {
		run_refuse(run, 502, unprepared);
		return;
	}
	begin_anew(run, sessions);
	rq.run_id = run->id;
	rq.session_key = run->key;
	rq.message = run->message;
	rq.model = run->model;
	rq.thinking = run->thinking;
	rq.timeout_us = (uint64_t)run->timeout_s * 1000000;
	if (run->channel != NULL) {
		rq.flags = CHELA_AGENT_DELIVER | CHELA_AGENT_BEST_EFFORT;
		rq.channel = run->channel;
		rq.to = run->to;
		rq.account_id = run->account_id;
	}
	run->state = RUN_ASKED;
	r = agent->start(&rq, &why);
	if (r >= 0) {
		message_free(run);
		return;
	}
	if (r == -EINVAL && why != NULL && *why != '\0') {
		run->why = strdup(why);
		hooks.host->log(hooks.ctx, CHELA_LOG_WARNING,
		    "hook '%s': refused by the agent (%s)", run->name, why);
	}
	announce(run, "error", run->why);
	run_refuse(run, r == -ENOBUFS || r == -ENOSPC || r == -ESHUTDOWN ?
	    503 : 502, unprepared);
}

static void
advance(struct chela_ctx *ctx, void *arg)
{
	const struct chela_agent_1	*agent;
	struct run			*run, *next;

	(void)ctx;
	(void)arg;
	is_posted = false;
	agent = hooks_service(CHELA_AGENT_SERVICE);
	if (hooks.is_stopping)
		return;
	if (agent != NULL && watched != agent) {
		if (agent->watch(&watcher, NULL) < 0)
			agent = NULL;
		watched = agent;
	}
	for (run = first; run != NULL; run = next) {
		next = run->next;
		if (run->state != RUN_WAITS)
			continue;
		if (agent == NULL)
			run_refuse(run, 503, unprepared);
		else if (is_session_free(run, agent))
			run_begin(run, agent);
		else
			continue;
		next = first;		/* the list may have changed */
	}
}

/* On a later turn: the agent has then forgotten the run that ended. */
static void
advance_soon(void)
{
	const struct run	*run;

	if (is_posted || hooks.is_stopping)
		return;
	for (run = first; run != NULL && run->state != RUN_WAITS;
	    run = run->next)
		;
	if (run != NULL && hooks.host->post(hooks.ctx, advance, NULL) >= 0)
		is_posted = true;
}

static void
too_late(struct chela_ctx *ctx, void *arg)
{
	struct run	*run = arg;
	bool		 was_asked = run->state == RUN_ASKED;

	(void)ctx;
	if (run->state != RUN_WAITS && !was_asked)
		return;
	run->refs++;
	run_refuse(run, 503, late);
	if (was_asked && watched != NULL)
		(void)watched->abort(run->id, "timeout");
	run_unref(run);
}

static int
copy(char **ret, const char *s)
{
	*ret = s != NULL ? strdup(s) : NULL;
	return (s != NULL && *ret == NULL ? -ENOMEM : 0);
}

/* What the model gets to see. */
static char *
message_of(const struct hook_run *what)
{
	char	 uuid[37], id[WRAP_ID_LEN + 1];
	size_t	 i, n = 0;

	if (what->is_raw)
		return (strdup(what->message));
	hooks.host->uuid(uuid);
	/* The last groups are random to the bit but for two. */
	for (i = 0; uuid[i] != '\0' && n < WRAP_ID_LEN; i++) {
		if (uuid[i] != '-' && i != 14 && i != 19)
			id[n++] = uuid[i];
	}
	id[n] = '\0';
	return (wrap_external(what->message, "Webhook", what->name, id));
}

/* A name for logs and lines: one line, no control characters. */
static char *
plain_name(const char *s)
{
	char	*out = malloc(HOOKS_NAME_MAX + 1);
	size_t	 n = 0;

	if (out == NULL)
		return (NULL);
	for (; *s != '\0' && n < HOOKS_NAME_MAX; s++)
		out[n++] = (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s;
	while (n > 0 && *s != '\0' && ((unsigned char)*s & 0xc0) == 0x80)
		s = &out[--n];
	out[n] = '\0';
	return (out);
}

static size_t
len_of(const char *s)
{
	return (s != NULL ? strlen(s) : 0);
}

/* Of what may be long, but for the message. */
static size_t
texts_len(const struct hook_run *what)
{
	return (len_of(what->to) + len_of(what->account_id) +
	    len_of(what->model) + len_of(what->thinking));
}

int
run_new(const struct hook_run *what, const unsigned char *replay,
    struct run **ret_run)
{
	struct run	*run, **link;

	/* The envelopes add a little: the sum may be above. */
	if (n_active >= HOOKS_RUNS_MAX || n_bytes >= HOOKS_TEXTS_MAX ||
	    strlen(what->message) + texts_len(what) >
	    HOOKS_TEXTS_MAX - n_bytes)
		return (-EBUSY);
	run = calloc(1, sizeof *run);
	if (run == NULL)
		return (-ENOMEM);
	hooks.host->uuid(run->id);
	run->timeout_s = what->timeout_s;
	run->is_persistent = what->is_persistent;
	run->is_delivered = what->is_delivered;
	run->wakes_now = what->wakes_now;
	run->message = message_of(what);
	run->n_bytes = len_of(run->message) + texts_len(what);
	n_bytes += run->n_bytes;
	run->name = plain_name(what->name);
	if (run->message == NULL || run->name == NULL ||
	    copy(&run->key, what->session_key) < 0 ||
	    copy(&run->agent_id, what->agent_id) < 0 ||
	    copy(&run->channel, what->channel) < 0 ||
	    copy(&run->to, what->to) < 0 ||
	    copy(&run->account_id, what->account_id) < 0 ||
	    copy(&run->model, what->model) < 0 ||
	    copy(&run->thinking, what->thinking) < 0)
		goto fail;
	if (!what->is_batch) {
		run->timer = hooks.host->timer_new(hooks.ctx, too_late, run);
		if (run->timer == NULL || hooks.host->timer_set(run->timer,
		    HOOKS_ADMIT_US) < 0)
			goto fail;
	}
	if (replay != NULL) {
		memcpy(run->replay, replay, HOOKS_DIGEST);
		run->has_replay = true;
	}
	run->is_new = true;
	run->refs = 2;		/* the list's and the caller's */
	for (link = &first; *link != NULL; link = &(*link)->next)
		;
	*link = run;
	n_active++;
	*ret_run = run;
	advance_soon();
	return (0);
fail:
	run_free(run);
	return (-ENOMEM);
}

void
run_keep(struct run *run)
{
	run->is_new = false;
}

void
run_drop(struct run *run)
{
	struct run	**link;

	if (!run->is_new)
		return;
	for (link = &first; *link != run; link = &(*link)->next)
		;
	unlink_run(link);
	run->is_new = false;
}

/* A run that never began is no answer: the same request tries again. */
struct run *
run_replayed(const unsigned char replay[HOOKS_DIGEST])
{
	struct run	*run;

	prune();
	for (run = first; run != NULL; run = run->next) {
		if (run->has_replay && run->state != RUN_REFUSED &&
		    memcmp(run->replay, replay, HOOKS_DIGEST) == 0) {
			run->refs++;
			return (run);
		}
	}
	return (NULL);
}

void
runs_stop(void)
{
	if (watched != NULL && watched == hooks_service(CHELA_AGENT_SERVICE))
		watched->unwatch(&watcher, NULL);
	watched = NULL;
	while (first != NULL)
		unlink_run(&first);
	n_active = n_ended = 0;
	is_posted = false;
}
