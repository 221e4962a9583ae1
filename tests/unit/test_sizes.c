/* SPDX-License-Identifier: MIT */
/*
 * AB-143: arithmetic with sizes at its limits. Lengths that no memory can have are
 * claimed; what takes them refuses before it reads or copies a byte.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/access/device.h"
#include "core/base/buf.h"
#include "core/json/json.h"
#include "core/json/scan.h"
#include "core/net/http_body.h"
#include "core/net/http_head.h"
#include "core/net/net.h"
#include "core/net/out.h"
#include "core/ws/ws.h"
#include "tests/unit/cu.h"

/* A length that the compiler does not know. */
static volatile size_t	 most = SIZE_MAX;

static void
buffers_refuse_what_cannot_be(void)
{
	static const size_t	 off[] = { 0, 1, 2, 3, 10, 64 };
	struct buf		 b;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(off); i++) {
		buf_init(&b);
		CU_ASSERT_EQUAL_FATAL(buf_puts(&b, "12345678"), 0);
		CU_ASSERT_EQUAL(buf_reserve(&b, most - off[i]), -ENOMEM);
		CU_ASSERT_TRUE(b.is_failed);
		CU_ASSERT_EQUAL(buf_putc(&b, 'x'), -ENOMEM);
		buf_reset(&b);
		CU_ASSERT_EQUAL(buf_add(&b, "x", most - off[i]), -ENOMEM);
		buf_reset(&b);
		CU_ASSERT_EQUAL(buf_json_str(&b, "x", most - off[i]), -ENOMEM);
		CU_ASSERT_EQUAL(b.len, 0);
		buf_fini(&b);
	}
}

static void
queues_refuse_what_cannot_be(void)
{
	struct out	 o = { NULL, NULL, 0 };

	CU_ASSERT_EQUAL(out_add(&o, "h", 1, "b", most), -ENOMEM);
	CU_ASSERT_EQUAL(out_add(&o, "h", most, "b", 1), -ENOMEM);
	CU_ASSERT_EQUAL(o.len, 0);
	CU_ASSERT_PTR_NULL(outseg_new("b", most));
	CU_ASSERT_PTR_NULL(outseg_new("b", most - sizeof(size_t)));
	CU_ASSERT_EQUAL(out_held(), 0);
}

static void
texts_have_a_longest_length(void)
{
	const struct scan_limits lim = { 64, SIZE_MAX, false };
	struct scan_result	 res;
	struct json_object	*o = NULL;

	CU_ASSERT_EQUAL(json_parse("{}", INT32_MAX, &o), -EBADMSG);
	CU_ASSERT_EQUAL(json_parse("{}", most, &o), -EBADMSG);
	CU_ASSERT_PTR_NULL(o);
	CU_ASSERT_EQUAL(scan_json("{}", most, &lim, &res), -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_BUDGET);
	CU_ASSERT_EQUAL(scan_json("{}", (size_t)SCAN_LEN_MAX + 1, &lim, &res),
	    -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_BUDGET);
}

/* A frame's head that announces len bytes, to a reader that takes up to max. */
static enum ws_what
announce(size_t max, uint64_t len, uint16_t *ret_code, size_t *ret_held)
{
	static const unsigned char mask[4] = { 0 };
	unsigned char	 head[WS_HEAD_MAX + 1] = { 0 };
	struct ws	 ws;
	struct ws_event	 ev;
	size_t		 n, used;

	ws_init(&ws, WS_SERVER, max);
	n = ws_head(head, WS_OP_TEXT, len, mask);
	/* And one byte of it. */
	CU_ASSERT_EQUAL(ws_feed(&ws, (char *)head, n + 1, &used, &ev), 0);
	*ret_code = ev.code;
	*ret_held = ws_held(&ws);
	ws_fini(&ws);
	return (ev.what);
}

static void
frames_announce_what_cannot_be(void)
{
	static const struct {
		size_t		 max;
		uint64_t	 len;
		enum ws_what	 what;
		uint16_t	 code;
	} t[] = {
		{ 70000, 70000, WS_MORE, 0 },
		{ 70000, 70001, WS_FAIL, WS_CODE_TOO_BIG },
		{ 70000, UINT32_MAX, WS_FAIL, WS_CODE_TOO_BIG },
		{ 70000, UINT64_C(0x100000001), WS_FAIL, WS_CODE_TOO_BIG },
		{ 70000, INT64_MAX, WS_FAIL, WS_CODE_TOO_BIG },
		{ 70000, (uint64_t)INT64_MAX + 1, WS_FAIL, WS_CODE_PROTOCOL },
		{ 70000, UINT64_MAX, WS_FAIL, WS_CODE_PROTOCOL },
		/* No limit above what the counters hold, whatever is asked. */
		{ SIZE_MAX, INT32_MAX, WS_MORE, 0 },
		{ SIZE_MAX, (uint64_t)INT32_MAX + 1, WS_FAIL, WS_CODE_TOO_BIG },
		{ SIZE_MAX, INT64_MAX, WS_FAIL, WS_CODE_TOO_BIG },
	};
	uint16_t	 code;
	size_t		 i, held;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(announce(t[i].max, t[i].len, &code, &held),
		    t[i].what);
		CU_ASSERT_EQUAL(code, t[i].code);
		/* Who announces pays with bytes for memory. */
		CU_ASSERT(held <= 4096);
	}
}

static void
pieces_add_up(void)
{
	static const unsigned char mask[4] = { 0 };
	unsigned char	 bytes[2 * WS_HEAD_MAX + 200] = { 0 };
	struct ws	 ws;
	struct ws_event	 ev;
	size_t		 n, used, at, extra;

	for (extra = 0; extra < 2; extra++) {
		/* 100 bytes, then as many as announced: 100 of 200, or 101. */
		memset(bytes, 0, sizeof bytes);
		n = ws_head(bytes, WS_OP_TEXT, 100, mask);
		bytes[0] = WS_OP_TEXT;		/* without FIN */
		n += 100;
		n += ws_head(bytes + n, WS_OP_CONTINUATION, 100 + extra, mask);
		ws_init(&ws, WS_SERVER, 200);
		for (at = 0; at < n; at += used) {
			CU_ASSERT_EQUAL_FATAL(ws_feed(&ws, (char *)bytes + at,
			    n - at, &used, &ev), 0);
			if (ev.what != WS_MORE)
				break;
		}
		CU_ASSERT_EQUAL(ev.what, extra == 0 ? WS_MORE : WS_FAIL);
		CU_ASSERT_EQUAL(ev.code, extra == 0 ? 0 : WS_CODE_TOO_BIG);
		ws_fini(&ws);
	}
}

static int
length_is(const char *number, uint64_t *ret)
{
	char			 text[200];
	struct http_head	 h;
	int			 r, n;

	n = snprintf(text, sizeof text, "POST /x HTTP/1.1\r\nHost: x\r\n"
	    "Content-Length: %s\r\n\r\n", number);
	r = http_head_parse(text, (size_t)n, &h);
	*ret = h.content_length;
	return (r < 0 ? h.status : 0);
}

static void
bodies_announce_what_cannot_be(void)
{
	static const char	 chunk[] = "1ffffffffffffffff\r\n";
	uint64_t		 len;
	struct http_head	 h;
	struct http_body	 b;
	size_t			 used, n;

	CU_ASSERT_EQUAL(length_is("999999999999999999", &len), 0);
	CU_ASSERT_EQUAL(len, UINT64_C(999999999999999999));
	CU_ASSERT_EQUAL(length_is("1000000000000000000", &len), 400);
	CU_ASSERT_EQUAL(length_is("18446744073709551617", &len), 400);
	CU_ASSERT_EQUAL(length_is("-1", &len), 400);

	memset(&h, 0, sizeof h);
	h.is_chunked = true;
	h.content_length = HTTP_NO_LENGTH;
	/* 64 bits of ones are a number, a bit more would be none. */
	CU_ASSERT_EQUAL(http_body_init(&b, &h, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(http_body_feed(&b, chunk + 1, 18, &used, &n),
	    HTTP_BODY_MORE);
	CU_ASSERT_EQUAL(http_body_init(&b, &h, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(http_body_feed(&b, chunk, 19, &used, &n), -EBADMSG);
	CU_ASSERT_EQUAL(b.status, 413);
	/* The sum of the chunks. */
	CU_ASSERT_EQUAL(http_body_init(&b, &h, 10), 0);
	CU_ASSERT_EQUAL(http_body_feed(&b, "9\r\n123456789\r\n", 14, &used, &n),
	    HTTP_BODY_DATA);
	CU_ASSERT_EQUAL(http_body_feed(&b, "\r\n", 2, &used, &n),
	    HTTP_BODY_MORE);
	CU_ASSERT_EQUAL(http_body_feed(&b, "2\r\n", 3, &used, &n), -EBADMSG);
	CU_ASSERT_EQUAL(b.status, 413);
}

static void
base64_fits_or_is_refused(void)
{
	unsigned char	 in[64], out[64 + 1];
	char		 text[4 * 64];
	size_t		 len;

	memset(in, 0xa5, sizeof in);
	for (len = 0; len <= sizeof in; len++) {
		base64url_write(text, in, len);
		CU_ASSERT_EQUAL(strlen(text), (len * 4 + 2) / 3);
		memset(out, 0x11, sizeof out);
		CU_ASSERT_EQUAL(base64_read(text, out, len), (int)len);
		CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
		CU_ASSERT_EQUAL(out[len], 0x11);
		if (len == 0)
			continue;
		memset(out, 0x11, sizeof out);
		CU_ASSERT_EQUAL(base64_read(text, out, len - 1), -EINVAL);
		CU_ASSERT_EQUAL(out[len - 1], 0x11);
		ws_base64(in, len, text);
		CU_ASSERT_EQUAL(strlen(text), (len + 2) / 3 * 4);
		CU_ASSERT_EQUAL(base64_read(text, out, len), (int)len);
	}
}

static const struct cu_case cases[] = {
	CU_CASE(buffers_refuse_what_cannot_be),
	CU_CASE(queues_refuse_what_cannot_be),
	CU_CASE(texts_have_a_longest_length),
	CU_CASE(frames_announce_what_cannot_be),
	CU_CASE(pieces_add_up),
	CU_CASE(bodies_announce_what_cannot_be),
	CU_CASE(base64_fits_or_is_refused),
	CU_END
};
CU_MAIN("sizes", cases)
