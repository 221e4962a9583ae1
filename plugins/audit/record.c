/* SPDX-License-Identifier: MIT */
/*
 * What becomes an event: the members are named here one by one, so that nothing
 * else can get in; texts are cut and cleaned. Repeated security events are counted.
 */
#include "audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_US	UINT64_C(60000000)
#define REPEATS_MAX	64u		/* kinds of events that are counted */
#define RECENT_MAX	512u		/* source ids that are remembered */
#define KEY_MAX		512u

struct repeat {
	char		 key[KEY_MAX];		/* "" : free */
	char		 action[64], status[32], type[32];
	char		 id[CHELA_AUDIT_TEXT_MAX + 1];
	uint64_t	 since_us;
	uint64_t	 n;			/* after the first */
};

static struct repeat		 repeats[REPEATS_MAX + 1];	/* last: others */
static uint64_t			 recent[RECENT_MAX];
static size_t			 recent_at;
static uint64_t			 n_source;
static struct chela_timer	*timer;

static const struct {
	const char	*status;
	const char	*run_error, *tool_error;
} endings[] = {
	{ "succeeded", NULL, NULL },
	{ "failed", "run_failed", "tool_failed" },
	{ "cancelled", "run_cancelled", "tool_cancelled" },
	{ "timed_out", "run_timed_out", "tool_timed_out" },
	{ "blocked", "run_blocked", "tool_blocked" },
	{ "unknown", NULL, "tool_outcome_unknown" },
};

bool
record_is_on(void)
{
	struct json_object	*conf, *v;

	conf = audit.host->conf_path(audit.ctx, "logging.audit");
	v = get_any(conf, "enabled");
	return (v == NULL || json_object_get_boolean(v));
}

/* What would end the line, move the cursor, turn the text or not be seen. */
static const struct range hidden[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },
	{ 0x034f, 0x034f }, { 0x061c, 0x061c }, { 0x115f, 0x1160 },
	{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x200b, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
	{ 0xfff0, 0xffff }, { 0xe0000, 0x10ffff },
};

/*
 * One line of text that is what it looks like: a question mark stands for each
 * character that is not. A character is not cut in two.
 */
static struct json_object *
text_new(const char *s)
{
	char		 out[CHELA_AUDIT_TEXT_MAX + 1];
	const char	*end = s + strlen(s), *from;
	size_t		 n = 0, len;
	bool		 is_hidden;

	while (s < end) {
		from = s;
		is_hidden = range_has(hidden, sizeof hidden /
		    sizeof hidden[0], next_char(&s, end));
		len = is_hidden ? 1 : (size_t)(s - from);
		if (n + len > CHELA_AUDIT_TEXT_MAX)
			break;
		memcpy(out + n, is_hidden ? "?" : from, len);
		n += len;
	}
	out[n] = '\0';
	return (json_object_new_string(out));
}

void
add_text(struct json_object *o, const char *key, const char *s)
{
	if (s != NULL && *s != '\0')
		json_object_object_add(o, key, text_new(s));
}

struct json_object *
event_new(const char *type)
{
	struct json_object	*o = json_object_new_object();
	char			 id[37];

	audit.host->uuid(id);
	if (type != NULL)
		json_object_object_add(o, "eventType",
		    json_object_new_string(type));
	json_object_object_add(o, "schemaVersion", json_object_new_int(1));
	json_object_object_add(o, "eventId", json_object_new_string(id));
	json_object_object_add(o, "sourceSequence", json_object_new_int64(
	    (int64_t)++n_source));
	json_object_object_add(o, "occurredAt", json_object_new_int64(
	    (int64_t)audit.host->wall_ms()));
	json_object_object_add(o, "redaction",
	    json_object_new_string("metadata_only"));
	return (o);
}

void
add_actor(struct json_object *o, const char *type, const char *id)
{
	struct json_object	*a = json_object_new_object();

	add_text(a, "type", type != NULL && *type != '\0' ? type : "system");
	add_text(a, "id", id != NULL && *id != '\0' ? id : "gateway");
	json_object_object_add(o, "actor", a);
}

/* FNV-1a: a collision only loses a repetition's twin among the last few. */
static bool
is_recent(const char *id)
{
	uint64_t	 h = UINT64_C(14695981039346656037);
	size_t		 i;

	for (; *id != '\0'; id++)
		h = (h ^ (unsigned char)*id) * UINT64_C(1099511628211);
	h |= 1;
	for (i = 0; i < RECENT_MAX; i++) {
		if (recent[i] == h)
			return (true);
	}
	recent[recent_at] = h;
	recent_at = (recent_at + 1) % RECENT_MAX;
	return (false);
}

int
record_action(struct chela_ctx *ctx, const struct chela_audit_action *a)
{
	struct json_object	*o;
	const char		*error = NULL;
	bool			 is_start;
	size_t			 i = 0, n = sizeof endings / sizeof endings[0];

	(void)ctx;
	if (a->struct_size < sizeof *a || a->status == NULL ||
	    a->agent_id == NULL || *a->agent_id == '\0' || a->run_id == NULL ||
	    *a->run_id == '\0')
		return (-EINVAL);
	is_start = strcmp(a->status, "started") == 0;
	if (!is_start) {
		while (i < n && strcmp(endings[i].status, a->status) != 0)
			i++;
		if (i == n)
			return (-EINVAL);
		error = a->is_tool ? endings[i].tool_error :
		    endings[i].run_error;
		if (error == NULL && i > 0)
			return (-EINVAL);	/* a run does end somehow */
	}
	if (!record_is_on() || (a->source_id != NULL && is_recent(a->source_id)))
		return (0);
	o = event_new(a->is_tool ? "tool_action" : "agent_run");
	json_object_object_add(o, "kind", json_object_new_string(a->is_tool ?
	    "tool_action" : "agent_run"));
	json_object_object_add(o, "action", json_object_new_string(
	    a->is_tool ? is_start ? "tool.action.started" :
	    "tool.action.finished" : is_start ? "agent.run.started" :
	    "agent.run.finished"));
	add_text(o, "status", a->status);
	add_text(o, "errorCode", error);
	add_actor(o, "agent", a->agent_id);
	add_text(o, "agentId", a->agent_id);
	add_text(o, "sessionKey", a->session_key);
	add_text(o, "sessionId", a->session_id);
	add_text(o, "runId", a->run_id);
	if (a->is_tool) {
		add_text(o, "toolCallId", a->tool_call_id);
		add_text(o, "toolName", a->tool_name);
	}
	return (ledger_add(o));
}

/* --- security --- */

static int
security_write(const char *action, const char *status, const char *type,
    const char *id, const char *detail, uint64_t count)
{
	struct json_object	*o = event_new(NULL);

	json_object_object_add(o, "kind", json_object_new_string("security"));
	add_text(o, "action", action);
	add_text(o, "status", status);
	add_actor(o, type, id);
	add_text(o, "detail", detail);
	if (count > 1)
		json_object_object_add(o, "count",
		    json_object_new_int64((int64_t)count));
	return (ledger_add(o));
}

static void
repeat_end(struct repeat *r)
{
	if (r->n > 0)
		(void)security_write(r->action, r->status, r->type, r->id,
		    "repeated", r->n);
	r->key[0] = '\0';
	r->n = 0;
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	uint64_t	 now = audit.host->now_us();
	bool		 is_left = false;
	size_t		 i;

	(void)ctx;
	(void)arg;
	for (i = 0; i <= REPEATS_MAX; i++) {
		if (repeats[i].key[0] == '\0')
			continue;
		if (now - repeats[i].since_us >= WINDOW_US)
			repeat_end(&repeats[i]);
		else
			is_left = true;
	}
	if (is_left)
		(void)audit.host->timer_set(timer, WINDOW_US / 4);
}

int
record_security(struct chela_ctx *ctx, const struct chela_audit_security *s)
{
	char		 key[KEY_MAX];
	struct repeat	*r = NULL;
	size_t		 i;

	(void)ctx;
	if (s->struct_size < sizeof *s || s->action == NULL ||
	    *s->action == '\0' || s->status == NULL || *s->status == '\0')
		return (-EINVAL);
	if (!record_is_on())
		return (0);
	if ((s->flags & CHELA_AUDIT_EACH) != 0)
		return (security_write(s->action, s->status, s->actor_type,
		    s->actor_id, s->detail, 1));
	(void)snprintf(key, sizeof key, "%s\n%s\n%s\n%.256s", s->action,
	    s->status, s->actor_type != NULL ? s->actor_type : "",
	    s->actor_id != NULL ? s->actor_id : "");
	for (i = 0; i < REPEATS_MAX; i++) {
		if (strcmp(repeats[i].key, key) == 0) {
			repeats[i].n++;
			return (0);
		}
		if (r == NULL && repeats[i].key[0] == '\0')
			r = &repeats[i];
	}
	if (r == NULL) {
		/* Too many kinds at once: the rest is one number. */
		r = &repeats[REPEATS_MAX];
		r->n++;
		if (r->key[0] != '\0')
			return (0);
		r->since_us = audit.host->now_us();
		(void)snprintf(r->key, sizeof r->key, "others");
		(void)snprintf(r->action, sizeof r->action, "security.others");
		(void)snprintf(r->status, sizeof r->status, "unknown");
		(void)snprintf(r->type, sizeof r->type, "system");
		(void)snprintf(r->id, sizeof r->id, "gateway");
		(void)audit.host->timer_set(timer, WINDOW_US / 4);
		return (0);
	}
	*r = (struct repeat){ .since_us = audit.host->now_us() };
	memcpy(r->key, key, sizeof key);
	(void)snprintf(r->action, sizeof r->action, "%s", s->action);
	(void)snprintf(r->status, sizeof r->status, "%s", s->status);
	(void)snprintf(r->type, sizeof r->type, "%s", s->actor_type != NULL ?
	    s->actor_type : "");
	(void)snprintf(r->id, sizeof r->id, "%s", s->actor_id != NULL ?
	    s->actor_id : "");
	(void)audit.host->timer_set(timer, WINDOW_US / 4);
	return (security_write(s->action, s->status, s->actor_type, s->actor_id,
	    s->detail, 1));
}

int
record_open(void)
{
	memset(repeats, 0, sizeof repeats);
	memset(recent, 0, sizeof recent);
	recent_at = 0;
	/* Rising over restarts, without a write for each. */
	n_source = audit.host->wall_ms();
	timer = audit.host->timer_new(audit.ctx, on_timer, NULL);
	return (timer == NULL ? -ENOMEM : 0);
}

void
record_close(void)
{
	size_t	 i;

	for (i = 0; i <= REPEATS_MAX; i++) {
		if (repeats[i].key[0] != '\0')
			repeat_end(&repeats[i]);
	}
	if (timer != NULL)
		audit.host->timer_free(timer);
	timer = NULL;
}
