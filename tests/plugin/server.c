/* SPDX-License-Identifier: MIT */
#include "tests/plugin/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"

#define PIECE_ALL	((size_t)-1)

struct server {
	struct loop		*loop;
	server_fn		*fn;
	void			*arg;
	int			 fd;
	struct loop_watch	*watch;
	char			 url[64];
	unsigned		 port;
	unsigned		 n_rqs;
	unsigned		 n_conns;
	unsigned		 n_open;
	struct list		 conns;
};

struct part {
	struct list	 link;
	char		*data;
	size_t		 len;
	size_t		 piece;
};

struct server_conn {
	struct list		 link;
	struct server		*s;
	int			 fd;
	unsigned		 n;
	struct loop_watch	*watch;
	struct loop_timer	*turn;
	struct buf		 in;
	struct list		 parts;
	uint64_t		 flood;
	bool			 is_ending;
	bool			 is_dead;	/* reset from within fn */
};

static void
conn_free(struct server_conn *c)
{
	struct list	*l, *tmp;
	struct part	*p;

	list_each(l, tmp, &c->parts) {
		p = container_of(l, struct part, link);
		free(p->data);
		free(p);
	}
	list_remove(&c->link);
	loop_watch_free(c->watch);
	loop_timer_free(c->turn);
	buf_fini(&c->in);
	(void)close(c->fd);
	c->s->n_open--;
	free(c);
}

/* false: the connection is gone. */
static bool
conn_flush(struct server_conn *c)
{
	static const char	 xs[65536] = { 'x' };
	struct part		*p;
	ssize_t			 n;
	size_t			 len;

	while (!list_is_empty(&c->parts)) {
		p = list_first(&c->parts, struct part, link);
		len = MIN_OF(p->len, p->piece);
		n = send(c->fd, p->data, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			conn_free(c);
			return (false);
		}
		if (n > 0) {
			memmove(p->data, p->data + n, p->len - (size_t)n);
			p->len -= (size_t)n;
		}
		if (p->len == 0) {
			list_remove(&p->link);
			free(p->data);
			free(p);
			continue;
		}
		if (n > 0 && p->piece != PIECE_ALL) {
			/* The rest on a later turn: let the reader read. */
			(void)loop_watch_set(c->watch, LOOP_READ);
			(void)loop_timer_set(c->turn, 0);
			return (true);
		}
		(void)loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
		return (true);
	}
	while (c->flood > 0) {
		n = send(c->fd, xs, MIN_OF(sizeof xs, c->flood), MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			conn_free(c);
			return (false);
		}
		if (n < 0) {
			(void)loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
			return (true);
		}
		c->flood -= (uint64_t)n;
	}
	(void)loop_watch_set(c->watch, LOOP_READ);
	if (c->is_ending) {
		conn_free(c);
		return (false);
	}
	return (true);
}

static void
conn_on_turn(void *arg)
{
	(void)conn_flush(arg);
}

/* Hands over complete requests. false: the connection is gone. */
static bool
conn_serve(struct server_conn *c)
{
	struct server_rq	 rq;
	struct server		*s = c->s;
	const char		*p;
	char			*head, *body, *path;
	size_t			 head_len, need = 0;

	for (;;) {
		if (buf_putc(&c->in, '\0') < 0)
			abort();
		c->in.len--;
		p = strstr(c->in.data, "\r\n\r\n");
		if (p == NULL)
			return (true);
		head_len = (size_t)(p - c->in.data) + 4;
		head = strndup(c->in.data, head_len);
		rq = (struct server_rq){ .head = head };
		need = (size_t)strtoul(server_header(&rq, "content-length"),
		    NULL, 10);
		if (c->in.len < head_len + need) {
			free(head);
			return (true);
		}
		body = strndup(c->in.data + head_len, need);
		buf_drop(&c->in, head_len + need);
		path = strndup(head + strcspn(head, " ") + 1,
		    strcspn(strchr(head, ' ') + 1, " "));
		rq = (struct server_rq){ s->n_rqs++, c->n, head, path, body,
		    need };
		s->fn(c, &rq, s->arg);
		free(head);
		free(body);
		free(path);
		if (c->is_dead) {
			conn_free(c);
			return (false);
		}
		if (!conn_flush(c))
			return (false);
	}
}

static void
conn_on_ready(int fd, uint32_t what, void *arg)
{
	struct server_conn	*c = arg;
	char			 tmp[65536];
	ssize_t			 n;

	if (what & LOOP_READ) {
		n = recv(fd, tmp, sizeof tmp, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			conn_free(c);
			return;
		}
		if (n > 0) {
			(void)buf_add(&c->in, tmp, (size_t)n);
			if (!conn_serve(c))
				return;
		}
	}
	if (what & LOOP_WRITE)
		(void)conn_flush(c);
}

static void
server_on_ready(int fd, uint32_t what, void *arg)
{
	struct server		*s = arg;
	struct server_conn	*c;
	int			 on = 1;

	(void)what;
	fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c = calloc(1, sizeof *c);
	if (c == NULL)
		abort();
	c->s = s;
	c->fd = fd;
	c->n = s->n_conns++;
	s->n_open++;
	buf_init(&c->in);
	list_init(&c->parts);
	list_append(&s->conns, &c->link);
	c->watch = loop_watch_new(s->loop, fd, LOOP_READ, conn_on_ready, c);
	c->turn = loop_timer_new(s->loop, conn_on_turn, c);
}

struct server *
server_new(struct loop *l, server_fn *fn, void *arg)
{
	struct sockaddr_in	 sa = { .sin_family = AF_INET };
	socklen_t		 len = sizeof sa;
	struct server		*s;

	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->loop = l;
	s->fn = fn;
	s->arg = arg;
	list_init(&s->conns);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sa, sizeof sa) < 0 ||
	    listen(s->fd, 64) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
		abort();
	s->port = ntohs(sa.sin_port);
	(void)snprintf(s->url, sizeof s->url, "http://127.0.0.1:%u", s->port);
	s->watch = loop_watch_new(l, s->fd, LOOP_READ, server_on_ready, s);
	return (s);
}

struct server *
server_free(struct server *s)
{
	if (s == NULL)
		return (NULL);
	while (!list_is_empty(&s->conns))
		conn_free(list_first(&s->conns, struct server_conn, link));
	loop_watch_free(s->watch);
	(void)close(s->fd);
	free(s);
	return (NULL);
}

const char *
server_url(const struct server *s)
{
	return (s->url);
}

unsigned
server_port(const struct server *s)
{
	return (s->port);
}

unsigned
server_n_rqs(const struct server *s)
{
	return (s->n_rqs);
}

unsigned
server_n_conns(const struct server *s)
{
	return (s->n_conns);
}

unsigned
server_n_open(const struct server *s)
{
	return (s->n_open);
}

const char *
server_header(const struct server_rq *rq, const char *name)
{
	static char	 ring[4][1024];
	static unsigned	 at;
	const char	*p;
	char		*out = ring[at++ % 4];
	size_t		 n = strlen(name);

	out[0] = '\0';
	for (p = strchr(rq->head, '\n'); p != NULL; p = strchr(p, '\n')) {
		p++;
		if (strncasecmp(p, name, n) != 0 || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " ");
		(void)snprintf(out, sizeof ring[0], "%.*s",
		    (int)strcspn(p, "\r\n"), p);
		break;
	}
	return (out);
}

static void
part_add(struct server_conn *c, const void *data, size_t len, size_t piece)
{
	struct part	*p;

	p = calloc(1, sizeof *p);
	if (p == NULL || (p->data = malloc(len + 1)) == NULL)
		abort();
	memcpy(p->data, data, len);
	p->len = len;
	p->piece = piece;
	list_append(&c->parts, &p->link);
	(void)loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
}

void
server_write(struct server_conn *c, const void *p, size_t len)
{
	part_add(c, p, len, PIECE_ALL);
}

void
server_say(struct server_conn *c, const char *text)
{
	part_add(c, text, strlen(text), PIECE_ALL);
}

void
server_trickle(struct server_conn *c, const void *p, size_t len, size_t piece)
{
	part_add(c, p, len, piece);
}

void
server_stream(struct server_conn *c, const char *type)
{
	char	 head[256];

	(void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s"
	    "\r\nConnection: close\r\n\r\n", type);
	server_say(c, head);
}

void
server_answer(struct server_conn *c, unsigned status, const char *extra,
    const char *body)
{
	char	 head[4096];

	(void)snprintf(head, sizeof head, "HTTP/1.1 %u X\r\n%s"
	    "Content-Length: %zu\r\n\r\n", status, extra, strlen(body));
	server_say(c, head);
	server_say(c, body);
}

void
server_flood(struct server_conn *c, uint64_t n)
{
	c->flood += n;
	(void)loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
}

void
server_end(struct server_conn *c)
{
	c->is_ending = true;
	(void)loop_watch_set(c->watch, LOOP_READ | LOOP_WRITE);
}

void
server_reset(struct server_conn *c)
{
	struct linger	 lg = { 1, 0 };

	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
	c->is_dead = true;
}
