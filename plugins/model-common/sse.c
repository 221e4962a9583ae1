/* SPDX-License-Identifier: MIT */
#include "sse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void
sse_fini(struct sse *s)
{
	text_fini(&s->line);
	text_fini(&s->data);
	memset(s, 0, sizeof *s);
}

static int
sse_dispatch(struct sse *s, sse_event_fn *fn, void *arg)
{
	char	 name[sizeof s->name];
	int	 r = 0;

	memcpy(name, s->name, sizeof name);
	s->name[0] = '\0';
	if (s->has_data) {
		s->has_data = 0;
		r = fn(name, text_str(&s->data), s->data.len, arg);
	}
	text_reset(&s->data);
	return (r);
}

static int
is_field(const char *line, size_t n, const char *name)
{
	return (n == strlen(name) && memcmp(line, name, n) == 0);
}

static int
sse_line(struct sse *s, const char *line, size_t len, sse_event_fn *fn,
    void *arg)
{
	const char	*value;
	size_t		 n;
	int		 r;

	if (!s->is_past_bom) {
		s->is_past_bom = 1;
		if (len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
			line += 3;
			len -= 3;
		}
	}
	if (len == 0)
		return (sse_dispatch(s, fn, arg));
	value = memchr(line, ':', len);
	n = value == NULL ? len : (size_t)(value - line);
	if (value == NULL) {
		value = line + len;
		len = 0;
	} else {
		value++;
		len -= n + 1;
		if (len > 0 && *value == ' ') {
			value++;
			len--;
		}
	}
	if (is_field(line, n, "data")) {
		if (s->has_data) {
			r = text_add(&s->data, "\n", 1, SSE_EVENT_MAX);
			if (r < 0)
				return (r);
		}
		s->has_data = 1;
		return (text_add(&s->data, value, len, SSE_EVENT_MAX));
	}
	if (is_field(line, n, "event"))
		(void)snprintf(s->name, sizeof s->name, "%.*s",
		    (int)(len < SSE_NAME_MAX ? len : SSE_NAME_MAX), value);
	return (0);
}

int
sse_feed(struct sse *s, const char *p, size_t len, sse_event_fn *fn, void *arg)
{
	const char	*end = p + len, *q;
	int		 r;

	while (p < end) {
		if (s->is_after_cr && *p == '\n')
			p++;
		s->is_after_cr = 0;
		for (q = p; q < end && *q != '\n' && *q != '\r'; q++)
			;
		if (q == end)
			return (text_add(&s->line, p, (size_t)(q - p),
			    SSE_LINE_MAX));
		s->is_after_cr = *q == '\r';
		if (s->line.len > 0) {
			r = text_add(&s->line, p, (size_t)(q - p),
			    SSE_LINE_MAX);
			if (r == 0)
				r = sse_line(s, s->line.p, s->line.len, fn,
				    arg);
			text_reset(&s->line);
		} else
			r = sse_line(s, p, (size_t)(q - p), fn, arg);
		if (r < 0)
			return (r);
		p = q + 1;
	}
	return (0);
}

int
sse_end(struct sse *s, sse_event_fn *fn, void *arg)
{
	/* Half a line is not an event's end but a connection's. */
	if (s->line.len > 0)
		return (0);
	return (sse_dispatch(s, fn, arg));
}
