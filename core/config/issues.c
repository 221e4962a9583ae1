/* SPDX-License-Identifier: MIT */
/* What a check found, and the paths that it names. */
#include "core/config/config_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/json5.h"

#define ISSUE_MESSAGE_MAX	512

void
conf_issues_fini(struct conf_issues *is)
{
	size_t	 i;

	for (i = 0; i < is->n; i++) {
		free(is->items[i].path);
		free(is->items[i].message);
	}
	free(is->items);
	*is = (struct conf_issues)CONF_ISSUES_INIT;
}

int
conf_issues_add(struct conf_issues *is, const char *path, unsigned line,
    unsigned col, const char *fmt, ...)
{
	struct conf_issue	*items, *it;
	char			 message[ISSUE_MESSAGE_MAX];
	va_list			 ap;

	if (is == NULL)
		return (0);
	if (is->n == CONF_ISSUE_MAX) {
		is->n_more++;
		return (0);
	}
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof message, fmt, ap);
	va_end(ap);
	items = realloc(is->items, (is->n + 1) * sizeof *items);
	if (items == NULL)
		return (-ENOMEM);
	is->items = items;
	it = &items[is->n];
	it->path = strdup(path);
	it->message = strdup(message);
	it->line = line;
	it->col = col;
	if (it->path == NULL || it->message == NULL) {
		free(it->path);
		free(it->message);
		return (-ENOMEM);
	}
	is->n++;
	return (0);
}

void
conf_issues_print(const struct conf_issues *is, const char *file, FILE *out)
{
	size_t	 i;

	for (i = 0; i < is->n; i++) {
		const struct conf_issue *it = &is->items[i];

		(void)fprintf(out, "%s:", file);
		if (it->line > 0)
			(void)fprintf(out, "%u:%u:", it->line, it->col);
		if (*it->path != '\0')
			(void)fprintf(out, " %s:", it->path);
		(void)fprintf(out, " %s\n", it->message);
	}
	if (is->n_more > 0)
		(void)fprintf(out, "%s: and %zu more\n", file, is->n_more);
}

size_t
conf_trail_add(struct conf_trail *t, const char *text)
{
	size_t	 old = t->len;
	size_t	 n = MIN_OF(strlen(text), sizeof t->text - 1 - t->len);

	memcpy(t->text + t->len, text, n);
	t->len += n;
	t->text[t->len] = '\0';
	return (old);
}

size_t
conf_trail_key(struct conf_trail *t, const char *key)
{
	size_t	 old = t->len;

	if (old > 0)
		(void)conf_trail_add(t, ".");
	(void)conf_trail_add(t, key);
	return (old);
}

size_t
conf_trail_index(struct conf_trail *t, size_t index)
{
	char	 text[32];

	(void)snprintf(text, sizeof text, "[%zu]", index);
	return (conf_trail_add(t, text));
}

void
conf_trail_cut(struct conf_trail *t, size_t len)
{
	t->len = len;
	t->text[len] = '\0';
}

/* The deepest value so far whose path begins the issue's path. */
struct locate {
	struct conf_issue	*issue;
	unsigned		 n_steps;
};

static int
locate_visit(const struct json5_value *v, void *arg)
{
	struct locate		*l = arg;
	struct conf_trail	 t = { "", 0 };
	unsigned		 i;
	char			 key[CONF_PATH_MAX];

	if (v->is_comment || v->n_steps <= l->n_steps)
		return (0);
	for (i = 0; i < v->n_steps; i++) {
		if (v->steps[i].key == NULL) {
			(void)conf_trail_index(&t, v->steps[i].index);
			continue;
		}
		(void)snprintf(key, sizeof key, "%.*s", (int)v->steps[i].len,
		    v->steps[i].key);
		(void)conf_trail_key(&t, key);
	}
	if (strncmp(l->issue->path, t.text, t.len) != 0 ||
	    strchr(".[", l->issue->path[t.len]) == NULL)
		return (0);	/* the NUL of the end counts as a match */
	l->n_steps = v->n_steps;
	l->issue->line = v->line;
	l->issue->col = v->col;
	return (0);
}

void
conf_issues_locate(struct conf_issues *is, const char *text, size_t len)
{
	size_t	 i;

	for (i = 0; i < is->n; i++) {
		struct locate l = { &is->items[i], 0 };

		if (is->items[i].line == 0 && *is->items[i].path != '\0')
			(void)!json5_visit(text, len, locate_visit, &l);
	}
}
