/* SPDX-License-Identifier: MIT */
/*
 * The cryptography of Web Push: bytes in, bytes out. RFC 8291 (message encryption)
 * over RFC 8188 (aes128gcm), RFC 8292 (VAPID).
 */
#ifndef PLUGIN_PUSH_WEBPUSH_H
#define PLUGIN_PUSH_WEBPUSH_H

#include <stddef.h>
#include <stdint.h>

#define WP_PRIVATE_LEN	32u		/* a scalar of P-256 */
#define WP_PUBLIC_LEN	65u		/* 0x04, x, y */
#define WP_AUTH_LEN	16u
#define WP_SALT_LEN	16u
#define WP_RECORD	4096u		/* one record: the whole body at most */
/* Header, padding delimiter and tag are in the record, too. */
#define WP_PLAIN_MAX	(WP_RECORD - (WP_SALT_LEN + 4 + 1 + WP_PUBLIC_LEN) - 17)
#define WP_JWT_S	(12u * 3600)	/* how long a token is good */

/* A key pair. -EIO: no randomness. */
int	wp_key_new(uint8_t ret_private[WP_PRIVATE_LEN],
	    uint8_t ret_public[WP_PUBLIC_LEN]);
/* The public key of a private one; -EINVAL: it is none. */
int	wp_key_public(const uint8_t private[WP_PRIVATE_LEN],
	    uint8_t ret_public[WP_PUBLIC_LEN]);
/* 0, or -EINVAL for what is no point of the curve. */
int	wp_public_check(const uint8_t *p, size_t len);

/*
 * The body for a subscription. as_private and salt are new for each message; NULL:
 * made here. Gives bytes. -E2BIG: more than WP_PLAIN_MAX.
 */
int	wp_encrypt(const uint8_t ua_public[WP_PUBLIC_LEN],
	    const uint8_t auth[WP_AUTH_LEN], const uint8_t *as_private,
	    const uint8_t *salt, const void *plain, size_t len,
	    uint8_t **ret_body, size_t *ret_len);

/* "vapid t=..., k=..." for the endpoint's origin; gives. */
int	wp_vapid(const uint8_t private[WP_PRIVATE_LEN], const char *audience,
	    const char *subject, uint64_t now_s, char **ret_header);

/* base64url without padding; gives. */
char	*wp_base64(const void *p, size_t len);
/* With or without padding, both alphabets. Gives; -EINVAL. */
int	wp_unbase64(const char *s, uint8_t **ret, size_t *ret_len);
int	wp_sha256(const void *p, size_t len, uint8_t ret[32]);
int	wp_random(void *p, size_t len);

#endif
