/* SPDX-License-Identifier: MIT */
/*
 * May this caller call this method? Role, then scope, then whether the method
 * exists, in the order in which a client may learn about them. Pure.
 */
#ifndef ACCESS_AUTHORIZE_H
#define ACCESS_AUTHORIZE_H

#include "core/base/base.h"

enum authorize_verdict {
	AUTHORIZE_OK,
	AUTHORIZE_ROLE,		/* this role has no such method */
	AUTHORIZE_SCOPE,	/* needed names the missing scope */
	AUTHORIZE_UNKNOWN,	/* an admin learns that it does not exist */
};

struct authorize_rule {
	uint32_t	roles;		/* ROLE_* that may call it */
	uint32_t	scope;		/* SCOPE_*, 0: the role is enough */
};

/* rule NULL: there is no such method. closure: scope_closure() of what is held. */
enum authorize_verdict authorize(uint32_t role, uint32_t closure,
    const struct authorize_rule *rule, uint32_t *ret_needed);

#endif
