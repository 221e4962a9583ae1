/* SPDX-License-Identifier: MIT */
/* What the files of plugin push share. */
#ifndef PLUGIN_PUSH_PUSH_H
#define PLUGIN_PUSH_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/access.h>
#include <chela/services/agent.h>
#include <chela/services/approvals.h>
#include <chela/services/http.h>
#include <chela/services/push.h>

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
	const struct chela_access_1	*access; /* or NULL: nobody is told */
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
void	 vapid_forget(void);
void	 vapid_close(void);

/* --- deliver.c --- */

struct delivery {
	bool	 is_ok;
	uint32_t status;		/* 0: there was no answer */
	uint32_t retry_after_s;		/* as the push service wishes; 0: none */
	char	 error[160];
};
typedef void deliver_done_fn(const struct delivery *d, void *arg);

struct deliver_opt {
	const char	*topic;		/* or NULL */
	uint32_t	 ttl_s;
	bool		 is_urgent;
};

/*
 * Encrypts and posts one message to a subscription; done comes now or later,
 * unless the plugin is stopped. An expired subscription is forgotten.
 */
struct send;
void	 deliver(const char *key, struct json_object *sub, uint64_t rev,
	    const char *payload, size_t len, const struct deliver_opt *opt,
	    deliver_done_fn *done, void *arg);
void	 deliver_close(void);

/* --- prefs.c --- */

int	 prefs_get(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
int	 prefs_set(struct chela_ctx *ctx, struct chela_req *req,
	    struct json_object *params);
/* What holds for a subscription, all members there; gives. */
struct json_object *prefs_effective(struct json_object *sub);
/* The name of a category CHELA_PUSH_*. */
const char *prefs_category(uint32_t category);

/* --- zone.c: what time it is elsewhere --- */

#define ZONE_NAME_MAX	128u
#define ZONE_PATH_MAX	(ZONE_NAME_MAX + 32u)

bool	 zone_is_name(const char *s);
void	 zone_path(const char *name, char ret[ZONE_PATH_MAX]);
/* Seconds east of UTC, by the bytes of a zone's file. */
int	 zone_offset(const uint8_t *p, size_t len, int64_t now, int32_t *ret);
/* 0..1439. -EAGAIN: not known yet, queue_run() follows. -ENOENT: no zone. */
int	 zone_minute(const char *name, uint64_t wall_ms);
void	 zone_close(void);

/* --- note.c: what is told, and to whom --- */

#define NOTE_TTL_S	300u
#define TOPIC_LEN	32u

/* Counted; shared by the jobs that carry it. */
struct note {
	unsigned	 refs;
	uint32_t	 category;
	uint32_t	 ttl_s;
	bool		 is_over;	/* an approval that is not open any more */
	char		*tag, *agent_id, *name, *url;	/* NULL: none but tag */
	char		*approval;	/* its id, or NULL */
	char		 topic[TOPIC_LEN + 1];
};

struct note *note_new(const struct chela_push_note *spec, const char *approval,
	    uint32_t ttl_s, bool is_over);
void	 note_put(struct note *n);
/*
 * 0: this subscription is to hear of it now. -EACCES: it may not, or does not
 * want to; -EAGAIN: that is not known yet, see zone_minute().
 */
int	 note_check(const struct note *n, struct json_object *sub);
/* What goes over the wire; gives. */
char	*note_payload(const struct note *n, struct json_object *sub);
bool	 note_is_urgent(const struct note *n);
/* To all that want it; returns to how many. */
int	 note_send(struct note *n);
extern const struct chela_push_1 push_service;
void	 note_open(void);

/* --- queue.c: what waits to be sent --- */

#define JOBS_MAX	2048u
#define TRIES_MAX	5u

int	 queue_open(void);
void	 queue_close(void);
/* With a reference of its own; an older one of its topic goes. -ENOSPC */
int	 queue_add(struct note *n, const char *key, const char *sub_id);
void	 queue_run(void);

/* --- sources.c: approvals and runs --- */

int	 sources_open(void);
void	 sources_close(void);
/* Is this question still open? */
bool	 approval_is_open(const char *id);
/* A subscription has been told of it. */
void	 approval_told(const struct note *n, const char *key,
	    const char *sub_id);

#endif
