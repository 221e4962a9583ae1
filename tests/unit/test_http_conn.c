/* SPDX-License-Identifier: MIT */
/*
 * core/net/http_conn: how long a request may take, by a clock that the test moves
 * (AB-002, AB-007, AB-077). What is said on the wire is in tests/wire.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/http.h"
#include "core/net/net_priv.h"
#include "tests/unit/cu.h"

#define START	SEC_US(1000)

static struct loop	*loop;
static struct net	*net;
static struct conn	*conn;
static struct hreq	*req;
static int		 peer;
static unsigned		 n_bodies, n_gone, n_drained, failed;
static char		 piece[65536];

static void
on_body(struct hreq *q, const char *bytes, size_t len)
{
	n_bodies++;
	(void)hreq_reply(q, &(struct net_reply){ .status = 200, .body = bytes,
	    .body_len = len });
}

static void
on_fail(struct hreq *q, unsigned status)
{
	failed = status;
	(void)hreq_reply(q, &(struct net_reply){ .status = status });
}

static void
on_drain(struct hreq *q)
{
	(void)q;
	n_drained++;
}

static void
on_gone(struct hreq *q)
{
	(void)q;
	n_gone++;
	req = NULL;
}

static const struct hreq_ops ops = { on_body, on_fail, on_drain, on_gone };

static void
on_http(void *arg, struct hreq *q)
{
	(void)arg;
	req = q;
	hreq_own(q, &ops, NULL);
}

static void
settle(void)
{
	unsigned	 i;

	for (i = 0; i < 8; i++)
		loop_poke(loop);
}

/* Now it is so long after the start; what is due comes. */
static void
at(uint64_t us)
{
	clock_fake(START + us, 1);
	http_expire(net, clock_now_us());
	settle();
}

static void
say(const char *text)
{
	CU_ASSERT_EQUAL(send(peer, text, strlen(text), 0),
	    (ssize_t)strlen(text));
	settle();
}

/* Everything that is there; is it what was expected to begin like this? */
static bool
hears(const char *start)
{
	static char	 text[8192], more[8192];
	ssize_t		 n = recv(peer, text, sizeof text - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	while (recv(peer, more, sizeof more, MSG_DONTWAIT) > 0)
		;
	return (n > 0 && strncmp(text, start, strlen(start)) == 0);
}

static void
rig_up(const char *text)
{
	struct net_handler	 handler = { .on_http = on_http };
	struct net_limits	 lim;
	struct source		*s;
	int			 fds[2], size = 4096;

	clock_fake(START, 1);
	n_bodies = n_gone = n_drained = failed = 0;
	req = NULL;
	net_limits_default(&lim);
	loop = loop_new();
	net = net_new(loop, &lim, &handler);
	s = calloc(1, sizeof *s);
	if (loop == NULL || net == NULL || s == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	/* A small socket, so that what is not taken is queued. */
	(void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	s->n = 1;
	net->stats.n_unauth++;
	if (conn_open(net, fds[0], "192.0.2.1", false, false, s) < 0)
		abort();
	conn = container_of(net->fresh.prev, struct conn, link);
	peer = fds[1];
	say(text);
}

static void
rig_down(void)
{
	(void)close(peer);
	net = net_free(net);
	loop = loop_free(loop);
	clock_fake(0, 0);
	CU_ASSERT_EQUAL(out_held(), 0);
}

static void
an_answer_is_due_in_its_time(void)
{
	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(req);
	at(HTTP_ANSWER_US - 1);
	CU_ASSERT_EQUAL(failed, 0);
	at(HTTP_ANSWER_US);
	CU_ASSERT_EQUAL(failed, 504);
	CU_ASSERT_TRUE(hears("HTTP/1.1 504 "));
	CU_ASSERT_EQUAL(n_gone, 0);
	rig_down();
}

static void
no_byte_of_a_body_moves_its_deadline(void)
{
	unsigned	 i;

	rig_up("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n");
	CU_ASSERT_EQUAL(hreq_read_body(req, 100), 0);
	CU_ASSERT_EQUAL(hreq_read_body(req, 100), -EALREADY);
	hreq_set_deadline(req, SEC_US(30));
	for (i = 1; i < 30; i++) {
		say("x");
		at(SEC_US(i));
		CU_ASSERT_EQUAL(failed, 0);
	}
	CU_ASSERT_EQUAL(net->bodies, 29);
	at(SEC_US(30));
	CU_ASSERT_EQUAL(failed, 408);
	CU_ASSERT_EQUAL(net->bodies, 0);
	CU_ASSERT_EQUAL(n_bodies, 0);
	rig_down();
}

/* Fills the queue: what it holds then. */
static size_t
fill(void)
{
	while (hreq_write(req, piece, sizeof piece) == 0)
		;
	return (hreq_queued(req));
}

static void
who_takes_nothing_is_let_go(void)
{
	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	hreq_trust(req);
	CU_ASSERT_EQUAL(hreq_begin(req, &(struct net_reply){ .status = 200 }), 0);
	settle();
	CU_ASSERT(fill() <= HTTP_QUEUE_MAX);
	CU_ASSERT_EQUAL(hreq_write(req, piece, sizeof piece), -ENOBUFS);
	settle();
	/* It takes a little: there is time again. */
	at(HTTP_STALL_US - 1);
	CU_ASSERT_TRUE(hears("HTTP/1.1 200 "));
	settle();
	at(2 * HTTP_STALL_US - 2);
	CU_ASSERT_EQUAL(n_gone, 0);
	at(2 * HTTP_STALL_US);
	CU_ASSERT_EQUAL(n_gone, 1);
	CU_ASSERT_EQUAL(n_drained, 0);
	rig_down();
}

static void
a_reader_is_told_of_as_room_comes(void)
{
	static char	 sink[65536];
	unsigned	 i;

	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	CU_ASSERT_EQUAL(hreq_begin(req, &(struct net_reply){ .status = 200 }), 0);
	(void)fill();
	for (i = 0; i < 10000 && n_drained == 0; i++) {
		(void)recv(peer, sink, sizeof sink, MSG_DONTWAIT);
		settle();
	}
	CU_ASSERT_EQUAL(n_drained, 1);
	CU_ASSERT(hreq_queued(req) < HTTP_QUEUE_MAX / 2);
	CU_ASSERT_EQUAL(hreq_end(req), 0);
	CU_ASSERT_EQUAL(hreq_write(req, "x", 1), -EPIPE);
	rig_down();
	CU_ASSERT_EQUAL(n_gone, 0);
}

static void
a_stranger_has_one_time_for_all_of_it(void)
{
	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	hreq_set_deadline(req, 2 * HTTP_STRANGER_US);
	CU_ASSERT_EQUAL(net->stats.n_unauth, 1);
	at(HTTP_STRANGER_US);
	CU_ASSERT_EQUAL(n_gone, 0);
	at(HTTP_STRANGER_US + 1);
	CU_ASSERT_EQUAL(n_gone, 1);
	CU_ASSERT_EQUAL(net->stats.n_unauth, 0);
	rig_down();

	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	hreq_set_deadline(req, 2 * HTTP_STRANGER_US);
	hreq_trust(req);
	CU_ASSERT_EQUAL(net->stats.n_unauth, 0);
	at(HTTP_STRANGER_US + 1);
	CU_ASSERT_EQUAL(n_gone, 0);
	at(2 * HTTP_STRANGER_US);
	CU_ASSERT_EQUAL(failed, 504);
	rig_down();
}

static void
the_next_head_has_as_long_as_the_first(void)
{
	uint64_t	 us;

	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	us = net->lim.handshake_us;
	at(SEC_US(10));
	CU_ASSERT_EQUAL(hreq_reply(req, &(struct net_reply){ .status = 204 }), 0);
	settle();
	CU_ASSERT_TRUE(hears("HTTP/1.1 204 No Content\r\n"));
	say("GET / HT");
	at(SEC_US(10) + us - 1);
	CU_ASSERT_EQUAL(conn->state, CONN_HEAD);
	at(SEC_US(10) + us);
	CU_ASSERT_EQUAL(net->stats.n_open, 0);
	rig_down();
}

static void
who_leaves_with_a_body_unread_is_seen(void)
{
	rig_up("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
	CU_ASSERT_FALSE(conn->is_reading);
	(void)shutdown(peer, SHUT_RDWR);
	settle();
	at(1);
	CU_ASSERT_EQUAL(n_gone, 1);
	rig_down();
}

/* It is over, or its owner hears that it went: never neither. */
static void
an_answer_without_room_ends_it(void)
{
	static const struct net_reply	 reply = { .status = 200 };
	int				 fd;

	rig_up("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	net->lim.out_total = 0;
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(hreq_reply_fd(req, &reply, fd, 0, 0), 0);
	hreq_own(req, NULL, NULL);
	settle();
	CU_ASSERT_EQUAL(net->stats.n_open, 0);
	CU_ASSERT_EQUAL(n_gone, 0);
	rig_down();

	rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	net->lim.out_total = 0;
	CU_ASSERT_EQUAL(hreq_reply(req, &reply), 0);
	hreq_own(req, NULL, NULL);
	settle();
	CU_ASSERT_EQUAL(net->stats.n_open, 0);
	CU_ASSERT_EQUAL(n_gone, 0);
	rig_down();
}

static void
job_run(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

static void
job_done(void *arg)
{
	(void)arg;
}

static void
leave(void *arg)
{
	conn_kill(arg);
}

/*
 * What a worker has read as the client leaves is queued for nobody: it would count
 * as output for ever. More than once, as the two have to meet within one turn.
 */
static void
a_piece_that_comes_too_late_is_dropped(void)
{
	static const struct net_reply	 reply = { .status = 200 };
	char				 path[] = "/tmp/chela-http-XXXXXX";
	unsigned			 i, k;
	bool				 is_run;
	int				 fd, file = mkstemp(path);

	CU_ASSERT_FATAL(file >= 0);
	(void)unlink(path);
	CU_ASSERT_EQUAL(ftruncate(file, HTTP_PIECE), 0);
	for (i = 0; i < 10; i++) {
		rig_up("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		fd = fcntl(file, F_DUPFD_CLOEXEC, 0);
		CU_ASSERT_EQUAL(hreq_reply_fd(req, &reply, fd, 0, HTTP_PIECE),
		    0);
		is_run = false;
		/* First the end of the connection, then the piece. */
		CU_ASSERT_EQUAL(loop_post(loop, leave, conn), 0);
		conn_flush(conn);
		CU_ASSERT_EQUAL(loop_work(loop, job_run, job_done, &is_run),
		    0);
		for (k = 0; k < 10000 && (k < 100 ||
		    !__atomic_load_n(&is_run, __ATOMIC_ACQUIRE)); k++)
			(void)sched_yield();
		settle();
		CU_ASSERT_EQUAL(net->stats.n_open, 0);
		rig_down();
	}
	(void)close(file);
	CU_ASSERT_EQUAL(out_held(), 0);
}

static const struct cu_case cases[] = {
	CU_CASE(an_answer_is_due_in_its_time),
	CU_CASE(no_byte_of_a_body_moves_its_deadline),
	CU_CASE(who_takes_nothing_is_let_go),
	CU_CASE(a_reader_is_told_of_as_room_comes),
	CU_CASE(a_stranger_has_one_time_for_all_of_it),
	CU_CASE(the_next_head_has_as_long_as_the_first),
	CU_CASE(who_leaves_with_a_body_unread_is_seen),
	CU_CASE(an_answer_without_room_ends_it),
	CU_CASE(a_piece_that_comes_too_late_is_dropped),
	CU_END
};

CU_MAIN("http_conn", cases)
