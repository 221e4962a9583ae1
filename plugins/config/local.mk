# SPDX-License-Identifier: MIT
if PLUGIN_CONFIG
plugin_LTLIBRARIES += plugins/config/config.la
endif
plugins_config_config_la_SOURCES = plugins/config/config.c
plugins_config_config_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_config_config_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_config_config_la_LDFLAGS = $(MODULE_FLAGS)
plugins_config_config_la_LIBADD = $(JSON_LIBS)

if HAVE_CUNIT
if PLUGIN_CONFIG
check_PROGRAMS += tests/plugin/test_config
TESTS += tests/plugin/test_config
endif
endif
tests_plugin_test_config_SOURCES = tests/plugin/test_config.c
tests_plugin_test_config_LDADD = core/libconfig.la $(FAKE_LIBS)
