/* SPDX-License-Identifier: MIT */
/*
 * Plugin commands: what a message that starts with "/" means. The commands'
 * work is done by other plugins' services. Those plugins ask this one about
 * messages, so it does not depend on them: a service is looked for when a
 * command needs it.
 */
#include "commands.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

struct commands commands;

static int
first_service(const char *plugin, const void *vtable, void *arg)
{
	const void	**ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

static const void *
service(const char *name)
{
	const void	*vtable = NULL;

	(void)commands.host->svc_each(commands.ctx, name, first_service,
	    &vtable);
	return (vtable);
}

const struct chela_sessions_1 *
sessions_svc(void)
{
	return (service(CHELA_SESSIONS_SERVICE));
}

const struct chela_agent_1 *
runs_svc(void)
{
	return (service(CHELA_AGENT_SERVICE));
}

const struct chela_models_1 *
models_svc(void)
{
	return (service(CHELA_MODELS_SERVICE));
}

const struct chela_agents_1 *
agents_svc(void)
{
	return (service(CHELA_AGENTS_SERVICE));
}

static int
native_works(const struct native *n)
{
	return (((n->needs & NEED_SESSIONS) == 0 || sessions_svc() != NULL) &&
	    ((n->needs & NEED_RUNS) == 0 || runs_svc() != NULL) &&
	    ((n->needs & NEED_MODELS) == 0 || models_svc() != NULL) &&
	    ((n->needs & NEED_AGENTS) == 0 || agents_svc() != NULL));
}

const struct chela_command *
command_at(uint32_t n, int *ret_native)
{
	uint32_t	i;

	for (i = 0; i < n_natives; i++) {
		if (!native_works(&natives[i]))
			continue;
		if (n-- == 0) {
			*ret_native = 1;
			return (&natives[i].command);
		}
	}
	*ret_native = 0;
	return (n < commands.n_added ? commands.added[n] : NULL);
}

static int
same_name(const char *name, const char *text, size_t len)
{
	return (strlen(name) == len && strncasecmp(name, text, len) == 0);
}

static int
command_named(const struct chela_command *c, const char *text, size_t len)
{
	const char *const	*alias;

	if (same_name(c->name, text, len))
		return (1);
	for (alias = c->aliases; alias != NULL && *alias != NULL; alias++) {
		if (same_name(*alias, text, len))
			return (1);
	}
	return (0);
}

static const struct chela_command *
command_get(const char *text, size_t len)
{
	const struct chela_command	*c;
	uint32_t			 i;
	int				 native;

	for (i = 0; (c = command_at(i, &native)) != NULL; i++) {
		if (command_named(c, text, len))
			return (c);
	}
	return (NULL);
}

static size_t
name_len(const char *text)
{
	size_t	n = 0;

	while (isalnum((unsigned char)text[n]) || text[n] == '-' ||
	    text[n] == '_')
		n++;
	return (n);
}

/*
 * "/name", then nothing, a colon or a space. A command without arguments is
 * none when more follows: the message then is for the model.
 */
static const struct chela_command *
service_find(const char *message, const char **ret_args)
{
	const struct chela_command	*c;
	const char			*p = message;
	size_t				 len;

	while (isspace((unsigned char)*p))
		p++;
	if (*p++ != '/')
		return (NULL);
	len = name_len(p);
	if (len == 0 || len > COMMAND_TEXT_MAX ||
	    (p[len] != '\0' && p[len] != ':' &&
	    !isspace((unsigned char)p[len])))
		return (NULL);
	c = command_get(p, len);
	if (c == NULL)
		return (NULL);
	p += len;
	if (*p == ':')
		p++;
	while (isspace((unsigned char)*p))
		p++;
	if (*p != '\0' && (c->flags & CHELA_COMMAND_ARGS) == 0)
		return (NULL);
	*ret_args = p;
	return (c);
}

static int
service_run(const struct chela_command *command,
    const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a;

	if (!who_has(who, command->scope)) {
		a = answer_new(who, done, arg);
		if (a == NULL)
			return (-ENOMEM);
		(void)answer_refused(a, who, command->name, command->scope);
		return (0);
	}
	return (command->run(who, args, done, arg));
}

static int
service_add(const struct chela_command *command)
{
	const char *const	*alias;
	uint32_t		 i;

	if (command->name == NULL || command->run == NULL ||
	    command->description == NULL || *command->name == '\0' ||
	    command->name[name_len(command->name)] != '\0')
		return (-EINVAL);
	if (commands.n_added + n_natives >= COMMANDS_LIST_MAX)
		return (-ENOSPC);
	for (i = 0; i < n_natives; i++) {
		if (command_named(&natives[i].command, command->name,
		    strlen(command->name)))
			return (-EEXIST);
	}
	if (command_get(command->name, strlen(command->name)) != NULL)
		return (-EEXIST);
	for (alias = command->aliases; alias != NULL && *alias != NULL;
	    alias++) {
		if (command_get(*alias, strlen(*alias)) != NULL)
			return (-EEXIST);
	}
	commands.added[commands.n_added++] = command;
	return (0);
}

static void
service_remove(const struct chela_command *command)
{
	uint32_t	i;

	for (i = 0; i < commands.n_added; i++) {
		if (commands.added[i] != command)
			continue;
		memmove(&commands.added[i], &commands.added[i + 1],
		    (commands.n_added - i - 1) * sizeof commands.added[0]);
		commands.n_added--;
		return;
	}
}

/* A text of at most max bytes, cut between characters. Gives. */
static struct json_object *
text_cut(const char *text, size_t max)
{
	size_t	len = strlen(text);

	if (len > max) {
		len = max;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	return (json_object_new_string_len(text, (int)len));
}

static struct json_object *
arg_row(const struct chela_command_arg *arg)
{
	struct json_object	*row = json_object_new_object(), *list, *one;
	const char *const	*choice;

	(void)json_object_object_add(row, "name",
	    text_cut(arg->name, COMMAND_TEXT_MAX));
	(void)json_object_object_add(row, "description",
	    text_cut(arg->description, COMMAND_ARG_TEXT_MAX));
	(void)json_object_object_add(row, "type",
	    json_object_new_string(arg->type));
	if (arg->required)
		(void)json_object_object_add(row, "required",
		    json_object_new_boolean(1));
	if (arg->dynamic)
		(void)json_object_object_add(row, "dynamic",
		    json_object_new_boolean(1));
	if (arg->choices == NULL)
		return (row);
	list = json_object_new_array();
	for (choice = arg->choices; *choice != NULL &&
	    json_object_array_length(list) < CHELA_COMMAND_CHOICES_MAX;
	    choice++) {
		one = json_object_new_object();
		(void)json_object_object_add(one, "value",
		    text_cut(*choice, COMMAND_TEXT_MAX));
		(void)json_object_object_add(one, "label",
		    text_cut(*choice, COMMAND_TEXT_MAX));
		(void)json_object_array_add(list, one);
	}
	(void)json_object_object_add(row, "choices", list);
	return (row);
}

static struct json_object *
args_rows(const struct chela_command *c)
{
	struct json_object	*list = json_object_new_array();
	uint32_t		 i;

	for (i = 0; i < c->n_args && i < CHELA_COMMAND_ARGS_MAX; i++)
		(void)json_object_array_add(list, arg_row(
		    (const struct chela_command_arg *)(const void *)
		    ((const char *)c->args + (size_t)i * c->arg_size)));
	return (list);
}

static struct json_object *
alias_row(const char *name)
{
	char	text[COMMAND_TEXT_MAX + 1];

	(void)snprintf(text, sizeof text, "/%s", name);
	return (json_object_new_string(text));
}

static struct json_object *
command_row(const struct chela_command *c, int native, int include_args)
{
	struct json_object	*row = json_object_new_object(), *list;
	const char *const	*alias;

	(void)json_object_object_add(row, "name",
	    text_cut(c->name, COMMAND_TEXT_MAX));
	(void)json_object_object_add(row, "nativeName",
	    text_cut(c->name, COMMAND_TEXT_MAX));
	list = json_object_new_array();
	(void)json_object_array_add(list, alias_row(c->name));
	for (alias = c->aliases; alias != NULL && *alias != NULL &&
	    json_object_array_length(list) < COMMAND_ALIASES_MAX; alias++)
		(void)json_object_array_add(list, alias_row(*alias));
	(void)json_object_object_add(row, "textAliases", list);
	(void)json_object_object_add(row, "description",
	    text_cut(c->description, COMMAND_DESCRIPTION_MAX));
	if (c->category != NULL)
		(void)json_object_object_add(row, "category",
		    json_object_new_string(c->category));
	(void)json_object_object_add(row, "source",
	    json_object_new_string(native ? "native" : "plugin"));
	(void)json_object_object_add(row, "scope",
	    json_object_new_string("both"));
	(void)json_object_object_add(row, "acceptsArgs",
	    json_object_new_boolean((c->flags & CHELA_COMMAND_ARGS) != 0));
	if (include_args && c->n_args > 0)
		(void)json_object_object_add(row, "args", args_rows(c));
	return (row);
}

/* All commands can be typed and have a native name: scope filters none. */
static int
service_list(const char *scope, int include_args,
    struct json_object **ret_list)
{
	const struct chela_command	*c;
	struct json_object		*list = json_object_new_array();
	uint32_t			 i;
	int				 native;

	(void)scope;
	if (list == NULL)
		return (-ENOMEM);
	for (i = 0; (c = command_at(i, &native)) != NULL &&
	    i < COMMANDS_LIST_MAX; i++) {
		if ((c->flags & CHELA_COMMAND_HIDDEN) == 0)
			(void)json_object_array_add(list,
			    command_row(c, native, include_args));
	}
	*ret_list = list;
	return (0);
}

static const struct chela_commands_1 commands_service = {
	.struct_size = sizeof commands_service,
	.list = service_list,
	.find = service_find,
	.run = service_run,
	.add = service_add,
	.remove = service_remove,
};

/* An agent's main session exists before its first message. */
static int
session_known(const char *key, const char *agent_id)
{
	const struct chela_sessions_1	*sessions = sessions_svc();
	struct chela_session_info	 info;
	char				 full[CHELA_SESSION_KEY_MAX + 1];
	char				 agent[CHELA_SESSION_AGENT_MAX + 1];
	char				 known[CHELA_SESSION_AGENT_MAX + 1];
	char				 home[CHELA_SESSION_KEY_MAX + 1];

	if (sessions == NULL)
		return (1);
	if (sessions->canonical(key, agent_id, full) < 0)
		return (0);
	info.struct_size = sizeof info;
	if (sessions->info(full, &info) == 0)
		return (1);
	return (sessions->agent_of(full, agent) == 0 &&
	    sessions->agent_id(agent, known) == 0 &&
	    sessions->main_key(agent, home) == 0 && strcmp(home, full) == 0);
}

static int
commands_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const struct chela_agents_1	*agents = agents_svc();
	struct json_object		*out, *list, *flag;
	const char			*id = get_text(params, "agentId");
	const char			*key = get_text(params, "sessionKey");

	(void)ctx;
	if (id != NULL && agents != NULL && !agents->exists(id))
		return (commands.host->req_fail(req, "INVALID_REQUEST",
		    "unknown agent id \"%.200s\"", id));
	if (key != NULL && !session_known(key, id))
		return (commands.host->req_fail(req, "INVALID_REQUEST",
		    "Session not found."));
	flag = get_any(params, "includeArgs");
	if (service_list(get_text(params, "scope"), flag == NULL ||
	    json_object_get_boolean(flag), &list) < 0)
		return (-ENOMEM);
	out = json_object_new_object();
	(void)json_object_object_add(out, "commands", list);
	return (commands.host->req_reply(req, out));
}

static int
commands_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&commands, 0, sizeof commands);
	commands.ctx = ctx;
	commands.host = host;
	return (host->svc_export(ctx, CHELA_COMMANDS_SERVICE,
	    &commands_service));
}

static const struct chela_method methods[] = {
	{
		.name = "commands.list",
		.handler = commands_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("commands"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Slash commands",
	CHELA_METHODS(methods),
	.init = commands_init,
};
