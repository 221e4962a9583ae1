# SPDX-License-Identifier: MIT

# The store: built by make check so that it keeps compiling, run by hand.
check_PROGRAMS += tests/bench/bench_store
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = core/libstore.la
