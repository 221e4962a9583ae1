/* SPDX-License-Identifier: MIT */
#include "core/access/auth.h"

#include <errno.h>
#include <string.h>

#include "core/access/scope.h"

static const struct auth_refusal refusals[] = {
	{ "INVALID_REQUEST", "AUTH_TOKEN_MISSING", "token_missing",
	  "unauthorized: gateway token missing (give the gateway's token)",
	  "update_auth_configuration" },
	{ "INVALID_REQUEST", "AUTH_TOKEN_MISMATCH", "token_mismatch",
	  "unauthorized: gateway token mismatch (give the gateway's token)",
	  "update_auth_credentials" },
	{ "INVALID_REQUEST", "AUTH_PASSWORD_MISSING", "password_missing",
	  "unauthorized: gateway password missing (give the password)",
	  "update_auth_configuration" },
	{ "INVALID_REQUEST", "AUTH_PASSWORD_MISMATCH", "password_mismatch",
	  "unauthorized: gateway password mismatch (give the password)",
	  "update_auth_credentials" },
	{ "NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED", "device_identity_required",
	  "device identity required", "review_auth_configuration" },
	{ "INVALID_REQUEST", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
	  "control_ui_device_identity_required",
	  "control ui requires device identity", "review_auth_configuration" },
	{ "INVALID_REQUEST", "DEVICE_AUTH_INVALID", "device-auth-unsupported",
	  "device identities cannot be verified by this gateway yet; connect "
	  "without one", "review_auth_configuration" },
};

static int
auth_refuse(const char *reason, struct auth_refusal *ret_no)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(refusals); i++) {
		if (strcmp(refusals[i].reason, reason) == 0)
			*ret_no = refusals[i];
	}
	return (-EACCES);
}

const char *
auth_mode_name(enum auth_mode mode)
{
	static const char *const names[] = {
		[AUTH_TOKEN] = "token",
		[AUTH_PASSWORD] = "password",
		[AUTH_NONE] = "none",
	};

	return (names[mode]);
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
static bool
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

/* The reason why the shared secret does not let this claim in, or NULL. */
static const char *
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
	if (given == NULL || *given == '\0')
		return (is_token ? "token_missing" : "password_missing");
	if (!secret_is(secret, given, strlen(given)))
		return (is_token ? "token_mismatch" : "password_mismatch");
	return (NULL);
}

int
auth_decide(const struct auth *a, const struct auth_claim *c,
    struct auth_grant *ret_grant, struct auth_refusal *ret_no)
{
	const char	*problem;
	bool		 has_secret = c->token != NULL || c->password != NULL;

	problem = auth_secret_problem(a, c);
	if (!c->has_device) {
		if (auth_is_ui(c))
			return (auth_refuse("control_ui_device_identity_required",
			    ret_no));
		if (c->role == ROLE_NODE)
			return (auth_refuse("device_identity_required", ret_no));
		if (problem != NULL)
			return (auth_refuse(has_secret ? problem :
			    "device_identity_required", ret_no));
		*ret_grant = (struct auth_grant){
			.scopes = auth_keeps_scopes(c) ? c->scopes : 0,
			.method = auth_mode_name(a->mode),
		};
		return (0);
	}
	if (problem != NULL)
		return (auth_refuse(problem, ret_no));
	return (auth_refuse("device-auth-unsupported", ret_no));
}
