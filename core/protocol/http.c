/* SPDX-License-Identifier: MIT */
#include "core/protocol/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/net/http_head.h"
#include "core/protocol/proto_priv.h"

static const char attribution[] = "{\"error\":{\"message\":\"This request "
    "carries proxy headers, but its sender is not a trusted proxy. Set "
    "gateway.trustedProxies.\",\"type\":\"proxy_attribution_required\"}}";

const struct net_reply proto_unattributed = {
	.status = 403,
	.type = "application/json; charset=utf-8",
	.body = attribution,
	.body_len = sizeof attribution - 1,
};

static const char *
header_get(const void *arg, const char *name)
{
	return (http_head_get(arg, name));
}

static unsigned
header_count(const void *arg, const char *name)
{
	return (http_head_count(arg, name));
}

static bool
header_next(const void *arg, unsigned *i, const char **ret_name,
    const char **ret_value)
{
	return (http_head_next(arg, i, ret_name, ret_value));
}

void
proto_headers(const struct http_head *head, struct proxy_headers *ret)
{
	*ret = (struct proxy_headers){ header_get, header_count, header_next,
	    head };
}

void
proto_attribute(const struct proto *p, const struct conn *c,
    const struct http_head *head, struct proxy_origin *ret)
{
	struct proxy_headers	 headers;

	proto_headers(head, &headers);
	proxy_attribute(&p->settings.access->proxies, conn_remote(c),
	    conn_is_serve(c), &headers, ret);
}

/* RFC 6750 section 2.1; another scheme shows nothing. */
static const char *
bearer(const struct http_head *head)
{
	const char	*s = http_head_get(head, "authorization");

	if (s == NULL || strncasecmp(s, "bearer", 6) != 0 || s[6] != ' ')
		return (NULL);
	s += 6;
	return (s + strspn(s, " "));
}

void
proto_bearer(const struct proto *p, const struct conn *c,
    const struct http_head *head, const struct proxy_origin *from,
    struct proto_bearer *b, struct entry *e)
{
	static const char	 scopes[] = "x-openclaw-scopes";
	struct access		*a = p->settings.access;
	struct proxy_headers	 h;
	struct entry_claim	*cl = &e->claim;
	const char		*problem, *origin = http_head_get(head, "origin");

	proto_headers(head, &h);
	(void)snprintf(b->client, sizeof b->client, "%s", from->client);
	e->access = a;
	memset(cl, 0, sizeof *cl);
	cl->auth.token = bearer(head);
	cl->auth.is_direct_local = from->kind == PROXY_DIRECT_LOCAL;
	cl->auth.has_origin = origin != NULL;
	cl->about.origin = origin;
	cl->about.remote = b->client;
	cl->host = head->host;
	cl->peer = conn_remote(c);
	cl->kind = from->kind;
	cl->is_funnel = h.count(head, "tailscale-funnel-request") > 0;
	/* Twice is not once: which of them counts is not known. */
	cl->scopes_cap = h.count(head, scopes) > 1 ? "" :
	    h.get(head, scopes);
	if (a->auth.mode == AUTH_TRUSTED_PROXY) {
		problem = proxy_user(&a->users, &a->proxies, cl->peer, &h,
		    b->problem, sizeof b->problem, &cl->proxy_user);
		cl->proxy_problem = problem;
	}
	b->origin_problem = origin_problem(&p->settings.origins, origin,
	    head->host, cl->auth.is_direct_local);
}
