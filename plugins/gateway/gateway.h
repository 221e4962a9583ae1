/* SPDX-License-Identifier: MIT */
/* What the parts of plugin gateway share. */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/lifecycle.h>
#include <chela/services/state.h>

#include "../common/json.h"

#define GW_NAMES_MAX	5	/* calls that a blocker names */

struct gateway {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_lifecycle_1	*life;
	const struct chela_state_1	*state;
};

extern struct gateway	 gw;

/* What is under way. */
struct work {
	uint32_t	 n_requests;
	uint32_t	 n_running;		/* runs of agents */
	uint32_t	 n_waiting;
	uint32_t	 n_names;
	const char	*names[GW_NAMES_MAX];	/* methods of the requests */
};

void	 work_look(struct work *ret);
uint32_t work_total(const struct work *w);
struct json_object *work_blockers(const struct work *w); /* gives; or NULL */

/* Sends o when r is not an error; takes it. */
int	 gw_reply(struct chela_req *req, struct json_object *o, int r);

/* gateway_restart.c */
int	 restart_start(void);
void	 restart_stop(void);
int	 restart_preflight(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 restart_request(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);

/* gateway_suspend.c */
int	 suspend_start(void);
void	 suspend_stop(void);
int	 suspend_prepare(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 suspend_status(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 suspend_handoff(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 suspend_resume(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);

#endif
