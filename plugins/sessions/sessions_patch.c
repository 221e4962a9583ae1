/* SPDX-License-Identifier: MIT */
/*
 * sessions.patch: null clears, absent leaves, a value sets; the first invalid
 * member refuses the whole call before anything is changed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

/* How a member is tested. */
#define PATCH_TEXT	0u	/* any string */
#define PATCH_WORDS	1u	/* one of words */
#define PATCH_ANY	2u	/* the schema has said enough */

struct patch_member {
	const char		*name;
	uint32_t		 kind;
	uint32_t		 is_admin;	/* 1: scope admin */
	const char *const	*words;		/* NULL ends */
	const char		*drop;		/* a word that clears */
};

#define WORDS(...) (const char *const []){ __VA_ARGS__, NULL }

static const struct patch_member members[] = {
	{ .name = "label" },
	{ .name = "displayName" },
	{ .name = "icon" },
	{ .name = "color" },
	{ .name = "category" },
	{ .name = "boardFace" },
	{ .name = "statusNote" },
	{ .name = "attention" },
	{ .name = "archived", .kind = PATCH_ANY },
	{ .name = "pinned", .kind = PATCH_ANY },
	{ .name = "unread", .kind = PATCH_ANY },
	{ .name = "model", .kind = PATCH_ANY },
	{ .name = "contextWindow" },
	{
		.name = "thinkingLevel",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("off", "minimal", "low", "medium", "high",
		    "xhigh", "adaptive", "max", "ultra"),
		.drop = "off",
	},
	{ .name = "fastMode", .kind = PATCH_ANY, .is_admin = 1 },
	{
		.name = "verboseLevel",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("on", "off", "full"),
	},
	{
		.name = "traceLevel",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("on", "off", "raw"),
	},
	{
		.name = "reasoningLevel",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("on", "off", "stream"),
		.drop = "off",
	},
	{
		.name = "responseUsage",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("off", "tokens", "full", "on"),
		.drop = "off",
	},
	{
		.name = "elevatedLevel",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("on", "off", "ask", "full"),
	},
	{
		.name = "execHost",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("auto", "sandbox", "gateway", "node"),
	},
	{ .name = "execNode", .is_admin = 1 },
	{ .name = "permissionMode", .is_admin = 1 },
	{ .name = "toolOverrides", .kind = PATCH_ANY, .is_admin = 1 },
	{
		.name = "sendPolicy",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("allow", "deny"),
	},
	{
		.name = "groupActivation",
		.kind = PATCH_WORDS,
		.is_admin = 1,
		.words = WORDS("mention", "always"),
	},
};

/* Members of the parameters that are conditions, or only for this call. */
static const char *const conditions[] = {
	"key", "agentId", "expectedSessionId", "expectedLifecycleRevision",
	"expectedPermissionMode", "expectedToolOverrides",
	"expectedMarkedUnreadAt", "ttlMinutes",
};

#define N(a) (sizeof (a) / sizeof (a)[0])

static const struct patch_member *
member_find(const char *name)
{
	size_t i;

	for (i = 0; i < N(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return (&members[i]);
	return (NULL);
}

static bool
is_condition(const char *name)
{
	size_t i;

	for (i = 0; i < N(conditions); i++)
		if (strcmp(conditions[i], name) == 0)
			return (true);
	return (false);
}

/*
 * Members that are not in the table at all need admin too, and are refused
 * then.
 */
const char *
sessions_patch_scope(struct chela_ctx *ctx, struct json_object *params)
{
	const struct patch_member *m;

	(void)ctx;
	json_object_object_foreach(params, name, value) {
		(void)value;
		m = member_find(name);
		if (!is_condition(name) && (m == NULL || m->is_admin))
			return ("admin");
	}
	return (NULL);
}

static int
patch_label(const char *key, struct json_object *value, struct chela_req *req,
    struct json_object *fields)
{
	const char	*text = json_object_get_string(value);
	const char	*end;
	struct sess	*s;
	char		*label;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	if (end == text)
		return (sessions.host->req_fail(req, ERR_BAD,
		    "invalid label: empty"), -EINVAL);
	label = strndup(text, (size_t)(end - text));
	if (label == NULL)
		return (-ENOMEM);
	s = sess_find_label(label);
	if (s != NULL && strcmp(s->key, key) != 0) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "label already in use: %s", label);
		free(label);
		return (-EEXIST);
	}
	set_str(fields, "label", label);
	free(label);
	return (0);
}

/* An override is stored as provider and model; the default is no override. */
static int
patch_model(const char *key, struct json_object *value, struct chela_req *req,
    struct json_object *fields)
{
	struct chela_model_ref	 ref = { .struct_size = sizeof ref };
	struct chela_model_ref	 usual = { .struct_size = sizeof usual };
	const struct chela_models_1 *models = models_get();
	char			 agent[CHELA_SESSION_AGENT_MAX + 1];
	const char		*why = NULL;
	bool			 same = value == NULL;
	int			 r;

	if (value != NULL) {
		if (models == NULL)
			return (sessions.host->req_fail(req, ERR_GONE,
			    "no plugin serves models"), -ENOSYS);
		(void)key_agent(key, agent);
		r = models->resolve(json_object_get_string(value),
		    agent, &ref, &why);
		if (r < 0)
			return (sessions.host->req_fail(req, ERR_BAD, "%s",
			    why != NULL ? why : "unknown model"), r);
		json_object_put(ref.provider_conf);
		json_object_put(ref.model_conf);
		if (models->resolve(NULL, agent, &usual, &why) >= 0) {
			same = strcmp(usual.provider, ref.provider) == 0 &&
			    strcmp(usual.model, ref.model) == 0;
			json_object_put(usual.provider_conf);
			json_object_put(usual.model_conf);
		}
	}
	json_object_object_add(fields, "providerOverride",
	    same ? NULL : json_object_new_string(ref.provider));
	json_object_object_add(fields, "modelOverride",
	    same ? NULL : json_object_new_string(ref.model));
	return (0);
}

static int
patch_words(const struct patch_member *m, struct json_object *value,
    struct chela_req *req, struct json_object *fields)
{
	const char	*text = json_object_get_string(value);
	char		 use[160] = "";
	size_t		 i, n = 0;

	for (i = 0; m->words[i] != NULL; i++) {
		if (strcasecmp(m->words[i], text) == 0) {
			bool drop = m->drop != NULL &&
			    strcmp(m->drop, m->words[i]) == 0;

			json_object_object_add(fields, m->name, drop ? NULL :
			    json_object_new_string(m->words[i]));
			return (0);
		}
		n += (size_t)snprintf(use + n, sizeof use - n, "%s\"%s\"",
		    i > 0 ? "|" : "", m->words[i]);
	}
	(void)sessions.host->req_fail(req, ERR_BAD, "invalid %s (use %s)",
	    m->name, use);
	return (-EINVAL);
}

static void
patch_flag(const char *name, struct json_object *value,
    struct json_object *fields)
{
	bool	on = json_object_get_boolean(value) != 0;
	int64_t	now = (int64_t)sessions.host->wall_ms();

	json_object_object_add(fields, name, json_object_new_boolean(on));
	if (strcmp(name, "archived") == 0)
		json_object_object_add(fields, "archivedAt",
		    on ? json_object_new_int64(now) : NULL);
	if (strcmp(name, "pinned") == 0)
		json_object_object_add(fields, "pinnedAt",
		    on ? json_object_new_int64(now) : NULL);
	if (strcmp(name, "unread") != 0)
		return;
	json_object_object_add(fields, "markedUnreadAt",
	    on ? json_object_new_int64(now) : NULL);
	if (!on)
		set_int(fields, "lastReadAt", now);
}

static int
patch_one(const char *key, const char *name, struct json_object *value,
    struct chela_req *req, struct json_object *fields)
{
	const struct patch_member *m = member_find(name);

	if (m == NULL) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "%s can not be set (it is retired, or not offered here)",
		    name);
		return (-EINVAL);
	}
	if (strcmp(name, "model") == 0)
		return (patch_model(key, value, req, fields));
	if (value == NULL) {
		json_object_object_add(fields, name, NULL);
		return (0);
	}
	if (strcmp(name, "label") == 0)
		return (patch_label(key, value, req, fields));
	if (json_object_is_type(value, json_type_boolean) &&
	    strcmp(name, "fastMode") != 0) {
		patch_flag(name, value, fields);
		return (0);
	}
	if (m->kind == PATCH_WORDS)
		return (patch_words(m, value, req, fields));
	json_object_object_add(fields, name, json_object_get(value));
	return (0);
}

/* A level above "off" of a model that is known not to reason. */
static int
patch_check_thinking(const char *key, struct chela_req *req,
    struct json_object *fields)
{
	struct chela_model_ref	 ref = { .struct_size = sizeof ref };
	const struct chela_models_1 *models = models_get();
	char			 agent[CHELA_SESSION_AGENT_MAX + 1], name[400];
	struct json_object	*entry = NULL, *reasons;
	struct sess		*s = sess_find(key);
	const char		*level = get_str(fields, "thinkingLevel");
	const char		*why, *model = NULL;
	int			 r = 0;

	if (level == NULL || models == NULL)
		return (0);
	(void)key_agent(key, agent);
	if (s != NULL && entry_get(s, &entry) == 0 &&
	    get_str(entry, "modelOverride") != NULL) {
		(void)snprintf(name, sizeof name, "%s/%s",
		    get_str(entry, "providerOverride"),
		    get_str(entry, "modelOverride"));
		model = name;
	}
	if (models->resolve(model, agent, &ref, &why) >= 0) {
		reasons = get_any(ref.model_conf, "reasoning");
		if (json_object_is_type(reasons, json_type_boolean) &&
		    !json_object_get_boolean(reasons)) {
			r = -EINVAL;
			(void)sessions.host->req_fail(req, ERR_BAD,
			    "thinkingLevel \"%s\" is not supported for %s/%s (use off)",
			    level, ref.provider, ref.model);
		}
		json_object_put(ref.provider_conf);
		json_object_put(ref.model_conf);
	}
	json_object_put(entry);
	return (r);
}

int
patch_apply(const char *key, struct json_object *params,
    struct chela_req *req, struct json_object **ret_fields)
{
	struct json_object	*fields = json_object_new_object();
	int			 r = 0;

	json_object_object_foreach(params, name, value) {
		if (is_condition(name))
			continue;
		r = patch_one(key, name, value, req, fields);
		if (r < 0)
			break;
	}
	if (r >= 0)
		r = patch_check_thinking(key, req, fields);
	if (r < 0) {
		json_object_put(fields);
		return (r);
	}
	*ret_fields = fields;
	return (0);
}

/* The conditions of a patch. 1: they hold, 0: nothing to do, else answered. */
static int
patch_expected(struct sess *s, struct json_object *params,
    struct chela_req *req)
{
	struct json_object	*entry = NULL, *want = NULL;
	const char		*id = get_str(params, "expectedSessionId");
	const char		*rev, *mode;
	int			 r = 1;

	rev = get_str(params, "expectedLifecycleRevision");
	if (s == NULL)
		return (id == NULL && rev == NULL ? 1 :
		    (sessions.host->req_fail(req, ERR_BAD,
		    "the session does not exist"), -ESTALE));
	if (entry_get(s, &entry) < 0)
		return (1);
	mode = get_str(entry, "lifecycleRevision");
	if ((id != NULL && strcmp(id, s->id) != 0) ||
	    (rev != NULL && (mode == NULL || strcmp(rev, mode) != 0))) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "the session has changed since it was read");
		r = -ESTALE;
	}
	if (r > 0 && json_object_object_get_ex(params,
	    "expectedPermissionMode", &want) && !json_object_equal(want,
	    get_any(entry, "permissionMode"))) {
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "permissionMode has changed since it was read");
		r = -ESTALE;
	}
	if (r > 0 && json_object_object_get_ex(params,
	    "expectedMarkedUnreadAt", &want) && !json_object_equal(want,
	    get_any(entry, "markedUnreadAt")))
		r = 0;	/* marked again since: that mark stays */
	json_object_put(entry);
	return (r);
}

struct patch_call {
	struct chela_req	*req;
	char			 key[CHELA_SESSION_KEY_MAX + 1];
};

static void
patch_done(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	struct patch_call	*call = arg;
	struct json_object	*o;
	struct sess		*s = sess_find(call->key);

	(void)ctx;
	(void)rev;
	if (r < 0 || s == NULL) {
		(void)sessions.host->req_fail(call->req, ERR_GONE,
		    "the session could not be stored");
	} else {
		changed_emit(s, NULL, "patch", NULL);
		o = json_object_new_object();
		json_object_object_add(o, "ok", json_object_new_boolean(1));
		set_str(o, "path", sessions.host->state_dir());
		set_str(o, "key", s->key);
		json_object_object_add(o, "entry", entry_public(s));
		(void)sessions.host->req_reply(call->req, o);
	}
	sessions.host->req_unref(call->req);
	free(call);
}

int
sessions_patch(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*fields = NULL, *entry = NULL;
	struct patch_call	*call = calloc(1, sizeof *call);
	struct sess		*s = NULL;
	int			 r;

	(void)ctx;
	if (call == NULL)
		return (-ENOMEM);
	r = call_key(req, params, "key", call->key);
	if (r >= 0)
		r = patch_expected(sess_find(call->key), params, req);
	if (r > 0)
		r = patch_apply(call->key, params, req, &fields);
	else if (r == 0)
		fields = json_object_new_object();
	if (r < 0)
		goto fail;
	r = entry_ensure(call->key, NULL, "operator", &s);
	if (r == -ENOSPC)
		(void)sessions.host->req_fail(req, ERR_GONE,
		    "too many sessions (at most %u)", SESSIONS_MAX);
	if (r >= 0)
		r = entry_get(s, &entry);
	if (r < 0)
		goto fail;
	call->req = sessions.host->req_ref(req);
	r = entry_put(s, entry, fields, patch_done, call);
	if (r >= 0)
		return (0);
	fields = NULL;
	sessions.host->req_unref(req);
	if (r == -EMSGSIZE)
		(void)sessions.host->req_fail(req, ERR_BAD,
		    "the session's entry gets too large (at most %u bytes)",
		    SESSION_ENTRY_MAX);
fail:
	json_object_put(fields);
	free(call);
	/* Most causes have been told; the host answers what was not. */
	return (r);
}
