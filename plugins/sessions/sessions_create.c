/* SPDX-License-Identifier: MIT */
/* sessions.create: a new session, with a first message if there is one. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

#define FORK_ROWS_MAX	1000u	/* copied: the last ones */
#define FORK_PAGE	50u	/* rows in one turn of the loop */
#define FORK_PAGE_BYTES	4194304u
#define CREATE_ID_MAX	64u	/* of an idempotency key in a session key */

struct create {
	struct chela_req	*req;
	struct json_object	*params;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	uint64_t		 fork_next;	/* of the parent's rows */
	uint64_t		 fork_last;
	bool			 is_new;
};

/* Members that ask for what this gateway has not got. */
static const char *const absent[] = {
	"incognito", "worktree", "projectId", "projectGitUrl", "worktreeName",
	"worktreeBaseRef", "catalogId",
};

const char *
sessions_create_scope(struct chela_ctx *ctx, struct json_object *params)
{
	static const char *const guarded[] = {
		"execNode", "permissionMode", "toolOverrides", "cwd",
		"spawnDepth", "thinkingLevel", "fastMode",
	};
	size_t i;

	(void)ctx;
	for (i = 0; i < sizeof guarded / sizeof guarded[0]; i++)
		if (get_any(params, guarded[i]) != NULL)
			return ("admin");
	return (NULL);
}

static void
create_free(struct create *c)
{
	if (c->req != NULL)
		sessions.host->req_unref(c->req);
	json_object_put(c->params);
	free(c);
}

static bool
id_is_plain(const char *id)
{
	size_t i;

	for (i = 0; id[i] != '\0'; i++)
		if (!isalnum((unsigned char)id[i]) && id[i] != '-' &&
		    id[i] != '_')
			return (false);
	return (i > 0 && i <= CREATE_ID_MAX);
}

/*
 * Without a key the name comes from the idempotency key, so that a call that is
 * repeated finds the session it made.
 */
static int
create_key(struct create *c, struct json_object *params)
{
	const char	*agent_name = get_str(params, "agentId");
	const char	*once = get_str(params, "idempotencyKey");
	char		 agent[CHELA_SESSION_AGENT_MAX + 1], uuid[37];

	if (get_str(params, "key") != NULL)
		return (call_key(c->req, params, "key", c->key));
	if (agent_name == NULL) {
		agent_default(agent);
	} else if (agent_find(agent_name, agent) < 0) {
		(void)sessions.host->req_fail(c->req, ERR_BAD,
		    "Unknown agent id \"%s\"", agent_name);
		return (-ENOENT);
	}
	if (once == NULL || !id_is_plain(once)) {
		sessions.host->uuid(uuid);
		once = uuid;
	}
	(void)snprintf(c->key, sizeof c->key, "agent:%s:dashboard:%s", agent,
	    once);
	return (0);
}

/* The members that patch knows as well go through its checks. */
static int
create_fields(struct create *c, struct json_object **ret_fields)
{
	static const char *const same[] = {
		"label", "displayName", "category", "model", "contextWindow",
		"thinkingLevel", "fastMode", "permissionMode", "toolOverrides",
		"execNode",
	};
	struct json_object	*sub = json_object_new_object(), *v;
	const char		*parent = get_str(c->params, "parentSessionKey");
	char			 canon[CHELA_SESSION_KEY_MAX + 1];
	size_t			 i;
	int			 r;

	for (i = 0; i < sizeof same / sizeof same[0]; i++) {
		v = get_any(c->params, same[i]);
		if (v != NULL)
			json_object_object_add(sub, same[i],
			    json_object_get(v));
	}
	r = patch_apply(c->key, sub, c->req, ret_fields);
	json_object_put(sub);
	if (r < 0)
		return (r);
	set_str(*ret_fields, "execCwd", get_str(c->params, "cwd"));
	if (parent == NULL)
		return (0);
	if (sess_find(parent) == NULL ||
	    key_canonical(parent, NULL, canon) < 0) {
		json_object_put(*ret_fields);
		*ret_fields = NULL;
		(void)sessions.host->req_fail(c->req, ERR_BAD,
		    "session not found: %s", parent);
		return (-ENOENT);
	}
	set_str(*ret_fields, "parentSessionKey", canon);
	if (get_bool(c->params, "fork", false))
		json_object_object_add(*ret_fields, "forkedFromParent",
		    json_object_new_boolean(1));
	return (0);
}

static const char *
create_message(struct create *c)
{
	const char *m = get_str(c->params, "message");

	if (m == NULL)
		m = get_str(c->params, "task");
	if (m == NULL && get_any(c->params, "attachments") != NULL)
		m = "";
	return (m);
}

/* Gives the first message to the runner; the outcome is part of the answer. */
static void
create_run(struct create *c, struct json_object *answer)
{
	struct json_object	*p, *got = NULL;
	const char		*id = get_str(c->params, "idempotencyKey");
	char			 uuid[37];
	int			 r = -ENOSYS;

	p = json_object_new_object();
	sessions.host->uuid(uuid);
	set_str(p, "sessionKey", c->key);
	set_str(p, "message", create_message(c));
	set_str(p, "idempotencyKey", id != NULL ? id : uuid);
	if (get_any(c->params, "attachments") != NULL)
		json_object_object_add(p, "attachments",
		    json_object_get(get_any(c->params, "attachments")));
	if (sessions.runner != NULL)
		r = sessions.runner->start(c->req, p, &got);
	json_object_object_add(answer, "runStarted",
	    json_object_new_boolean(r >= 0));
	if (r >= 0) {
		set_str(answer, "runId", get_str(got, "runId"));
		json_object_put(got);
	} else {
		if (got == NULL) {
			got = json_object_new_object();
			set_str(got, "code", ERR_GONE);
			set_str(got, "message", "no plugin starts runs");
		}
		json_object_object_add(answer, "runError", got);
	}
	json_object_put(p);
}

static void
create_answer(struct create *c)
{
	struct json_object	*o, *resolved;
	struct sess		*s = sess_find(c->key);

	if (s == NULL) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the session was deleted meanwhile");
		create_free(c);
		return;
	}
	if (c->is_new)
		changed_emit(s, NULL, "create", NULL);
	o = json_object_new_object();
	json_object_object_add(o, "ok", json_object_new_boolean(1));
	set_str(o, "key", s->key);
	set_str(o, "sessionId", s->id);
	json_object_object_add(o, "entry", entry_public(s));
	if (create_message(c) != NULL)
		create_run(c, o);
	else
		json_object_object_add(o, "runStarted",
		    json_object_new_boolean(0));
	resolved = row_defaults(s->agent);
	json_object_object_add(o, "resolved", resolved);
	(void)sessions.host->req_reply(c->req, o);
	create_free(c);
}

static void	fork_next(struct create *c);

static void
fork_failed(struct create *c)
{
	(void)sessions.host->req_fail(c->req, ERR_GONE,
	    "the parent's transcript can not be copied");
	create_free(c);
}

static void
fork_stored(int r, uint64_t seq, const char *id, void *arg)
{
	(void)seq;
	(void)id;
	if (r < 0)
		fork_failed(arg);
	else
		fork_next(arg);
}

/* One page of the parent's rows; the last of it reads the next page. */
static void
fork_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct create	*c = arg;
	size_t		 i = 0;

	/* Positions may be missing: what was copied comes again then. */
	while (i < n && rows[i].seq + FORK_PAGE < c->fork_next)
		i++;
	if (r >= 0 && i == n) {
		fork_next(c);
		return;
	}
	for (; r >= 0 && i < n; i++) {
		struct chela_session_append in = {
			.struct_size = sizeof in,
			.flags = CHELA_APPEND_QUIET,
			.key = c->key,
		};

		in.row = json_tokener_parse(rows[i].text);
		/* Counted in the parent already. */
		json_object_object_del(in.row, "usage");
		r = log_append(&in, i + 1 == n ? fork_stored : NULL, c);
	}
	if (r < 0)
		fork_failed(c);
}

static void
fork_next(struct create *c)
{
	if (c->fork_next > c->fork_last) {
		create_answer(c);
		return;
	}
	c->fork_next += FORK_PAGE;
	if (log_read(get_str(c->params, "parentSessionKey"), c->fork_next,
	    FORK_PAGE, FORK_PAGE_BYTES, 0, fork_read, c) < 0)
		fork_failed(c);
}

/* Copies the parent's last rows. */
static void
fork_start(struct create *c)
{
	struct sess *s = sess_find(get_str(c->params, "parentSessionKey"));

	if (s == NULL) {
		fork_failed(c);
		return;
	}
	c->fork_last = s->seq;
	c->fork_next = s->first;
	if (c->fork_last >= c->fork_next &&
	    c->fork_last - c->fork_next >= FORK_ROWS_MAX)
		c->fork_next = c->fork_last - FORK_ROWS_MAX + 1;
	fork_next(c);
}

static void
create_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct create	*c = arg;
	const char	*parent = get_str(c->params, "parentSessionKey");

	(void)ctx;
	(void)rev;
	if (r < 0) {
		(void)sessions.host->req_fail(c->req, ERR_GONE,
		    "the session could not be stored");
		create_free(c);
		return;
	}
	if (c->is_new && parent != NULL && get_bool(c->params, "fork", false))
		fork_start(c);
	else
		create_answer(c);
}

static bool
create_refused(struct chela_req *req, struct json_object *params)
{
	size_t i;

	for (i = 0; i < sizeof absent / sizeof absent[0]; i++) {
		struct json_object *v = get_any(params, absent[i]);

		if (v == NULL || (json_object_is_type(v, json_type_boolean) &&
		    !json_object_get_boolean(v)))
			continue;
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "%s is not offered by this gateway", absent[i]);
		return (true);
	}
	return (false);
}

int
sessions_create(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*fields = NULL, *entry = NULL;
	struct sess		*s = NULL;
	struct create		*c;
	int			 r;

	(void)ctx;
	if (create_refused(req, params))
		return (0);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		return (-ENOMEM);
	c->req = sessions.host->req_ref(req);
	c->params = json_object_get(params);
	r = create_key(c, params);
	if (r >= 0)
		r = create_fields(c, &fields);
	if (r < 0)
		goto fail;
	r = entry_ensure(c->key, NULL, "operator", &s);
	if (r == -ENOSPC)
		(void)sessions.host->req_fail(req, ERR_GONE,
		    "too many sessions (at most %u)", SESSIONS_MAX);
	if (r < 0)
		goto fail;
	c->is_new = r == 1;
	r = entry_get(s, &entry);
	if (r < 0)
		goto fail;
	r = entry_put(s, entry, fields, create_stored, c);
	fields = NULL;
	if (r >= 0)
		return (0);
fail:
	json_object_put(fields);
	create_free(c);
	return (r);
}
