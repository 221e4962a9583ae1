/* SPDX-License-Identifier: MIT */
/*
 * Asking people before something is done.
 *
 * Service "approvals/1", exported by plugin exec-approvals: may this exact
 * program with these exact arguments run? What was approved is what runs: the
 * answer is bound to the SHA-256 of the whole plan and is good for one run.
 *
 * Service "approval.records/1", exported by plugin approvals: the one place
 * where open and answered questions of all kinds are kept. A plugin with a kind
 * of its own registers it and opens records; it does not answer for others.
 */
#ifndef CHELA_SERVICES_APPROVALS_H
#define CHELA_SERVICES_APPROVALS_H

#include <chela/plugin.h>

#define CHELA_APPROVALS_SERVICE		"approvals/1"
#define CHELA_APPROVAL_RECORDS_SERVICE	"approval.records/1"

#define CHELA_APPROVAL_ID_MAX	128u	/* bytes, without the NUL */
#define CHELA_PLAN_ARGS_MAX	4096u
#define CHELA_PLAN_BYTES_MAX	65536u	/* of all texts of a plan together */

/* An answer. */
#define CHELA_DECISION_NONE	0u	/* none came: see the reason */
#define CHELA_ALLOW_ONCE	1u
#define CHELA_ALLOW_ALWAYS	2u
#define CHELA_DENY		3u

/* What the policy says of a plan. */
#define CHELA_POLICY_DENY	0u
#define CHELA_POLICY_ASK	1u
#define CHELA_POLICY_ALLOW	2u

/*
 * What is to run. Two plans are the same when all members are: argv byte by
 * byte, env as a set of names and values, and NULL is not "".
 */
struct chela_plan {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 argc;		/* at least 1 */
	const char *const	*argv;
	const char		*cwd;		/* or NULL */
	struct json_object	*env;		/* {name: value}, or NULL; lent */
	const char		*agent_id;	/* or NULL */
	const char		*session_key;	/* or NULL */
	const char		*node_id;	/* NULL: the gateway's own machine */
};

/*
 * How a request ended. ALLOW_ONCE and ALLOW_ALWAYS are yes, all else is no, and
 * NONE comes with reason "timeout", "no-route", "run-aborted", "policy" or
 * another. A yes that the policy or its fallback gave without a person has
 * reason "policy". All lent.
 */
typedef void chela_approval_done_fn(struct chela_ctx *ctx, const char *id,
    uint32_t decision, const char *reason, void *arg);

/* verdict is CHELA_POLICY_*; why is a sentence for a person, lent. */
typedef void chela_policy_done_fn(struct chela_ctx *ctx, uint32_t verdict,
    const char *why, void *arg);

struct chela_approval_ask {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 timeout_ms;	/* 0: the default */
	struct chela_conn	*caller;	/* who wants it, or NULL */
	const char		*run_id;	/* or NULL */
	const char		*warning;	/* shown to who answers; or NULL */
	const char		*id;		/* a name for it, or NULL: a new one */
};

struct chela_approvals_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/* -E2BIG: more than the limits; -EINVAL: empty, or not UTF-8. */
	int	(*digest)(const struct chela_plan *plan, char ret_hex[65]);

	/*
	 * What the policy document says alone; asks nobody. done comes once, on
	 * a later turn: the document is read anew.
	 */
	int	(*check)(struct chela_ctx *ctx, const struct chela_plan *plan,
		    chela_policy_done_fn *done, void *arg);

	/*
	 * The policy, and where it says so a person. done comes exactly once,
	 * on a later turn of the loop, unless a negative value is returned;
	 * after a yes the id can be claimed. An answer "always" is kept for
	 * later plans like this one. The programs of a node are unknown here:
	 * a person is asked unless the policy is "full" or "deny". ret_id (may
	 * be NULL) has CHELA_APPROVAL_ID_MAX + 1 bytes.
	 * -E2BIG, -EINVAL: as digest(); -EDQUOT: too many wait; -EEXIST: id.
	 */
	int	(*request)(struct chela_ctx *ctx, const struct chela_plan *plan,
		    const struct chela_approval_ask *ask, char *ret_id,
		    chela_approval_done_fn *done, void *arg);

	/*
	 * The run begins: may it? Once for each id. caller must be who asked
	 * (the same connection or the same device); NULL: the gateway itself.
	 * ret_plan (may be NULL) gives the stored plan {argv[], cwd, env{},
	 * agentId, sessionKey, nodeId}: that is what has to run.
	 *   -ENOENT   unknown, expired, from before a restart
	 *   -EAGAIN   not answered yet
	 *   -EACCES   answered, and not with yes
	 *   -EALREADY spent
	 *   -EPERM    another asked
	 *   -EBADMSG  another plan; the approval is spent by the attempt
	 */
	int	(*claim)(const char *id, struct chela_conn *caller,
		    const struct chela_plan *plan, struct json_object **ret_plan);

	/*
	 * Who asked gave up: done comes with "run-aborted" if it has not come
	 * yet, and the id can not be claimed any more.
	 */
	int	(*cancel)(const char *id);
	/* Drops all requests of this context with that argument (NULL: all)
	 * without calling done: for stop(). */
	void	(*forget)(struct chela_ctx *ctx, void *arg);
};

/* --- approval.records/1 --- */

/* How a record stands. */
#define CHELA_RECORD_PENDING	0u
#define CHELA_RECORD_ALLOWED	1u
#define CHELA_RECORD_DENIED	2u
#define CHELA_RECORD_EXPIRED	3u
#define CHELA_RECORD_CANCELLED	4u

struct chela_approval_record;		/* valid until its kind's gone() */

/* What is known of a record; all lent until the next turn of the loop. */
struct chela_record_info {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 status;	/* CHELA_RECORD_* */
	uint32_t		 decision;	/* CHELA_DECISION_NONE, ... */
	uint32_t		 allowed;	/* bits 1 << CHELA_ALLOW_ONCE, ... */
	const char		*id;
	const char		*kind;
	const char		*reason;	/* "" while pending */
	const char		*agent_id;	/* "": none */
	const char		*session_key;	/* "": none */
	const char		*resolved_by;	/* display name, "": nobody */
	struct json_object	*request;	/* as the events show it */
	struct json_object	*presentation;
	uint64_t		 created_ms;
	uint64_t		 expires_ms;
	uint64_t		 resolved_ms;	/* 0: pending */
	uint32_t		 grant_days;	/* of an "always"; 0: for ever */
	uint32_t		 is_mine;	/* opened since the daemon started */
	/* Who was asked: "approval-client", a connection; "forwarder", only
	 * what watches; "" nobody. */
	const char		*route;
	const char		*resolver_kind;	/* "device", "system", ...; "" */
	const char		*resolver_id;	/* "" none */
	/* Its end by now_us(), whatever the wall clock does; of one that is not
	 * is_mine 0. */
	uint64_t		 until_us;
};

typedef void chela_record_done_fn(struct chela_ctx *ctx,
    const struct chela_record_info *info, void *arg);

/* struct chela_approval_kind.flags */
#define CHELA_KIND_BROADCAST	0x00000001u /* all of the scope hear of it */

struct chela_approval_kind {
	uint32_t	struct_size;
	uint32_t	flags;		/* CHELA_KIND_* */
	const char	*kind;		/* "exec" */
	const char	*prefix;	/* of new ids: "exec:", or "" */
	/* A capability that makes its connections able to answer, beside
	 * "approvals". */
	const char	*cap;
	/*
	 * The event for a new record, to conn alone, someone who can answer it;
	 * with BROADCAST to all, once (conn NULL), if somebody can. payload is
	 * lent: {approvalKind, id, request, createdAtMs, expiresAtMs}.
	 */
	void	(*requested)(struct chela_conn *conn,
		    struct json_object *payload);
	/*
	 * The event for a finished one, to all of the family, lent: {id,
	 * decision, resolvedBy, ts, request}; after it is durable.
	 */
	void	(*resolved)(const struct chela_record_info *info,
		    struct json_object *payload);
};

/* A new record. */
struct chela_record_open {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 allowed;	/* bits; 0: all three */
	const char		*kind;
	const char		*id;		/* NULL: a new one */
	const char		*agent_id;	/* or NULL */
	const char		*session_key;	/* or NULL */
	struct chela_conn	*caller;	/* or NULL */
	struct json_object	*request;	/* takes, on failure too */
	struct json_object	*presentation;	/* takes, on failure too */
	uint32_t		 timeout_ms;
	uint32_t		 reserved;
};

/* Who hears of every record, of all kinds. */
struct chela_record_watcher {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * A new one is stored. Returns how many it can tell who may answer: a
	 * question that no connection can answer stays open for them.
	 */
	int	(*opened)(const struct chela_record_info *info, void *arg);
	/* One has ended, durably. */
	void	(*ended)(const struct chela_record_info *info, void *arg);
};

struct chela_approval_records_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/* The table is lent until drop_kind(). -EEXIST */
	int	(*add_kind)(const struct chela_approval_kind *kind);
	void	(*drop_kind)(const char *kind);

	/*
	 * Opens a record and tells those who can answer. opened (may be NULL)
	 * comes once it is durable, and done when it has ended, which may be at
	 * once: nobody can answer. Both in the context ctx. -EEXIST: the id is
	 * or was in use; -EDQUOT: too many are open. ret_id as in request().
	 */
	int	(*open)(struct chela_ctx *ctx,
		    const struct chela_record_open *spec, char *ret_id,
		    chela_record_done_fn *opened, chela_record_done_fn *done,
		    void *arg);
	/* done when the record has ended, or at the next turn if it has. */
	int	(*wait)(struct chela_ctx *ctx, const char *id,
		    chela_record_done_fn *done, void *arg);
	/* Drops all waits of this context with that argument; NULL: all. */
	void	(*unwait)(struct chela_ctx *ctx, void *arg);
	/* A record, if conn (NULL: the gateway) may see it; else -ENOENT. */
	int	(*info)(const char *id, struct chela_conn *conn,
		    struct chela_record_info *ret);
	/* The id that starts so, if it is one pending record's; else -ENOENT. */
	int	(*find_prefix)(const char *kind, const char *prefix,
		    struct chela_conn *conn, char *ret_id);
	/* Pending ones that conn may see, oldest first: an array; gives. */
	int	(*pending)(const char *kind, struct chela_conn *conn,
		    struct json_object **ret);
	/*
	 * The first answer wins: 1 it was this one, 0 another came before. done
	 * comes once that is durable, with the canonical record; one that is
	 * still pending could not be stored. -ENOENT; -EINVAL: not an allowed
	 * decision.
	 */
	int	(*resolve)(struct chela_ctx *ctx, const char *id,
		    struct chela_conn *conn, uint32_t decision,
		    uint32_t grant_days, chela_record_done_fn *done, void *arg);
	/* Ends it without an answer: "run-aborted". */
	int	(*cancel)(const char *id);
	/*
	 * What is open in a session, for who begins to watch it: gives
	 * {sessionKey, updatedAtMs, approvals[], truncated}. Later changes are
	 * the event session.approval to the topic "approvals:<key>".
	 */
	int	(*replay)(const char *session_key, struct chela_conn *conn,
		    struct json_object **ret);
	/* Lent until unwatch(), which may be called for none. -ENOSPC */
	int	(*watch)(const struct chela_record_watcher *watcher, void *arg);
	void	(*unwatch)(const struct chela_record_watcher *watcher,
		    void *arg);
};

#endif
