/* SPDX-License-Identifier: MIT */
/* Plugin exec-approvals on the fake host, with the people that it asks. */
#ifndef TESTS_PLUGIN_EXEC_RIG_H
#define TESTS_PLUGIN_EXEC_RIG_H

#include <stdbool.h>
#include <sys/stat.h>

#include <chela/services/approvals.h>

#include "tests/plugin/fakehost.h"

#define ASKING "{\"version\":1,\"defaults\":{\"security\":\"allowlist\"}," \
	"\"agents\":{}}"

#define NOW_MS		UINT64_C(1795343041000)

/* What came of judge() and ask(). */
struct got {
	bool		came;
	unsigned	n;
	uint32_t	what;		/* verdict or decision */
	char		text[200];
	char		id[CHELA_APPROVAL_ID_MAX + 1];
};

extern struct fake			*f;
extern struct chela_conn		*asker, *reviewer, *admin;
extern const struct chela_approvals_1	*svc;
extern char				 doc_path[512];
extern struct got			 got;

void			 setup(void);
void			 teardown(void);
void			 people(void);	/* anew, after a restart */
void			 write_doc(const char *text, mode_t mode);
struct chela_plan	 plan_of(const char *const *argv);
bool			 has_come(void *arg);
/* What the policy says, CHELA_POLICY_*; the second in directory "/". */
uint32_t		 judge(const struct chela_plan *p);
uint32_t		 judge_argv(const char *const *argv);
/* Asks people, and the answer of the one who is there. */
void			 ask(const struct chela_plan *p,
			    struct chela_conn *caller, char *ret_id);
void			 answer(const char *id, const char *decision);

#endif
