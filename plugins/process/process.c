/* SPDX-License-Identifier: MIT */
/*
 * Service process/1: child processes off the loop. What one is and how it
 * starts is in spawn.c; this file turns its pipes and its end into callbacks.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/process.h>

#include "spawn.h"

#define GRACE_US	UINT64_C(2000000)
#define INPUT_MAX	(16u * 1024 * 1024)	/* bytes for one child */
#define CHUNK		65536			/* read in one turn */
#define STREAMS		2

struct pipe {
	int			*fd;
	struct chela_watch	*watch;
	char			*bytes;
	size_t			 len, cap;
};

/*
 * Made by start(). A worker starts the child while is_starting, which the lock
 * guards with is_orphan: whoever comes last, the worker or fini(), ends it.
 * From then on it belongs to the loop until its done() has returned.
 */
struct chela_process {
	struct chela_process	*next, **prev;	/* in all */
	struct chela_process_request rq;
	char			*path;
	char			**argv;
	char			**env;
	char			*cwd;
	char			*input;
	size_t			 input_sent;
	struct chela_process_handler handler;
	void			*arg;
	struct spawned		 child;
	int			 r;		/* of the start */
	bool			 is_starting;
	bool			 is_orphan;
	bool			 is_ended;	/* reaped */
	uint32_t		 flags;		/* of the result */
	size_t			 seen;		/* bytes of output */
	uint64_t		 started_us;
	struct pipe		 pipes[STREAMS];
	struct chela_watch	*in_watch, *end_watch;
	struct chela_timer	*timer;		/* the limit, then the grace */
};

static const struct chela_host	*host;
static struct chela_ctx		*self;
static struct chela_process	*all;
static uint32_t			 n_all;
static pthread_mutex_t		 lock = PTHREAD_MUTEX_INITIALIZER;

static char **
strings_copy(const char *const *list)
{
	size_t	 i, n = 0;
	char	**copy;

	while (list[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof *copy);
	for (i = 0; copy != NULL && i < n; i++) {
		copy[i] = strdup(list[i]);
		if (copy[i] == NULL) {
			spawn_env_free(copy);
			return (NULL);
		}
	}
	return (copy);
}

/* Frees what belongs to memory alone: also without the plugin. */
static void
process_free(struct chela_process *p)
{
	free(p->path);
	spawn_env_free(p->argv);
	spawn_env_free(p->env);
	free(p->cwd);
	free(p->input);
	free(p->pipes[0].bytes);
	free(p->pipes[1].bytes);
	free(p);
}

static void
process_unlink(struct chela_process *p)
{
	*p->prev = p->next;
	if (p->next != NULL)
		p->next->prev = p->prev;
	n_all--;
}

static void
process_quiet(struct chela_process *p)
{
	size_t	 i;

	for (i = 0; i < STREAMS; i++) {
		if (p->pipes[i].watch != NULL)
			host->watch_free(p->pipes[i].watch);
		p->pipes[i].watch = NULL;
	}
	if (p->in_watch != NULL)
		host->watch_free(p->in_watch);
	if (p->end_watch != NULL)
		host->watch_free(p->end_watch);
	if (p->timer != NULL)
		host->timer_free(p->timer);
	p->in_watch = p->end_watch = NULL;
	p->timer = NULL;
}

/* --- the end --- */

static void
process_done(struct chela_process *p, int code, int sig)
{
	struct chela_process_result	 res = {
		.struct_size = sizeof res,
		.flags = p->flags,
		.exit_code = code,
		.signal = sig,
		.error = p->r,
		.out = p->pipes[0].bytes != NULL ? p->pipes[0].bytes : "",
		.out_len = p->pipes[0].len,
		.err = p->pipes[1].bytes != NULL ? p->pipes[1].bytes : "",
		.err_len = p->pipes[1].len,
		.took_us = host->now_us() - p->started_us,
	};

	process_quiet(p);
	spawn_end(&p->child);
	process_unlink(p);
	p->handler.done(p, &res, p->arg);
	process_free(p);
}

/* The group has the grace to end by itself. Its output is no longer wanted. */
static void
process_stop(struct chela_process *p, uint32_t why)
{
	if (p->flags & (CHELA_PROCESS_TIMED_OUT | CHELA_PROCESS_OVERFLOW |
	    CHELA_PROCESS_CANCELED))
		return;
	p->flags |= why;
	spawn_signal(&p->child, SIGTERM);
	(void)host->timer_set(p->timer, p->rq.grace_us);
}

static void
on_timer(struct chela_ctx *ctx, void *arg)
{
	struct chela_process	*p = arg;

	(void)ctx;
	if (p->flags & (CHELA_PROCESS_TIMED_OUT | CHELA_PROCESS_OVERFLOW |
	    CHELA_PROCESS_CANCELED))
		spawn_signal(&p->child, SIGKILL);
	else
		process_stop(p, CHELA_PROCESS_TIMED_OUT);
}

/* --- output --- */

static int
pipe_keep(struct chela_process *p, struct pipe *pp, const char *bytes,
    size_t len)
{
	size_t	 room, cap;
	char	*more;

	room = p->rq.max_output > p->seen ? (size_t)p->rq.max_output - p->seen :
	    0;
	p->seen += len;
	if (len > room) {
		if (p->rq.flags & CHELA_PROCESS_TRUNCATE)
			p->flags |= CHELA_PROCESS_OVERFLOW;
		len = room;
	}
	if (len == 0)
		return (0);
	if (pp->len + len > pp->cap) {
		cap = pp->cap == 0 ? 4096 : pp->cap;
		while (cap < pp->len + len)
			cap *= 2;
		more = realloc(pp->bytes, cap);
		if (more == NULL)
			return (-ENOMEM);
		pp->bytes = more;
		pp->cap = cap;
	}
	memcpy(pp->bytes + pp->len, bytes, len);
	pp->len += len;
	return (0);
}

/* One turn's worth; false when there is nothing more to come. */
static bool
pipe_read(struct chela_process *p, size_t i)
{
	static char	 chunk[CHUNK];
	struct pipe	*pp = &p->pipes[i];
	ssize_t		 n;

	do {
		n = read(*pp->fd, chunk, sizeof chunk);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return (false);
	if (n <= 0) {
		if (pp->watch != NULL)
			host->watch_free(pp->watch);
		pp->watch = NULL;
		spawn_close(pp->fd);
		return (false);
	}
	if (p->handler.output != NULL)
		p->handler.output(p, (uint32_t)i + 1, chunk, (size_t)n, p->arg);
	(void)pipe_keep(p, pp, chunk, (size_t)n);
	return (true);
}

static bool
is_too_much(const struct chela_process *p)
{
	return (p->seen > p->rq.max_output &&
	    (p->rq.flags & CHELA_PROCESS_TRUNCATE) == 0);
}

static void
on_output(struct chela_ctx *ctx, int fd, uint32_t what, void *arg)
{
	struct chela_process	*p = arg;
	size_t			 i = fd == p->child.out ? 0 : 1;

	(void)ctx;
	(void)what;
	(void)pipe_read(p, i);
	if (is_too_much(p))
		process_stop(p, CHELA_PROCESS_OVERFLOW);
}

static void
input_end(struct chela_process *p)
{
	host->watch_free(p->in_watch);
	p->in_watch = NULL;
	spawn_close(&p->child.in);
}

static void
on_input(struct chela_ctx *ctx, int fd, uint32_t what, void *arg)
{
	struct chela_process	*p = arg;
	ssize_t			 n;

	(void)ctx;
	(void)what;
	n = write(fd, p->input + p->input_sent,
	    p->rq.input_len - p->input_sent);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A child that does not read its input to the end may do so. */
	if (n < 0)
		p->input_sent = p->rq.input_len;
	else
		p->input_sent += (size_t)n;
	if (p->input_sent == p->rq.input_len)
		input_end(p);
}

/*
 * The child is gone; its group goes now. What it has written is read, but only
 * as much as lies there: someone who left the group may hold the pipe for ever.
 */
static void
on_end(struct chela_ctx *ctx, int fd, uint32_t what, void *arg)
{
	struct chela_process	*p = arg;
	int			 code, sig;
	size_t			 i;

	(void)ctx;
	(void)fd;
	(void)what;
	if (spawn_reap(&p->child, &code, &sig) == 0)
		return;
	host->watch_free(p->end_watch);
	p->end_watch = NULL;
	for (i = 0; i < STREAMS; i++) {
		while (*p->pipes[i].fd >= 0 && !is_too_much(p) &&
		    p->seen <= p->rq.max_output && pipe_read(p, i))
			;
	}
	if (is_too_much(p))
		p->flags |= CHELA_PROCESS_OVERFLOW;
	process_done(p, code, sig);
}

/* --- the start --- */

static void
work_start(void *arg)
{
	struct chela_process	*p = arg;
	struct spawn		 s = {
		.path = p->path,
		.argv = (const char *const *)(void *)p->argv,
		.env = p->env,
		.cwd = p->cwd,
		.has_input = p->input != NULL,
		.max_memory = p->rq.max_memory,
	};
	struct spawned		 child;
	bool			 is_orphan;
	int			 r;

	r = spawn_start(&s, &child);
	(void)pthread_mutex_lock(&lock);
	p->r = r;
	if (r == 0)
		p->child = child;
	p->is_starting = false;
	is_orphan = p->is_orphan;
	(void)pthread_mutex_unlock(&lock);
	if (is_orphan) {
		spawn_end(&p->child);
		process_free(p);
	}
}

static int
process_watch(struct chela_process *p)
{
	size_t	 i;

	p->pipes[0].fd = &p->child.out;
	p->pipes[1].fd = &p->child.err;
	for (i = 0; i < STREAMS; i++) {
		p->pipes[i].watch = host->watch_new(self, *p->pipes[i].fd,
		    CHELA_WATCH_READ, on_output, p);
		if (p->pipes[i].watch == NULL)
			return (-ENOMEM);
	}
	if (p->child.in >= 0) {
		p->in_watch = host->watch_new(self, p->child.in,
		    CHELA_WATCH_WRITE, on_input, p);
		if (p->in_watch == NULL)
			return (-ENOMEM);
	}
	p->end_watch = host->watch_new(self, p->child.pidfd, CHELA_WATCH_READ,
	    on_end, p);
	return (p->end_watch == NULL ? -ENOMEM : 0);
}

static void
on_started(struct chela_ctx *ctx, void *arg)
{
	struct chela_process	*p = arg;

	(void)ctx;
	if (p->r == 0)
		p->r = process_watch(p);
	if (p->r < 0) {
		process_done(p, -1, 0);
		return;
	}
	if (p->flags & CHELA_PROCESS_CANCELED) {
		p->flags = 0;
		process_stop(p, CHELA_PROCESS_CANCELED);
	} else if (p->rq.timeout_us != 0) {
		(void)host->timer_set(p->timer, p->rq.timeout_us);
	}
}

static int
argv_check(const char *const *argv)
{
	size_t	 i, bytes = 0;

	if (argv == NULL || argv[0] == NULL)
		return (-EINVAL);
	for (i = 0; argv[i] != NULL; i++) {
		bytes += strlen(argv[i]) + 1;
		if (i >= CHELA_PROCESS_ARGS_MAX ||
		    bytes > CHELA_PROCESS_ARG_BYTES)
			return (-E2BIG);
	}
	return (0);
}

static int
process_fill(struct chela_process *p, const struct chela_process_request *rq)
{
	int	 r;

	memcpy(&p->rq, rq, rq->struct_size < sizeof p->rq ? rq->struct_size :
	    sizeof p->rq);
	if (p->rq.grace_us == 0)
		p->rq.grace_us = GRACE_US;
	if (p->rq.max_output == 0)
		p->rq.max_output = CHELA_PROCESS_OUTPUT;
	if ((rq->path != NULL && *rq->path != '/') ||
	    (rq->cwd != NULL && *rq->cwd != '/'))
		return (-EINVAL);
	r = rq->flags & CHELA_PROCESS_EXACT_ENV ?
	    spawn_env_copy(rq->env, &p->env) :
	    spawn_env_make(rq->env, NULL, &p->env);
	if (r < 0)
		return (r);
	p->argv = strings_copy(rq->argv);
	p->path = rq->path != NULL ? strdup(rq->path) : NULL;
	p->cwd = rq->cwd != NULL ? strdup(rq->cwd) : NULL;
	if (rq->input != NULL && rq->input_len > 0)
		p->input = malloc(rq->input_len);
	if (p->argv == NULL || (rq->path != NULL && p->path == NULL) ||
	    (rq->cwd != NULL && p->cwd == NULL) ||
	    (rq->input != NULL && rq->input_len > 0 && p->input == NULL))
		return (-ENOMEM);
	if (p->input != NULL)
		memcpy(p->input, rq->input, rq->input_len);
	p->timer = host->timer_new(self, on_timer, p);
	return (p->timer == NULL ? -ENOMEM : 0);
}

static int
process_start(const struct chela_process_request *rq,
    const struct chela_process_handler *handler, void *arg,
    struct chela_process **ret)
{
	struct chela_process	*p;
	int			 r;

	r = argv_check(rq->argv);
	if (r < 0)
		return (r);
	if (rq->input_len > INPUT_MAX)
		return (-E2BIG);
	if (n_all >= CHELA_PROCESS_MAX)
		return (-EAGAIN);
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return (-ENOMEM);
	p->handler = *handler;
	p->arg = arg;
	p->child = (struct spawned){ -1, -1, -1, -1, -1 };
	p->started_us = host->now_us();
	p->is_starting = true;
	r = process_fill(p, rq);
	if (r == 0)
		r = host->work(self, work_start, on_started, p);
	if (r < 0) {
		if (p->timer != NULL)
			host->timer_free(p->timer);
		process_free(p);
		return (r);
	}
	p->next = all;
	p->prev = &all;
	if (all != NULL)
		all->prev = &p->next;
	all = p;
	n_all++;
	if (ret != NULL)
		*ret = p;
	return (0);
}

static void
process_cancel(struct chela_process *p)
{
	/* Until it has started the wish alone can be kept. */
	if (p->end_watch == NULL)
		p->flags |= CHELA_PROCESS_CANCELED;
	else
		process_stop(p, CHELA_PROCESS_CANCELED);
}

static void
nobody_cares(struct chela_process *p, const struct chela_process_result *res,
    void *arg)
{
	(void)p;
	(void)res;
	(void)arg;
}

static void
process_forget(struct chela_process *p)
{
	p->handler.output = NULL;
	p->handler.done = nobody_cares;
	p->rq.grace_us = 1;
	process_cancel(p);
	spawn_signal(&p->child, SIGKILL);
}

static int
process_env_allowed(const char *name)
{
	return (spawn_env_allowed(name));
}

static const struct chela_process_1 service = {
	.struct_size = sizeof service,
	.start = process_start,
	.cancel = process_cancel,
	.forget = process_forget,
	.env_allowed = process_env_allowed,
};

static int
process_init(struct chela_ctx *ctx, const struct chela_host *h)
{
	host = h;
	self = ctx;
	return (host->svc_export(ctx, CHELA_PROCESS_SERVICE, &service));
}

/* Nobody is left to be told: the children end at once. */
static void
process_fini(struct chela_ctx *ctx)
{
	struct chela_process	*p;
	bool			 is_starting;

	(void)ctx;
	while ((p = all) != NULL) {
		process_unlink(p);
		process_quiet(p);
		(void)pthread_mutex_lock(&lock);
		is_starting = p->is_starting;
		p->is_orphan = true;
		(void)pthread_mutex_unlock(&lock);
		if (is_starting)
			continue;	/* its worker ends it */
		spawn_end(&p->child);
		process_free(p);
	}
}

CHELA_PLUGIN = {
	CHELA_HEAD("process"),
	.version = CHELA_VERSION(0, 1, 0),
	.summary = "Child processes with limits, for other plugins",
	.init = process_init,
	.fini = process_fini,
};
