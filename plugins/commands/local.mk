# SPDX-License-Identifier: MIT
if PLUGIN_COMMANDS
plugin_LTLIBRARIES += plugins/commands/commands.la
endif
plugins_commands_commands_la_SOURCES = plugins/commands/commands.c \
	plugins/commands/commands.h plugins/commands/commands_effect.c \
	plugins/commands/commands_info.c plugins/commands/commands_run.c \
	plugins/commands/commands_table.c
plugins_commands_commands_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_commands_commands_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_commands_commands_la_LDFLAGS = $(MODULE_FLAGS)
plugins_commands_commands_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/commands.json

if HAVE_CUNIT
if PLUGIN_COMMANDS
if PLUGIN_SESSIONS
check_PROGRAMS += tests/plugin/test_commands
TESTS += tests/plugin/test_commands
endif
endif
endif
tests_plugin_test_commands_SOURCES = tests/plugin/test_commands.c
tests_plugin_test_commands_LDADD = $(FAKE_LIBS)
