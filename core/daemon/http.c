/* SPDX-License-Identifier: MIT */
/* Plain HTTP on the gateway's port: liveness, readiness, start-up. */
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/config/config.h"
#include "core/daemon/daemon.h"
#include "core/json/json.h"
#include "core/net/http.h"
#include "core/plugin/host.h"
#include "core/protocol/http.h"
#include "core/protocol/proto.h"
#include "core/state/state.h"
#include "core/store/store.h"

#define JSON_TYPE	"application/json; charset=utf-8"
#define NO_STORE	"Cache-Control: no-store\r\n"

/* The answer of a probe. */
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

static void
http_answer(struct hreq *q, unsigned status, const char *extra,
    const char *text)
{
	(void)hreq_reply(q, &(struct net_reply){ .status = status,
	    .extra = extra, .body = text, .body_len = strlen(text) });
}

void
daemon_on_http(void *arg, struct hreq *q)
{
	const struct http_head	*head = hreq_head(q);
	struct daemon		*d = arg;
	struct net_reply	 reply;
	struct proxy_origin	 from;
	size_t			 i;
	bool			 is_live;

	for (i = 0; i < ARRAY_LEN(probes); i++) {
		if (strcmp(head->path, probes[i].path) == 0)
			break;
	}
	/* Who only asks whether we live is told so, whoever it is. */
	is_live = i < ARRAY_LEN(probes) && probes[i].fn == http_live;
	proto_attribute(d->proto, hreq_conn(q), head, &from);
	if (from.kind == PROXY_UNKNOWN && !is_live) {
		host_http_unattributed(d->host);
		(void)hreq_reply(q, &proto_unattributed);
	} else if (i < ARRAY_LEN(probes)) {
		if (strcmp(head->method, "GET") != 0 &&
		    strcmp(head->method, "HEAD") != 0) {
			http_answer(q, 405, "Allow: GET, HEAD\r\n",
			    "Method Not Allowed");
			return;
		}
		buf_reset(&body);
		probes[i].fn(d, from.kind == PROXY_DIRECT_LOCAL, &reply);
		(void)hreq_reply(q, &reply);
	} else if (!host_on_http(d->host, q, &from, d->is_ready &&
	    !d->is_stopping))
		http_answer(q, 404, NULL, "Not Found");
}

void
daemon_load_http(struct daemon *d, const struct conf *conf)
{
	const char	*hsts = conf_get_str(conf, "gateway.http."
		"securityHeaders.strictTransportSecurity", NULL);

	if (net_set_hsts(d->net, hsts) < 0)
		log_warn("http", "gateway.http.securityHeaders."
		    "strictTransportSecurity: not fit for a header");
}
