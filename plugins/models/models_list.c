/* SPDX-License-Identifier: MIT */
/*
 * models.list: the rows of each view. A call that needs what an endpoint lists
 * waits for the fetch, with a limit; it then answers with what is known.
 */
#include "models.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VIEW_DEFAULT		0
#define VIEW_CONFIGURED		1
#define VIEW_PROVIDER_CONFIG	2
#define VIEW_ALL		3

#define ROWS_MAX		5000

static const char *const view_names[] = {
	[VIEW_DEFAULT] = "default",
	[VIEW_CONFIGURED] = "configured",
	[VIEW_PROVIDER_CONFIG] = "provider-config",
	[VIEW_ALL] = "all",
};

/* What one answer is made with. */
struct build {
	struct json_object	*rows;
	struct json_object	*refs;		/* of the agent */
	const char		*thinking;	/* configured, or NULL */
	int			 capabilities;
};

static int
view_of(struct json_object *params)
{
	const char	*view = get_text(params, "view");
	size_t		 i;

	for (i = 0; view != NULL &&
	    i < sizeof view_names / sizeof view_names[0]; i++) {
		if (strcmp(view, view_names[i]) == 0)
			return ((int)i);
	}
	return (VIEW_DEFAULT);
}

static void
add_str(struct json_object *obj, const char *key, const char *val)
{
	(void)json_object_object_add(obj, key, json_object_new_string(val));
}

static void
add_bool(struct json_object *obj, const char *key, int val)
{
	(void)json_object_object_add(obj, key, json_object_new_boolean(val));
}

static void
level_add(struct json_object *levels, const char *id)
{
	struct json_object	*level = json_object_new_object();

	add_str(level, "id", id);
	add_str(level, "label", id);
	(void)json_object_array_add(levels, level);
}

/* A model that can not reason has one level, off. */
static void
row_thinking(const struct build *b, struct json_object *row, int reasoning)
{
	static const char *const more[] = { "minimal", "low", "medium", "high" };
	struct json_object	*levels = json_object_new_array();
	const char		*def = reasoning ? "low" : "off";
	size_t			 i;

	level_add(levels, "off");
	for (i = 0; reasoning && i < sizeof more / sizeof more[0]; i++) {
		level_add(levels, more[i]);
		if (b->thinking != NULL && strcmp(b->thinking, more[i]) == 0)
			def = more[i];
	}
	if (b->thinking != NULL && strcmp(b->thinking, "off") == 0)
		def = "off";
	(void)json_object_object_add(row, "thinkingLevels", levels);
	add_str(row, "thinkingDefault", def);
}

static void
row_input(struct json_object *row, struct json_object *entry)
{
	static const char *const known[] = { "text", "image", "audio", "video",
	    "document" };
	struct json_object	*list = get_any(entry, "input"), *out, *item;
	size_t			 i, k;

	if (!json_object_is_type(list, json_type_array))
		return;
	out = json_object_new_array();
	for (i = 0; i < json_object_array_length(list); i++) {
		item = json_object_array_get_idx(list, i);
		for (k = 0; k < sizeof known / sizeof known[0] &&
		    json_object_is_type(item, json_type_string); k++) {
			if (strcmp(json_object_get_string(item), known[k]) == 0)
				(void)json_object_array_add(out,
				    json_object_get(item));
		}
	}
	(void)json_object_object_add(row, "input", out);
}

/* "default" for the agent's first choice, "fallback#N" for the others. */
static void
row_tags(const struct build *b, struct json_object *row, const char *provider,
    const char *model)
{
	struct json_object	*tags = json_object_new_array();
	char			 p[PROVIDER_ID_MAX + 1], m[256], tag[32];
	size_t			 i;

	for (i = 0; b->refs != NULL && i < json_object_array_length(b->refs);
	    i++) {
		if (ref_split(json_object_get_string(
		    json_object_array_get_idx(b->refs, i)), p, sizeof p, m,
		    sizeof m) < 0 || strcasecmp(p, provider) != 0 ||
		    strcmp(m, model) != 0)
			continue;
		if (i == 0)
			(void)snprintf(tag, sizeof tag, "default");
		else
			(void)snprintf(tag, sizeof tag, "fallback#%zu", i);
		(void)json_object_array_add(tags, json_object_new_string(tag));
		break;
	}
	(void)json_object_object_add(row, "tags", tags);
}

static void
row_alias(struct json_object *row, const char *provider, const char *model)
{
	struct json_object	*map = models.host->conf_path(models.ctx,
				    "agents.defaults.models");
	const char		*alias, *slash;

	if (!json_object_is_type(map, json_type_object))
		return;
	json_object_object_foreach(map, key, val) {
		slash = strchr(key, '/');
		if (slash == NULL || strcmp(slash + 1, model) != 0 ||
		    strlen(provider) != (size_t)(slash - key) ||
		    strncasecmp(key, provider, (size_t)(slash - key)) != 0)
			continue;
		alias = get_text(val, "alias");
		if (alias != NULL)
			add_str(row, "alias", alias);
		return;
	}
}

static void
row_available(struct json_object *row, const struct provider *p)
{
	struct catalogue	*cat = catalogue_get(p->id);
	const char		*why = NULL;

	if (provider_needs_key(p) && !provider_has_key(p))
		why = "missing-auth";
	else if (cat != NULL && cat->auth_failed)
		why = "auth-failed";
	add_bool(row, "available", why == NULL && provider_driver(p) != NULL);
	if (why != NULL)
		add_str(row, "unavailableReason", why);
}

static int
rows_have(struct json_object *rows, const char *provider, const char *model)
{
	struct json_object	*row;
	size_t			 i;

	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (strcmp(get_text(row, "id"), model) == 0 &&
		    strcmp(get_text(row, "provider"), provider) == 0)
			return (1);
	}
	return (0);
}

/* entry is the authored one or NULL. Nothing of its other members is shown. */
static void
row_add(const struct build *b, const struct provider *p, const char *id,
    const char *name, struct json_object *entry)
{
	struct json_object	*row, *val;
	int64_t			 window;
	int			 reasoning;

	if (id == NULL || json_object_array_length(b->rows) >= ROWS_MAX ||
	    rows_have(b->rows, p->id, id))
		return;
	row = json_object_new_object();
	add_str(row, "id", id);
	if (get_text(entry, "name") != NULL)
		name = get_text(entry, "name");
	add_str(row, "name", name != NULL ? name : id);
	add_str(row, "provider", p->id);
	window = json_object_get_int64(get_any(entry, "contextWindow"));
	if (window > 0)
		(void)json_object_object_add(row, "contextWindow",
		    json_object_new_int64(window));
	reasoning = json_object_get_boolean(get_any(entry, "reasoning"));
	add_bool(row, "reasoning", reasoning);
	row_alias(row, p->id, id);
	row_tags(b, row, p->id, id);
	row_thinking(b, row, reasoning);
	row_input(row, entry);
	val = get_any(get_any(entry, "compat"), "supportsTools");
	if (json_object_is_type(val, json_type_boolean))
		(void)json_object_object_add(row, "supportsTools",
		    json_object_get(val));
	row_available(row, p);
	if (b->capabilities)
		add_bool(row, "apiKeySupported", p->conf != NULL);
	(void)json_object_array_add(b->rows, row);
}

static void
rows_authored(const struct build *b, const struct provider *p)
{
	struct json_object	*list = get_any(p->conf, "models"), *entry;
	size_t			 i;

	if (!json_object_is_type(list, json_type_array))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		entry = json_object_array_get_idx(list, i);
		row_add(b, p, get_text(entry, "id"), NULL, entry);
	}
}

static void
rows_fetched(const struct build *b, const struct provider *p)
{
	struct catalogue	*cat = catalogue_get(p->id);
	struct json_object	*entry;
	size_t			 i;

	if (cat == NULL || cat->models == NULL)
		return;
	for (i = 0; i < json_object_array_length(cat->models); i++) {
		entry = json_object_array_get_idx(cat->models, i);
		row_add(b, p, get_text(entry, "id"), get_text(entry, "name"),
		    NULL);
	}
}

/* The references that the configuration names: agents.defaults.models. */
static void
rows_allowed(const struct build *b, struct json_object *map)
{
	struct provider	 p;
	char		 provider[PROVIDER_ID_MAX + 1], model[256];

	json_object_object_foreach(map, key, val) {
		(void)val;
		if (ref_split(key, provider, sizeof provider, model,
		    sizeof model) < 0 || provider_find(provider, &p) < 0)
			continue;
		row_add(b, &p, model, NULL, provider_model(&p, model));
	}
}

static int
has_authored(const struct provider *p)
{
	struct json_object	*list = get_any(p->conf, "models");

	return (json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0);
}

static struct json_object *
allowlist(void)
{
	struct json_object	*map = models.host->conf_path(models.ctx,
				    "agents.defaults.models");

	if (!json_object_is_type(map, json_type_object) ||
	    json_object_object_length(map) == 0)
		return (NULL);
	return (map);
}

/* Whether an answer for this view depends on what endpoints list. */
static int
view_needs_fetch(int view)
{
	struct provider	 all[PROVIDERS_MAX];
	uint32_t	 i, n, authored = 0;

	if (view == VIEW_ALL)
		return (1);
	if (view == VIEW_PROVIDER_CONFIG || allowlist() != NULL)
		return (0);
	n = providers_get(all, PROVIDERS_MAX);
	for (i = 0; i < n; i++)
		authored += has_authored(&all[i]) != 0;
	if (view == VIEW_CONFIGURED)
		return (authored == 0 && n > 0);
	return (authored < n);
}

static int
row_cmp(const void *a, const void *b)
{
	struct json_object	*x = *(struct json_object *const *)a;
	struct json_object	*y = *(struct json_object *const *)b;
	int			 r;

	r = strcasecmp(get_text(x, "provider"), get_text(y, "provider"));
	if (r == 0)
		r = strcasecmp(get_text(x, "name"), get_text(y, "name"));
	if (r == 0)
		r = strcmp(get_text(x, "id"), get_text(y, "id"));
	return (r);
}

/* Gives the sorted rows of a view. */
static struct json_object *
rows_build(int view, const char *agent_id, int capabilities)
{
	struct provider	 all[PROVIDERS_MAX], builtin;
	struct build	 b;
	uint32_t	 i, n, authored = 0;

	b.rows = json_object_new_array();
	if (b.rows == NULL)
		return (NULL);
	b.refs = agent_refs(agent_id);
	b.thinking = json_object_get_string(models.host->conf_path(models.ctx,
	    "agents.defaults.thinkingDefault"));
	b.capabilities = capabilities;
	n = providers_get(all, PROVIDERS_MAX);
	for (i = 0; i < n; i++)
		authored += has_authored(&all[i]) != 0;
	if ((view == VIEW_DEFAULT || view == VIEW_CONFIGURED) &&
	    allowlist() != NULL) {
		rows_allowed(&b, allowlist());
		n = 0;
	}
	for (i = 0; i < n; i++) {
		rows_authored(&b, &all[i]);
		if (view == VIEW_PROVIDER_CONFIG ||
		    (view == VIEW_CONFIGURED && authored > 0) ||
		    (view == VIEW_DEFAULT && has_authored(&all[i])))
			continue;
		rows_fetched(&b, &all[i]);
	}
	if (view == VIEW_ALL &&
	    provider_find(BUILTIN_PROVIDER, &builtin) == 0 &&
	    provider_driver(&builtin) != NULL)
		row_add(&b, &builtin, BUILTIN_MODEL, NULL, NULL);
	json_object_put(b.refs);
	json_object_array_sort(b.rows, row_cmp);
	return (b.rows);
}

int
models_rows(const char *agent_id, struct json_object **ret_models)
{
	struct json_object	*rows = rows_build(VIEW_DEFAULT, agent_id, 0);

	if (rows == NULL)
		return (-ENOMEM);
	*ret_models = rows;
	return (0);
}

/* How the last fetches went, for who asked for a fresh list. */
static struct json_object *
outcomes(void)
{
	struct json_object	*list = json_object_new_array(), *o;
	uint32_t		 i;

	for (i = 0; i < models.n_cat; i++) {
		o = json_object_new_object();
		add_str(o, "provider", models.cat[i].provider);
		add_str(o, "status", models.cat[i].auth_failed ?
		    "auth-rejected" : models.cat[i].last < 0 ||
		    models.cat[i].fetching ? "unavailable" : "ready");
		(void)json_object_array_add(list, o);
	}
	return (list);
}

static int
answer(struct chela_req *req, struct json_object *params)
{
	struct json_object	*out = json_object_new_object(), *rows;

	rows = rows_build(view_of(params), get_text(params, "agentId"),
	    json_object_get_boolean(get_any(params,
	    "includeProviderCapabilities")));
	if (out == NULL || rows == NULL) {
		json_object_put(out);
		json_object_put(rows);
		return (models.host->req_fail(req, "UNAVAILABLE",
		    "out of memory"));
	}
	(void)json_object_object_add(out, "models", rows);
	if (json_object_get_boolean(get_any(params, "refresh")))
		(void)json_object_object_add(out, "providerOutcomes",
		    outcomes());
	return (models.host->req_reply(req, out));
}

/* Everything that was fetched is there, or the wait is over. */
void
models_list_ready(void)
{
	struct chela_req	*req;
	struct json_object	*params;
	uint32_t		 i, n = models.n_waiters;

	if (models.wait_timer != NULL)
		models.host->timer_stop(models.wait_timer);
	for (i = 0; i < n; i++) {
		req = models.waiters[i];
		params = models.waiting[i];
		(void)answer(req, params);
		json_object_put(params);
		models.host->req_unref(req);
	}
	models.n_waiters = 0;
}

static void
wait_over(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	models_list_ready();
}

void
models_list_stop(void)
{
	models_list_ready();
	models.host->timer_free(models.wait_timer);
	models.wait_timer = NULL;
}

int
models_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*agent_id = get_text(params, "agentId");
	int		 refresh = json_object_get_boolean(get_any(params,
			    "refresh"));
	int		 prepared = json_object_get_boolean(get_any(params,
			    "preparedOnly"));

	if (prepared && refresh)
		return (models.host->req_fail(req, "INVALID_REQUEST",
		    "invalid models.list params: preparedOnly cannot be combined with refresh"));
	if (agent_id != NULL && !agent_known(agent_id))
		return (models.host->req_fail(req, "INVALID_REQUEST",
		    "unknown agent id \"%.200s\"", agent_id));
	if (prepared || (!refresh && !view_needs_fetch(view_of(params))) ||
	    catalogue_refresh(refresh) == 0)
		return (answer(req, params));
	if (models.n_waiters == LIST_WAITERS_MAX)
		return (models.host->req_fail(req, "UNAVAILABLE",
		    "too many calls wait for the model catalogue"));
	if (models.wait_timer == NULL) {
		models.wait_timer = models.host->timer_new(ctx, wait_over,
		    NULL);
		if (models.wait_timer == NULL)
			return (answer(req, params));
	}
	if (models.n_waiters == 0)
		(void)models.host->timer_set(models.wait_timer,
		    CATALOGUE_WAIT_US);
	models.waiters[models.n_waiters] = models.host->req_ref(req);
	models.waiting[models.n_waiters++] = json_object_get(params);
	return (0);
}
