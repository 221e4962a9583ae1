/* SPDX-License-Identifier: MIT */
/*
 * Service "agents/1": who the agents are, exported by plugin agents. The
 * configuration is the source of truth; without any there is the agent "main".
 */
#ifndef CHELA_SERVICES_AGENTS_H
#define CHELA_SERVICES_AGENTS_H

#include <chela/plugin.h>

#define CHELA_AGENTS_SERVICE	"agents/1"

#define CHELA_AGENT_ID_MAX	64	/* characters of an id, without NUL */

/* What is known of one agent. */
struct chela_agent_info {
	uint32_t	struct_size;	/* set by the caller */
	uint32_t	is_default;	/* 0 or 1 */
	char		id[CHELA_AGENT_ID_MAX + 1];
	char		name[255];	/* for people; "" when not given */
	char		model[384];	/* reference; "" when it uses the default */
	char		workspace[4096]; /* absolute path; may not exist yet */
};

struct chela_agents_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* The agent of a call that names none; lent until the next turn. */
	const char *(*default_id)(void);
	/* The last part of a main session's key: "main" unless configured. */
	const char *(*main_key)(void);
	/* 1 when this exact id is an agent, else 0. */
	int	(*exists)(const char *id);
	/* NULL: the default agent. -ENOENT when there is no such agent. */
	int	(*info)(const char *id, struct chela_agent_info *ret_info);
	/*
	 * The id for a name: lower case, everything but letters, digits, "_"
	 * and "-" becomes "-". -EINVAL when nothing is left.
	 */
	int	(*normalise)(const char *name,
		    char ret_id[CHELA_AGENT_ID_MAX + 1]);
	/* All ids: the default one first, the rest sorted. Nonzero stops. */
	int	(*each)(int (*cb)(const char *id, void *arg), void *arg);
	/*
	 * Its part of the configuration, wherever that is written; lent until
	 * the next reload, NULL when there is none.
	 */
	struct json_object *(*conf)(const char *id);
};

#endif
