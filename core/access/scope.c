/* SPDX-License-Identifier: MIT */
#include "core/access/scope.h"

#include <string.h>

static const struct {
	const char	*name;
	uint32_t	 bit;
	uint32_t	 implies;
} scopes[SCOPE_COUNT] = {
	{ "admin", SCOPE_ADMIN, (1u << SCOPE_COUNT) - 1 },
	{ "read", SCOPE_READ, SCOPE_SESSIONS_READ },
	{ "write", SCOPE_WRITE, SCOPE_READ | SCOPE_TALK | SCOPE_SESSIONS_READ |
	    SCOPE_SESSIONS_WRITE },
	{ "approvals", SCOPE_APPROVALS, 0 },
	{ "questions", SCOPE_QUESTIONS, 0 },
	{ "pairing", SCOPE_PAIRING, 0 },
	{ "talk", SCOPE_TALK, 0 },
	{ "talk.secrets", SCOPE_TALK_SECRETS, 0 },
	{ "sessions.read", SCOPE_SESSIONS_READ, 0 },
	{ "sessions.write", SCOPE_SESSIONS_WRITE, SCOPE_SESSIONS_READ },
};

uint32_t
scope_parse(const char *name, size_t len)
{
	const size_t	 prefix = sizeof SCOPE_PREFIX - 1;
	size_t		 i;

	if (len > prefix && memcmp(name, SCOPE_PREFIX, prefix) == 0) {
		name += prefix;
		len -= prefix;
	}
	for (i = 0; i < SCOPE_COUNT; i++) {
		if (strlen(scopes[i].name) == len &&
		    memcmp(scopes[i].name, name, len) == 0)
			return (scopes[i].bit);
	}
	return (0);
}

const char *
scope_name(uint32_t bit)
{
	size_t	 i;

	for (i = 0; i < SCOPE_COUNT; i++) {
		if (scopes[i].bit == bit)
			return (scopes[i].name);
	}
	return (NULL);
}

uint32_t
scope_closure(uint32_t held)
{
	uint32_t	 all = held;
	size_t		 i;

	for (i = 0; i < SCOPE_COUNT; i++) {
		if ((held & scopes[i].bit) != 0)
			all |= scopes[i].implies;
	}
	return (all);
}

int
scope_json(struct buf *out, uint32_t held, bool has_prefix)
{
	const char	*sep = "";
	size_t		 i;

	(void)buf_putc(out, '[');
	for (i = 0; i < SCOPE_COUNT; i++) {
		if ((held & scopes[i].bit) == 0)
			continue;
		(void)buf_printf(out, "%s\"%s%s\"", sep,
		    has_prefix ? SCOPE_PREFIX : "", scopes[i].name);
		sep = ",";
	}
	return (buf_putc(out, ']'));
}

const char *
role_name(uint32_t role)
{
	return (role == ROLE_NODE ? "node" : "operator");
}
