# SPDX-License-Identifier: MIT
if PLUGIN_PROCESS
plugin_LTLIBRARIES += plugins/process/process.la
endif
plugins_process_process_la_SOURCES = plugins/process/process.c \
	plugins/process/spawn.c plugins/process/spawn.h
plugins_process_process_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_process_process_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_process_process_la_LDFLAGS = $(MODULE_FLAGS)
plugins_process_process_la_LIBADD = $(JSON_LIBS) -lpthread
dist_schema_DATA += schemas/process.json

if HAVE_CUNIT
if PLUGIN_PROCESS
check_PROGRAMS += tests/plugin/test_process
TESTS += tests/plugin/test_process
endif
endif
tests_plugin_test_process_SOURCES = tests/plugin/test_process.c
tests_plugin_test_process_LDADD = $(FAKE_LIBS)
