/* SPDX-License-Identifier: MIT */
/* Code points of texts that came from outside. */
#ifndef PLUGINS_COMMON_CHARS_H
#define PLUGINS_COMMON_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint32_t	first, last;
};

static inline bool
range_has(const struct range *ranges, size_t n, uint32_t c)
{
	size_t	i;

	for (i = 0; i < n; i++) {
		if (c >= ranges[i].first && c <= ranges[i].last)
			return (true);
	}
	return (false);
}

/* The next of a text; it moves past it. A broken one counts as U+FFFD. */
static inline uint32_t
next_char(const char **s, const char *end)
{
	const unsigned char	*p = (const unsigned char *)*s;
	uint32_t		 c = *p;
	unsigned		 n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 :
	    c >= 0xc0 ? 1 : 0, i;

	(*s)++;
	if (n == 0)
		return (c < 0x80 ? c : 0xfffd);
	if (end - *s < (ptrdiff_t)n)
		return (0xfffd);
	c &= 0x3fu >> n;
	for (i = 1; i <= n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0xfffd);
		c = c << 6 | (p[i] & 0x3fu);
	}
	*s += n;
	return (c);
}

#endif
