/* SPDX-License-Identifier: MIT */
/* Documents changed by a merge patch, and compared. */
#ifndef CONFIG_MERGE_H
#define CONFIG_MERGE_H

#include "core/config/config.h"

#define MERGE_LOST_MAX	16	/* paths named in one refusal */

/* Asks whether entries of the array at path may be lost. */
typedef bool conf_replace_fn(const char *path, void *arg);

/*
 * Applies an RFC 7396 patch to doc, in place. Beyond the standard: arrays
 * whose elements are objects with an id merge by it, and a patch that would
 * take entries from an array, or an array away, is refused unless may_replace
 * says yes to its path ("a.b", "a.list[].b" below an element). -EPERM with one
 * issue a path.
 */
int	 conf_merge(struct json_object *doc, struct json_object *patch,
	    conf_replace_fn *may_replace, void *arg,
	    struct conf_issues *issues) must_use;

/* Calls fn for each leaf that differs; arrays are leaves. Nonzero ends it. */
typedef int conf_diff_fn(const char *path, void *arg);
int	 conf_diff(struct json_object *before, struct json_object *after,
	    conf_diff_fn *fn, void *arg);
/* The number of leaves, in which an array is one. */
size_t	 conf_leaves(struct json_object *doc);

#endif
