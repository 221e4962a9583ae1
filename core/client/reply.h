/* SPDX-License-Identifier: MIT */
/* The gateway's answer to an upgrade (RFC 6455 section 4.1): bytes to verdict. */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include "core/base/base.h"

#define REPLY_HEAD_MAX		KIB(16)
#define REPLY_WORDS_MAX		120u	/* of a body that is shown to people */

struct reply {
	unsigned	 status;	/* 101: upgraded */
	/* Of another status: a line of its body for people, "" for none. */
	char		 words[REPLY_WORDS_MAX + 1];
	const char	*why;		/* of -EPROTO */
};

/*
 * Returns the length of the head, 0 when more bytes are needed, or -EPROTO:
 * whoever answers there is no gateway that speaks protocol, ret->why says so.
 */
int	 reply_read(const char *bytes, size_t len, const char *key,
	    const char *protocol, struct reply *ret) must_use;

#endif
