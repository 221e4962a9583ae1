/* SPDX-License-Identifier: MIT */
/*
 * Plugin push: what is told to which browser, when, and how often it is tried.
 * The words themselves are decrypted in tests/wire/test_push.mjs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/access.h>
#include <chela/services/agent.h>
#include <chela/services/approvals.h>
#include <chela/services/http.h>
#include <chela/services/push.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

/* 2027-01-15 08:00 UTC, a Friday; 09:00 in Berlin. */
#define NOW_MS		UINT64_C(1800000000000)
#define EP		"https://push.example/"
#define KEYS		"\"keys\":{\"p256dh\":\"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-" \
			"JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAi" \
			"w4\",\"auth\":\"BTBZMqHH6r4Tts7J_aSIgg\"}"
#define HOUR_US		UINT64_C(3600000000)
#define POSTS_MAX	4096u
#define JOBS_MAX	2048u		/* as plugins/push/push.h has it */
#define READERS		"\"operator.read\",\"operator.approvals\"," \
			"\"operator.questions\""

static struct fake			*f;
static const struct chela_push_1	*push;
static const struct chela_approval_records_1 *records;

/* --- a push service --- */

static struct {
	unsigned	 n;		/* posts so far */
	uint32_t	 status;
	bool		 is_held;	/* no answer comes */
	const char	*retry_after;	/* or NULL */
	char		 url[256], headers[2048];	/* of the last */
	struct {
		const struct chela_http_handler *handler;
		void	*arg;
	}		 open[POSTS_MAX];
	unsigned	 n_open;
} line;

static void
line_end(struct chela_ctx *ctx, void *arg)
{
	unsigned	 i;

	(void)ctx;
	(void)arg;
	if (line.n_open == 0 || line.is_held)
		return;
	i = --line.n_open;
	/* The call is only a token for header(). */
	line.open[i].handler->done((struct chela_http_call *)(void *)&line, 0,
	    line.status, "", line.open[i].arg);
}

static int
line_start(const struct chela_http_request *rq,
    const struct chela_http_handler *handler, void *arg,
    struct chela_http_call **ret)
{
	size_t	 i;

	CU_ASSERT_FATAL(line.n_open < POSTS_MAX);
	line.n++;
	line.headers[0] = '\0';
	(void)snprintf(line.url, sizeof line.url, "%s", rq->url);
	for (i = 0; rq->headers[i] != NULL; i++)
		(void)snprintf(line.headers + strlen(line.headers),
		    sizeof line.headers - strlen(line.headers), "%s\n",
		    rq->headers[i]);
	line.open[line.n_open].handler = handler;
	line.open[line.n_open++].arg = arg;
	*ret = NULL;
	return (fake_host(f)->post(fake_ctx(f, ""), line_end, NULL));
}

static const char *
line_header(struct chela_http_call *call, const char *name)
{
	(void)call;
	CU_ASSERT_STRING_EQUAL(name, "retry-after");
	return (line.retry_after);
}

static const struct chela_http_1 http = {
	.struct_size = sizeof http,
	.start = line_start,
	.header = line_header,
};

/* --- who is paired --- */

static const char	*scopes, *revoked;

static int
access_device(const char *id, struct json_object **ret)
{
	char	 text[512];

	if (strcmp(id, "gone") == 0)
		return (-ENOENT);
	(void)snprintf(text, sizeof text, "{\"deviceId\":\"%s\",\"tokens\":[{"
	    "\"role\":\"operator\",\"scopes\":[%s]%s}]}", id, scopes, revoked);
	*ret = json_tokener_parse(text);
	return (0);
}

static const struct chela_access_1 access_1 = {
	.struct_size = sizeof access_1,
	.device = access_device,
};

static const struct chela_agent_watcher	*run_watcher;

static int
agent_watch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	run_watcher = w;
	return (0);
}

static void
agent_unwatch(const struct chela_agent_watcher *w, void *arg)
{
	(void)arg;
	CU_ASSERT_PTR_EQUAL(run_watcher, w);
	run_watcher = NULL;
}

static const struct chela_agent_1 agent = {
	.struct_size = sizeof agent,
	.watch = agent_watch,
	.unwatch = agent_unwatch,
};

static void
setup(void)
{
	f = fake_new();
	memset(&line, 0, sizeof line);
	line.status = 201;
	scopes = READERS;
	revoked = "";
	fake_clock(f, NOW_MS);
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, "{}"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "http", CHELA_HTTP_SERVICE,
	    &http), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "core", CHELA_ACCESS_SERVICE,
	    &access_1), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "agent", CHELA_AGENT_SERVICE,
	    &agent), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "approvals"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "push"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "question"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	push = fake_import(f, CHELA_PUSH_SERVICE);
	records = fake_import(f, CHELA_APPROVAL_RECORDS_SERVICE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(push);
	CU_ASSERT_PTR_NOT_NULL_FATAL(records);
}

static void
teardown(void)
{
	fake_free(f);
	f = NULL;
}

/* A browser of a device, with these preferences. */
static void
browser(const char *device, const char *prefs)
{
	struct chela_conn	*c;
	struct json_object	*r;

	c = fake_conn_new(f, &(struct fake_conn_opt){ .scopes = "read write",
	    .device_id = device });
	r = fake_callf(f, c, "push.web.subscribe", "{\"endpoint\":\"" EP "%s\","
	    KEYS "}", device);
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	json_object_put(r);
	if (prefs == NULL)
		return;
	r = fake_callf(f, c, "push.web.preferences.set", "{\"endpoint\":\"" EP
	    "%s\",\"scope\":\"device\",\"preferences\":{\"enabled\":true,"
	    "\"label\":\"\",%s}}", device, prefs);
	CU_ASSERT_TRUE_FATAL(fake_ok(r));
	json_object_put(r);
}

static int
tell(uint32_t category, const char *tag, const char *agent_id)
{
	const struct chela_push_note n = {
		.struct_size = sizeof n,
		.category = category,
		.tag = tag,
		.agent_id = agent_id,
	};
	int	 r = push->notify(&n);

	fake_settle(f);
	return (r);
}

static bool
has_header(const char *text)
{
	return (strstr(line.headers, text) != NULL);
}

#define ALL "\"categories\":{\"agentFinished\":true,\"agentQuestion\":true," \
	"\"scheduledTaskFailed\":true,\"backgroundTaskFailed\":true}"

/* --- the cases --- */

static void
categories_and_agents_are_chosen(void)
{
	struct chela_agent_event ev = { .struct_size = sizeof ev,
	    .run_id = "r1", .agent_id = "main" };

	setup();
	browser("a", NULL);
	browser("b", ALL);
	browser("c", ALL ",\"agentIds\":[\"other\"]");
	browser("gone", ALL);		/* not paired any more */
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t1", "main"), 1);
	CU_ASSERT_EQUAL(line.n, 1);
	CU_ASSERT_STRING_EQUAL(line.url, EP "b");
	CU_ASSERT_TRUE(has_header("Urgency: normal\n"));
	CU_ASSERT_TRUE(has_header("TTL: 301\n"));
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t2", "other"), 2);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_SCHEDULED, "t3", NULL), 1);
	CU_ASSERT_TRUE(has_header("Urgency: high\n"));
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_MENTION, "t4", "main"), 0);
	/* The end of a run, and nothing else of it. */
	line.n = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(run_watcher);
	for (ev.kind = CHELA_AGENT_STATUS; ev.kind <= CHELA_AGENT_ERROR;
	    ev.kind++)
		run_watcher->event(&ev, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	/* Approvals are told by who keeps them alone. */
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_APPROVAL, "t5", NULL), -EINVAL);
	CU_ASSERT_EQUAL(tell(99, "t6", NULL), -EINVAL);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "", NULL), -EINVAL);
	teardown();
}

static void
scopes_hold_when_it_is_sent(void)
{
	struct json_object	*r;

	setup();
	browser("a", ALL);
	scopes = "\"operator.approvals\"";
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t1", NULL), 0);
	scopes = "\"operator.write\"";
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t2", NULL), 1);
	/* A question needs its own scope. */
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_QUESTION, "t3", NULL), 0);
	scopes = "\"operator.admin\"";
	revoked = ",\"revokedAtMs\":1";
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_QUESTION, "t4", NULL), 0);
	revoked = "";
	line.n = 0;
	r = fake_call(f, NULL, "question.request", "{\"questions\":[{"
	    "\"questionId\":\"q\",\"header\":\"H\",\"question\":\"Really?\","
	    "\"options\":[]}],\"id\":\"q 1\"}");
	CU_ASSERT_TRUE(fake_ok(r));
	json_object_put(r);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	/* Taken away while it waits for its next try. */
	line.status = 503;
	line.n = 0;
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t5", NULL), 1);
	scopes = "\"operator.questions\"";
	line.status = 201;
	fake_advance(f, HOUR_US);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	teardown();
}

#define QUIET(from, to, zone) "\"quietHours\":{\"enabled\":true," \
	"\"startMinute\":" from ",\"endMinute\":" to ",\"timeZone\":\"" zone \
	"\"}," ALL

static void
quiet_hours_are_of_the_zone(void)
{
	static const struct {
		const char	*prefs;
		unsigned	 n;
	} cases[] = {		/* at 480 UTC, 540 in Berlin, 195 in New York */
		{ QUIET("470", "490", "UTC"), 0 },
		{ QUIET("480", "481", "UTC"), 0 },
		{ QUIET("481", "470", "UTC"), 1 },
		{ QUIET("490", "481", "UTC"), 0 },	/* over midnight */
		{ QUIET("480", "480", "UTC"), 1 },	/* never */
		{ QUIET("535", "545", "Europe/Berlin"), 0 },
		{ QUIET("470", "490", "Europe/Berlin"), 1 },
		{ QUIET("170", "190", "America/New_York"), 0 },
		{ QUIET("470", "490", "America/New_York"), 1 },
	};
	char	 tag[32];
	size_t	 i;

	for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (strstr(cases[i].prefs, "/") != NULL &&
		    access("/usr/share/zoneinfo/Europe/Berlin", R_OK) < 0)
			continue;
		setup();
		browser("a", cases[i].prefs);
		(void)snprintf(tag, sizeof tag, "t%zu", i);
		(void)tell(CHELA_PUSH_FINISHED, tag, NULL);
		CU_ASSERT_EQUAL(line.n, cases[i].n);
		if (line.n != cases[i].n)
			(void)fprintf(stderr, "case %zu\n", i);
		/* Suppressed, not kept: nothing comes when it is over. */
		fake_advance(f, 2 * HOUR_US);
		fake_settle(f);
		CU_ASSERT_EQUAL(line.n, cases[i].n);
		teardown();
	}
}

static void
the_same_is_told_once(void)
{
	setup();
	browser("a", ALL);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t", NULL), 1);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t", NULL), 0);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_BACKGROUND, "t", NULL), 1);
	CU_ASSERT_EQUAL(line.n, 2);
	fake_advance(f, HOUR_US);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t", NULL), 1);
	teardown();
}

static void
a_busy_service_is_left_alone(void)
{
	static const uint64_t	wait_s[] = { 2, 4, 8, 16 };
	size_t	 i;

	setup();
	browser("a", ALL);
	line.status = 503;
	(void)tell(CHELA_PUSH_FINISHED, "t1", NULL);
	CU_ASSERT_EQUAL(line.n, 1);
	for (i = 0; i < 4; i++) {
		fake_advance(f, wait_s[i] * 1000000 - 1000);
		fake_settle(f);
		CU_ASSERT_EQUAL(line.n, i + 1);
		fake_advance(f, 1000);
		fake_settle(f);
		CU_ASSERT_EQUAL(line.n, i + 2);
	}
	/* Five times are enough. */
	fake_advance(f, 250000000);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "was not delivered"));
	/* As long as it wishes; all for this browser waits. */
	line.n = 0;
	line.status = 429;
	line.retry_after = "90";
	(void)tell(CHELA_PUSH_FINISHED, "t2", NULL);
	line.status = 201;
	(void)tell(CHELA_PUSH_FINISHED, "t3", NULL);
	CU_ASSERT_EQUAL(line.n, 2);	/* t3 was not waiting yet */
	fake_advance(f, 89000000);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 2);
	fake_advance(f, 1000000);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 3);
	/* Longer than it is good for: it is dropped. */
	line.n = 0;
	line.status = 429;
	line.retry_after = "900";
	(void)tell(CHELA_PUSH_FINISHED, "t4", NULL);
	line.status = 201;
	fake_advance(f, HOUR_US);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	/* What is refused is not tried again; what is gone is forgotten. */
	line.n = 0;
	line.status = 403;
	(void)tell(CHELA_PUSH_FINISHED, "t5", NULL);
	fake_advance(f, HOUR_US);
	line.status = 410;
	(void)tell(CHELA_PUSH_FINISHED, "t6", NULL);
	line.status = 201;
	fake_advance(f, HOUR_US);
	CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, "t7", NULL), 0);
	CU_ASSERT_EQUAL(line.n, 2);
	teardown();
}

static void
the_queue_has_an_end(void)
{
	char		 tag[32];
	unsigned	 i;

	setup();
	browser("a", ALL);
	line.is_held = true;
	for (i = 0; i < JOBS_MAX + 2; i++) {
		(void)snprintf(tag, sizeof tag, "t%u", i);
		CU_ASSERT_EQUAL(tell(CHELA_PUSH_FINISHED, tag, NULL),
		    i < JOBS_MAX ? 1 : 0);
	}
	CU_ASSERT_EQUAL(line.n, 16);		/* at one time */
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_text(f), "are dropped"));
	line.is_held = false;
	(void)fake_host(f)->post(fake_ctx(f, ""), line_end, NULL);
	for (i = 0; i < 32; i++)
		(void)fake_host(f)->post(fake_ctx(f, ""), line_end, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, JOBS_MAX);
	teardown();
}

/* --- approvals --- */

static char	 last_id[CHELA_APPROVAL_ID_MAX + 1];
static char	 last_reason[32];
static uint32_t	 last_status;

static void
on_end(struct chela_ctx *ctx, const struct chela_record_info *info, void *arg)
{
	(void)ctx;
	(void)arg;
	last_status = info->status;
	(void)snprintf(last_reason, sizeof last_reason, "%s", info->reason);
}

static void
open_one(const char *agent_id)
{
	struct chela_record_open spec = { .struct_size = sizeof spec,
	    .kind = "plugin", .agent_id = agent_id, .timeout_ms = 60000 };

	last_status = CHELA_RECORD_PENDING;
	spec.request = json_object_new_object();
	spec.presentation = json_object_new_object();
	CU_ASSERT_EQUAL_FATAL(records->open(fake_ctx(f, ""), &spec, last_id,
	    NULL, on_end, NULL), 0);
	fake_settle(f);
}

static void
an_approval_waits_for_who_was_told(void)
{
	struct chela_record_info info = { .struct_size = sizeof info };

	setup();
	/* Nobody is connected, and nobody can be told. */
	open_one("main");
	CU_ASSERT_EQUAL(last_status, CHELA_RECORD_DENIED);
	CU_ASSERT_STRING_EQUAL(last_reason, "no-route");
	browser("a", NULL);
	browser("b", NULL);
	scopes = "\"operator.read\"";		/* may not decide */
	open_one("main");
	CU_ASSERT_EQUAL(last_status, CHELA_RECORD_DENIED);
	CU_ASSERT_EQUAL(line.n, 0);
	scopes = READERS;
	open_one("main");
	CU_ASSERT_EQUAL(last_status, CHELA_RECORD_PENDING);
	CU_ASSERT_EQUAL(line.n, 2);
	CU_ASSERT_TRUE(has_header("Urgency: high\n"));
	CU_ASSERT_TRUE(has_header("TTL: 61\n"));
	CU_ASSERT_TRUE(has_header("Topic: "));
	CU_ASSERT_EQUAL(records->info(last_id, NULL, &info), 0);
	CU_ASSERT_STRING_EQUAL(info.route, "forwarder");
	/* Its end is told to the same ones, in the same place. */
	line.n = 0;
	CU_ASSERT_EQUAL(records->resolve(fake_ctx(f, ""), last_id, NULL,
	    CHELA_DENY, 0, NULL, NULL), 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 2);
	CU_ASSERT_TRUE(has_header("Topic: "));
	CU_ASSERT_TRUE(has_header("TTL: 301\n"));
	/* Expiry is an end, too. */
	line.n = 0;
	open_one("main");
	CU_ASSERT_EQUAL(line.n, 2);
	fake_advance(f, 61000000);
	fake_settle(f);
	CU_ASSERT_EQUAL(last_status, CHELA_RECORD_EXPIRED);
	CU_ASSERT_EQUAL(line.n, 4);
	teardown();
}

static void
an_end_that_comes_first_is_told(void)
{
	setup();
	browser("a", NULL);
	/* Decided while the message is on its way. */
	line.is_held = true;
	open_one(NULL);
	CU_ASSERT_EQUAL(line.n, 1);
	CU_ASSERT_EQUAL(records->resolve(fake_ctx(f, ""), last_id, NULL,
	    CHELA_ALLOW_ONCE, 0, NULL, NULL), 1);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	line.is_held = false;
	line_end(NULL, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 2);
	/* Decided before it could be sent: nothing to take back. */
	line.n = 0;
	line.status = 503;
	open_one(NULL);
	CU_ASSERT_EQUAL(line.n, 1);
	line.status = 201;
	CU_ASSERT_EQUAL(records->resolve(fake_ctx(f, ""), last_id, NULL,
	    CHELA_DENY, 0, NULL, NULL), 1);
	fake_settle(f);
	fake_advance(f, 50000000);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 1);
	teardown();
}

static void
a_restart_takes_it_back(void)
{
	char	 key[256];
	char	*row;

	setup();
	browser("a", NULL);
	open_one(NULL);
	CU_ASSERT_EQUAL(line.n, 1);
	(void)snprintf(key, sizeof key, "sent/%s", last_id);
	row = fake_kv(f, "push", key);
	CU_ASSERT_PTR_NOT_NULL(row);
	free(row);
	CU_ASSERT_EQUAL_FATAL(fake_restart(f), 0);
	records = fake_import(f, CHELA_APPROVAL_RECORDS_SERVICE);
	fake_settle(f);
	CU_ASSERT_EQUAL(line.n, 2);
	row = fake_kv(f, "push", key);
	CU_ASSERT_PTR_NULL(row);
	free(row);
	teardown();
}

static const struct cu_case cases[] = {
	CU_CASE(categories_and_agents_are_chosen),
	CU_CASE(scopes_hold_when_it_is_sent),
	CU_CASE(quiet_hours_are_of_the_zone),
	CU_CASE(the_same_is_told_once),
	CU_CASE(a_busy_service_is_left_alone),
	CU_CASE(the_queue_has_an_end),
	CU_CASE(an_approval_waits_for_who_was_told),
	CU_CASE(an_end_that_comes_first_is_told),
	CU_CASE(a_restart_takes_it_back),
	CU_END
};
CU_MAIN("push: notes", cases)
