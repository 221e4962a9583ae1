# SPDX-License-Identifier: MIT
if PLUGIN_CHAT
plugin_LTLIBRARIES += plugins/chat/chat.la
endif
plugins_chat_chat_la_SOURCES = plugins/chat/chat.c \
	plugins/chat/chat_command.c \
	plugins/chat/chat_event.c \
	plugins/chat/chat_history.c \
	plugins/chat/chat_inject.c \
	plugins/chat/chat_meta.c \
	plugins/chat/chat_priv.h \
	plugins/chat/chat_send.c \
	plugins/chat/chat_util.c
plugins_chat_chat_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_chat_chat_la_CFLAGS = $(PLUGIN_CFLAGS)
plugins_chat_chat_la_LDFLAGS = $(MODULE_FLAGS)
plugins_chat_chat_la_LIBADD = $(JSON_LIBS)
dist_schema_DATA += schemas/chat.json

if HAVE_CUNIT
if PLUGIN_CHAT
check_PROGRAMS += tests/plugin/test_chat
TESTS += tests/plugin/test_chat
endif
endif
tests_plugin_test_chat_SOURCES = tests/plugin/test_chat.c \
	tests/plugin/fakemodel.c tests/plugin/fakemodel.h
tests_plugin_test_chat_LDADD = $(FAKE_LIBS)
