/* SPDX-License-Identifier: MIT */
/*
 * Service "commands/1": slash commands, exported by plugin commands. Whoever
 * takes a message from a person asks it first whether the message is a command.
 */
#ifndef CHELA_SERVICES_COMMANDS_H
#define CHELA_SERVICES_COMMANDS_H

#include <chela/plugin.h>

#define CHELA_COMMANDS_SERVICE	"commands/1"

#define CHELA_COMMAND_ARGS_MAX	20
#define CHELA_COMMAND_CHOICES_MAX 50

/* struct chela_command.flags */
#define CHELA_COMMAND_ARGS	0x00000001u /* text after the name is allowed */
#define CHELA_COMMAND_HIDDEN	0x00000002u /* works, but is not listed */

/* Who runs a command, and where. */
struct chela_command_run {
	uint32_t		 struct_size;	/* set by the caller */
	uint32_t		 reserved;
	struct chela_conn	*conn;		/* or NULL: not from a client */
	const char		*session_key;	/* or NULL: the main session */
	const char		*agent_id;	/* or NULL: of the session */
	const char		*sender;	/* whoami; or NULL */
	const char		*channel;	/* "webchat", ...; or NULL */
	/*
	 * Whether the caller has this scope ("write"). NULL: asked of conn; and
	 * without conn there is none but "read".
	 */
	int			(*has_scope)(const char *scope, void *arg);
	void			*scope_arg;
};

/* What a command has to say. */
struct chela_command_answer {
	uint32_t	 struct_size;
	uint32_t	 reserved;
	const char	*text;		/* for people, Markdown; never NULL */
	/*
	 * The rest of the message that is now to be given to the model
	 * ("/new and then this"), or NULL: the turn ends with text.
	 */
	const char	*forward;
};

/*
 * Comes once, and never from within run(). r: 0 done, -EACCES: a scope is
 * missing, any other negative value: failed; text says it in each case.
 */
typedef void chela_command_done_fn(int r,
    const struct chela_command_answer *answer, void *arg);

struct chela_command_arg {
	const char		*name;
	const char		*description;
	const char		*type;		/* "string", "number", "boolean" */
	uint32_t		 required;	/* 0 or 1 */
	uint32_t		 dynamic;	/* choices vary */
	const char *const	*choices;	/* NULL ends; or NULL */
};

/* One command. The table entry stays with who registered it. */
struct chela_command {
	uint32_t			 struct_size;
	uint32_t			 flags;		/* CHELA_COMMAND_* */
	const char			*name;		/* "model" */
	const char *const		*aliases;	/* or NULL */
	const char			*description;	/* plain text */
	const char			*category;	/* "session"; or NULL */
	const char			*scope;		/* least one */
	const struct chela_command_arg	*args;
	uint32_t			 n_args;
	uint32_t			 arg_size;	/* stride of args */
	/*
	 * args is the text after the name, trimmed, never NULL. Copies what it
	 * keeps. After a negative return done is not called.
	 */
	int	(*run)(const struct chela_command_run *who, const char *args,
		    chela_command_done_fn *done, void *arg);
};

struct chela_commands_1 {
	uint32_t	struct_size;
	uint32_t	reserved;
	/* Gives an array of entries as commands.list has them. */
	int	(*list)(const char *scope,	/* "text", "native"; NULL: both */
		    int include_args, struct json_object **ret_list);
	/*
	 * The command that a message starts with ("/model x", "/model: x"), or
	 * NULL. ret_args points into the message.
	 */
	const struct chela_command *(*find)(const char *message,
		    const char **ret_args);
	/*
	 * Runs it after the check of its least scope. A missing scope is told
	 * by done with -EACCES, as text. Negative: done is not called.
	 */
	int	(*run)(const struct chela_command *command,
		    const struct chela_command_run *who, const char *args,
		    chela_command_done_fn *done, void *arg);
	/* Registers one until the plugin's end. -EEXIST: the name is taken. */
	int	(*add)(const struct chela_command *command);
	/* Takes it away again. */
	void	(*remove)(const struct chela_command *command);
};

#endif
