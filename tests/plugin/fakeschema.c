/* SPDX-License-Identifier: MIT */
/* Params, results and payloads of the fake host against the schema files. */
#include "tests/plugin/fakehost_priv.h"

#include <stdio.h>
#include <string.h>

/*
 * The outer layer alone: the members that must be there, and those that may.
 */
bool
fake_schema_ok(struct chela_ctx *ctx, const char *part, const char *name,
    const char *kind, struct json_object *o, char *why, size_t why_size)
{
	struct json_object	*s = NULL, *props, *a, *v;
	const char		*key;
	size_t			 i;

	why[0] = '\0';
	if (ctx->schema == NULL ||
	    !json_object_object_get_ex(ctx->schema, part, &s) ||
	    !json_object_object_get_ex(s, name, &s) ||
	    !json_object_object_get_ex(s, kind, &s) ||
	    !json_object_is_type(s, json_type_object) ||
	    !json_object_is_type(o, json_type_object))
		return (true);
	a = json_object_object_get(s, "required");
	for (i = 0; a != NULL && i < json_object_array_length(a); i++) {
		key = json_object_get_string(json_object_array_get_idx(a, i));
		if (!json_object_object_get_ex(o, key, NULL)) {
			(void)snprintf(why, why_size,
			    "must have required property '%s'", key);
			return (false);
		}
	}
	v = json_object_object_get(s, "additionalProperties");
	if (!json_object_is_type(v, json_type_boolean) ||
	    json_object_get_boolean(v))
		return (true);
	props = json_object_object_get(s, "properties");
	json_object_object_foreach(o, k, val) {
		(void)val;
		if (!json_object_object_get_ex(props, k, NULL)) {
			(void)snprintf(why, why_size,
			    "at root: unexpected property '%s'", k);
			return (false);
		}
	}
	return (true);
}
