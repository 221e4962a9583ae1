/* SPDX-License-Identifier: MIT */
/*
 * Service "hello/1", exported by plugin connect: what a hello says about the
 * gateway. The core decides who may enter; without this service nobody may.
 */
#ifndef CHELA_SERVICES_HELLO_H
#define CHELA_SERVICES_HELLO_H

#include <chela/plugin.h>

#define CHELA_HELLO_SERVICE "hello/1"

/* The limits that a hello states; the core fills them in. */
struct chela_hello_policy {
	uint32_t	struct_size;
	uint32_t	tick_interval_ms;
	uint64_t	max_payload;		/* bytes of a frame from the client */
	uint64_t	max_buffered_bytes;	/* bytes that wait for the client */
};

struct chela_hello_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/*
	 * Writes the members features, snapshot and policy of the hello object
	 * for this connection as compact JSON, without braces around:
	 * "features":{...},"snapshot":{...},"policy":{...}. Gives a malloc()ed
	 * text.
	 */
	int	(*compose)(struct chela_conn *conn,
		    const struct chela_hello_policy *policy, char **ret_text,
		    size_t *ret_len);
};

#endif
