/* SPDX-License-Identifier: MIT */
/* core/net/tls: certificates, fingerprints, sessions over a socket pair. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#include "core/base/file.h"
#include "core/net/tls.h"
#include "tests/unit/cu.h"

#define DIGITS "000102030405060708090a0b0c0d0e0f" \
	"101112131415161718191A1B1C1D1E1F"
#define STEPS_MAX 10000	/* of anything that should end */

static char	 dir[] = "/tmp/chela-tls-XXXXXX";
static char	 cert_path[64], key_path[64], other_cert[64], other_key[64];

static void
setup(void)
{
	struct buf	 why = BUF_INIT;

	if (*cert_path != '\0')
		return;
	if (mkdtemp(dir) == NULL)
		abort();
	(void)snprintf(cert_path, sizeof cert_path, "%s/cert", dir);
	(void)snprintf(key_path, sizeof key_path, "%s/key", dir);
	(void)snprintf(other_cert, sizeof other_cert, "%s/cert2", dir);
	(void)snprintf(other_key, sizeof other_key, "%s/key2", dir);
	if (tls_cert_make(cert_path, key_path, "192.0.2.7", &why) < 0 ||
	    tls_cert_make(other_cert, other_key, "::", &why) < 0)
		abort();
	buf_fini(&why);
}

static struct tls_ctx *
load(void)
{
	struct tls_files	 files = { cert_path, key_path, NULL };
	struct tls_ctx		*ctx = NULL;
	struct buf		 why = BUF_INIT;

	setup();
	CU_ASSERT_EQUAL_FATAL(tls_ctx_load(&files, &ctx, &why), 0);
	buf_fini(&why);
	return (ctx);
}

static void
fingerprints(void)
{
	static const char *const bad[] = {
		"", "sha256:", "00", DIGITS "00", "sha256:sha256:" DIGITS,
		"sha1:" DIGITS, "0x" DIGITS, " " DIGITS, DIGITS " ",
		DIGITS ":", ":" DIGITS, "00::01", "0:0010203",
		"g00102030405060708090a0b0c0d0e0f"
		    "101112131415161718191a1b1c1d1e1f",
	};
	unsigned char	 d[FINGER_LEN], again[FINGER_LEN];
	char		 text[FINGER_TEXT], colons[3 * FINGER_LEN];
	size_t		 i;

	CU_ASSERT_EQUAL_FATAL(finger_parse(DIGITS, d), 0);
	for (i = 0; i < sizeof d; i++)
		CU_ASSERT_EQUAL(d[i], i);
	finger_format(d, text);
	CU_ASSERT_EQUAL(strlen(text), FINGER_TEXT - 1);
	CU_ASSERT_EQUAL(strncmp(text, "sha256:0001", 11), 0);
	CU_ASSERT_EQUAL(finger_parse(text, again), 0);
	CU_ASSERT_EQUAL(memcmp(d, again, sizeof d), 0);
	for (i = 0; i < FINGER_LEN; i++)
		(void)snprintf(colons + 3 * i, 4, i + 1 < FINGER_LEN ?
		    "%02X:" : "%02X", d[i]);
	memset(again, 0, sizeof again);
	CU_ASSERT_EQUAL(finger_parse(colons, again), 0);
	CU_ASSERT_EQUAL(memcmp(d, again, sizeof d), 0);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memset(again, 7, sizeof again);
		if (finger_parse(bad[i], again) != -EINVAL)
			(void)printf("taken: %s\n", bad[i]);
		CU_ASSERT_EQUAL(finger_parse(bad[i], again), -EINVAL);
		CU_ASSERT_EQUAL(again[0], 7);
	}
}

static void
makes_a_certificate(void)
{
	struct tls_ctx	*ctx = load();
	struct stat	 st;
	int64_t		 now = (int64_t)time(NULL);

	CU_ASSERT_EQUAL(stat(cert_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(stat(key_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(tls_ctx_validity(ctx, now), 0);
	CU_ASSERT_EQUAL(tls_ctx_validity(ctx, now - 2 * 86400), -1);
	CU_ASSERT_EQUAL(tls_ctx_validity(ctx, now +
	    (int64_t)(TLS_CERT_DAYS + 1) * 86400), 1);
	CU_ASSERT_EQUAL(strlen(tls_ctx_finger(ctx)), FINGER_TEXT - 1);
	CU_ASSERT_PTR_NULL(tls_ctx_unref(ctx));
}

static void
leaves_no_key_alone(void)
{
	struct buf	 why = BUF_INIT;
	char		 bad[64], key[64];

	setup();
	(void)snprintf(bad, sizeof bad, "%s/missing/cert", dir);
	(void)snprintf(key, sizeof key, "%s/lone-key", dir);
	CU_ASSERT(tls_cert_make(bad, key, "127.0.0.1", &why) < 0);
	CU_ASSERT(why.len > 0);
	CU_ASSERT_EQUAL(access(key, F_OK), -1);
	buf_fini(&why);
}

static void
refuses_files(void)
{
	static const char	 text[] =
	    "-----BEGIN CERTIFICATE-----\nAAAA\n";
	static char		 junk[64];
	struct tls_files	 t[] = {
		{ cert_path, other_key, NULL },		/* of another */
		{ key_path, cert_path, NULL },		/* the wrong way */
		{ cert_path, cert_path, NULL },
		{ "/nonexistent", key_path, NULL },
		{ cert_path, "/nonexistent", NULL },
		{ cert_path, key_path, "/nonexistent" },
		{ cert_path, key_path, key_path },	/* no authority */
		{ "/dev/zero", key_path, NULL },
		{ dir, key_path, NULL },
		{ junk, key_path, NULL },
		{ cert_path, junk, NULL },
		{ cert_path, key_path, junk },
	};
	struct tls_ctx		*ctx = NULL;
	struct buf		 why = BUF_INIT;
	size_t			 i;

	setup();
	(void)snprintf(junk, sizeof junk, "%s/junk", dir);
	CU_ASSERT_EQUAL(file_write_atomic(junk, text, sizeof text - 1, 0600),
	    0);
	for (i = 0; i < sizeof t / sizeof t[0]; i++) {
		buf_reset(&why);
		CU_ASSERT(tls_ctx_load(&t[i], &ctx, &why) < 0);
		CU_ASSERT_PTR_NULL(ctx);
		CU_ASSERT(why.len > 0);
	}
	CU_ASSERT_EQUAL(unlink(junk), 0);
	buf_fini(&why);
}

/* --- sessions: the server's is ours, the client's is the library's own --- */

struct pair {
	struct tls_ctx				*ctx;
	struct tls				*server;
	gnutls_session_t			 client;
	gnutls_certificate_credentials_t	 cred;
	int					 fds[2];
};

static void
pair_open(struct pair *p, const char *priority)
{
	int	 size = 4096, i, r = -EAGAIN, e = GNUTLS_E_AGAIN;

	p->ctx = load();
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK,
	    0, p->fds), 0);
	(void)setsockopt(p->fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	p->server = tls_new(p->ctx, p->fds[0]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p->server);
	(void)gnutls_certificate_allocate_credentials(&p->cred);
	(void)gnutls_init(&p->client, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
	    GNUTLS_NO_SIGNAL);
	(void)gnutls_priority_set_direct(p->client, priority, NULL);
	(void)gnutls_credentials_set(p->client, GNUTLS_CRD_CERTIFICATE,
	    p->cred);
	gnutls_transport_set_int(p->client, p->fds[1]);
	for (i = 0; i < STEPS_MAX && (r == -EAGAIN || e == GNUTLS_E_AGAIN);
	    i++) {
		if (e == GNUTLS_E_AGAIN)
			e = gnutls_handshake(p->client);
		if (r == -EAGAIN)
			r = tls_handshake(p->server);
	}
	CU_ASSERT_EQUAL_FATAL(e, 0);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static void
pair_close(struct pair *p)
{
	p->server = tls_free(p->server);
	gnutls_deinit(p->client);
	gnutls_certificate_free_credentials(p->cred);
	(void)close(p->fds[0]);
	(void)close(p->fds[1]);
	(void)tls_ctx_unref(p->ctx);
}

/* What the server makes of all that is in the socket now: bytes or an error. */
static ssize_t
server_read(struct pair *p, char *out, size_t size)
{
	static char	 raw[65536];
	ssize_t		 n, got;
	size_t		 len = 0;

	n = recv(p->fds[0], raw, sizeof raw, 0);
	if (n <= 0)
		return (-EAGAIN);
	tls_lend(p->server, raw, (size_t)n);
	while ((got = tls_recv(p->server, out + len, size - len)) > 0)
		len += (size_t)got;
	return (len > 0 || got == -EAGAIN ? (ssize_t)len : got);
}

/* The client's next bytes; 0 for none. */
static size_t
client_read(struct pair *p, char *out, size_t size)
{
	ssize_t	 n;

	do {
		n = gnutls_record_recv(p->client, out, size);
	} while (n == GNUTLS_E_INTERRUPTED);
	return (n > 0 ? (size_t)n : 0);
}

/*
 * Sends many records into a small socket whose peer reads late, and looks that
 * nothing is lost, doubled or out of order.
 */
static void
blocked_with(const char *priority)
{
	static char	 record[TLS_RECORD_MAX], in[32768];
	struct pair	 p;
	size_t		 sent = 0, got = 0, n, i, blocked = 0;
	const size_t	 total = 40 * sizeof record;
	unsigned	 steps = 0;
	int		 r = 0;

	pair_open(&p, priority);
	while (got < total && steps++ < STEPS_MAX) {
		if (tls_is_blocked(p.server))
			r = tls_push(p.server);
		else if (sent < total) {
			for (i = 0; i < sizeof record; i++)
				record[i] = (char)((sent + i) * 7 >> 3);
			r = tls_send(p.server, record, sizeof record);
			/* Taken, though perhaps not out; ours to reuse. */
			memset(record, 0xee, sizeof record);
			sent += sizeof record;
		}
		CU_ASSERT_FATAL(r == 0 || r == -EAGAIN);
		blocked += r == -EAGAIN;
		n = client_read(&p, in, sizeof in);
		for (i = 0; i < n; i++, got++) {
			if (in[i] != (char)(got * 7 >> 3)) {
				CU_FAIL_FATAL("bytes out of order");
			}
		}
	}
	CU_ASSERT_EQUAL(got, total);
	CU_ASSERT(blocked > 0);
	CU_ASSERT(!tls_is_blocked(p.server));
	pair_close(&p);
}

static void
blocked_records(void)
{
	blocked_with("NORMAL:-VERS-ALL:+VERS-TLS1.3");
	blocked_with("NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

static void
reads_all_that_is_lent(void)
{
	static char	 out[65536];
	struct pair	 p;
	char		 text[100];
	int		 i;

	pair_open(&p, "NORMAL");
	for (i = 0; i < 50; i++) {
		memset(text, 'a' + i % 26, sizeof text);
		CU_ASSERT_EQUAL(gnutls_record_send(p.client, text,
		    sizeof text), (ssize_t)sizeof text);
	}
	CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), 5000);
	CU_ASSERT_EQUAL(out[0], 'a');
	CU_ASSERT_EQUAL(out[4999], 'a' + 49 % 26);
	/* The end of the client's side is 0, not an error. */
	CU_ASSERT_EQUAL(gnutls_bye(p.client, GNUTLS_SHUT_WR), 0);
	CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), 0);
	pair_close(&p);
}

static void
key_update(void)
{
	static char	 out[65536];
	struct pair	 p;
	char		 in[64] = "";
	int		 i, steps;

	pair_open(&p, "NORMAL:-VERS-ALL:+VERS-TLS1.3");
	for (i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(gnutls_session_key_update(p.client,
		    GNUTLS_KU_PEER), 0);
		CU_ASSERT_EQUAL(gnutls_record_send(p.client, "hello", 5), 5);
		CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), 5);
		CU_ASSERT_EQUAL(tls_send(p.server, "world", 5), 0);
		/* Tickets and the update come first, and say "again". */
		for (steps = 0; steps < STEPS_MAX &&
		    client_read(&p, in, sizeof in) != 5; steps++)
			;
		CU_ASSERT_EQUAL(memcmp(in, "world", 5), 0);
		memset(in, 0, sizeof in);
	}
	pair_close(&p);
}

static void
no_renegotiation(void)
{
	static char	 out[65536];
	struct pair	 p;

	pair_open(&p, "NORMAL:-VERS-ALL:+VERS-TLS1.2");
	CU_ASSERT_EQUAL(gnutls_handshake(p.client), GNUTLS_E_AGAIN);
	CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), -EPROTO);
	pair_close(&p);
}

static void
broken_records(void)
{
	static char	 out[65536];
	struct pair	 p;

	pair_open(&p, "NORMAL");
	CU_ASSERT_EQUAL(send(p.fds[1], "\x17\x03\x03\x00\x20"
	    "0123456789abcdef0123456789abcdef", 37, 0), 37);
	CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), -EPROTO);
	pair_close(&p);
}

static void
old_versions(void)
{
	struct pair	 p = { .ctx = load() };
	int		 r;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK,
	    0, p.fds), 0);
	p.server = tls_new(p.ctx, p.fds[0]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p.server);
	CU_ASSERT_EQUAL(tls_handshake(p.server), -EAGAIN);
	CU_ASSERT(!tls_wants_write(p.server));
	/* A hello of TLS 1.1 with one cipher and nothing else. */
	CU_ASSERT_EQUAL(send(p.fds[1], "\x16\x03\x01\x00\x2d\x01\x00\x00\x29"
	    "\x03\x02" "0123456789abcdef0123456789abcdef"
	    "\x00\x00\x02\xc0\x09\x01\x00", 50, 0), 50);
	r = tls_handshake(p.server);
	CU_ASSERT_EQUAL(r, -EPROTO);
	p.server = tls_free(p.server);
	(void)close(p.fds[0]);
	(void)close(p.fds[1]);
	(void)tls_ctx_unref(p.ctx);
}

/* A session keeps the certificate that it began with. */
static void
outlives_its_context(void)
{
	static char	 out[1024];
	struct pair	 p;

	pair_open(&p, "NORMAL");
	p.ctx = tls_ctx_unref(p.ctx);
	CU_ASSERT_EQUAL(gnutls_record_send(p.client, "still", 5), 5);
	CU_ASSERT_EQUAL(server_read(&p, out, sizeof out), 5);
	pair_close(&p);
}

static void
cleanup(void)
{
	CU_ASSERT_EQUAL(unlink(cert_path), 0);
	CU_ASSERT_EQUAL(unlink(key_path), 0);
	CU_ASSERT_EQUAL(unlink(other_cert), 0);
	CU_ASSERT_EQUAL(unlink(other_key), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static const struct cu_case cases[] = {
	CU_CASE(fingerprints),
	CU_CASE(makes_a_certificate),
	CU_CASE(leaves_no_key_alone),
	CU_CASE(refuses_files),
	CU_CASE(blocked_records),
	CU_CASE(reads_all_that_is_lent),
	CU_CASE(key_update),
	CU_CASE(no_renegotiation),
	CU_CASE(broken_records),
	CU_CASE(old_versions),
	CU_CASE(outlives_its_context),
	CU_CASE(cleanup),
	CU_END
};

CU_MAIN("tls", cases)
