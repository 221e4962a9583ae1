# SPDX-License-Identifier: MIT
if PLUGIN_HEALTH
plugin_LTLIBRARIES += plugins/health/health.la
endif
plugins_health_health_la_SOURCES = plugins/health/health.c \
	plugins/health/health.h plugins/health/health_refresh.c \
	plugins/health/health_status.c plugins/health/health_summary.c
plugins_health_health_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_health_health_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_health_health_la_LDFLAGS = $(MODULE_FLAGS)
plugins_health_health_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/health.json

if HAVE_CUNIT
if PLUGIN_HEALTH
check_PROGRAMS += tests/plugin/test_health
TESTS += tests/plugin/test_health
endif
endif
tests_plugin_test_health_SOURCES = tests/plugin/test_health.c
tests_plugin_test_health_LDADD = $(FAKE_LIBS)
