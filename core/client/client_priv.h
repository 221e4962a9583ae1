/* SPDX-License-Identifier: MIT */
/* The members of a client, for its own files. */
#ifndef CLIENT_CLIENT_PRIV_H
#define CLIENT_CLIENT_PRIV_H

#include <chela/client.h>

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/base/loop.h"
#include "core/base/map.h"
#include "core/client/link.h"
#include "core/client/link_tls.h"
#include "core/client/trust.h"
#include "core/client/url.h"
#include "core/json/json.h"

#define CLIENT_PLAIN_NAME	"CHELA_ALLOW_INSECURE_WS"
#define CLIENT_SUBPROTOCOL	"chela.v1"
#define CLIENT_CONNECT_MS	15000u
#define CLIENT_CALL_MS		30000u
#define CLIENT_BACKOFF_MIN_MS	1000u
#define CLIENT_BACKOFF_MAX_MS	30000u
#define CLIENT_TICK_MS		30000u	/* when hello does not say */
#define CLIENT_TICK_MAX_MS	3600000u
#define CLIENT_PAYLOAD_MAX	MIB(25)	/* when hello does not say */
#define CLIENT_CALLS_MAX	10000u	/* open at one time */
#define CLIENT_LIST_MAX		64u	/* scopes, capabilities */
#define CLIENT_ID_CONNECT	"connect"

#define CLIENT_CLOSE_LOCAL	4000u	/* our own: we gave up on the peer */

/* An error with its storage; pub points into the rest. */
struct client_error {
	struct chela_client_error pub;
	char		 sentence[512];
	char		 code[64];
};

struct call {
	struct list	 entry;		/* of the client's open_calls */
	struct chela_client *client;
	uint64_t	 id;
	uint32_t	 flags;
	chela_client_reply_fn *fn;
	void		*arg;
	struct loop_timer *timer;	/* NULL: no limit */
};

/*
 * Owned by the program, on the thread of its base. depth counts callbacks of
 * ours on the stack: a client that is freed in one is only emptied (is_dying)
 * and goes when the stack has unwound.
 */
struct chela_client {
	struct event_base	*base;
	bool			 is_own_base;
	struct loop		*loop;
	struct url		 url;
	struct trust		 trust;
	struct link_ticket	 ticket;	/* of the last connection */
	char			*token;
	char			*password;
	char			*instance;
	char			*display_name;
	char			*mode;
	struct json_object	*scopes;
	struct json_object	*capabilities;
	struct json_object	*commands;	/* NULL: none */
	char			*path_env;
	char			*device_family;
	struct identity		*identity;	/* NULL: no device */
	char			*device_token;
	bool			 has_used_token; /* the device's, last time */
	uint32_t		 flags;
	uint32_t		 connect_ms;
	uint32_t		 call_ms;
	uint32_t		 backoff_min_ms;
	uint32_t		 backoff_max_ms;
	chela_client_state_fn	*on_state;
	chela_client_event_fn	*on_event;
	chela_client_gap_fn	*on_gap;
	void			*arg;

	enum chela_client_state	 state;
	struct client_error	 error;
	struct link		*link;
	struct json_object	*hello;
	uint64_t		 tick_us;
	uint64_t		 heard_us;	/* clock of the last bytes */
	size_t			 payload_max;
	int64_t			 seq;		/* last seen, -1: none yet */
	unsigned		 n_failures;	/* in a row */
	struct loop_timer	*connect_timer;
	struct loop_timer	*backoff_timer;
	struct loop_timer	*tick_timer;

	struct map		*calls;		/* decimal id -> struct call */
	struct list		 open_calls;	/* the same, oldest first */
	uint64_t		 last_id;

	unsigned		 depth;
	bool			 is_waiting;	/* in *_wait or run_until */
	bool			 is_dying;
};

void	 client_enter(struct chela_client *c);
/* False when the client is dying or gone: touch it no more. */
bool	 client_leave(struct chela_client *c);

void	 client_error_set(struct client_error *e, int status, const char *fmt,
	    ...) printf_like(3, 4);
/* From a native response with ok:false. */
void	 client_error_read(struct client_error *e, struct json_object *frame);
void	 client_error_fini(struct client_error *e);

/* Ends the connection because of c->error, and plans what comes then. */
void	 client_failed(struct chela_client *c);

/* client_call.c */
void	 client_answer(struct chela_client *c, const char *id,
	    struct json_object *frame);
/* Every open call ends with this status. */
void	 client_fail_calls(struct chela_client *c, int status,
	    const char *sentence);
void	 client_drop_calls(struct chela_client *c);
/* Takes params. */
int	 client_send_request(struct chela_client *c, const char *id,
	    const char *method, struct json_object *params);

#endif
