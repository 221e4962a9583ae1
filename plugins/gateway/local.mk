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
