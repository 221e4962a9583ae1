/* SPDX-License-Identifier: MIT */
/*
 * Service "chat/1", exported by plugin chat: tells the clients that show a
 * conversation of a message that no run of theirs made.
 */
#ifndef CHELA_SERVICES_CHAT_H
#define CHELA_SERVICES_CHAT_H

#include <chela/plugin.h>

#define CHELA_CHAT_SERVICE "chat/1"

struct chela_chat_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Sends the event "chat" with state final. The row is in the session
	 * already; message takes {role, content, timestamp, ...}.
	 */
	void	(*final)(const char *session_key, const char *run_id,
		    struct json_object *message);
};

#endif
