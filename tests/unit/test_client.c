/* SPDX-License-Identifier: MIT */
/* The client library against a peer on the loopback, on one libevent base. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>

#include <chela/client.h>

#include "core/access/device.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/client/url.h"
#include "core/json/json.h"
#include "tests/unit/cu.h"
#include "tests/unit/peer.h"

#define DEADLINE_MS	10000u	/* of a whole test; never waited for */

/* One client, one peer, and what both have seen. */
struct scene {
	struct event_base	*base;
	struct loop		*loop;
	struct peer		*peer;
	struct chela_client	*client;
	struct buf		 trace;		/* states and more, a line each */
	struct json_object	*connect;	/* params of the last one */
	char			 id[32];	/* of the last request */
	unsigned		 n_requests;
	const char		*refuse;	/* answer to connect, or NULL */
	bool			 is_done;
	bool			 frees_itself;
};

static void
note(struct scene *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
note(struct scene *s, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)buf_vprintf(&s->trace, fmt, ap);
	va_end(ap);
	(void)buf_putc(&s->trace, '\n');
}

static bool
saw(const struct scene *s, const char *text)
{
	return (s->trace.len > 0 && memmem(s->trace.data, s->trace.len, text,
	    strlen(text)) != NULL);
}

static bool
on_request(struct peer *p, const char *id, const char *method,
    struct json_object *params, void *arg)
{
	struct scene	*s = arg;

	(void)snprintf(s->id, sizeof s->id, "%s", id);
	s->n_requests++;
	if (strcmp(method, "connect") == 0) {
		json_object_put(s->connect);
		s->connect = json_object_get(params);
		if (s->refuse == NULL)
			return (false);
		peer_send(p, "{\"id\":\"%s\",\"ok\":false,%s}", id, s->refuse);
		peer_send_close(p, 1008, "refused");
		return (true);
	}
	if (strcmp(method, "echo") == 0)
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":%s}", id,
		    json_object_to_json_string(params));
	if (strcmp(method, "refuse") == 0)
		peer_send(p, "{\"id\":\"%s\",\"ok\":false,\"error\":\"no\","
		    "\"meta\":{\"code\":\"FORBIDDEN\",\"details\":{\"a\":1},"
		    "\"retryable\":true,\"retryAfterMs\":7}}", id);
	if (strcmp(method, "agent") == 0) {
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":"
		    "{\"status\":\"accepted\",\"runId\":\"r\"}}", id);
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":"
		    "{\"status\":\"ok\"}}", id);
	}
	if (strcmp(method, "hangup") == 0)
		peer_hang_up(p);
	if (strcmp(method, "gap") == 0) {
		peer_send(p, "{\"event\":\"a\",\"data\":{\"n\":1},"
		    "\"meta\":{\"seq\":5}}");
		peer_send(p, "{\"event\":\"b\",\"meta\":{\"seq\":6,"
		    "\"stateVersion\":{\"presence\":2,\"health\":3}}}");
		peer_send(p, "{\"event\":\"c\",\"meta\":{\"seq\":9}}");
		peer_send(p, "{\"event\":\"d\"}");
		peer_send(p, "{\"id\":\"%s\",\"ok\":true}", id);
	}
	return (true);
}

static void
on_close(struct peer *p, unsigned code, void *arg)
{
	(void)p;
	note(arg, "closed %u", code);
}

static void
on_state(struct chela_client *c, enum chela_client_state state,
    const struct chela_client_error *e, void *arg)
{
	static const char *const names[] = { "idle", "connecting", "ready",
	    "waiting", "ended" };
	struct scene	*s = arg;

	CU_ASSERT((e != NULL) == (state == CHELA_CLIENT_WAITING ||
	    state == CHELA_CLIENT_ENDED));
	note(s, "%s%s%s", names[state], e != NULL ? " " : "",
	    e != NULL ? e->sentence : "");
	if (s->frees_itself && state == CHELA_CLIENT_READY)
		s->client = chela_client_free(c);
}

static void
on_event(struct chela_client *c, const struct chela_client_event *e, void *arg)
{
	(void)c;
	note(arg, "event %s %d%s%s", e->name, (int)e->seq,
	    e->data != NULL ? " data" : "",
	    e->state_version != NULL ? " version" : "");
}

static void
on_gap(struct chela_client *c, int64_t expected, int64_t received, void *arg)
{
	(void)c;
	note(arg, "gap %d %d", (int)expected, (int)received);
}

static void
scene_open(struct scene *s, struct peer_script *script,
    struct chela_client_options *o)
{
	char	 url[64];

	memset(s, 0, sizeof *s);
	s->base = event_base_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->base);
	s->loop = loop_wrap(s->base);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->loop);
	if (script->on_request == NULL)
		script->on_request = on_request;
	script->on_close = on_close;
	script->arg = s;
	s->peer = peer_new(s->loop, script);
	(void)snprintf(url, sizeof url, "ws://localhost:%u/x?y",
	    peer_port(s->peer));
	o->size = sizeof *o;
	if (o->url == NULL)
		o->url = url;
	o->base = s->base;
	o->on_state = on_state;
	o->on_event = on_event;
	o->on_gap = on_gap;
	o->arg = s;
	CU_ASSERT_EQUAL_FATAL(chela_client_new(o, &s->client), 0);
	o->url = NULL;
}

static void
scene_close(struct scene *s)
{
	s->client = chela_client_free(s->client);
	peer_free(s->peer);
	loop_free(s->loop);
	event_base_free(s->base);
	json_object_put(s->connect);
	buf_fini(&s->trace);
}

static int
is_done(void *arg)
{
	return (((struct scene *)arg)->is_done);
}

static int
connected_and_refused_twice(void *arg)
{
	return (((struct scene *)arg)->n_requests >= 2);
}

static const char *
param(const struct scene *s, const char *name)
{
	return (json_object_to_json_string_ext(json_object_object_get(
	    s->connect, name), JSON_C_TO_STRING_PLAIN));
}

static void
handshake_and_call(void)
{
	static const char *const scopes[] = { "read", "write", NULL };
	static const char *const caps[] = { "tool-events", NULL };
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = {
		.token = "secret",
		.instance = "i-1",
		.scopes = scopes,
		.capabilities = caps,
	};
	struct json_object		*params, *result = NULL;
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL(chela_client_call(s.client, "echo", NULL, 0, 0, NULL,
	    NULL, NULL), -ENOTCONN);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_open(s.client), -EALREADY);
	CU_ASSERT_EQUAL(chela_client_get_state(s.client), CHELA_CLIENT_READY);
	CU_ASSERT_PTR_NOT_NULL(chela_client_hello(s.client));
	CU_ASSERT_STRING_EQUAL(param(&s, "minProtocol"), "4");
	CU_ASSERT_STRING_EQUAL(param(&s, "maxProtocol"), "4");
	CU_ASSERT_STRING_EQUAL(param(&s, "credentials"),
	    "{\"token\":\"secret\"}");
	CU_ASSERT_STRING_EQUAL(param(&s, "instance"), "\"i-1\"");
	CU_ASSERT_STRING_EQUAL(param(&s, "mode"), "\"operator\"");
	CU_ASSERT_STRING_EQUAL(param(&s, "scopes"), "[\"read\",\"write\"]");
	CU_ASSERT_STRING_EQUAL(param(&s, "capabilities"),
	    "[\"tool-events\"]");

	params = json_object_new_object();
	json_object_object_add(params, "text",
	    json_object_new_string("\xc3\xa4\"\\\n"));
	CU_ASSERT_EQUAL_FATAL(chela_client_call_wait(s.client, "echo",
	    json_object_get(params), 0, DEADLINE_MS, &result), 0);
	CU_ASSERT(json_object_equal(params, result));
	json_object_put(params);
	json_object_put(result);
	chela_client_close(s.client);
	CU_ASSERT_EQUAL(chela_client_get_state(s.client), CHELA_CLIENT_IDLE);
	CU_ASSERT(saw(&s, "connecting\nready\nidle\n"));
	scene_close(&s);
}

static void
refused_call_tells_why(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	const struct chela_client_error	*e;
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "refuse", NULL, 0, 0,
	    NULL), -EREMOTEIO);
	e = chela_client_last_error(s.client);
	CU_ASSERT_EQUAL(e->status, -EREMOTEIO);
	CU_ASSERT_STRING_EQUAL(e->sentence, "no");
	CU_ASSERT_STRING_EQUAL(e->code, "FORBIDDEN");
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(e->details,
	    JSON_C_TO_STRING_PLAIN), "{\"a\":1}");
	CU_ASSERT(e->is_retryable);
	CU_ASSERT_EQUAL(e->retry_after_ms, 7);
	scene_close(&s);
}

static int
was_refused(void *arg)
{
	struct scene	*s = arg;

	return (chela_client_last_error(s->client)->status == -EREMOTEIO);
}

/* A refused handshake is final unless the gateway says otherwise. */
static void
version_mismatch_ends(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	const struct chela_client_error	*e;
	struct scene			 s;

	scene_open(&s, &script, &o);
	s.refuse = "\"error\":\"protocol mismatch\",\"meta\":{\"code\":"
	    "\"INVALID_REQUEST\",\"details\":{\"code\":\"PROTOCOL_MISMATCH\","
	    "\"expectedProtocol\":5}}";
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    -EREMOTEIO);
	e = chela_client_last_error(s.client);
	CU_ASSERT_STRING_EQUAL(e->sentence, "protocol mismatch");
	CU_ASSERT_EQUAL(chela_client_get_state(s.client), CHELA_CLIENT_ENDED);
	CU_ASSERT_EQUAL(peer_accepted(s.peer), 1);
	CU_ASSERT(saw(&s, "ended protocol mismatch"));
	scene_close(&s);
}

static void
retryable_refusal_comes_back(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = {
		.backoff_min_ms = 1,
		.backoff_max_ms = 2,
	};
	struct scene			 s;

	scene_open(&s, &script, &o);
	s.refuse = "\"error\":\"gateway starting; retry shortly\",\"meta\":"
	    "{\"code\":\"UNAVAILABLE\",\"retryable\":true,\"retryAfterMs\":3}";
	CU_ASSERT_EQUAL(chela_client_open(s.client), 0);
	CU_ASSERT_EQUAL_FATAL(chela_client_run_until(s.client,
	    connected_and_refused_twice, &s, DEADLINE_MS), 0);
	CU_ASSERT(saw(&s, "waiting gateway starting"));
	s.refuse = NULL;
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS), 0);
	scene_close(&s);
}

/* However long the gateway says, the client will try again, in an hour at the latest. */
static void
retry_after_has_a_limit(void)
{
	static const struct {
		const char	*said;
		int64_t		 ms;
	} rows[] = {
		{ "3600000", 3600000 },
		{ "3600001", CHELA_CLIENT_RETRY_MAX_MS },
		{ "9007199254740991", CHELA_CLIENT_RETRY_MAX_MS },
		{ "-9007199254740991", -1 },
	};
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = {
		.backoff_min_ms = 1,
		.backoff_max_ms = 2,
	};
	struct scene			 s;
	char				 refuse[160];
	size_t				 i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		scene_open(&s, &script, &o);
		(void)snprintf(refuse, sizeof refuse, "\"error\":\"later\","
		    "\"meta\":{\"code\":\"UNAVAILABLE\",\"retryable\":true,"
		    "\"retryAfterMs\":%s}", rows[i].said);
		s.refuse = refuse;
		CU_ASSERT_EQUAL(chela_client_open(s.client), 0);
		CU_ASSERT_EQUAL(chela_client_run_until(s.client, was_refused,
		    &s, DEADLINE_MS), 0);
		CU_ASSERT_EQUAL(chela_client_last_error(s.client)->
		    retry_after_ms, rows[i].ms);
		scene_close(&s);
	}
}

static void
note_reply(struct chela_client *c, const struct chela_client_reply *r,
    void *arg)
{
	struct scene	*s = arg;

	(void)c;
	note(s, "reply %d%s", r->status,
	    (r->flags & CHELA_CLIENT_INTERIM) ? " interim" : "");
	s->is_done = !(r->flags & CHELA_CLIENT_INTERIM);
}

static void
call_times_out(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct json_object		*result = NULL;
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "silence", NULL, 0, 1,
	    NULL), -ETIMEDOUT);
	/* The late answer to it is nobody's; the next call works. */
	peer_send(s.peer, "{\"id\":\"%s\",\"ok\":true,\"result\":1}", s.id);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "echo",
	    json_object_new_int(5), 0, 0, &result), 0);
	CU_ASSERT_EQUAL(json_object_get_int(result), 5);
	json_object_put(result);
	scene_close(&s);
}

static void
connect_times_out(void)
{
	struct peer_script		 deaf = { .is_deaf = true };
	struct peer_script		 silent = { .is_silent = true };
	struct peer_script		*scripts[] = { &deaf, &silent };
	struct chela_client_options	 o = {
		.connect_timeout_ms = 20,
		.flags = CHELA_CLIENT_ONCE,
	};
	struct scene			 s;
	unsigned			 i;

	for (i = 0; i < 2; i++) {
		scene_open(&s, scripts[i], &o);
		CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
		    -ETIMEDOUT);
		CU_ASSERT_EQUAL(chela_client_get_state(s.client),
		    CHELA_CLIENT_ENDED);
		scene_close(&s);
	}
}

static void
interim_answer_keeps_the_call_open(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct json_object		*result = NULL;
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call(s.client, "agent", NULL,
	    CHELA_CLIENT_FINAL, 0, note_reply, &s, NULL), 0);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, is_done, &s,
	    DEADLINE_MS), 0);
	CU_ASSERT(saw(&s, "reply 0 interim\nreply 0\n"));
	/* Without the flag the first answer is the answer. */
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "agent", NULL, 0, 0,
	    &result), 0);
	CU_ASSERT_STRING_EQUAL(json_object_get_string(json_object_object_get(
	    result, "status")), "accepted");
	json_object_put(result);
	scene_close(&s);
}

/* AB-122 */
static void
gap_is_reported(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "gap", NULL, 0, 0,
	    NULL), 0);
	CU_ASSERT(saw(&s, "event a 5 data\nevent b 6 version\ngap 7 9\n"
	    "event c 9\nevent d -1\n"));
	scene_close(&s);
}

static void
lost_connection_comes_back(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = {
		.backoff_min_ms = 1,
		.backoff_max_ms = 2,
	};
	struct json_object		*result = NULL;
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "hangup", NULL, 0, 0,
	    NULL), -ECONNRESET);
	CU_ASSERT_PTR_NULL(chela_client_hello(s.client));
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(peer_accepted(s.peer), 2);
	CU_ASSERT(saw(&s, "ready\nwaiting the gateway went away\n"
	    "connecting\nready\n"));
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "echo",
	    json_object_new_int(1), 0, 0, &result), 0);
	json_object_put(result);
	scene_close(&s);
}

static int
is_waiting(void *arg)
{
	return (chela_client_get_state(((struct scene *)arg)->client) ==
	    CHELA_CLIENT_WAITING);
}

static void
close_code_and_reason_are_told(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	peer_send_close(s.peer, 1012, "service restart");
	CU_ASSERT_EQUAL_FATAL(chela_client_run_until(s.client, is_waiting, &s,
	    DEADLINE_MS), 0);
	CU_ASSERT_EQUAL(chela_client_last_error(s.client)->close_code, 1012);
	CU_ASSERT(saw(&s, "service restart"));
	scene_close(&s);
}

static int
has_ponged(void *arg)
{
	return (peer_pongs(((struct scene *)arg)->peer) > 0);
}

static void
ping_is_answered(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	peer_send_frame(s.peer, WS_OP_PING, "x", 1);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, has_ponged, &s,
	    DEADLINE_MS), 0);
	scene_close(&s);
}

/* Two tick intervals without a byte: the gateway is taken for dead. */
static void
silent_gateway_is_left(void)
{
	struct peer_script		 script = {
		.hello = "{\"policy\":{\"tickIntervalMs\":10}}",
	};
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, is_waiting, &s,
	    DEADLINE_MS), 0);
	CU_ASSERT(saw(&s, "waiting nothing was heard"));
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, is_done, &s, 0),
	    -ETIMEDOUT);
	scene_close(&s);
}

static void
refused_upgrade_is_told(void)
{
	struct peer_script		 busy = {
		.http = "HTTP/1.1 503 Service Unavailable\r\n"
		    "Content-Type: text/plain\r\nConnection: close\r\n\r\n"
		    "Too many unauthenticated sockets\n",
	};
	struct peer_script		 web = {
		.http = "HTTP/1.1 200 OK\r\n\r\n<html>",
	};
	struct peer_script		 wrong = {
		.http = "HTTP/1.1 101 Switching Protocols\r\n"
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
		    "\r\n",
	};
	struct peer_script		 other = {
		.http = "220 mail.example ESMTP\r\n\r\n",
	};
	struct chela_client_options	 o = { .flags = CHELA_CLIENT_ONCE };
	struct scene			 s;

	scene_open(&s, &busy, &o);
	CU_ASSERT(chela_client_ready_wait(s.client, DEADLINE_MS) < 0);
	CU_ASSERT(saw(&s, "HTTP 503: Too many unauthenticated sockets)\n"));
	CU_ASSERT_EQUAL(chela_client_last_error(s.client)->http_status, 503);
	CU_ASSERT(chela_client_last_error(s.client)->is_retryable);
	scene_close(&s);

	scene_open(&s, &web, &o);
	CU_ASSERT(chela_client_ready_wait(s.client, DEADLINE_MS) < 0);
	CU_ASSERT(saw(&s, "(HTTP 200)\n"));
	CU_ASSERT(!chela_client_last_error(s.client)->is_retryable);
	scene_close(&s);

	scene_open(&s, &wrong, &o);
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    -EPROTO);
	scene_close(&s);

	scene_open(&s, &other, &o);
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    -EPROTO);
	scene_close(&s);
}

static void
nobody_listens(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .flags = CHELA_CLIENT_ONCE };
	struct scene			 s;

	scene_open(&s, &script, &o);
	s.peer = peer_free(s.peer);
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    -ECONNREFUSED);
	CU_ASSERT(saw(&s, "ended cannot connect to localhost:"));
	scene_close(&s);
}

static void
junk_from_the_gateway_ends_the_connection(void)
{
	static const char *const junk[] = { "{\"event\":\"a\"", "not json",
	    "{\"a\":1,\"a\":2}" };
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;
	unsigned			 i;

	for (i = 0; i < 3; i++) {
		scene_open(&s, &script, &o);
		CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client,
		    DEADLINE_MS), 0);
		peer_send_frame(s.peer, WS_OP_TEXT, junk[i], strlen(junk[i]));
		CU_ASSERT_EQUAL(chela_client_run_until(s.client, is_waiting,
		    &s, DEADLINE_MS), 0);
		scene_close(&s);
	}
	/* A masked frame from a server breaks the protocol. */
	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	peer_send_raw(s.peer, "\x81\x81....", 6);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, is_waiting, &s,
	    DEADLINE_MS), 0);
	scene_close(&s);
}

static void
cancelled_call_is_silent(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;
	uint64_t			 id;

	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call(s.client, "refuse", NULL, 0, 0,
	    note_reply, &s, &id), 0);
	CU_ASSERT_EQUAL(chela_client_cancel(s.client, id), 0);
	CU_ASSERT_EQUAL(chela_client_cancel(s.client, id), -ENOENT);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "gap", NULL, 0, 0,
	    NULL), 0);
	CU_ASSERT(!saw(&s, "reply"));
	/* What is open when the program closes ends as cancelled. */
	CU_ASSERT_EQUAL(chela_client_call(s.client, "silence", NULL, 0,
	    UINT32_MAX, note_reply, &s, NULL), 0);
	chela_client_close(s.client);
	CU_ASSERT(saw(&s, "reply -125\n"));
	scene_close(&s);
}

static void
client_may_be_freed_in_a_callback(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct scene			 s;

	/* While a function of the library waits ... */
	scene_open(&s, &script, &o);
	s.frees_itself = true;
	CU_ASSERT_EQUAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    -ECANCELED);
	CU_ASSERT_PTR_NULL(s.client);
	scene_close(&s);

	/* ... and while the program turns the base. */
	scene_open(&s, &script, &o);
	s.frees_itself = true;
	CU_ASSERT_EQUAL(chela_client_open(s.client), 0);
	while (s.client != NULL)
		(void)event_base_loop(s.base, EVLOOP_ONCE);
	(void)event_base_loop(s.base, EVLOOP_ONCE);
	scene_close(&s);
}

static void
large_messages_pass(void)
{
	struct peer_script		 script = { .http = NULL };
	struct chela_client_options	 o = { .size = 0 };
	struct json_object		*result = NULL;
	struct scene			 s;
	char				*text = malloc(40001);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'x', 40000);
	text[40000] = '\0';
	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(chela_client_call_wait(s.client, "echo",
	    json_object_new_string(text), 0, 0, &result), 0);
	CU_ASSERT_EQUAL(json_object_get_string_len(result), 40000);
	json_object_put(result);
	free(text);
	scene_close(&s);
}

static void
urls(void)
{
	static const struct {
		const char	*url;
		int		 want;
	} t[] = {
		{ "ws://a", 0 }, { "ws://a:1", 0 }, { "WS://a:65535/x?y#z", 0 },
		{ "ws://[::1]:1/", 0 }, { "ws://a?x", 0 },
		{ "wss://a", 0 }, { "", -EINVAL }, { "ws:/a", -EINVAL },
		{ "http://a", -EINVAL }, { "ws://", -EINVAL },
		{ "ws://:1", -EINVAL }, { "ws://a:", -EINVAL },
		{ "ws://a:0", -EINVAL }, { "ws://a:65536", -EINVAL },
		{ "ws://a:1x", -EINVAL }, { "ws://u@a", -EINVAL },
		{ "ws://[::1", -EINVAL }, { "ws://[]:1", -EINVAL },
		{ "ws://[::1]x", -EINVAL }, { "ws://a b", -EINVAL },
		{ "ws://a/\r\nX: y", -EINVAL }, { "ws://a/\xc3\xa4", -EINVAL },
	};
	struct chela_client_options	 o = { .size = sizeof o };
	struct chela_client		*c;
	unsigned			 i;
	int				 r;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		o.url = t[i].url;
		c = NULL;
		r = chela_client_new(&o, &c);
		if (r != t[i].want) {
			(void)printf("%s gives %d\n", t[i].url, r);
			CU_FAIL("wrong verdict");
		}
		CU_ASSERT_EQUAL(c != NULL, r == 0);
		c = chela_client_free(c);
	}
	o.url = "ws://a";
	o.mode = "other";
	CU_ASSERT_EQUAL(chela_client_new(&o, &c), -EINVAL);
	o.mode = NULL;
	/* A pin that nothing would check, and one that is none. */
	o.tls_fingerprint = "sha256:000102030405060708090a0b0c0d0e0f"
	    "101112131415161718191a1b1c1d1e1f";
	CU_ASSERT_EQUAL(chela_client_new(&o, &c), -EINVAL);
	o.url = "wss://a";
	CU_ASSERT_EQUAL_FATAL(chela_client_new(&o, &c), 0);
	c = chela_client_free(c);
	o.tls_fingerprint = "sha256:0001";
	CU_ASSERT_EQUAL(chela_client_new(&o, &c), -EINVAL);
}

/* A credential is not shown to everybody on the way. */
static void
plain_goes_nearby_only(void)
{
	static const struct {
		const char	*url;
		bool		 is_guarded;
	} t[] = {
		{ "ws://localhost", true }, { "ws://LOCALHOST:1", true },
		{ "ws://127.9.9.9", true }, { "ws://[::1]", true },
		{ "ws://10.1.2.3", true }, { "ws://172.16.0.1", true },
		{ "ws://192.168.1.1", true }, { "ws://169.254.1.1", true },
		{ "ws://100.64.0.1", true }, { "ws://[fd00::1]", true },
		{ "ws://[fe80::1]", true }, { "ws://[::ffff:10.0.0.1]", true },
		{ "ws://box.local", true }, { "ws://a.b.ts.net", true },
		{ "wss://example.org", true }, { "wss://8.8.8.8", true },
		{ "ws://example.org", false }, { "ws://8.8.8.8", false },
		{ "ws://172.32.0.1", false }, { "ws://100.128.0.1", false },
		{ "ws://[2001:db8::1]", false }, { "ws://local", false },
		{ "ws://[::ffff:8.8.8.8]", false }, { "ws://.local", false },
		{ "ws://ts.net", false }, { "ws://x.ts.net.evil.org", false },
		{ "ws://127.0.0.1.evil.org", false }, { "ws://10.1", false },
		{ "ws://localhost.evil.org", false },
	};
	struct chela_client_options	 o = { .size = sizeof o,
		.url = "ws://example.org", .token = "secret" };
	const struct chela_client_error	*e;
	struct chela_client		*c = NULL;
	struct url			 u;
	size_t				 i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		CU_ASSERT_EQUAL_FATAL(url_parse(t[i].url, &u), 0);
		if (url_is_guarded(&u) != t[i].is_guarded) {
			(void)printf("%s\n", t[i].url);
			CU_FAIL("wrong verdict");
		}
		url_fini(&u);
	}
	CU_ASSERT_EQUAL_FATAL(chela_client_new(&o, &c), 0);
	CU_ASSERT_NOT_EQUAL(chela_client_ready_wait(c, DEADLINE_MS), 0);
	CU_ASSERT_EQUAL(chela_client_get_state(c), CHELA_CLIENT_ENDED);
	e = chela_client_last_error(c);
	CU_ASSERT_EQUAL(e->status, -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e->sentence, "use wss://"));
	c = chela_client_free(c);
}

/* What the gateway's own check says of the proof in the last connect. */
static enum device_verdict
verdict(const struct scene *s, const char *token)
{
	struct json_object	*d = json_object_object_get(s->connect,
				    "device");
	struct device_proof	 proof = {
		.id = json_get_str(d, "id"),
		.public_key = json_get_str(d, "publicKey"),
		.signature = json_get_str(d, "signature"),
		.nonce = json_get_str(d, "nonce"),
		.signed_at = json_get_int(d, "signedAt", -1),
		.client_id = "chela",
		.client_mode = "node",
		.role = "node",
		.scopes = "a,b",
		.token = token,
		.platform = json_get_str(s->connect, "platform"),
		.device_family = "Linux",
	};
	unsigned char		 key[DEVICE_KEY_LEN];

	/* By the gateway's clock, which is not this machine's (AB-118). */
	return (device_check(&proof, "n", strtoull(PEER_CLOCK, NULL, 10),
	    key));
}

static int
connected_with_the_token(void *arg)
{
	struct scene	*s = arg;

	return (s->n_requests >= 4 &&
	    chela_client_get_state(s->client) == CHELA_CLIENT_READY);
}

static int
refused_once(void *arg)
{
	struct scene	*s = arg;

	if (s->n_requests < 3)
		return (0);
	s->refuse = NULL;
	return (1);
}

static void
device_is_proven_and_its_token_used(void)
{
	static const char *const	 commands[] = { "x.y", NULL };
	static const char *const	 scopes[] = { "a", "b", NULL };
	char				 dir[] = "/tmp/chela-test-XXXXXX";
	char				 path[64], id[65];
	struct peer_script		 script = {
		.hello = "{\"protocol\":4,\"auth\":{\"deviceToken\":\"dt\"}}",
	};
	struct chela_client_options	 o = {
		.token = "secret",
		.mode = "node",
		.scopes = scopes,
		.commands = commands,
		.device_family = "Linux",
		.path_env = "/bin",
		.backoff_min_ms = 10,
		.identity_dir = dir,
	};
	struct chela_client		*c = NULL;
	struct scene			 s;
	struct stat			 st;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	(void)snprintf(path, sizeof path, "%s/identity.pem", dir);
	scene_open(&s, &script, &o);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_EQUAL(verdict(&s, "secret"), DEVICE_OK);
	CU_ASSERT_EQUAL(verdict(&s, "other"), DEVICE_SIGNATURE);
	CU_ASSERT_STRING_EQUAL(param(&s, "commands"), "[\"x.y\"]");
	CU_ASSERT_STRING_EQUAL(param(&s, "pathEnv"), "\"\\/bin\"");
	CU_ASSERT_STRING_EQUAL(param(&s, "credentials"),
	    "{\"token\":\"secret\"}");
	(void)snprintf(id, sizeof id, "%s", chela_client_device_id(s.client));
	CU_ASSERT_EQUAL(strlen(id), 64);
	CU_ASSERT_STRING_EQUAL(chela_client_device_token(s.client), "dt");

	/* The next time its own token is enough. */
	chela_client_close(s.client);
	CU_ASSERT_EQUAL_FATAL(chela_client_ready_wait(s.client, DEADLINE_MS),
	    0);
	CU_ASSERT_STRING_EQUAL(param(&s, "credentials"),
	    "{\"deviceToken\":\"dt\"}");
	CU_ASSERT_EQUAL(verdict(&s, "dt"), DEVICE_OK);

	/* It was taken away: what the program gave is tried once more. */
	chela_client_close(s.client);
	s.refuse = "\"error\":\"no\",\"meta\":{\"code\":\"INVALID_REQUEST\","
	    "\"details\":{\"code\":\"AUTH_DEVICE_TOKEN_MISMATCH\"}}";
	CU_ASSERT_EQUAL(chela_client_open(s.client), 0);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client, refused_once, &s,
	    DEADLINE_MS), 0);
	CU_ASSERT_EQUAL(chela_client_run_until(s.client,
	    connected_with_the_token, &s, DEADLINE_MS), 0);
	CU_ASSERT_STRING_EQUAL(param(&s, "credentials"),
	    "{\"token\":\"secret\"}");
	scene_close(&s);

	/* The same key is the same device; one that others read is none. */
	o = (struct chela_client_options){ .size = sizeof o,
	    .url = "ws://localhost:1", .identity_dir = dir };
	CU_ASSERT_EQUAL_FATAL(chela_client_new(&o, &c), 0);
	CU_ASSERT_STRING_EQUAL(chela_client_device_id(c), id);
	c = chela_client_free(c);
	CU_ASSERT_EQUAL(chmod(path, 0644), 0);
	CU_ASSERT_EQUAL(chela_client_new(&o, &c), -EPERM);
	CU_ASSERT_EQUAL(chmod(path, 0600), 0);
	CU_ASSERT_EQUAL(truncate(path, 40), 0);
	CU_ASSERT_EQUAL(chela_client_new(&o, &c), -EBADMSG);
	(void)unlink(path);
	(void)rmdir(dir);
}

static const struct cu_case cases[] = {
	CU_CASE(handshake_and_call),
	CU_CASE(refused_call_tells_why),
	CU_CASE(version_mismatch_ends),
	CU_CASE(retryable_refusal_comes_back),
	CU_CASE(retry_after_has_a_limit),
	CU_CASE(call_times_out),
	CU_CASE(connect_times_out),
	CU_CASE(interim_answer_keeps_the_call_open),
	CU_CASE(gap_is_reported),
	CU_CASE(lost_connection_comes_back),
	CU_CASE(close_code_and_reason_are_told),
	CU_CASE(ping_is_answered),
	CU_CASE(silent_gateway_is_left),
	CU_CASE(refused_upgrade_is_told),
	CU_CASE(nobody_listens),
	CU_CASE(junk_from_the_gateway_ends_the_connection),
	CU_CASE(cancelled_call_is_silent),
	CU_CASE(client_may_be_freed_in_a_callback),
	CU_CASE(large_messages_pass),
	CU_CASE(urls),
	CU_CASE(plain_goes_nearby_only),
	CU_CASE(device_is_proven_and_its_token_used),
	CU_END
};

CU_MAIN("client", cases)
