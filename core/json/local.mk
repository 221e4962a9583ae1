# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libjson.la
core_libjson_la_SOURCES = \
	core/json/json.c core/json/json.h core/json/json_write.c \
	core/json/scan.c core/json/scan.h \
	core/json/schema.h
core_libjson_la_CFLAGS = $(AM_CFLAGS) $(PCRE2_CFLAGS)
core_libjson_la_LIBADD = core/libbase.la $(JSON_LIBS) $(PCRE2_LIBS) -lm
