/* SPDX-License-Identifier: MIT */
/*
 * Plugin push: the example of RFC 8291 bit by bit, subscriptions that belong to a
 * device, deliveries through an HTTP client of the test. What was sent is decrypted
 * by an independent implementation in tests/conformance/test_push.mjs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/http.h>

#include "plugins/push/webpush.h"
#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

/* RFC 8291, appendix A. */
#define AS_PRIVATE	"yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
#define AS_PUBLIC	"BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLoc" \
			"InmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
#define UA_PUBLIC	"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvT" \
			"BHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
#define AUTH		"BTBZMqHH6r4Tts7J_aSIgg"
#define SALT		"DGv6ra1nlYgDCS1FRnbzlw"
#define PLAIN		"When I grow up, I want to be a watermelon"
#define BODY		"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBt" \
			"kgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl" \
			"7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLV" \
			"WGNWQexSgSxsj_Qulcy4a-fN"

#define EP		"https://push.example/send/1"
#define KEYS		"\"keys\":{\"p256dh\":\"" UA_PUBLIC "\",\"auth\":\"" AUTH "\"}"
#define SUBSCRIBE	"{\"endpoint\":\"" EP "\"," KEYS "}"

static uint8_t *
bytes(const char *text, size_t want)
{
	uint8_t	*p = NULL;
	size_t	 len = 0;

	CU_ASSERT_EQUAL_FATAL(wp_unbase64(text, &p, &len), 0);
	CU_ASSERT_EQUAL_FATAL(len, want);
	return (p);
}

static void
example_of_rfc_8291(void)
{
	uint8_t	*private = bytes(AS_PRIVATE, 32), *ua = bytes(UA_PUBLIC, 65);
	uint8_t	*auth = bytes(AUTH, 16), *salt = bytes(SALT, 16), *body;
	uint8_t	 public[WP_PUBLIC_LEN];
	size_t	 len;
	char	*text;

	CU_ASSERT_EQUAL(wp_key_public(private, public), 0);
	text = wp_base64(public, sizeof public);
	CU_ASSERT_STRING_EQUAL(text, AS_PUBLIC);
	free(text);
	CU_ASSERT_EQUAL_FATAL(wp_encrypt(ua, auth, private, salt, PLAIN,
	    strlen(PLAIN), &body, &len), 0);
	text = wp_base64(body, len);
	CU_ASSERT_STRING_EQUAL(text, BODY);
	free(text);
	free(body);
	/* Without them each message has its own. */
	CU_ASSERT_EQUAL_FATAL(wp_encrypt(ua, auth, NULL, NULL, PLAIN,
	    strlen(PLAIN), &body, &len), 0);
	text = wp_base64(body, len);
	CU_ASSERT_NOT_EQUAL(strncmp(text, BODY, 20), 0);
	free(text);
	free(body);
	free(private);
	free(ua);
	free(auth);
	free(salt);
}

static void
size_is_limited(void)
{
	uint8_t	*ua = bytes(UA_PUBLIC, 65), *auth = bytes(AUTH, 16), *body;
	char	*plain = calloc(1, 4096);
	size_t	 len;

	CU_ASSERT_EQUAL(WP_PLAIN_MAX, 3993);
	CU_ASSERT_EQUAL_FATAL(wp_encrypt(ua, auth, NULL, NULL, plain,
	    WP_PLAIN_MAX - 1, &body, &len), 0);
	free(body);
	CU_ASSERT_EQUAL_FATAL(wp_encrypt(ua, auth, NULL, NULL, plain,
	    WP_PLAIN_MAX, &body, &len), 0);
	CU_ASSERT_EQUAL(len, WP_RECORD);
	free(body);
	CU_ASSERT_EQUAL(wp_encrypt(ua, auth, NULL, NULL, plain,
	    WP_PLAIN_MAX + 1, &body, &len), -E2BIG);
	free(plain);
	free(ua);
	free(auth);
}

static void
only_points_of_the_curve(void)
{
	uint8_t	*ua = bytes(UA_PUBLIC, 65), zero[WP_PUBLIC_LEN] = { 4 };
	uint8_t	 private[WP_PRIVATE_LEN], public[WP_PUBLIC_LEN];

	CU_ASSERT_EQUAL(wp_public_check(ua, 65), 0);
	CU_ASSERT_EQUAL(wp_public_check(ua, 64), -EINVAL);
	ua[64] ^= 1;
	CU_ASSERT_EQUAL(wp_public_check(ua, 65), -EINVAL);
	ua[64] ^= 1;
	ua[0] = 2;
	CU_ASSERT_EQUAL(wp_public_check(ua, 65), -EINVAL);
	CU_ASSERT_EQUAL(wp_public_check(zero, 65), -EINVAL);
	/* Zero and what is beyond the order are no private keys. */
	memset(private, 0, sizeof private);
	CU_ASSERT_EQUAL(wp_key_public(private, public), -EINVAL);
	memset(private, 0xff, sizeof private);
	CU_ASSERT_EQUAL(wp_key_public(private, public), -EINVAL);
	CU_ASSERT_EQUAL(wp_key_new(private, public), 0);
	CU_ASSERT_EQUAL(wp_public_check(public, 65), 0);
	free(ua);
}

static void
base64_both_ways(void)
{
	static const char *const bad[] = { "A", "AAAAA", "A*AA", "AA A", "AA=A" };
	uint8_t	 in[70], *out;
	char	*text;
	size_t	 i, len;

	for (i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 37);
	for (i = 0; i <= sizeof in; i++) {
		text = wp_base64(in, i);
		CU_ASSERT_PTR_NULL(strchr(text, '='));
		CU_ASSERT_EQUAL_FATAL(wp_unbase64(text, &out, &len), 0);
		CU_ASSERT_EQUAL(len, i);
		CU_ASSERT_EQUAL(memcmp(in, out, i), 0);
		free(out);
		free(text);
	}
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT_EQUAL(wp_unbase64(bad[i], &out, &len), -EINVAL);
	CU_ASSERT_EQUAL(wp_unbase64("+/8=", &out, &len), 0);
	CU_ASSERT_EQUAL(len, 2);
	free(out);
}

static void
token_is_plain_text(void)
{
	uint8_t	 private[WP_PRIVATE_LEN], public[WP_PUBLIC_LEN];
	char	*header = NULL;

	CU_ASSERT_EQUAL(wp_key_new(private, public), 0);
	CU_ASSERT_EQUAL(wp_vapid(private, "https://a\"b", "mailto:a@b.c", 1,
	    &header), -EINVAL);
	CU_ASSERT_EQUAL(wp_vapid(private, "https://a.b", "mailto:a b", 1,
	    &header), -EINVAL);
	CU_ASSERT_EQUAL_FATAL(wp_vapid(private, "https://a.b", "mailto:a@b.c",
	    1, &header), 0);
	CU_ASSERT_EQUAL(strncmp(header, "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJ"
	    "FUzI1NiJ9.", 45), 0);
	CU_ASSERT_EQUAL(strspn(header, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
	    "mnopqrstuvwxyz0123456789-_.=, "), strlen(header));
	free(header);
}

/* --- an HTTP client that says what the test wants --- */

static struct {
	unsigned	 n;
	uint32_t	 flags;
	char		 url[256];
	char		 headers[2048];
	size_t		 body_len;
	int		 start_r;
	int		 r;
	uint32_t	 status;
	struct {
		const struct chela_http_handler *handler;
		void	*arg;
	}		 open[64];
	unsigned	 n_open, n_open_max;
} line;

static struct fake	*the_fake;

static void
line_end(struct chela_ctx *ctx, void *arg)
{
	unsigned	 i;

	(void)ctx;
	(void)arg;
	if (line.n_open == 0)
		return;
	i = --line.n_open;
	line.open[i].handler->done(NULL, line.r, line.r < 0 ? 0 : line.status,
	    line.r < 0 ? "no connection" : "", line.open[i].arg);
}

static int
line_start(const struct chela_http_request *rq,
    const struct chela_http_handler *handler, void *arg,
    struct chela_http_call **ret)
{
	size_t	 i;

	if (line.start_r < 0)
		return (line.start_r);
	line.n++;
	line.flags = rq->flags;
	line.body_len = rq->body_len;
	line.headers[0] = '\0';
	(void)snprintf(line.url, sizeof line.url, "%s", rq->url);
	CU_ASSERT_STRING_EQUAL(rq->method, "POST");
	for (i = 0; rq->headers[i] != NULL; i++)
		(void)snprintf(line.headers + strlen(line.headers),
		    sizeof line.headers - strlen(line.headers), "%s\n",
		    rq->headers[i]);
	line.open[line.n_open].handler = handler;
	line.open[line.n_open++].arg = arg;
	if (line.n_open > line.n_open_max)
		line.n_open_max = line.n_open;
	*ret = NULL;
	return (fake_host(the_fake)->post(fake_ctx(the_fake, ""), line_end,
	    NULL));
}

static const struct chela_http_1 http = {
	.struct_size = sizeof http,
	.start = line_start,
};

static struct fake *
up(const char *conf)
{
	struct fake	*f = fake_new();

	CU_ASSERT_FATAL(f != NULL);
	the_fake = f;
	memset(&line, 0, sizeof line);
	line.status = 201;
	fake_clock(f, UINT64_C(1800000000000));
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "http", CHELA_HTTP_SERVICE,
	    &http), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "push"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	return (f);
}

static struct chela_conn *
device(struct fake *f, const char *id)
{
	struct fake_conn_opt	 opt = { .scopes = "read write",
	    .device_id = id };

	return (fake_conn_new(f, &opt));
}

static struct json_object *
ok(struct fake *f, struct chela_conn *c, const char *method, const char *params)
{
	struct json_object	*r = fake_call(f, c, method, params);

	CU_ASSERT(fake_ok(r));
	if (!fake_ok(r))
		(void)fprintf(stderr, "%s\n", fake_message(r));
	return (r);
}

static void
refused(struct fake *f, struct chela_conn *c, const char *method,
    const char *params, const char *code, const char *text)
{
	struct json_object	*r = fake_call(f, c, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(r), code);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r), text));
	json_object_put(r);
}

static void
key_is_made_once(void)
{
	struct fake		*f = up("{}");
	struct json_object	*r;
	struct fake_req		*a, *b;
	char			 key[100];

	/* Two at once, and one after a restart: the same key. */
	a = fake_send(f, NULL, "push.web.vapidPublicKey", "{}");
	b = fake_send(f, NULL, "push.web.vapidPublicKey", "{}");
	(void)snprintf(key, sizeof key, "%s", fake_str(fake_reply(a),
	    "result.vapidPublicKey"));
	CU_ASSERT_EQUAL(strlen(key), 87);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(b),
	    "result.vapidPublicKey"), key);
	fake_req_free(a);
	fake_req_free(b);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	r = ok(f, NULL, "push.web.vapidPublicKey", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.vapidPublicKey"), key);
	json_object_put(r);
	fake_free(f);
}

static void
key_of_the_environment_comes_first(void)
{
	struct fake		*f;
	struct json_object	*r;

	(void)setenv("CHELA_VAPID_PRIVATE_KEY", AS_PRIVATE, 1);
	f = up("{}");
	r = ok(f, NULL, "push.web.vapidPublicKey", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.vapidPublicKey"), AS_PUBLIC);
	json_object_put(r);
	CU_ASSERT_PTR_NULL(fake_kv(f, "push", "vapid"));
	fake_free(f);
	(void)setenv("CHELA_VAPID_PRIVATE_KEY", "nonsense", 1);
	f = up("{}");
	refused(f, NULL, "push.web.vapidPublicKey", "{}", "UNAVAILABLE", "key");
	fake_free(f);
	(void)unsetenv("CHELA_VAPID_PRIVATE_KEY");
}

#define PRIVATE(v)	"{\"plugins\":{\"entries\":{\"push\":{\"config\":{" \
			"\"privateKey\":" v "}}}}}"

static void
key_of_the_configuration_may_be_a_reference(void)
{
	struct fake		*f;
	struct json_object	*r;

	(void)setenv("CHELA_TEST_VAPID", AS_PRIVATE, 1);
	f = up(PRIVATE("{\"source\":\"env\",\"id\":\"CHELA_TEST_VAPID\"}"));
	r = ok(f, NULL, "push.web.vapidPublicKey", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.vapidPublicKey"), AS_PUBLIC);
	json_object_put(r);
	/* Without a value there is no other key in its place. */
	(void)unsetenv("CHELA_TEST_VAPID");
	CU_ASSERT_EQUAL(fake_conf(f, PRIVATE("{\"source\":\"env\",\"id\":"
	    "\"CHELA_TEST_NONE\"}")), 0);
	refused(f, NULL, "push.web.vapidPublicKey", "{}", "UNAVAILABLE", "key");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "plugins.entries.push."
	    "config.privateKey refers to a secret that has no value"));
	CU_ASSERT_PTR_NULL(fake_kv(f, "push", "vapid"));
	CU_ASSERT_EQUAL(fake_conf(f, PRIVATE("\"" AS_PRIVATE "\"")), 0);
	r = ok(f, NULL, "push.web.vapidPublicKey", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.vapidPublicKey"), AS_PUBLIC);
	json_object_put(r);
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(f), AS_PRIVATE));
	fake_free(f);
}

static void
subscription_belongs_to_its_device(void)
{
	static const char *const methods[] = { "push.web.unsubscribe",
	    "push.web.preferences.get" };
	struct fake		*f = up("{}");
	struct chela_conn	*a = device(f, "dev-a"), *b = device(f, "dev-b");
	struct json_object	*r;
	char			 id[64];
	size_t			 i;

	refused(f, device(f, ""), "push.web.subscribe", SUBSCRIBE,
	    "INVALID_REQUEST", "paired browser device identity required");
	r = ok(f, a, "push.web.subscribe", SUBSCRIBE);
	(void)snprintf(id, sizeof id, "%s", fake_str(r,
	    "result.subscriptionId"));
	CU_ASSERT_EQUAL(strlen(id), 36);
	json_object_put(r);
	r = ok(f, a, "push.web.subscribe", SUBSCRIBE);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.subscriptionId"), id);
	json_object_put(r);
	refused(f, b, "push.web.subscribe", SUBSCRIBE, "FORBIDDEN",
	    "another device");
	for (i = 0; i < 2; i++) {
		refused(f, b, methods[i], "{\"endpoint\":\"" EP "\"}",
		    "FORBIDDEN", "subscription is not bound to this device");
		refused(f, a, methods[i], "{\"endpoint\":\"" EP "x\"}",
		    "FORBIDDEN", "subscription is not bound to this device");
		refused(f, NULL, methods[i], "{\"endpoint\":\"" EP "\"}",
		    "FORBIDDEN", "subscription is not bound to this device");
	}
	r = ok(f, a, "push.web.unsubscribe", "{\"endpoint\":\"" EP "\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.removed")));
	json_object_put(r);
	refused(f, a, "push.web.unsubscribe", "{\"endpoint\":\"" EP "\"}",
	    "FORBIDDEN", "subscription is not bound to this device");
	fake_free(f);
}

static void
bad_subscriptions_are_refused(void)
{
	static const char *const bad[] = {
		"{\"endpoint\":\"http://push.example/\"," KEYS "}",
		"{\"endpoint\":\"" EP "\",\"keys\":{\"p256dh\":\"" AUTH "\","
		    "\"auth\":\"" AUTH "\"}}",
		"{\"endpoint\":\"" EP "\",\"keys\":{\"p256dh\":\"" UA_PUBLIC
		    "\",\"auth\":\"AAAA\"}}",
		"{\"endpoint\":\"" EP "\",\"keys\":{\"p256dh\":\"BAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAAAAAAAAAAAAAAAAAAAAA\",\"auth\":\"" AUTH "\"}}",
		"{\"endpoint\":\"" EP "\"}",
	};
	struct fake		*f = up("{}");
	struct chela_conn	*a = device(f, "dev-a");
	char			 params[512];
	size_t			 i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		refused(f, a, "push.web.subscribe", bad[i], "INVALID_REQUEST",
		    "");
	for (i = 0; i < 17; i++) {
		(void)snprintf(params, sizeof params, "{\"endpoint\":\"" EP
		    "/%zu\"," KEYS "}", i);
		if (i < 16)
			json_object_put(ok(f, a, "push.web.subscribe",
			    params));
		else
			refused(f, a, "push.web.subscribe", params,
			    "UNAVAILABLE", "too many");
	}
	fake_free(f);
}

static void
test_message_goes_to_all(void)
{
	struct fake		*f = up("{}");
	struct chela_conn	*a;
	struct json_object	*r;
	char			 params[512], id[16];
	size_t			 i;

	refused(f, NULL, "push.web.test", "{}", "INVALID_REQUEST",
	    "no web push subscriptions registered");
	for (i = 0; i < 40; i++) {
		(void)snprintf(id, sizeof id, "dev-%zu", i);
		a = device(f, id);
		(void)snprintf(params, sizeof params, "{\"endpoint\":\"" EP
		    "/%zu\"," KEYS "}", i);
		json_object_put(ok(f, a, "push.web.subscribe", params));
	}
	r = ok(f, NULL, "push.web.test", "{\"title\":\"t\",\"body\":\"b\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.results")), 40);
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.results.39.ok")));
	CU_ASSERT_EQUAL(fake_int(r, "result.results.0.statusCode"), 201);
	json_object_put(r);
	CU_ASSERT_EQUAL(line.n, 40);
	CU_ASSERT_EQUAL(line.n_open_max, 16);
	CU_ASSERT_EQUAL(line.flags, 0);		/* nobody's word to trust */
	CU_ASSERT_PTR_NOT_NULL(strstr(line.headers,
	    "Content-Encoding: aes128gcm\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line.headers, "TTL: 86400\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line.headers,
	    "Authorization: vapid t="));
	fake_free(f);
}

static void
expired_subscriptions_are_forgotten(void)
{
	struct fake		*f = up("{\"plugins\":{\"entries\":{\"push\":{"
	    "\"config\":{\"allowPrivate\":true}}}}}");
	struct chela_conn	*a = device(f, "dev-a");
	struct json_object	*r;

	json_object_put(ok(f, a, "push.web.subscribe", SUBSCRIBE));
	line.status = 500;
	r = fake_call(f, a, "push.web.test", "{}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "all web push deliveries failed");
	CU_ASSERT_EQUAL(fake_int(r, "error.details.results.0.statusCode"), 500);
	json_object_put(r);
	CU_ASSERT_EQUAL(line.flags, CHELA_HTTP_TRUSTED);
	line.r = -EPERM;
	r = fake_call(f, a, "push.web.test", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.results.0.error"),
	    "the endpoint is not a public address");
	CU_ASSERT_PTR_NULL(fake_get(r, "error.details.results.0.statusCode"));
	json_object_put(r);
	/* Both kept it; gone takes it away. */
	line.r = 0;
	line.status = 410;
	r = fake_call(f, a, "push.web.test", "{}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	json_object_put(r);
	fake_settle(f);
	refused(f, a, "push.web.test", "{}", "INVALID_REQUEST",
	    "no web push subscriptions registered");
	line.status = 404;
	json_object_put(ok(f, a, "push.web.subscribe", SUBSCRIBE));
	json_object_put(fake_call(f, a, "push.web.test", "{}"));
	fake_settle(f);
	refused(f, a, "push.web.test", "{}", "INVALID_REQUEST",
	    "no web push subscriptions registered");
	fake_free(f);
}

static void
long_messages_are_refused(void)
{
	struct fake	*f = up("{}");
	char		*params = malloc(5000);
	size_t		 n;

	json_object_put(ok(f, device(f, "d"), "push.web.subscribe", SUBSCRIBE));
	n = (size_t)snprintf(params, 5000, "{\"body\":\"");
	memset(params + n, 'x', 4000);
	(void)snprintf(params + n + 4000, 3, "\"}");
	refused(f, NULL, "push.web.test", params, "INVALID_REQUEST",
	    "too long");
	CU_ASSERT_EQUAL(line.n, 0);
	free(params);
	fake_free(f);
}

#define DEVICE(p) "{\"endpoint\":\"" EP "\",\"scope\":\"device\"," \
	"\"preferences\":" p "}"

static void
preferences_of_the_device_win(void)
{
	struct fake		*f = up("{}");
	struct chela_conn	*a = device(f, "dev-a");
	struct json_object	*r;

	json_object_put(ok(f, a, "push.web.subscribe", SUBSCRIBE));
	r = ok(f, a, "push.web.preferences.get", "{\"endpoint\":\"" EP "\"}");
	CU_ASSERT(!json_object_get_boolean(fake_get(r,
	    "result.durableIdentity")));
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.user.categories.approvalRequested")));
	CU_ASSERT(!json_object_get_boolean(fake_get(r,
	    "result.user.categories.agentFinished")));
	CU_ASSERT_EQUAL(fake_int(r, "result.effective.quietHours.startMinute"),
	    1320);
	json_object_put(r);
	r = ok(f, a, "push.web.preferences.set", DEVICE("{\"enabled\":true,"
	    "\"label\":\"Desk\",\"categories\":{\"agentFinished\":true},"
	    "\"quietHours\":{\"enabled\":true,\"startMinute\":0,"
	    "\"endMinute\":60,\"timeZone\":\"UTC\"}}"));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.preferences.label"), "Desk");
	json_object_put(r);
	/* A new subscription of the same browser keeps them. */
	json_object_put(ok(f, a, "push.web.subscribe", SUBSCRIBE));
	r = ok(f, a, "push.web.preferences.get", "{\"endpoint\":\"" EP "\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.effective.categories.agentFinished")));
	CU_ASSERT(json_object_get_boolean(fake_get(r,
	    "result.effective.categories.approvalRequested")));
	CU_ASSERT_EQUAL(fake_int(r, "result.effective.quietHours.endMinute"),
	    60);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.effective.detailLevel"),
	    "private");
	json_object_put(r);
	refused(f, a, "push.web.preferences.set", DEVICE("{\"enabled\":true,"
	    "\"label\":\"\",\"quietHours\":{\"enabled\":true,\"startMinute\":0,"
	    "\"endMinute\":60,\"timeZone\":\"No/Where\"}}"), "INVALID_REQUEST",
	    "unknown time zone");
	refused(f, a, "push.web.preferences.set", DEVICE("{\"enabled\":true,"
	    "\"label\":\"\",\"quietHours\":{\"enabled\":true,\"startMinute\":0,"
	    "\"endMinute\":60,\"timeZone\":\"../../etc/passwd\"}}"),
	    "INVALID_REQUEST", "unknown time zone");
	refused(f, a, "push.web.preferences.set", "{\"endpoint\":\"" EP "\","
	    "\"scope\":\"user\",\"preferences\":{\"categories\":{"
	    "\"approvalRequested\":true,\"agentFinished\":true,"
	    "\"agentQuestion\":true,\"scheduledTaskFailed\":true,"
	    "\"backgroundTaskFailed\":true},\"detailLevel\":\"private\","
	    "\"quietHours\":{\"enabled\":false,\"startMinute\":0,"
	    "\"endMinute\":0,\"timeZone\":\"UTC\"},\"agentIds\":[]}}",
	    "INVALID_REQUEST", "user profile");
	refused(f, a, "push.test", "{\"nodeId\":\"n1\"}", "INVALID_REQUEST",
	    "node n1 has no APNs registration");
	fake_free(f);
}

/* AB-100: keys of browsers and our own are in no answer and no line of the log. */
static void
keys_are_not_shown_AB_100(void)
{
	struct fake		*f = up("{}");
	struct chela_conn	*a = device(f, "dev-a");
	struct json_object	*r, *vapid;
	char			*row;

	json_object_put(ok(f, a, "push.web.subscribe", SUBSCRIBE));
	line.status = 500;
	r = fake_call(f, a, "push.web.test", "{}");
	row = fake_kv(f, "push", "vapid");
	CU_ASSERT_FATAL(row != NULL);
	vapid = json_tokener_parse(row);
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(r), AUTH));
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(r),
	    fake_str(vapid, "private")));
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(f), fake_str(vapid,
	    "private")));
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(f), AUTH));
	json_object_put(vapid);
	json_object_put(r);
	free(row);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(example_of_rfc_8291),
	CU_CASE(size_is_limited),
	CU_CASE(only_points_of_the_curve),
	CU_CASE(base64_both_ways),
	CU_CASE(token_is_plain_text),
	CU_CASE(key_is_made_once),
	CU_CASE(key_of_the_environment_comes_first),
	CU_CASE(key_of_the_configuration_may_be_a_reference),
	CU_CASE(subscription_belongs_to_its_device),
	CU_CASE(bad_subscriptions_are_refused),
	CU_CASE(test_message_goes_to_all),
	CU_CASE(expired_subscriptions_are_forgotten),
	CU_CASE(long_messages_are_refused),
	CU_CASE(preferences_of_the_device_win),
	CU_CASE(keys_are_not_shown_AB_100),
	CU_END
};

CU_MAIN("push", cases)
