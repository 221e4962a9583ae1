/* SPDX-License-Identifier: MIT */
#include "vault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#define KEY_TEXT	(2 * VAULT_KEY_LEN + 1)	/* hex and a newline */

void
vault_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}

void
vault_drop(char *plain, size_t len)
{
	if (plain == NULL)
		return;
	explicit_bzero(plain, len);
	free(plain);
}

int
vault_random(void *p, size_t len)
{
	return (gnutls_rnd(GNUTLS_RND_KEY, p, len) < 0 ? -EIO : 0);
}

int
vault_derive(const char *pass, size_t len, const uint8_t *salt, size_t salt_len,
    unsigned iterations, uint8_t ret_key[VAULT_KEY_LEN])
{
	gnutls_datum_t	 k = { (unsigned char *)(uintptr_t)pass,
	    (unsigned)len };
	gnutls_datum_t	 s = { (unsigned char *)(uintptr_t)salt,
	    (unsigned)salt_len };

	return (gnutls_pbkdf2(GNUTLS_MAC_SHA256, &k, &s, iterations, ret_key,
	    VAULT_KEY_LEN) < 0 ? -EIO : 0);
}

static int
cipher_open(const uint8_t *key, gnutls_aead_cipher_hd_t *ret)
{
	gnutls_datum_t	 k = { (unsigned char *)(uintptr_t)key,
	    VAULT_KEY_LEN };

	return (gnutls_aead_cipher_init(ret, GNUTLS_CIPHER_AES_256_GCM, &k) < 0
	    ? -EIO : 0);
}

int
vault_seal(const uint8_t key[VAULT_KEY_LEN], const char *aad, const void *plain,
    size_t len, char **ret_text)
{
	gnutls_aead_cipher_hd_t	 h;
	gnutls_datum_t		 raw, text = { NULL, 0 };
	unsigned char		*p;
	size_t			 n = len + VAULT_TAG_LEN;
	int			 r;

	p = malloc(VAULT_NONCE_LEN + n);
	if (p == NULL)
		return (-ENOMEM);
	r = gnutls_rnd(GNUTLS_RND_NONCE, p, VAULT_NONCE_LEN) < 0 ? -EIO :
	    cipher_open(key, &h);
	if (r < 0)
		goto out;
	r = gnutls_aead_cipher_encrypt(h, p, VAULT_NONCE_LEN, aad, strlen(aad),
	    VAULT_TAG_LEN, plain, len, p + VAULT_NONCE_LEN, &n);
	gnutls_aead_cipher_deinit(h);
	r = r < 0 ? -EIO : 0;
	if (r < 0)
		goto out;
	raw.data = p;
	raw.size = (unsigned)(VAULT_NONCE_LEN + n);
	if (gnutls_base64_encode2(&raw, &text) < 0) {
		r = -ENOMEM;
		goto out;
	}
	*ret_text = strndup((const char *)text.data, text.size);
	gnutls_free(text.data);
	r = *ret_text == NULL ? -ENOMEM : 0;
out:
	free(p);
	return (r);
}

int
vault_unseal(const uint8_t key[VAULT_KEY_LEN], const char *aad, const char *text,
    char **ret_plain, size_t *ret_len)
{
	gnutls_aead_cipher_hd_t	 h;
	gnutls_datum_t		 t, raw = { NULL, 0 };
	char			*p;
	size_t			 n;
	int			 r;

	t.data = (unsigned char *)(uintptr_t)text;
	t.size = (unsigned)strlen(text);
	if (gnutls_base64_decode2(&t, &raw) < 0)
		return (-EBADMSG);
	if (raw.size < VAULT_NONCE_LEN + VAULT_TAG_LEN) {
		gnutls_free(raw.data);
		return (-EBADMSG);
	}
	n = raw.size - VAULT_NONCE_LEN;
	p = malloc(n + 1);
	r = p == NULL ? -ENOMEM : cipher_open(key, &h);
	if (r == 0) {
		r = gnutls_aead_cipher_decrypt(h, raw.data, VAULT_NONCE_LEN,
		    aad, strlen(aad), VAULT_TAG_LEN,
		    raw.data + VAULT_NONCE_LEN, raw.size - VAULT_NONCE_LEN, p,
		    &n);
		gnutls_aead_cipher_deinit(h);
		r = r < 0 ? -EBADMSG : 0;
	}
	gnutls_free(raw.data);
	if (r < 0) {
		free(p);
		return (r);
	}
	p[n] = '\0';
	*ret_plain = p;
	*ret_len = n;
	return (0);
}

/* --- files --- */

static int
fd_read(int fd, size_t max, char **ret_text, size_t *ret_len)
{
	struct stat	 st;
	char		*p;
	size_t		 len = 0;
	ssize_t		 n;

	if (fstat(fd, &st) < 0)
		return (-errno);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return (-EPERM);
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return (-EFBIG);
	p = malloc(max + 1);
	if (p == NULL)
		return (-ENOMEM);
	while (len < max) {
		n = read(fd, p + len, max - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			vault_drop(p, len);
			return (-EIO);
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	p[len] = '\0';
	*ret_text = p;
	*ret_len = len;
	return (0);
}

int
vault_read_private(const char *path, size_t max, char **ret_text,
    size_t *ret_len)
{
	int	 fd, r;

	/* Without O_NONBLOCK a pipe of that name would hold the worker. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return (errno == ELOOP ? -EPERM : -errno);
	r = fd_read(fd, max, ret_text, ret_len);
	(void)close(fd);
	return (r);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

static int
key_parse(const char *text, size_t len, uint8_t *key)
{
	size_t	 i;
	int	 hi, lo;

	if (len < 2 * VAULT_KEY_LEN)
		return (-EBADMSG);
	for (i = 0; i < VAULT_KEY_LEN; i++) {
		hi = hex_value(text[2 * i]);
		lo = hex_value(text[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return (-EBADMSG);
		key[i] = (uint8_t)(hi * 16 + lo);
	}
	for (i = 2 * VAULT_KEY_LEN; i < len; i++) {
		if (text[i] != '\n' && text[i] != '\r')
			return (-EBADMSG);
	}
	return (0);
}

static int
key_read(const char *path, uint8_t *key)
{
	char	*text;
	size_t	 len;
	int	 r;

	r = vault_read_private(path, KEY_TEXT + 1, &text, &len);
	if (r < 0)
		return (r);
	r = key_parse(text, len, key);
	vault_drop(text, len);
	return (r);
}

static int
sync_parent(const char *path)
{
	char	*dir = strdup(path), *slash;
	int	 fd, r = 0;

	if (dir == NULL)
		return (-ENOMEM);
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir)
		*slash = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		r = -errno;
	if (fd >= 0)
		(void)close(fd);
	free(dir);
	return (r);
}

/* Complete and on the disk before it has its name; who comes second loses. */
static int
key_make(const char *path)
{
	uint8_t	 key[VAULT_KEY_LEN];
	char	 text[KEY_TEXT + 1], *tmp;
	size_t	 i;
	int	 fd = -1, r;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
		return (-ENOMEM);
	r = vault_random(key, sizeof key);
	if (r < 0)
		goto out;
	for (i = 0; i < sizeof key; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", key[i]);
	text[KEY_TEXT - 1] = '\n';
	fd = mkostemp(tmp, O_CLOEXEC);		/* mode 0600 */
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	if (write(fd, text, KEY_TEXT) != (ssize_t)KEY_TEXT || fsync(fd) < 0)
		r = -EIO;
	else if (link(tmp, path) < 0 && errno != EEXIST)
		r = -errno;
	(void)unlink(tmp);
	if (r == 0)
		r = sync_parent(path);
out:
	if (fd >= 0)
		(void)close(fd);
	vault_wipe(key, sizeof key);
	vault_wipe(text, sizeof text);
	free(tmp);
	return (r);
}

int
vault_key_file(const char *path, uint8_t ret_key[VAULT_KEY_LEN])
{
	int	 r;

	r = key_read(path, ret_key);
	if (r != -ENOENT)
		return (r);
	r = key_make(path);
	return (r < 0 ? r : key_read(path, ret_key));
}
