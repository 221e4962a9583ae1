/* SPDX-License-Identifier: MIT */
/*
 * A value against the tree. First without words: most values are valid. When
 * one is not and its sender is to be told why, it is walked again, and each
 * failure adds a clause, in the order of the keywords and of the schema's
 * properties.
 */
#include "core/json/schema_priv.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/utf8.h"

#define CHECK_DEPTH_MAX	1024u	/* nodes on the stack */
#define UNIQUE_SMALL	16u	/* so many items are compared in pairs */
#define CLAUSE_MAX	512u

/* The way to the value being checked. */
struct at {
	const struct at	*up;
	const char	*name;
	size_t		 index;		/* when name is NULL */
};

struct check {
	struct schema_report	*rep;	/* NULL: the first failure ends it */
	const struct at		*at;
	unsigned		 depth;
	uint32_t		 steps;
	bool			 is_limit;
	bool			 is_nomem;
};

static bool	check_node(struct check *c, const struct node *n,
		    struct json_object *v);

/*
 * The report.
 */

/* Bytes into an array, silently cut at its end. */
struct text {
	char	*p;
	size_t	 len;
	size_t	 cap;
};

static void
text_add(struct text *t, const char *s, size_t len)
{
	len = MIN_OF(len, t->cap - t->len);
	memcpy(t->p + t->len, s, len);
	t->len += len;
}

static void
text_puts(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

/* A name that a peer chose: cut, and without control characters. */
static void
text_name(struct text *t, const char *s, bool is_path)
{
	size_t	 len = strlen(s), i;
	char	 esc[8];

	len = utf8_cut(s, len, SCHEMA_NAME_MAX);
	for (i = 0; i < len; i++) {
		unsigned char ch = (unsigned char)s[i];

		if (ch < 0x20 || ch == 0x7f) {
			(void)snprintf(esc, sizeof esc, "\\u%04x", ch);
			text_puts(t, esc);
		} else if (ch == 0xc2 && (unsigned char)s[i + 1] < 0xa0) {
			ch = (unsigned char)s[++i];
			(void)snprintf(esc, sizeof esc, "\\u%04x", ch);
			text_puts(t, esc);
		} else if (is_path && ch == '~')
			text_puts(t, "~0");
		else if (is_path && ch == '/')
			text_puts(t, "~1");
		else
			text_add(t, s + i, 1);
	}
	if (s[len] != '\0')
		text_puts(t, "...");
}

static void
text_at(struct text *t, const struct at *at)
{
	char	 tmp[24];

	if (at == NULL)
		return;
	text_at(t, at->up);
	text_puts(t, "/");
	if (at->name != NULL) {
		text_name(t, at->name, true);
		return;
	}
	(void)snprintf(tmp, sizeof tmp, "%zu", at->index);
	text_puts(t, tmp);
}

/* Whether the report has the clause already: branches often fail alike. */
static bool
report_has(const struct schema_report *rep, const char *clause, size_t len)
{
	const char	*p = rep->text, *end = rep->text + rep->len, *next;

	while (p < end) {
		next = memmem(p, (size_t)(end - p), "; ", 2);
		if (next == NULL)
			next = end;
		if ((size_t)(next - p) == len && memcmp(p, clause, len) == 0)
			return (true);
		p = next + 2;
	}
	return (false);
}

static bool
report_is_full(const struct schema_report *rep)
{
	return (rep->n_clauses == SCHEMA_CLAUSES_MAX ||
	    rep->len == sizeof rep->text - 1);
}

/* prefix is for the root, where "at /path: " would be for a member. */
static void
report_add(struct check *c, const char *prefix, const char *msg)
{
	struct schema_report	*rep = c->rep;
	char			 clause[CLAUSE_MAX];
	struct text		 t = { clause, 0, sizeof clause };
	struct text		 path, whole;

	if (report_is_full(rep))
		return;
	if (c->at != NULL) {
		text_puts(&t, "at ");
		text_at(&t, c->at);
		text_puts(&t, ": ");
	} else
		text_puts(&t, prefix);
	text_puts(&t, msg);
	t.len = utf8_cut(clause, t.len, t.len == sizeof clause ?
	    sizeof clause - 1 : t.len);
	if (report_has(rep, clause, t.len))
		return;

	path = (struct text){ rep->paths[rep->n_clauses], 0,
	    sizeof rep->paths[0] };
	text_at(&path, c->at);
	if (path.len == path.cap)
		path.len = utf8_cut(path.p, path.len, path.cap - 1);
	path.p[path.len] = '\0';
	rep->n_clauses++;

	whole = (struct text){ rep->text, rep->len, sizeof rep->text };
	if (rep->len > 0)
		text_puts(&whole, "; ");
	text_add(&whole, clause, t.len);
	if (whole.len == whole.cap) {
		/* No room for the NUL: full, and said so by the length. */
		rep->len = sizeof rep->text - 1;
		whole.len = utf8_cut(rep->text, whole.len, whole.cap - 1);
		memset(rep->text + whole.len, '.', rep->len - whole.len);
	} else
		rep->len = whole.len;
	rep->text[rep->len] = '\0';
}

static void printf_like(2, 3)
report(struct check *c, const char *fmt, ...)
{
	char	 msg[CLAUSE_MAX];
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof msg)
		msg[utf8_cut(msg, sizeof msg - 1, sizeof msg - 2)] = '\0';
	report_add(c, "", msg);
}

/* fmt has one %s, for a name from outside. */
static void
report_name(struct check *c, const char *prefix, const char *before,
    const char *name)
{
	char		 msg[CLAUSE_MAX];
	struct text	 t = { msg, 0, sizeof msg - 1 };

	text_puts(&t, before);
	text_puts(&t, " '");
	text_name(&t, name, false);
	text_puts(&t, "'");
	msg[t.len] = '\0';
	report_add(c, prefix, msg);
}

static void
report_number(struct check *c, const char *what, double limit)
{
	struct buf	 b = BUF_INIT;

	(void)json_write_double(&b, limit);
	report(c, "%s %.*s", what, (int)b.len, b.data == NULL ? "" : b.data);
	buf_fini(&b);
}

/* In a check that returns whether all is well so far. */
#define FAIL(call) do { \
	if (c->rep == NULL) \
		return (false); \
	call; \
	ok = false; \
} while (0)

/*
 * Values.
 */

static bool
check_quiet(struct check *c, const struct node *n, struct json_object *v)
{
	struct schema_report	*rep = c->rep;
	bool			 ok;

	c->rep = NULL;
	ok = check_node(c, n, v);
	c->rep = rep;
	return (ok);
}

static bool
check_part(struct check *c, const struct node *n, struct json_object *v,
    const char *name, size_t index)
{
	struct at	 at = { c->at, name, index };
	bool		 ok;

	c->at = &at;
	ok = check_node(c, n, v);
	c->at = at.up;
	return (ok);
}

static bool
check_pattern(struct check *c, const struct pattern *p, const char *s,
    size_t len)
{
	int	 r = pattern_match(p, s, len);

	if (r == -E2BIG)
		c->is_limit = true;
	else if (r == -ENOMEM)
		c->is_nomem = true;
	return (r > 0);
}

static bool
check_enum(struct check *c, const struct node_enum *e, struct json_object *v)
{
	uint32_t	 i;
	bool		 ok = true;

	if (json_object_is_type(v, json_type_string)) {
		if (words_find(&e->words, json_object_get_string(v),
		    (size_t)json_object_get_string_len(v)) != WORD_NONE)
			return (true);
	} else {
		for (i = 0; i < e->n_others; i++) {
			if (json_equal(e->others[i], v))
				return (true);
		}
	}
	if (e->is_any_of) {
		FAIL(report(c, "must be equal to constant"));
		report(c, "must match a schema in anyOf");
		return (ok);
	}
	FAIL(report(c, e->is_const ? "must be equal to constant" :
	    "must be equal to one of the allowed values"));
	return (ok);
}

/* UTF-8 characters; a byte that goes on with one is none. */
static size_t
code_points(const char *s, size_t len)
{
	size_t	 i, n = 0;

	for (i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xc0) != 0x80;
	return (n);
}

static bool
check_string(struct check *c, const struct node_string *n, const char *s,
    size_t len)
{
	const char	*text;
	size_t		 chars = len, text_len;
	bool		 ok = true;

	/* A character has one byte to four: most lengths need no counting. */
	if (len > n->max || (len >= n->min && n->min > 1 &&
	    len / 4 < n->min))
		chars = code_points(s, len);
	if (chars < n->min)
		FAIL(report(c, "must not have fewer than %u characters",
		    n->min));
	if (chars > n->max)
		FAIL(report(c, "must not have more than %u characters",
		    n->max));
	if (n->pattern != NULL && !check_pattern(c, n->pattern, s, len)) {
		text = pattern_text(n->pattern, &text_len);
		FAIL(report(c, "must match pattern \"%.*s\"",
		    (int)utf8_cut(text, text_len, 128), text));
	}
	return (ok);
}

static bool
check_number(struct check *c, const struct node_number *n, double d)
{
	double	 q;
	bool	 ok = true;

	if (d < n->min)
		FAIL(report_number(c, "must be >=", n->min));
	if (d > n->max)
		FAIL(report_number(c, "must be <=", n->max));
	if (d <= n->above && n->above != -HUGE_VAL)
		FAIL(report_number(c, "must be >", n->above));
	if (d >= n->below && n->below != HUGE_VAL)
		FAIL(report_number(c, "must be <", n->below));
	if (n->multiple != 0) {
		/* By division, as the peers' validators do it. */
		q = d / n->multiple;
		if (!(fabs(q) < 1e21) || q != trunc(q))
			FAIL(report_number(c, "must be multiple of",
			    n->multiple));
	}
	return (ok);
}

/* Items by hash; the seed is drawn here, so nobody can have prepared for it. */
static bool
is_unique_large(struct check *c, struct json_object *v, size_t n)
{
	uint64_t	 seed[2], *hash = NULL;
	uint32_t	*slots = NULL;
	size_t		 cap = 64, i, k;
	bool		 ok = false;

	while (cap < n * 2)
		cap *= 2;
	hash = calloc(n, sizeof *hash);
	slots = calloc(cap, sizeof *slots);
	if (hash == NULL || slots == NULL || n >= UINT32_MAX ||
	    getrandom(seed, sizeof seed, 0) != sizeof seed) {
		c->is_nomem = true;
		goto out;
	}
	for (i = 0; i < n; i++) {
		hash[i] = json_hash(json_object_array_get_idx(v, i), seed);
		for (k = hash[i] & (cap - 1); slots[k] != 0;
		    k = (k + 1) & (cap - 1)) {
			if (hash[slots[k] - 1] == hash[i] &&
			    json_equal(json_object_array_get_idx(v,
			    slots[k] - 1), json_object_array_get_idx(v, i)))
				goto out;
		}
		slots[k] = (uint32_t)i + 1;
	}
	ok = true;
out:
	free(hash);
	free(slots);
	return (ok);
}

static bool
is_unique(struct check *c, struct json_object *v, size_t n)
{
	size_t	 i, k;

	if (n > UNIQUE_SMALL)
		return (is_unique_large(c, v, n));
	for (i = 1; i < n; i++) {
		for (k = 0; k < i; k++) {
			if (json_equal(json_object_array_get_idx(v, i),
			    json_object_array_get_idx(v, k)))
				return (false);
		}
	}
	return (true);
}

static bool
check_array(struct check *c, const struct node_array *a, struct json_object *v)
{
	const struct node	*sub;
	size_t			 n = json_object_array_length(v), i;
	bool			 ok = true, has = false;

	if (a->contains != NULL) {
		for (i = 0; i < n && !has; i++)
			has = check_quiet(c, a->contains,
			    json_object_array_get_idx(v, i));
		if (!has)
			FAIL(report(c, "must contain at least 1 valid item"));
	}
	for (i = 0; i < n; i++) {
		sub = i < a->n_tuple ? a->tuple[i] : a->items;
		if (sub == NULL)
			break;
		if (check_part(c, sub, json_object_array_get_idx(v, i), NULL,
		    i))
			continue;
		if (c->rep == NULL || report_is_full(c->rep))
			return (false);
		ok = false;
	}
	if (n < a->min)
		FAIL(report(c, "must not have fewer than %u items", a->min));
	if (n > a->max)
		FAIL(report(c, "must not have more than %u items", a->max));
	if (a->is_unique && !is_unique(c, v, n))
		FAIL(report(c, "must not have duplicate items"));
	return (ok);
}

/* One member, without a word about those that should not be there. */
static bool
check_member(struct check *c, const struct node_object *o, const char *key,
    struct json_object *v, uint64_t *seen, bool *ret_known)
{
	const struct prop	*p;
	size_t			 len = strlen(key);
	uint32_t		 i;
	bool			 ok = true, is_known = false;

	*ret_known = false;
	i = words_find(&o->names, key, len);
	if (i != WORD_NONE) {
		p = &o->props[i];
		if (p->required != 0)
			*seen |= UINT64_C(1) << (p->required - 1);
		*ret_known = is_known = p->is_known;
		/* The report has taken these in the schema's order. */
		if (p->node != NULL && c->rep == NULL &&
		    !check_part(c, p->node, v, key, 0))
			return (false);
	}
	for (i = 0; i < o->n_patterns; i++) {
		if (!check_pattern(c, o->patterns[i].pattern, key, len)) {
			if (c->is_limit || c->is_nomem)
				return (false);
			continue;
		}
		is_known = true;
		ok &= check_part(c, o->patterns[i].node, v, key, 0);
	}
	if (!is_known && o->additional != NULL) {
		if (o->additional->types != 0)
			ok &= check_part(c, o->additional, v, key, 0);
		else if (c->rep == NULL)
			ok = false;
	}
	*ret_known = is_known;
	return (ok);
}

static void
report_missing(struct check *c, const struct node_object *o, uint64_t missing,
    struct json_object *v)
{
	unsigned	 bit;
	uint32_t	 i;

	if (missing != 0) {
		bit = (unsigned)__builtin_ctzll(missing);
		for (i = 0; i < o->names.n; i++) {
			if (o->props[i].required == bit + 1) {
				report_name(c, "", "must have required "
				    "property", o->names.words[i].p);
				return;
			}
		}
	}
	for (i = 0; i < o->n_more; i++) {
		if (!json_has(v, o->more[i])) {
			report_name(c, "", "must have required property",
			    o->more[i]);
			return;
		}
	}
}

/* What is missing, the first that is too many, and each known member. */
static bool
report_members(struct check *c, const struct node_object *o,
    struct json_object *v)
{
	struct schema_report	*rep = c->rep;
	struct json_object	*sub;
	const char		*unexpected = NULL;
	uint64_t		 seen = 0;
	uint32_t		 i;
	bool			 is_known, ok = true;

	c->rep = NULL;
	json_object_object_foreach(v, key, val) {
		(void)check_member(c, o, key, val, &seen, &is_known);
		if (!is_known && unexpected == NULL &&
		    o->additional != NULL && o->additional->types == 0)
			unexpected = key;
	}
	c->rep = rep;
	report_missing(c, o, o->required & ~seen, v);
	if (unexpected != NULL)
		report_name(c, "at root: ", "unexpected property", unexpected);
	for (i = 0; i < o->names.n; i++) {
		if (o->props[i].node == NULL ||
		    !json_object_object_get_ex(v, o->names.words[i].p, &sub))
			continue;
		ok &= check_part(c, o->props[i].node, sub,
		    o->names.words[i].p, 0);
	}
	json_object_object_foreach(v, key2, val2) {
		if (report_is_full(rep))
			break;
		ok &= check_member(c, o, key2, val2, &seen, &is_known);
	}
	return (ok && unexpected == NULL && (o->required & ~seen) == 0);
}

static bool
check_names(struct check *c, const struct node *n, struct json_object *v)
{
	struct json_object	*name;
	bool			 ok = true, is_good;

	json_object_object_foreach(v, key, val) {
		(void)val;
		name = json_object_new_string(key);
		if (name == NULL) {
			c->is_nomem = true;
			return (false);
		}
		is_good = check_quiet(c, n, name);
		json_object_put(name);
		if (!is_good)
			FAIL(report_name(c, "", "must not have a property "
			    "named", key));
	}
	return (ok);
}

static bool
check_deps(struct check *c, const struct node_object *o, struct json_object *v)
{
	const struct dependency	*d;
	uint32_t		 i, k;
	bool			 ok = true;

	for (i = 0; i < o->n_deps; i++) {
		d = &o->deps[i];
		if (!json_has(v, d->name))
			continue;
		if (d->node != NULL) {
			ok &= check_node(c, d->node, v);
			if (!ok && c->rep == NULL)
				return (false);
		}
		for (k = 0; k < d->n_names; k++) {
			if (!json_has(v, d->names[k]))
				FAIL(report(c, "must have property '%s' when "
				    "property '%s' is present", d->names[k],
				    d->name));
		}
	}
	return (ok);
}

static bool
check_object(struct check *c, const struct node_object *o,
    struct json_object *v)
{
	uint64_t	 seen = 0;
	uint32_t	 i, n;
	bool		 ok = true, is_known;

	if (c->rep != NULL) {
		ok = report_members(c, o, v);
	} else {
		json_object_object_foreach(v, key, val) {
			if (!check_member(c, o, key, val, &seen, &is_known))
				return (false);
		}
		if ((o->required & ~seen) != 0)
			return (false);
	}
	for (i = 0; i < o->n_more; i++) {
		if (!json_has(v, o->more[i]))
			FAIL((void)0);
	}
	n = (uint32_t)json_object_object_length(v);
	if (n < o->min)
		FAIL(report(c, "must not have fewer than %u properties",
		    o->min));
	if (n > o->max)
		FAIL(report(c, "must not have more than %u properties",
		    o->max));
	if (o->prop_names != NULL && !check_names(c, o->prop_names, v))
		FAIL((void)0);
	if (o->n_deps > 0 && !check_deps(c, o, v))
		FAIL((void)0);
	return (ok);
}

static bool
check_any(struct check *c, const struct node_list *l, struct json_object *v)
{
	uint32_t	 i;

	for (i = 0; i < l->n; i++) {
		if (check_quiet(c, l->nodes[i], v))
			return (true);
	}
	if (c->rep == NULL)
		return (false);
	for (i = 0; i < l->n && !report_is_full(c->rep); i++)
		(void)check_node(c, l->nodes[i], v);
	report(c, "must match a schema in anyOf");
	return (false);
}

static bool
check_one(struct check *c, const struct node_list *l, struct json_object *v)
{
	uint32_t	 i, n = 0;
	bool		 ok = true;

	for (i = 0; i < l->n && n < 2; i++)
		n += check_quiet(c, l->nodes[i], v);
	if (n == 1)
		return (true);
	if (n == 0 && c->rep != NULL) {
		for (i = 0; i < l->n && !report_is_full(c->rep); i++)
			(void)check_node(c, l->nodes[i], v);
	}
	FAIL(report(c, "must match exactly one schema in oneOf"));
	return (ok);
}

static bool
check_logic(struct check *c, const struct node_logic *l, struct json_object *v)
{
	uint32_t	 i;
	bool		 ok = true;

	for (i = 0; i < l->all.n; i++) {
		if (!check_node(c, l->all.nodes[i], v))
			FAIL((void)0);
	}
	if (l->any.n > 0 && !check_any(c, &l->any, v))
		FAIL((void)0);
	if (l->one.n > 0 && !check_one(c, &l->one, v))
		FAIL((void)0);
	if (l->not != NULL && check_quiet(c, l->not, v))
		FAIL(report(c, "must not be valid"));
	if (l->cond == NULL)
		return (ok);
	if (check_quiet(c, l->cond, v)) {
		if (l->then != NULL && !check_node(c, l->then, v))
			FAIL(report(c, "must have required conditional "
			    "properties"));
	} else if (l->otherwise != NULL && !check_node(c, l->otherwise, v))
		FAIL(report(c, "must match \"else\" schema"));
	return (ok);
}

static const struct {
	uint8_t		 types;
	const char	*name;
} type_names[] = {
	{ NODE_STRING, "string" }, { NODE_NUMBER, "number" },
	{ NODE_INTEGER, "integer" }, { NODE_BOOLEAN, "boolean" },
	{ NODE_OBJECT, "object" }, { NODE_ARRAY, "array" },
	{ NODE_NULL, "null" },
};

static void
report_type(struct check *c, uint8_t types)
{
	char		 msg[128];
	struct text	 t = { msg, 0, sizeof msg - 1 };
	const char	*between = "must be ";
	size_t		 i;

	if (types == 0) {
		report(c, "schema is false");
		return;
	}
	for (i = 0; i < ARRAY_LEN(type_names); i++) {
		if (types == type_names[i].types) {
			report(c, "must be %s", type_names[i].name);
			return;
		}
	}
	between = "must be either ";
	for (i = 0; i < ARRAY_LEN(type_names); i++) {
		if ((types & type_names[i].types) != type_names[i].types)
			continue;
		text_puts(&t, between);
		text_puts(&t, type_names[i].name);
		types &= (uint8_t)~type_names[i].types;
		between = " or ";
	}
	msg[t.len] = '\0';
	report(c, "%s", msg);
}

static bool
check_node_deep(struct check *c, const struct node *n, struct json_object *v)
{
	double	 d;
	uint8_t	 type = NODE_NULL;
	bool	 ok = true;

	switch (json_object_get_type(v)) {
	case json_type_null:
		break;
	case json_type_boolean:
		type = NODE_BOOLEAN;
		break;
	case json_type_int:
		type = NODE_INTEGER;
		break;
	case json_type_double:
		d = json_object_get_double(v);
		type = isfinite(d) && d == trunc(d) ? NODE_INTEGER :
		    NODE_FRACTION;
		break;
	case json_type_string:
		type = NODE_STRING;
		break;
	case json_type_array:
		type = NODE_ARRAY;
		break;
	case json_type_object:
		type = NODE_OBJECT;
		break;
	}
	if ((n->types & type) == 0) {
		FAIL(report_type(c, n->types));
		return (ok);
	}
	if (n->enums != NULL && !check_enum(c, n->enums, v))
		FAIL((void)0);
	switch (type) {
	case NODE_STRING:
		if (n->string != NULL && !check_string(c, n->string,
		    json_object_get_string(v),
		    (size_t)json_object_get_string_len(v)))
			FAIL((void)0);
		break;
	case NODE_INTEGER:
	case NODE_FRACTION:
		if (n->number != NULL && !check_number(c, n->number,
		    json_object_get_double(v)))
			FAIL((void)0);
		break;
	case NODE_ARRAY:
		if (n->array != NULL && !check_array(c, n->array, v))
			FAIL((void)0);
		break;
	case NODE_OBJECT:
		if (n->object != NULL && !check_object(c, n->object, v))
			FAIL((void)0);
		break;
	default:
		break;
	}
	if (n->logic != NULL && !check_logic(c, n->logic, v))
		FAIL((void)0);
	return (ok);
}

static bool
check_node(struct check *c, const struct node *n, struct json_object *v)
{
	bool	 ok;

	if (unlikely(c->depth == CHECK_DEPTH_MAX ||
	    c->steps == SCHEMA_STEPS_MAX || c->is_nomem)) {
		c->is_limit = !c->is_nomem;
		if (c->rep != NULL)
			report(c, "is too complex to be checked");
		return (false);
	}
	c->depth++;
	c->steps++;
	ok = check_node_deep(c, n, v);
	c->depth--;
	return (ok);
}

int
schema_check(const struct schema *s, struct json_object *v,
    struct schema_report *rep)
{
	struct check	 c = { .rep = NULL };
	bool		 ok;

	if (rep != NULL) {
		rep->text[0] = '\0';
		rep->len = 0;
		rep->n_clauses = 0;
		rep->is_limit = false;
	}
	/*
	 * An answer that a limit cut short is worth nothing under a `not`: then
	 * the value is invalid whatever came out.
	 */
	ok = check_node(&c, s->root, v) && !c.is_limit;
	if (c.is_nomem)
		return (-ENOMEM);
	if (ok)
		return (0);
	if (rep == NULL)
		return (-EBADMSG);
	rep->is_limit = c.is_limit;
	c.rep = rep;
	c.steps = 0;
	(void)check_node(&c, s->root, v);
	if (rep->n_clauses == 0)
		report(&c, "is too complex to be checked");
	return (c.is_nomem ? -ENOMEM : -EBADMSG);
}
