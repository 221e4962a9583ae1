/* SPDX-License-Identifier: MIT */
/*
 * sessions.delete, .reset and .compact. Before a session goes, its runs are
 * aborted and waited for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define DELETE_WAIT_US	UINT64_C(15000000)
#define COMPACT_LINES	400u

struct del {
	struct chela_req	*req;
	struct chela_timer	*timer;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	char			 session_id[40];
	uint64_t		 until_us;
	bool			 with_log;
};

/* How often a delete looks whether the aborted runs have ended. */
#define DELETE_POLL_US	UINT64_C(20000)

static void
del_free(struct del *d)
{
	if (d->timer != NULL)
		sessions.host->timer_free(d->timer);
	sessions.host->req_unref(d->req);
	free(d);
}

static int
del_reply(struct chela_req *req, const char *key, bool deleted)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(1));
	set_str(o, "key", key);
	json_object_object_add(o, "deleted", json_object_new_boolean(deleted));
	json_object_object_add(o, "archived", json_object_new_array());
	return (sessions.host->req_reply(req, o));
}

static void
del_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct json_object	*o;
	struct del		*d = arg;
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];

	(void)ctx;
	(void)rev;
	if (r < 0) {
		(void)sessions.host->req_fail(d->req, ERR_GONE,
		    "the session could not be deleted");
		del_free(d);
		return;
	}
	o = json_object_new_object();
	set_str(o, "sessionKey", d->key);
	set_str(o, "key", d->key);
	set_str(o, "sessionId", d->session_id);
	if (key_agent(d->key, agent) >= 0)
		set_str(o, "agentId", agent);
	set_str(o, "reason", "delete");
	set_int(o, "ts", (int64_t)sessions.host->wall_ms());
	opt.topic = "sessions";
	(void)sessions.host->emit(sessions.ctx, "sessions.changed", o, &opt);
	(void)del_reply(d->req, d->key, true);
	del_free(d);
}

static void
del_try(struct chela_ctx *ctx, void *arg)
{
	struct del	*d = arg;
	struct sess	*s = sess_find(d->key);
	int		 r;

	(void)ctx;
	if (s == NULL) {
		(void)del_reply(d->req, d->key, false);
		del_free(d);
		return;
	}
	if (s->n_runs > 0) {
		if (sessions.host->now_us() < d->until_us &&
		    sessions.host->timer_set(d->timer, DELETE_POLL_US) >= 0)
			return;
		(void)sessions.host->req_fail(d->req, ERR_GONE,
		    "the session is still active: %s", d->key);
		del_free(d);
		return;
	}
	(void)snprintf(d->session_id, sizeof d->session_id, "%s", s->id);
	r = session_remove(s, d->with_log, del_stored, d);
	if (r < 0) {
		(void)sessions.host->req_fail(d->req, ERR_GONE,
		    "the session could not be deleted");
		del_free(d);
	}
}

/* The conditions of a delete; false: the request has been answered. */
static bool
del_expected(struct sess *s, struct json_object *params,
    struct chela_req *req)
{
	struct json_object	*entry = NULL;
	const char		*id = get_str(params, "expectedSessionId");
	const char		*rev, *have;
	int64_t			 at;
	bool			 ok = true;

	rev = get_str(params, "expectedLifecycleRevision");
	at = get_int(params, "expectedSessionUpdatedAt", -1);
	if (entry_get(s, &entry) < 0)
		return (true);
	have = get_str(entry, "lifecycleRevision");
	if ((id != NULL && strcmp(id, s->id) != 0) ||
	    (rev != NULL && (have == NULL || strcmp(rev, have) != 0)) ||
	    (at >= 0 && (uint64_t)at != s->updated_ms)) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "the session has changed since it was read");
		ok = false;
	} else if (get_bool(params, "archivedOnly", false) && !s->archived) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "the session is not archived: %s", s->key);
		ok = false;
	}
	json_object_put(entry);
	return (ok);
}

int
sessions_delete(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct sess	*s;
	struct del	*d;

	if (call_key(req, params, "key", key) < 0)
		return (0);
	if (key_is_main(key) || strcmp(key, "global") == 0)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "Cannot delete the main session (%s).", key));
	s = sess_find(key);
	if (s == NULL)
		return (del_reply(req, key, false));
	if (!del_expected(s, params, req))
		return (0);
	d = calloc(1, sizeof *d);
	if (d == NULL)
		return (-ENOMEM);
	d->req = sessions.host->req_ref(req);
	memcpy(d->key, key, sizeof d->key);
	d->with_log = get_bool(params, "deleteTranscript", true);
	d->until_us = sessions.host->now_us() + DELETE_WAIT_US;
	d->timer = sessions.host->timer_new(ctx, del_try, d);
	if (d->timer == NULL) {
		del_free(d);
		return (-ENOMEM);
	}
	if (sessions.runner != NULL && s->n_runs > 0)
		(void)sessions.runner->abort(key, NULL, "rpc", NULL);
	del_try(ctx, d);
	return (0);
}

struct call {
	struct chela_req	*req;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	int64_t			 kept;
};

static struct call *
call_new(struct chela_req *req, const char *key)
{
	struct call *c = calloc(1, sizeof *c);

	if (c == NULL)
		return (NULL);
	c->req = sessions.host->req_ref(req);
	memcpy(c->key, key, strlen(key) + 1);
	return (c);
}

static void
call_free(struct call *c)
{
	sessions.host->req_unref(c->req);
	free(c);
}

static void
reset_done(int r, void *arg)
{
	struct json_object	*o;
	struct call		*c = arg;
	struct sess		*s = sess_find(c->key);

	if (r < 0 || s == NULL) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the session could not be reset");
	} else {
		o = json_object_new_object();
		json_object_object_add(o, "ok", json_object_new_boolean(1));
		set_str(o, "key", s->key);
		json_object_object_add(o, "entry", entry_public(s));
		(void)sessions.host->req_reply(c->req, o);
	}
	call_free(c);
}

int
sessions_reset(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*reason = get_str(params, "reason");
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct call	*c;
	int		 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	c = call_new(req, key);
	if (c == NULL)
		return (-ENOMEM);
	/* A run that goes on would write into the new conversation. */
	if (sessions.runner != NULL)
		(void)sessions.runner->abort(key, NULL, "rpc", NULL);
	r = log_reset(key, reason != NULL ? reason : "reset", reset_done, c);
	if (r < 0)
		call_free(c);
	return (r);
}

static void
operation_emit(const char *key, const char *id, const char *phase, bool done)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct json_object	*o = json_object_new_object();
	struct sess		*s = sess_find(key);
	char			 topic[CHELA_SESSION_KEY_MAX + 16];

	set_str(o, "operationId", id);
	set_str(o, "operation", "compact");
	set_str(o, "phase", phase);
	set_str(o, "sessionKey", key);
	if (s != NULL)
		set_str(o, "agentId", s->agent);
	set_int(o, "ts", (int64_t)sessions.host->wall_ms());
	if (strcmp(phase, "end") == 0)
		json_object_object_add(o, "completed",
		    json_object_new_boolean(done));
	(void)snprintf(topic, sizeof topic, "messages:%s", key);
	opt.topic = "sessions";
	(void)sessions.host->emit(sessions.ctx, "session.operation",
	    json_object_get(o), &opt);
	opt.topic = topic;
	(void)sessions.host->emit(sessions.ctx, "session.operation", o, &opt);
}

static int
compact_reply(struct chela_req *req, const char *key, bool ok, bool compacted,
    const char *reason, int64_t kept)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ok", json_object_new_boolean(ok));
	set_str(o, "key", key);
	json_object_object_add(o, "compacted",
	    json_object_new_boolean(compacted));
	set_str(o, "reason", reason);
	if (kept >= 0)
		set_int(o, "kept", kept);
	return (sessions.host->req_reply(req, o));
}

static void
compact_done(int r, void *arg)
{
	struct call	*c = arg;
	struct sess	*s = sess_find(c->key);

	operation_emit(c->key, c->key, "end", r >= 0);
	if (r < 0) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the transcript could not be shortened");
	} else {
		if (s != NULL)
			changed_emit(s, NULL, "compact", NULL);
		(void)compact_reply(c->req, c->key, true, true, NULL, c->kept);
	}
	call_free(c);
}

/*
 * Keeps the last rows. Without maxLines the older part would have to be summed
 * up by a model; this release says so instead of dropping it.
 */
int
sessions_compact(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	int64_t		 lines = get_int(params, "maxLines", 0);
	char		 key[CHELA_SESSION_KEY_MAX + 1];
	struct sess	*s;
	struct call	*c;
	uint64_t	 have;
	int		 r;

	(void)ctx;
	if (call_key(req, params, "key", key) < 0)
		return (0);
	s = sess_find(key);
	if (s == NULL)
		return (compact_reply(req, key, true, false, "no sessionId",
		    -1));
	if (s->seq < s->first)
		return (compact_reply(req, key, true, false, "no transcript",
		    -1));
	have = s->seq - s->first + 1;
	if (lines == 0)
		return (compact_reply(req, key, false, false,
		    "summaries are not offered by this gateway: give maxLines",
		    -1));
	if (have <= (uint64_t)lines)
		return (compact_reply(req, key, true, false, NULL,
		    (int64_t)have));
	if (s->n_runs > 0)
		return (compact_reply(req, key, false, false,
		    "the session is active", -1));
	c = call_new(req, key);
	if (c == NULL)
		return (-ENOMEM);
	c->kept = lines;
	operation_emit(key, key, "start", false);
	r = log_keep(key, (uint32_t)lines, compact_done, c);
	if (r < 0)
		call_free(c);
	return (r);
}
