# SPDX-License-Identifier: MIT
if PLUGIN_HOOKS
plugin_LTLIBRARIES += plugins/hooks/hooks.la
endif
plugins_hooks_hooks_la_SOURCES = plugins/hooks/hooks.c plugins/hooks/hooks.h \
	plugins/hooks/hooks_auth.c plugins/hooks/hooks_body.c \
	plugins/hooks/hooks_conf.c \
	plugins/hooks/hooks_dispatch.c plugins/hooks/hooks_ingress.c \
	plugins/hooks/hooks_mapping.c plugins/hooks/hooks_run.c \
	plugins/hooks/hooks_template.c plugins/hooks/hooks_template.h \
	plugins/hooks/hooks_wrap.c plugins/hooks/hooks_wrap.h
plugins_hooks_hooks_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_hooks_hooks_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS)
plugins_hooks_hooks_la_LDFLAGS = $(MODULE_FLAGS)
plugins_hooks_hooks_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS) -lm
dist_schema_DATA += schemas/hooks.json

if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_hooks_text
TESTS += tests/unit/test_hooks_text
if PLUGIN_HOOKS
if PLUGIN_SESSIONS
if PLUGIN_AGENTS
check_PROGRAMS += tests/plugin/test_hooks
TESTS += tests/plugin/test_hooks
endif
endif
endif
endif
tests_unit_test_hooks_text_SOURCES = tests/unit/test_hooks_text.c \
	plugins/hooks/hooks_template.c plugins/hooks/hooks_template.h \
	plugins/hooks/hooks_wrap.c plugins/hooks/hooks_wrap.h tests/unit/cu.h
tests_unit_test_hooks_text_CPPFLAGS = $(AM_CPPFLAGS)
tests_unit_test_hooks_text_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_unit_test_hooks_text_LDADD = $(JSON_LIBS) $(CUNIT_LIBS) -lm
tests_plugin_test_hooks_SOURCES = tests/plugin/test_hooks.c \
	tests/plugin/hooks_rig.c tests/plugin/hooks_rig.h
tests_plugin_test_hooks_LDADD = $(FAKE_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_hooks
tests_fuzz_fuzz_hooks_SOURCES = tests/fuzz/fuzz_hooks.c tests/fuzz/replay.c \
	plugins/hooks/hooks_template.c plugins/hooks/hooks_wrap.c
tests_fuzz_fuzz_hooks_LDADD = $(JSON_LIBS) -lm
EXTRA_DIST += tests/fuzz/corpus/hooks
