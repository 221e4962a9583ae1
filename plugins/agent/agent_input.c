/* SPDX-License-Identifier: MIT */
/*
 * What is checked before a run starts: attachments and the policy of the
 * session.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent_priv.h"

static char why[256];

/* The number of bytes that a base64 text stands for, or -1. */
static int64_t
base64_size(const char *s, size_t len)
{
	size_t i, pad = 0;

	if (len == 0 || len % 4 != 0)
		return (-1);
	if (s[len - 1] == '=')
		pad = s[len - 2] == '=' ? 2 : 1;
	for (i = 0; i < len - pad; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || c == '+' || c == '/'))
			return (-1);
	}
	return ((int64_t)(len / 4 * 3 - pad));
}

static unsigned
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return ((unsigned)(c - 'A'));
	if (c >= 'a' && c <= 'z')
		return ((unsigned)(c - 'a') + 26);
	if (c >= '0' && c <= '9')
		return ((unsigned)(c - '0') + 52);
	return (c == '+' ? 62 : c == '/' ? 63 : 0);
}

/* The first 12 bytes tell which image it is; NULL: none that is known. */
static const char *
sniff(const char *s, size_t len)
{
	unsigned char	b[12] = { 0 };
	size_t		i, n = 0;

	for (i = 0; i + 3 < len && n + 3 <= sizeof b; i += 4) {
		unsigned v = base64_value(s[i]) << 18 |
		    base64_value(s[i + 1]) << 12 |
		    base64_value(s[i + 2]) << 6 | base64_value(s[i + 3]);

		b[n++] = (unsigned char)(v >> 16);
		b[n++] = (unsigned char)(v >> 8);
		b[n++] = (unsigned char)v;
	}
	if (memcmp(b, "\x89PNG\r\n\x1a\n", 8) == 0)
		return ("image/png");
	if (memcmp(b, "\xff\xd8\xff", 3) == 0)
		return ("image/jpeg");
	if (memcmp(b, "GIF87a", 6) == 0 || memcmp(b, "GIF89a", 6) == 0)
		return ("image/gif");
	if (memcmp(b, "RIFF", 4) == 0 && memcmp(b + 8, "WEBP", 4) == 0)
		return ("image/webp");
	if (memcmp(b, "BM", 2) == 0)
		return ("image/bmp");
	return (NULL);
}

/* One attachment; adds it to out unless it is not an image. */
static int
attachment_add(struct json_object *in, size_t index, int64_t *total,
    struct json_object *out)
{
	const char		*label = get_str(in, "fileName"), *s, *mime;
	struct json_object	*o;
	char			 number[32];
	int64_t			 size;

	if (label == NULL || *label == '\0')
		label = get_str(in, "type");
	if (label == NULL || *label == '\0') {
		(void)snprintf(number, sizeof number, "attachment-%zu",
		    index + 1);
		label = number;
	}
	s = get_str(in, "content");
	if (s == NULL) {
		(void)snprintf(why, sizeof why,
		    "attachment %.100s: content must be base64 string", label);
		return (-EINVAL);
	}
	if (strncasecmp(s, "data:", 5) == 0) {
		const char *comma = strstr(s, ";base64,");

		if (comma != NULL)
			s = comma + strlen(";base64,");
	}
	size = base64_size(s, strlen(s));
	if (size < 0) {
		(void)snprintf(why, sizeof why,
		    "attachment %.100s: invalid base64 content", label);
		return (-EINVAL);
	}
	*total += size;
	if (size > IMAGE_BYTES_MAX || *total > ATTACHMENT_BYTES_MAX) {
		(void)snprintf(why, sizeof why,
		    "attachment %.100s: exceeds size limit (%lld > %u bytes)",
		    label, (long long)(size > IMAGE_BYTES_MAX ? size : *total),
		    size > IMAGE_BYTES_MAX ? IMAGE_BYTES_MAX :
		    ATTACHMENT_BYTES_MAX);
		return (-EINVAL);
	}
	mime = sniff(s, strlen(s));
	if (mime == NULL) {
		agent.host->log(agent.ctx, CHELA_LOG_WARNING,
		    "attachment: left out (not an image that is known)");
		return (0);
	}
	o = json_object_new_object();
	set_str(o, "type", "image");
	set_str(o, "mimeType", mime);
	set_str(o, "fileName", get_str(in, "fileName"));
	set_str(o, "data", s);
	set_int(o, "sizeBytes", size);
	json_object_array_add(out, o);
	return (0);
}

int
input_attachments(struct json_object *list, struct json_object **ret_list,
    const char **ret_why)
{
	struct json_object	*out;
	int64_t			 total = 0;
	size_t			 i, n;
	int			 r = 0;

	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	*ret_list = NULL;
	if (n == 0)
		return (0);
	*ret_why = why;
	if (n > ATTACHMENTS_MAX) {
		(void)snprintf(why, sizeof why,
		    "too many attachments (at most %u)", ATTACHMENTS_MAX);
		return (-EINVAL);
	}
	out = json_object_new_array();
	for (i = 0; i < n && r == 0; i++)
		r = attachment_add(json_object_array_get_idx(list, i), i,
		    &total, out);
	if (r < 0 || json_object_array_length(out) == 0) {
		json_object_put(out);
		return (r);
	}
	*ret_list = out;
	return (0);
}

/* Every member of the rule's match that is there must match. */
static bool
rule_matches(struct json_object *rule, const char *key,
    struct json_object *entry)
{
	struct json_object	*match = get_any(rule, "match");
	const char		*want, *have;

	want = get_str(match, "channel");
	if (want != NULL) {
		have = get_str(entry, "channel");
		if (have == NULL)
			have = get_str(entry, "lastChannel");
		if (have == NULL || strcasecmp(want, have) != 0)
			return (false);
	}
	want = get_str(match, "chatType");
	if (want != NULL) {
		have = get_str(entry, "chatType");
		if (strcmp(want, have != NULL ? have : "direct") != 0)
			return (false);
	}
	want = get_str(match, "keyPrefix");
	if (want != NULL) {
		const char *rest = strchr(key, ':');

		rest = rest != NULL ? strchr(rest + 1, ':') : NULL;
		if (strncmp(key, want, strlen(want)) != 0 && (rest == NULL ||
		    strncmp(rest + 1, want, strlen(want)) != 0))
			return (false);
	}
	return (true);
}

/* The session's own word, else the first rule that denies, else the default. */
int
input_policy(const char *key)
{
	struct json_object	*entry = NULL, *rules;
	const char		*own, *action, *usual;
	bool			 allow = false, deny = false;
	size_t			 i, n;

	(void)agent.sessions->get(key, &entry);
	own = get_str(entry, "sendPolicy");
	if (own != NULL) {
		deny = strcmp(own, "deny") == 0;
		json_object_put(entry);
		return (deny ? -EPERM : 0);
	}
	rules = conf_any("session.sendPolicy.rules");
	n = json_object_is_type(rules, json_type_array) ?
	    json_object_array_length(rules) : 0;
	for (i = 0; i < n && !deny; i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);

		action = get_str(rule, "action");
		if (action == NULL || !rule_matches(rule, key, entry))
			continue;
		deny = strcmp(action, "deny") == 0;
		allow = allow || strcmp(action, "allow") == 0;
	}
	json_object_put(entry);
	if (deny)
		return (-EPERM);
	usual = conf_str("session.sendPolicy.default");
	return (!allow && usual != NULL && strcmp(usual, "deny") == 0 ?
	    -EPERM : 0);
}
