# SPDX-License-Identifier: MIT
if PLUGIN_AGENT
plugin_LTLIBRARIES += plugins/agent/agent.la
endif
plugins_agent_agent_la_SOURCES = plugins/agent/agent.c \
	plugins/agent/agent_call.c \
	plugins/agent/agent_deliver.c \
	plugins/agent/agent_event.c \
	plugins/agent/agent_input.c \
	plugins/agent/agent_model.c \
	plugins/agent/agent_priv.h \
	plugins/agent/agent_queue.c \
	plugins/agent/agent_run.c \
	plugins/agent/agent_util.c
plugins_agent_agent_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_agent_agent_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_agent_agent_la_LDFLAGS = $(MODULE_FLAGS)
plugins_agent_agent_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/agent.json

if HAVE_CUNIT
if PLUGIN_AGENT
check_PROGRAMS += tests/plugin/test_agent
TESTS += tests/plugin/test_agent
endif
endif
tests_plugin_test_agent_SOURCES = tests/plugin/test_agent.c \
	tests/plugin/fakemodel.c tests/plugin/fakemodel.h
tests_plugin_test_agent_LDADD = $(FAKE_LIBS)
