/* SPDX-License-Identifier: MIT */
/*
 * The places of a template: {{field}}, {{a.b[0].c}}, {{payload.field}},
 * {{headers.name}}, {{query.name}}, {{path}}, {{now}}.
 */
#include "hooks_template.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct out {
	char	*s;
	size_t	 len;
	size_t	 size;
	int	 r;		/* the first failure */
};

static void
out_add(struct out *o, const char *s, size_t len)
{
	size_t	 size;
	char	*p;

	if (o->r < 0)
		return;
	if (len > TEMPLATE_OUT_MAX - o->len) {
		o->r = -EMSGSIZE;
		return;
	}
	if (o->len + len + 1 > o->size) {
		size = o->size == 0 ? 256 : o->size;
		while (size < o->len + len + 1)
			size *= 2;
		p = realloc(o->s, size);
		if (p == NULL) {
			o->r = -ENOMEM;
			return;
		}
		o->s = p;
		o->size = size;
	}
	memcpy(o->s + o->len, s, len);
	o->len += len;
	o->s[o->len] = '\0';
}

/* Names that a program in another language would give a meaning. */
static bool
is_blocked(const char *s, size_t len)
{
	static const char *const names[] = { "__proto__", "prototype",
		"constructor" };
	size_t	 i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], s, len) == 0)
			return (true);
	}
	return (false);
}

static bool
is_number(const char *s, size_t len, size_t *ret_index)
{
	size_t	 i, n = 0;

	for (i = 0; i < len; i++) {
		if (!isdigit((unsigned char)s[i]) || n > TEMPLATE_INDEX_MAX)
			return (false);
		n = n * 10 + (size_t)(s[i] - '0');
	}
	*ret_index = n;
	return (len > 0 && n <= TEMPLATE_INDEX_MAX);
}

static struct json_object *
member(struct json_object *o, const char *s, size_t len)
{
	struct json_object	*v = NULL;
	size_t			 index;
	char			*key;

	if (json_object_is_type(o, json_type_array))
		return (is_number(s, len, &index) ?
		    json_object_array_get_idx(o, index) : NULL);
	if (is_blocked(s, len) || !json_object_is_type(o, json_type_object))
		return (NULL);
	key = strndup(s, len);
	if (key == NULL)
		return (NULL);
	(void)json_object_object_get_ex(o, key, &v);
	free(key);
	return (v);
}

/* a.b[0].c below o; lent, NULL when it is not there. */
static struct json_object *
look_up(struct json_object *o, const char *s, size_t len)
{
	const char	*end = s + len, *p;
	size_t		 index, n_parts = 0;

	while (s < end && o != NULL) {
		if (*s == '[') {
			p = memchr(s, ']', (size_t)(end - s));
			if (p != NULL && is_number(s + 1, (size_t)(p - s - 1),
			    &index)) {
				n_parts++;
				o = json_object_is_type(o, json_type_array) ?
				    json_object_array_get_idx(o, index) : NULL;
				s = p + 1;
				continue;
			}
		}
		if (strchr(".[]", *s) != NULL) {
			s++;
			continue;
		}
		for (p = s; p < end && strchr(".[]", *p) == NULL; p++)
			;
		n_parts++;
		o = member(o, s, (size_t)(p - s));
		s = p;
	}
	return (n_parts > 0 ? o : NULL);
}

static void
out_value(struct out *o, struct json_object *v)
{
	char	 text[64];
	double	 d;

	switch (json_object_get_type(v)) {
	case json_type_null:
		break;
	case json_type_string:
		out_add(o, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v));
		break;
	case json_type_double:
		d = json_object_get_double(v);
		if (d == floor(d) && fabs(d) < 1e15) {
			(void)snprintf(text, sizeof text, "%.0f", d);
			out_add(o, text, strlen(text));
			break;
		}
		/* FALLTHROUGH */
	default: {
		const char *s = json_object_to_json_string_ext(v,
		    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

		if (s != NULL)
			out_add(o, s, strlen(s));
		else
			o->r = -ENOMEM;
	    }
	}
}

static void
out_place(struct out *o, const struct template_input *in, const char *s,
    size_t len)
{
	const struct {
		const char		*word;
		struct json_object	*object;
	} roots[] = { { "headers.", in->headers }, { "query.", in->query },
		{ "payload.", in->payload } };
	size_t	 i, n;

	while (len > 0 && isspace((unsigned char)*s))
		s++, len--;
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	if (len == 4 && memcmp(s, "path", 4) == 0) {
		out_add(o, in->path, strlen(in->path));
		return;
	}
	if (len == 3 && memcmp(s, "now", 3) == 0) {
		out_add(o, in->now, strlen(in->now));
		return;
	}
	for (i = 0; i < sizeof roots / sizeof roots[0]; i++) {
		n = strlen(roots[i].word);
		if (len >= n && memcmp(s, roots[i].word, n) == 0) {
			out_value(o, look_up(roots[i].object, s + n, len - n));
			return;
		}
	}
	out_value(o, look_up(in->payload, s, len));
}

/* The first place at or after s: where it begins; *ret_end is behind it. */
static const char *
next_place(const char *s, const char **ret_end)
{
	const char	*p;

	for (; (s = strstr(s, "{{")) != NULL; s++) {
		p = s + 2 + strcspn(s + 2, "}");
		if (p > s + 2 && p[0] == '}' && p[1] == '}') {
			*ret_end = p + 2;
			return (s);
		}
	}
	return (NULL);
}

bool
template_has_places(const char *text)
{
	const char	*end;

	return (next_place(text, &end) != NULL);
}

int
template_render(const char *text, const struct template_input *in,
    char **ret_text)
{
	struct out	 o = { NULL, 0, 0, 0 };
	const char	*place, *end;

	while ((place = next_place(text, &end)) != NULL && o.r == 0) {
		out_add(&o, text, (size_t)(place - text));
		out_place(&o, in, place + 2, (size_t)(end - place) - 4);
		text = end;
	}
	out_add(&o, text, strlen(text));
	if (o.r < 0) {
		free(o.s);
		return (o.r);
	}
	*ret_text = o.s;
	return (0);
}
