/* SPDX-License-Identifier: MIT */
/* Plugin http against a server that misbehaves (AB-075, AB-076, AB-124). */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/http.h>

#include "core/base/buf.h"
#include "tests/plugin/fakehost.h"
#include "tests/plugin/server.h"
#include "tests/unit/cu.h"

/*
 * The resolver of these tests: names under .test have the addresses that a case
 * says; this definition comes before the C library's for the plugin too.
 */
static unsigned	 n_lookups;

__attribute__((visibility("default"))) int
getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **ret)
{
	static int	(*real)(const char *name, const char *service,
			    const struct addrinfo *hints, struct addrinfo **ret);
	void		 *f;
	int		  r;

	f = dlsym(RTLD_NEXT, "getaddrinfo");
	memcpy(&real, &f, sizeof real);
	if (name == NULL || strstr(name, ".test") == NULL)
		return (real(name, service, hints, ret));
	(void)__atomic_add_fetch(&n_lookups, 1, __ATOMIC_SEQ_CST);
	r = real(strncmp(name, "public", 6) == 0 ? "93.184.216.34" :
	    "127.0.0.1", service, hints, ret);
	if (r == 0 && strcmp(name, "mixed.test") == 0)
		r = real("93.184.216.34", service, hints, &(*ret)->ai_next);
	/* Another address at every later question. */
	if (r == 0 && strcmp(name, "changing.test") == 0 && n_lookups > 1) {
		freeaddrinfo(*ret);
		r = real("10.0.0.1", service, hints, ret);
	}
	return (r);
}

/* The public network of these tests: its one address is this machine's. */
#define PUBLIC_ADDR	0x5db8d822u	/* 93.184.216.34 */
#define FDS_MAX		1024
static bool	 is_public[FDS_MAX];

__attribute__((visibility("default"))) int
connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	static int		(*real)(int fd, const struct sockaddr *sa,
				    socklen_t len);
	struct sockaddr_in	 in;
	void			*f;

	f = dlsym(RTLD_NEXT, "connect");
	memcpy(&real, &f, sizeof real);
	if (sa->sa_family != AF_INET)
		return (real(fd, sa, len));
	memcpy(&in, sa, sizeof in);
	is_public[fd % FDS_MAX] = in.sin_addr.s_addr == htonl(PUBLIC_ADDR);
	if (is_public[fd % FDS_MAX])
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (real(fd, (struct sockaddr *)&in, sizeof in));
}

__attribute__((visibility("default"))) int
getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	static int		(*real)(int fd, struct sockaddr *sa,
				    socklen_t *len);
	struct sockaddr_in	 in;
	void			*f;
	int			 r;

	f = dlsym(RTLD_NEXT, "getpeername");
	memcpy(&real, &f, sizeof real);
	r = real(fd, sa, len);
	if (r == 0 && is_public[fd % FDS_MAX] && *len >= sizeof in) {
		memcpy(&in, sa, sizeof in);
		in.sin_addr.s_addr = htonl(PUBLIC_ADDR);
		memcpy(sa, &in, sizeof in);
	}
	return (r);
}

struct rig;
typedef void script_fn(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq);

struct rig {
	struct fake			*f;
	struct server			*server;
	struct server			*other;
	const struct chela_http_1	*http;
	script_fn			*script;
	/* the last request that the server saw */
	char				 auth[64];
	char				 seen[512];
	unsigned			 n_hops;
};

struct got {
	struct rig		*rig;
	struct chela_http_call	*call;
	struct buf		 body;
	unsigned		 n_heads;
	unsigned		 n_pieces;
	unsigned		 n_done;
	uint32_t		 status;
	int			 r;
	char			 why[256];
	char			 type[128];
	unsigned		 cancel_at;	/* piece; 0: never */
	int			 refuse;	/* what data() returns */
	uint64_t		 total;
};

static void
on_head(struct chela_http_call *call, uint32_t status, void *arg)
{
	struct got	*g = arg;
	const char	*type = g->rig->http->header(call, "content-type");

	g->n_heads++;
	g->status = status;
	(void)snprintf(g->type, sizeof g->type, "%s", type != NULL ? type : "");
}

static int
on_data(struct chela_http_call *call, const char *bytes, size_t len, void *arg)
{
	struct got	*g = arg;

	g->n_pieces++;
	g->total += len;
	if (g->body.len < MIB(1))
		(void)buf_add(&g->body, bytes, len);
	if (g->cancel_at == g->n_pieces)
		g->rig->http->cancel(call);
	return (g->refuse);
}

static void
on_done(struct chela_http_call *call, int r, uint32_t status,
    const char *detail, void *arg)
{
	struct got	*g = arg;

	CU_ASSERT_PTR_EQUAL(call, g->call);
	g->n_done++;
	g->r = r;
	g->status = status;
	(void)snprintf(g->why, sizeof g->why, "%s", detail);
}

static const struct chela_http_handler handler = {
	.struct_size = sizeof handler,
	.head = on_head, .data = on_data, .done = on_done,
};

static bool
is_done(void *arg)
{
	return (((struct got *)arg)->n_done > 0);
}

static void
on_request(struct server_conn *c, const struct server_rq *rq, void *arg)
{
	struct rig	*rig = arg;

	(void)snprintf(rig->auth, sizeof rig->auth, "%s",
	    server_header(rq, "authorization"));
	(void)snprintf(rig->seen, sizeof rig->seen, "%s", rq->head);
	rig->script(rig, c, rq);
}

static void
rig_up(struct rig *rig, script_fn *script)
{
	memset(rig, 0, sizeof *rig);
	rig->script = script;
	rig->f = fake_new();
	CU_ASSERT_EQUAL_FATAL(fake_load(rig->f, "http"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(rig->f), 0);
	rig->http = fake_import(rig->f, CHELA_HTTP_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->http);
	rig->server = server_new(fake_loop(rig->f), on_request, rig);
	rig->other = server_new(fake_loop(rig->f), on_request, rig);
}

static void
rig_down(struct rig *rig)
{
	rig->server = server_free(rig->server);
	rig->other = server_free(rig->other);
	fake_free(rig->f);
}

/* Starts and waits; rq->url NULL: the server's. */
static void
fetch(struct rig *rig, struct chela_http_request *rq, struct got *g)
{
	char	 url[128];
	int	 r;

	(void)snprintf(url, sizeof url, "%s/start", server_url(rig->server));
	rq->struct_size = sizeof *rq;
	if (rq->url == NULL) {
		rq->url = url;
		rq->flags |= CHELA_HTTP_TRUSTED;
	}
	g->rig = rig;
	buf_reset(&g->body);
	r = rig->http->start(rq, &handler, g, &g->call);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(g->n_done, 0);
	if (r == 0)
		CU_ASSERT_EQUAL(fake_wait(rig->f, is_done, g), 0);
	CU_ASSERT_EQUAL(g->n_done, 1);
	if (rq->url == url)
		rq->url = NULL;
}

static bool
body_is(const struct got *g, const char *text)
{
	return (g->body.len == strlen(text) &&
	    memcmp(g->body.data, text, g->body.len) == 0);
}

static void
echo(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	server_answer(c, 200, "Content-Type: text/x\r\n", rq->body);
}

static void
answers_come_with_head_body_and_headers(void)
{
	static const char *const	 heads[] = { "X-A: 1", "Authorization: k",
		NULL };
	struct chela_http_request	 rq = { .method = "POST",
		.headers = heads, .body = "hello", .body_len = 5 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, echo);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_EQUAL(g.status, 200);
	CU_ASSERT_EQUAL(g.n_heads, 1);
	CU_ASSERT_STRING_EQUAL(g.type, "text/x");
	CU_ASSERT_STRING_EQUAL(rig.auth, "k");
	CU_ASSERT_TRUE(body_is(&g, "hello"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.seen, "POST /start HTTP/1.1"));
	CU_ASSERT_PTR_NULL(strstr(rig.seen, "Expect"));
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
a_second_call_uses_the_same_connection(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	struct rig			 rig;
	int				 i;

	rig_up(&rig, echo);
	for (i = 0; i < 5; i++) {
		g.n_done = 0;
		fetch(&rig, &rq, &g);
		CU_ASSERT_EQUAL(g.r, 0);
	}
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 5);
	CU_ASSERT_EQUAL(server_n_conns(rig.server), 1);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
trickled(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	static const char	 text[] = "HTTP/1.1 100 Continue\r\n\r\n"
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";

	(void)rig;
	(void)rq;
	server_trickle(c, text, strlen(text), 1);
}

static void
pieces_come_as_they_are_sent(void)
{
	struct chela_http_request	 rq = { .idle_timeout_us = SEC_US(30) };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, trickled);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_EQUAL(g.n_heads, 1);
	CU_ASSERT_TRUE(g.n_pieces > 2);
	CU_ASSERT_TRUE(body_is(&g, "abcdefg"));
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
stalled(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_stream(c, "text/x");
	server_say(c, "part");
}

/* AB-124: never answers, or falls silent after the first bytes. */
static void
silence_ends_in_a_timeout(void)
{
	struct chela_http_request	 rq = { .idle_timeout_us = MS_US(50) };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, stalled);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -ETIMEDOUT);
	CU_ASSERT_TRUE(body_is(&g, "part"));
	CU_ASSERT_STRING_EQUAL(g.why, "the other side fell silent");
	rq.idle_timeout_us = 0;
	rq.timeout_us = MS_US(50);
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -ETIMEDOUT);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
huge(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	if (strcmp(rq->path, "/start") == 0) {
		server_stream(c, "text/x");
	} else {
		server_say(c, "HTTP/1.1 200 OK\r\n"
		    "Content-Length: 10737418240\r\n\r\n");
	}
	server_flood(c, UINT64_C(10) << 30);
}

/* AB-076: ten gigabytes. */
static void
long_answers_are_cut(void)
{
	struct chela_http_request	 rq = { .max_bytes = MIB(1) };
	struct got			 g = { 0 };
	char				 url[128];
	struct rig			 rig;

	rig_up(&rig, huge);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EMSGSIZE);
	CU_ASSERT_TRUE(g.total <= MIB(1));
	(void)snprintf(url, sizeof url, "%s/said", server_url(rig.server));
	rq.url = url;
	rq.flags = CHELA_HTTP_TRUSTED;
	g.n_done = 0;
	g.total = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EMSGSIZE);
	CU_ASSERT_EQUAL(g.total, 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
endless_head(struct rig *rig, struct server_conn *c,
    const struct server_rq *rq)
{
	char	 line[64];
	int	 i;

	(void)rig;
	(void)rq;
	server_say(c, "HTTP/1.1 200 OK\r\n");
	for (i = 0; i < 5000; i++) {
		(void)snprintf(line, sizeof line, "X-%d: yyyyyyyyyyyyyyyyy\r\n",
		    i);
		server_say(c, line);
	}
}

static void
a_head_without_end_is_cut(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, endless_head);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EMSGSIZE);
	CU_ASSERT_EQUAL(g.n_heads, 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
loops(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rq;
	rig->n_hops++;
	server_answer(c, 302, "Location: /again\r\n", "elsewhere");
}

static void
redirects_are_counted(void)
{
	struct chela_http_request	 rq = { .max_redirects = 3 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, loops);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	CU_ASSERT_STRING_EQUAL(g.why, "too many redirects");
	CU_ASSERT_EQUAL(rig.n_hops, 4);
	CU_ASSERT_EQUAL(g.n_heads, 0);
	CU_ASSERT_EQUAL(g.total, 0);
	/* Without any allowed the answer is what it is. */
	rq.max_redirects = 0;
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_EQUAL(g.status, 302);
	CU_ASSERT_TRUE(body_is(&g, "elsewhere"));
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
to_other(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	char	 head[128];

	rig->n_hops++;
	if (strcmp(rq->path, "/start") != 0) {
		server_answer(c, 200, "", rq->path);
		return;
	}
	(void)snprintf(head, sizeof head, "Location: %s/landed\r\n",
	    server_url(rig->other));
	server_answer(c, 307, head, "");
}

/* AB-076: trust in one URL does not reach where it redirects. */
static void
redirects_inward_are_refused(void)
{
	static const char *const	 heads[] = { "Authorization: secret",
		NULL };
	struct chela_http_request	 rq = { .max_redirects = 5,
		.headers = heads };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, to_other);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPERM);
	CU_ASSERT_EQUAL(rig.n_hops, 1);
	CU_ASSERT_EQUAL(server_n_conns(rig.other), 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

static const char	*where_to;
static unsigned		 where_port;

static void
to_where(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	char	 head[128];

	rig->n_hops++;
	if (strcmp(rq->path, "/landed") == 0) {
		server_answer(c, 200, "", rq->body);
		return;
	}
	(void)snprintf(head, sizeof head, "Location: http://%s:%u/landed\r\n",
	    where_to, where_port);
	server_answer(c, 308, head, "");
}

/* AB-076: a public URL, and another host that must not see the key. */
static void
credentials_stay_with_their_host(void)
{
	static const char *const	 heads[] = { "Authorization: secret",
		"X-Api-Key: secret", "Cookie: secret", "Accept: text/x", NULL };
	struct chela_http_request	 rq = { .max_redirects = 5,
		.headers = heads, .method = "POST", .body = "b",
		.body_len = 1 };
	struct got			 g = { 0 };
	char				 url[64];
	struct rig			 rig;

	rig_up(&rig, to_where);
	(void)snprintf(url, sizeof url, "http://public.test:%u/",
	    server_port(rig.server));
	rq.url = url;
	where_to = "public2.test";
	where_port = server_port(rig.server);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_TRUE(body_is(&g, "b"));
	CU_ASSERT_PTR_NULL(strstr(rig.seen, "secret"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.seen, "Accept: text/x"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.seen, "Host: public2.test"));
	/* Another port is another host. */
	where_to = "public.test";
	where_port = server_port(rig.other);
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_PTR_NULL(strstr(rig.seen, "secret"));
	CU_ASSERT_EQUAL(server_n_rqs(rig.other), 1);
	/* The same one keeps them. */
	where_port = server_port(rig.server);
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.seen, "Authorization: secret"));
	buf_fini(&g.body);
	rig_down(&rig);
}

/* AB-076: a public URL that leads inward, by address and by name. */
static void
public_urls_do_not_lead_inward(void)
{
	static const char *const	 inner[] = { "127.0.0.1", "localhost",
		"inner.test", "mixed.test", "[::ffff:7f00:1]", "0x7f.1" };
	struct chela_http_request	 rq = { .max_redirects = 5 };
	struct got			 g = { 0 };
	char				 url[64];
	struct rig			 rig;
	size_t				 i;

	rig_up(&rig, to_where);
	(void)snprintf(url, sizeof url, "http://public.test:%u/",
	    server_port(rig.server));
	rq.url = url;
	where_port = server_port(rig.server);
	for (i = 0; i < ARRAY_LEN(inner); i++) {
		where_to = inner[i];
		g.n_done = 0;
		fetch(&rig, &rq, &g);
		CU_ASSERT_EQUAL(g.r, -EPERM);
	}
	CU_ASSERT_EQUAL(rig.n_hops, ARRAY_LEN(inner));
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
to_same(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	rig->n_hops++;
	if (strcmp(rq->path, "/start") == 0)
		server_answer(c, 303, "Location: landed?x=1\r\n", "");
	else
		server_answer(c, 200, "", rq->body_len == 0 ? rq->path : "?");
}

static void
redirects_on_the_same_host_keep_credentials(void)
{
	static const char *const	 heads[] = { "Authorization: secret",
		NULL };
	struct chela_http_request	 rq = { .max_redirects = 5,
		.headers = heads, .method = "POST", .body = "b",
		.body_len = 1 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, to_same);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_STRING_EQUAL(rig.auth, "secret");
	CU_ASSERT_TRUE(body_is(&g, "/landed?x=1"));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.seen, "GET /landed"));
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
to_file(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_answer(c, 302, "Location: file:///etc/passwd\r\n", "");
}

static void
redirects_to_other_schemes_are_refused(void)
{
	struct chela_http_request	 rq = { .max_redirects = 5 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, to_file);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPERM);
	CU_ASSERT_EQUAL(g.total, 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
cancel_stops_a_stream(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { .cancel_at = 1 };
	struct rig			 rig;

	rig_up(&rig, huge);
	rq.max_bytes = UINT64_C(20) << 30;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -ECANCELED);
	CU_ASSERT_EQUAL(g.n_pieces, 1);
	g = (struct got){ .refuse = -EBADMSG, .body = g.body };
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EBADMSG);
	CU_ASSERT_EQUAL(g.n_pieces, 1);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
cancel_before_the_first_turn(void)
{
	struct chela_http_request	 rq = { .struct_size = sizeof rq,
		.url = "http://localhost:1/" };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, echo);
	g.rig = &rig;
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, &g.call), 0);
	rig.http->cancel(g.call);
	rig.http->cancel(g.call);
	CU_ASSERT_EQUAL(g.n_done, 0);
	CU_ASSERT_EQUAL(fake_wait(rig.f, is_done, &g), 0);
	CU_ASSERT_EQUAL(g.r, -ECANCELED);
	fake_settle(rig.f);
	CU_ASSERT_EQUAL(g.n_done, 1);
	rig_down(&rig);
}

static bool
has_body(void *arg)
{
	return (((struct got *)arg)->body.len > 0);
}

static void
stop_ends_what_is_open(void)
{
	struct chela_http_request	 rq = { .struct_size = sizeof rq,
		.flags = CHELA_HTTP_TRUSTED };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, stalled);
	g.rig = &rig;
	rq.url = server_url(rig.server);
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, &g.call), 0);
	CU_ASSERT_EQUAL(fake_wait(rig.f, has_body, &g), 0);
	rig_down(&rig);
	CU_ASSERT_EQUAL(g.n_done, 1);
	CU_ASSERT_EQUAL(g.r, -ECANCELED);
	buf_fini(&g.body);
}

static unsigned
free_port(void)
{
	struct sockaddr_in	 sa = { .sin_family = AF_INET };
	socklen_t		 len = sizeof sa;
	int			 fd;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)bind(fd, (struct sockaddr *)&sa, sizeof sa);
	(void)getsockname(fd, (struct sockaddr *)&sa, &len);
	(void)close(fd);
	return (ntohs(sa.sin_port));
}

static void
refused_connections_say_so(void)
{
	struct chela_http_request	 rq = { .flags = CHELA_HTTP_TRUSTED };
	struct got			 g = { 0 };
	char				 url[64];
	struct rig			 rig;

	rig_up(&rig, echo);
	(void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", free_port());
	rq.url = url;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -ECONNREFUSED);
	CU_ASSERT_EQUAL(g.n_heads, 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
short_body(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	server_end(c);
}

static void
resets(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_reset(c);
}

static void
nonsense(struct rig *rig, struct server_conn *c, const struct server_rq *rq)
{
	(void)rig;
	(void)rq;
	server_say(c, "220 mail.example ESMTP\r\n\r\n");
	server_end(c);
}

static void
broken_answers_are_errors(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, short_body);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	CU_ASSERT_TRUE(body_is(&g, "abc"));
	rig.script = resets;
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	rig.script = nonsense;
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	buf_fini(&g.body);
	rig_down(&rig);
}

/* AB-075, without a server: nothing may even be connected to. */
static void
special_addresses_are_refused(void)
{
	static const char *const	 urls[] = {
		"http://127.0.0.1:%u/", "http://127.1:%u/",
		"http://2130706433:%u/", "http://0x7f000001:%u/",
		"http://017700000001:%u/", "http://localhost:%u/",
		"http://LOCALHOST:%u/", "http://0:%u/",
		"http://[::1]:%u/", "http://[::ffff:127.0.0.1]:%u/",
		"http://[::127.0.0.1]:%u/", "http://[64:ff9b::7f00:1]:%u/",
		"http://[2002:7f00:1::]:%u/", "http://[::]:%u/",
		"http://169.254.169.254:%u/", "http://10.0.0.1:%u/",
		"http://[fe80::1%%25lo]:%u/", "http://[fd00::1]:%u/",
		"file:///etc/passwd?%u", "gopher://127.0.0.1:%u/",
		"ftp://127.0.0.1:%u/", "http://user:pass@127.0.0.1:%u/",
	};
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	char				 url[128];
	struct rig			 rig;
	size_t				 i;

	rig_up(&rig, echo);
	for (i = 0; i < ARRAY_LEN(urls); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(url, sizeof url, urls[i],
		    server_port(rig.server));
#pragma GCC diagnostic pop
		rq.url = url;
		g.n_done = 0;
		g.r = 1;
		fetch(&rig, &rq, &g);
		if (g.r != -EPERM && g.r != -EPROTO)
			(void)printf("%s: %d %s\n", url, g.r, g.why);
		CU_ASSERT_TRUE(g.r == -EPERM || g.r == -EPROTO);
		CU_ASSERT_PTR_NULL(strstr(g.why, "pass"));
	}
	CU_ASSERT_EQUAL(server_n_conns(rig.server), 0);
	buf_fini(&g.body);
	rig_down(&rig);
}

/* A connection that a trusted call left open is no way in for another. */
static void
kept_connections_are_judged_too(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	char				 url[64];
	struct rig			 rig;

	rig_up(&rig, echo);
	(void)snprintf(url, sizeof url, "http://localhost:%u/",
	    server_port(rig.server));
	rq.url = url;
	rq.flags = CHELA_HTTP_TRUSTED;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	rq.flags = 0;
	g.n_done = 0;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPERM);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
one_bad_address_spoils_a_name(void)
{
	struct chela_http_request	 rq = { .url = "http://mixed.test:1/" };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, echo);
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, -EPERM);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
the_judged_address_is_the_one_connected_to(void)
{
	struct chela_http_request	 rq = { .flags = CHELA_HTTP_TRUSTED };
	struct got			 g = { 0 };
	char				 url[64];
	struct rig			 rig;

	rig_up(&rig, echo);
	n_lookups = 0;
	(void)snprintf(url, sizeof url, "http://changing.test:%u/",
	    server_port(rig.server));
	rq.url = url;
	fetch(&rig, &rq, &g);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_EQUAL(server_n_rqs(rig.server), 1);
	CU_ASSERT_EQUAL(n_lookups, 1);
	buf_fini(&g.body);
	rig_down(&rig);
}

static void
bad_requests_are_refused_at_once(void)
{
	static const char *const	 injected[] = { "X: a\r\nY: b", NULL };
	static const char *const	 nameless[] = { ": a", NULL };
	struct chela_http_request	 rq = { .struct_size = sizeof rq };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, echo);
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, NULL), -EINVAL);
	rq.url = "http://localhost/";
	rq.method = "GET /x";
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, NULL), -EINVAL);
	rq.method = NULL;
	rq.headers = injected;
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, NULL), -EINVAL);
	rq.headers = nameless;
	CU_ASSERT_EQUAL(rig.http->start(&rq, &handler, &g, NULL), -EINVAL);
	rig_down(&rig);
}

static bool
maps_curl(void)
{
	char	 line[512];
	FILE	*f = fopen("/proc/self/maps", "r");
	bool	 is_there = false;

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		is_there |= strstr(line, "libcurl") != NULL;
	if (f != NULL)
		(void)fclose(f);
	return (is_there);
}

/* First of all cases: the library stays once it is there. */
static void
an_idle_plugin_does_not_map_libcurl(void)
{
	struct chela_http_request	 rq = { 0 };
	struct got			 g = { 0 };
	struct rig			 rig;

	rig_up(&rig, echo);
	CU_ASSERT_FALSE(maps_curl());
	fetch(&rig, &rq, &g);
	CU_ASSERT_TRUE(maps_curl());
	buf_fini(&g.body);
	rig_down(&rig);
}

static const struct cu_case cases[] = {
	CU_CASE(an_idle_plugin_does_not_map_libcurl),
	CU_CASE(answers_come_with_head_body_and_headers),
	CU_CASE(a_second_call_uses_the_same_connection),
	CU_CASE(pieces_come_as_they_are_sent),
	CU_CASE(silence_ends_in_a_timeout),
	CU_CASE(long_answers_are_cut),
	CU_CASE(a_head_without_end_is_cut),
	CU_CASE(redirects_are_counted),
	CU_CASE(redirects_inward_are_refused),
	CU_CASE(credentials_stay_with_their_host),
	CU_CASE(public_urls_do_not_lead_inward),
	CU_CASE(redirects_on_the_same_host_keep_credentials),
	CU_CASE(redirects_to_other_schemes_are_refused),
	CU_CASE(cancel_stops_a_stream),
	CU_CASE(cancel_before_the_first_turn),
	CU_CASE(stop_ends_what_is_open),
	CU_CASE(refused_connections_say_so),
	CU_CASE(broken_answers_are_errors),
	CU_CASE(special_addresses_are_refused),
	CU_CASE(kept_connections_are_judged_too),
	CU_CASE(one_bad_address_spoils_a_name),
	CU_CASE(the_judged_address_is_the_one_connected_to),
	CU_CASE(bad_requests_are_refused_at_once),
	CU_END
};

CU_MAIN("http", cases)
