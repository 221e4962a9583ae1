# SPDX-License-Identifier: MIT
if PLUGIN_CONSOLE
plugin_LTLIBRARIES += plugins/console/console.la
endif
plugins_console_console_la_SOURCES = plugins/console/console.c \
	plugins/console/console.h plugins/console/console_file.c \
	plugins/console/console_html.c plugins/console/console_info.c \
	plugins/console/console_page.c plugins/common/path.c
plugins_console_console_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_console_console_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS)
plugins_console_console_la_LDFLAGS = $(MODULE_FLAGS)
plugins_console_console_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/console.json

if HAVE_CUNIT
if PLUGIN_CONSOLE
check_PROGRAMS += tests/plugin/test_console
TESTS += tests/plugin/test_console
endif
endif
tests_plugin_test_console_SOURCES = tests/plugin/test_console.c
tests_plugin_test_console_LDADD = $(FAKE_LIBS)
