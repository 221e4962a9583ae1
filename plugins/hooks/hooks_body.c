/* SPDX-License-Identifier: MIT */
/* What a body says: strict JSON, and the key that makes it repeatable. */
#include "hooks.h"

#include <stdlib.h>
#include <string.h>

/* Texts are used as texts that end in NUL: none is inside. */
static bool
has_nul(struct json_object *o)
{
	size_t	 i;

	switch (json_object_get_type(o)) {
	case json_type_string:
		return (memchr(json_object_get_string(o), '\0',
		    (size_t)json_object_get_string_len(o)) != NULL);
	case json_type_array:
		for (i = 0; i < json_object_array_length(o); i++) {
			if (has_nul(json_object_array_get_idx(o, i)))
				return (true);
		}
		return (false);
	case json_type_object: {
		json_object_object_foreach(o, key, value) {
			(void)key;
			if (has_nul(value))
				return (true);
		}
		return (false);
	    }
	default:
		return (false);
	}
}

/* What is built of a text is much larger than the text: looked at first. */
static bool
has_too_many(const char *s, size_t len)
{
	size_t	 i, n = 0;
	bool	 is_text = false;

	for (i = 0; i < len; i++) {
		if (is_text && s[i] == '\\')
			i++;
		else if (s[i] == '"')
			is_text = !is_text;
		else if (!is_text && (s[i] == '[' || s[i] == '{' ||
		    s[i] == ','))
			n++;
	}
	return (n > HOOKS_JSON_VALUES);
}

struct json_object *
body_parse(const char *bytes, size_t len, const char **ret_error)
{
	struct json_tokener	*tok;
	struct json_object	*o;
	enum json_tokener_error	 e;
	size_t			 end;

	while (len > 0 && strchr(" \t\r\n", bytes[len - 1]) != NULL &&
	    bytes[len - 1] != '\0')
		len--;
	if (len == 0)
		return (json_object_new_object());
	if (has_too_many(bytes, len)) {
		*ret_error = "the JSON has too many values";
		return (NULL);
	}
	tok = json_tokener_new_ex(HOOKS_JSON_DEPTH);
	if (tok == NULL) {
		*ret_error = "out of memory";
		return (NULL);
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
	    JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(tok, bytes, (int)len);
	e = json_tokener_get_error(tok);
	if (e == json_tokener_continue && o == NULL) {
		/* A number at the end is complete when something follows. */
		o = json_tokener_parse_ex(tok, " ", 1);
		e = json_tokener_get_error(tok);
		end = len;
	} else {
		end = json_tokener_get_parse_end(tok);
	}
	json_tokener_free(tok);
	if (e != json_tokener_success || end < len) {
		json_object_put(o);
		*ret_error = e == json_tokener_error_depth ?
		    "the JSON is nested too deeply" :
		    e == json_tokener_continue ?
		    "Unexpected end of JSON input" :
		    "Unexpected token in JSON";
		return (NULL);
	}
	if (has_nul(o)) {
		json_object_put(o);
		*ret_error = "NUL characters are not allowed";
		return (NULL);
	}
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = json_object_new_object();
	}
	return (o);
}

/* Of a key's candidates the first that is one: not blank, not too long. */
static char *
key_of(const char *s)
{
	char			*key = s != NULL ? trimmed(s) : NULL;
	const unsigned char	*p;
	size_t			 n = 0;

	/* Counted in UTF-16, as callers of other gateways count. */
	for (p = (const unsigned char *)key; key != NULL && *p != '\0'; p++)
		n += ((*p & 0xc0) != 0x80) + (*p >= 0xf0);
	if (n > HOOKS_KEY_CHARS) {
		free(key);
		key = NULL;
	}
	return (key);
}

char *
body_key(struct call *call)
{
	char	*key;

	key = key_of(hooks.routes->header(call->rq, "idempotency-key"));
	if (key == NULL)
		key = key_of(hooks.routes->header(call->rq,
		    "x-openclaw-idempotency-key"));
	if (key == NULL)
		key = key_of(get_str(call->payload, "idempotencyKey"));
	return (key);
}
