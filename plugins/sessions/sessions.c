/* SPDX-License-Identifier: MIT */
/*
 * Plugin sessions: the conversations of all agents, their transcripts, and who
 * is told of a change. It starts no runs: plugin chat hands it a runner for the
 * methods that do.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

struct sessions sessions;

static int
svc_info(const char *key, struct chela_session_info *ret_info)
{
	struct chela_session_info	 info = { 0 };
	struct sess			*s = sess_find(key);
	size_t				 size = ret_info->struct_size;

	if (s == NULL)
		return (-ENOENT);
	info.struct_size = ret_info->struct_size;
	info.run_status = s->status;
	info.key = s->key;
	info.agent_id = s->agent;
	info.session_id = s->id;
	info.label = s->label != NULL ? s->label : "";
	info.updated_at_ms = s->updated_ms;
	info.first_seq = s->first;
	info.last_seq = s->seq;
	info.active_runs = s->n_runs;
	info.is_main = s->is_main;
	memcpy(ret_info, &info, size < sizeof info ? size : sizeof info);
	return (0);
}

static const char *
svc_find_id(const char *id)
{
	struct sess *s = sess_find_id(id);

	return (s != NULL ? s->key : NULL);
}

static const char *
svc_find_label(const char *label)
{
	struct sess *s = sess_find_label(label);

	return (s != NULL ? s->key : NULL);
}

static int
svc_each(const char *agent_id,
    int (*cb)(const struct chela_session_info *info, void *arg), void *arg)
{
	struct chela_session_info	 info = { .struct_size = sizeof info };
	struct sess			*s, *older;
	int				 r = 0;

	for (s = sessions.newest[BY_UPDATE]; s != NULL && r == 0; s = older) {
		older = SESS_OLDER(s);
		if (agent_id != NULL && strcmp(agent_id, s->agent) != 0)
			continue;
		if (svc_info(s->key, &info) == 0)
			r = cb(&info, arg);
	}
	return (r);
}

static int
svc_get(const char *key, struct json_object **ret_entry)
{
	struct json_object	*entry;
	struct sess		*s = sess_find(key);

	if (s == NULL)
		return (-ENOENT);
	entry = entry_public(s);
	if (entry == NULL)
		return (-EIO);
	*ret_entry = entry;
	return (0);
}

static int
svc_ensure(const char *key, struct json_object *fields,
    const char *created_via)
{
	struct sess	*s = NULL;
	int		 r;

	r = entry_ensure(key, fields, created_via, &s);
	if (r == 1)
		changed_emit(s, NULL, "create", NULL);
	return (r);
}

struct patch_job {
	chela_session_done_fn	*done;
	void			*arg;
};

static void
patch_stored(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct patch_job *job = arg;

	(void)ctx;
	(void)rev;
	job->done(r, job->arg);
	free(job);
}

static int
svc_patch(const char *key, struct json_object *fields, const char *reason,
    chela_session_done_fn *done, void *arg)
{
	struct json_object	*entry = NULL;
	struct patch_job	*job = NULL;
	struct sess		*s = sess_find(key);
	int			 r = -ENOENT;

	if (s != NULL)
		r = entry_get(s, &entry);
	if (r >= 0 && done != NULL) {
		job = malloc(sizeof *job);
		r = job != NULL ? 0 : -ENOMEM;
	}
	if (r < 0) {
		json_object_put(fields);
		json_object_put(entry);
		return (r);
	}
	if (job != NULL) {
		job->done = done;
		job->arg = arg;
	}
	r = entry_put(s, entry, fields, job != NULL ? patch_stored : NULL,
	    job);
	if (r < 0) {
		free(job);
		return (r);
	}
	changed_emit(s, NULL, reason, NULL);
	return (0);
}

static int
svc_remove(const char *key, chela_session_done_fn *done, void *arg)
{
	struct patch_job	*job = NULL;
	struct sess		*s = sess_find(key);
	int			 r;

	if (s == NULL)
		return (-ENOENT);
	if (s->n_runs > 0)
		return (-EBUSY);
	if (done != NULL) {
		job = malloc(sizeof *job);
		if (job == NULL)
			return (-ENOMEM);
		job->done = done;
		job->arg = arg;
	}
	r = session_remove(s, true, job != NULL ? patch_stored : NULL, job);
	if (r < 0)
		free(job);
	return (r);
}

static struct json_object *
svc_row(const char *key)
{
	struct sess *s = sess_find(key);

	return (s != NULL ? row_object(s, ROW_TITLE | ROW_PREVIEW) : NULL);
}

static void
svc_set_runner(const struct chela_session_runner *runner)
{
	sessions.runner = runner;
}

static const struct chela_sessions_1 service = {
	.struct_size = sizeof service,
	.canonical = key_canonical,
	.agent_of = key_agent,
	.main_key = key_main,
	.agent_id = agent_find,
	.info = svc_info,
	.find_id = svc_find_id,
	.find_label = svc_find_label,
	.each = svc_each,
	.get = svc_get,
	.ensure = svc_ensure,
	.patch = svc_patch,
	.append = log_append,
	.read = log_read,
	.reset = log_reset,
	.trim = log_keep,
	.run_state = run_state,
	.tool = run_tool,
	.row = svc_row,
	.defaults = row_defaults,
	.usage_days = account_days,
	.set_runner = svc_set_runner,
	.find_row = log_find_row,
	.remove = svc_remove,
};

static int
sessions_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&sessions, 0, sizeof sessions);
	sessions.ctx = ctx;
	sessions.host = host;
	return (host->svc_export(ctx, CHELA_SESSIONS_SERVICE, &service));
}

static int
sessions_start(struct chela_ctx *ctx)
{
	(void)ctx;
	return (index_load());
}

static void
sessions_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	watchers_free();
	index_free();
}

#define READ(n, h) \
	{ .name = (n), .handler = (h), .roles = CHELA_ROLE_OPERATOR, \
	  .scope = "read" }
#define READ_HIDDEN(n, h) \
	{ .name = (n), .handler = (h), .roles = CHELA_ROLE_OPERATOR, \
	  .scope = "read", .flags = CHELA_METHOD_HIDDEN }

static const struct chela_method methods[] = {
	READ("sessions.list", sessions_list),
	READ("sessions.subscribe", sessions_subscribe),
	READ("sessions.messages.subscribe", sessions_messages_subscribe),
	READ("sessions.messages.unsubscribe", sessions_messages_unsubscribe),
	READ("sessions.preview", sessions_preview),
	READ("sessions.describe", sessions_describe),
	READ_HIDDEN("sessions.resolve", sessions_resolve),
	READ_HIDDEN("sessions.get", sessions_get),
	READ("sessions.search", sessions_search),
	READ_HIDDEN("sessions.usage", sessions_usage),
	READ_HIDDEN("sessions.usage.timeseries", sessions_usage_timeseries),
	READ_HIDDEN("sessions.usage.logs", sessions_usage_logs),
	{
		.name = "sessions.create",
		.handler = sessions_create,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
		.dynamic_scope = sessions_create_scope,
	},
	{
		.name = "sessions.send",
		.handler = sessions_send,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT,
		.scope = "write",
	},
	{
		.name = "sessions.steer",
		.handler = sessions_steer,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_IDEMPOTENT | CHELA_METHOD_HIDDEN,
		.scope = "write",
	},
	{
		.name = "sessions.abort",
		.handler = sessions_abort,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
	},
	{
		.name = "sessions.patch",
		.handler = sessions_patch,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
		.dynamic_scope = sessions_patch_scope,
	},
	{
		.name = "sessions.reset",
		.handler = sessions_reset,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "sessions.delete",
		.handler = sessions_delete,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "sessions.compact",
		.handler = sessions_compact,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
};

static const struct chela_event events[] = {
	{ .name = "sessions.changed", .scope = "read" },
	{ .name = "session.message", .scope = "read" },
	{ .name = "session.tool", .scope = "read" },
	{ .name = "session.operation", .scope = "read" },
};

CHELA_PLUGIN = {
	CHELA_HEAD("sessions"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Conversations, their transcripts and settings",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = sessions_init,
	.start = sessions_start,
	.fini = sessions_fini,
};
