/* SPDX-License-Identifier: MIT */
/* One message to one subscription (RFC 8030 section 5). */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT		"mailto:push@chela.invalid"
#define ANSWER_MAX	65536u		/* bytes of an answer; none are read */

struct send {
	struct send		*next, **prev;
	struct chela_http_call	*call;
	char			 key[SUB_KEY_MAX];
	uint64_t		 rev;
	deliver_done_fn		*done;
	void			*arg;
};

static struct send	*sends;

static void
send_free(struct send *s)
{
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	free(s);
}

/* Seconds (RFC 9110 section 10.2.3); a date is not waited for. */
static uint32_t
retry_after(struct chela_http_call *call)
{
	const char	*s = NULL;

	if (call != NULL && push.http->header != NULL)
		s = push.http->header(call, "retry-after");
	if (s == NULL || *s < '0' || *s > '9' || strlen(s) > 6)
		return (0);
	return ((uint32_t)strtoul(s, NULL, 10));
}

static void
on_done(struct chela_http_call *call, int r, uint32_t status, const char *detail,
    void *arg)
{
	struct send	*s = arg;
	struct delivery	 d = { .status = r < 0 ? 0 : status };

	d.is_ok = r == 0 && (status == 200 || status == 201 || status == 202);
	if (r == -EPERM)
		(void)snprintf(d.error, sizeof d.error, "the endpoint is not a "
		    "public address");
	else if (r < 0)
		(void)snprintf(d.error, sizeof d.error, "%s", detail != NULL ?
		    detail : "no answer");
	else if (!d.is_ok)
		(void)snprintf(d.error, sizeof d.error, "push service answered "
		    "%u", (unsigned)status);
	d.retry_after_s = retry_after(call);
	/* Gone for good, unless the browser has subscribed anew meanwhile. */
	if (r == 0 && (status == 404 || status == 410))
		(void)push.host->kv_del(push.ctx, s->key, s->rev, NULL, NULL);
	s->done(&d, s->arg);
	send_free(s);
}

static const struct chela_http_handler handler = {
	.struct_size = sizeof handler,
	.done = on_done,
};

/* scheme://host[:port] of a URL; gives. */
static char *
origin_of(const char *url)
{
	const char	*p = strstr(url, "://");

	return (p == NULL ? NULL : strndup(url, (size_t)(p + 3 - url) +
	    strcspn(p + 3, "/?#")));
}

static int
encrypt(struct json_object *sub, const char *payload, size_t len,
    uint8_t **ret_body, size_t *ret_len)
{
	const char	*p256dh = get_str(sub, "p256dh");
	const char	*auth = get_str(sub, "auth");
	uint8_t		*key = NULL, *secret = NULL;
	size_t		 key_len, secret_len;
	int		 r;

	if (p256dh == NULL || auth == NULL)
		return (-EINVAL);
	r = wp_unbase64(p256dh, &key, &key_len);
	if (r == 0)
		r = wp_unbase64(auth, &secret, &secret_len);
	if (r == 0 && (key_len != WP_PUBLIC_LEN || secret_len != WP_AUTH_LEN))
		r = -EINVAL;
	if (r == 0)
		r = wp_encrypt(key, secret, NULL, NULL, payload, len, ret_body,
		    ret_len);
	free(key);
	free(secret);
	return (r);
}

static int
post(struct send *s, struct json_object *sub, const char *payload, size_t len,
    const struct deliver_opt *opt)
{
	struct json_object	*conf = push.host->conf(push.ctx);
	struct json_object	*allow = get_any(conf, "allowPrivate");
	const char		*url = get_str(sub, "endpoint"), *subject;
	const char		*headers[7];
	char			*origin = NULL, *vapid = NULL, *line = NULL;
	char			 topic_line[64], ttl[32];
	uint8_t			*body = NULL;
	size_t			 body_len = 0, n = 0;
	int			 r = -EINVAL;
	struct chela_http_request rq = {
		.struct_size = sizeof rq,
		/* Browsers name any endpoint: it is nobody's word to trust. */
		.flags = allow != NULL && json_object_get_boolean(allow) ?
		    CHELA_HTTP_TRUSTED : 0,
		.method = "POST",
		.url = url,
		.headers = headers,
		.timeout_us = SEND_US,
		.max_bytes = ANSWER_MAX,
	};

	subject = get_str(conf, "subject");
	if (subject == NULL)
		subject = SUBJECT;
	if (push.http == NULL)
		return (-ENOTSUP);
	if (url != NULL)
		origin = origin_of(url);
	if (origin != NULL)
		r = wp_vapid(push.private, origin, subject,
		    push.host->wall_ms() / 1000, &vapid);
	if (r == 0)
		r = encrypt(sub, payload, len, &body, &body_len);
	if (r == 0 && asprintf(&line, "Authorization: %s", vapid) < 0) {
		line = NULL;
		r = -ENOMEM;
	}
	if (r == 0) {
		(void)snprintf(ttl, sizeof ttl, "TTL: %u", opt->ttl_s);
		headers[n++] = "Content-Encoding: aes128gcm";
		headers[n++] = "Content-Type: application/octet-stream";
		headers[n++] = ttl;
		headers[n++] = opt->is_urgent ? "Urgency: high" :
		    "Urgency: normal";
		headers[n++] = line;
		if (opt->topic != NULL) {
			(void)snprintf(topic_line, sizeof topic_line,
			    "Topic: %.32s", opt->topic);
			headers[n++] = topic_line;
		}
		headers[n] = NULL;
		rq.body = body;
		rq.body_len = body_len;
		r = push.http->start(&rq, &handler, s, &s->call);
	}
	free(origin);
	free(vapid);
	free(line);
	free(body);
	return (r);
}

void
deliver(const char *key, struct json_object *sub, uint64_t rev,
    const char *payload, size_t len, const struct deliver_opt *opt,
    deliver_done_fn *done, void *arg)
{
	struct delivery	 d = { .is_ok = false };
	struct send	*s = calloc(1, sizeof *s);
	int		 r = -ENOMEM;

	if (s != NULL) {
		(void)snprintf(s->key, sizeof s->key, "%s", key);
		s->rev = rev;
		s->done = done;
		s->arg = arg;
		s->next = sends;
		s->prev = &sends;
		if (s->next != NULL)
			s->next->prev = &s->next;
		sends = s;
		r = post(s, sub, payload, len, opt);
		if (r == 0)
			return;
		send_free(s);
	}
	(void)snprintf(d.error, sizeof d.error, "%s", r == -ENOTSUP ?
	    "there is no HTTP client (plugin http)" : r == -E2BIG ?
	    "the message is too long" : r == -EPERM ?
	    "the endpoint is not a public address" : "could not be sent");
	done(&d, arg);
}

static void
nobody(const struct delivery *d, void *arg)
{
	(void)d;
	(void)arg;
}

/* The calls end with the plugin that makes them; what they were for is gone. */
void
deliver_close(void)
{
	struct send	*s;

	for (s = sends; s != NULL; s = s->next) {
		s->done = nobody;
		if (push.http != NULL && s->call != NULL)
			push.http->cancel(s->call);
	}
}
