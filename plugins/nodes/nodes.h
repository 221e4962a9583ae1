/* SPDX-License-Identifier: MIT */
/* What the files of plugin nodes share. */
#ifndef NODES_H
#define NODES_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/access.h>
#include <chela/services/nodes.h>

#define NODES_MAX		10000	/* known at one time */
#define NODES_COMMANDS_MAX	256	/* declared by one; more are dropped */
#define NODES_CAPS_MAX		64
#define NODES_NAME_MAX		128	/* bytes of a command or capability */
#define NODES_PERMISSIONS_MAX	64
#define NODES_TOOLS_MAX		256	/* published by one */
#define NODES_CATALOGUES_MAX	((size_t)64 << 20) /* bytes, of all nodes */
#define NODES_CALLS_MAX		1024	/* open invocations, all nodes */
#define NODES_CALLS_OF_ONE	64	/* of one node */
#define NODES_QUEUE_MAX		16	/* what waits for one node */
#define NODES_TIMEOUT_MS	30000	/* of an invocation */
#define NODES_TIMEOUT_MAX_MS	86400000
#define NODES_TEXT_MAX		20000	/* bytes of a transcript or message */

/* Something that an operator left for a node. */
struct queued {
	struct queued		*next;
	char			 id[37];
	const char		*type;		/* static */
	bool			 is_high;
	uint64_t		 created_ms;
	uint64_t		 expires_ms;	/* as it is shown */
	uint64_t		 until_us;	/* by now_us() */
};

/*
 * A machine that is or was connected, or is paired as a node. One for each
 * device id; it lives as long as it is paired or connected. What belongs to the
 * connection is empty without one.
 */
struct node {
	char			*id;
	struct chela_conn	*conn;		/* NULL: not connected */
	struct json_object	*claims;	/* lent, with conn */
	struct json_object	*declared_caps;	/* cut to its platform */
	struct json_object	*declared_commands;
	struct json_object	*declared_permissions;
	struct json_object	*caps;		/* effective */
	struct json_object	*commands;
	struct json_object	*permissions;
	struct json_object	*tools;		/* as published, or NULL */
	struct json_object	*skills;
	size_t			 tools_bytes, skills_bytes;
	struct json_object	*runner;
	struct json_object	*stats;
	uint64_t		 connected_ms;
	uint64_t		 active_ms;	/* of its user; 0: unknown */
	uint64_t		 presence_ms;
	uint64_t		 seen_ms;	/* 0: not since the start */
	const char		*seen_reason;	/* static */
	struct queued		*queue;		/* high ones first */
	uint32_t		 n_queued;
	uint64_t		 revision;	/* of the queue */
	uint32_t		 n_calls;
};

struct nodes {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_access_1	*access;
	struct node			**all;	/* by id */
	size_t				 n, cap;
	/* Answers that were thrown away: to a call of another node, and to one
	 * that is over. */
	uint64_t			 n_foreign, n_late;
	size_t				 catalogue_bytes; /* tools and skills */
};

extern struct nodes	 nodes;
extern const struct chela_nodes_1 nodes_service;

/* --- nodes.c: small things --- */
const char	*nodes_str(struct json_object *o, const char *key);
		    /* or NULL */
int64_t		 nodes_int(struct json_object *o, const char *key, int64_t no);
/* Takes v; NULL is dropped. */
void		 nodes_add(struct json_object *o, const char *key,
		    struct json_object *v);
void		 nodes_add_str(struct json_object *o, const char *key,
		    const char *s);	/* NULL and "" are left out */
void		 nodes_add_ms(struct json_object *o, const char *key,
		    uint64_t ms);	/* 0 is left out */
const void	*nodes_service_of(const char *name);
/* Fails with FORBIDDEN as the core does; scope without prefix. */
int		 nodes_no_scope(struct chela_req *req, const char *scope);
/* For the ledger, where there is one: who did what to which node. */
void		 nodes_audit(struct chela_req *req, const char *action,
		    const char *node_id, bool is_done);
/* UNAVAILABLE with details.code, retryable. */
int		 nodes_changed(struct chela_req *req, const char *message);
/* As durable or not: -ENOENT and so on to the client, with these words. */
int		 nodes_failed(struct chela_req *req, int r,
		    const char *unknown);
/* An event to one node. Takes payload. */
int		 nodes_tell(const struct node *n, const char *event,
		    struct json_object *payload);

/* --- nodes_reg.c: who is there --- */
struct node	*node_find(const char *id);
/* The node whose current connection made this call; else it was answered. */
struct node	*node_of(struct chela_req *req);
/* The same, and its surface was approved at least once. */
struct node	*node_approved(struct chela_req *req);
/* Makes it; NULL: no memory, or too many. */
struct node	*node_get(const char *id);
void		 node_drop(struct node *n);
void		 node_opened(const char *id, struct chela_conn *conn);
void		 node_closed(const char *id, struct chela_conn *conn);
/* Cuts what it declares to what is approved now. */
void		 node_fit(struct node *n);
/* After a change of the configuration. */
void		 node_reread(struct node *n);
bool		 node_has_command(const struct node *n, const char *command);
void		 nodes_clear(void);

/* --- nodes_policy.c --- */
struct policy {
	const char	*platform;	/* "linux" */
	const char	*reason;	/* why not; NULL: it may */
	bool		 is_dangerous;	/* needs the operator's word */
};
/* Whether a node of this platform may offer a command. */
bool		 policy_allows(const char *platform, const char *family,
		    const char *command, struct policy *ret);
/* "admin", "write" or NULL: what approving or calling it needs. */
const char	*policy_approve_scope(const char *command);
const char	*policy_invoke_scope(const char *command);
/* {operator scopes} that approving these commands needs: an array; gives. */
struct json_object *policy_scopes(struct json_object *commands);
/* Commands that the gateway calls by other methods only. */
bool		 policy_is_private(const char *command);

/* --- nodes_set.c: sorted arrays of names --- */
/* From anything: strings of a sane length, sorted, once each. Gives. */
struct json_object *set_new(struct json_object *from, size_t max);
bool		 set_has(struct json_object *set, const char *name);
bool		 set_covers(struct json_object *set, struct json_object *part);
struct json_object *set_meet(struct json_object *a, struct json_object *b);

/* --- nodes_pair.c --- */
/* A node came, or declares another thing: asks for approval if need be. */
void		 pair_check(struct node *n);
void		 pair_clear(void);
chela_handler_fn pair_list, pair_approve, pair_reject, pair_remove;

/* --- nodes_list.c --- */
struct json_object *list_row(const char *id, struct node *n,
		    struct json_object *device);
chela_handler_fn list_all, list_describe, list_rename;

/* --- nodes_call.c --- */
/* After its connection has gone from it. */
void		 calls_of_node_gone(struct node *n);
void		 calls_clear(void);
chela_handler_fn call_invoke, call_result, call_progress;
chela_scope_fn	 call_scope;
/* Whether the command is in the node's surface; else it was answered. */
bool		 call_admitted(struct chela_req *req, const char *node_id,
		    const char *command, struct node **ret_node);
/*
 * Sends a call that was admitted, and keeps req. request is what node.invoke
 * got, params what goes to the node in its place (may be NULL); spent_ms of its
 * time are over.
 */
int		 call_send(struct chela_req *req, struct node *n,
		    struct json_object *request, struct json_object *params,
		    uint64_t spent_ms);

/* --- nodes_run.c --- */
/* system.run: approval, then call_send(). Answers or keeps req. */
int		 run_invoke(struct chela_req *req, struct node *n,
		    struct json_object *request);
void		 runs_clear(void);

/* --- nodes_event.c --- */
chela_handler_fn event_take, event_skills, event_tools, event_runner,
		 event_surface;

/* --- nodes_queue.c --- */
void		 queue_free(struct node *n);
chela_handler_fn queue_enqueue, queue_drain, queue_pull, queue_ack;

#endif
