/* SPDX-License-Identifier: MIT */
/*
 * Kill the store at any instant: what it acknowledged must be there (AB-110).
 *
 *	store_crash [rounds [seed]]
 *
 * A child writes tables and logs at random. It tells a pipe of each write
 * before it makes it, and again when it was acknowledged. At a random moment,
 * or after a random number of acknowledgements, it gets SIGKILL. Then the
 * store must open, pass SQLite's integrity check and be exactly what the first
 * k of the writes make of the state before, for some k that covers everything
 * acknowledged: no write lost, none torn, none out of order, no gap in a log.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/store/sqlite_priv.h"
#include "tests/unit/store_help.h"

#define ROUNDS		25
#define KEYS		40
#define LOGS		4
#define ROWS_MAX	4000	/* of a log in the model */
#define IN_FLIGHT	48
#define ROUND_MS	60	/* the latest moment of the kill */
#define REOPEN_ACKS	300	/* the child closes and opens in between */

enum what { PUT, DEL, APPEND, TRIM, DROP };

struct record {
	uint32_t	 is_ack;
	uint32_t	 what;
	uint32_t	 at;		/* which key or log */
	uint32_t	 r;
	uint64_t	 n;		/* number of the write, from 1 */
	uint64_t	 rev;		/* ack: as done got it; trim: before */
};

struct model {
	uint64_t	 keys[KEYS];	/* n of the last put; 0: none */
	uint64_t	 revs[KEYS];	/* if acknowledged, else 0 */
	struct {
		uint64_t	 first;
		uint64_t	 next;		/* 0: no such log */
		uint64_t	 rows[ROWS_MAX]; /* n of row first + i */
	}		 logs[LOGS];
};

static uint64_t	 rng;

static uint32_t
roll(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return ((uint32_t)(rng >> 33) % below);
}

/* The text of a write says which it is, and has a length of its own. */
static size_t
text_of(char *out, size_t size, uint64_t n)
{
	int	 len;

	len = snprintf(out, size, "{\"n\":%llu,\"pad\":\"%0*d\"}",
	    (unsigned long long)n, (int)(n * 2654435761u % 700) + 1, 7);
	return ((size_t)len);
}

static void
die(const char *what, uint64_t n)
{
	(void)fprintf(stderr, "store_crash: %s (%llu)\n", what,
	    (unsigned long long)n);
	_exit(1);
}

/* ---- the child ---- */

static int		 tell_fd;
static uint64_t		 next_n;
static size_t		 flying;
static size_t		 acks;
static bool		 is_closing;
static struct record	 flight[IN_FLIGHT];

static void	 child_fill(void);

static void
tell(const struct record *rec)
{
	if (write(tell_fd, rec, sizeof *rec) != sizeof *rec)
		die("the pipe is gone", rec->n);
}

static void
child_done(void *arg, int r, uint64_t rev)
{
	struct record	*rec = arg;

	rec->is_ack = 1;
	rec->r = (uint32_t)-r;
	rec->rev = rev;
	tell(rec);
	rec->n = 0;
	flying--;
	if (++acks % REOPEN_ACKS == 0)
		is_closing = true;
	if (is_closing)
		loop_stop(loop);
	else
		child_fill();
}

static void
child_write(struct record *rec)
{
	struct store_log_stat	 st = { 1, 1, 0 };
	char			 name[16], text[800];
	size_t			 len = text_of(text, sizeof text, next_n);
	uint32_t		 dice = roll(100);
	int			 r;

	*rec = (struct record){ .n = next_n++ };
	if (dice < 50) {
		rec->at = roll(KEYS);
		(void)snprintf(name, sizeof name, "key/%u", rec->at);
		rec->what = dice < 12 && store_get(store, NS, name, NULL, NULL,
		    NULL) == 0 ? DEL : PUT;
	} else {
		rec->at = roll(LOGS);
		(void)snprintf(name, sizeof name, "log/%u", rec->at);
		rec->what = APPEND;
		if (store_log_stat(store, NS, name, &st) == 0) {
			rec->what = dice == 99 ? DROP : dice > 95 ||
			    st.count >= ROWS_MAX - 1 ? TRIM : APPEND;
			rec->rev = st.first + st.count / 2;
		}
	}
	tell(rec);
	flying++;
	switch ((enum what)rec->what) {
	case PUT:
		r = store_put(store, NS, name, text, len, STORE_ANY_REV,
		    child_done, rec);
		break;
	case DEL:
		r = store_del(store, NS, name, STORE_ANY_REV, child_done, rec);
		break;
	case APPEND:
		r = store_append(store, NS, name, text, len, NULL, child_done,
		    rec);
		break;
	case TRIM:
		r = store_trim(store, NS, name, rec->rev, child_done, rec);
		break;
	default:
		r = store_drop(store, NS, name, child_done, rec);
		break;
	}
	if (r < 0)
		die("a write was refused", (uint64_t)-r);
}

/* Sometimes one write at a time, sometimes many: both kinds of groups. */
static void
child_fill(void)
{
	size_t	 i, most = roll(4) == 0 ? IN_FLIGHT : 1 + roll(8);

	for (i = 0; i < IN_FLIGHT && flying < most; i++) {
		if (flight[i].n == 0)
			child_write(&flight[i]);
	}
}

static void
child_main(int fd, uint64_t seed, uint64_t n)
{
	tell_fd = fd;
	rng = seed | 1;
	next_n = n;
	loop = loop_new();
	for (;;) {
		if (help_open(NULL) < 0)
			die(why, 0);
		is_closing = false;
		child_fill();
		loop_run(loop);
		help_close();
	}
}

/* ---- the parent ---- */

static struct model	 model, found;
static struct record	*writes;	/* of this round */
static size_t		 n_writes, cap_writes, n_acked;
static unsigned		 n_logs_read;

/* What a write does to the model. False: it cannot have been like this. */
static bool
model_apply(struct model *m, const struct record *rec)
{
	uint64_t	 k, before;

	switch ((enum what)rec->what) {
	case PUT:
		m->keys[rec->at] = rec->n;
		m->revs[rec->at] = rec->is_ack ? rec->rev : 0;
		return (true);
	case DEL:
		m->keys[rec->at] = m->revs[rec->at] = 0;
		return (true);
	case APPEND:
		if (m->logs[rec->at].next == 0)
			m->logs[rec->at].first = m->logs[rec->at].next = 1;
		k = m->logs[rec->at].next - m->logs[rec->at].first;
		if (k >= ROWS_MAX)
			return (false);
		m->logs[rec->at].rows[k] = rec->n;
		if (rec->is_ack && rec->rev != m->logs[rec->at].next)
			return (false);
		m->logs[rec->at].next++;
		return (true);
	case TRIM:
		before = rec->rev;
		if (before < m->logs[rec->at].first ||
		    before > m->logs[rec->at].next)
			return (false);
		k = before - m->logs[rec->at].first;
		memmove(m->logs[rec->at].rows, m->logs[rec->at].rows + k,
		    (ROWS_MAX - k) * sizeof m->logs[0].rows[0]);
		m->logs[rec->at].first = before;
		return (true);
	default:
		m->logs[rec->at].first = m->logs[rec->at].next = 0;
		return (true);
	}
}

static bool
model_is(const struct model *a, const struct model *b)
{
	size_t	 i;

	if (memcmp(a->keys, b->keys, sizeof a->keys) != 0)
		return (false);
	for (i = 0; i < KEYS; i++) {
		if (a->revs[i] != 0 && a->revs[i] != b->revs[i])
			return (false);
	}
	for (i = 0; i < LOGS; i++) {
		if (a->logs[i].first != b->logs[i].first ||
		    a->logs[i].next != b->logs[i].next ||
		    memcmp(a->logs[i].rows, b->logs[i].rows,
		    (a->logs[i].next - a->logs[i].first) *
		    sizeof a->logs[i].rows[0]) != 0)
			return (false);
	}
	return (true);
}

/* The number in a text of ours; ends the run when it is not one. */
static uint64_t
number_in(const char *text, size_t len)
{
	char			 want[800];
	unsigned long long	 n;

	if (sscanf(text, "{\"n\":%llu", &n) != 1 ||
	    text_of(want, sizeof want, n) != len ||
	    memcmp(text, want, len) != 0)
		die("a text is torn", 0);
	return (n);
}

static int
on_key(void *arg, const char *key, const char *text, size_t len, uint64_t rev)
{
	unsigned	 at;

	(void)arg;
	if (sscanf(key, "key/%u", &at) != 1 || at >= KEYS)
		die("a key is not ours", 0);
	found.keys[at] = number_in(text, len);
	found.revs[at] = rev;
	return (0);
}

static void
on_log(void *arg, int r, const struct store_row *rows, size_t n)
{
	size_t	 at = *(unsigned *)arg, i;

	if (r < 0)
		die("a log cannot be read", (uint64_t)-r);
	if (n != found.logs[at].next - found.logs[at].first)
		die("a log has not as many rows as it says", n);
	for (i = 0; i < n; i++) {
		if (rows[i].seq != found.logs[at].first + i)
			die("a log has a gap", rows[i].seq);
		found.logs[at].rows[i] = number_in(rows[i].text, rows[i].len);
	}
	if (++n_logs_read == LOGS)
		loop_stop(loop);
}

static void
look(void)
{
	static unsigned		 at[LOGS];
	struct store_log_stat	 st;
	char			 name[16];
	unsigned		 i;

	memset(&found, 0, sizeof found);
	(void)store_each(store, NS, "", on_key, NULL);
	n_logs_read = 0;
	for (i = 0; i < LOGS; i++) {
		at[i] = i;
		(void)snprintf(name, sizeof name, "log/%u", i);
		if (store_log_stat(store, NS, name, &st) == 0) {
			found.logs[i].first = st.first;
			found.logs[i].next = st.next;
		}
		if (store_read(store, NS, name, 0, 0, 0, 0, on_log, &at[i]) < 0)
			die("a read was refused", i);
	}
	loop_run(loop);
}

static void
check_integrity(void)
{
	sqlite3		*db = NULL;
	sqlite3_stmt	*st = NULL;

	if (sqlite3_open_v2(help_path(STORE_FILE), &db, SQLITE_OPEN_READWRITE,
	    NULL) != SQLITE_OK ||
	    sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) !=
	    SQLITE_OK || sqlite3_step(st) != SQLITE_ROW ||
	    strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0)
		die("the integrity check failed", 0);
	(void)sqlite3_finalize(st);
	(void)sqlite3_close(db);
}

static void
take_record(const struct record *rec)
{
	if (!rec->is_ack) {
		if (n_writes == cap_writes) {
			cap_writes = cap_writes * 2 + 256;
			writes = realloc(writes, cap_writes * sizeof *writes);
			if (writes == NULL)
				die("no memory", 0);
		}
		writes[n_writes++] = *rec;
		return;
	}
	if (n_acked == n_writes || writes[n_acked].n != rec->n)
		die("an acknowledgement came out of order", rec->n);
	if (rec->r != 0)
		die("a write failed", rec->r);
	writes[n_acked].is_ack = 1;
	if (writes[n_acked].what != TRIM)
		writes[n_acked].rev = rec->rev;
	n_acked++;
}

/* Reads what the child tells; kills it when its time has come. */
static void
watch(pid_t pid, int fd)
{
	struct record	 rec;
	struct pollfd	 pfd = { .fd = fd, .events = POLLIN };
	uint64_t	 kill_us = clock_now_us() + roll(ROUND_MS * 1000);
	size_t		 kill_acks = roll(3) == 0 ? roll(400) : SIZE_MAX;
	bool		 is_killed = false;
	ssize_t		 n;
	int		 left;

	for (;;) {
		if (!is_killed && (clock_now_us() >= kill_us ||
		    n_acked >= kill_acks)) {
			(void)kill(pid, SIGKILL);
			is_killed = true;
		}
		left = is_killed ? 60000 :
		    (int)((kill_us - clock_now_us()) / 1000) + 1;
		if (poll(&pfd, 1, left) == 0) {
			if (is_killed)
				die("the child does not end", 0);
			continue;
		}
		n = read(fd, &rec, sizeof rec);	/* whole: below PIPE_BUF */
		if (n == 0)
			return;
		if (n == sizeof rec)
			take_record(&rec);
		else if (n > 0 || errno != EINTR)
			die("a record is torn", (uint64_t)n);
	}
}

static size_t
run_round(uint64_t n)
{
	uint64_t	 seed = rng;
	int		 fds[2], status;
	size_t		 k;
	pid_t		 pid;

	n_writes = n_acked = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("no pipe", 0);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		child_main(fds[1], seed, n);
		_exit(1);
	}
	(void)close(fds[1]);
	(void)roll(2);
	watch(pid, fds[0]);
	(void)close(fds[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("the child did not die of SIGKILL", (uint64_t)status);

	loop = loop_new();
	if (help_open(NULL) < 0)
		die(why, 0);
	look();
	check_integrity();
	for (k = 0; k < n_acked; k++) {
		if (!model_apply(&model, &writes[k]))
			die("an acknowledged write has a wrong number",
			    writes[k].n);
	}
	while (!model_is(&model, &found)) {
		if (k == n_writes || !model_apply(&model, &writes[k]))
			die("the store is not what the writes make", n);
		k++;
	}
	/* From here on all revisions are known. */
	memcpy(model.revs, found.revs, sizeof model.revs);
	help_close();
	loop = loop_free(loop);
	return (k);
}

int
main(int argc, char **argv)
{
	unsigned long	 rounds = argc > 1 ? strtoul(argv[1], NULL, 10) :
	    ROUNDS;
	uint64_t	 seed = argc > 2 ? strtoull(argv[2], NULL, 10) :
	    clock_now_us() ^ (uint64_t)getpid() << 32;
	uint64_t	 n = 1, acked = 0, extra = 0;
	unsigned long	 i;
	size_t		 kept;

	(void)printf("store_crash: %lu rounds, seed %llu\n", rounds,
	    (unsigned long long)seed);
	help_begin();
	loop = loop_free(loop);
	rng = seed | 1;
	for (i = 0; i < rounds; i++) {
		kept = run_round(n);
		n += n_writes;
		acked += n_acked;
		extra += kept - n_acked;
	}
	(void)printf("store_crash: %llu writes acknowledged, all there; "
	    "%llu of %llu unacknowledged ones, too\n",
	    (unsigned long long)acked, (unsigned long long)extra,
	    (unsigned long long)(n - 1 - acked));
	free(writes);
	loop = loop_new();
	help_end();
	/* A run in which nothing was written proves nothing. */
	return (acked > 0 ? 0 : 1);
}
