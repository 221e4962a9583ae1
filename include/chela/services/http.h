/* SPDX-License-Identifier: MIT */
/*
 * Service "http/1": guarded outbound HTTP on the loop, exported by plugin http.
 *
 * Names are resolved off the loop; the connection is made to an address that was
 * checked, again on every redirect. Loopback, private, link-local and other
 * special addresses are refused unless CHELA_HTTP_TRUSTED says that the operator
 * wrote the URL into the configuration.
 */
#ifndef CHELA_SERVICES_HTTP_H
#define CHELA_SERVICES_HTTP_H

#include <chela/plugin.h>

#define CHELA_HTTP_SERVICE "http/1"

#define CHELA_HTTP_TRUSTED	0x00000001u /* private addresses allowed */

struct chela_http_call;			/* valid until done() returned */

struct chela_http_request {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_HTTP_* */
	const char		*method;	/* "POST"; NULL: GET */
	const char		*url;		/* http or https */
	const char *const	*headers;	/* "Name: value", NULL ends; or NULL */
	const void		*body;		/* copied; or NULL */
	size_t			 body_len;
	uint64_t		 connect_timeout_us; /* 0: 10 s */
	uint64_t		 idle_timeout_us; /* no byte for so long; 0: none */
	uint64_t		 timeout_us;	/* the whole call; 0: none */
	uint64_t		 max_bytes;	/* of the answer; 0: 64 MiB */
	uint32_t		 max_redirects;	/* 0: none are followed */
	uint32_t		 reserved;
};

struct chela_http_handler {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* The final answer's head is there. NULL: not wanted. */
	void	(*head)(struct chela_http_call *call, uint32_t status,
		    void *arg);
	/* A piece of the body; a negative return ends the call with it. */
	int	(*data)(struct chela_http_call *call, const char *bytes,
		    size_t len, void *arg);
	/*
	 * Last, exactly once, never from within start(). r: 0 when an answer
	 * of any status came to its end, else -ETIMEDOUT, -ECANCELED,
	 * -ECONNREFUSED, -EHOSTUNREACH, -EPERM (guard), -EMSGSIZE, -EPROTO,
	 * or what data() returned. detail is a sentence without secrets.
	 */
	void	(*done)(struct chela_http_call *call, int r, uint32_t status,
		    const char *detail, void *arg);
};

struct chela_http_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* Copies what it needs. ret_call stays valid until done() returned. */
	int	(*start)(const struct chela_http_request *rq,
		    const struct chela_http_handler *handler, void *arg,
		    struct chela_http_call **ret_call);
	/* done() follows with -ECANCELED, on a later turn of the loop. */
	void	(*cancel)(struct chela_http_call *call);
	/* A header of the answer, case ignored, or NULL; lent. */
	const char *(*header)(struct chela_http_call *call, const char *name);
};

#endif
