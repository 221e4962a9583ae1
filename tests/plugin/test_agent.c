/* SPDX-License-Identifier: MIT */
/* Plugin agent: one turn, two answers, aborts, queues, failures. */
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/sessions.h>
#include <chela/services/system.h>

#include "tests/plugin/fakehost.h"
#include "tests/plugin/fakemodel.h"
#include "tests/unit/cu.h"

#define WALL	UINT64_C(1767225600000)	/* 2026-01-01 */

static const struct chela_agent_1	*svc;
static char				 trace[4096];

static void
on_event(const struct chela_agent_event *ev, void *arg)
{
	static const char *const names[] = {
		"?", "status", "started", "delta", "tool", "final", "aborted",
		"error",
	};
	size_t n = strlen(trace);

	(void)arg;
	(void)snprintf(trace + n, sizeof trace - n, "%s:%s%s%.*s ", ev->run_id,
	    names[ev->kind], ev->text != NULL ? "=" : "",
	    (int)ev->text_len, ev->text != NULL ? ev->text : "");
}

static const struct chela_agent_watcher watcher = {
	.struct_size = sizeof watcher,
	.event = on_event,
};

static int
take_events(const char *key, struct json_object **ret)
{
	(void)key;
	*ret = json_tokener_parse("[{\"ts\":1,\"text\":\"it rains\"}]");
	return (0);
}

static const struct chela_system_1 notices = {
	.struct_size = sizeof notices,
	.take_events = take_events,
};

static struct fake *
begin(const char *conf)
{
	struct fake *f = fake_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fake_clock(f, WALL);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	fakemodel_add(f);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agent"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_AGENT_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc);
	trace[0] = '\0';
	CU_ASSERT_EQUAL(svc->watch(&watcher, NULL), 0);
	return (f);
}

static void
end(struct fake *f)
{
	fakemodel_settle();
	fake_free(f);
	fakemodel_free();
}

static int
start(const char *id, const char *key, const char *message, uint32_t mode)
{
	struct chela_agent_start rq = {
		.struct_size = sizeof rq,
		.run_id = id,
		.session_key = key,
		.message = message,
		.queue_mode = mode,
	};
	const char *why = NULL;

	return (svc->start(&rq, &why));
}

static uint32_t
state_of(const char *id)
{
	struct chela_agent_run run = { .struct_size = sizeof run };

	return (svc->state(id, &run) < 0 ? 99 : run.state);
}

static void
one_turn_in_order(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r, *list;
	struct fake_req		*rq;
	struct chela_conn	*conn = fake_conn_new(f, NULL);
	char			 order[1024] = "";
	int64_t			 last = 0;
	size_t			 i, n;

	json_object_put(fake_call(f, conn, "sessions.subscribe", "{}"));
	rq = fake_send(f, conn, "agent",
	    "{\"message\":\"hi\",\"idempotencyKey\":\"R1\"}");
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_STRING_EQUAL(fake_str(fake_interims(rq), "0.status"),
	    "accepted");
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	fakemodel_say(0, "Hel");
	fakemodel_say(0, "lo ");
	fakemodel_say(0, "there");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	r = fake_reply(rq);
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "ok");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.result.payloads.0.text"),
	    "Hello there");
	CU_ASSERT_STRING_EQUAL(trace, "R1:status=preparing_workspace "
	    "R1:status=preparing_context R1:started R1:status=starting_model "
	    "R1:delta=Hel R1:delta=lo there R1:final ");

	list = fake_payloads(f, conn, "agent");
	n = json_object_array_length(list);
	for (i = 0; i < n; i++) {
		struct json_object *e = json_object_array_get_idx(list, i);
		size_t at = strlen(order);

		CU_ASSERT(fake_int(e, "seq") > last);
		last = fake_int(e, "seq");
		(void)snprintf(order + at, sizeof order - at, "%s.%s ",
		    fake_str(e, "stream"), fake_str(e, "data.phase"));
	}
	json_object_put(list);
	CU_ASSERT_STRING_EQUAL(order, "run_status.preparing_workspace "
	    "run_status.preparing_context lifecycle.start "
	    "run_status.starting_model assistant. assistant. usage. "
	    "lifecycle.finishing lifecycle.end ");
	list = fake_payloads(f, conn, "session.message");
	CU_ASSERT_STRING_EQUAL(fake_str(list, "0.message.role"), "user");
	CU_ASSERT_STRING_EQUAL(fake_str(list, "1.message.role"), "assistant");
	CU_ASSERT_STRING_EQUAL(fake_str(list, "1.message.stopReason"), "stop");
	CU_ASSERT_EQUAL(json_object_get_double(fake_get(list,
	    "1.message.usage.cost.total")), 21.0);
	json_object_put(list);
	fake_req_free(rq);

	/* A repeat gets the same result at once, and no second run. */
	r = fake_call(f, conn, "agent",
	    "{\"message\":\"hi\",\"idempotencyKey\":\"R1\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.result.payloads.0.text"),
	    "Hello there");
	json_object_put(r);
	CU_ASSERT_EQUAL(fakemodel_calls(), 1);
	/* After its time the key is free again. */
	fake_advance(f, UINT64_C(301000000));
	CU_ASSERT_EQUAL(start("R1", "main", "again", 0), 0);
	end(f);
}

static void
context_is_the_transcript(void)
{
	struct fake		*f = begin("{\"agents\":{\"defaults\":"
				    "{\"systemPrompt\":\"Be brief.\"}}}");
	struct json_object	*m;

	(void)fake_service(f, "system", CHELA_SYSTEM_SERVICE, &notices);
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "one");
	fakemodel_tool(0, "t1", "rm", "{\"x\":1}");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(start("B", "main", "second", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 1));
	m = fakemodel_call(1)->messages;
	CU_ASSERT_EQUAL(json_object_array_length(m), 3);
	CU_ASSERT_STRING_EQUAL(fake_str(m, "0.content"), "first");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_str(m, "1.content.0.text"),
	    "offers no tools"));
	CU_ASSERT_PTR_NULL(fake_get(m, "1.content.1"));
	CU_ASSERT_STRING_EQUAL(fake_str(m, "2.content.0.text"),
	    "System: it rains\n\nsecond");
	CU_ASSERT_STRING_EQUAL(fakemodel_call(1)->system, "Be brief.");
	end(f);
}

static void
tools_go_to_those_who_can_show_them(void)
{
	struct fake_conn_opt	 opt = { .caps = "tool-events" };
	struct fake		*f = begin("{}");
	struct chela_conn	*with = fake_conn_new(f, &opt);
	struct chela_conn	*without = fake_conn_new(f, NULL);
	struct json_object	*list;
	size_t			 n, m;

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_tool(0, "t1", "rm", "{\"x\":1}");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	n = fake_count(f, with, "agent");
	m = fake_count(f, without, "agent");
	CU_ASSERT_EQUAL(n, m + 1);
	CU_ASSERT_EQUAL(state_of("A"), CHELA_RUN_DONE);
	list = fake_payloads(f, with, "agent");
	CU_ASSERT_STRING_EQUAL(fake_str(list, "4.data.toolCallId"), "t1");
	CU_ASSERT_EQUAL(fake_int(list, "4.data.args.x"), 1);
	json_object_put(list);
	end(f);
}

/* AB-123 */
static void
abort_keeps_what_was_said(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "par");
	fakemodel_say(0, "tial");
	CU_ASSERT_EQUAL(svc->abort("A", "rpc"), 1);
	CU_ASSERT_EQUAL(svc->abort("A", "rpc"), 0);
	CU_ASSERT(fakemodel_call(0)->was_cancelled);
	fakemodel_say(0, " late");
	fakemodel_settle();
	fake_settle(f);
	CU_ASSERT_EQUAL(svc->abort("A", "rpc"), 0);
	CU_ASSERT(svc->abort("B", "rpc") < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "A:delta=tial A:aborted "));
	CU_ASSERT_PTR_NULL(strstr(trace, "final"));
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.1.content.0.text"), "partial");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.1.openclawAbort.origin"), "rpc");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.messages.1.stopReason"),
	    "stop");
	json_object_put(r);
	r = fake_call(f, NULL, "agent.wait", "{\"runId\":\"A\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "error");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.stopReason"), "rpc");
	json_object_put(r);
	end(f);
}

/* AB-123 */
static void
abort_before_the_first_word_leaves_no_row(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_EQUAL(svc->abort("A", "rpc"), 1);
	fake_settle(f);
	CU_ASSERT_STRING_EQUAL(trace, "A:aborted ");
	trace[0] = '\0';
	CU_ASSERT_EQUAL(start("B", "main", "second", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_EQUAL(svc->abort_session("main", "stop", NULL), 1);
	fake_settle(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "B:aborted "));
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 1);
	json_object_put(r);
	end(f);
}

/* AB-123 */
static void
abort_after_the_last_word_is_too_late(void)
{
	struct fake *f = begin("{}");

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "done");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	CU_ASSERT_EQUAL(svc->abort("A", "rpc"), 0);
	fake_settle(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "A:final "));
	CU_ASSERT_PTR_NULL(strstr(trace, "aborted"));
	end(f);
}

/* AB-118: a key means its run by the time that passes, not by the wall clock. */
static void
a_clock_that_is_set_repeats_no_run(void)
{
	struct fake	*f = begin("{}");

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "done");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(state_of("A"), CHELA_RUN_DONE);
	fake_clock_set(f, WALL + UINT64_C(86400000));
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), -114); /* EALREADY */
	fake_clock_set(f, WALL - UINT64_C(86400000));
	fake_advance(f, UINT64_C(299999000));
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), -114);
	fake_advance(f, 1000);
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	end(f);
}

/* AB-118: how long a run took is no matter of the wall clock. */
static void
a_clock_that_is_set_makes_no_run_shorter(void)
{
	struct fake	*f = begin("{}");
	struct fake_req	*rq;

	rq = fake_send(f, NULL, "agent", "{\"message\":\"hi\","
	    "\"idempotencyKey\":\"long\"}");
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fake_clock_set(f, WALL - UINT64_C(86400000));
	fake_advance(f, 5000000);
	fakemodel_say(0, "done");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_int(fake_reply(rq),
	    "result.result.meta.durationMs"), 5000);
	fake_req_free(rq);
	end(f);
}

static void
one_session_has_one_run(void)
{
	struct fake	*f = begin("{}");
	char		 id[16];
	int		 i;

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), -114); /* EALREADY */
	CU_ASSERT_EQUAL(start("B", "main", "second", 0), 1);
	CU_ASSERT_EQUAL(start("C", "agent:main:other", "third", 0), 0);
	CU_ASSERT(fakemodel_wait(f, 1));
	CU_ASSERT_STRING_EQUAL(fakemodel_call(1)->session_key,
	    "agent:main:other");
	CU_ASSERT_EQUAL(state_of("B"), CHELA_RUN_QUEUED);
	for (i = 0; i < 19; i++) {
		(void)snprintf(id, sizeof id, "q%d", i);
		CU_ASSERT_EQUAL(start(id, "main", "more", 0), 1);
	}
	CU_ASSERT_EQUAL(start("full", "main", "more", 0), -105); /* ENOBUFS */
	fakemodel_say(0, "x");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	CU_ASSERT(fakemodel_wait(f, 2));
	CU_ASSERT_EQUAL(state_of("B"), CHELA_RUN_RUNNING);
	CU_ASSERT_EQUAL(svc->abort_session("main", "rpc", NULL), 20);
	end(f);
}

static void
collected_messages_end_together(void)
{
	struct fake *f = begin("{}");

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_EQUAL(start("B", "main", "b", CHELA_QUEUE_COLLECT), 1);
	CU_ASSERT_EQUAL(start("C", "main", "c", CHELA_QUEUE_COLLECT), 1);
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	CU_ASSERT_FATAL(fakemodel_wait(f, 1));
	CU_ASSERT_STRING_EQUAL(fake_str(fakemodel_call(1)->messages,
	    "1.content.0.text"), "b\n\nc");
	fakemodel_say(1, "both");
	fakemodel_end(1, CHELA_MODEL_OK, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(fakemodel_calls(), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "B:final C:final "));
	CU_ASSERT_EQUAL(state_of("C"), CHELA_RUN_DONE);
	end(f);
}

static void
interrupt_ends_the_running_run(void)
{
	struct fake *f = begin("{}");

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "well");
	CU_ASSERT_EQUAL(start("B", "main", "b", CHELA_QUEUE_INTERRUPT), 1);
	CU_ASSERT_FATAL(fakemodel_wait(f, 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "A:aborted "));
	CU_ASSERT_EQUAL(state_of("A"), CHELA_RUN_KILLED);
	CU_ASSERT_EQUAL(state_of("B"), CHELA_RUN_RUNNING);
	end(f);
}

static void
all_runs_together_are_limited(void)
{
	struct fake *f = begin(
	    "{\"agents\":{\"defaults\":{\"maxConcurrent\":1}}}");

	CU_ASSERT_EQUAL(start("A", "agent:main:a", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	CU_ASSERT_EQUAL(start("B", "agent:main:b", "second", 0), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(fakemodel_calls(), 1);
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	CU_ASSERT(fakemodel_wait(f, 1));
	end(f);
}

static void
failures_are_told_and_the_part_is_kept(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	struct fake_req		*rq;

	rq = fake_send(f, NULL, "agent",
	    "{\"message\":\"hi\",\"idempotencyKey\":\"R1\"}");
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "half");
	fakemodel_end(0, CHELA_MODEL_RATE_LIMIT, "Slow down.");
	r = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_code(r), "UNAVAILABLE");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "Slow down.");
	fake_req_free(rq);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "R1:error "));
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.messages.1.stopReason"),
	    "error");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.1.content.0.text"), "half");
	json_object_put(r);
	/* The same key says the same again. */
	r = fake_call(f, NULL, "agent",
	    "{\"message\":\"hi\",\"idempotencyKey\":\"R1\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "Slow down.");
	json_object_put(r);
	rq = fake_send(f, NULL, "agent", "{\"message\":\"hi\","
	    "\"model\":\"none/x\",\"idempotencyKey\":\"R2\"}");
	r = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_message(r), "Unknown provider \"none\"");
	fake_req_free(rq);
	end(f);
}

/* AB-111 */
static void
a_full_disk_ends_the_run(void)
{
	struct fake		*f = begin("{}");

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	fake_fail_writes(f, 10, -28);
	fake_settle(f);
	CU_ASSERT_EQUAL(state_of("A"), CHELA_RUN_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "A:error "));
	CU_ASSERT_EQUAL(fakemodel_calls(), 0);
	end(f);
}

static void
runs_have_a_time_limit(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	struct fake_req		*rq;

	rq = fake_send(f, NULL, "agent",
	    "{\"message\":\"hi\",\"timeout\":5,\"idempotencyKey\":\"R1\"}");
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fake_advance(f, UINT64_C(4900000));
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	fake_advance(f, UINT64_C(200000));
	r = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_message(r), "The run took too long.");
	CU_ASSERT(fakemodel_call(0)->was_cancelled);
	fake_req_free(rq);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.session.status"),
	    "timeout");
	json_object_put(r);
	end(f);
}

static void
wait_has_a_time_limit_too(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;
	struct fake_req		*rq, *gone, *early;

	r = fake_call(f, NULL, "agent.wait",
	    "{\"runId\":\"X\",\"timeoutMs\":0}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.status"), "timeout");
	json_object_put(r);
	/* One that asks before the run is there gets its end as well. */
	early = fake_send(f, NULL, "agent.wait", "{\"runId\":\"A\"}");
	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	gone = fake_send(f, fake_conn_new(f, NULL), "agent.wait",
	    "{\"runId\":\"A\"}");
	fake_req_cancel(gone);
	rq = fake_send(f, NULL, "agent.wait",
	    "{\"runId\":\"A\",\"timeoutMs\":1000}");
	fake_advance(f, UINT64_C(1100000));
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "result.status"),
	    "timeout");
	fake_req_free(rq);
	rq = fake_send(f, NULL, "agent.wait", "{\"runId\":\"A\"}");
	fakemodel_say(0, "x");
	fakemodel_end(0, CHELA_MODEL_OK, NULL);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(rq), "result.status"),
	    "ok");
	fake_req_free(rq);
	fake_req_free(gone);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_reply(early), "result.status"),
	    "ok");
	fake_req_free(early);
	end(f);
}

static void
bad_calls_are_refused(void)
{
	static const struct {
		const char	*params;
		const char	*message;
	} t[] = {
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"agentId\":"
		    "\"nobody\"}",
		    "invalid agent params: unknown agent id \"nobody\"" },
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"channel\":"
		    "\"smoke\"}",
		    "invalid agent params: unknown channel: smoke" },
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"agentId\":"
		    "\"main\",\"sessionKey\":\"agent:ops:x\"}",
		    "invalid agent params: agent \"main\" does not match "
		    "session key agent \"ops\"" },
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"attachments\":"
		    "[{\"content\":\"@@@@\"}]}",
		    "attachment attachment-1: invalid base64 content" },
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"deliver\":"
		    "true}",
		    "delivery needs a channel: the session has no last one" },
		{ "{\"message\":\"x\",\"idempotencyKey\":\"a\",\"sessionKey\":"
		    "\"agent:main:mute\"}", "send blocked by session policy" },
	};
	struct fake		*f = begin("{\"session\":{\"sendPolicy\":{"
				    "\"rules\":[{\"action\":\"deny\",\"match\":"
				    "{\"keyPrefix\":\"agent:main:mute\"}}]}}}");
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		r = fake_call(f, NULL, "agent", t[i].params);
		CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
		CU_ASSERT_STRING_EQUAL(fake_message(r), t[i].message);
		json_object_put(r);
	}
	CU_ASSERT_EQUAL(fakemodel_calls(), 0);
	end(f);
}

static void
identity_comes_from_the_configuration(void)
{
	struct fake		*f = begin("{\"agents\":{\"list\":[{\"id\":"
				    "\"main\",\"identity\":{\"name\":\"Ada\","
				    "\"emoji\":\"x\"}}]}}");
	struct json_object	*r;

	r = fake_call(f, NULL, "agent.identity.get", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.name"), "Ada");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.nameSource"), "config");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.avatar"), "A");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.avatarStatus"));
	json_object_put(r);
	end(f);
}

static void
the_end_of_the_daemon_is_told(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r;

	CU_ASSERT_EQUAL(start("A", "main", "first", 0), 0);
	CU_ASSERT_FATAL(fakemodel_wait(f, 0));
	fakemodel_say(0, "half");
	CU_ASSERT_EQUAL(start("B", "main", "second", 0), 1);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(trace, "A:aborted B:aborted "));
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.messages.1.content.0.text"), "half");
	json_object_put(r);
	/* What the model still says belongs to nobody. */
	fake_free(f);
	fakemodel_free();
}

static const struct cu_case cases[] = {
	CU_CASE(one_turn_in_order),
	CU_CASE(context_is_the_transcript),
	CU_CASE(tools_go_to_those_who_can_show_them),
	CU_CASE(abort_keeps_what_was_said),
	CU_CASE(abort_before_the_first_word_leaves_no_row),
	CU_CASE(abort_after_the_last_word_is_too_late),
	CU_CASE(a_clock_that_is_set_repeats_no_run),
	CU_CASE(a_clock_that_is_set_makes_no_run_shorter),
	CU_CASE(one_session_has_one_run),
	CU_CASE(collected_messages_end_together),
	CU_CASE(interrupt_ends_the_running_run),
	CU_CASE(all_runs_together_are_limited),
	CU_CASE(failures_are_told_and_the_part_is_kept),
	CU_CASE(a_full_disk_ends_the_run),
	CU_CASE(runs_have_a_time_limit),
	CU_CASE(wait_has_a_time_limit_too),
	CU_CASE(bad_calls_are_refused),
	CU_CASE(identity_comes_from_the_configuration),
	CU_CASE(the_end_of_the_daemon_is_told),
	CU_END
};

CU_MAIN("agent", cases)
