# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libstore.la
core_libstore_la_SOURCES = core/store/store.h core/store/store_priv.h \
	core/store/store.c core/store/store_log.c core/store/store_table.c \
	core/store/store_thread.c \
	core/store/sqlite_open.c core/store/sqlite_priv.h \
	core/store/sqlite_read.c core/store/sqlite_write.c
core_libstore_la_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
core_libstore_la_LIBADD = core/libbase.la $(SQLITE_LIBS) -lpthread
