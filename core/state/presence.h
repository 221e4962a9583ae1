/* SPDX-License-Identifier: MIT */
/* The table of who is present: bounded, ageing, merged by key. No events. */
#ifndef STATE_PRESENCE_H
#define STATE_PRESENCE_H

#include "core/base/base.h"

struct json_object;
struct presence;

struct presence	*presence_new(size_t max, uint64_t ttl_us) must_use;
struct presence	*presence_free(struct presence *p);
/*
 * Merges fields (lent) into the entry of that key, made when it is new: roles and
 * scopes are united, everything else replaced. The oldest entry leaves a full
 * table; a sticky one never leaves.
 */
int		 presence_upsert(struct presence *p, const char *key,
		    struct json_object *fields, bool is_sticky);
/* All as compact JSON array, newest first; lent until the next call. */
const char	*presence_text(struct presence *p, size_t *ret_len);
size_t		 presence_len(const struct presence *p);

#endif
