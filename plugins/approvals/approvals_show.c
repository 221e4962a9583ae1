/* SPDX-License-Identifier: MIT */
/*
 * How a record looks from outside: snapshots, rows, events; and who can answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

#define URL_PREFIX	"/approve/"
#define TOPIC_MAX	(CHELA_SESSION_KEY_MAX + 16)

/* The clients of people that show approvals without saying so in connect. */
static const char *const answering_clients[] = {
	"openclaw-control-ui", "openclaw-tui", "openclaw-ios",
	"openclaw-macos", "openclaw-android",
};

static void
add_url(struct json_object *o, const char *id)
{
	char	*enc = text_url(id), *url;

	if (enc == NULL)
		return;
	url = malloc(sizeof URL_PREFIX + strlen(enc));
	if (url != NULL) {
		(void)stpcpy(stpcpy(url, URL_PREFIX), enc);
		set_str(o, "urlPath", url);
	}
	free(url);
	free(enc);
}

struct json_object *
snapshot(const struct chela_approval_record *rec)
{
	static const char *const names[] = { "pending", "allowed", "denied",
	    "expired", "cancelled" };
	struct json_object	*o = json_object_new_object(), *source, *by;

	set_str(o, "id", rec->id);
	add_url(o, rec->id);
	set_int(o, "createdAtMs", (int64_t)rec->created_ms);
	set_int(o, "expiresAtMs", (int64_t)rec->expires_ms);
	json_object_object_add(o, "presentation",
	    json_object_get(rec->presentation));
	set_str(o, "status", names[rec->status]);
	if (rec->status == CHELA_RECORD_PENDING) {
		if (*rec->session_key != '\0')
			set_str(o, "sourceSessionKey", rec->session_key);
		return (o);
	}
	set_int(o, "resolvedAtMs", (int64_t)rec->resolved_ms);
	source = json_object_new_object();
	if (*rec->agent_id != '\0')
		set_str(source, "agentId", rec->agent_id);
	if (*rec->session_key != '\0')
		set_str(source, "sessionKey", rec->session_key);
	json_object_object_add(o, "source", source);
	if (*rec->resolver_kind != '\0') {
		by = json_object_new_object();
		set_str(by, "kind", rec->resolver_kind);
		if (*rec->resolver_id != '\0')
			set_str(by, "id", rec->resolver_id);
		json_object_object_add(o, "resolver", by);
	}
	if (rec->status == CHELA_RECORD_ALLOWED ||
	    rec->status == CHELA_RECORD_DENIED)
		set_str(o, "decision", decision_name(rec->decision));
	set_str(o, "reason", rec->reason);
	return (o);
}

struct json_object *
pending_row(const struct chela_approval_record *rec)
{
	struct json_object	*o = json_object_new_object();

	set_str(o, "id", rec->id);
	set_str(o, "approvalKind", rec->kind);
	json_object_object_add(o, "request", json_object_get(rec->request));
	set_int(o, "createdAtMs", (int64_t)rec->created_ms);
	set_int(o, "expiresAtMs", (int64_t)rec->expires_ms);
	return (o);
}

static const struct chela_approval_kind *
kind_of(const struct chela_approval_record *rec)
{
	size_t	i;

	for (i = 0; i < KINDS_MAX; i++) {
		if (ap.kinds[i] != NULL &&
		    strcmp(ap.kinds[i]->kind, rec->kind) == 0)
			return (ap.kinds[i]);
	}
	return (NULL);
}

struct routes {
	const struct chela_approval_record *rec;
	const struct chela_approval_kind *kind;
	struct json_object	*payload;
	unsigned		 n;
};

static int
on_conn(struct chela_conn *conn, void *arg)
{
	struct routes		*rt = arg;
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	size_t			 i;
	bool			 can;

	if (ap.host->conn_info(conn, &info) < 0 ||
	    info.role != CHELA_ROLE_OPERATOR ||
	    strcmp(info.id, rt->rec->caller) == 0 ||
	    ap.host->conn_has_scope(conn, "approvals") <= 0)
		return (0);
	can = ap.host->conn_has_cap(conn, "approvals") > 0 ||
	    (rt->kind->cap != NULL &&
	    ap.host->conn_has_cap(conn, rt->kind->cap) > 0);
	for (i = 0; !can && i < sizeof answering_clients /
	    sizeof answering_clients[0]; i++)
		can = strcmp(info.client_id, answering_clients[i]) == 0;
	if (!can)
		return (0);
	rt->n++;
	if ((rt->kind->flags & CHELA_KIND_BROADCAST) == 0)
		rt->kind->requested(conn, rt->payload);
	return (0);
}

/* Those who watch a session know it by its canonical key. */
bool
session_key_of(const struct chela_approval_record *rec,
    char ret_key[CHELA_SESSION_KEY_MAX + 1])
{
	const struct chela_sessions_1	*ss;

	if (*rec->session_key == '\0')
		return (false);
	ss = ap.host->svc_import(ap.ctx, CHELA_SESSIONS_SERVICE);
	return (ss != NULL && ss->canonical(rec->session_key, NULL,
	    ret_key) >= 0);
}

static void
tell_session(const struct chela_approval_record *rec, const char *phase)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct json_object	*o;
	char			 topic[TOPIC_MAX];
	char			 key[CHELA_SESSION_KEY_MAX + 1];

	if (!session_key_of(rec, key))
		return;
	o = json_object_new_object();
	set_str(o, "sessionKey", key);
	set_int(o, "updatedAtMs", (int64_t)ap.host->wall_ms());
	set_str(o, "phase", phase);
	json_object_object_add(o, "approval", snapshot(rec));
	(void)snprintf(topic, sizeof topic, "approvals:%s", key);
	opt.topic = topic;
	(void)ap.host->emit(ap.ctx, "session.approval", o, &opt);
}

int
records_watch(const struct chela_record_watcher *watcher, void *arg)
{
	size_t	i;

	for (i = 0; i < WATCHERS_MAX; i++) {
		if (ap.watchers[i].w == NULL) {
			ap.watchers[i].w = watcher;
			ap.watchers[i].arg = arg;
			return (0);
		}
	}
	return (-ENOSPC);
}

void
records_unwatch(const struct chela_record_watcher *watcher, void *arg)
{
	size_t	i;

	for (i = 0; i < WATCHERS_MAX; i++) {
		if (ap.watchers[i].w == watcher && ap.watchers[i].arg == arg)
			ap.watchers[i].w = NULL;
	}
}

/* Returns how many others can be told that may answer. */
static unsigned
tell_watchers(const struct chela_approval_record *rec)
{
	struct chela_record_info info = { .struct_size = sizeof info };
	unsigned		 n = 0;
	size_t			 i;
	int			 r;

	record_info(rec, &info);
	for (i = 0; i < WATCHERS_MAX; i++) {
		if (ap.watchers[i].w == NULL)
			continue;
		if (rec->status != CHELA_RECORD_PENDING) {
			ap.watchers[i].w->ended(&info, ap.watchers[i].arg);
			continue;
		}
		r = ap.watchers[i].w->opened(&info, ap.watchers[i].arg);
		n += r > 0 ? (unsigned)r : 0;
	}
	return (n);
}

void
tell_requested(struct chela_approval_record *rec, unsigned *ret_routes)
{
	struct routes	rt = { rec, kind_of(rec), NULL, 0 };

	*ret_routes = 0;
	if (rt.kind == NULL || ap.conns == NULL)
		return;
	rt.payload = pending_row(rec);
	(void)ap.conns->each(CHELA_ROLE_OPERATOR, on_conn, &rt);
	if (rt.n > 0 && (rt.kind->flags & CHELA_KIND_BROADCAST) != 0)
		rt.kind->requested(NULL, rt.payload);
	json_object_put(rt.payload);
	if (rt.n > 0)
		rec->route = "approval-client";
	rt.n += tell_watchers(rec);
	if (rt.n > 0 && *rec->route == '\0')
		rec->route = "forwarder";
	*ret_routes = rt.n;
	if (rt.n > 0)
		tell_session(rec, "pending");
}

void
tell_resolved(struct chela_approval_record *rec)
{
	const struct chela_approval_kind *kind = kind_of(rec);
	struct chela_record_info info = { .struct_size = sizeof info };
	struct json_object	*o;

	(void)tell_watchers(rec);
	/* Nobody was asked, so nobody is told. */
	if (strcmp(rec->reason, "no-route") == 0)
		return;
	tell_session(rec, "terminal");
	if (kind == NULL)
		return;
	o = json_object_new_object();
	set_str(o, "id", rec->id);
	/* Whatever ended without a yes is a no for those who only listen. */
	set_str(o, "decision", rec->status == CHELA_RECORD_ALLOWED ?
	    decision_name(rec->decision) : "deny");
	set_str_or_null(o, "resolvedBy",
	    *rec->resolved_by != '\0' ? rec->resolved_by : NULL);
	set_int(o, "ts", (int64_t)ap.host->wall_ms());
	json_object_object_add(o, "request", json_object_get(rec->request));
	record_info(rec, &info);
	kind->resolved(&info, o);
	json_object_put(o);
}
