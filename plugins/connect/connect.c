/* SPDX-License-Identifier: MIT */
/*
 * Group connect: what a hello says of the gateway (features, snapshot, policy), and
 * the answer to a second connect. Who may enter is decided in the core.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agent.h>
#include <chela/services/agents.h>
#include <chela/services/hello.h>
#include <chela/services/lifecycle.h>
#include <chela/services/model.h>
#include <chela/services/plugins.h>
#include <chela/services/state.h>

static const struct chela_host		*host;
static struct chela_ctx			*self;
static const struct chela_state_1	*state;
static const struct chela_plugins_1	*plugins;
static const struct chela_lifecycle_1	*lifecycle;

/* The features change with what is loaded, and with nothing else. */
static char	*features;
static size_t	 features_len;
static uint64_t	 features_generation;

static int
connect_again(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (host->req_fail(req, "INVALID_REQUEST",
	    "connect is only valid as the first request"));
}

static int
add_method(const struct chela_method_info *info, void *arg)
{
	if ((info->flags & CHELA_METHOD_HIDDEN) == 0)
		(void)json_object_array_add(arg,
		    json_object_new_string(info->name));
	return (0);
}

static int
add_event(const char *name, const char *plugin, const char *scope, void *arg)
{
	(void)plugin;
	(void)scope;
	(void)json_object_array_add(arg, json_object_new_string(name));
	return (0);
}

static int
is_models_list(const struct chela_method_info *info, void *arg)
{
	(void)arg;
	return (strcmp(info->name, "models.list") == 0 ? 1 : 0);
}

static int
features_make(void)
{
	struct json_object	*o, *methods, *events, *caps;
	const char		*text;

	if (features != NULL &&
	    features_generation == plugins->generation())
		return (0);
	o = json_object_new_object();
	methods = json_object_new_array();
	events = json_object_new_array();
	caps = json_object_new_array();
	if (o == NULL || methods == NULL || events == NULL || caps == NULL) {
		json_object_put(o);
		json_object_put(methods);
		json_object_put(events);
		json_object_put(caps);
		return (-ENOMEM);
	}
	/* What models.list shows is the catalogue itself, details included. */
	if (plugins->each_method(is_models_list, NULL) == 1)
		(void)json_object_array_add(caps,
		    json_object_new_string("published-model-catalog"));
	(void)json_object_object_add(o, "capabilities", caps);
	(void)json_object_object_add(o, "methods", methods);
	(void)json_object_object_add(o, "events", events);
	(void)plugins->each_method(add_method, methods);
	(void)plugins->each_event(add_event, events);
	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &features_len);
	free(features);
	features = text == NULL ? NULL : strdup(text);
	json_object_put(o);
	features_generation = plugins->generation();
	return (features == NULL ? -ENOMEM : 0);
}

static int
count_one(const char *id, void *arg)
{
	(void)id;
	++*(unsigned *)arg;
	return (0);
}

/* The members of the snapshot besides presence and health. */
static struct json_object *
snapshot_rest(struct chela_conn *conn)
{
	struct json_object	*o, *v, *d;
	const struct chela_agents_1 *agents;
	const struct chela_models_1 *models;
	const char		*agent = "main", *main_key = "main";
	char			 key[256];
	uint64_t		 presence, health;
	unsigned		 n_agents = 0;

	o = json_object_new_object();
	v = json_object_new_object();
	d = json_object_new_object();
	if (o == NULL || v == NULL || d == NULL) {
		json_object_put(o);
		json_object_put(v);
		json_object_put(d);
		return (NULL);
	}
	state->versions(&presence, &health);
	(void)json_object_object_add(v, "presence",
	    json_object_new_int64((int64_t)presence));
	(void)json_object_object_add(v, "health",
	    json_object_new_int64((int64_t)health));
	(void)json_object_object_add(o, "stateVersion", v);
	(void)json_object_object_add(o, "uptimeMs",
	    json_object_new_int64((int64_t)state->uptime_ms()));

	if (lifecycle != NULL) {
		v = json_object_new_object();
		(void)json_object_object_add(v, "phase",
		    json_object_new_string(lifecycle->phase_name()));
		(void)json_object_object_add(o, "suspension", v);
	}
	agents = host->svc_import(self, CHELA_AGENTS_SERVICE);
	models = host->svc_import(self, CHELA_MODELS_SERVICE);
	if (agents != NULL) {
		agent = agents->default_id();
		(void)agents->each(count_one, &n_agents);
		(void)json_object_object_add(d, "ownership",
		    json_object_new_string(n_agents > 1 ? "explicit" : "sole"));
		(void)json_object_object_add(d, "selectionRequired",
		    json_object_new_boolean(0));
	}
	v = host->conf_path(self, "session.mainKey");
	if (json_object_is_type(v, json_type_string))
		main_key = json_object_get_string(v);
	(void)snprintf(key, sizeof key, "agent:%s:%s", agent, main_key);
	(void)json_object_object_add(d, "defaultAgentId",
	    json_object_new_string(agent));
	(void)json_object_object_add(d, "mainKey",
	    json_object_new_string(main_key));
	(void)json_object_object_add(d, "mainSessionKey",
	    json_object_new_string(key));
	v = host->conf_path(self, "session.scope");
	(void)json_object_object_add(d, "scope", json_object_new_string(
	    json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : "per-sender"));
	if (models != NULL)
		(void)json_object_object_add(d, "modelConfigured",
		    json_object_new_boolean(models->configured()));
	(void)json_object_object_add(o, "sessionDefaults", d);
	if (host->conn_has_scope(conn, "admin")) {
		(void)json_object_object_add(o, "configPath",
		    json_object_new_string(state->config_path()));
		(void)json_object_object_add(o, "stateDir",
		    json_object_new_string(host->state_dir()));
		(void)json_object_object_add(o, "authMode",
		    json_object_new_string(state->auth_mode()));
	}
	return (o);
}

static int
connect_compose(struct chela_conn *conn, const struct chela_hello_policy *policy,
    char **ret_text, size_t *ret_len)
{
	struct json_object	*rest;
	const char		*presence, *health, *more;
	size_t			 presence_len, health_len, more_len;
	char			 files[96] = "";
	int			 n;

	/* What a message may bring along, where somebody takes it. */
	if (host->svc_import(self, CHELA_AGENT_SERVICE) != NULL)
		(void)snprintf(files, sizeof files, ",\"attachments\":"
		    "{\"maxBytes\":%u,\"maxImageBytes\":%u}",
		    CHELA_ATTACHMENT_BYTES_MAX, CHELA_IMAGE_BYTES_MAX);
	if (features_make() < 0)
		return (-ENOMEM);
	rest = snapshot_rest(conn);
	if (rest == NULL)
		return (-ENOMEM);
	more = json_object_to_json_string_length(rest, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE, &more_len);
	presence = state->presence_text(&presence_len);
	health = state->health_text(&health_len);
	n = asprintf(ret_text, "\"features\":%s,\"snapshot\":{\"presence\":%.*s,"
	    "\"health\":%.*s,%s,\"policy\":{\"maxPayload\":%llu,"
	    "\"maxBufferedBytes\":%llu,\"tickIntervalMs\":%u%s}", features,
	    (int)presence_len, presence, (int)health_len, health,
	    more + 1,		/* goes on within the object */
	    (unsigned long long)policy->max_payload,
	    (unsigned long long)policy->max_buffered_bytes,
	    (unsigned)policy->tick_interval_ms, files);
	json_object_put(rest);
	if (n < 0)
		return (-ENOMEM);
	*ret_len = (size_t)n;
	return (0);
}

static const struct chela_hello_1 hello = {
	.struct_size = sizeof hello,
	.compose = connect_compose,
};

static int
connect_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	self = ctx;
	state = host->svc_import(ctx, CHELA_STATE_SERVICE);
	plugins = host->svc_import(ctx, CHELA_PLUGINS_SERVICE);
	lifecycle = host->svc_import(ctx, CHELA_LIFECYCLE_SERVICE);
	if (state == NULL || plugins == NULL)
		return (-ENOSYS);
	return (host->svc_export(ctx, CHELA_HELLO_SERVICE, &hello));
}

static void
connect_fini(struct chela_ctx *ctx)
{
	(void)ctx;
	free(features);
	features = NULL;
}

static const struct chela_method methods[] = {
	{
		.name = "connect",
		.handler = connect_again,
		.roles = CHELA_ROLE_OPERATOR | CHELA_ROLE_NODE,
		.flags = CHELA_METHOD_HIDDEN,
		.scope = "admin",
	},
};

static const struct chela_dep deps[] = {
	{ .name = "agent", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "agents", .flags = CHELA_DEP_OPTIONAL },
	{ .name = "models", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("connect"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "What a hello says: features, snapshot, policy",
	CHELA_METHODS(methods),
	CHELA_DEPS(deps),
	.init = connect_init,
	.fini = connect_fini,
};
