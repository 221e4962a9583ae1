#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every built plugin exports chela_plugin and nothing else, and is bound at once;
# the daemon exports nothing of its own.
set -u
: "${CHELA_BUILD:?}"
n=0
failed=0

result() {
	n=$((n + 1))
	if test "$1" = 0; then
		echo "ok $n - $2"
	else
		failed=$((failed + 1))
		echo "not ok $n - $2"
		printf '%s\n' "${3-}" | sed 's/^/  # /' | head -n 10
	fi
}

for so in "$CHELA_BUILD"/plugins/*/.libs/*.so; do
	test -e "$so" || continue
	name=$(basename "$so")
	got=$(nm -D --defined-only "$so" | awk '{ print $NF }')
	test "$got" = chela_plugin
	result $? "$name exports one symbol" "$got"
	got=$(readelf -d "$so")
	printf '%s\n' "$got" | grep -Eq 'BIND_NOW|FLAGS_1.*NOW'
	result $? "$name is bound at once" "$got"
	got=$(readelf -d "$so" | sed -n 's/.*(RUNPATH).*//p;s/.*(RPATH).*//p')
	test -z "$got"
	result $? "$name has no run path" "$got"
done
test $n -gt 0 || { echo "no plugin is built"; exit 77; }
for d in "$CHELA_BUILD/core/daemon/chelad" "$CHELA_BUILD/chelad"; do
	test -x "$d" || continue
	got=$(nm -D --defined-only "$d" | awk '{ print $NF }' |
	    grep -E '^(chela|req|conn|plugin|store)_')
	test -z "$got"
	result $? "chelad exports nothing that a plugin could use" "$got"
done
echo "# $((n - failed)) passed, $failed failed"
test $failed = 0
