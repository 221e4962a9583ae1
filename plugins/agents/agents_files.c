/* SPDX-License-Identifier: MIT */
/*
 * agents.files.*: the few files that make an agent what it is. The names are a
 * closed list; anything else in the workspace is agents.workspace's.
 */
#include "agents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct known {
	const char	*name;
	int		 always;	/* listed when it is missing, too */
};

static const struct known known_files[] = {
	{ "AGENTS.md", 1 },
	{ "SOUL.md", 1 },
	{ "USER.md", 1 },
	{ "IDENTITY.md", 0 },
	{ "TOOLS.md", 0 },
	{ "HEARTBEAT.md", 0 },
	{ "BOOTSTRAP.md", 1 },
	{ "MEMORY.md", 1 },
};

#define N_KNOWN (sizeof known_files / sizeof known_files[0])

static int
known_find(const char *name)
{
	size_t	i;

	for (i = 0; i < N_KNOWN; i++) {
		if (strcmp(known_files[i].name, name) == 0)
			return (1);
	}
	return (0);
}

/* The row of one file; with text its content. Gives. */
static struct json_object *
file_row(const char *root, const char *name, const struct stat *st,
    const char *text, size_t len)
{
	struct json_object	*row = json_object_new_object();
	char			 path[PATH_MAX + NAME_MAX + 2];

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	(void)json_object_object_add(row, "name",
	    json_object_new_string(name));
	(void)json_object_object_add(row, "path",
	    json_object_new_string(path));
	(void)json_object_object_add(row, "missing",
	    json_object_new_boolean(st == NULL));
	if (st != NULL) {
		(void)json_object_object_add(row, "size",
		    json_object_new_int64(st->st_size));
		(void)json_object_object_add(row, "updatedAtMs",
		    json_object_new_int64((int64_t)st->st_mtim.tv_sec * 1000 +
		    st->st_mtim.tv_nsec / 1000000));
	}
	if (text != NULL)
		(void)json_object_object_add(row, "content",
		    json_object_new_string_len(text, (int)len));
	return (row);
}

static void
list_work(struct job *job)
{
	struct stat	 st;
	size_t		 i;
	int		 dir, there;

	job->result = json_object_new_array();
	dir = dir_open(job->root);
	if (dir < 0 && dir != -ENOENT) {
		job->r = dir;
		return;
	}
	for (i = 0; i < N_KNOWN; i++) {
		there = dir >= 0 && fstatat(dir, known_files[i].name, &st,
		    AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
		if (!there && !known_files[i].always)
			continue;
		(void)json_object_array_add(job->result, file_row(job->root,
		    known_files[i].name, there ? &st : NULL, NULL, 0));
	}
	if (dir >= 0)
		(void)close(dir);
}

/* One file's row with its content; a missing one is no error. */
static void
get_work(struct job *job)
{
	struct stat	 st;
	char		*text = NULL;
	size_t		 len = 0;
	int		 dir, fd = -ENOENT;

	dir = dir_open(job->root);
	if (dir >= 0) {
		fd = path_open_file(dir, job->name, NULL);
		(void)close(dir);
	}
	if (fd == -ENOENT) {
		job->result = file_row(job->root, job->name, NULL, NULL, 0);
		return;
	}
	if (fd < 0) {
		job->r = fd;
		return;
	}
	job->r = file_read(fd, FILE_MAX_BYTES, &text, &len);
	if (job->r == 0 && fstat(fd, &st) < 0)
		job->r = -EIO;
	if (job->r == 0 && !text_is_utf8(text, len))
		job->r = -EILSEQ;
	if (job->r == 0)
		job->result = file_row(job->root, job->name, &st, text, len);
	free(text);
	(void)close(fd);
}

static void
set_work(struct job *job)
{
	int	dir;

	dir = dir_make(job->root);
	if (dir < 0) {
		job->r = dir;
		return;
	}
	job->r = file_write(dir, job->name, job->text, job->text_len);
	(void)close(dir);
	if (job->r == 0)
		get_work(job);
}

static void
files_done(struct job *job)
{
	struct json_object	*out;
	const char		*member = job->name[0] == '\0' ? "files" : "file";

	if (job->r < 0) {
		agents.host->log(agents.ctx, CHELA_LOG_WARNING,
		    "agent %s: no access to its files (%s)", job->id,
		    strerror(-job->r));
		if (job->r == -ELOOP || job->r == -ENXIO)
			(void)agents.host->req_fail(job->req,
			    "INVALID_REQUEST",
			    "\"%s\" is not a regular file", job->name);
		else if (job->r == -EFBIG)
			(void)agents.host->req_fail(job->req,
			    "INVALID_REQUEST", "\"%s\" is too large",
			    job->name);
		else if (job->r == -EILSEQ)
			(void)agents.host->req_fail(job->req,
			    "INVALID_REQUEST", "\"%s\" is not text",
			    job->name);
		else
			(void)agents.host->req_fail(job->req, "UNAVAILABLE",
			    "the workspace of agent \"%s\" is not accessible",
			    job->id);
		job_free(job);
		return;
	}
	out = json_object_new_object();
	if (job->flags)
		(void)json_object_object_add(out, "ok",
		    json_object_new_boolean(1));
	(void)json_object_object_add(out, "agentId",
	    json_object_new_string(job->id));
	(void)json_object_object_add(out, "workspace",
	    json_object_new_string(job->root));
	(void)json_object_object_add(out, member,
	    json_object_get(job->result));
	(void)agents.host->req_reply(job->req, out);
	job_free(job);
}

/* The job for params.agentId and, when it is asked for, params.name. */
static int
files_job(struct chela_req *req, struct json_object *params, int named,
    struct job **ret_job)
{
	struct agent_entry	 e;
	struct json_object	*name = get_any(params, "name");
	const char		*id = get_text(params, "agentId");
	struct job		*job;

	*ret_job = NULL;
	if (agent_find(id, &e) < 0)
		return (agents_fail_unknown(req, id));
	if (named && (strlen(json_object_get_string(name)) !=
	    (size_t)json_object_get_string_len(name) ||
	    !known_find(json_object_get_string(name))))
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "unsupported file \"%.200s\"",
		    json_object_get_string(name)));
	job = job_new(req, e.id);
	if (job == NULL)
		return (agents.host->req_fail(req, "UNAVAILABLE",
		    "too many files are being worked on"));
	agent_workspace(&e, job->root, sizeof job->root);
	if (named)
		(void)snprintf(job->name, sizeof job->name, "%s",
		    json_object_get_string(name));
	*ret_job = job;
	return (0);
}

static int
files_start(struct job *job, job_work_fn *work)
{
	int	r = job_start(job, work, files_done);

	if (r < 0)
		job_free(job);
	return (r);
}

int
agents_files_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct job	*job;
	int		 r;

	(void)ctx;
	r = files_job(req, params, 0, &job);
	return (job == NULL ? r : files_start(job, list_work));
}

int
agents_files_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct job	*job;
	int		 r;

	(void)ctx;
	r = files_job(req, params, 1, &job);
	return (job == NULL ? r : files_start(job, get_work));
}

int
agents_files_set(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*content = get_any(params, "content");
	struct job		*job;
	int			 r;

	(void)ctx;
	r = files_job(req, params, 1, &job);
	if (job == NULL)
		return (r);
	job->text_len = (size_t)json_object_get_string_len(content);
	if (job->text_len > FILE_MAX_BYTES) {
		r = agents.host->req_fail(req, "INVALID_REQUEST",
		    "\"%s\" is too large", job->name);
		job_free(job);
		return (r);
	}
	job->text = malloc(job->text_len + 1);
	if (job->text == NULL) {
		job_free(job);
		return (-ENOMEM);
	}
	memcpy(job->text, json_object_get_string(content), job->text_len + 1);
	job->flags = 1;
	return (files_start(job, set_work));
}

static int
seed_one(int dir, const char *name, const char *text)
{
	struct stat	st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return (0);
	return (file_write(dir, name, text, strlen(text)));
}

/* Makes a workspace and the files in it that are missing. Runs on the pool. */
int
workspace_seed(const char *root, const char *name, const char *emoji)
{
	char	text[1024];
	int	dir, r;

	dir = dir_make(root);
	if (dir < 0)
		return (dir);
	r = seed_one(dir, "AGENTS.md",
	    "# Agent\n\nWhat this agent is for, and how it works here.\n");
	if (r == 0)
		r = seed_one(dir, "SOUL.md",
		    "# Character\n\nTone, values and limits of this agent.\n");
	if (r == 0)
		r = seed_one(dir, "USER.md",
		    "# User\n\nWho this agent works for.\n");
	(void)snprintf(text, sizeof text, "# Identity\n\n- Name: %s\n%s%s%s",
	    name, *emoji != '\0' ? "- Emoji: " : "", emoji,
	    *emoji != '\0' ? "\n" : "");
	if (r == 0)
		r = seed_one(dir, "IDENTITY.md", text);
	if (r == 0)
		r = seed_one(dir, "BOOTSTRAP.md",
		    "# First steps\n\nFill in the other files, then empty this one.\n");
	(void)close(dir);
	return (r);
}
