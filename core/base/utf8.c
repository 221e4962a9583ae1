/* SPDX-License-Identifier: MIT */
#include "core/base/utf8.h"

#include <string.h>

/*
 * States: 0 accept, 12 reject, else what may follow. Written as ranges instead of
 * the usual 364-byte table: the ASCII path below takes most bytes anyway.
 */
enum {
	ONE = 1,	/* one continuation byte to go */
	TWO,		/* two */
	THREE,		/* three */
	E0,		/* A0..BF, then one */
	ED,		/* 80..9F, then one */
	F0,		/* 90..BF, then two */
	F4,		/* 80..8F, then two */
};

static uint32_t
utf8_step(uint32_t state, unsigned char c)
{
	switch (state) {
	case UTF8_ACCEPT:
		if (c < 0x80)
			return (UTF8_ACCEPT);
		if (c < 0xc2)
			return (UTF8_REJECT);
		if (c < 0xe0)
			return (ONE);
		if (c == 0xe0)
			return (E0);
		if (c == 0xed)
			return (ED);
		if (c < 0xf0)
			return (TWO);
		if (c == 0xf0)
			return (F0);
		if (c < 0xf4)
			return (THREE);
		return (c == 0xf4 ? F4 : UTF8_REJECT);
	case ONE:
		return ((c & 0xc0) == 0x80 ? UTF8_ACCEPT : UTF8_REJECT);
	case TWO:
		return ((c & 0xc0) == 0x80 ? ONE : UTF8_REJECT);
	case THREE:
		return ((c & 0xc0) == 0x80 ? TWO : UTF8_REJECT);
	case E0:
		return ((c & 0xe0) == 0xa0 ? ONE : UTF8_REJECT);
	case ED:
		return ((c & 0xe0) == 0x80 ? ONE : UTF8_REJECT);
	case F0:
		return (c >= 0x90 && c <= 0xbf ? TWO : UTF8_REJECT);
	case F4:
		return ((c & 0xf0) == 0x80 ? TWO : UTF8_REJECT);
	default:
		return (UTF8_REJECT);
	}
}

uint32_t
utf8_feed(uint32_t state, const void *p, size_t len)
{
	const unsigned char	*s = p, *end = s + len;
	uint64_t		 w[4];

	while (s < end) {
		if (state == UTF8_ACCEPT) {
			while (end - s >= 32) {
				memcpy(w, s, 32);
				if (((w[0] | w[1] | w[2] | w[3]) &
				    UINT64_C(0x8080808080808080)) != 0)
					break;
				s += 32;
			}
			while (s < end && *s < 0x80)
				s++;
			if (s == end)
				break;
		}
		state = utf8_step(state, *s++);
		if (state == UTF8_REJECT)
			return (UTF8_REJECT);
	}
	return (state);
}

bool
utf8_is_valid(const void *p, size_t len)
{
	return (utf8_feed(UTF8_ACCEPT, p, len) == UTF8_ACCEPT);
}

size_t
utf8_cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return (len);
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return (max);
}
