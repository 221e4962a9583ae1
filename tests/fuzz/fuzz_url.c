/* SPDX-License-Identifier: MIT */
/* What an address accepts must be fit for a request line and a Host field. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/client/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct url	 u;
	char		*text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (url_parse(text, &u) == 0) {
		require(u.target[0] == '/' && *u.host != '\0');
		require(strpbrk(u.target, " \r\n\t#") == NULL);
		require(strpbrk(u.authority, " \r\n\t/?#@") == NULL);
		require(atoi(u.port) >= 1 && atoi(u.port) <= 65535);
		url_fini(&u);
	}
	free(text);
	return (0);
}
