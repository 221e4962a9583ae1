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

#define PENDING_MAX		1024u		/* open records */
#define ENDED_MAX		2000u		/* kept for history */
#define ENDED_BYTES_MAX		(16u << 20)	/* of their JSON together */
#define ENDED_KEEP_MS		(UINT64_C(30) * 24 * 3600 * 1000)
#define KINDS_MAX		8u
#define REPLAY_MAX		1000u		/* open records of one session */
#define PREFIX_MIN		8u	/* characters of a shortened id */
#define NAME_MAX_BYTES		200u	/* of who resolved */
#define TIMEOUT_DEFAULT_MS	120000u
#define TIMEOUT_MAX_MS		86400000u

#define ERR_BAD		"INVALID_REQUEST"
#define ERR_DOWN	"UNAVAILABLE"

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
	struct json_object	*request;
	struct json_object	*presentation;
	uint64_t		 created_ms;
	uint64_t		 expires_ms;
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
};

extern struct approvals ap;

/* approvals.c: small things */
const char	*get_str(struct json_object *o, const char *name); /* or NULL */
int64_t		 get_int(struct json_object *o, const char *name, int64_t none);
void		 set_str(struct json_object *o, const char *name, const char *s);
void		 set_str_or_null(struct json_object *o, const char *name,
		    const char *s);
void		 set_int(struct json_object *o, const char *name, int64_t v);
void		 set_copy(struct json_object *to, struct json_object *from,
		    const char *name);	/* the member, null if it is not there */
const char	*decision_name(uint32_t decision);	/* NULL: NONE */
uint32_t	 decision_of(const char *name);		/* NONE: no such */
struct json_object *allowed_names(uint32_t allowed);	/* gives an array */
/* INVALID_REQUEST with details {reason}. */
int		 fail_reason(struct chela_req *req, const char *reason,
		    const char *text);

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

/* approvals_record.c */
extern const struct chela_approval_records_1 records_service;
int		 records_start(void);
void		 records_stop(void);
struct chela_approval_record *record_find(const char *id);
void		 record_info(const struct chela_approval_record *rec,
		    struct chela_record_info *ret);
/* May this connection see it? */
bool		 record_visible(const struct chela_approval_record *rec,
		    struct chela_conn *conn);
/* A denial that nobody gave: a malformed verdict. As resolve(). */
int		 record_deny(struct chela_ctx *ctx,
		    struct chela_approval_record *rec, struct chela_conn *conn,
		    chela_record_done_fn *done, void *arg);
/* The newest ended one; the next older by next_ended. */
struct chela_approval_record *record_newest(void);
void		 record_put(struct chela_approval_record *rec);

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

/* approvals_methods.c */
chela_handler_fn approval_get, approval_resolve, approval_history;

/* approvals_plugin.c: the kind "plugin" */
chela_handler_fn plugin_list, plugin_request, plugin_wait, plugin_resolve;
chela_handler_fn system_list;
extern const struct chela_approval_kind plugin_kind, system_kind;
void		 calls_stop(void);	/* those that wait are let go */

#endif
