/* SPDX-License-Identifier: MIT */
/* An answer on its way: who asked, what is to be told, and when. */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answer {
	chela_command_done_fn	*done;
	void			*arg;
	FILE			*out;
	char			*text;
	size_t			 len;
	char			*forward;
	const char		*instead;
	int			 r;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];
};

/* The session is the one named, else the main one of the agent. */
static void
answer_session(struct answer *a, const struct chela_command_run *who)
{
	const struct chela_sessions_1	*sessions = sessions_svc();
	const struct chela_agents_1	*agents = agents_svc();
	const char			*id = who->agent_id;

	if (sessions != NULL) {
		if (who->session_key == NULL ||
		    sessions->canonical(who->session_key, NULL, a->key) < 0) {
			if (sessions->main_key(id, a->key) < 0)
				a->key[0] = '\0';
		}
		if (a->key[0] != '\0' &&
		    sessions->agent_of(a->key, a->agent) == 0)
			return;
	}
	if (id == NULL && agents != NULL)
		id = agents->default_id();
	(void)snprintf(a->agent, sizeof a->agent, "%s",
	    id != NULL ? id : "main");
}

struct answer *
answer_new(const struct chela_command_run *who, chela_command_done_fn *done,
    void *arg)
{
	struct answer	*a = calloc(1, sizeof *a);

	if (a == NULL)
		return (NULL);
	a->out = open_memstream(&a->text, &a->len);
	if (a->out == NULL) {
		free(a);
		return (NULL);
	}
	a->done = done;
	a->arg = arg;
	answer_session(a, who);
	return (a);
}

FILE *
answer_text(struct answer *a)
{
	return (a->out);
}

void
answer_instead(struct answer *a, const char *text)
{
	a->instead = text;
}

const char *
answer_key(const struct answer *a)
{
	return (a->key);
}

const char *
answer_agent(const struct answer *a)
{
	return (a->agent);
}

int
answer_forward(struct answer *a, const char *text)
{
	free(a->forward);
	a->forward = strdup(text);
	return (a->forward == NULL ? -ENOMEM : 0);
}

static void
answer_tell(struct chela_ctx *ctx, void *arg)
{
	struct answer			*a = arg;
	struct chela_command_answer	 told;

	(void)ctx;
	memset(&told, 0, sizeof told);
	told.struct_size = sizeof told;
	told.text = a->instead != NULL ? a->instead :
	    a->text != NULL ? a->text : "";
	told.forward = a->r < 0 ? NULL : a->forward;
	a->done(a->r, &told, a->arg);
	free(a->text);
	free(a->forward);
	free(a);
}

int
answer_end(struct answer *a, int r)
{
	a->r = r;
	(void)fclose(a->out);
	a->out = NULL;
	if (commands.host->post(commands.ctx, answer_tell, a) < 0) {
		commands.host->log(commands.ctx, CHELA_LOG_ERR,
		    "answer of a command lost (no memory)");
		free(a->text);
		free(a->forward);
		free(a);
		return (-ENOMEM);
	}
	return (0);
}

/*
 * Without a client and without a word from the caller only reading is allowed.
 */
int
who_has(const struct chela_command_run *who, const char *scope)
{
	if (scope == NULL)
		return (1);
	if (who->has_scope != NULL)
		return (who->has_scope(scope, who->scope_arg) > 0);
	if (who->conn != NULL)
		return (commands.host->conn_has_scope(who->conn, scope) > 0);
	return (strcmp(scope, "read") == 0);
}

int
answer_refused(struct answer *a, const struct chela_command_run *who,
    const char *command, const char *scope)
{
	if (who_has(who, scope))
		return (0);
	(void)fprintf(a->out,
	    "/%s was refused: missing scope: operator.%s", command, scope);
	(void)answer_end(a, -EACCES);
	return (1);
}
