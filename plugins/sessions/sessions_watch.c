/* SPDX-License-Identifier: MIT */
/*
 * Who gets which events. Topic "sessions" is every session's events,
 * "messages:<key>" those of one transcript. A connection that has the first
 * leaves the others, so that no row comes twice; "session:<key>" is what
 * narrows chat and agent events for a connection that asked for that, and
 * "approvals:<key>" the session's approvals.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/approvals.h>

#include "sessions_priv.h"

struct watcher {
	struct chela_conn	*conn;
	char			**keys;
	uint32_t		 n_keys;
	bool			 is_all;
	struct watcher		*next;
};

static struct watcher *watchers;

static void
watcher_free(struct watcher *w)
{
	uint32_t i;

	for (i = 0; i < w->n_keys; i++)
		free(w->keys[i]);
	free(w->keys);
	free(w);
}

static void
watcher_closed(struct chela_ctx *ctx, struct chela_conn *conn, void *arg)
{
	struct watcher **p, *w;

	(void)ctx;
	(void)arg;
	for (p = &watchers; *p != NULL; p = &(*p)->next) {
		if ((*p)->conn != conn)
			continue;
		w = *p;
		*p = w->next;
		watcher_free(w);
		return;
	}
}

void
watchers_free(void)
{
	struct watcher *w;

	while ((w = watchers) != NULL) {
		watchers = w->next;
		watcher_free(w);
	}
}

static struct watcher *
watcher_get(struct chela_conn *conn)
{
	struct watcher *w;

	for (w = watchers; w != NULL; w = w->next)
		if (w->conn == conn)
			return (w);
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (NULL);
	w->conn = conn;
	if (sessions.host->conn_on_close(sessions.ctx, conn, watcher_closed,
	    NULL) < 0) {
		free(w);
		return (NULL);
	}
	w->next = watchers;
	watchers = w;
	return (w);
}

static int
topic_set(struct chela_conn *conn, const char *prefix, const char *key,
    bool on)
{
	char topic[CHELA_SESSION_KEY_MAX + 16];

	(void)snprintf(topic, sizeof topic, "%s:%s", prefix, key);
	if (on)
		return (sessions.host->conn_subscribe(sessions.ctx, conn,
		    topic));
	return (sessions.host->conn_unsubscribe(sessions.ctx, conn, topic));
}

static struct watcher *
call_watcher(struct chela_req *req)
{
	struct chela_conn	*conn = sessions.host->req_conn(req);
	struct watcher		*w;

	w = conn != NULL ? watcher_get(conn) : NULL;
	if (w == NULL)
		(void)sessions.host->req_fail(req, ERR_GONE,
		    "the connection can not be subscribed");
	return (w);
}

int
sessions_subscribe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o;
	struct watcher		*w = call_watcher(req);
	uint32_t		 i;
	int			 r;

	(void)params;
	if (w == NULL)
		return (0);
	r = sessions.host->conn_subscribe(ctx, w->conn, "sessions");
	if (r < 0)
		return (r);
	for (i = 0; !w->is_all && i < w->n_keys; i++)
		(void)topic_set(w->conn, "messages", w->keys[i], false);
	w->is_all = true;
	o = json_object_new_object();
	json_object_object_add(o, "subscribed", json_object_new_boolean(1));
	return (sessions.host->req_reply(req, o));
}

static int64_t
watcher_index(const struct watcher *w, const char *key)
{
	uint32_t i;

	for (i = 0; i < w->n_keys; i++)
		if (strcmp(w->keys[i], key) == 0)
			return (i);
	return (-1);
}

static int
watcher_add(struct watcher *w, const char *key)
{
	char **p;

	if (watcher_index(w, key) >= 0)
		return (0);
	if (w->n_keys >= SESSION_WATCH_MAX)
		return (-ENOSPC);
	p = realloc(w->keys, (w->n_keys + 1) * sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	w->keys = p;
	p[w->n_keys] = strdup(key);
	if (p[w->n_keys] == NULL)
		return (-ENOMEM);
	w->n_keys++;
	return (topic_set(w->conn, "session", key, true));
}

struct replay {
	const char		*key;
	struct chela_conn	*conn;
	struct json_object	*found;
};

static int
on_records(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_approval_records_1 *records = vtable;
	struct replay				*rp = arg;

	(void)plugin;
	if (records->struct_size >= offsetof(struct chela_approval_records_1,
	    replay) + sizeof records->replay)
		(void)records->replay(rp->key, rp->conn, &rp->found);
	return (1);
}

/*
 * Approvals of the session from now on, and those that are open; for who may
 * answer them. Gives, or NULL.
 */
static struct json_object *
approvals_watch(struct chela_conn *conn, const char *key)
{
	struct replay	rp = { key, conn, NULL };

	if (sessions.host->conn_has_scope(conn, "approvals") <= 0 ||
	    topic_set(conn, "approvals", key, true) < 0)
		return (NULL);
	(void)sessions.host->svc_each(sessions.ctx,
	    CHELA_APPROVAL_RECORDS_SERVICE, on_records, &rp);
	return (rp.found);
}

int
sessions_messages_subscribe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	struct json_object	*o, *v = NULL;
	struct watcher		*w;
	int			 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	w = call_watcher(req);
	if (w == NULL)
		return (0);
	r = watcher_add(w, key);
	if (r == -ENOSPC)
		return (sessions.host->req_fail(req, ERR_GONE,
		    "too many watched sessions (at most %u on a connection)",
		    SESSION_WATCH_MAX));
	if (r >= 0 && !w->is_all)
		r = topic_set(w->conn, "messages", key, true);
	if (r < 0)
		return (r);
	o = json_object_new_object();
	json_object_object_add(o, "subscribed", json_object_new_boolean(1));
	set_str(o, "key", key);
	if (json_object_object_get_ex(params, "includeApprovals", &v)) {
		v = approvals_watch(w->conn, key);
		if (v != NULL)
			json_object_object_add(o, "approvalReplay", v);
	}
	return (sessions.host->req_reply(req, o));
}

int
sessions_messages_unsubscribe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	struct json_object	*o;
	struct watcher		*w;
	int64_t			 at;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	w = call_watcher(req);
	if (w == NULL)
		return (0);
	at = watcher_index(w, key);
	if (at >= 0) {
		(void)topic_set(w->conn, "session", key, false);
		(void)topic_set(w->conn, "messages", key, false);
		(void)topic_set(w->conn, "approvals", key, false);
		free(w->keys[at]);
		w->keys[at] = w->keys[--w->n_keys];
	}
	o = json_object_new_object();
	json_object_object_add(o, "subscribed", json_object_new_boolean(0));
	set_str(o, "key", key);
	return (sessions.host->req_reply(req, o));
}
