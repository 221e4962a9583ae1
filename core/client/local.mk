# SPDX-License-Identifier: MIT
# The parts that the library needs are compiled into it once more: their own
# libraries would bring in what a client has no use for, and link it.
LIBCHELA_PARTS = core/base/base.h \
	core/access/device.c core/access/device.h core/access/identity.c \
	core/access/secret.c core/access/secret.h \
	core/base/buf.c core/base/buf.h \
	core/base/clock.c core/base/clock.h \
	core/base/file.c core/base/file.h \
	core/base/finger.c core/base/finger.h \
	core/base/loop.c core/base/loop.h \
	core/base/map.c core/base/map.h \
	core/base/utf8.c core/base/utf8.h \
	core/json/build.c core/json/json.c core/json/json.h core/json/json_write.c \
	core/json/scan.c core/json/scan.h \
	core/ws/ws.c core/ws/ws.h core/ws/accept.c

lib_LTLIBRARIES += core/libchela.la
core_libchela_la_SOURCES = $(LIBCHELA_PARTS) \
	core/client/client.c core/client/client_call.c \
	core/client/client_priv.h core/client/client_wait.c \
	core/client/link.c core/client/link.h \
	core/client/link_tls.c core/client/link_tls.h \
	core/client/trust.c core/client/trust.h \
	core/client/reply.c core/client/reply.h \
	core/client/url.c core/client/url.h
core_libchela_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)
core_libchela_la_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS) $(GNUTLS_CFLAGS)
core_libchela_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-export-symbols-regex '^chela_client_' -Wl,-z,defs
core_libchela_la_LIBADD = $(EVENT_LIBS) $(JSON_LIBS) $(GNUTLS_LIBS) -lpthread -lm
dist_chelainclude_DATA += include/chela/client.h

# The command takes its small things from the parts themselves: the library
# exports the installed interface and nothing else.
bin_PROGRAMS += chela
chela_SOURCES = core/client/chela.c core/client/chela.h \
	core/client/chela_approvals.c \
	core/client/chela_audit.c \
	core/client/chela_secrets.c \
	core/client/chela_call.c core/client/chela_chat.c \
	core/client/chela_config.c core/client/chela_devices.c \
	core/client/chela_methods.c \
	core/client/chela_nodes.c core/client/chela_out.c \
	core/client/chela_plugins.c core/client/chela_sessions.c \
	core/client/chela_state.c core/client/url.c core/client/url.h
chela_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir) \
	-DCHELA_SCHEMA_DIR='"$(schemadir)"'
chela_CFLAGS = $(AM_CFLAGS) $(CHELA_EXE_CFLAGS) $(EVENT_CFLAGS) \
	$(GNUTLS_CFLAGS) $(QRENCODE_CFLAGS)
chela_LDFLAGS = $(AM_LDFLAGS) $(CHELA_EXE_LDFLAGS)
chela_LDADD = core/libchela.la core/libjson.la core/libbase.la \
	$(EVENT_LIBS) $(JSON_LIBS) $(GNUTLS_LIBS) $(QRENCODE_LIBS)
dist_man_MANS += core/client/chela.1

# The node host starts children as plugin process does, with the same code.
bin_PROGRAMS += chela-node
chela_node_SOURCES = core/client/chela_node.c core/client/chela_node.h \
	core/client/chela_node_cmd.c core/client/chela_node_policy.c \
	core/client/chela_node_run.c \
	plugins/process/spawn.c plugins/process/spawn.h
chela_node_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_builddir)
chela_node_CFLAGS = $(AM_CFLAGS) $(CHELA_EXE_CFLAGS) $(EVENT_CFLAGS) \
	$(GNUTLS_CFLAGS)
chela_node_LDFLAGS = $(AM_LDFLAGS) $(CHELA_EXE_LDFLAGS)
chela_node_LDADD = core/libchela.la core/libjson.la core/libbase.la \
	$(EVENT_LIBS) $(JSON_LIBS) $(GNUTLS_LIBS)
dist_man_MANS += core/client/chela-node.1

man_MANS = core/client/libchela.3
EXTRA_DIST += core/client/man.awk
CLEANFILES += core/client/libchela.3
core/client/libchela.3: include/chela/client.h core/client/man.awk \
		contrib/examples/client/ask.c
	$(AM_V_GEN)$(MKDIR_P) core/client && \
	$(AWK) -v date='November 25, 2026' \
	    -v example=$(top_srcdir)/contrib/examples/client/ask.c \
	    -f $(top_srcdir)/core/client/man.awk \
	    $(top_srcdir)/include/chela/client.h >$@.tmp && mv $@.tmp $@

# The example is built as a stranger would: with the installed headers alone.
check_PROGRAMS += contrib/examples/client/ask
contrib_examples_client_ask_SOURCES = contrib/examples/client/ask.c
contrib_examples_client_ask_CPPFLAGS = -I$(top_srcdir)/include
contrib_examples_client_ask_CFLAGS = $(CHELA_CFLAGS) -std=c99 $(JSON_CFLAGS)
contrib_examples_client_ask_LDADD = core/libchela.la $(JSON_LIBS)

check_PROGRAMS += tests/fuzz/fuzz_reply tests/fuzz/fuzz_url
tests_fuzz_fuzz_reply_SOURCES = tests/fuzz/fuzz_reply.c tests/fuzz/replay.c \
	core/client/reply.c core/client/reply.h
tests_fuzz_fuzz_reply_LDADD = core/libws.la core/libbase.la
tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz_url.c tests/fuzz/replay.c \
	core/client/url.c core/client/url.h
EXTRA_DIST += tests/fuzz/corpus/reply tests/fuzz/corpus/url

if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_client
TESTS += tests/unit/test_client
tests_unit_test_client_SOURCES = tests/unit/test_client.c tests/unit/cu.h \
	tests/unit/peer.c tests/unit/peer.h core/client/url.c
tests_unit_test_client_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_unit_test_client_LDADD = core/libchela.la core/libaccess.la \
	core/libhttphead.la core/libws.la core/libjson.la core/libbase.la $(EVENT_LIBS) \
	$(JSON_LIBS) $(CUNIT_LIBS)
check_PROGRAMS += tests/unit/test_command
TESTS += tests/unit/test_command
tests_unit_test_command_SOURCES = tests/unit/test_command.c tests/unit/cu.h \
	tests/unit/peer.c tests/unit/peer.h
tests_unit_test_command_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_unit_test_command_LDADD = core/libhttphead.la core/libws.la \
	core/libbase.la $(EVENT_LIBS) $(JSON_LIBS) $(CUNIT_LIBS)
EXTRA_tests_unit_test_command_DEPENDENCIES = chela
endif
