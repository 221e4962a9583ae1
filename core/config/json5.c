/* SPDX-License-Identifier: MIT */
#include "core/config/json5.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/utf8.h"

#define CP_NONE		UINT32_MAX	/* the end of the text */
#define CP_BOM		0xfeffu
#define NUMBER_MAX	400		/* characters of one number */
#define KEY_MAX		1024		/* bytes of one key */
#define JSON5_INT_MAX	((UINT64_C(1) << 53) - 1) /* exact in every reader */

struct json5 {
	const char		*p;
	const char		*end;
	const char		*line_start;
	unsigned		 line;
	unsigned		 depth;
	unsigned		 n_values;
	uint32_t		 n_objects;
	struct buf		*out;
	struct buf		 str;	/* the string or name just read */
	struct map		*seen;	/* number of the object + key */
	struct json5_error	*error;

	/* json5_visit() only. */
	json5_visit_fn		*visit;
	void			*arg;
	const char		*text;
	struct json5_step	 steps[JSON5_DEPTH_MAX];
	char			*keys[JSON5_DEPTH_MAX];	/* owned */
};

static int	 json5_value(struct json5 *j);

/* The character at s; *ret_len gets its bytes. The text is valid UTF-8. */
static uint32_t
json5_char(const char *s, const char *end, unsigned *ret_len)
{
	unsigned char	 c;

	*ret_len = 0;
	if (s >= end)
		return (CP_NONE);
	c = (unsigned char)s[0];
	if (c < 0x80) {
		*ret_len = 1;
		return (c);
	}
	if (c < 0xe0) {
		*ret_len = 2;
		return ((c & 0x1fu) << 6 | ((unsigned char)s[1] & 0x3fu));
	}
	if (c < 0xf0) {
		*ret_len = 3;
		return ((c & 0x0fu) << 12 | ((unsigned char)s[1] & 0x3fu) << 6 |
		    ((unsigned char)s[2] & 0x3fu));
	}
	*ret_len = 4;
	return ((c & 7u) << 18 | ((unsigned char)s[1] & 0x3fu) << 12 |
	    ((unsigned char)s[2] & 0x3fu) << 6 | ((unsigned char)s[3] & 0x3fu));
}

static unsigned
json5_col(const struct json5 *j, const char *at)
{
	const char	*s;
	unsigned	 n = 1;

	for (s = j->line_start; s < at; s++) {
		if (((unsigned char)*s & 0xc0u) != 0x80u)
			n++;
	}
	return (n);
}

static int printf_like(3, 4)
json5_fail(struct json5 *j, int r, const char *fmt, ...)
{
	va_list	 ap;

	j->error->line = j->line;
	j->error->col = json5_col(j, j->p);
	va_start(ap, fmt);
	(void)vsnprintf(j->error->why, sizeof j->error->why, fmt, ap);
	va_end(ap);
	return (r);
}

static int
json5_unexpected(struct json5 *j, const char *where)
{
	uint32_t	 c;
	unsigned	 n;

	c = json5_char(j->p, j->end, &n);
	if (c == CP_NONE)
		return (json5_fail(j, -EINVAL, "unexpected end of text %s",
		    where));
	if (c > 0x20 && c < 0x7f)
		return (json5_fail(j, -EINVAL, "unexpected '%c' %s", (char)c,
		    where));
	return (json5_fail(j, -EINVAL, "unexpected character U+%04X %s",
	    (unsigned)c, where));
}

static bool
json5_is_eol(uint32_t c)
{
	return (c == '\n' || c == '\r' || c == 0x2028 || c == 0x2029);
}

static bool
json5_is_space(uint32_t c)
{
	return (c == ' ' || (c >= 9 && c <= 13) || c == 0xa0 || c == CP_BOM ||
	    c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	    c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000);
}

/* Past one line end at p; CR LF is one. */
static void
json5_newline(struct json5 *j, uint32_t c, unsigned n)
{
	j->p += n;
	if (c == '\r' && j->p < j->end && *j->p == '\n')
		j->p++;
	j->line++;
	j->line_start = j->p;
}

/* Shows the comment that ends here to the visitor, if there is one. */
static int
json5_show_comment(struct json5 *j, const char *from, unsigned line)
{
	struct json5_value	 v = { .steps = j->steps, .line = line,
		.is_comment = true };

	if (j->visit == NULL)
		return (0);
	v.from = (size_t)(from - j->text);
	v.to = (size_t)(j->p - j->text);
	return (j->visit(&v, j->arg));
}

static int
json5_comment(struct json5 *j)
{
	const char	*at = j->p, *at_line = j->line_start;
	uint32_t	 c;
	unsigned	 n, line = j->line;

	if (j->p[1] == '/') {
		while ((c = json5_char(j->p, j->end, &n)) != CP_NONE &&
		    !json5_is_eol(c))
			j->p += n;
		return (json5_show_comment(j, at, line));
	}
	j->p += 2;
	while ((c = json5_char(j->p, j->end, &n)) != CP_NONE) {
		if (c == '*' && j->p + 1 < j->end && j->p[1] == '/') {
			j->p += 2;
			return (json5_show_comment(j, at, line));
		}
		if (json5_is_eol(c))
			json5_newline(j, c, n);
		else
			j->p += n;
	}
	/* The place where it was opened says more than the end of the text. */
	j->p = at;
	j->line = line;
	j->line_start = at_line;
	return (json5_fail(j, -EINVAL, "comment without an end"));
}

static int
json5_blank(struct json5 *j)
{
	uint32_t	 c;
	unsigned	 n;
	int		 r;

	for (;;) {
		c = json5_char(j->p, j->end, &n);
		if (c == CP_NONE)
			return (0);
		if (json5_is_eol(c))
			json5_newline(j, c, n);
		else if (json5_is_space(c))
			j->p += n;
		else if (c == '/' && j->p + 1 < j->end &&
		    (j->p[1] == '/' || j->p[1] == '*')) {
			r = json5_comment(j);
			if (r != 0)
				return (r);
		} else
			return (0);
	}
}

static int
json5_put_char(struct buf *b, uint32_t c)
{
	char	 s[4];
	size_t	 n;

	if (c < 0x80) {
		s[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		s[0] = (char)(0xc0u | c >> 6);
		s[1] = (char)(0x80u | (c & 0x3fu));
		n = 2;
	} else if (c < 0x10000) {
		s[0] = (char)(0xe0u | c >> 12);
		s[1] = (char)(0x80u | (c >> 6 & 0x3fu));
		s[2] = (char)(0x80u | (c & 0x3fu));
		n = 3;
	} else {
		s[0] = (char)(0xf0u | c >> 18);
		s[1] = (char)(0x80u | (c >> 12 & 0x3fu));
		s[2] = (char)(0x80u | (c >> 6 & 0x3fu));
		s[3] = (char)(0x80u | (c & 0x3fu));
		n = 4;
	}
	return (buf_add(b, s, n));
}

static int
json5_hex(struct json5 *j, unsigned digits, uint32_t *ret_value)
{
	uint32_t	 v = 0;

	for (; digits > 0; digits--, j->p++) {
		char c = j->p < j->end ? *j->p : '\0';

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = v << 4 | (uint32_t)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (uint32_t)(c - 'A' + 10);
		else
			return (json5_unexpected(j, "in an escape"));
	}
	*ret_value = v;
	return (0);
}

/* After "\u": one character, of two escapes when it is a surrogate pair. */
static int
json5_unicode(struct json5 *j, uint32_t *ret_char)
{
	uint32_t	 c = 0, low = 0;
	int		 r;

	r = json5_hex(j, 4, &c);
	if (r < 0)
		return (r);
	if (c >= 0xdc00 && c <= 0xdfff)
		return (json5_fail(j, -EINVAL, "half a surrogate pair"));
	if (c >= 0xd800 && c <= 0xdbff) {
		if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u')
			return (json5_fail(j, -EINVAL,
			    "half a surrogate pair"));
		j->p += 2;
		r = json5_hex(j, 4, &low);
		if (r < 0)
			return (r);
		if (low < 0xdc00 || low > 0xdfff)
			return (json5_fail(j, -EINVAL,
			    "half a surrogate pair"));
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	*ret_char = c;
	return (0);
}

/* At the character after a backslash. */
static int
json5_escape(struct json5 *j)
{
	static const char	 from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
	const char		*hit;
	uint32_t		 c;
	unsigned		 n;
	int			 r;

	c = json5_char(j->p, j->end, &n);
	if (c == CP_NONE)
		return (json5_unexpected(j, "in a string"));
	if (json5_is_eol(c)) {
		json5_newline(j, c, n);
		return (0);
	}
	if (c >= '1' && c <= '9')
		return (json5_unexpected(j, "after a backslash"));
	j->p += n;
	if (c == '0') {
		if (j->p < j->end && *j->p >= '0' && *j->p <= '9')
			return (json5_unexpected(j, "after \\0"));
		c = 0;
	} else if (c == 'x') {
		r = json5_hex(j, 2, &c);
		if (r < 0)
			return (r);
	} else if (c == 'u') {
		r = json5_unicode(j, &c);
		if (r < 0)
			return (r);
	} else if (c < 0x80 && c != 0 &&
	    (hit = strchr(from, (int)c)) != NULL)
		c = (unsigned char)to[hit - from];
	return (json5_put_char(&j->str, c));
}

/* Reads a string at its quote into j->str. */
static int
json5_string(struct json5 *j)
{
	char		 quote = *j->p++;
	uint32_t	 c;
	unsigned	 n;
	int		 r;

	buf_reset(&j->str);
	for (;;) {
		c = json5_char(j->p, j->end, &n);
		if (c == CP_NONE || c == '\n' || c == '\r')
			return (json5_fail(j, -EINVAL,
			    "string without an end"));
		if (c == (unsigned char)quote) {
			j->p++;
			return (0);
		}
		if (c == '\\') {
			j->p++;
			r = json5_escape(j);
		} else {
			r = buf_add(&j->str, j->p, n);
			/* U+2028 and U+2029 may stand in a string. */
			if (json5_is_eol(c))
				json5_newline(j, c, n);
			else
				j->p += n;
		}
		if (r < 0)
			return (r);
	}
}

static bool
json5_is_name(uint32_t c, bool is_first)
{
	if (c < 0x80)
		return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    c == '_' || c == '$' ||
		    (!is_first && c >= '0' && c <= '9'));
	/*
	 * The letters of Unicode are a large table; everything beyond ASCII
	 * that is not a space is taken, which accepts more and never means
	 * otherwise.
	 */
	return (c != CP_NONE && !json5_is_space(c));
}

static int
json5_name(struct json5 *j)
{
	uint32_t	 c;
	unsigned	 n;
	int		 r;

	buf_reset(&j->str);
	for (;;) {
		c = json5_char(j->p, j->end, &n);
		if (c == '\\' && j->p + 1 < j->end && j->p[1] == 'u') {
			j->p += 2;
			r = json5_unicode(j, &c);
			if (r < 0)
				return (r);
			if (!json5_is_name(c, j->str.len == 0))
				return (json5_fail(j, -EINVAL,
				    "U+%04X is not part of a name",
				    (unsigned)c));
			r = json5_put_char(&j->str, c);
		} else if (json5_is_name(c, j->str.len == 0)) {
			r = buf_add(&j->str, j->p, n);
			j->p += n;
		} else
			break;
		if (r < 0)
			return (r);
	}
	if (j->str.len == 0)
		return (json5_unexpected(j, "instead of a key"));
	return (0);
}

static int
json5_too_big(struct json5 *j)
{
	return (json5_fail(j, -EINVAL, "whole number beyond 2^53 - 1"));
}

static int
json5_hex_number(struct json5 *j, bool is_minus)
{
	uint64_t	 v = 0;
	unsigned	 n = 0;

	for (j->p += 2;; j->p++, n++) {
		char	 c = j->p < j->end ? *j->p : '\0';
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			d = (unsigned)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			d = (unsigned)(c - 'A' + 10);
		else
			break;
		if (v > JSON5_INT_MAX >> 4)
			return (json5_too_big(j));
		v = v << 4 | d;
	}
	if (n == 0)
		return (json5_unexpected(j, "in a number"));
	if (is_minus && v != 0 && buf_putc(j->out, '-') < 0)
		return (-ENOMEM);
	return (buf_u64(j->out, v));
}

static size_t
json5_digits(struct json5 *j)
{
	const char	*from = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return ((size_t)(j->p - from));
}

static bool
json5_is_too_big(const char *digits, size_t n)
{
	uint64_t	 v = 0;

	if (n > 16)
		return (true);
	while (n-- > 0)
		v = v * 10 + (uint64_t)(*digits++ - '0');
	return (v > JSON5_INT_MAX);
}

static int
json5_decimal(struct json5 *j, bool is_minus)
{
	const char	*from = j->p, *whole = from;
	size_t		 n, n_frac = 0, len;

	n = json5_digits(j);
	if (n > 1 && *from == '0') {
		j->p = from + 1;
		return (json5_unexpected(j, "after a leading zero"));
	}
	if (is_minus)
		(void)buf_putc(j->out, '-');
	if (n == 0)
		(void)buf_putc(j->out, '0');
	(void)buf_add(j->out, from, n);
	if (j->p < j->end && *j->p == '.') {
		from = ++j->p;
		n_frac = json5_digits(j);
		(void)buf_putc(j->out, '.');
		if (n_frac == 0)
			(void)buf_putc(j->out, '0');
		(void)buf_add(j->out, from, n_frac);
	}
	if (n + n_frac == 0)
		return (json5_unexpected(j, "in a number"));
	len = n + n_frac;
	if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
		from = j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		if (json5_digits(j) == 0)
			return (json5_unexpected(j, "in an exponent"));
		len += (size_t)(j->p - from);
		(void)buf_add(j->out, from, (size_t)(j->p - from));
	}
	if (len == n && json5_is_too_big(whole, n))
		return (json5_too_big(j));
	if (len > NUMBER_MAX)
		return (json5_fail(j, -E2BIG, "number of more than %d digits",
		    NUMBER_MAX));
	return (j->out->is_failed ? -ENOMEM : 0);
}

static bool
json5_word(struct json5 *j, const char *word)
{
	size_t		 n = strlen(word);
	unsigned	 len;

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0 ||
	    json5_is_name(json5_char(j->p + n, j->end, &len), false))
		return (false);
	j->p += n;
	return (true);
}

static int
json5_number(struct json5 *j)
{
	const char	*at = j->p;
	bool		 is_minus = *at == '-';
	uint32_t	 c;
	unsigned	 n;
	int		 r;

	if (*at == '+' || is_minus)
		j->p++;
	if (json5_word(j, "Infinity") || json5_word(j, "NaN")) {
		j->p = at;
		return (json5_fail(j, -EINVAL,
		    "NaN and Infinity have no JSON form"));
	}
	if (j->end - j->p > 1 && j->p[0] == '0' &&
	    (j->p[1] == 'x' || j->p[1] == 'X'))
		r = json5_hex_number(j, is_minus);
	else
		r = json5_decimal(j, is_minus);
	if (r < 0)
		return (r);
	c = json5_char(j->p, j->end, &n);
	if (json5_is_name(c, false))
		return (json5_unexpected(j, "after a number"));
	return (0);
}

/* Reads a value and shows it to the visitor, if there is one. */
static int
json5_member(struct json5 *j, unsigned line, unsigned col)
{
	struct json5_value	 v;
	int			 r;

	v.from = (size_t)(j->p - j->text);
	v.is_comment = false;
	v.is_string = j->p < j->end && (*j->p == '"' || *j->p == '\'');
	r = json5_value(j);
	if (r != 0 || j->visit == NULL)
		return (r);
	v.steps = j->steps;
	v.n_steps = j->depth;
	v.line = line;
	v.col = col;
	v.to = (size_t)(j->p - j->text);
	v.str = v.is_string && j->str.len > 0 ? j->str.data : "";
	v.str_len = v.is_string ? j->str.len : 0;
	return (j->visit(&v, j->arg));
}

static int
json5_array(struct json5 *j)
{
	unsigned	 i;
	int		 r;

	j->p++;
	if (buf_putc(j->out, '[') < 0)
		return (-ENOMEM);
	for (i = 0;; i++) {
		r = json5_blank(j);
		if (r != 0)
			return (r);
		if (j->p < j->end && *j->p == ']')
			break;
		if (i > 0)
			(void)buf_putc(j->out, ',');
		j->steps[j->depth - 1] = (struct json5_step){ NULL, 0, i };
		r = json5_member(j, j->line, j->visit == NULL ? 0 :
		    json5_col(j, j->p));
		if (r != 0)
			return (r);
		r = json5_blank(j);
		if (r != 0)
			return (r);
		if (j->p < j->end && *j->p == ']')
			break;
		if (j->p >= j->end || *j->p != ',')
			return (json5_unexpected(j, "in an array"));
		j->p++;
	}
	j->p++;
	return (buf_putc(j->out, ']'));
}

/* Reads a key and its colon; fails when the object already has the key. */
static int
json5_key(struct json5 *j, uint32_t object)
{
	char	 full[sizeof object + KEY_MAX];
	void	*old = NULL;
	const char *at = j->p;
	int	 r;

	r = *j->p == '"' || *j->p == '\'' ? json5_string(j) : json5_name(j);
	if (r < 0)
		return (r);
	if (memchr(j->str.data == NULL ? "" : j->str.data, 0, j->str.len) !=
	    NULL) {
		j->p = at;
		return (json5_fail(j, -EINVAL, "key with a NUL"));
	}
	if (j->str.len > KEY_MAX) {
		j->p = at;
		return (json5_fail(j, -E2BIG, "key of more than %d bytes",
		    KEY_MAX));
	}
	memcpy(full, &object, sizeof object);
	if (j->str.len > 0)
		memcpy(full + sizeof object, j->str.data, j->str.len);
	r = map_put(j->seen, full, sizeof object + j->str.len, j, &old);
	if (r < 0)
		return (r);
	if (old != NULL) {
		j->p = at;
		return (json5_fail(j, -EINVAL, "key '%.*s' for the second time",
		    (int)MIN_OF(j->str.len, (size_t)64),
		    j->str.data == NULL ? "" : j->str.data));
	}
	r = buf_json_str(j->out, j->str.len == 0 ? "" : j->str.data,
	    j->str.len);
	if (r < 0)
		return (r);
	if (j->visit != NULL) {
		char **key = &j->keys[j->depth - 1];

		free(*key);
		*key = malloc(j->str.len + 1);
		if (*key == NULL)
			return (-ENOMEM);
		memcpy(*key, full + sizeof object, j->str.len);
		(*key)[j->str.len] = '\0';
		j->steps[j->depth - 1] =
		    (struct json5_step){ *key, j->str.len, 0 };
	}
	r = json5_blank(j);
	if (r != 0)
		return (r);
	if (j->p >= j->end || *j->p != ':')
		return (json5_unexpected(j, "instead of a colon"));
	j->p++;
	return (buf_putc(j->out, ':'));
}

static int
json5_object(struct json5 *j)
{
	uint32_t	 object = j->n_objects++;
	unsigned	 i, line, col = 0;
	int		 r;

	j->p++;
	if (buf_putc(j->out, '{') < 0)
		return (-ENOMEM);
	for (i = 0;; i++) {
		r = json5_blank(j);
		if (r != 0)
			return (r);
		if (j->p >= j->end)
			return (json5_unexpected(j, "in an object"));
		if (*j->p == '}')
			break;
		if (i > 0)
			(void)buf_putc(j->out, ',');
		line = j->line;
		if (j->visit != NULL)
			col = json5_col(j, j->p);
		r = json5_key(j, object);
		if (r != 0)
			return (r);
		r = json5_blank(j);
		if (r != 0)
			return (r);
		r = json5_member(j, line, col);
		if (r != 0)
			return (r);
		r = json5_blank(j);
		if (r != 0)
			return (r);
		if (j->p < j->end && *j->p == '}')
			break;
		if (j->p >= j->end || *j->p != ',')
			return (json5_unexpected(j, "in an object"));
		j->p++;
	}
	j->p++;
	return (buf_putc(j->out, '}'));
}

static int
json5_value(struct json5 *j)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t	 i;
	int	 r;

	if (j->p >= j->end)
		return (json5_unexpected(j, "instead of a value"));
	if (++j->n_values > JSON5_VALUE_MAX)
		return (json5_fail(j, -E2BIG, "more than %d values",
		    JSON5_VALUE_MAX));
	switch (*j->p) {
	case '{':
	case '[':
		if (j->depth == JSON5_DEPTH_MAX)
			return (json5_fail(j, -E2BIG,
			    "nested deeper than %d levels", JSON5_DEPTH_MAX));
		j->depth++;
		r = *j->p == '{' ? json5_object(j) : json5_array(j);
		j->depth--;
		return (r);
	case '"':
	case '\'':
		r = json5_string(j);
		if (r < 0)
			return (r);
		return (buf_json_str(j->out, j->str.len == 0 ? "" :
		    j->str.data, j->str.len));
	case '+':
	case '-':
	case '.':
		return (json5_number(j));
	default:
		break;
	}
	if ((*j->p >= '0' && *j->p <= '9') || *j->p == 'N' || *j->p == 'I')
		return (json5_number(j));
	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (json5_word(j, words[i]))
			return (buf_puts(j->out, words[i]));
	}
	return (json5_unexpected(j, "instead of a value"));
}

static int
json5_run(struct json5 *j, const char *text, size_t len)
{
	unsigned	 i;
	int		 r;

	j->p = j->line_start = j->text = text;
	j->end = text + len;
	j->line = 1;
	if (len > JSON5_TEXT_MAX)
		return (json5_fail(j, -E2BIG, "text of more than %zu bytes",
		    (size_t)JSON5_TEXT_MAX));
	if (!utf8_is_valid(text, len))
		return (json5_fail(j, -EINVAL, "text is not valid UTF-8"));
	j->seen = map_new();
	if (j->seen == NULL)
		return (-ENOMEM);
	r = json5_blank(j);
	if (r == 0)
		r = json5_member(j, j->line, json5_col(j, j->p));
	if (r == 0)
		r = json5_blank(j);
	if (r == 0 && j->p < j->end)
		r = json5_unexpected(j, "after the value");
	if (r == 0 && j->out->is_failed)
		r = -ENOMEM;
	for (i = 0; i < JSON5_DEPTH_MAX; i++)
		free(j->keys[i]);
	j->seen = map_free(j->seen);
	buf_fini(&j->str);
	return (r);
}

int
json5_to_json(const char *text, size_t len, struct buf *out,
    struct json5_error *ret_error)
{
	struct json5	 j = { .out = out, .error = ret_error };

	*ret_error = (struct json5_error){ 0, 0, "" };
	return (json5_run(&j, text, len));
}

int
json5_visit(const char *text, size_t len, json5_visit_fn *fn, void *arg)
{
	struct buf		 out = BUF_INIT;
	struct json5_error	 error = { 0, 0, "" };
	struct json5		 j = { .out = &out, .error = &error,
		.visit = fn, .arg = arg };
	int			 r;

	r = json5_run(&j, text, len);
	buf_fini(&out);
	return (r);
}
