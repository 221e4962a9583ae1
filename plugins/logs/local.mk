# SPDX-License-Identifier: MIT
if PLUGIN_LOGS
plugin_LTLIBRARIES += plugins/logs/logs.la
endif
plugins_logs_logs_la_SOURCES = plugins/logs/logs.c
plugins_logs_logs_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_logs_logs_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_logs_logs_la_LDFLAGS = $(MODULE_FLAGS)
plugins_logs_logs_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/logs.json

if HAVE_CUNIT
if PLUGIN_LOGS
check_PROGRAMS += tests/plugin/test_logs
TESTS += tests/plugin/test_logs
endif
endif
tests_plugin_test_logs_SOURCES = tests/plugin/test_logs.c
tests_plugin_test_logs_LDADD = $(FAKE_LIBS)
