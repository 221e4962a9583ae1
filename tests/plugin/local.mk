# SPDX-License-Identifier: MIT
# The fake host. The test program of a plugin is in that plugin's local.mk:
#
#	if PLUGIN_CHAT
#	check_PROGRAMS += tests/plugin/test_chat
#	TESTS += tests/plugin/test_chat
#	endif
#	tests_plugin_test_chat_SOURCES = tests/plugin/test_chat.c
#	tests_plugin_test_chat_LDADD = $(FAKE_LIBS)
#
# A program that is run by hand needs the two variables of the environment.
AM_TESTS_ENVIRONMENT = \
	CHELA_TEST_PLUGINS='$(abs_top_builddir)/plugins'; \
	CHELA_TEST_SCHEMAS='$(abs_top_srcdir)/schemas'; \
	export CHELA_TEST_PLUGINS CHELA_TEST_SCHEMAS;

FAKE_LIBS = tests/plugin/libfake.la $(CUNIT_LIBS)
check_LTLIBRARIES += tests/plugin/libfake.la
tests_plugin_libfake_la_SOURCES = tests/plugin/fakehost.h \
	tests/plugin/fakehost_priv.h tests/plugin/fakehost.c \
	tests/plugin/fakecall.c tests/plugin/fakeloop.c \
	tests/plugin/fakeroutes.c tests/plugin/fakeroutes.h \
	tests/plugin/fakestore.c \
	tests/plugin/fakeschema.c tests/plugin/server.c tests/plugin/server.h
tests_plugin_libfake_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_plugin_libfake_la_LIBADD = core/libjson.la core/libbase.la $(EVENT_LIBS) $(JSON_LIBS) -ldl

if HAVE_CUNIT
check_PROGRAMS += tests/plugin/test_fakehost
TESTS += tests/plugin/test_fakehost
endif
tests_plugin_test_fakehost_SOURCES = tests/plugin/test_fakehost.c
tests_plugin_test_fakehost_LDADD = $(FAKE_LIBS)
if HAVE_CUNIT
check_PROGRAMS += tests/plugin/test_fakeroutes
TESTS += tests/plugin/test_fakeroutes
endif
tests_plugin_test_fakeroutes_SOURCES = tests/plugin/test_fakeroutes.c
tests_plugin_test_fakeroutes_LDADD = $(FAKE_LIBS)
