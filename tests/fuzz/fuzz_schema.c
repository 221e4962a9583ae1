/* SPDX-License-Identifier: MIT */
/*
 * Compiling and checking. The first line of the input is a schema, the second a
 * value: neither may do harm, and the walk that explains agrees with the one
 * that judges.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"
#include "core/json/json.h"
#include "core/json/schema.h"

#define MUST(x) do { \
	if (!(x)) \
		abort(); \
} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct scan_limits	 lim = { 64, MIB(4), false };
	static struct schema_report	 rep;
	struct json_object	*doc = NULL, *v = NULL;
	struct schema		*s = NULL;
	struct buf		 why = BUF_INIT;
	const char		*text = (const char *)data, *second;
	int			 r;

	second = size == 0 ? NULL : memchr(text, '\n', size);
	if (second == NULL)
		return (0);
	if (json_parse_scanned(text, (size_t)(second - text), &lim, NULL,
	    &doc) < 0)
		return (0);
	second++;
	if (json_parse_scanned(second, size - (size_t)(second - text), &lim,
	    NULL, &v) < 0)
		goto out;
	r = schema_compile(doc, "", &s, &why);
	if (r < 0) {
		MUST(r == -EINVAL && why.len > 0);
		goto out;
	}
	/* The schema keeps nothing of its document. */
	json_object_put(doc);
	doc = NULL;
	r = schema_check(s, v, NULL);
	MUST(r == 0 || r == -EBADMSG);
	MUST(schema_check(s, v, &rep) == r);
	MUST((r == 0) == (rep.n_clauses == 0));
	MUST(rep.len == strlen(rep.text) && rep.len < sizeof rep.text);
	MUST(utf8_is_valid(rep.text, rep.len));
	r = schema_fill_defaults(s, v);
	MUST(r == 0 || r == -ELOOP);
out:
	(void)schema_free(s);
	json_object_put(doc);
	json_object_put(v);
	buf_fini(&why);
	return (0);
}
