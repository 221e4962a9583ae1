/* SPDX-License-Identifier: MIT */
/*
 * Service "channel/1": one way to people outside, exported by each channel
 * plugin; and "channels/1", exported by plugin channels: what a channel plugin
 * hands its inbound messages to, and what others find a channel with.
 */
#ifndef CHELA_SERVICES_CHANNEL_H
#define CHELA_SERVICES_CHANNEL_H

#include <chela/plugin.h>

#define CHELA_CHANNEL_SERVICE	"channel/1"	/* many */
#define CHELA_CHANNELS_SERVICE	"channels/1"	/* one */

/* struct chela_channel_1.flags */
#define CHELA_CHANNEL_INTERNAL	0x00000001u /* reaches own clients alone */
#define CHELA_CHANNEL_MEDIA	0x00000002u /* takes media */
#define CHELA_CHANNEL_MIRRORS	0x00000004u /* writes the session itself */

/* struct chela_channel_message.flags and struct chela_channel_poll.flags */
#define CHELA_SEND_SILENT	0x00000001u
#define CHELA_SEND_GIF		0x00000002u
#define CHELA_SEND_VOICE	0x00000004u
#define CHELA_SEND_DOCUMENT	0x00000008u
#define CHELA_SEND_HTML		0x00000010u
#define CHELA_SEND_ANONYMOUS	0x00000020u
#define CHELA_SEND_REPLY	0x00000040u /* answers an inbound message */

/* How a delivery ended. */
#define CHELA_CHANNEL_OK	0u
#define CHELA_CHANNEL_TARGET	1u	/* no such target */
#define CHELA_CHANNEL_UNSUPPORTED 2u
#define CHELA_CHANNEL_OFFLINE	3u	/* not configured, or not connected */
#define CHELA_CHANNEL_REFUSED	4u	/* by the other side, for good */
#define CHELA_CHANNEL_FAILED	5u	/* may work another time */
#define CHELA_CHANNEL_UNCERTAIN	6u	/* sent, but the answer never came */
#define CHELA_CHANNEL_QUEUED	7u	/* accepted for later */

struct chela_channel_media {
	const char	*url;		/* or NULL: bytes */
	const void	*bytes;
	size_t		 len;
	const char	*filename;	/* or NULL */
	const char	*content_type;	/* or NULL */
};

struct chela_channel_message {
	uint32_t				 struct_size;
	uint32_t				 flags;	/* CHELA_SEND_* */
	const char				*account_id; /* NULL: default */
	const char				*to;
	const char				*text;	/* or NULL */
	const struct chela_channel_media	*media;
	uint32_t				 n_media;
	uint32_t				 media_size; /* stride */
	const char				*reply_to_id;	/* or NULL */
	const char				*thread_id;	/* or NULL */
	const char				*key;	/* one delivery */
	const char				*agent_id;	/* or NULL */
};

struct chela_channel_poll {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_SEND_* */
	const char		*account_id;
	const char		*to;
	const char		*question;
	const char *const	*options;
	uint32_t		 n_options;
	uint32_t		 max_selections;
	uint64_t		 duration_s;	/* 0: the channel's own */
	const char		*thread_id;
	const char		*key;
};

/* All strings are lent, or NULL when not known. */
struct chela_channel_result {
	uint32_t		 struct_size;
	uint32_t		 status;	/* CHELA_CHANNEL_* */
	const char		*message;	/* a sentence, when not OK */
	const char		*message_id;
	const char		*chat_id;
	const char		*channel_id;
	const char		*conversation_id;
	const char		*to_jid;
	const char		*poll_id;
	const char		*session_key;	/* of a MIRRORS channel */
	struct json_object	*payload;	/* of an action; lent */
};

/* Once, and never from within the call that started it. */
typedef void chela_channel_done_fn(const struct chela_channel_result *res,
    void *arg);
typedef void chela_channel_probe_fn(struct json_object *probe, void *arg);
typedef void chela_channel_logout_fn(int r, const char *why, void *arg);

struct chela_channel_1 {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_CHANNEL_* */
	const char		*id;		/* "irc" */
	const char		*label;		/* "IRC" */
	const char		*detail;	/* longer label; NULL: label */
	const char		*image;		/* a symbol; NULL: none */
	const char *const	*actions;	/* "react", NULL ends; or NULL */
	uint32_t		 poll_options_max; /* 0: no polls */
	/* Characters of one message, 0: any. The channel splits longer ones. */
	uint32_t		 text_max;
	/* 1 when at least one account is configured. */
	int	(*configured)(void);
	/* The account meant when none is named; never NULL. */
	const char *(*default_account)(void);
	/* Gives an array of accounts: {accountId, configured, running, ...}. */
	int	(*accounts)(struct json_object **ret_accounts);
	/*
	 * Checks a target before anything is sent. Negative: ret_why says what
	 * a target has to look like.
	 */
	int	(*check_target)(const char *account_id, const char *to,
		    const char **ret_why);
	/* Copies what it keeps. After a negative return done is not called. */
	int	(*send)(const struct chela_channel_message *msg,
		    chela_channel_done_fn *done, void *arg);
	int	(*poll)(const struct chela_channel_poll *poll,	/* or NULL */
		    chela_channel_done_fn *done, void *arg);
	int	(*action)(const char *account_id, const char *verb,
		    struct json_object *params,			/* or NULL */
		    chela_channel_done_fn *done, void *arg);
	/*
	 * Both are idempotent and only begin: what becomes of it is seen in
	 * accounts(). -ENOENT: no such account. NULL: nothing to start.
	 */
	int	(*start)(const char *account_id);
	int	(*stop)(const char *account_id);
	/* done with 1: credentials were cleared, 0: there were none. */
	int	(*logout)(const char *account_id,		/* or NULL */
		    chela_channel_logout_fn *done, void *arg);
	/* done with an object {ok, ...} after at most timeout_us. */
	int	(*probe)(const char *account_id, uint64_t timeout_us,
		    chela_channel_probe_fn *done, void *arg);	/* or NULL */
};

/* A message from outside. */
struct chela_inbound {
	uint32_t		 struct_size;
	uint32_t		 mentioned;	/* names the agent */
	const char		*channel;
	const char		*account_id;
	const char		*chat_type;	/* "direct", "group", "channel" */
	const char		*sender_id;	/* one that cannot be forged */
	const char		*sender_name;	/* or NULL */
	const char		*chat_id;	/* where an answer goes */
	const char		*thread_id;	/* or NULL */
	const char		*text;
	const char		*message_id;	/* of the other side */
	struct json_object	*media;		/* array; or NULL */
	uint64_t		 timestamp_ms;
};

struct chela_channels_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Takes a message in; copies it. 1: it will be worked on, 0: seen
	 * before, or its sender is not allowed, -ENOBUFS: too many are waiting,
	 * -EINVAL: a member is missing or too long.
	 */
	int	(*inbound)(const struct chela_inbound *in);
	/*
	 * The channel of this name, or with NULL the only configured one
	 * (internal ones only when there is no other). -ENOENT: unknown,
	 * -ENODATA: none is configured, -ENOTUNIQ: several are.
	 */
	int	(*find)(const char *name,
		    const struct chela_channel_1 **ret_channel);
	/*
	 * A channel plugin tells that an account came up, and that it ended
	 * without being asked to: it is started again, with back-off.
	 */
	void	(*up)(const char *channel, const char *account_id);
	void	(*ended)(const char *channel, const char *account_id,
		    const char *why);
	/*
	 * The key of the session that a chat belongs to, by session.dmScope.
	 * agent_id NULL: the default one. -ENAMETOOLONG when it does not fit.
	 */
	int	(*session_key)(const char *channel, const char *account_id,
		    const char *chat_type, const char *peer_id,
		    const char *agent_id, char *ret_key, size_t size);
	/* Something was delivered through an account: shown in its status. */
	void	(*sent)(const char *channel, const char *account_id);
};

#endif
