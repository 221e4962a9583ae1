/* SPDX-License-Identifier: MIT */
/* sessions.send, .steer and .abort: chat under the names of sessions. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

/* The same call as chat.send takes it. */
static int
forward(struct chela_req *req, struct json_object *params,
    const char *queue_mode)
{
	static const char *const same[] = {
		"message", "thinking", "attachments", "timeoutMs",
		"idempotencyKey",
	};
	struct json_object	*p, *v;
	char			 key[CHELA_SESSION_KEY_MAX + 1], uuid[37];
	size_t			 i;
	int			 r;

	if (call_key(req, params, "key", key) < 0)
		return (0);
	if (sess_find(key) == NULL)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "session not found: %s", key));
	if (sessions.runner == NULL)
		return (sessions.host->req_fail(req, ERR_GONE,
		    "no plugin starts runs"));
	p = json_object_new_object();
	set_str(p, "sessionKey", key);
	for (i = 0; i < sizeof same / sizeof same[0]; i++) {
		v = get_any(params, same[i]);
		if (v != NULL)
			json_object_object_add(p, same[i], json_object_get(v));
	}
	if (get_str(p, "idempotencyKey") == NULL) {
		sessions.host->uuid(uuid);
		set_str(p, "idempotencyKey", uuid);
	}
	set_str(p, "queueMode", queue_mode);
	r = sessions.runner->send(req, p);
	json_object_put(p);
	return (r);
}

int
sessions_send(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (forward(req, params, NULL));
}

int
sessions_steer(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (forward(req, params, "interrupt"));
}

/* The session that runs it, when a call names the run alone. */
static struct sess *
find_run(const char *run_id)
{
	struct sess	*s = sessions.newest[BY_UPDATE];
	uint32_t	 i, busy = sessions.n_busy;

	/* Those with runs are near the top: all are seen early. */
	for (; s != NULL && busy > 0; s = SESS_OLDER(s)) {
		busy -= s->n_runs > 0;
		for (i = 0; i < s->n_runs; i++)
			if (strcmp(s->runs[i].id, run_id) == 0)
				return (s);
	}
	return (NULL);
}

static bool
sess_runs(const struct sess *s, const char *run_id)
{
	uint32_t i;

	for (i = 0; i < s->n_runs; i++)
		if (strcmp(s->runs[i].id, run_id) == 0)
			return (true);
	return (false);
}

/* Without a run id and without clearQueued only the running one is aborted. */
static const char *
running_id(const struct sess *s)
{
	uint32_t i;

	for (i = 0; i < s->n_runs; i++)
		if (s->runs[i].status == CHELA_RUN_RUNNING)
			return (s->runs[i].id);
	return (NULL);
}

int
sessions_abort(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o, *ids = NULL, *first = NULL;
	const char		*run_id = get_str(params, "runId");
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	struct sess		*s = NULL;
	int			 n = 0;

	(void)ctx;
	if (get_str(params, "key") != NULL) {
		if (call_key(req, params, "key", key) < 0)
			return (0);
		s = sess_find(key);
	} else if (run_id != NULL) {
		s = find_run(run_id);
	} else {
		return (sessions.host->req_fail(req, ERR_BAD,
		    "key or runId is required"));
	}
	if (s != NULL && run_id != NULL && !sess_runs(s, run_id) &&
	    find_run(run_id) != NULL)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "runId does not match key"));
	if (s != NULL && run_id == NULL &&
	    !get_bool(params, "clearQueued", false))
		run_id = running_id(s);
	if (s != NULL && s->n_runs > 0 && sessions.runner != NULL) {
		/* The run's end takes its name out of the session's list. */
		char *id = run_id != NULL ? strdup(run_id) : NULL;

		if (run_id != NULL && id == NULL)
			return (-ENOMEM);
		n = sessions.runner->abort(s->key, id, "rpc", &ids);
		free(id);
	}
	if (n > 0)
		first = json_object_get(json_object_array_get_idx(ids, 0));
	json_object_put(ids);
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(1));
	json_object_object_add(o, "abortedRunId", first);
	set_str(o, "status", n > 0 ? "aborted" : "no-active-run");
	return (sessions.host->req_reply(req, o));
}
