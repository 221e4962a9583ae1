/* SPDX-License-Identifier: MIT */
/* Setup codes: where the gateway is, and a token that is good once. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

struct setup_call {
	struct chela_req	*req;		/* counted */
	const char		*source;
	int			 has_qr;	/* a picture is wanted */
	char			 url[SETUP_URL_MAX];
};

const char *
setup_access(const char *profile)
{
	if (strcmp(profile, "node") == 0 || strcmp(profile, "voice-node") == 0 ||
	    strcmp(profile, "cloud-worker") == 0)
		return ("node");
	return (strcmp(profile, "mobile") == 0 ? "limited" : "full");
}

/* The first address of this machine that others can reach. */
static int
own_address(char *out, size_t size)
{
	struct ifaddrs	*list, *i;
	int		 r = -ENOENT;

	if (getifaddrs(&list) < 0)
		return (-errno);
	for (i = list; i != NULL && r < 0; i = i->ifa_next) {
		if (i->ifa_addr == NULL ||
		    i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK) != 0 ||
		    (i->ifa_flags & IFF_UP) == 0)
			continue;
		if (inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)
		    i->ifa_addr)->sin_addr, out, (socklen_t)size) != NULL)
			r = 0;
	}
	freeifaddrs(list);
	return (r);
}

static const char *
scheme(struct chela_ctx *ctx)
{
	return (json_object_get_boolean(host->conf_path(ctx,
	    "gateway.tls.enabled")) ? "wss" : "ws");
}

static int
is_url(const char *s)
{
	return (strncmp(s, "ws://", 5) == 0 || strncmp(s, "wss://", 6) == 0);
}

/* http and https name the same place. */
static int
set_url(struct setup_call *c, const char *url, const char *source)
{
	const char	*prefix = "";
	int		 n;

	if (strncmp(url, "http://", 7) == 0) {
		prefix = "ws://";
		url += 7;
	} else if (strncmp(url, "https://", 8) == 0) {
		prefix = "wss://";
		url += 8;
	} else if (!is_url(url))
		return (-EINVAL);
	n = snprintf(c->url, sizeof c->url, "%s%s", prefix, url);
	c->source = source;
	return (n < 0 || (size_t)n >= sizeof c->url ? -EINVAL : 0);
}

static int
find_url(struct chela_ctx *ctx, struct setup_call *c,
    struct json_object *params)
{
	const char	*s = param(params, "publicUrl");
	const char	*address = core_state->bind_address();
	char		 own[INET6_ADDRSTRLEN];

	if (s != NULL)
		return (set_url(c, s, "publicUrl"));
	s = json_object_get_string(host->conf_path(ctx,
	    "gateway.publicOrigin"));
	if (s != NULL && *s != '\0')
		return (set_url(c, s, "gateway.publicOrigin"));
	if (core_access->is_loopback_only())
		return (-ENETUNREACH);
	if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0) {
		if (own_address(own, sizeof own) < 0)
			return (-ENETUNREACH);
		address = own;
	}
	(void)snprintf(c->url, sizeof c->url, strchr(address, ':') != NULL ?
	    "%s://[%s]:%u" : "%s://%s:%u", scheme(ctx), address,
	    (unsigned)core_state->port());
	c->source = "gateway.bind";
	return (0);
}

char *
encoded(const char *prefix, const void *p, size_t len, enum encoding how)
{
	static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789";
	const char	*last = how == BASE64 ? "+/" : "-_";
	const unsigned char *s = p;
	size_t		 i, k, n, o = strlen(prefix);
	unsigned	 v, digit;
	char		*out;

	out = malloc(o + (len + 2) / 3 * 4 + 1);
	if (out == NULL)
		return (NULL);
	memcpy(out, prefix, o);
	for (i = 0; i < len; i += 3) {
		n = len - i < 3 ? len - i : 3;
		v = (unsigned)s[i] << 16;
		if (n > 1)
			v |= (unsigned)s[i + 1] << 8;
		if (n > 2)
			v |= s[i + 2];
		for (k = 0; k <= n; k++) {
			digit = v >> (18 - 6 * k) & 63;
			out[o++] = digit < 62 ? common[digit] :
			    last[digit - 62];
		}
		for (; how == BASE64 && k < 4; k++)
			out[o++] = '=';
	}
	out[o] = '\0';
	return (out);
}

static int
reply_code(const struct setup_call *c, struct json_object *result)
{
	struct json_object	*inner = json_object_new_object(), *o;
	const char		*text;
	char			*code, *qr = NULL;

	add_str(inner, "url", c->url);
	add_str(inner, "bootstrapToken", param(result, "bootstrapToken"));
	text = json_object_to_json_string_ext(inner,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	code = encoded("", text, strlen(text), BASE64URL);
	json_object_put(inner);
	if (code == NULL)
		return (-ENOMEM);
	o = json_object_new_object();
	add_str(o, "setupId", param(result, "setupId"));
	add_str(o, "setupCode", code);
	add_str(o, "gatewayUrl", c->url);
	add_str(o, "auth", strcmp(core_state->auth_mode(), "password") == 0 ?
	    "password" : "token");
	add_str(o, "urlSource", c->source);
	add_str(o, "access", setup_access(param(result, "profile")));
	add(o, "expiresAtMs", json_object_get(json_object_object_get(result,
	    "expiresAtMs")));
#ifdef DEVICE_HAS_QR
	if (c->has_qr)
		qr = qr_data_url(code);
#endif
	if (qr != NULL)
		add_str(o, "qrDataUrl", qr);
	free(qr);
	free(code);
	return (host->req_reply(c->req, o));
}

static void
setup_made(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct setup_call	*c = arg;

	(void)ctx;
	if (r == 0)
		r = reply_code(c, result);
	if (r == -EDQUOT)
		(void)host->req_fail(c->req, "UNAVAILABLE", "too many setup "
		    "codes are open (wait until one has run out)");
	else if (r < 0)
		(void)host->req_fail(c->req, "UNAVAILABLE",
		    "no setup code could be made (%s)", strerror(-r));
	host->req_unref(c->req);
	free(c);
}

int
device_setup_code(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*profile = param(params, "bootstrapProfile");
	struct json_object	*qr;
	struct setup_call	*c;
	int			 r;

	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	r = find_url(ctx, c, params);
	if (r < 0) {
		free(c);
		return (host->req_fail(req, "INVALID_REQUEST",
		    r == -ENETUNREACH ? "the gateway listens on this machine "
		    "alone: set gateway.bind, gateway.publicOrigin or publicUrl" :
		    "publicUrl must be a ws, wss, http or https URL"));
	}
	if (json_object_get_boolean(json_object_object_get(params,
	    "joinUrl"))) {
		free(c);
		return (host->req_fail(req, "INVALID_REQUEST",
		    "join URLs are not offered by this gateway"));
	}
	c->req = host->req_ref(req);
	c->has_qr = !json_object_object_get_ex(params, "includeQr", &qr) ||
	    json_object_get_boolean(qr);
	r = core_access->setup_new(ctx, host->req_conn(req), profile == NULL ||
	    strcmp(profile, "limited") == 0 ? "mobile" : profile, setup_made,
	    c);
	if (r < 0)
		setup_made(ctx, r, NULL, c);
	return (0);
}

void
setup_device(struct json_object *o, const char *device_id)
{
	struct json_object	*row;
	const char		*name;

	add_str(o, "deviceId", device_id);
	if (core_access->device(device_id, &row) < 0)
		return;
	name = param(row, "operatorLabel");
	if (name == NULL)
		name = param(row, "displayName");
	if (name != NULL && *name != '\0')
		add_str(o, "deviceName", name);
	json_object_put(row);
}

int
device_setup_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*status, *o, *done;
	const char		*what;

	(void)ctx;
	if (core_access->setup_status(param(params, "setupId"), &status) < 0)
		return (host->req_reply(req, json_object_new_object()));
	o = json_object_new_object();
	what = param(status, "status");
	if (strcmp(what, "completed") == 0 ||
	    strcmp(what, "uncertain") == 0) {
		done = json_object_new_object();
		add_str(done, "setupId", param(status, "setupId"));
		setup_device(done, param(status, "deviceId"));
		add_str(done, "access", setup_access(param(status, "profile")));
		add(done, "ts", json_object_get(json_object_object_get(status,
		    "completedAtMs")));
		add(o, strcmp(what, "completed") == 0 ? "completion" :
		    "deliveryUncertain", done);
	}
	json_object_put(status);
	return (host->req_reply(req, o));
}
