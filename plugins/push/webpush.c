/* SPDX-License-Identifier: MIT */
/*
 * Curve arithmetic is Nettle's (hogweed): GnuTLS has no key agreement on raw keys
 * before 3.8.2, and itself uses these functions. The rest is GnuTLS.
 */
#include "webpush.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gmp.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <nettle/dsa.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#define HEADER_LEN	(WP_SALT_LEN + 4 + 1 + WP_PUBLIC_LEN)
#define TAG_LEN		16u

int
wp_random(void *p, size_t len)
{
	return (gnutls_rnd(GNUTLS_RND_KEY, p, len) < 0 ? -EIO : 0);
}

int
wp_sha256(const void *p, size_t len, uint8_t ret[32])
{
	return (gnutls_hash_fast(GNUTLS_DIG_SHA256, p, len, ret) < 0 ? -EIO :
	    0);
}

static int
hmac(const void *key, size_t key_len, const void *p, size_t len,
    uint8_t ret[32])
{
	return (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, p, len, ret) <
	    0 ? -EIO : 0);
}

/* --- numbers --- */

static void
number_set(mpz_t n, const uint8_t *p, size_t len)
{
	mpz_import(n, len, 1, 1, 1, 0, p);
}

/* Big endian, with zeros in front. */
static void
number_get(const mpz_t n, uint8_t *p, size_t len)
{
	size_t	 used = (mpz_sizeinbase(n, 2) + 7) / 8;

	memset(p, 0, len);
	if (mpz_sgn(n) != 0 && used <= len)
		mpz_export(p + len - used, NULL, 1, 1, 1, 0, n);
}

/* mpz_clear() leaves the digits in the heap. */
static void
number_wipe(mpz_t n)
{
	size_t	 size = mpz_size(n);

	if (size > 0) {
		explicit_bzero(mpz_limbs_modify(n, (mp_size_t)size),
		    size * sizeof(mp_limb_t));
		mpz_limbs_finish(n, 0);
	}
	mpz_clear(n);
}

static int
scalar_set(struct ecc_scalar *s, const uint8_t *p)
{
	mpz_t	 n;
	int	 is_good;

	mpz_init(n);
	number_set(n, p, WP_PRIVATE_LEN);
	is_good = ecc_scalar_set(s, n);		/* 0 < n < order */
	number_wipe(n);
	return (is_good ? 0 : -EINVAL);
}

static void
point_get(const struct ecc_point *p, uint8_t ret[WP_PUBLIC_LEN])
{
	mpz_t	 x, y;

	mpz_init(x);
	mpz_init(y);
	ecc_point_get(p, x, y);
	ret[0] = 4;
	number_get(x, ret + 1, 32);
	number_get(y, ret + 33, 32);
	number_wipe(x);
	number_wipe(y);
}

static int
point_set(struct ecc_point *point, const uint8_t *p)
{
	mpz_t	 x, y;
	int	 is_good;

	mpz_init(x);
	mpz_init(y);
	number_set(x, p + 1, 32);
	number_set(y, p + 33, 32);
	is_good = ecc_point_set(point, x, y);	/* on the curve */
	mpz_clear(x);
	mpz_clear(y);
	return (is_good ? 0 : -EINVAL);
}

int
wp_public_check(const uint8_t *p, size_t len)
{
	struct ecc_point	 point;
	int			 r;

	if (len != WP_PUBLIC_LEN || p[0] != 4)
		return (-EINVAL);
	ecc_point_init(&point, nettle_get_secp_256r1());
	r = point_set(&point, p);
	ecc_point_clear(&point);
	return (r);
}

int
wp_key_public(const uint8_t private[WP_PRIVATE_LEN],
    uint8_t ret_public[WP_PUBLIC_LEN])
{
	const struct ecc_curve	*curve = nettle_get_secp_256r1();
	struct ecc_scalar	 s;
	struct ecc_point	 p;
	int			 r;

	ecc_scalar_init(&s, curve);
	ecc_point_init(&p, curve);
	r = scalar_set(&s, private);
	if (r == 0) {
		ecc_point_mul_g(&p, &s);
		point_get(&p, ret_public);
	}
	ecc_scalar_clear(&s);
	ecc_point_clear(&p);
	return (r);
}

int
wp_key_new(uint8_t ret_private[WP_PRIVATE_LEN], uint8_t ret_public[WP_PUBLIC_LEN])
{
	int	 r;

	do {
		r = wp_random(ret_private, WP_PRIVATE_LEN);
		if (r == 0)
			r = wp_key_public(ret_private, ret_public);
	} while (r == -EINVAL);		/* 2^-32: beyond the order */
	return (r);
}

/* The x of private * public. */
static int
agree(const uint8_t *private, const uint8_t *public, uint8_t ret[32])
{
	const struct ecc_curve	*curve = nettle_get_secp_256r1();
	struct ecc_scalar	 s;
	struct ecc_point	 p, q;
	uint8_t			 point[WP_PUBLIC_LEN];
	int			 r;

	ecc_scalar_init(&s, curve);
	ecc_point_init(&p, curve);
	ecc_point_init(&q, curve);
	r = point_set(&p, public);
	if (r == 0)
		r = scalar_set(&s, private);
	if (r == 0) {
		ecc_point_mul(&q, &s, &p);
		point_get(&q, point);
		memcpy(ret, point + 1, 32);
		explicit_bzero(point, sizeof point);
	}
	ecc_scalar_clear(&s);
	ecc_point_clear(&p);
	ecc_point_clear(&q);
	return (r);
}

/* --- the message, RFC 8291 section 3.4 --- */

struct keys {
	uint8_t	 ecdh[32];
	uint8_t	 prk_key[32], ikm[32], prk[32];
	uint8_t	 cek[32], nonce[32];		/* 16 and 12 of them count */
};

static int
keys_derive(struct keys *k, const uint8_t *ua_public, const uint8_t *auth,
    const uint8_t *as_public, const uint8_t *salt)
{
	static const char	 cek_info[] = "Content-Encoding: aes128gcm\0\1";
	static const char	 nonce_info[] = "Content-Encoding: nonce\0\1";
	uint8_t			 info[14 + 2 * WP_PUBLIC_LEN + 1];

	memcpy(info, "WebPush: info", 14);	/* with its NUL */
	memcpy(info + 14, ua_public, WP_PUBLIC_LEN);
	memcpy(info + 14 + WP_PUBLIC_LEN, as_public, WP_PUBLIC_LEN);
	info[sizeof info - 1] = 1;
	if (hmac(auth, WP_AUTH_LEN, k->ecdh, 32, k->prk_key) < 0 ||
	    hmac(k->prk_key, 32, info, sizeof info, k->ikm) < 0 ||
	    hmac(salt, WP_SALT_LEN, k->ikm, 32, k->prk) < 0 ||
	    hmac(k->prk, 32, cek_info, sizeof cek_info - 1, k->cek) < 0 ||
	    hmac(k->prk, 32, nonce_info, sizeof nonce_info - 1, k->nonce) < 0)
		return (-EIO);
	return (0);
}

static int
seal(const struct keys *k, const void *plain, size_t len, uint8_t *out)
{
	gnutls_aead_cipher_hd_t	 h;
	gnutls_datum_t		 key = { (unsigned char *)(uintptr_t)k->cek,
	    16 };
	uint8_t			*text = malloc(len + 1);
	size_t			 n = len + 1 + TAG_LEN;
	int			 r;

	if (text == NULL)
		return (-ENOMEM);
	memcpy(text, plain, len);
	text[len] = 2;			/* the last record's delimiter */
	r = gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_128_GCM, &key);
	if (r == 0) {
		r = gnutls_aead_cipher_encrypt(h, k->nonce, 12, NULL, 0,
		    TAG_LEN, text, len + 1, out, &n);
		gnutls_aead_cipher_deinit(h);
	}
	explicit_bzero(text, len + 1);
	free(text);
	return (r < 0 ? -EIO : 0);
}

int
wp_encrypt(const uint8_t ua_public[WP_PUBLIC_LEN],
    const uint8_t auth[WP_AUTH_LEN], const uint8_t *as_private,
    const uint8_t *salt, const void *plain, size_t len, uint8_t **ret_body,
    size_t *ret_len)
{
	struct keys	 k;
	uint8_t		 private[WP_PRIVATE_LEN], *body;
	uint8_t		 public[WP_PUBLIC_LEN];
	int		 r;

	if (len > WP_PLAIN_MAX)
		return (-E2BIG);
	body = malloc(HEADER_LEN + len + 1 + TAG_LEN);
	if (body == NULL)
		return (-ENOMEM);
	if (as_private != NULL) {
		memcpy(private, as_private, sizeof private);
		r = wp_key_public(private, public);
	} else {
		r = wp_key_new(private, public);
	}
	if (r == 0 && salt != NULL)
		memcpy(body, salt, WP_SALT_LEN);
	else if (r == 0)
		r = wp_random(body, WP_SALT_LEN);
	if (r == 0)
		r = agree(private, ua_public, k.ecdh);
	if (r == 0)
		r = keys_derive(&k, ua_public, auth, public, body);
	if (r == 0) {
		body[WP_SALT_LEN] = body[WP_SALT_LEN + 1] = 0;
		body[WP_SALT_LEN + 2] = WP_RECORD >> 8;
		body[WP_SALT_LEN + 3] = WP_RECORD & 0xff;
		body[WP_SALT_LEN + 4] = WP_PUBLIC_LEN;
		memcpy(body + WP_SALT_LEN + 5, public, WP_PUBLIC_LEN);
		r = seal(&k, plain, len, body + HEADER_LEN);
	}
	explicit_bzero(&k, sizeof k);
	explicit_bzero(private, sizeof private);
	if (r < 0) {
		free(body);
		return (r);
	}
	*ret_body = body;
	*ret_len = HEADER_LEN + len + 1 + TAG_LEN;
	return (0);
}

/* --- base64url --- */

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
wp_base64(const void *bytes, size_t len)
{
	const uint8_t	*p = bytes;
	char		*text = malloc((len + 2) / 3 * 4 + 1), *o = text;
	uint32_t	 v;
	size_t		 i, k, n;

	if (text == NULL)
		return (NULL);
	for (i = 0; i < len; i += 3) {
		n = len - i < 3 ? len - i : 3;
		v = (uint32_t)p[i] << 16;
		if (n > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (n > 2)
			v |= p[i + 2];
		for (k = 0; k <= n; k++)
			*o++ = letters[v >> (18 - 6 * k) & 63];
	}
	*o = '\0';
	return (text);
}

int
wp_unbase64(const char *s, uint8_t **ret, size_t *ret_len)
{
	size_t		 len = strlen(s), i, n = 0;
	uint32_t	 v = 0, bits = 0;
	uint8_t		*out;
	const char	*at;
	char		 c;

	for (i = 0; i < 2 && len > 0 && s[len - 1] == '='; i++)
		len--;
	if (len % 4 == 1)
		return (-EINVAL);
	out = malloc(len * 3 / 4 + 1);
	if (out == NULL)
		return (-ENOMEM);
	for (i = 0; i < len; i++) {
		c = s[i] == '+' ? '-' : s[i] == '/' ? '_' : s[i];
		at = strchr(letters, c);
		if (at == NULL || c == '\0') {
			free(out);
			return (-EINVAL);
		}
		v = v << 6 | (uint32_t)(at - letters);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (uint8_t)(v >> bits);
			v &= (1u << bits) - 1;
		}
	}
	*ret = out;
	*ret_len = n;
	return (0);
}

/* --- VAPID --- */

static void
nettle_random(void *ctx, size_t len, uint8_t *dst)
{
	int	*r = ctx;

	if (gnutls_rnd(GNUTLS_RND_NONCE, dst, len) < 0)
		*r = -EIO;
}

static int
sign(const uint8_t *private, const void *p, size_t len, uint8_t ret[64])
{
	struct ecc_scalar	 s;
	struct dsa_signature	 sig;
	uint8_t			 digest[32];
	int			 r, random_r = 0;

	ecc_scalar_init(&s, nettle_get_secp_256r1());
	r = scalar_set(&s, private);
	if (r == 0)
		r = wp_sha256(p, len, digest);
	if (r == 0) {
		dsa_signature_init(&sig);
		ecdsa_sign(&s, &random_r, nettle_random, sizeof digest, digest,
		    &sig);
		number_get(sig.r, ret, 32);
		number_get(sig.s, ret + 32, 32);
		dsa_signature_clear(&sig);
		r = random_r;
	}
	ecc_scalar_clear(&s);
	return (r);
}

/* What a JSON string must not have is not in an origin or an address either. */
static int
is_plain(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x21 || *s == '"' || *s == '\\' ||
		    (unsigned char)*s > 0x7e)
			return (0);
	}
	return (1);
}

int
wp_vapid(const uint8_t private[WP_PRIVATE_LEN], const char *audience,
    const char *subject, uint64_t now_s, char **ret_header)
{
	static const char	 head[] = "{\"typ\":\"JWT\",\"alg\":\"ES256\"}";
	uint8_t			 public[WP_PUBLIC_LEN], sig[64];
	char			*claims = NULL, *h = NULL, *c = NULL;
	char			*signed_part = NULL, *s = NULL, *k = NULL;
	int			 r;

	if (!is_plain(audience) || !is_plain(subject))
		return (-EINVAL);
	r = wp_key_public(private, public);
	if (r < 0)
		return (r);
	r = -ENOMEM;
	if (asprintf(&claims, "{\"aud\":\"%s\",\"exp\":%llu,\"sub\":\"%s\"}",
	    audience, (unsigned long long)(now_s + WP_JWT_S), subject) < 0) {
		claims = NULL;
		goto out;
	}
	h = wp_base64(head, sizeof head - 1);
	c = wp_base64(claims, strlen(claims));
	if (h == NULL || c == NULL ||
	    asprintf(&signed_part, "%s.%s", h, c) < 0) {
		signed_part = NULL;
		goto out;
	}
	r = sign(private, signed_part, strlen(signed_part), sig);
	if (r < 0)
		goto out;
	s = wp_base64(sig, sizeof sig);
	k = wp_base64(public, sizeof public);
	r = s == NULL || k == NULL || asprintf(ret_header,
	    "vapid t=%s.%s, k=%s", signed_part, s, k) < 0 ? -ENOMEM : 0;
out:
	free(claims);
	free(h);
	free(c);
	free(signed_part);
	free(s);
	free(k);
	return (r);
}
