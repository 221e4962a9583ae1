/* SPDX-License-Identifier: MIT */
/* Plugin hooks: requests through the routes of the fake host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin/hooks_rig.h"
#include "tests/unit/cu.h"

/* AB-077: what is wrong is refused before the body is read, in this order. */
static void
checks_come_before_the_body(void)
{
	static const char *const wrong[] = { "", "Bearer ", "Bearer wrong",
		"hook-secret", "Bearer hook-secre", "Bearer hook-secret1",
		"Bearer  \t ", "Basic aG9vay1zZWNyZXQ=" };
	struct ask		 rq;
	size_t			 i;

	begin(CONF(""));
	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		rq = request("/hooks/wake", "{}");
		rq.is_slow = true;
		rq.headers[0][1] = wrong[i];
		go(&rq);
		CU_ASSERT(!rq.h->is_trusted);
		expect(&rq, 401, "Unauthorized");
	}
	/* A token in the query, also with a good one in the header. */
	rq = request("/hooks/wake", "{}");
	rq.is_slow = true;
	rq.query = "a=1&token=hook-secret";
	rq.method = "GET";
	go(&rq);
	CU_ASSERT(status_of(&rq) == 400);
	CU_ASSERT(strstr(text_of(&rq), "hook-secret") == NULL);
	done(&rq);
	rq = request("/hooks/wake", "{}");
	rq.is_slow = true;
	rq.query = "x=%z";
	go(&rq);
	expect(&rq, 400, "Bad Request");
	rq = request("/hooks/wake", "{}");
	rq.is_slow = true;
	rq.method = "GET";
	rq.headers[0][1] = "Bearer wrong";
	go(&rq);
	CU_ASSERT_STRING_EQUAL(fake_http_header(rq.h, "Allow"), "POST");
	expect(&rq, 405, "Method Not Allowed");
	rq = request("/hooks", "{}");
	rq.is_slow = true;
	go(&rq);
	CU_ASSERT(rq.h->is_trusted);
	expect(&rq, 404, "Not Found");
	post("/hooks/none", "{}", 404, "Not Found");
	/* The other header. */
	rq = request("/hooks/wake", "{}");
	rq.headers[0][0] = "x-openclaw-token";
	rq.headers[0][1] = " hook-secret ";
	go(&rq);
	expect(&rq, 400, ERROR("text required"));
	end();
}

/* AB-077: 20 failures, also from loopback; a good token is never locked out. */
static void
failures_are_limited(void)
{
	struct ask		 rq;
	unsigned		 i;

	begin(CONF(""));
	for (i = 0; i < 21; i++) {
		rq = request("/hooks/wake", "{}");
		rq.headers[0][1] = "Bearer wrong";
		go(&rq);
		CU_ASSERT_EQUAL(status_of(&rq), i < 20 ? 401 : 429);
		CU_ASSERT_STRING_EQUAL(fake_http_header(rq.h, "Retry-After"),
		    i < 20 ? "" : "60");
		done(&rq);
	}
	/* One network of IPv6 is one client, another one is not. */
	for (i = 0; i < 21; i++) {
		char	 remote[64];

		(void)snprintf(remote, sizeof remote, "2001:db8:1:2::%x", i);
		rq = request("/hooks/wake", "{}");
		rq.headers[0][1] = "Bearer wrong";
		rq.remote = remote;
		go(&rq);
		CU_ASSERT_EQUAL(status_of(&rq), i < 20 ? 401 : 429);
		done(&rq);
	}
	rq = request("/hooks/wake", "{}");
	rq.headers[0][1] = "Bearer wrong";
	rq.remote = "2001:db8:1:3::1";
	go(&rq);
	expect(&rq, 401, "Unauthorized");
	post("/hooks/wake", "{}", 400, ERROR("text required"));
	rq = request("/hooks/wake", "{}");
	rq.headers[0][1] = "Bearer wrong";
	go(&rq);
	expect(&rq, 401, "Unauthorized");
	/* The time of a lockout ends. */
	fake_advance(f, 61000000);
	rq = request("/hooks/wake", "{}");
	rq.headers[0][1] = "Bearer wrong";
	rq.remote = "2001:db8:1:2::1";
	go(&rq);
	expect(&rq, 401, "Unauthorized");
	end();
}

/* AB-077: without a secret there is no route, and the log says so. */
static void
no_secret_no_route(void)
{
	begin("{\"hooks\":{\"enabled\":true,\"token\":\" \\t \"}}");
	CU_ASSERT(!is_served("/hooks/wake"));
	CU_ASSERT(strstr(fake_log_text(f), "hooks.token is blank") != NULL);
	end();
	begin("{\"hooks\":{\"enabled\":true}}");
	CU_ASSERT(!is_served("/hooks/wake"));
	CU_ASSERT(strstr(fake_log_text(f),
	    "hooks.enabled requires hooks.token") != NULL);
	/* Corrected without a restart, and taken back. */
	CU_ASSERT_EQUAL(fake_conf(f, CONF("")), 0);
	CU_ASSERT(is_served("/hooks/wake"));
	CU_ASSERT(fake_conf(f, "{\"hooks\":{\"enabled\":true}}") < 0);
	CU_ASSERT(is_served("/hooks/wake"));
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"path\":\"in/\"")), 0);
	CU_ASSERT(is_served("/in/wake") && !is_served("/hooks/wake"));
	CU_ASSERT_EQUAL(fake_conf(f, "{\"hooks\":{\"token\":\"x\"}}"), 0);
	CU_ASSERT(!is_served("/hooks/wake"));
	end();
	begin("{\"hooks\":{\"enabled\":true,\"token\":\"gateway-secret\"}}");
	CU_ASSERT(strstr(fake_log_text(f), "the gateway's own secret") != NULL);
	end();
	/* A reference that gets its value later. */
	(void)unsetenv("CHELA_TEST_HOOK");
	begin("{\"hooks\":{\"enabled\":true,\"token\":{\"source\":\"env\","
	    "\"id\":\"CHELA_TEST_HOOK\"}}}");
	post("/hooks/wake", "{}", 404, "Not Found");
	(void)setenv("CHELA_TEST_HOOK", "hook-secret", 1);
	post("/hooks/wake", "{}", 400, ERROR("text required"));
	end();
}

static void
configurations_are_checked(void)
{
	static const char *const bad[] = {
		CONF(",\"path\":\"/\""),
		CONF(",\"defaultSessionKey\":\"x\","
		    "\"allowedSessionKeyPrefixes\":[\"hook:\"]"),
		CONF(",\"allowedSessionKeyPrefixes\":[\"other:\"]"),
		CONF(",\"mappings\":[{\"sessionKey\":\"hook:{{id}}\"}]"),
		CONF(",\"mappings\":[{\"forEach\":\"a.b\"}]"),
		CONF(",\"mappings\":[{\"sessionMode\":\"persistent\"}]"),
	};
	size_t	 i;

	begin(CONF(""));
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(fake_conf(f, bad[i]) < 0);
	/* A mapping that is never reached is no reason. */
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"mappings\":[{"
	    "\"messageTemplate\":\"x\"},{\"match\":{\"path\":\"a\"},"
	    "\"sessionKey\":\"hook:{{id}}\"}]")), 0);
	end();
}

/* AB-077: too much, and too slow. */
static void
bodies_are_bounded(void)
{
	struct ask	 rq;
	char		*big = malloc(262145);

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, ' ', 262145);
	begin(CONF(""));
	rq = request("/hooks/wake", big);
	rq.body_len = 262145;
	go(&rq);
	CU_ASSERT(rq.h->is_by_core);
	rq.body = "262145 bytes";
	expect(&rq, 413, ERROR("payload too large"));
	rq = request("/hooks/wake", big);
	rq.body_len = 262144;
	go(&rq);
	rq.body = "262144 bytes";
	expect(&rq, 400, ERROR("text required"));
	rq = request("/hooks/wake", "{}");
	rq.is_slow = true;
	go(&rq);
	CU_ASSERT_EQUAL(status_of(&rq), 0);
	fake_http_fail(rq.h, 408);
	expect(&rq, 408, ERROR("request body timeout"));
	/* Few bytes that would become much memory. */
	memset(big, ',', 40000);
	big[0] = '[';
	rq = request("/hooks/wake", big);
	rq.body_len = 40000;
	go(&rq);
	rq.body = "40000 values";
	expect(&rq, 400, ERROR("the JSON has too many values"));
	memset(big, ' ', 262145);
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"maxBodyBytes\":2048")), 0);
	rq = request("/hooks/wake", big);
	rq.body_len = 2049;
	go(&rq);
	CU_ASSERT_EQUAL(status_of(&rq), 413);
	done(&rq);
	free(big);
	end();
}

static void
bodies_are_checked(void)
{
	struct ask		 rq;
	char			 deep[201];

	begin(CONF(""));
	rq = request("/hooks/wake", "{\"text\":");
	go(&rq);
	CU_ASSERT(status_of(&rq) == 400 && strncmp(text_of(&rq),
	    "{\"ok\":false,\"error\":\"", 21) == 0);
	CU_ASSERT_STRING_EQUAL(rq.h->type, "application/json; charset=utf-8");
	done(&rq);
	rq = request("/hooks/wake", "{\"text\":\"a\"} x");
	go(&rq);
	CU_ASSERT_EQUAL(status_of(&rq), 400);
	done(&rq);
	rq = request("/hooks/wake", "{\"text\":\"\xff\"}");
	go(&rq);
	CU_ASSERT_EQUAL(status_of(&rq), 400);
	done(&rq);
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	post("/hooks/wake", deep, 400, ERROR("the JSON is nested too deeply"));
	post("/hooks/wake", "{\"text\":\"a\\u0000b\"}", 400,
	    ERROR("NUL characters are not allowed"));
	post("/hooks/wake", "", 400, ERROR("text required"));
	post("/hooks/wake", "[1]", 400, ERROR("text required"));
	post("/hooks/wake", " 12 ", 400, ERROR("text required"));
	post("/hooks/wake", "{\"text\":\"  \"}", 400, ERROR("text required"));
	post("/hooks/agent", "{}", 400, ERROR("message required"));
	post("/hooks/agent", "{\"message\":\"m\",\"waitForCompletion\":1}",
	    400, ERROR("waitForCompletion must be boolean"));
	post("/hooks/agent", "{\"message\":\"m\",\"agentId\":7}", 400,
	    ERROR("agentId must be a non-empty string"));
	post("/hooks/agent", "{\"message\":\"m\",\"agentId\":\"zz\"}", 400,
	    ERROR("unknown agentId \\\"zz\\\""));
	post("/hooks/agent", "{\"message\":\"m\",\"sessionMode\":\"x\"}", 400,
	    ERROR("sessionMode must be isolated or persistent"));
	post("/hooks/agent", "{\"message\":\"m\",\"model\":\" \"}", 400,
	    ERROR("model required"));
	post("/hooks/agent", "{\"message\":\"m\",\"channel\":\"nope\"}", 400,
	    ERROR("channel must be last|line"));
	post("/hooks/agent", "{\"message\":\"m\",\"channel\":\"line\"}", 400,
	    ERROR("channel and to must be set together for hook delivery"));
	post("/hooks/agent", "{\"message\":\"m\",\"to\":\"+1\"}", 400,
	    ERROR("channel and to must be set together for hook delivery"));
	post("/hooks/agent", "{\"message\":\"m\",\"channel\":\"line\","
	    "\"to\":\"+1\",\"accountId\":\"a9\"}", 400,
	    ERROR("Channel line did not resolve an account."));
	CU_ASSERT_EQUAL(runs.n, 0);
	end();
}

static void
wakes_are_left(void)
{
	begin(CONF(",\"allowRequestSessionKey\":true"));
	post("/hooks/wake", "{\"text\":\" hello \",\"mode\":"
	    "\"next-heartbeat\"}", 200, "{\"ok\":true,\"mode\":"
	    "\"next-heartbeat\",\"eventOutcome\":\"queued\"}");
	CU_ASSERT_STRING_EQUAL(left.text, "hello");
	CU_ASSERT_STRING_EQUAL(left.key, "agent:main:main");
	CU_ASSERT_STRING_EQUAL(left.turn, "");
	post("/hooks/wake", "{\"text\":\"hello\"}", 200, "{\"ok\":true,"
	    "\"mode\":\"now\",\"eventOutcome\":\"coalesced\"}");
	CU_ASSERT_STRING_EQUAL(left.turn, "agent:main:main");
	post("/hooks/wake", "{\"text\":\"t\",\"agentId\":\"ops\","
	    "\"sessionKey\":\"agent:main:x\"}", 200, "{\"ok\":true,"
	    "\"mode\":\"now\",\"eventOutcome\":\"queued\"}");
	/* A key names no other agent than the one that was chosen. */
	CU_ASSERT_STRING_EQUAL(left.key, "agent:ops:x");
	post("/hooks/wake", "{\"text\":\"t\",\"sessionKey\":\"x\",\"mode\":"
	    "\"next-heartbeat\"}", 400, ERROR("sessionKey requires mode=now"));
	post("/hooks/wake", "{\"text\":\"t\",\"sessionKey\":\" \"}", 400,
	    ERROR("sessionKey must be a non-empty string"));
	end();
}

/* AB-078: routing is refused unless it is allowed and begins as it has to. */
static void
routing_is_the_operators(void)
{
	begin(CONF(",\"allowedAgentIds\":[\"ops\"]"));
	post("/hooks/agent", "{\"message\":\"m\"}", 400,
	    ERROR("agentId is not allowed by hooks.allowedAgentIds"));
	post("/hooks/agent", "{\"message\":\"m\",\"agentId\":\"ops\","
	    "\"sessionKey\":\"hook:x\"}", 400, ERROR("sessionKey is disabled "
	    "for externally supplied hook payload values; set "
	    "hooks.allowRequestSessionKey=true to enable"));
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"allowedAgentIds\":[]")), 0);
	post("/hooks/wake", "{\"text\":\"t\",\"agentId\":\"ops\"}", 400,
	    ERROR("agentId is not allowed by hooks.allowedAgentIds"));
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"allowedAgentIds\":[\"*\"],"
	    "\"allowRequestSessionKey\":true,\"allowedSessionKeyPrefixes\":"
	    "[\"HOOK:\"]")), 0);
	post("/hooks/agent", "{\"message\":\"m\",\"sessionKey\":\"main\"}",
	    400, ERROR("sessionKey must start with one of: hook:"));
	post("/hooks/agent", "{\"message\":\"m\",\"sessionKey\":"
	    "\"agent:ops:hook:x\"}", 400,
	    ERROR("sessionKey must start with one of: hook:"));
	post("/hooks/agent", "{\"message\":\"m\",\"sessionMode\":"
	    "\"persistent\"}", 400, ERROR(
	    "sessionKey is required when sessionMode is persistent"));
	/* It fits as it is asked for, but not for the agent that is meant. */
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"allowRequestSessionKey\":true,"
	    "\"defaultSessionKey\":\"agent:ops:x\","
	    "\"allowedSessionKeyPrefixes\":[\"agent:ops:\"]")), 0);
	post("/hooks/agent", "{\"message\":\"m\",\"sessionKey\":"
	    "\"agent:ops:y\"}", 400,
	    ERROR("sessionKey must start with one of: agent:ops:"));
	CU_ASSERT_EQUAL(runs.n, 0);
	CU_ASSERT_EQUAL(left.n, 0);
	end();
}

/* The run id of an answer, lent until the next call. */
static const char *
run_id(const char *text)
{
	static char		 id[64];
	struct json_object	*o = json_tokener_parse(text);

	keep(id, sizeof id, fake_str(o, "runId"));
	json_object_put(o);
	return (id);
}

static void
runs_begin_and_end(void)
{
	struct ask		 rq, waits;

	begin(CONF(""));
	rq = request("/hooks/agent", "{\"message\":\"do it\",\"name\":"
	    "\"CI\",\"model\":\"p/m\",\"timeoutSeconds\":30.9,"
	    "\"channel\":\"LINE\",\"to\":\"+1\",\"accountId\":\"a1\"}");
	go(&rq);
	/* It is answered when the run has begun, not before. */
	CU_ASSERT(runs.n == 1 && status_of(&rq) == 0);
	CU_ASSERT(strncmp(runs.key[0], "agent:main:hook:", 16) == 0);
	CU_ASSERT(strstr(runs.message, "EXTERNAL_UNTRUSTED_CONTENT") != NULL);
	CU_ASSERT(strstr(runs.message, "Task: CI\n---\ndo it\n") != NULL);
	CU_ASSERT_STRING_EQUAL(runs.channel, "line");
	CU_ASSERT_STRING_EQUAL(runs.to, "+1");
	CU_ASSERT_STRING_EQUAL(runs.account, "a1");
	CU_ASSERT_STRING_EQUAL(runs.model, "p/m");
	CU_ASSERT_EQUAL(runs.timeout_us, 30000000);
	CU_ASSERT((runs.flags & CHELA_AGENT_DELIVER) != 0);
	run_tell(0, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&rq), 200);
	CU_ASSERT_STRING_EQUAL(run_id(text_of(&rq)), runs.id[0]);
	done(&rq);
	run_tell(0, CHELA_AGENT_FINAL, "done", "sent");
	CU_ASSERT_EQUAL(left.n, 0);

	/* Nowhere to deliver to: a line for the main session. */
	waits = request("/hooks/agent", "{\"message\":\"m\","
	    "\"waitForCompletion\":true}");
	go(&waits);
	CU_ASSERT((runs.flags & CHELA_AGENT_DELIVER) == 0);
	run_tell(1, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&waits), 0);
	run_tell(1, CHELA_AGENT_FINAL, "the text", NULL);
	CU_ASSERT_EQUAL(status_of(&waits), 200);
	CU_ASSERT(strstr(text_of(&waits), "\"completion\":{\"status\":\"ok\","
	    "\"replyDisposition\":\"visible\"}}") != NULL);
	CU_ASSERT(strstr(text_of(&waits), "the text") == NULL);
	done(&waits);
	CU_ASSERT_STRING_EQUAL(left.text, "Hook Hook: the text");
	CU_ASSERT_STRING_EQUAL(left.key, "agent:main:main");
	CU_ASSERT_STRING_EQUAL(left.turn, "agent:main:main");

	/* A client that leaves: its run goes on and is forgotten well. */
	rq = request("/hooks/agent", "{\"message\":\"m\",\"deliver\":false}");
	go(&rq);
	fake_http_leave(rq.h);
	done(&rq);
	run_tell(2, CHELA_AGENT_STARTED, NULL, NULL);
	run_tell(2, CHELA_AGENT_ERROR, NULL, NULL);
	CU_ASSERT_STRING_EQUAL(left.text, "Hook Hook (error): it broke");
	end();
}

static void
runs_that_do_not_begin(void)
{
	struct ask		 rq, other;

	begin(CONF(""));
	runs.r = -EINVAL;
	rq = request("/hooks/agent",
	    "{\"message\":\"m\",\"idempotencyKey\":\"k\"}");
	go(&rq);
	CU_ASSERT_EQUAL(status_of(&rq), 502);
	CU_ASSERT(strlen(run_id(text_of(&rq))) == 36);
	done(&rq);
	/* What never began may be tried again with the same key. */
	runs.r = 0;
	rq = request("/hooks/agent",
	    "{\"message\":\"m\",\"idempotencyKey\":\"k\"}");
	go(&rq);
	CU_ASSERT_EQUAL(runs.n, 1);
	run_tell(0, CHELA_AGENT_ERROR, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&rq), 502);
	done(&rq);
	/* Fifteen seconds, then it is given up. */
	rq = request("/hooks/agent", "{\"message\":\"m\"}");
	go(&rq);
	fake_advance(f, 14900000);
	CU_ASSERT_EQUAL(status_of(&rq), 0);
	fake_advance(f, 200000);
	CU_ASSERT_EQUAL(status_of(&rq), 503);
	CU_ASSERT_STRING_EQUAL(runs.aborted, runs.id[1]);
	done(&rq);
	/* The session is somebody else's: it begins when that ends. */
	runs.others = 1;
	rq = request("/hooks/agent", "{\"message\":\"m\"}");
	go(&rq);
	CU_ASSERT_EQUAL(runs.n, 2);
	runs.others = 0;
	run_tell(0, CHELA_AGENT_FINAL, "", NULL);
	CU_ASSERT_EQUAL(runs.n, 3);
	/* Another hook in the same session: one after the other. */
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"defaultSessionKey\":"
	    "\"hook:one\"")), 0);
	run_tell(2, CHELA_AGENT_STARTED, NULL, NULL);
	done(&rq);
	rq = request("/hooks/agent", "{\"message\":\"1\"}");
	go(&rq);
	other = request("/hooks/agent", "{\"message\":\"2\"}");
	go(&other);
	CU_ASSERT_EQUAL(runs.n, 4);
	run_tell(3, CHELA_AGENT_STARTED, NULL, NULL);
	run_tell(3, CHELA_AGENT_FINAL, "x", NULL);
	CU_ASSERT_EQUAL(runs.n, 5);
	CU_ASSERT_STRING_EQUAL(runs.key[4], "agent:main:hook:one");
	run_tell(4, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&other), 200);
	done(&rq);
	done(&other);
	end();
}

/* Who has the token cannot make it hold more than this. */
static void
what_waits_is_bounded(void)
{
	struct ask	 rq, open[256];
	unsigned	 i;

	begin(CONF(""));
	runs.others = 1;
	for (i = 0; i < 512; i++) {
		rq = request("/hooks/agent", "{\"message\":\"m\"}");
		go(&rq);
		CU_ASSERT_EQUAL(status_of(&rq), 0);
		fake_http_leave(rq.h);
		done(&rq);
	}
	post("/hooks/agent", "{\"message\":\"m\"}", 503,
	    ERROR("too many hook runs are under way"));
	post("/hooks/wake", "{\"text\":\"m\"}", 200, "{\"ok\":true,"
	    "\"mode\":\"now\",\"eventOutcome\":\"queued\"}");
	fake_advance(f, 16000000);
	for (i = 0; i < 256; i++) {
		open[i] = request("/hooks/agent", "{\"message\":\"m\"}");
		go(&open[i]);
		CU_ASSERT_EQUAL(status_of(&open[i]), 0);
	}
	rq = request("/hooks/agent", "{\"message\":\"m\"}");
	rq.is_slow = true;
	go(&rq);
	expect(&rq, 503, "Service Unavailable");
	fake_advance(f, 16000000);
	for (i = 0; i < 256; i++) {
		CU_ASSERT_EQUAL(status_of(&open[i]), 503);
		done(&open[i]);
	}
	CU_ASSERT_EQUAL(runs.n, 0);
	end();
}

/* AB-077: every text of a run counts, and is forgotten when the run ends. */
static void
texts_are_bounded(void)
{
	static const char	 head[] = "{\"message\":\"m\",\"model\":\"";
	static char	 body[250000];
	struct ask	 rq;
	unsigned	 i, k, status;

	begin(CONF(""));
	runs.others = 1;
	memset(body, 'x', sizeof body);
	(void)memcpy(body, head, sizeof head - 1);
	(void)memcpy(body + sizeof body - 3, "\"}", 3);
	for (k = 0; k < 2; k++) {
		status = 0;
		for (i = 0; i < 300 && status == 0; i++) {
			rq = request("/hooks/agent", body);
			go(&rq);
			status = status_of(&rq);
			fake_http_leave(rq.h);
			done(&rq);
		}
		CU_ASSERT_EQUAL(status, 503);
		CU_ASSERT(i > 260);
		fake_advance(f, 16000000);
	}
	end();
}

/* The run id that a request gets; its run begins at once. */
static const char *
replay(const char *body, const char *header, const char *path)
{
	struct ask	 rq = request(path, body);
	unsigned		 n = runs.n;
	static char		 id[64];

	if (header != NULL) {
		rq.headers[1][0] = "idempotency-key";
		rq.headers[1][1] = header;
	}
	go(&rq);
	if (runs.n > n)
		run_tell(n, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&rq), 200);
	keep(id, sizeof id, text_of(&rq) != NULL ? run_id(text_of(&rq)) : "");
	done(&rq);
	return (id);
}

/* AB-078: a replay is known by what it says, not by how that is written. */
static void
replays_are_known(void)
{
	char	 first[64], long_key[300];

	begin(CONF(",\"mappings\":[{\"match\":{\"path\":\"m\"},"
	    "\"messageTemplate\":\"{{t}}\"}]"));
	keep(first, sizeof first, replay("{\"message\":\"a/b \xc3\xa9\","
	    "\"idempotencyKey\":\"k\",\"name\":\"n\"}", NULL,
	    "/hooks/agent"));
	CU_ASSERT_STRING_EQUAL(first, replay("{ \"name\" : \"\\u006e\",\n"
	    "\"idempotencyKey\":\"\\u006b\", \"message\":"
	    "\"a\\/\\u0062 \\u00e9\"}", NULL, "/hooks/agent"));
	CU_ASSERT_STRING_EQUAL(first, replay("{\"message\":\" a/b \xc3\xa9 \","
	    "\"name\":\"n\",\"x\":[1]}", " k ", "/hooks/agent"));
	CU_ASSERT_EQUAL(runs.n, 1);
	/* Another message, key or path is another request. */
	CU_ASSERT(strcmp(first, replay("{\"message\":\"a/c\",\"name\":\"n\"}",
	    "k", "/hooks/agent")) != 0);
	CU_ASSERT(strcmp(first, replay("{\"message\":\"a/b \xc3\xa9\","
	    "\"name\":\"n\"}", "k2", "/hooks/agent")) != 0);
	CU_ASSERT(strcmp(first, replay("{\"t\":\"a/b \xc3\xa9\"}", "k",
	    "/hooks/m")) != 0);
	CU_ASSERT_EQUAL(runs.n, 4);
	/* Blank and too long keys are none. */
	memset(long_key, 'k', 257);
	long_key[257] = '\0';
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	(void)replay("{\"message\":\"z\"}", "  ", "/hooks/agent");
	CU_ASSERT_EQUAL(runs.n, 7);
	long_key[256] = '\0';
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	CU_ASSERT_EQUAL(runs.n, 8);
	/* While it runs, and five minutes from its end on. */
	fake_advance(f, 600000000);
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	CU_ASSERT_EQUAL(runs.n, 8);
	run_tell(7, CHELA_AGENT_FINAL, "x", NULL);
	fake_advance(f, 299000000);
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	CU_ASSERT_EQUAL(runs.n, 8);
	fake_advance(f, 2000000);
	(void)replay("{\"message\":\"z\"}", long_key, "/hooks/agent");
	CU_ASSERT_EQUAL(runs.n, 9);
	end();
}

static void
mappings_are_applied(void)
{
	struct ask		 rq;

	begin(CONF(",\"allowedSessionKeyPrefixes\":[\"hook:\"],"
	    "\"mappings\":[{\"match\":{\"path\":\"/git/\",\"source\":\"ci\"},"
	    "\"action\":\"wake\",\"wakeMode\":\"next-heartbeat\","
	    "\"textTemplate\":\"built {{ref}} {{headers.x-run}}"
	    "{{headers.authorization}}{{query.q}}\"},"
	    "{\"match\":{\"path\":\"git\"},\"messageTemplate\":\"{{msg}}\","
	    "\"name\":\"{{who}}\",\"sessionKey\":\"hook:git\","
	    "\"agentId\":\"gone\",\"allowUnsafeExternalContent\":true},"
	    "{\"match\":{\"path\":\"t\"},\"messageTemplate\":\"m\","
	    "\"sessionKey\":\"hook:{{id}}\"},"
	    "{\"match\":{\"path\":\"mod\"},\"messageTemplate\":\"m\","
	    "\"transform\":{\"module\":\"x.js\"}}]"));
	rq = request("/hooks/git", "{\"source\":\"ci\",\"ref\":\"v1\"}");
	rq.query = "q=7";
	rq.headers[1][0] = "x-run";
	rq.headers[1][1] = "9";
	go(&rq);
	expect(&rq, 200, "{\"ok\":true,\"mode\":\"next-heartbeat\","
	    "\"eventOutcome\":\"queued\"}");
	CU_ASSERT_STRING_EQUAL(left.text, "built v1 97");
	rq = request("/hooks/git", "{\"msg\":\"raw\",\"who\":\"me\"}");
	go(&rq);
	run_tell(0, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&rq), 200);
	done(&rq);
	/* The operator's key; an agent that is gone: the default one. */
	CU_ASSERT_STRING_EQUAL(runs.key[0], "agent:main:hook:git");
	CU_ASSERT_STRING_EQUAL(runs.message, "raw");
	post("/hooks/git", "{}", 400, ERROR("hook mapping requires message"));
	/* AB-078: a key with values of the caller is the caller's. */
	post("/hooks/t", "{\"id\":\"x\"}", 400, ERROR("sessionKey is disabled "
	    "for externally supplied hook payload values; set "
	    "hooks.allowRequestSessionKey=true to enable"));
	post("/hooks/mod", "{}", 500, ERROR("hook mapping failed"));
	post("/hooks/other", "{}", 404, "Not Found");
	end();
}

static void
batches_are_bounded(void)
{
	struct ask		 rq;
	struct json_object	*o;
	char			 body[4096];
	size_t			 n = 0;
	unsigned		 i;

	begin(CONF(",\"mappings\":[{\"match\":{\"path\":\"l\"},\"forEach\":"
	    "\"items\",\"messageTemplate\":\"{{items[0].a}}\"}]"));
	rq = request("/hooks/l", "{\"items\":[]}");
	go(&rq);
	expect(&rq, 204, "");
	rq = request("/hooks/l", "{\"items\":7}");
	go(&rq);
	expect(&rq, 204, "");
	/* One bad item: none of the others is done. */
	post("/hooks/l", "{\"items\":[{\"a\":\"x\"},{}]}", 400,
	    ERROR("hook mapping requires message"));
	CU_ASSERT_EQUAL(runs.n, 0);
	rq = request("/hooks/l", "{\"items\":[{\"a\":\"x\"},{\"a\":\"y\"},"
	    "{\"a\":\"x\"}]}");
	go(&rq);
	CU_ASSERT_EQUAL(runs.n, 3);
	for (i = 0; i < 3; i++)
		run_tell(i, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(status_of(&rq), 200);
	o = json_tokener_parse(text_of(&rq));
	CU_ASSERT_EQUAL(fake_int(o, "dispatched"), 3);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "runIds.2"), runs.id[2]);
	json_object_put(o);
	done(&rq);
	/* The same batch again starts nothing. */
	rq = request("/hooks/l", "{\"items\":[{\"a\":\"x\"},{\"a\":\"y\"},"
	    "{\"a\":\"x\"}]}");
	go(&rq);
	CU_ASSERT(runs.n == 3 && status_of(&rq) == 200);
	done(&rq);
	/* Eight seconds for a batch, then it is told how far it came. */
	rq = request("/hooks/l", "{\"items\":[{\"a\":\"p\"},{\"a\":\"q\"}]}");
	go(&rq);
	run_tell(3, CHELA_AGENT_STARTED, NULL, NULL);
	fake_advance(f, 8100000);
	CU_ASSERT_EQUAL(status_of(&rq), 503);
	CU_ASSERT(strstr(text_of(&rq), "1/2 dispatched, 0 failed, 1 pending") !=
	    NULL);
	done(&rq);
	n = (size_t)snprintf(body, sizeof body, "{\"items\":[");
	for (i = 0; i < 210; i++)
		n += (size_t)snprintf(body + n, sizeof body - n,
		    "%s{\"a\":\"%u\"}", i > 0 ? "," : "", i);
	(void)snprintf(body + n, sizeof body - n, "]}");
	rq = request("/hooks/l", body);
	go(&rq);
	CU_ASSERT_EQUAL(runs.n, 205);
	CU_ASSERT(strstr(fake_log_text(f), "10 items beyond the first 200") !=
	    NULL);
	fake_http_leave(rq.h);
	done(&rq);
	end();
}

/* AB-078: what a request that fails takes back is its own, no other's. */
static void
batches_take_back_their_own(void)
{
	struct fake_http	*a, *b;
	struct fake_http_opt	 opt = { .method = "POST", .path = "/hooks/l",
		.headers = "Authorization: " HOOKS_GOOD "\n",
		.body = "{\"items\":[{\"a\":\"x\",\"k\":\"hook:1\"}]}" };

	begin(CONF(",\"allowRequestSessionKey\":true,"
	    "\"allowedSessionKeyPrefixes\":[\"hook:\"],\"mappings\":[{"
	    "\"match\":{\"path\":\"l\"},\"forEach\":\"items\","
	    "\"messageTemplate\":\"{{items[0].a}}\","
	    "\"sessionKey\":\"{{items[0].k}}\"}]"));
	a = fake_http_send(f, &opt);
	opt.body = "{\"items\":[{\"a\":\"x\",\"k\":\"hook:1\"},"
	    "{\"a\":\"y\",\"k\":\"other\"}]}";
	b = fake_http_send(f, &opt);
	fake_settle(f);
	CU_ASSERT_EQUAL(b->status, 400);
	CU_ASSERT_EQUAL(runs.n, 1);
	run_tell(0, CHELA_AGENT_STARTED, NULL, NULL);
	CU_ASSERT_EQUAL(a->status, 200);
	fake_http_free(a);
	fake_http_free(b);
	end();
}

static void
programs_change_actions(void)
{
	struct ask		 rq;

	begin(CONF(",\"mappings\":[{\"match\":{\"path\":\"p\"},"
	    "\"messageTemplate\":\"m\",\"transform\":{\"command\":"
	    "[\"/bin/t\",\"-x\"]}}]"));
	rq = request("/hooks/p", "{\"k\":1}");
	go(&rq);
	CU_ASSERT_STRING_EQUAL(program.argv0, "/bin/t");
	CU_ASSERT_STRING_EQUAL(program.input, "{\"payload\":{\"k\":1},"
	    "\"headers\":{},\"query\":{},\"path\":\"p\"}");
	program.output = "null\n";
	program_end();
	expect(&rq, 204, "");
	rq = request("/hooks/p", "{}");
	go(&rq);
	program.output = "{\"kind\":\"wake\",\"text\":\"from it\"}";
	program_end();
	expect(&rq, 200, "{\"ok\":true,\"mode\":\"now\",\"eventOutcome\":"
	    "\"queued\"}");
	CU_ASSERT_STRING_EQUAL(left.text, "from it");
	/* A key of the program is the caller's unless it says otherwise. */
	rq = request("/hooks/p", "{}");
	go(&rq);
	program.output = "{\"sessionKey\":\"x\"}";
	program_end();
	CU_ASSERT_EQUAL(status_of(&rq), 400);
	done(&rq);
	rq = request("/hooks/p", "{}");
	go(&rq);
	program.output = "[]";
	program_end();
	expect(&rq, 500, ERROR("hook mapping failed"));
	rq = request("/hooks/p", "{}");
	go(&rq);
	program.exit_code = 1;
	program.output = "{}";
	program_end();
	expect(&rq, 500, ERROR("hook mapping failed"));
	/* Other rules meanwhile: the caller has to ask again. */
	program.exit_code = 0;
	rq = request("/hooks/p", "{}");
	go(&rq);
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"allowedAgentIds\":[]")), 0);
	program_end();
	expect(&rq, 409, ERROR("hook configuration changed; retry request"));
	CU_ASSERT_EQUAL(fake_conf(f, CONF(",\"mappings\":[{\"transform\":"
	    "{\"command\":[\"/bin/t\"]},\"messageTemplate\":\"m\"}]")), 0);
	rq = request("/hooks/p", "{}");
	go(&rq);
	CU_ASSERT_PTR_NOT_NULL(program_handler);
	fake_http_leave(rq.h);
	done(&rq);
	CU_ASSERT_PTR_NULL(program_handler);
	end();
}

/* AB-077: a token that was replaced meanwhile lets nothing begin any more. */
static void
old_tokens_begin_nothing(void)
{
	struct fake_http_opt	 opt = { .method = "POST", .path = "/hooks/wake",
		.headers = "Authorization: " HOOKS_GOOD "\n",
		.body = "{\"text\":\"m\"}" };
	struct fake_http	*h;
	struct ask		 rq;

	(void)setenv("CHELA_TEST_HOOK", "hook-secret", 1);
	begin("{\"hooks\":{\"enabled\":true,\"token\":{\"source\":\"env\","
	    "\"id\":\"CHELA_TEST_HOOK\"},\"mappings\":[{\"messageTemplate\":"
	    "\"m\",\"transform\":{\"command\":[\"/bin/t\"]}}]}}");
	rq = request("/hooks/p", "{}");
	go(&rq);
	(void)setenv("CHELA_TEST_HOOK", "another", 1);
	program.output = "{\"kind\":\"wake\",\"text\":\"from it\"}";
	program_end();
	expect(&rq, 409, ERROR("hook configuration changed; retry request"));
	CU_ASSERT_EQUAL(left.n, 0);
	/* Between the head and the body. */
	(void)setenv("CHELA_TEST_HOOK", "hook-secret", 1);
	h = fake_http_send(f, &opt);
	(void)setenv("CHELA_TEST_HOOK", "another", 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(h->status, 409);
	fake_http_free(h);
	CU_ASSERT_EQUAL(left.n, 0);
	(void)unsetenv("CHELA_TEST_HOOK");
	end();
}

static void
status_tells_the_truth(void)
{
	struct json_object	*o;

	begin("{}");
	o = fake_call(f, NULL, "hooks.status", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT(json_object_array_length(fake_get(o, "result.hooks")) == 0);
	CU_ASSERT(*fake_str(o, "result.workspaceDir") == '/');
	CU_ASSERT(strstr(fake_str(o, "result.managedHooksDir"), "/hooks") !=
	    NULL);
	json_object_put(o);
	o = fake_call(f, NULL, "hooks.status", "{\"agentId\":\"zz\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(o), "unknown agent id \"zz\"");
	json_object_put(o);
	o = fake_call(f, NULL, "hooks.status", "{\"x\":1}");
	CU_ASSERT_STRING_EQUAL(fake_code(o), "INVALID_REQUEST");
	json_object_put(o);
	CU_ASSERT(!is_served("/hooks/wake"));
	end();
}

static const struct cu_case cases[] = {
	CU_CASE(checks_come_before_the_body),
	CU_CASE(failures_are_limited),
	CU_CASE(no_secret_no_route),
	CU_CASE(configurations_are_checked),
	CU_CASE(bodies_are_bounded),
	CU_CASE(bodies_are_checked),
	CU_CASE(wakes_are_left),
	CU_CASE(routing_is_the_operators),
	CU_CASE(runs_begin_and_end),
	CU_CASE(runs_that_do_not_begin),
	CU_CASE(what_waits_is_bounded),
	CU_CASE(texts_are_bounded),
	CU_CASE(replays_are_known),
	CU_CASE(mappings_are_applied),
	CU_CASE(batches_are_bounded),
	CU_CASE(batches_take_back_their_own),
	CU_CASE(programs_change_actions),
	CU_CASE(old_tokens_begin_nothing),
	CU_CASE(status_tells_the_truth),
	CU_END
};
CU_MAIN("plugin hooks", cases)
