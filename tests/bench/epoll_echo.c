/* SPDX-License-Identifier: MIT */
/*
 * The floor that the kernel sets: an echo over TCP with epoll and nothing else.
 * What it costs to take these bytes in and send as many out, no program that
 * does something with them can go below. With --fanout a line from one
 * connection goes to all others. For comparison in tests/bench/run.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX	512
#define FDS_MAX		65536
#define CHUNK		(256 * 1024)

static char	 open_fds[FDS_MAX];
static char	 chunk[CHUNK];
static int	 fd_max;

/* The load generator reads; what does not fit at once is waited for. */
static void
send_all(int fd, const char *p, size_t n)
{
	ssize_t	 w;

	while (n > 0) {
		w = send(fd, p, n, MSG_NOSIGNAL);
		if (w < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (w < 0)
			return;
		p += w;
		n -= (size_t)w;
	}
}

static void
take_all(int ep, int listener)
{
	struct epoll_event	 ev;
	int			 fd, one = 1;

	for (;;) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (fd >= FDS_MAX) {
			(void)close(fd);
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		memset(&ev, 0, sizeof ev);
		ev.events = EPOLLIN;
		ev.data.fd = fd;
		(void)epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		open_fds[fd] = 1;
		if (fd > fd_max)
			fd_max = fd;
	}
}

static void
serve(int fd, int is_fanout)
{
	ssize_t	 n;
	int	 i;

	n = recv(fd, chunk, sizeof chunk, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		open_fds[fd] = 0;
		(void)close(fd);
		return;
	}
	if (!is_fanout) {
		send_all(fd, chunk, (size_t)n);
		return;
	}
	for (i = 0; i <= fd_max; i++) {
		if (open_fds[i] && i != fd)
			send_all(i, chunk, (size_t)n);
	}
}

int
main(int argc, char **argv)
{
	static struct epoll_event	 ready[EVENTS_MAX];
	struct epoll_event		 ev;
	struct sockaddr_in		 sin;
	struct rlimit			 files;
	socklen_t			 len = sizeof sin;
	int				 ep, listener, i, n, is_fanout, one = 1;

	is_fanout = argc > 1 && strcmp(argv[1], "--fanout") == 0;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memset(&sin, 0, sizeof sin);
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (listener < 0 || ep < 0 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof sin) < 0 ||
	    listen(listener, 1024) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) < 0) {
		perror("epoll_echo");
		return (1);
	}
	memset(&ev, 0, sizeof ev);
	ev.events = EPOLLIN;
	ev.data.fd = listener;
	(void)epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
	(void)fprintf(stderr, "listening on ws://127.0.0.1:%u\n",
	    (unsigned)ntohs(sin.sin_port));

	for (;;) {
		n = epoll_wait(ep, ready, EVENTS_MAX, -1);
		for (i = 0; i < n; i++) {
			if (ready[i].data.fd == listener)
				take_all(ep, listener);
			else
				serve(ready[i].data.fd, is_fanout);
		}
	}
}
