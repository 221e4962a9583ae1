/* SPDX-License-Identifier: MIT */
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/utf8.h"

#define LOG_LINE_MAX	KIB(4)		/* one message; longer ones are cut */
#define LOG_QUEUE_MAX	MIB(1)		/* bytes that wait for the file */
#define LOG_QUOTE_MAX	256

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARNING] = "warn",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static _Atomic int level_max = LOG_LEVEL_NOTICE;

/* The file: written by one thread, fed through the two buffers below. */
static struct {
	pthread_mutex_t	 lock;
	pthread_cond_t	 cond;
	pthread_t	 thread;
	struct buf	 waiting;	/* lock */
	uint64_t	 n_lost;	/* lock; lines since the last success */
	_Atomic bool	 is_open;	/* changes with the lock held */
	bool		 is_ending;	/* lock */
	char		*path;
	char		*old_path;
	size_t		 max;
} file = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

bool
log_is_on(enum log_level level)
{
	return ((int)level <= level_max);
}

void
log_set_level(enum log_level level)
{
	level_max = (int)level;
}

int
log_level_parse(const char *name)
{
	size_t	 i;

	for (i = LOG_LEVEL_ERR; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0)
			return ((int)i);
	}
	return (strcmp(name, "warning") == 0 ? LOG_LEVEL_WARNING : -EINVAL);
}

const char *
log_quote(const char *s, size_t len)
{
	static _Thread_local char	 ring[4][LOG_QUOTE_MAX + 16];
	static _Thread_local unsigned	 turn;
	static const char hex[] = "0123456789abcdef";
	char	*out = ring[turn++ % 4], *p = out;
	size_t	 i;

	*p++ = '"';
	for (i = 0; i < len && p - out < LOG_QUOTE_MAX; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
			*p++ = '\\';
			*p++ = 'x';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		} else
			*p++ = (char)c;
	}
	*p++ = '"';
	if (i < len) {
		memcpy(p, "...", 3);
		p += 3;
	}
	*p = '\0';
	return (out);
}

static void
log_time(char *out, size_t size, uint64_t ms)
{
	time_t		 t = (time_t)(ms / 1000);
	struct tm	 tm;
	char		 date[32];

	(void)gmtime_r(&t, &tm);
	(void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out, size, "%s.%03uZ", date, (unsigned)(ms % 1000));
}

static void
log_to_file(enum log_level level, const char *part, const char *when,
    const char *msg, size_t len)
{
	struct buf	 b = BUF_INIT;

	(void)buf_puts(&b, "{\"time\":");
	(void)buf_json_strz(&b, when);
	(void)buf_puts(&b, ",\"level\":");
	(void)buf_json_strz(&b, level_names[level]);
	(void)buf_puts(&b, ",\"subsystem\":");
	(void)buf_json_strz(&b, part);
	(void)buf_puts(&b, ",\"message\":");
	(void)buf_json_str(&b, msg, len);
	(void)buf_puts(&b, "}\n");
	pthread_mutex_lock(&file.lock);
	if (!file.is_open) {
		/* Closed since the caller looked. */
	} else if (b.is_failed || file.waiting.len + b.len > LOG_QUEUE_MAX ||
	    buf_add(&file.waiting, b.data, b.len) < 0)
		file.n_lost++;
	else
		pthread_cond_signal(&file.cond);
	pthread_mutex_unlock(&file.lock);
	buf_fini(&b);
}

void
log_vwrite(enum log_level level, const char *part, const char *fmt, va_list ap)
{
	char	 msg[LOG_LINE_MAX], when[40], line[LOG_LINE_MAX + 128];
	size_t	 i, len;
	int	 n;

	if (!log_is_on(level))
		return;
	n = vsnprintf(msg, sizeof msg, fmt, ap);
	if (n < 0)
		return;
	len = MIN_OF((size_t)n, sizeof msg - 1);
	/* Cut at a character; a few bytes more than needed do no harm. */
	if ((size_t)n > len)
		len = utf8_cut(msg, len, len - 4);
	/* One event, one line, whatever a value held. */
	for (i = 0; i < len; i++) {
		if ((unsigned char)msg[i] < 0x20 || msg[i] == 0x7f)
			msg[i] = ' ';
	}
	if (!utf8_is_valid(msg, len)) {
		for (i = 0; i < len; i++) {
			if ((unsigned char)msg[i] >= 0x80)
				msg[i] = '?';
		}
	}
	log_time(when, sizeof when, clock_wall_ms());
	n = snprintf(line, sizeof line, "%s %-6s %s: %.*s\n", when,
	    level_names[level], part, (int)len, msg);
	if (n > 0)
		(void)!write(STDERR_FILENO, line,
		    MIN_OF((size_t)n, sizeof line - 1));
	if (file.is_open)
		log_to_file(level, part, when, msg, len);
}

void
log_write(enum log_level level, const char *part, const char *fmt, ...)
{
	va_list	 ap;

	if (!log_is_on(level))
		return;
	va_start(ap, fmt);
	log_vwrite(level, part, fmt, ap);
	va_end(ap);
}

static int
log_open_fd(off_t *ret_size)
{
	struct stat	 st;
	int		 fd;

	fd = open(file.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return (-errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)close(fd);
		return (-EINVAL);
	}
	*ret_size = st.st_size;
	return (fd);
}

/* Appends what waits; reopened each time, so that a removed file comes back. */
static bool
log_flush(struct buf *b)
{
	off_t	 size;
	ssize_t	 n;
	size_t	 done = 0;
	int	 fd;

	fd = log_open_fd(&size);
	if (fd < 0)
		return (false);
	if ((size_t)size > 0 && (size_t)size + b->len > file.max) {
		(void)close(fd);
		if (rename(file.path, file.old_path) < 0)
			return (false);
		fd = log_open_fd(&size);
		if (fd < 0)
			return (false);
	}
	while (done < b->len) {
		n = write(fd, b->data + done, b->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	(void)close(fd);
	return (done == b->len);
}

static void *
log_thread(void *arg)
{
	struct buf	 mine = BUF_INIT;
	uint64_t	 lost;
	bool		 is_ending = false, was_ok = true, is_ok;

	(void)arg;
	while (!is_ending) {
		pthread_mutex_lock(&file.lock);
		while (file.waiting.len == 0 && !file.is_ending)
			pthread_cond_wait(&file.cond, &file.lock);
		is_ending = file.is_ending;
		buf_fini(&mine);
		mine = file.waiting;
		buf_init(&file.waiting);
		lost = file.n_lost;
		file.n_lost = 0;
		pthread_mutex_unlock(&file.lock);
		if (mine.len == 0 && lost == 0)
			continue;
		if (lost > 0)
			(void)buf_printf(&mine, "{\"level\":\"warn\","
			    "\"subsystem\":\"log\","
			    "\"message\":\"%llu lines were lost\"}\n",
			    (unsigned long long)lost);
		is_ok = log_flush(&mine);
		if (!is_ok && was_ok)
			(void)dprintf(STDERR_FILENO, "log: cannot write '%s' "
			    "(lines are lost until it works again)\n",
			    file.path);
		was_ok = is_ok;
	}
	buf_fini(&mine);
	return (NULL);
}

static void
log_free_paths(void)
{
	free(file.path);
	free(file.old_path);
	file.path = file.old_path = NULL;
}

int
log_file_open(const char *dir, size_t max_bytes)
{
	sigset_t	 all, old;
	off_t		 size;
	int		 r;

	if (file.is_open)
		return (-EALREADY);
	file.path = file_join(dir, "chela.log");
	file.old_path = file_join(dir, "chela.log.1");
	if (file.path == NULL || file.old_path == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	file.max = max_bytes;
	r = log_open_fd(&size);
	if (r < 0)
		goto fail;
	(void)close(r);
	file.is_ending = false;
	file.n_lost = 0;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&file.thread, NULL, log_thread, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		goto fail;
	pthread_mutex_lock(&file.lock);
	file.is_open = true;
	pthread_mutex_unlock(&file.lock);
	return (0);
fail:
	log_free_paths();
	return (r);
}

void
log_file_close(void)
{
	if (!file.is_open)
		return;
	pthread_mutex_lock(&file.lock);
	file.is_open = false;
	file.is_ending = true;
	pthread_cond_signal(&file.cond);
	pthread_mutex_unlock(&file.lock);
	(void)pthread_join(file.thread, NULL);
	log_free_paths();
}

const char *
log_file_path(void)
{
	return (file.is_open ? file.path : NULL);
}
