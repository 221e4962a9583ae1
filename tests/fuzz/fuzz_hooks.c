/* SPDX-License-Identifier: MIT */
/*
 * Templates of hooks and the envelope: the first line is a template, the rest the
 * payload; what comes of them is put into an envelope, which must have one
 * beginning and one end whatever it holds.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "plugins/hooks/hooks_template.h"
#include "plugins/hooks/hooks_wrap.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
one_only(const char *s, const char *mark)
{
	const char	*p = strstr(s, mark);

	if (p == NULL || strstr(p + 1, mark) != NULL)
		abort();
}

static void
check_wrap(const char *text)
{
	char	*s = wrap_external(text, "Webhook", text, "0123456789abcdef");

	if (s == NULL)
		return;
	one_only(s, "<<<EXTERNAL_UNTRUSTED_CONTENT");
	one_only(s, "<<<END_EXTERNAL_UNTRUSTED_CONTENT");
	if (strstr(s, "<|im_start|>") != NULL)
		abort();
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_input	 in = { .path = "p", .now = "n" };
	char			*all, *rest, *text = NULL;

	if (size > 65536)
		return (0);
	all = strndup((const char *)data, size);
	if (all == NULL)
		return (0);
	rest = strchr(all, '\n');
	if (rest != NULL)
		*rest++ = '\0';
	in.payload = rest != NULL ? json_tokener_parse(rest) : NULL;
	in.headers = in.query = in.payload;
	(void)template_has_places(all);
	if (template_render(all, &in, &text) == 0)
		check_wrap(text);
	free(text);
	if (rest != NULL)
		check_wrap(rest);
	json_object_put(in.payload);
	free(all);
	return (0);
}
