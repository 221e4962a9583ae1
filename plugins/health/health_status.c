/* SPDX-License-Identifier: MIT */
/* status: the same for people. Who is not an administrator sees less. */
#include "health.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * How many descriptors are open. Older kernels do not say; then the lowest free one
 * does, below which all are open.
 */
static int64_t
n_files(void)
{
	struct stat	 st;
	int		 fd;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return ((int64_t)st.st_size);
	fd = dup(STDIN_FILENO);
	if (fd >= 0)
		(void)close(fd);
	return (fd < 0 ? 0 : fd);
}

/* What a plugin that leaks would show in: nobody can tell whose it is. */
static int
files_add(struct json_object *o)
{
	struct json_object	*f = json_object_new_object();
	struct rlimit		 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		rl.rlim_cur = 0;
	if (f == NULL || json_add_int(f, "open", n_files()) < 0 ||
	    json_add_int(f, "limit", (int64_t)rl.rlim_cur) < 0) {
		json_object_put(f);
		return (-ENOMEM);
	}
	return (json_add(o, "processFiles", f));
}

/* From the kernel's memory, not from a disk: it does not block. */
static int
memory_add(struct json_object *o)
{
	struct json_object	*m = json_object_new_object();
	struct rusage		 usage;
	long			 pages = 0, page = sysconf(_SC_PAGESIZE);
	FILE			*f;

	f = fopen("/proc/self/statm", "re");
	if (f != NULL) {
		if (fscanf(f, "%*d %ld", &pages) != 1)
			pages = 0;
		(void)fclose(f);
	}
	if (getrusage(RUSAGE_SELF, &usage) < 0)
		memset(&usage, 0, sizeof usage);
	if (m == NULL || json_add_int(m, "rssBytes", (int64_t)pages * page) < 0 ||
	    json_add_int(m, "maxRssBytes", (int64_t)usage.ru_maxrss * 1024) < 0) {
		json_object_put(m);
		return (-ENOMEM);
	}
	return (json_add(o, "processMemory", m));
}

static int
line_one(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_channel_1	*c = vtable;
	char				 line[256];

	(void)plugin;
	(void)snprintf(line, sizeof line, "%.100s: %s", c->label,
	    c->configured() ? "configured" : "not configured");
	return (json_push(arg, json_object_new_string(line)) < 0);
}

static int
channels_add(struct json_object *o)
{
	struct json_object	*list = json_object_new_array();

	if (list == NULL)
		return (-ENOMEM);
	(void)hl.host->svc_each(hl.ctx, CHELA_CHANNEL_SERVICE, line_one, list);
	return (json_add(o, "channelSummary", list));
}

/* The texts that wait; who may not administrate gets none. */
static int
events_add(struct json_object *o, bool is_admin)
{
	const struct chela_system_1	*svc = hl_service(CHELA_SYSTEM_SERVICE);
	struct json_object		*list = json_object_new_array();
	struct json_object		*all, *text;
	size_t				 i;

	if (list == NULL)
		return (-ENOMEM);
	all = is_admin && svc != NULL ? svc->all_events() : NULL;
	for (i = 0; all != NULL && i < json_object_array_length(all); i++) {
		if (json_object_object_get_ex(json_object_array_get_idx(all, i),
		    "text", &text))
			(void)json_push(list, json_object_get(text));
	}
	json_object_put(all);
	return (json_add(o, "queuedSystemEvents", list));
}

static int
defaults_add(struct json_object *sessions, bool is_admin)
{
	const struct chela_sessions_1	*svc = hl_service(
					    CHELA_SESSIONS_SERVICE);
	struct json_object		*o = json_object_new_object();
	struct json_object		*all = NULL, *v;
	static const char *const	 names[] = { "model", "contextTokens" };
	size_t				 i;
	int				 r = 0;

	if (o == NULL)
		return (-ENOMEM);
	if (is_admin && svc != NULL)
		all = svc->defaults(NULL);
	for (i = 0; r == 0 && i < 2; i++) {
		if (all != NULL && json_object_object_get_ex(all, names[i], &v)
		    && v != NULL)
			r = json_add(o, names[i], json_object_get(v));
		else
			r = json_object_object_add(o, names[i], NULL);
	}
	json_object_put(all);
	if (r < 0) {
		json_object_put(o);
		return (r);
	}
	return (json_add(sessions, "defaults", o));
}

/* [{agentId, path, count, recent}] from the agents' summaries. */
static int
by_agent_add(struct json_object *sessions, struct json_object *agents,
    bool is_admin)
{
	struct json_object	*list = json_object_new_array();
	struct json_object	*o, *a, *s, *v;
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(agents); i++) {
		a = json_object_array_get_idx(agents, i);
		(void)json_object_object_get_ex(a, "sessions", &s);
		o = json_object_new_object();
		if (o == NULL || !json_object_object_get_ex(a, "agentId", &v) ||
		    json_add(o, "agentId", json_object_get(v)) < 0 ||
		    !json_object_object_get_ex(s, "count", &v) ||
		    json_add(o, "count", json_object_get(v)) < 0 ||
		    !json_object_object_get_ex(s, "path", &v) ||
		    json_add(o, "path", is_admin ? json_object_get(v) :
		    json_object_new_string("[redacted]")) < 0 ||
		    !json_object_object_get_ex(s, "recent", &v) ||
		    json_add(o, "recent", is_admin ? json_object_get(v) :
		    json_object_new_array()) < 0 || json_push(list, o) < 0) {
			json_object_put(o);
			json_object_put(list);
			return (-ENOMEM);
		}
	}
	return (json_add(sessions, "byAgent", list));
}

static int
sessions_add(struct json_object *o, struct json_object *agents, bool is_admin)
{
	struct json_object	*all = summary_sessions(NULL,
				    HEALTH_STATUS_RECENT);
	struct json_object	*s = json_object_new_object();
	struct json_object	*paths = json_object_new_array(), *v;
	int			 r = -ENOMEM;

	if (all == NULL || s == NULL || paths == NULL) {
		json_object_put(paths);
		goto out;
	}
	if (is_admin && json_object_object_get_ex(all, "path", &v))
		(void)json_push(paths, json_object_get(v));
	r = json_add(s, "paths", paths);
	if (r == 0 && json_object_object_get_ex(all, "count", &v))
		r = json_add(s, "count", json_object_get(v));
	if (r == 0)
		r = defaults_add(s, is_admin);
	if (r == 0 && json_object_object_get_ex(all, "recent", &v))
		r = json_add(s, "recent", is_admin ? json_object_get(v) :
		    json_object_new_array());
	if (r == 0)
		r = by_agent_add(s, agents, is_admin);
	if (r == 0) {
		r = json_add(o, "sessions", s);
		s = NULL;
	}
out:
	json_object_put(all);
	json_object_put(s);
	return (r);
}

static int
beat_add(struct json_object *o, struct json_object *agents)
{
	struct json_object	*h = json_object_new_object();
	struct json_object	*list = json_object_new_array();
	struct json_object	*a, *v, *one, *x;
	size_t			 i;

	if (h == NULL || list == NULL)
		goto fail;
	for (i = 0; i < json_object_array_length(agents); i++) {
		a = json_object_array_get_idx(agents, i);
		one = json_object_new_object();
		if (one == NULL ||
		    !json_object_object_get_ex(a, "agentId", &v) ||
		    json_add(one, "agentId", json_object_get(v)) < 0 ||
		    !json_object_object_get_ex(a, "heartbeat", &v) ||
		    !json_object_object_get_ex(v, "enabled", &x) ||
		    json_add(one, "enabled", json_object_get(x)) < 0 ||
		    !json_object_object_get_ex(v, "every", &x) ||
		    json_add(one, "every", json_object_get(x)) < 0) {
			json_object_put(one);
			goto fail;
		}
		(void)json_object_object_get_ex(v, "everyMs", &x);
		if (json_object_object_add(one, "everyMs",
		    json_object_get(x)) < 0 || json_push(list, one) < 0)
			goto fail;
	}
	if (json_add_str(h, "defaultAgentId", summary_default_agent()) < 0)
		goto fail;
	if (json_add(h, "agents", list) < 0) {
		json_object_put(h);
		return (-ENOMEM);
	}
	return (json_add(o, "heartbeat", h));
fail:
	json_object_put(h);
	json_object_put(list);
	return (-ENOMEM);
}

static int
status_fill(struct json_object *o, bool is_admin)
{
	const struct chela_models_1	*models = hl_service(
					    CHELA_MODELS_SERVICE);
	struct json_object		*agents, *sockets;
	int				 r;

	agents = summary_agents(HEALTH_STATUS_RECENT);
	if (agents == NULL)
		return (-ENOMEM);
	r = json_add_str(o, "runtimeVersion", hl.state->version());
	if (r == 0)
		r = beat_add(o, agents);
	if (r == 0)
		r = channels_add(o);
	if (r == 0)
		r = events_add(o, is_admin);
	if (r == 0)
		r = sessions_add(o, agents, is_admin);
	json_object_put(agents);
	if (r == 0)
		r = json_add_str(o, "configStatus", hl.config == NULL ? "ok" :
		    hl.config->reload_status());
	if (r == 0)
		r = json_add_bool(o, "modelConfigured", models != NULL &&
		    models->configured());
	if (r == 0)
		r = json_add_int(o, "uptimeMs", (int64_t)hl.state->uptime_ms());
	if (r == 0)
		r = json_add_int(o, "connections",
		    (int64_t)hl.state->n_connections());
	sockets = r < 0 || hl.state->sockets == NULL ? NULL :
	    hl.state->sockets();
	if (sockets != NULL)
		r = json_add(o, "sockets", sockets);
	if (r == 0)
		r = json_add_int(o, "pid", (int64_t)getpid());
	if (r == 0)
		r = files_add(o);
	return (r < 0 ? r : memory_add(o));
}

int
health_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn	*conn = hl.host->req_conn(req);
	struct json_object	*o = json_object_new_object();
	bool			 is_admin;

	(void)ctx;
	(void)params;
	is_admin = conn == NULL || hl.host->conn_has_scope(conn, "admin") > 0;
	if (o == NULL || status_fill(o, is_admin) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (hl.host->req_reply(req, o));
}
