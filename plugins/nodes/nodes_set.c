/* SPDX-License-Identifier: MIT */
/* Sets of names as sorted arrays, the form in which they are shown. */
#include <stdlib.h>
#include <string.h>

#include "nodes.h"

static int
name_cmp(const void *a, const void *b)
{
	return (strcmp(*(const char *const *)a, *(const char *const *)b));
}

static bool
is_name(struct json_object *v)
{
	const char	*s;
	int		 i, len;

	if (!json_object_is_type(v, json_type_string))
		return (false);
	s = json_object_get_string(v);
	len = json_object_get_string_len(v);
	if (len == 0 || len > NODES_NAME_MAX)
		return (false);
	for (i = 0; i < len; i++) {
		if ((unsigned char)s[i] <= ' ' || s[i] == '\x7f')
			return (false);
	}
	return (true);
}

static struct json_object *
set_make(const char **names, size_t n)
{
	struct json_object	*set = json_object_new_array();
	size_t			 i;

	if (n > 0)
		qsort(names, n, sizeof *names, name_cmp);
	for (i = 0; set != NULL && i < n; i++) {
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			(void)json_object_array_add(set,
			    json_object_new_string(names[i]));
	}
	return (set);
}

struct json_object *
set_new(struct json_object *from, size_t max)
{
	struct json_object	*v, *set;
	const char		**names;
	size_t			 i, n, k = 0;

	n = json_object_is_type(from, json_type_array) ?
	    json_object_array_length(from) : 0;
	names = calloc(max + 1, sizeof *names);
	if (names == NULL)
		return (NULL);
	for (i = 0; i < n && k < max; i++) {
		v = json_object_array_get_idx(from, i);
		if (is_name(v))
			names[k++] = json_object_get_string(v);
	}
	set = set_make(names, k);
	free(names);
	return (set);
}

static const char *
set_at(struct json_object *set, size_t i)
{
	return (json_object_get_string(json_object_array_get_idx(set, i)));
}

bool
set_has(struct json_object *set, const char *name)
{
	size_t	 lo = 0, hi, mid;
	int	 c;

	hi = json_object_is_type(set, json_type_array) ?
	    json_object_array_length(set) : 0;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(name, set_at(set, mid));
		if (c == 0)
			return (true);
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (false);
}

bool
set_covers(struct json_object *set, struct json_object *part)
{
	size_t	 i, n;

	n = json_object_is_type(part, json_type_array) ?
	    json_object_array_length(part) : 0;
	for (i = 0; i < n; i++) {
		if (!set_has(set, set_at(part, i)))
			return (false);
	}
	return (true);
}

struct json_object *
set_meet(struct json_object *a, struct json_object *b)
{
	struct json_object	*set = json_object_new_array();
	size_t			 i, n;

	n = json_object_is_type(a, json_type_array) ?
	    json_object_array_length(a) : 0;
	for (i = 0; set != NULL && i < n; i++) {
		if (set_has(b, set_at(a, i)))
			(void)json_object_array_add(set,
			    json_object_new_string(set_at(a, i)));
	}
	return (set);
}
