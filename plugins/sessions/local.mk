# SPDX-License-Identifier: MIT
if PLUGIN_SESSIONS
plugin_LTLIBRARIES += plugins/sessions/sessions.la
endif
plugins_sessions_sessions_la_SOURCES = plugins/sessions/sessions.c \
	plugins/sessions/sessions_account.c \
	plugins/sessions/sessions_create.c \
	plugins/sessions/sessions_delete.c \
	plugins/sessions/sessions_index.c \
	plugins/sessions/sessions_key.c \
	plugins/sessions/sessions_list.c \
	plugins/sessions/sessions_log.c \
	plugins/sessions/sessions_patch.c \
	plugins/sessions/sessions_priv.h \
	plugins/sessions/sessions_read.c \
	plugins/sessions/sessions_row.c \
	plugins/sessions/sessions_run.c \
	plugins/sessions/sessions_send.c \
	plugins/sessions/sessions_series.c \
	plugins/sessions/sessions_usage.c \
	plugins/sessions/sessions_util.c \
	plugins/sessions/sessions_watch.c
plugins_sessions_sessions_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_sessions_sessions_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_sessions_sessions_la_LDFLAGS = $(MODULE_FLAGS)
plugins_sessions_sessions_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/sessions.json

if HAVE_CUNIT
if PLUGIN_SESSIONS
check_PROGRAMS += tests/plugin/test_sessions
TESTS += tests/plugin/test_sessions
endif
endif
tests_plugin_test_sessions_SOURCES = tests/plugin/test_sessions.c
tests_plugin_test_sessions_LDADD = $(FAKE_LIBS)
