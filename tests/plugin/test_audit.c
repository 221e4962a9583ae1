/* SPDX-License-Identifier: MIT */
/*
 * Plugin audit: the ledger, its chain, what it leaves out. AB-100: only metadata;
 * AB-101: one clean record an event; AB-102: the same again is counted.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/approvals.h>
#include <chela/services/audit.h>
#include <chela/services/config.h>
#include <chela/services/plugins.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define T0	UINT64_C(1800000000000)
#define DAY_US	(UINT64_C(24) * 3600 * 1000000)

static const struct chela_audit_1	*svc;
static void	(*changed)(const struct chela_config_change *change, void *arg);

static int
conf_subscribe(void (*cb)(const struct chela_config_change *, void *), void *arg)
{
	(void)arg;
	changed = cb;
	return (0);
}

static void
conf_unsubscribe(void (*cb)(const struct chela_config_change *, void *),
    void *arg)
{
	(void)cb;
	(void)arg;
	changed = NULL;
}

static const struct chela_config_1 conf_table = {
	.struct_size = sizeof conf_table,
	.subscribe = conf_subscribe,
	.unsubscribe = conf_unsubscribe,
};

/* --- the plugin agent, as far as it is asked for --- */

static const struct chela_agent_watcher	*watcher;

static int
agent_watch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	CU_ASSERT_PTR_NULL(watcher);
	watcher = w;
	return (0);
}

static void
agent_unwatch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	if (watcher == w)
		watcher = NULL;
}

static const struct chela_agent_1 agent_table = {
	.struct_size = sizeof agent_table,
	.watch = agent_watch,
	.unwatch = agent_unwatch,
};

static struct fake *
up(void)
{
	struct fake	*f = fake_new();

	CU_ASSERT_FATAL(f != NULL);
	fake_clock(f, T0);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "core", CHELA_CONFIG_SERVICE,
	    &conf_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "agent", CHELA_AGENT_SERVICE,
	    &agent_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "audit"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_AUDIT_SERVICE);
	CU_ASSERT_FATAL(svc != NULL);
	return (f);
}

static int
run(struct fake *f, const char *id, const char *status)
{
	struct chela_audit_action a = {
		.struct_size = sizeof a,
		.status = status,
		.agent_id = "main",
		.run_id = id,
		.session_key = "agent:main:main",
		.session_id = "s",
	};

	return (svc->action(fake_ctx(f, ""), &a));
}

static int
tool(struct fake *f, const char *id, const char *status)
{
	struct chela_audit_action a = {
		.struct_size = sizeof a,
		.is_tool = 1,
		.status = status,
		.agent_id = "ops",
		.run_id = id,
		.tool_call_id = "call-1",
		.tool_name = "exec",
	};

	return (svc->action(fake_ctx(f, ""), &a));
}

static size_t
n_events(struct json_object *r)
{
	return (json_object_array_length(fake_get(r, "result.events")));
}

static void
newest_first_with_cursors(void)
{
	struct fake		*f = up();
	struct json_object	*r;
	char			 id[16], cursor[32];
	unsigned		 i, n = 0;
	int64_t			 seq, last = INT64_MAX;

	for (i = 0; i < 1200; i++) {
		(void)snprintf(id, sizeof id, "r%u", i);
		CU_ASSERT_EQUAL(run(f, id, "started"), 0);
	}
	fake_settle(f);
	cursor[0] = '\0';
	for (;;) {
		r = fake_callf(f, NULL, "audit.list", *cursor == '\0' ?
		    "{\"limit\":500}" : "{\"limit\":500,\"cursor\":\"%s\"}",
		    cursor);
		CU_ASSERT_FATAL(fake_ok(r));
		for (i = 0; i < n_events(r); i++) {
			seq = fake_int(json_object_array_get_idx(fake_get(r,
			    "result.events"), i), "sequence");
			CU_ASSERT(seq < last && seq > 0);
			last = seq;
			n++;
		}
		(void)snprintf(cursor, sizeof cursor, "%s", fake_str(r,
		    "result.nextCursor"));
		json_object_put(r);
		if (*cursor == '\0')
			break;
	}
	CU_ASSERT_EQUAL(n, 1200);
	r = fake_call(f, NULL, "audit.list", "{}");
	CU_ASSERT_EQUAL(n_events(r), 100);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.runId"), "r1199");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.events.0.eventType"));
	json_object_put(r);
	fake_free(f);
}

static void
filters_are_exact(void)
{
	struct fake		*f = up();
	struct json_object	*r;
	static const struct {
		const char	*params;
		size_t		 n;
	} t[] = {
		{ "{}", 4 },
		{ "{\"runId\":\"a\"}", 2 },
		{ "{\"agentId\":\"ops\"}", 1 },
		{ "{\"kind\":\"tool_action\"}", 1 },
		{ "{\"status\":\"failed\"}", 1 },
		{ "{\"sessionKey\":\"agent:main:main\"}", 3 },
		{ "{\"sessionKey\":\"agent:main\"}", 0 },
		{ "{\"after\":1800000060000}", 2 },
		{ "{\"before\":1800000059999}", 2 },
		{ "{\"after\":1800000060000,\"before\":1800000060000}", 2 },
	};
	size_t			 i;

	CU_ASSERT_EQUAL(run(f, "a", "started"), 0);
	CU_ASSERT_EQUAL(run(f, "a", "failed"), 0);
	fake_settle(f);
	fake_advance(f, 60000000);
	CU_ASSERT_EQUAL(run(f, "b", "started"), 0);
	CU_ASSERT_EQUAL(tool(f, "b", "unknown"), 0);
	fake_settle(f);
	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		r = fake_call(f, NULL, "audit.list", t[i].params);
		CU_ASSERT_EQUAL(n_events(r), t[i].n);
		json_object_put(r);
	}
	r = fake_call(f, NULL, "audit.activity.list", "{}");
	CU_ASSERT_EQUAL(n_events(r), 4);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.eventType"),
	    "tool_action");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.errorCode"),
	    "tool_outcome_unknown");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.2.errorCode"),
	    "run_failed");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.events.3.errorCode"));
	json_object_put(r);
	fake_free(f);
}

static void
bad_questions_are_refused(void)
{
	static const char *const t[][3] = {
		{ "audit.list", "{\"cursor\":\"x\"}",
		    "invalid audit.list range or cursor" },
		{ "audit.list", "{\"cursor\":\"0\"}",
		    "invalid audit.list range or cursor" },
		{ "audit.list", "{\"cursor\":\"-1\"}",
		    "invalid audit.list range or cursor" },
		{ "audit.list", "{\"after\":2,\"before\":1}",
		    "invalid audit.list range or cursor" },
		{ "audit.activity.list", "{\"cursor\":\"1x\"}",
		    "invalid audit.activity.list range or cursor" },
		{ "audit.activity.list", "{\"kind\":\"agent_run\","
		    "\"channel\":\"irc\"}",
		    "invalid audit.activity.list filters: " },
		{ "audit.activity.list", "{\"kind\":\"message\","
		    "\"sessionKey\":\"k\"}",
		    "invalid audit.activity.list filters: " },
		{ "audit.run.inspect", "{\"runId\":\"a\","
		    "\"decisionCursor\":\"x\"}",
		    "invalid audit.run.inspect cursor" },
		{ "audit.run.inspect", "{}", "" },
		{ "audit.list", "{\"kind\":\"message\"}", "" },
		{ "audit.list", "{\"limit\":501}", "" },
	};
	struct fake		*f = up();
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		r = fake_call(f, NULL, t[i][0], t[i][1]);
		CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
		CU_ASSERT_EQUAL(strncmp(fake_message(r), t[i][2],
		    strlen(t[i][2])), 0);
		json_object_put(r);
	}
	r = fake_call(f, NULL, "audit.list", "{\"cursor\":\"1\"}");
	CU_ASSERT_EQUAL(n_events(r), 0);
	json_object_put(r);
	fake_free(f);
}

static void
run_inspect_tells_known_from_unknown(void)
{
	struct fake		*f = up();
	struct json_object	*r;

	CU_ASSERT_EQUAL(run(f, "a", "started"), 0);
	fake_settle(f);
	r = fake_call(f, NULL, "audit.run.inspect", "{\"runId\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.run.status"), "unknown");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.identity.reasonCode"),
	    "run_not_found");
	json_object_put(r);
	r = fake_call(f, NULL, "audit.run.inspect", "{\"runId\":\"a\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.run.status"), "known");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.identity.state"),
	    "unsupported");
	json_object_put(r);
	r = fake_call(f, NULL, "audit.run.inspect", "{\"executionId\":\"a\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.run.status"), "unknown");
	json_object_put(r);
	fake_free(f);
}

static void
rules_are_enforced(void)
{
	struct fake	*f = up();

	CU_ASSERT_EQUAL(run(f, "a", "unknown"), -EINVAL);
	CU_ASSERT_EQUAL(run(f, "a", "finished"), -EINVAL);
	CU_ASSERT_EQUAL(run(f, "", "started"), -EINVAL);
	CU_ASSERT_EQUAL(run(f, NULL, "started"), -EINVAL);
	CU_ASSERT_EQUAL(tool(f, "a", "unknown"), 0);
	/* Off: nothing is written, reading goes on. */
	CU_ASSERT_EQUAL(fake_conf(f, "{\"logging\":{\"audit\":{\"enabled\":"
	    "false}}}"), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_log_len(f, "audit", "ledger"), 2);
	CU_ASSERT_EQUAL(run(f, "b", "started"), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_log_len(f, "audit", "ledger"), 2);
	fake_free(f);
}

static void
a_source_is_recorded_once(void)
{
	struct fake	*f = up();
	size_t		 n;
	struct chela_audit_action a = {
		.struct_size = sizeof a,
		.status = "started",
		.agent_id = "main",
		.run_id = "r",
		.source_id = "r:started",
	};

	fake_settle(f);
	n = fake_log_len(f, "audit", "ledger");
	CU_ASSERT_EQUAL(svc->action(fake_ctx(f, ""), &a), 0);
	CU_ASSERT_EQUAL(svc->action(fake_ctx(f, ""), &a), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(fake_log_len(f, "audit", "ledger"), n + 1);
	fake_free(f);
}

static struct json_object *
ledger(struct fake *f)
{
	struct json_object	*r;

	fake_settle(f);
	r = fake_call(f, NULL, "audit.ledger.read", "{\"after\":0,"
	    "\"limit\":500}");
	CU_ASSERT_FATAL(fake_ok(r));
	return (r);
}

static size_t
count_text(struct json_object *r, const char *needle)
{
	struct json_object	*rows = fake_get(r, "result.rows");
	size_t			 i, n = 0;

	for (i = 0; i < json_object_array_length(rows); i++)
		n += strstr(fake_str(json_object_array_get_idx(rows, i),
		    "text"), needle) != NULL;
	return (n);
}

static int
security(struct fake *f, const char *action, const char *id, const char *detail)
{
	struct chela_audit_security s = {
		.struct_size = sizeof s,
		.action = action,
		.status = "failed",
		.actor_type = "client",
		.actor_id = id,
		.detail = detail,
	};

	return (svc->security(fake_ctx(f, ""), &s));
}

static void
repeated_failures_are_counted_AB_102(void)
{
	struct fake		*f = up();
	struct json_object	*r;
	char			 id[16];
	unsigned		 i;

	for (i = 0; i < 100000; i++)
		CU_ASSERT_EQUAL(security(f, "auth.failed", "10.0.0.1", NULL),
		    0);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "auth.failed"), 1);
	json_object_put(r);
	fake_advance(f, 61000000);
	fake_advance(f, 20000000);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "auth.failed"), 2);
	CU_ASSERT_EQUAL(count_text(r, "\"count\":99999"), 1);
	json_object_put(r);
	/* And from everywhere at once: a bounded number of rows. */
	for (i = 0; i < 5000; i++) {
		(void)snprintf(id, sizeof id, "a%u", i);
		CU_ASSERT_EQUAL(security(f, "auth.failed", id, NULL), 0);
	}
	r = ledger(f);
	CU_ASSERT(count_text(r, "auth.failed") < 80);
	json_object_put(r);
	fake_advance(f, 61000000);
	fake_advance(f, 20000000);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "security.others"), 1);
	json_object_put(r);
	fake_free(f);
}

static void
texts_are_bounded_and_clean_AB_101(void)
{
	struct fake		*f = up();
	struct json_object	*r;
	char			*big = malloc(1000001);

	memset(big, 'x', 1000000);
	big[1000000] = '\0';
	CU_ASSERT_EQUAL(security(f, "auth.failed", "a\nb\x1b[31m", big), 0);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "a?b?[31m"), 1);
	CU_ASSERT_EQUAL(count_text(r, "\\u001b"), 0);
	CU_ASSERT(strlen(json_object_to_json_string(r)) < 8192);
	json_object_put(r);
	/* C1 controls, marks of direction, bytes that are no text, an end in
	 * the middle of a character. */
	CU_ASSERT_EQUAL(security(f, "x.odd", "\xc2\x9b" "31m|\xe2\x80\xae"
	    "txt|\xff\xfe|\xe2\x80|\xc3\xa9|\xf0\x9f", NULL), 0);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "?31m|?txt|??|??|\xc3\xa9|??"), 1);
	json_object_put(r);
	memset(big, 'y', 1000);
	memcpy(big + 255, "\xc3\xa9", 2);
	CU_ASSERT_EQUAL(security(f, "x.cut", "a", big), 0);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "\xc3"), 1);	/* the one from before */
	json_object_put(r);
	free(big);
	fake_free(f);
}

static void
configuration_changes_are_noted_without_names(void)
{
	static const char *const paths[] = { "channels.MARK-token" };
	struct chela_config_change c = {
		.struct_size = sizeof c,
		.kind = CHELA_CONFIG_HOT,
		.path = "/x",
		.hash = "h",
		.changed = paths,
		.n_changed = 1,
	};
	struct fake		*f = up();
	struct json_object	*r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
	changed(&c, NULL);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "config.changed"), 1);
	CU_ASSERT_EQUAL(count_text(r, "MARK"), 0);
	/* What is not of these two lists' kinds stays out of them. */
	json_object_put(r);
	r = fake_call(f, NULL, "audit.activity.list", "{}");
	CU_ASSERT_EQUAL(n_events(r), 0);
	json_object_put(r);
	fake_free(f);
}

/* Each row repeats the hash of the one before, also over restarts and failures. */
static void
chain_holds(struct fake *f, unsigned n_min)
{
	struct json_object	*r = ledger(f), *rows, *row;
	char			 prev[65];
	size_t			 i, n;

	(void)snprintf(prev, sizeof prev, "%s", fake_str(r,
	    "result.anchor.hash"));
	rows = fake_get(r, "result.rows");
	n = json_object_array_length(rows);
	CU_ASSERT(n >= n_min);
	for (i = 0; i < n; i++) {
		row = json_tokener_parse(fake_str(json_object_array_get_idx(
		    rows, i), "text"));
		CU_ASSERT_STRING_EQUAL(fake_str(row, "p"), prev);
		CU_ASSERT_EQUAL(fake_int(row, "n"), fake_int(r,
		    "result.anchor.n") + (int64_t)i + 1);
		(void)snprintf(prev, sizeof prev, "%s", fake_str(row, "h"));
		json_object_put(row);
	}
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.head.hash"), prev);
	json_object_put(r);
}

static void
chain_goes_on_after_restart_and_failed_write(void)
{
	struct fake	*f = up();

	CU_ASSERT_EQUAL(run(f, "a", "started"), 0);
	CU_ASSERT_EQUAL(run(f, "a", "succeeded"), 0);
	chain_holds(f, 3);
	fake_fail_writes(f, 1, -ENOSPC);
	CU_ASSERT_EQUAL(run(f, "lost", "started"), 0);
	CU_ASSERT_EQUAL(run(f, "b", "started"), 0);
	chain_holds(f, 4);
	/* What waits is written at the end. */
	CU_ASSERT_EQUAL(run(f, "c", "started"), 0);
	CU_ASSERT_EQUAL(run(f, "d", "started"), 0);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_AUDIT_SERVICE);
	CU_ASSERT_EQUAL(run(f, "e", "started"), 0);
	chain_holds(f, 9);
	fake_free(f);
}

static void
old_rows_go_and_the_anchor_stays(void)
{
	struct fake		*f = up();
	struct json_object	*r;

	CU_ASSERT_EQUAL(run(f, "a", "started"), 0);
	fake_settle(f);
	fake_advance(f, 31 * DAY_US);
	CU_ASSERT_EQUAL(run(f, "b", "started"), 0);
	fake_settle(f);
	fake_advance(f, UINT64_C(3601000000));
	fake_settle(f);
	r = ledger(f);
	CU_ASSERT_EQUAL(fake_int(r, "result.anchor.n"), 2);
	json_object_put(r);
	chain_holds(f, 1);
	fake_free(f);
}

static void
too_many_at_once_are_dropped(void)
{
	struct fake	*f = up();
	unsigned	 i;
	int		 r = 0;

	for (i = 0; i < CHELA_AUDIT_PENDING_MAX + 10 && r == 0; i++)
		r = run(f, "a", "started");
	CU_ASSERT_EQUAL(r, -EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "too many wait"));
	fake_settle(f);
	CU_ASSERT_EQUAL(run(f, "a", "started"), 0);
	fake_free(f);
}

static void
runs_are_recorded_without_words_AB_100(void)
{
	static const struct {
		uint32_t	 kind;
		const char	*stop, *error_kind, *status;
	} t[] = {
		{ CHELA_AGENT_STARTED, NULL, NULL, "started" },
		{ CHELA_AGENT_DELTA, NULL, NULL, NULL },
		{ CHELA_AGENT_TOOL, NULL, NULL, "started" },
		{ CHELA_AGENT_FINAL, "stop", NULL, "succeeded" },
		{ CHELA_AGENT_ABORTED, "rpc", NULL, "cancelled" },
		{ CHELA_AGENT_ABORTED, "timeout", NULL, "timed_out" },
		{ CHELA_AGENT_ERROR, NULL, "timeout", "timed_out" },
		{ CHELA_AGENT_ERROR, NULL, "rate_limit", "failed" },
	};
	struct fake		*f = up();
	struct json_object	*r, *data;
	struct chela_agent_event ev = {
		.struct_size = sizeof ev,
		.run_id = "r1",
		.session_key = "agent:main:main",
		.session_id = "s",
		.agent_id = "main",
		.text = "MARK",
		.text_len = 4,
		.error = "MARK said no",
	};
	size_t			 i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(watcher);
	data = json_tokener_parse("{\"phase\":\"start\",\"name\":\"exec\","
	    "\"toolCallId\":\"c1\",\"args\":{\"x\":\"MARK\"}}");
	ev.data = data;
	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		ev.kind = t[i].kind;
		ev.stop_reason = t[i].stop;
		ev.error_kind = t[i].error_kind;
		watcher->event(&ev, NULL);
		fake_settle(f);
		r = fake_call(f, NULL, "audit.list", "{\"limit\":1}");
		if (t[i].status != NULL)
			CU_ASSERT_STRING_EQUAL(fake_str(r,
			    "result.events.0.status"), t[i].status);
		if (t[i].kind == CHELA_AGENT_TOOL)
			CU_ASSERT_STRING_EQUAL(fake_str(r,
			    "result.events.0.toolName"), "exec");
		json_object_put(r);
	}
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "MARK"), 0);
	CU_ASSERT_EQUAL(count_text(r, "\"runId\":\"r1\""), 7);
	json_object_put(r);
	json_object_put(data);
	fake_free(f);
	CU_ASSERT_PTR_NULL(watcher);
}

static int
message(struct fake *f, uint32_t is_outbound, const char *status,
    const char *kind)
{
	struct chela_audit_message m = {
		.struct_size = sizeof m,
		.is_outbound = is_outbound,
		.channel = "irc",
		.status = status,
		.conversation = kind,
		.account_id = "MARK-account",
		.chat_id = "MARK-chat",
		.message_id = "MARK-id",
		.sender_id = "MARK-sender",
		.target = "MARK-target",
		.agent_id = "main",
		.run_id = "r1",
	};

	return (svc->message(fake_ctx(f, ""), &m));
}

/* AB-100: who and where are no words of their own; off by default. */
static void
messages_are_recorded_without_names(void)
{
	struct fake		*f = up();
	struct json_object	*r;
	char			 ref[160];
	char			*key;

	CU_ASSERT_EQUAL(message(f, 0, "succeeded", "direct"), 0);
	r = fake_call(f, NULL, "audit.activity.list", "{}");
	CU_ASSERT_EQUAL(n_events(r), 0);
	json_object_put(r);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{\"logging\":{\"audit\":{"
	    "\"messages\":\"direct\"}}}"), 0);
	CU_ASSERT_EQUAL(message(f, 0, "succeeded", "direct"), 0);
	CU_ASSERT_EQUAL(message(f, 0, "succeeded", "group"), 0);
	CU_ASSERT_EQUAL(message(f, 0, "succeeded", "odd"), 0);
	fake_settle(f);
	r = fake_call(f, NULL, "audit.activity.list", "{}");
	CU_ASSERT_EQUAL_FATAL(n_events(r), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.eventType"),
	    "inbound_message");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.outcome"),
	    "completed");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.actor.type"),
	    "channel_sender");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.events.0.sessionKey"));
	(void)snprintf(ref, sizeof ref, "%s", fake_str(r,
	    "result.events.0.accountRef"));
	CU_ASSERT_EQUAL(strncmp(ref, "hmac-sha256:v1:", 15), 0);
	CU_ASSERT_EQUAL(strlen(ref), 15 + 32 + 1 + 64);
	CU_ASSERT_STRING_NOT_EQUAL(ref, fake_str(r,
	    "result.events.0.conversationRef"));
	json_object_put(r);
	/* The other list has no messages. */
	r = fake_call(f, NULL, "audit.list", "{}");
	CU_ASSERT_EQUAL(n_events(r), 0);
	json_object_put(r);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{\"logging\":{\"audit\":{"
	    "\"messages\":\"all\"}}}"), 0);
	CU_ASSERT_EQUAL(message(f, 1, "failed", "group"), 0);
	CU_ASSERT_EQUAL(message(f, 1, "unknown", NULL), 0);
	CU_ASSERT_EQUAL(message(f, 1, "blocked", NULL), -EINVAL);
	CU_ASSERT_EQUAL(message(f, 0, "unknown", NULL), -EINVAL);
	CU_ASSERT_EQUAL(message(f, 0, "odd", NULL), -EINVAL);
	/* The key outlives a restart: the same name has the same ref. */
	key = fake_kv(f, "audit", "message-key");
	CU_ASSERT_PTR_NOT_NULL(key);
	free(key);
	CU_ASSERT_EQUAL_FATAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_AUDIT_SERVICE);
	CU_ASSERT_EQUAL(message(f, 0, "failed", "direct"), 0);
	fake_settle(f);
	r = fake_call(f, NULL, "audit.activity.list", "{\"kind\":\"message\"}");
	CU_ASSERT_EQUAL(n_events(r), 4);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.errorCode"),
	    "message_processing_failed");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.0.accountRef"), ref);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.2.failureStage"),
	    "platform_send");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.events.2.actor.id"), "main");
	json_object_put(r);
	r = fake_call(f, NULL, "audit.activity.list",
	    "{\"direction\":\"outbound\",\"channel\":\"irc\"}");
	CU_ASSERT_EQUAL(n_events(r), 2);
	json_object_put(r);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "MARK"), 0);
	json_object_put(r);
	fake_free(f);
}

/* --- approvals and plugins, as far as they are asked for --- */

static const struct chela_record_watcher	*records_watcher;

static int
records_watch(const struct chela_record_watcher *w, void *arg)
{
	(void)arg;
	records_watcher = w;
	return (0);
}

static void
records_unwatch(const struct chela_record_watcher *w, void *arg)
{
	(void)arg;
	CU_ASSERT_PTR_EQUAL(records_watcher, w);
	records_watcher = NULL;
}

static const struct chela_approval_records_1 records_table = {
	.struct_size = sizeof records_table,
	.watch = records_watch,
	.unwatch = records_unwatch,
};

static struct chela_plugin_info	 plugin_rows[2];
static size_t			 n_plugin_rows;
static uint64_t			 plugins_gen;
static chela_cb_fn		*plugins_cb;

static uint64_t
plugins_generation(void)
{
	return (plugins_gen);
}

static int
plugins_each(int (*cb)(const struct chela_plugin_info *, void *), void *arg)
{
	size_t	i;

	for (i = 0; i < n_plugin_rows; i++)
		(void)cb(&plugin_rows[i], arg);
	return (0);
}

static int
plugins_on_change(struct chela_ctx *ctx, chela_cb_fn *fn, void *arg)
{
	(void)ctx;
	(void)arg;
	plugins_cb = fn;
	return (0);
}

static const struct chela_plugins_1 plugins_table = {
	.struct_size = sizeof plugins_table,
	.generation = plugins_generation,
	.each = plugins_each,
	.on_change = plugins_on_change,
};

static void
decisions_and_plugins_are_noted(void)
{
	struct fake		*f = fake_new();
	struct json_object	*r;
	struct chela_record_info info = {
		.struct_size = sizeof info,
		.id = "plugin:1",
		.kind = "plugin",
		.reason = "",
		.resolver_kind = "device",
		.resolver_id = "dev-1",
	};
	uint32_t		 s;

	n_plugin_rows = 1;
	plugins_gen = 1;
	plugin_rows[0] = (struct chela_plugin_info){ .id = "chat",
	    .state = CHELA_PLUGIN_ENABLED };
	plugin_rows[1] = (struct chela_plugin_info){ .id = "cron",
	    .state = CHELA_PLUGIN_ENABLED };
	fake_clock(f, T0);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "core", CHELA_PLUGINS_SERVICE,
	    &plugins_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "approvals",
	    CHELA_APPROVAL_RECORDS_SERVICE, &records_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "audit"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	fake_settle(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(records_watcher);
	CU_ASSERT_PTR_NOT_NULL_FATAL(plugins_cb);
	CU_ASSERT_EQUAL(records_watcher->opened(&info, NULL), 0);
	info.reason = "user";
	for (s = CHELA_RECORD_ALLOWED; s <= CHELA_RECORD_CANCELLED; s++) {
		info.status = s;
		records_watcher->ended(&info, NULL);
	}
	/* What was there at the start is no news. */
	plugins_cb(fake_ctx(f, "audit"), NULL);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "approval.requested"), 1);
	CU_ASSERT_EQUAL(count_text(r, "approval.resolved"), 4);
	CU_ASSERT_EQUAL(count_text(r, "plugin plugin:1 allowed (user)"), 1);
	CU_ASSERT_EQUAL(count_text(r, "dev-1"), 4);
	CU_ASSERT_EQUAL(count_text(r, "\"plugin.enabled\""), 0);
	json_object_put(r);
	n_plugin_rows = 2;
	plugin_rows[0].state = CHELA_PLUGIN_DISABLED;
	plugins_gen++;
	plugins_cb(fake_ctx(f, "audit"), NULL);
	n_plugin_rows = 1;
	plugins_gen++;
	plugins_cb(fake_ctx(f, "audit"), NULL);
	r = ledger(f);
	CU_ASSERT_EQUAL(count_text(r, "\"plugin.enabled\""), 1);
	CU_ASSERT_EQUAL(count_text(r, "\"plugin.disabled\""), 1);
	CU_ASSERT_EQUAL(count_text(r, "\"plugin.removed\""), 1);
	json_object_put(r);
	fake_free(f);
	CU_ASSERT_PTR_NULL(records_watcher);
}

static const struct cu_case cases[] = {
	CU_CASE(runs_are_recorded_without_words_AB_100),
	CU_CASE(newest_first_with_cursors),
	CU_CASE(filters_are_exact),
	CU_CASE(bad_questions_are_refused),
	CU_CASE(run_inspect_tells_known_from_unknown),
	CU_CASE(rules_are_enforced),
	CU_CASE(a_source_is_recorded_once),
	CU_CASE(repeated_failures_are_counted_AB_102),
	CU_CASE(texts_are_bounded_and_clean_AB_101),
	CU_CASE(configuration_changes_are_noted_without_names),
	CU_CASE(chain_goes_on_after_restart_and_failed_write),
	CU_CASE(messages_are_recorded_without_names),
	CU_CASE(decisions_and_plugins_are_noted),
	CU_CASE(old_rows_go_and_the_anchor_stays),
	CU_CASE(too_many_at_once_are_dropped),
	CU_END
};

CU_MAIN("audit", cases)
