/* SPDX-License-Identifier: MIT */
/* core/net/room: what is queued for all connections together has a ceiling. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net/net_priv.h"
#include "tests/unit/cu.h"

#define CONNS	32

static struct loop	*loop;
static struct net	*net;
static struct conn	*conns[CONNS];
static int		 peers[CONNS];
static char		*text;

/* n connections that nobody reads from, with room for total bytes. */
static void
rig_up(size_t n, size_t total)
{
	struct net_handler	 handler = { .arg = NULL };
	struct net_limits	 lim;
	size_t			 i;
	int			 fds[2];

	net_limits_default(&lim);
	lim.out_total = total;
	loop = loop_new();
	net = net_new(loop, &lim, &handler);
	text = malloc(MIB(4));
	if (loop == NULL || net == NULL || text == NULL)
		abort();
	memset(text, 'x', MIB(4));
	for (i = 0; i < n; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0
		    || conn_open(net, fds[0], "192.0.2.1", false, false,
		    NULL) < 0)
			abort();
		peers[i] = fds[1];
		conns[i] = container_of(net->fresh.prev, struct conn, link);
		conns[i]->state = CONN_OPEN;
		conn_authenticated(conns[i]);
	}
}

static void
rig_down(size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		(void)close(peers[i]);
	net = net_free(net);
	loop = loop_free(loop);
	free(text);
	CU_ASSERT_EQUAL(out_held(), 0);
}

/* AB-012: one byte less, the limit, one byte more. */
static void
the_sum_of_all_queues_is_bounded(void)
{
	static const struct {
		size_t	 len;
		bool	 is_droppable;
		int	 r;
	} t[] = {
		{ 99999, false, 0 },
		{ 100000, false, 0 },
		{ 100001, false, -ENOBUFS },
		{ 99999, true, 0 },
		{ 100000, true, 0 },
		{ 100001, true, -EAGAIN },
	};
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(t); i++) {
		rig_up(1, 100000);
		CU_ASSERT_EQUAL(conn_send(conns[0], text, t[i].len,
		    t[i].is_droppable), t[i].r);
		CU_ASSERT_EQUAL(conn_is_closing(conns[0]),
		    t[i].r == -ENOBUFS);
		CU_ASSERT_EQUAL(net_stats(net)->shed, t[i].r == -ENOBUFS);
		CU_ASSERT_EQUAL(net_stats(net)->dropped, t[i].r == -EAGAIN);
		rig_down(1);
	}
}

/* AB-012: an answer that is needed pushes out the longest queue, no other. */
static void
events_go_first_and_then_the_longest_queue(void)
{
	static const size_t	 lens[] = { 200000, 400000, 300000 };
	size_t			 i;

	rig_up(4, 1000000);
	for (i = 0; i < ARRAY_LEN(lens); i++)
		CU_ASSERT_EQUAL(conn_send(conns[i], text, lens[i], false), 0);
	CU_ASSERT_EQUAL(conn_send(conns[3], text, 150000, true), -EAGAIN);
	for (i = 0; i < 4; i++)
		CU_ASSERT_FALSE(conn_is_closing(conns[i]));
	CU_ASSERT_EQUAL(conn_send(conns[3], text, 150000, false), 0);
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(conn_is_closing(conns[i]), i == 1);
	CU_ASSERT_EQUAL(net_stats(net)->shed, 1);
	CU_ASSERT_EQUAL(net_stats(net)->slow_consumers, 1);
	/* All that is left of its queue is the reason. */
	CU_ASSERT_EQUAL(conns[1]->out.len, 2 + 2 + strlen("slow consumer"));
	rig_down(4);
}

/* AB-012: a body for a thousand is there once, and counts once. */
static void
a_shared_body_is_counted_once(void)
{
	struct outseg	*body;
	size_t		 i;

	rig_up(CONNS, 200000);
	body = outseg_new(text, 150000);
	for (i = 0; i < CONNS; i++)
		CU_ASSERT_EQUAL(conn_send_shared(conns[i], body, "<", 1, ">", 1,
		    false), 0);
	(void)outseg_unref(body);
	CU_ASSERT(out_held() < 160000);
	CU_ASSERT_EQUAL(net_stats(net)->shed, 0);
	rig_down(CONNS);
}

/* AB-012: a frame that is under way and long is given up: memory comes now. */
static void
a_long_frame_under_way_is_given_up(void)
{
	rig_up(2, MIB(4));
	CU_ASSERT_EQUAL(conn_send(conns[0], text, MIB(3), false), 0);
	conn_flush(conns[0]);
	CU_ASSERT(conns[0]->out.len > MIB(1) && conns[0]->out.len < MIB(3));
	CU_ASSERT_EQUAL(conn_send(conns[1], text, MIB(2), false), 0);
	CU_ASSERT_TRUE(conn_is_closing(conns[0]));
	CU_ASSERT_EQUAL(conns[0]->out.len, 0);
	CU_ASSERT_FALSE(conn_is_closing(conns[1]));
	rig_down(2);
}

/* AB-012: where nobody is slow, who asks for too much is refused alone. */
static void
small_queues_are_left_alone(void)
{
	size_t	 i;

	rig_up(4, 50000);
	for (i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(conn_send(conns[i], text, 2000, false), 0);
	CU_ASSERT_EQUAL(conn_send(conns[3], text, 60000, false), -ENOBUFS);
	for (i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(conn_is_closing(conns[i]), i == 3);
	rig_down(4);
}

static const struct cu_case cases[] = {
	CU_CASE(the_sum_of_all_queues_is_bounded),
	CU_CASE(events_go_first_and_then_the_longest_queue),
	CU_CASE(a_shared_body_is_counted_once),
	CU_CASE(a_long_frame_under_way_is_given_up),
	CU_CASE(small_queues_are_left_alone),
	CU_END
};
CU_MAIN("room", cases)
