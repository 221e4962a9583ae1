/* SPDX-License-Identifier: MIT */
/*
 * Service "core.lifecycle/1" of the core: whether the gateway takes new work,
 * what it still has to do, its restart, and who it is.
 */
#ifndef CHELA_SERVICES_LIFECYCLE_H
#define CHELA_SERVICES_LIFECYCLE_H

#include <chela/plugin.h>

#define CHELA_LIFECYCLE_SERVICE "core.lifecycle/1"

/*
 * In every phase but the first, only gateway.suspend.* and gateway.restart.* may
 * be called, and nodes may answer what they were asked; only operators with scope
 * admin may connect.
 */
enum chela_phase {
	CHELA_PHASE_ACCEPTING,
	CHELA_PHASE_PREPARING,	/* being looked at */
	CHELA_PHASE_DRAINING,	/* what runs ends, nothing begins */
	CHELA_PHASE_PREPARED,	/* nothing runs */
};

struct chela_lifecycle_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/* The gateway's own key, as devices have one; NULL: it has none. */
	const char *(*device_id)(void);		/* 64 hexadecimal digits */
	const char *(*public_key)(void);	/* base64url */

	uint32_t (*phase)(void);		/* enum chela_phase */
	const char *(*phase_name)(void);
	int	 (*set_phase)(uint32_t phase);	/* -EINVAL: no such phase */
	/* Calls of clients that have no final answer; nonzero stops. */
	int	 (*each_request)(int (*cb)(struct chela_req *req, void *arg),
		    void *arg);

	/*
	 * Starts the gateway again in delay_ms, in the same process and with the
	 * same listening sockets; nothing holds it up but that. 1: one was on its
	 * way already and stays as it is; -ENOTSUP: cannot; -ESHUTDOWN: it is
	 * ending.
	 */
	int	 (*restart)(uint64_t delay_ms);
	uint32_t (*port)(void);
	/*
	 * Milliseconds since this process began, when it began as the restart of
	 * another; UINT64_MAX: it did not.
	 */
	uint64_t (*restart_age_ms)(void);
};

#endif
