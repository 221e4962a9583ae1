# SPDX-License-Identifier: MIT
noinst_LTLIBRARIES += core/libconfig.la
core_libconfig_la_SOURCES = \
	core/config/config.c core/config/config.h core/config/config_priv.h \
	core/config/decide.c \
	core/config/describe.c \
	core/config/env.c \
	core/config/hash.c \
	core/config/issues.c \
	core/config/json5.c core/config/json5.h \
	core/config/live.c core/config/live.h core/config/live_priv.h \
	core/config/merge.c core/config/merge.h \
	core/config/op.c \
	core/config/paths.c \
	core/config/redact.c core/config/redact.h \
	core/config/schema.c \
	core/config/service.c
core_libconfig_la_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS) $(GNUTLS_CFLAGS)
core_libconfig_la_LIBADD = core/libjson.la core/libbase.la \
	$(JSON_LIBS) $(GNUTLS_LIBS)
dist_schema_DATA += schemas/config.json

check_PROGRAMS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c tests/fuzz/replay.c
tests_fuzz_fuzz_config_LDADD = core/libconfig.la $(JSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/config

# The manual page is made by hand from the schema and compared by a test.
check_PROGRAMS += core/config/confman
core_config_confman_SOURCES = core/config/confman.c
core_config_confman_LDADD = core/libconfig.la $(JSON_LIBS)
dist_man_MANS += core/config/chela.json.5
dist_check_SCRIPTS += tests/unit/check_confman.sh
TESTS += tests/unit/check_confman.sh
