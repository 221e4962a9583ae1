/* SPDX-License-Identifier: MIT */
/*
 * What the files of plugin agent share: runs, who waits for them, and helpers.
 */
#ifndef AGENT_PRIV_H
#define AGENT_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/channel.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define RUNS_MAX		1000u	/* running and waiting, all sessions */
#define ENDED_MAX		1000u	/* ended ones that are remembered */
#define ENDED_US		600000000u /* how long: agent.wait */
#define REPEAT_US		300000000u /* how long a key means the old run */
#define QUEUE_MAX		20u	/* that wait in one session */
#define CONCURRENT		4u	/* running, unless configured */
#define CONCURRENT_MAX		64u
#define WAITERS_MAX		64u	/* calls that wait for one run */
#define LOST_MAX		1000u	/* that wait for runs not known yet */
#define MESSAGE_MAX		1048576u /* bytes of a message */
#define SYSTEM_MAX		262144u	/* bytes of an extra system prompt */
#define TEXT_MAX		2097152u /* bytes of an answer */
#define THINKING_MAX		262144u	/* bytes of reasoning that are kept */
#define KEPT_TEXT_MAX		65536u	/* bytes of an ended run's answer */
#define TOOL_CALLS_MAX		64u	/* of one answer */
#define TOOL_ARGS_MAX		262144u	/* bytes of one call's arguments */
#define HISTORY_ROWS_MAX	400u
#define HISTORY_BYTES_MAX	524288u	/* of a transcript given to a model */
#define HISTORY_BYTES_MIN	16384u
#define ATTACHMENTS_MAX		32u
#define IMAGE_BYTES_MAX		CHELA_IMAGE_BYTES_MAX
#define ATTACHMENT_BYTES_MAX	CHELA_ATTACHMENT_BYTES_MAX
#define WATCHERS_MAX		16u
#define FLUSH_US		UINT64_C(100000)  /* between two deltas */
#define FLUSH_US_MAX		UINT64_C(2000000)
#define FLUSH_STEP		65536u	/* bytes of text that add a FLUSH_US */
#define TIMEOUT_US		UINT64_C(3600000000) /* unless configured */
#define TIMEOUT_US_MAX		UINT64_C(172800000000)
#define SWEEP_US		UINT64_C(60000000)
#define WAIT_MS			30000	/* agent.wait, unless it says */
#define WAIT_MS_MAX		86400000

#define ERR_BAD	 "INVALID_REQUEST"
#define ERR_GONE "UNAVAILABLE"
#define RUN_MAGIC 0x52554e31u	/* "RUN1" */
#define SILENT	 "NO_REPLY"

/* Where a run stands. Up to STEP_MODEL it can be aborted. */
enum run_step {
	STEP_WAIT,	/* in the queue */
	STEP_USER,	/* its message is being stored */
	STEP_HISTORY,	/* the transcript is being read */
	STEP_MODEL,	/* the model is answering */
	STEP_STORE,	/* the answer is being stored */
	STEP_DELIVER,	/* the answer is on its way to a channel */
	STEP_ENDED,
};

struct text {
	char	*s;		/* NULL when empty, else ends in NUL */
	size_t	 len;
	size_t	 size;
};

struct waiter {
	struct chela_req	*req;
	struct chela_timer	*timer;		/* of agent.wait, or NULL */
	struct run		*run;		/* NULL: of a run not known */
	char			*run_id;
	struct waiter		*next;
};

/*
 * One run. In the tree by its id from start() until it is forgotten; in the
 * list of active ones until it ended, then in that of the ended ones. refs
 * counts callbacks that are still to come: it is freed when it is forgotten and
 * there are none.
 */
struct run {
	uint32_t		 magic;
	uint32_t		 flags;		/* CHELA_AGENT_* */
	enum run_step		 step;
	uint32_t		 state;		/* CHELA_RUN_* */
	uint32_t		 queue_mode;
	uint32_t		 refs;
	bool			 is_forgotten;
	bool			 is_cut;	/* TEXT_MAX was reached */
	bool			 was_announced;	/* lifecycle start was sent */
	char			*id;
	char			*key;
	char			 session_id[40];
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];
	char			*message;
	char			*model_name;	/* asked for, or NULL */
	char			*thinking;
	char			*system;
	char			*events;	/* "System: ..." lines, or NULL */
	char			*channel;
	char			*to;
	char			*account_id;
	char			*thread_id;
	char			*reply_to_id;
	uint64_t		 input;
	struct json_object	*attachments;
	uint64_t		 timeout_us;
	uint64_t		 seq;
	uint64_t		 accepted_ms;
	uint64_t		 started_ms;
	uint64_t		 ended_ms;
	uint64_t		 started_us;	/* by now_us() */
	uint64_t		 ended_us;
	struct chela_timer	*timer;		/* the whole run */
	struct chela_timer	*flush;		/* the next delta */
	bool			 flush_is_set;
	struct chela_model_call	*call;
	struct chela_model_ref	 ref;
	bool			 has_ref;
	struct text		 text;
	size_t			 sent;		/* of text, in deltas */
	struct text		 thought;
	struct json_object	*tools;		/* toolCall blocks, or NULL */
	struct json_object	*usage;		/* of the answer, or NULL */
	struct json_object	*row;		/* the answer as stored */
	char			*response_id;
	char			*abort_reason;	/* NULL: not aborted */
	char			*stop_reason;
	char			*error;
	const char		*error_kind;
	struct json_object	*error_detail;
	const char		*delivery;	/* "sent", "failed", NULL */
	struct run		*leader;	/* who has our message */
	struct waiter		*waiters;
	uint32_t		 n_waiters;
	struct run		*prev;
	struct run		*next;
};

struct watch {
	const struct chela_agent_watcher	*watcher;
	void					*arg;
};

struct agent {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_sessions_1	*sessions;
	void				*by_id;		/* tsearch() */
	struct run			*first;	/* oldest first */
	struct run			*last;
	struct run			*ended_first;
	struct run			*ended_last;
	uint32_t			 n_active;
	uint32_t			 n_running;
	uint32_t			 n_ended;
	struct waiter			*lost;		/* for unknown runs */
	uint32_t			 n_lost;
	struct chela_timer		*sweep;
	struct watch			 watches[WATCHERS_MAX];
	uint32_t			 n_watches;
	bool				 is_scheduled;
	bool				 is_stopping;
};

extern struct agent agent;	/* agent.c */
extern const struct chela_agent_1 agent_service;

/* agent_queue.c */
int	queue_start(const struct chela_agent_start *rq, const char **ret_why);
int	queue_abort(const char *run_id, const char *reason);
int	queue_abort_session(const char *key, const char *reason,
	    struct json_object **ret_ids);
struct run *run_find(const char *id);
void	run_unref(struct run *run);
void	queue_schedule(void);
void	queue_ended(struct run *run);	/* from the active to the ended list */
void	queue_sweep(void);
void	queue_free(void);
void	run_describe(const struct run *run, struct chela_agent_run *ret_run);
int	queue_each(const char *key, int (*cb)(const struct chela_agent_run *run,
	    void *arg), void *arg);

/* agent_run.c */
void	run_begin(struct run *run);
void	run_abort(struct run *run, const char *reason);
void	run_model_done(struct run *run, const struct chela_model_result *res);
void	run_fail(struct run *run, const char *kind, const char *fmt, ...)
	    CHELA_PRINTF(3, 4);
void	run_settle(struct run *run);
void	run_end(struct run *run);

/* agent_model.c */
void	model_history(struct run *run);
void	model_cancel(struct run *run);
struct json_object *model_usage(struct run *run,
	    const struct chela_model_usage *u);

/* agent_event.c */
void	event_status(struct run *run, const char *phase);
void	event_started(struct run *run);
void	event_text(struct run *run);
void	event_flush(struct run *run);
void	event_tool(struct run *run, struct json_object *block);
void	event_usage(struct run *run);
void	event_ended(struct run *run);
struct json_object *run_message(struct run *run, bool is_partial);

/* agent_input.c */
int	input_attachments(struct json_object *list,
	    struct json_object **ret_list, const char **ret_why);
int	input_policy(const char *key);

/* agent_deliver.c */
int	deliver_check(struct run *run, const char **ret_why);
void	deliver_answer(struct run *run);

/* agent_call.c */
chela_handler_fn agent_call, agent_wait, agent_identity;
chela_scope_fn agent_call_scope;
void	waiters_adopt(struct run *run);	/* those that came before it */
void	waiters_answer(struct run *run);
void	waiters_free(void);

/* agent_util.c */
int	text_add(struct text *t, const char *s, size_t len);
void	text_free(struct text *t);
struct json_object *conf_any(const char *path);
/* An agent's own part of the configuration, or NULL; lent. */
struct json_object *agent_conf(const char *id);
int64_t	conf_int(const char *path, int64_t none);
const char *conf_str(const char *path);
char	*dup_or_null(const char *s);

#endif
