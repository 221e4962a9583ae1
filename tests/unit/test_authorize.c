/* SPDX-License-Identifier: MIT */
#include "core/access/authorize.h"

#include <stdio.h>
#include <string.h>

#include "core/access/origin.h"
#include "core/access/scope.h"
#include "core/access/secret.h"
#include "tests/unit/cu.h"

static uint32_t
bit(const char *name)
{
	return (scope_parse(name, strlen(name)));
}

static void
names_are_exact(void)
{
	CU_ASSERT(bit("read") == SCOPE_READ);
	CU_ASSERT(bit("operator.read") == SCOPE_READ);
	CU_ASSERT(bit("operator.talk.secrets") == SCOPE_TALK_SECRETS);
	CU_ASSERT(bit("READ") == 0);
	CU_ASSERT(bit("operator.") == 0);
	CU_ASSERT(bit("operator.operator.read") == 0);
	CU_ASSERT(bit("readx") == 0);
	CU_ASSERT(bit("") == 0);
}

/* AB-058: every scope that may be held, against every scope that may be asked. */
static void
implications_are_the_table_of_the_protocol(void)
{
	static const char *const names[] = { "admin", "read", "write",
	    "approvals", "questions", "pairing", "talk", "talk.secrets",
	    "sessions.read", "sessions.write" };
	/* Row: held; column: asked; in the order of names. */
	static const char *const want[] = {
		"1111111111",	/* admin */
		"0100000010",	/* read */
		"0110001011",	/* write */
		"0001000000",	/* approvals */
		"0000100000",	/* questions */
		"0000010000",	/* pairing */
		"0000001000",	/* talk */
		"0000000100",	/* talk.secrets */
		"0000000010",	/* sessions.read */
		"0000000011",	/* sessions.write */
	};
	struct authorize_rule	 rule = { ROLE_OPERATOR, 0 };
	uint32_t		 needed;
	size_t			 i, j;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		for (j = 0; j < ARRAY_LEN(names); j++) {
			rule.scope = bit(names[j]);
			CU_ASSERT(authorize(ROLE_OPERATOR,
			    scope_closure(bit(names[i])), &rule, &needed) ==
			    (want[i][j] == '1' ? AUTHORIZE_OK :
			    AUTHORIZE_SCOPE));
			if (want[i][j] == '0')
				CU_ASSERT(needed == rule.scope);
		}
	}
}

static void
role_comes_before_scope_and_scope_before_existence(void)
{
	struct authorize_rule	 both = { ROLE_OPERATOR | ROLE_NODE, 0 };
	struct authorize_rule	 node = { ROLE_NODE, 0 };
	uint32_t		 needed;

	CU_ASSERT(authorize(ROLE_NODE, 0, &both, &needed) == AUTHORIZE_OK);
	CU_ASSERT(authorize(ROLE_OPERATOR, 0, &both, &needed) == AUTHORIZE_OK);
	CU_ASSERT(authorize(ROLE_OPERATOR, scope_closure(SCOPE_ADMIN), &node,
	    &needed) == AUTHORIZE_ROLE);
	CU_ASSERT(authorize(ROLE_NODE, 0, NULL, &needed) == AUTHORIZE_ROLE);
	CU_ASSERT(authorize(ROLE_OPERATOR, scope_closure(SCOPE_WRITE), NULL,
	    &needed) == AUTHORIZE_SCOPE);
	CU_ASSERT(needed == SCOPE_ADMIN);
	CU_ASSERT(authorize(ROLE_OPERATOR, scope_closure(SCOPE_ADMIN), NULL,
	    &needed) == AUTHORIZE_UNKNOWN);
}

/* AB-030, AB-031. */
static void
origins(void)
{
	static const char *const	 allowed[] = { "https://ui.example" };
	struct origin_rules		 rules = { allowed, 1, false };
	static const struct {
		const char	*origin;
		const char	*host;
		bool		 is_local;
		bool		 is_ok;
	} t[] = {
		{ "https://ui.example", "gw:1", false, true },
		{ "HTTPS://UI.example", "gw:1", false, true },
		{ "https://ui.example.evil.test", "gw:1", false, false },
		{ "https://evil-ui.example", "gw:1", false, false },
		{ "https://ui.example.", "gw:1", false, false },
		{ "https://ui.example:8443", "gw:1", false, false },
		{ "http://ui.example", "gw:1", false, false },
		{ "https://me@ui.example", "gw:1", false, false },
		{ "https://ui.example/", "gw:1", false, false },
		{ "https://ui.example?x", "gw:1", false, false },
		{ "null", "gw:1", true, false },
		{ "", "gw:1", true, false },
		{ NULL, "gw:1", true, false },
		{ "ui.example", "gw:1", true, false },
		{ "http://localhost:5173", "127.0.0.1:1", true, true },
		{ "http://127.0.0.1:5173", "127.0.0.1:1", true, true },
		{ "http://[::1]:5173", "127.0.0.1:1", true, true },
		{ "http://localhost:5173", "127.0.0.1:1", false, false },
		/* A name that an attacker points at loopback. */
		{ "http://rebind.test:1", "rebind.test:1", true, false },
		{ "http://192.168.1.5:1", "192.168.1.5:1", false, true },
		{ "http://192.168.1.5:2", "192.168.1.5:1", false, false },
		{ "http://host.local:1", "host.local:1", false, true },
		{ "http://8.8.8.8:1", "8.8.8.8:1", false, false },
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		if ((origin_problem(&rules, t[i].origin, t[i].host,
		    t[i].is_local) == NULL) != t[i].is_ok) {
			(void)printf("origin '%s'\n",
			    t[i].origin != NULL ? t[i].origin : "(none)");
			CU_FAIL("origin");
		}
	}
	rules.has_host_fallback = true;
	CU_ASSERT(origin_problem(&rules, "http://rebind.test:1",
	    "rebind.test:1", true) == NULL);
}

/* AB-046. */
static void
what_is_no_secret_is_refused(void)
{
	static const char *const	 bad[] = { "", " ", "\t\n", "undefined",
	    "null", "CHANGEME", "password" };
	struct secret			 s = { .is_set = false };
	struct buf			 why = BUF_INIT;
	char				 text[44];
	size_t				 i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		buf_reset(&why);
		CU_ASSERT(secret_set(&s, bad[i], &why) < 0);
		CU_ASSERT(why.len > 0 && !s.is_set);
	}
	CU_ASSERT(!secret_is(&s, "", 0));
	CU_ASSERT(secret_random(text) == 0 && strlen(text) == 43);
	CU_ASSERT(secret_set(&s, text, &why) == 0);
	CU_ASSERT(secret_is(&s, text, 43));
	CU_ASSERT(!secret_is(&s, text, 42));
	text[42] ^= 1;
	CU_ASSERT(!secret_is(&s, text, 43));
	secret_clear(&s);
	CU_ASSERT(!s.is_set);
	buf_fini(&why);
}

static const struct cu_case cases[] = {
	CU_CASE(names_are_exact),
	CU_CASE(implications_are_the_table_of_the_protocol),
	CU_CASE(role_comes_before_scope_and_scope_before_existence),
	CU_CASE(origins),
	CU_CASE(what_is_no_secret_is_refused),
	CU_END
};
CU_MAIN("authorize", cases)
