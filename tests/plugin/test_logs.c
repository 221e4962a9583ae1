/* SPDX-License-Identifier: MIT */
/* Plugin logs: offsets, limits, rotation, broken lines and bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static struct fake	*f;
static char		 path[4096];

static void
begin(void)
{
	char	 dir[4000];

	f = fake_new();
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT_FATAL(fake_load(f, "logs") == 0);
	CU_ASSERT_FATAL(fake_start(f) == 0);
	(void)snprintf(dir, sizeof dir, "%s/logs", fake_host(f)->state_dir());
	CU_ASSERT_FATAL(file_mkdirs(dir, 0700) == 0);
	(void)snprintf(path, sizeof path, "%s/chela.log", dir);
	(void)unlink(path);
}

static void
put(const char *text)
{
	FILE	*o = fopen(path, "w");

	CU_ASSERT_FATAL(o != NULL);
	(void)fputs(text, o);
	(void)fclose(o);
}

/* Calls and compares: the lines joined by "|". */
static void
tails(const char *params, const char *lines, int64_t cursor, int64_t size,
    const char *flags)
{
	struct json_object	*o = fake_call(f, NULL, "logs.tail", params);
	struct json_object	*list;
	char			 got[4096] = "", fl[64] = "";
	size_t			 i;

	CU_ASSERT_FATAL(o != NULL && fake_ok(o));
	list = fake_get(o, "result.lines");
	for (i = 0; i < json_object_array_length(list); i++) {
		(void)strncat(got, json_object_get_string(
		    json_object_array_get_idx(list, i)), 1000);
		(void)strncat(got, "|", 2);
	}
	if (json_object_get_boolean(fake_get(o, "result.truncated")))
		(void)strncat(fl, "t", 2);
	if (json_object_get_boolean(fake_get(o, "result.reset")))
		(void)strncat(fl, "r", 2);
	if (fake_get(o, "result.skippedBytes") != NULL)
		(void)snprintf(fl + strlen(fl), 20, "%d",
		    (int)fake_int(o, "result.skippedBytes"));
	if (strcmp(got, lines) != 0 || strcmp(fl, flags) != 0 ||
	    fake_int(o, "result.cursor") != cursor ||
	    fake_int(o, "result.size") != size) {
		(void)fprintf(stderr, "\n%s: %s\n", params,
		    json_object_to_json_string(o));
		CU_FAIL("another answer");
	}
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.file"), path);
	json_object_put(o);
}

static void
no_file_is_no_lines(void)
{
	begin();
	tails("{}", "", 0, 0, "");
	tails("{\"cursor\":5}", "", 0, 0, "r");
	fake_free(f);
}

static void
reads_on_from_a_cursor(void)
{
	begin();
	put("one\ntwo\n");
	tails("{}", "one|two|", 8, 8, "");
	tails("{\"cursor\":8}", "", 8, 8, "");
	tails("{\"cursor\":4}", "two|", 8, 8, "");
	/* In the middle of a line: that one is not told in part. */
	tails("{\"cursor\":1}", "two|", 8, 8, "");
	put("one\ntwo\n\nthree\n");
	tails("{\"cursor\":8}", "|three|", 15, 15, "");
	fake_free(f);
}

static void
an_unfinished_line_waits(void)
{
	begin();
	put("one\ntw");
	tails("{}", "one|", 4, 6, "");
	tails("{\"cursor\":4}", "", 4, 6, "");
	put("one\ntwo\n");
	tails("{\"cursor\":4}", "two|", 8, 8, "");
	fake_free(f);
}

static void
rotation_is_told(void)
{
	begin();
	put("new\n");
	tails("{\"cursor\":100}", "new|", 4, 4, "r");
	fake_free(f);
}

static void
limits_cut_the_front(void)
{
	begin();
	put("aaa\nbbb\nccc\nddd\n");
	tails("{\"limit\":2}", "ccc|ddd|", 16, 16, "t");
	tails("{\"limit\":4}", "aaa|bbb|ccc|ddd|", 16, 16, "");
	tails("{\"maxBytes\":8}", "ccc|ddd|", 16, 16, "t");
	tails("{\"maxBytes\":7}", "ddd|", 16, 16, "t");
	tails("{\"maxBytes\":16}", "aaa|bbb|ccc|ddd|", 16, 16, "");
	tails("{\"cursor\":0,\"maxBytes\":8}", "ccc|ddd|", 16, 16, "tr8");
	tails("{\"cursor\":8,\"maxBytes\":8}", "ccc|ddd|", 16, 16, "");
	tails("{\"maxBytes\":1}", "", 16, 16, "t");
	fake_free(f);
}

static void
one_line_longer_than_all_is_passed(void)
{
	begin();
	put("aaaaaaaaaaaaaaaaaaaaaaaaa");
	tails("{\"maxBytes\":5}", "", 25, 25, "t");
	tails("{}", "", 0, 25, "");
	fake_free(f);
}

static void
bytes_that_are_no_text_are_replaced(void)
{
	begin();
	put("a\xff""b\xc3\xa9\xed\xa0\x80\xf0\x9f\x98\n");
	tails("{}", "a\xef\xbf\xbd""b\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"
	    "\xef\xbf\xbd\xef\xbf\xbd|", 12, 12, "");
	fake_free(f);
}

static void
refuses(const char *params, const char *code, const char *message)
{
	struct json_object	*o = fake_call(f, NULL, "logs.tail", params);

	CU_ASSERT_FATAL(o != NULL && !fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_code(o), code);
	CU_ASSERT(strstr(fake_message(o), message) != NULL);
	json_object_put(o);
}

static void
refuses_what_it_can_not_do(void)
{
	begin();
	refuses("{\"limit\":0}", "INVALID_REQUEST", "/limit");
	refuses("{\"limit\":5001}", "INVALID_REQUEST", "/limit");
	refuses("{\"maxBytes\":1000001}", "INVALID_REQUEST", "/maxBytes");
	refuses("{\"cursor\":-1}", "INVALID_REQUEST", "/cursor");
	refuses("{\"x\":1}", "INVALID_REQUEST", "unexpected property 'x'");
	CU_ASSERT(mkdir(path, 0700) == 0);
	refuses("{}", "UNAVAILABLE", "log read failed: ");
	CU_ASSERT(rmdir(path) == 0);
	/* A pipe must not hang a worker. */
	CU_ASSERT(mkfifo(path, 0600) == 0);
	refuses("{}", "UNAVAILABLE", "log read failed: ");
	fake_free(f);
}

static void
a_caller_who_leaves_is_no_harm(void)
{
	struct fake_req	*rq;

	begin();
	put("one\n");
	rq = fake_send(f, NULL, "logs.tail", "{}");
	fake_req_cancel(rq);
	fake_req_free(rq);
	tails("{}", "one|", 4, 4, "");
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(no_file_is_no_lines),
	CU_CASE(reads_on_from_a_cursor),
	CU_CASE(an_unfinished_line_waits),
	CU_CASE(rotation_is_told),
	CU_CASE(limits_cut_the_front),
	CU_CASE(one_line_longer_than_all_is_passed),
	CU_CASE(bytes_that_are_no_text_are_replaced),
	CU_CASE(refuses_what_it_can_not_do),
	CU_CASE(a_caller_who_leaves_is_no_harm),
	CU_END
};
CU_MAIN("plugin logs", cases)
