/* SPDX-License-Identifier: MIT */
/* An answer to an upgrade from whoever listens there. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static int
judge(const uint8_t *data, size_t size, struct reply *ret)
{
	char	*copy = malloc(size > 0 ? size : 1);
	int	 r;

	require(copy != NULL);
	memcpy(copy, data, size);
	r = reply_read(copy, size, "dGhlIHNhbXBsZSBub25jZQ==", "chela.v1", ret);
	free(copy);
	return (r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply	 whole, part;
	size_t		 k, step = 1 + size / 16;
	int		 r, early;

	r = judge(data, size, &whole);
	require(r == -EPROTO || (r >= 0 && (size_t)r <= size));
	require((r == -EPROTO) == (whole.why != NULL));
	if (r > 0)
		require(whole.status <= 999 &&
		    strlen(whole.words) <= REPLY_WORDS_MAX);
	/* A part is never judged otherwise than the whole. */
	for (k = 0; k < size; k += step) {
		early = judge(data, k, &part);
		require(early == 0 || early == r);
	}
	return (0);
}
