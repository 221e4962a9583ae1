/* SPDX-License-Identifier: MIT */
/* What the files of plugin channels share. */
#ifndef PLUGINS_CHANNELS_H
#define PLUGINS_CHANNELS_H

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/channel.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define CHANNELS_MAX		64
#define ACCOUNTS_MAX		256	/* that something is remembered of */
#define ID_MAX			256	/* bytes of any id from outside */
#define TEXT_MAX		(64u * 1024)	/* of one inbound message */
#define SEEN_MAX		4096	/* message ids for duplicates */
#define SEEN_STORED		500	/* of them, across a restart */
#define SEEN_KEY		"seen"
#define SEEN_STORE_US		UINT64_C(200000)
#define WAITING_MAX		1000	/* inbound messages, all chats */
#define CHAT_WAITING_MAX	50	/* of one chat */
#define PAIRING_PENDING_MAX	3	/* of one account */
#define PAIRING_TTL_MS		UINT64_C(3600000)
#define PAIRING_CODE_LEN	8
#define ALLOWED_MAX		1000	/* stored senders of one account */
#define SWEEP_US		UINT64_C(30000000)
#define BACKOFF_MIN_US		UINT64_C(1000000)
#define BACKOFF_MAX_US		UINT64_C(300000000)
#define DELIVERY_TRIES		3
#define DELIVERY_WAIT_US	UINT64_C(2000000)
#define PROBE_MIN_MS		1000
#define PROBE_MAX_MS		30000
#define PROBE_DEFAULT_MS	10000

/* What is remembered of an account while the daemon runs. */
struct account {
	char		 channel[ID_MAX + 1];
	char		 id[ID_MAX + 1];
	uint64_t	 last_inbound_ms;
	uint64_t	 last_outbound_ms;
	uint64_t	 last_start_ms;
	uint64_t	 last_stop_ms;
	uint64_t	 last_run_ms;
	uint64_t	 last_probe_ms;
	uint64_t	 retry_at_us;	/* 0: not waiting */
	uint32_t	 attempts;	/* restarts in a row */
	uint32_t	 active_runs;
	int		 stopped;	/* by hand */
	char		 error[256];
};

struct channels {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	struct chela_timer		*sweep;
	struct account			*accounts[ACCOUNTS_MAX];
	uint32_t			 n_accounts;
	char				*conf[CHANNELS_MAX]; /* as text */
	char				 conf_id[CHANNELS_MAX][ID_MAX + 1];
	uint32_t			 n_conf;
	char				 run[37];	/* id of this process */
};

extern struct channels channels;

/* channels_util.c */
void	put_str(struct json_object *obj, const char *key, const char *val);
void	put_int(struct json_object *obj, const char *key, uint64_t val);
void	put_bool(struct json_object *obj, const char *key, int val);
const void *service(const char *name);
/* Sorted by id; returns how many. */
uint32_t channels_get(const struct chela_channel_1 **ret, uint32_t max);
int	channel_find(const char *name, const struct chela_channel_1 **ret);
struct json_object *channel_conf(const char *channel);
/* A member of the account's part, else of the channel's; lent. */
struct json_object *account_conf(const char *channel, const char *account_id,
	    const char *key);
struct account *account_get(const char *channel, const char *account_id);
struct json_object *account_snapshot(const struct chela_channel_1 *ch,
	    const char *account_id);			/* gives, or NULL */
int	account_running(const struct chela_channel_1 *ch,
	    const char *account_id);

/* channels.c */
void	account_up(const char *channel, const char *account_id);
void	account_ended(const char *channel, const char *account_id,
	    const char *why);
void	sweep_soon(void);

/* channels_status.c */
chela_handler_fn channels_status;

/* channels_control.c */
chela_handler_fn channels_start_account;
chela_handler_fn channels_stop_account;
chela_handler_fn channels_logout;

/* channels_policy.c */
#define POLICY_NO	0
#define POLICY_YES	1
#define POLICY_PAIR	2	/* unknown: a code is due */
const char *dm_policy(const char *channel, const char *account_id);
int	policy_check(const struct chela_inbound *in);
int	session_key(const char *channel, const char *account_id,
	    const char *chat_type, const char *peer_id, const char *agent_id,
	    char *ret_key, size_t size);
/* The agent that the bindings give a message; ret has 65 bytes. */
void	bound_agent(const struct chela_inbound *in, char *ret);

/* channels_pairing.c */
chela_handler_fn channels_pairing_list;
chela_handler_fn channels_pairing_approve;
chela_handler_fn channels_pairing_dismiss;
const char *pairing_scope(struct chela_ctx *ctx, struct json_object *params);
int	pairing_allowed(const char *channel, const char *account_id,
	    const char *sender_id);
void	pairing_challenge(const struct chela_channel_1 *ch,
	    const struct chela_inbound *in);
void	pairing_sweep(void);

/* channels_inbound.c */
int	inbound_take(const struct chela_inbound *in);
void	inbound_stop(void);
void	inbound_start(void);

/* --- channels_audit.c --- */

void	 audit_inbound(const struct chela_inbound *in, const char *agent_id,
	    const char *run_id, bool is_failed);
void	 audit_reply(const struct chela_inbound *in,
	    const struct chela_channel_result *res, const char *agent_id,
	    const char *run_id);

#endif
