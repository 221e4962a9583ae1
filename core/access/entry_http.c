/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request at the door: the gateway's own authentication. What a client
 * shows is looked at anew with every request; nothing is paired here.
 */
#include <string.h>

#include "core/access/entry_priv.h"
#include "core/access/scope.h"
#include "core/base/clock.h"

/* What an operator without a device has: all of it. */
#define DEFAULT_SCOPES	((1u << SCOPE_COUNT) - 1)

/* Scopes that were asked for where nobody else says which; else all. */
static uint32_t
asked_scopes(const struct entry *e)
{
	return (e->claim.scopes_cap == NULL ? DEFAULT_SCOPES :
	    entry_read_scopes(e->claim.scopes_cap));
}

static void
http_yes(struct entry *e, uint32_t scopes)
{
	e->grant.scopes = scopes;
	e->is_in = true;
	e->done(e);
}

static void
http_no(struct entry *e, const char *reason)
{
	e->no.reason = reason;
	entry_no(e);
}

/* A paired operator's own token, as a bearer. */
static bool
http_device(struct entry *e)
{
	struct access	*a = e->access;
	struct device	*d;
	struct token	*t;

	if (a->pairing == NULL || entry_is_limited(e, LIMIT_DEVICE))
		return (false);
	d = pairing_by_token(a->pairing, ROLE_OPERATOR, e->claim.auth.token);
	if (d == NULL)
		return (false);
	t = device_token(d, ROLE_OPERATOR);
	/* As at the WebSocket's door: of this secret, and of the device. */
	if ((*t->issuer != '\0' &&
	    strcmp(t->issuer, a->auth.generation) != 0) ||
	    (scope_closure(d->scopes) & t->scopes) != t->scopes)
		return (false);
	entry_count_success(e, LIMIT_DEVICE);
	pairing_seen(a->pairing, d, t);
	e->is_device_token = true;
	e->grant.method = "device-token";
	e->grant.scopes = t->scopes;
	memcpy(e->device_id, d->id, sizeof e->device_id);
	return (true);
}

static void
http_secret(struct entry *e)
{
	const char	*problem = entry_secret(e);

	if (problem == NULL) {
		http_yes(e, DEFAULT_SCOPES);
		return;
	}
	/* Locked out is locked out, whatever is shown next. */
	if (strcmp(problem, "rate_limited") != 0 &&
	    auth_has_secret(&e->claim.auth) && http_device(e)) {
		http_yes(e, e->grant.scopes);
		return;
	}
	if (auth_is_mismatch(problem))
		entry_count_failure(e, LIMIT_SECRET);
	http_no(e, problem);
}

void
entry_start_http(struct entry *e, const char *origin_problem)
{
	struct auth_claim	*c = &e->claim.auth;
	struct access		*a = e->access;

	entry_init(e);
	c->role = ROLE_OPERATOR;
	c->password = c->token;
	e->grant.method = auth_mode_name(a->auth.mode);
	switch (a->auth.mode) {
	case AUTH_NONE:
		if (e->claim.is_funnel)
			http_no(e, "gateway_auth_required");
		else if (c->has_origin && origin_problem != NULL)
			http_no(e, "origin_not_allowed");
		else
			http_yes(e, asked_scopes(e));
		return;
	case AUTH_TRUSTED_PROXY:
		if (e->claim.proxy_problem == NULL) {
			if (c->has_origin && origin_problem != NULL)
				http_no(e, "origin_not_allowed");
			else
				http_yes(e, asked_scopes(e));
			return;
		}
		/* On the machine itself the password is a way in too. */
		if (c->is_direct_local && a->auth.password.is_set &&
		    auth_has_secret(c)) {
			e->grant.method = "password";
			http_secret(e);
		} else
			http_no(e, e->claim.proxy_problem);
		return;
	default:
		http_secret(e);
		return;
	}
}
