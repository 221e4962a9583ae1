/* SPDX-License-Identifier: MIT */
/*
 * The SQLite engine: opening with every check, creating, migrating, loading,
 * closing. A file that fails a check is left byte for byte as it is.
 */
#include "core/store/sqlite_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"

#define BUSY_MS		2000	/* another process looks at the file */
#define CACHE_PRAGMA	"PRAGMA cache_size=-512"
#define BACKUP_PAGES	256

const struct engine_type engine_sqlite = {
	.open = engine_open,
	.commit = engine_commit,
	.probe = engine_probe,
	.reason = engine_reason,
	.idle = engine_idle,
	.wants_idle = engine_wants_idle,
	.must_idle = engine_must_idle,
	.read = engine_read,
	.find = engine_find,
	.close = engine_close,
};

/*
 * row has its own key, so that all rows lie in the order of their commits:
 * appends go to the end of the file whatever the log, and a search walks back
 * in time. log.kept is the lowest row number still on disk; it trails
 * log.first until housekeeping has removed what was trimmed. trash are dropped
 * logs, likewise.
 */
static const struct sqlite_step schema[] = {
	{ "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL)"
	    " WITHOUT ROWID;"
	    "INSERT INTO meta VALUES"
	    "('clean',1),('generation',0),('probe',0),('rev',0);"
	    "CREATE TABLE kv(ns TEXT NOT NULL, key TEXT NOT NULL,"
	    " rev INTEGER NOT NULL, text TEXT NOT NULL,"
	    " PRIMARY KEY(ns, key)) WITHOUT ROWID;"
	    "CREATE TABLE log(id INTEGER PRIMARY KEY, ns TEXT NOT NULL,"
	    " name TEXT NOT NULL, first INTEGER NOT NULL,"
	    " next INTEGER NOT NULL, kept INTEGER NOT NULL,"
	    " UNIQUE(ns, name));"
	    "CREATE INDEX log_trimmed ON log(id) WHERE kept < first;"
	    "CREATE TABLE row(ord INTEGER PRIMARY KEY, log INTEGER NOT NULL,"
	    " seq INTEGER NOT NULL, text TEXT NOT NULL);"
	    "CREATE UNIQUE INDEX row_seq ON row(log, seq);"
	    "CREATE TABLE trash(log INTEGER PRIMARY KEY);" },
};

#define SCHEMA_VERSION	((int)ARRAY_LEN(schema))

int
sqlite_errno(sqlite3 *db, int rc)
{
	int	 e = db == NULL ? 0 : sqlite3_system_errno(db);

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return (0);
	case SQLITE_FULL:
		return (-ENOSPC);
	case SQLITE_NOMEM:
		return (-ENOMEM);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return (-EBUSY);
	case SQLITE_READONLY:
		return (-EROFS);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return (-EBADMSG);
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
	case SQLITE_PERM:
		return (e == ENOSPC || e == EDQUOT || e == EROFS ||
		    e == EACCES || e == ENOENT || e == EMFILE ? -e : -EIO);
	default:
		return (-EIO);
	}
}

int
sqlite_exec(sqlite3 *db, const char *sql)
{
	return (sqlite_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL)));
}

int
sqlite_number(sqlite3 *db, const char *sql, int64_t *ret_n)
{
	sqlite3_stmt	*st = NULL;
	int		 rc;

	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret_n = sqlite3_column_int64(st, 0);
	else if (rc == SQLITE_DONE)
		rc = SQLITE_CORRUPT;	/* a row was promised */
	(void)sqlite3_finalize(st);
	return (sqlite_errno(db, rc));
}

static void
sqlite_close(sqlite3 *db)
{
	(void)sqlite3_close(db);
}

int
sqlite_connect(const char *path, const char *vfs, bool is_reader,
    sqlite3 **ret_db)
{
	sqlite3	*db = NULL;
	int	 r, rc;

	rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);
	if (rc != SQLITE_OK) {
		r = sqlite_errno(db, rc);
		sqlite_close(db);
		return (r);
	}
	(void)sqlite3_extended_result_codes(db, 1);
	(void)sqlite3_busy_timeout(db, BUSY_MS);
	/* Small look-aside memory: few statements, each of a few rows. */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 64);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* Until all checks are passed, closing must not write. */
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = sqlite_exec(db, CACHE_PRAGMA "; PRAGMA mmap_size=0;"
	    "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0;"
	    "PRAGMA synchronous=FULL; PRAGMA cell_size_check=1");
	if (r == 0 && is_reader)
		r = sqlite_exec(db, "PRAGMA query_only=1");
	if (r < 0) {
		sqlite_close(db);
		return (r);
	}
	*ret_db = db;
	return (0);
}

/* The directory entry of path must survive, too. */
static int
sync_dir_of(const char *path)
{
	char	*dir, *slash;
	int	 fd, r = 0;

	dir = strdup(path);
	if (dir == NULL)
		return (-ENOMEM);
	slash = strrchr(dir, '/');
	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	fd = open(slash == NULL ? "." : dir, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		r = -errno;
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return (r);
}

/* Makes an empty file with mode 0600 whatever the umask. */
static int
make_empty(const char *path)
{
	int	 fd, r = 0;

	if (unlink(path) < 0 && errno != ENOENT)
		return (-errno);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd < 0)
		return (-errno);
	if (fchmod(fd, 0600) < 0)
		r = -errno;
	(void)close(fd);
	return (r);
}

static int
sqlite_apply(sqlite3 *db, const struct sqlite_step *steps, int from, int to)
{
	char	 sql[64];
	int	 i, r;

	r = sqlite_exec(db, "BEGIN IMMEDIATE");
	if (r < 0)
		return (r);
	for (i = from; r == 0 && i < to; i++)
		r = sqlite_exec(db, steps[i].sql);
	if (r == 0) {
		(void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d", to);
		r = sqlite_exec(db, sql);
	}
	if (r == 0)
		r = sqlite_exec(db, "COMMIT");
	if (r < 0)
		(void)sqlite_exec(db, "ROLLBACK");
	return (r);
}

static int
sqlite_backup(sqlite3 *db, const char *vfs, const char *to)
{
	sqlite3_backup	*b;
	sqlite3		*copy = NULL;
	char		*tmp;
	int		 r, rc;

	if (asprintf(&tmp, "%s.tmp", to) < 0)
		return (-ENOMEM);
	r = make_empty(tmp);
	if (r < 0)
		goto out;
	rc = sqlite3_open_v2(tmp, &copy, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_NOMUTEX, vfs);
	if (rc == SQLITE_OK) {
		b = sqlite3_backup_init(copy, "main", db, "main");
		if (b != NULL) {
			do
				rc = sqlite3_backup_step(b, BACKUP_PAGES);
			while (rc == SQLITE_OK);
			rc = sqlite3_backup_finish(b);
		} else
			rc = sqlite3_errcode(copy);
	}
	r = sqlite_errno(copy, rc);
	sqlite_close(copy);
	if (r == 0 && rename(tmp, to) < 0)
		r = -errno;
	if (r == 0)
		r = sync_dir_of(to);
out:
	if (r < 0)
		(void)unlink(tmp);
	free(tmp);
	return (r);
}

int
sqlite_migrate(sqlite3 *db, const char *path, const char *vfs,
    const struct sqlite_step *steps, int n_steps, struct buf *why)
{
	int64_t	 version;
	char	*backup = NULL;
	int	 r;

	r = sqlite_number(db, "PRAGMA user_version", &version);
	if (r < 0 || version == n_steps)
		return (r);
	if (version < 0 || version > n_steps) {
		if (why != NULL)
			(void)buf_printf(why, "'%s' was written by a later "
			    "version (format %lld, this one knows %d)", path,
			    (long long)version, n_steps);
		return (-ENOTSUP);
	}
	if (version > 0) {
		if (asprintf(&backup, "%s.backup-v%d", path, (int)version) < 0)
			return (-ENOMEM);
		r = sqlite_backup(db, vfs, backup);
		if (r < 0) {
			if (why != NULL)
				(void)buf_printf(why, "cannot copy '%s' to "
				    "'%s' before changing its format (%s)",
				    path, backup, strerror(-r));
			goto out;
		}
	}
	r = sqlite_apply(db, steps, (int)version, n_steps);
	if (r < 0 && why != NULL)
		(void)buf_printf(why, "cannot change the format of '%s' from "
		    "%d to %d (%s); it is as it was", path, (int)version,
		    n_steps, sqlite3_errmsg(db));
out:
	free(backup);
	return (r);
}

static int
sync_file(const char *path)
{
	int	 fd, r = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return (-errno);
	if (fsync(fd) < 0)
		r = -errno;
	(void)close(fd);
	return (r);
}

/*
 * A new file gets its name only when it is whole: an empty chela.db is
 * therefore never ours, and is not taken for a fresh start.
 */
static int
engine_create(struct engine *e)
{
	sqlite3	*db = NULL;
	char	*tmp = NULL, *wal = NULL, sql[64];
	int	 r;

	if (asprintf(&tmp, "%s.new", e->path) < 0)
		return (-ENOMEM);
	if (asprintf(&wal, "%s-wal", tmp) < 0) {
		free(tmp);
		return (-ENOMEM);
	}
	if (unlink(wal) < 0 && errno != ENOENT) {
		r = -errno;
		goto out;
	}
	r = make_empty(tmp);
	if (r < 0)
		goto out;
	r = sqlite_connect(tmp, e->vfs, false, &db);
	if (r < 0)
		goto out;
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	/* Nothing is lost while it has no name: one sync, before it gets it. */
	(void)sqlite_exec(db, "PRAGMA synchronous=OFF");
	(void)snprintf(sql, sizeof sql, "PRAGMA application_id=%d",
	    SQLITE_APP_ID);
	r = sqlite_exec(db, sql);
	if (r == 0)
		r = sqlite_apply(db, schema, 0, SCHEMA_VERSION);
	if (r == 0)
		r = sqlite_exec(db, "PRAGMA journal_mode=WAL");
	sqlite_close(db);
	db = NULL;
	if (r == 0)
		r = sync_file(tmp);
	if (r == 0 && rename(tmp, e->path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_dir_of(e->path);
out:
	if (r < 0)
		(void)unlink(tmp);
	free(wal);
	free(tmp);
	return (r);
}

static void
why_errno(struct buf *why, const char *what, const char *path, int r)
{
	if (why != NULL)
		(void)buf_printf(why, "cannot %s '%s' (%s)", what, path,
		    strerror(-r));
}

/* Ours, regular, private. A mode that is too open is corrected and told. */
static int
check_file(const char *path, struct stat *st, struct buf *why)
{
	const char	*what = NULL;
	int		 r;

	if (lstat(path, st) < 0)
		return (-errno);
	if (S_ISLNK(st->st_mode))
		what = "is a link";
	else if (!S_ISREG(st->st_mode))
		what = "is not a regular file";
	else if (st->st_uid != geteuid())
		what = "belongs to another user";
	if (what != NULL) {
		if (why != NULL)
			(void)buf_printf(why, "'%s' %s; it was left as it is",
			    path, what);
		return (-EPERM);
	}
	if ((st->st_mode & 077) == 0)
		return (0);
	if (chmod(path, 0600) < 0) {
		r = -errno;
		why_errno(why, "make private", path, r);
		return (r);
	}
	if (why != NULL)
		(void)buf_printf(why, "%s'%s' was open to other users (mode "
		    "%04o), now it is not", why->len > 0 ? "; " : "", path,
		    (unsigned)(st->st_mode & 07777));
	return (0);
}

/* The files before SQLite sees them; creates the store if there is none. */
static int
engine_check_files(struct engine *e, struct buf *why)
{
	struct stat	 st, wal;
	bool		 has_wal;
	int		 r;

	r = check_file(e->wal_path, &wal, why);
	if (r < 0 && r != -ENOENT)
		return (r);
	has_wal = r == 0 && wal.st_size > 0;
	r = check_file(e->path, &st, why);
	if (r == -ENOENT && has_wal) {
		/* A new file would be filled with the old one's changes. */
		if (why != NULL)
			(void)buf_printf(why, "'%s' is missing but '%s' is "
			    "there: bring the first back, or move the second "
			    "away to start anew", e->path, e->wal_path);
		return (-EBADMSG);
	}
	if (r == -ENOENT) {
		r = engine_create(e);
		if (r < 0) {
			why_errno(why, "create", e->path, r);
			return (r);
		}
		r = check_file(e->path, &st, why);
	}
	if (r < 0)
		return (r);
	if (st.st_size == 0) {
		if (why != NULL)
			(void)buf_printf(why, "'%s' is empty: bring a copy "
			    "back, or move it away to start anew", e->path);
		return (-EBADMSG);
	}
	e->file = (struct file_id){ st.st_dev, st.st_ino, true };
	return (0);
}

static int
damaged(struct engine *e, int r, const char *what, struct buf *why)
{
	if (why != NULL)
		(void)buf_printf(why, r == -EBADMSG ?
		    "'%s' is damaged (%s); it was left as it is" :
		    "cannot read '%s' (%s)", e->path, what);
	return (r);
}

/* The content. SQLite's own words go into the sentence: they name the page. */
static int
engine_check(struct engine *e, size_t check_max, struct buf *why)
{
	sqlite3_stmt	*st = NULL;
	struct stat	 fs;
	const char	*text;
	int64_t		 app, version, clean = 0;
	int		 r, rc;

	r = sqlite_number(e->db, "PRAGMA application_id", &app);
	if (r == 0)
		r = sqlite_number(e->db, "PRAGMA user_version", &version);
	if (r < 0)
		return (damaged(e, r, sqlite3_errmsg(e->db), why));
	if (app != SQLITE_APP_ID || version <= 0)
		return (damaged(e, -EBADMSG, "not a store of this program",
		    why));
	if (version > SCHEMA_VERSION)	/* says so */
		return (sqlite_migrate(e->db, e->path, e->vfs, schema,
		    SCHEMA_VERSION, why));
	r = sqlite_number(e->db, "SELECT value FROM meta WHERE key='clean'",
	    &clean);
	if (r < 0)
		return (damaged(e, r, sqlite3_errmsg(e->db), why));
	if (clean == 1 && stat(e->path, &fs) == 0 &&
	    (uintmax_t)fs.st_size > check_max)
		return (0);
	rc = sqlite3_prepare_v2(e->db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 0);
		if (text == NULL || strcmp(text, "ok") != 0)
			r = damaged(e, -EBADMSG, text == NULL ? "?" :
			    log_quote(text, strlen(text)), why);
	} else
		r = damaged(e, sqlite_errno(e->db, rc == SQLITE_DONE ?
		    SQLITE_CORRUPT : rc), sqlite3_errmsg(e->db), why);
	(void)sqlite3_finalize(st);
	return (r);
}

static int
load_keys(struct engine *e, const struct load *load)
{
	sqlite3_stmt	*st = NULL;
	const char	*ns, *key, *text;
	int		 r = 0, rc;

	rc = sqlite3_prepare_v2(e->db, "SELECT ns, key, text, rev FROM kv",
	    -1, &st, NULL);
	while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(st)) ==
	    SQLITE_ROW) {
		rc = SQLITE_OK;
		ns = (const char *)sqlite3_column_text(st, 0);
		key = (const char *)sqlite3_column_text(st, 1);
		text = (const char *)sqlite3_column_text(st, 2);
		if (ns == NULL || key == NULL || text == NULL)
			r = -EBADMSG;
		else
			r = load->key(load->arg, ns, key,
			    (size_t)sqlite3_column_bytes(st, 1), text,
			    (size_t)sqlite3_column_bytes(st, 2),
			    (uint64_t)sqlite3_column_int64(st, 3));
	}
	(void)sqlite3_finalize(st);
	return (r < 0 ? r : sqlite_errno(e->db, rc));
}

static int
load_logs(struct engine *e, const struct load *load)
{
	sqlite3_stmt	*st = NULL;
	struct log_mark	 mark;
	const char	*ns, *name;
	int		 r = 0, rc;

	rc = sqlite3_prepare_v2(e->db, "SELECT ns, name, id, first, next, kept"
	    " FROM log", -1, &st, NULL);
	while (rc == SQLITE_OK && r == 0 && (rc = sqlite3_step(st)) ==
	    SQLITE_ROW) {
		rc = SQLITE_OK;
		ns = (const char *)sqlite3_column_text(st, 0);
		name = (const char *)sqlite3_column_text(st, 1);
		mark.id = (uint64_t)sqlite3_column_int64(st, 2);
		mark.first = (uint64_t)sqlite3_column_int64(st, 3);
		mark.next = (uint64_t)sqlite3_column_int64(st, 4);
		if (sqlite3_column_int64(st, 5) < (int64_t)mark.first)
			e->has_garbage = true;
		if (ns == NULL || name == NULL || mark.id == 0 ||
		    mark.first == 0 || mark.next < mark.first)
			r = -EBADMSG;
		else
			r = load->log(load->arg, ns, name, &mark);
	}
	(void)sqlite3_finalize(st);
	return (r < 0 ? r : sqlite_errno(e->db, rc));
}

static int
engine_load(struct engine *e, const struct load *load, struct buf *why)
{
	int64_t	 rev = 0, log_id = 0, trash = 0;
	int	 r;

	r = load_keys(e, load);
	if (r == 0)
		r = load_logs(e, load);
	if (r == 0)
		r = sqlite_number(e->db, "SELECT max((SELECT value FROM meta"
		    " WHERE key='rev'), ifnull((SELECT max(rev) FROM kv), 0))",
		    &rev);
	if (r == 0)
		r = sqlite_number(e->db, "SELECT max("
		    "ifnull((SELECT max(id) FROM log), 0),"
		    "ifnull((SELECT max(log) FROM trash), 0))", &log_id);
	if (r == 0)
		r = sqlite_number(e->db, "SELECT count(*) FROM trash", &trash);
	if (r == 0)
		r = sqlite_number(e->db, "SELECT value FROM meta WHERE "
		    "key='generation'", (int64_t *)&e->generation);
	if (r == -ENOMEM)
		return (r);
	if (r < 0)
		return (damaged(e, r, sqlite3_errcode(e->db) == SQLITE_OK ?
		    "a row makes no sense" : sqlite3_errmsg(e->db), why));
	if (trash > 0)
		e->has_garbage = true;
	e->generation++;
	e->rev = (uint64_t)rev;
	load->counters(load->arg, (uint64_t)rev, (uint64_t)log_id,
	    e->generation);
	return (0);
}

int
engine_open(const char *dir, const struct store_limits *lim,
    const struct load *load, struct engine **ret_engine, struct buf *why)
{
	struct engine	*e;
	char		 sql[160];
	int		 r;

	e = calloc(1, sizeof *e);
	if (e == NULL)
		return (-ENOMEM);
	e->vfs = lim->vfs;
	if (asprintf(&e->path, "%s/" STORE_FILE, dir) < 0)
		e->path = NULL;
	if (e->path == NULL ||
	    asprintf(&e->wal_path, "%s-wal", e->path) < 0) {
		e->wal_path = NULL;
		r = -ENOMEM;
		goto fail;
	}
	r = engine_check_files(e, why);
	if (r < 0)
		goto fail;
	r = sqlite_connect(e->path, e->vfs, false, &e->db);
	if (r < 0) {
		(void)damaged(e, r, strerror(-r), why);
		goto fail;
	}
	r = engine_check(e, lim->check_max, why);
	if (r < 0)
		goto fail;
	r = sqlite_migrate(e->db, e->path, e->vfs, schema, SCHEMA_VERSION, why);
	if (r < 0)
		goto fail;
	r = engine_load(e, load, why);
	if (r < 0)
		goto fail;
	(void)snprintf(sql, sizeof sql, "PRAGMA journal_mode=WAL;"
	    "PRAGMA journal_size_limit=%u;"
	    "REPLACE INTO meta VALUES('generation',%llu),('clean',0)",
	    (unsigned)STORE_GROUP_BYTES, (unsigned long long)e->generation);
	r = sqlite_exec(e->db, sql);
	if (r == 0)
		r = engine_prepare(e);
	if (r < 0) {
		if (why != NULL)
			(void)buf_printf(why, "cannot write '%s' (%s)", e->path,
			    sqlite3_errmsg(e->db));
		goto fail;
	}
	*ret_engine = e;
	return (0);
fail:
	engine_close(e, false);
	return (r);
}

void
engine_close(struct engine *e, bool is_good)
{
	size_t	 i;

	if (e == NULL)
		return;
	for (i = 0; i < READ_N; i++)
		(void)sqlite3_finalize(e->read[i]);
	sqlite_close(e->rdb);
	if (is_good && engine_probe(e) == 0) {
		(void)sqlite_exec(e->db,
		    "UPDATE meta SET value=1 WHERE key='clean'");
		/* The last one out moves the journal into the file. */
		(void)sqlite3_db_config(e->db,
		    SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	}
	for (i = 0; i < WRITE_N; i++)
		(void)sqlite3_finalize(e->write[i]);
	sqlite_close(e->db);
	free(e->path);
	free(e->wal_path);
	free(e);
}
