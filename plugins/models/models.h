/* SPDX-License-Identifier: MIT */
/* What the files of plugin models share. */
#ifndef PLUGINS_MODELS_H
#define PLUGINS_MODELS_H

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/model.h>

#include "../common/json.h"

#define PROVIDERS_MAX		64
#define PROVIDER_ID_MAX		127
#define CATALOGUE_MODELS_MAX	2000	/* kept of one endpoint */
#define CATALOGUE_TTL_US	UINT64_C(3600000000)
#define CATALOGUE_RETRY_US	UINT64_C(60000000) /* after a failed fetch */
#define CATALOGUE_WAIT_US	UINT64_C(10000000) /* a list call waits */
#define LIST_WAITERS_MAX	256
#define PROBES_MAX		8
#define PROBE_TIMEOUT_MS	15000
#define PROBE_TIMEOUT_MAX_MS	120000

#define BUILTIN_PROVIDER	"builtin"
#define BUILTIN_API		"builtin"
#define BUILTIN_MODEL		"builtin"

/* What is remembered of a provider's endpoint, apart from configuration. */
struct catalogue {
	char			 provider[PROVIDER_ID_MAX + 1];
	struct json_object	*models;	/* [{id, name?}]; or NULL */
	uint64_t		 at_us;		/* of models; 0: never */
	uint64_t		 tried_us;	/* 0: never */
	uint32_t		 generation;	/* of the fetch in flight */
	int			 fetching;
	int			 last;		/* fetch: 0 or -errno */
	int			 auth_failed;
};

/* One provider: its name and what the configuration or environment says. */
struct provider {
	const char		*id;
	struct json_object	*conf;		/* lent */
	int			 from_env;
};

struct models {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	struct json_object		*env;	/* {id: conf} */
	struct catalogue		 cat[PROVIDERS_MAX];
	uint32_t			 n_cat;
	uint32_t			 n_probes;
	struct chela_req		*waiters[LIST_WAITERS_MAX];
	struct json_object		*waiting[LIST_WAITERS_MAX]; /* params */
	uint32_t			 n_waiters;
	struct chela_timer		*wait_timer;
	char				 why[512];
};

extern struct models models;

/* models_conf.c */
extern const struct chela_models_1 models_service;
void	models_env_read(void);
uint32_t providers_get(struct provider *ret, uint32_t max);
int	provider_find(const char *id, struct provider *ret);
const char *provider_api(const struct provider *p);
const struct chela_model_1 *provider_driver(const struct provider *p);
int	provider_needs_key(const struct provider *p);
int	provider_has_key(const struct provider *p);
struct json_object *provider_conf_resolved(const struct provider *p);
struct json_object *provider_model(const struct provider *p,
	    const char *model);
struct json_object *agent_conf(const char *agent_id);
int	agent_known(const char *agent_id);
/* Gives an array of references: the primary one, then the fallbacks. */
struct json_object *agent_refs(const char *agent_id);
int	models_resolve(const char *ref, const char *agent_id,
	    struct chela_model_ref *ret, const char **ret_why);
/* Splits "provider/model" at the first slash; follows aliases. */
int	ref_split(const char *ref, char *ret_provider, size_t provider_size,
	    char *ret_model, size_t model_size);
const char *ref_alias(const char *ref);

/* models_catalogue.c */
struct catalogue *catalogue_get(const char *provider);
/*
 * Begins the fetches that are due (all, when forced) and returns how many are
 * in flight for the known providers.
 */
uint32_t catalogue_refresh(int force);
void	catalogue_clear(void);

/* models_list.c */
chela_handler_fn models_list;
int	models_rows(const char *agent_id, struct json_object **ret_models);
void	models_list_ready(void);
void	models_list_stop(void);

/* models_probe.c */
chela_handler_fn models_probe;
chela_handler_fn models_auth_status;
chela_handler_fn models_auth_logout;

#endif
