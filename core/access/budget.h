/* SPDX-License-Identifier: MIT */
/* So many acts in a window of time for each key; a bounded table of keys. */
#ifndef ACCESS_BUDGET_H
#define ACCESS_BUDGET_H

#include "core/base/base.h"

struct budget;

struct budget	*budget_new(uint32_t max, uint64_t window_us, size_t keys_max)
		    must_use;
struct budget	*budget_free(struct budget *b);
/* Counts one act. 0, or -EDQUOT and how long until the window ends. */
int		 budget_take(struct budget *b, const char *key, size_t len,
		    uint64_t *ret_wait_us);

#endif
