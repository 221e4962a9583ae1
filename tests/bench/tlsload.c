/* SPDX-License-Identifier: MIT */
/*
 * What TLS costs a gateway: connections with handshake and hello, memory of
 * idle ones, requests in batches; each with TLS and, with --plain, without. One
 * connection works at a time: the server's CPU time is what is measured, not
 * how long it takes.
 *
 *	tlsload MODE --port N --pid N --token T [--count N] [--inflight N]
 *	    [--plain] [--resume] [--tls12] [--apart]
 *
 * MODE: connect (count connections), idle (count of them at once), rr (count
 * requests on one connection; --apart: each in a record of its own). It exits 1
 * when an answer is not right.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>

#define BUF_SIZE	65536
#define INFLIGHT_MAX	64
#define MASK		"\x11\x22\x33\x44"

static struct {
	int		 port;
	int		 pid;
	const char	*token;
	long		 count;
	int		 inflight;
	bool		 is_plain;
	bool		 wants_resume;
	bool		 is_tls12;
	bool		 is_apart;
} opt = { .count = 1000, .inflight = 16 };

struct peer {
	int			 fd;
	gnutls_session_t	 tls;
	size_t			 len;
	unsigned char		 buf[BUF_SIZE];
};

static gnutls_certificate_credentials_t	 cred;
static gnutls_datum_t			 ticket;
static long				 n_resumed;

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	exit(1);
}

static double
server_cpu_us(void)
{
	clockid_t	 id;
	struct timespec	 ts;

	if (clock_getcpuclockid(opt.pid, &id) != 0 ||
	    clock_gettime(id, &ts) < 0)
		die("no CPU clock of process %d", opt.pid);
	return ((double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3);
}

/* Resident memory, KiB. */
static long
server_rss(void)
{
	char	 path[64], line[256];
	long	 kib = -1;
	FILE	*f;

	(void)snprintf(path, sizeof path, "/proc/%d/status", opt.pid);
	f = fopen(path, "r");
	if (f == NULL)
		die("no %s", path);
	while (fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "VmRSS: %ld", &kib);
	(void)fclose(f);
	return (kib);
}

static void
peer_write(struct peer *p, const void *data, size_t len)
{
	const char	*at = data;
	ssize_t		 n;

	while (len > 0) {
		n = p->tls != NULL ? gnutls_record_send(p->tls, at, len) :
		    send(p->fd, at, len, MSG_NOSIGNAL);
		if (n < 0)
			die("send: %zd", n);
		at += n;
		len -= (size_t)n;
	}
}

static void
peer_read(struct peer *p)
{
	ssize_t	 n;

	if (p->len == BUF_SIZE)
		die("a frame is too long for this program");
	do {
		n = p->tls != NULL ? gnutls_record_recv(p->tls, p->buf + p->len,
		    BUF_SIZE - p->len) : recv(p->fd, p->buf + p->len,
		    BUF_SIZE - p->len, 0);
		/* After a ticket, even on a socket that blocks. */
	} while (p->tls != NULL && n == GNUTLS_E_AGAIN);
	if (n <= 0)
		die("the server ended the connection (%zd)", n);
	p->len += (size_t)n;
}

static void
peer_drop(struct peer *p, size_t n)
{
	memmove(p->buf, p->buf + n, p->len - n);
	p->len -= n;
}

/* One text frame; ret points into the buffer until peer_drop(*ret_size). */
static const char *
peer_frame(struct peer *p, size_t *ret_len, size_t *ret_size)
{
	size_t	 head, len;

	for (;;) {
		if (p->len >= 4) {
			len = p->buf[1];
			head = 2;
			if (len == 126) {
				len = (size_t)p->buf[2] << 8 | p->buf[3];
				head = 4;
			} else if (len == 127) {
				if (p->len < 10)
					goto more;
				len = (size_t)p->buf[7] << 16 |
				    (size_t)p->buf[8] << 8 | p->buf[9];
				head = 10;
			}
			if (p->len >= head + len) {
				*ret_len = len;
				*ret_size = head + len;
				return ((const char *)p->buf + head);
			}
		}
more:
		peer_read(p);
	}
}

static size_t
frame_make(unsigned char *out, const char *text)
{
	size_t	 len = strlen(text), at = 2, i;

	out[0] = 0x81;
	if (len < 126) {
		out[1] = (unsigned char)(0x80 | len);
	} else {
		out[1] = 0x80 | 126;
		out[2] = (unsigned char)(len >> 8);
		out[3] = (unsigned char)len;
		at = 4;
	}
	memcpy(out + at, MASK, 4);
	at += 4;
	for (i = 0; i < len; i++)
		out[at + i] = (unsigned char)(text[i] ^ MASK[i & 3]);
	return (at + len);
}

static void
peer_send(struct peer *p, const char *text)
{
	unsigned char	 frame[2048];

	if (strlen(text) > sizeof frame - 8)
		die("too long");
	peer_write(p, frame, frame_make(frame, text));
}

/* Waits for the answer to id; others are skipped. */
static void
peer_wait(struct peer *p, const char *want)
{
	size_t		 len, size;
	const char	*text;
	bool		 is_it;

	do {
		text = peer_frame(p, &len, &size);
		is_it = memmem(text, len, want, strlen(want)) != NULL;
		if (is_it && memmem(text, len, "\"ok\":false", 10) != NULL)
			die("refused: %.*s", (int)len, text);
		peer_drop(p, size);
	} while (!is_it);
}

static void
peer_secure(struct peer *p)
{
	int	 e;

	if (gnutls_init(&p->tls, GNUTLS_CLIENT) < 0 ||
	    gnutls_priority_set_direct(p->tls, opt.is_tls12 ?
	    "NORMAL:-VERS-ALL:+VERS-TLS1.2" : "NORMAL", NULL) < 0 ||
	    gnutls_credentials_set(p->tls, GNUTLS_CRD_CERTIFICATE, cred) < 0)
		die("no session");
	if (opt.wants_resume && ticket.data != NULL)
		(void)gnutls_session_set_data(p->tls, ticket.data, ticket.size);
	gnutls_transport_set_int(p->tls, p->fd);
	do {
		e = gnutls_handshake(p->tls);
	} while (e < 0 && !gnutls_error_is_fatal(e));
	if (e < 0)
		die("handshake: %s", gnutls_strerror(e));
	n_resumed += gnutls_session_is_resumed(p->tls) != 0;
}

static void
peer_open(struct peer *p)
{
	struct sockaddr_in	 in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char			 text[1024];
	unsigned char		*end;
	int			 one = 1;

	p->len = 0;
	p->tls = NULL;
	p->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (p->fd < 0 || connect(p->fd, (void *)&in, sizeof in) < 0)
		die("connect: %s", strerror(errno));
	(void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (!opt.is_plain)
		peer_secure(p);
	(void)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
	    "AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
	peer_write(p, text, strlen(text));
	do {
		peer_read(p);
		end = memmem(p->buf, p->len, "\r\n\r\n", 4);
	} while (end == NULL);
	if (memcmp(p->buf, "HTTP/1.1 101", 12) != 0)
		die("no upgrade: %.40s", p->buf);
	peer_drop(p, (size_t)(end - p->buf) + 4);
	peer_wait(p, "connect.challenge");
	(void)snprintf(text, sizeof text, "{\"type\":\"req\",\"id\":\"hello\","
	    "\"method\":\"connect\",\"params\":{\"minProtocol\":4,"
	    "\"maxProtocol\":4,\"client\":{\"id\":\"cli\",\"version\":\"1.0.0\","
	    "\"platform\":\"linux\",\"mode\":\"cli\"},\"caps\":[],\"role\":"
	    "\"operator\",\"scopes\":[\"operator.admin\"],\"auth\":{\"token\":"
	    "\"%s\"}}}", opt.token);
	peer_send(p, text);
	peer_wait(p, "\"id\":\"hello\"");
}

static void
peer_close(struct peer *p)
{
	if (p->tls != NULL) {
		if (opt.wants_resume && ticket.data == NULL)
			(void)gnutls_session_get_data2(p->tls, &ticket);
		(void)gnutls_bye(p->tls, GNUTLS_SHUT_WR);
		gnutls_deinit(p->tls);
	}
	(void)close(p->fd);
}

static const char *
what(void)
{
	return (opt.is_plain ? "plain" : opt.is_tls12 ? "TLS 1.2" : "TLS 1.3");
}

static void
mode_connect(void)
{
	static struct peer	 p;
	double			 before;
	long			 i;

	peer_open(&p);
	peer_close(&p);
	n_resumed = 0;
	before = server_cpu_us();
	for (i = 0; i < opt.count; i++) {
		peer_open(&p);
		peer_close(&p);
	}
	before = (server_cpu_us() - before) / (double)opt.count;
	(void)printf("connect %s: %.1f us CPU each, %.0f a second of a core, "
	    "%ld of %ld resumed\n", what(), before, 1e6 / before, n_resumed,
	    opt.count);
}

static void
mode_idle(void)
{
	struct peer	**all = calloc((size_t)opt.count, sizeof *all);
	long		  i, before = 0, after;

	if (all == NULL)
		die("out of memory");
	/* The first ones fill pools and caches that stay. */
	for (i = 0; i < opt.count; i++) {
		all[i] = malloc(sizeof **all);
		if (all[i] == NULL)
			die("out of memory");
		if (i == opt.count / 4)
			before = server_rss();
		peer_open(all[i]);
	}
	after = server_rss();
	(void)printf("idle %s: %.2f KiB resident each (%ld connections)\n",
	    what(), (double)(after - before) /
	    (double)(opt.count - opt.count / 4), opt.count);
}

static void
mode_rr(void)
{
	static struct peer	 p;
	static unsigned char	 batch[INFLIGHT_MAX * 256];
	char			 text[200];
	double			 cpu;
	size_t			 at, len, size;
	long			 n, warm = opt.count / 10;
	const char		*answer;
	int			 i;

	peer_open(&p);
	cpu = server_cpu_us();
	for (n = 0; n < opt.count + warm; n += opt.inflight) {
		if (n >= warm && n < warm + opt.inflight)
			cpu = server_cpu_us();
		for (at = 0, i = 0; i < opt.inflight; i++) {
			(void)snprintf(text, sizeof text, "{\"type\":\"req\","
			    "\"id\":\"%010ld\",\"method\":\"agent.identity.get\","
			    "\"params\":{\"agentId\":\"main\"}}", n + i);
			at += frame_make(batch + at, text);
			if (opt.is_apart) {
				peer_write(&p, batch, at);
				at = 0;
			}
		}
		if (at > 0)
			peer_write(&p, batch, at);
		for (i = 0; i < opt.inflight; ) {
			answer = peer_frame(&p, &len, &size);
			if (memmem(answer, len, "\"type\":\"res\"", 12) != NULL) {
				if (memmem(answer, len, "\"ok\":true", 9) == NULL)
					die("%.*s", (int)len, answer);
				i++;
			}
			peer_drop(&p, size);
		}
	}
	cpu = (server_cpu_us() - cpu) / (double)opt.count;
	(void)printf("rr %s, %d in flight%s: %.2f us CPU a request\n", what(),
	    opt.inflight, opt.is_apart ? " (apart)" : "", cpu);
	peer_close(&p);
}

static void
options(int argc, char **argv)
{
	static const struct option	 longs[] = {
		{ "port", required_argument, NULL, 'p' },
		{ "pid", required_argument, NULL, 'P' },
		{ "token", required_argument, NULL, 't' },
		{ "count", required_argument, NULL, 'n' },
		{ "inflight", required_argument, NULL, 'i' },
		{ "plain", no_argument, NULL, 'x' },
		{ "resume", no_argument, NULL, 'r' },
		{ "tls12", no_argument, NULL, '2' },
		{ "apart", no_argument, NULL, 'a' },
		{ NULL, 0, NULL, 0 },
	};
	int	 c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p': opt.port = atoi(optarg); break;
		case 'P': opt.pid = atoi(optarg); break;
		case 't': opt.token = optarg; break;
		case 'n': opt.count = atol(optarg); break;
		case 'i': opt.inflight = atoi(optarg); break;
		case 'x': opt.is_plain = true; break;
		case 'r': opt.wants_resume = true; break;
		case '2': opt.is_tls12 = true; break;
		case 'a': opt.is_apart = true; break;
		default: exit(2);
		}
	}
	if (opt.port == 0 || opt.pid == 0 || opt.token == NULL ||
	    opt.count < 1 || opt.inflight < 1 || opt.inflight > INFLIGHT_MAX)
		die("see the head of tlsload.c");
}

int
main(int argc, char **argv)
{
	static const struct {
		const char	*name;
		void		(*run)(void);
	} modes[] = {
		{ "connect", mode_connect },
		{ "idle", mode_idle },
		{ "rr", mode_rr },
	};
	size_t	 i;

	if (argc < 2)
		die("see the head of tlsload.c");
	options(argc - 1, argv + 1);
	if (gnutls_certificate_allocate_credentials(&cred) < 0)
		die("out of memory");
	for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		if (strcmp(modes[i].name, argv[1]) == 0) {
			modes[i].run();
			return (0);
		}
	}
	die("no mode '%s'", argv[1]);
}
