/* SPDX-License-Identifier: MIT */
/* The fake host: core.routes/1 without sockets. */
#include "tests/plugin/fakeroutes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tests/plugin/fakehost_priv.h"

struct froute {
	struct list		 link;
	struct chela_ctx	*ctx;
	struct chela_route	 desc;
	void			*arg;
	struct list		 requests;
};

enum { IN_HEAD, IN_AUTH, IN_BODY, IN_WAIT, IN_STREAM };

struct chela_http_in {
	struct list		 link;		/* in froute.requests */
	struct froute		*route;
	struct fake		*f;
	struct fake_http	*h;		/* NULL: its test freed it */
	char			*method, *path, *query, *headers, *body;
	size_t			 body_len;
	char			*remote, *scopes;
	void			*user;
	bool			 is_local, is_tls, is_slow, is_over, is_blocked;
	bool			 is_drain_due, is_authorized, has_asked;
	uint8_t			 state;
	void			(*passed)(struct chela_ctx *ctx,
				    struct chela_http_in *rq, void *arg);
	char			*needed;
	char			 line[CHELA_ROUTE_HEADERS_MAX];
};

static struct list	all = { &all, &all };
static size_t		n_routes;

static char *
keep(const char *s)
{
	char	*p = s == NULL ? NULL : strdup(s);

	if (s != NULL && p == NULL)
		abort();
	return (p);
}

static void
rq_free(struct chela_http_in *rq)
{
	free(rq->method);
	free(rq->path);
	free(rq->query);
	free(rq->headers);
	free(rq->body);
	free(rq->remote);
	free(rq->scopes);
	free(rq->needed);
	free(rq);
}

/* Freed on the loop: who answers twice within a callback is still told. */
static void
on_over(void *arg)
{
	struct chela_http_in	*rq = arg;
	struct fake		*f = rq->f;

	rq_free(rq);
	fake_later_done(f);
}

static void
rq_over(struct chela_http_in *rq)
{
	rq->is_over = true;
	list_remove(&rq->link);
	if (rq->h != NULL) {
		rq->h->is_done = true;
		rq->h->rq = NULL;
		rq->h = NULL;
	}
	/* What is on its way comes first, and finds it over. */
	if (fake_later(rq->f, on_over, rq) < 0)
		abort();
}

static void
rq_gone(struct chela_http_in *rq)
{
	struct froute	*r = rq->route;

	if (rq->is_over)
		return;
	rq->is_over = true;	/* nothing can be answered from there */
	if (rq->h != NULL)
		rq->h->is_gone = true;
	if (r->desc.gone != NULL)
		r->desc.gone(r->ctx, rq, r->arg);
	rq_over(rq);
}

static void
answer(struct fake_http *h, unsigned status, const char *type,
    const char *headers, const void *bytes, size_t len)
{
	if (h == NULL)
		return;
	h->status = status;
	h->type = keep(type);
	h->headers = keep(headers);
	(void)buf_add(&h->body, bytes, len);
}

static void
refuse(struct chela_http_in *rq, unsigned status, const char *type,
    const char *headers, const char *text)
{
	if (rq->h != NULL)
		rq->h->is_by_core = true;
	if (rq->state != IN_STREAM)
		answer(rq->h, status, type, headers, text, strlen(text));
	rq_gone(rq);
}

static void
refuse_json(struct chela_http_in *rq, unsigned status, const char *json)
{
	refuse(rq, status, "application/json; charset=utf-8", NULL, json);
}

static int
fr_add(struct chela_ctx *ctx, const struct chela_route *desc, void *arg)
{
	struct froute	*r;
	struct list	*l, *tmp;

	if (desc->struct_size != sizeof *desc || desc->path == NULL ||
	    desc->path[0] != '/' || desc->head == NULL ||
	    desc->max_body > CHELA_ROUTE_BODY_MAX)
		return (-EINVAL);
	list_each(l, tmp, &all) {
		r = container_of(l, struct froute, link);
		if (((r->desc.flags ^ desc->flags) & CHELA_ROUTE_FALLBACK) == 0 &&
		    strcmp(r->desc.path, desc->path) == 0)
			return (-EEXIST);
	}
	r = calloc(1, sizeof *r);
	if (r == NULL)
		abort();
	r->ctx = ctx;
	r->desc = *desc;
	r->desc.path = keep(desc->path);
	r->desc.methods = keep(desc->methods);
	r->desc.too_large = keep(desc->too_large);
	r->desc.too_late = keep(desc->too_late);
	r->arg = arg;
	list_init(&r->requests);
	list_append(&all, &r->link);
	n_routes++;
	return (0);
}

static void
route_drop(struct froute *r)
{
	struct chela_http_in	*rq;

	list_remove(&r->link);
	while ((rq = list_first(&r->requests, struct chela_http_in, link)) !=
	    NULL)
		refuse_json(rq, 503, "{\"error\":{\"message\":\"stopped\","
		    "\"type\":\"unavailable\"}}");
	free((char *)(uintptr_t)r->desc.path);
	free((char *)(uintptr_t)r->desc.methods);
	free((char *)(uintptr_t)r->desc.too_large);
	free((char *)(uintptr_t)r->desc.too_late);
	free(r);
	n_routes--;
}

static int
fr_remove(struct chela_ctx *ctx, const char *path)
{
	struct list	*l, *tmp;
	struct froute	*r;

	list_each(l, tmp, &all) {
		r = container_of(l, struct froute, link);
		if (r->ctx == ctx && strcmp(r->desc.path, path) == 0) {
			route_drop(r);
			return (0);
		}
	}
	return (-ENOENT);
}

void
fake_routes_drop(struct chela_ctx *ctx)
{
	struct list	*l, *tmp;
	struct froute	*r;

	list_each(l, tmp, &all) {
		r = container_of(l, struct froute, link);
		if (r->ctx == ctx)
			route_drop(r);
	}
}

size_t
fake_routes_len(void)
{
	return (n_routes);
}

static const char *
fr_method(const struct chela_http_in *rq)
{
	return (rq->method);
}

static const char *
fr_path(const struct chela_http_in *rq)
{
	return (rq->path);
}

static const char *
fr_query(const struct chela_http_in *rq)
{
	return (rq->query);
}

static int
decode(char *s)
{
	char	 two[3] = "", *end, *out = s;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*out++ = *s == '+' ? ' ' : *s;
			continue;
		}
		two[0] = s[1];
		two[1] = s[1] != '\0' ? s[2] : '\0';
		*out = (char)strtoul(two, &end, 16);
		if (end != two + 2 || *out == '\0')
			return (-EBADMSG);
		out++;
		s += 2;
	}
	*out = '\0';
	return (0);
}

static int
fr_query_each(const struct chela_http_in *rq, int (*cb)(const char *name,
    const char *value, void *arg), void *arg)
{
	char	*copy = keep(rq->query), *pair, *end, *value;
	bool	 is_last = false;
	int	 r = 0;

	for (pair = copy; r == 0 && !is_last; pair = end + 1) {
		end = pair + strcspn(pair, "&");
		is_last = *end == '\0';
		*end = '\0';
		if (*pair == '\0')
			continue;
		value = strchr(pair, '=');
		if (value != NULL)
			*value++ = '\0';
		else
			value = end;
		r = decode(pair) < 0 || decode(value) < 0 ? -EBADMSG :
		    cb(pair, value, arg);
	}
	free(copy);
	return (r);
}

/* The next line of "Name: value\n"; false at the end. */
static bool
next_line(const char **s, char *name, size_t name_size, char *value,
    size_t size)
{
	size_t	 n = strcspn(*s, ":"), len;

	if (**s == '\0' || (*s)[n] != ':' || n >= name_size)
		return (false);
	memcpy(name, *s, n);
	name[n] = '\0';
	*s += n + 1;
	*s += strspn(*s, " ");
	len = strcspn(*s, "\r\n");
	if (len >= size)
		return (false);
	memcpy(value, *s, len);
	value[len] = '\0';
	*s += len;
	*s += strspn(*s, "\r\n");
	return (true);
}

static const char *
fr_header(const struct chela_http_in *rq, const char *name)
{
	struct chela_http_in	*mine = (struct chela_http_in *)(uintptr_t)rq;
	char			 got[256];
	const char		*s = rq->headers;

	while (next_line(&s, got, sizeof got, mine->line, sizeof mine->line)) {
		if (strcasecmp(got, name) == 0)
			return (mine->line);
	}
	return (NULL);
}

static int
fr_header_each(const struct chela_http_in *rq, int (*cb)(const char *name,
    const char *value, void *arg), void *arg)
{
	char		 name[256], value[CHELA_ROUTE_HEADERS_MAX];
	const char	*s = rq->headers;
	size_t		 i;
	int		 r = 0;

	while (r == 0 && next_line(&s, name, sizeof name, value, sizeof value)) {
		for (i = 0; name[i] != '\0'; i++) {
			if (name[i] >= 'A' && name[i] <= 'Z')
				name[i] = (char)(name[i] | 0x20);
		}
		r = cb(name, value, arg);
	}
	return (r);
}

static const char *
fr_remote(const struct chela_http_in *rq)
{
	return (rq->remote);
}

static int
fr_is_local(const struct chela_http_in *rq)
{
	return (rq->is_local);
}

static int
fr_is_tls(const struct chela_http_in *rq)
{
	return (rq->is_tls);
}

static void
fr_set_user(struct chela_http_in *rq, void *user)
{
	rq->user = user;
}

static void *
fr_user(const struct chela_http_in *rq)
{
	return (rq->user);
}

static void
on_body(void *arg)
{
	struct chela_http_in	*rq = arg;
	struct froute		*r = rq->route;
	struct fake		*f = rq->f;

	if (!rq->is_over && rq->body_len > r->desc.max_body)
		refuse_json(rq, 413, r->desc.too_large != NULL ?
		    r->desc.too_large : "{\"error\":{\"message\":\"Payload too "
		    "large\",\"type\":\"invalid_request_error\"}}");
	else if (!rq->is_over && !rq->is_slow) {
		rq->state = IN_WAIT;
		r->desc.body(r->ctx, rq, rq->body, rq->body_len, r->arg);
	}
	fake_later_done(f);
}

static int
fr_read_body(struct chela_http_in *rq)
{
	if (rq->is_over || rq->state >= IN_BODY)
		return (-EALREADY);
	if (rq->route->desc.body == NULL)
		return (-ENOTSUP);
	if (rq->state == IN_AUTH)
		return (-EBUSY);
	rq->state = IN_BODY;
	return (fake_later(rq->f, on_body, rq));
}

static bool
has_word(const char *list, const char *word)
{
	size_t	 len = strlen(word), n;

	for (;; list += n) {
		list += strspn(list, " ");
		n = strcspn(list, " ");
		if (n == 0)
			return (false);
		if (n == len && memcmp(list, word, n) == 0)
			return (true);
	}
}

static int
fr_has_scope(const struct chela_http_in *rq, const char *scope)
{
	return (rq->is_authorized && (rq->scopes == NULL ||
	    has_word(rq->scopes, "admin") || has_word(rq->scopes, scope)));
}

static void
on_auth(void *arg)
{
	struct chela_http_in	*rq = arg;
	struct froute		*r = rq->route;
	struct fake		*f = rq->f;

	if (rq->is_over)
		;
	else if (rq->scopes != NULL && strcmp(rq->scopes, "-") == 0)
		refuse_json(rq, 401, "{\"error\":{\"message\":\"Unauthorized\","
		    "\"type\":\"unauthorized\"}}");
	else {
		rq->state = IN_HEAD;
		rq->is_authorized = true;
		if (rq->h != NULL)
			rq->h->is_trusted = true;
		if (rq->needed == NULL || fr_has_scope(rq, rq->needed))
			rq->passed(r->ctx, rq, r->arg);
		else
			refuse_json(rq, 403, "{\"ok\":false,\"error\":{\"type\":"
			    "\"forbidden\",\"message\":\"missing scope\","
			    "\"details\":{\"code\":\"MISSING_SCOPE\"}}}");
	}
	fake_later_done(f);
}

static int
fr_authorize(struct chela_http_in *rq, const char *scope,
    void (*done)(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg))
{
	if (rq->is_over || rq->is_authorized)
		return (-EALREADY);
	if (rq->has_asked)
		return (-EBUSY);
	rq->has_asked = true;
	rq->state = IN_AUTH;
	rq->passed = done;
	rq->needed = keep(scope);
	return (fake_later(rq->f, on_auth, rq));
}

static void
fr_trust(struct chela_http_in *rq)
{
	if (rq->h != NULL)
		rq->h->is_trusted = true;
}

static int
check(const struct chela_http_in *rq, uint32_t status, const char *headers)
{
	const char	*s = headers;
	char		 name[256], value[CHELA_ROUTE_HEADERS_MAX];

	if (rq->is_over || rq->state == IN_STREAM)
		return (-EALREADY);
	if (status < 200 || status > 599)
		return (-EINVAL);
	while (s != NULL && *s != '\0') {
		if (!next_line(&s, name, sizeof name, value, sizeof value))
			return (-EINVAL);
	}
	return (0);
}

static int
fr_reply(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers, const void *bytes, size_t len)
{
	int	 r = check(rq, status, headers);

	if (r < 0)
		return (r);
	answer(rq->h, status, type, headers, bytes,
	    strcmp(rq->method, "HEAD") == 0 ? 0 : len);
	rq_over(rq);
	return (0);
}

static int
fr_reply_fd(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers, int fd, uint64_t offset, uint64_t len)
{
	char	 piece[4096];
	ssize_t	 n = 1;
	int	 r = check(rq, status, headers);

	if (r == 0)
		answer(rq->h, status, type, headers, "", 0);
	if (strcmp(rq->method, "HEAD") == 0)
		len = 0;
	while (r == 0 && rq->h != NULL && len > 0 && n > 0) {
		n = pread(fd, piece, MIN_OF(len, (uint64_t)sizeof piece),
		    (off_t)offset);
		if (n <= 0)
			break;
		(void)buf_add(&rq->h->body, piece, (size_t)n);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	(void)close(fd);
	if (r == 0)
		rq_over(rq);
	return (r);
}

static int
fr_begin(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers)
{
	int	 r = check(rq, status, headers);

	if (r < 0)
		return (r);
	answer(rq->h, status, type, headers, "", 0);
	rq->state = IN_STREAM;
	return (0);
}

static int
fr_write(struct chela_http_in *rq, const void *bytes, size_t len)
{
	if (rq->is_over || rq->state != IN_STREAM)
		return (-EPIPE);
	if (rq->is_blocked) {
		rq->is_drain_due = true;
		return (-ENOBUFS);
	}
	if (rq->h != NULL && strcmp(rq->method, "HEAD") != 0)
		(void)buf_add(&rq->h->body, bytes, len);
	return (0);
}

static int
fr_end(struct chela_http_in *rq)
{
	if (rq->is_over || rq->state != IN_STREAM)
		return (-EPIPE);
	rq_over(rq);
	return (0);
}

static size_t
fr_queued(const struct chela_http_in *rq)
{
	return (rq->is_blocked ? CHELA_ROUTE_QUEUE_MAX : 0);
}

static void
fr_stats(struct chela_routes_stats *ret)
{
	uint32_t	 size = ret->struct_size;

	memset(ret, 0, size);
	ret->struct_size = size;
}

const struct chela_routes_1 fake_routes = {
	.struct_size = sizeof fake_routes,
	.add = fr_add,
	.remove = fr_remove,
	.method = fr_method,
	.path = fr_path,
	.query = fr_query,
	.query_each = fr_query_each,
	.header = fr_header,
	.header_each = fr_header_each,
	.remote = fr_remote,
	.is_local = fr_is_local,
	.is_tls = fr_is_tls,
	.set_user = fr_set_user,
	.user = fr_user,
	.read_body = fr_read_body,
	.authorize = fr_authorize,
	.has_scope = fr_has_scope,
	.trust = fr_trust,
	.reply = fr_reply,
	.reply_fd = fr_reply_fd,
	.begin = fr_begin,
	.write = fr_write,
	.end = fr_end,
	.queued = fr_queued,
	.stats = fr_stats,
};

static struct froute *
find(const char *path, bool is_read)
{
	struct froute	*r, *best = NULL, *fallback = NULL;
	struct list	*l, *tmp;
	size_t		 len, best_len = 0;

	list_each(l, tmp, &all) {
		r = container_of(l, struct froute, link);
		len = strlen(r->desc.path);
		if ((r->desc.flags & CHELA_ROUTE_FALLBACK) != 0)
			fallback = r;
		else if (strcmp(path, r->desc.path) == 0)
			return (r);
		else if ((r->desc.flags & CHELA_ROUTE_PREFIX) != 0 &&
		    (len == 1 || (strncmp(path, r->desc.path, len) == 0 &&
		    path[len] == '/')) && len > best_len) {
			best = r;
			best_len = len;
		}
	}
	return (best != NULL ? best : is_read ? fallback : NULL);
}

static bool
has_method(const char *list, const char *method)
{
	size_t	 len = strlen(method), n;

	for (;; list += n) {
		list += strspn(list, ", ");
		n = strcspn(list, ", ");
		if (n == 0)
			return (false);
		if (n == len && memcmp(list, method, n) == 0)
			return (true);
	}
}

struct fake_http *
fake_http_send(struct fake *f, const struct fake_http_opt *opt)
{
	const char		*path = opt->path != NULL ? opt->path : "/";
	const char		*method = opt->method != NULL ? opt->method :
				    "GET";
	size_t			 len = strcspn(path, "?");
	struct chela_http_in	*rq;
	struct fake_http	*h;
	char			 allow[160];

	h = calloc(1, sizeof *h);
	rq = calloc(1, sizeof *rq);
	if (h == NULL || rq == NULL)
		abort();
	buf_init(&h->body);
	list_init(&rq->link);
	rq->f = f;
	rq->method = keep(method);
	rq->path = strndup(path, len);
	rq->query = keep(path[len] == '?' ? path + len + 1 : "");
	rq->headers = keep(opt->headers != NULL ? opt->headers : "");
	rq->body_len = opt->body == NULL ? 0 : opt->body_len > 0 ?
	    opt->body_len : strlen(opt->body);
	rq->body = calloc(1, rq->body_len + 1);
	if (rq->path == NULL || rq->body == NULL)
		abort();
	if (rq->body_len > 0)
		memcpy(rq->body, opt->body, rq->body_len);
	rq->remote = keep(opt->remote != NULL ? opt->remote : "127.0.0.1");
	rq->is_local = opt->remote == NULL;
	rq->is_tls = opt->is_tls;
	rq->is_slow = opt->is_slow;
	rq->scopes = keep(opt->scopes);
	rq->route = find(rq->path, strcmp(method, "GET") == 0 ||
	    strcmp(method, "HEAD") == 0);
	if (rq->route == NULL || (rq->route->desc.methods != NULL &&
	    !has_method(rq->route->desc.methods, method))) {
		if (rq->route == NULL)
			answer(h, 404, NULL, NULL, "Not Found", 9);
		else {
			(void)snprintf(allow, sizeof allow, "Allow: %s\r\n",
			    rq->route->desc.methods);
			answer(h, 405, NULL, allow, "Method Not Allowed", 18);
		}
		h->is_by_core = h->is_done = true;
		rq_free(rq);
		return (h);
	}
	h->rq = rq;
	rq->h = h;
	list_append(&rq->route->requests, &rq->link);
	rq->route->desc.head(rq->route->ctx, rq, rq->route->arg);
	return (h);
}

static bool
is_done(void *arg)
{
	return (((struct fake_http *)arg)->is_done);
}

int
fake_http_wait(struct fake *f, struct fake_http *h)
{
	return (fake_wait(f, is_done, h));
}

struct fake_http *
fake_http(struct fake *f, const struct fake_http_opt *opt)
{
	struct fake_http	*h = fake_http_send(f, opt);

	(void)fake_http_wait(f, h);
	return (h);
}

void
fake_http_leave(struct fake_http *h)
{
	if (h->rq != NULL)
		rq_gone(h->rq);
}

void
fake_http_fail(struct fake_http *h, unsigned status)
{
	struct chela_http_in	*rq = h->rq;

	if (rq == NULL)
		return;
	if (status == 408)
		refuse_json(rq, 408, rq->route->desc.too_late != NULL ?
		    rq->route->desc.too_late : "{\"error\":{\"message\":"
		    "\"Request body timeout\",\"type\":"
		    "\"invalid_request_error\"}}");
	else
		refuse_json(rq, status, "{\"error\":{\"message\":\"No answer in "
		    "time\",\"type\":\"unavailable\"}}");
}

void
fake_http_block(struct fake_http *h)
{
	if (h->rq != NULL)
		h->rq->is_blocked = true;
}

void
fake_http_unblock(struct fake_http *h)
{
	struct chela_http_in	*rq = h->rq;

	if (rq == NULL)
		return;
	rq->is_blocked = false;
	if (rq->is_drain_due && rq->route->desc.drain != NULL) {
		rq->is_drain_due = false;
		rq->route->desc.drain(rq->route->ctx, rq, rq->route->arg);
	}
}

const char *
fake_http_text(struct fake_http *h)
{
	if (buf_add(&h->body, "", 1) < 0)
		abort();
	h->body.len--;
	return (h->body.data);
}

const char *
fake_http_header(struct fake_http *h, const char *name)
{
	static char	 value[CHELA_ROUTE_HEADERS_MAX];
	char		 got[256];
	const char	*s = h->headers != NULL ? h->headers : "";

	while (next_line(&s, got, sizeof got, value, sizeof value)) {
		if (strcasecmp(got, name) == 0)
			return (value);
	}
	return ("");
}

void
fake_http_free(struct fake_http *h)
{
	if (h == NULL)
		return;
	if (h->rq != NULL)
		rq_gone(h->rq);
	buf_fini(&h->body);
	free(h->type);
	free(h->headers);
	free(h);
}
