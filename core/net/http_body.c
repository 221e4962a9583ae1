/* SPDX-License-Identifier: MIT */
#include "core/net/http_body.h"

#include <errno.h>

#include "core/net/http_head.h"

enum body_state {
	BODY_LENGTH,		/* content of a declared length */
	BODY_SIZE,		/* hexadecimal digits of a chunk's size */
	BODY_EXT,		/* its extensions, which are skipped */
	BODY_SIZE_LF,
	BODY_CHUNK,		/* its content */
	BODY_CHUNK_CR,
	BODY_CHUNK_LF,
	BODY_TRAILER,		/* the start of a line after the last chunk */
	BODY_TRAILER_NAME,
	BODY_TRAILER_VALUE,
	BODY_TRAILER_LF,
	BODY_LAST_LF,
	BODY_END,
	BODY_BAD,
};

int
http_body_init(struct http_body *b, const struct http_head *h, uint64_t max)
{
	*b = (struct http_body){ .max = max, .status = 400,
	    .is_chunked = h->is_chunked };
	if (h->is_chunked) {
		b->state = BODY_SIZE;
		return (0);
	}
	if (h->content_length == HTTP_NO_LENGTH)
		b->left = 0;	/* section 6.3: then there is none */
	else if (h->content_length > max)
		return (-EMSGSIZE);
	else
		b->left = b->total = h->content_length;
	b->state = b->left > 0 ? BODY_LENGTH : BODY_END;
	return (0);
}

static int
body_bad(struct http_body *b, uint16_t status)
{
	b->state = BODY_BAD;
	b->status = status;
	return (-EBADMSG);
}

static int
hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	c |= 0x20;
	return (c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1);
}

/* Section 5.5: no control characters but the tab. */
static bool
is_text(unsigned char c)
{
	return ((c >= 0x20 && c != 0x7f) || c == '\t');
}

static bool
is_name_char(unsigned char c)
{
	return ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' &&
	    (c | 0x20) <= 'z') || c == '!' || (c >= '#' && c <= '\'') ||
	    c == '*' || c == '+' || c == '-' || c == '.' || c == '^' ||
	    c == '_' || c == '`' || c == '|' || c == '~');
}

static int
body_size(struct http_body *b, unsigned char c)
{
	int	 v = hex_value(c);

	if (v >= 0) {
		/* Checked digit by digit: it can neither wrap nor be too long. */
		if (b->left > UINT64_MAX >> 4)
			return (body_bad(b, 413));
		b->left = b->left << 4 | (uint64_t)v;
		if (b->left > b->max - b->total)
			return (body_bad(b, 413));
		return (0);
	}
	if (b->n_line == 1)
		return (body_bad(b, 400));	/* no digit */
	if (c == '\r')
		b->state = BODY_SIZE_LF;
	else if (c == ';')
		b->state = BODY_EXT;
	else
		return (body_bad(b, 400));
	return (0);
}

/* One byte that is not content. */
static int
body_step(struct http_body *b, unsigned char c)
{
	switch (b->state) {
	case BODY_SIZE:
	case BODY_EXT:
		if (++b->n_line > HTTP_CHUNK_LINE_MAX)
			return (body_bad(b, 400));
		if (b->state == BODY_SIZE)
			return (body_size(b, c));
		if (c == '\r')
			b->state = BODY_SIZE_LF;
		else if (!is_text(c) || ++b->n_ext > HTTP_CHUNK_EXT_MAX)
			return (body_bad(b, 400));
		return (0);
	case BODY_SIZE_LF:
		if (c != '\n')
			return (body_bad(b, 400));
		b->n_line = 0;
		b->total += b->left;
		b->state = b->left > 0 ? BODY_CHUNK : BODY_TRAILER;
		return (0);
	case BODY_CHUNK_CR:
		b->state = BODY_CHUNK_LF;
		return (c == '\r' ? 0 : body_bad(b, 400));
	case BODY_CHUNK_LF:
		b->state = BODY_SIZE;
		return (c == '\n' ? 0 : body_bad(b, 400));
	case BODY_LAST_LF:
		b->state = BODY_END;
		return (c == '\n' ? 0 : body_bad(b, 400));
	default:
		break;
	}
	/* Trailer fields (section 7.1.2): looked at and dropped. */
	if (b->state == BODY_TRAILER && c == '\r') {
		b->state = BODY_LAST_LF;
		return (0);
	}
	if (++b->n_trailer > HTTP_TRAILER_MAX)
		return (body_bad(b, 400));
	switch (b->state) {
	case BODY_TRAILER:
		b->state = BODY_TRAILER_NAME;
		return (is_name_char(c) ? 0 : body_bad(b, 400));
	case BODY_TRAILER_NAME:
		if (c == ':')
			b->state = BODY_TRAILER_VALUE;
		else if (!is_name_char(c))
			return (body_bad(b, 400));
		return (0);
	case BODY_TRAILER_VALUE:
		if (c == '\r')
			b->state = BODY_TRAILER_LF;
		else if (!is_text(c))
			return (body_bad(b, 400));
		return (0);
	case BODY_TRAILER_LF:
		b->state = BODY_TRAILER;
		return (c == '\n' ? 0 : body_bad(b, 400));
	default:
		return (body_bad(b, b->status));
	}
}

int
http_body_feed(struct http_body *b, const char *p, size_t len,
    size_t *ret_used, size_t *ret_len)
{
	size_t	 i = 0, n;

	*ret_used = 0;
	*ret_len = 0;
	if (b->state == BODY_BAD)
		return (-EBADMSG);
	while (b->state != BODY_END && i < len) {
		if (b->state == BODY_LENGTH || b->state == BODY_CHUNK) {
			n = len - i < b->left ? len - i : (size_t)b->left;
			b->left -= n;
			if (b->left == 0)
				b->state = b->is_chunked ? BODY_CHUNK_CR :
				    BODY_END;
			*ret_used = i + n;
			*ret_len = n;
			return (HTTP_BODY_DATA);
		}
		if (body_step(b, (unsigned char)p[i]) < 0)
			return (-EBADMSG);
		i++;
	}
	*ret_used = i;
	return (b->state == BODY_END ? HTTP_BODY_END : HTTP_BODY_MORE);
}
