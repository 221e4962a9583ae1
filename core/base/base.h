/* SPDX-License-Identifier: MIT */
/* What every file of the daemon may use: sizes, lists, small macros. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b)	((a) < (b) ? (a) : (b))
#define MAX_OF(a, b)	((a) > (b) ? (a) : (b))
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))

#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define must_use	__attribute__((warn_unused_result))
/* The build clears all automatic variables; a large one that is written before it is
 * read, on the way of every request, says so. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define no_clear	__attribute__((uninitialized))
#endif
#endif
#ifndef no_clear
#define no_clear
#endif
#define printf_like(f, a) __attribute__((format(printf, f, a)))

#define KIB(n)		((size_t)(n) << 10)
#define MIB(n)		((size_t)(n) << 20)
#define MS_US(n)	((uint64_t)(n) * 1000u)
#define SEC_US(n)	((uint64_t)(n) * 1000000u)

/* A list link and its head; a link that is in no list points to itself. */
struct list {
	struct list	*next;
	struct list	*prev;
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return (l->next == l);
}

static inline void
list_append(struct list *head, struct list *l)
{
	l->prev = head->prev;
	l->next = head;
	head->prev->next = l;
	head->prev = l;
}

static inline void
list_remove(struct list *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = l;
}

#define list_first(head, type, member) \
	(list_is_empty(head) ? NULL : container_of((head)->next, type, member))

/* The body may remove l, and nothing else. */
#define list_each(l, tmp, head) \
	for ((l) = (head)->next, (tmp) = (l)->next; (l) != (head); \
	    (l) = (tmp), (tmp) = (l)->next)

#endif
