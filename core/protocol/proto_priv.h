/* SPDX-License-Identifier: MIT */
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

struct peer *peer_new(struct proto *p, struct conn *c) must_use;
void	 peer_close(struct peer *p);	/* the connection is gone */

/* A connect request; id and params as they stand in the frame. */
void	 connect_handle(struct peer *p, const char *id, size_t id_len,
	    const char *params, size_t params_len, char params_kind);

#endif
