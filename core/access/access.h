/* SPDX-License-Identifier: MIT */
/*
 * All that is asked when somebody wants in: rules from the configuration, secrets,
 * limits, pairing. One in a process; loop thread only.
 */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "core/access/auth.h"
#include "core/access/limit.h"
#include "core/access/pairing.h"
#include "core/access/proxy.h"
#include "core/access/whois.h"

struct identity;
struct loop;
struct store;

#define ACCESS_IDENTITIES_MAX	256	/* users with scopes of their own */

struct access_identity {
	char		*name;		/* gives */
	uint32_t	 scopes;
};

struct access {
	struct loop		*loop;
	struct auth		 auth;
	struct proxy_rules	 proxies;
	struct proxy_users	 users;
	struct access_identity	*identities;
	size_t			 n_identities;
	struct proxy_nets	 auto_nets;	/* nodes from there are let in */
	bool			 is_auto_local;
	bool			 has_tailscale;
	/* Devices of users that a proxy vouches for need no approval. */
	bool			 has_proxy_enrol;
	bool			 is_enrol_default;	/* no list of scopes is set */
	uint32_t		 enrol_scopes;	/* at most these */
	bool			 is_loopback_exempt;
	bool			 is_loopback_only;	/* it listens nowhere else */
	struct limit		*failed;	/* by address */
	struct limit		*local;		/* this machine: only slowed down */
	struct limit		*pages;		/* browsers: nobody is exempt */
	struct pairing		*pairing;	/* NULL: no store, no devices */
	struct whois		*whois;
	struct identity		*identity;
	/* Answers to wrong secrets from this machine that are held back. */
	struct list		 delayed;
	struct loop_timer	*delay_timer;
};

struct access	*access_new(struct loop *l) must_use;
/* Before the store is closed; after that. */
void		 access_stop(struct access *a);
struct access	*access_free(struct access *a);
/* The pairing store and the gateway's own key. Blocks. */
int		 access_open(struct access *a, struct store *s,
		    const char *state_dir, struct buf *why);
void		 access_set_limits(struct access *a,
		    const struct limit_rules *rules, bool is_loopback_exempt);
/* Forgets rules that are to be read again. */
void		 access_clear_rules(struct access *a);

#endif
