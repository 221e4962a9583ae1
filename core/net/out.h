/* SPDX-License-Identifier: MIT */
/*
 * The queue of what a socket has yet to send. Frames are kept whole: a chunk
 * starts at the start of a frame and holds only whole ones, so that a queue can be
 * cut after the frame that is under way.
 */
#ifndef NET_OUT_H
#define NET_OUT_H

#include <sys/uio.h>

#include "core/base/base.h"

struct out_chunk;
struct outseg;

struct out {
	struct out_chunk	*head;
	struct out_chunk	*tail;
	size_t			 len;	/* bytes that are left to send */
};

int	 out_add(struct out *o, const void *head, size_t head_len,
	    const void *body, size_t body_len);
int	 out_add_shared(struct out *o, const void *head, size_t head_len,
	    struct outseg *body, const void *tail, size_t tail_len);
/* Up to max pieces of what comes next; returns how many. */
int	 out_peek(const struct out *o, struct iovec *iov, int max);
void	 out_sent(struct out *o, size_t n);
/* Drops all frames of which nothing was sent yet. */
void	 out_cut(struct out *o);
void	 out_fini(struct out *o);

/*
 * The memory of all queues together; a body that many of them share counts once,
 * from outseg_new() on.
 */
size_t	 out_held(void);

size_t	 outseg_len(const struct outseg *s);
const char *outseg_data(const struct outseg *s);

#endif
