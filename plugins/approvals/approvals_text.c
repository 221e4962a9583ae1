/* SPDX-License-Identifier: MIT */
/* Texts that are shown to people who decide, and texts in addresses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "approvals_priv.h"

/* What has no picture, or changes how its neighbours are drawn. */
static const struct range unseen[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },
	{ 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
	{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
	{ 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
};

static bool
is_unseen(uint32_t c)
{
	return (range_has(unseen, sizeof unseen / sizeof unseen[0], c));
}

static bool
is_blank(uint32_t c)
{
	return (c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 ||
	    c == 0x3000 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	    c == 0x2029);
}

char *
text_clean(const char *s)
{
	const char	*end = s + strlen(s), *from;
	char		*out = malloc((size_t)(end - s) + 1), *w = out;
	uint32_t	 c;

	if (out == NULL)
		return (NULL);
	while (*s != '\0') {
		from = s;
		c = next_char(&s, end);
		if (is_blank(c)) {
			if (w > out && w[-1] != ' ')
				*w++ = ' ';
		} else if (!is_unseen(c)) {
			memcpy(w, from, (size_t)(s - from));
			w += s - from;
		}
	}
	if (w > out && w[-1] == ' ')
		w--;
	*w = '\0';
	return (out);
}

char *
text_clean_lines(const char *s, size_t max)
{
	const char	*end = s + strlen(s), *from;
	char		*out = malloc((size_t)(end - s) + 1), *w = out;
	uint32_t	 c;

	if (out == NULL)
		return (NULL);
	while (*s != '\0') {
		from = s;
		c = next_char(&s, end);
		if ((size_t)(w - out) + (size_t)(s - from) > max)
			break;
		if (c != '\n' && c != '\t' && is_unseen(c))
			continue;
		memcpy(w, from, (size_t)(s - from));
		w += s - from;
	}
	*w = '\0';
	return (out);
}

size_t
text_chars(const char *s)
{
	const char	*end = s + strlen(s);
	size_t		 n;

	/* As JSON Schema counts: code points. */
	for (n = 0; *s != '\0'; n++)
		(void)next_char(&s, end);
	return (n);
}

char *
text_url(const char *id)
{
	static const char	 hex[] = "0123456789ABCDEF";
	char			*out = malloc(3 * strlen(id) + 1), *w = out;

	if (out == NULL)
		return (NULL);
	for (; *id != '\0'; id++) {
		unsigned char	c = (unsigned char)*id;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || strchr("-_.!~*'()", c) != NULL) {
			*w++ = (char)c;
		} else {
			*w++ = '%';
			*w++ = hex[c >> 4];
			*w++ = hex[c & 15];
		}
	}
	*w = '\0';
	return (out);
}

static const char b64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
b64_encode(const char *s, size_t len)
{
	char		*out = malloc(len / 3 * 4 + 5), *w = out;
	uint32_t	 bits = 0;
	unsigned	 n = 0;
	size_t		 i;

	if (out == NULL)
		return (NULL);
	for (i = 0; i < len; i++) {
		bits = bits << 8 | (unsigned char)s[i];
		for (n += 8; n >= 6; n -= 6)
			*w++ = b64[bits >> (n - 6) & 63];
	}
	if (n > 0)
		*w++ = b64[bits << (6 - n) & 63];
	*w = '\0';
	return (out);
}

char *
b64_decode(const char *s)
{
	char		*out = malloc(strlen(s) * 3 / 4 + 2), *w = out;
	const char	*at;
	uint32_t	 bits = 0;
	unsigned	 n = 0;

	for (; out != NULL && *s != '\0'; s++) {
		at = strchr(b64, *s);
		if (at == NULL) {
			free(out);
			return (NULL);
		}
		bits = bits << 6 | (uint32_t)(at - b64);
		n += 6;
		if (n >= 8) {
			n -= 8;
			*w++ = (char)(bits >> n & 255);
		}
	}
	if (out != NULL)
		*w = '\0';
	return (out);
}
