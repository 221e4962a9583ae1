#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds each plugin of bad.c and asks chelad about it: refused, with a sentence
# that says what is wrong, and nothing crashes (AB-060, AB-092, AB-093, AB-095). Needs
# CHELA_BUILD, CHELA_SOURCE.
set -u
: "${CHELA_BUILD:?}" "${CHELA_SOURCE:?}"
chelad=$CHELA_BUILD/core/daemon/chelad
test -x "$chelad" || chelad=$CHELA_BUILD/chelad
test -x "$chelad" || { echo "no chelad in $CHELA_BUILD"; exit 77; }
cc=${CC:-cc}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/chela-abi-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0
failed=0

result() {	# 0|1 NAME [FILE]
	n=$((n + 1))
	if test "$1" = 0; then
		echo "ok $n - $2"
	else
		failed=$((failed + 1))
		echo "not ok $n - $2"
		sed 's/^/  # /' "$3" | tail -n 12
	fi
}

# case NUMBER NAME PATTERN: refused by --check-plugins for that reason; with
# PATTERN "" it is accepted. Cases that only show when started: try().
build() {
	dir=$tmp/$2
	mkdir -p "$dir/state"
	chmod 700 "$dir/state"
	# shellcheck disable=SC2086
	$cc -shared -fPIC -g -O1 ${ABI_CFLAGS-} -I"$CHELA_SOURCE/include" \
	    -DBAD="$1" "-DNAME=\"$2\"" -Wl,-z,now -fvisibility=hidden \
	    -o "$dir/$2.so" "$CHELA_SOURCE/tests/abi/bad.c" || exit 1
	chmod 755 "$dir/$2.so"
	sed "s/NAME/$2/g" >"$dir/$2.json" <<-'END'
	{"methods": {"NAME.say": {"summary": "Says nothing.",
	  "params": {"type": "object", "additionalProperties": false},
	  "result": {"type": "object"}, "errors": []}}}
	END
	echo '{}' >"$dir/config.json"
	chmod 600 "$dir/config.json"
}

run() {
	dir=$tmp/$1
	shift
	timeout 20 "$chelad" --config "$dir/config.json" --state-dir "$dir/state" \
	    --schema-dir "$CHELA_SOURCE/schemas" --plugin-dir "$dir" --port 0 \
	    "$@" >"$dir/out" 2>&1
}

check() {
	build "$1" "$2"
	run "$2" --check-plugins
	r=$?
	if test -z "$3"; then
		test $r = 0 && grep -q "$2" "$tmp/$2/out"
		result $? "$2 is accepted" "$tmp/$2/out"
		return
	fi
	test $r -gt 0 && test $r -lt 124 && grep -Eq "$3" "$tmp/$2/out" &&
	    ! grep -q 'init: called' "$tmp/$2/out"
	result $? "$2 is refused: $3" "$tmp/$2/out"
}

# Refused when it starts, and not to be done without: the daemon ends, and says
# which plugin and why.
start() {
	build "$1" "$2"
	echo "{\"plugins\": {\"entries\": {\"$2\": {\"optional\": false}}}}" \
	    >"$tmp/$2/config.json"
	run "$2"
	r=$?
	test $r -gt 0 && test $r -lt 124 && grep -Eq "$3" "$tmp/$2/out"
	result $? "$2 stops the start: $3" "$tmp/$2/out"
}

# AB-093, and for the names AB-060.
check 0 good ''
check 1 bad-magic 'bad-magic.*magic|not a chela plugin'
check 2 bad-major 'bad-major.*(ABI|abi).*2'
check 3 bad-minor 'bad-minor.*(ABI|abi).*1\.9'
check 4 bad-json 'bad-json.*json'
check 5 bad-size 'bad-size.*(size|24)'
check 6 bad-stride 'bad-stride.*(stride|size|8)'
check 7 bad-name 'someone-else'
check 8 bad-prefix 'bad-prefix.*chat\.say'
check 9 bad-twice 'bad-twice.*(twice|already|duplicate)'
check 10 bad-flag 'bad-flag.*flag'
check 11 bad-roles 'bad-roles.*role'
check 12 bad-handler 'bad-handler.*handler'
check 13 bad-symbol 'bad-symbol.*(not a chela plugin|chela_plugin)'
check 14 bad-undefined 'bad-undefined.*chela_no_such_function'
check 15 bad-dep 'bad-dep.*not-there'
check 16 bad-cycle 'bad-cycle.*(bad-cycle|cycle|itself)'
check 18 bad-unlisted 'bad-unlisted.*bad-unlisted\.more'
check 20 bad-pflag 'bad-pflag.*flag'
check 21 bad-count 'bad-count.*(method|table|count)'
# AB-092: tables of any size and stride.
check 22 bad-many 'bad-many.*100000 methods, at most 512'
check 23 bad-far 'bad-far.*method_size is 4294967288, at most 4096'
check 24 bad-odd 'bad-odd.*method_size.*whole pointers'
check 25 bad-short 'bad-short.*500 methods reaches out of the file'
check 26 bad-deps 'bad-deps.*4294967295 dependencies, at most 128'
check 27 bad-nodep 'bad-nodep.*dependency 0.*name'
check 28 bad-events 'bad-events.*100000 events, at most 128'
start 17 bad-init 'bad-init.*init'
start 19 bad-start 'bad-start.*start'

# AB-095: files of another kind, and files that others may write.
mkdir -p "$tmp/text/state" && chmod 700 "$tmp/text/state"
echo '{}' >"$tmp/text/config.json"
echo 'this is no object' >"$tmp/text/text.so"
run text --check-plugins
r=$?
test $r -gt 0 && test $r -lt 124 && grep -q text "$tmp/text/out"
result $? "a text file is refused" "$tmp/text/out"
for mode in 666 664 622; do
	build 0 "open$mode"
	chmod $mode "$tmp/open$mode/open$mode.so"
	run "open$mode" --check-plugins
	r=$?
	test $r -gt 0 && test $r -lt 124 &&
	    grep -Eq "open$mode.*others may write.*0$mode" "$tmp/open$mode/out"
	result $? "a file of mode $mode is refused" "$tmp/open$mode/out"
done
build 0 link
mv "$tmp/link/link.so" "$tmp/link/real"
ln -s real "$tmp/link/link.so"
run link --check-plugins
r=$?
test $r -gt 0 && test $r -lt 124 &&
    grep -Eq 'link.*the file is a link' "$tmp/link/out"
result $? "a link to a good plugin is refused" "$tmp/link/out"

# And folders: who may write one can put anything there.
for mode in 777 775 1777; do
	build 0 "folder$mode"
	chmod $mode "$tmp/folder$mode"
	run "folder$mode" --check-plugins
	r=$?
	chmod 755 "$tmp/folder$mode"
	test $r -gt 0 && test $r -lt 124 && grep -Eq \
	    "folder$mode.*others may write the folder.*mode 0?$mode" \
	    "$tmp/folder$mode/out"
	result $? "a folder of mode $mode is refused" "$tmp/folder$mode/out"
done
# at WHERE NAME: the plugin of folder NAME, found by another path.
at() {
	timeout 20 "$chelad" --config "$tmp/$2/config.json" \
	    --state-dir "$tmp/$2/state" --schema-dir "$CHELA_SOURCE/schemas" \
	    --plugin-dir "$1" --check-plugins >"$tmp/$2/out" 2>&1
}
build 0 linked
ln -s linked "$tmp/a-link"
at "$tmp/a-link/" linked
r=$?
test $r -gt 0 && test $r -lt 124 &&
    grep -Eq "linked.*the folder '.*a-link' is a link" "$tmp/linked/out"
result $? "a folder that is a link is refused" "$tmp/linked/out"
# By a relative path, and with a link further up, that the administrator made.
ln -s . "$tmp/up"
at "$tmp/up/linked" linked
result $? "a link further up is resolved" "$tmp/linked/out"
(cd "$tmp/linked" && at . linked)
result $? "a folder by a relative path is accepted" "$tmp/linked/out"
mkdir "$tmp/open" && build 0 inner && mv "$tmp/inner" "$tmp/open/inner"
chmod 777 "$tmp/open"
at "$tmp/open/inner" open/inner
r=$?
test $r -gt 0 && test $r -lt 124 &&
    grep -Eq "inner.*others may write the folder '.*/open' \(mode 0777" \
    "$tmp/open/inner/out"
result $? "a folder below one of mode 777 is refused" "$tmp/open/inner/out"
chmod 1777 "$tmp/open"
at "$tmp/open/inner" open/inner
result $? "below one of mode 1777 it is accepted" "$tmp/open/inner/out"
if test "$(id -u)" = 0; then
	build 0 foreign
	chown 12345 "$tmp/foreign"
	run foreign --check-plugins
	r=$?
	chown 0 "$tmp/foreign"
	test $r -gt 0 && test $r -lt 124 && grep -Eq \
	    "foreign.*the folder '.*foreign' belongs to user 12345" \
	    "$tmp/foreign/out"
	result $? "a folder of another user is refused" "$tmp/foreign/out"
fi

echo "# $((n - failed)) passed, $failed failed"
test $failed = 0
