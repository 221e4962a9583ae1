/* SPDX-License-Identifier: MIT */
/*
 * The methods: agent (two answers to one request), agent.wait,
 * agent.identity.get, and the calls that wait for the end of a run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

/* A model for one run, or what belongs to the gateway itself, needs admin. */
const char *
agent_call_scope(struct chela_ctx *ctx, struct json_object *params)
{
	static const char *const guarded[] = {
		"provider", "model", "extraSystemPrompt", "cwd",
		"suppressPromptPersistence",
	};
	size_t i;

	(void)ctx;
	for (i = 0; i < sizeof guarded / sizeof guarded[0]; i++)
		if (get_any(params, guarded[i]) != NULL)
			return ("admin");
	return (NULL);
}

static void
waiter_free(struct waiter *w)
{
	if (w->timer != NULL)
		agent.host->timer_free(w->timer);
	agent.host->req_unref(w->req);
	free(w->run_id);
	free(w);
}

static void
waiter_unlink(struct waiter *w)
{
	struct waiter **p;

	p = w->run != NULL ? &w->run->waiters : &agent.lost;
	for (; *p != NULL; p = &(*p)->next) {
		if (*p != w)
			continue;
		*p = w->next;
		if (w->run != NULL)
			w->run->n_waiters--;
		else
			agent.n_lost--;
		return;
	}
}

/* Takes the place of waiter_cancel() when the waiter goes first. */
static void
nobody_waits(struct chela_req *req, void *arg)
{
	(void)req;
	(void)arg;
}

/* The client has gone; its run goes on. */
static void
waiter_cancel(struct chela_req *req, void *arg)
{
	struct waiter *w = arg;

	(void)req;
	waiter_unlink(w);
	waiter_free(w);
}

static const char *
state_word(const struct run *run)
{
	return (run->state == CHELA_RUN_DONE ? "ok" : "error");
}

static const char *
run_error(const struct run *run)
{
	if (run->error != NULL)
		return (run->error);
	return (run->abort_reason != NULL ? "the run was aborted" :
	    "the run failed");
}

/* The result of agent: the texts, and what they were made with. */
static struct json_object *
run_result(const struct run *run)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*list, *p, *m, *a;

	list = json_object_new_array();
	if (run->text.len > 0 && strcmp(run->text.s, SILENT) != 0) {
		p = json_object_new_object();
		json_object_object_add(p, "text", json_object_new_string_len(
		    run->text.s, (int)run->text.len));
		json_object_object_add(p, "mediaUrl", NULL);
		json_object_array_add(list, p);
	}
	json_object_object_add(o, "payloads", list);
	m = json_object_new_object();
	set_int(m, "durationMs",
	    (int64_t)((run->ended_us - run->started_us) / 1000));
	set_str(m, "stopReason", run->stop_reason);
	a = json_object_new_object();
	set_str(a, "sessionId", run->session_id);
	if (run->has_ref) {
		set_str(a, "provider", run->ref.provider);
		set_str(a, "model", run->ref.model);
	}
	if (run->usage != NULL)
		json_object_object_add(a, "usage", json_object_get(run->usage));
	json_object_object_add(m, "agentMeta", a);
	json_object_object_add(o, "meta", m);
	set_str(o, "deliveryStatus", run->delivery);
	return (o);
}

static void
answer_final(struct chela_req *req, const struct run *run)
{
	struct chela_error	 extra = { .struct_size = sizeof extra };
	struct json_object	*o = json_object_new_object();

	set_str(o, "runId", run->id);
	set_str(o, "status", state_word(run));
	if (run->state == CHELA_RUN_DONE) {
		set_str(o, "summary", "completed");
		json_object_object_add(o, "result", run_result(run));
		(void)agent.host->req_reply(req, o);
		return;
	}
	set_str(o, "summary", run_error(run));
	set_str(o, "stopReason", run->stop_reason);
	extra.details = o;
	(void)agent.host->req_fail_with(req, ERR_GONE, &extra, "%s",
	    run_error(run));
}

static void
answer_wait(struct chela_req *req, const struct run *run)
{
	struct json_object *o = json_object_new_object(), *reply;

	set_str(o, "runId", run->id);
	set_str(o, "status", state_word(run));
	if (run->started_ms != 0)
		set_int(o, "startedAt", (int64_t)run->started_ms);
	set_int(o, "endedAt", (int64_t)run->ended_ms);
	set_str(o, "stopReason", run->stop_reason);
	if (run->state != CHELA_RUN_DONE) {
		set_str(o, "error", run_error(run));
	} else {
		reply = json_object_new_object();
		set_str(reply, "disposition", run->text.len > 0 &&
		    strcmp(run->text.s, SILENT) != 0 ? "visible" : "silent");
		if (run->text.len > 0)
			json_object_object_add(reply, "text",
			    json_object_new_string_len(run->text.s,
			    (int)run->text.len));
		json_object_object_add(o, "terminalReply", reply);
	}
	(void)agent.host->req_reply(req, o);
}

static int
answer_timeout(struct chela_req *req, const char *run_id)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "runId", run_id);
	set_str(o, "status", "timeout");
	return (agent.host->req_reply(req, o));
}

static bool
is_wait(struct chela_req *req)
{
	return (strcmp(agent.host->req_method(req), "agent.wait") == 0);
}

void
waiters_adopt(struct run *run)
{
	struct waiter **p = &agent.lost, *w;

	while ((w = *p) != NULL) {
		if (strcmp(w->run_id, run->id) != 0) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		agent.n_lost--;
		w->run = run;
		w->next = run->waiters;
		run->waiters = w;
		run->n_waiters++;
	}
}

void
waiters_answer(struct run *run)
{
	struct waiter *w;

	while ((w = run->waiters) != NULL) {
		run->waiters = w->next;
		run->n_waiters--;
		agent.host->req_on_cancel(w->req, nobody_waits, NULL);
		if (is_wait(w->req))
			answer_wait(w->req, run);
		else
			answer_final(w->req, run);
		waiter_free(w);
	}
}

void
waiters_free(void)
{
	struct waiter	*w;
	struct run	*run;

	for (run = agent.first; run != NULL; run = run->next)
		while ((w = run->waiters) != NULL) {
			run->waiters = w->next;
			agent.host->req_on_cancel(w->req, nobody_waits, NULL);
			waiter_free(w);
		}
	while ((w = agent.lost) != NULL) {
		agent.lost = w->next;
		agent.host->req_on_cancel(w->req, nobody_waits, NULL);
		waiter_free(w);
	}
}

static void
wait_over(struct chela_ctx *ctx, void *arg)
{
	struct waiter *w = arg;

	(void)ctx;
	waiter_unlink(w);
	agent.host->req_on_cancel(w->req, nobody_waits, NULL);
	(void)answer_timeout(w->req, w->run_id);
	waiter_free(w);
}

/*
 * Adds a waiter for a run (NULL: one that is not known, until the time is
 * over).
 */
static int
waiter_add(struct run *run, struct chela_req *req, const char *run_id,
    int64_t timeout_ms)
{
	struct waiter *w;

	if (run != NULL ? run->n_waiters >= WAITERS_MAX :
	    agent.n_lost >= LOST_MAX)
		return (-ENOBUFS);
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	w->req = agent.host->req_ref(req);
	w->run_id = strdup(run_id);
	if (timeout_ms >= 0)
		w->timer = agent.host->timer_new(agent.ctx, wait_over, w);
	if (w->run_id == NULL || (timeout_ms >= 0 && (w->timer == NULL ||
	    agent.host->timer_set(w->timer,
	    (uint64_t)timeout_ms * 1000) < 0))) {
		waiter_free(w);
		return (-ENOMEM);
	}
	w->run = run;
	if (run != NULL) {
		w->next = run->waiters;
		run->waiters = w;
		run->n_waiters++;
	} else {
		w->next = agent.lost;
		agent.lost = w;
		agent.n_lost++;
	}
	agent.host->req_on_cancel(req, waiter_cancel, w);
	return (0);
}

int
agent_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*id = get_str(params, "runId");
	int64_t		 ms = get_int(params, "timeoutMs", WAIT_MS);
	struct run	*run = run_find(id);

	(void)ctx;
	if (run != NULL && run->step == STEP_ENDED) {
		answer_wait(req, run);
		return (0);
	}
	if (ms == 0)
		return (answer_timeout(req, id));
	if (ms > WAIT_MS_MAX)
		ms = WAIT_MS_MAX;
	if (waiter_add(run, req, id, ms) < 0)
		return (agent.host->req_fail(req, ERR_GONE,
		    "too many calls wait (at most %u)", WAITERS_MAX));
	return (0);
}

/* The first answer; the second one follows when the run ends. */
static int
answer_accepted(struct chela_req *req, struct run *run)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "runId", run->id);
	set_str(o, "status", "accepted");
	set_str(o, "sessionKey", run->key);
	set_str(o, "agentId", run->agent);
	set_int(o, "acceptedAt", (int64_t)agent.host->wall_ms());
	(void)agent.host->req_interim(req, o);
	if (waiter_add(run, req, run->id, -1) < 0)
		return (agent.host->req_fail(req, ERR_GONE,
		    "too many calls wait (at most %u)", WAITERS_MAX));
	return (0);
}

static int
channel_is(const char *plugin, const void *vtable, void *arg)
{
	(void)plugin;
	return (strcmp(((const struct chela_channel_1 *)vtable)->id, arg) == 0);
}

static bool
channel_known(const char *name)
{
	char copy[64];

	if (name == NULL || *name == '\0' || strcmp(name, "last") == 0 ||
	    strcmp(name, "webchat") == 0)
		return (true);
	if (strlen(name) >= sizeof copy)
		return (false);
	(void)snprintf(copy, sizeof copy, "%s", name);
	return (agent.host->svc_each(agent.ctx, CHELA_CHANNEL_SERVICE,
	    channel_is, copy) != 0);
}

static int
fail_params(struct chela_req *req, const char *fmt, const char *a,
    const char *b)
{
	char text[320];

	/* fmt comes from this file and takes at most two strings. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof text, fmt, a, b);
#pragma GCC diagnostic pop
	(void)agent.host->req_fail(req, ERR_BAD, "invalid agent params: %s",
	    text);
	return (-EINVAL);
}

/* The session that a call means; answers when it can not be. */
static int
call_session(struct chela_req *req, struct json_object *params,
    char *ret_key)
{
	const char	*agent_name = get_str(params, "agentId");
	const char	*key = get_str(params, "sessionKey");
	const char	*id = get_str(params, "sessionId");
	const char	*to = get_str(params, "to");
	const char	*found;
	char		 agent_id[CHELA_SESSION_AGENT_MAX + 1];
	char		 other[CHELA_SESSION_AGENT_MAX + 1] = "";
	char		 made[256];
	int		 r;

	if (agent_name != NULL &&
	    agent.sessions->agent_id(agent_name, agent_id) < 0)
		return (fail_params(req, "unknown agent id \"%s\"", agent_name,
		    NULL));
	if ((key == NULL || *key == '\0') && id != NULL && *id != '\0') {
		found = agent.sessions->find_id(id);
		if (found != NULL)
			key = found;
	}
	if (key != NULL && *key != '\0') {
		r = agent.sessions->canonical(key, agent_name, ret_key);
		if (r == -EXDEV) {
			(void)agent.sessions->canonical(key, NULL, ret_key);
			(void)agent.sessions->agent_of(ret_key, other);
			return (fail_params(req,
			    "agent \"%s\" does not match session key agent \"%s\"",
			    agent_id, other));
		}
		if (r < 0)
			return (fail_params(req, "invalid sessionKey", NULL,
			    NULL));
		return (0);
	}
	if (agent_name == NULL && to != NULL && *to != '\0') {
		(void)snprintf(made, sizeof made, "%.200s", to);
		if (agent.sessions->canonical(made, NULL, ret_key) >= 0)
			return (0);
	}
	return (agent.sessions->main_key(agent_name != NULL ? agent_id : NULL,
	    ret_key));
}

/* label, group members and the like go into the entry. */
static void
call_merge(const char *key, struct json_object *params)
{
	static const char *const same[] = {
		"label", "groupId", "groupChannel",
	};
	struct json_object	*fields = json_object_new_object();
	size_t			 i;

	for (i = 0; i < sizeof same / sizeof same[0]; i++)
		set_str(fields, same[i], get_str(params, same[i]));
	set_str(fields, "space", get_str(params, "groupSpace"));
	if (json_object_object_length(fields) > 0)
		(void)agent.sessions->ensure(key, fields, "run");
	else
		json_object_put(fields);
}

static void
call_route(struct json_object *params, struct chela_agent_start *rq)
{
	static const struct {
		const char	*first;
		const char	*second;
	} names[] = {
		{ "replyChannel", "channel" },
		{ "replyTo", "to" },
		{ "replyAccountId", "accountId" },
		{ "threadId", "threadId" },
	};
	const char	*v[4];
	size_t		 i;

	for (i = 0; i < 4; i++) {
		v[i] = get_str(params, names[i].first);
		if (v[i] == NULL || *v[i] == '\0')
			v[i] = get_str(params, names[i].second);
		if (v[i] != NULL && *v[i] == '\0')
			v[i] = NULL;
	}
	rq->channel = v[0];
	rq->to = v[1];
	rq->account_id = v[2];
	rq->thread_id = v[3];
}

static int
call_start(struct chela_req *req, struct json_object *params,
    const char *key, struct json_object *attachments)
{
	struct chela_agent_start	 rq = { .struct_size = sizeof rq };
	const char			*provider = get_str(params, "provider");
	const char			*model = get_str(params, "model");
	const char			*why = NULL;
	char				 name[512];
	int				 r;

	rq.run_id = get_str(params, "idempotencyKey");
	rq.session_key = key;
	rq.message = get_str(params, "message");
	rq.attachments = attachments;
	rq.thinking = get_str(params, "thinking");
	rq.system = get_str(params, "extraSystemPrompt");
	rq.lane = get_str(params, "lane");
	rq.timeout_us = (uint64_t)get_int(params, "timeout", 0) > 172800 ?
	    TIMEOUT_US_MAX :
	    (uint64_t)get_int(params, "timeout", 0) * 1000000;
	if (model != NULL && provider != NULL) {
		(void)snprintf(name, sizeof name, "%s/%s", provider, model);
		rq.model = name;
	} else {
		rq.model = model;
	}
	call_route(params, &rq);
	if (get_bool(params, "deliver", false))
		rq.flags |= CHELA_AGENT_DELIVER;
	if (get_bool(params, "bestEffortDeliver", false))
		rq.flags |= CHELA_AGENT_BEST_EFFORT;
	if (get_bool(params, "suppressPromptPersistence", false))
		rq.flags |= CHELA_AGENT_NO_PROMPT_ROW;
	r = agent_service.start(&rq, &why);
	if (r == -EINVAL)
		return (agent.host->req_fail(req, ERR_BAD, "%s", why));
	if (r == -ENOBUFS)
		return (agent.host->req_fail(req, ERR_GONE,
		    "too many messages wait in this session (at most %u)",
		    QUEUE_MAX));
	if (r == -ENOSPC)
		return (agent.host->req_fail(req, ERR_GONE,
		    "too many runs or sessions"));
	if (r < 0)
		return (agent.host->req_fail(req, ERR_GONE,
		    "the run could not be started"));
	return (answer_accepted(req, run_find(rq.run_id)));
}

int
agent_call(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*attachments = NULL;
	const char		*why = NULL, *want;
	struct run		*old;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	struct chela_session_info info = { .struct_size = sizeof info };
	int			 r;

	(void)ctx;
	old = run_find(get_str(params, "idempotencyKey"));
	if (old != NULL && old->step != STEP_ENDED)
		return (answer_accepted(req, old));
	if (old != NULL &&
	    old->ended_us + REPEAT_US > agent.host->now_us()) {
		answer_final(req, old);
		return (0);
	}
	if (input_attachments(get_any(params, "attachments"), &attachments,
	    &why) < 0)
		return (agent.host->req_fail(req, ERR_BAD, "%s", why));
	r = 0;
	if (!channel_known(get_str(params, "channel")))
		r = fail_params(req, "unknown channel: %s",
		    get_str(params, "channel"), NULL);
	else if (!channel_known(get_str(params, "replyChannel")))
		r = fail_params(req, "unknown channel: %s",
		    get_str(params, "replyChannel"), NULL);
	if (r == 0)
		r = call_session(req, params, key);
	if (r < 0)
		goto out;
	want = get_str(params, "expectedExistingSessionId");
	if (want != NULL && (agent.sessions->info(key, &info) < 0 ||
	    strcmp(want, info.session_id) != 0)) {
		(void)agent.host->req_fail(req, ERR_BAD,
		    "the session has changed since it was read");
		goto out;
	}
	if (input_policy(key) < 0) {
		(void)agent.host->req_fail(req, ERR_BAD,
		    "send blocked by session policy");
		goto out;
	}
	call_merge(key, params);
	(void)call_start(req, params, key, attachments);
out:
	json_object_put(attachments);
	return (0);
}

/* The agent of a call, configured or not; false: answered. */
static bool
identity_of(struct chela_req *req, struct json_object *params, char *ret_id)
{
	const char	*name = get_str(params, "agentId"), *session;
	char		 text[CHELA_SESSION_KEY_MAX + 1];
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	char		 other[CHELA_SESSION_AGENT_MAX + 1] = "";

	session = get_str(params, "sessionKey");
	if (session != NULL && *session == '\0')
		session = NULL;
	if (name != NULL && snprintf(text, sizeof text, "agent:%s:main",
	    name) >= (int)sizeof text)
		text[0] = '\0';
	if (agent.sessions->canonical(name != NULL ? text : session != NULL ?
	    session : "main", NULL, key) < 0 ||
	    agent.sessions->agent_of(key, ret_id) < 0) {
		(void)agent.host->req_fail(req, ERR_BAD, name != NULL ?
		    "invalid agent id" : "invalid session key");
		return (false);
	}
	if (name == NULL || session == NULL)
		return (true);
	if (agent.sessions->canonical(session, NULL, key) < 0 ||
	    agent.sessions->agent_of(key, other) < 0 ||
	    strcmp(other, ret_id) != 0) {
		(void)agent.host->req_fail(req, ERR_BAD, "agent \"%s\" does "
		    "not match session key agent \"%s\"", ret_id, other);
		return (false);
	}
	return (true);
}

int
agent_identity(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o, *who, *a;
	const char		*name, *s;
	char			 id[CHELA_SESSION_AGENT_MAX + 1];

	(void)ctx;
	if (!identity_of(req, params, id))
		return (0);
	a = agent_conf(id);
	who = get_any(a, "identity");
	name = get_str(who, "name");
	if (name == NULL)
		name = get_str(a, "name");
	o = json_object_new_object();
	set_str(o, "agentId", id);
	set_str(o, "name", name != NULL && *name != '\0' ? name : "Assistant");
	set_str(o, "nameSource", name != NULL && *name != '\0' ? "config" :
	    "default");
	s = get_str(who, "emoji");
	if (s != NULL && *s != '\0')
		set_str(o, "emoji", s);
	s = get_str(who, "avatar");
	if (s != NULL && *s != '\0') {
		set_str(o, "avatar", s);
		set_str(o, "avatarSource", s);
		set_str(o, "avatarStatus", strncmp(s, "data:", 5) == 0 ?
		    "data" : strncmp(s, "http", 4) == 0 ? "remote" : "local");
	} else {
		set_str(o, "avatar", "A");	/* a letter: nothing to load */
	}
	return (agent.host->req_reply(req, o));
}
