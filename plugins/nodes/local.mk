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
check_PROGRAMS += tests/plugin/test_nodes tests/plugin/test_nodes_run
TESTS += tests/plugin/test_nodes tests/plugin/test_nodes_run
endif
endif
NODES_RIG = tests/plugin/nodes_rig.c tests/plugin/nodes_rig.h
tests_plugin_test_nodes_SOURCES = tests/plugin/test_nodes.c $(NODES_RIG)
tests_plugin_test_nodes_LDADD = $(FAKE_LIBS)
tests_plugin_test_nodes_run_SOURCES = tests/plugin/test_nodes_run.c \
	$(NODES_RIG)
tests_plugin_test_nodes_run_LDADD = $(FAKE_LIBS)
