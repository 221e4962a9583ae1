/* SPDX-License-Identifier: MIT */
/*
 * From a schema document to the tree. Subschemas are compiled by recursion,
 * which SCHEMA_DEPTH_MAX bounds; the targets of references from a queue, so
 * that a long chain of them is no recursion.
 */
#include "core/json/schema_compile.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REF_HOPS_MAX	64u	/* references to references */

const struct node node_true = { .types = NODE_ANY };
const struct node node_false = { .types = 0 };

static int	compile_sub(struct compile *c, struct json_object *json,
		    const struct scope *scope, const char *name, size_t index,
		    const struct node **ret);

static void
place_write(const struct place *p, struct buf *out)
{
	if (p == NULL)
		return;
	place_write(p->up, out);
	if (p->name != NULL)
		(void)buf_printf(out, "/%s", p->name);
	else
		(void)buf_printf(out, "/%zu", p->index);
}

int
compile_fail(struct compile *c, const char *fmt, ...)
{
	va_list	 ap;

	if (c->why == NULL)
		return (-EINVAL);
	(void)buf_puts(c->why, "at ");
	if (c->place == NULL)
		(void)buf_puts(c->why, "root");
	place_write(c->place, c->why);
	(void)buf_puts(c->why, ": ");
	va_start(ap, fmt);
	(void)buf_vprintf(c->why, fmt, ap);
	va_end(ap);
	return (-EINVAL);
}

static void *
keep(struct compile *c, size_t n)
{
	return (arena_alloc(&c->schema->arena, n));
}

bool
keyword(struct json_object *json, const char *name, struct json_object **ret)
{
	return (json_object_object_get_ex(json, name, ret));
}

static bool
is_schema(struct json_object *json)
{
	return (json_object_is_type(json, json_type_object) ||
	    json_object_is_type(json, json_type_boolean));
}

/*
 * Small things.
 */

static int
keep_value(struct compile *c, struct json_object *value,
    struct json_object **ret)
{
	struct kept	*k;
	int		 r;

	k = keep(c, sizeof *k);
	if (k == NULL)
		return (-ENOMEM);
	r = json_copy(value, &k->value);
	if (r < 0)
		return (r == -ENOMEM ? r : compile_fail(c, "nested too deep"));
	k->next = c->schema->kept;
	c->schema->kept = k;
	*ret = k->value;
	return (0);
}

static int
keep_pattern(struct compile *c, const char *text, size_t len,
    struct pattern **ret)
{
	struct buf	 why = BUF_INIT;
	struct kept	*k;
	int		 r;

	k = keep(c, sizeof *k);
	if (k == NULL)
		return (-ENOMEM);
	r = pattern_get(text, len, &k->pattern, &why);
	if (r == -EINVAL)
		(void)compile_fail(c, "the pattern is not usable (%.*s)",
		    (int)why.len, why.data == NULL ? "" : why.data);
	buf_fini(&why);
	if (r < 0)
		return (r);
	k->next = c->schema->kept;
	c->schema->kept = k;
	*ret = k->pattern;
	return (0);
}

/* A set from w->n words; a short one is searched without a table. */
static int
words_index(struct compile *c, struct words *w)
{
	uint32_t	 cap, i, k;

	if (w->n <= 4)
		return (0);
	for (cap = 8; cap < w->n * 2; cap *= 2)
		continue;
	w->slots = keep(c, cap * sizeof *w->slots);
	if (w->slots == NULL)
		return (-ENOMEM);
	w->mask = cap - 1;
	for (i = 0; i < w->n; i++) {
		for (k = w->words[i].hash & w->mask; w->slots[k] != 0;
		    k = (k + 1) & w->mask)
			continue;
		w->slots[k] = (uint16_t)(i + 1);
	}
	return (0);
}

static int
word_add(struct compile *c, struct words *w, const char *s, size_t len)
{
	char	*copy = arena_copy(&c->schema->arena, s, len);

	if (copy == NULL)
		return (-ENOMEM);
	w->words[w->n++] = (struct word){
		copy, (uint32_t)len, word_hash(s, len),
	};
	return (0);
}

/*
 * A count: a whole number from 0 on. Larger than any value can be: the largest.
 */
static int
compile_count(struct compile *c, struct json_object *json, const char *name,
    uint32_t *ret)
{
	struct json_object	*v;
	int64_t			 n;

	if (!keyword(json, name, &v))
		return (0);
	if (!json_is_whole(v, &n) || n < 0)
		return (compile_fail(c, "%s is no whole number from 0 on",
		    name));
	*ret = (uint32_t)MIN_OF(n, (int64_t)UINT32_MAX);
	return (0);
}

static int
compile_double(struct compile *c, struct json_object *json, const char *name,
    double *ret)
{
	struct json_object	*v;

	if (!keyword(json, name, &v))
		return (0);
	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (compile_fail(c, "%s is no number", name));
	*ret = json_object_get_double(v);
	return (0);
}

static int
compile_one(struct compile *c, struct json_object *json,
    const struct scope *scope, const char *name, const struct node **ret)
{
	struct json_object	*v;

	if (!keyword(json, name, &v))
		return (0);
	return (compile_sub(c, v, scope, name, 0, ret));
}

static int
compile_list(struct compile *c, struct json_object *json,
    const struct scope *scope, const char *name, struct node_list *ret)
{
	struct place		 place = { c->place, name, 0 };
	struct json_object	*v;
	size_t			 i, n;
	int			 r = 0;

	if (!keyword(json, name, &v))
		return (0);
	if (!json_object_is_type(v, json_type_array) ||
	    json_object_array_length(v) == 0)
		return (compile_fail(c, "%s is no list of schemas", name));
	n = json_object_array_length(v);
	ret->nodes = keep(c, n * sizeof(struct node *));
	if (ret->nodes == NULL)
		return (-ENOMEM);
	ret->n = (uint32_t)n;
	c->place = &place;
	for (i = 0; r == 0 && i < n; i++)
		r = compile_sub(c, json_object_array_get_idx(v, i), scope, NULL,
		    i, &ret->nodes[i]);
	c->place = place.up;
	return (r);
}

/*
 * Groups of keywords.
 */

static int
compile_type_name(struct compile *c, struct json_object *v, uint8_t *types)
{
	static const struct {
		const char	*name;
		uint8_t		 types;
	} names[] = {
		{ "null", NODE_NULL }, { "boolean", NODE_BOOLEAN },
		{ "integer", NODE_INTEGER }, { "number", NODE_NUMBER },
		{ "string", NODE_STRING }, { "array", NODE_ARRAY },
		{ "object", NODE_OBJECT },
	};
	size_t	 i;

	for (i = 0; json_object_is_type(v, json_type_string) &&
	    i < ARRAY_LEN(names); i++) {
		if (strcmp(json_object_get_string(v), names[i].name) == 0) {
			*types |= names[i].types;
			return (0);
		}
	}
	return (compile_fail(c, "an unknown type"));
}

static int
compile_type(struct compile *c, struct json_object *json, struct node *node)
{
	struct json_object	*v;
	size_t			 i;
	int			 r = 0;

	node->types = NODE_ANY;
	if (!keyword(json, "type", &v))
		return (0);
	node->types = 0;
	if (!json_object_is_type(v, json_type_array))
		return (compile_type_name(c, v, &node->types));
	for (i = 0; r == 0 && i < json_object_array_length(v); i++)
		r = compile_type_name(c, json_object_array_get_idx(v, i),
		    &node->types);
	return (r);
}

static int
enum_new(struct compile *c, struct node *node, size_t n_words, size_t n_others)
{
	struct node_enum	*e;

	if (n_words > WORDS_MAX)
		return (compile_fail(c, "too many values"));
	e = keep(c, sizeof *e);
	if (e == NULL)
		return (-ENOMEM);
	if (n_words > 0) {
		e->words.words = keep(c, n_words * sizeof *e->words.words);
		if (e->words.words == NULL)
			return (-ENOMEM);
	}
	if (n_others > 0) {
		e->others = keep(c, n_others * sizeof *e->others);
		if (e->others == NULL)
			return (-ENOMEM);
	}
	node->enums = e;
	return (0);
}

static int
enum_add(struct compile *c, struct node_enum *e, struct json_object *v)
{
	if (json_object_is_type(v, json_type_string))
		return (word_add(c, &e->words, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v)));
	return (keep_value(c, v, &e->others[e->n_others++]));
}

/* Both may stand in one schema; a second node_enum would serve nothing else. */
static int
compile_const_and_enum(struct compile *c, struct json_object *json,
    struct node *node)
{
	struct json_object	*v, *only, *sub;
	size_t			 i, n, n_words = 0;
	bool			 has_const;
	int			 r;

	has_const = keyword(json, "const", &only);
	if (!keyword(json, "enum", &v)) {
		n_words = json_object_is_type(only, json_type_string);
		r = enum_new(c, node, n_words, 1 - n_words);
		if (r < 0)
			return (r);
		node->enums->is_const = true;
		return (enum_add(c, node->enums, only));
	}
	if (!json_object_is_type(v, json_type_array))
		return (compile_fail(c, "enum is no list"));
	n = json_object_array_length(v);
	for (i = 0; i < n; i++) {
		sub = json_object_array_get_idx(v, i);
		n_words += json_object_is_type(sub, json_type_string);
	}
	r = enum_new(c, node, n_words, n - n_words);
	for (i = 0; r == 0 && i < n; i++) {
		sub = json_object_array_get_idx(v, i);
		if (!has_const || json_equal(sub, only))
			r = enum_add(c, node->enums, sub);
	}
	if (r == 0)
		r = words_index(c, &node->enums->words);
	return (r);
}

static int
compile_string(struct compile *c, struct json_object *json, struct node *node)
{
	struct json_object	*v;
	struct node_string	*s;
	int			 r;

	s = keep(c, sizeof *s);
	if (s == NULL)
		return (-ENOMEM);
	s->max = UINT32_MAX;
	r = compile_count(c, json, "minLength", &s->min);
	if (r == 0)
		r = compile_count(c, json, "maxLength", &s->max);
	if (r == 0 && keyword(json, "pattern", &v)) {
		if (!json_object_is_type(v, json_type_string))
			return (compile_fail(c, "pattern is no string"));
		r = keep_pattern(c, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v), &s->pattern);
	}
	node->string = s;
	return (r);
}

static int
compile_number(struct compile *c, struct json_object *json, struct node *node)
{
	struct node_number	*n;
	int			 r;

	n = keep(c, sizeof *n);
	if (n == NULL)
		return (-ENOMEM);
	n->min = n->above = -HUGE_VAL;
	n->max = n->below = HUGE_VAL;
	r = compile_double(c, json, "minimum", &n->min);
	if (r == 0)
		r = compile_double(c, json, "maximum", &n->max);
	if (r == 0)
		r = compile_double(c, json, "exclusiveMinimum", &n->above);
	if (r == 0)
		r = compile_double(c, json, "exclusiveMaximum", &n->below);
	if (r == 0)
		r = compile_double(c, json, "multipleOf", &n->multiple);
	if (r == 0 && json_has(json, "multipleOf") && !(n->multiple > 0))
		r = compile_fail(c, "multipleOf is not above 0");
	node->number = n;
	return (r);
}

static int
compile_bool(struct compile *c, struct json_object *json, const char *name,
    bool *ret)
{
	struct json_object	*v;

	if (!keyword(json, name, &v))
		return (0);
	if (!json_object_is_type(v, json_type_boolean))
		return (compile_fail(c, "%s is no boolean", name));
	*ret = json_object_get_boolean(v) != 0;
	return (0);
}

static int
compile_array(struct compile *c, struct json_object *json,
    const struct scope *scope, struct node *node)
{
	struct json_object	*v;
	struct node_array	*a;
	struct node_list	 list = { NULL, 0 };
	int			 r;

	a = keep(c, sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	node->array = a;
	a->max = UINT32_MAX;
	r = compile_count(c, json, "minItems", &a->min);
	if (r == 0)
		r = compile_count(c, json, "maxItems", &a->max);
	if (r == 0)
		r = compile_bool(c, json, "uniqueItems", &a->is_unique);
	if (r == 0)
		r = compile_one(c, json, scope, "contains", &a->contains);
	if (r < 0 || !keyword(json, "items", &v))
		return (r);	/* additionalItems means nothing then */
	if (!json_object_is_type(v, json_type_array))
		return (compile_one(c, json, scope, "items", &a->items));
	if (json_object_array_length(v) > 0)
		r = compile_list(c, json, scope, "items", &list);
	a->tuple = list.nodes;
	a->n_tuple = list.n;
	if (r == 0)
		r = compile_one(c, json, scope, "additionalItems", &a->items);
	return (r);
}

/* `required`, and names that only it has join the set. */
static int
compile_required(struct compile *c, struct json_object *list,
    struct node_object *o)
{
	struct json_object	*v;
	const char		*s;
	uint32_t		 i, at;
	unsigned		 bit = 0;
	size_t			 len, k, n = json_object_array_length(list);

	for (k = 0; k < n; k++) {
		v = json_object_array_get_idx(list, k);
		if (!json_object_is_type(v, json_type_string))
			return (compile_fail(c, "required has other than "
			    "strings"));
		s = json_object_get_string(v);
		len = (size_t)json_object_get_string_len(v);
		/* The set has no table yet. */
		at = WORD_NONE;
		for (i = 0; i < o->names.n && at == WORD_NONE; i++) {
			if (o->names.words[i].len == len &&
			    memcmp(o->names.words[i].p, s, len) == 0)
				at = i;
		}
		if (at == WORD_NONE) {
			at = o->names.n;
			if (word_add(c, &o->names, s, len) < 0)
				return (-ENOMEM);
		}
		if (o->props[at].required != 0)
			continue;
		if (bit < REQUIRED_BITS) {
			o->required |= UINT64_C(1) << bit;
			o->props[at].required = (uint8_t)++bit;
			continue;
		}
		if (o->more == NULL) {
			o->more = keep(c, n * sizeof *o->more);
			if (o->more == NULL)
				return (-ENOMEM);
		}
		o->more[o->n_more++] = o->names.words[at].p;
	}
	return (0);
}

static int
compile_props(struct compile *c, struct json_object *props,
    struct json_object *required, const struct scope *scope,
    struct node_object *o)
{
	struct place		 place = { c->place, "properties", 0 };
	struct json_object	*v;
	struct prop		*p;
	size_t			 n = 0;
	int			 r = 0;

	if (props != NULL)
		n = (size_t)json_object_object_length(props);
	if (required != NULL)
		n += json_object_array_length(required);
	if (n > WORDS_MAX)
		return (compile_fail(c, "too many properties"));
	if (n == 0)
		return (0);
	o->names.words = keep(c, n * sizeof *o->names.words);
	o->props = keep(c, n * sizeof *o->props);
	if (o->names.words == NULL || o->props == NULL)
		return (-ENOMEM);
	c->place = &place;
	if (props != NULL) {
		json_object_object_foreach(props, key, sub) {
			p = &o->props[o->names.n];
			p->is_known = true;
			r = word_add(c, &o->names, key, strlen(key));
			if (r == 0)
				r = compile_sub(c, sub, scope, key, 0,
				    &p->node);
			if (r < 0)
				break;
			if (json_object_is_type(sub, json_type_object) &&
			    keyword(sub, "default", &v)) {
				p->has_dflt = o->has_dflts = true;
				r = keep_value(c, v, &p->dflt);
				if (r < 0)
					break;
			}
		}
	}
	c->place = place.up;
	if (r == 0 && required != NULL)
		r = compile_required(c, required, o);
	if (r == 0)
		r = words_index(c, &o->names);
	return (r);
}

static int
compile_patterns(struct compile *c, struct json_object *map,
    const struct scope *scope, struct node_object *o)
{
	struct place	 place = { c->place, "patternProperties", 0 };
	size_t		 n = (size_t)json_object_object_length(map);
	int		 r = 0;

	if (n == 0)
		return (0);
	o->patterns = keep(c, n * sizeof *o->patterns);
	if (o->patterns == NULL)
		return (-ENOMEM);
	c->place = &place;
	json_object_object_foreach(map, key, sub) {
		struct pattern_prop *p = &o->patterns[o->n_patterns++];

		r = keep_pattern(c, key, strlen(key), &p->pattern);
		if (r == 0)
			r = compile_sub(c, sub, scope, key, 0, &p->node);
		if (r < 0)
			break;
	}
	c->place = place.up;
	return (r);
}

static int
compile_dependency(struct compile *c, const char *key, struct json_object *v,
    const struct scope *scope, struct dependency *d)
{
	struct json_object	*name;
	size_t			 i, n;

	d->name = arena_copy(&c->schema->arena, key, strlen(key));
	if (d->name == NULL)
		return (-ENOMEM);
	if (!json_object_is_type(v, json_type_array))
		return (compile_sub(c, v, scope, key, 0, &d->node));
	n = json_object_array_length(v);
	d->names = keep(c, n * sizeof *d->names);
	if (d->names == NULL)
		return (-ENOMEM);
	for (i = 0; i < n; i++) {
		name = json_object_array_get_idx(v, i);
		if (!json_object_is_type(name, json_type_string))
			return (compile_fail(c, "dependencies has other than "
			    "strings"));
		d->names[i] = arena_copy(&c->schema->arena,
		    json_object_get_string(name),
		    (size_t)json_object_get_string_len(name));
		if (d->names[i] == NULL)
			return (-ENOMEM);
	}
	d->n_names = (uint32_t)n;
	return (0);
}

static int
compile_deps(struct compile *c, struct json_object *map,
    const struct scope *scope, struct node_object *o)
{
	struct place	 place = { c->place, "dependencies", 0 };
	size_t		 n = (size_t)json_object_object_length(map);
	int		 r = 0;

	if (n == 0)
		return (0);
	o->deps = keep(c, n * sizeof *o->deps);
	if (o->deps == NULL)
		return (-ENOMEM);
	c->place = &place;
	json_object_object_foreach(map, key, v) {
		r = compile_dependency(c, key, v, scope, &o->deps[o->n_deps++]);
		if (r < 0)
			break;
	}
	c->place = place.up;
	return (r);
}

static int
compile_object(struct compile *c, struct json_object *json,
    const struct scope *scope, struct node *node)
{
	struct json_object	*props = NULL, *required = NULL, *v;
	struct node_object	*o;
	int			 r;

	o = keep(c, sizeof *o);
	if (o == NULL)
		return (-ENOMEM);
	node->object = o;
	o->max = UINT32_MAX;
	if (keyword(json, "properties", &props) &&
	    !json_object_is_type(props, json_type_object))
		return (compile_fail(c, "properties is no object"));
	if (keyword(json, "required", &required) &&
	    !json_object_is_type(required, json_type_array))
		return (compile_fail(c, "required is no list"));
	r = compile_count(c, json, "minProperties", &o->min);
	if (r == 0)
		r = compile_count(c, json, "maxProperties", &o->max);
	if (r == 0)
		r = compile_props(c, props, required, scope, o);
	if (r == 0)
		r = compile_one(c, json, scope, "additionalProperties",
		    &o->additional);
	if (r == 0)
		r = compile_one(c, json, scope, "propertyNames",
		    &o->prop_names);
	if (r == 0 && keyword(json, "patternProperties", &v)) {
		if (!json_object_is_type(v, json_type_object))
			return (compile_fail(c, "patternProperties is no "
			    "object"));
		r = compile_patterns(c, v, scope, o);
	}
	if (r == 0 && keyword(json, "dependencies", &v)) {
		if (!json_object_is_type(v, json_type_object))
			return (compile_fail(c, "dependencies is no object"));
		r = compile_deps(c, v, scope, o);
	}
	if (o->additional == &node_true)
		o->additional = NULL;
	return (r);
}

/* Whether a branch of anyOf is nothing but string constants. */
static size_t
branch_strings(struct json_object *json)
{
	struct json_object	*v;
	const char		*type;
	size_t			 i, n = 0;
	bool			 has_values = false;

	if (!json_object_is_type(json, json_type_object))
		return (0);
	json_object_object_foreach(json, key, sub) {
		if (strcmp(key, "const") == 0) {
			if (has_values ||
			    !json_object_is_type(sub, json_type_string))
				return (0);
			has_values = true;
			n = 1;
		} else if (strcmp(key, "enum") == 0) {
			if (has_values ||
			    !json_object_is_type(sub, json_type_array))
				return (0);
			has_values = true;
			n = json_object_array_length(sub);
			for (i = 0; i < n; i++) {
				v = json_object_array_get_idx(sub, i);
				if (!json_object_is_type(v, json_type_string))
					return (0);
			}
		} else if (strcmp(key, "type") == 0) {
			type = json_get_str(json, "type");
			if (type == NULL || strcmp(type, "string") != 0)
				return (0);
		} else if (strcmp(key, "title") != 0 &&
		    strcmp(key, "description") != 0 &&
		    strcmp(key, "deprecated") != 0 &&
		    strcmp(key, "default") != 0 &&
		    strcmp(key, "$comment") != 0)
			return (0);
	}
	return (n);
}

/*
 * anyOf with a const in each branch is how many schemas write an enum: one set
 * of words instead of a node each. Returns 1 when that was done.
 */
static int
compile_any_of_strings(struct compile *c, struct json_object *json,
    struct node *node)
{
	struct json_object	*v, *sub, *values;
	size_t			 i, k, n, n_words = 0;
	int			 r;

	if (node->enums != NULL || !keyword(json, "anyOf", &v) ||
	    !json_object_is_type(v, json_type_array))
		return (0);
	n = json_object_array_length(v);
	for (i = 0; i < n; i++) {
		k = branch_strings(json_object_array_get_idx(v, i));
		if (k == 0)
			return (0);
		n_words += k;
	}
	if (n_words == 0 || n_words > WORDS_MAX)
		return (0);
	r = enum_new(c, node, n_words, 0);
	for (i = 0; r == 0 && i < n; i++) {
		sub = json_object_array_get_idx(v, i);
		if (keyword(sub, "const", &values)) {
			r = enum_add(c, node->enums, values);
			continue;
		}
		(void)keyword(sub, "enum", &values);
		for (k = 0; r == 0 && k < json_object_array_length(values); k++)
			r = enum_add(c, node->enums,
			    json_object_array_get_idx(values, k));
	}
	if (r == 0)
		r = words_index(c, &node->enums->words);
	if (r < 0)
		return (r);
	node->enums->is_any_of = true;
	return (1);
}

static int
compile_logic(struct compile *c, struct json_object *json,
    const struct scope *scope, struct node *node)
{
	struct node_logic	 l = { .not = NULL };
	int			 r, done;

	done = compile_any_of_strings(c, json, node);
	r = MIN_OF(done, 0);
	if (r == 0 && done == 0)
		r = compile_list(c, json, scope, "anyOf", &l.any);
	if (r == 0)
		r = compile_list(c, json, scope, "allOf", &l.all);
	if (r == 0)
		r = compile_list(c, json, scope, "oneOf", &l.one);
	if (r == 0)
		r = compile_one(c, json, scope, "not", &l.not);
	if (r == 0)
		r = compile_one(c, json, scope, "if", &l.cond);
	if (r == 0)
		r = compile_one(c, json, scope, "then", &l.then);
	if (r == 0)
		r = compile_one(c, json, scope, "else", &l.otherwise);
	if (r < 0)
		return (r);
	if (l.all.n == 0 && l.any.n == 0 && l.one.n == 0 && l.not == NULL &&
	    (l.cond == NULL || (l.then == NULL && l.otherwise == NULL)))
		return (0);
	node->logic = keep(c, sizeof *node->logic);
	if (node->logic == NULL)
		return (-ENOMEM);
	*node->logic = l;
	return (0);
}

enum group {
	GROUP_ENUM = 1 << 0,
	GROUP_STRING = 1 << 1,
	GROUP_NUMBER = 1 << 2,
	GROUP_ARRAY = 1 << 3,
	GROUP_OBJECT = 1 << 4,
	GROUP_LOGIC = 1 << 5,
};

static const struct group_of {
	const char	*name;
	enum group	 group;
} groups[] = {			/* sorted by name */
	{ "additionalItems", GROUP_ARRAY },
	{ "additionalProperties", GROUP_OBJECT },
	{ "allOf", GROUP_LOGIC },
	{ "anyOf", GROUP_LOGIC },
	{ "const", GROUP_ENUM },
	{ "contains", GROUP_ARRAY },
	{ "dependencies", GROUP_OBJECT },
	{ "else", GROUP_LOGIC },
	{ "enum", GROUP_ENUM },
	{ "exclusiveMaximum", GROUP_NUMBER },
	{ "exclusiveMinimum", GROUP_NUMBER },
	{ "if", GROUP_LOGIC },
	{ "items", GROUP_ARRAY },
	{ "maxItems", GROUP_ARRAY },
	{ "maxLength", GROUP_STRING },
	{ "maxProperties", GROUP_OBJECT },
	{ "maximum", GROUP_NUMBER },
	{ "minItems", GROUP_ARRAY },
	{ "minLength", GROUP_STRING },
	{ "minProperties", GROUP_OBJECT },
	{ "minimum", GROUP_NUMBER },
	{ "multipleOf", GROUP_NUMBER },
	{ "not", GROUP_LOGIC },
	{ "oneOf", GROUP_LOGIC },
	{ "pattern", GROUP_STRING },
	{ "patternProperties", GROUP_OBJECT },
	{ "properties", GROUP_OBJECT },
	{ "propertyNames", GROUP_OBJECT },
	{ "required", GROUP_OBJECT },
	{ "then", GROUP_LOGIC },
	{ "uniqueItems", GROUP_ARRAY },
};

static int
group_cmp(const void *key, const void *member)
{
	return (strcmp(key, ((const struct group_of *)member)->name));
}

static int
compile_node(struct compile *c, struct json_object *json, struct scope scope,
    struct node *node)
{
	const struct group_of	*g;
	unsigned		 mask = 0;
	int			 r;

	r = scope_enter(c, json, &scope);
	if (r < 0)
		return (r);
	json_object_object_foreach(json, key, v) {
		(void)v;
		g = bsearch(key, groups, ARRAY_LEN(groups), sizeof groups[0],
		    group_cmp);
		if (g != NULL)
			mask |= g->group;
	}
	r = compile_type(c, json, node);
	if (r == 0 && (mask & GROUP_ENUM))
		r = compile_const_and_enum(c, json, node);
	if (r == 0 && (mask & GROUP_STRING))
		r = compile_string(c, json, node);
	if (r == 0 && (mask & GROUP_NUMBER))
		r = compile_number(c, json, node);
	if (r == 0 && (mask & GROUP_ARRAY))
		r = compile_array(c, json, &scope, node);
	if (r == 0 && (mask & GROUP_OBJECT))
		r = compile_object(c, json, &scope, node);
	if (r == 0 && (mask & GROUP_LOGIC))
		r = compile_logic(c, json, &scope, node);
	return (r);
}

/* Follows $ref to the end; json and scope become the target's. */
static int
follow_refs(struct compile *c, struct json_object **json, struct scope *scope,
    bool *ret_moved)
{
	struct json_object	*v;
	unsigned		 hops;
	int			 r;

	for (hops = 0; json_object_is_type(*json, json_type_object) &&
	    keyword(*json, "$ref", &v); hops++) {
		if (!json_object_is_type(v, json_type_string))
			return (compile_fail(c, "$ref is no string"));
		if (hops == REF_HOPS_MAX)
			return (compile_fail(c, "$ref leads to too many "
			    "others, or to itself"));
		r = ref_find(c, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v), json, scope);
		if (r == -ENOENT)
			return (compile_fail(c, "$ref '%s' is not in this "
			    "document", json_object_get_string(v)));
		if (r < 0)
			return (r);
		*ret_moved = true;
	}
	return (0);
}

/* The node of a subschema, which may come later from the queue. */
static int
compile_sub(struct compile *c, struct json_object *json,
    const struct scope *scope_in, const char *name, size_t index,
    const struct node **ret)
{
	struct place	 place = { c->place, name, index };
	struct scope	 scope = *scope_in;
	struct node	*node;
	struct todo	*todo;
	bool		 is_moved = false;
	int		 r;

	c->place = &place;
	r = follow_refs(c, &json, &scope, &is_moved);
	if (r < 0)
		goto out;
	if (!is_schema(json)) {
		r = compile_fail(c, "no schema");
		goto out;
	}
	if (json_object_is_type(json, json_type_boolean)) {
		*ret = json_object_get_boolean(json) ? &node_true : &node_false;
		goto out;
	}
	node = map_get(c->nodes, (const char *)&json, sizeof json);
	if (node != NULL) {
		*ret = node;
		goto out;
	}
	node = keep(c, sizeof *node);
	if (node == NULL || map_put(c->nodes, (const char *)&json, sizeof json,
	    node, NULL) < 0) {
		r = -ENOMEM;
		goto out;
	}
	*ret = node;
	if (is_moved) {
		todo = arena_alloc(&c->tmp, sizeof *todo);
		if (todo == NULL) {
			r = -ENOMEM;
			goto out;
		}
		*todo = (struct todo){ c->todo, node, json, scope };
		c->todo = todo;
		goto out;
	}
	if (c->depth == SCHEMA_DEPTH_MAX) {
		r = compile_fail(c, "nested too deep");
		goto out;
	}
	c->depth++;
	r = compile_node(c, json, scope, node);
	c->depth--;
out:
	c->place = place.up;
	return (r);
}

int
schema_compile(struct json_object *root, const char *pointer,
    struct schema **ret, struct buf *why)
{
	struct compile	 c = { .root = root, .why = why };
	struct scope	 scope = { "", root, "" };
	struct todo	*todo;
	int		 r;

	c.schema = calloc(1, sizeof *c.schema);
	c.nodes = map_new();
	if (c.schema == NULL || c.nodes == NULL) {
		r = -ENOMEM;
		goto out;
	}
	r = pointer_walk(&c, pointer == NULL ? "" : pointer, &root, &scope);
	if (r == 0)
		r = compile_sub(&c, root, &scope, pointer == NULL ||
		    pointer[0] == '\0' ? "" : pointer + 1, 0, &c.schema->root);
	while (r == 0 && c.todo != NULL) {
		todo = c.todo;
		c.todo = todo->next;
		r = compile_node(&c, todo->json, todo->scope, todo->node);
	}
	if (r == 0)
		r = cycles_find(&c);
	if (r == 0) {
		*ret = c.schema;
		c.schema = NULL;
	}
out:
	(void)schema_free(c.schema);
	(void)map_free(c.nodes);
	(void)map_free(c.index);
	arena_fini(&c.tmp);
	return (r);
}
