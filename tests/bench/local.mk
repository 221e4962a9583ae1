# SPDX-License-Identifier: MIT

# The store: built by make check so that it keeps compiling, run by hand.
check_PROGRAMS += tests/bench/bench_store
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = core/libstore.la
# Measuring: "make bench" for the table, "make bench-ir" for the guarded figure.
EXTRA_PROGRAMS = tests/bench/wsload tests/bench/epoll_echo tests/bench/tlsload
tests_bench_tlsload_SOURCES = tests/bench/tlsload.c
tests_bench_tlsload_CFLAGS = $(AM_CFLAGS) $(GNUTLS_CFLAGS)
tests_bench_tlsload_LDADD = $(GNUTLS_LIBS)
tests_bench_wsload_SOURCES = tests/bench/wsload.c
tests_bench_wsload_LDADD = -lm
tests_bench_epoll_echo_SOURCES = tests/bench/epoll_echo.c
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += tests/bench/README tests/bench/run tests/bench/ir \
	tests/bench/security.mjs tests/bench/ws_ajv_server.mjs

bench-programs: all $(EXTRA_PROGRAMS) tests/bench/say/say.la
bench: bench-programs
	npm=; test ! -d npm/node_modules/ws || npm='--npm npm'; \
	$(PYTHON3) $(srcdir)/tests/bench/run $$npm $(builddir)
bench-ir: bench-programs
	$(PYTHON3) $(srcdir)/tests/bench/ir $(builddir)
bench-security: bench-programs
	CHELA_BUILD=$(abs_builddir) CHELA_SOURCE=$(abs_srcdir) \
	    node $(srcdir)/tests/bench/security.mjs
.PHONY: bench-programs bench bench-ir bench-security

# The scanner and the validator, without a daemon.
check_PROGRAMS += tests/bench/bench_scan
tests_bench_bench_scan_SOURCES = tests/bench/bench_scan.c
tests_bench_bench_scan_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS)

# A plugin with one method and one event: what the bus itself costs.
check_LTLIBRARIES += tests/bench/say/say.la
tests_bench_say_say_la_SOURCES = tests/bench/say/say.c
tests_bench_say_say_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_bench_say_say_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_bench_say_say_la_LDFLAGS = $(MODULE_FLAGS) -rpath /nowhere
tests_bench_say_say_la_LIBADD = $(JSON_LIBS)
EXTRA_DIST += tests/bench/say/say.json
