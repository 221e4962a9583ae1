/* SPDX-License-Identifier: MIT */
/*
 * What the plugins that ask people share: small things about JSON and
 * decisions, and the calls of clients that open, await and answer records.
 */
#ifndef ASKED_H
#define ASKED_H

#include <stdbool.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/approvals.h>

#include "../common/chars.h"
#include "../common/json.h"

#define ERR_BAD		"INVALID_REQUEST"
#define ERR_DOWN	"UNAVAILABLE"

#define CALLS_MAX	4096u	/* requests that wait for a decision */

/* Set by the plugin in init() and start(), before any call. */
struct asked {
	struct chela_ctx			*ctx;
	const struct chela_host			*host;
	const struct chela_approval_records_1	*records;
	/* NULL, or told how a record ended before who opened it is. */
	void		(*ended)(const struct chela_record_info *info);
};

extern struct asked asked;

/* A client's request that is answered when a record has ended. */
struct call;

void		 set_str_or_null(struct json_object *o, const char *name,
		    const char *s);
void		 set_copy(struct json_object *to, struct json_object *from,
		    const char *name);	/* the member, null if it is not there */

const char	*decision_name(uint32_t decision);	/* NULL: NONE */
uint32_t	 decision_of(const char *name);		/* NONE: no such */
struct json_object *allowed_names(uint32_t allowed);	/* gives an array */
/* INVALID_REQUEST with details {reason}. */
int		 fail_reason(struct chela_req *req, const char *reason,
		    const char *text);

/*
 * Opens the record and answers the request when it has ended; params twoPhase
 * makes it say first that it was accepted. 0; after a negative value nothing
 * was answered, but for -ECANCELED. Takes what spec takes.
 */
int		 asked_open(struct chela_req *req, struct json_object *params,
		    const struct chela_record_open *spec, char *ret_id);
/* The methods with params {id}, {id, decision} and none. They answer. */
int		 asked_wait(struct chela_req *req, struct json_object *params,
		    const char *kind);
int		 asked_resolve(struct chela_req *req, struct json_object *params,
		    const char *kind);
int		 asked_list(struct chela_req *req, const char *kind);
/* A record of that kind by its id, or by the start of a pending one's. */
int		 asked_find(struct chela_req *req, const char *id,
		    const char *kind, struct chela_record_info *ret);
/* Those that wait are let go. */
void		 asked_stop(void);

#endif
