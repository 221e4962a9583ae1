/* SPDX-License-Identifier: MIT */
/*
 * The body of a request. The first bytes choose its framing and the size of the
 * pieces; however it is cut, content, end and refusal are the same, and content
 * never exceeds the limit.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/http_body.h"
#include "core/net/http_head.h"

#define MAX	512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	int		 r;
	unsigned	 status;
	size_t		 used, len;
	char		 bytes[MAX];
};

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static void
run(const struct http_head *h, const char *p, size_t len, size_t step,
    struct result *ret)
{
	struct http_body	 b;
	size_t			 have = 0, used, n;

	memset(ret, 0, sizeof *ret);
	ret->r = http_body_init(&b, h, MAX);
	if (ret->r < 0)
		return;
	do {
		have = MIN_OF(len, have + step);
		do {
			ret->r = http_body_feed(&b, p + ret->used,
			    have - ret->used, &used, &n);
			if (ret->r < 0) {
				ret->status = b.status;
				require(ret->r == -EBADMSG &&
				    (b.status == 400 || b.status == 413));
				return;
			}
			require(used <= have - ret->used && n <= used);
			require((ret->r == HTTP_BODY_DATA) == (n > 0));
			ret->used += used;
			require(n <= MAX - ret->len);
			memcpy(ret->bytes + ret->len, p + ret->used - n, n);
			ret->len += n;
		} while (ret->r == HTTP_BODY_DATA);
		require(ret->r == HTTP_BODY_END || ret->used == have);
	} while (ret->r != HTTP_BODY_END && have < len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result	 whole, cut;
	static struct http_head	 h;
	const char		*p = (const char *)data + 2;

	if (size < 2)
		return (0);
	h.is_chunked = (data[0] & 1) == 0;
	h.content_length = h.is_chunked ? HTTP_NO_LENGTH :
	    (uint64_t)data[0] << 2;
	run(&h, p, size - 2, size, &whole);
	run(&h, p, size - 2, (size_t)data[1] % 16 + 1, &cut);
	require(whole.r == cut.r && whole.status == cut.status);
	if (whole.r >= 0)
		require(whole.used == cut.used && whole.len == cut.len &&
		    memcmp(whole.bytes, cut.bytes, whole.len) == 0);
	return (0);
}
