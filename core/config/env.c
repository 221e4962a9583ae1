/* SPDX-License-Identifier: MIT */
/*
 * Values of the environment in the configuration: ${NAME} in any string, and
 * {source: "env", id: "NAME"} in place of a secret.
 */
#include "core/config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/json.h"

#define ENV_NAME_MAX	256	/* bytes of a variable's name */

struct env {
	const struct conf_schema *schema;
	struct conf_trail	 trail;
	struct conf_issues	*issues;
	bool			 is_bad;
};

/* The length of the name in "${NAME}" at s, or 0 when it is not that. */
static size_t
env_name(const char *s)
{
	size_t	 n = 0;

	if (s[0] != '$' || s[1] != '{' || (s[2] >= '0' && s[2] <= '9'))
		return (0);
	while ((s[2 + n] >= 'A' && s[2 + n] <= 'Z') ||
	    (s[2 + n] >= 'a' && s[2 + n] <= 'z') ||
	    (s[2 + n] >= '0' && s[2 + n] <= '9') || s[2 + n] == '_')
		n++;
	return (s[2 + n] == '}' && n < ENV_NAME_MAX ? n : 0);
}

static const char *
env_get(struct env *e, const char *name)
{
	const char	*v = getenv(name);

	if (v != NULL && *v != '\0')
		return (v);
	(void)conf_issues_add(e->issues, e->trail.text, 0, 0,
	    "environment variable %s is not set", name);
	e->is_bad = true;
	return (NULL);
}

static int
env_string(struct env *e, const char *s, struct json_object **ret)
{
	struct buf	 b = BUF_INIT;
	char		 name[ENV_NAME_MAX];
	const char	*v;
	size_t		 n;

	while (*s != '\0') {
		if (s[0] == '$' && env_name(s + 1) > 0) {
			n = env_name(s + 1) + 3;
			(void)buf_add(&b, s + 1, n);
			s += 1 + n;
		} else if ((n = env_name(s)) > 0) {
			memcpy(name, s + 2, n);
			name[n] = '\0';
			v = env_get(e, name);
			if (v != NULL)
				(void)buf_puts(&b, v);
			s += n + 3;
		} else
			(void)buf_putc(&b, *s++);
	}
	if (!b.is_failed)
		*ret = json_object_new_string_len(b.len == 0 ? "" : b.data,
		    (int)b.len);
	else
		*ret = NULL;
	buf_fini(&b);
	return (*ret == NULL ? -ENOMEM : 0);
}

/* The variable that an object refers to, if it is a reference to one. */
static const char *
env_reference(struct json_object *v)
{
	const char	*source = json_get_str(v, "source");

	if (source == NULL || strcmp(source, "env") != 0 ||
	    json_object_object_length(v) > 2 +
	    (json_get_str(v, "provider") != NULL))
		return (NULL);
	return (json_get_str(v, "id"));
}

/*
 * Gives a copy of v in *ret; NULL stands for the JSON null, too. node is where
 * v stands in the schema, or NULL.
 */
static int
env_value(struct env *e, struct json_object *node, const char *name,
    struct json_object *v, struct json_object **ret)
{
	struct json_object	*copy = NULL, *item;
	const char		*s;
	size_t			 i, n, old;
	int			 r = 0;

	*ret = NULL;
	switch (json_object_get_type(v)) {
	case json_type_null:
		return (0);
	case json_type_string:
		if (strchr(json_object_get_string(v), '$') != NULL)
			return (env_string(e, json_object_get_string(v), ret));
		break;
	case json_type_object:
		s = env_reference(v);
		if (s != NULL && conf_is_sensitive(e->schema, node, name)) {
			s = env_get(e, s);
			*ret = json_object_new_string(s == NULL ? "" : s);
			return (*ret == NULL ? -ENOMEM : 0);
		}
		copy = json_object_new_object();
		if (copy == NULL)
			return (-ENOMEM);
		json_object_object_foreach(v, key, member) {
			old = conf_trail_key(&e->trail, key);
			if (strcmp(key, "$include") == 0) {
				(void)conf_issues_add(e->issues, e->trail.text,
				    0, 0, "$include is not supported: put "
				    "everything in one file");
				e->is_bad = true;
			}
			r = env_value(e, conf_node_step(e->schema, node, key),
			    key, member, &item);
			conf_trail_cut(&e->trail, old);
			if (r == 0 && json_object_object_add(copy, key, item)
			    < 0) {
				json_object_put(item);
				r = -ENOMEM;
			}
			if (r < 0)
				break;
		}
		break;
	case json_type_array:
		copy = json_object_new_array();
		if (copy == NULL)
			return (-ENOMEM);
		n = json_object_array_length(v);
		for (i = 0; r == 0 && i < n; i++) {
			old = conf_trail_index(&e->trail, i);
			r = env_value(e, conf_node_step(e->schema, node, NULL),
			    NULL, json_object_array_get_idx(v, i), &item);
			conf_trail_cut(&e->trail, old);
			if (r == 0 && json_object_array_add(copy, item) < 0) {
				json_object_put(item);
				r = -ENOMEM;
			}
		}
		break;
	default:
		break;
	}
	if (copy == NULL && json_object_deep_copy(v, &copy, NULL) < 0)
		return (-ENOMEM);
	if (r < 0) {
		json_object_put(copy);
		return (r);
	}
	*ret = copy;
	return (0);
}

int
conf_env_resolve(const struct conf_schema *s, struct json_object *doc,
    struct json_object **ret_doc, struct conf_issues *issues)
{
	struct env		 e = { .schema = s, .issues = issues };
	struct json_object	*copy = NULL;
	int			 r;

	r = env_value(&e, conf_node_root(s), NULL, doc, &copy);
	if (r == 0 && e.is_bad)
		r = -EINVAL;
	if (r < 0) {
		json_object_put(copy);
		return (r);
	}
	*ret_doc = copy;
	return (0);
}
