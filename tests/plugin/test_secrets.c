/* SPDX-License-Identifier: MIT */
/*
 * Plugin secrets with real files, commands and keys. AB-100: markers that are put in
 * everywhere must come out nowhere. AB-101, AB-104, AB-146.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/services/config.h>
#include <chela/services/secrets.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

#define MARK	"MARK-7c1f-do-not-show"

static const struct chela_secrets_1	*svc;
static unsigned				 n_wiped;	/* times MARK was there */

static void
wipe(void *volatile p, size_t len)
{
	n_wiped += len > 0 && memmem(p, len, MARK, strlen(MARK)) != NULL;
	memset(p, 0, len);
}

/*
 * In front of the C library's, which the plugin is linked with at run time; the
 * second is what a build with _FORTIFY_SOURCE calls.
 */
void	 __explicit_bzero_chk(void *p, size_t len, size_t size);

CHELA_EXPORT void
explicit_bzero(void *p, size_t len)
{
	wipe(p, len);
}

CHELA_EXPORT void
__explicit_bzero_chk(void *p, size_t len, size_t size)
{
	if (len > size)
		abort();
	wipe(p, len);
}

static const char			*parsed;	/* what the file says */
static void	(*changed)(const struct chela_config_change *change, void *arg);

/* --- the core's configuration, as far as it is asked for --- */

static int
conf_snapshot(struct json_object **ret)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "parsed", json_tokener_parse(parsed));
	*ret = o;
	return (0);
}

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
	.snapshot = conf_snapshot,
	.subscribe = conf_subscribe,
	.unsubscribe = conf_unsubscribe,
};

static struct fake *
up(const char *conf)
{
	struct fake	*f = fake_new();

	(void)signal(SIGPIPE, SIG_IGN);
	CU_ASSERT_FATAL(f != NULL);
	parsed = conf;
	CU_ASSERT_EQUAL_FATAL(fake_conf(f, conf), 0);
	CU_ASSERT_EQUAL_FATAL(fake_service(f, "core", CHELA_CONFIG_SERVICE,
	    &conf_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "process"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "secrets"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	CU_ASSERT_FATAL(svc != NULL);
	return (f);
}

static char *
path_of(struct fake *f, const char *name)
{
	char	*p;

	CU_ASSERT_FATAL(asprintf(&p, "%s/%s", fake_host(f)->state_dir(), name) >
	    0);
	return (p);
}

static char *
file_new(struct fake *f, const char *name, const char *text, mode_t mode)
{
	char	*p = path_of(f, name);
	int	 fd = open(p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fchmod(fd, mode), 0);
	(void)close(fd);
	return (p);
}

static void
set_ok(struct fake *f, const char *params)
{
	struct json_object	*r = fake_call(f, NULL, "secrets.store.set",
	    params);

	CU_ASSERT(fake_ok(r));
	if (!fake_ok(r))
		(void)fprintf(stderr, "%s\n", fake_message(r));
	json_object_put(r);
}

static void
refused(struct fake *f, const char *method, const char *params,
    const char *code, const char *text)
{
	struct json_object	*r = fake_call(f, NULL, method, params);

	CU_ASSERT(!fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_code(r), code);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(r), text));
	if (strstr(fake_message(r), text) == NULL)
		(void)fprintf(stderr, "%s\n", fake_message(r));
	json_object_put(r);
}

/* --- asking the service --- */

struct got {
	bool	 is_done;
	int	 r;
	char	 value[256];
};

static void
on_value(struct chela_ctx *ctx, int r, const char *value, void *arg)
{
	struct got	*g = arg;

	(void)ctx;
	g->is_done = true;
	g->r = r;
	(void)snprintf(g->value, sizeof g->value, "%s", value != NULL ? value :
	    "");
}

static bool
is_done(void *arg)
{
	return (((struct got *)arg)->is_done);
}

static struct got
resolve(struct fake *f, const char *ref)
{
	struct json_object	*o = json_tokener_parse(ref);
	struct got		 g = { .r = 1 };

	g.r = svc->resolve(fake_ctx(f, ""), o, on_value, &g);
	json_object_put(o);
	if (g.r < 0)
		return (g);
	CU_ASSERT(!g.is_done);
	CU_ASSERT_EQUAL_FATAL(fake_wait(f, is_done, &g), 0);
	return (g);
}

#define CONF_STORE "{\"talk\":{\"apiKey\":{\"source\":\"store\"," \
	"\"id\":\"TALK_KEY\"}}}"

static void
list_has_names_and_times_only(void)
{
	struct fake		*f = up(CONF_STORE);
	struct json_object	*r, *e;

	set_ok(f, "{\"name\":\"ZED\",\"value\":\"" MARK "\",\"kind\":\"secret\","
	    "\"allowedHosts\":[\"API.Example.com\",\"b.example\","
	    "\"api.example.com\"]}");
	set_ok(f, "{\"name\":\"AN_ENV\",\"value\":\"shown\",\"kind\":\"env\"}");
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r, "result.entries")),
	    2);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entries.0.name"), "AN_ENV");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entries.0.value"), "shown");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entries.1.name"), "ZED");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.entries.1.scopeKind"),
	    "team");
	e = fake_get(r, "result.entries.1");
	CU_ASSERT_PTR_NULL(fake_get(e, "value"));
	CU_ASSERT_STRING_EQUAL(fake_str(e, "allowedHosts.0"), "api.example.com");
	CU_ASSERT_STRING_EQUAL(fake_str(e, "allowedHosts.1"), "b.example");
	CU_ASSERT_PTR_NULL(fake_get(e, "allowedHosts.2"));
	CU_ASSERT(fake_int(e, "createdAtMs") > 0);
	json_object_put(r);
	fake_free(f);
}

static void
set_is_an_upsert_and_delete_is_idempotent(void)
{
	struct fake		*f = up("{}");
	struct json_object	*r;
	int64_t			 made;

	fake_clock(f, 1000000);
	set_ok(f, "{\"name\":\"A\",\"value\":\"1\",\"kind\":\"secret\","
	    "\"allowedHosts\":[\"h.example\"]}");
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	made = fake_int(r, "result.entries.0.createdAtMs");
	json_object_put(r);
	fake_advance(f, 5000000);
	set_ok(f, "{\"name\":\"A\",\"value\":\"2\",\"kind\":\"secret\"}");
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	CU_ASSERT_EQUAL(fake_int(r, "result.entries.0.createdAtMs"), made);
	CU_ASSERT_EQUAL(fake_int(r, "result.entries.0.updatedAtMs"), made +
	    5000);
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.entries.0.allowedHosts.0"), "h.example");
	json_object_put(r);
	set_ok(f, "{\"name\":\"A\",\"value\":\"2\",\"kind\":\"secret\","
	    "\"allowedHosts\":[]}");
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	CU_ASSERT_PTR_NULL(fake_get(r, "result.entries.0.allowedHosts"));
	json_object_put(r);
	r = fake_call(f, NULL, "secrets.store.delete", "{\"name\":\"A\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, NULL, "secrets.store.delete", "{\"name\":\"A\"}");
	CU_ASSERT(fake_ok(r));
	json_object_put(r);
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r, "result.entries")),
	    0);
	json_object_put(r);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r,
	    -ENOENT);
	/* Back with its first time; after a month without use it is gone. */
	set_ok(f, "{\"name\":\"A\",\"value\":\"3\",\"kind\":\"secret\"}");
	r = fake_call(f, NULL, "secrets.store.list", "{}");
	CU_ASSERT_EQUAL(fake_int(r, "result.entries.0.createdAtMs"), made);
	json_object_put(r);
	r = fake_call(f, NULL, "secrets.store.delete", "{\"name\":\"A\"}");
	json_object_put(r);
	fake_advance(f, UINT64_C(31) * 24 * 3600 * 1000000);
	r = fake_call(f, NULL, "secrets.store.delete", "{\"name\":\"A\"}");
	json_object_put(r);
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_kv(f, "secrets", "s/A"));
	fake_free(f);
}

static void
bad_values_are_refused(void)
{
	static const char *const hosts[] = { "*.example.com", "a:80", "",
	    "http://a", "a/b", "-a.example", "a..b", "a.", "[::1]", "a b" };
	struct fake	*f = up("{}");
	char		*big = malloc(70000), *p, params[256];
	size_t		 i;

	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":\"x\","
	    "\"kind\":\"env\",\"allowedHosts\":[]}", "INVALID_REQUEST",
	    "Allowed hosts apply only to secret entries.");
	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":\"\","
	    "\"kind\":\"secret\"}", "INVALID_REQUEST", "must not be empty");
	/* AB-104: the mark of a hidden value is not stored over the value. */
	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":"
	    "\"__OPENCLAW_REDACTED__\",\"kind\":\"secret\"}", "INVALID_REQUEST",
	    "not a value");
	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":"
	    "\"a\\u0000b\",\"kind\":\"secret\"}", "INVALID_REQUEST", "NUL");
	refused(f, "secrets.store.set", "{\"name\":\"a\",\"value\":\"x\","
	    "\"kind\":\"secret\"}", "INVALID_REQUEST", "");
	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		(void)snprintf(params, sizeof params, "{\"name\":\"A\","
		    "\"value\":\"x\",\"kind\":\"secret\",\"allowedHosts\":"
		    "[\"%s\"]}", hosts[i]);
		refused(f, "secrets.store.set", params, "INVALID_REQUEST", "");
	}
	/* 65536 is counted in bytes: a two-byte letter 32769 times. */
	p = big + snprintf(big, 100, "{\"name\":\"A\",\"kind\":\"secret\","
	    "\"value\":\"");
	for (i = 0; i < 32769; i++)
		p += snprintf(p, 3, "\xc3\xa9");
	(void)snprintf(p, 3, "\"}");
	refused(f, "secrets.store.set", big, "INVALID_REQUEST",
	    "longer than 65536 bytes");
	free(big);
	fake_free(f);
}

static void
store_survives_a_restart_and_key_is_private(void)
{
	struct fake	*f = up("{}");
	char		*key = path_of(f, "secrets.key");
	struct stat	 st;
	struct got	 g;

	set_ok(f, "{\"name\":\"A\",\"value\":\"" MARK "\",\"kind\":\"secret\"}");
	CU_ASSERT_EQUAL(stat(key, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(st.st_size, 65);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	g = resolve(f, "{\"source\":\"store\",\"id\":\"A\"}");
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_STRING_EQUAL(g.value, MARK);

	/* A key that others may read, another key, none: no value, no loss. */
	CU_ASSERT_EQUAL(chmod(key, 0640), 0);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r,
	    -EPERM);
	refused(f, "secrets.store.set", "{\"name\":\"B\",\"value\":\"x\","
	    "\"kind\":\"secret\"}", "UNAVAILABLE", "only its owner may read");
	CU_ASSERT_EQUAL(unlink(key), 0);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r,
	    -EBADMSG);
	refused(f, "secrets.store.set", "{\"name\":\"B\",\"value\":\"x\","
	    "\"kind\":\"secret\"}", "UNAVAILABLE", "does not open the store");
	(void)unlink(key);
	free(key);
	fake_free(f);
}

static void
rows_cannot_be_swapped_or_changed(void)
{
	struct fake	*f = up("{}");
	char		*a, *p;

	set_ok(f, "{\"name\":\"A\",\"value\":\"one\",\"kind\":\"secret\"}");
	set_ok(f, "{\"name\":\"B\",\"value\":\"two\",\"kind\":\"secret\"}");
	a = fake_kv(f, "secrets", "s/A");
	CU_ASSERT_FATAL(a != NULL);
	CU_ASSERT_EQUAL(fake_kv_set(f, "secrets", "s/B", a), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"B\"}").r,
	    -EBADMSG);
	p = strstr(a, "\"sealed\":");
	CU_ASSERT_FATAL(p != NULL);
	p = strchr(p + 9, '"') + 21;
	*p = *p == 'A' ? 'B' : 'A';
	CU_ASSERT_EQUAL(fake_kv_set(f, "secrets", "s/A", a), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r,
	    -EBADMSG);
	free(a);
	fake_free(f);
}

static void
same_value_twice_looks_different(void)
{
	struct fake	*f = up("{}");
	char		*a, *b;

	set_ok(f, "{\"name\":\"A\",\"value\":\"one\",\"kind\":\"secret\"}");
	a = fake_kv(f, "secrets", "s/A");
	set_ok(f, "{\"name\":\"A\",\"value\":\"one\",\"kind\":\"secret\"}");
	b = fake_kv(f, "secrets", "s/A");
	CU_ASSERT_FATAL(a != NULL && b != NULL);
	CU_ASSERT_STRING_NOT_EQUAL(strstr(a, "sealed"), strstr(b, "sealed"));
	free(a);
	free(b);
	fake_free(f);
}

static void
passphrase_opens_the_store(void)
{
	static const char	 conf[] = "{\"plugins\":{\"entries\":{"
	    "\"secrets\":{\"config\":{\"iterations\":1000}}}}}";
	struct fake		*f;
	char			*meta, *key;

	(void)setenv("CHELA_SECRETS_PASSPHRASE", "correct horse", 1);
	f = up(conf);
	set_ok(f, "{\"name\":\"A\",\"value\":\"" MARK "\",\"kind\":\"secret\"}");
	meta = fake_kv(f, "secrets", "meta");
	CU_ASSERT_FATAL(meta != NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(meta, "pbkdf2-sha256"));
	CU_ASSERT_PTR_NOT_NULL(strstr(meta, "1000"));
	free(meta);
	key = path_of(f, "secrets.key");
	CU_ASSERT_NOT_EQUAL(access(key, F_OK), 0);
	free(key);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r, 0);
	(void)setenv("CHELA_SECRETS_PASSPHRASE", "wrong horse", 1);
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"store\",\"id\":\"A\"}").r,
	    -EBADMSG);
	(void)unsetenv("CHELA_SECRETS_PASSPHRASE");
	CU_ASSERT_EQUAL(fake_restart(f), 0);
	svc = fake_import(f, CHELA_SECRETS_SERVICE);
	refused(f, "secrets.store.set", "{\"name\":\"B\",\"value\":\"x\","
	    "\"kind\":\"secret\"}", "UNAVAILABLE", "passphrase");
	fake_free(f);
}

static void
file_provider_wants_a_private_file(void)
{
	struct fake	*f = up("{}");
	char		*json = file_new(f, "f.json", "{\"a\":{\"b/c\":\"" MARK
	    "\",\"n\":1},\"l\":[\"x\",\"y\"]}", 0600);
	char		*one = file_new(f, "one", "line\n", 0600);
	char		*link_path = path_of(f, "link");
	char		*conf;
	struct got	 g;

	CU_ASSERT_FATAL(asprintf(&conf, "{\"secrets\":{\"providers\":{"
	    "\"j\":{\"source\":\"file\",\"path\":\"%s\"},"
	    "\"one\":{\"source\":\"file\",\"path\":\"%s\","
	    "\"mode\":\"singleValue\"},"
	    "\"ln\":{\"source\":\"file\",\"path\":\"%s\","
	    "\"mode\":\"singleValue\"},"
	    "\"small\":{\"source\":\"file\",\"path\":\"%s\","
	    "\"mode\":\"singleValue\",\"maxBytes\":2}}}}", json, one,
	    link_path, one) > 0);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	g = resolve(f, "{\"source\":\"file\",\"provider\":\"j\","
	    "\"id\":\"/a/b~1c\"}");
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_STRING_EQUAL(g.value, MARK);
	g = resolve(f, "{\"source\":\"file\",\"provider\":\"j\","
	    "\"id\":\"/l/1\"}");
	CU_ASSERT_STRING_EQUAL(g.value, "y");
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"j\","
	    "\"id\":\"/a/n\"}").r, -ENOENT);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"j\","
	    "\"id\":\"/l/7\"}").r, -ENOENT);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"env\",\"provider\":\"j\","
	    "\"id\":\"A\"}").r, -EINVAL);
	g = resolve(f, "{\"source\":\"file\",\"provider\":\"one\","
	    "\"id\":\"value\"}");
	CU_ASSERT_STRING_EQUAL(g.value, "line");
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":"
	    "\"small\",\"id\":\"value\"}").r, -EFBIG);
	CU_ASSERT_EQUAL(symlink(one, link_path), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"ln\","
	    "\"id\":\"value\"}").r, -EPERM);
	CU_ASSERT_EQUAL(unlink(link_path), 0);
	CU_ASSERT_EQUAL(link(one, link_path), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"ln\","
	    "\"id\":\"value\"}").r, -EPERM);
	CU_ASSERT_EQUAL(unlink(link_path), 0);
	CU_ASSERT_EQUAL(chmod(one, 0644), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"one\","
	    "\"id\":\"value\"}").r, -EPERM);
	CU_ASSERT_EQUAL(mkfifo(link_path, 0600), 0);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"provider\":\"ln\","
	    "\"id\":\"value\"}").r, -EPERM);
	free(conf);
	free(json);
	free(one);
	free(link_path);
	fake_free(f);
}

static void
environment_has_an_allow_list(void)
{
	struct fake	*f = up("{\"secrets\":{\"providers\":{\"some\":{"
	    "\"source\":\"env\",\"allowlist\":[\"VAULT_A\"]}}}}");
	struct got	 g;

	(void)setenv("VAULT_A", "va", 1);
	(void)setenv("VAULT_B", "vb", 1);
	g = resolve(f, "{\"source\":\"env\",\"provider\":\"some\","
	    "\"id\":\"VAULT_A\"}");
	CU_ASSERT_STRING_EQUAL(g.value, "va");
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"env\",\"provider\":\"some\","
	    "\"id\":\"VAULT_B\"}").r, -EACCES);
	g = resolve(f, "\"${VAULT_B}\"");
	CU_ASSERT_STRING_EQUAL(g.value, "vb");
	CU_ASSERT_EQUAL(resolve(f, "\"${VAULT_NONE}\"").r, -ENOENT);
	CU_ASSERT_EQUAL(resolve(f, "\"${vault}\"").r, -EINVAL);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"id\":\"../x\"}").r,
	    -EINVAL);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"file\",\"id\":\"x\"}").r,
	    -EINVAL);
	fake_free(f);
}

static void
command_is_asked_without_a_shell(void)
{
	struct fake	*f = up("{}");
	char		*ok = file_new(f, "ok.sh", "#!/bin/sh\nread q\n"
	    "case $q in *'\"protocolVersion\":1'*'\"ids\":[\"k/1\"]'*) ;; "
	    "*) exit 9;; esac\n"
	    "test \"$1\" = '*; id' || exit 8\n"
	    "test -z \"$VAULT_A\" || exit 7\n"
	    "test \"$VAULT_B\" = vb || exit 6\n"
	    "printf '{\"protocolVersion\":1,\"values\":{\"k/1\":\"" MARK
	    "\"}}'\n", 0700);
	char		*bad = file_new(f, "bad.sh", "#!/bin/sh\n"
	    "echo " MARK " >&2; exit 3\n", 0700);
	char		*slow = file_new(f, "slow.sh", "#!/bin/sh\n"
	    "sleep 1000\n", 0700);
	char		*flood = file_new(f, "flood.sh", "#!/bin/sh\n"
	    "while :; do echo 0123456789; done\n", 0700);
	char		*open_file = file_new(f, "open.sh", "#!/bin/sh\n", 0722);
	char		*conf;
	struct got	 g;

	(void)setenv("VAULT_A", "va", 1);
	(void)setenv("VAULT_B", "vb", 1);
	CU_ASSERT_FATAL(asprintf(&conf, "{\"secrets\":{\"providers\":{"
	    "\"ok\":{\"source\":\"exec\",\"command\":\"%s\","
	    "\"args\":[\"*; id\"],\"passEnv\":[\"VAULT_B\"]},"
	    "\"dir\":{\"source\":\"exec\",\"command\":\"%s\","
	    "\"trustedDirs\":[\"/usr/bin\"]},"
	    "\"bad\":{\"source\":\"exec\",\"command\":\"%s\"},"
	    "\"slow\":{\"source\":\"exec\",\"command\":\"%s\","
	    "\"timeoutMs\":100},"
	    "\"quiet\":{\"source\":\"exec\",\"command\":\"%s\","
	    "\"noOutputTimeoutMs\":100},"
	    "\"flood\":{\"source\":\"exec\",\"command\":\"%s\","
	    "\"maxOutputBytes\":1000},"
	    "\"open\":{\"source\":\"exec\",\"command\":\"%s\"}}}}", ok, ok, bad,
	    slow, slow, flood, open_file) > 0);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	g = resolve(f, "{\"source\":\"exec\",\"provider\":\"ok\","
	    "\"id\":\"k/1\"}");
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_STRING_EQUAL(g.value, MARK);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":\"ok\","
	    "\"id\":\"other\"}").r, -EIO);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":\"dir\","
	    "\"id\":\"k/1\"}").r, -EPERM);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":\"bad\","
	    "\"id\":\"k/1\"}").r, -EIO);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":\"slow\","
	    "\"id\":\"k/1\"}").r, -ETIMEDOUT);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":"
	    "\"quiet\",\"id\":\"k/1\"}").r, -ETIMEDOUT);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":"
	    "\"flood\",\"id\":\"k/1\"}").r, -EFBIG);
	CU_ASSERT_EQUAL(resolve(f, "{\"source\":\"exec\",\"provider\":\"open\","
	    "\"id\":\"k/1\"}").r, -EPERM);
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(f), MARK));
	free(conf);
	free(ok);
	free(bad);
	free(slow);
	free(flood);
	free(open_file);
	fake_free(f);
}

static void
reload_is_all_or_nothing(void)
{
	struct fake		*f = up(CONF_STORE);
	struct json_object	*r, *ref;
	const char		*value = NULL;

	ref = json_tokener_parse("{\"source\":\"store\",\"id\":\"TALK_KEY\"}");
	fake_settle(f);
	CU_ASSERT_EQUAL(svc->get(ref, &value), -ENOENT);
	r = fake_call(f, NULL, "secrets.reload", "{}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(fake_int(r, "result.warningCount"), 1);
	json_object_put(r);
	/* A name that is referred to is in force when the answer comes. */
	r = fake_call(f, NULL, "secrets.store.set", "{\"name\":\"TALK_KEY\","
	    "\"value\":\"v1\",\"kind\":\"secret\"}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT(json_object_get_boolean(fake_get(r, "result.reloaded")));
	CU_ASSERT_EQUAL(fake_int(r, "result.warningCount"), 0);
	json_object_put(r);
	CU_ASSERT_EQUAL(svc->get(ref, &value), 0);
	CU_ASSERT_STRING_EQUAL(value, "v1");
	r = fake_call(f, NULL, "secrets.store.set", "{\"name\":\"OTHER\","
	    "\"value\":\"v1\",\"kind\":\"secret\"}");
	CU_ASSERT(!json_object_get_boolean(fake_get(r, "result.reloaded")));
	json_object_put(r);
	/* One that must have a value has none: nothing changes. */
	parsed = "{\"hooks\":{\"token\":{\"source\":\"store\","
	    "\"id\":\"NOT_THERE\"}}}";
	refused(f, "secrets.reload", "{}", "UNAVAILABLE",
	    "secrets.reload failed");
	CU_ASSERT_EQUAL(svc->get(ref, &value), 0);
	CU_ASSERT_STRING_EQUAL(value, "v1");
	/* A change of the file is followed without being asked. */
	parsed = "{}";
	CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
	changed(NULL, NULL);
	fake_settle(f);
	CU_ASSERT_EQUAL(svc->get(ref, &value), -ENOENT);
	json_object_put(ref);
	fake_free(f);
}

static void
resolve_knows_its_targets(void)
{
	struct fake		*f = up("{\"talk\":{\"apiKey\":{\"source\":"
	    "\"store\",\"id\":\"TALK_KEY\"}},\"gateway\":{\"remote\":{\"token\":"
	    "{\"source\":\"store\",\"id\":\"NOT_THERE\"}}},\"models\":{"
	    "\"providers\":{\"x\":{\"apiKey\":\"${VAULT_B}\"}}}}");
	struct json_object	*r;

	(void)setenv("VAULT_B", "vb", 1);
	set_ok(f, "{\"name\":\"TALK_KEY\",\"value\":\"tk\",\"kind\":\"secret\"}");
	r = fake_call(f, NULL, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"talk.apiKey\",\"models.providers.*.apiKey\"]}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.assignments")), 2);
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.assignments.0.value"), "tk");
	CU_ASSERT_STRING_EQUAL(fake_str(r,
	    "result.assignments.0.pathSegments.1"), "apiKey");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.assignments.1.path"),
	    "models.providers.x.apiKey");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.assignments.1.value"), "vb");
	json_object_put(r);
	refused(f, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"gateway.auth.token\"]}", "INVALID_REQUEST",
	    "unknown target id \"gateway.auth.token\"");
	refused(f, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"gateway.remote.token\"]}", "UNAVAILABLE",
	    "secrets.resolve failed");
	r = fake_call(f, NULL, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"gateway.remote.token\"],\"optionalActivePaths\":"
	    "[\"gateway.remote.token\"]}");
	CU_ASSERT(fake_ok(r));
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.inactiveRefPaths.0"),
	    "gateway.remote.token");
	json_object_put(r);
	r = fake_call(f, NULL, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"talk.apiKey\"],\"allowedPaths\":[\"other\"]}");
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(r,
	    "result.assignments")), 0);
	json_object_put(r);
	fake_free(f);
}

static void
only_administrators(void)
{
	static const char *const methods[] = { "secrets.reload",
	    "secrets.store.list", "secrets.resolve", "secrets.store.set",
	    "secrets.store.delete" };
	static const struct fake_conn_opt opt = {
		.scopes = "read write approvals pairing" };
	struct fake		*f = up("{}");
	struct chela_conn	*c = fake_conn_new(f, &opt);
	struct json_object	*r;
	size_t			 i;

	for (i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		r = fake_call(f, c, methods[i], "{}");
		CU_ASSERT_STRING_EQUAL(fake_code(r), "FORBIDDEN");
		json_object_put(r);
	}
	fake_free(f);
}

/* Everything that the store has on its disk or the log in its lines. */
static void
markers_are_nowhere_AB_100(void)
{
	static const char *const calls[][2] = {
		{ "secrets.store.set", "{\"name\":\"TALK_KEY\",\"value\":\""
		    MARK "\",\"kind\":\"secret\"}" },
		{ "secrets.store.set", "{\"name\":\"E\",\"value\":\"" MARK
		    "\",\"kind\":\"nonsense\"}" },
		{ "secrets.store.set", "{\"name\":\"E\",\"value\":\"" MARK
		    "\",\"kind\":\"env\",\"allowedHosts\":[\"a\"]}" },
		{ "secrets.store.set", "{\"name\":\"E\",\"value\":\"" MARK
		    "\\u0000\",\"kind\":\"secret\"}" },
		{ "secrets.store.list", "{}" },
		{ "secrets.reload", "{}" },
		{ "secrets.store.delete", "{\"name\":\"NONE\"}" },
		{ "secrets.resolve", "{\"commandName\":\"" MARK
		    "\",\"targetIds\":[]}" },
	};
	struct fake		*f = up(CONF_STORE);
	struct json_object	*r;
	char			*text;
	size_t			 i;

	for (i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		r = fake_call(f, NULL, calls[i][0], calls[i][1]);
		CU_ASSERT_FATAL(r != NULL);
		CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(r), MARK));
		json_object_put(r);
	}
	text = fake_kv(f, "secrets", "s/TALK_KEY");
	CU_ASSERT_FATAL(text != NULL);
	CU_ASSERT_PTR_NULL(strstr(text, MARK));
	free(text);
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(fake_events(f)),
	    MARK));
	CU_ASSERT_PTR_NULL(strstr(fake_log_text(f), MARK));
	fake_free(f);
}

/*
 * AB-146: the parameters are overwritten once the value has been taken over, and so
 * is each copy when it has served. Counted by the wipes that met the value.
 */
static void
values_are_wiped_AB_146(void)
{
	struct fake		*f = up("{}");
	struct json_object	*r;

	n_wiped = 0;
	set_ok(f, "{\"name\":\"A\",\"value\":\"" MARK "\","
	    "\"kind\":\"secret\"}");
	CU_ASSERT_EQUAL(n_wiped, 2);	/* the parameter, the copy */
	n_wiped = 0;
	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":\"" MARK
	    "\",\"kind\":\"env\",\"allowedHosts\":[]}", "INVALID_REQUEST", "");
	CU_ASSERT_EQUAL(n_wiped, 1);
	n_wiped = 0;
	CU_ASSERT_STRING_EQUAL(resolve(f, "{\"source\":\"store\","
	    "\"id\":\"A\"}").value, MARK);
	CU_ASSERT_EQUAL(n_wiped, 2);	/* unsealed, and what was lent */
	parsed = CONF_STORE;
	set_ok(f, "{\"name\":\"TALK_KEY\",\"value\":\"" MARK
	    "\",\"kind\":\"secret\"}");
	n_wiped = 0;
	r = fake_call(f, NULL, "secrets.resolve", "{\"commandName\":\"x\","
	    "\"targetIds\":[\"talk.apiKey\"]}");
	CU_ASSERT_STRING_EQUAL(fake_str(r, "result.assignments.0.value"), MARK);
	/* Unsealed, resolved, the member of the answer, its text. */
	CU_ASSERT_EQUAL(n_wiped, 4);
	json_object_put(r);
	/* What is in force is wiped with the plugin. */
	n_wiped = 0;
	fake_free(f);
	CU_ASSERT_EQUAL(n_wiped, 1);
}

static int
on_env(const char *name, const char *value, void *arg)
{
	CU_ASSERT_STRING_EQUAL(name, "E");
	CU_ASSERT_STRING_EQUAL(value, "plain");
	++*(int *)arg;
	return (0);
}

static void
variables_for_commands_are_env_entries_only(void)
{
	struct fake	*f = up("{}");
	int		 n = 0;

	set_ok(f, "{\"name\":\"E\",\"value\":\"plain\",\"kind\":\"env\"}");
	set_ok(f, "{\"name\":\"S\",\"value\":\"" MARK "\",\"kind\":\"secret\"}");
	CU_ASSERT_EQUAL(svc->each_env(on_env, &n), 0);
	CU_ASSERT_EQUAL(n, 1);
	fake_free(f);
}

static void
a_full_disk_is_told(void)
{
	struct fake	*f = up("{}");

	set_ok(f, "{\"name\":\"A\",\"value\":\"1\",\"kind\":\"secret\"}");
	fake_fail_writes(f, 1, -ENOSPC);
	refused(f, "secrets.store.set", "{\"name\":\"A\",\"value\":\"2\","
	    "\"kind\":\"secret\"}", "UNAVAILABLE", "");
	CU_ASSERT_STRING_EQUAL(resolve(f, "{\"source\":\"store\","
	    "\"id\":\"A\"}").value, "1");
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(list_has_names_and_times_only),
	CU_CASE(set_is_an_upsert_and_delete_is_idempotent),
	CU_CASE(bad_values_are_refused),
	CU_CASE(store_survives_a_restart_and_key_is_private),
	CU_CASE(rows_cannot_be_swapped_or_changed),
	CU_CASE(same_value_twice_looks_different),
	CU_CASE(passphrase_opens_the_store),
	CU_CASE(file_provider_wants_a_private_file),
	CU_CASE(environment_has_an_allow_list),
	CU_CASE(command_is_asked_without_a_shell),
	CU_CASE(reload_is_all_or_nothing),
	CU_CASE(resolve_knows_its_targets),
	CU_CASE(only_administrators),
	CU_CASE(markers_are_nowhere_AB_100),
	CU_CASE(values_are_wiped_AB_146),
	CU_CASE(variables_for_commands_are_env_entries_only),
	CU_CASE(a_full_disk_is_told),
	CU_END
};

CU_MAIN("secrets", cases)
