# SPDX-License-Identifier: MIT
if PLUGIN_GATEWAY
plugin_LTLIBRARIES += plugins/gateway/gateway.la
endif
plugins_gateway_gateway_la_SOURCES = plugins/gateway/gateway.c \
	plugins/gateway/gateway.h plugins/gateway/gateway_restart.c \
	plugins/gateway/gateway_suspend.c
plugins_gateway_gateway_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_gateway_gateway_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_gateway_gateway_la_LDFLAGS = $(MODULE_FLAGS)
plugins_gateway_gateway_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/gateway.json

if HAVE_CUNIT
if PLUGIN_GATEWAY
check_PROGRAMS += tests/plugin/test_gateway
TESTS += tests/plugin/test_gateway
endif
endif
tests_plugin_test_gateway_SOURCES = tests/plugin/test_gateway.c
tests_plugin_test_gateway_LDADD = $(FAKE_LIBS)
