/* SPDX-License-Identifier: MIT */
/* JSON5 to JSON: what is taken, what is refused and where. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/json5.h"
#include "tests/unit/cu.h"

static int
convert(const char *text, size_t len, char **ret, struct json5_error *error)
{
	struct buf	 out = BUF_INIT;
	int		 r;

	r = json5_to_json(text, len, &out, error);
	*ret = r == 0 ? buf_take(&out, NULL) : NULL;
	buf_fini(&out);
	return (r);
}

static void
takes(const char *text, const char *want)
{
	struct json5_error	 error;
	char			*got;
	int			 r;

	r = convert(text, strlen(text), &got, &error);
	CU_ASSERT(r == 0);
	if (r != 0)
		(void)fprintf(stderr, "\n%s: %u:%u: %s\n", text, error.line,
		    error.col, error.why);
	else if (strcmp(got, want) != 0) {
		(void)fprintf(stderr, "\n%s: %s, not %s\n", text, got, want);
		CU_FAIL("another text");
	}
	free(got);
}

static void
refuses(const char *text, unsigned line, unsigned col, const char *why)
{
	struct json5_error	 error;
	char			*got;
	int			 r;

	r = convert(text, strlen(text), &got, &error);
	CU_ASSERT(r == -EINVAL);
	if (error.line != line || error.col != col ||
	    strstr(error.why, why) == NULL) {
		(void)fprintf(stderr, "\n%s: %u:%u: %s\n", text, error.line,
		    error.col, error.why);
		CU_FAIL("another error");
	}
	free(got);
}

static void
takes_plain_json(void)
{
	takes("{}", "{}");
	takes(" [1, -2.5e3, \"a\\u0041\\n\", true, false, null] ",
	    "[1,-2.5e3,\"aA\\n\",true,false,null]");
	takes("{\"a\":{\"b\":[]}}", "{\"a\":{\"b\":[]}}");
	takes("\"\"", "\"\"");
	takes("{\"\": \"\"}", "{\"\":\"\"}");
}

static void
takes_comments_and_commas(void)
{
	takes("// one\n{ /* two\n */ a: 1, // three\n b: [1,2,], }\n//",
	    "{\"a\":1,\"b\":[1,2]}");
	takes("\xef\xbb\xbf{\xc2\xa0}", "{}");
}

static void
takes_names_and_quotes(void)
{
	takes("{$a_1: 'it\\'s \"x\"', \\u0061b: \"'\", '\xc3\xa9': 1, "
	    "\xc3\xa9t\xc3\xa9: 2}",
	    "{\"$a_1\":\"it's \\\"x\\\"\",\"ab\":\"'\",\"\xc3\xa9\":1,"
	    "\"\xc3\xa9t\xc3\xa9\":2}");
	takes("{true: 1, null: 2}", "{\"true\":1,\"null\":2}");
	takes("'a\\\nb\\\r\nc'", "\"abc\"");
	takes("'\\x41\\v\\0\\z\\ud83d\\ude00'",
	    "\"A\\u000b\\u0000z\xf0\x9f\x98\x80\"");
}

static void
takes_numbers(void)
{
	takes("[0x1F, -0x10, +1, .5, 5., -.5, 1.e2, 0, -0, 0x1fffffffffffff]",
	    "[31,-16,1,0.5,5.0,-0.5,1.0e2,0,-0,9007199254740991]");
	takes("-9007199254740991", "-9007199254740991");
}

static void
refuses_with_place(void)
{
	refuses("", 1, 1, "end of text");
	refuses("{", 1, 2, "end of text");
	refuses("{\n  a: 1\n  b: 2}", 3, 3, "in an object");
	refuses("{a 1}", 1, 4, "colon");
	refuses("[1 2]", 1, 4, "in an array");
	refuses("[,]", 1, 2, "value");
	refuses("{,}", 1, 2, "key");
	refuses("{} x", 1, 4, "after the value");
	refuses("{a: 'b\n'}", 1, 7, "string without an end");
	refuses("{}\n/* x\n\n", 2, 1, "comment without an end");
	refuses("{a: tru}", 1, 5, "value");
	refuses("{'\xc3\xa9': 1, b}", 1, 11, "colon");
	refuses("{a: 1,\n a: 2}", 2, 2, "second time");
	refuses("{\"\\u0000\": 1}", 1, 2, "NUL");
	refuses("'\\ud800'", 1, 8, "surrogate");
	refuses("'\\ud800\\u0041'", 1, 14, "surrogate");
	refuses("'\\udc00'", 1, 8, "surrogate");
	refuses("'\\x4'", 1, 5, "escape");
	refuses("'\\1'", 1, 3, "backslash");
	refuses("'\\01'", 1, 4, "\\0");
}

static void
refuses_numbers(void)
{
	refuses("NaN", 1, 1, "NaN");
	refuses("[-Infinity]", 1, 2, "Infinity");
	refuses("01", 1, 2, "leading zero");
	refuses("0x", 1, 3, "number");
	refuses("0x20000000000000", 1, 16, "2^53");
	refuses("9007199254740992", 1, 17, "2^53");
	refuses("-99999999999999999999", 1, 22, "2^53");
	refuses(".", 1, 2, "number");
	refuses("1e", 1, 3, "exponent");
	refuses("1a", 1, 2, "after a number");
	refuses("--1", 1, 2, "number");
}

static void
refuses_what_is_not_utf8(void)
{
	refuses("'\xff'", 1, 1, "UTF-8");
	refuses("'\xed\xa0\x80'", 1, 1, "UTF-8");
	refuses("'\xc0\xaf'", 1, 1, "UTF-8");
}

static void
depth_is_limited(void)
{
	struct json5_error	 error;
	char			 text[2 * JSON5_DEPTH_MAX + 3], *got;
	size_t			 n;

	for (n = JSON5_DEPTH_MAX - 1; n <= JSON5_DEPTH_MAX + 1; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		CU_ASSERT(convert(text, 2 * n, &got, &error) ==
		    (n > JSON5_DEPTH_MAX ? -E2BIG : 0));
		free(got);
	}
	CU_ASSERT(error.col == JSON5_DEPTH_MAX + 1);
}

static void
values_are_limited(void)
{
	struct json5_error	 error;
	struct buf		 b = BUF_INIT;
	char			*got;
	unsigned		 n, i;

	for (n = JSON5_VALUE_MAX - 1; n <= JSON5_VALUE_MAX + 1; n++) {
		buf_reset(&b);
		(void)buf_putc(&b, '[');
		for (i = 1; i < n; i++)
			(void)buf_puts(&b, "1,");
		(void)buf_putc(&b, ']');
		CU_ASSERT(convert(b.data, b.len, &got, &error) ==
		    (n > JSON5_VALUE_MAX ? -E2BIG : 0));
		free(got);
	}
	buf_fini(&b);
}

static void
text_is_limited(void)
{
	struct json5_error	 error;
	char			*text, *got;
	size_t			 n;

	text = malloc(JSON5_TEXT_MAX + 1);
	CU_ASSERT_FATAL(text != NULL);
	memset(text, ' ', JSON5_TEXT_MAX + 1);
	text[0] = '1';
	for (n = JSON5_TEXT_MAX - 1; n <= JSON5_TEXT_MAX + 1; n++) {
		CU_ASSERT(convert(text, n, &got, &error) ==
		    (n > JSON5_TEXT_MAX ? -E2BIG : 0));
		free(got);
	}
	free(text);
}

struct seen {
	unsigned	 n;
	char		 text[256];
};

static int
note(const struct json5_value *v, void *arg)
{
	struct seen	*s = arg;
	size_t		 len = strlen(s->text);

	(void)snprintf(s->text + len, sizeof s->text - len, "%u:%u@%u:%zu-%zu%s "
	    , v->line, v->col, v->n_steps, v->from, v->to,
	    v->is_string ? "s" : "");
	s->n++;
	return (s->n == 4 ? 7 : 0);
}

static void
visit_tells_places(void)
{
	struct seen	 s = { 0, "" };
	const char	*text = "{a: 'x',\n  b: [1, 2]}";

	CU_ASSERT(json5_visit(text, strlen(text), note, &s) == 7);
	CU_ASSERT_STRING_EQUAL(s.text,
	    "1:2@1:4-7s 2:7@2:15-16 2:10@2:18-19 2:3@1:14-20 ");
}

static const struct cu_case cases[] = {
	CU_CASE(takes_plain_json),
	CU_CASE(takes_comments_and_commas),
	CU_CASE(takes_names_and_quotes),
	CU_CASE(takes_numbers),
	CU_CASE(refuses_with_place),
	CU_CASE(refuses_numbers),
	CU_CASE(refuses_what_is_not_utf8),
	CU_CASE(depth_is_limited),
	CU_CASE(values_are_limited),
	CU_CASE(text_is_limited),
	CU_CASE(visit_tells_places),
	CU_END
};
CU_MAIN("json5", cases)
