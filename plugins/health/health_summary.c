/* SPDX-License-Identifier: MIT */
/*
 * The part of the summary that is known at once: agents, sessions, the
 * process.
 */
#include "health.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_DEFAULT	"30m"
#define ACK_DEFAULT	300
#define SESSIONS_PATH	"sessions"	/* a table of the store, no file */

static struct json_object *
beat_conf(const char *name)
{
	struct json_object	*o, *v;

	o = hl.host->conf_path(hl.ctx, "agents.defaults.heartbeat");
	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v))
		return (NULL);
	return (v);
}

/* As plugin system reads it: units ms, s, m, h, d; m when there is none. */
static int64_t
duration_ms(const char *s)
{
	static const struct {
		const char	*unit;
		int64_t		 ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 } };
	int64_t	 sum = 0, n, ms;
	size_t	 i, len;
	char	*end;

	while (isdigit((unsigned char)*s)) {
		n = strtoll(s, &end, 10);
		ms = 60000;
		for (i = 0; i < sizeof units / sizeof units[0]; i++) {
			len = strlen(units[i].unit);
			if (strncmp(end, units[i].unit, len) == 0) {
				ms = units[i].ms;
				end += len;
				break;
			}
		}
		if (__builtin_mul_overflow(n, ms, &n) ||
		    __builtin_add_overflow(sum, n, &sum))
			return (0);
		s = end;
	}
	return (*s == '\0' ? sum : 0);
}

static const char *
beat_every(void)
{
	struct json_object	*v = beat_conf("every");

	return (json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : EVERY_DEFAULT);
}

/* Only the default agent has heartbeats. */
static struct json_object *
summary_beat(bool is_default)
{
	static const char *const texts[] = { "prompt", "target", "model",
		"session" };
	struct json_object	*o = json_object_new_object(), *v;
	const char		*every = is_default ? beat_every() : "0m";
	int64_t			 ms = duration_ms(every);
	size_t			 i;
	int			 r;

	if (o == NULL)
		return (NULL);
	r = json_add_bool(o, "enabled", ms > 0);
	if (r == 0)
		r = json_add_str(o, "every", every);
	if (r == 0)
		r = ms > 0 ? json_add_int(o, "everyMs", ms) :
		    json_object_object_add(o, "everyMs", NULL);
	for (i = 0; r == 0 && i < sizeof texts / sizeof texts[0]; i++) {
		v = beat_conf(texts[i]);
		if (json_object_is_type(v, json_type_string))
			r = json_add(o, texts[i], json_object_get(v));
		else if (strcmp(texts[i], "target") == 0)
			r = json_add_str(o, "target", "none");
		else if (strcmp(texts[i], "prompt") == 0)
			r = json_add_str(o, "prompt", CHELA_HEARTBEAT_PROMPT);
	}
	v = beat_conf("ackMaxChars");
	if (r == 0)
		r = json_add_int(o, "ackMaxChars", json_object_is_type(v,
		    json_type_int) ? json_object_get_int64(v) : ACK_DEFAULT);
	if (r < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

struct sessions {
	struct json_object	*recent;
	unsigned		 n_recent;
	int64_t			 n;
	int			 r;
};

static int
sessions_one(const struct chela_session_info *info, void *arg)
{
	struct sessions		*s = arg;
	struct json_object	*o;
	int64_t			 now = (int64_t)hl.host->wall_ms();

	if (++s->n >= HEALTH_SESSIONS_MAX)
		return (1);
	if (s->n > (int64_t)s->n_recent)
		return (0);
	o = json_object_new_object();
	if (o == NULL || json_add_str(o, "key", info->key) < 0 ||
	    json_add_int(o, "updatedAt", (int64_t)info->updated_at_ms) < 0 ||
	    json_add_int(o, "age", now - (int64_t)info->updated_at_ms) < 0) {
		json_object_put(o);
		s->r = -ENOMEM;
		return (1);
	}
	s->r = json_push(s->recent, o);
	return (s->r < 0);
}

struct json_object *
summary_sessions(const char *agent_id, unsigned n_recent)
{
	const struct chela_sessions_1	*svc = hl_service(
					    CHELA_SESSIONS_SERVICE);
	struct json_object		*o = json_object_new_object();
	struct sessions			 s = { .n_recent = n_recent };

	s.recent = json_object_new_array();
	if (o == NULL || s.recent == NULL) {
		json_object_put(o);
		json_object_put(s.recent);
		return (NULL);
	}
	if (svc != NULL)
		(void)svc->each(agent_id, sessions_one, &s);
	if (s.r < 0 || json_add_str(o, "path", SESSIONS_PATH) < 0 ||
	    json_add_int(o, "count", s.n) < 0) {
		json_object_put(o);
		json_object_put(s.recent);
		return (NULL);
	}
	if (json_add(o, "recent", s.recent) < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

const char *
summary_default_agent(void)
{
	const struct chela_agents_1	*agents = hl_service(
					    CHELA_AGENTS_SERVICE);

	return (agents == NULL ? "main" : agents->default_id());
}

struct agents {
	struct json_object		*list;
	const struct chela_agents_1	*svc;
	unsigned			 n_recent;
	int				 r;
};

static int
agents_add(struct agents *a, const char *id, const char *name, bool is_default)
{
	struct json_object	*o = json_object_new_object();

	if (o == NULL || json_add_str(o, "agentId", id) < 0 ||
	    (*name != '\0' && json_add_str(o, "name", name) < 0) ||
	    json_add_bool(o, "isDefault", is_default) < 0 ||
	    json_add(o, "heartbeat", summary_beat(is_default)) < 0 ||
	    json_add(o, "sessions", summary_sessions(id, a->n_recent)) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (json_push(a->list, o));
}

static int
agents_one(const char *id, void *arg)
{
	struct agents		 *a = arg;
	struct chela_agent_info	  info = { .struct_size = sizeof info };

	if (a->svc->info(id, &info) < 0)
		return (0);
	a->r = agents_add(a, id, info.name, info.is_default != 0);
	return (a->r < 0);
}

struct json_object *
summary_agents(unsigned n_recent)
{
	struct agents	 a = { .n_recent = n_recent };

	a.svc = hl_service(CHELA_AGENTS_SERVICE);
	a.list = json_object_new_array();
	if (a.list == NULL)
		return (NULL);
	if (a.svc != NULL)
		(void)a.svc->each(agents_one, &a);
	else
		a.r = agents_add(&a, "main", "", true);
	if (a.r < 0) {
		json_object_put(a.list);
		return (NULL);
	}
	return (a.list);
}

static struct json_object *
summary_reload(void)
{
	struct json_object	*o = json_object_new_object(), *v;
	const char		*mode = "hybrid";

	v = hl.host->conf_path(hl.ctx, "gateway.reload.mode");
	if (json_object_is_type(v, json_type_string))
		mode = json_object_get_string(v);
	if (o == NULL || json_add_str(o, "hotReloadStatus",
	    strcmp(mode, "off") == 0 ? "disabled" : "active") < 0) {
		json_object_put(o);
		return (NULL);
	}
	return (o);
}

int
summary_fill(struct json_object *o)
{
	if (json_add_int(o, "heartbeatSeconds", duration_ms(beat_every()) / 1000)
	    < 0 ||
	    json_add_str(o, "defaultAgentId", summary_default_agent()) < 0 ||
	    json_add(o, "agents", summary_agents(HEALTH_RECENT)) < 0 ||
	    json_add(o, "sessions", summary_sessions(NULL, HEALTH_RECENT)) < 0 ||
	    json_add(o, "plugins", hl.state->plugins()) < 0 ||
	    json_add(o, "configReload", summary_reload()) < 0 ||
	    json_add(o, "eventLoop", hl.state->event_loop()) < 0)
		return (-ENOMEM);
	return (0);
}
