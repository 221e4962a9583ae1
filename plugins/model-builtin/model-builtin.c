/* SPDX-License-Identifier: MIT */
/*
 * Plugin model-builtin: what answers where no model is configured. It knows
 * nothing and says so, and how to give the gateway a model. No network.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <json-c/json.h>

#include <chela/services/model.h>

#define CALLS_MAX	256	/* at a time */
#define PIECE_US	20000u	/* between two pieces */

/* Each string is one piece of the stream; NULL ends. */
static const char *const no_model[] = {
	"No model is configured, so there is nobody here who could answer. "
	"This text comes from the gateway itself.\n\n",
	"Quick start: set these in the gateway's environment and start it "
	"again:\n\n"
	"    OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=qwen3\n"
	"    OPENAI_API_KEY=... OPENAI_MODEL=gpt-4o-mini\n"
	"    ANTHROPIC_API_KEY=... ANTHROPIC_MODEL=claude-sonnet-4-5\n\n",
	"Or in the configuration, for any server with an OpenAI-compatible "
	"API (Ollama, llama.cpp, vLLM, LiteLLM, a cloud):\n\n"
	"    chela config patch '{\"models\":{\"providers\":{\"local\":{\n"
	"      \"baseUrl\":\"http://127.0.0.1:11434/v1\",\n"
	"      \"api\":\"openai-completions\",\n"
	"      \"models\":[{\"id\":\"qwen3\"}]}}},\n"
	"      \"agents\":{\"defaults\":{\"model\":{"
	"\"primary\":\"local/qwen3\"}}}}'\n\n",
	"Add \"apiKey\" beside \"baseUrl\" where the server wants one. "
	"\"api\" may also be \"anthropic-messages\". "
	"Then `/model` shows what is in use, and `/help` lists the commands.",
	NULL
};

static const char *const help[] = {
	"This is the gateway's built-in answer: no model is configured.\n\n",
	"What works without one: sessions and their history, slash commands "
	"(the command plugin lists them), configuration, nodes and channels.\n",
	"Write anything else to see how to configure a model.",
	NULL
};

struct chela_model_call {
	TAILQ_ENTRY(chela_model_call)	 link;
	struct chela_model_handler	 handler;
	void				*arg;
	const char *const		*next;	/* piece */
	struct chela_timer		*timer;
	int				 is_cancelled;
};

static const struct chela_host			*host;
static struct chela_ctx				*ctx;
static TAILQ_HEAD(, chela_model_call)		 calls;
static unsigned					 n_calls;

static void
call_end(struct chela_model_call *call, uint32_t status)
{
	struct chela_model_result	 res = {
		.struct_size = sizeof res, .status = status, .has_usage = 1,
		.stop_reason = status == CHELA_MODEL_OK ? "stop" : "aborted",
	};

	TAILQ_REMOVE(&calls, call, link);
	n_calls--;
	host->timer_free(call->timer);
	call->handler.done(&res, call->arg);
	free(call);
}

static void
call_on_timer(struct chela_ctx *c, void *arg)
{
	struct chela_model_call	*call = arg;
	const char		*piece;

	(void)c;
	if (call->is_cancelled) {
		call_end(call, CHELA_MODEL_ABORTED);
		return;
	}
	piece = *call->next;
	if (piece == NULL) {
		call_end(call, CHELA_MODEL_OK);
		return;
	}
	call->next++;
	/* Before text(), which may cancel. */
	(void)host->timer_set(call->timer, *call->next == NULL ? 0 : PIECE_US);
	if (call->handler.text != NULL)
		call->handler.text(piece, strlen(piece), call->arg);
}

/* The text of the last row when that is a user's, else NULL. */
static const char *
last_text(struct json_object *messages)
{
	struct json_object	*row, *v, *part;
	size_t			 i, n;

	if (!json_object_is_type(messages, json_type_array))
		return (NULL);
	n = json_object_array_length(messages);
	row = n == 0 ? NULL : json_object_array_get_idx(messages, n - 1);
	if (!json_object_object_get_ex(row, "role", &v) ||
	    strcmp(json_object_get_string(v), "user") != 0 ||
	    !json_object_object_get_ex(row, "content", &v))
		return (NULL);
	if (json_object_is_type(v, json_type_string))
		return (json_object_get_string(v));
	if (!json_object_is_type(v, json_type_array))
		return (NULL);
	for (i = 0; i < json_object_array_length(v); i++) {
		if (json_object_object_get_ex(json_object_array_get_idx(v, i),
		    "text", &part) && json_object_is_type(part,
		    json_type_string))
			return (json_object_get_string(part));
	}
	return (NULL);
}

static int
wants_help(const char *s)
{
	if (s == NULL)
		return (0);
	s += strspn(s, " \t\r\n");
	return (strncmp(s, "/help", 5) == 0 &&
	    (s[5] == '\0' || strchr(" \t\r\n:", s[5]) != NULL));
}

static int
builtin_start(const struct chela_model_request *rq,
    const struct chela_model_handler *handler, void *arg,
    struct chela_model_call **ret_call)
{
	struct chela_model_call	*call;

	if (n_calls >= CALLS_MAX)
		return (-EAGAIN);
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return (-ENOMEM);
	call->handler = *handler;
	call->arg = arg;
	call->next = wants_help(last_text(rq->messages)) ? help : no_model;
	call->timer = host->timer_new(ctx, call_on_timer, call);
	if (call->timer == NULL || host->timer_set(call->timer, 0) < 0) {
		if (call->timer != NULL)
			host->timer_free(call->timer);
		free(call);
		return (-ENOMEM);
	}
	TAILQ_INSERT_TAIL(&calls, call, link);
	n_calls++;
	if (ret_call != NULL)
		*ret_call = call;
	return (0);
}

static void
builtin_cancel(struct chela_model_call *call)
{
	if (call == NULL || call->is_cancelled)
		return;
	call->is_cancelled = 1;
	(void)host->timer_set(call->timer, 0);
}

static const char *const apis[] = { "builtin", NULL };

static const struct chela_model_1 service = {
	.struct_size = sizeof service,
	.apis = apis,
	.start = builtin_start,
	.cancel = builtin_cancel,
};

static int
builtin_init(struct chela_ctx *c, const struct chela_host *h)
{
	ctx = c;
	host = h;
	n_calls = 0;
	TAILQ_INIT(&calls);
	return (h->svc_export(c, CHELA_MODEL_SERVICE, &service));
}

static void
builtin_stop(struct chela_ctx *c)
{
	struct chela_model_call	*call;

	(void)c;
	while ((call = TAILQ_FIRST(&calls)) != NULL)
		call_end(call, CHELA_MODEL_ABORTED);
}

CHELA_PLUGIN = {
	CHELA_HEAD("model-builtin"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Says that no model is configured, and how to",
	.init = builtin_init,
	.stop = builtin_stop,
};
