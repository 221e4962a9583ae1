# SPDX-License-Identifier: MIT
# The parser of request heads alone, for its tests and for what embeds it.
noinst_LTLIBRARIES += core/libhttphead.la
core_libhttphead_la_SOURCES = core/net/http_head.c core/net/http_head.h \
	core/net/http_upgrade.c
core_libhttphead_la_LIBADD = core/libbase.la
