/* SPDX-License-Identifier: MIT */
/* Plugin commands on real sessions, agents and models; runs are the test's. */
#include <errno.h>
#include <string.h>

#include <chela/services/agent.h>
#include <chela/services/commands.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

static struct {
	int	 done;
	int	 r;
	char	 text[4096];
	char	 forward[256];
	char	 aborted[128];
	int	 n_running;
} seen;

static int
runs_abort(const char *key, const char *reason, struct json_object **ret_ids)
{
	CU_ASSERT_STRING_EQUAL(reason, "stop");
	CU_ASSERT_PTR_NULL(ret_ids);
	(void)snprintf(seen.aborted, sizeof seen.aborted, "%s", key);
	return (seen.n_running);
}

static const struct chela_agent_1 runs = {
	.struct_size = sizeof runs,
	.abort_session = runs_abort,
};

static const char *const apis[] = { "openai-completions", NULL };
static const struct chela_model_1 driver = {
	.struct_size = sizeof driver,
	.apis = apis,
};

static struct fake *
begin(int with_sessions)
{
	struct fake	*f = fake_new();

	memset(&seen, 0, sizeof seen);
	CU_ASSERT_EQUAL(fake_conf(f, "{\"models\":{\"providers\":{\"p\":{"
	    "\"baseUrl\":\"http://h/\",\"models\":[{\"id\":\"plain\","
	    "\"reasoning\":false},{\"id\":\"deep\",\"reasoning\":true}]}}},"
	    "\"agents\":{\"entries\":{\"main\":{},\"ops\":{\"name\":\"Ops\"}}}}"),
	    0);
	CU_ASSERT_EQUAL(fake_service(f, "test", CHELA_MODEL_SERVICE, &driver),
	    0);
	CU_ASSERT_EQUAL(fake_load(f, "agents"), 0);
	CU_ASSERT_EQUAL(fake_load(f, "models"), 0);
	if (with_sessions) {
		CU_ASSERT_EQUAL(fake_load(f, "sessions"), 0);
		CU_ASSERT_EQUAL(fake_service(f, "agent", CHELA_AGENT_SERVICE,
		    &runs), 0);
	}
	CU_ASSERT_EQUAL(fake_load(f, "commands"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	return (f);
}

static void
told(int r, const struct chela_command_answer *answer, void *arg)
{
	CU_ASSERT_PTR_EQUAL(arg, &seen);
	seen.done++;
	seen.r = r;
	(void)snprintf(seen.text, sizeof seen.text, "%s", answer->text);
	(void)snprintf(seen.forward, sizeof seen.forward, "%s",
	    answer->forward != NULL ? answer->forward : "");
}

static bool
is_done(void *arg)
{
	(void)arg;
	return (seen.done > 0);
}

static int
no_scope(const char *scope, void *arg)
{
	(void)arg;
	return (strcmp(scope, "read") == 0);
}

static int
sender_scope(const char *scope, void *arg)
{
	(void)arg;
	return (strcmp(scope, "read") == 0 || strcmp(scope, "write") == 0);
}

/* Runs a message as a command in the main session; 0 when it is none. */
static int
say(struct fake *f, struct chela_conn *conn,
    int (*has_scope)(const char *, void *), const char *message)
{
	const struct chela_commands_1	*svc;
	const struct chela_command	*c;
	struct chela_command_run	 who;
	const char			*args = NULL;

	svc = fake_import(f, CHELA_COMMANDS_SERVICE);
	memset(&who, 0, sizeof who);
	who.struct_size = sizeof who;
	who.conn = conn;
	who.session_key = "main";
	who.has_scope = has_scope;
	who.sender = "u1";
	seen.done = 0;
	c = svc->find(message, &args);
	if (c == NULL)
		return (0);
	CU_ASSERT_EQUAL(svc->run(c, &who, args, told, &seen), 0);
	CU_ASSERT_EQUAL(seen.done, 0);
	CU_ASSERT_EQUAL(fake_wait(f, is_done, NULL), 0);
	CU_ASSERT_EQUAL(seen.done, 1);
	return (1);
}

static struct chela_conn *
client(struct fake *f, const char *scopes)
{
	struct fake_conn_opt	opt;

	memset(&opt, 0, sizeof opt);
	opt.role = CHELA_ROLE_OPERATOR;
	opt.scopes = scopes;
	return (fake_conn_new(f, &opt));
}

static int
has_word(const char *word)
{
	return (strstr(seen.text, word) != NULL);
}

static void
list(void)
{
	struct fake		*f = begin(1);
	struct json_object	*reply, *rows;
	size_t			 i, with = 0;

	reply = fake_call(f, NULL, "commands.list", "{}");
	CU_ASSERT(fake_ok(reply));
	rows = fake_get(reply, "result.commands");
	CU_ASSERT(json_object_array_length(rows) >= 14);
	CU_ASSERT_STRING_EQUAL(fake_str(rows, "0.name"), "help");
	CU_ASSERT_STRING_EQUAL(fake_str(rows, "0.textAliases.0"), "/help");
	for (i = 0; i < json_object_array_length(rows); i++)
		with += fake_get(json_object_array_get_idx(rows, i), "args") !=
		    NULL;
	CU_ASSERT(with >= 6);
	json_object_put(reply);
	reply = fake_call(f, NULL, "commands.list",
	    "{\"includeArgs\":false,\"scope\":\"text\",\"sessionKey\":\"main\"}");
	rows = fake_get(reply, "result.commands");
	for (i = 0; i < json_object_array_length(rows); i++)
		CU_ASSERT_PTR_NULL(fake_get(json_object_array_get_idx(rows, i),
		    "args"));
	json_object_put(reply);
	reply = fake_call(f, NULL, "commands.list", "{\"agentId\":\"zz\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), "unknown agent id \"zz\"");
	json_object_put(reply);
	reply = fake_call(f, NULL, "commands.list",
	    "{\"sessionKey\":\"agent:main:nothing\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), "Session not found.");
	json_object_put(reply);
	reply = fake_call(f, NULL, "commands.list",
	    "{\"sessionKey\":\"agent:nobody:main\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply), "Session not found.");
	json_object_put(reply);
	fake_free(f);
}

/* What can not work is neither listed nor found. */
static void
without_sessions(void)
{
	struct fake		*f = begin(0);
	struct json_object	*reply;

	reply = fake_call(f, NULL, "commands.list", "{}");
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(reply),
	    "\"reset\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string(reply),
	    "\"whoami\""));
	json_object_put(reply);
	CU_ASSERT_EQUAL(say(f, NULL, NULL, "/reset"), 0);
	CU_ASSERT_EQUAL(say(f, NULL, NULL, "/whoami"), 1);
	fake_free(f);
}

static void
finding(void)
{
	struct fake			*f = begin(1);
	const struct chela_commands_1	*svc;
	const struct chela_command	*c;
	const char			*args = NULL;

	svc = fake_import(f, CHELA_COMMANDS_SERVICE);
	c = svc->find("  /MODEL:  p/deep ", &args);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->name, "model");
	CU_ASSERT_STRING_EQUAL(args, "p/deep ");
	c = svc->find("/t high", &args);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(c->name, "think");
	c = svc->find("/new\nfirst line", &args);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_STRING_EQUAL(args, "first line");
	CU_ASSERT_PTR_NULL(svc->find("/", &args));
	CU_ASSERT_PTR_NULL(svc->find("", &args));
	CU_ASSERT_PTR_NULL(svc->find("model", &args));
	CU_ASSERT_PTR_NULL(svc->find("/modelx", &args));
	CU_ASSERT_PTR_NULL(svc->find("/model/x", &args));
	CU_ASSERT_PTR_NULL(svc->find("/etc/passwd", &args));
	CU_ASSERT_PTR_NULL(svc->find("/stop doing that", &args));
	fake_free(f);
}

static void
telling(void)
{
	struct fake		*f = begin(1);
	struct chela_conn	*c = client(f, "read");

	CU_ASSERT_EQUAL(say(f, c, NULL, "/help"), 1);
	CU_ASSERT(has_word("/status"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/commands"), 1);
	CU_ASSERT(has_word("/name <name>"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/status"), 1);
	CU_ASSERT(has_word("Session: agent:main:main"));
	CU_ASSERT(has_word("Model: p/plain"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/whoami"), 1);
	CU_ASSERT(has_word("operator.read"));
	CU_ASSERT_FALSE(has_word("operator.write"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/agents"), 1);
	CU_ASSERT(has_word("- main (default)"));
	CU_ASSERT(has_word("- ops: Ops"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/models"), 1);
	CU_ASSERT(has_word("- p/deep"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/models other"), 1);
	CU_ASSERT(has_word("No models"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/usage"), 1);
	CU_ASSERT(has_word("30 days: 0 in"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/sessions"), 1);
	CU_ASSERT(has_word("no conversations"));
	fake_free(f);
}

/* AB-059 */
static void
scopes_at_the_effect(void)
{
	static const char *const writes[] = { "/stop", "/name x",
	    "/model p/deep", "/new", "/reset", "/compact", "/think high" };
	static const char *const admins[] = { "/new", "/reset", "/compact 1",
	    "/think high" };
	struct fake		*f = begin(1);
	struct chela_conn	*reader = client(f, "read");
	struct chela_conn	*writer = client(f, "read write");
	size_t			 i;

	for (i = 0; i < sizeof writes / sizeof writes[0]; i++) {
		CU_ASSERT_EQUAL(say(f, reader, NULL, writes[i]), 1);
		CU_ASSERT_EQUAL(seen.r, -EACCES);
		CU_ASSERT(has_word("missing scope: operator."));
		CU_ASSERT_EQUAL(say(f, NULL, no_scope, writes[i]), 1);
		CU_ASSERT_EQUAL(seen.r, -EACCES);
		CU_ASSERT_EQUAL(say(f, NULL, NULL, writes[i]), 1);
		CU_ASSERT_EQUAL(seen.r, -EACCES);
	}
	for (i = 0; i < sizeof admins / sizeof admins[0]; i++) {
		CU_ASSERT_EQUAL(say(f, writer, NULL, admins[i]), 1);
		CU_ASSERT_EQUAL(seen.r, -EACCES);
		CU_ASSERT(has_word("missing scope: operator.admin"));
	}
	CU_ASSERT_STRING_EQUAL(seen.aborted, "");
	/* One that a channel let in has its own conversation. */
	CU_ASSERT_EQUAL(say(f, NULL, sender_scope, "/new and then this"), 1);
	CU_ASSERT_EQUAL(seen.r, 0);
	CU_ASSERT_STRING_EQUAL(seen.forward, "and then this");
	CU_ASSERT_STRING_EQUAL(seen.aborted, "agent:main:main");
	fake_free(f);
}

static void
effects(void)
{
	struct fake			*f = begin(1);
	struct chela_conn		*c = client(f, "admin");
	const struct chela_sessions_1	*sessions;
	struct json_object		*entry = NULL;

	sessions = fake_import(f, CHELA_SESSIONS_SERVICE);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/model p/deep"), 1);
	CU_ASSERT_EQUAL(seen.r, 0);
	CU_ASSERT(has_word("p/deep"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/think high"), 1);
	CU_ASSERT_EQUAL(seen.r, 0);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/think very"), 1);
	CU_ASSERT_EQUAL(seen.r, -EINVAL);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/name  Budget 2030 "), 1);
	CU_ASSERT_EQUAL(seen.r, 0);
	CU_ASSERT_EQUAL_FATAL(sessions->get("main", &entry), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(entry, "modelOverride"), "deep");
	CU_ASSERT_STRING_EQUAL(fake_str(entry, "providerOverride"), "p");
	CU_ASSERT_STRING_EQUAL(fake_str(entry, "thinkingLevel"), "high");
	CU_ASSERT_STRING_EQUAL(fake_str(entry, "label"), "Budget 2030");
	json_object_put(entry);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/model"), 1);
	CU_ASSERT(has_word("p/deep"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/model p/none"), 1);
	CU_ASSERT_EQUAL(seen.r, -ENOENT);
	CU_ASSERT(has_word("unknown model: p/none"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/model default"), 1);
	CU_ASSERT_EQUAL_FATAL(sessions->get("main", &entry), 0);
	CU_ASSERT_PTR_NULL(fake_get(entry, "modelOverride"));
	json_object_put(entry);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/think low"), 1);
	CU_ASSERT_EQUAL(seen.r, -EINVAL);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/compact"), 1);
	CU_ASSERT(has_word("short already"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/compact -1"), 1);
	CU_ASSERT_EQUAL(seen.r, -EINVAL);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/stop"), 1);
	CU_ASSERT(has_word("Nothing was running"));
	seen.n_running = 2;
	CU_ASSERT_EQUAL(say(f, c, NULL, "/stop"), 1);
	CU_ASSERT(has_word("Stopped (2)"));
	CU_ASSERT_EQUAL(say(f, c, NULL, "/reset"), 1);
	CU_ASSERT_EQUAL(seen.r, 0);
	CU_ASSERT_STRING_EQUAL(seen.forward, "");
	/* A disk that is full is told. */
	fake_fail_writes(f, 1, -ENOSPC);
	CU_ASSERT_EQUAL(say(f, c, NULL, "/model p/deep"), 1);
	CU_ASSERT_EQUAL(seen.r, -ENOSPC);
	CU_ASSERT(has_word("could not be stored"));
	CU_ASSERT_FALSE(has_word("p/deep"));
	fake_free(f);
}

static int
added_run(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct chela_command_answer	a;

	(void)who;
	memset(&a, 0, sizeof a);
	a.struct_size = sizeof a;
	a.text = args;
	done(0, &a, arg);
	return (0);
}

/* AB-060 */
static void
registered(void)
{
	static const char *const	 aliases[] = { "sy", NULL };
	static const struct chela_command added = {
		.struct_size = sizeof added,
		.flags = CHELA_COMMAND_ARGS,
		.name = "say",
		.aliases = aliases,
		.description = "Say it again.",
		.scope = "read",
		.run = added_run,
	};
	struct chela_command		 other;
	struct fake			*f = begin(1);
	const struct chela_commands_1	*svc;
	struct json_object		*rows = NULL;
	const char			*args;

	svc = fake_import(f, CHELA_COMMANDS_SERVICE);
	CU_ASSERT_EQUAL(svc->add(&added), 0);
	CU_ASSERT_EQUAL(svc->add(&added), -EEXIST);
	other = added;
	other.name = "help";
	CU_ASSERT_EQUAL(svc->add(&other), -EEXIST);
	other.name = "other";
	CU_ASSERT_EQUAL(svc->add(&other), -EEXIST);
	other.aliases = NULL;
	other.name = "o ther";
	CU_ASSERT_EQUAL(svc->add(&other), -EINVAL);
	CU_ASSERT_PTR_EQUAL(svc->find("/sy x", &args), &added);
	CU_ASSERT_EQUAL(svc->list("text", 1, &rows), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(json_object_array_get_idx(rows,
	    json_object_array_length(rows) - 1), "source"), "plugin");
	json_object_put(rows);
	svc->remove(&added);
	CU_ASSERT_PTR_NULL(svc->find("/say x", &args));
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(list),
	CU_CASE(without_sessions),
	CU_CASE(finding),
	CU_CASE(telling),
	CU_CASE(scopes_at_the_effect),
	CU_CASE(effects),
	CU_CASE(registered),
	CU_END
};
CU_MAIN("commands", cases)
