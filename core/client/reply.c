/* SPDX-License-Identifier: MIT */
#include "core/client/reply.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "core/base/utf8.h"
#include "core/ws/ws.h"

/* A head between its status line and its empty line. */
struct fields {
	const char	*p;
	size_t		 len;
};

static int
reply_bad(struct reply *ret, const char *why)
{
	ret->why = why;
	return (-EPROTO);
}

/*
 * The value of the one field of that name. False when it is not there, or more
 * than once: two of them are two opinions.
 */
static bool
field_get(const struct fields *f, const char *name, const char **ret_value,
    size_t *ret_len)
{
	const char	*line = f->p, *end = f->p + f->len, *stop, *p;
	size_t		 n = strlen(name), len;
	bool		 found = false;

	for (; line < end; line = stop + 2) {
		stop = memmem(line, (size_t)(end - line), "\r\n", 2);
		if (stop == NULL)
			return (false);
		if ((size_t)(stop - line) <= n || line[n] != ':' ||
		    strncasecmp(line, name, n) != 0)
			continue;
		if (found)
			return (false);
		found = true;
		for (p = line + n + 1; p < stop && (*p == ' ' || *p == '\t');)
			p++;
		len = (size_t)(stop - p);
		while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
			len--;
		*ret_value = p;
		*ret_len = len;
	}
	return (found);
}

static bool
field_is(const struct fields *f, const char *name, const char *want,
    bool has_case)
{
	const char	*p;
	size_t		 len;

	return (field_get(f, name, &p, &len) && len == strlen(want) &&
	    (has_case ? strncmp(p, want, len) : strncasecmp(p, want, len)) ==
	    0);
}

static bool
field_exists(const struct fields *f, const char *name)
{
	const char	*line, *end = f->p + f->len;
	size_t		 n = strlen(name);

	for (line = f->p; line != NULL && line < end; ) {
		if ((size_t)(end - line) > n && line[n] == ':' &&
		    strncasecmp(line, name, n) == 0)
			return (true);
		line = memmem(line, (size_t)(end - line), "\r\n", 2);
		if (line != NULL)
			line += 2;
	}
	return (false);
}

/* One short line of text is worth showing; a page is not. */
static void
read_words(const char *p, size_t len, char *out)
{
	out[0] = '\0';
	while (len > 0 && (unsigned char)p[len - 1] <= ' ')
		len--;
	if (len > REPLY_WORDS_MAX || !utf8_is_valid(p, len) ||
	    memchr(p, '\n', len) != NULL || memchr(p, '<', len) != NULL ||
	    memchr(p, '\0', len) != NULL)
		return;
	memcpy(out, p, len);
	out[len] = '\0';
}

int
reply_read(const char *bytes, size_t len, const char *key,
    const char *protocol, struct reply *ret)
{
	static const char	 start[] = "HTTP/1.1 ";
	char			 want[WS_ACCEPT_SIZE];
	struct fields		 f;
	const char		*end, *line;
	size_t			 n;

	ret->status = 0;
	ret->words[0] = '\0';
	ret->why = NULL;
	n = MIN_OF(len, sizeof start - 1);
	if (memcmp(bytes, start, n) != 0)
		return (reply_bad(ret, "it does not speak HTTP"));
	end = memmem(bytes, MIN_OF(len, REPLY_HEAD_MAX), "\r\n\r\n", 4);
	if (end == NULL)
		return (len < REPLY_HEAD_MAX ? 0 :
		    reply_bad(ret, "its answer is too long"));
	end += 4;
	if (memchr(bytes, '\0', (size_t)(end - bytes)) != NULL)
		return (reply_bad(ret, "it does not speak HTTP"));
	line = bytes + sizeof start - 1;
	for (n = 0; n < 3; n++) {
		if (line[n] < '0' || line[n] > '9')
			return (reply_bad(ret, "it does not speak HTTP"));
		ret->status = ret->status * 10 + (unsigned)(line[n] - '0');
	}
	if (line[3] != ' ' && line[3] != '\r')
		return (reply_bad(ret, "it does not speak HTTP"));
	if (ret->status != 101) {
		read_words(end, len - (size_t)(end - bytes), ret->words);
		return ((int)(end - bytes));
	}

	f.p = (const char *)memmem(line, (size_t)(end - line), "\r\n", 2) + 2;
	f.len = (size_t)(end - 2 - f.p);
	ws_accept_key(key, strlen(key), want);
	if (!field_is(&f, "upgrade", "websocket", false) ||
	    !field_is(&f, "connection", "upgrade", false) ||
	    !field_is(&f, "sec-websocket-accept", want, true))
		return (reply_bad(ret, "it did not upgrade to WebSocket"));
	if (field_exists(&f, "sec-websocket-extensions"))
		return (reply_bad(ret,
		    "it chose an extension that was not offered"));
	if (!field_is(&f, "sec-websocket-protocol", protocol, true))
		return (reply_bad(ret, "it does not speak this protocol"));
	return ((int)(end - bytes));
}
