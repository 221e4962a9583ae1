# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libconfig.la
core_libconfig_la_SOURCES = \
	core/config/config.c core/config/config.h core/config/config_priv.h \
	core/config/env.c \
	core/config/hash.c \
	core/config/issues.c \
	core/config/json5.c core/config/json5.h \
	core/config/paths.c \
	core/config/schema.c
core_libconfig_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(GNUTLS_CFLAGS)
core_libconfig_la_LIBADD = core/libjson.la core/libbase.la \
	$(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/config.json
