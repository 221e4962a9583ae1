/* SPDX-License-Identifier: MIT */
/*
 * Secrets out of what clients read, and back into what they write. A value is
 * secret when its schema says so or its key's name does; a whole "${NAME}" is a
 * reference and stays.
 */
#include "core/config/redact.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/config/config_priv.h"
#include "core/config/json5.h"
#include "core/json/json.h"

#define SECRETS_MAX	1024	/* of one text, for its comments */
#define SECRET_SHOWN	6	/* shorter ones are common words */

/* How the name of a secret ends; "maxTokens" and "tokenFile" are none. */
static const char *const secret_names[] = {
	"token", "password", "passwd", "passphrase", "secret", "apikey",
	"api_key", "api-key", "privatekey", "private_key", "accesskey",
	"access_key", "secretkey", "secret_key", "credential", "authorization",
	"cookie",
};

static bool
name_is_secret(const char *key, size_t len)
{
	size_t	 i, n;

	for (i = 0; i < ARRAY_LEN(secret_names); i++) {
		n = strlen(secret_names[i]);
		if (len >= n && strncasecmp(key + len - n, secret_names[i], n)
		    == 0)
			return (true);
	}
	return (false);
}

bool
conf_is_sensitive(const struct conf_schema *s, struct json_object *node,
    const char *key)
{
	(void)s;
	if (node != NULL && conf_node_flag(node, "x-chela-sensitive"))
		return (true);
	return (key != NULL && name_is_secret(key, strlen(key)));
}

/* "${NAME}" and nothing else. */
static bool
is_reference(const char *s, size_t len)
{
	size_t	 i;

	if (len < 4 || s[0] != '$' || s[1] != '{' || s[len - 1] != '}')
		return (false);
	for (i = 2; i < len - 1; i++) {
		if (!isalnum((unsigned char)s[i]) && s[i] != '_')
			return (false);
	}
	return (true);
}

/* "scheme://user:password@host" somewhere in it: the key may be anything. */
static bool
is_url_secret(const char *s, size_t len)
{
	const char	*p = s, *end, *at, *colon;

	while ((p = memmem(p, len - (size_t)(p - s), "://", 3)) != NULL) {
		p += 3;
		for (end = p; end < s + len && strchr("/?# \"'", *end) == NULL;
		    end++)
			;
		at = memrchr(p, '@', (size_t)(end - p));
		colon = memchr(p, ':', (size_t)(end - p));
		if (at != NULL && colon != NULL && colon + 1 < at &&
		    !is_reference(colon + 1, (size_t)(at - colon - 1)))
			return (true);
	}
	return (false);
}

static bool
is_url_value(struct json_object *v)
{
	if (!json_object_is_type(v, json_type_string))
		return (false);
	return (is_url_secret(json_object_get_string(v),
	    (size_t)json_object_get_string_len(v)));
}

static bool
is_secret_value(struct json_object *v)
{
	size_t	 len;

	switch (json_object_get_type(v)) {
	case json_type_int:
	case json_type_double:
		return (true);
	case json_type_string:
		len = (size_t)json_object_get_string_len(v);
		return (len > 0 && !is_reference(json_object_get_string(v),
		    len));
	default:
		return (false);
	}
}

/* A walk along a document and its schema. */
struct walk {
	const struct conf_schema *schema;
	conf_secret_fn		*fn;
	void			*arg;
	struct conf_trail	 trail;
};

static int
walk_value(struct walk *w, struct json_object *node, struct json_object *v,
    bool is_secret, struct json_object *parent, const char *key, size_t index)
{
	struct json_object	*sub;
	size_t			 i, old;
	int			 r = 0;

	if (json_object_is_type(v, json_type_object)) {
		json_object_object_foreach(v, name, item) {
			sub = conf_node_step(w->schema, node, name);
			old = conf_trail_key(&w->trail, name);
			r = walk_value(w, sub, item,
			    conf_is_sensitive(w->schema, sub, name), v, name,
			    0);
			conf_trail_cut(&w->trail, old);
			if (r != 0)
				return (r);
		}
		return (0);
	}
	if (json_object_is_type(v, json_type_array)) {
		sub = conf_node_step(w->schema, node, NULL);
		for (i = 0; r == 0 && i < json_object_array_length(v); i++) {
			old = conf_trail_index(&w->trail, i);
			/* A list of secrets is as secret as one. */
			r = walk_value(w, sub, json_object_array_get_idx(v, i),
			    is_secret || conf_is_sensitive(w->schema, sub,
			    NULL), v, NULL, i);
			conf_trail_cut(&w->trail, old);
		}
		return (r);
	}
	if (!(is_secret && is_secret_value(v)) && !is_url_value(v))
		return (0);
	return (w->fn(w->trail.text, v, parent, key, index, w->arg));
}

int
conf_secrets_each(const struct conf_schema *s, struct json_object *doc,
    conf_secret_fn *fn, void *arg)
{
	struct walk	 w = { .schema = s, .fn = fn, .arg = arg };

	return (walk_value(&w, conf_node_root(s), doc, false, NULL, NULL, 0));
}

static int
redact_one(const char *path, struct json_object *v, struct json_object *parent,
    const char *key, size_t index, void *arg)
{
	struct json_object	*mask;
	int			 r;

	(void)path;
	(void)v;
	(void)arg;
	if (parent == NULL)
		return (0);
	mask = json_object_new_string(CONF_REDACTED);
	if (mask == NULL)
		return (-ENOMEM);
	/*
	 * Replacing the value of a key that exists keeps the iteration valid.
	 */
	r = key != NULL ? json_object_object_add(parent, key, mask) :
	    json_object_array_put_idx(parent, index, mask);
	if (r < 0) {
		json_object_put(mask);
		return (-ENOMEM);
	}
	return (0);
}

int
conf_redact(const struct conf_schema *s, struct json_object *doc,
    struct json_object **ret_doc)
{
	struct json_object	*copy = NULL;
	int			 r;

	if (json_object_deep_copy(doc, &copy, NULL) < 0)
		return (-ENOMEM);
	r = conf_secrets_each(s, copy, redact_one, NULL);
	if (r < 0) {
		json_object_put(copy);
		return (r);
	}
	*ret_doc = copy;
	return (0);
}

/* The state of redacting a text: spans come in rising order. */
struct redact_text {
	const struct conf_schema *schema;
	const char		*text;
	struct buf		*out;
	size_t			 done;		/* copied up to here */
	char			*secrets[SECRETS_MAX];
	size_t			 n_secrets;
	bool			 is_gathering;
};

static bool
span_is_secret(struct redact_text *rt, const struct json5_value *v)
{
	struct json_object	*node = conf_node_root(rt->schema);
	bool			 is_secret = false;
	unsigned		 i;

	for (i = 0; i < v->n_steps; i++) {
		node = conf_node_step(rt->schema, node, v->steps[i].key);
		if (v->steps[i].key != NULL)
			is_secret = false;
		is_secret = is_secret || conf_is_sensitive(rt->schema, node,
		    v->steps[i].key);
	}
	return (is_secret);
}

static bool
span_is_scalar(const char *p)
{
	/* true, false and null tell nothing. */
	return (*p != '{' && *p != '[' && *p != 't' && *p != 'f' && *p != 'n');
}

/* "token: x" or "token" = "x" somewhere in a comment. */
static bool
comment_names_secret(const char *s, size_t len)
{
	size_t	 i, from, to;

	for (i = 0; i < len; i++) {
		if (s[i] != ':' && s[i] != '=')
			continue;
		for (to = i; to > 0 && strchr(" \t\"'", s[to - 1]) != NULL;
		    to--)
			;
		for (from = to; from > 0 && (isalnum((unsigned char)s[from - 1])
		    || s[from - 1] == '_' || s[from - 1] == '-'); from--)
			;
		if (to > from && name_is_secret(s + from, to - from))
			return (true);
	}
	return (false);
}

static bool
comment_is_secret(struct redact_text *rt, const char *s, size_t len)
{
	size_t	 i;

	if (comment_names_secret(s, len))
		return (true);
	for (i = 0; i < rt->n_secrets; i++) {
		if (memmem(s, len, rt->secrets[i], strlen(rt->secrets[i])) !=
		    NULL)
			return (true);
	}
	return (false);
}

static int
gather_secret(struct redact_text *rt, const struct json5_value *v)
{
	const char	*s = v->is_string ? v->str : rt->text + v->from;
	size_t		 len = v->is_string ? v->str_len : v->to - v->from;
	char		*copy;

	if (len < SECRET_SHOWN || rt->n_secrets == SECRETS_MAX ||
	    memchr(s, 0, len) != NULL)
		return (0);
	copy = strndup(s, len);
	if (copy == NULL)
		return (-ENOMEM);
	rt->secrets[rt->n_secrets++] = copy;
	return (0);
}

static int
redact_span(const struct json5_value *v, void *arg)
{
	struct redact_text	*rt = arg;
	const char		*p = rt->text + v->from;
	size_t			 len = v->to - v->from;

	if (v->is_comment) {
		if (rt->is_gathering || !comment_is_secret(rt, p, len))
			return (0);
		(void)buf_add(rt->out, rt->text + rt->done, v->from - rt->done);
		(void)buf_puts(rt->out, p[1] == '*' ? "/* " CONF_REDACTED " */"
		    : "// " CONF_REDACTED);
	} else {
		if (v->n_steps == 0 || !span_is_scalar(p) ||
		    (!span_is_secret(rt, v) &&
		    !is_url_secret(v->str, v->str_len)))
			return (0);
		if (v->is_string && (v->str_len == 0 ||
		    is_reference(v->str, v->str_len)))
			return (0);
		if (rt->is_gathering)
			return (gather_secret(rt, v));
		(void)buf_add(rt->out, rt->text + rt->done, v->from - rt->done);
		(void)buf_puts(rt->out, "\"" CONF_REDACTED "\"");
	}
	rt->done = v->to;
	return (rt->out->is_failed ? -ENOMEM : 0);
}

int
conf_redact_text(const struct conf_schema *s, const char *text, size_t len,
    struct buf *out)
{
	struct redact_text	*rt;
	size_t			 i;
	int			 r;

	rt = calloc(1, sizeof *rt);
	if (rt == NULL)
		return (-ENOMEM);
	rt->schema = s;
	rt->text = text;
	rt->out = out;
	rt->is_gathering = true;
	r = json5_visit(text, len, redact_span, rt);
	if (r == 0) {
		rt->is_gathering = false;
		r = json5_visit(text, len, redact_span, rt);
	}
	if (r == 0)
		r = buf_add(out, text + rt->done, len - rt->done);
	for (i = 0; i < rt->n_secrets; i++) {
		explicit_bzero(rt->secrets[i], strlen(rt->secrets[i]));
		free(rt->secrets[i]);
	}
	free(rt);
	return (r);
}

/* Putting secrets back. */
struct restore {
	const struct conf_schema *schema;
	struct conf_trail	 trail;
	struct conf_issues	*issues;
	bool			 is_bad;
};

/*
 * The stored element that the new one at index stands for: the one with the
 * same id, name or key; without any of these, the one in the same place of a
 * list that has kept its length. A guess here would hand one account another's
 * secret.
 */
static struct json_object *
stored_element(struct json_object *list, struct json_object *stored,
    size_t index)
{
	static const char *const names[] = { "id", "name", "key" };
	struct json_object	*item, *mine, *theirs, *other;
	size_t			 i, k;

	if (!json_object_is_type(stored, json_type_array))
		return (NULL);
	item = json_object_array_get_idx(list, index);
	for (k = 0; k < ARRAY_LEN(names); k++) {
		if (!json_object_is_type(item, json_type_object) ||
		    !json_object_object_get_ex(item, names[k], &mine) ||
		    !json_object_is_type(mine, json_type_string))
			continue;
		for (i = 0; i < json_object_array_length(stored); i++) {
			other = json_object_array_get_idx(stored, i);
			if (json_object_is_type(other, json_type_object) &&
			    json_object_object_get_ex(other, names[k], &theirs)
			    && json_object_equal(mine, theirs))
				return (other);
		}
		return (NULL);
	}
	if (json_object_array_length(list) != json_object_array_length(stored))
		return (NULL);
	return (json_object_array_get_idx(stored, index));
}

static int	 restore_value(struct restore *re, struct json_object *node,
		    struct json_object *v, struct json_object *stored,
		    bool is_secret, struct json_object **ret_new);

static int
restore_object(struct restore *re, struct json_object *node,
    struct json_object *v, struct json_object *stored)
{
	struct json_object	*sub, *old, *fresh;
	size_t			 len;
	int			 r;

	json_object_object_foreach(v, key, item) {
		old = NULL;
		if (json_object_is_type(stored, json_type_object))
			(void)json_object_object_get_ex(stored, key, &old);
		sub = conf_node_step(re->schema, node, key);
		len = conf_trail_key(&re->trail, key);
		fresh = NULL;
		r = restore_value(re, sub, item, old,
		    conf_is_sensitive(re->schema, sub, key), &fresh);
		conf_trail_cut(&re->trail, len);
		if (r == 0 && fresh != NULL &&
		    json_object_object_add(v, key, fresh) < 0) {
			json_object_put(fresh);
			r = -ENOMEM;
		}
		if (r < 0)
			return (r);
	}
	return (0);
}

static int
restore_array(struct restore *re, struct json_object *node,
    struct json_object *v, struct json_object *stored, bool is_secret)
{
	struct json_object	*sub = conf_node_step(re->schema, node, NULL);
	struct json_object	*fresh;
	size_t			 i, len;
	int			 r = 0;

	is_secret = is_secret || conf_is_sensitive(re->schema, sub, NULL);
	for (i = 0; r == 0 && i < json_object_array_length(v); i++) {
		len = conf_trail_index(&re->trail, i);
		fresh = NULL;
		r = restore_value(re, sub, json_object_array_get_idx(v, i),
		    stored_element(v, stored, i), is_secret, &fresh);
		conf_trail_cut(&re->trail, len);
		if (r == 0 && fresh != NULL &&
		    json_object_array_put_idx(v, i, fresh) < 0) {
			json_object_put(fresh);
			r = -ENOMEM;
		}
	}
	return (r);
}

/* A value, or a reference to one: {source, id}. */
static bool
is_restorable(struct json_object *stored, bool is_secret)
{
	if (stored == NULL || json_object_is_type(stored, json_type_array))
		return (false);
	if (json_object_is_type(stored, json_type_object))
		return (is_secret && json_get_str(stored, "source") != NULL &&
		    json_get_str(stored, "id") != NULL);
	return (is_secret || is_url_value(stored));
}

/* Gives in *ret_new what takes the place of v, or leaves it. */
static int
restore_value(struct restore *re, struct json_object *node,
    struct json_object *v, struct json_object *stored, bool is_secret,
    struct json_object **ret_new)
{
	const char	*s;

	if (json_object_is_type(v, json_type_object))
		return (restore_object(re, node, v, stored));
	if (json_object_is_type(v, json_type_array))
		return (restore_array(re, node, v, stored, is_secret));
	if (!json_object_is_type(v, json_type_string))
		return (0);
	s = json_object_get_string(v);
	if (strstr(s, CONF_REDACTED) == NULL)
		return (0);
	if (strcmp(s, CONF_REDACTED) == 0 && is_restorable(stored, is_secret))
		return (json_object_deep_copy(stored, ret_new, NULL) < 0 ?
		    -ENOMEM : 0);
	re->is_bad = true;
	return (conf_issues_add(re->issues, re->trail.text, 0, 0,
	    "holds the mark of a redacted secret, and no secret is stored here"));
}

int
conf_restore(const struct conf_schema *s, struct json_object *doc,
    struct json_object *stored, struct conf_issues *issues)
{
	struct restore	 re = { .schema = s, .issues = issues };
	int		 r;

	r = restore_object(&re, conf_node_root(s), doc, stored);
	return (r == 0 && re.is_bad ? -EINVAL : r);
}
