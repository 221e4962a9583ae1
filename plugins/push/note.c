/* SPDX-License-Identifier: MIT */
/*
 * What is told, and to whom. A message says that there is something to look at,
 * never what: it crosses the push service of somebody else.
 */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX	80u		/* bytes of a name in a message */
#define RECENT_MAX	256u
#define RECENT_US	UINT64_C(300000000)

#define NEEDS_READ	0x1u
#define NEEDS_APPROVALS	0x2u
#define NEEDS_QUESTIONS	0x4u

/* By category. */
static const struct {
	unsigned	 needs;
	bool		 is_urgent;
	const char	*title, *body;
	const char	*path;		/* where there is no other */
} kinds[] = {
	[CHELA_PUSH_APPROVAL] = { NEEDS_READ | NEEDS_APPROVALS, true,
	    "Approval wanted", "Something waits for your decision.",
	    "sessions" },
	[CHELA_PUSH_FINISHED] = { NEEDS_READ, false, "Agent is done",
	    "There is an answer to read.", "sessions" },
	[CHELA_PUSH_QUESTION] = { NEEDS_READ | NEEDS_QUESTIONS, false,
	    "Agent has a question", "It waits for your answer.", "sessions" },
	[CHELA_PUSH_MENTION] = { NEEDS_READ, false, "You were mentioned",
	    "Somebody named you in a conversation.", "sessions" },
	[CHELA_PUSH_SCHEDULED] = { NEEDS_READ, true, "Scheduled job failed",
	    "It needs a look.", "automations" },
	[CHELA_PUSH_BACKGROUND] = { NEEDS_READ, true, "Background task failed",
	    "It needs a look.", "tasks" },
};

#define KINDS_N	(sizeof kinds / sizeof kinds[0])

/* What has been told lately: the same again is not. */
static struct {
	uint8_t		 hash[32];
	uint64_t	 at_us;		/* 0: free */
} recent[RECENT_MAX];
static size_t	 recent_at;

void
note_open(void)
{
	memset(recent, 0, sizeof recent);
	recent_at = 0;
}

static bool
is_repeated(const struct note *n)
{
	char		 text[CHELA_PUSH_TAG_MAX + 32];
	uint8_t		 hash[32];
	uint64_t	 now = push.host->now_us() + 1;
	size_t		 i;

	(void)snprintf(text, sizeof text, "%u %d %s", n->category, n->is_over,
	    n->tag);
	if (wp_sha256(text, strlen(text), hash) < 0)
		return (false);
	for (i = 0; i < RECENT_MAX; i++) {
		if (recent[i].at_us != 0 && now - recent[i].at_us < RECENT_US &&
		    memcmp(recent[i].hash, hash, sizeof hash) == 0)
			return (true);
	}
	memcpy(recent[recent_at].hash, hash, sizeof hash);
	recent[recent_at].at_us = now;
	recent_at = (recent_at + 1) % RECENT_MAX;
	return (false);
}

/* A path below the console's, the id with all that is not plain as %XX. */
static char *
url_of(const char *path, const char *id)
{
	struct json_object	*base;
	const char		*s;
	char			*url, *w;
	size_t			 n, size;

	base = push.host->conf_path(push.ctx, "gateway.controlUi.basePath");
	s = json_object_is_type(base, json_type_string) ?
	    json_object_get_string(base) : "";
	n = strlen(s);
	while (n > 0 && s[n - 1] == '/')
		n--;
	size = n + strlen(path) + 3 * strlen(id) + 2;
	url = malloc(size);
	if (url == NULL)
		return (NULL);
	w = url + snprintf(url, size, "%.*s/%s", (int)n, s, path);
	for (; *id != '\0'; id++) {
		unsigned char	c = (unsigned char)*id;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || strchr("-_.~", c) != NULL)
			*w++ = (char)c;
		else
			w += snprintf(w, 4, "%%%02X", c);
	}
	*w = '\0';
	return (url);
}

void
note_put(struct note *n)
{
	if (n == NULL || --n->refs > 0)
		return;
	free(n->tag);
	free(n->agent_id);
	free(n->name);
	free(n->url);
	free(n->approval);
	free(n);
}

static int
copy(char **to, const char *s)
{
	if (s == NULL || *s == '\0')
		return (0);
	*to = strdup(s);
	return (*to == NULL ? -ENOMEM : 0);
}

struct note *
note_new(const struct chela_push_note *spec, const char *approval,
    uint32_t ttl_s, bool is_over)
{
	struct note	*n = calloc(1, sizeof *n);
	uint8_t		 hash[32];
	char		*topic = NULL;

	if (n == NULL)
		return (NULL);
	n->refs = 1;
	n->category = spec->category;
	n->ttl_s = ttl_s;
	n->is_over = is_over;
	n->url = url_of(spec->path != NULL ? spec->path :
	    kinds[spec->category].path, spec->path != NULL &&
	    spec->path_id != NULL ? spec->path_id : "");
	if (wp_sha256(spec->tag, strlen(spec->tag), hash) == 0)
		topic = wp_base64(hash, sizeof hash);
	if (topic == NULL || n->url == NULL || copy(&n->tag, spec->tag) < 0 ||
	    copy(&n->agent_id, spec->agent_id) < 0 ||
	    copy(&n->name, spec->name) < 0 ||
	    copy(&n->approval, approval) < 0) {
		free(topic);
		note_put(n);
		return (NULL);
	}
	(void)snprintf(n->topic, sizeof n->topic, "%.32s", topic);
	free(topic);
	return (n);
}

/* --- to whom --- */

static unsigned
scopes_of(struct json_object *list)
{
	static const struct {
		const char	*name;
		unsigned	 bits;
	} known[] = {
		{ "operator.admin", NEEDS_READ | NEEDS_APPROVALS |
		    NEEDS_QUESTIONS },
		{ "operator.read", NEEDS_READ },
		{ "operator.write", NEEDS_READ },
		{ "operator.approvals", NEEDS_APPROVALS },
		{ "operator.questions", NEEDS_QUESTIONS },
	};
	const char	*s;
	unsigned	 bits = 0;
	size_t		 i, k;

	for (i = 0; json_object_is_type(list, json_type_array) &&
	    i < json_object_array_length(list); i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		for (k = 0; s != NULL && k < sizeof known / sizeof known[0];
		    k++) {
			if (strcmp(known[k].name, s) == 0)
				bits |= known[k].bits;
		}
	}
	return (bits);
}

/* Is its device still paired, and may it know of this? */
static bool
is_allowed(const struct note *n, struct json_object *sub)
{
	struct json_object	*device = NULL, *tokens, *t;
	const char		*id = get_str(sub, "deviceId"), *role;
	unsigned		 have = 0;
	size_t			 i;

	if (id == NULL || push.access == NULL ||
	    push.access->device(id, &device) < 0)
		return (false);
	tokens = get_any(device, "tokens");
	for (i = 0; json_object_is_type(tokens, json_type_array) &&
	    i < json_object_array_length(tokens); i++) {
		t = json_object_array_get_idx(tokens, i);
		role = get_str(t, "role");
		if (role != NULL && strcmp(role, "operator") == 0 &&
		    get_any(t, "revokedAtMs") == NULL)
			have |= scopes_of(get_any(t, "scopes"));
	}
	json_object_put(device);
	return ((have & kinds[n->category].needs) == kinds[n->category].needs);
}

static bool
is_agent_wanted(const struct note *n, struct json_object *list)
{
	const char	*s;
	size_t		 i;

	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0)
		return (true);
	for (i = 0; n->agent_id != NULL && i < json_object_array_length(list);
	    i++) {
		s = json_object_get_string(json_object_array_get_idx(list, i));
		if (s != NULL && strcmp(s, n->agent_id) == 0)
			return (true);
	}
	return (false);
}

/* 1: it is the time of quiet; 0; -EAGAIN. */
static int
is_quiet(struct json_object *quiet)
{
	int64_t		 from = get_int(quiet, "startMinute", 0);
	int64_t		 to = get_int(quiet, "endMinute", 0);
	const char	*zone = get_str(quiet, "timeZone");
	int		 now;

	if (!get_bool(quiet, "enabled", false) || from == to)
		return (0);
	now = zone_minute(zone != NULL ? zone : "UTC", push.host->wall_ms());
	if (now == -EAGAIN)
		return (-EAGAIN);
	if (now < 0)
		return (0);
	return (from < to ? now >= from && now < to : now >= from || now < to);
}

int
note_check(const struct note *n, struct json_object *sub)
{
	struct json_object	*p;
	int			 r = -EACCES;

	if (!is_allowed(n, sub))
		return (-EACCES);
	/* That it is over takes back what is on a screen already. */
	if (n->is_over)
		return (0);
	if (n->approval != NULL && !approval_is_open(n->approval))
		return (-EACCES);
	p = prefs_effective(sub);
	if (get_bool(p, "enabled", true) && get_bool(get_any(p, "categories"),
	    prefs_category(n->category), false) &&
	    is_agent_wanted(n, get_any(p, "agentIds"))) {
		r = is_quiet(get_any(p, "quietHours"));
		r = r > 0 ? -EACCES : r;
	}
	json_object_put(p);
	return (r);
}

/* --- what --- */

/* A name as it may be shown: bounded, one line. */
static void
label_of(const char *s, char ret[LABEL_MAX + 1])
{
	size_t	n = 0;

	for (; s != NULL && *s != '\0' && n < LABEL_MAX; s++) {
		if ((unsigned char)*s >= ' ' && *s != 0x7f)
			ret[n++] = *s;
	}
	/* Not in the middle of a character. */
	if (s != NULL && ((unsigned char)*s & 0xc0) == 0x80) {
		while (n > 0 && ((unsigned char)ret[n - 1] & 0xc0) == 0x80)
			n--;
		n -= n > 0;
	}
	ret[n] = '\0';
}

char *
note_payload(const struct note *n, struct json_object *sub)
{
	struct json_object	*p = prefs_effective(sub), *o;
	const char		*detail = get_str(p, "detailLevel");
	const char		*said = n->is_over ? "It has been decided, or its "
	    "time is over." : kinds[n->category].body;
	char			 label[LABEL_MAX + 1], who[LABEL_MAX + 1];
	char			 title[2 * LABEL_MAX], body[3 * LABEL_MAX];
	char			*text;

	label_of(get_str(get_any(sub, "preferences"), "label"), label);
	label_of(n->name != NULL ? n->name : n->agent_id, who);
	if (detail == NULL || strcmp(detail, "private") == 0)
		who[0] = '\0';
	(void)snprintf(title, sizeof title, "%s%s%s", label,
	    *label != '\0' ? ": " : "", n->is_over ? "Approval closed" :
	    kinds[n->category].title);
	(void)snprintf(body, sizeof body, "%s%s%s", who,
	    *who != '\0' ? ": " : "", said);
	o = json_object_new_object();
	set_str(o, "title", title);
	set_str(o, "body", body);
	set_str(o, "tag", n->tag);
	set_bool(o, "renotify", false);
	set_str(o, "url", n->url);
	text = strdup(json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	json_object_put(p);
	return (text);
}

bool
note_is_urgent(const struct note *n)
{
	return (kinds[n->category].is_urgent);
}

/* --- to all --- */

struct spread {
	struct note	*note;
	int		 n;
};

static int
on_sub(const char *key, struct json_object *sub, uint64_t rev, void *arg)
{
	struct spread	*s = arg;
	const char	*id = get_str(sub, "subscriptionId");
	int		 r = note_check(s->note, sub);

	(void)rev;
	if (id != NULL && (r == 0 || r == -EAGAIN) &&
	    queue_add(s->note, key, id) == 0)
		s->n++;
	return (0);
}

int
note_send(struct note *n)
{
	struct spread	s = { n, 0 };

	if (is_repeated(n))
		return (0);
	(void)push.host->kv_each(push.ctx, SUB_PREFIX, on_sub, &s);
	if (s.n > 0)
		queue_run();
	return (s.n);
}

static int
service_notify(const struct chela_push_note *spec)
{
	struct note	*n;
	int		 r;

	if (spec->struct_size < sizeof *spec || spec->category >= KINDS_N ||
	    spec->category == CHELA_PUSH_APPROVAL || spec->tag == NULL ||
	    *spec->tag == '\0' || strlen(spec->tag) > CHELA_PUSH_TAG_MAX)
		return (-EINVAL);
	n = note_new(spec, NULL, NOTE_TTL_S, false);
	if (n == NULL)
		return (-ENOMEM);
	r = note_send(n);
	note_put(n);
	return (r);
}

const struct chela_push_1 push_service = {
	.struct_size = sizeof push_service,
	.notify = service_notify,
};
