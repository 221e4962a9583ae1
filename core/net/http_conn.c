/* SPDX-License-Identifier: MIT */
/* One HTTP exchange: its states, its body, its answer, its deadlines. */
#include "core/net/http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/http_body.h"
#include "core/net/net_priv.h"

/*
 * HEAD: nothing of the body was read, if there is one. BODY: it is being read.
 * WAIT: it is there. FAIL: it will not come; an answer is due. STREAM: an answer
 * in pieces has begun. FILE: one from a file. DONE: all of it is queued.
 */
enum hreq_state {
	HREQ_HEAD,
	HREQ_BODY,
	HREQ_WAIT,
	HREQ_FAIL,
	HREQ_STREAM,
	HREQ_FILE,
	HREQ_DONE,
};

/* Bytes of a file on their way. A worker may hold it longer than the request. */
struct hfile {
	struct hreq	*q;		/* NULL: gone */
	int		 fd;
	uint64_t	 offset, left;
	ssize_t		 got;
	bool		 is_reading;
	char		 piece[HTTP_PIECE];
};

struct hreq {
	struct conn		*conn;
	struct http_head	 head;	/* strings are in buf */
	struct buf		 buf;
	struct http_body	 body;
	struct buf		 bytes;	/* of the body */
	size_t			 counted;	/* in net.bodies */
	const struct hreq_ops	*ops;
	void			*owner;
	struct hfile		*file;
	uint64_t		 progress_us;	/* output went on */
	uint16_t		 status;	/* why it failed */
	uint8_t			 state;		/* enum hreq_state */
	bool			 has_body;
	bool			 is_read;	/* the body, to its end */
	bool			 has_expect;	/* 100-continue */
	bool			 is_feed_due;
	bool			 is_fail_due;
	bool			 is_head;	/* method HEAD */
	bool			 is_kept;	/* the connection, afterwards */
	bool			 is_chunked;	/* the answer */
	bool			 is_drain_due;
	bool			 is_broken;	/* killed at the next flush */
};

static void
hfile_free(struct hfile *f)
{
	(void)close(f->fd);
	free(f);
}

static void
http_drop_body(struct hreq *q)
{
	q->conn->net->bodies -= q->counted;
	q->counted = 0;
	buf_fini(&q->bytes);
}

/* What a worker still reads of it goes to nobody. */
static void
http_drop_file(struct hreq *q)
{
	if (q->file == NULL)
		return;
	q->file->q = NULL;
	if (!q->file->is_reading)
		hfile_free(q->file);
	q->file = NULL;
}

void
http_free(struct hreq *q)
{
	if (q == NULL)
		return;
	http_drop_body(q);
	http_drop_file(q);
	buf_fini(&q->buf);
	free(q);
}

/* The socket went. */
void
http_gone(struct hreq *q)
{
	const struct hreq_ops	*ops = q->ops;

	q->ops = NULL;
	if (ops != NULL && q->state != HREQ_DONE)
		ops->on_gone(q);
	q->state = HREQ_DONE;
	http_drop_file(q);
}

bool
http_wants_read(const struct conn *c)
{
	const struct hreq	*q = c->http;

	if (q->state == HREQ_BODY)
		return (!q->is_feed_due);
	/* Only to notice that the client leaves; what it sends waits. */
	return ((!q->has_body || q->is_read) && c->held.len == 0);
}

static void
http_fail(struct hreq *q, unsigned status)
{
	struct net_reply	 reply = { .status = status };

	if (q->state >= HREQ_FAIL)
		return;
	q->state = HREQ_FAIL;
	if (status == 400)
		q->conn->net->stats.protocol_errors++;
	if (status == 408)
		q->conn->net->stats.timeouts++;
	http_drop_body(q);
	if (q->ops != NULL)
		q->ops->on_fail(q, status);
	if (q->state == HREQ_FAIL)
		(void)hreq_reply(q, &reply);
}

/* Whether a piece of the body still fits into what all may hold. */
static bool
http_keep(struct hreq *q, const char *p, size_t len)
{
	struct net	*n = q->conn->net;

	if (len > HTTP_BODIES_MAX - n->bodies ||
	    buf_add(&q->bytes, p, len) < 0)
		return (false);
	n->bodies += len;
	q->counted += len;
	return (true);
}

static void
http_feed(struct conn *c, const char *p, size_t len)
{
	struct hreq	*q = c->http;
	size_t		 used, n;
	int		 ev;

	do {
		ev = http_body_feed(&q->body, p, len, &used, &n);
		if (ev < 0) {
			http_fail(q, q->body.status);
			return;
		}
		p += used;
		len -= used;
		if (ev == HTTP_BODY_DATA && !http_keep(q, p - n, n)) {
			http_fail(q, 503);
			return;
		}
	} while (ev == HTTP_BODY_DATA);
	if (ev == HTTP_BODY_MORE)
		return;
	if (len > 0 && buf_add(&c->held, p, len) < 0)
		q->is_broken = true;
	if (buf_putc(&q->bytes, '\0') < 0) {
		http_fail(q, 503);
		return;
	}
	q->is_read = true;
	q->state = HREQ_WAIT;
	if (q->ops != NULL)
		q->ops->on_body(q, q->bytes.data, q->bytes.len - 1);
	http_drop_body(q);
}

void
http_received(struct conn *c, const char *p, size_t len)
{
	if (c->http->state == HREQ_BODY && !c->http->is_feed_due)
		http_feed(c, p, len);
	else if (buf_add(&c->held, p, len) < 0)
		c->http->is_broken = true;
	conn_update_reading(c);
	if (c->http->is_broken)
		conn_dirty(c);
}

/* Before a flush: what was put off until nobody's call is on the stack. */
void
http_before_flush(struct conn *c)
{
	struct hreq	*q = c->http;
	struct buf	 held;

	if (q->is_broken) {
		conn_kill(c);
		return;
	}
	if (q->is_fail_due) {
		q->is_fail_due = false;
		http_fail(q, q->status);
	}
	if (q->is_feed_due) {
		q->is_feed_due = false;
		held = c->held;
		buf_init(&c->held);
		if (q->state == HREQ_BODY)
			http_feed(c, held.data, held.len);
		buf_fini(&held);
		conn_update_reading(c);
	}
}

/* The answer is out: the next request, or the end. */
static void
http_next(struct conn *c)
{
	struct net	*n = c->net;
	struct hreq	*q = c->http;

	if (!q->is_kept || n->is_draining) {
		conn_linger(c);
		return;
	}
	c->http = NULL;
	http_free(q);
	c->state = CONN_HEAD;
	conn_move(c, &n->http, n->lim.handshake_us);
	conn_update_reading(c);
	if (c->held.len > 0)
		conn_head(c);
}

static void
hfile_read(void *arg)
{
	struct hfile	*f = arg;
	size_t		 want = MIN_OF((uint64_t)HTTP_PIECE, f->left);

	do {
		f->got = pread(f->fd, f->piece, want, (off_t)f->offset);
	} while (f->got < 0 && errno == EINTR);
}

static void
hfile_done(void *arg)
{
	struct hfile	*f = arg;
	struct hreq	*q = f->q;

	f->is_reading = false;
	if (q == NULL) {
		hfile_free(f);
		return;
	}
	/* Shorter than it was said to be: the length cannot be made true. */
	if (f->got <= 0 || !net_make_room(q->conn->net, (size_t)f->got) ||
	    out_add(&q->conn->out, f->piece, (size_t)f->got, NULL,
	    0) < 0)
		q->is_broken = true;
	else {
		f->offset += (uint64_t)f->got;
		f->left -= (uint64_t)f->got;
		if (f->left == 0) {
			q->file = NULL;
			hfile_free(f);
			q->state = HREQ_DONE;
		}
	}
	conn_dirty(q->conn);
}

static void
http_read_file(struct hreq *q)
{
	struct hfile	*f = q->file;

	if (f->is_reading || q->conn->out.len >= HTTP_PIECE)
		return;
	/* The queue of the workers is full: the next tick tries again. */
	f->is_reading = loop_work(q->conn->net->loop, hfile_read, hfile_done,
	    f) == 0;
}

/* After a flush; sent: something went out. */
void
http_after_flush(struct conn *c, bool is_sent, bool is_waiting)
{
	struct hreq	*q = c->http;

	if (is_sent)
		q->progress_us = clock_now_us();
	if (q->state == HREQ_FILE)
		http_read_file(q);
	if (q->is_drain_due && c->out.len < HTTP_QUEUE_MAX / 2) {
		q->is_drain_due = false;
		if (q->state == HREQ_STREAM && q->ops != NULL)
			q->ops->on_drain(q);
	}
	if (q->state == HREQ_DONE && !is_waiting && c->out.len == 0)
		http_next(c);
}

/* Nothing is read from it now, so that nothing tells that it left. */
static bool
http_has_left(const struct conn *c)
{
	struct pollfd	 p = { .fd = c->fd, .events = POLLRDHUP };

	return (!c->is_reading && poll(&p, 1, 0) == 1);
}

/* From time to time; c is in net.http. */
static void
http_tick(struct conn *c, uint64_t now)
{
	struct hreq	*q = c->http;
	bool		 is_over;

	is_over = c->source != NULL && now - c->since_us > HTTP_STRANGER_US;
	if (q != NULL && http_has_left(c)) {
		conn_kill(c);
		return;
	}
	if (q == NULL || is_over || (q->state >= HREQ_STREAM && c->out.len > 0 &&
	    now - q->progress_us > HTTP_STALL_US)) {
		if (q != NULL || c->deadline <= now) {
			c->net->stats.timeouts++;
			conn_kill(c);
		}
		return;
	}
	if (q->state == HREQ_FILE)
		http_read_file(q);
	else if (q->state < HREQ_FAIL && c->deadline <= now)
		http_fail(q, q->state == HREQ_BODY ? 408 : 504);
}

void
http_expire(struct net *n, uint64_t now)
{
	struct list	*l, *tmp;

	list_each(l, tmp, &n->http)
		http_tick(container_of(l, struct conn, link), now);
}

/* Connections that wait for nobody's answer go at once. */
void
net_drain_http(struct net *n)
{
	struct list	*l, *tmp;

	n->is_draining = true;
	list_each(l, tmp, &n->http) {
		struct conn *c = container_of(l, struct conn, link);

		if (c->http == NULL)
			conn_kill(c);
	}
}

/* The head of a request: used bytes of what c holds. */
void
http_start(struct conn *c, const struct http_head *h, size_t used)
{
	struct net	*n = c->net;
	struct hreq	*q;
	const char	*expect;
	struct net_reply reply = { .status = 503 };

	q = calloc(1, sizeof *q);
	if (q == NULL) {
		conn_kill(c);
		return;
	}
	q->conn = c;
	q->head = *h;
	q->buf = c->held;
	buf_init(&c->held);
	if (buf_add(&c->held, q->buf.data + used, q->buf.len - used) < 0)
		q->is_broken = true;
	q->progress_us = clock_now_us();
	q->has_body = h->is_chunked || (h->content_length != HTTP_NO_LENGTH &&
	    h->content_length > 0);
	q->is_head = strcmp(h->method, "HEAD") == 0;
	c->http = q;
	c->state = CONN_HTTP;
	c->n_requests++;
	conn_move(c, &n->http, HTTP_ANSWER_US);
	conn_update_reading(c);
	/* RFC 9110 section 10.1.1. */
	expect = h->minor > 0 ? http_head_get(h, "expect") : NULL;
	if (expect != NULL && (http_head_count(h, "expect") > 1 ||
	    strcasecmp(expect, "100-continue") != 0)) {
		reply = (struct net_reply){ .status = 417,
		    .body = "Expectation Failed", .body_len = 18 };
		(void)hreq_reply(q, &reply);
		return;
	}
	q->has_expect = expect != NULL;
	n->handler.on_http(n->handler.arg, q);
	if (q->ops == NULL && q->state == HREQ_HEAD)
		(void)hreq_reply(q, &reply);
}

void
hreq_own(struct hreq *q, const struct hreq_ops *ops, void *owner)
{
	q->ops = ops;
	q->owner = owner;
}

void *
hreq_owner(const struct hreq *q)
{
	return (q->owner);
}

const struct http_head *
hreq_head(const struct hreq *q)
{
	return (&q->head);
}

struct conn *
hreq_conn(const struct hreq *q)
{
	return (q->conn);
}

bool
hreq_is_over_budget(const struct hreq *q)
{
	const struct conn	*c = q->conn;

	return (c->source != NULL &&
	    c->source->n > c->net->lim.unauth_per_source);
}

void
hreq_trust(struct hreq *q)
{
	if (q->conn->state == CONN_HTTP)
		net_release_source(q->conn->net, q->conn);
}

void
hreq_set_deadline(struct hreq *q, uint64_t after_us)
{
	q->conn->deadline = clock_now_us() + after_us;
}

int
hreq_read_body(struct hreq *q, uint64_t max)
{
	static const char	 go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct conn		*c = q->conn;

	if (q->state != HREQ_HEAD || q->is_fail_due)
		return (-EALREADY);
	if (http_body_init(&q->body, &q->head, max) < 0) {
		q->is_fail_due = true;
		q->status = 413;
	} else {
		q->state = HREQ_BODY;
		q->is_feed_due = true;
		/* Not where it does not wait for that. */
		if (q->has_expect && q->has_body && c->held.len == 0 &&
		    out_add(&c->out, go_on, sizeof go_on - 1, NULL, 0) < 0)
			q->is_broken = true;
	}
	conn_dirty(c);
	return (0);
}

/* Queues the head of the answer. state: what it is in then. */
static int
hreq_answer(struct hreq *q, const struct net_reply *reply, const char *length,
    enum hreq_state state)
{
	struct conn	*c = q->conn;
	struct buf	 b = BUF_INIT;
	char		 framing[128];

	q->is_kept = q->head.minor > 0 && q->head.is_keep_alive &&
	    (!q->has_body || q->is_read) && !q->is_broken &&
	    !c->net->is_draining && !(length == NULL && !q->is_chunked) &&
	    (c->source == NULL || c->n_requests < HTTP_STRANGER_REQUESTS);
	(void)snprintf(framing, sizeof framing, "%s%s",
	    length != NULL ? length :
	    q->is_chunked ? "Transfer-Encoding: chunked\r\n" : "",
	    q->is_kept ? "" : "Connection: close\r\n");
	http_answer_head(c->net, &b, reply, framing);
	if (!q->is_head && reply->status != 204 && reply->status != 304)
		(void)buf_add(&b, reply->body, reply->body_len);
	if (b.is_failed || !net_make_room(c->net, b.len) ||
	    out_add(&c->out, b.data, b.len, NULL, 0) < 0)
		q->is_broken = true;
	buf_fini(&b);
	q->progress_us = clock_now_us();
	q->state = (uint8_t)state;
	conn_update_reading(c);
	conn_dirty(c);
	return (q->is_broken ? -ENOMEM : 0);
}

/* Section 8.6 of RFC 9110: 204 says no length. */
static const char *
length_line(char *line, size_t size, unsigned status, uint64_t len)
{
	if (status == 204 || status == 304)
		return ("");
	(void)snprintf(line, size, "Content-Length: %llu\r\n",
	    (unsigned long long)len);
	return (line);
}

int
hreq_reply(struct hreq *q, const struct net_reply *reply)
{
	char	 line[64];

	if (q->state >= HREQ_STREAM)
		return (-EALREADY);
	(void)hreq_answer(q, reply, length_line(line, sizeof line,
	    reply->status, reply->body_len), HREQ_DONE);
	return (0);
}

int
hreq_reply_fd(struct hreq *q, const struct net_reply *reply, int fd,
    uint64_t offset, uint64_t len)
{
	char		 line[64];
	struct hfile	*f = NULL;
	bool		 is_empty = q->is_head || len == 0;

	if (q->state >= HREQ_STREAM || offset > INT64_MAX ||
	    len > INT64_MAX - offset) {
		(void)close(fd);
		return (q->state >= HREQ_STREAM ? -EALREADY : -EINVAL);
	}
	if (!is_empty)
		f = malloc(sizeof *f);
	if (f == NULL) {
		(void)close(fd);
		if (!is_empty)
			return (-ENOMEM);
	} else {
		f->q = q;
		f->fd = fd;
		f->offset = offset;
		f->left = len;
		f->is_reading = false;
		q->file = f;
	}
	/* As with hreq_reply(): without room for it, the connection ends. */
	(void)hreq_answer(q, reply, length_line(line, sizeof line,
	    reply->status, len), is_empty ? HREQ_DONE : HREQ_FILE);
	return (0);
}

int
hreq_begin(struct hreq *q, const struct net_reply *reply)
{
	if (q->state >= HREQ_STREAM)
		return (-EALREADY);
	/* These have no body, whatever is written (RFC 9110 section 6.4.1). */
	if (reply->status == 204 || reply->status == 304) {
		q->is_head = true;
		return (hreq_answer(q, reply, "", HREQ_STREAM));
	}
	q->is_chunked = q->head.minor > 0;
	return (hreq_answer(q, reply, NULL, HREQ_STREAM));
}

void
hreq_break(struct hreq *q)
{
	q->is_broken = true;
	conn_dirty(q->conn);
}

int
hreq_write(struct hreq *q, const void *bytes, size_t len)
{
	struct out	*o = &q->conn->out;
	char		 size[24];
	int		 n = 0;

	if (q->state != HREQ_STREAM || q->is_broken)
		return (-EPIPE);
	if (q->is_head || len == 0)
		return (0);
	if (o->len > 0 && o->len + len > HTTP_QUEUE_MAX) {
		q->is_drain_due = true;
		return (-ENOBUFS);
	}
	if (!net_make_room(q->conn->net, len) || q->is_broken) {
		hreq_break(q);
		return (-EPIPE);
	}
	if (o->len == 0)
		q->progress_us = clock_now_us();
	if (q->is_chunked)
		n = snprintf(size, sizeof size, "%zx\r\n", len);
	if (out_add(o, size, (size_t)n, bytes, len) < 0 ||
	    (q->is_chunked && out_add(o, "\r\n", 2, NULL, 0) < 0))
		q->is_broken = true;
	conn_dirty(q->conn);
	return (q->is_broken ? -ENOMEM : 0);
}

int
hreq_end(struct hreq *q)
{
	if (q->state != HREQ_STREAM)
		return (-EPIPE);
	if (q->is_chunked && !q->is_head &&
	    out_add(&q->conn->out, "0\r\n\r\n", 5, NULL, 0) < 0)
		q->is_broken = true;
	q->state = HREQ_DONE;
	conn_dirty(q->conn);
	return (0);
}

size_t
hreq_queued(const struct hreq *q)
{
	return (q->conn->out.len);
}
