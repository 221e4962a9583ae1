# SPDX-License-Identifier: MIT
# Raw frames against the daemon; Python's standard library is enough.
wire_scripts = tests/wire/test_bad_plugin.py \
	tests/wire/test_crashing_plugin.py \
	tests/wire/test_upgrade.py \
	tests/wire/test_approvals.py \
	tests/wire/test_console.py \
	tests/wire/test_frames.py \
	tests/wire/test_handshake.py \
	tests/wire/test_hooks.py \
	tests/wire/test_requests.py \
	tests/wire/test_restart.py \
	tests/wire/test_clock.py \
	tests/wire/test_routes.py \
	tests/wire/test_native.py \
	tests/wire/test_native_chat.py \
	tests/wire/test_planted.py \
	tests/wire/test_node.py \
	tests/wire/test_pressure.py \
	tests/wire/test_process.py \
	tests/wire/test_turns.py \
	tests/wire/test_library.py \
	tests/wire/test_vault.py \
	tests/wire/test_tls.py \
	tests/wire/test_over_tls.py
TESTS += $(wire_scripts)
EXTRA_DIST += $(wire_scripts) tests/wire/wallclock.c tests/wire/bad.c tests/wire/badplugin.py \
	tests/wire/ws.py tests/wire/gateway.py \
	tests/threats.md
TEST_EXTENSIONS = .py .sh
script_env = CHELA_BUILD='$(abs_builddir)' CHELA_SOURCE='$(abs_srcdir)' \
	CC='$(CC)' PYTHONDONTWRITEBYTECODE=1
PY_LOG_COMPILER = env $(script_env) $(PYTHON3)
SH_LOG_COMPILER = env $(script_env) sh

# With Ed25519, which Python's library lacks and Node.js's has.
device_scripts = tests/wire/test_devices.mjs tests/wire/test_access.mjs \
	tests/wire/test_node_chat.mjs \
	tests/wire/test_bearer.mjs tests/wire/test_nginx.mjs \
	tests/wire/test_push.mjs
EXTRA_DIST += tests/wire/device.mjs $(device_scripts)
if HAVE_NODE
TESTS += $(device_scripts)
endif
TEST_EXTENSIONS += .mjs
MJS_LOG_COMPILER = env $(script_env) $(NODE)

# A plugin with routes for test_routes.py.
check_LTLIBRARIES += tests/wire/trips/trips.la
tests_wire_trips_trips_la_SOURCES = tests/wire/trips/trips.c
tests_wire_trips_trips_la_CPPFLAGS = $(PLUGIN_CPPFLAGS)
tests_wire_trips_trips_la_CFLAGS = $(PLUGIN_CFLAGS)
tests_wire_trips_trips_la_LDFLAGS = $(MODULE_FLAGS) -rpath /nowhere
tests_wire_trips_trips_la_LIBADD = $(JSON_LIBS)
EXTRA_DIST += tests/wire/trips/trips.json
