/* SPDX-License-Identifier: MIT */
/* Request heads as a table: each cut at every byte, then judged. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/net/http_head.h"
#include "tests/unit/cu.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UP  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define H   "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define END "\r\n"

static const char *const wanted[] = { "chela.v1", "openclaw", NULL };

struct head_case {
	const char	*in;
	size_t		 len;
	unsigned	 status;	/* 0: accepted */
};

#define C(status, s) { s, sizeof(s) - 1, status }

static const struct head_case heads[] = {
	C(0, GET H END),
	C(0, END GET H END),
	C(0, "GET /a?b=c HTTP/1.1\r\nhost:a\r\n" END),
	C(0, "GET / HTTP/1.0\r\n" END),
	C(0, "OPTIONS * HTTP/1.1\r\n" H END),
	C(0, "GET http://b:80/x HTTP/1.1\r\n" H END),
	C(0, "GET / HTTP/1.9\r\n" H END),
	C(0, GET "Host: [::1]:80\r\n" END),
	C(0, GET "Host:\r\n" END),
	C(0, GET H "X:\r\nY: \t v \t\r\n" END),
	C(0, GET H "X: \xc3\xa4\r\n" END),
	C(0, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n" END "hello"),
	C(0, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n" END),

	/* request line */
	C(400, " GET / HTTP/1.1\r\n" H END),
	C(400, "\r\n\r\n" GET H END),
	C(400, "GET  / HTTP/1.1\r\n" H END),
	C(400, "GET /  HTTP/1.1\r\n" H END),
	C(400, "GET / HTTP/1.1 \r\n" H END),
	C(400, "GET /\r\n" H END),
	C(400, "GET\r\n" END),
	C(400, "GET / http/1.1\r\n" H END),
	C(400, "GET / HTTP/1.10\r\n" H END),
	C(400, "GET / HTTP/11\r\n" H END),
	C(400, "G(T / HTTP/1.1\r\n" H END),
	C(400, "GET a HTTP/1.1\r\n" H END),
	C(400, "GET * HTTP/1.1\r\n" H END),
	C(400, "CONNECT a:80 HTTP/1.1\r\n" H END),
	C(400, "GET ftp://a/ HTTP/1.1\r\n" H END),
	C(400, "GET http:///x HTTP/1.1\r\n" H END),
	C(400, "GET http://u@a/x HTTP/1.1\r\n" H END),
	C(400, "GET /a#b HTTP/1.1\r\n" H END),
	C(400, "GET /a\0b HTTP/1.1\r\n" H END),
	C(400, "GET /a\tb HTTP/1.1\r\n" H END),
	C(400, "GET / HTTP/1.1\n" H END),
	C(400, "GET / HTTP/1.1\r" H END),
	C(400, "\x16\x03\x01\x02\x00\x01\x00"),
	C(505, "GET / HTTP/2.0\r\n" H END),
	C(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	C(505, "GET / HTTP/0.9\r\n" H END),

	/* fields */
	C(400, GET END),
	C(400, GET H H END),
	C(400, GET "Host: a b\r\n" END),
	C(400, GET "Host: a/b\r\n" END),
	C(400, GET "Host: u@a\r\n" END),
	C(400, GET H "X : y\r\n" END),
	C(400, GET H " X: y\r\n" END),
	C(400, GET H "X: y\r\n z\r\n" END),
	C(400, GET H "X\r\n" END),
	C(400, GET H ": y\r\n" END),
	C(400, GET H "X: a\0b\r\n" END),
	C(400, GET H "X: a\rb\r\n" END),
	C(400, GET H "X: a\nY: b\r\n" END),
	C(400, GET H "X: a\x01\r\n" END),
	C(400, GET H "X: a\x7f\r\n" END),
	C(400, GET H "\xc3\xa4: a\r\n" END),
	C(400, GET H KEY KEY END),
	C(400, GET H V13 V13 END),
	C(400, GET H "Content-Length: 5\r\nContent-Length: 5\r\n" END),
	C(400, GET H "Content-Length: 5, 5\r\n" END),
	C(400, GET H "Content-Length: +5\r\n" END),
	C(400, GET H "Content-Length: 0x5\r\n" END),
	C(400, GET H "Content-Length:\r\n" END),
	C(400, GET H "Content-Length: 99999999999999999999\r\n" END),
	C(400, GET H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END),
	C(400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END),
	C(501, GET H "Transfer-Encoding: gzip, chunked\r\n" END),
	C(501, GET H "Transfer-Encoding: xchunked\r\n" END),
};

static int
parse(const char *in, size_t len, struct http_head *h, char **ret_copy)
{
	char	*copy = malloc(len > 0 ? len : 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, in, len);
	*ret_copy = copy;
	return (http_head_parse(copy, len, h));
}

static void
table(void)
{
	const struct head_case	*c;
	struct http_head	 h;
	char			*copy;
	size_t			 i, k, whole;
	int			 r;

	for (i = 0; i < ARRAY_LEN(heads); i++) {
		c = &heads[i];
		r = parse(c->in, c->len, &h, &copy);
		if (c->status == 0 ? r <= 0 : r != -EBADMSG ||
		    h.status != c->status) {
			(void)printf("%.*s\ngives %d, status %u\n",
			    (int)c->len, c->in, r, h.status);
			CU_FAIL("wrong verdict");
		}
		whole = r > 0 ? (size_t)r : c->len;
		free(copy);
		/* A part of it is never taken for the whole. */
		for (k = 0; k < whole; k++) {
			r = parse(c->in, k, &h, &copy);
			CU_ASSERT(r == 0 || (c->status != 0 && r == -EBADMSG &&
			    h.status == c->status));
			CU_ASSERT_EQUAL(memcmp(copy, c->in, r == 0 ? k : 0), 0);
			free(copy);
		}
	}
}

static void
parts_are_found(void)
{
	char			 in[] = "POST //a/./b%20c/?q=%41 HTTP/1.1\r\n"
	    "HOST: Example:80\r\nOrigin:  http://x  \r\nX-a: 1\r\nx-A: 2\r\n"
	    "Content-Length: 3\r\nConnection: foo , Close\r\n\r\nabc";
	struct http_head	 h;
	const char		*name, *value;
	unsigned		 i = 0, n = 0;
	int			 r;

	r = http_head_parse(in, sizeof in - 1, &h);
	CU_ASSERT_EQUAL_FATAL(r, (int)sizeof in - 1 - 3);
	CU_ASSERT_STRING_EQUAL(h.method, "POST");
	CU_ASSERT_STRING_EQUAL(h.path, "/a/b c/");
	CU_ASSERT_EQUAL(h.path_len, 7);
	CU_ASSERT_STRING_EQUAL(h.query, "q=%41");
	CU_ASSERT_STRING_EQUAL(h.host, "Example:80");
	CU_ASSERT_EQUAL(h.content_length, 3);
	CU_ASSERT(!h.is_keep_alive);
	CU_ASSERT_STRING_EQUAL(http_head_get(&h, "origin"), "http://x");
	CU_ASSERT_STRING_EQUAL(http_head_get(&h, "x-a"), "1");
	CU_ASSERT_EQUAL(http_head_count(&h, "x-a"), 2);
	CU_ASSERT_PTR_NULL(http_head_get(&h, "x"));
	CU_ASSERT(http_head_has_token(&h, "connection", "close"));
	CU_ASSERT(!http_head_has_token(&h, "connection", "clos"));
	while (http_head_next(&h, &i, &name, &value))
		n++;
	CU_ASSERT_EQUAL(n, 6);
}

static void
absolute_target_names_the_host(void)
{
	char			 in[] = "GET http://real:1/p?q HTTP/1.1\r\n"
	    "Host: other\r\n\r\n";
	struct http_head	 h;

	CU_ASSERT_FATAL(http_head_parse(in, sizeof in - 1, &h) > 0);
	CU_ASSERT_STRING_EQUAL(h.host, "real:1");
	CU_ASSERT_STRING_EQUAL(h.path, "/p");
	CU_ASSERT_STRING_EQUAL(h.query, "q");
}

/* AB-004: each limit at its value and one above. */
static void
limits_hold(void)
{
	struct http_head	 h;
	struct buf		 b;
	size_t			 i, n;

	for (i = 0; i <= 1; i++) {
		buf_init(&b);
		(void)buf_puts(&b, "GET /");
		while (b.len < HTTP_LINE_MAX - 9 + i)
			(void)buf_putc(&b, 'a');
		(void)buf_puts(&b, " HTTP/1.1\r\nHost: a\r\n\r\n");
		CU_ASSERT_EQUAL(http_head_parse(b.data, b.len, &h),
		    i == 0 ? (int)b.len : -EBADMSG);
		CU_ASSERT_EQUAL(h.status, i == 0 ? 0 : 414);
		buf_fini(&b);

		buf_init(&b);
		(void)buf_puts(&b, GET H);
		n = b.len + HTTP_FIELD_MAX + i;
		(void)buf_puts(&b, "X: ");
		while (b.len < n)
			(void)buf_putc(&b, 'a');
		(void)buf_puts(&b, "\r\n\r\n");
		CU_ASSERT_EQUAL(http_head_parse(b.data, b.len, &h),
		    i == 0 ? (int)b.len : -EBADMSG);
		CU_ASSERT_EQUAL(h.status, i == 0 ? 0 : 431);
		buf_fini(&b);

		buf_init(&b);
		(void)buf_puts(&b, GET H);
		for (n = 1; n < HTTP_FIELDS_MAX + i; n++)
			(void)buf_puts(&b, "X: y\r\n");
		(void)buf_puts(&b, END);
		CU_ASSERT_EQUAL(http_head_parse(b.data, b.len, &h),
		    i == 0 ? (int)b.len : -EBADMSG);
		CU_ASSERT_EQUAL(h.status, i == 0 ? 0 : 431);
		buf_fini(&b);

		buf_init(&b);
		(void)buf_puts(&b, GET H);
		for (n = 0; n < 3; n++) {
			size_t	 stop = MIN_OF(b.len + 6000,
			    HTTP_HEAD_MAX + i - 4);

			(void)buf_puts(&b, "X: ");
			while (b.len < stop)
				(void)buf_putc(&b, 'a');
			(void)buf_puts(&b, "\r\n");
		}
		(void)buf_puts(&b, END);
		CU_ASSERT_EQUAL(b.len, HTTP_HEAD_MAX + i);
		CU_ASSERT_EQUAL(http_head_parse(b.data, b.len, &h),
		    i == 0 ? (int)b.len : -EBADMSG);
		CU_ASSERT_EQUAL(h.status, i == 0 ? 0 : 431);
		buf_fini(&b);
	}
	/* Without an end in sight the limit trips as well. */
	buf_init(&b);
	for (i = 0; i <= HTTP_LINE_MAX; i++)
		(void)buf_putc(&b, 'A');
	CU_ASSERT_EQUAL(http_head_parse(b.data, HTTP_LINE_MAX, &h), 0);
	CU_ASSERT_EQUAL(http_head_parse(b.data, b.len, &h), -EBADMSG);
	CU_ASSERT_EQUAL(h.status, 414);
	buf_fini(&b);
}

/* AB-070 */
static void
paths_have_one_form(void)
{
	static const struct {
		const char	*in;
		const char	*want;		/* NULL: refused */
	} t[] = {
		{ "/", "/" }, { "//", "/" }, { "///a", "/a" },
		{ "/a/", "/a/" }, { "/a//b", "/a/b" }, { "/./", "/" },
		{ "/.", "/" }, { "/a/.", "/a/" }, { "/a/./b", "/a/b" },
		{ "/A", "/A" }, { "/a;x", "/a;x" }, { "/%61", "/a" },
		{ "/a%2fb", "/a/b" }, { "/a%2Fb", "/a/b" },
		{ "/%2f%2fa", "/a" }, { "/...", "/..." }, { "/.a", "/.a" },
		{ "/100%25", "/100%" }, { "/%c3%a4", "/\xc3\xa4" },
		{ "/%2e/a", "/a" },
		{ "", NULL }, { "a", NULL }, { "/..", NULL },
		{ "/../a", NULL }, { "/a/../b", NULL }, { "/%2e%2e/a", NULL },
		{ "/a%2f..%2fb", NULL }, { "/%252f", NULL },
		{ "/%25252f", NULL }, { "/%2561", NULL }, { "/a\\b", NULL },
		{ "/%5c", NULL }, { "/%00", NULL }, { "/%0a", NULL },
		{ "/%7f", NULL }, { "/%", NULL }, { "/%4", NULL },
		{ "/%zz", NULL }, { "/%ff", NULL }, { "/%c0%af", NULL },
		{ "/%u0041", NULL },
	};
	char	 b[64];
	size_t	 i, len;
	int	 r;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		len = strlen(t[i].in);
		memcpy(b, t[i].in, len + 1);
		r = http_path_canonical(b, len);
		if (t[i].want == NULL ? r != -EBADMSG :
		    r != (int)strlen(t[i].want) ||
		    memcmp(b, t[i].want, (size_t)r) != 0) {
			(void)printf("%s gives %d\n", t[i].in, r);
			CU_FAIL("wrong form");
		}
		/* What is in that form stays as it is. */
		if (r > 0 && memchr(b, '%', (size_t)r) == NULL) {
			char	 again[64];

			memcpy(again, b, (size_t)r);
			CU_ASSERT_EQUAL(http_path_canonical(again, (size_t)r),
			    r);
			CU_ASSERT_EQUAL(memcmp(again, b, (size_t)r), 0);
		}
	}
}

/* AB-011: 1, 0 or the status of the refusal. */
static void
upgrade_table(void)
{
	static const struct head_case t[] = {
		C(1, GET H UP KEY V13 END),
		C(1, "GET /a/b?x=1 HTTP/1.1\r\n" H UP KEY V13 END),
		C(1, GET H "Upgrade: WebSocket\r\n"
		    "Connection: keep-alive, upgrade\r\n" KEY V13 END),
		C(1, GET H "Upgrade: websocket\r\nConnection: x\r\n"
		    "Connection: Upgrade\r\n" KEY V13 END),
		C(1, GET H UP KEY V13
		    "Sec-WebSocket-Extensions: permessage-deflate\r\n" END),
		C(0, GET H END),
		C(0, GET H "Connection: Upgrade\r\n" KEY V13 END),
		C(400, GET H UP V13 END),
		C(400, GET H UP KEY END),
		C(400, GET H UP V13 "Sec-WebSocket-Key: short\r\n" END),
		C(400, GET H UP V13
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n" END),
		C(400, GET H UP V13
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ*==\r\n" END),
		C(426, GET H UP KEY "Sec-WebSocket-Version: 12\r\n" END),
		C(426, GET H UP KEY "Sec-WebSocket-Version: 13, 8\r\n" END),
		C(400, GET H "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY V13
		    END),
		C(400, GET H "Upgrade: websocket, h2c\r\n"
		    "Connection: Upgrade\r\n" KEY V13 END),
		C(400, GET H "Upgrade: websocket\r\n" KEY V13 END),
		C(400, GET H "Upgrade: websocket\r\nConnection: Upgrader\r\n"
		    KEY V13 END),
		C(400, "POST / HTTP/1.1\r\n" H UP KEY V13 END),
		C(400, "GET / HTTP/1.0\r\n" H UP KEY V13 END),
		C(400, GET H UP KEY V13 "Content-Length: 1\r\n" END),
		C(400, GET H UP KEY V13 "Sec-WebSocket-Protocol: a b\r\n" END),
	};
	struct http_head	 h;
	struct http_ws		 ws;
	uint16_t		 status;
	char			*copy;
	size_t			 i;
	int			 r;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		CU_ASSERT_FATAL(parse(t[i].in, t[i].len, &h, &copy) > 0);
		status = 0;
		r = http_head_ws(&h, wanted, &ws, &status);
		if (t[i].status > 1 ? r != -EBADMSG || status != t[i].status :
		    r != (int)t[i].status) {
			(void)printf("%s\ngives %d, status %u\n", t[i].in, r,
			    status);
			CU_FAIL("wrong verdict");
		}
		if (r == 1) {
			CU_ASSERT_STRING_EQUAL(ws.key,
			    "dGhlIHNhbXBsZSBub25jZQ==");
			CU_ASSERT_PTR_NULL(ws.protocol);
		}
		free(copy);
	}
}

static void
subprotocol_is_chosen(void)
{
	static const struct {
		const char	*offer;
		const char	*want;
	} t[] = {
		{ "foo, bar", "foo" },
		{ "foo, openclaw", "openclaw" },
		{ "openclaw,chela.v1", "chela.v1" },
		{ "chela.v1\r\nSec-WebSocket-Protocol: openclaw", "chela.v1" },
		{ "x\r\nSec-WebSocket-Protocol: openclaw", "openclaw" },
		{ "Chela.V1", "Chela.V1" },
		{ ",, a ,,", "a" },
	};
	struct http_head	 h;
	struct http_ws		 ws;
	struct buf		 b;
	uint16_t		 status;
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		buf_init(&b);
		(void)buf_printf(&b, GET H UP KEY V13
		    "Sec-WebSocket-Protocol: %s\r\n\r\n", t[i].offer);
		CU_ASSERT_FATAL(http_head_parse(b.data, b.len, &h) > 0);
		CU_ASSERT_EQUAL_FATAL(http_head_ws(&h, wanted, &ws, &status),
		    1);
		CU_ASSERT_EQUAL(ws.protocol_len, strlen(t[i].want));
		CU_ASSERT_EQUAL(memcmp(ws.protocol, t[i].want,
		    ws.protocol_len), 0);
		buf_fini(&b);
	}
}

static const struct cu_case cases[] = {
	CU_CASE(table),
	CU_CASE(parts_are_found),
	CU_CASE(absolute_target_names_the_host),
	CU_CASE(limits_hold),
	CU_CASE(paths_have_one_form),
	CU_CASE(upgrade_table),
	CU_CASE(subprotocol_is_chosen),
	CU_END
};

CU_MAIN("http_head", cases)
