/* SPDX-License-Identifier: MIT */
/*
 * The join of a plugin's table and its schema file. The file's text is kept; what
 * it says is compiled when a method is first called, so that a start pays for
 * reading alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/config/config.h"
#include "core/config/live.h"
#include "core/json/json.h"
#include "core/json/schema.h"
#include "core/plugin/host_priv.h"

/* "<dir of the object>/<name>.json", else "<schema dir>/<name>.json". */
static char *
schemas_find(const char *object, const char *name, const char *schema_dir)
{
	const char	*slash = strrchr(object, '/');
	char		*p = NULL;
	FILE		*f;

	if (slash != NULL && asprintf(&p, "%.*s/%s.json",
	    (int)(slash - object), object, name) > 0) {
		f = fopen(p, "re");
		if (f != NULL) {
			(void)fclose(f);
			return (p);
		}
	}
	free(p);
	if (schema_dir == NULL ||
	    asprintf(&p, "%s/%s.json", schema_dir, name) < 0)
		return (NULL);
	return (p);
}

static int
schema_parse(const char *text, size_t len, struct json_object **ret)
{
	static const struct scan_limits	 lim = {
		.depth_max = SCAN_DEPTH_CAP,
		.heap_max = SIZE_MAX,
	};

	return (json_parse_scanned(text, len, &lim, NULL, ret));
}

void
schema_file_fini(struct schema_file *f)
{
	free(f->path);
	free(f->text);
	json_object_put(f->doc);
	memset(f, 0, sizeof *f);
}

int
schema_file_read(struct schema_file *f, const char *object, const char *name,
    const char *schema_dir)
{
	memset(f, 0, sizeof *f);
	f->path = schemas_find(object, name, schema_dir);
	f->r = f->path == NULL ? -ENOMEM :
	    file_read(f->path, HOST_SCHEMA_MAX, &f->text, &f->len);
	if (f->r == 0)
		f->r = schema_parse(f->text, f->len, &f->doc);
	return (f->r);
}

static bool
table_has_method(const struct chela_ctx *ctx, const char *name)
{
	const char		*base = (const char *)ctx->desc->methods;
	const struct chela_method *m;
	uint32_t		 i;

	for (i = 0; i < ctx->desc->n_methods; i++) {
		m = (const void *)(base + (size_t)i * ctx->desc->method_size);
		if (strcmp(m->name, name) == 0)
			return (true);
	}
	return (false);
}

static bool
table_has_event(const struct chela_ctx *ctx, const char *name)
{
	const char		*base = (const char *)ctx->desc->events;
	const struct chela_event *e;
	uint32_t		 i;

	for (i = 0; i < ctx->desc->n_events; i++) {
		e = (const void *)(base + (size_t)i * ctx->desc->event_size);
		if (strcmp(e->name, name) == 0)
			return (true);
	}
	return (false);
}

/* Every method and event of one side is on the other, and has what it needs. */
static int
schemas_join(const struct chela_ctx *ctx, struct json_object *doc,
    struct buf *why)
{
	struct json_object	*methods = json_get_obj(doc, "methods");
	struct json_object	*events = json_get_obj(doc, "events");
	const char		*base;
	const struct chela_method *m;
	const struct chela_event *e;
	uint32_t		 i;

	base = (const char *)ctx->desc->methods;
	for (i = 0; i < ctx->desc->n_methods; i++) {
		m = (const void *)(base + (size_t)i * ctx->desc->method_size);
		if (json_get_obj(json_get_obj(methods, m->name), "params") ==
		    NULL) {
			(void)buf_printf(why, "method '%s' has no params in %s",
			    m->name, ctx->schema_path);
			return (-EINVAL);
		}
	}
	base = (const char *)ctx->desc->events;
	for (i = 0; i < ctx->desc->n_events; i++) {
		e = (const void *)(base + (size_t)i * ctx->desc->event_size);
		if (!json_has(events, e->name)) {
			(void)buf_printf(why, "event '%s' is not in %s",
			    e->name, ctx->schema_path);
			return (-EINVAL);
		}
	}
	if (methods != NULL) {
		json_object_object_foreach(methods, name, v) {
			(void)v;
			if (!table_has_method(ctx, name)) {
				(void)buf_printf(why, "%s has method '%s', the "
				    "plugin's table has not", ctx->schema_path,
				    name);
				return (-EINVAL);
			}
		}
	}
	if (events != NULL) {
		json_object_object_foreach(events, name, v) {
			(void)v;
			if (!table_has_event(ctx, name)) {
				(void)buf_printf(why, "%s has event '%s', the "
				    "plugin's table has not", ctx->schema_path,
				    name);
				return (-EINVAL);
			}
		}
	}
	return (0);
}

int
schemas_document(const struct chela_ctx *ctx, struct json_object **ret)
{
	if (ctx->schema_text == NULL)
		return (-ENOENT);
	return (schema_parse(ctx->schema_text, ctx->schema_len, ret));
}

int
schemas_read(struct chela_ctx *ctx, struct buf *why)
{
	struct schema_file	 f;
	struct json_object	*doc, *part;
	int			 r;

	if (!prefetch_take(ctx->host, ctx->name, &f))
		(void)schema_file_read(&f, ctx->path, ctx->name,
		    ctx->host->env.schema_dir);
	ctx->schema_path = f.path;
	ctx->schema_text = f.text;
	ctx->schema_len = f.len;
	doc = f.doc;
	if (f.path == NULL)
		return (-ENOMEM);
	if (f.text == NULL) {
		(void)buf_printf(why, "no schema file: %s: %s", f.path,
		    strerror(-f.r));
		return (f.r);
	}
	if (f.r < 0) {
		(void)buf_printf(why, "%s is not valid JSON", f.path);
		return (f.r);
	}
	r = schemas_join(ctx, doc, why);
	part = json_get_obj(doc, "config");
	if (r == 0 && part != NULL && ctx->host->env.live != NULL) {
		r = conf_live_add_plugin(ctx->host->env.live, ctx->name,
		    json_object_get(part));
		if (r < 0)
			(void)buf_printf(why, "its configuration in %s is not a "
			    "schema", ctx->schema_path);
		ctx->host->is_conf_due = true;
	}
	json_object_put(doc);
	return (r);
}

int
schemas_compile(struct chela_ctx *ctx, struct method *m)
{
	struct json_object	*doc = NULL, *entry;
	struct buf		 pointer = BUF_INIT, why = BUF_INIT;
	size_t			 base;
	int			 r;

	r = schemas_document(ctx, &doc);
	if (r < 0)
		return (r);
	(void)buf_printf(&pointer, "/methods/%s", m->desc.name);
	base = pointer.len;
	(void)buf_puts(&pointer, "/params");
	(void)buf_putc(&pointer, '\0');
	if (pointer.is_failed)
		r = -ENOMEM;
	else
		r = schema_compile(doc, pointer.data, &m->params, &why);
	entry = json_get_obj(json_get_obj(doc, "methods"), m->desc.name);
	if (r == 0 && ctx->host->env.check_results && json_has(entry, "result")) {
		pointer.len = base;
		(void)buf_puts(&pointer, "/result");
		(void)buf_putc(&pointer, '\0');
		r = pointer.is_failed ? -ENOMEM :
		    schema_compile(doc, pointer.data, &m->result, &why);
	}
	if (r < 0) {
		(void)buf_putc(&why, '\0');
		ctx_set_error(ctx, why.data != NULL ? why.data : "bad schema");
	} else
		m->is_compiled = true;
	buf_fini(&pointer);
	buf_fini(&why);
	json_object_put(doc);
	return (r);
}
