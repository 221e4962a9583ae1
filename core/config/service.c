/* SPDX-License-Identifier: MIT */
/* "core.config/1": what plugins may do with the configuration file. */
#include "core/config/live_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/config/redact.h"
#include "core/json/json.h"

#define SUBSCRIBERS_MAX	16
#define RESTART_MS_DEFAULT 2000
#define RESTART_MS_MAX	60000

struct subscriber {
	void	(*cb)(const struct chela_config_change *change, void *arg);
	void	*arg;
};

/* A vtable of functions without a context serves one daemon. */
static struct conf_live		*the_live;
static struct subscriber	 subscribers[SUBSCRIBERS_MAX];

static int
add_redacted(struct json_object *o, const char *name, struct json_object *doc)
{
	struct json_object	*copy = NULL;
	int			 r;

	r = conf_redact(the_live->schema, doc, &copy);
	return (r < 0 ? r : json_add(o, name, copy));
}

/* The text of the file, redacted, or null where it is not JSON5 at all. */
static int
add_raw(struct json_object *o)
{
	struct conf_live	*live = the_live;
	struct buf		 b = BUF_INIT;
	int			 r;

	if (live->disk.text == NULL)
		return (json_add_null(o, "raw"));
	r = conf_redact_text(live->schema, live->disk.text, live->disk.len, &b);
	if (r == 0)
		r = json_add(o, "raw", json_object_new_string_len(b.len == 0 ?
		    "" : b.data, (int)b.len));
	else if (r != -ENOMEM)
		r = json_add_null(o, "raw");
	buf_fini(&b);
	return (r);
}

static int
add_parsed(struct json_object *o)
{
	struct conf_live	*live = the_live;
	struct json_object	*doc = NULL;
	int			 r = 0;

	if (live->disk_issues.n == 0)
		return (add_redacted(o, "parsed", live->current->parsed));
	if (live->disk.text != NULL)
		r = conf_text_parse(live->disk.text, live->disk.len, &doc,
		    NULL);
	if (r == -ENOMEM)
		return (r);
	if (doc == NULL)
		return (json_add(o, "parsed", json_object_new_object()));
	r = add_redacted(o, "parsed", doc);
	json_object_put(doc);
	return (r);
}

static int
config_snapshot(struct json_object **ret_snapshot)
{
	struct conf_live	*live = the_live;
	struct json_object	*o = json_object_new_object();
	const struct conf	*c = live->current;

	if (o == NULL)
		return (-ENOMEM);
	if (json_add_str(o, "path", live->path) < 0 ||
	    json_add_bool(o, "exists", live->disk.text != NULL) < 0 ||
	    add_raw(o) < 0 || add_parsed(o) < 0 ||
	    json_add_bool(o, "valid", live->disk_issues.n == 0) < 0 ||
	    add_redacted(o, "config", c->config) < 0 ||
	    add_redacted(o, "resolved", c->resolved) < 0 ||
	    json_add(o, "sourceConfig", json_object_get(json_get(o,
	    "resolved"))) < 0 ||
	    json_add(o, "runtimeConfig", json_object_get(json_get(o,
	    "config"))) < 0 ||
	    (live->disk_error == 0 &&
	    json_add_str(o, "hash", live->disk_hash) < 0) ||
	    json_add(o, "issues", conf_issues_json(&live->disk_issues)) < 0 ||
	    json_add(o, "warnings", conf_issues_json(&c->warnings)) < 0 ||
	    json_add(o, "legacyIssues", json_object_new_array()) < 0 ||
	    json_add(o, "includedPaths", json_object_new_array()) < 0 ||
	    json_add_str(o, "configRevisionHash", c->revision) < 0 ||
	    json_add_str(o, "appliedConfigHash", live->applied) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	*ret_snapshot = o;
	return (0);
}

static char *
copy_text(const char *s, bool *is_bad)
{
	char	*copy;

	if (s == NULL)
		return (NULL);
	copy = strdup(s);
	if (copy == NULL)
		*is_bad = true;
	return (copy);
}

static int
config_write(const struct chela_config_write *w,
    void (*done)(const struct chela_config_outcome *outcome, void *arg),
    void *arg)
{
	struct conf_op	*op;
	bool		 is_bad = false;

	if (w->kind < CHELA_CONFIG_SET || w->kind > CHELA_CONFIG_APPLY ||
	    w->raw == NULL)
		return (-EINVAL);
	if (w->raw_len > CONF_TEXT_MAX)
		return (-E2BIG);
	op = conf_op_new(the_live, (enum conf_op_kind)w->kind);
	if (op == NULL)
		return (-ENOMEM);
	op->raw = malloc(w->raw_len + 1);
	if (op->raw == NULL) {
		(void)conf_op_free(op);
		return (-ENOMEM);
	}
	memcpy(op->raw, w->raw, w->raw_len);
	op->raw[w->raw_len] = '\0';
	op->raw_len = w->raw_len;
	op->base_hash = copy_text(w->base_hash, &is_bad);
	op->session_key = copy_text(w->session_key, &is_bad);
	op->note = copy_text(w->note, &is_bad);
	op->replace_paths = json_object_get(w->replace_paths);
	op->delivery_context = json_object_get(w->delivery_context);
	op->restart_delay_ms = w->restart_delay_ms == 0 ? RESTART_MS_DEFAULT :
	    MIN_OF(w->restart_delay_ms, (uint64_t)RESTART_MS_MAX);
	op->done = done;
	op->arg = arg;
	if (is_bad) {
		(void)conf_op_free(op);
		return (-ENOMEM);
	}
	return (conf_op_start(op));
}

static uint32_t
config_reload_kind(const char *path)
{
	return ((uint32_t)conf_reload_kind(the_live->schema, path));
}

static int
config_subscribe(void (*cb)(const struct chela_config_change *change,
    void *arg), void *arg)
{
	size_t	 i;

	for (i = 0; i < SUBSCRIBERS_MAX; i++) {
		if (subscribers[i].cb == NULL) {
			subscribers[i] = (struct subscriber){ cb, arg };
			return (0);
		}
	}
	return (-ENOSPC);
}

static void
config_unsubscribe(void (*cb)(const struct chela_config_change *change,
    void *arg), void *arg)
{
	size_t	 i;

	for (i = 0; i < SUBSCRIBERS_MAX; i++) {
		if (subscribers[i].cb == cb && subscribers[i].arg == arg)
			subscribers[i] = (struct subscriber){ NULL, NULL };
	}
}

static const char *
config_reload_status(void)
{
	if (the_live->disk_error != 0)
		return ("unreadable");
	if (the_live->disk_issues.n > 0)
		return ("invalid");
	if (the_live->is_restart_due)
		return ("restart-pending");
	return ("ok");
}

static int
config_schema(struct json_object **ret_schema)
{
	return (conf_describe(the_live->schema, the_live->version, ret_schema));
}

static int
config_lookup(const char *path, struct json_object **ret_node)
{
	return (conf_describe_path(the_live->schema, path, ret_node));
}

static void
service_on_change(const struct conf_change *change, void *arg)
{
	struct conf_live		*live = arg;
	struct chela_config_change	 c = {
		.struct_size = sizeof c,
		.kind = (uint32_t)change->kind,
		.path = live->path,
		.hash = live->disk_hash,
		.ts_ms = clock_wall_ms(),
	};
	struct subscriber		 all[SUBSCRIBERS_MAX];
	const char			**paths;
	size_t				 i;

	paths = calloc(change->n_deltas + 1, sizeof *paths);
	for (i = 0; paths != NULL && i < change->n_deltas; i++)
		paths[i] = change->deltas[i].path;
	c.changed = paths;
	c.n_changed = paths == NULL ? 0 : change->n_deltas;
	memcpy(all, subscribers, sizeof all);
	for (i = 0; i < SUBSCRIBERS_MAX; i++) {
		if (all[i].cb != NULL && all[i].cb == subscribers[i].cb &&
		    all[i].arg == subscribers[i].arg)
			all[i].cb(&c, all[i].arg);
	}
	free(paths);
}

void
conf_service_forget(struct conf_live *live)
{
	if (the_live == live)
		the_live = NULL;
}

const struct chela_config_1 *
conf_live_service(struct conf_live *live)
{
	static const struct chela_config_1 table = {
		.struct_size = sizeof table,
		.snapshot = config_snapshot,
		.write = config_write,
		.schema = config_schema,
		.lookup = config_lookup,
		.reload_kind = config_reload_kind,
		.subscribe = config_subscribe,
		.unsubscribe = config_unsubscribe,
		.reload_status = config_reload_status,
	};

	if (the_live != live) {
		memset(subscribers, 0, sizeof subscribers);
		the_live = live;
		if (live != NULL &&
		    conf_live_on_change(live, service_on_change, live) < 0)
			return (NULL);
	}
	return (&table);
}
