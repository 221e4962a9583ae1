/* SPDX-License-Identifier: MIT */
/*
 * Messages that are commands. The call is answered at once; what the command
 * says comes as the final event of a turn that no model took part in. Both rows
 * are marked as a command's, so that no model reads them later.
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_priv.h"

/*
 * One command that runs or ran. In the tree by its id; in the list oldest
 * first, when it has ended. Kept as long as its key means it.
 */
struct turn {
	char			*id;
	char			*key;
	char			*message;
	char			*error;		/* NULL: went well */
	struct json_object	*params;
	struct json_object	*files;
	uint64_t		 ended_us;	/* by now_us(); 0: runs */
	bool			 is_silent;	/* leaves no rows */
	struct turn		*next;
};

static void		*by_id;
static struct turn	*oldest;
static struct turn	**youngest = &oldest;
static uint32_t		 n_turns;
static uint32_t		 n_open;

static int
cmp_id(const void *a, const void *b)
{
	return (strcmp(((const struct turn *)a)->id,
	    ((const struct turn *)b)->id));
}

static void
turn_free(struct turn *t)
{
	json_object_put(t->params);
	json_object_put(t->files);
	free(t->id);
	free(t->key);
	free(t->message);
	free(t->error);
	free(t);
}

static void
turn_free_node(void *arg)
{
	turn_free(arg);
}

void
commands_free(void)
{
	tdestroy(by_id, turn_free_node);
	by_id = NULL;
	oldest = NULL;
	youngest = &oldest;
	n_turns = n_open = 0;
}

static void
forget_old(void)
{
	uint64_t	 now = chat.host->now_us();
	struct turn	*t;

	while ((t = oldest) != NULL && (n_turns > TURNS_MAX ||
	    t->ended_us + TURN_US <= now)) {
		oldest = t->next;
		if (oldest == NULL)
			youngest = &oldest;
		(void)tdelete(t, &by_id, cmp_id);
		turn_free(t);
		n_turns--;
	}
}

int
command_state(const char *id, const char **ret_error)
{
	struct turn	 want, **p, *t;
	char		*copy = strdup(id);

	forget_old();
	if (copy == NULL)
		return (0);
	want.id = copy;
	p = tfind(&want, &by_id, cmp_id);
	free(copy);
	if (p == NULL)
		return (0);
	t = *p;
	if (t->ended_us == 0)
		return (1);
	*ret_error = t->error;
	return (t->error != NULL ? -1 : 2);
}

static int
take_commands(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_commands_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

/* Asked for at each use, as its plugin may come and go; or NULL. */
const struct chela_commands_1 *
commands_get(void)
{
	const struct chela_commands_1 *c = NULL;

	(void)chat.host->svc_each(chat.ctx, CHELA_COMMANDS_SERVICE,
	    take_commands, &c);
	return (c);
}

static void
turn_ended(struct turn *t)
{
	t->ended_us = chat.host->now_us();
	json_object_put(t->params);
	json_object_put(t->files);
	t->params = t->files = NULL;
	t->next = NULL;
	*youngest = t;
	youngest = &t->next;
	n_turns++;
	n_open--;
	forget_old();
}

static void
store_rows(struct turn *t, const char *text)
{
	struct chela_session_append in = {
		.struct_size = sizeof in,
		.key = t->key,
		.run_id = t->id,
	};

	if (chat.sessions->ensure(t->key, NULL, "operator") < 0)
		return;
	in.row = json_object_new_object();
	set_str(in.row, "role", "user");
	set_str(in.row, "content", t->message);
	set_bool(in.row, "command", true);
	(void)chat.sessions->append(&in, NULL, NULL);
	in.row = injected_row(text);
	set_bool(in.row, "command", true);
	(void)chat.sessions->append(&in, NULL, NULL);
}

static void
command_done(int r, const struct chela_command_answer *a, void *arg)
{
	struct turn	*t = arg;
	const char	*why = NULL;
	int		 started;

	if (r < 0 && r != -EACCES) {
		t->error = strdup(a->text);
		emit_error(t->id, t->key, a->text);
		turn_ended(t);
		return;
	}
	if (r >= 0 && a->forward != NULL) {
		/* The same key goes on as a run of the model. */
		started = run_start(t->params, t->key, a->forward, t->files,
		    &why);
		if (started < 0) {
			t->error = strdup(why != NULL ? why :
			    "the run could not be started");
			emit_error(t->id, t->key, t->error != NULL ?
			    t->error : "out of memory");
			turn_ended(t);
			return;
		}
		(void)tdelete(t, &by_id, cmp_id);
		n_open--;
		turn_free(t);
		return;
	}
	if (!t->is_silent || r < 0)
		store_rows(t, a->text);
	emit_final(t->id, t->key, 1, text_message("assistant", a->text),
	    "stop");
	turn_ended(t);
}

/* 1: it is one and runs, 0: it is none, else negative. */
int
command_start(struct chela_req *req, struct json_object *params,
    const char *key, struct json_object *attachments)
{
	const struct chela_commands_1	*commands = commands_get();
	struct chela_command_run	 who = { .struct_size = sizeof who };
	const struct chela_command	*c;
	const char			*message = get_str(params, "message");
	const char			*args = NULL;
	struct turn			*t;
	int				 r;

	c = commands != NULL ? commands->find(message, &args) : NULL;
	if (c == NULL)
		return (0);
	if (n_open >= TURNS_MAX)
		return (-ENOBUFS);
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return (-ENOMEM);
	t->id = strdup(get_str(params, "idempotencyKey"));
	t->key = strdup(key);
	t->message = strdup(message);
	t->params = json_object_get(params);
	t->files = json_object_get(attachments);
	/* After these a conversation is empty, and has to stay so. */
	t->is_silent = strcmp(c->name, "new") == 0 ||
	    strcmp(c->name, "reset") == 0;
	if (t->id == NULL || t->key == NULL || t->message == NULL ||
	    tsearch(t, &by_id, cmp_id) == NULL) {
		turn_free(t);
		return (-ENOMEM);
	}
	n_open++;
	who.conn = chat.host->req_conn(req);
	who.session_key = t->key;
	who.channel = "webchat";
	r = commands->run(c, &who, args, command_done, t);
	if (r >= 0)
		return (1);
	(void)tdelete(t, &by_id, cmp_id);
	n_open--;
	turn_free(t);
	return (r);
}
