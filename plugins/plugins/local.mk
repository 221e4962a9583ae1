# SPDX-License-Identifier: MIT
if PLUGIN_PLUGINS
plugin_LTLIBRARIES += plugins/plugins/plugins.la
endif
plugins_plugins_plugins_la_SOURCES = plugins/plugins/plugins.c
plugins_plugins_plugins_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_plugins_plugins_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS)
plugins_plugins_plugins_la_LDFLAGS = $(MODULE_FLAGS)
plugins_plugins_plugins_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/plugins.json
