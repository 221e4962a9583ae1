/* SPDX-License-Identifier: MIT */
/* The address of a gateway: ws://host[:port][/path][?query]. */
#ifndef CLIENT_URL_H
#define CLIENT_URL_H

#include "core/base/base.h"

#define URL_MAX		2048u
#define URL_HOST_MAX	255u

struct url {
	bool	 is_tls;
	char	 host[URL_HOST_MAX + 1];	/* IPv6 without brackets */
	char	 port[6];
	char	*authority;	/* as the Host field wants it */
	char	*target;	/* path and query, starts with "/" */
};

/* 0, -EINVAL or -ENOMEM; ret is untouched then. */
int	 url_parse(const char *text, struct url *ret) must_use;
/*
 * What is said there can only be read by others nearby: TLS, this machine, an
 * address of a private network, a name that only such a network has.
 */
bool	 url_is_guarded(const struct url *u);
void	 url_fini(struct url *u);

#endif
