/* SPDX-License-Identifier: MIT */
/* Params, results and payloads of the fake host against the schema files. */
#include "tests/plugin/fakehost_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json/schema.h"

/* "/methods/chat.send/params"; names of methods need no escapes. */
static struct schema *
schema_of(struct chela_ctx *ctx, const char *pointer)
{
	struct schema	*s;
	struct buf	 why = BUF_INIT;

	s = map_getz(ctx->schemas, pointer);
	if (s != NULL)
		return (s);
	if (schema_compile(ctx->schema, pointer, &s, &why) < 0) {
		(void)fprintf(stderr, "%s.json%s: %.*s\n", ctx->name, pointer,
		    (int)why.len, why.data);
		abort();	/* a mistake in the tree's own file */
	}
	buf_fini(&why);
	if (map_putz(ctx->schemas, pointer, s) < 0)
		abort();
	return (s);
}

static bool
has_part(struct chela_ctx *ctx, const char *part, const char *name,
    const char *kind)
{
	struct json_object	*o;

	return (json_object_object_get_ex(ctx->schema, part, &o) &&
	    (name == NULL || json_object_object_get_ex(o, name, &o)) &&
	    (kind == NULL || json_object_object_get_ex(o, kind, &o)));
}

bool
fake_schema_ok(struct chela_ctx *ctx, const char *part, const char *name,
    const char *kind, struct json_object *o, char *why, size_t why_size)
{
	static struct schema_report	 rep;
	char				 pointer[256];

	why[0] = '\0';
	if (ctx->schema == NULL || !has_part(ctx, part, name, kind))
		return (true);
	(void)snprintf(pointer, sizeof pointer, "/%s/%s/%s", part, name, kind);
	if (schema_check(schema_of(ctx, pointer), o, &rep) == 0)
		return (true);
	(void)snprintf(why, why_size, "%s", rep.text);
	return (false);
}

int
fake_schema_conf(struct chela_ctx *ctx, struct json_object *conf)
{
	static struct schema_report	 rep;
	struct schema			*s;

	if (ctx->schema == NULL || !has_part(ctx, "config", NULL, NULL))
		return (0);
	s = schema_of(ctx, "/config");
	if (schema_check(s, conf, &rep) < 0) {
		(void)fprintf(stderr, "configuration of %s: %s\n", ctx->name,
		    rep.text);
		return (-1);
	}
	return (schema_fill_defaults(s, conf));
}

void
fake_schema_free(struct chela_ctx *ctx)
{
	const char	*key;
	size_t		 pos = 0, len;
	void		*s;

	while (map_next(ctx->schemas, &pos, &key, &len, &s))
		schema_free(s);
	ctx->schemas = map_free(ctx->schemas);
}
