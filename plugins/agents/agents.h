/* SPDX-License-Identifier: MIT */
/* What the files of plugin agents share. */
#ifndef PLUGINS_AGENTS_H
#define PLUGINS_AGENTS_H

#include <limits.h>
#include <sys/types.h>

#include <json-c/json.h>

#include <chela/plugin.h>
#include <chela/services/agents.h>

#include "../common/json.h"
#include "../common/path.h"

#define AGENTS_MAX		256
#define JOBS_MAX		64	/* file jobs at a time */
#define FILE_MAX_BYTES		(2u * 1024 * 1024)	/* agents.files.* */
#define WORKSPACE_FILE_MAX	(4u * 1024 * 1024)
#define AVATAR_MAX_BYTES	(2u * 1024 * 1024)
#define DIR_ENTRIES_MAX		10000	/* read of one directory */
#define LIST_LIMIT		200
#define LIST_LIMIT_MAX		1000
#define NAME_MAX_LEN		200

struct agents {
	struct chela_ctx		*ctx;
	const struct chela_host		*host;
	char				 home[PATH_MAX];
	char				 id[CHELA_AGENT_ID_MAX + 1];
	uint32_t			 n_jobs;
};

extern struct agents agents;

/* agents_conf.c */
extern const struct chela_agents_1 agents_service;
struct json_object *conf_path(const char *path);
struct agent_entry {
	char			 id[CHELA_AGENT_ID_MAX + 1];
	struct json_object	*conf;		/* lent, or NULL */
};
uint32_t agents_get(struct agent_entry *ret, uint32_t max); /* sorted */
int	agent_find(const char *id, struct agent_entry *ret);
void	agent_workspace(const struct agent_entry *e, char *ret, size_t size);
int	workspace_expand(const char *text, char *ret, size_t size);
const char *agent_name(const struct agent_entry *e);

/* agents_path.c */
int	dir_make(const char *root);		/* with its parents */
/* Replaces a file as a whole; the old one stays until the new is on disk. */
int	file_write(int dir, const char *name, const char *text, size_t len);
int	text_is_utf8(const char *text, size_t len);
char	*base64_of(const char *bytes, size_t len);
const char *mime_of(const char *name, int is_text);

/* agents_list.c */
chela_handler_fn agents_list;
int	agents_fail_unknown(struct chela_req *req, const char *id);

/* agents_job.c: one piece of file work on the pool. */
struct job;
typedef void job_work_fn(struct job *job);
typedef void job_done_fn(struct job *job);
struct job {
	struct chela_req	*req;
	job_work_fn		*work;
	job_done_fn		*done;
	char			 id[CHELA_AGENT_ID_MAX + 1];
	char			 root[PATH_MAX];
	char			 old[PATH_MAX];
	char			 path[PATH_MAX];
	char			 name[NAME_MAX + 1];
	char			*text;
	size_t			 text_len;
	uint64_t		 now_ms;
	int64_t			 offset;
	int64_t			 limit;
	int			 r;
	int			 flags;
	struct json_object	*result;	/* made by work */
	struct json_object	*params;
};
struct job *job_new(struct chela_req *req, const char *id);
int	job_start(struct job *job, job_work_fn *work, job_done_fn *done);
void	job_free(struct job *job);

/* agents_files.c */
chela_handler_fn agents_files_list;
chela_handler_fn agents_files_get;
chela_handler_fn agents_files_set;
int	workspace_seed(const char *root, const char *name, const char *emoji);

/* agents_workspace.c */
chela_handler_fn agents_workspace_list;
chela_handler_fn agents_workspace_get;

/* agents_write.c */
chela_handler_fn agents_create;
chela_handler_fn agents_update;
chela_handler_fn agents_delete;

#endif
