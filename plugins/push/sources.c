/* SPDX-License-Identifier: MIT */
/*
 * What happens elsewhere and is told: questions for approval, their ends, runs
 * of agents. Who was told of an open approval is kept ("sent/<id>"), so that
 * its end takes the message back, after a restart as well.
 */
#include "push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENT_PREFIX	"sent/"
#define SENT_KEY_MAX	(sizeof SENT_PREFIX + CHELA_APPROVAL_ID_MAX)
#define SENT_MAX	1024u		/* rows */

static const struct chela_approval_records_1 *
records(void)
{
	return (push.host->svc_import(push.ctx,
	    CHELA_APPROVAL_RECORDS_SERVICE));
}

bool
approval_is_open(const char *id)
{
	const struct chela_approval_records_1	*rs = records();
	struct chela_record_info		 info = {
		.struct_size = sizeof info,
	};

	return (rs != NULL && rs->info(id, NULL, &info) == 0 &&
	    info.status == CHELA_RECORD_PENDING);
}

static struct note *
approval_note(const char *id, const char *agent_id, uint32_t ttl_s,
    bool is_over)
{
	char			tag[CHELA_PUSH_TAG_MAX + 1];
	struct chela_push_note	spec = {
		.struct_size = sizeof spec,
		.category = CHELA_PUSH_APPROVAL,
		.tag = tag,
		.agent_id = agent_id,
		.path = "approve/",
		.path_id = id,
	};

	/* The console's worker knows them by this. */
	(void)snprintf(tag, sizeof tag, "openclaw-approval-%s", id);
	return (note_new(&spec, id, ttl_s, is_over));
}

static int
on_opened(const struct chela_record_info *info, void *arg)
{
	uint64_t	 now = push.host->now_us();
	struct note	*n;
	int		 r;

	(void)arg;
	if (push.http == NULL || info->until_us <= now)
		return (0);
	n = approval_note(info->id, info->agent_id,
	    (uint32_t)((info->until_us - now + 999999) / 1000000), false);
	if (n == NULL)
		return (0);
	r = note_send(n);
	note_put(n);
	return (r);
}

/* --- its end --- */

static bool
sent_key(const char *id, char ret[SENT_KEY_MAX])
{
	(void)snprintf(ret, SENT_KEY_MAX, SENT_PREFIX "%s", id);
	return (strlen(id) <= CHELA_APPROVAL_ID_MAX);
}

/* Those that were told of it are told that it is over. */
static void
sent_end(const char *id, struct json_object *row)
{
	struct json_object	*subs = get_any(row, "subs");
	struct note		*n;
	char			 key[SENT_KEY_MAX];

	n = approval_note(id, NULL, NOTE_TTL_S, true);
	if (n != NULL && json_object_is_type(subs, json_type_object)) {
		json_object_object_foreach(subs, sub, sub_id)
			(void)queue_add(n, sub,
			    json_object_get_string(sub_id));
	}
	note_put(n);
	if (sent_key(id, key))
		(void)push.host->kv_del(push.ctx, key, CHELA_ANY_REV, NULL,
		    NULL);
	queue_run();
}

static void
on_ended(const struct chela_record_info *info, void *arg)
{
	struct json_object	*row = NULL;
	char			 key[SENT_KEY_MAX];

	(void)arg;
	if (!sent_key(info->id, key) ||
	    push.host->kv_get(push.ctx, key, &row, NULL) < 0)
		return;
	sent_end(info->id, row);
	json_object_put(row);
}

static int
count_row(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	unsigned	*n = arg;

	(void)key;
	(void)row;
	(void)rev;
	(*n)++;
	return (0);
}

void
approval_told(const struct note *n, const char *key, const char *sub_id)
{
	struct json_object	*row = NULL, *copy = NULL, *subs;
	char			 at[SENT_KEY_MAX];
	unsigned		 n_rows = 0;

	if (n->is_over || !sent_key(n->approval, at))
		return;
	if (push.host->kv_get(push.ctx, at, &row, NULL) == 0) {
		(void)json_object_deep_copy(row, &copy, NULL);
		json_object_put(row);
	} else {
		(void)push.host->kv_each(push.ctx, SENT_PREFIX, count_row,
		    &n_rows);
	}
	if (n_rows >= SENT_MAX)
		return;
	if (copy == NULL) {
		copy = json_object_new_object();
		json_object_object_add(copy, "subs", json_object_new_object());
	}
	subs = get_any(copy, "subs");
	json_object_object_add(subs, key, json_object_new_string(sub_id));
	/* It ended while this was on its way. */
	if (!approval_is_open(n->approval)) {
		sent_end(n->approval, copy);
		json_object_put(copy);
		return;
	}
	(void)push.host->kv_put(push.ctx, at, copy, CHELA_ANY_REV, NULL, NULL);
}

/* --- what ended while nobody looked --- */

struct old {
	char			 id[CHELA_APPROVAL_ID_MAX + 1];
	struct json_object	*row;
};

static int
on_sent(const char *key, struct json_object *row, uint64_t rev, void *arg)
{
	struct old	*o = arg;
	const char	*id = key + sizeof SENT_PREFIX - 1;

	(void)rev;
	if (strlen(id) > CHELA_APPROVAL_ID_MAX || approval_is_open(id))
		return (0);
	(void)snprintf(o->id, sizeof o->id, "%s", id);
	o->row = json_object_get(row);
	return (1);
}

static void
old_end(void)
{
	struct old	o = { .row = NULL };
	unsigned	i;

	for (i = 0; i < SENT_MAX; i++) {
		(void)push.host->kv_each(push.ctx, SENT_PREFIX, on_sent, &o);
		if (o.row == NULL)
			return;
		sent_end(o.id, o.row);
		json_object_put(o.row);
		o.row = NULL;
	}
}

/* --- runs --- */

static void
on_run(const struct chela_agent_event *ev, void *arg)
{
	char			 tag[CHELA_PUSH_TAG_MAX + 1];
	struct chela_push_note	 spec = {
		.struct_size = sizeof spec,
		.category = CHELA_PUSH_FINISHED,
		.tag = tag,
		.agent_id = ev->agent_id,
	};

	(void)arg;
	if (ev->kind != CHELA_AGENT_FINAL)
		return;
	(void)snprintf(tag, sizeof tag, "openclaw-agent-finished-%.200s",
	    ev->run_id);
	(void)push_service.notify(&spec);
}

static const struct chela_agent_watcher agent_watcher = {
	.struct_size = sizeof agent_watcher,
	.event = on_run,
};

static const struct chela_record_watcher record_watcher = {
	.struct_size = sizeof record_watcher,
	.opened = on_opened,
	.ended = on_ended,
};

int
sources_open(void)
{
	const struct chela_approval_records_1	*rs = records();
	const struct chela_agent_1		*agent;
	int					 r = 0;

	agent = push.host->svc_import(push.ctx, CHELA_AGENT_SERVICE);
	if (agent != NULL)
		r = agent->watch(&agent_watcher, NULL);
	if (rs != NULL && r == 0)
		r = rs->watch(&record_watcher, NULL);
	if (r < 0)
		return (r);
	old_end();
	return (0);
}

void
sources_close(void)
{
	const struct chela_approval_records_1	*rs = records();
	const struct chela_agent_1		*agent;

	agent = push.host->svc_import(push.ctx, CHELA_AGENT_SERVICE);
	if (agent != NULL)
		agent->unwatch(&agent_watcher, NULL);
	if (rs != NULL)
		rs->unwatch(&record_watcher, NULL);
}
