# SPDX-License-Identifier: MIT
# The official clients against chelad; needs npm, so it is not part of check.
EXTRA_DIST += tests/conformance/package.json \
	tests/conformance/lib.mjs \
	tests/conformance/official.mjs \
	tests/conformance/methods.json \
	tests/conformance/differences.json \
	tests/conformance/test_client.mjs \
	tests/conformance/test_params.mjs \
	tests/conformance/test_methods.mjs \
	tests/conformance/test_plugins.mjs \
	tests/conformance/test_crash.mjs \
	tests/conformance/package-lock.json \
	tests/conformance/run \
	tests/conformance/openclaw/package.json \
	tests/conformance/openclaw/package-lock.json

conformance: all
	$(srcdir)/tests/conformance/run --npm-dir $(builddir)/npm $(builddir)
.PHONY: conformance
