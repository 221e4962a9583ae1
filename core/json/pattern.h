/* SPDX-License-Identifier: MIT */
/*
 * Regular expressions as JSON Schema means them, ECMA-262 with the u flag, on
 * top of PCRE2: the pattern is rewritten, because the two disagree about \d \w
 * \s \b . and $. Not for patterns from peers: compiling has limits, but not on
 * time.
 */
#ifndef JSON_PATTERN_H
#define JSON_PATTERN_H

#include "core/base/base.h"
#include "core/base/buf.h"

struct pattern;		/* read-only, shared: a text is compiled once */

/*
 * Gives a reference. -EINVAL with why filled (which may be NULL): not a
 * pattern, or one that PCRE2 cannot do (a lookbehind of variable length).
 * -ENOMEM.
 */
int	 pattern_get(const char *text, size_t len, struct pattern **ret,
	    struct buf *why) must_use;
struct pattern *pattern_put(struct pattern *p);	/* returns NULL */
/* For messages. */
const char *pattern_text(const struct pattern *p, size_t *ret_len);

/*
 * 1: somewhere in s. 0: not. -E2BIG: a limit was hit, the answer is unknown.
 * -EBADMSG: s is not UTF-8. -ENOMEM.
 */
int	 pattern_match(const struct pattern *p, const char *s, size_t len);

/* The rewritten pattern; for its test. */
int	 pattern_rewrite(const char *text, size_t len, struct buf *out,
	    struct buf *why);

#endif
