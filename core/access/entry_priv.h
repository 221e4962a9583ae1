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

bool	 entry_is_control_ui(const struct auth_claim *c);
bool	 entry_is_page(const struct auth_claim *c);	/* any browser client */

#endif
