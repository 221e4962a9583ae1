/* SPDX-License-Identifier: MIT */
/*
 * Group plugins: what is installed, what each of them is, switching one on and off.
 * Installing from a registry is not offered: a plugin is a file that the operator
 * puts into the plugin directory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/config.h>
#include <chela/services/plugins.h>

static const struct chela_host		*host;
static const struct chela_plugins_1	*core;
static const struct chela_config_1	*config;

/* Without these nobody could switch it on again. */
static const char *const vital[] = { "config", "connect", "plugins" };

struct pending {
	struct chela_ctx	*ctx;
	struct chela_req	*req;
	char			*id;
	int			 want_enabled;
};

static void
add(struct json_object *o, const char *key, struct json_object *v)
{
	(void)json_object_object_add(o, key, v);
}

static void
add_str(struct json_object *o, const char *key, const char *s)
{
	add(o, key, json_object_new_string(s));
}

static const char *
param(struct json_object *params, const char *key)
{
	return (json_object_get_string(json_object_object_get(params, key)));
}

static const char *
state_name(uint32_t state)
{
	switch (state) {
	case CHELA_PLUGIN_ENABLED:
		return ("enabled");
	case CHELA_PLUGIN_FAILED:
		return ("error");
	default:
		return ("disabled");
	}
}

/* A plugin of the release has our version directory's name for its origin. */
static struct json_object *
catalog_entry(const struct chela_plugin_info *info)
{
	struct json_object	*o = json_object_new_object();

	add_str(o, "id", info->id);
	add_str(o, "name", info->id);
	if (*info->summary != '\0')
		add_str(o, "description", info->summary);
	add_str(o, "version", info->version);
	add_str(o, "origin", "directory");
	add(o, "installed", json_object_new_boolean(1));
	add(o, "enabled", json_object_new_boolean(
	    info->state == CHELA_PLUGIN_ENABLED));
	add_str(o, "state", state_name(info->state));
	add(o, "removable", json_object_new_boolean(0));
	if (*info->error != '\0')
		add_str(o, "error", info->error);
	return (o);
}

/* What it did to the others, and what it has now. */
static struct json_object *
trouble_entry(const struct chela_plugin_info *info)
{
	struct json_object	*d = json_object_new_object();
	char			*text;

	add_str(d, "level", "warn");
	add_str(d, "pluginId", info->id);
	if (asprintf(&text, "%s: %u crashes that count, %llu times over a "
	    "limit or dropped, %llu calls not answered in time (%llu answered "
	    "later); it has %u open calls, %u timers, %u watches, %u callbacks "
	    "and jobs that wait, %u writes of %llu bytes under way", info->id,
	    (unsigned)info->n_crashes, (unsigned long long)info->n_denied,
	    (unsigned long long)info->n_timeouts,
	    (unsigned long long)info->n_late, (unsigned)info->n_open,
	    (unsigned)info->n_timers, (unsigned)info->n_watches,
	    (unsigned)info->n_posts, (unsigned)info->n_writes,
	    (unsigned long long)info->queued_bytes) >= 0) {
		add_str(d, "message", text);
		free(text);
	}
	return (d);
}

static int
list_one(const struct chela_plugin_info *info, void *arg)
{
	struct json_object	**lists = arg, *d;
	char			*text;

	(void)json_object_array_add(lists[0], catalog_entry(info));
	if (info->state == CHELA_PLUGIN_FAILED) {
		d = json_object_new_object();
		add_str(d, "level", "error");
		add_str(d, "pluginId", info->id);
		if (asprintf(&text, "%s: %s", info->id, info->error) >= 0) {
			add_str(d, "message", text);
			free(text);
		}
		(void)json_object_array_add(lists[1], d);
	}
	if (info->n_denied != 0 || info->n_timeouts != 0 ||
	    info->n_crashes != 0)
		(void)json_object_array_add(lists[1], trouble_entry(info));
	return (0);
}

static int
plugins_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*lists[2] = { json_object_new_array(),
	    json_object_new_array() };

	(void)ctx;
	(void)params;
	(void)core->each(list_one, lists);
	add(o, "plugins", lists[0]);
	add(o, "diagnostics", lists[1]);
	add(o, "mutationAllowed", json_object_new_boolean(1));
	return (host->req_reply(req, o));
}

/* What is browsed without a registry: the plugins that are here. */
struct browse {
	const char		*query;		/* NULL: all */
	struct json_object	*items;
};

static int
browse_one(const struct chela_plugin_info *info, void *arg)
{
	struct browse		*b = arg;
	struct json_object	*o, *about, *here;
	char			*id;

	if (b->query != NULL && strcasestr(info->id, b->query) == NULL &&
	    strcasestr(info->summary, b->query) == NULL)
		return (0);
	if (asprintf(&id, "local_%s", info->id) < 0)
		return (-ENOMEM);
	o = json_object_new_object();
	add_str(o, "id", id);
	free(id);
	about = json_object_new_object();
	add_str(about, "name", info->id);
	add_str(about, "summary", info->summary);
	add(about, "official", json_object_new_boolean(0));
	add(about, "categories", json_object_new_array());
	add_str(about, "latestVersion", info->version);
	add(o, "catalog", about);
	here = json_object_new_object();
	add(here, "present", json_object_new_boolean(1));
	add(here, "installed", json_object_new_boolean(1));
	add(here, "enabled", json_object_new_boolean(
	    info->state == CHELA_PLUGIN_ENABLED));
	add_str(here, "state", state_name(info->state));
	add_str(here, "pluginId", info->id);
	add_str(here, "action", "manage");
	add(o, "local", here);
	(void)json_object_array_add(b->items, o);
	return (0);
}

static int
plugins_browse(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct browse		 b = { .items = json_object_new_array() };
	struct json_object	*o = json_object_new_object();
	const char		*category = param(params, "category");

	(void)ctx;
	b.query = param(params, "query");
	/* No plugin says that it belongs to a category. */
	if (category == NULL || *category == '\0')
		(void)core->each(browse_one, &b);
	add(o, "items", b.items);
	add_str(o, "remoteError", "This gateway has no registry of plugins: "
	    "these are the ones in its plugin directories.");
	return (host->req_reply(req, o));
}

static const char *const surface_lists[] = {
	"channels", "providers", "tools", "contracts", "hooks", "mcpServers",
	"cliCommands", "cliBackends", "skills", "dangerousConfigFlags",
};

struct contracts {
	const char		*id;
	struct json_object	*list;
};

static int
contract_method(const struct chela_method_info *info, void *arg)
{
	struct contracts	*c = arg;
	char			*text;

	if (strcmp(info->plugin, c->id) == 0 && asprintf(&text,
	    "method %s (%s)", info->name, *info->scope != '\0' ? info->scope :
	    "role only") >= 0) {
		(void)json_object_array_add(c->list,
		    json_object_new_string(text));
		free(text);
	}
	return (0);
}

static int
contract_event(const char *name, const char *plugin, const char *scope,
    void *arg)
{
	struct contracts	*c = arg;
	char			*text;

	if (strcmp(plugin, c->id) == 0 && asprintf(&text, "event %s (%s)", name,
	    *scope != '\0' ? scope : "everybody") >= 0) {
		(void)json_object_array_add(c->list,
		    json_object_new_string(text));
		free(text);
	}
	return (0);
}

/* What the plugin brings: the methods and events that it has registered. */
static struct json_object *
declared(const struct chela_plugin_info *info)
{
	struct json_object	*o = json_object_new_object(), *list;
	struct contracts	 c = { info->id, NULL };
	size_t			 i;

	for (i = 0; i < sizeof surface_lists / sizeof surface_lists[0]; i++) {
		list = json_object_new_array();
		add(o, surface_lists[i], list);
		if (strcmp(surface_lists[i], "contracts") == 0) {
			c.list = list;
			(void)core->each_method(contract_method, &c);
			(void)core->each_event(contract_event, &c);
		}
		if ((strncmp(info->id, "channel-", 8) == 0 &&
		    strcmp(surface_lists[i], "channels") == 0) ||
		    (strncmp(info->id, "model-", 6) == 0 &&
		    strcmp(surface_lists[i], "providers") == 0))
			(void)json_object_array_add(list, json_object_new_string(
			    strchr(info->id, '-') + 1));
	}
	return (o);
}

static void
add_review_token(struct json_object *o, struct json_object *surface)
{
	unsigned char	 digest[32];
	char		 hex[65];
	const char	*text;
	size_t		 i, len;

	text = json_object_to_json_string_length(surface,
	    JSON_C_TO_STRING_PLAIN, &len);
	if (text == NULL ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest) < 0)
		return;
	for (i = 0; i < sizeof digest; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	add_str(o, "reviewToken", hex);
}

static int
plugins_inspect(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_plugin_info info = { .struct_size = sizeof info };
	const char		*id = param(params, "pluginId");
	struct json_object	*o, *p, *surface, *grants, *hooks, *g;

	(void)ctx;
	if (core->find(id, &info) < 0)
		return (host->req_fail(req, "INVALID_REQUEST",
		    "Plugin \"%s\" not found.", id));
	o = json_object_new_object();
	p = json_object_new_object();
	add(o, "ok", json_object_new_boolean(1));
	add_str(p, "id", info.id);
	add_str(p, "name", info.id);
	add_str(p, "version", info.version);
	if (*info.summary != '\0')
		add_str(p, "description", info.summary);
	add_str(p, "origin", "directory");
	add(p, "installed", json_object_new_boolean(1));
	add(p, "enabled", json_object_new_boolean(
	    info.state == CHELA_PLUGIN_ENABLED));
	add(o, "plugin", p);
	p = json_object_new_object();
	add_str(p, "kind", "path");
	add_str(p, "spec", info.path);
	add(o, "source", p);
	surface = declared(&info);
	add(o, "declared", surface);
	add_review_token(o, surface);
	grants = json_object_new_object();
	hooks = json_object_new_object();
	g = json_object_new_object();
	add(g, "effective", json_object_new_boolean(0));
	add(hooks, "allowPromptInjection", g);
	g = json_object_new_object();
	add(g, "effective", json_object_new_boolean(0));
	add(hooks, "allowConversationAccess", g);
	add(grants, "hooks", hooks);
	add(o, "grants", grants);
	return (host->req_reply(req, o));
}

static void
pending_free(struct pending *p)
{
	host->req_unref(p->req);
	free(p->id);
	free(p);
}

static void
on_refreshed(struct chela_ctx *ctx, int r, uint64_t generation, void *arg)
{
	struct pending		*p = arg;
	struct chela_plugin_info info = { .struct_size = sizeof info };
	struct json_object	*o;

	(void)ctx;
	(void)generation;
	if (r < 0)
		(void)host->req_fail(p->req, "UNAVAILABLE",
		    "the plugins could not be looked at again");
	else if (p->id == NULL) {
		o = json_object_new_object();
		add(o, "ok", json_object_new_boolean(1));
		(void)host->req_reply(p->req, o);
	} else if (core->find(p->id, &info) < 0)
		(void)host->req_fail(p->req, "UNAVAILABLE",
		    "plugin '%s' is gone", p->id);
	else if (p->want_enabled && info.state != CHELA_PLUGIN_ENABLED)
		(void)host->req_fail(p->req, "UNAVAILABLE",
		    "plugin '%s' is enabled but does not start: %s", p->id,
		    info.error);
	else {
		o = json_object_new_object();
		add(o, "ok", json_object_new_boolean(1));
		add(o, "plugin", catalog_entry(&info));
		add(o, "restartRequired", json_object_new_boolean(0));
		(void)host->req_reply(p->req, o);
	}
	pending_free(p);
}

static struct pending *
pending_new(struct chela_ctx *ctx, struct chela_req *req, const char *id)
{
	struct pending	*p = calloc(1, sizeof *p);

	if (p == NULL)
		return (NULL);
	p->ctx = ctx;
	if (id != NULL) {
		p->id = strdup(id);
		if (p->id == NULL) {
			free(p);
			return (NULL);
		}
	}
	p->req = host->req_ref(req);
	return (p);
}

static int
pending_refresh(struct pending *p)
{
	int	 r;

	r = core->refresh(p->ctx, on_refreshed, p);
	if (r < 0) {
		(void)host->req_fail(p->req, "UNAVAILABLE", "out of memory");
		pending_free(p);
	}
	return (0);
}

static int
plugins_refresh(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct pending	*p = pending_new(ctx, req, NULL);

	(void)params;
	return (p == NULL ? -ENOMEM : pending_refresh(p));
}

static void
on_written(const struct chela_config_outcome *out, void *arg)
{
	struct pending		*p = arg;
	struct chela_error	 e = { .struct_size = sizeof e };

	if (out->r < 0) {
		e.details = json_object_get(out->details);
		(void)host->req_fail_with(p->req, out->r == -EINVAL ||
		    out->r == -ESTALE ? "INVALID_REQUEST" : "UNAVAILABLE", &e,
		    "%s", out->message);
		pending_free(p);
		return;
	}
	(void)pending_refresh(p);
}

/* plugins.entries.<id>.enabled, as a merge patch on what is stored now. */
static int
write_enabled(struct pending *p, int is_enabled)
{
	struct chela_config_write	 w = { .struct_size = sizeof w,
	    .kind = CHELA_CONFIG_PATCH };
	struct json_object		*root, *plugins, *entries, *entry;
	struct json_object		*snapshot = NULL;
	int				 r;

	r = config->snapshot(&snapshot);
	if (r < 0)
		return (r);
	root = json_object_new_object();
	plugins = json_object_new_object();
	entries = json_object_new_object();
	entry = json_object_new_object();
	add(entry, "enabled", json_object_new_boolean(is_enabled));
	add(entries, p->id, entry);
	add(plugins, "entries", entries);
	add(root, "plugins", plugins);
	w.raw = json_object_to_json_string_length(root, JSON_C_TO_STRING_PLAIN,
	    &w.raw_len);
	w.base_hash = param(snapshot, "hash");
	r = config->write(&w, on_written, p);
	json_object_put(root);
	json_object_put(snapshot);
	return (r);
}

static int
plugins_set_enabled(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_plugin_info info = { .struct_size = sizeof info };
	const char		*id = param(params, "pluginId");
	int			 on, r;
	struct pending		*p;
	size_t			 i;

	on = json_object_get_boolean(json_object_object_get(params, "enabled"));
	if (core->find(id, &info) < 0)
		return (host->req_fail(req, "INVALID_REQUEST",
		    "plugin not installed: %s", id));
	for (i = 0; !on && i < sizeof vital / sizeof vital[0]; i++) {
		if (strcmp(vital[i], id) == 0)
			return (host->req_fail(req, "INVALID_REQUEST",
			    "plugin '%s' cannot be disabled from here: without "
			    "it no client could enable it again", id));
	}
	p = pending_new(ctx, req, id);
	if (p == NULL)
		return (-ENOMEM);
	p->want_enabled = on;
	if (on)
		(void)core->forgive(id);
	r = write_enabled(p, on);
	if (r < 0) {
		(void)host->req_fail(req, "UNAVAILABLE",
		    "the configuration cannot be written now");
		pending_free(p);
	}
	return (0);
}

static int
plugins_ui_descriptors(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o = json_object_new_object();

	(void)ctx;
	(void)params;
	/* No plugin of this ABI can declare a surface: there are none. */
	add(o, "ok", json_object_new_boolean(1));
	add(o, "descriptors", json_object_new_array());
	return (host->req_reply(req, o));
}

static int
plugins_no_registry(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (host->req_fail(req, "UNAVAILABLE", "%s: this gateway has no "
	    "registry of plugins; put a plugin's .so and .json into the plugin "
	    "directory and call plugins.refresh", host->req_method(req)));
}

static int
plugins_uninstall(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct chela_plugin_info info = { .struct_size = sizeof info };
	const char		*id = param(params, "pluginId");

	(void)ctx;
	if (core->find(id, &info) < 0)
		return (host->req_fail(req, "INVALID_REQUEST",
		    "plugin not installed: %s", id));
	return (host->req_fail(req, "INVALID_REQUEST",
	    "bundled plugin cannot be uninstalled: %s; disable it instead", id));
}

static int
plugins_session_action(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	return (host->req_fail(req, "UNAVAILABLE",
	    "unknown plugin session action: %s/%s", param(params, "pluginId"),
	    param(params, "actionId")));
}

static int
plugins_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	core = host->svc_import(ctx, CHELA_PLUGINS_SERVICE);
	config = host->svc_import(ctx, CHELA_CONFIG_SERVICE);
	return (core == NULL || config == NULL ? -ENOSYS : 0);
}

#define READ(n, h)	{ .name = (n), .handler = (h), \
	.roles = CHELA_ROLE_OPERATOR, .scope = "read" }
#define ADMIN(n, h)	{ .name = (n), .handler = (h), \
	.roles = CHELA_ROLE_OPERATOR, .scope = "admin", \
	.flags = CHELA_METHOD_WRITE }

static const struct chela_method methods[] = {
	READ("plugins.catalog.browse", plugins_browse),
	READ("plugins.inspect", plugins_inspect),
	ADMIN("plugins.install", plugins_no_registry),
	READ("plugins.list", plugins_list),
	ADMIN("plugins.refresh", plugins_refresh),
	{
		.name = "plugins.sessionAction",
		.handler = plugins_session_action,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "write",
	},
	ADMIN("plugins.setEnabled", plugins_set_enabled),
	READ("plugins.uiDescriptors", plugins_ui_descriptors),
	ADMIN("plugins.uninstall", plugins_uninstall),
};

CHELA_PLUGIN = {
	CHELA_HEAD("plugins"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "What is installed; switching plugins on and off",
	CHELA_METHODS(methods),
	.init = plugins_init,
};
