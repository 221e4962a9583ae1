/* SPDX-License-Identifier: MIT */
#include "core/client/trust.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/base/file.h"

#define KNOWN_FILE	"known_gateways"

char *
trust_known_path(void)
{
	const char	*xdg = getenv("XDG_CONFIG_HOME");
	const char	*home = getenv("HOME");
	char		*path;
	int		 n;

	if (xdg != NULL && *xdg == '/')
		n = asprintf(&path, "%s/chela/" KNOWN_FILE, xdg);
	else if (home != NULL && *home == '/')
		n = asprintf(&path, "%s/.config/chela/" KNOWN_FILE, home);
	else
		return (NULL);
	return (n < 0 ? NULL : path);
}

void
trust_fini(struct trust *t)
{
	free(t->known_path);
	t->known_path = NULL;
}

/* --- the file: a line has an address, a blank and a fingerprint --- */

/* The address as the file has it: one spelling for one gateway. */
static int
known_name(const struct url *url, struct buf *ret)
{
	const char	*p;
	bool		 is_v6 = strchr(url->host, ':') != NULL;

	if (is_v6)
		(void)buf_putc(ret, '[');
	for (p = url->host; *p != '\0'; p++)
		(void)buf_putc(ret, (char)tolower((unsigned char)*p));
	(void)buf_printf(ret, "%s:%s", is_v6 ? "]" : "", url->port);
	(void)buf_putc(ret, '\0');
	return (ret->is_failed ? -ENOMEM : 0);
}

/* 0, -ENOENT when the address is not there, -EINVAL for a broken line. */
static int
known_find(char *text, const char *name, unsigned char ret[FINGER_LEN])
{
	char	*line, *rest = NULL, *at;
	size_t	 len = strlen(name);

	for (line = strtok_r(text, "\r\n", &rest); line != NULL;
	    line = strtok_r(NULL, "\r\n", &rest)) {
		if (strncmp(line, name, len) != 0 || line[len] != ' ')
			continue;
		at = line + len + strspn(line + len, " ");
		at[strcspn(at, " ")] = '\0';
		return (finger_parse(at, ret));
	}
	return (-ENOENT);
}

static int
known_look(const char *path, const char *name, unsigned char ret[FINGER_LEN])
{
	char	*text;
	size_t	 len;
	int	 r;

	r = file_read(path, TRUST_FILE_MAX, &text, &len);
	if (r < 0)
		return (r);
	r = known_find(text, name, ret);
	free(text);
	return (r);
}

/* One write of one line, so that two programs do not mix theirs. */
static int
known_add(const char *path, const char *name, const char *finger)
{
	struct buf	 line = BUF_INIT;
	char		*dir = strdup(path);
	ssize_t		 n;
	int		 fd, r;

	r = dir == NULL ? -ENOMEM : file_mkdirs(dirname(dir), 0700);
	free(dir);
	(void)buf_printf(&line, "%s %s\n", name, finger);
	if (line.is_failed)
		r = -ENOMEM;
	if (r < 0)
		goto out;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	n = write(fd, line.data, line.len);
	r = n == (ssize_t)line.len ? 0 : n < 0 ? -errno : -EIO;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	(void)close(fd);
out:
	buf_fini(&line);
	return (r);
}

/* --- the system's authorities --- */

static bool
is_vouched_for(const struct url *url, const struct trust_cert *chain,
    unsigned n)
{
	gnutls_typed_vdata_st	 asked[2] = {
		{ .type = GNUTLS_DT_DNS_HOSTNAME,
		    .data = (unsigned char *)(uintptr_t)url->host },
		{ .type = GNUTLS_DT_KEY_PURPOSE_OID,
		    .data = (unsigned char *)(uintptr_t)
		    GNUTLS_KP_TLS_WWW_SERVER },
	};
	gnutls_x509_trust_list_t list = NULL;
	gnutls_x509_crt_t	 crts[TRUST_CHAIN_MAX];
	gnutls_datum_t		 der;
	unsigned		 i, n_crts = 0, status = GNUTLS_CERT_INVALID;
	bool			 is_good = false;

	if (n > TRUST_CHAIN_MAX ||
	    gnutls_x509_trust_list_init(&list, 0) < 0)
		return (false);
	for (i = 0; i < n; i++) {
		der.data = (unsigned char *)(uintptr_t)chain[i].p;
		der.size = chain[i].len;
		if (gnutls_x509_crt_init(&crts[i]) < 0)
			goto out;
		n_crts++;
		if (gnutls_x509_crt_import(crts[i], &der,
		    GNUTLS_X509_FMT_DER) < 0)
			goto out;
	}
	if (gnutls_x509_trust_list_add_system_trust(list, 0, 0) < 0)
		goto out;
	is_good = gnutls_x509_trust_list_verify_crt2(list, crts, n_crts, asked,
	    2, 0, &status, NULL) >= 0 && status == 0;
out:
	for (i = 0; i < n_crts; i++)
		gnutls_x509_crt_deinit(crts[i]);
	gnutls_x509_trust_list_deinit(list, 1);
	return (is_good);
}

/* --- the decision --- */

static int
refuse_other(const struct trust *t, const struct url *url,
    const unsigned char want[FINGER_LEN], const char *shown, struct buf *why)
{
	char	 expected[FINGER_TEXT];

	finger_format(want, expected);
	if (t->has_pin)
		(void)buf_printf(why, "%s shows another certificate than the "
		    "one that was asked for: %s, not %s", url->authority,
		    shown, expected);
	else
		(void)buf_printf(why, "the certificate of %s has changed: it "
		    "shows %s, known is %s; if this is meant, remove its line "
		    "from %s", url->authority, shown, expected,
		    t->known_path);
	return (-EKEYREJECTED);
}

static int
trust_first(const struct trust *t, const struct url *url, const char *name,
    const char *finger, bool *ret_new, struct buf *why)
{
	int	 r;

	if (t->known_path == NULL) {
		(void)buf_printf(why, "%s shows an unknown certificate: %s",
		    url->authority, finger);
		return (-EKEYREJECTED);
	}
	r = known_add(t->known_path, name, finger);
	if (r < 0) {
		/* Unremembered, every time would be the first. */
		(void)buf_printf(why, "%s shows an unknown certificate, %s, "
		    "which cannot be written to %s: %s", url->authority,
		    finger, t->known_path, strerror(-r));
		return (-EKEYREJECTED);
	}
	*ret_new = true;
	return (0);
}

static int
trust_known(const struct trust *t, const struct url *url,
    const struct trust_cert *chain, unsigned n, const unsigned char *digest,
    const char *finger, bool *ret_new, struct buf *why)
{
	unsigned char	 known[FINGER_LEN];
	struct buf	 name = BUF_INIT;
	int		 r;

	r = known_name(url, &name);
	if (r == 0)
		r = t->known_path == NULL ? -ENOENT :
		    known_look(t->known_path, name.data, known);
	if (r == 0) {
		if (memcmp(known, digest, sizeof known) != 0)
			r = refuse_other(t, url, known, finger, why);
	} else if (r == -ENOENT) {
		r = is_vouched_for(url, chain, n) ? 0 :
		    trust_first(t, url, name.data, finger, ret_new, why);
	} else {
		(void)buf_printf(why, "known gateways in %s: %s",
		    t->known_path, strerror(-r));
		r = -EKEYREJECTED;
	}
	buf_fini(&name);
	return (r);
}

int
trust_check(const struct trust *t, const struct url *url,
    const struct trust_cert *chain, unsigned n, char ret_finger[FINGER_TEXT],
    bool *ret_new, struct buf *why)
{
	unsigned char	 digest[FINGER_LEN];

	*ret_new = false;
	if (n == 0 || gnutls_hash_fast(GNUTLS_DIG_SHA256, chain[0].p,
	    chain[0].len, digest) < 0) {
		(void)buf_printf(why, "%s shows no certificate",
		    url->authority);
		return (-EKEYREJECTED);
	}
	finger_format(digest, ret_finger);
	if (t->has_pin)
		return (memcmp(digest, t->pin, sizeof digest) == 0 ? 0 :
		    refuse_other(t, url, t->pin, ret_finger, why));
	if (!t->is_system_only)
		return (trust_known(t, url, chain, n, digest, ret_finger,
		    ret_new, why));
	if (is_vouched_for(url, chain, n))
		return (0);
	(void)buf_printf(why, "no authority of this system vouches for the "
	    "certificate of %s: %s", url->authority, ret_finger);
	return (-EKEYREJECTED);
}
