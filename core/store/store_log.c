/* SPDX-License-Identifier: MIT */
/*
 * Logs: what the loop knows of them (numbers, not rows), and the jobs that
 * fetch rows from the disk.
 */
#include "core/store/store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/utf8.h"

static const struct log_mark no_log = { 0, 1, 1 };

static struct log *
log_find(const struct store *s, const char *ns, const char *name)
{
	struct space	*sp;

	for (sp = s->spaces; sp != NULL; sp = sp->next) {
		if (strcmp(sp->name, ns) == 0)
			return (map_getz(sp->logs, name));
	}
	return (NULL);
}

static struct log *
log_new(struct space *sp, const char *name)
{
	struct log	*log;

	log = calloc(1, sizeof *log);
	if (log == NULL)
		return (NULL);
	log->name = strdup(name);
	log->space = sp;
	log->cur = log->durable = no_log;
	if (log->name == NULL || map_putz(sp->logs, name, log) < 0) {
		free(log->name);
		free(log);
		return (NULL);
	}
	return (log);
}

static void
log_maybe_free(struct log *log)
{
	if (log->n_pending > 0 || log->cur.id != 0 || log->durable.id != 0)
		return;
	(void)map_delz(log->space->logs, log->name);
	free(log->name);
	free(log);
}

static void
log_set(struct store *s, struct log *log, const struct log_mark *mark)
{
	if (log->cur.id == 0 && mark->id != 0)
		s->n_logs++;
	else if (log->cur.id != 0 && mark->id == 0)
		s->n_logs--;
	log->cur = *mark;
}

struct log *
log_load(struct store *s, struct space *sp, const char *name,
    const struct log_mark *mark)
{
	struct log	*log = log_new(sp, name);

	if (log != NULL) {
		log_set(s, log, mark);
		log->durable = *mark;
	}
	return (log);
}

void
log_settle(struct store *s, struct op *op)
{
	struct log	*log = op->log;

	log->n_pending--;
	if (op->r < 0)
		log_set(s, log, &log->durable);
	else
		log->durable = op->kind == OP_DROP ? no_log : op->mark;
	log_maybe_free(log);
}

void
space_free_logs(struct space *sp)
{
	struct log	*log;
	size_t		 pos = 0;
	void		*value;

	while (map_next(sp->logs, &pos, NULL, NULL, &value)) {
		log = value;
		free(log->name);
		free(log);
	}
	sp->logs = map_free(sp->logs);
}

static int
log_check(const char *ns, const char *log)
{
	int	 r;

	r = store_check_name(ns, STORE_NS_MAX, NULL);
	return (r < 0 ? r : store_check_name(log, STORE_LOG_MAX, NULL));
}

/* The op of a log whose mark is already the new one. */
static void
log_enqueue(struct store *s, struct log *log, struct op *op, enum op_kind kind,
    store_done_fn *done, void *arg)
{
	op->kind = kind;
	op->space = log->space;
	op->log = log;
	op->done = done;
	op->arg = arg;
	log->n_pending++;
	store_enqueue(s, op);
	log->ticket = op->ticket;
}

int
store_append(struct store *s, const char *ns, const char *name,
    const char *text, size_t len, uint64_t *ret_seq, store_done_fn *done,
    void *arg)
{
	struct log_mark	 mark;
	struct space	*sp;
	struct log	*log;
	struct op	*op = NULL;
	bool		 is_new;
	int		 r;

	r = log_check(ns, name);
	if (r < 0)
		return (r);
	if (len > s->lim.row_max)
		return (-EMSGSIZE);
	if (!utf8_is_valid(text, len))
		return (-EINVAL);
	r = store_may_write(s, len);
	if (r < 0)
		return (r);
	log = log_find(s, ns, name);
	is_new = log == NULL || log->cur.id == 0;
	if (is_new && s->n_logs >= s->lim.logs_max)
		return (-EDQUOT);
	sp = store_space(s, ns, true);
	if (sp == NULL)
		return (-ENOMEM);
	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (-ENOMEM);
	op->value = value_new(text, len, 0);
	if (log == NULL && op->value != NULL)
		log = log_new(sp, name);
	if (log == NULL || op->value == NULL) {
		(void)value_unref(op->value);
		free(op);
		return (-ENOMEM);
	}
	mark = log->cur;
	if (is_new)
		mark = (struct log_mark){ ++s->log_id, 1, 1 };
	op->is_new_log = is_new;
	op->rev = mark.next++;
	op->mark = mark;
	op->cost = len;
	log_set(s, log, &mark);
	if (ret_seq != NULL)
		*ret_seq = op->rev;
	log_enqueue(s, log, op, OP_APPEND, done, arg);
	return (0);
}

int
store_trim(struct store *s, const char *ns, const char *name, uint64_t before,
    store_done_fn *done, void *arg)
{
	struct log_mark	 mark;
	struct log	*log;
	struct op	*op;
	int		 r;

	r = log_check(ns, name);
	if (r < 0)
		return (r);
	r = store_may_write(s, 0);
	if (r < 0)
		return (r);
	log = log_find(s, ns, name);
	if (log == NULL || log->cur.id == 0)
		return (store_report(s, done, arg, -ENOENT, 0));
	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (-ENOMEM);
	mark = log->cur;
	mark.first = MAX_OF(mark.first, MIN_OF(before, mark.next));
	op->mark = mark;
	op->rev = mark.first;
	log_set(s, log, &mark);
	log_enqueue(s, log, op, OP_TRIM, done, arg);
	return (0);
}

int
store_drop(struct store *s, const char *ns, const char *name,
    store_done_fn *done, void *arg)
{
	struct log	*log;
	struct op	*op;
	int		 r;

	r = log_check(ns, name);
	if (r < 0)
		return (r);
	r = store_may_write(s, 0);
	if (r < 0)
		return (r);
	log = log_find(s, ns, name);
	if (log == NULL || log->cur.id == 0)
		return (store_report(s, done, arg, -ENOENT, 0));
	op = calloc(1, sizeof *op);
	if (op == NULL)
		return (-ENOMEM);
	op->mark = log->cur;
	log_set(s, log, &no_log);
	log_enqueue(s, log, op, OP_DROP, done, arg);
	return (0);
}

int
store_log_stat(const struct store *s, const char *ns, const char *name,
    struct store_log_stat *ret_stat)
{
	const struct log	*log = log_find(s, ns, name);

	if (log == NULL || log->cur.id == 0)
		return (-ENOENT);
	ret_stat->first = log->cur.first;
	ret_stat->next = log->cur.next;
	ret_stat->count = log->cur.next - log->cur.first;
	return (0);
}

struct job *
job_free(struct job *job)
{
	if (job != NULL) {
		free(job->ns);
		free(job->prefix);
		free(job->needle);
		free(job->rows);
		free(job->logs);
		buf_fini(&job->bytes);
		free(job);
	}
	return (NULL);
}

static int
job_grow(struct job *job)
{
	size_t		  cap = MIN_OF(MAX_OF(job->cap * 2, 64), job->max);
	struct store_row *rows;
	const char	**logs;

	if (job->n < job->cap)
		return (0);
	rows = reallocarray(job->rows, cap, sizeof *rows);
	if (rows == NULL)
		return (-ENOMEM);
	job->rows = rows;
	if (job->kind == JOB_FIND) {
		logs = reallocarray(job->logs, cap, sizeof *logs);
		if (logs == NULL)
			return (-ENOMEM);
		job->logs = logs;
	}
	job->cap = cap;
	return (0);
}

/* On the reader. log is NULL for a read. */
int
job_add(struct job *job, const char *log, uint64_t seq, const char *text,
    size_t len)
{
	struct store_row	*row;
	int			 r;

	r = job_grow(job);
	if (r < 0)
		return (r);
	row = &job->rows[job->n];
	row->seq = seq;
	row->len = len;
	row->text = (const char *)(uintptr_t)job->bytes.len;
	(void)buf_add(&job->bytes, text, len);
	r = buf_putc(&job->bytes, '\0');
	if (log != NULL) {
		job->logs[job->n] = (const char *)(uintptr_t)job->bytes.len;
		r = buf_add(&job->bytes, log, strlen(log) + 1);
	}
	if (r < 0)
		return (r);
	job->n++;
	return (0);
}

/* The block does not move any more: offsets become pointers. */
void
job_fix(struct job *job, bool is_reversed)
{
	struct store_row	 tmp;
	size_t			 i;

	for (i = 0; i < job->n; i++) {
		job->rows[i].text = job->bytes.data +
		    (uintptr_t)job->rows[i].text;
		if (job->kind == JOB_FIND)
			job->logs[i] = job->bytes.data +
			    (uintptr_t)job->logs[i];
	}
	for (i = 0; is_reversed && i < job->n / 2; i++) {
		tmp = job->rows[i];
		job->rows[i] = job->rows[job->n - 1 - i];
		job->rows[job->n - 1 - i] = tmp;
	}
}

/* Takes job. is_empty: the answer is known to have no rows. */
static int
job_enqueue(struct store *s, struct job *job, bool is_empty)
{
	int	 r;

	if (s->is_closing)
		r = -ESHUTDOWN;
	else if (s->reads >= s->lim.reads_max)
		r = -EAGAIN;
	else
		r = is_empty ? store_post(s) : store_start_reader(s);
	if (r < 0) {
		(void)job_free(job);
		return (r);
	}
	s->reads++;
	if (is_empty) {
		*s->answers_tail = job;
		s->answers_tail = &job->next;
		return (0);
	}
	pthread_mutex_lock(&s->lock);
	*s->jobs_tail = job;
	s->jobs_tail = &job->next;
	pthread_cond_signal(&s->reader_cond);
	pthread_mutex_unlock(&s->lock);
	return (0);
}

int
store_read(struct store *s, const char *ns, const char *name, uint64_t from,
    size_t max, size_t max_bytes, uint32_t flags, store_rows_fn *done,
    void *arg)
{
	struct log	*log;
	struct job	*job;
	bool		 is_empty;
	int		 r;

	r = log_check(ns, name);
	if (r < 0)
		return (r);
	if ((flags & ~STORE_READ_TAIL) != 0 || done == NULL)
		return (-EINVAL);
	job = calloc(1, sizeof *job);
	if (job == NULL)
		return (-ENOMEM);
	log = log_find(s, ns, name);
	is_empty = log == NULL || log->cur.id == 0 ||
	    log->cur.first == log->cur.next;
	job->kind = JOB_READ;
	job->flags = flags;
	job->max = max == 0 ? s->lim.read_rows_max :
	    MIN_OF(max, s->lim.read_rows_max);
	job->max_bytes = max_bytes == 0 ? s->lim.read_bytes_max :
	    MIN_OF(max_bytes, s->lim.read_bytes_max);
	job->done = done;
	job->arg = arg;
	if (!is_empty) {
		job->log_id = log->cur.id;
		job->ticket = log->ticket;
		/* Clipped, so that the engine's signed numbers are enough. */
		job->from = MIN_OF(from, log->cur.next);
		if ((flags & STORE_READ_TAIL) != 0 && from == 0)
			job->from = log->cur.next;
	}
	return (job_enqueue(s, job, is_empty));
}

int
store_find(struct store *s, const char *ns, const char *prefix,
    const char *needle, size_t max, store_found_fn *found, void *arg)
{
	struct job	*job;
	int		 r;

	r = store_check_name(ns, STORE_NS_MAX, NULL);
	if (r == 0)
		r = store_check_name(needle, STORE_NEEDLE_MAX, NULL);
	if (r == 0 && *prefix != '\0')
		r = store_check_name(prefix, STORE_LOG_MAX, NULL);
	if (r < 0 || found == NULL)
		return (-EINVAL);
	job = calloc(1, sizeof *job);
	if (job == NULL)
		return (-ENOMEM);
	job->kind = JOB_FIND;
	job->ticket = s->ticket;
	job->ns = strdup(ns);
	job->prefix = strdup(prefix);
	job->needle = strdup(needle);
	job->max = max == 0 ? STORE_FIND_MAX : MIN_OF(max, STORE_FIND_MAX);
	job->max_bytes = s->lim.read_bytes_max;
	job->found = found;
	job->arg = arg;
	if (job->ns == NULL || job->prefix == NULL || job->needle == NULL) {
		(void)job_free(job);
		return (-ENOMEM);
	}
	return (job_enqueue(s, job, false));
}
