/* SPDX-License-Identifier: MIT */
/*
 * agents.create, .update and .delete: changes of "agents.entries" or, where the
 * file has it, of "agents.list". The core writes the file; a merge patch is
 * made from what was written there, not from what it means, so that references
 * to secrets and the environment stay references.
 */
#include "agents.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chela/services/agent.h>
#include <chela/services/config.h>
#include <chela/services/model.h>
#include <chela/services/sessions.h>

#define TRASH_DIR "trash"

/* job.flags */
#define DELETE_FILES	1

static int
first_service(const char *plugin, const void *vtable, void *arg)
{
	const void	**ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

static const void *
service(const char *name)
{
	const void	*vtable = NULL;

	(void)agents.host->svc_each(agents.ctx, name, first_service, &vtable);
	return (vtable);
}

static struct json_object *
object_in(struct json_object *parent, const char *key)
{
	struct json_object	*obj = json_object_new_object();

	(void)json_object_object_add(parent, key, obj);
	return (obj);
}

static void
set_text(struct json_object *obj, const char *key, const char *text)
{
	(void)json_object_object_add(obj, key, *text == '\0' ? NULL :
	    json_object_new_string(text));
}

static int
same_id(const char *text, const char *id)
{
	char	norm[CHELA_AGENT_ID_MAX + 1];

	return (text != NULL && agents_service.normalise(text, norm) == 0 &&
	    strcmp(norm, id) == 0);
}

/* The members of an entry that the parameters set; null ones clear. Gives. */
static struct json_object *
changes_of(struct json_object *params)
{
	struct json_object	*out = json_object_new_object();
	struct json_object	*identity = NULL, *val;
	static const char *const plain[] = { "name", "workspace", "model" };
	static const char *const own[] = { "emoji", "avatar" };
	size_t			 i;

	for (i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		if (json_object_object_get_ex(params, plain[i], &val))
			(void)json_object_object_add(out, plain[i],
			    json_object_get(val));
	}
	for (i = 0; i < sizeof own / sizeof own[0]; i++) {
		if (!json_object_object_get_ex(params, own[i], &val))
			continue;
		if (identity == NULL)
			identity = object_in(out, "identity");
		set_text(identity, own[i], json_object_get_string(val));
	}
	return (out);
}

/* Merges one level and the identity below it; a null takes a member away. */
static void
merge(struct json_object *into, struct json_object *changes)
{
	json_object_object_foreach(changes, key, val) {
		if (val == NULL) {
			json_object_object_del(into, key);
		} else if (json_object_is_type(val, json_type_object) &&
		    json_object_is_type(get_any(into, key), json_type_object)) {
			merge(get_any(into, key), val);
		} else {
			(void)json_object_object_add(into, key,
			    json_object_get(val));
		}
	}
}

static void
drop_nulls(struct json_object *obj)
{
	struct json_object	*empty = json_object_new_object();

	json_object_object_foreach(obj, key, val) {
		if (val != NULL && json_object_is_type(val, json_type_object))
			drop_nulls(val);
		if (val == NULL)
			(void)json_object_object_add(empty, key, NULL);
	}
	merge(obj, empty);
	json_object_put(empty);
}

/*
 * The patch that gives agent id these changes (lent; NULL: take it away),
 * written in the way the file has agents. Gives.
 */
static struct json_object *
patch_of(struct json_object *parsed, const char *id,
    struct json_object *changes, struct json_object *replace)
{
	struct json_object	*in = get_any(parsed, "agents");
	struct json_object	*map = get_any(in, "entries");
	struct json_object	*list = get_any(in, "list"), *copy, *entry = NULL;
	struct json_object	*patch = json_object_new_object(), *part;
	const char		*name = id;
	size_t			 i;

	part = object_in(patch, "agents");
	if ((!json_object_is_type(map, json_type_object) ||
	    json_object_object_length(map) == 0) &&
	    json_object_is_type(list, json_type_array) &&
	    json_object_array_length(list) > 0) {
		copy = json_object_new_array();
		for (i = 0; i < json_object_array_length(list); i++) {
			struct json_object *one =
			    json_object_array_get_idx(list, i), *own = NULL;

			if (same_id(get_text(one, "id"), id)) {
				if (changes == NULL)
					continue;
				(void)json_object_deep_copy(one, &own, NULL);
				merge(own, changes);
				entry = own;
				one = own;
			} else
				(void)json_object_get(one);
			(void)json_object_array_add(copy, one);
		}
		if (entry == NULL && changes != NULL) {
			(void)json_object_deep_copy(changes, &entry, NULL);
			drop_nulls(entry);
			set_text(entry, "id", id);
			(void)json_object_array_add(copy, entry);
		}
		(void)json_object_object_add(part, "list", copy);
		(void)json_object_array_add(replace,
		    json_object_new_string("agents.list"));
		return (patch);
	}
	part = object_in(part, "entries");
	if (json_object_is_type(map, json_type_object)) {
		json_object_object_foreach(map, key, val) {
			(void)val;
			if (same_id(key, id))
				name = key;
		}
	}
	/* The agent that was there without being written stays. */
	if ((map == NULL || json_object_object_length(map) == 0) &&
	    strcmp(id, "main") != 0)
		(void)object_in(part, "main");
	(void)json_object_object_add(part, name, json_object_get(changes));
	return (patch);
}

/* Takes the bindings of an agent out; returns how many there were. */
static int
patch_bindings(struct json_object *patch, struct json_object *parsed,
    const char *id, struct json_object *replace)
{
	struct json_object	*in = get_any(parsed, "bindings"), *out, *one;
	size_t			 i;
	int			 n = 0;

	if (!json_object_is_type(in, json_type_array))
		return (0);
	out = json_object_new_array();
	for (i = 0; i < json_object_array_length(in); i++) {
		one = json_object_array_get_idx(in, i);
		if (same_id(get_text(one, "agentId"), id))
			n++;
		else
			(void)json_object_array_add(out, json_object_get(one));
	}
	if (n == 0) {
		json_object_put(out);
		return (0);
	}
	(void)json_object_object_add(patch, "bindings", out);
	(void)json_object_array_add(replace, json_object_new_string("bindings"));
	return (n);
}

static void
fail_outcome(struct chela_req *req, const struct chela_config_outcome *o)
{
	struct chela_error	extra;

	memset(&extra, 0, sizeof extra);
	extra.struct_size = sizeof extra;
	extra.details = json_object_get(o->details);
	(void)agents.host->req_fail_with(req, o->r == -EINVAL ||
	    o->r == -ESTALE ? "INVALID_REQUEST" : "UNAVAILABLE", &extra, "%s",
	    o->message != NULL && *o->message != '\0' ? o->message :
	    "the configuration was not written");
}

typedef void written_fn(const struct chela_config_outcome *o, void *arg);

/*
 * Writes the change of the job's agent; when it is not to be written the
 * request is answered and a negative value returned.
 */
static int
change_write(struct job *job, struct json_object *changes, int *ret_bindings,
    written_fn *done)
{
	const struct chela_config_1	*config;
	struct chela_config_write	 w;
	struct json_object		*snap = NULL, *patch, *replace;
	int				 r;

	config = agents.host->svc_import(agents.ctx, CHELA_CONFIG_SERVICE);
	if (config == NULL || config->snapshot(&snap) < 0) {
		(void)agents.host->req_fail(job->req, "UNAVAILABLE",
		    "the configuration is not accessible");
		return (-ENODEV);
	}
	replace = json_object_new_array();
	patch = patch_of(get_any(snap, "parsed"), job->id, changes, replace);
	if (ret_bindings != NULL)
		*ret_bindings = patch_bindings(patch, get_any(snap, "parsed"),
		    job->id, replace);
	memset(&w, 0, sizeof w);
	w.struct_size = sizeof w;
	w.kind = CHELA_CONFIG_PATCH;
	w.raw = json_object_to_json_string_ext(patch, JSON_C_TO_STRING_PLAIN);
	w.raw_len = strlen(w.raw);
	w.base_hash = get_text(snap, "hash");
	w.replace_paths = replace;
	r = config->write(&w, done, job);
	json_object_put(patch);
	json_object_put(replace);
	json_object_put(snap);
	if (r < 0)
		(void)agents.host->req_fail(job->req, "UNAVAILABLE",
		    "too many changes of the configuration wait");
	return (r);
}

/* Names and paths: no NUL, not too long, something to see. */
static int
text_ok(struct json_object *params, const char *key, size_t max)
{
	struct json_object	*val = get_any(params, key);
	size_t			 len;

	if (val == NULL)
		return (1);
	len = (size_t)json_object_get_string_len(val);
	return (len <= max && strlen(json_object_get_string(val)) == len);
}

/* Answers the request when a parameter can not be used. */
static int
params_bad(struct chela_req *req, struct json_object *params)
{
	const struct chela_models_1	*models;
	struct chela_model_ref		 ref;
	const char			*why = NULL, *model;
	char				 path[PATH_MAX];

	if (!text_ok(params, "name", NAME_MAX_LEN) ||
	    !text_ok(params, "emoji", 64) || !text_ok(params, "model", 380) ||
	    !text_ok(params, "avatar", AVATAR_MAX_BYTES) ||
	    !text_ok(params, "workspace", PATH_MAX - 1)) {
		(void)agents.host->req_fail(req, "INVALID_REQUEST",
		    "invalid %s params: a text is too long or has a NUL",
		    agents.host->req_method(req));
		return (1);
	}
	if (get_text(params, "workspace") != NULL &&
	    workspace_expand(get_text(params, "workspace"), path,
	    sizeof path) < 0) {
		(void)agents.host->req_fail(req, "INVALID_REQUEST",
		    "invalid %s params: workspace can not be used",
		    agents.host->req_method(req));
		return (1);
	}
	model = get_text(params, "model");
	models = service(CHELA_MODELS_SERVICE);
	if (model == NULL || models == NULL)
		return (0);
	memset(&ref, 0, sizeof ref);
	ref.struct_size = sizeof ref;
	if (models->resolve(model, NULL, &ref, &why) < 0) {
		(void)agents.host->req_fail(req, "INVALID_REQUEST", "%s",
		    why != NULL ? why : "unknown model");
		return (1);
	}
	json_object_put(ref.provider_conf);
	json_object_put(ref.model_conf);
	return (0);
}

static void
create_written(const struct chela_config_outcome *o, void *arg)
{
	struct job		*job = arg;
	struct json_object	*out;

	if (o->r < 0) {
		fail_outcome(job->req, o);
		job_free(job);
		return;
	}
	out = json_object_new_object();
	(void)json_object_object_add(out, "ok", json_object_new_boolean(1));
	(void)json_object_object_add(out, "agentId",
	    json_object_new_string(job->id));
	(void)json_object_object_add(out, "name",
	    json_object_get(get_any(job->params, "name")));
	(void)json_object_object_add(out, "workspace",
	    json_object_new_string(job->root));
	if (get_text(job->params, "model") != NULL)
		(void)json_object_object_add(out, "model",
		    json_object_get(get_any(job->params, "model")));
	(void)agents.host->req_reply(job->req, out);
	job_free(job);
}

static void
create_work(struct job *job)
{
	const char	*emoji = get_text(job->params, "emoji");

	job->r = workspace_seed(job->root, get_text(job->params, "name"),
	    emoji != NULL ? emoji : "");
}

static void
create_done(struct job *job)
{
	struct json_object	*changes;
	int			 r;

	if (job->r < 0) {
		agents.host->log(agents.ctx, CHELA_LOG_WARNING,
		    "agent %s: workspace not made (%s)", job->id,
		    strerror(-job->r));
		(void)agents.host->req_fail(job->req, "UNAVAILABLE",
		    "the workspace of agent \"%s\" can not be made", job->id);
		job_free(job);
		return;
	}
	changes = changes_of(job->params);
	drop_nulls(changes);
	r = change_write(job, changes, NULL, create_written);
	json_object_put(changes);
	if (r < 0)
		job_free(job);
}

int
agents_create(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct agent_entry	 all[AGENTS_MAX], e;
	struct job		*job;
	char			 id[CHELA_AGENT_ID_MAX + 1];
	int			 r;

	(void)ctx;
	if (params_bad(req, params))
		return (0);
	if (agents_service.normalise(get_text(params, "name"), id) < 0)
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "invalid agents.create params: name needs a letter or a digit"));
	if (agent_find(id, &e) == 0)
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "agent \"%s\" already exists", id));
	if (agents_get(all, AGENTS_MAX) >= AGENTS_MAX)
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "there are %d agents already", AGENTS_MAX));
	job = job_new(req, id);
	if (job == NULL)
		return (agents.host->req_fail(req, "UNAVAILABLE",
		    "too many files are being worked on"));
	(void)snprintf(e.id, sizeof e.id, "%s", id);
	e.conf = params;		/* its workspace, when one is given */
	agent_workspace(&e, job->root, sizeof job->root);
	job->params = json_object_get(params);
	r = job_start(job, create_work, create_done);
	if (r < 0)
		job_free(job);
	return (r);
}

static void
update_written(const struct chela_config_outcome *o, void *arg)
{
	struct job		*job = arg;
	struct json_object	*out;

	if (o->r < 0) {
		fail_outcome(job->req, o);
		job_free(job);
		return;
	}
	out = json_object_new_object();
	(void)json_object_object_add(out, "ok", json_object_new_boolean(1));
	(void)json_object_object_add(out, "agentId",
	    json_object_new_string(job->id));
	(void)agents.host->req_reply(job->req, out);
	job_free(job);
}

int
agents_update(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct agent_entry	 e;
	struct json_object	*changes;
	struct job		*job;
	const char		*id = get_text(params, "agentId");
	int			 r;

	(void)ctx;
	if (agent_find(id, &e) < 0)
		return (agents_fail_unknown(req, id));
	if (params_bad(req, params))
		return (0);
	job = job_new(req, e.id);
	if (job == NULL)
		return (agents.host->req_fail(req, "UNAVAILABLE",
		    "too many files are being worked on"));
	changes = changes_of(params);
	r = change_write(job, changes, NULL, update_written);
	json_object_put(changes);
	if (r < 0)
		job_free(job);
	return (0);
}

/* Moves a workspace to the trash. What is not ours alone stays. */
static void
trash_work(struct job *job)
{
	char		 to[PATH_MAX];
	char		 dir[PATH_MAX];
	struct stat	 st;
	int		 n, fd;

	if (lstat(job->root, &st) < 0) {
		job->r = errno == ENOENT ? 1 : -errno;
		return;
	}
	if (!S_ISDIR(st.st_mode)) {
		job->r = -ENOTDIR;
		return;
	}
	(void)snprintf(dir, sizeof dir, "%s", job->path);
	fd = dir_make(dir);
	if (fd < 0) {
		job->r = fd;
		return;
	}
	(void)close(fd);
	n = snprintf(to, sizeof to, "%s/%s-%llu", dir, job->id,
	    (unsigned long long)job->now_ms);
	if (n < 0 || (size_t)n >= sizeof to)
		job->r = -ENAMETOOLONG;
	else if (rename(job->root, to) < 0)
		job->r = -errno;
}

static void
trash_done(struct job *job)
{
	struct json_object	*one, *list;

	if ((job->flags & DELETE_FILES) == 0) {
		(void)agents.host->req_reply(job->req,
		    json_object_get(job->result));
		job_free(job);
		return;
	}
	one = json_object_new_object();
	list = json_object_new_array();
	(void)json_object_object_add(one, "path",
	    json_object_new_string(job->root));
	if (job->r < 0)
		(void)json_object_object_add(one, "reason",
		    json_object_new_string(job->r == -EBUSY ?
		    "another agent or the gateway itself uses it" :
		    job->r == -EXDEV ?
		    "it is on another file system than the trash" :
		    "it could not be moved"));
	else
		(void)json_object_object_add(one, "method",
		    json_object_new_string(job->r == 1 ? "missing" : "trash"));
	(void)json_object_array_add(list, one);
	(void)json_object_object_add(job->result, job->r < 0 ? "failed" :
	    "removed", list);
	(void)agents.host->req_reply(job->req, json_object_get(job->result));
	job_free(job);
}

static int
is_below(const char *path, const char *dir)
{
	size_t	n = strlen(dir);

	return (strncmp(path, dir, n) == 0 &&
	    (path[n] == '/' || path[n] == '\0'));
}

/* Whether a folder is used by more than the agent that is going. */
static int
workspace_shared(const char *root)
{
	struct agent_entry	 all[AGENTS_MAX];
	char			 other[PATH_MAX];
	uint32_t		 i, n = agents_get(all, AGENTS_MAX);

	if (strcmp(root, "/") == 0 || is_below(agents.host->state_dir(), root) ||
	    (*agents.home != '\0' && is_below(agents.home, root)))
		return (1);
	for (i = 0; i < n; i++) {
		agent_workspace(&all[i], other, sizeof other);
		if (is_below(other, root) || is_below(root, other))
			return (1);
	}
	return (0);
}

static int
abort_one(const struct chela_session_info *info, void *arg)
{
	const struct chela_agent_1	*runs = arg;

	if (info->active_runs > 0)
		(void)runs->abort_session(info->key, "rpc", NULL);
	return (0);
}

/* What still runs for an agent that is gone has no one to answer to. */
static void
runs_abort(const char *id)
{
	const struct chela_sessions_1	*sessions;
	const struct chela_agent_1	*runs;

	sessions = service(CHELA_SESSIONS_SERVICE);
	runs = service(CHELA_AGENT_SERVICE);
	if (sessions != NULL && runs != NULL)
		(void)sessions->each(id, abort_one,
		    (void *)(uintptr_t)(const void *)runs);
}

static void
delete_written(const struct chela_config_outcome *o, void *arg)
{
	struct job	*job = arg;
	int		 r;

	if (o->r < 0) {
		fail_outcome(job->req, o);
		job_free(job);
		return;
	}
	runs_abort(job->id);
	if ((job->flags & DELETE_FILES) == 0) {
		trash_done(job);
		return;
	}
	(void)snprintf(job->path, sizeof job->path, "%s/" TRASH_DIR,
	    agents.host->state_dir());
	if (workspace_shared(job->root))
		r = -EBUSY;
	else
		r = job_start(job, trash_work, trash_done);
	if (r < 0) {
		job->r = r;
		trash_done(job);
	}
}

int
agents_delete(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct agent_entry	 all[AGENTS_MAX], e;
	struct job		*job;
	const char		*id = get_text(params, "agentId");
	int			 n_bindings = 0;

	(void)ctx;
	if (agent_find(id, &e) < 0)
		return (agents_fail_unknown(req, id));
	if (agents_get(all, AGENTS_MAX) == 1)
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "agent \"%s\" is the only configured agent and cannot be deleted",
		    e.id));
	if (strcmp(all[0].id, e.id) == 0)
		return (agents.host->req_fail(req, "INVALID_REQUEST",
		    "agent \"%s\" is the default agent and cannot be deleted; make another one the default first",
		    e.id));
	job = job_new(req, e.id);
	if (job == NULL)
		return (agents.host->req_fail(req, "UNAVAILABLE",
		    "too many files are being worked on"));
	agent_workspace(&e, job->root, sizeof job->root);
	if (json_object_get_boolean(get_any(params, "deleteFiles")))
		job->flags |= DELETE_FILES;
	if (change_write(job, NULL, &n_bindings, delete_written) < 0) {
		job_free(job);
		return (0);
	}
	job->result = json_object_new_object();
	(void)json_object_object_add(job->result, "ok",
	    json_object_new_boolean(1));
	(void)json_object_object_add(job->result, "agentId",
	    json_object_new_string(job->id));
	(void)json_object_object_add(job->result, "removedBindings",
	    json_object_new_int(n_bindings));
	(void)json_object_object_add(job->result, "removed",
	    json_object_new_array());
	return (0);
}
