/* SPDX-License-Identifier: MIT */
/*
 * Shared secrets. Only digests are kept and compared, so that the time of a
 * comparison depends on neither the length nor the place of a difference.
 */
#ifndef ACCESS_SECRET_H
#define ACCESS_SECRET_H

#include "core/base/base.h"
#include "core/base/buf.h"

#define SECRET_MAX	4096	/* bytes of a token or password */

struct secret {
	unsigned char	digest[32];	/* SHA-256 */
	bool		is_set;
};

/* 0, or -EINVAL with why for what must not be a secret (blank, "undefined"). */
int	 secret_set(struct secret *s, const char *text, struct buf *why);
bool	 secret_is(const struct secret *s, const char *text, size_t len);
void	 secret_clear(struct secret *s);
/* 32 random bytes as base64url: 43 characters and a NUL. */
int	 secret_random(char ret_text[44]) must_use;
/* Overwrites; not optimised away. */
void	 secret_wipe(void *p, size_t len);

#endif
