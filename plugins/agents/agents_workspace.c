/* SPDX-License-Identifier: MIT */
/*
 * agents.workspace.list and .get: reading in an agent's folder, never beyond
 * it.
 */
#include "agents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char		name[NAME_MAX + 1];
	int		is_dir;
	int64_t		size;
	int64_t		updated_ms;
};

static int
fail_path(struct chela_req *req, const char *type, const char *path,
    const char *text)
{
	struct chela_error	extra;

	memset(&extra, 0, sizeof extra);
	extra.struct_size = sizeof extra;
	extra.details = json_object_new_object();
	(void)json_object_object_add(extra.details, "type",
	    json_object_new_string(type));
	(void)json_object_object_add(extra.details, "path",
	    json_object_new_string(path));
	return (agents.host->req_fail_with(req, "INVALID_REQUEST", &extra,
	    "%s", text));
}

static int
entry_cmp(const void *a, const void *b)
{
	const struct entry	*x = a, *y = b;

	if (x->is_dir != y->is_dir)
		return (y->is_dir - x->is_dir);
	return (strcmp(x->name, y->name));
}

/* Folders and plain files alone: links and devices are not shown. */
static int
dir_read(int fd, struct entry **ret_list, size_t *ret_n)
{
	struct entry	*list = NULL, *more;
	struct dirent	*de;
	struct stat	 st;
	size_t		 n = 0, size = 0;
	DIR		*dir;

	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return (-EIO);
	}
	while (n < DIR_ENTRIES_MAX && (de = readdir(dir)) != NULL) {
		if (strcmp(de->d_name, ".") == 0 ||
		    strcmp(de->d_name, "..") == 0 ||
		    !text_is_utf8(de->d_name, strlen(de->d_name)) ||
		    fstatat(dirfd(dir), de->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) < 0 ||
		    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
			continue;
		if (n == size) {
			size = size == 0 ? 64 : size * 2;
			more = realloc(list, size * sizeof *list);
			if (more == NULL) {
				free(list);
				(void)closedir(dir);
				return (-ENOMEM);
			}
			list = more;
		}
		(void)snprintf(list[n].name, sizeof list[n].name, "%s",
		    de->d_name);
		list[n].is_dir = S_ISDIR(st.st_mode);
		list[n].size = st.st_size;
		list[n++].updated_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
		    st.st_mtim.tv_nsec / 1000000;
	}
	(void)closedir(dir);
	if (n > 0)
		qsort(list, n, sizeof *list, entry_cmp);
	*ret_list = list;
	*ret_n = n;
	return (0);
}

static struct json_object *
entry_row(const struct entry *e, const char *dir)
{
	struct json_object	*row = json_object_new_object();
	char			 path[PATH_MAX + NAME_MAX + 2];

	(void)snprintf(path, sizeof path, "%s%s%s", dir,
	    *dir == '\0' ? "" : "/", e->name);
	(void)json_object_object_add(row, "path",
	    json_object_new_string(path));
	(void)json_object_object_add(row, "name",
	    json_object_new_string(e->name));
	(void)json_object_object_add(row, "kind",
	    json_object_new_string(e->is_dir ? "directory" : "file"));
	if (!e->is_dir)
		(void)json_object_object_add(row, "size",
		    json_object_new_int64(e->size));
	(void)json_object_object_add(row, "updatedAtMs",
	    json_object_new_int64(e->updated_ms));
	return (row);
}

static void
list_work(struct job *job)
{
	struct json_object	*rows;
	struct entry		*list = NULL;
	size_t			 n = 0, i;
	int			 root, fd;

	root = dir_open(job->root);
	if (root < 0) {
		/* The folder of a new agent may not have been needed yet. */
		job->r = root == -ENOENT && *job->path == '\0' ? 0 : root;
	} else {
		fd = path_open_dir(root, job->path);
		(void)close(root);
		job->r = fd < 0 ? fd : dir_read(fd, &list, &n);
	}
	if (job->r < 0)
		return;
	job->result = json_object_new_object();
	rows = json_object_new_array();
	for (i = 0; i < n; i++) {
		if ((int64_t)i >= job->offset &&
		    (int64_t)i - job->offset < job->limit)
			(void)json_object_array_add(rows,
			    entry_row(&list[i], job->path));
	}
	free(list);
	(void)json_object_object_add(job->result, "entries", rows);
	(void)json_object_object_add(job->result, "totalEntries",
	    json_object_new_int64((int64_t)n));
	(void)json_object_object_add(job->result, "offset",
	    json_object_new_int64(job->offset));
}

static void
parent_add(struct json_object *out, const char *path)
{
	const char	*slash = strrchr(path, '/');

	if (*path == '\0')
		return;
	(void)json_object_object_add(out, "parentPath",
	    json_object_new_string_len(path,
	    slash == NULL ? 0 : (int)(slash - path)));
}

/* Each refusal of the file system, as the client may know it. */
static void
work_failed(struct job *job, const char *missing)
{
	if (job->r == -ENOENT || job->r == -ENOTDIR || job->r == -ENXIO)
		(void)fail_path(job->req, "workspace_path_not_found",
		    job->path, missing);
	else if (job->r == -ELOOP)
		(void)fail_path(job->req, "workspace_path_invalid", job->path,
		    "path escapes the agent workspace");
	else if (job->r == -EFBIG)
		(void)fail_path(job->req, "workspace_file_too_large",
		    job->path, "workspace file is too large");
	else
		(void)agents.host->req_fail(job->req, "UNAVAILABLE",
		    "the workspace of agent \"%s\" is not accessible",
		    job->id);
	job_free(job);
}

static void
list_done(struct job *job)
{
	struct json_object	*out;

	if (job->r < 0) {
		work_failed(job, "workspace directory not found");
		return;
	}
	out = json_object_get(job->result);
	(void)json_object_object_add(out, "agentId",
	    json_object_new_string(job->id));
	(void)json_object_object_add(out, "path",
	    json_object_new_string(job->path));
	parent_add(out, job->path);
	(void)agents.host->req_reply(job->req, out);
	job_free(job);
}

static void
get_work(struct job *job)
{
	struct json_object	*file;
	struct stat		 st;
	const char		*name = strrchr(job->path, '/');
	char			*text = NULL, *coded = NULL;
	size_t			 len = 0;
	int			 root, fd, is_text;

	name = name == NULL ? job->path : name + 1;
	root = dir_open(job->root);
	if (root < 0) {
		job->r = root;
		return;
	}
	fd = path_open_file(root, job->path, NULL);
	(void)close(root);
	if (fd < 0) {
		job->r = fd;
		return;
	}
	job->r = file_read(fd, WORKSPACE_FILE_MAX, &text, &len);
	if (job->r == 0 && fstat(fd, &st) < 0)
		job->r = -EIO;
	(void)close(fd);
	if (job->r < 0) {
		free(text);
		return;
	}
	is_text = text_is_utf8(text, len);
	if (!is_text)
		coded = base64_of(text, len);
	file = json_object_new_object();
	(void)json_object_object_add(file, "path",
	    json_object_new_string(job->path));
	(void)json_object_object_add(file, "name",
	    json_object_new_string(name));
	(void)json_object_object_add(file, "size",
	    json_object_new_int64((int64_t)len));
	(void)json_object_object_add(file, "updatedAtMs",
	    json_object_new_int64((int64_t)st.st_mtim.tv_sec * 1000 +
	    st.st_mtim.tv_nsec / 1000000));
	(void)json_object_object_add(file, "mimeType",
	    json_object_new_string(mime_of(name, is_text)));
	(void)json_object_object_add(file, "encoding",
	    json_object_new_string(is_text ? "utf8" : "base64"));
	if (is_text)
		(void)json_object_object_add(file, "content",
		    json_object_new_string_len(text, (int)len));
	else if (coded != NULL)
		(void)json_object_object_add(file, "content",
		    json_object_new_string(coded));
	else
		job->r = -ENOMEM;
	job->result = file;
	free(coded);
	free(text);
}

static void
get_done(struct job *job)
{
	struct json_object	*out;

	if (job->r < 0) {
		work_failed(job, "workspace file not found");
		return;
	}
	out = json_object_new_object();
	(void)json_object_object_add(out, "agentId",
	    json_object_new_string(job->id));
	(void)json_object_object_add(out, "file",
	    json_object_get(job->result));
	(void)agents.host->req_reply(job->req, out);
	job_free(job);
}

/* The job for params.agentId and params.path, or NULL when it was answered. */
static int
workspace_job(struct chela_req *req, struct json_object *params,
    struct job **ret_job)
{
	struct agent_entry	 e;
	struct json_object	*path = get_any(params, "path");
	const char		*id = get_text(params, "agentId"), *text = "";
	struct job		*job;
	size_t			 len = 0;

	*ret_job = NULL;
	if (agent_find(id, &e) < 0)
		return (agents_fail_unknown(req, id));
	if (path != NULL) {
		text = json_object_get_string(path);
		len = (size_t)json_object_get_string_len(path);
	}
	if (strcmp(text, ".") == 0 && len == 1)
		text = "", len = 0;
	if (len > 1 && text[len - 1] == '/' && strlen(text) == len)
		len--;	/* "dir/" is "dir" */
	job = job_new(req, e.id);
	if (job == NULL)
		return (agents.host->req_fail(req, "UNAVAILABLE",
		    "too many files are being worked on"));
	(void)snprintf(job->path, sizeof job->path, "%.*s", (int)(len <
	    sizeof job->path ? len : sizeof job->path - 1), text);
	if (path_check(job->path, len) < 0) {
		(void)fail_path(req, "workspace_path_invalid", job->path,
		    "path escapes the agent workspace");
		job_free(job);
		return (0);
	}
	agent_workspace(&e, job->root, sizeof job->root);
	*ret_job = job;
	return (0);
}

int
agents_workspace_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct job	*job;
	int		 r;

	(void)ctx;
	r = workspace_job(req, params, &job);
	if (job == NULL)
		return (r);
	job->limit = LIST_LIMIT;
	job->offset = json_object_get_int64(get_any(params, "offset"));
	if (get_any(params, "limit") != NULL)
		job->limit = json_object_get_int64(get_any(params, "limit"));
	if (job->limit > LIST_LIMIT_MAX)
		job->limit = LIST_LIMIT_MAX;
	r = job_start(job, list_work, list_done);
	if (r < 0)
		job_free(job);
	return (r);
}

int
agents_workspace_get(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct job	*job;
	int		 r;

	(void)ctx;
	r = workspace_job(req, params, &job);
	if (job == NULL)
		return (r);
	r = job_start(job, get_work, get_done);
	if (r < 0)
		job_free(job);
	return (r);
}
