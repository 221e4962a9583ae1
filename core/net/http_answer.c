/* SPDX-License-Identifier: MIT */
/* Heads of HTTP answers, and answers that end their connection. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "core/net/net_priv.h"

#define HTTP_HSTS_MAX	256u	/* bytes of the value */

static const char security_headers[] =
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n";
static const char permissions_policy[] =
    "Permissions-Policy: camera=(), microphone=(self), geolocation=()\r\n";

static const struct {
	unsigned	 status;
	const char	*text;
} status_texts[] = {
	{ 200, "OK" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 204, "No Content" },
	{ 206, "Partial Content" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 412, "Precondition Failed" },
	{ 413, "Payload Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 422, "Unprocessable Content" },
	{ 426, "Upgrade Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *
status_text(unsigned status)
{
	size_t	 i;

	for (i = 0; i < ARRAY_LEN(status_texts); i++) {
		if (status_texts[i].status == status)
			return (status_texts[i].text);
	}
	return ("Other");
}

/* Is there a line of that name among the extra ones? */
static bool
has_line(const char *lines, const char *name)
{
	size_t	 len = strlen(name);

	while (lines != NULL && *lines != '\0') {
		if (strncasecmp(lines, name, len) == 0 && lines[len] == ':')
			return (true);
		lines = strstr(lines, "\r\n");
		if (lines != NULL)
			lines += 2;
	}
	return (false);
}

/* RFC 9110 section 6.6.1; names of days and months are not the locale's. */
static void
add_date(struct buf *b)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri",
	    "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t		 now = time(NULL);
	struct tm	 tm;

	if (gmtime_r(&now, &tm) == NULL)
		return;
	(void)buf_printf(b, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
	    tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* framing: lines that say how long the body is and what comes after it. */
void
http_answer_head(const struct net *n, struct buf *b,
    const struct net_reply *reply, const char *framing)
{
	(void)buf_printf(b, "HTTP/1.1 %u %s\r\n", reply->status,
	    status_text(reply->status));
	add_date(b);
	(void)buf_puts(b, security_headers);
	if (!has_line(reply->extra, "permissions-policy"))
		(void)buf_puts(b, permissions_policy);
	if (n->hsts != NULL)
		(void)buf_printf(b, "Strict-Transport-Security: %s\r\n",
		    n->hsts);
	if (reply->status != 204 && reply->status != 304)
		(void)buf_printf(b, "Content-Type: %s\r\n", reply->type != NULL ?
		    reply->type : "text/plain; charset=utf-8");
	(void)buf_puts(b, framing);
	if (reply->extra != NULL)
		(void)buf_puts(b, reply->extra);
	(void)buf_puts(b, "\r\n");
}

int
net_set_hsts(struct net *n, const char *value)
{
	char		*copy = NULL;
	size_t		 i;

	for (i = 0; value != NULL && value[i] != '\0'; i++) {
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f ||
		    i == HTTP_HSTS_MAX)
			return (-EINVAL);
	}
	if (i > 0) {
		copy = strdup(value);
		if (copy == NULL)
			return (-ENOMEM);
	}
	free(n->hsts);
	n->hsts = copy;
	return (0);
}

/* The last thing that this connection gets. */
void
conn_http_reply(struct conn *c, const struct net_reply *reply)
{
	struct buf	 b = BUF_INIT;
	char		 framing[80];

	(void)snprintf(framing, sizeof framing, "Content-Length: %zu\r\n"
	    "Connection: close\r\n", reply->body_len);
	http_answer_head(c->net, &b, reply, framing);
	(void)buf_add(&b, reply->body, reply->body_len);
	if (b.is_failed || !net_make_room(c->net, b.len) ||
	    out_add(&c->out, b.data, b.len, NULL, 0) < 0) {
		buf_fini(&b);
		conn_kill(c);
		return;
	}
	buf_fini(&b);
	conn_linger(c);
}

void
conn_http_error(struct conn *c, unsigned status, const char *extra)
{
	struct net_reply	 reply = { .status = status, .extra = extra,
		.body = status_text(status) };

	c->net->stats.protocol_errors++;
	reply.body_len = strlen(reply.body);
	conn_http_reply(c, &reply);
}
