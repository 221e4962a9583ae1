# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libplugin.la
core_libplugin_la_SOURCES = core/plugin/access_service.c \
	core/plugin/core_services.c core/plugin/crash.c \
	core/plugin/lifecycle_service.c \
	core/plugin/dispatch.c core/plugin/frame.c \
	core/plugin/host.c core/plugin/host.h core/plugin/host_priv.h \
	core/plugin/host_loop.c core/plugin/host_store.c \
	core/plugin/host_table.c core/plugin/lifecycle.c \
	core/plugin/loader.c core/plugin/refresh.c core/plugin/routes.c \
	core/plugin/routes.h core/plugin/routes_auth.c \
	core/plugin/routes_service.c core/plugin/schemas.c
core_libplugin_la_LIBADD = core/libstate.la core/libprotocol.la \
	core/libconfig.la core/libstore.la core/libaccess.la core/libjson.la \
	core/libbase.la $(LTDL_LIBS) -ldl
