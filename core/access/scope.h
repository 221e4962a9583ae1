/* SPDX-License-Identifier: MIT */
/* Roles and scopes as bits, and what implies what. Pure functions. */
#ifndef ACCESS_SCOPE_H
#define ACCESS_SCOPE_H

#include "core/base/base.h"
#include "core/base/buf.h"

#define ROLE_OPERATOR		0x1u
#define ROLE_NODE		0x2u

#define SCOPE_ADMIN		0x001u
#define SCOPE_READ		0x002u
#define SCOPE_WRITE		0x004u
#define SCOPE_APPROVALS		0x008u
#define SCOPE_QUESTIONS		0x010u
#define SCOPE_PAIRING		0x020u
#define SCOPE_TALK		0x040u
#define SCOPE_TALK_SECRETS	0x080u
#define SCOPE_SESSIONS_READ	0x100u
#define SCOPE_SESSIONS_WRITE	0x200u
#define SCOPE_COUNT		10

#define SCOPE_PREFIX		"operator."

/* The bit of "read" or "operator.read"; 0 when there is no such scope. */
uint32_t	 scope_parse(const char *name, size_t len);
/* "read"; NULL for 0 or more than one bit. */
const char	*scope_name(uint32_t bit);
/* All that a holder of these may use. */
uint32_t	 scope_closure(uint32_t held);
static inline bool
scope_covers(uint32_t closure, uint32_t needed)
{
	return ((closure & needed) == needed);
}
/* ["operator.read",...] in the table's order. */
int		 scope_json(struct buf *out, uint32_t scopes, bool has_prefix);

const char	*role_name(uint32_t role);	/* "operator", "node" */

#endif
