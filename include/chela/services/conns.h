/* SPDX-License-Identifier: MIT */
/* Service "core.conns/1", exported by the core: who is connected. */
#ifndef CHELA_SERVICES_CONNS_H
#define CHELA_SERVICES_CONNS_H

#include <chela/plugin.h>

#define CHELA_CONNS_SERVICE "core.conns/1"

struct chela_conns_1 {
	uint32_t	struct_size;
	uint32_t	reserved;

	/*
	 * Every open connection of these roles (CHELA_ROLE_*), those that have
	 * had their hello; a callback that is not zero ends it. The callback
	 * must not close connections.
	 */
	int	(*each)(uint32_t roles, int (*cb)(struct chela_conn *conn,
		    void *arg), void *arg);
};

#endif
