/* SPDX-License-Identifier: MIT */
#include "core/json/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/map.h"

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
