/* SPDX-License-Identifier: MIT */
/* What the files of plugin health share. */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agents.h>
#include <chela/services/channel.h>
#include <chela/services/config.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>
#include <chela/services/state.h>
#include <chela/services/system.h>

#include "../common/json.h"

#define HEALTH_RECENT		5	/* sessions that are named */
#define HEALTH_STATUS_RECENT	10
#define HEALTH_SESSIONS_MAX	100000	/* that are counted */

struct health {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_state_1	*state;
	const struct chela_config_1	*config;	/* or NULL */
};

extern struct health	 hl;

/* health.c; the first service of a name that is there now, or NULL. */
const void	*hl_service(const char *name);

/* health_refresh.c */
chela_handler_fn health_get;
int		 refresh_start(void);
void		 refresh_stop(void);

/* health_summary.c: everything but the channels, into o. */
int		 summary_fill(struct json_object *o);
/* Gives {path, count, recent[]} of one agent, or of all (NULL). */
struct json_object *summary_sessions(const char *agent_id, unsigned n_recent);
/* Gives [{agentId, isDefault, heartbeat, sessions}]. */
struct json_object *summary_agents(unsigned n_recent);
const char	*summary_default_agent(void);	/* lent until the next turn */

/* health_status.c */
chela_handler_fn health_status;

#endif
