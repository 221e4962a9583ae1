/* SPDX-License-Identifier: MIT */
/*
 * One client at the door: from what it sent to a yes or no. Most answers are there
 * at once; some wait, for a lookup, for the disk, or because a wrong secret is
 * answered slowly.
 */
#ifndef ACCESS_ENTRY_H
#define ACCESS_ENTRY_H

#include "core/access/access.h"

struct entry;
typedef void entry_done_fn(struct entry *e);

#define ENTRY_REASON_SIZE	96
#define ENTRY_MESSAGE_SIZE	160
#define ENTRY_GRANTS_MAX	3	/* at most so many records are written */

enum entry_locality {
	ENTRY_REMOTE,
	ENTRY_DIRECT_LOCAL,
	ENTRY_BROWSER_LOCAL,	/* a page that a container's host shows */
};

/* Filled by who asks; all lent until done() was called. */
struct entry_claim {
	struct auth_claim	 auth;
	struct device_proof	 proof;		/* if auth.has_device */
	const char		*nonce;		/* that the proof must name */
	struct device_about	 about;
	const char		*host;
	const char		*peer;		/* the socket's address */
	enum proxy_kind		 kind;
	const char		*bootstrap_token;
	/* Said by a proxy; NULL: nothing. */
	const char		*proxy_user;
	const char		*proxy_problem;	/* mode trusted-proxy: why not */
	const char		*scopes_cap;	/* x-openclaw-scopes */
	const char		*tailnet_login;
	bool			 is_funnel;	/* a proxy says: from the public */
};

/* A token to be handed out with hello. */
struct entry_token {
	char		 text[TOKEN_SIZE];
	uint32_t	 role, scopes;
	uint64_t	 issued_ms;
};

struct entry_wait;

struct entry {
	struct access		*access;
	struct entry_claim	 claim;
	entry_done_fn		*done;
	void			*arg;

	/* What came of it. */
	bool			 is_in;
	bool			 is_delayed;	/* it waited for its answer */
	struct auth_grant	 grant;
	bool			 is_device_token;	/* it came with one */
	bool			 is_shared;	/* with the shared secret */
	char			 issuer[TOKEN_SIZE];
	char			 device_id[DEVICE_ID_SIZE];	/* "": none */
	struct entry_token	 tokens[TOKEN_COUNT];
	size_t			 n_tokens;
	struct auth_refusal	 no;
	bool			 is_retryable;
	uint64_t		 retry_after_ms;	/* 0: not said */
	bool			 can_retry_with_token;
	struct buf		 details;	/* of a refusal; JSON or empty */
	struct buf		 message;	/* longer than no.message, or empty */

	/* Its own. */
	enum entry_locality	 locality;
	unsigned char		 key[DEVICE_KEY_LEN];
	char			 reason[ENTRY_REASON_SIZE];
	char			 setup_id[37];
	char			 generation[AUTH_GENERATION_SIZE]; /* of the secret,
					 * when it was looked at */
	uint64_t		 delay_us;	/* before a refusal is said */
	unsigned		 n_grants;
	bool			 has_asked;	/* for scopes, before any cap */
	char			 used_setup[37];	/* "" or what was used up */
	bool			 is_delivered;	/* hello was written */
	struct list		 link;		/* in access.delayed */
	struct entry_wait	*wait;		/* for the disk */
};

/* e: access, claim, done, arg are set, the rest is zero. done may come at once. */
void	 entry_start(struct entry *e);
/*
 * The same for one HTTP request with the gateway's own authentication (http.md
 * section 1 of the protocol description): claim.auth.token is the bearer, or NULL;
 * origin_problem is why the page it comes from may not, or NULL. Then is_in and
 * grant.scopes, or no.reason ("rate_limited" has retry_after_ms).
 */
void	 entry_start_http(struct entry *e, const char *origin_problem);
/* done will not be called; and frees what e holds. In any state. */
void	 entry_fini(struct entry *e);

#endif
