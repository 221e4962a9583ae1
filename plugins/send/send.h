/* SPDX-License-Identifier: MIT */
/* What the files of plugin send share. */
#ifndef PLUGINS_SEND_H
#define PLUGINS_SEND_H

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/channel.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define KEY_TEXT_MAX		256	/* bytes of an idempotencyKey */
#define TEXT_MAX		(1024u * 1024)
#define MEDIA_MAX		10
#define BUFFER_MAX		(16u * 1024 * 1024)	/* decoded */
#define FLIGHTS_MAX		256	/* deliveries at a time */
#define JOINED_MAX		32	/* calls that wait for one delivery */
#define RECORDS_MAX		1000
#define RECORD_TTL_MS		UINT64_C(86400000)
#define FAILURE_TTL_MS		UINT64_C(300000)
#define SWEEP_US		UINT64_C(60000000)
#define POLL_HOURS_MAX		168

/* One delivery: from the first call with its key to the last answer. */
struct flight {
	struct flight			*next;
	struct chela_req		*reqs[JOINED_MAX];
	uint32_t			 n_reqs;
	struct json_object		*params;
	const struct chela_channel_1	*channel;
	const char			*family;	/* "send", "poll", ... */
	const char			*verb;		/* of message.action */
	const char			*to;		/* in params */
	char				*bytes;
	size_t				 bytes_len;
	char				 hash[33];
	char				 account_id[257];
	char				 key[KEY_TEXT_MAX + 1];
	char				 session_key[CHELA_SESSION_KEY_MAX + 1];
	int				 mirror;
	/* What the callers are told. */
	struct json_object		*payload;
	const char			*code;
	char				*message;
	const char			*detail;	/* details.code */
};

struct send {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_channels_1	*channels;
	const struct chela_sessions_1	*sessions;
	struct flight			*flights;
	struct chela_timer		*sweep;
	uint32_t			 n_flights;
	uint32_t			 n_new;		/* since the sweep */
	char				 run[37];	/* id of this process */
};

extern struct send send;

/* send.c */
int	fail_bad(struct chela_req *req, const char *fmt, ...)
	    CHELA_PRINTF(2, 3);

/* send_key.c: one key, one delivery. */
/*
 * Gives a new flight, or NULL when the call was answered, or waits with another
 * one. params is lent.
 */
struct flight *flight_new(struct chela_req *req, const char *family,
	    struct json_object *params);
int	flight_alive(const struct flight *f);
/* Drops a flight that did not begin; its call has been answered. */
void	flight_drop(struct flight *f);
/* Notes that it begins and then calls go(). */
void	flight_begin(struct flight *f, void (*go)(struct flight *f));
/* Ends it: f->payload, or f->code and what belongs to it. */
void	flight_end(struct flight *f);
void	flight_fail(struct flight *f, const char *code, const char *detail,
	    const char *fmt, ...) CHELA_PRINTF(4, 5);
void	records_sweep(void);

/* send_route.c */
/*
 * These answer the call and return a negative value when they do not like it.
 */
int	route_channel(struct flight *f, struct chela_req *req,
	    const char *word);
int	route_target(struct flight *f, struct chela_req *req, const char *to);
int	route_session(struct flight *f, struct chela_req *req);
void	route_mirror(struct flight *f, const char *text);

/* send_deliver.c */
void	deliver_message(struct flight *f);
void	deliver_poll(struct flight *f);
void	deliver_action(struct flight *f);
int	media_check(struct flight *f, struct chela_req *req);

#endif
