/* SPDX-License-Identifier: MIT */
/* chat.metadata: which models and commands a chat window can offer. */
#include <string.h>

#include "chat_priv.h"

static int
take_models(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_models_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

static bool
has_model(struct json_object *list, const char *provider, const char *id)
{
	size_t i, n = json_object_array_length(list);

	for (i = 0; i < n; i++) {
		struct json_object *m = json_object_array_get_idx(list, i);

		if (strcmp(get_str(m, "provider"), provider) == 0 &&
		    strcmp(get_str(m, "id"), id) == 0)
			return (true);
	}
	return (false);
}

static void
add_model(struct json_object *list, const char *provider, const char *id,
    struct json_object *conf)
{
	struct json_object *o, *v;

	if (has_model(list, provider, id))
		return;
	o = json_object_new_object();
	set_str(o, "id", id);
	set_str(o, "name", get_str(conf, "name") != NULL ?
	    get_str(conf, "name") : id);
	set_str(o, "provider", provider);
	if (get_int(conf, "contextWindow", 0) > 0)
		set_int(o, "contextWindow", get_int(conf, "contextWindow", 0));
	v = get_any(conf, "reasoning");
	if (json_object_is_type(v, json_type_boolean))
		json_object_object_add(o, "reasoning", json_object_get(v));
	v = get_any(conf, "input");
	if (json_object_is_type(v, json_type_array))
		json_object_object_add(o, "input", json_object_get(v));
	json_object_array_add(list, o);
}

/* The configured models, and the one that is used without asking. */
static struct json_object *
models_list(const char *agent_id)
{
	struct chela_model_ref		 ref = { .struct_size = sizeof ref };
	const struct chela_models_1	*svc = NULL;
	struct json_object		*list = json_object_new_array();
	struct json_object		*providers, *models, *m;
	const char			*why = NULL;
	size_t				 i, n;

	(void)chat.host->svc_each(chat.ctx, CHELA_MODELS_SERVICE, take_models,
	    &svc);
	if (svc != NULL && svc->resolve(NULL, agent_id, &ref, &why) >= 0) {
		add_model(list, ref.provider, ref.model, ref.model_conf);
		json_object_put(ref.provider_conf);
		json_object_put(ref.model_conf);
	}
	providers = chat.host->conf_path(chat.ctx, "models.providers");
	if (!json_object_is_type(providers, json_type_object))
		return (list);
	json_object_object_foreach(providers, name, conf) {
		models = get_any(conf, "models");
		n = json_object_is_type(models, json_type_array) ?
		    json_object_array_length(models) : 0;
		for (i = 0; i < n; i++) {
			m = json_object_array_get_idx(models, i);
			if (get_str(m, "id") != NULL)
				add_model(list, name, get_str(m, "id"), m);
		}
	}
	return (list);
}

struct json_object *
metadata(const char *agent_id)
{
	const struct chela_commands_1	*svc = commands_get();
	struct json_object		*o = json_object_new_object();
	struct json_object		*commands = NULL;

	if (svc == NULL || svc->list("text", 1, &commands) < 0)
		commands = json_object_new_array();
	json_object_object_add(o, "models", models_list(agent_id));
	json_object_object_add(o, "commands", commands);
	return (o);
}

int
chat_metadata(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	const char	*name = get_str(params, "agentId");
	const char	*key = get_str(params, "sessionKey");
	char		 id[CHELA_SESSION_AGENT_MAX + 1];
	char		 canon[CHELA_SESSION_KEY_MAX + 1];

	(void)ctx;
	if (name != NULL && chat.sessions->agent_id(name, id) < 0)
		return (chat.host->req_fail(req, ERR_BAD,
		    "unknown agent id \"%s\"", name));
	if (name == NULL && key != NULL &&
	    chat.sessions->canonical(key, NULL, canon) >= 0 &&
	    chat.sessions->agent_of(canon, id) >= 0)
		name = id;
	return (chat.host->req_reply(req, metadata(name != NULL ? id : NULL)));
}

/* Titles would have to be written by a model: clients use their own. */
int
chat_tool_titles(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object *o = json_object_new_object();

	(void)ctx;
	(void)params;
	json_object_object_add(o, "titles", json_object_new_object());
	set_bool(o, "disabled", true);
	return (chat.host->req_reply(req, o));
}
