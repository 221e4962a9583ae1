/* SPDX-License-Identifier: MIT */
#include "core/base/uuid.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define UUID_POOL	64	/* UUIDs that one system call pays for */

void
uuid_make(char ret_text[37])
{
	static const char hex[] = "0123456789abcdef";
	static unsigned char	 pool[UUID_POOL * 16];
	static size_t		 left;
	unsigned char		*r;
	size_t			 i, o = 0;

	if (left == 0) {
		/* Up to 256 bytes come whole; without random bytes no identity. */
		for (i = 0; i < sizeof pool; i += 256) {
			if (getrandom(pool + i, 256, 0) != 256)
				abort();
		}
		left = UUID_POOL;
	}
	r = pool + --left * 16;
	r[6] = (unsigned char)(0x40 | (r[6] & 0x0f));
	r[8] = (unsigned char)(0x80 | (r[8] & 0x3f));
	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret_text[o++] = '-';
		ret_text[o++] = hex[r[i] >> 4];
		ret_text[o++] = hex[r[i] & 15];
	}
	ret_text[o] = '\0';
	/* The nonce of a handshake is made here: do not keep it. */
	memset(r, 0, 16);
}
