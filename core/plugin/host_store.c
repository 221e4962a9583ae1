/* SPDX-License-Identifier: MIT */
/* The host table: tables and logs under the plugin's own name. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/loop.h"
#include "core/json/json.h"
#include "core/plugin/host_priv.h"
#include "core/store/store.h"

/* Who waits for the store; dropped when the plugin was stopped since. */
struct waiter {
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	size_t			 len;		/* of a write, with QUOTA_WRITES */
	bool			 is_write;
	void			*arg;
	chela_done_fn		*done;
	void			(*rows)(struct chela_ctx *ctx, int r,
				    const struct chela_row *rows, size_t n,
				    void *arg);
	void			(*found)(struct chela_ctx *ctx, int r,
				    const char *const *logs,
				    const struct chela_row *rows, size_t n,
				    void *arg);
};

_Static_assert(sizeof(struct chela_row) == sizeof(struct store_row) &&
    offsetof(struct chela_row, text) == offsetof(struct store_row, text) &&
    offsetof(struct chela_row, len) == offsetof(struct store_row, len),
    "rows are handed through");
_Static_assert(CHELA_READ_TAIL == STORE_READ_TAIL, "one set of bits");

static struct waiter *
waiter_new(struct chela_ctx *ctx, void *arg)
{
	struct waiter	*w;

	/* At the end the store goes before the plugins. */
	w = ctx->host->env.store == NULL ? NULL : calloc(1, sizeof *w);
	if (w != NULL) {
		w->ctx = ctx;
		w->generation = ctx->generation;
		w->arg = arg;
	}
	return (w);
}

static void
waiter_free(struct waiter *w)
{
	if (w->is_write) {
		quota_give(w->ctx, QUOTA_WRITES, 1);
		quota_give(w->ctx, QUOTA_WRITE_BYTES, w->len);
	}
	free(w);
}

static bool
waiter_is_live(const struct waiter *w)
{
	return (w->generation == w->ctx->generation);
}

static void
on_done(void *arg, int r, uint64_t rev)
{
	struct waiter	*w = arg;
	struct frame	 f;

	if (w->done != NULL && waiter_is_live(w)) {
		frame_enter(&f, w->ctx, "stored");
		w->done(w->ctx, r, rev, w->arg);
		(void)frame_leave(&f);
	}
	waiter_free(w);
}

static void
on_rows(void *arg, int r, const struct store_row *rows, size_t n)
{
	struct waiter	*w = arg;
	struct frame	 f;

	if (waiter_is_live(w)) {
		frame_enter(&f, w->ctx, "rows");
		w->rows(w->ctx, r, (const struct chela_row *)(const void *)rows,
		    n, w->arg);
		(void)frame_leave(&f);
	}
	free(w);
}

static void
on_found(void *arg, int r, const char *const *logs,
    const struct store_row *rows, size_t n)
{
	struct waiter	*w = arg;
	struct frame	 f;

	if (waiter_is_live(w)) {
		frame_enter(&f, w->ctx, "rows found");
		w->found(w->ctx, r, logs,
		    (const struct chela_row *)(const void *)rows, n, w->arg);
		(void)frame_leave(&f);
	}
	free(w);
}

static int
waiter_result(struct waiter *w, int r)
{
	if (r < 0)
		waiter_free(w);
	return (r);
}

/* A write of len bytes is the plugin's share of the queue until it is done. */
static int
waiter_take(struct waiter *w, size_t len)
{
	int	 r;

	r = quota_take(w->ctx, QUOTA_WRITES, 1);
	if (r < 0)
		return (r);
	r = quota_take(w->ctx, QUOTA_WRITE_BYTES, len);
	if (r < 0) {
		quota_give(w->ctx, QUOTA_WRITES, 1);
		return (r);
	}
	w->is_write = true;
	w->len = len;
	return (0);
}

/* A table or a log that is full is counted as well. */
static int
waiter_stored(struct waiter *w, int r)
{
	if (r == -EDQUOT && w->is_write)
		quota_dropped(w->ctx, "its part of the store is full");
	return (waiter_result(w, r));
}

static int
host_kv_get(struct chela_ctx *ctx, const char *key,
    struct json_object **ret_val, uint64_t *ret_rev)
{
	const char	*text;
	size_t		 len;
	uint64_t	 rev;
	int		 r;

	if (ctx->host->env.store == NULL)
		return (-ESHUTDOWN);
	r = store_get(ctx->host->env.store, ctx->name, key, &text, &len, &rev);
	if (r < 0)
		return (r);
	r = json_parse(text, len, ret_val);
	if (r == 0 && ret_rev != NULL)
		*ret_rev = rev;
	return (r);
}

struct each {
	int	(*cb)(const char *key, struct json_object *val, uint64_t rev,
		    void *arg);
	void	*arg;
};

static int
on_each(void *arg, const char *key, const char *text, size_t len, uint64_t rev)
{
	struct each		*e = arg;
	struct json_object	*val;
	int			 r;

	r = json_parse(text, len, &val);
	if (r < 0)
		return (r);
	r = e->cb(key, val, rev, e->arg);
	json_object_put(val);
	return (r);
}

static int
host_kv_each(struct chela_ctx *ctx, const char *prefix,
    int (*cb)(const char *key, struct json_object *val, uint64_t rev,
    void *arg), void *arg)
{
	struct each	 e = { cb, arg };

	if (ctx->host->env.store == NULL)
		return (-ESHUTDOWN);
	return (store_each(ctx->host->env.store, ctx->name, prefix, on_each,
	    &e));
}

/* The text of a value that is to be stored. Takes val. */
static int
value_text(struct json_object *val, struct buf *out)
{
	int	 r;

	r = json_write(out, val);
	json_object_put(val);
	return (r);
}

static int
host_kv_put(struct chela_ctx *ctx, const char *key, struct json_object *val,
    uint64_t expect_rev, chela_done_fn *done, void *arg)
{
	struct buf	 b = BUF_INIT;
	struct waiter	*w;
	int		 r;

	w = waiter_new(ctx, arg);
	if (w == NULL) {
		json_object_put(val);
		return (-ENOMEM);
	}
	w->done = done;
	r = value_text(val, &b);
	if (r == 0)
		r = waiter_take(w, b.len);
	if (r == 0)
		r = store_put(ctx->host->env.store, ctx->name, key, b.data,
		    b.len, expect_rev, on_done, w);
	buf_fini(&b);
	return (waiter_stored(w, r));
}

static int
host_kv_del(struct chela_ctx *ctx, const char *key, uint64_t expect_rev,
    chela_done_fn *done, void *arg)
{
	struct waiter	*w;
	int		 r;

	w = waiter_new(ctx, arg);
	if (w == NULL)
		return (-ENOMEM);
	w->done = done;
	r = waiter_take(w, 0);
	if (r == 0)
		r = store_del(ctx->host->env.store, ctx->name, key, expect_rev,
		    on_done, w);
	return (waiter_result(w, r));
}

static int
host_log_append(struct chela_ctx *ctx, const char *log, struct json_object *row,
    chela_done_fn *done, void *arg)
{
	struct buf	 b = BUF_INIT;
	struct waiter	*w;
	int		 r;

	w = waiter_new(ctx, arg);
	if (w == NULL) {
		json_object_put(row);
		return (-ENOMEM);
	}
	w->done = done;
	r = value_text(row, &b);
	if (r == 0)
		r = waiter_take(w, b.len);
	if (r == 0)
		r = store_append(ctx->host->env.store, ctx->name, log, b.data,
		    b.len, NULL, on_done, w);
	buf_fini(&b);
	return (waiter_stored(w, r));
}

static int
host_log_read(struct chela_ctx *ctx, const char *log, uint64_t from,
    uint32_t max, size_t max_bytes, uint32_t flags,
    void (*done)(struct chela_ctx *ctx, int r, const struct chela_row *rows,
    size_t n, void *arg), void *arg)
{
	struct waiter	*w;

	w = waiter_new(ctx, arg);
	if (w == NULL)
		return (-ENOMEM);
	w->rows = done;
	return (waiter_result(w, store_read(ctx->host->env.store, ctx->name,
	    log, from, max, max_bytes, flags, on_rows, w)));
}

static int
host_log_trim(struct chela_ctx *ctx, const char *log, uint64_t before,
    chela_done_fn *done, void *arg)
{
	struct waiter	*w;
	int		 r;

	w = waiter_new(ctx, arg);
	if (w == NULL)
		return (-ENOMEM);
	w->done = done;
	r = waiter_take(w, 0);
	if (r == 0)
		r = store_trim(ctx->host->env.store, ctx->name, log, before,
		    on_done, w);
	return (waiter_result(w, r));
}

static int
host_log_find(struct chela_ctx *ctx, const char *prefix, const char *needle,
    uint32_t max, void (*done)(struct chela_ctx *ctx, int r,
    const char *const *logs, const struct chela_row *rows, size_t n,
    void *arg), void *arg)
{
	struct waiter	*w;

	w = waiter_new(ctx, arg);
	if (w == NULL)
		return (-ENOMEM);
	w->found = done;
	return (waiter_result(w, store_find(ctx->host->env.store, ctx->name,
	    prefix, needle, max, on_found, w)));
}

void
host_fill_store(struct chela_host *t)
{
	t->kv_get = host_kv_get;
	t->kv_each = host_kv_each;
	t->kv_put = host_kv_put;
	t->kv_del = host_kv_del;
	t->log_append = host_log_append;
	t->log_read = host_log_read;
	t->log_trim = host_log_trim;
	t->log_find = host_log_find;
}
