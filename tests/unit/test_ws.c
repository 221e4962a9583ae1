/* SPDX-License-Identifier: MIT */
/*
 * RFC 6455 sections 5 and 7 as a table of byte streams and what must come of
 * them, each fed whole, cut in two at every place, and byte by byte.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/ws/ws.h"
#include "tests/unit/cu.h"

#define LIMIT	300u		/* of a message, in the table */
#define FRAMES	8u

/* One frame; raw: the bytes as they are, without head and mask. */
struct frame {
	unsigned	 b0;
	const char	*p;
	size_t		 len;
	bool		 is_raw;
};

struct ws_case {
	const char	*name;
	struct frame	 frames[FRAMES];
	/*
	 * M text, B binary, P ping, Q pong, C close with code, F failed with code,
	 * each followed by its bytes in parentheses where it has any.
	 */
	const char	*want;
};

#define F(b0, s)	{ b0, s, sizeof(s) - 1, false }
#define RAW(s)		{ 1, s, sizeof(s) - 1, true }

static const struct ws_case cases_server[] = {
	{ "text", { F(0x81, "Hello") }, "M(Hello)" },
	{ "empty text", { F(0x81, "") }, "M()" },
	{ "binary is a message", { F(0x82, "{}") }, "B({})" },
	{ "two messages", { F(0x81, "a"), F(0x81, "b") }, "M(a)M(b)" },
	{ "fragments", { F(0x01, "Hel"), F(0x80, "lo") }, "M(Hello)" },
	{ "empty fragments", { F(0x01, ""), F(0x00, ""), F(0x80, "") }, "M()" },
	{ "empty first fragment", { F(0x01, ""), F(0x80, "x") }, "M(x)" },
	{ "empty last fragment", { F(0x01, "x"), F(0x80, "") }, "M(x)" },
	{ "binary fragments", { F(0x02, "a"), F(0x80, "b") }, "B(ab)" },
	{ "ping", { F(0x89, "hi") }, "P(hi)" },
	{ "empty ping", { F(0x89, "") }, "P()" },
	{ "pong", { F(0x8a, "yo") }, "Q(yo)" },
	{ "ping between fragments",
	    { F(0x01, "a"), F(0x89, "p"), F(0x00, "b"), F(0x8a, ""),
	    F(0x80, "c"), F(0x81, "d") }, "P(p)Q()M(abc)M(d)" },
	{ "character across fragments",
	    { F(0x01, "\xe2\x82"), F(0x80, "\xac") }, "M(\xe2\x82\xac)" },
	{ "ping inside a character",
	    { F(0x01, "\xe2"), F(0x89, "\xff"), F(0x80, "\x82\xac") },
	    "P(\xff)M(\xe2\x82\xac)" },
	{ "text after a character",
	    { F(0x81, "abcdefgh\xc3\xa4ijklmnopqrstuvwxyz") },
	    "M(abcdefgh\xc3\xa4ijklmnopqrstuvwxyz)" },
	{ "close", { F(0x88, "\x03\xe8") }, "C1000()" },
	{ "close without code", { F(0x88, "") }, "C1005()" },
	{ "close with reason", { F(0x88, "\x03\xf4" "bye") }, "C1012(bye)" },
	{ "close 1014", { F(0x88, "\x03\xf6") }, "C1014()" },
	{ "close 3000", { F(0x88, "\x0b\xb8") }, "C3000()" },
	{ "close 4999", { F(0x88, "\x13\x87") }, "C4999()" },
	{ "nothing after close", { F(0x88, "\x03\xe8"), F(0x81, "x"),
	    F(0x89, "y") }, "C1000()" },
	{ "close inside a message", { F(0x01, "x"), F(0x88, ""),
	    F(0x80, "y") }, "C1005()" },
	{ "at the limit", { F(0x81,
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "01234567890123456789012345678901234567890123") },
	    "M(0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "0123456789012345678901234567890123456789012345678901234567890123"
	    "01234567890123456789012345678901234567890123)" },

	/* Section 5.1 to 5.5 broken */
	{ "unmasked", { RAW("\x81\x05Hello") }, "F1002" },
	{ "unmasked ping", { RAW("\x89\x00") }, "F1002" },
	{ "rsv1", { F(0xc1, "x") }, "F1002" },
	{ "rsv2", { F(0xa1, "x") }, "F1002" },
	{ "rsv3", { F(0x91, "x") }, "F1002" },
	{ "rsv1 on a ping", { F(0xc9, "x") }, "F1002" },
	{ "opcode 3", { F(0x83, "x") }, "F1002" },
	{ "opcode 7", { F(0x87, "x") }, "F1002" },
	{ "opcode 11", { F(0x8b, "x") }, "F1002" },
	{ "opcode 15", { F(0x8f, "x") }, "F1002" },
	{ "fragmented ping", { F(0x09, "x") }, "F1002" },
	{ "fragmented close", { F(0x08, "") }, "F1002" },
	{ "ping of 126", { RAW("\x89\xfe\x00\x7e....") }, "F1002" },
	{ "close of 126", { RAW("\x88\xfe\x00\x7e....") }, "F1002" },
	{ "nothing to continue", { F(0x80, "x") }, "F1002" },
	{ "nothing to continue, open", { F(0x00, "x") }, "F1002" },
	{ "continued after the end", { F(0x81, "a"), F(0x80, "x") },
	    "M(a)F1002" },
	{ "text inside a message", { F(0x01, "a"), F(0x81, "b") }, "F1002" },
	{ "binary inside a message", { F(0x01, "a"), F(0x02, "b") }, "F1002" },
	{ "length 125 in 16 bits", { RAW("\x81\xfe\x00\x7d....") }, "F1002" },
	{ "length 65535 in 64 bits",
	    { RAW("\x81\xff\0\0\0\0\0\0\xff\xff....") }, "F1002" },
	{ "length with the top bit",
	    { RAW("\x81\xff\x80\0\0\0\0\0\0\0....") }, "F1002" },
	{ "length 2^63 - 1",
	    { RAW("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff....") }, "F1009" },
	{ "one above the limit", { RAW("\x81\xfe\x01\x2d....") }, "F1009" },
	{ "2^32 in a fragment", { F(0x01, "abc"),
	    RAW("\x80\xff\0\0\0\x01\0\0\0\0....") }, "F1009" },
	{ "limit passed by a fragment", { F(0x01, "abc"),
	    RAW("\x00\xfe\x01\x2a....") }, "F1009" },
	{ "close of one byte", { F(0x88, "\x03") }, "F1002" },
	{ "close 0", { F(0x88, "\0\0") }, "F1002" },
	{ "close 999", { F(0x88, "\x03\xe7") }, "F1002" },
	{ "close 1004", { F(0x88, "\x03\xec") }, "F1002" },
	{ "close 1005", { F(0x88, "\x03\xed") }, "F1002" },
	{ "close 1006", { F(0x88, "\x03\xee") }, "F1002" },
	{ "close 1015", { F(0x88, "\x03\xf7") }, "F1002" },
	{ "close 2999", { F(0x88, "\x0b\xb7") }, "F1002" },
	{ "close 5000", { F(0x88, "\x13\x88") }, "F1002" },
	{ "close with a bad reason", { F(0x88, "\x03\xe8\xff") }, "F1007" },
	{ "close cut in a character", { F(0x88, "\x03\xe8\xe2\x82") },
	    "F1007" },

	/* Section 8.1 */
	{ "bad byte", { F(0x81, "a\xff") }, "F1007" },
	{ "overlong slash", { F(0x81, "\xc0\xaf") }, "F1007" },
	{ "surrogate", { F(0x81, "\xed\xa0\x80") }, "F1007" },
	{ "above 10ffff", { F(0x81, "\xf4\x90\x80\x80") }, "F1007" },
	{ "character cut by the end", { F(0x81, "\xe2\x82") }, "F1007" },
	{ "character cut by the end of fragments",
	    { F(0x01, "\xe2"), F(0x80, "\x82") }, "F1007" },
	{ "bad byte in a later fragment",
	    { F(0x01, "ok"), F(0x00, "\x80"), F(0x80, "") }, "F1007" },
	{ "bad byte in a binary message", { F(0x82, "\xff") }, "F1007" },
	{ "nothing after a failure", { F(0x83, "x"), F(0x81, "y") }, "F1002" },
};

static const unsigned char mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

static void
add_frame(struct buf *out, enum ws_side side, const struct frame *f)
{
	unsigned char	 head[WS_HEAD_MAX];
	size_t		 n, at;

	if (f->is_raw) {
		(void)buf_add(out, f->p, f->len);
		return;
	}
	n = ws_head(head, WS_OP_TEXT, f->len, side == WS_SERVER ? mask : NULL);
	head[0] = (unsigned char)f->b0;
	(void)buf_add(out, head, n);
	at = out->len;
	(void)buf_add(out, f->p, f->len);
	if (side == WS_SERVER)
		ws_mask(out->data + at, f->len, mask);
}

static void
trace_event(struct buf *t, const struct ws_event *ev)
{
	static const char letters[] = "?MPQCF";

	if (ev->what == WS_MESSAGE && ev->is_binary)
		(void)buf_putc(t, 'B');
	else
		(void)buf_putc(t, letters[ev->what]);
	if (ev->what == WS_CLOSE || ev->what == WS_FAIL)
		(void)buf_u64(t, ev->code);
	if (ev->what == WS_FAIL)
		return;
	(void)buf_putc(t, '(');
	(void)buf_add(t, ev->data, ev->len);
	(void)buf_putc(t, ')');
}

/* Feeds a copy that is exactly as long, so that a read beyond it is caught. */
static void
feed(struct ws *ws, const char *p, size_t len, struct buf *t)
{
	struct ws_event	 ev;
	char		*copy = malloc(len > 0 ? len : 1);
	size_t		 at = 0, used;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, p, len);
	do {
		CU_ASSERT_EQUAL_FATAL(ws_feed(ws, copy + at, len - at, &used,
		    &ev), 0);
		CU_ASSERT_FATAL(used <= len - at);
		at += used;
		if (ev.what != WS_MORE)
			trace_event(t, &ev);
	} while (ev.what != WS_MORE);
	CU_ASSERT_EQUAL(at, len);
	free(copy);
}

static bool
gives(enum ws_side side, const struct buf *in, size_t first, size_t step,
    const char *want)
{
	struct buf	 t = BUF_INIT;
	struct ws	 ws;
	size_t		 at, n;
	bool		 ok;

	ws_init(&ws, side, LIMIT);
	feed(&ws, in->data, first, &t);
	for (at = first; at < in->len; at += n) {
		n = step > 0 ? MIN_OF(step, in->len - at) : in->len - at;
		feed(&ws, in->data + at, n, &t);
	}
	ok = t.len == strlen(want) && memcmp(t.data, want, t.len) == 0;
	if (!ok)
		(void)printf("got %.*s, want %s, cut at %zu\n", (int)t.len,
		    t.data, want, first);
	ws_fini(&ws);
	buf_fini(&t);
	return (ok);
}

static void
table_split_everywhere(void)
{
	const struct ws_case	*c;
	struct buf		 in;
	size_t			 i, k;

	for (i = 0; i < ARRAY_LEN(cases_server); i++) {
		c = &cases_server[i];
		buf_init(&in);
		for (k = 0; k < FRAMES && c->frames[k].p != NULL; k++)
			add_frame(&in, WS_SERVER, &c->frames[k]);
		for (k = 0; k <= in.len; k++) {
			if (!gives(WS_SERVER, &in, k, 0, c->want)) {
				(void)printf("case: %s\n", c->name);
				CU_FAIL("cut in two");
				break;
			}
		}
		CU_ASSERT(gives(WS_SERVER, &in, 0, 1, c->want));
		CU_ASSERT(gives(WS_SERVER, &in, 0, 3, c->want));
		buf_fini(&in);
	}
}

static void
client_takes_unmasked_only(void)
{
	static const struct frame good = F(0x81, "Hello");
	struct buf	 in = BUF_INIT;
	size_t		 k;

	add_frame(&in, WS_CLIENT, &good);
	for (k = 0; k <= in.len; k++)
		CU_ASSERT(gives(WS_CLIENT, &in, k, 0, "M(Hello)"));
	buf_reset(&in);
	add_frame(&in, WS_SERVER, &good);
	CU_ASSERT(gives(WS_CLIENT, &in, 0, 0, "F1002"));
	buf_fini(&in);
}

/* What the RFC prints in section 5.7 and 1.3. */
static void
examples_of_the_rfc(void)
{
	static const char masked[] =
	    "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
	struct buf	 in = BUF_INIT;
	unsigned char	 head[WS_HEAD_MAX];
	char		 key[WS_ACCEPT_SIZE];

	(void)buf_add(&in, masked, sizeof masked - 1);
	CU_ASSERT(gives(WS_SERVER, &in, 0, 0, "M(Hello)"));
	buf_fini(&in);

	CU_ASSERT_EQUAL(ws_head(head, WS_OP_BINARY, 256, NULL), 4);
	CU_ASSERT_EQUAL(memcmp(head, "\x82\x7e\x01\x00", 4), 0);
	CU_ASSERT_EQUAL(ws_head(head, WS_OP_BINARY, 65536, NULL), 10);
	CU_ASSERT_EQUAL(memcmp(head, "\x82\x7f\0\0\0\0\0\x01\0\0", 10), 0);

	ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, key);
	CU_ASSERT_STRING_EQUAL(key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void
base64_of_rfc_4648(void)
{
	static const char *const want[] = { "", "Zg==", "Zm8=", "Zm9v",
	    "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	char		 out[16];
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(want); i++) {
		ws_base64("foobar", i, out);
		CU_ASSERT_STRING_EQUAL(out, want[i]);
	}
}

static void
heads_round_trip(void)
{
	static const size_t lens[] = { 0, 1, 125, 126, 127, 65535, 65536,
	    70000 };
	unsigned char	 head[WS_HEAD_MAX];
	struct ws_event	 ev;
	struct ws	 ws;
	size_t		 i, n, used;
	char		*p;

	for (i = 0; i < ARRAY_LEN(lens); i++) {
		n = ws_head(head, WS_OP_TEXT, lens[i], mask);
		p = malloc(n + lens[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		memcpy(p, head, n);
		memset(p + n, 'x', lens[i]);
		ws_mask(p + n, lens[i], mask);
		ws_init(&ws, WS_SERVER, 70000);
		CU_ASSERT_EQUAL(ws_feed(&ws, p, n + lens[i], &used, &ev), 0);
		CU_ASSERT_EQUAL(used, n + lens[i]);
		CU_ASSERT_EQUAL(ev.what, WS_MESSAGE);
		CU_ASSERT_EQUAL(ev.len, lens[i]);
		CU_ASSERT(ev.len == 0 || (ev.data[0] == 'x' &&
		    ev.data[ev.len - 1] == 'x'));
		/* Whole in the bytes means in place: no memory was touched. */
		CU_ASSERT(ev.data == p + n);
		CU_ASSERT_EQUAL(ws_held(&ws), 0);
		ws_fini(&ws);
		free(p);
	}
}

/* AB-005: a number in a head buys no memory. */
static void
declared_length_allocates_nothing(void)
{
	unsigned char	 head[WS_HEAD_MAX];
	struct ws_event	 ev;
	struct ws	 ws;
	char		 byte = 'x';
	size_t		 n, used;

	ws_init(&ws, WS_SERVER, MIB(25));
	n = ws_head(head, WS_OP_TEXT, MIB(25), mask);
	CU_ASSERT_EQUAL(ws_feed(&ws, (char *)head, n, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_MORE);
	CU_ASSERT_EQUAL(ws_held(&ws), 0);
	CU_ASSERT(ws_is_busy(&ws));
	CU_ASSERT_EQUAL(ws_feed(&ws, &byte, 1, &used, &ev), 0);
	CU_ASSERT(ws_held(&ws) <= 4096);
	ws_fini(&ws);
}

/* The limit at - 1, at, + 1, and switched while connected. */
static void
message_limit_is_inclusive(void)
{
	unsigned char	 head[WS_HEAD_MAX];
	struct ws_event	 ev;
	struct ws	 ws;
	size_t		 used, n, i;
	static char	 body[65536];

	for (i = 65535; i <= 65537; i++) {
		ws_init(&ws, WS_SERVER, 65536);
		n = ws_head(head, WS_OP_TEXT, i, mask);
		CU_ASSERT_EQUAL(ws_feed(&ws, (char *)head, n, &used, &ev), 0);
		if (i > 65536) {
			CU_ASSERT_EQUAL(ev.what, WS_FAIL);
			CU_ASSERT_EQUAL(ev.code, 1009);
			ws_fini(&ws);
			continue;
		}
		memset(body, 'x', i);
		ws_mask(body, i, mask);
		CU_ASSERT_EQUAL(ws_feed(&ws, body, i, &used, &ev), 0);
		CU_ASSERT_EQUAL(ev.what, WS_MESSAGE);
		CU_ASSERT_EQUAL(ev.len, i);
		ws_set_max(&ws, MIB(1));
		n = ws_head(head, WS_OP_TEXT, 65537, mask);
		CU_ASSERT_EQUAL(ws_feed(&ws, (char *)head, n, &used, &ev), 0);
		CU_ASSERT_EQUAL(ev.what, WS_MORE);
		ws_fini(&ws);
	}
}

/* AB-006: fragments are counted, also empty ones. */
static void
fragments_are_counted(void)
{
	struct ws_event	 ev;
	struct ws	 ws;
	char		 first[] = "\x01\x80....", more[] = "\x00\x80....";
	size_t		 used;
	unsigned	 i;

	ws_init(&ws, WS_SERVER, MIB(25));
	CU_ASSERT_EQUAL(ws_feed(&ws, first, 6, &used, &ev), 0);
	for (i = 2; i <= WS_FRAGMENTS_MAX; i++) {
		CU_ASSERT_EQUAL_FATAL(ws_feed(&ws, more, 6, &used, &ev), 0);
		CU_ASSERT_EQUAL_FATAL(ev.what, WS_MORE);
	}
	CU_ASSERT_EQUAL(ws_held(&ws), 0);
	CU_ASSERT_EQUAL(ws_feed(&ws, more, 6, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_FAIL);
	CU_ASSERT_EQUAL(ev.code, 1009);
	ws_fini(&ws);
}

/* Memory follows payload, not the number of fragments. */
static void
small_fragments_cost_little(void)
{
	struct ws_event	 ev;
	struct ws	 ws;
	char		 f[7];
	size_t		 used;
	unsigned	 i;

	ws_init(&ws, WS_SERVER, MIB(25));
	for (i = 0; i < 5000; i++) {
		memcpy(f, i == 0 ? "\x01\x81\0\0\0\0x" : "\x00\x81\0\0\0\0x", 7);
		CU_ASSERT_EQUAL_FATAL(ws_feed(&ws, f, 7, &used, &ev), 0);
		CU_ASSERT_EQUAL_FATAL(ev.what, WS_MORE);
	}
	CU_ASSERT(ws_held(&ws) <= 2 * 5000);
	memcpy(f, "\x80\x81\0\0\0\0y", 7);
	CU_ASSERT_EQUAL(ws_feed(&ws, f, 7, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_MESSAGE);
	CU_ASSERT_EQUAL(ev.len, 5001);
	CU_ASSERT_EQUAL(ev.data[5000], 'y');
	/* The call that says WS_MORE gives all of it back. */
	CU_ASSERT_EQUAL(ws_feed(&ws, NULL, 0, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_MORE);
	CU_ASSERT_EQUAL(ws_held(&ws), 0);
	CU_ASSERT(!ws_is_busy(&ws));
	ws_fini(&ws);
}

static void
message_can_be_taken(void)
{
	char		 a[] = "\x01\x83\0\0\0\0abc", b[] = "\x80\x83\0\0\0\0def";
	char		 c[] = "\x81\x81\0\0\0\0z";
	struct ws_event	 ev;
	struct ws	 ws;
	char		*p = NULL;
	size_t		 used;

	ws_init(&ws, WS_SERVER, 100);
	CU_ASSERT_EQUAL(ws_feed(&ws, a, 9, &used, &ev), 0);
	CU_ASSERT(!ws_take_message(&ws, ev.data, &p));
	CU_ASSERT_EQUAL(ws_feed(&ws, b, 9, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_MESSAGE);
	/* Not in the place of another message, one that waited. */
	CU_ASSERT(!ws_take_message(&ws, "waited", &p));
	CU_ASSERT_PTR_NULL(p);
	CU_ASSERT(ws_take_message(&ws, ev.data, &p));
	CU_ASSERT(!ws_take_message(&ws, ev.data, &p));
	CU_ASSERT_EQUAL(ws_feed(&ws, c, 7, &used, &ev), 0);
	CU_ASSERT_EQUAL(ev.what, WS_MESSAGE);
	CU_ASSERT(!ws_take_message(&ws, ev.data, &p));
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(memcmp(p, "abcdef", 6), 0);
	free(p);
	ws_fini(&ws);
}

/* Long texts take the word path; a bad byte must be found at every place. */
static void
bad_byte_is_found_anywhere(void)
{
	unsigned char	 head[WS_HEAD_MAX];
	struct ws_event	 ev;
	struct ws	 ws;
	char		 f[WS_HEAD_MAX + 100];
	size_t		 i, n, used;

	for (i = 0; i < 100; i++) {
		n = ws_head(head, WS_OP_TEXT, 100, mask);
		memcpy(f, head, n);
		memset(f + n, 'x', 100);
		f[n + i] = (char)0x80;
		ws_mask(f + n, 100, mask);
		ws_init(&ws, WS_SERVER, 100);
		CU_ASSERT_EQUAL(ws_feed(&ws, f, n + 100, &used, &ev), 0);
		CU_ASSERT_EQUAL(ev.what, WS_FAIL);
		CU_ASSERT_EQUAL(ev.code, 1007);
		ws_fini(&ws);
	}
}

static void
close_body_cuts_at_a_character(void)
{
	unsigned char	 out[2 + WS_REASON_MAX];
	char		 reason[200];

	CU_ASSERT_EQUAL(ws_close_body(out, 1005, "x"), 0);
	CU_ASSERT_EQUAL(ws_close_body(out, 1008, NULL), 2);
	CU_ASSERT_EQUAL(ws_close_body(out, 1012, "bye"), 5);
	CU_ASSERT_EQUAL(memcmp(out, "\x03\xf4" "bye", 5), 0);
	memset(reason, 'a', sizeof reason);
	memcpy(reason + 119, "\xc3\xa4", 2);
	reason[150] = '\0';
	CU_ASSERT_EQUAL(ws_close_body(out, 1008, reason), 2 + 119);
}

static const struct cu_case cases[] = {
	CU_CASE(table_split_everywhere),
	CU_CASE(client_takes_unmasked_only),
	CU_CASE(examples_of_the_rfc),
	CU_CASE(base64_of_rfc_4648),
	CU_CASE(heads_round_trip),
	CU_CASE(declared_length_allocates_nothing),
	CU_CASE(message_limit_is_inclusive),
	CU_CASE(fragments_are_counted),
	CU_CASE(small_fragments_cost_little),
	CU_CASE(message_can_be_taken),
	CU_CASE(bad_byte_is_found_anywhere),
	CU_CASE(close_body_cuts_at_a_character),
	CU_END
};

CU_MAIN("ws", cases)
