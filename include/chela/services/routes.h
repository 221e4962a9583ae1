/* SPDX-License-Identifier: MIT */
/*
 * Service "core.routes/1" of the core: plain HTTP on the gateway's port (HTTP/1.0
 * and 1.1, RFC 9110 and 9112; TLS where the port has it). A plugin adds routes;
 * the core reads heads and bodies, keeps their limits, and writes answers.
 *
 * The life of a request: head() when its head is there. Then the plugin answers,
 * now or later, with reply(), reply_fd() or begin() ... end(); before that it may
 * authorize() and read_body(), each once. Exactly one of two things ends it: the
 * plugin completes the answer, or gone() is called (the client left, the core
 * answered in the plugin's place, or a time ended). After that rq is not valid.
 *
 * No callback comes from within a call of this table, but for remove(). Every
 * callback comes on the loop thread and may make every call.
 *
 * Before any plugin sees a request the core has answered: probes (/health and so
 * on), forwarding headers that nobody vouches for (403), 417, what cannot be read
 * (400, 414, 431, 501, 505), too many strangers of one address (503), and all
 * while the gateway starts, drains or ends (503).
 *
 * A client keeps its budget as a stranger until authorize() let it in or the
 * plugin calls trust(); only then may an answer take longer than
 * CHELA_ROUTE_STRANGER_US. A client that closes its half of the connection has left.
 * Connections are kept for further requests, one at a time (RFC 9112 section 9.3);
 * what was answered without its body being read ends them.
 */
#ifndef CHELA_SERVICES_ROUTES_H
#define CHELA_SERVICES_ROUTES_H

#include <chela/plugin.h>

#define CHELA_ROUTES_SERVICE "core.routes/1"

/* struct chela_route.flags */
#define CHELA_ROUTE_PREFIX	0x00000001u /* the path and all below it */
#define CHELA_ROUTE_FALLBACK	0x00000002u
	/*
	 * GET and HEAD that no other route takes; path is "/". One in a process.
	 * What is not its business it answers 404, as the core does without it.
	 */

#define CHELA_ROUTE_BODY_MAX	(UINT64_C(32) << 20) /* of one request */
#define CHELA_ROUTE_BODIES_MAX	(UINT64_C(64) << 20) /* of all, held at a time */
#define CHELA_ROUTE_BODY_US	UINT64_C(30000000)  /* default: the whole body */
#define CHELA_ROUTE_ANSWER_US	UINT64_C(120000000) /* default: to the answer */
#define CHELA_ROUTE_STRANGER_US	UINT64_C(300000000) /* all of it, unauthorized */
#define CHELA_ROUTE_STALL_US	UINT64_C(30000000)  /* nothing of it is taken */
#define CHELA_ROUTE_QUEUE_MAX	(UINT64_C(1) << 20) /* queued bytes of a stream */
#define CHELA_ROUTE_HEADERS_MAX	4096u	/* bytes of extra header lines */
#define CHELA_ROUTES_MAX	256u	/* routes of all plugins */

struct chela_http_in;		/* one request, until its answer is complete */

/* Strings are copied. Members appended later mean "as before" when zero. */
struct chela_route {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 flags;		/* CHELA_ROUTE_* */
	/*
	 * In canonical form: decoded, starts with "/", no empty segment, no "."
	 * or "..", no "/" at the end but in "/" itself. Of routes that match, an
	 * exact one comes first, then the longest prefix.
	 */
	const char	*path;
	/*
	 * "POST" or "GET, HEAD": another method is answered 405 with this as
	 * Allow, before head(). NULL: the plugin looks itself.
	 */
	const char	*methods;
	uint64_t	 max_body;	/* bytes; at most CHELA_ROUTE_BODY_MAX */
	/* Absolute, from read_body() to the last byte; 0: the default. */
	uint64_t	 body_timeout_us;
	/* Absolute, from head() or body() to reply() or begin(); 0: default. */
	uint64_t	 answer_timeout_us;
	/* JSON to say with 413 and 408; NULL: the common texts. */
	const char	*too_large;
	const char	*too_late;

	/* The head is there; nothing of the body was read. Never NULL. */
	void	(*head)(struct chela_ctx *ctx, struct chela_http_in *rq,
		    void *arg);
	/*
	 * The whole body after read_body(), and a NUL behind it that len does not
	 * count; lent. NULL: the route reads none.
	 */
	void	(*body)(struct chela_ctx *ctx, struct chela_http_in *rq,
		    const char *bytes, size_t len, void *arg);
	/* A stream's queue fell below half of CHELA_ROUTE_QUEUE_MAX; or NULL. */
	void	(*drain)(struct chela_ctx *ctx, struct chela_http_in *rq,
		    void *arg);
	/* It ended without the plugin's whole answer; the last call; or NULL. */
	void	(*gone)(struct chela_ctx *ctx, struct chela_http_in *rq,
		    void *arg);
};

/* What was refused by the core in the plugins' place, since the start. */
struct chela_routes_stats {
	uint32_t	struct_size;	/* set by the caller */
	uint32_t	reserved;
	uint64_t	requests;	/* that reached a route */
	uint64_t	unauthorized;	/* 401 and 403 by authorize() */
	uint64_t	limited;	/* 429 by authorize() */
	uint64_t	unattributed;	/* 403, forwarding headers */
	uint64_t	bad_method;	/* 405 */
	uint64_t	bad_body;	/* 400, the framing of a body */
	uint64_t	too_large;	/* 413 */
	uint64_t	too_late;	/* 408 */
	uint64_t	unanswered;	/* 503, no answer in its time */
	uint64_t	busy;		/* 503: drain, budgets, ceilings */
	uint64_t	gone;		/* left before the answer was complete */
	uint32_t	open;		/* requests under way now */
	uint32_t	reserved2;
};

struct chela_routes_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * -EINVAL: a path or a limit that is not allowed; -EEXIST: another has
	 * this path; -ENOSPC, -ENOMEM. The routes of a plugin are removed when it
	 * stops, before its stop().
	 */
	int	(*add)(struct chela_ctx *ctx, const struct chela_route *route,
		    void *arg);
	/*
	 * -ENOENT: not a route of this plugin. Requests under way are answered
	 * 503, their gone() is called before this returns.
	 */
	int	(*remove)(struct chela_ctx *ctx, const char *path);

	/* The request; strings are lent and valid as long as rq. */
	const char *(*method)(const struct chela_http_in *rq);	/* "POST" */
	const char *(*path)(const struct chela_http_in *rq);	/* canonical */
	const char *(*query)(const struct chela_http_in *rq);	/* as sent */
	/*
	 * Each pair of the query, decoded (application/x-www-form-urlencoded);
	 * lent until cb returns, which stops it with nonzero. -EBADMSG: an escape
	 * is incomplete, or it is no UTF-8, or holds a NUL.
	 */
	int	(*query_each)(const struct chela_http_in *rq,
		    int (*cb)(const char *name, const char *value, void *arg),
		    void *arg);
	/* The first of that name (lower case), or NULL. */
	const char *(*header)(const struct chela_http_in *rq, const char *name);
	int	(*header_each)(const struct chela_http_in *rq,
		    int (*cb)(const char *name, const char *value, void *arg),
		    void *arg);				/* nonzero stops */
	/* The client's address: the socket's, or whom a trusted proxy named. */
	const char *(*remote)(const struct chela_http_in *rq);
	int	(*is_local)(const struct chela_http_in *rq); /* loopback, direct */
	int	(*is_tls)(const struct chela_http_in *rq);

	/* The plugin's own pointer; NULL first. */
	void	(*set_user)(struct chela_http_in *rq, void *user);
	void	*(*user)(const struct chela_http_in *rq);

	/*
	 * Reads the body; body() follows, with no bytes where none was sent.
	 * -ENOTSUP: the route has no body(); -EALREADY: asked before; -EBUSY:
	 * an authorization is under way. What does not follow is refused by the
	 * core: 413 (declared: before anything is read; else as soon as it is
	 * counted), 408, 400, 503 at CHELA_ROUTE_BODIES_MAX.
	 * Answered without it, the body is not read and the connection closes.
	 */
	int	(*read_body)(struct chela_http_in *rq);

	/*
	 * The gateway's own authentication: the shared secret or an operator
	 * device's token as bearer, the identity that a proxy vouches for, or
	 * none, by the mode that is configured. done() when it is let in and has
	 * the scope ("read"; NULL: any); else the core answers 401, 403 or 429
	 * and gone() follows. -EALREADY, -EBUSY: a second one.
	 */
	int	(*authorize)(struct chela_http_in *rq, const char *scope,
		    void (*done)(struct chela_ctx *ctx,
		    struct chela_http_in *rq, void *arg));
	int	(*has_scope)(const struct chela_http_in *rq, const char *scope);
	/* The plugin has seen a credential of its own: no stranger any more. */
	void	(*trust)(struct chela_http_in *rq);

	/*
	 * The whole answer. type: the content type; NULL: plain text. headers:
	 * more lines, each with its CRLF, or NULL; Permissions-Policy replaces
	 * the one that every answer carries. Not allowed: Connection,
	 * Content-Length, Content-Type, Transfer-Encoding, Upgrade, Date.
	 * -EINVAL: status not 200..599, or headers; -EALREADY: it has begun.
	 * HEAD: give the same bytes as for GET, they are not sent.
	 */
	int	(*reply)(struct chela_http_in *rq, uint32_t status,
		    const char *type, const char *headers, const void *bytes,
		    size_t len);
	/*
	 * The whole answer from a regular file: len bytes from offset. Takes fd,
	 * on failure too. Read by a worker in pieces, never held as a whole; a
	 * file that is shorter ends the connection.
	 */
	int	(*reply_fd)(struct chela_http_in *rq, uint32_t status,
		    const char *type, const char *headers, int fd,
		    uint64_t offset, uint64_t len);
	/*
	 * An answer in pieces: chunked, or up to the end of the connection for
	 * HTTP/1.0. write(): -ENOBUFS when CHELA_ROUTE_QUEUE_MAX would be
	 * exceeded, nothing is queued then and drain() will come; -EPIPE before
	 * begin(). A client that takes nothing for CHELA_ROUTE_STALL_US is gone.
	 */
	int	(*begin)(struct chela_http_in *rq, uint32_t status,
		    const char *type, const char *headers);
	int	(*write)(struct chela_http_in *rq, const void *bytes, size_t len);
	int	(*end)(struct chela_http_in *rq);
	size_t	(*queued)(const struct chela_http_in *rq); /* bytes */
	void	(*stats)(struct chela_routes_stats *ret);
};

#endif
