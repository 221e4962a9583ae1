/* SPDX-License-Identifier: MIT */
/*
 * Plugin logs: the end of the gateway's log file, by byte offset. The file is
 * read on a worker; nothing is kept between two calls. Secrets are kept out of
 * the log where it is written, not here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include <chela/plugin.h>

#define LIMIT_DEFAULT	500
#define LIMIT_MAX	5000		/* lines of one answer */
#define BYTES_DEFAULT	250000
#define BYTES_MAX	1000000		/* bytes that are looked at for one */

static const struct chela_host	*host;

/* One call. The worker has it between work() and done. */
struct tail {
	struct chela_req	*req;
	char			*path;
	int64_t			 cursor;	/* -1: none */
	size_t			 limit;
	size_t			 max_bytes;

	int			 r;
	struct json_object	*lines;
	int64_t			 next;
	int64_t			 size;
	int64_t			 skipped;
	int			 is_truncated;
	int			 is_reset;
};

static void
tail_free(struct tail *t)
{
	if (t == NULL)
		return;
	if (t->req != NULL)
		host->req_unref(t->req);
	json_object_put(t->lines);
	free(t->path);
	free(t);
}

/*
 * The length of the UTF-8 character at s, or 0; *ret_bad gets how many bytes
 * one replacement character stands for (Unicode, "maximal subpart").
 */
static size_t
char_len(const unsigned char *s, size_t len, size_t *ret_bad)
{
	unsigned char	 low = 0x80, high = 0xbf;
	size_t		 need, i;

	*ret_bad = 1;
	if (s[0] < 0x80)
		return (1);
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		need = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		need = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		need = 4;
	else
		return (0);
	switch (s[0]) {
	case 0xe0:
		low = 0xa0;
		break;
	case 0xed:
		high = 0x9f;
		break;
	case 0xf0:
		low = 0x90;
		break;
	case 0xf4:
		high = 0x8f;
		break;
	default:
		break;
	}
	for (i = 1; i < need; i++) {
		if (i >= len || s[i] < low || s[i] > high) {
			*ret_bad = i;
			return (0);
		}
		low = 0x80;
		high = 0xbf;
	}
	return (need);
}

/* A line as a JSON string, with replacement characters; gives, or NULL. */
static struct json_object *
line_new(const char *s, size_t len)
{
	const unsigned char	*p = (const unsigned char *)s;
	struct json_object	*o;
	char			*copy;
	size_t			 i, n = 0, k, bad;

	copy = malloc(3 * len + 1);	/* each byte may become three */
	if (copy == NULL)
		return (NULL);
	for (i = 0; i < len;) {
		k = char_len(p + i, len - i, &bad);
		if (k > 0) {
			memcpy(copy + n, p + i, k);
			n += k;
			i += k;
		} else {
			memcpy(copy + n, "\xef\xbf\xbd", 3);
			n += 3;
			i += bad;
		}
	}
	o = json_object_new_string_len(copy, (int)n);
	free(copy);
	return (o);
}

/* Where reading begins, by what the file is now. */
static int64_t
tail_begin(struct tail *t)
{
	int64_t	 last = t->size - (int64_t)t->max_bytes;

	if (last < 0)
		last = 0;
	if (t->cursor < 0 || t->cursor > t->size) {
		t->is_reset = t->cursor > t->size;
		t->is_truncated = last > 0;
		return (last);
	}
	if (t->cursor < last) {
		t->is_reset = t->is_truncated = 1;
		t->skipped = last - t->cursor;
		return (last);
	}
	return (t->cursor);
}

static int
read_all(int fd, char *p, size_t len, int64_t at)
{
	ssize_t	 n;
	size_t	 done = 0;

	while (done < len) {
		n = pread(fd, p + done, len - done, (off_t)at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return (-errno);
		if (n == 0)
			return (-EIO);	/* it was cut while we read */
		done += (size_t)n;
	}
	return (0);
}

/* Whole lines of the bytes at from; says where the next call goes on. */
static int
tail_lines(struct tail *t, const char *p, size_t len, int64_t from,
    int is_at_line)
{
	const char		*end, *nl, *s;
	struct json_object	*line;
	size_t			 n = 0;

	nl = len == 0 ? NULL : memrchr(p, '\n', len);
	if (nl == NULL) {
		/* A line that is still being written is read when it is whole;
		 * the middle of one is given up. */
		t->next = is_at_line ? from : t->size;
		return (0);
	}
	t->next = from + (nl + 1 - p);
	end = nl + 1;
	s = p;
	if (!is_at_line)
		s = (const char *)memchr(p, '\n', len) + 1;
	/* Count first, so that only what is kept is made. */
	for (nl = s; nl < end; nl++)
		n += *nl == '\n';
	for (; n > t->limit; n--) {
		t->is_truncated = 1;
		s = (const char *)memchr(s, '\n', (size_t)(end - s)) + 1;
	}
	for (; s < end; s = nl + 1) {
		nl = memchr(s, '\n', (size_t)(end - s));
		line = line_new(s, (size_t)(nl - s));
		if (line == NULL)
			return (-ENOMEM);
		if (json_object_array_add(t->lines, line) < 0) {
			json_object_put(line);
			return (-ENOMEM);
		}
	}
	return (0);
}

static int
tail_read(struct tail *t, int fd)
{
	struct stat	 st;
	char		*p;
	int64_t		 from, before;
	size_t		 len;
	int		 r;

	if (fstat(fd, &st) < 0)
		return (-errno);
	if (!S_ISREG(st.st_mode))
		return (-EINVAL);
	t->size = st.st_size;
	from = tail_begin(t);
	/* One byte more tells whether from is the beginning of a line. */
	before = from > 0 ? from - 1 : 0;
	len = (size_t)(t->size - before);
	p = malloc(len + 1);
	if (p == NULL)
		return (-ENOMEM);
	r = read_all(fd, p, len, before);
	if (r == 0)
		r = tail_lines(t, p + (from - before), len -
		    (size_t)(from - before), from, from == 0 || p[0] == '\n');
	free(p);
	return (r);
}

static void
tail_work(void *arg)
{
	struct tail	*t = arg;
	int		 fd;

	t->lines = json_object_new_array();
	if (t->lines == NULL) {
		t->r = -ENOMEM;
		return;
	}
	fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		/*
		 * Nothing has been logged yet; a cursor is from another file.
		 */
		t->r = errno == ENOENT ? 0 : -errno;
		t->is_reset = t->cursor > 0;
		return;
	}
	t->r = tail_read(t, fd);
	(void)close(fd);
}

static const char *
read_error(int r)
{
	switch (r) {
	case -ENOMEM:
		return ("no memory");
	case -EACCES:
	case -EPERM:
		return ("permission denied");
	case -EINVAL:
	case -EISDIR:
		return ("not a file");
	default:
		return ("input/output error");
	}
}

static void
tail_done(struct chela_ctx *ctx, void *arg)
{
	struct tail		*t = arg;
	struct json_object	*o;

	(void)ctx;
	if (t->r < 0) {
		(void)host->req_fail(t->req, "UNAVAILABLE",
		    "log read failed: %s", read_error(t->r));
		tail_free(t);
		return;
	}
	o = json_object_new_object();
	if (o == NULL) {
		(void)host->req_fail(t->req, "UNAVAILABLE",
		    "log read failed: no memory");
		tail_free(t);
		return;
	}
	json_object_object_add(o, "file", json_object_new_string(t->path));
	json_object_object_add(o, "cursor", json_object_new_int64(t->next));
	json_object_object_add(o, "size", json_object_new_int64(t->size));
	json_object_object_add(o, "lines", t->lines);
	t->lines = NULL;
	json_object_object_add(o, "truncated",
	    json_object_new_boolean(t->is_truncated));
	json_object_object_add(o, "reset",
	    json_object_new_boolean(t->is_reset));
	if (t->skipped > 0)
		json_object_object_add(o, "skippedBytes",
		    json_object_new_int64(t->skipped));
	(void)host->req_reply(t->req, o);
	tail_free(t);
}

static int64_t
number(struct json_object *params, const char *key, int64_t otherwise)
{
	struct json_object	*v;

	return (json_object_object_get_ex(params, key, &v) ?
	    json_object_get_int64(v) : otherwise);
}

static int
logs_tail(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct tail	*t;
	int64_t		 n;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (-ENOMEM);
	if (asprintf(&t->path, "%s/logs/chela.log", host->state_dir()) < 0) {
		free(t);
		return (-ENOMEM);
	}
	t->cursor = number(params, "cursor", -1);
	n = number(params, "limit", LIMIT_DEFAULT);
	t->limit = (size_t)(n > LIMIT_MAX ? LIMIT_MAX : n);
	n = number(params, "maxBytes", BYTES_DEFAULT);
	t->max_bytes = (size_t)(n > BYTES_MAX ? BYTES_MAX : n);
	t->req = host->req_ref(req);
	if (host->work(ctx, tail_work, tail_done, t) < 0) {
		tail_free(t);
		return (host->req_fail(req, "UNAVAILABLE",
		    "log read failed: too much to do"));
	}
	return (0);
}

static int
logs_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	(void)ctx;
	host = h;
	return (0);
}

static const struct chela_method methods[] = {
	{ .name = "logs.tail", .handler = logs_tail,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("logs"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "The end of the gateway's log file",
	CHELA_METHODS(methods),
	.init = logs_init,
};
