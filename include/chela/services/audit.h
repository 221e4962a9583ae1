/* SPDX-License-Identifier: MIT */
/*
 * Service "audit/1", exported by plugin audit: what happened, for the ledger. It
 * keeps who, what and how it ended; never what was said, asked, read or written.
 */
#ifndef CHELA_SERVICES_AUDIT_H
#define CHELA_SERVICES_AUDIT_H

#include <chela/plugin.h>

#define CHELA_AUDIT_SERVICE "audit/1"

#define CHELA_AUDIT_TEXT_MAX	256u	/* bytes of one text; longer ones are cut */
#define CHELA_AUDIT_PENDING_MAX	4096u	/* events that wait to be written */

/* A run of an agent or a use of a tool. NULL and 0: not known. */
struct chela_audit_action {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 is_tool;	/* else a run */
	/* "started", "succeeded", "failed", "cancelled", "timed_out",
	 * "blocked"; of a tool "unknown", too. */
	const char	*status;
	const char	*agent_id;	/* needed */
	const char	*run_id;	/* needed */
	const char	*session_key;
	const char	*session_id;
	const char	*tool_call_id;
	const char	*tool_name;
	/* A name that makes a repetition harmless: what has been recorded
	 * under it lately is not recorded again. */
	const char	*source_id;
};

/* struct chela_audit_security.flags */
#define CHELA_AUDIT_EACH	0x00000001u /* never counted, always written */

/* Something that touches who may do what. */
struct chela_audit_security {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 flags;		/* CHELA_AUDIT_* */
	const char	*action;	/* "auth.failed", "config.changed" */
	const char	*status;	/* "succeeded", "failed", "blocked" */
	const char	*actor_type;	/* "device", "client", "system" */
	const char	*actor_id;	/* never a secret */
	const char	*detail;	/* a few words, or NULL */
};

/*
 * A message of a channel that has been dealt with. Names of people, chats and
 * messages are kept as an HMAC alone. NULL and 0: not known.
 */
struct chela_audit_message {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 is_outbound;
	const char	*channel;	/* needed: "irc" */
	/* Inbound: "succeeded", "blocked", "failed". Outbound: these, where
	 * "blocked" needs a reason, and "unknown". */
	const char	*status;
	const char	*conversation;	/* "direct", "group", "channel" */
	const char	*account_id;
	const char	*chat_id;
	const char	*message_id;
	const char	*sender_id;	/* inbound */
	const char	*target;	/* outbound: as it was asked for */
	const char	*delivery;	/* outbound: "text", "media", "other" */
	const char	*reason;	/* a code of the protocol, or NULL */
	const char	*agent_id;
	const char	*run_id;
	uint64_t	 duration_ms;
	uint32_t	 is_queued;	/* it failed or is unknown in the queue */
	uint32_t	 reserved;
};

struct chela_audit_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * Best effort: 0 also where auditing is off. -EINVAL: it breaks a rule
	 * of the ledger; -EAGAIN: too many wait.
	 */
	int	(*action)(struct chela_ctx *ctx,
		    const struct chela_audit_action *a);
	/* The same again within a minute is counted, not written. */
	int	(*security)(struct chela_ctx *ctx,
		    const struct chela_audit_security *s);
	/* As action(); 0 also where messages are not recorded. */
	int	(*message)(struct chela_ctx *ctx,
		    const struct chela_audit_message *m);
};

#endif
