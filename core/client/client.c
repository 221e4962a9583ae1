/* SPDX-License-Identifier: MIT */
/*
 * The life of a client: connecting, the gateway's hello, coming back. How bytes
 * travel is link.c's, what is called client_call.c's.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>

#include <event2/event.h>

#include "config.h"
#include "core/access/device.h"
#include "core/base/clock.h"
#include "core/client/client_priv.h"

#define NORMAL_CLOSURE	1000u

/* What a gateway may send: nested deeply enough for any schema, no deeper. */
static const struct scan_limits client_limits = {
	.depth_max = 128,
	.heap_max = MIB(1024),
	.is_utf8_known = true,
};

static void	 client_connect(struct chela_client *c);

static void
free_secret(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

/* --- being freed while on the stack --- */

static void
client_destroy(struct chela_client *c)
{
	c->link = link_free(c->link);
	loop_timer_free(c->connect_timer);
	loop_timer_free(c->backoff_timer);
	loop_timer_free(c->tick_timer);
	client_drop_calls(c);
	map_free(c->calls);
	loop_free(c->loop);
	if (c->is_own_base && c->base != NULL)
		event_base_free(c->base);
	client_error_fini(&c->error);
	json_object_put(c->hello);
	json_object_put(c->scopes);
	json_object_put(c->capabilities);
	json_object_put(c->commands);
	(void)identity_free(c->identity);
	free(c->path_env);
	free(c->device_family);
	free_secret(c->device_token);
	url_fini(&c->url);
	trust_fini(&c->trust);
	link_ticket_fini(&c->ticket);
	free_secret(c->token);
	free_secret(c->password);
	free(c->instance);
	free(c->display_name);
	free(c->mode);
	free(c);
}

static void
client_on_last(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_destroy(arg);
}

void
client_enter(struct chela_client *c)
{
	c->depth++;
}

bool
client_leave(struct chela_client *c)
{
	static const struct timeval now = { 0, 0 };

	c->depth--;
	if (!c->is_dying)
		return (true);
	/* The loop that called us must not go from under its own feet. */
	if (c->depth == 0 && !c->is_waiting)
		(void)event_base_once(c->base, -1, EV_TIMEOUT, client_on_last,
		    c, &now);
	return (false);
}

struct chela_client *
chela_client_free(struct chela_client *c)
{
	if (c == NULL)
		return (NULL);
	if (c->depth == 0 && !c->is_waiting) {
		client_destroy(c);
		return (NULL);
	}
	c->is_dying = true;
	c->link = link_free(c->link);
	loop_timer_stop(c->connect_timer);
	loop_timer_stop(c->backoff_timer);
	loop_timer_stop(c->tick_timer);
	client_drop_calls(c);
	return (NULL);
}

/* --- states --- */

/* False when the callback has freed the client. */
static bool
client_set_state(struct chela_client *c, enum chela_client_state state)
{
	bool	 has_error = state == CHELA_CLIENT_WAITING ||
	    state == CHELA_CLIENT_ENDED;

	c->state = state;
	if (c->on_state != NULL)
		c->on_state(c, state, has_error ? &c->error.pub : NULL,
		    c->arg);
	return (!c->is_dying && c->state == state);
}

/* Back to no connection; the state is the caller's business. */
static void
client_unlink(struct chela_client *c)
{
	c->link = link_free(c->link);
	loop_timer_stop(c->connect_timer);
	loop_timer_stop(c->tick_timer);
	json_object_put(c->hello);
	c->hello = NULL;
}

/*
 * Doubles from the least to the most, then by up to a quarter more or less, so
 * that a thousand clients of one gateway do not come back in one moment.
 */
static uint64_t
client_backoff_ms(const struct chela_client *c)
{
	uint64_t	 ms = c->backoff_min_ms;
	uint32_t	 dice = 0;
	unsigned	 i;

	for (i = 0; i < c->n_failures && ms < c->backoff_max_ms; i++)
		ms *= 2;
	ms = MIN_OF(ms, (uint64_t)c->backoff_max_ms);
	(void)!getrandom(&dice, sizeof dice, 0);
	ms = ms * 3 / 4 + ms * (dice % 1001) / 2000;
	ms = MIN_OF(ms, (uint64_t)c->backoff_max_ms);
	if (c->error.pub.retry_after_ms > 0)
		ms = MAX_OF(ms, (uint64_t)c->error.pub.retry_after_ms);
	return (ms);
}

void
client_failed(struct chela_client *c)
{
	uint64_t	 ms;

	client_unlink(c);
	if ((c->flags & CHELA_CLIENT_ONCE) || !c->error.pub.is_retryable) {
		c->state = CHELA_CLIENT_ENDED;
	} else {
		ms = client_backoff_ms(c);
		c->n_failures++;
		c->state = loop_timer_set(c->backoff_timer, MS_US(ms)) < 0 ?
		    CHELA_CLIENT_ENDED : CHELA_CLIENT_WAITING;
	}
	client_fail_calls(c, -ECONNRESET,
	    "the connection went away before the answer");
	/* A callback of a call may have closed, opened or freed the client. */
	if (!c->is_dying && (c->state == CHELA_CLIENT_ENDED ||
	    c->state == CHELA_CLIENT_WAITING))
		(void)client_set_state(c, c->state);
}

static void
client_on_backoff(void *arg)
{
	struct chela_client	*c = arg;

	client_enter(c);
	client_connect(c);
	(void)client_leave(c);
}

static void
client_on_deadline(void *arg)
{
	struct chela_client	*c = arg;

	client_enter(c);
	link_close(c->link, CLIENT_CLOSE_LOCAL, "connect timeout");
	client_error_set(&c->error, -ETIMEDOUT,
	    "%s did not answer in time", c->url.authority);
	c->error.pub.is_retryable = 1;
	client_failed(c);
	(void)client_leave(c);
}

/* A gateway that lives ticks; two intervals of silence are a dead one. */
static void
client_on_tick(void *arg)
{
	struct chela_client	*c = arg;
	uint64_t		 quiet = clock_now_us() - c->heard_us;

	if (quiet < 2 * c->tick_us) {
		(void)loop_timer_set(c->tick_timer, 2 * c->tick_us - quiet);
		return;
	}
	client_enter(c);
	link_close(c->link, CLIENT_CLOSE_LOCAL, "tick timeout");
	client_error_set(&c->error, -ETIMEDOUT,
	    "nothing was heard of the gateway any more");
	c->error.pub.is_retryable = 1;
	client_failed(c);
	(void)client_leave(c);
}

/* --- what the gateway says --- */

/* The proof that this connection is this device's. Takes nothing. */
static int
client_add_device(struct chela_client *c, struct json_object *p,
    const char *nonce, int64_t ts)
{
	struct json_object	*d = json_object_new_object();
	struct device_proof	 proof = {
		.id = identity_id(c->identity),
		.nonce = nonce,
		/* The gateway's clock counts; ours may be wrong. */
		.signed_at = ts >= 0 ? ts : (int64_t)clock_wall_ms(),
		.client_id = "chela",
		.client_mode = c->mode,
		.role = c->mode,
		.token = c->has_used_token ? c->device_token : c->token,
		.platform = json_get_str(p, "platform"),
		.device_family = c->device_family,
	};
	unsigned char		 sig[DEVICE_SIG_LEN];
	char			 text[DEVICE_SIG_LEN * 4 / 3 + 4];
	struct buf		 scopes = BUF_INIT, payload = BUF_INIT;
	size_t			 i;
	int			 r = 0;

	for (i = 0; i < json_object_array_length(c->scopes); i++)
		(void)buf_printf(&scopes, "%s%s", i > 0 ? "," : "",
		    json_object_get_string(json_object_array_get_idx(c->scopes,
		    i)));
	(void)buf_putc(&scopes, '\0');
	proof.scopes = scopes.data;
	if (scopes.is_failed || device_payload(&payload, &proof, 3) < 0 ||
	    identity_sign(c->identity, payload.data, payload.len, sig) < 0)
		r = -EIO;
	buf_fini(&payload);
	buf_fini(&scopes);
	if (r == 0)
		base64url_write(text, sig, sizeof sig);
	r |= json_add_str(d, "id", proof.id);
	r |= json_add_str(d, "publicKey", identity_key(c->identity));
	r |= r < 0 ? r : json_add_str(d, "signature", text);
	r |= json_add_int(d, "signedAt", proof.signed_at);
	r |= json_add_str(d, "nonce", nonce);
	r |= json_add(p, "device", d);
	return (r);
}

/* A device's own token, where it has one, is enough. */
static struct json_object *
client_credentials(struct chela_client *c)
{
	struct json_object	*cred = json_object_new_object();

	c->has_used_token = c->identity != NULL && c->device_token != NULL;
	if (c->has_used_token)
		(void)json_add_str(cred, "deviceToken", c->device_token);
	else if (c->token != NULL)
		(void)json_add_str(cred, "token", c->token);
	if (!c->has_used_token && c->password != NULL)
		(void)json_add_str(cred, "password", c->password);
	return (cred);
}

static int
client_send_connect(struct chela_client *c, const char *nonce, int64_t ts)
{
	struct json_object	*p = json_object_new_object();
	struct utsname		 u;
	int			 r = 0;

	r |= json_add_int(p, "minProtocol", CHELA_CLIENT_PROTOCOL_MIN);
	r |= json_add_int(p, "maxProtocol", CHELA_CLIENT_PROTOCOL_MAX);
	r |= json_add(p, "credentials", client_credentials(c));
	r |= json_add_str(p, "instance", c->instance);
	if (c->display_name != NULL)
		r |= json_add_str(p, "displayName", c->display_name);
	r |= json_add_str(p, "version", PACKAGE_VERSION);
	if (uname(&u) == 0)
		r |= json_add_str(p, "platform", u.sysname);
	r |= json_add_str(p, "mode", c->mode);
	r |= json_add(p, "scopes", json_object_get(c->scopes));
	r |= json_add(p, "capabilities", json_object_get(c->capabilities));
	if (c->commands != NULL)
		r |= json_add(p, "commands", json_object_get(c->commands));
	if (c->path_env != NULL)
		r |= json_add_str(p, "pathEnv", c->path_env);
	if (c->device_family != NULL)
		r |= json_add_str(p, "deviceFamily", c->device_family);
	if (c->identity != NULL && r == 0)
		r |= client_add_device(c, p, nonce != NULL ? nonce : "", ts);
	if (r < 0) {
		json_object_put(p);
		return (-ENOMEM);
	}
	return (client_send_request(c, CLIENT_ID_CONNECT, "connect", p));
}

/* The token was taken away: what the program gave is tried again. */
static void
client_drop_token(struct chela_client *c)
{
	const char	*code = json_get_str(c->error.pub.details, "code");

	if (!c->has_used_token || code == NULL ||
	    strncmp(code, "AUTH_", 5) != 0 ||
	    strcmp(code, "AUTH_RATE_LIMITED") == 0)
		return;
	free_secret(c->device_token);
	c->device_token = NULL;
	if (c->token != NULL || c->password != NULL)
		c->error.pub.is_retryable = 1;
}

static void
client_keep_token(struct chela_client *c)
{
	const char	*token;
	char		*copy;

	token = json_get_str(json_get_obj(c->hello, "auth"), "deviceToken");
	copy = token != NULL && c->identity != NULL ? strdup(token) : NULL;
	if (copy == NULL)
		return;
	free_secret(c->device_token);
	c->device_token = copy;
}

static void
client_on_connected(struct chela_client *c, struct json_object *frame)
{
	struct json_object	*policy;
	int64_t			 n;

	if (!json_get_bool(frame, "ok", false)) {
		client_error_read(&c->error, frame);
		client_drop_token(c);
		link_close(c->link, NORMAL_CLOSURE, NULL);
		client_failed(c);
		return;
	}
	loop_timer_stop(c->connect_timer);
	c->hello = json_object_get(json_get(frame, "result"));
	client_keep_token(c);
	policy = json_get_obj(c->hello, "policy");
	n = json_get_int(policy, "tickIntervalMs", CLIENT_TICK_MS);
	c->tick_us = MS_US(n <= 0 ? CLIENT_TICK_MS :
	    MIN_OF(n, (int64_t)CLIENT_TICK_MAX_MS));
	n = json_get_int(policy, "maxPayload", CLIENT_PAYLOAD_MAX);
	c->payload_max = n > 0 ? (size_t)n : CLIENT_PAYLOAD_MAX;
	c->n_failures = 0;
	(void)loop_timer_set(c->tick_timer, 2 * c->tick_us);
	(void)client_set_state(c, CHELA_CLIENT_READY);
}

static void
client_on_event(struct chela_client *c, const char *name,
    struct json_object *frame)
{
	struct json_object		*meta = json_get_obj(frame, "meta");
	struct chela_client_event	 ev = {
		.name = name,
		.data = json_get(frame, "data"),
		.seq = json_get_int(meta, "seq", -1),
		.state_version = json_get_obj(meta, "stateVersion"),
	};
	struct link			*link = c->link;
	int64_t				 last = c->seq;

	if (c->state == CHELA_CLIENT_CONNECTING) {
		if (strcmp(name, "connect.challenge") == 0 &&
		    client_send_connect(c, json_get_str(ev.data, "nonce"),
		    json_get_int(ev.data, "ts", -1)) < 0) {
			client_error_set(&c->error, -ENOMEM, "out of memory");
			client_failed(c);
		}
		return;
	}
	if (ev.seq >= 0) {
		c->seq = ev.seq;
		if (last >= 0 && ev.seq > last + 1 && c->on_gap != NULL)
			c->on_gap(c, last + 1, ev.seq, c->arg);
		if (c->is_dying || c->link != link)
			return;
	}
	if (c->on_event != NULL)
		c->on_event(c, &ev, c->arg);
}

static void
client_on_message(char *text, size_t len, void *arg)
{
	struct chela_client	*c = arg;
	struct json_object	*frame = NULL;
	const char		*name, *id;
	int			 r;

	client_enter(c);
	r = json_parse_scanned(text, len, &client_limits, NULL, &frame);
	if (r < 0) {
		link_close(c->link, CLIENT_CLOSE_LOCAL, "not JSON");
		client_error_set(&c->error, r == -ENOMEM ? r : -EPROTO,
		    r == -ENOMEM ? "out of memory" :
		    "the gateway sent what is no JSON");
		c->error.pub.is_retryable = 1;
		client_failed(c);
		goto out;
	}
	name = json_get_str(frame, "event");
	id = json_get_str(frame, "id");
	if (name != NULL)
		client_on_event(c, name, frame);
	else if (id != NULL && c->state == CHELA_CLIENT_CONNECTING &&
	    strcmp(id, CLIENT_ID_CONNECT) == 0)
		client_on_connected(c, frame);
	else if (id != NULL)
		client_answer(c, id, frame);
out:
	json_object_put(frame);
	(void)client_leave(c);
}

static void
client_on_open(void *arg)
{
	/* The gateway speaks first: its challenge starts the handshake. */
	(void)arg;
}

static void
client_on_bytes(void *arg)
{
	struct chela_client	*c = arg;

	c->heard_us = clock_now_us();
}

/* Before hello only these closes are worth another try, wire code by code. */
static bool
is_passing(const struct link_end *end)
{
	if (end->http_status != 0)
		return (end->http_status == 429 || end->http_status >= 500);
	switch (end->code) {
	case 0:
		return (end->status != -EPROTO &&
		    end->status != -EKEYREJECTED);
	case 1000: case 1001: case 1005: case 1011: case 1012: case 1013:
		return (true);
	default:
		return (false);
	}
}

static void
client_on_end(const struct link_end *end, void *arg)
{
	struct chela_client	*c = arg;
	bool			 was_ready = c->state == CHELA_CLIENT_READY;

	client_enter(c);
	client_error_set(&c->error, end->status, "%s", end->sentence);
	c->error.pub.close_code = end->code;
	c->error.pub.http_status = end->http_status;
	c->error.pub.is_retryable = was_ready || is_passing(end);
	client_failed(c);
	(void)client_leave(c);
}

static const struct link_calls client_calls = {
	.on_open = client_on_open,
	.on_message = client_on_message,
	.on_end = client_on_end,
	.on_bytes = client_on_bytes,
};

static bool
is_plain_allowed(void)
{
	const char	*s = getenv(CLIENT_PLAIN_NAME);

	return (s != NULL && strcmp(s, "1") == 0);
}

static void
client_connect(struct chela_client *c)
{
	if (!url_is_guarded(&c->url) && !is_plain_allowed()) {
		client_error_set(&c->error, -EPERM, "everybody on the way to "
		    "%s could read what ws:// sends: use wss:// (or set "
		    CLIENT_PLAIN_NAME "=1)", c->url.host);
		client_failed(c);
		return;
	}
	c->seq = -1;
	c->payload_max = CLIENT_PAYLOAD_MAX;
	c->heard_us = clock_now_us();
	c->link = link_new(c->loop, &c->url, &c->trust, &c->ticket,
	    CLIENT_SUBPROTOCOL, &client_calls, c);
	if (c->link == NULL ||
	    loop_timer_set(c->connect_timer, MS_US(c->connect_ms)) < 0) {
		client_error_set(&c->error, -ENOMEM, "out of memory");
		c->error.pub.is_retryable = 1;
		client_failed(c);
		return;
	}
	(void)client_set_state(c, CHELA_CLIENT_CONNECTING);
}

/* --- for the program --- */

static int
copy_string(const char *s, char **ret)
{
	if (s == NULL)
		return (0);
	*ret = strdup(s);
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
copy_list(const char *const *list, struct json_object **ret)
{
	unsigned	 i;

	*ret = json_object_new_array();
	if (*ret == NULL)
		return (-ENOMEM);
	for (i = 0; list != NULL && list[i] != NULL; i++) {
		if (i == CLIENT_LIST_MAX)
			return (-EINVAL);
		if (json_push(*ret, json_object_new_string(list[i])) < 0)
			return (-ENOMEM);
	}
	return (0);
}

static int
make_instance(char **ret)
{
	unsigned char	 id[16];
	char		*s = malloc(2 * sizeof id + 1);
	unsigned	 i;

	if (s == NULL || getrandom(id, sizeof id, 0) != (ssize_t)sizeof id) {
		free(s);
		return (-ENOMEM);
	}
	for (i = 0; i < sizeof id; i++)
		(void)snprintf(s + 2 * i, 3, "%02x", id[i]);
	*ret = s;
	return (0);
}

static uint32_t
or_else(uint32_t n, uint32_t dflt)
{
	return (n != 0 ? n : dflt);
}

/* A fingerprint without TLS would be believed to protect: that is an error. */
static int
client_set_trust(struct chela_client *c, const struct chela_client_options *o)
{
	if (o->tls_fingerprint != NULL) {
		c->trust.has_pin = true;
		return (c->url.is_tls ? finger_parse(o->tls_fingerprint,
		    c->trust.pin) : -EINVAL);
	}
	c->trust.is_system_only = (o->flags & CHELA_CLIENT_TLS_SYSTEM) != 0;
	if (!c->url.is_tls)
		return (0);
	if (o->known_gateways != NULL)
		return (copy_string(o->known_gateways, &c->trust.known_path));
	c->trust.known_path = trust_known_path();
	return (0);
}

int
chela_client_new(const struct chela_client_options *given,
    struct chela_client **ret_client)
{
	struct chela_client_options	 o = { .size = 0 };
	struct buf			 why = BUF_INIT;
	struct chela_client		*c;
	int				 r;

	/* A program built against an older header knows fewer members. */
	memcpy(&o, given, MIN_OF(given->size, sizeof o));
	if (o.url == NULL || (o.mode != NULL &&
	    strcmp(o.mode, "operator") != 0 && strcmp(o.mode, "node") != 0))
		return (-EINVAL);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	list_init(&c->open_calls);
	c->flags = o.flags;
	c->connect_ms = or_else(o.connect_timeout_ms, CLIENT_CONNECT_MS);
	c->call_ms = or_else(o.call_timeout_ms, CLIENT_CALL_MS);
	c->backoff_min_ms = or_else(o.backoff_min_ms, CLIENT_BACKOFF_MIN_MS);
	c->backoff_max_ms = MAX_OF(or_else(o.backoff_max_ms,
	    CLIENT_BACKOFF_MAX_MS), c->backoff_min_ms);
	c->on_state = o.on_state;
	c->on_event = o.on_event;
	c->on_gap = o.on_gap;
	c->arg = o.arg;
	c->state = CHELA_CLIENT_IDLE;
	client_error_set(&c->error, 0, "nothing went wrong");

	r = url_parse(o.url, &c->url);
	if (r == 0)
		r = client_set_trust(c, &o);
	if (r == 0)
		r = copy_string(o.token, &c->token);
	if (r == 0)
		r = copy_string(o.password, &c->password);
	if (r == 0)
		r = copy_string(o.mode != NULL ? o.mode : "operator", &c->mode);
	if (r == 0)
		r = o.instance != NULL ?
		    copy_string(o.instance, &c->instance) :
		    make_instance(&c->instance);
	if (r == 0)
		r = copy_string(o.display_name, &c->display_name);
	if (r == 0)
		r = copy_list(o.scopes, &c->scopes);
	if (r == 0)
		r = copy_list(o.capabilities, &c->capabilities);
	if (r == 0 && o.commands != NULL)
		r = copy_list(o.commands, &c->commands);
	if (r == 0)
		r = copy_string(o.path_env, &c->path_env);
	if (r == 0)
		r = copy_string(o.device_family, &c->device_family);
	if (r == 0)
		r = copy_string(o.device_token, &c->device_token);
	if (r == 0 && o.identity_dir != NULL)
		r = identity_load(o.identity_dir, &c->identity, &why);
	buf_fini(&why);
	if (r < 0)
		goto fail;

	r = -ENOMEM;
	c->is_own_base = o.base == NULL;
	c->base = o.base != NULL ? o.base : event_base_new();
	if (c->base == NULL)
		goto fail;
	c->loop = loop_wrap(c->base);
	c->calls = map_new();
	if (c->loop == NULL || c->calls == NULL)
		goto fail;
	c->connect_timer = loop_timer_new(c->loop, client_on_deadline, c);
	c->backoff_timer = loop_timer_new(c->loop, client_on_backoff, c);
	c->tick_timer = loop_timer_new(c->loop, client_on_tick, c);
	if (c->connect_timer == NULL || c->backoff_timer == NULL ||
	    c->tick_timer == NULL)
		goto fail;
	*ret_client = c;
	return (0);
fail:
	client_destroy(c);
	return (r);
}

int
chela_client_open(struct chela_client *c)
{
	if (c->state == CHELA_CLIENT_CONNECTING ||
	    c->state == CHELA_CLIENT_READY)
		return (-EALREADY);
	loop_timer_stop(c->backoff_timer);
	c->n_failures = 0;
	/* Soon, from the loop: callbacks come from nowhere else. */
	if (loop_timer_set(c->backoff_timer, 0) < 0)
		return (-ENOMEM);
	c->state = CHELA_CLIENT_CONNECTING;
	return (0);
}

void
chela_client_close(struct chela_client *c)
{
	if (c->state == CHELA_CLIENT_IDLE)
		return;
	client_enter(c);
	loop_timer_stop(c->backoff_timer);
	if (c->link != NULL)
		link_close(c->link, NORMAL_CLOSURE, NULL);
	client_unlink(c);
	c->state = CHELA_CLIENT_IDLE;
	client_fail_calls(c, -ECANCELED, "the connection was closed");
	if (!c->is_dying)
		(void)client_set_state(c, CHELA_CLIENT_IDLE);
	(void)client_leave(c);
}

enum chela_client_state
chela_client_get_state(const struct chela_client *c)
{
	return (c->state);
}

struct json_object *
chela_client_hello(const struct chela_client *c)
{
	return (c->hello);
}

const char *
chela_client_device_id(const struct chela_client *c)
{
	return (c->identity != NULL ? identity_id(c->identity) : "");
}

const char *
chela_client_device_token(const struct chela_client *c)
{
	return (c->device_token != NULL ? c->device_token : "");
}

const char *
chela_client_peer_fingerprint(const struct chela_client *c)
{
	bool	 is_new;

	return (c->link != NULL ? link_finger(c->link, &is_new) : "");
}

int
chela_client_peer_is_new(const struct chela_client *c)
{
	bool	 is_new = false;

	if (c->link != NULL)
		(void)link_finger(c->link, &is_new);
	return (is_new);
}

const struct chela_client_error *
chela_client_last_error(const struct chela_client *c)
{
	return (&c->error.pub);
}

struct event_base *
chela_client_base(const struct chela_client *c)
{
	return (c->base);
}
