/* SPDX-License-Identifier: MIT */
/* What the files of plugin system share. */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>
#include <chela/services/state.h>
#include <chela/services/system.h>

#include "../common/json.h"

#define QUEUE_SESSIONS_MAX	1000	/* that have texts waiting */
#define QUEUE_EVENTS_MAX	20	/* texts of one session */
#define QUEUE_TEXT_MAX		16384	/* bytes of one; more is cut */
#define SYSTEM_KEY_MAX		(CHELA_SESSION_KEY_MAX + 1)

struct system {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_state_1	*state;
	/* Looked up at each use: their plugins come and go. */
	const struct chela_sessions_1	*(*sessions)(void);
	const struct chela_agent_1	*(*agent)(void);
	const struct chela_agents_1	*(*agents)(void);
	const struct chela_models_1	*(*models)(void);
};

extern struct system	 sys;
extern const struct chela_system_1 system_service;

/* system.c */
const char	*sys_str(struct json_object *o, const char *key); /* or NULL */
int		 json_add(struct json_object *o, const char *key,
		    struct json_object *v);	/* takes; v NULL: -ENOMEM */
/* The canonical form of a key (NULL: the main session). -EINVAL. */
int		 sys_key(const char *key, const char *agent_id,
		    char ret_key[SYSTEM_KEY_MAX]);

/* system_queue.c */
/* 1: it equals the newest one that waits. */
int		 queue_add(const char *key, const char *text);
bool		 queue_is_empty(const char *key);
struct json_object *queue_all(void);	/* gives [{sessionKey, ts, text}] */
void		 queue_clear(void);

/* system_event.c */
chela_handler_fn system_event;

/* system_info.c */
chela_handler_fn system_info;

/* system_beat.c */
chela_handler_fn last_heartbeat;
chela_handler_fn set_heartbeats;
int		 beat_start(void);
void		 beat_reload(void);
void		 beat_stop(void);
/* Soon, for this canonical key; several requests become one. */
void		 beat_request(const char *key);

/* system_note.c: the note that a restart left. */
int		 note_start(void);
void		 note_stop(void);

#endif
