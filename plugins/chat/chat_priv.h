/* SPDX-License-Identifier: MIT */
/* What the files of plugin chat share. */
#ifndef CHAT_PRIV_H
#define CHAT_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/commands.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define HISTORY_LIMIT		200u
#define HISTORY_LIMIT_MAX	1000u
#define HISTORY_BYTES_MAX	6291456u /* of the rows of one answer */
#define DELTA_ROWS_MAX		200u
#define DELTA_BYTES_MAX		1048576u
#define MESSAGE_CHARS		500000	/* chat.message.get */
#define PENDING_MAX		20u	/* waiting messages that are shown */
#define TURNS_MAX		1000u	/* commands that are remembered */
#define TURN_US			300000000u /* how long a key means the old one */
#define INJECT_MAX		1048576u /* bytes of an injected message */

#define ERR_BAD	 "INVALID_REQUEST"
#define ERR_GONE "UNAVAILABLE"
#define SILENT	 "NO_REPLY"

struct chat {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_sessions_1	*sessions;
	const struct chela_agent_1	*agent;
};

extern struct chat chat;	/* chat.c */

#define LEAF_MAX	95u	/* bytes of a leaf's name */

/* How a call of chat.send ended: a result, or an error. */
struct outcome {
	struct json_object	*result;	/* gives */
	const char		*code;		/* NULL: result holds */
	const char		*reason;	/* details.reason, or NULL */
	char			 message[512];
};

/* chat_send.c */
int	send_now(struct chela_req *req, struct json_object *params,
	    struct outcome *ret);
extern const struct chela_session_runner chat_runner;

/* chat_command.c */
int	command_start(struct chela_req *req, struct json_object *params,
	    const char *key, struct json_object *attachments);
/* 0: no command of that key; 1: running, 2: done, -1: failed, with its text. */
int	command_state(const char *id, const char **ret_error);
void	commands_free(void);
const struct chela_commands_1 *commands_get(void);

/* chat_send.c: what send and commands use to start a run */
int	run_start(struct json_object *params, const char *key,
	    const char *message, struct json_object *attachments,
	    const char **ret_why);

/* chat_event.c */
extern const struct chela_agent_watcher chat_watcher;
void	emit_final(const char *run_id, const char *key, uint64_t seq,
	    struct json_object *message, const char *stop_reason);
void	emit_error(const char *run_id, const char *key, const char *text);
struct json_object *text_message(const char *role, const char *text);

/* chat_inject.c */
struct json_object *injected_row(const char *text);

/* chat_meta.c */
struct json_object *metadata(const char *agent_id);

/* Handlers. */
chela_handler_fn chat_send, chat_abort, chat_inject, chat_history, chat_startup,
    chat_message_get, chat_metadata, chat_tool_titles;

/* chat_util.c */
/*
 * Names the newest row of a session, "" when it has none: what a client that
 * has read this far says with its next message.
 */
void	leaf_name(const char *key, char ret[LEAF_MAX + 1]);
/* The session of a call; false: the outcome says why not. */
bool	call_key(struct json_object *params, char *ret_key,
	    struct outcome *ret);
int	answer(struct chela_req *req, struct outcome *out);
int	outcome_fail(struct outcome *out, const char *code, const char *fmt,
	    ...) CHELA_PRINTF(3, 4);

#endif
