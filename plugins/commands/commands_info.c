/* SPDX-License-Identifier: MIT */
/* The commands that only tell something. */
#include "commands.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define SESSIONS_SHOWN	10
#define MODELS_SHOWN	100

static void
list_commands(FILE *out, int all)
{
	const struct chela_command	*c;
	uint32_t			 i, k;
	int				 native;

	for (i = 0; (c = command_at(i, &native)) != NULL; i++) {
		if ((c->flags & CHELA_COMMAND_HIDDEN) != 0 ||
		    (!all && !native))
			continue;
		(void)fprintf(out, "/%s", c->name);
		for (k = 0; all && k < c->n_args; k++) {
			const struct chela_command_arg *arg =
			    (const void *)((const char *)c->args +
			    (size_t)k * c->arg_size);

			(void)fprintf(out, arg->required ? " <%s>" : " [%s]",
			    arg->name);
		}
		(void)fprintf(out, " - %s\n", c->description);
	}
}

int
cmd_help(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	(void)fputs("Write a message to talk to the agent, or a command:\n\n",
	    answer_text(a));
	list_commands(answer_text(a), 0);
	return (answer_end(a, 0));
}

int
cmd_commands(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	list_commands(answer_text(a), 1);
	return (answer_end(a, 0));
}

static int64_t
num(struct json_object *o, const char *key)
{
	return (json_object_get_int64(get_any(o, key)));
}

static void
tell_model(FILE *out, struct json_object *row, const char *agent)
{
	const struct chela_models_1	*models = models_svc();
	struct chela_model_ref		 ref;
	const char			*why = NULL;

	if (get_text(row, "modelOverride") != NULL) {
		(void)fprintf(out, "Model: %s/%s (chosen here)\n",
		    get_text(row, "providerOverride") != NULL ?
		    get_text(row, "providerOverride") : "",
		    get_text(row, "modelOverride"));
		return;
	}
	if (models == NULL)
		return;
	memset(&ref, 0, sizeof ref);
	ref.struct_size = sizeof ref;
	if (models->resolve(NULL, agent, &ref, &why) < 0) {
		(void)fprintf(out, "Model: none (%s)\n",
		    why != NULL ? why : "not configured");
		return;
	}
	(void)fprintf(out, "Model: %s/%s\n", ref.provider, ref.model);
	json_object_put(ref.provider_conf);
	json_object_put(ref.model_conf);
}

int
cmd_status(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	const struct chela_sessions_1	*sessions = sessions_svc();
	struct chela_session_info	 info;
	struct json_object		*row;
	struct answer			*a = answer_new(who, done, arg);
	FILE				*out;

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	out = answer_text(a);
	row = sessions->row(answer_key(a));
	(void)fprintf(out, "Session: %s\nAgent: %s\n", answer_key(a),
	    answer_agent(a));
	tell_model(out, row, answer_agent(a));
	if (get_text(row, "thinkingLevel") != NULL)
		(void)fprintf(out, "Thinking: %s\n",
		    get_text(row, "thinkingLevel"));
	if (get_any(row, "totalTokens") != NULL)
		(void)fprintf(out, "Tokens: %" PRId64 " of %" PRId64 "\n",
		    num(row, "totalTokens"), num(row, "contextTokens"));
	info.struct_size = sizeof info;
	if (sessions->info(answer_key(a), &info) == 0)
		(void)fprintf(out, "Messages: %" PRIu64 "\nRuns: %" PRIu32 "\n",
		    info.last_seq == 0 ? 0 : info.last_seq - info.first_seq + 1,
		    info.active_runs);
	else
		(void)fputs("Messages: 0\n", out);
	json_object_put(row);
	return (answer_end(a, 0));
}

int
cmd_whoami(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	static const char *const scopes[] = { "admin", "write", "read",
	    "approvals", "pairing" };
	struct chela_conn_info	 info;
	struct answer		*a = answer_new(who, done, arg);
	FILE			*out;
	size_t			 i;

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	out = answer_text(a);
	memset(&info, 0, sizeof info);
	info.struct_size = sizeof info;
	if (who->conn != NULL &&
	    commands.host->conn_info(who->conn, &info) == 0) {
		(void)fprintf(out, "Client: %s (%s)\n", info.client_id,
		    info.client_mode);
		if (*info.device_id != '\0')
			(void)fprintf(out, "Device: %s\n", info.device_id);
	}
	(void)fprintf(out, "Channel: %s\n",
	    who->channel != NULL ? who->channel : "webchat");
	if (who->sender != NULL)
		(void)fprintf(out, "Sender: %s\n", who->sender);
	(void)fputs("Scopes:", out);
	for (i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
		if (who_has(who, scopes[i]))
			(void)fprintf(out, " operator.%s", scopes[i]);
	}
	(void)fputs("\n", out);
	return (answer_end(a, 0));
}

struct sum {
	int64_t	input;
	int64_t	output;
	int64_t	total;
};

static int
sum_day(const char *day, const char *agent, struct json_object *totals,
    void *arg)
{
	struct sum	*s = arg;

	(void)day;
	(void)agent;
	s->input += num(totals, "input");
	s->output += num(totals, "output");
	s->total += num(totals, "totalTokens");
	return (0);
}

static void
tell_sum(FILE *out, const char *name, const struct sum *s)
{
	(void)fprintf(out, "%s: %" PRId64 " in, %" PRId64 " out, %" PRId64
	    " in all\n", name, s->input, s->output, s->total);
}

int
cmd_usage(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	const struct chela_sessions_1	*sessions = sessions_svc();
	struct json_object		*row;
	struct answer			*a = answer_new(who, done, arg);
	struct sum			 s;
	struct tm			 tm;
	time_t				 now, then;
	char				 today[16], from[16];

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	now = (time_t)(commands.host->wall_ms() / 1000);
	then = now - 29 * 86400;
	(void)localtime_r(&now, &tm);
	(void)strftime(today, sizeof today, "%Y-%m-%d", &tm);
	(void)localtime_r(&then, &tm);
	(void)strftime(from, sizeof from, "%Y-%m-%d", &tm);
	row = sessions->row(answer_key(a));
	(void)fprintf(answer_text(a), "Last answer: %" PRId64 " in, %" PRId64
	    " out; the conversation holds %" PRId64 " tokens\n",
	    num(row, "inputTokens"), num(row, "outputTokens"),
	    num(row, "totalTokens"));
	json_object_put(row);
	memset(&s, 0, sizeof s);
	(void)sessions->usage_days(answer_agent(a), today, today, sum_day, &s);
	tell_sum(answer_text(a), "Today", &s);
	memset(&s, 0, sizeof s);
	(void)sessions->usage_days(answer_agent(a), from, today, sum_day, &s);
	tell_sum(answer_text(a), "30 days", &s);
	return (answer_end(a, 0));
}

static int
tell_agent(const char *id, void *arg)
{
	const struct chela_agents_1	*agents = agents_svc();
	struct chela_agent_info		 info;

	info.struct_size = sizeof info;
	if (agents->info(id, &info) < 0)
		return (0);
	(void)fprintf(arg, "- %s%s%s%s\n", info.id,
	    *info.name != '\0' ? ": " : "", info.name,
	    info.is_default ? " (default)" : "");
	return (0);
}

int
cmd_agents(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	(void)agents_svc()->each(tell_agent, answer_text(a));
	return (answer_end(a, 0));
}

struct shown {
	FILE		*out;
	unsigned	 n;
};

static int
tell_session(const struct chela_session_info *info, void *arg)
{
	struct shown	*s = arg;

	(void)fprintf(s->out, "- %s%s%s\n", info->key,
	    *info->label != '\0' ? ": " : "", info->label);
	return (++s->n >= SESSIONS_SHOWN);
}

int
cmd_sessions(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);
	struct shown	 s = { NULL, 0 };

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	s.out = answer_text(a);
	(void)sessions_svc()->each(answer_agent(a), tell_session, &s);
	if (s.n == 0)
		(void)fputs("There are no conversations yet.", s.out);
	return (answer_end(a, 0));
}

int
cmd_models(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	const struct chela_models_1	*models = models_svc();
	struct json_object		*list = NULL, *row;
	struct answer			*a = answer_new(who, done, arg);
	const char			*provider;
	size_t				 i, len = strcspn(args, " \t\r\n"), n = 0;

	if (a == NULL)
		return (-ENOMEM);
	if (models->list(answer_agent(a), &list) < 0)
		list = NULL;
	for (i = 0; list != NULL && i < json_object_array_length(list); i++) {
		row = json_object_array_get_idx(list, i);
		provider = get_text(row, "provider");
		if (len > 0 && (strlen(provider) != len ||
		    strncasecmp(provider, args, len) != 0))
			continue;
		if (n++ == MODELS_SHOWN) {
			(void)fputs("- ...\n", answer_text(a));
			break;
		}
		(void)fprintf(answer_text(a), "- %s/%s%s\n", provider,
		    get_text(row, "id"),
		    json_object_get_boolean(get_any(row, "available")) ? "" :
		    " (not available)");
	}
	json_object_put(list);
	if (n == 0)
		(void)fputs("No models are configured.", answer_text(a));
	return (answer_end(a, 0));
}
