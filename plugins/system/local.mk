# SPDX-License-Identifier: MIT
if PLUGIN_SYSTEM
plugin_LTLIBRARIES += plugins/system/system.la
endif
plugins_system_system_la_SOURCES = plugins/system/system.c \
	plugins/system/system.h plugins/system/system_beat.c \
	plugins/system/system_event.c plugins/system/system_info.c \
	plugins/system/system_queue.c plugins/system/system_note.c
plugins_system_system_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_system_system_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_system_system_la_LDFLAGS = $(MODULE_FLAGS)
plugins_system_system_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/system.json

if HAVE_CUNIT
if PLUGIN_SYSTEM
check_PROGRAMS += tests/plugin/test_system
TESTS += tests/plugin/test_system
endif
endif
tests_plugin_test_system_SOURCES = tests/plugin/test_system.c
tests_plugin_test_system_LDADD = $(FAKE_LIBS)
