/* SPDX-License-Identifier: MIT */
/*
 * Heartbeats: a turn of the default agent at intervals, or because something
 * waits for it. What did not run is recorded with the reason, as what did run
 * is.
 *
 * A request waits 250 ms for others, then becomes a run of agent/1 in its
 * session; one that meets a running run tries again each second for two
 * minutes.
 */
#include "system.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEAT_SOON_US	UINT64_C(250000)
#define BEAT_RETRY_US	UINT64_C(1000000)
#define BEAT_TRIES_MAX	120	/* of one request */
#define BEAT_PENDING_MAX 32	/* sessions with a request */
#define BEAT_RUNS_MAX	32	/* runs that are watched */
#define BEAT_EVERY_MS	INT64_C(1800000)
#define BEAT_EVERY_MAX_MS (INT64_C(366) * 86400000)
#define BEAT_FILE_MAX	65536	/* bytes of HEARTBEAT.md that are looked at */
#define BEAT_PREVIEW_MAX 200
#define BEAT_ACK	CHELA_HEARTBEAT_ACK
#define BEAT_ACK_MORE	300	/* characters beside it that are no report */

struct pending {
	char		*key;		/* owned; NULL: free */
	unsigned	 n_tries;
	bool		 is_interval;	/* nobody asked but the clock */
	bool		 is_looking;	/* at HEARTBEAT.md, on a worker */
};

struct beat_run {
	char		*key;		/* owned; NULL: free */
	char		 id[37];
	uint64_t	 since_us;
};

/* HEARTBEAT.md is looked at. */
struct look {
	char	*key;
	char	*path;
	bool	 is_empty;
};

static struct {
	bool				 is_on;
	bool				 is_stopped;
	struct json_object		*last;		/* or NULL */
	struct chela_timer		*soon;
	struct chela_timer		*clock;
	int64_t				 every_ms;	/* 0: no clock */
	struct pending			 pending[BEAT_PENDING_MAX];
	struct beat_run			 runs[BEAT_RUNS_MAX];
	const struct chela_agent_1	*watched;
} beat;

static struct json_object *
beat_conf(const char *name)
{
	char	 path[128];

	(void)snprintf(path, sizeof path, "agents.defaults.heartbeat.%s", name);
	return (sys.host->conf_path(sys.ctx, path));
}

static const char *
beat_conf_str(const char *name)
{
	struct json_object	*v = beat_conf(name);

	return (json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : NULL);
}

/* "30m", "1h30m", "45s"; a number alone is minutes. -1: none of these. */
static int64_t
duration_ms(const char *s)
{
	int64_t	 sum = 0, n;
	char	*end;

	if (!isdigit((unsigned char)*s))
		return (-1);
	while (isdigit((unsigned char)*s)) {
		errno = 0;
		n = strtoll(s, &end, 10);
		if (errno != 0 || n > BEAT_EVERY_MAX_MS)
			return (-1);
		if (strncmp(end, "ms", 2) == 0)
			end += 2;
		else if (*end == 's')
			n *= 1000, end++;
		else if (*end == 'h')
			n *= 3600000, end++;
		else if (*end == 'd')
			n *= 86400000, end++;
		else {
			n *= 60000;
			end += *end == 'm';
		}
		sum += n;
		if (n < 0 || n > BEAT_EVERY_MAX_MS || sum > BEAT_EVERY_MAX_MS)
			return (-1);
		s = end;
	}
	return (*s == '\0' ? sum : -1);
}

static int64_t
every_ms(void)
{
	const char	*s = beat_conf_str("every");
	int64_t		 ms;

	if (s == NULL)
		return (BEAT_EVERY_MS);
	ms = duration_ms(s);
	if (ms < 0) {
		sys.host->log(sys.ctx, CHELA_LOG_WARNING,
		    "agents.defaults.heartbeat.every: not a duration, 30m is used");
		return (BEAT_EVERY_MS);
	}
	return (ms);
}

/* "08:30" in minutes, or -1. */
static int
clock_minutes(const char *s)
{
	unsigned	 h, m;
	int		 n = 0;

	if (s == NULL || sscanf(s, "%2u:%2u%n", &h, &m, &n) != 2 ||
	    s[n] != '\0' || h > 24 || m > 59)
		return (-1);
	return ((int)(h * 60 + m));
}

/* True between activeHours.end and activeHours.start. */
static bool
is_quiet_now(void)
{
	struct json_object	*hours = beat_conf("activeHours");
	const char		*zone = sys_str(hours, "timezone");
	int			 from, to, now;
	time_t			 t = (time_t)(sys.host->wall_ms() / 1000);
	struct tm		 tm;

	from = clock_minutes(sys_str(hours, "start"));
	to = clock_minutes(sys_str(hours, "end"));
	if (from < 0 || to < 0 || from == to)
		return (false);
	/* The zone is this machine's, or UTC: others would need the process's
	 * own to be changed. */
	if ((zone != NULL && strcmp(zone, "UTC") == 0 ? gmtime_r(&t, &tm) :
	    localtime_r(&t, &tm)) == NULL)
		return (false);
	now = tm.tm_hour * 60 + tm.tm_min;
	if (from < to)
		return (now < from || now >= to);
	return (now < from && now >= to);
}

/* What a heartbeat came to. Members that are NULL or 0 are left out. */
struct outcome {
	const char	*status;
	const char	*reason;
	const char	*preview;
	const char	*indicator;
	uint64_t	 duration_ms;
	bool		 is_silent;
};

static int
outcome_fill(const struct outcome *oc, struct json_object *o)
{
	char	 preview[BEAT_PREVIEW_MAX + 1];
	size_t	 len;

	if (json_add(o, "ts", json_object_new_int64(
	    (int64_t)sys.host->wall_ms())) < 0 ||
	    json_add(o, "status", json_object_new_string(oc->status)) < 0 ||
	    json_add(o, "durationMs", json_object_new_int64(
	    (int64_t)oc->duration_ms)) < 0)
		return (-ENOMEM);
	if (oc->reason != NULL && json_add(o, "reason",
	    json_object_new_string(oc->reason)) < 0)
		return (-ENOMEM);
	if (oc->preview != NULL && *oc->preview != '\0') {
		len = strlen(oc->preview);
		if (len > BEAT_PREVIEW_MAX) {
			len = BEAT_PREVIEW_MAX;
			while (len > 0 && ((unsigned char)oc->preview[len] &
			    0xc0) == 0x80)
				len--;
		}
		memcpy(preview, oc->preview, len);
		preview[len] = '\0';
		if (json_add(o, "preview", json_object_new_string(preview)) < 0)
			return (-ENOMEM);
	}
	if (oc->indicator != NULL && json_add(o, "indicatorType",
	    json_object_new_string(oc->indicator)) < 0)
		return (-ENOMEM);
	return (json_add(o, "silent", json_object_new_boolean(oc->is_silent)));
}

static void
beat_record(const struct outcome *oc)
{
	struct json_object	*o = json_object_new_object();

	if (o == NULL || outcome_fill(oc, o) < 0) {
		json_object_put(o);
		return;
	}
	json_object_put(beat.last);
	beat.last = json_object_get(o);
	(void)sys.host->kv_put(sys.ctx, "last-heartbeat", json_object_get(o),
	    CHELA_ANY_REV, NULL, NULL);
	(void)sys.host->emit(sys.ctx, "heartbeat", o, NULL);
}

static void
beat_skip(const char *reason)
{
	struct outcome	 oc = { .status = "skipped", .reason = reason,
		.is_silent = true };

	beat_record(&oc);
}

static void
pending_free(struct pending *p)
{
	free(p->key);
	*p = (struct pending){ NULL, 0, false, false };
}

static void
run_free(struct beat_run *run)
{
	free(run->key);
	run->key = NULL;
}

static size_t
ack_more(void)
{
	struct json_object	*v = beat_conf("ackMaxChars");

	return (json_object_is_type(v, json_type_int) &&
	    json_object_get_int64(v) >= 0 ? (size_t)json_object_get_int64(v) :
	    BEAT_ACK_MORE);
}

static size_t
n_chars(const char *s, size_t len)
{
	size_t	 n = 0;

	for (; len > 0; len--, s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return (n);
}

/* The mark at one end of the answer, and little beside it. */
static bool
is_ack(const char *s, size_t len)
{
	size_t	 n = sizeof BEAT_ACK - 1;

	while (len > 0 && isspace((unsigned char)*s))
		s++, len--;
	while (len > 0 && isspace((unsigned char)s[len - 1]))
		len--;
	if (len < n || (memcmp(s, BEAT_ACK, n) != 0 &&
	    memcmp(s + len - n, BEAT_ACK, n) != 0))
		return (false);
	return (n_chars(s, len) - n <= ack_more());
}

static bool
is_blank(const char *s, size_t len)
{
	for (; len > 0; len--, s++) {
		if (!isspace((unsigned char)*s))
			return (false);
	}
	return (true);
}

static void
run_end(struct beat_run *run, const struct chela_agent_event *ev)
{
	struct outcome	 oc = { .is_silent = true };

	oc.duration_ms = (sys.host->now_us() - run->since_us) / 1000;
	if (ev->kind != CHELA_AGENT_FINAL) {
		oc.status = "failed";
		oc.reason = ev->error_kind != NULL ? ev->error_kind :
		    ev->kind == CHELA_AGENT_ABORTED ? "aborted" :
		    "agent-runner-failure";
		oc.indicator = "error";
	} else if (ev->all == NULL || is_blank(ev->all, ev->all_len)) {
		oc.status = "ok-empty";
		oc.indicator = "ok";
	} else if (is_ack(ev->all, ev->all_len)) {
		oc.status = "ok-token";
		oc.indicator = "ok";
	} else {
		/* It is in the session, where its clients see it. */
		oc.status = "sent";
		oc.preview = ev->all;
		oc.indicator = "alert";
		oc.is_silent = false;
	}
	run_free(run);
	beat_record(&oc);
}

static void
beat_on_event(const struct chela_agent_event *ev, void *arg)
{
	size_t	 i;

	(void)arg;
	if (ev->kind < CHELA_AGENT_FINAL)
		return;
	for (i = 0; i < BEAT_RUNS_MAX; i++) {
		if (beat.runs[i].key != NULL &&
		    strcmp(beat.runs[i].id, ev->run_id) == 0) {
			run_end(&beat.runs[i], ev);
			return;
		}
	}
}

static const struct chela_agent_watcher watcher = {
	.struct_size = sizeof watcher,
	.event = beat_on_event,
};

static int
count_run(const struct chela_agent_run *run, void *arg)
{
	(void)run;
	(*(unsigned *)arg)++;
	return (1);
}

/* Starts the run; NULL, or why it did not. */
static const char *
run_start(const struct chela_agent_1 *agent, const char *key)
{
	struct chela_agent_start	 rq = { .struct_size = sizeof rq,
		.flags = CHELA_AGENT_HEARTBEAT | CHELA_AGENT_NO_PROMPT_ROW };
	struct beat_run			*run = NULL;
	struct json_object		*v;
	const char			*why = NULL;
	size_t				 i;

	for (i = 0; i < BEAT_RUNS_MAX && run == NULL; i++) {
		if (beat.runs[i].key == NULL)
			run = &beat.runs[i];
	}
	if (run == NULL)
		return ("requests-in-flight");
	if (beat.watched != agent) {
		if (agent->watch(&watcher, NULL) < 0)
			return ("agent-runner-failure");
		beat.watched = agent;
	}
	run->key = strdup(key);
	if (run->key == NULL)
		return ("agent-runner-failure");
	sys.host->uuid(run->id);
	run->since_us = sys.host->now_us();
	rq.run_id = run->id;
	rq.session_key = run->key;
	rq.message = beat_conf_str("prompt");
	if (rq.message == NULL)
		rq.message = CHELA_HEARTBEAT_PROMPT;
	rq.model = beat_conf_str("model");
	v = beat_conf("timeoutSeconds");
	if (json_object_is_type(v, json_type_int))
		rq.timeout_us = (uint64_t)json_object_get_int64(v) * 1000000;
	if (agent->start(&rq, &why) < 0) {
		sys.host->log(sys.ctx, CHELA_LOG_WARNING,
		    "heartbeat: not started (%s)", why == NULL ? "refused" :
		    why);
		run_free(run);
		return ("agent-runner-failure");
	}
	return (NULL);
}

/*
 * A file that only has headings, blanks and empty list items asks for nothing.
 */
static bool
is_empty_text(const char *s)
{
	const char	*end;
	size_t		 len;

	for (; *s != '\0'; s = *end == '\0' ? end : end + 1) {
		end = s + strcspn(s, "\n");
		s += strspn(s, " \t\r-*");
		if (s > end)
			continue;
		len = (size_t)(end - s);
		if (len > 0 && *s != '#' && !is_blank(s, len) &&
		    strncmp(s, "[ ]", 3) != 0)
			return (false);
		if (strncmp(s, "[ ]", 3) == 0 && !is_blank(s + 3, len - 3))
			return (false);
	}
	return (true);
}

static void
look_work(void *arg)
{
	struct look	*l = arg;
	char		*text;
	size_t		 len;
	FILE		*f;

	l->is_empty = true;
	f = fopen(l->path, "re");
	if (f == NULL)
		return;
	text = malloc(BEAT_FILE_MAX + 1);
	if (text != NULL) {
		len = fread(text, 1, BEAT_FILE_MAX, f);
		text[len] = '\0';
		l->is_empty = is_empty_text(text);
		free(text);
	}
	(void)fclose(f);
}

static struct pending *
pending_find(const char *key)
{
	size_t	 i;

	for (i = 0; i < BEAT_PENDING_MAX; i++) {
		if (beat.pending[i].key != NULL &&
		    strcmp(beat.pending[i].key, key) == 0)
			return (&beat.pending[i]);
	}
	return (NULL);
}

static void
look_done(struct chela_ctx *ctx, void *arg)
{
	struct look	*l = arg;
	struct pending	*p = pending_find(l->key);

	(void)ctx;
	if (!beat.is_stopped && p != NULL && p->is_looking) {
		p->is_looking = false;
		/* Something may have come meanwhile. */
		if (l->is_empty && queue_is_empty(l->key)) {
			pending_free(p);
			beat_skip("empty-heartbeat-file");
		} else {
			p->is_interval = false;
			(void)sys.host->timer_set(beat.soon, 0);
		}
	}
	free(l->key);
	free(l->path);
	free(l);
}

/* Looks at the agent's HEARTBEAT.md first; false: it cannot be looked at. */
static bool
look_start(struct pending *p)
{
	const struct chela_agents_1	*agents = sys.agents();
	struct chela_agent_info		 info = { .struct_size = sizeof info };
	struct look			*l;

	if (agents == NULL || agents->info(NULL, &info) < 0)
		return (false);
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (false);
	l->key = strdup(p->key);
	if (asprintf(&l->path, "%s/HEARTBEAT.md", info.workspace) < 0)
		l->path = NULL;
	if (l->key == NULL || l->path == NULL ||
	    sys.host->work(sys.ctx, look_work, look_done, l) < 0) {
		free(l->key);
		free(l->path);
		free(l);
		return (false);
	}
	p->is_looking = true;
	return (true);
}

/* True: the request is dealt with. */
static bool
pending_try(struct pending *p)
{
	const struct chela_agent_1	*agent = sys.agent();
	const struct chela_models_1	*models = sys.models();
	unsigned			 n = 0;
	const char			*why = NULL;

	if (!beat.is_on || beat.every_ms == 0)
		why = "disabled";
	else if (models == NULL || !models->configured())
		why = "no-model-configured";
	else if (agent == NULL)
		why = "no-agent-runner";
	else if (is_quiet_now())
		why = "quiet-hours";
	if (why != NULL) {
		beat_skip(why);
		return (true);
	}
	(void)agent->each(p->key, count_run, &n);
	if (n > 0) {
		if (++p->n_tries < BEAT_TRIES_MAX)
			return (false);
		beat_skip("requests-in-flight");
		return (true);
	}
	if (p->is_interval && queue_is_empty(p->key)) {
		if (look_start(p))
			return (false);
		beat_skip("empty-heartbeat-file");
		return (true);
	}
	why = run_start(agent, p->key);
	if (why != NULL) {
		struct outcome oc = { .status = "failed", .reason = why,
			.indicator = "error", .is_silent = true };

		beat_record(&oc);
	}
	return (true);
}

static void
beat_on_soon(struct chela_ctx *ctx, void *arg)
{
	bool	 is_again = false;
	size_t	 i;

	(void)ctx;
	(void)arg;
	for (i = 0; i < BEAT_PENDING_MAX; i++) {
		struct pending *p = &beat.pending[i];

		if (p->key == NULL || p->is_looking)
			continue;
		if (pending_try(p))
			pending_free(p);
		else if (!p->is_looking)
			is_again = true;
	}
	if (is_again)
		(void)sys.host->timer_set(beat.soon, BEAT_RETRY_US);
}

static void
beat_ask(const char *key, bool is_interval)
{
	struct pending	*p = pending_find(key);
	size_t		 i;

	for (i = 0; p == NULL && i < BEAT_PENDING_MAX; i++) {
		if (beat.pending[i].key == NULL)
			p = &beat.pending[i];
	}
	if (p == NULL) {
		beat_skip("requests-in-flight");
		return;
	}
	if (p->key == NULL) {
		p->key = strdup(key);
		p->is_interval = is_interval;
	} else if (!is_interval)
		p->is_interval = false;
	if (p->key != NULL)
		(void)sys.host->timer_set(beat.soon, BEAT_SOON_US);
}

void
beat_request(const char *key)
{
	beat_ask(key, false);
}

static void
clock_arm(void)
{
	if (beat.every_ms > 0)
		(void)sys.host->timer_set(beat.clock,
		    (uint64_t)beat.every_ms * 1000);
	else
		sys.host->timer_stop(beat.clock);
}

static void
beat_on_clock(struct chela_ctx *ctx, void *arg)
{
	char	 key[SYSTEM_KEY_MAX];

	(void)ctx;
	(void)arg;
	clock_arm();
	if (sys_key(NULL, NULL, key) == 0)
		beat_ask(key, true);
}

void
beat_reload(void)
{
	int64_t	 ms = every_ms();

	if (ms == beat.every_ms)
		return;
	beat.every_ms = ms;
	clock_arm();
}

int
beat_start(void)
{
	memset(&beat, 0, sizeof beat);
	beat.is_on = true;
	beat.soon = sys.host->timer_new(sys.ctx, beat_on_soon, NULL);
	beat.clock = sys.host->timer_new(sys.ctx, beat_on_clock, NULL);
	if (beat.soon == NULL || beat.clock == NULL)
		return (-ENOMEM);
	(void)sys.host->kv_get(sys.ctx, "last-heartbeat", &beat.last, NULL);
	beat.every_ms = every_ms();
	clock_arm();
	return (0);
}

void
beat_stop(void)
{
	size_t	 i;

	beat.is_stopped = true;
	if (beat.watched != NULL && beat.watched == sys.agent())
		beat.watched->unwatch(&watcher, NULL);
	beat.watched = NULL;
	if (beat.soon != NULL)
		sys.host->timer_free(beat.soon);
	if (beat.clock != NULL)
		sys.host->timer_free(beat.clock);
	beat.soon = beat.clock = NULL;
	for (i = 0; i < BEAT_PENDING_MAX; i++)
		pending_free(&beat.pending[i]);
	for (i = 0; i < BEAT_RUNS_MAX; i++)
		run_free(&beat.runs[i]);
	json_object_put(beat.last);
	beat.last = NULL;
}

int
last_heartbeat(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	return (sys.host->req_reply(req, json_object_get(beat.last)));
}

int
set_heartbeats(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*v, *o;

	(void)ctx;
	if (!json_object_object_get_ex(params, "enabled", &v) ||
	    !json_object_is_type(v, json_type_boolean))
		return (sys.host->req_fail(req, "INVALID_REQUEST",
		    "invalid set-heartbeats params: enabled (boolean) required"));
	beat.is_on = json_object_get_boolean(v);
	o = json_object_new_object();
	if (o == NULL || json_add(o, "ok", json_object_new_boolean(1)) < 0 ||
	    json_add(o, "enabled", json_object_new_boolean(beat.is_on)) < 0) {
		json_object_put(o);
		return (-ENOMEM);
	}
	return (sys.host->req_reply(req, o));
}
