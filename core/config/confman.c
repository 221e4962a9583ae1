/* SPDX-License-Identifier: MIT */
/*
 * Writes chela.json(5) from the schema of the configuration, so that the page
 * and what is accepted are one. Run by hand; a test compares.
 *
 *	confman SCHEMADIR >chela.json.5
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config/config_priv.h"
#include "core/json/json.h"

#define DEPTH_MAX	12	/* of the tree that is shown */

static const char head[] =
    ".\\\" SPDX-License-Identifier: MIT\n"
    ".\\\" Made by confman from schemas/config.json: change it there.\n"
    ".TH CHELA.JSON 5\n"
    ".SH NAME\n"
    "chela.json \\- the configuration of the chela gateway\n"
    ".SH DESCRIPTION\n"
    "The file is JSON5: JSON with comments, trailing commas, single quotes and\n"
    "names without quotes.\n"
    "It is looked for as \\fB\\-\\-config\\fR says, in \\fB$CHELA_CONFIG\\fR, as\n"
    "\\fI~/.config/chela/chela.json\\fR and as \\fI/etc/chela/chela.json\\fR.\n"
    "Without a file all defaults are in force.\n"
    ".PP\n"
    "An unknown key is an error that names the nearest known one.\n"
    "\\fBchelad \\-\\-check\\fR says what is wrong, and where.\n"
    "A file that is changed while the gateway runs is read at once; when it is\n"
    "not valid, the last good one stays in force.\n"
    "A file that others may write, or of another user, is refused.\n"
    ".PP\n"
    "\\fB${NAME}\\fR in a string is the environment variable of that name, which\n"
    "has to be set; \\fB$${NAME}\\fR is the text itself.\n"
    "Where a secret may stand, so may \\fB{source:\\ \"env\",\\ id:\\ \"NAME\"}\\fR.\n"
    ".PP\n"
    "A write through the gateway keeps the old file as \\fIchela.json.bak\\fR,\n"
    "older ones as \\fI.bak.1\\fR to \\fI.bak.5\\fR, and what was in force last as\n"
    "\\fI.last-good\\fR.\n"
    "Comments are lost in such a write.\n"
    ".SH KEYS\n"
    "In brackets: the type, the default, and what a change asks for when it is\n"
    "more than to be read on next use.\n"
    "\\fI*\\fR is any name, \\fI[]\\fR any element of a list.\n";

static const char tail[] =
    ".SH EXAMPLE\n"
    ".nf\n"
    "{\n"
    "  // one endpoint, one model\n"
    "  models: { providers: { local: {\n"
    "    baseUrl: \"http://127.0.0.1:11434/v1\",\n"
    "    api: \"openai-completions\",\n"
    "    models: [{ id: \"qwen3\" }],\n"
    "  } } },\n"
    "  agents: { defaults: { model: \"local/qwen3\" } },\n"
    "}\n"
    ".fi\n"
    ".SH SEE ALSO\n"
    ".BR chelad (8),\n"
    ".BR chela (1)\n";

/* Text in roff: no line may begin with a dot, a backslash is itself. */
static void
put_text(const char *s)
{
	if (*s == '.' || *s == '\'')
		(void)fputs("\\&", stdout);
	for (; *s != '\0'; s++) {
		if (*s == '\\')
			(void)fputs("\\e", stdout);
		else if (*s == '-')
			(void)fputs("\\-", stdout);
		else
			(void)putchar(*s);
	}
}

static void
put_value(struct json_object *v)
{
	put_text(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void
put_list(struct json_object *list, const char *between)
{
	size_t	 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		if (i > 0)
			(void)fputs(between, stdout);
		put_text(json_object_get_string(json_object_array_get_idx(list,
		    i)));
	}
}

static void
put_type(struct json_object *node)
{
	struct json_object	*type = json_get(node, "type");

	if (json_get_arr(node, "enum") != NULL)
		put_list(json_get_arr(node, "enum"), " | ");
	else if (json_has(node, "const"))
		put_value(json_get(node, "const"));
	else if (json_object_is_type(type, json_type_array))
		put_list(type, " or ");
	else if (type != NULL)
		put_text(json_object_get_string(type));
	else
		put_text(json_get_arr(node, "anyOf") != NULL ?
		    "one of several forms" : "anything");
	if (json_has(node, "minimum") || json_has(node, "maximum")) {
		(void)putchar(' ');
		if (json_has(node, "minimum"))
			put_value(json_get(node, "minimum"));
		(void)fputs("...", stdout);
		if (json_has(node, "maximum"))
			put_value(json_get(node, "maximum"));
	}
}

static void
put_node(const struct conf_schema *s, const char *path,
    struct json_object *node, const char *key)
{
	enum conf_reload	 kind = conf_reload_kind(s, path);
	const char		*help = json_get_str(node, "description");

	(void)fputs(".TP\n\\fB", stdout);
	put_text(path);
	(void)fputs("\\fR (", stdout);
	put_type(node);
	if (json_has(node, "default")) {
		(void)fputs("; ", stdout);
		put_value(json_get(node, "default"));
	}
	if (kind != CONF_RELOAD_NONE)
		(void)fputs(kind == CONF_RELOAD_HOT ? "; part restart" :
		    "; restart", stdout);
	if (conf_is_sensitive(s, node, key))
		(void)fputs("; secret", stdout);
	(void)fputs(")\n", stdout);
	if (help != NULL && *help != '\0') {
		put_text(help);
		(void)putchar('\n');
	}
}

static void	 walk(const struct conf_schema *s, struct json_object *node,
		    struct conf_trail *t, unsigned depth);

static void
walk_child(const struct conf_schema *s, struct json_object *node,
    struct conf_trail *t, const char *key, bool is_element, unsigned depth)
{
	size_t	 old;

	node = conf_node_real(s, node);
	/* What has no effect here is accepted, and no more to be said of it. */
	if (node == NULL || conf_node_flag(node, "x-chela-unused"))
		return;
	old = is_element ? conf_trail_add(t, "[]") : conf_trail_key(t, key);
	if (!is_element || json_get(node, "properties") == NULL)
		put_node(s, t->text, node, is_element ? NULL : key);
	walk(s, node, t, depth + 1);
	conf_trail_cut(t, old);
}

static void
walk(const struct conf_schema *s, struct json_object *node,
    struct conf_trail *t, unsigned depth)
{
	struct json_object	*props = json_get_obj(node, "properties");
	struct json_object	*more = json_get_obj(node,
				    "additionalProperties");
	struct json_object	*items = json_get_obj(node, "items");

	if (depth > DEPTH_MAX)
		return;
	if (props != NULL) {
		json_object_object_foreach(props, key, prop) {
			walk_child(s, prop, t, key, false, depth);
		}
	}
	if (more != NULL && json_get(conf_node_real(s, more), "properties") !=
	    NULL)
		walk_child(s, more, t, "*", false, depth);
	if (items != NULL && json_get(conf_node_real(s, items), "properties")
	    != NULL)
		walk_child(s, items, t, NULL, true, depth);
}

int
main(int argc, char **argv)
{
	struct conf_issues	 is = CONF_ISSUES_INIT;
	struct conf_schema	*s = NULL;
	struct conf_trail	 t = { "", 0 };

	if (argc != 2) {
		(void)fputs("usage: confman SCHEMADIR\n", stderr);
		return (2);
	}
	if (conf_schema_load(argv[1], &s, &is) < 0) {
		conf_issues_print(&is, argv[1], stderr);
		conf_issues_fini(&is);
		return (1);
	}
	(void)fputs(head, stdout);
	walk(s, conf_node_root(s), &t, 0);
	(void)fputs(tail, stdout);
	(void)conf_schema_unref(s);
	return (fflush(stdout) == 0 ? 0 : 1);
}
