/* SPDX-License-Identifier: MIT */
/*
 * Who crashed, remembered across the end of the process. A crash handler can do
 * little more than write(): it appends one record of fixed size to a file that was
 * opened beforehand. The next start reads the file, says what it finds, and does not
 * start a plugin again that crashed too often in too short a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/plugin/host_priv.h"

/*
 * A record: "N 0000001732571234567 011 <plugin> <where>", filled up with blanks, a
 * newline at its end. N is new, O was seen by a start before. One that is cut short
 * has no newline where one must be.
 */
#define RECORD_SIZE	192
#define RECORD_TIME	2
#define TIME_DIGITS	19
#define RECORD_SIGNAL	(RECORD_TIME + TIME_DIGITS + 1)
#define SIGNAL_DIGITS	3
#define RECORD_NAME	(RECORD_SIGNAL + SIGNAL_DIGITS + 1)
#define NOBODY		"-"		/* no plugin was running */
#define WATCHDOG	0		/* for a signal: the loop stood still */

_Static_assert(RECORD_NAME + HOST_NAME_MAX + 2 < RECORD_SIZE, "a name fits");

struct crash_mark {
	uint64_t	 at_ms;		/* wall clock */
	int		 sig;
	bool		 is_new;
	char		 name[HOST_NAME_MAX + 1];
	char		 where[RECORD_SIZE];
};

struct crash_log {
	char			*path;
	struct crash_mark	 marks[CRASH_MARKS_MAX];
	size_t			 n;
	bool			 is_unusable;	/* somebody else's file */
};

/* Without these no client could switch anything on again. */
static const char *const vital[] = { "config", "connect", "plugins" };

/* For the handler. */
static volatile int	mark_fd = -1;
static volatile pid_t	mark_pid;
static volatile int	is_marked;

static void
put_digits(char *at, unsigned n, uint64_t v)
{
	while (n-- > 0) {
		at[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

static size_t
put_text(char *rec, size_t at, size_t end, const char *s)
{
	for (; *s != '\0' && at < end; s++)
		rec[at++] = *s > ' ' && *s < 0x7f ? *s : *s == ' ' ? '.' : '?';
	return (at);
}

static void
record_fill(char rec[RECORD_SIZE], char kind, uint64_t at_ms, int sig,
    const char *name, const char *where)
{
	size_t	 at;

	memset(rec, ' ', RECORD_SIZE);
	rec[0] = kind;
	put_digits(rec + RECORD_TIME, TIME_DIGITS, at_ms);
	put_digits(rec + RECORD_SIGNAL, SIGNAL_DIGITS, (uint64_t)sig);
	at = put_text(rec, RECORD_NAME, RECORD_NAME + HOST_NAME_MAX, name);
	(void)put_text(rec, at + 1, RECORD_SIZE - 1, where);
	rec[RECORD_SIZE - 1] = '\n';
}

/* Only what may be called in a signal handler. Once in a process. */
void
crash_mark(const char *name, const char *where, int sig)
{
	struct timespec	 ts = { 0, 0 };
	char		 rec[RECORD_SIZE];

	if (mark_fd < 0 || getpid() != mark_pid ||
	    __atomic_exchange_n(&is_marked, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	record_fill(rec, 'N', (uint64_t)ts.tv_sec * 1000u +
	    (uint64_t)ts.tv_nsec / 1000000u, sig, name != NULL ? name : NOBODY,
	    where);
	(void)!write(mark_fd, rec, sizeof rec);
}

static bool
read_digits(const char *at, unsigned n, uint64_t *ret)
{
	uint64_t	 v = 0;

	for (; n > 0; n--, at++) {
		if (*at < '0' || *at > '9')
			return (false);
		v = v * 10 + (uint64_t)(*at - '0');
	}
	*ret = v;
	return (true);
}

/* False for one that was torn, or is none. */
static bool
record_parse(const char rec[RECORD_SIZE], struct crash_mark *m)
{
	const char	*name = rec + RECORD_NAME, *end, *where;
	uint64_t	 sig;

	if ((rec[0] != 'N' && rec[0] != 'O') || rec[RECORD_SIZE - 1] != '\n' ||
	    !read_digits(rec + RECORD_TIME, TIME_DIGITS, &m->at_ms) ||
	    !read_digits(rec + RECORD_SIGNAL, SIGNAL_DIGITS, &sig))
		return (false);
	end = memchr(name, ' ', HOST_NAME_MAX + 1);
	if (end == NULL || end == name)
		return (false);
	where = end + 1;
	m->is_new = rec[0] == 'N';
	m->sig = (int)sig;
	(void)snprintf(m->name, sizeof m->name, "%.*s", (int)(end - name),
	    name);
	end = memchr(where, ' ', (size_t)(rec + RECORD_SIZE - 1 - where));
	if (end == NULL)
		end = rec + RECORD_SIZE - 1;
	(void)snprintf(m->where, sizeof m->where, "%.*s", (int)(end - where),
	    where);
	return (true);
}

static const char *
signal_text(int sig)
{
	switch (sig) {
	case WATCHDOG:
		return ("it held the loop until the watchdog ended it");
	case SIGSEGV:
		return ("SIGSEGV");
	case SIGBUS:
		return ("SIGBUS");
	case SIGFPE:
		return ("SIGFPE");
	case SIGILL:
		return ("SIGILL");
	case SIGABRT:
		return ("SIGABRT");
	default:
		return ("a signal");
	}
}

static void
time_text(uint64_t at_ms, char ret[32])
{
	time_t		 t = (time_t)(at_ms / 1000);
	struct tm	 tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(ret, 32, "?");
}

static bool
is_near(uint64_t a, uint64_t b)
{
	return ((a > b ? a - b : b - a) <= CRASH_WINDOW_MS);
}

/*
 * Did it crash CRASH_LIMIT times within the window, ever since it was last
 * enabled? Marks are in the order in which they were made.
 */
static bool
crashed_too_often(const struct crash_log *log, const char *name)
{
	uint64_t	 at[CRASH_LIMIT];
	unsigned	 n = 0;
	size_t		 i;

	for (i = 0; i < log->n; i++) {
		if (strcmp(log->marks[i].name, name) != 0)
			continue;
		if (n >= CRASH_LIMIT - 1 && is_near(log->marks[i].at_ms,
		    at[(n - (CRASH_LIMIT - 1)) % CRASH_LIMIT]))
			return (true);
		at[n++ % CRASH_LIMIT] = log->marks[i].at_ms;
	}
	return (false);
}

/* Reads what is there, at most CRASH_FILE_MAX bytes. A link is not followed. */
static int
log_read(const char *path, char *text, size_t *ret_len)
{
	struct stat	 st;
	ssize_t		 n;
	int		 fd, r = 0;

	*ret_len = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return (errno == ENOENT ? 0 : -errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    st.st_uid != geteuid())
		r = -EPERM;
	while (r == 0 && *ret_len < CRASH_FILE_MAX) {
		n = read(fd, text + *ret_len, CRASH_FILE_MAX - *ret_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		*ret_len += (size_t)n;
	}
	(void)close(fd);
	return (r);
}

static void
log_say(const struct crash_mark *m)
{
	char	 at[32];

	time_text(m->at_ms, at);
	if (strcmp(m->name, NOBODY) == 0)
		log_err("plugin", "the gateway crashed at %s (%s); no plugin "
		    "was running", at, signal_text(m->sig));
	else
		log_err("plugin", "plugin '%s': crashed at %s in %s (%s)",
		    m->name, at, m->where, signal_text(m->sig));
}

/* Drops what no longer counts: nobody's, and what is past the window. */
static void
log_prune(struct crash_log *log)
{
	uint64_t	 now = clock_wall_ms();
	size_t		 i, n = 0;

	for (i = 0; i < log->n; i++) {
		if (strcmp(log->marks[i].name, NOBODY) == 0 ||
		    (!is_near(log->marks[i].at_ms, now) &&
		    !crashed_too_often(log, log->marks[i].name)))
			log->marks[i].name[0] = '\0';
	}
	for (i = 0; i < log->n; i++) {
		if (log->marks[i].name[0] != '\0')
			log->marks[n++] = log->marks[i];
	}
	log->n = n;
}

static int
log_write_back(struct crash_log *log)
{
	char	*text;
	size_t	 i;
	int	 r;

	text = malloc(CRASH_MARKS_MAX * RECORD_SIZE);
	if (text == NULL)
		return (-ENOMEM);
	for (i = 0; i < log->n; i++)
		record_fill(text + i * RECORD_SIZE, 'O', log->marks[i].at_ms,
		    log->marks[i].sig, log->marks[i].name,
		    log->marks[i].where);
	r = file_write_atomic(log->path, text, log->n * RECORD_SIZE, 0600);
	free(text);
	return (r);
}

/* The file that is there now, for the handler. */
static int
mark_open(const struct crash_log *log)
{
	int	 fd, old = mark_fd;

	fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd < 0)
		return (-errno);
	mark_pid = getpid();
	mark_fd = fd;
	if (old >= 0)
		(void)close(old);
	return (0);
}

static int
log_load(struct crash_log *log)
{
	struct crash_mark	 m;
	char			*text;
	size_t			 len, at, n_torn = 0;
	bool			 is_old = true;
	int			 r;

	text = malloc(CRASH_FILE_MAX);
	if (text == NULL)
		return (-ENOMEM);
	r = log_read(log->path, text, &len);
	for (at = 0; r == 0 && at < len; at += RECORD_SIZE) {
		if (len - at < RECORD_SIZE || !record_parse(text + at, &m)) {
			n_torn++;
			continue;
		}
		if (m.is_new) {
			is_old = false;
			log_say(&m);
		}
		if (log->n == CRASH_MARKS_MAX) {
			memmove(log->marks, log->marks + 1,
			    (CRASH_MARKS_MAX - 1) * sizeof m);
			log->n--;
		}
		log->marks[log->n++] = m;
	}
	free(text);
	if (r < 0)
		return (r);
	if (n_torn > 0)
		log_notice("plugin", "%zu records of crashes were cut short and "
		    "do not count", n_torn);
	at = log->n;
	log_prune(log);
	if (n_torn > 0 || !is_old || at != log->n)
		r = log_write_back(log);
	return (r);
}

int
crash_open(struct host *h)
{
	struct crash_log	*log;
	int			 r;

	log = calloc(1, sizeof *log);
	if (log == NULL)
		return (-ENOMEM);
	log->path = file_join(h->env.state_dir, CRASH_FILE);
	if (log->path == NULL) {
		free(log);
		return (-ENOMEM);
	}
	h->crashes = log;
	r = log_load(log);
	if (r == 0)
		r = mark_open(log);
	if (r < 0) {
		log->is_unusable = true;
		log_err("plugin", "'%s': crashes of plugins are not counted "
		    "(%s)", log->path, r == -ELOOP ? "it is a link" :
		    r == -EPERM ? "it is not a file of ours" : strerror(-r));
	}
	return (0);
}

void
crash_close(struct host *h)
{
	int	 fd = mark_fd;

	if (h->crashes == NULL)
		return;
	mark_fd = -1;
	if (fd >= 0)
		(void)close(fd);
	free(h->crashes->path);
	free(h->crashes);
	h->crashes = NULL;
}

uint32_t
crash_count(const struct chela_ctx *ctx)
{
	const struct crash_log	*log = ctx->host->crashes;
	uint32_t		 n = 0;
	size_t			 i;

	for (i = 0; log != NULL && i < log->n; i++)
		n += strcmp(log->marks[i].name, ctx->name) == 0;
	return (n);
}

bool
crash_is_vital(const struct chela_ctx *ctx)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(vital); i++) {
		if (strcmp(vital[i], ctx->name) == 0)
			return (true);
	}
	return (false);
}

bool
crash_holds(const struct chela_ctx *ctx, struct buf *why)
{
	const struct crash_log	*log = ctx->host->crashes;
	const struct crash_mark	*last = NULL;
	char			 at[32];
	size_t			 i;

	if (log == NULL || crash_is_vital(ctx) || !crashed_too_often(log, ctx->name))
		return (false);
	for (i = 0; i < log->n; i++) {
		if (strcmp(log->marks[i].name, ctx->name) == 0)
			last = &log->marks[i];
	}
	time_text(last->at_ms, at);
	(void)buf_printf(why, "crashed %u times, %d of them within %u minutes, "
	    "last in %s at %s (%s), and is not started again until it is "
	    "enabled again (plugins.setEnabled, or 'chela plugins enable %s')",
	    (unsigned)crash_count(ctx), CRASH_LIMIT,
	    (unsigned)(CRASH_WINDOW_MS / 60000), last->where, at,
	    signal_text(last->sig), ctx->name);
	return (true);
}

/* Is the file itself, which is loaded before anything is asked of it, the danger? */
bool
crash_holds_load(const struct chela_ctx *ctx, struct buf *why)
{
	const struct crash_log	*log = ctx->host->crashes;
	size_t			 i;

	for (i = 0; log != NULL && i < log->n; i++) {
		if (strcmp(log->marks[i].name, ctx->name) == 0 &&
		    strcmp(log->marks[i].where, "load") == 0)
			return (crash_holds(ctx, why));
	}
	return (false);
}

/* Its crashes count no more, nor what else it was stopped for. */
int
crash_forgive(struct chela_ctx *ctx)
{
	struct crash_log	*log = ctx->host->crashes;
	size_t			 i, n = 0;
	int			 r;

	ctx->is_stopped = false;
	if (log == NULL || crash_count(ctx) == 0)
		return (0);
	for (i = 0; i < log->n; i++) {
		if (strcmp(log->marks[i].name, ctx->name) != 0)
			log->marks[n++] = log->marks[i];
	}
	log->n = n;
	if (log->is_unusable)
		return (0);
	r = log_write_back(log);
	if (r == 0)
		r = mark_open(log);
	if (r < 0)
		log_err("plugin", "'%s': cannot be written (%s)", log->path,
		    strerror(-r));
	return (r);
}
