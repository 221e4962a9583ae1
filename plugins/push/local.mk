# SPDX-License-Identifier: MIT
if PLUGIN_PUSH
plugin_LTLIBRARIES += plugins/push/push.la
endif
plugins_push_push_la_SOURCES = plugins/push/push.c plugins/push/push.h \
	plugins/push/deliver.c plugins/push/note.c plugins/push/prefs.c \
	plugins/push/queue.c plugins/push/sources.c plugins/push/vapid.c \
	plugins/push/webpush.c plugins/push/webpush.h plugins/push/zone.c
plugins_push_push_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_push_push_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS) $(HOGWEED_CFLAGS)
plugins_push_push_la_LDFLAGS = $(MODULE_FLAGS)
plugins_push_push_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS) $(HOGWEED_LIBS)
dist_schema_DATA += schemas/push.json

if HAVE_CUNIT
if PLUGIN_PUSH
check_PROGRAMS += tests/plugin/test_push
TESTS += tests/plugin/test_push
if PLUGIN_APPROVALS
if PLUGIN_QUESTION
check_PROGRAMS += tests/plugin/test_push_notes
TESTS += tests/plugin/test_push_notes
endif
endif
endif
endif
tests_plugin_test_push_SOURCES = tests/plugin/test_push.c \
	plugins/push/webpush.c plugins/push/webpush.h
tests_plugin_test_push_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS) $(HOGWEED_CFLAGS)
tests_plugin_test_push_LDADD = $(FAKE_LIBS) $(GNUTLS_LIBS) $(HOGWEED_LIBS)
tests_plugin_test_push_notes_SOURCES = tests/plugin/test_push_notes.c
tests_plugin_test_push_notes_LDADD = $(FAKE_LIBS)
