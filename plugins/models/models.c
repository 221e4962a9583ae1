/* SPDX-License-Identifier: MIT */
/*
 * Plugin models: which models there are and which one a run uses. The providers
 * come from the configuration ("models.providers") and, for names that are not
 * there, from the environment as it is at the start. Drivers do the talking.
 */
#include "models.h"

#include <errno.h>
#include <string.h>

struct models models;

static int
models_init(struct chela_ctx *ctx, const struct chela_host *host)
{
	memset(&models, 0, sizeof models);
	models.ctx = ctx;
	models.host = host;
	models_env_read();
	return (host->svc_export(ctx, CHELA_MODELS_SERVICE, &models_service));
}

/* Once the drivers are there: a provider without models is asked for its own. */
static void
models_first(struct chela_ctx *ctx, void *arg)
{
	struct json_object	*refs = agent_refs(NULL);
	struct provider		 one[1];

	(void)ctx;
	(void)arg;
	if (refs != NULL && json_object_array_length(refs) == 0 &&
	    providers_get(one, 1) > 0)
		(void)catalogue_refresh(0);
	json_object_put(refs);
}

static int
models_start(struct chela_ctx *ctx)
{
	return (models.host->post(ctx, models_first, NULL));
}

/* What was learnt of an endpoint need not hold for the new configuration. */
static int
models_reload(struct chela_ctx *ctx, struct json_object *conf)
{
	(void)ctx;
	(void)conf;
	catalogue_clear();
	return (0);
}

static void
models_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	models_list_stop();
}

static void
models_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	catalogue_clear();
	json_object_put(models.env);
	models.env = NULL;
}

static const struct chela_method methods[] = {
	{
		.name = "models.list",
		.handler = models_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "models.probe",
		.handler = models_probe,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "admin",
	},
	{
		.name = "models.authStatus",
		.handler = models_auth_status,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "read",
	},
	{
		.name = "models.authLogout",
		.handler = models_auth_logout,
		.roles = CHELA_ROLE_OPERATOR,
		.flags = CHELA_METHOD_HIDDEN,
		.scope = "admin",
	},
};

static const struct chela_dep deps[] = {
	{
		.name = "agents",
		.flags = CHELA_DEP_OPTIONAL,
	},
	{
		.name = "secrets",
		.flags = CHELA_DEP_OPTIONAL,
	},
};

CHELA_PLUGIN = {
	CHELA_HEAD("models"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Model providers, the catalogue and the choice of a model",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = models_init,
	.start = models_start,
	.reload = models_reload,
	.stop = models_stop,
	.fini = models_fini,
};
