# SPDX-License-Identifier: MIT
if PLUGIN_HTTP
plugin_LTLIBRARIES += plugins/http/http.la
endif
plugins_http_http_la_SOURCES = plugins/http/http.c plugins/http/http_priv.h \
	plugins/http/curl.c plugins/http/curl.h \
	plugins/http/guard.c plugins/http/guard.h \
	plugins/http/hop.c plugins/http/transfer.c
plugins_http_http_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
plugins_http_http_la_CFLAGS = $(PLUGIN_CFLAGS) $(CURL_CFLAGS)
plugins_http_http_la_LDFLAGS = $(MODULE_FLAGS)
# Not linked with libcurl: curl.c opens it when it is needed.
plugins_http_http_la_LIBADD = $(JSON_LIBS) -ldl
dist_schema_DATA += schemas/http.json

if HAVE_CUNIT
if PLUGIN_HTTP
check_PROGRAMS += tests/plugin/test_http tests/plugin/test_http_guard
TESTS += tests/plugin/test_http tests/plugin/test_http_guard
endif
endif
tests_plugin_test_http_SOURCES = tests/plugin/test_http.c
tests_plugin_test_http_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
tests_plugin_test_http_LDADD = $(FAKE_LIBS) -ldl
tests_plugin_test_http_guard_SOURCES = tests/plugin/test_http_guard.c \
	plugins/http/guard.c
tests_plugin_test_http_guard_LDADD = $(CUNIT_LIBS)

if HAVE_CUNIT
if PLUGIN_HTTP
check_PROGRAMS += tests/plugin/test_http_tls
TESTS += tests/plugin/test_http_tls
endif
endif
tests_plugin_test_http_tls_SOURCES = tests/plugin/test_http_tls.c
tests_plugin_test_http_tls_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_plugin_test_http_tls_LDADD = $(FAKE_LIBS) $(GNUTLS_LIBS) -lpthread
