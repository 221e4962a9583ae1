/* SPDX-License-Identifier: MIT */
/*
 * The life of a run. Every step ends in a callback that begins the next one, or
 * ends the run when it was aborted meanwhile. From STEP_STORE on the answer
 * counts: an abort that comes then is too late, so that there is one end and
 * not two.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/system.h>

#include "agent_priv.h"

static void	store_answer(struct run *run);

static void
set_text(char **p, const char *text)
{
	char *s = dup_or_null(text);

	free(*p);
	*p = s;
}

static void
timed_out(struct chela_ctx *ctx, void *arg)
{
	struct run *run = arg;

	(void)ctx;
	if (run->step < STEP_STORE && run->abort_reason == NULL)
		run_abort(run, "timeout");
}

static int
take_system(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_system_1	*sys = vtable;
	struct json_object		*list = NULL;
	struct text			 t = { 0 };
	struct run			*run = arg;
	size_t				 i, n;

	(void)plugin;
	if (sys->take_events(run->key, &list) < 0)
		return (1);
	n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		const char *s;

		s = get_str(json_object_array_get_idx(list, i), "text");
		if (s == NULL)
			continue;
		if (text_add(&t, "System: ", 8) < 0 ||
		    text_add(&t, s, strlen(s)) < 0 ||
		    text_add(&t, "\n", 1) < 0)
			break;
	}
	json_object_put(list);
	run->events = t.s;
	return (1);
}

/* The row of the message as history shows it: images without their bytes. */
static struct json_object *
user_row(struct run *run)
{
	struct json_object	*row, *content = json_object_new_array(), *o;
	size_t			 i, n;

	if (run->attachments == NULL) {
		row = json_object_new_object();
		set_str(row, "role", "user");
		set_str(row, "content", run->message);
		json_object_put(content);
		return (row);
	}
	if (*run->message != '\0') {
		o = json_object_new_object();
		set_str(o, "type", "text");
		set_str(o, "text", run->message);
		json_object_array_add(content, o);
	}
	n = json_object_array_length(run->attachments);
	for (i = 0; i < n; i++) {
		struct json_object *a =
		    json_object_array_get_idx(run->attachments, i);

		o = json_object_new_object();
		set_str(o, "type", "image");
		set_str(o, "mimeType", get_str(a, "mimeType"));
		set_str(o, "fileName", get_str(a, "fileName"));
		set_int(o, "bytes", get_int(a, "sizeBytes", 0));
		set_bool(o, "omitted", true);
		json_object_array_add(content, o);
	}
	row = json_object_new_object();
	set_str(row, "role", "user");
	json_object_object_add(row, "content", content);
	return (row);
}

static void
user_stored(int r, uint64_t seq, const char *id, void *arg)
{
	struct run *run = arg;

	(void)seq;
	(void)id;
	if (run->step == STEP_USER) {
		if (run->abort_reason != NULL) {
			store_answer(run);
		} else if (r < 0) {
			run_fail(run, "unknown",
			    "The message could not be stored.");
		} else {
			(void)agent.sessions->run_state(run->key, run->id,
			    CHELA_RUN_RUNNING, "start", NULL);
			event_started(run);
			event_status(run, "starting_model");
			run->step = STEP_HISTORY;
			model_history(run);
		}
	}
	run_unref(run);
}

static void
remember_route(struct run *run)
{
	struct json_object *fields;

	if (run->channel == NULL)
		return;
	fields = json_object_new_object();
	set_str(fields, "lastChannel", run->channel);
	set_str(fields, "lastTo", run->to);
	set_str(fields, "lastAccountId", run->account_id);
	set_str(fields, "lastThreadId", run->thread_id);
	(void)agent.sessions->ensure(run->key, fields, NULL);
}

static void
store_user(struct run *run)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = run->key,
		.run_id = run->id,
		.reply_to_id = run->reply_to_id,
	};
	char	 once[CHELA_RUN_ID_MAX + 8];
	int	 r;

	(void)snprintf(once, sizeof once, "%s:user", run->id);
	in.idempotency_key = once;
	in.row = user_row(run);
	set_str(in.row, "idempotencyKey", once);
	run->refs++;
	r = agent.sessions->append(&in, user_stored, run);
	if (r < 0) {
		run_unref(run);
		run_fail(run, "unknown", "The message could not be stored.");
	}
}

void
run_begin(struct run *run)
{
	struct chela_session_info info = { .struct_size = sizeof info };

	run->step = STEP_USER;
	run->state = CHELA_RUN_RUNNING;
	run->started_ms = agent.host->wall_ms();
	run->started_us = agent.host->now_us();
	run->timer = agent.host->timer_new(agent.ctx, timed_out, run);
	if (run->timer == NULL ||
	    agent.host->timer_set(run->timer, run->timeout_us) < 0) {
		run_fail(run, "unknown", "Out of memory.");
		return;
	}
	/* It may have been deleted while this run waited. */
	if (agent.sessions->ensure(run->key, NULL, "run") < 0 ||
	    agent.sessions->info(run->key, &info) < 0) {
		run_fail(run, "unknown", "The session could not be made.");
		return;
	}
	(void)snprintf(run->session_id, sizeof run->session_id, "%s",
	    info.session_id);
	event_status(run, "preparing_workspace");
	event_status(run, "preparing_context");
	remember_route(run);
	(void)agent.host->svc_each(agent.ctx, CHELA_SYSTEM_SERVICE,
	    take_system, run);
	if ((run->flags & CHELA_AGENT_NO_PROMPT_ROW) == 0) {
		store_user(run);
		return;
	}
	run->refs++;
	user_stored(0, 0, "", run);
}

/*
 * Marks the run; the end follows when what it waits for has come. A model may
 * take its time to let go, so the run does not wait for that.
 */
void
run_abort(struct run *run, const char *reason)
{
	set_text(&run->abort_reason, reason);
	if (run->abort_reason == NULL)
		return;
	switch (run->step) {
	case STEP_WAIT:
		store_answer(run);
		break;
	case STEP_MODEL:
		model_cancel(run);
		store_answer(run);
		break;
	default:
		/* user_stored() and the reader of the history look. */
		break;
	}
}

void
run_fail(struct run *run, const char *kind, const char *fmt, ...)
{
	char	*text = NULL;
	va_list	 ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	free(run->error);
	run->error = text;
	run->error_kind = kind;
	store_answer(run);
}

/* How a model's failure is told. */
static const struct {
	const char	*kind;		/* errorKind */
	const char	*failure;	/* providerRuntimeFailureKind */
	const char	*usual;		/* when the driver has no words */
} failures[] = {
	[CHELA_MODEL_OK] = { "unknown", "unknown", "The model failed." },
	[CHELA_MODEL_ABORTED] = { "unknown", "aborted",
	    "The call of the model was cancelled." },
	[CHELA_MODEL_TIMEOUT] = { "timeout", "timeout",
	    "The model did not answer in time." },
	[CHELA_MODEL_AUTH] = { "unknown", "auth",
	    "The model's provider refused the credentials." },
	[CHELA_MODEL_RATE_LIMIT] = { "rate_limit", "rate_limit",
	    "The model's provider is rate limiting." },
	[CHELA_MODEL_BILLING] = { "unknown", "billing",
	    "The model's provider wants payment." },
	[CHELA_MODEL_CONTEXT] = { "context_length", "context_length",
	    "The conversation is too long for the model." },
	[CHELA_MODEL_REFUSAL] = { "refusal", "refusal",
	    "The model's provider refused the content." },
	[CHELA_MODEL_NETWORK] = { "unknown", "network",
	    "The model's provider could not be reached." },
	[CHELA_MODEL_FORMAT] = { "unknown", "format",
	    "The model's provider sent an answer that is not understood." },
	[CHELA_MODEL_CONFIG] = { "unknown", "config",
	    "The model is not configured." },
	[CHELA_MODEL_UPSTREAM] = { "unknown", "upstream",
	    "The model's provider failed." },
};

static void
detail_str(struct json_object *o, const char *name, const char *value)
{
	size_t n;

	if (value == NULL)
		return;
	n = strlen(value);
	if (n > 300) {
		n = 300;
		while (n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80)
			n--;
	}
	json_object_object_add(o, name,
	    json_object_new_string_len(value, (int)n));
}

static void
model_failed(struct run *run, const struct chela_model_result *res)
{
	uint32_t		 status = res->status;
	struct json_object	*o = json_object_new_object();

	if (status >= sizeof failures / sizeof failures[0])
		status = CHELA_MODEL_UPSTREAM;
	detail_str(o, "provider", run->ref.provider);
	detail_str(o, "model", run->ref.model);
	detail_str(o, "providerRuntimeFailureKind", failures[status].failure);
	detail_str(o, "providerErrorMessagePreview", res->message);
	if (res->http_status >= 100 && res->http_status <= 599)
		set_int(o, "httpStatus", res->http_status);
	run->error_detail = o;
	run_fail(run, failures[status].kind, "%s", res->message != NULL &&
	    *res->message != '\0' ? res->message : failures[status].usual);
}

/* A tool that nobody offered: said in the answer, so that it is not silent. */
static void
note_tools(struct run *run)
{
	struct json_object *first = json_object_array_get_idx(run->tools, 0);
	char	 note[256];
	int	 n;

	n = snprintf(note, sizeof note,
	    "%s[The model asked for the tool \"%.64s\". This gateway offers no tools, so the turn ends here.]",
	    run->text.len > 0 ? "\n\n" : "", get_str(first, "name"));
	if (n > 0 && text_add(&run->text, note, (size_t)n) == 0)
		event_flush(run);
}

/* How much the model takes: what lists show beside the tokens that are used. */
static void
remember_window(struct run *run)
{
	struct json_object *fields;

	if (run->ref.context_window == 0)
		return;
	fields = json_object_new_object();
	set_int(fields, "contextTokens", run->ref.context_window);
	(void)agent.sessions->ensure(run->key, fields, NULL);
}

void
run_model_done(struct run *run, const struct chela_model_result *res)
{
	if (run->step != STEP_MODEL)
		return;		/* aborted: it has its end already */
	run->response_id = dup_or_null(res->response_id);
	remember_window(run);
	if (res->has_usage)
		run->usage = model_usage(run, &res->usage);
	if (run->is_cut) {
		set_text(&run->stop_reason, "length");
	} else if (res->status != CHELA_MODEL_OK) {
		model_failed(run, res);
		return;
	} else {
		set_text(&run->stop_reason, res->stop_reason != NULL ?
		    res->stop_reason : "stop");
	}
	if (run->tools != NULL) {
		set_text(&run->stop_reason, "toolUse");
		note_tools(run);
	}
	store_answer(run);
}

static struct json_object *
usage_zero(void)
{
	static const char *const names[] = {
		"input", "output", "cacheRead", "cacheWrite", "totalTokens",
	};
	struct json_object	*o = json_object_new_object();
	size_t			 i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		set_int(o, names[i], 0);
	return (o);
}

static void
add_block(struct json_object *content, const char *type, const char *member,
    const struct text *t)
{
	struct json_object *o;

	if (t->len == 0)
		return;
	o = json_object_new_object();
	set_str(o, "type", type);
	json_object_object_add(o, member,
	    json_object_new_string_len(t->s, (int)t->len));
	json_object_array_add(content, o);
}

static struct json_object *
answer_row(struct run *run)
{
	struct json_object	*row = json_object_new_object(), *o;
	struct json_object	*content = json_object_new_array();
	size_t			 i, n;

	set_str(row, "role", "assistant");
	add_block(content, "thinking", "thinking", &run->thought);
	add_block(content, "text", "text", &run->text);
	n = run->tools != NULL ? json_object_array_length(run->tools) : 0;
	for (i = 0; i < n; i++)
		json_object_array_add(content, json_object_get(
		    json_object_array_get_idx(run->tools, i)));
	json_object_object_add(row, "content", content);
	if (run->has_ref) {
		set_str(row, "api",
		    get_str(run->ref.provider_conf, "api"));
		set_str(row, "provider", run->ref.provider);
		set_str(row, "model", run->ref.model);
	}
	json_object_object_add(row, "usage", run->usage != NULL ?
	    json_object_get(run->usage) : usage_zero());
	set_str(row, "responseId", run->response_id);
	if (run->abort_reason != NULL) {
		set_str(row, "stopReason", "stop");
		o = json_object_new_object();
		set_bool(o, "aborted", true);
		set_str(o, "origin", strcmp(run->abort_reason, "stop") == 0 ?
		    "stop-command" : run->abort_reason);
		set_str(o, "runId", run->id);
		json_object_object_add(row, "openclawAbort", o);
	} else if (run->error != NULL) {
		set_str(row, "stopReason", "error");
		set_str(row, "errorMessage", run->error);
	} else {
		set_str(row, "stopReason", run->stop_reason);
	}
	return (row);
}

static void
settle_state(struct run *run)
{
	if (run->abort_reason != NULL) {
		run->state = CHELA_RUN_KILLED;
		set_text(&run->stop_reason, run->abort_reason);
		if (strcmp(run->abort_reason, "timeout") == 0) {
			run->state = CHELA_RUN_TIMEOUT;
			set_text(&run->error, "The run took too long.");
		}
	} else if (run->error != NULL) {
		run->state = CHELA_RUN_FAILED;
		set_text(&run->stop_reason, "error");
	} else {
		run->state = CHELA_RUN_DONE;
	}
}

static void
answer_stored(int r, uint64_t seq, const char *id, void *arg)
{
	struct run *run = arg;

	(void)seq;
	(void)id;
	if (run->step == STEP_STORE) {
		if (r < 0 && run->abort_reason == NULL && run->error == NULL) {
			set_text(&run->error,
			    "The answer could not be stored.");
			run->error_kind = "unknown";
			settle_state(run);
		}
		if (run->state == CHELA_RUN_DONE &&
		    (run->flags & CHELA_AGENT_DELIVER) != 0) {
			run->step = STEP_DELIVER;
			deliver_answer(run);
		} else {
			run_end(run);
		}
	}
	run_unref(run);
}

/*
 * The answer, whole or partial, goes into the transcript; then the end is told.
 * What was aborted before its first word leaves no row.
 */
static void
store_answer(struct run *run)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = run->key,
		.run_id = run->id,
	};
	bool	 waited = run->step == STEP_WAIT;
	int	 r;

	if (run->flush != NULL)
		agent.host->timer_stop(run->flush);
	run->flush_is_set = false;
	event_flush(run);
	if (run->abort_reason == NULL && run->error == NULL)
		event_usage(run);
	settle_state(run);
	if (waited) {
		run_end(run);
		return;
	}
	run->step = STEP_STORE;
	if (run->abort_reason != NULL && run->text.len == 0) {
		run_end(run);
		return;
	}
	in.row = answer_row(run);
	run->row = json_object_get(in.row);
	if (agent.is_stopping) {	/* no callback comes any more */
		(void)agent.sessions->append(&in, NULL, NULL);
		run_end(run);
		return;
	}
	run->refs++;
	r = agent.sessions->append(&in, answer_stored, run);
	if (r < 0) {
		json_object_put(run->row);
		run->row = NULL;
		answer_stored(r, 0, "", run);
	}
}

/* For a run that was aborted while it waited for something. */
void
run_settle(struct run *run)
{
	store_answer(run);
}

/* Ends the runs whose messages this one answered, in the same way. */
static void
end_followers(struct run *run)
{
	struct run *other, *next;

	for (other = agent.first; other != NULL; other = next) {
		next = other->next;
		if (other->leader != run)
			continue;
		set_text(&other->stop_reason, run->stop_reason);
		set_text(&other->error, run->error);
		set_text(&other->abort_reason, run->abort_reason);
		other->error_kind = run->error_kind;
		other->started_ms = run->started_ms;
		other->started_us = run->started_us;
		other->state = run->state;
		memcpy(other->session_id, run->session_id,
		    sizeof other->session_id);
		run_end(other);
		next = agent.first;	/* watchers may have changed it */
	}
}

/* A leader that was aborted while waiting takes its followers with it. */
void
run_end(struct run *run)
{
	if (run->timer != NULL)
		agent.host->timer_stop(run->timer);
	run->ended_ms = agent.host->wall_ms();
	run->ended_us = agent.host->now_us();
	(void)agent.sessions->run_state(run->key, run->id, run->state, "end",
	    run->error);
	run->refs++;
	event_ended(run);
	waiters_answer(run);
	queue_ended(run);
	end_followers(run);
	run_unref(run);
}
