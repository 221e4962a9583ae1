/* SPDX-License-Identifier: MIT */
/*
 * The event "chat": what agent tells of a run, as chat windows want it. A run
 * gives any number of status and delta, then one final, aborted or error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_priv.h"

static struct json_object *
event_new(const char *run_id, const char *key, uint64_t seq,
    const char *state)
{
	struct json_object	*o = json_object_new_object();
	char			 id[CHELA_SESSION_AGENT_MAX + 1];

	set_str(o, "runId", run_id);
	set_str(o, "sessionKey", key);
	if (chat.sessions->agent_of(key, id) >= 0)
		set_str(o, "agentId", id);
	set_int(o, "seq", (int64_t)seq);
	set_str(o, "state", state);
	return (o);
}

static void
event_send(const char *key, struct json_object *o)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	char			 topic[CHELA_SESSION_KEY_MAX + 16];

	(void)snprintf(topic, sizeof topic, "session:%s", key);
	opt.scoped_topic = topic;
	(void)chat.host->emit(chat.ctx, "chat", o, &opt);
}

static struct json_object *
message_len(const char *role, const char *text, size_t len, uint64_t at_ms)
{
	struct json_object *o, *content, *part;

	part = json_object_new_object();
	set_str(part, "type", "text");
	json_object_object_add(part, "text",
	    json_object_new_string_len(text, (int)len));
	content = json_object_new_array();
	json_object_array_add(content, part);
	o = json_object_new_object();
	set_str(o, "role", role);
	json_object_object_add(o, "content", content);
	set_int(o, "timestamp", (int64_t)at_ms);
	return (o);
}

struct json_object *
text_message(const char *role, const char *text)
{
	return (message_len(role, text, strlen(text), chat.host->wall_ms()));
}

void
emit_final(const char *run_id, const char *key, uint64_t seq,
    struct json_object *message, const char *stop_reason)
{
	struct json_object *o = event_new(run_id, key, seq, "final");

	set_str(o, "stopReason", stop_reason);
	if (message != NULL)
		json_object_object_add(o, "message", message);
	event_send(key, o);
}

void
emit_error(const char *run_id, const char *key, const char *text)
{
	struct json_object *o = event_new(run_id, key, 1, "error");

	set_str(o, "errorMessage", text);
	set_str(o, "errorKind", "unknown");
	event_send(key, o);
}

static void
add_lent(struct json_object *o, const char *name, struct json_object *value)
{
	if (value != NULL)
		json_object_object_add(o, name, json_object_get(value));
}

static void
on_event(const struct chela_agent_event *ev, void *arg)
{
	static const char *const states[] = {
		[CHELA_AGENT_STATUS] = "status",
		[CHELA_AGENT_DELTA] = "delta",
		[CHELA_AGENT_FINAL] = "final",
		[CHELA_AGENT_ABORTED] = "aborted",
		[CHELA_AGENT_ERROR] = "error",
	};
	struct json_object *o;

	(void)arg;
	if (ev->kind >= sizeof states / sizeof states[0] ||
	    states[ev->kind] == NULL)
		return;
	o = event_new(ev->run_id, ev->session_key, ev->seq, states[ev->kind]);
	switch (ev->kind) {
	case CHELA_AGENT_STATUS:
		set_str(o, "phase", ev->text);
		break;
	case CHELA_AGENT_DELTA:
		json_object_object_add(o, "deltaText",
		    json_object_new_string_len(ev->text, (int)ev->text_len));
		json_object_object_add(o, "message", message_len("assistant",
		    ev->all, ev->all_len, ev->timestamp_ms));
		break;
	case CHELA_AGENT_FINAL:
		set_str(o, "stopReason", ev->stop_reason);
		add_lent(o, "usage", ev->usage);
		add_lent(o, "message", ev->message);
		break;
	case CHELA_AGENT_ABORTED:
		set_str(o, "stopReason", ev->stop_reason);
		add_lent(o, "message", ev->message);
		set_str(o, "errorMessage", ev->error);
		break;
	default:
		set_str(o, "errorMessage", ev->error);
		set_str(o, "errorKind", ev->error_kind != NULL ?
		    ev->error_kind : "unknown");
		add_lent(o, "errorDetail", ev->data);
		set_str(o, "stopReason", ev->stop_reason);
		add_lent(o, "message", ev->message);
	}
	event_send(ev->session_key, o);
}

const struct chela_agent_watcher chat_watcher = {
	.struct_size = sizeof chat_watcher,
	.event = on_event,
};
