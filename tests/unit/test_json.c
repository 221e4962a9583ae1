/* SPDX-License-Identifier: MIT */
/* Helpers over json-c values: parsing, members, equality, copies, writing. */
#include "core/json/json.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/cu.h"

static const struct scan_limits wide = { 64, SIZE_MAX, false };

static struct json_object *
parse(const char *text)
{
	struct json_object	*v = NULL;

	CU_ASSERT_EQUAL_FATAL(json_parse_scanned(text, strlen(text), &wide,
	    NULL, &v), 0);
	return (v);
}

static void
writes(struct json_object *v, const char *want)
{
	struct buf	 b = BUF_INIT;

	CU_ASSERT_EQUAL(json_write(&b, v), 0);
	(void)buf_putc(&b, '\0');
	CU_ASSERT_STRING_EQUAL(b.data, want);
	buf_fini(&b);
	json_object_put(v);
}

static void
parses_any_root_with_space_around(void)
{
	static const char *const texts[] = {
		"12", " 12", "12 ", "\n-1.5\t", "null", " null ", "true", "\"a\" ",
		"[]", " {} ", "\r\n[1]\r\n",
	};
	struct json_object	*v;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(texts); i++) {
		v = parse(texts[i]);
		CU_ASSERT((v == NULL) == (strstr(texts[i], "null") != NULL));
		json_object_put(v);
	}
	/* A span inside a longer text. */
	CU_ASSERT_EQUAL(json_parse("123456", 3, &v), 0);
	CU_ASSERT_EQUAL(json_object_get_int64(v), 123);
	json_object_put(v);
}

static void
refuses_without_leaking(void)
{
	struct scan_result	 res;
	struct json_object	*v = NULL;
	struct scan_limits	 lim = { 64, 1000, false };

	CU_ASSERT_EQUAL(json_parse_scanned("{\"a\":1,\"a\":2}", 13, &wide, &res,
	    &v), -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_DUP_KEY);
	CU_ASSERT_EQUAL(json_parse_scanned("[{},{},{}]", 10, &lim, &res, &v),
	    -EBADMSG);
	CU_ASSERT_EQUAL(res.err, SCAN_BUDGET);
	CU_ASSERT_EQUAL(json_parse("[1,{\"a\":", 8, &v), -EBADMSG);
	CU_ASSERT_EQUAL(json_parse("{} x", 4, &v), -EBADMSG);
	CU_ASSERT_PTR_NULL(v);
	/* And the parser is as good as new. */
	v = parse("[1]");
	json_object_put(v);
}

static void
members_are_typed(void)
{
	struct json_object	*v = parse("{\"s\":\"x\",\"z\":\"a\\u0000b\","
	    "\"i\":5,\"d\":5.0,\"f\":5.5,\"b\":true,\"n\":null,\"o\":{\"p\":"
	    "{\"q\":7}},\"a\":[1],\"big\":1e300}");
	size_t			 len;

	CU_ASSERT_STRING_EQUAL(json_get_str(v, "s"), "x");
	CU_ASSERT_PTR_NOT_NULL(json_get_strn(v, "z", &len));
	CU_ASSERT_EQUAL(len, 3);
	CU_ASSERT_PTR_NULL(json_get_str(v, "i"));
	CU_ASSERT_PTR_NULL(json_get_str(v, "n"));
	CU_ASSERT_PTR_NULL(json_get_str(v, "none"));
	CU_ASSERT_PTR_NULL(json_get_str(NULL, "s"));
	CU_ASSERT_PTR_NULL(json_get_str(json_get(v, "a"), "s"));
	CU_ASSERT(json_has(v, "n") && json_get(v, "n") == NULL);
	CU_ASSERT(!json_has(v, "none") && !json_has(NULL, "n"));
	CU_ASSERT_EQUAL(json_get_int(v, "i", -1), 5);
	CU_ASSERT_EQUAL(json_get_int(v, "d", -1), 5);
	CU_ASSERT_EQUAL(json_get_int(v, "f", -1), -1);
	CU_ASSERT_EQUAL(json_get_int(v, "big", -1), -1);
	CU_ASSERT_EQUAL(json_get_int(v, "s", -1), -1);
	CU_ASSERT_EQUAL(json_get_int(v, "b", -1), -1);
	CU_ASSERT(json_get_double(v, "f", 0) == 5.5);
	CU_ASSERT(json_get_double(v, "i", 0) == 5.0);
	CU_ASSERT(json_get_double(v, "s", 1) == 1.0);
	CU_ASSERT_TRUE(json_get_bool(v, "b", false));
	CU_ASSERT_TRUE(json_get_bool(v, "i", true));
	CU_ASSERT_FALSE(json_get_bool(v, "none", false));
	CU_ASSERT_PTR_NOT_NULL(json_get_obj(v, "o"));
	CU_ASSERT_PTR_NULL(json_get_obj(v, "a"));
	CU_ASSERT_PTR_NOT_NULL(json_get_arr(v, "a"));
	CU_ASSERT_PTR_NULL(json_get_arr(v, "o"));
	CU_ASSERT_EQUAL(json_object_get_int64(json_get_path(v, "o.p.q")), 7);
	CU_ASSERT_PTR_NULL(json_get_path(v, "o.x.q"));
	CU_ASSERT_PTR_NULL(json_get_path(v, "s.p"));
	json_object_put(v);
}

static void
adding_takes_the_value(void)
{
	struct json_object	*v = json_object_new_object();
	struct json_object	*a = json_object_new_array();

	CU_ASSERT_EQUAL(json_add_str(v, "s", "a\"b"), 0);
	CU_ASSERT_EQUAL(json_add_int(v, "i", -3), 0);
	CU_ASSERT_EQUAL(json_add_bool(v, "b", false), 0);
	CU_ASSERT_EQUAL(json_add_double(v, "d", 0.5), 0);
	CU_ASSERT_EQUAL(json_add_null(v, "n"), 0);
	CU_ASSERT_EQUAL(json_push(a, json_object_new_int(1)), 0);
	CU_ASSERT_EQUAL(json_push(a, NULL), -ENOMEM);
	CU_ASSERT_EQUAL(json_add(v, "a", a), 0);
	CU_ASSERT_EQUAL(json_add(v, "x", NULL), -ENOMEM);
	CU_ASSERT_FALSE(json_has(v, "x"));
	writes(v, "{\"s\":\"a\\\"b\",\"i\":-3,\"b\":false,\"d\":0.5,\"n\":null,"
	    "\"a\":[1]}");
}

/* AB-019, AB-021: what goes out is JSON that a strict reader takes. */
static void
writes_only_valid_json(void)
{
	static const struct {
		double		 d;
		const char	*text;
	} doubles[] = {
		{ 0.1, "0.1" }, { 1.0, "1" }, { -0.0, "-0" }, { 1e21, "1e+21" },
		{ 1.0 / 3, "0.3333333333333333" }, { 5e-324, "4.94065645841247e-324" },
		{ 123456789.125, "123456789.125" }, { 9007199254740991.0,
		"9007199254740991" }, { 9007199254740992.0, "9007199254740992.0" },
		{ 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ HUGE_VAL, "null" }, { -HUGE_VAL, "null" }, { NAN, "null" },
	};
	struct scan_result	 res;
	struct buf		 b = BUF_INIT;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(doubles); i++) {
		buf_reset(&b);
		CU_ASSERT_EQUAL(json_write_double(&b, doubles[i].d), 0);
		CU_ASSERT_EQUAL(scan_json(b.data, b.len, &wide, &res), 0);
		(void)buf_putc(&b, '\0');
		CU_ASSERT_STRING_EQUAL(b.data, doubles[i].text);
		CU_ASSERT(!isfinite(doubles[i].d) ||
		    strtod(b.data, NULL) == doubles[i].d);
	}
	buf_fini(&b);
	writes(json_object_new_uint64(UINT64_MAX), "18446744073709551615");
	writes(json_object_new_int64(INT64_MIN), "-9223372036854775808");
	writes(json_object_new_int64(INT64_MAX), "9223372036854775807");
	writes(json_object_new_string_len("\0\x1f/\"\\\n\xc3\xa9", 8),
	    "\"\\u0000\\u001f/\\\"\\\\\\n\xc3\xa9\"");
	writes(parse("{\"a\":[1,2,{}],\"b\":{\"\":null}}"),
	    "{\"a\":[1,2,{}],\"b\":{\"\":null}}");
	writes(parse("[1.0,1.50,1e2]"), "[1,1.5,100]");
	writes(NULL, "null");
}

static struct json_object *
nest(unsigned depth)
{
	struct json_object	*v = NULL, *outer;
	unsigned		 i;

	for (i = 0; i < depth; i++) {
		outer = json_object_new_array();
		CU_ASSERT_EQUAL(json_object_array_add(outer, v), 0);
		v = outer;
	}
	return (v);
}

static void
depth_of_trees_is_bounded(void)
{
	struct json_object	*ok = nest(JSON_DEPTH_MAX);
	struct json_object	*deep = nest(JSON_DEPTH_MAX + 2), *copy = NULL;
	struct buf		 b = BUF_INIT;

	CU_ASSERT_EQUAL(json_write(&b, ok), 0);
	CU_ASSERT_EQUAL(b.len, 2 * JSON_DEPTH_MAX + 4);
	CU_ASSERT_EQUAL(json_write(&b, deep), -ELOOP);
	CU_ASSERT_EQUAL(b.len, 2 * JSON_DEPTH_MAX + 4);
	CU_ASSERT_EQUAL(json_copy(deep, &copy), -ELOOP);
	CU_ASSERT_PTR_NULL(copy);
	CU_ASSERT_EQUAL(json_copy(ok, &copy), 0);
	CU_ASSERT(json_equal(ok, copy));
	json_object_put(copy);
	json_object_put(ok);
	json_object_put(deep);
	buf_fini(&b);
}

static void
equality_is_by_value(void)
{
	static const struct {
		const char	*a;
		const char	*b;
		bool		 is_equal;
	} pairs[] = {
		{ "1", "1.0", true }, { "0", "-0.0", true }, { "1e2", "100", true },
		{ "1", "1.5", false }, { "1.5", "1.5", true }, { "1", "true", false },
		{ "0", "false", false }, { "null", "0", false },
		{ "null", "null", true }, { "null", "{}", false },
		{ "\"a\"", "\"a\"", true }, { "\"a\"", "\"a\\u0000\"", false },
		{ "[1,2]", "[1,2]", true }, { "[1,2]", "[2,1]", false },
		{ "[1]", "[1,1]", false }, { "[]", "{}", false },
		{ "{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", true },
		{ "{\"a\":1}", "{\"a\":1,\"b\":null}", false },
		{ "{\"a\":null}", "{\"b\":null}", false },
		{ "1e300", "1e300", true }, { "1e300", "1e301", false },
	};
	static const uint64_t	 seed[2] = { 1, 2 };
	struct json_object	*a, *b;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(pairs); i++) {
		a = parse(pairs[i].a);
		b = parse(pairs[i].b);
		CU_ASSERT_EQUAL(json_equal(a, b), pairs[i].is_equal);
		CU_ASSERT_EQUAL(json_equal(b, a), pairs[i].is_equal);
		CU_ASSERT_EQUAL(json_hash(a, seed) == json_hash(b, seed),
		    pairs[i].is_equal);
		json_object_put(a);
		json_object_put(b);
	}
}

static void
copies_share_nothing(void)
{
	struct json_object	*v = parse("{\"a\":[1,{\"b\":\"x\"}],\"n\":null}");
	struct json_object	*copy = NULL, *nothing;

	CU_ASSERT_EQUAL(json_copy(v, &copy), 0);
	CU_ASSERT(json_equal(v, copy));
	CU_ASSERT_EQUAL(json_add_int(json_object_array_get_idx(
	    json_get_arr(copy, "a"), 1), "b", 2), 0);
	CU_ASSERT(!json_equal(v, copy));
	nothing = v;
	CU_ASSERT_EQUAL(json_copy(NULL, &nothing), 0);
	CU_ASSERT_PTR_NULL(nothing);
	json_object_put(v);
	CU_ASSERT_EQUAL(json_get_int(json_object_array_get_idx(
	    json_get_arr(copy, "a"), 1), "b", 0), 2);
	json_object_put(copy);
}

static void
files_fail_with_their_line(void)
{
	char			 path[] = "test_json.XXXXXX";
	struct json_object	*v = NULL;
	struct buf		 why = BUF_INIT;
	int			 fd;

	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "{\n\"a\":1,\n\"a\":2}\n", 16), 16);
	CU_ASSERT_EQUAL(json_read_file(path, KIB(4), &v, &why), -EBADMSG);
	(void)buf_putc(&why, '\0');
	CU_ASSERT_STRING_EQUAL(why.data, "line 3: a key twice in one object");
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	CU_ASSERT_EQUAL(pwrite(fd, "{\"a\":1}\n", 8, 0), 8);
	CU_ASSERT_EQUAL(json_read_file(path, KIB(4), &v, NULL), 0);
	CU_ASSERT_EQUAL(json_get_int(v, "a", 0), 1);
	json_object_put(v);
	(void)close(fd);
	(void)unlink(path);
	buf_reset(&why);
	CU_ASSERT_EQUAL(json_read_file(path, KIB(4), &v, &why), -ENOENT);
	CU_ASSERT(why.len > 0);
	buf_fini(&why);
}

static void *
parse_much(void *arg)
{
	static const char	 text[] = "{\"a\":[1,2,{\"b\":\"x\"}]}";
	struct json_object	*v;
	unsigned		*bad = arg, i;

	for (i = 0; i < 300; i++) {
		if (json_parse(text, sizeof text - 1, &v) < 0) {
			(*bad)++;
			continue;
		}
		json_object_put(v);
	}
	return (NULL);
}

static void
each_thread_has_its_parser(void)
{
	pthread_t	 threads[4];
	unsigned	 bad[4] = { 0 };
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL,
		    parse_much, &bad[i]), 0);
	for (i = 0; i < ARRAY_LEN(threads); i++) {
		(void)pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(bad[i], 0);
	}
	json_object_put(parse("1"));
}

/* json-c 0.16 makes U+FFFD of these when they are written as escapes. */
static void
pairs_like_surrogates_survive(void)
{
	static const char	 text[] = "[\"\\ud836\\ude00\",\"\\\\ud836\","
	    "\"x\\uD837\\uDFFFy\\ud83d\\ude00\",{\"\\ud876\\ude00\":1}]";
	struct json_object	*v = NULL, *o;

	CU_ASSERT(json_parse(text, sizeof text - 1, &v) == 0);
	CU_ASSERT(strcmp(json_object_get_string(json_object_array_get_idx(v, 0)),
	    "\xf0\x9d\xa8\x80") == 0);
	CU_ASSERT(strcmp(json_object_get_string(json_object_array_get_idx(v, 1)),
	    "\\ud836") == 0);
	CU_ASSERT(strcmp(json_object_get_string(json_object_array_get_idx(v, 2)),
	    "x\xf0\x9d\xbf\xbfy\xf0\x9f\x98\x80") == 0);
	CU_ASSERT(json_object_object_get_ex(json_object_array_get_idx(v, 3),
	    "\xf0\xad\xa8\x80", &o));
	json_object_put(v);
}

static const struct cu_case cases[] = {
	CU_CASE(pairs_like_surrogates_survive),
	CU_CASE(parses_any_root_with_space_around),
	CU_CASE(refuses_without_leaking),
	CU_CASE(members_are_typed),
	CU_CASE(adding_takes_the_value),
	CU_CASE(writes_only_valid_json),
	CU_CASE(depth_of_trees_is_bounded),
	CU_CASE(equality_is_by_value),
	CU_CASE(copies_share_nothing),
	CU_CASE(files_fail_with_their_line),
	CU_CASE(each_thread_has_its_parser),
	CU_END
};

CU_MAIN("json", cases)
