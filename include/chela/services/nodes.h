/* SPDX-License-Identifier: MIT */
/*
 * Service "nodes/1": machines that lend their commands, exported by plugin
 * nodes.
 *
 * What a node offers counts after an operator approved it: the surface of a
 * node is what it declares, cut to what was approved and to what its platform
 * may offer.
 */
#ifndef CHELA_SERVICES_NODES_H
#define CHELA_SERVICES_NODES_H

#include <chela/plugin.h>

#define CHELA_NODES_SERVICE "nodes/1"

#define CHELA_NODE_INPUT_MAX	16384u	/* bytes of one piece */

struct chela_node_info {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 is_connected;
	uint32_t		 is_approved;	/* its surface, once */
	uint32_t		 reserved;
	const char		*id;
	const char		*display_name;	/* "" without */
	const char		*platform;
	struct json_object	*caps;		/* effective; lent */
	struct json_object	*commands;
	struct json_object	*tools;		/* as published, or NULL */
	struct json_object	*skills;
};

/* How an invocation ended. All is lent until the callback returns. */
struct chela_node_result {
	uint32_t		 struct_size;
	uint32_t		 was_dispatched; /* the node may have run it */
	/*
	 * NULL: it went well, payload holds. Else the node's code or one of
	 * NOT_CONNECTED, TIMEOUT, DISCONNECTED, UNAVAILABLE.
	 */
	const char		*code;
	const char		*message;
	struct json_object	*payload;	/* NULL is null */
};

typedef void chela_node_done_fn(const struct chela_node_result *result,
    void *arg);
/* A piece of a streaming answer. */
typedef void chela_node_progress_fn(const char *chunk, size_t len, void *arg);

struct chela_node_call {
	uint32_t		 struct_size;
	uint32_t		 reserved;
	const char		*node_id;
	const char		*command;
	struct json_object	*params;	/* lent; NULL: none */
	const char		*idempotency_key; /* NULL: a new one */
	const char		*session_key;	/* or NULL */
	uint64_t		 timeout_ms;	/* 0: 30000 */
	/* Silence that ends a streaming call; needs progress. 0: none. */
	uint64_t		 idle_ms;
	chela_node_progress_fn	*progress;	/* or NULL */
	chela_node_done_fn	*done;
	void			*arg;
};

struct chela_nodes_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* By id; nonzero from cb stops. Everything is lent. */
	int	(*each)(int (*cb)(const struct chela_node_info *info,
		    void *arg), void *arg);
	int	(*find)(const char *node_id, struct chela_node_info *ret);
	/*
	 * Calls a command of the node's effective surface; the caller has
	 * decided that it may be called. done comes exactly once and never from
	 * within; ret_id (37 bytes, or NULL) names the call. -ENOENT: no such
	 * node, -ENOTCONN, -EPERM: not in its surface, -ENOBUFS: too many
	 * calls.
	 */
	int	(*invoke)(const struct chela_node_call *call, char *ret_id);
	/* Tells the node to stop; done does not come. -ENOENT. */
	int	(*cancel)(const char *id);
	/*
	 * A piece of input for an open call, in order; text is what the command
	 * takes, mostly JSON. -ENOENT, -EMSGSIZE: above CHELA_NODE_INPUT_MAX.
	 */
	int	(*input)(const char *id, const char *text);
};

#endif
