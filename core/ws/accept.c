/* SPDX-License-Identifier: MIT */
/*
 * The one hash of the opening handshake: SHA-1 (RFC 3174) in base64 (RFC 4648).
 * It proves that the peer speaks WebSocket and nothing else; it is no protection
 * and must not be used as one.
 */
#include <string.h>

#include "core/ws/ws.h"

#define SHA1_BLOCK	64u
#define SHA1_SIZE	20u

static const char ws_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

static uint32_t
rol(uint32_t x, unsigned n)
{
	return (x << n | x >> (32 - n));
}

static void
sha1_block(uint32_t h[5], const unsigned char *p)
{
	uint32_t	 w[80], a, b, c, d, e, f, k, t;
	unsigned	 i;

	for (i = 0; i < 16; i++, p += 4)
		w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	a = h[0];
	b = h[1];
	c = h[2];
	d = h[3];
	e = h[4];
	for (i = 0; i < 80; i++) {
		if (i < 20) {
			f = (b & c) | (~b & d);
			k = 0x5a827999u;
		} else if (i < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1u;
		} else if (i < 60) {
			f = (b & c) | (b & d) | (c & d);
			k = 0x8f1bbcdcu;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6u;
		}
		t = rol(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* Of text that fits two blocks with its padding. */
static void
sha1_short(const unsigned char *p, size_t len, unsigned char out[SHA1_SIZE])
{
	uint32_t	 h[5] = { 0x67452301u, 0xefcdab89u, 0x98badcfeu,
			    0x10325476u, 0xc3d2e1f0u };
	unsigned char	 pad[2 * SHA1_BLOCK] = { 0 };
	size_t		 n = len + 9 > SHA1_BLOCK ? sizeof pad : SHA1_BLOCK;
	uint64_t	 bits = (uint64_t)len * 8;
	unsigned	 i;

	memcpy(pad, p, len);
	pad[len] = 0x80;
	for (i = 0; i < 8; i++)
		pad[n - 1 - i] = (unsigned char)(bits >> (8 * i));
	sha1_block(h, pad);
	if (n > SHA1_BLOCK)
		sha1_block(h, pad + SHA1_BLOCK);
	for (i = 0; i < SHA1_SIZE; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void
ws_base64(const void *p, size_t len, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = p;
	uint32_t	 v;

	for (; len > 0; in += 3) {
		v = (uint32_t)in[0] << 16;
		if (len > 1)
			v |= (uint32_t)in[1] << 8;
		if (len > 2)
			v |= in[2];
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = len > 1 ? digits[v >> 6 & 63] : '=';
		*out++ = len > 2 ? digits[v & 63] : '=';
		len -= MIN_OF(len, 3);
	}
	*out = '\0';
}

void
ws_accept_key(const char *key, size_t len, char out[WS_ACCEPT_SIZE])
{
	unsigned char	 text[WS_KEY_LEN + sizeof ws_guid];
	unsigned char	 hash[SHA1_SIZE];

	/* The handshake has checked the length; more would not be a key. */
	len = MIN_OF(len, WS_KEY_LEN);
	memcpy(text, key, len);
	memcpy(text + len, ws_guid, sizeof ws_guid - 1);
	sha1_short(text, len + sizeof ws_guid - 1, hash);
	ws_base64(hash, sizeof hash, out);
}
