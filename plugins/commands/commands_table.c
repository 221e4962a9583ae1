/* SPDX-License-Identifier: MIT */
/* The built-in commands, in the order in which they are listed. */
#include "commands.h"

#define ARGS(t) \
	.args = (t), .n_args = sizeof(t) / sizeof((t)[0]), \
	.arg_size = sizeof((t)[0])
#define HEAD .struct_size = sizeof(struct chela_command)

static const char *const levels[] = { "off", "minimal", "low", "medium",
    "high", NULL };
static const char *const think_aliases[] = { "thinking", "t", NULL };
static const char *const whoami_aliases[] = { "id", NULL };
static const char *const stop_aliases[] = { "abort", NULL };

static const struct chela_command_arg new_args[] = {
	{
		.name = "message",
		.description = "The first message of the new conversation",
		.type = "string",
	},
};
static const struct chela_command_arg compact_args[] = {
	{
		.name = "keep",
		.description = "How many of the last messages stay",
		.type = "number",
	},
};
static const struct chela_command_arg model_args[] = {
	{
		.name = "model",
		.description = "provider/model, an alias, or default",
		.type = "string",
		.dynamic = 1,
	},
};
static const struct chela_command_arg models_args[] = {
	{
		.name = "provider",
		.description = "Only the models of this provider",
		.type = "string",
		.dynamic = 1,
	},
};
static const struct chela_command_arg think_args[] = {
	{
		.name = "level",
		.description = "How much the model thinks",
		.type = "string",
		.choices = levels,
	},
};
static const struct chela_command_arg name_args[] = {
	{
		.name = "name",
		.description = "The new name",
		.type = "string",
		.required = 1,
	},
};

const struct native natives[] = {
	{
		.command = {
			HEAD,
			.name = "help",
			.description = "Show what can be done here.",
			.category = "status",
			.scope = "read",
			.run = cmd_help,
		},
	},
	{
		.command = {
			HEAD,
			.name = "commands",
			.description = "List all commands.",
			.category = "status",
			.scope = "read",
			.run = cmd_commands,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.name = "status",
			.description = "Show the state of this conversation.",
			.category = "status",
			.scope = "read",
			.run = cmd_status,
		},
	},
	{
		.command = {
			HEAD,
			.name = "whoami",
			.aliases = whoami_aliases,
			.description = "Show who you are to the gateway.",
			.category = "status",
			.scope = "read",
			.run = cmd_whoami,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.name = "usage",
			.description = "Show the tokens that were used.",
			.category = "status",
			.scope = "read",
			.run = cmd_usage,
		},
	},
	{
		.needs = NEED_AGENTS,
		.command = {
			HEAD,
			.name = "agents",
			.description = "List the agents.",
			.category = "management",
			.scope = "read",
			.run = cmd_agents,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.name = "sessions",
			.description = "List the latest conversations.",
			.category = "session",
			.scope = "read",
			.run = cmd_sessions,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "new",
			.description = "Start the conversation anew.",
			.category = "session",
			.scope = "write",
			ARGS(new_args),
			.run = cmd_new,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "reset",
			.description = "Forget the conversation so far.",
			.category = "session",
			.scope = "write",
			ARGS(new_args),
			.run = cmd_reset,
		},
	},
	{
		.needs = NEED_SESSIONS | NEED_RUNS,
		.command = {
			HEAD,
			.name = "stop",
			.aliases = stop_aliases,
			.description = "Stop the answer that is being made.",
			.category = "session",
			.scope = "write",
			.run = cmd_stop,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "compact",
			.description = "Drop the older messages of this conversation.",
			.category = "session",
			.scope = "write",
			ARGS(compact_args),
			.run = cmd_compact,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "name",
			.description = "Name this conversation.",
			.category = "session",
			.scope = "write",
			ARGS(name_args),
			.run = cmd_name,
		},
	},
	{
		.needs = NEED_SESSIONS | NEED_MODELS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "model",
			.description = "Show or choose the model of this conversation.",
			.category = "options",
			.scope = "read",
			ARGS(model_args),
			.run = cmd_model,
		},
	},
	{
		.needs = NEED_MODELS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "models",
			.description = "List the models.",
			.category = "options",
			.scope = "read",
			ARGS(models_args),
			.run = cmd_models,
		},
	},
	{
		.needs = NEED_SESSIONS,
		.command = {
			HEAD,
			.flags = CHELA_COMMAND_ARGS,
			.name = "think",
			.aliases = think_aliases,
			.description = "Show or choose how much the model thinks.",
			.category = "options",
			.scope = "read",
			ARGS(think_args),
			.run = cmd_think,
		},
	},
};

const uint32_t n_natives = sizeof natives / sizeof natives[0];
