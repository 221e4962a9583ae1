/* SPDX-License-Identifier: MIT */
/* References to secrets in the configuration: finding them, comparing them. */
#include "secrets.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without these the gateway would answer strangers with an old secret. */
static const char *const strict_paths[] = {
	"gateway.auth.*", "hooks.token", "cron.webhookToken",
};

static void
ref_fini(struct ref *r)
{
	free(r->source);
	free(r->provider);
	free(r->id);
	free(r->path);
	json_object_put(r->segments);
	vault_drop(r->value, r->len);
}

void
refs_fini(struct refs *refs)
{
	size_t	 i;

	for (i = 0; i < refs->n; i++)
		ref_fini(&refs->items[i]);
	free(refs->items);
	*refs = (struct refs){ .items = NULL };
}

bool
refs_match(const char *pattern, struct json_object *segments)
{
	size_t		 i, n = json_object_array_length(segments), len;
	const char	*seg;

	for (i = 0; i < n; i++) {
		len = strcspn(pattern, ".");
		if (len == 0)
			return (false);
		seg = json_object_get_string(json_object_array_get_idx(segments,
		    i));
		if (!(len == 1 && *pattern == '*') &&
		    (strlen(seg) != len || strncmp(seg, pattern, len) != 0))
			return (false);
		pattern += len;
		if (*pattern == '.')
			pattern++;
	}
	return (*pattern == '\0');
}

struct ref *
refs_find(struct refs *refs, const struct ref *like)
{
	size_t	 i;

	for (i = 0; i < refs->n; i++) {
		if (strcmp(refs->items[i].source, like->source) == 0 &&
		    strcmp(refs->items[i].provider, like->provider) == 0 &&
		    strcmp(refs->items[i].id, like->id) == 0)
			return (&refs->items[i]);
	}
	return (NULL);
}

static bool
is_name(const char *s, size_t len)
{
	size_t	 i;

	if (len == 0 || len > NAME_MAX_LEN || s[0] < 'A' || s[0] > 'Z')
		return (false);
	for (i = 0; i < len; i++) {
		if (!((s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_' ||
		    (s[i] >= '0' && s[i] <= '9')))
			return (false);
	}
	return (true);
}

/* "${NAME}" and "$NAME"; gives the name, or NULL. */
static char *
shorthand(const char *s)
{
	size_t	 len = strlen(s);

	if (len < 2 || s[0] != '$')
		return (NULL);
	s++;
	len--;
	if (s[0] == '{' && s[len - 1] == '}') {
		s++;
		len -= 2;
	}
	return (is_name(s, len) ? strndup(s, len) : NULL);
}

/* No segment "." or "..": an id may become part of a path over there. */
static bool
is_exec_id(const char *s)
{
	const char	*p = s;
	size_t		 n;

	if (!isalnum((unsigned char)*s) || strlen(s) > 256)
		return (false);
	if (strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789._:/#-") != strlen(s))
		return (false);
	for (;; p += n + 1) {
		n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return (false);
		if (p[n] == '\0')
			return (true);
	}
}

static bool
is_valid(const char *source, const char *id)
{
	if (strcmp(source, "env") == 0 || strcmp(source, "store") == 0)
		return (is_name(id, strlen(id)));
	if (strcmp(source, "file") == 0)
		return (strcmp(id, "value") == 0 || *id == '/');
	return (strcmp(source, "exec") == 0 && is_exec_id(id));
}

static const char *
default_provider(const char *source)
{
	struct json_object	*d;
	const char		*s;

	d = secrets.host->conf_path(secrets.ctx, "secrets.defaults");
	s = get_str(d, source);
	return (s != NULL ? s : "default");
}

int
refs_add(struct refs *refs, struct json_object *v, const char *path,
    struct json_object *segments)
{
	struct ref	*more, ref = { .r = 1 };
	const char	*source, *provider = NULL, *id;
	char		*name = NULL;
	size_t		 i;

	if (json_object_is_type(v, json_type_string)) {
		name = shorthand(json_object_get_string(v));
		source = "env";
		id = name;
	} else {
		source = get_str(v, "source");
		provider = get_str(v, "provider");
		id = get_str(v, "id");
	}
	if (source == NULL || id == NULL || !is_valid(source, id)) {
		free(name);
		return (-EINVAL);
	}
	if (refs->n >= REFS_MAX) {
		free(name);
		return (-E2BIG);
	}
	if (refs->n == refs->cap) {
		more = realloc(refs->items, (refs->cap + 16) * sizeof *more);
		if (more == NULL) {
			free(name);
			return (-ENOMEM);
		}
		refs->items = more;
		refs->cap += 16;
	}
	ref.source = strdup(source);
	ref.provider = strdup(provider != NULL ? provider :
	    default_provider(source));
	ref.id = name != NULL ? name : strdup(id);
	ref.path = strdup(path);
	ref.segments = json_object_get(segments);
	for (i = 0; segments != NULL &&
	    i < sizeof strict_paths / sizeof strict_paths[0]; i++)
		ref.is_strict |= refs_match(strict_paths[i], segments);
	if (ref.source == NULL || ref.provider == NULL || ref.id == NULL ||
	    ref.path == NULL) {
		ref_fini(&ref);
		return (-ENOMEM);
	}
	refs->items[refs->n++] = ref;
	return (0);
}

/* --- the walk --- */

struct walk {
	struct refs	*refs;
	const char	*keys[REF_DEPTH_MAX];
	size_t		 depth;
	int		 r;
};

static void
walk_hit(struct walk *w, struct json_object *v)
{
	struct json_object	*seg = json_object_new_array();
	char			 path[1024] = "";
	size_t			 i;
	int			 r;

	for (i = 0; i < w->depth; i++) {
		json_object_array_add(seg, json_object_new_string(w->keys[i]));
		if (i > 0)
			strncat(path, ".", sizeof path - strlen(path) - 1);
		strncat(path, w->keys[i], sizeof path - strlen(path) - 1);
	}
	r = refs_add(w->refs, v, path, seg);
	json_object_put(seg);
	/* What only looks like one is a value of its own. */
	if (r < 0 && r != -EINVAL)
		w->r = r;
}

static void
walk(struct walk *w, struct json_object *v)
{
	char	 index[24];
	size_t	 i;

	if (w->r < 0)
		return;
	if (json_object_is_type(v, json_type_string)) {
		if (strncmp(json_object_get_string(v), "${", 2) == 0)
			walk_hit(w, v);
		return;
	}
	if (w->depth >= REF_DEPTH_MAX)
		return;
	if (json_object_is_type(v, json_type_object)) {
		if (get_str(v, "source") != NULL && get_str(v, "id") != NULL) {
			walk_hit(w, v);
			return;
		}
		json_object_object_foreach(v, key, member) {
			/* Providers are where, not what. */
			if (w->depth == 0 && strcmp(key, "secrets") == 0)
				continue;
			if (*key == '\0')
				continue;
			w->keys[w->depth++] = key;
			walk(w, member);
			w->depth--;
		}
	} else if (json_object_is_type(v, json_type_array)) {
		for (i = 0; i < json_object_array_length(v); i++) {
			(void)snprintf(index, sizeof index, "%zu", i);
			w->keys[w->depth++] = index;
			walk(w, json_object_array_get_idx(v, i));
			w->depth--;
		}
	}
}

int
refs_collect(struct refs *ret)
{
	struct json_object	*snap;
	struct walk		 w = { .refs = ret };
	int			 r;

	*ret = (struct refs){ .items = NULL };
	if (secrets.config == NULL)
		return (0);
	r = secrets.config->snapshot(&snap);
	if (r < 0)
		return (r);
	walk(&w, get_any(snap, "parsed"));
	json_object_put(snap);
	if (w.r < 0)
		refs_fini(ret);
	return (w.r);
}
