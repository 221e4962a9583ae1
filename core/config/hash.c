/* SPDX-License-Identifier: MIT */
/*
 * Hashes that tell one version of the configuration from another and, being
 * made with a key of this installation, tell a reader nothing of what is in
 * it.
 */
#include "core/config/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/base/file.h"

#define KEY_FILE	"config-hash.key"
#define HASH_PREFIX	"hmac-sha256:v1:"
#define SHA256_LEN	32

int
conf_key_load(const char *state_dir, uint8_t ret_key[CONF_KEY_LEN])
{
	char	*path, *text = NULL;
	size_t	 len = 0;
	int	 r;

	path = file_join(state_dir, KEY_FILE);
	if (path == NULL)
		return (-ENOMEM);
	r = file_read(path, CONF_KEY_LEN, &text, &len);
	if (r == 0 && len == CONF_KEY_LEN) {
		memcpy(ret_key, text, CONF_KEY_LEN);
		goto out;
	}
	/* A damaged key only makes old hashes stale: a new one will do. */
	if (r < 0 && r != -ENOENT && r != -EFBIG)
		goto out;
	if (getrandom(ret_key, CONF_KEY_LEN, 0) != CONF_KEY_LEN) {
		r = -EIO;
		goto out;
	}
	r = file_mkdirs(state_dir, 0700);
	if (r == 0)
		r = file_write_atomic(path, ret_key, CONF_KEY_LEN, 0600);
out:
	if (text != NULL)
		explicit_bzero(text, len);
	free(text);
	free(path);
	return (r);
}

int
conf_hash_text(const uint8_t *key, const void *p, size_t len,
    char ret_text[CONF_HASH_MAX])
{
	static const char	 digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint8_t			 mac[SHA256_LEN + 1] = { 0 };
	size_t			 i, n = sizeof HASH_PREFIX - 1;
	uint32_t		 v;

	_Static_assert(sizeof HASH_PREFIX + 43 <= CONF_HASH_MAX,
	    "a hash and its NUL fit");
	ret_text[0] = '\0';
	if (key == NULL)
		return (0);
	if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, CONF_KEY_LEN, p, len,
	    mac) < 0)
		return (-EIO);
	memcpy(ret_text, HASH_PREFIX, n);
	/* 32 bytes and one of padding are 11 threes; the last digit goes. */
	for (i = 0; i < sizeof mac; i += 3) {
		v = (uint32_t)mac[i] << 16 | (uint32_t)mac[i + 1] << 8 |
		    mac[i + 2];
		ret_text[n++] = digits[v >> 18];
		ret_text[n++] = digits[v >> 12 & 63];
		ret_text[n++] = digits[v >> 6 & 63];
		ret_text[n++] = digits[v & 63];
	}
	ret_text[n - 1] = '\0';
	return (0);
}

int
conf_hash_doc(const uint8_t *key, struct json_object *doc,
    char ret_text[CONF_HASH_MAX])
{
	const char	*s;
	size_t		 len;

	s = json_object_to_json_string_length(doc, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (s == NULL)
		return (-ENOMEM);
	return (conf_hash_text(key, s, len, ret_text));
}
