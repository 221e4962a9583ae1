# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libaccess.la
core_libaccess_la_SOURCES = \
	core/access/access.c core/access/access.h \
	core/access/auth.c core/access/auth.h \
	core/access/authorize.c core/access/authorize.h \
	core/access/budget.c core/access/budget.h \
	core/access/device.c core/access/device.h core/access/identity.c \
	core/access/entry.c core/access/entry.h core/access/entry_http.c core/access/entry_pair.c \
	core/access/entry_priv.h \
	core/access/limit.c core/access/limit.h \
	core/access/origin.c core/access/origin.h \
	core/access/pairing.c core/access/pairing.h \
	core/access/pairing_device.c core/access/pairing_json.c \
	core/access/pairing_pending.c core/access/pairing_priv.h \
	core/access/pairing_setup.c \
	core/access/proxy.c core/access/proxy.h \
	core/access/scope.c core/access/scope.h \
	core/access/secret.c core/access/secret.h \
	core/access/whois.c core/access/whois.h
core_libaccess_la_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
core_libaccess_la_LIBADD = core/libstore.la core/libjson.la core/libbase.la \
	$(GNUTLS_LIBS)
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_authorize
TESTS += tests/unit/test_authorize
tests_unit_test_authorize_SOURCES = tests/unit/test_authorize.c tests/unit/cu.h
tests_unit_test_authorize_LDADD = core/libaccess.la $(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_access tests/unit/test_pairing
TESTS += tests/unit/test_access tests/unit/test_pairing
tests_unit_test_access_SOURCES = tests/unit/test_access.c tests/unit/cu.h
tests_unit_test_access_LDADD = core/libaccess.la $(GNUTLS_LIBS) $(CUNIT_LIBS)
tests_unit_test_pairing_SOURCES = tests/unit/test_pairing.c \
	tests/unit/store_help.c tests/unit/store_help.h tests/unit/cu.h
tests_unit_test_pairing_LDADD = core/libaccess.la core/libstore.la \
	core/libbase.la $(JSON_LIBS) $(SQLITE_LIBS) $(CUNIT_LIBS)
endif

# Instructions counted; it skips without valgrind.
check_PROGRAMS += tests/unit/secret_count
tests_unit_secret_count_SOURCES = tests/unit/secret_count.c
tests_unit_secret_count_LDADD = core/libaccess.la $(GNUTLS_LIBS)
dist_check_SCRIPTS += tests/unit/secret_count.sh
TESTS += tests/unit/secret_count.sh

check_PROGRAMS += tests/fuzz/fuzz_device
tests_fuzz_fuzz_device_SOURCES = tests/fuzz/fuzz_device.c tests/fuzz/replay.c
tests_fuzz_fuzz_device_LDADD = core/libaccess.la
EXTRA_DIST += tests/fuzz/corpus/device
