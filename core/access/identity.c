/* SPDX-License-Identifier: MIT */
/* The gateway's own key: made once, kept in a file only its owner reads. */
#include "core/access/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/access/secret.h"
#include "core/base/file.h"

#define IDENTITY_FILE	"identity.pem"	/* in the state directory; PKCS #8 */
#define IDENTITY_MAX	KIB(4)

struct identity {
	gnutls_privkey_t	 key;
	char			 id[DEVICE_ID_SIZE];
	char			 text[DEVICE_KEY_TEXT];
};

struct identity *
identity_free(struct identity *id)
{
	if (id == NULL)
		return (NULL);
	if (id->key != NULL)
		gnutls_privkey_deinit(id->key);
	free(id);
	return (NULL);
}

static int
key_write(const char *path, gnutls_x509_privkey_t k)
{
	gnutls_datum_t	 pem;
	int		 r;

	if (gnutls_x509_privkey_export2_pkcs8(k, GNUTLS_X509_FMT_PEM, NULL,
	    GNUTLS_PKCS_PLAIN, &pem) < 0)
		return (-EIO);
	r = file_write_atomic(path, pem.data, pem.size, 0600);
	secret_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	return (r);
}

static int
key_read(const char *path, gnutls_x509_privkey_t k, struct buf *why)
{
	struct stat	 st;
	gnutls_datum_t	 pem;
	char		*text;
	size_t		 len;
	int		 r;

	r = file_read(path, IDENTITY_MAX, &text, &len);
	if (r == -ENOENT) {
		if (gnutls_x509_privkey_generate(k, GNUTLS_PK_EDDSA_ED25519,
		    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0) < 0)
			return (-EIO);
		return (key_write(path, k));
	}
	if (r < 0)
		return (r);
	pem.data = (unsigned char *)text;
	pem.size = (unsigned)len;
	r = gnutls_x509_privkey_import_pkcs8(k, &pem, GNUTLS_X509_FMT_PEM, NULL,
	    GNUTLS_PKCS_PLAIN) < 0 || gnutls_x509_privkey_get_pk_algorithm(k) !=
	    GNUTLS_PK_EDDSA_ED25519 ? -EBADMSG : 0;
	secret_wipe(text, len);
	free(text);
	if (r < 0)
		(void)buf_printf(why, "'%s' holds no Ed25519 key", path);
	else if (stat(path, &st) == 0 && (st.st_mode & 077) != 0) {
		(void)buf_printf(why, "'%s' may be read by others (mode %04o); "
		    "make it 0600", path, (unsigned)(st.st_mode & 07777));
		r = -EPERM;
	}
	return (r);
}

static int
identity_adopt(struct identity *id, gnutls_x509_privkey_t k)
{
	gnutls_ecc_curve_t	 curve;
	gnutls_datum_t		 x = { NULL, 0 }, y = { NULL, 0 }, s = { NULL, 0 };
	int			 r = -EIO;

	if (gnutls_privkey_init(&id->key) < 0) {
		id->key = NULL;
		return (-ENOMEM);
	}
	if (gnutls_privkey_import_x509(id->key, k,
	    GNUTLS_PRIVKEY_IMPORT_COPY) < 0)
		return (-EIO);
	if (gnutls_privkey_export_ecc_raw(id->key, &curve, &x, &y, &s) == 0 &&
	    x.size == DEVICE_KEY_LEN) {
		base64url_write(id->text, x.data, x.size);
		r = device_id(x.data, id->id);
	}
	if (s.data != NULL)
		secret_wipe(s.data, s.size);
	gnutls_free(x.data);
	gnutls_free(y.data);
	gnutls_free(s.data);
	return (r);
}

int
identity_load(const char *dir, struct identity **ret, struct buf *why)
{
	gnutls_x509_privkey_t	 k;
	struct identity		*id;
	char			*path;
	int			 r = -ENOMEM;

	id = calloc(1, sizeof *id);
	path = file_join(dir, IDENTITY_FILE);
	if (id == NULL || path == NULL || gnutls_x509_privkey_init(&k) < 0)
		goto out;
	r = key_read(path, k, why);
	if (r == 0)
		r = identity_adopt(id, k);
	gnutls_x509_privkey_deinit(k);
out:
	if (r < 0 && why != NULL && why->len == 0)
		(void)buf_printf(why, "'%s': %s", path != NULL ? path : dir,
		    strerror(-r));
	free(path);
	*ret = r < 0 ? identity_free(id) : id;
	return (r);
}

const char *
identity_id(const struct identity *id)
{
	return (id->id);
}

const char *
identity_key(const struct identity *id)
{
	return (id->text);
}

int
identity_sign(const struct identity *id, const void *p, size_t len,
    unsigned char ret_sig[DEVICE_SIG_LEN])
{
	gnutls_datum_t	 data, sig;
	int		 r = 0;

	data.data = (unsigned char *)(uintptr_t)p;
	data.size = (unsigned)len;
	if (gnutls_privkey_sign_data2(id->key, GNUTLS_SIGN_EDDSA_ED25519, 0,
	    &data, &sig) < 0)
		return (-EIO);
	if (sig.size == DEVICE_SIG_LEN)
		memcpy(ret_sig, sig.data, DEVICE_SIG_LEN);
	else
		r = -EIO;
	gnutls_free(sig.data);
	return (r);
}
