/* SPDX-License-Identifier: MIT */
/* Listeners, the budget of strangers, and the timers of all connections. */
#include "core/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/net/net_priv.h"

#define NET_BACKLOG		1024
#define NET_ACCEPT_BATCH	64	/* sockets a wake-up */
#define NET_SOURCE_SLACK	4	/* times the source's budget: closed at once */
#define NET_TICK_US		MS_US(250)

void
net_limits_default(struct net_limits *lim)
{
	*lim = (struct net_limits){
		.unauth_per_source = 32,
		.unauth_total = 512,
		.conns_max = 16384,
		.handshakes_max = 256,
		.handshake_us = SEC_US(15),
		.ping_us = SEC_US(25),
		.message_us = SEC_US(120),
		.close_grace_us = SEC_US(1),
		.message_first = KIB(64),
		.message_max = MIB(25),
		.out_max = MIB(50),
		.out_pause = KIB(256),
		.out_total = MIB(256),
		.held_max = MIB(256),
	};
}

/* Runs at the end of a turn: sends what was queued, frees what died. */
static void
net_flush(struct net *n)
{
	struct list	*l, *tmp;

	while (!list_is_empty(&n->dirty)) {
		l = n->dirty.next;
		list_remove(l);
		conn_flush(container_of(l, struct conn, dirty));
	}
	list_each(l, tmp, &n->dead)
		conn_free(container_of(l, struct conn, link));
}

static void
net_on_defer(void *arg)
{
	struct net	*n = arg;

	n->is_flush_due = false;
	if (n->is_ending)
		free(n);	/* net_free() left that to this call */
	else
		net_flush(n);
}

void
net_want_flush(struct net *n)
{
	if (n->is_flush_due || n->is_ending)
		return;
	n->is_flush_due = loop_defer(n->loop, net_on_defer, n) == 0;
}

static void
net_expire(struct list *head, uint64_t now, void (*fn)(struct conn *c))
{
	struct conn	*c;

	/* fn moves its connection elsewhere, so the head always moves on. */
	while ((c = list_first(head, struct conn, link)) != NULL &&
	    c->deadline <= now)
		fn(c);
}

static void
net_on_tick(void *arg)
{
	struct net	*n = arg;
	uint64_t	 now = clock_now_us();

	net_expire(&n->fresh, now, conn_on_timeout);
	net_expire(&n->open, now, conn_on_ping_due);
	http_expire(n, now);
	net_expire(&n->linger, now, conn_kill);
	if (n->stats.n_open > 0)
		(void)loop_timer_set(n->timer, NET_TICK_US);
}

/* A source is an IPv4 address or an IPv6 /64: what one stranger has to give. */
static void
source_key(const struct sockaddr_storage *ss, struct source *ret)
{
	const struct sockaddr_in6	*in6 = (const void *)ss;
	const struct sockaddr_in	*in = (const void *)ss;
	const unsigned char		*p;

	if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		ret->key_len = 4;
		memcpy(ret->key, (const char *)&in6->sin6_addr + 12, 4);
	} else if (ss->ss_family == AF_INET6) {
		p = (const unsigned char *)&in6->sin6_addr;
		ret->key_len = 8;
		memcpy(ret->key, p, 8);
	} else {
		ret->key_len = 4;
		memcpy(ret->key, &in->sin_addr, 4);
	}
}

static struct source *
net_take_source(struct net *n, const struct sockaddr_storage *ss)
{
	struct source	 key, *s;

	source_key(ss, &key);
	s = map_get(n->sources, key.key, key.key_len);
	if (s == NULL) {
		s = malloc(sizeof *s);
		if (s == NULL)
			return (NULL);
		*s = key;
		s->n = 0;
		if (map_put(n->sources, s->key, s->key_len, s, NULL) < 0) {
			free(s);
			return (NULL);
		}
	}
	s->n++;
	return (s);
}

static void
net_drop_source(struct net *n, struct source *s)
{
	if (--s->n == 0) {
		(void)map_del(n->sources, s->key, s->key_len);
		free(s);
	}
}

void
net_release_source(struct net *n, struct conn *c)
{
	if (c->source == NULL)
		return;
	net_drop_source(n, c->source);
	c->source = NULL;
	n->stats.n_unauth--;
}

static void
net_address(const struct sockaddr_storage *ss, char *out, size_t size,
    bool *ret_loopback)
{
	const struct sockaddr_in6	*in6 = (const void *)ss;
	struct in_addr			 in = { 0 };

	*ret_loopback = false;
	if (ss->ss_family == AF_INET)
		in = ((const struct sockaddr_in *)(const void *)ss)->sin_addr;
	else if (ss->ss_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		memcpy(&in, (const char *)&in6->sin6_addr + 12, sizeof in);
	else {
		if (inet_ntop(AF_INET6, &in6->sin6_addr, out,
		    (socklen_t)size) == NULL)
			(void)snprintf(out, size, "unknown");
		*ret_loopback = ss->ss_family == AF_INET6 &&
		    IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
		return;
	}
	(void)inet_ntop(AF_INET, &in, out, (socklen_t)size);
	*ret_loopback = (ntohl(in.s_addr) >> 24) == 127;
}

static void
net_accepted(struct net *n, int fd, const struct sockaddr_storage *ss,
    bool is_tls)
{
	static const int	 one = 1;
	struct source		*s;
	char			 remote[46];
	bool			 is_loopback;

	n->stats.accepted++;
	s = n->stats.n_unauth >= n->lim.unauth_total ||
	    n->stats.n_open >= n->lim.conns_max ? NULL :
	    net_take_source(n, ss);
	if (s == NULL) {
		n->stats.refused_total++;
		(void)close(fd);
		return;
	}
	/* Somewhat over the budget a probe is still answered, far over not. */
	if (s->n > n->lim.unauth_per_source * NET_SOURCE_SLACK) {
		n->stats.refused_source++;
		net_drop_source(n, s);
		(void)close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	net_address(ss, remote, sizeof remote, &is_loopback);
	n->stats.n_unauth++;
	if (conn_open(n, fd, remote, is_loopback, is_tls, s) < 0) {
		n->stats.n_unauth--;
		net_drop_source(n, s);
		(void)close(fd);
		return;
	}
	if (n->stats.n_open == 1)
		(void)loop_timer_set(n->timer, NET_TICK_US);
}

static void
net_set_accepting(struct net *n, bool is_on)
{
	size_t	 i;

	if (n->is_held && is_on)
		return;
	for (i = 0; i < n->n_listeners; i++) {
		if (is_on)
			(void)event_add(&n->listeners[i].ev, NULL);
		else
			(void)event_del(&n->listeners[i].ev);
	}
	n->is_accepting = is_on;
}

static void
net_on_accept_timer(void *arg)
{
	struct net	*n = arg;

	if (n->spare_fd < 0)
		n->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	net_set_accepting(n, true);
}

/*
 * Out of descriptors: give up the spare one to tell this peer by closing, then
 * rest, since the listener would stay readable and spin.
 */
static void
net_refuse_for_fds(struct net *n, int listen_fd)
{
	int	 fd;

	n->stats.refused_fd++;
	if (n->spare_fd >= 0) {
		(void)close(n->spare_fd);
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			(void)close(fd);
		n->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	net_set_accepting(n, false);
	(void)loop_timer_set(n->accept_timer, MS_US(100));
}

static bool
listener_is_tls(const struct listener *l)
{
	return (l->net->tls_ctx != NULL && !l->is_serve &&
	    (l->net->tls_port == 0 || l->net->tls_port == l->port));
}

static void
net_on_accept(int listen_fd, short what, void *arg)
{
	struct listener		*l = arg;
	struct sockaddr_storage	 ss;
	socklen_t		 len;
	int			 fd, i;

	(void)what;
	for (i = 0; i < NET_ACCEPT_BATCH; i++) {
		len = sizeof ss;
		fd = accept4(listen_fd, (struct sockaddr *)&ss, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			l->net->is_serve = l->is_serve;
			net_accepted(l->net, fd, &ss, listener_is_tls(l));
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			net_refuse_for_fds(l->net, listen_fd);
		else if (errno == EINTR || errno == ECONNABORTED)
			continue;
		return;
	}
}

struct net *
net_new(struct loop *l, const struct net_limits *lim,
    const struct net_handler *handler)
{
	struct net	*n;

	n = calloc(1, sizeof *n);
	if (n == NULL)
		return (NULL);
	n->loop = l;
	n->base = loop_base(l);
	n->lim = *lim;
	n->handler = *handler;
	list_init(&n->fresh);
	list_init(&n->open);
	list_init(&n->http);
	list_init(&n->linger);
	list_init(&n->dead);
	list_init(&n->dirty);
	list_init(&n->steps);
	n->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	n->sources = map_new();
	n->read_buf = malloc(NET_READ_SIZE);
	n->timer = loop_timer_new(l, net_on_tick, n);
	n->accept_timer = loop_timer_new(l, net_on_accept_timer, n);
	if (n->sources == NULL || n->read_buf == NULL || n->timer == NULL ||
	    n->accept_timer == NULL)
		return (net_free(n));
	return (n);
}

struct net *
net_free(struct net *n)
{
	struct conn	*c;

	if (n == NULL)
		return (NULL);
	net_stop_listening(n);
	n->is_ending = true;
	while ((c = list_first(&n->fresh, struct conn, link)) != NULL ||
	    (c = list_first(&n->open, struct conn, link)) != NULL ||
	    (c = list_first(&n->http, struct conn, link)) != NULL ||
	    (c = list_first(&n->linger, struct conn, link)) != NULL)
		conn_kill(c);
	net_flush(n);
	(void)loop_timer_free(n->timer);
	(void)loop_timer_free(n->accept_timer);
	(void)loop_timer_free(n->step_timer);
	(void)tls_ctx_unref(n->tls_ctx);
	(void)map_free(n->sources);
	if (n->spare_fd >= 0)
		(void)close(n->spare_fd);
	free(n->read_buf);
	free(n->hsts);
	free(n->tls_in);
	free(n->tls_out);
	/* A call that was deferred already has n, and comes. */
	if (!n->is_flush_due)
		free(n);
	return (NULL);
}

int
net_listen_fd(struct net *n, int fd, uint16_t *ret_port)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = sizeof ss;
	struct listener		*l;
	int			 flags;

	flags = fcntl(fd, F_GETFL);
	if (n->n_listeners == NET_LISTEN_MAX || flags < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		(void)close(fd);
		return (-EINVAL);
	}
	l = &n->listeners[n->n_listeners++];
	l->net = n;
	l->fd = fd;
	(void)event_assign(&l->ev, n->base, fd, EV_READ | EV_PERSIST,
	    net_on_accept, l);
	if (event_add(&l->ev, NULL) < 0) {
		n->n_listeners--;
		(void)close(fd);
		return (-ENOMEM);
	}
	n->is_accepting = true;
	l->port = ntohs(ss.ss_family == AF_INET6 ?
	    ((struct sockaddr_in6 *)(void *)&ss)->sin6_port :
	    ((struct sockaddr_in *)(void *)&ss)->sin_port);
	*ret_port = l->port;
	return (0);
}

int
net_listen(struct net *n, const char *address, uint16_t port,
    uint16_t *ret_port, struct buf *why)
{
	static const int	 one = 1;
	struct sockaddr_storage	 ss;
	struct sockaddr_in	*in = (void *)&ss;
	struct sockaddr_in6	*in6 = (void *)&ss;
	socklen_t		 len;
	int			 fd, r;

	memset(&ss, 0, sizeof ss);
	if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		len = sizeof *in;
	} else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		len = sizeof *in6;
	} else {
		(void)buf_printf(why, "'%s' is not a numeric address", address);
		return (-EINVAL);
	}
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		(void)buf_printf(why, "no socket: %s", strerror(errno));
		return (r);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (ss.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 ||
	    listen(fd, NET_BACKLOG) < 0) {
		r = -errno;
		(void)buf_printf(why, "cannot listen on %s port %u: %s",
		    address, (unsigned)port, r == -EADDRINUSE ?
		    "another program has the port" : strerror(-r));
		(void)close(fd);
		return (r);
	}
	return (net_listen_fd(n, fd, ret_port));
}

int
net_listen_serve(struct net *n, uint16_t port, uint16_t *ret_port,
    struct buf *why)
{
	int	 r;

	r = net_listen(n, "127.0.0.1", port, ret_port, why);
	if (r == 0)
		n->listeners[n->n_listeners - 1].is_serve = true;
	return (r);
}

int
net_listen_serve_fd(struct net *n, int fd, uint16_t *ret_port)
{
	int	 r;

	r = net_listen_fd(n, fd, ret_port);
	if (r == 0)
		n->listeners[n->n_listeners - 1].is_serve = true;
	return (r);
}

void
net_hold_listening(struct net *n)
{
	net_set_accepting(n, false);
	n->is_held = true;
	loop_timer_stop(n->accept_timer);
}

size_t
net_take_listeners(struct net *n, int *ret_fds, size_t max,
    uint32_t *ret_serve)
{
	size_t	 i, k = MIN_OF(max, n->n_listeners);

	net_hold_listening(n);
	*ret_serve = 0;
	for (i = 0; i < k; i++) {
		ret_fds[i] = n->listeners[i].fd;
		if (n->listeners[i].is_serve)
			*ret_serve |= UINT32_C(1) << i;
	}
	for (; i < n->n_listeners; i++)
		(void)close(n->listeners[i].fd);
	n->n_listeners = 0;
	return (k);
}

void
net_stop_listening(struct net *n)
{
	size_t	 i;

	for (i = 0; i < n->n_listeners; i++) {
		(void)event_del(&n->listeners[i].ev);
		(void)close(n->listeners[i].fd);
	}
	n->n_listeners = 0;
	loop_timer_stop(n->accept_timer);
}

int
net_set_tls(struct net *n, struct tls_ctx *ctx, uint16_t port)
{
	if (n->tls_in == NULL)
		n->tls_in = malloc(NET_READ_SIZE);
	if (n->tls_out == NULL)
		n->tls_out = malloc(TLS_RECORD_MAX);
	if (n->step_timer == NULL)
		n->step_timer = loop_timer_new(n->loop, net_on_step, n);
	if (n->tls_in == NULL || n->tls_out == NULL || n->step_timer == NULL)
		return (-ENOMEM);
	(void)tls_ctx_ref(ctx);
	(void)tls_ctx_unref(n->tls_ctx);
	n->tls_ctx = ctx;
	n->tls_port = port;
	return (0);
}

const struct net_stats *
net_stats(const struct net *n)
{
	return (&n->stats);
}

void
net_each(struct net *n, void (*cb)(struct conn *conn, void *arg), void *arg)
{
	struct list	*heads[] = { &n->fresh, &n->open };
	struct list	*l, *tmp;
	struct conn	*c;
	size_t		 i;

	for (i = 0; i < ARRAY_LEN(heads); i++) {
		list_each(l, tmp, heads[i]) {
			c = container_of(l, struct conn, link);
			if (c->is_opened)
				cb(c, arg);
		}
	}
}
