# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libws.la
core_libws_la_SOURCES = core/ws/ws.h core/ws/ws.c core/ws/accept.c
core_libws_la_LIBADD = core/libbase.la

check_PROGRAMS += tests/fuzz/fuzz_ws
tests_fuzz_fuzz_ws_SOURCES = tests/fuzz/fuzz_ws.c tests/fuzz/replay.c
tests_fuzz_fuzz_ws_LDADD = core/libws.la core/libbase.la
EXTRA_DIST += tests/fuzz/corpus/ws
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_ws
TESTS += tests/unit/test_ws
tests_unit_test_ws_SOURCES = tests/unit/test_ws.c tests/unit/cu.h
tests_unit_test_ws_LDADD = core/libws.la core/libbase.la $(CUNIT_LIBS)
endif
