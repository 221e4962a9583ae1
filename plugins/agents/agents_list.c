/* SPDX-License-Identifier: MIT */
/*
 * agents.list. An avatar that is a file of the workspace is sent as a data URL,
 * so the answer is made on the pool when there is one.
 */
#include "agents.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <chela/services/model.h>

int
agents_fail_unknown(struct chela_req *req, const char *id)
{
	return (agents.host->req_fail(req, "INVALID_REQUEST",
	    "agent \"%.200s\" not found", id));
}

static int
first_service(const char *plugin, const void *vtable, void *arg)
{
	const void	**ret = arg;

	(void)plugin;
	*ret = vtable;
	return (1);
}

/*
 * The model that the agent uses. models depends on this plugin, so its service
 * is looked for where it is needed.
 */
static void
row_model(struct json_object *row, const struct agent_entry *e)
{
	const struct chela_models_1	*svc = NULL;
	struct chela_model_ref		 ref;
	struct json_object		*out = json_object_new_object(), *list;
	struct json_object		*model = get_any(e->conf, "model");
	const char			*why = NULL;
	char				 text[400];
	size_t				 i;

	memset(&ref, 0, sizeof ref);
	ref.struct_size = sizeof ref;
	(void)agents.host->svc_each(agents.ctx, CHELA_MODELS_SERVICE,
	    first_service, &svc);
	if (model == NULL)
		model = conf_path("agents.defaults.model");
	if (svc != NULL && svc->resolve(NULL, e->id, &ref, &why) == 0)
		(void)snprintf(text, sizeof text, "%s/%s", ref.provider,
		    ref.model);
	else if (json_object_is_type(model, json_type_string))
		(void)snprintf(text, sizeof text, "%s",
		    json_object_get_string(model));
	else
		(void)snprintf(text, sizeof text, "%s",
		    get_text(model, "primary") != NULL ?
		    get_text(model, "primary") : "builtin/builtin");
	(void)json_object_object_add(out, "primary",
	    json_object_new_string(text));
	list = get_any(model, "fallbacks");
	if (json_object_is_type(list, json_type_array)) {
		model = json_object_new_array();
		for (i = 0; i < json_object_array_length(list); i++)
			(void)json_object_array_add(model, json_object_get(
			    json_object_array_get_idx(list, i)));
		(void)json_object_object_add(out, "fallbacks", model);
	}
	(void)json_object_object_add(row, "model", out);
	json_object_put(ref.provider_conf);
	json_object_put(ref.model_conf);
}

static int
avatar_is_url(const char *avatar)
{
	return (strncasecmp(avatar, "data:", 5) == 0 ||
	    strncasecmp(avatar, "http://", 7) == 0 ||
	    strncasecmp(avatar, "https://", 8) == 0);
}

/* Returns 1 when the avatar is a file whose content is still to be read. */
static int
row_identity(struct json_object *row, const struct agent_entry *e)
{
	static const char *const keys[] = { "name", "theme", "emoji", "avatar" };
	struct json_object	*in = get_any(e->conf, "identity"), *out;
	const char		*text;
	size_t			 i;
	int			 is_file = 0;

	out = json_object_new_object();
	for (i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		text = get_text(in, keys[i]);
		if (text != NULL)
			(void)json_object_object_add(out, keys[i],
			    json_object_new_string(text));
	}
	text = get_text(in, "avatar");
	if (text != NULL && avatar_is_url(text))
		(void)json_object_object_add(out, "avatarUrl",
		    json_object_new_string(text));
	else if (text != NULL)
		is_file = path_check(text, strlen(text)) == 0;
	if (json_object_object_length(out) > 0)
		(void)json_object_object_add(row, "identity", out);
	else
		json_object_put(out);
	return (is_file);
}

/* Gives the answer; ret_files counts the avatars that are files. */
static struct json_object *
list_build(int *ret_files)
{
	struct agent_entry	 all[AGENTS_MAX];
	struct json_object	*out, *rows, *row;
	const char		*scope = get_text(conf_path("session"), "scope");
	char			 path[PATH_MAX];
	uint32_t		 i, n = agents_get(all, AGENTS_MAX);

	*ret_files = 0;
	out = json_object_new_object();
	rows = json_object_new_array();
	for (i = 0; i < n; i++) {
		row = json_object_new_object();
		(void)json_object_object_add(row, "id",
		    json_object_new_string(all[i].id));
		(void)json_object_object_add(row, "kind",
		    json_object_new_string("agent"));
		if (agent_name(&all[i]) != NULL)
			(void)json_object_object_add(row, "name",
			    json_object_new_string(agent_name(&all[i])));
		*ret_files += row_identity(row, &all[i]);
		agent_workspace(&all[i], path, sizeof path);
		(void)json_object_object_add(row, "workspace",
		    json_object_new_string(path));
		row_model(row, &all[i]);
		(void)json_object_array_add(rows, row);
	}
	(void)json_object_object_add(out, "defaultId",
	    json_object_new_string(all[0].id));
	(void)json_object_object_add(out, "ownership",
	    json_object_new_string(n == 1 ? "sole" : "explicit"));
	(void)json_object_object_add(out, "selectionRequired",
	    json_object_new_boolean(0));
	(void)json_object_object_add(out, "mainKey",
	    json_object_new_string(agents_service.main_key()));
	(void)json_object_object_add(out, "scope", json_object_new_string(
	    scope != NULL && strcmp(scope, "global") == 0 ? "global" :
	    "per-sender"));
	(void)json_object_object_add(out, "agents", rows);
	return (out);
}

static void
avatar_read(struct json_object *row)
{
	struct json_object	*identity = get_any(row, "identity");
	const char		*avatar = get_text(identity, "avatar");
	const char		*type;
	char			*bytes = NULL, *coded = NULL, *url = NULL;
	size_t			 len = 0;
	int			 root, fd;

	if (avatar == NULL || avatar_is_url(avatar) ||
	    path_check(avatar, strlen(avatar)) < 0)
		return;
	type = mime_of(avatar, 0);
	if (strncmp(type, "image/", 6) != 0)
		return;
	root = dir_open(get_text(row, "workspace"));
	if (root < 0)
		return;
	fd = path_open_file(root, avatar, NULL);
	(void)close(root);
	if (fd < 0)
		return;
	if (file_read(fd, AVATAR_MAX_BYTES, &bytes, &len) == 0)
		coded = base64_of(bytes, len);
	(void)close(fd);
	if (coded != NULL && asprintf(&url, "data:%s;base64,%s", type, coded) > 0)
		(void)json_object_object_add(identity, "avatarUrl",
		    json_object_new_string(url));
	free(url);
	free(coded);
	free(bytes);
}

static void
list_work(struct job *job)
{
	struct json_object	*rows = get_any(job->result, "agents");
	size_t			 i;

	for (i = 0; i < json_object_array_length(rows); i++)
		avatar_read(json_object_array_get_idx(rows, i));
}

static void
list_done(struct job *job)
{
	(void)agents.host->req_reply(job->req, json_object_get(job->result));
	job_free(job);
}

int
agents_list(struct chela_ctx *ctx, struct chela_req *req,
    struct json_object *params)
{
	struct json_object	*out;
	struct job		*job;
	int			 files;

	(void)ctx;
	(void)params;
	out = list_build(&files);
	if (files == 0 || (job = job_new(req, "")) == NULL)
		return (agents.host->req_reply(req, out));
	job->result = out;
	if (job_start(job, list_work, list_done) < 0) {
		(void)agents.host->req_reply(req, json_object_get(out));
		job_free(job);
	}
	return (0);
}
