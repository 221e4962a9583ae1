/* SPDX-License-Identifier: MIT */
/* UTF-8 as RFC 3629: no overlong forms, no surrogates, nothing above 10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "core/base/base.h"

#define UTF8_ACCEPT	0u
#define UTF8_REJECT	12u

/*
 * Feeds bytes to a validator whose state starts at UTF8_ACCEPT and survives
 * between calls. Returns the new state: UTF8_ACCEPT at a character boundary,
 * UTF8_REJECT for good once a byte was wrong.
 */
uint32_t utf8_feed(uint32_t state, const void *p, size_t len);
bool	 utf8_is_valid(const void *p, size_t len);
/* The length of the longest prefix of at most max bytes that cuts no character. */
size_t	 utf8_cut(const char *s, size_t len, size_t max);

#endif
