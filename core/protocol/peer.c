/* SPDX-License-Identifier: MIT */
#include "core/protocol/peer.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/uuid.h"
#include "core/net/net.h"
#include "core/protocol/dialect.h"
#include "core/protocol/proto_priv.h"

struct peer *
peer_new(struct proto *proto, struct conn *c)
{
	struct peer	*p;

	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (NULL);
	p->magic = PEER_MAGIC;
	p->refs = 1;
	p->proto = proto;
	p->conn = c;
	p->state = PEER_NEW;
	p->since_ms = clock_wall_ms();
	list_init(&p->link);
	list_init(&p->reqs);
	list_init(&p->subs);
	list_init(&p->close_cbs);
	uuid_make(p->id);
	uuid_make(p->nonce);
	return (p);
}

struct peer *
peer_ref(struct peer *p)
{
	p->refs++;
	return (p);
}

void
peer_drop_door(struct peer *p)
{
	if (p->door == NULL)
		return;
	free(p->door->user);
	free(p->door->scopes_cap);
	free(p->door->tailnet_login);
	free(p->door);
	p->door = NULL;
}

const char *
peer_remote(const struct peer *p)
{
	if (p->door != NULL)
		return (p->door->client);
	return (p->conn != NULL ? conn_remote(p->conn) : "");
}

struct peer *
peer_unref(struct peer *p)
{
	if (p == NULL || --p->refs > 0)
		return (NULL);
	p->magic = 0;
	free(p->origin);
	free(p->host);
	peer_drop_door(p);
	free(p->info);
	json_object_put(p->claims);
	free(p);
	return (NULL);
}

void
peer_close(struct peer *p)
{
	bool	 was_open = p->state == PEER_OPEN;

	p->conn = NULL;
	p->state = PEER_CLOSED;
	connect_forget(p);
	connect_left(p);
	list_remove(&p->link);
	if (was_open) {
		p->proto->n_peers--;
		p->proto->hooks.on_close(p->proto->hooks.arg, p);
	}
	(void)peer_unref(p);
}

bool
peer_has_cap(const struct peer *p, const char *cap)
{
	const char	*s;
	size_t		 len = strlen(cap);

	if (p->info == NULL)
		return (false);
	for (s = p->info->caps; (s = strstr(s, cap)) != NULL; s += len) {
		if (s[-1] == '\n' && s[len] == '\n')
			return (true);
	}
	return (false);
}

bool
peer_is_tracked(const struct peer *p)
{
	static const char *const hidden[] = { "cli", "backend", "probe" };
	size_t	 i;

	if (p->info == NULL)
		return (false);
	/* The native mode is a role: who wants to be seen there says so. */
	if (p->dialect == &dialect_native && p->role == ROLE_OPERATOR)
		return (peer_has_cap(p, "presence"));
	for (i = 0; i < ARRAY_LEN(hidden); i++) {
		if (strcmp(p->info->client_mode, hidden[i]) == 0)
			return (false);
	}
	return (true);
}
