/* SPDX-License-Identifier: MIT */
/*
 * Who is paired: records by device id, requests that wait, tokens, setup codes.
 * Records and setup codes are in the store, requests in memory alone: who asks
 * asks again. A change is in force at once; what was given away by it counts only
 * when its done() says that it is durable.
 */
#ifndef ACCESS_PAIRING_H
#define ACCESS_PAIRING_H

#include "core/access/device.h"
#include "core/base/base.h"
#include "core/base/buf.h"

struct json_object;
struct loop;
struct store;

#define PAIRING_NS		"core.access"
#define PAIRING_DEVICES_MAX	65536	/* records */
#define PAIRING_PENDING_MAX	256	/* requests that wait */
#define PAIRING_SOURCE_MAX	32	/* of these, from one source */
#define PAIRING_NEW_MAX		60	/* new requests a minute and source */
#define PAIRING_TTL_MS		300000	/* of a request, from its last sight */
#define PAIRING_SETUP_MS	600000	/* of a setup code */
#define PAIRING_SETUPS_MAX	64	/* setup codes at a time */
#define PAIRING_TEXT_MAX	256	/* bytes of what a device calls itself */
#define PAIRING_LABEL_MAX	64	/* characters */
#define PAIRING_PRUNE_MS	60000	/* silent twins younger than that stay */
#define PAIRING_SURFACE_MAX	KIB(64)	/* bytes of a node's surface */
#define TOKEN_SIZE		44	/* 43 characters and a NUL */

enum { TOKEN_OPERATOR, TOKEN_NODE, TOKEN_COUNT };

struct token {
	char		 text[TOKEN_SIZE];
	unsigned char	 digest[32];	/* what is compared */
	uint32_t	 scopes;
	uint64_t	 created_ms, rotated_ms, revoked_ms, last_used_ms;
	char		 issuer[TOKEN_SIZE];	/* "" or the secret's generation */
};

/* What a device says of itself; pointers lie in one allocation, "" if unsaid. */
struct device_about {
	const char	*display_name, *platform, *device_family;
	const char	*client_id, *client_mode, *origin, *remote;
};

struct device {
	struct list		 link;		/* by approval */
	char			 id[DEVICE_ID_SIZE];
	unsigned char		 key[DEVICE_KEY_LEN];
	struct device_about	 about;		/* gives */
	char			*label;		/* or NULL */
	uint32_t		 roles;
	uint32_t		 scopes;	/* the approved baseline */
	struct token		*tokens[TOKEN_COUNT];
	uint64_t		 created_ms, approved_ms, seen_ms;
	char			 via[16];	/* "silent", "owner", "setup" */
	struct json_object	*surface, *pending_surface;
	uint64_t		 generation;
	uint32_t		 n_open;	/* its connections */
	bool			 is_stale;	/* memory is ahead of the disk */
	bool			 is_seen_dirty;
};

struct pending {
	struct list		 link;		/* by last sight */
	char			 id[37];
	char			 device_id[DEVICE_ID_SIZE];
	unsigned char		 key[DEVICE_KEY_LEN];
	struct device_about	 about;
	char			 source[48];
	uint32_t		 role, roles, scopes;
	bool			 is_repair;
	bool			 is_upgrade;	/* asked for by a method */
	uint64_t		 ts_ms, seen_ms;
	char			 setup_id[37];	/* "" or what it came with */
};

/* A setup code; the token itself is not kept. */
struct setup {
	struct list	 link;
	char		 id[37];
	unsigned char	 digest[32];
	char		 profile[24];
	uint32_t	 roles, scopes;
	bool		 is_exact;	/* the scopes as a whole or not at all */
	uint64_t	 expires_ms;
	char		 device_id[DEVICE_ID_SIZE];	/* "" or who came first */
	bool		 is_used;
	bool		 is_delivered;	/* what it gave was sent */
	uint64_t	 used_ms;
	uint32_t	 used_role;
};

typedef void pairing_done_fn(void *arg, int r);
/* what: PAIRING_*; data is lent. */
typedef void pairing_event_fn(void *arg, unsigned what, const char *device_id,
    struct json_object *data);

#define PAIRING_REQUESTED	1u
#define PAIRING_RESOLVED	2u
#define PAIRING_CHANGED		3u
#define PAIRING_SETUP_DONE	4u
#define PAIRING_SETUP_UNCERTAIN	5u	/* used, its tokens maybe lost */

struct pairing;

/* Reads what is stored. Records that make no sense are reported and have no
 * authority; they stay where they are. */
int	 pairing_open(struct loop *l, struct store *s, struct pairing **ret)
	    must_use;
struct pairing *pairing_close(struct pairing *p);	/* before the store */
void	 pairing_free(struct pairing *p);	/* after the store */
void	 pairing_on_event(struct pairing *p, pairing_event_fn *fn, void *arg);

struct device *pairing_get(struct pairing *p, const char *device_id);
struct pending *pairing_pending(struct pairing *p, const char *request_id);
struct pending *pairing_pending_of(struct pairing *p, const char *device_id);
size_t	 pairing_len(const struct pairing *p);
size_t	 pairing_n_pending(const struct pairing *p);

/* What a connection or an approver asks for. */
struct pairing_ask {
	const char		*device_id;
	const unsigned char	*key;
	struct device_about	 about;		/* lent */
	const char		*source;	/* see limit_source() */
	uint32_t		 role;
	uint32_t		 scopes;
	bool			 is_upgrade;
	const char		*setup_id;	/* or NULL */
	const char		*issuer;	/* of a new token, or NULL */
};

/*
 * Finds or makes the request. *ret is lent. -EDQUOT: this source asks too often.
 */
int	 pairing_request(struct pairing *p, const struct pairing_ask *ask,
	    struct pending **ret);
/*
 * Makes or widens the record and mints a token for the role. via: "silent", ... .
 * done may be NULL.
 */
int	 pairing_grant(struct pairing *p, const struct pairing_ask *ask,
	    const char *via, pairing_done_fn *done, void *arg,
	    struct device **ret);
/* Grants what is pending; it is gone afterwards. */
int	 pairing_approve(struct pairing *p, struct pending *q, const char *via,
	    pairing_done_fn *done, void *arg, struct device **ret);
/* decision: "rejected". Takes setup codes bound to the device with it. */
void	 pairing_reject(struct pairing *p, struct pending *q);
int	 pairing_remove(struct pairing *p, struct device *d,
	    pairing_done_fn *done, void *arg);
int	 pairing_rename(struct pairing *p, struct device *d, const char *label,
	    pairing_done_fn *done, void *arg);
/* Older silent twins that are not connected go. */
void	 pairing_prune(struct pairing *p, const struct device *keep);

/*
 * The token of a role. mint replaces the one that is there; rotated says that it
 * was asked for.
 */
int	 pairing_mint(struct pairing *p, struct device *d, uint32_t role,
	    uint32_t scopes, const char *issuer, bool is_rotation,
	    pairing_done_fn *done, void *arg);
int	 pairing_revoke(struct pairing *p, struct device *d, uint32_t role,
	    pairing_done_fn *done, void *arg);
struct token *device_token(const struct device *d, uint32_t role);
/* In constant time, over digests. */
bool	 token_is(const struct token *t, const char *text);
/* The device whose token of this role this is, or NULL. Revoked ones are none. */
struct device *pairing_by_token(struct pairing *p, uint32_t role,
	    const char *text);
/* Seen now; written down later, together with others. */
void	 pairing_seen(struct pairing *p, struct device *d, struct token *t);

int	 pairing_surface(struct pairing *p, struct device *d,
	    struct json_object *approved, struct json_object *pending,
	    pairing_done_fn *done, void *arg);		/* takes both */

/* Setup codes. ret_token gets the only copy of it. */
int	 pairing_setup_new(struct pairing *p, const char *profile,
	    char ret_token[TOKEN_SIZE], struct setup **ret,
	    pairing_done_fn *done, void *arg);
/* The code that this is, still good for this device, or NULL. */
struct setup *pairing_setup_find(struct pairing *p, const char *token,
	    const char *device_id);
struct setup *pairing_setup_get(struct pairing *p, const char *setup_id);
/* It now belongs to the device; or it is used up. done may be NULL. */
int	 pairing_setup_bind(struct pairing *p, struct setup *s,
	    const char *device_id);
int	 pairing_setup_used(struct pairing *p, struct setup *s, uint32_t role);
/* How it ended for who used it: the tokens were sent, or it left before. */
void	 pairing_setup_end(struct pairing *p, const char *setup_id,
	    bool is_delivered);

/* JSON; gives NULL without memory. */
struct json_object *device_json(const struct device *d);	/* no tokens */
struct json_object *pending_json(const struct pending *q);
/* {pending[], paired[]}; only: NULL or the one device to show. */
struct json_object *pairing_list(struct pairing *p, const char *only);

#endif
