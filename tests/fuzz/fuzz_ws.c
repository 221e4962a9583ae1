/* SPDX-License-Identifier: MIT */
/*
 * Frames from a stranger. The first byte says which side reads, the second how
 * the rest is cut; fed whole and fed in pieces it must give the same events.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/ws/ws.h"

#define LIMIT	2048u
#define EVENTS	256u

struct seen {
	enum ws_what	 what;
	bool		 is_binary;
	uint16_t	 code;
	size_t		 len;
	uint64_t	 hash;
};

struct trace {
	struct seen	 seen[EVENTS];
	size_t		 n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
hash(const char *p, size_t len)
{
	uint64_t	 h = UINT64_C(0xcbf29ce484222325);

	while (len-- > 0)
		h = (h ^ (unsigned char)*p++) * UINT64_C(0x100000001b3);
	return (h);
}

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static void
feed(struct ws *ws, const uint8_t *p, size_t len, struct trace *t, bool takes)
{
	struct ws_event	 ev;
	struct seen	*s;
	char		*copy = malloc(len > 0 ? len : 1), *own;
	size_t		 at = 0, used;

	require(copy != NULL);
	memcpy(copy, p, len);
	do {
		require(ws_feed(ws, copy + at, len - at, &used, &ev) == 0);
		require(used <= len - at);
		at += used;
		require(ws_held(ws) <= LIMIT + WS_CONTROL_MAX);
		if (ev.what == WS_MORE)
			break;
		require(ev.len <= (ev.what == WS_MESSAGE ? LIMIT :
		    WS_CONTROL_MAX));
		if (ev.what == WS_MESSAGE || ev.what == WS_CLOSE)
			require(utf8_is_valid(ev.data, ev.len));
		if (ev.what == WS_FAIL)
			require(ev.code == 1002 || ev.code == 1007 ||
			    ev.code == 1009);
		if (t->n < EVENTS) {
			s = &t->seen[t->n++];
			memset(s, 0, sizeof *s);
			s->what = ev.what;
			s->is_binary = ev.is_binary;
			s->code = ev.code;
			s->len = ev.len;
			s->hash = hash(ev.data, ev.len);
		}
		if (takes && ev.what == WS_MESSAGE &&
		    ws_take_message(ws, ev.data, &own))
			free(own);
	} while (true);
	require(at == len);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct trace	 whole, cut;
	struct ws		 ws;
	enum ws_side		 side;
	uint32_t		 seed;
	size_t			 at, n;

	if (size < 2)
		return (0);
	side = (data[0] & 1) ? WS_CLIENT : WS_SERVER;
	seed = data[1];
	data += 2;
	size -= 2;
	whole.n = cut.n = 0;

	ws_init(&ws, side, LIMIT);
	feed(&ws, data, size, &whole, false);
	ws_fini(&ws);

	ws_init(&ws, side, LIMIT);
	for (at = 0; at < size; at += n) {
		seed = seed * 1103515245u + 12345u;
		n = MIN_OF(size - at, (seed >> 16) % 23);
		feed(&ws, data + at, n, &cut, true);
	}
	ws_fini(&ws);

	require(whole.n == cut.n);
	require(memcmp(whole.seen, cut.seen, whole.n * sizeof(struct seen)) ==
	    0);
	return (0);
}
