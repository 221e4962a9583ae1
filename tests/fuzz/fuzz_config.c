/* SPDX-License-Identifier: MIT */
/*
 * A configuration file from anyone. What the JSON5 reader lets through is
 * strict JSON and stays itself when read again; a redacted text holds no
 * secret, and putting the secrets back gives what was there.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/config_priv.h"
#include "core/config/json5.h"
#include "core/config/redact.h"
#include "core/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok)
{
	if (!ok)
		abort();
}

static struct conf_schema *
schema(void)
{
	static struct conf_schema	*s;
	const char			*dir = getenv("CHELA_TEST_SCHEMAS");

	if (s == NULL && conf_schema_load(dir == NULL ? "schemas" : dir, &s,
	    NULL) < 0)
		abort();
	return (s);
}

static int
no_mark(const char *path, struct json_object *v, struct json_object *parent,
    const char *key, size_t index, void *arg)
{
	(void)path;
	(void)parent;
	(void)key;
	(void)index;
	(void)arg;
	require(strcmp(json_object_get_string(v), CONF_REDACTED) == 0);
	return (0);
}

static void
redact_and_restore(const char *text, size_t len, struct json_object *doc)
{
	struct buf		 out = BUF_INIT;
	struct json_object	*back = NULL;

	/* Two elements of one name cannot be told apart: see conf_restore(). */
	require(conf_redact_text(schema(), text, len, &out) == 0);
	if (out.len <= CONF_TEXT_MAX) {
		require(conf_text_parse(out.data, out.len, &back, NULL) == 0);
		require(conf_secrets_each(schema(), back, no_mark, NULL) == 0);
		(void)!conf_restore(schema(), back, doc, NULL);
	}
	json_object_put(back);
	buf_fini(&out);
}

static void
config(const char *text, size_t len)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct conf		*c = NULL;

	if (conf_parse("f", text, len, schema(), NULL, &c, &is) == 0)
		require(conf_get(c, "gateway.port") != NULL);
	else
		require(is.n > 0);
	(void)conf_unref(c);
	conf_issues_fini(&is);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf		 one = BUF_INIT, two = BUF_INIT;
	struct json5_error	 error;
	struct scan_limits	 lim = { JSON5_DEPTH_MAX, SIZE_MAX, false };
	struct scan_result	 res;
	struct json_object	*doc = NULL;
	char			*text = malloc(size + 1);
	int			 r;

	require(text != NULL);
	memcpy(text, data, size);
	r = json5_to_json(text, size, &one, &error);
	if (r < 0)
		require(error.line > 0 && error.col > 0 && *error.why != '\0');
	else {
		r = scan_json(one.data, one.len, &lim, &res);
		/* 1e999 is a number to JSON5 and to nobody else. */
		require(r == 0 || res.err == SCAN_NUMBER);
		if (r == 0 && one.len <= JSON5_TEXT_MAX) {
			require(json5_to_json(one.data, one.len, &two,
			    &error) == 0);
			require(two.len == one.len && memcmp(one.data,
			    two.data, one.len) == 0);
		}
		if (r == 0 && one.data[0] == '{' &&
		    conf_text_parse(text, size, &doc, NULL) == 0)
			redact_and_restore(text, size, doc);
	}
	config(text, size);
	json_object_put(doc);
	buf_fini(&one);
	buf_fini(&two);
	free(text);
	return (0);
}
