/* SPDX-License-Identifier: MIT */
/* What the files of plugin commands share. */
#ifndef PLUGINS_COMMANDS_H
#define PLUGINS_COMMANDS_H

#include <stdio.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/commands.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define COMMANDS_LIST_MAX	500	/* entries of one answer */
#define COMMAND_ALIASES_MAX	20
#define COMMAND_TEXT_MAX	200	/* of a name */
#define COMMAND_DESCRIPTION_MAX	2000
#define COMMAND_ARG_TEXT_MAX	500
#define COMPACT_ROWS		400

/*
 * What a command can not do without; without it, it is neither listed nor run.
 */
#define NEED_SESSIONS	0x01u
#define NEED_RUNS	0x02u
#define NEED_MODELS	0x04u
#define NEED_AGENTS	0x08u

struct native {
	struct chela_command	command;
	uint32_t		needs;
};

struct commands {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_command	*added[COMMANDS_LIST_MAX];
	uint32_t			 n_added;
};

extern struct commands commands;

/* commands.c */
const struct chela_sessions_1 *sessions_svc(void);
const struct chela_agent_1 *runs_svc(void);
const struct chela_models_1 *models_svc(void);
const struct chela_agents_1 *agents_svc(void);
/* The n-th command that works now, or NULL: built in, then registered ones. */
const struct chela_command *command_at(uint32_t n, int *ret_native);

/* commands_table.c */
extern const struct native natives[];
extern const uint32_t n_natives;

/* commands_run.c: an answer on its way. */
struct answer;
struct answer *answer_new(const struct chela_command_run *who,
	    chela_command_done_fn *done, void *arg);
FILE	*answer_text(struct answer *a);		/* what goes there is told */
/* Tells this text (static) and nothing else. */
void	answer_instead(struct answer *a, const char *text);
const char *answer_key(const struct answer *a);	/* of the session */
const char *answer_agent(const struct answer *a);
int	answer_forward(struct answer *a, const char *text);
/* Ends it, on a later turn of the loop. Returns 0, for run functions. */
int	answer_end(struct answer *a, int r);
int	who_has(const struct chela_command_run *who, const char *scope);
/* Refuses when the scope is missing; the answer has ended then. */
int	answer_refused(struct answer *a, const struct chela_command_run *who,
	    const char *command, const char *scope);

/* commands_info.c */
typedef int command_run_fn(const struct chela_command_run *who,
	    const char *args, chela_command_done_fn *done, void *arg);
command_run_fn cmd_help, cmd_commands, cmd_status, cmd_whoami, cmd_usage,
	    cmd_agents, cmd_sessions, cmd_models;

/* commands_effect.c */
command_run_fn cmd_new, cmd_reset, cmd_stop, cmd_compact, cmd_model,
	    cmd_think, cmd_name;

#endif
