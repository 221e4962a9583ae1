/* SPDX-License-Identifier: MIT */
/* The small things that all parts stand on: buf, utf8, log, file, clock. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "tests/unit/cu.h"

static char	 dir[256];

static void
dir_begin(void)
{
	const char	*tmp = getenv("TMPDIR");

	(void)snprintf(dir, sizeof dir, "%s/chela-base-XXXXXX",
	    tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		exit(1);
	}
}

static const char *
path_of(const char *name)
{
	static char	 ring[4][600];
	static unsigned	 turn;
	char		*p = ring[turn++ % 4];

	(void)snprintf(p, sizeof ring[0], "%s/%s", dir, name);
	return (p);
}

static bool
buf_is(const struct buf *b, const char *want)
{
	return (!b->is_failed && b->len == strlen(want) &&
	    (b->len == 0 || memcmp(b->data, want, b->len) == 0));
}

static void
a_buffer_grows_and_gives_its_bytes(void)
{
	struct buf	 b = BUF_INIT;
	size_t		 i, len = 0;
	char		*p;

	buf_fini(NULL);
	CU_ASSERT_EQUAL(buf_add(&b, NULL, 0), 0);
	CU_ASSERT_PTR_NULL(b.data);
	for (i = 0; i < 10000; i++)
		CU_ASSERT_EQUAL(buf_putc(&b, (char)('a' + i % 26)), 0);
	CU_ASSERT_EQUAL(b.len, 10000);
	p = buf_take(&b, &len);
	CU_ASSERT_EQUAL(len, 10000);
	CU_ASSERT_EQUAL(strlen(p), 10000);
	CU_ASSERT_EQUAL(p[9999], 'a' + 9999 % 26);
	free(p);
	CU_ASSERT_EQUAL(b.len, 0);
	CU_ASSERT_EQUAL(b.cap, 0);
	p = buf_take(&b, NULL);
	CU_ASSERT_STRING_EQUAL(p, "");
	free(p);

	CU_ASSERT_EQUAL(buf_puts(&b, "hello"), 0);
	buf_drop(&b, 0);
	CU_ASSERT_TRUE(buf_is(&b, "hello"));
	buf_drop(&b, 2);
	CU_ASSERT_TRUE(buf_is(&b, "llo"));
	buf_drop(&b, 3);
	CU_ASSERT_TRUE(buf_is(&b, ""));
	CU_ASSERT_EQUAL(buf_puts(&b, "x"), 0);
	buf_drop(&b, 100);
	CU_ASSERT_TRUE(buf_is(&b, ""));
	buf_reset(&b);
	CU_ASSERT_TRUE(b.cap > 0);
	buf_fini(&b);
}

static void
a_buffer_formats_numbers_and_text(void)
{
	struct buf	 b = BUF_INIT;
	char		 want[400];

	CU_ASSERT_EQUAL(buf_u64(&b, 0), 0);
	CU_ASSERT_EQUAL(buf_putc(&b, ' '), 0);
	CU_ASSERT_EQUAL(buf_u64(&b, UINT64_MAX), 0);
	CU_ASSERT_TRUE(buf_is(&b, "0 18446744073709551615"));
	buf_reset(&b);
	CU_ASSERT_EQUAL(buf_printf(&b, "%s", ""), 0);
	CU_ASSERT_TRUE(buf_is(&b, ""));
	(void)snprintf(want, sizeof want, "%0300d|%s", 7, "end");
	CU_ASSERT_EQUAL(buf_printf(&b, "%0300d|%s", 7, "end"), 0);
	CU_ASSERT_TRUE(buf_is(&b, want));
	buf_fini(&b);
}

static void
a_failed_buffer_stays_failed(void)
{
	struct buf	 b = BUF_INIT;

	CU_ASSERT_EQUAL(buf_puts(&b, "kept"), 0);
	CU_ASSERT_EQUAL(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	CU_ASSERT_TRUE(b.is_failed);
	CU_ASSERT_EQUAL(buf_putc(&b, 'x'), -ENOMEM);
	CU_ASSERT_EQUAL(buf_u64(&b, 1), -ENOMEM);
	CU_ASSERT_EQUAL(buf_printf(&b, "%d", 1), -ENOMEM);
	CU_ASSERT_EQUAL(buf_json_strz(&b, "x"), -ENOMEM);
	CU_ASSERT_PTR_NULL(buf_take(&b, NULL));
	CU_ASSERT_EQUAL(b.len, 4);
	buf_reset(&b);
	CU_ASSERT_EQUAL(buf_putc(&b, 'x'), 0);
	CU_ASSERT_TRUE(buf_is(&b, "x"));
	buf_fini(&b);
}

static void
json_strings_escape_what_they_must(void)
{
	static const struct {
		const char	*in;
		size_t		 len;
		const char	*out;
	} all[] = {
		{ "", 0, "\"\"" },
		{ "plain", 5, "\"plain\"" },
		{ "a\"b\\c/", 6, "\"a\\\"b\\\\c/\"" },
		{ "\n\r\t\b\f", 5, "\"\\n\\r\\t\\u0008\\u000c\"" },
		{ "\0\x1f\x20\x7f", 4, "\"\\u0000\\u001f \x7f\"" },
		{ "\xc3\xa4\xf0\x9f\xa6\x9e", 6,
		    "\"\xc3\xa4\xf0\x9f\xa6\x9e\"" },
		{ "x\"", 2, "\"x\\\"\"" },
		{ "\"x", 2, "\"\\\"x\"" },
	};
	struct buf	 b = BUF_INIT;
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(all); i++) {
		buf_reset(&b);
		CU_ASSERT_EQUAL(buf_json_str(&b, all[i].in, all[i].len), 0);
		CU_ASSERT_TRUE(buf_is(&b, all[i].out));
	}
	buf_reset(&b);
	CU_ASSERT_EQUAL(buf_json_strz(&b, NULL), 0);
	CU_ASSERT_TRUE(buf_is(&b, "null"));
	buf_fini(&b);
}

/*
 * RFC 3629 section 4, from the grammar, with no table to share a mistake with.
 */
static size_t
char_len(const unsigned char *s, size_t len)
{
	uint32_t	 c;
	size_t		 n, i;

	if (s[0] < 0x80)
		return (1);
	n = s[0] >= 0xf0 && s[0] < 0xf8 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
	    s[0] >= 0xc0 && s[0] < 0xe0 ? 2 : 0;
	if (n == 0 || n > len)
		return (0);
	c = s[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if (s[i] < 0x80 || s[i] > 0xbf)
			return (0);
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < (n == 2 ? 0x80u : n == 3 ? 0x800u : 0x10000u) ||
	    c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return (0);
	return (n);
}

static bool
is_valid_slowly(const unsigned char *s, size_t len)
{
	size_t	 n;

	for (; len > 0; s += n, len -= n) {
		n = char_len(s, len);
		if (n == 0)
			return (false);
	}
	return (true);
}

static size_t
encode(uint32_t c, unsigned char *out)
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return (1);
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3f));
		return (2);
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c & 0x3f));
		return (3);
	}
	out[0] = (unsigned char)(0xf0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (c & 0x3f));
	return (4);
}

static void
utf8_knows_every_code_point(void)
{
	unsigned char	 s[4];
	uint32_t	 c;
	size_t		 n, wrong = 0;
	bool		 is_good;

	for (c = 0; c < 0x200000; c++) {
		n = encode(c, s);
		is_good = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		wrong += utf8_is_valid(s, n) != is_good;
		if (n > 1)	/* cut short */
			wrong += utf8_is_valid(s, n - 1);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(utf8_is_valid("", 0));
}

static void
utf8_refuses_every_other_sequence(void)
{
	unsigned char	 s[4];
	uint32_t	 i, j;
	size_t		 wrong = 0;

	for (i = 0; i < 0x1000000; i++) {
		s[0] = (unsigned char)(i >> 16);
		s[1] = (unsigned char)(i >> 8);
		s[2] = (unsigned char)i;
		/* ASCII first is the other sequences, once more. */
		if (s[0] < 0x80 && s[0] != 'a')
			continue;
		wrong += utf8_is_valid(s, 3) != is_valid_slowly(s, 3);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	/* Four bytes: all of the first two, the corners of the others. */
	for (i = 0; i < 0x10000; i++) {
		static const unsigned char corners[] = { 0x00, 0x7f, 0x80,
		    0xbf, 0xc0, 0xff };

		for (j = 0; j < 36; j++) {
			s[0] = (unsigned char)(i >> 8);
			s[1] = (unsigned char)i;
			s[2] = corners[j / 6];
			s[3] = corners[j % 6];
			wrong += utf8_is_valid(s, 4) != is_valid_slowly(s, 4);
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void
utf8_can_be_fed_in_pieces(void)
{
	static const char text[] = "0123456789012345678901234567890123456789"
	    "\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x9e"
	    "0123456789012345678901234567890123456789\xf4\x8f\xbf\xbf";
	size_t		 i, j, len = sizeof text - 1;
	uint32_t	 state;
	char		 bad[sizeof text];

	for (i = 0; i <= len; i++) {
		state = utf8_feed(UTF8_ACCEPT, text, i);
		CU_ASSERT_NOT_EQUAL(state, UTF8_REJECT);
		CU_ASSERT_EQUAL(utf8_feed(state, text + i, len - i),
		    UTF8_ACCEPT);
	}
	/* One wrong byte anywhere, in one piece or byte by byte. */
	for (i = 0; i < len; i++) {
		memcpy(bad, text, sizeof text);
		bad[i] = (char)0xff;
		CU_ASSERT_EQUAL(utf8_feed(UTF8_ACCEPT, bad, len), UTF8_REJECT);
		for (j = 0, state = UTF8_ACCEPT; j < len; j++)
			state = utf8_feed(state, bad + j, 1);
		CU_ASSERT_EQUAL(state, UTF8_REJECT);
	}
	CU_ASSERT_EQUAL(utf8_feed(UTF8_REJECT, "a", 1), UTF8_REJECT);
}

static void
a_cut_never_splits_a_character(void)
{
	static const char text[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x9ez";
	static const size_t want[] = { 0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11,
	    11 };
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(want); i++)
		CU_ASSERT_EQUAL(utf8_cut(text, 11, i), want[i]);
}

static void
quoted_values_are_one_bounded_line(void)
{
	char		 big[1000];
	const char	*a, *b, *c, *d;
	size_t		 i;

	CU_ASSERT_STRING_EQUAL(log_quote("", 0), "\"\"");
	CU_ASSERT_STRING_EQUAL(log_quote("plain text", 10), "\"plain text\"");
	CU_ASSERT_STRING_EQUAL(log_quote("a\n\x1b[31m\"\\\0\xff", 10),
	    "\"a\\x0a\\x1b[31m\\x22\\x5c\\x00\"");
	CU_ASSERT_STRING_EQUAL(log_quote("\x7f\xff", 2), "\"\\x7f\\xff\"");
	for (i = 250; i < 260; i++) {
		memset(big, 'x', sizeof big);
		a = log_quote(big, i);
		CU_ASSERT_EQUAL(strlen(a) <= 262, true);
		CU_ASSERT_EQUAL(strstr(a, "...") != NULL, i > 255);
		memset(big, 0xff, sizeof big);
		a = log_quote(big, i);
		CU_ASSERT_TRUE(strlen(a) < 272);
		CU_ASSERT_PTR_NOT_NULL(strstr(a, "..."));
	}
	/* Four values fit into one call of log_write(). */
	a = log_quote("a", 1);
	b = log_quote("b", 1);
	c = log_quote("c", 1);
	d = log_quote("d", 1);
	CU_ASSERT_STRING_EQUAL(a, "\"a\"");
	CU_ASSERT_STRING_EQUAL(b, "\"b\"");
	CU_ASSERT_STRING_EQUAL(c, "\"c\"");
	CU_ASSERT_STRING_EQUAL(d, "\"d\"");
}

static size_t
count_lines(const char *text)
{
	size_t	 n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return (n);
}

static void
the_log_file_has_one_line_an_event(void)
{
	struct stat	 st;
	struct pollfd	 pfd;
	char		*text = NULL, wide[5000];
	size_t		 len = 0, i;
	int		 seen;

	dir_begin();
	CU_ASSERT_PTR_NULL(log_file_path());
	CU_ASSERT_EQUAL_FATAL(log_file_open(dir, MIB(1)), 0);
	CU_ASSERT_STRING_EQUAL(log_file_path(), path_of("chela.log"));
	CU_ASSERT_EQUAL(stat(path_of("chela.log"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	log_notice("base", "one: two lines\nand \x1b[0m a quote \"");
	log_notice("base", "bad \xff\xc3\xa4 bytes");
	log_debug("base", "not on");
	for (i = 0; i + 1 < sizeof wide; i += 2)
		memcpy(wide + i, "\xc3\xa4", 2);
	wide[4999] = '\0';
	wide[4998] = '\0';
	log_notice("base", "x%s", wide);
	log_notice("base", "%s", wide);
	log_file_close();
	CU_ASSERT_PTR_NULL(log_file_path());
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("chela.log"), MIB(1), &text,
	    &len), 0);
	CU_ASSERT_EQUAL(count_lines(text), 4);
	CU_ASSERT_TRUE(utf8_is_valid(text, len));
	CU_ASSERT_PTR_NOT_NULL(strstr(text,
	    "\"level\":\"notice\",\"subsystem\":\"base\",\"message\":\""
	    "one: two lines and  [0m a quote \\\"\"}\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "bad ??? bytes"));
	/* A long line loses its end, not its letters. */
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "x\xc3\xa4\xc3\xa4"));
	CU_ASSERT_PTR_NULL(strstr(text, "????"));
	free(text);

	/* Again: the second life of the file has a thread, too. */
	CU_ASSERT_EQUAL_FATAL(log_file_open(dir, MIB(1)), 0);
	CU_ASSERT_EQUAL(log_file_open(dir, MIB(1)), -EALREADY);
	seen = inotify_init1(IN_CLOEXEC);
	CU_ASSERT_TRUE(inotify_add_watch(seen, path_of("chela.log"),
	    IN_CLOSE_WRITE) >= 0);
	log_notice("base", "second time");
	pfd = (struct pollfd){ .fd = seen, .events = POLLIN };
	CU_ASSERT_EQUAL(poll(&pfd, 1, 20000), 1);
	(void)close(seen);
	log_notice("base", "and once more");
	log_file_close();
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("chela.log"), MIB(1), &text,
	    &len), 0);
	CU_ASSERT_EQUAL(count_lines(text), 6);
	free(text);

	/* Taken away while open: comes back. */
	CU_ASSERT_EQUAL_FATAL(log_file_open(dir, MIB(1)), 0);
	CU_ASSERT_EQUAL(unlink(path_of("chela.log")), 0);
	log_notice("base", "third time");
	log_file_close();
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("chela.log"), MIB(1), &text,
	    &len), 0);
	CU_ASSERT_EQUAL(count_lines(text), 1);
	free(text);

	/* Full: the older half moves aside. */
	CU_ASSERT_EQUAL_FATAL(log_file_open(dir, 100), 0);
	log_notice("base", "fourth time");
	log_file_close();
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("chela.log.1"), MIB(1), &text,
	    &len), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "third"));
	free(text);
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("chela.log"), MIB(1), &text,
	    &len), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "fourth"));
	CU_ASSERT_EQUAL(count_lines(text), 1);
	free(text);
	CU_ASSERT_EQUAL(unlink(path_of("chela.log")), 0);

	/* A link is not followed, and a failed open leaves nothing. */
	CU_ASSERT_EQUAL(symlink("/dev/null", path_of("chela.log")), 0);
	CU_ASSERT_TRUE(log_file_open(dir, 100) < 0);
	CU_ASSERT_PTR_NULL(log_file_path());
	CU_ASSERT_TRUE(log_file_open(dir, 100) < 0);
	(void)unlink(path_of("chela.log"));
	(void)unlink(path_of("chela.log.1"));
	(void)rmdir(dir);
}

static void
levels_have_names(void)
{
	CU_ASSERT_EQUAL(log_level_parse("error"), LOG_LEVEL_ERR);
	CU_ASSERT_EQUAL(log_level_parse("warn"), LOG_LEVEL_WARNING);
	CU_ASSERT_EQUAL(log_level_parse("warning"), LOG_LEVEL_WARNING);
	CU_ASSERT_EQUAL(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	CU_ASSERT_EQUAL(log_level_parse(""), -EINVAL);
	CU_ASSERT_EQUAL(log_level_parse("loud"), -EINVAL);
	log_set_level(LOG_LEVEL_WARNING);
	CU_ASSERT_TRUE(log_is_on(LOG_LEVEL_WARNING));
	CU_ASSERT_FALSE(log_is_on(LOG_LEVEL_NOTICE));
	log_set_level(LOG_LEVEL_NOTICE);
}

static void
a_file_is_replaced_whole(void)
{
	struct stat	 st;
	char		*text = NULL;
	size_t		 len = 0;
	mode_t		 old;

	dir_begin();
	old = umask(0777);
	CU_ASSERT_EQUAL(file_write_atomic(path_of("f"), "one", 3, 0640), 0);
	(void)umask(old);
	CU_ASSERT_EQUAL(stat(path_of("f"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	CU_ASSERT_EQUAL(file_write_atomic(path_of("f"), "second", 6, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("f"), 6, &text, &len), 0);
	CU_ASSERT_EQUAL(len, 6);
	CU_ASSERT_STRING_EQUAL(text, "second");
	free(text);
	text = NULL;
	CU_ASSERT_EQUAL(file_write_atomic(path_of("f"), "", 0, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(file_read(path_of("f"), 0, &text, &len), 0);
	CU_ASSERT_EQUAL(len, 0);
	free(text);
	/* Nothing but the file is left, also when it failed. */
	CU_ASSERT_EQUAL(mkdir(path_of("d"), 0700), 0);
	CU_ASSERT_EQUAL(mkdir(path_of("d/e"), 0700), 0);
	CU_ASSERT_TRUE(file_write_atomic(path_of("d"), "x", 1, 0600) < 0);
	CU_ASSERT_EQUAL(file_write_atomic(path_of("no/f"), "x", 1, 0600),
	    -ENOENT);
	CU_ASSERT_EQUAL(file_write_atomic("", "x", 1, 0600), -EINVAL);
	CU_ASSERT_EQUAL(rmdir(path_of("d/e")), 0);
	CU_ASSERT_EQUAL(rmdir(path_of("d")), 0);
	CU_ASSERT_EQUAL(unlink(path_of("f")), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
only_small_regular_files_are_read(void)
{
	char	*text = NULL;
	size_t	 len = 0;

	dir_begin();
	CU_ASSERT_EQUAL(file_write_atomic(path_of("f"), "12345", 5, 0600), 0);
	CU_ASSERT_EQUAL(file_read(path_of("f"), 4, &text, &len), -EFBIG);
	CU_ASSERT_EQUAL(file_read(path_of("f"), 5, &text, &len), 0);
	free(text);
	CU_ASSERT_EQUAL(file_read(path_of("f"), 6, &text, &len), 0);
	free(text);
	text = NULL;
	CU_ASSERT_EQUAL(file_read(path_of("none"), 5, &text, &len), -ENOENT);
	CU_ASSERT_EQUAL(file_read(dir, 5, &text, &len), -EISDIR);
	CU_ASSERT_EQUAL(mkfifo(path_of("p"), 0600), 0);
	CU_ASSERT_EQUAL(file_read(path_of("p"), 5, &text, &len), -EINVAL);
	CU_ASSERT_PTR_NULL(text);
	(void)unlink(path_of("p"));
	(void)unlink(path_of("f"));
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
directories_get_their_mode(void)
{
	struct stat	 st;
	char		*p;

	dir_begin();
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a/b/c"), 0700), 0);
	CU_ASSERT_EQUAL(stat(path_of("a/b/c"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a/b/c"), 0700), 0);
	/* A slash at the end is no other name. */
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a/b/d/"), 0700), 0);
	CU_ASSERT_EQUAL(stat(path_of("a/b/d"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a//b/e//"), 0700), 0);
	CU_ASSERT_EQUAL(stat(path_of("a/b/e"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	/* A file in the way is not a directory. */
	CU_ASSERT_EQUAL(file_write_atomic(path_of("a/f"), "x", 1, 0600), 0);
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a/f"), 0700), -ENOTDIR);
	CU_ASSERT_EQUAL(file_mkdirs(path_of("a/f/g"), 0700), -ENOTDIR);
	CU_ASSERT_EQUAL(file_mkdirs("", 0700), -ENOENT);
	CU_ASSERT_EQUAL(file_mkdirs("/", 0700), 0);
	p = file_join("a", "b");
	CU_ASSERT_STRING_EQUAL(p, "a/b");
	free(p);
	(void)unlink(path_of("a/f"));
	(void)rmdir(path_of("a/b/c"));
	(void)rmdir(path_of("a/b/d"));
	(void)rmdir(path_of("a/b/e"));
	(void)rmdir(path_of("a/b"));
	(void)rmdir(path_of("a"));
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void
a_test_can_stop_the_clock(void)
{
	uint64_t	 before = clock_now_us();

	clock_fake(1234, 5678);
	CU_ASSERT_EQUAL(clock_now_us(), 1234);
	CU_ASSERT_EQUAL(clock_wall_ms(), 5678);
	clock_fake(0, 0);
	CU_ASSERT_TRUE(clock_now_us() >= before);
	CU_ASSERT_TRUE(clock_wall_ms() > UINT64_C(1500000000000));
}

static const struct cu_case cases[] = {
	CU_CASE(a_buffer_grows_and_gives_its_bytes),
	CU_CASE(a_buffer_formats_numbers_and_text),
	CU_CASE(a_failed_buffer_stays_failed),
	CU_CASE(json_strings_escape_what_they_must),
	CU_CASE(utf8_knows_every_code_point),
	CU_CASE(utf8_refuses_every_other_sequence),
	CU_CASE(utf8_can_be_fed_in_pieces),
	CU_CASE(a_cut_never_splits_a_character),
	CU_CASE(quoted_values_are_one_bounded_line),
	CU_CASE(the_log_file_has_one_line_an_event),
	CU_CASE(levels_have_names),
	CU_CASE(a_file_is_replaced_whole),
	CU_CASE(only_small_regular_files_are_read),
	CU_CASE(directories_get_their_mode),
	CU_CASE(a_test_can_stop_the_clock),
	CU_END
};

CU_MAIN("base", cases)
