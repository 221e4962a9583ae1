/* SPDX-License-Identifier: MIT */
/* A device that wants more scopes: asking, and waiting for what comes of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* A caller of waitUpgrade. */
struct wait {
	struct wait		*next;
	struct chela_req	*req;	/* counted */
	char			 id[64];
};

static struct wait		*waits;
static unsigned			 n_waits;
static struct chela_timer	*timer;

/* A connection without a device has nothing to upgrade; it is told so. */
static int
has_no_device(struct chela_req *req)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_error	 e = { .struct_size = sizeof e };
	struct chela_conn	*conn = host->req_conn(req);

	if (conn == NULL || host->conn_info(conn, &info) < 0 ||
	    *info.device_id != '\0')
		return (0);
	e.details = json_object_new_object();
	(void)json_object_object_add(e.details, "code",
	    json_object_new_string("DEVICE_IDENTITY_REQUIRED"));
	(void)json_object_object_add(e.details, "recommendedNextStep",
	    json_object_new_string("reopen_control_ui_securely"));
	(void)host->req_fail_with(req, "INVALID_REQUEST", &e,
	    "scope upgrades need a paired device");
	return (1);
}

int
device_request_upgrade(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct call	*c;

	if (has_no_device(req))
		return (0);
	c = call_new(req, NULL, "scope upgrades need a paired device");
	if (c == NULL)
		return (-ENOMEM);
	return (call_started(ctx, c, core_access->upgrade(ctx,
	    host->req_conn(req), json_object_object_get(params, "scopes"),
	    call_done, c)));
}

static void
wait_end(struct wait **at)
{
	struct wait	*w = *at;

	*at = w->next;
	n_waits--;
	host->req_unref(w->req);
	free(w);
}

/* True when it has been answered. */
static int
answer(struct chela_req *req, const char *id)
{
	struct chela_conn	*conn = host->req_conn(req);
	struct json_object	*o;
	const char		*status;

	if (conn == NULL)
		return (1);
	if (core_access->upgrade_status(conn, id, &o) < 0) {
		(void)host->req_fail(req, "INVALID_REQUEST",
		    "unknown requestId");
		return (1);
	}
	status = param(o, "status");
	if (strcmp(status, "pending") == 0) {
		json_object_put(o);
		return (0);
	}
	/* Approved, and revoked again since: there is nothing to hand over. */
	if (strcmp(status, "approved") == 0 &&
	    param(o, "deviceToken") == NULL)
		add_str(o, "status", "rejected");
	add_str(o, "requestId", id);
	(void)host->req_reply(req, o);
	return (1);
}

void
upgrade_look(struct chela_ctx *ctx, void *arg)
{
	struct wait	**at = &waits;

	(void)ctx;
	(void)arg;
	while (*at != NULL) {
		if (answer((*at)->req, (*at)->id))
			wait_end(at);
		else
			at = &(*at)->next;
	}
	if (waits != NULL && timer != NULL)
		(void)host->timer_set(timer, UPGRADE_LOOK_US);
}

static void
on_cancel(struct chela_req *req, void *arg)
{
	struct wait	**at = &waits;

	(void)arg;
	while (*at != NULL && (*at)->req != req)
		at = &(*at)->next;
	if (*at != NULL)
		wait_end(at);
}

int
device_wait_upgrade(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*id = param(params, "requestId");
	struct wait	*w;

	if (has_no_device(req) || answer(req, id))
		return (0);
	if (n_waits >= UPGRADE_WAITS_MAX)
		return (host->req_fail(req, "UNAVAILABLE",
		    "too many callers wait already"));
	if (timer == NULL)
		timer = host->timer_new(ctx, upgrade_look, NULL);
	w = calloc(1, sizeof *w);
	if (w == NULL || timer == NULL) {
		free(w);
		return (-ENOMEM);
	}
	(void)snprintf(w->id, sizeof w->id, "%s", id);
	w->req = host->req_ref(req);
	w->next = waits;
	waits = w;
	n_waits++;
	host->req_on_cancel(req, on_cancel, NULL);
	return (host->timer_set(timer, UPGRADE_LOOK_US));
}

void
upgrade_stop(void)
{
	while (waits != NULL)
		wait_end(&waits);
	if (timer != NULL)
		host->timer_free(timer);
	timer = NULL;
}
