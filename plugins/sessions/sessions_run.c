/* SPDX-License-Identifier: MIT */
/*
 * What runs do to a session's row: status, the ids of the active ones, events.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sessions_priv.h"

static struct run_ref *
run_find(struct sess *s, const char *run_id)
{
	uint32_t i;

	for (i = 0; i < s->n_runs; i++)
		if (strcmp(s->runs[i].id, run_id) == 0)
			return (&s->runs[i]);
	return (NULL);
}

static int
run_add(struct sess *s, const char *run_id, uint32_t status)
{
	struct run_ref *p;

	if (s->n_runs >= SESSION_RUNS_MAX)
		return (-ENOBUFS);
	p = realloc(s->runs, (s->n_runs + 1) * sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	s->runs = p;
	p[s->n_runs].id = strdup(run_id);
	if (p[s->n_runs].id == NULL)
		return (-ENOMEM);
	p[s->n_runs++].status = status;
	if (s->n_runs == 1)
		sessions.n_busy++;
	return (0);
}

static void
run_remove(struct sess *s, struct run_ref *run)
{
	size_t at = (size_t)(run - s->runs);

	free(run->id);
	memmove(run, run + 1, (s->n_runs - at - 1) * sizeof *run);
	if (--s->n_runs == 0)
		sessions.n_busy--;
}

/* The members of the entry that a change of status sets. */
static struct json_object *
run_fields(struct json_object *entry, const char *run_id, uint32_t status,
    const char *error)
{
	struct json_object	*f = json_object_new_object();
	int64_t			 now = (int64_t)sessions.host->wall_ms();
	int64_t			 started = get_int(entry, "startedAt", now);

	set_str(f, "status", status_name(status));
	set_str(f, "lastRunId", run_id);
	switch (status) {
	case CHELA_RUN_QUEUED:
		break;
	case CHELA_RUN_RUNNING:
		set_int(f, "startedAt", now);
		json_object_object_add(f, "endedAt", NULL);
		json_object_object_add(f, "runtimeMs", NULL);
		json_object_object_add(f, "lastRunError", NULL);
		json_object_object_add(f, "abortedLastRun", NULL);
		break;
	default:
		set_int(f, "endedAt", now);
		set_int(f, "runtimeMs", now > started ? now - started : 0);
		json_object_object_add(f, "lastRunError", error != NULL ?
		    json_object_new_string(error) : NULL);
		json_object_object_add(f, "abortedLastRun",
		    status == CHELA_RUN_KILLED ? json_object_new_boolean(1) :
		    NULL);
		set_int(f, "updatedAt", now);
	}
	return (f);
}

/*
 * A waiting run does not change what the row says of the running one; when a
 * run ends while another waits the row shows the end until that one starts.
 */
int
run_state(const char *key, const char *run_id, uint32_t status,
    const char *phase, const char *error)
{
	struct json_object	*entry = NULL;
	struct sess		*s = sess_find(key);
	struct run_ref		*run;
	bool			 store;
	int			 r = 0;

	if (s == NULL)
		return (-ENOENT);
	run = run_find(s, run_id);
	store = status != CHELA_RUN_NONE;
	if (status == CHELA_RUN_QUEUED || status == CHELA_RUN_RUNNING) {
		if (run == NULL)
			r = run_add(s, run_id, status);
		else
			run->status = status;
		if (status == CHELA_RUN_QUEUED)
			store = s->n_runs == 1;
	} else if (run != NULL) {
		run_remove(s, run);
	}
	if (r >= 0 && store) {
		r = entry_get(s, &entry);
		if (r >= 0)
			r = entry_put(s, entry, run_fields(entry, run_id,
			    status, error), NULL, NULL);
	}
	if (phase != NULL)
		changed_emit(s, phase, NULL, run_id);
	return (r);
}

int
run_tool(const char *key, struct json_object *payload)
{
	struct chela_emit	 opt = { .struct_size = sizeof opt };
	struct sess		*s = sess_find(key);
	char			 topic[CHELA_SESSION_KEY_MAX + 16];

	if (s == NULL) {
		json_object_put(payload);
		return (-ENOENT);
	}
	opt.cap = "tool-events";
	opt.topic = "sessions";
	(void)sessions.host->emit(sessions.ctx, "session.tool",
	    json_object_get(payload), &opt);
	(void)snprintf(topic, sizeof topic, "messages:%s", s->key);
	opt.topic = topic;
	(void)sessions.host->emit(sessions.ctx, "session.tool", payload, &opt);
	return (0);
}
