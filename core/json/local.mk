# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libjson.la
core_libjson_la_SOURCES = \
	core/json/build.c core/json/json.c core/json/json.h core/json/json_write.c \
	core/json/pattern.c core/json/pattern.h core/json/pattern_rewrite.c \
	core/json/scan.c core/json/scan.h \
	core/json/schema.c core/json/schema.h core/json/schema_priv.h \
	core/json/schema_check.c \
	core/json/schema_compile.c core/json/schema_compile.h \
	core/json/schema_default.c core/json/schema_refs.c \
	core/json/schema_uri.c
core_libjson_la_CFLAGS = $(AM_CFLAGS) $(PCRE2_CFLAGS)
core_libjson_la_LIBADD = core/libbase.la $(JSON_LIBS) $(PCRE2_LIBS) -lm
