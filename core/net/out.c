/* SPDX-License-Identifier: MIT */
#include "core/net/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/net.h"

#define OUT_CHUNK	4096	/* bytes of a pooled chunk, with its head */
#define OUT_POOL_MAX	64	/* chunks kept for the next turn */
#define OUT_COPY_MAX	128	/* a shared body up to here is copied */

struct outseg {
	size_t	 refs;
	size_t	 len;
	char	 data[];
};

/* own bytes [0, len), of which [0, pre) come before the shared body. */
struct out_chunk {
	struct out_chunk	*next;
	struct outseg		*shared;	/* or NULL */
	size_t			 pre;		/* used with shared only */
	size_t			 off;		/* sent, of all three parts */
	size_t			 len;		/* own bytes */
	size_t			 cap;
	char			 data[];
};

static struct out_chunk	*pool;
static size_t		 pool_len;
static size_t		 held;		/* by what is not in the pool */

size_t
out_held(void)
{
	return (held);
}

struct outseg *
outseg_new(const char *p, size_t len)
{
	struct outseg	*s;

	if (len > SIZE_MAX - sizeof *s)
		return (NULL);
	s = malloc(sizeof *s + len);
	if (s == NULL)
		return (NULL);
	s->refs = 1;
	s->len = len;
	memcpy(s->data, p, len);
	held += sizeof *s + len;
	return (s);
}

struct outseg *
outseg_ref(struct outseg *s)
{
	s->refs++;
	return (s);
}

struct outseg *
outseg_unref(struct outseg *s)
{
	if (s != NULL && --s->refs == 0) {
		held -= sizeof *s + s->len;
		free(s);
	}
	return (NULL);
}

size_t
outseg_len(const struct outseg *s)
{
	return (s->len);
}

const char *
outseg_data(const struct outseg *s)
{
	return (s->data);
}

static size_t
chunk_total(const struct out_chunk *c)
{
	return (c->len + (c->shared != NULL ? c->shared->len : 0));
}

/*
 * is_exact: nothing will be added. A thousand subscribers then cost a thousand times
 * a head and a tail, and not pages that the heap gives back after every event.
 */
static struct out_chunk *
chunk_new(size_t need, bool is_exact)
{
	struct out_chunk	*c;
	size_t			 cap = OUT_CHUNK - sizeof *c;

	if (is_exact) {
		cap = need;
		c = malloc(sizeof *c + cap);
		if (c == NULL)
			return (NULL);
		c->cap = cap;
	} else if (need <= cap && pool != NULL) {
		c = pool;
		pool = c->next;
		pool_len--;
	} else {
		cap = MAX_OF(need, cap);
		c = malloc(sizeof *c + cap);
		if (c == NULL)
			return (NULL);
		c->cap = cap;
	}
	c->next = NULL;
	c->shared = NULL;
	c->pre = c->off = c->len = 0;
	held += sizeof *c + c->cap;
	return (c);
}

static void
chunk_free(struct out_chunk *c)
{
	(void)outseg_unref(c->shared);
	held -= sizeof *c + c->cap;
	if (c->cap == OUT_CHUNK - sizeof *c && pool_len < OUT_POOL_MAX) {
		c->next = pool;
		pool = c;
		pool_len++;
	} else
		free(c);
}

static void
out_link(struct out *o, struct out_chunk *c)
{
	if (o->tail == NULL)
		o->head = c;
	else
		o->tail->next = c;
	o->tail = c;
}

static struct out_chunk *
out_room(struct out *o, size_t need)
{
	struct out_chunk	*c = o->tail;

	if (c != NULL && c->shared == NULL && c->cap - c->len >= need)
		return (c);
	c = chunk_new(need, false);
	if (c != NULL)
		out_link(o, c);
	return (c);
}

static void
chunk_add(struct out_chunk *c, const void *p, size_t len)
{
	if (len == 0)
		return;
	memcpy(c->data + c->len, p, len);
	c->len += len;
}

int
out_add(struct out *o, const void *head, size_t head_len, const void *body,
    size_t body_len)
{
	struct out_chunk	*c;

	if (unlikely(body_len > SIZE_MAX / 2 || head_len > SIZE_MAX / 4))
		return (-ENOMEM);
	c = out_room(o, head_len + body_len);
	if (c == NULL)
		return (-ENOMEM);
	chunk_add(c, head, head_len);
	chunk_add(c, body, body_len);
	o->len += head_len + body_len;
	return (0);
}

int
out_add_shared(struct out *o, const void *head, size_t head_len,
    struct outseg *body, const void *tail, size_t tail_len)
{
	struct out_chunk	*c;
	size_t			 own = head_len + tail_len;
	bool			 is_copied = body->len <= OUT_COPY_MAX;

	/* A frame with a shared body is a chunk of its own. */
	c = is_copied ? out_room(o, own + body->len) : chunk_new(own, true);
	if (c == NULL)
		return (-ENOMEM);
	if (!is_copied)
		out_link(o, c);
	chunk_add(c, head, head_len);
	if (is_copied)
		chunk_add(c, body->data, body->len);
	else {
		c->pre = head_len;
		c->shared = outseg_ref(body);
	}
	chunk_add(c, tail, tail_len);
	o->len += own + body->len;
	return (0);
}

/* One part of a chunk, minus what was sent; returns the pieces added. */
static int
iov_part(struct iovec *iov, const char *p, size_t len, size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return (0);
	}
	iov->iov_base = (void *)(uintptr_t)(p + *skip);
	iov->iov_len = len - *skip;
	*skip = 0;
	return (1);
}

int
out_peek(const struct out *o, struct iovec *iov, int max)
{
	const struct out_chunk	*c;
	size_t			 skip;
	int			 n = 0;

	for (c = o->head; c != NULL && n + 3 <= max; c = c->next) {
		skip = c->off;
		if (c->shared == NULL) {
			n += iov_part(iov + n, c->data, c->len, &skip);
			continue;
		}
		n += iov_part(iov + n, c->data, c->pre, &skip);
		n += iov_part(iov + n, c->shared->data, c->shared->len, &skip);
		n += iov_part(iov + n, c->data + c->pre, c->len - c->pre,
		    &skip);
	}
	return (n);
}

void
out_sent(struct out *o, size_t n)
{
	struct out_chunk	*c;
	size_t			 left;

	o->len -= n;
	while (n > 0) {
		c = o->head;
		left = chunk_total(c) - c->off;
		if (n < left) {
			c->off += n;
			return;
		}
		n -= left;
		o->head = c->next;
		if (o->head == NULL)
			o->tail = NULL;
		chunk_free(c);
	}
}

/* The end of the frame that the byte at off belongs to; own frames only. */
static size_t
frame_end(const struct out_chunk *c)
{
	const unsigned char	*p = (const unsigned char *)c->data;
	size_t			 at = 0, len, i;

	while (at < c->off) {
		len = p[at + 1] & 0x7f;
		if (len < 126)
			at += 2 + len;
		else if (len == 126)
			at += 4 + ((size_t)p[at + 2] << 8 | p[at + 3]);
		else {
			for (len = 0, i = 2; i < 10; i++)
				len = len << 8 | p[at + i];
			at += 10 + len;
		}
	}
	return (at);
}

void
out_cut(struct out *o)
{
	struct out_chunk	*c, *next;

	if (o->head == NULL)
		return;
	for (c = o->head->next; c != NULL; c = next) {
		next = c->next;
		o->len -= chunk_total(c);
		chunk_free(c);
	}
	c = o->head;
	c->next = NULL;
	o->tail = c;
	if (c->off == 0) {
		out_fini(o);
	} else if (c->shared == NULL) {
		c->len = frame_end(c);
		o->len = c->len - c->off;
		if (o->len == 0)
			out_fini(o);
	}
}

void
out_fini(struct out *o)
{
	struct out_chunk	*c;

	while ((c = o->head) != NULL) {
		o->head = c->next;
		chunk_free(c);
	}
	o->tail = NULL;
	o->len = 0;
}
