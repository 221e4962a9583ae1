/* SPDX-License-Identifier: MIT */
/*
 * The store: one row a name, its value sealed with the name and kind as further
 * authenticated data, so that rows cannot be swapped. The key comes from a file of
 * mode 0600 or from a passphrase; the row "meta" says which and proves that it is
 * the right one.
 */
#include "secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define META		"meta"
#define ROW_PREFIX	"s/"
#define CHECK_AAD	"chela secrets 1 check"
#define CHECK_TEXT	"chela"
#define KEY_FILE	"secrets.key"
#define WAITERS_MAX	256u
#define PASS_ENV	"CHELA_SECRETS_PASSPHRASE"
#define ITERATIONS_MIN	1000u		/* below that a row "meta" was forged */
#define ITERATIONS_MAX	10000000u

enum key_state { KEY_NONE, KEY_LOADING, KEY_OPEN };

struct waiter {
	struct waiter	*next;
	key_done_fn	*done;
	void		*arg;
};

/* The worker has it from work() to done. */
struct key_job {
	bool		 is_pass;
	char		*pass;		/* copy, or NULL: read pass_file */
	char		*pass_file;
	char		*key_file;
	uint8_t		 salt[VAULT_SALT_LEN];
	unsigned	 iterations;
	uint8_t		 key[VAULT_KEY_LEN];
	int		 r;
	int		 left;		/* see worker_leave() */
};

static struct {
	enum key_state	 state;
	uint8_t		 key[VAULT_KEY_LEN];
	bool		 is_locked;
	struct waiter	*waiters;
	unsigned	 n_waiters;
	struct key_job	*job;
} store;

/* --- the key --- */

static void
key_job_free(struct key_job *j)
{
	if (j->pass != NULL)
		vault_drop(j->pass, strlen(j->pass));
	free(j->pass_file);
	free(j->key_file);
	vault_wipe(j, sizeof *j);
	free(j);
}

static void
key_answer(int r)
{
	struct waiter	*w, *list = NULL;

	/* In the order in which they came. */
	while ((w = store.waiters) != NULL) {
		store.waiters = w->next;
		w->next = list;
		list = w;
	}
	store.n_waiters = 0;
	while ((w = list) != NULL) {
		list = w->next;
		w->done(r, w->arg);
		free(w);
	}
}

static void
key_find(struct key_job *j)
{
	char		*text = NULL;
	size_t		 len = 0;

	if (!j->is_pass) {
		j->r = vault_key_file(j->key_file, j->key);
		return;
	}
	if (j->pass != NULL) {
		j->r = vault_derive(j->pass, strlen(j->pass), j->salt,
		    sizeof j->salt, j->iterations, j->key);
		return;
	}
	j->r = vault_read_private(j->pass_file, VAULT_PASS_MAX, &text, &len);
	if (j->r < 0) {
		if (j->r == -ENOENT)
			j->r = -ENOKEY;
		return;
	}
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
	j->r = len == 0 ? -ENOKEY : vault_derive(text, len, j->salt,
	    sizeof j->salt, j->iterations, j->key);
	vault_drop(text, len);
}

static void
key_work(void *arg)
{
	struct key_job	*j = arg;

	key_find(j);
	if (worker_leave(&j->left))
		key_job_free(j);
}

static int
hex_decode(const char *hex, uint8_t *p, size_t len)
{
	unsigned	 b;
	size_t		 i;

	if (hex == NULL || strlen(hex) != 2 * len ||
	    strspn(hex, "0123456789abcdef") != 2 * len)
		return (-EBADMSG);
	for (i = 0; i < len; i++) {
		if (sscanf(hex + 2 * i, "%2x", &b) != 1)
			return (-EBADMSG);
		p[i] = (uint8_t)b;
	}
	return (0);
}

static struct json_object *
meta_new(const struct key_job *j)
{
	struct json_object	*o = json_object_new_object();
	char			 hex[2 * VAULT_SALT_LEN + 1], *check;
	size_t			 i;

	if (o == NULL || vault_seal(j->key, CHECK_AAD, CHECK_TEXT,
	    strlen(CHECK_TEXT), &check) < 0) {
		json_object_put(o);
		return (NULL);
	}
	json_object_object_add(o, "v", json_object_new_int(1));
	json_object_object_add(o, "kdf", json_object_new_string(j->is_pass ?
	    "pbkdf2-sha256" : "file"));
	if (j->is_pass) {
		for (i = 0; i < sizeof j->salt; i++)
			(void)snprintf(hex + 2 * i, 3, "%02x", j->salt[i]);
		json_object_object_add(o, "salt", json_object_new_string(hex));
		json_object_object_add(o, "iterations",
		    json_object_new_int64(j->iterations));
	}
	json_object_object_add(o, "check", json_object_new_string(check));
	free(check);
	return (o);
}

static void
key_accept(const uint8_t *key)
{
	/* Keeps it out of the swap, where the limits allow that. */
	if (!store.is_locked)
		store.is_locked = mlock(store.key, sizeof store.key) == 0;
	memcpy(store.key, key, VAULT_KEY_LEN);
	store.state = KEY_OPEN;
}

static void
on_meta(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)rev;
	(void)arg;
	if (r < 0) {
		vault_wipe(store.key, sizeof store.key);
		store.state = KEY_NONE;
	}
	key_answer(r);
}

static int
key_check(struct json_object *meta, const uint8_t *key)
{
	const char	*text = get_str(meta, "check");
	char		*plain;
	size_t		 len;
	int		 r;

	if (text == NULL)
		return (-EBADMSG);
	r = vault_unseal(key, CHECK_AAD, text, &plain, &len);
	if (r == 0)
		vault_drop(plain, len);
	return (r);
}

static void
key_ready(struct chela_ctx *ctx, void *arg)
{
	struct key_job		*j = arg;
	struct json_object	*meta = NULL;
	int			 r = j->r;

	store.job = NULL;
	store.state = KEY_NONE;
	if (r < 0)
		goto fail;
	if (secrets.host->kv_get(ctx, META, &meta, NULL) == 0) {
		r = key_check(meta, j->key);
		json_object_put(meta);
		if (r < 0)
			goto fail;
		key_accept(j->key);
		key_job_free(j);
		key_answer(0);
		return;
	}
	meta = meta_new(j);
	if (meta == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	key_accept(j->key);
	key_job_free(j);
	r = secrets.host->kv_put(ctx, META, meta, CHELA_NEW_REV, on_meta, NULL);
	if (r < 0)
		on_meta(ctx, r, 0, NULL);
	return;
fail:
	key_job_free(j);
	key_answer(r);
}

static int
key_plan(struct json_object *meta, struct key_job *j)
{
	struct json_object	*conf = secrets.host->conf(secrets.ctx);
	const char		*env = getenv(PASS_ENV), *kdf, *path;
	int64_t			 n;
	int			 r;

	path = get_str(conf, "passphraseFile");
	if (meta != NULL) {
		kdf = get_str(meta, "kdf");
		j->is_pass = kdf != NULL && strcmp(kdf, "pbkdf2-sha256") == 0;
		if (kdf == NULL || (!j->is_pass && strcmp(kdf, "file") != 0))
			return (-EBADMSG);
	} else {
		j->is_pass = path != NULL || (env != NULL && *env != '\0');
	}
	if (!j->is_pass) {
		path = get_str(conf, "keyFile");
		if (path != NULL)
			j->key_file = strdup(path);
		else if (asprintf(&j->key_file, "%s/%s",
		    secrets.host->state_dir(), KEY_FILE) < 0)
			j->key_file = NULL;
		return (j->key_file == NULL ? -ENOMEM : 0);
	}
	if (env != NULL && *env != '\0') {
		if (strlen(env) > VAULT_PASS_MAX)
			return (-E2BIG);
		j->pass = strdup(env);
	} else if (path != NULL) {
		j->pass_file = strdup(path);
	} else {
		return (-ENOKEY);
	}
	if (j->pass == NULL && j->pass_file == NULL)
		return (-ENOMEM);
	if (meta == NULL) {
		j->iterations = (unsigned)get_int(conf, "iterations",
		    VAULT_ITERATIONS);
		return (vault_random(j->salt, sizeof j->salt));
	}
	r = hex_decode(get_str(meta, "salt"), j->salt, sizeof j->salt);
	n = get_int(meta, "iterations", 0);
	if (r < 0 || n < ITERATIONS_MIN || n > ITERATIONS_MAX)
		return (-EBADMSG);
	j->iterations = (unsigned)n;
	return (0);
}

static int
key_begin(bool create)
{
	struct json_object	*meta = NULL;
	struct key_job		*j;
	int			 r;

	r = secrets.host->kv_get(secrets.ctx, META, &meta, NULL);
	if (r < 0 && !create)
		return (-ENOENT);
	j = calloc(1, sizeof *j);
	r = j == NULL ? -ENOMEM : key_plan(meta, j);
	json_object_put(meta);
	if (r == 0)
		r = secrets.host->work(secrets.ctx, key_work, key_ready, j);
	if (r < 0) {
		if (j != NULL)
			key_job_free(j);
		return (r);
	}
	store.job = j;
	store.state = KEY_LOADING;
	return (0);
}

void
store_key(bool create, key_done_fn *done, void *arg)
{
	struct waiter	*w;
	int		 r = 0;

	if (store.state == KEY_OPEN) {
		done(0, arg);
		return;
	}
	if (store.n_waiters >= WAITERS_MAX) {
		done(-EAGAIN, arg);
		return;
	}
	w = malloc(sizeof *w);
	if (w == NULL) {
		done(-ENOMEM, arg);
		return;
	}
	w->done = done;
	w->arg = arg;
	w->next = store.waiters;
	store.waiters = w;
	store.n_waiters++;
	if (store.state == KEY_NONE)
		r = key_begin(create);
	if (r < 0)
		key_answer(r);
}

const char *
store_error(int r)
{
	switch (r) {
	case -ENOKEY:
		return ("the store is sealed with a passphrase, and none is "
		    "given");
	case -EPERM:
		return ("the key file must be a plain file that only its owner "
		    "may read");
	case -EBADMSG:
		return ("the key does not open the store");
	case -EDQUOT:
		return ("the store is full");
	default:
		return ("the store cannot be used");
	}
}

void
store_close(void)
{
	struct waiter	*w;

	while ((w = store.waiters) != NULL) {
		store.waiters = w->next;
		free(w);
	}
	store.n_waiters = 0;
	vault_wipe(store.key, sizeof store.key);
	if (store.is_locked)
		(void)munlock(store.key, sizeof store.key);
	store.is_locked = false;
	store.state = KEY_NONE;
	if (store.job != NULL && worker_leave(&store.job->left))
		key_job_free(store.job);
	store.job = NULL;
}

/* --- rows --- */

static void
row_key(char key[NAME_MAX_LEN + 8], const char *name)
{
	(void)snprintf(key, NAME_MAX_LEN + 8, ROW_PREFIX "%s", name);
}

static void
row_aad(char aad[NAME_MAX_LEN + 64], const char *name, const char *kind)
{
	(void)snprintf(aad, NAME_MAX_LEN + 64, "chela secrets 1\nteam\n\n%s\n%s",
	    name, kind);
}

static struct json_object *
row_get(const char *name)
{
	struct json_object	*row;
	char			 key[NAME_MAX_LEN + 8];

	if (strlen(name) > NAME_MAX_LEN)
		return (NULL);
	row_key(key, name);
	if (secrets.host->kv_get(secrets.ctx, key, &row, NULL) < 0)
		return (NULL);
	return (row);
}

static bool
row_is_live(struct json_object *row)
{
	return (get_str(row, "sealed") != NULL);
}

static int
row_value(const char *name, struct json_object *row, char **ret_value,
    size_t *ret_len)
{
	char		 aad[NAME_MAX_LEN + 64];
	const char	*kind = get_str(row, "kind");
	const char	*sealed = get_str(row, "sealed");

	if (store.state != KEY_OPEN)
		return (-ENOKEY);
	if (kind == NULL || sealed == NULL)
		return (-ENOENT);
	row_aad(aad, name, kind);
	return (vault_unseal(store.key, aad, sealed, ret_value, ret_len));
}

int
store_value(const char *name, char **ret_value, size_t *ret_len)
{
	struct json_object	*row = row_get(name);
	int			 r;

	if (row == NULL)
		return (-ENOENT);
	r = row_value(name, row, ret_value, ret_len);
	json_object_put(row);
	return (r);
}

static int
add_entry(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	struct json_object	*list = arg, *o, *v;
	const char		*name = key + strlen(ROW_PREFIX), *kind, *by;
	char			*value;
	size_t			 len;
	int			 r;

	(void)rev;
	kind = get_str(row, "kind");
	if (!row_is_live(row) || kind == NULL)
		return (0);
	o = json_object_new_object();
	json_object_object_add(o, "name", json_object_new_string(name));
	json_object_object_add(o, "scopeKind", json_object_new_string("team"));
	json_object_object_add(o, "scopeId", json_object_new_string(""));
	json_object_object_add(o, "createdAtMs", json_object_new_int64(
	    get_int(row, "createdAtMs", 0)));
	json_object_object_add(o, "updatedAtMs", json_object_new_int64(
	    get_int(row, "updatedAtMs", 0)));
	by = get_str(row, "updatedBy");
	if (by != NULL)
		json_object_object_add(o, "updatedBy",
		    json_object_new_string(by));
	json_object_object_add(o, "kind", json_object_new_string(kind));
	if (strcmp(kind, "env") == 0) {
		r = row_value(name, row, &value, &len);
		if (r < 0) {
			json_object_put(o);
			return (r);
		}
		json_object_object_add(o, "value",
		    json_object_new_string_len(value, (int)len));
		vault_drop(value, len);
	} else if ((v = get_any(row, "allowedHosts")) != NULL &&
	    json_object_array_length(v) > 0) {
		json_object_object_add(o, "allowedHosts", json_object_get(v));
	}
	return (json_object_array_add(list, o) < 0 ? -ENOMEM : 0);
}

static int
by_name(const void *a, const void *b)
{
	return (strcmp(get_str(*(struct json_object *const *)a, "name"),
	    get_str(*(struct json_object *const *)b, "name")));
}

int
store_list(struct json_object **ret_entries)
{
	struct json_object	*list = json_object_new_array();
	int			 r;

	if (list == NULL)
		return (-ENOMEM);
	r = secrets.host->kv_each(secrets.ctx, ROW_PREFIX, add_entry, list);
	if (r < 0) {
		obj_wipe(list);
		return (r);
	}
	json_object_array_sort(list, by_name);
	*ret_entries = list;
	return (0);
}

static int
is_env(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	const char	*kind = get_str(row, "kind");

	(void)key;
	(void)rev;
	(void)arg;
	return (row_is_live(row) && kind != NULL && strcmp(kind, "env") == 0);
}

bool
store_has_env(void)
{
	return (secrets.host->kv_each(secrets.ctx, ROW_PREFIX, is_env, NULL) >
	    0);
}

struct env_walk {
	int	(*cb)(const char *name, const char *value, void *arg);
	void	*arg;
};

static int
walk_env(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	struct env_walk	*w = arg;
	const char	*name = key + strlen(ROW_PREFIX);
	char		*value;
	size_t		 len;
	int		 r;

	if (!is_env(key, row, rev, NULL))
		return (0);
	r = row_value(name, row, &value, &len);
	if (r < 0)
		return (r);
	r = w->cb(name, value, w->arg);
	vault_drop(value, len);
	return (r);
}

int
store_each_env(int (*cb)(const char *name, const char *value, void *arg),
    void *arg)
{
	struct env_walk	 w = { cb, arg };

	return (secrets.host->kv_each(secrets.ctx, ROW_PREFIX, walk_env, &w));
}

static int
count_row(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	(void)key;
	(void)row;
	(void)rev;
	++*(size_t *)arg;
	return (0);
}

int
store_set(const char *name, const char *value, size_t len, const char *kind,
    struct json_object *hosts, const char *by, chela_done_fn *done, void *arg)
{
	struct json_object	*old = row_get(name), *row, *v;
	char			 key[NAME_MAX_LEN + 8];
	char			 aad[NAME_MAX_LEN + 64], *sealed = NULL;
	int64_t			 now = (int64_t)secrets.host->wall_ms();
	size_t			 n = 0;
	int			 r;

	if (old == NULL) {
		(void)secrets.host->kv_each(secrets.ctx, ROW_PREFIX, count_row,
		    &n);
		if (n >= ENTRIES_MAX) {
			json_object_put(hosts);
			return (-EDQUOT);
		}
	}
	row_aad(aad, name, kind);
	r = store.state != KEY_OPEN ? -ENOKEY :
	    vault_seal(store.key, aad, value, len, &sealed);
	if (r < 0)
		goto out;
	row = json_object_new_object();
	json_object_object_add(row, "kind", json_object_new_string(kind));
	json_object_object_add(row, "sealed", json_object_new_string(sealed));
	json_object_object_add(row, "createdAtMs", json_object_new_int64(
	    get_int(old, "createdAtMs", now)));
	json_object_object_add(row, "updatedAtMs", json_object_new_int64(now));
	json_object_object_add(row, "updatedBy", json_object_new_string(by));
	v = hosts;
	hosts = NULL;
	if (v == NULL && strcmp(kind, "secret") == 0)
		v = json_object_get(get_any(old, "allowedHosts"));
	if (v != NULL)
		json_object_object_add(row, "allowedHosts", v);
	row_key(key, name);
	r = secrets.host->kv_put(secrets.ctx, key, row, CHELA_ANY_REV, done,
	    arg);
out:
	free(sealed);
	json_object_put(old);
	json_object_put(hosts);
	return (r);
}

/* The value goes at once; when it was made stays for a while, for its return. */
int
store_del(const char *name, chela_done_fn *done, void *arg)
{
	struct json_object	*old = row_get(name), *row;
	char			 key[NAME_MAX_LEN + 8];
	const char		*kind;

	if (old == NULL || !row_is_live(old)) {
		json_object_put(old);
		return (-ENOENT);
	}
	row = json_object_new_object();
	kind = get_str(old, "kind");
	json_object_object_add(row, "kind", json_object_new_string(
	    kind != NULL ? kind : "secret"));
	json_object_object_add(row, "createdAtMs", json_object_new_int64(
	    get_int(old, "createdAtMs", 0)));
	json_object_object_add(row, "deletedAtMs", json_object_new_int64(
	    (int64_t)secrets.host->wall_ms()));
	json_object_put(old);
	row_key(key, name);
	return (secrets.host->kv_put(secrets.ctx, key, row, CHELA_ANY_REV, done,
	    arg));
}

struct purge {
	char	*keys[64];
	size_t	 n;
};

static int
purge_find(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	struct purge	*p = arg;
	int64_t		 at = get_int(row, "deletedAtMs", 0);

	(void)rev;
	if (at > 0 && (uint64_t)at + DELETED_KEEP_MS < secrets.host->wall_ms())
		p->keys[p->n++] = strdup(key);
	return (p->n == sizeof p->keys / sizeof p->keys[0]);
}

void
store_purge(void)
{
	struct purge	 p = { .n = 0 };
	size_t		 i;

	(void)secrets.host->kv_each(secrets.ctx, ROW_PREFIX, purge_find, &p);
	for (i = 0; i < p.n; i++) {
		if (p.keys[i] != NULL)
			(void)secrets.host->kv_del(secrets.ctx, p.keys[i],
			    CHELA_ANY_REV, NULL, NULL);
		free(p.keys[i]);
	}
}
