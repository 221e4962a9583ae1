/* SPDX-License-Identifier: MIT */
/*
 * A plugin that misbehaves on demand, for the tests of what a gateway does about
 * it. badplugin.py builds it, its schema is bad.json; NAME is a macro. The
 * configuration's "crash" names a place of the life cycle where it crashes.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include <chela/plugin.h>

#define KEEP_MAX	100000

static const struct chela_host	*host;
static struct chela_ctx		*self;
static struct chela_timer	*timer;
static struct chela_timer	*timers[KEEP_MAX];
static size_t			 n_timers;
static struct chela_req		*kept[KEEP_MAX];
static size_t			 n_kept;
static int64_t			 n_cancelled, n_done, n_failed;
static int			 last_answer;

static int
boom(void)
{
	volatile int	*volatile nowhere = NULL;

	return (*nowhere);
}

static int
crashes_at(const char *where)
{
	const char	*s = json_object_get_string(json_object_object_get(
	    host->conf(self), "crash"));

	return (s != NULL && strcmp(s, where) == 0);
}

__attribute__((constructor)) static void
load(void)
{
	const char	*s = getenv("BAD_CRASHES_AT_LOAD");

	if (s != NULL && strcmp(s, NAME) == 0)
		(void)boom();
}

static int64_t
num(struct json_object *o, const char *key)
{
	return (json_object_get_int64(json_object_object_get(o, key)));
}

static const char *
text(struct json_object *o, const char *key)
{
	return (json_object_get_string(json_object_object_get(o, key)));
}

static int
answer(struct chela_req *req, int64_t n)
{
	struct json_object	*o = json_object_new_object();

	(void)json_object_object_add(o, "n", json_object_new_int64(n));
	return (host->req_reply(req, o));
}

static int
say(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)ctx;
	return (answer(req, num(params, "n")));
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	(void)boom();
}

static void
crash_job(void *arg)
{
	(void)arg;
	(void)boom();
}

static void *
crash_thread(void *arg)
{
	(void)arg;
	(void)boom();
	return (NULL);
}

static int
crash(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	const char	*how = text(params, "how");
	pthread_t	 thread;

	(void)req;
	if (strcmp(how, "abort") == 0)
		abort();
	if (strcmp(how, "timer") == 0) {
		timer = host->timer_new(ctx, on_timer, NULL);
		return (host->timer_set(timer, 1));
	}
	if (strcmp(how, "job") == 0)
		return (host->work(ctx, crash_job, NULL, NULL));
	if (strcmp(how, "thread") == 0)
		return (-pthread_create(&thread, NULL, crash_thread, NULL));
	return (boom());
}

/* Holds the loop. */
static int
block(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	uint64_t	 ms = (uint64_t)num(params, "n");
	struct timespec	 left = { (time_t)(ms / 1000),
			    (long)(ms % 1000) * 1000000 };

	(void)ctx;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
	return (answer(req, (int64_t)ms));
}

static void
on_cancel(struct chela_req *req, void *arg)
{
	(void)req;
	(void)arg;
	n_cancelled++;
}

/* Never answers by itself. */
static int
keep(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)ctx;
	(void)params;
	if (n_kept == KEEP_MAX)
		return (-ENOSPC);
	kept[n_kept++] = host->req_ref(req);
	host->req_on_cancel(req, on_cancel, NULL);
	return (0);
}

static void
job(void *arg)
{
	(void)arg;
}

static void
on_later(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)answer(arg, 3);
	host->req_unref(arg);
}

/* Answers from a worker's job: open for a moment. */
static int
later(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	int	 r;

	(void)params;
	r = host->work(ctx, job, on_later, host->req_ref(req));
	if (r < 0)
		host->req_unref(req);
	return (r);
}

/* Answers all that were kept, however late that is; twice each. */
static int
late(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	int64_t	 n = (int64_t)n_kept;

	(void)ctx;
	(void)params;
	while (n_kept > 0) {
		last_answer = answer(kept[--n_kept], 1);
		(void)answer(kept[n_kept], 2);
		host->req_unref(kept[n_kept]);
	}
	return (answer(req, n));
}

static int
counts(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	struct json_object	*o = json_object_new_object();

	(void)ctx;
	(void)params;
	(void)json_object_object_add(o, "cancelled",
	    json_object_new_int64(n_cancelled));
	(void)json_object_object_add(o, "kept",
	    json_object_new_int64((int64_t)n_kept));
	(void)json_object_object_add(o, "done", json_object_new_int64(n_done));
	(void)json_object_object_add(o, "failed",
	    json_object_new_int64(n_failed));
	(void)json_object_object_add(o, "lastAnswer",
	    json_object_new_int(last_answer));
	return (host->req_reply(req, o));
}

/* A string of that many bytes. */
static struct json_object *
bulk(int64_t n)
{
	struct json_object	*o = json_object_new_object();
	char			*s = malloc((size_t)n + 1);

	memset(s, 'x', (size_t)n);
	(void)json_object_object_add(o, "text",
	    json_object_new_string_len(s, (int)n));
	free(s);
	return (o);
}

/* Emits n times; what the last one returned. */
static int
emit(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	int64_t	 i, n = num(params, "n");
	int	 r = 0;

	for (i = 0; i < n; i++)
		r = host->emit(ctx, text(params, "event"),
		    bulk(num(params, "bytes")), NULL);
	return (answer(req, r));
}

static int
large(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	(void)ctx;
	last_answer = host->req_reply(req, bulk(num(params, "bytes")));
	return (0);
}

static void
on_done(struct chela_ctx *ctx, int r, uint64_t rev, void *arg)
{
	(void)ctx;
	(void)rev;
	(void)arg;
	n_done++;
	if (r < 0)
		n_failed++;
}

static void
on_posted(struct chela_ctx *ctx, void *arg)
{
	(void)ctx;
	(void)arg;
	n_done++;
}

static int
one_more(struct chela_ctx *ctx, struct json_object *params)
{
	const char	*what = text(params, "what");
	int		 fds[2];

	if (strcmp(what, "timer") == 0) {
		if (n_timers == KEEP_MAX)
			return (-ENOSPC);
		timers[n_timers] = host->timer_new(ctx, on_timer, NULL);
		if (timers[n_timers] == NULL)
			return (-EDQUOT);
		n_timers++;
		return (0);
	}
	if (strcmp(what, "post") == 0)
		return (host->post(ctx, on_posted, NULL));
	if (strcmp(what, "job") == 0)
		return (host->work(ctx, job, on_posted, NULL));
	if (strcmp(what, "put") == 0)
		return (host->kv_put(ctx, "k", bulk(num(params, "bytes")),
		    CHELA_ANY_REV, on_done, NULL));
	if (strcmp(what, "append") == 0)
		return (host->log_append(ctx, "l", bulk(num(params, "bytes")),
		    on_done, NULL));
	/* Lost for good. */
	return (pipe(fds) < 0 ? -errno : 0);
}

/* Asks for n of something; answers how many it got. */
static int
take(struct chela_ctx *ctx, struct chela_req *req, struct json_object *params)
{
	int64_t	 i, n = num(params, "n");

	for (i = 0; i < n; i++) {
		last_answer = one_more(ctx, params);
		if (last_answer < 0)
			break;
	}
	return (answer(req, i));
}

static int
init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	self = ctx;
	n_timers = n_kept = 0;
	if (crashes_at("init"))
		return (boom());
	return (crashes_at("init-fails") ? -EPERM : 0);
}

static int
start(struct chela_ctx *ctx)
{
	(void)ctx;
	if (crashes_at("start"))
		return (boom());
	return (crashes_at("start-fails") ? -EPERM : 0);
}

static void
stop(struct chela_ctx *ctx)
{
	(void)ctx;
	if (crashes_at("stop"))
		(void)boom();
	while (n_kept > 0)
		host->req_unref(kept[--n_kept]);
}

static void
fini(struct chela_ctx *ctx)
{
	(void)ctx;
	if (crashes_at("fini"))
		(void)boom();
}

#define METHOD(n, h)	{ .name = NAME "." n, .handler = (h), \
	.roles = CHELA_ROLE_OPERATOR, .scope = "read" }

static const struct chela_method methods[] = {
	METHOD("block", block),
	METHOD("counts", counts),
	METHOD("crash", crash),
	METHOD("emit", emit),
	METHOD("keep", keep),
	METHOD("large", large),
	METHOD("late", late),
	METHOD("later", later),
	METHOD("say", say),
	METHOD("take", take),
};

static const struct chela_event events[] = {
	{ .name = NAME ".event", .scope = "read" },
};

CHELA_PLUGIN = {
	CHELA_HEAD(NAME),
	.version = CHELA_VERSION(1, 0, 0),
	.summary = "Misbehaves.",
	CHELA_METHODS(methods),
	CHELA_EVENTS(events),
	.init = init,
	.start = start,
	.stop = stop,
	.fini = fini,
};
