/* SPDX-License-Identifier: MIT */
/* The `default` of what a value leaves out. */
#include "core/json/schema_priv.h"

#include <errno.h>
#include <string.h>

static int	fill(const struct node *n, struct json_object *v,
		    unsigned depth, unsigned *left);

static int
fill_missing(const struct node_object *o, struct json_object *v)
{
	const struct prop	*p;
	struct json_object	*copy;
	uint32_t		 i;
	int			 r;

	for (i = 0; i < o->names.n; i++) {
		p = &o->props[i];
		if (!p->has_dflt || json_has(v, o->names.words[i].p))
			continue;
		r = json_copy(p->dflt, &copy);
		if (r < 0)
			return (r);
		if (json_object_object_add(v, o->names.words[i].p, copy) < 0) {
			json_object_put(copy);
			return (-ENOMEM);
		}
	}
	return (0);
}

/* Members by name, by pattern, and the others. */
static int
fill_members(const struct node_object *o, struct json_object *v, unsigned depth,
    unsigned *left)
{
	uint32_t	 i;
	size_t		 len;
	bool		 is_known;
	int		 r = 0;

	json_object_object_foreach(v, key, val) {
		len = strlen(key);
		i = words_find(&o->names, key, len);
		is_known = i != WORD_NONE && o->props[i].is_known;
		if (is_known && o->props[i].node != NULL)
			r = fill(o->props[i].node, val, depth, left);
		for (i = 0; r == 0 && i < o->n_patterns; i++) {
			if (pattern_match(o->patterns[i].pattern, key,
			    len) <= 0)
				continue;
			is_known = true;
			r = fill(o->patterns[i].node, val, depth, left);
		}
		if (r == 0 && !is_known && o->additional != NULL)
			r = fill(o->additional, val, depth, left);
		if (r < 0)
			return (r);
	}
	return (0);
}

static int
fill(const struct node *n, struct json_object *v, unsigned depth,
    unsigned *left)
{
	const struct node	*sub;
	size_t			 i;
	int			 r = 0;

	/* Defaults that contain each other would grow without end. */
	if (depth == SCHEMA_DEPTH_MAX || (*left)-- == 0)
		return (-ELOOP);
	if (n->logic != NULL) {
		for (i = 0; r == 0 && i < n->logic->all.n; i++)
			r = fill(n->logic->all.nodes[i], v, depth + 1, left);
	}
	if (r == 0 && n->object != NULL &&
	    json_object_is_type(v, json_type_object)) {
		r = n->object->has_dflts ? fill_missing(n->object, v) : 0;
		if (r == 0)
			r = fill_members(n->object, v, depth + 1, left);
	}
	if (n->array == NULL || !json_object_is_type(v, json_type_array))
		return (r);
	for (i = 0; r == 0 && i < json_object_array_length(v); i++) {
		sub = i < n->array->n_tuple ? n->array->tuple[i] :
		    n->array->items;
		if (sub == NULL)
			break;
		r = fill(sub, json_object_array_get_idx(v, i), depth + 1,
		    left);
	}
	return (r);
}

int
schema_fill_defaults(const struct schema *s, struct json_object *v)
{
	unsigned	 left = SCHEMA_FILL_MAX;

	return (fill(s->root, v, 0, &left));
}
