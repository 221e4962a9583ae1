/* SPDX-License-Identifier: MIT */
/*
 * The way of a frame: scanned, recognised, handed on; answers on their way back.
 * The handshake and the decision who enters are here; which methods there are is
 * not.
 */
#ifndef PROTOCOL_PROTO_H
#define PROTOCOL_PROTO_H

#include "core/access/access.h"
#include "core/access/origin.h"
#include "core/net/net.h"
#include "core/protocol/dialect.h"
#include "core/protocol/peer.h"

struct loop;
struct schema;

#define PROTO_LARGE		KIB(128) /* frames above are read by a worker */
#define PROTO_LARGE_ACTIVE	2	/* of these at a time; others wait */
#define PROTO_LARGE_BYTES	MIB(256) /* of all that wait or are read */
#define PROTO_DEPTH_MAX		64	/* nesting of a frame */
/*
 * What a frame may cost as json-c values: PROTO_HEAP_BASE and so many times its
 * own bytes, but never above PROTO_HEAP_MAX.
 */
#define PROTO_HEAP_BASE		KIB(128)
#define PROTO_HEAP_TIMES	8
#define PROTO_HEAP_MAX		MIB(128)
#define PROTO_ID_MAX		1024	/* bytes of a request's id, as written */
#define PROTO_BAD_FRAMES_MAX	1000	/* unreadable ones in a row: 1008 */
#define PROTO_ROLE_REFUSED_MAX	10	/* tolerated in a row: 1008 */
#define PROTO_QUEUED_MAX	15	/* frames behind a waiting connect */
#define PROTO_QUEUED_BYTES	PROTO_LARGE /* of all of these: none is large */
#define PROTO_SUSPENDED_RETRY_MS 1000
#define PROTO_PENDING_MAX	512	/* unanswered requests of a connection */

/* One request; everything is lent until on_call() returns, unless taken. */
struct proto_call {
	const char	*id;		/* raw JSON text */
	size_t		 id_len;
	const char	*method;	/* decoded */
	size_t		 method_len;
	const char	*params;	/* raw JSON text; NULL: absent */
	size_t		 params_len;
	char		 params_kind;	/* as scan_span.kind */
	/* A large frame's text: when not NULL, on_call() takes it and ends it
	 * with proto_large_done(); until then the peer is not read. */
	char		*large;
};

struct proto_hooks {
	void	(*on_call)(void *arg, struct peer *p,
		    const struct proto_call *call);
	/*
	 * The members features, snapshot and policy for the hello: gives. -ENOENT
	 * when nothing can say them: the peer is refused with UNAVAILABLE.
	 */
	int	(*hello)(void *arg, struct peer *p, char **ret_text,
		    size_t *ret_len);
	void	(*on_open)(void *arg, struct peer *p);	/* after hello */
	void	(*on_close)(void *arg, struct peer *p);	/* was open */
	/* A client did not get in; or NULL. reason is one of auth.md's words. */
	void	(*on_refused)(void *arg, struct peer *p, const char *reason);
	void	(*on_http)(void *arg, struct hreq *q);
	void	*arg;
};

/* Whether new work is taken: see core.lifecycle/1. */
enum proto_phase {
	PROTO_ACCEPTING,
	PROTO_PREPARING,
	PROTO_DRAINING,
	PROTO_PREPARED,
};
const char *proto_phase_name(unsigned phase);

/* What may change with the configuration. */
struct proto_settings {
	struct access		*access; /* the caller's; never NULL */
	struct origin_rules	 origins;	/* strings are the caller's */
	bool			 is_draining;	/* no new clients, code 1012/1013 */
	uint8_t			 phase;		/* enum proto_phase */
};

struct proto *proto_new(struct loop *l, const struct proto_hooks *hooks,
    const struct schema *connect_native, const struct schema *connect_openclaw,
    const char *version, const char *boot_id) must_use;
struct proto *proto_free(struct proto *p);
struct proto_settings *proto_settings(struct proto *p);
void	 proto_net_handler(struct proto *p, struct net_handler *ret);
struct list *proto_peers(struct proto *p);	/* open ones, by peer.link */
uint32_t proto_n_peers(const struct proto *p);

/* Sends an answer to a request of this peer. id is raw. -EPIPE: it is gone. */
int	 proto_result(struct peer *p, const char *id, size_t id_len,
	    const char *payload, size_t len);
int	 proto_failure(struct peer *p, const char *id, size_t id_len,
	    const struct proto_error *e);
/* The common refusal: code and a formatted sentence. */
int	 proto_refuse(struct peer *p, const char *id, size_t id_len,
	    const char *code, const char *details, const char *fmt, ...)
	    printf_like(6, 7);
/* A role was refused / anything else was answered: counts for AB-047. */
void	 proto_count_role(struct peer *p, bool is_refused);

/* Frees a large frame off the loop and lets the peer go on. Takes text. */
void	 proto_large_done(struct peer *p, char *text);

#endif
