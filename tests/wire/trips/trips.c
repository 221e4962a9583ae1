/* SPDX-License-Identifier: MIT */
/* Plugin trips, for test_routes.py alone: a route for each thing it looks at. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/plugin.h>
#include <chela/services/routes.h>

#define TEXT	"text/plain; charset=utf-8"
#define PIECE	65536

static const struct chela_host		*host;
static const struct chela_routes_1	*routes;
static unsigned				 n_heads, n_bodies, n_gone, n_drains;

/* A stream that writes left bytes and then ends. */
struct stream {
	uint64_t	 left;
};

static void
say(struct chela_http_in *rq, uint32_t status, const char *text)
{
	(void)routes->reply(rq, status, TEXT, NULL, text, strlen(text));
}

static void
count_gone(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_gone++;
	free(routes->user(rq));
}

/* Reads at once and sends it back. */
static void
echo_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_heads++;
	(void)routes->read_body(rq);
}

static void
echo_body(struct chela_ctx *ctx, struct chela_http_in *rq, const char *bytes,
    size_t len, void *arg)
{
	(void)ctx;
	(void)arg;
	n_bodies++;
	(void)routes->reply(rq, 200, "application/octet-stream", NULL, bytes,
	    len);
}

/* Says only how much came. */
static void
size_body(struct chela_ctx *ctx, struct chela_http_in *rq, const char *bytes,
    size_t len, void *arg)
{
	char	 text[64];

	(void)ctx;
	(void)arg;
	(void)bytes;
	n_bodies++;
	(void)snprintf(text, sizeof text, "%zu", len);
	say(rq, 200, text);
}

static void
auth_passed(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	if (strcmp(routes->method(rq), "GET") == 0)
		say(rq, 200, routes->has_scope(rq, "admin") ? "admin" :
		    routes->has_scope(rq, "write") ? "write" : "read");
	else
		(void)routes->read_body(rq);
}

static void
auth_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_heads++;
	(void)routes->authorize(rq, strcmp(routes->method(rq), "GET") == 0 ?
	    "read" : "write", auth_passed);
}

static int
add_pair(const char *name, const char *value, void *arg)
{
	char	*text = arg;
	size_t	 len = strlen(text);

	(void)snprintf(text + len, 1024 - len, "%s=%s;", name, value);
	return (0);
}

static void
info_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	char	 text[2048], pairs[1024] = "";
	int	 r;

	(void)ctx;
	(void)arg;
	n_heads++;
	r = routes->query_each(rq, add_pair, pairs);
	(void)snprintf(text, sizeof text, "%s %s %s %d|%s|%s local=%d tls=%d "
	    "x=%s", routes->method(rq), routes->path(rq), routes->query(rq), r,
	    pairs, routes->remote(rq), routes->is_local(rq), routes->is_tls(rq),
	    routes->header(rq, "x-test") != NULL ?
	    routes->header(rq, "x-test") : "-");
	(void)routes->reply(rq, 200, TEXT,
	    "X-Own: yes\r\nPermissions-Policy: camera=(self)\r\n", text,
	    strlen(text));
}

static void
never_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)rq;
	(void)arg;
	n_heads++;
}

/* What a plugin may get wrong. */
static void
wrong_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	int	 r[6];
	char	 text[128];

	(void)ctx;
	(void)arg;
	r[0] = routes->reply(rq, 99, TEXT, NULL, "", 0);
	r[1] = routes->reply(rq, 200, TEXT, "X: a\r\nb\r\n", "", 0);
	r[2] = routes->reply(rq, 200, TEXT, "Content-Length: 1\r\n", "", 0);
	r[3] = routes->reply(rq, 200, "a\r\nb", NULL, "", 0);
	r[4] = routes->write(rq, "x", 1);
	r[5] = routes->read_body(rq);
	(void)snprintf(text, sizeof text, "%d %d %d %d %d %d", r[0], r[1], r[2],
	    r[3], r[4], r[5]);
	say(rq, 200, text);
	if (routes->reply(rq, 200, TEXT, NULL, "twice", 5) >= 0 ||
	    routes->begin(rq, 200, TEXT, NULL) >= 0)
		abort();
}

static void
stream_go(struct chela_http_in *rq, struct stream *s)
{
	static const char	 piece[PIECE] = { 0 };
	size_t			 len;

	while (s->left > 0) {
		len = s->left < PIECE ? (size_t)s->left : PIECE;
		if (routes->queued(rq) > CHELA_ROUTE_QUEUE_MAX)
			abort();
		if (routes->write(rq, piece, len) < 0)
			return;
		s->left -= len;
	}
	free(s);
	routes->set_user(rq, NULL);
	(void)routes->end(rq);
}

static void
stream_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct stream	*s;

	(void)ctx;
	(void)arg;
	n_heads++;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->left = strtoull(routes->query(rq), NULL, 10);
	routes->set_user(rq, s);
	(void)routes->begin(rq, 200, "application/octet-stream", NULL);
	stream_go(rq, s);
}

static void
stream_drain(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	n_drains++;
	stream_go(rq, routes->user(rq));
}

/* The file that the test named; in its state directory. */
static void
file_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	char		 path[4096];
	struct stat	 st;
	int		 fd;

	(void)ctx;
	(void)arg;
	(void)snprintf(path, sizeof path, "%s/file", host->state_dir());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		say(rq, 404, "Not Found");
		return;
	}
	(void)routes->reply_fd(rq, 200, "application/octet-stream", NULL, fd, 0,
	    (uint64_t)st.st_size + strtoull(routes->query(rq), NULL, 10));
}

static void
count_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	struct chela_routes_stats s = { .struct_size = sizeof s };
	char			  text[512];

	(void)ctx;
	(void)arg;
	routes->stats(&s);
	(void)snprintf(text, sizeof text, "{\"heads\":%u,\"bodies\":%u,"
	    "\"gone\":%u,\"drains\":%u,\"open\":%u,\"unauthorized\":%llu,"
	    "\"limited\":%llu,\"unattributed\":%llu,\"badMethod\":%llu,"
	    "\"badBody\":%llu,\"tooLarge\":%llu,\"tooLate\":%llu,"
	    "\"unanswered\":%llu,\"busy\":%llu,\"left\":%llu}", n_heads,
	    n_bodies, n_gone, n_drains, s.open,
	    (unsigned long long)s.unauthorized, (unsigned long long)s.limited,
	    (unsigned long long)s.unattributed,
	    (unsigned long long)s.bad_method, (unsigned long long)s.bad_body,
	    (unsigned long long)s.too_large, (unsigned long long)s.too_late,
	    (unsigned long long)s.unanswered, (unsigned long long)s.busy,
	    (unsigned long long)s.gone);
	(void)routes->reply(rq, 200, "application/json", NULL, text,
	    strlen(text));
}

static void
shell_head(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg)
{
	(void)ctx;
	(void)arg;
	say(rq, 200, "shell");
}

#define ROUTE(p, m, h, ...) { .struct_size = sizeof(struct chela_route), \
	.path = (p), .methods = (m), .head = (h), .gone = count_gone, \
	__VA_ARGS__ }

static const struct chela_route table[] = {
	ROUTE("/t/echo", NULL, echo_head, .body = echo_body, .max_body = 1000,
	    .body_timeout_us = 1500000),
	ROUTE("/t/own", "POST", echo_head, .body = echo_body, .max_body = 4,
	    .body_timeout_us = 300000, .too_large = "{\"own\":413}",
	    .too_late = "{\"own\":408}"),
	ROUTE("/t/big", "POST", echo_head, .body = size_body,
	    .max_body = CHELA_ROUTE_BODY_MAX),
	ROUTE("/t/auth", "GET, POST", auth_head, .body = echo_body,
	    .max_body = 1000),
	ROUTE("/t/info", "GET, HEAD", info_head, .flags = CHELA_ROUTE_PREFIX),
	ROUTE("/t/info/deeper", "GET", wrong_head),
	ROUTE("/t/never", NULL, never_head, .answer_timeout_us = 300000),
	ROUTE("/t/wait", NULL, never_head),
	ROUTE("/t/stream", "GET, HEAD", stream_head, .drain = stream_drain),
	ROUTE("/t/file", "GET, HEAD", file_head),
	ROUTE("/t/count", "GET", count_head),
	ROUTE("/", NULL, shell_head, .flags = CHELA_ROUTE_FALLBACK),
};

static int
trips_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	routes = h->svc_import(ctx, CHELA_ROUTES_SERVICE);
	return (routes == NULL ? -1 : 0);
}

static int
trips_start(struct chela_ctx *ctx)
{
	static const struct chela_route bad[] = {
		ROUTE("no", NULL, never_head),
		ROUTE("/a/", NULL, never_head),
		ROUTE("/a/../b", NULL, never_head),
		ROUTE("/t/echo", NULL, never_head),
		ROUTE("/m", NULL, never_head,
		    .max_body = CHELA_ROUTE_BODY_MAX + 1),
		ROUTE("/m", "POST\r\nX: y", never_head),
		ROUTE("/m", NULL, NULL),
	};
	size_t	 i;
	int	 r;

	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		r = routes->add(ctx, &table[i], NULL);
		if (r < 0)
			return (r);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (routes->add(ctx, &bad[i], NULL) >= 0)
			return (-1);
	}
	return (0);
}

CHELA_PLUGIN = {
	CHELA_HEAD("trips"),
	.version = CHELA_VERSION(1, 0, 0),
	.init = trips_init,
	.start = trips_start,
};
