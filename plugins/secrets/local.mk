# SPDX-License-Identifier: MIT
if PLUGIN_SECRETS
plugin_LTLIBRARIES += plugins/secrets/secrets.la
endif
plugins_secrets_secrets_la_SOURCES = plugins/secrets/secrets.c \
	plugins/secrets/secrets.h plugins/secrets/refs.c \
	plugins/secrets/resolve.c plugins/secrets/store.c \
	plugins/secrets/vault.c plugins/secrets/vault.h
plugins_secrets_secrets_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_secrets_secrets_la_CFLAGS = $(PLUGIN_CFLAGS) $(GNUTLS_CFLAGS)
plugins_secrets_secrets_la_LDFLAGS = $(MODULE_FLAGS)
plugins_secrets_secrets_la_LIBADD = $(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/secrets.json

if HAVE_CUNIT
if PLUGIN_SECRETS
check_PROGRAMS += tests/plugin/test_secrets
TESTS += tests/plugin/test_secrets
endif
endif
tests_plugin_test_secrets_SOURCES = tests/plugin/test_secrets.c
# It counts the wipes: its explicit_bzero() has to be found first.
tests_plugin_test_secrets_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
tests_plugin_test_secrets_LDADD = $(FAKE_LIBS)
