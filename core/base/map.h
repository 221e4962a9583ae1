/* SPDX-License-Identifier: MIT */
/*
 * A hash table from byte strings to pointers. Keys are copied, values are not
 * owned. The hash is SipHash-2-4 with a key from getrandom(2), so that a peer
 * who chooses names cannot make them collide.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "core/base/base.h"

struct map;

struct map	*map_new(void) must_use;
struct map	*map_free(struct map *m);	/* returns NULL */
size_t		 map_len(const struct map *m);
void		*map_get(const struct map *m, const char *key, size_t len);
void		*map_getz(const struct map *m, const char *key);
/* Sets or replaces; value must not be NULL. ret_old (or NULL) gets the old one. */
int		 map_put(struct map *m, const char *key, size_t len,
		    void *value, void **ret_old);
int		 map_putz(struct map *m, const char *key, void *value);
void		*map_del(struct map *m, const char *key, size_t len);
void		*map_delz(struct map *m, const char *key);
/* Visits all, in no order; *pos starts at 0. The map must not change meanwhile. */
bool		 map_next(const struct map *m, size_t *pos, const char **ret_key,
		    size_t *ret_len, void **ret_value);

uint64_t	 siphash(const void *p, size_t len, const uint64_t key[2]);

#endif
