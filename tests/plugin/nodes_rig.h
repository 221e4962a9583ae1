/* SPDX-License-Identifier: MIT */
/*
 * What the tests of plugin nodes share: devices and approvals as far as the plugin
 * can tell, and the clients on both sides.
 */
#ifndef TESTS_PLUGIN_NODES_RIG_H
#define TESTS_PLUGIN_NODES_RIG_H

#include <stdlib.h>
#include <string.h>

#include <chela/services/access.h>
#include <chela/services/approvals.h>
#include <chela/services/nodes.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define DEVICES_MAX	24

struct device {
	char			 id[64];
	struct chela_conn	*conn;
	struct json_object	*claims;
	struct json_object	*approved, *pending;
	char			 label[64];
	bool			 is_operator_too;
};

/* Approvals, when a case wants them. */
struct approvals {
	chela_approval_done_fn	*done;
	struct chela_ctx	*ctx;
	void			*arg;
	int			 claim_r;
	unsigned		 n_claims, n_cancels;
	char			 argv[256];
	bool			 is_waiting;
};

extern struct fake	*f;
extern struct approvals	 ap;
extern int		 put_fails;	/* the next surface_put() */

void		 up(void);
void		 up_with(bool has_approvals);
void		 down(void);
struct device	*device_of(const char *id);
/* An event of the core: CHELA_ACCESS_*. */
void		 tell(uint32_t what, const char *id, struct chela_conn *conn);
/* A node connects; commands is a JSON array. */
struct chela_conn *node_up(const char *id, const char *commands);
void		 node_down(const char *id);
struct chela_conn *operator(const char *scopes);
/* The id of what this node asks, "" when it asks nothing. */
const char	*request_of(const char *id);
void		 approve(const char *id);
void		 ap_answer(uint32_t decision);
struct fake_req	*invoke(struct chela_conn *conn, const char *node,
		    const char *command, const char *params);
/* False: the gateway did not want it any more. */
bool		 answer(struct chela_conn *conn, const char *node,
		    const char *id, const char *rest);

#endif
