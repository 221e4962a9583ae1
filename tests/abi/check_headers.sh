#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each installed header stands alone, as C99 and as C++17, without a warning.
set -u
: "${CHELA_SOURCE:?}"
n=0
failed=0
log=$(mktemp "${TMPDIR:-/tmp}/chela-abi-XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT

result() {
	n=$((n + 1))
	if test "$1" = 0; then
		echo "ok $n - $2"
	else
		failed=$((failed + 1))
		echo "not ok $n - $2"
		sed 's/^/  # /' "$log"
	fi
}

have_cxx=no
command -v "${CXX:-g++}" >/dev/null 2>&1 && have_cxx=yes
for h in "$CHELA_SOURCE"/include/chela/*.h \
    "$CHELA_SOURCE"/include/chela/services/*.h; do
	name=${h#"$CHELA_SOURCE"/include/}
	${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
	    -I"$CHELA_SOURCE/include" -include "$name" -x c /dev/null >"$log" 2>&1
	result $? "$name is C99 and stands alone"
	if test $have_cxx = yes; then
		"${CXX:-g++}" -std=c++17 -Wall -Wextra -Wpedantic -Werror \
		    -fsyntax-only -I"$CHELA_SOURCE/include" -include "$name" \
		    -x c++ /dev/null >"$log" 2>&1
		result $? "$name is C++17 and stands alone"
	fi
done
echo "# $((n - failed)) passed, $failed failed"
test $failed = 0
