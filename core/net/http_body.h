/* SPDX-License-Identifier: MIT */
/*
 * The body of an HTTP/1.1 request (RFC 9112 sections 6 and 7): bytes in, content
 * out, as a state machine without I/O and without memory of its own. As strict
 * as the parser of heads: where two readers could disagree it refuses.
 */
#ifndef NET_HTTP_BODY_H
#define NET_HTTP_BODY_H

#include "core/base/base.h"

struct http_head;

#define HTTP_CHUNK_LINE_MAX	256u	/* size, extensions, CRLF: one chunk's */
#define HTTP_CHUNK_EXT_MAX	4096u	/* extensions of a whole body */
#define HTTP_TRAILER_MAX	4096u	/* bytes of all trailer lines */

enum http_body_event {
	HTTP_BODY_MORE,		/* all was used; more bytes are needed */
	HTTP_BODY_DATA,		/* some content */
	HTTP_BODY_END,		/* what follows is another request */
};

struct http_body {
	uint64_t	 left;		/* of the content or the chunk */
	uint64_t	 total;		/* content so far, this chunk included */
	uint64_t	 max;
	uint32_t	 n_line;	/* bytes of the line so far */
	uint32_t	 n_ext;
	uint32_t	 n_trailer;
	uint16_t	 status;	/* to answer when feeding failed */
	uint8_t		 state;
	bool		 is_chunked;
};

/*
 * Takes the framing from the head. -EMSGSIZE: the declared length is above max.
 */
int	 http_body_init(struct http_body *b, const struct http_head *h,
	    uint64_t max) must_use;
/*
 * Looks at len bytes of p. Returns an event or -EBADMSG with b->status 400 or
 * 413: answer and close. *ret_used bytes of p are done with; for HTTP_BODY_DATA
 * the last *ret_len of them are content. Call again with what is left, also with
 * none, until it returns MORE or END.
 */
int	 http_body_feed(struct http_body *b, const char *p, size_t len,
	    size_t *ret_used, size_t *ret_len) must_use;

#endif
