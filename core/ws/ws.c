/* SPDX-License-Identifier: MIT */
#include "core/ws/ws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

enum {
	STATE_HEAD,
	STATE_DATA,
	STATE_CONTROL,
	STATE_DEAD,
};

#define FIN		0x80u
#define RSV		0x70u
#define OPCODE		0x0fu
#define CONTROL		0x08u	/* set in the opcodes of control frames */
#define MASKED		0x80u

#define SHORT_HEAD	6u	/* two bytes and the mask */
#define SHORT_MAX	125u	/* what they can announce */

#define ASCII_BLOCK	4096u	/* unmask, then check while it is in cache */
#define BUF_START	1024u

#define HIGH_BITS	UINT64_C(0x8080808080808080)

void
ws_init(struct ws *ws, enum ws_side side, size_t message_max)
{
	memset(ws, 0, sizeof *ws);
	ws->side = (uint8_t)side;
	ws->utf8 = UTF8_ACCEPT;
	ws_set_max(ws, message_max);
}

void
ws_fini(struct ws *ws)
{
	if (ws == NULL)
		return;
	free(ws->buf);
	free(ws->control);
	ws->buf = ws->control = NULL;
	ws->len = ws->cap = 0;
	ws->control_len = 0;
	ws->is_lent = false;
	ws->state = STATE_DEAD;
}

void
ws_set_max(struct ws *ws, size_t message_max)
{
	/* Half of what the counters hold, so that sums of two stay exact. */
	ws->max = (uint32_t)MIN_OF(message_max, (size_t)INT32_MAX);
}

bool
ws_is_busy(const struct ws *ws)
{
	return (ws->state != STATE_DEAD && (ws->state != STATE_HEAD ||
	    ws->head_len > 0 || ws->opcode != 0));
}

size_t
ws_held(const struct ws *ws)
{
	return (ws->cap + (ws->control != NULL ? WS_CONTROL_MAX : 0));
}

static void
ws_give_back(struct ws *ws)
{
	ws->is_lent = false;
	if (ws->opcode == 0) {
		free(ws->buf);
		ws->buf = NULL;
		ws->len = ws->cap = 0;
	}
	free(ws->control);
	ws->control = NULL;
	ws->control_len = 0;
}

bool
ws_take_message(struct ws *ws, const char *data, char **ret_data)
{
	if (!ws->is_lent || ws->opcode != 0 || ws->buf == NULL ||
	    ws->buf != data)
		return (false);
	*ret_data = ws->buf;
	ws->buf = NULL;
	ws->len = ws->cap = 0;
	return (true);
}

static int
ws_fail(struct ws *ws, uint16_t code, struct ws_event *ev)
{
	ws->opcode = 0;
	ws_give_back(ws);
	ws->state = STATE_DEAD;
	ev->what = WS_FAIL;
	ev->code = code;
	ev->data = NULL;
	ev->len = 0;
	return (0);
}

/*
 * XORs by words and tells whether a byte of the result has its high bit: text
 * that is all ASCII needs no second look. The bytes are unaligned, memcpy() is a
 * load there. mask is left turned for the byte that follows.
 */
static bool
unmask(char *p, size_t len, unsigned char mask[4])
{
	uint64_t	 key, w, seen = 0;
	uint32_t	 k;
	unsigned char	 turned[4];
	size_t		 i;

	memcpy(&k, mask, sizeof k);
	key = (uint64_t)k << 32 | k;	/* the same in either byte order */
	for (; len >= sizeof w; len -= sizeof w, p += sizeof w) {
		memcpy(&w, p, sizeof w);
		w ^= key;
		seen |= w;
		memcpy(p, &w, sizeof w);
	}
	if (len >= sizeof k) {
		uint32_t	 v;

		memcpy(&v, p, sizeof v);
		v ^= k;
		seen |= v;
		memcpy(p, &v, sizeof v);
		len -= sizeof k;
		p += sizeof k;
	}
	if (len > 0) {
		for (i = 0; i < len; i++) {
			p[i] = (char)((unsigned char)p[i] ^ mask[i]);
			seen |= (unsigned char)p[i];
		}
		for (i = 0; i < sizeof turned; i++)
			turned[i] = mask[(i + len) & 3];
		memcpy(mask, turned, sizeof turned);
	}
	return ((seen & HIGH_BITS) != 0);
}

void
ws_mask(void *p, size_t len, const unsigned char mask[4])
{
	unsigned char	 m[4];

	memcpy(m, mask, sizeof m);
	(void)unmask(p, len, m);
}

/* Unmasks a piece of a message and checks it; false: it is not UTF-8. */
static bool
ws_read_text(struct ws *ws, char *p, size_t len)
{
	size_t	 n;

	if (ws->side == WS_CLIENT) {
		ws->utf8 = (uint8_t)utf8_feed(ws->utf8, p, len);
		return (ws->utf8 != UTF8_REJECT);
	}
	for (; len > 0; len -= n, p += n) {
		n = MIN_OF(len, ASCII_BLOCK);
		if (!unmask(p, n, ws->mask) && ws->utf8 == UTF8_ACCEPT)
			continue;
		ws->utf8 = (uint8_t)utf8_feed(ws->utf8, p, n);
		if (ws->utf8 == UTF8_REJECT)
			return (false);
	}
	return (true);
}

/*
 * Room for n more bytes that are here. Doubles, but never beyond what the
 * message can still become: a peer pays with bytes for memory, not with a
 * number in a head.
 */
static int
ws_grow(struct ws *ws, size_t n)
{
	size_t	 need = ws->len + n, cap, most;
	char	*p;

	if (need <= ws->cap)
		return (0);
	most = (ws->frame & FIN) ? (size_t)ws->len + ws->left : ws->max;
	cap = MAX_OF((size_t)ws->cap * 2, BUF_START);
	cap = MIN_OF(MAX_OF(cap, need), MAX_OF(most, need));
	p = realloc(ws->buf, cap);
	if (p == NULL)
		return (-ENOMEM);
	ws->buf = p;
	ws->cap = (uint32_t)cap;
	return (0);
}

static size_t
head_size(unsigned b1)
{
	unsigned	 n = b1 & 0x7fu;

	return (2u + (n == 126 ? 2u : n == 127 ? 8u : 0u) +
	    ((b1 & MASKED) ? 4u : 0u));
}

/* What the first two bytes alone can be wrong in: 0 or the code. */
static uint16_t
ws_check_start(const struct ws *ws, unsigned b0, unsigned b1)
{
	unsigned	 op = b0 & OPCODE;

	if (b0 & RSV)
		return (WS_CODE_PROTOCOL);
	if (((b1 & MASKED) != 0) != (ws->side == WS_SERVER))
		return (WS_CODE_PROTOCOL);
	if (op & CONTROL) {
		if (op > WS_OP_PONG || !(b0 & FIN) ||
		    (b1 & 0x7fu) > WS_CONTROL_MAX)
			return (WS_CODE_PROTOCOL);
		return (0);
	}
	if (op > WS_OP_BINARY)
		return (WS_CODE_PROTOCOL);
	if ((op == WS_OP_CONTINUATION) != (ws->opcode != 0))
		return (WS_CODE_PROTOCOL);
	return (0);
}

/* Takes in a whole head: 0 or the code. */
static uint16_t
ws_begin_frame(struct ws *ws, const unsigned char *h)
{
	uint64_t	 len = h[1] & 0x7fu;
	const unsigned char *mask = h + 2;
	unsigned	 op = h[0] & OPCODE, i;

	if (len == 126) {
		len = (uint64_t)h[2] << 8 | h[3];
		if (len < 126)
			return (WS_CODE_PROTOCOL);
		mask += 2;
	} else if (len == 127) {
		len = 0;
		for (i = 0; i < 8; i++)
			len = len << 8 | h[2 + i];
		if (len <= UINT16_MAX || len > INT64_MAX)
			return (WS_CODE_PROTOCOL);
		mask += 8;
	}
	if (h[1] & MASKED)
		memcpy(ws->mask, mask, sizeof ws->mask);

	ws->frame = h[0];
	if (op & CONTROL) {
		ws->left = (uint32_t)len;
		ws->state = STATE_CONTROL;
		return (0);
	}
	if (len > ws->max || ws->len + len > ws->max)
		return (WS_CODE_TOO_BIG);
	if (op != WS_OP_CONTINUATION) {
		ws->opcode = (uint8_t)op;
		ws->n_fragments = 0;
		ws->utf8 = UTF8_ACCEPT;
	} else if (++ws->n_fragments >= WS_FRAGMENTS_MAX) {
		return (WS_CODE_TOO_BIG);
	}
	ws->left = (uint32_t)len;
	ws->state = STATE_DATA;
	return (0);
}

/* Returns how many bytes it took; ret_code is 0 or why it failed. */
static size_t
ws_read_head(struct ws *ws, const char *bytes, size_t len, uint16_t *ret_code)
{
	const unsigned char *in = (const unsigned char *)bytes;
	size_t		 used = 0, size, n;

	*ret_code = 0;
	if (ws->head_len == 0 && len >= 2) {
		size = head_size(in[1]);
		if (likely(len >= size)) {
			*ret_code = ws_check_start(ws, in[0], in[1]);
			if (*ret_code == 0)
				*ret_code = ws_begin_frame(ws, in);
			return (size);
		}
	}
	while (ws->head_len < 2) {
		if (used == len)
			return (used);
		ws->head[ws->head_len++] = in[used++];
		if (ws->head_len == 2)
			*ret_code = ws_check_start(ws, ws->head[0],
			    ws->head[1]);
	}
	if (*ret_code != 0)
		return (used);
	size = head_size(ws->head[1]);
	n = MIN_OF(size - ws->head_len, len - used);
	memcpy(ws->head + ws->head_len, in + used, n);
	ws->head_len = (uint8_t)(ws->head_len + n);
	used += n;
	if (ws->head_len == size) {
		ws->head_len = 0;
		*ret_code = ws_begin_frame(ws, ws->head);
	}
	return (used);
}

static int
ws_end_message(struct ws *ws, char *data, size_t len, struct ws_event *ev)
{
	if (ws->utf8 != UTF8_ACCEPT)
		return (ws_fail(ws, WS_CODE_UTF8, ev));
	ev->what = WS_MESSAGE;
	ev->is_binary = ws->opcode == WS_OP_BINARY;
	ev->data = data;
	ev->len = len;
	ws->opcode = 0;
	ws->is_lent = ws->buf != NULL;
	return (0);
}

static int
ws_read_data(struct ws *ws, char *bytes, size_t len, size_t *used,
    struct ws_event *ev)
{
	size_t	 n = MIN_OF(len, (size_t)ws->left);
	bool	 is_last = (ws->frame & FIN) && n == ws->left;
	int	 r;

	if (!ws_read_text(ws, bytes, n))
		return (ws_fail(ws, WS_CODE_UTF8, ev));
	*used += n;

	if (is_last && ws->len == 0) {
		ws->left = 0;
		ws->state = STATE_HEAD;
		return (ws_end_message(ws, bytes, n, ev));
	}
	if (n > 0) {
		r = ws_grow(ws, n);
		if (r < 0) {
			(void)ws_fail(ws, WS_CODE_INTERNAL, ev);
			return (r);
		}
		memcpy(ws->buf + ws->len, bytes, n);
		ws->len += (uint32_t)n;
		ws->left -= (uint32_t)n;
	}
	if (ws->left == 0)
		ws->state = STATE_HEAD;
	if (is_last)
		return (ws_end_message(ws, ws->buf, ws->len, ev));
	return (0);
}

static int
ws_end_close(struct ws *ws, char *data, size_t len, struct ws_event *ev)
{
	unsigned	 code = WS_CODE_NONE;

	if (len == 1)
		return (ws_fail(ws, WS_CODE_PROTOCOL, ev));
	if (len >= 2) {
		code = (unsigned)(unsigned char)data[0] << 8 |
		    (unsigned char)data[1];
		data += 2;
		len -= 2;
		if (!ws_code_is_valid(code))
			return (ws_fail(ws, WS_CODE_PROTOCOL, ev));
		if (!utf8_is_valid(data, len))
			return (ws_fail(ws, WS_CODE_UTF8, ev));
	}
	ws->state = STATE_DEAD;
	ev->what = WS_CLOSE;
	ev->code = (uint16_t)code;
	ev->data = data;
	ev->len = len;
	return (0);
}

static int
ws_read_control(struct ws *ws, char *bytes, size_t len, size_t *used,
    struct ws_event *ev)
{
	size_t	 n = MIN_OF(len, (size_t)ws->left);
	char	*data = bytes;

	if (ws->side == WS_SERVER)
		(void)unmask(bytes, n, ws->mask);
	*used += n;
	if (n < ws->left || ws->control_len > 0) {
		if (n == 0)
			return (0);
		if (ws->control == NULL)
			ws->control = malloc(WS_CONTROL_MAX);
		if (ws->control == NULL) {
			(void)ws_fail(ws, WS_CODE_INTERNAL, ev);
			return (-ENOMEM);
		}
		memcpy(ws->control + ws->control_len, bytes, n);
		ws->control_len = (uint8_t)(ws->control_len + n);
		ws->left -= (uint32_t)n;
		if (ws->left > 0)
			return (0);
		data = ws->control;
		n = ws->control_len;
		ws->is_lent = true;
	}
	ws->left = 0;
	ws->state = STATE_HEAD;
	if ((ws->frame & OPCODE) == WS_OP_CLOSE)
		return (ws_end_close(ws, data, n, ev));
	ev->what = (ws->frame & OPCODE) == WS_OP_PING ? WS_PING : WS_PONG;
	ev->data = data;
	ev->len = n;
	return (0);
}

/*
 * Nearly every message of a client is one short text frame that is here whole:
 * its length, or 0 when it is anything else and takes the long way.
 */
static size_t
ws_read_short(struct ws *ws, char *bytes, size_t len, struct ws_event *ev)
{
	const unsigned char	*h = (const unsigned char *)bytes;
	unsigned char		 mask[4];
	size_t			 n;

	if (len < SHORT_HEAD || h[0] != (FIN | WS_OP_TEXT) || h[1] < MASKED ||
	    ws->state != STATE_HEAD || ws->head_len > 0 || ws->opcode != 0 ||
	    ws->side != WS_SERVER)
		return (0);
	n = h[1] & 0x7fu;
	if (n > SHORT_MAX || len - SHORT_HEAD < n || n > ws->max)
		return (0);
	memcpy(mask, h + 2, sizeof mask);
	bytes += SHORT_HEAD;
	if (unmask(bytes, n, mask) && !utf8_is_valid(bytes, n)) {
		(void)ws_fail(ws, WS_CODE_UTF8, ev);
		return (len);
	}
	ev->what = WS_MESSAGE;
	ev->data = bytes;
	ev->len = n;
	return (SHORT_HEAD + n);
}

int
ws_feed(struct ws *ws, char *bytes, size_t len, size_t *ret_used,
    struct ws_event *ev)
{
	uint16_t	 code;
	size_t		 used = 0;
	int		 r = 0;

	ev->what = WS_MORE;
	ev->is_binary = false;
	ev->code = 0;
	ev->data = NULL;
	ev->len = 0;
	if (ws->is_lent)
		ws_give_back(ws);
	used = ws_read_short(ws, bytes, len, ev);
	if (used > 0) {
		*ret_used = used;
		return (0);
	}

	while (ev->what == WS_MORE && r == 0) {
		if (ws->state == STATE_HEAD) {
			if (used == len)
				break;
			used += ws_read_head(ws, bytes + used, len - used,
			    &code);
			if (code != 0)
				r = ws_fail(ws, code, ev);
			else if (ws->state == STATE_HEAD)
				break;
		} else if (ws->state == STATE_DATA) {
			if (used == len && ws->left > 0)
				break;
			r = ws_read_data(ws, bytes + used, len - used, &used,
			    ev);
		} else if (ws->state == STATE_CONTROL) {
			if (used == len && ws->left > 0)
				break;
			r = ws_read_control(ws, bytes + used, len - used,
			    &used, ev);
		} else {
			break;
		}
	}
	/* Section 7.1.1: what follows a close or an error is not read. */
	if (ws->state == STATE_DEAD)
		used = len;
	*ret_used = used;
	return (r);
}

size_t
ws_head(unsigned char out[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t len,
    const unsigned char *mask)
{
	unsigned char	 bit = mask != NULL ? MASKED : 0;
	size_t		 n = 2, i;

	out[0] = (unsigned char)(FIN | (unsigned)opcode);
	if (len < 126) {
		out[1] = (unsigned char)(bit | len);
	} else if (len <= UINT16_MAX) {
		out[1] = bit | 126;
		out[2] = (unsigned char)(len >> 8);
		out[3] = (unsigned char)len;
		n = 4;
	} else {
		out[1] = bit | 127;
		for (i = 0; i < 8; i++)
			out[2 + i] = (unsigned char)(len >> (56 - 8 * i));
		n = 10;
	}
	if (mask != NULL) {
		memcpy(out + n, mask, 4);
		n += 4;
	}
	return (n);
}

bool
ws_code_is_valid(unsigned code)
{
	return ((code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999));
}

size_t
ws_close_body(unsigned char out[2 + WS_REASON_MAX], uint16_t code,
    const char *reason)
{
	size_t	 n;

	if (code == WS_CODE_NONE)
		return (0);
	out[0] = (unsigned char)(code >> 8);
	out[1] = (unsigned char)code;
	if (reason == NULL)
		return (2);
	n = utf8_cut(reason, strlen(reason), WS_REASON_MAX);
	memcpy(out + 2, reason, n);
	return (2 + n);
}
