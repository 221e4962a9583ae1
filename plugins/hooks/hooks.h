/* SPDX-License-Identifier: MIT */
/* What the files of plugin hooks share. */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/access.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/channel.h>
#include <chela/services/lifecycle.h>
#include <chela/services/process.h>
#include <chela/services/routes.h>
#include <chela/services/secrets.h>
#include <chela/services/sessions.h>
#include <chela/services/system.h>

#include "plugins/common/json.h"

#define HOOKS_BODY_MAX		UINT64_C(262144) /* unless configured */
#define HOOKS_BODY_US		UINT64_C(30000000)
#define HOOKS_ANSWER_US		UINT64_C(172800000000) /* who waits for a run */
#define HOOKS_JSON_DEPTH	64	/* of a body */
#define HOOKS_JSON_VALUES	32768u	/* in a body; each takes memory */
#define HOOKS_CALLS_MAX		256u	/* requests under way */
#define HOOKS_RUNS_MAX		512u	/* that wait or run */
#define HOOKS_TEXTS_MAX		(64u * 1024u * 1024u) /* of those that wait */
#define HOOKS_ADMIT_US		UINT64_C(15000000) /* until a run has begun */
#define HOOKS_BATCH_US		UINT64_C(8000000)  /* answer to a batch */
#define HOOKS_ITEMS_MAX		200u	/* of a batch */
#define HOOKS_BATCH_BYTES	(4u * 1024u * 1024u) /* texts of a batch */
#define HOOKS_ERRORS_MAX	5u	/* told of a batch */
#define HOOKS_MAPPINGS_MAX	256u
#define HOOKS_KEY_CHARS		256u	/* of an idempotency key */
#define HOOKS_REPLAY_MAX	1000u	/* ended runs that are remembered */
#define HOOKS_REPLAY_US		UINT64_C(300000000)
#define HOOKS_LIMIT_TRIES	20u	/* failures of one address ... */
#define HOOKS_LIMIT_US		UINT64_C(60000000) /* ... in this time */
#define HOOKS_LIMIT_MAX		1024u	/* addresses */
#define HOOKS_TRANSFORM_US	UINT64_C(10000000) /* one program */
#define HOOKS_TRANSFORM_OUT	UINT64_C(1048576)
#define HOOKS_NAME_MAX		500u	/* bytes of a name in a log */
#define HOOKS_DIGEST		32u	/* SHA-256 */

#define JSON_PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* The part "hooks" of the configuration, checked. */
struct hooks_conf {
	char			*path;		/* "/hooks"; NULL: not served */
	struct json_object	*doc;		/* all of it; owned */
	struct json_object	*token;		/* or a reference; of doc */
	struct json_object	*mappings;	/* of doc, or NULL */
	struct json_object	*prefixes;	/* small; owned; NULL: any */
	struct json_object	*agents;	/* ids; owned; NULL: all */
	char			*default_key;	/* or NULL */
	uint64_t		 max_body;
	bool			 allows_key;	/* calls may name sessions */
};

struct hooks {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_routes_1	*routes;	/* NULL: none */
	struct hooks_conf		 conf;
	uint64_t			 generation;	/* rises with conf */
	bool				 is_stopping;
};

extern struct hooks	 hooks;

/* What is to be done for a request, from its body or from a mapping. */
struct hook_run {
	const char	*message;
	const char	*name;
	const char	*agent_id;	/* who does it */
	const char	*session_key;	/* as it is asked for, re-scoped */
	const char	*channel;	/* NULL: the answer goes nowhere */
	const char	*to;
	const char	*account_id;
	const char	*model;
	const char	*thinking;
	int64_t		 timeout_s;	/* 0: the usual */
	bool		 is_persistent;
	bool		 is_delivered;	/* deliver */
	bool		 wakes_now;
	bool		 is_raw;	/* no envelope */
	bool		 is_batch;	/* no admission deadline */
};

/* How a run stands towards those who asked for it. */
enum run_state {
	RUN_WAITS,	/* for its session */
	RUN_ASKED,	/* given to the agent, not begun */
	RUN_BEGUN,
	RUN_ENDED,	/* well or not; it had begun */
	RUN_REFUSED,	/* never begun: status and error say why */
};

/* One run and, with a replay key, its memory. Counted. */
struct run {
	struct run		*next;
	unsigned		 refs;
	enum run_state		 state;
	char			 id[37];
	unsigned char		 replay[HOOKS_DIGEST];
	bool			 has_replay;
	uint64_t		 ended_us;
	uint32_t		 status;	/* HTTP, when REFUSED */
	const char		*error;		/* of static storage, or why */
	char			*why;
	struct json_object	*completion;	/* when ENDED */
	/* What it takes to begin and to end; gone when it has ended. */
	char			*key;		/* canonical */
	char			*agent_id;
	char			*name;
	char			*message;	/* NULL: the agent has it */
	char			*channel;
	char			*to;
	char			*account_id;
	char			*model;
	char			*thinking;
	int64_t			 timeout_s;
	bool			 is_persistent;
	bool			 is_delivered;
	bool			 wakes_now;
	size_t			 n_bytes;	/* of its texts, in their sum */
	bool			 is_new;	/* its request may take it back */
	struct chela_timer	*timer;		/* admission; or NULL */
};

/* hooks.c */
const void	*hooks_service(const char *name);	/* or NULL */
/* -ENOMEM for v NULL, which it takes, and for o NULL. */
int		 obj_add(struct json_object *o, const char *key,
		    struct json_object *v);
int		 obj_add_str(struct json_object *o, const char *key,
		    const char *s);		/* s NULL: null */
/* Without the blanks at both ends; gives. NULL when nothing is left. */
char		*trimmed(const char *s);
/* The same of a member that is a string. */
char		*obj_trimmed(struct json_object *o, const char *key);
bool		 is_blank(const char *s);

/* hooks_conf.c */
/* Reads "hooks"; -EINVAL: ret_why is a sentence. */
int		 conf_load(struct hooks_conf *ret, const char **ret_why);
void		 conf_free(struct hooks_conf *c);
/* What the token is now; lent until this turn ends; NULL: it has no value. */
const char	*conf_token(const struct hooks_conf *c);
/* Whether a key begins as it has to. */
bool		 conf_key_fits(const struct hooks_conf *c, const char *key);
bool		 conf_agent_allowed(const struct hooks_conf *c,
		    const char *agent_id);

/* hooks_auth.c */
int		 auth_start(void);
void		 auth_stop(void);
void		 digest(const void *p, size_t len,
		    unsigned char ret[HOOKS_DIGEST]);
bool		 secret_equal(const char *a, const char *b);
/* The token that a request brought; gives, or NULL. */
char		*auth_given(struct chela_http_in *rq);
/* Seconds to wait, or 0: the address may fail once more. */
uint64_t	 limit_check(const char *address);
void		 limit_failed(const char *address);
void		 limit_reset(const char *address);

/* hooks_mapping.c */
struct mapping_job;
struct mapping_input {
	struct json_object	*payload;
	struct json_object	*headers;
	struct json_object	*query;
	const char		*path;
};
/*
 * actions is an array, lent; NULL with error (a sentence) and its HTTP status.
 * dropped: how many items were too many.
 */
typedef void mapping_done_fn(struct json_object *actions, bool is_batch,
    size_t dropped, uint32_t status, const char *error, void *arg);
/* The first mapping that matches, or NULL; lent. */
struct json_object *mapping_find(struct json_object *mappings,
		    const struct mapping_input *in);
/* Begins; done comes once, perhaps from within. -ENOMEM: it does not come. */
int		 mapping_start(struct json_object *mapping,
		    const struct mapping_input *in, mapping_done_fn *done,
		    void *arg, struct mapping_job **ret_job);
/* done does not come any more. */
void		 mapping_cancel(struct mapping_job *job);

/* hooks_run.c */
/* -EBUSY: too many. Gives a reference; its state may change at once. */
int		 run_new(const struct hook_run *what,
		    const unsigned char *replay, struct run **ret_run);
/* The run that a replay key means, with a reference; or NULL. */
struct run	*run_replayed(const unsigned char replay[HOOKS_DIGEST]);
/* Takes back one that is new; another stays as it is. */
void		 run_drop(struct run *run);
/* It is new no more: other requests may count on it. */
void		 run_keep(struct run *run);
void		 run_unref(struct run *run);
void		 runs_stop(void);

/* One request whose token was right, until its answer is complete. */
struct call {
	struct call		*next;
	struct chela_http_in	*rq;		/* NULL: answered, or gone */
	uint64_t		 generation;	/* of the configuration */
	unsigned char		 token[HOOKS_DIGEST];
	char			*path;		/* below the base path */
	struct json_object	*payload;	/* an object */
	struct json_object	*headers;	/* for templates */
	struct json_object	*query;
	char			*idempotency;	/* key, or NULL */
	struct mapping_job	*job;
	struct run		**runs;		/* a reference each */
	size_t			 n_runs;
	struct chela_timer	*timer;		/* of a batch */
	struct json_object	*wake;		/* {eventOutcome}, or NULL */
	bool			 is_batch;
	bool			 is_late;	/* the timer came */
	bool			 waits;		/* for the end of its run */
	bool			 is_busy;	/* not to be freed now */
};

/* hooks_ingress.c */
void		 ingress_update(void);		/* the configuration is new */
void		 ingress_stop(void);
void		 ingress_changed(void);		/* a run's state did */
/* The answer; takes o. */
void		 call_reply(struct call *call, uint32_t status,
		    struct json_object *o);
void		 call_text(struct call *call, uint32_t status,
		    const char *text);
/* {ok: false, error} and what a wake before it came to. */
void		 call_error(struct call *call, uint32_t status,
		    const char *fmt, ...) CHELA_PRINTF(3, 4);
/* Answers when all is known that the answer needs. */
void		 call_check(struct call *call);

/* hooks_body.c */
/* Gives an object, for anything else an empty one; NULL: error says why. */
struct json_object *body_parse(const char *bytes, size_t len,
		    const char **ret_error);
/* The idempotency key of headers and body; gives, or NULL. */
char		*body_key(struct call *call);

/* hooks_dispatch.c: the last step of a request. */
void		 dispatch_wake(struct call *call);
void		 dispatch_agent(struct call *call);
void		 dispatch_mapped(struct call *call,
		    struct json_object *actions);

#endif
