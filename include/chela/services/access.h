/* SPDX-License-Identifier: MIT */
/*
 * Service "core.access/1", exported by the core: device identities, pairing,
 * tokens. The core decides whether a caller may; the plugins give it a voice.
 */
#ifndef CHELA_SERVICES_ACCESS_H
#define CHELA_SERVICES_ACCESS_H

#include <chela/plugin.h>

#define CHELA_ACCESS_SERVICE "core.access/1"

/*
 * How a change ended, once it is durable. r: 0, or
 *   -ENOENT  no such request, device, token
 *   -EACCES  the caller may not grant or touch this
 *   -EINVAL  the arguments make no sense; -EDQUOT: too many
 *   another  it could not be stored; nothing has changed
 * result is lent, NULL on failure. Sockets that the change ends are closed after
 * this callback has returned, so that an answer given in it still goes out.
 */
typedef void chela_access_done_fn(struct chela_ctx *ctx, int r,
    struct json_object *result, void *arg);

/* What happened; struct chela_access_event.what */
#define CHELA_ACCESS_REQUESTED	1u	/* data: the pending request */
#define CHELA_ACCESS_RESOLVED	2u	/* {requestId, deviceId, decision, ts} */
#define CHELA_ACCESS_CHANGED	3u	/* {deviceId, reason, ts}; removed too */
#define CHELA_ACCESS_SETUP_DONE	4u	/* {setupId, deviceId, role, ts} */
#define CHELA_ACCESS_NODE_OPEN	5u	/* a node's connection came: conn */
#define CHELA_ACCESS_NODE_CLOSE	6u	/* and went: conn, for the last time */
#define CHELA_ACCESS_REFUSED	7u	/* a client: {reason, remote} */
/* As SETUP_DONE, but the device left before its tokens were written. */
#define CHELA_ACCESS_SETUP_UNCERTAIN 8u

struct chela_access_event {
	uint32_t		 struct_size;
	uint32_t		 what;
	const char		*device_id;
	struct json_object	*data;		/* lent; NULL for NODE_* */
	struct chela_conn	*conn;		/* NODE_* */
};

typedef void chela_access_event_fn(struct chela_ctx *ctx,
    const struct chela_access_event *ev, void *arg);

/*
 * caller is the connection on whose behalf something is asked: its scopes bound
 * what it may do. NULL: the gateway itself.
 */
struct chela_access_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * {pending[], paired[]}, newest first, tokens as summaries; gives. A
	 * caller that came with a device token and is no admin sees itself.
	 */
	int	(*list)(struct chela_conn *caller, struct json_object **ret);
	/* One row of paired (by device id) or pending (by request id); gives. */
	int	(*device)(const char *device_id, struct json_object **ret);
	int	(*pending)(const char *request_id, struct json_object **ret);

	/* {requestId, device} */
	int	(*approve)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *request_id, chela_access_done_fn *done,
		    void *arg);
	/* {requestId, deviceId} */
	int	(*reject)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *request_id, chela_access_done_fn *done,
		    void *arg);
	/* {deviceId}; closes its connections */
	int	(*remove)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *device_id, chela_access_done_fn *done,
		    void *arg);
	/* {deviceId, label}; label at most 64 characters */
	int	(*rename)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *device_id, const char *label,
		    chela_access_done_fn *done, void *arg);
	/*
	 * {deviceId, role, scopes, rotatedAtMs, tokenDelivery, token?}; scopes is
	 * an array or NULL (as before). Closes its connections of that role.
	 */
	int	(*rotate)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *device_id, const char *role,
		    struct json_object *scopes, chela_access_done_fn *done,
		    void *arg);
	/* {deviceId, role, revokedAtMs}; closes its connections of that role */
	int	(*revoke)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *device_id, const char *role,
		    chela_access_done_fn *done, void *arg);

	/*
	 * A setup code's token: {setupId, bootstrapToken, profile, roles[],
	 * scopes[], expiresAtMs}. Good once, for one device, for 10 minutes.
	 * profile: "mobile", "mobile-full", "node", "voice-node",
	 * "control-ui-owner".
	 */
	int	(*setup_new)(struct chela_ctx *ctx, struct chela_conn *caller,
		    const char *profile, chela_access_done_fn *done, void *arg);
	/*
	 * {setupId, status: pending|bound|completed|uncertain|expired, ...};
	 * gives. uncertain: used, but its tokens may not have arrived.
	 */
	int	(*setup_status)(const char *setup_id, struct json_object **ret);

	/*
	 * The device behind caller wants more scopes: {requestId}. A pending
	 * request as any other; RESOLVED or its end says what came of it.
	 */
	int	(*upgrade)(struct chela_ctx *ctx, struct chela_conn *caller,
		    struct json_object *scopes, chela_access_done_fn *done,
		    void *arg);
	/*
	 * {status: pending|approved|rejected|expired, deviceToken?, scopes?}
	 * of a request that this connection's device made; gives. -ENOENT.
	 */
	int	(*upgrade_status)(struct chela_conn *caller,
		    const char *request_id, struct json_object **ret);

	/*
	 * What a device said of itself in connect: {caps[], commands[],
	 * permissions{}, pathEnv?, deviceFamily?, modelIdentifier?, clientId,
	 * clientMode, platform, version, displayName?, protocol}; lent until the
	 * connection closes. -ENOENT: it came without a device.
	 */
	int	(*claims)(struct chela_conn *conn, struct json_object **ret);
	/* The newest open connection of a device in a role, or NULL. */
	struct chela_conn *(*conn_of)(const char *device_id, uint32_t role);
	/*
	 * Drops what is queued for them and closes them: all connections of the
	 * device with one of the roles (0: all). Returns how many.
	 */
	int	(*close_device)(const char *device_id, uint32_t roles,
		    uint16_t code, const char *reason);

	/*
	 * What is approved of a node's surface, and what waits: two objects that
	 * belong to the plugin for nodes and live and die with the record. get
	 * lends NULL where there is none. put takes both; NULL clears.
	 */
	int	(*surface_get)(const char *device_id,
		    struct json_object **ret_approved,
		    struct json_object **ret_pending);
	int	(*surface_put)(struct chela_ctx *ctx, const char *device_id,
		    struct json_object *approved, struct json_object *pending,
		    chela_access_done_fn *done, void *arg);
	/* Rises with each pairing, removal or token change; 0: not paired. */
	uint64_t (*generation)(const char *device_id);

	/* Events until the plugin is stopped. */
	int	(*on_event)(struct chela_ctx *ctx, chela_access_event_fn *fn,
		    void *arg);

	/* The gateway's own key: id as hex, public key as base64url; lent. */
	int	(*identity)(const char **ret_id, const char **ret_public_key);
	/* Ed25519 over the bytes; 64 bytes. */
	int	(*sign)(const void *p, size_t len, unsigned char ret_sig[64]);

	/* Addresses under which clients may reach the gateway: for setup codes. */
	int	(*is_loopback_only)(void);

	/*
	 * 1: clients come in with this text as the gateway's own token or
	 * password, so that it is not to be used for anything less. In constant
	 * time.
	 */
	int	(*is_gateway_secret)(const char *text);
};

#endif
