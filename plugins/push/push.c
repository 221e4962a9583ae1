/* SPDX-License-Identifier: MIT */
/* Plugin push: subscriptions of browsers, and telling them something. */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct push	push;

int
fail_bad(struct chela_req *req, const char *what)
{
	return (push.host->req_fail(req, "INVALID_REQUEST",
	    "invalid %s params: %s", push.host->req_method(req), what));
}

/* --- subscriptions --- */

/* "" when the connection has no proven device. */
static const char *
device_id(struct chela_req *req)
{
	static char		 id[128];
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_conn	*conn = push.host->req_conn(req);

	id[0] = '\0';
	if (conn != NULL && push.host->conn_info(conn, &info) == 0)
		(void)snprintf(id, sizeof id, "%s", info.device_id);
	return (id);
}

static void
sub_key(const char *endpoint, char ret_key[SUB_KEY_MAX])
{
	uint8_t	 hash[32];
	size_t	 i, n;

	if (wp_sha256(endpoint, strlen(endpoint), hash) < 0)
		memset(hash, 0, sizeof hash);
	n = (size_t)snprintf(ret_key, SUB_KEY_MAX, SUB_PREFIX);
	for (i = 0; i < 16; i++)
		(void)snprintf(ret_key + n + 2 * i, 3, "%02x", hash[i]);
}

struct json_object *
sub_of(struct chela_req *req, const char *endpoint, char ret_key[SUB_KEY_MAX],
    uint64_t *ret_rev)
{
	struct json_object	*sub = NULL;
	const char		*id = device_id(req), *owner = NULL;

	sub_key(endpoint, ret_key);
	if (push.host->kv_get(push.ctx, ret_key, &sub, ret_rev) < 0)
		sub = NULL;
	owner = get_str(sub, "deviceId");
	if (owner != NULL && *id != '\0' && strcmp(owner, id) == 0 &&
	    strcmp(get_str(sub, "endpoint"), endpoint) == 0)
		return (sub);
	json_object_put(sub);
	/* Unknown looks the same: an endpoint is not to be probed for. */
	(void)push.host->req_fail(req, "FORBIDDEN",
	    "subscription is not bound to this device");
	return (NULL);
}

struct count {
	const char	*id;
	unsigned	 n, n_device;
};

static int
count_sub(const char *key, struct json_object *sub, uint64_t rev, void *arg)
{
	struct count	*c = arg;
	const char	*owner = get_str(sub, "deviceId");

	(void)key;
	(void)rev;
	c->n++;
	c->n_device += owner != NULL && strcmp(owner, c->id) == 0;
	return (0);
}

static bool
is_bytes(const char *text, bool is_key)
{
	uint8_t	*p;
	size_t	 len;
	bool	 is_good;

	if (text == NULL || wp_unbase64(text, &p, &len) < 0)
		return (false);
	is_good = is_key ? wp_public_check(p, len) == 0 : len == WP_AUTH_LEN;
	free(p);
	return (is_good);
}

struct write {
	struct chela_req	*req;
	char			 id[37];	/* "": it was taken away */
};

static void
on_written(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct write		*w = arg;
	struct json_object	*o;

	(void)ctx;
	(void)rev;
	if (r == -ESTALE) {
		(void)push.host->req_fail(w->req, "FORBIDDEN",
		    "subscription binding changed");
	} else if (r < 0) {
		(void)push.host->req_fail(w->req, "UNAVAILABLE",
		    "the subscription could not be stored");
	} else {
		o = json_object_new_object();
		if (w->id[0] != '\0')
			json_object_object_add(o, "subscriptionId",
			    json_object_new_string(w->id));
		else
			json_object_object_add(o, "removed",
			    json_object_new_boolean(1));
		(void)push.host->req_reply(w->req, o);
	}
	push.host->req_unref(w->req);
	free(w);
}

static void
write_end(struct write *w, int r)
{
	if (r < 0)
		on_written(push.ctx, r, 0, w);
}

static int
subscribe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*endpoint = get_str(params, "endpoint");
	struct json_object	*keys = get_any(params, "keys");
	struct json_object	*old = NULL, *sub, *made;
	const char		*id = device_id(req), *owner;
	struct count		 c = { .id = id };
	struct write		*w;
	char			 key[SUB_KEY_MAX];
	uint64_t		 rev = CHELA_NEW_REV;
	int64_t			 now = (int64_t)push.host->wall_ms();

	if (*id == '\0')
		return (push.host->req_fail(req, "INVALID_REQUEST",
		    "paired browser device identity required"));
	if (!is_bytes(get_str(keys, "p256dh"), true))
		return (fail_bad(req, "keys.p256dh is no point of P-256"));
	if (!is_bytes(get_str(keys, "auth"), false))
		return (fail_bad(req, "keys.auth is not 16 bytes"));
	sub_key(endpoint, key);
	if (push.host->kv_get(ctx, key, &old, &rev) < 0) {
		old = NULL;
		rev = CHELA_NEW_REV;
	}
	owner = get_str(old, "deviceId");
	if (old != NULL && (owner == NULL || strcmp(owner, id) != 0)) {
		json_object_put(old);
		return (push.host->req_fail(req, "FORBIDDEN",
		    "endpoint belongs to another device"));
	}
	(void)push.host->kv_each(ctx, SUB_PREFIX, count_sub, &c);
	if (old == NULL && (c.n >= SUBS_MAX || c.n_device >= SUBS_DEVICE_MAX))
		return (push.host->req_fail(req, "UNAVAILABLE",
		    "too many web push subscriptions"));
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		json_object_put(old);
		return (-ENOMEM);
	}
	w->req = push.host->req_ref(req);
	push.host->uuid(w->id);
	if (get_str(old, "subscriptionId") != NULL)
		(void)snprintf(w->id, sizeof w->id, "%s", get_str(old,
		    "subscriptionId"));
	sub = json_object_new_object();
	json_object_object_add(sub, "subscriptionId",
	    json_object_new_string(w->id));
	json_object_object_add(sub, "endpoint",
	    json_object_new_string(endpoint));
	json_object_object_add(sub, "p256dh", json_object_new_string(
	    get_str(keys, "p256dh")));
	json_object_object_add(sub, "auth", json_object_new_string(
	    get_str(keys, "auth")));
	json_object_object_add(sub, "deviceId", json_object_new_string(id));
	made = get_any(old, "createdAtMs");
	json_object_object_add(sub, "createdAtMs", made != NULL ?
	    json_object_get(made) : json_object_new_int64(now));
	json_object_object_add(sub, "updatedAtMs", json_object_new_int64(now));
	if (get_any(old, "preferences") != NULL)
		json_object_object_add(sub, "preferences", json_object_get(
		    get_any(old, "preferences")));
	json_object_put(old);
	write_end(w, push.host->kv_put(ctx, key, sub, rev, on_written, w));
	return (0);
}

static int
unsubscribe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*sub;
	struct write		*w;
	char			 key[SUB_KEY_MAX];
	uint64_t		 rev;

	sub = sub_of(req, get_str(params, "endpoint"), key, &rev);
	if (sub == NULL)
		return (0);
	json_object_put(sub);
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	w->req = push.host->req_ref(req);
	write_end(w, push.host->kv_del(ctx, key, rev, on_written, w));
	return (0);
}

/* --- the key --- */

static void
key_ready(int r, void *arg)
{
	struct chela_req	*req = arg;
	struct json_object	*o;
	char			*text = NULL;

	if (r == 0)
		text = wp_base64(push.public, sizeof push.public);
	if (text == NULL) {
		(void)push.host->req_fail(req, "UNAVAILABLE",
		    "there is no key for web push");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "vapidPublicKey",
		    json_object_new_string(text));
		(void)push.host->req_reply(req, o);
	}
	free(text);
	push.host->req_unref(req);
}

static int
vapid_public_key(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	vapid_key(key_ready, push.host->req_ref(req));
	return (0);
}

/* --- the test message --- */

struct target {
	struct round		*round;
	struct json_object	*sub;
	char			 key[SUB_KEY_MAX];
	uint64_t		 rev;
	struct json_object	*result;
};

/* One message to all; as many at once as SENDS_MAX. */
struct round {
	struct round		*next, **prev;
	struct chela_req	*req;
	char			*payload;
	struct target		*targets;
	size_t			 n, at, n_open;
	bool			 is_starting;
};

static struct round	*rounds;

static const struct deliver_opt	test_opt = { .ttl_s = TTL_S };

static void
round_free(struct round *rd)
{
	size_t	 i;

	for (i = 0; i < rd->n; i++) {
		json_object_put(rd->targets[i].sub);
		json_object_put(rd->targets[i].result);
	}
	if (rd->prev != NULL) {
		*rd->prev = rd->next;
		if (rd->next != NULL)
			rd->next->prev = rd->prev;
	}
	if (rd->req != NULL)
		push.host->req_unref(rd->req);
	free(rd->targets);
	free(rd->payload);
	free(rd);
}

static void
round_end(struct round *rd)
{
	struct json_object	*list = json_object_new_array(), *o;
	struct chela_error	 extra = { .struct_size = sizeof extra };
	bool			 is_any = false;
	size_t			 i;

	for (i = 0; i < rd->n; i++) {
		is_any |= json_object_get_boolean(get_any(
		    rd->targets[i].result, "ok"));
		json_object_array_add(list,
		    json_object_get(rd->targets[i].result));
	}
	o = json_object_new_object();
	json_object_object_add(o, "results", list);
	if (is_any) {
		(void)push.host->req_reply(rd->req, o);
	} else {
		extra.details = o;
		(void)push.host->req_fail_with(rd->req, "UNAVAILABLE", &extra,
		    "all web push deliveries failed");
	}
	round_free(rd);
}

static void	round_step(struct round *rd);

static void
on_delivered(const struct delivery *d, void *arg)
{
	struct target		*t = arg;
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(d->is_ok));
	json_object_object_add(o, "subscriptionId", json_object_get(get_any(
	    t->sub, "subscriptionId")));
	if (d->status != 0)
		json_object_object_add(o, "statusCode", json_object_new_int(
		    (int)d->status));
	if (!d->is_ok)
		json_object_object_add(o, "error",
		    json_object_new_string(d->error));
	t->result = o;
	t->round->n_open--;
	if (!t->round->is_starting)
		round_step(t->round);
}

static void
round_step(struct round *rd)
{
	struct target	*t;

	rd->is_starting = true;
	while (rd->at < rd->n && rd->n_open < SENDS_MAX) {
		t = &rd->targets[rd->at++];
		rd->n_open++;
		deliver(t->key, t->sub, t->rev, rd->payload,
		    strlen(rd->payload), &test_opt, on_delivered, t);
	}
	rd->is_starting = false;
	if (rd->at == rd->n && rd->n_open == 0)
		round_end(rd);
}

static void
round_ready(int r, void *arg)
{
	struct round	*rd = arg;

	if (r < 0) {
		(void)push.host->req_fail(rd->req, "UNAVAILABLE",
		    "there is no key for web push");
		round_free(rd);
		return;
	}
	round_step(rd);
}

static int
add_target(const char *key, struct json_object *sub, uint64_t rev, void *arg)
{
	struct round	*rd = arg;
	struct target	*t = &rd->targets[rd->n];

	*t = (struct target){ .round = rd, .sub = json_object_get(sub),
	    .rev = rev };
	(void)snprintf(t->key, sizeof t->key, "%s", key);
	return (++rd->n == SUBS_MAX);
}

static char *
payload_new(const char *title, const char *body)
{
	struct json_object	*o = json_object_new_object();
	char			*text;

	json_object_object_add(o, "title", json_object_new_string(title != NULL
	    ? title : "chela"));
	json_object_object_add(o, "body", json_object_new_string(body != NULL ?
	    body : "This is a test."));
	json_object_object_add(o, "tag", json_object_new_string("chela-test"));
	text = strdup(json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return (text);
}

static int
web_test(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct count	 c = { .id = "" };
	struct round	*rd = calloc(1, sizeof *rd);

	if (rd == NULL)
		return (-ENOMEM);
	rd->payload = payload_new(get_str(params, "title"), get_str(params,
	    "body"));
	(void)push.host->kv_each(ctx, SUB_PREFIX, count_sub, &c);
	rd->targets = calloc(c.n + 1, sizeof *rd->targets);
	if (rd->payload == NULL || rd->targets == NULL) {
		round_free(rd);
		return (-ENOMEM);
	}
	if (strlen(rd->payload) > WP_PLAIN_MAX) {
		round_free(rd);
		return (fail_bad(req, "the message is too long"));
	}
	if (c.n == 0) {
		round_free(rd);
		return (push.host->req_fail(req, "INVALID_REQUEST",
		    "no web push subscriptions registered"));
	}
	rd->next = rounds;
	rd->prev = &rounds;
	if (rd->next != NULL)
		rd->next->prev = &rd->next;
	rounds = rd;
	rd->req = push.host->req_ref(req);
	(void)push.host->kv_each(ctx, SUB_PREFIX, add_target, rd);
	vapid_key(round_ready, rd);
	return (0);
}

/* Apple's service is not spoken: no node is registered there. */
static int
push_test(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (push.host->req_fail(req, "INVALID_REQUEST",
	    "node %.128s has no APNs registration", get_str(params, "nodeId")));
}

/* --- life --- */

static int
push_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	push = (struct push){ .host = h, .ctx = ctx };
	note_open();
	return (h->svc_export(ctx, CHELA_PUSH_SERVICE, &push_service));
}

static int
push_start(struct chela_ctx *ctx)
{
	int	 r;

	push.http = push.host->svc_import(ctx, CHELA_HTTP_SERVICE);
	push.access = push.host->svc_import(ctx, CHELA_ACCESS_SERVICE);
	r = queue_open();
	return (r < 0 ? r : sources_open());
}

/* The key may be another one. */
static int
push_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	(void)ctx;
	(void)conf;
	vapid_forget();
	return (0);
}

static void
push_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	sources_close();
	queue_close();
	deliver_close();
}

static void
push_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	vapid_close();
	zone_close();
	while (rounds != NULL)
		round_free(rounds);
}

static const struct chela_method methods[] = {
	{ .name = "push.web.vapidPublicKey", .handler = vapid_public_key,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write",
	    .flags = CHELA_METHOD_HIDDEN },
	{ .name = "push.web.subscribe", .handler = subscribe,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write",
	    .flags = CHELA_METHOD_HIDDEN },
	{ .name = "push.web.unsubscribe", .handler = unsubscribe,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write",
	    .flags = CHELA_METHOD_HIDDEN },
	{ .name = "push.web.test", .handler = web_test,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write",
	    .flags = CHELA_METHOD_HIDDEN },
	{ .name = "push.web.preferences.get", .handler = prefs_get,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "push.web.preferences.set", .handler = prefs_set,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write" },
	{ .name = "push.test", .handler = push_test,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "write",
	    .flags = CHELA_METHOD_HIDDEN },
};

static const struct chela_dep deps[] = {
	{ .name = "http", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "secrets", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "approvals", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("push"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Web Push: messages to browsers that are not open",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = push_init,
	.start = push_start,
	.reload = push_reload,
	.stop = push_stop,
	.fini = push_fini,
};
