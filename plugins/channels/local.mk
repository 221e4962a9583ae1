# SPDX-License-Identifier: MIT
if PLUGIN_CHANNELS
plugin_LTLIBRARIES += plugins/channels/channels.la
endif
plugins_channels_channels_la_SOURCES = plugins/channels/channels.c \
	plugins/channels/channels.h plugins/channels/channels_audit.c \
	plugins/channels/channels_control.c \
	plugins/channels/channels_inbound.c \
	plugins/channels/channels_pairing.c \
	plugins/channels/channels_policy.c plugins/channels/channels_status.c \
	plugins/channels/channels_util.c
plugins_channels_channels_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_channels_channels_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_channels_channels_la_LDFLAGS = $(MODULE_FLAGS)
plugins_channels_channels_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/channels.json

if HAVE_CUNIT
if PLUGIN_CHANNELS
if PLUGIN_SESSIONS
check_PROGRAMS += tests/plugin/test_channels
TESTS += tests/plugin/test_channels
endif
endif
endif
tests_plugin_test_channels_SOURCES = tests/plugin/test_channels.c
tests_plugin_test_channels_LDADD = $(FAKE_LIBS)
