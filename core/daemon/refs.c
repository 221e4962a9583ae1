/* SPDX-License-Identifier: MIT */
/*
 * gateway.auth.token and .password that are kept in a private file, or that a
 * command knows: references with source "file" or "exec". What they mean is that
 * of plugin secrets, which is not there yet when the gateway has to know its own
 * secret.
 */
#include "core/daemon/refs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>
#include <json-c/json_pointer.h>

#include "core/access/secret.h"
#include "core/base/file.h"
#include "core/config/config.h"
#include "core/json/json.h"

#define REF_STRINGS_MAX	64	/* arguments, variables, folders */
#define REF_RUN_MS	5000	/* that a command may take */
#define REF_RUN_MS_MAX	60000
#define REF_FILE_MAX	((int64_t)MIB(1)) /* bytes, unless less is set */

static const char *const paths[REF_COUNT] = {
	[REF_TOKEN] = "gateway.auth.token",
	[REF_PASSWORD] = "gateway.auth.password",
};

/* The strings of an array, after first unless that is NULL; gives or NULL. */
static char **
strings(const char *first, struct json_object *list)
{
	char	**all = calloc(REF_STRINGS_MAX + 2, sizeof *all);
	size_t	 i, n = 0;

	if (all != NULL && first != NULL)
		all[n++] = strdup(first);
	for (i = 0; all != NULL && json_object_is_type(list, json_type_array) &&
	    i < json_object_array_length(list) && i < REF_STRINGS_MAX; i++)
		all[n++] = strdup(json_object_get_string(
		    json_object_array_get_idx(list, i)));
	return (all);
}

static void
strings_free(char **all)
{
	size_t	 i;

	for (i = 0; all != NULL && all[i] != NULL; i++)
		free(all[i]);
	free(all);
}

/* What is set, and what is passed on; nothing else of our own. */
static char **
environment(struct json_object *p)
{
	struct json_object	*set = json_get_obj(p, "env");
	struct json_object	*pass = json_get_arr(p, "passEnv");
	char			**env;
	const char		*name, *value;
	size_t			 i, n = 0;

	env = calloc(REF_STRINGS_MAX + 1, sizeof *env);
	if (env == NULL)
		return (NULL);
	if (set != NULL) {
		json_object_object_foreach(set, key, v) {
			if (n < REF_STRINGS_MAX && asprintf(&env[n], "%s=%s",
			    key, json_object_get_string(v)) > 0)
				n++;
		}
	}
	for (i = 0; pass != NULL && i < json_object_array_length(pass); i++) {
		name = json_object_get_string(json_object_array_get_idx(pass,
		    i));
		value = name == NULL ? NULL : getenv(name);
		if (value != NULL && n < REF_STRINGS_MAX &&
		    asprintf(&env[n], "%s=%s", name, value) > 0)
			n++;
	}
	env[n] = NULL;
	return (env);
}

static int
command_find(struct ref *ref, struct json_object *p, const char *alias)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*ids = json_object_new_array();
	int64_t			 ms = json_get_int(p, "timeoutMs", REF_RUN_MS);

	ref->timeout_us = MS_US(ms > 0 && ms <= REF_RUN_MS_MAX ? ms :
	    REF_RUN_MS);
	ref->is_one_line = !json_get_bool(p, "jsonOnly", true);
	ref->argv = strings(ref->path, json_get_arr(p, "args"));
	ref->env = environment(p);
	if (json_get_arr(p, "trustedDirs") != NULL)
		ref->dirs = strings(NULL, json_get_arr(p, "trustedDirs"));
	(void)json_push(ids, json_object_new_string(ref->id));
	(void)json_add_int(o, "protocolVersion", 1);
	(void)json_add_str(o, "provider", alias);
	(void)json_add(o, "ids", ids);
	if (asprintf(&ref->question, "%s\n", json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN)) < 0)
		ref->question = NULL;
	json_object_put(o);
	return (ref->argv == NULL || ref->env == NULL ||
	    ref->question == NULL ||
	    (ref->dirs == NULL && json_get_arr(p, "trustedDirs") != NULL) ?
	    -ENOMEM : 0);
}

/* Fills ref; -EINVAL when the configuration of it makes no sense. */
static int
ref_find(struct ref *ref, struct conf *conf, struct json_object *o)
{
	struct json_object	*p;
	const char		*alias = json_get_str(o, "provider");
	const char		*mode, *path, *source;
	int64_t			 max;

	if (alias == NULL)
		alias = conf_get_str(conf, ref->is_command ?
		    "secrets.defaults.exec" : "secrets.defaults.file",
		    "default");
	p = json_get_obj(conf_get(conf, "secrets.providers"), alias);
	path = json_get_str(p, ref->is_command ? "command" : "path");
	mode = json_get_str(p, "mode");
	max = json_get_int(p, ref->is_command ? "maxOutputBytes" : "maxBytes",
	    REF_FILE_MAX);
	ref->is_json = mode == NULL || strcmp(mode, "json") == 0;
	ref->max = max > 0 && max < REF_FILE_MAX ? (size_t)max :
	    (size_t)REF_FILE_MAX;
	source = json_get_str(p, "source");
	if (path == NULL || *path != '/' || source == NULL ||
	    strcmp(source, ref->is_command ? "exec" : "file") != 0)
		return (-EINVAL);
	ref->path = strdup(path);
	ref->id = strdup(json_get_str(o, "id"));
	if (ref->path == NULL || ref->id == NULL)
		return (-ENOMEM);
	return (ref->is_command ? command_find(ref, p, alias) : 0);
}

struct refs *
refs_new(struct conf *conf)
{
	struct json_object	*o;
	struct refs		*refs = calloc(1, sizeof *refs);
	const char		*source;
	size_t			 i;

	for (i = 0; refs != NULL && i < REF_COUNT; i++) {
		o = conf_get(conf, paths[i]);
		source = json_object_is_type(o, json_type_object) ?
		    json_get_str(o, "source") : NULL;
		refs->refs[i].is_command = source != NULL &&
		    strcmp(source, "exec") == 0;
		if (source == NULL || json_get_str(o, "id") == NULL ||
		    (strcmp(source, "file") != 0 && !refs->refs[i].is_command))
			continue;
		refs->refs[i].is_set = true;
		refs->refs[i].r = ref_find(&refs->refs[i], conf, o);
		refs->n++;
	}
	return (refs);
}

/* Ours alone, and what it is itself: no link of any kind. */
static int
check_private(const char *path)
{
	struct stat	 st;

	if (lstat(path, &st) < 0)
		return (-errno);
	return (!S_ISREG(st.st_mode) || st.st_nlink != 1 ||
	    st.st_uid != geteuid() || (st.st_mode & 077) != 0 ? -EPERM : 0);
}

/* The answer: {"protocolVersion": 1, "values": {id: text}}, or the text. */
static int
ref_ask(struct ref *ref)
{
	struct json_object	*doc = NULL;
	const char		*value;
	char			*text;
	size_t			 len;
	int			 r;

	r = ref_run(ref, &text, &len);
	if (r < 0)
		return (r);
	r = json_parse(text, len, &doc);
	if (r < 0 && ref->is_one_line) {
		text[strcspn(text, "\r\n")] = '\0';
		ref->text = strdup(text);
		r = 0;
	} else if (r < 0 || json_get_int(doc, "protocolVersion", 0) != 1)
		r = -EBADMSG;
	else {
		value = json_get_str(json_get_obj(doc, "values"), ref->id);
		ref->text = value == NULL ? NULL : strdup(value);
		r = value == NULL ? -ENOENT : 0;
	}
	json_object_put(doc);
	secret_wipe(text, len);
	free(text);
	return (r == 0 && ref->text == NULL ? -ENOMEM : r);
}

static int
ref_read(struct ref *ref)
{
	struct json_object	*doc = NULL, *v = NULL;
	char			*text;
	size_t			 len;
	int			 r;

	r = check_private(ref->path);
	if (r == 0)
		r = file_read(ref->path, ref->max, &text, &len);
	if (r < 0)
		return (r);
	if (!ref->is_json) {
		text[strcspn(text, "\r\n")] = '\0';
		r = strcmp(ref->id, "value") == 0 ? 0 : -ENOENT;
		ref->text = r == 0 ? strdup(text) : NULL;
	} else {
		r = json_parse(text, len, &doc);
		if (r < 0)
			r = -EBADMSG;
		else if (*ref->id != '/' ||
		    json_pointer_get(doc, ref->id, &v) < 0 ||
		    !json_object_is_type(v, json_type_string))
			r = -ENOENT;
		else
			ref->text = strdup(json_object_get_string(v));
		json_object_put(doc);
	}
	secret_wipe(text, len);
	free(text);
	return (r == 0 && ref->text == NULL ? -ENOMEM : r);
}

void
refs_read(void *arg)
{
	struct refs	*refs = arg;
	size_t		 i;

	for (i = 0; i < REF_COUNT; i++) {
		if (refs->refs[i].is_set && refs->refs[i].r == 0)
			refs->refs[i].r = refs->refs[i].is_command ?
			    ref_ask(&refs->refs[i]) : ref_read(&refs->refs[i]);
	}
}

const char *
ref_problem(const struct ref *ref)
{
	switch (ref->r) {
	case -EINVAL:
		return (ref->is_command ? "secrets.providers has no such "
		    "command" : "secrets.providers has no such file");
	case -EPERM:
		return (ref->is_command ? "others may change the command, or "
		    "it is not in trustedDirs" : "the file is not the "
		    "gateway's alone (mode 0600, no link)");
	case -ENOENT:
		return ("it is not there");
	case -EBADMSG:
		return (ref->is_command ? "the command's answer cannot be "
		    "read" : "the file is not JSON");
	case -EPROTO:
		return ("the command failed");
	case -ETIMEDOUT:
		return ("the command took too long");
	case -EFBIG:
		return ("it is too large");
	default:
		return (strerror(-ref->r));
	}
}

struct refs *
refs_free(struct refs *refs)
{
	size_t	 i;

	for (i = 0; refs != NULL && i < REF_COUNT; i++) {
		if (refs->refs[i].text != NULL)
			secret_wipe(refs->refs[i].text,
			    strlen(refs->refs[i].text));
		free(refs->refs[i].text);
		free(refs->refs[i].path);
		free(refs->refs[i].id);
		free(refs->refs[i].question);
		strings_free(refs->refs[i].argv);
		strings_free(refs->refs[i].env);
		strings_free(refs->refs[i].dirs);
	}
	free(refs);
	return (NULL);
}
