/* SPDX-License-Identifier: MIT */
/* Members of JSON objects, and the names of decisions. */
#include <string.h>

#include "asked.h"

void
set_str_or_null(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name,
	    s == NULL ? NULL : json_object_new_string(s));
}

void
set_copy(struct json_object *to, struct json_object *from, const char *name)
{
	json_object_object_add(to, name, json_object_get(get_any(from, name)));
}

static const char *const decisions[] = {
	[CHELA_ALLOW_ONCE] = "allow-once",
	[CHELA_ALLOW_ALWAYS] = "allow-always",
	[CHELA_DENY] = "deny",
};

const char *
decision_name(uint32_t decision)
{
	return (decision > CHELA_DENY ? NULL : decisions[decision]);
}

uint32_t
decision_of(const char *name)
{
	uint32_t	d;

	for (d = CHELA_ALLOW_ONCE; name != NULL && d <= CHELA_DENY; d++) {
		if (strcmp(decisions[d], name) == 0)
			return (d);
	}
	return (CHELA_DECISION_NONE);
}

struct json_object *
allowed_names(uint32_t allowed)
{
	struct json_object	*list = json_object_new_array();
	uint32_t		 d;

	for (d = CHELA_ALLOW_ONCE; d <= CHELA_DENY; d++) {
		if ((allowed & 1u << d) != 0)
			(void)json_object_array_add(list,
			    json_object_new_string(decisions[d]));
	}
	return (list);
}

int
fail_reason(struct chela_req *req, const char *reason, const char *text)
{
	struct chela_error	e = { .struct_size = sizeof e };

	e.details = json_object_new_object();
	set_str(e.details, "reason", reason);
	if (strcmp(reason, "APPROVAL_NOT_FOUND") == 0)
		set_str(e.details, "remediation",
		    "List what is pending and use an id from there.");
	return (asked.host->req_fail_with(req, ERR_BAD, &e, "%s", text));
}
