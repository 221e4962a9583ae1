/* SPDX-License-Identifier: MIT */
/*
 * Service "agent/1": runs, that is one turn of a model in a session, exported
 * by plugin agent.
 *
 * A run is named by its idempotency key. One session has one running run;
 * further ones wait in a bounded queue. A run ends exactly once: as final,
 * aborted or error.
 */
#ifndef CHELA_SERVICES_AGENT_H
#define CHELA_SERVICES_AGENT_H

#include <chela/plugin.h>

#define CHELA_AGENT_SERVICE "agent/1"

#define CHELA_RUN_ID_MAX	256u	/* bytes, without the NUL */
#define CHELA_IMAGE_BYTES_MAX	6291456u /* of one image, decoded */
#define CHELA_ATTACHMENT_BYTES_MAX 19464192u /* decoded, all of a message */

/* What a message does that meets a running run. */
#define CHELA_QUEUE_DEFAULT	0u	/* the session's, or configured */
#define CHELA_QUEUE_STEER	1u	/* before the next call of the model;
					   without tool calls: as FOLLOWUP */
#define CHELA_QUEUE_FOLLOWUP	2u	/* a run of its own, afterwards */
#define CHELA_QUEUE_COLLECT	3u	/* joined with those that wait */
#define CHELA_QUEUE_INTERRUPT	4u	/* aborts the running run first */

/* struct chela_agent_start.flags */
#define CHELA_AGENT_DELIVER	0x00000001u /* the answer goes to a channel */
#define CHELA_AGENT_BEST_EFFORT	0x00000002u /* a failed delivery is no error */
#define CHELA_AGENT_NO_PROMPT_ROW 0x00000004u /* message is not stored */
#define CHELA_AGENT_HEARTBEAT	0x00000008u

/* struct chela_agent_event.kind */
#define CHELA_AGENT_STATUS	1u	/* text: the phase */
#define CHELA_AGENT_STARTED	2u
#define CHELA_AGENT_DELTA	3u	/* text: the increment, all: so far */
#define CHELA_AGENT_TOOL	4u	/* data: as the agent event has it */
#define CHELA_AGENT_FINAL	5u	/* the three ends; see the members */
#define CHELA_AGENT_ABORTED	6u
#define CHELA_AGENT_ERROR	7u

struct chela_agent_start {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_AGENT_* */
	const char		*run_id;	/* the idempotency key */
	const char		*session_key;	/* any spelling */
	const char		*message;	/* may be "" with attachments */
	/* [{type:"image", mimeType, data, fileName?}], lent; or NULL */
	struct json_object	*attachments;
	const char		*model;		/* "provider/model"; NULL */
	const char		*thinking;	/* NULL: the session's */
	const char		*system;	/* added to the system prompt */
	const char		*lane;		/* NULL: "main" */
	uint64_t		 timeout_us;	/* 0: configured */
	uint32_t		 queue_mode;	/* CHELA_QUEUE_* */
	uint32_t		 reserved;
	/* Where the answer goes with DELIVER; NULL: where the session was
	 * last. They are also kept as the session's last route if given. */
	const char		*channel;
	const char		*to;
	const char		*account_id;
	const char		*thread_id;
	const char		*reply_to_id;	/* of a row; or NULL */
	uint64_t		 input;	/* fingerprint of it, for the caller */
};

/* One run; all strings are lent until the next turn of the loop. */
struct chela_agent_run {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 state;		/* CHELA_RUN_* of services/sessions.h */
	const char	*run_id;
	const char	*session_key;
	const char	*agent_id;
	uint64_t	 started_at_ms;	/* 0: not yet */
	uint64_t	 ended_at_ms;	/* 0: not yet */
	const char	*stop_reason;	/* or NULL */
	const char	*error;		/* or NULL */
	const char	*text;		/* the answer so far */
	const char	*message;	/* what it answers */
	uint64_t	 accepted_at_ms;
	uint64_t	 input;		/* as start() was given it */
	uint64_t	 ended_at_us;	/* by now_us(); 0: not yet */
};

/* What happened to a run. All is lent until the callback returns. */
struct chela_agent_event {
	uint32_t		 struct_size;
	uint32_t		 kind;		/* CHELA_AGENT_* */
	const char		*run_id;
	const char		*session_key;	/* canonical */
	const char		*session_id;
	const char		*agent_id;
	uint64_t		 seq;		/* of the agent event */
	const char		*text;
	size_t			 text_len;
	const char		*all;		/* the whole text so far */
	size_t			 all_len;
	struct json_object	*message;	/* the stored row, or NULL */
	struct json_object	*usage;		/* or NULL */
	struct json_object	*data;		/* errorDetail, tool data */
	const char		*stop_reason;
	const char		*error;		/* a sentence */
	const char		*error_kind;	/* "timeout", "rate_limit", ... */
	uint64_t		 timestamp_ms;	/* of the message */
	/* At the end, with DELIVER: "sent", "failed", "suppressed"; or NULL. */
	const char		*delivery;
};

struct chela_agent_watcher {
	uint32_t	struct_size;
	uint32_t	reserved;
	void	(*event)(const struct chela_agent_event *ev, void *arg);
};

struct chela_agent_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Copies what it needs. 0: it starts on the next turn of the loop, 1:
	 * it waits. -EALREADY: a run of that id is running, waiting or ended
	 * not long ago (state() tells), -ENOBUFS: the session's queue is full,
	 * -ENOSPC: too many sessions or runs, -EINVAL: ret_why gives a sentence
	 * (static or until the next call).
	 */
	int	(*start)(const struct chela_agent_start *rq,
		    const char **ret_why);
	/* 1: it will end as aborted; 0: it is ending by itself or has ended;
	 * -ENOENT: unknown. reason: "rpc", "stop", "timeout", "restart". */
	int	(*abort)(const char *run_id, const char *reason);
	/* Running and waiting runs of a session; ret_ids gives an array or is
	 * NULL. Returns how many. */
	int	(*abort_session)(const char *session_key, const char *reason,
		    struct json_object **ret_ids);
	/* -ENOENT: unknown, or ended more than ten minutes ago. */
	int	(*state)(const char *run_id, struct chela_agent_run *ret_run);
	/* Running first, then the waiting ones in order; NULL: all sessions. */
	int	(*each)(const char *session_key,
		    int (*cb)(const struct chela_agent_run *run, void *arg),
		    void *arg);
	/* Every event of every run from now on; lent until unwatch(). */
	int	(*watch)(const struct chela_agent_watcher *watcher, void *arg);
	void	(*unwatch)(const struct chela_agent_watcher *watcher,
		    void *arg);
	/*
	 * Checks the attachments of a call ([{type, mimeType, fileName,
	 * content}], content base64 or a data: URL). Gives the array that
	 * start() takes: NULL when nothing is left. -EINVAL: ret_why says it.
	 */
	int	(*attachments)(struct json_object *list,
		    struct json_object **ret_list, const char **ret_why);
	/* 0: a message may be sent in this session; -EPERM: a policy denies. */
	int	(*send_policy)(const char *session_key);
};

#endif
