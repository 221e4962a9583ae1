/* SPDX-License-Identifier: MIT */
/* chela approvals: see what waits for an answer, and answer. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define HISTORY_LIMIT	20
#define HISTORY_MAX	100
#define PREFIX_MIN	4u	/* characters of a shortened id */

static const char *const lists[] = { "exec.approval.list",
    "plugin.approval.list", "openclaw.approval.list" };

static const char *
what_of(struct json_object *row)
{
	struct json_object	*q = json_get_obj(row, "request");
	const char		*s = text_of(q, "command");

	return (*s != '\0' ? s : text_of(q, "title"));
}

/* All that are pending, of every kind: gives an array. */
static int
pending_get(struct app *a, struct json_object **ret)
{
	struct json_object	*all = json_object_new_array(), *res;
	size_t			 i, j;
	int			 r;

	for (i = 0; i < ARRAY_LEN(lists); i++) {
		r = app_call(a, lists[i], json_object_new_object(), &res);
		if (r != 0) {
			json_object_put(all);
			return (r);
		}
		for (j = 0; json_object_is_type(res, json_type_array) &&
		    j < json_object_array_length(res); j++)
			(void)json_object_array_add(all, json_object_get(
			    json_object_array_get_idx(res, j)));
		json_object_put(res);
	}
	*ret = all;
	return (0);
}

static int
approvals_pending(struct app *a)
{
	struct json_object	*all, *row;
	struct table		 t;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms(), left;
	size_t			 i;
	int			 r;

	r = pending_get(a, &all);
	if (r != 0)
		return (r);
	if (a->is_json) {
		out_json(all);
		json_object_put(all);
		return (EXIT_OK);
	}
	table_init(&t, "lllrl", "ID", "KIND", "ASKED", "LEFT", "WHAT", NULL);
	for (i = 0; i < json_object_array_length(all); i++) {
		row = json_object_array_get_idx(all, i);
		left = json_get_int(row, "expiresAtMs", 0) - now;
		table_add(&t, "%s", text_of(row, "id"));
		table_add(&t, "%s", text_of(row, "approvalKind"));
		table_add(&t, "%s", out_age(json_get_int(row, "createdAtMs", 0),
		    now, age, sizeof age));
		table_add(&t, "%" PRId64 " s", left > 0 ? left / 1000 : 0);
		table_add(&t, "%s", what_of(row));
	}
	table_print(&t);
	json_object_put(all);
	return (EXIT_OK);
}

/* A whole id, or the start of just one that is pending. Gives. */
static int
id_find(struct app *a, const char *text, char **ret)
{
	struct json_object	*all;
	const char		*id, *found = NULL, *rest;
	size_t			 i, n = strlen(text), n_found = 0;
	int			 r;

	r = pending_get(a, &all);
	if (r != 0)
		return (r);
	for (i = 0; i < json_object_array_length(all); i++) {
		id = text_of(json_object_array_get_idx(all, i), "id");
		/* "plugin:" need not be typed. */
		rest = strchr(id, ':');
		if (strcmp(id, text) == 0) {
			found = id;
			n_found = 1;
			break;
		}
		if (n >= PREFIX_MIN && (strncmp(id, text, n) == 0 ||
		    (rest != NULL && strncmp(rest + 1, text, n) == 0))) {
			found = id;
			n_found++;
		}
	}
	if (n_found > 1) {
		app_say("'%s' begins %zu ids; give more of it", text, n_found);
		r = EXIT_REFUSED;
	} else {
		*ret = strdup(found != NULL ? found : text);
	}
	json_object_put(all);
	return (r);
}

static void
print_approval(struct json_object *ap)
{
	static const struct {
		const char	*name, *label;
	} shown[] = {
		{ "commandText", "command" }, { "title", "title" },
		{ "description", "description" }, { "detail", "detail" },
		{ "warningText", "note" }, { "host", "host" },
		{ "nodeId", "node" }, { "agentId", "agent" },
		{ "pluginId", "plugin" }, { "toolName", "tool" },
		{ "severity", "severity" },
	};
	struct json_object	*p = json_get_obj(ap, "presentation"), *list;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms();
	size_t			 i;

	out_pair("id", "%s", text_of(ap, "id"));
	out_pair("kind", "%s", text_of(p, "kind"));
	out_pair("status", "%s", text_of(ap, "status"));
	for (i = 0; i < ARRAY_LEN(shown); i++) {
		if (*text_of(p, shown[i].name) != '\0')
			out_pair(shown[i].label, "%s",
			    text_of(p, shown[i].name));
	}
	list = json_get_arr(p, "allowedDecisions");
	for (i = 0; list != NULL && i < json_object_array_length(list); i++)
		out_pair("may be", "%s", json_object_get_string(
		    json_object_array_get_idx(list, i)));
	out_pair("asked", "%s", out_age(json_get_int(ap, "createdAtMs", 0), now,
	    age, sizeof age));
	if (*text_of(ap, "reason") != '\0') {
		out_pair("decision", "%s", text_of(ap, "decision"));
		out_pair("reason", "%s", text_of(ap, "reason"));
		out_pair("by", "%s %s", text_of(json_get_obj(ap, "resolver"),
		    "kind"), text_of(json_get_obj(ap, "resolver"), "id"));
		out_pair("ended", "%s", out_age(json_get_int(ap, "resolvedAtMs",
		    0), now, age, sizeof age));
	}
}

static int
approvals_show(struct app *a, const char *text)
{
	struct json_object	*res;
	char			*id = NULL;
	int			 r;

	r = id_find(a, text, &id);
	if (r == 0)
		r = app_call(a, "approval.get", params_of("id", id, NULL),
		    &res);
	free(id);
	if (r != 0)
		return (r);
	if (a->is_json)
		out_json(json_get_obj(res, "approval"));
	else
		print_approval(json_get_obj(res, "approval"));
	json_object_put(res);
	return (EXIT_OK);
}

static bool
is_offered(struct json_object *p, const char *decision)
{
	struct json_object	*list = json_get_arr(p, "allowedDecisions");
	size_t			 i;

	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		if (strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), decision) == 0)
			return (true);
	}
	return (false);
}

static int
approvals_answer(struct app *a, const char *text, const char *decision)
{
	struct json_object	*res = NULL, *ap, *p, *q;
	char			*id = NULL;
	const char		*kind;
	int			 r;

	r = id_find(a, text, &id);
	if (r == 0)
		r = app_call(a, "approval.get", params_of("id", id, NULL),
		    &res);
	if (r != 0)
		goto out;
	p = json_get_obj(json_get_obj(res, "approval"), "presentation");
	kind = text_of(p, "kind");
	/* The gateway takes an answer that is not offered for a no. */
	if (!is_offered(p, decision)) {
		app_say("%s cannot be answered with %s; see 'chela approvals "
		    "show'", id, decision);
		r = EXIT_REFUSED;
		goto out;
	}
	/* All of it, once more: this is what is being decided. */
	if (!a->is_json && !a->is_quiet && strcmp(decision, "deny") != 0)
		print_approval(json_get_obj(res, "approval"));
	q = params_of("id", id, "kind", kind, "decision", decision, NULL);
	json_object_put(res);
	res = NULL;
	r = app_call(a, "approval.resolve", q, &res);
	if (r != 0)
		goto out;
	ap = json_get_obj(res, "approval");
	if (a->is_json)
		out_json(res);
	if (!json_get_bool(res, "applied", false) &&
	    strcmp(text_of(ap, "decision"), decision) != 0) {
		app_say("%s: too late, it is %s already (%s)", id,
		    text_of(ap, "status"), text_of(ap, "reason"));
		r = EXIT_REFUSED;
	} else if (!a->is_json && !a->is_quiet) {
		app_say("%s: %s", id, text_of(ap, "status"));
	}
out:
	json_object_put(res);
	free(id);
	return (r);
}

static int
approvals_history(struct app *a)
{
	struct json_object	*p = json_object_new_object(), *res, *list;
	struct json_object	*ap, *show;
	struct table		 t;
	const char		*what;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms();
	size_t			 i;
	int			 r;

	(void)json_add_int(p, "limit", a->limit <= 0 ? HISTORY_LIMIT :
	    MIN_OF(a->limit, HISTORY_MAX));
	r = app_get(a, "approval.history", p, &res);
	if (r != 0 || res == NULL)
		return (r);
	list = json_get_arr(res, "items");
	table_init(&t, "llllll", "ENDED", "STATUS", "REASON", "BY", "ID", "WHAT",
	    NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		ap = json_object_array_get_idx(list, i);
		show = json_get_obj(ap, "presentation");
		what = text_of(show, "commandText");
		table_add(&t, "%s", out_age(json_get_int(ap, "resolvedAtMs", 0),
		    now, age, sizeof age));
		table_add(&t, "%s", text_of(ap, "status"));
		table_add(&t, "%s", text_of(ap, "reason"));
		table_add(&t, "%s", text_of(json_get_obj(ap, "resolver"),
		    "id"));
		table_add(&t, "%s", text_of(ap, "id"));
		table_add(&t, "%s", *what != '\0' ? what :
		    text_of(show, "title"));
	}
	table_print(&t);
	json_object_put(res);
	return (EXIT_OK);
}

/* --- watch --- */

static void
watch_print(struct chela_client *c, const struct chela_client_event *e,
    void *arg)
{
	struct app		*a = arg;
	struct json_object	*o;
	const char		*end;

	(void)c;
	end = strstr(e->name, ".approval.");
	if (end == NULL || strncmp(e->name, "session", 7) == 0)
		return;
	if (a->is_json) {
		o = params_of("event", e->name, NULL);
		(void)json_add(o, "data", json_object_get(e->data));
		out_json_line(o);
		json_object_put(o);
	} else if (strcmp(end, ".approval.requested") == 0) {
		(void)fputs("asked     ", stdout);
		out_str(stdout, text_of(e->data, "id"));
		(void)fputs("  ", stdout);
		out_str(stdout, what_of(e->data));
		(void)fputc('\n', stdout);
	} else {
		(void)fputs("answered  ", stdout);
		out_str(stdout, text_of(e->data, "id"));
		(void)fputs("  ", stdout);
		out_str(stdout, text_of(e->data, "decision"));
		(void)fputc('\n', stdout);
	}
	(void)fflush(stdout);
}

static int
watch_ended(void *arg)
{
	struct app	*a = arg;

	return (chela_client_get_state(a->client) == CHELA_CLIENT_ENDED);
}

static int
approvals_watch(struct app *a)
{
	/* While this runs the gateway has somebody to ask. */
	static const char *const caps[] = { "approvals", NULL };
	int			 r;

	a->capabilities = caps;
	a->on_event = watch_print;
	a->event_arg = a;
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	r = approvals_pending(a);
	if (r != 0)
		return (r);
	(void)fflush(stdout);
	(void)chela_client_run_until(a->client, watch_ended, a, UINT32_MAX);
	return (app_failed(a, "approvals", chela_client_last_error(a->client)));
}

int
cmd_approvals(struct app *a, int argc, char **argv)
{
	static const char *const with_id[] = { "show", "allow-once",
	    "allow-always", "deny" };
	const char	*verb = argc > 0 ? argv[0] : "pending";
	bool		 wants_id = false;
	size_t		 i;
	int		 r;

	for (i = 0; i < ARRAY_LEN(with_id); i++)
		wants_id = wants_id || strcmp(verb, with_id[i]) == 0;
	if (!wants_id && strcmp(verb, "pending") != 0 &&
	    strcmp(verb, "history") != 0 && strcmp(verb, "watch") != 0)
		return (app_usage(a, "approvals cannot '%s'", verb));
	if (wants_id ? argc != 2 : argc > 1)
		return (app_usage(a, "approvals %s takes %s", verb,
		    wants_id ? "an id" : "nothing"));
	if (strcmp(verb, "watch") == 0)
		return (approvals_watch(a));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (strcmp(verb, "pending") == 0)
		return (approvals_pending(a));
	if (strcmp(verb, "history") == 0)
		return (approvals_history(a));
	if (strcmp(verb, "show") == 0)
		return (approvals_show(a, argv[1]));
	return (approvals_answer(a, argv[1], verb));
}
