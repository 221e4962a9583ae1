/* SPDX-License-Identifier: MIT */
/*
 * The policy document exec-approvals.json in the state directory. It is read
 * anew for every judgement, on a worker, one job after the other: a change that
 * is in the file counts from then on, and two writers do not meet.
 *
 * A document that is missing, cannot be read, is not understood, or could have
 * been written by others allows nothing; the log says so once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exec_priv.h"

#define FILE_NAME	"exec-approvals.json"
#define SOCKET_NAME	"exec-approvals.sock"
#define KEY_MADE	"document-made"
#define TOKEN_BYTES	24u
#define RULES_MAX	10000u	/* of one agent */
#define COMMAND_MAX	512u	/* bytes of a command kept in a rule */
#define WORDS_FLAGS	(JSON_C_TO_STRING_PRETTY | \
	JSON_C_TO_STRING_NOSLASHESCAPE)

static struct {
	struct job	*queue, **end;
	struct job	*running;
	char		*path;
	char		 said[160];	/* the fault that was logged */
	bool		 is_known;	/* the document was made once */
} files;

/* --- on the worker --- */

static int
read_text(struct job *job, char **ret_text, size_t *ret_len)
{
	struct stat	 st;
	char		*text = NULL;
	size_t		 len = 0;
	ssize_t		 n = 1;
	int		 fd, r = -EIO;

	fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		r = -errno;
		(void)snprintf(job->fault, sizeof job->fault, "%s", r == -ENOENT ?
		    "it is missing" : "it cannot be read");
		return (r);
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		(void)snprintf(job->fault, sizeof job->fault,
		    "it is not a regular file");
		goto out;
	}
	if (st.st_size > (off_t)FILE_MAX) {
		(void)snprintf(job->fault, sizeof job->fault,
		    "it is larger than %u bytes", FILE_MAX);
		goto out;
	}
	text = malloc(FILE_MAX + 1);
	if (text == NULL) {
		r = -ENOMEM;
		goto out;
	}
	while (len < FILE_MAX && n > 0) {
		n = read(fd, text + len, FILE_MAX - len);
		if (n > 0)
			len += (size_t)n;
	}
	if (n < 0) {
		(void)snprintf(job->fault, sizeof job->fault,
		    "it cannot be read");
		goto out;
	}
	text[len] = '\0';
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		(void)snprintf(job->fault, sizeof job->fault,
		    "others can write it (mode %04o; 0600 is meant)",
		    (unsigned)st.st_mode & 07777);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		(void)snprintf(job->fault, sizeof job->fault,
		    "it belongs to another user");
	*ret_text = text;
	*ret_len = len;
	text = NULL;
	r = 0;
out:
	free(text);
	(void)close(fd);
	return (r);
}

static bool
is_object_or_none(struct json_object *o)
{
	return (o == NULL || json_object_is_type(o, json_type_object));
}

/* Its parts have the types that the judgement relies on. */
static bool
doc_is_good(struct json_object *doc)
{
	struct json_object	*agents = get_any(doc, "agents"), *list;

	if (!json_object_is_type(doc, json_type_object) ||
	    get_int(doc, "version", 0) != 1 ||
	    !is_object_or_none(get_any(doc, "socket")) ||
	    !is_object_or_none(get_any(doc, "defaults")) ||
	    !is_object_or_none(agents))
		return (false);
	if (agents == NULL)
		return (true);
	json_object_object_foreach(agents, id, agent) {
		(void)id;
		if (!json_object_is_type(agent, json_type_object))
			return (false);
		list = get_any(agent, "allowlist");
		if (list != NULL && (!json_object_is_type(list,
		    json_type_array) ||
		    json_object_array_length(list) > RULES_MAX))
			return (false);
	}
	return (true);
}

static struct json_object *
parse(const char *text, size_t len)
{
	struct json_tokener	*tok = json_tokener_new_ex(16);
	struct json_object	*doc = NULL;

	if (tok == NULL)
		return (NULL);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
	    JSON_TOKENER_VALIDATE_UTF8);
	doc = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		json_object_put(doc);
		doc = NULL;
	}
	json_tokener_free(tok);
	return (doc);
}

/* doc and hash of what is there; doc is NULL when it may not be used. */
static void
job_load(struct job *job)
{
	char	*text = NULL;
	size_t	 len = 0;
	int	 r;

	r = read_text(job, &text, &len);
	job->exists = r != -ENOENT;
	if (sha256_hex(text == NULL ? "" : text, len, job->hash) < 0)
		(void)snprintf(job->hash, sizeof job->hash, "0");
	if (r < 0)
		return;
	if (*job->fault == '\0') {
		job->doc = parse(text, len);
		if (!doc_is_good(job->doc)) {
			(void)snprintf(job->fault, sizeof job->fault,
			    "it is not a document of version 1");
			json_object_put(job->doc);
			job->doc = NULL;
		}
	}
	free(text);
}

static int
write_all(int fd, const char *p, size_t len)
{
	ssize_t	n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (-EIO);
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

/* Beside it, to the disk, and in its place: there is always a whole one. */
static int
job_save(struct job *job)
{
	size_t		 len;
	const char	*text;
	char		*tmp = NULL, *slash;
	int		 fd = -1, dir, r = -ENOMEM;

	text = json_object_to_json_string_length(job->doc, WORDS_FLAGS, &len);
	if (text == NULL || asprintf(&tmp, "%s.XXXXXX", job->path) < 0)
		return (-ENOMEM);
	if (len > FILE_MAX) {
		r = -EFBIG;
		goto out;
	}
	fd = mkostemp(tmp, O_CLOEXEC);	/* 0600 */
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	r = write_all(fd, text, len);
	if (r == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
		r = -errno;
	(void)close(fd);
	if (r == 0 && rename(tmp, job->path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		goto out;
	}
	slash = strrchr(tmp, '/');
	*slash = '\0';
	dir = open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0) {
		(void)fsync(dir);
		(void)close(dir);
	}
	job->exists = true;
	*job->fault = '\0';
	r = sha256_hex(text, len, job->hash);
out:
	free(tmp);
	return (r);
}

static struct json_object *
object_in(struct json_object *o, const char *name)
{
	struct json_object	*v = get_any(o, name);

	if (v != NULL)
		return (v);
	v = json_object_new_object();
	json_object_object_add(o, name, v);
	return (v);
}

static int
token_new(char *ret, size_t size)
{
	static const char	 b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char		 bytes[TOKEN_BYTES];
	size_t			 i;

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
	    size < TOKEN_BYTES + 1)
		return (-EIO);
	/* 24 of 64 letters; more than enough, and nobody decodes it. */
	for (i = 0; i < sizeof bytes; i++)
		ret[i] = b64[bytes[i] & 63];
	ret[i] = '\0';
	return (0);
}

/* socket{path, token}: the stored ones where they are not said. */
static int
socket_fill(struct job *job, struct json_object *doc, struct json_object *old)
{
	struct json_object	*so = object_in(doc, "socket");
	struct json_object	*was = get_any(old, "socket");
	const char		*s;
	char			 token[TOKEN_BYTES + 1], *path;

	s = get_str(so, "path");
	if (s == NULL || *s == '\0') {
		s = get_str(was, "path");
		if (s != NULL && *s != '\0') {
			set_str(so, "path", s);
		} else {
			if (asprintf(&path, "%.*s" SOCKET_NAME,
			    (int)(strlen(job->path) - strlen(FILE_NAME)),
			    job->path) < 0)
				return (-ENOMEM);
			set_str(so, "path", path);
			free(path);
		}
	}
	s = get_str(so, "token");
	if (s == NULL || *s == '\0') {
		s = get_str(was, "token");
		if (s == NULL || *s == '\0') {
			if (token_new(token, sizeof token) < 0)
				return (-EIO);
			s = token;
		}
		set_str(so, "token", s);
	}
	return (0);
}

static void
uuid_new(char ret[37])
{
	unsigned char	b[16];
	size_t		i, n = 0;

	if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
		memset(b, 0, sizeof b);
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	for (i = 0; i < sizeof b; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[n++] = '-';
		(void)snprintf(ret + n, 3, "%02x", b[i]);
		n += 2;
	}
}

/* Rules without an id get one; "default" is what "main" was called. */
static void
normalize(struct json_object *doc)
{
	struct json_object	*agents = object_in(doc, "agents"), *from, *to;
	struct json_object	*list, *rule;
	size_t			 i;
	char			 id[37];

	(void)object_in(doc, "defaults");
	from = get_any(agents, "default");
	if (from != NULL) {
		to = get_any(agents, "main");
		if (to == NULL) {
			json_object_object_add(agents, "main",
			    json_object_get(from));
		} else {
			json_object_object_foreach(from, name, value) {
				if (strcmp(name, "allowlist") == 0 &&
				    get_any(to, name) != NULL) {
					for (i = 0; i <
					    json_object_array_length(value);
					    i++)
						(void)json_object_array_add(
						    get_any(to, name),
						    json_object_get(
						    json_object_array_get_idx(
						    value, i)));
				} else if (get_any(to, name) == NULL) {
					json_object_object_add(to, name,
					    json_object_get(value));
				}
			}
		}
		json_object_object_del(agents, "default");
	}
	json_object_object_foreach(agents, key, agent) {
		(void)key;
		list = get_any(agent, "allowlist");
		for (i = 0; list != NULL && i < json_object_array_length(list);
		    i++) {
			rule = json_object_array_get_idx(list, i);
			if (json_object_is_type(rule, json_type_object) &&
			    get_str(rule, "id") == NULL) {
				uuid_new(id);
				set_str(rule, "id", id);
			}
		}
	}
}

static void
work_get(struct job *job)
{
	job_load(job);
	if (job->exists && *job->fault == '\0')
		return;
	/*
	 * The start does not make again what somebody took away: it stays
	 * missing, and nothing is allowed, until a client looks at it.
	 */
	if (job->exists || (job->is_start && !job->is_first))
		return;
	job->doc = json_object_new_object();
	set_int(job->doc, "version", 1);
	if (socket_fill(job, job->doc, NULL) < 0) {
		job->r = -EIO;
		return;
	}
	normalize(job->doc);
	job->r = job_save(job);
	if (job->r < 0)
		job->error = "the approvals document could not be written";
}

static void
work_set(struct job *job)
{
	struct json_object	*old;

	job_load(job);
	old = job->doc;
	job->doc = NULL;
	if (job->exists && job->base_hash == NULL)
		job->error = "exec approvals base hash required; re-run "
		    "exec.approvals.get and retry";
	else if (job->exists && strcmp(job->base_hash, job->hash) != 0)
		job->error = "exec approvals changed since last load; re-run "
		    "exec.approvals.get and retry";
	if (job->error != NULL) {
		job->r = -EINVAL;
		json_object_put(old);
		return;
	}
	job->doc = json_object_get(job->in);
	normalize(job->doc);
	job->r = !doc_is_good(job->doc) ? -EINVAL :
	    socket_fill(job, job->doc, old);
	if (job->r == -EINVAL)
		job->error = "the approvals document has too many rules";
	if (job->r == 0) {
		job->r = job_save(job);
		if (job->r < 0)
			job->error = job->r == -EFBIG ?
			    "the approvals document is too large" :
			    "the approvals document could not be written";
		if (job->r < 0 && job->r != -EFBIG)
			job->r = -EIO;
	}
	json_object_put(old);
}

static void
use_note(struct job *job)
{
	struct json_object	*rule = job->verdict.entry;
	char			*text = plan_text(job->in);

	if (text != NULL && strlen(text) > COMMAND_MAX) {
		size_t	n = COMMAND_MAX;

		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		text[n] = '\0';
	}
	set_int(rule, "lastUsedAt", (int64_t)job->now_ms);
	set_str(rule, "lastUsedCommand", text);
	set_str(rule, "lastResolvedPath", job->verdict.resolved);
	free(text);
	/* It says nothing new about what may run: not written is no harm. */
	(void)job_save(job);
}

static void
work_judge(struct job *job)
{
	job_load(job);
	policy_judge(job->doc, job->in, &job->verdict);
	if (job->doc == NULL)
		(void)snprintf(job->verdict.why, sizeof job->verdict.why,
		    "the approvals document cannot be used: %.100s",
		    job->fault);
	if (job->verdict.policy == CHELA_POLICY_ALLOW &&
	    job->verdict.entry != NULL)
		use_note(job);
}

static void
work_allow(struct job *job)
{
	struct json_object	*agents, *agent, *list, *rule;
	const char		*id = get_str(job->in, "agentId");
	char			*args, *text, uuid[37];

	job_load(job);
	/* Never over a document that is not understood. */
	if (job->doc == NULL) {
		job->r = -EIO;
		return;
	}
	policy_judge(job->doc, job->in, &job->verdict);
	if (*job->verdict.resolved == '\0' || job->verdict.entry != NULL)
		return;
	if (id == NULL || *id == '\0' || strcmp(id, "default") == 0)
		id = "main";
	agents = object_in(job->doc, "agents");
	agent = object_in(agents, id);
	list = get_any(agent, "allowlist");
	if (list == NULL) {
		list = json_object_new_array();
		json_object_object_add(agent, "allowlist", list);
	}
	args = args_pattern(get_any(job->in, "argv"));
	text = plan_text(job->in);
	if (json_object_array_length(list) < RULES_MAX && args != NULL &&
	    text != NULL) {
		rule = json_object_new_object();
		uuid_new(uuid);
		set_str(rule, "id", uuid);
		set_str(rule, "pattern", job->verdict.resolved);
		set_str(rule, "argPattern", args);
		set_str(rule, "source", "allow-always");
		set_str(rule, "commandText", text);
		(void)json_object_array_add(list, rule);
		job->r = job_save(job);
	} else {
		job->r = -ENOSPC;
	}
	free(args);
	free(text);
}

static void
job_work(void *arg)
{
	struct job	*job = arg;

	switch (job->kind) {
	case JOB_GET:
		work_get(job);
		break;
	case JOB_SET:
		work_set(job);
		break;
	case JOB_JUDGE:
		work_judge(job);
		break;
	case JOB_ALLOW:
		work_allow(job);
		break;
	}
}

/* --- on the loop --- */

static void
job_free(struct job *job)
{
	json_object_put(job->in);
	json_object_put(job->doc);
	free(job->base_hash);
	free(job->path);
	free(job);
}

static void jobs_next(void);

static void
job_over(struct chela_ctx *ctx, void *arg)
{
	struct job	*job = arg;

	files.running = NULL;
	if (ex.is_stopping) {
		job_free(job);
		return;
	}
	if (strcmp(files.said, job->fault) != 0) {
		(void)snprintf(files.said, sizeof files.said, "%s", job->fault);
		if (*job->fault != '\0')
			ex.host->log(ctx, CHELA_LOG_WARNING,
			    FILE_NAME ": %s; no program may run", job->fault);
		else
			ex.host->log(ctx, CHELA_LOG_NOTICE,
			    FILE_NAME ": in use again");
	}
	if (job->r == 0 && job->exists && !files.is_known) {
		files.is_known = true;
		(void)ex.host->kv_put(ctx, KEY_MADE, json_object_new_boolean(1),
		    CHELA_ANY_REV, NULL, NULL);
	}
	if (job->done != NULL)
		job->done(job, job->arg);
	job_free(job);
	jobs_next();
}

static void
jobs_next(void)
{
	struct job	*job = files.queue;

	if (files.running != NULL || job == NULL)
		return;
	files.queue = job->next;
	if (files.queue == NULL)
		files.end = &files.queue;
	files.running = job;
	if (ex.host->work(ex.ctx, job_work, job_over, job) < 0) {
		job->r = -ENOMEM;
		job->verdict.policy = CHELA_POLICY_DENY;
		(void)ex.host->post(ex.ctx, job_over, job);
	}
}

void
job_start(enum job_kind kind, struct json_object *in, const char *base_hash,
    void (*done)(struct job *job, void *arg), void *arg)
{
	struct job	*job = calloc(1, sizeof *job), failed = { .r = -ENOMEM };

	if (job != NULL) {
		job->path = strdup(files.path);
		if (base_hash != NULL)
			job->base_hash = strdup(base_hash);
	}
	if (job == NULL || job->path == NULL || (base_hash != NULL &&
	    job->base_hash == NULL) || (in != NULL &&
	    json_object_deep_copy(in, &job->in, NULL) < 0)) {
		if (job != NULL)
			job_free(job);
		if (done != NULL)
			done(&failed, arg);
		return;
	}
	job->kind = kind;
	job->done = done;
	job->arg = arg;
	job->now_ms = ex.host->wall_ms();
	job->is_first = !files.is_known;
	job->is_start = done == NULL;
	*files.end = job;
	files.end = &job->next;
	jobs_next();
}

static struct json_object *
shown(struct job *job)
{
	struct json_object	*o = json_object_new_object(), *file = NULL;

	set_str(o, "path", files.path);
	json_object_object_add(o, "exists",
	    json_object_new_boolean(job->exists));
	set_str(o, "hash", job->hash);
	json_object_object_add(o, "resolvedDefaults",
	    policy_defaults(job->doc));
	if (job->doc != NULL) {
		/* The token is the socket's secret. */
		if (get_any(job->doc, "socket") != NULL)
			json_object_object_del(get_any(job->doc, "socket"),
			    "token");
		file = json_object_get(job->doc);
	} else {
		/* What cannot be used is as good as nothing. */
		file = json_object_new_object();
		set_int(file, "version", 1);
		json_object_object_add(file, "defaults",
		    json_object_new_object());
		json_object_object_add(file, "agents",
		    json_object_new_object());
	}
	json_object_object_add(o, "file", file);
	return (o);
}

static void
policy_answer(struct job *job, void *arg)
{
	struct chela_req	*req = arg;

	if (job->r < 0)
		(void)ex.host->req_fail(req, job->r == -EINVAL ||
		    job->r == -EFBIG ? ERR_BAD : ERR_DOWN, "%s",
		    job->error != NULL ? job->error :
		    "the approvals document is not available");
	else
		(void)ex.host->req_reply(req, shown(job));
	ex.host->req_unref(req);
}

int
policy_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	(void)params;
	job_start(JOB_GET, NULL, NULL, policy_answer, ex.host->req_ref(req));
	return (0);
}

int
policy_set(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	(void)ctx;
	job_start(JOB_SET, get_any(params, "file"), get_str(params, "baseHash"),
	    policy_answer, ex.host->req_ref(req));
	return (0);
}

int
file_start(void)
{
	struct json_object	*v = NULL;

	memset(&files, 0, sizeof files);
	files.end = &files.queue;
	if (asprintf(&files.path, "%s/" FILE_NAME, ex.host->state_dir()) < 0) {
		files.path = NULL;
		return (-ENOMEM);
	}
	files.is_known = ex.host->kv_get(ex.ctx, KEY_MADE, &v, NULL) == 0;
	json_object_put(v);
	job_start(JOB_GET, NULL, NULL, NULL, NULL);
	return (0);
}

void
file_stop(void)
{
	struct job	*job, gone = { .r = -ESHUTDOWN };

	/* Who waits is told; the worker may still be at one of them. */
	if (files.running != NULL && files.running->done != NULL) {
		files.running->done(&gone, files.running->arg);
		files.running->done = NULL;
	}
	while ((job = files.queue) != NULL) {
		files.queue = job->next;
		if (job->done != NULL)
			job->done(&gone, job->arg);
		job_free(job);
	}
	files.end = &files.queue;
	free(files.path);
	files.path = NULL;
}
