/* SPDX-License-Identifier: MIT */
/*
 * The row that lists show of a session. Its unchanging part is kept as text;
 * what a run changes (status, active runs) is written behind it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sessions_priv.h"

/* Members of an entry that its row shows under the same name. */
static const char *const row_members[] = {
	"label", "displayName", "icon", "color", "category", "boardFace",
	"statusNote", "attention", "subject", "channel", "accountId",
	"groupId", "groupChannel", "space", "chatType", "archivedAt", "pinned",
	"pinnedAt", "unread", "lastReadAt", "markedUnreadAt",
	"lastInteractionAt", "lastRunId", "lastRunError", "spawnedBy",
	"parentSessionKey", "createdAt", "createdVia", "thinkingLevel",
	"fastMode", "verboseLevel", "traceLevel", "reasoningLevel",
	"elevatedLevel", "responseUsage", "sendPolicy", "queueMode",
	"groupActivation", "execHost", "execNode", "execCwd",
	"permissionMode", "inputTokens", "outputTokens", "totalTokens",
	"contextTokens", "estimatedCostUsd", "model", "modelProvider",
	"abortedLastRun", "systemSent", "lastChannel", "lastTo",
	"lastAccountId", "lifecycleRevision", "sessionStartedAt", "runtimeMs",
	"startedAt", "endedAt",
};

const char *
status_name(uint32_t status)
{
	static const char *const names[] = {
		[CHELA_RUN_NONE] = "none",
		[CHELA_RUN_QUEUED] = "queued",
		[CHELA_RUN_RUNNING] = "running",
		[CHELA_RUN_DONE] = "done",
		[CHELA_RUN_FAILED] = "failed",
		[CHELA_RUN_KILLED] = "killed",
		[CHELA_RUN_TIMEOUT] = "timeout",
	};

	if (status >= sizeof names / sizeof names[0])
		return ("killed");
	return (names[status]);
}

/* Makes the cached text: an object without its closing brace. */
static int
row_build(struct sess *s)
{
	struct json_object	*entry = NULL, *row, *v;
	const char		*text, *chat_type;
	size_t			 i, len;
	int			 r;

	r = entry_get(s, &entry);
	if (r < 0)
		return (r);
	row = json_object_new_object();
	chat_type = get_str(entry, "chatType");
	set_str(row, "key", s->key);
	set_str(row, "sessionId", s->id);
	set_str(row, "kind", key_kind(s->key, chat_type));
	set_str(row, "agentId", s->agent);
	json_object_object_add(row, "isMain",
	    json_object_new_boolean(s->is_main));
	set_int(row, "updatedAt", (int64_t)s->updated_ms);
	json_object_object_add(row, "archived",
	    json_object_new_boolean(s->archived));
	json_object_object_add(row, "pinned", json_object_new_boolean(0));
	json_object_object_add(row, "unread", json_object_new_boolean(0));
	if (strcmp(get_str(row, "kind"), "direct") == 0)
		set_str(row, "chatType", "direct");
	for (i = 0; i < sizeof row_members / sizeof row_members[0]; i++) {
		v = get_any(entry, row_members[i]);
		if (v != NULL)
			json_object_object_add(row, row_members[i],
			    json_object_get(v));
	}
	if (get_any(entry, "totalTokens") != NULL)
		json_object_object_add(row, "totalTokensFresh",
		    json_object_new_boolean(1));
	if (get_str(entry, "modelOverride") != NULL) {
		set_str(row, "modelOverrideSource", "user");
		set_str(row, "modelOverride", get_str(entry, "modelOverride"));
		set_str(row, "providerOverride",
		    get_str(entry, "providerOverride"));
	}
	text = json_object_to_json_string_length(row,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	free(s->row);
	s->row = text != NULL ? strdup(text) : NULL;
	s->row_len = s->row != NULL ? len - 1 : 0;
	json_object_put(row);
	json_object_put(entry);
	return (s->row != NULL ? 0 : -ENOMEM);
}

static void
write_string(FILE *out, const char *text)
{
	struct json_object *o = json_object_new_string(text);

	fputs(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
	    JSON_C_TO_STRING_NOSLASHESCAPE), out);
	json_object_put(o);
}

/* "1a2b3c4d (2026-01-31)", for a session without any name. */
static void
write_fallback_title(struct sess *s, FILE *out)
{
	time_t		 t = (time_t)(s->updated_ms / 1000);
	struct tm	 tm;
	char		 text[48], day[16];

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(day, sizeof day, "%Y-%m-%d", &tm) == 0)
		day[0] = '\0';
	(void)snprintf(text, sizeof text, "%.8s (%s)", s->id, day);
	write_string(out, text);
}

static void
write_title(struct sess *s, FILE *out)
{
	struct json_object	*entry = NULL;
	const char		*name = NULL;

	fputs(",\"derivedTitle\":", out);
	if (entry_get(s, &entry) == 0) {
		name = get_str(entry, "displayName");
		if (name == NULL)
			name = get_str(entry, "subject");
	}
	if (name == NULL)
		name = s->title;
	if (name != NULL)
		write_string(out, name);
	else
		write_fallback_title(s, out);
	json_object_put(entry);
}

int
row_write(struct sess *s, uint32_t flags, FILE *out)
{
	uint32_t	 i;
	int		 r;

	if (s->row == NULL) {
		r = row_build(s);
		if (r < 0)
			return (r);
	}
	fwrite(s->row, 1, s->row_len, out);
	if (s->status != CHELA_RUN_NONE)
		fprintf(out, ",\"status\":\"%s\"", status_name(s->status));
	fprintf(out, ",\"hasActiveRun\":%s,\"activeRunIds\":[",
	    s->n_runs > 0 ? "true" : "false");
	for (i = 0; i < s->n_runs; i++) {
		if (i > 0)
			fputc(',', out);
		write_string(out, s->runs[i].id);
	}
	fputc(']', out);
	if (flags & ROW_TITLE)
		write_title(s, out);
	if ((flags & ROW_PREVIEW) && s->preview != NULL) {
		fputs(",\"lastMessagePreview\":", out);
		write_string(out, s->preview);
	}
	fputc('}', out);
	return (0);
}

struct json_object *
row_object(struct sess *s, uint32_t flags)
{
	struct json_object	*row = NULL;
	char			*text = NULL;
	size_t			 len = 0;
	FILE			*out = open_memstream(&text, &len);

	if (out == NULL)
		return (NULL);
	if (row_write(s, flags, out) == 0 && fflush(out) == 0)
		row = json_tokener_parse(text);
	(void)fclose(out);
	free(text);
	return (row);
}

static int
models_take(const char *plugin, const void *vtable, void *arg)
{
	const struct chela_models_1 **ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

const struct chela_models_1 *
models_get(void)
{
	const struct chela_models_1 *m = NULL;

	(void)sessions.host->svc_each(sessions.ctx, CHELA_MODELS_SERVICE,
	    models_take, &m);
	return (m);
}

/* The configured window of the model, for lists; NULL members: not known. */
struct json_object *
row_defaults(const char *agent_id)
{
	struct chela_model_ref	 ref = { .struct_size = sizeof ref };
	const struct chela_models_1 *models = models_get();
	struct json_object	*o = json_object_new_object();
	const char		*why = NULL;

	if (models != NULL &&
	    models->resolve(NULL, agent_id, &ref, &why) >= 0) {
		set_str(o, "modelProvider", ref.provider);
		set_str(o, "model", ref.model);
		json_object_object_add(o, "contextTokens",
		    ref.context_window > 0 ?
		    json_object_new_int64(ref.context_window) : NULL);
		json_object_put(ref.provider_conf);
		json_object_put(ref.model_conf);
	} else {
		json_object_object_add(o, "modelProvider", NULL);
		json_object_object_add(o, "model", NULL);
		json_object_object_add(o, "contextTokens", NULL);
	}
	return (o);
}

void
row_spread(struct json_object *o, struct json_object *row)
{
	json_object_object_foreach(row, name, val) {
		/* What the event says itself stands. */
		if (!json_object_object_get_ex(o, name, NULL))
			json_object_object_add(o, name, json_object_get(val));
	}
}

void
changed_emit(struct sess *s, const char *phase, const char *reason,
    const char *run_id)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct json_object	*o = json_object_new_object(), *row;

	set_str(o, "sessionKey", s->key);
	set_str(o, "key", s->key);
	set_str(o, "agentId", s->agent);
	set_str(o, "sessionId", s->id);
	set_str(o, "phase", phase);
	set_str(o, "reason", reason);
	set_str(o, "runId", run_id);
	set_int(o, "ts", (int64_t)sessions.host->wall_ms());
	row = row_object(s, ROW_TITLE | ROW_PREVIEW);
	row_spread(o, row);
	json_object_object_add(o, "session", row);
	opt.topic = "sessions";
	(void)sessions.host->emit(sessions.ctx, "sessions.changed", o, &opt);
}
