# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libbase.la
core_libbase_la_SOURCES = core/base/base.h \
	core/base/buf.c core/base/buf.h \
	core/base/clock.c core/base/clock.h \
	core/base/file.c core/base/file.h \
	core/base/finger.c core/base/finger.h \
	core/base/log.c core/base/log.h \
	core/base/loop.c core/base/loop.h \
	core/base/map.c core/base/map.h \
	core/base/utf8.c core/base/utf8.h \
	core/base/uuid.c core/base/uuid.h
core_libbase_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
core_libbase_la_LIBADD = $(EVENT_LIBS) -lpthread

check_PROGRAMS += tests/fuzz/fuzz_finger
tests_fuzz_fuzz_finger_SOURCES = tests/fuzz/fuzz_finger.c tests/fuzz/replay.c
tests_fuzz_fuzz_finger_LDADD = core/libbase.la
EXTRA_DIST += tests/fuzz/corpus/finger
