/* SPDX-License-Identifier: MIT */
/* The SQLite engine's reading half: rows of a log, and the search over logs. */
#include "core/store/sqlite_priv.h"

#include <errno.h>
#include <string.h>

/* What one step of a search may look at before the next reader has its turn. */
#define FIND_STEP_ROWS	4096u
#define FIND_STEP_BYTES	MIB(4)

/*
 * Every statement looks at log.first, and not at what is on disk: trimmed rows
 * and those of dropped logs are there until they are swept. As the end of a
 * log's names ?3 is the prefix and a byte that no UTF-8 text has.
 */
static const char *const read_sql[READ_N] = {
	[READ_FIRST] = "SELECT first FROM log WHERE id=?",
	[READ_ROWS] = "SELECT seq, text FROM row WHERE log=? AND seq>=?"
	    " ORDER BY seq LIMIT ?",
	[READ_TAIL] = "SELECT seq, text FROM row WHERE log=? AND seq>=?"
	    " AND seq<? ORDER BY seq DESC LIMIT ?",
	[READ_ONE_LOG] = "SELECT max(id), count(*), max(next) FROM (SELECT id,"
	    " next FROM log WHERE ns=? AND name>=? AND name<? LIMIT 2)",
	[READ_FIND_LOG] = "SELECT r.seq, r.text, l.name FROM log l JOIN row r"
	    " ON r.log=l.id WHERE l.id=? AND r.seq<? AND r.seq>=l.first"
	    " ORDER BY r.seq DESC",
	[READ_FIND_ALL] = "SELECT r.ord, r.text, l.name, r.seq,"
	    " ifnull(l.ns=?1 AND l.name>=?2 AND l.name<?3 AND r.seq>=l.first,"
	    " 0) FROM row r LEFT JOIN log l ON l.id=r.log WHERE r.ord<?4"
	    " ORDER BY r.ord DESC",
};

static int
engine_open_reader(struct engine *e)
{
	int	 i, r, rc;

	if (e->rdb == NULL) {
		r = sqlite_connect(e->path, e->vfs, true, &e->rdb);
		if (r < 0)
			return (r);
	}
	for (i = 0; i < READ_N; i++) {
		if (e->read[i] != NULL)
			continue;
		rc = sqlite3_prepare_v3(e->rdb, read_sql[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &e->read[i], NULL);
		if (rc != SQLITE_OK)
			return (sqlite_errno(e->rdb, rc));
	}
	return (0);
}

/* The first number that counts; a dropped log has none. */
static int
read_first(struct engine *e, uint64_t log_id, uint64_t *ret_first)
{
	sqlite3_stmt	*st = e->read[READ_FIRST];
	int		 rc;

	(void)sqlite3_bind_int64(st, 1, (int64_t)log_id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret_first = (uint64_t)sqlite3_column_int64(st, 0);
	(void)sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return (1);
	return (rc == SQLITE_DONE ? 0 : sqlite_errno(e->rdb, rc));
}

int
engine_read(struct engine *e, struct job *job)
{
	sqlite3_stmt	*st;
	const char	*text;
	uint64_t	 first = 0;
	size_t		 len;
	bool		 is_tail = (job->flags & STORE_READ_TAIL) != 0;
	int		 r, rc = SQLITE_DONE;

	r = engine_open_reader(e);
	if (r < 0)
		return (r);
	r = read_first(e, job->log_id, &first);
	if (r <= 0)
		return (r);
	r = 0;
	st = e->read[is_tail ? READ_TAIL : READ_ROWS];
	(void)sqlite3_bind_int64(st, 1, (int64_t)job->log_id);
	if (is_tail) {
		(void)sqlite3_bind_int64(st, 2, (int64_t)first);
		(void)sqlite3_bind_int64(st, 3, (int64_t)job->from);
		(void)sqlite3_bind_int64(st, 4, (int64_t)job->max);
	} else {
		(void)sqlite3_bind_int64(st, 2,
		    (int64_t)MAX_OF(first, job->from));
		(void)sqlite3_bind_int64(st, 3, (int64_t)job->max);
	}
	while (r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		text = (const char *)sqlite3_column_text(st, 1);
		len = (size_t)sqlite3_column_bytes(st, 1);
		if (text == NULL)
			r = sqlite3_errcode(e->rdb) == SQLITE_NOMEM ? -ENOMEM :
			    -EBADMSG;
		else if (job->n > 0 && job->bytes.len + len > job->max_bytes)
			break;
		else
			r = job_add(job, NULL,
			    (uint64_t)sqlite3_column_int64(st, 0), text, len);
	}
	if (r == 0)
		r = sqlite_errno(e->rdb, rc);
	(void)sqlite3_reset(st);
	return (r);
}

static char
lower(char c)
{
	return (c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
}

bool
text_contains(const char *text, size_t len, const char *needle,
    size_t needle_len)
{
	size_t	 i, j, last;
	char	 a, b;

	if (needle_len > len)
		return (false);
	a = lower(needle[0]);
	b = a >= 'a' && a <= 'z' ? (char)(a - 'a' + 'A') : a;
	last = len - needle_len;
	for (i = 0; i <= last; i++) {
		if (text[i] != a && text[i] != b)
			continue;
		for (j = 1; j < needle_len &&
		    lower(text[i + j]) == lower(needle[j]); j++)
			;
		if (j == needle_len)
			return (true);
	}
	return (false);
}

static void
find_bind_range(sqlite3_stmt *st, int i, const struct job *job)
{
	size_t	 len = strlen(job->prefix);
	char	 end[STORE_LOG_MAX + 1];

	memcpy(end, job->prefix, len);
	end[len] = (char)0xff;
	(void)sqlite3_bind_text(st, i, job->ns, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(st, i + 1, job->prefix, (int)len,
	    SQLITE_STATIC);
	(void)sqlite3_bind_text(st, i + 2, end, (int)len + 1,
	    SQLITE_TRANSIENT);
}

/* One log is searched along its own index, several by walking back in time. */
static int
find_begin(struct engine *e, struct job *job)
{
	sqlite3_stmt	*st = e->read[READ_ONE_LOG];
	int64_t		 n = 0;
	int		 rc;

	find_bind_range(st, 1, job);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		job->log_id = (uint64_t)sqlite3_column_int64(st, 0);
		n = sqlite3_column_int64(st, 1);
		job->from = (uint64_t)sqlite3_column_int64(st, 2);
	}
	(void)sqlite3_reset(st);
	if (rc != SQLITE_ROW)
		return (sqlite_errno(e->rdb, rc));
	job->is_begun = true;
	job->is_one_log = n == 1;
	if (n != 1)
		job->from = INT64_MAX;
	return (n > 0);
}

int
engine_find(struct engine *e, struct job *job)
{
	sqlite3_stmt	*st;
	const char	*text, *log;
	size_t		 len, rows = 0, bytes = 0;
	size_t		 needle_len = strlen(job->needle);
	uint64_t	 seq;
	int		 r, rc = SQLITE_DONE;

	r = engine_open_reader(e);
	if (r < 0)
		return (r);
	if (!job->is_begun) {
		r = find_begin(e, job);
		if (r <= 0)
			return (r);
	}
	r = 0;
	st = e->read[job->is_one_log ? READ_FIND_LOG : READ_FIND_ALL];
	if (job->is_one_log) {
		(void)sqlite3_bind_int64(st, 1, (int64_t)job->log_id);
		(void)sqlite3_bind_int64(st, 2, (int64_t)job->from);
	} else {
		find_bind_range(st, 1, job);
		(void)sqlite3_bind_int64(st, 4, (int64_t)job->from);
	}
	while (rows < FIND_STEP_ROWS && bytes < FIND_STEP_BYTES &&
	    job->n < job->max && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		rows++;
		job->from = (uint64_t)sqlite3_column_int64(st, 0);
		if (!job->is_one_log && sqlite3_column_int(st, 4) == 0)
			continue;
		text = (const char *)sqlite3_column_text(st, 1);
		len = (size_t)sqlite3_column_bytes(st, 1);
		log = (const char *)sqlite3_column_text(st, 2);
		bytes += len;
		if (text == NULL || log == NULL) {
			r = -EBADMSG;
			break;
		}
		if (!text_contains(text, len, job->needle, needle_len))
			continue;
		if (job->n > 0 && job->bytes.len + len > job->max_bytes) {
			rc = SQLITE_DONE;
			break;
		}
		seq = job->is_one_log ? job->from :
		    (uint64_t)sqlite3_column_int64(st, 3);
		r = job_add(job, log, seq, text, len);
		if (r < 0)
			break;
	}
	if (r == 0 && rc != SQLITE_ROW)
		r = sqlite_errno(e->rdb, rc);
	else if (r == 0)
		r = job->n < job->max;	/* 1: a step is over, not all */
	(void)sqlite3_reset(st);
	return (r);
}
