/* SPDX-License-Identifier: MIT */
/*
 * Plugin device, over a core.access/1 that the test is: what it passes on, what it
 * says of every outcome, and to whom.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef DEVICE_HAS_QR
#include <png.h>
#include <qrencode.h>
#endif

#include <chela/services/access.h>
#include <chela/services/state.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define NOW_MS	UINT64_C(1795342844905)
#define SEC	UINT64_C(1000000)
#define N_OF(a)	(sizeof(a) / sizeof((a)[0]))
#define QR_EDGE		16	/* pixels */
#define QR_SCALE	4

/* The core: what it was asked, and what it is to answer. */
static struct {
	char			 asked[256];	/* "approve r1" */
	struct chela_conn	*caller;
	int			 r;		/* of the change */
	int			 started;	/* of starting it */
	const char		*result;	/* JSON */
	const char		*status;	/* of setups and upgrades; JSON */
	bool			 is_loopback;
	chela_access_event_fn	*fn;
	void			*fn_arg;
	struct chela_ctx	*ctx;
} core;

static struct fake		*f;
static struct chela_conn	*pairer, *admin, *reader;

static int
answer(struct chela_ctx *ctx, struct chela_conn *caller,
    chela_access_done_fn *done, void *arg)
{
	struct json_object	*o = NULL;

	core.caller = caller;
	if (core.started < 0)
		return (core.started);
	if (core.r == 0)
		o = json_tokener_parse(core.result);
	done(ctx, core.r, o, arg);
	json_object_put(o);
	return (0);
}

static void
asked(const char *what, const char *a, const char *b)
{
	(void)snprintf(core.asked, sizeof core.asked, "%s %s %s", what,
	    a == NULL ? "-" : a, b == NULL ? "-" : b);
}

static int
acc_list(struct chela_conn *caller, struct json_object **ret)
{
	core.caller = caller;
	*ret = json_tokener_parse("{\"pending\":[],\"paired\":[]}");
	return (0);
}

static int
acc_device(const char *id, struct json_object **ret)
{
	if (strcmp(id, "d") != 0)
		return (-ENOENT);
	*ret = json_tokener_parse("{\"deviceId\":\"d\",\"displayName\":"
	    "\"Phone\"}");
	return (0);
}

static int
acc_approve(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    chela_access_done_fn *done, void *arg)
{
	asked("approve", id, NULL);
	return (answer(ctx, caller, done, arg));
}

static int
acc_reject(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    chela_access_done_fn *done, void *arg)
{
	asked("reject", id, NULL);
	return (answer(ctx, caller, done, arg));
}

static int
acc_remove(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    chela_access_done_fn *done, void *arg)
{
	asked("remove", id, NULL);
	return (answer(ctx, caller, done, arg));
}

static int
acc_rename(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    const char *label, chela_access_done_fn *done, void *arg)
{
	asked("rename", id, label);
	return (answer(ctx, caller, done, arg));
}

static int
acc_rotate(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    const char *role, struct json_object *scopes, chela_access_done_fn *done,
    void *arg)
{
	asked("rotate", id, scopes == NULL ? role :
	    json_object_to_json_string_ext(scopes, JSON_C_TO_STRING_PLAIN));
	return (answer(ctx, caller, done, arg));
}

static int
acc_revoke(struct chela_ctx *ctx, struct chela_conn *caller, const char *id,
    const char *role, chela_access_done_fn *done, void *arg)
{
	asked("revoke", id, role);
	return (answer(ctx, caller, done, arg));
}

static int
acc_setup_new(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *profile, chela_access_done_fn *done, void *arg)
{
	asked("setup", profile, NULL);
	return (answer(ctx, caller, done, arg));
}

static int
status(struct json_object **ret)
{
	if (core.status == NULL)
		return (-ENOENT);
	*ret = json_tokener_parse(core.status);
	return (0);
}

static int
acc_setup_status(const char *id, struct json_object **ret)
{
	asked("setupStatus", id, NULL);
	return (status(ret));
}

static int
acc_upgrade(struct chela_ctx *ctx, struct chela_conn *caller,
    struct json_object *scopes, chela_access_done_fn *done, void *arg)
{
	asked("upgrade", json_object_to_json_string_ext(scopes,
	    JSON_C_TO_STRING_PLAIN), NULL);
	return (answer(ctx, caller, done, arg));
}

static int
acc_upgrade_status(struct chela_conn *caller, const char *id,
    struct json_object **ret)
{
	core.caller = caller;
	asked("upgradeStatus", id, NULL);
	return (status(ret));
}

static int
acc_on_event(struct chela_ctx *ctx, chela_access_event_fn *fn, void *arg)
{
	core.ctx = ctx;
	core.fn = fn;
	core.fn_arg = arg;
	return (0);
}

static int
acc_is_loopback(void)
{
	return (core.is_loopback);
}

static const struct chela_access_1 access_vt = {
	.struct_size = sizeof access_vt,
	.list = acc_list,
	.device = acc_device,
	.approve = acc_approve,
	.reject = acc_reject,
	.remove = acc_remove,
	.rename = acc_rename,
	.rotate = acc_rotate,
	.revoke = acc_revoke,
	.setup_new = acc_setup_new,
	.setup_status = acc_setup_status,
	.upgrade = acc_upgrade,
	.upgrade_status = acc_upgrade_status,
	.on_event = acc_on_event,
	.is_loopback_only = acc_is_loopback,
};

static const char	*bind_to;

static const char *
bind_address(void)
{
	return (bind_to);
}

static uint32_t
port(void)
{
	return (18789);
}

static const char *
auth_mode(void)
{
	return ("token");
}

static const struct chela_state_1 state_vt = {
	.struct_size = sizeof state_vt,
	.bind_address = bind_address,
	.port = port,
	.auth_mode = auth_mode,
};

static void
begin_with(const char *conf)
{
	memset(&core, 0, sizeof core);
	core.result = "{}";
	bind_to = "192.0.2.7";
	f = fake_new();
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	CU_ASSERT(fake_service(f, "core", CHELA_ACCESS_SERVICE,
	    &access_vt) == 0);
	CU_ASSERT(fake_service(f, "core", CHELA_STATE_SERVICE, &state_vt) == 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "device"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	pairer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "pairing" });
	admin = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "admin" });
	reader = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "read",
	    .device_id = "d1" });
}

static void
begin(void)
{
	begin_with("{}");
}

static void
end(void)
{
	fake_free(f);
	f = NULL;
}

static struct json_object *
ok(struct chela_conn *c, const char *method, const char *params)
{
	struct json_object	*r = fake_call(f, c, method, params);

	if (!fake_ok(r))
		(void)fprintf(stderr, "\n%s %s: %s\n", method, params,
		    fake_message(r));
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	return (r);
}

static void
fails(struct chela_conn *c, const char *method, const char *params,
    const char *code, const char *message)
{
	struct json_object	*r = fake_call(f, c, method, params);

	CU_ASSERT_STRING_EQUAL(fake_code(r), code);
	if (strstr(fake_message(r), message) == NULL) {
		(void)fprintf(stderr, "\n%s: %s\n", method, fake_message(r));
		CU_FAIL("another message");
	}
	json_object_put(r);
}

/* One row a method that changes something: what it asks, and its refusals. */
static const struct change {
	const char	*method, *params, *asked, *result;
	const char	*denied, *unknown;	/* -EACCES, -ENOENT */
} changes[] = {
	{ "device.pair.approve", "{\"requestId\":\"r1\"}", "approve r1 -",
	    "{\"requestId\":\"r1\",\"device\":{\"deviceId\":\"d\","
	    "\"publicKey\":\"k\",\"roles\":[],\"scopes\":[],\"tokens\":[],"
	    "\"createdAtMs\":1,\"approvedAtMs\":1,\"connected\":false}}",
	    "device pairing approval denied", "unknown requestId" },
	{ "device.pair.reject", "{\"requestId\":\"r1\"}", "reject r1 -",
	    "{\"requestId\":\"r1\",\"deviceId\":\"d\"}",
	    "device pairing rejection denied", "unknown requestId" },
	{ "device.pair.remove", "{\"deviceId\":\"d\"}", "remove d -",
	    "{\"deviceId\":\"d\"}", "device pairing removal denied",
	    "unknown deviceId" },
	{ "device.pair.rename", "{\"deviceId\":\"d\",\"label\":\"Tür\"}",
	    "rename d Tür", "{\"deviceId\":\"d\",\"label\":\"Tür\"}",
	    "device rename denied", "unknown deviceId" },
	/* No probing for devices: one text for all refusals. */
	{ "device.token.rotate", "{\"deviceId\":\"d\",\"role\":\"node\"}",
	    "rotate d node", "{\"deviceId\":\"d\",\"role\":\"node\","
	    "\"scopes\":[],\"rotatedAtMs\":5,"
	    "\"tokenDelivery\":\"withheld-cross-device\"}",
	    "device token rotation denied", "device token rotation denied" },
	{ "device.token.rotate", "{\"deviceId\":\"d\",\"role\":\"operator\","
	    "\"scopes\":[\"operator.read\"]}", "rotate d [\"operator.read\"]",
	    "{\"deviceId\":\"d\",\"role\":\"operator\",\"scopes\":"
	    "[\"operator.read\"],\"rotatedAtMs\":5,\"tokenDelivery\":"
	    "\"in-band\",\"token\":\"t\"}",
	    "device token rotation denied", "device token rotation denied" },
	{ "device.token.revoke", "{\"deviceId\":\"d\",\"role\":\"node\"}",
	    "revoke d node", "{\"deviceId\":\"d\",\"role\":\"node\","
	    "\"revokedAtMs\":5}", "device token revocation denied",
	    "device token revocation denied" },
};

static void
changes_are_the_cores(void)
{
	struct json_object	*r, *want;
	size_t			 i;

	begin();
	for (i = 0; i < N_OF(changes); i++) {
		const struct change	*c = &changes[i];

		core.r = core.started = 0;
		core.result = c->result;
		r = ok(pairer, c->method, c->params);
		CU_ASSERT_STRING_EQUAL(core.asked, c->asked);
		CU_ASSERT_PTR_EQUAL(core.caller, pairer);
		want = json_tokener_parse(c->result);
		CU_ASSERT_TRUE(json_object_equal(fake_get(r, "result"), want));
		json_object_put(want);
		json_object_put(r);
		core.r = -EACCES;
		fails(pairer, c->method, c->params, "INVALID_REQUEST",
		    c->denied);
		core.r = -ENOENT;
		fails(pairer, c->method, c->params, "INVALID_REQUEST",
		    c->unknown);
		core.r = -EINVAL;
		fails(pairer, c->method, c->params, "INVALID_REQUEST",
		    c->denied);
		core.r = -ENOSPC;
		r = fake_call(f, pairer, c->method, c->params);
		CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
		CU_ASSERT_TRUE(json_object_get_boolean(fake_get(r,
		    "error.retryable")));
		json_object_put(r);
		/* Refused before it began is refused, too. */
		core.started = -ENOENT;
		fails(pairer, c->method, c->params, "INVALID_REQUEST",
		    c->unknown);
	}
	end();
}

static void
the_list_is_asked_for_the_caller(void)
{
	struct json_object	*r;

	begin();
	r = ok(pairer, "device.pair.list", "{}");
	CU_ASSERT_PTR_EQUAL(core.caller, pairer);
	CU_ASSERT_PTR_NOT_NULL(fake_get(r, "result.paired"));
	json_object_put(r);
	end();
}

static void
params_are_closed(void)
{
	static const char *const	 bad[][2] = {
		{ "device.pair.list", "{\"x\":1}" },
		{ "device.pair.approve", "{}" },
		{ "device.pair.approve", "{\"requestId\":\"\"}" },
		{ "device.pair.reject", "{\"requestId\":\"r\",\"x\":1}" },
		{ "device.pair.remove", "{\"deviceId\":7}" },
		{ "device.pair.rename", "{\"deviceId\":\"d\"}" },
		{ "device.token.rotate", "{\"deviceId\":\"d\"}" },
		{ "device.token.rotate", "{\"deviceId\":\"d\",\"role\":"
		    "\"node\",\"scopes\":\"read\"}" },
		{ "device.token.revoke", "{\"role\":\"node\"}" },
		{ "device.pair.setupCode", "{\"bootstrapProfile\":\"king\"}" },
		{ "device.pair.setupStatus", "{}" },
		{ "device.scopes.requestUpgrade", "{\"scopes\":[]}" },
		{ "device.scopes.waitUpgrade", "{}" },
	};
	char	 message[96], long_label[256];
	size_t	 i;

	begin();
	for (i = 0; i < N_OF(bad); i++) {
		(void)snprintf(message, sizeof message, "invalid %s params",
		    bad[i][0]);
		fails(admin, bad[i][0], bad[i][1], "INVALID_REQUEST", message);
	}
	(void)snprintf(long_label, sizeof long_label,
	    "{\"deviceId\":\"d\",\"label\":\"%065d\"}", 0);
	fails(admin, "device.pair.rename", long_label, "INVALID_REQUEST",
	    "invalid device.pair.rename params");
	CU_ASSERT_STRING_EQUAL(core.asked, "");
	end();
}

static void
only_the_scopes_of_the_table_let_in(void)
{
	static const struct {
		const char	*method, *scope;
	} rows[] = {
		{ "device.pair.list", "pairing" },
		{ "device.pair.approve", "pairing" },
		{ "device.pair.reject", "pairing" },
		{ "device.pair.remove", "pairing" },
		{ "device.pair.rename", "pairing" },
		{ "device.token.rotate", "pairing" },
		{ "device.token.revoke", "pairing" },
		{ "device.pair.setupCode", "admin" },
		{ "device.pair.setupStatus", "admin" },
	};
	struct chela_conn	*writer, *node, *none;
	char			 text[64];
	size_t			 i;

	begin();
	writer = fake_conn_new(f, &(struct fake_conn_opt){
	    .scopes = "write approvals questions talk.secrets" });
	node = fake_conn_new(f, &(struct fake_conn_opt){
	    .role = CHELA_ROLE_NODE });
	none = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "talk",
	    .device_id = "d2" });
	for (i = 0; i < N_OF(rows); i++) {
		(void)snprintf(text, sizeof text, "missing scope: operator.%s",
		    rows[i].scope);
		fails(writer, rows[i].method, "{}", "FORBIDDEN", text);
		fails(node, rows[i].method, "{}", "INVALID_REQUEST",
		    "unauthorized role: node");
	}
	fails(pairer, "device.pair.setupCode", "{}", "FORBIDDEN",
	    "missing scope: operator.admin");
	CU_ASSERT_STRING_EQUAL(core.asked, "");
	/* More scopes may be asked for by anybody; the core decides. */
	core.result = "{\"requestId\":\"u1\"}";
	json_object_put(ok(none, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.admin\"]}"));
	CU_ASSERT_STRING_EQUAL(core.asked, "upgrade [\"operator.admin\"] -");
	fails(node, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.admin\"]}", "INVALID_REQUEST",
	    "unauthorized role: node");
	end();
}

static void
tell(unsigned what, const char *data)
{
	struct chela_access_event	 ev = {
		.struct_size = sizeof ev,
		.what = what,
		.device_id = "d",
		.data = json_tokener_parse(data),
	};

	CU_ASSERT_PTR_NOT_NULL_FATAL(core.fn);
	core.fn(core.ctx, &ev, core.fn_arg);
	json_object_put(ev.data);
	fake_settle(f);
}

/* AB-063 */
static void
events_go_to_those_who_pair(void)
{
	static const struct {
		unsigned	 what;
		const char	*event, *data;
	} rows[] = {
		{ CHELA_ACCESS_REQUESTED, "device.pair.requested",
		    "{\"requestId\":\"r\",\"deviceId\":\"d\",\"publicKey\":"
		    "\"k\",\"ts\":5}" },
		{ CHELA_ACCESS_RESOLVED, "device.pair.resolved",
		    "{\"requestId\":\"r\",\"deviceId\":\"d\",\"decision\":"
		    "\"approved\",\"ts\":5}" },
		{ CHELA_ACCESS_CHANGED, "device.pair.changed",
		    "{\"deviceId\":\"d\",\"reason\":\"removed\",\"ts\":5}" },
	};
	struct json_object	*want;
	size_t			 i;

	begin();
	for (i = 0; i < N_OF(rows); i++) {
		tell(rows[i].what, rows[i].data);
		want = json_tokener_parse(rows[i].data);
		CU_ASSERT_EQUAL_FATAL(fake_count(f, pairer, rows[i].event), 1);
		CU_ASSERT_TRUE(json_object_equal(want, fake_wait_event(f,
		    pairer, rows[i].event, 0)));
		CU_ASSERT_EQUAL(fake_count(f, admin, rows[i].event), 1);
		CU_ASSERT_EQUAL(fake_count(f, reader, rows[i].event), 0);
		json_object_put(want);
	}
	tell(CHELA_ACCESS_REFUSED, "{\"reason\":\"x\",\"remote\":\"y\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_events(f)), N_OF(rows));
	end();
}

static void
a_used_setup_code_is_told(void)
{
	static const struct {
		unsigned	 what;
		const char	*event, *status, *member;
	} rows[] = {
		{ CHELA_ACCESS_SETUP_DONE, "device.pair.setup.completed",
		    "completed", "result.completion" },
		{ CHELA_ACCESS_SETUP_UNCERTAIN,
		    "device.pair.setup.deliveryUncertain", "uncertain",
		    "result.deliveryUncertain" },
	};
	struct json_object	*r, *e;
	char			 text[256];
	size_t			 i;

	begin();
	for (i = 0; i < N_OF(rows); i++) {
		(void)snprintf(text, sizeof text, "{\"setupId\":\"s\","
		    "\"status\":\"%s\",\"profile\":\"node\",\"deviceId\":"
		    "\"d\",\"completedAtMs\":7}", rows[i].status);
		core.status = text;
		tell(rows[i].what, "{\"setupId\":\"s\",\"deviceId\":\"d\","
		    "\"role\":\"node\",\"ts\":7}");
		e = fake_wait_event(f, pairer, rows[i].event, 0);
		CU_ASSERT_STRING_EQUAL(fake_str(e, "setupId"), "s");
		CU_ASSERT_STRING_EQUAL(fake_str(e, "access"), "node");
		CU_ASSERT_STRING_EQUAL(fake_str(e, "deviceName"), "Phone");
		CU_ASSERT_EQUAL(fake_int(e, "ts"), 7);
		CU_ASSERT_EQUAL(fake_count(f, reader, rows[i].event), 0);
		r = ok(admin, "device.pair.setupStatus", "{\"setupId\":\"s\"}");
		e = fake_get(r, rows[i].member);
		CU_ASSERT_STRING_EQUAL(fake_str(e, "deviceId"), "d");
		CU_ASSERT_STRING_EQUAL(fake_str(e, "deviceName"), "Phone");
		CU_ASSERT_EQUAL(json_object_object_length(fake_get(r,
		    "result")), 1);
		json_object_put(r);
	}
	core.status = "{\"setupId\":\"s\",\"status\":\"pending\","
	    "\"profile\":\"node\"}";
	r = ok(admin, "device.pair.setupStatus", "{\"setupId\":\"s\"}");
	CU_ASSERT_EQUAL(json_object_object_length(fake_get(r, "result")), 0);
	json_object_put(r);
	core.status = NULL;
	r = ok(admin, "device.pair.setupStatus", "{\"setupId\":\"s\"}");
	CU_ASSERT_EQUAL(json_object_object_length(fake_get(r, "result")), 0);
	json_object_put(r);
	end();
}

#define MADE	"{\"setupId\":\"s\",\"bootstrapToken\":\"B\",\"profile\":" \
	"\"mobile\",\"roles\":[],\"scopes\":[],\"expiresAtMs\":9}"

static void
setup_is(const char *params, const char *url, const char *source)
{
	struct json_object	*r = ok(admin, "device.pair.setupCode",
	    params);

	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.gatewayUrl"), url);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.urlSource"), source);
	json_object_put(r);
}

static void
a_setup_code_says_where_the_gateway_is(void)
{
	struct json_object	*r;

	begin();
	core.result = MADE;
	r = ok(admin, "device.pair.setupCode", "{\"includeQr\":false}");
	CU_ASSERT_STRING_EQUAL(core.asked, "setup mobile -");
	/* {"url":"ws://192.0.2.7:18789","bootstrapToken":"B"} */
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.setupCode"),
	    "eyJ1cmwiOiJ3czovLzE5Mi4wLjIuNzoxODc4OSIsImJvb3RzdHJhcFRva2VuIjoi"
	    "QiJ9");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.setupId"), "s");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.auth"), "token");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.access"), "limited");
	CU_ASSERT_EQUAL(fake_int(r, "result.expiresAtMs"), 9);
	CU_ASSERT_PTR_NULL(fake_get(r, "result.qrDataUrl"));
	json_object_put(r);
	setup_is("{\"publicUrl\":\"https://gw.example/x\"}",
	    "wss://gw.example/x", "publicUrl");
	bind_to = "2001:db8::1";
	setup_is("{\"bootstrapProfile\":\"node\"}",
	    "ws://[2001:db8::1]:18789", "gateway.bind");
	CU_ASSERT_STRING_EQUAL(core.asked, "setup node -");
	fails(admin, "device.pair.setupCode", "{\"publicUrl\":\"ftp://x\"}",
	    "INVALID_REQUEST", "publicUrl must be");
	fails(admin, "device.pair.setupCode", "{\"joinUrl\":true}",
	    "INVALID_REQUEST", "join URLs are not offered");
	core.r = -EDQUOT;
	fails(admin, "device.pair.setupCode", "{}", "UNAVAILABLE",
	    "too many setup codes");
	core.r = 0;
	core.is_loopback = true;
	fails(admin, "device.pair.setupCode", "{}", "INVALID_REQUEST",
	    "listens on this machine alone");
	end();
	begin_with("{\"gateway\":{\"publicOrigin\":\"https://home.example\","
	    "\"tls\":{\"enabled\":true}}}");
	core.result = MADE;
	setup_is("{}", "wss://home.example", "gateway.publicOrigin");
	end();
	begin_with("{\"gateway\":{\"tls\":{\"enabled\":true}}}");
	core.result = MADE;
	setup_is("{}", "wss://192.0.2.7:18789", "gateway.bind");
	end();
}

#ifdef DEVICE_HAS_QR
static int
digit(char c)
{
	static const char	 all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char		*p = c == '\0' ? NULL : strchr(all, c);

	return (p == NULL ? -1 : (int)(p - all));
}

/* Bytes of a base64 text; gives. */
static unsigned char *
decoded(const char *s, size_t *ret_len)
{
	unsigned char	*out = malloc(strlen(s));
	size_t		 n = 0;
	unsigned	 v = 0, bits = 0;

	for (; *s != '\0' && *s != '='; s++) {
		CU_ASSERT_FATAL(digit(*s) >= 0);
		v = v << 6 | (unsigned)digit(*s);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (unsigned char)(v >> bits);
		}
	}
	*ret_len = n;
	return (out);
}
#endif

static void
the_picture_is_the_code(void)
{
#ifdef DEVICE_HAS_QR
	static const char	 prefix[] = "data:image/png;base64,";
	struct json_object	*r;
	unsigned char		*file, *pixels;
	png_image		 image;
	const char		*url;
	size_t			 len, x, y, n_wrong = 0;
	QRcode			*qr;

	begin();
	core.result = MADE;
	r = ok(admin, "device.pair.setupCode", "{}");
	url = fake_str(r, "result.qrDataUrl");
	CU_ASSERT_FATAL(strncmp(url, prefix, sizeof prefix - 1) == 0);
	CU_ASSERT(strlen(url) < 4096);
	file = decoded(url + sizeof prefix - 1, &len);
	memset(&image, 0, sizeof image);
	image.version = PNG_IMAGE_VERSION;
	CU_ASSERT_FATAL(png_image_begin_read_from_memory(&image, file, len));
	image.format = PNG_FORMAT_GRAY;
	qr = QRcode_encodeString8bit(fake_str(r, "result.setupCode"), 0,
	    QR_ECLEVEL_L);
	CU_ASSERT_PTR_NOT_NULL_FATAL(qr);
	CU_ASSERT_EQUAL_FATAL(image.width, (unsigned)qr->width * QR_SCALE +
	    2 * QR_EDGE);
	CU_ASSERT_EQUAL_FATAL(image.width, image.height);
	pixels = malloc(PNG_IMAGE_SIZE(image));
	CU_ASSERT_FATAL(png_image_finish_read(&image, NULL, pixels, 0, NULL));
	for (y = 0; y < image.height; y++) {
		for (x = 0; x < image.width; x++) {
			size_t	 w = (size_t)qr->width;
			size_t	 mx = (x - QR_EDGE) / QR_SCALE;
			size_t	 my = (y - QR_EDGE) / QR_SCALE;
			bool	 is_dark = x >= QR_EDGE && y >= QR_EDGE &&
			    mx < w && my < w && (qr->data[my * w + mx] & 1);

			n_wrong += pixels[y * image.width + x] !=
			    (is_dark ? 0 : 255);
		}
	}
	CU_ASSERT_EQUAL(n_wrong, 0);
	QRcode_free(qr);
	free(pixels);
	free(file);
	json_object_put(r);
	end();
#endif
}

static void
waiting_for_more_scopes(void)
{
	struct json_object	*r;
	struct fake_req		*one, *two;

	begin();
	core.result = "{\"requestId\":\"u1\"}";
	r = ok(reader, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.write\"]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.requestId"), "u1");
	json_object_put(r);
	r = fake_call(f, pairer, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.write\"]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "error.details.code"),
	    "DEVICE_IDENTITY_REQUIRED");
	json_object_put(r);
	core.r = -ENOENT;
	fails(reader, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.write\"]}", "INVALID_REQUEST",
	    "need a paired device");
	core.r = -EINVAL;
	fails(reader, "device.scopes.requestUpgrade",
	    "{\"scopes\":[\"operator.write\"]}", "INVALID_REQUEST", "");
	core.r = 0;
	core.status = "{\"status\":\"pending\"}";
	one = fake_send(f, reader, "device.scopes.waitUpgrade",
	    "{\"requestId\":\"u1\"}");
	two = fake_send(f, reader, "device.scopes.waitUpgrade",
	    "{\"requestId\":\"u1\"}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(one));
	fake_req_cancel(two);
	fake_req_free(two);
	core.status = "{\"status\":\"approved\",\"deviceToken\":\"T\","
	    "\"scopes\":[\"operator.write\"]}";
	tell(CHELA_ACCESS_RESOLVED, "{\"requestId\":\"u1\",\"deviceId\":\"d\","
	    "\"decision\":\"approved\",\"ts\":5}");
	r = fake_reply(one);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "approved");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.deviceToken"), "T");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.requestId"), "u1");
	fake_req_free(one);
	/* One that runs out is seen without an event. */
	core.status = "{\"status\":\"pending\"}";
	one = fake_send(f, reader, "device.scopes.waitUpgrade",
	    "{\"requestId\":\"u2\"}");
	fake_settle(f);
	core.status = "{\"status\":\"expired\"}";
	fake_advance(f, 2 * SEC);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(one), "result.status"),
	    "expired");
	fake_req_free(one);
	/* Approved and taken back: there is nothing to hand over. */
	core.status = "{\"status\":\"approved\"}";
	r = ok(reader, "device.scopes.waitUpgrade", "{\"requestId\":\"u1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "rejected");
	json_object_put(r);
	core.status = NULL;
	fails(reader, "device.scopes.waitUpgrade", "{\"requestId\":\"u9\"}",
	    "INVALID_REQUEST", "unknown requestId");
	end();
}

static void
so_many_may_wait(void)
{
	struct fake_req	*rq[64];
	size_t		 i;

	begin();
	core.status = "{\"status\":\"pending\"}";
	for (i = 0; i < N_OF(rq); i++) {
		rq[i] = fake_send(f, reader, "device.scopes.waitUpgrade",
		    "{\"requestId\":\"u\"}");
		fake_settle(f);
		CU_ASSERT_PTR_NULL(fake_reply_now(rq[i]));
	}
	fails(reader, "device.scopes.waitUpgrade", "{\"requestId\":\"u\"}",
	    "UNAVAILABLE", "too many callers wait");
	fake_req_cancel(rq[0]);
	fake_req_free(rq[0]);
	rq[0] = fake_send(f, reader, "device.scopes.waitUpgrade",
	    "{\"requestId\":\"u\"}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq[0]));
	for (i = 0; i < N_OF(rq); i++) {
		fake_req_cancel(rq[i]);
		fake_req_free(rq[i]);
	}
	end();
}

static const struct cu_case cases[] = {
	CU_CASE(changes_are_the_cores),
	CU_CASE(the_list_is_asked_for_the_caller),
	CU_CASE(params_are_closed),
	CU_CASE(only_the_scopes_of_the_table_let_in),
	CU_CASE(events_go_to_those_who_pair),
	CU_CASE(a_used_setup_code_is_told),
	CU_CASE(a_setup_code_says_where_the_gateway_is),
	CU_CASE(the_picture_is_the_code),
	CU_CASE(waiting_for_more_scopes),
	CU_CASE(so_many_may_wait),
	CU_END
};
CU_MAIN("device", cases)
