/* SPDX-License-Identifier: MIT */
/* What the files of plugin exec-approvals share. */
#ifndef EXEC_PRIV_H
#define EXEC_PRIV_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/approvals.h>

#include "../approval-common/asked.h"

#define KIND		"exec"

#define TIMEOUT_DEFAULT_MS	1800000u	/* half an hour */
#define TIMEOUT_MAX_MS		86400000u
#define FILE_MAX		(1u << 20)	/* bytes of the document */
#define GRANTS_MAX		500u
#define BINDINGS_MAX		4096u		/* plans that can be claimed */
#define DIGEST_SIZE		65u

struct exec {
	struct chela_ctx			*ctx;
	const struct chela_host			*host;
	const struct chela_approval_records_1	*records;
	bool					 is_stopping;
};

extern struct exec ex;

/* exec.c */
/* SHA-256 as hex. -EIO: the library would not. */
int		 sha256_hex(const void *p, size_t len, char ret[DIGEST_SIZE]);

/*
 * exec_plan.c. A plan is an object {argv[], cwd, env{}, agentId, sessionKey,
 * nodeId}, all members there, null for none; never changed once it is made.
 */
int		 plan_check(struct json_object *plan);	/* -E2BIG, -EINVAL */
int		 plan_digest(struct json_object *plan, char ret[DIGEST_SIZE]);
/* The digest without the session, for what is allowed to later sessions. */
int		 plan_digest_any_session(struct json_object *plan,
		    char ret[DIGEST_SIZE]);
int		 plan_from(const struct chela_plan *p, struct json_object **ret);
/* Members may be NULL; takes nothing. */
struct json_object *plan_new(struct json_object *argv, const char *cwd,
		    struct json_object *env, const char *agent_id,
		    const char *session_key, const char *node_id);
/*
 * The whole of it as one line of a shell's syntax, nothing hidden: what is not
 * plainly visible is written in $'...'. Gives.
 */
char		*plan_text(struct json_object *plan);
/* Any text in one line, what is not visible as \n, \x1b, \u{202e}; gives. */
char		*text_escape(const char *s, size_t len);
/* The id of the scheduled job that a session belongs to, or false. */
bool		 cron_job_of(const char *session_key, char *ret, size_t size);

/* exec_match.c: on a worker; no shared state. */
struct verdict {
	uint32_t	 policy;	/* CHELA_POLICY_* */
	bool		 fallback;	/* may run when nobody answers */
	char		 why[160];
	char		 resolved[4096]; /* the program, "" not known */
	struct json_object *entry;	/* lent: the rule that fits, or NULL */
};
/* doc NULL: nothing is allowed. */
void		 policy_judge(struct json_object *doc, struct json_object *plan,
		    struct verdict *ret);
/* The policy where no agent is named; gives. */
struct json_object *policy_defaults(struct json_object *doc);
/* Whether a pattern fits all arguments (argv without its first). */
bool		 args_match(const char *pattern, size_t len,
		    struct json_object *argv);
/* The pattern that fits exactly these; gives. */
char		*args_pattern(struct json_object *argv);
/* *, **, ?; a step limit bounds it. */
bool		 glob_match(const char *glob, const char *path);

/* exec_file.c: the document; one job at a time. */
enum job_kind {
	JOB_GET,	/* makes the document if there is none */
	JOB_SET,	/* in: the new one */
	JOB_JUDGE,	/* in: a plan */
	JOB_ALLOW,	/* in: a plan that is to be allowed from now on */
};
struct job {
	struct job		*next;
	enum job_kind		 kind;
	bool			 is_first;	/* the document was never made */
	bool			 is_start;	/* nobody asked for it */
	struct json_object	*in;		/* a copy of its own */
	char			*base_hash;	/* or NULL */
	char			*path;
	/* Filled in by the worker. */
	int			 r;
	const char		*error;		/* for the client, r < 0 */
	char			 fault[160];	/* of the document, "" none */
	bool			 exists;
	char			 hash[DIGEST_SIZE];
	struct json_object	*doc;
	struct verdict		 verdict;
	uint64_t		 now_ms;
	char			 uuid[37];
	void			(*done)(struct job *job, void *arg);
	void			*arg;
};
/* in is copied; done comes once, with r < 0 if it could not be begun. */
void		 job_start(enum job_kind kind, struct json_object *in,
		    const char *base_hash, void (*done)(struct job *job,
		    void *arg), void *arg);
int		 file_start(void);
void		 file_stop(void);
chela_handler_fn policy_get, policy_set;

/* exec_call.c */
extern const struct chela_approval_kind exec_kind;
chela_handler_fn exec_request, exec_wait, exec_resolve, exec_get, exec_list;
/* The request and the presentation of a question about a plan; gives both. */
int		 exec_shown(struct json_object *plan, const char *command,
		    struct json_object *extra, uint32_t allowed,
		    struct json_object **ret_request,
		    struct json_object **ret_presentation);

/* exec_service.c */
extern const struct chela_approvals_1 approvals_service;
void		 service_stop(void);
/* Binds an open record to a plan that a client may claim. */
int		 bind_record(const char *id, struct json_object *plan,
		    struct chela_conn *caller);
void		 bind_drop(const char *id);
/* What a record's end means for its plan. */
void		 bind_end(const struct chela_record_info *info);

/* exec_grants.c */
chela_handler_fn grants_list, grants_revoke;
/* A standing permission for a job's plan, if there is one; counts the use. */
bool		 grant_find(struct json_object *plan);
void		 grant_mint(struct json_object *plan, const char *approval_id,
		    uint32_t days);

/* exec_node.c */
chela_handler_fn node_get, node_set;

#endif
