# SPDX-License-Identifier: MIT
# Each part adds its fuzz_NOUN to check_PROGRAMS, with tests/fuzz/replay.c, and a
# corpus in tests/fuzz/corpus/NOUN; one script replays them all.
dist_check_SCRIPTS += tests/fuzz/replay.sh
TESTS += tests/fuzz/replay.sh

# core/json
check_PROGRAMS += tests/fuzz/fuzz_scan tests/fuzz/fuzz_schema
tests_fuzz_fuzz_scan_SOURCES = tests/fuzz/fuzz_scan.c tests/fuzz/replay.c
tests_fuzz_fuzz_scan_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS)
tests_fuzz_fuzz_schema_SOURCES = tests/fuzz/fuzz_schema.c tests/fuzz/replay.c
tests_fuzz_fuzz_schema_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS)
EXTRA_DIST += tests/fuzz/corpus/scan tests/fuzz/corpus/schema
