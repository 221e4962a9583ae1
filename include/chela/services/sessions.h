/* SPDX-License-Identifier: MIT */
/*
 * Service "sessions/1": the sessions of all agents and their transcripts,
 * exported by plugin sessions.
 *
 * A session is named by its key. Every function takes any spelling of a key
 * ("main", "agent:main:main") and works on the canonical one. Functions that
 * take a done callback call it exactly once, on a later turn of the loop,
 * unless they returned a negative value themselves.
 */
#ifndef CHELA_SERVICES_SESSIONS_H
#define CHELA_SERVICES_SESSIONS_H

#include <chela/plugin.h>

#define CHELA_SESSIONS_SERVICE "sessions/1"

#define CHELA_SESSION_KEY_MAX	500u	/* bytes of a key, without the NUL */
#define CHELA_SESSION_AGENT_MAX	64u	/* bytes of an agent's id */

/* struct chela_sessions_1.append flags */
#define CHELA_APPEND_QUIET	0x00000001u /* no session.message event */

/* struct chela_sessions_1.read flags */
#define CHELA_SESSION_READ_ALL	0x00000001u /* rows from before a reset too */

/* How a run of a session stands; see run_state(). */
#define CHELA_RUN_NONE		0u	/* nothing is running any more */
#define CHELA_RUN_QUEUED	1u
#define CHELA_RUN_RUNNING	2u
#define CHELA_RUN_DONE		3u	/* the last run ended well */
#define CHELA_RUN_FAILED	4u
#define CHELA_RUN_KILLED	5u	/* aborted */
#define CHELA_RUN_TIMEOUT	6u
#define CHELA_RUN_LOST		7u	/* the daemon ended before it did */

/* What is known of a session without parsing its entry; all lent. */
struct chela_session_info {
	uint32_t	 struct_size;	/* set by the caller */
	uint32_t	 run_status;	/* CHELA_RUN_* of the last run */
	const char	*key;		/* canonical */
	const char	*agent_id;
	const char	*session_id;	/* UUID */
	const char	*label;		/* "" when it has none */
	uint64_t	 updated_at_ms;
	uint64_t	 first_seq;	/* of the rows since the last reset */
	uint64_t	 last_seq;	/* of the newest row, 0: no row yet */
	uint32_t	 active_runs;	/* running and queued */
	uint32_t	 is_main;
};

/* A row that is to be appended. */
struct chela_session_append {
	uint32_t		 struct_size;
	uint32_t		 flags;		/* CHELA_APPEND_* */
	const char		*key;
	/*
	 * {role, content, timestamp?, ...}: role user, assistant, toolResult
	 * or system. The service adds timestamp and the member "__openclaw".
	 */
	struct json_object	*row;		/* takes, on failure too */
	const char		*id;		/* NULL: a new UUID */
	const char		*run_id;	/* or NULL */
	const char		*idempotency_key; /* or NULL */
	const char		*reply_to_id;	/* another row's, or NULL */
};

/*
 * seq is the row's position (1 is the first since a reset), id its name. The
 * row is on disk when r is 0 and its events have been sent.
 */
typedef void chela_session_append_fn(int r, uint64_t seq, const char *id,
    void *arg);

/*
 * Rows in rising order, in the form in which chat.history gives them; seq of a
 * row is its position. The text is lent until the callback returns.
 */
typedef void chela_session_read_fn(int r, const struct chela_row *rows,
    size_t n, void *arg);

typedef void chela_session_done_fn(int r, void *arg);

/*
 * What starts and stops runs; plugin chat gives it to sessions (which can not
 * depend on it), for sessions.send, .steer, .abort, .create, .delete and
 * .reset.
 */
struct chela_session_runner {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* Answers req as chat.send with these parameters would. */
	int	(*send)(struct chela_req *req, struct json_object *params);
	/*
	 * The same without a request: 0 and the answer of chat.send, or a
	 * negative value and {code, message}. Gives ret_answer in both cases.
	 */
	int	(*start)(struct chela_req *req, struct json_object *params,
		    struct json_object **ret_answer);
	/*
	 * Aborts one run, or with run_id NULL all of the session. Returns how
	 * many; ret_ids gives an array of the run ids; it may be NULL.
	 */
	int	(*abort)(const char *key, const char *run_id,
		    const char *reason, struct json_object **ret_ids);
};

struct chela_sessions_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * The canonical spelling. agent_id NULL: the key alone decides.
	 * -EINVAL: not a key, -ENAMETOOLONG, -EXDEV: the key names another
	 * agent than agent_id. ret_key has CHELA_SESSION_KEY_MAX + 1 bytes.
	 */
	int	(*canonical)(const char *key, const char *agent_id,
		    char *ret_key);
	/* The agent of a key; ret_agent has CHELA_SESSION_AGENT_MAX + 1. */
	int	(*agent_of)(const char *key, char *ret_agent);
	/* Key of an agent's main session (NULL: the default agent). */
	int	(*main_key)(const char *agent_id, char *ret_key);
	/* As agents are configured: the normalised id, -ENOENT: unknown. */
	int	(*agent_id)(const char *name, char *ret_agent);

	/* -ENOENT: no such session. ret_info is lent until the next turn. */
	int	(*info)(const char *key, struct chela_session_info *ret_info);
	/* The key of a session id, or of a label; lent, or NULL. */
	const char *(*find_id)(const char *session_id);
	const char *(*find_label)(const char *label);
	/* Newest first, all (NULL) or one agent's; nonzero stops. */
	int	(*each)(const char *agent_id,
		    int (*cb)(const struct chela_session_info *info, void *arg),
		    void *arg);
	/* The stored entry: sessionId, label, modelOverride, ... Gives. */
	int	(*get)(const char *key, struct json_object **ret_entry);
	/*
	 * Makes the entry if there is none, and merges fields (takes; or NULL;
	 * a null member clears). Returns 1 when it was made. The change can be
	 * seen at once; it is durable a moment later, before any later append.
	 * -ENOSPC: too many sessions. created_via: "operator", "channel",
	 * "cron", "run", ... or NULL.
	 */
	int	(*ensure)(const char *key, struct json_object *fields,
		    const char *created_via);
	/*
	 * Merges fields (takes) and sends sessions.changed; done may be NULL.
	 */
	int	(*patch)(const char *key, struct json_object *fields,
		    const char *reason, chela_session_done_fn *done,
		    void *arg);
	/* See the type; done may be NULL. The session must exist. */
	int	(*append)(const struct chela_session_append *row,
		    chela_session_append_fn *done, void *arg);
	/* Up to max rows and max_bytes, the last ones before position before
	 * (0: the newest). No such session: no rows. */
	int	(*read)(const char *key, uint64_t before, uint32_t max,
		    size_t max_bytes, uint32_t flags,
		    chela_session_read_fn *done, void *arg);
	/* reason: "new" or "reset". Makes the session if there is none. */
	int	(*reset)(const char *key, const char *reason,
		    chela_session_done_fn *done, void *arg);
	/* Keeps the last rows only, keep of them. */
	int	(*trim)(const char *key, uint32_t keep,
		    chela_session_done_fn *done, void *arg);

	/*
	 * A run of the session changed (status CHELA_RUN_*): the session's
	 * rows show it, sessions.changed is sent with phase (or NULL: not
	 * sent). error: a sentence for FAILED, else NULL.
	 */
	int	(*run_state)(const char *key, const char *run_id,
		    uint32_t status, const char *phase, const char *error);
	/* An event "session.tool" to those who watch the session's messages. */
	int	(*tool)(const char *key, struct json_object *payload);
	/* The row of sessions.list for a key; gives, or NULL. */
	struct json_object *(*row)(const char *key);
	/* The object "defaults" of sessions.list for an agent; gives. */
	struct json_object *(*defaults)(const char *agent_id);
	/*
	 * Sums of usage of one agent (NULL: all) by day, "2026-01-31" in local
	 * time, in rising order; totals is {input, output, cacheRead, ...} as
	 * usage.cost gives it and is lent; nonzero stops.
	 */
	int	(*usage_days)(const char *agent_id, const char *from_day,
		    const char *to_day, int (*cb)(const char *day,
		    const char *agent, struct json_object *totals, void *arg),
		    void *arg);
	/* Kept until NULL is set; lent, must stay valid. */
	void	(*set_runner)(const struct chela_session_runner *runner);
	/* The row of that id ("__openclaw".id): one row, or none. */
	int	(*find_row)(const char *key, const char *id,
		    chela_session_read_fn *done, void *arg);
	/* Deletes a session and its transcript. -EBUSY: a run is active. */
	int	(*remove)(const char *key, chela_session_done_fn *done,
		    void *arg);
};

#endif
