# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libplugin.la
core_libplugin_la_SOURCES = core/plugin/access_service.c \
	core/plugin/core_services.c core/plugin/crash.c \
	core/plugin/lifecycle_service.c \
	core/plugin/dispatch.c core/plugin/frame.c \
	core/plugin/host.c core/plugin/host.h core/plugin/host_priv.h \
	core/plugin/host_loop.c core/plugin/host_store.c \
	core/plugin/host_table.c core/plugin/lifecycle.c \
	core/plugin/loader.c core/plugin/prefetch.c core/plugin/quota.c core/plugin/refresh.c core/plugin/routes.c \
	core/plugin/routes.h core/plugin/routes_auth.c \
	core/plugin/routes_service.c core/plugin/schemas.c
core_libplugin_la_LIBADD = core/libstate.la core/libprotocol.la \
	core/libconfig.la core/libstore.la core/libaccess.la core/libjson.la \
	core/libbase.la $(LTDL_LIBS) -ldl
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_host
TESTS += tests/unit/test_host
tests_unit_test_host_SOURCES = tests/unit/test_host.c tests/unit/cu.h
tests_unit_test_host_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_host_LDADD = core/libplugin.la $(EVENT_LIBS) $(CUNIT_LIBS)
endif
