/* SPDX-License-Identifier: MIT */
/* What the files of plugin push share. */
#ifndef PLUGIN_PUSH_PUSH_H
#define PLUGIN_PUSH_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/http.h>

#include "../common/json.h"
#include "webpush.h"

#define SUBS_MAX	1024u		/* subscriptions of a gateway */
#define SUBS_DEVICE_MAX	16u		/* of one device */
#define ENDPOINT_MAX	2048u
#define SUB_PREFIX	"sub/"
#define SUB_KEY_MAX	48u
#define SENDS_MAX	16u		/* deliveries at one time */
#define SEND_US		UINT64_C(30000000)
#define TTL_S		86400u

struct push {
	const struct chela_host		*host;
	struct chela_ctx		*ctx;
	const struct chela_http_1	*http;	/* or NULL */
	uint8_t				 private[WP_PRIVATE_LEN];
	uint8_t				 public[WP_PUBLIC_LEN];
	bool				 has_key;
};

extern struct push	push;

/* --- push.c --- */

int	 fail_bad(struct chela_req *req, const char *what);
/* The row of an endpoint, if it is the caller's; gives. Answers else: NULL. */
struct json_object *sub_of(struct chela_req *req, const char *endpoint,
	    char ret_key[SUB_KEY_MAX], uint64_t *ret_rev);

/* --- vapid.c: the gateway's own key --- */

/* r: 0, or why there is none. Now or later. */
typedef void vapid_done_fn(int r, void *arg);
void	 vapid_key(vapid_done_fn *done, void *arg);
void	 vapid_close(void);

/* --- deliver.c --- */

struct delivery {
	bool	 is_ok;
	uint32_t status;		/* 0: there was no answer */
	char	 error[160];
};
typedef void deliver_done_fn(const struct delivery *d, void *arg);

/*
 * Encrypts and posts one message to a subscription; done comes now or later,
 * unless the plugin is stopped. An expired subscription is forgotten.
 */
struct send;
void	 deliver(const char *key, struct json_object *sub, uint64_t rev,
	    const char *payload, size_t len, const char *topic,
	    deliver_done_fn *done, void *arg);
void	 deliver_close(void);

/* --- prefs.c --- */

int	 prefs_get(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 prefs_set(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);

#endif
