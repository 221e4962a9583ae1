/* SPDX-License-Identifier: MIT */
#include "tests/unit/peer.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/net/http_head.h"

struct peer {
	struct loop		*loop;
	struct peer_script	 script;
	int			 listen_fd;
	struct loop_watch	*listen_watch;
	unsigned		 port;
	unsigned		 n_accepted;
	unsigned		 n_pongs;
	int			 fd;
	struct loop_watch	*watch;
	struct buf		 in;
	bool			 is_open;
	struct ws		 ws;
};

void
peer_hang_up(struct peer *p)
{
	p->watch = loop_watch_free(p->watch);
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
	p->is_open = false;
	ws_fini(&p->ws);
	buf_fini(&p->in);
}

/* Test traffic is small: what the socket does not take at once is an error. */
void
peer_send_raw(struct peer *p, const void *data, size_t len)
{
	ssize_t	 n;

	if (p->fd < 0)
		return;
	n = send(p->fd, data, len, MSG_NOSIGNAL);
	if (n >= 0 && (size_t)n != len)
		abort();
}

void
peer_send_frame(struct peer *p, enum ws_opcode op, const void *data, size_t len)
{
	unsigned char	 head[WS_HEAD_MAX];

	peer_send_raw(p, head, ws_head(head, op, len, NULL));
	peer_send_raw(p, data, len);
}

void
peer_send(struct peer *p, const char *fmt, ...)
{
	va_list	 ap;
	char	*text;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	peer_send_frame(p, WS_OP_TEXT, text, (size_t)n);
	free(text);
}

void
peer_send_close(struct peer *p, unsigned code, const char *reason)
{
	unsigned char	 body[2 + WS_REASON_MAX];

	peer_send_frame(p, WS_OP_CLOSE, body, ws_close_body(body,
	    (uint16_t)code, reason));
}

static void
peer_request(struct peer *p, const char *text, size_t len)
{
	struct json_object	*frame, *id, *method, *params;
	struct json_tokener	*tok = json_tokener_new();

	frame = json_tokener_parse_ex(tok, text, (int)len);
	json_tokener_free(tok);
	if (frame == NULL)
		abort();
	id = json_object_object_get(frame, "id");
	method = json_object_object_get(frame, "method");
	params = json_object_object_get(frame, "params");
	if ((p->script.on_request == NULL || !p->script.on_request(p,
	    json_object_get_string(id), json_object_get_string(method), params,
	    p->script.arg)) &&
	    strcmp(json_object_get_string(method), "connect") == 0)
		peer_send(p, "{\"id\":\"%s\",\"ok\":true,\"result\":%s}",
		    json_object_get_string(id), p->script.hello != NULL ?
		    p->script.hello :
		    "{\"protocol\":4,\"policy\":{\"tickIntervalMs\":30000}}");
	json_object_put(frame);
}

static void
peer_feed(struct peer *p, char *data, size_t len)
{
	struct ws_event	 ev;
	size_t		 used;

	do {
		if (ws_feed(&p->ws, data, len, &used, &ev) < 0)
			abort();
		data += used;
		len -= used;
		switch (ev.what) {
		case WS_MESSAGE:
			peer_request(p, ev.data, ev.len);
			break;
		case WS_PONG:
			p->n_pongs++;
			break;
		case WS_CLOSE:
			if (p->script.on_close != NULL)
				p->script.on_close(p, ev.code, p->script.arg);
			peer_hang_up(p);
			break;
		case WS_FAIL:
			abort();
		default:
			break;
		}
	} while (p->is_open && ev.what != WS_MORE);
}

static void
peer_upgrade(struct peer *p)
{
	static const char *const wanted[] = { "chela.v1", NULL };
	struct http_head	 h;
	struct http_ws		 ws;
	struct buf		 out = BUF_INIT;
	char			 accept_key[WS_ACCEPT_SIZE];
	uint16_t		 status;
	int			 n;

	n = http_head_parse(p->in.data, p->in.len, &h);
	if (n == 0)
		return;
	if (n < 0 || http_head_ws(&h, wanted, &ws, &status) != 1)
		abort();
	if (p->script.http != NULL) {
		peer_send_raw(p, p->script.http, strlen(p->script.http));
		peer_hang_up(p);
		return;
	}
	ws_accept_key(ws.key, WS_KEY_LEN, accept_key);
	(void)buf_printf(&out, "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %.*s\r\n\r\n",
	    accept_key, (int)ws.protocol_len, ws.protocol);
	peer_send_raw(p, out.data, out.len);
	buf_fini(&out);
	p->is_open = true;
	ws_init(&p->ws, WS_SERVER, MIB(25));
	if (!p->script.is_silent)
		peer_send(p, "{\"event\":\"connect.challenge\","
		    "\"data\":{\"nonce\":\"n\",\"ts\":" PEER_CLOCK "}}");
}

static void
peer_on_read(int fd, uint32_t what, void *arg)
{
	struct peer	*p = arg;
	char		 data[65536];
	ssize_t		 n;

	(void)what;
	n = recv(fd, data, sizeof data, 0);
	if (n <= 0) {
		peer_hang_up(p);
		return;
	}
	if (p->script.is_deaf)
		return;
	if (p->is_open) {
		peer_feed(p, data, (size_t)n);
		return;
	}
	if (buf_add(&p->in, data, (size_t)n) < 0)
		abort();
	peer_upgrade(p);
}

static void
peer_on_accept(int fd, uint32_t what, void *arg)
{
	struct peer	*p = arg;

	(void)what;
	peer_hang_up(p);
	p->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (p->fd < 0)
		abort();
	p->n_accepted++;
	p->watch = loop_watch_new(p->loop, p->fd, LOOP_READ, peer_on_read, p);
	if (p->watch == NULL)
		abort();
}

struct peer *
peer_new(struct loop *loop, const struct peer_script *s)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	socklen_t		 len = sizeof sin;
	struct peer		*p = calloc(1, sizeof *p);

	if (p == NULL)
		abort();
	p->loop = loop;
	p->script = *s;
	p->fd = -1;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->listen_fd < 0 ||
	    bind(p->listen_fd, (struct sockaddr *)&sin, sizeof sin) < 0 ||
	    listen(p->listen_fd, 8) < 0 ||
	    getsockname(p->listen_fd, (struct sockaddr *)&sin, &len) < 0)
		abort();
	p->port = ntohs(sin.sin_port);
	p->listen_watch = loop_watch_new(loop, p->listen_fd, LOOP_READ,
	    peer_on_accept, p);
	if (p->listen_watch == NULL)
		abort();
	return (p);
}

struct peer *
peer_free(struct peer *p)
{
	if (p == NULL)
		return (NULL);
	peer_hang_up(p);
	loop_watch_free(p->listen_watch);
	(void)close(p->listen_fd);
	free(p);
	return (NULL);
}

unsigned
peer_port(const struct peer *p)
{
	return (p->port);
}

unsigned
peer_accepted(const struct peer *p)
{
	return (p->n_accepted);
}

unsigned
peer_pongs(const struct peer *p)
{
	return (p->n_pongs);
}
