/* SPDX-License-Identifier: MIT */
/* One record: its memory, its JSON, what is told of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

static const char *const statuses[] = {
	[CHELA_RECORD_PENDING] = "pending",
	[CHELA_RECORD_ALLOWED] = "allowed",
	[CHELA_RECORD_DENIED] = "denied",
	[CHELA_RECORD_EXPIRED] = "expired",
	[CHELA_RECORD_CANCELLED] = "cancelled",
};

/* Reasons are compared by value and kept as these. */
static const char *const reasons[] = {
	"", "user", "malformed-verdict", "no-route", "storage-corrupt",
	"timeout", "run-aborted", "gateway-restart",
};

void
record_key(const struct chela_approval_record *rec, char ret[RECORD_KEY_MAX])
{
	(void)snprintf(ret, RECORD_KEY_MAX, RECORD_PREFIX "%s", rec->id);
}

void
next_clear(struct chela_approval_record *rec)
{
	free(rec->next_state.by);
	free(rec->next_state.kind);
	free(rec->next_state.id);
	memset(&rec->next_state, 0, sizeof rec->next_state);
}

void
record_put(struct chela_approval_record *rec)
{
	if (rec == NULL || --rec->refs > 0)
		return;
	next_clear(rec);
	json_object_put(rec->request);
	json_object_put(rec->presentation);
	free(rec->id);
	free(rec->kind);
	free(rec->agent_id);
	free(rec->session_key);
	free(rec->caller);
	free(rec->resolved_by);
	free(rec->resolver_kind);
	free(rec->resolver_id);
	free(rec);
}

int
text_set(char **to, const char *s)
{
	char	*copy = strdup(s == NULL ? "" : s);

	if (copy == NULL)
		return (-ENOMEM);
	free(*to);
	*to = copy;
	return (0);
}

size_t
json_bytes(struct json_object *o)
{
	size_t	len = 0;

	(void)json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	return (len);
}

struct chela_approval_record *
record_new(const char *id, const char *kind, const char *agent_id,
    const char *session_key)
{
	struct chela_approval_record	*rec = calloc(1, sizeof *rec);

	if (rec == NULL)
		return (NULL);
	rec->refs = 1;
	rec->reason = rec->route = "";
	if (text_set(&rec->id, id) < 0 || text_set(&rec->kind, kind) < 0 ||
	    text_set(&rec->agent_id, agent_id) < 0 ||
	    text_set(&rec->session_key, session_key) < 0 ||
	    text_set(&rec->caller, "") < 0 ||
	    text_set(&rec->resolved_by, "") < 0 ||
	    text_set(&rec->resolver_kind, "") < 0 ||
	    text_set(&rec->resolver_id, "") < 0) {
		record_put(rec);
		return (NULL);
	}
	return (rec);
}

void
record_info(const struct chela_approval_record *rec,
    struct chela_record_info *ret)
{
	struct chela_record_info	info = {
		.struct_size = ret->struct_size,
		.status = rec->status,
		.decision = rec->decision,
		.allowed = rec->allowed,
		.id = rec->id,
		.kind = rec->kind,
		.reason = rec->reason,
		.agent_id = rec->agent_id,
		.session_key = rec->session_key,
		.resolved_by = rec->resolved_by,
		.request = rec->request,
		.presentation = rec->presentation,
		.created_ms = rec->created_ms,
		.expires_ms = rec->expires_ms,
		.resolved_ms = rec->resolved_ms,
		.grant_days = rec->grant_days,
		.is_mine = rec->is_mine,
		.route = rec->route,
		.resolver_kind = rec->resolver_kind,
		.resolver_id = rec->resolver_id,
		.until_us = rec->until_us,
	};

	memcpy(ret, &info, ret->struct_size < sizeof info ? ret->struct_size :
	    sizeof info);
}

bool
record_visible(const struct chela_approval_record *rec, struct chela_conn *conn)
{
	struct chela_conn_info	info = { .struct_size = sizeof info };

	(void)rec;
	if (conn == NULL)
		return (true);
	return (ap.host->conn_info(conn, &info) == 0 &&
	    info.role == CHELA_ROLE_OPERATOR);
}

bool
id_is_good(const char *id)
{
	const char	*s;

	if (*id == '\0' || strlen(id) > CHELA_APPROVAL_ID_MAX ||
	    strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return (false);
	for (s = id; *s != '\0'; s++) {
		if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '/')
			return (false);
	}
	return (true);
}

struct json_object *
record_doc(const struct chela_approval_record *rec, bool is_next)
{
	struct json_object	*o = json_object_new_object();
	uint32_t		 status, decision, days;

	status = is_next ? rec->next_state.status : rec->status;
	decision = is_next ? rec->next_state.decision : rec->decision;
	days = is_next ? rec->next_state.grant_days : rec->grant_days;
	set_str(o, "kind", rec->kind);
	set_str(o, "agentId", rec->agent_id);
	set_str(o, "sessionKey", rec->session_key);
	json_object_object_add(o, "request", json_object_get(rec->request));
	json_object_object_add(o, "presentation",
	    json_object_get(rec->presentation));
	set_int(o, "allowed", rec->allowed);
	set_int(o, "createdAtMs", (int64_t)rec->created_ms);
	set_int(o, "expiresAtMs", (int64_t)rec->expires_ms);
	set_str(o, "status", statuses[status]);
	if (status == CHELA_RECORD_PENDING)
		return (o);
	set_str(o, "decision", decision_name(decision));
	set_str(o, "reason", is_next ? rec->next_state.reason : rec->reason);
	set_int(o, "resolvedAtMs", (int64_t)(is_next ? ap.host->wall_ms() :
	    rec->resolved_ms));
	set_str(o, "resolvedBy", is_next ? rec->next_state.by :
	    rec->resolved_by);
	set_str(o, "resolverKind", is_next ? rec->next_state.kind :
	    rec->resolver_kind);
	set_str(o, "resolverId", is_next ? rec->next_state.id :
	    rec->resolver_id);
	set_int(o, "grantDays", days);
	return (o);
}

static const char *
reason_of(const char *s)
{
	size_t	i;

	for (i = 0; s != NULL && i < sizeof reasons / sizeof reasons[0]; i++) {
		if (strcmp(reasons[i], s) == 0)
			return (reasons[i]);
	}
	return (NULL);
}

struct chela_approval_record *
record_read(const char *id, struct json_object *o)
{
	struct chela_approval_record *rec;
	const char		*status = get_str(o, "status");
	const char		*kind = get_str(o, "kind");
	const char		*reason = get_str(o, "reason");

	if (status == NULL || kind == NULL || !id_is_good(id))
		return (NULL);
	rec = record_new(id, kind, get_str(o, "agentId"),
	    get_str(o, "sessionKey"));
	if (rec == NULL)
		return (NULL);
	rec->status = CHELA_RECORD_PENDING;
	while (rec->status <= CHELA_RECORD_CANCELLED &&
	    strcmp(statuses[rec->status], status) != 0)
		rec->status++;
	(void)json_object_object_get_ex(o, "request", &rec->request);
	(void)json_object_object_get_ex(o, "presentation", &rec->presentation);
	json_object_get(rec->request);
	json_object_get(rec->presentation);
	rec->size = sizeof *rec + json_bytes(o);
	rec->allowed = (uint32_t)get_int(o, "allowed", 0);
	rec->created_ms = (uint64_t)get_int(o, "createdAtMs", 0);
	rec->expires_ms = (uint64_t)get_int(o, "expiresAtMs", 0);
	rec->resolved_ms = (uint64_t)get_int(o, "resolvedAtMs", 0);
	rec->grant_days = (uint32_t)get_int(o, "grantDays", 0);
	rec->decision = decision_of(get_str(o, "decision"));
	rec->is_stored = true;
	if (reason_of(reason) != NULL)
		rec->reason = reason_of(reason);
	if (rec->status > CHELA_RECORD_CANCELLED ||
	    !json_object_is_type(rec->request, json_type_object) ||
	    !json_object_is_type(rec->presentation, json_type_object) ||
	    text_set(&rec->resolved_by, get_str(o, "resolvedBy")) < 0 ||
	    text_set(&rec->resolver_kind, get_str(o, "resolverKind")) < 0 ||
	    text_set(&rec->resolver_id, get_str(o, "resolverId")) < 0) {
		record_put(rec);
		return (NULL);
	}
	return (rec);
}
