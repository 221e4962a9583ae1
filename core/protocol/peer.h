/* SPDX-License-Identifier: MIT */
/*
 * A peer: the client at the other end of a connection, once it speaks the
 * protocol. Made when the WebSocket opens, open after hello; it outlives its
 * connection as long as someone holds a reference (a request under way).
 */
#ifndef PROTOCOL_PEER_H
#define PROTOCOL_PEER_H

#include "core/base/base.h"
#include "core/base/buf.h"

struct conn;
struct connect;
struct dialect;
struct json_object;
struct proto;
struct topic;

#define PEER_MAGIC	0x50454552u

enum peer_state {
	PEER_NEW,		/* before hello */
	PEER_OPEN,
	PEER_CLOSED,		/* the connection is gone */
};

/* What a client says about itself; all members are strings, "" when not said. */
struct peer_info {
	const char	*client_id;
	const char	*client_mode;
	const char	*display_name;
	const char	*instance_id;
	const char	*version;
	const char	*platform;
	const char	*device_family;
	const char	*model;
	const char	*time_zone;
	const char	*device_id;
	const char	*remote;	/* "" when direct and local */
	const char	*caps;		/* "\nname\n...\n" */
	char		 text[];	/* where they all lie */
};

/* How it came, where that is not straight from its address. */
struct peer_door {
	uint8_t		 kind;		/* enum proxy_kind */
	bool		 is_funnel;	/* a proxy says: from the public */
	char		 client[46];	/* whom a proxy speaks for */
	char		 problem[96];	/* why a proxy's word is not enough */
	char		*user;		/* whom it vouches for; or NULL */
	char		*scopes_cap;	/* x-openclaw-scopes; or NULL */
	char		*tailnet_login;	/* or NULL */
};

struct peer {
	uint32_t		 magic;
	uint32_t		 refs;
	struct proto		*proto;
	struct conn		*conn;		/* NULL once it is gone */
	const struct dialect	*dialect;	/* NULL: not known yet */
	uint8_t			 state;		/* enum peer_state */
	bool			 is_direct_local;
	bool			 is_busy;	/* a large frame is being read */
	bool			 has_scoped_events;
	bool			 is_paired;	/* counted at its device's record */
	bool			 is_by_secret;	/* a new secret is its end */
	bool			 is_by_token;	/* it came with a device's token */
	uint32_t		 role;		/* ROLE_* */
	uint32_t		 scopes;	/* granted */
	uint32_t		 closure;	/* what they cover */
	uint32_t		 n_reqs;	/* unanswered */
	uint16_t		 n_role_refused; /* in a row */
	uint16_t		 n_bad_frames;
	uint32_t		 large_len;	/* of the frame being read */
	uint64_t		 seq;		/* of the last event */
	uint64_t		 since_ms;
	struct list		 link;		/* in proto's open list */
	struct list		 reqs;		/* unanswered requests */
	struct list		 subs;		/* its subscriptions */
	struct list		 close_cbs;	/* who wants to know */
	char			*origin;	/* until hello; or NULL */
	char			*host;
	struct peer_door	*door;		/* until hello; NULL: straight */
	struct connect		*connect;	/* a connect that waits, or NULL */
	struct peer_info	*info;		/* after connect */
	struct json_object	*claims;	/* of a node's device, or NULL */
	char			 id[37];
	char			 nonce[37];
};

struct peer *peer_ref(struct peer *p);
struct peer *peer_unref(struct peer *p);
bool	 peer_has_cap(const struct peer *p, const char *cap);
/* The client's address: the socket's, or the one that a proxy named. */
const char *peer_remote(const struct peer *p);
/* Tracked in presence: people and nodes, not commands and back ends. */
bool	 peer_is_tracked(const struct peer *p);

#endif
