#!/bin/sh
# SPDX-License-Identifier: MIT
#
# AB-045: comparing a guess takes the same instructions wherever it differs from
# the secret, and however long the secret is.
set -u
prog=${CHELA_BUILD:?}/tests/unit/secret_count
command -v valgrind >/dev/null 2>&1 || { echo "valgrind is not installed"; exit 77; }
if nm "$prog" 2>/dev/null | grep -q __asan_init; then
	echo "valgrind and the address sanitizer exclude each other"
	exit 77
fi

# count FUNCTION SECRET GUESS: the instructions within the function.
count() {
	out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null \
	    --toggle-collect="$1" "$prog" "$2" "$3" 2>&1)
	status=$?
	n=$(printf '%s\n' "$out" | sed -n 's/.*Collected : *\([0-9]*\).*/\1/p')
	if test -z "$n" || test "$n" -lt 100 || test $status -gt 1; then
		echo "valgrind failed:" >&2
		printf '%s\n' "$out" >&2
		exit 1
	fi
	echo "$n $status"
}

k=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg
good=$k
fail=0
for f in secret_is token_is; do
	base=$(count $f $k "xBCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg") || exit 1
	for guess in \
	    "AxCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg" \
	    "ABCDEFGHIJKLMNOPQRSTUxWXYZ0123456789abcdefg" \
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefx" \
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; do
		now=$(count $f $k $guess) || exit 1
		if test "$now" != "$base"; then
			echo "not ok - $f: $guess takes $now, not $base"
			fail=1
		fi
	done
	# The right one too, but for its answer.
	now=$(count $f $k $good) || exit 1
	if test "${now% *}" != "${base% *}" || test "${now#* }" != 0; then
		echo "not ok - $f: the right one takes $now, not $base"
		fail=1
	fi
	# A secret of another length, against the same guess.
	now=$(count $f short-secret "xBCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg") ||
	    exit 1
	if test "$now" != "$base"; then
		echo "not ok - $f: a short secret takes $now, not $base"
		fail=1
	fi
	echo "# $f: ${base% *} instructions each time"
done
test $fail = 0 && echo "ok 1 - no difference is seen in the time"
exit $fail
