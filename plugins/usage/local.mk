# SPDX-License-Identifier: MIT
if PLUGIN_USAGE
plugin_LTLIBRARIES += plugins/usage/usage.la
endif
plugins_usage_usage_la_SOURCES = plugins/usage/usage.c
plugins_usage_usage_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_usage_usage_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_usage_usage_la_LDFLAGS = $(MODULE_FLAGS)
plugins_usage_usage_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/usage.json

if HAVE_CUNIT
if PLUGIN_USAGE
check_PROGRAMS += tests/plugin/test_usage
TESTS += tests/plugin/test_usage
endif
endif
tests_plugin_test_usage_SOURCES = tests/plugin/test_usage.c
tests_plugin_test_usage_LDADD = $(FAKE_LIBS)
