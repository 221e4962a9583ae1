/* SPDX-License-Identifier: MIT */
/* The store in trouble: disks that fail, files that are wrong, two owners. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/store/sqlite_priv.h"
#include "tests/unit/cu.h"
#include "tests/unit/fault_vfs.h"
#include "tests/unit/store_help.h"

static const struct store_limits faulty = { .vfs = FAULT_VFS };

static bool
is_degraded(void)
{
	return (store_is_degraded(store) < 0);
}

static bool
is_well(void)
{
	return (store_is_degraded(store) == 0);
}

static int
on_count(void *arg, const char *key, const char *text, size_t len,
    uint64_t rev)
{
	(void)key;
	(void)text;
	(void)len;
	(void)rev;
	++*(int *)arg;
	return (0);
}

static void
fail_and_recover(enum fault_call call, int code, int error)
{
	struct answer		 a[5] = { { 0 } };
	struct store_log_stat	 st;
	struct store_stats	 stats;
	struct rows		 rows = { 0 };
	uint64_t		 rev, rev2, seq, began;
	size_t			 bytes;
	int			 i, n = 0, n_faults;

	CU_ASSERT_EQUAL_FATAL(fault_vfs_register(), 0);
	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	CU_ASSERT_EQUAL(put_now("kept", "1", STORE_NEW_REV, &rev), 0);
	CU_ASSERT_EQUAL(put_now("gone", "1", STORE_NEW_REV, NULL), 0);
	CU_ASSERT_EQUAL(append_now("l", "\"first\"", NULL), 0);
	store_stats(store, &stats);
	bytes = stats.bytes;

	fault_vfs_set(call, code);
	began = clock_now_us();
	CU_ASSERT_EQUAL(store_put(store, NS, "kept", "22", 2, rev, on_done,
	    &a[0]), 0);
	CU_ASSERT_EQUAL(store_del(store, NS, "gone", STORE_ANY_REV, on_done,
	    &a[1]), 0);
	CU_ASSERT_EQUAL(store_put(store, NS, "new", "1", 1, STORE_NEW_REV,
	    on_done, &a[2]), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "1", 1, NULL, on_done,
	    &a[3]), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "m", "1", 1, NULL, on_done,
	    &a[4]), 0);
	CU_ASSERT_TRUE(key_is("kept", "22"));
	CU_ASSERT_TRUE(key_is("gone", NULL));
	CU_ASSERT_TRUE(help_wait(5));
	n_faults = fault_vfs_count(call);
	CU_ASSERT_EQUAL(n_faults, 1);
	for (i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(a[i].n, 1);
		CU_ASSERT_EQUAL(a[i].r, error);
	}
	/* All is as it was before, numbers included. */
	CU_ASSERT_TRUE(key_is("kept", "1"));
	CU_ASSERT_TRUE(key_is("gone", "1"));
	CU_ASSERT_TRUE(key_is("new", NULL));
	CU_ASSERT_EQUAL(store_get(store, NS, "kept", NULL, NULL, &rev2), 0);
	CU_ASSERT_EQUAL(rev2, rev);
	CU_ASSERT_EQUAL(store_each(store, NS, "", on_count, &n), 0);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "l", &st), 0);
	CU_ASSERT_EQUAL(st.next, 2);
	CU_ASSERT_EQUAL(store_log_stat(store, NS, "m", &st), -ENOENT);
	store_stats(store, &stats);
	CU_ASSERT_EQUAL(stats.bytes, bytes);
	CU_ASSERT_EQUAL(stats.keys, 2);
	CU_ASSERT_EQUAL(stats.logs, 1);
	CU_ASSERT_EQUAL(stats.queue, 0);

	/* Degraded: says why, reads, refuses writes at once. */
	CU_ASSERT_EQUAL(store_is_degraded(store), error);
	CU_ASSERT_TRUE(strlen(store_reason(store)) > 10);
	CU_ASSERT_EQUAL(store_put(store, NS, "new", "1", 1, STORE_ANY_REV,
	    on_done, NULL), error);
	CU_ASSERT_EQUAL(append_now("l", "1", NULL), error);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &rows), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(rows.n, 1);
	rows_fini(&rows);

	/* Two probes are in vain, and do not come in a hurry. */
	CU_ASSERT_TRUE(fault_vfs_wait(call, n_faults + 2));
	CU_ASSERT_TRUE(clock_now_us() - began >=
	    MS_US(STORE_RETRY_MIN_MS) * 3);
	CU_ASSERT_TRUE(is_degraded());

	fault_vfs_set(call, 0);
	CU_ASSERT_TRUE(help_until(is_well));
	CU_ASSERT_STRING_EQUAL(store_reason(store), "");
	CU_ASSERT_EQUAL(put_now("kept", "3", rev, NULL), 0);
	CU_ASSERT_EQUAL(del_now("gone", STORE_ANY_REV, NULL), 0);
	CU_ASSERT_EQUAL(append_now("l", "\"second\"", &seq), 0);
	CU_ASSERT_EQUAL(seq, 2);
	CU_ASSERT_EQUAL(append_now("m", "1", &seq), 0);
	CU_ASSERT_EQUAL(seq, 1);
	help_close();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	CU_ASSERT_TRUE(key_is("kept", "3"));
	CU_ASSERT_TRUE(key_is("gone", NULL));
	CU_ASSERT_TRUE(key_is("new", NULL));
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &rows), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL_FATAL(rows.n, 2);
	CU_ASSERT_STRING_EQUAL(rows.texts[1], "\"second\"");
	rows_fini(&rows);
	help_end();
}

/* AB-111 */
static void
a_full_disk_fails_the_writes_and_no_more(void)
{
	fail_and_recover(FAULT_WRITE, SQLITE_FULL, -ENOSPC);
}

/* AB-111 */
static void
a_failed_sync_fails_the_writes_and_no_more(void)
{
	fail_and_recover(FAULT_SYNC, SQLITE_IOERR_FSYNC, -EIO);
}

/* AB-111 */
static void
what_waits_behind_a_failure_fails_with_it(void)
{
	enum { N = 2000 };
	struct answer	*a = calloc(N, sizeof *a);
	char		 key[16];
	size_t		 i, ok = 0, bad = 0;
	bool		 is_bad = false, is_mixed = false;
	struct store_log_stat st = { 0 };

	CU_ASSERT_EQUAL_FATAL(fault_vfs_register(), 0);
	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	for (i = 0; i < N; i++) {
		/* Some groups may be through by now, the rest is not. */
		if (i == N / 2)
			fault_vfs_set(FAULT_SYNC, SQLITE_IOERR_FSYNC);
		(void)snprintf(key, sizeof key, "%zu", i);
		CU_ASSERT_EQUAL(i % 2 == 0 ?
		    store_put(store, NS, key, key, strlen(key), STORE_NEW_REV,
		    on_done, &a[i]) :
		    store_append(store, NS, "l", key, strlen(key), NULL,
		    on_done, &a[i]), 0);
	}
	CU_ASSERT_TRUE(help_wait(N));
	for (i = 0; i < N; i++) {
		if (a[i].r == 0) {
			ok++;
			is_mixed |= is_bad;
		} else {
			bad++;
			is_bad = true;
		}
		(void)snprintf(key, sizeof key, "%zu", i);
		if (i % 2 == 0)
			CU_ASSERT_TRUE(key_is(key, a[i].r == 0 ? key : NULL));
	}
	CU_ASSERT_TRUE(bad >= N / 2);
	CU_ASSERT_FALSE(is_mixed);
	(void)store_log_stat(store, NS, "l", &st);
	CU_ASSERT_EQUAL(st.count, ok / 2);
	fault_vfs_set(FAULT_SYNC, 0);
	CU_ASSERT_TRUE(help_until(is_well));
	free(a);
	help_end();
}

/* AB-111 */
static void
closing_while_the_disk_fails_says_so(void)
{
	struct answer	 a = { 0 }, b = { 0 };

	CU_ASSERT_EQUAL_FATAL(fault_vfs_register(), 0);
	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, NULL), 0);
	fault_vfs_set(FAULT_WRITE, SQLITE_IOERR_WRITE);
	CU_ASSERT_EQUAL(store_put(store, NS, "k", "2", 1, STORE_ANY_REV,
	    on_done, &a), 0);
	CU_ASSERT_EQUAL(store_append(store, NS, "l", "2", 1, NULL, on_done,
	    &b), 0);
	help_close();
	CU_ASSERT_EQUAL(a.n, 1);
	CU_ASSERT_EQUAL(a.r, -EIO);
	CU_ASSERT_EQUAL(b.r, -EIO);
	fault_vfs_set(FAULT_WRITE, 0);
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	CU_ASSERT_TRUE(key_is("k", "1"));
	help_end();
}

/* AB-111 */
static void
a_start_on_a_full_disk_fails_with_a_sentence(void)
{
	CU_ASSERT_EQUAL_FATAL(fault_vfs_register(), 0);
	help_begin();
	fault_vfs_set(FAULT_WRITE, SQLITE_FULL);
	CU_ASSERT_EQUAL(help_open(&faulty), -ENOSPC);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, STORE_FILE));
	/* Nothing half made stands in the way of the next start. */
	fault_vfs_set(FAULT_WRITE, 0);
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, NULL), 0);
	help_close();
	fault_vfs_set(FAULT_WRITE, SQLITE_FULL);
	CU_ASSERT_EQUAL(help_open(&faulty), -ENOSPC);
	fault_vfs_set(FAULT_WRITE, 0);
	CU_ASSERT_EQUAL_FATAL(help_open(&faulty), 0);
	CU_ASSERT_TRUE(key_is("k", "1"));
	help_end();
}

/* AB-117 */
static void
a_file_that_was_taken_away_is_noticed(void)
{
	char	 away[600];

	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, NULL), 0);
	(void)snprintf(away, sizeof away, "%s.away", help_path(STORE_FILE));
	CU_ASSERT_EQUAL(rename(help_path(STORE_FILE), away), 0);
	CU_ASSERT_EQUAL(put_now("k", "2", STORE_ANY_REV, NULL), -ENOENT);
	CU_ASSERT_TRUE(key_is("k", "1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(store_reason(store), "moved"));
	CU_ASSERT_EQUAL(rename(away, help_path(STORE_FILE)), 0);
	CU_ASSERT_TRUE(help_until(is_well));
	CU_ASSERT_EQUAL(put_now("k", "3", STORE_ANY_REV, NULL), 0);
	/* Its journal as well. */
	CU_ASSERT_EQUAL(unlink(help_path(STORE_FILE "-wal")), 0);
	CU_ASSERT_EQUAL(put_now("k", "4", STORE_ANY_REV, NULL), -ENOENT);
	help_end();
}

/* AB-114 */
static void
another_generation_fences_this_one_off(void)
{
	sqlite3	*db = NULL;

	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, NULL), 0);
	CU_ASSERT_EQUAL(sqlite_connect(help_path(STORE_FILE), NULL, false,
	    &db), 0);
	CU_ASSERT_EQUAL(sqlite_exec(db, "UPDATE meta SET value=value+1 "
	    "WHERE key='generation'"), 0);
	(void)sqlite3_close(db);
	CU_ASSERT_EQUAL(put_now("k", "2", STORE_ANY_REV, NULL), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(store_reason(store), "process"));
	CU_ASSERT_TRUE(key_is("k", "1"));
	help_end();
}

/* AB-117 */
static void
a_file_that_another_process_holds_is_waited_for(void)
{
	sqlite3		*db = NULL;
	uint64_t	 rev;

	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, &rev), 0);
	CU_ASSERT_EQUAL(sqlite_connect(help_path(STORE_FILE), NULL, false,
	    &db), 0);
	CU_ASSERT_EQUAL(sqlite_exec(db, "BEGIN IMMEDIATE"), 0);
	CU_ASSERT_EQUAL(put_now("k", "2", rev, NULL), -EBUSY);
	CU_ASSERT_TRUE(key_is("k", "1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(store_reason(store), "locked"));
	CU_ASSERT_EQUAL(sqlite_exec(db, "ROLLBACK"), 0);
	(void)sqlite3_close(db);
	CU_ASSERT_TRUE(help_until(is_well));
	CU_ASSERT_EQUAL(put_now("k", "3", rev, NULL), 0);
	help_end();
}

/* AB-114 */
static void
a_second_owner_is_refused(void)
{
	struct store	*second = NULL;
	struct buf	 b = BUF_INIT;
	char		 pid[32], *text = NULL;

	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	CU_ASSERT_EQUAL(store_open(loop, dir, NULL, &second, &b), -EBUSY);
	CU_ASSERT_PTR_NULL(second);
	text = buf_take(&b, NULL);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(text, pid));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, dir));
	free(text);
	/* The first is none the worse. */
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_NEW_REV, NULL), 0);
	help_close();
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_TRUE(key_is("k", "1"));
	help_end();
}

/* AB-114 */
static void
the_lock_of_a_killed_owner_is_free(void)
{
	struct loop	*l;
	struct store	*s = NULL;
	int		 fds[2], status;
	char		 c = 0;
	pid_t		 pid;

	help_begin();
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		l = loop_new();
		c = store_open(l, dir, NULL, &s, NULL) == 0 ? 'y' : 'n';
		(void)!write(fds[1], &c, 1);
		for (;;)
			(void)pause();
	}
	CU_ASSERT_EQUAL(read(fds[0], &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'y');
	CU_ASSERT_EQUAL(help_open(NULL), -EBUSY);
	CU_ASSERT_EQUAL(kill(pid, SIGKILL), 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	(void)close(fds[0]);
	(void)close(fds[1]);
	help_end();
}

/* Fills a store, closes it; the caller then harms the file. */
static void
make_store(void)
{
	char	 key[16], text[400];
	int	 i;

	help_begin();
	CU_ASSERT_EQUAL_FATAL(help_open(NULL), 0);
	memset(text, 'x', sizeof text);
	for (i = 0; i < 300; i++) {
		(void)snprintf(key, sizeof key, "%d", i);
		(void)store_put(store, NS, key, text, sizeof text,
		    STORE_ANY_REV, on_done, NULL);
		(void)store_append(store, NS, "l", text, sizeof text, NULL,
		    on_done, NULL);
	}
	CU_ASSERT_TRUE(help_wait(600));
	help_close();
}

/* Is refused with the error, says a word, and leaves every byte. */
static void
is_refused(int error, const char *word)
{
	char	*before = NULL, *after = NULL;
	size_t	 n = 0, m = 0;

	CU_ASSERT_EQUAL(file_read(help_path(STORE_FILE), MIB(64), &before, &n),
	    0);
	CU_ASSERT_EQUAL(help_open(NULL), error);
	CU_ASSERT_PTR_NULL(store);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, STORE_FILE));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, word));
	CU_ASSERT_EQUAL(file_read(help_path(STORE_FILE), MIB(64), &after, &m),
	    0);
	CU_ASSERT_EQUAL(n, m);
	if (n == m && n > 0)
		CU_ASSERT_EQUAL(memcmp(before, after, n), 0);
	free(before);
	free(after);
}

static void
overwrite(off_t at, const void *p, size_t n)
{
	int	 fd = open(help_path(STORE_FILE), O_WRONLY | O_CLOEXEC);

	CU_ASSERT_EQUAL(pwrite(fd, p, n, at), (ssize_t)n);
	(void)close(fd);
}

/* AB-117 */
static void
a_damaged_file_is_refused_and_left_alone(void)
{
	char		 junk[4096];
	struct stat	 st;
	off_t		 at;

	memset(junk, 0x5a, sizeof junk);
	make_store();
	CU_ASSERT_EQUAL(stat(help_path(STORE_FILE), &st), 0);
	CU_ASSERT_TRUE(st.st_size > 40 * 4096);
	/* Any page but the first: content, tree or index. */
	for (at = 4096; at < 30 * 4096; at += 7 * 4096)
		overwrite(at, junk, sizeof junk);
	is_refused(-EBADMSG, "damaged");
	help_end();

	make_store();		/* half a file */
	CU_ASSERT_EQUAL(truncate(help_path(STORE_FILE), 10 * 4096), 0);
	is_refused(-EBADMSG, "damaged");
	help_end();

	make_store();		/* text in its place */
	overwrite(0, "{ \"this\": \"is no database\" }\n", 30);
	is_refused(-EBADMSG, "damaged");
	help_end();

	make_store();		/* emptied */
	CU_ASSERT_EQUAL(truncate(help_path(STORE_FILE), 0), 0);
	is_refused(-EBADMSG, "empty");
	help_end();

	make_store();		/* 43 bytes */
	CU_ASSERT_EQUAL(truncate(help_path(STORE_FILE), 43), 0);
	is_refused(-EBADMSG, "damaged");
	help_end();
}

/* AB-117 */
static void
a_read_that_meets_damage_says_so(void)
{
	struct store_limits	 lim = { .check_max = 1 };
	struct rows		 rows = { 0 };
	struct stat		 st;
	char			 junk[4096];

	memset(junk, 0x5a, sizeof junk);
	make_store();
	CU_ASSERT_EQUAL(stat(help_path(STORE_FILE), &st), 0);
	/*
	 * The last pages are rows: appended last. Not looked at by the start.
	 */
	overwrite(st.st_size - 4096, junk, sizeof junk);
	overwrite(st.st_size - 3 * 4096, junk, sizeof junk);
	CU_ASSERT_EQUAL_FATAL(help_open(&lim), 0);
	CU_ASSERT_EQUAL(store_is_degraded(store), 0);
	CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0, on_rows,
	    &rows), 0);
	CU_ASSERT_TRUE(help_wait(1));
	CU_ASSERT_EQUAL(rows.r, -EBADMSG);
	CU_ASSERT_EQUAL(rows.n, 0);
	rows_fini(&rows);
	CU_ASSERT_EQUAL(store_is_degraded(store), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(store_reason(store), "damaged"));
	CU_ASSERT_EQUAL(put_now("k", "1", STORE_ANY_REV, NULL), 0);
	help_end();
}

/* AB-115, AB-117 */
static void
somebody_elses_file_is_refused(void)
{
	sqlite3	*db = NULL;
	char	 other[600];
	int	 fd;

	make_store();		/* a database of another program */
	CU_ASSERT_EQUAL(sqlite_connect(help_path(STORE_FILE), NULL, false,
	    &db), 0);
	CU_ASSERT_EQUAL(sqlite_exec(db, "PRAGMA journal_mode=DELETE;"
	    "PRAGMA application_id=1"), 0);
	(void)sqlite3_close(db);
	is_refused(-EBADMSG, "not a store");
	help_end();

	make_store();		/* a later version */
	CU_ASSERT_EQUAL(sqlite_connect(help_path(STORE_FILE), NULL, false,
	    &db), 0);
	CU_ASSERT_EQUAL(sqlite_exec(db, "PRAGMA journal_mode=DELETE;"
	    "PRAGMA user_version=1000"), 0);
	(void)sqlite3_close(db);
	is_refused(-ENOTSUP, "later version");
	help_end();

	make_store();		/* rows that make no sense */
	CU_ASSERT_EQUAL(sqlite_connect(help_path(STORE_FILE), NULL, false,
	    &db), 0);
	CU_ASSERT_EQUAL(sqlite_exec(db, "PRAGMA journal_mode=DELETE;"
	    "UPDATE log SET next=0"), 0);
	(void)sqlite3_close(db);
	is_refused(-EBADMSG, "damaged");
	help_end();

	make_store();		/* a link */
	(void)snprintf(other, sizeof other, "%s.real", help_path(STORE_FILE));
	CU_ASSERT_EQUAL(rename(help_path(STORE_FILE), other), 0);
	CU_ASSERT_EQUAL(symlink(other, help_path(STORE_FILE)), 0);
	is_refused(-EPERM, "link");
	help_end();

	help_begin();		/* a directory */
	CU_ASSERT_EQUAL(mkdir(help_path(STORE_FILE), 0700), 0);
	CU_ASSERT_EQUAL(help_open(NULL), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "regular"));
	help_end();

	help_begin();		/* the lock is a link to something dear */
	(void)snprintf(other, sizeof other, "%s", help_path("dear"));
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CU_ASSERT_EQUAL(write(fd, "dear", 4), 4);
	(void)close(fd);
	CU_ASSERT_EQUAL(symlink(other, help_path(STORE_LOCK_FILE)), 0);
	CU_ASSERT_EQUAL(help_open(NULL), -EPERM);
	help_end();

	help_begin();
	CU_ASSERT_EQUAL(rmdir(dir), 0);
	CU_ASSERT_EQUAL(help_open(NULL), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, dir));
	help_end();
}

static void
a_journal_without_its_file_is_refused(void)
{
	int	 fd;

	help_begin();
	fd = open(help_path(STORE_FILE "-wal"), O_WRONLY | O_CREAT | O_CLOEXEC,
	    0600);
	CU_ASSERT_EQUAL(write(fd, "journal", 7), 7);
	(void)close(fd);
	CU_ASSERT_EQUAL(help_open(NULL), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "missing"));
	CU_ASSERT_EQUAL(access(help_path(STORE_FILE), F_OK), -1);
	help_end();
}

static bool
is_private(const char *name)
{
	struct stat	 st;

	return (lstat(help_path(name), &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & 07777) == 0600);
}

/* AB-115 */
static void
files_are_private_whatever_the_umask(void)
{
	static const mode_t masks[] = { 0, 022, 0777 };
	struct rows	 rows = { 0 };
	size_t		 i;
	mode_t		 old;

	for (i = 0; i < ARRAY_LEN(masks); i++) {
		help_begin();
		old = umask(masks[i]);
		CU_ASSERT_EQUAL(help_open(NULL), 0);
		CU_ASSERT_STRING_EQUAL(why, "");
		CU_ASSERT_EQUAL(append_now("l", "1", NULL), 0);
		CU_ASSERT_EQUAL(store_read(store, NS, "l", 0, 0, 0, 0,
		    on_rows, &rows), 0);
		CU_ASSERT_TRUE(help_wait(1));
		rows_fini(&rows);
		(void)umask(old);
		CU_ASSERT_TRUE(is_private(STORE_FILE));
		CU_ASSERT_TRUE(is_private(STORE_FILE "-wal"));
		CU_ASSERT_TRUE(is_private(STORE_FILE "-shm"));
		CU_ASSERT_TRUE(is_private(STORE_LOCK_FILE));
		help_end();
	}
	/* One that is open to others is closed, and that is said. */
	make_store();
	CU_ASSERT_EQUAL(chmod(help_path(STORE_FILE), 0644), 0);
	CU_ASSERT_EQUAL(help_open(NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "0644"));
	CU_ASSERT_TRUE(is_private(STORE_FILE));
	help_end();
}

static void
a_new_format_keeps_a_copy_of_the_old(void)
{
	static const struct sqlite_step steps[] = {
		{ "CREATE TABLE one(a); INSERT INTO one VALUES(1)" },
		{ "CREATE TABLE two(a); INSERT INTO two VALUES(2)" },
		{ "CREATE TABLE three(a); UPDATE one SET a=3" },
		{ "CREATE TABLE four(a); this is no SQL" },
	};
	sqlite3		*db = NULL;
	struct buf	 b = BUF_INIT;
	struct stat	 st;
	int64_t		 n = 0;
	char		 path[600];
	int		 fd;

	help_begin();
	(void)snprintf(path, sizeof path, "%s", help_path("m.db"));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	CU_ASSERT_EQUAL_FATAL(sqlite_connect(path, NULL, false, &db), 0);
	CU_ASSERT_EQUAL(sqlite_migrate(db, path, NULL, steps, 1, &b), 0);
	CU_ASSERT_EQUAL(access(help_path("m.db.backup-v0"), F_OK), -1);
	CU_ASSERT_EQUAL(sqlite_migrate(db, path, NULL, steps, 3, &b), 0);
	CU_ASSERT_EQUAL(sqlite_number(db, "SELECT a FROM one", &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(sqlite_number(db, "PRAGMA user_version", &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	/* A step that fails leaves everything. */
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_TRUE(sqlite_migrate(db, path, NULL, steps, 4, &b) < 0);
	CU_ASSERT_TRUE(b.len > 0);
	CU_ASSERT_EQUAL(sqlite_number(db, "PRAGMA user_version", &n), 0);
	CU_ASSERT_EQUAL(n, 3);
	CU_ASSERT_EQUAL(sqlite_number(db, "SELECT count(*) FROM sqlite_schema"
	    " WHERE name='four'", &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	(void)sqlite3_close(db);
	/* The copy is whole, and as private as the file. */
	CU_ASSERT_EQUAL(stat(help_path("m.db.backup-v1"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL_FATAL(sqlite_connect(help_path("m.db.backup-v1"),
	    NULL, false, &db), 0);
	CU_ASSERT_EQUAL(sqlite_number(db, "SELECT a FROM one", &n), 0);
	CU_ASSERT_EQUAL(n, 1);
	(void)sqlite3_close(db);
	buf_fini(&b);
	help_end();
}

static const struct cu_case cases[] = {
	CU_CASE(a_full_disk_fails_the_writes_and_no_more),
	CU_CASE(a_failed_sync_fails_the_writes_and_no_more),
	CU_CASE(what_waits_behind_a_failure_fails_with_it),
	CU_CASE(closing_while_the_disk_fails_says_so),
	CU_CASE(a_start_on_a_full_disk_fails_with_a_sentence),
	CU_CASE(a_file_that_was_taken_away_is_noticed),
	CU_CASE(another_generation_fences_this_one_off),
	CU_CASE(a_file_that_another_process_holds_is_waited_for),
	CU_CASE(a_second_owner_is_refused),
	CU_CASE(the_lock_of_a_killed_owner_is_free),
	CU_CASE(a_damaged_file_is_refused_and_left_alone),
	CU_CASE(a_read_that_meets_damage_says_so),
	CU_CASE(somebody_elses_file_is_refused),
	CU_CASE(a_journal_without_its_file_is_refused),
	CU_CASE(files_are_private_whatever_the_umask),
	CU_CASE(a_new_format_keeps_a_copy_of_the_old),
	CU_END
};

CU_MAIN("store in trouble", cases)
