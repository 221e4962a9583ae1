/* SPDX-License-Identifier: MIT */
/*
 * A scripted HTTP server on the test's loop, for plugins that make calls. It
 * reads a request and hands it to the test, which says byte by byte what comes
 * back; nothing is added, so that it can be wrong in any way.
 */
#ifndef TESTS_PLUGIN_SERVER_H
#define TESTS_PLUGIN_SERVER_H

#include "core/base/loop.h"

struct server;
struct server_conn;

struct server_rq {
	unsigned	 n;		/* from 0, over all connections */
	unsigned	 conn_n;	/* the connection's number, from 0 */
	const char	*head;		/* with the request line, NUL at its end */
	const char	*path;		/* of the request line */
	const char	*body;		/* NUL at its end */
	size_t		 body_len;
};

typedef void server_fn(struct server_conn *c, const struct server_rq *rq,
    void *arg);

struct server	*server_new(struct loop *l, server_fn *fn, void *arg) must_use;
struct server	*server_free(struct server *s);
const char	*server_url(const struct server *s);	/* http://127.0.0.1:N */
unsigned	 server_port(const struct server *s);
unsigned	 server_n_rqs(const struct server *s);
unsigned	 server_n_conns(const struct server *s); /* accepted ever */
unsigned	 server_n_open(const struct server *s);	/* now */
/* The value of a header of a request, or "". A static ring of 4. */
const char	*server_header(const struct server_rq *rq, const char *name);

/* All of these queue, in order. */
void		 server_say(struct server_conn *c, const char *text);
void		 server_write(struct server_conn *c, const void *p, size_t len);
/* In pieces of so many bytes, each on a turn of the loop of its own. */
void		 server_trickle(struct server_conn *c, const void *p,
		    size_t len, size_t piece);
/* Head of a 200 answer that ends with the connection; then the body's bytes. */
void		 server_stream(struct server_conn *c, const char *type);
/* A whole answer with its length. */
void		 server_answer(struct server_conn *c, unsigned status,
		    const char *extra_heads, const char *body);
/* So many bytes of 'x' as fast as they are taken. */
void		 server_flood(struct server_conn *c, uint64_t n);
void		 server_end(struct server_conn *c);	/* closes after all */
void		 server_reset(struct server_conn *c);	/* at once, with RST */

#endif
