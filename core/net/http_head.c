/* SPDX-License-Identifier: MIT */
#include "core/net/http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"

_Static_assert(HTTP_HEAD_MAX <= UINT16_MAX, "offsets of fields are 16 bits");

static bool
is_token_char(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z'))
		return (true);
	return (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++) {
		if (!is_token_char((unsigned char)s[i]))
			return (false);
	}
	return (len > 0);
}

static int
http_bad(struct http_head *h, uint16_t status)
{
	h->status = status;
	return (-EBADMSG);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

int
http_path_canonical(char *path, size_t len)
{
	size_t	 i, n = 0, start;
	int	 hi, lo;
	char	 c;

	if (len == 0 || path[0] != '/' || len > HTTP_LINE_MAX)
		return (-EBADMSG);
	for (i = 0; i < len; i++) {
		c = path[i];
		if (c == '%') {
			hi = i + 2 < len ? hex(path[i + 1]) : -1;
			lo = i + 2 < len ? hex(path[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return (-EBADMSG);
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7f || c == '\\')
			return (-EBADMSG);
		path[n++] = c;
	}
	/* Decoded once is decoded: a second reader must not find more to do. */
	for (i = 0; i + 2 < n; i++) {
		if (path[i] == '%' && hex(path[i + 1]) >= 0 &&
		    hex(path[i + 2]) >= 0)
			return (-EBADMSG);
	}
	if (!utf8_is_valid(path, n))
		return (-EBADMSG);

	len = n;
	n = 1;
	for (i = 1; i < len; i++) {
		start = i;
		while (i < len && path[i] != '/')
			i++;
		if (i - start == 2 && memcmp(path + start, "..", 2) == 0)
			return (-EBADMSG);
		if (i == start || (i - start == 1 && path[start] == '.'))
			continue;
		memmove(path + n, path + start, i - start);
		n += i - start;
		if (i < len)
			path[n++] = '/';
	}
	return ((int)n);
}

/* RFC 3986 authority without user information; "" is legal (RFC 9110 7.2). */
static bool
is_host(const char *s, size_t len)
{
	size_t	 i;
	char	 c;

	for (i = 0; i < len; i++) {
		c = s[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z'))
			continue;
		if (c == '\0' || strchr("-._~%!$&'()*+,;=:[]", c) == NULL)
			return (false);
	}
	return (true);
}

/* Where the pieces of the request line lie, before anything is written. */
struct request_line {
	size_t	 method_len;
	size_t	 target;
	size_t	 target_len;
	size_t	 host;		/* of an absolute target */
	size_t	 host_len;
	size_t	 path;
	size_t	 path_len;
	size_t	 query;		/* 0: none */
	size_t	 query_len;
};

/* line is [start, end) of h->buf, without its CRLF. */
static int
http_read_line(struct http_head *h, size_t start, size_t end,
    struct request_line *l)
{
	const char	*b = h->buf, *sp, *p, *q;
	size_t		 i, stop;

	for (i = start; i < end; i++) {
		if ((unsigned char)b[i] <= 0x1f || b[i] == 0x7f)
			return (http_bad(h, 400));
	}
	sp = memchr(b + start, ' ', end - start);
	if (sp == NULL)
		return (http_bad(h, 400));
	l->method_len = (size_t)(sp - b) - start;
	if (l->method_len > HTTP_METHOD_MAX ||
	    !is_token(b + start, l->method_len))
		return (http_bad(h, 400));
	l->target = (size_t)(sp - b) + 1;
	sp = memchr(b + l->target, ' ', end - l->target);
	if (sp == NULL)
		return (http_bad(h, 400));
	l->target_len = (size_t)(sp - b) - l->target;
	if (l->target_len == 0)
		return (http_bad(h, 400));

	p = sp + 1;
	if (b + end - p != 8 || memcmp(p, "HTTP/", 5) != 0 ||
	    p[5] < '0' || p[5] > '9' || p[6] != '.' || p[7] < '0' ||
	    p[7] > '9')
		return (http_bad(h, 400));
	if (p[5] != '1')
		return (http_bad(h, 505));
	h->minor = p[7] == '0' ? 0 : 1;

	l->host = l->host_len = l->query = l->query_len = 0;
	p = b + l->target;
	stop = l->target + l->target_len;
	if (*p == '*' && l->target_len == 1 && l->method_len == 7 &&
	    memcmp(b + start, "OPTIONS", 7) == 0) {
		l->path = l->target;
		l->path_len = 0;	/* says "*" */
		return (0);
	}
	if (*p != '/') {
		/* Section 3.2.2: a server takes the absolute form too. */
		if (l->target_len > 7 && strncasecmp(p, "http://", 7) == 0)
			l->host = l->target + 7;
		else if (l->target_len > 8 &&
		    strncasecmp(p, "https://", 8) == 0)
			l->host = l->target + 8;
		else
			return (http_bad(h, 400));
		p = memchr(b + l->host, '/', stop - l->host);
		if (p == NULL)
			return (http_bad(h, 400));
		l->host_len = (size_t)(p - b) - l->host;
		if (l->host_len == 0 || !is_host(b + l->host, l->host_len))
			return (http_bad(h, 400));
	}
	l->path = (size_t)(p - b);
	if (memchr(p, '#', stop - l->path) != NULL)
		return (http_bad(h, 400));
	q = memchr(p, '?', stop - l->path);
	l->path_len = q != NULL ? (size_t)(q - p) : stop - l->path;
	if (q != NULL) {
		l->query = (size_t)(q - b) + 1;
		l->query_len = stop - l->query;
	}
	return (0);
}

static int
http_read_field(struct http_head *h, size_t start, size_t end)
{
	const char		*b = h->buf, *colon;
	struct http_field	*f;
	size_t			 value, i;

	if (end - start > HTTP_FIELD_MAX || h->n_fields == HTTP_FIELDS_MAX)
		return (http_bad(h, 431));
	/* A blank first would be a folded line, section 5.2: refused. */
	colon = memchr(b + start, ':', end - start);
	if (colon == NULL || !is_token(b + start, (size_t)(colon - b) - start))
		return (http_bad(h, 400));
	value = (size_t)(colon - b) + 1;
	while (value < end && (b[value] == ' ' || b[value] == '\t'))
		value++;
	while (end > value && (b[end - 1] == ' ' || b[end - 1] == '\t'))
		end--;
	for (i = value; i < end; i++) {
		if (((unsigned char)b[i] < 0x20 && b[i] != '\t') ||
		    b[i] == 0x7f)
			return (http_bad(h, 400));
	}
	f = &h->fields[h->n_fields++];
	f->name = (uint16_t)start;
	f->name_len = (uint16_t)((size_t)(colon - b) - start);
	f->value = (uint16_t)value;
	f->value_len = (uint16_t)(end - value);
	return (0);
}

/* The fields that say what the message is; each at most once. */
static int
http_read_meaning(struct http_head *h)
{
	static const char *const once[] = {
		"host", "content-length", "transfer-encoding",
		"sec-websocket-key", "sec-websocket-version", "authorization",
		"origin", "content-type",
	};
	const char	*v;
	unsigned	 i;
	uint64_t	 n;

	for (i = 0; i < ARRAY_LEN(once); i++) {
		if (http_head_count(h, once[i]) > 1)
			return (http_bad(h, 400));
	}

	v = http_head_get(h, "host");
	if (v == NULL && h->minor >= 1)
		return (http_bad(h, 400));
	if (v != NULL && !is_host(v, strlen(v)))
		return (http_bad(h, 400));
	if (h->host == NULL)
		h->host = v != NULL ? v : "";

	v = http_head_get(h, "content-length");
	if (v != NULL) {
		for (n = 0, i = 0; v[i] >= '0' && v[i] <= '9' && i < 18; i++)
			n = n * 10 + (uint64_t)(v[i] - '0');
		if (i == 0 || v[i] != '\0')
			return (http_bad(h, 400));
		h->content_length = n;
	}
	v = http_head_get(h, "transfer-encoding");
	if (v != NULL) {
		/* Section 6.1: together they are how requests are smuggled. */
		if (h->content_length != HTTP_NO_LENGTH || h->minor == 0)
			return (http_bad(h, 400));
		if (strcasecmp(v, "chunked") != 0)
			return (http_bad(h, 501));
		h->is_chunked = true;
	}
	h->is_keep_alive = h->minor >= 1 ?
	    !http_head_has_token(h, "connection", "close") :
	    http_head_has_token(h, "connection", "keep-alive");
	return (0);
}

/* Now that the whole head is good: terminate, lower, decode. */
static int
http_finish(struct http_head *h, char *buf, size_t start,
    const struct request_line *l)
{
	struct http_field	*f;
	unsigned		 i, k;
	int			 n;

	n = l->path_len > 0 ? http_path_canonical(buf + l->path, l->path_len) :
	    0;
	if (n < 0)
		return (http_bad(h, 400));
	buf[start + l->method_len] = '\0';
	h->method = buf + start;
	h->path = l->path_len > 0 ? buf + l->path : "*";
	h->path_len = l->path_len > 0 ? (size_t)n : 1;
	if (l->path_len > 0)
		buf[l->path + (size_t)n] = '\0';
	buf[l->target + l->target_len] = '\0';
	h->query = l->query > 0 ? buf + l->query : "";
	if (l->host_len > 0) {
		/* The byte after it is the first of the path: move it up. */
		memmove(buf + l->host - 1, buf + l->host, l->host_len);
		buf[l->host - 1 + l->host_len] = '\0';
		h->host = buf + l->host - 1;
	}
	for (i = 0; i < h->n_fields; i++) {
		f = &h->fields[i];
		for (k = 0; k < f->name_len; k++) {
			char	*c = &buf[f->name + k];

			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c | 0x20);
		}
		buf[f->name + f->name_len] = '\0';
		buf[f->value + f->value_len] = '\0';
	}
	return (0);
}

/*
 * The end of the line that starts at pos: the offset of its CRLF; len when it is
 * not here yet; SIZE_MAX when a CR or an LF stands alone, which some readers take
 * for an end and others do not.
 */
static size_t
http_line_end(const char *buf, size_t pos, size_t len)
{
	const char	*lf = memchr(buf + pos, '\n', len - pos), *cr;
	size_t		 end;

	if (lf == NULL) {
		cr = memchr(buf + pos, '\r', len - pos);
		if (cr != NULL && (size_t)(cr - buf) + 1 < len)
			return (SIZE_MAX);
		return (len);
	}
	end = (size_t)(lf - buf);
	if (end == pos || buf[end - 1] != '\r')
		return (SIZE_MAX);
	return (end - 1);
}

int
http_head_parse(char *buf, size_t len, struct http_head *h)
{
	struct request_line	 line;
	size_t			 start = 0, pos, end, have;
	int			 r;

	h->buf = buf;
	h->method = h->path = h->query = h->host = NULL;
	h->path_len = 0;
	h->content_length = HTTP_NO_LENGTH;
	h->is_chunked = h->is_keep_alive = false;
	h->minor = 0;
	h->status = 0;
	h->n_fields = 0;

	have = MIN_OF(len, HTTP_HEAD_MAX);
	/* Section 2.2: one empty line before a request is forgiven. */
	if (have > 0 && buf[0] == '\r') {
		if (have == 1)
			return (0);
		if (buf[1] != '\n')
			return (http_bad(h, 400));
		start = 2;
	}
	/* What is no method is no HTTP: do not wait for its line to end. */
	if (start < have && !is_token_char((unsigned char)buf[start]))
		return (http_bad(h, 400));

	end = http_line_end(buf, start, have);
	if (end == SIZE_MAX)
		return (http_bad(h, 400));
	if (end - start > HTTP_LINE_MAX)
		return (http_bad(h, 414));
	if (end == have)
		return (0);
	r = http_read_line(h, start, end, &line);
	if (r < 0)
		return (r);

	for (pos = end + 2;; pos = end + 2) {
		end = http_line_end(buf, pos, have);
		if (end == SIZE_MAX)
			return (http_bad(h, 400));
		if (end == have) {
			if (have == HTTP_HEAD_MAX ||
			    end - pos > HTTP_FIELD_MAX)
				return (http_bad(h, 431));
			return (0);
		}
		if (end == pos)
			break;
		r = http_read_field(h, pos, end);
		if (r < 0)
			return (r);
	}

	r = http_finish(h, buf, start, &line);
	if (r == 0)
		r = http_read_meaning(h);
	return (r < 0 ? r : (int)(end + 2));
}

const char *
http_head_get(const struct http_head *h, const char *name)
{
	size_t		 len = strlen(name);
	unsigned	 i;

	for (i = 0; i < h->n_fields; i++) {
		if (h->fields[i].name_len == len &&
		    memcmp(h->buf + h->fields[i].name, name, len) == 0)
			return (h->buf + h->fields[i].value);
	}
	return (NULL);
}

unsigned
http_head_count(const struct http_head *h, const char *name)
{
	size_t		 len = strlen(name);
	unsigned	 i, n = 0;

	for (i = 0; i < h->n_fields; i++) {
		if (h->fields[i].name_len == len &&
		    memcmp(h->buf + h->fields[i].name, name, len) == 0)
			n++;
	}
	return (n);
}

bool
http_head_next(const struct http_head *h, unsigned *i, const char **ret_name,
    const char **ret_value)
{
	if (*i >= h->n_fields)
		return (false);
	*ret_name = h->buf + h->fields[*i].name;
	*ret_value = h->buf + h->fields[*i].value;
	(*i)++;
	return (true);
}

bool
http_head_token(const struct http_head *h, const char *name, unsigned n,
    const char **ret_token, size_t *ret_len)
{
	size_t		 name_len = strlen(name), len;
	const char	*p;
	unsigned	 i;

	for (i = 0; i < h->n_fields; i++) {
		if (h->fields[i].name_len != name_len ||
		    memcmp(h->buf + h->fields[i].name, name, name_len) != 0)
			continue;
		p = h->buf + h->fields[i].value;
		while (*p != '\0') {
			p += strspn(p, " \t,");
			len = strcspn(p, ",");
			if (len == 0)
				break;
			if (n-- > 0) {
				p += len;
				continue;
			}
			while (p[len - 1] == ' ' || p[len - 1] == '\t')
				len--;
			*ret_token = p;
			*ret_len = len;
			return (true);
		}
	}
	return (false);
}

bool
http_head_has_token(const struct http_head *h, const char *name,
    const char *token)
{
	const char	*p;
	size_t		 len;
	unsigned	 i;

	for (i = 0; http_head_token(h, name, i, &p, &len); i++) {
		if (len == strlen(token) && strncasecmp(p, token, len) == 0)
			return (true);
	}
	return (false);
}
