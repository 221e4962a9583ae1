/* SPDX-License-Identifier: MIT */
#include "core/json/json.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/map.h"

#define TOKENER_KEEP	KIB(64)	/* bytes; after a longer text it is freed */

/*
 * One tokener a thread. A new one costs more than parsing a small frame, and
 * json-c switches the locale at each call, so a text is never fed in pieces.
 */
static _Thread_local struct json_tokener *tokener;
static pthread_key_t tokener_key;
static pthread_once_t tokener_once = PTHREAD_ONCE_INIT;
static bool has_tokener_key;

static void
tokener_destroy(void *p)
{
	json_tokener_free(p);
}

static void
tokener_key_init(void)
{
	has_tokener_key = pthread_key_create(&tokener_key,
	    tokener_destroy) == 0;
}

static struct json_tokener *
tokener_get(void)
{
	if (likely(tokener != NULL)) {
		json_tokener_reset(tokener);
		return (tokener);
	}
	/*
	 * A level for the innermost scalar and one to spare: ours is the limit.
	 */
	tokener = json_tokener_new_ex((int)SCAN_DEPTH_CAP + 2);
	if (tokener == NULL)
		return (NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	(void)pthread_once(&tokener_once, tokener_key_init);
	if (has_tokener_key)
		(void)pthread_setspecific(tokener_key, tokener);
	return (tokener);
}

void
json_thread_fini(void)
{
	if (tokener == NULL)
		return;
	if (has_tokener_key)
		(void)pthread_setspecific(tokener_key, NULL);
	json_tokener_free(tokener);
	tokener = NULL;
}

static int
parse_text(const char *text, size_t len, struct json_object **ret)
{
	struct json_tokener	*tok;
	struct json_object	*v;
	enum json_tokener_error	 err;
	int			 r = 0;

	if (len >= INT32_MAX)
		return (-EBADMSG);
	tok = tokener_get();
	if (tok == NULL)
		return (-ENOMEM);
	v = json_tokener_parse_ex(tok, text, (int)len);
	err = json_tokener_get_error(tok);
	if (err == json_tokener_continue) {
		/*
		 * The end of a bare number, null, true or false is only known
		 * with the next byte.
		 */
		v = json_tokener_parse_ex(tok, "", 1);
		err = json_tokener_get_error(tok);
	} else if (json_tokener_get_parse_end(tok) < len) {
		/* The scanner allows white space after the value. */
		size_t at = json_tokener_get_parse_end(tok);

		while (at < len && strchr(" \t\r\n", text[at]) != NULL &&
		    text[at] != '\0')
			at++;
		if (at < len)
			r = -EBADMSG;
	}
	if (err != json_tokener_success)
		r = -EBADMSG;
	/* Its buffer keeps the size of the longest string it has seen. */
	if (len > TOKENER_KEEP)
		json_thread_fini();
	if (r < 0) {
		json_object_put(v);
		return (r);
	}
	*ret = v;
	return (0);
}

static unsigned
hex4(const char *p)
{
	unsigned	 v = 0;
	int		 i;

	for (i = 0; i < 4; i++)
		v = v << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' :
		    (p[i] | 0x20) - 'a' + 10);
	return (v);
}

/*
 * json-c 0.16 takes an escaped pair such as "\ud836\ude00" for half a pair when the
 * low 16 bits of the character look like a surrogate (U+1D800 to U+1DFFF, and the
 * same in each plane), and makes it U+FFFD. Those, and no others, are written as
 * UTF-8 before it sees them. Returns NULL when there is none, or no memory
 * (*ret_nomem).
 */
static char *
text_mend(const char *text, size_t len, size_t *ret_len, bool *ret_nomem)
{
	const char	*p = text, *end = text + len, *from = text;
	char		*out = NULL, *o = NULL;
	uint32_t	 c;
	unsigned	 hi, lo;

	*ret_nomem = false;
	while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		/* The text is valid: what begins an escape is there whole. */
		if (end - p < 12 || p[1] != 'u') {
			p += end - p < 2 ? 1 : 2;
			continue;
		}
		hi = hex4(p + 2);
		if (hi < 0xd800 || hi > 0xdbff || p[6] != '\\' ||
		    p[7] != 'u') {
			p += 6;
			continue;
		}
		lo = hex4(p + 8);
		c = 0x10000u + ((hi & 0x3ffu) << 10) + (lo & 0x3ffu);
		if ((c & 0xf800u) == 0xd800u) {
			if (out == NULL) {
				out = o = malloc(len);
				if (out == NULL) {
					*ret_nomem = true;
					return (NULL);
				}
			}
			memcpy(o, from, (size_t)(p - from));
			o += p - from;
			*o++ = (char)(0xf0u | c >> 18);
			*o++ = (char)(0x80u | (c >> 12 & 0x3fu));
			*o++ = (char)(0x80u | (c >> 6 & 0x3fu));
			*o++ = (char)(0x80u | (c & 0x3fu));
			from = p + 12;
		}
		p += 12;
	}
	if (out != NULL) {
		memcpy(o, from, (size_t)(end - from));
		*ret_len = (size_t)(o - out) + (size_t)(end - from);
	}
	return (out);
}

int
json_parse(const char *text, size_t len, struct json_object **ret)
{
	char	*mended;
	bool	 is_nomem;
	int	 r;

	mended = text_mend(text, len, &len, &is_nomem);
	if (is_nomem)
		return (-ENOMEM);
	r = parse_text(mended != NULL ? mended : text, len, ret);
	free(mended);
	return (r);
}

int
json_parse_scanned(const char *text, size_t len, const struct scan_limits *lim,
    struct scan_result *res, struct json_object **ret)
{
	struct scan_result	 tmp;
	int			 r;

	r = scan_json(text, len, lim, res == NULL ? &tmp : res);
	if (r < 0)
		return (r);
	return (json_parse(text, len, ret));
}

int
json_read_file(const char *path, size_t max, struct json_object **ret,
    struct buf *why)
{
	struct scan_limits	 lim = { .depth_max = SCAN_DEPTH_CAP };
	struct scan_result	 res = { .err = SCAN_OK };
	char			*text;
	size_t			 len, i, line = 1;
	int			 r;

	r = file_read(path, max, &text, &len);
	if (r < 0) {
		if (why != NULL)
			(void)buf_printf(why, "cannot be read: %s",
			    strerror(-r));
		return (r);
	}
	/*
	 * The worst text costs 264 times its size; a file of ours never does.
	 */
	if (__builtin_mul_overflow(max, (size_t)64, &lim.heap_max))
		lim.heap_max = SIZE_MAX;
	lim.heap_max = MAX_OF(lim.heap_max, MIB(1));
	r = json_parse_scanned(text, len, &lim, &res, ret);
	if (r < 0 && why != NULL) {
		for (i = 0; i < res.offset && i < len; i++)
			line += text[i] == '\n';
		(void)buf_printf(why, "line %zu: %s", line,
		    r == -ENOMEM ? scan_err_text(SCAN_NOMEM) :
		    scan_err_text(res.err));
	}
	free(text);
	return (r);
}

struct json_object *
json_get(const struct json_object *obj, const char *key)
{
	struct json_object	*v;

	if (!json_object_is_type(obj, json_type_object) ||
	    !json_object_object_get_ex(obj, key, &v))
		return (NULL);
	return (v);
}

bool
json_has(const struct json_object *obj, const char *key)
{
	return (json_object_is_type(obj, json_type_object) &&
	    json_object_object_get_ex(obj, key, NULL));
}

static struct json_object *
json_get_typed(const struct json_object *obj, const char *key,
    enum json_type type)
{
	struct json_object	*v = json_get(obj, key);

	return (v != NULL && json_object_is_type(v, type) ? v : NULL);
}

const char *
json_get_str(const struct json_object *obj, const char *key)
{
	struct json_object	*v;

	v = json_get_typed(obj, key, json_type_string);
	return (v == NULL ? NULL : json_object_get_string(v));
}

const char *
json_get_strn(const struct json_object *obj, const char *key, size_t *ret_len)
{
	struct json_object	*v;

	v = json_get_typed(obj, key, json_type_string);
	if (v == NULL)
		return (NULL);
	*ret_len = (size_t)json_object_get_string_len(v);
	return (json_object_get_string(v));
}

struct json_object *
json_get_obj(const struct json_object *obj, const char *key)
{
	return (json_get_typed(obj, key, json_type_object));
}

struct json_object *
json_get_arr(const struct json_object *obj, const char *key)
{
	return (json_get_typed(obj, key, json_type_array));
}

bool
json_get_bool(const struct json_object *obj, const char *key, bool dflt)
{
	struct json_object	*v;

	v = json_get_typed(obj, key, json_type_boolean);
	return (v == NULL ? dflt : json_object_get_boolean(v) != 0);
}

bool
json_is_whole(const struct json_object *v, int64_t *ret)
{
	double	 d;

	if (json_object_is_type(v, json_type_int)) {
		*ret = json_object_get_int64(v);
		return (*ret >= -SCAN_INT_MAX && *ret <= SCAN_INT_MAX);
	}
	if (!json_object_is_type(v, json_type_double))
		return (false);
	d = json_object_get_double(v);
	if (!(d >= -(double)SCAN_INT_MAX && d <= (double)SCAN_INT_MAX) ||
	    d != trunc(d))
		return (false);
	*ret = (int64_t)d;
	return (true);
}

int64_t
json_get_int(const struct json_object *obj, const char *key, int64_t dflt)
{
	int64_t	 n;

	return (json_is_whole(json_get(obj, key), &n) ? n : dflt);
}

double
json_get_double(const struct json_object *obj, const char *key, double dflt)
{
	struct json_object	*v = json_get(obj, key);

	if (v == NULL || (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double)))
		return (dflt);
	return (json_object_get_double(v));
}

struct json_object *
json_get_path(const struct json_object *obj, const char *path)
{
	struct json_object	*v = NULL;
	char			 key[128];
	size_t			 n;

	for (;; path += n + 1) {
		n = strcspn(path, ".");
		if (n >= sizeof key)
			return (NULL);
		memcpy(key, path, n);
		key[n] = '\0';
		v = json_get(obj, key);
		if (path[n] == '\0' || v == NULL)
			return (v);
		obj = v;
	}
}

int
json_add(struct json_object *obj, const char *key, struct json_object *value)
{
	if (value == NULL)
		return (-ENOMEM);
	if (json_object_object_add(obj, key, value) < 0) {
		json_object_put(value);
		return (-ENOMEM);
	}
	return (0);
}

int
json_add_str(struct json_object *obj, const char *key, const char *s)
{
	return (json_add(obj, key, json_object_new_string(s)));
}

int
json_add_int(struct json_object *obj, const char *key, int64_t n)
{
	return (json_add(obj, key, json_object_new_int64(n)));
}

int
json_add_bool(struct json_object *obj, const char *key, bool b)
{
	return (json_add(obj, key, json_object_new_boolean(b)));
}

int
json_add_double(struct json_object *obj, const char *key, double d)
{
	return (json_add(obj, key, json_object_new_double(d)));
}

int
json_add_null(struct json_object *obj, const char *key)
{
	return (json_object_object_add(obj, key, NULL) < 0 ? -ENOMEM : 0);
}

int
json_push(struct json_object *arr, struct json_object *value)
{
	if (value == NULL)
		return (-ENOMEM);
	if (json_object_array_add(arr, value) < 0) {
		json_object_put(value);
		return (-ENOMEM);
	}
	return (0);
}

static int
json_copy_some(const struct json_object *v, struct json_object **ret,
    unsigned depth)
{
	struct json_object	*copy = NULL, *sub;
	size_t			 i, n;
	int			 r;

	if (depth > JSON_DEPTH_MAX)
		return (-ELOOP);
	switch (json_object_get_type(v)) {
	case json_type_null:
		*ret = NULL;
		return (0);
	case json_type_boolean:
		copy = json_object_new_boolean(json_object_get_boolean(v));
		break;
	case json_type_int:
		/* The only values above INT64_MAX are uint64 ones. */
		copy = json_object_get_int64(v) == INT64_MAX ?
		    json_object_new_uint64(json_object_get_uint64(v)) :
		    json_object_new_int64(json_object_get_int64(v));
		break;
	case json_type_double:
		copy = json_object_new_double(json_object_get_double(v));
		break;
	case json_type_string:
		copy = json_object_new_string_len(
		    json_object_get_string((struct json_object *)(uintptr_t)v),
		    json_object_get_string_len(v));
		break;
	case json_type_array:
		n = json_object_array_length(v);
		copy = json_object_new_array_ext((int)(n == 0 ? 1 : n));
		if (copy == NULL)
			return (-ENOMEM);
		for (i = 0; i < n; i++) {
			r = json_copy_some(json_object_array_get_idx(v, i),
			    &sub, depth + 1);
			if (r < 0)
				goto fail;
			if (json_object_array_add(copy, sub) < 0) {
				json_object_put(sub);
				r = -ENOMEM;
				goto fail;
			}
		}
		break;
	case json_type_object:
		copy = json_object_new_object();
		if (copy == NULL)
			return (-ENOMEM);
		json_object_object_foreach(
		    (struct json_object *)(uintptr_t)v, key, val) {
			r = json_copy_some(val, &sub, depth + 1);
			if (r < 0)
				goto fail;
			if (json_object_object_add_ex(copy, key, sub,
			    JSON_C_OBJECT_ADD_KEY_IS_NEW) < 0) {
				json_object_put(sub);
				r = -ENOMEM;
				goto fail;
			}
		}
		break;
	}
	if (copy == NULL)
		return (-ENOMEM);
	*ret = copy;
	return (0);
fail:
	json_object_put(copy);
	return (r);
}

int
json_copy(const struct json_object *v, struct json_object **ret)
{
	return (json_copy_some(v, ret, 0));
}
