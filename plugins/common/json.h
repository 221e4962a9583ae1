/* SPDX-License-Identifier: MIT */
/*
 * The few steps with members of JSON objects that every plugin of this tree
 * repeats. What is absent and what has another type are told apart by none of
 * them; what they return is lent.
 */
#ifndef PLUGINS_COMMON_JSON_H
#define PLUGINS_COMMON_JSON_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* NULL: none, a null, or o is no object. */
static inline struct json_object *
get_any(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object))
		return (NULL);
	(void)json_object_object_get_ex(o, name, &v);
	return (v);
}

static inline const char *
get_str(struct json_object *o, const char *name)
{
	struct json_object	*v = get_any(o, name);

	if (!json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

/* As get_str(), and an empty one is none. */
static inline const char *
get_text(struct json_object *o, const char *name)
{
	const char	*s = get_str(o, name);

	return (s != NULL && *s != '\0' ? s : NULL);
}

/* Schemas take 3.0 for an integer as well. */
static inline int64_t
get_int(struct json_object *o, const char *name, int64_t none)
{
	struct json_object	*v = get_any(o, name);

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (none);
	return (json_object_get_int64(v));
}

static inline bool
get_bool(struct json_object *o, const char *name, bool none)
{
	struct json_object	*v = get_any(o, name);

	if (!json_object_is_type(v, json_type_boolean))
		return (none);
	return (json_object_get_boolean(v) != 0);
}

/* Without a value nothing is added. */
static inline void
set_str(struct json_object *o, const char *name, const char *value)
{
	if (value != NULL)
		json_object_object_add(o, name, json_object_new_string(value));
}

static inline void
set_int(struct json_object *o, const char *name, int64_t value)
{
	json_object_object_add(o, name, json_object_new_int64(value));
}

static inline void
set_bool(struct json_object *o, const char *name, bool value)
{
	json_object_object_add(o, name, json_object_new_boolean(value));
}

/*
 * As set_..., but what is missing is a failure: they take v, and a NULL is as good
 * as no memory. 0 or -ENOMEM.
 */
static inline int
json_add(struct json_object *o, const char *name, struct json_object *v)
{
	if (v == NULL)
		return (-ENOMEM);
	if (json_object_object_add(o, name, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}

static inline int
json_add_str(struct json_object *o, const char *name, const char *s)
{
	return (json_add(o, name, json_object_new_string(s)));
}

static inline int
json_add_int(struct json_object *o, const char *name, int64_t n)
{
	return (json_add(o, name, json_object_new_int64(n)));
}

static inline int
json_add_bool(struct json_object *o, const char *name, bool b)
{
	return (json_add(o, name, json_object_new_boolean(b)));
}

static inline int
json_push(struct json_object *list, struct json_object *v)
{
	if (v == NULL)
		return (-ENOMEM);
	if (json_object_array_add(list, v) < 0) {
		json_object_put(v);
		return (-ENOMEM);
	}
	return (0);
}

#endif
