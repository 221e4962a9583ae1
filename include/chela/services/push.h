/* SPDX-License-Identifier: MIT */
/*
 * Service "push/1", exported by plugin push: a message to the browsers of those
 * who want to hear of such things, also when they are not open. What it says is
 * the plugin's own words: no command, question or error leaves the gateway.
 */
#ifndef CHELA_SERVICES_PUSH_H
#define CHELA_SERVICES_PUSH_H

#include <chela/plugin.h>

#define CHELA_PUSH_SERVICE "push/1"

#define CHELA_PUSH_TAG_MAX	256u	/* bytes, without the NUL */

/* What it is about; each browser chooses which it wants. */
#define CHELA_PUSH_APPROVAL	0u
#define CHELA_PUSH_FINISHED	1u	/* a run of an agent */
#define CHELA_PUSH_QUESTION	2u
#define CHELA_PUSH_MENTION	3u
#define CHELA_PUSH_SCHEDULED	4u	/* a scheduled job failed */
#define CHELA_PUSH_BACKGROUND	5u	/* a background task failed */

struct chela_push_note {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 category;	/* CHELA_PUSH_* */
	/* Names the thing: a later message of the same tag takes the place of
	 * this one, the same message twice is one. */
	const char	*tag;
	const char	*agent_id;	/* whose it is, or NULL */
	/* A job's or a task's name, told to those who want details; or NULL. */
	const char	*name;
	const char	*path;		/* in the console: "ask/"; or NULL */
	const char	*path_id;	/* its last part, percent-encoded; or NULL */
};

struct chela_push_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * Copies what it needs. Returns to how many browsers it goes: those of
	 * paired devices that may know of it, want it and are not in their
	 * quiet hours. -EINVAL.
	 */
	int	(*notify)(const struct chela_push_note *note);
};

#endif
