/* SPDX-License-Identifier: MIT */
#include "core/access/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "abcdefghijklmnopqrstuvwxyz0123456789-_";

void
base64url_write(char *out, const void *p, size_t len)
{
	const unsigned char	*b = p;
	size_t			 i;
	uint32_t		 v;

	for (i = 0; i + 2 < len; i += 3) {
		v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = digits[v >> 6 & 63];
		*out++ = digits[v & 63];
	}
	if (len - i == 1) {
		*out++ = digits[b[i] >> 2];
		*out++ = digits[(b[i] & 3) << 4];
	} else if (len - i == 2) {
		v = (uint32_t)b[i] << 8 | b[i + 1];
		*out++ = digits[v >> 10];
		*out++ = digits[v >> 4 & 63];
		*out++ = digits[(v & 15) << 2];
	}
	*out = '\0';
}

static int
digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (c - '0' + 52);
	if (c == '-' || c == '+')
		return (62);
	if (c == '_' || c == '/')
		return (63);
	return (-1);
}

int
base64_read(const char *text, void *out, size_t size)
{
	unsigned char	*o = out;
	size_t		 i, n = 0, len = strlen(text);
	uint32_t	 acc = 0;
	unsigned	 bits = 0;
	int		 v;

	/* Padding is for whole groups of four. */
	if (len > 0 && text[len - 1] == '=') {
		if (len % 4 != 0)
			return (-EINVAL);
		len -= len > 1 && text[len - 2] == '=' ? 2 : 1;
	}
	if (len % 4 == 1)
		return (-EINVAL);
	for (i = 0; i < len; i++) {
		v = digit_value(text[i]);
		if (v < 0)
			return (-EINVAL);
		acc = (acc << 6 | (uint32_t)v) & 0xffffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == size)
			return (-EINVAL);
		o[n++] = (unsigned char)(acc >> bits);
	}
	/* Bits beyond the last byte must be zero: one text for one value. */
	return ((acc & ((1u << bits) - 1)) != 0 ? -EINVAL : (int)n);
}

static int
key_from_pem(const char *text, unsigned char ret_key[DEVICE_KEY_LEN])
{
	gnutls_ecc_curve_t	 curve;
	gnutls_datum_t		 x = { NULL, 0 }, y = { NULL, 0 }, pem;
	gnutls_pubkey_t		 k;
	int			 r = -EINVAL;

	if (strlen(text) > DEVICE_PEM_MAX || gnutls_pubkey_init(&k) < 0)
		return (-EINVAL);
	pem.data = (unsigned char *)(uintptr_t)text;
	pem.size = (unsigned)strlen(text);
	if (gnutls_pubkey_import(k, &pem, GNUTLS_X509_FMT_PEM) == 0 &&
	    gnutls_pubkey_export_ecc_raw(k, &curve, &x, &y) == 0 &&
	    curve == GNUTLS_ECC_CURVE_ED25519 && x.size == DEVICE_KEY_LEN) {
		memcpy(ret_key, x.data, DEVICE_KEY_LEN);
		r = 0;
	}
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_pubkey_deinit(k);
	return (r);
}

int
device_key_parse(const char *text, unsigned char ret_key[DEVICE_KEY_LEN])
{
	if (strncmp(text, "-----BEGIN", 10) == 0)
		return (key_from_pem(text, ret_key));
	return (base64_read(text, ret_key, DEVICE_KEY_LEN) == DEVICE_KEY_LEN ?
	    0 : -EINVAL);
}

int
device_id(const unsigned char key[DEVICE_KEY_LEN], char ret_id[DEVICE_ID_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char	 d[32];
	size_t		 i;

	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, key, DEVICE_KEY_LEN, d) < 0)
		return (-EIO);
	for (i = 0; i < sizeof d; i++) {
		ret_id[2 * i] = hex[d[i] >> 4];
		ret_id[2 * i + 1] = hex[d[i] & 15];
	}
	ret_id[2 * sizeof d] = '\0';
	return (0);
}

static const char *
or_empty(const char *s)
{
	return (s != NULL ? s : "");
}

/* Without blanks around it, A to Z lowered and nothing else. */
static void
add_lowered(struct buf *out, const char *s)
{
	size_t	 i, len;

	s = or_empty(s);
	s += strspn(s, " \t\r\n\v\f");
	len = strlen(s);
	while (len > 0 && strchr(" \t\r\n\v\f", s[len - 1]) != NULL)
		len--;
	for (i = 0; i < len; i++)
		(void)buf_putc(out, s[i] >= 'A' && s[i] <= 'Z' ?
		    (char)(s[i] | 0x20) : s[i]);
}

int
device_payload(struct buf *out, const struct device_proof *d, int version)
{
	(void)buf_printf(out, "v%d|%s|%s|%s|%s|%s|%lld|%s|%s", version, d->id,
	    or_empty(d->client_id), or_empty(d->client_mode),
	    or_empty(d->role), or_empty(d->scopes), (long long)d->signed_at,
	    or_empty(d->token), or_empty(d->nonce));
	if (version >= 3) {
		(void)buf_putc(out, '|');
		add_lowered(out, d->platform);
		(void)buf_putc(out, '|');
		add_lowered(out, d->device_family);
	}
	return (out->is_failed ? -ENOMEM : 0);
}

static bool
is_signed(gnutls_pubkey_t k, const struct device_proof *d, int version,
    unsigned char sig[DEVICE_SIG_LEN])
{
	struct buf	 text = BUF_INIT;
	gnutls_datum_t	 data, s = { sig, DEVICE_SIG_LEN };
	bool		 is_good = false;

	if (device_payload(&text, d, version) == 0 &&
	    text.len <= DEVICE_PAYLOAD_MAX) {
		data.data = (unsigned char *)text.data;
		data.size = (unsigned)text.len;
		is_good = gnutls_pubkey_verify_data2(k,
		    GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &s) >= 0;
	}
	buf_fini(&text);
	return (is_good);
}

static enum device_verdict
device_verify(const struct device_proof *d, unsigned char key[DEVICE_KEY_LEN])
{
	/* One byte more, so that a longer text is seen to be longer. */
	unsigned char		 sig[DEVICE_SIG_LEN + 1];
	enum device_verdict	 v = DEVICE_SIGNATURE;
	gnutls_datum_t		 x = { key, DEVICE_KEY_LEN };
	gnutls_pubkey_t		 k;

	if (base64_read(d->signature, sig, sizeof sig) != DEVICE_SIG_LEN)
		return (DEVICE_SIGNATURE);
	if (gnutls_pubkey_init(&k) < 0)
		return (DEVICE_KEY);
	if (gnutls_pubkey_import_ecc_raw(k, GNUTLS_ECC_CURVE_ED25519, &x,
	    NULL) < 0)
		v = DEVICE_KEY;
	else if (is_signed(k, d, 3, sig) || is_signed(k, d, 2, sig))
		v = DEVICE_OK;
	gnutls_pubkey_deinit(k);
	return (v);
}

enum device_verdict
device_check(const struct device_proof *d, const char *nonce, uint64_t now_ms,
    unsigned char ret_key[DEVICE_KEY_LEN])
{
	char		 id[DEVICE_ID_SIZE];
	const char	*sent = or_empty(d->nonce);
	size_t		 len;

	if (device_key_parse(or_empty(d->public_key), ret_key) < 0 ||
	    device_id(ret_key, id) < 0 || strcmp(id, or_empty(d->id)) != 0)
		return (DEVICE_ID_MISMATCH);
	if (d->signed_at < 0 ||
	    (uint64_t)d->signed_at + DEVICE_SKEW_MS < now_ms ||
	    (uint64_t)d->signed_at > now_ms + DEVICE_SKEW_MS)
		return (DEVICE_STALE);
	sent += strspn(sent, " \t\r\n");
	len = strlen(sent);
	while (len > 0 && strchr(" \t\r\n", sent[len - 1]) != NULL)
		len--;
	if (len == 0)
		return (DEVICE_NONCE_MISSING);
	if (len != strlen(nonce) || memcmp(sent, nonce, len) != 0)
		return (DEVICE_NONCE_MISMATCH);
	if (d->signature == NULL)
		return (DEVICE_SIGNATURE);
	return (device_verify(d, ret_key));
}
