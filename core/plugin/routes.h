/* SPDX-License-Identifier: MIT */
/* Plain HTTP for plugins: which routes there are, and requests under way. */
#ifndef PLUGIN_ROUTES_H
#define PLUGIN_ROUTES_H

#include <chela/services/routes.h>

#include "core/access/entry.h"
#include "core/net/http.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/http.h"

#define ROUTE_MAGIC	0x48545450u

/* Strings of desc are its own. */
struct route {
	struct list		 link;		/* in routes.list, or .dead */
	struct chela_ctx	*ctx;
	struct chela_route	 desc;
	void			*arg;
	size_t			 path_len;
	char			*allow;		/* a header line, or NULL */
	struct list		 requests;
	uint64_t		 warned_us;	/* of the last warning */
};

/* How far authorize() is. */
enum route_auth {
	AUTH_UNASKED,
	AUTH_ASKED,		/* entry waits, or its end is due */
	AUTH_PASSED,
};

/*
 * Lives until the turn's end after its answer is complete: who answers twice in a
 * callback is told, and touches nothing that was freed.
 */
struct chela_http_in {
	uint32_t		 magic;
	struct list		 link;		/* in route.requests, or .over */
	struct list		 due;		/* in routes.due, or alone */
	struct route		*route;
	struct hreq		*q;		/* NULL: it is over */
	void			*user;
	bool			 is_ending;	/* gone() is on the stack */
	bool			 is_streaming;
	uint8_t			 auth;		/* enum route_auth */
	uint32_t		 closure;	/* scopes, after AUTH_PASSED */
	uint32_t		 needed;
	void			(*passed)(struct chela_ctx *ctx,
				    struct chela_http_in *rq, void *arg);
	struct entry		*entry;		/* while AUTH_ASKED */
	struct proto_bearer	 bearer;
	struct proxy_origin	 from;
};

/* One in a process, as the host is. */
struct routes {
	struct host		*host;
	struct list		 list;		/* of routes */
	size_t			 n;
	struct list		 dead;		/* routes and requests that are */
	struct list		 over;		/* freed at the end of the turn */
	struct list		 due;		/* an authorization was decided */
	bool			 is_run_due;
	struct chela_routes_stats stats;
};
extern struct routes	 routes;

int	 routes_add(struct chela_ctx *ctx, const struct chela_route *desc,
	    void *arg);

/* The plugin completed the answer. */
void	 rq_end(struct chela_http_in *rq);
/* The core answers in the plugin's place, and tells it. */
void	 rq_refuse(struct chela_http_in *rq, const struct net_reply *reply);
void	 rq_json(struct chela_http_in *rq, unsigned status, const char *extra,
	    const char *json);
int	 rq_authorize(struct chela_http_in *rq, uint32_t needed,
	    void (*passed)(struct chela_ctx *ctx, struct chela_http_in *rq,
	    void *arg));
/* A scope that was asked for is decided: the rest at the end of the turn. */
void	 rq_later(struct chela_http_in *rq);
void	 rq_decided(struct chela_http_in *rq);
void	 rq_drop_entry(struct chela_http_in *rq);
void	 rq_call(struct chela_http_in *rq, const char *what,
	    void (*fn)(struct chela_ctx *ctx, struct chela_http_in *rq,
	    void *arg));

#endif
