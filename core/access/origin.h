/* SPDX-License-Identifier: MIT */
/* Which web pages may connect: the Origin rules (RFC 6454; wire.md section 6). */
#ifndef ACCESS_ORIGIN_H
#define ACCESS_ORIGIN_H

#include "core/base/base.h"

struct origin_rules {
	const char *const	*allowed;	/* lower case, or "*" */
	size_t			 n_allowed;
	bool			 has_host_fallback;	/* origin host == Host */
};

/* NULL: accepted; else the reason. origin and host may be NULL (not sent). */
const char *origin_problem(const struct origin_rules *rules, const char *origin,
    const char *host, bool is_direct_local);

#endif
