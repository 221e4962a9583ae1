/* SPDX-License-Identifier: MIT */
/*
 * Group device: who is paired and who waits, tokens, setup codes. The decisions are
 * the core's (core.access/1); here they get their method names and texts.
 */
#include "device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct chela_host		*host;
const struct chela_access_1	*core_access;
const struct chela_state_1	*core_state;

void
add(struct json_object *o, const char *key, struct json_object *v)
{
	(void)json_object_object_add(o, key, v);
}

void
add_str(struct json_object *o, const char *key, const char *s)
{
	add(o, key, json_object_new_string(s));
}

const char *
param(struct json_object *params, const char *key)
{
	return (json_object_get_string(json_object_object_get(params, key)));
}

struct call *
call_new(struct chela_req *req, const char *denied, const char *unknown)
{
	struct call	*c;

	c = malloc(sizeof *c);
	if (c == NULL)
		return (NULL);
	c->req = host->req_ref(req);
	c->denied = denied;
	c->unknown = unknown;
	return (c);
}

static void
call_fail(const struct call *c, int r)
{
	struct chela_error	 extra = { .struct_size = sizeof extra,
	    .retryable = 1, .retry_after_ms = 1000 };

	if (c->denied != NULL && (r == -EACCES || r == -ENOENT ||
	    r == -EINVAL) && (c->unknown == NULL || r != -ENOENT))
		(void)host->req_fail(c->req, "INVALID_REQUEST", "%s",
		    c->denied);
	else if (r == -ENOENT && c->unknown != NULL)
		(void)host->req_fail(c->req, "INVALID_REQUEST", "%s",
		    c->unknown);
	else if (r == -EINVAL)
		(void)host->req_fail(c->req, "INVALID_REQUEST",
		    "a value is not one of those that may be given");
	else if (r == -EDQUOT)
		(void)host->req_fail_with(c->req, "UNAVAILABLE", &extra,
		    "there are too many of them (retry later)");
	else
		(void)host->req_fail_with(c->req, "UNAVAILABLE", &extra,
		    "the change could not be stored (%s)", strerror(-r));
}

void
call_done(struct chela_ctx *ctx, int r, struct json_object *result, void *arg)
{
	struct call	*c = arg;

	(void)ctx;
	if (r < 0)
		call_fail(c, r);
	else
		(void)host->req_reply(c->req, json_object_get(result));
	host->req_unref(c->req);
	free(c);
}

int
call_started(struct chela_ctx *ctx, struct call *c, int r)
{
	if (r < 0)
		call_done(ctx, r, NULL, c);
	return (0);
}

static int
pair_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o;
	int			 r;

	(void)ctx;
	(void)params;
	r = core_access->list(host->req_conn(req), &o);
	return (r < 0 ? r : host->req_reply(req, o));
}

static int
pair_approve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c = call_new(req, "device pairing approval denied",
			    "unknown requestId");

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->approve(ctx,
	    host->req_conn(req), param(params, "requestId"), call_done, c)));
}

static int
pair_reject(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c = call_new(req, "device pairing rejection denied",
			    "unknown requestId");

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->reject(ctx,
	    host->req_conn(req), param(params, "requestId"), call_done, c)));
}

static int
pair_remove(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c = call_new(req, "device pairing removal denied",
			    "unknown deviceId");

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->remove(ctx,
	    host->req_conn(req), param(params, "deviceId"), call_done, c)));
}

static int
pair_rename(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c = call_new(req, "device rename denied",
			    "unknown deviceId");

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->rename(ctx,
	    host->req_conn(req), param(params, "deviceId"),
	    param(params, "label"), call_done, c)));
}

static int
token_rotate(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	/* One text for all: who may not must not learn what there is. */
	struct call	*c = call_new(req, "device token rotation denied", NULL);

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->rotate(ctx,
	    host->req_conn(req), param(params, "deviceId"),
	    param(params, "role"), json_object_object_get(params, "scopes"),
	    call_done, c)));
}

static int
token_revoke(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c = call_new(req, "device token revocation denied",
			    NULL);

	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->revoke(ctx,
	    host->req_conn(req), param(params, "deviceId"),
	    param(params, "role"), call_done, c)));
}

/* A finished setup as clients know it. */
static struct json_object *
completion(struct json_object *data)
{
	struct json_object	*status, *o = json_object_new_object();
	const char		*id = param(data, "setupId");

	add_str(o, "setupId", id);
	setup_device(o, param(data, "deviceId"));
	add_str(o, "access", "limited");
	if (core_access->setup_status(id, &status) == 0) {
		add_str(o, "access", setup_access(param(status, "profile")));
		json_object_put(status);
	}
	add(o, "ts", json_object_get(json_object_object_get(data, "ts")));
	return (o);
}

static void
on_event(struct chela_ctx *ctx, const struct chela_access_event *ev, void *arg)
{
	(void)arg;
	switch (ev->what) {
	case CHELA_ACCESS_REQUESTED:
		(void)host->emit(ctx, "device.pair.requested",
		    json_object_get(ev->data), NULL);
		break;
	case CHELA_ACCESS_RESOLVED:
		(void)host->emit(ctx, "device.pair.resolved",
		    json_object_get(ev->data), NULL);
		upgrade_look(ctx, NULL);
		break;
	case CHELA_ACCESS_CHANGED:
		(void)host->emit(ctx, "device.pair.changed",
		    json_object_get(ev->data), NULL);
		break;
	case CHELA_ACCESS_SETUP_DONE:
		(void)host->emit(ctx, "device.pair.setup.completed",
		    completion(ev->data), NULL);
		break;
	case CHELA_ACCESS_SETUP_UNCERTAIN:
		(void)host->emit(ctx, "device.pair.setup.deliveryUncertain",
		    completion(ev->data), NULL);
		break;
	default:
		break;
	}
}

static int
device_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	core_access = host->svc_import(ctx, CHELA_ACCESS_SERVICE);
	core_state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	return (core_access == NULL || core_state == NULL ? -ENOENT : 0);
}

static int
device_start(struct chela_ctx *ctx)
{
	return (core_access->on_event(ctx, on_event, NULL));
}

static void
device_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	upgrade_stop();
}

#define OP	CHELA_ROLE_OPERATOR
#define WRITE	CHELA_METHOD_WRITE

static const struct chela_method methods[] = {
	{ .name = "device.pair.list", .handler = pair_list, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.pair.approve", .handler = pair_approve, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.pair.reject", .handler = pair_reject, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.pair.remove", .handler = pair_remove, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.pair.rename", .handler = pair_rename, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.token.rotate", .handler = token_rotate, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.token.revoke", .handler = token_revoke, .roles = OP,
	  .scope = "pairing" },
	{ .name = "device.pair.setupCode", .handler = device_setup_code,
	  .roles = OP, .flags = CHELA_METHOD_HIDDEN | WRITE,
	  .scope = "admin" },
	{ .name = "device.pair.setupStatus", .handler = device_setup_status,
	  .roles = OP, .flags = CHELA_METHOD_HIDDEN, .scope = "admin" },
	{ .name = "device.scopes.requestUpgrade",
	  .handler = device_request_upgrade, .roles = OP },
	{ .name = "device.scopes.waitUpgrade", .handler = device_wait_upgrade,
	  .roles = OP },
};

static const struct chela_event events[] = {
	{ .name = "device.pair.requested", .scope = "pairing",
	  .flags = CHELA_EVENT_DROPPABLE },
	{ .name = "device.pair.resolved", .scope = "pairing",
	  .flags = CHELA_EVENT_DROPPABLE },
	{ .name = "device.pair.changed", .scope = "pairing",
	  .flags = CHELA_EVENT_DROPPABLE },
	{ .name = "device.pair.setup.completed", .scope = "pairing",
	  .flags = CHELA_EVENT_DROPPABLE },
	{ .name = "device.pair.setup.deliveryUncertain", .scope = "pairing",
	  .flags = CHELA_EVENT_DROPPABLE },
};

CHELA_PLUGIN = {
	CHELA_HEAD("device"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Paired devices, their tokens, setup codes",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = device_init,
	.start = device_start,
	.stop = device_stop,
};
