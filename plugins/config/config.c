/* SPDX-License-Identifier: MIT */
/*
 * Plugin config: the configuration file for clients. All of it is done by the
 * core service; here are the methods' shapes and the words of refusals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/config.h>

static struct config {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	const struct chela_config_1	*svc;
} config;

static const char *
text_of(struct json_object *params, const char *key)
{
	struct json_object	*v;

	if (!json_object_object_get_ex(params, key, &v) ||
	    !json_object_is_type(v, json_type_string))
		return (NULL);
	return (json_object_get_string(v));
}

static int
no_memory(struct chela_req *req)
{
	return (config.host->req_fail(req, "UNAVAILABLE", "no memory"));
}

static int
config_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*snapshot;

	(void)ctx;
	(void)params;
	if (config.svc->snapshot(&snapshot) < 0)
		return (no_memory(req));
	return (config.host->req_reply(req, snapshot));
}

static void
config_written(const struct chela_config_outcome *outcome, void *arg)
{
	struct chela_req	*req = arg;
	struct chela_error	 extra = { .struct_size = sizeof extra };

	if (outcome->r == 0)
		(void)config.host->req_reply(req,
		    json_object_get(outcome->result));
	else {
		extra.details = json_object_get(outcome->details);
		extra.retryable = outcome->r == -EAGAIN;
		/* What a client sent wrong, against what went wrong here. */
		(void)config.host->req_fail_with(req, outcome->r == -EINVAL ||
		    outcome->r == -ESTALE ? "INVALID_REQUEST" : "UNAVAILABLE",
		    &extra, "%s", outcome->message);
	}
	config.host->req_unref(req);
}

static int
config_write(struct chela_req *req, struct json_object *params, uint32_t kind)
{
	struct chela_config_write	 w = { .struct_size = sizeof w,
		.kind = kind };
	struct json_object		*v = NULL;
	int				 r;

	if (json_object_object_get_ex(params, "raw", &v)) {
		w.raw = json_object_get_string(v);
		w.raw_len = (size_t)json_object_get_string_len(v);
	}
	w.base_hash = text_of(params, "baseHash");
	w.session_key = text_of(params, "sessionKey");
	w.note = text_of(params, "note");
	(void)json_object_object_get_ex(params, "replacePaths",
	    &w.replace_paths);
	(void)json_object_object_get_ex(params, "deliveryContext",
	    &w.delivery_context);
	if (json_object_object_get_ex(params, "restartDelayMs", &v))
		w.restart_delay_ms = (uint64_t)json_object_get_int64(v);
	r = config.svc->write(&w, config_written, config.host->req_ref(req));
	if (r == 0)
		return (0);
	config.host->req_unref(req);
	switch (r) {
	case -E2BIG:
		return (config.host->req_fail(req, "INVALID_REQUEST",
		    "config of more than 1 MiB"));
	case -EAGAIN:
		return (config.host->req_fail(req, "UNAVAILABLE",
		    "too many config writes wait; retry later"));
	default:
		return (no_memory(req));
	}
}

static int
config_set(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (config_write(req, params, CHELA_CONFIG_SET));
}

static int
config_patch(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (config_write(req, params, CHELA_CONFIG_PATCH));
}

static int
config_apply(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (config_write(req, params, CHELA_CONFIG_APPLY));
}

static int
config_schema(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*schema;

	(void)ctx;
	(void)params;
	if (config.svc->schema(&schema) < 0)
		return (no_memory(req));
	return (config.host->req_reply(req, schema));
}

static int
config_lookup(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*node;
	int			 r;

	(void)ctx;
	r = config.svc->lookup(text_of(params, "path"), &node);
	if (r == -ENOENT)
		return (config.host->req_fail(req, "INVALID_REQUEST",
		    "config schema path not found"));
	if (r < 0)
		return (no_memory(req));
	return (config.host->req_reply(req, node));
}

static int
config_open_file(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (config.host->req_fail(req, "UNAVAILABLE",
	    "config.openFile needs a desktop; use config.get and config.patch"));
}

static void
config_changed(const struct chela_config_change *change, void *arg)
{
	struct json_object	*o = json_object_new_object();

	(void)arg;
	if (o == NULL)
		return;
	(void)json_object_object_add(o, "path",
	    json_object_new_string(change->path));
	(void)json_object_object_add(o, "hash",
	    json_object_new_string(change->hash));
	(void)json_object_object_add(o, "ts",
	    json_object_new_int64((int64_t)change->ts_ms));
	(void)config.host->emit(config.ctx, "config.changed", o, NULL);
}

static int
config_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	config.ctx = ctx;
	config.host = host;
	config.svc = host->svc_import(ctx, CHELA_CONFIG_SERVICE);
	return (config.svc == NULL ? -ENOSYS : 0);
}

static int
config_start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (config.svc->subscribe(config_changed, &config));
}

static void
config_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	config.svc->unsubscribe(config_changed, &config);
}

static const struct chela_method methods[] = {
	{ .name = "config.get", .handler = config_get,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "config.set", .handler = config_set,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin" },
	{ .name = "config.patch", .handler = config_patch,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "config.apply", .handler = config_apply,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_WRITE },
	{ .name = "config.schema", .handler = config_schema,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read",
	    .budget_us = 20000 },
	{ .name = "config.schema.lookup", .handler = config_lookup,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "read" },
	{ .name = "config.openFile", .handler = config_open_file,
	    .roles = CHELA_ROLE_OPERATOR, .scope = "admin",
	    .flags = CHELA_METHOD_HIDDEN },
};

static const struct chela_event events[] = {
	{ .name = "config.changed", .scope = "read" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("config"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "The configuration file: read, change, describe",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = config_init,
	.start = config_start,
	.stop = config_stop,
};
