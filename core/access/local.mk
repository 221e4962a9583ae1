# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libaccess.la
core_libaccess_la_SOURCES = \
	core/access/auth.c core/access/auth.h \
	core/access/authorize.c core/access/authorize.h \
	core/access/budget.c core/access/budget.h \
	core/access/origin.c core/access/origin.h \
	core/access/scope.c core/access/scope.h \
	core/access/secret.c core/access/secret.h
core_libaccess_la_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
core_libaccess_la_LIBADD = core/libbase.la $(GNUTLS_LIBS)
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_authorize
TESTS += tests/unit/test_authorize
tests_unit_test_authorize_SOURCES = tests/unit/test_authorize.c tests/unit/cu.h
tests_unit_test_authorize_LDADD = core/libaccess.la $(CUNIT_LIBS)
endif
