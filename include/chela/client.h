/* SPDX-License-Identifier: MIT */
/*
 * libchela: a client of the chela gateway for C programs.
 *
 * A client is one connection that comes back by itself. It works on the caller's
 * libevent base or, for simple programs, on one of its own that the functions
 * named *_wait and chela_client_run_until() turn. Values are json-c's.
 *
 * Conventions, valid for every declaration below:
 *  - Functions that return int give zero or more for success, else a negative
 *    errno value. -EREMOTEIO means that the gateway said no, and
 *    chela_client_last_error() or the reply says what it said.
 *  - "takes": the callee owns the argument from then on, on error paths too.
 *    "gives": the caller owns what it gets. Otherwise a pointer is lent until
 *    the call or the callback returns.
 *  - One thread: that of the base. Callbacks come on it, from the loop only.
 *  - All strings are UTF-8 and end in NUL. Times are milliseconds.
 *  - Structs that may grow start with their size; set it with sizeof.
 */
#ifndef CHELA_CLIENT_H
#define CHELA_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CHELA_CLIENT_API __attribute__((visibility("default")))
#else
#define CHELA_CLIENT_API
#endif

struct chela_client;
struct event_base;		/* libevent */
struct json_object;		/* json-c */

/* The versions of the protocol that this library speaks. */
#define CHELA_CLIENT_PROTOCOL_MIN 4
#define CHELA_CLIENT_PROTOCOL_MAX 4

/* Where a client is in its life. */
enum chela_client_state {
	CHELA_CLIENT_IDLE,	/* not opened yet, or closed by the program */
	CHELA_CLIENT_CONNECTING, /* from the name to the gateway's hello */
	CHELA_CLIENT_READY,	/* calls may be made */
	CHELA_CLIENT_WAITING,	/* for the next attempt */
	CHELA_CLIENT_ENDED	/* gave up; the last error says why */
};

#define CHELA_CLIENT_RETRY_MAX_MS	3600000	/* more is not waited for */

/* What went wrong, in words and for programs. */
struct chela_client_error {
	/*
	 * Negative errno; 0: nothing wrong. -EKEYREJECTED: the gateway's
	 * certificate is not the one that is believed.
	 */
	int		 status;
	const char	*sentence;	/* for people; never NULL */
	const char	*code;		/* the gateway's, "" for a local failure */
	struct json_object *details;	/* the gateway's, or NULL */
	int		 is_retryable;
	/* -1: the gateway did not say; at most CHELA_CLIENT_RETRY_MAX_MS. */
	int64_t		 retry_after_ms;
	int		 close_code;	/* of the WebSocket, 0: none */
	int		 http_status;	/* of a refused upgrade, 0: none */
};

/* An event that the gateway pushed. */
struct chela_client_event {
	const char	*name;
	struct json_object *data;	/* NULL for none */
	int64_t		 seq;		/* -1: none */
	struct json_object *state_version; /* or NULL */
};

/* struct chela_client_reply.flags */
#define CHELA_CLIENT_INTERIM	0x00000001u /* more answers to this call follow */

/* The answer to a call. */
struct chela_client_reply {
	uint64_t	 id;		/* of the call */
	uint32_t	 flags;
	/*
	 * 0: result holds. Else error holds; its status is -EREMOTEIO when the
	 * gateway refused, -ETIMEDOUT, -ECONNRESET when the connection went away
	 * before the answer (the call may have been carried out), or -ECANCELED.
	 */
	int		 status;
	struct json_object *result;	/* NULL is JSON null */
	const struct chela_client_error *error;
};

/*
 * The client has entered a state. For WAITING and ENDED, error says why. The
 * client may be freed in any callback.
 */
typedef void chela_client_state_fn(struct chela_client *client,
    enum chela_client_state state, const struct chela_client_error *error,
    void *arg);
typedef void chela_client_event_fn(struct chela_client *client,
    const struct chela_client_event *event, void *arg);
/* Events are missing between two numbers: state that they built is stale. */
typedef void chela_client_gap_fn(struct chela_client *client, int64_t expected,
    int64_t received, void *arg);
typedef void chela_client_reply_fn(struct chela_client *client,
    const struct chela_client_reply *reply, void *arg);
typedef int chela_client_done_fn(void *arg);

/* struct chela_client_options.flags */
#define CHELA_CLIENT_ONCE	0x00000001u /* do not come back by itself */
#define CHELA_CLIENT_TLS_SYSTEM	0x00000002u
	/*
	 * wss: only a certificate that the system's authorities vouch for. Else
	 * one that they do not is believed when it is the first of its address,
	 * and written to known_gateways; a later change of it is refused.
	 */

/* What chela_client_new() needs to know; strings are copied. */
struct chela_client_options {
	size_t		 size;		/* sizeof(struct chela_client_options) */
	const char	*url;		/* "ws://host:port[/path]", or wss */
	const char	*token;		/* either of both, or none */
	const char	*password;
	const char	*instance;	/* of this program; NULL: random */
	const char	*display_name;	/* for people, or NULL */
	const char	*mode;		/* "operator" (also NULL) or "node" */
	const char	*const *scopes;	/* end in NULL; "read", "write", ... */
	const char	*const *capabilities; /* end in NULL */
	uint32_t	 flags;
	uint32_t	 connect_timeout_ms;	/* 0: 15000 */
	uint32_t	 call_timeout_ms;	/* 0: 30000 */
	uint32_t	 backoff_min_ms;	/* 0: 1000 */
	uint32_t	 backoff_max_ms;	/* 0: 30000 */
	struct event_base *base;	/* NULL: one of its own */
	chela_client_state_fn *on_state;	/* each may be NULL */
	chela_client_event_fn *on_event;
	chela_client_gap_fn *on_gap;
	void		*arg;		/* for all of them */
	const char	*tls_fingerprint; /* wss: the only one; "sha256:..." */
	const char	*known_gateways; /* a file; NULL: the user's own */
	/*
	 * A folder with the Ed25519 key of this device, "identity.pem", made
	 * there with mode 0600 if there is none; NULL: no device identity.
	 */
	const char	*identity_dir;
	const char	*device_token;	/* of an earlier hello, or NULL */
	const char	*const *commands; /* of a node; end in NULL */
	const char	*path_env;	/* of a node, or NULL */
	const char	*device_family;	/* "Linux", or NULL */
};

/*
 * Makes a client that is not connected yet. *ret_client is given.
 *
 * -EINVAL: the URL, the mode or the fingerprint is not one, or there is a
 * fingerprint and the URL does not say wss. -EPERM, -EBADMSG or another: the
 * key in identity_dir is open to others, is none, or cannot be read. -ENOMEM.
 */
CHELA_CLIENT_API int chela_client_new(
    const struct chela_client_options *options,
    struct chela_client **ret_client);

/*
 * Closes and frees a client; returns NULL. Calls that are open get no answer.
 * It waits for a name lookup that is under way. client may be NULL.
 */
CHELA_CLIENT_API struct chela_client *chela_client_free(
    struct chela_client *client);

/*
 * Starts connecting. What follows is told by on_state. 0, -EALREADY when it is
 * under way, or -ENOMEM.
 */
CHELA_CLIENT_API int chela_client_open(struct chela_client *client);

/*
 * Says good-bye and disconnects. Open calls end with -ECANCELED; the client may
 * be opened again.
 */
CHELA_CLIENT_API void chela_client_close(struct chela_client *client);

/* Returns the state the client is in. */
CHELA_CLIENT_API enum chela_client_state chela_client_get_state(
    const struct chela_client *client);

/* Returns what the gateway said in its hello, or NULL before READY. */
CHELA_CLIENT_API struct json_object *chela_client_hello(
    const struct chela_client *client);

/*
 * Returns the id of this device, 64 digits, or "" without an identity.
 */
CHELA_CLIENT_API const char *chela_client_device_id(
    const struct chela_client *client);

/*
 * Returns the token that the gateway gave to this device, or "". It is used by
 * itself at the next connection; a program keeps it for its next run.
 */
CHELA_CLIENT_API const char *chela_client_device_token(
    const struct chela_client *client);

/*
 * Returns the fingerprint of the gateway's certificate, "sha256:" and 64 digits,
 * or "" without a connection by TLS.
 */
CHELA_CLIENT_API const char *chela_client_peer_fingerprint(
    const struct chela_client *client);

/* Returns nonzero when that certificate was believed as the first of its address. */
CHELA_CLIENT_API int chela_client_peer_is_new(
    const struct chela_client *client);

/* Returns the last failure of the connection or of a *_wait call; never NULL. */
CHELA_CLIENT_API const struct chela_client_error *chela_client_last_error(
    const struct chela_client *client);

/* Returns the base that the client works on. */
CHELA_CLIENT_API struct event_base *chela_client_base(
    const struct chela_client *client);

/* chela_client_call() flags */
#define CHELA_CLIENT_FINAL	0x00000001u
	/*
	 * A result with status "accepted" is an interim answer; the call stays
	 * open for the final one.
	 */

/*
 * Calls a method. Takes params (NULL for none). fn gets the answer, exactly once
 * (with CHELA_CLIENT_FINAL: once as final, before that perhaps as interim), and
 * never before this function returns. timeout_ms 0 means the client's default,
 * UINT32_MAX none. ret_id may be NULL.
 *
 * -ENOTCONN: not READY. -EMSGSIZE: longer than the gateway accepts. -ENOBUFS:
 * too much waits to be sent. -ENOMEM. fn is not called then.
 */
CHELA_CLIENT_API int chela_client_call(struct chela_client *client,
    const char *method, struct json_object *params, uint32_t flags,
    uint32_t timeout_ms, chela_client_reply_fn *fn, void *arg,
    uint64_t *ret_id);

/*
 * Forgets an open call: its callback is not called any more, the gateway is not
 * told. -ENOENT when it is not open.
 */
CHELA_CLIENT_API int chela_client_cancel(struct chela_client *client,
    uint64_t id);

/*
 * Turns the base until is_done(arg) is nonzero, which is asked after each round.
 * 0, or -ETIMEDOUT after timeout_ms (UINT32_MAX: no limit). Not for callbacks.
 */
CHELA_CLIENT_API int chela_client_run_until(struct chela_client *client,
    chela_client_done_fn *is_done, void *arg, uint32_t timeout_ms);

/*
 * Opens the client if it is idle and waits for READY. 0, -ETIMEDOUT, or the
 * status of the last error once the client has ended.
 */
CHELA_CLIENT_API int chela_client_ready_wait(struct chela_client *client,
    uint32_t timeout_ms);

/*
 * Calls a method and waits for its answer. Takes params. Gives *ret_result (NULL
 * is JSON null); ret_result may be NULL. A refusal is -EREMOTEIO.
 */
CHELA_CLIENT_API int chela_client_call_wait(struct chela_client *client,
    const char *method, struct json_object *params, uint32_t flags,
    uint32_t timeout_ms, struct json_object **ret_result);

#ifdef __cplusplus
}
#endif

#endif
