# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libws.la
core_libws_la_SOURCES = core/ws/ws.h core/ws/ws.c core/ws/accept.c
core_libws_la_LIBADD = core/libbase.la
