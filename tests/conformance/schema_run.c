/* SPDX-License-Identifier: MIT */
/*
 * The validator as a program, to be compared with another one:
 *
 *	schema_run DOCUMENT < lines
 *
 * A line "S /definitions/X" selects a schema of the document; a line "V JSON"
 * checks a value against it and prints 1, 0, or ? when the value is no JSON for
 * us. "D JSON" does the same and prints the detail too. "A" compiles every
 * member of the document's definitions and prints how many, and the bytes they
 * hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/json.h"
#include "core/json/schema.h"

#define DOCUMENT_MAX	MIB(32)

static int
select_schema(struct json_object *doc, const char *pointer, struct schema **s)
{
	struct buf	 why = BUF_INIT;
	int		 r;

	*s = schema_free(*s);
	r = schema_compile(doc, pointer, s, &why);
	if (r < 0)
		(void)fprintf(stderr, "%s: %d %.*s\n", pointer, r,
		    (int)why.len, why.data == NULL ? "" : why.data);
	buf_fini(&why);
	return (r);
}

static void
judge(const struct schema *s, const char *text, bool has_detail)
{
	static const struct scan_limits	 lim = { 64, SIZE_MAX, false };
	static struct schema_report	 rep;
	struct json_object		*v;
	int				 r;

	if (json_parse_scanned(text, strlen(text), &lim, NULL, &v) < 0) {
		(void)puts("?");
		return;
	}
	r = schema_check(s, v, &rep);
	/* The report is a second walk, which must agree with the first. */
	if ((r == 0) != (schema_check(s, v, NULL) == 0) ||
	    (r == 0) != (rep.n_clauses == 0))
		(void)puts("the two walks differ");
	else if (has_detail)
		(void)printf("%d %s\n", r == 0, rep.text);
	else
		(void)printf("%d\n", r == 0);
	json_object_put(v);
}

/* All at once, as a daemon that has used each method holds them. */
static int
compile_all(struct json_object *doc)
{
	struct json_object	*defs = json_get_obj(doc, "definitions");
	struct schema		**all;
	struct buf		 pointer = BUF_INIT;
	size_t			 n = 0, heap = 0, i;
	int			 r = 0;

	if (defs == NULL)
		return (-1);
	all = calloc((size_t)json_object_object_length(defs) + 1, sizeof *all);
	if (all == NULL)
		return (-1);
	json_object_object_foreach(defs, key, sub) {
		(void)sub;
		buf_reset(&pointer);
		(void)buf_printf(&pointer, "/definitions/%s", key);
		r = buf_putc(&pointer, '\0');
		if (r == 0)
			r = select_schema(doc, pointer.data, &all[n]);
		if (r < 0)
			break;
		heap += schema_heap(all[n++]);
	}
	(void)printf("%zu %zu\n", n, heap);
	for (i = 0; i < n; i++)
		(void)schema_free(all[i]);
	free(all);
	buf_fini(&pointer);
	return (r);
}

int
main(int argc, char **argv)
{
	struct json_object	*doc = NULL;
	struct schema		*s = NULL;
	struct buf		 why = BUF_INIT;
	char			*line = NULL;
	size_t			 cap = 0;
	ssize_t			 n;
	int			 r = 1;

	if (argc != 2 || json_read_file(argv[1], DOCUMENT_MAX, &doc,
	    &why) < 0) {
		(void)fprintf(stderr, "usage: schema_run DOCUMENT %.*s\n",
		    (int)why.len, why.data == NULL ? "" : why.data);
		goto out;
	}
	while ((n = getline(&line, &cap, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (strncmp(line, "S ", 2) == 0) {
			if (select_schema(doc, line + 2, &s) < 0)
				goto out;
		} else if (s != NULL && (strncmp(line, "V ", 2) == 0 ||
		    strncmp(line, "D ", 2) == 0)) {
			judge(s, line + 2, line[0] == 'D');
		} else if (strcmp(line, "A") == 0) {
			if (compile_all(doc) < 0)
				goto out;
		} else
			goto out;
	}
	r = 0;
out:
	free(line);
	(void)schema_free(s);
	json_object_put(doc);
	buf_fini(&why);
	return (r);
}
