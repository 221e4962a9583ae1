#!/bin/sh
# SPDX-License-Identifier: MIT
# Replays tests/fuzz/corpus/NOUN with the fuzz target fuzz_NOUN of this build.
dir=${srcdir:-.}/tests/fuzz/corpus
failed=0
count=0
for corpus in "$dir"/*/; do
	noun=$(basename "$corpus")
	target=tests/fuzz/fuzz_$noun
	if test ! -x "$target"; then
		echo "fuzz_$noun: not built"
		failed=1
		continue
	fi
	count=$((count + 1))
	echo "fuzz_$noun:"
	"$target" "$corpus" || failed=1
done
test "$count" -gt 0 || failed=1
exit $failed
