/* SPDX-License-Identifier: MIT */
/* chela nodes */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/client/chela.h"
#include "core/json/json.h"

#define ID_SHOWN	16	/* characters of an id in a table */

static const char *
joined(struct json_object *list, struct buf *out)
{
	size_t	 i;

	buf_reset(out);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++)
		(void)buf_printf(out, "%s%s", i > 0 ? " " : "",
		    json_object_get_string(json_object_array_get_idx(list, i)));
	(void)buf_putc(out, '\0');
	return (out->is_failed || out->data[0] == '\0' ? "-" : out->data);
}

static int
nodes_list(struct app *a)
{
	struct json_object	*res, *list, *n;
	struct buf		 text = BUF_INIT;
	struct table		 t;
	size_t			 i;
	int			 r;

	r = app_get(a, "node.list", NULL, &res);
	if (r != 0 || res == NULL)
		return (r);
	list = json_get_arr(res, "nodes");
	table_init(&t, "lllll", "NODE", "NAME", "THERE", "APPROVAL", "COMMANDS",
	    NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		n = json_object_array_get_idx(list, i);
		table_add(&t, "%.*s", ID_SHOWN, text_of(n, "nodeId"));
		table_add(&t, "%s", text_of(n, "displayName"));
		table_add(&t, "%s", json_get_bool(n, "connected", false) ?
		    "yes" : "no");
		table_add(&t, "%s", text_of(n, "approvalState"));
		table_add(&t, "%s", joined(json_get_arr(n, "commands"),
		    &text));
	}
	table_print(&t);
	buf_fini(&text);
	json_object_put(res);
	return (EXIT_OK);
}

static int
nodes_pending(struct app *a)
{
	struct json_object	*res, *list, *p;
	struct buf		 text = BUF_INIT;
	int64_t			 now = (int64_t)clock_wall_ms();
	struct table		 t;
	char			 age[32];
	size_t			 i;
	int			 r;

	r = app_call(a, "node.pair.list", NULL, &res);
	if (r != 0)
		return (r);
	list = json_get_arr(res, "pending");
	if (a->is_json) {
		out_json(list);
		json_object_put(res);
		return (EXIT_OK);
	}
	table_init(&t, "lllll", "REQUEST", "NODE", "NAME", "ASKED", "OFFERS",
	    NULL);
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		p = json_object_array_get_idx(list, i);
		table_add(&t, "%s", text_of(p, "requestId"));
		table_add(&t, "%.*s", ID_SHOWN, text_of(p, "nodeId"));
		table_add(&t, "%s", text_of(p, "displayName"));
		table_add(&t, "%s", out_age(json_get_int(p, "ts", 0), now, age,
		    sizeof age));
		table_add(&t, "%s", joined(json_get_arr(p, "commands"),
		    &text));
	}
	table_print(&t);
	buf_fini(&text);
	json_object_put(res);
	return (EXIT_OK);
}

/*
 * What a person types for a node: its id, the start of it, or its name. Gives
 * the one id that it means, or NULL after the reason was printed.
 */
static char *
node_named(struct app *a, const char *word, int *ret_status)
{
	struct json_object	*res, *list, *n;
	const char		*id;
	char			*found = NULL;
	size_t			 i, hits = 0;

	*ret_status = app_call(a, "node.list", NULL, &res);
	if (*ret_status != 0)
		return (NULL);
	list = json_get_arr(res, "nodes");
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		n = json_object_array_get_idx(list, i);
		id = text_of(n, "nodeId");
		if (strncmp(id, word, strlen(word)) != 0 &&
		    strcmp(text_of(n, "displayName"), word) != 0)
			continue;
		free(found);
		found = strdup(id);
		hits++;
	}
	json_object_put(res);
	if (hits == 1)
		return (found);
	free(found);
	app_say(hits == 0 ? "there is no node '%s'" :
	    "'%s' may be more than one node; give more of its id", word);
	*ret_status = EXIT_REFUSED;
	return (NULL);
}

/* Takes params; what comes back is printed for programs only. */
static int
nodes_tell(struct app *a, const char *method, struct json_object *params,
    const char *what, const char *whom)
{
	return (app_do(a, method, params, "%s %s", whom, what));
}

static int
nodes_describe(struct app *a, const char *id)
{
	struct json_object	*res;
	struct buf		 text = BUF_INIT;
	char			 age[32];
	int64_t			 now = (int64_t)clock_wall_ms();
	int			 r;

	r = app_get(a, "node.describe", params_of("nodeId", id, NULL), &res);
	if (r != 0 || res == NULL)
		return (r);
	out_pair("node", "%s", text_of(res, "nodeId"));
	out_pair("name", "%s", text_of(res, "displayName"));
	out_pair("platform", "%s", text_of(res, "platform"));
	out_pair("address", "%s", text_of(res, "remoteIp"));
	out_pair("connected", "%s", json_get_bool(res, "connected", false) ?
	    "yes" : "no");
	out_pair("last seen", "%s", out_age(json_get_int(res, "lastSeenAtMs",
	    0), now, age, sizeof age));
	out_pair("approval", "%s", text_of(res, "approvalState"));
	out_pair("may do", "%s", joined(json_get_arr(res, "commands"), &text));
	if (json_get_arr(res, "pendingDeclaredCommands") != NULL)
		out_pair("asks to do", "%s", joined(json_get_arr(res,
		    "pendingDeclaredCommands"), &text));
	buf_fini(&text);
	json_object_put(res);
	return (EXIT_OK);
}

static int
nodes_invoke(struct app *a, const char *id, int argc, char **argv)
{
	struct json_object	*p, *v = NULL, *res;
	uint64_t		 dice[2];
	char			 key[40];
	int			 r;

	if (argc > 1 && json_parse(argv[1], strlen(argv[1]), &v) < 0)
		return (app_usage(a, "'%s' is no JSON", argv[1]));
	if (getrandom(dice, sizeof dice, 0) != (ssize_t)sizeof dice) {
		json_object_put(v);
		return (EXIT_UNREACHED);
	}
	(void)snprintf(key, sizeof key, "%016llx%016llx",
	    (unsigned long long)dice[0], (unsigned long long)dice[1]);
	p = params_of("nodeId", id, "command", argv[0], "idempotencyKey", key,
	    NULL);
	if (v != NULL)
		(void)json_add(p, "params", v);
	/* The node's time ends before ours: then we know what became of it. */
	(void)json_add_int(p, "timeoutMs", (int64_t)a->timeout_ms * 9 / 10);
	r = app_call(a, "node.invoke", p, &res);
	if (r != 0)
		return (r);
	out_json(a->is_json ? res : json_get(res, "payload"));
	json_object_put(res);
	return (EXIT_OK);
}

static const struct {
	const char	*verb;
	int		 args_min, args_max;
	bool		 is_about_node;	/* the first names one */
} verbs[] = {
	{ "list", 0, 0, false },
	{ "pending", 0, 0, false },
	{ "approve", 1, 1, false },
	{ "reject", 1, 1, false },
	{ "describe", 1, 1, true },
	{ "invoke", 2, 3, true },
	{ "remove", 1, 1, true },
	{ "rename", 2, 2, true },
};

static int
nodes_do(struct app *a, const char *verb, const char *id, int argc,
    char **argv)
{
	if (strcmp(verb, "list") == 0)
		return (nodes_list(a));
	if (strcmp(verb, "pending") == 0)
		return (nodes_pending(a));
	if (strcmp(verb, "approve") == 0)
		return (nodes_tell(a, "node.pair.approve", params_of(
		    "requestId", argv[0], NULL), "is approved", argv[0]));
	if (strcmp(verb, "reject") == 0)
		return (nodes_tell(a, "node.pair.reject", params_of(
		    "requestId", argv[0], NULL), "is rejected", argv[0]));
	if (strcmp(verb, "describe") == 0)
		return (nodes_describe(a, id));
	if (strcmp(verb, "invoke") == 0)
		return (nodes_invoke(a, id, argc - 1, argv + 1));
	if (strcmp(verb, "remove") == 0)
		return (nodes_tell(a, "node.pair.remove", params_of("nodeId",
		    id, NULL), "is removed", argv[0]));
	return (nodes_tell(a, "node.rename", params_of("nodeId", id,
	    "displayName", argv[1], NULL), "has its new name", argv[0]));
}

int
cmd_nodes(struct app *a, int argc, char **argv)
{
	const char	*verb = argc > 0 ? argv[0] : "list";
	char		*id = NULL;
	size_t		 i;
	int		 r, n = argc > 0 ? argc - 1 : 0;

	for (i = 0; i < ARRAY_LEN(verbs) && strcmp(verbs[i].verb, verb) != 0;
	    i++)
		;
	if (i == ARRAY_LEN(verbs))
		return (app_usage(a, "nodes cannot '%s'", verb));
	if (n < verbs[i].args_min || n > verbs[i].args_max)
		return (app_usage(a, "nodes %s: wrong number of arguments",
		    verb));
	r = app_connect(a, CHELA_CLIENT_ONCE);
	if (r != 0)
		return (r);
	if (verbs[i].is_about_node) {
		id = node_named(a, argv[1], &r);
		if (id == NULL)
			return (r);
	}
	r = nodes_do(a, verb, id, n, argv + 1);
	free(id);
	return (r);
}
