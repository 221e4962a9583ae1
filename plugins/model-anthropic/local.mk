# SPDX-License-Identifier: MIT
if PLUGIN_MODEL_ANTHROPIC
plugin_LTLIBRARIES += plugins/model-anthropic/model-anthropic.la
endif
plugins_model_anthropic_model_anthropic_la_SOURCES = \
	plugins/model-anthropic/model-anthropic.c \
	plugins/model-anthropic/blocks.c plugins/model-anthropic/blocks.h
plugins_model_anthropic_model_anthropic_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_model_anthropic_model_anthropic_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_model_anthropic_model_anthropic_la_LDFLAGS = $(MODULE_FLAGS)
plugins_model_anthropic_model_anthropic_la_LIBADD = plugins/libmodel.la $(JSON_LIBS)
dist_schema_DATA += schemas/model-anthropic.json

if HAVE_CUNIT
if PLUGIN_MODEL_ANTHROPIC
check_PROGRAMS += tests/plugin/test_model_anthropic
TESTS += tests/plugin/test_model_anthropic
endif
endif
tests_plugin_test_model_anthropic_SOURCES = tests/plugin/test_model_anthropic.c \
	tests/plugin/model_rig.c tests/plugin/model_rig.h
tests_plugin_test_model_anthropic_LDADD = $(FAKE_LIBS)
