/* SPDX-License-Identifier: MIT */
/* Which questions can be asked, and what answers them. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "question.h"

static bool
json_flag(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	return (json_object_object_get_ex(o, name, &v) &&
	    json_object_get_boolean(v));
}

static struct json_object *
json_list(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	(void)json_object_object_get_ex(o, name, &v);
	return (v);
}

/* Without the blanks around. */
static const char *
trim(const char *s, size_t *ret_len)
{
	size_t	n;

	s += strspn(s, " \t\r\n\v\f");
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	*ret_len = n;
	return (s);
}

static int
say(char *why, size_t size, const char *id, const char *what)
{
	(void)snprintf(why, size, "question '%.64s' %s", id, what);
	return (-EINVAL);
}

static int
options_check(struct json_object *q, char *why, size_t size)
{
	struct json_object	*list = json_list(q, "options");
	size_t			 i, j, n = json_object_array_length(list);
	size_t			 na, nb;
	const char		*a, *b, *id = get_str(q, "questionId");

	if (n == 1)
		return (say(why, size, id,
		    "has one option: none, or two to four"));
	for (i = 0; i < n; i++) {
		a = trim(get_str(json_object_array_get_idx(list, i), "label"),
		    &na);
		if (na == 0)
			return (say(why, size, id, "has a blank option"));
		for (j = 0; j < i; j++) {
			b = trim(get_str(json_object_array_get_idx(list, j),
			    "label"), &nb);
			if (na == nb && strncasecmp(a, b, na) == 0)
				return (say(why, size, id,
				    "has an option twice"));
		}
	}
	return (0);
}

int
questions_check(struct json_object *list, char *why, size_t size)
{
	struct json_object	*q;
	size_t			 i, j, n = json_object_array_length(list);
	const char		*id;
	int			 r;

	for (i = 0; i < n; i++) {
		q = json_object_array_get_idx(list, i);
		id = get_str(q, "questionId");
		for (j = 0; j < i; j++) {
			if (strcmp(id, get_str(json_object_array_get_idx(list,
			    j), "questionId")) == 0)
				return (say(why, size, id,
				    "has a duplicate questionId"));
		}
		if (json_flag(q, "isSecret") ||
		    json_list(q, "secretStore") != NULL)
			return (say(why, size, id, "asks for a secret, "
			    "which is not supported"));
		r = options_check(q, why, size);
		if (r < 0)
			return (r);
	}
	return (0);
}

/*
 * The label that was offered, or what was typed if that may be; gives, or NULL.
 */
static struct json_object *
value_of(struct json_object *q, const char *value, size_t len)
{
	struct json_object	*list = json_list(q, "options");
	size_t			 i, n = json_object_array_length(list), k;
	const char		*label, *s;

	for (i = 0; i < n; i++) {
		label = get_str(json_object_array_get_idx(list, i), "label");
		s = trim(label, &k);
		if (k == len && strncmp(s, value, len) == 0)
			return (json_object_new_string(label));
	}
	if (n > 0 && !json_flag(q, "isOther"))
		return (NULL);
	return (json_object_new_string_len(value, (int)len));
}

static int
answer_check(struct json_object *q, struct json_object *values,
    struct json_object **ret, char *why, size_t size)
{
	const char		*id = get_str(q, "questionId"), *s;
	struct json_object	*out, *v;
	size_t			 i, n, len;

	n = json_object_is_type(values, json_type_array) ?
	    json_object_array_length(values) : 0;
	if (n == 0)
		return (say(why, size, id, "is not answered"));
	if (n > 1 && !json_flag(q, "multiSelect"))
		return (say(why, size, id, "takes one answer"));
	out = json_object_new_array();
	for (i = 0; i < n; i++) {
		s = json_object_get_string(json_object_array_get_idx(values,
		    i));
		s = trim(s != NULL ? s : "", &len);
		v = len == 0 ? NULL : value_of(q, s, len);
		if (v == NULL) {
			json_object_put(out);
			return (say(why, size, id, len == 0 ?
			    "is not answered" : "does not offer this answer"));
		}
		(void)json_object_array_add(out, v);
	}
	*ret = out;
	return (0);
}

int
answers_check(struct json_object *list, struct json_object *map,
    struct json_object **ret_answers, char *why, size_t size)
{
	struct json_object	*out, *v, *q;
	size_t			 i, n = json_object_array_length(list);
	const char		*id;
	int			 r;

	json_object_object_foreach(map, name, value) {
		(void)value;
		for (i = 0; i < n; i++) {
			if (strcmp(name, get_str(json_object_array_get_idx(
			    list, i), "questionId")) == 0)
				break;
		}
		if (i == n)
			return (say(why, size, name,
			    "is not part of this request"));
	}
	out = json_object_new_object();
	for (i = 0; i < n; i++) {
		q = json_object_array_get_idx(list, i);
		id = get_str(q, "questionId");
		v = NULL;
		(void)json_object_object_get_ex(map, id, &v);
		r = answer_check(q, v, &v, why, size);
		if (r < 0) {
			json_object_put(out);
			return (r);
		}
		json_object_object_add(out, id, v);
	}
	*ret_answers = json_object_new_object();
	json_object_object_add(*ret_answers, "answers", out);
	return (0);
}
