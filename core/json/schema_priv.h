/* SPDX-License-Identifier: MIT */
/*
 * The compiled tree. A node holds only the groups of keywords its schema has.
 */
#ifndef JSON_SCHEMA_PRIV_H
#define JSON_SCHEMA_PRIV_H

#include "core/json/json.h"
#include "core/json/pattern.h"
#include "core/json/schema.h"

/* Memory that is freed all at once. */
struct chunk {
	struct chunk	*next;
	size_t		 used;
	size_t		 cap;
	max_align_t	 data[];
};

struct arena {
	struct chunk	*chunks;
	size_t		 heap;
};

void	*arena_alloc(struct arena *a, size_t n);	/* zeroed, or NULL */
char	*arena_copy(struct arena *a, const char *s, size_t len); /* with NUL */
void	 arena_fini(struct arena *a);

enum node_type {
	NODE_NULL = 1 << 0,
	NODE_BOOLEAN = 1 << 1,
	NODE_INTEGER = 1 << 2,	/* a number that is whole */
	NODE_FRACTION = 1 << 3,	/* any other number */
	NODE_STRING = 1 << 4,
	NODE_ARRAY = 1 << 5,
	NODE_OBJECT = 1 << 6,
	NODE_NUMBER = NODE_INTEGER | NODE_FRACTION,
	NODE_ANY = (1 << 7) - 1,
};

/* A set of names with a hash over it; index 0..n-1 in order of addition. */
struct word {
	const char	*p;
	uint32_t	 len;
	uint32_t	 hash;
};

struct words {
	struct word	*words;
	uint16_t	*slots;		/* index + 1; NULL for a short set */
	uint32_t	 n;
	uint32_t	 mask;
};

#define WORDS_MAX	UINT16_MAX
#define WORD_NONE	UINT32_MAX

uint32_t word_hash(const char *p, size_t len);
uint32_t words_find(const struct words *w, const char *p, size_t len);

struct node_enum {		/* enum, const, and anyOf of string consts */
	struct words		  words;	/* its strings */
	struct json_object	**others;
	uint32_t		  n_others;
	bool			  is_const;
	bool			  is_any_of;
};

struct node_string {
	uint32_t	 min;
	uint32_t	 max;
	struct pattern	*pattern;
};

struct node_number {
	double	 min;
	double	 max;
	double	 above;		/* exclusiveMinimum */
	double	 below;
	double	 multiple;	/* 0: absent */
};

struct node_array {
	const struct node	 *items;	/* of all, or after tuple */
	const struct node	**tuple;
	const struct node	 *contains;
	uint32_t		  n_tuple;
	uint32_t		  min;
	uint32_t		  max;
	bool			  is_unique;
};

struct prop {
	const struct node	*node;		/* NULL: anything */
	struct json_object	*dflt;
	uint8_t			 required;	/* bit + 1; 0: no */
	bool			 is_known;	/* in `properties` */
	bool			 has_dflt;
};

struct pattern_prop {
	struct pattern		*pattern;
	const struct node	*node;
};

struct dependency {
	const char		*name;
	const char		**names;
	uint32_t		 n_names;
	const struct node	*node;
};

#define REQUIRED_BITS	64u

struct node_object {
	struct words		  names;	/* of props */
	struct prop		 *props;
	uint64_t		  required;	/* bits of props */
	const char		**more;		/* required beyond the bits */
	struct pattern_prop	 *patterns;
	const struct node	 *additional;	/* NULL: anything */
	const struct node	 *prop_names;
	struct dependency	 *deps;
	uint32_t		  n_more;
	uint32_t		  n_patterns;
	uint32_t		  n_deps;
	uint32_t		  min;
	uint32_t		  max;
	bool			  has_dflts;
};

struct node_list {
	const struct node	**nodes;
	uint32_t		  n;
};

struct node_logic {
	struct node_list	 all;
	struct node_list	 any;
	struct node_list	 one;
	const struct node	*not;
	const struct node	*cond;		/* if */
	const struct node	*then;
	const struct node	*otherwise;
};

/* There is no node for $ref: who refers points to the target. */
struct node {
	uint8_t			 types;		/* enum node_type */
	uint8_t			 mark;		/* of the search for cycles */
	struct node_enum	*enums;
	struct node_string	*string;
	struct node_number	*number;
	struct node_array	*array;
	struct node_object	*object;
	struct node_logic	*logic;
};

/* What the arena does not own. */
struct kept {
	struct kept		*next;
	struct json_object	*value;
	struct pattern		*pattern;
};

struct schema {
	const struct node	*root;
	struct kept		*kept;
	struct arena		 arena;
};

/* RFC 3986 section 5.2, without fragments; appends to out. */
int	 uri_resolve(const char *base, const char *ref, size_t ref_len,
	    struct buf *out);

#endif
