/* SPDX-License-Identifier: MIT */
#include "core/state/presence.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/json/json.h"

struct entry {
	struct list		 link;		/* newest first */
	uint64_t		 expires_us;
	bool			 is_sticky;
	struct json_object	*obj;
	struct buf		 text;		/* of obj; empty: to be written */
	size_t			 key_len;
	char			 key[];
};

struct presence {
	struct map	*by_key;
	struct list	 entries;	/* next: newest */
	size_t		 max;
	uint64_t	 ttl_us;
	struct buf	 text;
	bool		 is_text_good;
};

struct presence *
presence_new(size_t max, uint64_t ttl_us)
{
	struct presence	*p;

	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (NULL);
	p->max = max;
	p->ttl_us = ttl_us;
	list_init(&p->entries);
	p->by_key = map_new();
	return (p->by_key == NULL ? presence_free(p) : p);
}

static void
entry_free(struct presence *p, struct entry *e)
{
	(void)map_del(p->by_key, e->key, e->key_len);
	list_remove(&e->link);
	json_object_put(e->obj);
	buf_fini(&e->text);
	free(e);
	p->is_text_good = false;
}

struct presence *
presence_free(struct presence *p)
{
	struct entry	*e;

	if (p == NULL)
		return (NULL);
	while ((e = list_first(&p->entries, struct entry, link)) != NULL)
		entry_free(p, e);
	(void)map_free(p->by_key);
	buf_fini(&p->text);
	free(p);
	return (NULL);
}

static void
presence_expire(struct presence *p, size_t max)
{
	uint64_t	 now = clock_now_us();
	struct list	*l, *prev;
	struct entry	*e;

	for (l = p->entries.prev; l != &p->entries; l = prev) {
		prev = l->prev;
		e = container_of(l, struct entry, link);
		if (!e->is_sticky && (e->expires_us <= now ||
		    map_len(p->by_key) > max))
			entry_free(p, e);
	}
}

static int
array_unite(struct json_object *to, struct json_object *from)
{
	struct json_object	*v;
	size_t			 i, j, n;

	for (i = 0; i < json_object_array_length(from); i++) {
		v = json_object_array_get_idx(from, i);
		n = json_object_array_length(to);
		for (j = 0; j < n && !json_equal(v,
		    json_object_array_get_idx(to, j)); j++)
			;
		if (j == n && json_push(to, json_object_get(v)) < 0)
			return (-ENOMEM);
	}
	return (0);
}

static int
entry_merge(struct entry *e, struct json_object *fields)
{
	struct json_object	*old, *copy;
	int			 r;

	json_object_object_foreach(fields, name, v) {
		old = json_get_arr(e->obj, name);
		if (old != NULL && (strcmp(name, "roles") == 0 ||
		    strcmp(name, "scopes") == 0))
			r = json_object_is_type(v, json_type_array) ?
			    array_unite(old, v) : 0;
		else {
			r = json_copy(v, &copy);
			if (r == 0)
				r = json_add(e->obj, name, copy);
		}
		if (r < 0)
			return (r);
	}
	return (json_add_int(e->obj, "ts", (int64_t)clock_wall_ms()));
}

int
presence_upsert(struct presence *p, const char *key,
    struct json_object *fields, bool is_sticky)
{
	size_t		 i, len = strlen(key);
	struct entry	*e;
	char		*low;

	low = malloc(len + 1);
	if (low == NULL)
		return (-ENOMEM);
	for (i = 0; i <= len; i++)
		low[i] = (char)tolower((unsigned char)key[i]);
	e = map_get(p->by_key, low, len);
	if (e == NULL) {
		presence_expire(p, p->max - 1);
		e = calloc(1, sizeof *e + len + 1);
		if (e != NULL)
			e->obj = json_object_new_object();
		if (e == NULL || e->obj == NULL ||
		    map_put(p->by_key, low, len, e, NULL) < 0) {
			if (e != NULL)
				json_object_put(e->obj);
			free(e);
			free(low);
			return (-ENOMEM);
		}
		memcpy(e->key, low, len + 1);
		e->key_len = len;
		list_init(&e->link);
	}
	free(low);
	e->is_sticky = is_sticky;
	e->expires_us = clock_now_us() + p->ttl_us;
	list_remove(&e->link);
	/* At the front: after the head. */
	list_append(p->entries.next, &e->link);
	buf_reset(&e->text);
	p->is_text_good = false;
	return (entry_merge(e, fields));
}

/*
 * Each change of one entry makes a new text of all: those that did not change are
 * copied.
 */
const char *
presence_text(struct presence *p, size_t *ret_len)
{
	struct list	*l, *tmp;
	struct entry	*e;
	const char	*sep = "";

	presence_expire(p, p->max);
	if (!p->is_text_good) {
		buf_reset(&p->text);
		(void)buf_putc(&p->text, '[');
		list_each(l, tmp, &p->entries) {
			e = container_of(l, struct entry, link);
			if (e->text.len == 0 &&
			    json_write(&e->text, e->obj) < 0) {
				buf_reset(&e->text);
				p->text.is_failed = true;
				break;
			}
			(void)buf_puts(&p->text, sep);
			(void)buf_add(&p->text, e->text.data, e->text.len);
			sep = ",";
		}
		(void)buf_putc(&p->text, ']');
		p->is_text_good = !p->text.is_failed;
	}
	if (!p->is_text_good) {
		*ret_len = 2;
		return ("[]");
	}
	*ret_len = p->text.len;
	return (p->text.data);
}

size_t
presence_len(const struct presence *p)
{
	return (map_len(p->by_key));
}
