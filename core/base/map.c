/* SPDX-License-Identifier: MIT */
#include "core/base/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Open addressing, linear probing; deletion shifts back, so no tombstones. */
struct slot {
	uint64_t	 hash;
	char		*key;		/* NULL: empty */
	size_t		 len;
	void		*value;
};

struct map {
	struct slot	*slots;
	size_t		 cap;		/* power of two, or 0 */
	size_t		 len;
	uint64_t	 seed[2];
};

static uint64_t
rotl(uint64_t x, int b)
{
	return (x << b | x >> (64 - b));
}

static uint64_t
load64(const unsigned char *p)
{
	uint64_t	 v;

	memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return (v);
}

#define SIPROUND do { \
	v0 += v1; v1 = rotl(v1, 13); v1 ^= v0; v0 = rotl(v0, 32); \
	v2 += v3; v3 = rotl(v3, 16); v3 ^= v2; \
	v0 += v3; v3 = rotl(v3, 21); v3 ^= v0; \
	v2 += v1; v1 = rotl(v1, 17); v1 ^= v2; v2 = rotl(v2, 32); \
} while (0)

/* SipHash-2-4, Aumasson and Bernstein, 2012. */
uint64_t
siphash(const void *p, size_t len, const uint64_t key[2])
{
	const unsigned char	*in = p;
	uint64_t		 v0 = key[0] ^ UINT64_C(0x736f6d6570736575);
	uint64_t		 v1 = key[1] ^ UINT64_C(0x646f72616e646f6d);
	uint64_t		 v2 = key[0] ^ UINT64_C(0x6c7967656e657261);
	uint64_t		 v3 = key[1] ^ UINT64_C(0x7465646279746573);
	uint64_t		 m, last = (uint64_t)len << 56;
	size_t			 i;

	for (i = 0; i + 8 <= len; i += 8) {
		m = load64(in + i);
		v3 ^= m;
		SIPROUND;
		SIPROUND;
		v0 ^= m;
	}
	for (m = 0; i < len; i++)
		m |= (uint64_t)in[i] << (8 * (i & 7));
	last |= m;
	v3 ^= last;
	SIPROUND;
	SIPROUND;
	v0 ^= last;
	v2 ^= 0xff;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	SIPROUND;
	return (v0 ^ v1 ^ v2 ^ v3);
}

struct map *
map_new(void)
{
	struct map	*m;

	m = calloc(1, sizeof *m);
	if (m == NULL)
		return (NULL);
	if (getrandom(m->seed, sizeof m->seed, 0) != sizeof m->seed) {
		free(m);
		return (NULL);
	}
	return (m);
}

struct map *
map_free(struct map *m)
{
	size_t	 i;

	if (m == NULL)
		return (NULL);
	for (i = 0; i < m->cap; i++)
		free(m->slots[i].key);
	free(m->slots);
	free(m);
	return (NULL);
}

size_t
map_len(const struct map *m)
{
	return (m->len);
}

/* The slot of the key, or the empty one where it would go. cap is not 0. */
static struct slot *
map_find(const struct map *m, uint64_t hash, const char *key, size_t len)
{
	size_t	 i;

	for (i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct slot *s = &m->slots[i];

		if (s->key == NULL || (s->hash == hash && s->len == len &&
		    memcmp(s->key, key, len) == 0))
			return (s);
	}
}

void *
map_get(const struct map *m, const char *key, size_t len)
{
	struct slot	*s;

	if (m->cap == 0)
		return (NULL);
	s = map_find(m, siphash(key, len, m->seed), key, len);
	return (s->key == NULL ? NULL : s->value);
}

void *
map_getz(const struct map *m, const char *key)
{
	return (map_get(m, key, strlen(key)));
}

static int
map_grow(struct map *m)
{
	struct slot	*old = m->slots;
	size_t		 i, old_cap = m->cap;

	m->cap = old_cap == 0 ? 16 : old_cap * 2;
	m->slots = calloc(m->cap, sizeof *m->slots);
	if (m->slots == NULL) {
		m->slots = old;
		m->cap = old_cap;
		return (-ENOMEM);
	}
	for (i = 0; i < old_cap; i++) {
		if (old[i].key != NULL)
			*map_find(m, old[i].hash, old[i].key, old[i].len) =
			    old[i];
	}
	free(old);
	return (0);
}

int
map_put(struct map *m, const char *key, size_t len, void *value, void **ret_old)
{
	uint64_t	 hash = siphash(key, len, m->seed);
	struct slot	*s;
	char		*copy;
	int		 r;

	if (m->len + 1 > m->cap / 4 * 3) {
		r = map_grow(m);
		if (r < 0)
			return (r);
	}
	s = map_find(m, hash, key, len);
	if (s->key != NULL) {
		if (ret_old != NULL)
			*ret_old = s->value;
		s->value = value;
		return (0);
	}
	copy = malloc(len + 1);
	if (copy == NULL)
		return (-ENOMEM);
	memcpy(copy, key, len);
	copy[len] = '\0';
	*s = (struct slot){ hash, copy, len, value };
	m->len++;
	if (ret_old != NULL)
		*ret_old = NULL;
	return (0);
}

int
map_putz(struct map *m, const char *key, void *value)
{
	return (map_put(m, key, strlen(key), value, NULL));
}

void *
map_del(struct map *m, const char *key, size_t len)
{
	struct slot	*s;
	void		*value;
	size_t		 i, j, home;

	if (m->cap == 0)
		return (NULL);
	s = map_find(m, siphash(key, len, m->seed), key, len);
	if (s->key == NULL)
		return (NULL);
	value = s->value;
	free(s->key);
	m->len--;
	i = (size_t)(s - m->slots);
	for (j = (i + 1) & (m->cap - 1); m->slots[j].key != NULL;
	    j = (j + 1) & (m->cap - 1)) {
		home = m->slots[j].hash & (m->cap - 1);
		/* Moving j to i must not put it before its home slot. */
		if (((j - home) & (m->cap - 1)) >= ((j - i) & (m->cap - 1))) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i].key = NULL;
	return (value);
}

void *
map_delz(struct map *m, const char *key)
{
	return (map_del(m, key, strlen(key)));
}

bool
map_next(const struct map *m, size_t *pos, const char **ret_key, size_t *ret_len,
    void **ret_value)
{
	while (*pos < m->cap) {
		const struct slot *s = &m->slots[(*pos)++];

		if (s->key == NULL)
			continue;
		if (ret_key != NULL)
			*ret_key = s->key;
		if (ret_len != NULL)
			*ret_len = s->len;
		if (ret_value != NULL)
			*ret_value = s->value;
		return (true);
	}
	return (false);
}
