/* SPDX-License-Identifier: MIT */
/*
 * models.probe asks an endpoint for one token. models.authStatus and
 * .authLogout tell how a provider's key is set; keys live in the configuration
 * alone.
 */
#include "models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct probe {
	struct chela_req	*req;
	struct chela_model_call	*call;
	struct chela_model_ref	 ref;
	struct json_object	*messages;
	uint64_t		 begun_us;
};

static void
probe_free(struct probe *p)
{
	if (p == NULL)
		return;
	json_object_put(p->ref.provider_conf);
	json_object_put(p->ref.model_conf);
	json_object_put(p->messages);
	if (p->req != NULL)
		models.host->req_unref(p->req);
	free(p);
}

static int
probe_answer(struct chela_req *req, const char *provider, const char *status,
    int64_t latency_ms, const char *error)
{
	struct json_object	*out, *one, *list;

	out = json_object_new_object();
	one = json_object_new_object();
	list = json_object_new_array();
	(void)json_object_object_add(out, "provider",
	    json_object_new_string(provider));
	(void)json_object_object_add(one, "label",
	    json_object_new_string(provider));
	(void)json_object_object_add(out, "status",
	    json_object_new_string(status));
	(void)json_object_object_add(one, "status",
	    json_object_new_string(status));
	if (latency_ms >= 0) {
		(void)json_object_object_add(out, "latencyMs",
		    json_object_new_int64(latency_ms));
		(void)json_object_object_add(one, "latencyMs",
		    json_object_new_int64(latency_ms));
	}
	if (error != NULL) {
		(void)json_object_object_add(out, "error",
		    json_object_new_string(error));
		(void)json_object_object_add(one, "error",
		    json_object_new_string(error));
	}
	(void)json_object_array_add(list, one);
	(void)json_object_object_add(out, "results", list);
	return (models.host->req_reply(req, out));
}

static const char *
probe_status(uint32_t status)
{
	switch (status) {
	case CHELA_MODEL_OK:
	case CHELA_MODEL_REFUSAL:	/* it did answer */
		return ("ok");
	case CHELA_MODEL_AUTH:
		return ("auth");
	case CHELA_MODEL_RATE_LIMIT:
		return ("rate_limit");
	case CHELA_MODEL_BILLING:
		return ("billing");
	case CHELA_MODEL_TIMEOUT:
	case CHELA_MODEL_NETWORK:
		return ("timeout");
	case CHELA_MODEL_FORMAT:
		return ("format");
	default:
		return ("unknown");
	}
}

static void
probe_text(const char *delta, size_t len, void *arg)
{
	(void)delta;
	(void)len;
	(void)arg;
}

static void
probe_tool(const char *id, const char *name, const char *arguments, void *arg)
{
	(void)id;
	(void)name;
	(void)arguments;
	(void)arg;
}

static void
probe_done(const struct chela_model_result *res, void *arg)
{
	struct probe		*p = arg;
	struct catalogue	*cat = catalogue_get(p->ref.provider);
	const char		*status = probe_status(res->status);
	const char		*why = NULL;

	models.n_probes--;
	if (cat != NULL && (res->status == CHELA_MODEL_OK ||
	    res->status == CHELA_MODEL_AUTH))
		cat->auth_failed = res->status == CHELA_MODEL_AUTH;
	if (strcmp(status, "ok") != 0)
		why = res->message != NULL ? res->message :
		    "the endpoint did not answer as expected";
	(void)probe_answer(p->req, p->ref.provider, status,
	    (int64_t)((models.host->now_us() - p->begun_us) / 1000), why);
	probe_free(p);
}

static const struct chela_model_handler probe_handler = {
	.struct_size = sizeof probe_handler,
	.text = probe_text,
	.tool_call = probe_tool,
	.done = probe_done,
};

/* The client left: the endpoint need not go on. */
static void
probe_cancel(struct chela_req *req, void *arg)
{
	struct probe	*p = arg;

	(void)req;
	p->ref.driver->cancel(p->call);
}

/* The model to ask: the agent's if it is this provider's, else the first. */
static int
probe_pick(const struct provider *p, const char *agent_id, char *ret_ref,
    size_t size)
{
	struct json_object	*refs = agent_refs(agent_id), *list;
	struct catalogue	*cat = catalogue_get(p->id);
	char			 provider[PROVIDER_ID_MAX + 1], model[256];
	const char		*id = NULL;
	size_t			 i, n;

	n = refs == NULL ? 0 : json_object_array_length(refs);
	for (i = 0; i < n; i++) {
		if (ref_split(json_object_get_string(
		    json_object_array_get_idx(refs, i)), provider,
		    sizeof provider, model, sizeof model) == 0 &&
		    strcasecmp(provider, p->id) == 0) {
			id = model;
			break;
		}
	}
	json_object_put(refs);
	list = get_any(p->conf, "models");
	if (id == NULL && json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0)
		id = get_text(json_object_array_get_idx(list, 0), "id");
	if (id == NULL && cat != NULL && cat->models != NULL &&
	    json_object_array_length(cat->models) > 0)
		id = get_text(json_object_array_get_idx(cat->models, 0), "id");
	if (id == NULL && p->conf == NULL)
		id = BUILTIN_MODEL;
	if (id == NULL)
		return (-ENOENT);
	(void)snprintf(ret_ref, size, "%s/%s", p->id, id);
	return (0);
}

static struct json_object *
probe_messages(void)
{
	struct json_object	*list = json_object_new_array();
	struct json_object	*row = json_object_new_object();

	(void)json_object_object_add(row, "role",
	    json_object_new_string("user"));
	(void)json_object_object_add(row, "content",
	    json_object_new_string("ping"));
	(void)json_object_array_add(list, row);
	return (list);
}

static int
probe_start(struct probe *p, int64_t timeout_ms)
{
	struct chela_model_request	 rq;

	memset(&rq, 0, sizeof rq);
	rq.struct_size = sizeof rq;
	rq.max_tokens = 1;
	rq.provider = p->ref.provider;
	rq.model = p->ref.model;
	rq.provider_conf = p->ref.provider_conf;
	rq.messages = p->messages;
	rq.timeout_us = (uint64_t)timeout_ms * 1000;
	p->begun_us = models.host->now_us();
	return (p->ref.driver->start(&rq, &probe_handler, p, &p->call));
}

int
models_probe(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct provider		 prov;
	struct probe		*p;
	const char		*id = get_text(params, "provider"), *why = NULL;
	const char		*agent_id = get_text(params, "agentId");
	char			 ref[PROVIDER_ID_MAX + 260];
	int64_t			 timeout_ms = PROBE_TIMEOUT_MS;
	int			 r;

	(void)ctx;
	if (agent_id != NULL && !agent_known(agent_id))
		return (models.host->req_fail(req, "INVALID_REQUEST",
		    "unknown agent id \"%.200s\"", agent_id));
	if (get_any(params, "timeoutMs") != NULL)
		timeout_ms = json_object_get_int64(get_any(params,
		    "timeoutMs"));
	if (timeout_ms > PROBE_TIMEOUT_MAX_MS)
		timeout_ms = PROBE_TIMEOUT_MAX_MS;
	if (provider_find(id, &prov) < 0)
		return (probe_answer(req, id, "no_model", -1,
		    "the provider is not configured"));
	if (get_text(params, "profileId") != NULL)
		return (probe_answer(req, prov.id, "unknown", -1,
		    "there are no auth profiles: keys are set in the configuration"));
	if (probe_pick(&prov, agent_id, ref, sizeof ref) < 0)
		return (probe_answer(req, prov.id, "no_model", -1,
		    "the provider has no model to ask"));
	if (provider_needs_key(&prov) && !provider_has_key(&prov))
		return (probe_answer(req, prov.id, "auth", -1,
		    "no API key is configured"));
	if (models.n_probes >= PROBES_MAX)
		return (models.host->req_fail(req, "UNAVAILABLE",
		    "too many probes are running"));
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	p->ref.struct_size = sizeof p->ref;
	r = models_resolve(ref, NULL, &p->ref, &why);
	if (r < 0) {
		probe_free(p);
		return (probe_answer(req, prov.id, r == -ENOENT ? "no_model" :
		    "unknown", -1, why));
	}
	p->req = models.host->req_ref(req);
	p->messages = probe_messages();
	models.n_probes++;
	r = probe_start(p, timeout_ms);
	if (r < 0) {
		models.n_probes--;
		probe_free(p);
		return (probe_answer(req, prov.id, "unknown", -1,
		    "the driver did not take the request"));
	}
	models.host->req_on_cancel(req, probe_cancel, p);
	return (0);
}

static struct json_object *
auth_row(const struct provider *p)
{
	struct json_object	*row = json_object_new_object();
	struct catalogue	*cat = catalogue_get(p->id);
	const char		*name = get_text(p->conf, "name");
	const char		*status = "ok";

	if (provider_has_key(p))
		status = cat != NULL && cat->auth_failed ? "error" : "static";
	else if (provider_needs_key(p))
		status = "missing";
	(void)json_object_object_add(row, "provider",
	    json_object_new_string(p->id));
	(void)json_object_object_add(row, "displayName",
	    json_object_new_string(name != NULL ? name : p->id));
	(void)json_object_object_add(row, "status",
	    json_object_new_string(status));
	(void)json_object_object_add(row, "profiles", json_object_new_array());
	return (row);
}

static struct json_object *
capability_row(const struct provider *p)
{
	struct json_object	*row = json_object_new_object();

	(void)json_object_object_add(row, "provider",
	    json_object_new_string(p->id));
	(void)json_object_object_add(row, "apiKeySupported",
	    json_object_new_boolean(1));
	(void)json_object_object_add(row, "quickApiKeySetup",
	    json_object_new_boolean(0));
	return (row);
}

int
models_auth_status(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_error	 e = { .struct_size = sizeof e };
	struct provider		 all[PROVIDERS_MAX];
	struct json_object	*out, *rows, *caps;
	const char		*agent_id = get_text(params, "agentId");
	uint32_t		 i, n;

	(void)ctx;
	if (agent_id != NULL && !agent_known(agent_id)) {
		e.details = json_object_new_object();
		set_str(e.details, "code", "UNKNOWN_AGENT_ID");
		set_str(e.details, "agentId", agent_id);
		return (models.host->req_fail_with(req, "INVALID_REQUEST", &e,
		    "unknown agent id \"%.200s\"", agent_id));
	}
	out = json_object_new_object();
	rows = json_object_new_array();
	caps = json_object_new_array();
	n = providers_get(all, PROVIDERS_MAX);
	for (i = 0; i < n; i++) {
		(void)json_object_array_add(rows, auth_row(&all[i]));
		(void)json_object_array_add(caps, capability_row(&all[i]));
	}
	(void)json_object_object_add(out, "ts", json_object_new_int64(
	    (int64_t)models.host->wall_ms()));
	(void)json_object_object_add(out, "providers", rows);
	(void)json_object_object_add(out, "providerCapabilities", caps);
	return (models.host->req_reply(req, out));
}

/* Nobody logs in to a provider here, so nobody can log out. */
int
models_auth_logout(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct provider	 p;
	const char	*id = get_text(params, "provider");

	(void)ctx;
	if (provider_find(id, &p) < 0)
		return (models.host->req_fail(req, "INVALID_REQUEST",
		    "unknown model provider \"%.200s\"", id));
	if (p.from_env)
		return (models.host->req_fail(req, "INVALID_REQUEST",
		    "the key of \"%.200s\" comes from the gateway's environment, it was not logged in; take it out there and restart",
		    p.id));
	return (models.host->req_fail(req, "INVALID_REQUEST",
	    "the key of \"%.200s\" is configured, it was not logged in; remove models.providers.%.200s.apiKey with config.patch",
	    p.id, p.id));
}
