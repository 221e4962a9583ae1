/* SPDX-License-Identifier: MIT */
/* Plugin system: presence lines, the queue, heartbeats, notes of a restart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>
#include <chela/services/state.h>
#include <chela/services/system.h>

#include "core/base/file.h"
#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define MAIN_KEY	"agent:main:main"

static struct fake		*f;
static struct json_object	*presence;	/* what was upserted, merged */

/* Presence as the core has it, as far as the plugin can tell. */
static int
presence_list(struct json_object **ret_list)
{
	return (json_object_deep_copy(presence, ret_list, NULL));
}

static int
presence_upsert(struct json_object *entry)
{
	struct json_object	*old, *a = NULL, *b = NULL;
	size_t			 i;

	(void)json_object_object_get_ex(entry, "host", &a);
	json_object_object_add(entry, "ts", json_object_new_int64(1));
	for (i = 0; i < json_object_array_length(presence); i++) {
		old = json_object_array_get_idx(presence, i);
		(void)json_object_object_get_ex(old, "host", &b);
		if (a != NULL && b != NULL && json_object_equal(a, b)) {
			json_object_object_foreach(entry, key, v) {
				json_object_object_add(old, key,
				    json_object_get(v));
			}
			json_object_put(entry);
			return (0);
		}
	}
	return (json_object_array_add(presence, entry));
}

static uint64_t
uptime_ms(void)
{
	return (42);
}

static const char *
version(void)
{
	return ("9.9");
}

static const char *
boot_id(void)
{
	return ("boot");
}

static uint32_t
port(void)
{
	return (18789);
}

static const struct chela_state_1 state = {
	.struct_size = sizeof state,
	.presence_list = presence_list,
	.presence_upsert = presence_upsert,
	.uptime_ms = uptime_ms,
	.version = version,
	.boot_id = boot_id,
	.port = port,
};

/* A model, an agent and its runs, as the test wants them. */
static int	 is_model;
static unsigned	 n_busy;
static unsigned	 n_started;
static char	 run_id[64];
static char	 run_key[128];
static uint32_t	 run_flags;
static char	 workspace[4096];
static const struct chela_agent_watcher *watch;

static int
models_configured(void)
{
	return (is_model);
}

static const struct chela_models_1 models = {
	.struct_size = sizeof models,
	.configured = models_configured,
};

static int
agent_start(const struct chela_agent_start *rq, const char **ret_why)
{
	(void)ret_why;
	n_started++;
	(void)snprintf(run_id, sizeof run_id, "%s", rq->run_id);
	(void)snprintf(run_key, sizeof run_key, "%s", rq->session_key);
	run_flags = rq->flags;
	return (0);
}

static int
agent_each(const char *key, int (*cb)(const struct chela_agent_run *run,
    void *arg), void *arg)
{
	struct chela_agent_run	 run = { .struct_size = sizeof run };

	(void)key;
	if (n_busy == 0)
		return (0);
	n_busy--;
	return (cb(&run, arg));
}

static int
agent_watch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	watch = w;
	return (0);
}

static void
agent_unwatch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	CU_ASSERT(w == watch);
	watch = NULL;
}

static const struct chela_agent_1 agent = {
	.struct_size = sizeof agent,
	.start = agent_start,
	.each = agent_each,
	.watch = agent_watch,
	.unwatch = agent_unwatch,
};

static int
agents_info(const char *id, struct chela_agent_info *ret_info)
{
	(void)id;
	(void)snprintf(ret_info->workspace, sizeof ret_info->workspace, "%s",
	    workspace);
	return (0);
}

static const struct chela_agents_1 agents = {
	.struct_size = sizeof agents,
	.info = agents_info,
};

static void
begin_with(const char *conf, bool has_agent)
{
	presence = json_object_new_array();
	is_model = 0;
	n_busy = n_started = 0;
	watch = NULL;
	f = fake_new();
	CU_ASSERT_FATAL(f != NULL);
	(void)snprintf(workspace, sizeof workspace, "%s/ws",
	    fake_host(f)->state_dir());
	CU_ASSERT(file_mkdirs(workspace, 0700) == 0);
	fake_clock(f, 1700000000000);
	CU_ASSERT(fake_conf(f, conf) == 0);
	CU_ASSERT(fake_service(f, "core", CHELA_STATE_SERVICE, &state) == 0);
	if (has_agent) {
		CU_ASSERT(fake_service(f, "agent", CHELA_AGENT_SERVICE,
		    &agent) == 0);
		CU_ASSERT(fake_service(f, "agents", CHELA_AGENTS_SERVICE,
		    &agents) == 0);
		CU_ASSERT(fake_service(f, "models", CHELA_MODELS_SERVICE,
		    &models) == 0);
		is_model = 1;
	}
	CU_ASSERT_FATAL(fake_load(f, "system") == 0);
	CU_ASSERT_FATAL(fake_start(f) == 0);
}

static void
begin(void)
{
	begin_with("{}", false);
}

static void
end(void)
{
	fake_free(f);
	json_object_put(presence);
}

static void
call_ok(const char *method, const char *params)
{
	struct json_object	*o = fake_call(f, NULL, method, params);

	CU_ASSERT_FATAL(o != NULL);
	if (!fake_ok(o))
		(void)fprintf(stderr, "\n%s %s: %s\n", method, params,
		    json_object_to_json_string(o));
	CU_ASSERT(fake_ok(o));
	json_object_put(o);
}

static void
refuses(const char *method, const char *params, const char *message)
{
	struct json_object	*o = fake_call(f, NULL, method, params);

	CU_ASSERT_FATAL(o != NULL);
	CU_ASSERT(!fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_code(o), "INVALID_REQUEST");
	if (strstr(fake_message(o), message) == NULL) {
		(void)fprintf(stderr, "\n%s\n", fake_message(o));
		CU_FAIL("another message");
	}
	json_object_put(o);
}

/* What waits for a session, taken: the texts joined by "|". */
static const char *
taken(const char *key)
{
	static char			 text[8192];
	const struct chela_system_1	*svc;
	struct json_object		*list = NULL, *v;
	size_t				 i;

	text[0] = '\0';
	svc = fake_import(f, CHELA_SYSTEM_SERVICE);
	CU_ASSERT_FATAL(svc != NULL && svc->take_events(key, &list) == 0);
	for (i = 0; i < json_object_array_length(list); i++) {
		(void)json_object_object_get_ex(json_object_array_get_idx(list,
		    i), "text", &v);
		(void)strncat(text, json_object_get_string(v), 1000);
		(void)strncat(text, "|", 2);
	}
	json_object_put(list);
	return (text);
}

static void
node_line_becomes_presence(void)
{
	struct json_object	*o;

	begin();
	call_ok("system-event", "{\"text\":\"Node: desk (10.0.0.9) \xc2\xb7 app "
	    "1.2 \xc2\xb7 last input 7s ago \xc2\xb7 mode local \xc2\xb7 reason "
	    "launch\",\"tags\":[\"x\"],\"roles\":[\"node\"],\"platform\":\"\"}");
	o = fake_call(f, NULL, "system-presence", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.0.host"), "desk");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.0.ip"), "10.0.0.9");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.0.version"), "1.2");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.0.mode"), "local");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.0.reason"), "launch");
	CU_ASSERT(fake_int(o, "result.0.lastInputSeconds") == 7);
	CU_ASSERT(fake_get(o, "result.0.tags") == NULL);
	CU_ASSERT(fake_get(o, "result.0.platform") == NULL);
	json_object_put(o);
	end();
}

static void
only_news_of_a_node_waits(void)
{
	begin();
	call_ok("system-event", "{\"text\":\"Node: desk (10.0.0.9) \xc2\xb7 mode "
	    "local \xc2\xb7 reason launch\"}");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "Node: desk (10.0.0.9) \xc2\xb7 "
	    "mode local \xc2\xb7 reason launch|");
	call_ok("system-event", "{\"text\":\"Node: desk (10.0.0.9) \xc2\xb7 mode "
	    "local \xc2\xb7 reason periodic-5\"}");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "");
	call_ok("system-event", "{\"text\":\"Node: desk (10.0.0.9) \xc2\xb7 mode "
	    "remote \xc2\xb7 reason heartbeat\"}");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "mode remote|");
	/* Members of the call win over the line. */
	call_ok("system-event", "{\"text\":\"Node: desk \xc2\xb7 mode remote\","
	    "\"version\":\"2\"}");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "app 2|");
	end();
}

static void
other_lines_wait_as_they_are(void)
{
	begin();
	call_ok("system-event", "{\"text\":\"battery low\"}");
	call_ok("system-event", "{\"text\":\"battery low\"}");
	call_ok("system-event", "{\"text\":\"battery gone\"}");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "battery low|battery gone|");
	CU_ASSERT_STRING_EQUAL(taken(NULL), "");
	refuses("system-event", "{}", "must have required property 'text'");
	refuses("system-event", "{\"text\":\"  \"}", "text required");
	refuses("system-event", "{\"text\":\"x\",\"y\":1}",
	    "unexpected property 'y'");
	refuses("system-event", "{\"text\":\"Node: x\",\"wake\":true}",
	    "wake is not supported");
	end();
}

static void
the_queue_is_bounded(void)
{
	const struct chela_system_1	*svc;
	char				 text[64];
	unsigned			 i;

	begin();
	svc = fake_import(f, CHELA_SYSTEM_SERVICE);
	for (i = 0; i < 19; i++) {
		(void)snprintf(text, sizeof text, "e%u", i);
		CU_ASSERT(svc->add_event(NULL, text) == 0);
	}
	CU_ASSERT(strncmp(taken(NULL), "e0|", 3) == 0);
	for (i = 0; i < 21; i++) {
		(void)snprintf(text, sizeof text, "e%u", i);
		CU_ASSERT(svc->add_event("main", text) == 0);
	}
	CU_ASSERT(strncmp(taken(MAIN_KEY), "e1|", 3) == 0);
	CU_ASSERT(svc->add_event(NULL, "again") == 0);
	CU_ASSERT(svc->add_event("main", "again") == 1);
	CU_ASSERT_STRING_EQUAL(taken(MAIN_KEY), "again|");
	CU_ASSERT(svc->add_event(NULL, " \n") == -EINVAL);
	for (i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof text, "agent:main:s%u", i);
		CU_ASSERT(svc->add_event(text, "x") == 0);
	}
	CU_ASSERT(svc->add_event("agent:main:one-more", "x") == -ENOSPC);
	CU_ASSERT(svc->add_event("agent:main:s5", "y") == 0);
	end();
}

static void
beat_is(const char *status, const char *reason)
{
	struct json_object	*o = fake_call(f, NULL, "last-heartbeat", "{}");

	CU_ASSERT(fake_ok(o));
	if (strcmp(fake_str(o, "result.status"), status) != 0 ||
	    strcmp(fake_str(o, "result.reason"), reason) != 0) {
		(void)fprintf(stderr, "\n%s\n", json_object_to_json_string(o));
		CU_FAIL("another heartbeat");
	}
	json_object_put(o);
}

static void
wake_queues_and_asks(void)
{
	struct json_object	*o;

	begin();
	o = fake_call(f, NULL, "last-heartbeat", "{}");
	CU_ASSERT(fake_ok(o) && fake_get(o, "result") == NULL);
	json_object_put(o);
	o = fake_call(f, NULL, "wake", "{\"mode\":\"now\",\"text\":\" \"}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT(!json_object_get_boolean(fake_get(o, "result.ok")));
	json_object_put(o);
	refuses("wake", "{\"mode\":\"later\",\"text\":\"x\"}", "/mode");
	call_ok("wake", "{\"mode\":\"next-heartbeat\",\"text\":\"a\","
	    "\"anything\":1}");
	fake_advance(f, SEC_US(10));
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 0);
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"b\"}");
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"c\"}");
	fake_advance(f, MS_US(200));
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 0);
	fake_advance(f, MS_US(100));
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 1);
	beat_is("skipped", "no-model-configured");
	/* What was not told yet still waits. */
	CU_ASSERT_STRING_EQUAL(taken(NULL), "a|b|c|");
	end();
}

static void
heartbeats_can_be_off(void)
{
	begin_with("{}", true);
	call_ok("set-heartbeats", "{\"enabled\":false}");
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(1));
	beat_is("skipped", "disabled");
	CU_ASSERT(n_started == 0);
	refuses("set-heartbeats", "{}",
	    "invalid set-heartbeats params: enabled (boolean) required");
	refuses("set-heartbeats", "{\"enabled\":1}", "(boolean) required");
	end();
	begin_with("{\"agents\":{\"defaults\":{\"heartbeat\":{\"every\":\"0m\"}}}}",
	    true);
	fake_advance(f, SEC_US(86400));
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 0);
	end();
}

static void
run_says(uint32_t kind, const char *all)
{
	struct chela_agent_event	 ev = { .struct_size = sizeof ev,
		.kind = kind, .run_id = run_id, .all = all,
		.all_len = all == NULL ? 0 : strlen(all) };

	CU_ASSERT_FATAL(watch != NULL);
	watch->event(&ev, NULL);
}

static void
run_ends(uint32_t kind, const char *all, const char *status, const char *reason)
{
	unsigned	 n = n_started;

	call_ok("wake", "{\"mode\":\"now\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(1));
	CU_ASSERT(n_started == n + 1);
	CU_ASSERT_STRING_EQUAL(run_key, MAIN_KEY);
	CU_ASSERT((run_flags & CHELA_AGENT_HEARTBEAT) != 0);
	run_says(CHELA_AGENT_DELTA, "x");
	run_says(kind, all);
	beat_is(status, reason);
	run_says(kind, all);	/* no longer ours */
}

static void
runs_are_judged_by_their_answer(void)
{
	begin_with("{}", true);
	run_ends(CHELA_AGENT_FINAL, "HEARTBEAT_OK", "ok-token", "");
	run_ends(CHELA_AGENT_FINAL, " all is well. HEARTBEAT_OK\n", "ok-token",
	    "");
	run_ends(CHELA_AGENT_FINAL, " \n", "ok-empty", "");
	run_ends(CHELA_AGENT_FINAL, "the house is on fire", "sent", "");
	run_ends(CHELA_AGENT_ERROR, NULL, "failed", "agent-runner-failure");
	run_ends(CHELA_AGENT_ABORTED, NULL, "failed", "aborted");
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 6);
	end();
}

static void
a_busy_session_is_tried_again(void)
{
	begin_with("{}", true);
	n_busy = 3;
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(1));
	CU_ASSERT(n_started == 0);
	fake_advance(f, SEC_US(3));
	CU_ASSERT(n_started == 1);
	n_busy = 1000;
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(130));
	CU_ASSERT(n_started == 1);
	beat_is("skipped", "requests-in-flight");
	end();
}

static bool
has_beat(void *arg)
{
	return (fake_count(f, NULL, "heartbeat") >= *(size_t *)arg);
}

static void
the_clock_runs_only_what_has_something_to_do(void)
{
	char	 path[4200];
	size_t	 n = 1;

	begin_with("{\"agents\":{\"defaults\":{\"heartbeat\":{\"every\":\"1h30m\"}}}}",
	    true);
	fake_advance(f, SEC_US(5399));
	CU_ASSERT(fake_count(f, NULL, "heartbeat") == 0);
	fake_advance(f, SEC_US(2));
	CU_ASSERT(fake_wait(f, has_beat, &n) == 0);
	beat_is("skipped", "empty-heartbeat-file");
	CU_ASSERT(n_started == 0);
	/* Headings alone ask for nothing. */
	(void)snprintf(path, sizeof path, "%s/HEARTBEAT.md", workspace);
	CU_ASSERT(file_write_atomic(path, "# Tasks\n\n- [ ] \n- \n", 19, 0600)
	    == 0);
	fake_advance(f, SEC_US(5401));
	n = 2;
	CU_ASSERT(fake_wait(f, has_beat, &n) == 0);
	CU_ASSERT(n_started == 0);
	/* A text that waits is enough, whatever the file says. */
	call_ok("wake", "{\"mode\":\"next-heartbeat\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(5401));
	CU_ASSERT(n_started == 1);
	run_says(CHELA_AGENT_FINAL, "HEARTBEAT_OK");
	end();
}

static bool
has_started(void *arg)
{
	(void)arg;
	fake_advance(f, MS_US(1));	/* the request that follows the look */
	return (n_started == 1);
}

static void
the_clock_runs_what_the_file_asks(void)
{
	char	 path[4200];

	begin_with("{}", true);
	(void)snprintf(path, sizeof path, "%s/HEARTBEAT.md", workspace);
	CU_ASSERT(file_write_atomic(path, "- water the plants\n", 19, 0600) ==
	    0);
	fake_advance(f, SEC_US(1801));
	CU_ASSERT(fake_wait(f, has_started, NULL) == 0);
	CU_ASSERT(n_started == 1);
	end();
}

static void
the_last_heartbeat_survives(void)
{
	begin();
	call_ok("wake", "{\"mode\":\"now\",\"text\":\"x\"}");
	fake_advance(f, SEC_US(1));
	beat_is("skipped", "no-model-configured");
	CU_ASSERT(fake_restart(f) == 0);
	beat_is("skipped", "no-model-configured");
	end();
}

static bool
has_note(void *arg)
{
	const struct chela_system_1	*svc = fake_import(f,
					    CHELA_SYSTEM_SERVICE);
	struct json_object		*list = NULL;
	bool				 has;

	(void)arg;
	if (svc->peek_events("agent:main:desk", &list) < 0)
		return (false);
	has = json_object_array_length(list) > 0;
	json_object_put(list);
	return (has);
}

static void
a_note_is_told_once(void)
{
	char		 path[4200];
	const char	*text = "{\"version\":1,\"payload\":{\"kind\":"
	    "\"config-patch\",\"message\":\"port changed\",\"sessionKey\":"
	    "\"agent:main:desk\"}}";

	begin();
	fake_settle(f);		/* this start has looked, and found none */
	(void)snprintf(path, sizeof path, "%s/restart-sentinel.json",
	    fake_host(f)->state_dir());
	CU_ASSERT(file_write_atomic(path, text, strlen(text), 0600) == 0);
	CU_ASSERT(fake_restart(f) == 0);
	CU_ASSERT(fake_wait(f, has_note, NULL) == 0);
	CU_ASSERT_STRING_EQUAL(taken("agent:main:desk"), "port changed|");
	fake_settle(f);
	CU_ASSERT(access(path, F_OK) < 0);
	end();
}

static void
the_machine_is_told(void)
{
	struct json_object	*o;
	char			 name[256];

	begin();
	o = fake_call(f, NULL, "system.info", "{}");
	CU_ASSERT_FATAL(o != NULL && fake_ok(o));
	CU_ASSERT(gethostname(name, sizeof name) == 0);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.hostname"), name);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.platform"), "linux");
	CU_ASSERT(fake_int(o, "result.pid") == (int64_t)getpid());
	CU_ASSERT(fake_int(o, "result.uptimeMs") == 42);
	CU_ASSERT(fake_int(o, "result.cpuCount") >= 1);
	CU_ASSERT(fake_int(o, "result.memoryTotalBytes") >
	    fake_int(o, "result.memoryFreeBytes"));
	CU_ASSERT(fake_int(o, "result.diskTotalBytes") > 0);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.nodeVersion"), "chela 9.9");
	json_object_put(o);
	end();
}

static const struct cu_case cases[] = {
	CU_CASE(node_line_becomes_presence),
	CU_CASE(only_news_of_a_node_waits),
	CU_CASE(other_lines_wait_as_they_are),
	CU_CASE(the_queue_is_bounded),
	CU_CASE(wake_queues_and_asks),
	CU_CASE(heartbeats_can_be_off),
	CU_CASE(runs_are_judged_by_their_answer),
	CU_CASE(a_busy_session_is_tried_again),
	CU_CASE(the_clock_runs_only_what_has_something_to_do),
	CU_CASE(the_clock_runs_what_the_file_asks),
	CU_CASE(the_last_heartbeat_survives),
	CU_CASE(a_note_is_told_once),
	CU_CASE(the_machine_is_told),
	CU_END
};
CU_MAIN("plugin system", cases)
