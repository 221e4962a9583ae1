/* SPDX-License-Identifier: MIT */
/* What the files of the compiler share while it runs. */
#ifndef JSON_SCHEMA_COMPILE_H
#define JSON_SCHEMA_COMPILE_H

#include "core/base/map.h"
#include "core/json/schema_priv.h"

/* Where a subschema is: what its references are relative to. */
struct scope {
	const char		*base;		/* URI without fragment */
	struct json_object	*resource;	/* whose URI that is */
	const char		*outer;		/* the base around it */
};

/* A schema with an $id; scope is the one around it. */
struct entry {
	struct json_object	*json;
	struct scope		 scope;
};

struct todo {
	struct todo		*next;
	struct node		*node;
	struct json_object	*json;
	struct scope		 scope;
};

/* The way to a subschema, for messages. */
struct place {
	const struct place	*up;
	const char		*name;
	size_t			 index;		/* when name is NULL */
};

struct compile {
	struct schema		*schema;
	struct json_object	*root;
	struct arena		 tmp;
	struct map		*nodes;		/* JSON's address -> node */
	struct map		*index;		/* URI -> struct entry */
	struct todo		*todo;
	const struct place	*place;
	unsigned		 depth;
	struct buf		*why;
};

/* Boolean schemas. */
extern const struct node node_true;
extern const struct node node_false;

/* Says where and why; returns -EINVAL. */
int	 compile_fail(struct compile *c, const char *fmt, ...)
	    printf_like(2, 3);
/* A keyword that is absent and one that is null are different things. */
bool	 keyword(struct json_object *json, const char *name,
	    struct json_object **ret);

/*
 * The scope inside a subschema: an $id changes it, unless a $ref is beside it.
 */
int	 scope_enter(struct compile *c, struct json_object *json,
	    struct scope *scope);
/*
 * Goes down a JSON pointer ("" or "/a/b"); scope is the one around json, and
 * then the one around what was found. -ENOENT: nothing there.
 */
int	 pointer_walk(struct compile *c, const char *pointer,
	    struct json_object **json, struct scope *scope);
/* The target of a $ref, and the scope around it. -ENOENT as above. */
int	 ref_find(struct compile *c, const char *ref, size_t len,
	    struct json_object **json, struct scope *scope);
/* 0, or -EINVAL as by compile_fail(). */
int	 cycles_find(struct compile *c);

#endif
