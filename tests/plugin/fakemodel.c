/* SPDX-License-Identifier: MIT */
#include "tests/plugin/fakemodel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct chela_model_call	*calls[FAKE_CALLS_MAX];
static unsigned			 n_calls;

static int
start(const struct chela_model_request *rq,
    const struct chela_model_handler *handler, void *arg,
    struct chela_model_call **ret_call)
{
	struct chela_model_call *call;

	if (n_calls >= FAKE_CALLS_MAX)
		return (-ENOSPC);
	call = calloc(1, sizeof *call);
	if (call == NULL)
		return (-ENOMEM);
	call->handler = handler;
	call->arg = arg;
	call->messages = json_object_get(rq->messages);
	call->system = rq->system != NULL ? strdup(rq->system) : NULL;
	call->session_key = rq->session_key != NULL ?
	    strdup(rq->session_key) : NULL;
	call->is_open = true;
	calls[n_calls++] = call;
	*ret_call = call;
	return (0);
}

static void
cancel(struct chela_model_call *call)
{
	call->was_cancelled = true;
}

static const char *const apis[] = { "fake", NULL };

static const struct chela_model_1 driver = {
	.struct_size = sizeof driver,
	.apis = apis,
	.start = start,
	.cancel = cancel,
};

static int
resolve(const char *ref, const char *agent_id, struct chela_model_ref *ret_ref,
    const char **ret_why)
{
	(void)agent_id;
	if (ref != NULL && strncmp(ref, "none/", 5) == 0) {
		*ret_why = "Unknown provider \"none\"";
		return (-ENOENT);
	}
	memcpy(ret_ref->provider, "fake", sizeof "fake");
	(void)snprintf(ret_ref->model, sizeof ret_ref->model, "%s",
	    ref != NULL && strchr(ref, '/') != NULL ? strchr(ref, '/') + 1 :
	    "usual");
	ret_ref->context_window = 100000;
	ret_ref->driver = &driver;
	ret_ref->provider_conf = json_tokener_parse("{\"api\":\"fake\"}");
	ret_ref->model_conf = json_tokener_parse(
	    "{\"cost\":{\"input\":1000000,\"output\":2000000}}");
	return (0);
}

static int
configured(void)
{
	return (1);
}

static const struct chela_models_1 models = {
	.struct_size = sizeof models,
	.resolve = resolve,
	.configured = configured,
};

void
fakemodel_add(struct fake *f)
{
	(void)fake_service(f, "models", CHELA_MODELS_SERVICE, &models);
}

unsigned
fakemodel_calls(void)
{
	return (n_calls);
}

struct chela_model_call *
fakemodel_call(unsigned n)
{
	return (n < n_calls ? calls[n] : NULL);
}

static bool
was_called(void *arg)
{
	return (n_calls > *(unsigned *)arg);
}

bool
fakemodel_wait(struct fake *f, unsigned n)
{
	return (fake_wait(f, was_called, &n) == 0);
}

void
fakemodel_say(unsigned n, const char *text)
{
	calls[n]->handler->text(text, strlen(text), calls[n]->arg);
}

void
fakemodel_tool(unsigned n, const char *id, const char *name,
    const char *arguments)
{
	calls[n]->handler->tool_call(id, name, arguments, calls[n]->arg);
}

void
fakemodel_end(unsigned n, uint32_t status, const char *message)
{
	struct chela_model_result res = {
		.struct_size = sizeof res,
		.status = status,
		.message = message,
		.stop_reason = status == CHELA_MODEL_OK ? "stop" : "error",
		.has_usage = status == CHELA_MODEL_OK,
		.usage = { .input = 11, .output = 5, .total = 16 },
		.response_id = "resp-1",
	};

	if (!calls[n]->is_open)
		return;
	calls[n]->is_open = false;
	calls[n]->handler->done(&res, calls[n]->arg);
}

void
fakemodel_settle(void)
{
	unsigned i;

	for (i = 0; i < n_calls; i++)
		if (calls[i]->was_cancelled)
			fakemodel_end(i, CHELA_MODEL_ABORTED, NULL);
}

void
fakemodel_free(void)
{
	while (n_calls > 0) {
		struct chela_model_call *call = calls[--n_calls];

		json_object_put(call->messages);
		free(call->system);
		free(call->session_key);
		free(call);
	}
}
