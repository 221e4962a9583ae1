/* SPDX-License-Identifier: MIT */
/* Plugin health: the cache, probes, who sees what. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/channel.h>
#include <chela/services/sessions.h>
#include <chela/services/state.h>
#include <chela/services/system.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static struct fake		*f;
static struct json_object	*health;	/* what was set last */
static uint64_t			 health_us;

static struct json_object *
health_get(void)
{
	return (health);
}

static int
health_set(struct json_object *o)
{
	json_object_put(health);
	health = o;
	health_us = fake_host(f)->now_us();
	return (0);
}

static uint64_t
health_age_us(void)
{
	return (health == NULL ? UINT64_MAX : fake_host(f)->now_us() -
	    health_us);
}

static struct json_object *
event_loop(void)
{
	return (json_tokener_parse("{\"degraded\":false,\"reasons\":[]}"));
}

static struct json_object *
plugins(void)
{
	return (json_tokener_parse(
	    "{\"loaded\":[\"health\"],\"errors\":[],\"unavailable\":[]}"));
}

static uint64_t
uptime_ms(void)
{
	return (7);
}

static const char *
version(void)
{
	return ("9.9");
}

static uint32_t
n_connections(void)
{
	return (3);
}

static const struct chela_state_1 state = {
	.struct_size = sizeof state,
	.health_get = health_get,
	.health_set = health_set,
	.health_age_us = health_age_us,
	.event_loop = event_loop,
	.plugins = plugins,
	.uptime_ms = uptime_ms,
	.version = version,
	.n_connections = n_connections,
};

/* A channel that answers probes when the test says so. */
static unsigned			 n_probes;
static chela_channel_probe_fn	*probe_fn;
static void			*probe_arg;

static int
ch_configured(void)
{
	return (1);
}

static const char *
ch_default_account(void)
{
	return ("a");
}

static int
ch_accounts(struct json_object **ret)
{
	*ret = json_tokener_parse(
	    "[{\"accountId\":\"a\",\"running\":true},{\"accountId\":\"b\"}]");
	return (0);
}

static int
ch_probe(const char *account_id, uint64_t timeout_us,
    chela_channel_probe_fn *done, void *arg)
{
	CU_ASSERT(account_id == NULL);
	CU_ASSERT(timeout_us == SEC_US(10));
	n_probes++;
	probe_fn = done;
	probe_arg = arg;
	return (0);
}

static const struct chela_channel_1 channel = {
	.struct_size = sizeof channel,
	.id = "pipe",
	.label = "Pipe",
	.configured = ch_configured,
	.default_account = ch_default_account,
	.accounts = ch_accounts,
	.probe = ch_probe,
};

static void
probe_answers(void)
{
	struct json_object	*o = json_tokener_parse("{\"ok\":true}");
	chela_channel_probe_fn	*fn = probe_fn;

	CU_ASSERT_FATAL(fn != NULL);
	probe_fn = NULL;
	fn(o, probe_arg);
	json_object_put(o);
}

/* Seven sessions, newest first. */
static int
sessions_each(const char *agent_id, int (*cb)(
    const struct chela_session_info *info, void *arg), void *arg)
{
	struct chela_session_info	 info = { .struct_size = sizeof info };
	char				 key[32];
	int				 i, r = 0;

	(void)agent_id;
	for (i = 0; r == 0 && i < 7; i++) {
		(void)snprintf(key, sizeof key, "agent:main:s%d", i);
		info.key = key;
		info.updated_at_ms = 1700000000000 - (uint64_t)i;
		r = cb(&info, arg);
	}
	return (r);
}

static struct json_object *
sessions_defaults(const char *agent_id)
{
	(void)agent_id;
	return (json_tokener_parse("{\"model\":\"x/y\",\"contextTokens\":5}"));
}

static const struct chela_sessions_1 sessions = {
	.struct_size = sizeof sessions,
	.each = sessions_each,
	.defaults = sessions_defaults,
};

static struct json_object *
all_events(void)
{
	return (json_tokener_parse("[{\"text\":\"waits\"}]"));
}

static const struct chela_system_1 sysevents = {
	.struct_size = sizeof sysevents,
	.all_events = all_events,
};

static void
begin(const char *conf)
{
	health = NULL;
	n_probes = 0;
	probe_fn = NULL;
	f = fake_new();
	CU_ASSERT_FATAL(f != NULL);
	fake_clock(f, 1700000000000);
	CU_ASSERT(fake_conf(f, conf) == 0);
	CU_ASSERT(fake_service(f, "core", CHELA_STATE_SERVICE, &state) == 0);
	CU_ASSERT(fake_service(f, "channel-pipe", CHELA_CHANNEL_SERVICE,
	    &channel) == 0);
	CU_ASSERT(fake_service(f, "sessions", CHELA_SESSIONS_SERVICE,
	    &sessions) == 0);
	CU_ASSERT(fake_service(f, "system", CHELA_SYSTEM_SERVICE, &sysevents)
	    == 0);
	CU_ASSERT_FATAL(fake_load(f, "health") == 0);
	CU_ASSERT_FATAL(fake_start(f) == 0);
	fake_advance(f, 1);	/* the first refresh */
}

static void
end(void)
{
	fake_free(f);
	json_object_put(health);
	health = NULL;
}

static struct json_object *
ask(const char *params)
{
	struct json_object	*o = fake_call(f, NULL, "health", params);

	CU_ASSERT_FATAL(o != NULL);
	if (!fake_ok(o))
		(void)fprintf(stderr, "\n%s\n", json_object_to_json_string(o));
	CU_ASSERT(fake_ok(o));
	return (o);
}

static void
summary_has_what_is_known(void)
{
	struct json_object	*o;

	begin("{\"agents\":{\"defaults\":{\"heartbeat\":{\"every\":\"1h\"}}}}");
	CU_ASSERT(fake_count(f, NULL, "health") == 1);
	o = ask("{}");
	CU_ASSERT(json_object_get_boolean(fake_get(o, "result.ok")));
	CU_ASSERT(fake_int(o, "result.heartbeatSeconds") == 3600);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.defaultAgentId"), "main");
	CU_ASSERT(fake_int(o, "result.agents.0.heartbeat.everyMs") == 3600000);
	CU_ASSERT(fake_int(o, "result.sessions.count") == 7);
	CU_ASSERT(json_object_array_length(fake_get(o,
	    "result.sessions.recent")) == 5);
	CU_ASSERT(fake_int(o, "result.sessions.recent.2.age") >= 2);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.channelOrder.0"), "pipe");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.channelLabels.pipe"),
	    "Pipe");
	CU_ASSERT(json_object_get_boolean(fake_get(o,
	    "result.channels.pipe.running")));
	CU_ASSERT(fake_get(o, "result.channels.pipe.accounts.b") != NULL);
	CU_ASSERT(fake_get(o, "result.channels.pipe.probe") == NULL);
	CU_ASSERT_STRING_EQUAL(fake_str(o,
	    "result.configReload.hotReloadStatus"), "active");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.plugins.loaded.0"),
	    "health");
	json_object_put(o);
	end();
}

static void
the_cache_lasts_a_minute(void)
{
	struct json_object	*o;

	begin("{}");
	fake_advance(f, SEC_US(50));
	o = ask("{}");
	CU_ASSERT(fake_int(o, "result.ts") < 1700000001000);
	CU_ASSERT(n_probes == 0);
	json_object_put(o);
	/* Then it is made anew without being asked for, with probes. */
	fake_advance(f, SEC_US(11));
	CU_ASSERT(n_probes == 1);
	CU_ASSERT(fake_count(f, NULL, "health") == 1);
	probe_answers();
	CU_ASSERT(fake_count(f, NULL, "health") == 2);
	o = ask("{}");
	CU_ASSERT(fake_int(o, "result.ts") > 1700000059000);
	CU_ASSERT(json_object_get_boolean(fake_get(o,
	    "result.channels.pipe.probe.ok")));
	json_object_put(o);
	end();
}

static void
probing_callers_share_one_refresh(void)
{
	struct fake_req	*a, *b;

	begin("{}");
	a = fake_send(f, NULL, "health", "{\"probe\":true}");
	b = fake_send(f, NULL, "health", "{\"probe\":true,\"x\":1}");
	fake_settle(f);
	CU_ASSERT(n_probes == 1);
	CU_ASSERT(fake_reply_now(a) == NULL);
	probe_answers();
	fake_settle(f);
	CU_ASSERT(fake_reply_now(a) != NULL && fake_ok(fake_reply_now(a)));
	CU_ASSERT(fake_reply_now(b) != NULL && fake_ok(fake_reply_now(b)));
	fake_req_free(a);
	fake_req_free(b);
	end();
}

/* AB-096 */
static void
stopping_lets_nobody_wait(void)
{
	struct fake_req		*a;

	begin("{}");
	a = fake_send(f, NULL, "health", "{\"probe\":true}");
	fake_settle(f);
	CU_ASSERT(fake_restart(f) == 0);
	CU_ASSERT_STRING_EQUAL(fake_code(fake_reply_now(a)), "UNAVAILABLE");
	probe_answers();	/* to a refresh that is gone */
	fake_req_free(a);
	end();
}

static void
everybody_may_ask_for_health(void)
{
	struct fake_conn_opt	 node = { .role = CHELA_ROLE_NODE,
		.scopes = "" };
	struct json_object	*o;

	begin("{}");
	o = fake_call(f, fake_conn_new(f, &node), "health", "{}");
	CU_ASSERT(fake_ok(o));
	json_object_put(o);
	o = fake_call(f, fake_conn_new(f, &node), "status", "{}");
	CU_ASSERT(!fake_ok(o));
	json_object_put(o);
	end();
}

static void
status_shows_more_to_administrators(void)
{
	struct fake_conn_opt	 reader = { .scopes = "read" };
	struct json_object	*o;

	begin("{}");
	o = fake_call(f, NULL, "status", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.runtimeVersion"), "9.9");
	CU_ASSERT(fake_int(o, "result.pid") == (int64_t)getpid());
	CU_ASSERT(fake_int(o, "result.processMemory.rssBytes") > 0);
	CU_ASSERT(fake_int(o, "result.processFiles.open") > 2);
	CU_ASSERT(fake_int(o, "result.connections") == 3);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.queuedSystemEvents.0"),
	    "waits");
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.sessions.defaults.model"),
	    "x/y");
	CU_ASSERT(json_object_array_length(fake_get(o,
	    "result.sessions.recent")) == 7);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.channelSummary.0"),
	    "Pipe: configured");
	json_object_put(o);

	o = fake_call(f, fake_conn_new(f, &reader), "status", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT(json_object_array_length(fake_get(o,
	    "result.sessions.recent")) == 0);
	CU_ASSERT(json_object_array_length(fake_get(o,
	    "result.sessions.paths")) == 0);
	CU_ASSERT(json_object_array_length(fake_get(o,
	    "result.queuedSystemEvents")) == 0);
	CU_ASSERT(fake_get(o, "result.sessions.defaults.model") == NULL);
	CU_ASSERT(fake_int(o, "result.sessions.count") == 7);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.sessions.byAgent.0.path"),
	    "[redacted]");
	json_object_put(o);
	end();
}

static const struct cu_case cases[] = {
	CU_CASE(summary_has_what_is_known),
	CU_CASE(the_cache_lasts_a_minute),
	CU_CASE(probing_callers_share_one_refresh),
	CU_CASE(stopping_lets_nobody_wait),
	CU_CASE(everybody_may_ask_for_health),
	CU_CASE(status_shows_more_to_administrators),
	CU_END
};
CU_MAIN("plugin health", cases)
