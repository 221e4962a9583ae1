/* SPDX-License-Identifier: MIT */
/*
 * Asking the providers: environment, store, file, command. One job works through
 * its references; those of one file or one command are asked for at once.
 */
#include "secrets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS_MAX	64u
#define ENV_MAX		64u
#define DIRS_MAX	32u
#define JSON_DEPTH	16

/* A look at a file or a command; the worker has it from work() to done. */
struct look {
	struct job	*job;		/* NULL: nobody waits any more */
	char		*path;
	char		**dirs;		/* a command must be below one; or NULL */
	size_t		 max;
	bool		 is_command;
	char		*text;
	size_t		 len;
	int		 r;
	int		 left;
};

struct job {
	struct job		*next, **prev;
	struct refs		 refs;
	job_done_fn		*done;
	void			*arg;
	size_t			 at;		/* the one asked for now */
	struct json_object	*conf;		/* of its provider */
	struct look		*look;
	struct chela_process	*process;
	struct chela_timer	*quiet;		/* no output for so long */
	uint64_t		 quiet_us;
	bool			 is_stepping, is_dirty;
};

static void	job_step(struct job *job);

static void
strings_free(char **list)
{
	size_t	 i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		vault_drop(list[i], strlen(list[i]));
	free(list);
}

static void
look_free(struct look *l)
{
	free(l->path);
	strings_free(l->dirs);
	vault_drop(l->text, l->len);
	free(l);
}

static void
job_free(struct job *job)
{
	if (job->look != NULL) {
		job->look->job = NULL;
		if (worker_leave(&job->look->left))
			look_free(job->look);
	}
	if (job->process != NULL)
		secrets.process->forget(job->process);
	if (job->quiet != NULL)
		secrets.host->timer_free(job->quiet);
	json_object_put(job->conf);
	refs_fini(&job->refs);
	*job->prev = job->next;
	if (job->next != NULL)
		job->next->prev = job->prev;
	free(job);
}

static bool
is_same_place(const struct ref *a, const struct ref *b)
{
	return (strcmp(a->source, b->source) == 0 &&
	    strcmp(a->provider, b->provider) == 0);
}

/* All references to this place that still wait end with r. */
static void
place_end(struct job *job, int r)
{
	size_t	 i;

	for (i = job->at; i < job->refs.n; i++) {
		if (job->refs.items[i].r == 1 &&
		    is_same_place(&job->refs.items[i], &job->refs.items[job->at]))
			job->refs.items[i].r = r;
	}
}

static void
ref_set(struct ref *ref, const char *value, size_t len)
{
	if (len == 0 || len > VALUE_MAX || strlen(value) != len) {
		ref->r = -EBADMSG;
		return;
	}
	ref->value = malloc(len + 1);
	if (ref->value == NULL) {
		ref->r = -ENOMEM;
		return;
	}
	memcpy(ref->value, value, len + 1);
	ref->len = len;
	ref->r = 0;
}

/* A strict parser's document, or NULL; nothing may follow it. */
static struct json_object *
parse(const char *text, size_t len)
{
	struct json_tokener	*t = json_tokener_new_ex(JSON_DEPTH);
	struct json_object	*o;

	if (t == NULL || len > INT_MAX)
		return (NULL);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT |
	    JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)len + 1);
	if (json_tokener_get_error(t) != json_tokener_success) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(t);
	return (o);
}

/* RFC 6901, without the copy that unescaping in place would need. */
static struct json_object *
pointer_get(struct json_object *o, const char *p)
{
	char	 key[256];
	size_t	 n;

	while (o != NULL && *p == '/') {
		n = 0;
		for (p++; *p != '\0' && *p != '/'; p++) {
			if (n + 1 >= sizeof key)
				return (NULL);
			key[n] = *p;
			if (*p == '~' && (p[1] == '0' || p[1] == '1'))
				key[n] = *++p == '0' ? '~' : '/';
			n++;
		}
		key[n] = '\0';
		if (json_object_is_type(o, json_type_array)) {
			if (n == 0 || n > 6 || strspn(key, "0123456789") != n)
				return (NULL);
			o = json_object_array_get_idx(o, (size_t)atoi(key));
		} else {
			o = get_any(o, key);
		}
	}
	return (o);
}

/* --- looking at files, on a worker --- */

static int
command_check(struct look *l)
{
	struct stat	 st;
	char		*real;
	size_t		 i, n;
	int		 r = -EPERM;

	if (lstat(l->path, &st) < 0)
		return (-errno);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0 ||
	    (st.st_uid != geteuid() && st.st_uid != 0))
		return (-EPERM);
	if (l->dirs == NULL)
		return (0);
	real = realpath(l->path, NULL);
	for (i = 0; real != NULL && l->dirs[i] != NULL; i++) {
		n = strlen(l->dirs[i]);
		while (n > 1 && l->dirs[i][n - 1] == '/')
			n--;
		if (strncmp(real, l->dirs[i], n) == 0 && real[n] == '/')
			r = 0;
	}
	free(real);
	return (r);
}

static void
look_work(void *arg)
{
	struct look	*l = arg;

	l->r = l->is_command ? command_check(l) :
	    vault_read_private(l->path, l->max, &l->text, &l->len);
	if (worker_leave(&l->left))
		look_free(l);
}

static int
look_start(struct job *job, const char *path, bool is_command, chela_cb_fn *done)
{
	struct json_object	*dirs = get_any(job->conf, "trustedDirs");
	struct look		*l;
	size_t			 i, n;
	int64_t			 max = get_int(job->conf, "maxBytes",
	    PROVIDER_BYTES);
	int			 r = -ENOMEM;

	if (path == NULL || *path != '/')
		return (-EINVAL);
	l = calloc(1, sizeof *l);
	if (l == NULL)
		return (-ENOMEM);
	l->path = strdup(path);
	l->is_command = is_command;
	l->max = max > 0 && max <= PROVIDER_BYTES ? (size_t)max :
	    PROVIDER_BYTES;
	if (is_command && json_object_is_type(dirs, json_type_array)) {
		n = json_object_array_length(dirs);
		n = n > DIRS_MAX ? DIRS_MAX : n;
		l->dirs = calloc(n + 1, sizeof *l->dirs);
		for (i = 0; l->dirs != NULL && i < n; i++)
			l->dirs[i] = strdup(json_object_get_string(
			    json_object_array_get_idx(dirs, i)));
		if (l->dirs == NULL)
			goto fail;
	}
	l->job = job;
	if (l->path != NULL)
		r = secrets.host->work(secrets.ctx, look_work, done, l);
	if (r == 0) {
		job->look = l;
		return (0);
	}
fail:
	look_free(l);
	return (r);
}

static void
file_done(struct chela_ctx *ctx, void *arg)
{
	struct look		*l = arg;
	struct job		*job = l->job;
	struct ref		*ref, *first;
	struct json_object	*doc = NULL, *v;
	const char		*mode;
	size_t			 i, len = l->len;

	(void)ctx;
	job->look = NULL;
	first = &job->refs.items[job->at];
	mode = get_str(job->conf, "mode");
	if (l->r == 0 && (mode == NULL || strcmp(mode, "json") == 0)) {
		doc = parse(l->text, l->len);
		if (doc == NULL)
			l->r = -EBADMSG;
	} else if (l->r == 0) {
		while (len > 0 && (l->text[len - 1] == '\n' ||
		    l->text[len - 1] == '\r'))
			l->text[--len] = '\0';
	}
	for (i = job->at; l->r == 0 && i < job->refs.n; i++) {
		ref = &job->refs.items[i];
		if (ref->r != 1 || !is_same_place(ref, first))
			continue;
		if (doc == NULL) {
			if (strcmp(ref->id, "value") == 0)
				ref_set(ref, l->text, len);
			else
				ref->r = -ENOENT;
			continue;
		}
		v = pointer_get(doc, ref->id);
		if (*ref->id == '/' && json_object_is_type(v, json_type_string))
			ref_set(ref, json_object_get_string(v),
			    (size_t)json_object_get_string_len(v));
		else
			ref->r = -ENOENT;
	}
	place_end(job, l->r);
	obj_wipe(doc);
	look_free(l);
	job_step(job);
}

/* --- commands --- */

static int
exec_values(struct job *job, char *out, size_t len)
{
	struct ref		*first = &job->refs.items[job->at], *ref;
	struct json_object	*doc, *values, *v, *only;
	size_t			 i, n_ids = 0;

	for (i = job->at; i < job->refs.n; i++)
		n_ids += job->refs.items[i].r == 1 &&
		    is_same_place(&job->refs.items[i], first);
	doc = parse(out, len);
	only = get_any(job->conf, "jsonOnly");
	if (doc == NULL && only != NULL && !json_object_get_boolean(only) &&
	    n_ids == 1) {
		/* Its first line. */
		out[strcspn(out, "\r\n")] = '\0';
		ref_set(first, out, strlen(out));
		return (0);
	}
	values = get_any(doc, "values");
	if (doc == NULL || get_int(doc, "protocolVersion", 0) != 1 ||
	    !json_object_is_type(values, json_type_object)) {
		obj_wipe(doc);
		return (-EBADMSG);
	}
	for (i = job->at; i < job->refs.n; i++) {
		ref = &job->refs.items[i];
		if (ref->r != 1 || !is_same_place(ref, first))
			continue;
		v = get_any(values, ref->id);
		if (json_object_is_type(v, json_type_string))
			ref_set(ref, json_object_get_string(v),
			    (size_t)json_object_get_string_len(v));
		else
			ref->r = -ENOENT;
	}
	obj_wipe(doc);
	return (0);
}

static void
exec_end(struct chela_process *p, const struct chela_process_result *res,
    void *arg)
{
	struct job	*job = arg;
	char		*out;
	int		 r;

	(void)p;
	job->process = NULL;
	if (job->quiet != NULL)
		secrets.host->timer_free(job->quiet);
	job->quiet = NULL;
	if (res->error != 0)
		r = res->error;
	else if (res->flags & CHELA_PROCESS_OVERFLOW)
		r = -EFBIG;
	else if (res->flags != 0)
		r = -ETIMEDOUT;
	else if (res->exit_code != 0)
		r = -EIO;
	else if ((out = strndup(res->out, res->out_len)) == NULL)
		r = -ENOMEM;
	else {
		r = exec_values(job, out, strlen(out));
		vault_drop(out, res->out_len);
	}
	/* Its buffers go back to the heap; what was in them does not. */
	vault_wipe((void *)(uintptr_t)res->out, res->out_len);
	place_end(job, r < 0 ? r : -ENOENT);
	job_step(job);
}

static void
exec_output(struct chela_process *p, uint32_t stream, const char *bytes,
    size_t len, void *arg)
{
	struct job	*job = arg;

	(void)p;
	(void)stream;
	(void)bytes;
	(void)len;
	if (job->quiet != NULL)
		(void)secrets.host->timer_set(job->quiet, job->quiet_us);
}

static void
exec_quiet(struct chela_ctx *ctx, void *arg)
{
	struct job	*job = arg;

	(void)ctx;
	if (job->process != NULL)
		secrets.process->cancel(job->process);
}

static char *
exec_question(struct job *job)
{
	struct ref		*first = &job->refs.items[job->at];
	struct json_object	*o = json_object_new_object();
	struct json_object	*ids = json_object_new_array();
	char			*text;
	size_t			 i, k, n;

	json_object_object_add(o, "protocolVersion", json_object_new_int(1));
	json_object_object_add(o, "provider",
	    json_object_new_string(first->provider));
	for (i = job->at; i < job->refs.n; i++) {
		if (job->refs.items[i].r != 1 ||
		    !is_same_place(&job->refs.items[i], first))
			continue;
		n = json_object_array_length(ids);
		for (k = 0; k < n && strcmp(json_object_get_string(
		    json_object_array_get_idx(ids, k)), job->refs.items[i].id)
		    != 0; k++)
			;
		if (k == n)
			json_object_array_add(ids, json_object_new_string(
			    job->refs.items[i].id));
	}
	json_object_object_add(o, "ids", ids);
	text = strdup(json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return (text);
}

/* What the operator wrote down, and nothing of ours but what passEnv names. */
static char **
exec_env(struct json_object *conf)
{
	struct json_object	*set = get_any(conf, "env");
	struct json_object	*pass = get_any(conf, "passEnv");
	char			**env = calloc(ENV_MAX + 1, sizeof *env);
	const char		*name, *value;
	size_t			 n = 0, i;

	if (env == NULL)
		return (NULL);
	if (json_object_is_type(set, json_type_object)) {
		json_object_object_foreach(set, key, v) {
			if (n < ENV_MAX && strchr(key, '=') == NULL &&
			    asprintf(&env[n], "%s=%s", key,
			    json_object_get_string(v)) > 0)
				n++;
		}
	}
	for (i = 0; json_object_is_type(pass, json_type_array) &&
	    i < json_object_array_length(pass) && n < ENV_MAX; i++) {
		name = json_object_get_string(json_object_array_get_idx(pass,
		    i));
		value = name == NULL ? NULL : getenv(name);
		if (value != NULL && asprintf(&env[n], "%s=%s", name, value) > 0)
			n++;
	}
	env[n] = NULL;
	return (env);
}

static const struct chela_process_handler exec_handler = {
	.struct_size = sizeof exec_handler,
	.output = exec_output,
	.done = exec_end,
};

static int
exec_start(struct job *job)
{
	struct json_object	*args = get_any(job->conf, "args");
	const char		*argv[ARGS_MAX + 2];
	char			**env = exec_env(job->conf);
	char			*input = exec_question(job);
	int64_t			 max = get_int(job->conf, "maxOutputBytes",
	    PROVIDER_BYTES), quiet;
	size_t			 i, n = 0;
	int			 r = -ENOMEM;
	struct chela_process_request rq = {
		.struct_size = sizeof rq,
		.flags = CHELA_PROCESS_EXACT_ENV,
		.path = get_str(job->conf, "command"),
		.argv = argv,
		.timeout_us = (uint64_t)get_int(job->conf, "timeoutMs",
		    PROVIDER_MS) * 1000,
		.max_output = max > 0 && max <= PROVIDER_BYTES ? (uint64_t)max :
		    PROVIDER_BYTES,
	};

	if (env == NULL || input == NULL)
		goto out;
	argv[n++] = rq.path;
	for (i = 0; json_object_is_type(args, json_type_array) &&
	    i < json_object_array_length(args) && n <= ARGS_MAX; i++)
		argv[n++] = json_object_get_string(json_object_array_get_idx(
		    args, i));
	argv[n] = NULL;
	rq.env = (const char *const *)(void *)env;
	rq.input = input;
	rq.input_len = strlen(input);
	if (rq.timeout_us == 0 || rq.timeout_us > UINT64_C(60000000))
		rq.timeout_us = UINT64_C(1000) * PROVIDER_MS;
	r = secrets.process->start(&rq, &exec_handler, job, &job->process);
	if (r < 0)
		job->process = NULL;
	quiet = get_int(job->conf, "noOutputTimeoutMs", 0);
	if (r == 0 && quiet > 0) {
		job->quiet_us = (uint64_t)quiet * 1000;
		job->quiet = secrets.host->timer_new(secrets.ctx, exec_quiet,
		    job);
		if (job->quiet != NULL)
			(void)secrets.host->timer_set(job->quiet,
			    job->quiet_us);
	}
out:
	strings_free(env);
	free(input);
	return (r);
}

static void
exec_looked(struct chela_ctx *ctx, void *arg)
{
	struct look	*l = arg;
	struct job	*job = l->job;
	int		 r = l->r;

	(void)ctx;
	job->look = NULL;
	look_free(l);
	if (r == 0)
		r = exec_start(job);
	if (r < 0) {
		place_end(job, r);
		job_step(job);
	}
}

/* --- the job --- */

static void
env_resolve(struct job *job, struct ref *ref)
{
	struct json_object	*list = get_any(job->conf, "allowlist");
	const char		*value = getenv(ref->id);
	bool			 may = list == NULL;
	size_t			 i;

	for (i = 0; json_object_is_type(list, json_type_array) &&
	    i < json_object_array_length(list); i++)
		may |= strcmp(json_object_get_string(json_object_array_get_idx(
		    list, i)), ref->id) == 0;
	if (!may)
		ref->r = -EACCES;
	else if (value == NULL || *value == '\0')
		ref->r = -ENOENT;
	else
		ref_set(ref, value, strlen(value));
}

static void
store_ready(int r, void *arg)
{
	struct job	*job = arg;
	struct ref	*ref;
	char		*value;
	size_t		 i, len;
	int		 got;

	for (i = job->at; i < job->refs.n; i++) {
		ref = &job->refs.items[i];
		if (ref->r != 1 || strcmp(ref->source, "store") != 0)
			continue;
		got = r < 0 ? r : store_value(ref->id, &value, &len);
		if (got < 0) {
			ref->r = got;
			continue;
		}
		ref_set(ref, value, len);
		vault_drop(value, len);
	}
	job_step(job);
}

/* Ends the references of this place, or starts what will. */
static int
place_ask(struct job *job)
{
	struct ref		*ref = &job->refs.items[job->at];
	struct json_object	*providers;
	const char		*source;

	json_object_put(job->conf);
	providers = secrets.host->conf_path(secrets.ctx, "secrets.providers");
	job->conf = json_object_get(get_any(providers, ref->provider));
	source = get_str(job->conf, "source");
	if (source != NULL && strcmp(source, ref->source) != 0)
		return (-EINVAL);
	/* The two without settings need no entry. */
	if (job->conf == NULL && strcmp(ref->source, "env") != 0 &&
	    strcmp(ref->source, "store") != 0)
		return (-ENOENT);
	if (strcmp(ref->source, "env") == 0) {
		env_resolve(job, ref);
		return (0);
	}
	if (strcmp(ref->source, "store") == 0) {
		store_key(false, store_ready, job);
		return (1);
	}
	if (strcmp(ref->source, "file") == 0)
		return (look_start(job, get_str(job->conf, "path"), false,
		    file_done) < 0 ? -EINVAL : 1);
	if (secrets.process == NULL)
		return (-ENOTSUP);
	return (look_start(job, get_str(job->conf, "command"), true,
	    exec_looked) < 0 ? -EINVAL : 1);
}

/*
 * Asks until something takes time. What answers at once calls here again from
 * within: that call only leaves a mark.
 */
static void
job_step(struct job *job)
{
	int	 r;

	if (job->is_stepping) {
		job->is_dirty = true;
		return;
	}
	job->is_stepping = true;
	for (; job->at < job->refs.n; job->at++) {
		if (job->refs.items[job->at].r != 1)
			continue;
		job->is_dirty = false;
		r = place_ask(job);
		if (r < 0)
			place_end(job, r);
		if (r == 1 && !job->is_dirty) {
			job->is_stepping = false;
			return;
		}
	}
	job->is_stepping = false;
	job->done(job, &job->refs, job->arg);
	job_free(job);
}

struct refs
job_take(struct job *job)
{
	struct refs	 refs = job->refs;

	job->refs = (struct refs){ .items = NULL };
	return (refs);
}

int
job_start(struct refs *refs, job_done_fn *done, void *arg)
{
	struct job	*job = calloc(1, sizeof *job);

	if (job == NULL) {
		refs_fini(refs);
		return (-ENOMEM);
	}
	job->refs = *refs;
	*refs = (struct refs){ .items = NULL };
	job->done = done;
	job->arg = arg;
	job->next = secrets.jobs;
	job->prev = &secrets.jobs;
	if (job->next != NULL)
		job->next->prev = &job->next;
	secrets.jobs = job;
	job_step(job);
	return (0);
}

void
job_cancel_all(void)
{
	while (secrets.jobs != NULL)
		job_free(secrets.jobs);
}
