/* SPDX-License-Identifier: MIT */
/* Resolving $id and $ref against a base. Nothing is ever fetched. */
#include "core/json/schema_priv.h"

#include <errno.h>
#include <string.h>

struct part {
	const char	*p;
	size_t		 len;
	bool		 is_there;
};

struct uri {
	struct part	 scheme;
	struct part	 authority;
	struct part	 path;
	struct part	 query;
};

/* RFC 3986 appendix B; s has no fragment. */
static void
uri_split(const char *s, size_t len, struct uri *u)
{
	const char	*end = s + len, *p;

	*u = (struct uri){ .path = { s, 0, true } };
	for (p = s; p < end && strchr(":/?", *p) == NULL; p++)
		continue;
	if (p < end && *p == ':' && p > s) {
		u->scheme = (struct part){ s, (size_t)(p - s), true };
		s = p + 1;
	}
	if (end - s >= 2 && s[0] == '/' && s[1] == '/') {
		s += 2;
		for (p = s; p < end && *p != '/' && *p != '?'; p++)
			continue;
		u->authority = (struct part){ s, (size_t)(p - s), true };
		s = p;
	}
	p = memchr(s, '?', (size_t)(end - s));
	if (p != NULL)
		u->query = (struct part){ p + 1, (size_t)(end - p) - 1, true };
	else
		p = end;
	u->path = (struct part){ s, (size_t)(p - s), true };
}

/* Section 5.2.4, on the bytes of out from at on. */
static void
remove_dots(struct buf *out, size_t at)
{
	char	*base, *w, *p, *end, *q;
	size_t	 n;

	if (out->len == at || out->data[at] != '/')
		return;
	base = w = p = out->data + at;
	end = out->data + out->len;
	while (p < end) {
		q = memchr(p + 1, '/', (size_t)(end - p) - 1);
		n = (size_t)((q == NULL ? end : q) - p);
		if (n == 2 && p[1] == '.') {
			if (q == NULL)
				*w++ = '/';
		} else if (n == 3 && p[1] == '.' && p[2] == '.') {
			while (w > base && *--w != '/')
				continue;
			if (q == NULL)
				*w++ = '/';
		} else {
			memmove(w, p, n);
			w += n;
		}
		p += n;
	}
	out->len = (size_t)(w - out->data);
}

static void
add_part(struct buf *out, const char *before, const struct part *part,
    const char *after)
{
	if (!part->is_there)
		return;
	(void)buf_puts(out, before);
	(void)buf_add(out, part->p, part->len);
	(void)buf_puts(out, after);
}

int
uri_resolve(const char *base, const char *ref, size_t ref_len, struct buf *out)
{
	struct uri	 b, r;
	const char	*hash;
	size_t		 at, n;

	/* So that an empty URI is a string too. */
	if (buf_reserve(out, 1) < 0)
		return (-ENOMEM);
	hash = memchr(ref, '#', ref_len);
	if (hash != NULL)
		ref_len = (size_t)(hash - ref);
	if (ref_len == 0)
		return (buf_puts(out, base));
	uri_split(base, strlen(base), &b);
	uri_split(ref, ref_len, &r);
	if (r.scheme.is_there)
		b = r;
	else if (r.authority.is_there) {
		r.scheme = b.scheme;
		b = r;
	}
	add_part(out, "", &b.scheme, ":");
	add_part(out, "//", &b.authority, "");
	at = out->len;
	if (r.scheme.is_there || r.authority.is_there) {
		add_part(out, "", &r.path, "");
	} else if (r.path.len == 0) {
		add_part(out, "", &b.path, "");
		if (!r.query.is_there)
			r.query = b.query;
	} else if (r.path.p[0] == '/') {
		add_part(out, "", &r.path, "");
	} else {
		for (n = b.path.len; n > 0 && b.path.p[n - 1] != '/'; n--)
			continue;
		if (n == 0 && b.authority.is_there)
			(void)buf_putc(out, '/');
		(void)buf_add(out, b.path.p, n);
		add_part(out, "", &r.path, "");
	}
	if (!out->is_failed)
		remove_dots(out, at);
	add_part(out, "?", &r.query, "");
	return (out->is_failed ? -ENOMEM : 0);
}
