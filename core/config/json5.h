/* SPDX-License-Identifier: MIT */
/*
 * JSON5 text to strict JSON text (RFC 8259). Not a parser of values: what comes
 * out still goes through the strict scanner. No I/O.
 */
#ifndef CONFIG_JSON5_H
#define CONFIG_JSON5_H

#include "core/base/buf.h"

#define JSON5_TEXT_MAX	MIB(1)		/* bytes of source text */
#define JSON5_DEPTH_MAX	64		/* objects and arrays in one another */
#define JSON5_VALUE_MAX	100000		/* values in one text */
#define JSON5_WHY_MAX	160

/* Where a text is wrong; line and col count characters from 1. */
struct json5_error {
	unsigned	 line;
	unsigned	 col;
	char		 why[JSON5_WHY_MAX];
};

/* One step down from a container: a member, or (key NULL) an element. */
struct json5_step {
	const char	*key;		/* len bytes and a NUL */
	size_t		 len;
	unsigned	 index;
};

/*
 * A value of the text and where it stands; all is lent until the call returns.
 */
struct json5_value {
	const struct json5_step	*steps;
	unsigned		 n_steps;
	unsigned		 line;		/* of the key, if it has one */
	unsigned		 col;
	size_t			 from;	/* bytes [from, to) of the text */
	size_t			 to;
	bool			 is_string;
	const char		*str;	/* what it says, str_len bytes */
	size_t			 str_len;
	bool			 is_comment;	/* steps mean nothing then */
};

/*
 * Called after a value and all in it, and for each comment; of those that hold
 * no others, in the order of the text. Nonzero ends the visit.
 */
typedef int json5_visit_fn(const struct json5_value *value, void *arg);

/*
 * Appends the strict form to out. Returns 0; -EINVAL with ret_error filled in;
 * -E2BIG for a limit (also filled in); -ENOMEM. On failure out holds a part.
 */
int	 json5_to_json(const char *text, size_t len, struct buf *out,
	    struct json5_error *ret_error) must_use;

/* Visits every value of a valid text. The first nonzero of fn, or an error. */
int	 json5_visit(const char *text, size_t len, json5_visit_fn *fn,
	    void *arg) must_use;

#endif
