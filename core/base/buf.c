/* SPDX-License-Identifier: MIT */
#include "core/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_init(struct buf *b)
{
	*b = (struct buf)BUF_INIT;
}

void
buf_fini(struct buf *b)
{
	if (b == NULL)
		return;
	free(b->data);
	buf_init(b);
}

void
buf_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_fini(b);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	b->is_failed = false;
}

int
buf_reserve(struct buf *b, size_t more)
{
	size_t	 cap, need;
	char	*p;

	if (b->is_failed)
		return (-ENOMEM);
	if (more <= b->cap - b->len)
		return (0);
	if (__builtin_add_overflow(b->len, more, &need))
		goto fail;
	cap = b->cap < 64 ? 64 : b->cap;
	while (cap < need) {
		if (__builtin_add_overflow(cap, cap / 2 + 64, &cap))
			goto fail;
	}
	p = realloc(b->data, cap);
	if (p == NULL)
		goto fail;
	b->data = p;
	b->cap = cap;
	return (0);
fail:
	b->is_failed = true;
	return (-ENOMEM);
}

int
buf_add(struct buf *b, const void *p, size_t len)
{
	int	 r;

	if (len == 0)
		return (0);
	r = buf_reserve(b, len);
	if (r < 0)
		return (r);
	memcpy(b->data + b->len, p, len);
	b->len += len;
	return (0);
}

int
buf_puts(struct buf *b, const char *s)
{
	return (buf_add(b, s, strlen(s)));
}

int
buf_putc(struct buf *b, char c)
{
	return (buf_add(b, &c, 1));
}

int
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list	 ap2;
	int	 n, r;

	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap2);
	va_end(ap2);
	if (n < 0)
		return (-EINVAL);
	r = buf_reserve(b, (size_t)n + 1);
	if (r < 0)
		return (r);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return (0);
}

int
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list	 ap;
	int	 r;

	va_start(ap, fmt);
	r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return (r);
}

int
buf_u64(struct buf *b, uint64_t n)
{
	char	 tmp[20];
	size_t	 i = sizeof tmp;

	do {
		tmp[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n != 0);
	return (buf_add(b, tmp + i, sizeof tmp - i));
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

char *
buf_take(struct buf *b, size_t *ret_len)
{
	char	*p;

	if (buf_putc(b, '\0') < 0)
		return (NULL);
	p = b->data;
	if (ret_len != NULL)
		*ret_len = b->len - 1;
	buf_init(b);
	return (p);
}

int
buf_json_str(struct buf *b, const char *s, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t	 i, from = 0;
	char	 esc[6] = { '\\', 'u', '0', '0', 0, 0 };

	if (buf_reserve(b, len <= SIZE_MAX - 2 ? len + 2 : len) < 0)
		return (-ENOMEM);
	(void)buf_putc(b, '"');
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (likely(c >= 0x20 && c != '"' && c != '\\'))
			continue;
		(void)buf_add(b, s + from, i - from);
		from = i + 1;
		switch (c) {
		case '"':
			(void)buf_add(b, "\\\"", 2);
			break;
		case '\\':
			(void)buf_add(b, "\\\\", 2);
			break;
		case '\n':
			(void)buf_add(b, "\\n", 2);
			break;
		case '\r':
			(void)buf_add(b, "\\r", 2);
			break;
		case '\t':
			(void)buf_add(b, "\\t", 2);
			break;
		default:
			esc[4] = hex[c >> 4];
			esc[5] = hex[c & 15];
			(void)buf_add(b, esc, 6);
			break;
		}
	}
	(void)buf_add(b, s + from, len - from);
	return (buf_putc(b, '"'));
}

int
buf_json_strz(struct buf *b, const char *s)
{
	if (s == NULL)
		return (buf_puts(b, "null"));
	return (buf_json_str(b, s, strlen(s)));
}
