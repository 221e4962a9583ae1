/* SPDX-License-Identifier: MIT */
/*
 * The parser of server-sent events: any cut of the input gives the same events,
 * names and data are within their limits, and JSON in them is parsed or refused.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "plugins/model-common/sse.h"

struct seen {
	uint64_t	 hash;
	size_t		 n;
	size_t		 stop_at;	/* 0: never */
};

static void
mix(struct seen *s, const void *p, size_t len)
{
	const uint8_t	*b = p;
	size_t		 i;

	for (i = 0; i < len; i++)
		s->hash = (s->hash ^ b[i]) * UINT64_C(1099511628211);
	s->hash = (s->hash ^ 0x100) * UINT64_C(1099511628211);
}

static int
on_event(const char *name, const char *data, size_t len, void *arg)
{
	struct seen	*s = arg;

	if (strlen(name) > SSE_NAME_MAX || len > SSE_EVENT_MAX ||
	    data[len] != '\0')
		abort();
	mix(s, name, strlen(name));
	mix(s, data, len);
	json_object_put(jget_parse(data, len));
	s->n++;
	return (s->n == s->stop_at ? -1 : 0);
}

static struct seen
run(const uint8_t *data, size_t size, size_t piece, size_t stop_at)
{
	struct seen	 s = { UINT64_C(14695981039346656037), 0, stop_at };
	struct sse	 sse;
	size_t		 at, n;
	int		 r = 0;

	memset(&sse, 0, sizeof sse);
	for (at = 0; r == 0 && at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		r = sse_feed(&sse, (const char *)data + at, n, on_event, &s);
	}
	if (r == 0)
		r = sse_end(&sse, on_event, &s);
	if (r != 0 && stop_at == 0 && size <= SSE_EVENT_MAX)
		abort();
	sse_fini(&sse);
	return (s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen	 a, b;
	size_t		 piece;

	if (size == 0)
		return (0);
	piece = data[0] % 16 + 1;
	a = run(data + 1, size - 1, size, 0);
	b = run(data + 1, size - 1, piece, 0);
	if (a.hash != b.hash || a.n != b.n)
		abort();
	(void)run(data + 1, size - 1, 1, 1);
	return (0);
}
