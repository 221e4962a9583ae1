/* SPDX-License-Identifier: MIT */
#include "core/net/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/base/file.h"

/*
 * Forward secrecy and authenticated encryption only, which in TLS 1.2 leaves
 * ECDHE with GCM and ChaCha20. SHA-1 signs nothing.
 */
#define TLS_PRIORITY \
	"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" \
	":-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA" \
	":-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305" \
	":-MAC-ALL:+AEAD" \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1" \
	":%SERVER_PRECEDENCE"

#define TLS_SESSION_FLAGS \
	(GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL)

/* Counted by its owner and by each session, since those outlive a change. */
struct tls_ctx {
	size_t				 refs;
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t		 prio;
	gnutls_datum_t			 ticket_key;
	bool				 wants_client_cert;
	int64_t				 not_before;
	int64_t				 not_after;
	char				 finger[FINGER_TEXT];
};

struct tls {
	gnutls_session_t	 session;
	struct tls_ctx		*ctx;
	int			 fd;
	bool			 is_lent;	/* bytes come from in */
	bool			 is_blocked;	/* a record is not all out */
	const char		*in;
	size_t			 in_len;
	struct buf		 rest;		/* from that record's start */
};

/* --- the certificate --- */

struct tls_ctx *
tls_ctx_ref(struct tls_ctx *ctx)
{
	ctx->refs++;
	return (ctx);
}

struct tls_ctx *
tls_ctx_unref(struct tls_ctx *ctx)
{
	if (ctx == NULL || --ctx->refs > 0)
		return (NULL);
	if (ctx->cred != NULL)
		gnutls_certificate_free_credentials(ctx->cred);
	if (ctx->prio != NULL)
		gnutls_priority_deinit(ctx->prio);
	if (ctx->ticket_key.data != NULL) {
		gnutls_memset(ctx->ticket_key.data, 0, ctx->ticket_key.size);
		gnutls_free(ctx->ticket_key.data);
	}
	free(ctx);
	return (NULL);
}

const char *
tls_ctx_finger(const struct tls_ctx *ctx)
{
	return (ctx->finger);
}

int
tls_ctx_validity(const struct tls_ctx *ctx, int64_t now)
{
	return (now < ctx->not_before ? -1 : now > ctx->not_after ? 1 : 0);
}

static int
tls_read(const char *path, gnutls_datum_t *ret, struct buf *why)
{
	char	*text;
	size_t	 len;
	int	 r;

	r = file_read(path, TLS_FILE_MAX, &text, &len);
	if (r < 0) {
		(void)buf_printf(why, "'%s': %s", path, strerror(-r));
		return (r);
	}
	ret->data = (unsigned char *)text;
	ret->size = (unsigned)len;
	return (0);
}

static void
tls_forget(gnutls_datum_t *d)
{
	if (d->data == NULL)
		return;
	explicit_bzero(d->data, d->size);
	free(d->data);
}

static int
tls_say(struct buf *why, const char *path, int e)
{
	(void)buf_printf(why, "'%s': %s", path, gnutls_strerror(e));
	return (e == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL);
}

static int
tls_ctx_read_leaf(struct tls_ctx *ctx)
{
	gnutls_datum_t		 der;
	gnutls_x509_crt_t	 crt = NULL;
	unsigned char		 digest[FINGER_LEN];
	int			 e;

	e = gnutls_certificate_get_crt_raw(ctx->cred, 0, 0, &der);
	if (e >= 0)
		e = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size,
		    digest);
	if (e >= 0)
		e = gnutls_x509_crt_init(&crt);
	if (e >= 0)
		e = gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER);
	if (e >= 0) {
		finger_format(digest, ctx->finger);
		ctx->not_before = gnutls_x509_crt_get_activation_time(crt);
		ctx->not_after = gnutls_x509_crt_get_expiration_time(crt);
	}
	if (crt != NULL)
		gnutls_x509_crt_deinit(crt);
	return (e);
}

/*
 * In two steps, not by gnutls_certificate_set_x509_key_mem2(), which (3.7)
 * loses memory over a file that is broken. Says which file a failure is of.
 */
static int
tls_ctx_set(struct tls_ctx *ctx, const struct tls_files *f,
    const gnutls_datum_t *cert, const gnutls_datum_t *key,
    const char **ret_path)
{
	gnutls_x509_crt_t	*crts = NULL;
	gnutls_x509_privkey_t	 priv = NULL;
	unsigned		 n = 0, i;
	int			 e;

	*ret_path = f->cert;
	e = gnutls_x509_crt_list_import2(&crts, &n, cert, GNUTLS_X509_FMT_PEM,
	    GNUTLS_X509_CRT_LIST_SORT);
	if (e < 0)
		return (e);
	*ret_path = f->key;
	e = gnutls_x509_privkey_init(&priv);
	if (e >= 0)
		e = gnutls_x509_privkey_import2(priv, key, GNUTLS_X509_FMT_PEM,
		    NULL, 0);
	/* Fails as well when the key is not that of the certificate. */
	if (e >= 0)
		e = gnutls_certificate_set_x509_key(ctx->cred, crts, (int)n,
		    priv);
	if (priv != NULL)
		gnutls_x509_privkey_deinit(priv);
	for (i = 0; i < n; i++)
		gnutls_x509_crt_deinit(crts[i]);
	gnutls_free(crts);
	return (e);
}

static int
tls_ctx_read(struct tls_ctx *ctx, const struct tls_files *f, struct buf *why)
{
	gnutls_datum_t	 cert = { NULL, 0 }, key = { NULL, 0 };
	gnutls_datum_t	 ca = { NULL, 0 };
	const char	*path;
	int		 e, r;

	r = tls_read(f->cert, &cert, why);
	if (r == 0)
		r = tls_read(f->key, &key, why);
	if (r == 0 && f->ca != NULL)
		r = tls_read(f->ca, &ca, why);
	if (r < 0)
		goto out;
	e = tls_ctx_set(ctx, f, &cert, &key, &path);
	if (e >= 0)
		e = tls_ctx_read_leaf(ctx);
	if (e < 0) {
		r = tls_say(why, path, e);
		goto out;
	}
	if (f->ca != NULL) {
		e = gnutls_certificate_set_x509_trust_mem(ctx->cred, &ca,
		    GNUTLS_X509_FMT_PEM);
		if (e <= 0) {
			r = tls_say(why, f->ca, e == 0 ?
			    GNUTLS_E_NO_CERTIFICATE_FOUND : e);
			goto out;
		}
		ctx->wants_client_cert = true;
	}
out:
	tls_forget(&cert);
	tls_forget(&key);
	tls_forget(&ca);
	return (r);
}

int
tls_ctx_load(const struct tls_files *files, struct tls_ctx **ret,
    struct buf *why)
{
	struct tls_ctx	*ctx;
	int		 e, r;

	ctx = calloc(1, sizeof *ctx);
	if (ctx == NULL)
		return (-ENOMEM);
	ctx->refs = 1;
	e = gnutls_certificate_allocate_credentials(&ctx->cred);
	if (e >= 0)
		e = gnutls_priority_init(&ctx->prio, TLS_PRIORITY, NULL);
	/* A key of its own: tickets end with their certificate. */
	if (e >= 0)
		e = gnutls_session_ticket_key_generate(&ctx->ticket_key);
	r = e < 0 ? tls_say(why, files->cert, e) :
	    tls_ctx_read(ctx, files, why);
	if (r < 0) {
		(void)tls_ctx_unref(ctx);
		return (r);
	}
	*ret = ctx;
	return (0);
}

/* --- sessions --- */

static ssize_t
tls_on_pull(gnutls_transport_ptr_t arg, void *p, size_t size)
{
	struct tls	*t = arg;
	size_t		 n;

	if (!t->is_lent)
		return (recv(t->fd, p, size, 0));
	if (t->in_len == 0) {
		errno = EAGAIN;
		return (-1);
	}
	n = MIN_OF(size, t->in_len);
	memcpy(p, t->in, n);
	t->in += n;
	t->in_len -= n;
	return ((ssize_t)n);
}

/* Never asked to wait by a session that does not block. */
static int
tls_on_pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
	(void)arg;
	(void)ms;
	return (1);
}

static ssize_t
tls_on_push(gnutls_transport_ptr_t arg, const void *p, size_t len)
{
	struct tls	*t = arg;

	return (send(t->fd, p, len, MSG_NOSIGNAL));
}

static int
tls_setup(struct tls *t)
{
	static gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
	};
	static const gnutls_datum_t http = {
		(unsigned char *)(uintptr_t)"http/1.1", 8
	};
	gnutls_session_t s = t->session;
	int		 e;

	e = gnutls_priority_set(s, t->ctx->prio);
	if (e >= 0)
		e = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE,
		    t->ctx->cred);
	if (e >= 0)
		e = gnutls_session_ticket_enable_server(s, &t->ctx->ticket_key);
	/* Who offers protocols but not ours gets an alert (RFC 7301). */
	if (e >= 0)
		e = gnutls_alpn_set_protocols(s, &http, 1,
		    GNUTLS_ALPN_MANDATORY);
	if (e < 0)
		return (e);
	if (t->ctx->wants_client_cert) {
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
		gnutls_session_set_verify_cert2(s, &purpose, 1, 0);
	}
	gnutls_handshake_set_max_packet_length(s, TLS_HELLO_MAX);
	gnutls_transport_set_ptr(s, t);
	gnutls_transport_set_pull_function(s, tls_on_pull);
	gnutls_transport_set_pull_timeout_function(s, tls_on_pull_timeout);
	gnutls_transport_set_push_function(s, tls_on_push);
	return (0);
}

struct tls *
tls_new(struct tls_ctx *ctx, int fd)
{
	struct tls	*t;

	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (NULL);
	t->fd = fd;
	buf_init(&t->rest);
	t->ctx = tls_ctx_ref(ctx);
	if (gnutls_init(&t->session, TLS_SESSION_FLAGS) < 0) {
		t->session = NULL;
		return (tls_free(t));
	}
	if (tls_setup(t) < 0)
		return (tls_free(t));
	return (t);
}

struct tls *
tls_free(struct tls *t)
{
	if (t == NULL)
		return (NULL);
	if (t->session != NULL)
		gnutls_deinit(t->session);
	buf_fini(&t->rest);
	(void)tls_ctx_unref(t->ctx);
	free(t);
	return (NULL);
}

int
tls_handshake(struct tls *t)
{
	int	 e;

	do {
		e = gnutls_handshake(t->session);
	} while (e == GNUTLS_E_INTERRUPTED ||
	    e == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (e == GNUTLS_E_AGAIN)
		return (-EAGAIN);
	if (e < 0) {
		(void)gnutls_alert_send_appropriate(t->session, e);
		return (-EPROTO);
	}
	return (0);
}

bool
tls_wants_write(const struct tls *t)
{
	return (gnutls_record_get_direction(t->session) == 1);
}

bool
tls_is_resumed(const struct tls *t)
{
	return (gnutls_session_is_resumed(t->session) != 0);
}

void
tls_lend(struct tls *t, const char *p, size_t len)
{
	assert(t->in_len == 0);
	t->is_lent = true;
	t->in = p;
	t->in_len = len;
}

ssize_t
tls_recv(struct tls *t, char *p, size_t size)
{
	size_t	 left;
	ssize_t	 n;

	do {
		left = t->in_len;
		n = gnutls_record_recv(t->session, p, size);
		/* After a record that is not for us; there may be one more. */
	} while (n == GNUTLS_E_INTERRUPTED ||
	    n == GNUTLS_E_WARNING_ALERT_RECEIVED ||
	    (n == GNUTLS_E_AGAIN && t->in_len > 0 && t->in_len < left));
	if (n >= 0)
		return (n);
	/* A new handshake (TLS 1.2) is refused like what is broken. */
	return (n == GNUTLS_E_AGAIN && t->in_len == 0 ? -EAGAIN : -EPROTO);
}

static int
tls_send_some(struct tls *t, const char *p, size_t len, size_t *ret_sent)
{
	ssize_t	 n;

	for (*ret_sent = 0; *ret_sent < len; *ret_sent += (size_t)n) {
		/* Fewer bytes where the peer asked for short records. */
		do {
			n = gnutls_record_send(t->session, p + *ret_sent,
			    len - *ret_sent);
		} while (n == GNUTLS_E_INTERRUPTED);
		if (n < 0)
			return (n == GNUTLS_E_AGAIN ? -EAGAIN : -EPIPE);
	}
	return (0);
}

int
tls_send(struct tls *t, const char *p, size_t len)
{
	size_t	 sent;
	int	 r;

	assert(!t->is_blocked && len <= TLS_RECORD_MAX);
	r = tls_send_some(t, p, len, &sent);
	if (r == -EAGAIN) {
		if (buf_add(&t->rest, p + sent, len - sent) < 0)
			return (-ENOMEM);
		t->is_blocked = true;
	}
	return (r);
}

int
tls_push(struct tls *t)
{
	ssize_t	 n;
	size_t	 sent;
	int	 r;

	if (!t->is_blocked)
		return (0);
	/* Without data: the record is made, and waits in the session. */
	do {
		n = gnutls_record_send(t->session, NULL, 0);
	} while (n == GNUTLS_E_INTERRUPTED);
	if (n < 0)
		return (n == GNUTLS_E_AGAIN ? -EAGAIN : -EPIPE);
	buf_drop(&t->rest, MIN_OF((size_t)n, t->rest.len));
	r = tls_send_some(t, t->rest.data, t->rest.len, &sent);
	if (r == -EAGAIN)
		buf_drop(&t->rest, sent);
	if (r < 0)
		return (r);
	t->is_blocked = false;
	buf_fini(&t->rest);
	return (0);
}

bool
tls_is_blocked(const struct tls *t)
{
	return (t->is_blocked);
}

void
tls_bye(struct tls *t)
{
	(void)gnutls_bye(t->session, GNUTLS_SHUT_WR);
}
