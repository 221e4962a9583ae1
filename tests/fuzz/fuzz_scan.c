/* SPDX-License-Identifier: MIT */
/*
 * The scanner against json-c: what it accepts, json-c parses to the end, the
 * tree costs no more than was said, and what is written from it is accepted
 * again and means the same. A frame's spans are JSON themselves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/json/json.h"

#define MUST(x) do { \
	if (!(x)) \
		abort(); \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_span(const struct scan_span *s, const char *text, size_t len,
    const struct scan_limits *lim)
{
	struct scan_result	 res;
	struct json_object	*v = NULL;
	struct buf		 b = BUF_INIT;

	if (s->kind == 0)
		return;
	MUST(s->p >= text && s->p + s->len <= text + len && s->len > 0);
	MUST(scan_json(s->p, s->len, lim, &res) == 0);
	if (s->kind == '"') {
		MUST(scan_span_str(s, &b) == 0);
		MUST(json_parse(s->p, s->len, &v) == 0);
		MUST((size_t)json_object_get_string_len(v) == b.len);
		MUST(b.len == 0 || memcmp(json_object_get_string(v), b.data,
		    b.len) == 0);
		MUST(!utf8_is_valid(s->p, s->len) || b.len == 0 ||
		    utf8_is_valid(b.data, b.len));
		json_object_put(v);
	}
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_limits	 lim = { 64, MIB(64), false };
	struct scan_result	 res, known;
	struct scan_frame	 f;
	struct json_object	*v = NULL, *again = NULL;
	struct buf		 out = BUF_INIT;
	const char		*text = (const char *)data;
	int			 r;

	r = scan_json(text, size, &lim, &res);
	MUST(res.offset <= size);
	MUST((r == 0) == (res.err == SCAN_OK));
	MUST((scan_frame(text, size, &lim, &f) == 0) == (r == 0));
	MUST(f.res.err == res.err && f.res.offset == res.offset);

	/* Not looking at UTF-8 makes a difference for malformed UTF-8 only. */
	lim.is_utf8_known = true;
	(void)scan_json(text, size, &lim, &known);
	if (utf8_is_valid(data, size))
		MUST(known.err == res.err && known.offset == res.offset &&
		    known.heap == res.heap);
	lim.is_utf8_known = false;
	if (r < 0)
		return (0);

	MUST(utf8_is_valid(data, size));
	check_span(&f.type, text, size, &lim);
	check_span(&f.id, text, size, &lim);
	check_span(&f.method, text, size, &lim);
	check_span(&f.params, text, size, &lim);
	check_span(&f.traceparent, text, size, &lim);
	check_span(&f.profile, text, size, &lim);
	check_span(&f.unknown, text, size, &lim);

	MUST(json_parse(text, size, &v) == 0);
	MUST(json_write(&out, v) == 0);
	MUST(scan_json(out.data, out.len, &lim, &res) == 0);
	MUST(json_parse(out.data, out.len, &again) == 0);
	MUST(json_equal(v, again));
	json_object_put(again);
	MUST(json_copy(v, &again) == 0);
	MUST(json_equal(v, again));
	json_object_put(again);
	json_object_put(v);
	buf_fini(&out);
	return (0);
}
