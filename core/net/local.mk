# SPDX-License-Identifier: MIT
# The parsers of requests alone, for its tests and for what embeds it.
noinst_LTLIBRARIES += core/libhttphead.la
core_libhttphead_la_SOURCES = core/net/http_body.c core/net/http_body.h \
	core/net/http_head.c core/net/http_head.h core/net/http_upgrade.c
core_libhttphead_la_LIBADD = core/libbase.la

check_PROGRAMS += tests/fuzz/fuzz_http_head
tests_fuzz_fuzz_http_head_SOURCES = tests/fuzz/fuzz_http_head.c \
	tests/fuzz/replay.c
tests_fuzz_fuzz_http_head_LDADD = core/libhttphead.la core/libbase.la
check_PROGRAMS += tests/fuzz/fuzz_http_body
tests_fuzz_fuzz_http_body_SOURCES = tests/fuzz/fuzz_http_body.c \
	tests/fuzz/replay.c
tests_fuzz_fuzz_http_body_LDADD = core/libhttphead.la core/libbase.la
EXTRA_DIST += tests/fuzz/corpus/http_head tests/fuzz/corpus/http_body
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_http_body
TESTS += tests/unit/test_http_body
tests_unit_test_http_body_SOURCES = tests/unit/test_http_body.c tests/unit/cu.h
tests_unit_test_http_body_LDADD = core/libhttphead.la core/libbase.la \
	$(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_http_head
TESTS += tests/unit/test_http_head
tests_unit_test_http_head_SOURCES = tests/unit/test_http_head.c tests/unit/cu.h
tests_unit_test_http_head_LDADD = core/libhttphead.la core/libbase.la \
	$(CUNIT_LIBS)
endif
noinst_LTLIBRARIES += core/libnet.la
core_libnet_la_SOURCES = core/net/conn.c core/net/conn_tls.c core/net/http.h \
	core/net/http_answer.c core/net/http_conn.c core/net/net.c \
	core/net/net.h core/net/net_priv.h core/net/out.c core/net/out.h \
	core/net/room.c core/net/tls.c core/net/tls.h core/net/tls_cert.c
core_libnet_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
core_libnet_la_LIBADD = core/libhttphead.la core/libws.la core/libbase.la \
	$(GNUTLS_LIBS)
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_out
TESTS += tests/unit/test_out
tests_unit_test_out_SOURCES = tests/unit/test_out.c tests/unit/cu.h
tests_unit_test_out_LDADD = core/libnet.la $(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_http_conn
TESTS += tests/unit/test_http_conn
tests_unit_test_http_conn_SOURCES = tests/unit/test_http_conn.c tests/unit/cu.h
tests_unit_test_http_conn_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_http_conn_LDADD = core/libnet.la core/libbase.la $(EVENT_LIBS) \
	$(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_room
TESTS += tests/unit/test_room
tests_unit_test_room_SOURCES = tests/unit/test_room.c tests/unit/cu.h
tests_unit_test_room_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_room_LDADD = core/libnet.la core/libbase.la $(EVENT_LIBS) \
	$(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_tls
TESTS += tests/unit/test_tls
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c tests/unit/cu.h
tests_unit_test_tls_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_unit_test_tls_LDADD = core/libnet.la core/libbase.la $(GNUTLS_LIBS) \
	$(CUNIT_LIBS)
endif
