/* SPDX-License-Identifier: MIT */
/* A growing string with a limit, and the few JSON steps that drivers repeat. */
#ifndef MODEL_COMMON_TEXT_H
#define MODEL_COMMON_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

struct text {
	char	*p;		/* NULL or ends in NUL */
	size_t	 len;
	size_t	 cap;
};

void	 text_fini(struct text *t);
void	 text_reset(struct text *t);	/* keeps storage */
/* 0, -EMSGSIZE when it would grow past max, -ENOMEM. */
int	 text_add(struct text *t, const char *p, size_t len, size_t max);
const char *text_str(const struct text *t);	/* never NULL */

/* Gives a value of strict JSON in valid UTF-8 with nothing behind it, or NULL. */
struct json_object *jget_parse(const char *p, size_t len);
/* Members; NULL or 0 when absent or of another type. Lent. */
struct json_object *jget(struct json_object *o, const char *key);
const char *jget_str(struct json_object *o, const char *key);
uint64_t jget_count(struct json_object *o, const char *key); /* 0 if negative */
struct json_object *jget_at(struct json_object *o, const char *key, size_t i);
size_t	 jget_len(struct json_object *o);	/* of an array, else 0 */
/* Takes v; a missing v is a failure. 0 or -ENOMEM. */
int	 jadd(struct json_object *o, const char *key, struct json_object *v);
int	 jadd_str(struct json_object *o, const char *key, const char *s);
int	 jpush(struct json_object *a, struct json_object *v);	/* takes v */

#endif
