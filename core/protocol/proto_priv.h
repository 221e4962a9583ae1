/* SPDX-License-Identifier: MIT */
/* The members of struct proto, and what the files of core/protocol share. */
#ifndef PROTOCOL_PROTO_PRIV_H
#define PROTOCOL_PROTO_PRIV_H

#include "core/base/buf.h"
#include "core/base/loop.h"
#include "core/protocol/proto.h"

struct proto {
	struct loop		*loop;
	struct proto_hooks	 hooks;
	struct proto_settings	 settings;
	const struct schema	*connect_native;
	const struct schema	*connect_openclaw;
	char			*version;
	char			*boot_id;
	struct list		 peers;
	uint32_t		 n_peers;
	struct buf		 out;		/* scratch for one frame */
	struct buf		 name;		/* scratch for a decoded name */
	struct list		 larges;	/* frames that wait for a worker */
	uint32_t		 n_larges;	/* being read */
	size_t			 large_bytes;	/* of both */
};

/* http.c */
struct http_head;
void	 proto_headers(const struct http_head *head, struct proxy_headers *ret);

struct peer *peer_new(struct proto *p, struct conn *c) must_use;
void	 peer_close(struct peer *p);	/* the connection is gone */

void	 peer_drop_door(struct peer *p);

/* A connect request; id and params as they stand in the frame. */
void	 connect_handle(struct peer *p, const char *id, size_t id_len,
	    const char *params, size_t params_len, char params_kind);

/* Another frame while one is waiting for its answer: copied. */
void	 connect_queue(struct peer *p, const char *data, size_t len);
/* The connection is gone: nobody waits; the device has one less. */
void	 connect_forget(struct peer *p);
void	 connect_left(struct peer *p);

/* proto.c: a message that was queued. */
void	 proto_message(struct peer *p, char *data, size_t len);
/* A frame was scanned. large is its text when a worker did it: taken. */
void	 proto_frame(struct peer *p, const struct scan_frame *f, char *large);
void	 proto_limits(size_t len, struct scan_limits *lim);

/* large.c: a frame that is longer than PROTO_LARGE; data is lent. */
void	 proto_large(struct peer *p, char *data, size_t len);

#endif
