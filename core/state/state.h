/* SPDX-License-Identifier: MIT */
/*
 * What is true of the gateway as a whole: who is present, how it feels, how late
 * its loop is. Owns the bus and the events of the core itself.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "core/state/bus.h"

struct json_object;
struct loop;
struct state;

#define STATE_TICK_MS		30000	/* between two tick events */
#define STATE_PRESENCE_MAX	200	/* entries; the oldest goes */
#define STATE_PRESENCE_TTL_US	SEC_US(300)
#define STATE_BROADCAST_US	MS_US(250) /* between two presence events */
#define STATE_LAG_US		SEC_US(1) /* between two looks at the loop */

struct state	*state_new(struct loop *l, struct proto *proto,
		    const char *version) must_use;
struct state	*state_free(struct state *s);
void		 state_start(struct state *s);	/* timers; when all is set up */
struct bus	*state_bus(struct state *s);

/* Presence: see services/state.h. Takes entry. */
int		 state_presence_upsert(struct state *s,
		    struct json_object *entry);
int		 state_presence_list(struct state *s, struct json_object **ret);
const char	*state_presence_text(struct state *s, size_t *ret_len);
void		 state_peer_opened(struct state *s, struct peer *p);
void		 state_peer_closed(struct state *s, struct peer *p);

/* Health; takes the object. */
int		 state_health_set(struct state *s, struct json_object *health);
struct json_object *state_health(struct state *s);	/* or NULL */
const char	*state_health_text(struct state *s, size_t *ret_len);
uint64_t	 state_health_age_us(struct state *s);

void		 state_versions(const struct state *s, uint64_t *ret_presence,
		    uint64_t *ret_health);
uint64_t	 state_uptime_ms(const struct state *s);
int		 state_event_loop(struct state *s, struct json_object **ret);

#endif
