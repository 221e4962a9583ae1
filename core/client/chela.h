/* SPDX-License-Identifier: MIT */
/* What the files of the chela command share. */
#ifndef CLIENT_CHELA_H
#define CLIENT_CHELA_H

#include <json-c/json.h>
#include <stdio.h>

#include <chela/client.h>

#include "core/base/base.h"
#include "core/base/buf.h"

/* Exit codes; part of the command's interface. */
enum {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,	/* the gateway said no */
	EXIT_UNREACHED = 2,	/* could not reach it, or lost it */
	EXIT_USAGE = 64,
	EXIT_INTERRUPTED = 130,
};

/* What the command line said. */
struct app {
	const char	*url;
	const char	*token;		/* NULL: see app_connect() */
	const char	*token_file;
	const char	*password;
	const char	*tls_fingerprint;
	bool		 is_tls_system;	/* --tls-system */
	uint32_t	 timeout_ms;
	bool		 is_json;
	bool		 is_quiet;
	bool		 wants_final;	/* --final */
	bool		 follows;	/* -f */
	bool		 says_yes;	/* -y */
	const char	*session;
	const char	*agent;
	long		 limit;		/* 0: not given */

	const struct command *command;
	struct chela_client *client;
	const char	*const *capabilities;	/* or NULL */
	/* Where events go while a command waits; NULL: nowhere. */
	chela_client_event_fn *on_event;
	void		*event_arg;
};

struct command {
	const char	*name;
	const char	*usage;		/* what follows the name */
	const char	*summary;
	const char	*help;		/* more lines, or NULL */
	const char	*options;	/* letters of its own: s a f F n y */
	const char	*scopes;	/* asked for, with blanks between */
	int		(*run)(struct app *a, int argc, char **argv);
};

int	 cmd_audit(struct app *a, int argc, char **argv);
int	 cmd_secrets(struct app *a, int argc, char **argv);
int	 cmd_approvals(struct app *a, int argc, char **argv);
int	 cmd_call(struct app *a, int argc, char **argv);
int	 cmd_chat(struct app *a, int argc, char **argv);
int	 cmd_config(struct app *a, int argc, char **argv);
int	 cmd_devices(struct app *a, int argc, char **argv);
int	 cmd_events(struct app *a, int argc, char **argv);
int	 cmd_health(struct app *a, int argc, char **argv);
int	 cmd_logs(struct app *a, int argc, char **argv);
int	 cmd_methods(struct app *a, int argc, char **argv);
int	 cmd_pair(struct app *a, int argc, char **argv);
int	 cmd_nodes(struct app *a, int argc, char **argv);
int	 cmd_plugins(struct app *a, int argc, char **argv);
int	 cmd_sessions(struct app *a, int argc, char **argv);
int	 cmd_setup_code(struct app *a, int argc, char **argv);
int	 cmd_status(struct app *a, int argc, char **argv);

/* --- chela.c --- */

/* Connects; 0 or the exit code after the reason was printed. */
int	 app_connect(struct app *a, uint32_t client_flags);
/*
 * Calls and waits. Takes params. Gives *ret (may be NULL). 0, or the exit code
 * after the reason was printed.
 */
int	 app_call(struct app *a, const char *method, struct json_object *params,
	    struct json_object **ret);
/* The same; with --json the answer is printed and *ret NULL: all is done. */
int	 app_get(struct app *a, const char *method, struct json_object *params,
	    struct json_object **ret);
/* The same where the answer is of no interest to people: they are told fmt. */
int	 app_do(struct app *a, const char *method, struct json_object *params,
	    const char *fmt, ...) printf_like(4, 5);
/* Prints why and returns the exit code for it. */
int	 app_failed(struct app *a, const char *method,
	    const struct chela_client_error *e);
int	 app_usage(struct app *a, const char *fmt, ...) printf_like(2, 3);
/* One line on standard error. */
void	 app_say(const char *fmt, ...) printf_like(1, 2);

/* --- chela_out.c: all that came from outside is printed through these --- */

/*
 * Control characters, what is no UTF-8, and marks that turn the direction of text
 * are escaped: a name must not move the cursor. keep lists bytes left alone.
 */
void	 out_text(FILE *f, const char *s, size_t len, const char *keep);
void	 out_str(FILE *f, const char *s);	/* one line; NULL: "-" */
/* One JSON document, for programs and still readable. */
void	 out_json(struct json_object *v);
/* As out_json(), in one line. */
void	 out_json_line(struct json_object *v);
/* "name: value", lined up; value is printed as out_str() does. */
void	 out_pair(const char *name, const char *fmt, ...) printf_like(2, 3);
/* "3 min ago"; 0: "never". */
const char *out_age(int64_t then_ms, int64_t now_ms, char *buf, size_t size);

#define TABLE_COLUMNS_MAX 8u

struct table {
	unsigned	 n_columns;
	const char	*names[TABLE_COLUMNS_MAX];
	char		*right;		/* letters: 'r' aligns a column right */
	char		**cells;
	size_t		 n_cells;
	size_t		 cap;
};

/* align has a letter a column: l or r. */
void	 table_init(struct table *t, const char *align, ...); /* names, NULL */
void	 table_add(struct table *t, const char *fmt, ...) printf_like(2, 3);
void	 table_print(struct table *t);		/* and frees */
void	 table_free(struct table *t);

/* A value of an object as text: strings as they are, "" for absent. */
const char *text_of(struct json_object *obj, const char *key);

/* An object with string members: name, value, ..., NULL. NULL values are left out. */
struct json_object *params_of(const char *name, ...)
    __attribute__((sentinel));

#endif
