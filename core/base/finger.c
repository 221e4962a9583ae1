/* SPDX-License-Identifier: MIT */
#include "core/base/finger.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

int
finger_parse(const char *text, unsigned char ret[FINGER_LEN])
{
	unsigned char	 digest[FINGER_LEN];
	size_t		 n = 0;
	int		 high, low;

	if (strncasecmp(text, "sha256:", 7) == 0)
		text += 7;
	while (*text != '\0') {
		/* A colon stands between two bytes, nowhere else. */
		if (*text == ':' && n > 0 && text[1] != '\0')
			text++;
		high = hex_digit(*text);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0 || n == FINGER_LEN)
			return (-EINVAL);
		digest[n++] = (unsigned char)(high << 4 | low);
		text += 2;
	}
	if (n != FINGER_LEN)
		return (-EINVAL);
	memcpy(ret, digest, sizeof digest);
	return (0);
}

void
finger_format(const unsigned char digest[FINGER_LEN], char ret[FINGER_TEXT])
{
	static const char	 digits[] = "0123456789abcdef";
	size_t			 i;

	memcpy(ret, "sha256:", 7);
	for (i = 0; i < FINGER_LEN; i++) {
		ret[7 + 2 * i] = digits[digest[i] >> 4];
		ret[8 + 2 * i] = digits[digest[i] & 15];
	}
	ret[FINGER_TEXT - 1] = '\0';
}
