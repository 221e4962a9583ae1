# SPDX-License-Identifier: MIT
if PLUGIN_SEND
plugin_LTLIBRARIES += plugins/send/send.la
endif
plugins_send_send_la_SOURCES = plugins/send/send.c plugins/send/send.h \
	plugins/send/send_deliver.c plugins/send/send_key.c \
	plugins/send/send_route.c
plugins_send_send_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_send_send_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_send_send_la_LDFLAGS = $(MODULE_FLAGS)
plugins_send_send_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/send.json

if HAVE_CUNIT
if PLUGIN_SEND
if PLUGIN_SESSIONS
check_PROGRAMS += tests/plugin/test_send
TESTS += tests/plugin/test_send
endif
endif
endif
tests_plugin_test_send_SOURCES = tests/plugin/test_send.c
tests_plugin_test_send_LDADD = $(FAKE_LIBS)
