# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libstate.la
core_libstate_la_SOURCES = core/state/bus.c core/state/bus.h \
	core/state/presence.c core/state/presence.h \
	core/state/state.c core/state/state.h
core_libstate_la_LIBADD = core/libprotocol.la core/libaccess.la core/libjson.la \
	core/libbase.la
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_state
TESTS += tests/unit/test_state
tests_unit_test_state_SOURCES = tests/unit/test_state.c tests/unit/cu.h
tests_unit_test_state_LDADD = core/libstate.la $(CUNIT_LIBS)
endif
