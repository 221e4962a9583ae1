/* SPDX-License-Identifier: MIT */
/* authorize() of core.routes/1: the gateway's own authentication by HTTP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/access/scope.h"
#include "core/base/buf.h"
#include "core/plugin/routes.h"

void
rq_drop_entry(struct chela_http_in *rq)
{
	if (rq->entry == NULL)
		return;
	entry_fini(rq->entry);
	free(rq->entry);
	rq->entry = NULL;
}

/* Decided; often at once, so that the rest is for the end of the turn. */
static void
on_entry(struct entry *e)
{
	rq_later(e->arg);
}

int
rq_authorize(struct chela_http_in *rq, uint32_t needed,
    void (*passed)(struct chela_ctx *ctx, struct chela_http_in *rq, void *arg))
{
	struct entry	*e;

	e = calloc(1, sizeof *e);
	if (e == NULL)
		return (-ENOMEM);
	rq->auth = AUTH_ASKED;
	rq->needed = needed;
	rq->passed = passed;
	rq->entry = e;
	e->done = on_entry;
	e->arg = rq;
	proto_bearer(routes.host->env.proto, hreq_conn(rq->q), hreq_head(rq->q),
	    &rq->from, &rq->bearer, e);
	entry_start_http(e, rq->bearer.origin_problem);
	return (0);
}

static void
rq_no_scope(struct chela_http_in *rq, uint32_t needed)
{
	const char	*name = scope_name(needed);
	struct buf	 b = BUF_INIT;

	routes.stats.unauthorized++;
	(void)buf_printf(&b, "{\"ok\":false,\"error\":{\"type\":\"forbidden\","
	    "\"message\":\"missing scope: %s%s\",\"details\":{\"code\":"
	    "\"MISSING_SCOPE\",\"missingScope\":\"%s%s\",\"requiredScopes\":"
	    "[\"%s%s\"]}}}", SCOPE_PREFIX, name, SCOPE_PREFIX, name,
	    SCOPE_PREFIX, name);
	(void)buf_putc(&b, '\0');
	rq_json(rq, 403, NULL, b.is_failed ? "{}" : b.data);
	buf_fini(&b);
}

void
rq_decided(struct chela_http_in *rq)
{
	struct entry	*e = rq->entry;
	uint32_t	 needed = rq->needed;
	char		 extra[64];

	if (e == NULL)
		return;
	if (e->is_in) {
		rq->auth = AUTH_PASSED;
		rq->closure = scope_closure(e->grant.scopes);
		hreq_trust(rq->q);
		rq_drop_entry(rq);
		if (scope_covers(rq->closure, needed))
			rq_call(rq, "HTTP authorized", rq->passed);
		else
			rq_no_scope(rq, needed);
		return;
	}
	if (strcmp(e->no.reason, "rate_limited") == 0) {
		routes.stats.limited++;
		(void)snprintf(extra, sizeof extra, "Retry-After: %llu\r\n",
		    (unsigned long long)(e->retry_after_ms + 999) / 1000);
		rq_json(rq, 429, extra, "{\"error\":{\"message\":\"Too many "
		    "failed authentication attempts. Please try again later.\","
		    "\"type\":\"rate_limited\"}}");
		return;
	}
	routes.stats.unauthorized++;
	rq_json(rq, 401, NULL, "{\"error\":{\"message\":\"Unauthorized\","
	    "\"type\":\"unauthorized\"}}");
}
