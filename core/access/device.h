/* SPDX-License-Identifier: MIT */
/*
 * Device identities: an Ed25519 key (RFC 8032), an id derived from it, and the
 * proof of a connection, a signature over what the client asks for. Pure but for
 * the gateway's own key, which lies in a file.
 */
#ifndef ACCESS_DEVICE_H
#define ACCESS_DEVICE_H

#include "core/base/base.h"
#include "core/base/buf.h"

#define DEVICE_KEY_LEN		32	/* raw bytes of a public key */
#define DEVICE_SIG_LEN		64
#define DEVICE_ID_SIZE		65	/* hex SHA-256 of the key, and a NUL */
#define DEVICE_KEY_TEXT		44	/* the key as base64url, and a NUL */
#define DEVICE_PEM_MAX		512	/* bytes of a key given as PEM */
#define DEVICE_SKEW_MS		120000	/* of signedAt, both ways */
#define DEVICE_PAYLOAD_MAX	KIB(64)

enum device_verdict {
	DEVICE_OK,
	DEVICE_ID_MISMATCH,
	DEVICE_STALE,
	DEVICE_NONCE_MISSING,
	DEVICE_NONCE_MISMATCH,
	DEVICE_SIGNATURE,
	DEVICE_KEY,
};

/* What the client sent; NULL: not sent. Strings are lent. */
struct device_proof {
	const char	*id;
	const char	*public_key;
	const char	*signature;
	const char	*nonce;
	int64_t		 signed_at;
	/* What it signed besides. */
	const char	*client_id;
	const char	*client_mode;
	const char	*role;
	const char	*scopes;	/* as sent, joined with "," */
	const char	*token;
	const char	*platform;
	const char	*device_family;
};

/* Checks in the order in which a client may learn of them. */
enum device_verdict device_check(const struct device_proof *d,
    const char *nonce, uint64_t now_ms, unsigned char ret_key[DEVICE_KEY_LEN]);
/* The text that version 3 or 2 signs. */
int	 device_payload(struct buf *out, const struct device_proof *d,
	    int version);

/* A key as base64url, base64 or PEM (SPKI). 0 or -EINVAL. */
int	 device_key_parse(const char *text,
	    unsigned char ret_key[DEVICE_KEY_LEN]);
int	 device_id(const unsigned char key[DEVICE_KEY_LEN],
	    char ret_id[DEVICE_ID_SIZE]);
/*
 * Base64url without padding; base64_read() takes the other alphabet and padding
 * too, but only one text for the same bytes otherwise. Returns the length or
 * -EINVAL.
 */
void	 base64url_write(char *out, const void *p, size_t len);
int	 base64_read(const char *text, void *out, size_t size);

/* The gateway's own key. */
struct identity;
/* Reads the key from dir/name, or makes it there with mode 0600. Blocks. */
int	 identity_load(const char *dir, struct identity **ret, struct buf *why)
	    must_use;
struct identity *identity_free(struct identity *id);
const char *identity_id(const struct identity *id);
const char *identity_key(const struct identity *id);	/* base64url */
int	 identity_sign(const struct identity *id, const void *p, size_t len,
	    unsigned char ret_sig[DEVICE_SIG_LEN]);

#endif
