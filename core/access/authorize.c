/* SPDX-License-Identifier: MIT */
#include "core/access/authorize.h"

#include "core/access/scope.h"

enum authorize_verdict
authorize(uint32_t role, uint32_t closure, const struct authorize_rule *rule,
    uint32_t *ret_needed)
{
	uint32_t	 needed;

	*ret_needed = 0;
	if (rule == NULL ? role != ROLE_OPERATOR : (rule->roles & role) == 0)
		return (AUTHORIZE_ROLE);
	/* Nodes are not bound by scopes; a method that is missing needs admin. */
	if (role == ROLE_NODE)
		return (AUTHORIZE_OK);
	needed = rule == NULL ? SCOPE_ADMIN : rule->scope;
	if (!scope_covers(closure, needed)) {
		*ret_needed = needed;
		return (AUTHORIZE_SCOPE);
	}
	return (rule == NULL ? AUTHORIZE_UNKNOWN : AUTHORIZE_OK);
}
