/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define JSON_DEPTH	64

void
text_fini(struct text *t)
{
	free(t->p);
	*t = (struct text){ NULL, 0, 0 };
}

void
text_reset(struct text *t)
{
	t->len = 0;
	if (t->p != NULL)
		t->p[0] = '\0';
}

int
text_add(struct text *t, const char *p, size_t len, size_t max)
{
	size_t	 cap;
	char	*grown;

	if (len > max || t->len > max - len)
		return (-EMSGSIZE);
	if (t->len + len + 1 > t->cap) {
		cap = t->cap < 256 ? 256 : t->cap;
		while (cap < t->len + len + 1)
			cap *= 2;
		grown = realloc(t->p, cap);
		if (grown == NULL)
			return (-ENOMEM);
		t->p = grown;
		t->cap = cap;
	}
	if (len > 0)
		memcpy(t->p + t->len, p, len);
	t->len += len;
	t->p[t->len] = '\0';
	return (0);
}

const char *
text_str(const struct text *t)
{
	return (t->p != NULL ? t->p : "");
}

/*
 * RFC 3629. json-c has a check of its own that lets overlong forms and surrogates
 * through.
 */
static int
is_utf8(const char *s, size_t len)
{
	const unsigned char	*p = (const unsigned char *)s, *end = p + len;
	uint32_t		 c, least;
	int			 more;

	while (p < end) {
		c = *p++;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			c &= 0x1f;
			least = 0x80;
		} else if (c >= 0xe0 && c <= 0xef) {
			more = 2;
			c &= 0x0f;
			least = 0x800;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			c &= 0x07;
			least = 0x10000;
		} else
			return (0);
		if (end - p < more)
			return (0);
		for (; more > 0; more--, p++) {
			if ((*p & 0xc0) != 0x80)
				return (0);
			c = c << 6 | (*p & 0x3f);
		}
		if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return (0);
	}
	return (1);
}

struct json_object *
jget_parse(const char *p, size_t len)
{
	struct json_tokener	*tok;
	struct json_object	*o = NULL;

	if (len > INT32_MAX || !is_utf8(p, len))
		return (NULL);
	tok = json_tokener_new_ex(JSON_DEPTH);
	if (tok == NULL)
		return (NULL);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	o = json_tokener_parse_ex(tok, p, (int)len);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tok);
	return (o);
}

struct json_object *
jget(struct json_object *o, const char *key)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &v))
		return (NULL);
	return (v);
}

const char *
jget_str(struct json_object *o, const char *key)
{
	o = jget(o, key);
	return (json_object_is_type(o, json_type_string) ?
	    json_object_get_string(o) : NULL);
}

uint64_t
jget_count(struct json_object *o, const char *key)
{
	int64_t	 n;

	o = jget(o, key);
	if (!json_object_is_type(o, json_type_int))
		return (0);
	n = json_object_get_int64(o);
	return (n < 0 ? 0 : (uint64_t)n);
}

size_t
jget_len(struct json_object *o)
{
	return (json_object_is_type(o, json_type_array) ?
	    json_object_array_length(o) : 0);
}

struct json_object *
jget_at(struct json_object *o, const char *key, size_t i)
{
	o = jget(o, key);
	return (i < jget_len(o) ? json_object_array_get_idx(o, i) : NULL);
}

int
jadd(struct json_object *o, const char *key, struct json_object *v)
{
	if (v == NULL || json_object_object_add(o, key, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}

int
jadd_str(struct json_object *o, const char *key, const char *s)
{
	return (jadd(o, key, json_object_new_string(s)));
}

int
jpush(struct json_object *a, struct json_object *v)
{
	if (v == NULL || json_object_array_add(a, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}
