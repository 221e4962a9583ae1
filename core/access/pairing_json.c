/* SPDX-License-Identifier: MIT */
/* Records as JSON: as they are stored, and as operators see them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <json-c/json.h>

#include "core/access/pairing_priv.h"
#include "core/access/scope.h"
#include "core/json/json.h"

static const uint32_t token_roles[TOKEN_COUNT] = {
	[TOKEN_OPERATOR] = ROLE_OPERATOR,
	[TOKEN_NODE] = ROLE_NODE,
};

static struct json_object *
scopes_json(uint32_t scopes)
{
	struct json_object	*a = json_object_new_array();
	char			 name[64];
	unsigned		 i;

	for (i = 0; i < SCOPE_COUNT; i++) {
		if ((scopes & 1u << i) == 0)
			continue;
		(void)snprintf(name, sizeof name, SCOPE_PREFIX "%s",
		    scope_name(1u << i));
		(void)json_push(a, json_object_new_string(name));
	}
	return (a);
}

static struct json_object *
roles_json(uint32_t roles)
{
	struct json_object	*a = json_object_new_array();
	unsigned		 i;

	for (i = 0; i < TOKEN_COUNT; i++) {
		if ((roles & token_roles[i]) != 0)
			(void)json_push(a, json_object_new_string(
			    role_name(token_roles[i])));
	}
	return (a);
}

static void
add_said(struct json_object *o, const char *key, const char *s)
{
	if (s != NULL && *s != '\0')
		(void)json_add_str(o, key, s);
}

static void
add_time(struct json_object *o, const char *key, uint64_t ms)
{
	if (ms != 0)
		(void)json_add_int(o, key, (int64_t)ms);
}

static void
add_about(struct json_object *o, const struct device_about *a,
    const unsigned char key[DEVICE_KEY_LEN])
{
	char	 text[DEVICE_KEY_TEXT];

	base64url_write(text, key, DEVICE_KEY_LEN);
	(void)json_add_str(o, "publicKey", text);
	add_said(o, "displayName", a->display_name);
	add_said(o, "platform", a->platform);
	add_said(o, "deviceFamily", a->device_family);
	add_said(o, "clientId", a->client_id);
	add_said(o, "clientMode", a->client_mode);
	add_said(o, "browserOrigin", a->origin);
	add_said(o, "remoteIp", a->remote);
}

static const char *
main_role(uint32_t roles)
{
	return (role_name((roles & ROLE_OPERATOR) != 0 ? ROLE_OPERATOR :
	    ROLE_NODE));
}

static struct json_object *
token_json(const struct token *t, uint32_t role, bool is_secret)
{
	struct json_object	*o = json_object_new_object();

	if (is_secret)
		(void)json_add_str(o, "token", t->text);
	(void)json_add_str(o, "role", role_name(role));
	(void)json_add(o, "scopes", scopes_json(t->scopes));
	(void)json_add_int(o, "createdAtMs", (int64_t)t->created_ms);
	add_time(o, "rotatedAtMs", t->rotated_ms);
	add_time(o, "revokedAtMs", t->revoked_ms);
	add_time(o, "lastUsedAtMs", t->last_used_ms);
	if (is_secret)
		add_said(o, "issuer", t->issuer);
	return (o);
}

static struct json_object *
device_object(const struct device *d)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "deviceId", d->id);
	add_about(o, &d->about, d->key);
	add_said(o, "operatorLabel", d->label);
	(void)json_add_str(o, "role", main_role(d->roles));
	(void)json_add(o, "roles", roles_json(d->roles));
	(void)json_add(o, "scopes", scopes_json(d->scopes));
	(void)json_add(o, "approvedScopes", scopes_json(d->scopes));
	(void)json_add_int(o, "createdAtMs", (int64_t)d->created_ms);
	(void)json_add_int(o, "approvedAtMs", (int64_t)d->approved_ms);
	add_said(o, "approvedVia", d->via);
	add_time(o, "lastSeenAtMs", d->seen_ms);
	if (d->seen_ms != 0)
		(void)json_add_str(o, "lastSeenReason", "connect");
	return (o);
}

struct json_object *
device_json(const struct device *d)
{
	struct json_object	*o = device_object(d), *tokens;
	unsigned		 i;

	tokens = json_object_new_array();
	for (i = 0; i < TOKEN_COUNT; i++) {
		if (d->tokens[i] != NULL)
			(void)json_push(tokens, token_json(d->tokens[i],
			    token_roles[i], false));
	}
	(void)json_add(o, "tokens", tokens);
	(void)json_add_bool(o, "connected", d->n_open > 0);
	if (d->pending_surface != NULL)
		(void)json_add(o, "pendingNodeSurface",
		    json_object_get(d->pending_surface));
	return (o);
}

int
device_write(struct buf *out, const struct device *d)
{
	struct json_object	*o = device_object(d), *tokens;
	unsigned		 i;
	int			 r;

	tokens = json_object_new_object();
	for (i = 0; i < TOKEN_COUNT; i++) {
		if (d->tokens[i] != NULL)
			(void)json_add(tokens, role_name(token_roles[i]),
			    token_json(d->tokens[i], token_roles[i], true));
	}
	(void)json_add(o, "tokens", tokens);
	if (d->surface != NULL)
		(void)json_add(o, "nodeSurface", json_object_get(d->surface));
	if (d->pending_surface != NULL)
		(void)json_add(o, "pendingNodeSurface",
		    json_object_get(d->pending_surface));
	r = json_write(out, o);
	json_object_put(o);
	return (r);
}

static uint32_t
read_scopes(struct json_object *list)
{
	struct json_object	*s;
	uint32_t		 bits = 0;
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		if (json_object_is_type(s, json_type_string))
			bits |= scope_parse(json_object_get_string(s),
			    (size_t)json_object_get_string_len(s));
	}
	return (bits);
}

static uint32_t
read_roles(struct json_object *list)
{
	struct json_object	*s;
	uint32_t		 bits = 0;
	size_t			 i, k;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		for (k = 0; k < TOKEN_COUNT; k++) {
			if (json_object_is_type(s, json_type_string) &&
			    strcmp(json_object_get_string(s),
			    role_name(token_roles[k])) == 0)
				bits |= token_roles[k];
		}
	}
	return (bits);
}

static uint64_t
read_time(struct json_object *o, const char *key)
{
	int64_t	 n = json_get_int(o, key, 0);

	return (n > 0 ? (uint64_t)n : 0);
}

static int
token_read(struct json_object *o, struct token **ret)
{
	const char	*text = json_get_str(o, "token");
	const char	*issuer = json_get_str(o, "issuer");
	struct token	*t;

	if (text == NULL || strlen(text) != TOKEN_SIZE - 1)
		return (-EBADMSG);
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (-ENOMEM);
	memcpy(t->text, text, TOKEN_SIZE);
	(void)gnutls_hash_fast(GNUTLS_DIG_SHA256, t->text, TOKEN_SIZE - 1,
	    t->digest);
	(void)snprintf(t->issuer, sizeof t->issuer, "%s",
	    issuer != NULL ? issuer : "");
	t->scopes = read_scopes(json_get_arr(o, "scopes"));
	t->created_ms = read_time(o, "createdAtMs");
	t->rotated_ms = read_time(o, "rotatedAtMs");
	t->revoked_ms = read_time(o, "revokedAtMs");
	t->last_used_ms = read_time(o, "lastUsedAtMs");
	*ret = t;
	return (0);
}

static int
tokens_read(struct device *d, struct json_object *tokens, struct buf *why)
{
	struct json_object	*o;
	unsigned		 i;
	int			 r;

	for (i = 0; i < TOKEN_COUNT; i++) {
		o = json_get_obj(tokens, role_name(token_roles[i]));
		if (o == NULL)
			continue;
		r = token_read(o, &d->tokens[i]);
		if (r < 0) {
			(void)buf_puts(why, "a token is not whole");
			return (r);
		}
		if ((d->roles & token_roles[i]) == 0 ||
		    !scope_covers(scope_closure(d->scopes),
		    d->tokens[i]->scopes)) {
			(void)buf_puts(why, "a token grants more than was "
			    "approved");
			return (-EBADMSG);
		}
	}
	return (0);
}

static int
device_read_object(struct device *d, const char *id, struct json_object *o,
    struct buf *why)
{
	struct device_about	 about;
	const char		*key = json_get_str(o, "publicKey");
	const char		*label = json_get_str(o, "operatorLabel");
	const char		*via = json_get_str(o, "approvedVia");
	char			 derived[DEVICE_ID_SIZE];

	if (key == NULL || device_key_parse(key, d->key) < 0 ||
	    device_id(d->key, derived) < 0 || strcmp(derived, id) != 0) {
		(void)buf_puts(why, "its key is not the one of its id");
		return (-EBADMSG);
	}
	memcpy(d->id, derived, sizeof d->id);
	d->roles = read_roles(json_get_arr(o, "roles"));
	d->scopes = read_scopes(json_get_arr(o, "approvedScopes"));
	if (d->roles == 0) {
		(void)buf_puts(why, "it has no role");
		return (-EBADMSG);
	}
	about = (struct device_about){
		.display_name = json_get_str(o, "displayName"),
		.platform = json_get_str(o, "platform"),
		.device_family = json_get_str(o, "deviceFamily"),
		.client_id = json_get_str(o, "clientId"),
		.client_mode = json_get_str(o, "clientMode"),
		.origin = json_get_str(o, "browserOrigin"),
		.remote = json_get_str(o, "remoteIp"),
	};
	if (about_copy(&d->about, &about) < 0)
		return (-ENOMEM);
	d->label = label != NULL ? strdup(label) : NULL;
	d->created_ms = read_time(o, "createdAtMs");
	d->approved_ms = read_time(o, "approvedAtMs");
	d->seen_ms = read_time(o, "lastSeenAtMs");
	(void)snprintf(d->via, sizeof d->via, "%s", via != NULL ? via : "");
	d->surface = json_object_get(json_get_obj(o, "nodeSurface"));
	d->pending_surface = json_object_get(json_get_obj(o,
	    "pendingNodeSurface"));
	return (tokens_read(d, json_get_obj(o, "tokens"), why));
}

int
device_read(struct device *d, const char *id, const char *text, size_t len,
    struct buf *why)
{
	struct json_object	*o = NULL;
	int			 r;

	r = json_parse(text, len, &o);
	if (r == 0 && !json_object_is_type(o, json_type_object))
		r = -EBADMSG;
	if (r < 0)
		(void)buf_puts(why, "it is no JSON object");
	else
		r = device_read_object(d, id, o, why);
	json_object_put(o);
	return (r);
}

struct json_object *
pending_json(const struct pending *q)
{
	struct json_object	*o = json_object_new_object();

	(void)json_add_str(o, "requestId", q->id);
	(void)json_add_str(o, "deviceId", q->device_id);
	add_about(o, &q->about, q->key);
	(void)json_add_str(o, "role", role_name(q->role));
	(void)json_add(o, "roles", roles_json(q->roles));
	(void)json_add(o, "scopes", scopes_json(q->scopes));
	(void)json_add_bool(o, "silent", false);
	(void)json_add_bool(o, "isRepair", q->is_repair);
	(void)json_add_int(o, "ts", (int64_t)q->ts_ms);
	return (o);
}

int
setup_write(struct buf *out, const struct setup *s)
{
	char	 digest[44];

	base64url_write(digest, s->digest, sizeof s->digest);
	(void)buf_printf(out, "{\"digest\":\"%s\",\"profile\":\"%s\","
	    "\"roles\":%u,\"scopes\":%u,\"exact\":%s,\"expiresAtMs\":%llu,"
	    "\"deviceId\":\"%s\",\"used\":%s,\"delivered\":%s,"
	    "\"usedAtMs\":%llu}", digest, s->profile, s->roles, s->scopes,
	    s->is_exact ? "true" : "false",
	    (unsigned long long)s->expires_ms, s->device_id,
	    s->is_used ? "true" : "false",
	    s->is_delivered ? "true" : "false", (unsigned long long)s->used_ms);
	return (out->is_failed ? -ENOMEM : 0);
}

int
setup_read(struct setup *s, const char *id, const char *text, size_t len)
{
	struct json_object	*o = NULL;
	const char		*digest, *profile, *device;
	int			 r;

	r = json_parse(text, len, &o);
	digest = json_get_str(o, "digest");
	profile = json_get_str(o, "profile");
	device = json_get_str(o, "deviceId");
	if (r < 0 || digest == NULL || profile == NULL || device == NULL ||
	    strlen(device) >= sizeof s->device_id || strlen(id) != 36 ||
	    base64_read(digest, s->digest, sizeof s->digest) !=
	    (int)sizeof s->digest)
		r = -EBADMSG;
	else {
		memcpy(s->id, id, sizeof s->id);
		(void)snprintf(s->profile, sizeof s->profile, "%s", profile);
		(void)snprintf(s->device_id, sizeof s->device_id, "%s", device);
		s->roles = (uint32_t)json_get_int(o, "roles", 0);
		s->scopes = (uint32_t)json_get_int(o, "scopes", 0);
		s->is_exact = json_get_bool(o, "exact", false);
		s->is_used = json_get_bool(o, "used", true);
		s->is_delivered = s->is_used &&
		    json_get_bool(o, "delivered", true);
		s->expires_ms = read_time(o, "expiresAtMs");
		s->used_ms = read_time(o, "usedAtMs");
	}
	json_object_put(o);
	return (r);
}
