/* SPDX-License-Identifier: MIT */
/* Plugin console: what its files share. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <chela/plugin.h>
#include <chela/services/agents.h>
#include <chela/services/routes.h>
#include <chela/services/state.h>

#include "../common/json.h"

#define BASE_MAX	256u		/* bytes of the path in front */
#define VISITS_MAX	64u		/* requests that wait for a file */
#define INDEX_MAX	(256u * 1024)	/* bytes of an index.html */
#define HASHES_MAX	16u		/* scripts within an index.html */
#define AVATAR_MAX	(2u * 1024 * 1024) /* bytes of an agent's picture */
#define SHA256_LEN	32u
#define HASH_TEXT_LEN	45u		/* base64 of one, and a NUL */

/* What answers have in common; each a line of the head. */
#define NO_CACHE	"Cache-Control: no-cache\r\n"
#define NO_FRAME	"X-Frame-Options: DENY\r\n"
#define NO_CONTENT_FROM	"default-src 'none'; base-uri 'none'; " \
			"object-src 'none'; frame-ancestors 'none'; " \
			"form-action 'none'"

struct settings {
	bool	 is_on;
	char	*base;		/* "" or "/console" */
	char	*root;		/* a folder, absolute; NULL: the page */
	bool	 is_bad;	/* it is refused, and the log says why */
};

/*
 * A request that waits: for its authorization, for the pool. Freed by whoever
 * leaves last, the loop or the worker.
 */
struct visit {
	TAILQ_ENTRY(visit)	 link;
	struct chela_http_in	*rq;		/* NULL: nobody waits */
	void			(*work)(struct visit *v);	/* on the pool */
	void			(*done)(struct visit *v);	/* has rq */
	int			 refs;		/* atomic */
	bool			 is_working;

	/* What is asked for. */
	char			*base;
	char			*root;
	char			*path;		/* below root */
	bool			 is_page_fit;	/* index.html may stand for it */
	bool			 is_meta;
	char			 id[CHELA_AGENT_ID_MAX + 1]; /* of an agent */

	/* What was found. */
	int			 r;
	const char		*reason;	/* why there is no picture */
	const char		*type;
	int			 fd;
	uint64_t		 size;
	char			 etag[64];
	char			*text;		/* instead of fd */
	size_t			 text_len;
	char			 hashes[HASHES_MAX * (HASH_TEXT_LEN + 10u) + 1];
};

struct console {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_routes_1	*routes;
	const struct chela_state_1	*state;
	const struct chela_agents_1	*agents;	/* or NULL */
	struct settings			 set;
	TAILQ_HEAD(, visit)		 visits;
	unsigned			 n_visits;
};

extern struct console	 console;

/* console.c */
/* NULL: too many wait, which was answered. */
struct visit *visit_new(struct chela_http_in *rq);
/* Takes v; done() comes with an rq, or v is freed without. */
void	 visit_run(struct visit *v, void (*work)(struct visit *v),
	    void (*done)(struct visit *v));
/* Ends it, before its answer is given; the request is no more v's. */
struct chela_http_in *visit_leave(struct visit *v);
void	 visit_free(struct visit *v);		/* the loop's part of it */
void	 reply_text(struct chela_http_in *rq, uint32_t status,
	    const char *headers, const char *text);
void	 reply_not_found(struct chela_http_in *rq);

/* console_file.c */
/* 0, or -errno with a sentence in why: no such folder may be served. */
int	 root_check(const char *root, char *why, size_t size);
void	 file_serve(struct chela_http_in *rq, const char *path);
const char *type_of(const char *path);
bool	 has_etag(struct chela_http_in *rq, const char *etag);

/* console_html.c */
/* SHA-256 of bytes in base64. */
void	 hash_text(const char *bytes, size_t len, char ret[HASH_TEXT_LEN]);
/*
 * An application's index.html as it is sent: told where it is, v->hashes names
 * the scripts in it. Replaces v->text. 0 or -ENOMEM.
 */
int	 html_prepare(struct visit *v);

/* console_page.c */
void	 page_serve(struct chela_http_in *rq);

/* console_info.c */
void	 info_serve(struct chela_http_in *rq);
void	 avatar_serve(struct chela_http_in *rq, const char *id);

#endif
