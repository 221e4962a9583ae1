/* SPDX-License-Identifier: MIT */
/* The fake host's HTTP keeps the rules that plugins rely on. */
#include <errno.h>
#include <string.h>

#include "tests/plugin/fakeroutes.h"
#include "tests/unit/cu.h"

static const struct chela_routes_1	*routes;
static unsigned				 n_gone, n_drained;
static int				 r_again, r_body;
static char				 got[64];

static void
t_passed(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	r_body = routes->read_body(rq);
}

static void
t_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	if (strcmp(routes->path(rq), "/t/stream") == 0) {
		(void)routes->begin(rq, 200, "text/plain", NULL);
		(void)routes->write(rq, "a", 1);
	} else if (routes->header(rq, "x-auth") != NULL)
		r_again = routes->authorize(rq, "write", t_passed);
	else
		r_body = routes->read_body(rq);
}

static void
t_body(struct chela_ctx *ctx, struct chela_http_in *rq, const char *bytes,
    size_t len, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)routes->reply(rq, 200, "text/plain", "X-Got: 1\r\n", bytes, len);
	r_again = routes->reply(rq, 200, NULL, NULL, "x", 1);
}

static void
t_drain(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_drained++;
	(void)routes->write(rq, "b", 1);
	(void)routes->end(rq);
}

static void
t_gone(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_gone++;
	r_again = routes->reply(rq, 200, NULL, NULL, "x", 1);
}

static const struct chela_route route = {
	.struct_size = sizeof route,
	.flags = CHELA_ROUTE_PREFIX,
	.path = "/t",
	.methods = "GET, POST",
	.max_body = 8,
	.too_large = "{\"no\":1}",
	.head = t_head,
	.body = t_body,
	.drain = t_drain,
	.gone = t_gone,
};

static struct fake *
start(void)
{
	struct fake	*f = fake_new();

	routes = fake_import(f, CHELA_ROUTES_SERVICE);
	n_gone = n_drained = 0;
	r_again = r_body = 0;
	CU_ASSERT_EQUAL(routes->add(fake_ctx(f, ""), &route, NULL), 0);
	CU_ASSERT_EQUAL(routes->add(fake_ctx(f, ""), &route, NULL), -EEXIST);
	return (f);
}

static void
a_body_is_read_and_answered_once(void)
{
	struct fake	 *f = start();
	struct fake_http *h;

	h = fake_http(f, &(struct fake_http_opt){ .method = "POST",
	    .path = "/t/x", .body = "12345678" });
	CU_ASSERT_EQUAL(h->status, 200);
	CU_ASSERT_STRING_EQUAL(fake_http_text(h), "12345678");
	CU_ASSERT_STRING_EQUAL(fake_http_header(h, "x-got"), "1");
	CU_ASSERT_EQUAL(r_again, -EALREADY);
	CU_ASSERT_EQUAL(n_gone, 0);
	fake_http_free(h);
	fake_free(f);
}

static void
the_core_answers_in_its_place(void)
{
	static const struct {
		const char	*method, *path, *body, *headers, *scopes;
		unsigned	 status, n_gone;
	} cases[] = {
		{ "POST", "/tx", "", "", NULL, 404, 0 },
		{ "PUT", "/t", "", "", NULL, 405, 0 },
		{ "POST", "/t", "123456789", "", NULL, 413, 1 },
		{ "POST", "/t", "1", "X-Auth: 1\n", NULL, 200, 0 },
		{ "POST", "/t", "1", "X-Auth: 1\n", "read write", 200, 0 },
		{ "POST", "/t", "1", "X-Auth: 1\n", "read", 403, 1 },
		{ "POST", "/t", "1", "X-Auth: 1\n", "-", 401, 1 },
	};
	struct fake	 *f = start();
	struct fake_http *h;
	size_t		  i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		n_gone = 0;
		h = fake_http(f, &(struct fake_http_opt){
		    .method = cases[i].method, .path = cases[i].path,
		    .body = cases[i].body, .headers = cases[i].headers,
		    .scopes = cases[i].scopes });
		CU_ASSERT_EQUAL(h->status, cases[i].status);
		CU_ASSERT_EQUAL(n_gone, cases[i].n_gone);
		if (h->status == 413)
			CU_ASSERT_STRING_EQUAL(fake_http_text(h), "{\"no\":1}");
		fake_http_free(h);
	}
	fake_free(f);
}

static void
who_leaves_is_gone(void)
{
	struct fake	 *f = start();
	struct fake_http *h;

	h = fake_http_send(f, &(struct fake_http_opt){ .path = "/t",
	    .is_slow = true });
	fake_settle(f);
	CU_ASSERT_FALSE(h->is_done);
	fake_http_leave(h);
	CU_ASSERT_TRUE(h->is_gone);
	CU_ASSERT_EQUAL(n_gone, 1);
	CU_ASSERT_EQUAL(r_again, -EALREADY);
	fake_http_free(h);
	h = fake_http_send(f, &(struct fake_http_opt){ .path = "/t",
	    .is_slow = true });
	fake_http_fail(h, 408);
	CU_ASSERT_EQUAL(h->status, 408);
	CU_ASSERT_EQUAL(n_gone, 2);
	fake_http_free(h);
	h = fake_http_send(f, &(struct fake_http_opt){ .path = "/t",
	    .is_slow = true });
	CU_ASSERT_EQUAL(routes->remove(fake_ctx(f, ""), "/t"), 0);
	CU_ASSERT_EQUAL(h->status, 503);
	CU_ASSERT_EQUAL(fake_routes_len(), 0);
	CU_ASSERT_EQUAL(n_gone, 3);
	fake_http_free(h);
	fake_free(f);
}

static void
a_stream_waits_for_its_reader(void)
{
	struct fake	 *f = start();
	struct fake_http *h;

	h = fake_http_send(f, &(struct fake_http_opt){ .path = "/t/stream" });
	CU_ASSERT_FALSE(h->is_done);
	fake_http_block(h);
	CU_ASSERT_EQUAL(routes->write(h->rq, "x", 1), -ENOBUFS);
	fake_http_unblock(h);
	CU_ASSERT_EQUAL(n_drained, 1);
	CU_ASSERT_TRUE(h->is_done);
	CU_ASSERT_STRING_EQUAL(fake_http_text(h), "ab");
	fake_http_free(h);
	fake_free(f);
}

static int
add_pair(const char *name, const char *value, void *arg)
{
	(void)arg;
	(void)snprintf(got + strlen(got), sizeof got - strlen(got), "%s=%s;",
	    name, value);
	return (0);
}

static void
t_pairs(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	r_again = routes->query_each(rq, add_pair, NULL);
	(void)routes->reply(rq, 204, NULL, NULL, NULL, 0);
}

static void
a_query_is_decoded(void)
{
	struct fake		*f = start();
	struct chela_route	 r = route;

	r.path = "/q";
	r.head = t_pairs;
	got[0] = '\0';
	CU_ASSERT_EQUAL(routes->add(fake_ctx(f, ""), &r, NULL), 0);
	fake_http_free(fake_http(f, &(struct fake_http_opt){
	    .path = "/q?a=1+2&b&c=%41%2f" }));
	CU_ASSERT_STRING_EQUAL(got, "a=1 2;b=;c=A/;");
	fake_http_free(fake_http(f, &(struct fake_http_opt){
	    .path = "/q?a=%4" }));
	CU_ASSERT_EQUAL(r_again, -EBADMSG);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(a_body_is_read_and_answered_once),
	CU_CASE(the_core_answers_in_its_place),
	CU_CASE(who_leaves_is_gone),
	CU_CASE(a_stream_waits_for_its_reader),
	CU_CASE(a_query_is_decoded),
	CU_END
};

CU_MAIN("fakeroutes", cases)
