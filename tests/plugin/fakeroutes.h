/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests to the routes of a plugin on the fake host, which always has
 * core.routes/1. It keeps the rules of the service (order of calls, what is
 * answered in the plugin's place), without a socket.
 *
 *	struct fake_http *h = fake_http(f, &(struct fake_http_opt){
 *	    .method = "POST", .path = "/hooks/wake", .body = "{}",
 *	    .headers = "Authorization: Bearer x\n" });
 *	... h->status == 200, fake_http_text(h) ...
 *	fake_http_free(h);
 */
#ifndef TESTS_PLUGIN_FAKEROUTES_H
#define TESTS_PLUGIN_FAKEROUTES_H

#include <chela/services/routes.h>

#include "core/base/buf.h"
#include "tests/plugin/fakehost.h"

/* Zero everywhere: GET / from this machine, with all scopes. */
struct fake_http_opt {
	const char	*method;	/* NULL: GET */
	const char	*path;		/* canonical, with "?query"; NULL: "/" */
	const char	*headers;	/* lines "Name: value\n" */
	const char	*body;		/* text; or NULL */
	size_t		 body_len;	/* 0: strlen(body) */
	const char	*remote;	/* NULL: "127.0.0.1", local */
	bool		 is_tls;
	bool		 is_slow;	/* no body until fake_http_fail() */
	/* What authorize() finds: "read write"; NULL: all; "-": 401. */
	const char	*scopes;
};

struct fake_http {
	/* What came of it; 0 until an answer has begun. */
	unsigned	 status;
	char		*type;		/* or NULL */
	char		*headers;	/* extra lines of the plugin, or NULL */
	struct buf	 body;		/* without the chunks of a stream */
	bool		 is_done;	/* the answer is complete, or gone() */
	bool		 is_gone;	/* gone() was called */
	bool		 is_trusted;
	bool		 is_by_core;	/* answered in the plugin's place */
	struct chela_http_in *rq;	/* its own; NULL once it is over */
};

/* head() is called at once, the rest comes on the loop. Never NULL. */
struct fake_http *fake_http_send(struct fake *f,
		    const struct fake_http_opt *opt) must_use;
/* Until the answer is complete: 0, or -ETIMEDOUT. */
int		 fake_http_wait(struct fake *f, struct fake_http *h);
/* Both. */
struct fake_http *fake_http(struct fake *f, const struct fake_http_opt *opt)
		    must_use;
/* The client leaves. */
void		 fake_http_leave(struct fake_http *h);
/* A time or a limit ended it: 408 (the body), 503 (the answer). */
void		 fake_http_fail(struct fake_http *h, unsigned status);
/*
 * From now on write() is -ENOBUFS; and what was queued is taken: drain() where
 * the plugin was told so.
 */
void		 fake_http_block(struct fake_http *h);
void		 fake_http_unblock(struct fake_http *h);
const char	*fake_http_text(struct fake_http *h);	/* the body; lent */
/* A header of the answer, case ignored; "" without. Lent until the next. */
const char	*fake_http_header(struct fake_http *h, const char *name);
void		 fake_http_free(struct fake_http *h);
/* How many routes all plugins have. */
size_t		 fake_routes_len(void);

/* For fakehost.c. */
extern const struct chela_routes_1 fake_routes;
void		 fake_routes_drop(struct chela_ctx *ctx);

#endif
