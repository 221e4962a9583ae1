# SPDX-License-Identifier: MIT
# The plugin ABI: layout, headers, exports, types, and plugins to refuse.
check_PROGRAMS += tests/abi/layout
tests_abi_layout_SOURCES = tests/abi/layout.c
tests_abi_layout_CPPFLAGS = -I$(top_srcdir)/include
TESTS += tests/abi/layout tests/abi/check_exports.sh \
	tests/abi/check_headers.sh tests/abi/check_bad.sh \
	tests/abi/check_types.sh tests/abi/check_old.py
EXTRA_DIST += tests/abi/check_headers.sh tests/abi/check_exports.sh \
	tests/abi/check_types.sh tests/abi/check_bad.sh tests/abi/bad.c \
	tests/abi/check_old.py tests/abi/1.0.abi tests/abi/1.0/old.c \
	tests/abi/1.0/old.json tests/abi/1.0/chela/plugin.h \
	include/chela/abi-log
