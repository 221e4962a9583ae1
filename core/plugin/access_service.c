/* SPDX-License-Identifier: MIT */
/*
 * core.access/1: what plugins may do with devices. Whether a caller may is decided
 * here and nowhere else.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/services/access.h>

#include "core/access/access.h"
#include "core/access/device.h"
#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/json/json.h"
#include "core/net/net.h"
#include "core/plugin/host_priv.h"
#include "core/protocol/peer.h"
#include "core/protocol/proto.h"

#define UPGRADES_MAX	256		/* requests whose end is remembered */

/* A plugin that wants to know. */
struct listener {
	struct list		 link;
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	chela_access_event_fn	*fn;
	void			*arg;
};

/* A change under way for a plugin. */
struct change {
	struct chela_ctx	*ctx;
	uint32_t		 generation;
	chela_access_done_fn	*done;
	void			*arg;
	struct json_object	*result;
	/* Whose connections end with it, after the answer. */
	char			 device_id[DEVICE_ID_SIZE];
	uint32_t		 close_roles;
	struct peer		*caller;	/* counted, paused; or NULL */
};

/* A request for more scopes, and what became of it. */
struct upgrade {
	struct list	 link;
	char		 id[37];
	char		 device_id[DEVICE_ID_SIZE];
	const char	*status;
};

/* The vtable has no context: there is one host in a process. */
static struct host	*svc_host;
static struct list	 listeners;
static struct list	 upgrades;
static size_t		 n_upgrades;

static struct access *
access_of(void)
{
	return (proto_settings(svc_host->env.proto)->access);
}

static struct pairing *
pairing_of(void)
{
	return (access_of()->pairing);
}

static struct peer *
peer_of(struct chela_conn *conn)
{
	return ((struct peer *)(void *)conn);
}

/* All that the caller's scopes cover; the gateway itself may everything. */
static uint32_t
closure_of(struct chela_conn *caller)
{
	return (caller == NULL ? ~0u : peer_of(caller)->closure);
}

static bool
is_admin(struct chela_conn *caller)
{
	return ((closure_of(caller) & SCOPE_ADMIN) != 0);
}

/* A caller with a device's token and no admin acts for that device alone. */
static const char *
only_of(struct chela_conn *caller)
{
	struct peer	*p;

	if (caller == NULL || is_admin(caller))
		return (NULL);
	p = peer_of(caller);
	return (p->is_by_token && *p->info->device_id != '\0' ?
	    p->info->device_id : NULL);
}

static bool
may_touch(struct chela_conn *caller, const char *device_id)
{
	const char	*only = only_of(caller);

	return (only == NULL || strcmp(only, device_id) == 0);
}

static uint32_t
role_parse(const char *name)
{
	if (strcmp(name, "operator") == 0)
		return (ROLE_OPERATOR);
	return (strcmp(name, "node") == 0 ? ROLE_NODE : 0);
}

static struct change *
change_new(struct chela_ctx *ctx, const char *device_id,
    chela_access_done_fn *done, void *arg)
{
	struct change	*ch;

	ch = calloc(1, sizeof *ch);
	if (ch == NULL)
		return (NULL);
	ch->ctx = ctx;
	ch->generation = ctx->generation;
	ch->done = done;
	ch->arg = arg;
	(void)snprintf(ch->device_id, sizeof ch->device_id, "%s", device_id);
	ch->result = json_object_new_object();
	if (ch->result == NULL) {
		free(ch);
		return (NULL);
	}
	return (ch);
}

static void
change_free(struct change *ch)
{
	json_object_put(ch->result);
	if (ch->caller != NULL)
		(void)peer_unref(ch->caller);
	free(ch);
}

static int
close_peers(const char *device_id, uint32_t roles, uint16_t code,
    const char *reason, const struct peer *except)
{
	struct list	*l, *tmp;
	struct peer	*p;
	int		 n = 0;

	list_each(l, tmp, proto_peers(svc_host->env.proto)) {
		p = container_of(l, struct peer, link);
		if (p == except || p->conn == NULL || p->info == NULL ||
		    (roles != 0 && (p->role & roles) == 0) ||
		    strcmp(p->info->device_id, device_id) != 0)
			continue;
		/* What waits for it is not for it any more. */
		conn_cut(p->conn);
		conn_close(p->conn, code, reason);
		n++;
	}
	return (n);
}

/*
 * Ends what no longer holds: all at once, but the caller's own connection gets its
 * answer first; until then nothing more is read from it.
 */
static void
change_closes(struct change *ch, struct chela_conn *caller, uint32_t roles)
{
	struct peer	*p = caller == NULL ? NULL : peer_of(caller);

	ch->close_roles = roles;
	if (p != NULL && p->conn != NULL && p->info != NULL &&
	    strcmp(p->info->device_id, ch->device_id) == 0 &&
	    (roles == 0 || (p->role & roles) != 0)) {
		ch->caller = peer_ref(p);
		conn_cut(p->conn);
		conn_pause(p->conn);
	}
	(void)close_peers(ch->device_id, roles, 4001, "device removed",
	    ch->caller);
}

static void
change_done(void *arg, int r)
{
	struct change	*ch = arg;
	struct frame	 f;

	if (ch->done != NULL && ch->generation == ch->ctx->generation) {
		frame_enter(&f, ch->ctx, "device change");
		ch->done(ch->ctx, r, r < 0 ? NULL : ch->result, ch->arg);
		(void)frame_leave(&f);
	}
	if (ch->caller != NULL && ch->caller->conn != NULL) {
		conn_resume(ch->caller->conn);
		conn_close(ch->caller->conn, 4001, "device removed");
	}
	change_free(ch);
}

/* r of the call that was to make the change: 0, and change_done() comes. */
static int
change_started(struct change *ch, int r)
{
	if (r < 0) {
		if (ch->caller != NULL && ch->caller->conn != NULL)
			conn_resume(ch->caller->conn);
		change_free(ch);
	}
	return (r);
}

/* What is over at once is still reported later, as everything is. */
static void
change_now(void *arg)
{
	change_done(arg, 0);
}

static int
svc_list(struct chela_conn *caller, struct json_object **ret)
{
	*ret = pairing_list(pairing_of(), only_of(caller));
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
svc_device(const char *device_id, struct json_object **ret)
{
	struct device	*d = pairing_get(pairing_of(), device_id);

	if (d == NULL)
		return (-ENOENT);
	*ret = device_json(d);
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
svc_pending(const char *request_id, struct json_object **ret)
{
	struct pending	*q = pairing_pending(pairing_of(), request_id);

	if (q == NULL)
		return (-ENOENT);
	*ret = pending_json(q);
	return (*ret == NULL ? -ENOMEM : 0);
}

static int
svc_approve(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *request_id, chela_access_done_fn *done, void *arg)
{
	struct pending	*q = pairing_pending(pairing_of(), request_id);
	struct device	*d;
	struct change	*ch;
	int		 r;

	if (q == NULL)
		return (-ENOENT);
	/* Nobody gives what he does not have. */
	if (!is_admin(caller) &&
	    (!scope_covers(closure_of(caller), q->scopes) ||
	    (q->roles & ~ROLE_OPERATOR) != 0))
		return (-EACCES);
	ch = change_new(ctx, q->device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	(void)json_add_str(ch->result, "requestId", request_id);
	r = pairing_approve(pairing_of(), q, "owner", change_done, ch, &d);
	if (r == 0)
		(void)json_add(ch->result, "device", device_json(d));
	return (change_started(ch, r));
}

static int
svc_reject(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *request_id, chela_access_done_fn *done, void *arg)
{
	struct pending	*q = pairing_pending(pairing_of(), request_id);
	struct change	*ch;

	(void)caller;
	if (q == NULL)
		return (-ENOENT);
	ch = change_new(ctx, q->device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	(void)json_add_str(ch->result, "requestId", request_id);
	(void)json_add_str(ch->result, "deviceId", q->device_id);
	pairing_reject(pairing_of(), q);
	return (change_started(ch, loop_defer(svc_host->env.loop, change_now,
	    ch)));
}

static int
svc_remove(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *device_id, chela_access_done_fn *done, void *arg)
{
	struct device	*d = pairing_get(pairing_of(), device_id);
	struct change	*ch;

	if (d == NULL || !may_touch(caller, device_id))
		return (-ENOENT);
	ch = change_new(ctx, device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	(void)json_add_str(ch->result, "deviceId", device_id);
	change_closes(ch, caller, 0);
	/* In force even where it cannot be stored at once: it is tried again. */
	if (pairing_remove(pairing_of(), d, change_done, ch) < 0)
		change_done(ch, -EIO);
	return (0);
}

static int
svc_rename(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *device_id, const char *label, chela_access_done_fn *done,
    void *arg)
{
	struct device	*d = pairing_get(pairing_of(), device_id);
	struct change	*ch;
	size_t		 i, n = 0;

	if (d == NULL || !may_touch(caller, device_id))
		return (-ENOENT);
	for (i = 0; label[i] != '\0'; i++)
		n += ((unsigned char)label[i] & 0xc0) != 0x80;
	if (n > PAIRING_LABEL_MAX)
		return (-EINVAL);
	ch = change_new(ctx, device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	(void)json_add_str(ch->result, "deviceId", device_id);
	(void)json_add_str(ch->result, "label", label);
	return (change_started(ch, pairing_rename(pairing_of(), d, label,
	    change_done, ch)));
}

static struct json_object *
scopes_json(uint32_t scopes)
{
	struct json_object	*a = NULL;
	struct buf		 text = BUF_INIT;

	if (scope_json(&text, scopes, true) < 0 ||
	    json_parse(text.data, text.len, &a) < 0)
		a = NULL;
	buf_fini(&text);
	return (a);
}

/* Scopes by name; -EINVAL where one does not exist. */
static int
scopes_parse(struct json_object *list, uint32_t *ret)
{
	struct json_object	*s;
	uint32_t		 bit;
	size_t			 i;

	*ret = 0;
	for (i = 0; i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		bit = scope_parse(json_object_get_string(s),
		    (size_t)json_object_get_string_len(s));
		if (bit == 0)
			return (-EINVAL);
		*ret |= bit;
	}
	return (0);
}

static bool
is_own(struct chela_conn *caller, const char *device_id)
{
	struct peer	*p = caller == NULL ? NULL : peer_of(caller);

	return (p != NULL && p->info != NULL &&
	    strcmp(p->info->device_id, device_id) == 0);
}

/* The device and role of a token that the caller may change. */
static struct device *
token_target(struct chela_conn *caller, const char *device_id,
    const char *role, uint32_t *ret_role)
{
	struct device	*d = pairing_get(pairing_of(), device_id);
	uint32_t	 bit = role_parse(role);
	struct token	*t;

	*ret_role = bit;
	if (d == NULL || bit == 0 || (d->roles & bit) == 0 ||
	    !may_touch(caller, device_id))
		return (NULL);
	t = device_token(d, bit);
	/*
	 * Wider than the caller: not his to touch (AB-055). A node's token is
	 * for admins, and for the node's own device.
	 */
	if (!is_admin(caller) &&
	    (!scope_covers(closure_of(caller), t != NULL ? t->scopes :
	    d->scopes) || (bit != ROLE_OPERATOR &&
	    !is_own(caller, device_id))))
		return (NULL);
	return (d);
}

static int
svc_rotate(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *device_id, const char *role, struct json_object *scopes,
    chela_access_done_fn *done, void *arg)
{
	struct device	*d;
	struct token	*t;
	struct change	*ch;
	uint32_t	 bit, wanted;
	int		 r;

	d = token_target(caller, device_id, role, &bit);
	if (d == NULL)
		return (-EACCES);
	t = device_token(d, bit);
	wanted = t != NULL ? t->scopes : bit == ROLE_NODE ? 0 : d->scopes;
	if (scopes != NULL && (scopes_parse(scopes, &wanted) < 0 ||
	    !scope_covers(closure_of(caller), wanted) || bit == ROLE_NODE))
		return (-EACCES);
	ch = change_new(ctx, device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	r = pairing_mint(pairing_of(), d, bit, wanted,
	    t != NULL ? t->issuer : "", true, change_done, ch);
	if (r < 0)
		return (change_started(ch, r));
	t = device_token(d, bit);
	(void)json_add_str(ch->result, "deviceId", device_id);
	(void)json_add_str(ch->result, "role", role);
	(void)json_add(ch->result, "scopes", scopes_json(t->scopes));
	(void)json_add_int(ch->result, "rotatedAtMs", (int64_t)(
	    t->rotated_ms != 0 ? t->rotated_ms : t->created_ms));
	/* Only the device itself ever sees its token. */
	(void)json_add_str(ch->result, "tokenDelivery",
	    is_own(caller, device_id) ? "in-band" : "withheld-cross-device");
	if (is_own(caller, device_id))
		(void)json_add_str(ch->result, "token", t->text);
	change_closes(ch, caller, bit);
	return (0);
}

static int
svc_revoke(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *device_id, const char *role, chela_access_done_fn *done,
    void *arg)
{
	struct device	*d;
	struct change	*ch;
	uint32_t	 bit;

	d = token_target(caller, device_id, role, &bit);
	if (d == NULL || device_token(d, bit) == NULL)
		return (-EACCES);
	ch = change_new(ctx, device_id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	change_closes(ch, caller, bit);
	(void)json_add_str(ch->result, "deviceId", device_id);
	(void)json_add_str(ch->result, "role", role);
	(void)json_add_int(ch->result, "revokedAtMs",
	    (int64_t)clock_wall_ms());
	if (pairing_revoke(pairing_of(), d, bit, change_done, ch) < 0)
		change_done(ch, -EIO);
	return (0);
}

static struct json_object *
roles_json(uint32_t roles)
{
	struct json_object	*a = json_object_new_array();

	if ((roles & ROLE_NODE) != 0)
		(void)json_push(a, json_object_new_string("node"));
	if ((roles & ROLE_OPERATOR) != 0)
		(void)json_push(a, json_object_new_string("operator"));
	return (a);
}

static int
svc_setup_new(struct chela_ctx *ctx, struct chela_conn *caller,
    const char *profile, chela_access_done_fn *done, void *arg)
{
	char		 token[TOKEN_SIZE];
	struct setup	*s;
	struct change	*ch;
	int		 r;

	if (!is_admin(caller))
		return (-EACCES);
	ch = change_new(ctx, "", done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	r = pairing_setup_new(pairing_of(), profile, token, &s, change_done, ch);
	if (r == 0) {
		(void)json_add_str(ch->result, "setupId", s->id);
		(void)json_add_str(ch->result, "bootstrapToken", token);
		(void)json_add_str(ch->result, "profile", s->profile);
		(void)json_add(ch->result, "roles", roles_json(s->roles));
		(void)json_add(ch->result, "scopes", scopes_json(s->scopes));
		(void)json_add_int(ch->result, "expiresAtMs",
		    (int64_t)s->expires_ms);
	}
	secret_wipe(token, sizeof token);
	return (change_started(ch, r));
}

static int
svc_setup_status(const char *setup_id, struct json_object **ret)
{
	struct setup		*s = pairing_setup_get(pairing_of(), setup_id);
	struct json_object	*o;
	const char		*status;

	if (s == NULL)
		return (-ENOENT);
	o = json_object_new_object();
	status = s->is_used ? s->is_delivered ? "completed" : "uncertain" :
	    s->expires_ms <= clock_wall_ms() ? "expired" :
	    *s->device_id != '\0' ? "bound" : "pending";
	(void)json_add_str(o, "setupId", s->id);
	(void)json_add_str(o, "status", status);
	(void)json_add_str(o, "profile", s->profile);
	(void)json_add_int(o, "expiresAtMs", (int64_t)s->expires_ms);
	if (*s->device_id != '\0')
		(void)json_add_str(o, "deviceId", s->device_id);
	if (s->is_used)
		(void)json_add_int(o, "completedAtMs", (int64_t)s->used_ms);
	*ret = o;
	return (o == NULL ? -ENOMEM : 0);
}

static void
upgrade_drop(struct upgrade *u)
{
	list_remove(&u->link);
	n_upgrades--;
	free(u);
}

static int
upgrade_add(const char *request_id, const char *device_id)
{
	struct upgrade	*u;
	struct list	*l, *tmp;

	list_each(l, tmp, &upgrades) {
		u = container_of(l, struct upgrade, link);
		if (strcmp(u->id, request_id) == 0)
			return (0);
	}
	if (n_upgrades == UPGRADES_MAX)
		upgrade_drop(list_first(&upgrades, struct upgrade, link));
	u = calloc(1, sizeof *u);
	if (u == NULL)
		return (-ENOMEM);
	(void)snprintf(u->id, sizeof u->id, "%s", request_id);
	(void)snprintf(u->device_id, sizeof u->device_id, "%s", device_id);
	u->status = "pending";
	list_append(&upgrades, &u->link);
	n_upgrades++;
	return (0);
}

static void
upgrade_resolved(const char *request_id, const char *decision)
{
	struct upgrade	*u;
	struct list	*l, *tmp;

	list_each(l, tmp, &upgrades) {
		u = container_of(l, struct upgrade, link);
		if (strcmp(u->id, request_id) == 0)
			u->status = strcmp(decision, "approved") == 0 ?
			    "approved" : "rejected";
	}
}

static int
svc_upgrade(struct chela_ctx *ctx, struct chela_conn *caller,
    struct json_object *scopes, chela_access_done_fn *done, void *arg)
{
	struct pairing_ask	 ask;
	struct peer		*p = peer_of(caller);
	struct device		*d;
	struct pending		*q;
	struct change		*ch;
	char			 source[LIMIT_SOURCE_SIZE];
	uint32_t		 wanted;
	int			 r;

	d = p->info == NULL ? NULL : pairing_get(pairing_of(),
	    p->info->device_id);
	if (d == NULL || p->role != ROLE_OPERATOR)
		return (-ENOENT);
	if (scopes_parse(scopes, &wanted) < 0 || wanted == 0)
		return (-EINVAL);
	limit_source(*p->info->remote != '\0' ? p->info->remote : "127.0.0.1",
	    source);
	ask = (struct pairing_ask){
		.device_id = d->id,
		.key = d->key,
		.about = d->about,
		.source = source,
		.role = ROLE_OPERATOR,
		.scopes = wanted,
		.is_upgrade = true,
	};
	r = pairing_request(pairing_of(), &ask, &q);
	if (r == 0)
		r = upgrade_add(q->id, d->id);
	if (r < 0)
		return (r);
	ch = change_new(ctx, d->id, done, arg);
	if (ch == NULL)
		return (-ENOMEM);
	(void)json_add_str(ch->result, "requestId", q->id);
	return (change_started(ch, loop_defer(svc_host->env.loop, change_now,
	    ch)));
}

static int
svc_upgrade_status(struct chela_conn *caller, const char *request_id,
    struct json_object **ret)
{
	struct json_object	*o;
	struct upgrade		*u = NULL;
	struct device		*d;
	struct token		*t;
	struct list		*l, *tmp;
	const char		*status;

	list_each(l, tmp, &upgrades) {
		if (strcmp(container_of(l, struct upgrade, link)->id,
		    request_id) == 0)
			u = container_of(l, struct upgrade, link);
	}
	if (u == NULL || !is_own(caller, u->device_id))
		return (-ENOENT);
	status = u->status;
	if (strcmp(status, "pending") == 0 &&
	    pairing_pending(pairing_of(), request_id) == NULL)
		status = "expired";
	o = json_object_new_object();
	(void)json_add_str(o, "status", status);
	d = pairing_get(pairing_of(), u->device_id);
	t = d == NULL ? NULL : device_token(d, ROLE_OPERATOR);
	if (strcmp(status, "approved") == 0 && t != NULL &&
	    t->revoked_ms == 0) {
		(void)json_add_str(o, "deviceToken", t->text);
		(void)json_add(o, "scopes", scopes_json(t->scopes));
	}
	*ret = o;
	return (o == NULL ? -ENOMEM : 0);
}

static int
svc_claims(struct chela_conn *conn, struct json_object **ret)
{
	*ret = peer_of(conn)->claims;
	return (*ret == NULL ? -ENOENT : 0);
}

static struct chela_conn *
svc_conn_of(const char *device_id, uint32_t role)
{
	struct list	*l, *peers = proto_peers(svc_host->env.proto);
	struct peer	*p;

	for (l = peers->prev; l != peers; l = l->prev) {
		p = container_of(l, struct peer, link);
		if ((p->role & role) != 0 && p->conn != NULL &&
		    !conn_is_closing(p->conn) && p->info != NULL &&
		    strcmp(p->info->device_id, device_id) == 0)
			return ((struct chela_conn *)(void *)p);
	}
	return (NULL);
}

static int
svc_close_device(const char *device_id, uint32_t roles, uint16_t code,
    const char *reason)
{
	return (close_peers(device_id, roles, code, reason, NULL));
}

static int
svc_surface_get(const char *device_id, struct json_object **ret_approved,
    struct json_object **ret_pending)
{
	struct device	*d = pairing_get(pairing_of(), device_id);

	if (d == NULL)
		return (-ENOENT);
	*ret_approved = d->surface;
	*ret_pending = d->pending_surface;
	return (0);
}

static int
svc_surface_put(struct chela_ctx *ctx, const char *device_id,
    struct json_object *approved, struct json_object *pending,
    chela_access_done_fn *done, void *arg)
{
	struct device	*d = pairing_get(pairing_of(), device_id);
	struct change	*ch;

	ch = d == NULL ? NULL : change_new(ctx, device_id, done, arg);
	if (ch == NULL) {
		json_object_put(approved);
		json_object_put(pending);
		return (d == NULL ? -ENOENT : -ENOMEM);
	}
	return (change_started(ch, pairing_surface(pairing_of(), d, approved,
	    pending, change_done, ch)));
}

static uint64_t
svc_pairing_generation(const char *device_id)
{
	struct device	*d = pairing_get(pairing_of(), device_id);

	return (d == NULL ? 0 : d->generation);
}

static int
svc_on_event(struct chela_ctx *ctx, chela_access_event_fn *fn, void *arg)
{
	struct listener	*l;

	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (-ENOMEM);
	l->ctx = ctx;
	l->generation = ctx->generation;
	l->fn = fn;
	l->arg = arg;
	list_append(&listeners, &l->link);
	return (0);
}

static int
svc_identity(const char **ret_id, const char **ret_key)
{
	struct identity	*id = access_of()->identity;

	if (id == NULL)
		return (-ENOENT);
	*ret_id = identity_id(id);
	*ret_key = identity_key(id);
	return (0);
}

static int
svc_sign(const void *p, size_t len, unsigned char ret_sig[64])
{
	struct identity	*id = access_of()->identity;

	return (id == NULL ? -ENOENT : identity_sign(id, p, len, ret_sig));
}

static int
svc_is_loopback_only(void)
{
	return (access_of()->is_loopback_only);
}

static int
svc_is_gateway_secret(const char *text)
{
	const struct auth	*auth = &access_of()->auth;
	size_t			 len = strlen(text);
	int			 r;

	r = auth->token.is_set && secret_is(&auth->token, text, len);
	return (r | (auth->password.is_set &&
	    secret_is(&auth->password, text, len)));
}

static const struct chela_access_1 access_vtable = {
	.struct_size = sizeof access_vtable,
	.list = svc_list,
	.device = svc_device,
	.pending = svc_pending,
	.approve = svc_approve,
	.reject = svc_reject,
	.remove = svc_remove,
	.rename = svc_rename,
	.rotate = svc_rotate,
	.revoke = svc_revoke,
	.setup_new = svc_setup_new,
	.setup_status = svc_setup_status,
	.upgrade = svc_upgrade,
	.upgrade_status = svc_upgrade_status,
	.claims = svc_claims,
	.conn_of = svc_conn_of,
	.close_device = svc_close_device,
	.surface_get = svc_surface_get,
	.surface_put = svc_surface_put,
	.generation = svc_pairing_generation,
	.on_event = svc_on_event,
	.identity = svc_identity,
	.sign = svc_sign,
	.is_loopback_only = svc_is_loopback_only,
	.is_gateway_secret = svc_is_gateway_secret,
};

static void
emit(const struct chela_access_event *ev)
{
	struct list	*l, *tmp;
	struct listener	*x;
	struct frame	 f;

	list_each(l, tmp, &listeners) {
		x = container_of(l, struct listener, link);
		if (x->generation != x->ctx->generation) {
			list_remove(&x->link);
			free(x);
			continue;
		}
		frame_enter(&f, x->ctx, "device event");
		x->fn(x->ctx, ev, x->arg);
		(void)frame_leave(&f);
	}
}

static void
on_pairing(void *arg, unsigned what, const char *device_id,
    struct json_object *data)
{
	struct chela_access_event ev = {
		.struct_size = sizeof ev,
		.what = what == PAIRING_SETUP_UNCERTAIN ?
		    CHELA_ACCESS_SETUP_UNCERTAIN : what,
		.device_id = device_id,
		.data = data,
	};

	(void)arg;
	if (what == CHELA_ACCESS_RESOLVED)
		upgrade_resolved(json_get_str(data, "requestId"),
		    json_get_str(data, "decision"));
	emit(&ev);
}

static void
emit_node(struct peer *p, uint32_t what)
{
	struct chela_access_event ev = {
		.struct_size = sizeof ev,
		.what = what,
		.device_id = p->info == NULL ? "" : p->info->device_id,
		.conn = (struct chela_conn *)(void *)p,
	};

	if (p->role == ROLE_NODE)
		emit(&ev);
}

void
access_service_refused(struct peer *p, const char *reason)
{
	struct chela_access_event ev = {
		.struct_size = sizeof ev,
		.what = CHELA_ACCESS_REFUSED,
		.device_id = "",
		.data = json_object_new_object(),
	};

	/* Nothing of what it said of itself has been proven. */
	if (ev.data != NULL && json_add_str(ev.data, "reason", reason) == 0 &&
	    json_add_str(ev.data, "remote", peer_remote(p)) == 0)
		emit(&ev);
	json_object_put(ev.data);
}

void
access_service_opened(struct peer *p)
{
	emit_node(p, CHELA_ACCESS_NODE_OPEN);
}

void
access_service_closed(struct peer *p)
{
	emit_node(p, CHELA_ACCESS_NODE_CLOSE);
}

void
access_service_fini(void)
{
	struct listener	*x;
	struct upgrade	*u;

	while ((x = list_first(&listeners, struct listener, link)) != NULL) {
		list_remove(&x->link);
		free(x);
	}
	while ((u = list_first(&upgrades, struct upgrade, link)) != NULL)
		upgrade_drop(u);
}

int
access_service_export(struct host *h)
{
	svc_host = h;
	list_init(&listeners);
	list_init(&upgrades);
	n_upgrades = 0;
	/* Without a protocol plugins are only looked at. */
	if (h->env.proto != NULL && pairing_of() != NULL)
		pairing_on_event(pairing_of(), on_pairing, NULL);
	return (host_export(h, CHELA_ACCESS_SERVICE, &access_vtable));
}
