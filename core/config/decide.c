/* SPDX-License-Identifier: MIT */
/* What a set, patch or apply makes of the file. No I/O. */
#include "core/config/live_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/config/json5.h"
#include "core/config/merge.h"
#include "core/config/redact.h"
#include "core/json/json.h"

#define DROP_LEAVES_MIN	8	/* a smaller file may be replaced by anything */

static int printf_like(2, 3)
refuse(char *why, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, CONF_WHY_MAX, fmt, ap);
	va_end(ap);
	return (-EINVAL);
}

/* The text of the request, which may hold any JSON value. */
static int
parse_raw(struct conf_op *op, struct json_object **ret_doc, char *why)
{
	struct buf		 strict = BUF_INIT;
	struct json5_error	 error;
	struct scan_limits	 lim = { JSON5_DEPTH_MAX, MIB(64), false };
	struct scan_result	 res;
	int			 r;

	r = json5_to_json(op->raw, op->raw_len, &strict, &error);
	if (r == -EINVAL || r == -E2BIG) {
		buf_fini(&strict);
		return (refuse(why, "SyntaxError: JSON5: %s at %u:%u",
		    error.why, error.line, error.col));
	}
	if (r == 0)
		r = json_parse_scanned(strict.data, strict.len, &lim, &res,
		    ret_doc);
	buf_fini(&strict);
	if (r == -EBADMSG)
		return (refuse(why, "SyntaxError: JSON5: %s",
		    scan_err_text(res.err)));
	return (r);
}

static int
need_object(struct conf_op *op, struct json_object *doc, char *why)
{
	static const char *const names[] = { [CONF_OP_SET] = "config.set",
		[CONF_OP_PATCH] = "config.patch",
		[CONF_OP_APPLY] = "config.apply" };

	if (json_object_is_type(doc, json_type_object))
		return (0);
	return (refuse(why, "%s raw must be an object", names[op->kind]));
}

/* Choices of a console's user: the last one to write wins, without a hash. */
static bool
is_prefs_only(struct json_object *patch)
{
	struct json_object	*ui = json_get_obj(patch, "ui");

	return (json_object_object_length(patch) == 1 && ui != NULL &&
	    json_object_object_length(ui) == 1 &&
	    json_get_obj(ui, "prefs") != NULL);
}

static int
check_hash(struct conf_op *op, char *why)
{
	struct conf_live	*live = op->live;

	if (live->disk_hash[0] == '\0')
		return (refuse(why, "config base hash unavailable; "
		    "re-run config.get and retry"));
	if (op->base_hash == NULL)
		return (refuse(why, "config base hash required; "
		    "re-run config.get and retry"));
	if (strcmp(op->base_hash, live->disk_hash) != 0) {
		(void)refuse(why, "config changed since last load; "
		    "re-run config.get and retry");
		return (-ESTALE);
	}
	return (0);
}

/* What is stored, secrets and all: the file, or if that cannot be read as JSON5
 * what is in force. Gives. */
static int
stored_doc(struct conf_live *live, struct json_object **ret_doc)
{
	int	 r;

	if (live->disk.text != NULL && live->disk_issues.n > 0) {
		r = conf_text_parse(live->disk.text, live->disk.len, ret_doc,
		    NULL);
		if (r == 0 || r == -ENOMEM)
			return (r);
	}
	*ret_doc = json_object_get(live->current->parsed);
	return (0);
}

static int
stamp(struct conf_op *op, struct json_object *doc)
{
	struct json_object	*meta = json_get_obj(doc, "meta");
	char			 text[32];
	time_t			 now = (time_t)(clock_wall_ms() / 1000);
	struct tm		 tm;
	int			 r;

	if (meta == NULL) {
		meta = json_object_new_object();
		r = json_add(doc, "meta", meta);
		if (r < 0)
			return (r);
	}
	r = json_add_str(meta, "lastTouchedVersion", op->live->version);
	if (r < 0 || gmtime_r(&now, &tm) == NULL)
		return (r);
	(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return (json_add_str(meta, "lastTouchedAt", text));
}

static bool
may_replace(const char *path, void *arg)
{
	struct conf_op	*op = arg;
	size_t		 i, n;
	const char	*s;

	n = op->replace_paths == NULL ? 0 :
	    json_object_array_length(op->replace_paths);
	for (i = 0; i < n; i++) {
		s = json_object_get_string(json_object_array_get_idx(
		    op->replace_paths, i));
		if (s != NULL && strcmp(s, path) == 0)
			return (true);
	}
	return (false);
}

static int
refuse_lost(const struct conf_issues *lost, char *why)
{
	size_t	 i, len;

	len = (size_t)snprintf(why, CONF_WHY_MAX,
	    "config.patch would remove array entries at ");
	for (i = 0; i < lost->n && len < CONF_WHY_MAX; i++)
		len += (size_t)snprintf(why + len, CONF_WHY_MAX - len, "%s%s",
		    i == 0 ? "" : ", ", lost->items[i].path);
	if (len < CONF_WHY_MAX)
		(void)snprintf(why + len, CONF_WHY_MAX - len,
		    "; name the exact paths in replacePaths if that is meant, "
		    "or replace the whole file with config.apply");
	return (-EINVAL);
}

/* Gives what the file will say; 1: what it says now. */
static int
decide_patch(struct conf_op *op, struct json_object *patch,
    struct json_object *stored, struct json_object **ret_doc,
    struct conf_issues *issues, char *why)
{
	struct conf_issues	 lost = CONF_ISSUES_INIT;
	struct json_object	*doc = NULL;
	size_t			 i;
	int			 r;

	if (op->live->disk_issues.n > 0) {
		for (i = 0; i < op->live->disk_issues.n; i++)
			(void)conf_issues_add(issues,
			    op->live->disk_issues.items[i].path, 0, 0, "%s",
			    op->live->disk_issues.items[i].message);
		return (refuse(why, "invalid config; fix before patching"));
	}
	r = conf_restore(op->live->schema, patch, stored, issues);
	if (r < 0)
		return (r);
	r = json_copy(stored, &doc);
	if (r < 0)
		return (r);
	r = conf_merge(doc, patch, may_replace, op, &lost);
	if (r == -EPERM)
		r = refuse_lost(&lost, why);
	if (r == 0 && json_equal(doc, stored))
		r = 1;
	conf_issues_fini(&lost);
	if (r < 0) {
		json_object_put(doc);
		return (r);
	}
	*ret_doc = doc;
	return (r);
}

static int
decide_whole(struct conf_op *op, struct json_object *raw,
    struct json_object *stored, struct conf_issues *issues, char *why)
{
	size_t	 before, after;
	int	 r;

	r = conf_restore(op->live->schema, raw, stored, issues);
	if (r < 0 || op->kind != CONF_OP_SET)
		return (r);
	before = conf_leaves(stored);
	after = conf_leaves(raw);
	if (before >= DROP_LEAVES_MIN && after < before / 2)
		return (refuse(why, "config.set would drop most of the "
		    "configuration (%zu values of %zu stay); replace the whole "
		    "file with config.apply if that is meant", after, before));
	return (0);
}

/* The document as the file will have it, and the snapshot of that. */
static int
build_next(struct conf_op *op, struct json_object *doc,
    struct conf_issues *issues, char *why)
{
	struct conf_live	*live = op->live;
	const char		*s;
	size_t			 len;
	int			 r;

	r = stamp(op, doc);
	if (r < 0)
		return (r);
	s = json_object_to_json_string_length(doc, JSON_C_TO_STRING_PRETTY |
	    JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (s == NULL || buf_add(&op->text, s, len) < 0 ||
	    buf_putc(&op->text, '\n') < 0)
		return (-ENOMEM);
	if (op->text.len > CONF_TEXT_MAX)
		return (refuse(why, "config of more than %zu bytes",
		    (size_t)CONF_TEXT_MAX));
	r = conf_parse(live->path, op->text.data, op->text.len, live->schema,
	    live->key, &op->next, issues);
	if (r < 0)
		return (r);
	r = conf_live_ask(live, op->next, issues);
	if (r < 0)
		return (r);
	return (conf_changes(live->schema, live->current->config,
	    op->next->config, &op->changed, &op->change_kind));
}

int
conf_op_decide(struct conf_op *op, struct conf_issues *issues,
    char why[CONF_WHY_MAX])
{
	struct json_object	*raw = NULL, *stored = NULL, *doc = NULL;
	int			 r = 0;

	/* A patch is looked at first, as one kind of it needs no hash. */
	if (op->kind == CONF_OP_PATCH) {
		r = parse_raw(op, &raw, why);
		if (r == 0)
			r = need_object(op, raw, why);
		if (r < 0)
			goto out;
	}
	if (op->base_hash != NULL || op->kind != CONF_OP_PATCH ||
	    !is_prefs_only(raw))
		r = check_hash(op, why);
	if (r == 0 && op->kind != CONF_OP_PATCH) {
		r = parse_raw(op, &raw, why);
		if (r == 0)
			r = need_object(op, raw, why);
	}
	if (r == 0)
		r = stored_doc(op->live, &stored);
	if (r < 0)
		goto out;
	if (op->kind == CONF_OP_PATCH)
		r = decide_patch(op, raw, stored, &doc, issues, why);
	else {
		r = decide_whole(op, raw, stored, issues, why);
		doc = json_object_get(raw);
	}
	if (r == 0)
		r = build_next(op, doc, issues, why);
out:
	json_object_put(doc);
	json_object_put(stored);
	json_object_put(raw);
	return (r);
}
