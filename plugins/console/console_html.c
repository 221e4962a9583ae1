/* SPDX-License-Identifier: MIT */
/*
 * An application's index.html: it is told the path in front of it, and the
 * scripts written into it get hashes, so that the content policy lets these run
 * and no other. A text of our own operator's, read once per request; nothing of
 * it is understood beyond two kinds of tags.
 */
#include "console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gnutls/crypto.h>

#define BUILD_ID	" data-openclaw-control-ui-build-id=\""

void
hash_text(const char *bytes, size_t len, char ret[HASH_TEXT_LEN])
{
	uint8_t		 hash[SHA256_LEN];
	gnutls_datum_t	 in = { hash, sizeof hash }, out = { NULL, 0 };

	ret[0] = '\0';
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, len, hash) < 0 ||
	    gnutls_base64_encode2(&in, &out) < 0)
		return;
	(void)snprintf(ret, HASH_TEXT_LEN, "%.*s", (int)out.size, out.data);
	gnutls_free(out.data);
}

/* The next start of such a tag, and where it ends; or NULL. */
static const char *
tag_find(const char *s, const char *name, const char **ret_end)
{
	size_t	 n = strlen(name);

	while ((s = strcasestr(s, name)) != NULL) {
		if (strchr(" \t\r\n>", s[n]) != NULL && s[n] != '\0') {
			*ret_end = strchr(s, '>');
			return (*ret_end != NULL ? s : NULL);
		}
		s += n;
	}
	return (NULL);
}

static bool
has_src(const char *tag, const char *end)
{
	const char	*s = tag;

	while ((s = strcasestr(s, "src")) != NULL && s < end) {
		if (strchr(" \t\r\n\"'", s[-1]) != NULL &&
		    strchr(" \t\r\n=", s[3]) != NULL)
			return (true);
		s += 3;
	}
	return (false);
}

static void
scripts_hash(struct visit *v, const char *html)
{
	char		 hash[HASH_TEXT_LEN];
	const char	*tag, *end, *close;
	unsigned	 n = 0;
	size_t		 len = 0;

	for (tag = html; n < HASHES_MAX; tag = close) {
		tag = tag_find(tag, "<script", &end);
		if (tag == NULL)
			return;
		close = strcasestr(end, "</script");
		if (close == NULL)
			return;
		if (has_src(tag, end))
			continue;
		hash_text(end + 1, (size_t)(close - end - 1), hash);
		len += (size_t)snprintf(v->hashes + len,
		    sizeof v->hashes - len, " 'sha256-%s'", hash);
		n++;
	}
}

/*
 * The page stands for addresses of any depth, so what it names beside itself is
 * named from the top.
 */
static void
put_html(FILE *out, const char *html, const char *base)
{
	const char	*s;

	while ((s = strstr(html, "=\"./")) != NULL) {
		(void)fprintf(out, "%.*s=\"%s/", (int)(s - html), html, base);
		html = s + 4;
	}
	(void)fputs(html, out);
}

int
html_prepare(struct visit *v)
{
	const char	*tag, *end, *id, *rest;
	char		*text = NULL;
	size_t		 len = 0;
	FILE		*out;

	out = open_memstream(&text, &len);
	if (out == NULL)
		return (-ENOMEM);
	tag = tag_find(v->text, "<html", &end);
	rest = v->text;
	if (tag != NULL) {
		tag += strlen("<html");
		/* It is not this gateway's, which would have it reloaded. */
		id = strstr(tag, BUILD_ID);
		rest = id == NULL || id > end ? NULL :
		    strchr(id + strlen(BUILD_ID), '"');
		if (rest == NULL || rest > end)
			id = rest = tag;
		else
			rest++;
		(void)fprintf(out, "%.*s data-openclaw-control-ui-base-path="
		    "\"%s\" data-openclaw-terminal-enabled=\"false\"%.*s",
		    (int)(tag - v->text), v->text, v->base, (int)(id - tag),
		    tag);
	}
	if (strcmp(v->path, "index.html") == 0)
		put_html(out, rest, v->base);
	else
		(void)fputs(rest, out);
	if (fclose(out) != 0) {
		free(text);
		return (-ENOMEM);
	}
	free(v->text);
	v->text = text;
	v->text_len = len;
	scripts_hash(v, text);
	return (0);
}
