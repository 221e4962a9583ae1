/* SPDX-License-Identifier: MIT */
/* What the files of plugin http share: the call and the plugin's one state. */
#ifndef PLUGIN_HTTP_PRIV_H
#define PLUGIN_HTTP_PRIV_H

#include <netdb.h>
#include <sys/queue.h>

#include <chela/services/http.h>

#include "curl.h"

#define HTTP_CALLS_MAX		256		/* at a time */
#define HTTP_LOOKUPS_MAX	64		/* waiting for a resolver */
#define HTTP_ADDRS_MAX		16		/* of one name */
#define HTTP_URL_MAX		8192
#define HTTP_HOST_MAX		255
#define HTTP_HEADERS_MAX	64		/* of a request, in number */
#define HTTP_HEAD_MAX		65536		/* either way, in bytes */
#define HTTP_BODY_MAX		(64u << 20)	/* of a request */
#define HTTP_REDIRECTS_MAX	20		/* whatever the caller says */
#define HTTP_REDIRECT_BODY_MAX	65536		/* of an answer not delivered */
#define HTTP_BYTES_DEFAULT	(64u << 20)
#define HTTP_CONNECT_DEFAULT	10000000u	/* us */

enum step {
	STEP_QUEUED,		/* waits for the next turn */
	STEP_LOOKUP,		/* a worker has its job */
	STEP_CONNECT,		/* curl has it, no request sent yet */
	STEP_TALK,		/* request sent */
	STEP_DONE,		/* done() is running */
};

struct lookup;

/*
 * One call. Lives in http.calls from start() until done() returned. Only the
 * two steps between have its easy handle in the multi handle.
 */
struct chela_http_call {
	TAILQ_ENTRY(chela_http_call)	 link;
	struct chela_http_handler	 handler;
	void				*arg;
	enum step			 step;
	int				 is_cancelled;
	int				 is_trusted;	/* of the first host */
	uint32_t			 redirects_left;
	uint32_t			 redirects_asked;
	char				*method;
	char				*url;		/* of this hop */
	char				*body;
	size_t				 body_len;
	struct curl_slist		*headers;
	uint64_t			 connect_us;
	uint64_t			 idle_us;
	uint64_t			 max_bytes;

	/* Where this hop goes, as curl reads the URL. */
	char				 host[HTTP_HOST_MAX + 1];
	char				 scheme[8];
	uint16_t			 port;
	char				 first_host[HTTP_HOST_MAX + 1];
	char				 first_scheme[8];
	uint16_t			 first_port;
	struct lookup			*lookup;

	CURL				*easy;
	struct curl_slist		*pin;		/* host:port:addresses */
	struct chela_timer		*timer;
	uint64_t			 connect_by;	/* 0: none */
	uint64_t			 end_by;	/* 0: none */
	uint64_t			 last_us;	/* a byte moved */
	curl_off_t			 moved;

	uint32_t			 status;
	int				 is_redirect;	/* this answer is one */
	int				 is_head_told;
	char				*head;		/* lines, NUL between */
	size_t				 head_len;
	uint64_t			 got;
	int				 r;		/* why a callback said no */
	const char			*why;		/* static */
};

TAILQ_HEAD(calls, chela_http_call);
TAILQ_HEAD(lookups, lookup);

struct http {
	const struct chela_host	*host;
	struct chela_ctx	*ctx;
	struct calls		 calls;
	unsigned		 n_calls;
	struct lookups		 lookups;	/* done() has not come yet */
	unsigned		 n_lookups;
	struct chela_timer	*kick;		/* the queue, on the next turn */
	char			*ca_file;	/* NULL: the system's */
	int			 is_stopping;

	/* transfer.c */
	CURLM			*multi;
	struct chela_timer	*multi_timer;
};

extern struct http	 http;

/* http.c */
void	call_end(struct chela_http_call *call, int r, const char *detail);
void	call_arm(struct chela_http_call *call);

/* hop.c: from a URL to addresses that may be connected to. */
void	hop_start(struct chela_http_call *call);
/* Goes where a redirect points; ends the call when it may not. */
void	hop_follow(struct chela_http_call *call);
/* The call goes away: its look-up ends without it. */
void	hop_forget(struct chela_http_call *call);
/* Look-ups that workers still have: nobody waits for them any more. */
void	hop_fini(void);

/* transfer.c: the call in curl's hands. */
int	transfer_init(void);
void	transfer_fini(void);
void	transfer_start(struct chela_http_call *call);
void	transfer_drop(struct chela_http_call *call);
const char *transfer_header(const struct chela_http_call *call,
	    const char *name);

#endif
