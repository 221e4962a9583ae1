# SPDX-License-Identifier: MIT
if PLUGIN_MODELS
plugin_LTLIBRARIES += plugins/models/models.la
endif
plugins_models_models_la_SOURCES = plugins/models/models.c \
	plugins/models/models.h plugins/models/models_catalogue.c \
	plugins/models/models_conf.c plugins/models/models_list.c \
	plugins/models/models_probe.c
plugins_models_models_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_models_models_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_models_models_la_LDFLAGS = $(MODULE_FLAGS)
plugins_models_models_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/models.json

if HAVE_CUNIT
if PLUGIN_MODELS
check_PROGRAMS += tests/plugin/test_models
TESTS += tests/plugin/test_models
endif
endif
tests_plugin_test_models_SOURCES = tests/plugin/test_models.c
tests_plugin_test_models_LDADD = $(FAKE_LIBS)
