/* SPDX-License-Identifier: MIT */
/* chela sessions */
#include <inttypes.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define LIST_LIMIT	50
#define HISTORY_LIMIT	50

static int
sessions_list(struct app *a)
{
	struct json_object	*p = json_object_new_object(), *res, *list, *s;
	struct table		 t;
	char			 age[32];
	size_t			 i;
	int			 r;
	int64_t			 now = (int64_t)clock_wall_ms(), total;

	(void)json_add_int(p, "limit", a->limit > 0 ? a->limit : LIST_LIMIT);
	(void)json_add_bool(p, "includeDerivedTitles", true);
	if (a->agent != NULL)
		(void)json_add_str(p, "agentId", a->agent);
	r = app_call(a, "sessions.list", p, &res);
	if (r != 0)
		return (r);
	list = json_get_arr(res, "sessions");
	if (a->is_json) {
		out_json(res);
		goto out;
	}
	table_init(&t, "lllrl", "SESSION", "USED", "MODEL", "TOKENS", "TITLE",
	    NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		s = json_object_array_get_idx(list, i);
		table_add(&t, "%s", text_of(s, "key"));
		table_add(&t, "%s", out_age(json_get_int(s, "updatedAt", 0),
		    now, age, sizeof age));
		table_add(&t, "%s", text_of(s, "model"));
		table_add(&t, "%s", text_of(s, "totalTokens"));
		table_add(&t, "%s", *text_of(s, "label") != '\0' ?
		    text_of(s, "label") : *text_of(s, "displayName") != '\0' ?
		    text_of(s, "displayName") : text_of(s, "derivedTitle"));
	}
	table_print(&t);
	total = json_get_int(res, "totalCount", 0);
	if (!a->is_quiet && list != NULL &&
	    total > (int64_t)json_object_array_length(list))
		app_say("%zu of %" PRId64 "; -n lists more",
		    json_object_array_length(list), total);
out:
	json_object_put(res);
	return (EXIT_OK);
}

static void
print_members(struct json_object *o)
{
	char	 age[32];
	size_t	 n;

	json_object_object_foreach(o, key, value) {
		n = strlen(key);
		if (value == NULL || (json_object_is_type(value,
		    json_type_array) && json_object_array_length(value) == 0))
			continue;
		/* Points in time are named so; a number says nothing. */
		if (n > 2 && strcmp(key + n - 2, "At") == 0 &&
		    json_object_is_type(value, json_type_int))
			out_pair(key, "%s", out_age(json_object_get_int64(
			    value), (int64_t)clock_wall_ms(), age,
			    sizeof age));
		else if (json_object_is_type(value, json_type_string))
			out_pair(key, "%s", json_object_get_string(value));
		else
			out_pair(key, "%s", json_object_to_json_string_ext(
			    value, JSON_C_TO_STRING_PLAIN |
			    JSON_C_TO_STRING_NOSLASHESCAPE));
	}
}

static int
sessions_show(struct app *a, const char *key)
{
	struct json_object	*res, *s;
	int			 r;

	r = app_call(a, "sessions.describe", params_of("key", key, NULL), &res);
	if (r != 0)
		return (r);
	s = json_get_obj(res, "session");
	if (a->is_json) {
		out_json(s);
	} else if (s != NULL) {
		print_members(s);
	}
	if (s == NULL) {
		app_say("there is no session '%s'; 'chela sessions' lists them",
		    key);
		r = EXIT_REFUSED;
	}
	json_object_put(res);
	return (r);
}

static void
print_message(struct json_object *m)
{
	struct json_object	*content = json_get(m, "content"), *part;
	const char		*text;
	size_t			 i;

	out_str(stdout, text_of(m, "role"));
	(void)fputs(": ", stdout);
	if (json_object_is_type(content, json_type_string)) {
		text = json_object_get_string(content);
		out_text(stdout, text, strlen(text), "\n\t");
	}
	if (json_object_is_type(content, json_type_array)) {
		for (i = 0; i < json_object_array_length(content); i++) {
			part = json_object_array_get_idx(content, i);
			text = text_of(part, "type");
			if (strcmp(text, "text") == 0) {
				text = text_of(part, "text");
				out_text(stdout, text, strlen(text), "\n\t");
			} else {
				(void)putchar('[');
				out_str(stdout, text);
				(void)putchar(']');
			}
		}
	}
	(void)fputs("\n\n", stdout);
}

static int
sessions_history(struct app *a, const char *key)
{
	struct json_object	*p = params_of("sessionKey", key, NULL), *res;
	struct json_object	*list;
	size_t			 i;
	int			 r;

	(void)json_add_int(p, "limit", a->limit <= 0 ? HISTORY_LIMIT :
	    MIN_OF(a->limit, 1000));
	r = app_call(a, "chat.history", p, &res);
	if (r != 0)
		return (r);
	list = json_get_arr(res, "messages");
	if (a->is_json) {
		out_json(res);
	} else {
		for (i = 0; list != NULL && i < json_object_array_length(list);
		    i++)
			print_message(json_object_array_get_idx(list, i));
	}
	json_object_put(res);
	return (EXIT_OK);
}

static int
sessions_change(struct app *a, const char *method, const char *key,
    const char *done)
{
	struct json_object	*res;
	bool			 did;
	int			 r;

	r = app_call(a, method, params_of("key", key, NULL), &res);
	if (r != 0)
		return (r);
	did = json_get_bool(res, "deleted", true);
	if (a->is_json)
		out_json(res);
	else if (!a->is_quiet)
		app_say("%s: %s", *text_of(res, "key") != '\0' ?
		    text_of(res, "key") : key, did ? done :
		    "there was no such session");
	json_object_put(res);
	return (EXIT_OK);
}

int
cmd_sessions(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list", *key;
	int		 r;

	if (strcmp(verb, "list") != 0 && strcmp(verb, "show") != 0 &&
	    strcmp(verb, "history") != 0 && strcmp(verb, "reset") != 0 &&
	    strcmp(verb, "delete") != 0)
		return (app_usage(a, "sessions cannot '%s'", verb));
	if (strcmp(verb, "list") == 0 ? argc > 1 : argc != 2)
		return (app_usage(a, "sessions list takes nothing, the others "
		    "take a key"));
	key = argc > 1 ? argv[1] : NULL;
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	switch (verb[0]) {
	case 'l':
		return (sessions_list(a));
	case 's':
		return (sessions_show(a, key));
	case 'h':
		return (sessions_history(a, key));
	case 'r':
		return (sessions_change(a, "sessions.reset", key,
		    "starts anew"));
	default:
		return (sessions_change(a, "sessions.delete", key, "deleted"));
	}
}
