/* SPDX-License-Identifier: MIT */
#include "core/net/out.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/net/net.h"
#include "core/ws/ws.h"
#include "tests/unit/cu.h"

/* Takes step bytes at a time, as a slow socket would, until max are taken. */
static void
drain(struct out *o, struct buf *got, size_t step, size_t max)
{
	struct iovec	 iov[8];
	size_t		 left, n, take;
	int		 i, k;

	while (o->len > 0 && got->len < max) {
		k = out_peek(o, iov, 8);
		left = MIN_OF(step, max - got->len);
		for (take = 0, i = 0; i < k && left > 0; i++) {
			n = MIN_OF(iov[i].iov_len, left);
			(void)buf_add(got, iov[i].iov_base, n);
			left -= n;
			take += n;
		}
		out_sent(o, take);
	}
}

/* One text frame with len times c, and what the wire must then show. */
static void
add_frame(struct out *o, struct buf *want, char c, size_t len, bool is_shared)
{
	unsigned char	 head[14];
	struct outseg	*body;
	char		*p;
	size_t		 n;

	p = malloc(len + 1);
	memset(p, c, len);
	n = ws_head(head, WS_OP_TEXT, len + (is_shared ? 4 : 0), NULL);
	(void)buf_add(want, head, n);
	if (is_shared) {
		body = outseg_new(p, len);
		(void)buf_add(want, "<<", 2);
		(void)buf_add(want, p, len);
		(void)buf_add(want, ">>", 2);
		memcpy(head + n, "<<", 2);
		CU_ASSERT(out_add_shared(o, head, n + 2, body, ">>", 2) == 0);
		(void)outseg_unref(body);
	} else {
		(void)buf_add(want, p, len);
		CU_ASSERT(out_add(o, head, n, p, len) == 0);
	}
	free(p);
}

static void
bytes_come_in_order_whatever_the_steps(void)
{
	static const size_t	 steps[] = { 1, 2, 3, 7, 100, 4096, 1000000 };
	size_t			 i, j;

	for (i = 0; i < ARRAY_LEN(steps); i++) {
		struct out	 o = { NULL, NULL, 0 };
		struct buf	 want = BUF_INIT, got = BUF_INIT;

		for (j = 0; j < 40; j++)
			add_frame(&o, &want, (char)('a' + j % 26), j * 97 % 5000,
			    j % 3 == 1);
		CU_ASSERT(o.len == want.len);
		drain(&o, &got, steps[i], SIZE_MAX);
		CU_ASSERT(got.len == want.len &&
		    memcmp(got.data, want.data, got.len) == 0);
		CU_ASSERT(o.head == NULL && o.tail == NULL);
		buf_fini(&want);
		buf_fini(&got);
	}
}

/* AB-012: after a cut the peer sees the frame under way to its end, no more. */
static void
cut_ends_at_a_frame(void)
{
	size_t	 sent;

	for (sent = 0; sent < 2879; sent += 13) {
		struct out	 o = { NULL, NULL, 0 };
		struct buf	 want = BUF_INIT, got = BUF_INIT;
		size_t		 end, at;

		add_frame(&o, &want, 'a', 100, false);
		add_frame(&o, &want, 'b', 125, false);
		add_frame(&o, &want, 'c', 126, false);
		add_frame(&o, &want, 'd', 2500, true);	/* shared, not copied */
		add_frame(&o, &want, 'e', 10, false);
		drain(&o, &got, 64, sent);
		out_cut(&o);
		drain(&o, &got, 1000, SIZE_MAX);
		/* The end of the frame that byte number sent - 1 belongs to. */
		for (at = 0, end = 0; at < sent;) {
			const unsigned char *p =
			    (const unsigned char *)want.data + at;
			size_t len = p[1] < 126 ? 2u + p[1] :
			    4u + ((size_t)p[2] << 8 | p[3]);

			at += len;
			end = at;
		}
		CU_ASSERT(got.len == end);
		CU_ASSERT(memcmp(got.data != NULL ? got.data : "", want.data,
		    got.len) == 0);
		out_fini(&o);
		buf_fini(&want);
		buf_fini(&got);
	}
}

static void
a_shared_body_is_counted(void)
{
	struct out	 a = { NULL, NULL, 0 }, b = { NULL, NULL, 0 };
	struct outseg	*body;
	char		*p = malloc(10000);

	memset(p, 'x', 10000);
	body = outseg_new(p, 10000);
	free(p);
	CU_ASSERT(out_add_shared(&a, "h", 1, body, "t", 1) == 0);
	CU_ASSERT(out_add_shared(&b, "h", 1, body, "t", 1) == 0);
	(void)outseg_unref(body);
	CU_ASSERT(a.len == 10002 && b.len == 10002);
	out_fini(&a);
	CU_ASSERT(a.len == 0);
	out_sent(&b, 10002);	/* the last reference: sanitizers watch */
	CU_ASSERT(b.head == NULL);
}

static const struct cu_case cases[] = {
	CU_CASE(bytes_come_in_order_whatever_the_steps),
	CU_CASE(cut_ends_at_a_frame),
	CU_CASE(a_shared_body_is_counted),
	CU_END
};
CU_MAIN("out", cases)
