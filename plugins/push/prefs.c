/* SPDX-License-Identifier: MIT */
/*
 * What a browser wants to be told. There are no user profiles here: what belongs to
 * a user is the default, what belongs to a device is kept with its subscription.
 */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const categories[] = {
	[CHELA_PUSH_APPROVAL] = "approvalRequested",
	[CHELA_PUSH_FINISHED] = "agentFinished",
	[CHELA_PUSH_QUESTION] = "agentQuestion",
	[CHELA_PUSH_MENTION] = "humanMentioned",
	[CHELA_PUSH_SCHEDULED] = "scheduledTaskFailed",
	[CHELA_PUSH_BACKGROUND] = "backgroundTaskFailed",
};
static const char *const fields[] = { "categories", "detailLevel", "quietHours",
    "agentIds" };

#define ARRAY_N(a)	(sizeof(a) / sizeof((a)[0]))

static struct json_object *
prefs_default(void)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*c = json_object_new_object();
	struct json_object	*q = json_object_new_object();
	size_t			 i;

	for (i = 0; i < ARRAY_N(categories); i++)
		json_object_object_add(c, categories[i],
		    json_object_new_boolean(i == 0));
	json_object_object_add(o, "categories", c);
	json_object_object_add(o, "detailLevel",
	    json_object_new_string("private"));
	json_object_object_add(q, "enabled", json_object_new_boolean(0));
	json_object_object_add(q, "startMinute", json_object_new_int(22 * 60));
	json_object_object_add(q, "endMinute", json_object_new_int(7 * 60));
	json_object_object_add(q, "timeZone", json_object_new_string("UTC"));
	json_object_object_add(o, "quietHours", q);
	json_object_object_add(o, "agentIds", json_object_new_array());
	return (o);
}

static struct json_object *
device_of(struct json_object *sub)
{
	struct json_object	*o = get_any(sub, "preferences");

	if (o != NULL)
		return (json_object_get(o));
	o = json_object_new_object();
	json_object_object_add(o, "enabled", json_object_new_boolean(1));
	json_object_object_add(o, "label", json_object_new_string(""));
	return (o);
}

/* The device's over the user's, each category by itself. */
static struct json_object *
effective(struct json_object *device)
{
	struct json_object	*o = prefs_default(), *v, *c;
	size_t			 i;

	c = get_any(o, "categories");
	for (i = 0; i < ARRAY_N(fields); i++) {
		v = get_any(device, fields[i]);
		if (v == NULL)
			continue;
		if (i > 0) {
			json_object_object_add(o, fields[i],
			    json_object_get(v));
			continue;
		}
		json_object_object_foreach(v, key, on)
			json_object_object_add(c, key, json_object_get(on));
	}
	json_object_object_add(o, "enabled",
	    json_object_get(get_any(device, "enabled")));
	return (o);
}

struct json_object *
prefs_effective(struct json_object *sub)
{
	struct json_object	*device = device_of(sub), *o;

	o = effective(device);
	json_object_put(device);
	return (o);
}

const char *
prefs_category(uint32_t category)
{
	return (categories[category]);
}

int
prefs_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*sub, *o, *device;
	char			 key[SUB_KEY_MAX];

	(void)ctx;
	sub = sub_of(req, get_str(params, "endpoint"), key, NULL);
	if (sub == NULL)
		return (0);
	device = device_of(sub);
	o = json_object_new_object();
	json_object_object_add(o, "durableIdentity",
	    json_object_new_boolean(0));
	json_object_object_add(o, "user", prefs_default());
	json_object_object_add(o, "effective", effective(device));
	json_object_object_add(o, "device", device);
	json_object_put(sub);
	return (push.host->req_reply(req, o));
}

/* --- set --- */

struct change {
	struct chela_req	*req;
	struct json_object	*sub;		/* as it will be */
	char			 key[SUB_KEY_MAX];
	uint64_t		 rev;
	char			 zone[ZONE_PATH_MAX];
	bool			 is_zone;
};

static void
change_free(struct change *c)
{
	push.host->req_unref(c->req);
	json_object_put(c->sub);
	free(c);
}

static void
on_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct change		*c = arg;
	struct json_object	*o;

	(void)ctx;
	(void)rev;
	if (r == -ESTALE) {
		(void)push.host->req_fail(c->req, "FORBIDDEN",
		    "subscription binding changed");
	} else if (r < 0) {
		(void)push.host->req_fail(c->req, "UNAVAILABLE",
		    "the preferences could not be stored");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "scope",
		    json_object_new_string("device"));
		json_object_object_add(o, "preferences", json_object_get(
		    get_any(c->sub, "preferences")));
		(void)push.host->req_reply(c->req, o);
	}
	change_free(c);
}

static void
zone_look(void *arg)
{
	struct change	*c = arg;

	c->is_zone = access(c->zone, F_OK) == 0;
}

static void
zone_looked(struct chela_ctx *ctx, void *arg)
{
	struct change	*c = arg;
	int		 r;

	if (!c->is_zone) {
		(void)fail_bad(c->req, "unknown time zone");
		change_free(c);
		return;
	}
	r = push.host->kv_put(ctx, c->key, json_object_get(c->sub), c->rev,
	    on_stored, c);
	if (r < 0)
		on_stored(ctx, r, 0, c);
}

int
prefs_set(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*sub, *prefs, *copy = NULL;
	const char		*zone;
	struct change		*c;
	int			 r;

	if (strcmp(get_str(params, "scope"), "user") == 0) {
		/* Whose endpoint it is comes first. */
		char	 key[SUB_KEY_MAX];

		sub = sub_of(req, get_str(params, "endpoint"), key, NULL);
		json_object_put(sub);
		return (sub == NULL ? 0 : fail_bad(req, "user preferences need "
		    "a user profile"));
	}
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	c->req = push.host->req_ref(req);
	sub = sub_of(req, get_str(params, "endpoint"), c->key, &c->rev);
	if (sub == NULL) {
		change_free(c);
		return (0);
	}
	prefs = get_any(params, "preferences");
	r = json_object_deep_copy(sub, &c->sub, NULL);
	if (r == 0)
		r = json_object_deep_copy(prefs, &copy, NULL);
	json_object_put(sub);
	if (r < 0) {
		change_free(c);
		return (-ENOMEM);
	}
	json_object_object_add(c->sub, "preferences", copy);
	zone = get_str(get_any(prefs, "quietHours"), "timeZone");
	if (zone == NULL || strcmp(zone, "UTC") == 0) {
		c->is_zone = true;
		zone_looked(ctx, c);
		return (0);
	}
	if (!zone_is_name(zone)) {
		(void)fail_bad(req, "unknown time zone");
		change_free(c);
		return (0);
	}
	zone_path(zone, c->zone);
	r = push.host->work(ctx, zone_look, zone_looked, c);
	if (r < 0)
		change_free(c);
	return (r);
}
