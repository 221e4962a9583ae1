/* SPDX-License-Identifier: MIT */
#include "core/access/limit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/map.h"

/* The window slides in steps: a failure may count one step too long, never less. */
#define LIMIT_STEPS	16

struct entry {
	struct list	 link;		/* in limit.loose or limit.locked */
	uint64_t	 locked_until;	/* 0: not locked */
	uint64_t	 step;		/* the newest that has a count */
	uint64_t	 last_us;
	uint32_t	 counts[LIMIT_STEPS + 1];
	size_t		 key_len;
	char		 key[];
};

struct limit {
	struct limit_rules	 rules;
	struct map		*entries;
	struct list		 loose;		/* by last failure */
	struct list		 locked;	/* by end of the lockout */
	uint64_t		 full_until;	/* no new keys until then */
};

struct limit *
limit_new(const struct limit_rules *rules)
{
	struct limit	*l;

	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (NULL);
	list_init(&l->loose);
	list_init(&l->locked);
	limit_set(l, rules);
	l->entries = map_new();
	return (l->entries == NULL ? limit_free(l) : l);
}

static void
entry_drop(struct limit *l, struct entry *e)
{
	(void)map_del(l->entries, e->key, e->key_len);
	list_remove(&e->link);
	free(e);
}

struct limit *
limit_free(struct limit *l)
{
	struct entry	*e;

	if (l == NULL)
		return (NULL);
	while ((e = list_first(&l->loose, struct entry, link)) != NULL ||
	    (e = list_first(&l->locked, struct entry, link)) != NULL)
		entry_drop(l, e);
	(void)map_free(l->entries);
	free(l);
	return (NULL);
}

void
limit_set(struct limit *l, const struct limit_rules *rules)
{
	l->rules = *rules;
	if (l->rules.keys_max == 0)
		l->rules.keys_max = LIMIT_KEYS_MAX;
	if (l->rules.window_us < LIMIT_STEPS)
		l->rules.window_us = LIMIT_STEPS;
}

size_t
limit_len(const struct limit *l)
{
	return (map_len(l->entries));
}

/* What has run out goes; both lists are in the order in which it does. */
static void
limit_prune(struct limit *l, uint64_t now)
{
	struct entry	*e;

	while ((e = list_first(&l->locked, struct entry, link)) != NULL &&
	    e->locked_until <= now)
		entry_drop(l, e);
	while ((e = list_first(&l->loose, struct entry, link)) != NULL &&
	    now - e->last_us > l->rules.window_us * (LIMIT_STEPS + 1) /
	    LIMIT_STEPS)
		entry_drop(l, e);
}

static size_t
limit_key(enum limit_class class, const char *source,
    char key[LIMIT_SOURCE_SIZE + 1])
{
	size_t	 len = strnlen(source, LIMIT_SOURCE_SIZE);

	key[0] = (char)('a' + class);
	memcpy(key + 1, source, len);
	return (len + 1);
}

int
limit_check(struct limit *l, enum limit_class class, const char *source,
    uint64_t *ret_wait_us)
{
	char		 key[LIMIT_SOURCE_SIZE + 1];
	uint64_t	 now;
	struct entry	*e;

	if (map_len(l->entries) == 0)
		return (0);
	now = clock_now_us();
	limit_prune(l, now);
	e = map_get(l->entries, key, limit_key(class, source, key));
	if (e != NULL && e->locked_until > now) {
		*ret_wait_us = e->locked_until - now;
		return (-EDQUOT);
	}
	/*
	 * Every place is held by somebody who is locked out: an attempt could not
	 * be counted, so none is made.
	 */
	if (e == NULL && l->full_until > now) {
		*ret_wait_us = l->full_until - now;
		return (-EDQUOT);
	}
	return (0);
}

static struct entry *
entry_new(struct limit *l, const char *key, size_t len, uint64_t now)
{
	struct entry	*e;

	if (map_len(l->entries) >= l->rules.keys_max) {
		e = list_first(&l->loose, struct entry, link);
		if (e == NULL) {
			l->full_until = now + l->rules.lockout_us;
			return (NULL);
		}
		entry_drop(l, e);
	}
	e = calloc(1, sizeof *e + len);
	if (e == NULL)
		return (NULL);
	memcpy(e->key, key, len);
	e->key_len = len;
	list_init(&e->link);
	if (map_put(l->entries, key, len, e, NULL) < 0) {
		free(e);
		return (NULL);
	}
	return (e);
}

uint32_t
limit_failed(struct limit *l, enum limit_class class, const char *source)
{
	char		 key[LIMIT_SOURCE_SIZE + 1];
	size_t		 i, len = limit_key(class, source, key);
	uint64_t	 step, now = clock_now_us();
	uint32_t	 n = 0;
	struct entry	*e;

	limit_prune(l, now);
	step = now / (l->rules.window_us / LIMIT_STEPS);
	e = map_get(l->entries, key, len);
	if (e == NULL)
		e = entry_new(l, key, len, now);
	if (e == NULL)
		return (l->rules.max);
	if (step - e->step > LIMIT_STEPS)
		memset(e->counts, 0, sizeof e->counts);
	else {
		while (e->step < step)
			e->counts[++e->step % (LIMIT_STEPS + 1)] = 0;
	}
	e->step = step;
	e->last_us = now;
	e->counts[step % (LIMIT_STEPS + 1)]++;
	for (i = 0; i <= LIMIT_STEPS; i++)
		n += e->counts[i];
	list_remove(&e->link);
	if (n >= l->rules.max && e->locked_until == 0)
		e->locked_until = now + l->rules.lockout_us;
	list_append(e->locked_until != 0 ? &l->locked : &l->loose, &e->link);
	return (n);
}

void
limit_passed(struct limit *l, enum limit_class class, const char *source)
{
	char		 key[LIMIT_SOURCE_SIZE + 1];
	struct entry	*e;

	if (map_len(l->entries) == 0)
		return;
	e = map_get(l->entries, key, limit_key(class, source, key));
	if (e != NULL)
		entry_drop(l, e);
}

void
limit_source(const char *address, char ret_source[LIMIT_SOURCE_SIZE])
{
	struct in6_addr	 in6;
	struct in_addr	 in;

	if (inet_pton(AF_INET, address, &in) == 1) {
		(void)inet_ntop(AF_INET, &in, ret_source, LIMIT_SOURCE_SIZE);
	} else if (inet_pton(AF_INET6, address, &in6) != 1) {
		(void)snprintf(ret_source, LIMIT_SOURCE_SIZE, "unknown");
	} else if (IN6_IS_ADDR_V4MAPPED(&in6)) {
		(void)inet_ntop(AF_INET, in6.s6_addr + 12, ret_source,
		    LIMIT_SOURCE_SIZE);
	} else {
		memset(in6.s6_addr + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &in6, ret_source, LIMIT_SOURCE_SIZE);
	}
}
