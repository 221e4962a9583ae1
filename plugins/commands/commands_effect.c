/* SPDX-License-Identifier: MIT */
/*
 * The commands that change something. Each asks for the scope that the method
 * of the same effect asks a client for. A sender of a channel has no scopes of
 * methods: the channel's policy let it in, and then its conversation is its
 * own, so "write" is enough for it.
 */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *
own_scope(const struct chela_command_run *who)
{
	return (who->conn == NULL ? "write" : "admin");
}

/* The first word of args in a buffer; -E2BIG when it does not fit. */
static int
first_word(const char *args, char *ret, size_t size)
{
	size_t	len = strcspn(args, " \t\r\n");

	if (len >= size)
		return (-E2BIG);
	memcpy(ret, args, len);
	ret[len] = '\0';
	return (0);
}

static void
reset_done(int r, void *arg)
{
	struct answer	*a = arg;

	(void)fputs(r < 0 ? "The conversation could not be reset." :
	    "A new conversation has begun.", answer_text(a));
	(void)answer_end(a, r);
}

static int
reset(const struct chela_command_run *who, const char *args,
    const char *reason, chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);
	int		 r;

	if (a == NULL)
		return (-ENOMEM);
	if (answer_refused(a, who, reason, own_scope(who)))
		return (0);
	if (*args != '\0' && answer_forward(a, args) < 0) {
		(void)fputs("The message is too long.", answer_text(a));
		return (answer_end(a, -ENOMEM));
	}
	if (runs_svc() != NULL)
		(void)runs_svc()->abort_session(answer_key(a), "stop", NULL);
	r = sessions_svc()->reset(answer_key(a), reason, reset_done, a);
	if (r < 0)
		reset_done(r, a);
	return (0);
}

int
cmd_new(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	return (reset(who, args, "new", done, arg));
}

int
cmd_reset(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	return (reset(who, args, "reset", done, arg));
}

int
cmd_stop(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct answer	*a = answer_new(who, done, arg);
	int		 n;

	(void)args;
	if (a == NULL)
		return (-ENOMEM);
	if (answer_refused(a, who, "stop", "write"))
		return (0);
	n = runs_svc()->abort_session(answer_key(a), "stop", NULL);
	if (n > 0)
		(void)fprintf(answer_text(a), "Stopped (%d).", n);
	else
		(void)fputs("Nothing was running.", answer_text(a));
	return (answer_end(a, 0));
}

static void
compact_done(int r, void *arg)
{
	struct answer	*a = arg;

	(void)fputs(r < 0 ? "The conversation could not be shortened." :
	    "The conversation has been shortened.", answer_text(a));
	(void)answer_end(a, r);
}

int
cmd_compact(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct chela_session_info	 info;
	struct answer			*a = answer_new(who, done, arg);
	char				*end;
	unsigned long			 keep = COMPACT_ROWS;
	int				 r;

	if (a == NULL)
		return (-ENOMEM);
	if (answer_refused(a, who, "compact", own_scope(who)))
		return (0);
	if (*args != '\0') {
		keep = *args == '-' ? 0 : strtoul(args, &end, 10);
		if (keep == 0 || keep > UINT32_MAX ||
		    end[strspn(end, " \t\r\n")] != '\0') {
			(void)fputs("/compact takes the number of messages that stay.",
			    answer_text(a));
			return (answer_end(a, -EINVAL));
		}
	}
	info.struct_size = sizeof info;
	if (sessions_svc()->info(answer_key(a), &info) < 0 ||
	    info.last_seq < info.first_seq + keep) {
		(void)fputs("The conversation is short already.",
		    answer_text(a));
		return (answer_end(a, 0));
	}
	r = sessions_svc()->trim(answer_key(a), (uint32_t)keep, compact_done,
	    a);
	if (r < 0)
		compact_done(r, a);
	return (0);
}

static void
patch_done(int r, void *arg)
{
	struct answer	*a = arg;

	/* What was written so far said that it would work. */
	if (r < 0)
		answer_instead(a, "It could not be stored.");
	(void)answer_end(a, r);
}

/* Takes fields; the answer's text is already there. */
static int
patch(struct answer *a, struct json_object *fields)
{
	int	r;

	(void)sessions_svc()->ensure(answer_key(a), NULL, "operator");
	r = sessions_svc()->patch(answer_key(a), fields, "patch", patch_done,
	    a);
	if (r < 0)
		patch_done(r, a);
	return (0);
}

static void
put_text(struct json_object *obj, const char *key, const char *text)
{
	(void)json_object_object_add(obj, key, text == NULL ? NULL :
	    json_object_new_string(text));
}

/* The model of the conversation: chosen here, or the agent's. */
static int
model_now(const struct answer *a, struct chela_model_ref *ref,
    const char **ret_why)
{
	struct json_object	*entry = NULL;
	const char		*model, *provider;
	char			 text[400];
	int			 r;

	memset(ref, 0, sizeof *ref);
	ref->struct_size = sizeof *ref;
	(void)sessions_svc()->get(answer_key(a), &entry);
	model = get_text(entry, "modelOverride");
	provider = get_text(entry, "providerOverride");
	if (model != NULL && provider != NULL)
		(void)snprintf(text, sizeof text, "%s/%s", provider, model);
	r = models_svc()->resolve(model != NULL && provider != NULL ? text :
	    NULL, answer_agent(a), ref, ret_why);
	json_object_put(entry);
	return (r);
}

static void
ref_put(struct chela_model_ref *ref)
{
	json_object_put(ref->provider_conf);
	json_object_put(ref->model_conf);
}

int
cmd_model(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct chela_model_ref	 ref;
	struct json_object	*fields;
	struct answer		*a = answer_new(who, done, arg);
	const char		*why = NULL;
	char			 word[400];

	if (a == NULL)
		return (-ENOMEM);
	if (*args == '\0' || strcasecmp(args, "status") == 0) {
		if (model_now(a, &ref, &why) < 0) {
			(void)fputs(why != NULL ? why : "no model",
			    answer_text(a));
			return (answer_end(a, 0));
		}
		(void)fprintf(answer_text(a),
		    "The model is %s/%s. /model <provider/model> chooses another.",
		    ref.provider, ref.model);
		ref_put(&ref);
		return (answer_end(a, 0));
	}
	if (answer_refused(a, who, "model", "write"))
		return (0);
	if (first_word(args, word, sizeof word) < 0) {
		(void)fputs("unknown model", answer_text(a));
		return (answer_end(a, -ENOENT));
	}
	fields = json_object_new_object();
	if (strcasecmp(word, "default") == 0) {
		put_text(fields, "providerOverride", NULL);
		put_text(fields, "modelOverride", NULL);
		(void)fputs("The model is the agent's own again.",
		    answer_text(a));
		return (patch(a, fields));
	}
	memset(&ref, 0, sizeof ref);
	ref.struct_size = sizeof ref;
	if (models_svc()->resolve(word, answer_agent(a), &ref, &why) < 0) {
		json_object_put(fields);
		(void)fputs(why != NULL ? why : "unknown model",
		    answer_text(a));
		return (answer_end(a, -ENOENT));
	}
	put_text(fields, "providerOverride", ref.provider);
	put_text(fields, "modelOverride", ref.model);
	(void)fprintf(answer_text(a), "The model is now %s/%s.", ref.provider,
	    ref.model);
	ref_put(&ref);
	return (patch(a, fields));
}

/* Whether the model of the conversation is known not to think. */
static int
model_is_plain(const struct answer *a)
{
	struct chela_model_ref	 ref;
	struct json_object	*flag;
	const char		*why = NULL;
	int			 plain;

	if (models_svc() == NULL || model_now(a, &ref, &why) < 0)
		return (0);
	flag = get_any(ref.model_conf, "reasoning");
	plain = json_object_is_type(flag, json_type_boolean) &&
	    !json_object_get_boolean(flag);
	ref_put(&ref);
	return (plain);
}

int
cmd_think(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	static const char *const levels[] = { "off", "minimal", "low",
	    "medium", "high" };
	struct json_object	*entry = NULL, *fields;
	struct answer		*a = answer_new(who, done, arg);
	char			 word[32];
	size_t			 i;

	if (a == NULL)
		return (-ENOMEM);
	if (*args == '\0') {
		(void)sessions_svc()->get(answer_key(a), &entry);
		(void)fprintf(answer_text(a), "The thinking level is %s.",
		    get_text(entry, "thinkingLevel") != NULL ?
		    get_text(entry, "thinkingLevel") : "the default");
		json_object_put(entry);
		return (answer_end(a, 0));
	}
	if (answer_refused(a, who, "think", own_scope(who)))
		return (0);
	if (first_word(args, word, sizeof word) < 0)
		word[0] = '\0';
	for (i = 0; i < sizeof levels / sizeof levels[0] &&
	    strcasecmp(word, levels[i]) != 0; i++)
		;
	if (i == sizeof levels / sizeof levels[0]) {
		(void)fputs("The levels are off, minimal, low, medium and high.",
		    answer_text(a));
		return (answer_end(a, -EINVAL));
	}
	if (i > 0 && model_is_plain(a)) {
		(void)fputs("The model of this conversation has the level off alone.",
		    answer_text(a));
		return (answer_end(a, -EINVAL));
	}
	fields = json_object_new_object();
	put_text(fields, "thinkingLevel", levels[i]);
	(void)fprintf(answer_text(a), "The thinking level is now %s.",
	    levels[i]);
	return (patch(a, fields));
}

#define NAME_LEN_MAX 512

int
cmd_name(const struct chela_command_run *who, const char *args,
    chela_command_done_fn *done, void *arg)
{
	struct json_object	*fields;
	struct answer		*a = answer_new(who, done, arg);
	const char		*other;
	char			 name[NAME_LEN_MAX + 1];
	size_t			 len = strlen(args);

	if (a == NULL)
		return (-ENOMEM);
	if (answer_refused(a, who, "name", "write"))
		return (0);
	while (len > 0 && strchr(" \t\r\n", args[len - 1]) != NULL)
		len--;
	if (len == 0 || len > NAME_LEN_MAX) {
		(void)fprintf(answer_text(a),
		    "/name takes a name of at most %d bytes.", NAME_LEN_MAX);
		return (answer_end(a, -EINVAL));
	}
	(void)snprintf(name, sizeof name, "%.*s", (int)len, args);
	other = sessions_svc()->find_label(name);
	if (other != NULL && strcmp(other, answer_key(a)) != 0) {
		(void)fprintf(answer_text(a),
		    "Another conversation has this name: %s", other);
		return (answer_end(a, -EEXIST));
	}
	fields = json_object_new_object();
	put_text(fields, "label", name);
	(void)fprintf(answer_text(a), "This conversation is now named %s.",
	    name);
	return (patch(a, fields));
}
