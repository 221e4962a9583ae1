/* SPDX-License-Identifier: MIT */
/* Reading the file: checks, ${NAME}, defaults, secrets, merging, hashes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/config/config_priv.h"
#include "core/config/merge.h"
#include "core/config/redact.h"
#include "core/json/json.h"
#include "tests/unit/cu.h"

static const uint8_t key[CONF_KEY_LEN] = { 1, 2, 3 };

static const char *
schema_dir(void)
{
	const char	*dir = getenv("CHELA_TEST_SCHEMAS");

	return (dir == NULL ? "schemas" : dir);
}

static struct conf_schema *
schema_new(void)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct conf_schema	*s = NULL;

	if (conf_schema_load(schema_dir(), &s, &is) < 0)
		conf_issues_print(&is, "config.json", stderr);
	conf_issues_fini(&is);
	CU_ASSERT_FATAL(s != NULL);
	return (s);
}

static int
parse(const char *text, struct conf **ret, struct conf_issues *is)
{
	struct conf_schema	*s = schema_new();
	int			 r;

	*ret = NULL;
	*is = (struct conf_issues)CONF_ISSUES_INIT;
	r = conf_parse("chela.json", text, text == NULL ? 0 : strlen(text), s,
	    key, ret, is);
	(void)conf_schema_unref(s);
	return (r);
}

/* The text is refused with just this issue. */
static void
refuses(const char *text, const char *path, unsigned line, unsigned col,
    const char *message)
{
	struct conf_issues	 is;
	struct conf		*c;

	CU_ASSERT(parse(text, &c, &is) == -EINVAL);
	CU_ASSERT_FATAL(is.n > 0);
	if (is.n != 1 || strcmp(is.items[0].path, path) != 0 ||
	    is.items[0].line != line || is.items[0].col != col ||
	    strstr(is.items[0].message, message) == NULL) {
		conf_issues_print(&is, text, stderr);
		CU_FAIL("another issue");
	}
	conf_issues_fini(&is);
	(void)conf_unref(c);
}

static struct conf *
takes(const char *text)
{
	struct conf_issues	 is;
	struct conf		*c;

	if (parse(text, &c, &is) < 0)
		conf_issues_print(&is, text, stderr);
	conf_issues_fini(&is);
	CU_ASSERT_FATAL(c != NULL);
	return (c);
}

static void
no_file_means_defaults(void)
{
	struct conf	*c = takes(NULL);

	CU_ASSERT(!conf_exists(c));
	CU_ASSERT(conf_text(c, NULL) == NULL);
	CU_ASSERT(conf_get_int(c, "gateway.port", 0) == 18789);
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "gateway.bind", ""), "loopback");
	CU_ASSERT(conf_get_int(c, "gateway.auth.rateLimit.maxAttempts", 0) ==
	    10);
	CU_ASSERT(conf_get_bool(c, "gateway.auth.rateLimit.exemptLoopback",
	    false));
	CU_ASSERT(conf_get_int(c, "gateway.limits.maxPayloadBytes", 0) ==
	    26214400);
	CU_ASSERT(conf_get(c, "gateway.auth.token") == NULL);
	CU_ASSERT(json_object_object_length(conf_parsed(c)) == 0);
	(void)conf_unref(c);
}

static void
values_are_found(void)
{
	struct conf	*c;

	c = takes("{gateway: {port: 1234, tls: {autoGenerate: false}}, agents: "
	    "{list: [{id: 'main', name: 'M'}, {id: 'b'}]},"
	    "models: {providers: {x: {models: [{id: 'm'}]}}}}");
	CU_ASSERT(conf_get_int(c, "gateway.port", 0) == 1234);
	CU_ASSERT(!conf_get_bool(c, "gateway.tls.autoGenerate", true));
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "agents.list[1].id", ""), "b");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "agents.list[0].name", ""), "M");
	CU_ASSERT(conf_get(c, "agents.list[2].id") == NULL);
	CU_ASSERT(conf_get(c, "gateway.port.x") == NULL);
	CU_ASSERT(conf_get_str(c, "gateway.port", NULL) == NULL);
	CU_ASSERT(conf_get(c, "") != NULL);
	/* Defaults reach into lists and into what has any name. */
	CU_ASSERT(!conf_get_bool(c, "models.providers.x.models[0].reasoning",
	    true));
	CU_ASSERT(conf_get_int(c, "models.providers.x.timeoutSeconds", 0) ==
	    300);
	/* What was written stays as it was. */
	CU_ASSERT(json_get_path(conf_parsed(c), "models.providers.x."
	    "timeoutSeconds") == NULL);
	(void)conf_unref(c);
}

static void
unknown_keys_are_refused(void)
{
	refuses("{gateway: {\n  prot: 1}}", "gateway.prot", 2, 3,
	    "did you mean 'port'?");
	refuses("{gatway: {}}", "gatway", 1, 2, "did you mean 'gateway'?");
	refuses("{agents: {list: [{id: 'a', wrkspace: 'x'}]}}",
	    "agents.list[0].wrkspace", 1, 28, "did you mean 'workspace'?");
	refuses("{models: {providers: {x: {apikey: 'k'}}}}",
	    "models.providers.x.apikey", 1, 27, "did you mean 'apiKey'?");
	refuses("{gateway: {fooBarBazQux: 1}}", "gateway.fooBarBazQux", 1, 12,
	    "unknown key");
}

static void
unknown_keys_far_from_all_get_no_advice(void)
{
	struct conf_issues	 is;
	struct conf		*c;

	CU_ASSERT(parse("{zzzzzzzzzzzz: 1}", &c, &is) == -EINVAL);
	CU_ASSERT_FATAL(is.n == 1);
	CU_ASSERT_STRING_EQUAL(is.items[0].message, "unknown key");
	conf_issues_fini(&is);
}

static void
values_are_checked(void)
{
	refuses("{gateway: {port: '1'}}", "gateway.port", 1, 12,
	    "must be integer");
	refuses("{gateway: {port: 65536}}", "gateway.port", 1, 12,
	    "must be <= 65535");
	refuses("{gateway: {bind: 'x'}}", "gateway.bind", 1, 12, "must be");
	refuses("{agents: {list: [{name: 'x'}]}}", "agents.list[0]", 1, 18,
	    "required property");
}

static void
open_parts_take_anything(void)
{
	struct conf	*c;

	c = takes("{channels: {irc: {server: 'x', deep: [{a: 1}]}}, "
	    "plugins: {entries: {any: {enabled: false, config: {z: 1}}}}}");
	CU_ASSERT(conf_get_int(c, "plugins.entries.any.config.z", 0) == 1);
	(void)conf_unref(c);
}

static void
keys_without_effect_are_named(void)
{
	const struct conf_issues	*w;
	struct conf			*c;

	c = takes("{logging: {consoleStyle: 'pretty'}}");
	w = conf_warnings(c);
	CU_ASSERT_FATAL(w->n == 1);
	CU_ASSERT_STRING_EQUAL(w->items[0].path, "logging.consoleStyle");
	(void)conf_unref(c);
}

/* AB-112 */
static void
text_errors_have_a_place(void)
{
	refuses("{\n  gateway: {port: 1", "", 2, 20, "end of text");
	refuses("", "", 1, 1, "end of text");
	refuses("[]", "", 0, 0, "must be an object");
	refuses("{a: 1, a: 2}", "", 1, 8, "second time");
	/* 43 bytes of something else. */
	refuses("\x7f""ELF\x02\x01\x01""aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "", 1, 1, "unexpected");
}

static void
environment_is_filled_in(void)
{
	struct conf	*c;

	(void)setenv("CHELA_TEST_A", "alpha", 1);
	c = takes("{gateway: {auth: {token: '${CHELA_TEST_A}'}}, ui: {prefs: "
	    "{x: 'a${CHELA_TEST_A}b${CHELA_TEST_A}', y: '$${CHELA_TEST_A}', "
	    "z: '$5 ${not a name} ${', w: ['${CHELA_TEST_A}']}}}");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "gateway.auth.token", ""),
	    "alpha");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "ui.prefs.x", ""),
	    "aalphabalpha");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "ui.prefs.y", ""),
	    "${CHELA_TEST_A}");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "ui.prefs.z", ""),
	    "$5 ${not a name} ${");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "ui.prefs.w[0]", ""), "alpha");
	CU_ASSERT_STRING_EQUAL(json_object_get_string(json_get_path(
	    conf_parsed(c), "gateway.auth.token")), "${CHELA_TEST_A}");
	(void)conf_unref(c);
	(void)unsetenv("CHELA_TEST_A");
	refuses("{gateway:\n {auth: {token: '${CHELA_TEST_A}'}}}",
	    "gateway.auth.token", 2, 10,
	    "environment variable CHELA_TEST_A is not set");
}

static void
references_to_the_environment_are_followed(void)
{
	struct conf		*c;
	struct json_object	*hidden = NULL;

	(void)setenv("CHELA_TEST_A", "SECRET-a", 1);
	c = takes("{gateway: {auth: {token: {source: 'env', provider: "
	    "'default', id: 'CHELA_TEST_A'}}}, models: {providers: {x: "
	    "{headers: {'X-K': {source: 'env', id: 'CHELA_TEST_A'}}, apiKey: "
	    "{source: 'file', id: '/x'}}}}, ui: {prefs: {a: {source: 'env', "
	    "id: 'CHELA_TEST_A'}}}}");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "gateway.auth.token", ""),
	    "SECRET-a");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "models.providers.x.headers.X-K",
	    ""), "SECRET-a");
	/* Others stay what they are; so does one where no secret belongs. */
	CU_ASSERT_STRING_EQUAL(conf_get_str(c,
	    "models.providers.x.apiKey.source", ""), "file");
	CU_ASSERT_STRING_EQUAL(conf_get_str(c, "ui.prefs.a.source", ""), "env");
	CU_ASSERT_FATAL(conf_redact(c->schema, c->config, &hidden) == 0);
	CU_ASSERT(strstr(json_object_to_json_string(hidden), "SECRET") ==
	    NULL);
	/* Written back, the mark is the reference again. */
	CU_ASSERT(conf_restore(c->schema, hidden, c->parsed, NULL) == 0);
	CU_ASSERT(json_equal(json_get_path(hidden, "gateway.auth.token"),
	    json_get_path(c->parsed, "gateway.auth.token")));
	json_object_put(hidden);
	(void)conf_unref(c);
	(void)unsetenv("CHELA_TEST_A");
	refuses("{hooks: {token: {source: 'env', id: 'CHELA_TEST_A'}}}",
	    "hooks.token", 1, 10, "CHELA_TEST_A is not set");
}

static void
include_is_refused(void)
{
	refuses("{$include: 'x.json'}", "$include", 1, 2, "not supported");
}

static void
hashes_follow_text_and_meaning(void)
{
	struct conf	*a, *b, *d;

	a = takes("{gateway: {port: 1}}");
	b = takes("{gateway: {port: 1}} // x");
	d = takes("{gateway: {port: 2}}");
	CU_ASSERT(strncmp(conf_hash(a), "hmac-sha256:v1:", 15) == 0);
	CU_ASSERT(strlen(conf_hash(a)) == 15 + 43);
	CU_ASSERT(strcmp(conf_hash(a), conf_hash(b)) != 0);
	CU_ASSERT_STRING_EQUAL(conf_revision(a), conf_revision(b));
	CU_ASSERT(strcmp(conf_revision(a), conf_revision(d)) != 0);
	(void)conf_unref(a);
	(void)conf_unref(b);
	(void)conf_unref(d);
}

/* HMAC-SHA-256, key 00..1f, "abc"; the value is of another implementation. */
static void
hash_is_hmac_sha256(void)
{
	uint8_t	 k[CONF_KEY_LEN];
	char	 text[CONF_HASH_MAX];
	size_t	 i;

	for (i = 0; i < sizeof k; i++)
		k[i] = (uint8_t)i;
	CU_ASSERT(conf_hash_text(k, "abc", 3, text) == 0);
	CU_ASSERT_STRING_EQUAL(text, "hmac-sha256:v1:"
	    "8BM3KcQWPe3oHiHNR4OSVtpYFxI4yKDYdDl8c7FOHkc");
}

static void
key_is_kept(void)
{
	char		 dir[] = "/tmp/test_config.XXXXXX", path[64];
	uint8_t		 a[CONF_KEY_LEN], b[CONF_KEY_LEN];
	struct stat	 st;
	mode_t		 old;

	CU_ASSERT_FATAL(mkdtemp(dir) != NULL);
	old = umask(0);
	CU_ASSERT(conf_key_load(dir, a) == 0);
	(void)umask(old);
	CU_ASSERT(conf_key_load(dir, b) == 0);
	CU_ASSERT(memcmp(a, b, sizeof a) == 0);
	(void)snprintf(path, sizeof path, "%s/config-hash.key", dir);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
	/* A key that was cut short is replaced. */
	CU_ASSERT(truncate(path, 5) == 0);
	CU_ASSERT(conf_key_load(dir, b) == 0);
	CU_ASSERT(memcmp(a, b, sizeof a) != 0);
	(void)unlink(path);
	(void)rmdir(dir);
}

/* Every place where the schema or a name says "secret", filled with markers. */
static const char secrets_text[] =
    "{ // token: SECRET-comment1\n"
    "  gateway: { auth: { token: 'SECRET-01', password: \"SECRET-02\" },\n"
    "    /* was SECRET-01 before */\n"
    "    controlUi: { github: { token: 'SECRET-03' } },\n"
    "    remote: { token: 'SECRET-04', password: 'SECRET-05' } },\n"
    "  models: { providers: { openai: { baseUrl: 'https://x/', apiKey:\n"
    "      'SECRET-06', headers: { 'X-Any': 'SECRET-07' }, models: [\n"
    "      { id: 'm1', headers: { 'X-B': 'SECRET-08' } }, { id: 'm2' } ] },\n"
    "    env: { apiKey: '${HOME}' } } },\n"
    "  channels: { irc: { password: 'SECRET-09', accounts: [\n"
    "      { id: 'a', botToken: 'SECRET-10' },\n"
    "      { id: 'b', botToken: 'SECRET-11' } ] },\n"
    "    web: { url: 'https://u:SECRET-12@host/', maxTokens: 5 } },\n"
    "  cron: { webhookToken: 'SECRET-13' },\n"
    "  hooks: { token: 'SECRET-14', gmail: { pushToken: 'SECRET-15' } },\n"
    "  talk: { apiKey: 'SECRET-16' },\n"
    "  secrets: { providers: { v: { clientSecret: 'SECRET-17' } } },\n"
    "  skills: { entries: { s: { apiKey: 'SECRET-18', env: { A: 'open' } } }\n"
    "  },\n"
    "  plugins: { entries: { p: { config: { api_key: 'SECRET-19',\n"
    "    pin: { password: 12345678 }, tokens: 3, secret: '' } } } },\n"
    "}\n";
#define N_SECRETS	20	/* with the password that is a number */

static int
count_secret(const char *path, struct json_object *v,
    struct json_object *parent, const char *name, size_t index, void *arg)
{
	(void)path;
	(void)v;
	(void)parent;
	(void)name;
	(void)index;
	(*(unsigned *)arg)++;
	return (0);
}

static unsigned
count(const char *text, const char *what)
{
	unsigned	 n = 0;

	while ((text = strstr(text, what)) != NULL) {
		text++;
		n++;
	}
	return (n);
}

static void
every_secret_is_hidden_and_comes_back(void)
{
	struct conf		*c = takes(secrets_text);
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct json_object	*hidden = NULL;
	const char		*text;
	unsigned		 n = 0;

	CU_ASSERT(conf_secrets_each(c->schema, c->parsed, count_secret, &n) ==
	    0);
	CU_ASSERT(n == N_SECRETS);
	CU_ASSERT_FATAL(conf_redact(c->schema, c->parsed, &hidden) == 0);
	text = json_object_to_json_string(hidden);
	CU_ASSERT(strstr(text, "SECRET-") == NULL);
	CU_ASSERT(strstr(text, "12345678") == NULL);
	CU_ASSERT(count(text, CONF_REDACTED) == N_SECRETS);
	CU_ASSERT(strstr(text, "${HOME}") != NULL);
	CU_ASSERT(strstr(text, "\"maxTokens\": 5") != NULL);

	CU_ASSERT(conf_restore(c->schema, hidden, c->parsed, &is) == 0);
	CU_ASSERT(json_equal(hidden, c->parsed));
	conf_issues_print(&is, "restore", stderr);
	json_object_put(hidden);
	conf_issues_fini(&is);

	/* ${NAME} is a secret once it is replaced. */
	CU_ASSERT_FATAL(conf_redact(c->schema, c->config, &hidden) == 0);
	CU_ASSERT(count(json_object_to_json_string(hidden), CONF_REDACTED) ==
	    N_SECRETS + 1);
	json_object_put(hidden);
	(void)conf_unref(c);
}

static void
text_is_hidden_in_place(void)
{
	struct conf		*c = takes(secrets_text), *d;
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct buf		 b = BUF_INIT;
	struct json_object	*doc = NULL;
	char			*text;

	CU_ASSERT_FATAL(conf_redact_text(c->schema, secrets_text,
	    strlen(secrets_text), &b) == 0);
	text = buf_take(&b, NULL);
	CU_ASSERT_FATAL(text != NULL);
	CU_ASSERT(strstr(text, "SECRET-") == NULL);
	CU_ASSERT(strstr(text, "12345678") == NULL);
	/* The values, and two comments. */
	CU_ASSERT(count(text, CONF_REDACTED) == N_SECRETS + 2);
	CU_ASSERT(count(text, "\n") == count(secrets_text, "\n"));
	/* What a client sends back unchanged is what was there. */
	d = takes(text);
	doc = d->parsed;
	CU_ASSERT(conf_restore(c->schema, doc, c->parsed, &is) == 0);
	CU_ASSERT(json_equal(doc, c->parsed));
	free(text);
	(void)conf_unref(c);
	(void)conf_unref(d);
	conf_issues_fini(&is);
}

static void
mark_is_never_stored(const char *text, const char *path)
{
	struct conf		*stored = takes(secrets_text);
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct json_object	*doc = NULL;

	CU_ASSERT_FATAL(conf_text_parse(text, strlen(text), &doc, &is) == 0);
	CU_ASSERT(conf_restore(stored->schema, doc, stored->parsed, &is) ==
	    -EINVAL);
	CU_ASSERT(is.n == 1 && strcmp(is.items[0].path, path) == 0);
	if (is.n > 0 && strcmp(is.items[0].path, path) != 0)
		conf_issues_print(&is, text, stderr);
	conf_issues_fini(&is);
	json_object_put(doc);
	(void)conf_unref(stored);
}

static void
mark_without_a_secret_is_refused(void)
{
	mark_is_never_stored("{models: {providers: {new: {apiKey: '"
	    CONF_REDACTED "'}}}}", "models.providers.new.apiKey");
	/* Nor where no secret belongs, nor inside another text. */
	mark_is_never_stored("{ui: {seamColor: '" CONF_REDACTED "'}}",
	    "ui.seamColor");
	mark_is_never_stored("{models: {providers: {openai: {baseUrl: '"
	    CONF_REDACTED "'}}}}", "models.providers.openai.baseUrl");
	mark_is_never_stored("{hooks: {token: 'x" CONF_REDACTED "'}}",
	    "hooks.token");
	/* An element that is new gets no other one's secret. */
	mark_is_never_stored("{channels: {irc: {accounts: [{id: 'c', botToken: '"
	    CONF_REDACTED "'}, {id: 'b'}]}}}",
	    "channels.irc.accounts[0].botToken");
}

static void
secrets_follow_their_element(void)
{
	struct conf		*stored = takes(secrets_text);
	struct json_object	*doc = NULL;
	const char		*text = "{channels: {irc: {accounts: ["
	    "{id: 'b', botToken: '" CONF_REDACTED "'}]}}}";

	CU_ASSERT_FATAL(conf_text_parse(text, strlen(text), &doc, NULL) == 0);
	CU_ASSERT(conf_restore(stored->schema, doc, stored->parsed, NULL) == 0);
	CU_ASSERT(strstr(json_object_to_json_string(doc), "SECRET-11") != NULL);
	json_object_put(doc);
	(void)conf_unref(stored);
}

static bool
replace_none(const char *path, void *arg)
{
	return (arg != NULL && strcmp(path, arg) == 0);
}

/* doc with patch is want; want NULL: refused, and lost is the path. */
static void
merges(const char *doc, const char *patch, const char *replace,
    const char *want, const char *lost)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct json_object	*d = json_tokener_parse(doc);
	struct json_object	*p = json_tokener_parse(patch);
	struct json_object	*w = want == NULL ? NULL :
				    json_tokener_parse(want);
	int			 r;

	CU_ASSERT_FATAL(d != NULL && p != NULL);
	r = conf_merge(d, p, replace_none, (void *)(uintptr_t)replace, &is);
	if (want != NULL) {
		CU_ASSERT(r == 0);
		CU_ASSERT(json_equal(d, w));
		if (!json_equal(d, w))
			(void)fprintf(stderr, "\n%s + %s: %s\n", doc, patch,
			    json_object_to_json_string(d));
	} else {
		CU_ASSERT(r == -EPERM);
		CU_ASSERT(is.n == 1 && strcmp(is.items[0].path, lost) == 0);
	}
	conf_issues_fini(&is);
	json_object_put(d);
	json_object_put(p);
	json_object_put(w);
}

/* The examples of RFC 7396, appendix A, whose root is an object. */
static void
merges_as_rfc_7396(void)
{
	merges("{\"a\":\"b\"}", "{\"a\":\"c\"}", NULL, "{\"a\":\"c\"}", NULL);
	merges("{\"a\":\"b\"}", "{\"b\":\"c\"}", NULL,
	    "{\"a\":\"b\",\"b\":\"c\"}", NULL);
	merges("{\"a\":\"b\"}", "{\"a\":null}", NULL, "{}", NULL);
	merges("{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", NULL,
	    "{\"b\":\"c\"}", NULL);
	merges("{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "a", "{\"a\":\"c\"}", NULL);
	merges("{\"a\":\"c\"}", "{\"a\":[\"b\"]}", NULL, "{\"a\":[\"b\"]}",
	    NULL);
	merges("{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
	    NULL, "{\"a\":{\"b\":\"d\"}}", NULL);
	merges("{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "a", "{\"a\":[1]}",
	    NULL);
	merges("{\"e\":null}", "{\"a\":1}", NULL, "{\"e\":null,\"a\":1}", NULL);
	merges("{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", NULL,
	    "{\"a\":{\"bb\":{}}}", NULL);
}

/* AB-113 */
static void
arrays_are_not_lost_by_accident(void)
{
	/* Growing is fine, losing an entry asks for the path. */
	merges("{\"a\":[1,2]}", "{\"a\":[1,2,3]}", NULL, "{\"a\":[1,2,3]}",
	    NULL);
	merges("{\"a\":[1,2]}", "{\"a\":[2]}", NULL, NULL, "a");
	merges("{\"a\":[1,2]}", "{\"a\":[2]}", "a", "{\"a\":[2]}", NULL);
	merges("{\"a\":[1,1]}", "{\"a\":[1,2]}", NULL, NULL, "a");
	merges("{\"a\":[1]}", "{\"a\":null}", NULL, NULL, "a");
	merges("{\"o\":{\"a\":[1]}}", "{\"o\":null}", NULL, NULL, "o.a");
	merges("{\"o\":{\"a\":[1]}}", "{\"o\":null}", "o", NULL, "o.a");
	merges("{\"o\":{\"a\":[1]}}", "{\"o\":null}", "o.a", "{}", NULL);
	merges("{\"o\":{\"a\":[]}}", "{\"o\":5}", NULL, NULL, "o.a");
}

static void
arrays_with_ids_merge(void)
{
	const char	*doc = "{\"m\":[{\"id\":\"a\",\"x\":1,\"t\":[1]},"
	    "{\"id\":\"b\"}]}";

	merges(doc, "{\"m\":[]}", NULL, doc, NULL);
	merges(doc, "{\"m\":[]}", "m", "{\"m\":[]}", NULL);
	merges(doc, "{\"m\":[{\"id\":\"c\",\"y\":null},{\"id\":\"a\","
	    "\"x\":null}]}", NULL, "{\"m\":[{\"id\":\"a\",\"t\":[1]},"
	    "{\"id\":\"b\"},{\"id\":\"c\"}]}", NULL);
	merges(doc, "{\"m\":[{\"id\":\"a\",\"t\":[2]}]}", NULL, NULL, "m[].t");
	merges(doc, "{\"m\":[{\"id\":\"a\",\"t\":[2]}]}", "m[].t",
	    "{\"m\":[{\"id\":\"a\",\"x\":1,\"t\":[2]},{\"id\":\"b\"}]}", NULL);
}

static int
note_path(const char *path, void *arg)
{
	char	*text = arg;

	(void)strncat(text, path, 200 - strlen(text));
	(void)strncat(text, " ", 200 - strlen(text));
	return (0);
}

static void
differences_are_leaves(void)
{
	struct json_object	*a, *b;
	char			 text[256] = "";

	a = json_tokener_parse("{\"g\":{\"p\":1,\"q\":2},\"l\":[1],\"o\":{},"
	    "\"z\":{\"y\":1}}");
	b = json_tokener_parse("{\"g\":{\"p\":1.0,\"q\":3},\"l\":[2],"
	    "\"n\":{\"m\":1},\"z\":5}");
	CU_ASSERT(conf_diff(a, b, note_path, text) == 0);
	CU_ASSERT_STRING_EQUAL(text, "g.q l o z n.m ");
	text[0] = '\0';
	CU_ASSERT(conf_diff(a, a, note_path, text) == 0);
	CU_ASSERT_STRING_EQUAL(text, "");
	CU_ASSERT(conf_leaves(a) == 4);
	json_object_put(a);
	json_object_put(b);
}

static void
reload_kinds_follow_the_table(void)
{
	static const struct {
		const char		*path;
		enum conf_reload	 kind;
	} want[] = {
		{ "gateway.port", CONF_RELOAD_RESTART },
		{ "gateway.reload.mode", CONF_RELOAD_NONE },
		{ "gateway.remote.url", CONF_RELOAD_NONE },
		{ "hooks.token", CONF_RELOAD_HOT },
		{ "agents.defaults.heartbeat.every", CONF_RELOAD_HOT },
		{ "agents.defaults.model", CONF_RELOAD_NONE },
		{ "agents.list", CONF_RELOAD_NONE },
		{ "cron.enabled", CONF_RELOAD_HOT },
		{ "channels.irc.server", CONF_RELOAD_HOT },
		{ "plugins.entries.x.enabled", CONF_RELOAD_HOT },
		{ "plugins.load.paths", CONF_RELOAD_RESTART },
		{ "gateway.controlUi.allowedOrigins", CONF_RELOAD_HOT },
		{ "models.providers.x.apiKey", CONF_RELOAD_NONE },
		{ "logging.level", CONF_RELOAD_NONE },
		{ "discovery.mdns", CONF_RELOAD_RESTART },
		{ "what.is.this", CONF_RELOAD_RESTART },
	};
	struct conf_schema	*s = schema_new();
	size_t			 i;

	for (i = 0; i < ARRAY_LEN(want); i++) {
		if (conf_reload_kind(s, want[i].path) != want[i].kind)
			(void)fprintf(stderr, "\n%s\n", want[i].path);
		CU_ASSERT(conf_reload_kind(s, want[i].path) == want[i].kind);
	}
	(void)conf_schema_unref(s);
}

static void
plugins_bring_their_shape(void)
{
	struct conf_schema	*s = schema_new();
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct conf		*c = NULL;
	const char		*good = "{plugins: {entries: {p: {config: {}}}}}";
	const char		*bad = "{plugins: {entries: {p: {config: "
	    "{lines: 'x'}}}}}";

	CU_ASSERT(conf_schema_add_plugin(s, "p", json_tokener_parse(
	    "{\"type\":\"object\",\"properties\":{\"lines\":{\"type\":"
	    "\"integer\",\"default\":7},\"pin\":{\"type\":\"string\","
	    "\"x-chela-sensitive\":true}},\"additionalProperties\":false}")) ==
	    0);
	CU_ASSERT_FATAL(conf_parse("f", good, strlen(good), s, key, &c, &is) ==
	    0);
	CU_ASSERT(conf_get_int(c, "plugins.entries.p.config.lines", 0) == 7);
	(void)conf_unref(c);
	CU_ASSERT(conf_parse("f", bad, strlen(bad), s, key, &c, &is) ==
	    -EINVAL);
	CU_ASSERT(is.n == 1 && strcmp(is.items[0].path,
	    "plugins.entries.p.config.lines") == 0);
	conf_issues_fini(&is);
	(void)conf_schema_unref(s);
}

static void
load_of(const char *path, int want, const char *message)
{
	struct conf_schema	*s = schema_new();
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct conf		*c = NULL;
	int			 r;

	r = conf_load(path, s, key, &c, &is);
	CU_ASSERT(r == want);
	if (r == 0)
		CU_ASSERT(c != NULL && (message == NULL ?
		    conf_warnings(c)->n == 0 : conf_warnings(c)->n == 1 &&
		    strstr(conf_warnings(c)->items[0].message, message) != NULL));
	if (r < 0)
		CU_ASSERT(is.n == 1 && strstr(is.items[0].message, message) !=
		    NULL);
	(void)conf_unref(c);
	(void)conf_schema_unref(s);
	conf_issues_fini(&is);
}

/* AB-115 */
static void
files_that_others_write_are_refused(void)
{
	char		 path[] = "/tmp/test_config.XXXXXX";
	const char	*text = "{hooks: {token: 'abcdefgh'}}";
	int		 fd;

	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	load_of(path, 0, NULL);
	CU_ASSERT(fchmod(fd, 0640) == 0);
	load_of(path, 0, NULL);
	CU_ASSERT(fchmod(fd, 0644) == 0);
	load_of(path, 0, "chmod it 0600");
	CU_ASSERT(fchmod(fd, 0666) == 0);
	load_of(path, -EPERM, "every user");
	CU_ASSERT(fchmod(fd, 0644) == 0);
	CU_ASSERT(ftruncate(fd, (off_t)CONF_TEXT_MAX + 1) == 0);
	load_of(path, -EFBIG, "1 MiB");
	CU_ASSERT(ftruncate(fd, 0) == 0);
	load_of(path, -EINVAL, "end of text");
	(void)close(fd);
	(void)unlink(path);
	load_of(path, 0, NULL);		/* no file at all */
	load_of("/tmp", -EISDIR, "directory");
}

static void
check_prints_places(void)
{
	char	 path[] = "/tmp/test_config.XXXXXX", out[512] = "";
	char	 want[600];
	FILE	*f;
	int	 fd;

	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(write(fd, "{\n gatewya: 1}", 14) == 14);
	f = fmemopen(out, sizeof out, "w");
	CU_ASSERT_FATAL(f != NULL);
	CU_ASSERT(conf_check_file(path, schema_dir(), f) == -EINVAL);
	(void)fclose(f);
	(void)snprintf(want, sizeof want, "%s:2:2: gatewya: unknown key "
	    "(did you mean 'gateway'?)\n", path);
	CU_ASSERT_STRING_EQUAL(out, want);
	(void)close(fd);
	(void)unlink(path);
}

static void
paths_are_found_in_order(void)
{
	char	 home[] = "/tmp/test_config.XXXXXX", dir[128], file[160];
	char	*p;

	CU_ASSERT_FATAL(mkdtemp(home) != NULL);
	(void)setenv("HOME", home, 1);
	(void)unsetenv("CHELA_CONFIG");
	(void)unsetenv("CHELA_STATE_DIR");
	(void)snprintf(dir, sizeof dir, "%s/.config/chela", home);
	(void)snprintf(file, sizeof file, "%s/chela.json", dir);
	CU_ASSERT(file_mkdirs(dir, 0700) == 0);
	CU_ASSERT(file_write_atomic(file, "{}", 2, 0600) == 0);
	p = conf_path_find(NULL);
	CU_ASSERT(p != NULL && strcmp(p, file) == 0);
	free(p);
	(void)setenv("CHELA_CONFIG", "/env.json", 1);
	p = conf_path_find(NULL);
	CU_ASSERT(p != NULL && strcmp(p, "/env.json") == 0);
	free(p);
	p = conf_path_find("/arg.json");
	CU_ASSERT(p != NULL && strcmp(p, "/arg.json") == 0);
	free(p);
	p = conf_state_dir_find(NULL);
	(void)snprintf(dir, sizeof dir, "%s/.local/state/chela", home);
	CU_ASSERT(p != NULL && strcmp(p, dir) == 0);
	free(p);
	(void)setenv("HOME", "/", 1);
	p = conf_state_dir_find(NULL);
	CU_ASSERT(p != NULL && strcmp(p, "/var/lib/chela") == 0);
	free(p);
	(void)unsetenv("CHELA_CONFIG");
	(void)unlink(file);
	(void)snprintf(dir, sizeof dir, "%s/.config/chela", home);
	(void)rmdir(dir);
	(void)snprintf(dir, sizeof dir, "%s/.config", home);
	(void)rmdir(dir);
	(void)rmdir(home);
}

static const struct cu_case cases[] = {
	CU_CASE(no_file_means_defaults),
	CU_CASE(values_are_found),
	CU_CASE(unknown_keys_are_refused),
	CU_CASE(unknown_keys_far_from_all_get_no_advice),
	CU_CASE(values_are_checked),
	CU_CASE(open_parts_take_anything),
	CU_CASE(keys_without_effect_are_named),
	CU_CASE(text_errors_have_a_place),
	CU_CASE(environment_is_filled_in),
	CU_CASE(references_to_the_environment_are_followed),
	CU_CASE(include_is_refused),
	CU_CASE(hashes_follow_text_and_meaning),
	CU_CASE(hash_is_hmac_sha256),
	CU_CASE(key_is_kept),
	CU_CASE(every_secret_is_hidden_and_comes_back),
	CU_CASE(text_is_hidden_in_place),
	CU_CASE(mark_without_a_secret_is_refused),
	CU_CASE(secrets_follow_their_element),
	CU_CASE(merges_as_rfc_7396),
	CU_CASE(arrays_are_not_lost_by_accident),
	CU_CASE(arrays_with_ids_merge),
	CU_CASE(differences_are_leaves),
	CU_CASE(reload_kinds_follow_the_table),
	CU_CASE(plugins_bring_their_shape),
	CU_CASE(files_that_others_write_are_refused),
	CU_CASE(check_prints_places),
	CU_CASE(paths_are_found_in_order),
	CU_END
};
CU_MAIN("config", cases)
