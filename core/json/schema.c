/* SPDX-License-Identifier: MIT */
/*
 * What compiling and checking share: memory, sets of names, the life of a
 * schema.
 */
#include "core/json/schema_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Most schemas are a few KiB; thousands of them are alive at once. */
#define CHUNK_FIRST	KIB(1)
#define CHUNK_LAST	KIB(16)

void *
arena_alloc(struct arena *a, size_t n)
{
	struct chunk	*c = a->chunks;
	size_t		 cap;
	void		*p;

	if (n > SIZE_MAX / 2)
		return (NULL);
	n = (n + 7) & ~(size_t)7;
	if (c == NULL || c->cap - c->used < n) {
		cap = c == NULL ? CHUNK_FIRST : MIN_OF(c->cap * 2, CHUNK_LAST);
		cap = MAX_OF(cap, n);
		c = calloc(1, sizeof *c + cap);
		if (c == NULL)
			return (NULL);
		c->cap = cap;
		c->next = a->chunks;
		a->chunks = c;
		a->heap += sizeof *c + cap;
	}
	p = (char *)c->data + c->used;
	c->used += n;
	return (p);
}

char *
arena_copy(struct arena *a, const char *s, size_t len)
{
	char	*p = arena_alloc(a, len + 1);

	if (p != NULL && len > 0)
		memcpy(p, s, len);
	return (p);
}

void
arena_fini(struct arena *a)
{
	struct chunk	*c, *next;

	for (c = a->chunks; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	a->chunks = NULL;
	a->heap = 0;
}

/* The names are a schema's, so a peer cannot make them collide. */
uint32_t
word_hash(const char *p, size_t len)
{
	uint64_t	 a = 0, b = 0;

	if (len >= 8) {
		memcpy(&a, p, 8);
		memcpy(&b, p + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&a, p, 4);
		memcpy(&b, p + len - 4, 4);
	} else if (len > 0) {
		a = (unsigned char)p[0];
		b = (uint64_t)(unsigned char)p[len / 2] << 8 |
		    (unsigned char)p[len - 1];
	}
	a = (a ^ len) * UINT64_C(0x9e3779b97f4a7c15) ^
	    b * UINT64_C(0xc2b2ae3d27d4eb4f);
	return ((uint32_t)(a >> 32));
}

uint32_t
words_find(const struct words *w, const char *p, size_t len)
{
	const struct word	*word;
	uint32_t		 hash, i, k;

	if (w->slots == NULL) {
		for (i = 0; i < w->n; i++) {
			word = &w->words[i];
			if (word->len == len && memcmp(word->p, p, len) == 0)
				return (i);
		}
		return (WORD_NONE);
	}
	hash = word_hash(p, len);
	for (k = hash & w->mask; w->slots[k] != 0; k = (k + 1) & w->mask) {
		word = &w->words[w->slots[k] - 1];
		if (word->hash == hash && word->len == len &&
		    memcmp(word->p, p, len) == 0)
			return (w->slots[k] - 1u);
	}
	return (WORD_NONE);
}

struct schema *
schema_free(struct schema *s)
{
	struct kept	*k;

	if (s == NULL)
		return (NULL);
	/* The list itself is in the arena. */
	for (k = s->kept; k != NULL; k = k->next) {
		json_object_put(k->value);
		(void)pattern_put(k->pattern);
	}
	arena_fini(&s->arena);
	free(s);
	return (NULL);
}

size_t
schema_heap(const struct schema *s)
{
	return (sizeof *s + s->arena.heap);
}
