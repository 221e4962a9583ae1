/* SPDX-License-Identifier: MIT */
/*
 * Where references of a schema lead: base URIs, pointers, and the search for
 * schemas that would apply themselves to a value without end.
 */
#include "core/json/schema_compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CYCLE_DEPTH_MAX	256u	/* schemas applied to one value in a row */

int
scope_enter(struct compile *c, struct json_object *json, struct scope *scope)
{
	struct buf	 uri = BUF_INIT;
	const char	*id, *base;
	size_t		 len;
	int		 r;

	id = json_get_strn(json, "$id", &len);
	if (id == NULL || id[0] == '#' || json_has(json, "$ref"))
		return (0);
	r = uri_resolve(scope->base, id, len, &uri);
	base = r < 0 ? NULL : arena_copy(&c->tmp, uri.data, uri.len);
	buf_fini(&uri);
	if (base == NULL)
		return (-ENOMEM);
	*scope = (struct scope){ base, json, scope->base };
	return (0);
}

/* Where subschemas are; what is in an enum or an unknown keyword is not one. */
enum shape { SHAPE_ONE, SHAPE_LIST, SHAPE_ONE_OR_LIST, SHAPE_MAP };

static const struct {
	const char	*name;
	enum shape	 shape;
} holders[] = {
	{ "additionalItems", SHAPE_ONE }, { "additionalProperties", SHAPE_ONE },
	{ "allOf", SHAPE_LIST }, { "anyOf", SHAPE_LIST },
	{ "contains", SHAPE_ONE }, { "definitions", SHAPE_MAP },
	{ "dependencies", SHAPE_MAP }, { "else", SHAPE_ONE },
	{ "if", SHAPE_ONE }, { "items", SHAPE_ONE_OR_LIST },
	{ "not", SHAPE_ONE }, { "oneOf", SHAPE_LIST },
	{ "patternProperties", SHAPE_MAP }, { "properties", SHAPE_MAP },
	{ "propertyNames", SHAPE_ONE }, { "then", SHAPE_ONE },
};

static int
index_add(struct compile *c, const char *uri, size_t len,
    struct json_object *json, const struct scope *scope)
{
	struct entry	*e;

	/* The first wins; two with one name are an error nobody can repair. */
	if (map_get(c->index, uri, len) != NULL)
		return (0);
	e = arena_alloc(&c->tmp, sizeof *e);
	if (e == NULL)
		return (-ENOMEM);
	*e = (struct entry){ json, *scope };
	return (map_put(c->index, uri, len, e, NULL));
}

static int
index_walk(struct compile *c, struct json_object *json, struct scope scope,
    unsigned depth)
{
	const struct scope	 outer = scope;
	struct json_object	*v;
	struct buf		 uri = BUF_INIT;
	const char		*id;
	size_t			 i, k, len;
	int			 r;

	if (!json_object_is_type(json, json_type_object))
		return (0);
	if (depth > JSON_DEPTH_MAX)
		return (compile_fail(c, "nested too deep"));
	r = scope_enter(c, json, &scope);
	if (r < 0)
		return (r);
	if (scope.resource == json)
		r = index_add(c, scope.base, strlen(scope.base), json, &outer);
	id = json_get_strn(json, "$id", &len);
	if (r == 0 && id != NULL && id[0] == '#' && !json_has(json, "$ref")) {
		(void)buf_puts(&uri, scope.base);
		r = buf_add(&uri, id, len);
		if (r == 0)
			r = index_add(c, uri.data, uri.len, json, &outer);
		buf_fini(&uri);
	}
	for (i = 0; r == 0 && i < ARRAY_LEN(holders); i++) {
		if (!keyword(json, holders[i].name, &v))
			continue;
		if (json_object_is_type(v, json_type_array) &&
		    (holders[i].shape == SHAPE_LIST ||
		    holders[i].shape == SHAPE_ONE_OR_LIST)) {
			for (k = 0; r == 0 && k < json_object_array_length(v);
			    k++)
				r = index_walk(c,
				    json_object_array_get_idx(v, k), scope,
				    depth + 1);
		} else if (json_object_is_type(v, json_type_object) &&
		    holders[i].shape == SHAPE_MAP) {
			json_object_object_foreach(v, key, sub) {
				(void)key;
				if (r == 0)
					r = index_walk(c, sub, scope,
					    depth + 1);
			}
		} else if (holders[i].shape == SHAPE_ONE ||
		    holders[i].shape == SHAPE_ONE_OR_LIST)
			r = index_walk(c, v, scope, depth + 1);
	}
	return (r);
}

/* Built when the first reference leaves its own resource: most never do. */
static int
index_find(struct compile *c, const char *uri, size_t len, struct entry **ret)
{
	struct scope	 scope = { "", c->root, "" };
	int		 r;

	if (c->index == NULL) {
		c->index = map_new();
		if (c->index == NULL)
			return (-ENOMEM);
		r = index_add(c, "", 0, c->root, &scope);
		if (r == 0)
			r = index_walk(c, c->root, scope, 0);
		if (r < 0)
			return (r);
	}
	*ret = map_get(c->index, uri, len);
	return (*ret == NULL ? -ENOENT : 0);
}

/* One token of a JSON pointer, unescaped in place. */
static void
pointer_unescape(char *s)
{
	char	*w = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '~' && (s[1] == '0' || s[1] == '1'))
			*w++ = *++s == '0' ? '~' : '/';
		else
			*w++ = *s;
	}
	*w = '\0';
}

int
pointer_walk(struct compile *c, const char *pointer, struct json_object **json,
    struct scope *scope)
{
	struct json_object	*v = *json;
	const char		*end;
	char			*token, *rest;
	size_t			 i;
	int			 r;

	while (*pointer != '\0') {
		if (*pointer != '/')
			return (-ENOENT);
		end = strchrnul(++pointer, '/');
		token = arena_copy(&c->tmp, pointer, (size_t)(end - pointer));
		if (token == NULL)
			return (-ENOMEM);
		pointer_unescape(token);
		pointer = end;
		r = scope_enter(c, v, scope);
		if (r < 0)
			return (r);
		if (json_object_is_type(v, json_type_array)) {
			i = strtoul(token, &rest, 10);
			if (token[0] < '0' || token[0] > '9' || *rest != '\0' ||
			    i >= json_object_array_length(v))
				return (-ENOENT);
			v = json_object_array_get_idx(v, i);
		} else if (!json_object_is_type(v, json_type_object) ||
		    !keyword(v, token, &v))
			return (-ENOENT);
	}
	*json = v;
	return (0);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

/* In place. */
static void
percent_decode(char *s)
{
	char	*w = s;

	for (; *s != '\0'; s++) {
		if (*s == '%' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0) {
			*w++ = (char)(hex_value(s[1]) << 4 | hex_value(s[2]));
			s += 2;
		} else
			*w++ = *s;
	}
	*w = '\0';
}

int
ref_find(struct compile *c, const char *ref, size_t len,
    struct json_object **json, struct scope *scope)
{
	struct buf	 uri = BUF_INIT;
	struct entry	*e = NULL;
	const char	*hash;
	char		*fragment;
	int		 r;

	hash = memchr(ref, '#', len);
	fragment = hash == NULL ? arena_copy(&c->tmp, "", 0) :
	    arena_copy(&c->tmp, hash + 1, len - (size_t)(hash + 1 - ref));
	if (fragment == NULL)
		return (-ENOMEM);
	percent_decode(fragment);
	r = uri_resolve(scope->base, ref, len, &uri);
	if (r < 0)
		goto out;
	if (fragment[0] != '\0' && fragment[0] != '/') {
		(void)buf_putc(&uri, '#');
		r = buf_puts(&uri, fragment);
		if (r == 0)
			r = index_find(c, uri.data, uri.len, &e);
		fragment[0] = '\0';
	} else if (uri.len != strlen(scope->base) || (uri.len > 0 &&
	    memcmp(uri.data, scope->base, uri.len) != 0))
		r = index_find(c, uri.data, uri.len, &e);
	if (r < 0)
		goto out;
	if (e != NULL) {
		*json = e->json;
		*scope = e->scope;
	} else {
		*json = scope->resource;
		scope->base = scope->outer;
	}
	r = pointer_walk(c, fragment, json, scope);
out:
	buf_fini(&uri);
	return (r);
}

/*
 * A schema that applies itself to the same value again would never end. All
 * other ways down take a part of the value, which does end.
 */
static int cycle_find(struct node *node, unsigned depth);

static int
cycle_list(const struct node_list *l, unsigned depth)
{
	uint32_t	 i;
	int		 r = 0;

	for (i = 0; r == 0 && i < l->n; i++)
		r = cycle_find((struct node *)(uintptr_t)l->nodes[i], depth);
	return (r);
}

enum { MARK_NEW, MARK_OPEN, MARK_DONE };

static int
cycle_find(struct node *node, unsigned depth)
{
	const struct node_logic	*l;
	const struct node	*one[4];
	uint32_t		 i;
	int			 r = 0;

	if (node == NULL || node == &node_true || node == &node_false ||
	    node->mark == MARK_DONE)
		return (0);
	if (node->mark == MARK_OPEN || depth == CYCLE_DEPTH_MAX)
		return (-ELOOP);
	node->mark = MARK_OPEN;
	l = node->logic;
	if (l != NULL) {
		one[0] = l->not;
		one[1] = l->cond;
		one[2] = l->then;
		one[3] = l->otherwise;
		for (i = 0; r == 0 && i < ARRAY_LEN(one); i++)
			r = cycle_find((struct node *)(uintptr_t)one[i],
			    depth + 1);
		if (r == 0)
			r = cycle_list(&l->all, depth + 1);
		if (r == 0)
			r = cycle_list(&l->any, depth + 1);
		if (r == 0)
			r = cycle_list(&l->one, depth + 1);
	}
	for (i = 0; r == 0 && node->object != NULL && i < node->object->n_deps;
	    i++)
		r = cycle_find((struct node *)(uintptr_t)
		    node->object->deps[i].node, depth + 1);
	node->mark = MARK_DONE;
	return (r);
}

int
cycles_find(struct compile *c)
{
	const char	*key;
	size_t		 pos = 0, len;
	void		*node;

	while (map_next(c->nodes, &pos, &key, &len, &node)) {
		if (cycle_find(node, 0) < 0)
			return (compile_fail(c, "a schema applies itself to "
			    "the same value without end"));
	}
	return (0);
}
