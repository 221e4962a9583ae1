# SPDX-License-Identifier: MIT
if PLUGIN_AUDIT
plugin_LTLIBRARIES += plugins/audit/audit.la
endif
plugins_audit_audit_la_SOURCES = plugins/audit/audit.c plugins/audit/audit.h \
	plugins/audit/ledger.c plugins/audit/message.c \
	plugins/audit/record.c plugins/audit/watch.c
plugins_audit_audit_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_audit_audit_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS)
plugins_audit_audit_la_LDFLAGS = $(MODULE_FLAGS)
plugins_audit_audit_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/audit.json

if HAVE_CUNIT
if PLUGIN_AUDIT
check_PROGRAMS += tests/plugin/test_audit
TESTS += tests/plugin/test_audit
endif
endif
tests_plugin_test_audit_SOURCES = tests/plugin/test_audit.c
tests_plugin_test_audit_LDADD = $(FAKE_LIBS)
