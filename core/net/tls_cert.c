/* SPDX-License-Identifier: MIT */
/* The certificate that a first start makes for itself. */
#include "core/net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/base/file.h"

#define CERT_NAME	"chela-gateway"
#define CERT_SERIAL_LEN	16
#define CERT_HOST_MAX	253	/* of a name in DNS */
#define CERT_EARLY	3600	/* seconds: a client's clock may be behind */

static int
cert_add_address(gnutls_x509_crt_t crt, const char *text)
{
	unsigned char	 ip[16];
	unsigned	 len;

	if (inet_pton(AF_INET, text, ip) == 1)
		len = 4;
	else if (inet_pton(AF_INET6, text, ip) == 1)
		len = 16;
	else
		return (0);
	return (gnutls_x509_crt_set_subject_alt_name(crt,
	    GNUTLS_SAN_IPADDRESS, ip, len, GNUTLS_FSAN_APPEND));
}

static int
cert_add_name(gnutls_x509_crt_t crt, const char *name)
{
	return (gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME,
	    name, (unsigned)strlen(name), GNUTLS_FSAN_APPEND));
}

static bool
is_dns_name(const char *s)
{
	size_t	 len = strlen(s);

	return (len > 0 && len <= CERT_HOST_MAX && s[0] != '-' &&
	    s[0] != '.' && strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == len);
}

static bool
is_wildcard(const char *address)
{
	return (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0);
}

static int
cert_add_names(gnutls_x509_crt_t crt, const char *address)
{
	char	 host[CERT_HOST_MAX + 2];
	int	 e;

	e = cert_add_name(crt, "localhost");
	if (e >= 0 && gethostname(host, sizeof host) == 0) {
		host[sizeof host - 1] = '\0';
		if (is_dns_name(host) && strcmp(host, "localhost") != 0)
			e = cert_add_name(crt, host);
	}
	if (e >= 0)
		e = cert_add_address(crt, "127.0.0.1");
	if (e >= 0)
		e = cert_add_address(crt, "::1");
	if (e >= 0 && strcmp(address, "127.0.0.1") != 0 &&
	    strcmp(address, "::1") != 0 && !is_wildcard(address))
		e = cert_add_address(crt, address);
	return (e);
}

static int
cert_fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
    const char *address)
{
	unsigned char	 serial[CERT_SERIAL_LEN], id[FINGER_LEN];
	size_t		 id_len = sizeof id;
	time_t		 now = time(NULL);
	int		 e;

	e = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
	/* A positive number of full length (RFC 5280 section 4.1.2.2). */
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
	if (e >= 0)
		e = gnutls_x509_crt_set_version(crt, 3);
	if (e >= 0)
		e = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
	if (e >= 0)
		e = gnutls_x509_crt_set_activation_time(crt, now - CERT_EARLY);
	if (e >= 0)
		e = gnutls_x509_crt_set_expiration_time(crt, now +
		    (time_t)TLS_CERT_DAYS * 86400);
	if (e >= 0)
		e = gnutls_x509_crt_set_dn_by_oid(crt,
		    GNUTLS_OID_X520_COMMON_NAME, 0, CERT_NAME,
		    sizeof CERT_NAME - 1);
	if (e >= 0)
		e = cert_add_names(crt, address);
	if (e >= 0)
		e = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (e >= 0)
		e = gnutls_x509_crt_set_key_usage(crt,
		    GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (e >= 0)
		e = gnutls_x509_crt_set_key_purpose_oid(crt,
		    GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (e >= 0)
		e = gnutls_x509_crt_set_key(crt, key);
	if (e >= 0)
		e = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id,
		    &id_len);
	if (e >= 0)
		e = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
	if (e >= 0)
		e = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return (e);
}

static int
cert_write(const char *path, const gnutls_datum_t *pem, struct buf *why)
{
	int	 r;

	r = file_write_atomic(path, pem->data, pem->size, 0600);
	if (r < 0)
		(void)buf_printf(why, "'%s': %s", path, strerror(-r));
	return (r);
}

int
tls_cert_make(const char *cert_path, const char *key_path, const char *address,
    struct buf *why)
{
	gnutls_x509_crt_t	 crt = NULL;
	gnutls_x509_privkey_t	 key = NULL;
	gnutls_datum_t		 key_pem = { NULL, 0 }, crt_pem = { NULL, 0 };
	int			 e, r;

	e = gnutls_x509_privkey_init(&key);
	if (e >= 0)
		e = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
		    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (e >= 0)
		e = gnutls_x509_crt_init(&crt);
	if (e >= 0)
		e = cert_fill(crt, key, address);
	if (e >= 0)
		e = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM,
		    NULL, GNUTLS_PKCS_PLAIN, &key_pem);
	if (e >= 0)
		e = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem);
	if (e < 0) {
		(void)buf_printf(why, "no certificate could be made: %s",
		    gnutls_strerror(e));
		r = -EIO;
		goto out;
	}
	r = cert_write(key_path, &key_pem, why);
	if (r < 0)
		goto out;
	r = cert_write(cert_path, &crt_pem, why);
	/* One without the other would be taken for the operator's mistake. */
	if (r < 0)
		(void)unlink(key_path);
out:
	if (key_pem.data != NULL) {
		gnutls_memset(key_pem.data, 0, key_pem.size);
		gnutls_free(key_pem.data);
	}
	gnutls_free(crt_pem.data);
	if (crt != NULL)
		gnutls_x509_crt_deinit(crt);
	if (key != NULL)
		gnutls_x509_privkey_deinit(key);
	return (r);
}
