/* SPDX-License-Identifier: MIT */
/*
 * Plugin chat: what a chat window needs. Messages in, events and history out;
 * the runs themselves are those of plugin agent.
 */
#include <errno.h>
#include <string.h>

#include <chela/services/chat.h>

#include "chat_priv.h"

struct chat chat;

static void
service_final(const char *session_key, const char *run_id,
    struct json_object *message)
{
	emit_final(run_id, session_key, 0, message, "stop");
}

static const struct chela_chat_1 chat_service = {
	.struct_size = sizeof chat_service,
	.final = service_final,
};

static int
chat_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&chat, 0, sizeof chat);
	chat.ctx = ctx;
	chat.host = host;
	return (host->svc_export(ctx, CHELA_CHAT_SERVICE, &chat_service));
}

static int
chat_start(struct chela_ctx *ctx)
{
	chat.sessions = chat.host->svc_import(ctx, CHELA_SESSIONS_SERVICE);
	chat.agent = chat.host->svc_import(ctx, CHELA_AGENT_SERVICE);
	if (chat.sessions == NULL || chat.agent == NULL)
		return (-ENOENT);
	chat.sessions->set_runner(&chat_runner);
	return (chat.agent->watch(&chat_watcher, NULL));
}

/* Models or commands may be others now. */
static int
chat_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	(void)conf;
	(void)chat.host->emit(ctx, "chat.metadata.changed",
	    json_object_new_object(), NULL);
	return (0);
}

/*
 * stop() of agent comes after this one and ends the runs; their last events
 * still go out, so the watcher stays until fini().
 */
static void
chat_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	chat.sessions->set_runner(NULL);
}

static void
chat_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	if (chat.agent != NULL)
		chat.agent->unwatch(&chat_watcher, NULL);
	commands_free();
}

#define METHOD(n, h, s) \
	{ .name = (n), .handler = (h), .roles = CHELA_ROLE_OPERATOR, \
	  .scope = (s) }

static const struct chela_method methods[] = {
	METHOD("chat.history", chat_history, "read"),
	METHOD("chat.startup", chat_startup, "read"),
	METHOD("chat.metadata", chat_metadata, "read"),
	METHOD("chat.message.get", chat_message_get, "read"),
	METHOD("chat.abort", chat_abort, "write"),
	{ .name = "chat.inject", .handler = chat_inject,
	  .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	  .flags = CHELA_METHOD_HIDDEN },
	METHOD("chat.toolTitles", chat_tool_titles, "write"),
	{
		.name = "chat.send",
		.handler = chat_send,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT,
		.scope = "write",
	},
};

static const struct chela_event events[] = {
	{
		.name = "chat",
		.scope = "read",
		.roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE,
		.flags = CHELA_EVENT_SCOPED,
	},
	{
		.name = "chat.metadata.changed",
		.scope = "read",
	},
};

static const struct chela_dep deps[] = {
	{ .name = "sessions" },
	{ .name = "agent" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("chat"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Messages, history and the events of chat windows",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = chat_init,
	.start = chat_start,
	.reload = chat_reload,
	.stop = chat_stop,
	.fini = chat_fini,
};
