/* SPDX-License-Identifier: MIT */
/*
 * What a request asks for, checked against the policy, and then done: a text
 * for an agent, a run, or several runs.
 */
#include "hooks.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KEY_SIZE	(CHELA_SESSION_KEY_MAX + 1)
#define AGENT_SIZE	(CHELA_AGENT_ID_MAX + 1)
#define TIMEOUT_MAX_S	172800		/* as the agent has it */

/* Who chose a session's key. */
enum key_source {
	KEY_REQUEST,		/* the caller, or a template with its values */
	KEY_STATIC,		/* the configuration */
};

/* A replay key's scope beside the path: what the request comes to. */
struct scope {
	const char	*agent_id;
	const char	*session_key;	/* asked for, or the default; or NULL */
	bool		 is_batch;
	int64_t		 occurrence;
};

/*
 * The agent that is meant: from a request only one that exists, from a mapping
 * the default one instead. False: answered.
 */
static bool
agent_of(struct call *call, const char *name, bool is_mapping,
    char ret_id[AGENT_SIZE])
{
	const struct chela_agents_1	*agents;
	char				 id[AGENT_SIZE];
	int				 r = -ENOENT;

	agents = hooks_service(CHELA_AGENTS_SERVICE);
	if (agents == NULL) {
		call_error(call, 503, "no plugin knows the agents");
		return (false);
	}
	if (name != NULL && is_blank(name))
		name = NULL;
	if (name != NULL) {
		r = agents->normalise(name, id);
		if (r == 0 && !agents->exists(id))
			r = -ENOENT;
		if (r < 0 && !is_mapping) {
			call_error(call, 400, "unknown agentId \"%.200s\"",
			    r == -ENOENT ? id : name);
			return (false);
		}
	}
	(void)snprintf(ret_id, AGENT_SIZE, "%s", r == 0 ? id :
	    agents->default_id());
	if (!conf_agent_allowed(&hooks.conf, ret_id)) {
		call_error(call, 400,
		    "agentId is not allowed by hooks.allowedAgentIds");
		return (false);
	}
	return (true);
}

static void
prefix_error(struct call *call)
{
	struct json_object	*list = hooks.conf.prefixes;
	char			 text[800] = "";
	size_t			 i, n = 0;
	int			 k;

	for (i = 0; i < json_object_array_length(list) && n < sizeof text - 1;
	    i++) {
		k = snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? ", " :
		    "", json_object_get_string(json_object_array_get_idx(list,
		    i)));
		n += k > 0 ? (size_t)k : 0;
	}
	call_error(call, 400, "sessionKey must start with one of: %s", text);
}

/* agent:<any>:rest becomes agent:<id>:rest: a key names no other agent. */
static void
rescope(const char *key, const char *agent_id, char *ret, size_t size)
{
	const char	*rest;

	if (strncasecmp(key, "agent:", 6) == 0 &&
	    (rest = strchr(key + 6, ':')) != NULL && rest > key + 6 &&
	    rest[1] != '\0')
		(void)snprintf(ret, size, "agent:%s:%s", agent_id, rest + 1);
	else
		(void)snprintf(ret, size, "%s", key);
}

/*
 * The canonical key of the session: the one asked for where that is allowed,
 * the configured one, or a new one. False: answered.
 */
static bool
session_of(struct call *call, const char *asked, enum key_source source,
    const char *agent_id, char ret_key[KEY_SIZE])
{
	const struct chela_sessions_1	*sessions;
	char				 key[2 * KEY_SIZE], uuid[37];
	char				 fresh[48];

	sessions = hooks_service(CHELA_SESSIONS_SERVICE);
	if (sessions == NULL) {
		call_error(call, 503, "no plugin knows the sessions");
		return (false);
	}
	if (asked != NULL && source == KEY_REQUEST && !hooks.conf.allows_key) {
		call_error(call, 400, "sessionKey is disabled for externally "
		    "supplied hook payload values; set "
		    "hooks.allowRequestSessionKey=true to enable");
		return (false);
	}
	if (asked == NULL)
		asked = hooks.conf.default_key;
	if (asked == NULL) {
		hooks.host->uuid(uuid);
		(void)snprintf(fresh, sizeof fresh, "hook:%s", uuid);
		asked = fresh;
	}
	if (strlen(asked) > CHELA_SESSION_KEY_MAX) {
		call_error(call, 400, "sessionKey is too long");
		return (false);
	}
	rescope(asked, agent_id, key, sizeof key);
	if (!conf_key_fits(&hooks.conf, asked) ||
	    !conf_key_fits(&hooks.conf, key)) {
		prefix_error(call);
		return (false);
	}
	if (sessions->canonical(key, agent_id, ret_key) < 0) {
		call_error(call, 400, "invalid sessionKey");
		return (false);
	}
	return (true);
}

/* Leaves a text; the outcome goes into call->wake. False: answered. */
static bool
wake(struct call *call, const char *text, bool is_now, const char *asked,
    enum key_source source, const char *agent_id)
{
	const struct chela_sessions_1	*sessions;
	const struct chela_system_1	*system;
	char				 key[KEY_SIZE];
	const char			*outcome, *before;
	int				 r;

	sessions = hooks_service(CHELA_SESSIONS_SERVICE);
	system = hooks_service(CHELA_SYSTEM_SERVICE);
	if (sessions == NULL || system == NULL) {
		call_error(call, 503, "no plugin takes texts for agents");
		return (false);
	}
	if (asked != NULL) {
		if (!session_of(call, asked, source, agent_id, key))
			return (false);
	} else if (sessions->main_key(agent_id, key) < 0) {
		call_error(call, 400, "invalid sessionKey");
		return (false);
	}
	r = system->add_event(key, text);
	if (r < 0) {
		call_error(call, 503,
		    "too many sessions have events waiting");
		return (false);
	}
	if (is_now)
		(void)system->request_turn(key);
	outcome = r == 1 ? "coalesced" : "queued";
	before = get_str(call->wake, "eventOutcome");
	if (before == NULL || r == 0) {
		json_object_put(call->wake);
		call->wake = json_object_new_object();
		(void)obj_add_str(call->wake, "eventOutcome", outcome);
	}
	return (true);
}

static void
reply_wake(struct call *call, bool is_now)
{
	struct json_object	*o = json_object_new_object();

	(void)obj_add(o, "ok", json_object_new_boolean(1));
	(void)obj_add_str(o, "mode", is_now ? "now" : "next-heartbeat");
	(void)obj_add_str(o, "eventOutcome", get_str(call->wake,
	    "eventOutcome"));
	call_reply(call, 200, o);
}

static bool
is_str(struct json_object *o, const char *key, const char *value)
{
	const char	*s = get_str(o, key);

	return (s != NULL && strcmp(s, value) == 0);
}

static bool
has(struct json_object *o, const char *key)
{
	return (json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, key, NULL));
}

/* agentId that is there has to be a text. False: answered. */
static bool
agent_is_text(struct call *call)
{
	const char	*s = get_str(call->payload, "agentId");

	if (!has(call->payload, "agentId") || (s != NULL && !is_blank(s)))
		return (true);
	call_error(call, 400, "agentId must be a non-empty string");
	return (false);
}

void
dispatch_wake(struct call *call)
{
	bool	 is_now = !is_str(call->payload, "mode", "next-heartbeat");
	char	*text = obj_trimmed(call->payload, "text");
	char	*key = obj_trimmed(call->payload, "sessionKey");
	char	 id[AGENT_SIZE];

	if (text == NULL)
		call_error(call, 400, "text required");
	else if (!agent_is_text(call))
		;
	else if (has(call->payload, "sessionKey") && key == NULL)
		call_error(call, 400,
		    "sessionKey must be a non-empty string");
	else if (!is_now && key != NULL)
		call_error(call, 400, "sessionKey requires mode=now");
	else if (agent_of(call, get_str(call->payload, "agentId"), false, id) &&
	    wake(call, text, is_now, key, KEY_REQUEST, id))
		reply_wake(call, is_now);
	free(text);
	free(key);
}

struct channel_find {
	const char			*name;
	const struct chela_channel_1	*found;
	char				 list[600];
};

static int
channel_look(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_channel_1	*c = vtable;
	struct channel_find		*f = arg;
	size_t				 n = strlen(f->list);

	(void)plugin;
	if ((c->flags & CHELA_CHANNEL_INTERNAL) != 0)
		return (0);
	(void)snprintf(f->list + n, sizeof f->list - n, "|%s", c->id);
	if (strcasecmp(c->id, f->name) == 0)
		f->found = c;
	return (0);
}

static bool
has_account(const struct chela_channel_1 *c, const char *account_id)
{
	struct json_object	*list = NULL;
	bool			 ok = false;
	size_t			 i;

	if (c->accounts(&list) < 0)
		return (false);
	for (i = 0; i < json_object_array_length(list) && !ok; i++)
		ok = is_str(json_object_array_get_idx(list, i), "accountId",
		    account_id);
	json_object_put(list);
	return (ok);
}

/*
 * The channel by its name ("last" or NULL: none in particular), ret_channel its
 * own spelling or NULL. False: answered.
 */
static bool
channel_of(struct call *call, const char *name, const char *to,
    const char *account_id, const char **ret_channel)
{
	struct channel_find	 f = { .name = name, .list = "last" };

	*ret_channel = NULL;
	if (name == NULL || strcasecmp(name, "last") == 0)
		return (true);
	(void)hooks.host->svc_each(hooks.ctx, CHELA_CHANNEL_SERVICE,
	    channel_look, &f);
	if (f.found == NULL) {
		call_error(call, 400, "channel must be %s", f.list);
		return (false);
	}
	if (to != NULL && (account_id != NULL ? !has_account(f.found,
	    account_id) : !f.found->configured())) {
		call_error(call, 400,
		    "Channel %s did not resolve an account.", f.found->id);
		return (false);
	}
	*ret_channel = f.found->id;
	return (true);
}

/* Where a direct request wants its answer. False: answered. */
static bool
delivery_of(struct call *call, const char *to, const char *account_id,
    struct hook_run *run)
{
	struct json_object	*p = call->payload;
	bool			 has_channel = has(p, "channel");
	char			*name = obj_trimmed(p, "channel");
	const char		*channel = NULL, *why = NULL;
	bool			 ok;

	if (has_channel && name == NULL)
		name = strdup("");
	ok = channel_of(call, name, to, account_id, &channel);
	free(name);
	if (!ok)
		return (false);
	if (!has_channel && !has(p, "to") && !has(p, "accountId"))
		return (true);
	if (has(p, "to") && to == NULL)
		why = "to must be a non-empty string for hook delivery";
	else if (has(p, "accountId") && account_id == NULL)
		why = "accountId must be a non-empty string for hook delivery";
	else if (account_id != NULL && (!has_channel || to == NULL))
		why = "accountId requires channel and to for hook delivery";
	else if (!has_channel || to == NULL)
		why = "channel and to must be set together for hook delivery";
	else if (channel == NULL)
		why = "channel must name a concrete channel for hook delivery";
	if (why != NULL) {
		call_error(call, 400, "%s", why);
		return (false);
	}
	run->channel = channel;
	run->to = to;
	run->account_id = account_id;
	return (true);
}

static int64_t
seconds_of(struct json_object *o)
{
	struct json_object	*v = get_any(o, "timeoutSeconds");
	double			 d;

	if (!json_object_is_type(v, json_type_int) &&
	    !json_object_is_type(v, json_type_double))
		return (0);
	d = floor(json_object_get_double(v));
	if (!(d > 0))
		return (0);
	return (d > TIMEOUT_MAX_S ? TIMEOUT_MAX_S : (int64_t)d);
}

/*
 * The identity of a request: digests of the token, of its path with what it
 * comes to, and of its key. What it comes to is decoded and written anew, so
 * that another spelling of the same request is the same. False: it has no key.
 */
static bool
replay_of(struct call *call, const char *key, const struct hook_run *run,
    const struct scope *scope, const char *channel,
    unsigned char ret[HOOKS_DIGEST])
{
	struct json_object	*o;
	unsigned char		 all[3 * HOOKS_DIGEST];
	const char		*text;

	if (key == NULL)
		return (false);
	o = json_object_new_object();
	(void)obj_add_str(o, "path", call->path);
	(void)obj_add_str(o, "agentId", scope->agent_id);
	(void)obj_add_str(o, "sessionKey", scope->session_key);
	(void)obj_add_str(o, "message", run->message);
	(void)obj_add_str(o, "name", run->name);
	(void)obj_add(o, "wakeMode", json_object_new_boolean(run->wakes_now));
	(void)obj_add(o, "sessionMode",
	    json_object_new_boolean(run->is_persistent));
	(void)obj_add(o, "deliver", json_object_new_boolean(run->is_delivered));
	(void)obj_add_str(o, "channel", channel);
	(void)obj_add_str(o, "to", run->to);
	(void)obj_add_str(o, "accountId", run->account_id);
	(void)obj_add_str(o, "model", run->model);
	(void)obj_add_str(o, "thinking", run->thinking);
	(void)obj_add(o, "timeoutSeconds",
	    json_object_new_int64(run->timeout_s));
	if (scope->is_batch)
		(void)obj_add(o, "occurrence",
		    json_object_new_int64(scope->occurrence));
	text = json_object_to_json_string_ext(o, JSON_PLAIN);
	if (text == NULL) {
		json_object_put(o);
		return (false);
	}
	memcpy(all, call->token, HOOKS_DIGEST);
	digest(text, strlen(text), all + HOOKS_DIGEST);
	digest(key, strlen(key), all + 2 * HOOKS_DIGEST);
	digest(all, sizeof all, ret);
	json_object_put(o);
	return (true);
}

/* Adds the run that the request means to the call. False: answered. */
static bool
begin(struct call *call, const struct hook_run *what,
    const unsigned char *replay)
{
	struct run	*run = NULL;
	int		 r = 0;

	if (replay != NULL)
		run = run_replayed(replay);
	if (run == NULL)
		r = run_new(what, replay, &run);
	if (r < 0) {
		call_error(call, 503, r == -EBUSY ?
		    "too many hook runs are under way" : "out of memory");
		return (false);
	}
	call->runs[call->n_runs++] = run;
	return (true);
}

static int
runs_room(struct call *call, size_t n)
{
	call->runs = calloc(n, sizeof *call->runs);
	if (call->runs != NULL)
		return (0);
	call_error(call, 503, "out of memory");
	return (-ENOMEM);
}

/* The texts of a direct request, without blanks around them. */
struct texts {
	char	*message;
	char	*name;
	char	*session_key;
	char	*to;
	char	*account_id;
	char	*model;
	char	*thinking;
};

static const struct {
	const char	*name;
	size_t		 at;
} text_members[] = {
	{ "message", offsetof(struct texts, message) },
	{ "name", offsetof(struct texts, name) },
	{ "sessionKey", offsetof(struct texts, session_key) },
	{ "to", offsetof(struct texts, to) },
	{ "accountId", offsetof(struct texts, account_id) },
	{ "model", offsetof(struct texts, model) },
	{ "thinking", offsetof(struct texts, thinking) },
};

static char **
text_at(struct texts *t, size_t i)
{
	return ((char **)(void *)((char *)t + text_members[i].at));
}

static void
texts_read(struct texts *t, struct json_object *o)
{
	size_t	 i;

	for (i = 0; i < sizeof text_members / sizeof text_members[0]; i++)
		*text_at(t, i) = obj_trimmed(o, text_members[i].name);
}

static void
texts_free(struct texts *t)
{
	size_t	 i;

	for (i = 0; i < sizeof text_members / sizeof text_members[0]; i++)
		free(*text_at(t, i));
}

/* The checks of the body alone, in their order. False: answered. */
static bool
agent_body(struct call *call, const struct texts *t, struct hook_run *run)
{
	struct json_object	*p = call->payload, *v;

	v = get_any(p, "waitForCompletion");
	if (has(p, "waitForCompletion") &&
	    !json_object_is_type(v, json_type_boolean)) {
		call_error(call, 400, "waitForCompletion must be boolean");
		return (false);
	}
	call->waits = json_object_get_boolean(v);
	if (t->message == NULL) {
		call_error(call, 400, "message required");
		return (false);
	}
	if (!agent_is_text(call))
		return (false);
	if (has(p, "sessionMode") && !is_str(p, "sessionMode", "isolated") &&
	    !is_str(p, "sessionMode", "persistent")) {
		call_error(call, 400,
		    "sessionMode must be isolated or persistent");
		return (false);
	}
	v = get_any(p, "deliver");
	run->is_delivered = !json_object_is_type(v, json_type_boolean) ||
	    json_object_get_boolean(v);
	if (run->is_delivered && !delivery_of(call, t->to, t->account_id, run))
		return (false);
	if (has(p, "model") && t->model == NULL) {
		call_error(call, 400, "model required");
		return (false);
	}
	run->message = t->message;
	run->name = t->name != NULL ? t->name : "Hook";
	run->model = t->model;
	run->thinking = t->thinking;
	run->timeout_s = seconds_of(p);
	run->is_persistent = is_str(p, "sessionMode", "persistent");
	run->wakes_now = !is_str(p, "wakeMode", "next-heartbeat");
	return (true);
}

static void
agent_begin(struct call *call, const struct texts *t, struct hook_run *run)
{
	unsigned char	 replay[HOOKS_DIGEST];
	struct scope	 scope = { .is_batch = false };
	char		 id[AGENT_SIZE], key[KEY_SIZE];
	bool		 has_replay;

	if (!agent_body(call, t, run) || !agent_of(call,
	    get_str(call->payload, "agentId"), false, id))
		return;
	if (run->is_persistent && t->session_key == NULL) {
		call_error(call, 400,
		    "sessionKey is required when sessionMode is persistent");
		return;
	}
	if (!session_of(call, t->session_key, KEY_REQUEST, id, key))
		return;
	if (run->is_persistent && hooks.conf.prefixes == NULL) {
		call_error(call, 400, "hooks.allowedSessionKeyPrefixes is "
		    "required when direct hook sessionMode is persistent");
		return;
	}
	run->agent_id = id;
	run->session_key = key;
	scope.agent_id = id;
	scope.session_key = t->session_key != NULL ? t->session_key :
	    hooks.conf.default_key;
	has_replay = replay_of(call, call->idempotency, run, &scope,
	    run->channel, replay);
	if (runs_room(call, 1) == 0 &&
	    begin(call, run, has_replay ? replay : NULL)) {
		run_keep(call->runs[0]);
		call_check(call);
	}
}

void
dispatch_agent(struct call *call)
{
	struct hook_run	 run = { .message = NULL };
	struct texts	 t;

	texts_read(&t, call->payload);
	agent_begin(call, &t, &run);
	texts_free(&t);
}

/*
 * "last" of a mapping: where the agent's main session was answered last. The
 * entry lends the texts; gives it, or NULL: nowhere yet.
 */
static struct json_object *
last_route(const char *agent_id, struct hook_run *run)
{
	const struct chela_sessions_1	*sessions;
	struct json_object		*entry = NULL;
	char				 key[KEY_SIZE];

	sessions = hooks_service(CHELA_SESSIONS_SERVICE);
	if (sessions == NULL || sessions->main_key(agent_id, key) < 0 ||
	    sessions->get(key, &entry) < 0)
		return (NULL);
	run->channel = get_str(entry, "lastChannel");
	if (run->to == NULL)
		run->to = get_str(entry, "lastTo");
	if (run->to == NULL)
		run->channel = NULL;
	if (run->channel != NULL)
		run->account_id = get_str(entry, "lastAccountId");
	return (entry);
}

/* How many earlier actions of the batch are the same to the letter. */
static int64_t
occurrence_of(struct json_object *actions, size_t n)
{
	struct json_object	*a = json_object_array_get_idx(actions, n);
	int64_t			 count = 0;
	size_t			 i;

	for (i = 0; i < n; i++)
		count += json_object_equal(json_object_array_get_idx(actions,
		    i), a);
	return (count);
}

/* One action of kind agent. False: answered. */
static bool
mapped_agent(struct call *call, struct json_object *actions, size_t n)
{
	struct json_object	*a = json_object_array_get_idx(actions, n), *v;
	struct json_object	*entry = NULL;
	struct hook_run		 run = { .message = get_str(a, "message") };
	struct scope		 scope = { .is_batch = call->is_batch };
	unsigned char		 replay[HOOKS_DIGEST];
	const char		*key, *asked = get_str(a, "sessionKey");
	const char		*channel;
	char			 id[AGENT_SIZE], session[KEY_SIZE];
	bool			 has_replay, ok;

	v = get_any(a, "deliver");
	run.is_delivered = !json_object_is_type(v, json_type_boolean) ||
	    json_object_get_boolean(v);
	run.to = get_str(a, "to");
	if (!channel_of(call, get_str(a, "channel"), run.is_delivered ?
	    run.to : NULL, NULL, &channel) || !agent_of(call, get_str(a,
	    "agentId"), true, id))
		return (false);
	run.is_persistent = is_str(a, "sessionMode", "persistent");
	if (run.is_persistent && asked == NULL &&
	    hooks.conf.default_key == NULL) {
		call_error(call, 400, "sessionKey or hooks.defaultSessionKey "
		    "is required when mapped hook sessionMode is persistent");
		return (false);
	}
	if (!session_of(call, asked, is_str(a, "sessionKeySource", "static") ?
	    KEY_STATIC : KEY_REQUEST, id, session))
		return (false);
	run.name = get_str(a, "name");
	if (run.name == NULL || is_blank(run.name))
		run.name = "Hook";
	run.agent_id = id;
	run.session_key = session;
	run.model = get_str(a, "model");
	run.thinking = get_str(a, "thinking");
	run.timeout_s = seconds_of(a);
	run.wakes_now = !is_str(a, "wakeMode", "next-heartbeat");
	run.is_raw = json_object_get_boolean(get_any(a,
	    "allowUnsafeExternalContent"));
	run.is_batch = call->is_batch;
	scope.agent_id = id;
	scope.session_key = asked != NULL ? asked : hooks.conf.default_key;
	if (call->is_batch)
		scope.occurrence = occurrence_of(actions, n);
	/* Parts of a batch are told apart also without a key. */
	key = call->idempotency != NULL || !call->is_batch ?
	    call->idempotency : "hook-fanout-item";
	has_replay = replay_of(call, key, &run, &scope, channel, replay);
	if (run.is_delivered && channel == NULL)
		entry = last_route(id, &run);
	else if (run.is_delivered && run.to != NULL)
		run.channel = channel;
	ok = begin(call, &run, has_replay ? replay : NULL);
	json_object_put(entry);
	return (ok);
}

static bool
mapped_wake(struct call *call, struct json_object *a)
{
	char	 id[AGENT_SIZE];

	return (agent_of(call, get_str(a, "agentId"), true, id) && wake(call,
	    get_str(a, "text"), !is_str(a, "mode", "next-heartbeat"),
	    get_str(a, "sessionKey"), is_str(a, "sessionKeySource", "static") ?
	    KEY_STATIC : KEY_REQUEST, id));
}

static void
batch_is_late(struct chela_ctx *ctx, void *arg)
{
	struct call	*call = arg;

	(void)ctx;
	call->is_late = true;
	ingress_changed();
}

/* All of a request or nothing: the others do not run either. */
static void
drop_all(struct call *call)
{
	size_t	 i;

	for (i = 0; i < call->n_runs; i++)
		run_drop(call->runs[i]);
}

void
dispatch_mapped(struct call *call, struct json_object *actions)
{
	struct json_object	*a = NULL;
	size_t			 i, n = json_object_array_length(actions);
	bool			 is_now = true, ok;

	if (n == 0) {
		call_text(call, 204, "");
		return;
	}
	if (runs_room(call, n) < 0)
		return;
	for (i = 0; i < n; i++) {
		a = json_object_array_get_idx(actions, i);
		if (is_str(a, "kind", "wake")) {
			ok = mapped_wake(call, a);
			is_now = !is_str(a, "mode", "next-heartbeat");
		} else {
			ok = mapped_agent(call, actions, i);
		}
		if (!ok) {
			drop_all(call);
			return;
		}
	}
	for (i = 0; i < call->n_runs; i++)
		run_keep(call->runs[i]);
	if (call->n_runs == 0) {
		reply_wake(call, is_now);
		return;
	}
	if (call->is_batch) {
		call->timer = hooks.host->timer_new(hooks.ctx, batch_is_late,
		    call);
		if (call->timer != NULL)
			(void)hooks.host->timer_set(call->timer,
			    HOOKS_BATCH_US);
	}
	call_check(call);
}
