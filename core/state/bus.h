/* SPDX-License-Identifier: MIT */
/*
 * The event bus: who may see an event, who wants to, and one encoding a dialect
 * for all of them. Unknown families are refused.
 */
#ifndef STATE_BUS_H
#define STATE_BUS_H

#include "core/base/base.h"

struct bus;
struct json_object;
struct peer;
struct proto;

#define BUS_DROPPABLE	0x1u	/* skipped for slow readers, with its number */
#define BUS_VERSIONED	0x2u	/* carries stateVersion */
#define BUS_SCOPED	0x4u	/* see struct bus_opts.scoped_topic */
#define BUS_NODE_DIRECT	0x8u	/* nodes: only with bus_opts.only */

#define BUS_TOPIC_MAX	600	/* bytes of a topic's name */
#define BUS_SUBS_MAX	256	/* topics of one peer */

struct bus_opts {
	const char	*topic;		/* only its subscribers */
	/*
	 * Of peers with the capability session-scoped-events only those that
	 * subscribed to it; all others as usual.
	 */
	const char	*scoped_topic;
	const char	*cap;		/* only with this capability */
	struct peer	*only;
	struct peer	*except;
};

struct bus	*bus_new(struct proto *proto) must_use;
struct bus	*bus_free(struct bus *b);

/*
 * A family. scope is a SCOPE_* bit or 0, roles a mask (0: operators). -EEXIST when
 * another owner has the name.
 */
int	 bus_add(struct bus *b, const char *name, uint32_t scope, uint32_t roles,
	    uint32_t flags, const void *owner);
void	 bus_remove_owner(struct bus *b, const void *owner);
/* Visits the families in the order in which they were added. */
void	 bus_each(struct bus *b, int (*cb)(const char *name, uint32_t scope,
	    const void *owner, void *arg), void *arg);

/* Takes payload (NULL: null). Returns how many get it, or -EINVAL: unknown. */
int	 bus_emit(struct bus *b, const char *name, struct json_object *payload,
	    const struct bus_opts *opts);
/* The same with compact JSON; lent. */
int	 bus_emit_text(struct bus *b, const char *name, const char *payload,
	    size_t len, const struct bus_opts *opts);
/* A larger payload is not sent: -EMSGSIZE. */
void	 bus_set_payload_max(struct bus *b, size_t max);
void	 bus_set_versions(struct bus *b, uint64_t presence, uint64_t health);

/* owner: whose subscriptions end together. Twice is once. */
int	 bus_subscribe(struct bus *b, struct peer *p, const char *topic,
	    const void *owner);
int	 bus_unsubscribe(struct bus *b, struct peer *p, const char *topic);
void	 bus_peer_closed(struct bus *b, struct peer *p);

#endif
