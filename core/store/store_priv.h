/* SPDX-License-Identifier: MIT */
/*
 * The store from inside. Three threads meet here:
 *
 *  - the loop thread owns tables, logs, values, the counters of struct store;
 *  - the writer owns the engine's writing half and the ops of the group that it
 *    commits (it reads their values, which never change);
 *  - the reader owns the engine's reading half and the job that it works on.
 *
 * Ops travel: pending (loop) -> waiting (lock) -> a group (writer) -> finished
 * (lock) -> reporting (loop). Jobs travel: jobs (lock) -> reader -> answered
 * (lock) -> loop. Everything under "lock" is touched with the lock held only.
 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include <pthread.h>

#include "core/base/buf.h"
#include "core/store/store.h"

#define LIST_LEVELS	12u	/* of the skip list: 4^12 keys */

struct map;

/* A text that never changes. Counted by the loop thread. */
struct value {
	uint32_t	 refs;
	size_t		 len;
	uint64_t	 rev;
	char		 text[];	/* len bytes and a NUL */
};

/*
 * A key. cur is what get sees (NULL: deleted), durable what the disk has; they
 * differ only while n_pending is not 0. It is freed when both are NULL, nothing
 * is pending and no store_each() stands on it (pins).
 */
struct entry {
	struct value	*cur;
	struct value	*durable;
	const char	*key;
	uint32_t	 n_pending;
	uint32_t	 pins;
	uint16_t	 key_len;
	uint16_t	 level;
	struct entry	*next[];	/* level of them, then the key */
};

struct space {
	struct space	*next;
	char		*name;
	struct entry	*head[LIST_LEVELS];
	size_t		 bytes;		/* of cur, with STORE_ENTRY_COST */
	size_t		 keys;
	struct map	*logs;		/* name -> struct log */
};

struct log_mark {
	uint64_t	 id;		/* 0: the log does not exist */
	uint64_t	 first;
	uint64_t	 next;
};

struct log {
	struct space	*space;
	char		*name;
	struct log_mark	 cur;
	struct log_mark	 durable;
	uint32_t	 n_pending;
	uint64_t	 ticket;	/* of the last write to it */
	uint64_t	 group;		/* writer: its mark is in this group */
};

enum op_kind {
	OP_PUT,
	OP_DEL,
	OP_APPEND,
	OP_TRIM,
	OP_DROP,
	OP_NOTE,		/* only a done to call */
};

struct op {
	struct op	*next;
	enum op_kind	 kind;
	bool		 is_new_log;	/* the first row of a log */
	struct space	*space;
	struct entry	*entry;		/* put, del */
	struct log	*log;		/* the others */
	struct value	*value;		/* put, append */
	struct log_mark	 mark;		/* after this op; drop: before it */
	uint64_t	 rev;		/* revision or row number */
	uint64_t	 ticket;
	size_t		 cost;
	int		 r;
	store_done_fn	*done;
	void		*arg;
};

struct op_list {
	struct op	 *head;
	struct op	**tail;
	size_t		  n;
};

enum job_kind {
	JOB_READ,
	JOB_FIND,
};

struct job {
	struct job	*next;
	enum job_kind	 kind;
	uint64_t	 ticket;	/* waits until this one is settled */
	uint64_t	 log_id;
	uint64_t	 from;		/* read; find: the cursor, 0 at first */
	size_t		 max;
	size_t		 max_bytes;
	uint32_t	 flags;
	bool		 is_one_log;	/* find: the cursor is a row number */
	bool		 is_begun;
	char		*ns;		/* find */
	char		*prefix;
	char		*needle;

	/* The result. While it grows, text and logs are offsets in bytes. */
	int		 r;
	struct store_row *rows;
	const char	**logs;
	size_t		 n;
	size_t		 cap;
	struct buf	 bytes;

	store_rows_fn	*done;
	store_found_fn	*found;
	void		*arg;
};

struct engine;

/* What the engine found at start; the text is lent. */
struct load {
	int	(*key)(void *arg, const char *ns, const char *key,
		    size_t key_len, const char *text, size_t len, uint64_t rev);
	int	(*log)(void *arg, const char *ns, const char *name,
		    const struct log_mark *mark);
	void	(*counters)(void *arg, uint64_t rev, uint64_t log_id,
		    uint64_t generation);
	void	*arg;
};

/*
 * What a store needs of a database. All functions may block. commit, probe,
 * idle and close are the writer's; read and find the reader's, at the same
 * time.
 */
struct engine_type {
	int	(*open)(const char *dir, const struct store_limits *lim,
		    const struct load *load, struct engine **ret_engine,
		    struct buf *why);
	/* All or nothing, durable on return. */
	int	(*commit)(struct engine *e, const struct op_list *ops);
	int	(*probe)(struct engine *e);	/* would a commit work? */
	/* After an error of commit or probe: the sentence. Static storage. */
	const char *(*reason)(struct engine *e);
	/* Housekeeping in small steps: > 0 more is to be done, 0 none is. */
	int	(*idle)(struct engine *e);
	bool	(*wants_idle)(struct engine *e);
	bool	(*must_idle)(struct engine *e);	/* even if writes wait */
	int	(*read)(struct engine *e, struct job *job);
	int	(*find)(struct engine *e, struct job *job); /* 1: again */
	void	(*close)(struct engine *e, bool is_good);
};

extern const struct engine_type engine_sqlite;

enum writer_state {
	WRITER_GOOD,
	WRITER_FAILED,		/* the loop has not yet rolled back */
	WRITER_PROBING,
};

/* What the posted callback holds, since the store may be gone when it comes. */
struct port {
	struct store	*store;
	_Atomic unsigned refs;
};

struct store {
	/* Fixed after open. */
	struct loop		*loop;
	struct store_limits	 lim;
	const struct engine_type *type;
	struct engine		*engine;
	int			 lock_fd;

	/* The loop's. */
	struct space		*spaces;
	uint64_t		 rng;
	size_t			 bytes;
	size_t			 keys;
	size_t			 n_logs;
	uint64_t		 rev;
	uint64_t		 log_id;
	uint64_t		 ticket;
	uint64_t		 generation;
	size_t			 queue;
	size_t			 queue_bytes;
	size_t			 reads;
	struct op_list		 pending;	/* until the end of the turn */
	struct op_list		 reporting;
	struct job		*answers;
	struct job		**answers_tail;
	struct port		*port;
	bool			 is_deferred;
	bool			 is_closing;
	int			 degraded;	/* writes get this */
	bool			 is_damaged;	/* a read has found out */
	char			 reason[256];
	store_health_fn		*health;
	void			*health_arg;

	/* Shared. */
	pthread_mutex_t		 lock;
	pthread_cond_t		 writer_cond;
	pthread_cond_t		 reader_cond;
	bool			 is_ending;
	bool			 is_posted;
	enum writer_state	 state;
	int			 error;
	char			 error_text[256];
	struct op_list		 waiting;
	struct op_list		 finished;
	uint64_t		 settled;	/* ticket */
	struct job		*jobs;
	struct job		**jobs_tail;
	struct job		*answered;
	struct job		**answered_tail;
	size_t			 answered_bytes;
	uint64_t		 commits;
	uint64_t		 failures;

	bool			 has_writer;
	bool			 has_reader;
	pthread_t		 writer;
	pthread_t		 reader;
};

/* store.c */
void	 op_list_init(struct op_list *l);
void	 op_list_add(struct op_list *l, struct op *op);
void	 op_list_join(struct op_list *l, struct op_list *from);	/* empties it */
struct space *store_space(struct store *s, const char *ns, bool is_new);
int	 store_check_name(const char *name, size_t max, size_t *ret_len);
/* Room in the queue, and health. */
int	 store_may_write(struct store *s, size_t cost);
void	 store_enqueue(struct store *s, struct op *op);
/* Reports an answer that needs no commit, in its own turn. */
int	 store_report(struct store *s, store_done_fn *done, void *arg, int r,
	    uint64_t rev);
struct value *value_new(const char *text, size_t len, uint64_t rev) must_use;
struct value *value_ref(struct value *v);
struct value *value_unref(struct value *v);

/* store_table.c */
struct entry *entry_find(struct space *sp, const char *key);
int	 entry_load(struct store *s, struct space *sp, const char *key,
	    size_t key_len, const char *text, size_t len, uint64_t rev);
/* The op's part of the entry is over: durable, or undone. */
void	 entry_settle(struct store *s, struct op *op);
void	 space_free_entries(struct space *sp);

/* store_log.c */
struct log *log_load(struct store *s, struct space *sp, const char *name,
	    const struct log_mark *mark);
void	 log_settle(struct store *s, struct op *op);
struct job *job_free(struct job *job);
int	 job_add(struct job *job, const char *log, uint64_t seq,
	    const char *text, size_t len);
void	 job_fix(struct job *job, bool is_reversed);
void	 space_free_logs(struct space *sp);

/* store_thread.c */
int	 store_start_writer(struct store *s);
int	 store_start_reader(struct store *s);
/* Wakes the loop. Any thread, without the lock. 0 or -ENOMEM. */
int	 store_post(struct store *s);

/* store.c: on the loop, by store_post() */
void	 store_on_post(void *arg);

#endif
