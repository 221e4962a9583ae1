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
