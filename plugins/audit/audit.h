/* SPDX-License-Identifier: MIT */
/* What the files of plugin audit share. */
#ifndef PLUGIN_AUDIT_AUDIT_H
#define PLUGIN_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/access.h>
#include <chela/services/agent.h>
#include <chela/services/approvals.h>
#include <chela/services/audit.h>
#include <chela/services/config.h>
#include <chela/services/plugins.h>

#include "../common/chars.h"
#include "../common/json.h"

#define LEDGER		"ledger"	/* the log's name */
#define HASH_HEX	64u
#define ROWS_MAX	100000u		/* kept in the ledger */
#define KEEP_MS		(UINT64_C(30) * 24 * 3600 * 1000)
#define PAGE_ROWS	500u		/* read at once */
#define PAGE_BYTES	(1024u * 1024u)
#define LIMIT_DEFAULT	100
#define LIMIT_MAX	500

struct audit {
	const struct chela_host	*host;
	struct chela_ctx	*ctx;
};

extern struct audit	audit;

/* --- ledger.c: the chain of rows --- */

/* A place in the chain: the row with number n has this hash. */
struct link {
	uint64_t	 n;
	uint64_t	 seq;			/* in the log; 0: not known */
	char		 hash[HASH_HEX + 1];
};

int	 ledger_open(void);
/* Writes what waits; nothing is recorded any more. */
void	 ledger_close(void);
void	 ledger_free(void);
/* Takes event; -EAGAIN: too many wait. */
int	 ledger_add(struct json_object *event);
const struct link *ledger_head(void);
const struct link *ledger_anchor(void);		/* of the last row cut off */
/* The event in a row's text, or NULL; gives. */
struct json_object *ledger_event(const struct chela_row *row);

/* --- record.c: what may be recorded --- */

int	 record_action(struct chela_ctx *ctx,
	    const struct chela_audit_action *a);
int	 record_security(struct chela_ctx *ctx,
	    const struct chela_audit_security *s);
bool	 record_is_on(void);
/* An event with what all have, and texts for it: cut, one clean line. */
struct json_object *event_new(const char *type);
void	 add_text(struct json_object *o, const char *key, const char *s);
void	 add_actor(struct json_object *o, const char *type, const char *id);
int	 record_open(void);
void	 record_close(void);

/* --- message.c: messages of channels --- */

int	 record_message(struct chela_ctx *ctx,
	    const struct chela_audit_message *m);
void	 message_close(void);

/* --- watch.c: what others do --- */

int	 watch_open(void);
void	 watch_close(void);

#endif
