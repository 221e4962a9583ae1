/* SPDX-License-Identifier: MIT */
/*
 * Who may enter: the mode of authentication, the shared secret, and what a client
 * without a device identity may do (auth.md sections 1 and 6 of the protocol
 * description). Device identities have their room here: auth_decide() gets what a
 * client sent and says what is missing.
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
};

struct auth {
	enum auth_mode	mode;
	struct secret	token;
	struct secret	password;
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
	const char	*next_step;	/* "update_auth_credentials" */
};

struct auth_grant {
	uint32_t	 scopes;
	const char	*method;	/* "token", "password", "none" */
};

const char	*auth_mode_name(enum auth_mode mode);
/*
 * 0 and the grant, or -EACCES and the refusal. Secrets are compared in constant
 * time. A device identity is refused as long as none can be verified.
 */
int		 auth_decide(const struct auth *a, const struct auth_claim *claim,
		    struct auth_grant *ret_grant, struct auth_refusal *ret_no);

#endif
