/* SPDX-License-Identifier: MIT */
/*
 * Service "system/1", exported by plugin system: texts that wait for the next
 * turn of a session. In memory; 20 a session, the oldest goes first, and a text
 * that equals the one before it is not queued again.
 */
#ifndef CHELA_SERVICES_SYSTEM_H
#define CHELA_SERVICES_SYSTEM_H

#include <chela/plugin.h>

#define CHELA_SYSTEM_SERVICE "system/1"

/*
 * What a heartbeat asks unless agents.defaults.heartbeat.prompt says
 * otherwise.
 */
#define CHELA_HEARTBEAT_ACK	"HEARTBEAT_OK"
#define CHELA_HEARTBEAT_PROMPT \
	"This is a heartbeat. Look at the System lines above and at " \
	"HEARTBEAT.md in your workspace, if there is one, and do what they " \
	"ask for. When nothing needs attention, answer " CHELA_HEARTBEAT_ACK \
	" and nothing else."

struct chela_system_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * Takes what waits for a session (NULL: the main one): gives an array
	 * of {ts, text}, oldest first, empty when there is nothing. An agent's
	 * run puts each before its prompt as a line "System: <text>".
	 */
	int	(*take_events)(const char *session_key,
		    struct json_object **ret_events);
	/*
	 * Queues one. 1: it equals the newest one, which waits already. -EINVAL:
	 * blank; -ENOSPC: too many sessions wait.
	 */
	int	(*add_event)(const char *session_key, const char *text);
	/* The same as take_events() without taking. */
	int	(*peek_events)(const char *session_key,
		    struct json_object **ret_events);
	/* All that wait: gives [{sessionKey, ts, text}], or NULL: no memory. */
	struct json_object *(*all_events)(void);
	/*
	 * Asks for a turn of the session soon (NULL: the main one), as the method
	 * wake does with mode now; several requests become one.
	 */
	int	(*request_turn)(const char *session_key);
};

#endif
