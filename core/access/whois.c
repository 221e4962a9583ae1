/* SPDX-License-Identifier: MIT */
/*
 * tailscaled's local API: HTTP/1.1 on a stream socket, one question a connection.
 * The answer is JSON; its UserProfile holds the login name.
 */
#include "core/access/whois.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/base/map.h"
#include "core/json/json.h"
#include "core/json/scan.h"

#define ANSWER_MAX	KIB(64)
#define CACHE_MAX	1024		/* addresses that are remembered */
#define CACHE_GOOD_US	SEC_US(60)
#define CACHE_BAD_US	SEC_US(5)
#define TAGGED		"tagged-devices"	/* a machine, not a user */

struct known {
	struct list	 link;		/* by time of the answer */
	uint64_t	 until_us;
	char		 address[48];
	char		 login[WHOIS_LOGIN_MAX];	/* "": nobody */
};

struct question {
	struct list		 link;
	struct whois		*w;
	struct loop_watch	*watch;
	struct loop_timer	*timer;
	int			 fd;
	struct buf		 out, in;
	char			 address[48];
	struct list		 waiters;
};

struct waiter {
	struct list	 link;
	whois_fn	*fn;
	void		*arg;
};

struct whois {
	struct loop	*loop;
	char		*path;
	struct map	*known;
	struct list	 order;
	struct list	 questions;
	size_t		 n_questions;
};

struct whois *
whois_new(struct loop *l, const char *socket_path)
{
	struct whois	*w;

	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (NULL);
	w->loop = l;
	list_init(&w->order);
	list_init(&w->questions);
	w->path = strdup(socket_path);
	w->known = map_new();
	return (w->path == NULL || w->known == NULL ? whois_free(w) : w);
}

static void
known_drop(struct whois *w, struct known *k)
{
	(void)map_delz(w->known, k->address);
	list_remove(&k->link);
	free(k);
}

static void
question_free(struct question *q)
{
	struct waiter	*a;

	while ((a = list_first(&q->waiters, struct waiter, link)) != NULL) {
		list_remove(&a->link);
		free(a);
	}
	list_remove(&q->link);
	q->w->n_questions--;
	(void)loop_watch_free(q->watch);
	(void)loop_timer_free(q->timer);
	if (q->fd >= 0)
		(void)close(q->fd);
	buf_fini(&q->out);
	buf_fini(&q->in);
	free(q);
}

struct whois *
whois_free(struct whois *w)
{
	struct question	*q;
	struct known	*k;

	if (w == NULL)
		return (NULL);
	while ((q = list_first(&w->questions, struct question, link)) != NULL)
		question_free(q);
	while ((k = list_first(&w->order, struct known, link)) != NULL)
		known_drop(w, k);
	(void)map_free(w->known);
	free(w->path);
	free(w);
	return (NULL);
}

static void
known_add(struct whois *w, const char *address, const char *login)
{
	struct known	*k = map_getz(w->known, address);

	if (k != NULL)
		known_drop(w, k);
	if (map_len(w->known) >= CACHE_MAX)
		known_drop(w, list_first(&w->order, struct known, link));
	k = calloc(1, sizeof *k);
	if (k == NULL)
		return;
	list_init(&k->link);
	k->until_us = clock_now_us() + (login != NULL ? CACHE_GOOD_US :
	    CACHE_BAD_US);
	(void)snprintf(k->address, sizeof k->address, "%s", address);
	(void)snprintf(k->login, sizeof k->login, "%s",
	    login != NULL ? login : "");
	if (map_putz(w->known, k->address, k) < 0)
		free(k);
	else
		list_append(&w->order, &k->link);
}

/* The end of a question; all who wait for it are told. */
static void
question_end(struct question *q, const char *login)
{
	struct whois	*w = q->w;
	struct waiter	*a;

	known_add(w, q->address, login);
	/* Nobody joins it any more. */
	list_remove(&q->link);
	while ((a = list_first(&q->waiters, struct waiter, link)) != NULL) {
		list_remove(&a->link);
		a->fn(a->arg, login);
		free(a);
	}
	question_free(q);
}

static const char *
login_of(struct json_object *o)
{
	static const char *const profiles[] = { "UserProfile", "userProfile",
	    "User" };
	static const char *const names[] = { "LoginName", "Login", "login" };
	const char	*s;
	size_t		 i, k;

	for (i = 0; i < ARRAY_LEN(profiles); i++) {
		for (k = 0; k < ARRAY_LEN(names); k++) {
			s = json_get_str(json_get_obj(o, profiles[i]), names[k]);
			if (s != NULL && *s != '\0')
				return (s);
		}
	}
	return (NULL);
}

/* Chunks become one body in place; the new length or -EBADMSG. */
static int
unchunk(char *body, size_t len, size_t *ret_len)
{
	size_t	 n, o = 0;
	char	*end, *p = body, *stop = body + len;

	for (;;) {
		n = strtoul(p, &end, 16);
		if (end == p || n > ANSWER_MAX)
			return (-EBADMSG);
		p = memchr(end, '\n', (size_t)(stop - end));
		if (p == NULL || n > (size_t)(stop - p - 1))
			return (-EBADMSG);
		p++;
		if (n == 0)
			break;
		memmove(body + o, p, n);
		o += n;
		p += n;
		if (stop - p < 2)
			return (-EBADMSG);
		p += 2;
	}
	*ret_len = o;
	return (0);
}

static void
question_read_answer(struct question *q)
{
	struct json_object	*o = NULL;
	struct scan_result	 res;
	const char		*login = NULL;
	char			*body, *line;
	size_t			 len;
	bool			 is_chunked = false;

	(void)buf_putc(&q->in, '\0');
	body = q->in.is_failed ? NULL : strstr(q->in.data, "\r\n\r\n");
	if (body == NULL || strncmp(q->in.data, "HTTP/1.", 7) != 0 ||
	    strncmp(q->in.data + 8, " 200", 4) != 0) {
		question_end(q, NULL);
		return;
	}
	*body = '\0';
	for (line = q->in.data; line != NULL; line = strstr(line, "\r\n")) {
		line += line == q->in.data ? 0 : 2;
		if (strncasecmp(line, "transfer-encoding:", 18) == 0 &&
		    strcasestr(line, "chunked") != NULL)
			is_chunked = true;
	}
	body += 4;
	len = (size_t)(q->in.data + q->in.len - 1 - body);
	if (!is_chunked || unchunk(body, len, &len) == 0) {
		if (json_parse_scanned(body, len, &(struct scan_limits){
		    .depth_max = 32, .heap_max = MIB(1) }, &res, &o) == 0)
			login = login_of(o);
	}
	if (login != NULL && (strlen(login) >= WHOIS_LOGIN_MAX ||
	    strcasecmp(login, TAGGED) == 0))
		login = NULL;
	question_end(q, login);
	json_object_put(o);
}

static void
question_on_fd(int fd, uint32_t what, void *arg)
{
	struct question	*q = arg;
	char		 piece[4096];
	ssize_t		 n;

	if ((what & LOOP_WRITE) != 0 && q->out.len > 0) {
		n = send(fd, q->out.data, q->out.len, MSG_NOSIGNAL);
		if (n > 0)
			buf_drop(&q->out, (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			question_end(q, NULL);
			return;
		}
		if (q->out.len == 0)
			(void)loop_watch_set(q->watch, LOOP_READ);
	}
	if ((what & LOOP_READ) == 0)
		return;
	n = recv(fd, piece, sizeof piece, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || q->in.len + (size_t)n > ANSWER_MAX)
		question_end(q, NULL);
	else if (n == 0)
		question_read_answer(q);
	else
		(void)buf_add(&q->in, piece, (size_t)n);
}

static void
question_on_timeout(void *arg)
{
	log_warn("access", "tailscaled gave no answer in %d s", 5);
	question_end(arg, NULL);
}

static int
question_connect(struct question *q)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };

	if (strlen(q->w->path) >= sizeof sun.sun_path)
		return (-ENAMETOOLONG);
	(void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", q->w->path);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (q->fd < 0)
		return (-errno);
	/* A full backlog counts as silence. */
	return (connect(q->fd, (struct sockaddr *)&sun, sizeof sun) < 0 ?
	    -errno : 0);
}

static int
question_new(struct whois *w, const char *address, struct question **ret)
{
	struct question	*q;
	bool		 is_v6 = strchr(address, ':') != NULL;
	int		 r;

	if (w->n_questions >= WHOIS_OPEN_MAX)
		return (-EAGAIN);
	q = calloc(1, sizeof *q);
	if (q == NULL)
		return (-ENOMEM);
	q->w = w;
	q->fd = -1;
	list_init(&q->waiters);
	list_init(&q->link);
	w->n_questions++;
	(void)snprintf(q->address, sizeof q->address, "%s", address);
	(void)buf_printf(&q->out, "GET /localapi/v0/whois?addr=%s%s%s:1 "
	    "HTTP/1.1\r\nHost: local-tailscaled.sock\r\n"
	    "Connection: close\r\n\r\n", is_v6 ? "%5B" : "", address,
	    is_v6 ? "%5D" : "");
	r = question_connect(q);
	if (r == 0) {
		q->watch = loop_watch_new(w->loop, q->fd,
		    LOOP_READ | LOOP_WRITE, question_on_fd, q);
		q->timer = loop_timer_new(w->loop, question_on_timeout, q);
		if (q->watch == NULL || q->timer == NULL || q->out.is_failed ||
		    loop_timer_set(q->timer, WHOIS_WAIT_US) < 0)
			r = -ENOMEM;
	}
	if (r < 0) {
		question_free(q);
		return (r);
	}
	list_append(&w->questions, &q->link);
	*ret = q;
	return (0);
}

int
whois_ask(struct whois *w, const char *address,
    char ret_login[WHOIS_LOGIN_MAX], whois_fn *fn, void *arg)
{
	struct known	*k = map_getz(w->known, address);
	struct list	*l, *tmp;
	struct question	*q = NULL;
	struct waiter	*a;
	int		 r;

	if (k != NULL && k->until_us > clock_now_us()) {
		(void)snprintf(ret_login, WHOIS_LOGIN_MAX, "%s", k->login);
		return (1);
	}
	a = malloc(sizeof *a);
	if (a == NULL)
		return (-ENOMEM);
	list_each(l, tmp, &w->questions) {
		if (strcmp(container_of(l, struct question, link)->address,
		    address) == 0)
			q = container_of(l, struct question, link);
	}
	if (q == NULL) {
		r = question_new(w, address, &q);
		if (r < 0) {
			known_add(w, address, NULL);
			free(a);
			return (r);
		}
	}
	a->fn = fn;
	a->arg = arg;
	list_append(&q->waiters, &a->link);
	return (0);
}

void
whois_forget(struct whois *w, const void *arg)
{
	struct list	*l, *tmp, *m, *mtmp;
	struct waiter	*a;

	list_each(l, tmp, &w->questions) {
		list_each(m, mtmp,
		    &container_of(l, struct question, link)->waiters) {
			a = container_of(m, struct waiter, link);
			if (a->arg != arg)
				continue;
			list_remove(&a->link);
			free(a);
		}
	}
}
