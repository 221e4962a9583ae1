/* SPDX-License-Identifier: MIT */
/* Plugin config on the real configuration of a folder of its own. */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chela/services/config.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/live.h"
#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

struct home {
	char			 dir[32];
	char			 path[64];
	struct fake		*f;
	struct conf_live	*live;
};

static void
home_open(struct home *h, const char *text)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;
	const char		*schemas = getenv("CHELA_TEST_SCHEMAS");
	struct conf_live_opts	 opts = { NULL, NULL,
		schemas == NULL ? "schemas" : schemas, "1.2.3" };
	char			 state[64];

	*h = (struct home){ .dir = "/tmp/test_plcfg.XXXXXX" };
	log_set_level(LOG_LEVEL_ERR);
	CU_ASSERT_FATAL(mkdtemp(h->dir) != NULL);
	(void)snprintf(h->path, sizeof h->path, "%s/chela.json", h->dir);
	(void)snprintf(state, sizeof state, "%s/state", h->dir);
	opts.path = h->path;
	opts.state_dir = state;
	if (text != NULL)
		CU_ASSERT_FATAL(file_write_atomic(h->path, text, strlen(text),
		    0600) == 0);
	h->f = fake_new();
	CU_ASSERT_FATAL(h->f != NULL);
	if (conf_live_open(fake_loop(h->f), &opts, &h->live, &is) < 0)
		conf_issues_print(&is, h->path, stderr);
	conf_issues_fini(&is);
	CU_ASSERT_FATAL(h->live != NULL);
	CU_ASSERT(fake_service(h->f, "core", CHELA_CONFIG_SERVICE,
	    conf_live_service(h->live)) == 0);
	CU_ASSERT_FATAL(fake_load(h->f, "config") == 0);
	CU_ASSERT_FATAL(fake_start(h->f) == 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return (remove(path));
}

static void
home_close(struct home *h)
{
	/* Before the loop goes, which the host takes with it. */
	h->live = conf_live_close(h->live);
	fake_free(h->f);
	(void)nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static char *
hash_now(struct home *h)
{
	struct json_object	*o = fake_call(h->f, NULL, "config.get", "{}");
	char			*hash = strdup(fake_str(o, "result.hash"));

	CU_ASSERT(fake_ok(o));
	json_object_put(o);
	return (hash);
}

static struct json_object *
call_raw(struct home *h, const char *method, const char *raw)
{
	struct json_object	*p = json_object_new_object(), *reply;
	char			*hash = hash_now(h);

	json_object_object_add(p, "raw", json_object_new_string(raw));
	json_object_object_add(p, "baseHash", json_object_new_string(hash));
	json_object_object_add(p, "note", json_object_new_string("n"));
	if (strcmp(method, "config.set") == 0)
		json_object_object_del(p, "note");
	free(hash);
	reply = fake_call(h->f, NULL, method, json_object_to_json_string(p));
	json_object_put(p);
	CU_ASSERT_FATAL(reply != NULL);
	return (reply);
}

static void
reads_writes_and_tells(void)
{
	struct home		 h;
	struct json_object	*o;

	home_open(&h, "{gateway: {auth: {token: 'SECRET-1'}}}");
	o = fake_call(h.f, NULL, "config.get", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT(strstr(json_object_to_json_string(o), "SECRET") == NULL);
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.path"), h.path);
	json_object_put(o);

	o = call_raw(&h, "config.patch", "{logging: {level: 'debug'}}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.changedPaths.0"),
	    "logging.level");
	CU_ASSERT(fake_count(h.f, NULL, "config.changed") == 1);
	CU_ASSERT_STRING_EQUAL(fake_str(fake_wait_event(h.f, NULL,
	    "config.changed", 0), "hash"), fake_str(o, "result.hash"));
	json_object_put(o);

	o = call_raw(&h, "config.set", "{logging: {level: 'warn'}}");
	CU_ASSERT(fake_ok(o));
	json_object_put(o);
	o = call_raw(&h, "config.apply", "{gateway: {port: 1}}");
	CU_ASSERT(fake_ok(o));
	/* Nobody restarts this process. */
	CU_ASSERT(!json_object_get_boolean(fake_get(o, "result.restart.ok")));
	CU_ASSERT(json_object_get_boolean(fake_get(o,
	    "result.restart.required")));
	json_object_put(o);
	home_close(&h);
}

static void
refuses(struct home *h, const char *method, const char *params,
    const char *code, const char *message)
{
	struct json_object	*o = fake_call(h->f, NULL, method, params);

	CU_ASSERT_FATAL(o != NULL);
	CU_ASSERT(!fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_code(o), code);
	if (strstr(fake_message(o), message) == NULL) {
		(void)fprintf(stderr, "\n%s: %s\n", method, fake_message(o));
		CU_FAIL("another message");
	}
	json_object_put(o);
}

static void
refuses_in_the_words_of_the_protocol(void)
{
	struct home		 h;
	struct json_object	*o;

	home_open(&h, "{}");
	refuses(&h, "config.set", "{}", "INVALID_REQUEST",
	    "must have required property 'raw'");
	refuses(&h, "config.get", "{\"x\":1}", "INVALID_REQUEST",
	    "unexpected property 'x'");
	refuses(&h, "config.set", "{\"raw\":\"{}\"}", "INVALID_REQUEST",
	    "config base hash required; re-run config.get and retry");
	refuses(&h, "config.apply", "{\"raw\":\"{\",\"baseHash\":\"x\"}",
	    "INVALID_REQUEST",
	    "config changed since last load; re-run config.get and retry");
	refuses(&h, "config.patch", "{\"raw\":\"[]\"}", "INVALID_REQUEST",
	    "config.patch raw must be an object");
	refuses(&h, "config.schema.lookup", "{\"path\":\"no.such\"}",
	    "INVALID_REQUEST", "config schema path not found");
	refuses(&h, "config.schema.lookup", "{\"path\":\"a b\"}",
	    "INVALID_REQUEST", "/path");
	refuses(&h, "config.openFile", "{}", "UNAVAILABLE", "desktop");
	o = call_raw(&h, "config.set", "{gatway: 1}");
	CU_ASSERT(!fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o, "error.details.issues.0.path"),
	    "gatway");
	json_object_put(o);
	CU_ASSERT(fake_count(h.f, NULL, "config.changed") == 0);
	home_close(&h);
}

static void
describes_itself(void)
{
	struct home		 h;
	struct json_object	*o;

	home_open(&h, NULL);
	o = fake_call(h.f, NULL, "config.schema", "{}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o,
	    "result.schema.properties.gateway.properties.port.type"),
	    "integer");
	json_object_put(o);
	o = fake_call(h.f, NULL, "config.schema.lookup",
	    "{\"path\":\"gateway.port\"}");
	CU_ASSERT(fake_ok(o));
	CU_ASSERT_STRING_EQUAL(fake_str(o, "result.reloadKind"), "restart");
	json_object_put(o);
	home_close(&h);
}

static void
scopes_are_as_documented(void)
{
	struct home			 h;
	struct fake_conn_opt		 opt = { .scopes = "read" };
	struct chela_conn		*c;
	struct json_object		*o;

	home_open(&h, "{}");
	c = fake_conn_new(h.f, &opt);
	o = fake_call(h.f, c, "config.get", "{}");
	CU_ASSERT(fake_ok(o));
	json_object_put(o);
	o = fake_call(h.f, c, "config.set", "{\"raw\":\"{}\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(o), "FORBIDDEN");
	json_object_put(o);
	home_close(&h);
}

static const struct cu_case cases[] = {
	CU_CASE(reads_writes_and_tells),
	CU_CASE(refuses_in_the_words_of_the_protocol),
	CU_CASE(describes_itself),
	CU_CASE(scopes_are_as_documented),
	CU_END
};
CU_MAIN("plugin config", cases)
