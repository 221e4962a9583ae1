/* SPDX-License-Identifier: MIT */
/*
 * Who is behind a tailnet address: asked of tailscaled over its unix socket,
 * without blocking, remembered for a minute.
 */
#ifndef ACCESS_WHOIS_H
#define ACCESS_WHOIS_H

#include "core/base/base.h"

#define WHOIS_SOCKET	"/var/run/tailscale/tailscaled.sock"
#define WHOIS_LOGIN_MAX	256	/* bytes of a login name */
#define WHOIS_WAIT_US	SEC_US(5)
#define WHOIS_OPEN_MAX	32	/* questions at a time */

struct loop;
struct whois;

/* login NULL: nobody knows. */
typedef void whois_fn(void *arg, const char *login);

struct whois	*whois_new(struct loop *l, const char *socket_path) must_use;
struct whois	*whois_free(struct whois *w);
/*
 * 1: known already, ret_login is filled ("" for nobody). 0: fn will be called,
 * once, unless whois_forget(arg). Negative: it cannot be asked.
 */
int		 whois_ask(struct whois *w, const char *address,
		    char ret_login[WHOIS_LOGIN_MAX], whois_fn *fn, void *arg);
void		 whois_forget(struct whois *w, const void *arg);

#endif
