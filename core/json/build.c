/* SPDX-License-Identifier: MIT */
/*
 * From a text that the scanner accepted to json-c values. json-c's own parser is not
 * used: it is made for doubtful text, switches the locale for each, and 0.16 makes
 * U+FFFD of escaped characters whose low 16 bits look like a surrogate.
 */
#include "core/json/json.h"

#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEY_INLINE	64	/* bytes of a name that needs no heap */
#define ARRAY_FIRST	4	/* elements that an array has room for */

/*
 * The text is valid; every step is checked against its end all the same, so that a
 * caller's mistake is an error and not a read beyond it.
 */
struct build {
	const char	*p;
	const char	*end;
	unsigned	 depth;
	struct buf	 str;	/* a string's decoded bytes */
};

static int	 build_value(struct build *b, struct json_object **ret);

/* A program that embeds us may have a locale with a decimal comma. */
static locale_t		 c_locale;
static pthread_once_t	 c_locale_once = PTHREAD_ONCE_INIT;

static void
c_locale_init(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static void
skip_space(struct build *b)
{
	while (b->p < b->end && (*b->p == ' ' || *b->p == '\t' ||
	    *b->p == '\n' || *b->p == '\r'))
		b->p++;
}

/* The raw string at p, with its quotes. */
static int
span_string(struct build *b, struct scan_span *ret, bool *ret_escaped)
{
	const char	*q = b->p + 1, *quote, *slash;

	*ret_escaped = false;
	for (;;) {
		if (q >= b->end)
			return (-EBADMSG);
		quote = memchr(q, '"', (size_t)(b->end - q));
		if (quote == NULL)
			return (-EBADMSG);
		slash = memchr(q, '\\', (size_t)(quote - q));
		if (slash == NULL)
			break;
		*ret_escaped = true;
		q = slash + 2;
	}
	*ret = (struct scan_span){ b->p, (size_t)(quote + 1 - b->p), '"' };
	b->p = quote + 1;
	return (0);
}

/* The string's bytes, in the text itself where nothing is escaped. */
static int
string_bytes(struct build *b, const char **ret, size_t *ret_len)
{
	struct scan_span	 s;
	bool			 is_escaped;
	int			 r;

	r = span_string(b, &s, &is_escaped);
	if (r < 0)
		return (r);
	*ret = s.p + 1;
	*ret_len = s.len - 2;
	if (!is_escaped)
		return (0);
	buf_reset(&b->str);
	r = scan_span_str(&s, &b->str);
	if (r < 0)
		return (r == -EINVAL ? -EBADMSG : r);
	*ret = b->str.data != NULL ? b->str.data : "";
	*ret_len = b->str.len;
	return (0);
}

static int
build_string(struct build *b, struct json_object **ret)
{
	const char	*s;
	size_t		 len;
	int		 r;

	r = string_bytes(b, &s, &len);
	if (r < 0)
		return (r);
	*ret = json_object_new_string_len(s, (int)len);
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
build_number(struct build *b, struct json_object **ret)
{
	const char	*from = b->p;
	bool		 is_negative = *from == '-', is_whole = true;
	int64_t		 n = 0;
	char		 text[64], *copy = text;
	size_t		 len;
	double		 d;

	for (b->p += is_negative; b->p < b->end; b->p++) {
		char c = *b->p;

		if (c >= '0' && c <= '9') {
			/* 17 digits fit; the scanner lets no larger one be. */
			if (is_whole && n < INT64_C(100000000000000000))
				n = n * 10 + (c - '0');
		} else if (c == '.' || c == 'e' || c == 'E' || c == '+' ||
		    c == '-')
			is_whole = false;
		else
			break;
	}
	len = (size_t)(b->p - from);
	if (len == (size_t)is_negative)
		return (-EBADMSG);
	if (is_whole) {
		*ret = json_object_new_int64(is_negative ? -n : n);
		return (*ret == NULL ? -ENOMEM : 0);
	}
	if (len >= sizeof text) {
		copy = malloc(len + 1);
		if (copy == NULL)
			return (-ENOMEM);
	}
	memcpy(copy, from, len);
	copy[len] = '\0';
	(void)pthread_once(&c_locale_once, c_locale_init);
	d = c_locale == (locale_t)0 ? strtod(copy, NULL) :
	    strtod_l(copy, NULL, c_locale);
	if (copy != text)
		free(copy);
	*ret = json_object_new_double(d);
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
build_word(struct build *b, const char *word, size_t len)
{
	if ((size_t)(b->end - b->p) < len || memcmp(b->p, word, len) != 0)
		return (-EBADMSG);
	b->p += len;
	return (0);
}

/* One member, up to the comma or brace behind it. */
static int
build_member(struct build *b, struct json_object *obj)
{
	struct json_object	*v = NULL;
	const char		*s;
	char			 small[KEY_INLINE] no_clear;
	char			*key = small;
	size_t			 len;
	int			 r;

	skip_space(b);
	if (b->p >= b->end || *b->p != '"')
		return (-EBADMSG);
	r = string_bytes(b, &s, &len);
	if (r < 0)
		return (r);
	/* The value will use the buffer; and json-c wants a NUL. */
	if (len >= sizeof small) {
		key = malloc(len + 1);
		if (key == NULL)
			return (-ENOMEM);
	}
	memcpy(key, s, len);
	key[len] = '\0';
	skip_space(b);
	if (b->p < b->end && *b->p == ':') {
		b->p++;
		r = build_value(b, &v);
	} else
		r = -EBADMSG;
	if (r == 0 && json_object_object_add_ex(obj, key, v,
	    JSON_C_OBJECT_ADD_KEY_IS_NEW) < 0) {
		json_object_put(v);
		r = -ENOMEM;
	}
	if (key != small)
		free(key);
	return (r);
}

static int
build_container(struct build *b, struct json_object **ret)
{
	bool			 is_object = *b->p == '{';
	char			 close = is_object ? '}' : ']';
	struct json_object	*o, *v;
	int			 r = 0;

	if (++b->depth > SCAN_DEPTH_CAP)
		return (-EBADMSG);
	b->p++;
	skip_space(b);
	o = is_object ? json_object_new_object() : json_object_new_array_ext(
	    b->p < b->end && *b->p == close ? 1 : ARRAY_FIRST);
	if (o == NULL)
		return (-ENOMEM);
	if (b->p < b->end && *b->p == close) {
		b->p++;
		goto out;
	}
	for (;;) {
		if (is_object)
			r = build_member(b, o);
		else {
			v = NULL;
			r = build_value(b, &v);
			if (r == 0 && json_object_array_add(o, v) < 0) {
				json_object_put(v);
				r = -ENOMEM;
			}
		}
		if (r < 0)
			break;
		skip_space(b);
		if (b->p >= b->end || (*b->p != ',' && *b->p != close)) {
			r = -EBADMSG;
			break;
		}
		if (*b->p++ == close)
			break;
	}
	/* The budget of a frame counts on arrays that are as long as they are. */
	if (r == 0 && !is_object)
		(void)json_object_array_shrink(o, 0);
out:
	b->depth--;
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	*ret = o;
	return (0);
}

static int
build_value(struct build *b, struct json_object **ret)
{
	bool	 is_true;

	skip_space(b);
	if (b->p >= b->end)
		return (-EBADMSG);
	switch (*b->p) {
	case '{':
	case '[':
		return (build_container(b, ret));
	case '"':
		return (build_string(b, ret));
	case 't':
	case 'f':
		is_true = *b->p == 't';
		if (build_word(b, is_true ? "true" : "false",
		    is_true ? 4 : 5) < 0)
			return (-EBADMSG);
		*ret = json_object_new_boolean(is_true);
		return (*ret == NULL ? -ENOMEM : 0);
	case 'n':
		*ret = NULL;
		return (build_word(b, "null", 4));
	default:
		return (build_number(b, ret));
	}
}

int
json_parse(const char *text, size_t len, struct json_object **ret)
{
	struct build		 b;
	struct json_object	*v = NULL;
	int			 r;

	if (len >= INT32_MAX)
		return (-EBADMSG);
	b.p = text;
	b.end = text + len;
	b.depth = 0;
	buf_init(&b.str);
	r = build_value(&b, &v);
	if (r == 0) {
		skip_space(&b);
		if (b.p != b.end)
			r = -EBADMSG;
	}
	buf_fini(&b.str);
	if (r < 0) {
		json_object_put(v);
		return (r);
	}
	*ret = v;
	return (0);
}
