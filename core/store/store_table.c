/* SPDX-License-Identifier: MIT */
/*
 * Tables in memory: one skip list a namespace, which is both the index and the
 * order. A hash table beside it would cost 80 bytes a key to save a
 * microsecond.
 */
#include "core/store/store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

/*
 * The first entry that is not before key; prev gets the links that lead there.
 */
static struct entry *
space_seek(struct space *sp, const char *key, struct entry ***prev)
{
	struct entry	**links = sp->head, *e;
	int		 i;

	for (i = (int)LIST_LEVELS - 1; i >= 0; i--) {
		while ((e = links[i]) != NULL && strcmp(e->key, key) < 0)
			links = e->next;
		if (prev != NULL)
			prev[i] = &links[i];
	}
	return (links[0]);
}

struct entry *
entry_find(struct space *sp, const char *key)
{
	struct entry	*e = space_seek(sp, key, NULL);

	return (e != NULL && strcmp(e->key, key) == 0 ? e : NULL);
}

static unsigned
store_random_level(struct store *s)
{
	unsigned	 level = 1;
	uint64_t	 x;

	/* xorshift64; keyed, so that no peer can choose the shape. */
	x = s->rng;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	s->rng = x;
	x >>= 16;
	while (level < LIST_LEVELS && (x & 3) == 0) {
		level++;
		x >>= 2;
	}
	return (level);
}

static struct entry *
entry_new(struct store *s, struct space *sp, const char *key, size_t len)
{
	struct entry	**prev[LIST_LEVELS], *e;
	unsigned	 i, level = store_random_level(s);
	char		*copy;

	e = calloc(1, sizeof *e + level * sizeof e->next[0] + len + 1);
	if (e == NULL)
		return (NULL);
	copy = (char *)(e->next + level);
	memcpy(copy, key, len);
	e->key = copy;
	e->key_len = (uint16_t)len;
	e->level = (uint16_t)level;
	(void)space_seek(sp, key, prev);
	for (i = 0; i < level; i++) {
		e->next[i] = *prev[i];
		*prev[i] = e;
	}
	return (e);
}

static void
entry_maybe_free(struct space *sp, struct entry *e)
{
	struct entry	**prev[LIST_LEVELS];
	unsigned	 i;

	if (e->cur != NULL || e->durable != NULL || e->n_pending > 0 ||
	    e->pins > 0)
		return;
	(void)space_seek(sp, e->key, prev);
	for (i = 0; i < e->level; i++)
		*prev[i] = e->next[i];
	free(e);
}

static size_t
entry_cost(const struct entry *e, const struct value *v)
{
	return (v == NULL ? 0 : e->key_len + v->len + STORE_ENTRY_COST);
}

/* Takes v. */
static void
entry_set(struct store *s, struct space *sp, struct entry *e, struct value *v)
{
	size_t	 was = entry_cost(e, e->cur), is = entry_cost(e, v);

	s->bytes = s->bytes - was + is;
	sp->bytes = sp->bytes - was + is;
	if (e->cur == NULL && v != NULL) {
		s->keys++;
		sp->keys++;
	} else if (e->cur != NULL && v == NULL) {
		s->keys--;
		sp->keys--;
	}
	(void)value_unref(e->cur);
	e->cur = v;
}

int
entry_load(struct store *s, struct space *sp, const char *key, size_t key_len,
    const char *text, size_t len, uint64_t rev)
{
	struct entry	*e;
	struct value	*v;

	/* Not a name of ours: the file was written by something else. */
	if (store_check_name(key, STORE_KEY_MAX, NULL) < 0 ||
	    strlen(key) != key_len || entry_find(sp, key) != NULL)
		return (-EBADMSG);
	v = value_new(text, len, rev);
	if (v == NULL)
		return (-ENOMEM);
	e = entry_new(s, sp, key, key_len);
	if (e == NULL) {
		(void)value_unref(v);
		return (-ENOMEM);
	}
	e->durable = value_ref(v);
	entry_set(s, sp, e, v);
	return (0);
}

void
entry_settle(struct store *s, struct op *op)
{
	struct entry	*e = op->entry;

	e->n_pending--;
	if (op->r < 0) {
		if (e->cur != e->durable)
			entry_set(s, op->space, e, value_ref(e->durable));
	} else {
		(void)value_unref(e->durable);
		e->durable = value_ref(op->value);	/* del: NULL */
	}
	entry_maybe_free(op->space, e);
}

void
space_free_entries(struct space *sp)
{
	struct entry	*e;

	while ((e = sp->head[0]) != NULL) {
		sp->head[0] = e->next[0];
		(void)value_unref(e->cur);
		(void)value_unref(e->durable);
		free(e);
	}
}

int
store_get(struct store *s, const char *ns, const char *key,
    const char **ret_text, size_t *ret_len, uint64_t *ret_rev)
{
	struct space	*sp = store_space(s, ns, false);
	struct entry	*e = sp == NULL ? NULL : entry_find(sp, key);

	if (e == NULL || e->cur == NULL)
		return (-ENOENT);
	if (ret_text != NULL)
		*ret_text = e->cur->text;
	if (ret_len != NULL)
		*ret_len = e->cur->len;
	if (ret_rev != NULL)
		*ret_rev = e->cur->rev;
	return (0);
}

int
store_each(struct store *s, const char *ns, const char *prefix,
    store_each_fn *cb, void *arg)
{
	struct space	*sp = store_space(s, ns, false);
	size_t		 len = strlen(prefix);
	struct entry	*e, *next;
	struct value	*v;
	int		 r = 0;

	if (sp == NULL)
		return (0);
	for (e = space_seek(sp, prefix, NULL); r == 0 && e != NULL &&
	    strncmp(e->key, prefix, len) == 0; e = next) {
		if (e->cur == NULL) {
			next = e->next[0];
			continue;
		}
		/* Pinned, so that its link is good whatever cb does. */
		e->pins++;
		v = value_ref(e->cur);
		r = cb(arg, e->key, v->text, v->len, v->rev);
		(void)value_unref(v);
		e->pins--;
		next = e->next[0];
		entry_maybe_free(sp, e);
	}
	return (r);
}

/* A ceiling stops growth only: what is over it may still be made smaller. */
static int
store_check_quota(const struct store *s, const struct space *sp, size_t was,
    size_t is)
{
	size_t	 more = is > was ? is - was : 0;

	if (more > 0 && (s->bytes + more > s->lim.bytes_max ||
	    sp->bytes + more > s->lim.ns_bytes_max))
		return (-EDQUOT);
	return (0);
}

int
store_put(struct store *s, const char *ns, const char *key, const char *text,
    size_t len, uint64_t expect_rev, store_done_fn *done, void *arg)
{
	struct space	*sp;
	struct entry	*e;
	struct op	*op;
	size_t		 key_len, was;
	uint64_t	 rev;
	int		 r;

	r = store_check_name(ns, STORE_NS_MAX, NULL);
	if (r < 0)
		return (r);
	r = store_check_name(key, STORE_KEY_MAX, &key_len);
	if (r < 0)
		return (r);
	if (len > s->lim.value_max)
		return (-EMSGSIZE);
	if (!utf8_is_valid(text, len))
		return (-EINVAL);
	r = store_may_write(s, len + key_len);
	if (r < 0)
		return (r);
	sp = store_space(s, ns, true);
	if (sp == NULL)
		return (-ENOMEM);
	e = entry_find(sp, key);
	rev = e == NULL || e->cur == NULL ? STORE_NEW_REV : e->cur->rev;
	if (expect_rev != STORE_ANY_REV && expect_rev != rev)
		return (store_report(s, done, arg, -ESTALE, rev));
	was = e == NULL ? 0 : entry_cost(e, e->cur);
	r = store_check_quota(s, sp, was, key_len + len + STORE_ENTRY_COST);
	if (r < 0)
		return (r);
	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (-ENOMEM);
	op->value = value_new(text, len, s->rev + 1);
	if (e == NULL && op->value != NULL)
		e = entry_new(s, sp, key, key_len);
	if (e == NULL || op->value == NULL) {
		(void)value_unref(op->value);
		free(op);
		return (-ENOMEM);
	}
	op->kind = OP_PUT;
	op->space = sp;
	op->entry = e;
	op->rev = ++s->rev;
	op->cost = len + key_len;
	op->done = done;
	op->arg = arg;
	e->n_pending++;
	entry_set(s, sp, e, value_ref(op->value));
	store_enqueue(s, op);
	return (0);
}

int
store_del(struct store *s, const char *ns, const char *key,
    uint64_t expect_rev, store_done_fn *done, void *arg)
{
	struct space	*sp;
	struct entry	*e;
	struct op	*op;
	uint64_t	 rev;
	int		 r;

	r = store_check_name(ns, STORE_NS_MAX, NULL);
	if (r < 0)
		return (r);
	r = store_check_name(key, STORE_KEY_MAX, NULL);
	if (r < 0)
		return (r);
	r = store_may_write(s, 0);
	if (r < 0)
		return (r);
	sp = store_space(s, ns, false);
	e = sp == NULL ? NULL : entry_find(sp, key);
	rev = e == NULL || e->cur == NULL ? STORE_NEW_REV : e->cur->rev;
	if (expect_rev != STORE_ANY_REV && expect_rev != rev)
		return (store_report(s, done, arg, -ESTALE, rev));
	if (rev == STORE_NEW_REV)
		return (store_report(s, done, arg, -ENOENT, 0));
	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (-ENOMEM);
	op->kind = OP_DEL;
	op->space = sp;
	op->entry = e;
	op->rev = ++s->rev;
	op->done = done;
	op->arg = arg;
	e->n_pending++;
	entry_set(s, sp, e, NULL);
	store_enqueue(s, op);
	return (0);
}
