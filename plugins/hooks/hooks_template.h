/* SPDX-License-Identifier: MIT */
/* Texts of mappings with places that a request fills in. No host is needed. */
#ifndef HOOKS_TEMPLATE_H
#define HOOKS_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

#define TEMPLATE_OUT_MAX	(1024u * 1024u) /* bytes of one text */
#define TEMPLATE_INDEX_MAX	1000000u	/* of an array's element */

/* What the places name. Everything is lent; objects may be NULL. */
struct template_input {
	struct json_object	*payload;
	struct json_object	*headers;	/* names in lower case */
	struct json_object	*query;
	const char		*path;		/* below the base path */
	const char		*now;
};

/*
 * Replaces each {{expression}} by its value: nothing for what is missing, JSON
 * for objects and arrays. Gives. -EMSGSIZE: longer than TEMPLATE_OUT_MAX.
 */
int	 template_render(const char *text, const struct template_input *in,
	    char **ret_text);
/* True when there is at least one place. */
bool	 template_has_places(const char *text);

#endif
