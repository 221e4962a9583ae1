/* SPDX-License-Identifier: MIT */
/* The running configuration: watching, writing, refusing, backing up. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/live_priv.h"
#include "core/json/json.h"
#include "tests/unit/cu.h"

#define DEADLINE_US	SEC_US(20)

/* One gateway's worth of it in a folder of its own. */
struct home {
	char				 dir[32];
	char				 path[64];
	char				 state[64];
	struct loop			*loop;
	struct loop_timer		*deadline;
	struct conf_live		*live;
	const struct chela_config_1	*svc;
	bool				 is_late;

	/* What the last write, change and restart said. */
	bool				 is_done;
	int				 r;
	char				 message[2048];
	struct json_object		*result;
	struct json_object		*details;
	unsigned			 n_changes;
	char				 changed[512];
	char				 hash[CONF_HASH_MAX];
	uint32_t			 kind;
	unsigned			 n_restarts;
	uint64_t			 restart_ms;
	bool				 is_veto;
	char				 seen[16];	/* by the last check */
};

static void
on_deadline(void *arg)
{
	struct home	*h = arg;

	h->is_late = true;
	loop_stop(h->loop);
}

static void
on_change(const struct chela_config_change *change, void *arg)
{
	struct home	*h = arg;
	size_t		 i;

	h->n_changes++;
	h->changed[0] = '\0';
	for (i = 0; i < change->n_changed; i++) {
		(void)strncat(h->changed, change->changed[i], 100);
		(void)strncat(h->changed, " ", 2);
	}
	(void)snprintf(h->hash, sizeof h->hash, "%s", change->hash);
	h->kind = change->kind;
	loop_stop(h->loop);
}

static bool
on_restart(uint64_t delay_ms, void *arg)
{
	struct home	*h = arg;

	h->n_restarts++;
	h->restart_ms = delay_ms;
	return (true);
}

/* After on_check(), and of another opinion. */
static int
on_late_check(const struct conf *next, struct conf_issues *issues, void *arg)
{
	(void)arg;
	if (strcmp(conf_get_str(next, "session.mainKey", ""), "late") != 0)
		return (0);
	(void)conf_issues_add(issues, "session.mainKey", 0, 0, "too late");
	return (-EINVAL);
}

static int
on_check(const struct conf *next, struct conf_issues *issues, void *arg)
{
	struct home	*h = arg;

	(void)snprintf(h->seen, sizeof h->seen, "%s", conf_get_str(next,
	    "session.mainKey", ""));
	if (!h->is_veto)
		return (0);
	(void)conf_issues_add(issues, "ui", 0, 0, "vetoed");
	return (-EINVAL);
}

static const char *
schema_dir(void)
{
	const char	*dir = getenv("CHELA_TEST_SCHEMAS");

	return (dir == NULL ? "schemas" : dir);
}

static int
home_live(struct home *h, struct conf_issues *issues)
{
	struct conf_live_opts	 opts = { h->path, h->state, schema_dir(),
		"1.2.3" };
	int			 r;

	r = conf_live_open(h->loop, &opts, &h->live, issues);
	if (r < 0)
		return (r);
	h->svc = conf_live_service(h->live);
	CU_ASSERT_FATAL(h->svc != NULL);
	CU_ASSERT(h->svc->subscribe(on_change, h) == 0);
	CU_ASSERT(conf_live_on_check(h->live, on_check, h) == 0);
	conf_live_on_restart(h->live, on_restart, h);
	return (0);
}

static void
put(const char *path, const char *text)
{
	CU_ASSERT_FATAL(file_write_atomic(path, text, strlen(text), 0600) == 0);
}

static void
home_open(struct home *h, const char *text)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;

	*h = (struct home){ .dir = "/tmp/test_live.XXXXXX" };
	log_set_level(LOG_LEVEL_ERR);
	CU_ASSERT_FATAL(mkdtemp(h->dir) != NULL);
	(void)snprintf(h->path, sizeof h->path, "%s/chela.json", h->dir);
	(void)snprintf(h->state, sizeof h->state, "%s/state", h->dir);
	h->loop = loop_new();
	CU_ASSERT_FATAL(h->loop != NULL);
	h->deadline = loop_timer_new(h->loop, on_deadline, h);
	if (text != NULL)
		put(h->path, text);
	if (home_live(h, &is) < 0)
		conf_issues_print(&is, h->path, stderr);
	conf_issues_fini(&is);
	CU_ASSERT_FATAL(h->live != NULL);
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
	(void)conf_live_service(NULL);
	h->live = conf_live_close(h->live);
	h->deadline = loop_timer_free(h->deadline);
	h->loop = loop_free(h->loop);
	json_object_put(h->result);
	json_object_put(h->details);
	(void)nftw(h->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Runs the loop until something calls loop_stop(). */
static void
wait_for_it(struct home *h)
{
	h->is_late = false;
	(void)loop_timer_set(h->deadline, DEADLINE_US);
	loop_run(h->loop);
	loop_timer_stop(h->deadline);
	CU_ASSERT_FATAL(!h->is_late);
}

static void
on_done(const struct chela_config_outcome *o, void *arg)
{
	struct home	*h = arg;

	CU_ASSERT(!h->is_done);
	h->is_done = true;
	h->r = o->r;
	(void)snprintf(h->message, sizeof h->message, "%s", o->message);
	json_object_put(h->result);
	json_object_put(h->details);
	h->result = json_object_get(o->result);
	h->details = json_object_get(o->details);
	loop_stop(h->loop);
}

/* The hash that config.get tells; lent until the next call. */
static const char *
hash_now(struct home *h)
{
	static char		 hash[CONF_HASH_MAX];
	struct json_object	*o = NULL;

	CU_ASSERT_FATAL(h->svc->snapshot(&o) == 0);
	(void)snprintf(hash, sizeof hash, "%s", json_get_str(o, "hash"));
	json_object_put(o);
	return (hash);
}

static int
write_with(struct home *h, uint32_t kind, const char *raw, const char *hash,
    const char *replace)
{
	struct chela_config_write	 w = { .struct_size = sizeof w,
		.kind = kind, .raw = raw, .raw_len = strlen(raw),
		.base_hash = hash, .session_key = "agent:main:main",
		.note = "hello", .restart_delay_ms = 70000 };

	if (replace != NULL)
		w.replace_paths = json_tokener_parse(replace);
	h->is_done = false;
	CU_ASSERT_FATAL(h->svc->write(&w, on_done, h) == 0);
	CU_ASSERT(!h->is_done);		/* never before it has returned */
	json_object_put(w.replace_paths);
	while (!h->is_done)
		wait_for_it(h);
	return (h->r);
}

static int
write_now(struct home *h, uint32_t kind, const char *raw)
{
	return (write_with(h, kind, raw, hash_now(h), NULL));
}

static bool
file_has(const char *path, const char *what)
{
	char	*text = NULL;
	size_t	 len;
	bool	 has;

	if (file_read(path, CONF_TEXT_MAX, &text, &len) < 0)
		return (false);
	has = strstr(text, what) != NULL;
	free(text);
	return (has);
}

static bool
beside_has(struct home *h, const char *suffix, const char *what)
{
	char		 path[128];
	struct stat	 st;

	(void)snprintf(path, sizeof path, "%s%s", h->path, suffix);
	return (stat(path, &st) == 0 && (st.st_mode & 07777) == 0600 &&
	    file_has(path, what));
}

static void
edits_are_taken(void)
{
	struct home	 h;

	home_open(&h, "{gateway: {reload: {debounceMs: 1}}}");
	put(h.path, "{gateway: {reload: {debounceMs: 1}}, logging: "
	    "{level: 'debug'}, hooks: {path: '/h'}}");
	wait_for_it(&h);
	CU_ASSERT(h.n_changes == 1);
	CU_ASSERT_STRING_EQUAL(h.changed, "logging.level hooks.path ");
	CU_ASSERT(h.kind == CHELA_CONFIG_HOT);
	CU_ASSERT_STRING_EQUAL(conf_get_str(conf_live_get(h.live),
	    "logging.level", ""), "debug");
	CU_ASSERT_STRING_EQUAL(h.hash, hash_now(&h));
	CU_ASSERT(h.n_restarts == 0);
	home_close(&h);
}

static void
edits_that_need_a_restart_say_so(void)
{
	struct home	 h;

	home_open(&h, "{gateway: {reload: {debounceMs: 1}}}");
	put(h.path, "{gateway: {port: 5, reload: {debounceMs: 1}}}");
	wait_for_it(&h);
	CU_ASSERT(h.kind == CHELA_CONFIG_RESTART);
	CU_ASSERT(h.n_restarts == 1);
	CU_ASSERT(conf_live_is_restart_due(h.live));
	CU_ASSERT_STRING_EQUAL(h.svc->reload_status(), "restart-pending");
	home_close(&h);
}

static void
deleting_is_emptying(void)
{
	struct home	 h;

	home_open(&h, "{gateway: {reload: {debounceMs: 1}}, logging: "
	    "{level: 'debug'}}");
	CU_ASSERT(unlink(h.path) == 0);
	wait_for_it(&h);
	CU_ASSERT(!conf_exists(conf_live_get(h.live)));
	CU_ASSERT_STRING_EQUAL(conf_get_str(conf_live_get(h.live),
	    "logging.level", ""), "info");
	home_close(&h);
}

/* Reads again and waits until that is over. */
static void
reload_now(struct home *h)
{
	conf_live_reload(h->live);
	/* A refused write goes through the same queue, behind it. */
	(void)write_with(h, CHELA_CONFIG_SET, "{}", "none", NULL);
}

static void
bad_file_changes_nothing(struct home *h, const char *text)
{
	struct json_object	*o = NULL;
	const char		*back = "{logging: {level: 'warn'}}";

	if (text != NULL)
		put(h->path, text);
	reload_now(h);
	CU_ASSERT(h->n_changes == 0);
	CU_ASSERT_STRING_EQUAL(conf_get_str(conf_live_get(h->live),
	    "logging.level", ""), "warn");
	CU_ASSERT_FATAL(h->svc->snapshot(&o) == 0);
	CU_ASSERT(!json_get_bool(o, "valid", true));
	CU_ASSERT(json_object_array_length(json_get_arr(o, "issues")) > 0);
	json_object_put(o);
	if (text == NULL)
		return;
	CU_ASSERT_STRING_EQUAL(h->svc->reload_status(), "invalid");
	CU_ASSERT(file_has(h->path, text));
	CU_ASSERT(write_now(h, CHELA_CONFIG_PATCH, "{ui: null}") == -EINVAL);
	CU_ASSERT_STRING_EQUAL(h->message,
	    "invalid config; fix before patching");
	put(h->path, back);
	reload_now(h);
	CU_ASSERT_STRING_EQUAL(h->svc->reload_status(), "ok");
	CU_ASSERT(h->n_changes == 0 || strcmp(h->changed, "") == 0);
	h->n_changes = 0;
}

/* AB-112 */
static void
invalid_while_running_keeps_the_last_good(void)
{
	struct home	 h;

	home_open(&h, "{logging: {level: 'warn'}}");
	bad_file_changes_nothing(&h, "{logging: {level: 'warn'");
	bad_file_changes_nothing(&h, "{logging: {lvel: 'debug'}}");
	bad_file_changes_nothing(&h, "{gateway: {port: 'x'}}");
	bad_file_changes_nothing(&h, "43 bytes of something that is no JSON5 at");
	CU_ASSERT(unlink(h.path) == 0 && mkdir(h.path, 0700) == 0);
	bad_file_changes_nothing(&h, NULL);
	CU_ASSERT_STRING_EQUAL(h.svc->reload_status(), "unreadable");
	CU_ASSERT(write_with(&h, CHELA_CONFIG_SET, "{}", "x", NULL) < 0);
	CU_ASSERT(strstr(h.message, "base hash unavailable") != NULL);
	home_close(&h);
}

/* AB-112 */
static void
invalid_at_start_is_refused(void)
{
	struct home		 h;
	struct conf_issues	 is = CONF_ISSUES_INIT;

	home_open(&h, NULL);
	(void)conf_live_service(NULL);
	h.live = conf_live_close(h.live);
	put(h.path, "{\n  logging: 5}");
	CU_ASSERT(home_live(&h, &is) == -EINVAL);
	CU_ASSERT(is.n == 1 && is.items[0].line == 2 && is.items[0].col == 3);
	CU_ASSERT(file_has(h.path, "logging: 5"));
	conf_issues_fini(&is);
	home_close(&h);
}

static void
checks_may_refuse(void)
{
	struct home	 h;

	home_open(&h, "{logging: {level: 'warn'}}");
	h.is_veto = true;
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{ui: {prefs: {a: 1}}}") ==
	    -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message, "invalid config: ui: vetoed");
	put(h.path, "{logging: {level: 'debug'}}");
	reload_now(&h);
	CU_ASSERT_STRING_EQUAL(h.svc->reload_status(), "invalid");
	CU_ASSERT(h.n_changes == 0);
	/* The same file is looked at again. */
	h.is_veto = false;
	reload_now(&h);
	CU_ASSERT_STRING_EQUAL(h.svc->reload_status(), "ok");
	CU_ASSERT_STRING_EQUAL(conf_get_str(conf_live_get(h.live),
	    "logging.level", ""), "debug");
	home_close(&h);
}

static void
one_refusal_is_one_of_all(void)
{
	struct home	 h;

	home_open(&h, "{}");
	CU_ASSERT(conf_live_on_check(h.live, on_late_check, &h.state) == 0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{session: {mainKey: 'ok'}}") == 0);
	CU_ASSERT_STRING_EQUAL(h.seen, "ok");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{session: {mainKey: 'late'}}") == -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message,
	    "invalid config: session.mainKey: too late");
	CU_ASSERT_STRING_EQUAL(h.seen, "ok");
	home_close(&h);
}

static void
set_writes_the_file(void)
{
	struct home	 h;
	mode_t		 old;

	home_open(&h, "{logging: {level: 'warn'}} // words");
	old = umask(0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_SET,
	    "{logging: {level: 'debug'}, /* x */}") == 0);
	(void)umask(old);
	CU_ASSERT(json_get_bool(h.result, "ok", false));
	CU_ASSERT_STRING_EQUAL(json_get_str(h.result, "path"), h.path);
	CU_ASSERT_STRING_EQUAL(json_get_str(h.result, "hash"), hash_now(&h));
	CU_ASSERT(h.n_changes == 1);
	CU_ASSERT(beside_has(&h, "", "\"level\": \"debug\""));
	CU_ASSERT(beside_has(&h, "", "\"lastTouchedVersion\": \"1.2.3\""));
	CU_ASSERT(beside_has(&h, ".bak", "// words"));
	CU_ASSERT(beside_has(&h, ".last-good", "debug"));
	home_close(&h);
}

static void
backups_are_turned(void)
{
	struct home	 h;
	char		 raw[64];
	unsigned	 i;

	home_open(&h, "{session: {mainKey: 'm0'}}");
	for (i = 1; i <= 8; i++) {
		(void)snprintf(raw, sizeof raw, "{session: {mainKey: 'm%u'}}",
		    i);
		CU_ASSERT(write_now(&h, CHELA_CONFIG_APPLY, raw) == 0);
	}
	CU_ASSERT(beside_has(&h, "", "m8"));
	CU_ASSERT(beside_has(&h, ".bak", "m7"));
	CU_ASSERT(beside_has(&h, ".bak.1", "m6"));
	CU_ASSERT(beside_has(&h, ".bak.5", "m2"));
	CU_ASSERT(!beside_has(&h, ".bak.6", ""));
	home_close(&h);
}

static void
first_write_makes_the_file(void)
{
	struct home	 h;

	home_open(&h, NULL);
	CU_ASSERT(write_with(&h, CHELA_CONFIG_SET, "{}", NULL, NULL) ==
	    -EINVAL);
	CU_ASSERT(access(h.path, F_OK) < 0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_SET, "{}") == 0);
	CU_ASSERT(beside_has(&h, "", "lastTouchedVersion"));
	home_close(&h);
}

/* AB-113 */
static void
stale_hash_is_refused(void)
{
	struct home	 h;
	char		 old[CONF_HASH_MAX];

	home_open(&h, "{logging: {level: 'warn'}}");
	(void)snprintf(old, sizeof old, "%s", hash_now(&h));
	CU_ASSERT(write_with(&h, CHELA_CONFIG_APPLY, "{", NULL, NULL) ==
	    -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message,
	    "config base hash required; re-run config.get and retry");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{logging: {level: 'debug'}}") == 0);
	CU_ASSERT(write_with(&h, CHELA_CONFIG_PATCH,
	    "{logging: {level: 'error'}}", old, NULL) == -ESTALE);
	CU_ASSERT_STRING_EQUAL(h.message,
	    "config changed since last load; re-run config.get and retry");
	CU_ASSERT(file_has(h.path, "debug"));
	/* An edit by hand that nobody has told us of yet counts. */
	(void)snprintf(old, sizeof old, "%s", hash_now(&h));
	put(h.path, "{logging: {level: 'info'}}");
	CU_ASSERT(write_with(&h, CHELA_CONFIG_PATCH,
	    "{logging: {level: 'error'}}", old, NULL) == -ESTALE);
	CU_ASSERT(file_has(h.path, "'info'"));
	home_close(&h);
}

/* AB-113 */
static void
of_two_writers_one_wins(void)
{
	struct home			 h;
	struct chela_config_write	 w = { .struct_size = sizeof w,
		.kind = CHELA_CONFIG_PATCH };
	static const char *const	 raws[] = { "{session: {mainKey: 'a'}}",
		"{session: {mainKey: 'b'}}" };
	char				 hash[CONF_HASH_MAX];
	unsigned			 i, n_ok = 0;

	home_open(&h, "{}");
	(void)snprintf(hash, sizeof hash, "%s", hash_now(&h));
	w.base_hash = hash;
	for (i = 0; i < 2; i++) {
		w.raw = raws[i];
		w.raw_len = strlen(raws[i]);
		CU_ASSERT(h.svc->write(&w, on_done, &h) == 0);
	}
	for (i = 0; i < 2; i++) {
		h.is_done = false;
		while (!h.is_done)
			wait_for_it(&h);
		n_ok += h.r == 0;
		CU_ASSERT(h.r == (i == 0 ? 0 : -ESTALE));
	}
	CU_ASSERT(n_ok == 1);
	CU_ASSERT(file_has(h.path, "\"a\""));
	home_close(&h);
}

static void
patch_changes_and_tells(void)
{
	struct home	 h;

	home_open(&h, "{gateway: {auth: {token: 'SECRET-1', password: "
	    "'SECRET-2'}}, plugins: {allow: ['a', 'b']}}");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{logging: {level: 'debug'}}") == 0);
	CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(json_get(h.result,
	    "changedPaths"), JSON_C_TO_STRING_PLAIN),
	    "[\"logging.level\"]");
	CU_ASSERT(json_get(h.result, "restart") == NULL);
	CU_ASSERT(strstr(json_object_to_json_string(h.result), "SECRET") ==
	    NULL);
	CU_ASSERT(file_has(h.path, "SECRET-1"));

	/* The mark keeps what is stored. */
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{gateway: {auth: {token: '"
	    CONF_REDACTED "', password: 'SECRET-3'}}}") == 0);
	CU_ASSERT(file_has(h.path, "SECRET-1"));
	CU_ASSERT(file_has(h.path, "SECRET-3"));
	CU_ASSERT(!file_has(h.path, CONF_REDACTED));
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{hooks: {token: '"
	    CONF_REDACTED "'}}") == -EINVAL);
	CU_ASSERT(strncmp(h.message, "invalid config: hooks.token:", 28) == 0);
	CU_ASSERT(json_get_arr(h.details, "issues") != NULL);

	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{plugins: {allow: ['a']}}") == -EINVAL);
	CU_ASSERT(strstr(h.message, "plugins.allow") != NULL);
	CU_ASSERT(write_with(&h, CHELA_CONFIG_PATCH,
	    "{plugins: {allow: ['a']}}", hash_now(&h), "[\"plugins.allow\"]") ==
	    0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "[]") == -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message, "config.patch raw must be an object");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{a") == -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message, "SyntaxError: JSON5: unexpected end "
	    "of text instead of a colon at 1:3");
	home_close(&h);
}

static void
patch_without_effect_writes_nothing(void)
{
	struct home	 h;
	const char	*text = "{logging: {level: 'warn'}} // kept";

	home_open(&h, text);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH,
	    "{logging: {level: 'warn'}, ui: null}") == 0);
	CU_ASSERT(json_get_bool(h.result, "noop", false));
	CU_ASSERT(json_object_array_length(json_get_arr(h.result,
	    "changedPaths")) == 0);
	CU_ASSERT(file_has(h.path, text));
	CU_ASSERT(!beside_has(&h, ".bak", ""));
	home_close(&h);
}

static void
prefs_need_no_hash(void)
{
	struct home	 h;

	home_open(&h, "{}");
	CU_ASSERT(write_with(&h, CHELA_CONFIG_PATCH,
	    "{ui: {prefs: {theme: 'x'}}}", NULL, NULL) == 0);
	CU_ASSERT(write_with(&h, CHELA_CONFIG_PATCH,
	    "{ui: {prefs: {theme: 'y'}, seamColor: '#aaaaaa'}}", NULL, NULL) ==
	    -EINVAL);
	home_close(&h);
}

static void
restart_is_asked_for_and_noted(void)
{
	struct home		 h;
	struct json_object	*o = NULL;
	char			 path[128];

	home_open(&h, "{}");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{gateway: {port: 7}}") ==
	    0);
	CU_ASSERT(h.n_restarts >= 1 && h.restart_ms == 60000);
	CU_ASSERT(json_get_bool(json_get(h.result, "restart"), "ok", false));
	CU_ASSERT(json_get_bool(json_get(h.result, "sentinel"), "persisted",
	    false));
	(void)snprintf(path, sizeof path, "%s/restart-sentinel.json", h.state);
	CU_ASSERT(file_has(path, "\"message\":\"hello\""));
	CU_ASSERT(file_has(path, "\"sessionKey\":\"agent:main:main\""));
	CU_ASSERT_FATAL(h.svc->snapshot(&o) == 0);
	CU_ASSERT(strcmp(json_get_str(o, "configRevisionHash"),
	    json_get_str(o, "appliedConfigHash")) != 0);
	json_object_put(o);
	home_close(&h);
}

/* AB-113 */
static void
set_that_drops_most_is_refused(void)
{
	struct home	 h;

	home_open(&h, "{gateway: {port: 1, bind: 'lan', auth: {token: 't'}, "
	    "tls: {enabled: false}}, logging: {level: 'warn'}, session: "
	    "{mainKey: 'x', scope: 'global'}, hooks: {path: '/x'}}");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_SET, "{logging: {level: 'warn'}}")
	    == -EINVAL);
	CU_ASSERT(strstr(h.message, "config.apply") != NULL);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_APPLY,
	    "{logging: {level: 'warn'}}") == 0);
	home_close(&h);
}

/* AB-112 */
static void
invalid_write_is_refused(void)
{
	struct home	 h;

	home_open(&h, "{logging: {level: 'warn'}}");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_SET, "{gatway: {}}") == -EINVAL);
	CU_ASSERT_STRING_EQUAL(h.message, "invalid config: gatway: unknown key "
	    "(did you mean 'gateway'?)");
	CU_ASSERT_STRING_EQUAL(json_get_str(json_object_array_get_idx(
	    json_get_arr(h.details, "issues"), 0), "path"), "gatway");
	CU_ASSERT(write_now(&h, CHELA_CONFIG_SET, "[1]") == -EINVAL);
	CU_ASSERT(file_has(h.path, "'warn'"));
	home_close(&h);
}

/* AB-111 */
static void
full_disk_keeps_the_old_file(void)
{
	struct home	 h;
	struct rlimit	 old, small;
	char		 raw[4096];

	home_open(&h, "{logging: {level: 'warn'}}");
	(void)snprintf(raw, sizeof raw, "{session: {mainKey: 'big'}, ui: "
	    "{prefs: {x: '%02000d'}}}", 1);
	(void)signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &old) == 0);
	small = old;
	small.rlim_cur = 1000;
	CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, raw) == -EFBIG);
	CU_ASSERT(setrlimit(RLIMIT_FSIZE, &old) == 0);
	/* Who had agreed already has what is in force again. */
	CU_ASSERT_STRING_EQUAL(h.seen, "main");
	CU_ASSERT(strstr(h.message, "not written") != NULL);
	CU_ASSERT(file_has(h.path, "{logging: {level: 'warn'}}"));
	CU_ASSERT(h.n_changes == 0);
	CU_ASSERT_STRING_EQUAL(conf_get_str(conf_live_get(h.live),
	    "logging.level", ""), "warn");
	/* And it works again when there is room. */
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, raw) == 0);
	home_close(&h);
}

static void
snapshot_hides_secrets(void)
{
	struct home		 h;
	struct json_object	*o = NULL;

	(void)setenv("CHELA_TEST_PW", "SECRET-9", 1);
	home_open(&h, "{gateway: {auth: {token: 'SECRET-1', password: "
	    "'${CHELA_TEST_PW}'}}} // token = SECRET-7");
	CU_ASSERT_FATAL(h.svc->snapshot(&o) == 0);
	CU_ASSERT(strstr(json_object_to_json_string(o), "SECRET") == NULL);
	CU_ASSERT(json_get_bool(o, "valid", false));
	CU_ASSERT(json_get_bool(o, "exists", false));
	CU_ASSERT(strstr(json_get_str(o, "raw"), CONF_REDACTED) != NULL);
	CU_ASSERT_STRING_EQUAL(json_object_get_string(json_get_path(o,
	    "parsed.gateway.auth.password")), "${CHELA_TEST_PW}");
	CU_ASSERT_STRING_EQUAL(json_object_get_string(json_get_path(o,
	    "config.gateway.auth.password")), CONF_REDACTED);
	CU_ASSERT_STRING_EQUAL(json_get_str(o, "configRevisionHash"),
	    json_get_str(o, "appliedConfigHash"));
	json_object_put(o);
	home_close(&h);
}

static void
schema_is_told(void)
{
	struct home		 h;
	struct json_object	*o = NULL, *c;
	size_t			 i, n_port = 0;

	home_open(&h, NULL);
	CU_ASSERT_FATAL(h.svc->schema(&o) == 0);
	CU_ASSERT(json_get_bool(json_get(json_get(o, "uiHints"),
	    "gateway.auth.token"), "sensitive", false));
	CU_ASSERT_STRING_EQUAL(json_get_str(o, "version"), "1.2.3");
	json_object_put(o);

	CU_ASSERT_FATAL(h.svc->lookup("gateway.port", &o) == 0);
	CU_ASSERT_STRING_EQUAL(json_get_str(o, "reloadKind"), "restart");
	CU_ASSERT_STRING_EQUAL(json_get_str(json_get(o, "hint"), "label"),
	    "Gateway Port");
	CU_ASSERT(json_get_int(json_get(o, "schema"), "maximum", 0) == 65535);
	CU_ASSERT(json_object_array_length(json_get_arr(o, "children")) == 0);
	json_object_put(o);

	CU_ASSERT_FATAL(h.svc->lookup("gateway", &o) == 0);
	c = json_get_arr(o, "children");
	for (i = 0; i < json_object_array_length(c); i++)
		n_port += strcmp(json_get_str(json_object_array_get_idx(c, i),
		    "path"), "gateway.port") == 0;
	CU_ASSERT(n_port == 1);
	CU_ASSERT(json_get(json_get(o, "schema"), "properties") == NULL);
	json_object_put(o);

	CU_ASSERT_FATAL(h.svc->lookup("models.providers.*.models[].id", &o) ==
	    0);
	json_object_put(o);
	CU_ASSERT(h.svc->lookup("gateway.nope", &o) == -ENOENT);
	CU_ASSERT(h.svc->reload_kind("hooks.path") == CHELA_CONFIG_HOT);
	home_close(&h);
}

static void
writes_that_wait_are_limited(void)
{
	struct home			 h;
	struct chela_config_write	 w = { .struct_size = sizeof w,
		.kind = CHELA_CONFIG_SET, .raw = "{}", .raw_len = 2,
		.base_hash = "x" };
	unsigned			 i, n = 0;

	home_open(&h, NULL);
	for (i = 0; i < CONF_WRITES_MAX; i++)
		CU_ASSERT(h.svc->write(&w, on_done, &h) == 0);
	CU_ASSERT(h.svc->write(&w, on_done, &h) == -EAGAIN);
	for (i = 0; i < CONF_WRITES_MAX; i++) {
		h.is_done = false;
		while (!h.is_done)
			wait_for_it(&h);
		n++;
	}
	CU_ASSERT(n == CONF_WRITES_MAX);
	home_close(&h);
}

static void
closing_with_work_under_way_is_quiet(void)
{
	struct home			 h;
	struct chela_config_write	 w = { .struct_size = sizeof w,
		.kind = CHELA_CONFIG_SET, .raw = "{}", .raw_len = 2 };

	home_open(&h, NULL);
	w.base_hash = hash_now(&h);
	h.is_done = true;	/* on_done() would fail */
	CU_ASSERT(h.svc->write(&w, on_done, &h) == 0);
	CU_ASSERT(h.svc->write(&w, on_done, &h) == 0);
	loop_poke(h.loop);
	home_close(&h);
}

static void
link_is_followed(void)
{
	struct home	 h;
	char		 target[128];
	struct stat	 st;

	home_open(&h, "{}");
	(void)snprintf(target, sizeof target, "%s/real.json", h.dir);
	CU_ASSERT(rename(h.path, target) == 0);
	CU_ASSERT(symlink("real.json", h.path) == 0);
	CU_ASSERT(write_now(&h, CHELA_CONFIG_PATCH, "{ui: {prefs: {a: 1}}}") ==
	    0);
	CU_ASSERT(lstat(h.path, &st) == 0 && S_ISLNK(st.st_mode));
	CU_ASSERT(file_has(target, "prefs"));
	home_close(&h);
}

static const struct cu_case cases[] = {
	CU_CASE(edits_are_taken),
	CU_CASE(edits_that_need_a_restart_say_so),
	CU_CASE(deleting_is_emptying),
	CU_CASE(invalid_while_running_keeps_the_last_good),
	CU_CASE(invalid_at_start_is_refused),
	CU_CASE(checks_may_refuse),
	CU_CASE(one_refusal_is_one_of_all),
	CU_CASE(set_writes_the_file),
	CU_CASE(backups_are_turned),
	CU_CASE(first_write_makes_the_file),
	CU_CASE(stale_hash_is_refused),
	CU_CASE(of_two_writers_one_wins),
	CU_CASE(patch_changes_and_tells),
	CU_CASE(patch_without_effect_writes_nothing),
	CU_CASE(prefs_need_no_hash),
	CU_CASE(restart_is_asked_for_and_noted),
	CU_CASE(set_that_drops_most_is_refused),
	CU_CASE(invalid_write_is_refused),
	CU_CASE(full_disk_keeps_the_old_file),
	CU_CASE(snapshot_hides_secrets),
	CU_CASE(schema_is_told),
	CU_CASE(writes_that_wait_are_limited),
	CU_CASE(closing_with_work_under_way_is_quiet),
	CU_CASE(link_is_followed),
	CU_END
};
CU_MAIN("conf_live", cases)
