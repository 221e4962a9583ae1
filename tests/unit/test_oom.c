/* SPDX-License-Identifier: MIT */
/*
 * AB-141: memory runs out at every place in turn. Each piece of work below is done
 * again and again; the first time its first allocation fails, the next time its
 * second, until one run meets no failure. Once one allocation fails alone, once all
 * that come after it fail too. A run that failed says so, and leaves nothing behind.
 *
 * Without a sanitizer the allocator of the whole process is this file's, so that
 * json-c and PCRE2 fail too and what is left behind is counted. A sanitizer has its
 * own: there the linker turns the calls of our code to this file (--wrap), and the
 * sanitizer counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/base/buf.h"
#include "core/base/map.h"
#include "core/config/config.h"
#include "core/config/json5.h"
#include "core/json/json.h"
#include "core/json/scan.h"
#include "core/json/schema.h"
#include "core/net/http_head.h"
#include "core/ws/ws.h"
#include "tests/unit/cu.h"

#define SITES_MAX	200000	/* more than any piece of work has */

static long	 left = -1;	/* allocations until one fails; -1: never */
static bool	 is_for_good;	/* then all do */
static bool	 is_counting;
static unsigned	 n_failed;
static long	 n_live;

static bool
is_due(void)
{
	if (left < 0 || left-- > 0)
		return (false);
	n_failed++;
	if (is_for_good)
		left = 0;
	return (true);
}

/* Libraries are to find them. */
#define exported	__attribute__((visibility("default")))

#ifdef __SANITIZE_ADDRESS__
#define REAL(f)	__real_##f
#define OURS(f)	__wrap_##f
#else
#define REAL(f)	__libc_##f
#define OURS(f)	f
/* Our code's calls come here too, by the names that the linker gives them. */
void	*__wrap_malloc(size_t n);
void	*__wrap_calloc(size_t n, size_t size);
void	*__wrap_realloc(void *p, size_t n);
char	*__wrap_strdup(const char *s);
void	__libc_free(void *p);
void	free(void *p) exported;
#endif
void	*REAL(malloc)(size_t n);
void	*REAL(calloc)(size_t n, size_t size);
void	*REAL(realloc)(void *p, size_t n);
void	*OURS(malloc)(size_t n) exported;
void	*OURS(calloc)(size_t n, size_t size) exported;
void	*OURS(realloc)(void *p, size_t n) exported;

static void *
counted(void *p)
{
#ifndef __SANITIZE_ADDRESS__
	if (p != NULL && is_counting)
		n_live++;
#endif
	return (p);
}

void *
OURS(malloc)(size_t n)
{
	return (is_due() ? NULL : counted(REAL(malloc)(n)));
}

void *
OURS(calloc)(size_t n, size_t size)
{
	return (is_due() ? NULL : counted(REAL(calloc)(n, size)));
}

void *
OURS(realloc)(void *p, size_t n)
{
	void	*q;

	if (is_due())
		return (NULL);
	q = REAL(realloc)(p, n);
	return (p == NULL ? counted(q) : q);
}

#ifdef __SANITIZE_ADDRESS__
char	*__wrap_strdup(const char *s);
char	*__real_strdup(const char *s);

char *
__wrap_strdup(const char *s)
{
	return (is_due() ? NULL : __real_strdup(s));
}
#else
void
free(void *p)
{
	if (p != NULL && is_counting)
		n_live--;
	__libc_free(p);
}

void *
__wrap_malloc(size_t n)
{
	return (malloc(n));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return (calloc(n, size));
}

void *
__wrap_realloc(void *p, size_t n)
{
	return (realloc(p, n));
}

char *
__wrap_strdup(const char *s)
{
	size_t	 n = strlen(s) + 1;
	char	*p = malloc(n);

	return (p == NULL ? NULL : memcpy(p, s, n));
}
#endif

static int
run_starved(int (*work)(void), long at, bool for_good)
{
	int	 r;

	n_live = 0;
	n_failed = 0;
	is_for_good = for_good;
	left = at;
	is_counting = true;
	r = work();
	is_counting = false;
	left = -1;
	return (r);
}

/*
 * work returns 0, or a negative errno when it could not be done. json-c loses the
 * copy of a name when its table cannot grow: so many are no fault of ours.
 */
static void
starve(const char *name, int (*work)(void), long json_c_loses)
{
	long	 at;
	int	 r = 0, round;
	bool	 is_good;

	CU_ASSERT_EQUAL_FATAL(work(), 0);
	for (round = 0; round < 2; round++) {
		for (at = 0; at < SITES_MAX; at++) {
			r = run_starved(work, at, round == 1);
			/* What a library keeps once and for all is no leak. */
			if (n_live > 0)
				r = run_starved(work, at, round == 1);
			is_good = n_live >= 0 && n_live <= json_c_loses &&
			    (r == 0 || (n_failed > 0 && r == -ENOMEM));
			if (!is_good)
				(void)printf("\n%s: allocation %ld fails: %d, "
				    "%ld left behind\n", name, at, r, n_live);
			CU_ASSERT_TRUE(is_good);
			if (n_failed == 0)
				break;
		}
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT(at > 0 && at < SITES_MAX);
	}
}

/* --- what is done --- */

static const char	 doc[] =
    "{\"type\":\"req\",\"id\":\"\\u0031\",\"method\":\"a.b\",\"params\":{"
    "\"a\":[1,2.5,\"x\\ny\",{\"deep\":[[[null,true,false]]]}],"
    "\"a name that is longer than what lies on the stack, by some characters"
    "\":-17,\"b\":{\"c\":1,\"d\":2,\"e\":3,\"f\":4,\"g\":5,\"h\":6,\"i\":7,"
    "\"j\":8,\"k\":9,\"l\":10,\"m\":11,\"n\":12,\"o\":13,\"p\":14,\"q\":15,"
    "\"r\":16,\"s\":17,\"t\":18,\"u\":19}}}";

static int
scan(void)
{
	struct scan_limits	 lim = { .depth_max = 64, .heap_max = SIZE_MAX };
	struct scan_frame	 f;
	struct buf		 name = BUF_INIT;
	char			 many[20000];
	size_t			 len = 0;
	int			 i, r;

	many[len++] = '{';
	for (i = 0; i < 600; i++)
		len += (size_t)snprintf(many + len, sizeof many - len,
		    "%s\"k%d\\u0041\":%d", i > 0 ? "," : "", i, i);
	many[len++] = '}';
	r = scan_frame(many, len, &lim, &f);
	if (r == 0)
		r = scan_frame(doc, sizeof doc - 1, &lim, &f);
	if (r < 0)
		return (f.res.err == SCAN_NOMEM ? -ENOMEM : -EBADMSG);
	r = scan_span_str(&f.id, &name);
	if (r == 0 && (name.len != 1 || name.data[0] != '1'))
		r = -EBADMSG;
	buf_fini(&name);
	return (r);
}

static int
build(void)
{
	struct json_object	*o, *copy = NULL;
	struct buf		 a = BUF_INIT, b = BUF_INIT;
	int			 r;

	r = json_parse(doc, sizeof doc - 1, &o);
	if (r < 0)
		return (r);
	r = json_copy(o, &copy);
	if (r == 0)
		r = json_write(&a, o);
	if (r == 0)
		r = json_write(&b, copy);
	if (r == 0 && (a.len != b.len || memcmp(a.data, b.data, a.len) != 0 ||
	    !json_equal(o, copy)))
		r = -EBADMSG;
	buf_fini(&a);
	buf_fini(&b);
	json_object_put(copy);
	json_object_put(o);
	return (r);
}

static struct json_object	*schema_doc, *good, *bad;

static int
check(void)
{
	struct schema		*s = NULL;
	struct schema_report	 rep;
	struct json_object	*v = NULL;
	struct buf		 why = BUF_INIT;
	int			 r;

	memset(&rep, 0, sizeof rep);
	r = schema_compile(schema_doc, "", &s, &why);
	buf_fini(&why);
	if (r < 0)
		return (r);
	r = schema_check(s, good, &rep);
	if (r == 0) {
		r = schema_check(s, bad, &rep);
		r = r == -EBADMSG ? 0 : r == 0 ? -EBADMSG : r;
	}
	if (r == 0)
		r = json_copy(good, &v);
	if (r == 0)
		r = schema_fill_defaults(s, v);
	if (r == 0 && json_get_int(v, "filled", 0) != 5)
		r = -EBADMSG;
	json_object_put(v);
	(void)schema_free(s);
	/* A pattern that finds no memory is a limit that was met. */
	return (rep.is_limit ? -ENOMEM : r);
}

static int
websocket(void)
{
	unsigned char	 frames[] = {
		0x01, 0x83, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2, 'c' ^ 3,
		0x89, 0x82, 1, 2, 3, 4, 'p' ^ 1, 'q' ^ 2,
		0x80, 0x81, 1, 2, 3, 4, 'd' ^ 1,
	};
	struct ws	 ws;
	struct ws_event	 ev;
	size_t		 used, at, n_messages = 0, n_pings = 0;
	int		 r = 0;

	ws_init(&ws, WS_SERVER, 1000);
	for (at = 0; at < sizeof frames && r == 0; at++) {
		do {
			r = ws_feed(&ws, (char *)frames + at, 1, &used, &ev);
		} while (r == 0 && used == 0 && ev.what != WS_MORE);
		if (r == 0 && ev.what == WS_MESSAGE)
			n_messages += ev.len == 4 &&
			    memcmp(ev.data, "abcd", 4) == 0;
		if (r == 0 && ev.what == WS_PING)
			n_pings += ev.len == 2;
	}
	ws_fini(&ws);
	if (r == 0 && (n_messages != 1 || n_pings != 1))
		r = -EBADMSG;
	return (r);
}

/* The parser allocates nothing; what is read into does. */
static int
head(void)
{
	static const char	 text[] =
	    "GET /a%20b?c HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n";
	struct http_head	 h;
	struct buf		 b = BUF_INIT;
	size_t			 i;
	int			 r = 0;

	for (i = 0; i < sizeof text - 1 && r == 0; i++) {
		if (buf_putc(&b, text[i]) < 0)
			r = -ENOMEM;
		else if (http_head_parse(b.data, b.len, &h) < 0)
			r = -EBADMSG;
	}
	if (r == 0 && strcmp(http_head_get(&h, "host"), "x") != 0)
		r = -EBADMSG;
	buf_fini(&b);
	return (r);
}

static int
buffers(void)
{
	struct buf	 b = BUF_INIT;
	char		*s;
	size_t		 len;
	int		 i;

	for (i = 0; i < 100; i++) {
		(void)buf_printf(&b, "%d %s", i, "some text that is added");
		(void)buf_json_str(&b, "\"\1\n", 3);
		(void)buf_u64(&b, UINT64_MAX);
		buf_drop(&b, 3);
	}
	s = buf_take(&b, &len);
	buf_fini(&b);
	if (s == NULL)
		return (-ENOMEM);
	free(s);
	return (0);
}

static int
maps(void)
{
	struct map	*m = map_new();
	char		 key[16];
	int		 i, r = 0, n = 0;

	if (m == NULL)
		return (-ENOMEM);
	for (i = 0; i < 200 && r == 0; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		r = map_putz(m, key, m);
		n += r == 0;
		/* A failed one is not half there. */
		if (map_len(m) != (size_t)n ||
		    (map_getz(m, key) != NULL) != (r == 0))
			r = -EBADMSG;
	}
	for (i = 0; i < n; i++) {
		(void)snprintf(key, sizeof key, "key %d", i);
		if (map_delz(m, key) != m)
			r = -EBADMSG;
	}
	if (map_len(m) != 0)
		r = -EBADMSG;
	(void)map_free(m);
	return (r);
}

static int
json5(void)
{
	static const char	 text[] =
	    "// a comment\n{ a: 'x', \"b\": [1, +2, .5, 0x10,], /* c */\n"
	    "  c: { d: { e: Infinity === 0 } } }";
	static const char	 right[] =
	    "// a comment\n{ a: 'x\\\ny', \"b\": [1, +2, .5, 0x10,], /* c */\n"
	    "  'c': { d: { e: null, f: \"\\u00e4\" } } }";
	struct json5_error	 err;
	struct buf		 out = BUF_INIT;
	int			 r;

	r = json5_to_json(text, sizeof text - 1, &out, &err);
	if (r != -ENOMEM)
		r = r == 0 ? -EBADMSG : 0;
	buf_reset(&out);
	if (r == 0)
		r = json5_to_json(right, sizeof right - 1, &out, &err);
	buf_fini(&out);
	return (r);
}

static struct conf_schema	*conf_schema;

static int
conf(void)
{
	static const char	 text[] =
	    "{ gateway: { port: 1234, bind: 'lan', trustedProxies: ['::1'],\n"
	    "  auth: { mode: 'token', token: '${OOM_TOKEN}' } },\n"
	    "  logging: { level: 'info' }, }";
	static const uint8_t	 key[CONF_KEY_LEN] = { 1 };
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	struct conf		*c;
	int			 r;

	r = conf_parse("chela.json", text, sizeof text - 1, conf_schema, key, &c,
	    &issues);
	if (r == 0) {
		if (conf_get_int(c, "gateway.port", 0) != 1234)
			r = -EBADMSG;
		(void)conf_unref(c);
	}
	conf_issues_fini(&issues);
	return (r);
}

/* --- */

static void
scanner(void)
{
	starve("scan", scan, 0);
}

static void
builder(void)
{
	starve("build", build, 1);
}

static void
schemas(void)
{
	static const char	 text[] =
	    "{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":"
	    "false,\"properties\":{\"a\":{\"$ref\":\"#/definitions/a\"},\"b\":{"
	    "\"oneOf\":[{\"type\":\"string\",\"pattern\":\"^[a-f]+$\"},{\"type\":"
	    "\"array\",\"items\":{\"enum\":[1,\"x\",{\"y\":[2]}]},"
	    "\"uniqueItems\":true}]},\"filled\":{\"type\":\"integer\","
	    "\"default\":5}},\"patternProperties\":{\"^x-\":{\"type\":"
	    "\"boolean\"}},\"definitions\":{\"a\":{\"type\":\"integer\","
	    "\"minimum\":3}}}";

	schema_doc = json_tokener_parse(text);
	good = json_tokener_parse("{\"a\":3,\"b\":[1,\"x\",{\"y\":[2]}],"
	    "\"x-y\":true}");
	bad = json_tokener_parse("{\"a\":2,\"b\":\"zz\",\"c\":1,\"x-y\":0}");
	starve("schema", check, 0);
	json_object_put(schema_doc);
	json_object_put(good);
	json_object_put(bad);
}

static void
frames(void)
{
	starve("ws", websocket, 0);
}

static void
heads(void)
{
	starve("http_head", head, 0);
}

static void
buffers_and_maps(void)
{
	starve("buf", buffers, 0);
	starve("map", maps, 0);
}

static void
configuration(void)
{
	const char		*src = getenv("srcdir");
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	char			 dir[4096];

	(void)snprintf(dir, sizeof dir, "%s/schemas", src != NULL ? src : "..");
	(void)setenv("OOM_TOKEN", "0123456789abcdef", 1);
	starve("json5", json5, 0);
	CU_ASSERT_EQUAL_FATAL(conf_schema_load(dir, &conf_schema, &issues), 0);
	conf_issues_fini(&issues);
	starve("config", conf, 1);
	conf_schema = conf_schema_unref(conf_schema);
}

static const struct cu_case cases[] = {
	CU_CASE(scanner),
	CU_CASE(builder),
	CU_CASE(schemas),
	CU_CASE(frames),
	CU_CASE(heads),
	CU_CASE(buffers_and_maps),
	CU_CASE(configuration),
	CU_END
};
CU_MAIN("memory runs out", cases)
