/* SPDX-License-Identifier: MIT */
/*
 * What lasts: tables (key -> JSON text with a revision, all in memory and on
 * disk) and logs (rows with rising numbers, on disk). Not for caches, and not a
 * place to interpret the JSON: text goes in and comes out as it is.
 *
 * All functions are for the loop thread. After store_open() the loop never
 * touches the disk: a writer thread commits whatever waits as one transaction
 * with one fsync, a reader thread (started by the first read) prepares rows.
 *
 * Answers. A call that returns a negative errno has changed nothing and its
 * done is not called. A call that returns zero calls its done (if any) exactly
 * once, later, on the loop, never from within the call; dones of writes come
 * in the order of the calls, except -ESTALE, which comes by itself.
 *
 * Failed commits (disk full, I/O error, file gone). Then the writes in that
 * transaction and all that wait behind it get the negative errno, because the
 * later ones were built on the earlier; and memory goes back to the last
 * durable state as a whole: values, revisions, row numbers. Until a probe by
 * the writer (first after STORE_RETRY_MIN_MS, then with growing pauses) has
 * succeeded, the store is degraded: get, each and reads go on, writes are
 * refused at once with the errno. A write that failed with an I/O error is not
 * known to be durable; a crash before the next good commit may still bring it
 * back.
 *
 * A read that finds the file damaged fails with -EBADMSG; that, too, is shown
 * as degraded, until the next start, but writes go on.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "core/base/base.h"

struct buf;
struct loop;
struct store;

#define STORE_FILE		"chela.db"	/* in the state directory */
#define STORE_LOCK_FILE		"chela.lock"	/* flock()ed while open */

#define STORE_NS_MAX		64u		/* bytes of a namespace */
#define STORE_KEY_MAX		512u		/* bytes of a key */
#define STORE_LOG_MAX		512u		/* bytes of a log's name */
#define STORE_NEEDLE_MAX	256u		/* bytes to look for */
#define STORE_FIND_MAX		1000u		/* rows that find gives */
#define STORE_GROUP_ROWS	512u		/* writes in one transaction */
#define STORE_GROUP_BYTES	MIB(4)		/* bytes in one, or one write */
#define STORE_RETRY_MIN_MS	100u
#define STORE_RETRY_MAX_MS	5000u
/*
 * What a key costs of the ceilings besides its own bytes and those of its
 * text.
 */
#define STORE_ENTRY_COST	128u

#define STORE_ANY_REV		UINT64_MAX	/* whatever the revision is */
#define STORE_NEW_REV		UINT64_C(0)	/* the key must not exist */

#define STORE_READ_TAIL		1u	/* the last rows below from */

/* Zero anywhere: the default on the right. */
struct store_limits {
	size_t		 value_max;	/* 1 MiB: one value of a table */
	size_t		 row_max;	/* 8 MiB: one row of a log */
	size_t		 ns_bytes_max;	/* 128 MiB: a namespace's tables */
	size_t		 bytes_max;	/* 256 MiB: all tables */
	size_t		 logs_max;	/* 262144: logs that exist */
	size_t		 queue_max;	/* 8192: writes that wait */
	size_t		 queue_bytes_max; /* 32 MiB: their texts */
	size_t		 reads_max;	/* 1024: reads that wait */
	size_t		 read_rows_max;	/* 10000: rows that one read gives */
	size_t		 read_bytes_max; /* 16 MiB: bytes that one read gives */
	/* 64 MiB: a larger file that was closed well is not checked whole. */
	size_t		 check_max;
	const char	*vfs;		/* NULL; tests: an SQLite VFS by name */
};

/* One row of a log; has the layout of struct chela_row. */
struct store_row {
	uint64_t	 seq;		/* from 1, rising by 1 */
	const char	*text;		/* len bytes and a NUL */
	size_t		 len;
};

struct store_log_stat {
	uint64_t	 first;		/* lowest number there is, or next */
	uint64_t	 next;		/* what the next append gets */
	uint64_t	 count;		/* next - first */
};

struct store_stats {
	size_t		 bytes;		/* of all tables, as counted */
	size_t		 keys;
	size_t		 logs;
	size_t		 queue;		/* writes not yet reported */
	size_t		 queue_bytes;
	size_t		 reads;		/* reads not yet reported */
	uint64_t	 generation;	/* times that this file was opened */
	uint64_t	 commits;
	uint64_t	 failures;	/* failed commits and probes */
};

/* rev: the new revision or row number; with -ESTALE the current revision. */
typedef void store_done_fn(void *arg, int r, uint64_t rev);
/*
 * rows are lent until the callback returns; r is 0 or a negative errno (n 0).
 */
typedef void store_rows_fn(void *arg, int r, const struct store_row *rows,
    size_t n);
/* logs[i] is the name of the log of rows[i]. */
typedef void store_found_fn(void *arg, int r, const char *const *logs,
    const struct store_row *rows, size_t n);
/* Nonzero stops. */
typedef int store_each_fn(void *arg, const char *key, const char *text,
    size_t len, uint64_t rev);
typedef void store_health_fn(void *arg, int r, const char *reason);

/*
 * Opens or creates the store in dir, which must exist. Blocks: for start-up.
 * lim may be NULL. why (may be NULL) gets one sentence for the operator on
 * failure; on success it may get a remark (a mode that was corrected).
 *   -EBUSY    another process has this directory
 *   -EBADMSG  the file is damaged or not a store; it was left as it is
 *   -EPERM    the file is not ours, is a link, or is not a regular file
 *   -ENOTSUP  written by a later version
 */
int	 store_open(struct loop *l, const char *dir,
	    const struct store_limits *lim, struct store **ret_store,
	    struct buf *why) must_use;
/*
 * Commits what waits, joins the threads, calls all dones that are still due
 * (reads: -ECANCELED), frees. Blocks. The loop must still exist. NULL is fine.
 */
struct store *store_close(struct store *s);

/* 0, or a negative errno: that of the last failed commit, or -EBADMSG. */
int	 store_is_degraded(const struct store *s);
const char *store_reason(const struct store *s);	/* "": all is well */
/* fn is called when that changes; r as store_is_degraded(). NULL: nobody. */
void	 store_on_health(struct store *s, store_health_fn *fn, void *arg);
void	 store_stats(const struct store *s, struct store_stats *ret_stats);

/*
 * Tables. Revisions rise over the whole store, so that a key that was deleted
 * and made again never has an old revision. ret_* may be NULL.
 */

/*
 * 0 or -ENOENT. text has a NUL after len; it is lent until the key is written
 * or the loop goes on.
 */
int	 store_get(struct store *s, const char *ns, const char *key,
	    const char **ret_text, size_t *ret_len, uint64_t *ret_rev);
/*
 * Visits the keys that start with prefix in the order of their bytes. cb may
 * put and delete any key; keys that it adds behind the current one are visited.
 * text is lent until cb returns or writes that key. Returns what cb returned.
 */
int	 store_each(struct store *s, const char *ns, const char *prefix,
	    store_each_fn *cb, void *arg);
/*
 * -EINVAL: a name is empty, too long or not UTF-8, or the text is not UTF-8;
 * -EMSGSIZE: the text is too long; -EDQUOT: a ceiling (of tables or of logs);
 * -EAGAIN: the queue is full; -ENOMEM; what the store is degraded with.
 * done: -ESTALE when expect_rev was not the revision that store_get() gives.
 */
int	 store_put(struct store *s, const char *ns, const char *key,
	    const char *text, size_t len, uint64_t expect_rev,
	    store_done_fn *done, void *arg);
/* As put; done gets -ENOENT for a missing key with STORE_ANY_REV. */
int	 store_del(struct store *s, const char *ns, const char *key,
	    uint64_t expect_rev, store_done_fn *done, void *arg);

/*
 * Logs. A log comes into being by its first row. ret_seq (may be NULL) gets the
 * row's number at once; it is a promise only when done said so.
 */
int	 store_append(struct store *s, const char *ns, const char *log,
	    const char *text, size_t len, uint64_t *ret_seq,
	    store_done_fn *done, void *arg);
/*
 * Rows in rising order, from number from on; with STORE_READ_TAIL the last
 * ones below from (0: the newest). At most max (0: the limit) rows and
 * max_bytes (0: the limit), but always one if there is one. Sees every append
 * before the call. A log that does not exist has no rows.
 */
int	 store_read(struct store *s, const char *ns, const char *log,
	    uint64_t from, size_t max, size_t max_bytes, uint32_t flags,
	    store_rows_fn *done, void *arg);
/* Removes the rows below before. done gets the first number that is left. */
int	 store_trim(struct store *s, const char *ns, const char *log,
	    uint64_t before, store_done_fn *done, void *arg);
/* Removes the log; one of the same name then begins at 1 again. */
int	 store_drop(struct store *s, const char *ns, const char *log,
	    store_done_fn *done, void *arg);
/*
 * Rows that contain needle, ASCII case ignored, in the logs whose names start
 * with log_prefix; newest first over all logs, at most max (0: STORE_FIND_MAX).
 * needle is looked for in the JSON text as it is stored.
 */
int	 store_find(struct store *s, const char *ns, const char *log_prefix,
	    const char *needle, size_t max, store_found_fn *done, void *arg);
/* From memory. 0 or -ENOENT. */
int	 store_log_stat(const struct store *s, const char *ns, const char *log,
	    struct store_log_stat *ret_stat);

#endif
