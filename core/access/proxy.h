/* SPDX-License-Identifier: MIT */
/*
 * Whose request it is: from the socket's address and the headers that proxies
 * add, once for each request. Pure; headers come through a callback, so that
 * nothing here knows how a head is kept.
 */
#ifndef ACCESS_PROXY_H
#define ACCESS_PROXY_H

#include <netinet/in.h>

#include "core/base/base.h"

#define PROXY_NETS_MAX		64	/* trusted addresses and networks */
#define PROXY_HOPS_MAX		1000	/* entries of X-Forwarded-For */
#define PROXY_ADDRESS_SIZE	46
#define PROXY_HEADERS_MAX	16	/* that must be there */
#define PROXY_USERS_MAX		256	/* that are let in */

struct proxy_net {
	struct in6_addr	 addr;		/* IPv4 as mapped */
	uint8_t		 bits;		/* of the 128 */
};

struct proxy_nets {
	struct proxy_net	 nets[PROXY_NETS_MAX];
	size_t			 n;
};

enum proxy_kind {
	PROXY_DIRECT_LOCAL,
	PROXY_DIRECT_REMOTE,
	PROXY_TRUSTED,		/* a trusted proxy named the client */
	PROXY_TAILSCALE,	/* on the listener for Tailscale Serve */
	PROXY_UNKNOWN,		/* refuse: headers that nobody vouches for */
};

/* The n-th value of a header, or NULL; and all names in turn. */
struct proxy_headers {
	const char	*(*get)(const void *arg, const char *name);
	unsigned	 (*count)(const void *arg, const char *name);
	bool		 (*next)(const void *arg, unsigned *i,
			    const char **ret_name, const char **ret_value);
	const void	*arg;
};

struct proxy_rules {
	struct proxy_nets	 trusted;
	bool			 has_real_ip;	/* X-Real-IP where no other is */
};

struct proxy_origin {
	enum proxy_kind	 kind;
	char		 client[PROXY_ADDRESS_SIZE];
};

/* Adds "10.0.0.0/8", "::1" or such. -EINVAL, -ENOSPC. */
int	 proxy_net_add(struct proxy_nets *nets, const char *text);
bool	 proxy_net_has(const struct proxy_nets *nets, const char *address);
bool	 proxy_is_loopback(const char *address);
/* Private, link-local, shared or loopback. */
bool	 proxy_is_private(const char *address);
/* One of this machine's own. -1: that cannot be told. */
int	 proxy_is_own(const char *address);

void	 proxy_attribute(const struct proxy_rules *rules, const char *peer,
	    bool is_serve, const struct proxy_headers *h,
	    struct proxy_origin *ret);

/* Identity that a proxy vouches for (mode trusted-proxy). */
struct proxy_users {
	bool		 is_set;	/* a header is configured */
	char		*user_header;	/* lower case; gives */
	char		*required[PROXY_HEADERS_MAX];
	size_t		 n_required;
	char		*allowed[PROXY_USERS_MAX];
	size_t		 n_allowed;
	bool		 allows_loopback;
};

void	 proxy_users_fini(struct proxy_users *u);
/*
 * NULL and the user, or the reason. reason_buf is for those that name a header.
 */
const char *proxy_user(const struct proxy_users *u,
	    const struct proxy_rules *rules, const char *peer,
	    const struct proxy_headers *h, char *reason_buf, size_t size,
	    const char **ret_user);

#endif
