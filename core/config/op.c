/* SPDX-License-Identifier: MIT */
/*
 * Operations on the file: a worker reads it, the loop decides, a worker writes
 * it. Between reading and writing the file is compared once more, so that an
 * editor who saves at the same time loses nothing.
 */
#include "core/config/live_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/config/redact.h"
#include "core/json/json.h"

#define SENTINEL_FILE	"restart-sentinel.json"

static const char stale_text[] =
    "config changed since last load; re-run config.get and retry";

static void	 op_next(struct conf_live *live);

struct conf_op *
conf_op_new(struct conf_live *live, enum conf_op_kind kind)
{
	struct conf_op	*op;

	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (NULL);
	list_init(&op->link);
	op->live = conf_live_ref(live);
	op->kind = kind;
	op->path = strdup(live->path);
	op->state_dir = strdup(live->state_dir);
	if (op->path == NULL || op->state_dir == NULL)
		return (conf_op_free(op));
	return (op);
}

static void
text_wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

struct conf_op *
conf_op_free(struct conf_op *op)
{
	if (op == NULL)
		return (NULL);
	if (!list_is_empty(&op->link)) {
		list_remove(&op->link);
		op->live->n_ops--;
	}
	text_wipe(op->raw);
	free(op->base_hash);
	free(op->session_key);
	free(op->note);
	json_object_put(op->replace_paths);
	json_object_put(op->delivery_context);
	free(op->path);
	free(op->state_dir);
	conf_text_fini(&op->base);
	conf_issues_fini(&op->issues);
	buf_wipe(&op->text);
	buf_wipe(&op->sentinel);
	(void)conf_unref(op->next);
	json_object_put(op->changed);
	(void)conf_live_unref(op->live);
	free(op);
	return (NULL);
}

/* Tells the caller, forgets the operation, goes on with the next. */
static void
op_end(struct conf_op *op, int r, const char *message,
    struct json_object *details, struct json_object *result)
{
	struct conf_live		*live = op->live;
	struct chela_config_outcome	 outcome = {
		.struct_size = sizeof outcome, .r = r, .message = message,
		.details = details, .result = result };

	if (op->done != NULL && !live->is_closed)
		op->done(&outcome, op->arg);
	json_object_put(details);
	json_object_put(result);
	(void)conf_live_ref(live);
	(void)conf_op_free(op);
	live->is_busy = false;
	op_next(live);
	(void)conf_live_unref(live);
}

struct json_object *
conf_issues_json(const struct conf_issues *is)
{
	struct json_object	*list = json_object_new_array(), *o;
	size_t			 i;

	for (i = 0; list != NULL && i < is->n; i++) {
		o = json_object_new_object();
		if (json_add_str(o, "path", is->items[i].path) < 0 ||
		    json_add_str(o, "message", is->items[i].message) < 0 ||
		    json_push(list, o) < 0) {
			json_object_put(list);
			return (NULL);
		}
	}
	return (list);
}

static void
op_refuse(struct conf_op *op, int r, const struct conf_issues *issues,
    const char *why)
{
	struct json_object	*details = NULL;
	char			 message[2 * CONF_WHY_MAX];

	if (issues->n > 0) {
		details = json_object_new_object();
		if (details != NULL)
			(void)json_add(details, "issues",
			    conf_issues_json(issues));
	}
	if (*why != '\0')
		(void)snprintf(message, sizeof message, "%s", why);
	else if (issues->n > 0 && *issues->items[0].path != '\0')
		(void)snprintf(message, sizeof message,
		    "invalid config: %s: %s", issues->items[0].path,
		    issues->items[0].message);
	else if (issues->n > 0)
		(void)snprintf(message, sizeof message, "invalid config: %s",
		    issues->items[0].message);
	else
		(void)snprintf(message, sizeof message,
		    "config could not be changed");
	op_end(op, r, message, details, NULL);
}

/* What a client may know of a disk that did not do. */
static const char *
disk_text(int r)
{
	switch (r) {
	case -ENOSPC:
	case -EDQUOT:
		return ("config not written: the disk is full");
	case -EFBIG:
		return ("config not written: a size limit of the system is reached");
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return ("config not written: the gateway may not write there");
	case -ENOMEM:
		return ("config not written: no memory");
	default:
		return ("config not written: the disk gave an error");
	}
}

static int
rotate(const char *path, const struct conf_text *base)
{
	char	*from = NULL, *to = NULL, *fresh = NULL;
	int	 i, r = -ENOMEM;

	/* The copy first: a full disk must not cost an old one. */
	if (asprintf(&fresh, "%s.bak.new", path) < 0)
		return (-ENOMEM);
	r = file_write_atomic(fresh, base->text, base->len, 0600);
	for (i = CONF_BACKUPS; r == 0 && i > 0; i--) {
		if (asprintf(&to, "%s.bak.%d", path, i) < 0 ||
		    (i > 1 ? asprintf(&from, "%s.bak.%d", path, i - 1) :
		    asprintf(&from, "%s.bak", path)) < 0) {
			r = -ENOMEM;
			break;
		}
		if (rename(from, to) < 0 && errno != ENOENT)
			r = -errno;
		free(from);
		free(to);
	}
	if (r == 0 && asprintf(&to, "%s.bak", path) >= 0) {
		if (rename(fresh, to) < 0)
			r = -errno;
		free(to);
	}
	if (r < 0)
		(void)unlink(fresh);
	free(fresh);
	return (r);
}

static int
write_beside(const char *path, const char *suffix, const void *p, size_t len)
{
	char	*other;
	int	 r;

	if (asprintf(&other, "%s%s", path, suffix) < 0)
		return (-ENOMEM);
	r = file_write_atomic(other, p, len, 0600);
	free(other);
	return (r);
}

static int
make_folder(const char *path)
{
	char	*dir, *slash;
	int	 r = 0;

	dir = strdup(path);
	if (dir == NULL)
		return (-ENOMEM);
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		r = file_mkdirs(dir, 0700);
	}
	free(dir);
	return (r);
}

static bool
text_is_same(const struct conf_text *a, const struct conf_text *b)
{
	return ((a->text == NULL) == (b->text == NULL) && a->len == b->len &&
	    (a->len == 0 || memcmp(a->text, b->text, a->len) == 0));
}

/* Worker: everything that a write does to the disk. */
static int
write_file(struct conf_op *op)
{
	struct conf_text	 now;
	char			*real;
	int			 r;

	r = conf_read(op->path, &now, NULL);
	if (r < 0)
		return (r);
	if (!text_is_same(&now, &op->base))
		r = -ESTALE;
	conf_text_fini(&now);
	if (r < 0)
		return (r);
	/* Where the path is a link, its target is the file. */
	real = realpath(op->path, NULL);
	if (real == NULL) {
		r = make_folder(op->path);
		real = strdup(op->path);
	}
	if (r == 0 && real == NULL)
		r = -ENOMEM;
	if (r == 0 && op->base.text != NULL)
		r = rotate(real, &op->base);
	if (r == 0)
		r = file_write_atomic(real, op->text.data, op->text.len, 0600);
	if (r == 0)
		(void)!write_beside(real, ".last-good", op->text.data,
		    op->text.len);
	free(real);
	return (r);
}

static void
work_write(void *arg)
{
	struct conf_op	*op = arg;
	char		*path;

	op->r = write_file(op);
	if (op->r < 0 || op->sentinel.len == 0)
		return;
	path = file_join(op->state_dir, SENTINEL_FILE);
	if (path != NULL && file_write_atomic(path, op->sentinel.data,
	    op->sentinel.len, 0600) == 0)
		op->is_sentinel_kept = true;
	free(path);
}

/* Worker: a file that is in force is the last good one. */
static void
work_keep(void *arg)
{
	struct conf_op	*op = arg;
	char		*real;

	real = realpath(op->path, NULL);
	if (real != NULL && op->base.text != NULL)
		op->r = write_beside(real, ".last-good", op->base.text,
		    op->base.len);
	free(real);
}

static void
op_on_keep(void *arg)
{
	struct conf_op	*op = arg;

	op_end(op, 0, "", NULL, NULL);
}

static struct json_object *
sentinel_payload(struct conf_op *op)
{
	struct json_object	*p = json_object_new_object();
	struct json_object	*stats = json_object_new_object();

	if (p == NULL || stats == NULL)
		goto fail;
	if (json_add_str(p, "kind", op->kind == CONF_OP_PATCH ?
	    "config-patch" : "config-apply") < 0 ||
	    json_add_str(p, "status", "ok") < 0 ||
	    json_add_int(p, "ts", (int64_t)clock_wall_ms()) < 0)
		goto fail;
	if (op->session_key != NULL &&
	    json_add_str(p, "sessionKey", op->session_key) < 0)
		goto fail;
	if (op->delivery_context != NULL && json_add(p, "deliveryContext",
	    json_object_get(op->delivery_context)) < 0)
		goto fail;
	if (op->note != NULL ? json_add_str(p, "message", op->note) < 0 :
	    json_add_null(p, "message") < 0)
		goto fail;
	if (json_add_str(stats, "mode", op->kind == CONF_OP_PATCH ?
	    "config.patch" : "config.apply") < 0 ||
	    json_add_str(stats, "root", op->path) < 0 ||
	    json_add_bool(stats, "requiresRestart", op->change_kind ==
	    CONF_RELOAD_RESTART) < 0)
		goto fail;
	if (json_add(p, "stats", stats) < 0) {
		json_object_put(p);
		return (NULL);
	}
	return (p);
fail:
	json_object_put(p);
	json_object_put(stats);
	return (NULL);
}

static int
sentinel_write(struct conf_op *op)
{
	struct json_object	*o = json_object_new_object();
	int			 r;

	if (o == NULL)
		return (-ENOMEM);
	r = json_add_int(o, "version", 1);
	if (r == 0)
		r = json_add(o, "payload", sentinel_payload(op));
	if (r == 0)
		r = json_write(&op->sentinel, o);
	json_object_put(o);
	return (r);
}

/* The restart that a patch or apply asked for. */
static struct json_object *
op_restart(struct conf_op *op)
{
	struct conf_live	*live = op->live;
	struct json_object	*o = json_object_new_object();
	bool			 is_coming;

	if (o == NULL)
		return (NULL);
	is_coming = live->restart != NULL && strcmp(conf_get_str(live->current,
	    "gateway.reload.mode", "hybrid"), "hot") != 0 &&
	    live->restart(op->restart_delay_ms, live->restart_arg);
	if (json_add_bool(o, "ok", is_coming) < 0 ||
	    json_add_bool(o, "required", true) < 0 ||
	    json_add_int(o, "delayMs", (int64_t)op->restart_delay_ms) < 0 ||
	    json_add_str(o, "reason", is_coming ? (op->kind == CONF_OP_PATCH ?
	    "config.patch" : "config.apply") :
	    "restart the gateway's service to put the change in force") < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

static int
op_result_more(struct conf_op *op, struct json_object *o, bool is_noop)
{
	struct json_object	*s;
	int			 r;

	r = json_add(o, "changedPaths", op->changed == NULL ?
	    json_object_new_array() : json_object_get(op->changed));
	if (r < 0 || is_noop)
		return (r < 0 ? r : json_add_bool(o, "noop", true));
	if (op->change_kind == CONF_RELOAD_RESTART) {
		r = json_add(o, "restart", op_restart(op));
		if (r < 0)
			return (r);
	}
	s = json_object_new_object();
	if (s == NULL)
		return (-ENOMEM);
	if (json_add_bool(s, "persisted", op->is_sentinel_kept) < 0 ||
	    json_add(s, "payload", sentinel_payload(op)) < 0) {
		json_object_put(s);
		return (-ENOMEM);
	}
	return (json_add(o, "sentinel", s));
}

static void
op_succeed(struct conf_op *op, bool is_noop)
{
	struct conf_live	*live = op->live;
	struct json_object	*o, *config = NULL;
	int			 r;

	o = json_object_new_object();
	r = o == NULL ? -ENOMEM : json_add_bool(o, "ok", true);
	if (r == 0)
		r = json_add_str(o, "path", live->path);
	if (r == 0)
		r = conf_redact(live->schema, live->current->parsed, &config);
	if (r == 0)
		r = json_add(o, "config", config);
	if (r == 0)
		r = json_add_str(o, "hash", live->disk_hash);
	if (r == 0 && op->kind != CONF_OP_SET)
		r = op_result_more(op, o, is_noop);
	if (r < 0) {
		json_object_put(o);
		op_end(op, r, "config written; no memory for the answer", NULL,
		    NULL);
		return;
	}
	op_end(op, 0, "", NULL, o);
}

static void
op_on_written(void *arg)
{
	struct conf_op		*op = arg;
	struct conf_live	*live = op->live;
	struct conf_text	 text;
	struct conf		*next;

	if (!live->is_closed && op->r < 0)
		conf_live_unask(live);
	if (live->is_closed || op->r < 0) {
		if (op->r == -ESTALE)
			op_end(op, -ESTALE, stale_text, NULL, NULL);
		else
			op_end(op, op->r, disk_text(op->r), NULL, NULL);
		return;
	}
	text.len = op->text.len;
	text.is_open = false;
	text.text = buf_take(&op->text, NULL);
	if (text.text == NULL)
		text.len = 0;
	(void)conf_live_set_disk(live, &text);
	conf_issues_fini(&live->disk_issues);
	conf_live_watch(live);
	next = op->next;
	op->next = NULL;
	conf_live_install(live, next);
	op_succeed(op, false);
}

static void
op_write(struct conf_op *op)
{
	struct conf_issues	 issues = CONF_ISSUES_INIT;
	char			 why[CONF_WHY_MAX] = "";
	int			 r;

	r = conf_op_decide(op, &issues, why);
	if (r == 0 && op->kind != CONF_OP_SET &&
	    op->change_kind == CONF_RELOAD_RESTART)
		r = sentinel_write(op);
	if (r == 1)
		op_succeed(op, true);
	else if (r < 0)
		op_refuse(op, r, &issues, why);
	else if (loop_work(op->live->loop, work_write, op_on_written, op) < 0) {
		conf_live_unask(op->live);
		op_end(op, -EAGAIN, "config not written: too much to do", NULL,
		    NULL);
	}
	conf_issues_fini(&issues);
}

static void
op_on_read(void *arg)
{
	struct conf_op		*op = arg;
	struct conf_live	*live = op->live;
	struct conf_text	 copy = { .len = op->base.len,
		.is_open = op->base.is_open };
	bool			 is_new;

	if (live->is_closed) {
		op_end(op, -ECANCELED, "", NULL, NULL);
		return;
	}
	conf_live_watch(live);
	if (op->r < 0) {
		if (live->disk_error != op->r && op->issues.n > 0)
			log_warn("config", "%s: %s (the last good one stays)",
			    live->path, op->issues.items[0].message);
		live->disk_error = op->r;
		conf_issues_fini(&live->disk_issues);
		live->disk_issues = op->issues;
		op->issues = (struct conf_issues)CONF_ISSUES_INIT;
		op_end(op, op->r, "config base hash unavailable; "
		    "re-run config.get and retry", NULL, NULL);
		return;
	}
	if (op->base.text != NULL) {
		copy.text = malloc(op->base.len + 1);
		if (copy.text == NULL) {
			op_end(op, -ENOMEM, disk_text(-ENOMEM), NULL, NULL);
			return;
		}
		memcpy(copy.text, op->base.text, op->base.len + 1);
	}
	is_new = conf_live_adopt(live, &copy);
	if (op->kind != CONF_OP_RELOAD)
		op_write(op);
	else if (!is_new || op->base.text == NULL ||
	    loop_work(live->loop, work_keep, op_on_keep, op) < 0)
		op_end(op, 0, "", NULL, NULL);
}

static void
work_read(void *arg)
{
	struct conf_op	*op = arg;

	op->r = conf_read(op->path, &op->base, &op->issues);
}

static void
op_next(struct conf_live *live)
{
	struct conf_op	*op;

	if (live->is_busy || live->is_closed)
		return;
	op = list_first(&live->ops, struct conf_op, link);
	if (op == NULL)
		return;
	live->is_busy = true;
	if (loop_work(live->loop, work_read, op_on_read, op) < 0)
		op_end(op, -EAGAIN, "config not read: too much to do", NULL,
		    NULL);
}

static void
op_on_start(void *arg)
{
	struct conf_live	*live = arg;

	op_next(live);
	(void)conf_live_unref(live);
}

int
conf_op_start(struct conf_op *op)
{
	struct conf_live	*live = op->live;

	if (live->n_ops >= CONF_WRITES_MAX) {
		(void)conf_op_free(op);
		return (-EAGAIN);
	}
	/* Deferred: done() must not come before write() has returned. */
	if (loop_defer(live->loop, op_on_start, conf_live_ref(live)) < 0) {
		(void)conf_live_unref(live);
		(void)conf_op_free(op);
		return (-ENOMEM);
	}
	list_append(&live->ops, &op->link);
	live->n_ops++;
	return (0);
}
