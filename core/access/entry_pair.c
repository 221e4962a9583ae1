/* SPDX-License-Identifier: MIT */
/* Pairing at the door: what is let in at once, what waits for an operator. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/access/entry_priv.h"
#include "core/access/scope.h"
#include "core/base/log.h"

static bool
str_is(const char *a, const char *b)
{
	return (a != NULL && strcmp(a, b) == 0);
}

static const char *
or_empty(const char *s)
{
	return (s != NULL ? s : "");
}

/* Host without brackets and port is this machine. */
static bool
is_loopback_host(const char *host)
{
	char	 name[64];
	size_t	 len;

	if (host == NULL)
		return (false);
	if (*host == '[')
		len = strcspn(++host, "]");
	else
		len = strcspn(host, ":");
	if (len == 0 || len >= sizeof name)
		return (false);
	memcpy(name, host, len);
	name[len] = '\0';
	return (strcasecmp(name, "localhost") == 0 || proxy_is_loopback(name));
}

static enum entry_locality
locality_of(const struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;
	const char		*origin = e->claim.about.origin;

	if (e->claim.kind == PROXY_DIRECT_LOCAL)
		return (ENTRY_DIRECT_LOCAL);
	if (e->claim.kind == PROXY_DIRECT_REMOTE && e->is_shared &&
	    entry_is_control_ui(c) && c->has_origin && origin != NULL &&
	    proxy_is_private(e->claim.peer) &&
	    is_loopback_host(e->claim.host) && strstr(origin, "://") != NULL &&
	    is_loopback_host(strstr(origin, "://") + 3))
		return (ENTRY_BROWSER_LOCAL);
	return (ENTRY_REMOTE);
}

/* "iOS 18.1" and "ios 17" are of one family. */
static bool
same_word(const char *a, const char *b)
{
	size_t	 n = strcspn(a, " ./"), m = strcspn(b, " ./");

	return (n == m && strncasecmp(a, b, n) == 0);
}

static const char *
canonical_platform(const char *s)
{
	if (strcasecmp(s, "darwin") == 0)
		return ("macos");
	if (strcasecmp(s, "win32") == 0)
		return ("windows");
	return (s);
}

static bool
is_app(const char *id)
{
	static const char *const ids[] = { "openclaw-macos", "openclaw-linux",
	    "openclaw-ios", "openclaw-watchos", "openclaw-android" };
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(ids); i++) {
		if (str_is(id, ids[i]))
			return (true);
	}
	return (false);
}

/* What was pinned when it was paired is not what it says now. */
static bool
is_changed(const struct entry *e, const struct device *d)
{
	const struct device_about	*now = &e->claim.about;
	const char			*id = e->claim.auth.client_id;
	const char			*platform = or_empty(now->platform);
	const char			*family = or_empty(now->device_family);
	const char			*was = d->about.platform;

	if (*was != '\0' && strcasecmp(was, platform) != 0 &&
	    !(is_app(id) && same_word(was, platform)) &&
	    !(str_is(id, "node-host") && strcasecmp(canonical_platform(was),
	    canonical_platform(platform)) == 0))
		return (true);
	was = d->about.device_family;
	return (*was != '\0' && strcasecmp(was, family) != 0 &&
	    !(str_is(id, "node-host") && strcasecmp(canonical_platform(was),
	    canonical_platform(family)) == 0));
}

static bool
is_silent(const struct entry *e, const struct device *d, const char *why)
{
	const struct auth_claim	*c = &e->claim.auth;
	const struct access	*a = e->access;
	bool			 is_local = e->locality != ENTRY_REMOTE;

	if (d == NULL && c->role == ROLE_NODE &&
	    proxy_net_has(&a->auto_nets, or_empty(e->claim.about.remote)) &&
	    !c->has_origin)
		return (true);
	if (!is_local || !a->is_auto_local ||
	    (c->has_origin && !entry_is_control_ui(c) &&
	    !str_is(c->client_mode, "webchat")))
		return (false);
	if (d != NULL && c->role != ROLE_OPERATOR)
		return (false);
	if (strcmp(why, "metadata-upgrade") == 0)
		return (!entry_is_page(c) && is_app(c->client_id) &&
		    str_is(c->client_mode, "ui") &&
		    e->locality == ENTRY_DIRECT_LOCAL);
	if (strcmp(why, "scope-upgrade") == 0)
		return (strcmp(e->grant.method, "token") == 0 ||
		    strcmp(e->grant.method, "password") == 0 ||
		    strcmp(e->grant.method, "none") == 0);
	return (true);
}

/*
 * The scopes with which the device of a user is let in whom a trusted proxy vouches
 * for; -1: it is not. What it asks for beyond the configured ones is left out.
 */
static int64_t
enrol_scopes(const struct entry *e, const struct device *d, const char *why)
{
	const struct auth_claim	*c = &e->claim.auth;
	const struct access	*a = e->access;
	bool			 is_app_ui = is_app(c->client_id) &&
				    str_is(c->client_mode, "ui");

	if (!a->has_proxy_enrol || c->role != ROLE_OPERATOR ||
	    strcmp(e->grant.method, "trusted-proxy") != 0 ||
	    *or_empty(e->claim.proxy_user) == '\0' ||
	    !(entry_is_page(c) || is_app_ui))
		return (-1);
	if (strcmp(why, "scope-upgrade") != 0 && d != NULL)
		return (-1);
	if (!e->has_asked)
		return (entry_capped(e, a->enrol_scopes));
	return (entry_capped(e, a->enrol_scopes & (c->scopes |
	    (a->is_enrol_default ? SCOPE_QUESTIONS : 0))));
}

/* Tokens of pages last as long as the secret that they were given for. */
static const char *
issuer_of(const struct entry *e)
{
	return (e->is_shared && entry_is_page(&e->claim.auth) ?
	    e->access->auth.generation : "");
}

static void
on_durable(void *arg, int r)
{
	struct entry_wait	*w = arg;
	struct entry		*e = w->e;
	const char		*lapsed;

	free(w);
	if (e == NULL)
		return;
	e->wait = NULL;
	lapsed = entry_lapsed(e);
	if (lapsed != NULL) {
		entry_refuse(e, lapsed);
		return;
	}
	if (r == 0) {
		/* Looked at anew: it may have been removed meanwhile. */
		entry_pair(e);
		return;
	}
	e->no = (struct auth_refusal){ "UNAVAILABLE", "DEVICE_STORE_UNAVAILABLE",
	    "store-unavailable", "the pairing could not be stored; retry later",
	    "wait_then_retry" };
	e->is_retryable = true;
	e->retry_after_ms = 1000;
	(void)buf_printf(&e->details, "{\"code\":\"%s\",\"reason\":\"%s\"}",
	    e->no.detail, e->no.reason);
	entry_no(e);
}

static struct entry_wait *
wait_new(struct entry *e)
{
	struct entry_wait	*w;

	w = malloc(sizeof *w);
	if (w != NULL)
		w->e = e;
	e->wait = w;
	return (w);
}

/* r of a call that was to write. */
static void
wait_or_fail(struct entry *e, int r)
{
	struct entry_wait	*w = e->wait;

	if (r == 0)
		return;
	if (w == NULL) {
		w = wait_new(e);
		if (w == NULL) {
			e->no = (struct auth_refusal){ "UNAVAILABLE",
			    "DEVICE_STORE_UNAVAILABLE", "store-unavailable",
			    "out of memory", "wait_then_retry" };
			entry_no(e);
			return;
		}
	}
	on_durable(w, r);
}

static void
fill_ask(const struct entry *e, struct pairing_ask *ask,
    char source[LIMIT_SOURCE_SIZE])
{
	limit_source(or_empty(e->claim.about.remote), source);
	*ask = (struct pairing_ask){
		.device_id = e->device_id,
		.key = e->key,
		.about = e->claim.about,
		.source = source,
		.role = e->claim.auth.role,
		.scopes = e->claim.auth.scopes,
		.setup_id = *e->setup_id != '\0' ? e->setup_id : NULL,
		.issuer = issuer_of(e),
	};
}

static void
entry_grant(struct entry *e, const char *via)
{
	struct pairing		*p = e->access->pairing;
	struct pairing_ask	 ask;
	struct device		*d;
	char			 source[LIMIT_SOURCE_SIZE];
	int			 r;

	fill_ask(e, &ask, source);
	r = wait_new(e) == NULL ? -ENOMEM :
	    pairing_grant(p, &ask, via, on_durable, e->wait, &d);
	if (r == 0 && strcmp(via, "silent") == 0)
		pairing_prune(p, d);
	wait_or_fail(e, r);
}

/* All that the setup code is for, at once; it is used up by that. */
static void
entry_grant_setup(struct entry *e, struct setup *s)
{
	struct pairing		*p = e->access->pairing;
	struct pairing_ask	 ask;
	struct device		*d;
	char			 source[LIMIT_SOURCE_SIZE];
	int			 r = 0;

	fill_ask(e, &ask, source);
	if (ask.role == ROLE_NODE && (s->roles & ROLE_OPERATOR) != 0) {
		ask.role = ROLE_OPERATOR;
		ask.scopes = s->scopes;
		r = pairing_grant(p, &ask, "setup", NULL, NULL, &d);
	}
	if (r == 0)
		r = pairing_setup_used(p, s, e->claim.auth.role);
	if (s->is_used)
		memcpy(e->used_setup, s->id, sizeof e->used_setup);
	*e->setup_id = '\0';
	if (r == 0)
		entry_grant(e, "setup");
	else
		wait_or_fail(e, r);
}

static bool
setup_fits(const struct entry *e, const struct setup *s)
{
	return ((s->roles & e->claim.auth.role) != 0 &&
	    scope_covers(scope_closure(s->scopes), e->claim.auth.scopes));
}

static void
add_scopes(struct buf *out, const char *name, uint32_t scopes)
{
	(void)buf_printf(out, ",\"%s\":", name);
	(void)scope_json(out, scopes, true);
}

static void
pending_details(struct entry *e, const struct device *d,
    const struct pending *q, const char *why)
{
	static const char	 hint[] = "Approve it: chela devices approve "
	    "<requestId>.";
	const struct auth_claim	*c = &e->claim.auth;
	struct buf		*o = &e->details;

	(void)buf_printf(o, "{\"code\":\"PAIRING_REQUIRED\",\"reason\":\"%s\","
	    "\"requestId\":\"%s\",\"remediationHint\":\"%s\","
	    "\"deviceId\":\"%s\",\"requestedRole\":\"%s\"", why, q->id, hint,
	    e->device_id, role_name(c->role));
	add_scopes(o, "requestedScopes", c->scopes);
	if (d != NULL) {
		(void)buf_printf(o, ",\"approvedRoles\":[%s%s%s]",
		    (d->roles & ROLE_OPERATOR) != 0 ? "\"operator\"" : "",
		    d->roles == (ROLE_OPERATOR | ROLE_NODE) ? "," : "",
		    (d->roles & ROLE_NODE) != 0 ? "\"node\"" : "");
		add_scopes(o, "approvedScopes", d->scopes);
	}
	/* These wait by themselves; others are started again by a person. */
	if ((entry_is_control_ui(c) && c->role == ROLE_OPERATOR) ||
	    *e->setup_id != '\0') {
		(void)buf_puts(o, ",\"recommendedNextStep\":\"wait_then_retry\","
		    "\"retryable\":true,\"pauseReconnect\":false");
		e->is_retryable = true;
	}
	(void)buf_putc(o, '}');
}

static const char *
pending_message(const char *why)
{
	if (strcmp(why, "scope-upgrade") == 0)
		return ("pairing required: more scopes than approved");
	if (strcmp(why, "role-upgrade") == 0)
		return ("pairing required: a role that is not approved");
	if (strcmp(why, "metadata-upgrade") == 0)
		return ("pairing required: another platform than approved");
	return ("pairing required: device is not approved");
}

static void
entry_wait_for_operator(struct entry *e, const struct device *d,
    const char *why)
{
	struct pairing_ask	 ask;
	struct pending		*q;
	char			 source[LIMIT_SOURCE_SIZE];
	int			 r;

	fill_ask(e, &ask, source);
	r = pairing_request(e->access->pairing, &ask, &q);
	if (r < 0) {
		e->no = (struct auth_refusal){ "UNAVAILABLE",
		    "PAIRING_REQUESTS_LIMITED", "too-many-requests",
		    "too many pairing requests (retry later)",
		    "wait_then_retry" };
		e->is_retryable = true;
		e->retry_after_ms = 60000;
		(void)buf_printf(&e->details, "{\"code\":\"%s\","
		    "\"reason\":\"%s\"}", e->no.detail, e->no.reason);
		entry_no(e);
		return;
	}
	log_info("access", "device %.16s waits for approval (%s, request %s)",
	    e->device_id, why, q->id);
	e->no = (struct auth_refusal){ "NOT_PAIRED", "PAIRING_REQUIRED", why,
	    pending_message(why), "" };
	(void)buf_printf(&e->message, "%s (requestId: %s)", e->no.message,
	    q->id);
	pending_details(e, d, q, why);
	entry_no(e);
}

static void
add_token(struct entry *e, const struct token *t, uint32_t role)
{
	struct entry_token	*o = &e->tokens[e->n_tokens++];

	memcpy(o->text, t->text, sizeof o->text);
	o->role = role;
	o->scopes = t->scopes;
	o->issued_ms = t->rotated_ms != 0 ? t->rotated_ms : t->created_ms;
}

/* Paired for all that it asks: the token that it gets, and in. */
static void
entry_issue(struct entry *e, struct device *d)
{
	const struct auth_claim	*c = &e->claim.auth;
	struct token		*t = device_token(d, c->role), *other;
	const char		*issuer = issuer_of(e);
	bool			 is_good;
	int			 r;

	is_good = t != NULL && t->revoked_ms == 0 &&
	    scope_covers(scope_closure(d->scopes), t->scopes) &&
	    scope_covers(scope_closure(t->scopes), c->scopes) &&
	    (e->is_device_token || strcmp(t->issuer, issuer) == 0);
	if (strcmp(e->grant.method, "trusted-proxy") != 0) {
		if (!is_good && ++e->n_grants <= ENTRY_GRANTS_MAX) {
			r = wait_new(e) == NULL ? -ENOMEM :
			    pairing_mint(e->access->pairing, d, c->role,
			    c->scopes | (t != NULL && t->revoked_ms == 0 ?
			    t->scopes & d->scopes : 0), issuer, false,
			    on_durable, e->wait);
			wait_or_fail(e, r);
			return;
		}
		if (is_good)
			add_token(e, t, c->role);
		other = c->role == ROLE_NODE ? device_token(d, ROLE_OPERATOR) :
		    NULL;
		if (*e->used_setup != '\0' && other != NULL && other->revoked_ms == 0)
			add_token(e, other, ROLE_OPERATOR);
	}
	(void)snprintf(e->issuer, sizeof e->issuer, "%s",
	    is_good ? t->issuer : "");
	pairing_seen(e->access->pairing, d, e->is_device_token ? t : NULL);
	e->grant.scopes = c->scopes;
	entry_yes(e);
}

static void
entry_enrol(struct entry *e, struct device *d, uint32_t scopes)
{
	struct auth_claim	*c = &e->claim.auth;
	const char		*user = e->claim.proxy_user;

	if (d != NULL && scope_covers(scope_closure(d->scopes), scopes)) {
		/* It has been let in for these before; more it does not get. */
		c->scopes = (c->scopes | scopes) & scope_closure(d->scopes);
		entry_issue(e, d);
		return;
	}
	c->scopes = scopes;
	log_notice("access", "device %.16s needs no approval (trusted-proxy) "
	    "user=%s", e->device_id, log_quote(user, strlen(user)));
	entry_grant(e, "trusted-proxy");
}

/* Clients that are in without being paired. */
static bool
needs_no_pairing(const struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;
	const char		*method = e->grant.method;

	if (e->is_device_token || strcmp(method, "bootstrap-token") == 0)
		return (false);
	if (str_is(c->client_id, "gateway-client") && auth_keeps_scopes(c) &&
	    c->role == ROLE_OPERATOR)
		return (true);
	return (entry_is_control_ui(c) && c->role == ROLE_OPERATOR &&
	    (strcmp(method, "none") == 0 || strcmp(method, "tailscale") == 0));
}

void
entry_pair(struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;
	struct pairing		*p = e->access->pairing;
	struct device		*d;
	struct setup		*s;
	const char		*why;
	int64_t			 enrol;

	if (needs_no_pairing(e)) {
		e->grant.scopes = c->scopes;
		entry_yes(e);
		return;
	}
	d = pairing_get(p, e->device_id);
	if (d == NULL || memcmp(d->key, e->key, sizeof e->key) != 0)
		why = "not-paired";
	else if (is_changed(e, d))
		why = "metadata-upgrade";
	else if ((d->roles & c->role) == 0)
		why = "role-upgrade";
	else if (!scope_covers(scope_closure(d->scopes), c->scopes))
		why = "scope-upgrade";
	else {
		s = *e->setup_id == '\0' ? NULL :
		    pairing_setup_get(p, e->setup_id);
		if (s != NULL && !s->is_used && setup_fits(e, s))
			entry_grant_setup(e, s);
		else
			entry_issue(e, d);
		return;
	}
	e->locality = locality_of(e);
	s = *e->setup_id == '\0' ? NULL : pairing_setup_get(p, e->setup_id);
	if (++e->n_grants > ENTRY_GRANTS_MAX)
		entry_wait_for_operator(e, d, why);
	else if (s != NULL && !s->is_used && setup_fits(e, s))
		entry_grant_setup(e, s);
	else if (is_silent(e, d, why))
		entry_grant(e, "silent");
	else if ((enrol = enrol_scopes(e, d, why)) >= 0)
		entry_enrol(e, d, (uint32_t)enrol);
	else
		entry_wait_for_operator(e, d, why);
}
