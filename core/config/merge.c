/* SPDX-License-Identifier: MIT */
#include "core/config/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/config_priv.h"
#include "core/json/json.h"

struct merge {
	conf_replace_fn		*may_replace;
	void			*arg;
	struct conf_trail	 trail;
	struct conf_issues	*issues;
	bool			 is_refused;
};

static int	 merge_object(struct merge *m, struct json_object *doc,
		    struct json_object *patch);

/* The array at the trail is about to lose entries. */
static int
merge_lose(struct merge *m)
{
	if (m->may_replace(m->trail.text, m->arg))
		return (0);
	m->is_refused = true;
	if (m->issues != NULL && m->issues->n >= MERGE_LOST_MAX)
		return (0);
	return (conf_issues_add(m->issues, m->trail.text, 0, 0,
	    "would lose array entries"));
}

/*
 * A value goes away; each array in it that is not inside another is asked for.
 */
static int
merge_gone(struct merge *m, struct json_object *v)
{
	size_t	 old;
	int	 r = 0;

	if (json_object_is_type(v, json_type_array))
		return (merge_lose(m));
	if (!json_object_is_type(v, json_type_object))
		return (0);
	json_object_object_foreach(v, key, item) {
		old = conf_trail_key(&m->trail, key);
		r = merge_gone(m, item);
		conf_trail_cut(&m->trail, old);
		if (r < 0)
			break;
	}
	return (r);
}

static bool
has_ids(struct json_object *list)
{
	size_t	 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (json_get_str(json_object_array_get_idx(list, i), "id") ==
		    NULL)
			return (false);
	}
	return (true);
}

static struct json_object *
by_id(struct json_object *list, const char *id)
{
	struct json_object	*item;
	size_t			 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		item = json_object_array_get_idx(list, i);
		if (strcmp(json_get_str(item, "id"), id) == 0)
			return (item);
	}
	return (NULL);
}

/* A copy of a patch with its nulls gone, as a new member takes it. */
static int
merge_fresh(struct json_object *patch, struct json_object **ret)
{
	struct json_object	*copy, *sub;
	int			 r = 0;

	if (!json_object_is_type(patch, json_type_object))
		return (json_copy(patch, ret));
	copy = json_object_new_object();
	if (copy == NULL)
		return (-ENOMEM);
	json_object_object_foreach(patch, key, item) {
		if (item == NULL)
			continue;
		r = merge_fresh(item, &sub);
		if (r == 0)
			r = json_add(copy, key, sub);
		if (r < 0)
			break;
	}
	if (r < 0) {
		json_object_put(copy);
		return (r);
	}
	*ret = copy;
	return (0);
}

static int
merge_by_id(struct merge *m, struct json_object *list,
    struct json_object *patch)
{
	struct json_object	*item, *mine, *fresh;
	size_t			 i, old;
	int			 r = 0;

	for (i = 0; r == 0 && i < json_object_array_length(patch); i++) {
		item = json_object_array_get_idx(patch, i);
		mine = by_id(list, json_get_str(item, "id"));
		if (mine != NULL) {
			old = m->trail.len;
			(void)conf_trail_add(&m->trail, "[]");
			r = merge_object(m, mine, item);
			conf_trail_cut(&m->trail, old);
			continue;
		}
		r = merge_fresh(item, &fresh);
		if (r == 0)
			r = json_push(list, fresh);
	}
	return (r);
}

/* Every entry of the old list is in the new one, as often. */
static int
loses_entries(struct json_object *before, struct json_object *after)
{
	size_t	 i, k, n = json_object_array_length(after);
	bool	*is_used;
	int	 loses = 0;

	if (json_object_array_length(before) > n)
		return (1);
	is_used = calloc(n + 1, sizeof *is_used);
	if (is_used == NULL)
		return (-ENOMEM);
	for (i = 0; !loses && i < json_object_array_length(before); i++) {
		for (k = 0; k < n; k++) {
			if (!is_used[k] && json_equal(
			    json_object_array_get_idx(before, i),
			    json_object_array_get_idx(after, k)))
				break;
		}
		if (k == n)
			loses = 1;
		else
			is_used[k] = true;
	}
	free(is_used);
	return (loses);
}

static int
merge_member(struct merge *m, struct json_object *doc, const char *key,
    struct json_object *item)
{
	struct json_object	*old = json_get(doc, key), *fresh;
	int			 r = 0;

	if (item == NULL) {
		r = merge_gone(m, old);
		if (r == 0)
			json_object_object_del(doc, key);
		return (r);
	}
	if (json_object_is_type(item, json_type_object) &&
	    json_object_is_type(old, json_type_object))
		return (merge_object(m, old, item));
	if (json_object_is_type(item, json_type_array) &&
	    json_object_is_type(old, json_type_array)) {
		if (has_ids(old) && has_ids(item) &&
		    json_object_array_length(old) > 0 &&
		    !m->may_replace(m->trail.text, m->arg))
			return (merge_by_id(m, old, item));
		r = loses_entries(old, item);
		if (r > 0)
			r = merge_lose(m);
	} else
		r = merge_gone(m, old);
	if (r < 0)
		return (r);
	r = merge_fresh(item, &fresh);
	return (r < 0 ? r : json_add(doc, key, fresh));
}

static int
merge_object(struct merge *m, struct json_object *doc,
    struct json_object *patch)
{
	size_t	 old;
	int	 r;

	json_object_object_foreach(patch, key, item) {
		old = conf_trail_key(&m->trail, key);
		r = merge_member(m, doc, key, item);
		conf_trail_cut(&m->trail, old);
		if (r < 0)
			return (r);
	}
	return (0);
}

int
conf_merge(struct json_object *doc, struct json_object *patch,
    conf_replace_fn *may_replace, void *arg, struct conf_issues *issues)
{
	struct merge	 m = { .may_replace = may_replace, .arg = arg,
		.issues = issues };
	int		 r;

	r = merge_object(&m, doc, patch);
	return (r == 0 && m.is_refused ? -EPERM : r);
}

struct diff {
	conf_diff_fn		*fn;
	void			*arg;
	struct conf_trail	 trail;
};

static int	 diff_value(struct diff *d, struct json_object *before,
		    struct json_object *after);

/* One side has the member, the other may; all it holds counts as changed. */
static int
diff_members(struct diff *d, struct json_object *a, struct json_object *b,
    bool is_after)
{
	struct json_object	*other;
	bool			 is_there;
	size_t			 old;
	int			 r = 0;

	json_object_object_foreach(a, key, item) {
		other = NULL;
		is_there = b != NULL && json_object_object_get_ex(b, key,
		    &other);
		if (is_there && is_after)
			continue;	/* seen from the other side */
		old = conf_trail_key(&d->trail, key);
		r = is_after ? diff_value(d, other, item) :
		    diff_value(d, item, other);
		conf_trail_cut(&d->trail, old);
		if (r != 0)
			return (r);
	}
	return (r);
}

static int
diff_value(struct diff *d, struct json_object *before,
    struct json_object *after)
{
	bool	 is_before = json_object_is_type(before, json_type_object);
	bool	 is_after = json_object_is_type(after, json_type_object);
	int	 r = 0;

	if (is_before && json_object_object_length(before) == 0)
		is_before = is_after;	/* "{}" against no object */
	if (is_after && json_object_object_length(after) == 0)
		is_after = is_before;
	if ((is_before || before == NULL) && (is_after || after == NULL) &&
	    (is_before || is_after)) {
		if (is_before)
			r = diff_members(d, before, is_after ? after : NULL,
			    false);
		if (r == 0 && is_after)
			r = diff_members(d, after, is_before ? before : NULL,
			    true);
		return (r);
	}
	if (json_equal(before, after))
		return (0);
	return (d->fn(d->trail.text, d->arg));
}

int
conf_diff(struct json_object *before, struct json_object *after,
    conf_diff_fn *fn, void *arg)
{
	struct diff	 d = { .fn = fn, .arg = arg };

	return (diff_value(&d, before, after));
}

size_t
conf_leaves(struct json_object *doc)
{
	size_t	 n = 0;

	if (!json_object_is_type(doc, json_type_object))
		return (1);
	json_object_object_foreach(doc, key, item) {
		(void)key;
		n += conf_leaves(item);
	}
	return (n);
}
