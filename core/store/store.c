/* SPDX-License-Identifier: MIT */
/*
 * The loop's side of the store: open and close, the lock of the directory, the
 * way of an op from the call to its done, and what happens after a failure.
 */
#include "core/store/store_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/loop.h"
#include "core/base/map.h"
#include "core/base/utf8.h"

#define FLUSH_AT	64u	/* ops of a turn that do not wait for its end */
#define SLICE_US	1000u	/* of one turn for dones */
#define SLICE_MAX	256u	/* the same where a test stopped the clock */

static const struct store_limits default_limits = {
	.value_max = MIB(1),
	.row_max = MIB(8),
	.ns_bytes_max = MIB(128),
	.bytes_max = MIB(256),
	.logs_max = 262144,
	.queue_max = 8192,
	.queue_bytes_max = MIB(32),
	.reads_max = 1024,
	.read_rows_max = 10000,
	.read_bytes_max = MIB(16),
	.check_max = MIB(64),
	.vfs = NULL,
};

void
op_list_init(struct op_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
	l->n = 0;
}

void
op_list_add(struct op_list *l, struct op *op)
{
	op->next = NULL;
	*l->tail = op;
	l->tail = &op->next;
	l->n++;
}

void
op_list_join(struct op_list *l, struct op_list *from)
{
	if (from->head == NULL)
		return;
	*l->tail = from->head;
	l->tail = from->tail;
	l->n += from->n;
	op_list_init(from);
}

static struct op *
op_list_take(struct op_list *l)
{
	struct op	*op = l->head;

	if (op == NULL)
		return (NULL);
	l->head = op->next;
	if (l->head == NULL)
		l->tail = &l->head;
	l->n--;
	return (op);
}

struct value *
value_new(const char *text, size_t len, uint64_t rev)
{
	struct value	*v;

	v = malloc(sizeof *v + len + 1);
	if (v == NULL)
		return (NULL);
	v->refs = 1;
	v->len = len;
	v->rev = rev;
	if (len > 0)
		memcpy(v->text, text, len);
	v->text[len] = '\0';
	return (v);
}

struct value *
value_ref(struct value *v)
{
	if (v != NULL)
		v->refs++;
	return (v);
}

struct value *
value_unref(struct value *v)
{
	if (v != NULL && --v->refs == 0)
		free(v);
	return (NULL);
}

int
store_check_name(const char *name, size_t max, size_t *ret_len)
{
	size_t	 len = strnlen(name, max + 1);

	if (len == 0 || len > max || !utf8_is_valid(name, len))
		return (-EINVAL);
	if (ret_len != NULL)
		*ret_len = len;
	return (0);
}

struct space *
store_space(struct store *s, const char *ns, bool is_new)
{
	struct space	*sp;

	for (sp = s->spaces; sp != NULL; sp = sp->next) {
		if (strcmp(sp->name, ns) == 0)
			return (sp);
	}
	if (!is_new)
		return (NULL);
	sp = calloc(1, sizeof *sp);
	if (sp == NULL)
		return (NULL);
	sp->name = strdup(ns);
	sp->logs = map_new();
	if (sp->name == NULL || sp->logs == NULL) {
		(void)map_free(sp->logs);
		free(sp->name);
		free(sp);
		return (NULL);
	}
	sp->next = s->spaces;
	s->spaces = sp;
	return (sp);
}

static void
port_unref(struct port *port)
{
	if (--port->refs == 0)
		free(port);
}

int
store_post(struct store *s)
{
	bool	 is_posted;
	int	 r = 0;

	pthread_mutex_lock(&s->lock);
	is_posted = s->is_posted;
	s->is_posted = true;
	pthread_mutex_unlock(&s->lock);
	if (is_posted)
		return (0);
	s->port->refs++;
	r = loop_post(s->loop, store_on_post, s->port);
	if (r < 0) {
		s->port->refs--;
		pthread_mutex_lock(&s->lock);
		s->is_posted = false;
		pthread_mutex_unlock(&s->lock);
	}
	return (r);
}

/* Hands the turn's ops to the writer, all at once: one wake-up, one group. */
static void
store_flush(struct store *s)
{
	if (s->pending.n == 0)
		return;
	pthread_mutex_lock(&s->lock);
	op_list_join(&s->waiting, &s->pending);
	pthread_cond_signal(&s->writer_cond);
	pthread_mutex_unlock(&s->lock);
}

static void
store_on_defer(void *arg)
{
	struct port	*port = arg;
	struct store	*s = port->store;

	port_unref(port);
	if (s == NULL)
		return;
	s->is_deferred = false;
	store_flush(s);
}

int
store_may_write(struct store *s, size_t cost)
{
	if (s->is_closing)
		return (-ESHUTDOWN);
	if (s->degraded < 0)
		return (s->degraded);
	if (s->queue >= s->lim.queue_max ||
	    cost > s->lim.queue_bytes_max - s->queue_bytes)
		return (-EAGAIN);
	return (store_start_writer(s));
}

void
store_enqueue(struct store *s, struct op *op)
{
	op->ticket = ++s->ticket;
	s->queue++;
	s->queue_bytes += op->cost;
	op_list_add(&s->pending, op);
	if (s->pending.n >= FLUSH_AT) {
		store_flush(s);
		return;
	}
	if (s->is_deferred)
		return;
	s->port->refs++;
	if (loop_defer(s->loop, store_on_defer, s->port) < 0) {
		s->port->refs--;
		store_flush(s);
		return;
	}
	s->is_deferred = true;
}

int
store_report(struct store *s, store_done_fn *done, void *arg, int r,
    uint64_t rev)
{
	struct op	*op;

	if (done == NULL)
		return (0);
	if (s->queue >= s->lim.queue_max)
		return (-EAGAIN);
	op = calloc(1, sizeof *op);
	if (op == NULL || store_post(s) < 0) {
		free(op);
		return (-ENOMEM);
	}
	op->kind = OP_NOTE;
	op->r = r;
	op->rev = rev;
	op->done = done;
	op->arg = arg;
	s->queue++;
	op_list_add(&s->reporting, op);
	return (0);
}

static void
op_settle(struct store *s, struct op *op)
{
	if (op->entry != NULL)
		entry_settle(s, op);
	else if (op->log != NULL)
		log_settle(s, op);
	op->entry = NULL;
	op->log = NULL;
}

/*
 * A commit failed and the writer has stopped. Whatever waits was made on top of
 * what is now undone, so it fails too; then the writer may begin to probe.
 */
static void
store_roll_back(struct store *s, struct op_list *failed)
{
	struct op_list	 rest;
	struct op	*op;
	int		 error;

	op_list_init(&rest);
	pthread_mutex_lock(&s->lock);
	error = s->error;
	op_list_join(&rest, &s->waiting);
	pthread_mutex_unlock(&s->lock);
	op_list_join(&rest, &s->pending);
	for (op = rest.head; op != NULL; op = op->next) {
		op->r = error;
		op_settle(s, op);
	}
	op_list_join(failed, &rest);
	s->degraded = error;
	pthread_mutex_lock(&s->lock);
	(void)snprintf(s->reason, sizeof s->reason, "%s", s->error_text);
	s->settled = s->ticket;
	s->state = WRITER_PROBING;
	pthread_cond_signal(&s->writer_cond);
	pthread_cond_signal(&s->reader_cond);
	pthread_mutex_unlock(&s->lock);
}

/* Takes over what the threads have finished. */
static void
store_collect(struct store *s)
{
	enum writer_state	 state;
	struct op_list		 mine;
	struct op		*op;
	struct job		*job;
	int			 was = store_is_degraded(s);

	op_list_init(&mine);
	pthread_mutex_lock(&s->lock);
	op_list_join(&mine, &s->finished);
	if (s->answered != NULL) {
		*s->answers_tail = s->answered;
		s->answers_tail = s->answered_tail;
		s->answered = NULL;
		s->answered_tail = &s->answered;
	}
	state = s->state;
	s->is_posted = false;
	pthread_mutex_unlock(&s->lock);

	for (op = mine.head; op != NULL; op = op->next)
		op_settle(s, op);
	if (state == WRITER_FAILED)
		store_roll_back(s, &mine);
	else if (state == WRITER_GOOD && s->degraded < 0) {
		s->degraded = 0;
		s->reason[0] = '\0';
	}
	op_list_join(&s->reporting, &mine);
	for (job = s->answers; job != NULL; job = job->next)
		s->is_damaged |= job->r == -EBADMSG;
	if (store_is_degraded(s) != was && s->health != NULL)
		s->health(s->health_arg, store_is_degraded(s),
		    store_reason(s));
}

static void
store_answer(struct store *s, struct job *job)
{
	s->reads--;
	if (job->kind == JOB_READ)
		job->done(job->arg, job->r, job->rows, job->n);
	else
		job->found(job->arg, job->r, job->logs, job->rows, job->n);
	pthread_mutex_lock(&s->lock);
	s->answered_bytes -= job->bytes.len;
	pthread_cond_signal(&s->reader_cond);
	pthread_mutex_unlock(&s->lock);
	(void)job_free(job);
}

/* Calls what is due, for SLICE_US, or until all is done. True: more is due. */
static bool
store_dones(struct store *s, bool is_all)
{
	uint64_t	 until = clock_now_us() + SLICE_US;
	struct job	*job;
	struct op	*op;
	size_t		 n = 0;

	while (s->reporting.n > 0 || s->answers != NULL) {
		if (!is_all && (n >= SLICE_MAX ||
		    (n % 8 == 7 && clock_now_us() >= until)))
			return (true);
		n++;
		op = op_list_take(&s->reporting);
		if (op != NULL) {
			s->queue--;
			s->queue_bytes -= op->cost;
			if (op->done != NULL)
				op->done(op->arg, op->r, op->rev);
			(void)value_unref(op->value);
			free(op);
			continue;
		}
		job = s->answers;
		s->answers = job->next;
		if (s->answers == NULL)
			s->answers_tail = &s->answers;
		store_answer(s, job);
		/* What it did with its rows may have taken long. */
		n |= 7;
	}
	return (false);
}

void
store_on_post(void *arg)
{
	struct port	*port = arg;
	struct store	*s = port->store;

	port_unref(port);
	if (s == NULL)
		return;
	store_collect(s);
	if (store_dones(s, false) && store_post(s) < 0)
		(void)store_dones(s, true);
}

int
store_is_degraded(const struct store *s)
{
	return (s->degraded < 0 || !s->is_damaged ? s->degraded : -EBADMSG);
}

const char *
store_reason(const struct store *s)
{
	return (s->degraded < 0 || !s->is_damaged ? s->reason :
	    "a part of the store is damaged and cannot be read");
}

void
store_on_health(struct store *s, store_health_fn *fn, void *arg)
{
	s->health = fn;
	s->health_arg = arg;
}

void
store_stats(const struct store *s, struct store_stats *ret_stats)
{
	pthread_mutex_t	*lock = (pthread_mutex_t *)(uintptr_t)&s->lock;

	*ret_stats = (struct store_stats){
		.bytes = s->bytes,
		.keys = s->keys,
		.logs = s->n_logs,
		.queue = s->queue,
		.queue_bytes = s->queue_bytes,
		.reads = s->reads,
		.generation = s->generation,
	};
	pthread_mutex_lock(lock);
	ret_stats->commits = s->commits;
	ret_stats->failures = s->failures;
	pthread_mutex_unlock(lock);
}

/*
 * The lock is flock()'s: the kernel drops it with the process, however that
 * ends, so there is nothing stale to clean up. The number in the file is for
 * people.
 */
static int
store_lock(const char *dir, int *ret_fd, struct buf *why)
{
	struct stat	 st, now;
	char		*path, text[32];
	ssize_t		 n;
	int		 fd = -1, r;

	path = file_join(dir, STORE_LOCK_FILE);
	if (path == NULL)
		return (-ENOMEM);
again:
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
	    0600);
	if (fd < 0) {
		r = errno == ELOOP ? -EPERM : -errno;
		if (why != NULL)
			(void)buf_printf(why, "cannot open '%s' (%s)", path,
			    r == -EPERM ? "it is a link" : strerror(-r));
		goto out;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		r = -EPERM;
		if (why != NULL)
			(void)buf_printf(why, "'%s' is not a regular file",
			    path);
		goto out;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		n = pread(fd, text, sizeof text - 1, 0);
		text[n < 0 ? 0 : n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		if (why == NULL)
			goto out;
		if (r == -EBUSY)
			(void)buf_printf(why, "the state directory '%s' is in "
			    "use by another gateway (process %s)", dir,
			    *text == '\0' ? "unknown" : log_quote(text,
			    strlen(text)));
		else
			(void)buf_printf(why, "cannot lock '%s' (%s)", path,
			    strerror(-r));
		goto out;
	}
	/* A lock on a file that someone has just replaced is worth nothing. */
	if (lstat(path, &now) < 0 || now.st_ino != st.st_ino ||
	    now.st_dev != st.st_dev) {
		(void)close(fd);
		goto again;
	}
	(void)fchmod(fd, 0600);
	n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
		/* Only the hint is missing; a full disk is found out below. */
	}
	*ret_fd = fd;
	fd = -1;
	r = 0;
out:
	if (fd >= 0)
		(void)close(fd);
	free(path);
	return (r);
}

static int
store_load_key(void *arg, const char *ns, const char *key, size_t key_len,
    const char *text, size_t len, uint64_t rev)
{
	struct store	*s = arg;
	struct space	*sp = store_space(s, ns, true);

	return (sp == NULL ? -ENOMEM :
	    entry_load(s, sp, key, key_len, text, len, rev));
}

static int
store_load_log(void *arg, const char *ns, const char *name,
    const struct log_mark *mark)
{
	struct store	*s = arg;
	struct space	*sp = store_space(s, ns, true);

	return (sp == NULL || log_load(s, sp, name, mark) == NULL ? -ENOMEM :
	    0);
}

static void
store_load_counters(void *arg, uint64_t rev, uint64_t log_id,
    uint64_t generation)
{
	struct store	*s = arg;

	s->rev = rev;
	s->log_id = log_id;
	s->generation = generation;
}

#define LIMIT(name) do { \
	if (s->lim.name == 0) \
		s->lim.name = default_limits.name; \
} while (0)

static void
store_set_limits(struct store *s, const struct store_limits *lim)
{
	s->lim = lim == NULL ? default_limits : *lim;
	LIMIT(value_max);
	LIMIT(row_max);
	LIMIT(ns_bytes_max);
	LIMIT(bytes_max);
	LIMIT(logs_max);
	LIMIT(queue_max);
	LIMIT(queue_bytes_max);
	LIMIT(reads_max);
	LIMIT(read_rows_max);
	LIMIT(read_bytes_max);
	LIMIT(check_max);
}

static struct store *
store_new(struct loop *l, const struct store_limits *lim)
{
	pthread_condattr_t	 attr;
	struct store		*s;

	s = calloc(1, sizeof *s);
	if (s == NULL)
		return (NULL);
	s->port = calloc(1, sizeof *s->port);
	if (s->port == NULL ||
	    getrandom(&s->rng, sizeof s->rng, 0) != sizeof s->rng) {
		free(s->port);
		free(s);
		return (NULL);
	}
	s->rng |= 1;
	s->port->store = s;
	s->port->refs = 1;
	s->loop = l;
	s->lock_fd = -1;
	store_set_limits(s, lim);
	op_list_init(&s->pending);
	op_list_init(&s->reporting);
	op_list_init(&s->waiting);
	op_list_init(&s->finished);
	s->answers_tail = &s->answers;
	s->answered_tail = &s->answered;
	s->jobs_tail = &s->jobs;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->writer_cond, &attr);
	pthread_cond_init(&s->reader_cond, &attr);
	pthread_condattr_destroy(&attr);
	return (s);
}

int
store_open(struct loop *l, const char *dir, const struct store_limits *lim,
    struct store **ret_store, struct buf *why)
{
	struct store	*s;
	struct load	 load = {
		.key = store_load_key,
		.log = store_load_log,
		.counters = store_load_counters,
	};
	int		 r;

	s = store_new(l, lim);
	if (s == NULL)
		return (-ENOMEM);
	load.arg = s;
	r = store_lock(dir, &s->lock_fd, why);
	if (r < 0)
		goto out;
	s->type = &engine_sqlite;
	r = s->type->open(dir, &s->lim, &load, &s->engine, why);
	if (r < 0)
		goto out;
	*ret_store = s;
	s = NULL;
out:
	(void)store_close(s);
	return (r);
}

static void
store_stop_threads(struct store *s)
{
	struct job	*job;

	pthread_mutex_lock(&s->lock);
	s->is_ending = true;
	pthread_cond_signal(&s->writer_cond);
	pthread_cond_signal(&s->reader_cond);
	pthread_mutex_unlock(&s->lock);
	if (s->has_writer)
		(void)pthread_join(s->writer, NULL);
	if (s->has_reader)
		(void)pthread_join(s->reader, NULL);
	while ((job = s->jobs) != NULL) {
		s->jobs = job->next;
		job->next = NULL;
		job->r = -ECANCELED;
		job->n = 0;
		buf_fini(&job->bytes);
		*s->answered_tail = job;
		s->answered_tail = &job->next;
	}
}

struct store *
store_close(struct store *s)
{
	struct space	*sp;

	if (s == NULL)
		return (NULL);
	s->is_closing = true;
	store_flush(s);
	store_stop_threads(s);
	s->health = NULL;
	store_collect(s);
	(void)store_dones(s, true);
	assert(s->queue == 0 && s->reads == 0);
	if (s->engine != NULL)
		s->type->close(s->engine, s->degraded == 0);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	while ((sp = s->spaces) != NULL) {
		s->spaces = sp->next;
		space_free_entries(sp);
		space_free_logs(sp);
		free(sp->name);
		free(sp);
	}
	s->port->store = NULL;
	port_unref(s->port);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->writer_cond);
	pthread_cond_destroy(&s->reader_cond);
	free(s);
	return (NULL);
}
