/* SPDX-License-Identifier: MIT */
/* The SQLite engine from inside: its two connections and their statements. */
#ifndef STORE_SQLITE_PRIV_H
#define STORE_SQLITE_PRIV_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "core/store/store_priv.h"

#define SQLITE_APP_ID	0x4348454c	/* "CHEL", in the file's header */

enum write_stmt {
	WRITE_BEGIN,
	WRITE_COMMIT,
	WRITE_ROLLBACK,
	WRITE_GENERATION,
	WRITE_PROBE,
	WRITE_PUT,
	WRITE_DEL,
	WRITE_REV,
	WRITE_ROW,
	WRITE_LOG_NEW,
	WRITE_LOG_MARK,
	WRITE_LOG_DROP,
	WRITE_TRASH_ADD,
	WRITE_TRASH_NEXT,
	WRITE_TRASH_ROWS,
	WRITE_TRASH_DONE,
	WRITE_TRIM_NEXT,
	WRITE_TRIM_ROWS,
	WRITE_TRIM_DONE,
	WRITE_N
};

enum read_stmt {
	READ_FIRST,
	READ_ROWS,
	READ_TAIL,
	READ_ONE_LOG,
	READ_FIND_LOG,
	READ_FIND_ALL,
	READ_N
};

struct file_id {
	dev_t	 dev;
	ino_t	 ino;
	bool	 is_known;
};

struct engine {
	char		*path;
	char		*wal_path;
	const char	*vfs;
	struct file_id	 file;		/* what path was when it was opened */
	struct file_id	 wal;

	/* The writer's. */
	sqlite3		*db;
	sqlite3_stmt	*write[WRITE_N];
	uint64_t	 generation;
	uint64_t	 group;
	uint64_t	 rev;		/* of the last delete that is on disk */
	int		 wal_pages;
	bool		 has_garbage;
	char		 reason[256];

	/* The reader's, opened by its first job. */
	sqlite3		*rdb;
	sqlite3_stmt	*read[READ_N];
};

/* One step from user_version to user_version + 1. */
struct sqlite_step {
	const char	*sql;
};

/* sqlite_open.c */
int	 sqlite_errno(sqlite3 *db, int rc);
int	 sqlite_connect(const char *path, const char *vfs, bool is_reader,
	    sqlite3 **ret_db);
int	 sqlite_exec(sqlite3 *db, const char *sql);
int	 sqlite_number(sqlite3 *db, const char *sql, int64_t *ret_n);
/*
 * Runs the steps that the file lacks in one transaction, after a copy of the
 * file has been put beside it as <path>.backup-v<version>.
 */
int	 sqlite_migrate(sqlite3 *db, const char *path, const char *vfs,
	    const struct sqlite_step *steps, int n_steps, struct buf *why);
int	 engine_open(const char *dir, const struct store_limits *lim,
	    const struct load *load, struct engine **ret_engine,
	    struct buf *why);
void	 engine_close(struct engine *e, bool is_good);

/* sqlite_write.c */
int	 engine_commit(struct engine *e, const struct op_list *ops);
int	 engine_probe(struct engine *e);
const char *engine_reason(struct engine *e);
int	 engine_idle(struct engine *e);
bool	 engine_wants_idle(struct engine *e);
bool	 engine_must_idle(struct engine *e);
int	 engine_prepare(struct engine *e);

/* sqlite_read.c */
int	 engine_read(struct engine *e, struct job *job);
int	 engine_find(struct engine *e, struct job *job);
/* Does text contain needle, ASCII case ignored? */
bool	 text_contains(const char *text, size_t len, const char *needle,
	    size_t needle_len);

#endif
