/* SPDX-License-Identifier: MIT */
/*
 * Frames above PROTO_LARGE: a worker scans them, few at a time, and the peer is
 * not read meanwhile.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "core/base/loop.h"
#include "core/json/scan.h"
#include "core/protocol/proto_priv.h"

/* A frame that a worker scans. */
struct large {
	struct list		 link;		/* in proto.larges while it waits */
	struct peer		*peer;		/* counted */
	char			*text;
	size_t			 len;
	struct scan_limits	 lim;
	struct scan_frame	 frame;
};

static void
large_scan(void *arg)
{
	struct large	*lg = arg;

	(void)scan_frame(lg->text, lg->len, &lg->lim, &lg->frame);
}

static void
large_scanned(void *arg)
{
	struct large	*lg = arg;
	struct peer	*p = lg->peer;

	if (p->conn == NULL || conn_is_closing(p->conn))
		proto_large_done(p, lg->text);
	else
		proto_frame(p, &lg->frame, lg->text);
	(void)peer_unref(p);
	free(lg);
}

/* What one such frame may become is bounded; so is how many there are at once. */
static void
proto_next_large(struct proto *proto)
{
	struct large	*lg;

	while (proto->n_larges < PROTO_LARGE_ACTIVE &&
	    (lg = list_first(&proto->larges, struct large, link)) != NULL) {
		list_remove(&lg->link);
		proto->n_larges++;
		if (loop_work(proto->loop, large_scan, large_scanned, lg) < 0) {
			if (lg->peer->conn != NULL)
				conn_close(lg->peer->conn, 1013,
				    "the server is busy");
			proto_large_done(lg->peer, lg->text);
			(void)peer_unref(lg->peer);
			free(lg);
		}
	}
}

void
proto_large(struct peer *p, char *data, size_t len)
{
	struct proto	*proto = p->proto;
	struct large	*lg = NULL;

	if (proto->large_bytes + len > PROTO_LARGE_BYTES)
		goto fail;
	lg = malloc(sizeof *lg);
	if (lg == NULL)
		goto fail;
	lg->text = conn_take_message(p->conn, data, len);
	if (lg->text == NULL)
		goto fail;
	lg->len = len;
	lg->peer = peer_ref(p);
	list_init(&lg->link);
	proto_limits(len, &lg->lim);
	p->is_busy = true;
	p->large_len = (uint32_t)len;
	proto->large_bytes += len;
	conn_pause(p->conn);
	list_append(&proto->larges, &lg->link);
	proto_next_large(proto);
	return;
fail:
	free(lg);
	conn_close(p->conn, 1013, "the server is busy");
}

static void
text_free(void *arg)
{
	free(arg);
	/* What the frame's values left behind goes back to the system too. */
	(void)malloc_trim(0);
}

static void
proto_on_large_free(void *arg)
{
	proto_next_large(arg);
}

void
proto_large_done(struct peer *p, char *text)
{
	/* Giving 25 MiB back to the system takes milliseconds: not here. */
	if (loop_work(p->proto->loop, text_free, NULL, text) < 0)
		free(text);
	p->is_busy = false;
	p->proto->n_larges--;
	p->proto->large_bytes -= p->large_len;
	if (p->conn != NULL)
		conn_resume(p->conn);
	(void)loop_defer(p->proto->loop, proto_on_large_free, p->proto);
}
