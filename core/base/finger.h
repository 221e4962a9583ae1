/* SPDX-License-Identifier: MIT */
/*
 * The fingerprint of a certificate as people write it: SHA-256 of the DER in
 * hexadecimal, perhaps with colons and with "sha256:" before it.
 */
#ifndef BASE_FINGER_H
#define BASE_FINGER_H

#include "core/base/base.h"

#define FINGER_LEN	32u
#define FINGER_TEXT	(7u + 2u * FINGER_LEN + 1u)	/* "sha256:" hex NUL */

/* 0, or -EINVAL when text is no fingerprint; ret is untouched then. */
int	 finger_parse(const char *text, unsigned char ret[FINGER_LEN]) must_use;
/* "sha256:" and 64 lower case digits. */
void	 finger_format(const unsigned char digest[FINGER_LEN],
	    char ret[FINGER_TEXT]);

#endif
