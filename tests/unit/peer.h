/* SPDX-License-Identifier: MIT */
/* A gateway for tests of clients: real sockets, scripted answers. */
#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

#include <json-c/json.h>

#include "core/base/loop.h"
#include "core/ws/ws.h"

#define PEER_CLOCK	"1795342844905"	/* what its wall clock shows */

struct peer;

struct peer_script {
	/* Instead of 101, when not NULL: a whole HTTP response. */
	const char	*http;
	bool		 is_silent;	/* sends no challenge */
	bool		 is_deaf;	/* accepts, and does not even upgrade */
	/*
	 * Every request of a client that was upgraded. The peer answers
	 * "connect" itself when this is NULL or returns false.
	 */
	bool		(*on_request)(struct peer *p, const char *id,
			    const char *method, struct json_object *params,
			    void *arg);
	void		(*on_close)(struct peer *p, unsigned code, void *arg);
	void		*arg;
	const char	*hello;		/* NULL: a small one */
};

/* Listens on a free port of the loopback. */
struct peer	*peer_new(struct loop *loop, const struct peer_script *s);
struct peer	*peer_free(struct peer *p);
unsigned	 peer_port(const struct peer *p);
unsigned	 peer_accepted(const struct peer *p);	/* connections so far */
unsigned	 peer_pongs(const struct peer *p);
/* To the client that is connected now. */
void		 peer_send(struct peer *p, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));
void		 peer_send_frame(struct peer *p, enum ws_opcode op,
		    const void *data, size_t len);
void		 peer_send_raw(struct peer *p, const void *data, size_t len);
void		 peer_send_close(struct peer *p, unsigned code,
		    const char *reason);
void		 peer_hang_up(struct peer *p);

#endif
