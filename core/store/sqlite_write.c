/* SPDX-License-Identifier: MIT */
/*
 * The SQLite engine's writing half: one transaction a group, and housekeeping.
 */
#include "core/store/sqlite_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WAL_IDLE_PAGES	256	/* worth a checkpoint when nothing else waits */
#define WAL_MAX_PAGES	8192	/* 32 MiB: a checkpoint, whatever waits */
#define SWEEP_ROWS	500	/* rows removed in one step */

static const char *const write_sql[WRITE_N] = {
	[WRITE_BEGIN] = "BEGIN IMMEDIATE",
	[WRITE_COMMIT] = "COMMIT",
	[WRITE_ROLLBACK] = "ROLLBACK",
	[WRITE_GENERATION] =
	    "SELECT value FROM meta WHERE key='generation'",
	[WRITE_PROBE] = "UPDATE meta SET value=value+1 WHERE key='probe'",
	[WRITE_PUT] = "REPLACE INTO kv(ns, key, text, rev) VALUES(?,?,?,?)",
	[WRITE_DEL] = "DELETE FROM kv WHERE ns=? AND key=?",
	[WRITE_REV] = "UPDATE meta SET value=? WHERE key='rev'",
	[WRITE_ROW] = "INSERT INTO row(log, seq, text) VALUES(?,?,?)",
	[WRITE_LOG_NEW] = "INSERT INTO log(id, ns, name, first, next, kept)"
	    " VALUES(?,?,?,1,1,1)",
	[WRITE_LOG_MARK] = "UPDATE log SET first=?, next=? WHERE id=?",
	[WRITE_LOG_DROP] = "DELETE FROM log WHERE id=?",
	[WRITE_TRASH_ADD] = "INSERT INTO trash(log) VALUES(?)",
	[WRITE_TRASH_NEXT] = "SELECT log FROM trash LIMIT 1",
	[WRITE_TRASH_ROWS] = "DELETE FROM row WHERE ord IN"
	    " (SELECT ord FROM row WHERE log=? LIMIT ?)",
	[WRITE_TRASH_DONE] = "DELETE FROM trash WHERE log=?",
	[WRITE_TRIM_NEXT] = "SELECT id, first FROM log WHERE kept < first"
	    " LIMIT 1",
	[WRITE_TRIM_ROWS] = "DELETE FROM row WHERE ord IN"
	    " (SELECT ord FROM row WHERE log=? AND seq<? ORDER BY seq LIMIT ?)",
	[WRITE_TRIM_DONE] = "UPDATE log SET kept=? WHERE id=?",
};

static int
engine_on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct engine	*e = arg;

	(void)db;
	(void)name;
	e->wal_pages = pages;
	return (SQLITE_OK);
}

int
engine_prepare(struct engine *e)
{
	int	 i, rc;

	for (i = 0; i < WRITE_N; i++) {
		rc = sqlite3_prepare_v3(e->db, write_sql[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &e->write[i], NULL);
		if (rc != SQLITE_OK)
			return (sqlite_errno(e->db, rc));
	}
	(void)sqlite3_wal_hook(e->db, engine_on_wal, e);
	return (0);
}

/* Runs a statement whose rows, if any, do not matter. An SQLite code. */
static int
run(struct engine *e, enum write_stmt which)
{
	sqlite3_stmt	*st = e->write[which];
	int		 rc;

	rc = sqlite3_step(st);
	(void)sqlite3_reset(st);
	return (rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc);
}

static int
run1(struct engine *e, enum write_stmt which, uint64_t a)
{
	(void)sqlite3_bind_int64(e->write[which], 1, (int64_t)a);
	return (run(e, which));
}

static int
run2(struct engine *e, enum write_stmt which, uint64_t a, uint64_t b)
{
	(void)sqlite3_bind_int64(e->write[which], 2, (int64_t)b);
	return (run1(e, which, a));
}

static int
run3(struct engine *e, enum write_stmt which, uint64_t a, uint64_t b,
    uint64_t c)
{
	(void)sqlite3_bind_int64(e->write[which], 3, (int64_t)c);
	return (run2(e, which, a, b));
}

static void
bind_text(sqlite3_stmt *st, int i, const char *text, size_t len)
{
	/* Lives until the step is over; limits keep len below 2^31. */
	(void)sqlite3_bind_text64(st, i, text, len, SQLITE_STATIC,
	    SQLITE_UTF8);
}

static bool
is_same_file(struct file_id *id, const char *path, bool may_lack)
{
	struct stat	 st;

	if (stat(path, &st) < 0)
		return (may_lack && errno == ENOENT && !id->is_known);
	if (!id->is_known)
		*id = (struct file_id){ st.st_dev, st.st_ino, true };
	return (id->dev == st.st_dev && id->ino == st.st_ino);
}

/*
 * A file that was removed or replaced can still be written, into nothing: what
 * is acknowledged must be where the next start looks for it.
 */
static int
engine_begin(struct engine *e)
{
	sqlite3_stmt	*st = e->write[WRITE_GENERATION];
	uint64_t	 generation = 0;
	int		 rc;

	if (!is_same_file(&e->file, e->path, false) ||
	    !is_same_file(&e->wal, e->wal_path, true)) {
		(void)snprintf(e->reason, sizeof e->reason,
		    "the file of the store was moved or removed");
		return (-ENOENT);
	}
	rc = run(e, WRITE_BEGIN);
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW) {
			generation = (uint64_t)sqlite3_column_int64(st, 0);
			rc = SQLITE_OK;
		}
		(void)sqlite3_reset(st);
	}
	if (rc == SQLITE_OK && generation != e->generation) {
		(void)run(e, WRITE_ROLLBACK);
		(void)snprintf(e->reason, sizeof e->reason,
		    "the store was opened by another process meanwhile");
		return (-EBUSY);
	}
	return (rc);
}

/* Ends the transaction. rc: SQLite's code so far, or a negative errno. */
static int
engine_end(struct engine *e, int rc)
{
	int	 r;

	if (rc == SQLITE_OK)
		rc = run(e, WRITE_COMMIT);
	if (rc == SQLITE_OK)
		return (0);
	if (rc < 0)
		r = rc;		/* reason is set */
	else {
		r = sqlite_errno(e->db, rc);
		(void)snprintf(e->reason, sizeof e->reason,
		    "the store cannot be written (%s: %s)", strerror(-r),
		    sqlite3_errmsg(e->db));
	}
	/* COMMIT may have left it open, or an error may have ended it. */
	if (!sqlite3_get_autocommit(e->db))
		(void)run(e, WRITE_ROLLBACK);
	return (r);
}

static int
write_put(struct engine *e, const struct op *op)
{
	sqlite3_stmt	*st = e->write[WRITE_PUT];

	bind_text(st, 1, op->space->name, strlen(op->space->name));
	bind_text(st, 2, op->entry->key, op->entry->key_len);
	bind_text(st, 3, op->value->text, op->value->len);
	(void)sqlite3_bind_int64(st, 4, (int64_t)op->rev);
	return (run(e, WRITE_PUT));
}

static int
write_del(struct engine *e, const struct op *op)
{
	sqlite3_stmt	*st = e->write[WRITE_DEL];

	bind_text(st, 1, op->space->name, strlen(op->space->name));
	bind_text(st, 2, op->entry->key, op->entry->key_len);
	return (run(e, WRITE_DEL));
}

static int
write_append(struct engine *e, const struct op *op)
{
	sqlite3_stmt	*st;
	int		 rc;

	if (op->is_new_log) {
		st = e->write[WRITE_LOG_NEW];
		bind_text(st, 2, op->space->name, strlen(op->space->name));
		bind_text(st, 3, op->log->name, strlen(op->log->name));
		rc = run1(e, WRITE_LOG_NEW, op->mark.id);
		if (rc != SQLITE_OK)
			return (rc);
	}
	bind_text(e->write[WRITE_ROW], 3, op->value->text, op->value->len);
	return (run2(e, WRITE_ROW, op->mark.id, op->rev));
}

static int
write_drop(struct engine *e, const struct op *op)
{
	int	 rc;

	rc = run1(e, WRITE_LOG_DROP, op->mark.id);
	return (rc != SQLITE_OK ? rc : run1(e, WRITE_TRASH_ADD, op->mark.id));
}

/*
 * The marks once a log and group, from its last op: a thousand rows of a log
 * then cost one update. The ops are in a singly linked list, so the last op is
 * found by numbering: the second pass writes where the numbers agree.
 */
static int
write_marks(struct engine *e, const struct op_list *ops)
{
	const struct op	*op;
	uint64_t	 n;
	int		 rc = SQLITE_OK;

	n = e->group;
	for (op = ops->head; op != NULL; op = op->next) {
		n++;
		if (op->log != NULL)
			op->log->group = n;
	}
	n = e->group;
	for (op = ops->head; rc == SQLITE_OK && op != NULL; op = op->next) {
		n++;
		if (op->log != NULL && op->log->group == n &&
		    op->kind != OP_DROP)
			rc = run3(e, WRITE_LOG_MARK, op->mark.first,
			    op->mark.next, op->mark.id);
	}
	e->group = n;
	return (rc);
}

int
engine_commit(struct engine *e, const struct op_list *ops)
{
	const struct op	*op;
	uint64_t	 rev = 0;
	bool		 has_garbage = false;
	int		 r, rc;

	rc = engine_begin(e);
	for (op = ops->head; rc == SQLITE_OK && op != NULL; op = op->next) {
		switch (op->kind) {
		case OP_PUT:
			rc = write_put(e, op);
			break;
		case OP_DEL:
			rc = write_del(e, op);
			rev = op->rev;
			break;
		case OP_APPEND:
			rc = write_append(e, op);
			break;
		case OP_TRIM:
			has_garbage = true;
			break;
		case OP_DROP:
			rc = write_drop(e, op);
			has_garbage = true;
			break;
		case OP_NOTE:
			break;
		}
	}
	if (rc == SQLITE_OK)
		rc = write_marks(e, ops);
	/* A deleted key's revision would be forgotten with it. */
	if (rc == SQLITE_OK && rev > 0)
		rc = run1(e, WRITE_REV, rev);
	r = engine_end(e, rc);
	if (r == 0 && has_garbage)
		e->has_garbage = true;
	return (r);
}

int
engine_probe(struct engine *e)
{
	int	 rc;

	if (e->db == NULL || e->write[WRITE_N - 1] == NULL)
		return (-EIO);
	rc = engine_begin(e);
	if (rc == SQLITE_OK)
		rc = run(e, WRITE_PROBE);
	return (engine_end(e, rc));
}

const char *
engine_reason(struct engine *e)
{
	return (e->reason);
}

/* The rows of one dropped log. 1: more may be there. */
static int
sweep_trash(struct engine *e, bool *ret_found)
{
	sqlite3_stmt	*st = e->write[WRITE_TRASH_NEXT];
	uint64_t	 id = 0;
	int		 rc;

	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		id = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	*ret_found = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW)
		return (rc == SQLITE_DONE ? SQLITE_OK : rc);
	rc = run2(e, WRITE_TRASH_ROWS, id, SWEEP_ROWS);
	if (rc == SQLITE_OK && sqlite3_changes(e->db) < SWEEP_ROWS)
		rc = run1(e, WRITE_TRASH_DONE, id);
	return (rc);
}

static int
sweep_trimmed(struct engine *e, bool *ret_found)
{
	sqlite3_stmt	*st = e->write[WRITE_TRIM_NEXT];
	uint64_t	 id = 0, first = 0;
	int		 rc;

	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		id = (uint64_t)sqlite3_column_int64(st, 0);
		first = (uint64_t)sqlite3_column_int64(st, 1);
	}
	(void)sqlite3_reset(st);
	*ret_found = rc == SQLITE_ROW;
	if (rc != SQLITE_ROW)
		return (rc == SQLITE_DONE ? SQLITE_OK : rc);
	rc = run3(e, WRITE_TRIM_ROWS, id, first, SWEEP_ROWS);
	if (rc == SQLITE_OK && sqlite3_changes(e->db) < SWEEP_ROWS)
		rc = run2(e, WRITE_TRIM_DONE, first, id);
	return (rc);
}

static int
engine_sweep(struct engine *e)
{
	bool	 is_found = false;
	int	 r, rc;

	rc = engine_begin(e);
	if (rc == SQLITE_OK)
		rc = sweep_trash(e, &is_found);
	if (rc == SQLITE_OK && !is_found)
		rc = sweep_trimmed(e, &is_found);
	r = engine_end(e, rc);
	if (r == 0 && !is_found)
		e->has_garbage = false;
	return (r);
}

int
engine_idle(struct engine *e)
{
	int	 all = 0, done = 0, r, rc;

	if (e->has_garbage && e->wal_pages < WAL_MAX_PAGES) {
		r = engine_sweep(e);
		return (r < 0 ? r : 1);
	}
	if (e->wal_pages < WAL_IDLE_PAGES)
		return (0);
	/* Passive: never waits for the reader, the rest comes the next time. */
	rc = sqlite3_wal_checkpoint_v2(e->db, NULL, SQLITE_CHECKPOINT_PASSIVE,
	    &all, &done);
	/* A full checkpoint lets the next write begin the journal anew. */
	e->wal_pages = all - done;
	r = sqlite_errno(e->db, rc);
	if (r < 0)
		return (r);
	/* A reader that stands in the way is not waited for in a tight loop. */
	return (e->has_garbage && e->wal_pages < WAL_MAX_PAGES);
}

bool
engine_wants_idle(struct engine *e)
{
	return (e->has_garbage || e->wal_pages >= WAL_IDLE_PAGES);
}

bool
engine_must_idle(struct engine *e)
{
	return (e->wal_pages >= WAL_MAX_PAGES);
}
