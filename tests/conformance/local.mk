# SPDX-License-Identifier: MIT
# The official clients against chelad; needs npm, so it is not part of check.
EXTRA_DIST += tests/conformance/package.json \
	tests/conformance/lib.mjs \
	tests/conformance/official.mjs \
	tests/conformance/methods.json \
	tests/conformance/differences.json \
	tests/conformance/test_client.mjs \
	tests/conformance/test_devices.mjs \
	tests/conformance/test_tls.mjs \
	tests/conformance/test_params.mjs \
	tests/conformance/test_methods.mjs \
	tests/conformance/test_plugins.mjs \
	tests/conformance/openai_server.mjs \
	tests/conformance/test_openai_server.mjs \
	tests/conformance/test_crash.mjs \
	tests/conformance/test_reconnect.mjs \
	tests/conformance/package-lock.json \
	tests/conformance/run \
	tests/conformance/openclaw/test_openclaw.mjs \
	tests/conformance/openclaw/test_openclaw_node.mjs \
	tests/conformance/openclaw/test_openclaw_tls.mjs \
	tests/conformance/openclaw/package.json \
	tests/conformance/openclaw/package-lock.json

conformance: all
	$(srcdir)/tests/conformance/run --npm-dir $(builddir)/npm $(builddir)
.PHONY: conformance

# The validator against AJV; it skips where the packages are not installed.
dist_check_SCRIPTS += tests/conformance/ajv.sh
EXTRA_DIST += tests/conformance/test_ajv.mjs
TESTS += tests/conformance/ajv.sh
check_PROGRAMS += tests/conformance/schema_run
tests_conformance_schema_run_SOURCES = tests/conformance/schema_run.c
tests_conformance_schema_run_LDADD = core/libjson.la core/libbase.la $(JSON_LIBS)
conformance: tests/conformance/schema_run
