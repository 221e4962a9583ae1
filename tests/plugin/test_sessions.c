/* SPDX-License-Identifier: MIT */
/* Plugin sessions: keys, entries, transcripts, lists, events, usage. */
#include <string.h>

#include <chela/services/sessions.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define WALL	UINT64_C(1767225600000)	/* 2026-01-01 */

static const struct chela_sessions_1	*svc;
static bool				 is_done;
static int				 last_r;

static bool
done_now(void *arg)
{
	(void)arg;
	return (is_done);
}

static void
appended(int r, uint64_t seq, const char *id, void *arg)
{
	(void)seq;
	(void)id;
	(void)arg;
	last_r = r;
	is_done = true;
}

static struct fake *
begin(const char *conf)
{
	struct fake *f = fake_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fake_clock(f, WALL);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "sessions"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_SESSIONS_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc);
	return (f);
}

static void
add_row(struct fake *f, const char *key, const char *json)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = key,
		.row = json_tokener_parse(json),
	};

	(void)svc->ensure(key, NULL, "operator");
	is_done = false;
	CU_ASSERT_EQUAL(svc->append(&in, appended, NULL), 0);
	CU_ASSERT_EQUAL(fake_wait(f, done_now, NULL), 0);
	CU_ASSERT_EQUAL(last_r, 0);
}

static void
add_text(struct fake *f, const char *key, const char *role, const char *text)
{
	char json[512];

	(void)snprintf(json, sizeof json,
	    "{\"role\":\"%s\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]}",
	    role, text);
	add_row(f, key, json);
}

/* AB-073 */
static void
keys_have_one_spelling(void)
{
	static const struct {
		const char	*in;
		const char	*agent;
		const char	*out;	/* NULL: refused */
	} t[] = {
		{ "main", NULL, "agent:main:main" },
		{ "MAIN", NULL, "agent:main:main" },
		{ " main ", NULL, "agent:main:main" },
		{ "agent:main:main", NULL, "agent:main:main" },
		{ "agent:Ops Team:x", NULL, "agent:ops-team:x" },
		{ "agent:ops:main", NULL, "agent:ops:main" },
		{ "agent:ops", NULL, "agent:ops:main" },
		{ "foo", NULL, "agent:main:foo" },
		{ "foo", "ops", "agent:ops:foo" },
		{ "agent:main:a:b", "main", "agent:main:a:b" },
		{ "agent:main:a", "ops", NULL },
		{ "global", NULL, "global" },
		{ "unknown", NULL, "unknown" },
		{ "", NULL, NULL },
		{ "a\nb", NULL, NULL },
	};
	char		 key[CHELA_SESSION_KEY_MAX + 1], *longest;
	struct fake	*f = begin("{}");
	size_t		 i;
	int		 r;

	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		r = svc->canonical(t[i].in, t[i].agent, key);
		if (t[i].out == NULL) {
			CU_ASSERT(r < 0);
			continue;
		}
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_STRING_EQUAL(key, t[i].out);
	}
	longest = calloc(1, CHELA_SESSION_KEY_MAX + 2);
	memset(longest, 'k', CHELA_SESSION_KEY_MAX - strlen("agent:main:"));
	CU_ASSERT_EQUAL(svc->canonical(longest, NULL, key), 0);
	CU_ASSERT_EQUAL(strlen(key), CHELA_SESSION_KEY_MAX);
	longest[strlen(longest)] = 'k';
	CU_ASSERT(svc->canonical(longest, NULL, key) < 0);
	free(longest);
	fake_free(f);
}

static void
configuration_names_the_main_session(void)
{
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct fake	*f;

	f = begin("{\"session\":{\"mainKey\":\"Home\"},\"agents\":{\"list\":"
	    "[{\"id\":\"ops\"},{\"id\":\"dev\",\"default\":true}]}}");
	CU_ASSERT_EQUAL(svc->canonical("main", NULL, key), 0);
	CU_ASSERT_STRING_EQUAL(key, "agent:dev:home");
	CU_ASSERT_EQUAL(svc->canonical("agent:ops:main", NULL, key), 0);
	CU_ASSERT_STRING_EQUAL(key, "agent:ops:home");
	CU_ASSERT_EQUAL(svc->agent_id("OPS", key), 0);
	CU_ASSERT(svc->agent_id("nobody", key) < 0);
	fake_free(f);
	f = begin("{\"session\":{\"scope\":\"global\"}}");
	CU_ASSERT_EQUAL(svc->main_key(NULL, key), 0);
	CU_ASSERT_STRING_EQUAL(key, "global");
	fake_free(f);
}

static void
empty_list_has_all_members(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*r = fake_call(f, NULL, "sessions.list", "{}");

	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(fake_int(r, "result.count"), 0);
	CU_ASSERT_EQUAL(fake_int(r, "result.limitApplied"), 100);
	CU_ASSERT(json_object_is_type(fake_get(r, "result.defaults"),
	    json_type_object));
	CU_ASSERT(json_object_is_type(fake_get(r, "result.sessions"),
	    json_type_array));
	CU_ASSERT(json_object_is_type(fake_get(r, "result.owners"),
	    json_type_array));
	json_object_put(r);
	fake_free(f);
}

static void
lists_are_paged_sorted_and_searched(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");
	char			 key[64];
	int			 i;

	for (i = 0; i < 25; i++) {
		(void)snprintf(key, sizeof key, "agent:main:s%02d", i);
		add_text(f, key, "user", i == 7 ? "about the weather" :
		    "something");
		fake_advance(f, 1000000);
	}
	r = fake_call(f, NULL, "sessions.list", "{\"limit\":10}");
	CU_ASSERT_EQUAL(fake_int(r, "result.totalCount"), 25);
	CU_ASSERT_EQUAL(fake_int(r, "result.nextOffset"), 10);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessions.0.key"),
	    "agent:main:s24");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.list", "{\"limit\":10,\"offset\":20}");
	CU_ASSERT_EQUAL(fake_int(r, "result.count"), 5);
	CU_ASSERT_PTR_NULL(fake_get(r, "result.nextOffset"));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessions.4.key"),
	    "agent:main:s00");
	json_object_put(r);
	/* A new row moves a session to the top. */
	add_text(f, "agent:main:s03", "user", "again");
	r = fake_call(f, NULL, "sessions.list",
	    "{\"search\":\"S03\",\"includeDerivedTitles\":true,"
	    "\"includeLastMessage\":true}");
	CU_ASSERT_EQUAL(fake_int(r, "result.count"), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessions.0.derivedTitle"),
	    "something");
	CU_ASSERT_STRING_EQUAL(
	    fake_str(r, "result.sessions.0.lastMessagePreview"), "again");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.list", "{\"limit\":1}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.sessions.0.key"),
	    "agent:main:s03");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.search", "{\"query\":\"WEATHER\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.results.0.sessionKey"),
	    "agent:main:s07");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.results.0.snippet"),
	    "about the weather");
	json_object_put(r);
	fake_free(f);
}

static void
rows_are_stored_as_history_gives_them(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	add_text(f, "main", "assistant", "two");
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 2);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.messages.1.role"),
	    "assistant");
	CU_ASSERT_EQUAL(fake_int(r, "result.messages.1.__openclaw.seq"), 2);
	CU_ASSERT_EQUAL(strlen(fake_str(r, "result.messages.1.__openclaw.id")),
	    36);
	CU_ASSERT_EQUAL(fake_int(r, "result.messages.0.timestamp"), WALL);
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.preview",
	    "{\"keys\":[\"main\",\"nothing\"]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.previews.0.status"), "ok");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.previews.0.items.1.text"),
	    "two");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.previews.1.status"),
	    "missing");
	json_object_put(r);
	fake_free(f);
}

static void
rows_are_announced_once(void)
{
	struct chela_conn	*all, *one, *both, *none;
	struct fake		*f = begin("{}");

	all = fake_conn_new(f, NULL);
	one = fake_conn_new(f, NULL);
	both = fake_conn_new(f, NULL);
	none = fake_conn_new(f, NULL);
	json_object_put(fake_call(f, all, "sessions.subscribe", "{}"));
	json_object_put(fake_call(f, one, "sessions.messages.subscribe",
	    "{\"key\":\"main\"}"));
	json_object_put(fake_call(f, both, "sessions.messages.subscribe",
	    "{\"key\":\"main\"}"));
	json_object_put(fake_call(f, both, "sessions.subscribe", "{}"));
	json_object_put(fake_call(f, both, "sessions.messages.subscribe",
	    "{\"key\":\"agent:main:other\"}"));
	add_text(f, "main", "user", "one");
	add_text(f, "agent:main:other", "user", "two");
	CU_ASSERT_EQUAL(fake_count(f, all, "session.message"), 2);
	CU_ASSERT_EQUAL(fake_count(f, one, "session.message"), 1);
	CU_ASSERT_EQUAL(fake_count(f, both, "session.message"), 2);
	CU_ASSERT_EQUAL(fake_count(f, none, "session.message"), 0);
	json_object_put(fake_call(f, one, "sessions.messages.unsubscribe",
	    "{\"key\":\"agent:main:main\"}"));
	add_text(f, "main", "user", "three");
	CU_ASSERT_EQUAL(fake_count(f, one, "session.message"), 1);
	fake_conn_close(both);
	add_text(f, "main", "user", "four");
	fake_free(f);
}

static void
reset_begins_anew_and_keeps_settings(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");
	char			 id[40];

	add_text(f, "agent:main:x", "user", "one");
	add_text(f, "agent:main:x", "assistant", "two");
	r = fake_call(f, NULL, "sessions.patch",
	    "{\"key\":\"agent:main:x\",\"label\":\" Work \"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entry.label"), "Work");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.entry.store"));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.resolve", "{\"label\":\"Work\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.key"), "agent:main:x");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"agent:main:x\"}");
	(void)snprintf(id, sizeof id, "%s",
	    fake_str(r, "result.session.sessionId"));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.reset", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entry.sessionId"), id);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entry.label"), "Work");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 0);
	json_object_put(r);
	add_text(f, "agent:main:x", "user", "three");
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SESSIONS_SERVICE);
	add_text(f, "agent:main:x", "user", "four");
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 2);
	CU_ASSERT_EQUAL(fake_int(r, "result.messages.0.__openclaw.seq"), 1);
	CU_ASSERT_EQUAL(fake_int(r, "result.messages.1.__openclaw.seq"), 2);
	json_object_put(r);
	fake_free(f);
}

static void
patch_is_all_or_nothing(void)
{
	struct fake_conn_opt	 opt = { .scopes = "write" };
	struct chela_conn	*writer;
	struct json_object	*r;
	struct fake		*f = begin("{}");

	add_text(f, "agent:main:x", "user", "one");
	add_text(f, "agent:main:y", "user", "one");
	r = fake_call(f, NULL, "sessions.patch", "{\"key\":\"agent:main:x\","
	    "\"label\":\"L\",\"verboseLevel\":\"loud\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "invalid verboseLevel (use \"on\"|\"off\"|\"full\")");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.patch",
	    "{\"key\":\"agent:main:y\",\"label\":\"L\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.patch",
	    "{\"key\":\"agent:main:x\",\"label\":\"L\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "label already in use: L");
	json_object_put(r);
	writer = fake_conn_new(f, &opt);
	r = fake_call(f, writer, "sessions.patch",
	    "{\"key\":\"agent:main:x\",\"sendPolicy\":\"deny\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
	json_object_put(r);
	r = fake_call(f, writer, "sessions.patch", "{\"key\":\"agent:main:x\","
	    "\"expectedMarkedUnreadAt\":null,\"unread\":false}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.patch", "{\"key\":\"agent:main:x\","
	    "\"execSecurity\":\"full\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(r), "INVALID_REQUEST");
	json_object_put(r);
	fake_free(f);
}

static void
main_session_stays(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	add_text(f, "agent:main:x", "user", "one");
	r = fake_call(f, NULL, "sessions.delete", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r),
	    "Cannot delete the main session (agent:main:main).");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.delete", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.deleted")));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.delete", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.deleted")));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"agent:main:x\"}");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.session"));
	json_object_put(r);
	fake_free(f);
}

static void
created_sessions_can_be_forked(void)
{
	struct json_object	*r, *g;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	add_text(f, "main", "assistant", "two");
	r = fake_call(f, NULL, "sessions.create", "{\"label\":\"Copy\","
	    "\"parentSessionKey\":\"main\",\"fork\":true}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_PTR_EQUAL(strstr(fake_str(r, "result.key"),
	    "agent:main:dashboard:"), fake_str(r, "result.key"));
	g = fake_callf(f, NULL, "sessions.get", "{\"key\":\"%s\"}",
	    fake_str(r, "result.key"));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(g,
	    "result.messages")), 2);
	json_object_put(g);
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.create", "{\"label\":\"Copy\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "label already in use: Copy");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.create", "{\"agentId\":\"nobody\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(r), "Unknown agent id \"nobody\"");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.create", "{\"message\":\"hello\"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.runError.code"),
	    "UNAVAILABLE");
	json_object_put(r);
	fake_free(f);
}

static void
runs_lost_in_a_kill_are_shown(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	CU_ASSERT_EQUAL(svc->run_state("main", "R1", CHELA_RUN_RUNNING,
	    "start", NULL), 0);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.session.status"),
	    "running");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.session.activeRunIds.0"),
	    "R1");
	json_object_put(r);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.session.status"), "killed");
	CU_ASSERT(!json_object_get_boolean(fake_get(r,
	    "result.session.hasActiveRun")));
	json_object_put(r);
	fake_free(f);
}

/* AB-111 */
static void
failed_writes_are_told(void)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = "main",
	};
	struct chela_conn	*conn;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	conn = fake_conn_new(f, NULL);
	json_object_put(fake_call(f, conn, "sessions.subscribe", "{}"));
	fake_events_clear(f);
	in.row = json_tokener_parse("{\"role\":\"user\",\"content\":\"x\"}");
	is_done = false;
	fake_fail_writes(f, 2, -28);
	CU_ASSERT_EQUAL(svc->append(&in, appended, NULL), 0);
	CU_ASSERT_EQUAL(fake_wait(f, done_now, NULL), 0);
	CU_ASSERT(last_r < 0);
	CU_ASSERT_EQUAL(fake_count(f, conn, "session.message"), 0);
	add_text(f, "main", "assistant", "two");
	CU_ASSERT_EQUAL(fake_count(f, conn, "session.message"), 1);
	in.row = json_tokener_parse("{\"role\":\"nobody\",\"content\":\"x\"}");
	CU_ASSERT(svc->append(&in, appended, NULL) < 0);
	fake_free(f);
}

static void
compact_keeps_the_last_rows(void)
{
	struct json_object	*r;
	struct fake		*f = begin("{}");
	int			 i;

	for (i = 0; i < 5; i++)
		add_text(f, "main", "user", "row");
	add_text(f, "main", "assistant", "last");
	r = fake_call(f, NULL, "sessions.compact",
	    "{\"key\":\"main\",\"maxLines\":2}");
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.compacted")));
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.get", "{\"key\":\"main\"}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.messages")), 2);
	CU_ASSERT_EQUAL(fake_int(r, "result.messages.0.__openclaw.seq"), 5);
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.compact",
	    "{\"key\":\"main\",\"maxLines\":2}");
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.compacted")));
	CU_ASSERT_EQUAL(fake_int(r, "result.kept"), 2);
	json_object_put(r);
	fake_free(f);
}

static void
usage_is_counted_as_rows_come(void)
{
	static const char row[] = "{\"role\":\"assistant\",\"content\":[],"
	    "\"provider\":\"p\",\"model\":\"m\",\"usage\":{\"input\":10,"
	    "\"output\":5,\"cacheRead\":1,\"cacheWrite\":0,\"totalTokens\":16,"
	    "\"cost\":{\"input\":0.5,\"output\":0.25,\"total\":0.75}}}";
	struct json_object	*r;
	struct fake		*f = begin("{}");

	add_text(f, "main", "user", "one");
	add_row(f, "main", row);
	add_row(f, "main", row);
	r = fake_call(f, NULL, "sessions.usage", "{}");
	CU_ASSERT_EQUAL(fake_int(r, "result.totals.totalTokens"), 32);
	CU_ASSERT_EQUAL(json_object_get_double(fake_get(r,
	    "result.totals.totalCost")), 1.5);
	CU_ASSERT_EQUAL(fake_int(r, "result.aggregates.messages.user"), 1);
	CU_ASSERT_EQUAL(fake_int(r, "result.aggregates.messages.errors"), 0);
	CU_ASSERT_EQUAL(fake_int(r, "result.aggregates.byModel.0.count"), 2);
	CU_ASSERT_EQUAL(fake_int(r, "result.sessions.0.usage.input"), 20);
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.usage.timeseries",
	    "{\"key\":\"main\"}");
	CU_ASSERT_EQUAL(fake_int(r, "result.points.1.cumulativeTokens"), 32);
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.usage.logs", "{\"key\":\"main\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.logs.0.content"), "one");
	json_object_put(r);
	r = fake_call(f, NULL, "sessions.describe", "{\"key\":\"main\"}");
	CU_ASSERT_EQUAL(fake_int(r, "result.session.totalTokens"), 11);
	CU_ASSERT_EQUAL(fake_int(r, "result.session.outputTokens"), 5);
	json_object_put(r);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(keys_have_one_spelling),
	CU_CASE(configuration_names_the_main_session),
	CU_CASE(empty_list_has_all_members),
	CU_CASE(lists_are_paged_sorted_and_searched),
	CU_CASE(rows_are_stored_as_history_gives_them),
	CU_CASE(rows_are_announced_once),
	CU_CASE(reset_begins_anew_and_keeps_settings),
	CU_CASE(patch_is_all_or_nothing),
	CU_CASE(main_session_stays),
	CU_CASE(created_sessions_can_be_forked),
	CU_CASE(runs_lost_in_a_kill_are_shown),
	CU_CASE(failed_writes_are_told),
	CU_CASE(compact_keeps_the_last_rows),
	CU_CASE(usage_is_counted_as_rows_come),
	CU_END
};

CU_MAIN("sessions", cases)
