/* SPDX-License-Identifier: MIT */
/*
 * TLS of the listeners: a certificate with its key, and sessions on sockets
 * that do not block. Says nothing of when a session may work; conn_tls.c does.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <sys/types.h>

#include "core/base/base.h"
#include "core/base/buf.h"
#include "core/base/finger.h"

#define TLS_RECORD_MAX	KIB(16)	/* bytes of one record */
#define TLS_HELLO_MAX	KIB(16)	/* bytes of one handshake message of a peer */
#define TLS_FILE_MAX	MIB(1)	/* bytes of a certificate or key file */
#define TLS_CERT_DAYS	3650	/* validity of a generated certificate */

struct tls;
struct tls_ctx;

struct tls_files {
	const char	*cert;		/* chain, PEM */
	const char	*key;		/* PEM */
	const char	*ca;		/* of clients' certificates, or NULL */
};

/*
 * Reads and checks the files: the certificate must be of the key. Blocks, and
 * may run on any thread. Gives ret, or why has a sentence.
 */
int	 tls_ctx_load(const struct tls_files *files, struct tls_ctx **ret,
	    struct buf *why) must_use;
/* One thread at a time: sessions count too. */
struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
struct tls_ctx *tls_ctx_unref(struct tls_ctx *ctx);
/* "sha256:" and the digits. */
const char *tls_ctx_finger(const struct tls_ctx *ctx);
/* Negative before its time, positive after it, 0 within. now: seconds. */
int	 tls_ctx_validity(const struct tls_ctx *ctx, int64_t now);

/*
 * Makes a key (ECDSA P-256) and a self-signed certificate for localhost, this
 * host's name and address, if that is one. Writes both with mode 0600. Blocks.
 */
int	 tls_cert_make(const char *cert_path, const char *key_path,
	    const char *address, struct buf *why) must_use;

/* fd is lent; the session keeps a reference to ctx. */
struct tls *tls_new(struct tls_ctx *ctx, int fd) must_use;
struct tls *tls_free(struct tls *t);
/* One step: 0 done, -EAGAIN, -EPROTO (the peer was sent an alert). */
int	 tls_handshake(struct tls *t) must_use;
/* Which way the step that said -EAGAIN waits. */
bool	 tls_wants_write(const struct tls *t);
bool	 tls_is_resumed(const struct tls *t);
/*
 * Lends bytes of the socket that the caller has read. tls_recv() is to be
 * called until it says -EAGAIN, which it does when it has used all of them.
 */
void	 tls_lend(struct tls *t, const char *p, size_t len);
/* Bytes got, 0 at the peer's end, -EAGAIN, -EPROTO. */
ssize_t	 tls_recv(struct tls *t, char *p, size_t size) must_use;
/*
 * Takes all of p, at most TLS_RECORD_MAX: one record. 0, or -EAGAIN when the
 * socket has not: nothing but tls_push() may follow then, until that says 0.
 */
int	 tls_send(struct tls *t, const char *p, size_t len) must_use;
int	 tls_push(struct tls *t) must_use;
bool	 tls_is_blocked(const struct tls *t);
/* Tells the peer that nothing follows. Best effort, does not wait. */
void	 tls_bye(struct tls *t);

#endif
