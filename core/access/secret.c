/* SPDX-License-Identifier: MIT */
#include "core/access/secret.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static const char *const placeholders[] = {
	"undefined", "null", "none", "changeme", "change-me", "password",
	"token", "secret", "your-token", "your-token-here", "example",
};

static int
secret_digest(const char *text, size_t len, unsigned char out[32])
{
	return (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, out) < 0 ?
	    -EIO : 0);
}

int
secret_set(struct secret *s, const char *text, struct buf *why)
{
	size_t	 i, len = strlen(text);

	if (strspn(text, " \t\r\n") == len) {
		(void)buf_puts(why, "it is blank");
		return (-EINVAL);
	}
	if (len > SECRET_MAX) {
		(void)buf_printf(why, "it is longer than %d bytes", SECRET_MAX);
		return (-EINVAL);
	}
	for (i = 0; i < ARRAY_LEN(placeholders); i++) {
		if (strcasecmp(text, placeholders[i]) == 0) {
			(void)buf_printf(why, "'%s' is a placeholder, not a "
			    "secret", placeholders[i]);
			return (-EINVAL);
		}
	}
	if (secret_digest(text, len, s->digest) < 0) {
		(void)buf_puts(why, "SHA-256 failed");
		return (-EIO);
	}
	s->is_set = true;
	return (0);
}

bool
secret_is(const struct secret *s, const char *text, size_t len)
{
	unsigned char	 digest[32];

	if (!s->is_set || len > SECRET_MAX ||
	    secret_digest(text, len, digest) < 0)
		return (false);
	return (gnutls_memcmp(digest, s->digest, sizeof digest) == 0);
}

void
secret_clear(struct secret *s)
{
	secret_wipe(s, sizeof *s);
}

int
secret_random(char ret_text[44])
{
	static const char abc[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char	 r[33] = { 0 };
	size_t		 i, o = 0;
	uint32_t	 v;

	if (getrandom(r, 32, 0) != 32)
		return (-EIO);
	for (i = 0; i < 33; i += 3) {
		v = (uint32_t)r[i] << 16 | (uint32_t)r[i + 1] << 8 | r[i + 2];
		ret_text[o++] = abc[v >> 18];
		ret_text[o++] = abc[v >> 12 & 63];
		ret_text[o++] = abc[v >> 6 & 63];
		if (o < 43)
			ret_text[o++] = abc[v & 63];
	}
	ret_text[43] = '\0';
	secret_wipe(r, sizeof r);
	return (0);
}

void
secret_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
