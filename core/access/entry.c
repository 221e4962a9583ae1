/* SPDX-License-Identifier: MIT */
/* Credentials: what a client shows, in the order in which it counts. */
#include "core/access/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/access/entry_priv.h"
#include "core/access/scope.h"
#include "core/base/clock.h"
#include "core/base/loop.h"

#define DELAY_FIRST_US	MS_US(250)	/* after the first wrong secret */
#define DELAY_MAX_US	MS_US(5000)

static bool
str_is(const char *a, const char *b)
{
	return (a != NULL && strcmp(a, b) == 0);
}

bool
entry_is_control_ui(const struct auth_claim *c)
{
	return (str_is(c->client_id, "openclaw-control-ui"));
}

bool
entry_is_page(const struct auth_claim *c)
{
	return (c->has_origin || entry_is_control_ui(c) ||
	    str_is(c->client_id, "openclaw-browser-copilot") ||
	    str_is(c->client_id, "webchat-ui") ||
	    str_is(c->client_mode, "webchat"));
}

/* The answers that wait come together. */
static void
delay_over(void *arg)
{
	struct access	*a = arg;
	struct list	 due;
	struct entry	*e;

	list_init(&due);
	while ((e = list_first(&a->delayed, struct entry, link)) != NULL) {
		list_remove(&e->link);
		list_append(&due, &e->link);
	}
	while ((e = list_first(&due, struct entry, link)) != NULL) {
		list_remove(&e->link);
		e->done(e);
	}
}

void
entry_no(struct entry *e)
{
	struct access	*a = e->access;

	e->is_in = false;
	if (e->delay_us > 0) {
		if (a->delay_timer == NULL)
			a->delay_timer = loop_timer_new(a->loop, delay_over, a);
		if (a->delay_timer != NULL && (!list_is_empty(&a->delayed) ||
		    loop_timer_set(a->delay_timer, e->delay_us) == 0)) {
			e->is_delayed = true;
			list_append(&a->delayed, &e->link);
			return;
		}
	}
	e->done(e);
}

void
entry_refuse(struct entry *e, const char *reason)
{
	bool	 is_device = strncmp(reason, "device-", 7) == 0;

	(void)auth_refuse(reason, &e->no);
	if (strcmp(reason, "token_mismatch") == 0 && e->claim.auth.has_device &&
	    e->claim.auth.device_token == NULL) {
		e->can_retry_with_token = true;
		e->no.next_step = "retry_with_device_token";
	}
	(void)buf_printf(&e->details, "{\"code\":\"%s\"", e->no.detail);
	/* A client without a device has nothing else to try. */
	if (e->no.next_step != NULL)
		(void)buf_printf(&e->details, ",\"%s\":\"%s\"", is_device ?
		    "reason" : "authReason", e->no.reason);
	if (!is_device && e->no.next_step != NULL)
		(void)buf_printf(&e->details, ",\"canRetryWithDeviceToken\":%s,"
		    "\"recommendedNextStep\":\"%s\"",
		    e->can_retry_with_token ? "true" : "false",
		    e->no.next_step);
	(void)buf_puts(&e->details, "}");
	entry_no(e);
}

/* Who the failures of this client are counted with. */
static struct limit *
entry_limit(const struct entry *e, char source[LIMIT_SOURCE_SIZE],
    bool *ret_exempt)
{
	const struct access	*a = e->access;
	const char		*remote = e->claim.about.remote;
	const char		*origin = e->claim.about.origin;
	char			*s;

	*ret_exempt = false;
	limit_source(remote, source);
	if (e->claim.auth.has_origin) {
		/* All pages of one site are one, wherever they are shown. */
		if (proxy_is_loopback(remote)) {
			(void)snprintf(source, LIMIT_SOURCE_SIZE,
			    "browser-origin:%s", origin != NULL ? origin : "");
			for (s = source; *s != '\0'; s++)
				*s = (char)tolower((unsigned char)*s);
		}
		return (a->pages);
	}
	if (e->claim.auth.is_direct_local && a->is_loopback_exempt) {
		*ret_exempt = true;
		return (a->local);
	}
	return (a->failed);
}

bool
entry_is_limited(struct entry *e, enum limit_class class)
{
	char		 source[LIMIT_SOURCE_SIZE];
	struct limit	*l;
	uint64_t	 wait = 0;
	bool		 is_exempt;

	l = entry_limit(e, source, &is_exempt);
	if (is_exempt || limit_check(l, class, source, &wait) == 0)
		return (false);
	e->is_retryable = true;
	e->retry_after_ms = wait / 1000 + 1;
	return (true);
}

void
entry_count_failure(struct entry *e, enum limit_class class)
{
	char		 source[LIMIT_SOURCE_SIZE];
	struct limit	*l;
	uint32_t	 n;
	bool		 is_exempt;

	l = entry_limit(e, source, &is_exempt);
	n = limit_failed(l, class, source);
	if (!is_exempt || class != LIMIT_SECRET)
		return;
	e->delay_us = n > 5 ? DELAY_MAX_US : DELAY_FIRST_US << (n - 1);
	e->delay_us = MIN_OF(e->delay_us, DELAY_MAX_US);
}

void
entry_count_success(struct entry *e, enum limit_class class)
{
	char		 source[LIMIT_SOURCE_SIZE];
	struct limit	*l;
	bool		 is_exempt;

	l = entry_limit(e, source, &is_exempt);
	limit_passed(l, class, source);
}

/* The shared secret: NULL or the reason. Its failure is not counted here. */
const char *
entry_secret(struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;
	const struct auth	*auth = &e->access->auth;
	const char		*problem;

	if (auth->mode == AUTH_NONE)
		return (NULL);
	if (auth_has_secret(c) && entry_is_limited(e, LIMIT_SECRET))
		return ("rate_limited");
	problem = auth_secret_problem(auth, c);
	if (problem == NULL) {
		entry_count_success(e, LIMIT_SECRET);
		e->is_shared = true;
	}
	return (problem);
}

/* 0; -EACCES: not a token of this device; -EPERM: one with other scopes. */
static int
check_device_token(struct entry *e, const char *text)
{
	const struct auth_claim	*c = &e->claim.auth;
	struct device		*d;
	struct token		*t;
	uint32_t		 scopes = c->role == ROLE_NODE ? 0 : c->scopes;

	d = e->access->pairing == NULL ? NULL :
	    pairing_get(e->access->pairing, e->device_id);
	t = d == NULL || (d->roles & c->role) == 0 ? NULL :
	    device_token(d, c->role);
	if (t == NULL || !token_is(t, text) || t->revoked_ms != 0 ||
	    (*t->issuer != '\0' &&
	    strcmp(t->issuer, e->access->auth.generation) != 0))
		return (-EACCES);
	if (!scope_covers(scope_closure(d->scopes), t->scopes) ||
	    !scope_covers(scope_closure(t->scopes), scopes))
		return (-EPERM);
	return (0);
}

const char *
entry_lapsed(struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;

	if (e->is_device_token)
		return (check_device_token(e, c->device_token != NULL ?
		    c->device_token : c->token) == 0 ? NULL :
		    "device_token_mismatch");
	if (strcmp(e->generation, e->access->auth.generation) == 0)
		return (NULL);
	return (e->access->auth.mode == AUTH_PASSWORD ? "password_mismatch" :
	    "token_mismatch");
}

/* NULL: the device's token is good. Else problem, or a better one. */
static const char *
entry_device_token(struct entry *e, const char *problem)
{
	const struct auth_claim	*c = &e->claim.auth;
	bool			 is_explicit = c->device_token != NULL;
	const char		*text = is_explicit ? c->device_token : c->token;
	int			 r;

	if (text == NULL || *text == '\0')
		return (is_explicit ? "device_token_mismatch" : problem);
	if (entry_is_limited(e, LIMIT_DEVICE))
		return ("rate_limited");
	r = check_device_token(e, text);
	if (r == 0) {
		entry_count_success(e, LIMIT_DEVICE);
		e->is_device_token = true;
		e->grant.method = "device-token";
		/* Another secret came along: a guess, whoever makes it. */
		if (auth_is_mismatch(problem) && is_explicit &&
		    !str_is(c->token, text))
			entry_count_failure(e, LIMIT_SECRET);
		return (NULL);
	}
	if (is_explicit)
		entry_count_failure(e, LIMIT_DEVICE);
	if (r == -EPERM)
		return ("scope_mismatch");
	return (is_explicit ? "device_token_mismatch" : problem);
}

/* A setup code: true when it is one, for this device and what it asks. */
static bool
entry_setup(struct entry *e)
{
	struct pairing	*p = e->access->pairing;
	struct setup	*s;

	if (p == NULL || entry_is_limited(e, LIMIT_BOOTSTRAP))
		return (false);
	s = pairing_setup_find(p, e->claim.bootstrap_token, e->device_id);
	if (s == NULL || (s->is_exact && e->claim.auth.scopes != s->scopes)) {
		entry_count_failure(e, LIMIT_BOOTSTRAP);
		return (false);
	}
	entry_count_success(e, LIMIT_BOOTSTRAP);
	if (pairing_setup_bind(p, s, e->device_id) < 0)
		return (false);
	(void)snprintf(e->setup_id, sizeof e->setup_id, "%s", s->id);
	e->grant.method = "bootstrap-token";
	return (true);
}

static const char *
device_reason(enum device_verdict v)
{
	static const char *const reasons[] = {
		[DEVICE_ID_MISMATCH] = "device-id-mismatch",
		[DEVICE_STALE] = "device-signature-stale",
		[DEVICE_NONCE_MISSING] = "device-nonce-missing",
		[DEVICE_NONCE_MISMATCH] = "device-nonce-mismatch",
		[DEVICE_SIGNATURE] = "device-signature",
		[DEVICE_KEY] = "device-public-key",
	};

	return (reasons[v]);
}

uint32_t
entry_read_scopes(const char *s)
{
	const char	*end;
	uint32_t	 scopes = 0;
	size_t		 len;

	for (;; s = end + 1) {
		end = s + strcspn(s, ",");
		len = (size_t)(end - s);
		while (len > 0 && (*s == ' ' || *s == '\t')) {
			s++;
			len--;
		}
		while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
			len--;
		scopes |= scope_parse(s, len);
		if (*end == '\0')
			return (scopes);
	}
}

/* Scopes that a proxy's header leaves: none sent, no cap. */
uint32_t
entry_capped(const struct entry *e, uint32_t scopes)
{
	if (e->claim.scopes_cap == NULL ||
	    strcmp(e->grant.method, "trusted-proxy") != 0)
		return (scopes);
	return (scopes & scope_closure(entry_read_scopes(e->claim.scopes_cap)));
}

static uint32_t
identity_scopes(const struct entry *e)
{
	const char	*user = NULL;
	size_t		 i;

	if (e->claim.auth.role != ROLE_OPERATOR)
		return (0);
	if (strcmp(e->grant.method, "trusted-proxy") == 0)
		user = e->claim.proxy_user;
	else if (strcmp(e->grant.method, "tailscale") == 0)
		user = e->claim.tailnet_login;
	for (i = 0; user != NULL && i < e->access->n_identities; i++) {
		if (strcasecmp(e->access->identities[i].name, user) == 0)
			return (e->access->identities[i].scopes);
	}
	return (0);
}

void
entry_yes(struct entry *e)
{
	/* What a person is known to have holds for this connection. */
	e->grant.scopes = entry_capped(e, e->grant.scopes | identity_scopes(e));
	e->is_in = true;
	e->done(e);
}

/* What was shown decides; problem is that of the shared secret. */
static void
entry_credentials(struct entry *e, const char *problem)
{
	struct auth_claim	*c = &e->claim.auth;
	const char		*shared = problem;
	enum device_verdict	 v;
	bool			 is_setup_bad = false;

	memcpy(e->generation, e->access->auth.generation,
	    sizeof e->generation);
	if (!c->has_device) {
		if (problem != NULL && auth_is_mismatch(problem))
			entry_count_failure(e, LIMIT_SECRET);
		if (auth_deviceless(c, problem, e->grant.method, &e->grant,
		    &e->no) < 0) {
			entry_refuse(e, e->no.reason);
			return;
		}
		entry_yes(e);
		return;
	}
	v = device_check(&e->claim.proof, e->claim.nonce, clock_wall_ms(),
	    e->key);
	if (v != DEVICE_OK) {
		if (problem != NULL && auth_is_mismatch(problem))
			entry_count_failure(e, LIMIT_SECRET);
		entry_refuse(e, device_reason(v));
		return;
	}
	(void)device_id(e->key, e->device_id);
	if (e->claim.bootstrap_token != NULL) {
		if (entry_setup(e))
			problem = NULL;
		else
			is_setup_bad = true;
	}
	if (problem != NULL)
		problem = entry_device_token(e, problem);
	if (problem != NULL) {
		if (auth_is_mismatch(shared))
			entry_count_failure(e, LIMIT_SECRET);
		if (is_setup_bad && !auth_has_secret(c) &&
		    c->device_token == NULL)
			problem = e->is_retryable ? "rate_limited" :
			    "bootstrap_token_invalid";
		entry_refuse(e, problem);
		return;
	}
	e->is_retryable = false;
	e->retry_after_ms = 0;
	if (c->role == ROLE_NODE)
		c->scopes = 0;
	e->has_asked = c->scopes != 0;
	c->scopes = entry_capped(e, c->scopes);
	entry_pair(e);
}

static void
entry_shared(struct entry *e)
{
	struct access	*a = e->access;
	const char	*problem;

	e->grant.method = auth_mode_name(a->auth.mode);
	if (a->auth.mode == AUTH_NONE && e->claim.is_funnel) {
		entry_credentials(e, "gateway_auth_required");
		return;
	}
	if (a->auth.mode != AUTH_TRUSTED_PROXY) {
		entry_credentials(e, entry_secret(e));
		return;
	}
	problem = e->claim.proxy_problem;
	/* On the machine itself the password is a way in without the proxy. */
	if (problem != NULL && e->claim.auth.is_direct_local &&
	    a->auth.password.is_set && auth_has_secret(&e->claim.auth)) {
		e->grant.method = "password";
		problem = entry_secret(e);
	}
	entry_credentials(e, problem);
}

static void
on_whois(void *arg, const char *login)
{
	struct entry	*e = arg;

	/* Anything but the same name from both: as if nothing had been said. */
	if (login == NULL || *login == '\0' ||
	    strcasecmp(login, e->claim.tailnet_login) != 0) {
		entry_shared(e);
		return;
	}
	e->grant.method = "tailscale";
	entry_credentials(e, NULL);
}

static bool
is_tailnet(const struct entry *e)
{
	const struct auth_claim	*c = &e->claim.auth;

	return (e->claim.kind == PROXY_TAILSCALE && e->access->has_tailscale &&
	    e->access->whois != NULL && entry_is_control_ui(c) &&
	    e->claim.tailnet_login != NULL && *e->claim.tailnet_login != '\0' &&
	    !auth_has_secret(c));
}

void
entry_init(struct entry *e)
{
	list_init(&e->link);
	buf_init(&e->details);
	buf_init(&e->message);
}

void
entry_start(struct entry *e)
{
	char	 login[WHOIS_LOGIN_MAX];
	int	 r;

	entry_init(e);
	if (!is_tailnet(e)) {
		entry_shared(e);
		return;
	}
	r = whois_ask(e->access->whois, e->claim.about.remote, login, on_whois,
	    e);
	if (r == 1)
		on_whois(e, login);
	else if (r < 0)
		on_whois(e, NULL);
}

void
entry_fini(struct entry *e)
{
	if (*e->used_setup != '\0')
		pairing_setup_end(e->access->pairing, e->used_setup,
		    e->is_delivered);
	if (e->wait != NULL)
		e->wait->e = NULL;
	e->wait = NULL;
	if (e->access->whois != NULL)
		whois_forget(e->access->whois, e);
	list_remove(&e->link);
	buf_fini(&e->details);
	buf_fini(&e->message);
}
