/* SPDX-License-Identifier: MIT */
/* Tables and logs of the fake host: in memory, with answers on a later turn. */
#include "tests/plugin/fakehost_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct write {
	struct chela_ctx	*ctx;
	chela_done_fn		*done;
	void			*arg;
	int			 r;
	uint64_t		 rev;
};

struct scan {
	struct chela_ctx	 *ctx;
	void			(*read_done)(struct chela_ctx *ctx, int r,
				    const struct chela_row *rows, size_t n,
				    void *arg);
	void			(*find_done)(struct chela_ctx *ctx, int r,
				    const char *const *logs,
				    const struct chela_row *rows, size_t n,
				    void *arg);
	void			 *arg;
	struct chela_row	 *rows;
	char			**logs;
	uint64_t		 *orders;
	size_t			  n;
};

struct fake_store *
fake_store_get(struct fake *f, const char *plugin)
{
	struct list		*l, *tmp;
	struct fake_store	*s;

	list_each(l, tmp, &f->stores) {
		s = container_of(l, struct fake_store, link);
		if (strcmp(s->plugin, plugin) == 0)
			return (s);
	}
	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->plugin = strdup(plugin);
	list_init(&s->kvs);
	list_init(&s->logs);
	list_append(&f->stores, &s->link);
	return (s);
}

static void
kv_free(struct fake_kv *kv)
{
	list_remove(&kv->link);
	json_object_put(kv->val);
	free(kv->key);
	free(kv);
}

void
fake_store_free(struct fake_store *s)
{
	struct list	*l, *tmp;
	struct fake_log	*g;
	size_t		 i;

	list_each(l, tmp, &s->kvs)
		kv_free(container_of(l, struct fake_kv, link));
	list_each(l, tmp, &s->logs) {
		g = container_of(l, struct fake_log, link);
		for (i = 0; i < g->n_rows; i++)
			free(g->rows[i].text);
		free(g->rows);
		free(g->name);
		free(g);
	}
	free(s->plugin);
	free(s);
}

static struct fake_kv *
kv_find(struct fake_store *s, const char *key)
{
	struct list	*l, *tmp;
	struct fake_kv	*kv;

	list_each(l, tmp, &s->kvs) {
		kv = container_of(l, struct fake_kv, link);
		if (strcmp(kv->key, key) == 0)
			return (kv);
	}
	return (NULL);
}

/* Values are copied both ways: nobody can change a table by its own object. */
static struct json_object *
copy_of(struct json_object *o)
{
	struct json_object	*c = NULL;

	if (o != NULL && json_object_deep_copy(o, &c, NULL) < 0)
		abort();
	return (c);
}

static void
write_done(void *arg)
{
	struct write	*w = arg;
	struct fake	*f = w->ctx->f;

	if (w->done != NULL)
		w->done(w->ctx, w->r, w->rev, w->arg);
	free(w);
	fake_later_done(f);
}

static int
write_answer(struct chela_ctx *ctx, int r, uint64_t rev, chela_done_fn *done,
    void *arg)
{
	struct write	*w;

	w = malloc(sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	*w = (struct write){ ctx, done, arg, r, rev };
	return (fake_later(ctx->f, write_done, w));
}

static int
write_failure(struct fake *f)
{
	if (f->n_fail == 0)
		return (0);
	f->n_fail--;
	return (f->fail_r);
}

static int
host_kv_get(struct chela_ctx *ctx, const char *key,
    struct json_object **ret_val, uint64_t *ret_rev)
{
	struct fake_kv	*kv;

	kv = kv_find(ctx->store, key);
	if (kv == NULL)
		return (-ENOENT);
	*ret_val = copy_of(kv->val);
	if (ret_rev != NULL)
		*ret_rev = kv->rev;
	return (0);
}

static int
host_kv_each(struct chela_ctx *ctx, const char *prefix,
    int (*cb)(const char *key, struct json_object *val, uint64_t rev,
    void *arg), void *arg)
{
	struct list		*l, *tmp;
	struct fake_kv		*kv;
	struct json_object	*val;
	int			 r;

	list_each(l, tmp, &ctx->store->kvs) {
		kv = container_of(l, struct fake_kv, link);
		if (strncmp(kv->key, prefix, strlen(prefix)) != 0)
			continue;
		val = copy_of(kv->val);
		r = cb(kv->key, val, kv->rev, arg);
		json_object_put(val);
		if (r != 0)
			return (r);
	}
	return (0);
}

static void
kv_set(struct fake *f, struct fake_store *s, const char *key,
    struct json_object *val)
{
	struct list	*l;
	struct fake_kv	*kv;

	kv = kv_find(s, key);
	if (kv == NULL) {
		kv = calloc(1, sizeof *kv);
		if (kv == NULL)
			abort();
		kv->key = strdup(key);
		for (l = s->kvs.next; l != &s->kvs; l = l->next) {
			if (strcmp(container_of(l, struct fake_kv, link)->key,
			    key) > 0)
				break;
		}
		list_append(l, &kv->link);	/* before l */
	}
	json_object_put(kv->val);
	kv->val = val;
	kv->rev = ++f->rev;
}

static bool
is_stale(const struct fake_kv *kv, uint64_t expect)
{
	if (expect == CHELA_ANY_REV)
		return (false);
	return (kv == NULL ? expect != CHELA_NEW_REV : kv->rev != expect);
}

static int
host_kv_put(struct chela_ctx *ctx, const char *key, struct json_object *val,
    uint64_t expect_rev, chela_done_fn *done, void *arg)
{
	struct fake	*f = ctx->f;
	int		 r;

	r = write_failure(f);
	if (r == 0 && is_stale(kv_find(ctx->store, key), expect_rev))
		r = -ESTALE;
	if (r < 0) {
		json_object_put(val);
		return (write_answer(ctx, r, 0, done, arg));
	}
	kv_set(f, ctx->store, key, copy_of(val));
	json_object_put(val);
	return (write_answer(ctx, 0, f->rev, done, arg));
}

static int
host_kv_del(struct chela_ctx *ctx, const char *key, uint64_t expect_rev,
    chela_done_fn *done, void *arg)
{
	struct fake_kv	*kv;
	int		 r;

	kv = kv_find(ctx->store, key);
	r = write_failure(ctx->f);
	if (r == 0 && is_stale(kv, expect_rev))
		r = -ESTALE;
	if (r == 0 && kv != NULL)
		kv_free(kv);
	return (write_answer(ctx, r, 0, done, arg));
}

static struct fake_log *
log_get(struct fake_store *s, const char *name, bool make)
{
	struct list	*l, *tmp;
	struct fake_log	*g;

	list_each(l, tmp, &s->logs) {
		g = container_of(l, struct fake_log, link);
		if (strcmp(g->name, name) == 0)
			return (g);
	}
	if (!make)
		return (NULL);
	g = calloc(1, sizeof *g);
	if (g == NULL)
		abort();
	g->name = strdup(name);
	list_append(&s->logs, &g->link);
	return (g);
}

static int
host_log_append(struct chela_ctx *ctx, const char *log,
    struct json_object *row, chela_done_fn *done, void *arg)
{
	struct fake_log	*g;
	const char	*text;
	size_t		 len;
	int		 r;

	r = write_failure(ctx->f);
	if (r < 0) {
		json_object_put(row);
		return (write_answer(ctx, r, 0, done, arg));
	}
	g = log_get(ctx->store, log, true);
	text = json_object_to_json_string_length(row,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	g->rows = reallocarray(g->rows, g->n_rows + 1, sizeof *g->rows);
	if (g->rows == NULL)
		abort();
	g->rows[g->n_rows++] = (struct fake_row){
		.seq = ++g->last_seq, .order = ++ctx->f->order,
		.text = strndup(text, len), .len = len,
	};
	json_object_put(row);
	return (write_answer(ctx, 0, g->last_seq, done, arg));
}

static void
scan_add(struct scan *s, const struct fake_row *row, const char *log)
{
	s->rows = reallocarray(s->rows, s->n + 1, sizeof *s->rows);
	s->logs = reallocarray(s->logs, s->n + 1, sizeof *s->logs);
	s->orders = reallocarray(s->orders, s->n + 1, sizeof *s->orders);
	if (s->rows == NULL || s->logs == NULL || s->orders == NULL)
		abort();
	s->rows[s->n] = (struct chela_row){ row->seq,
	    strndup(row->text, row->len), row->len };
	s->logs[s->n] = strdup(log);
	s->orders[s->n++] = row->order;
}

static void
scan_done(void *arg)
{
	struct scan	*s = arg;
	struct fake	*f = s->ctx->f;
	size_t		 i;

	if (s->read_done != NULL)
		s->read_done(s->ctx, 0, s->rows, s->n, s->arg);
	else
		s->find_done(s->ctx, 0, (const char *const *)s->logs, s->rows,
		    s->n, s->arg);
	for (i = 0; i < s->n; i++) {
		free((char *)(uintptr_t)s->rows[i].text);
		free(s->logs[i]);
	}
	free(s->rows);
	free(s->logs);
	free(s->orders);
	free(s);
	fake_later_done(f);
}

static struct scan *
scan_new(struct chela_ctx *ctx, void *arg)
{
	struct scan	*s;

	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->ctx = ctx;
	s->arg = arg;
	return (s);
}

static int
host_log_read(struct chela_ctx *ctx, const char *log, uint64_t from,
    uint32_t max, size_t max_bytes, uint32_t flags,
    void (*done)(struct chela_ctx *ctx, int r, const struct chela_row *rows,
    size_t n, void *arg), void *arg)
{
	struct fake_log	*g;
	struct scan	*s;
	size_t		 i, first = 0, end = 0, bytes = 0;

	s = scan_new(ctx, arg);
	s->read_done = done;
	g = log_get(ctx->store, log, false);
	if (g == NULL)
		return (fake_later(ctx->f, scan_done, s));
	if (flags & CHELA_READ_TAIL) {
		end = g->n_rows;
		while (end > 0 && from != 0 && g->rows[end - 1].seq >= from)
			end--;
		first = end;
		while (first > 0 && end - first < max &&
		    bytes + g->rows[first - 1].len <= max_bytes)
			bytes += g->rows[--first].len;
	} else {
		end = g->n_rows;
		while (first < end && g->rows[first].seq < from)
			first++;
	}
	for (bytes = 0, i = first; i < end && s->n < max; i++) {
		bytes += g->rows[i].len;
		if (bytes > max_bytes)
			break;
		scan_add(s, &g->rows[i], log);
	}
	return (fake_later(ctx->f, scan_done, s));
}

static int
host_log_trim(struct chela_ctx *ctx, const char *log, uint64_t before,
    chela_done_fn *done, void *arg)
{
	struct fake_log	*g;
	size_t		 n = 0;
	int		 r;

	r = write_failure(ctx->f);
	g = r < 0 ? NULL : log_get(ctx->store, log, false);
	if (g != NULL) {
		while (n < g->n_rows && g->rows[n].seq < before)
			free(g->rows[n++].text);
		if (n > 0)
			memmove(g->rows, g->rows + n,
			    (g->n_rows - n) * sizeof *g->rows);
		g->n_rows -= n;
	}
	return (write_answer(ctx, r, before, done, arg));
}

static int
host_log_find(struct chela_ctx *ctx, const char *prefix, const char *needle,
    uint32_t max, void (*done)(struct chela_ctx *ctx, int r,
    const char *const *logs, const struct chela_row *rows, size_t n,
    void *arg), void *arg)
{
	struct list		*l, *tmp;
	struct fake_log		*g, *best_log;
	struct fake_row		*best;
	struct scan		*s;
	uint64_t		 below = UINT64_MAX;
	size_t			 i;

	s = scan_new(ctx, arg);
	s->find_done = done;
	do {
		best = NULL;
		best_log = NULL;
		list_each(l, tmp, &ctx->store->logs) {
			g = container_of(l, struct fake_log, link);
			if (strncmp(g->name, prefix, strlen(prefix)) != 0)
				continue;
			for (i = 0; i < g->n_rows; i++) {
				if (g->rows[i].order < below &&
				    (best == NULL ||
				    g->rows[i].order > best->order) &&
				    strcasestr(g->rows[i].text, needle)) {
					best = &g->rows[i];
					best_log = g;
				}
			}
		}
		if (best != NULL && s->n < max) {
			below = best->order;
			scan_add(s, best, best_log->name);
		}
	} while (best != NULL && s->n < max);
	return (fake_later(ctx->f, scan_done, s));
}

void
fake_store_table(struct chela_host *h)
{
	h->kv_get = host_kv_get;
	h->kv_each = host_kv_each;
	h->kv_put = host_kv_put;
	h->kv_del = host_kv_del;
	h->log_append = host_log_append;
	h->log_read = host_log_read;
	h->log_trim = host_log_trim;
	h->log_find = host_log_find;
}

char *
fake_kv(struct fake *f, const char *plugin, const char *key)
{
	struct fake_kv	*kv;

	kv = kv_find(fake_store_get(f, plugin), key);
	if (kv == NULL)
		return (NULL);
	return (strdup(json_object_to_json_string_ext(kv->val,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)));
}

int
fake_kv_set(struct fake *f, const char *plugin, const char *key,
    const char *json)
{
	struct json_object	*val;

	val = json_tokener_parse(json);
	if (val == NULL)
		return (-EINVAL);
	kv_set(f, fake_store_get(f, plugin), key, val);
	return (0);
}

size_t
fake_log_len(struct fake *f, const char *plugin, const char *log)
{
	struct fake_log	*g;

	g = log_get(fake_store_get(f, plugin), log, false);
	return (g == NULL ? 0 : g->n_rows);
}

void
fake_fail_writes(struct fake *f, unsigned n, int r)
{
	f->n_fail = n;
	f->fail_r = r;
}
