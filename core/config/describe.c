/* SPDX-License-Identifier: MIT */
/* The schema as clients see it: whole, with hints, or one path of it. */
#include "core/config/live_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/json/json.h"

#define HINT_MAX	4096	/* hints of one answer */

static const char *
kind_name(enum conf_reload kind)
{
	switch (kind) {
	case CONF_RELOAD_NONE:
		return ("none");
	case CONF_RELOAD_HOT:
		return ("hot");
	default:
		return ("restart");
	}
}

/* The words about a node; NULL in *ret: there are none. */
static int
hint_new(const struct conf_schema *s, struct json_object *node, const char *key,
    struct json_object **ret)
{
	const char		*title = json_get_str(node, "title");
	const char		*help = json_get_str(node, "description");
	bool			 is_secret = conf_is_sensitive(s, node, key);
	struct json_object	*o;

	*ret = NULL;
	if (title == NULL && help == NULL && !is_secret)
		return (0);
	o = json_object_new_object();
	if (o == NULL)
		return (-ENOMEM);
	if ((title != NULL && json_add_str(o, "label", title) < 0) ||
	    (help != NULL && *help != '\0' &&
	    json_add_str(o, "help", help) < 0) ||
	    (is_secret && json_add_bool(o, "sensitive", true) < 0) ||
	    (conf_node_flag(node, "x-chela-unused") &&
	    json_add_bool(o, "advanced", true) < 0)) {
		json_object_put(o);
		return (-ENOMEM);
	}
	*ret = o;
	return (0);
}

static int
hints_add(const struct conf_schema *s, struct json_object *node,
    struct conf_trail *t, struct json_object *hints, unsigned depth)
{
	struct json_object	*props, *sub, *hint, *next;
	size_t			 old;
	int			 r = 0;

	node = conf_node_real(s, node);
	if (node == NULL || depth > CONF_DEPTH_MAX ||
	    json_object_object_length(hints) >= HINT_MAX)
		return (0);
	props = json_get_obj(node, "properties");
	if (props != NULL) {
		json_object_object_foreach(props, key, prop) {
			sub = conf_node_real(s, prop);
			old = conf_trail_key(t, key);
			r = hint_new(s, sub, key, &hint);
			if (r == 0 && hint != NULL)
				r = json_add(hints, t->text, hint);
			if (r == 0)
				r = hints_add(s, sub, t, hints, depth + 1);
			conf_trail_cut(t, old);
			if (r < 0)
				return (r);
		}
	}
	next = json_get_obj(node, "additionalProperties");
	if (next != NULL) {
		old = conf_trail_key(t, "*");
		r = hints_add(s, next, t, hints, depth + 1);
		conf_trail_cut(t, old);
	}
	next = json_get_obj(node, "items");
	if (r == 0 && next != NULL) {
		old = conf_trail_add(t, "[]");
		r = hints_add(s, next, t, hints, depth + 1);
		conf_trail_cut(t, old);
	}
	return (r);
}

int
conf_describe(const struct conf_schema *s, const char *version,
    struct json_object **ret)
{
	struct json_object	*o = json_object_new_object(), *hints, *copy;
	struct conf_trail	 t = { "", 0 };
	char			 text[32];
	time_t			 now = (time_t)(clock_wall_ms() / 1000);
	struct tm		 tm = { 0 };
	int			 r;

	hints = json_object_new_object();
	if (o == NULL || hints == NULL) {
		json_object_put(o);
		json_object_put(hints);
		return (-ENOMEM);
	}
	(void)gmtime_r(&now, &tm);
	(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
	r = hints_add(s, conf_node_root(s), &t, hints, 0);
	if (r == 0) {
		r = json_copy(conf_schema_json(s), &copy);
		if (r == 0)
			r = json_add(o, "schema", copy);
	}
	if (r < 0)
		json_object_put(hints);
	else
		r = json_add(o, "uiHints", hints);
	if (r == 0)
		r = json_add_str(o, "version", version);
	if (r == 0)
		r = json_add_str(o, "generatedAt", text);
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	*ret = o;
	return (0);
}

/* A node without what is below it, and without our own keywords. */
static int
shallow(struct json_object *node, struct json_object **ret)
{
	static const char *const deep[] = { "properties", "items",
		"additionalProperties", "definitions", "patternProperties",
		"required", "$schema" };
	struct json_object	*o = json_object_new_object(), *copy;
	size_t			 i;
	int			 r = 0;

	if (o == NULL)
		return (-ENOMEM);
	json_object_object_foreach(node, key, v) {
		for (i = 0; i < ARRAY_LEN(deep); i++) {
			if (strcmp(key, deep[i]) == 0)
				break;
		}
		if (strncmp(key, "x-chela-", 8) == 0 || (i < ARRAY_LEN(deep) &&
		    !(json_object_is_type(v, json_type_boolean))))
			continue;
		r = json_copy(v, &copy);
		if (r == 0)
			r = json_add(o, key, copy);
		if (r < 0) {
			json_object_put(o);
			return (r);
		}
	}
	*ret = o;
	return (0);
}

static bool
is_required(struct json_object *node, const char *key)
{
	struct json_object	*list = json_get_arr(node, "required");
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), key) == 0)
			return (true);
	}
	return (false);
}

static int
child_add(const struct conf_schema *s, struct json_object *parent,
    const char *key, struct json_object *node, struct conf_trail *t,
    struct json_object *list)
{
	struct json_object	*o = json_object_new_object(), *type, *hint;
	bool			 has_more;
	int			 r;

	node = conf_node_real(s, node);
	type = json_get(node, "type");
	has_more = json_get_obj(node, "properties") != NULL ||
	    json_get_obj(node, "additionalProperties") != NULL ||
	    json_get_obj(node, "items") != NULL;
	r = json_add_str(o, "key", key);
	if (r == 0)
		r = json_add_str(o, "path", t->text);
	if (r == 0 && type != NULL)
		r = json_add(o, "type", json_object_get(type));
	if (r == 0)
		r = json_add_bool(o, "required", is_required(parent, key));
	if (r == 0)
		r = json_add_bool(o, "hasChildren", has_more);
	if (r == 0)
		r = json_add_str(o, "reloadKind",
		    kind_name(conf_reload_kind(s, t->text)));
	if (r == 0)
		r = hint_new(s, node, key, &hint);
	if (r == 0 && hint != NULL) {
		r = json_add(o, "hint", hint);
		if (r == 0)
			r = json_add_str(o, "hintPath", t->text);
	}
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	return (json_push(list, o));
}

static int
children_add(const struct conf_schema *s, struct json_object *node,
    struct conf_trail *t, struct json_object *list)
{
	struct json_object	*props = json_get_obj(node, "properties");
	struct json_object	*more;
	size_t			 old;
	int			 r = 0;

	if (props != NULL) {
		json_object_object_foreach(props, key, prop) {
			old = conf_trail_key(t, key);
			r = child_add(s, node, key, prop, t, list);
			conf_trail_cut(t, old);
			if (r < 0)
				return (r);
		}
	}
	more = json_get_obj(node, "additionalProperties");
	if (more != NULL) {
		old = conf_trail_key(t, "*");
		r = child_add(s, node, "*", more, t, list);
		conf_trail_cut(t, old);
	}
	more = json_get_obj(node, "items");
	if (r == 0 && more != NULL) {
		old = conf_trail_add(t, "[]");
		r = child_add(s, node, "[]", more, t, list);
		conf_trail_cut(t, old);
	}
	return (r);
}

/*
 * The node at a path; ret_key gets its last key. "." alone is the root.
 */
static struct json_object *
node_find(const struct conf_schema *s, const char *path,
    struct conf_trail *ret_trail, char ret_key[CONF_PATH_MAX])
{
	struct json_object	*node = conf_node_root(s);
	long			 index;

	ret_key[0] = '\0';
	if (strcmp(path, ".") == 0)
		return (node);
	while (node != NULL && conf_path_step(&path, ret_key, &index)) {
		if (index >= 0 || strcmp(ret_key, "[]") == 0) {
			(void)conf_trail_add(ret_trail, "[]");
			node = conf_node_step(s, node, NULL);
		} else {
			(void)conf_trail_key(ret_trail, ret_key);
			node = conf_node_step(s, node, ret_key);
		}
	}
	return (node);
}

int
conf_describe_path(const struct conf_schema *s, const char *path,
    struct json_object **ret)
{
	struct conf_trail	 t = { "", 0 };
	char			 key[CONF_PATH_MAX];
	struct json_object	*node, *o, *list, *schema, *hint;
	int			 r;

	node = node_find(s, path, &t, key);
	if (node == NULL)
		return (-ENOENT);
	o = json_object_new_object();
	r = o == NULL ? -ENOMEM : json_add_str(o, "path", path);
	if (r == 0)
		r = shallow(node, &schema);
	if (r == 0)
		r = json_add(o, "schema", schema);
	if (r == 0)
		r = json_add_str(o, "reloadKind",
		    kind_name(conf_reload_kind(s, t.text)));
	if (r == 0)
		r = hint_new(s, node, key, &hint);
	if (r == 0 && hint != NULL) {
		r = json_add(o, "hint", hint);
		if (r == 0)
			r = json_add_str(o, "hintPath", *t.text == '\0' ? path :
			    t.text);
	}
	if (r == 0) {
		list = json_object_new_array();
		r = list == NULL ? -ENOMEM : children_add(s, node, &t, list);
		if (r == 0)
			r = json_add(o, "children", list);
		else
			json_object_put(list);
	}
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	*ret = o;
	return (0);
}
