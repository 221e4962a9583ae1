/* SPDX-License-Identifier: MIT */
/* Service "core.state/1", exported by the core: presence, health, the process. */
#ifndef CHELA_SERVICES_STATE_H
#define CHELA_SERVICES_STATE_H

#include <chela/plugin.h>

#define CHELA_STATE_SERVICE "core.state/1"

struct chela_state_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * Presence: at most 200 entries, 5 minutes each, newest first, the
	 * gateway's own always among them. list gives an array. upsert takes an
	 * object, merges it into the entry with its key (deviceId, else
	 * instanceId, else host, ip, the first 64 characters of text; lower
	 * case), and broadcasts the event "presence".
	 */
	int	(*presence_list)(struct json_object **ret_list);
	int	(*presence_upsert)(struct json_object *entry);
	/* The list as compact JSON; lent until the next change. */
	const char *(*presence_text)(size_t *ret_len);

	/*
	 * Health: the last summary, embedded in hello; set takes an object and
	 * bumps the version (the caller emits the event "health" then). get
	 * lends NULL before the first set.
	 */
	struct json_object *(*health_get)(void);
	int	(*health_set)(struct json_object *health);
	uint64_t (*health_age_us)(void);	/* UINT64_MAX: none yet */
	const char *(*health_text)(size_t *ret_len);	/* "{}" before */

	void	(*versions)(uint64_t *ret_presence, uint64_t *ret_health);

	/* {degraded, reasons[], intervalMs, delayP99Ms, delayMaxMs, utilization,
	 * cpuCoreRatio}: how late the loop is; gives. */
	struct json_object *(*event_loop)(void);
	/* {loaded[], errors[], unavailable[]}; gives. */
	struct json_object *(*plugins)(void);

	uint64_t (*uptime_ms)(void);
	const char *(*version)(void);		/* of the daemon */
	const char *(*boot_id)(void);		/* UUID of this process */
	const char *(*bind_address)(void);	/* "127.0.0.1" */
	uint32_t (*port)(void);
	const char *(*auth_mode)(void);		/* "token" */
	const char *(*config_path)(void);
	uint32_t (*n_connections)(void);	/* authenticated ones */
	/*
	 * {open, handshaking, accepted, refused, timeouts, slowConsumers,
	 * protocolErrors, tls{handshakes, resumed, failed, refused}}, counted
	 * since the process began; gives, NULL where nothing listens. refused of
	 * tls: who spoke plainly to it.
	 */
	struct json_object *(*sockets)(void);
};

#endif
