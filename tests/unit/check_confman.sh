#!/bin/sh
# SPDX-License-Identifier: MIT
# chela.json(5) says what schemas/config.json says.
src=${srcdir:-.}
core/config/confman "$src/schemas" | cmp - "$src/core/config/chela.json.5" || {
	echo "renew it: core/config/confman schemas >core/config/chela.json.5"
	exit 1
}
