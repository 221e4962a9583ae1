/* SPDX-License-Identifier: MIT */
/*
 * Failed attempts by class and source: a sliding window, then a lockout. The
 * table is bounded; who is locked out is never pushed out of it.
 */
#ifndef ACCESS_LIMIT_H
#define ACCESS_LIMIT_H

#include "core/base/base.h"

#define LIMIT_KEYS_MAX		10000
#define LIMIT_SOURCE_SIZE	280	/* "browser-origin:" and an origin */

enum limit_class {
	LIMIT_SECRET,		/* wrong shared secrets */
	LIMIT_DEVICE,		/* wrong device tokens */
	LIMIT_BOOTSTRAP,	/* wrong setup codes */
};

struct limit_rules {
	uint32_t	max;		/* failures in the window */
	uint64_t	window_us;
	uint64_t	lockout_us;
	size_t		keys_max;
};

struct limit;

struct limit	*limit_new(const struct limit_rules *rules) must_use;
struct limit	*limit_free(struct limit *l);
/* New rules are for what comes; what is locked stays so. */
void		 limit_set(struct limit *l, const struct limit_rules *rules);
size_t		 limit_len(const struct limit *l);

/* 0, or -EDQUOT and when to come again. */
int		 limit_check(struct limit *l, enum limit_class class,
		    const char *source, uint64_t *ret_wait_us);
/* A failure; returns how many there are now in the window. */
uint32_t	 limit_failed(struct limit *l, enum limit_class class,
		    const char *source);
/* A success forgives its own class for its own source. */
void		 limit_passed(struct limit *l, enum limit_class class,
		    const char *source);

/*
 * The source that an address counts as: IPv4 as it is, mapped or not; IPv6 by
 * its first 64 bits; "unknown" for what is no address.
 */
void		 limit_source(const char *address,
		    char ret_source[LIMIT_SOURCE_SIZE]);

#endif
