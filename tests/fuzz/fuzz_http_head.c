/* SPDX-License-Identifier: MIT */
/*
 * A request head from a stranger. What is accepted must be stable: the fields lie
 * inside the buffer, the path is in its canonical form, and no prefix of the head
 * was accepted before.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/net/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static void
check_head(const struct http_head *h, const char *buf, size_t len)
{
	static const char *const wanted[] = { "chela.v1", "openclaw", NULL };
	struct http_ws	 ws;
	const char	*name, *value, *token;
	unsigned	 i = 0, n;
	uint16_t	 status;
	size_t		 token_len;
	int		 r;

	while (http_head_next(h, &i, &name, &value)) {
		require(name >= buf && name + strlen(name) < buf + len);
		require(value >= buf && value + strlen(value) < buf + len);
		require(strpbrk(name, " \t:\r\n") == NULL && *name != '\0');
		require(strpbrk(value, "\r\n") == NULL);
		for (n = 0; http_head_token(h, name, n, &token, &token_len);
		    n++)
			require(token_len > 0 && token >= buf &&
			    token + token_len < buf + len);
	}
	require(h->path_len == strlen(h->path));
	require(h->path[0] == '/' || strcmp(h->path, "*") == 0);
	require(strstr(h->path, "//") == NULL &&
	    strstr(h->path, "/./") == NULL && strstr(h->path, "/../") == NULL);
	r = http_head_ws(h, wanted, &ws, &status);
	if (r == 1)
		require(strlen(ws.key) == 24 && strcmp(h->method, "GET") == 0);
	else if (r < 0)
		require(status == 400 || status == 426);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head	 h;
	char			*copy;
	size_t			 whole, k;
	int			 r;

	copy = malloc(size > 0 ? size : 1);
	require(copy != NULL);
	memcpy(copy, data, size);
	r = http_head_parse(copy, size, &h);
	require(r == -EBADMSG || (r >= 0 && (size_t)r <= size &&
	    r <= (int)HTTP_HEAD_MAX));
	if (r > 0)
		check_head(&h, copy, size);
	if (r < 0)
		require(h.status == 400 || h.status == 414 ||
		    h.status == 431 || h.status == 501 || h.status == 505);
	free(copy);

	whole = r > 0 ? (size_t)r : 0;
	for (k = 0; k < whole; k += 1 + whole / 16) {
		copy = malloc(k > 0 ? k : 1);
		require(copy != NULL);
		memcpy(copy, data, k);
		require(http_head_parse(copy, k, &h) == 0);
		free(copy);
	}
	return (0);
}
