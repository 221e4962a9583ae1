# SPDX-License-Identifier: MIT
if PLUGIN_CONNECT
plugin_LTLIBRARIES += plugins/connect/connect.la
endif
plugins_connect_connect_la_SOURCES = plugins/connect/connect.c
plugins_connect_connect_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_connect_connect_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_connect_connect_la_LDFLAGS = $(MODULE_FLAGS)
plugins_connect_connect_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/connect.json
