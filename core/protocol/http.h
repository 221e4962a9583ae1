/* SPDX-License-Identifier: MIT */
/*
 * Plain HTTP: whose request it is, and what it shows at the door. Everything is
 * taken from the head, which outlives what is lent from it.
 */
#ifndef PROTOCOL_HTTP_H
#define PROTOCOL_HTTP_H

#include "core/access/entry.h"
#include "core/access/proxy.h"

struct conn;
struct http_head;
struct net_reply;
struct proto;

/* Who sent it. PROXY_UNKNOWN: answer proto_unattributed() and nothing else. */
void	 proto_attribute(const struct proto *p, const struct conn *c,
	    const struct http_head *head, struct proxy_origin *ret);
extern const struct net_reply proto_unattributed;

/* What entry_start_http() wants to know. */
struct proto_bearer {
	char		 client[PROXY_ADDRESS_SIZE];
	char		 problem[ENTRY_REASON_SIZE];
	const char	*origin_problem;
};
/* Fills e->access and e->claim; from and b are lent to it too. */
void	 proto_bearer(const struct proto *p, const struct conn *c,
	    const struct http_head *head, const struct proxy_origin *from,
	    struct proto_bearer *b, struct entry *e);

#endif
