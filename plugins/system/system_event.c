/* SPDX-License-Identifier: MIT */
/*
 * system-event: a line from a helper of the operator. It shows as presence, and
 * what is new in it waits for the main session's next turn.
 */
#include "system.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIELD_MAX	256	/* bytes of one field of a line */
#define DOT		" \xc2\xb7 "	/* the middle dot between the fields */

/* The members that are taken over as they are. tags are not. */
static const char *const taken[] = { "deviceId", "instanceId", "host", "ip",
	"mode", "version", "platform", "deviceFamily", "modelIdentifier",
	"reason", "roles", "scopes" };

static int
entry_default(struct json_object *entry, const char *key, const char *s,
    size_t len)
{
	if (len == 0 || len > FIELD_MAX || sys_str(entry, key) != NULL)
		return (0);
	return (json_add(entry, key, json_object_new_string_len(s, (int)len)));
}

/* One part between two dots: "app 1.2", "mode foreground". */
static int
entry_part(struct json_object *entry, const char *s, size_t len)
{
	static const struct {
		const char	*word;
		const char	*key;
	} words[] = { { "app ", "version" }, { "mode ", "mode" },
		{ "reason ", "reason" } };
	struct json_object	*v;
	char			*end;
	size_t			 i, n;
	long			 seconds;

	for (i = 0; i < sizeof words / sizeof words[0]; i++) {
		n = strlen(words[i].word);
		if (len > n && strncmp(s, words[i].word, n) == 0)
			return (entry_default(entry, words[i].key, s + n,
			    len - n));
	}
	if (len > 11 && strncmp(s, "last input ", 11) == 0 &&
	    isdigit((unsigned char)s[11]) &&
	    !json_object_object_get_ex(entry, "lastInputSeconds", &v)) {
		seconds = strtol(s + 11, &end, 10);
		if (strncmp(end, "s ago", 5) == 0)
			return (json_add(entry, "lastInputSeconds",
			    json_object_new_int64(seconds)));
	}
	return (0);
}

/* "Node: <host> (<ip>) . app <ver> . ...": what it says, as fields. */
static int
entry_parse(struct json_object *entry, const char *text)
{
	const char	*p = text + 5, *end, *open;
	int		 r;

	while (*p == ' ')
		p++;
	end = strstr(p, DOT);
	if (end == NULL)
		end = p + strlen(p);
	open = memmem(p, (size_t)(end - p), " (", 2);
	if (open != NULL && end[-1] == ')') {
		r = entry_default(entry, "host", p, (size_t)(open - p));
		if (r == 0)
			r = entry_default(entry, "ip", open + 2,
			    (size_t)(end - 1 - open - 2));
	} else
		r = entry_default(entry, "host", p, (size_t)(end - p));
	while (r == 0 && *end != '\0') {
		p = end + strlen(DOT);
		end = strstr(p, DOT);
		if (end == NULL)
			end = p + strlen(p);
		r = entry_part(entry, p, (size_t)(end - p));
	}
	return (r);
}

/* What presence keys entries by; scratch has room for the text's beginning. */
static const char *
entry_key(struct json_object *entry, char scratch[72])
{
	static const char *const names[] = { "deviceId", "instanceId", "host",
		"ip" };
	const char	*s;
	size_t		 i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		s = sys_str(entry, names[i]);
		if (s != NULL && *s != '\0')
			return (s);
	}
	s = sys_str(entry, "text");
	(void)snprintf(scratch, 72, "%.64s", s == NULL ? "" : s);
	return (scratch);
}

/* The entry that this one will be merged into; lent by list, or NULL. */
static struct json_object *
entry_before(struct json_object *list, struct json_object *entry)
{
	char			 a[72], b[72];
	const char		*key = entry_key(entry, a);
	struct json_object	*o;
	size_t			 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (strcasecmp(entry_key(o, b), key) == 0)
			return (o);
	}
	return (NULL);
}

static bool
is_changed(struct json_object *before, struct json_object *entry,
    const char *key)
{
	const char	*now = sys_str(entry, key);
	const char	*then = sys_str(before, key);

	return (now != NULL && (then == NULL || strcmp(now, then) != 0));
}

/* Reasons that only say that it is still there. */
static bool
is_routine(const char *reason)
{
	return (reason != NULL && (strncasecmp(reason, "periodic", 8) == 0 ||
	    strcasecmp(reason, "heartbeat") == 0));
}

static size_t
put(char *text, size_t len, size_t size, const char *word, const char *value)
{
	int	 n;

	n = snprintf(text + len, size - len, "%s%s%s", len == 0 ? "" : DOT,
	    word, value);
	return (n < 0 || (size_t)n >= size - len ? size - 1 : len + (size_t)n);
}

/* What of a line is news; "" when nothing is. */
static void
news_of(struct json_object *before, struct json_object *entry, char *text,
    size_t size)
{
	const char	*host = sys_str(entry, "host");
	const char	*ip = sys_str(entry, "ip");
	const char	*reason = sys_str(entry, "reason");
	char		 who[2 * FIELD_MAX + 8];
	size_t		 len = 0;

	text[0] = '\0';
	if (host == NULL)
		host = sys_str(before, "host");
	if (is_changed(before, entry, "host") ||
	    is_changed(before, entry, "ip") || before == NULL) {
		(void)snprintf(who, sizeof who, ip == NULL ? "%.256s" :
		    "%.256s (%.256s)", host == NULL ? "Unknown" : host, ip);
		len = put(text, len, size, "Node: ", who);
	}
	if (is_changed(before, entry, "version"))
		len = put(text, len, size, "app ", sys_str(entry, "version"));
	if (is_changed(before, entry, "mode"))
		len = put(text, len, size, "mode ", sys_str(entry, "mode"));
	if (is_changed(before, entry, "reason") && !is_routine(reason))
		(void)put(text, len, size, "reason ", reason);
}

static int
entry_new(struct json_object *params, struct json_object **ret_entry)
{
	struct json_object	*entry = json_object_new_object(), *v;
	size_t			 i;
	int			 r;

	if (entry == NULL)
		return (-ENOMEM);
	r = json_add(entry, "text", json_object_new_string(sys_str(params,
	    "text")));
	for (i = 0; r == 0 && i < sizeof taken / sizeof taken[0]; i++) {
		/* An empty string is no value: presence has none either. */
		if (!json_object_object_get_ex(params, taken[i], &v) ||
		    (json_object_is_type(v, json_type_string) &&
		    json_object_get_string_len(v) == 0))
			continue;
		r = json_add(entry, taken[i], json_object_get(v));
	}
	if (r == 0 && json_object_object_get_ex(params, "lastInputSeconds", &v)
	    && json_object_get_double(v) >= 0 &&
	    json_object_get_double(v) < 1e15)
		r = json_add(entry, "lastInputSeconds", json_object_new_int64(
		    (int64_t)json_object_get_double(v)));
	if (r < 0) {
		json_object_put(entry);
		return (r);
	}
	*ret_entry = entry;
	return (0);
}

static int
event_take(struct json_object *params, const char *key, bool is_node,
    bool wakes)
{
	struct json_object	*entry, *list = NULL;
	const char		*text = sys_str(params, "text");
	char			 news[4 * FIELD_MAX] = "";
	int			 r;

	r = entry_new(params, &entry);
	if (r < 0)
		return (r);
	if (is_node) {
		r = entry_parse(entry, text);
		if (r == 0)
			r = sys.state->presence_list(&list);
		if (r < 0) {
			json_object_put(entry);
			return (r);
		}
		news_of(entry_before(list, entry), entry, news, sizeof news);
		json_object_put(list);
	}
	r = sys.state->presence_upsert(entry);
	if (r < 0)
		return (r);
	if (!is_node)
		r = queue_add(key, text);
	else if (news[0] != '\0')
		r = queue_add(key, news);
	if (r >= 0 && wakes)
		beat_request(key);
	return (r < 0 ? r : 0);
}

int
system_event(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char		*text = sys_str(params, "text");
	struct json_object	*v = NULL, *o;
	char			 key[SYSTEM_KEY_MAX];
	bool			 is_node, wakes;
	int			 r;

	(void)ctx;
	if (text[strspn(text, " \t\r\n")] == '\0')
		return (sys.host->req_fail(req, "INVALID_REQUEST",
		    "text required"));
	is_node = strncmp(text, "Node:", 5) == 0;
	wakes = json_object_object_get_ex(params, "wake", &v) &&
	    json_object_get_boolean(v);
	if (wakes && is_node)
		return (sys.host->req_fail(req, "INVALID_REQUEST",
		    "wake is not supported for node presence events"));
	if (sys_key(sys_str(params, "sessionKey"), NULL, key) < 0)
		return (sys.host->req_fail(req, "INVALID_REQUEST",
		    "invalid sessionKey"));
	r = event_take(params, key, is_node, wakes);
	if (r == -ENOSPC)
		return (sys.host->req_fail(req, "UNAVAILABLE",
		    "too many sessions have events waiting"));
	if (r < 0)
		return (r);
	o = json_object_new_object();
	if (o == NULL || json_add(o, "ok", json_object_new_boolean(1)) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (sys.host->req_reply(req, o));
}
