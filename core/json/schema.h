/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema draft-07, compiled: a schema document becomes a compact tree
 * once, and values are checked against it without touching the document again.
 * All keywords that check something, except references to other documents;
 * `format` and the content keywords are annotations.
 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include <json-c/json.h>

#include "core/base/base.h"
#include "core/base/buf.h"

#define SCHEMA_DEPTH_MAX	64u	/* subschemas in subschemas */
#define SCHEMA_CLAUSES_MAX	8u	/* a report tells no more failures */
#define SCHEMA_FILL_MAX		100000u	/* values that one fill looks at */
#define SCHEMA_REPORT_MAX	1024u	/* bytes of a report's text */
#define SCHEMA_NAME_MAX		64u	/* a property's name is cut here */
#define SCHEMA_PATH_MAX		128u	/* and an instance path here */
#define SCHEMA_PATTERN_MAX	4096u	/* bytes of a pattern */
#define SCHEMA_MATCH_LIMIT	100000u	/* backtracking steps of one match */
#define SCHEMA_STEPS_MAX	4000000u	/* nodes visited by one check */

struct schema;		/* read-only once compiled: any thread, any number */

/*
 * Compiles the subschema at pointer ("" or NULL: the whole; "/definitions/X")
 * of a document, and what it refers to inside the document. Keeps nothing of
 * root. Gives ret. -EINVAL: not a schema we can honour (why says what and
 * where); -ENOENT: no such pointer; -ENOMEM.
 */
int	 schema_compile(struct json_object *root, const char *pointer,
	    struct schema **ret, struct buf *why) must_use;
struct schema *schema_free(struct schema *s);	/* returns NULL */
size_t	 schema_heap(const struct schema *s);	/* bytes, less PCRE2's */

/*
 * Why a value is invalid, for its sender: clauses "at /path: must be string"
 * joined by "; ". Keep it initialised to zero before the first check.
 */
struct schema_report {
	char	 text[SCHEMA_REPORT_MAX];	/* NUL-terminated UTF-8 */
	size_t	 len;
	unsigned n_clauses;
	/* Instance paths, "" is the root; paths[i] belongs to clause i. */
	char	 paths[SCHEMA_CLAUSES_MAX][SCHEMA_PATH_MAX];
	bool	 is_limit;	/* a pattern or the check itself hit a limit */
};

/* 0: valid. -EBADMSG: invalid; rep, or NULL, is reset and filled. -ENOMEM. */
int	 schema_check(const struct schema *s, struct json_object *v,
	    struct schema_report *rep);
/*
 * Adds copies of `default` for properties that v lacks, in objects that exist
 * and in those just added. 0, -ENOMEM, or -ELOOP for defaults that add
 * themselves again; v may then have some of them.
 */
int	 schema_fill_defaults(const struct schema *s, struct json_object *v);

#endif
