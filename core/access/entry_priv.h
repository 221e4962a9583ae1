/* SPDX-License-Identifier: MIT */
#ifndef ACCESS_ENTRY_PRIV_H
#define ACCESS_ENTRY_PRIV_H

#include "core/access/entry.h"

/* A write that an entry waits for; it may outlive the entry. */
struct entry_wait {
	struct entry	*e;		/* NULL: nobody cares any more */
};

void	 entry_yes(struct entry *e);
/* e->no is set. */
void	 entry_no(struct entry *e);
void	 entry_refuse(struct entry *e, const char *reason);
/* The proof is good and a credential too: is it paired? */
void	 entry_pair(struct entry *e);

/* For every way in (entry.c). */
void	 entry_init(struct entry *e);
bool	 entry_is_limited(struct entry *e, enum limit_class class);
void	 entry_count_failure(struct entry *e, enum limit_class class);
void	 entry_count_success(struct entry *e, enum limit_class class);
/* The shared secret: NULL or the reason. Its failure is not counted here. */
const char *entry_secret(struct entry *e);
/* What a proxy's cap leaves of these. */
uint32_t entry_capped(const struct entry *e, uint32_t scopes);
/* The names of a list with commas; unknown ones are no scope. */
uint32_t entry_read_scopes(const char *s);

/* Why what was shown is good no more, after a wait; or NULL. Counts nothing. */
const char *entry_lapsed(struct entry *e);

bool	 entry_is_control_ui(const struct auth_claim *c);
bool	 entry_is_page(const struct auth_claim *c);	/* any browser client */

#endif
