/* SPDX-License-Identifier: MIT */
/*
 * The schema of the configuration: the walk along its nodes, unknown keys with
 * the nearest known one, and defaults. Values are judged by core/json/schema.
 */
#include "core/config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"

#define SCHEMA_FILE		"config.json"
#define SCHEMA_TEXT_MAX		MIB(2)
#define NEAREST_LEN_MAX		64	/* longer keys have no neighbours */
#define REF_MAX			16	/* $ref to $ref */

struct conf_schema {
	unsigned		 n_refs;
	struct json_object	*root;
};

int
conf_schema_load(const char *schema_dir, struct conf_schema **ret_schema,
    struct conf_issues *issues)
{
	struct conf_schema	*s = NULL;
	char			*path, *text = NULL;
	size_t			 len = 0;
	int			 r;

	path = file_join(schema_dir, SCHEMA_FILE);
	if (path == NULL)
		return (-ENOMEM);
	r = file_read(path, SCHEMA_TEXT_MAX, &text, &len);
	if (r < 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "schema %s cannot be read (%s)", path, strerror(-r));
		goto out;
	}
	s = calloc(1, sizeof *s);
	if (s == NULL) {
		r = -ENOMEM;
		goto out;
	}
	s->n_refs = 1;
	r = conf_text_parse(text, len, &s->root, issues);
	if (r < 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "schema %s is not valid", path);
		goto out;
	}
	*ret_schema = s;
	s = NULL;
out:
	(void)conf_schema_unref(s);
	free(text);
	free(path);
	return (r);
}

struct conf_schema *
conf_schema_ref(struct conf_schema *s)
{
	s->n_refs++;
	return (s);
}

struct conf_schema *
conf_schema_unref(struct conf_schema *s)
{
	if (s == NULL || --s->n_refs > 0)
		return (NULL);
	json_object_put(s->root);
	free(s);
	return (NULL);
}

struct json_object *
conf_schema_json(const struct conf_schema *s)
{
	return (s->root);
}

static struct json_object *
member(struct json_object *o, const char *key)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, key, &v))
		return (NULL);
	return (v);
}

struct json_object *
conf_node_root(const struct conf_schema *s)
{
	return (s->root);
}

struct json_object *
conf_node_real(const struct conf_schema *s, struct json_object *node)
{
	struct json_object	*ref;
	const char		*p;
	unsigned		 i;

	for (i = 0; i < REF_MAX && node != NULL; i++) {
		ref = member(node, "$ref");
		if (!json_object_is_type(ref, json_type_string))
			return (node);
		p = json_object_get_string(ref);
		if (strncmp(p, "#/definitions/", 14) != 0)
			return (NULL);
		node = member(member(s->root, "definitions"), p + 14);
	}
	return (NULL);
}

struct json_object *
conf_node_step(const struct conf_schema *s, struct json_object *node,
    const char *key)
{
	static const char *const branches[] = { "anyOf", "oneOf", "allOf" };
	struct json_object	*next, *list;
	size_t			 i, k;

	node = conf_node_real(s, node);
	if (node == NULL)
		return (NULL);
	if (key == NULL)
		next = member(node, "items");
	else {
		next = member(member(node, "properties"), key);
		if (next == NULL)
			next = member(node, "additionalProperties");
	}
	if (json_object_is_type(next, json_type_object))
		return (conf_node_real(s, next));
	for (i = 0; i < ARRAY_LEN(branches); i++) {
		list = member(node, branches[i]);
		if (!json_object_is_type(list, json_type_array))
			continue;
		for (k = 0; k < json_object_array_length(list); k++) {
			next = conf_node_step(s,
			    json_object_array_get_idx(list, k), key);
			if (next != NULL)
				return (next);
		}
	}
	return (NULL);
}

bool
conf_node_flag(struct json_object *node, const char *name)
{
	struct json_object	*v = member(node, name);

	return (json_object_is_type(v, json_type_boolean) &&
	    json_object_get_boolean(v));
}

int
conf_schema_add_plugin(struct conf_schema *s, const char *name,
    struct json_object *part)
{
	static const char *const way[] = { "properties", "plugins",
		"properties", "entries", "properties" };
	struct json_object	*o = s->root, *entry = NULL, *next, *general;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(way); i++) {
		next = member(o, way[i]);
		if (next == NULL) {
			next = json_object_new_object();
			if (next == NULL || !json_object_is_type(o,
			    json_type_object) ||
			    json_object_object_add(o, way[i], next) < 0) {
				json_object_put(next);
				goto fail;
			}
		}
		o = next;
	}
	/* The entry is as every other one, save that its config has a shape. */
	general = conf_node_real(s, member(member(member(member(s->root,
	    "properties"), "plugins"), "properties"), "entries"));
	general = conf_node_real(s, member(general, "additionalProperties"));
	if (general == NULL ||
	    json_object_deep_copy(general, &entry, NULL) < 0)
		goto fail;
	next = member(entry, "properties");
	if (next == NULL || json_object_object_add(next, "config", part) < 0)
		goto fail;
	part = NULL;
	if (json_object_object_add(o, name, entry) < 0)
		goto fail;
	return (0);
fail:
	json_object_put(part);
	json_object_put(entry);
	return (-EINVAL);
}

/* The number of letters to change, add or drop; case alone costs nothing. */
static unsigned
edit_distance(const char *a, const char *b)
{
	unsigned	 row[NEAREST_LEN_MAX + 1];
	unsigned	 i, k, diagonal, above, cost;
	unsigned	 n_a = (unsigned)strlen(a), n_b = (unsigned)strlen(b);

	if (n_a > NEAREST_LEN_MAX || n_b > NEAREST_LEN_MAX)
		return (UINT32_MAX);
	for (k = 0; k <= n_b; k++)
		row[k] = k;
	for (i = 1; i <= n_a; i++) {
		diagonal = row[0];
		row[0] = i;
		for (k = 1; k <= n_b; k++) {
			above = row[k];
			cost = (a[i - 1] | 0x20) != (b[k - 1] | 0x20);
			row[k] = MIN_OF(MIN_OF(row[k] + 1, row[k - 1] + 1),
			    diagonal + cost);
			diagonal = above;
		}
	}
	return (row[n_b]);
}

/* The known key that was most likely meant, or NULL. */
static const char *
nearest_key(struct json_object *properties, const char *key)
{
	const char	*best = NULL;
	unsigned	 d, best_d;

	best_d = (unsigned)strlen(key) / 3 + 2;	/* more is another word */
	if (properties == NULL)
		return (NULL);
	json_object_object_foreach(properties, known, unused) {
		(void)unused;
		d = edit_distance(key, known);
		if (d < best_d) {
			best = known;
			best_d = d;
		}
	}
	return (best);
}

struct check {
	const struct conf_schema *schema;
	struct conf_trail	 trail;
	struct conf_issues	*issues;
	unsigned		 n_bad;
};

static void	 check_unknown(struct check *c, struct json_object *node,
		    struct json_object *v);

static void
check_object(struct check *c, struct json_object *node, struct json_object *v)
{
	struct json_object	*more, *props;
	const char		*near;
	bool			 is_closed;
	size_t			 old;

	props = member(node, "properties");
	more = member(node, "additionalProperties");
	is_closed = json_object_is_type(more, json_type_boolean) &&
	    !json_object_get_boolean(more);
	json_object_object_foreach(v, key, item) {
		old = conf_trail_key(&c->trail, key);
		if (!is_closed || member(props, key) != NULL)
			check_unknown(c, conf_node_step(c->schema, node, key),
			    item);
		else {
			c->n_bad++;
			near = nearest_key(props, key);
			(void)conf_issues_add(c->issues, c->trail.text, 0, 0,
			    near == NULL ? "unknown key" :
			    "unknown key (did you mean '%s'?)", near);
		}
		conf_trail_cut(&c->trail, old);
	}
}

/*
 * Only plain objects are looked at here: in a choice (anyOf) which branch is
 * meant is the validator's to say.
 */
static void
check_unknown(struct check *c, struct json_object *node, struct json_object *v)
{
	size_t	 i, old;

	node = conf_node_real(c->schema, node);
	if (node == NULL)
		return;
	if (json_object_is_type(v, json_type_object))
		check_object(c, node, v);
	else if (json_object_is_type(v, json_type_array)) {
		for (i = 0; i < json_object_array_length(v); i++) {
			old = conf_trail_index(&c->trail, i);
			check_unknown(c, conf_node_step(c->schema, node, NULL),
			    json_object_array_get_idx(v, i));
			conf_trail_cut(&c->trail, old);
		}
	}
}

int
conf_schema_check(const struct conf_schema *s, struct json_object *doc,
    struct conf_issues *issues)
{
	struct check	 c = { .schema = s, .issues = issues };

	check_unknown(&c, s->root, doc);
	if (c.n_bad > 0)
		return (-EINVAL);
	return (0);
}

static int	 defaults_fill(const struct conf_schema *s,
		    struct json_object *node, struct json_object *v,
		    unsigned depth);

/* Gives in *ret what an absent value of the node is; NULL: stays absent. */
static int
default_value(const struct conf_schema *s, struct json_object *node,
    unsigned depth, struct json_object **ret)
{
	struct json_object	*v = member(node, "default"), *copy = NULL;
	int			 r;

	*ret = NULL;
	if (v != NULL) {
		if (json_object_deep_copy(v, &copy, NULL) < 0)
			return (-ENOMEM);
	} else if (member(node, "properties") != NULL &&
	    member(node, "required") == NULL) {
		copy = json_object_new_object();
		if (copy == NULL)
			return (-ENOMEM);
	} else
		return (0);
	r = defaults_fill(s, node, copy, depth);
	if (r < 0 || (v == NULL && json_object_object_length(copy) == 0)) {
		json_object_put(copy);
		return (r);
	}
	*ret = copy;
	return (0);
}

static int
defaults_object(const struct conf_schema *s, struct json_object *node,
    struct json_object *v, unsigned depth)
{
	struct json_object	*props = member(node, "properties");
	struct json_object	*sub, *item;
	int			 r = 0;

	json_object_object_foreach(v, key, old) {
		r = defaults_fill(s, conf_node_step(s, node, key), old,
		    depth + 1);
		if (r < 0)
			return (r);
	}
	if (props == NULL)
		return (0);
	json_object_object_foreach(props, name, prop) {
		if (json_object_object_get_ex(v, name, NULL))
			continue;
		sub = conf_node_real(s, prop);
		r = default_value(s, sub, depth + 1, &item);
		if (r == 0 && item != NULL &&
		    json_object_object_add(v, name, item) < 0) {
			json_object_put(item);
			r = -ENOMEM;
		}
		if (r < 0)
			return (r);
	}
	return (0);
}

static int
defaults_fill(const struct conf_schema *s, struct json_object *node,
    struct json_object *v, unsigned depth)
{
	size_t	 i;
	int	 r = 0;

	node = conf_node_real(s, node);
	if (node == NULL || depth > CONF_DEPTH_MAX)
		return (0);
	if (json_object_is_type(v, json_type_object))
		return (defaults_object(s, node, v, depth));
	if (!json_object_is_type(v, json_type_array))
		return (0);
	for (i = 0; r == 0 && i < json_object_array_length(v); i++)
		r = defaults_fill(s, conf_node_step(s, node, NULL),
		    json_object_array_get_idx(v, i), depth + 1);
	return (r);
}

int
conf_defaults_fill(const struct conf_schema *s, struct json_object *doc)
{
	return (defaults_fill(s, s->root, doc, 0));
}
