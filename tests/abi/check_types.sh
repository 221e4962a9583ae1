#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The types of the ABI against the baseline of the newest minor version:
#	same		ok
#	only appended	needs a new baseline, a higher CHELA_ABI_MINOR and a line
#			in include/chela/abi-log; then it is ok
#	else		a new major version
# A suppression file would hide changed arguments of function pointers, so the
# report is read instead. "check_types.sh --write FILE" makes a baseline.
set -u
: "${CHELA_SOURCE:?}"
command -v abidw >/dev/null 2>&1 || { echo "abidw is not installed"; exit 77; }
test "$(uname -m)" = x86_64 || { echo "the baseline is of x86_64"; exit 77; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/chela-abi-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT

# An object whose exported functions mention every struct of the plugin ABI, so
# that abidw sees them all. The same compiler and flags each time: only types
# count.
#
# The services are not in it yet: each has its own major in its name and a
# struct_size, and include/chela/abi-log says when their tables are frozen.
headers=chela/plugin.h
{
	for h in $headers; do
		echo "#include <$h>"
	done
	for h in $headers; do
		sed -n 's/^struct \(chela_[a-z0-9_]*\) {$/CHELA_EXPORT void anchor_\1(const struct \1 *p);\
CHELA_EXPORT void anchor_\1(const struct \1 *p) { (void)p; }/p' \
		    "$CHELA_SOURCE/include/$h"
	done
} >"$tmp/anchor.c"
(cd "$tmp" && ${CC:-cc} -g -O0 -shared -fPIC -I"$CHELA_SOURCE/include" \
    -o anchor.so anchor.c) || exit 1
if test "${1-}" = --write; then
	abidw --no-corpus-path --no-comp-dir-path --no-show-locs \
	    --out-file "$2" "$tmp/anchor.so"
	exit
fi
base=$(ls "$CHELA_SOURCE"/tests/abi/1.*.abi | sort -V | tail -n 1)
report=$(abidiff --leaf-changes-only --no-show-locs "$base" "$tmp/anchor.so")
if test $? = 0; then
	echo "ok 1 - the types are those of $(basename "$base")"
	echo "# 1 passed, 0 failed"
	exit 0
fi
printf '%s\n' "$report" | awk '
	/^Removed\/Changed\/Added/ && !/0 Removed, 0 Changed/ { bad = 1 }
	/^.struct .* changed:$/		{ old = 0 }
	/type size changed from/	{ old = $5 }
	/data member deletion|there are data member change|data member change|type size hasn.t changed|enumerator (deletion|change)/ { bad = 1 }
	/at offset [0-9]+ \(in bits\)/ {
		for (i = 1; i < NF; i++)
			if ($i == "offset" && (!old || $(i + 1) + 0 < old))
				bad = 1
		added = 1
	}
	END { exit bad ? 2 : added ? 1 : 2 }'
case $? in
1)	echo "not ok 1 - members were appended: raise CHELA_ABI_MINOR and write" \
	    "the new baseline (tests/abi/check_types.sh --write tests/abi/1.N.abi)" ;;
*)	echo "not ok 1 - types changed: this breaks plugins that are built" ;;
esac
printf '%s\n' "$report" | sed 's/^/  # /'
echo "# 0 passed, 1 failed"
exit 1
