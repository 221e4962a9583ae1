/* SPDX-License-Identifier: MIT */
/*
 * What others do: configuration, pairing and plugins of the core, runs of
 * agents, decisions on approvals.
 */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLUGINS_MAX	256u

struct seen {
	char		 id[64];
	uint32_t	 state;
	bool		 is_here;
};

static const struct chela_config_1	*config;
static const struct chela_plugins_1	*plugins;
static struct seen			 seen[PLUGINS_MAX];
static size_t				 n_seen;
static uint64_t				 generation;
static bool				 has_looked;

static void
note(const char *action, const char *status, const char *type, const char *id,
    const char *detail)
{
	const struct chela_audit_security s = {
		.struct_size = sizeof s,
		.flags = strcmp(status, "succeeded") == 0 ? CHELA_AUDIT_EACH :
		    0,
		.action = action,
		.status = status,
		.actor_type = type,
		.actor_id = id,
		.detail = detail,
	};

	(void)record_security(audit.ctx, &s);
}

/* How much changed, not what: a path can have a name in it. */
static void
on_config(const struct chela_config_change *change, void *arg)
{
	char	 text[64];

	(void)arg;
	(void)snprintf(text, sizeof text, "%zu places%s", change->n_changed,
	    change->kind == CHELA_CONFIG_RESTART ? ", restart" : "");
	note("config.changed", "succeeded", "system", "config", text);
}

static void
on_access(struct chela_ctx *ctx, const struct chela_access_event *ev, void *arg)
{
	const char	*decision, *remote;

	(void)ctx;
	(void)arg;
	switch (ev->what) {
	case CHELA_ACCESS_REQUESTED:
		note("pairing.requested", "started", "device", ev->device_id,
		    NULL);
		break;
	case CHELA_ACCESS_RESOLVED:
		decision = get_str(ev->data, "decision");
		note("pairing.resolved", decision != NULL &&
		    strcmp(decision, "approved") == 0 ? "succeeded" : "blocked",
		    "device", ev->device_id, decision);
		break;
	case CHELA_ACCESS_CHANGED:
		note("device.changed", "succeeded", "device", ev->device_id,
		    get_str(ev->data, "reason"));
		break;
	case CHELA_ACCESS_SETUP_DONE:
	case CHELA_ACCESS_SETUP_UNCERTAIN:
		note("setup.done", "succeeded", "device", ev->device_id,
		    get_str(ev->data, "role"));
		break;
	case CHELA_ACCESS_REFUSED:
		remote = get_str(ev->data, "remote");
		note("auth.refused", "blocked", "address", remote != NULL &&
		    *remote != '\0' ? remote : "local", get_str(ev->data,
		    "reason"));
		break;
	default:
		break;
	}
}

/* --- runs of agents --- */

static void
on_run(const struct chela_agent_event *ev, void *arg)
{
	struct chela_audit_action	 a = {
		.struct_size = sizeof a,
		.agent_id = ev->agent_id,
		.run_id = ev->run_id,
		.session_key = ev->session_key,
		.session_id = ev->session_id,
	};
	const char			*why;

	(void)arg;
	switch (ev->kind) {
	case CHELA_AGENT_STARTED:
		a.status = "started";
		break;
	case CHELA_AGENT_TOOL:
		a.is_tool = 1;
		why = get_str(ev->data, "phase");
		if (why == NULL || strcmp(why, "start") == 0)
			a.status = "started";
		else if (strcmp(why, "result") == 0 || strcmp(why, "end") == 0)
			a.status = get_bool(ev->data, "isError", false) ?
			    "failed" : "succeeded";
		else
			return;
		a.tool_name = get_str(ev->data, "name");
		a.tool_call_id = get_str(ev->data, "toolCallId");
		break;
	case CHELA_AGENT_FINAL:
		a.status = "succeeded";
		break;
	case CHELA_AGENT_ABORTED:
		a.status = ev->stop_reason != NULL &&
		    strcmp(ev->stop_reason, "timeout") == 0 ? "timed_out" :
		    "cancelled";
		break;
	case CHELA_AGENT_ERROR:
		why = ev->error_kind;
		a.status = why != NULL && strcmp(why, "timeout") == 0 ?
		    "timed_out" : "failed";
		break;
	default:
		return;
	}
	(void)record_action(audit.ctx, &a);
}

static const struct chela_agent_watcher run_watcher = {
	.struct_size = sizeof run_watcher,
	.event = on_run,
};

/* --- approvals --- */

static int
on_opened(const struct chela_record_info *info, void *arg)
{
	(void)arg;
	note("approval.requested", "started", "approval", info->id,
	    info->kind);
	return (0);
}

/* Who decided, and how; what was asked is in the record itself. */
static void
on_ended(const struct chela_record_info *info, void *arg)
{
	static const struct {
		const char	*status, *word;
	} ends[] = {
		[CHELA_RECORD_PENDING] = { "unknown", "none" },
		[CHELA_RECORD_ALLOWED] = { "succeeded", "allowed" },
		[CHELA_RECORD_DENIED] = { "blocked", "denied" },
		[CHELA_RECORD_EXPIRED] = { "timed_out", "expired" },
		[CHELA_RECORD_CANCELLED] = { "cancelled", "cancelled" },
	};
	char				 text[CHELA_AUDIT_TEXT_MAX + 1];
	struct chela_audit_security	 s = {
		.struct_size = sizeof s,
		.flags = CHELA_AUDIT_EACH,
		.action = "approval.resolved",
		.actor_type = info->resolver_kind,
		.actor_id = info->resolver_id,
		.detail = text,
	};

	(void)arg;
	if (info->status >= sizeof ends / sizeof ends[0])
		return;
	s.status = ends[info->status].status;
	(void)snprintf(text, sizeof text, "%s %s %s (%s)", info->kind,
	    info->id, info->decision == CHELA_ALLOW_ALWAYS ? "always allowed" :
	    ends[info->status].word, info->reason);
	(void)record_security(audit.ctx, &s);
}

static const struct chela_record_watcher record_watcher = {
	.struct_size = sizeof record_watcher,
	.opened = on_opened,
	.ended = on_ended,
};

/* A plugin that comes later starts this one anew. */
static void
others_watch(void)
{
	const struct chela_agent_1		*agent;
	const struct chela_approval_records_1	*records;

	agent = audit.host->svc_import(audit.ctx, CHELA_AGENT_SERVICE);
	if (agent != NULL && agent->watch(&run_watcher, NULL) < 0)
		audit.host->log(audit.ctx, CHELA_LOG_WARNING,
		    "audit: runs cannot be recorded (too many watchers)");
	records = audit.host->svc_import(audit.ctx,
	    CHELA_APPROVAL_RECORDS_SERVICE);
	if (records != NULL && records->watch(&record_watcher, NULL) < 0)
		audit.host->log(audit.ctx, CHELA_LOG_WARNING,
		    "audit: approvals cannot be recorded (too many watchers)");
}

static void
others_unwatch(void)
{
	const struct chela_agent_1		*agent;
	const struct chela_approval_records_1	*records;

	agent = audit.host->svc_import(audit.ctx, CHELA_AGENT_SERVICE);
	if (agent != NULL)
		agent->unwatch(&run_watcher, NULL);
	records = audit.host->svc_import(audit.ctx,
	    CHELA_APPROVAL_RECORDS_SERVICE);
	if (records != NULL)
		records->unwatch(&record_watcher, NULL);
}

/* --- plugins --- */

static int
on_plugin(const struct chela_plugin_info *info, void *arg)
{
	const bool	*is_first = arg;
	struct seen	*s = NULL;
	size_t		 i;

	for (i = 0; i < n_seen && s == NULL; i++) {
		if (strcmp(seen[i].id, info->id) == 0)
			s = &seen[i];
	}
	if (s != NULL && s->state == info->state) {
		s->is_here = true;
		return (0);
	}
	if (s == NULL) {
		if (n_seen == PLUGINS_MAX)
			return (0);
		s = &seen[n_seen++];
		(void)snprintf(s->id, sizeof s->id, "%s", info->id);
	}
	s->state = info->state;
	s->is_here = true;
	if (!*is_first)
		note(info->state == CHELA_PLUGIN_ENABLED ? "plugin.enabled" :
		    info->state == CHELA_PLUGIN_DISABLED ? "plugin.disabled" :
		    "plugin.failed", info->state == CHELA_PLUGIN_FAILED ?
		    "failed" : "succeeded", "plugin", info->id, NULL);
	return (0);
}

static void
look(struct chela_ctx *ctx, void *arg)
{
	bool	 is_first = !has_looked;
	size_t	 i;

	(void)ctx;
	(void)arg;
	if (has_looked && plugins->generation() == generation)
		return;
	has_looked = true;
	generation = plugins->generation();
	for (i = 0; i < n_seen; i++)
		seen[i].is_here = false;
	(void)plugins->each(on_plugin, &is_first);
	for (i = n_seen; i-- > 0;) {
		if (seen[i].is_here)
			continue;
		note("plugin.removed", "succeeded", "plugin", seen[i].id, NULL);
		seen[i] = seen[--n_seen];
	}
}

int
watch_open(void)
{
	const struct chela_access_1	*access;
	int				 r = 0;

	n_seen = 0;
	has_looked = false;
	config = audit.host->svc_import(audit.ctx, CHELA_CONFIG_SERVICE);
	if (config != NULL)
		(void)config->subscribe(on_config, NULL);
	access = audit.host->svc_import(audit.ctx, CHELA_ACCESS_SERVICE);
	if (access != NULL)
		(void)access->on_event(audit.ctx, on_access, NULL);
	plugins = audit.host->svc_import(audit.ctx, CHELA_PLUGINS_SERVICE);
	if (plugins != NULL) {
		/* Not now: the others of this start are still being loaded. */
		r = audit.host->post(audit.ctx, look, NULL);
		if (r == 0)
			r = plugins->on_change(audit.ctx, look, NULL);
	}
	others_watch();
	note("gateway.started", "succeeded", "system", "gateway", NULL);
	return (r);
}

void
watch_close(void)
{
	others_unwatch();
	if (config != NULL)
		config->unsubscribe(on_config, NULL);
	note("gateway.stopped", "succeeded", "system", "gateway", NULL);
}
