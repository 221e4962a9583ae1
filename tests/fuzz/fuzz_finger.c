/* SPDX-License-Identifier: MIT */
/* What is taken for a fingerprint has one canonical text that says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/finger.h"

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
	unsigned char	 digest[FINGER_LEN], again[FINGER_LEN];
	char		 out[FINGER_TEXT], *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (finger_parse(text, digest) == 0) {
		require(strspn(text, "sSHhAa256:0123456789abcdefABCDEF") ==
		    strlen(text));
		finger_format(digest, out);
		require(strlen(out) == FINGER_TEXT - 1);
		require(finger_parse(out, again) == 0);
		require(memcmp(digest, again, sizeof digest) == 0);
	}
	free(text);
	return (0);
}
