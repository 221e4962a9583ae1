# SPDX-License-Identifier: MIT

# core/json
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_json tests/unit/test_scan tests/unit/test_schema \
	tests/unit/test_schema_suite
TESTS += tests/unit/test_json tests/unit/test_scan tests/unit/test_schema \
	tests/unit/test_schema_suite
endif
tests_unit_test_json_SOURCES = tests/unit/test_json.c tests/unit/cu.h
tests_unit_test_json_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS) \
	$(CUNIT_LIBS)
tests_unit_test_scan_SOURCES = tests/unit/test_scan.c tests/unit/cu.h
tests_unit_test_scan_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS) \
	$(CUNIT_LIBS)
tests_unit_test_schema_SOURCES = tests/unit/test_schema.c tests/unit/cu.h
tests_unit_test_schema_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS) \
	$(CUNIT_LIBS)
tests_unit_test_schema_suite_SOURCES = tests/unit/test_schema_suite.c \
	tests/unit/cu.h
tests_unit_test_schema_suite_LDADD = core/libjson.la core/libbase.la \
	$(JSON_LIBS) $(CUNIT_LIBS)
EXTRA_DIST += tests/json-schema-suite

# core/config
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_json5 tests/unit/test_config \
	tests/unit/test_conf_live
TESTS += tests/unit/test_json5 tests/unit/test_config tests/unit/test_conf_live
endif
tests_unit_test_json5_SOURCES = tests/unit/test_json5.c tests/unit/cu.h
tests_unit_test_json5_LDADD = core/libconfig.la $(CUNIT_LIBS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/unit/cu.h
tests_unit_test_config_LDADD = core/libconfig.la $(JSON_LIBS) $(CUNIT_LIBS)
tests_unit_test_conf_live_SOURCES = tests/unit/test_conf_live.c \
	tests/unit/cu.h
tests_unit_test_conf_live_LDADD = core/libconfig.la $(JSON_LIBS) $(CUNIT_LIBS)

# core/store
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_store tests/unit/test_store_fault \
	tests/unit/test_store_log
TESTS += tests/unit/test_store tests/unit/test_store_fault \
	tests/unit/test_store_log
endif
tests_unit_test_store_SOURCES = tests/unit/test_store.c tests/unit/cu.h \
	tests/unit/store_help.c tests/unit/store_help.h
tests_unit_test_store_LDADD = core/libstore.la $(CUNIT_LIBS)
tests_unit_test_store_log_SOURCES = tests/unit/test_store_log.c tests/unit/cu.h \
	tests/unit/store_help.c tests/unit/store_help.h
tests_unit_test_store_log_LDADD = core/libstore.la $(SQLITE_LIBS) $(CUNIT_LIBS)
tests_unit_test_store_fault_SOURCES = tests/unit/test_store_fault.c \
	tests/unit/cu.h tests/unit/fault_vfs.c tests/unit/fault_vfs.h \
	tests/unit/store_help.c tests/unit/store_help.h
tests_unit_test_store_fault_LDADD = core/libstore.la $(SQLITE_LIBS) \
	$(CUNIT_LIBS)
check_PROGRAMS += tests/unit/store_crash
TESTS += tests/unit/store_crash
tests_unit_store_crash_SOURCES = tests/unit/store_crash.c \
	tests/unit/store_help.c tests/unit/store_help.h
tests_unit_store_crash_LDADD = core/libstore.la $(SQLITE_LIBS)

# core/base
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_base tests/unit/test_loop tests/unit/test_map
TESTS += tests/unit/test_base tests/unit/test_loop tests/unit/test_map
endif
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/unit/cu.h
tests_unit_test_base_LDADD = core/libbase.la $(CUNIT_LIBS)
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c tests/unit/cu.h
tests_unit_test_loop_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
tests_unit_test_loop_LDADD = core/libbase.la $(EVENT_LIBS) $(CUNIT_LIBS)
tests_unit_test_map_SOURCES = tests/unit/test_map.c tests/unit/cu.h
tests_unit_test_map_LDADD = core/libbase.la $(CUNIT_LIBS)

# Memory runs out in what is pure: core/base, json, ws, net (heads), config.
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_oom
TESTS += tests/unit/test_oom
endif
tests_unit_test_oom_SOURCES = tests/unit/test_oom.c tests/unit/cu.h
tests_unit_test_oom_CFLAGS = $(AM_CFLAGS) -fno-builtin
tests_unit_test_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=strdup
tests_unit_test_oom_LDADD = core/libconfig.la core/libhttphead.la core/libws.la \
	core/libjson.la core/libbase.la $(JSON_LIBS) $(CUNIT_LIBS)

# Sizes at their limits.
if HAVE_CUNIT
check_PROGRAMS += tests/unit/test_sizes
TESTS += tests/unit/test_sizes
endif
tests_unit_test_sizes_SOURCES = tests/unit/test_sizes.c tests/unit/cu.h
tests_unit_test_sizes_LDADD = core/libaccess.la core/libnet.la core/libhttphead.la \
	core/libws.la core/libjson.la core/libbase.la $(CUNIT_LIBS)
