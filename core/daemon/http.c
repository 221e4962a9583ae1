/* SPDX-License-Identifier: MIT */
/* Plain HTTP on the gateway's port: liveness, readiness, start-up. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "core/base/buf.h"
#include "core/daemon/daemon.h"
#include "core/json/json.h"
#include "core/net/http_head.h"
#include "core/net/net.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"
#include "core/store/store.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define NO_STORE	"Cache-Control: no-store\r\n"

/* The answer of one probe lives until the next one. */
static struct buf	body;

static void
reply_body(struct net_reply *reply, unsigned status)
{
	reply->status = body.is_failed ? 503 : status;
	reply->type = JSON_TYPE;
	reply->extra = NO_STORE;
	reply->body = body.data;
	reply->body_len = body.is_failed ? 0 : body.len;
}

static void
http_live(struct daemon *d, bool is_local, struct net_reply *reply)
{
	(void)d;
	(void)is_local;
	(void)buf_puts(&body, "{\"ok\":true,\"status\":\"live\"}");
	reply_body(reply, 200);
}

static void
http_ready(struct daemon *d, bool is_local, struct net_reply *reply)
{
	struct json_object	*o;
	bool			 is_ready, is_store_bad;

	is_store_bad = store_is_degraded(d->store) != 0;
	is_ready = d->is_ready && !d->is_stopping && !is_store_bad;
	(void)buf_printf(&body, "{\"ready\":%s", is_ready ? "true" : "false");
	if (is_local) {
		(void)buf_puts(&body, ",\"failing\":[");
		if (d->is_stopping)
			(void)buf_puts(&body, "\"draining\"");
		else if (is_store_bad)
			(void)buf_puts(&body, "\"storage\"");
		else if (!d->is_ready)
			(void)buf_puts(&body, "\"startup\"");
		(void)buf_printf(&body, "],\"uptimeMs\":%llu",
		    (unsigned long long)state_uptime_ms(d->state));
		if (state_event_loop(d->state, &o) == 0) {
			(void)buf_puts(&body, ",\"eventLoop\":");
			(void)json_write(&body, o);
			json_object_put(o);
		}
	}
	(void)buf_putc(&body, '}');
	reply_body(reply, is_ready ? 200 : 503);
}

static void
http_startup(struct daemon *d, bool is_local, struct net_reply *reply)
{
	(void)buf_printf(&body, "{\"ok\":%s,\"status\":\"%s\"",
	    d->is_ready ? "true" : "false",
	    d->is_ready ? "started" : "starting");
	if (is_local) {
		(void)buf_puts(&body, ",\"version\":");
		(void)buf_json_strz(&body, CHELA_VERSION_STRING);
		(void)buf_printf(&body, ",\"uptimeMs\":%llu",
		    (unsigned long long)state_uptime_ms(d->state));
	}
	(void)buf_putc(&body, '}');
	reply_body(reply, d->is_ready ? 200 : 503);
}

static const struct {
	const char	*path;
	void		(*fn)(struct daemon *d, bool is_local,
			    struct net_reply *reply);
} probes[] = {
	{ "/health", http_live },
	{ "/healthz", http_live },
	{ "/ready", http_ready },
	{ "/readyz", http_ready },
	{ "/startup", http_startup },
	{ "/startupz", http_startup },
};

void
daemon_on_http(void *arg, struct conn *c, const struct http_head *head,
    struct net_reply *reply)
{
	static const char	 not_found[] = "Not Found";
	static const char	 bad_method[] = "Method Not Allowed";
	struct daemon		*d = arg;
	size_t			 i;

	buf_reset(&body);
	for (i = 0; i < ARRAY_LEN(probes); i++) {
		if (strcmp(head->path, probes[i].path) != 0)
			continue;
		if (strcmp(head->method, "GET") != 0 &&
		    strcmp(head->method, "HEAD") != 0) {
			*reply = (struct net_reply){ .status = 405,
			    .extra = "Allow: GET, HEAD\r\n",
			    .body = bad_method,
			    .body_len = sizeof bad_method - 1 };
			return;
		}
		probes[i].fn(d, proto_is_local(d->proto, c, head), reply);
		return;
	}
	*reply = (struct net_reply){ .status = 404, .body = not_found,
	    .body_len = sizeof not_found - 1 };
}
