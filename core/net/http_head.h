/* SPDX-License-Identifier: MIT */
/*
 * The head of an HTTP/1.1 request (RFC 9112): bytes in, request line and fields
 * out. Strict where leniency lets two readers disagree about one request. No
 * I/O, no memory of its own: everything points into the caller's buffer. Bodies
 * and answers are not its business.
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "core/base/base.h"

#define HTTP_HEAD_MAX		16384u	/* the whole head; beyond it 431 */
#define HTTP_LINE_MAX		8192u	/* request line; beyond it 414 */
#define HTTP_FIELD_MAX		8192u	/* one field line; beyond it 431 */
#define HTTP_FIELDS_MAX		100u	/* field lines; beyond it 431 */
#define HTTP_METHOD_MAX		32u

#define HTTP_NO_LENGTH		UINT64_MAX

/* Offsets into the buffer; both strings there end in NUL. */
struct http_field {
	uint16_t	 name;		/* in lower case */
	uint16_t	 name_len;
	uint16_t	 value;		/* without blanks around it */
	uint16_t	 value_len;
};

struct http_head {
	const char	*buf;		/* the caller's */
	const char	*method;
	/*
	 * The path in its one canonical form: decoded once, without empty or "."
	 * segments. Both authorization and routing use this and nothing else.
	 */
	const char	*path;
	size_t		 path_len;
	const char	*query;		/* as sent, "" for none */
	const char	*host;		/* "" when HTTP/1.0 sent none */
	uint64_t	 content_length; /* HTTP_NO_LENGTH: none */
	bool		 is_chunked;
	bool		 is_keep_alive;
	uint8_t		 minor;		/* HTTP/1.minor, 0 or 1 */
	uint16_t	 status;	/* to answer when parsing failed */
	uint16_t	 n_fields;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/*
 * Reads a head from the start of buf, which holds len bytes. Returns the length
 * of the head (what follows is the body or the next protocol), 0 when more bytes
 * are needed, or -EBADMSG with ret->status 400, 414, 431, 501 or 505: answer and
 * close, the rest of the stream cannot be trusted.
 *
 * While more is needed the buffer stays as it is. Then strings get their NUL and
 * the path its canonical form. ret needs no preparation.
 */
int	 http_head_parse(char *buf, size_t len, struct http_head *ret)
	    must_use;

/* The first field of that name (lower case), or NULL. */
const char *http_head_get(const struct http_head *h, const char *name);
unsigned	 http_head_count(const struct http_head *h, const char *name);
/* Visits all fields; *i starts at 0. */
bool	 http_head_next(const struct http_head *h, unsigned *i,
	    const char **ret_name, const char **ret_value);
/*
 * The fields of that name as one list of tokens (RFC 9110 section 5.6.1): true
 * when token is among them, whatever its case.
 */
bool	 http_head_has_token(const struct http_head *h, const char *name,
	    const char *token);
/* The n-th element of that list, or false. Not terminated. */
bool	 http_head_token(const struct http_head *h, const char *name, unsigned n,
	    const char **ret_token, size_t *ret_len);

struct http_ws {
	const char	*key;		/* WS_KEY_LEN characters */
	/*
	 * The subprotocol to name in the answer, or NULL for none: the first of
	 * wanted that was offered, else the first offer. It points into the head
	 * and is not terminated.
	 */
	const char	*protocol;
	size_t		 protocol_len;
};

/*
 * Is it an upgrade to WebSocket (RFC 6455 section 4.2.1)? 1: a good one. 0: none
 * was asked for. -EBADMSG: one was asked for badly; *ret_status is 400, or 426,
 * which must carry "Sec-WebSocket-Version: 13". wanted ends in NULL.
 */
int	 http_head_ws(const struct http_head *h, const char *const *wanted,
	    struct http_ws *ret, uint16_t *ret_status) must_use;

/*
 * The canonical form of a path, in place: what is percent-encoded is decoded
 * once, empty and "." segments go. Returns the new length or -EBADMSG: it does
 * not start with "/", an escape is incomplete, something still looks encoded
 * after decoding, or it holds a control byte, a backslash, ".." or bad UTF-8.
 */
int	 http_path_canonical(char *path, size_t len);

#endif
