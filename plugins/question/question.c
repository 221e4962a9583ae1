/* SPDX-License-Identifier: MIT */
/*
 * Questions to the person: asked, waited for, answered once. In memory: a
 * restart loses them, and who waits learns it by the connection's end. What a
 * person types as a secret is not taken here: nothing would keep it secret.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <chela/services/push.h>

#include "question.h"

#define TIMEOUT_DEFAULT_MS	900000u
#define TIMEOUT_MAX_MS		(UINT64_C(7) * 86400 * 1000)
#define GRACE_MS	UINT64_C(15000) /* an ended one can still be read */
#define RECORDS_MAX		1024u
#define WAITS_MAX		4096u
#define ID_MAX			128u	/* bytes */
#define ASKED_MAX		65536u	/* bytes of the JSON of one request */

struct wait {
	struct wait		*next;
	struct record		*rec;
	struct chela_req	*req;
	uint64_t		 until_us;	/* 0: until it has ended */
};

/* Pending, then once and for all answered, cancelled or expired. */
struct record {
	struct record		*next;		/* by created_ms, then id */
	const char		*status;
	char			*id;
	char			*resolved_by;	/* or NULL */
	struct json_object	*said;		/* agentId, sessionKey, runId */
	struct json_object	*questions;
	struct json_object	*answers;	/* {answers: {}}, or NULL */
	uint64_t		 created_ms;
	uint64_t		 expires_ms;	/* as it is shown */
	/* By the time that passes: when it expires, or has ended, goes. */
	uint64_t		 until_us;
	bool			 is_ended;
};

static const struct chela_host	*host;
static struct chela_ctx		*self;
static struct record		*records;
static struct wait		*waits;
static size_t			 n_records, n_waits;
static struct chela_timer	*timer;

static int
fail(struct chela_req *req, const char *reason, const char *text)
{
	struct chela_error	e = { .struct_size = sizeof e };

	if (reason != NULL) {
		e.details = json_object_new_object();
		set_str(e.details, "reason", reason);
	}
	return (host->req_fail_with(req, "INVALID_REQUEST", &e, "%s", text));
}

static struct record *
record_find(const char *id)
{
	struct record	*rec;

	for (rec = records; rec != NULL; rec = rec->next) {
		if (strcmp(rec->id, id) == 0)
			return (rec);
	}
	return (NULL);
}

static void
record_free(struct record *rec)
{
	struct record	**p;

	for (p = &records; *p != NULL && *p != rec; p = &(*p)->next)
		;
	if (*p == rec) {
		*p = rec->next;
		n_records--;
	}
	json_object_put(rec->said);
	json_object_put(rec->questions);
	json_object_put(rec->answers);
	free(rec->id);
	free(rec->resolved_by);
	free(rec);
}

static struct json_object *
record_show(const struct record *rec)
{
	struct json_object	*o = json_object_new_object();

	set_str(o, "id", rec->id);
	json_object_object_add(o, "questions",
	    json_object_get(rec->questions));
	json_object_object_foreach(rec->said, name, value)
		json_object_object_add(o, name, json_object_get(value));
	json_object_object_add(o, "createdAtMs",
	    json_object_new_int64((int64_t)rec->created_ms));
	json_object_object_add(o, "expiresAtMs",
	    json_object_new_int64((int64_t)rec->expires_ms));
	set_str(o, "status", rec->status);
	if (rec->answers != NULL)
		json_object_object_add(o, "answers",
		    json_object_get(rec->answers));
	if (rec->resolved_by != NULL)
		set_str(o, "resolvedBy", rec->resolved_by);
	return (o);
}

/* {status, answers?} */
static struct json_object *
outcome(const struct record *rec)
{
	struct json_object	*o = json_object_new_object();

	set_str(o, "status", rec->status);
	if (rec->answers != NULL)
		json_object_object_add(o, "answers",
		    json_object_get(rec->answers));
	return (o);
}

static void
wait_free(struct wait *w)
{
	struct wait	**p;

	for (p = &waits; *p != w; p = &(*p)->next)
		;
	*p = w->next;
	n_waits--;
	host->req_unref(w->req);
	free(w);
}

static void
wait_answer(struct wait *w, struct json_object *result)
{
	host->req_on_cancel(w->req, NULL, NULL);
	(void)host->req_reply(w->req, result);
	wait_free(w);
}

static void
wait_cancelled(struct chela_req *req, void *arg)
{
	(void)req;
	wait_free(arg);
}

/* --- time --- */

static void
timer_arm(void)
{
	uint64_t	 now = host->now_us(), first = UINT64_MAX;
	struct record	*rec;
	struct wait	*w;

	for (rec = records; rec != NULL; rec = rec->next) {
		if (rec->until_us < first)
			first = rec->until_us;
	}
	for (w = waits; w != NULL; w = w->next) {
		if (w->until_us != 0 && w->until_us < first)
			first = w->until_us;
	}
	if (first == UINT64_MAX)
		host->timer_stop(timer);
	else
		(void)host->timer_set(timer, first <= now ? 0 :
		    first - now);
}

/* It has ended: who waits is told, then everybody. */
static void
record_end(struct record *rec, const char *status)
{
	struct json_object	*o;
	struct wait		*w, *next;

	rec->status = status;
	rec->is_ended = true;
	rec->until_us = host->now_us() + GRACE_MS * 1000;
	for (w = waits; w != NULL; w = next) {
		next = w->next;
		if (w->rec == rec)
			wait_answer(w, outcome(rec));
	}
	o = outcome(rec);
	set_str(o, "id", rec->id);
	(void)host->emit(self, "question.resolved", o, NULL);
	timer_arm();
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	uint64_t	 now = host->now_us();
	struct record	*rec, *next;
	struct wait	*w, *next_w;
	struct json_object *o;

	(void)ctx;
	(void)arg;
	for (rec = records; rec != NULL; rec = next) {
		next = rec->next;
		if (rec->until_us > now)
			continue;
		if (!rec->is_ended)
			record_end(rec, "expired");
		else
			record_free(rec);
	}
	for (w = waits; w != NULL; w = next_w) {
		next_w = w->next;
		if (w->until_us != 0 && w->until_us <= now) {
			o = json_object_new_object();
			set_str(o, "status", "pending");
			wait_answer(w, o);
		}
	}
	timer_arm();
}

/* --- question.request --- */

static void
record_insert(struct record *rec)
{
	struct record	**p = &records;

	while (*p != NULL && ((*p)->created_ms < rec->created_ms ||
	    ((*p)->created_ms == rec->created_ms &&
	    strcmp((*p)->id, rec->id) < 0)))
		p = &(*p)->next;
	rec->next = *p;
	*p = rec;
	n_records++;
}

/* To browsers that are not open: that there is one, not what it asks. */
static void
push_tell(const struct record *rec)
{
	const struct chela_push_1	*push;
	char				 tag[ID_MAX + 32];
	struct chela_push_note		 note = {
		.struct_size = sizeof note,
		.category = CHELA_PUSH_QUESTION,
		.tag = tag,
		.agent_id = get_str(rec->said, "agentId"),
		.path = "ask/",
		.path_id = rec->id,
	};

	push = host->svc_import(self, CHELA_PUSH_SERVICE);
	if (push == NULL)
		return;
	(void)snprintf(tag, sizeof tag, "openclaw-question-%s", rec->id);
	(void)push->notify(&note);
}

static int
question_request(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	static const char *const names[] = { "agentId", "sessionKey", "runId" };
	struct json_object	*list = NULL, *v = NULL, *o;
	struct record		*rec;
	const char		*id = get_str(params, "id");
	char			 uuid[37], why[256];
	uint64_t		 ms = TIMEOUT_DEFAULT_MS;
	size_t			 i, len;

	(void)ctx;
	(void)json_object_object_get_ex(params, "questions", &list);
	if (id != NULL && strlen(id) > ID_MAX)
		return (fail(req, NULL, "the id is too long"));
	(void)json_object_to_json_string_length(params,
	    JSON_C_TO_STRING_PLAIN, &len);
	if (len > ASKED_MAX)
		return (fail(req, NULL, "the questions are too long"));
	if (questions_check(list, why, sizeof why) < 0)
		return (fail(req, NULL, why));
	if (id != NULL && record_find(id) != NULL)
		return (fail(req, "QUESTION_ID_IN_USE",
		    "question id is already in use"));
	if (n_records >= RECORDS_MAX)
		return (host->req_fail(req, "UNAVAILABLE",
		    "too many questions are open"));
	if (json_object_object_get_ex(params, "timeoutMs", &v)) {
		ms = (uint64_t)json_object_get_int64(v);
		ms = ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : ms;
	}
	if (id == NULL) {
		host->uuid(uuid);
		id = uuid;
	}
	rec = calloc(1, sizeof *rec);
	if (rec == NULL)
		return (-ENOMEM);
	rec->status = "pending";
	rec->id = strdup(id);
	rec->said = json_object_new_object();
	if (rec->id == NULL || rec->said == NULL ||
	    json_object_deep_copy(list, &rec->questions, NULL) < 0) {
		record_free(rec);
		return (-ENOMEM);
	}
	for (i = 0; i < 3; i++) {
		if (get_str(params, names[i]) != NULL)
			set_str(rec->said, names[i],
			    get_str(params, names[i]));
	}
	rec->created_ms = host->wall_ms();
	rec->expires_ms = rec->created_ms + ms;
	rec->until_us = host->now_us() + ms * 1000;
	record_insert(rec);
	timer_arm();
	(void)host->emit(self, "question.requested", record_show(rec), NULL);
	push_tell(rec);
	o = json_object_new_object();
	set_str(o, "id", rec->id);
	json_object_object_add(o, "expiresAtMs",
	    json_object_new_int64((int64_t)rec->expires_ms));
	return (host->req_reply(req, o));
}

/* --- the others --- */

static struct record *
record_of(struct chela_req *req, struct json_object *params)
{
	const char	*id = get_str(params, "id");
	struct record	*rec = record_find(id);
	char		 text[192];

	if (rec == NULL) {
		(void)snprintf(text, sizeof text, "question '%.128s' was not "
		    "found", id);
		(void)fail(req, "QUESTION_NOT_FOUND", text);
	}
	return (rec);
}

static int
question_wait(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct record		*rec = record_of(req, params);
	struct json_object	*v = NULL;
	struct wait		*w;
	uint64_t		 ms = 0;

	(void)ctx;
	if (rec == NULL)
		return (0);
	if (rec->is_ended)
		return (host->req_reply(req, outcome(rec)));
	if (n_waits >= WAITS_MAX)
		return (host->req_fail(req, "UNAVAILABLE",
		    "too many wait for answers"));
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return (-ENOMEM);
	if (json_object_object_get_ex(params, "timeoutMs", &v)) {
		ms = (uint64_t)json_object_get_int64(v);
		w->until_us = host->now_us() + 1000 * (ms > TIMEOUT_MAX_MS ?
		    TIMEOUT_MAX_MS : ms);
	}
	w->rec = rec;
	w->req = host->req_ref(req);
	w->next = waits;
	waits = w;
	n_waits++;
	timer_arm();
	host->req_on_cancel(req, wait_cancelled, w);
	return (0);
}

static void
resolved_by(struct record *rec, struct chela_req *req,
    struct json_object *params)
{
	struct chela_conn_info	 info = { .struct_size = sizeof info };
	struct chela_conn	*conn = host->req_conn(req);
	const char		*by = get_str(params, "resolvedBy");

	if (by == NULL && conn != NULL && host->conn_info(conn, &info) == 0)
		by = *info.display_name != '\0' ? info.display_name :
		    info.client_id;
	if (by != NULL && *by != '\0')
		rec->resolved_by = strdup(by);
}

static int
question_resolve(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct record		*rec = record_of(req, params);
	struct json_object	*answers = NULL, *map = NULL;
	const char		*status = "cancelled";
	char			 why[256];
	size_t			 len;

	(void)ctx;
	if (rec == NULL)
		return (0);
	if (rec->is_ended)
		return (fail(req, "QUESTION_ALREADY_TERMINAL",
		    "question has already ended"));
	/* Its time is over, though the timer has not come yet. */
	if (rec->until_us <= host->now_us()) {
		record_end(rec, "expired");
		return (fail(req, "QUESTION_ALREADY_TERMINAL",
		    "question has already ended"));
	}
	if (json_object_object_get_ex(params, "answers", &answers)) {
		(void)json_object_to_json_string_length(answers,
		    JSON_C_TO_STRING_PLAIN, &len);
		if (len > ASKED_MAX)
			return (fail(req, "QUESTION_INVALID_ANSWER",
			    "the answers are too long"));
		(void)json_object_object_get_ex(answers, "answers", &map);
		/* A bad answer changes nothing: it can be given again. */
		if (answers_check(rec->questions, map, &rec->answers, why,
		    sizeof why) < 0)
			return (fail(req, "QUESTION_INVALID_ANSWER", why));
		status = "answered";
	}
	resolved_by(rec, req, params);
	record_end(rec, status);
	return (host->req_reply(req, outcome(rec)));
}

static int
question_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct record		*rec = record_of(req, params);
	struct json_object	*o;

	(void)ctx;
	if (rec == NULL)
		return (0);
	o = json_object_new_object();
	json_object_object_add(o, "question", record_show(rec));
	return (host->req_reply(req, o));
}

static int
question_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*o = json_object_new_object(), *list;
	struct record		*rec;

	(void)ctx;
	(void)params;
	list = json_object_new_array();
	for (rec = records; rec != NULL; rec = rec->next) {
		if (!rec->is_ended)
			(void)json_object_array_add(list, record_show(rec));
	}
	json_object_object_add(o, "questions", list);
	return (host->req_reply(req, o));
}

static int
question_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	self = ctx;
	records = NULL;
	waits = NULL;
	n_records = n_waits = 0;
	timer = NULL;
	return (0);
}

static int
question_start(struct chela_ctx *ctx)
{
	timer = host->timer_new(ctx, on_timer, NULL);
	return (timer == NULL ? -ENOMEM : 0);
}

static void
question_stop(struct chela_ctx *ctx)
{
	(void)ctx;
	while (waits != NULL) {
		host->req_on_cancel(waits->req, NULL, NULL);
		wait_free(waits);
	}
	while (records != NULL)
		record_free(records);
	host->timer_free(timer);
	timer = NULL;
}

static const struct chela_method methods[] = {
	{
		.name = "question.request",
		.handler = question_request,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "questions",
	},
	{
		.name = "question.waitAnswer",
		.handler = question_wait,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "questions",
	},
	{
		.name = "question.resolve",
		.handler = question_resolve,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "questions",
	},
	{
		.name = "question.get",
		.handler = question_get,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "questions",
	},
	{
		.name = "question.list",
		.handler = question_list,
		.roles = CHELA_ROLE_OPERATOR,
		.scope = "questions",
	},
};

static const struct chela_event events[] = {
	{
		.name = "question.requested",
		.scope = "questions",
	},
	{
		.name = "question.resolved",
		.scope = "questions",
	},
};

static const struct chela_dep deps[] = {
	{ .name = "push", .flags = CHELA_DEP_OPTIONAL },
};

CHELA_PLUGIN = {
	CHELA_HEAD("question"),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Questions to the person, and their answers",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	CHELA_DEPS(deps),
	.init = question_init,
	.start = question_start,
	.stop = question_stop,
};
