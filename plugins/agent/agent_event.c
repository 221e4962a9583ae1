/* SPDX-License-Identifier: MIT */
/*
 * What a run tells: the event "agent" to clients, and the same to watchers
 * (plugin chat makes "chat" events of it). One number counts both: seq.
 *
 * Text is told at once when it is the first, else at most once in a time slot;
 * slots get longer with the text, as each event repeats all of it.
 */
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

static void
emit(struct run *run, const char *stream, struct json_object *data,
    const char *cap)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct json_object	*o = json_object_new_object();
	char			 topic[CHELA_SESSION_KEY_MAX + 16];

	run->seq++;
	set_str(o, "runId", run->id);
	set_int(o, "seq", (int64_t)run->seq);
	set_str(o, "stream", stream);
	set_int(o, "ts", (int64_t)agent.host->wall_ms());
	json_object_object_add(o, "data", data);
	set_str(o, "sessionKey", run->key);
	if (run->session_id[0] != '\0')
		set_str(o, "sessionId", run->session_id);
	set_str(o, "agentId", run->agent);
	set_bool(o, "isHeartbeat", (run->flags & CHELA_AGENT_HEARTBEAT) != 0);
	(void)snprintf(topic, sizeof topic, "session:%s", run->key);
	opt.scoped_topic = topic;
	opt.cap = cap;
	(void)agent.host->emit(agent.ctx, "agent", o, &opt);
}

static void
tell(struct run *run, struct chela_agent_event *ev, uint32_t kind)
{
	uint32_t i;

	ev->struct_size = sizeof *ev;
	ev->kind = kind;
	ev->run_id = run->id;
	ev->session_key = run->key;
	ev->session_id = run->session_id;
	ev->agent_id = run->agent;
	ev->seq = run->seq;
	ev->timestamp_ms = agent.host->wall_ms();
	for (i = 0; i < agent.n_watches; i++)
		agent.watches[i].watcher->event(ev, agent.watches[i].arg);
}

void
event_status(struct run *run, const char *phase)
{
	struct chela_agent_event	 ev = { .text = phase };
	struct json_object		*data = json_object_new_object();

	set_str(data, "phase", phase);
	ev.text_len = strlen(phase);
	emit(run, "run_status", data, NULL);
	tell(run, &ev, CHELA_AGENT_STATUS);
}

void
event_started(struct run *run)
{
	struct chela_agent_event	 ev = { 0 };
	struct json_object		*data = json_object_new_object();

	set_str(data, "phase", "start");
	set_int(data, "startedAt", (int64_t)run->started_ms);
	run->was_announced = true;
	emit(run, "lifecycle", data, NULL);
	tell(run, &ev, CHELA_AGENT_STARTED);
}

/* Tells what has come since the last time. */
void
event_flush(struct run *run)
{
	struct chela_agent_event	 ev = { 0 };
	struct json_object		*data;
	const char			*delta;

	if (run->sent == run->text.len)
		return;
	delta = run->text.s + run->sent;
	data = json_object_new_object();
	json_object_object_add(data, "text", json_object_new_string_len(
	    run->text.s, (int)run->text.len));
	json_object_object_add(data, "delta", json_object_new_string_len(delta,
	    (int)(run->text.len - run->sent)));
	emit(run, "assistant", data, NULL);
	ev.text = delta;
	ev.text_len = run->text.len - run->sent;
	ev.all = run->text.s;
	ev.all_len = run->text.len;
	run->sent = run->text.len;
	tell(run, &ev, CHELA_AGENT_DELTA);
}

static void	flush_fired(struct chela_ctx *ctx, void *arg);

/* Begins a time slot in which nothing more is told. */
static void
slot_begin(struct run *run)
{
	uint64_t slot;

	if (run->flush == NULL)
		run->flush = agent.host->timer_new(agent.ctx, flush_fired,
		    run);
	if (run->flush == NULL)
		return;		/* no timer: each piece is told at once */
	slot = FLUSH_US * (1 + run->text.len / FLUSH_STEP);
	if (slot > FLUSH_US_MAX)
		slot = FLUSH_US_MAX;
	run->flush_is_set = agent.host->timer_set(run->flush, slot) >= 0;
}

static void
flush_fired(struct chela_ctx *ctx, void *arg)
{
	struct run *run = arg;

	(void)ctx;
	run->flush_is_set = false;
	if (run->sent == run->text.len)
		return;
	event_flush(run);
	slot_begin(run);
}

void
event_text(struct run *run)
{
	if (run->flush_is_set)
		return;
	event_flush(run);
	slot_begin(run);
}

/* block: {type: "toolCall", id, name, arguments}. */
void
event_tool(struct run *run, struct json_object *block)
{
	struct chela_agent_event	 ev = { 0 };
	struct json_object		*data = json_object_new_object(), *o;

	set_str(data, "phase", "start");
	set_str(data, "name", get_str(block, "name"));
	set_str(data, "toolCallId", get_str(block, "id"));
	json_object_object_add(data, "args",
	    json_object_get(get_any(block, "arguments")));
	emit(run, "tool", json_object_get(data), "tool-events");
	o = json_object_new_object();
	set_str(o, "runId", run->id);
	set_str(o, "sessionKey", run->key);
	set_str(o, "agentId", run->agent);
	set_int(o, "seq", (int64_t)run->seq);
	set_str(o, "stream", "tool");
	set_int(o, "ts", (int64_t)agent.host->wall_ms());
	json_object_object_add(o, "data", json_object_get(data));
	(void)agent.sessions->tool(run->key, o);
	ev.data = data;
	tell(run, &ev, CHELA_AGENT_TOOL);
	json_object_put(data);
}

void
event_usage(struct run *run)
{
	struct json_object *data;

	if (run->usage == NULL)
		return;
	data = json_object_new_object();
	set_int(data, "outputTokens", get_int(run->usage, "output", 0));
	emit(run, "usage", data, NULL);
}

static bool
is_silent(const struct run *run)
{
	return (run->text.len == 0 || strcmp(run->text.s, SILENT) == 0);
}

/* The message of the events; NULL when there is nothing to show. Gives. */
struct json_object *
run_message(struct run *run, bool is_partial)
{
	struct json_object *o, *content, *part;

	if (run->text.len == 0 || (!is_partial && is_silent(run)))
		return (NULL);
	part = json_object_new_object();
	set_str(part, "type", "text");
	json_object_object_add(part, "text", json_object_new_string_len(
	    run->text.s, (int)run->text.len));
	content = json_object_new_array();
	json_object_array_add(content, part);
	o = json_object_new_object();
	set_str(o, "role", "assistant");
	json_object_object_add(o, "content", content);
	set_int(o, "timestamp", (int64_t)agent.host->wall_ms());
	return (o);
}

static const char *
disposition(const struct run *run)
{
	if (run->state != CHELA_RUN_DONE)
		return ("none");
	return (is_silent(run) ? "silent" : "visible");
}

static struct json_object *
terminal_reply(const struct run *run)
{
	struct json_object *o = json_object_new_object();

	set_str(o, "disposition", disposition(run));
	if (!is_silent(run))
		json_object_object_add(o, "text", json_object_new_string_len(
		    run->text.s, (int)run->text.len));
	return (o);
}

static void
emit_finishing(struct run *run)
{
	struct json_object *data = json_object_new_object();

	set_str(data, "phase", "finishing");
	set_str(data, "stopReason", run->stop_reason);
	set_bool(data, "aborted", run->abort_reason != NULL);
	set_str(data, "livenessState", "finishing");
	emit(run, "lifecycle", data, NULL);
}

static void
emit_end(struct run *run)
{
	struct json_object	*data = json_object_new_object();
	bool			 is_error = run->state == CHELA_RUN_FAILED ||
	    run->state == CHELA_RUN_TIMEOUT;

	set_str(data, "phase", is_error ? "error" : "end");
	if (run->started_ms != 0)
		set_int(data, "startedAt", (int64_t)run->started_ms);
	set_int(data, "endedAt", (int64_t)run->ended_ms);
	set_str(data, "stopReason", run->stop_reason);
	if (is_error)
		set_str(data, "error", run->error != NULL ? run->error :
		    "the run failed");
	if (run->abort_reason != NULL) {
		set_str(data, "status", "cancelled");
		set_bool(data, "aborted", true);
	}
	if (run->state == CHELA_RUN_DONE)
		json_object_object_add(data, "terminalReply",
		    terminal_reply(run));
	set_str(data, "livenessState", run->abort_reason != NULL ?
	    "abandoned" : is_error ? "blocked" : "working");
	set_bool(data, "executionSettled", true);
	emit(run, "lifecycle", data, NULL);
}

/* The one end of a run. The caller has set state, stop_reason and error. */
void
event_ended(struct run *run)
{
	struct chela_agent_event	 ev = { 0 };
	struct json_object		*message;
	uint32_t			 kind = CHELA_AGENT_FINAL;

	if (run->state == CHELA_RUN_DONE)
		emit_finishing(run);
	emit_end(run);
	message = run->row != NULL || run->state == CHELA_RUN_DONE ?
	    run_message(run, run->state != CHELA_RUN_DONE) : NULL;
	ev.message = message;
	ev.usage = run->usage;
	ev.stop_reason = run->stop_reason;
	ev.error = run->error;
	ev.error_kind = run->error_kind;
	ev.data = run->error_detail;
	ev.delivery = run->delivery;
	ev.all = run->text.s != NULL ? run->text.s : "";
	ev.all_len = run->text.len;
	if (run->abort_reason != NULL)
		kind = CHELA_AGENT_ABORTED;
	else if (run->state != CHELA_RUN_DONE)
		kind = CHELA_AGENT_ERROR;
	tell(run, &ev, kind);
	json_object_put(message);
}
