/* SPDX-License-Identifier: MIT */
/* What the files of plugin approvals share. */
#ifndef APPROVALS_PRIV_H
#define APPROVALS_PRIV_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/approvals.h>
#include <chela/services/conns.h>
#include <chela/services/sessions.h>

#include "../approval-common/asked.h"

#define PENDING_MAX		1024u		/* open records */
#define ENDED_MAX		2000u		/* kept for history */
#define ENDED_BYTES_MAX		(16u << 20)	/* of their JSON together */
#define ENDED_KEEP_MS		(UINT64_C(30) * 24 * 3600 * 1000)
#define KINDS_MAX		8u
#define WATCHERS_MAX		8u
#define REPLAY_MAX		1000u		/* open records of one session */
#define PREFIX_MIN		8u	/* characters of a shortened id */
#define NAME_MAX_BYTES		200u	/* of who resolved */
#define TIMEOUT_DEFAULT_MS	120000u
#define TIMEOUT_MAX_MS		86400000u

/* Someone who wants to know how a record ends. */
struct wait {
	struct wait		*next;
	struct chela_approval_record *rec;	/* counted */
	struct chela_ctx	*ctx;
	chela_record_done_fn	*done;
	void			*arg;
};

/*
 * One question. It begins pending; an answer makes it settling until that is
 * stored; then it has ended and never changes again. A failed write makes it
 * pending as before. What needs no consent (expiry, no route, the end of who
 * asked) ends it whether it can be stored or not: after a restart a pending one
 * is cancelled anyway, so a lost write never turns into a yes.
 */
struct chela_approval_record {
	struct chela_approval_record *next;	/* of its hash bucket */
	struct chela_approval_record *prev_ended, *next_ended;
	uint32_t		 refs;
	uint32_t		 status;	/* CHELA_RECORD_* */
	uint32_t		 decision;
	uint32_t		 allowed;
	bool			 is_stored;	/* was written at least once */
	bool			 is_settling;
	bool			 is_mine;	/* of this process */
	bool			 is_linked;	/* in the table */
	char			*id;
	char			*kind;
	char			*agent_id;	/* "" none */
	char			*session_key;	/* "" none */
	char			*caller;	/* id of the connection, "" none */
	char			*resolved_by;	/* "" nobody */
	char			*resolver_kind;	/* "" none */
	char			*resolver_id;	/* "" none */
	const char		*reason;	/* static text */
	const char		*route;		/* static text */
	struct json_object	*request;
	struct json_object	*presentation;
	uint64_t		 created_ms;
	uint64_t		 expires_ms;	/* as it is shown */
	uint64_t		 until_us;	/* by now_us(); 0: not of now */
	uint64_t		 resolved_ms;
	uint32_t		 grant_days;
	size_t			 size;		/* about, of its JSON */
	struct wait		*opened;	/* told when it is stored */
	struct wait		*waits;		/* told when it has ended */
	struct wait		*settling;	/* told when that has come out */
	/* What an answer under way will make of it. */
	struct {
		uint32_t	 status, decision, grant_days;
		const char	*reason;
		char		*by, *kind, *id;
	} next_state;
};

struct approvals {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_conns_1	*conns;		/* NULL: no routes */
	const struct chela_approval_kind *kinds[KINDS_MAX];
	struct {
		const struct chela_record_watcher *w;	/* NULL: free */
		void	*arg;
	}				 watchers[WATCHERS_MAX];
};

extern struct approvals ap;

/* approvals_text.c */
/*
 * Without control characters, marks of direction and what nobody sees; blanks
 * become one space. Gives; NULL: no memory.
 */
char		*text_clean(const char *s);
/* The same, line ends kept, at most max bytes. */
char		*text_clean_lines(const char *s, size_t max);
size_t		 text_chars(const char *s);
char		*text_url(const char *id);	/* percent-encoded; gives */
/* base64url without padding; gives. Decoding refuses all else. */
char		*b64_encode(const char *s, size_t len);
char		*b64_decode(const char *s);

/* approvals_one.c */
#define RECORD_PREFIX	"r/"
#define RECORD_KEY_MAX	(sizeof RECORD_PREFIX + CHELA_APPROVAL_ID_MAX)

/* A reference of the caller's; NULL: no memory. */
struct chela_approval_record *record_new(const char *id, const char *kind,
		    const char *agent_id, const char *session_key);
void		 record_put(struct chela_approval_record *rec);
void		 record_key(const struct chela_approval_record *rec,
		    char ret[RECORD_KEY_MAX]);
/* As it is stored, now or as its next state; gives. */
struct json_object *record_doc(const struct chela_approval_record *rec,
		    bool is_next);
/* From what was stored; gives, NULL: it cannot be read. */
struct chela_approval_record *record_read(const char *id,
		    struct json_object *o);
void		 record_info(const struct chela_approval_record *rec,
		    struct chela_record_info *ret);
/* May this connection see it? */
bool		 record_visible(const struct chela_approval_record *rec,
		    struct chela_conn *conn);
void		 next_clear(struct chela_approval_record *rec);
bool		 id_is_good(const char *id);
size_t		 json_bytes(struct json_object *o);
int		 text_set(char **to, const char *s);

/* approvals_table.c */
struct chela_approval_record *record_find(const char *id);
/* The first for NULL, then the next; NULL: no more. No order. */
struct chela_approval_record *table_next(
		    const struct chela_approval_record *rec);
/* The newest ended one; the next older by next_ended. */
struct chela_approval_record *record_newest(void);
size_t		 table_pending(void);	/* how many are pending */
/* With its own reference; by the status that it has then. */
void		 table_add(struct chela_approval_record *rec);
void		 table_remove(struct chela_approval_record *rec);
void		 table_trim(void);	/* of the history, what is too much */
/* As the service has them. */
int		 records_info(const char *id, struct chela_conn *conn,
		    struct chela_record_info *ret);
int		 records_find_prefix(const char *kind, const char *prefix,
		    struct chela_conn *conn, char *ret_id);
int		 records_pending(const char *kind, struct chela_conn *conn,
		    struct json_object **ret);
int		 records_replay(const char *session_key,
		    struct chela_conn *conn, struct json_object **ret);

/* approvals_wait.c */
int		 wait_add(struct wait **list, struct chela_approval_record *rec,
		    struct chela_ctx *ctx, chela_record_done_fn *done,
		    void *arg);
/* Those of the context with that argument, NULL: all. */
void		 wait_drop(struct wait **list, const struct chela_ctx *ctx,
		    const void *arg);
void		 waits_drop(struct chela_ctx *ctx, void *arg);
/* All of a list are told on the next turn of the loop. */
void		 waits_ready(struct wait **list);
void		 waits_free(struct wait **list);
void		 waits_start(void);
void		 waits_stop(void);

/* approvals_record.c */
extern const struct chela_approval_records_1 records_service;
int		 records_start(void);
void		 records_stop(void);
/* A denial that nobody gave: a malformed verdict. As resolve(). */
int		 record_deny(struct chela_ctx *ctx,
		    struct chela_approval_record *rec, struct chela_conn *conn,
		    chela_record_done_fn *done, void *arg);

/* approvals_show.c */
/* The snapshot that approval.get and the rest give; gives. */
struct json_object *snapshot(const struct chela_approval_record *rec);
/* {approvalKind, id, request, createdAtMs, expiresAtMs}; gives. */
struct json_object *pending_row(const struct chela_approval_record *rec);
/* The canonical key of its session; false: it has none. */
bool		 session_key_of(const struct chela_approval_record *rec,
		    char ret_key[CHELA_SESSION_KEY_MAX + 1]);
void		 tell_requested(struct chela_approval_record *rec,
		    unsigned *ret_routes);
void		 tell_resolved(struct chela_approval_record *rec);
/* As the service has them. */
int		 records_watch(const struct chela_record_watcher *watcher,
		    void *arg);
void		 records_unwatch(const struct chela_record_watcher *watcher,
		    void *arg);

/* approvals_methods.c */
chela_handler_fn approval_get, approval_resolve, approval_history;

/* approvals_plugin.c: the kind "plugin" */
chela_handler_fn plugin_list, plugin_request, plugin_wait, plugin_resolve;
chela_handler_fn system_list;
extern const struct chela_approval_kind plugin_kind, system_kind;

#endif
