/* SPDX-License-Identifier: MIT */
/*
 * What the files of plugin sessions share.
 *
 * Tables: "s/<key>" is a session's entry, "u/<day>/<agent>" the usage of a day,
 * "y/<sessionId>/<month>" the usage of a session. Logs: "t/<sessionId>" is a
 * transcript. The index (struct sess) holds what lists and look-ups need, so
 * that no call has to parse the entries of all sessions.
 */
#ifndef SESSIONS_PRIV_H
#define SESSIONS_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#include "../common/json.h"

#define SESSIONS_MAX		100000u	/* entries of all agents */
#define SESSION_ENTRY_MAX	65536u	/* bytes of an entry's text */
#define SESSION_ROW_MAX		4194304u /* bytes of a transcript row */
#define SESSION_RUNS_MAX	64u	/* running and waiting, of a session */
#define SESSION_LABEL_MAX	512u
#define SESSION_TITLE_MAX	60u	/* characters */
#define SESSION_PREVIEW_MAX	160u	/* characters */
#define SESSION_WATCH_MAX	256u	/* transcripts, of a connection */
#define SESSION_ROW_ID_MAX	128u
#define SESSION_UUID		36u

#define ERR_BAD	 "INVALID_REQUEST"
#define ERR_GONE "UNAVAILABLE"

/* A run that is waiting or running. */
struct run_ref {
	char			*id;
	uint32_t		 status;
};

/* A place in one of the two orders of the index, the newest first. */
struct order {
	struct sess		*newer;
	struct sess		*older;
};

#define BY_UPDATE	0u	/* of the entry */
#define BY_INTERACTION	1u	/* the last message of a user */

/*
 * One session. In trees by key, sessionId and label, and in two lists, newest
 * first. Callbacks look it up again by its key; what goes through many sessions
 * in slices holds a reference and skips those that were dropped meanwhile.
 */
struct sess {
	char			*key;
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];
	char			 id[SESSION_UUID + 1];
	char			*label;		/* or NULL */
	char			*search;	/* lower case; see index */
	char			*title;		/* or NULL */
	char			*preview;	/* or NULL */
	char			*spawned_by;	/* or NULL */
	char			*row;		/* cached text, without "}" */
	size_t			 row_len;
	uint64_t		 updated_ms;
	uint64_t		 interacted_ms;
	uint64_t		 base;	/* log number of position 0 */
	uint64_t		 seq;	/* position of the newest row */
	uint64_t		 first;	/* position of the oldest row kept */
	uint32_t		 generation;	/* resets since start */
	uint32_t		 status;	/* of the last run */
	struct run_ref		*runs;
	uint32_t		 n_runs;
	bool			 archived;
	bool			 is_main;
	bool			 is_dropped;
	uint32_t		 refs;
	struct order		 order[2];
};

struct sessions {
	struct chela_ctx	*ctx;
	const struct chela_host	*host;
	const struct chela_session_runner *runner; /* or NULL */
	void			*by_key;	/* tsearch() trees */
	void			*by_id;
	void			*by_label;
	struct sess		*newest[2];	/* of each order */
	struct sess		*oldest[2];
	uint32_t		 n;
	uint32_t		 n_busy;	/* sessions with runs */
};

extern struct sessions sessions;	/* sessions.c */

/* sessions_key.c */
int	key_canonical(const char *key, const char *agent_id, char *ret_key);
int	key_agent(const char *key, char *ret_agent);
int	key_main(const char *agent_id, char *ret_key);
bool	key_is_main(const char *key);
const char *key_kind(const char *key, const char *chat_type);
void	agent_normalise(const char *name, char *ret_agent);
void	agent_default(char *ret_agent);
int	agent_find(const char *name, char *ret_agent);

/* sessions_index.c */
int	index_load(void);
void	index_free(void);
struct sess *sess_find(const char *key);	/* any spelling */
struct sess *sess_find_id(const char *id);
struct sess *sess_find_label(const char *label);
void	sess_drop(struct sess *s);
void	sess_unref(struct sess *s);
#define SESS_OLDER(s)	((s)->order[BY_UPDATE].older)
/* Gives the entry as stored. */
int	entry_get(const struct sess *s, struct json_object **ret_entry);
/* Merges fields (takes; or NULL) into the entry (takes), stores it. */
int	entry_put(struct sess *s, struct json_object *entry,
	    struct json_object *fields, chela_done_fn *done, void *arg);
int	entry_ensure(const char *key, struct json_object *fields,
	    const char *created_via, struct sess **ret_s);
/* Without the members that only this plugin may see; gives. */
struct json_object *entry_public(const struct sess *s);

/* sessions_row.c */
#define ROW_TITLE	0x1u
#define ROW_PREVIEW	0x2u
int	row_write(struct sess *s, uint32_t flags, FILE *out);
struct json_object *row_object(struct sess *s, uint32_t flags);
/* Asked for at each use, as its plugin may come and go; or NULL. */
const struct chela_models_1 *models_get(void);
struct json_object *row_defaults(const char *agent_id);
const char *status_name(uint32_t status);
/* A row's members beside its events' own, for clients that look there. */
void	row_spread(struct json_object *o, struct json_object *row);
void	changed_emit(struct sess *s, const char *phase, const char *reason,
	    const char *run_id);

/* sessions_log.c */
int	log_append(const struct chela_session_append *row,
	    chela_session_append_fn *done, void *arg);
int	log_read(const char *key, uint64_t before, uint32_t max,
	    size_t max_bytes, uint32_t flags, chela_session_read_fn *done,
	    void *arg);
int	log_find_row(const char *key, const char *id,
	    chela_session_read_fn *done, void *arg);
int	log_reset(const char *key, const char *reason,
	    chela_session_done_fn *done, void *arg);
int	log_keep(const char *key, uint32_t keep, chela_session_done_fn *done,
	    void *arg);
int	session_remove(struct sess *s, bool with_log, chela_done_fn *done,
	    void *arg);
/* The text of a row's content; gives, never NULL but when out of memory. */
char	*row_text(struct json_object *row);

/* sessions_run.c */
int	run_state(const char *key, const char *run_id, uint32_t status,
	    const char *phase, const char *error);
int	run_tool(const char *key, struct json_object *payload);

/* sessions_account.c */
void	account_row(const struct sess *s, struct json_object *row);
void	account_forget(const char *session_id);
int	account_days(const char *agent_id, const char *from_day,
	    const char *to_day, int (*cb)(const char *day, const char *agent,
	    struct json_object *totals, void *arg), void *arg);
void	totals_add(struct json_object *sum, struct json_object *part);
struct json_object *totals_new(void);

/* Handlers. */
chela_handler_fn sessions_list, sessions_subscribe, sessions_describe,
    sessions_resolve, sessions_preview, sessions_get, sessions_search,
    sessions_messages_subscribe, sessions_messages_unsubscribe,
    sessions_create, sessions_patch, sessions_reset, sessions_delete,
    sessions_compact, sessions_send, sessions_steer, sessions_abort,
    sessions_usage, sessions_usage_timeseries, sessions_usage_logs;
chela_scope_fn sessions_create_scope, sessions_patch_scope,
    sessions_delete_scope;
int	patch_apply(const char *key, struct json_object *params,
	    struct chela_req *req, struct json_object **ret_fields);
void	watchers_free(void);

/* sessions_util.c */
char	*cut_text(const char *text, size_t chars);	/* gives */
char	*one_line(const char *text, size_t chars);	/* gives */
char	*lower_text(const char *text);			/* gives */
/* The key of a call for handlers: answers the request when it is bad. */
int	call_key(struct chela_req *req, struct json_object *params,
	    const char *member, char *ret_key);

#endif
