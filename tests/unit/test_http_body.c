/* SPDX-License-Identifier: MIT */
/* Bodies of requests (RFC 9112 sections 6, 7), whole and byte by byte (AB-077). */
#include <errno.h>
#include <string.h>

#include "core/net/http_body.h"
#include "core/net/http_head.h"
#include "tests/unit/cu.h"

#define CHUNKED	UINT64_MAX - 1	/* stands for a length that is not said */

struct result {
	int	 r;		/* the last one */
	char	 text[64];
	size_t	 len, used;
	unsigned status;
};

/* Feeds it in pieces of step bytes; stops behind the end. */
static struct result
feed(uint64_t length, uint64_t max, const char *p, size_t len, size_t step)
{
	struct http_head	 h = { .content_length = length };
	struct result		 ret = { .r = HTTP_BODY_MORE };
	struct http_body	 b;
	size_t			 at = 0, have = 0, used, n;

	if (length == CHUNKED) {
		h.is_chunked = true;
		h.content_length = HTTP_NO_LENGTH;
	}
	ret.r = http_body_init(&b, &h, max);
	if (ret.r < 0)
		return (ret);
	do {
		have = MIN_OF(len, have + step);
		do {
			ret.r = http_body_feed(&b, p + at, have - at, &used, &n);
			if (ret.r < 0) {
				ret.status = b.status;
				return (ret);
			}
			at += used;
			if (n > 0 && ret.len + n < sizeof ret.text)
				memcpy(ret.text + ret.len, p + at - n, n);
			ret.len += n;
		} while (ret.r == HTTP_BODY_DATA);
	} while (ret.r != HTTP_BODY_END && have < len);
	ret.used = at;
	return (ret);
}

static const struct {
	uint64_t	 length, max;
	const char	*bytes;
	const char	*content;	/* NULL: refused */
	unsigned	 rest;		/* bytes of the next request */
	unsigned	 status;
} cases[] = {
	{ HTTP_NO_LENGTH, 9, "GET", "", 3, 0 },
	{ 0, 9, "GET", "", 3, 0 },
	{ 3, 9, "abcGET", "abc", 3, 0 },
	{ 9, 9, "123456789", "123456789", 0, 0 },
	{ CHUNKED, 9, "0\r\n\r\nGET", "", 3, 0 },
	{ CHUNKED, 9, "3\r\nabc\r\n0\r\n\r\nGET", "abc", 3, 0 },
	{ CHUNKED, 9, "4\r\nabcd\r\n5\r\nefghi\r\n0\r\n\r\n", "abcdefghi", 0, 0 },
	{ CHUNKED, 10, "A\r\n0123456789\r\n000\r\n\r\n", "0123456789", 0, 0 },
	{ CHUNKED, 10, "a;x;y=\"z\"\r\n0123456789\r\n0;e\r\n\r\n", "0123456789",
	    0, 0 },
	{ CHUNKED, 9, "1\r\na\r\n0\r\nT: v\r\nU:\r\n\r\nG", "a", 1, 0 },
	{ CHUNKED, 9, "1\r\n\n\r\n0\r\n\r\n", "\n", 0, 0 },
	/* Too much: before the content is there. */
	{ CHUNKED, 9, "A\r\n", NULL, 0, 413 },
	{ CHUNKED, 9, "5\r\nabcde\r\n5\r\n", NULL, 0, 413 },
	{ CHUNKED, 9, "10000000000000000", NULL, 0, 413 },
	{ CHUNKED, 0, "1\r\n", NULL, 0, 413 },
	/* What two readers may read in two ways. */
	{ CHUNKED, 9, "\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, " 1\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1 \r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0x1\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "+1\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1\r\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1;a\nb\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1\r\naX", NULL, 0, 400 },
	{ CHUNKED, 9, "1\r\na\n", NULL, 0, 400 },
	{ CHUNKED, 9, "1\r\na\rX", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\n\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\n\rX", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\n folded: 1\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\nname\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\na b: 1\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\na: \x01\r\n", NULL, 0, 400 },
	{ CHUNKED, 9, "0\r\na: 1\rX", NULL, 0, 400 },
};

static void
one_meaning_however_it_is_cut(void)
{
	struct result	 got;
	size_t		 i, step, len;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		len = strlen(cases[i].bytes);
		for (step = 1; step <= len + 1; step++) {
			got = feed(cases[i].length, cases[i].max, cases[i].bytes,
			    len, step);
			if (cases[i].content == NULL) {
				CU_ASSERT_EQUAL(got.r, -EBADMSG);
				CU_ASSERT_EQUAL(got.status, cases[i].status);
				continue;
			}
			CU_ASSERT_EQUAL(got.r, HTTP_BODY_END);
			CU_ASSERT_STRING_EQUAL(got.text, cases[i].content);
			CU_ASSERT_EQUAL(got.used + cases[i].rest, len);
		}
	}
}

static void
what_is_not_whole_waits(void)
{
	static const char	 text[] = "3;x\r\nabc\r\n0\r\nT: v\r\n\r\n";
	size_t			 n;

	for (n = 0; n < sizeof text - 1; n++)
		CU_ASSERT_EQUAL(feed(CHUNKED, 9, text, n, 64).r, HTTP_BODY_MORE);
	CU_ASSERT_EQUAL(feed(4, 9, "abc", 3, 64).r, HTTP_BODY_MORE);
	CU_ASSERT_EQUAL(feed(10, 9, "", 0, 64).r, -EMSGSIZE);
	CU_ASSERT_EQUAL(feed(9, 9, "", 0, 64).r, HTTP_BODY_MORE);
}

/* A line, with n bytes of filler in it, and what comes of it. */
static int
with_filler(const char *before, char c, size_t n, const char *after)
{
	static char	 text[16384];
	size_t		 len = strlen(before);

	memcpy(text, before, len);
	memset(text + len, c, n);
	len += n;
	memcpy(text + len, after, strlen(after));
	return (feed(CHUNKED, 1, text, len + strlen(after), sizeof text).r);
}

static void
what_is_thrown_away_is_bounded(void)
{
	static char	 text[65536];
	size_t		 len = 0, n_ext = 0;
	int		 r;

	/* The size's digit, ";" and the CR are of the line too. */
	CU_ASSERT_EQUAL(with_filler("0;", 'x', HTTP_CHUNK_LINE_MAX - 3,
	    "\r\n\r\n"), HTTP_BODY_END);
	CU_ASSERT_EQUAL(with_filler("0;", 'x', HTTP_CHUNK_LINE_MAX - 2,
	    "\r\n\r\n"), -EBADMSG);
	CU_ASSERT_EQUAL(with_filler("", '0', HTTP_CHUNK_LINE_MAX - 1,
	    "\r\n\r\n"), HTTP_BODY_END);
	CU_ASSERT_EQUAL(with_filler("", '0', HTTP_CHUNK_LINE_MAX, "\r\n\r\n"),
	    -EBADMSG);
	/* "T:" and the two of the line's end. */
	CU_ASSERT_EQUAL(with_filler("0\r\nT:", 'x', HTTP_TRAILER_MAX - 4,
	    "\r\n\r\n"), HTTP_BODY_END);
	CU_ASSERT_EQUAL(with_filler("0\r\nT:", 'x', HTTP_TRAILER_MAX - 3,
	    "\r\n\r\n"), -EBADMSG);
	/* Many chunks, each with a little beside it. */
	while (len + 128 < sizeof text) {
		len += (size_t)snprintf(text + len, sizeof text - len,
		    "1;%064d\r\na\r\n", 0);
		n_ext += 64;
	}
	r = feed(CHUNKED, sizeof text, text, len, sizeof text).r;
	CU_ASSERT_TRUE(n_ext > HTTP_CHUNK_EXT_MAX);
	CU_ASSERT_EQUAL(r, -EBADMSG);
}

static void
after_an_error_there_is_nothing(void)
{
	struct http_head	 h = { .is_chunked = true,
		.content_length = HTTP_NO_LENGTH };
	struct http_body	 b;
	size_t			 used, len;

	CU_ASSERT_EQUAL(http_body_init(&b, &h, 9), 0);
	CU_ASSERT_EQUAL(http_body_feed(&b, "x", 1, &used, &len), -EBADMSG);
	CU_ASSERT_EQUAL(http_body_feed(&b, "0\r\n\r\n", 5, &used, &len),
	    -EBADMSG);
	CU_ASSERT_EQUAL(used, 0);
}

static const struct cu_case tests[] = {
	CU_CASE(one_meaning_however_it_is_cut),
	CU_CASE(what_is_not_whole_waits),
	CU_CASE(what_is_thrown_away_is_bounded),
	CU_CASE(after_an_error_there_is_nothing),
	CU_END
};

CU_MAIN("http_body", tests)
