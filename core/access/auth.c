/* SPDX-License-Identifier: MIT */
#include "core/access/auth.h"

#include <errno.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/access/device.h"
#include "core/access/scope.h"

#define CONFIGURE	"update_auth_configuration"
#define CREDENTIALS	"update_auth_credentials"
#define REVIEW		"review_auth_configuration"

static const struct auth_refusal refusals[] = {
	{ "INVALID_REQUEST", "AUTH_TOKEN_MISSING", "token_missing",
	  "unauthorized: gateway token missing (give the gateway's token)",
	  CONFIGURE },
	{ "INVALID_REQUEST", "AUTH_TOKEN_MISMATCH", "token_mismatch",
	  "unauthorized: gateway token mismatch (give the gateway's token)",
	  CREDENTIALS },
	{ "INVALID_REQUEST", "AUTH_TOKEN_NOT_CONFIGURED", "token_missing_config",
	  "unauthorized: gateway token not configured on gateway (set one)",
	  CONFIGURE },
	{ "INVALID_REQUEST", "AUTH_PASSWORD_MISSING", "password_missing",
	  "unauthorized: gateway password missing (give the password)",
	  CONFIGURE },
	{ "INVALID_REQUEST", "AUTH_PASSWORD_MISMATCH", "password_mismatch",
	  "unauthorized: gateway password mismatch (give the password)",
	  CREDENTIALS },
	{ "INVALID_REQUEST", "AUTH_PASSWORD_NOT_CONFIGURED",
	  "password_missing_config", "unauthorized: gateway password not "
	  "configured on gateway (set one)", CONFIGURE },
	{ "INVALID_REQUEST", "AUTH_DEVICE_TOKEN_MISMATCH",
	  "device_token_mismatch", "unauthorized: device token mismatch "
	  "(rotate/reissue device token)", CREDENTIALS },
	{ "INVALID_REQUEST", "AUTH_SCOPE_MISMATCH", "scope_mismatch",
	  "unauthorized: device token scope mismatch (re-pair or approve scope "
	  "upgrade)", REVIEW },
	{ "INVALID_REQUEST", "AUTH_BOOTSTRAP_TOKEN_INVALID",
	  "bootstrap_token_invalid", "unauthorized: setup code is wrong, used or "
	  "too old (make a new one)", REVIEW },
	{ "INVALID_REQUEST", "AUTH_RATE_LIMITED", "rate_limited",
	  "unauthorized: too many failed authentication attempts (retry later)",
	  "wait_then_retry" },
	{ "INVALID_REQUEST", "AUTH_UNAUTHORIZED", "gateway_auth_required",
	  "unauthorized: a gateway without a secret serves no public funnel",
	  REVIEW },
	{ "NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED", "device_identity_required",
	  "device identity required", NULL },
	{ "INVALID_REQUEST", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
	  "control_ui_device_identity_required",
	  "control ui requires device identity", NULL },
	{ "INVALID_REQUEST", "DEVICE_AUTH_DEVICE_ID_MISMATCH",
	  "device-id-mismatch", "device identity mismatch", REVIEW },
	{ "INVALID_REQUEST", "DEVICE_AUTH_SIGNATURE_EXPIRED",
	  "device-signature-stale", "device signature expired", REVIEW },
	{ "INVALID_REQUEST", "DEVICE_AUTH_NONCE_REQUIRED",
	  "device-nonce-missing", "device nonce required", REVIEW },
	{ "INVALID_REQUEST", "DEVICE_AUTH_NONCE_MISMATCH",
	  "device-nonce-mismatch", "device nonce mismatch", REVIEW },
	{ "INVALID_REQUEST", "DEVICE_AUTH_SIGNATURE_INVALID",
	  "device-signature", "device signature invalid", REVIEW },
	{ "INVALID_REQUEST", "DEVICE_AUTH_PUBLIC_KEY_INVALID",
	  "device-public-key", "device public key invalid", REVIEW },
};

int
auth_refuse(const char *reason, struct auth_refusal *ret_no)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(refusals); i++) {
		if (strcmp(refusals[i].reason, reason) != 0)
			continue;
		*ret_no = refusals[i];
		return (-EACCES);
	}
	*ret_no = (struct auth_refusal){
		.code = "INVALID_REQUEST",
		.detail = strncmp(reason, "trusted_proxy_missing_header_",
		    29) == 0 ? "AUTH_IDENTITY_HEADER_REQUIRED" :
		    "AUTH_UNAUTHORIZED",
		.reason = reason,
		.message = "unauthorized: the proxy's word is not enough (see "
		    "gateway.auth.trustedProxy)",
		.next_step = REVIEW,
	};
	return (-EACCES);
}

const char *
auth_mode_name(enum auth_mode mode)
{
	static const char *const names[] = {
		[AUTH_TOKEN] = "token",
		[AUTH_PASSWORD] = "password",
		[AUTH_NONE] = "none",
		[AUTH_TRUSTED_PROXY] = "trusted-proxy",
	};

	return (names[mode]);
}

int
auth_set_generation(struct auth *a, const char *secret, size_t len)
{
	static const char	 zero;
	const char		*mode = auth_mode_name(a->mode);
	gnutls_hash_hd_t	 h;
	unsigned char		 digest[32];

	if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) < 0)
		return (-EIO);
	(void)gnutls_hash(h, mode, strlen(mode));
	(void)gnutls_hash(h, &zero, 1);
	(void)gnutls_hash(h, secret, len);
	gnutls_hash_deinit(h, digest);
	base64url_write(a->generation, digest, sizeof digest);
	secret_wipe(digest, sizeof digest);
	return (0);
}

static bool
str_is(const char *a, const char *b)
{
	return (a != NULL && strcmp(a, b) == 0);
}

/* Clients with a page or a terminal UI in front of a person: a device is due. */
static bool
auth_is_ui(const struct auth_claim *c)
{
	return (str_is(c->client_id, "openclaw-control-ui") ||
	    str_is(c->client_id, "openclaw-tui") ||
	    str_is(c->client_id, "openclaw-browser-copilot"));
}

/* The deviceless clients on this machine that keep what they ask for. */
bool
auth_keeps_scopes(const struct auth_claim *c)
{
	if (!c->is_direct_local || c->has_origin)
		return (false);
	if (c->is_native)
		return (true);
	return ((str_is(c->client_id, "gateway-client") &&
	    str_is(c->client_mode, "backend")) ||
	    (str_is(c->client_id, "cli") && str_is(c->client_mode, "cli")));
}

bool
auth_has_secret(const struct auth_claim *c)
{
	return (c->token != NULL || c->password != NULL);
}

bool
auth_is_mismatch(const char *reason)
{
	return (strcmp(reason, "token_mismatch") == 0 ||
	    strcmp(reason, "password_mismatch") == 0);
}

const char *
auth_secret_problem(const struct auth *a, const struct auth_claim *c)
{
	bool			 is_token = a->mode == AUTH_TOKEN;
	const struct secret	*secret = is_token ? &a->token : &a->password;
	/* A client that fills in the other field means the same secret. */
	const char		*given = is_token ?
	    (c->token != NULL ? c->token : c->password) :
	    (c->password != NULL ? c->password : c->token);

	if (a->mode == AUTH_NONE)
		return (NULL);
	if (!secret->is_set)
		return (is_token ? "token_missing_config" :
		    "password_missing_config");
	if (given == NULL || *given == '\0')
		return (is_token ? "token_missing" : "password_missing");
	if (!secret_is(secret, given, strlen(given)))
		return (is_token ? "token_mismatch" : "password_mismatch");
	return (NULL);
}

int
auth_deviceless(const struct auth_claim *c, const char *problem,
    const char *method, struct auth_grant *ret_grant,
    struct auth_refusal *ret_no)
{
	bool	 is_vouched = problem == NULL &&
		    strcmp(method, "trusted-proxy") == 0;

	if (auth_is_ui(c) && !(is_vouched && c->role == ROLE_OPERATOR &&
	    str_is(c->client_id, "openclaw-control-ui")))
		return (auth_refuse("control_ui_device_identity_required",
		    ret_no));
	if (problem != NULL)
		return (auth_refuse(auth_has_secret(c) ||
		    strncmp(problem, "trusted_proxy", 13) == 0 ||
		    str_is(problem, "gateway_auth_required") ? problem :
		    "device_identity_required", ret_no));
	if (c->role == ROLE_NODE)
		return (auth_refuse("device_identity_required", ret_no));
	*ret_grant = (struct auth_grant){
		.scopes = !is_vouched && auth_keeps_scopes(c) ? c->scopes : 0,
		.method = method,
	};
	return (0);
}
