# SPDX-License-Identifier: MIT
# What the drivers of HTTP endpoints share, linked into each of them.
noinst_LTLIBRARIES += plugins/libmodel.la
plugins_libmodel_la_SOURCES = \
	plugins/model-common/call.c plugins/model-common/call.h \
	plugins/model-common/sse.c plugins/model-common/sse.h \
	plugins/model-common/text.c plugins/model-common/text.h \
	plugins/model-common/verdict.c
plugins_libmodel_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_libmodel_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_libmodel_la_LIBADD = $(JSON_LIBS)

if PLUGIN_MODEL_OPENAI
plugin_LTLIBRARIES += plugins/model-openai/model-openai.la
endif
plugins_model_openai_model_openai_la_SOURCES = \
	plugins/model-openai/model-openai.c \
	plugins/model-openai/rows.c plugins/model-openai/rows.h
plugins_model_openai_model_openai_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_model_openai_model_openai_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_model_openai_model_openai_la_LDFLAGS = $(MODULE_FLAGS)
plugins_model_openai_model_openai_la_LIBADD = plugins/libmodel.la $(JSON_LIBS)
dist_schema_DATA += schemas/model-openai.json

if HAVE_CUNIT
if PLUGIN_MODEL_OPENAI
check_PROGRAMS += tests/plugin/test_model_openai
TESTS += tests/plugin/test_model_openai
endif
endif
tests_plugin_test_model_openai_SOURCES = tests/plugin/test_model_openai.c \
	tests/plugin/model_rig.c tests/plugin/model_rig.h
tests_plugin_test_model_openai_LDADD = $(FAKE_LIBS)

# tests/fuzz/replay.sh runs it over its corpus.
check_PROGRAMS += tests/fuzz/fuzz_sse
tests_fuzz_fuzz_sse_SOURCES = tests/fuzz/fuzz_sse.c tests/fuzz/replay.c
tests_fuzz_fuzz_sse_LDADD = plugins/libmodel.la $(JSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/sse
