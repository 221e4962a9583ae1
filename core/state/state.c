/* SPDX-License-Identifier: MIT */
#include "core/state/state.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/loop.h"
#include "core/json/json.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"
#include "core/state/presence.h"

#define LAG_SAMPLES	60	/* looks at the loop that figures are taken of */
#define LAG_BAD_MS	100	/* a loop later than this is degraded */

struct state {
	struct loop		*loop;
	struct proto		*proto;
	struct bus		*bus;
	struct presence		*presence;
	char			*version;
	char			 self_id[37];
	uint64_t		 start_us;
	uint64_t		 presence_version;
	uint64_t		 health_version;

	struct json_object	*health;
	struct buf		 health_text;
	uint64_t		 health_us;

	struct loop_timer	*tick;
	struct loop_timer	*broadcast;
	uint64_t		 broadcast_us;	/* of the last one */
	bool			 is_broadcast_due;

	struct loop_timer	*lag;
	uint64_t		 lag_due_us;
	uint32_t		 lag_ms[LAG_SAMPLES];
	uint32_t		 lag_n;
	uint64_t		 cpu_us;	/* at the last look */
	uint64_t		 look_us;
	double			 utilization;
};

/* The events that need no plugin. */
static const struct {
	const char	*name;
	uint32_t	 scope;
	uint32_t	 roles;
	uint32_t	 flags;
} core_events[] = {
	{ "connect.challenge", 0, ROLE_OPERATOR | ROLE_NODE, 0 },
	{ "tick", 0, ROLE_OPERATOR | ROLE_NODE, BUS_DROPPABLE },
	{ "shutdown", 0, ROLE_OPERATOR | ROLE_NODE, 0 },
	{ "plugins.changed", SCOPE_READ, ROLE_OPERATOR, 0 },
	{ "presence", SCOPE_READ, ROLE_OPERATOR,
	  BUS_DROPPABLE | BUS_VERSIONED },
};

static uint64_t
cpu_now_us(void)
{
	struct rusage	 ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	return ((uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000u +
	    (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec));
}

static void
state_on_tick(void *arg)
{
	struct state	*s = arg;
	struct buf	 b = BUF_INIT;

	(void)buf_printf(&b, "{\"ts\":%llu}",
	    (unsigned long long)clock_wall_ms());
	if (!b.is_failed)
		(void)bus_emit_text(s->bus, "tick", b.data, b.len, NULL);
	buf_fini(&b);
	(void)loop_timer_set(s->tick, MS_US(STATE_TICK_MS));
}

static void
state_on_lag(void *arg)
{
	struct state	*s = arg;
	uint64_t	 now = clock_now_us(), cpu = cpu_now_us();
	uint64_t	 late = now > s->lag_due_us ? now - s->lag_due_us : 0;

	s->lag_ms[s->lag_n++ % LAG_SAMPLES] = (uint32_t)(late / 1000u);
	if (now > s->look_us)
		s->utilization = (double)(cpu - s->cpu_us) /
		    (double)(now - s->look_us);
	s->cpu_us = cpu;
	s->look_us = now;
	s->lag_due_us = now + STATE_LAG_US;
	(void)loop_timer_set(s->lag, STATE_LAG_US);
}

static void
state_broadcast_now(struct state *s)
{
	struct buf	 b = BUF_INIT;
	const char	*text;
	size_t		 len;

	s->is_broadcast_due = false;
	s->broadcast_us = clock_now_us();
	s->presence_version++;
	bus_set_versions(s->bus, s->presence_version, s->health_version);
	text = state_presence_text(s, &len);
	(void)buf_puts(&b, "{\"presence\":");
	(void)buf_add(&b, text, len);
	(void)buf_putc(&b, '}');
	if (!b.is_failed)
		(void)bus_emit_text(s->bus, "presence", b.data, b.len, NULL);
	buf_fini(&b);
}

static void
state_on_broadcast(void *arg)
{
	state_broadcast_now(arg);
}

/*
 * A list of 200 goes to everybody: at once when the last one is long gone, else
 * with what else changes meanwhile, so that a thousand clients that come back
 * together cost a few of them and not a thousand (AB-130).
 */
static void
state_broadcast(struct state *s)
{
	uint64_t	 now = clock_now_us();

	if (s->is_broadcast_due)
		return;
	if (now - s->broadcast_us >= STATE_BROADCAST_US) {
		state_broadcast_now(s);
		return;
	}
	s->is_broadcast_due = loop_timer_set(s->broadcast,
	    STATE_BROADCAST_US) == 0;
}

static void
state_refresh_self(struct state *s)
{
	struct utsname		 un;
	struct json_object	*o;
	struct buf		 b = BUF_INIT;
	char			 host[256] = "localhost";

	(void)gethostname(host, sizeof host - 1);
	(void)uname(&un);
	o = json_object_new_object();
	if (o == NULL)
		return;
	(void)buf_printf(&b, "Gateway: %s · app %s · mode gateway · reason self",
	    host, s->version);
	(void)buf_putc(&b, '\0');
	(void)json_add_str(o, "host", host);
	(void)json_add_str(o, "version", s->version);
	(void)json_add_str(o, "platform", "linux");
	(void)json_add_str(o, "deviceFamily", "Linux");
	(void)json_add_str(o, "mode", "gateway");
	(void)json_add_str(o, "reason", "self");
	(void)json_add_str(o, "instanceId", s->self_id);
	(void)json_add_str(o, "text", b.data != NULL ? b.data : "Gateway");
	buf_fini(&b);
	(void)presence_upsert(s->presence, s->self_id, o, true);
	json_object_put(o);
}

struct state *
state_new(struct loop *l, struct proto *proto, const char *version)
{
	struct state	*s;
	size_t		 i;

	s = calloc(1, sizeof *s);
	if (s == NULL)
		return (NULL);
	s->loop = l;
	s->proto = proto;
	s->start_us = clock_now_us();
	s->presence_version = s->health_version = 1;
	(void)snprintf(s->self_id, sizeof s->self_id, "gateway");
	s->version = strdup(version);
	s->bus = bus_new(proto);
	s->presence = presence_new(STATE_PRESENCE_MAX, STATE_PRESENCE_TTL_US);
	s->tick = loop_timer_new(l, state_on_tick, s);
	s->broadcast = loop_timer_new(l, state_on_broadcast, s);
	s->lag = loop_timer_new(l, state_on_lag, s);
	if (s->version == NULL || s->bus == NULL || s->presence == NULL ||
	    s->tick == NULL || s->broadcast == NULL || s->lag == NULL)
		return (state_free(s));
	for (i = 0; i < ARRAY_LEN(core_events); i++) {
		if (bus_add(s->bus, core_events[i].name, core_events[i].scope,
		    core_events[i].roles, core_events[i].flags, s) < 0)
			return (state_free(s));
	}
	state_refresh_self(s);
	return (s);
}

struct state *
state_free(struct state *s)
{
	if (s == NULL)
		return (NULL);
	(void)loop_timer_free(s->tick);
	(void)loop_timer_free(s->broadcast);
	(void)loop_timer_free(s->lag);
	(void)bus_free(s->bus);
	(void)presence_free(s->presence);
	json_object_put(s->health);
	buf_fini(&s->health_text);
	free(s->version);
	free(s);
	return (NULL);
}

void
state_start(struct state *s)
{
	(void)loop_timer_set(s->tick, MS_US(STATE_TICK_MS));
	s->look_us = clock_now_us();
	s->cpu_us = cpu_now_us();
	s->lag_due_us = s->look_us + STATE_LAG_US;
	(void)loop_timer_set(s->lag, STATE_LAG_US);
}

struct bus *
state_bus(struct state *s)
{
	return (s->bus);
}

static const char *
presence_key(struct json_object *entry, char *scratch, size_t size)
{
	static const char *const names[] = { "deviceId", "instanceId", "host",
	    "ip" };
	const char	*v;
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		v = json_get_str(entry, names[i]);
		if (v != NULL && *v != '\0')
			return (v);
	}
	v = json_get_str(entry, "text");
	if (v == NULL || *v == '\0')
		return (NULL);
	(void)snprintf(scratch, size, "%.64s", v);
	return (scratch);
}

int
state_presence_upsert(struct state *s, struct json_object *entry)
{
	char		 scratch[72];
	const char	*key = presence_key(entry, scratch, sizeof scratch);
	int		 r = -EINVAL;

	if (key != NULL)
		r = presence_upsert(s->presence, key, entry, false);
	json_object_put(entry);
	if (r == 0)
		state_broadcast(s);
	return (r);
}

const char *
state_presence_text(struct state *s, size_t *ret_len)
{
	state_refresh_self(s);
	return (presence_text(s->presence, ret_len));
}

int
state_presence_list(struct state *s, struct json_object **ret)
{
	const char	*text;
	size_t		 len;

	text = state_presence_text(s, &len);
	return (json_parse(text, len, ret));
}

static int
add_if(struct json_object *o, const char *key, const char *s)
{
	return (*s == '\0' ? 0 : json_add_str(o, key, s));
}

static void
state_peer_presence(struct state *s, struct peer *p, const char *reason)
{
	const struct peer_info	*i = p->info;
	struct json_object	*o, *roles, *scopes = NULL;
	struct buf		 b = BUF_INIT;
	const char		*host, *key;

	if (!peer_is_tracked(p))
		return;
	host = *i->display_name != '\0' ? i->display_name : i->client_id;
	o = json_object_new_object();
	roles = json_object_new_array();
	if (o == NULL || roles == NULL)
		goto out;
	(void)scope_json(&b, p->scopes, true);
	if (b.is_failed || json_parse(b.data, b.len, &scopes) < 0)
		goto out;
	(void)json_push(roles, json_object_new_string(role_name(p->role)));
	(void)json_add(o, "roles", roles);
	roles = NULL;
	(void)json_add(o, "scopes", scopes);
	(void)json_add_str(o, "host", host);
	(void)add_if(o, "ip", i->remote);
	(void)add_if(o, "version", i->version);
	(void)add_if(o, "platform", i->platform);
	(void)add_if(o, "deviceFamily", i->device_family);
	(void)add_if(o, "modelIdentifier", i->model);
	(void)add_if(o, "timeZone", i->time_zone);
	(void)json_add_str(o, "mode", i->client_mode);
	(void)add_if(o, "deviceId", i->device_id);
	(void)add_if(o, "instanceId", i->instance_id);
	(void)json_add_str(o, "reason", reason);
	(void)json_add_int(o, "onlineSince", (int64_t)p->since_ms);
	buf_reset(&b);
	(void)buf_printf(&b, "Node: %s · mode %s · reason %s", host,
	    i->client_mode, reason);
	(void)buf_putc(&b, '\0');
	if (!b.is_failed)
		(void)json_add_str(o, "text", b.data);
	key = p->id;
	if (p->role == ROLE_NODE)
		key = *i->device_id != '\0' ? i->device_id :
		    *i->instance_id != '\0' ? i->instance_id : p->id;
	if (presence_upsert(s->presence, key, o, false) == 0)
		state_broadcast(s);
out:
	buf_fini(&b);
	json_object_put(roles);
	json_object_put(o);
}

void
state_peer_opened(struct state *s, struct peer *p)
{
	state_peer_presence(s, p, "connect");
}

void
state_peer_closed(struct state *s, struct peer *p)
{
	state_peer_presence(s, p, "disconnect");
	bus_peer_closed(s->bus, p);
}

int
state_health_set(struct state *s, struct json_object *health)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	r = json_write(&b, health);
	if (r < 0) {
		buf_fini(&b);
		json_object_put(health);
		return (r);
	}
	json_object_put(s->health);
	s->health = health;
	buf_fini(&s->health_text);
	s->health_text = b;
	s->health_us = clock_now_us();
	s->health_version++;
	bus_set_versions(s->bus, s->presence_version, s->health_version);
	return (0);
}

struct json_object *
state_health(struct state *s)
{
	return (s->health);
}

const char *
state_health_text(struct state *s, size_t *ret_len)
{
	if (s->health == NULL) {
		*ret_len = 2;
		return ("{}");
	}
	*ret_len = s->health_text.len;
	return (s->health_text.data);
}

uint64_t
state_health_age_us(struct state *s)
{
	return (s->health == NULL ? UINT64_MAX :
	    clock_now_us() - s->health_us);
}

void
state_versions(const struct state *s, uint64_t *ret_presence,
    uint64_t *ret_health)
{
	*ret_presence = s->presence_version;
	*ret_health = s->health_version;
}

uint64_t
state_uptime_ms(const struct state *s)
{
	return ((clock_now_us() - s->start_us) / 1000u);
}

static int
u32_cmp(const void *a, const void *b)
{
	uint32_t	 x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

int
state_event_loop(struct state *s, struct json_object **ret)
{
	uint32_t		 sorted[LAG_SAMPLES];
	size_t			 n = MIN_OF(s->lag_n, (uint32_t)LAG_SAMPLES);
	struct json_object	*o, *reasons;
	uint32_t		 p99 = 0, max = 0;

	memcpy(sorted, s->lag_ms, sizeof sorted);
	qsort(sorted, n, sizeof sorted[0], u32_cmp);
	if (n > 0) {
		max = sorted[n - 1];
		p99 = sorted[(n - 1) * 99 / 100];
	}
	o = json_object_new_object();
	reasons = json_object_new_array();
	if (o == NULL || reasons == NULL) {
		json_object_put(o);
		json_object_put(reasons);
		return (-ENOMEM);
	}
	if (max > LAG_BAD_MS)
		(void)json_push(reasons,
		    json_object_new_string("event_loop_delay"));
	(void)json_add_bool(o, "degraded", max > LAG_BAD_MS);
	(void)json_add(o, "reasons", reasons);
	(void)json_add_int(o, "intervalMs", (int64_t)(STATE_LAG_US / 1000u));
	(void)json_add_int(o, "delayP99Ms", p99);
	(void)json_add_int(o, "delayMaxMs", max);
	(void)json_add_double(o, "utilization", s->utilization);
	(void)json_add_double(o, "cpuCoreRatio", s->utilization);
	*ret = o;
	return (0);
}
