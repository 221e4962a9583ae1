/* SPDX-License-Identifier: MIT */
#include "core/access/budget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/map.h"

/* Windows begin at the first act of a key; in the list by their start. */
struct window {
	struct list	 link;
	uint64_t	 start_us;
	uint32_t	 n;
	size_t		 key_len;
	char		 key[];
};

struct budget {
	struct map	*windows;
	struct list	 order;
	uint32_t	 max;
	uint64_t	 window_us;
	size_t		 keys_max;
};

struct budget *
budget_new(uint32_t max, uint64_t window_us, size_t keys_max)
{
	struct budget	*b;

	b = calloc(1, sizeof *b);
	if (b == NULL)
		return (NULL);
	b->max = max;
	b->window_us = window_us;
	b->keys_max = keys_max;
	list_init(&b->order);
	b->windows = map_new();
	return (b->windows == NULL ? budget_free(b) : b);
}

static void
window_free(struct budget *b, struct window *w)
{
	(void)map_del(b->windows, w->key, w->key_len);
	list_remove(&w->link);
	free(w);
}

struct budget *
budget_free(struct budget *b)
{
	struct window	*w;

	if (b == NULL)
		return (NULL);
	while ((w = list_first(&b->order, struct window, link)) != NULL)
		window_free(b, w);
	(void)map_free(b->windows);
	free(b);
	return (NULL);
}

int
budget_take(struct budget *b, const char *key, size_t len,
    uint64_t *ret_wait_us)
{
	uint64_t	 now = clock_now_us();
	struct window	*w;

	while ((w = list_first(&b->order, struct window, link)) != NULL &&
	    now - w->start_us >= b->window_us)
		window_free(b, w);
	w = map_get(b->windows, key, len);
	if (w == NULL) {
		/*
		 * A full table refuses new keys until a window ends: dropping a
		 * window instead would let an attacker buy its own way free.
		 */
		if (map_len(b->windows) >= b->keys_max) {
			w = list_first(&b->order, struct window, link);
			*ret_wait_us = w->start_us + b->window_us - now;
			return (-EDQUOT);
		}
		w = malloc(sizeof *w + len);
		if (w == NULL)
			return (-ENOMEM);
		w->start_us = now;
		w->n = 0;
		w->key_len = len;
		memcpy(w->key, key, len);
		list_init(&w->link);
		if (map_put(b->windows, key, len, w, NULL) < 0) {
			free(w);
			return (-ENOMEM);
		}
		list_append(&b->order, &w->link);
	}
	if (w->n >= b->max) {
		*ret_wait_us = w->start_us + b->window_us - now;
		return (-EDQUOT);
	}
	w->n++;
	return (0);
}
