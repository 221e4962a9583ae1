/* SPDX-License-Identifier: MIT */
/* The table of core.routes/1. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/access/scope.h"
#include "core/base/utf8.h"
#include "core/plugin/routes.h"

static const char *
svc_method(const struct chela_http_in *rq)
{
	return (rq->q == NULL ? "" : hreq_head(rq->q)->method);
}

static const char *
svc_path(const struct chela_http_in *rq)
{
	return (rq->q == NULL ? "" : hreq_head(rq->q)->path);
}

static const char *
svc_query(const struct chela_http_in *rq)
{
	return (rq->q == NULL ? "" : hreq_head(rq->q)->query);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	c = (char)(c | 0x20);
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* Decodes in place; NUL ends it. */
static int
form_decode(char *s, size_t len)
{
	size_t	 i, n = 0;
	int	 hi, lo;

	for (i = 0; i < len; i++) {
		if (s[i] == '+')
			s[n++] = ' ';
		else if (s[i] != '%')
			s[n++] = s[i];
		else {
			hi = i + 2 < len ? hex(s[i + 1]) : -1;
			lo = i + 2 < len ? hex(s[i + 2]) : -1;
			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return (-EBADMSG);
			s[n++] = (char)(hi << 4 | lo);
			i += 2;
		}
	}
	s[n] = '\0';
	return (utf8_is_valid(s, n) ? 0 : -EBADMSG);
}

static int
svc_query_each(const struct chela_http_in *rq, int (*cb)(const char *name,
    const char *value, void *arg), void *arg)
{
	char	*copy, *s, *end, *eq, *value;
	bool	 is_last;
	int	 r = 0;

	copy = strdup(svc_query(rq));
	if (copy == NULL)
		return (-ENOMEM);
	for (s = copy; r == 0; s = end + 1) {
		end = s + strcspn(s, "&");
		is_last = *end == '\0';
		*end = '\0';
		eq = strchr(s, '=');
		value = eq != NULL ? eq + 1 : end;
		if (end > s) {
			r = form_decode(value, (size_t)(end - value));
			if (r == 0)
				r = form_decode(s, (size_t)((eq != NULL ? eq :
				    end) - s));
			if (r == 0)
				r = cb(s, value, arg);
		}
		if (is_last)
			break;
	}
	free(copy);
	return (r);
}

static const char *
svc_header(const struct chela_http_in *rq, const char *name)
{
	return (rq->q == NULL ? NULL : http_head_get(hreq_head(rq->q), name));
}

static int
svc_header_each(const struct chela_http_in *rq, int (*cb)(const char *name,
    const char *value, void *arg), void *arg)
{
	const char	*name, *value;
	unsigned	 i = 0;
	int		 r = 0;

	while (r == 0 && rq->q != NULL && http_head_next(hreq_head(rq->q), &i,
	    &name, &value))
		r = cb(name, value, arg);
	return (r);
}

static const char *
svc_remote(const struct chela_http_in *rq)
{
	return (rq->from.client);
}

static int
svc_is_local(const struct chela_http_in *rq)
{
	return (rq->from.kind == PROXY_DIRECT_LOCAL);
}

static int
svc_is_tls(const struct chela_http_in *rq)
{
	return (rq->q != NULL && conn_is_tls(hreq_conn(rq->q)));
}

static void
svc_set_user(struct chela_http_in *rq, void *user)
{
	rq->user = user;
}

static void *
svc_user(const struct chela_http_in *rq)
{
	return (rq->user);
}

static bool
is_over(const struct chela_http_in *rq)
{
	return (rq->q == NULL || rq->is_ending);
}

static int
svc_read_body(struct chela_http_in *rq)
{
	const struct chela_route *d = &rq->route->desc;
	int			  r;

	if (is_over(rq))
		return (-EALREADY);
	if (d->body == NULL)
		return (-ENOTSUP);
	if (rq->auth == AUTH_ASKED)
		return (-EBUSY);
	r = hreq_read_body(rq->q, d->max_body);
	if (r == 0)
		hreq_set_deadline(rq->q, d->body_timeout_us != 0 ?
		    d->body_timeout_us : CHELA_ROUTE_BODY_US);
	return (r);
}

static int
svc_authorize(struct chela_http_in *rq, const char *scope,
    void (*done)(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg))
{
	uint32_t	 needed = 0;

	if (is_over(rq) || rq->auth == AUTH_PASSED)
		return (-EALREADY);
	if (rq->auth == AUTH_ASKED)
		return (-EBUSY);
	if (scope != NULL) {
		needed = scope_parse(scope, strlen(scope));
		if (needed == 0)
			return (-EINVAL);
	}
	return (rq_authorize(rq, needed, done));
}

static int
svc_has_scope(const struct chela_http_in *rq, const char *scope)
{
	uint32_t	 bit = scope_parse(scope, strlen(scope));

	return (rq->auth == AUTH_PASSED && bit != 0 &&
	    scope_covers(rq->closure, bit));
}

static void
svc_trust(struct chela_http_in *rq)
{
	if (!is_over(rq))
		hreq_trust(rq->q);
}

static bool
is_token(const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f ||
		    strchr("()<>@,;:\\\"/[]?={}", s[i]) != NULL)
			return (false);
	}
	return (len > 0);
}

static bool
is_value(const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++) {
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return (false);
	}
	return (true);
}

/* Lines that a plugin made, perhaps of what a client sent. */
static bool
is_lines(const char *s)
{
	static const char *const ours[] = { "connection", "content-length",
		"content-type", "transfer-encoding", "upgrade", "date",
		"keep-alive", "trailer" };
	const char	*end, *colon;
	size_t		 i;

	if (strlen(s) > CHELA_ROUTE_HEADERS_MAX)
		return (false);
	for (; *s != '\0'; s = end + 2) {
		end = strstr(s, "\r\n");
		colon = strchr(s, ':');
		if (end == NULL || colon == NULL || colon > end ||
		    !is_token(s, (size_t)(colon - s)) ||
		    !is_value(colon + 1, (size_t)(end - colon) - 1))
			return (false);
		for (i = 0; i < ARRAY_LEN(ours); i++) {
			if (strlen(ours[i]) == (size_t)(colon - s) &&
			    strncasecmp(s, ours[i], (size_t)(colon - s)) == 0)
				return (false);
		}
	}
	return (true);
}

static int
fill_reply(const struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers, struct net_reply *ret)
{
	if (is_over(rq) || rq->is_streaming)
		return (-EALREADY);
	if (status < 200 || status > 599 ||
	    (type != NULL && !is_value(type, strlen(type))) ||
	    (headers != NULL && !is_lines(headers)))
		return (-EINVAL);
	*ret = (struct net_reply){ .status = status, .type = type,
	    .extra = headers };
	return (0);
}

static int
svc_reply(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers, const void *bytes, size_t len)
{
	struct net_reply	 reply;
	int			 r;

	r = fill_reply(rq, status, type, headers, &reply);
	if (r < 0)
		return (r);
	reply.body = bytes;
	reply.body_len = len;
	(void)hreq_reply(rq->q, &reply);
	rq_end(rq);
	return (0);
}

static int
svc_reply_fd(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers, int fd, uint64_t offset, uint64_t len)
{
	struct net_reply	 reply;
	int			 r;

	r = fill_reply(rq, status, type, headers, &reply);
	if (r < 0) {
		(void)close(fd);
		return (r);
	}
	r = hreq_reply_fd(rq->q, &reply, fd, offset, len);
	if (r == 0)
		rq_end(rq);
	return (r);
}

static int
svc_begin(struct chela_http_in *rq, uint32_t status, const char *type,
    const char *headers)
{
	struct net_reply	 reply;
	int			 r;

	r = fill_reply(rq, status, type, headers, &reply);
	if (r < 0)
		return (r);
	r = hreq_begin(rq->q, &reply);
	if (r == 0)
		rq->is_streaming = true;
	return (r);
}

static int
svc_write(struct chela_http_in *rq, const void *bytes, size_t len)
{
	if (is_over(rq) || !rq->is_streaming)
		return (-EPIPE);
	return (hreq_write(rq->q, bytes, len));
}

static int
svc_end(struct chela_http_in *rq)
{
	if (is_over(rq) || !rq->is_streaming)
		return (-EPIPE);
	(void)hreq_end(rq->q);
	rq_end(rq);
	return (0);
}

static size_t
svc_queued(const struct chela_http_in *rq)
{
	return (rq->q == NULL ? 0 : hreq_queued(rq->q));
}

static void
svc_stats(struct chela_routes_stats *ret)
{
	uint32_t	 size = ret->struct_size;

	memcpy(ret, &routes.stats, MIN_OF((size_t)size, sizeof routes.stats));
	ret->struct_size = size;
}

static const struct chela_routes_1 routes_vtable = {
	.struct_size = sizeof routes_vtable,
	.add = routes_add,
	.remove = routes_remove,
	.method = svc_method,
	.path = svc_path,
	.query = svc_query,
	.query_each = svc_query_each,
	.header = svc_header,
	.header_each = svc_header_each,
	.remote = svc_remote,
	.is_local = svc_is_local,
	.is_tls = svc_is_tls,
	.set_user = svc_set_user,
	.user = svc_user,
	.read_body = svc_read_body,
	.authorize = svc_authorize,
	.has_scope = svc_has_scope,
	.trust = svc_trust,
	.reply = svc_reply,
	.reply_fd = svc_reply_fd,
	.begin = svc_begin,
	.write = svc_write,
	.end = svc_end,
	.queued = svc_queued,
	.stats = svc_stats,
};

int
routes_service_export(struct host *h)
{
	routes.host = h;
	return (host_export(h, CHELA_ROUTES_SERVICE, &routes_vtable));
}
