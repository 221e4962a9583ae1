# SPDX-License-Identifier: MIT
if PLUGIN_NODES
plugin_LTLIBRARIES += plugins/nodes/nodes.la
endif
plugins_nodes_nodes_la_SOURCES = plugins/nodes/nodes.c plugins/nodes/nodes.h \
	plugins/nodes/nodes_call.c plugins/nodes/nodes_event.c \
	plugins/nodes/nodes_list.c plugins/nodes/nodes_pair.c \
	plugins/nodes/nodes_policy.c plugins/nodes/nodes_queue.c \
	plugins/nodes/nodes_reg.c plugins/nodes/nodes_run.c \
	plugins/nodes/nodes_set.c
plugins_nodes_nodes_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_nodes_nodes_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_nodes_nodes_la_LDFLAGS = $(MODULE_FLAGS)
plugins_nodes_nodes_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/nodes.json

if HAVE_CUNIT
if PLUGIN_NODES
check_PROGRAMS += tests/plugin/test_nodes
TESTS += tests/plugin/test_nodes
endif
endif
tests_plugin_test_nodes_SOURCES = tests/plugin/test_nodes.c
tests_plugin_test_nodes_LDADD = $(FAKE_LIBS)
