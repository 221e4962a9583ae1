/* SPDX-License-Identifier: MIT */
/*
 * A CUnit program in four lines: a table of cases, then CU_MAIN. The run exits
 * nonzero when a check failed or none ran.
 *
 *	static void closes_once(void) { CU_ASSERT(...); }
 *	static const struct cu_case cases[] = { CU_CASE(closes_once), CU_END };
 *	CU_MAIN("conn", cases)
 */
#ifndef TESTS_UNIT_CU_H
#define TESTS_UNIT_CU_H

#include <stdio.h>

#include <CUnit/Basic.h>

struct cu_case {
	const char	*name;
	void		(*fn)(void);
};

#define CU_CASE(fn)	{ #fn, fn }
#define CU_END		{ NULL, NULL }

static inline int
cu_run(const char *suite, const struct cu_case *cases)
{
	CU_pSuite	 s;
	unsigned	 failed, asserts;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return (1);
	s = CU_add_suite(suite, NULL, NULL);
	for (; s != NULL && cases->name != NULL; cases++) {
		if (CU_add_test(s, cases->name, cases->fn) == NULL)
			return (1);
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	(void)CU_basic_run_tests();
	failed = CU_get_number_of_failures() +
	    CU_get_number_of_suites_failed();
	asserts = CU_get_number_of_asserts();
	CU_cleanup_registry();
	(void)printf("\n");
	return (failed == 0 && asserts > 0 ? 0 : 1);
}

#define CU_MAIN(suite, cases) \
	int \
	main(void) \
	{ \
		return (cu_run(suite, cases)); \
	}

#endif
