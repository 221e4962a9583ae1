/* SPDX-License-Identifier: MIT */
/*
 * A plugin of ABI 1.0, built with the header of that time (chela/plugin.h beside it,
 * never changed): it must load and answer in every later daemon of major 1. It
 * uses each part of the table once: check_old.py says what must come back.
 */
#include <errno.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/plugin.h>

static const struct chela_host	*host;
static struct chela_req		*open_req;
static struct chela_timer	*timer;
static int			 n_jobs;

static void
add_str(struct json_object *o, const char *key, const char *s)
{
	(void)json_object_object_add(o, key, json_object_new_string(s));
}

static void
on_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct json_object	*o = json_object_new_object(), *val = NULL;
	struct chela_req	*req = arg;

	(void)rev;
	if (r < 0 || host->kv_get(ctx, "key", &val, NULL) < 0) {
		json_object_put(o);
		(void)host->req_fail(req, "UNAVAILABLE", "not stored");
	} else {
		(void)json_object_object_add(o, "stored", val);
		(void)host->req_reply(req, o);
	}
	host->req_unref(req);
}

static int
old_store(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	int	 r;

	r = host->kv_put(ctx, "key", json_object_get(params), CHELA_ANY_REV,
	    on_stored, host->req_ref(req));
	if (r < 0)
		host->req_unref(req);
	return (r);
}

static void
job(void *arg)
{
	(void)arg;
	n_jobs++;
}

static void
on_job(struct chela_ctx *ctx, void *arg)
{
	struct json_object	*o = json_object_new_object();

	(void)arg;
	(void)json_object_object_add(o, "jobs", json_object_new_int(n_jobs));
	(void)host->emit(ctx, "old.done", json_object_get(o), NULL);
	(void)host->req_reply(open_req, o);
	host->req_unref(open_req);
	open_req = NULL;
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	(void)host->work(ctx, job, on_job, arg);
}

/* By a timer, a worker and an event. */
static int
old_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	if (open_req != NULL)
		return (host->req_fail(req, "UNAVAILABLE", "one at a time"));
	open_req = host->req_ref(req);
	return (host->timer_set(timer, 1000));
}

static int
old_who(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct json_object	*o = json_object_new_object();
	char			 id[37];

	(void)ctx;
	(void)params;
	(void)host->conn_info(host->req_conn(req), &info);
	host->uuid(id);
	add_str(o, "method", host->req_method(req));
	add_str(o, "client", info.client_id);
	add_str(o, "uuid", id);
	(void)json_object_object_add(o, "admin", json_object_new_boolean(
	    host->conn_has_scope(host->req_conn(req), "admin")));
	return (host->req_reply(req, o));
}

static const char *
needs(struct chela_ctx *ctx, struct json_object *params)
{
	(void)ctx;
	return (json_object_object_length(params) > 0 ? "admin" : NULL);
}

static int
old_fail(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_error	 e = { .struct_size = sizeof e, .retryable = 1,
	    .retry_after_ms = 1500 };

	(void)ctx;
	(void)params;
	return (host->req_fail_with(req, "UNAVAILABLE", &e, "not %s", "today"));
}

static int
old_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	if (h->abi_major != 1 || !CHELA_HOST_HAS(h, uuid))
		return (-ENOTSUP);
	host = h;
	timer = host->timer_new(ctx, on_timer, NULL);
	return (timer == NULL ? -ENOMEM : 0);
}

static void
old_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	host->timer_free(timer);
}

#define METHOD(n, h) { .name = "old." n, .handler = (h), \
	.roles = CHELA_ROLE_OPERATOR, .scope = "read", .dynamic_scope = needs }

static const struct chela_method methods[] = {
	METHOD("fail", old_fail),
	METHOD("store", old_store),
	METHOD("wait", old_wait),
	METHOD("who", old_who),
};

static const struct chela_event events[] = {
	{ .name = "old.done", .scope = "read" },
};

static const struct chela_dep deps[] = {
	{ .name = "not-there", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("old"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Of the first minor version.",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = old_init,
	.fini = old_fini,
};
