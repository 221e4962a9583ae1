/* SPDX-License-Identifier: MIT */
/* How frames look on the wire. Nothing else knows that there are two ways. */
#ifndef PROTOCOL_DIALECT_H
#define PROTOCOL_DIALECT_H

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/json/scan.h"

struct json_object;

#define PROTOCOL_VERSION	4

/* The machine's part of a failed answer. */
struct proto_error {
	const char	*code;
	const char	*message;
	size_t		 message_len;
	const char	*details;	/* compact JSON, or NULL */
	bool		 is_retryable;
	bool		 has_retry_after;
	uint64_t	 retry_after_ms;
};

/* A connect request after it was read; strings are lent from its params. */
struct proto_connect {
	int64_t		 min, max;	/* protocol range */
	uint32_t	 role;		/* 0: no such role */
	uint32_t	 scopes;
	const char	*client_id, *client_mode, *display_name, *instance_id;
	const char	*version, *platform, *device_family, *model, *time_zone;
	const char	*token, *password, *device_token, *bootstrap_token;
	struct json_object *caps;	/* array of strings, or NULL */
	struct json_object *scope_list;	/* as sent, or NULL */
	struct json_object *device;	/* the proof, or NULL */
	struct json_object *commands, *permissions;	/* a node's, or NULL */
	const char	*path_env;
	bool		 has_runtime_token;	/* an agent's own: nothing issues one */
};

struct dialect {
	const char	*name;
	const char	*subprotocol;
	const char	*connect_schema;	/* definition in frames.json */
	bool		 has_scope_prefix;

	/* NULL, or what is wrong with the frame ("must have ... 'id'"). */
	const char *(*frame_problem)(const struct scan_frame *f);
	/* The reference's closed worker protocol; NULL where there is none. */
	bool	(*is_worker)(struct json_object *params);
	void	(*read_connect)(struct json_object *params,
		    struct proto_connect *ret);

	/* id is the raw JSON text of the request's id. */
	void	(*result)(struct buf *out, const char *id, size_t id_len,
		    const char *payload, size_t len);
	void	(*failure)(struct buf *out, const char *id, size_t id_len,
		    const struct proto_error *e);
	/* An event is head + payload + tail. */
	void	(*event_head)(struct buf *out, const char *event);
	void	(*event_tail)(struct buf *out, bool has_payload, uint64_t seq,
		    const uint64_t *versions);	/* {presence, health} or NULL */
	void	(*hello)(struct buf *out, const char *server, size_t server_len,
		    const char *body, size_t body_len, const char *auth,
		    size_t auth_len);
};

extern const struct dialect dialect_native;
extern const struct dialect dialect_openclaw;

/* What is wrong with the id and the method of a frame; or NULL. */
const char *dialect_call_problem(const struct scan_frame *f);
/* The members that connect has in both; auth (NULL: none) has the secrets. */
const char *dialect_credential(const struct json_object *auth, const char *name);
void	 dialect_read_common(struct json_object *params,
	    struct json_object *auth, struct proto_connect *ret);
/* The end of a failed answer, from details to the last two brackets. */
void	 dialect_error_tail(struct buf *out, const struct proto_error *e);

/* By the name of a subprotocol; NULL when it is not one of ours. */
const struct dialect *dialect_find(const char *name, size_t len);

#endif
