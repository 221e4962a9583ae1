/* SPDX-License-Identifier: MIT */
/*
 * A strict one-pass scanner of JSON text (RFC 8259). It builds nothing: it says
 * whether the text may be given to the parser, what the parser's tree will
 * cost, and where the members of a frame are. No recursion, no allocation per
 * value: the one allocation is a set of the keys of objects with more than 32
 * of them, at most 48 bytes a key, and gone with the return.
 *
 * Stricter than the standard, where the standard leaves a choice:
 *  - An object has no key twice, compared after unescaping ("\u0061" is "a").
 *  - A key holds no escaped NUL; a string value may.
 *  - An escaped surrogate comes in pairs, "\ud800" alone is refused.
 *  - A number without fraction and exponent is within +-(2^53-1), the range
 *    that every peer represents exactly; anything outside is refused, never
 *    clamped.
 *  - A number with fraction or exponent has a magnitude of at most
 *    1.7976931348623157e308 (cut after 17 digits): 1e400 is refused, it would
 *    become infinity. Underflow to zero is let through. -0 is an integer.
 *  - No byte-order mark, nothing but white space after the value.
 */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "core/base/base.h"
#include "core/base/buf.h"

#define SCAN_DEPTH_CAP	256u	/* scan_limits.depth_max above this is this */
#define SCAN_LEN_MAX	UINT32_MAX	/* a longer text is SCAN_BUDGET */
#define SCAN_INT_MAX	INT64_C(9007199254740991)	/* 2^53 - 1 */

/* What a value costs as a json-c 0.16 tree, in bytes of heap (measured). */
#define SCAN_COST_OBJECT	792u
#define SCAN_COST_ARRAY		152u
#define SCAN_COST_KEY		200u	/* and its length */
#define SCAN_COST_SCALAR	104u	/* and a string's length */

enum scan_err {
	SCAN_OK,
	SCAN_EMPTY,		/* nothing, or white space only */
	SCAN_SYNTAX,
	SCAN_UTF8,
	SCAN_DEPTH,
	SCAN_BUDGET,
	SCAN_DUP_KEY,
	SCAN_NUL_KEY,
	SCAN_NUMBER,		/* well-formed and out of range */
	SCAN_SURROGATE,
	SCAN_NOMEM,
};

/*
 * The text of a value, strings with their quotes; points into the text scanned.
 * kind: 0 absent, or '{' '[' '"' '0' (a number) 't' 'f' 'n'.
 */
struct scan_span {
	const char	*p;
	size_t		 len;
	char		 kind;
};

struct scan_limits {
	uint32_t	 depth_max;	/* open containers; 0: scalars only */
	size_t		 heap_max;	/* of SCAN_COST_*; SIZE_MAX: none */
	bool		 is_utf8_known;	/* the caller has checked it */
};

struct scan_result {
	enum scan_err	 err;
	size_t		 offset;	/* of the byte refused, or the end */
	size_t		 heap;		/* the sum up to there */
};

struct scan_frame {
	struct scan_span	 type;
	struct scan_span	 id;
	struct scan_span	 method;
	struct scan_span	 params;
	struct scan_span	 traceparent;
	struct scan_span	 profile;	/* expectedProfileId */
	struct scan_span	 unknown;	/* first other name */
	char			 root;		/* its kind, 0 on failure */
	struct scan_result	 res;
};

/* Both return 0, -EBADMSG or -ENOMEM, and fill ret in either case. */
int	 scan_json(const char *text, size_t len, const struct scan_limits *lim,
	    struct scan_result *ret);
/* Any JSON is valid; the members are filled when the root is an object. */
int	 scan_frame(const char *text, size_t len, const struct scan_limits *lim,
	    struct scan_frame *ret);
const char *scan_err_text(enum scan_err err);

/* A string that, unescaped, equals text. */
bool	 scan_span_is(const struct scan_span *s, const char *text);
/* Appends a string's unescaped bytes: 0, -EINVAL (not a string) or -ENOMEM. */
int	 scan_span_str(const struct scan_span *s, struct buf *out);

#endif
