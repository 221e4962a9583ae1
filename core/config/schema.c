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
#include "core/json/json.h"
#include "core/json/schema.h"

#define SCHEMA_FILE		"config.json"
#define SCHEMA_MEMBER		"configuration"	/* beside the group's methods */
#define SCHEMA_TEXT_MAX		MIB(2)
#define NEAREST_LEN_MAX		64	/* longer keys have no neighbours */
#define REF_MAX			16	/* $ref to $ref */

struct conf_schema {
	unsigned		 n_refs;
	struct json_object	*root;
	struct schema		*compiled;	/* NULL: at the next check */
};

static int
schema_prepare(struct conf_schema *s, struct conf_issues *issues)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	if (s->compiled != NULL)
		return (0);
	r = schema_compile(s->root, NULL, &s->compiled, &why);
	if (r == -EINVAL)
		(void)conf_issues_add(issues, "", 0, 0, "schema: %.*s",
		    (int)why.len, why.len == 0 ? "" : why.data);
	buf_fini(&why);
	return (r);
}

int
conf_schema_load(const char *schema_dir, struct conf_schema **ret_schema,
    struct conf_issues *issues)
{
	struct conf_schema	*s = NULL;
	struct json_object	*file = NULL;
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
	r = conf_text_parse(text, len, &file, issues);
	if (r == 0) {
		s->root = json_object_get(json_get_obj(file, SCHEMA_MEMBER));
		r = s->root == NULL ? -EINVAL : schema_prepare(s, issues);
	}
	if (r < 0) {
		(void)conf_issues_add(issues, "", 0, 0,
		    "schema %s is not valid", path);
		goto out;
	}
	*ret_schema = s;
	s = NULL;
out:
	json_object_put(file);
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
	(void)schema_free(s->compiled);
	json_object_put(s->root);
	free(s);
	return (NULL);
}

struct json_object *
conf_schema_json(const struct conf_schema *s)
{
	return (s->root);
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
		ref = json_get(node, "$ref");
		if (!json_object_is_type(ref, json_type_string))
			return (node);
		p = json_object_get_string(ref);
		if (strncmp(p, "#/definitions/", 14) != 0)
			return (NULL);
		node = json_get(json_get(s->root, "definitions"), p + 14);
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
		next = json_get(node, "items");
	else {
		next = json_get(json_get(node, "properties"), key);
		if (next == NULL)
			next = json_get(node, "additionalProperties");
	}
	if (json_object_is_type(next, json_type_object))
		return (conf_node_real(s, next));
	for (i = 0; i < ARRAY_LEN(branches); i++) {
		list = json_get(node, branches[i]);
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
	struct json_object	*v = json_get(node, name);

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
		next = json_get(o, way[i]);
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
	general = conf_node_real(s, json_get(json_get(json_get(json_get(s->root,
	    "properties"), "plugins"), "properties"), "entries"));
	general = conf_node_real(s, json_get(general, "additionalProperties"));
	if (general == NULL ||
	    json_object_deep_copy(general, &entry, NULL) < 0)
		goto fail;
	next = json_get(entry, "properties");
	if (next == NULL || json_object_object_add(next, "config", part) < 0)
		goto fail;
	part = NULL;
	if (json_object_object_add(o, name, entry) < 0)
		goto fail;
	s->compiled = schema_free(s->compiled);
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

	props = json_get(node, "properties");
	more = json_get(node, "additionalProperties");
	is_closed = json_object_is_type(more, json_type_boolean) &&
	    !json_object_get_boolean(more);
	json_object_object_foreach(v, key, item) {
		old = conf_trail_key(&c->trail, key);
		if (!is_closed || json_get(props, key) != NULL)
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

/* "/agents/list/0/id" as "agents.list[0].id". */
static void
trail_from_pointer(struct conf_trail *t, const char *pointer,
    struct json_object *doc)
{
	char		 key[CONF_PATH_MAX];
	const char	*end;
	size_t		 n;

	*t = (struct conf_trail){ "", 0 };
	for (; *pointer == '/'; pointer = end) {
		pointer++;
		for (n = 0, end = pointer; *end != '\0' && *end != '/'; end++) {
			if (n == sizeof key - 1)
				break;
			key[n++] = *end;
			if (*end == '~' && (end[1] == '0' || end[1] == '1')) {
				key[n - 1] = end[1] == '0' ? '~' : '/';
				end++;
			}
		}
		key[n] = '\0';
		if (json_object_is_type(doc, json_type_array)) {
			n = (size_t)strtoul(key, NULL, 10);
			(void)conf_trail_index(t, n);
			doc = json_object_array_get_idx(doc, n);
		} else {
			(void)conf_trail_key(t, key);
			doc = json_get(doc, key);
		}
	}
}

/* The report's clauses, each as an issue. */
static int
report_issues(const struct schema_report *rep, struct json_object *doc,
    struct conf_issues *issues)
{
	const char		*p = rep->text, *next, *colon;
	struct conf_trail	 t;
	unsigned		 i;
	int			 r = 0;

	for (i = 0; r == 0 && p != NULL && i < rep->n_clauses; i++) {
		trail_from_pointer(&t, rep->paths[i], doc);
		next = strstr(p, "; at ");
		colon = strncmp(p, "at ", 3) == 0 ? strstr(p, ": ") : NULL;
		if (colon != NULL && (next == NULL || colon < next))
			p = colon + 2;
		r = conf_issues_add(issues, t.text, 0, 0, "%.*s",
		    (int)(next == NULL ? strlen(p) : (size_t)(next - p)), p);
		p = next == NULL ? NULL : next + 2;
	}
	return (r);
}

int
conf_schema_check(struct conf_schema *s, struct json_object *doc,
    struct conf_issues *issues)
{
	struct check		 c = { .schema = s, .issues = issues };
	struct schema_report	*rep;
	int			 r;

	check_unknown(&c, s->root, doc);
	if (c.n_bad > 0)
		return (-EINVAL);
	r = schema_prepare(s, issues);
	if (r < 0)
		return (r);
	rep = calloc(1, sizeof *rep);
	if (rep == NULL)
		return (-ENOMEM);
	r = schema_check(s->compiled, doc, rep);
	if (r == -EBADMSG) {
		r = report_issues(rep, doc, issues);
		if (r == 0)
			r = -EINVAL;
	}
	free(rep);
	return (r);
}

static int
warn_unused(struct check *c, struct json_object *node, struct json_object *v)
{
	size_t	 i, old;
	int	 r = 0;

	node = conf_node_real(c->schema, node);
	if (node == NULL)
		return (0);
	if (conf_node_flag(node, "x-chela-unused"))
		return (conf_issues_add(c->issues, c->trail.text, 0, 0,
		    "is known and has no effect in this gateway"));
	if (json_object_is_type(v, json_type_object)) {
		json_object_object_foreach(v, key, item) {
			old = conf_trail_key(&c->trail, key);
			r = warn_unused(c, conf_node_step(c->schema, node, key),
			    item);
			conf_trail_cut(&c->trail, old);
			if (r < 0)
				return (r);
		}
	} else if (json_object_is_type(v, json_type_array)) {
		for (i = 0; r == 0 && i < json_object_array_length(v); i++) {
			old = conf_trail_index(&c->trail, i);
			r = warn_unused(c, conf_node_step(c->schema, node,
			    NULL), json_object_array_get_idx(v, i));
			conf_trail_cut(&c->trail, old);
		}
	}
	return (r);
}

int
conf_schema_warn(const struct conf_schema *s, struct json_object *doc,
    struct conf_issues *warnings)
{
	struct check	 c = { .schema = s, .issues = warnings };

	return (warn_unused(&c, s->root, doc));
}

static int	 defaults_fill(const struct conf_schema *s,
		    struct json_object *node, struct json_object *v,
		    unsigned depth);

/* Gives in *ret what an absent value of the node is; NULL: stays absent. */
static int
default_value(const struct conf_schema *s, struct json_object *node,
    unsigned depth, struct json_object **ret)
{
	struct json_object	*v = json_get(node, "default"), *copy = NULL;
	int			 r;

	*ret = NULL;
	if (v != NULL) {
		if (json_object_deep_copy(v, &copy, NULL) < 0)
			return (-ENOMEM);
	} else if (json_get(node, "properties") != NULL &&
	    json_get(node, "required") == NULL) {
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
	struct json_object	*props = json_get(node, "properties");
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

enum conf_reload
conf_reload_kind(const struct conf_schema *s, const char *path)
{
	struct json_object	*node = s->root;
	enum conf_reload	 kind = CONF_RELOAD_RESTART;
	char			 key[CONF_PATH_MAX];
	const char		*flag;
	long			 index;

	while (conf_path_step(&path, key, &index)) {
		node = conf_node_step(s, node, index >= 0 ||
		    strcmp(key, "[]") == 0 ? NULL : key);
		if (node == NULL)
			break;
		flag = json_get_str(node, "x-chela-reload");
		if (flag == NULL)
			continue;
		kind = strcmp(flag, "none") == 0 ? CONF_RELOAD_NONE :
		    strcmp(flag, "hot") == 0 ? CONF_RELOAD_HOT :
		    CONF_RELOAD_RESTART;
	}
	return (kind);
}
