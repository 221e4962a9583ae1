/* SPDX-License-Identifier: MIT */
/*
 * Values as text, and values against each other. json-c's own writer keeps the
 * text inside the object for as long as that lives, and writes doubles as they
 * were spelled; neither is wanted.
 */
#include "core/json/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"

/* json-c takes no const where it may have to build a string. */
static const char *
str_of(const struct json_object *v, size_t *ret_len)
{
	*ret_len = (size_t)json_object_get_string_len(v);
	return (json_object_get_string((struct json_object *)(uintptr_t)v));
}

int
json_write_double(struct buf *out, double d)
{
	char	 tmp[40];
	char	*comma;
	int	 prec;

	if (!isfinite(d))
		return (buf_puts(out, "null"));
	for (prec = 15; prec <= 17; prec++) {
		(void)snprintf(tmp, sizeof tmp, "%.*g", prec, d);
		if (prec == 17 || strtod(tmp, NULL) == d)
			break;
	}
	/* A library may have set a locale. */
	comma = strchr(tmp, ',');
	if (comma != NULL)
		*comma = '.';
	(void)buf_puts(out, tmp);
	/* An integer of that size would be refused, by us first of all. */
	if (fabs(d) > (double)SCAN_INT_MAX && strpbrk(tmp, ".e") == NULL)
		(void)buf_add(out, ".0", 2);
	return (out->is_failed ? -ENOMEM : 0);
}

static int
write_int(struct buf *out, const struct json_object *v)
{
	int64_t	 n = json_object_get_int64(v);

	if (n == INT64_MAX)
		return (buf_u64(out, json_object_get_uint64(v)));
	if (n >= 0)
		return (buf_u64(out, (uint64_t)n));
	(void)buf_putc(out, '-');
	return (buf_u64(out, -(uint64_t)n));
}

static int
write_some(struct buf *out, const struct json_object *v, unsigned depth)
{
	const char	*s;
	size_t		 i, n;
	int		 r;
	bool		 is_next = false;

	switch (json_object_get_type(v)) {
	case json_type_null:
		return (buf_add(out, "null", 4));
	case json_type_boolean:
		return (json_object_get_boolean(v) ?
		    buf_add(out, "true", 4) : buf_add(out, "false", 5));
	case json_type_int:
		return (write_int(out, v));
	case json_type_double:
		return (json_write_double(out, json_object_get_double(v)));
	case json_type_string:
		s = str_of(v, &n);
		return (buf_json_str(out, s, n));
	case json_type_array:
		if (depth >= JSON_DEPTH_MAX)
			return (-ELOOP);
		(void)buf_putc(out, '[');
		n = json_object_array_length(v);
		for (i = 0; i < n; i++) {
			if (i > 0)
				(void)buf_putc(out, ',');
			r = write_some(out, json_object_array_get_idx(v, i),
			    depth + 1);
			if (r < 0)
				return (r);
		}
		return (buf_putc(out, ']'));
	case json_type_object:
		break;
	}
	if (depth >= JSON_DEPTH_MAX)
		return (-ELOOP);
	(void)buf_putc(out, '{');
	json_object_object_foreach((struct json_object *)(uintptr_t)v, key,
	    val) {
		if (is_next)
			(void)buf_putc(out, ',');
		is_next = true;
		(void)buf_json_str(out, key, strlen(key));
		(void)buf_putc(out, ':');
		r = write_some(out, val, depth + 1);
		if (r < 0)
			return (r);
	}
	return (buf_putc(out, '}'));
}

int
json_write(struct buf *out, const struct json_object *v)
{
	size_t	 len = out->len;
	int	 r;

	r = write_some(out, v, 0);
	if (r < 0)
		out->len = len;
	return (r);
}

static bool
is_number(enum json_type type)
{
	return (type == json_type_int || type == json_type_double);
}

static bool
equal_numbers(const struct json_object *a, const struct json_object *b)
{
	int64_t	 x, y;

	if (json_is_whole(a, &x))
		return (json_is_whole(b, &y) && x == y);
	if (json_is_whole(b, &y))
		return (false);
	/* Two integers outside the exact range; only code makes those. */
	if (json_object_get_type(a) == json_type_int &&
	    json_object_get_type(b) == json_type_int)
		return (json_object_get_int64(a) == json_object_get_int64(b) &&
		    json_object_get_uint64(a) == json_object_get_uint64(b));
	return (json_object_get_double(a) == json_object_get_double(b));
}

static bool
equal_some(const struct json_object *a, const struct json_object *b,
    unsigned depth)
{
	enum json_type		 type = json_object_get_type(a);
	struct json_object	*other;
	const char		*s, *t;
	size_t			 i, n, m;

	if (a == b)
		return (true);
	if (is_number(type) && is_number(json_object_get_type(b)))
		return (equal_numbers(a, b));
	if (type != json_object_get_type(b) || depth > JSON_DEPTH_MAX)
		return (false);
	switch (type) {
	case json_type_boolean:
		return (json_object_get_boolean(a) ==
		    json_object_get_boolean(b));
	case json_type_string:
		s = str_of(a, &n);
		t = str_of(b, &m);
		return (n == m && memcmp(s, t, n) == 0);
	case json_type_array:
		n = json_object_array_length(a);
		if (n != json_object_array_length(b))
			return (false);
		for (i = 0; i < n; i++) {
			if (!equal_some(json_object_array_get_idx(a, i),
			    json_object_array_get_idx(b, i), depth + 1))
				return (false);
		}
		return (true);
	case json_type_object:
		if (json_object_object_length(a) !=
		    json_object_object_length(b))
			return (false);
		json_object_object_foreach(
		    (struct json_object *)(uintptr_t)a, key, val) {
			if (!json_object_object_get_ex(b, key, &other) ||
			    !equal_some(val, other, depth + 1))
				return (false);
		}
		return (true);
	default:
		return (true);
	}
}

bool
json_equal(const struct json_object *a, const struct json_object *b)
{
	return (equal_some(a, b, 0));
}

static uint64_t
hash_some(const struct json_object *v, const uint64_t seed[2], unsigned depth)
{
	struct {
		uint64_t	 type;
		uint64_t	 bits;
	} x = { 0, 0 };
	const char	*s;
	size_t		 i, n;
	double		 d;

	x.type = (uint64_t)json_object_get_type(v);
	if (depth > JSON_DEPTH_MAX)
		return (0);
	switch (json_object_get_type(v)) {
	case json_type_null:
		break;
	case json_type_boolean:
		x.bits = (uint64_t)json_object_get_boolean(v);
		break;
	case json_type_int:
	case json_type_double:
		x.type = (uint64_t)json_type_double;
		d = json_object_get_double(v) + 0.0;	/* -0 becomes 0 */
		memcpy(&x.bits, &d, sizeof x.bits);
		break;
	case json_type_string:
		s = str_of(v, &n);
		return (siphash(s, n, seed));
	case json_type_array:
		n = json_object_array_length(v);
		for (i = 0; i < n; i++) {
			x.bits = x.bits * UINT64_C(0x9e3779b97f4a7c15) +
			    hash_some(json_object_array_get_idx(v, i), seed,
			    depth + 1);
		}
		break;
	case json_type_object:;	/* a declaration follows, and before C23 */
		/* A sum, so that the order of members does not matter. */
		x.bits = 0;
		json_object_object_foreach(
		    (struct json_object *)(uintptr_t)v, key, val) {
			uint64_t pair[2] = {
				siphash(key, strlen(key), seed),
				hash_some(val, seed, depth + 1),
			};

			x.bits += siphash(pair, sizeof pair, seed);
		}
		break;
	}
	return (siphash(&x, sizeof x, seed));
}

uint64_t
json_hash(const struct json_object *v, const uint64_t seed[2])
{
	return (hash_some(v, seed, 0));
}
