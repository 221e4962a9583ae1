/* SPDX-License-Identifier: MIT */
/* The strict scanner: what it takes, what it refuses, and its limits. */
#include "core/json/scan.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/json/json.h"
#include "tests/unit/cu.h"

static const struct scan_limits wide = {
	.depth_max = 64,
	.heap_max = SIZE_MAX,
};

static enum scan_err
scan_len(const char *text, size_t len)
{
	struct scan_result	 res;
	char			*copy;
	int			 r;

	/* An exact allocation, so that the sanitizer sees a read beyond it. */
	copy = malloc(len == 0 ? 1 : len);
	if (copy == NULL)
		abort();
	if (len > 0)
		memcpy(copy, text, len);
	r = scan_json(copy, len, &wide, &res);
	CU_ASSERT_EQUAL(r, res.err == SCAN_OK ? 0 : -EBADMSG);
	CU_ASSERT(res.offset <= len);
	free(copy);
	return (res.err);
}

static enum scan_err
scan(const char *text)
{
	return (scan_len(text, strlen(text)));
}

/* What the scanner takes, json-c takes whole, and writing it is taken again. */
static void
parses_alike(const char *text, size_t len)
{
	const struct scan_limits lim = { SCAN_DEPTH_CAP, SIZE_MAX, false };
	struct json_object	*v = NULL, *again = NULL;
	struct scan_result	 res;
	struct buf		 out = BUF_INIT;

	CU_ASSERT_EQUAL(json_parse(text, len, &v), 0);
	CU_ASSERT_EQUAL(json_write(&out, v), 0);
	CU_ASSERT_EQUAL(scan_json(out.data, out.len, &lim, &res), 0);
	CU_ASSERT_EQUAL(json_parse(out.data, out.len, &again), 0);
	CU_ASSERT(json_equal(v, again));
	json_object_put(v);
	json_object_put(again);
	buf_fini(&out);
}

static void
takes_valid_text(void)
{
	static const char *const good[] = {
		"{}", "[]", "\"\"", "0", "-0", "true", "false", "null",
		" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "12", "-12", "1.5", "-0.0",
		"1e5", "1E+5", "1e-5", "1.25e2", "0.1", "0e0", "[[[[]]]]",
		"[null,true,false,0,\"\",[],{}]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u00e9\\uD83D\\uDE00\\u0000\"", "\"\x7f\"", "\"caf\xc3\xa9\"",
		"\"\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"",
		"\"\xed\x9f\xbf\xee\x80\x80\xc2\x80\xdf\xbf\xe0\xa0\x80\"",
		"{\"\":1,\"a\":{\"a\":{\"a\":1}}}", "{\"a\":1,\"A\":2}",
		"[\"12345678\",\"1234567\",\"123456789012345678\"]",
		"[9007199254740991,-9007199254740991]", "[1e308,-1e308,1e-400]",
		"1.7976931348623157e308", "[0.00000000000000000000001e330]",
		"{\"__proto__\":1,\"constructor\":2}",
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		if (scan(good[i]) != SCAN_OK)
			(void)printf("refused: %s\n", good[i]);
		CU_ASSERT_EQUAL(scan(good[i]), SCAN_OK);
		parses_alike(good[i], strlen(good[i]));
	}
}

/* AB-020 */
static void
refuses_relaxed_syntax(void)
{
	static const char *const bad[] = {
		"// c\n1", "/* c */1", "[1]//", "{'a':1}", "['a']", "{a:1}",
		"[1,]", "{\"a\":1,}", "[,1]", "{,}", "[1,,2]", "[", "]", "{", "}",
		"[1}", "{\"a\":1]", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{1:2}",
		"{\"a\":1 \"b\":2}", "[1 2]", "\"\n\"", "\"\t\"", "\"\x01\"",
		"\"abcdefgh\x1f\"", "01", "-01", "00", "+1", ".5", "1.", "1.e5",
		"1e", "1e+", "-", "--1", "0x10", "1_000", "NaN", "Infinity",
		"-Infinity", "nan", "True", "TRUE", "nul", "nulll", "tru", "truee",
		"fals", "undefined", "1 2", "{} {}", "[] x", "{}\v", "\f{}",
		"\xef\xbb\xbf{}", "\"", "\"a", "\"\\\"", "\"\\x41\"", "\"\\u12\"",
		"\"\\u12g4\"", "\"\\", "\"\\a\"", "\"\\'\"", "#", "\xc2\xa0[]",
		"[\"a\", \"b\"", "{\"a\":1", "[1.5.5]", "[1-2]", "\"a\"\"b\"",
	};
	static const char *const empty[] = { "", " ", "\n\t \r" };
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (scan(bad[i]) != SCAN_SYNTAX)
			(void)printf("not SCAN_SYNTAX: %s\n", bad[i]);
		CU_ASSERT_EQUAL(scan(bad[i]), SCAN_SYNTAX);
	}
	for (i = 0; i < ARRAY_LEN(empty); i++)
		CU_ASSERT_EQUAL(scan(empty[i]), SCAN_EMPTY);
	CU_ASSERT_EQUAL(scan_len("{}\0", 3), SCAN_SYNTAX);
	CU_ASSERT_EQUAL(scan_len("\"a\0b\"", 5), SCAN_SYNTAX);
	CU_ASSERT_EQUAL(scan_len("\0", 1), SCAN_SYNTAX);
	CU_ASSERT_EQUAL(scan_len(NULL, 0), SCAN_EMPTY);
}

/* Every proper prefix of a text that closes its root is refused. */
static void
refuses_every_prefix(void)
{
	static const char	 text[] = "{\"type\":\"req\",\"id\":\"\\u00e9"
	    "\xc3\xa9\\ud83d\\ude00\",\"n\":[-1.5e+3,true,false,null,{}],"
	    "\"longer than eight bytes\":\"and more than sixteen of them\"}";
	size_t			 n;

	CU_ASSERT_EQUAL(scan_len(text, sizeof text - 1), SCAN_OK);
	for (n = 0; n < sizeof text - 1; n++)
		CU_ASSERT_NOT_EQUAL(scan_len(text, n), SCAN_OK);
}

/* AB-014 */
static void
depth_is_exact_and_takes_no_stack(void)
{
	struct scan_limits	 lim = { 64, SIZE_MAX, false };
	struct scan_result	 res;
	char			 text[2 * SCAN_DEPTH_CAP + 8];
	char			*big;
	unsigned		 n, max;

	for (n = 62; n <= 66; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		CU_ASSERT_EQUAL(scan_json(text, 2 * n, &lim, &res),
		    n <= 64 ? 0 : -EBADMSG);
		CU_ASSERT_EQUAL(res.err, n <= 64 ? SCAN_OK : SCAN_DEPTH);
		CU_ASSERT_EQUAL(res.offset, n <= 64 ? 2 * n : 64);
	}
	lim.depth_max = 0;
	CU_ASSERT_EQUAL(scan_json("1", 1, &lim, &res), 0);
	CU_ASSERT_EQUAL(scan_json("[]", 2, &lim, &res), -EBADMSG);
	lim.depth_max = 1;
	CU_ASSERT_EQUAL(scan_json("[1,2]", 5, &lim, &res), 0);
	CU_ASSERT_EQUAL(scan_json("[[]]", 4, &lim, &res), -EBADMSG);
	lim.depth_max = UINT32_MAX;
	for (max = SCAN_DEPTH_CAP - 1; max <= SCAN_DEPTH_CAP + 1; max++) {
		memset(text, '[', max);
		memset(text + max, ']', max);
		CU_ASSERT_EQUAL(scan_json(text, 2 * max, &lim, &res),
		    max <= SCAN_DEPTH_CAP ? 0 : -EBADMSG);
		if (max <= SCAN_DEPTH_CAP)
			parses_alike(text, 2 * max);
	}
	big = malloc(1000000);
	if (big == NULL)
		abort();
	memset(big, '[', 1000000);
	CU_ASSERT_EQUAL(scan_json(big, 1000000, &lim, &res), -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_DEPTH);
	CU_ASSERT_EQUAL(res.offset, SCAN_DEPTH_CAP);
	free(big);
}

/* AB-013 */
static void
budget_is_exact_for_each_kind(void)
{
	static const struct {
		const char	*text;
		size_t		 heap;
	} cases[] = {
		{ "{}", 792 },
		{ "[]", 152 },
		{ "1", 104 },
		{ "true", 104 },
		{ "null", 104 },
		{ "\"abc\"", 104 + 4 },
		{ "{\"a\":1}", 792 + 202 + 104 },
		{ "[{},{},{}]", 152 + 3 * 792 },
		{ "[[],[],[]]", 4 * 152 },
		{ "[\"\",\"\"]", 152 + 2 * 105 },
		{ "[1,22,1.5]", 152 + 3 * 104 },
	};
	struct scan_limits	 lim = wide;
	struct scan_result	 res;
	size_t			 i, len;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		len = strlen(cases[i].text);
		CU_ASSERT_EQUAL(scan_json(cases[i].text, len, &wide, &res), 0);
		CU_ASSERT_EQUAL(res.heap, cases[i].heap);
		lim.heap_max = cases[i].heap + 1;
		CU_ASSERT_EQUAL(scan_json(cases[i].text, len, &lim, &res), 0);
		lim.heap_max = cases[i].heap;
		CU_ASSERT_EQUAL(scan_json(cases[i].text, len, &lim, &res), 0);
		lim.heap_max = cases[i].heap - 1;
		CU_ASSERT_EQUAL(scan_json(cases[i].text, len, &lim, &res),
		    -EBADMSG);
		CU_ASSERT_EQUAL(res.err, SCAN_BUDGET);
		CU_ASSERT(res.offset < len);
	}
}

/* AB-013: the text is dropped at the budget, not at its end. */
static void
budget_stops_early_in_amplifying_text(void)
{
	static const char *const unit[] = {
		"{},", "[],", "\"\",", "1,", "{\"a\":{}},", "1.5,", "null,",
	};
	struct scan_limits	 lim = { 64, MIB(1), true };
	struct scan_result	 res;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(unit); i++) {
		buf_reset(&b);
		(void)buf_putc(&b, '[');
		while (b.len < MIB(2))
			(void)buf_puts(&b, unit[i]);
		CU_ASSERT_EQUAL(scan_json(b.data, b.len, &lim, &res), -EBADMSG);
		CU_ASSERT_EQUAL(res.err, SCAN_BUDGET);
		CU_ASSERT(res.heap <= MIB(1) + 1024);
		CU_ASSERT(res.offset < 64 * KIB(1));
	}
	buf_fini(&b);
}

/* Only the sanitizer's runtime has it; there mallinfo2() knows nothing. */
extern size_t __sanitizer_get_current_allocated_bytes(void)
    __attribute__((weak));

static size_t
heap_in_use(void)
{
	struct mallinfo2	 m;

	if (__sanitizer_get_current_allocated_bytes != NULL)
		return (__sanitizer_get_current_allocated_bytes());
	m = mallinfo2();
	return (m.uordblks + m.hblkhd);
}

/*
 * AB-013: the sum is what json-c really takes, so that the budget is one of
 * heap. A page is for what malloc() rounds the one large array up to.
 */
#define ROUNDING	4096u

static void
estimate_covers_the_tree(void)
{
	static const char *const unit[] = {
		"{}", "[]", "\"\"", "1", "1.5", "null", "true", "{\"a\":{}}",
		"\"a string of some length, more than a pointer\"", "[1,2,3]",
		"{\"a\":1,\"b\":2,\"c\":3}", "1234567.12345678901234",
		"\"\\u00e9\"",
	};
	struct scan_result	 res;
	struct json_object	*v = NULL;
	struct buf		 b = BUF_INIT;
	size_t			 i, before, used;
	unsigned		 k;

	for (i = 0; i < ARRAY_LEN(unit); i++) {
		buf_reset(&b);
		for (k = 0; k < 5000; k++)
			(void)buf_printf(&b, "%c%s", k == 0 ? '[' : ',',
			    unit[i]);
		(void)buf_putc(&b, ']');
		CU_ASSERT_EQUAL(scan_json(b.data, b.len, &wide, &res), 0);
		before = heap_in_use();
		CU_ASSERT_EQUAL(json_parse(b.data, b.len, &v), 0);
		used = heap_in_use() - before;
		json_object_put(v);
		if (used <= b.len || used > res.heap + ROUNDING)
			(void)printf("%s: %zu long, %zu used, %zu said\n", unit[i], b.len, used,
			    res.heap);
		CU_ASSERT(used > b.len && used <= res.heap + ROUNDING);
		/*
		 * null is no object, and costs more in the sum than in truth.
		 */
		CU_ASSERT(strcmp(unit[i], "null") == 0 || res.heap < 5 * used);
	}
	/* Many keys in one object. */
	buf_reset(&b);
	for (k = 0; k < 5000; k++)
		(void)buf_printf(&b, "%c\"key%u\":1", k == 0 ? '{' : ',', k);
	(void)buf_putc(&b, '}');
	CU_ASSERT_EQUAL(scan_json(b.data, b.len, &wide, &res), 0);
	before = heap_in_use();
	CU_ASSERT_EQUAL(json_parse(b.data, b.len, &v), 0);
	used = heap_in_use() - before;
	json_object_put(v);
	CU_ASSERT(used > b.len && used <= res.heap + ROUNDING);
	buf_fini(&b);
}

/* AB-017 */
static void
refuses_duplicate_keys_at_every_level(void)
{
	static const char *const bad[] = {
		"{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":2,\"a\":3}",
		"{\"\":1,\"\":2}", "{\"a\":1,\"\\u0061\":2}",
		"{\"\\u0061\":1,\"a\":2}", "{\"\\u0061\":1,\"\\u0061\":2}",
		"{\"\\/\":1,\"/\":2}", "{\"\\n\":1,\"\\u000a\":2}",
		"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
		"{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}",
		"{\"\xe2\x82\xac\":1,\"\\u20AC\":2}",
		"{\"params\":{\"auth\":{\"token\":1,\"token\":2}}}",
		"[{\"a\":1},{\"a\":1,\"a\":2}]", "{\"a\":{\"b\":1},\"a\":{}}",
		"{\"a\":[{\"b\":1,\"b\":1}]}",
		"{\"a long key of many bytes\":1,\"a long key of many bytes\":2}",
	};
	static const char *const good[] = {
		"{\"a\":1,\"b\":{\"a\":1,\"b\":2},\"c\":[{\"a\":1},{\"a\":2}]}",
		"{\"a\":{\"b\":1},\"b\":2}", "{\"a\\u0062\":1,\"a\":2,\"b\":3}",
		"{\"abcd1234efgh\":1,\"abcd1235efgh\":2}",
		"{\"aaaaaaaaXaaaaaaaa\":1,\"aaaaaaaaYaaaaaaaa\":2}",
		"{\"\\u0061b\":{\"ab\":1},\"a\":2}",
		"{\"a\\\\u0062\":1,\"ab\":2}",
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (scan(bad[i]) != SCAN_DUP_KEY)
			(void)printf("not SCAN_DUP_KEY: %s\n", bad[i]);
		CU_ASSERT_EQUAL(scan(bad[i]), SCAN_DUP_KEY);
	}
	for (i = 0; i < ARRAY_LEN(good); i++)
		CU_ASSERT_EQUAL(scan(good[i]), SCAN_OK);
}

/* The same around every change of the way keys are kept. */
static void
finds_duplicates_in_objects_of_every_size(void)
{
	struct buf	 b = BUF_INIT;
	unsigned	 n, i, dup;

	for (n = 1; n <= 140; n++) {
		for (dup = 0; dup <= n; dup += n < 40 ? 1 : 13) {
			buf_reset(&b);
			(void)buf_puts(&b, "[{\"x\":{\"k0\":1},");
			for (i = 0; i < n; i++)
				(void)buf_printf(&b, "\"k%u\":%u,", i, i);
			/* dup == n: no key comes twice. */
			(void)buf_printf(&b, "\"k%u\":{\"k0\":{}}},{\"k0\":1}]",
			    dup);
			CU_ASSERT_EQUAL(scan_len(b.data, b.len),
			    dup == n ? SCAN_OK : SCAN_DUP_KEY);
		}
	}
	/* More keys open at once than the stack of keys holds. */
	for (dup = 0; dup < 2; dup++) {
		buf_reset(&b);
		for (n = 0; n < 20; n++) {
			for (i = 0; i < 20; i++)
				(void)buf_printf(&b, "%s\"k%u\":1",
				    i == 0 ? "{" : ",", i);
			(void)buf_puts(&b, ",\"sub\":");
		}
		(void)buf_puts(&b, "0");
		for (n = 0; n < 20; n++)
			(void)buf_puts(&b, n == 19 && dup ? ",\"k7\":0}" : "}");
		CU_ASSERT_EQUAL(scan_len(b.data, b.len),
		    dup ? SCAN_DUP_KEY : SCAN_OK);
	}
	buf_fini(&b);
}

static double
seconds(void)
{
	struct timespec	 t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return ((double)t.tv_sec + (double)t.tv_nsec / 1e9);
}

static double
scan_keys(unsigned n, const char *fmt_key, enum scan_err want)
{
	struct scan_result	 res;
	struct buf		 b = BUF_INIT;
	double			 from;
	unsigned		 i;

	for (i = 0; i < n; i++) {
		(void)buf_puts(&b, i == 0 ? "{\"" : ",\"");
		(void)buf_puts(&b, fmt_key);
		(void)buf_u64(&b, i);
		(void)buf_puts(&b, "\":0");
	}
	(void)buf_putc(&b, '}');
	from = seconds();
	(void)scan_json(b.data, b.len, &wide, &res);
	from = seconds() - from;
	CU_ASSERT_EQUAL(res.err, want);
	buf_fini(&b);
	return (from);
}

/*
 * AB-015. Quadratic work at 200,000 keys would be 8 times as much a key as at
 * 25,000; the bound leaves room for caches and for a busy machine.
 */
static void
many_keys_take_near_linear_time(void)
{
	static const char *const key[] = {
		"k", "\\u006b", "the same sixteen bytes before every number ",
	};
	double	 small, large;
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(key); i++) {
		small = scan_keys(25000, key[i], SCAN_OK);
		large = scan_keys(200000, key[i], SCAN_OK);
		CU_ASSERT(large < 8 * 4 * small + 0.1);
		CU_ASSERT(large < 5.0);
	}
}

/* AB-016 */
static void
refuses_nul_in_keys_only(void)
{
	CU_ASSERT_EQUAL(scan("{\"a\\u0000b\":1,\"a\":2}"), SCAN_NUL_KEY);
	CU_ASSERT_EQUAL(scan("{\"\\u0000\":1}"), SCAN_NUL_KEY);
	CU_ASSERT_EQUAL(scan("[{\"a\":{\"role\\u0000\":1}}]"), SCAN_NUL_KEY);
	CU_ASSERT_EQUAL(scan("{\"a\":\"b\\u0000c\"}"), SCAN_OK);
	CU_ASSERT_EQUAL(scan("{\"a\\\\u0000\":1}"), SCAN_OK);
}

/* AB-018 */
static void
odd_keys_are_plain_data(void)
{
	static const char	 text[] = "{\"__proto__\":{\"constructor\":1},"
	    "\"\":2,\"\\u0001\\n\":3,\"toString\":4}";
	struct json_object	*v = NULL;

	CU_ASSERT_EQUAL(scan(text), SCAN_OK);
	CU_ASSERT_EQUAL(json_parse(text, strlen(text), &v), 0);
	CU_ASSERT_EQUAL(json_object_object_length(v), 4);
	CU_ASSERT_EQUAL(json_get_int(v, "", 0), 2);
	CU_ASSERT_EQUAL(json_get_int(v, "\001\n", 0), 3);
	CU_ASSERT_EQUAL(json_get_int(json_get(v, "__proto__"), "constructor", 0),
	    1);
	json_object_put(v);
}

/* AB-019 */
static void
refuses_numbers_out_of_range(void)
{
	static const char *const bad[] = {
		"9007199254740992", "-9007199254740992", "9223372036854775807",
		"9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616",
		"99999999999999999999999999999999", "1e400", "-1e400", "1e309",
		"1.8e308", "17.976931348623158e307", "0.18e309", "2e308",
		"1.7976931348623158e308", "1e99999999999999999999",
		"1000000000000000000000000000000000000000000e290",
		"[1,9007199254740992]",
	};
	static const char *const good[] = {
		"9007199254740991", "-9007199254740991", "9007199254740990",
		"1e308", "1.7976931348623157e308", "-1.7976931348623157E+308",
		"0.00017976931348623157e312", "1e-99999999999999999999", "0e400",
		"0.0e99999999999999", "9007199254740992.0", "1e18",
		"9007199254740992e0", "179769313486231570e291",
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		if (scan(bad[i]) != SCAN_NUMBER)
			(void)printf("not SCAN_NUMBER: %s\n", bad[i]);
		CU_ASSERT_EQUAL(scan(bad[i]), SCAN_NUMBER);
	}
	for (i = 0; i < ARRAY_LEN(good); i++) {
		if (scan(good[i]) != SCAN_OK)
			(void)printf("refused: %s\n", good[i]);
		CU_ASSERT_EQUAL(scan(good[i]), SCAN_OK);
		parses_alike(good[i], strlen(good[i]));
	}
}

/* AB-021 */
static void
refuses_malformed_utf8(void)
{
	static const char *const bad[] = {
		"\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf",
		"\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff", "\xfe", "\x80", "\xbf", "\xc3", "\xe2\x82", "\xe2",
		"\xf0\x9f\x98", "\xf0\x9f", "\xf0", "\xc3\x28", "\xe2\x28\xa1",
		"\xf0\x28\x8c\xbc", "\xf0\x90\x28\xbc", "\xf0\x90\x8c\x28",
		"\xf8\x88\x80\x80\x80",
	};
	char	 text[64];
	size_t	 i;
	int	 pad, n;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		for (pad = 0; pad < 17; pad++) {
			n = snprintf(text, sizeof text, "\"%.*s%s\"", pad,
			    "abcdefghijklmnopq", bad[i]);
			CU_ASSERT_EQUAL(scan_len(text, (size_t)n), SCAN_UTF8);
			n = snprintf(text, sizeof text, "{\"%.*s%s-and-on\":1}",
			    pad, "abcdefghijklmnopq", bad[i]);
			CU_ASSERT_EQUAL(scan_len(text, (size_t)n), SCAN_UTF8);
		}
	}
}

/* AB-021: and it is not looked at when the transport has done so. */
static void
known_utf8_is_not_checked_again(void)
{
	struct scan_limits	 lim = wide;
	struct scan_result	 res;
	static const char	 text[] = "[\"caf\xc3\xa9 caf\xc3\xa9 \xe2\x82\xac"
	    "\",\"\xe2\x82\xac\\n\"]";

	lim.is_utf8_known = true;
	CU_ASSERT_EQUAL(scan_json(text, sizeof text - 1, &lim, &res), 0);
	CU_ASSERT_EQUAL(scan_json("\"\xe2\x82\xac\x01\"", 6, &lim, &res),
	    -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_SYNTAX);
	CU_ASSERT_EQUAL(res.offset, 4);
}

/* AB-021 */
static void
refuses_lone_surrogates(void)
{
	static const char *const bad[] = {
		"\"\\ud800\"", "\"\\udc00\"", "\"\\udfff\"", "\"\\uDBFFx\"",
		"\"\\ud800\\ud800\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"",
		"\"\\udc00\\ud800\"", "{\"\\ud800\":1}",
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(scan(bad[i]), SCAN_SURROGATE);
	CU_ASSERT_EQUAL(scan("\"\\ud800\\udc00\\uDBFF\\uDFFF\""), SCAN_OK);
}

static bool
span_eq(const struct scan_span *s, const char *raw)
{
	return (s->kind != 0 && s->len == strlen(raw) &&
	    memcmp(s->p, raw, s->len) == 0);
}

static void
frame_gives_the_spans_of_members(void)
{
	static const char	 text[] = " { \"type\" : \"req\" , \"id\":\"1:a\","
	    "\"method\":\"chat.send\",\"params\": {\"type\":\"no\",\"id\":[1]} ,"
	    "\"traceparent\":\"00-\",\"expectedProfileId\":null,"
	    "\"extra\":{\"method\":1},\"more\":2 } ";
	struct scan_frame	 f;

	CU_ASSERT_EQUAL(scan_frame(text, sizeof text - 1, &wide, &f), 0);
	CU_ASSERT_EQUAL(f.root, '{');
	CU_ASSERT(span_eq(&f.type, "\"req\"") && f.type.kind == '"');
	CU_ASSERT(span_eq(&f.id, "\"1:a\""));
	CU_ASSERT(span_eq(&f.method, "\"chat.send\""));
	CU_ASSERT(span_eq(&f.params, "{\"type\":\"no\",\"id\":[1]}"));
	CU_ASSERT_EQUAL(f.params.kind, '{');
	CU_ASSERT(span_eq(&f.traceparent, "\"00-\""));
	CU_ASSERT(span_eq(&f.profile, "null") && f.profile.kind == 'n');
	CU_ASSERT(span_eq(&f.unknown, "\"extra\""));
	CU_ASSERT_EQUAL(f.res.err, SCAN_OK);
}

static void
frame_kinds_and_absence(void)
{
	struct scan_frame	 f;
	static const char	 kinds[] = "{\"type\":-1,\"id\":7,\"method\":[1],"
	    "\"params\":true,\"traceparent\":false}";
	static const char	 escaped[] = "{\"\\u0074ype\":\"a\","
	    "\"typ\":1,\"types\":2}";

	CU_ASSERT_EQUAL(scan_frame(kinds, strlen(kinds), &wide, &f), 0);
	CU_ASSERT(f.type.kind == '0' && span_eq(&f.type, "-1"));
	CU_ASSERT(f.id.kind == '0' && f.method.kind == '[');
	CU_ASSERT(f.params.kind == 't' && f.traceparent.kind == 'f');
	CU_ASSERT(f.profile.kind == 0 && f.unknown.kind == 0);

	CU_ASSERT_EQUAL(scan_frame(escaped, strlen(escaped), &wide, &f), 0);
	CU_ASSERT(span_eq(&f.type, "\"a\""));
	CU_ASSERT(span_eq(&f.unknown, "\"typ\""));

	CU_ASSERT_EQUAL(scan_frame("{}", 2, &wide, &f), 0);
	CU_ASSERT(f.root == '{' && f.type.kind == 0 && f.params.kind == 0);
	CU_ASSERT_EQUAL(scan_frame("[{\"type\":1}]", 12, &wide, &f), 0);
	CU_ASSERT(f.root == '[' && f.type.kind == 0);
	CU_ASSERT_EQUAL(scan_frame("-1", 2, &wide, &f), 0);
	CU_ASSERT_EQUAL(f.root, '0');
	CU_ASSERT_EQUAL(scan_frame("null", 4, &wide, &f), 0);
	CU_ASSERT_EQUAL(f.root, 'n');
}

static void
failed_frame_gives_no_member(void)
{
	static const char	 text[] = "{\"type\":\"req\",\"id\":\"1\","
	    "\"type\":\"res\"}";
	struct scan_frame	 f;

	CU_ASSERT_EQUAL(scan_frame(text, strlen(text), &wide, &f), -EBADMSG);
	CU_ASSERT_EQUAL(f.res.err, SCAN_DUP_KEY);
	CU_ASSERT(f.root == 0 && f.type.kind == 0 && f.id.kind == 0);
}

static void
spans_compare_and_decode(void)
{
	static const char	 raw[] = "\"a\\u00e9\\n\\ud83d\\ude00\\/\\\"\\u20ac"
	    "\\b\\f\\r\\t\\\\\"";
	static const char	 want[] = "a\xc3\xa9\n\xf0\x9f\x98\x80/\"\xe2\x82"
	    "\xac\b\f\r\t\\";
	struct scan_span	 s = { raw, sizeof raw - 1, '"' };
	struct scan_span	 plain = { "\"req\"", 5, '"' };
	struct scan_span	 nul = { "\"re\\u0000q\"", 11, '"' };
	struct scan_span	 number = { "12", 2, '0' };
	struct buf		 b = BUF_INIT;

	CU_ASSERT(scan_span_is(&s, want));
	CU_ASSERT_EQUAL(scan_span_str(&s, &b), 0);
	CU_ASSERT(b.len == sizeof want - 1 && memcmp(b.data, want, b.len) == 0);
	CU_ASSERT(scan_span_is(&plain, "req"));
	CU_ASSERT(!scan_span_is(&plain, "re") && !scan_span_is(&plain, "reqs"));
	CU_ASSERT(!scan_span_is(&plain, "") && !scan_span_is(&plain, "rex"));
	CU_ASSERT(!scan_span_is(&nul, "re") && !scan_span_is(&nul, "req"));
	CU_ASSERT(!scan_span_is(&number, "12"));
	CU_ASSERT_EQUAL(scan_span_str(&number, &b), -EINVAL);
	buf_reset(&b);
	CU_ASSERT_EQUAL(scan_span_str(&plain, &b), 0);
	CU_ASSERT(b.len == 3 && memcmp(b.data, "req", 3) == 0);
	buf_fini(&b);
}

static const struct cu_case cases[] = {
	CU_CASE(takes_valid_text),
	CU_CASE(refuses_relaxed_syntax),
	CU_CASE(refuses_every_prefix),
	CU_CASE(depth_is_exact_and_takes_no_stack),
	CU_CASE(budget_is_exact_for_each_kind),
	CU_CASE(budget_stops_early_in_amplifying_text),
	CU_CASE(estimate_covers_the_tree),
	CU_CASE(refuses_duplicate_keys_at_every_level),
	CU_CASE(finds_duplicates_in_objects_of_every_size),
	CU_CASE(many_keys_take_near_linear_time),
	CU_CASE(refuses_nul_in_keys_only),
	CU_CASE(odd_keys_are_plain_data),
	CU_CASE(refuses_numbers_out_of_range),
	CU_CASE(refuses_malformed_utf8),
	CU_CASE(known_utf8_is_not_checked_again),
	CU_CASE(refuses_lone_surrogates),
	CU_CASE(frame_gives_the_spans_of_members),
	CU_CASE(frame_kinds_and_absence),
	CU_CASE(failed_frame_gives_no_member),
	CU_CASE(spans_compare_and_decode),
	CU_END
};

CU_MAIN("scan", cases)
