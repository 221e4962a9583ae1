/* SPDX-License-Identifier: MIT */
/* What the files of chela-node share. */
#ifndef CLIENT_CHELA_NODE_H
#define CLIENT_CHELA_NODE_H

#include <json-c/json.h>

#include <chela/client.h>

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/base/loop.h"

#define NODE_RUNS_MAX		8u	/* children at one time */
#define NODE_OUTPUT_MAX		200000u	/* bytes of a child that are kept */
#define NODE_TIMEOUT_MS		30000	/* of a child, when nothing is said */
#define NODE_TIMEOUT_MAX_MS	3600000
#define NODE_GRACE_US		SEC_US(2)	/* from SIGTERM to SIGKILL */
#define NODE_ARGS_MAX		1024u
#define NODE_ARG_BYTES		KIB(256)
#define NODE_BINS_MAX		64u	/* names in one system.which */
#define NODE_ENTRIES_MAX	5000u	/* of one folder */
#define NODE_POLICY_MAX		KIB(256) /* bytes of the document */
#define NODE_NOTICE_MAX		2000u	/* bytes of a notice to the user */

enum node_exec {
	NODE_EXEC_FULL,		/* what the gateway sends was approved there */
	NODE_EXEC_ALLOWLIST,	/* and it has to be allowed here, or approved
				   with a plan that this node prepared */
	NODE_EXEC_DENY,
};

struct node {
	struct loop		*loop;
	struct chela_client	*client;
	const char		*state_dir;
	const char		*allow_env;	/* names with commas, or NULL */
	enum node_exec		 exec;
	struct list		 runs;
	unsigned		 n_runs;
};

/* One invocation; everything is lent until it was answered. */
struct invoke {
	struct node		*node;
	const char		*id;
	const char		*command;
	struct json_object	*params;	/* an object, or NULL */
	int64_t			 timeout_ms;
};

/* --- chela_node.c --- */
/* Answers. Takes payload. */
void	 node_answer(struct node *n, const char *id,
	    struct json_object *payload);
void	 node_refuse(struct node *n, const char *id, const char *code,
	    const char *fmt, ...) printf_like(4, 5);
/* Tells the gateway of something. Takes payload. */
void	 node_tell(struct node *n, const char *event,
	    struct json_object *payload);
void	 node_log(const char *fmt, ...) printf_like(1, 2);

/* --- chela_node_cmd.c --- */
extern const char *const node_commands[];	/* ends in NULL */
void	 node_invoked(const struct invoke *in);
struct json_object *node_stats(void);		/* gives */

/* --- chela_node_run.c --- */
void	 node_run(const struct invoke *in);
void	 node_run_prepare(const struct invoke *in);
void	 node_notify(const struct invoke *in);
void	 node_run_cancel(struct node *n, const char *id);
void	 node_runs_end(struct node *n);		/* all of them, at once */

/* --- chela_node_policy.c --- */
/*
 * 0: this program may run, -EACCES: it may not; *ret_why is a sentence. path is
 * absolute; is_approved: people said yes to this very plan.
 */
int	 node_policy(const struct node *n, const char *path, bool is_approved,
	    const char **ret_why);
void	 node_policy_get(const struct invoke *in);
void	 node_policy_set(const struct invoke *in);

#endif
