/* SPDX-License-Identifier: MIT */
/* Plugin models: references, views, the shared fetch, probes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/model.h>
#include <chela/services/secrets.h>

#include "tests/plugin/fakehost.h"
#include "tests/unit/cu.h"

/* A driver that answers when the test says so. */
static struct {
	unsigned			 n_lists;
	unsigned			 n_starts;
	unsigned			 n_cancels;
	chela_model_list_fn		*list_done;
	void				*list_arg;
	const struct chela_model_handler *handler;
	void				*arg;
	uint32_t			 max_tokens;
	char				 model[256];
	char				 key[64];
} drv;

static int
drv_start(const struct chela_model_request *rq,
    const struct chela_model_handler *handler, void *arg,
    struct chela_model_call **ret_call)
{
	drv.n_starts++;
	drv.handler = handler;
	drv.arg = arg;
	drv.max_tokens = rq->max_tokens;
	(void)snprintf(drv.model, sizeof drv.model, "%s", rq->model);
	(void)snprintf(drv.key, sizeof drv.key, "%s",
	    fake_str(rq->provider_conf, "apiKey"));
	*ret_call = (struct chela_model_call *)(void *)&drv;
	return (0);
}

static void
drv_cancel(struct chela_model_call *call)
{
	(void)call;
	drv.n_cancels++;
}

static int
drv_list(const char *provider, struct json_object *conf,
    chela_model_list_fn *done, void *arg)
{
	(void)provider;
	(void)conf;
	drv.n_lists++;
	drv.list_done = done;
	drv.list_arg = arg;
	return (0);
}

static void
drv_list_answer(int r, const char *json)
{
	struct json_object	*list = NULL;

	if (json != NULL)
		list = json_tokener_parse(json);
	drv.list_done(r, list, drv.list_arg);
	json_object_put(list);
}

static void
drv_answer(uint32_t status, const char *message)
{
	struct chela_model_result	res;

	memset(&res, 0, sizeof res);
	res.struct_size = sizeof res;
	res.status = status;
	res.stop_reason = "stop";
	res.message = message;
	drv.handler->done(&res, drv.arg);
}

static const char *const apis[] = { "openai-completions", NULL };
static const char *const builtin_apis[] = { "builtin", NULL };
static const struct chela_model_1 driver = {
	.struct_size = sizeof driver,
	.apis = apis,
	.start = drv_start,
	.cancel = drv_cancel,
	.list = drv_list,
};
static const struct chela_model_1 builtin = {
	.struct_size = sizeof builtin,
	.apis = builtin_apis,
	.start = drv_start,
	.cancel = drv_cancel,
};

static const char two_providers[] =
    "{\"models\":{\"providers\":{"
    "\"zeta\":{\"baseUrl\":\"http://127.0.0.1:1/v1\",\"apiKey\":\"s3cret\","
    "\"models\":[{\"id\":\"b/big\",\"name\":\"Big\",\"contextWindow\":32000,"
    "\"reasoning\":true,\"input\":[\"text\",\"image\"]},{\"id\":\"a\"}]},"
    "\"alpha\":{\"baseUrl\":\"http://127.0.0.1:2/v1\"}}},"
    "\"agents\":{\"defaults\":{\"model\":{\"primary\":\"zeta/b/big\","
    "\"fallbacks\":[\"zeta/a\"]}},"
    "\"entries\":{\"main\":{},\"ops\":{\"model\":\"zeta/a\"}}}}";

static struct fake *
begin(const char *conf)
{
	struct fake	*f;

	memset(&drv, 0, sizeof drv);
	(void)unsetenv("OPENAI_API_KEY");
	(void)unsetenv("OPENAI_BASE_URL");
	(void)unsetenv("OPENAI_MODEL");
	(void)unsetenv("ANTHROPIC_API_KEY");
	(void)unsetenv("ANTHROPIC_MODEL");
	f = fake_new();
	CU_ASSERT_EQUAL(fake_conf(f, conf), 0);
	CU_ASSERT_EQUAL(fake_service(f, "model-test", CHELA_MODEL_SERVICE,
	    &driver), 0);
	CU_ASSERT_EQUAL(fake_service(f, "model-builtin", CHELA_MODEL_SERVICE,
	    &builtin), 0);
	CU_ASSERT_EQUAL(fake_load(f, "models"), 0);
	return (f);
}

static int
resolve(struct fake *f, const char *ref, const char *agent_id, char *ret,
    size_t size)
{
	const struct chela_models_1	*svc;
	struct chela_model_ref		 r;
	const char			*why = NULL;
	int				 e;

	svc = fake_import(f, CHELA_MODELS_SERVICE);
	memset(&r, 0, sizeof r);
	r.struct_size = sizeof r;
	e = svc->resolve(ref, agent_id, &r, &why);
	if (e < 0) {
		(void)snprintf(ret, size, "%s", why);
		return (e);
	}
	(void)snprintf(ret, size, "%s %s", r.provider, r.model);
	json_object_put(r.provider_conf);
	json_object_put(r.model_conf);
	return (0);
}

/* --- the plugin secrets, as far as it is asked for --- */

static int
secret_get(struct json_object *ref, const char **ret_value)
{
	if (strcmp(fake_str(ref, "id"), "KEY") != 0)
		return (-ENOENT);
	*ret_value = "from-the-store";
	return (0);
}

static const struct chela_secrets_1 secrets_table = {
	.struct_size = sizeof secrets_table,
	.get = secret_get,
};

static void
secrets_may_be_kept_elsewhere(void)
{
	struct fake			*f = begin("{\"models\":{\"providers\":{"
	    "\"zeta\":{\"baseUrl\":\"http://127.0.0.1:1/v1\",\"apiKey\":{"
	    "\"source\":\"store\",\"id\":\"KEY\"},\"headers\":{\"X-A\":{"
	    "\"source\":\"file\",\"provider\":\"f\",\"id\":\"KEY\"},"
	    "\"X-B\":\"plain\"},\"models\":[{\"id\":\"a\"}]},"
	    "\"eta\":{\"baseUrl\":\"http://127.0.0.1:1/v1\",\"headers\":{"
	    "\"X-C\":{\"source\":\"store\",\"id\":\"NONE\"}},\"models\":[{"
	    "\"id\":\"a\"}]},\"theta\":{\"baseUrl\":\"http://127.0.0.1:1/v1\","
	    "\"apiKey\":{\"source\":\"env\",\"id\":\"CHELA_TEST_NONE\"},"
	    "\"models\":[{\"id\":\"a\"}]}}}}");
	const struct chela_models_1	*svc;
	struct chela_model_ref		 r = { .struct_size = sizeof r };
	const char			*why = NULL;
	struct json_object		*reply;

	CU_ASSERT_EQUAL_FATAL(fake_service(f, "secrets", CHELA_SECRETS_SERVICE,
	    &secrets_table), 0);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	svc = fake_import(f, CHELA_MODELS_SERVICE);
	CU_ASSERT_EQUAL_FATAL(svc->resolve("zeta/a", NULL, &r, &why), 0);
	CU_ASSERT_STRING_EQUAL(fake_str(r.provider_conf, "apiKey"),
	    "from-the-store");
	CU_ASSERT_STRING_EQUAL(fake_str(r.provider_conf, "headers.X-A"),
	    "from-the-store");
	CU_ASSERT_STRING_EQUAL(fake_str(r.provider_conf, "headers.X-B"),
	    "plain");
	json_object_put(r.provider_conf);
	json_object_put(r.model_conf);
	/* Nothing is sent without what was meant to go with it. */
	CU_ASSERT_EQUAL(svc->resolve("eta/a", NULL, &r, &why), -ENOKEY);
	CU_ASSERT_STRING_EQUAL(why, "models.providers.eta.headers.X-C refers "
	    "to a secret that has no value");
	CU_ASSERT_EQUAL(svc->resolve("theta/a", NULL, &r, &why), -ENOKEY);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "models.providers.theta.apiKey"));
	reply = fake_call(f, NULL, "models.list", "{\"view\":\"all\"}");
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(reply),
	    "from-the-store"));
	json_object_put(reply);
	fake_free(f);
}

static void
nothing_configured(void)
{
	struct fake		*f = begin("{}");
	struct json_object	*reply;
	char			 text[600];

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	reply = fake_call(f, NULL, "models.list", "{}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.models")), 0);
	json_object_put(reply);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "builtin builtin");
	reply = fake_call(f, NULL, "models.list", "{\"view\":\"all\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.0.provider"),
	    "builtin");
	json_object_put(reply);
	fake_free(f);
}

static void
references(void)
{
	struct fake	*f = begin(two_providers);
	char		 text[600];

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "zeta b/big");
	CU_ASSERT_EQUAL(resolve(f, NULL, "ops", text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "zeta a");
	CU_ASSERT_EQUAL(resolve(f, "a", NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "zeta a");
	CU_ASSERT_EQUAL(resolve(f, "zeta/nope", NULL, text, sizeof text),
	    -ENOENT);
	CU_ASSERT_STRING_EQUAL(text, "unknown model: zeta/nope");
	CU_ASSERT_EQUAL(resolve(f, "nope/x", NULL, text, sizeof text), -ENOENT);
	CU_ASSERT_STRING_EQUAL(text, "unknown model provider: nope");
	CU_ASSERT_EQUAL(resolve(f, "alpha/anything", NULL, text, sizeof text),
	    0);
	CU_ASSERT_EQUAL(resolve(f, "/x", NULL, text, sizeof text), -ENOENT);
	CU_ASSERT_EQUAL(resolve(f, "zeta/", NULL, text, sizeof text), -ENOENT);
	CU_ASSERT_EQUAL(fake_conf(f,
	    "{\"models\":{\"providers\":{\"old\":{\"api\":\"strange\","
	    "\"models\":[{\"id\":\"m\"}]},\"new\":{\"baseUrl\":\"http://h/\","
	    "\"models\":[{\"id\":\"n\"}]}}},\"agents\":{\"defaults\":{"
	    "\"model\":{\"primary\":\"old/m\",\"fallbacks\":[\"new/n\"]},"
	    "\"models\":{\"new/n\":{\"alias\":\"Fast\"}}}}}"), 0);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "new n");
	CU_ASSERT_EQUAL(resolve(f, "fAST", NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "new n");
	CU_ASSERT_EQUAL(resolve(f, "old/m", NULL, text, sizeof text), -ENOSYS);
	fake_free(f);
}

static void
environment(void)
{
	struct fake	*f = begin("{}");
	char		 text[600];

	(void)setenv("OPENAI_API_KEY", "k", 1);
	(void)setenv("OPENAI_MODEL", "m1", 1);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "openai m1");
	/* A configured provider of the name wins. */
	CU_ASSERT_EQUAL(fake_conf(f, "{\"models\":{\"providers\":{\"openai\":"
	    "{\"baseUrl\":\"http://h/\",\"models\":[{\"id\":\"m2\"}]}}}}"), 0);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "openai m2");
	fake_free(f);
	(void)unsetenv("OPENAI_API_KEY");
	(void)unsetenv("OPENAI_MODEL");
}

/* An own server tells its model; a vendor's list is no choice. */
static void
model_of_the_server(void)
{
	struct fake	*f = begin("{\"models\":{\"providers\":{\"alpha\":{"
			    "\"baseUrl\":\"http://127.0.0.1:2/v1\"}}}}");
	char		 text[600];

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	fake_settle(f);
	CU_ASSERT_EQUAL(drv.n_lists, 1);
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "no model is chosen"));
	CU_ASSERT_EQUAL(drv.n_lists, 1);
	drv_list_answer(0, "[{\"id\":\"own\"}]");
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), 0);
	CU_ASSERT_STRING_EQUAL(text, "alpha own");
	fake_free(f);
	f = begin("{\"models\":{\"providers\":{\"openai\":{\"apiKey\":\"k\"}}}}");
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	fake_settle(f);
	drv_list_answer(0, "[{\"id\":\"first\"}]");
	CU_ASSERT_EQUAL(resolve(f, NULL, NULL, text, sizeof text), -ENOENT);
	fake_free(f);
}

static void
rows_have_no_secrets(void)
{
	struct fake		*f = begin(two_providers);
	struct json_object	*reply;
	const char		*text;

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	reply = fake_call(f, NULL, "models.list", "{\"view\":\"configured\"}");
	text = json_object_to_json_string(reply);
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_PTR_NULL(strstr(text, "s3cret"));
	CU_ASSERT_PTR_NULL(strstr(text, "127.0.0.1"));
	CU_ASSERT_EQUAL(drv.n_lists, 0);
	/* By provider, then by name, whatever the case. */
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.0.id"), "a");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.1.id"), "b/big");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.1.tags.0"),
	    "default");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.0.tags.0"),
	    "fallback#1");
	CU_ASSERT_EQUAL(fake_int(reply, "result.models.1.contextWindow"), 32000);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.models.0.thinkingLevels")), 1);
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.models.0.thinkingDefault"), "off");
	CU_ASSERT(json_object_array_length(fake_get(reply,
	    "result.models.1.thinkingLevels")) > 1);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.models.1.input.1"),
	    "image");
	json_object_put(reply);
	fake_free(f);
}

static void
fetch_is_shared(void)
{
	struct fake		*f = begin(two_providers);
	struct fake_req		*one, *two;
	struct json_object	*reply;

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	one = fake_send(f, NULL, "models.list", "{}");
	two = fake_send(f, NULL, "models.list", "{}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(one));
	CU_ASSERT_PTR_NULL(fake_reply_now(two));
	/* zeta and alpha, once each; the stub remembers the later one. */
	CU_ASSERT_EQUAL(drv.n_lists, 2);
	fake_req_free(one);
	fake_req_free(two);
	fake_free(f);

	f = begin("{\"models\":{\"providers\":{\"alpha\":{\"baseUrl\":"
	    "\"http://127.0.0.1:2/v1\"}}},\"agents\":{\"defaults\":{"
	    "\"model\":\"alpha/x\"}}}");
	fake_clock(f, 1000000);
	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	one = fake_send(f, NULL, "models.list", "{}");
	two = fake_send(f, NULL, "models.list", "{\"refresh\":true}");
	fake_settle(f);
	CU_ASSERT_EQUAL(drv.n_lists, 1);
	drv_list_answer(0, "[{\"id\":\"x\"},{\"id\":\"y\",\"name\":\"Y\"}]");
	reply = fake_reply(one);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.models")), 2);
	CU_ASSERT_PTR_NULL(fake_get(reply, "result.providerOutcomes"));
	reply = fake_reply(two);
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.providerOutcomes.0.status"), "ready");
	fake_req_free(one);
	fake_req_free(two);
	/* Now it is known; a failed refresh keeps it. */
	reply = fake_call(f, NULL, "models.list", "{}");
	CU_ASSERT_EQUAL(drv.n_lists, 1);
	json_object_put(reply);
	one = fake_send(f, NULL, "models.list", "{\"refresh\":true}");
	fake_settle(f);
	CU_ASSERT_EQUAL(drv.n_lists, 2);
	drv_list_answer(-EACCES, NULL);
	reply = fake_reply(one);
	CU_ASSERT_EQUAL(json_object_array_length(fake_get(reply,
	    "result.models")), 2);
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.models.0.unavailableReason"), "auth-failed");
	CU_ASSERT_STRING_EQUAL(fake_str(reply,
	    "result.providerOutcomes.0.status"), "auth-rejected");
	fake_req_free(one);
	/* An endpoint that never answers holds nobody for ever. */
	one = fake_send(f, NULL, "models.list", "{\"refresh\":true}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(one));
	fake_advance(f, UINT64_C(11000000));
	CU_ASSERT(fake_ok(fake_reply_now(one)));
	drv_list_answer(0, "[]");
	fake_req_free(one);
	fake_free(f);
}

static void
list_refuses(void)
{
	struct fake		*f = begin(two_providers);
	struct json_object	*reply;

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	reply = fake_call(f, NULL, "models.list",
	    "{\"preparedOnly\":true,\"refresh\":true}");
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	json_object_put(reply);
	reply = fake_call(f, NULL, "models.list", "{\"agentId\":\"nobody\"}");
	CU_ASSERT_STRING_EQUAL(fake_message(reply),
	    "unknown agent id \"nobody\"");
	json_object_put(reply);
	reply = fake_call(f, NULL, "models.list", "{\"preparedOnly\":true}");
	CU_ASSERT(fake_ok(reply));
	CU_ASSERT_EQUAL(drv.n_lists, 0);
	json_object_put(reply);
	fake_free(f);
}

static void
probe_one(struct fake *f, uint32_t status, const char *word)
{
	struct fake_req		*rq;
	struct json_object	*reply;

	rq = fake_send(f, NULL, "models.probe", "{\"provider\":\"zeta\"}");
	fake_settle(f);
	CU_ASSERT_PTR_NULL(fake_reply_now(rq));
	drv_answer(status, status == CHELA_MODEL_OK ? NULL : "said so");
	reply = fake_reply(rq);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.status"), word);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.results.0.status"), word);
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.error"),
	    status == CHELA_MODEL_OK ? "" : "said so");
	fake_req_free(rq);
}

static void
probes(void)
{
	struct fake		*f = begin(two_providers);
	struct json_object	*reply;
	struct fake_req		*rq;

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	probe_one(f, CHELA_MODEL_OK, "ok");
	CU_ASSERT_EQUAL(drv.max_tokens, 1);
	CU_ASSERT_STRING_EQUAL(drv.model, "b/big");
	CU_ASSERT_STRING_EQUAL(drv.key, "s3cret");
	probe_one(f, CHELA_MODEL_AUTH, "auth");
	probe_one(f, CHELA_MODEL_BILLING, "billing");
	probe_one(f, CHELA_MODEL_RATE_LIMIT, "rate_limit");
	probe_one(f, CHELA_MODEL_TIMEOUT, "timeout");
	probe_one(f, CHELA_MODEL_NETWORK, "timeout");
	probe_one(f, CHELA_MODEL_FORMAT, "format");
	probe_one(f, CHELA_MODEL_UPSTREAM, "unknown");
	reply = fake_call(f, NULL, "models.probe", "{\"provider\":\"alpha\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.status"), "no_model");
	json_object_put(reply);
	reply = fake_call(f, NULL, "models.probe", "{\"provider\":\"nobody\"}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.status"), "no_model");
	json_object_put(reply);
	/* Who asked is gone: so is the call. */
	rq = fake_send(f, NULL, "models.probe", "{\"provider\":\"zeta\"}");
	fake_settle(f);
	fake_req_cancel(rq);
	CU_ASSERT_EQUAL(drv.n_cancels, 1);
	drv_answer(CHELA_MODEL_ABORTED, NULL);
	fake_req_free(rq);
	fake_free(f);
}

static void
keys_are_configured(void)
{
	struct fake		*f = begin("{\"models\":{\"providers\":{"
				    "\"anthropic\":{},\"x\":{\"apiKey\":\"k9\"}}}}");
	struct json_object	*reply;

	CU_ASSERT_EQUAL_FATAL(fake_start(f), 0);
	reply = fake_call(f, NULL, "models.authStatus", "{}");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.providers.0.status"),
	    "missing");
	CU_ASSERT_STRING_EQUAL(fake_str(reply, "result.providers.1.status"),
	    "static");
	CU_ASSERT_PTR_NULL(strstr(json_object_to_json_string(reply), "k9"));
	json_object_put(reply);
	reply = fake_call(f, NULL, "models.authLogout", "{\"provider\":\"x\"}");
	CU_ASSERT_STRING_EQUAL(fake_code(reply), "INVALID_REQUEST");
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_message(reply), "is configured"));
	json_object_put(reply);
	fake_free(f);
}

static const struct cu_case cases[] = {
	CU_CASE(secrets_may_be_kept_elsewhere),
	CU_CASE(nothing_configured),
	CU_CASE(references),
	CU_CASE(environment),
	CU_CASE(model_of_the_server),
	CU_CASE(rows_have_no_secrets),
	CU_CASE(fetch_is_shared),
	CU_CASE(list_refuses),
	CU_CASE(probes),
	CU_CASE(keys_are_configured),
	CU_END
};
CU_MAIN("models", cases)
