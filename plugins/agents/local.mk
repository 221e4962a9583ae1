# SPDX-License-Identifier: MIT
if PLUGIN_AGENTS
plugin_LTLIBRARIES += plugins/agents/agents.la
endif
plugins_agents_agents_la_SOURCES = plugins/agents/agents.c \
	plugins/agents/agents.h plugins/agents/agents_conf.c \
	plugins/agents/agents_files.c plugins/agents/agents_job.c \
	plugins/agents/agents_list.c plugins/agents/agents_path.c \
	plugins/agents/agents_workspace.c plugins/agents/agents_write.c \
	plugins/common/path.c
plugins_agents_agents_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_agents_agents_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_agents_agents_la_LDFLAGS = $(MODULE_FLAGS)
plugins_agents_agents_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/agents.json

if HAVE_CUNIT
if PLUGIN_AGENTS
check_PROGRAMS += tests/plugin/test_agents
TESTS += tests/plugin/test_agents
endif
endif
tests_plugin_test_agents_SOURCES = tests/plugin/test_agents.c
tests_plugin_test_agents_LDADD = $(FAKE_LIBS)
