/* SPDX-License-Identifier: MIT */
/*
 * The call of the model: which one, with what of the transcript, and what comes
 * back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_priv.h"

static int
take_models(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_models_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

/* Asked for at each call: the plugin may come and go. */
static const struct chela_models_1 *
models_get(void)
{
	const struct chela_models_1 *m = NULL;

	(void)agent.host->svc_each(agent.ctx, CHELA_MODELS_SERVICE,
	    take_models, &m);
	return (m);
}

/* The run's own model, else the session's, else the agent's. */
static int
resolve(struct run *run, const char **ret_why)
{
	const struct chela_models_1	*models = models_get();
	struct json_object		*entry = NULL;
	const char			*name = run->model_name;
	char				 own[400];
	int				 r;

	*ret_why = "No plugin serves models.";
	if (models == NULL)
		return (-ENOSYS);
	if (name == NULL && agent.sessions->get(run->key, &entry) == 0 &&
	    get_str(entry, "modelOverride") != NULL) {
		const char *provider = get_str(entry, "providerOverride");

		(void)snprintf(own, sizeof own, "%s%s%s",
		    provider != NULL ? provider : "",
		    provider != NULL ? "/" : "",
		    get_str(entry, "modelOverride"));
		name = own;
	}
	if (run->thinking == NULL && entry != NULL)
		run->thinking = dup_or_null(get_str(entry, "thinkingLevel"));
	json_object_put(entry);
	memset(&run->ref, 0, sizeof run->ref);
	run->ref.struct_size = sizeof run->ref;
	*ret_why = NULL;
	r = models->resolve(name, run->agent, &run->ref, ret_why);
	if (r < 0)
		return (r);
	run->has_ref = true;
	return (0);
}

/*
 * Rows that a model has no use for: commands and what they answered, failed
 * turns, and those without content.
 */
static bool
row_is_useful(struct json_object *row)
{
	const char		*role = get_str(row, "role");
	struct json_object	*content = get_any(row, "content");

	if (role == NULL || strcmp(role, "system") == 0 ||
	    get_bool(row, "command", false))
		return (false);
	if (json_object_is_type(content, json_type_array))
		return (json_object_array_length(content) > 0);
	return (json_object_is_type(content, json_type_string) &&
	    json_object_get_string_len(content) > 0);
}

/*
 * Tool calls of earlier turns were never answered, and an endpoint refuses
 * those: they go. So do images, whose bytes are not in the transcript.
 */
static void
row_strip(struct json_object *row)
{
	struct json_object	*content = get_any(row, "content"), *kept, *o;
	size_t			 i, n;

	if (!json_object_is_type(content, json_type_array))
		return;
	kept = json_object_new_array();
	n = json_object_array_length(content);
	for (i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(content, i);
		const char *type = get_str(c, "type");

		if (type == NULL || strcmp(type, "toolCall") == 0)
			continue;
		if (strcmp(type, "image") == 0) {
			o = json_object_new_object();
			set_str(o, "type", "text");
			set_str(o, "text", "[image]");
			json_object_array_add(kept, o);
			continue;
		}
		json_object_array_add(kept, json_object_get(c));
	}
	json_object_object_add(row, "content", kept);
}

/* This turn's message: with the waiting notices and the images. */
static struct json_object *
prompt_row(struct run *run)
{
	struct json_object	*row = json_object_new_object(), *o;
	struct json_object	*content = json_object_new_array();
	struct text		 t = { 0 };
	size_t			 i, n;

	if (run->events != NULL)
		(void)text_add(&t, run->events, strlen(run->events));
	if (t.len > 0 && *run->message != '\0')
		(void)text_add(&t, "\n", 1);
	(void)text_add(&t, run->message, strlen(run->message));
	if (t.len > 0) {
		o = json_object_new_object();
		set_str(o, "type", "text");
		set_str(o, "text", t.s);
		json_object_array_add(content, o);
	}
	text_free(&t);
	n = run->attachments != NULL ?
	    json_object_array_length(run->attachments) : 0;
	for (i = 0; i < n; i++)
		json_object_array_add(content, json_object_get(
		    json_object_array_get_idx(run->attachments, i)));
	set_str(row, "role", "user");
	json_object_object_add(row, "content", content);
	return (row);
}

static struct json_object *
messages_build(struct run *run, const struct chela_row *rows, size_t n)
{
	struct json_object	*list = json_object_new_array(), *row;
	const char		*own;
	size_t			 i;

	for (i = 0; i < n; i++) {
		row = json_tokener_parse(rows[i].text);
		own = get_str(get_any(row, "__openclaw"), "runId");
		/* Our own row comes from prompt_row(). */
		if (own != NULL && strcmp(own, run->id) == 0) {
			json_object_put(row);
			continue;
		}
		row_strip(row);
		if (row_is_useful(row))
			json_object_array_add(list, json_object_get(row));
		json_object_put(row);
	}
	/* A conversation begins with a user's message. */
	while (json_object_array_length(list) > 0 &&
	    strcmp(get_str(json_object_array_get_idx(list, 0), "role"),
	    "user") != 0)
		json_object_array_del_idx(list, 0, 1);
	json_object_array_add(list, prompt_row(run));
	return (list);
}

static struct run *
run_of(void *arg)
{
	struct run *run = arg;

	return (run->magic == RUN_MAGIC && run->step == STEP_MODEL &&
	    !run->is_cut ? run : NULL);
}

static void
on_text(const char *delta, size_t len, void *arg)
{
	struct run *run = run_of(arg);

	if (run == NULL)
		return;
	if (run->text.len + len > TEXT_MAX) {
		run->is_cut = true;
		model_cancel(run);
		return;
	}
	if (text_add(&run->text, delta, len) == 0)
		event_text(run);
}

static void
on_thinking(const char *delta, size_t len, void *arg)
{
	struct run *run = run_of(arg);

	if (run != NULL && run->thought.len + len <= THINKING_MAX)
		(void)text_add(&run->thought, delta, len);
}

static void
on_tool(const char *id, const char *name, const char *arguments, void *arg)
{
	struct json_object	*o, *args;
	struct run		*run = run_of(arg);

	if (run == NULL || strlen(arguments) > TOOL_ARGS_MAX)
		return;
	if (run->tools == NULL)
		run->tools = json_object_new_array();
	if (json_object_array_length(run->tools) >= TOOL_CALLS_MAX)
		return;
	args = json_tokener_parse(arguments);
	if (!json_object_is_type(args, json_type_object)) {
		json_object_put(args);
		args = json_object_new_object();
	}
	o = json_object_new_object();
	set_str(o, "type", "toolCall");
	set_str(o, "id", id);
	set_str(o, "name", name);
	json_object_object_add(o, "arguments", args);
	json_object_array_add(run->tools, o);
	event_tool(run, o);
}

static void
on_done(const struct chela_model_result *res, void *arg)
{
	struct run *run = arg;

	run->call = NULL;
	run_model_done(run, res);
	run_unref(run);
}

static const struct chela_model_handler handler = {
	.struct_size = sizeof handler,
	.text = on_text,
	.thinking = on_thinking,
	.tool_call = on_tool,
	.done = on_done,
};

void
model_cancel(struct run *run)
{
	if (run->call != NULL)
		run->ref.driver->cancel(run->call);
}

static char *
system_prompt(struct run *run)
{
	struct text		 t = { 0 };
	const char		*own;

	own = get_str(agent_conf(run->agent), "systemPrompt");
	if (own == NULL)
		own = conf_str("agents.defaults.systemPrompt");
	if (own != NULL)
		(void)text_add(&t, own, strlen(own));
	if (run->system != NULL) {
		if (t.len > 0)
			(void)text_add(&t, "\n\n", 2);
		(void)text_add(&t, run->system, strlen(run->system));
	}
	return (t.s);
}

static void
model_start(struct run *run, const struct chela_row *rows, size_t n)
{
	struct chela_model_request	 rq = { .struct_size = sizeof rq };
	char				*system = system_prompt(run);
	int				 r;

	rq.provider = run->ref.provider;
	rq.model = run->ref.model;
	rq.provider_conf = run->ref.provider_conf;
	rq.messages = messages_build(run, rows, n);
	rq.system = system;
	rq.thinking = run->thinking;
	rq.timeout_us = run->timeout_us;
	rq.session_key = run->key;
	rq.max_tokens = (uint32_t)get_int(run->ref.model_conf, "maxTokens", 0);
	run->step = STEP_MODEL;
	run->refs++;
	r = run->ref.driver->start(&rq, &handler, run, &run->call);
	json_object_put(rq.messages);
	free(system);
	if (r >= 0)
		return;
	run->call = NULL;
	run_unref(run);
	run_fail(run, "unknown", "The model %s/%s could not be called.",
	    run->ref.provider, run->ref.model);
}

static void
history_read(int r, const struct chela_row *rows, size_t n, void *arg)
{
	struct run	*run = arg;
	const char	*why;

	if (run->step != STEP_HISTORY)
		goto out;
	if (run->abort_reason != NULL) {
		run_settle(run);
		goto out;
	}
	if (r < 0) {
		run_fail(run, "unknown", "The transcript could not be read.");
		goto out;
	}
	/* Again: the driver is good for one turn of the loop only. */
	json_object_put(run->ref.provider_conf);
	json_object_put(run->ref.model_conf);
	run->has_ref = false;
	if (resolve(run, &why) < 0)
		run_fail(run, "unknown", "%s", why != NULL ? why :
		    "The model is not known.");
	else
		model_start(run, rows, n);
out:
	run_unref(run);
}

/* Reads so much of the transcript as the model can take. */
void
model_history(struct run *run)
{
	const char	*why;
	size_t		 bytes = HISTORY_BYTES_MAX;
	int		 r;

	if (resolve(run, &why) < 0) {
		run_fail(run, "unknown", "%s", why != NULL ? why :
		    "The model is not known.");
		return;
	}
	/* A token is about four bytes; a quarter stays for the answer. */
	if (run->ref.context_window > 0 &&
	    (uint64_t)run->ref.context_window * 3 < bytes)
		bytes = (size_t)run->ref.context_window * 3;
	if (bytes < HISTORY_BYTES_MIN)
		bytes = HISTORY_BYTES_MIN;
	run->refs++;
	r = agent.sessions->read(run->key, 0, HISTORY_ROWS_MAX, bytes, 0,
	    history_read, run);
	if (r < 0) {
		run_unref(run);
		run_fail(run, "unknown", "The transcript could not be read.");
	}
}

/* Cost from the prices of the configuration, USD for a million tokens. */
static struct json_object *
usage_cost(struct json_object *prices, const struct chela_model_usage *u)
{
	static const char *const names[] = {
		"input", "output", "cacheRead", "cacheWrite",
	};
	const uint64_t		 tokens[] = {
		u->input, u->output, u->cache_read, u->cache_write,
	};
	struct json_object	*o;
	double			 total = 0, one;
	size_t			 i;

	if (!json_object_is_type(prices, json_type_object))
		return (NULL);
	o = json_object_new_object();
	for (i = 0; i < 4; i++) {
		one = (double)tokens[i] / 1e6 *
		    json_object_get_double(get_any(prices, names[i]));
		json_object_object_add(o, names[i],
		    json_object_new_double(one));
		total += one;
	}
	json_object_object_add(o, "total", json_object_new_double(total));
	return (o);
}

struct json_object *
model_usage(struct run *run, const struct chela_model_usage *u)
{
	struct json_object	*o = json_object_new_object(), *cost;
	uint64_t		 sum;

	sum = u->input + u->output + u->cache_read + u->cache_write;
	set_int(o, "input", (int64_t)u->input);
	set_int(o, "output", (int64_t)u->output);
	set_int(o, "cacheRead", (int64_t)u->cache_read);
	set_int(o, "cacheWrite", (int64_t)u->cache_write);
	set_int(o, "totalTokens", (int64_t)(u->total > 0 ? u->total : sum));
	cost = usage_cost(get_any(run->ref.model_conf, "cost"), u);
	if (cost != NULL)
		json_object_object_add(o, "cost", cost);
	return (o);
}
