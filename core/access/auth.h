/* SPDX-License-Identifier: MIT */
/*
 * The mode of authentication, the shared secret, what a client without a device
 * identity may do, and what refusals look like (auth.md sections 1 and 6 of the
 * protocol description).
 */
#ifndef ACCESS_AUTH_H
#define ACCESS_AUTH_H

#include "core/access/secret.h"
#include "core/base/base.h"
#include "core/base/buf.h"

enum auth_mode {
	AUTH_TOKEN,
	AUTH_PASSWORD,
	AUTH_NONE,
	AUTH_TRUSTED_PROXY,	/* the user is said by a proxy */
};

#define AUTH_GENERATION_SIZE	44	/* base64url of 32 bytes, and a NUL */


struct auth {
	enum auth_mode	mode;
	struct secret	token;
	struct secret	password;
	/* What tokens that depend on the shared secret remember of it; or "". */
	char		generation[AUTH_GENERATION_SIZE];
};

/* What is known of a client that wants in. Strings are lent; NULL: not sent. */
struct auth_claim {
	uint32_t	 role;			/* ROLE_* */
	uint32_t	 scopes;		/* asked for */
	const char	*client_id;
	const char	*client_mode;
	const char	*token;
	const char	*password;
	const char	*device_token;
	bool		 has_device;		/* a device identity came along */
	bool		 is_native;		/* the native dialect */
	bool		 is_direct_local;	/* loopback, no proxy headers */
	bool		 has_origin;		/* a browser */
};

/* The details.code and reason of a refusal; wire.md section 9. */
struct auth_refusal {
	const char	*code;		/* "INVALID_REQUEST", "NOT_PAIRED" */
	const char	*detail;	/* "AUTH_TOKEN_MISMATCH" */
	const char	*reason;	/* "token_mismatch" */
	const char	*message;	/* below 120 bytes */
	const char	*next_step;	/* "update_auth_credentials", or NULL */
};

struct auth_grant {
	uint32_t	 scopes;
	const char	*method;	/* "token", "password", "none" */
};

const char	*auth_mode_name(enum auth_mode mode);
/*
 * Sets generation from the mode and the secret as text: who knows neither cannot
 * tell that two generations are of one secret.
 */
int		 auth_set_generation(struct auth *a, const char *secret,
		    size_t len);
/*
 * Looks at the shared secret alone, in constant time: NULL, or the reason. Not
 * for AUTH_TRUSTED_PROXY.
 */
const char	*auth_secret_problem(const struct auth *a,
		    const struct auth_claim *claim);
bool		 auth_has_secret(const struct auth_claim *claim);
/* A reason that means a wrong secret, not a missing one. */
bool		 auth_is_mismatch(const char *reason);
/*
 * Without a device, problem as above: 0 and the grant, or -EACCES and the
 * refusal. method is what let it in.
 */
int		 auth_deviceless(const struct auth_claim *claim,
		    const char *problem, const char *method,
		    struct auth_grant *ret_grant, struct auth_refusal *ret_no);
/* Local back ends keep what they ask for, with a device or without. */
bool		 auth_keeps_scopes(const struct auth_claim *claim);
/* What a reason looks like to the client. Gives -EACCES. */
int		 auth_refuse(const char *reason, struct auth_refusal *ret_no);

#endif
