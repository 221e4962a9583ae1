/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with JSON output. Not a queue: bytes leave all at once. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "core/base/base.h"

/*
 * After the first failed allocation is_failed stays set and the buffer takes no
 * more, so that a writer checks once, at its end.
 */
struct buf {
	char	*data;		/* NULL while cap is 0; not terminated */
	size_t	 len;
	size_t	 cap;
	bool	 is_failed;
};

#define BUF_INIT { NULL, 0, 0, false }

void	 buf_init(struct buf *b);
void	 buf_fini(struct buf *b);
void	 buf_wipe(struct buf *b);		/* and leaves no trace of it */
void	 buf_reset(struct buf *b);		/* empties it, keeps storage */
int	 buf_reserve(struct buf *b, size_t more);	/* 0 or -ENOMEM */
int	 buf_add(struct buf *b, const void *p, size_t len);
int	 buf_puts(struct buf *b, const char *s);
int	 buf_putc(struct buf *b, char c);
int	 buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
int	 buf_vprintf(struct buf *b, const char *fmt, va_list ap)
	    printf_like(2, 0);
int	 buf_u64(struct buf *b, uint64_t n);	/* decimal */
void	 buf_drop(struct buf *b, size_t n);	/* the first n bytes */
/* The bytes and a NUL as a malloc()ed string (gives), or NULL. Empties b. */
char	*buf_take(struct buf *b, size_t *ret_len) must_use;

/* A JSON string with its quotes; s must be valid UTF-8 (RFC 8259 section 7). */
int	 buf_json_str(struct buf *b, const char *s, size_t len);
int	 buf_json_strz(struct buf *b, const char *s);	/* NULL: null */

#endif
