/* SPDX-License-Identifier: MIT */
/* Plugin http over TLS: whom it trusts (AB-124). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <chela/services/http.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

/* A server of its own thread, with a certificate that it signed itself. */
struct tls_server {
	int					 fd;
	unsigned				 port;
	pthread_t				 thread;
	gnutls_certificate_credentials_t	 cred;
	gnutls_x509_crt_t			 crt;
	gnutls_x509_privkey_t			 key;
	char					 pem_path[256];
};

struct got {
	unsigned	 n_done;
	int		 r;
	uint32_t	 status;
	char		 why[256];
};

static void
serve_one(struct tls_server *s, int fd)
{
	static const char	 answer[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
		"Connection: close\r\n\r\nok";
	gnutls_session_t	 tls;
	char			 buf[4096];
	int			 r;

	if (gnutls_init(&tls, GNUTLS_SERVER) < 0)
		abort();
	(void)gnutls_set_default_priority(tls);
	(void)gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, s->cred);
	gnutls_handshake_set_timeout(tls, 20000);
	gnutls_transport_set_int(tls, fd);
	do {
		r = gnutls_handshake(tls);
	} while (r < 0 && !gnutls_error_is_fatal(r));
	if (r == 0 && gnutls_record_recv(tls, buf, sizeof buf) > 0) {
		(void)gnutls_record_send(tls, answer, strlen(answer));
		(void)gnutls_bye(tls, GNUTLS_SHUT_WR);
	}
	gnutls_deinit(tls);
	(void)close(fd);
}

static void *
server_main(void *arg)
{
	struct tls_server	*s = arg;
	int			 fd;

	/* Ends when the listener is shut down. */
	while ((fd = accept(s->fd, NULL, NULL)) >= 0)
		serve_one(s, fd);
	return (NULL);
}

static void
certificate_make(struct tls_server *s)
{
	unsigned char	 serial = 1;
	gnutls_datum_t	 pem;
	FILE		*f;

	(void)gnutls_x509_privkey_init(&s->key);
	(void)gnutls_x509_privkey_generate(s->key, GNUTLS_PK_ECDSA,
	    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	(void)gnutls_x509_crt_init(&s->crt);
	(void)gnutls_x509_crt_set_version(s->crt, 3);
	(void)gnutls_x509_crt_set_serial(s->crt, &serial, 1);
	(void)gnutls_x509_crt_set_activation_time(s->crt, time(NULL) - 3600);
	(void)gnutls_x509_crt_set_expiration_time(s->crt, time(NULL) + 3600);
	(void)gnutls_x509_crt_set_dn_by_oid(s->crt,
	    GNUTLS_OID_X520_COMMON_NAME, 0, "localhost", 9);
	(void)gnutls_x509_crt_set_subject_alt_name(s->crt, GNUTLS_SAN_DNSNAME,
	    "localhost", 9, GNUTLS_FSAN_SET);
	(void)gnutls_x509_crt_set_basic_constraints(s->crt, 1, -1);
	(void)gnutls_x509_crt_set_key(s->crt, s->key);
	if (gnutls_x509_crt_sign2(s->crt, s->crt, s->key, GNUTLS_DIG_SHA256,
	    0) < 0 || gnutls_x509_crt_export2(s->crt, GNUTLS_X509_FMT_PEM,
	    &pem) < 0)
		abort();
	f = fopen(s->pem_path, "w");
	if (f == NULL || fwrite(pem.data, 1, pem.size, f) != pem.size)
		abort();
	(void)fclose(f);
	gnutls_free(pem.data);
	(void)gnutls_certificate_allocate_credentials(&s->cred);
	if (gnutls_certificate_set_x509_key(s->cred, &s->crt, 1, s->key) < 0)
		abort();
}

static void
server_up(struct tls_server *s, const char *dir)
{
	struct sockaddr_in	 sa = { .sin_family = AF_INET };
	socklen_t		 len = sizeof sa;

	memset(s, 0, sizeof *s);
	(void)snprintf(s->pem_path, sizeof s->pem_path, "%s/ca.pem", dir);
	certificate_make(s);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
	    listen(s->fd, 8) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
		abort();
	s->port = ntohs(sa.sin_port);
	if (pthread_create(&s->thread, NULL, server_main, s) != 0)
		abort();
}

static void
server_down(struct tls_server *s)
{
	(void)shutdown(s->fd, SHUT_RDWR);
	(void)pthread_join(s->thread, NULL);
	(void)close(s->fd);
	gnutls_certificate_free_credentials(s->cred);
	gnutls_x509_crt_deinit(s->crt);
	gnutls_x509_privkey_deinit(s->key);
}

static void
on_done(struct chela_http_call *call, int r, uint32_t status,
    const char *detail, void *arg)
{
	struct got	*g = arg;

	(void)call;
	g->n_done++;
	g->r = r;
	g->status = status;
	(void)snprintf(g->why, sizeof g->why, "%s", detail);
}

static const struct chela_http_handler handler = {
	.struct_size = sizeof handler, .done = on_done,
};

static bool
is_done(void *arg)
{
	return (((struct got *)arg)->n_done > 0);
}

static struct got
fetch(struct fake *f, const char *host, unsigned port)
{
	struct chela_http_request	 rq = { .struct_size = sizeof rq,
		.flags = CHELA_HTTP_TRUSTED };
	const struct chela_http_1	*http;
	struct got			 g = { 0 };
	char				 url[128];

	http = fake_import(f, CHELA_HTTP_SERVICE);
	(void)snprintf(url, sizeof url, "https://%s:%u/", host, port);
	rq.url = url;
	CU_ASSERT_EQUAL(http->start(&rq, &handler, &g, NULL), 0);
	CU_ASSERT_EQUAL(fake_wait(f, is_done, &g), 0);
	return (g);
}

static void
only_trusted_certificates_of_the_right_name(void)
{
	struct tls_server	 s;
	struct fake		*f = fake_new();
	struct got		 g;
	char			 conf[512];

	server_up(&s, fake_host(f)->state_dir());
	CU_ASSERT_EQUAL_FATAL(fake_load(f, "http"), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);

	/* Nobody of the system's store signed it. */
	g = fetch(f, "localhost", s.port);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	CU_ASSERT_STRING_EQUAL(g.why, "the server's certificate is not trusted");
	CU_ASSERT_EQUAL(g.status, 0);

	/* The operator does, and the name is right. */
	(void)snprintf(conf, sizeof conf, "{\"plugins\":{\"entries\":{\"http\":"
	    "{\"config\":{\"caFile\":\"%s\"}}}}}", s.pem_path);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	g = fetch(f, "localhost", s.port);
	CU_ASSERT_EQUAL(g.r, 0);
	CU_ASSERT_EQUAL(g.status, 200);

	/* The name is wrong. */
	g = fetch(f, "127.0.0.1", s.port);
	CU_ASSERT_EQUAL(g.r, -EPROTO);
	CU_ASSERT_EQUAL(g.status, 0);

	/* The file is gone: no trust is better than any, once it is read anew. */
	(void)unlink(s.pem_path);
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	g = fetch(f, "localhost", s.port);
	CU_ASSERT_EQUAL(g.r, -EPROTO);

	server_down(&s);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(only_trusted_certificates_of_the_right_name),
	CU_END
};

CU_MAIN("http over TLS", cases)
