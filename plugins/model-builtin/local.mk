# SPDX-License-Identifier: MIT
if PLUGIN_MODEL_BUILTIN
plugin_LTLIBRARIES += plugins/model-builtin/model-builtin.la
endif
plugins_model_builtin_model_builtin_la_SOURCES = \
	plugins/model-builtin/model-builtin.c
plugins_model_builtin_model_builtin_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_model_builtin_model_builtin_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_model_builtin_model_builtin_la_LDFLAGS = $(MODULE_FLAGS)
plugins_model_builtin_model_builtin_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/model-builtin.json

if HAVE_CUNIT
if PLUGIN_MODEL_BUILTIN
check_PROGRAMS += tests/plugin/test_model_builtin
TESTS += tests/plugin/test_model_builtin
endif
endif
tests_plugin_test_model_builtin_SOURCES = tests/plugin/test_model_builtin.c \
	tests/plugin/model_rig.c tests/plugin/model_rig.h
tests_plugin_test_model_builtin_LDADD = $(FAKE_LIBS)
