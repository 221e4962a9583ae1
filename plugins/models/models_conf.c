/* SPDX-License-Identifier: MIT */
/*
 * Providers, references and the service "models/1": everything that is read
 * from the configuration. Nothing here waits for an endpoint.
 */
#include "models.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <chela/services/agents.h>

#include "../common/secret.h"

static struct json_object *
conf_path(const char *path)
{
	return (models.host->conf_path(models.ctx, path));
}

static void
env_put(struct json_object *conf, const char *key, const char *name)
{
	const char	*val = getenv(name);

	if (val != NULL && *val != '\0')
		(void)json_object_object_add(conf, key,
		    json_object_new_string(val));
}

/* One provider of the environment, when its key or address is there. */
static void
env_provider(const char *id, const char *api, const char *key_name,
    const char *url_name, const char *model_name)
{
	struct json_object	*conf, *list, *model;
	const char		*name;

	conf = json_object_new_object();
	if (conf == NULL)
		return;
	env_put(conf, "apiKey", key_name);
	if (url_name != NULL)
		env_put(conf, "baseUrl", url_name);
	if (json_object_object_length(conf) == 0) {
		json_object_put(conf);
		return;
	}
	(void)json_object_object_add(conf, "api", json_object_new_string(api));
	name = getenv(model_name);
	if (name != NULL && *name != '\0' && strlen(name) < 256) {
		model = json_object_new_object();
		list = json_object_new_array();
		(void)json_object_object_add(model, "id",
		    json_object_new_string(name));
		(void)json_object_array_add(list, model);
		(void)json_object_object_add(conf, "models", list);
	}
	(void)json_object_object_add(models.env, id, conf);
}

void
models_env_read(void)
{
	models.env = json_object_new_object();
	if (models.env == NULL)
		return;
	env_provider("openai", "openai-completions", "OPENAI_API_KEY",
	    "OPENAI_BASE_URL", "OPENAI_MODEL");
	env_provider("anthropic", "anthropic-messages", "ANTHROPIC_API_KEY",
	    NULL, "ANTHROPIC_MODEL");
}

/* Providers in the order of the configuration, then the environment's. */
uint32_t
providers_get(struct provider *ret, uint32_t max)
{
	struct json_object	*conf = conf_path("models.providers");
	uint32_t		 n = 0;

	if (json_object_is_type(conf, json_type_object)) {
		json_object_object_foreach(conf, id, val) {
			if (n == max)
				return (n);
			if (strlen(id) > PROVIDER_ID_MAX ||
			    strchr(id, '/') != NULL ||
			    !json_object_is_type(val, json_type_object))
				continue;
			ret[n].id = id;
			ret[n].conf = val;
			ret[n++].from_env = 0;
		}
	}
	if (models.env == NULL)
		return (n);
	json_object_object_foreach(models.env, env_id, env_val) {
		if (n == max)
			return (n);
		if (get_any(conf, env_id) != NULL)
			continue;
		ret[n].id = env_id;
		ret[n].conf = env_val;
		ret[n++].from_env = 1;
	}
	return (n);
}

int
provider_find(const char *id, struct provider *ret)
{
	struct provider	 all[PROVIDERS_MAX];
	uint32_t	 i, n = providers_get(all, PROVIDERS_MAX);

	for (i = 0; i < n; i++) {
		if (strcasecmp(all[i].id, id) == 0) {
			*ret = all[i];
			return (0);
		}
	}
	if (strcasecmp(id, BUILTIN_PROVIDER) == 0) {
		ret->id = BUILTIN_PROVIDER;
		ret->conf = NULL;
		ret->from_env = 0;
		return (0);
	}
	return (-ENOENT);
}

const char *
provider_api(const struct provider *p)
{
	const char	*api = get_text(p->conf, "api");

	if (p->conf == NULL)
		return (BUILTIN_API);
	if (api != NULL)
		return (api);
	return (strcasecmp(p->id, "anthropic") == 0 ? "anthropic-messages" :
	    "openai-completions");
}

struct driver_search {
	const char			*api;
	const struct chela_model_1	*found;
};

static int
driver_match(const char *plugin, const void *vtable, void *arg)
{
	struct driver_search		*s = arg;
	const struct chela_model_1	*drv = vtable;
	const char *const		*api;

	(void)plugin;
	for (api = drv->apis; api != NULL && *api != NULL; api++) {
		if (strcmp(*api, s->api) == 0) {
			s->found = drv;
			return (1);
		}
	}
	return (0);
}

const struct chela_model_1 *
provider_driver(const struct provider *p)
{
	struct driver_search	 s = { provider_api(p), NULL };

	(void)models.host->svc_each(models.ctx, CHELA_MODEL_SERVICE,
	    driver_match, &s);
	return (s.found);
}

/* The vendors' own endpoints want a key; any other address may do without. */
int
provider_needs_key(const struct provider *p)
{
	return (p->conf != NULL && get_text(p->conf, "baseUrl") == NULL);
}

static const char *
provider_key(const struct provider *p)
{
	return (secret_text(models.host, models.ctx,
	    get_any(p->conf, "apiKey")));
}

/* Headers with their secrets; one without a value is left out. Gives. */
static struct json_object *
headers_resolved(struct json_object *headers)
{
	struct json_object	*out = json_object_new_object();
	const char		*text;

	if (out == NULL)
		return (NULL);
	json_object_object_foreach(headers, name, val) {
		text = secret_text(models.host, models.ctx, val);
		if (text != NULL)
			(void)json_object_object_add(out, name,
			    json_object_new_string(text));
	}
	return (out);
}

/* The path of a reference below the provider that has no value, or false. */
static bool
secret_missing(const struct provider *p, char *ret, size_t size)
{
	struct json_object	*key = get_any(p->conf, "apiKey");
	struct json_object	*headers = get_any(p->conf, "headers");

	if (secret_is_ref(key) && provider_key(p) == NULL) {
		(void)snprintf(ret, size, "models.providers.%s.apiKey", p->id);
		return (true);
	}
	if (!json_object_is_type(headers, json_type_object))
		return (false);
	json_object_object_foreach(headers, name, val) {
		if (secret_is_ref(val) && secret_text(models.host, models.ctx,
		    val) == NULL) {
			(void)snprintf(ret, size,
			    "models.providers.%s.headers.%.100s", p->id, name);
			return (true);
		}
	}
	return (false);
}

int
provider_has_key(const struct provider *p)
{
	return (provider_key(p) != NULL);
}

/*
 * Gives the provider's part as a driver wants it: the key as text, or absent.
 */
struct json_object *
provider_conf_resolved(const struct provider *p)
{
	struct json_object	*out = json_object_new_object();
	const char		*key = provider_key(p);

	if (out == NULL)
		return (NULL);
	if (p->conf != NULL) {
		json_object_object_foreach(p->conf, name, val) {
			if (strcmp(name, "apiKey") == 0)
				continue;
			(void)json_object_object_add(out, name,
			    strcmp(name, "headers") == 0 &&
			    json_object_is_type(val, json_type_object) ?
			    headers_resolved(val) : json_object_get(val));
		}
	}
	(void)json_object_object_add(out, "api",
	    json_object_new_string(provider_api(p)));
	if (key != NULL)
		(void)json_object_object_add(out, "apiKey",
		    json_object_new_string(key));
	return (out);
}

/* The authored entry of a model, or NULL; lent. */
struct json_object *
provider_model(const struct provider *p, const char *model)
{
	struct json_object	*list = get_any(p->conf, "models"), *entry;
	const char		*id;
	size_t			 i;

	if (!json_object_is_type(list, json_type_array))
		return (NULL);
	for (i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		id = get_text(entry, "id");
		if (id != NULL && strcmp(id, model) == 0)
			return (entry);
	}
	return (NULL);
}

/* The agent's own part of the configuration, or NULL; lent. */
struct json_object *
agent_conf(const char *agent_id)
{
	struct json_object	*list, *entry;
	const char		*id;
	size_t			 i;

	if (agent_id == NULL)
		return (NULL);
	entry = get_any(conf_path("agents.entries"), agent_id);
	if (entry != NULL)
		return (entry);
	list = conf_path("agents.list");
	if (!json_object_is_type(list, json_type_array))
		return (NULL);
	for (i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		id = get_text(entry, "id");
		if (id != NULL && strcasecmp(id, agent_id) == 0)
			return (entry);
	}
	return (NULL);
}

/* Without configured agents there is one, "main". */
int
agent_known(const char *agent_id)
{
	const struct chela_agents_1	*agents;

	agents = models.host->svc_import(models.ctx, CHELA_AGENTS_SERVICE);
	if (agents != NULL)
		return (agents->exists(agent_id));
	return (strcmp(agent_id, "main") == 0 || agent_conf(agent_id) != NULL);
}

/* Adds what "model" says: a reference, or {primary, fallbacks}. */
static void
refs_add(struct json_object *refs, struct json_object *model)
{
	struct json_object	*list, *item;
	size_t			 i;

	if (json_object_is_type(model, json_type_string)) {
		if (json_object_get_string_len(model) > 0)
			(void)json_object_array_add(refs,
			    json_object_get(model));
		return;
	}
	if (get_text(model, "primary") != NULL)
		(void)json_object_array_add(refs,
		    json_object_get(get_any(model, "primary")));
	list = get_any(model, "fallbacks");
	if (!json_object_is_type(list, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		item = json_object_array_get_idx(list, i);
		if (json_object_is_type(item, json_type_string))
			(void)json_object_array_add(refs,
			    json_object_get(item));
	}
}

/*
 * The first model that a provider offers, or NULL; lent. What a vendor lists first
 * is of no meaning; an own server's first model is usually its only one.
 */
static const char *
provider_first_model(const struct provider *p)
{
	struct json_object	*list = get_any(p->conf, "models");
	struct catalogue	*cat;
	const char		*id = NULL;

	if (json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0)
		id = get_text(json_object_array_get_idx(list, 0), "id");
	if (id != NULL)
		return (id);
	cat = get_text(p->conf, "baseUrl") != NULL ? catalogue_get(p->id) : NULL;
	if (cat != NULL && cat->models != NULL &&
	    json_object_array_length(cat->models) > 0)
		id = get_text(json_object_array_get_idx(cat->models, 0), "id");
	return (id);
}

/*
 * What an agent uses, the best first: its own choice, the default choice, and
 * without either the first model of the first provider.
 */
struct json_object *
agent_refs(const char *agent_id)
{
	struct provider		 all[PROVIDERS_MAX];
	struct json_object	*refs = json_object_new_array();
	const char		*model;
	char			 text[PROVIDER_ID_MAX + 260];
	uint32_t		 i, n;

	if (refs == NULL)
		return (NULL);
	refs_add(refs, get_any(agent_conf(agent_id), "model"));
	if (json_object_array_length(refs) == 0)
		refs_add(refs, conf_path("agents.defaults.model"));
	if (json_object_array_length(refs) > 0)
		return (refs);
	n = providers_get(all, PROVIDERS_MAX);
	for (i = 0; i < n; i++) {
		model = provider_first_model(&all[i]);
		if (model == NULL)
			continue;
		(void)snprintf(text, sizeof text, "%s/%s", all[i].id, model);
		(void)json_object_array_add(refs, json_object_new_string(text));
		break;
	}
	return (refs);
}

/* The reference that an alias stands for, or NULL; lent. */
const char *
ref_alias(const char *ref)
{
	struct json_object	*map = conf_path("agents.defaults.models");
	const char		*alias;

	if (!json_object_is_type(map, json_type_object))
		return (NULL);
	json_object_object_foreach(map, key, val) {
		alias = get_text(val, "alias");
		if (alias != NULL && strcasecmp(alias, ref) == 0)
			return (key);
	}
	return (NULL);
}

/* A bare model name: the provider that lists it, if it is only one. */
static int
ref_bare(const char *name, struct provider *ret)
{
	struct provider	 all[PROVIDERS_MAX];
	uint32_t	 i, n = providers_get(all, PROVIDERS_MAX), hits = 0;

	for (i = 0; i < n; i++) {
		if (provider_model(&all[i], name) == NULL)
			continue;
		*ret = all[i];
		hits++;
	}
	return (hits == 1 ? 0 : -ENOENT);
}

int
ref_split(const char *ref, char *ret_provider, size_t provider_size,
    char *ret_model, size_t model_size)
{
	struct provider	 p;
	const char	*alias = ref_alias(ref), *slash;
	size_t		 len;

	if (alias != NULL)
		ref = alias;
	slash = strchr(ref, '/');
	if (slash == NULL) {
		if (ref_bare(ref, &p) < 0)
			return (-ENOENT);
		if (strlen(p.id) >= provider_size || strlen(ref) >= model_size)
			return (-ENAMETOOLONG);
		(void)snprintf(ret_provider, provider_size, "%s", p.id);
		(void)snprintf(ret_model, model_size, "%s", ref);
		return (0);
	}
	len = (size_t)(slash - ref);
	if (len == 0 || len >= provider_size || slash[1] == '\0' ||
	    strlen(slash + 1) >= model_size)
		return (-EINVAL);
	memcpy(ret_provider, ref, len);
	ret_provider[len] = '\0';
	(void)snprintf(ret_model, model_size, "%s", slash + 1);
	return (0);
}

static int
catalogue_has(const char *provider, const char *model)
{
	struct catalogue	*cat = catalogue_get(provider);
	const char		*id;
	size_t			 i;

	if (cat == NULL || cat->models == NULL)
		return (0);
	for (i = 0; i < json_object_array_length(cat->models); i++) {
		id = get_text(json_object_array_get_idx(cat->models, i), "id");
		if (id != NULL && strcmp(id, model) == 0)
			return (1);
	}
	return (0);
}

/* A provider that lists its models has these and what its endpoint lists. */
static int
model_known(const struct provider *p, const char *model)
{
	struct json_object	*list = get_any(p->conf, "models");

	return (p->conf == NULL ||
	    !json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0 ||
	    provider_model(p, model) != NULL || catalogue_has(p->id, model));
}

static int CHELA_PRINTF(3, 4)
resolve_fail(int r, const char **ret_why, const char *fmt, ...)
{
	va_list	 ap;

	if (ret_why != NULL) {
		va_start(ap, fmt);
		(void)vsnprintf(models.why, sizeof models.why, fmt, ap);
		va_end(ap);
		*ret_why = models.why;
	}
	return (r);
}

/* One reference; nothing is given away unless it succeeds. */
static int
resolve_ref(const char *ref, struct chela_model_ref *ret, const char **ret_why)
{
	struct provider			 p;
	const struct chela_model_1	*drv;
	struct json_object		*entry, *conf;
	char				 provider[sizeof ret->provider];
	char				 model[sizeof ret->model], path[512];
	int64_t				 window;

	if (ref_split(ref, provider, sizeof provider, model, sizeof model) < 0)
		return (resolve_fail(-ENOENT, ret_why, "unknown model: %.200s",
		    ref));
	if (provider_find(provider, &p) < 0)
		return (resolve_fail(-ENOENT, ret_why,
		    "unknown model provider: %.200s", provider));
	if (!model_known(&p, model))
		return (resolve_fail(-ENOENT, ret_why, "unknown model: %.200s",
		    ref));
	drv = provider_driver(&p);
	if (drv == NULL)
		return (resolve_fail(-ENOSYS, ret_why,
		    "no model driver for the api %.200s", provider_api(&p)));
	if (secret_missing(&p, path, sizeof path))
		return (resolve_fail(-ENOKEY, ret_why,
		    "%s refers to a secret that has no value", path));
	conf = provider_conf_resolved(&p);
	if (conf == NULL)
		return (resolve_fail(-ENOMEM, ret_why, "%s", "out of memory"));
	entry = provider_model(&p, model);
	window = json_object_get_int64(get_any(entry, "contextWindow"));
	if (window < 0 || window > UINT32_MAX)
		window = 0;
	ret->context_window = (uint32_t)window;
	(void)snprintf(ret->provider, sizeof ret->provider, "%s", p.id);
	(void)snprintf(ret->model, sizeof ret->model, "%s", model);
	ret->driver = drv;
	ret->provider_conf = conf;
	ret->model_conf = json_object_get(entry);
	return (0);
}

/*
 * Without a reference the agent's own are tried in turn; what is wrong with the
 * first of them is what is told when none will do.
 */
int
models_resolve(const char *ref, const char *agent_id,
    struct chela_model_ref *ret, const char **ret_why)
{
	struct provider		 all[1];
	struct json_object	*refs;
	const char		*why = NULL;
	char			 first[sizeof models.why];
	size_t			 i, n;
	int			 r, first_r = 0;

	if (ref != NULL)
		return (resolve_ref(ref, ret, ret_why));
	refs = agent_refs(agent_id);
	if (refs == NULL)
		return (resolve_fail(-ENOMEM, ret_why, "%s", "out of memory"));
	n = json_object_array_length(refs);
	for (i = 0; i < n; i++) {
		r = resolve_ref(json_object_get_string(
		    json_object_array_get_idx(refs, i)), ret, &why);
		if (r == 0) {
			json_object_put(refs);
			return (0);
		}
		if (i == 0) {
			(void)snprintf(first, sizeof first, "%s", why);
			first_r = r;
		}
	}
	json_object_put(refs);
	if (n > 0)
		return (resolve_fail(first_r, ret_why, "%s", first));
	if (providers_get(all, 1) > 0) {
		/* An own server may tell what it has: the next call knows. */
		(void)catalogue_refresh(0);
		return (resolve_fail(-ENOENT, ret_why,
		    "no model is chosen: set agents.defaults.model.primary to \"%.100s/<model>\"",
		    all[0].id));
	}
	return (resolve_ref(BUILTIN_PROVIDER "/" BUILTIN_MODEL, ret, ret_why));
}

static int
service_resolve(const char *ref, const char *agent_id,
    struct chela_model_ref *ret_ref, const char **ret_why)
{
	return (models_resolve(ref, agent_id, ret_ref, ret_why));
}

static int
service_configured(void)
{
	struct provider		 one[1];

	return (providers_get(one, 1) > 0);
}

const struct chela_models_1 models_service = {
	.struct_size = sizeof models_service,
	.list = models_rows,
	.resolve = service_resolve,
	.configured = service_configured,
};
